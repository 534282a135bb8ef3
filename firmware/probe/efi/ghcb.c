/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ghcb: what the hypervisor says by the MSR protocol of the GHCB. Firmware's handler of #VC finds its GHCB by
 * the same register, so nothing may raise #VC between the two writes.
 *
 * Law: GHCB specification 56421, 2.3.1 (MSR protocol).
 */
#include "facts.h"

#define SEV_INFO_REQUEST    0x002u
#define SEV_INFO            0x001u
#define FEATURES_REQUEST    0x080u
#define FEATURES            0x081u
#define CODE                0xfffu
#define FIRST_WITH_FEATURES 2u

static uint64_t ask(uint64_t request)
{
	uint64_t flags = interrupts_off();
	uint64_t old = rdmsr(MSR_GHCB), answer;

	wrmsr(MSR_GHCB, request);
	__asm__ volatile("rep; vmmcall" : : : "memory"); /* VMGEXIT */
	answer = rdmsr(MSR_GHCB);
	wrmsr(MSR_GHCB, old);
	interrupts_back(flags);
	return answer;
}

void facts_ghcb(const struct guest *guest)
{
	uint64_t info, features;

	if (!(guest->sev_status & SEV_STATUS_ES)) {
		print_null("ghcb");
		return;
	}
	print_open("ghcb", '{');
	print_mask("msr", rdmsr(MSR_GHCB));
	info = ask(SEV_INFO_REQUEST);
	print_mask("sev-info", info);
	if ((info & CODE) == SEV_INFO) {
		print_number("version-min", info >> 32 & 0xffff);
		print_number("version-max", info >> 48);
		print_number("c-bit", info >> 24 & 0xff);
	}
	features = info >> 48 >= FIRST_WITH_FEATURES ? ask(FEATURES_REQUEST) : 0;
	if ((features & CODE) == FEATURES)
		print_mask("hypervisor-features", features >> 12);
	else
		print_null("hypervisor-features");
	print_close('}');
}

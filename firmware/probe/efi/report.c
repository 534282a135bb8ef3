/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report: tells a hypervisor that asks for it which pages a SEV or SEV-ES guest shares, as Linux does and the
 * firmware of today does not: all that firmware's page tables share of RAM, and later each change. A SEV-SNP
 * guest has told already, for it cannot share a page otherwise.
 *
 * A SEV-ES guest uses firmware's GHCB, with interrupts off, as firmware does in its handler of #VC.
 *
 * Law: Linux's Documentation/virt/kvm/x86/hypercalls.rst (KVM_HC_MAP_GPA_RANGE) and cpuid.rst; GHCB
 * specification 56421, 2.6 and 4.1.
 */
#include "facts.h"

#define CPUID_KVM        0x40000000u
#define CPUID_KVM_BITS   0x40000001u
#define ASKS_FOR_REPORTS (1u << 16) /* KVM_FEATURE_HC_MAP_GPA_RANGE */
#define MAP_GPA_RANGE    12u
#define PRIVATE          (1u << 4)
#define EXIT_VMMCALL     0x81u

/* Words of the GHCB. */
#define GHCB_CPL_BYTE  0xcb
#define GHCB_RAX       (0x1f8 / 8)
#define GHCB_RCX       (0x308 / 8)
#define GHCB_RDX       (0x310 / 8)
#define GHCB_RBX       (0x318 / 8)
#define GHCB_EXIT_CODE (0x390 / 8)
#define GHCB_VALID     (0x3f0 / 8) /* two words, with a bit for each word before them */

static struct {
	bool on;
	uint64_t calls, refused;
} reports;

static bool hypervisor_asks(void)
{
	struct cpuid c = cpuid(CPUID_KVM);

	return c.ebx == 0x4b4d564b && c.ecx == 0x564b4d56 && c.edx == 0x4d && /* KVMKVMKVM */
	       (cpuid(CPUID_KVM_BITS).eax & ASKS_FOR_REPORTS);
}

static void ghcb_put(volatile uint64_t *ghcb, unsigned word, uint64_t value)
{
	ghcb[word] = value;
	ghcb[GHCB_VALID + word / 64] |= 1ull << word % 64;
}

static uint64_t call_by_ghcb(uint64_t at, uint64_t pages, uint64_t attributes)
{
	volatile uint64_t *ghcb = (volatile uint64_t *)rdmsr(MSR_GHCB);
	uint64_t answer;

	ghcb[GHCB_VALID] = ghcb[GHCB_VALID + 1] = 0;
	((volatile uint8_t *)ghcb)[GHCB_CPL_BYTE] = 0;
	ghcb[GHCB_VALID] |= 1ull << GHCB_CPL_BYTE / 8;
	ghcb_put(ghcb, GHCB_RAX, MAP_GPA_RANGE);
	ghcb_put(ghcb, GHCB_RBX, at);
	ghcb_put(ghcb, GHCB_RCX, pages);
	ghcb_put(ghcb, GHCB_RDX, attributes);
	for (unsigned word = GHCB_EXIT_CODE; word < GHCB_EXIT_CODE + 3; word++)
		ghcb_put(ghcb, word, word == GHCB_EXIT_CODE ? EXIT_VMMCALL : 0);
	__asm__ volatile("rep; vmmcall" : : : "memory"); /* VMGEXIT */
	answer = ghcb[GHCB_RAX];
	ghcb[GHCB_VALID] = ghcb[GHCB_VALID + 1] = 0;
	return answer;
}

static uint64_t call(uint64_t at, uint64_t pages, uint64_t attributes)
{
	uint64_t answer = MAP_GPA_RANGE;

	__asm__ volatile("vmmcall" : "+a"(answer) : "b"(at), "c"(pages), "d"(attributes) : "memory");
	return answer;
}

void report_pages(const struct guest *guest, uint64_t at, uint64_t bytes, bool shared)
{
	uint64_t attributes = shared ? 0 : PRIVATE, flags, answer;

	if (!reports.on)
		return;
	flags = interrupts_off();
	answer = guest->sev_status & SEV_STATUS_ES ? call_by_ghcb(at, bytes / EFI_SIZE_MINIMUM, attributes)
	                                           : call(at, bytes / EFI_SIZE_MINIMUM, attributes);
	interrupts_back(flags);
	reports.calls++;
	reports.refused += answer != 0;
}

/* Where there is no RAM, firmware shares the registers of devices. */
static void report_run(void *ctx, uint64_t at, uint64_t bytes)
{
	uint64_t end = at + bytes, from, to;

	for (; memory_next_ram(at, end, &from, &to); at = to)
		report_pages(ctx, from, to - from, true);
}

void report_begin(const struct guest *guest)
{
	reports.on = guest->sev_status && !(guest->sev_status & SEV_STATUS_SNP) && hypervisor_asks();
	if (reports.on)
		walk(guest, false, report_run, (void *)(uintptr_t)guest);
}

void report_end(void)
{
	if (!reports.on) {
		print_null("reports");
		return;
	}
	print_open("reports", '{');
	print_number("calls", reports.calls);
	print_number("refused", reports.refused);
	print_close('}');
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpuid_page: the guest's CPUID as the page that the firmware of SEV-SNP checks, and its answer to a page
 * that it does not like. The answer is not trusted. Any thread; no state. Law: SNP ABI 8.17.2.6 and 7.1.
 */
#include <string.h>

#include "launch.h"

#define LEAF_XSTATE 0xd
#define XCR0_X87    1
/* Of the legacy area and header: the size that leaf 0xD gives for XCR0 1; the guest may enable more later. */
#define XSTATE_LEGACY_BYTES 0x240

static struct abi_cpuid_entry entry_of(const struct kvm_cpuid_entry2 *e)
{
	struct abi_cpuid_entry entry = {
	        .eax_in = e->function,
	        .eax = e->eax,
	        .ebx = e->ebx,
	        .ecx = e->ecx,
	        .edx = e->edx,
	};

	if (e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX)
		entry.ecx_in = e->index;
	/* The firmware computes the size of the enabled state for this XCR0. */
	if (e->function == LEAF_XSTATE && e->index <= 1) {
		entry.xcr0_in = XCR0_X87;
		entry.ebx = XSTATE_LEGACY_BYTES;
	}
	return entry;
}

int launch_cpuid_page_fill(
        const struct machine_cpuid *cpuid, struct abi_cpuid_page *ret_page, struct err *err)
{
	struct abi_cpuid_page page = {0};

	for (unsigned i = 0; i < cpuid->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		/* Guests take a leaf that is not in the page for zeros, so zeros need no room. */
		if (!e->eax && !e->ebx && !e->ecx && !e->edx)
			continue;
		if (page.count == ABI_CPUID_PAGE_MAX)
			return err_set(err, ERR_FAILED,
			        "the guest's CPUID has more than %u leaves, which the CPUID page of SEV-SNP "
			        "cannot hold: choose a named machine.cpu",
			        ABI_CPUID_PAGE_MAX);
		page.entries[page.count++] = entry_of(e);
	}
	*ret_page = page;
	return 0;
}

/* ---- the firmware's answer ---- */

static bool same_question(const struct abi_cpuid_entry *a, const struct abi_cpuid_entry *b)
{
	return a->eax_in == b->eax_in && a->ecx_in == b->ecx_in && a->xcr0_in == b->xcr0_in &&
	       a->xss_in == b->xss_in;
}

static void tell_register(const struct abi_cpuid_entry *entry, const char *name, uint32_t was, uint32_t is,
        enum log_level level)
{
	char bits[160] = ""; /* all 32 take 117 */
	size_t used = 0;

	for (unsigned bit = 0; bit < 32; bit++) {
		if ((was ^ is) >> bit & 1)
			used += (size_t)snprintf(
			        bits + used, sizeof(bits) - used, "%s%u", used ? ", " : "", bit);
	}
	log_at(level, "CPUID page, leaf 0x%x.%u %s: 0x%x became 0x%x, bits %s", entry->eax_in, entry->ecx_in,
	        name, was, is, bits);
}

static int tell_entry(
        const struct abi_cpuid_entry *asked, const struct abi_cpuid_entry *answer, enum log_level level)
{
	const struct {
		const char *name;
		uint32_t was, is;
	} registers[] = {
	        {"EAX", asked->eax, answer->eax},
	        {"EBX", asked->ebx, answer->ebx},
	        {"ECX", asked->ecx, answer->ecx},
	        {"EDX", asked->edx, answer->edx},
	};
	int changed = 0;

	for (size_t i = 0; i < ARRAY_LEN(registers); i++) {
		if (registers[i].was == registers[i].is)
			continue;
		tell_register(asked, registers[i].name, registers[i].was, registers[i].is, level);
		changed++;
	}
	return changed;
}

int launch_cpuid_page_tell(
        const struct abi_cpuid_page *asked, const struct abi_cpuid_page *answer, enum log_level level)
{
	int changed = 0;

	if (answer->count != asked->count || asked->count > ABI_CPUID_PAGE_MAX)
		return -1;
	for (uint32_t i = 0; i < asked->count; i++) {
		if (!same_question(&asked->entries[i], &answer->entries[i]))
			return -1;
	}
	for (uint32_t i = 0; i < asked->count; i++)
		changed += tell_entry(&asked->entries[i], &answer->entries[i], level);
	return changed;
}

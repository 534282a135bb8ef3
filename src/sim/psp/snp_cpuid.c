/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snp_cpuid: checks a guest's CPUID page against the processor's own CPUID: the page may hide features, but
 * not invent them. Any thread. SNP ABI, "CPUID Reporting"; AMD's Processor Programming References (the
 * rules).
 */
#include <string.h>

#include "internal.h"

enum { EAX, EBX, ECX, EDX };

/*
 * How the bits in mask of a register compare with the processor's: FREE, they may have any value; SUBSET,
 * only bits that the processor has are set; EQUAL, they are the same; AT_MOST, their value as a number is no
 * higher.
 */
enum rule { FREE, SUBSET, EQUAL, AT_MOST };

#define ALL ~0u

/* If a leaf has a row here, its registers without a row are free. A leaf without any row must be zero. */
static const struct {
	uint32_t leaf, subleaf;
	uint8_t reg, rule;
	uint32_t mask;
} rules[] = {
        {0x00000000, 0, EAX, AT_MOST, ALL},
        {0x00000001, 0, EAX, AT_MOST, ALL},
        {0x00000001, 0, EBX, EQUAL, 0x0000ff00},  /* CLFLUSH */
        {0x00000001, 0, ECX, SUBSET, 0x77ffffff}, /* not OSXSAVE, hypervisor */
        {0x00000001, 0, EDX, SUBSET, ALL},
        {0x00000002, 0, EAX, FREE, 0},
        {0x00000004, 0, EAX, FREE, 0},
        {0x00000005, 0, EAX, FREE, 0},
        {0x00000006, 0, EAX, SUBSET, ALL},
        {0x00000006, 0, EBX, EQUAL, ALL},
        {0x00000006, 0, ECX, SUBSET, ALL},
        {0x00000006, 0, EDX, EQUAL, ALL},
        {0x00000007, 0, EAX, AT_MOST, ALL},
        {0x00000007, 0, EBX, SUBSET, ALL},
        {0x00000007, 0, ECX, SUBSET, ~(1u << 4)}, /* not OSPKE */
        {0x00000007, 0, EDX, SUBSET, ALL},
        {0x00000007, 1, EAX, SUBSET, ALL},
        {0x00000007, 1, EBX, EQUAL, ALL},
        {0x00000007, 1, ECX, EQUAL, ALL},
        {0x00000007, 1, EDX, EQUAL, ALL},
        {0x0000000b, 0, EAX, FREE, 0},
        {0x0000000b, 1, EAX, FREE, 0},
        {0x0000000b, 2, EAX, FREE, 0},
        {0x0000000d, 0, EAX, EQUAL, 0x00000003}, /* x87 and SSE; EBX: xsave_bytes() */
        {0x0000000d, 0, EAX, SUBSET, 0xfffffffc},
        {0x0000000d, 0, EDX, EQUAL, ALL},
        {0x0000000d, 1, EAX, SUBSET, ALL},
        {0x0000000d, 1, ECX, SUBSET, ALL},
        {0x0000000d, 1, EDX, SUBSET, ALL},
        {0x0000000d, 2, EAX, EQUAL, ALL},
        {0x0000000d, 2, EBX, EQUAL, ALL},
        {0x0000000d, 2, ECX, EQUAL, ALL},
        {0x0000000d, 2, EDX, EQUAL, ALL},
        {0x0000000d, 5, EAX, EQUAL, ALL},
        {0x0000000d, 5, EBX, EQUAL, ALL},
        {0x0000000d, 5, ECX, SUBSET, ALL},
        {0x0000000d, 5, EDX, EQUAL, ALL},
        {0x0000000d, 6, EAX, EQUAL, ALL},
        {0x0000000d, 6, EBX, EQUAL, ALL},
        {0x0000000d, 6, ECX, SUBSET, ALL},
        {0x0000000d, 6, EDX, EQUAL, ALL},
        {0x0000000d, 7, EAX, EQUAL, ALL},
        {0x0000000d, 7, EBX, EQUAL, ALL},
        {0x0000000d, 7, ECX, SUBSET, ALL},
        {0x0000000d, 7, EDX, EQUAL, ALL},
        {0x0000000d, 9, EAX, EQUAL, ALL},
        {0x0000000d, 9, EBX, EQUAL, ALL},
        {0x0000000d, 9, ECX, EQUAL, ALL},
        {0x0000000d, 9, EDX, EQUAL, ALL},
        {0x0000000d, 11, EAX, EQUAL, ALL},
        {0x0000000d, 11, EBX, EQUAL, ALL},
        {0x0000000d, 11, ECX, EQUAL, ALL},
        {0x0000000d, 11, EDX, EQUAL, ALL},
        {0x0000000d, 12, EAX, EQUAL, ALL},
        {0x0000000d, 12, EBX, EQUAL, ALL},
        {0x0000000d, 12, ECX, EQUAL, ALL},
        {0x0000000d, 12, EDX, EQUAL, ALL},
        {0x0000000f, 0, EAX, EQUAL, ALL},
        {0x0000000f, 0, ECX, EQUAL, ALL},
        {0x0000000f, 1, EAX, FREE, 0},
        {0x00000010, 0, EAX, EQUAL, ALL},
        {0x00000010, 0, ECX, EQUAL, ALL},
        {0x00000010, 0, EDX, EQUAL, ALL},
        {0x00000010, 1, EAX, FREE, 0},
        {0x80000000, 0, EAX, AT_MOST, ALL},
        {0x80000001, 0, EAX, AT_MOST, ALL},
        {0x80000001, 0, ECX, SUBSET, ALL},
        {0x80000001, 0, EDX, SUBSET, ALL},
        {0x80000002, 0, EAX, FREE, 0},
        {0x80000003, 0, EAX, FREE, 0},
        {0x80000004, 0, EAX, FREE, 0},
        {0x80000005, 0, EAX, FREE, 0},
        {0x80000006, 0, EAX, FREE, 0},
        {0x80000007, 0, EAX, EQUAL, ALL},
        {0x80000007, 0, EBX, SUBSET, ALL},
        {0x80000007, 0, EDX, SUBSET, ALL},
        {0x80000008, 0, EAX, AT_MOST, 0x000000ff}, /* physical address bits */
        {0x80000008, 0, EAX, AT_MOST, 0x0000ff00}, /* linear */
        {0x80000008, 0, EAX, AT_MOST, 0x00ff0000}, /* guest-physical */
        {0x80000008, 0, EBX, SUBSET, ALL},
        {0x80000008, 0, EDX, AT_MOST, 0x0000ffff}, /* pages of INVLPGB */
        {0x80000008, 0, EDX, AT_MOST, 0xffff0000}, /* registers of RDPRU */
        {0x8000000a, 0, ECX, EQUAL, ALL},
        {0x8000000a, 0, EDX, SUBSET, ALL},
        {0x80000019, 0, ECX, EQUAL, ALL},
        {0x80000019, 0, EDX, EQUAL, ALL},
        {0x8000001a, 0, EBX, EQUAL, ALL},
        {0x8000001a, 0, ECX, EQUAL, ALL},
        {0x8000001a, 0, EDX, EQUAL, ALL},
        {0x8000001b, 0, EAX, SUBSET, ALL},
        {0x8000001b, 0, EBX, EQUAL, ALL},
        {0x8000001b, 0, ECX, EQUAL, ALL},
        {0x8000001b, 0, EDX, EQUAL, ALL},
        {0x8000001d, 0, EAX, FREE, 0},
        {0x8000001d, 1, EAX, FREE, 0},
        {0x8000001d, 2, EAX, FREE, 0},
        {0x8000001d, 3, EAX, FREE, 0},
        {0x8000001d, 4, EBX, EQUAL, ALL},
        {0x8000001d, 4, EDX, EQUAL, ALL},
        {0x8000001e, 0, EAX, FREE, 0},
        {0x8000001f, 0, EAX, SUBSET, ALL},
        {0x8000001f, 0, EBX, EQUAL,
                0x0000003f}, /* the C-bit's position; the count of lost address bits is free */
        {0x8000001f, 0, EBX, AT_MOST, 0x0000f000}, /* VMPLs */
        {0x80000020, 0, EAX, EQUAL, ALL},
        {0x80000020, 0, ECX, EQUAL, ALL},
        {0x80000020, 0, EDX, EQUAL, ALL},
        {0x80000020, 1, EBX, EQUAL, ALL},
        {0x80000020, 1, ECX, EQUAL, ALL},
        {0x80000020, 2, EBX, EQUAL, ALL},
        {0x80000020, 2, ECX, EQUAL, ALL},
        {0x80000020, 3, EAX, EQUAL, ALL},
        {0x80000020, 3, ECX, SUBSET, ALL},
        {0x80000020, 3, EDX, EQUAL, ALL},
        {0x80000021, 0, EAX, SUBSET, ALL},
        {0x80000021, 0, ECX, EQUAL, ALL},
        {0x80000021, 0, EDX, EQUAL, ALL},
        {0x80000022, 0, EAX, SUBSET, ALL},
        {0x80000022, 0, EBX, AT_MOST, 0x0000000f}, /* counters of a core */
        {0x80000022, 0, EBX, AT_MOST, 0x000003f0}, /* entries of the branch record */
        {0x80000022, 0, EDX, EQUAL, ALL},
        {0x80000023, 0, EAX, SUBSET, ALL},
        {0x80000023, 0, ECX, EQUAL, ALL},
        {0x80000023, 0, EDX, EQUAL, ALL},
        {0x80000024, 0, EAX, AT_MOST, ALL},
        {0x80000024, 0, EBX, SUBSET, ALL},
        {0x80000024, 0, ECX, SUBSET, ALL},
        {0x80000024, 0, EDX, EQUAL, ALL},
        {0x80000024, 1, EAX, SUBSET, ALL},
        {0x80000024, 1, EBX, EQUAL, ALL},
        {0x80000024, 1, ECX, EQUAL, ALL},
        {0x80000024, 1, EDX, EQUAL, ALL},
        {0x80000026, 0, EAX, FREE, 0},
        {0x80000026, 1, EAX, FREE, 0},
        {0x80000026, 2, EAX, FREE, 0},
        {0x80000026, 3, EAX, FREE, 0},
};

static const struct abi_cpuid_entry *processor_entry(const struct psp *psp, uint32_t leaf, uint32_t subleaf)
{
	static const struct abi_cpuid_entry none;

	for (unsigned i = 0; i < psp->options.cpuid_count; i++) {
		if (psp->cpuid[i].eax_in == leaf && psp->cpuid[i].ecx_in == subleaf)
			return &psp->cpuid[i];
	}
	return &none;
}

static uint32_t corrected(enum rule rule, uint32_t mask, uint32_t value, uint32_t own)
{
	uint32_t part = value & mask, limit = own & mask;

	if (rule == EQUAL || (rule == AT_MOST && part > limit))
		part = limit;
	else if (rule == SUBSET)
		part &= limit;
	return (value & ~mask) | part;
}

/* Returns how many bytes XSAVE, or XSAVES in its compact form, needs for the enabled parts of the state. */
static uint32_t xsave_bytes(const struct psp *psp, const struct abi_cpuid_entry *entry)
{
	uint64_t enabled = entry->xcr0_in | (entry->ecx_in ? entry->xss_in : 0);
	uint32_t bytes = 0x240; /* legacy region and header, always there */

	for (uint32_t part = 2; part < 63; part++) {
		const struct abi_cpuid_entry *own = processor_entry(psp, 0xd, part);

		if (!(enabled & (1ull << part)))
			continue;
		if (entry->ecx_in)
			bytes = (own->ecx & 2 ? (bytes + 63) & ~63u : bytes) + own->eax;
		else if (own->ebx + own->eax > bytes)
			bytes = own->ebx + own->eax;
	}
	return bytes;
}

static void apply_rules(const struct psp *psp, const struct abi_cpuid_entry *entry, uint32_t regs[static 4])
{
	const struct abi_cpuid_entry *own = processor_entry(psp, entry->eax_in, entry->ecx_in);
	const uint32_t own_regs[] = {own->eax, own->ebx, own->ecx, own->edx};
	bool listed = false;

	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		uint8_t reg = rules[i].reg;

		if (rules[i].leaf != entry->eax_in || rules[i].subleaf != entry->ecx_in)
			continue;
		listed = true;
		regs[reg] = corrected(rules[i].rule, rules[i].mask, regs[reg], own_regs[reg]);
	}
	if (!listed)
		memset(regs, 0, 4 * sizeof(regs[0]));
	if (entry->eax_in == 0xd && entry->ecx_in <= 1)
		regs[EBX] = xsave_bytes(psp, entry);
}

/* Is the leaf one that the firmware judges? */
static bool is_judged(const struct abi_cpuid_entry *entry)
{
	uint32_t range = entry->eax_in & 0xffff0000u;

	return range == 0 || range == 0x80000000u;
}

/*
 * Corrects what breaks a rule. Returns whether there was anything to correct. Leaves of hypervisors are not
 * judged.
 */
static bool correct(const struct psp *psp, struct abi_cpuid_entry *entry)
{
	uint32_t regs[] = {entry->eax, entry->ebx, entry->ecx, entry->edx};
	const uint32_t before[] = {entry->eax, entry->ebx, entry->ecx, entry->edx};

	if (!is_judged(entry))
		return false;
	apply_rules(psp, entry, regs);
	entry->eax = regs[EAX];
	entry->ebx = regs[EBX];
	entry->ecx = regs[ECX];
	entry->edx = regs[EDX];
	return memcmp(regs, before, sizeof(regs)) != 0 || entry->reserved != 0;
}

uint32_t psp_snp_cpuid_check(const struct psp *psp, void *data)
{
	struct abi_cpuid_page page;
	bool bad = false;

	memcpy(&page, data, sizeof(page));
	if (page.reserved_04 || page.reserved_08 || page.count > ABI_CPUID_PAGE_MAX)
		return PSP_INVALID_PARAM;
	for (uint32_t i = 0; psp->options.cpuid_count && i < page.count; i++)
		bad |= correct(psp, &page.entries[i]);
	if (bad)
		memcpy(data, &page, sizeof(page));
	return bad ? PSP_INVALID_PARAM : PSP_SUCCESS;
}

/* ---- MSG_CPUID_REQ ---- */

uint32_t psp_answer_cpuid(struct psp *psp, const struct psp_question *question, void *ret_answer)
{
	struct abi_msg_cpuid_rsp head = {0};
	struct abi_cpuid_page page = {0};
	uint32_t code;

	memcpy(&page, question->payload, question->size);
	if (page.reserved_04 || page.reserved_08 || page.count > ABI_CPUID_PAGE_MAX ||
	        sizeof(head) + page.count * sizeof(page.entries[0]) > question->size)
		return PSP_INVALID_PARAM;
	code = psp_snp_cpuid_check(psp, &page);
	for (uint32_t i = 0; i < page.count; i++)
		head.count += is_judged(&page.entries[i]);
	memcpy(ret_answer, &head, sizeof(head));
	memcpy((uint8_t *)ret_answer + sizeof(head), page.entries, page.count * sizeof(page.entries[0]));
	return code;
}

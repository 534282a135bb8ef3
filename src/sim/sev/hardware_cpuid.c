/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hardware_cpuid: the CPUID values of the products with SEV-SNP. Their firmware judges a guest's CPUID page
 * by these values, whatever the software processor can do. The file has the leaves for which psp/snp_cpuid.c
 * has a rule; the values are those of published dumps of such processors. Any thread may call. Law: AMD's
 * Processor Programming References.
 */
#include "platform.h"

#define MILAN (1u << PRODUCT_MILAN)
#define GENOA (1u << PRODUCT_GENOA)
#define TURIN (1u << PRODUCT_TURIN)
#define ALL   (MILAN | GENOA | TURIN)

#define C_BIT_PLACE 0x3fu /* of leaf 0x8000001f, EBX */

/* clang-format off */
static const struct {
	unsigned products;
	struct abi_cpuid_entry entry; /* leaf, subleaf, XCR0 and XSS asked for, EAX, EBX, ECX, EDX, reserved */
} rows[] = {
        {ALL, {0x0, 0, 0, 0, 0, 0x68747541, 0x444d4163, 0x69746e65, 0}},
        {MILAN, {0x1, 0, 0, 0, 0, 0x800800, 0x7efa320b, 0x178bfbff, 0}},
        {GENOA, {0x1, 0, 0, 0, 0, 0xc00800, 0x7efa320b, 0x178bfbff, 0}},
        {TURIN, {0x1, 0, 0, 0, 0, 0x400800, 0x7efa320b, 0x178bfbff, 0}},
        {ALL, {0x6, 0, 0, 0, 0x4, 0, 0x1, 0, 0}},
        {MILAN, {0x7, 0, 0, 0, 0, 0x219c97a9, 0x40068c, 0x10, 0}},
        {GENOA, {0x7, 0, 0, 0, 0x1, 0xf1bf97a9, 0x415fce, 0x10000010, 0}},
        {TURIN, {0x7, 0, 0, 0, 0x1, 0xf1bf97ab, 0x19415fce, 0x10000110, 0}},
        {GENOA, {0x7, 1, 0, 0, 0x20, 0, 0, 0, 0}},
        {TURIN, {0x7, 1, 0, 0, 0x30, 0, 0, 0, 0}},
        {MILAN, {0xd, 0, 0, 0, 0x207, 0x340, 0x988, 0, 0}},
        {GENOA | TURIN, {0xd, 0, 0, 0, 0x2e7, 0x980, 0x988, 0, 0}},
        {MILAN, {0xd, 1, 0, 0, 0xf, 0x350, 0x1800, 0, 0}},
        {GENOA | TURIN, {0xd, 1, 0, 0, 0xf, 0x990, 0x1800, 0, 0}},
        {ALL, {0xd, 2, 0, 0, 0x100, 0x240, 0, 0, 0}},
        {GENOA | TURIN, {0xd, 5, 0, 0, 0x40, 0x340, 0, 0, 0}},
        {GENOA | TURIN, {0xd, 6, 0, 0, 0x200, 0x380, 0, 0, 0}},
        {GENOA | TURIN, {0xd, 7, 0, 0, 0x400, 0x580, 0, 0, 0}},
        {ALL, {0xd, 9, 0, 0, 0x8, 0x980, 0, 0, 0}},
        {ALL, {0xd, 11, 0, 0, 0x10, 0, 0x1, 0, 0}},
        {ALL, {0xd, 12, 0, 0, 0x18, 0, 0x1, 0, 0}},
        {MILAN | GENOA, {0xf, 0, 0, 0, 0, 0xff, 0, 0x2, 0}},
        {TURIN, {0xf, 0, 0, 0, 0, 0xfff, 0, 0x2, 0}},
        {ALL, {0x10, 0, 0, 0, 0, 0x2, 0, 0, 0}},
        {ALL, {0x80000000, 0, 0, 0, 0, 0x68747541, 0x444d4163, 0x69746e65, 0}},
        {ALL, {0x80000001, 0, 0, 0, 0, 0x40000000, 0x75c237ff, 0x2fd3fbff, 0}},
        {ALL, {0x80000007, 0, 0, 0, 0, 0x3b, 0, 0x6799, 0}},
        {MILAN, {0x80000008, 0, 0, 0, 0x3030, 0x91bef75f, 0x707f, 0x10007, 0}},
        {GENOA, {0x80000008, 0, 0, 0, 0x3934, 0x79bef25f, 0x80bf, 0x10007, 0}},
        {TURIN, {0x80000008, 0, 0, 0, 0x3934, 0x79bef25f, 0x703f, 0x10007, 0}},
        {MILAN, {0x8000000a, 0, 0, 0, 0x1, 0x8000, 0, 0x119b9cff, 0}},
        {GENOA, {0x8000000a, 0, 0, 0, 0x1, 0x8000, 0, 0x1fbfbcff, 0}},
        {TURIN, {0x8000000a, 0, 0, 0, 0x1, 0x8000, 0, 0xffbfbdff, 0}},
        {MILAN, {0x80000019, 0, 0, 0, 0xf040f040, 0xf0400000, 0, 0, 0}},
        {GENOA, {0x80000019, 0, 0, 0, 0xf048f040, 0xf0400000, 0, 0, 0}},
        {TURIN, {0x80000019, 0, 0, 0, 0xf060f040, 0x40200000, 0, 0, 0}},
        {MILAN | GENOA, {0x8000001a, 0, 0, 0, 0x6, 0, 0, 0, 0}},
        {TURIN, {0x8000001a, 0, 0, 0, 0xa, 0, 0, 0, 0}},
        {MILAN, {0x8000001b, 0, 0, 0, 0x3ff, 0, 0, 0, 0}},
        {GENOA, {0x8000001b, 0, 0, 0, 0xbff, 0, 0, 0, 0}},
        {TURIN, {0x8000001b, 0, 0, 0, 0x81bff, 0, 0, 0, 0}},
        {MILAN, {0x8000001f, 0, 0, 0, 0x1fc3f, 0x4173, 0x1fd, 0x1, 0}},
        {GENOA, {0x8000001f, 0, 0, 0, 0x30ffffb, 0x41b3, 0x3ee, 0x1, 0}},
        {TURIN, {0x8000001f, 0, 0, 0, 0xcffffffb, 0x41b3, 0x3ee, 0x1, 0}},
        {MILAN, {0x80000020, 0, 0, 0, 0, 0x2, 0, 0, 0}},
        {GENOA, {0x80000020, 0, 0, 0, 0, 0x1e, 0, 0, 0}},
        {TURIN, {0x80000020, 0, 0, 0, 0, 0x7e, 0, 0, 0}},
        {GENOA, {0x80000020, 1, 0, 0, 0xb, 0, 0, 0xf, 0}},
        {TURIN, {0x80000020, 1, 0, 0, 0xc, 0, 0, 0xf, 0}},
        {GENOA, {0x80000020, 2, 0, 0, 0xb, 0, 0, 0xf, 0}},
        {TURIN, {0x80000020, 2, 0, 0, 0xc, 0, 0, 0xf, 0}},
        {GENOA | TURIN, {0x80000020, 3, 0, 0, 0, 0x2, 0x7f, 0, 0}},
        {MILAN, {0x80000021, 0, 0, 0, 0x204d, 0, 0, 0, 0}},
        {GENOA, {0x80000021, 0, 0, 0, 0x62fcf, 0x15c, 0, 0, 0}},
        {TURIN, {0x80000021, 0, 0, 0, 0xd93fffcf, 0x80382, 0, 0, 0}},
        {GENOA | TURIN, {0x80000022, 0, 0, 0, 0x7, 0x304106, 0xfff, 0, 0}},
        {GENOA | TURIN, {0x80000023, 0, 0, 0, 0x1, 0x3f, 0, 0, 0}},
};
/* clang-format on */

/*
 * Completes an entry with values from the table of products, and with the place of the C-bit, which the
 * configuration chooses.
 */
static void complete(const struct sev_platform *secure, struct abi_cpuid_entry *e)
{
	switch (e->eax_in) {
	case 0x0: e->eax = secure->product->cpuid_max; break;
	case 0x1:
	case 0x80000001: e->eax = secure->product->signature; break;
	case 0x80000000: e->eax = secure->product->cpuid_max_ext; break;
	case 0x8000001f: e->ebx = (e->ebx & ~C_BIT_PLACE) | secure->c_bit; break;
	}
}

bool sev_hardware_has(const struct sev_platform *secure, uint32_t feature)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].products & 1u << secure->product->id && rows[i].entry.eax_in == 0x8000001f)
			return rows[i].entry.eax & feature;
	return false;
}

unsigned sev_hardware_cpuid(
        const struct sev_platform *secure, struct abi_cpuid_entry entries[static PSP_CPUID_MAX])
{
	unsigned count = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct abi_cpuid_entry *e = &entries[count];

		if (!(rows[i].products & 1u << secure->product->id))
			continue;
		*e = rows[i].entry;
		complete(secure, e);
		count++;
	}
	return count;
}

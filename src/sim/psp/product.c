/*
 * product: the processors that the secure processor can be part of. Any thread.
 * CPUID signatures and TCB_VERSION: SNP ABI, chapter 2; AMD 57230.
 */
#include <string.h>

#include "internal.h"

/* name, CPUID.1.EAX, SNP, FMC, bits of the authorities' keys, name in a VCEK, steps to their primes */
static const struct psp_product products[] = {
        {"Naples", 0x800f12, false, false, 2048, NULL, {499, 158, 672, 433}},
        {"Rome", 0x830f10, false, false, 4096, NULL, {325, 1042, 341, 498}},
        {"Milan", 0xa00f11, true, false, 4096, "Milan-B0", {888, 2131, 98, 2744, 325, 41}},
        {"Genoa", 0xa10f11, true, false, 4096, "Genoa", {62, 419, 464, 2815, 46, 1050}},
        {"Turin", 0xb00f21, true, true, 4096, "Turin", {205, 227, 558, 1840, 788, 329}},
};

/*
 * What the reports of a product's firmware look like, from that build on: their version and the mitigation
 * vector of version 5. From genuine reports, whose chains end at AMD's roots; no document of AMD's tells
 * which build brought which version. The builds seen are Milan 1.49.3 to 1.55.20, .29, .35; Genoa 1.55.39,
 * .40, .43, .49; Turin 1.55.61, .65, 1.58.3. A build between two of them is taken for the older one, an older
 * build than all of them for the first row: of Turin no report below version 5 was seen, of Genoa some of
 * version 2.
 */
static const struct {
	const char *product;
	uint8_t major, minor, build;
	struct psp_product_report report;
} reports[] = {
        {"Milan", 0, 0, 0, {2, 0}},
        {"Milan", 1, 55, 29, {3, 0}},
        {"Milan", 1, 55, 35, {5, 0x0b}},
        {"Genoa", 0, 0, 0, {2, 0}},
        {"Genoa", 1, 55, 39, {3, 0}},
        {"Genoa", 1, 55, 43, {5, 0x01}},
        {"Genoa", 1, 55, 49, {5, 0x0b}},
        {"Turin", 0, 0, 0, {5, 0}},
        {"Turin", 1, 55, 65, {5, 0x3f}},
};

static unsigned version_rank(uint8_t major, uint8_t minor, uint8_t build)
{
	return (unsigned)major << 16 | (unsigned)minor << 8 | build;
}

struct psp_product_report psp_product_report(
        const struct psp_product *product, uint8_t major, uint8_t minor, uint8_t build)
{
	unsigned firmware = version_rank(major, minor, build);
	struct psp_product_report found = {0};

	for (size_t i = 0; i < ARRAY_LEN(reports); i++) {
		if (strcmp(reports[i].product, product->name) == 0 &&
		        version_rank(reports[i].major, reports[i].minor, reports[i].build) <= firmware)
			found = reports[i].report;
	}
	return found;
}

const struct psp_product *psp_product_find(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_LEN(products); i++) {
		if (strcmp(products[i].name, name) == 0)
			return &products[i];
	}
	return NULL;
}

uint32_t psp_product_signature(const char *name)
{
	const struct psp_product *product = psp_product_find(name);

	return product ? product->signature : 0;
}

const struct psp_product *psp_product_nth(unsigned n)
{
	return n < ARRAY_LEN(products) ? &products[n] : NULL;
}

bool psp_product_tcb_covers(uint64_t tcb, uint64_t wanted)
{
	for (unsigned shift = 0; shift < 64; shift += 8) {
		if ((uint8_t)(wanted >> shift) > (uint8_t)(tcb >> shift))
			return false;
	}
	return true;
}

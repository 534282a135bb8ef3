/* SPDX-License-Identifier: Apache-2.0 */
/*
 * product: what only the secure processor knows of a product: its reports' form, and the simulated roots'
 * primes, serial numbers and dates. Any thread.
 */
#include "internal.h"

/*
 * How many steps a search goes from its start to p and q of ARK, ASK and ASVK, see rsa.c; without SNP there
 * is no ASVK.
 */
static const uint32_t prime_steps[PRODUCT_IDS][6] = {
        [PRODUCT_NAPLES] = {499, 158, 672, 433},
        [PRODUCT_ROME] = {325, 1042, 341, 498},
        [PRODUCT_MILAN] = {888, 2131, 98, 2744, 325, 41},
        [PRODUCT_GENOA] = {62, 419, 464, 2815, 46, 1050},
        [PRODUCT_TURIN] = {205, 227, 558, 1840, 788, 329},
};

uint32_t psp_product_prime_steps(const struct product *product, unsigned which)
{
	return prime_steps[product->id][which];
}

/* ARK, ASK and ASVK have the serial numbers and dates of AMD's, which are valid for 25 years. */
static const struct psp_product_issue issues[PRODUCT_IDS][3] = {
        [PRODUCT_MILAN] = {{0x010000, "201022172305Z", "451022172305Z"},
                {0x010001, "201022182420Z", "451022182420Z"}, {0x010101, "221116224524Z", "471116224524Z"}},
        [PRODUCT_GENOA] = {{0x020000, "220126153437Z", "470126153437Z"},
                {0x020002, "221031133348Z", "471031133348Z"}, {0x020101, "221118204834Z", "471118204834Z"}},
        [PRODUCT_TURIN] = {{0x030000, "230515200312Z", "480515200312Z"},
                {0x030001, "230515202521Z", "480515202521Z"}, {0x030101, "230515210941Z", "480515210941Z"}},
};

const struct psp_product_issue *psp_product_issue(const struct product *product, unsigned role)
{
	return &issues[product->id][role];
}

/*
 * The form of the reports that a product's firmware makes from this build on: their version, and the
 * mitigation vector of version 5. The values come from genuine reports, whose chains end at AMD's roots; no
 * document of AMD's says which build brought which version. The builds seen are Milan 1.49.3 to 1.55.20, .29,
 * .35; Genoa 1.55.39, .40, .43, .49; Turin 1.55.61, .65, 1.58.3. A build between two of them has the form of
 * the older one, a build older than all of them that of the first row: no report of Turin below version 5 was
 * seen, and some of Genoa with version 2.
 */
static const struct {
	enum product_id product;
	uint8_t major, minor, build;
	struct psp_product_report report;
} reports[] = {
        {PRODUCT_MILAN, 0, 0, 0, {2, 0}},
        {PRODUCT_MILAN, 1, 55, 29, {3, 0}},
        {PRODUCT_MILAN, 1, 55, 35, {5, 0x0b}},
        {PRODUCT_GENOA, 0, 0, 0, {2, 0}},
        {PRODUCT_GENOA, 1, 55, 39, {3, 0}},
        {PRODUCT_GENOA, 1, 55, 43, {5, 0x01}},
        {PRODUCT_GENOA, 1, 55, 49, {5, 0x0b}},
        {PRODUCT_TURIN, 0, 0, 0, {5, 0}},
        {PRODUCT_TURIN, 1, 55, 65, {5, 0x3f}},
};

static unsigned version_rank(uint8_t major, uint8_t minor, uint8_t build)
{
	return (unsigned)major << 16 | (unsigned)minor << 8 | build;
}

struct psp_product_report psp_product_report(
        const struct product *product, uint8_t major, uint8_t minor, uint8_t build)
{
	unsigned firmware = version_rank(major, minor, build);
	struct psp_product_report found = {0};

	for (size_t i = 0; i < ARRAY_LEN(reports); i++) {
		if (reports[i].product == product->id &&
		        version_rank(reports[i].major, reports[i].minor, reports[i].build) <= firmware)
			found = reports[i].report;
	}
	return found;
}

bool psp_product_tcb_covers(uint64_t tcb, uint64_t wanted)
{
	for (unsigned shift = 0; shift < 64; shift += 8) {
		if ((uint8_t)(wanted >> shift) > (uint8_t)(tcb >> shift))
			return false;
	}
	return true;
}

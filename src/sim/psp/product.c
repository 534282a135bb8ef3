/*
 * product: the processors that the secure processor can be part of. Any thread.
 * CPUID signatures and TCB_VERSION: SNP ABI, chapter 2; AMD 57230.
 */
#include <string.h>

#include "internal.h"

static const struct product products[] = {
        {.name = "Naples", .signature = 0x800f12, .root_bits = 2048, .prime_steps = {499, 158, 672, 433}},
        {.name = "Rome", .signature = 0x830f10, .root_bits = 4096, .prime_steps = {325, 1042, 341, 498}},
        {.name = "Milan",
                .signature = 0xa00f11,
                .snp = true,
                .root_bits = 4096,
                .cert_name = "Milan-B0",
                .prime_steps = {888, 2131, 98, 2744}},
        {.name = "Genoa",
                .signature = 0xa10f11,
                .snp = true,
                .root_bits = 4096,
                .cert_name = "Genoa",
                .prime_steps = {62, 419, 464, 2815}},
        {.name = "Turin",
                .signature = 0xb00f21,
                .snp = true,
                .root_bits = 4096,
                .cert_name = "Turin",
                .fmc = true,
                .prime_steps = {205, 227, 558, 1840}},
};

const struct product *product_find(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_LEN(products); i++) {
		if (strcmp(products[i].name, name) == 0)
			return &products[i];
	}
	return NULL;
}

const struct product *product_nth(unsigned n)
{
	return n < ARRAY_LEN(products) ? &products[n] : NULL;
}

bool product_tcb_covers(uint64_t tcb, uint64_t wanted)
{
	for (unsigned shift = 0; shift < 64; shift += 8) {
		if ((uint8_t)(wanted >> shift) > (uint8_t)(tcb >> shift))
			return false;
	}
	return true;
}

/*
 * product: the processors that the secure processor can be part of. Any thread.
 * CPUID signatures and TCB_VERSION: SNP ABI, chapter 2; AMD 57230.
 */
#include <string.h>

#include "internal.h"

/* name, CPUID.1.EAX, SNP, FMC, bits of ARK and ASK, name in certificates, steps to their primes */
static const struct product products[] = {
        {"Naples", 0x800f12, false, false, 2048, NULL, {499, 158, 672, 433}},
        {"Rome", 0x830f10, false, false, 4096, NULL, {325, 1042, 341, 498}},
        {"Milan", 0xa00f11, true, false, 4096, "Milan-B0", {888, 2131, 98, 2744}},
        {"Genoa", 0xa10f11, true, false, 4096, "Genoa", {62, 419, 464, 2815}},
        {"Turin", 0xb00f21, true, true, 4096, "Turin", {205, 227, 558, 1840}},
};

const struct product *product_find(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_LEN(products); i++) {
		if (strcmp(products[i].name, name) == 0)
			return &products[i];
	}
	return NULL;
}

uint32_t psp_product_signature(const char *name)
{
	const struct product *product = product_find(name);

	return product ? product->signature : 0;
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

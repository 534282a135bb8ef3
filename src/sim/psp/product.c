/*
 * product: the processors that the secure processor can be part of. Any thread.
 * CPUID signatures and TCB_VERSION: SNP ABI, chapter 2; AMD 57230.
 */
#include <string.h>

#include "internal.h"

/* AES-256-XTS and CXL memory need Genoa's memory controllers, hiding of ciphertext Turin's. */
#define LACKS_MILAN ((1ull << 21) | (1ull << 22) | (1ull << 24))
#define LACKS_GENOA (1ull << 24)

static const struct product products[] = {
        {.name = "Naples", .signature = 0x800f12, .root_bits = 2048},
        {.name = "Rome", .signature = 0x830f10, .root_bits = 4096},
        {.name = "Milan",
                .signature = 0xa00f11,
                .snp = true,
                .root_bits = 4096,
                .cert_name = "Milan-B0",
                .policy_lacks = LACKS_MILAN},
        {.name = "Genoa",
                .signature = 0xa10f11,
                .snp = true,
                .root_bits = 4096,
                .cert_name = "Genoa-B1",
                .policy_lacks = LACKS_GENOA},
        {.name = "Turin",
                .signature = 0xb00f21,
                .snp = true,
                .root_bits = 4096,
                .cert_name = "Turin-C1",
                .fmc = true},
};

const struct product *product_find(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_LEN(products); i++) {
		if (strcmp(products[i].name, name) == 0)
			return &products[i];
	}
	return NULL;
}

bool product_tcb_covers(uint64_t tcb, uint64_t wanted)
{
	for (unsigned shift = 0; shift < 64; shift += 8) {
		if ((uint8_t)(wanted >> shift) > (uint8_t)(tcb >> shift))
			return false;
	}
	return true;
}

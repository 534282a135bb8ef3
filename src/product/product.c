/* SPDX-License-Identifier: Apache-2.0 */
/*
 * product: the table of AMD's processors with SEV. Any thread; constant.
 * Names, models and TCB_VERSION: AMD 57230, SNP ABI (chapter 2), the processors' own manuals.
 */
#include <string.h>

#include "vmm/abi/vmsa.h"
#include "vmm/product.h"

#define CHIP_ID_BYTES     64
#define CHIP_ID_BYTES_FMC 8

#define FEATURES_TSC (ABI_FEATURE_DEBUG_SWAP | ABI_FEATURE_SECURE_TSC)

/*
 * A genuine report of a product with SEV-SNP has this firmware and this TCB together. The firmware of the
 * other products is that of Debian's package amd64-microcode. The maxima of CPUID are those of published
 * dumps.
 */
static const struct product products[PRODUCT_IDS] = {
        [PRODUCT_UNKNOWN] = {.id = PRODUCT_UNKNOWN, .name = "unknown", .c_bit = 51},
        [PRODUCT_NAPLES] =
                {
                        .id = PRODUCT_NAPLES,
                        .name = "Naples",
                        .c_bit = 47,
                        .models = {{0x17, 0x01, 0x01}},
                        .root_bits = 2048,
                        .signature = 0x800f12,
                        .firmware = {0, 17, 48},
                },
        [PRODUCT_ROME] =
                {
                        .id = PRODUCT_ROME,
                        .name = "Rome",
                        .c_bit = 47,
                        .models = {{0x17, 0x31, 0x31}},
                        .es = true,
                        .root_bits = 4096,
                        .signature = 0x830f10,
                        .firmware = {0, 24, 20},
                },
        [PRODUCT_MILAN] =
                {
                        .id = PRODUCT_MILAN,
                        .name = "Milan",
                        .c_bit = 51,
                        .vcek_name = "Milan-B0",
                        .models = {{0x19, 0x00, 0x0f}},
                        .es = true,
                        .snp = true,
                        .silent_reports = true,
                        .root_bits = 4096,
                        .signature = 0xa00f11,
                        .cpuid_max = 0x10,
                        .cpuid_max_ext = 0x80000023,
                        .vmsa_features = ABI_FEATURE_DEBUG_SWAP,
                        .firmware = {1, 55, 29},
                        .tcb = 0xdb18000000000004,
                },
        [PRODUCT_GENOA] =
                {
                        .id = PRODUCT_GENOA,
                        .name = "Genoa",
                        .c_bit = 51,
                        .vcek_name = "Genoa",
                        .models = {{0x19, 0x10, 0x1f}, {0x19, 0xa0, 0xaf}},
                        .es = true,
                        .snp = true,
                        .silent_reports = true,
                        .root_bits = 4096,
                        .signature = 0xa10f11,
                        .cpuid_max = 0x10,
                        .cpuid_max_ext = 0x80000028,
                        .vmsa_features = FEATURES_TSC,
                        .firmware = {1, 55, 39},
                        .tcb = 0x4817000000000009,
                },
        [PRODUCT_TURIN] =
                {
                        .id = PRODUCT_TURIN,
                        .name = "Turin",
                        .c_bit = 51,
                        .vcek_name = "Turin",
                        .models = {{0x1a, 0x00, 0x11}},
                        .es = true,
                        .snp = true,
                        .ciphertext_hiding = true,
                        .silent_reports = true,
                        .tcb_layout = PRODUCT_TCB_FMC,
                        .root_bits = 4096,
                        .signature = 0xb00f21,
                        .cpuid_max = 0x10,
                        .cpuid_max_ext = 0x80000028,
                        .vmsa_features = FEATURES_TSC,
                        .firmware = {1, 55, 65},
                        .tcb = 0x5100000004010101,
                },
        [PRODUCT_VENICE] =
                {
                        .id = PRODUCT_VENICE,
                        .name = "Venice",
                        .c_bit = 51,
                        .models = {{0x1a, 0x50, 0x57}, {0x1a, 0x90, 0xaf}, {0x1a, 0xc0, 0xc7}},
                        .es = true,
                        .snp = true,
                        .ciphertext_hiding = true,
                        .tcb_layout = PRODUCT_TCB_FMC,
                },
};

/* The names again, because the keys of the configuration are constant and take their words from here. */
const char *const product_words[] = {"none", "Naples", "Rome", "Milan", "Genoa", "Turin", NULL};

const struct product *product_get(enum product_id id)
{
	return &products[id];
}

const struct product *product_find(const char *name)
{
	for (int id = PRODUCT_UNKNOWN + 1; name && id < PRODUCT_IDS; id++) {
		if (strcmp(products[id].name, name) == 0)
			return &products[id];
	}
	return NULL;
}

static bool has_model(const struct product *product, unsigned family, unsigned model)
{
	for (size_t i = 0; i < sizeof(product->models) / sizeof(product->models[0]); i++) {
		const struct product_models *models = &product->models[i];

		if (models->family && models->family == family && model >= models->first &&
		        model <= models->last)
			return true;
	}
	return false;
}

enum product_id product_by_model(unsigned family, unsigned model)
{
	for (int id = PRODUCT_UNKNOWN + 1; id < PRODUCT_IDS; id++) {
		if (has_model(&products[id], family, model))
			return (enum product_id)id;
	}
	return PRODUCT_UNKNOWN;
}

enum product_id product_by_signature(uint32_t signature)
{
	return product_by_model(product_family(signature), product_model(signature));
}

unsigned product_family(uint32_t signature)
{
	return (signature >> 8 & 0xf) + (signature >> 20 & 0xff);
}

unsigned product_model(uint32_t signature)
{
	return (signature >> 4 & 0xf) | (signature >> 12 & 0xf0);
}

unsigned product_stepping(uint32_t signature)
{
	return signature & 0xf;
}

size_t product_chip_id_bytes(enum product_tcb_layout layout)
{
	return layout == PRODUCT_TCB_FMC ? CHIP_ID_BYTES_FMC : CHIP_ID_BYTES;
}

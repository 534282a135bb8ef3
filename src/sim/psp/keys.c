/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys: derives every secret of the secure processor from the seed, so that a platform is the same at every
 * start: the chip's own key, the owner's keys, and what a real processor would draw at random. The caller
 * holds the lock of the secure processor.
 */
#include <string.h>

#include "internal.h"

static bool derive(
        const uint8_t root[static SHA384_BYTES], const char *label, uint64_t index, uint8_t *ret, size_t size)
{
	uint8_t counter[4], number[8], block[SHA384_BYTES];
	const struct psp_mac_part parts[] = {
	        {counter, sizeof(counter)}, {label, strlen(label) + 1}, {number, sizeof(number)}};
	bool good = true;

	store_le(number, sizeof(number), index);
	for (uint32_t i = 1; good && size; i++) {
		size_t part = size < sizeof(block) ? size : sizeof(block);

		store_le(counter, sizeof(counter), i);
		good = psp_mac_of(MAC_SHA384, root, SHA384_BYTES, parts, ARRAY_LEN(parts), block);
		if (good)
			memcpy(ret, block, part);
		ret += part;
		size -= part;
	}
	crypto_wipe(block, sizeof(block));
	return good;
}

bool psp_keys_derive(struct psp *psp, const char *label, uint64_t index, void *ret, size_t size)
{
	return derive(psp->root, label, index, ret, size);
}

/*
 * One in 2^194 numbers of 384 bits is not a valid scalar. The function then fails, as if OpenSSL had failed.
 */
bool psp_keys_derive_ec(struct psp *psp, const char *label, uint64_t index, struct psp_ec_key *ret_key)
{
	uint8_t scalar[EC_BYTES];
	bool good = psp_keys_derive(psp, label, index, scalar, sizeof(scalar)) &&
	            psp_ec_key_make(scalar, ret_key);

	crypto_wipe(scalar, sizeof(scalar));
	return good;
}

bool psp_keys_random(struct psp *psp, void *ret, size_t size)
{
	return psp_keys_derive(psp, "random", psp->drawn++, ret, size);
}

bool psp_keys_public(const char *label, uint64_t index, void *ret, size_t size)
{
	static const uint8_t nothing[SHA384_BYTES];

	return derive(nothing, label, index, ret, size);
}

bool psp_keys_vcek(struct psp *psp, struct psp_ec_key *ret_key)
{
	return psp_keys_derive_ec(psp, "vcek", psp->reported_tcb, ret_key);
}

bool psp_keys_of_chip(struct psp *psp)
{
	static const char salt[] = "vmm: a simulated secure processor";
	struct psp_chip chip = {0};
	uint8_t seed[8];
	const struct psp_mac_part parts[] = {
	        {seed, sizeof(seed)}, {psp->product->name, strlen(psp->product->name)}};
	bool good;

	if (psp->has_keys)
		return true;
	store_le(seed, sizeof(seed), psp->options.seed);
	good = crypto_load(NULL) == 0 &&
	       psp_mac_of(MAC_SHA384, salt, sizeof(salt), parts, ARRAY_LEN(parts), psp->root) &&
	       psp_keys_derive(psp, "chip-id", 0, chip.id, product_chip_id_bytes(psp->product->tcb_layout)) &&
	       psp_keys_derive_ec(psp, "cek", 0, &chip.cek);
	if (good) {
		psp->chip = chip;
		psp->has_keys = true;
	}
	crypto_wipe(&chip, sizeof(chip));
	return good;
}

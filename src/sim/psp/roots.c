/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roots: writes ARK and ASK in AMD's binary format, and signs with the ASK. Any thread. SEV API, appendix
 * B.1.
 */
#include <string.h>

#include "roots.h"

static void reverse(uint8_t *to, const uint8_t *from, size_t size)
{
	for (size_t i = 0; i < size; i++)
		to[i] = from[size - 1 - i];
}

static size_t cert_bytes(const struct product *product)
{
	return sizeof(struct abi_amd_cert) + 3 * (product->root_bits / 8);
}

static void key_id(const struct psp_rsa_public *public, uint8_t ret_id[static 16])
{
	uint8_t digest[SHA256_BYTES];

	hash_sha256(public->modulus, public->bytes, digest);
	memcpy(ret_id, digest, 16);
}

/* The ARK signs both certificates. */
static bool put(const struct product *product, enum psp_rsa_role role, uint8_t *ret)
{
	struct abi_amd_cert head = {
	        .version = 1,
	        .usage = role == RSA_ARK ? ABI_SEV_USAGE_ARK : ABI_SEV_USAGE_ASK,
	        .exponent_bits = product->root_bits,
	        .modulus_bits = product->root_bits,
	};
	uint8_t *exponent = ret + sizeof(head), signature[RSA_BYTES_MAX];
	struct psp_rsa_public own, ark;
	size_t bytes = product->root_bits / 8;

	if (!psp_rsa_public(product, role, &own) || !psp_rsa_public(product, RSA_ARK, &ark))
		return false;
	key_id(&own, head.key_id);
	key_id(&ark, head.certifying_id);
	memcpy(ret, &head, sizeof(head));
	memset(exponent, 0, bytes);
	store_le(exponent, 4, RSA_EXPONENT);
	reverse(exponent + bytes, own.modulus, bytes);
	if (!psp_rsa_sign(product, RSA_ARK, ret, sizeof(head) + 2 * bytes, signature))
		return false;
	reverse(exponent + 2 * bytes, signature, bytes);
	return true;
}

bool psp_roots_put(const struct product *product, uint8_t ret_data[static ROOTS_BYTES_MAX], size_t *ret_size)
{
	*ret_size = 2 * cert_bytes(product);
	return put(product, RSA_ASK, ret_data) && put(product, RSA_ARK, ret_data + cert_bytes(product));
}

static uint32_t algo_of(const struct product *product)
{
	return product->root_bits == 2048 ? ABI_SEV_ALGO_RSA_SHA256 : ABI_SEV_ALGO_RSA_SHA384;
}

bool psp_roots_sign_cek(const struct product *product, struct abi_sev_cert *cek)
{
	struct abi_sev_signature *sig = &cek->sig[0];
	uint8_t signature[RSA_BYTES_MAX];

	if (!psp_rsa_sign(product, RSA_ASK, cek, ABI_SEV_CERT_SIGNED_BYTES, signature))
		return false;
	*sig = (struct abi_sev_signature){.usage = ABI_SEV_USAGE_ASK, .algo = algo_of(product)};
	reverse(sig->rsa, signature, product->root_bits / 8);
	return true;
}

/*
 * The simulation's certificates of a product never differ, so they are compared as bytes instead of parsed.
 */
static const struct product *product_of(const void *amd, size_t size)
{
	uint8_t own[ROOTS_BYTES_MAX];
	size_t own_size;

	for (int id = PRODUCT_UNKNOWN + 1; id < PRODUCT_IDS; id++) {
		const struct product *product = product_get((enum product_id)id);

		if (product->signature && size == 2 * cert_bytes(product) &&
		        psp_roots_put(product, own, &own_size) && memcmp(amd, own, own_size) == 0)
			return product;
	}
	return NULL;
}

bool psp_roots_signed(const void *amd, size_t size, const struct abi_sev_cert *cek)
{
	const struct product *product = amd ? product_of(amd, size) : NULL;
	const struct abi_sev_signature *sig = &cek->sig[0];
	uint8_t signature[RSA_BYTES_MAX];
	struct psp_rsa_public ask;

	if (!product || sig->usage != ABI_SEV_USAGE_ASK || sig->algo != algo_of(product) ||
	        !psp_rsa_public(product, RSA_ASK, &ask))
		return false;
	reverse(signature, sig->rsa, ask.bytes);
	return psp_rsa_verify(&ask, cek, ABI_SEV_CERT_SIGNED_BYTES, signature);
}

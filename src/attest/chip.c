/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chip: reads AMD's extensions in certificates of chip keys, and knows AMD's root keys. Any thread. AMD 57230
 * (VCEK certificate and KDS interface): extensions below 1.3.6.1.4.1.3704.1.
 */
#include <ctype.h>
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/objects.h>

#include "cert.h"

#define OID_AMD "1.3.6.1.4.1.3704.1."

static const char *const tcb_oids[ATTEST_TCB_PARTS] = {
        [ATTEST_TCB_FMC] = OID_AMD "3.9",
        [ATTEST_TCB_BOOTLOADER] = OID_AMD "3.1",
        [ATTEST_TCB_TEE] = OID_AMD "3.2",
        [ATTEST_TCB_SNP] = OID_AMD "3.3",
        [ATTEST_TCB_MICROCODE] = OID_AMD "3.8",
};

/* Finds the bytes of an extension. Returns 1, 0 if it is absent, -1 if it is there twice. */
static int extension(X509 *x509, const char *oid, const uint8_t **ret_data, size_t *ret_size)
{
	ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
	int at, again;

	if (!object)
		return -1;
	at = X509_get_ext_by_OBJ(x509, object, -1);
	again = at < 0 ? -1 : X509_get_ext_by_OBJ(x509, object, at);
	ASN1_OBJECT_free(object);
	if (at < 0 || again >= 0)
		return at < 0 ? 0 : -1;
	const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(X509_get_ext(x509, at));
	*ret_data = ASN1_STRING_get0_data(value);
	*ret_size = (size_t)ASN1_STRING_length(value);
	return 1;
}

/*
 * Returns the value of a DER INTEGER of 0 to 255; -1 if the extension holds something else, -2 if it is
 * absent.
 */
static int level(X509 *x509, const char *oid)
{
	const uint8_t *d;
	size_t size;
	int found = extension(x509, oid, &d, &size);

	if (found == 0)
		return -2;
	if (found == 1 && size == 3 && d[0] == V_ASN1_INTEGER && d[1] == 1 && d[2] < 0x80)
		return d[2];
	if (found == 1 && size == 4 && d[0] == V_ASN1_INTEGER && d[1] == 2 && d[2] == 0 && d[3] >= 0x80)
		return d[3];
	return -1;
}

/* Copies an IA5String to text. Returns false if it is absent, empty, too long or not printable. */
static bool string(X509 *x509, const char *oid, char *text, size_t max)
{
	const uint8_t *d;
	size_t size;

	if (extension(x509, oid, &d, &size) != 1 || size < 3 || d[0] != V_ASN1_IA5STRING ||
	        d[1] != size - 2 || size - 2 >= max)
		return false;
	for (size_t i = 2; i < size; i++) {
		if (!isascii(d[i]) || !isprint(d[i]))
			return false;
	}
	memcpy(text, d + 2, size - 2);
	text[size - 2] = '\0';
	return true;
}

/* VCEKs may name the stepping, too: "Milan-B0". */
static enum product_id product_by_name(const char *name)
{
	for (int id = PRODUCT_UNKNOWN + 1; id < PRODUCT_IDS; id++) {
		const struct product *product = product_get((enum product_id)id);
		size_t length = strlen(product->name);

		if (product->snp && strncmp(name, product->name, length) == 0 &&
		        (name[length] == '\0' || name[length] == '-'))
			return product->id;
	}
	return PRODUCT_UNKNOWN;
}

/*
 * AMD puts the bare bytes into the extension, as 57230 says; some issuers, and other verifiers, put a DER
 * OCTET STRING around them. The size shows which form it is. Returns as extension() does.
 */
static int hardware_id(X509 *x509, const uint8_t **ret_data, size_t *ret_size)
{
	const uint8_t *d;
	size_t size;
	int found = extension(x509, OID_AMD "4", &d, &size);

	if (found == 1 && (size == 2 + 8 || size == 2 + 64) && d[0] == V_ASN1_OCTET_STRING &&
	        d[1] == size - 2) {
		d += 2;
		size -= 2;
	}
	if (found == 1) {
		*ret_data = d;
		*ret_size = size;
	}
	return found;
}

static int read_tcb(const struct attest_cert *cert, struct attest_cert_chip *chip, struct err *err)
{
	for (int part = 0; part < ATTEST_TCB_PARTS; part++) {
		chip->tcb[part] = level(cert->x509, tcb_oids[part]);
		if (chip->tcb[part] == -2 && part == ATTEST_TCB_FMC)
			chip->tcb[part] = -1; /* a product without FMC */
		else if (chip->tcb[part] < 0)
			return err_set(err, ERR_USAGE, "has no valid security level for \"%s\" (%s)",
			        attest_tcb_part_name(part), tcb_oids[part]);
	}
	return 0;
}

bool attest_cert_is_chip(const struct attest_cert *cert)
{
	const uint8_t *d;
	size_t size;

	return extension(cert->x509, OID_AMD "2", &d, &size) != 0;
}

int attest_cert_chip_read(const struct attest_cert *cert, struct attest_cert_chip *ret_chip, struct err *err)
{
	struct attest_cert_chip chip = {0};
	const uint8_t *hwid = NULL;
	int has_hwid = hardware_id(cert->x509, &hwid, &chip.hwid_size);

	if (!string(cert->x509, OID_AMD "2", chip.product_name, sizeof(chip.product_name)))
		return err_set(err, ERR_USAGE, "names no product (" OID_AMD "2): not a VCEK or VLEK");
	chip.product = product_by_name(chip.product_name);
	chip.is_vlek = string(cert->x509, OID_AMD "5", chip.csp_id, sizeof(chip.csp_id));
	if ((has_hwid == 1) == chip.is_vlek || has_hwid < 0)
		return err_set(err, ERR_USAGE,
		        "must have either a chip's hardware id (VCEK) or a provider's id (VLEK)");
	if (has_hwid == 1 && chip.hwid_size != 8 && chip.hwid_size != sizeof(chip.hwid))
		return err_set(
		        err, ERR_USAGE, "has a hardware id of %zu bytes; 8 or 64 are known", chip.hwid_size);
	if (has_hwid == 1)
		memcpy(chip.hwid, hwid, chip.hwid_size);
	if (read_tcb(cert, &chip, err) < 0)
		return -1;
	*ret_chip = chip;
	return 0;
}

/* SHA-384 of the SubjectPublicKeyInfo of AMD's root keys. A product has one root for SEV, VCEKs and VLEKs. */
struct anchor {
	enum product_id product;
	const char *fingerprint;
};
static const struct anchor anchors[] = {
        {PRODUCT_NAPLES, "dbd7c2cf752133b5121db4df51417b12ae49fe579848e31d"
                         "a21be18b281ae30fc2a59054619e434dddcad38e88de4ed8"},
        {PRODUCT_ROME, "f21bc580475df023cf4ac04425a39eeb342c3cf3d2f15b06"
                       "f5e2e84daeb9230ab5212c632cc55f67af9860603d472e3c"},
        {PRODUCT_MILAN, "1249f67f15cf229a4069195e1a9ce537d1765ef706a1f4a1"
                        "23c36be9518786515d25ecc007f366b564d2b3f31c48082e"},
        {PRODUCT_GENOA, "32ab53a6ce5ec14926207396e5c475ae768a6a9831b7e860"
                        "b5acf2e1c1dff222bc5a8bfc43eb5e06393189c1f246d880"},
        {PRODUCT_TURIN, "3475f08a9727f8ac9a1deaea5f2a2097aa59d64d05c2a678"
                        "c229c873e6359d3a6926287a2a22cd5f88a385e333a2fcc5"},
};

/*
 * The same hash of the software platform's root keys, whose private halves everybody can compute
 * (sim/psp/rsa.h).
 */
static const struct anchor simulated[] = {
        {PRODUCT_NAPLES, "6c5e4cf89691cfa14c74079efc5babe8ed46732b7ab69e2e"
                         "2ef72206e8b8e4c03442072ed111a1ce8d6e16572ec80722"},
        {PRODUCT_ROME, "16ae7ead3f4b6ed79c7193b92c7869c76d56994318490db4"
                       "58c5023f4a609970872a6b94affb83ef81073716cb697fde"},
        {PRODUCT_MILAN, "0e6e0d17a345a8e99289794214eacc6197fa59be163b1dd7"
                        "3cb3c81ce12e0af037ae49a9e65d6645dda168d6095a28b5"},
        {PRODUCT_GENOA, "0b9aa4a682c595808ca4739b3374bed49cb37115fee6aec1"
                        "afb588dc3849a82e62c4e605cc9301a568d6a8b7f01ab9c9"},
        {PRODUCT_TURIN, "628af84ae6af6f2295b2365b6a0e8bee62cfa790e473206a"
                        "a99cc7b803ae78af162d90b478af4c7764f9f8226394546d"},
};

static enum product_id find(const struct anchor *table, size_t count, EVP_PKEY *key)
{
	uint8_t digest[SHA384_BYTES], known[SHA384_BYTES];

	if (!attest_key_fingerprint(key, digest))
		return PRODUCT_UNKNOWN;
	for (size_t i = 0; i < count; i++) {
		if (hex_decode(table[i].fingerprint, known, sizeof(known)) &&
		        crypto_equal(digest, known, sizeof(known)))
			return table[i].product;
	}
	return PRODUCT_UNKNOWN;
}

enum product_id attest_anchor_find(EVP_PKEY *key)
{
	return find(anchors, ARRAY_LEN(anchors), key);
}

bool attest_anchor_is_simulated(EVP_PKEY *key)
{
	return find(simulated, ARRAY_LEN(simulated), key) != PRODUCT_UNKNOWN;
}

/*
 * attest: reads and judges evidence of AMD's secure processor: SNP reports with their certificates, and the
 * certificates of SEV platforms. Bytes go in, a verdict comes out: no guest, no kernel, no network is needed.
 * Any thread; nothing is kept between calls. All bytes given are untrusted.
 */
#ifndef VMM_ATTEST_H
#define VMM_ATTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "vmm/abi/guid.h"
#include "vmm/abi/key.h"
#include "vmm/abi/report.h"
#include "vmm/abi/sev_cert.h"
#include "vmm/abi/sev_launch.h"
#include "vmm/base.h"
#include "vmm/product.h"

/* Bytes that are somebody else's, with the name to use in messages (a path). size 0: not given. */
struct attest_blob {
	const void *data;
	size_t size;
	const char *name;
};

#define ATTEST_FILE_MAX_BYTES \
	KIB(128) /* of every file here; a certificate table has some KiB, as text twice that */

/* ---- bytes that come as text ---- */

enum attest_form { ATTEST_FORM_BYTES, ATTEST_FORM_HEX, ATTEST_FORM_BASE64 };

/*
 * Decodes text that is hexadecimal (xxd -p) or Base64 (base64, openssl base64, sevctl, libvirt) alone, in
 * lines of any length. ret_data holds size bytes. Returns which it was; BYTES, and *ret_size untouched, if it
 * is anything else: binary, PEM, JSON.
 */
enum attest_form attest_form_decode(const void *data, size_t size, uint8_t *ret_data, size_t *ret_size);
/*
 * A structure of this size as it is, in Base64 or in hexadecimal. ERR_USAGE goes on after the name of what
 * holds it: "has 95 bytes in Base64: ...".
 */
int attest_form_struct(
        const void *data, size_t data_size, void *ret_struct, size_t size, struct err *err) MUST_CHECK;

/* ---- SNP reports ---- */

#define ATTEST_REPORT_VERSION_MIN 2
#define ATTEST_REPORT_VERSION_MAX 5

/*
 * Reads a report (1184 bytes) that stands alone, in a MSG_REPORT_RSP (SNP ABI, MSG_REPORT_RSP) or in the
 * report of Azure's paravisor ("HCLA"). Zeros may follow, or a certificate table (a raw quote of
 * go-sev-guest), which goes to *ret_table (which may be NULL), borrowed from data; size 0: there is none.
 * ERR_USAGE if it is neither, its version is not 2 to 5, or the firmware's status in the response is a
 * refusal. Nothing in *ret_report is authentic before attest_report_verify().
 */
int attest_report_parse(const void *data, size_t size, struct abi_snp_report *ret_report,
        struct attest_blob *ret_table, struct err *err) MUST_CHECK;

/* By the CPUID fields of version 3 and later; PRODUCT_UNKNOWN for older reports, and for products without
 * SEV-SNP. */
enum product_id attest_report_product(const struct abi_snp_report *report);

/* The parts of a TCB_VERSION, in the order in which they are shown. */
enum attest_tcb_part {
	ATTEST_TCB_FMC, /* of PRODUCT_TCB_FMC alone */
	ATTEST_TCB_BOOTLOADER,
	ATTEST_TCB_TEE,
	ATTEST_TCB_SNP,
	ATTEST_TCB_MICROCODE,
	ATTEST_TCB_PARTS
};

/* By the CPUID fields; of version 2, which has none, by the length of the chip's id. */
enum product_tcb_layout attest_report_tcb_layout(const struct abi_snp_report *report);
const char *attest_tcb_part_name(enum attest_tcb_part part); /* "bootloader" */
/* -1: this layout has no such part. */
int attest_tcb_get(uint64_t tcb, enum product_tcb_layout layout, enum attest_tcb_part part);

/* A bit of a field in words; a table ends with a row without words. */
struct attest_bit {
	unsigned bit;
	const char *key;   /* for tools: "smt"; NULL: config_snp_policy_bits has the word */
	const char *set;   /* what 1 says; NULL: nothing worth saying */
	const char *clear; /* what 0 says; NULL: nothing worth saying */
};

extern const struct attest_bit attest_policy_bits[];   /* SNP ABI, guest policy */
extern const struct attest_bit attest_platform_bits[]; /* SNP ABI, PLATFORM_INFO */
const char *attest_signer_name(uint32_t key_info);     /* "VCEK", "VLEK", "none", "reserved" */

#define ATTEST_URL_BYTES 320

/*
 * Where AMD's key server has the VCEK that signed this report. Two places if it is one of two: a report of
 * version 2 does not say whether its processor is a Milan or a Genoa. None if no VCEK signed it, if it hides
 * its chip, or if its processor is not known.
 */
struct attest_vcek_urls {
	size_t count;
	char url[2][ATTEST_URL_BYTES];
};
void attest_report_vcek_urls(const struct abi_snp_report *report, struct attest_vcek_urls *ret_urls);
/* Where it has the signed CEK of the chip with this id (SEV API, GET_ID). */
void attest_cek_url(const uint8_t id[static 64], char ret_url[static ATTEST_URL_BYTES]);

/* ---- verdicts: every check told ---- */

enum attest_result {
	ATTEST_PASSED,
	ATTEST_FAILED,
	ATTEST_NOTE /* worth knowing, judges nothing */
};

struct attest_check {
	const char *name; /* of static storage: "signature" */
	enum attest_result result;
	char text[300]; /* what was compared with what; why it failed */
};

#define ATTEST_CHECKS_MAX 48

struct attest_verdict {
	struct attest_check checks[ATTEST_CHECKS_MAX];
	size_t count;
	bool passed;    /* at least one check was made, and none failed */
	bool simulated; /* the root is one of the software platform: nothing protects that guest */
};

/* ---- SNP reports judged ---- */

/* Fields that a report can be held against. */
enum attest_field {
	ATTEST_MEASUREMENT,
	ATTEST_HOST_DATA,
	ATTEST_REPORT_DATA,
	ATTEST_ID_KEY,
	ATTEST_AUTHOR_KEY,
	ATTEST_FAMILY_ID,
	ATTEST_IMAGE_ID,
	ATTEST_CHIP_ID,
	ATTEST_POLICY, /* as 8 bytes, little-endian */
	ATTEST_VMPL,   /* as 4 bytes, little-endian */
	ATTEST_FIELDS
};

struct attest_field_info {
	const char *name;    /* also the option of `vmm report verify`: "host-data" */
	size_t offset, size; /* in the report; size is at most 64 */
};

extern const struct attest_field_info attest_fields[ATTEST_FIELDS];

/* Zeroed: nothing is wanted. */
struct attest_wanted {
	bool field_given[ATTEST_FIELDS];
	uint8_t field[ATTEST_FIELDS][64];
	bool tcb_given[ATTEST_TCB_PARTS];
	uint8_t tcb[ATTEST_TCB_PARTS]; /* reported_tcb must not be lower */
	bool guest_svn_given;
	uint32_t guest_svn;  /* must not be lower */
	const char *csp_id;  /* the cloud provider that a VLEK must name; NULL: any, or a VCEK */
	const char *signer;  /* "VCEK" or "VLEK": the key must be such a one; NULL: either */
	bool masked_chip_id; /* a report that hides its chip is accepted */
};

/* The certificates of a table that hosts hand to guests (GHCB, "SNP Extended Guest Request"), DER. */
struct attest_table {
	struct attest_blob vcek, vlek, ask, ark; /* size 0: not in it */
};

/* *ret_data is the caller's to free. ERR_USAGE: more than ATTEST_FILE_MAX_BYTES. */
int attest_table_make(
        const struct attest_table *from, uint8_t **ret_data, size_t *ret_size, struct err *err) MUST_CHECK;

#define ATTEST_CHAIN_FILES 4

struct attest_evidence {
	/*
	 * Files with certificates in DER or PEM, one or more each: VCEK or VLEK, ASK or ASVK, ARK. What each
	 * certificate is decides, not the file that it is in.
	 */
	struct attest_blob leaf, chain[ATTEST_CHAIN_FILES];
	struct attest_blob table; /* the GHCB certificate table; holds what the files do not give */
	struct attest_blob root;  /* a root key's certificate to trust beside AMD's, DER or PEM */
	time_t at;                /* the certificates must be valid then */
	struct attest_wanted wanted;
};

/*
 * Judges a report: signature, certificates up to a trusted root, the certificate's TCB, chip and product, and
 * every wanted value (SNP ABI, "Attestation Report Format"; AMD 57230, VCEK certificates). All checks are
 * made and told even if one fails. Returns -1 with ERR_USAGE only if a certificate is missing or cannot be
 * read.
 */
int attest_report_verify(const struct abi_snp_report *report, const struct attest_evidence *evidence,
        struct attest_verdict *ret_verdict, struct err *err) MUST_CHECK;

/* ---- ECDSA P-384 with SHA-384, in the secure processor's layout (SNP ABI, chapter 10) ---- */

struct evp_pkey_st; /* OpenSSL's EVP_PKEY */

/* NULL if sig is the key's over data, otherwise why not. crypto_load() must have succeeded. */
const char *attest_ecdsa_check(
        const struct abi_public_key *key, const void *data, size_t size, const struct abi_signature *sig);
/*
 * The key for OpenSSL, which the caller frees with EVP_PKEY_free(). NULL if it is not a point of P-384, or if
 * a byte that must be zero is not.
 */
struct evp_pkey_st *attest_key_from_ec(const struct abi_public_key *key);
/* The public half of a P-384 key of our own, in the processor's layout. ERR_FAILED if it is another key. */
int attest_key_to_ec(struct evp_pkey_st *key, struct abi_public_key *ret_key, struct err *err) MUST_CHECK;

/* ---- SEV and SEV-ES: the platform's certificates (SEV API, appendices B and C) ---- */

struct attest_sev_evidence {
	struct attest_blob pdh;   /* the PDH (2084 bytes), or PDH, PEK, OCA, CEK one after the other */
	struct attest_blob chain; /* PEK, OCA, CEK, as PDH_CERT_EXPORT gives them; if pdh is the PDH alone */
	struct attest_blob cek; /* the CEK that AMD signed, in the place of the one there, which nobody did */
	struct attest_blob amd; /* ASK and ARK in AMD's binary format, either order; may follow pdh's four */
	struct attest_blob root; /* an ARK in that format to trust beside AMD's */

	struct attest_blob report; /* what GET_ATTESTATION_REPORT gave (208 bytes), and what it must say: */
	const uint8_t *digest;     /* 32 bytes; NULL: anything, as below */
	const uint8_t *mnonce;     /* 16 bytes: the nonce that was asked with */
	const uint32_t *policy;
};

const char *attest_sev_usage_name(uint32_t usage); /* "PEK"; "unknown" */
const char *attest_sev_algo_name(uint32_t algo);   /* "ECDSA with SHA-384"; "unknown" */
/*
 * Reads one certificate and checks its form, not its signatures: version, key, no bits where zeros must be.
 * ERR_USAGE names what is wrong.
 */
int attest_sev_cert_parse(
        const void *data, size_t size, struct abi_sev_cert *ret_cert, struct err *err) MUST_CHECK;

/* An ASK or ARK in AMD's binary format, to be shown. */
struct attest_amd_cert {
	size_t size; /* in bytes */
	uint32_t usage;
	unsigned bits; /* of its RSA key */
	uint8_t key_id[16], certifying_id[16];
	enum product_id root; /* whose root's key it has; UNKNOWN: none of AMD's */
	bool simulated;       /* it has the key of one of the software platform's roots */
};
/* Reads the first of the certificates in data; its signature is not looked at. ERR_USAGE names what is wrong.
 */
int attest_amd_cert_parse(
        const void *data, size_t size, struct attest_amd_cert *ret_cert, struct err *err) MUST_CHECK;
/* Are AMD's certificates there, so that the platform can be verified? */
bool attest_sev_has_amd(const struct attest_sev_evidence *evidence);
/* The PDH of the evidence, unverified. */
int attest_sev_pdh(
        const struct attest_sev_evidence *evidence, struct abi_sev_cert *ret_pdh, struct err *err) MUST_CHECK;
/*
 * PDH signed by PEK, PEK by OCA and CEK, OCA by itself, CEK by ASK, ASK by ARK, which is AMD's or root's. All
 * but root and report must be given; a report must be signed by the PEK. -1 with ERR_USAGE if something is
 * missing or cannot be read.
 */
int attest_sev_verify(const struct attest_sev_evidence *evidence, struct attest_verdict *ret_verdict,
        struct err *err) MUST_CHECK;

#endif

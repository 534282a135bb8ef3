/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal: what the files of the secure processor share. The lock of a struct psp is held around every
 * function that takes one, except psp_command_enter(), psp_command_enter_sev() and psp_command_enter_snp(),
 * which take the lock.
 */
#ifndef SIM_PSP_INTERNAL_H
#define SIM_PSP_INTERNAL_H

#include <pthread.h>

#include <openssl/evp.h>

#include "ec.h"
#include "mac.h"
#include "psp.h"
#include "vmm/abi/message.h"

/* ---- what a product is (product.c) ---- */

/* How many steps lie before p (2 * role) or q (2 * role + 1) of an authority's key, see rsa.c. */
uint32_t psp_product_prime_steps(const struct product *product, unsigned which);

/* What the certificate of an authority says of its issue. The dates are UTCTime. */
struct psp_product_issue {
	uint32_t serial;
	char not_before[14], not_after[14];
};

/* Returns it for a role of rsa.h; the product has SNP. */
const struct psp_product_issue *psp_product_issue(const struct product *product, unsigned role);

struct psp_product_report {
	uint32_t version;
	uint64_t mitigations; /* of launch and current mitigation vectors, version 5 */
};

/* Returns the form of this firmware's reports; all zero if the product makes none. */
struct psp_product_report psp_product_report(
        const struct product *product, uint8_t major, uint8_t minor, uint8_t build);
/* Is every part of wanted at most the same part of tcb? */
bool psp_product_tcb_covers(uint64_t tcb, uint64_t wanted);

/* ---- keys (keys.c) ---- */

/* The owner's certificates and keys. PEK_GEN and PDH_GEN make new ones, PLATFORM_RESET forgets them. */
struct psp_identity {
	bool made, owned;
	struct psp_ec_key pek, pdh;
	struct abi_sev_cert oca_cert, pek_cert, pdh_cert;
};

struct psp_chip {
	uint8_t id[64];
	struct psp_ec_key cek;
};

/* Derives size bytes that depend only on the seed, the label and the index. */
bool psp_keys_derive(struct psp *psp, const char *label, uint64_t index, void *ret, size_t size) MUST_CHECK;
/* A key on P-384 that the same three decide. False: OpenSSL failed, or the number is no scalar. */
bool psp_keys_derive_ec(
        struct psp *psp, const char *label, uint64_t index, struct psp_ec_key *ret_key) MUST_CHECK;
/* Draws random numbers. On this platform they follow from the seed and from how many were drawn before. */
bool psp_keys_random(struct psp *psp, void *ret, size_t size) MUST_CHECK;
/* Makes the root and the chip's keys if there are none. False: libcrypto cannot be loaded, or failed. */
bool psp_keys_of_chip(struct psp *psp) MUST_CHECK;
/* Makes the chip's key for the reported TCB, which SNP_CONFIG can set. */
bool psp_keys_vcek(struct psp *psp, struct psp_ec_key *ret_key) MUST_CHECK;
/* Derives bytes that anybody can compute: they do not depend on the seed. */
bool psp_keys_public(const char *label, uint64_t index, void *ret, size_t size) MUST_CHECK;

/* ---- the provider's key (vlek.c) ---- */

/* Wipes the provider's key: from now on the chip's key signs reports. */
void psp_vlek_unload(struct psp *psp);

/* ---- memory encryption (encrypt.c) ---- */

#define SEED_BYTES 32

/* The key that follows from the seed. NULL: out of memory. Ends with psp_cipher_destroy(). */
struct psp_cipher *psp_cipher_create(const uint8_t seed[static SEED_BYTES]);
/* Wipes the key. NULL is allowed. */
void psp_cipher_destroy(struct psp_cipher *cipher);

/* ---- ASIDs (asid.c) ---- */

enum psp_asid_state {
	ASID_CLEAN,
	ASID_ALLOCATED, /* activated; its guest is still being launched */
	ASID_IN_USE,
	ASID_DIRTY,
	ASID_WRITTEN_BACK /* dirty, and every core did WBINVD */
};

struct psp_asid_row {
	enum psp_asid_state state;
	struct psp_cipher *cipher; /* while allocated or in use */
};

/*
 * Gives a guest the ASID that is wanted, with the key of the seed. *asid is the guest's own, 0: it has none.
 * INVALID_ASID, ASID_OWNED, ACTIVE, DFFLUSH_REQUIRED.
 */
uint32_t psp_asid_activate(struct psp *psp, uint32_t *asid, uint32_t wanted, enum product_asid_kind kind,
        const uint8_t seed[static SEED_BYTES]);
/* The guest runs: its ASID will be dirty when it ends. ASID 0 means that the guest has none. */
void psp_asid_run(struct psp *psp, uint32_t asid);
/* Takes the ASID back and destroys its key; *asid becomes 0. */
void psp_asid_deactivate(struct psp *psp, uint32_t *asid);
/* Is no ASID active or dirty? */
bool psp_asids_are_clean(const struct psp *psp);
/* The key of an active ASID; NULL: it is not active. */
const struct psp_cipher *psp_asid_cipher(struct psp *psp, uint32_t asid);

/* ---- guests ---- */

struct psp_transport {
	uint8_t tek[MAC_KEY_BYTES], tik[MAC_KEY_BYTES];
};

static inline void psp_transport_wipe(struct psp_transport *transport)
{
	crypto_wipe(transport, sizeof(*transport));
}
/* The keys are wiped when the scope of the variable ends. */
#define auto_wipe_transport __attribute__((cleanup(psp_transport_wipe)))

struct psp_sev_guest {
	enum psp_sev_state state;
	uint32_t policy, asid;
	uint8_t key_seed[SEED_BYTES];
	struct psp_transport transport;
	EVP_MD_CTX *hash; /* of the launched memory; NULL after LAUNCH_MEASURE */
	uint8_t digest[SHA256_BYTES], measure[SHA256_BYTES];
};

enum psp_snp_state { SNP_INIT, SNP_LAUNCH, SNP_RUNNING };

struct psp_snp_guest {
	enum psp_snp_state state;
	uint32_t asid;
	uint64_t policy, launch_tcb;
	uint8_t key_seed[SEED_BYTES];
	uint8_t gosvw[16];
	uint8_t vmpck[ABI_MESSAGE_VMPCKS][32];
	uint8_t report_id[32];
	uint8_t vmrk[32]; /* the root of keys that belong to the guest, not to the processor */
	uint8_t digest[SHA384_BYTES];
	struct abi_id_block block; /* zeros if the guest has none */
	bool author_en, vcek_disabled;
	uint64_t message_count[ABI_MESSAGE_VMPCKS]; /* messages with each VMPCK, those of both sides */
	uint8_t id_key_digest[SHA384_BYTES], author_key_digest[SHA384_BYTES];
	uint8_t host_data[UAPI_SNP_HOST_DATA_BYTES];
};

struct psp_vlek {
	bool loaded;
	struct psp_ec_key key;
};

struct psp_failure {
	enum psp_command command;
	unsigned left; /* 0: none is prepared */
	uint32_t code;
};

struct psp {
	pthread_mutex_t lock;
	struct psp_options options;
	const struct product *product;
	struct abi_cpuid_entry *cpuid;

	struct psp_failure failure;
	uint64_t counts[PSP_COMMANDS];

	bool has_keys; /* root and chip */
	uint8_t root[SHA384_BYTES];
	struct psp_chip chip;
	uint64_t drawn;          /* how many random numbers were drawn */
	uint64_t pek_no, pdh_no; /* generations of the owner's keys */
	struct psp_identity identity;

	enum psp_platform_state state;
	bool es, snp_init;
	uint32_t guest_count, snp_guest_count;
	struct psp_asid_row *asids; /* by ASID */
	struct psp_sev_guest *guests[PSP_SEV_GUESTS_MAX];
	struct psp_snp_guest *contexts[PSP_SNP_GUESTS_MAX];

	uint64_t committed_tcb, reported_tcb;
	bool mask_chip_id, mask_chip_key;
	struct psp_vlek vlek;
};

/* ---- the frame of every command (firmware.c) ---- */

/*
 * A command while it runs. It holds the lock of the secure processor until its scope ends, so that a function
 * may return from anywhere:
 *
 *	auto_leave struct psp_call call = psp_command_enter(psp, PSP_CMD_DF_FLUSH);
 *
 *	if (call.code)
 *		return call.code;
 */
struct psp_call {
	struct psp *psp;
	uint32_t code; /* if not PSP_SUCCESS, the command must answer with this code and do nothing else */
};

#define auto_leave __attribute__((cleanup(psp_command_leave)))

/*
 * Takes the lock and counts the command. The code is that of a failure that a test prepared, INVALID_COMMAND
 * for a command of SNP on a product without SNP, or INVALID_PLATFORM_STATE if the table of commands does not
 * allow the command in this state.
 */
struct psp_call psp_command_enter(struct psp *psp, enum psp_command command);
/*
 * As psp_command_enter(). It then finds the guest (INVALID_GUEST) and checks its state (INVALID_GUEST_STATE).
 */
struct psp_call psp_command_enter_sev(
        struct psp *psp, enum psp_command command, uint32_t handle, struct psp_sev_guest **ret_guest);
/* As psp_command_enter_sev(), for a guest of SEV-SNP. */
struct psp_call psp_command_enter_snp(
        struct psp *psp, enum psp_command command, uint32_t gctx, struct psp_snp_guest **ret_guest);
/* Releases the lock. auto_leave calls this function. */
void psp_command_leave(const struct psp_call *call);

/* The code with which a command answers when OpenSSL fails or memory runs out. */
#define PSP_BROKEN PSP_HWSEV_PLATFORM

/* ---- SEV guests (sev.c) ---- */

/* Takes the guest's ASID back, wipes the guest and frees its handle. */
void psp_sev_guest_end(struct psp *psp, uint32_t handle);
/* Ends every SEV guest. */
void psp_sev_guests_end(struct psp *psp);
/*
 * Makes a guest in this state. *handle is 0, or that of a guest whose key is shared; it becomes the new
 * guest's. INVALID_GUEST, POLICY_FAILURE (no sharing), RESOURCE_LIMIT, UNSUPPORTED (no SEV-ES).
 */
uint32_t psp_sev_guest_add(struct psp *psp, uint32_t *handle, uint32_t policy,
        const struct psp_transport *transport, enum psp_sev_state state);
/* Checks the address and size of guest memory that a command reads or changes in place. */
uint32_t psp_sev_memory_check(const struct psp_sev_guest *guest, uint64_t address, size_t size);

/* ---- SNP guests (snp.c) ---- */

/* Ends every SNP guest. */
void psp_snp_guests_end(struct psp *psp);
/*
 * Checks a CPUID page of 4096 bytes. INVALID_PARAM: the page breaks a rule. The function then corrects the
 * page, unless its header is malformed.
 */
uint32_t psp_snp_cpuid_check(const struct psp *psp, void *page);

#define PSP_TSC_SCALE_ONE (UINT64_C(1) << 32)

/* ---- guest messages (message.c) ---- */

/* A request of a guest, whose payload was decrypted and is as long as its type needs at least. */
struct psp_question {
	const struct psp_snp_guest *guest;
	unsigned vmpck;
	const void *payload;
	size_t size;
};

/*
 * Answers a question: fills in the payload of the answer, which is zeroed and has ABI_MESSAGE_PAYLOAD_MAX
 * bytes, all but the status at its beginning. Returns the status.
 */
typedef uint32_t psp_answer_fn(struct psp *psp, const struct psp_question *question, void *ret_answer);

psp_answer_fn psp_answer_cpuid;  /* snp_cpuid.c */
psp_answer_fn psp_answer_key;    /* key.c */
psp_answer_fn psp_answer_report; /* report.c */

/* May a guest use the key that it selected (enum abi_key_select)? */
bool psp_key_is_allowed(const struct psp *psp, const struct psp_snp_guest *guest, unsigned select);
/* Is the selected key, which the guest may use, the VLEK? Otherwise it is the VCEK. */
bool psp_key_is_vlek(const struct psp *psp, unsigned select);

#endif

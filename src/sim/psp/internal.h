/*
 * internal: what the files of the secure processor share. Functions that take a struct psp are called with
 * its lock held, but for psp_command_enter() and its kin.
 */
#ifndef SIM_PSP_INTERNAL_H
#define SIM_PSP_INTERNAL_H

#include <pthread.h>

#include <openssl/evp.h>

#include "ec.h"
#include "mac.h"
#include "psp.h"

/* ---- what a product is (product.c) ---- */

/* How many steps lie before p (2 * role) or q (2 * role + 1) of an authority's key, see rsa.c. */
uint32_t psp_product_prime_steps(const struct product *product, unsigned which);

struct psp_product_report {
	uint32_t version;
	uint64_t mitigations; /* of launch and current mitigation vectors, version 5 */
};

/* What the reports of this firmware look like; all zero: the product makes none. */
struct psp_product_report psp_product_report(
        const struct product *product, uint8_t major, uint8_t minor, uint8_t build);
/* Is wanted in no part above tcb? */
bool psp_product_tcb_covers(uint64_t tcb, uint64_t wanted);

/* ---- keys (keys.c) ---- */

/* The owner's certificates and keys: made anew by PEK_GEN and PDH_GEN, forgotten by PLATFORM_RESET. */
struct psp_identity {
	bool made, owned;
	struct psp_ec_key pek, pdh;
	struct abi_sev_cert oca_cert, pek_cert, pdh_cert;
};

struct psp_chip {
	uint8_t id[64];
	struct psp_ec_key cek;
};

/* size bytes that only the seed, label and index decide. */
bool psp_keys_derive(struct psp *psp, const char *label, uint64_t index, void *ret, size_t size) MUST_CHECK;
bool psp_keys_derive_ec(
        struct psp *psp, const char *label, uint64_t index, struct psp_ec_key *ret_key) MUST_CHECK;
/* What the processor's random numbers are here: they follow from the seed and how many were drawn before. */
bool psp_keys_random(struct psp *psp, void *ret, size_t size) MUST_CHECK;
bool psp_keys_of_chip(struct psp *psp) MUST_CHECK;
/* The chip's key for what SNP_CONFIG says is the TCB. */
bool psp_keys_vcek(struct psp *psp, struct psp_ec_key *ret_key) MUST_CHECK;
/* Bytes that anybody can compute. */
bool psp_keys_public(const char *label, uint64_t index, void *ret, size_t size) MUST_CHECK;

/* ---- the provider's key (vlek.c) ---- */

void psp_vlek_unload(struct psp *psp);

/* ---- memory encryption (encrypt.c) ---- */

#define SEED_BYTES 32

/* NULL: out of memory. */
struct psp_cipher *psp_cipher_create(const uint8_t seed[static SEED_BYTES]);
void psp_cipher_destroy(struct psp_cipher *cipher); /* wipes the key; NULL is allowed */

/* ---- ASIDs (asid.c) ---- */

enum psp_asid_state {
	ASID_CLEAN,
	ASID_ALLOCATED, /* activated, its guest is still being launched */
	ASID_IN_USE,
	ASID_DIRTY,
	ASID_WRITTEN_BACK /* dirty, and every core did WBINVD */
};

struct psp_asid_row {
	enum psp_asid_state state;
	struct psp_cipher *cipher; /* while allocated or in use */
};

/* *asid is the guest's, 0: not active. */
uint32_t psp_asid_activate(struct psp *psp, uint32_t *asid, uint32_t wanted, enum product_asid_kind kind,
        const uint8_t seed[static SEED_BYTES]);
void psp_asid_run(struct psp *psp, uint32_t asid);
void psp_asid_deactivate(struct psp *psp, uint32_t *asid);
bool psp_asids_are_clean(const struct psp *psp); /* none is active, or dirty */
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
	EVP_MD_CTX *hash; /* of what is launched; NULL after LAUNCH_MEASURE */
	uint8_t digest[SHA256_BYTES], measure[SHA256_BYTES];
};

enum psp_snp_state { SNP_INIT, SNP_LAUNCH, SNP_RUNNING };

struct psp_snp_guest {
	enum psp_snp_state state;
	uint32_t asid;
	uint64_t policy, launch_tcb;
	uint8_t key_seed[SEED_BYTES];
	uint8_t gosvw[16];
	uint8_t vmpck[4][32];
	uint8_t report_id[32];
	uint8_t digest[SHA384_BYTES];
	struct abi_id_block block; /* zeros without one */
	bool author_en, vcek_disabled;
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
	uint64_t drawn;          /* random numbers */
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
	uint32_t code; /* not PSP_SUCCESS: the command must answer with this code and do nothing else */
};

#define auto_leave __attribute__((cleanup(psp_command_leave)))

/*
 * Takes the lock and counts the command. The code is that of a failure that a test prepared, INVALID_COMMAND
 * on a product without SNP, or INVALID_PLATFORM_STATE where the table of commands does not allow the command.
 */
struct psp_call psp_command_enter(struct psp *psp, enum psp_command command);
/* As psp_command_enter(), then finds the guest (INVALID_GUEST) and looks at its state (INVALID_GUEST_STATE).
 */
struct psp_call psp_command_enter_sev(
        struct psp *psp, enum psp_command command, uint32_t handle, struct psp_sev_guest **ret_guest);
/* As psp_command_enter_sev(), for a guest of SEV-SNP. */
struct psp_call psp_command_enter_snp(
        struct psp *psp, enum psp_command command, uint32_t gctx, struct psp_snp_guest **ret_guest);
/* Gives the lock back; auto_leave calls it. */
void psp_command_leave(const struct psp_call *call);

/* What a command answers if OpenSSL or memory failed it. */
#define PSP_BROKEN PSP_HWSEV_PLATFORM

/* ---- SEV guests (sev.c) ---- */

void psp_sev_guest_end(struct psp *psp, uint32_t handle);
void psp_sev_guests_end(struct psp *psp);
/* A new guest in this state; *handle as LAUNCH_START takes and gives it. */
uint32_t psp_sev_guest_add(struct psp *psp, uint32_t *handle, uint32_t policy,
        const struct psp_transport *transport, enum psp_sev_state state);
/* Memory that a command changes in place, or reads. */
uint32_t psp_sev_memory_check(const struct psp_sev_guest *guest, uint64_t address, size_t size);

/* ---- SNP guests (snp.c) ---- */

void psp_snp_guests_end(struct psp *psp);
/* INVALID_PARAM: the page, of 4096 bytes, breaks a rule; then it is corrected, if it could be read at all. */
uint32_t psp_snp_cpuid_check(const struct psp *psp, void *page);

#endif

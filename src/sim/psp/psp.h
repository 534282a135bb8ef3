/*
 * psp: the secure processor of the software platform: what AMD's firmware does with its commands, with real
 * cryptography and keys that come from a seed. It knows no KVM and no descriptors; kvm_sev.c and dev_sev.c
 * bring it bytes that were copied in. Every command answers with the firmware's code (enum psp_code; 0:
 * done). One lock inside: any thread may call. It shares no code with launch/ and attest/, which are judged
 * by it. Law: SEV API (55766), SNP ABI (56860).
 */
#ifndef SIM_PSP_H
#define SIM_PSP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/abi.h"
#include "vmm/base.h"
#include "vmm/uapi.h"

/* SEV API and SNP ABI, status codes. */
enum psp_code {
	PSP_SUCCESS,
	PSP_INVALID_PLATFORM_STATE,
	PSP_INVALID_GUEST_STATE,
	PSP_INVALID_CONFIG,
	PSP_INVALID_LEN,
	PSP_ALREADY_OWNED,
	PSP_INVALID_CERTIFICATE,
	PSP_POLICY_FAILURE,
	PSP_INACTIVE,
	PSP_INVALID_ADDRESS,
	PSP_BAD_SIGNATURE,
	PSP_BAD_MEASUREMENT,
	PSP_ASID_OWNED,
	PSP_INVALID_ASID,
	PSP_WBINVD_REQUIRED,
	PSP_DFFLUSH_REQUIRED,
	PSP_INVALID_GUEST,
	PSP_INVALID_COMMAND,
	PSP_ACTIVE,
	PSP_HWSEV_PLATFORM,
	PSP_HWSEV_UNSAFE,
	PSP_UNSUPPORTED,
	PSP_INVALID_PARAM,
	PSP_RESOURCE_LIMIT,
	PSP_SECURE_DATA_INVALID,
	PSP_INVALID_PAGE_SIZE,
	PSP_INVALID_PAGE_STATE,
	PSP_INVALID_MDATA_ENTRY,
	PSP_INVALID_PAGE_OWNER,
	PSP_AEAD_OFLOW,
	PSP_RMP_INIT_REQUIRED = 0x20,
	PSP_BAD_SVN,
	PSP_BAD_VERSION,
	PSP_SHUTDOWN_REQUIRED,
	PSP_INVALID_KEY = 0x27,
};

/* Which processor and firmware it is. */
struct psp_options {
	uint64_t seed;
	const char *product; /* "Milan", "Genoa", "Turin"; "Naples" and "Rome" know no SNP */
	uint8_t sev_major, sev_minor, sev_build; /* SEV API version and build */
	uint8_t snp_major, snp_minor, snp_build; /* SNP ABI version and build */
	uint64_t tcb;             /* current = committed = reported = launch TCB at the start */
	uint32_t asids, es_asids; /* 1..es_asids: SEV-ES and SNP; es_asids + 1..asids: SEV */
	uint64_t vmsa_features;   /* what SNP_LAUNCH_FINISH takes in SEV_FEATURES */
};

struct psp;

int psp_create(const struct psp_options *options, struct psp **ret_psp, struct err *err) MUST_CHECK;
void psp_destroy(struct psp *psp); /* wipes every key; NULL is allowed */

/* ---- the platform: /dev/sev ---- */

enum psp_platform_state { PSP_PLATFORM_UNINIT, PSP_PLATFORM_INIT, PSP_PLATFORM_WORKING };

struct psp_platform_status {
	uint8_t api_major, api_minor, state, build;
	bool owned, es;
	uint32_t guest_count;
};

#define PSP_CSR_MAX_BYTES 2084

uint32_t psp_platform_status(struct psp *psp, struct psp_platform_status *ret_status);
uint32_t psp_factory_reset(struct psp *psp); /* INVALID_PLATFORM_STATE while guests live */
uint32_t psp_pek_gen(struct psp *psp);
uint32_t psp_pek_csr(struct psp *psp, struct abi_sev_cert *ret_csr);
uint32_t psp_pek_cert_import(struct psp *psp, const struct abi_sev_cert *pek, const struct abi_sev_cert *oca);
uint32_t psp_pdh_gen(struct psp *psp);
uint32_t psp_pdh_cert_export(
        struct psp *psp, struct abi_sev_cert *ret_pdh, struct abi_sev_cert_chain *ret_chain);
uint32_t psp_get_id(struct psp *psp, uint8_t ret_id[static 64]);

uint32_t psp_snp_platform_status(struct psp *psp, struct uapi_sev_snp_status *ret_status);
uint32_t psp_snp_commit(struct psp *psp);
uint32_t psp_snp_set_config(struct psp *psp, const struct uapi_sev_snp_config *config);
uint32_t psp_snp_vlek_load(struct psp *psp, const void *wrapped, size_t size);

/*
 * The certificates that end in the simulated roots, for who verifies: VCEK, ASK and ARK of SNP in PEM, each
 * the caller's to free; ASK and ARK of SEV in AMD's binary format. The roots' names say that they are a
 * simulation.
 */
int psp_export_snp_certs(
        struct psp *psp, char **ret_vcek_pem, char **ret_chain_pem, struct err *err) MUST_CHECK;
int psp_export_sev_ask_ark(struct psp *psp, uint8_t **ret_data, size_t *ret_size, struct err *err) MUST_CHECK;

/* ---- memory encryption: one key an ASID (sev/encrypt.c) ---- */

struct psp_cipher; /* AES-128-XTS with the page's address as data unit: 16-byte blocks, tied to their place */

/* NULL: no guest is active with this ASID. It lives until the guest is deactivated. */
const struct psp_cipher *psp_cipher(struct psp *psp, uint32_t asid);
/* address and size in multiples of 16; from and to may be equal. address stands for the system physical one.
 */
void psp_encrypt(const struct psp_cipher *cipher, uint64_t address, const void *from, void *to, size_t size);
void psp_decrypt(const struct psp_cipher *cipher, uint64_t address, const void *from, void *to, size_t size);

/* ---- SEV and SEV-ES guests; handles are the firmware's, from 1 ---- */

enum psp_sev_state {
	PSP_SEV_UNINIT,
	PSP_SEV_LUPDATE,
	PSP_SEV_LSECRET,
	PSP_SEV_RUNNING,
	PSP_SEV_SUPDATE,
	PSP_SEV_RUPDATE,
	PSP_SEV_SENT
};

struct psp_sev_status {
	uint32_t policy, asid;
	uint8_t state;
};

/* *handle 0: a new guest, and its handle; else shares that guest's key. godh and session: both or neither
 * NULL. */
uint32_t psp_launch_start(struct psp *psp, uint32_t *handle, uint32_t policy, const struct abi_sev_cert *godh,
        const struct abi_sev_session *session);
uint32_t psp_activate(struct psp *psp, uint32_t handle, uint32_t asid);
uint32_t psp_deactivate(struct psp *psp, uint32_t handle);
uint32_t psp_decommission(struct psp *psp, uint32_t handle);
/* Hashes size bytes at data and encrypts them where they are. address, size: multiples of 16, else
 * INVALID_ADDRESS or INVALID_LEN. */
uint32_t psp_launch_update_data(struct psp *psp, uint32_t handle, void *data, uint64_t address, size_t size);
uint32_t psp_launch_update_vmsa(struct psp *psp, uint32_t handle, struct abi_vmsa *vmsa, uint64_t address);
uint32_t psp_launch_measure(struct psp *psp, uint32_t handle, struct abi_sev_measure *ret_measure);
uint32_t psp_launch_secret(struct psp *psp, uint32_t handle, const struct abi_sev_secret_header *header,
        const void *packet, void *data, uint64_t address, size_t size);
uint32_t psp_launch_finish(struct psp *psp, uint32_t handle);
uint32_t psp_guest_status(struct psp *psp, uint32_t handle, struct psp_sev_status *ret_status);
uint32_t psp_attestation_report(
        struct psp *psp, uint32_t handle, const uint8_t mnonce[static 16], struct abi_sev_report *ret_report);
/* from and to are memory of the guest (encrypted) and of the caller, or the other way round. POLICY_FAILURE
 * without debugging. */
uint32_t psp_dbg_decrypt(
        struct psp *psp, uint32_t handle, const void *guest, uint64_t address, void *plain, size_t size);
uint32_t psp_dbg_encrypt(
        struct psp *psp, uint32_t handle, const void *plain, void *guest, uint64_t address, size_t size);

/* ---- SNP guests; a context's number stands for its page's address, from 1 ---- */

uint32_t psp_gctx_create(struct psp *psp, uint32_t *ret_gctx);
uint32_t psp_snp_activate(struct psp *psp, uint32_t gctx, uint32_t asid);
uint32_t psp_snp_decommission(struct psp *psp, uint32_t gctx);
uint32_t psp_snp_launch_start(
        struct psp *psp, uint32_t gctx, uint64_t policy, const uint8_t gosvw[static 16]);
/*
 * page: 4096 bytes of plaintext of the guest; measured as its type says, filled where the firmware fills
 * (secrets; the CPUID page is checked, and on INVALID_PARAM holds the corrected table). It stays plaintext:
 * whoever owns the page encrypts it. type: enum abi_page_type, VMSA included (then gpa is ABI_VMSA_GPA).
 */
uint32_t psp_snp_launch_update(
        struct psp *psp, uint32_t gctx, enum abi_page_type type, uint64_t gpa, void *page);
uint32_t psp_snp_launch_finish(struct psp *psp, uint32_t gctx,
        const struct uapi_sev_snp_launch_finish *finish, const struct abi_id_block *block,
        const struct abi_id_auth *auth); /* NULL where finish has none */
/* A guest's attestation report, signed with the VCEK: what MSG_REPORT_REQ will give. */
uint32_t psp_snp_report(struct psp *psp, uint32_t gctx, const uint8_t report_data[static 64], uint32_t vmpl,
        struct abi_snp_report *ret_report);

/* ---- for tests, and for who watches the platform ---- */

struct psp_guest_view {
	bool snp;
	uint32_t handle, asid; /* of SNP: the context's number */
	uint64_t policy;
	const char *state; /* "LUPDATE", "RUNNING"; of SNP: "INIT", "LAUNCH", "RUNNING" */
	uint8_t digest[SHA384_BYTES];
	unsigned digest_bytes;
};

/* The n-th living guest, from 0; false: there are not so many. */
bool psp_guest_view(struct psp *psp, unsigned n, struct psp_guest_view *ret_view);

#endif

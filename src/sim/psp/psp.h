/*
 * psp: the secure processor of the software platform: what AMD's firmware does with its commands, with real
 * cryptography and keys that come from a seed. It knows no KVM and no descriptors; sev/command.c and
 * sev/device.c bring it bytes that were copied in. Every command answers with the firmware's code (enum
 * psp_code; 0: done). One lock inside: any thread may call. It shares no code with launch/ and attest/, which
 * are judged by it. Law: SEV API (55766), SNP ABI (56860).
 */
#ifndef SIM_PSP_H
#define SIM_PSP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/abi/id_block.h"
#include "vmm/abi/report.h"
#include "vmm/abi/sev_cert.h"
#include "vmm/abi/sev_launch.h"
#include "vmm/abi/snp.h"
#include "vmm/abi/vmsa.h"
#include "vmm/base.h"
#include "vmm/product.h"
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
	PSP_EXIT_RING_BUFFER = 0x1f,
	PSP_RMP_INIT_REQUIRED,
	PSP_BAD_SVN,
	PSP_BAD_VERSION,
	PSP_SHUTDOWN_REQUIRED,
	PSP_INVALID_KEY = 0x27,
};

/* Which processor and firmware it is. */
struct psp_options {
	uint64_t seed;       /* the same seed and the same commands give the same keys, reports and packets */
	const char *product; /* one of product_words, but "none" */
	uint8_t sev_major, sev_minor, sev_build; /* SEV API version and build */
	uint8_t snp_major, snp_minor, snp_build; /* SNP ABI version and build */
	uint64_t tcb;             /* current = committed = reported = launch TCB at the start */
	uint32_t asids, es_asids; /* 1..es_asids: SEV-ES and SNP; es_asids + 1..asids: SEV */
	uint32_t snp_asids; /* not 0: ciphertext hiding is on, and of these 1..snp_asids are SNP's alone */
	uint64_t vmsa_features; /* what a VMSA may have in SEV_FEATURES */
	bool smt_off;           /* by the BIOS; else guests whose policy forbids SMT are refused */
	bool snp_off;           /* SNP_INIT was not done */
	unsigned sockets;       /* 0: one */
	/* What CPUID says on the processor, against which a guest's CPUID page is checked. Copied. */
	const struct abi_cpuid_entry *cpuid;
	unsigned cpuid_count;
};

struct psp;

/*
 * The processor as the kernel's driver leaves it at boot: INIT (SEV-ES enabled) and, if the product knows
 * SNP and the options do not say otherwise, SNP_INIT were done. Cheap: libcrypto is loaded and keys are made
 * by the first command that needs them. ERR_FAILED, or ERR_USAGE for an unknown product, ASIDs that make no
 * sense (es_asids <= asids, 1 <= asids <= PSP_ASIDS_MAX, snp_asids <= es_asids), or more than PSP_CPUID_MAX
 * CPUID entries.
 */
int psp_create(const struct psp_options *options, struct psp **ret_psp, struct err *err) MUST_CHECK;
void psp_destroy(struct psp *psp); /* wipes every key; NULL is allowed */

#define PSP_ASIDS_MAX      2048
#define PSP_CPUID_MAX      256
#define PSP_SEV_GUESTS_MAX 1024 /* then LAUNCH_START and RECEIVE_START answer RESOURCE_LIMIT */
#define PSP_SNP_GUESTS_MAX \
	4096 /* a bound of this platform; the firmware keeps contexts in the host's pages */

/* ---- commands: their names, their count, their failure on request ---- */

enum psp_command {
	PSP_CMD_INIT,
	PSP_CMD_SHUTDOWN,
	PSP_CMD_PLATFORM_RESET,
	PSP_CMD_PLATFORM_STATUS,
	PSP_CMD_PEK_GEN,
	PSP_CMD_PEK_CSR,
	PSP_CMD_PEK_CERT_IMPORT,
	PSP_CMD_PDH_GEN,
	PSP_CMD_PDH_CERT_EXPORT,
	PSP_CMD_DF_FLUSH,
	PSP_CMD_GET_ID,
	PSP_CMD_LAUNCH_START,
	PSP_CMD_LAUNCH_UPDATE_DATA,
	PSP_CMD_LAUNCH_UPDATE_VMSA,
	PSP_CMD_LAUNCH_MEASURE,
	PSP_CMD_LAUNCH_SECRET,
	PSP_CMD_LAUNCH_FINISH,
	PSP_CMD_ATTESTATION,
	PSP_CMD_SEND_START,
	PSP_CMD_SEND_UPDATE_DATA,
	PSP_CMD_SEND_UPDATE_VMSA,
	PSP_CMD_SEND_FINISH,
	PSP_CMD_SEND_CANCEL,
	PSP_CMD_RECEIVE_START,
	PSP_CMD_RECEIVE_UPDATE_DATA,
	PSP_CMD_RECEIVE_UPDATE_VMSA,
	PSP_CMD_RECEIVE_FINISH,
	PSP_CMD_GUEST_STATUS,
	PSP_CMD_ACTIVATE,
	PSP_CMD_DEACTIVATE,
	PSP_CMD_DECOMMISSION,
	PSP_CMD_DBG_DECRYPT,
	PSP_CMD_DBG_ENCRYPT,
	PSP_CMD_SNP_INIT,
	PSP_CMD_SNP_SHUTDOWN,
	PSP_CMD_SNP_PLATFORM_STATUS,
	PSP_CMD_SNP_COMMIT,
	PSP_CMD_SNP_CONFIG,
	PSP_CMD_SNP_VLEK_LOAD,
	PSP_CMD_SNP_FEATURE_INFO,
	PSP_CMD_SNP_GCTX_CREATE,
	PSP_CMD_SNP_ACTIVATE,
	PSP_CMD_SNP_DECOMMISSION,
	PSP_CMD_SNP_LAUNCH_START,
	PSP_CMD_SNP_LAUNCH_UPDATE,
	PSP_CMD_SNP_LAUNCH_FINISH,
	PSP_CMD_SNP_GUEST_REPORT, /* MSG_REPORT_REQ of SNP_GUEST_REQUEST */
	PSP_COMMANDS,
	PSP_CMD_ANY = PSP_COMMANDS
};

const char *psp_command_name(enum psp_command command); /* "LAUNCH_START"; "any" */

/*
 * For tests: the nth next command (from 1) of this kind, or of any, answers with code and does nothing else.
 * One failure is prepared at a time, the latest; nth 0 takes it back.
 */
void psp_fail(struct psp *psp, enum psp_command command, unsigned nth, uint32_t code);
/* How many commands of this kind, or of any, were given since the processor was made. */
uint64_t psp_command_count(struct psp *psp, enum psp_command command);

/* ---- the platform: /dev/sev ---- */

enum psp_platform_state { PSP_PLATFORM_UNINIT, PSP_PLATFORM_INIT, PSP_PLATFORM_WORKING };

/*
 * INIT and SHUTDOWN of SEV; the driver gives them, not the user. INIT: only in UNINIT, makes the platform's
 * keys if there are none. SHUTDOWN: in any state, ends every SEV guest. SNP's are refused with
 * INVALID_PLATFORM_STATE unless SEV is UNINIT, and SNP_INIT the second time. SNP_SHUTDOWN forgets the
 * contexts of SNP guests and the VLEK; while an ASID is active or not flushed it is DFFLUSH_REQUIRED.
 */
uint32_t psp_init(struct psp *psp, bool es);
uint32_t psp_shutdown(struct psp *psp);
uint32_t psp_snp_init(struct psp *psp);
uint32_t psp_snp_shutdown(struct psp *psp);

/*
 * An ASID whose guest ran stays dirty after DEACTIVATE: it may be activated again (else DFFLUSH_REQUIRED)
 * only after every core did WBINVD (psp_wbinvd() says so; no command) and then DF_FLUSH (else
 * WBINVD_REQUIRED). An ASID whose guest never came to RUNNING stays clean. The driver flushes when it has no
 * clean ASID left.
 */
void psp_wbinvd(struct psp *psp);
uint32_t psp_df_flush(struct psp *psp);

struct psp_platform_status {
	uint8_t api_major, api_minor, state, build;
	bool owned, es;
	uint32_t guest_count;
};

uint32_t psp_platform_status(struct psp *psp, struct psp_platform_status *ret_status);
/*
 * PLATFORM_RESET, which the kernel calls FACTORY_RESET: only in UNINIT, so after SHUTDOWN; else
 * INVALID_PLATFORM_STATE. Forgets owner, PEK and PDH; the next INIT makes new ones.
 */
uint32_t psp_factory_reset(struct psp *psp);
/*
 * Commands whose answer the caller must have room for (PEK_CSR, PDH_CERT_EXPORT, GET_ID; of guests
 * LAUNCH_MEASURE, ATTESTATION, SEND_START, SEND_UPDATE_*): NULL says that there is none, which is INVALID_LEN
 * where AMD's firmware looks at lengths.
 */
uint32_t psp_pek_gen(struct psp *psp);
uint32_t psp_pek_csr(struct psp *psp, struct abi_sev_cert *ret_csr);
uint32_t psp_pek_cert_import(struct psp *psp, const struct abi_sev_cert *pek, const struct abi_sev_cert *oca);
uint32_t psp_pdh_gen(struct psp *psp);
/* The CEK is unsigned, see psp_export_sev_cek(). */
uint32_t psp_pdh_cert_export(
        struct psp *psp, struct abi_sev_cert *ret_pdh, struct abi_sev_cert_chain *ret_chain);
uint32_t psp_get_id(struct psp *psp, uint8_t *ret_id); /* 64 bytes */

uint32_t psp_snp_platform_status(struct psp *psp, struct uapi_sev_snp_status *ret_status);
/*
 * SNP_FEATURE_INFO, index 0 of CPUID Fn8000_0024: bits of ECX that say which bits of a policy the firmware
 * knows (PAGE_SWAP_DISABLE goes without, by ABI 1.58). What it knows the platform need not have: only
 * LAUNCH_START tells. Other indices: all zeros.
 */
#define PSP_FEATURE_RAPL_DIS          (1u << 2)
#define PSP_FEATURE_CIPHERTEXT_HIDING (1u << 3)
#define PSP_FEATURE_AES_256_XTS       (1u << 4)
#define PSP_FEATURE_CXL_ALLOW         (1u << 5)
uint32_t psp_snp_feature_info(struct psp *psp, uint32_t index, uint32_t ret_registers[static 4]);
uint32_t psp_snp_commit(struct psp *psp);
uint32_t psp_snp_set_config(struct psp *psp, const struct uapi_sev_snp_config *config);
/*
 * From then on the VLEK signs reports, until SNP_CONFIG changes the reported TCB. INVALID_LEN, BAD_SVN
 * (wrapped for another TCB), BAD_MEASUREMENT (not for this chip).
 */
#define PSP_VLEK_BYTES 432
uint32_t psp_snp_vlek_load(struct psp *psp, const void *wrapped, size_t size);

/*
 * The certificates that end in the simulated roots, for who verifies: VCEK, ASK and ARK of SNP in PEM, each
 * the caller's to free; ASK and ARK of SEV in AMD's binary format. The roots' names say that they are a
 * simulation.
 */
int psp_export_snp_certs(
        struct psp *psp, char **ret_vcek_pem, char **ret_chain_pem, struct err *err) MUST_CHECK;
/* The same three as DER, the bytes the caller's to free. */
enum { PSP_EXPORT_VCEK, PSP_EXPORT_ASK, PSP_EXPORT_ARK, PSP_EXPORTS };
struct psp_export {
	uint8_t *bytes;
	size_t size;
};
int psp_export_snp_der(
        struct psp *psp, struct psp_export ret_certs[static PSP_EXPORTS], struct err *err) MUST_CHECK;
/*
 * A provider's key for this chip and its reported TCB, for SNP_VLEK_LOAD; its certificate, whose provider is
 * "CN=" and csp_id (1 to 32 characters); and the ASVK, which signed it, with the ARK. In PEM, the caller's to
 * free.
 */
int psp_export_vlek(struct psp *psp, const char *csp_id, uint8_t ret_wrapped[static PSP_VLEK_BYTES],
        char **ret_vlek_pem, char **ret_chain_pem, struct err *err) MUST_CHECK;
/* The CEK signed by the ASK, which the CEK of PDH_CERT_EXPORT is not: it is AMD who signs it. */
int psp_export_sev_cek(struct psp *psp, struct abi_sev_cert *ret_cek, struct err *err) MUST_CHECK;
int psp_export_sev_ask_ark(struct psp *psp, uint8_t **ret_data, size_t *ret_size, struct err *err) MUST_CHECK;

/* ---- memory encryption: one key an ASID (encrypt.c) ---- */

/* AES-128 over blocks of 16 bytes, each tied to its address (XTS whose data unit is the block). Any thread.
 */
struct psp_cipher;

/* NULL: no guest is active with this ASID. It lives until the guest is deactivated or decommissioned. */
const struct psp_cipher *psp_cipher(struct psp *psp, uint32_t asid);
/* address and size in multiples of 16; from and to may be equal. address stands for the system physical one.
 */
void psp_encrypt(const struct psp_cipher *cipher, uint64_t address, const void *from, void *to, size_t size);
void psp_decrypt(const struct psp_cipher *cipher, uint64_t address, const void *from, void *to, size_t size);

/*
 * ---- SEV and SEV-ES guests; handles are the firmware's, from 1 ----
 *
 * Every command but a START answers INVALID_GUEST for a handle that is nobody's and INVALID_GUEST_STATE for a
 * guest in a state that the command is not for (the table in firmware.c). What is authenticated and is not
 * right, be it a session, a policy, a secret or a packet, is BAD_MEASUREMENT and changes nothing.
 */

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

/*
 * *handle 0: a guest with a new key; else one that shares that guest's. Either way *handle becomes the new
 * guest's. godh NULL: the guest has no owner; session and policy are not looked at and the transport keys are
 * zero, as in AMD's firmware. session NULL beside a godh: INVALID_LEN.
 */
uint32_t psp_launch_start(struct psp *psp, uint32_t *handle, uint32_t policy, const struct abi_sev_cert *godh,
        const struct abi_sev_session *session);
uint32_t psp_activate(struct psp *psp, uint32_t handle, uint32_t asid);
uint32_t psp_deactivate(struct psp *psp, uint32_t handle);
uint32_t psp_decommission(struct psp *psp, uint32_t handle);
/*
 * Memory of an active guest (else INACTIVE), changed where it is: data points to its bytes, address is the
 * system physical one. Both address and size are multiples of 16, else INVALID_ADDRESS or INVALID_LEN.
 * LAUNCH_UPDATE_* hash, then encrypt.
 */
uint32_t psp_launch_update_data(struct psp *psp, uint32_t handle, void *data, uint64_t address, size_t size);
uint32_t psp_launch_update_vmsa(struct psp *psp, uint32_t handle, struct abi_vmsa *vmsa, uint64_t address);
uint32_t psp_launch_measure(struct psp *psp, uint32_t handle, struct abi_sev_measure *ret_measure);
uint32_t psp_launch_secret(struct psp *psp, uint32_t handle, const struct abi_sev_secret_header *header,
        const void *packet, void *data, uint64_t address, size_t size);
uint32_t psp_launch_finish(struct psp *psp, uint32_t handle);
uint32_t psp_guest_status(struct psp *psp, uint32_t handle, struct psp_sev_status *ret_status);
uint32_t psp_attestation_report(
        struct psp *psp, uint32_t handle, const uint8_t mnonce[static 16], struct abi_sev_report *ret_report);
/* guest is memory of the guest (encrypted), plain that of the caller. POLICY_FAILURE if the policy says
 * NODBG. */
uint32_t psp_dbg_decrypt(
        struct psp *psp, uint32_t handle, const void *guest, uint64_t address, void *plain, size_t size);
uint32_t psp_dbg_encrypt(
        struct psp *psp, uint32_t handle, const void *plain, void *guest, uint64_t address, size_t size);

/*
 * Moving a guest (SEV API, SEND_START to RECEIVE_FINISH). SEND_START judges the receiver by its certificates:
 * a policy with SEV wants the chain up to the (simulated) ARK in amd, one with DOMAIN the sender's OCA; with
 * neither, chain and amd may be NULL. The session is for the receiver, which needs the sender's PDH, too.
 * That there is no room for it is INVALID_LEN in every state; the header of a packet, even for a guest that
 * is not. Packets are at most PSP_PACKET_MAX_BYTES long; guest memory as above.
 */
#define PSP_PACKET_MAX_BYTES 0x5000

struct psp_receiver {
	const struct abi_sev_cert *pdh; /* NULL here and in chain: of a wrong length */
	const struct abi_sev_cert_chain *chain;
	const void *amd; /* ASK, then ARK, in AMD's format */
	size_t amd_size;
};

uint32_t psp_send_start(struct psp *psp, uint32_t handle, const struct psp_receiver *receiver,
        uint32_t *ret_policy, struct abi_sev_session *ret_session);
uint32_t psp_send_update_data(struct psp *psp, uint32_t handle, const void *data, uint64_t address,
        size_t size, struct abi_sev_secret_header *ret_header, void *ret_packet);
uint32_t psp_send_update_vmsa(struct psp *psp, uint32_t handle, const struct abi_vmsa *vmsa, uint64_t address,
        struct abi_sev_secret_header *ret_header, void *ret_packet);
uint32_t psp_send_finish(struct psp *psp, uint32_t handle);
uint32_t psp_send_cancel(struct psp *psp, uint32_t handle);
/* As LAUNCH_START, but pdh and session are needed. */
uint32_t psp_receive_start(struct psp *psp, uint32_t *handle, uint32_t policy, const struct abi_sev_cert *pdh,
        const struct abi_sev_session *session);
uint32_t psp_receive_update_data(struct psp *psp, uint32_t handle, const struct abi_sev_secret_header *header,
        const void *packet, void *data, uint64_t address, size_t size);
uint32_t psp_receive_update_vmsa(struct psp *psp, uint32_t handle, const struct abi_sev_secret_header *header,
        const void *packet, struct abi_vmsa *vmsa, uint64_t address);
uint32_t psp_receive_finish(struct psp *psp, uint32_t handle);

/* ---- SNP guests; a context's number stands for its page's address, from 1 ---- */

uint32_t psp_gctx_create(struct psp *psp, uint32_t *ret_gctx);
uint32_t psp_snp_activate(struct psp *psp, uint32_t gctx, uint32_t asid); /* after LAUNCH_START */
uint32_t psp_snp_decommission(struct psp *psp, uint32_t gctx);            /* deactivates, too */
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

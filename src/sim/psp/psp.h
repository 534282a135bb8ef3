/* SPDX-License-Identifier: Apache-2.0 */
/*
 * psp: the secure processor of the software platform. It carries out the commands of AMD's firmware, with
 * real cryptography and keys that come from a seed. It knows nothing of KVM or of descriptors; sev/command.c
 * and sev/device.c give it bytes that they have copied in. Every command answers with the firmware's code
 * (enum psp_code; 0: done). Any thread may call; the secure processor has one lock of its own. It shares no
 * code with launch/ and attest/, because it is the judge of these rooms. Law: SEV API (55766), SNP ABI
 * (56860).
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
#include "vmm/sim.h"
#include "vmm/uapi.h"

#define PSP_TSC_FACTOR 200 /* how much slower than nominal the TSC runs, in 1 / 100,000; as on Genoa */

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

/* The processor and firmware to simulate. */
struct psp_options {
	uint64_t seed;       /* the same seed and the same commands give the same keys, reports and packets */
	const char *product; /* one of product_words, but "none" */
	uint8_t sev_major, sev_minor, sev_build; /* SEV API version and build */
	uint8_t snp_major, snp_minor, snp_build; /* SNP ABI version and build */
	uint64_t tcb;             /* current = committed = reported = launch TCB at the start */
	uint32_t asids, es_asids; /* 1..es_asids: SEV-ES and SNP; es_asids + 1..asids: SEV */
	uint32_t snp_asids; /* not 0: ciphertext hiding is on, and of these 1..snp_asids are SNP's alone */
	uint64_t vmsa_features; /* the bits that a VMSA may have in SEV_FEATURES */
	bool smt_off;           /* by the BIOS; if SMT is on, guests whose policy forbids it are refused */
	bool snp_off;           /* SNP_INIT was not done */
	unsigned sockets;       /* 0: one */
	/* The processor's own CPUID, against which a guest's CPUID page is checked. Copied. */
	const struct abi_cpuid_entry *cpuid;
	unsigned cpuid_count;
	void (*measured)(const struct sim_measured *measured); /* as in struct sim_options */
};

struct psp;

/*
 * Creates the secure processor as the kernel's driver leaves it at boot: INIT (SEV-ES enabled) has been done,
 * and SNP_INIT too, unless the product does not have SNP or the options turn it off. The call is cheap: the
 * first command that needs them loads libcrypto and makes the keys. ERR_FAILED; ERR_USAGE for an unknown
 * product, for more than PSP_CPUID_MAX CPUID entries, or for ASIDs that break a rule (es_asids <= asids, 1 <=
 * asids <= PSP_ASIDS_MAX, snp_asids <= es_asids).
 */
int psp_create(const struct psp_options *options, struct psp **ret_psp, struct err *err) MUST_CHECK;
/* Ends every guest, wipes every key and frees the processor. NULL is allowed. No command may be running. */
void psp_destroy(struct psp *psp);

#define PSP_ASIDS_MAX      2048
#define PSP_CPUID_MAX      256
#define PSP_SEV_GUESTS_MAX 1024 /* beyond it LAUNCH_START and RECEIVE_START answer RESOURCE_LIMIT */
#define PSP_SNP_GUESTS_MAX \
	4096 /* a limit of this platform alone: AMD's firmware keeps contexts in the host's pages */

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
	PSP_CMD_SNP_GUEST_REQUEST,
	PSP_CMD_SNP_GUEST_REPORT, /* psp_snp_report(), which is no command of AMD's */
	PSP_COMMANDS,
	PSP_CMD_ANY = PSP_COMMANDS
};

/* The name in the specifications, "LAUNCH_START"; "any" for PSP_CMD_ANY. Constant text. */
const char *psp_command_name(enum psp_command command);

/*
 * For tests: makes the nth next command (from 1) of this kind, or of any kind, answer with code and do
 * nothing else. Only the failure that was prepared last counts; nth 0 cancels it.
 */
void psp_fail(struct psp *psp, enum psp_command command, unsigned nth, uint32_t code);
/* Returns how many commands of this kind, or of any kind, the secure processor has been given so far. */
uint64_t psp_command_count(struct psp *psp, enum psp_command command);

/* ---- the platform: /dev/sev ---- */

enum psp_platform_state { PSP_PLATFORM_UNINIT, PSP_PLATFORM_INIT, PSP_PLATFORM_WORKING };

/*
 * INIT, which the driver gives, not the user. Allowed in UNINIT only. Makes the platform's keys if there are
 * none; es says whether guests may be of SEV-ES.
 */
uint32_t psp_init(struct psp *psp, bool es);
/* SHUTDOWN, which the driver gives in any state. Ends every SEV guest; the platform is UNINIT then. */
uint32_t psp_shutdown(struct psp *psp);
/* SNP_INIT. INVALID_PLATFORM_STATE if it was done already, or unless SEV is UNINIT. */
uint32_t psp_snp_init(struct psp *psp);
/*
 * SNP_SHUTDOWN. Forgets the contexts of SNP guests and the VLEK. INVALID_PLATFORM_STATE unless SEV is UNINIT;
 * DFFLUSH_REQUIRED while an ASID is active or not flushed.
 */
uint32_t psp_snp_shutdown(struct psp *psp);

/*
 * An ASID whose guest ran stays dirty after DEACTIVATE. ACTIVATE refuses it with DFFLUSH_REQUIRED until every
 * core has done WBINVD, which psp_wbinvd() reports (it is not a command), and DF_FLUSH has followed; a
 * DF_FLUSH without the WBINVD answers WBINVD_REQUIRED. An ASID whose guest never reached RUNNING stays clean.
 * The driver flushes when it has no clean ASID left.
 */
void psp_wbinvd(struct psp *psp);
/* DF_FLUSH. Dirty ASIDs that were written back become clean; WBINVD_REQUIRED if others stay dirty. */
uint32_t psp_df_flush(struct psp *psp);

struct psp_platform_status {
	uint8_t api_major, api_minor, state, build;
	bool owned, es;
	uint32_t guest_count;
};

/* PLATFORM_STATUS: versions, state and how many SEV guests there are. Allowed in any state. */
uint32_t psp_platform_status(struct psp *psp, struct psp_platform_status *ret_status);
/*
 * PLATFORM_RESET, which the kernel calls FACTORY_RESET. It is allowed only in UNINIT, that is, after
 * SHUTDOWN; in other states it answers INVALID_PLATFORM_STATE. It forgets owner, PEK and PDH; the next INIT
 * makes new ones.
 */
uint32_t psp_factory_reset(struct psp *psp);
/*
 * For the answers of PEK_CSR, PDH_CERT_EXPORT and GET_ID, and of the guests' commands LAUNCH_MEASURE,
 * ATTESTATION, SEND_START and SEND_UPDATE_*, the caller provides room. NULL means that the caller has no
 * room; the command then answers INVALID_LEN at the point where AMD's firmware checks lengths.
 */

/* PEK_GEN. Makes a new OCA of the platform's own, a new PEK and a new PDH. */
uint32_t psp_pek_gen(struct psp *psp);
/* PEK_CSR. The PEK's certificate without signatures, for an owner to sign. */
uint32_t psp_pek_csr(struct psp *psp, struct abi_sev_cert *ret_csr);
/*
 * PEK_CERT_IMPORT. Takes the owner's OCA and the PEK that it signed; makes a new PDH. ALREADY_OWNED;
 * INVALID_CERTIFICATE if a signature is wrong or the PEK is not this platform's.
 */
uint32_t psp_pek_cert_import(struct psp *psp, const struct abi_sev_cert *pek, const struct abi_sev_cert *oca);
/* PDH_GEN. A new PDH, signed by the PEK that there is. */
uint32_t psp_pdh_gen(struct psp *psp);
/* PDH_CERT_EXPORT. The PDH, and PEK, OCA and CEK. The CEK is unsigned, see psp_export_sev_cek(). */
uint32_t psp_pdh_cert_export(
        struct psp *psp, struct abi_sev_cert *ret_pdh, struct abi_sev_cert_chain *ret_chain);
/* GET_ID. The chip's id, 64 bytes. */
uint32_t psp_get_id(struct psp *psp, uint8_t *ret_id);

/* SNP_PLATFORM_STATUS: versions, state, features in use, TCBs, how many SNP guests there are. */
uint32_t psp_snp_platform_status(struct psp *psp, struct uapi_sev_snp_status *ret_status);
/*
 * SNP_FEATURE_INFO, index 0 of CPUID Fn8000_0024: bits of ECX say which bits of a policy the firmware knows
 * (in ABI 1.58, PAGE_SWAP_DISABLE has no such bit). The platform need not have what the firmware knows: only
 * LAUNCH_START shows that. Other indices answer with zeros.
 */
#define PSP_FEATURE_RAPL_DIS          (1u << 2)
#define PSP_FEATURE_CIPHERTEXT_HIDING (1u << 3)
#define PSP_FEATURE_AES_256_XTS       (1u << 4)
#define PSP_FEATURE_CXL_ALLOW         (1u << 5)
uint32_t psp_snp_feature_info(struct psp *psp, uint32_t index, uint32_t ret_registers[static 4]);
/* SNP_COMMIT. The committed TCB becomes the current one. */
uint32_t psp_snp_commit(struct psp *psp);
/*
 * SNP_CONFIG. Sets the reported TCB (0: the committed one) and whether reports hide the chip's id or are not
 * signed by its key. INVALID_PARAM for a TCB above the committed one, or for reserved bits.
 */
uint32_t psp_snp_set_config(struct psp *psp, const struct uapi_sev_snp_config *config);
/*
 * Loads a VLEK, which signs reports from then on, until SNP_CONFIG changes the reported TCB. INVALID_LEN,
 * BAD_SVN (wrapped for another TCB), BAD_MEASUREMENT (not wrapped for this chip).
 */
#define PSP_VLEK_BYTES 432
uint32_t psp_snp_vlek_load(struct psp *psp, const void *wrapped, size_t size);

/*
 * Exports the certificates that a verifier needs, up to the simulated roots: VCEK, ASK and ARK of SNP in PEM,
 * each freed by the caller; ASK and ARK of SEV in AMD's binary format. The names of the roots say that they
 * are simulated.
 */
int psp_export_snp_certs(
        struct psp *psp, char **ret_vcek_pem, char **ret_chain_pem, struct err *err) MUST_CHECK;
/*
 * Exports the same three certificates of SNP as DER, or with csp_id (else NULL; see psp_export_vlek()) that
 * of the provider's key, ASVK and ARK. The caller frees the bytes. ERR_USAGE: the product has no SNP, or
 * csp_id is too long or empty.
 */
enum { PSP_EXPORT_LEAF, PSP_EXPORT_ASK, PSP_EXPORT_ARK, PSP_EXPORTS };
struct psp_export {
	uint8_t *bytes;
	size_t size;
};
int psp_export_snp_der(struct psp *psp, const char *csp_id, struct psp_export ret_certs[static PSP_EXPORTS],
        struct err *err) MUST_CHECK;
/*
 * Makes a provider's key for this chip and its reported TCB, wrapped for SNP_VLEK_LOAD; the certificate of
 * that key, whose provider is "CN=" and csp_id (1 to 32 characters); and the chain of ASVK, which signed the
 * certificate, and ARK. The certificates are in PEM; the caller frees them.
 */
int psp_export_vlek(struct psp *psp, const char *csp_id, uint8_t ret_wrapped[static PSP_VLEK_BYTES],
        char **ret_vlek_pem, char **ret_chain_pem, struct err *err) MUST_CHECK;
/*
 * Exports the CEK with the signature of the ASK. PDH_CERT_EXPORT gives the CEK without it, because AMD's key
 * server, not the platform, signs the CEK.
 */
int psp_export_sev_cek(struct psp *psp, struct abi_sev_cert *ret_cek, struct err *err) MUST_CHECK;
int psp_export_sev_ask_ark(struct psp *psp, uint8_t **ret_data, size_t *ret_size, struct err *err) MUST_CHECK;

/* ---- memory encryption: one key an ASID (encrypt.c) ---- */

/*
 * Encrypts blocks of 16 bytes with AES-128, each tied to its address (XTS with a page as data unit). Any
 * thread.
 */
struct psp_cipher;

/*
 * Returns the cipher of an ASID; NULL if no guest is active with it. The cipher lives until the guest is
 * deactivated or decommissioned.
 */
const struct psp_cipher *psp_cipher(struct psp *psp, uint32_t asid);
/*
 * address stands for the system physical address. address and size are multiples of 16. from and to may be
 * equal.
 */
void psp_encrypt(const struct psp_cipher *cipher, uint64_t address, const void *from, void *to, size_t size);
void psp_decrypt(const struct psp_cipher *cipher, uint64_t address, const void *from, void *to, size_t size);

/*
 * ---- SEV and SEV-ES guests; handles are the firmware's, from 1 ----
 *
 * Every command but LAUNCH_START and RECEIVE_START answers INVALID_GUEST for a handle that no guest has, and
 * INVALID_GUEST_STATE if the command is not allowed in the guest's state (see the table in firmware.c). A
 * session, policy, secret or packet whose authentication fails is refused with BAD_MEASUREMENT and changes
 * nothing.
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
 * Adds a guest. With *handle 0 it gets a new key; otherwise it shares the key of the guest that has this
 * handle. *handle becomes the handle of the new guest. If godh is NULL, the guest has no owner: session and
 * policy are not looked at and the transport keys are zero, as in AMD's firmware. INVALID_LEN if session is
 * NULL but godh is not.
 */
uint32_t psp_launch_start(struct psp *psp, uint32_t *handle, uint32_t policy, const struct abi_sev_cert *godh,
        const struct abi_sev_session *session);
/* ACTIVATE. INVALID_ASID (not for this kind of guest), ASID_OWNED, ACTIVE, DFFLUSH_REQUIRED. */
uint32_t psp_activate(struct psp *psp, uint32_t handle, uint32_t asid);
/* DEACTIVATE. The ASID is dirty then if the guest ran. INACTIVE if it has none. */
uint32_t psp_deactivate(struct psp *psp, uint32_t handle);
/* DECOMMISSION. Wipes the guest; its handle is free then. ACTIVE while it has an ASID. */
uint32_t psp_decommission(struct psp *psp, uint32_t handle);
/*
 * These commands change the memory of an active guest in place (INACTIVE if it is not active). data points to
 * the bytes, address is their system physical address. Both address and size must be multiples of 16
 * (INVALID_ADDRESS, INVALID_LEN). LAUNCH_UPDATE_* hash the memory, then encrypt it.
 */
uint32_t psp_launch_update_data(struct psp *psp, uint32_t handle, void *data, uint64_t address, size_t size);
/* LAUNCH_UPDATE_VMSA. UNSUPPORTED unless the policy says SEV-ES. */
uint32_t psp_launch_update_vmsa(struct psp *psp, uint32_t handle, struct abi_vmsa *vmsa, uint64_t address);
/* LAUNCH_MEASURE. Nothing can be added to the launch afterwards. */
uint32_t psp_launch_measure(struct psp *psp, uint32_t handle, struct abi_sev_measure *ret_measure);
/* LAUNCH_SECRET. Puts the packet's secret, size bytes, into guest memory. BAD_MEASUREMENT, INVALID_LEN. */
uint32_t psp_launch_secret(struct psp *psp, uint32_t handle, const struct abi_sev_secret_header *header,
        const void *packet, void *data, uint64_t address, size_t size);
/* LAUNCH_FINISH. The guest runs; its transport keys are wiped. */
uint32_t psp_launch_finish(struct psp *psp, uint32_t handle);
/* GUEST_STATUS. Allowed in every state of the guest. */
uint32_t psp_guest_status(struct psp *psp, uint32_t handle, struct psp_sev_status *ret_status);
/* ATTESTATION. A report of the launch digest with the caller's nonce, signed by the PEK. */
uint32_t psp_attestation_report(
        struct psp *psp, uint32_t handle, const uint8_t mnonce[static 16], struct abi_sev_report *ret_report);
/* guest is the guest's memory (encrypted), plain is the caller's. POLICY_FAILURE if the policy has NODBG. */
uint32_t psp_dbg_decrypt(
        struct psp *psp, uint32_t handle, const void *guest, uint64_t address, void *plain, size_t size);
/* As psp_dbg_decrypt(), the other way. */
uint32_t psp_dbg_encrypt(
        struct psp *psp, uint32_t handle, const void *plain, void *guest, uint64_t address, size_t size);

/*
 * Moving a guest (SEV API, SEND_START to RECEIVE_FINISH). SEND_START judges the receiver by its certificates:
 * a policy with SEV demands the chain up to the (simulated) ARK in amd, a policy with DOMAIN demands the
 * sender's OCA; with neither, chain and amd may be NULL. The session that SEND_START makes is for the
 * receiver, which also needs the sender's PDH. Without room for the session, SEND_START answers INVALID_LEN
 * in every state of the guest; without room for the header of a packet, SEND_UPDATE_* do so even if the guest
 * does not exist. Packets are at most PSP_PACKET_MAX_BYTES long; guest memory is passed as above.
 */
#define PSP_PACKET_MAX_BYTES 0x5000

struct psp_receiver {
	const struct abi_sev_cert *pdh; /* NULL here or in chain: its length was wrong */
	const struct abi_sev_cert_chain *chain;
	const void *amd; /* ASK, then ARK, in AMD's format */
	size_t amd_size;
};

/* SEND_START. POLICY_FAILURE, INVALID_CERTIFICATE, INVALID_LEN. */
uint32_t psp_send_start(struct psp *psp, uint32_t handle, const struct psp_receiver *receiver,
        uint32_t *ret_policy, struct abi_sev_session *ret_session);
/* SEND_UPDATE_DATA. Guest memory becomes a packet of the same length. INVALID_LEN without room for it. */
uint32_t psp_send_update_data(struct psp *psp, uint32_t handle, const void *data, uint64_t address,
        size_t size, struct abi_sev_secret_header *ret_header, void *ret_packet);
/* SEND_UPDATE_VMSA. UNSUPPORTED unless the policy says SEV-ES. */
uint32_t psp_send_update_vmsa(struct psp *psp, uint32_t handle, const struct abi_vmsa *vmsa, uint64_t address,
        struct abi_sev_secret_header *ret_header, void *ret_packet);
/* SEND_FINISH. The guest is sent and never runs here again; the transport keys are wiped. */
uint32_t psp_send_finish(struct psp *psp, uint32_t handle);
/* SEND_CANCEL. The guest runs on here; the transport keys are wiped. */
uint32_t psp_send_cancel(struct psp *psp, uint32_t handle);
/* As LAUNCH_START, but pdh and session must not be NULL. */
uint32_t psp_receive_start(struct psp *psp, uint32_t *handle, uint32_t policy, const struct abi_sev_cert *pdh,
        const struct abi_sev_session *session);
/* RECEIVE_UPDATE_DATA. A packet of psp_send_update_data() becomes guest memory. BAD_MEASUREMENT. */
uint32_t psp_receive_update_data(struct psp *psp, uint32_t handle, const struct abi_sev_secret_header *header,
        const void *packet, void *data, uint64_t address, size_t size);
/* RECEIVE_UPDATE_VMSA. UNSUPPORTED unless the policy says SEV-ES; BAD_MEASUREMENT. */
uint32_t psp_receive_update_vmsa(struct psp *psp, uint32_t handle, const struct abi_sev_secret_header *header,
        const void *packet, struct abi_vmsa *vmsa, uint64_t address);
/* RECEIVE_FINISH. The guest runs; the transport keys are wiped. */
uint32_t psp_receive_finish(struct psp *psp, uint32_t handle);

/* ---- SNP guests; a context's number stands for its page's address, from 1 ---- */

/* SNP_GCTX_CREATE. RESOURCE_LIMIT if PSP_SNP_GUESTS_MAX contexts are there. */
uint32_t psp_gctx_create(struct psp *psp, uint32_t *ret_gctx);
/* SNP_ACTIVATE, after LAUNCH_START. POLICY_FAILURE (one socket demanded), and as psp_activate(). */
uint32_t psp_snp_activate(struct psp *psp, uint32_t gctx, uint32_t asid);
/* SNP_DECOMMISSION. Takes the guest's ASID back and wipes its context. */
uint32_t psp_snp_decommission(struct psp *psp, uint32_t gctx);
/* SNP_LAUNCH_START. POLICY_FAILURE if firmware or platform cannot keep the policy. */
uint32_t psp_snp_launch_start(
        struct psp *psp, uint32_t gctx, uint64_t policy, const uint8_t gosvw[static 16]);
/*
 * page is 4096 bytes of plaintext of the guest. It is measured as its type demands, and a secrets page is
 * filled. A CPUID page is checked; on INVALID_PARAM, page holds the corrected table. The page stays
 * plaintext: the caller encrypts it. type is an enum abi_page_type; for a VMSA, gpa is ABI_VMSA_GPA.
 */
uint32_t psp_snp_launch_update(
        struct psp *psp, uint32_t gctx, enum abi_page_type type, uint64_t gpa, void *page);
/*
 * SNP_LAUNCH_FINISH. The guest runs. block and auth may be NULL only if finish does not use an ID block
 * (INVALID_ADDRESS). INACTIVE; for a wrong ID block BAD_MEASUREMENT, POLICY_FAILURE, INVALID_PARAM or
 * BAD_SIGNATURE.
 */
uint32_t psp_snp_launch_finish(struct psp *psp, uint32_t gctx,
        const struct uapi_sev_snp_launch_finish *finish, const struct abi_id_block *block,
        const struct abi_id_auth *auth); /* NULL if finish does not use it */
/*
 * SNP_GUEST_REQUEST. Answers the message of a guest that runs (include/vmm/abi/message.h). Both pages have
 * 4096 bytes and may be the same. Without PSP_SUCCESS the response stays as it is, and the guest may send the
 * same sequence number again: INVALID_PARAM (header, type or version), BAD_MEASUREMENT (not what the guest
 * sealed), AEAD_OFLOW (not the next sequence number, or the last one). What is wrong with a request itself
 * says the status in the response, which only the guest can read.
 */
uint32_t psp_snp_guest_request(struct psp *psp, uint32_t gctx, const void *request, void *ret_response);
/*
 * Makes a guest's attestation report, as MSG_REPORT_REQ does, signed with the VCEK or, if one is loaded, the
 * VLEK.
 */
uint32_t psp_snp_report(struct psp *psp, uint32_t gctx, const uint8_t report_data[static 64], uint32_t vmpl,
        struct abi_snp_report *ret_report);

/* ---- for tests, and for observers of the platform ---- */

struct psp_guest_view {
	bool snp;
	uint32_t handle, asid; /* of SNP: the context's number */
	uint64_t policy;
	const char *state; /* "LUPDATE", "RUNNING"; of SNP: "INIT", "LAUNCH", "RUNNING" */
	uint8_t digest[SHA384_BYTES];
	unsigned digest_bytes;
};

/* Describes the n-th living guest, from 0. Returns false if there are fewer guests. */
bool psp_guest_view(struct psp *psp, unsigned n, struct psp_guest_view *ret_view);

#endif

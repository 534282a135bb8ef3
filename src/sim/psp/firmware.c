/* SPDX-License-Identifier: Apache-2.0 */
/*
 * firmware: creates and destroys the secure processor, frames each of its commands, and says in which states
 * each command is allowed. Any thread may call; one lock guards everything. SEV API, chapters 4 and 5; SNP
 * ABI, chapter 8.
 */
#include <string.h>

#include <openssl/err.h>

#include "internal.h"

#define UNINIT  (1u << PSP_PLATFORM_UNINIT)
#define INIT    (1u << PSP_PLATFORM_INIT)
#define WORKING (1u << PSP_PLATFORM_WORKING)
#define ANY     (UNINIT | INIT | WORKING)

#define SEV(state) (1u << PSP_SEV_##state)
#define SNP(state) (1u << SNP_##state)

/* NEEDS_SNP: SNP_INIT must have been done. KEYLESS: the command works without libcrypto. */
enum { NEEDS_SNP = 1, SNP_PRODUCT = 2, KEYLESS = 4 };

/*
 * The allowed states of guests are those of AMD's published firmware, amd/AMD-ASPFW: state_tbl_sev[] of
 * sev_guest.c and the checks of sev_mcmd.c. For example, LAUNCH_FINISH is refused before LAUNCH_MEASURE
 * (sev_mcmd_launch_finish()).
 */
static const struct {
	const char *name;
	uint8_t platform; /* states of SEV's platform; SNP's commands allow any */
	uint8_t guest;    /* states; 0: any */
	uint8_t flags;
} commands[] = {
        [PSP_CMD_INIT] = {"INIT", UNINIT},
        [PSP_CMD_SHUTDOWN] = {"SHUTDOWN", ANY},
        [PSP_CMD_PLATFORM_RESET] = {"PLATFORM_RESET", UNINIT},
        [PSP_CMD_PLATFORM_STATUS] = {"PLATFORM_STATUS", ANY, 0, KEYLESS},
        [PSP_CMD_PEK_GEN] = {"PEK_GEN", INIT},
        [PSP_CMD_PEK_CSR] = {"PEK_CSR", INIT | WORKING},
        [PSP_CMD_PEK_CERT_IMPORT] = {"PEK_CERT_IMPORT", INIT},
        [PSP_CMD_PDH_GEN] = {"PDH_GEN", INIT | WORKING},
        [PSP_CMD_PDH_CERT_EXPORT] = {"PDH_CERT_EXPORT", INIT | WORKING},
        [PSP_CMD_DF_FLUSH] = {"DF_FLUSH", ANY, 0, KEYLESS},
        [PSP_CMD_GET_ID] = {"GET_ID", ANY},
        [PSP_CMD_LAUNCH_START] = {"LAUNCH_START", INIT | WORKING},
        [PSP_CMD_LAUNCH_UPDATE_DATA] = {"LAUNCH_UPDATE_DATA", WORKING, SEV(LUPDATE)},
        [PSP_CMD_LAUNCH_UPDATE_VMSA] = {"LAUNCH_UPDATE_VMSA", WORKING, SEV(LUPDATE)},
        [PSP_CMD_LAUNCH_MEASURE] = {"LAUNCH_MEASURE", WORKING, SEV(LUPDATE)},
        [PSP_CMD_LAUNCH_SECRET] = {"LAUNCH_SECRET", WORKING, SEV(LSECRET)},
        [PSP_CMD_LAUNCH_FINISH] = {"LAUNCH_FINISH", WORKING, SEV(LSECRET)},
        [PSP_CMD_ATTESTATION] = {"ATTESTATION", WORKING,
                SEV(LSECRET) | SEV(RUNNING) | SEV(SUPDATE) | SEV(SENT)},
        [PSP_CMD_SEND_START] = {"SEND_START", WORKING, SEV(RUNNING)},
        [PSP_CMD_SEND_UPDATE_DATA] = {"SEND_UPDATE_DATA", WORKING, SEV(SUPDATE)},
        [PSP_CMD_SEND_UPDATE_VMSA] = {"SEND_UPDATE_VMSA", WORKING, SEV(SUPDATE)},
        [PSP_CMD_SEND_FINISH] = {"SEND_FINISH", WORKING, SEV(SUPDATE)},
        [PSP_CMD_SEND_CANCEL] = {"SEND_CANCEL", WORKING, SEV(SUPDATE)},
        [PSP_CMD_RECEIVE_START] = {"RECEIVE_START", INIT | WORKING},
        [PSP_CMD_RECEIVE_UPDATE_DATA] = {"RECEIVE_UPDATE_DATA", WORKING, SEV(RUPDATE)},
        [PSP_CMD_RECEIVE_UPDATE_VMSA] = {"RECEIVE_UPDATE_VMSA", WORKING, SEV(RUPDATE)},
        [PSP_CMD_RECEIVE_FINISH] = {"RECEIVE_FINISH", WORKING, SEV(RUPDATE)},
        [PSP_CMD_GUEST_STATUS] = {"GUEST_STATUS", WORKING},
        [PSP_CMD_ACTIVATE] = {"ACTIVATE", WORKING},
        [PSP_CMD_DEACTIVATE] = {"DEACTIVATE", WORKING},
        [PSP_CMD_DECOMMISSION] = {"DECOMMISSION", WORKING},
        [PSP_CMD_DBG_DECRYPT] = {"DBG_DECRYPT", WORKING},
        [PSP_CMD_DBG_ENCRYPT] = {"DBG_ENCRYPT", WORKING},
        [PSP_CMD_SNP_INIT] = {"SNP_INIT", ANY, 0, SNP_PRODUCT},
        [PSP_CMD_SNP_SHUTDOWN] = {"SNP_SHUTDOWN", ANY, 0, SNP_PRODUCT},
        [PSP_CMD_SNP_PLATFORM_STATUS] = {"SNP_PLATFORM_STATUS", ANY, 0, SNP_PRODUCT | KEYLESS},
        [PSP_CMD_SNP_COMMIT] = {"SNP_COMMIT", ANY, 0, SNP_PRODUCT},
        [PSP_CMD_SNP_CONFIG] = {"SNP_CONFIG", ANY, 0, SNP_PRODUCT},
        [PSP_CMD_SNP_VLEK_LOAD] = {"SNP_VLEK_LOAD", ANY, 0, SNP_PRODUCT},
        [PSP_CMD_SNP_FEATURE_INFO] = {"SNP_FEATURE_INFO", ANY, 0, SNP_PRODUCT | KEYLESS},
        [PSP_CMD_SNP_GCTX_CREATE] = {"SNP_GCTX_CREATE", ANY, 0, NEEDS_SNP},
        [PSP_CMD_SNP_ACTIVATE] = {"SNP_ACTIVATE", ANY, SNP(LAUNCH) | SNP(RUNNING), NEEDS_SNP},
        [PSP_CMD_SNP_DECOMMISSION] = {"SNP_DECOMMISSION", ANY, 0, NEEDS_SNP},
        [PSP_CMD_SNP_LAUNCH_START] = {"SNP_LAUNCH_START", ANY, SNP(INIT), NEEDS_SNP},
        [PSP_CMD_SNP_LAUNCH_UPDATE] = {"SNP_LAUNCH_UPDATE", ANY, SNP(LAUNCH), NEEDS_SNP},
        [PSP_CMD_SNP_LAUNCH_FINISH] = {"SNP_LAUNCH_FINISH", ANY, SNP(LAUNCH), NEEDS_SNP},
        [PSP_CMD_SNP_GUEST_REQUEST] = {"SNP_GUEST_REQUEST", ANY, SNP(RUNNING), NEEDS_SNP},
        [PSP_CMD_SNP_GUEST_REPORT] = {"SNP_GUEST_REPORT", ANY, SNP(RUNNING), NEEDS_SNP},
};
_Static_assert(ARRAY_LEN(commands) == PSP_COMMANDS, "every command has its row");

const char *psp_command_name(enum psp_command command)
{
	return command < PSP_COMMANDS ? commands[command].name : "any";
}

/* ---- the frame ---- */

/* Returns the code of the failure that a test prepared, if it is due at this command. */
static uint32_t injected(struct psp *psp, enum psp_command command)
{
	struct psp_failure *failure = &psp->failure;

	if (failure->left == 0 || (failure->command != PSP_CMD_ANY && failure->command != command) ||
	        --failure->left)
		return PSP_SUCCESS;
	return failure->code;
}

static uint32_t platform_check(struct psp *psp, enum psp_command command)
{
	unsigned flags = commands[command].flags;

	if ((flags & (SNP_PRODUCT | NEEDS_SNP)) && !psp->product->snp)
		return PSP_INVALID_COMMAND;
	if (!(commands[command].platform & (1u << psp->state)) || ((flags & NEEDS_SNP) && !psp->snp_init))
		return PSP_INVALID_PLATFORM_STATE;
	return (flags & KEYLESS) || psp_keys_of_chip(psp) ? PSP_SUCCESS : PSP_BROKEN;
}

struct psp_call psp_command_enter(struct psp *psp, enum psp_command command)
{
	struct psp_call call = {.psp = psp};

	pthread_mutex_lock(&psp->lock);
	psp->counts[command]++;
	call.code = injected(psp, command);
	if (call.code == PSP_SUCCESS)
		call.code = platform_check(psp, command);
	return call;
}

void psp_command_leave(const struct psp_call *call)
{
	struct psp *psp = call->psp;

	if (psp->has_keys) /* a refusal may have left an error in OpenSSL's queue */
		ERR_clear_error();
	pthread_mutex_unlock(&psp->lock);
}

static uint32_t state_check(enum psp_command command, unsigned state)
{
	uint8_t states = commands[command].guest;

	return states == 0 || (states & (1u << state)) ? PSP_SUCCESS : PSP_INVALID_GUEST_STATE;
}

struct psp_call psp_command_enter_sev(
        struct psp *psp, enum psp_command command, uint32_t handle, struct psp_sev_guest **ret_guest)
{
	struct psp_call call = psp_command_enter(psp, command);

	if (call.code)
		return call;
	call.code = PSP_INVALID_GUEST;
	if (handle == 0 || handle > PSP_SEV_GUESTS_MAX || !psp->guests[handle - 1])
		return call;
	*ret_guest = psp->guests[handle - 1];
	call.code = state_check(command, (*ret_guest)->state);
	return call;
}

struct psp_call psp_command_enter_snp(
        struct psp *psp, enum psp_command command, uint32_t gctx, struct psp_snp_guest **ret_guest)
{
	struct psp_call call = psp_command_enter(psp, command);

	if (call.code)
		return call;
	call.code = PSP_INVALID_GUEST;
	if (gctx == 0 || gctx > PSP_SNP_GUESTS_MAX || !psp->contexts[gctx - 1])
		return call;
	*ret_guest = psp->contexts[gctx - 1];
	call.code = state_check(command, (*ret_guest)->state);
	return call;
}

void psp_fail(struct psp *psp, enum psp_command command, unsigned nth, uint32_t code)
{
	pthread_mutex_lock(&psp->lock);
	psp->failure = (struct psp_failure){command, nth, code};
	pthread_mutex_unlock(&psp->lock);
}

uint64_t psp_command_count(struct psp *psp, enum psp_command command)
{
	uint64_t count = 0;

	pthread_mutex_lock(&psp->lock);
	for (int i = 0; i < PSP_COMMANDS; i++) {
		if (command == PSP_CMD_ANY || (int)command == i)
			count += psp->counts[i];
	}
	pthread_mutex_unlock(&psp->lock);
	return count;
}

/* ---- beginning and end ---- */

static int check_options(const struct psp_options *options, struct err *err)
{
	const struct product *product = product_find(options->product);

	if (!product || !product->signature)
		return err_set(err, ERR_USAGE, "the software platform has no processor \"%s\"",
		        options->product ?: "");
	if (!options->asids || options->es_asids > options->asids || options->asids > PSP_ASIDS_MAX)
		return err_set(err, ERR_USAGE,
		        "%u ASIDs, %u of them for SEV-ES and SNP: the first must be 1 to %d, the second at "
		        "most as many",
		        options->asids, options->es_asids, PSP_ASIDS_MAX);
	if (options->snp_asids > options->es_asids)
		return err_set(err, ERR_USAGE, "of %u ASIDs for SEV-ES and SNP %u cannot be SNP's alone",
		        options->es_asids, options->snp_asids);
	if (options->cpuid_count > PSP_CPUID_MAX)
		return err_set(err, ERR_USAGE, "%u entries of CPUID are more than %d", options->cpuid_count,
		        PSP_CPUID_MAX);
	return 0;
}

int psp_create(const struct psp_options *options, struct psp **ret_psp, struct err *err)
{
	struct psp *psp;

	if (check_options(options, err) < 0)
		return -1;
	psp = calloc(1, sizeof(*psp));
	if (!psp)
		return err_set(err, ERR_FAILED, "no memory for the secure processor");
	pthread_mutex_init(&psp->lock, NULL);
	psp->options = *options;
	psp->product = product_find(options->product);
	psp->options.product = psp->product->name;
	psp->asids = calloc(options->asids + 1, sizeof(*psp->asids));
	psp->cpuid = calloc(options->cpuid_count + 1, sizeof(*psp->cpuid));
	if (!psp->asids || !psp->cpuid) {
		psp_destroy(psp);
		return err_set(err, ERR_FAILED, "no memory for the secure processor");
	}
	if (options->cpuid_count)
		memcpy(psp->cpuid, options->cpuid, options->cpuid_count * sizeof(*psp->cpuid));
	psp->options.cpuid = psp->cpuid;
	psp->committed_tcb = psp->reported_tcb = options->tcb;
	psp->state = PSP_PLATFORM_INIT;
	psp->es = true;
	psp->snp_init = psp->product->snp && !options->snp_off;
	*ret_psp = psp;
	return 0;
}

void psp_destroy(struct psp *psp)
{
	if (!psp)
		return;
	psp_sev_guests_end(psp);
	psp_snp_guests_end(psp);
	pthread_mutex_destroy(&psp->lock);
	free(psp->asids);
	free(psp->cpuid);
	crypto_wipe(psp, sizeof(*psp));
	free(psp);
}

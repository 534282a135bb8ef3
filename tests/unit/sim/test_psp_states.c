/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every command in every state: SEV API, chapters 5 and 6, and SNP ABI, chapter 8, say which are allowed. The
 * tables here are written from there, not from the processor's.
 */
#include "psp_bench.h"
#include "vmm/abi/policy.h"

#define ADDRESS 0x4000

/* A processor with a guest that is to be brought to a state, and the other processor that it comes from. */
struct bench {
	struct psp *psp, *peer;
	uint32_t handle;
	_Alignas(16) uint8_t memory[PAGE_SIZE_BYTES];
	struct abi_sev_secret_header header;
	uint8_t packet[PAGE_SIZE_BYTES];
};

enum { NONE, LUPDATE, LSECRET, RUNNING, SUPDATE, RUPDATE, SENT, SEV_STATES };
static const char *const sev_names[] = {"", "LUPDATE", "LSECRET", "RUNNING", "SUPDATE", "RUPDATE", "SENT"};

static void send_to(struct psp *from, uint32_t handle, struct psp *to, struct abi_sev_session *ret_session)
{
	struct abi_sev_cert pdh;
	struct abi_sev_cert_chain chain;
	const struct psp_receiver receiver = {.pdh = &pdh};
	uint32_t policy;

	assert_code(psp_pdh_cert_export(to, &pdh, &chain), PSP_SUCCESS);
	assert_code(psp_send_start(from, handle, &receiver, &policy, ret_session), PSP_SUCCESS);
}

static uint32_t launched(struct psp *psp, int upto)
{
	struct abi_sev_measure measure;
	uint32_t handle = 0;

	assert_code(psp_launch_start(psp, &handle, ABI_SEV_POLICY_ES, NULL, NULL), PSP_SUCCESS);
	assert_code(psp_activate(psp, handle, 1), PSP_SUCCESS);
	if (upto >= LSECRET)
		assert_code(psp_launch_measure(psp, handle, &measure), PSP_SUCCESS);
	if (upto >= RUNNING)
		assert_code(psp_launch_finish(psp, handle), PSP_SUCCESS);
	return handle;
}

/* A guest of the peer, half received. */
static uint32_t received(struct bench *b)
{
	struct abi_sev_session session;
	struct abi_sev_cert pdh;
	struct abi_sev_cert_chain chain;
	uint32_t handle = 0, theirs = launched(b->peer, RUNNING);

	send_to(b->peer, theirs, b->psp, &session);
	assert_code(psp_send_update_data(b->peer, theirs, b->memory, ADDRESS, 16, &b->header, b->packet),
	        PSP_SUCCESS);
	assert_code(psp_pdh_cert_export(b->peer, &pdh, &chain), PSP_SUCCESS);
	assert_code(psp_receive_start(b->psp, &handle, ABI_SEV_POLICY_ES, &pdh, &session), PSP_SUCCESS);
	assert_code(psp_activate(b->psp, handle, 1), PSP_SUCCESS);
	return handle;
}

static void bench_init(struct bench *b, int state)
{
	struct abi_sev_session session;

	*b = (struct bench){.psp = bench_psp("Milan"), .peer = bench_psp("Rome")};
	if (state == NONE)
		launched(b->psp, LUPDATE); /* so that the platform is WORKING; handle 0 is nobody's */
	else if (state == RUPDATE)
		b->handle = received(b);
	else
		b->handle = launched(b->psp, state < RUNNING ? state : RUNNING);
	if (state == SUPDATE || state == SENT)
		send_to(b->psp, b->handle, b->peer, &session);
	if (state == SENT)
		assert_code(psp_send_finish(b->psp, b->handle), PSP_SUCCESS);
}

static void bench_finish(struct bench *b)
{
	psp_destroy(b->psp);
	psp_destroy(b->peer);
}

/* ---- commands, all with arguments that are right ---- */

static uint32_t update_data(struct bench *b)
{
	return psp_launch_update_data(b->psp, b->handle, b->memory, ADDRESS, 16);
}

static uint32_t update_vmsa(struct bench *b)
{
	return psp_launch_update_vmsa(b->psp, b->handle, (struct abi_vmsa *)b->memory, ADDRESS);
}

static uint32_t measure(struct bench *b)
{
	struct abi_sev_measure result;

	return psp_launch_measure(b->psp, b->handle, &result);
}

/* The guest has no owner's keys, so a secret that passes the check of the state is refused as a wrong one. */
static uint32_t secret(struct bench *b)
{
	return psp_launch_secret(b->psp, b->handle, &b->header, b->packet, b->memory, ADDRESS, 16);
}

static uint32_t finish(struct bench *b)
{
	return psp_launch_finish(b->psp, b->handle);
}

static uint32_t attestation(struct bench *b)
{
	struct abi_sev_report report;

	return psp_attestation_report(b->psp, b->handle, b->packet, &report);
}

static uint32_t send_start(struct bench *b)
{
	struct abi_sev_session session;
	struct abi_sev_cert pdh;
	struct abi_sev_cert_chain chain;
	const struct psp_receiver receiver = {.pdh = &pdh};
	uint32_t policy;

	assert_code(psp_pdh_cert_export(b->peer, &pdh, &chain), PSP_SUCCESS);
	return psp_send_start(b->psp, b->handle, &receiver, &policy, &session);
}

static uint32_t send_data(struct bench *b)
{
	return psp_send_update_data(b->psp, b->handle, b->memory, ADDRESS, 16, &b->header, b->packet);
}

static uint32_t send_vmsa(struct bench *b)
{
	return psp_send_update_vmsa(
	        b->psp, b->handle, (struct abi_vmsa *)b->memory, ADDRESS, &b->header, b->packet);
}

static uint32_t send_finish(struct bench *b)
{
	return psp_send_finish(b->psp, b->handle);
}

static uint32_t send_cancel(struct bench *b)
{
	return psp_send_cancel(b->psp, b->handle);
}

static uint32_t receive_data(struct bench *b)
{
	return psp_receive_update_data(b->psp, b->handle, &b->header, b->packet, b->memory, ADDRESS, 16);
}

static uint32_t receive_finish(struct bench *b)
{
	return psp_receive_finish(b->psp, b->handle);
}

static uint32_t guest_status(struct bench *b)
{
	struct psp_sev_status status;

	return psp_guest_status(b->psp, b->handle, &status);
}

static uint32_t activate(struct bench *b)
{
	return psp_activate(b->psp, b->handle, 2);
}

static uint32_t deactivate(struct bench *b)
{
	return psp_deactivate(b->psp, b->handle);
}

static uint32_t decommission(struct bench *b)
{
	return psp_decommission(b->psp, b->handle);
}

static uint32_t dbg_decrypt(struct bench *b)
{
	return psp_dbg_decrypt(b->psp, b->handle, b->memory, ADDRESS, b->packet, 16);
}

static uint32_t dbg_encrypt(struct bench *b)
{
	return psp_dbg_encrypt(b->psp, b->handle, b->packet, b->memory, ADDRESS, 16);
}

/* ---- tables: o done, g INVALID_GUEST, s INVALID_GUEST_STATE, p INVALID_PLATFORM_STATE, others by name ----
 */

static uint32_t code_of(char letter)
{
	switch (letter) {
	case 'g': return PSP_INVALID_GUEST;
	case 's': return PSP_INVALID_GUEST_STATE;
	case 'p': return PSP_INVALID_PLATFORM_STATE;
	case 'm': return PSP_BAD_MEASUREMENT;
	case 'a': return PSP_ACTIVE;
	case 'i': return PSP_INVALID_PARAM;
	default: return PSP_SUCCESS;
	}
}

struct row {
	const char *name;
	uint32_t (*call)(struct bench *b);
	const char *codes; /* by state */
	const char *next;  /* where it goes if it is done; NULL: nowhere else */
};

static const struct row sev_rows[] = {
        {"LAUNCH_UPDATE_DATA", update_data, "gosssss", NULL},
        {"LAUNCH_UPDATE_VMSA", update_vmsa, "gosssss", NULL},
        {"LAUNCH_MEASURE", measure, "gosssss", "LSECRET"},
        {"LAUNCH_SECRET", secret, "gsmssss", NULL},
        {"LAUNCH_FINISH", finish, "gsossss", "RUNNING"},
        {"ATTESTATION", attestation, "gsoooso", NULL},
        {"SEND_START", send_start, "gssosss", "SUPDATE"},
        {"SEND_UPDATE_DATA", send_data, "gsssoss", NULL},
        {"SEND_UPDATE_VMSA", send_vmsa, "gsssoss", NULL},
        {"SEND_FINISH", send_finish, "gsssoss", "SENT"},
        {"SEND_CANCEL", send_cancel, "gsssoss", "RUNNING"},
        {"RECEIVE_UPDATE_DATA", receive_data, "gssssos", NULL},
        {"RECEIVE_FINISH", receive_finish, "gssssos", "RUNNING"},
        {"GUEST_STATUS", guest_status, "goooooo", NULL},
        {"ACTIVATE", activate, "gaaaaaa", NULL},
        {"DEACTIVATE", deactivate, "goooooo", NULL},
        {"DECOMMISSION", decommission, "gaaaaaa", NULL},
        {"DBG_DECRYPT", dbg_decrypt, "goooooo", NULL},
        {"DBG_ENCRYPT", dbg_encrypt, "goooooo", NULL},
};

static const char *state_name(struct bench *b)
{
	struct psp_guest_view view;

	assert_true(psp_guest_view(b->psp, 0, &view));
	return view.state;
}

static void test_psp_sev_command_in_each_state_gives_its_code(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(sev_rows); i++) {
		for (int s = NONE; s < SEV_STATES; s++) {
			const struct row *row = &sev_rows[i];
			struct bench b;
			uint32_t code, wanted = code_of(row->codes[s]);

			bench_init(&b, s);
			code = row->call(&b);
			if (code != wanted)
				fail_msg("%s in %s: code %u, not %u", row->name, sev_names[s], code, wanted);
			if (s != NONE)
				assert_string_equal(state_name(&b),
				        code == PSP_SUCCESS && row->next ? row->next : sev_names[s]);
			bench_finish(&b);
		}
	}
}

/* ---- the platform ---- */

static uint32_t init(struct bench *b)
{
	return psp_init(b->psp, true);
}

static uint32_t shutdown_(struct bench *b)
{
	return psp_shutdown(b->psp);
}

static uint32_t reset(struct bench *b)
{
	return psp_factory_reset(b->psp);
}

static uint32_t platform_status(struct bench *b)
{
	struct psp_platform_status status;

	return psp_platform_status(b->psp, &status);
}

static uint32_t pek_gen(struct bench *b)
{
	return psp_pek_gen(b->psp);
}

static uint32_t pek_csr(struct bench *b)
{
	struct abi_sev_cert csr;

	return psp_pek_csr(b->psp, &csr);
}

static uint32_t pdh_gen(struct bench *b)
{
	return psp_pdh_gen(b->psp);
}

static uint32_t pdh_export(struct bench *b)
{
	struct abi_sev_cert pdh;
	struct abi_sev_cert_chain chain;

	return psp_pdh_cert_export(b->psp, &pdh, &chain);
}

static uint32_t df_flush(struct bench *b)
{
	return psp_df_flush(b->psp);
}

static uint32_t get_id(struct bench *b)
{
	return psp_get_id(b->psp, b->packet);
}

static uint32_t launch_start(struct bench *b)
{
	uint32_t handle = 0;

	return psp_launch_start(b->psp, &handle, 0, NULL, NULL);
}

static uint32_t import(struct bench *b)
{
	static const struct abi_sev_cert bad;

	return psp_pek_cert_import(b->psp, &bad, &bad) == PSP_INVALID_CERTIFICATE
	               ? PSP_SUCCESS
	               : PSP_INVALID_PLATFORM_STATE;
}

/* UNINIT, INIT, WORKING; next as PLATFORM_STATUS gives it. */
static const struct {
	const char *name;
	uint32_t (*call)(struct bench *b);
	const char *codes;
	int next; /* -1: as before */
} platform_rows[] = {
        {"INIT", init, "opp", PSP_PLATFORM_INIT},
        {"SHUTDOWN", shutdown_, "ooo", PSP_PLATFORM_UNINIT},
        {"PLATFORM_RESET", reset, "opp", PSP_PLATFORM_UNINIT},
        {"PLATFORM_STATUS", platform_status, "ooo", -1},
        {"PEK_GEN", pek_gen, "pop", -1},
        {"PEK_CSR", pek_csr, "poo", -1},
        {"PEK_CERT_IMPORT", import, "pop", -1},
        {"PDH_GEN", pdh_gen, "poo", -1},
        {"PDH_CERT_EXPORT", pdh_export, "poo", -1},
        {"DF_FLUSH", df_flush, "ooo", -1},
        {"GET_ID", get_id, "ooo", -1},
        {"LAUNCH_START", launch_start, "poo", PSP_PLATFORM_WORKING},
        {"GUEST_STATUS", guest_status, "ppo", -1},
        {"LAUNCH_FINISH", finish, "ppo", -1},
};

static void platform_bring(struct bench *b, int state)
{
	bench_init(b, LSECRET);
	if (state == PSP_PLATFORM_WORKING)
		return;
	assert_code(psp_deactivate(b->psp, b->handle), PSP_SUCCESS);
	assert_code(psp_decommission(b->psp, b->handle), PSP_SUCCESS);
	if (state == PSP_PLATFORM_UNINIT)
		assert_code(psp_shutdown(b->psp), PSP_SUCCESS);
}

static void test_psp_platform_command_in_each_state_gives_its_code(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(platform_rows); i++) {
		for (int s = PSP_PLATFORM_UNINIT; s <= PSP_PLATFORM_WORKING; s++) {
			struct psp_platform_status status;
			struct bench b;
			uint32_t code;
			char wanted = platform_rows[i].codes[s];
			int next = platform_rows[i].next;

			platform_bring(&b, s);
			assert_code(psp_platform_status(b.psp, &status), PSP_SUCCESS);
			assert_int_equal(status.state, s);
			code = platform_rows[i].call(&b);
			if (code != code_of(wanted))
				fail_msg("%s in state %d: code %u", platform_rows[i].name, s, code);
			assert_code(psp_platform_status(b.psp, &status), PSP_SUCCESS);
			assert_int_equal(status.state, code == PSP_SUCCESS && next >= 0 ? next : s);
			bench_finish(&b);
		}
	}
}

/* ---- SNP ---- */

static uint32_t snp_start(struct bench *b)
{
	return psp_snp_launch_start(b->psp, b->handle, 0x30000, b->packet);
}

static uint32_t snp_activate(struct bench *b)
{
	return psp_snp_activate(b->psp, b->handle, 2);
}

static uint32_t snp_update(struct bench *b)
{
	return psp_snp_launch_update(b->psp, b->handle, ABI_PAGE_NORMAL, 0, b->memory);
}

static uint32_t snp_finish(struct bench *b)
{
	static const struct uapi_sev_snp_launch_finish none;

	return psp_snp_launch_finish(b->psp, b->handle, &none, NULL, NULL);
}

static uint32_t snp_report(struct bench *b)
{
	struct abi_snp_report report;

	return psp_snp_report(b->psp, b->handle, b->packet, 0, &report);
}

/* A page of zeros is no message. */
static uint32_t snp_guest_request(struct bench *b)
{
	static const uint8_t zeros[PAGE_SIZE_BYTES];
	uint8_t response[PAGE_SIZE_BYTES];

	return psp_snp_guest_request(b->psp, b->handle, zeros, response);
}

static uint32_t snp_decommission(struct bench *b)
{
	return psp_snp_decommission(b->psp, b->handle);
}

/* No context, INIT, LAUNCH, RUNNING. */
static const struct row snp_rows[] = {
        {"SNP_LAUNCH_START", snp_start, "goss", "LAUNCH"},
        {"SNP_ACTIVATE", snp_activate, "gsaa", NULL},
        {"SNP_LAUNCH_UPDATE", snp_update, "gsos", NULL},
        {"SNP_LAUNCH_FINISH", snp_finish, "gsos", "RUNNING"},
        {"SNP_GUEST_REQUEST", snp_guest_request, "gssi", NULL},
        {"MSG_REPORT_REQ", snp_report, "gsso", NULL},
        {"SNP_DECOMMISSION", snp_decommission, "gooo", NULL},
};

static void test_psp_snp_command_in_each_state_gives_its_code(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(snp_rows); i++) {
		for (int s = 0; s < 4; s++) {
			struct bench b = {.psp = bench_psp("Milan"), .peer = NULL};
			uint32_t code;

			if (s >= 1)
				assert_code(psp_gctx_create(b.psp, &b.handle), PSP_SUCCESS);
			if (s >= 2) {
				assert_code(snp_start(&b), PSP_SUCCESS);
				assert_code(psp_snp_activate(b.psp, b.handle, 1), PSP_SUCCESS);
			}
			if (s >= 3)
				assert_code(snp_finish(&b), PSP_SUCCESS);
			code = snp_rows[i].call(&b);
			if (code != code_of(snp_rows[i].codes[s]))
				fail_msg("%s in state %d: code %u", snp_rows[i].name, s, code);
			if (code == PSP_SUCCESS && snp_rows[i].next)
				assert_string_equal(state_name(&b), snp_rows[i].next);
			bench_finish(&b);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_psp_sev_command_in_each_state_gives_its_code),
	        cmocka_unit_test(test_psp_platform_command_in_each_state_gives_its_code),
	        cmocka_unit_test(test_psp_snp_command_in_each_state_gives_its_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

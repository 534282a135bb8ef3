/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guests that move from one processor to another.
 */
#include "psp_bench.h"
#include "vmm/abi/policy.h"

#define FROM 0x10000 /* addresses differ, and so do the keys of both sides */
#define TO   0x70000

struct pair {
	struct psp *from, *to;
	uint32_t sent, came;
	struct abi_sev_cert pdh; /* of the receiver */
	struct abi_sev_cert_chain chain;
	uint8_t *amd;
	size_t amd_size;
	_Alignas(16) uint8_t plain[PAGE_SIZE_BYTES], there[PAGE_SIZE_BYTES], here[PAGE_SIZE_BYTES];
};

static void pair_init(struct pair *p, uint32_t policy)
{
	struct psp_options options = bench_options("Rome");
	struct abi_sev_measure measure;
	struct err err;

	*p = (struct pair){.from = bench_psp("Milan")};
	options.seed++;
	assert_ok(psp_create(&options, &p->to, &err));
	for (size_t i = 0; i < sizeof(p->plain); i++)
		p->plain[i] = (uint8_t)(i * 7 + (i >> 8));
	memcpy(p->there, p->plain, sizeof(p->plain));
	assert_code(psp_launch_start(p->from, &p->sent, policy, NULL, NULL), PSP_SUCCESS);
	assert_code(psp_activate(p->from, p->sent, policy & ABI_SEV_POLICY_ES ? 1 : 9), PSP_SUCCESS);
	assert_code(psp_launch_update_data(p->from, p->sent, p->there, FROM, sizeof(p->there)), PSP_SUCCESS);
	assert_code(psp_launch_measure(p->from, p->sent, &measure), PSP_SUCCESS);
	assert_code(psp_launch_finish(p->from, p->sent), PSP_SUCCESS);
	assert_code(psp_pdh_cert_export(p->to, &p->pdh, &p->chain), PSP_SUCCESS);
	assert_ok(psp_export_sev_cek(p->to, &p->chain.cek, &err));
	assert_ok(psp_export_sev_ask_ark(p->to, &p->amd, &p->amd_size, &err));
}

static void pair_finish(struct pair *p)
{
	psp_destroy(p->from);
	psp_destroy(p->to);
	free(p->amd);
}

static uint32_t send_start(struct pair *p, struct abi_sev_session *ret_session)
{
	const struct psp_receiver receiver = {&p->pdh, &p->chain, p->amd, p->amd_size};
	uint32_t policy;

	return psp_send_start(p->from, p->sent, &receiver, &policy, ret_session);
}

static uint32_t receive_start(struct pair *p, uint32_t policy, const struct abi_sev_session *session)
{
	struct abi_sev_cert pdh;
	struct abi_sev_cert_chain chain;

	assert_code(psp_pdh_cert_export(p->from, &pdh, &chain), PSP_SUCCESS);
	p->came = 0;
	return psp_receive_start(p->to, &p->came, policy, &pdh, session);
}

static void test_psp_guest_moves_to_another_processor(void **state)
{
	const uint32_t policy = ABI_SEV_POLICY_ES | ABI_SEV_POLICY_SEV;
	uint8_t packet[PAGE_SIZE_BYTES], back[PAGE_SIZE_BYTES];
	struct abi_sev_secret_header header;
	struct abi_sev_session session;
	struct psp_guest_view view;
	struct pair p;

	pair_init(&p, policy);
	assert_code(send_start(&p, &session), PSP_SUCCESS);
	assert_code(receive_start(&p, policy, &session), PSP_SUCCESS);
	assert_code(psp_receive_update_data(p.to, p.came, &header, packet, p.here, TO, 16), PSP_INACTIVE);
	assert_code(psp_activate(p.to, p.came, 2), PSP_SUCCESS);
	assert_code(psp_send_update_data(p.from, p.sent, p.there, FROM, 2048, &header, packet), PSP_SUCCESS);
	assert_memory_not_equal(packet, p.plain, 16);
	assert_code(psp_receive_update_data(p.to, p.came, &header, packet, p.here, TO, 2048), PSP_SUCCESS);
	assert_code(psp_send_update_vmsa(p.from, p.sent, (struct abi_vmsa *)p.there, FROM, &header, packet),
	        PSP_SUCCESS);
	assert_code(psp_receive_update_vmsa(p.to, p.came, &header, packet, (struct abi_vmsa *)p.here, TO),
	        PSP_SUCCESS);
	assert_code(psp_send_finish(p.from, p.sent), PSP_SUCCESS);
	assert_code(psp_receive_finish(p.to, p.came), PSP_SUCCESS);
	psp_decrypt(psp_cipher(p.to, 2), TO, p.here, back, sizeof(back));
	assert_memory_equal(back, p.plain, sizeof(back));
	assert_memory_not_equal(p.here, p.there, 64);
	assert_true(psp_guest_view(p.to, 0, &view));
	assert_string_equal(view.state, "RUNNING");
	assert_true(view.policy == policy);
	assert_true(psp_guest_view(p.from, 0, &view));
	assert_string_equal(view.state, "SENT");
	pair_finish(&p);
}

static void test_psp_cancelled_guest_runs_on_and_can_be_sent_again(void **state)
{
	uint8_t packet[16], again[16];
	struct abi_sev_secret_header header;
	struct abi_sev_session session;
	struct pair p;

	pair_init(&p, 0);
	assert_code(send_start(&p, &session), PSP_SUCCESS);
	assert_code(psp_send_update_data(p.from, p.sent, p.there, FROM, 16, &header, packet), PSP_SUCCESS);
	assert_code(psp_send_cancel(p.from, p.sent), PSP_SUCCESS);
	assert_code(psp_send_update_data(p.from, p.sent, p.there, FROM, 16, &header, packet),
	        PSP_INVALID_GUEST_STATE);
	assert_code(receive_start(&p, 0, &session), PSP_SUCCESS); /* the old session's keys ... */
	assert_code(psp_activate(p.to, p.came, 9), PSP_SUCCESS);
	assert_code(send_start(&p, &session), PSP_SUCCESS);
	assert_code(psp_send_update_data(p.from, p.sent, p.there, FROM, 16, &header, again), PSP_SUCCESS);
	assert_memory_not_equal(packet, again, sizeof(packet));
	assert_code(psp_receive_update_data(p.to, p.came, &header, again, p.here, TO, 16),
	        PSP_BAD_MEASUREMENT); /* ... open nothing of the new one's */
	pair_finish(&p);
}

static void test_psp_packet_with_one_bit_flipped_is_refused(void **state)
{
	uint8_t packet[64];
	struct abi_sev_secret_header header;
	struct abi_sev_session session;
	struct pair p;

	pair_init(&p, 0);
	assert_code(send_start(&p, &session), PSP_SUCCESS);
	for (size_t bit = 0; bit < 8 * sizeof(session); bit += 31) {
		((uint8_t *)&session)[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_code(receive_start(&p, 0, &session), PSP_BAD_MEASUREMENT);
		((uint8_t *)&session)[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_code(receive_start(&p, ABI_SEV_POLICY_NODBG, &session), PSP_BAD_MEASUREMENT);
	assert_code(receive_start(&p, 0, &session), PSP_SUCCESS);
	assert_code(psp_activate(p.to, p.came, 9), PSP_SUCCESS);
	assert_code(psp_send_update_data(p.from, p.sent, p.there, FROM, sizeof(packet), &header, packet),
	        PSP_SUCCESS);
	for (size_t bit = 0; bit < 8 * sizeof(header); bit += 3) {
		((uint8_t *)&header)[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_code(
		        psp_receive_update_data(p.to, p.came, &header, packet, p.here, TO, sizeof(packet)),
		        PSP_BAD_MEASUREMENT);
		((uint8_t *)&header)[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_code(psp_receive_update_data(p.to, p.came, &header, packet, p.here, TO, 48),
	        PSP_BAD_MEASUREMENT); /* cut */
	packet[63] ^= 0x80;
	assert_code(psp_receive_update_data(p.to, p.came, &header, packet, p.here, TO, sizeof(packet)),
	        PSP_BAD_MEASUREMENT);
	pair_finish(&p);
}

static void test_psp_packet_of_wrong_form_is_refused(void **state)
{
	static uint8_t large[PSP_PACKET_MAX_BYTES + 16], packet[sizeof(large)];
	struct abi_sev_secret_header header;
	struct abi_sev_session session;
	struct pair p;

	pair_init(&p, 0);
	assert_code(send_start(&p, &session), PSP_SUCCESS);
	assert_code(psp_send_update_data(p.from, p.sent, large, FROM, sizeof(large), &header, packet),
	        PSP_INVALID_LEN);
	assert_code(psp_send_update_data(p.from, p.sent, large, FROM, 0, &header, packet), PSP_INVALID_LEN);
	assert_code(psp_send_update_data(p.from, p.sent, large, FROM, 15, &header, packet), PSP_INVALID_LEN);
	assert_code(psp_send_update_data(p.from, p.sent, large, FROM + 1, 16, &header, packet),
	        PSP_INVALID_ADDRESS);
	assert_code(psp_send_update_vmsa(p.from, p.sent, (struct abi_vmsa *)p.there, FROM, &header, packet),
	        PSP_UNSUPPORTED);
	assert_code(psp_send_update_data(p.from, p.sent, large, FROM, PSP_PACKET_MAX_BYTES, &header, packet),
	        PSP_SUCCESS);
	pair_finish(&p);
}

/* ---- whom a policy lets a guest go to ---- */

static uint32_t to_receiver(uint32_t policy, void (*spoil)(struct pair *p))
{
	struct abi_sev_session session;
	struct psp_guest_view view;
	struct pair p;
	uint32_t code;

	pair_init(&p, policy);
	if (spoil)
		spoil(&p);
	code = send_start(&p, &session);
	assert_true(psp_guest_view(p.from, 0, &view));
	assert_string_equal(view.state, code == PSP_SUCCESS ? "SUPDATE" : "RUNNING");
	pair_finish(&p);
	return code;
}

static void spoil_pdh(struct pair *p)
{
	p->pdh.sig[0].ecdsa.r[1] ^= 1;
}

static void spoil_pdh_usage(struct pair *p)
{
	p->pdh.usage = ABI_SEV_USAGE_PEK;
}

static void spoil_cek(struct pair *p)
{
	p->chain.cek.sig[0].rsa[100] ^= 1;
}

static void spoil_ark(struct pair *p)
{
	p->amd[p->amd_size - 1000] ^= 1;
}

static void spoil_amd(struct pair *p)
{
	p->amd_size = 0;
}

static void same_owner(struct pair *p)
{
	assert_code(psp_pdh_cert_export(p->from, &p->pdh, &p->chain), PSP_SUCCESS);
}

static void test_psp_policy_says_whom_a_guest_may_go_to(void **state)
{
	static const struct {
		uint32_t policy;
		void (*spoil)(struct pair *p);
		uint32_t code;
	} cases[] = {
	        {0, NULL, PSP_SUCCESS},
	        {0, spoil_pdh, PSP_SUCCESS}, /* nobody asked */
	        {0, spoil_pdh_usage, PSP_INVALID_CERTIFICATE},
	        {ABI_SEV_POLICY_NOSEND, NULL, PSP_POLICY_FAILURE},
	        {ABI_SEV_POLICY_SEV, NULL, PSP_SUCCESS},
	        {ABI_SEV_POLICY_SEV, spoil_pdh, PSP_INVALID_CERTIFICATE},
	        {ABI_SEV_POLICY_SEV, spoil_cek, PSP_INVALID_CERTIFICATE},
	        {ABI_SEV_POLICY_SEV, spoil_ark, PSP_INVALID_CERTIFICATE},
	        {ABI_SEV_POLICY_SEV, spoil_amd, PSP_INVALID_CERTIFICATE},
	        {ABI_SEV_POLICY_SEV | 0x38010000, NULL, PSP_POLICY_FAILURE}, /* it has 1.55 only */
	        {ABI_SEV_POLICY_SEV | 0x37010000, NULL, PSP_SUCCESS},
	        {ABI_SEV_POLICY_DOMAIN, NULL, PSP_POLICY_FAILURE}, /* another owner */
	        {ABI_SEV_POLICY_DOMAIN, spoil_pdh, PSP_INVALID_CERTIFICATE},
	        {ABI_SEV_POLICY_DOMAIN, same_owner, PSP_SUCCESS},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint32_t code = to_receiver(cases[i].policy, cases[i].spoil);

		if (code != cases[i].code)
			fail_msg("case %zu: code %u, not %u", i, code, cases[i].code);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_psp_guest_moves_to_another_processor),
	        cmocka_unit_test(test_psp_cancelled_guest_runs_on_and_can_be_sent_again),
	        cmocka_unit_test(test_psp_packet_with_one_bit_flipped_is_refused),
	        cmocka_unit_test(test_psp_packet_of_wrong_form_is_refused),
	        cmocka_unit_test(test_psp_policy_says_whom_a_guest_may_go_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of SNP guests: what the secure processor refuses, and how it answers. The guest's side is
 * message_guest.h, reports are judged by src/attest; both share nothing with the processor.
 */
#include "message_guest.h"
#include "psp_bench.h"

#include "psp/internal.h"
#include "vmm/attest.h"
#include "vmm/attest/report.h"

#define POLICY       0x30000
#define REPORT_BYTES 1184
#define FLAGS_AT     0x44 /* of MSG_REPORT_REQ: key_sel */
#define VMPL_AT      0x40

struct bench {
	struct psp *psp;
	uint32_t gctx;
	struct talker guest;
};

static void bench_launch(struct bench *b, const struct uapi_sev_snp_launch_finish *finish)
{
	uint8_t secrets[PAGE_SIZE_BYTES] = {0};

	assert_code(psp_gctx_create(b->psp, &b->gctx), PSP_SUCCESS);
	assert_code(psp_snp_launch_start(b->psp, b->gctx, POLICY, secrets), PSP_SUCCESS);
	assert_code(psp_snp_activate(b->psp, b->gctx, b->gctx), PSP_SUCCESS);
	assert_code(psp_snp_launch_update(b->psp, b->gctx, ABI_PAGE_SECRETS, 0x1000, secrets), PSP_SUCCESS);
	assert_code(psp_snp_launch_finish(b->psp, b->gctx, finish, NULL, NULL), PSP_SUCCESS);
	talker_init(&b->guest, secrets);
}

static void bench_init(struct bench *b)
{
	static const struct uapi_sev_snp_launch_finish none;

	b->psp = bench_psp("Milan");
	bench_launch(b, &none);
}

static uint32_t send(struct bench *b)
{
	return psp_snp_guest_request(b->psp, b->gctx, b->guest.request, b->guest.response);
}

/* Sends a right message and returns the payload of the answer. */
static const uint8_t *ask(
        struct bench *b, unsigned vmpck, uint8_t type, const void *payload, size_t size, size_t answer_size)
{
	message_write(&b->guest, vmpck, type, payload, size);
	message_seal(&b->guest, vmpck, size);
	assert_code(send(b), PSP_SUCCESS);
	return message_read(&b->guest, vmpck, type, answer_size);
}

/* Sends a request for a report; the answer is in the response. */
static const uint8_t *ask_report(struct bench *b, unsigned vmpck, uint32_t vmpl, uint32_t flags)
{
	uint8_t payload[96] = "a nonce";

	store_le(payload + VMPL_AT, 4, vmpl);
	store_le(payload + FLAGS_AT, 4, flags);
	return ask(b, vmpck, REPORT_REQ, payload, sizeof(payload), 32 + REPORT_BYTES);
}

/* ---- what is refused ---- */

/* Headers that are sealed rightly, and wrong. */
static const struct {
	uint8_t at, bytes;
	uint32_t value;
} headers[] = {
        {AT_ALGO, 1, 0},
        {AT_ALGO, 1, 2},
        {AT_HDR_VER, 1, 0},
        {AT_HDR_VER, 1, 2},
        {AT_HDR_SIZE, 2, 0x5f},
        {AT_HDR_SIZE, 2, 0x160},
        {AT_SIZE, 2, 0},
        {AT_SIZE, 2, 95},
        {AT_SIZE, 2, 104},
        {AT_SIZE, 2, 80}, /* less than the type needs */
        {AT_SIZE, 2, 4016},
        {AT_SIZE, 2, 0xfff0},
        {AT_VMPCK, 1, 4},
        {AT_VMPCK, 1, 0xff},
        {AT_VERSION, 1, 0},
        {AT_VERSION, 1, 2},
        {AT_TYPE, 1, 0},
        {AT_TYPE, 1, 6},
        {AT_TYPE, 1, 7}, /* of migration agents, as all to 16 */
        {AT_TYPE, 1, 16},
        {AT_TYPE, 1, 19},
        {AT_TYPE, 1, 0xff},
};

/* Without an answer nothing is counted and nothing is written. */
static void assert_refused(struct bench *b, uint32_t code)
{
	memset(b->guest.response, 0x5a, sizeof(b->guest.response));
	assert_code(send(b), code);
	for (size_t i = 0; i < sizeof(b->guest.response); i++)
		assert_int_equal(b->guest.response[i], 0x5a);
}

static void test_psp_message_with_a_wrong_header_is_refused(void **state)
{
	static const uint8_t payload[96];
	struct bench b;

	bench_init(&b);
	for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
		size_t size = sizeof(payload);

		message_write(&b.guest, 0, REPORT_REQ, payload, size);
		store_le(b.guest.request + headers[i].at, headers[i].bytes, headers[i].value);
		if (headers[i].at == AT_SIZE && headers[i].value <= PAYLOAD_MAX)
			size = headers[i].value;
		message_seal(&b.guest, 0, size);
		assert_refused(&b, PSP_INVALID_PARAM);
	}
	assert_int_equal(load_le(ask_report(&b, 0, 0, 0), 4), PSP_SUCCESS);
	psp_destroy(b.psp);
}

static void test_psp_message_with_one_bit_flipped_is_refused(void **state)
{
	static const uint8_t payload[96] = {1, 2, 3};
	struct bench b;

	bench_init(&b);
	message_write(&b.guest, 0, REPORT_REQ, payload, sizeof(payload));
	message_seal(&b.guest, 0, sizeof(payload));
	for (size_t bit = 0; bit < 8 * (HEADER_BYTES + sizeof(payload)); bit += 3) {
		uint8_t *byte = b.guest.request + bit / 8;
		uint32_t code;

		if ((bit / 8 >= 16 && bit / 8 < AT_SEQUENCE) || (bit / 8 >= 0x28 && bit / 8 < AT_BOUND))
			continue; /* not used, and not authenticated */
		*byte ^= (uint8_t)(1 << bit % 8);
		code = send(&b);
		if (code != PSP_BAD_MEASUREMENT && (code != PSP_INVALID_PARAM || bit / 8 < AT_BOUND))
			fail_msg("bit %zu: code %u", bit, code);
		*byte ^= (uint8_t)(1 << bit % 8);
	}
	assert_code(send(&b), PSP_SUCCESS);
	psp_destroy(b.psp);
}

static void test_psp_message_of_another_key_is_refused(void **state)
{
	static const struct uapi_sev_snp_launch_finish none;
	static const uint8_t payload[96];
	struct bench b, other;

	bench_init(&b);
	other = b;
	bench_launch(&other, &none);
	message_write(&b.guest, 0, REPORT_REQ, payload, sizeof(payload));
	message_seal(&b.guest, 1, sizeof(payload));
	assert_refused(&b, PSP_BAD_MEASUREMENT);
	message_write(&b.guest, 0, REPORT_REQ, payload, sizeof(payload));
	message_seal(&other.guest, 0, sizeof(payload));
	memcpy(other.guest.request, b.guest.request, HEADER_BYTES);
	message_seal(&other.guest, 0, sizeof(payload));
	memcpy(b.guest.request, other.guest.request, sizeof(b.guest.request));
	assert_refused(&b, PSP_BAD_MEASUREMENT);
	assert_code(send(&other), PSP_SUCCESS);
	psp_destroy(b.psp);
}

static uint32_t send_number(struct bench *b, unsigned vmpck, uint64_t number)
{
	static const uint8_t payload[128];
	uint64_t next = b->guest.next[vmpck];

	b->guest.next[vmpck] = number;
	message_write(&b->guest, vmpck, TSC_INFO_REQ, payload, sizeof(payload));
	message_seal(&b->guest, vmpck, sizeof(payload));
	b->guest.next[vmpck] = next;
	return send(b);
}

static void test_psp_message_out_of_its_order_is_refused(void **state)
{
	struct bench b;

	bench_init(&b);
	for (unsigned vmpck = 0; vmpck < 4; vmpck++) { /* each key has its own count */
		assert_code(send_number(&b, vmpck, 0), PSP_AEAD_OFLOW);
		assert_code(send_number(&b, vmpck, 2), PSP_AEAD_OFLOW);
		assert_code(send_number(&b, vmpck, 3), PSP_AEAD_OFLOW);
		assert_code(send_number(&b, vmpck, 1), PSP_SUCCESS);
		assert_code(send(&b), PSP_AEAD_OFLOW); /* the same again */
		assert_code(send_number(&b, vmpck, 2), PSP_AEAD_OFLOW);
		assert_code(send_number(&b, vmpck, UINT64_MAX), PSP_AEAD_OFLOW);
		/* The answer was lost: the guest goes on with the next number. */
		assert_code(send_number(&b, vmpck, 3), PSP_SUCCESS);
	}
	psp_destroy(b.psp);
}

static void test_psp_message_count_does_not_overflow(void **state)
{
	struct bench b;

	bench_init(&b);
	b.psp->contexts[b.gctx - 1]->message_count[2] = UINT64_MAX - 3;
	assert_code(send_number(&b, 2, UINT64_MAX - 2), PSP_SUCCESS);
	assert_int_equal(load_le(b.guest.response + AT_SEQUENCE, 8), UINT64_MAX - 1);
	assert_code(send_number(&b, 2, UINT64_MAX), PSP_AEAD_OFLOW);
	assert_code(send_number(&b, 2, 0), PSP_AEAD_OFLOW);
	assert_code(send_number(&b, 2, 1), PSP_AEAD_OFLOW);
	assert_code(send_number(&b, 3, 1), PSP_SUCCESS);
	psp_destroy(b.psp);
}

static void test_psp_message_needs_a_guest_that_runs(void **state)
{
	struct bench b;
	uint32_t gctx;

	bench_init(&b);
	assert_code(psp_gctx_create(b.psp, &gctx), PSP_SUCCESS);
	assert_code(psp_snp_guest_request(b.psp, gctx, b.guest.request, b.guest.response),
	        PSP_INVALID_GUEST_STATE);
	assert_code(psp_snp_guest_request(b.psp, 77, b.guest.request, b.guest.response), PSP_INVALID_GUEST);
	psp_fail(b.psp, PSP_CMD_SNP_GUEST_REQUEST, 1, PSP_HWSEV_UNSAFE);
	assert_code(send_number(&b, 0, 1), PSP_HWSEV_UNSAFE);
	assert_code(send_number(&b, 0, 1), PSP_SUCCESS);
	psp_destroy(b.psp);
}

/* ---- reports ---- */

/* leaf NULL: the VCEK. */
static void judge(struct bench *b, const uint8_t *answer, const char *leaf, const char *leaf_chain)
{
	struct abi_snp_report report;
	struct attest_verdict verdict;
	char *vcek, *chain, *ark;
	struct err err;

	assert_ok(attest_report_parse(answer, 32 + REPORT_BYTES, &report, NULL, &err));
	assert_ok(psp_export_snp_certs(b->psp, &vcek, &chain, &err));
	ark = strstr(chain + 1, "-----BEGIN");
	leaf = leaf ?: vcek;
	leaf_chain = leaf_chain ?: chain;
	const struct attest_evidence evidence = {
	        .leaf = {leaf, strlen(leaf), "leaf"},
	        .chain = {{leaf_chain, strlen(leaf_chain), "chain"}},
	        .root = {ark, strlen(ark), "ARK"},
	        .at = 1800000000,
	};
	assert_ok(attest_report_verify(&report, &evidence, &verdict, &err));
	for (size_t i = 0; i < verdict.count; i++) {
		if (verdict.checks[i].result == ATTEST_FAILED)
			fail_msg("%s: %s", verdict.checks[i].name, verdict.checks[i].text);
	}
	assert_true(verdict.passed);
	assert_memory_equal(report.report_data, "a nonce", 8);
	free(vcek);
	free(chain);
}

static void test_psp_message_report_is_what_the_verifier_accepts(void **state)
{
	struct bench b;

	bench_init(&b);
	for (unsigned vmpck = 0; vmpck < 4; vmpck++) {
		for (uint32_t vmpl = 0; vmpl < 5; vmpl++) {
			const uint8_t *answer = ask_report(&b, vmpck, vmpl, 0);
			bool good = vmpl >= vmpck && vmpl < 4;

			assert_int_equal(load_le(answer, 4), good ? PSP_SUCCESS : PSP_INVALID_PARAM);
			assert_int_equal(load_le(answer + 4, 4), REPORT_BYTES);
			assert_int_equal(load_le(answer + 32 + 0x30, 4), good ? vmpl : 0);
			if (good && vmpck == vmpl)
				judge(&b, answer, NULL, NULL);
		}
	}
	psp_destroy(b.psp);
}

static void test_psp_message_report_with_reserved_bits_is_refused(void **state)
{
	struct bench b;

	bench_init(&b);
	for (size_t bit = 8 * FLAGS_AT + 2; bit < 8 * 96; bit += 5) {
		uint8_t payload[96] = {0};
		const uint8_t *answer;

		payload[bit / 8] = (uint8_t)(1 << bit % 8);
		answer = ask(&b, 0, REPORT_REQ, payload, sizeof(payload), 32 + REPORT_BYTES);
		assert_int_equal(load_le(answer, 4), PSP_INVALID_PARAM);
	}
	psp_destroy(b.psp);
}

/* The signer that each choice gives: '-' INVALID_KEY, '0' VCEK, '1' VLEK, '7' none. */
static const struct {
	bool vlek, vcek_disabled, masked;
	char signers[5]; /* key_sel 0, 1, 2, 3 */
} choices[] = {
        {false, false, false, "00--"},
        {false, false, true, "77--"},
        {false, true, false, "----"},
        {true, false, false, "101-"},
        {true, false, true, "171-"},
        {true, true, false, "1-1-"},
};

static void load_vlek(struct bench *b, char **ret_vlek, char **ret_chain)
{
	uint8_t wrapped[PSP_VLEK_BYTES];
	struct err err;

	assert_ok(psp_export_vlek(b->psp, "a provider", wrapped, ret_vlek, ret_chain, &err));
	assert_code(psp_snp_vlek_load(b->psp, wrapped, sizeof(wrapped)), PSP_SUCCESS);
}

static void test_psp_message_chooses_who_signs(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(choices); i++) {
		const struct uapi_sev_snp_launch_finish finish = {.vcek_disabled = choices[i].vcek_disabled};
		const struct uapi_sev_snp_config config = {.mask_chip = choices[i].masked ? 2 : 0};
		struct bench b = {.psp = bench_psp("Milan")};
		char *vlek = NULL, *chain = NULL;

		bench_launch(&b, &finish);
		assert_code(psp_snp_set_config(b.psp, &config), PSP_SUCCESS);
		if (choices[i].vlek)
			load_vlek(&b, &vlek, &chain);
		for (uint32_t select = 0; select < 4; select++) {
			const uint8_t *answer = ask_report(&b, 0, 0, select);
			char wanted = choices[i].signers[select];
			uint64_t info = load_le(answer + 32 + 0x48, 4);

			assert_int_equal(load_le(answer, 4), wanted == '-' ? PSP_INVALID_KEY : PSP_SUCCESS);
			if (wanted == '-')
				continue;
			assert_int_equal(info >> 2, wanted - '0');
			assert_int_equal(info >> 1 & 1, choices[i].masked);
			if (!choices[i].masked) /* nobody believes a host that masks its key */
				judge(&b, answer, wanted == '1' ? vlek : NULL, wanted == '1' ? chain : NULL);
		}
		free(vlek);
		free(chain);
		psp_destroy(b.psp);
	}
}

/* ---- the TSC ---- */

static void test_psp_message_tells_the_tsc(void **state)
{
	uint8_t payload[128] = {0};
	const uint8_t *answer;
	struct bench b;

	bench_init(&b);
	answer = ask(&b, 3, TSC_INFO_REQ, payload, sizeof(payload), 128);
	assert_int_equal(load_le(answer, 4), PSP_SUCCESS);
	assert_int_equal(load_le(answer + 8, 8), UINT64_C(1) << 32);
	assert_int_equal(load_le(answer + 16, 8), 0);
	assert_int_equal(load_le(answer + 24, 4), 200);
	for (size_t i = 28; i < 128; i++)
		assert_int_equal(answer[i], 0);
	payload[127] = 1;
	answer = ask(&b, 3, TSC_INFO_REQ, payload, sizeof(payload), 128);
	assert_int_equal(load_le(answer, 4), PSP_INVALID_PARAM);
	assert_int_equal(load_le(answer + 8, 8), 0);
	psp_destroy(b.psp);
}

/* ---- CPUID ---- */

static void test_psp_message_judges_cpuid(void **state)
{
	static const struct abi_cpuid_entry own = {.eax_in = 1, .eax = 0xa00f11, .ebx = 0x800, .ecx = 3};
	struct psp_options options = bench_options("Milan");
	static const struct uapi_sev_snp_launch_finish none;
	struct abi_cpuid_entry entries[2] = {own, {.eax_in = 0x40000000, .eax = 0x1234}};
	uint8_t payload[16 + sizeof(entries)] = {2};
	const uint8_t *answer;
	struct bench b;
	struct err err;

	options.cpuid = &own;
	options.cpuid_count = 1;
	assert_ok(psp_create(&options, &b.psp, &err));
	bench_launch(&b, &none);
	memcpy(payload + 16, entries, sizeof(entries));
	answer = ask(&b, 0, CPUID_REQ, payload, sizeof(payload), sizeof(payload));
	assert_int_equal(load_le(answer, 4), PSP_SUCCESS);
	assert_int_equal(load_le(answer + 4, 4), 1); /* leaves of hypervisors are not judged */
	assert_memory_equal(answer + 16, payload + 16, sizeof(entries));
	entries[0].ecx = 7; /* a feature that the processor lacks */
	memcpy(payload + 16, entries, sizeof(entries));
	answer = ask(&b, 0, CPUID_REQ, payload, sizeof(payload), sizeof(payload));
	assert_int_equal(load_le(answer, 4), PSP_INVALID_PARAM);
	assert_int_equal(load_le(answer + 4, 4), 1);
	assert_memory_equal(answer + 16, &own, sizeof(own));
	for (unsigned bad = 0; bad < 4; bad++) { /* too many, more than there are, reserved fields */
		static const uint8_t at[] = {0, 0, 4, 15}, value[] = {65, 3, 1, 1};
		uint8_t wrong[sizeof(payload)];

		memcpy(wrong, payload, sizeof(wrong));
		wrong[at[bad]] = value[bad];
		answer = ask(&b, 0, CPUID_REQ, wrong, sizeof(wrong), sizeof(wrong));
		assert_int_equal(load_le(answer, 4), PSP_INVALID_PARAM);
		assert_int_equal(load_le(answer + 4, 4), 0);
	}
	psp_destroy(b.psp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_psp_message_with_a_wrong_header_is_refused),
	        cmocka_unit_test(test_psp_message_with_one_bit_flipped_is_refused),
	        cmocka_unit_test(test_psp_message_of_another_key_is_refused),
	        cmocka_unit_test(test_psp_message_out_of_its_order_is_refused),
	        cmocka_unit_test(test_psp_message_count_does_not_overflow),
	        cmocka_unit_test(test_psp_message_needs_a_guest_that_runs),
	        cmocka_unit_test(test_psp_message_report_is_what_the_verifier_accepts),
	        cmocka_unit_test(test_psp_message_report_with_reserved_bits_is_refused),
	        cmocka_unit_test(test_psp_message_chooses_who_signs),
	        cmocka_unit_test(test_psp_message_tells_the_tsc),
	        cmocka_unit_test(test_psp_message_judges_cpuid),
	};

	return crypto_load(NULL) < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}

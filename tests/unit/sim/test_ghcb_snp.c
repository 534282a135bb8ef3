/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A SEV-SNP guest asks its secure processor by the GHCB: what KVM carries, and what it refuses.
 */
#include "request_guest.h"

/* The guest finds the report that it asked for last. */
static void assert_report(struct asker *b)
{
	const uint8_t *answer;

	memcpy(b->talker.response, b->g.memory + RESPONSE, sizeof(b->talker.response));
	answer = message_read(&b->talker, 0, REPORT_REQ, 32 + 1184);
	assert_int_equal(load_le(answer, 4), 0);
	assert_memory_equal(answer + 32 + 0x50, "a nonce", 8);
	assert_int_equal(load_le(answer + 32 + 8, 8), POLICY);
}

static void assert_no_answer(const struct asker *b)
{
	for (size_t i = 0; i < PAGE_SIZE_BYTES; i++)
		assert_int_equal(b->g.memory[RESPONSE + i], 0x5a);
}

/* ---- guest requests ---- */

static void test_request_brings_a_report(void **state)
{
	struct asker b;

	asker_init(&b, false);
	for (int i = 0; i < 3; i++) {
		ask_report(&b, ABI_GHCB_GUEST_REQUEST);
		answers(&b.g, 0, 0);
		assert_report(&b);
	}
	asker_finish(&b);
}

/* The firmware's code reaches the guest. KVM writes the page of its last answer again. */
static void test_request_that_the_firmware_refuses(void **state)
{
	uint8_t last[PAGE_SIZE_BYTES];
	struct asker b;

	asker_init(&b, false);
	ask_report(&b, ABI_GHCB_GUEST_REQUEST);
	b.g.memory[REQUEST + HEADER_BYTES] ^= 1;
	answers(&b.g, 0, 11); /* BAD_MEASUREMENT */
	for (size_t i = 0; i < PAGE_SIZE_BYTES; i++)
		assert_int_equal(b.g.memory[RESPONSE + i], 0);
	ask_report(&b, ABI_GHCB_GUEST_REQUEST);
	answers(&b.g, 0, 0);
	memcpy(last, b.g.memory + RESPONSE, sizeof(last));
	ask(&b.g, ABI_GHCB_GUEST_REQUEST, REQUEST, RESPONSE);
	memset(b.g.memory + RESPONSE, 0x5a, PAGE_SIZE_BYTES);
	answers(&b.g, 0, 29); /* AEAD_OFLOW: the same message again */
	assert_memory_equal(b.g.memory + RESPONSE, last, sizeof(last));
	assert_report(&b);
	asker_finish(&b);
}

/*
 * A host that shows an old answer again, and one that numbers it anew. The guest takes an answer only with
 * the number after its request's, and the number is part of what the key seals.
 */
static void test_answer_that_is_shown_again_is_no_answer(void **state)
{
	uint8_t old[PAGE_SIZE_BYTES], *page;
	struct asker b;

	asker_init(&b, false);
	ask_report(&b, ABI_GHCB_GUEST_REQUEST);
	answers(&b.g, 0, 0);
	page = b.g.memory + RESPONSE;
	memcpy(old, page, sizeof(old));
	assert_report(&b);
	ask_report(&b, ABI_GHCB_GUEST_REQUEST);
	answers(&b.g, 0, 0);
	memcpy(b.talker.response, page, sizeof(old));
	memcpy(page, old, sizeof(old));
	assert_int_not_equal(load_le(page + AT_SEQUENCE, 8), b.talker.next[0] + 1);
	assert_true(crypt_page(false, b.talker.vmpck[0], page, 32 + 1184)); /* it is genuine, but old */
	memcpy(page, old, sizeof(old));
	store_le(page + AT_SEQUENCE, 8, b.talker.next[0] + 1);
	assert_false(crypt_page(false, b.talker.vmpck[0], page, 32 + 1184));
	memcpy(page, b.talker.response, sizeof(old)); /* the right one */
	assert_report(&b);
	asker_finish(&b);
}

static void test_request_without_its_pages_is_malformed(void **state)
{
	static const struct {
		uint64_t request, response;
	} cases[] = {{REQUEST + 8, RESPONSE}, {REQUEST, RESPONSE + 0x800}, {REQUEST, REQUEST}};
	struct asker b;

	asker_init(&b, false);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		ask(&b.g, ABI_GHCB_GUEST_REQUEST, cases[i].request, cases[i].response);
		answers(&b.g, ABI_GHCB_MALFORMED, ABI_GHCB_INVALID_INPUT);
		ask(&b.g, ABI_GHCB_EXT_GUEST_REQUEST, cases[i].request, cases[i].response);
		answers(&b.g, ABI_GHCB_MALFORMED, ABI_GHCB_INVALID_INPUT);
	}
	asker_finish(&b);
}

static void ends_kvm_run(struct asker *b, int result)
{
	assert_int_equal(guest_run(&b->g), result);
	assert_int_equal(b->g.run->exit_reason, KVM_EXIT_UNKNOWN);
	runs_to_halt(&b->g); /* if the VMM runs it again, the guest goes on behind its VMGEXIT */
}

/* KVM_RUN fails where memory or the guest's /dev/sev is gone. */
static void test_request_that_cannot_be_carried_ends_kvm_run(void **state)
{
	struct asker b;

	asker_init(&b, false);
	ask(&b.g, ABI_GHCB_GUEST_REQUEST, NOWHERE, RESPONSE);
	ends_kvm_run(&b, -EIO);
	ask(&b.g, ABI_GHCB_EXT_GUEST_REQUEST, NOWHERE, RESPONSE);
	ends_kvm_run(&b, -EIO);
	ask_report(&b, ABI_GHCB_GUEST_REQUEST);
	ask(&b.g, ABI_GHCB_GUEST_REQUEST, REQUEST, NOWHERE);
	ends_kvm_run(&b, -EIO);
	b.talker.next[0] += 2; /* the firmware had answered */
	ask_report(&b, ABI_GHCB_GUEST_REQUEST);
	host_close(b.m.host, b.sev);
	b.sev = -1;
	ends_kvm_run(&b, -EBADF);
	assert_no_answer(&b);
	asker_finish(&b);
}

/* ---- extended requests ---- */

static void ask_extended(struct asker *b, uint64_t rax, uint64_t rbx)
{
	memset(b->g.memory + CERTS, 0x5a, PAGE_SIZE_BYTES);
	ask_report(b, ABI_GHCB_EXT_GUEST_REQUEST);
	GIVE(&b->g, rax, rax);
	GIVE(&b->g, rbx, rbx);
}

/* Of the page for certificates, so many bytes are zero; the rest is untouched. */
static void assert_zeros(const struct asker *b, size_t zeros)
{
	for (size_t i = 0; i < PAGE_SIZE_BYTES; i++)
		assert_int_equal(b->g.memory[CERTS + i], i < zeros ? 0 : 0x5a);
}

static void test_extended_request_without_a_vmm_has_an_empty_table(void **state)
{
	struct asker b;

	asker_init(&b, false);
	ask_extended(&b, CERTS, 1);
	answers(&b.g, 0, 0);
	assert_zeros(&b, 24);
	assert_report(&b);
	ask_extended(&b, CERTS, 0);
	answers(&b.g, 0, 0);
	assert_zeros(&b, 0);
	assert_report(&b);
	ask_extended(&b, NOWHERE, 0);
	answers(&b.g, 0, 0);
	assert_report(&b);
	ask_extended(&b, NOWHERE, 1);
	ends_kvm_run(&b, -EIO);
	assert_no_answer(&b);
	asker_finish(&b);
}

static void test_extended_request_needs_its_registers(void **state)
{
	struct asker b;

	asker_init(&b, true);
	ask_extended(&b, CERTS + 8, 1);
	answers(&b.g, ABI_GHCB_MALFORMED, ABI_GHCB_INVALID_INPUT);
	ask_report(&b, ABI_GHCB_EXT_GUEST_REQUEST);
	GIVE(&b.g, rax, CERTS);
	answers(&b.g, ABI_GHCB_MALFORMED, ABI_GHCB_INVALID_INPUT);
	ask_report(&b, ABI_GHCB_EXT_GUEST_REQUEST);
	GIVE(&b.g, rbx, 1);
	answers(&b.g, ABI_GHCB_MALFORMED, ABI_GHCB_INVALID_INPUT);
	assert_no_answer(&b);
	asker_finish(&b);
}

/* Only reports have certificates: for other messages the registers have no meaning. */
static void test_extended_request_for_something_else_is_a_plain_one(void **state)
{
	static const uint8_t payload[128];
	struct asker b;

	asker_init(&b, true);
	message_write(&b.talker, 0, TSC_INFO_REQ, payload, sizeof(payload));
	message_seal(&b.talker, 0, sizeof(payload));
	memcpy(b.g.memory + REQUEST, b.talker.request, sizeof(b.talker.request));
	ask(&b.g, ABI_GHCB_EXT_GUEST_REQUEST, REQUEST, RESPONSE);
	answers(&b.g, 0, 0);
	memcpy(b.talker.response, b.g.memory + RESPONSE, sizeof(b.talker.response));
	assert_int_equal(load_le(message_read(&b.talker, 0, TSC_INFO_REQ, 128) + 8, 8), UINT64_C(1) << 32);
	asker_finish(&b);
}

static struct uapi_snp_req_certs leaves_for_certs(struct asker *b, uint64_t pages)
{
	struct uapi_snp_req_certs certs;

	ask_extended(b, CERTS, pages);
	runs_to(&b->g, UAPI_EXIT_SNP_REQ_CERTS);
	memcpy(&certs, &b->g.run->hw, sizeof(certs));
	assert_int_equal(certs.gpa, CERTS);
	assert_int_equal(certs.npages, pages);
	assert_int_equal(certs.ret, 0);
	assert_no_answer(b);
	assert_zeros(b, 0);
	return certs;
}

static void test_extended_request_leaves_to_the_vmm(void **state)
{
	static const struct {
		uint64_t ret, info_2;
	} refusals[] = {
	        {ENOSPC, UINT64_C(1) << 32}, {EAGAIN, UINT64_C(2) << 32}, {EIO, UINT64_C(0xffffffff) << 32}};
	struct uapi_snp_req_certs certs;
	struct asker b;

	asker_init(&b, true);
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		certs = leaves_for_certs(&b, 2);
		certs.ret = refusals[i].ret;
		certs.npages = 5;
		memcpy(&b.g.run->hw, &certs, sizeof(certs));
		answers(&b.g, 0, refusals[i].info_2);
		assert_int_equal(ghcb_of(&b.g)->rbx, refusals[i].ret == ENOSPC ? 5 : 2);
		assert_no_answer(&b);
	}
	certs = leaves_for_certs(&b, 0);
	certs.ret = ENOENT;
	memcpy(&b.g.run->hw, &certs, sizeof(certs));
	ends_kvm_run(&b, -EINVAL);
	/* None of these has reached the firmware: the number is still the next one. */
	certs = leaves_for_certs(&b, 1);
	answers(&b.g, 0, 0);
	assert_report(&b);
	asker_finish(&b);
}

/* The VMM holds its files while the firmware signs: KVM_RUN sends the request and returns at once. */
static void test_extended_request_is_sent_by_a_kvm_run_that_returns(void **state)
{
	struct asker b;

	asker_init(&b, true);
	leaves_for_certs(&b, 1);
	b.g.run->immediate_exit = 1;
	assert_int_equal(guest_run(&b.g), -EINTR);
	assert_report(&b);
	b.g.run->immediate_exit = 0;
	answers(&b.g, 0, 0);
	asker_finish(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_request_brings_a_report),
	        cmocka_unit_test(test_request_that_the_firmware_refuses),
	        cmocka_unit_test(test_answer_that_is_shown_again_is_no_answer),
	        cmocka_unit_test(test_request_without_its_pages_is_malformed),
	        cmocka_unit_test(test_request_that_cannot_be_carried_ends_kvm_run),
	        cmocka_unit_test(test_extended_request_without_a_vmm_has_an_empty_table),
	        cmocka_unit_test(test_extended_request_needs_its_registers),
	        cmocka_unit_test(test_extended_request_for_something_else_is_a_plain_one),
	        cmocka_unit_test(test_extended_request_leaves_to_the_vmm),
	        cmocka_unit_test(test_extended_request_is_sent_by_a_kvm_run_that_returns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

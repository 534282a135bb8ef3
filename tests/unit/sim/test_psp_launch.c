/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launch of SEV and SEV-ES guests. The guest's owner is src/attest, which shares nothing with the
 * processor.
 */
#include "psp_bench.h"

#include "vmm/abi/policy.h"
#include "vmm/attest.h"
#include "vmm/owner.h"

#define PAGE    0x10000
#define SEV     0u
#define SEV_ES  ABI_SEV_POLICY_ES
#define ES_ASID 3
#define ASID    9

/* A guest with an owner's session, up to LAUNCH_START. */
static uint32_t start_owned(struct psp *psp, uint32_t policy, struct owner_keys *keys)
{
	struct abi_sev_cert pdh, godh;
	struct abi_sev_cert_chain chain;
	struct abi_sev_session session;
	uint32_t handle = 0;
	struct err err;

	assert_code(psp_pdh_cert_export(psp, &pdh, &chain), PSP_SUCCESS);
	assert_ok(owner_session_create(&pdh, policy, &session, &godh, keys, &err));
	assert_code(psp_launch_start(psp, &handle, policy, &godh, &session), PSP_SUCCESS);
	assert_int_not_equal(handle, 0);
	assert_code(psp_activate(psp, handle, policy & ABI_SEV_POLICY_ES ? ES_ASID : ASID), PSP_SUCCESS);
	return handle;
}

static void measured_as_owner_expects(struct psp *psp, uint32_t handle, const struct owner_keys *keys,
        uint32_t policy, const uint8_t *digest, struct abi_sev_measure *ret_measure)
{
	struct owner_measured launch = {1, 55, 29, policy, {0}};
	uint8_t expected[32];
	struct err err;

	memcpy(launch.digest, digest, sizeof(launch.digest));
	assert_code(psp_launch_measure(psp, handle, ret_measure), PSP_SUCCESS);
	assert_ok(owner_measure_expected(keys, &launch, ret_measure->mnonce, expected, &err));
	assert_memory_equal(ret_measure->measure, expected, sizeof(expected));
}

static void test_psp_launch_of_sev_es_is_measured_and_encrypted(void **state)
{
	static uint8_t image[2 * PAGE_SIZE_BYTES + sizeof(struct abi_vmsa)], memory[sizeof(image)],
	        back[sizeof(image)];
	struct psp *psp = bench_psp("Milan");
	struct owner_keys keys;
	struct abi_sev_measure measure;
	uint8_t digest[32];
	uint32_t handle = start_owned(psp, SEV_ES, &keys);

	for (size_t i = 0; i < sizeof(image); i++)
		image[i] = (uint8_t)(i >> 4);
	memcpy(memory, image, sizeof(image));
	hash_sha256(image, sizeof(image), digest);
	assert_code(psp_launch_update_data(psp, handle, memory, PAGE, 2 * PAGE_SIZE_BYTES), PSP_SUCCESS);
	assert_code(psp_launch_update_vmsa(psp, handle, (struct abi_vmsa *)(memory + 2 * PAGE_SIZE_BYTES),
	                    PAGE + 2 * PAGE_SIZE_BYTES),
	        PSP_SUCCESS);
	measured_as_owner_expects(psp, handle, &keys, SEV_ES, digest, &measure);
	for (size_t i = 0; i < sizeof(image); i += 16)
		assert_memory_not_equal(memory + i, image + i, 16);
	assert_memory_not_equal(memory, memory + 16, 16); /* equal plaintext elsewhere */
	psp_decrypt(psp_cipher(psp, ES_ASID), PAGE, memory, back, sizeof(back));
	assert_memory_equal(back, image, sizeof(image));
	psp_decrypt(psp_cipher(psp, ES_ASID), PAGE + 16, memory + 16, back, 16); /* one block alone */
	assert_memory_equal(back, image + 16, 16);
	assert_code(psp_launch_finish(psp, handle), PSP_SUCCESS);
	psp_destroy(psp);
}

static void test_psp_secret_of_the_owner_arrives(void **state)
{
	uint8_t image[64] = "firmware", digest[32], secret[48] = "the disk's key", packet[48], memory[48],
	        back[48];
	struct psp *psp = bench_psp("Rome");
	struct owner_keys keys;
	struct abi_sev_measure measure;
	struct abi_sev_secret_header header;
	struct err err;
	uint32_t handle = start_owned(psp, SEV, &keys);

	hash_sha256(image, sizeof(image), digest);
	assert_code(psp_launch_update_data(psp, handle, image, PAGE, sizeof(image)), PSP_SUCCESS);
	measured_as_owner_expects(psp, handle, &keys, SEV, digest, &measure);
	assert_ok(owner_secret_pack(&keys, measure.measure, secret, sizeof(secret), &header, packet, &err));
	assert_code(
	        psp_launch_secret(psp, handle, &header, packet, memory, PAGE, sizeof(memory)), PSP_SUCCESS);
	psp_decrypt(psp_cipher(psp, ASID), PAGE, memory, back, sizeof(back));
	assert_memory_equal(back, secret, sizeof(secret));
	packet[7] ^= 1;
	memset(memory, 0x55, sizeof(memory));
	assert_code(psp_launch_secret(psp, handle, &header, packet, memory, PAGE, sizeof(memory)),
	        PSP_BAD_MEASUREMENT);
	packet[7] ^= 1;
	for (size_t bit = 0; bit < 8 * sizeof(header); bit += 5) {
		((uint8_t *)&header)[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_code(psp_launch_secret(psp, handle, &header, packet, memory, PAGE, sizeof(memory)),
		        PSP_BAD_MEASUREMENT);
		((uint8_t *)&header)[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(memory[0], 0x55);
	assert_code(psp_launch_secret(psp, handle, &header, packet, memory, PAGE, 32), PSP_BAD_MEASUREMENT);
	assert_code(psp_launch_secret(psp, handle, &header, packet, memory, PAGE, 33), PSP_INVALID_LEN);
	assert_code(psp_launch_secret(psp, handle, &header, packet, memory, PAGE + 8, sizeof(memory)),
	        PSP_INVALID_ADDRESS);
	assert_code(psp_launch_secret(psp, handle, &header, packet, memory, PAGE, PSP_PACKET_MAX_BYTES + 16),
	        PSP_INVALID_LEN);
	psp_destroy(psp);
}

/* Whatever bit is flipped, the keys do not come out, or the policy is another one. */
static void test_psp_session_with_one_bit_flipped_is_refused(void **state)
{
	struct psp *psp = bench_psp("Milan");
	struct abi_sev_cert pdh, godh;
	struct abi_sev_cert_chain chain;
	struct abi_sev_session session;
	struct owner_keys keys;
	struct err err;
	uint32_t handle = 0;

	assert_code(psp_pdh_cert_export(psp, &pdh, &chain), PSP_SUCCESS);
	assert_ok(owner_session_create(&pdh, SEV_ES, &session, &godh, &keys, &err));
	for (size_t bit = 0; bit < 8 * sizeof(session); bit += 11) {
		uint8_t *byte = (uint8_t *)&session + bit / 8;

		*byte ^= (uint8_t)(1 << bit % 8);
		assert_code(psp_launch_start(psp, &handle, SEV_ES, &godh, &session), PSP_BAD_MEASUREMENT);
		*byte ^= (uint8_t)(1 << bit % 8);
	}
	assert_code(psp_launch_start(psp, &handle, SEV, &godh, &session), PSP_BAD_MEASUREMENT);
	godh.ec.qx[5] ^= 1; /* not on the curve */
	assert_code(psp_launch_start(psp, &handle, SEV_ES, &godh, &session), PSP_INVALID_CERTIFICATE);
	godh.ec.qx[5] ^= 1;
	assert_int_equal(handle, 0);
	assert_code(psp_launch_start(psp, &handle, SEV_ES, &godh, &session), PSP_SUCCESS);
	assert_code(psp_pdh_gen(psp), PSP_SUCCESS); /* the session was for the key before */
	handle = 0;
	assert_code(psp_launch_start(psp, &handle, SEV_ES, &godh, &session), PSP_BAD_MEASUREMENT);
	psp_destroy(psp);
}

/* The owner signs the policy, so the firmware checks the policy only if there is an owner. */
static void test_psp_policy_of_an_owner_is_held_against_the_firmware(void **state)
{
	static const struct {
		uint32_t policy, code;
	} cases[] = {
	        {ABI_SEV_POLICY_NODBG | 0x37010000, PSP_SUCCESS}, /* API 1.55, which it has */
	        {ABI_SEV_POLICY_NODBG | 0x38010000, PSP_POLICY_FAILURE},
	        {ABI_SEV_POLICY_NODBG | 0x00020000, PSP_POLICY_FAILURE},
	        {ABI_SEV_POLICY_NODBG | 1u << 6, PSP_POLICY_FAILURE}, /* reserved */
	        {ABI_SEV_POLICY_NODBG | 1u << 15, PSP_POLICY_FAILURE},
	};
	struct psp *psp = bench_psp("Milan");
	struct abi_sev_cert_chain chain;
	struct abi_sev_cert pdh, godh;
	struct abi_sev_session session;
	struct owner_keys keys;
	struct err err;
	uint32_t handle;

	assert_code(psp_pdh_cert_export(psp, &pdh, &chain), PSP_SUCCESS);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_ok(owner_session_create(&pdh, cases[i].policy, &session, &godh, &keys, &err));
		handle = 0;
		assert_code(psp_launch_start(psp, &handle, cases[i].policy, &godh, &session), cases[i].code);
		handle = 0;
		assert_code(psp_launch_start(psp, &handle, cases[i].policy, NULL, NULL), PSP_SUCCESS);
	}
	handle = 0;
	assert_code(psp_launch_start(psp, &handle, cases[0].policy, &godh, NULL), PSP_INVALID_LEN);
	godh.usage = ABI_SEV_USAGE_OCA;
	assert_code(
	        psp_launch_start(psp, &handle, cases[0].policy, &godh, &session), PSP_INVALID_CERTIFICATE);
	godh.usage = ABI_SEV_USAGE_PDH;
	godh.algo = ABI_SEV_ALGO_ECDSA_SHA256;
	assert_code(
	        psp_launch_start(psp, &handle, cases[0].policy, &godh, &session), PSP_INVALID_CERTIFICATE);
	psp_destroy(psp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_psp_launch_of_sev_es_is_measured_and_encrypted),
	        cmocka_unit_test(test_psp_secret_of_the_owner_arrives),
	        cmocka_unit_test(test_psp_session_with_one_bit_flipped_is_refused),
	        cmocka_unit_test(test_psp_policy_of_an_owner_is_held_against_the_firmware),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

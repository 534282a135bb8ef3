/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys and certificates: judged by libcrypto, whose signatures and certificates the processor does not use,
 * and by src/attest. The vectors were made by others.
 */
#include <jansson.h>

#include "psp_bench.h"

#include "psp/certs.h"
#include "psp/ec.h"
#include "psp/mac.h"
#include "psp/transport.h"
#include "vmm/attest.h"
#include "vmm/attest/sev.h"

/* ---- vectors ---- */

static void reversed_hex(const uint8_t *number, size_t size, char *ret_text)
{
	uint8_t big[72];

	for (size_t i = 0; i < size; i++)
		big[i] = number[size - 1 - i];
	hex_encode(big, size, ret_text);
}

/* RFC 6979, A.2.6. */
static void test_psp_ecdsa_gives_the_vectors_of_rfc_6979(void **state)
{
	static const struct {
		enum psp_ec_hash hash;
		const char *message, *r, *s;
	} vectors[] = {
	        {EC_SHA256, "sample",
	                "21b13d1e013c7fa1392d03c5f99af8b30c570c6f98d4ea8e354b63a21d3daa33bde1e888e63355d92fa2"
	                "b3c36d8fb2cd",
	                "f3aa443fb107745bf4bd77cb3891674632068a10ca67e3d45db2266fa7d1feebefdc63eccd1ac42ec0cb"
	                "8668a4fa0ab0"},
	        {EC_SHA384, "sample",
	                "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36"
	                "dd1e80fabe46",
	                "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82"
	                "c71a38628ac8"},
	        {EC_SHA384, "test",
	                "8203b63d3c853e8d77227fb377bcf7b7b772e97892a80f36ab775d509d7a5feb0542a7f0812998da8f1d"
	                "d3ca3cf023db",
	                "ddd0760448d42d8a43af45af836fce4de8be06b485e9b61b827c2f13173923e06a739f040649a667bf3b"
	                "828246baa5a5"},
	};
	uint8_t scalar[48];
	struct psp_ec_key key;

	assert_true(hex_decode("6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a"
	                       "825f872c9ea60d2edf5",
	        scalar, sizeof(scalar)));
	assert_true(psp_ec_key_make(scalar, &key));
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		const char *message = vectors[i].message;
		struct abi_signature signature;
		char hex[97];

		assert_true(psp_ec_sign(&key, vectors[i].hash, message, strlen(message), &signature));
		reversed_hex(signature.r, 48, hex);
		assert_string_equal(hex, vectors[i].r);
		reversed_hex(signature.s, 48, hex);
		assert_string_equal(hex, vectors[i].s);
		assert_true(
		        psp_ec_verify(&key.public, vectors[i].hash, message, strlen(message), &signature));
		signature.s[3] ^= 1;
		assert_false(
		        psp_ec_verify(&key.public, vectors[i].hash, message, strlen(message), &signature));
	}
	memset(scalar, 0, sizeof(scalar));
	assert_false(psp_ec_key_make(scalar, &key));
	memset(scalar, 0xff, sizeof(scalar));
	assert_false(psp_ec_key_make(scalar, &key));
}

static void decode(json_t *object, const char *key, void *bytes, size_t size)
{
	const char *text = json_string_value(json_object_get(object, key));

	assert_non_null(text);
	assert_true(hex_decode(text, bytes, size));
}

static void test_psp_session_and_measure_give_the_vectors(void **state)
{
	static const uint8_t zero[32];
	json_t *all = json_load_file(TEST_DATA "/session-and-measure-vectors.json", 0, NULL),
	       *zeros = json_object_get(all, "session_zero"),
	       *launch = json_object_get(all, "launch_measure");
	struct abi_sev_session session = {0};
	struct psp_transport_keys keys;
	struct psp_transport transport = {{1}, {1}};
	uint8_t key[16], expected[32], digest[32], measure[32];
	struct abi_sev_measure measured;
	const struct psp_options version = {
	        .sev_major = (uint8_t)json_integer_value(json_object_get(launch, "api_major")),
	        .sev_minor = (uint8_t)json_integer_value(json_object_get(launch, "api_minor")),
	        .sev_build = (uint8_t)json_integer_value(json_object_get(launch, "build")),
	};

	decode(all, "kdf_zero_master", expected, 16);
	assert_true(psp_mac_kdf(zero, 16, "sev-master-secret", zero, 16, key));
	assert_memory_equal(key, expected, 16);

	decode(zeros, "wrap_tk", session.wrap_tk, sizeof(session.wrap_tk));
	decode(zeros, "wrap_mac", session.wrap_mac, sizeof(session.wrap_mac));
	decode(zeros, "policy_mac", session.policy_mac, sizeof(session.policy_mac));
	assert_true(psp_transport_keys_of(zero, 16, zero, &keys));
	assert_code(psp_transport_unwrap(&keys, &session, 0, &transport), PSP_SUCCESS);
	assert_memory_equal(&transport, zero, sizeof(transport));
	assert_code(psp_transport_unwrap(&keys, &session, 1, &transport), PSP_BAD_MEASUREMENT);

	decode(launch, "tik", transport.tik, sizeof(transport.tik));
	decode(launch, "digest", digest, sizeof(digest));
	decode(launch, "mnonce", measured.mnonce, sizeof(measured.mnonce));
	decode(launch, "measure", expected, sizeof(expected));
	assert_true(psp_transport_measure(&transport, &version, 0, digest, measured.mnonce, measure));
	assert_memory_equal(measure, expected, sizeof(measure));
	json_decref(all);
}

/* AES-128-XTS with pages as data units, numbered by their address; the parts of a page fit together. */
static void test_psp_memory_encryption_is_xts_of_pages(void **state)
{
	const uint8_t seed[SEED_BYTES] = "seed";
	struct psp_cipher *cipher = psp_cipher_create(seed);
	uint8_t key[32], plain[4 * PAGE_SIZE_BYTES], own[sizeof(plain)], page[PAGE_SIZE_BYTES];
	const uint64_t address = 0x1234567000;
	const size_t parts[] = {0, 16, 48, PAGE_SIZE_BYTES - 16, 3 * PAGE_SIZE_BYTES - 32, sizeof(plain)};

	assert_non_null(cipher);
	assert_true(psp_mac_kdf(seed, sizeof(seed), "memory", NULL, 0, key));
	assert_true(psp_mac_kdf(seed, sizeof(seed), "tweak", NULL, 0, key + 16));
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)(i * 13);
	for (size_t i = 0; i + 1 < ARRAY_LEN(parts); i++)
		psp_encrypt(cipher, address + parts[i], plain + parts[i], own + parts[i],
		        parts[i + 1] - parts[i]);
	for (size_t at = 0; at < sizeof(plain); at += sizeof(page)) {
		EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
		uint8_t unit[16] = {0};
		int done;

		store_le(unit, 8, address + at);
		assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_128_xts(), NULL, key, unit), 1);
		assert_int_equal(EVP_EncryptUpdate(ctx, page, &done, plain + at, sizeof(page)), 1);
		EVP_CIPHER_CTX_free(ctx);
		assert_memory_equal(own + at, page, sizeof(page));
	}
	for (size_t i = 0; i + 1 < ARRAY_LEN(parts); i++)
		psp_decrypt(
		        cipher, address + parts[i], own + parts[i], own + parts[i], parts[i + 1] - parts[i]);
	assert_memory_equal(own, plain, sizeof(plain));
	psp_cipher_destroy(cipher);
}

/* ---- SEV's certificates ---- */

struct exported {
	struct abi_sev_cert pdh;
	struct abi_sev_cert_chain chain;
	uint8_t *amd;
	size_t amd_size;
};

static void export_sev(struct psp *psp, struct exported *e)
{
	struct err err;

	assert_code(psp_pdh_cert_export(psp, &e->pdh, &e->chain), PSP_SUCCESS);
	assert_int_equal(e->chain.cek.sig[0].usage, ABI_SEV_USAGE_INVALID);
	assert_ok(psp_export_sev_cek(psp, &e->chain.cek, &err));
	assert_ok(psp_export_sev_ask_ark(psp, &e->amd, &e->amd_size, &err));
}

static void judge_sev(const struct exported *e, const struct abi_sev_report *report, bool wanted)
{
	const struct attest_sev_evidence evidence = {
	        .pdh = {&e->pdh, sizeof(e->pdh), "PDH"},
	        .chain = {&e->chain, sizeof(e->chain), "chain"},
	        .amd = {e->amd, e->amd_size, "ASK and ARK"},
	        .root = {e->amd + e->amd_size / 2, e->amd_size / 2, "ARK"},
	        .report = {report, report ? sizeof(*report) : 0, "report"},
	};
	struct attest_verdict verdict;
	struct err err;

	assert_ok(attest_sev_verify(&evidence, &verdict, &err));
	for (size_t i = 0; wanted && i < verdict.count; i++) {
		if (verdict.checks[i].result == ATTEST_FAILED)
			fail_msg("%s: %s", verdict.checks[i].name, verdict.checks[i].text);
	}
	assert_int_equal(verdict.passed, wanted);
	assert_true(verdict.simulated);
}

static void test_psp_sev_chain_and_report_are_what_the_verifier_accepts(void **state)
{
	static const char *const products[] = {"Naples", "Rome", "Milan"};

	for (size_t i = 0; i < ARRAY_LEN(products); i++) {
		struct psp *psp = bench_psp(products[i]);
		struct abi_sev_measure measure;
		struct abi_sev_report report;
		struct exported e;
		uint32_t handle = 0;

		assert_code(psp_launch_start(psp, &handle, 0, NULL, NULL), PSP_SUCCESS);
		assert_code(psp_launch_measure(psp, handle, &measure), PSP_SUCCESS);
		assert_code(psp_attestation_report(psp, handle, measure.mnonce, &report), PSP_SUCCESS);
		export_sev(psp, &e);
		judge_sev(&e, &report, true);
		report.digest[0] ^= 1;
		judge_sev(&e, &report, false);
		e.chain.pek.sig[1].ecdsa.r[0] ^= 1;
		judge_sev(&e, NULL, false);
		free(e.amd);
		psp_destroy(psp);
	}
}

/* The firmware's CEK is unsigned: its verdict names the remedy, and with AMD's CEK beside it all is well. */
static void test_psp_unsigned_cek_is_told_and_replaced(void **state)
{
	struct psp *psp = bench_psp("Milan");
	struct abi_sev_cert_chain chain;
	struct attest_verdict verdict;
	struct abi_sev_cert pdh;
	struct exported e;
	struct err err;

	export_sev(psp, &e);
	assert_code(psp_pdh_cert_export(psp, &pdh, &chain), PSP_SUCCESS);
	struct attest_sev_evidence evidence = {
	        .pdh = {&pdh, sizeof(pdh), "PDH"},
	        .chain = {&chain, sizeof(chain), "chain"},
	        .amd = {e.amd, e.amd_size, "ASK and ARK"},
	        .root = {e.amd + e.amd_size / 2, e.amd_size / 2, "ARK"},
	};
	assert_ok(attest_sev_verify(&evidence, &verdict, &err));
	assert_false(verdict.passed);
	for (size_t i = 0; i < verdict.count; i++) {
		bool is_cek = strcmp(verdict.checks[i].name, "cek") == 0;

		assert_int_equal(verdict.checks[i].result == ATTEST_FAILED, is_cek);
		if (is_cek)
			assert_non_null(strstr(verdict.checks[i].text,
			        "it has no signature, as the firmware exports it; fetch the signed CEK"));
	}
	evidence.cek = (struct attest_blob){&e.chain.cek, sizeof(e.chain.cek), "CEK"};
	assert_ok(attest_sev_verify(&evidence, &verdict, &err));
	assert_true(verdict.passed);
	evidence.cek = (struct attest_blob){&chain.pek, sizeof(chain.pek), "CEK"};
	assert_fails(attest_sev_verify(&evidence, &verdict, &err), ERR_USAGE, "is of a PEK; that of the CEK");
	free(e.amd);
	psp_destroy(psp);
}

/* PDH, PEK, OCA, CEK, ASK and ARK in one file, as sevctl export --full writes them. */
static void test_psp_certificates_in_one_file_verify(void **state)
{
	struct psp *psp = bench_psp("Rome");
	struct attest_verdict verdict;
	struct abi_sev_cert pdh;
	struct exported e;
	struct err err;

	export_sev(psp, &e);
	const size_t own = sizeof(e.pdh) + sizeof(e.chain), size = own + e.amd_size;
	uint8_t *all = malloc(size);
	memcpy(all, &e.pdh, sizeof(e.pdh));
	memcpy(all + sizeof(e.pdh), &e.chain, sizeof(e.chain));
	memcpy(all + own, e.amd, e.amd_size);
	struct attest_sev_evidence evidence = {
	        .pdh = {all, size, "all"}, .root = {e.amd + e.amd_size / 2, e.amd_size / 2, "ARK"}};
	assert_true(attest_sev_has_amd(&evidence));
	assert_ok(attest_sev_verify(&evidence, &verdict, &err));
	assert_true(verdict.passed);
	assert_ok(attest_sev_pdh(&evidence, &pdh, &err));
	assert_memory_equal(&pdh, &e.pdh, sizeof(pdh));
	evidence.pdh.size--;
	assert_fails(attest_sev_verify(&evidence, &verdict, &err), ERR_USAGE, "ends within the ARK");
	evidence.pdh.size = own;
	assert_false(attest_sev_has_amd(&evidence));
	free(all);
	free(e.amd);
	psp_destroy(psp);
}

static void test_psp_keys_follow_from_the_seed(void **state)
{
	struct psp_options options = bench_options("Milan");
	struct psp *psp[3];
	struct exported e[3];
	uint8_t id[3][64];
	struct err err;

	for (int i = 0; i < 3; i++) {
		options.seed = i < 2 ? 1 : 2;
		assert_ok(psp_create(&options, &psp[i], &err));
		export_sev(psp[i], &e[i]);
		assert_code(psp_get_id(psp[i], id[i]), PSP_SUCCESS);
	}
	assert_memory_equal(&e[0].pdh, &e[1].pdh, sizeof(e[0].pdh));
	assert_memory_equal(&e[0].chain, &e[1].chain, sizeof(e[0].chain));
	assert_memory_equal(e[0].amd, e[2].amd, e[0].amd_size); /* AMD is one for all */
	assert_memory_not_equal(&e[0].pdh.ec, &e[2].pdh.ec, sizeof(e[0].pdh.ec));
	assert_memory_not_equal(&e[0].chain.cek.ec, &e[2].chain.cek.ec, sizeof(e[0].pdh.ec));
	assert_memory_equal(id[0], id[1], 64);
	assert_memory_not_equal(id[0], id[2], 64);
	for (int i = 0; i < 3; i++) {
		free(e[i].amd);
		psp_destroy(psp[i]);
	}
}

/* A good signature is not enough: the signer must be one for such a certificate. */
static void test_psp_sev_signature_of_the_wrong_signer_is_none(void **state)
{
	static const uint32_t usages[] = {
	        ABI_SEV_USAGE_OCA, ABI_SEV_USAGE_PEK, ABI_SEV_USAGE_PDH, ABI_SEV_USAGE_CEK};
	struct psp *psp = bench_psp("Milan");
	const uint8_t scalar[48] = {5};
	struct abi_sev_cert child, parent;
	struct psp_ec_key key;

	assert_true(psp_ec_key_make(scalar, &key));
	for (size_t i = 0; i < ARRAY_LEN(usages); i++) {
		for (size_t k = 0; k < ARRAY_LEN(usages); k++) {
			uint32_t c = usages[i], p = usages[k];
			bool wanted = (c == ABI_SEV_USAGE_OCA && p == ABI_SEV_USAGE_OCA) ||
			              (c == ABI_SEV_USAGE_PEK && p == ABI_SEV_USAGE_OCA) ||
			              (c == ABI_SEV_USAGE_PEK && p == ABI_SEV_USAGE_CEK) ||
			              (c == ABI_SEV_USAGE_PDH && p == ABI_SEV_USAGE_PEK);

			assert_true(psp_cert_init(psp, c, &key.public, &child));
			assert_true(psp_cert_init(psp, p, &key.public, &parent));
			assert_true(psp_cert_sign(&child, 0, p, &key));
			assert_int_equal(psp_cert_is_signed(&child, &parent), wanted);
		}
	}
	psp_destroy(psp);
}

/* ---- an owner takes the platform ---- */

static void sign_as_owner(struct abi_sev_cert *cert, const struct psp_ec_key *oca)
{
	cert->sig[0] =
	        (struct abi_sev_signature){.usage = ABI_SEV_USAGE_OCA, .algo = ABI_SEV_ALGO_ECDSA_SHA384};
	assert_true(psp_ec_sign(oca, EC_SHA384, cert, ABI_SEV_CERT_SIGNED_BYTES, &cert->sig[0].ecdsa));
}

static void test_psp_owner_signs_the_request_and_owns_the_platform(void **state)
{
	struct psp *psp = bench_psp("Milan");
	uint8_t scalar[48] = {7};
	struct abi_sev_cert csr, pek,
	        oca = {.version = 1,
	                .usage = ABI_SEV_USAGE_OCA,
	                .algo = ABI_SEV_ALGO_ECDSA_SHA384,
	                .sig = {[1] = {.usage = ABI_SEV_USAGE_INVALID}}};
	struct psp_platform_status status;
	struct exported before, after;
	struct psp_ec_key key;

	export_sev(psp, &before);
	assert_true(psp_ec_key_make(scalar, &key));
	oca.ec = key.public;
	sign_as_owner(&oca, &key);
	assert_code(psp_pek_csr(psp, &csr), PSP_SUCCESS);
	assert_int_equal(csr.usage, ABI_SEV_USAGE_PEK);
	assert_int_equal(csr.sig[0].usage, ABI_SEV_USAGE_INVALID);
	pek = csr;
	sign_as_owner(&pek, &key);
	pek.sig[0].ecdsa.s[9] ^= 1;
	assert_code(psp_pek_cert_import(psp, &pek, &oca), PSP_INVALID_CERTIFICATE);
	pek.ec = key.public; /* not the one that was asked for */
	sign_as_owner(&pek, &key);
	assert_code(psp_pek_cert_import(psp, &pek, &oca), PSP_INVALID_CERTIFICATE);
	pek = csr;
	sign_as_owner(&pek, &key);
	assert_code(psp_pek_cert_import(psp, &pek, &oca), PSP_SUCCESS);
	assert_code(psp_pek_cert_import(psp, &pek, &oca), PSP_ALREADY_OWNED);
	assert_code(psp_platform_status(psp, &status), PSP_SUCCESS);
	assert_true(status.owned);
	export_sev(psp, &after);
	judge_sev(&after, NULL, true);
	assert_memory_equal(&after.chain.oca, &oca, sizeof(oca));
	assert_memory_not_equal(&after.pdh.ec, &before.pdh.ec, sizeof(after.pdh.ec));
	free(after.amd);

	assert_code(psp_shutdown(psp), PSP_SUCCESS);
	assert_code(psp_factory_reset(psp), PSP_SUCCESS);
	assert_code(psp_init(psp, true), PSP_SUCCESS);
	assert_code(psp_platform_status(psp, &status), PSP_SUCCESS);
	assert_false(status.owned);
	export_sev(psp, &after);
	judge_sev(&after, NULL, true);
	assert_memory_not_equal(&after.chain.pek.ec, &before.chain.pek.ec, sizeof(after.pdh.ec));
	free(before.amd);
	free(after.amd);
	psp_destroy(psp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_psp_ecdsa_gives_the_vectors_of_rfc_6979),
	        cmocka_unit_test(test_psp_session_and_measure_give_the_vectors),
	        cmocka_unit_test(test_psp_memory_encryption_is_xts_of_pages),
	        cmocka_unit_test(test_psp_sev_chain_and_report_are_what_the_verifier_accepts),
	        cmocka_unit_test(test_psp_sev_signature_of_the_wrong_signer_is_none),
	        cmocka_unit_test(test_psp_unsigned_cek_is_told_and_replaced),
	        cmocka_unit_test(test_psp_certificates_in_one_file_verify),
	        cmocka_unit_test(test_psp_keys_follow_from_the_seed),
	        cmocka_unit_test(test_psp_owner_signs_the_request_and_owns_the_platform),
	};

	return crypto_load(NULL) < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}

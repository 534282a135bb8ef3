/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The migration helper in two SEV guests of the software platform: what one seals the other opens, OpenSSL
 * too if it knows the owner's root key, and a host that changes something gets nothing.
 */
#include <openssl/evp.h>

#include "move.h"
#include "support/helper_hkdf.h"

/* ---- OpenSSL, with the root key alone ---- */

static void derive(enum helper_role direction, uint8_t key[static 32])
{
	agreed.direction = direction;
	openssl_hkdf(root_key, sizeof(root_key), HELPER_SALT, sizeof(HELPER_SALT), &agreed, sizeof(agreed),
	        key, 32);
}

/* As docs/helper.md describes a record. */
static bool openssl_opens(const struct mirror_record *record, enum helper_role direction, uint8_t *plain)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t key[32], iv[12] = {0}, aad[32] = {1, 1};
	int done, result;

	derive(direction, key);
	store_le(iv, 4, record->stream);
	store_le(iv + 4, 8, record->number);
	store_le(aad + 2, 2, record->stream);
	store_le(aad + 4, 4, record->pass);
	memcpy(aad + 8, "one move", 8);
	store_le(aad + 16, 8, record->gpa.raw);
	store_le(aad + 24, 4, HELPER_PAGE_BYTES);
	assert_int_equal(EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, iv), 1);
	assert_int_equal(EVP_DecryptUpdate(ctx, NULL, &done, aad, sizeof(aad)), 1);
	assert_int_equal(EVP_DecryptUpdate(ctx, plain, &done, record->page, HELPER_PAGE_BYTES), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(
	                         ctx, EVP_CTRL_GCM_SET_TAG, HELPER_TAG_BYTES, (void *)(uintptr_t)record->tag),
	        1);
	result = EVP_DecryptFinal_ex(ctx, plain + done, &done);
	EVP_CIPHER_CTX_free(ctx);
	return result == 1;
}

/* ---- tests ---- */

static void test_helper_brings_a_page_into_another_guest(void **state)
{
	uint8_t plain[HELPER_PAGE_BYTES], seen[TEXT_BYTES];

	start_both();
	seal(&source, 1);
	assert_null(memmem(records[0].page, HELPER_PAGE_BYTES, first_text, 8));
	assert_true(openssl_opens(&records[0], HELPER_SOURCE, plain));
	assert_memory_equal(plain, first_text, sizeof(first_text));
	assert_false(openssl_opens(&records[0], HELPER_TARGET, plain));

	assert_opens(records, 1);
	assert_int_equal(page_read(machine_vm_memory(target.bench.vm), gpa(TEXT_GPA), seen, sizeof(seen)), 0);
	assert_memory_not_equal(seen, first_text, 8); /* the host sees ciphertext there */
	assert_says(&target, first_text);

	seal(&target, 1); /* and back, with the other key */
	assert_true(openssl_opens(&records[0], HELPER_TARGET, plain));
	assert_memory_equal(plain, first_text, sizeof(first_text));
}

static void test_helper_serves_more_than_the_ring_holds(void **state)
{
	struct mirror_record trailer = {.trailer = true, .stream = 3};
	unsigned done;

	start_both();
	seal(&source, ARRAY_LEN(records));
	for (unsigned i = 0; i < ARRAY_LEN(records); i++)
		assert_true(records[i].number == i / HELPER_STREAMS);
	assert_opens(records, ARRAY_LEN(records));
	assert_says(&target, first_text);
	assert_ok(mirror_helper_seal(source.helper, &trailer, 1, &done, &err));
	assert_true(trailer.number == ARRAY_LEN(records) / HELPER_STREAMS);
	assert_opens(&trailer, 1);
	assert_refuses(
	        &trailer, "the end of stream 3: the migration helper refuses: there is no such stream");
}

static void test_helper_refuses_what_was_changed(void **state)
{
	static const char changed[] = "was changed, or sealed with other keys";

	start_both();
	for (unsigned what = 0; what < 6; what++) {
		struct mirror_record *record = &records[0];

		agree();
		seal(&source, 1);
		switch (what) {
		case 0: record->page[4095] ^= 1; break;
		case 1: record->tag[0] ^= 1; break;
		case 2: record->gpa.raw += HELPER_STREAMS * (uint64_t)HELPER_PAGE_BYTES; break;
		case 3: record->pass++; break;
		case 4: record->stream++, record->gpa.raw += HELPER_PAGE_BYTES; break;
		case 5: record->stream++; break;
		}
		assert_refuses(record, what == 5 ? "or it is not the page's" : changed);
	}
	agree();
	seal(&source, 1);
	assert_opens(records, 1);
	assert_says(&target, first_text);
}

/* The first stream's records are the first, the ninth, and so on. */
static void test_helper_refuses_another_order(void **state)
{
	static const struct {
		unsigned opened[3], count, refused;
	} orders[] = {
	        {{0}, 0, 8},
	        {{0}, 1, 0},
	        {{0}, 1, 16},
	        {{0, 8}, 2, 8},
	        {{0, 8, 16}, 3, 0},
	};

	start_both();
	for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
		agree();
		seal(&source, 17);
		for (unsigned at = 0; at < orders[i].count; at++)
			assert_opens(&records[orders[i].opened[at]], 1);
		assert_refuses(&records[orders[i].refused], "not the record that comes next");
	}
	assert_says(&target, first_text);
}

static void test_helper_of_another_move_opens_nothing(void **state)
{
	start_both();
	seal(&source, 1);
	agree();
	assert_refuses(&records[0], "was changed, or sealed with other keys");
	agree();
	seal(&source, 1);
	assert_opens(records, 1);
	assert_ok(mirror_helper_forget(target.helper, &err));
	assert_has_no_keys(&target);
}

/* A host can give a mirror's memory a second vCPU. It would share counters with the first. */
static void test_helper_runs_once(void **state)
{
	struct mirror_guest guest;
	struct mirror_helper *second;
	struct helper_hello hello;

	side_start(&source, &milan, first_text, root_key);
	assert_ok(mirror_helper_hello(source.helper, &hello, &err));
	guest = (struct mirror_guest){.host = source.host,
	        .vm_fd = machine_vm_fd(source.bench.vm),
	        .vm_type = UAPI_VM_SEV,
	        .sev = CONFIG_SEV,
	        .memory = machine_vm_memory(source.bench.vm),
	        .cpuid = (const struct kvm_cpuid2 *)machine_vm_cpuid(source.bench.vm)};
	assert_ok(call_kvm_open(source.host, &guest.kvm_fd, &err));
	assert_ok(mirror_helper_create(&guest, source.bench.launch->facts.c_bit, &second, &err));
	assert_fails(mirror_helper_hello(second, &hello, &err), ERR_FAILED, "");
	mirror_helper_destroy(second);
	host_close(source.host, guest.kvm_fd);
	side_end(&source);
}

static void test_helper_without_the_owners_root_has_no_keys(void **state)
{
	static const uint8_t another[HELPER_ROOT_BYTES] = "the root key of another owner..";
	struct helper_hello hello;

	side_start(&source, &milan, first_text, root_key);
	side_start(&target, &naples, second_text, NULL);
	assert_ok(mirror_helper_hello(target.helper, &hello, &err));
	terms = (struct helper_terms){.peer_nonce = "another"};
	assert_fails(mirror_helper_agree(target.helper, &terms, &err), ERR_USAGE,
	        "the guest's owner has injected no root key");
	assert_has_no_keys(&target);
	assert_fails(mirror_helper_agree(target.helper, &terms, &err), ERR_USAGE, "a hello must come before");
	assert_ok(mirror_helper_hello(target.helper, &hello, &err));
	side_end(&target);
	side_start(&target, &naples, second_text, another);
	agree();
	seal(&source, 1);
	assert_refuses(&records[0], "was changed, or sealed with other keys");
}

static void test_helper_is_in_the_digest_that_the_firmware_makes(void **state)
{
	const struct launch_digest *told;
	struct sim_guest_view view;

	side_start(&source, &milan, first_text, root_key);
	side_start(&target, &naples, first_text, root_key);
	told = launch_digest_of(source.bench.launch);
	assert_true(sim_guest_view(source.host, 0, &view));
	assert_memory_equal(view.digest, told->bytes, told->size_bytes);
	/* The processor, and its C-bit, do not matter. */
	assert_memory_equal(launch_digest_of(target.bench.launch)->bytes, told->bytes, told->size_bytes);
}

static void test_helper_wants_a_known_c_bit(void **state)
{
	const char *const sets[] = {"sev.helper=true", NULL};
	const struct sim_options odd = {.product = "Milan", .seed = 7, .c_bit = 49};

	assert_ok(sim_host_create(&odd, &source.host, &err));
	bench_start(&source.bench);
	bench_config(&source.bench, "sev", sets);
	assert_int_equal(bench_plan_on(&source.bench, source.host), -1);
	assert_non_null(strstr(
	        source.bench.err.text, "sev.helper: the helper has page tables for the C-bits 47 and 51"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_teardown(test_helper_brings_a_page_into_another_guest, end_both),
	        cmocka_unit_test_teardown(test_helper_serves_more_than_the_ring_holds, end_both),
	        cmocka_unit_test_teardown(test_helper_refuses_what_was_changed, end_both),
	        cmocka_unit_test_teardown(test_helper_refuses_another_order, end_both),
	        cmocka_unit_test_teardown(test_helper_of_another_move_opens_nothing, end_both),
	        cmocka_unit_test_teardown(test_helper_without_the_owners_root_has_no_keys, end_both),
	        cmocka_unit_test_teardown(test_helper_is_in_the_digest_that_the_firmware_makes, end_both),
	        cmocka_unit_test_teardown(test_helper_runs_once, end_both),
	        cmocka_unit_test_teardown(test_helper_wants_a_known_c_bit, end_both),
	};

	log_set_level(LOG_ERROR);
	if (crypto_load(&err) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

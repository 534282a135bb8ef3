/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The helper's keys: two helpers of one owner come to the same ones if and only if they were told the same,
 * and a nonce gives keys once.
 */
#include "support/helper_hkdf.h"
#include "support/helper_pair.h"
#include "support/test.h"
#include "vmm/abi/sev_launch.h"

static uint64_t random_state = 0x9e3779b97f4a7c15;

/* ---- nonces ---- */

static unsigned refusals; /* that are still to come */

static bool reluctant(uint64_t *ret_value)
{
	*ret_value = random_state++;
	return !refusals || refusals-- == 0;
}

static void test_key_nonce_waits_but_not_for_ever(void **state)
{
	uint8_t one[HELPER_NONCE_BYTES], two[HELPER_NONCE_BYTES];

	refusals = 20;
	assert_true(key_nonce(reluctant, one));
	assert_int_equal(refusals, 0);
	assert_true(key_nonce(reluctant, two));
	assert_memory_not_equal(one, two, sizeof(one));
	refusals = UINT32_MAX;
	assert_false(key_nonce(reluctant, one));
	assert_true(refusals > UINT32_MAX - 1000);
	refusals = 0;
}

static uint64_t stuck_at;

static bool stuck(uint64_t *ret_value)
{
	*ret_value = stuck_at;
	return true;
}

static unsigned turns;

/* Says what it has said before, but not at once. */
static bool repeating(uint64_t *ret_value)
{
	*ret_value = 1 + turns++ % (HELPER_NONCE_BYTES / 8);
	return true;
}

static void test_key_nonce_is_not_of_a_stuck_generator(void **state)
{
	static const uint64_t values[] = {0, UINT64_MAX, 0x0123456789abcdef};
	uint8_t nonce[HELPER_NONCE_BYTES];

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		stuck_at = values[i];
		assert_false(key_nonce(stuck, nonce));
	}
	assert_true(key_nonce(repeating, nonce));
}

/* ---- the root ---- */

static uint8_t secret[HELPER_PAGE_BYTES], root[HELPER_ROOT_BYTES];

static size_t put_header(size_t at, struct abi_efi_guid guid, size_t length)
{
	struct abi_secret_header header = {guid, (uint32_t)length};

	memcpy(secret + at, &header, sizeof(header));
	return at + sizeof(header);
}

/* A table with another secret of so many bytes before the root. Returns its length. */
static size_t put_table(size_t before, size_t root_bytes)
{
	size_t at = sizeof(struct abi_secret_header);

	memset(secret, 0, sizeof(secret));
	put_header(at, ABI_EFI_GUID(1, 2, 3, 4, 5), sizeof(struct abi_secret_header) + before);
	at = put_header(at + sizeof(struct abi_secret_header) + before, HELPER_ROOT_GUID,
	        sizeof(struct abi_secret_header) + root_bytes);
	for (size_t i = 0; i < root_bytes; i++)
		secret[at + i] = (uint8_t)(i + 1);
	put_header(0, ABI_SECRET_TABLE_GUID, at + root_bytes);
	return at + root_bytes;
}

static bool finds_root(void)
{
	return key_find_root(secret, sizeof(secret), root);
}

static void test_key_root_is_found_in_the_owners_table(void **state)
{
	for (size_t before = 0; before < 100; before++) {
		put_table(before, HELPER_ROOT_BYTES);
		assert_true(finds_root());
		for (unsigned i = 0; i < HELPER_ROOT_BYTES; i++)
			assert_int_equal(root[i], i + 1);
	}
}

static void test_key_root_is_not_found_in_anything_else(void **state)
{
	size_t length = put_table(16, HELPER_ROOT_BYTES);

	assert_false(key_find_root(secret, 19, root)); /* the table's head is cut off */
	assert_false(key_find_root(secret, length - 1, root));
	assert_true(key_find_root(secret, length, root));
	for (size_t wrong = 0; wrong < length; wrong++) {
		put_header(0, ABI_SECRET_TABLE_GUID, wrong);
		assert_false(finds_root());
	}
	put_header(0, ABI_SECRET_TABLE_GUID, sizeof(secret) + 1);
	assert_false(finds_root());
	put_header(0, ABI_EFI_GUID(1, 2, 3, 4, 5), length);
	assert_false(finds_root());
	for (size_t bytes = 0; bytes < 2 * HELPER_ROOT_BYTES; bytes++) {
		put_table(16, bytes);
		assert_int_equal(finds_root(), bytes == HELPER_ROOT_BYTES);
	}
	put_table(16, HELPER_ROOT_BYTES); /* an entry that leads nowhere, and one that leads back */
	put_header(20, ABI_EFI_GUID(1, 2, 3, 4, 5), UINT32_MAX);
	assert_false(finds_root());
	put_header(20, ABI_EFI_GUID(1, 2, 3, 4, 5), 0);
	assert_false(finds_root());
	memset(secret, 0, sizeof(secret));
	assert_false(finds_root());
}

/* ---- keys by the ring ---- */

static const struct helper_terms agreed = {.source_digest = "what the source was",
        .target_digest = "what the target was",
        .policy = 0x1,
        .move = "a move"};

static enum helper_status talk(struct end *end, enum helper_command command, const void *page, size_t size)
{
	uint8_t whole[HELPER_PAGE_BYTES] = {0};

	if (size)
		memcpy(whole, page, size);
	return end_ask(end, (struct helper_slot){.command = (uint16_t)command}, whole)->status;
}

static struct helper_hello greet(struct end *end)
{
	struct helper_hello hello;

	assert_int_equal(talk(end, HELPER_HELLO, NULL, 0), HELPER_DONE);
	memcpy(&hello, end->ring.pages[(end->ring.produced - 1) % HELPER_SLOTS], sizeof(hello));
	assert_int_equal(hello.version, HELPER_VERSION);
	assert_int_equal(hello.form, GCM_PLAIN);
	return hello;
}

static enum helper_status agree(
        struct end *end, struct helper_terms terms, enum helper_role role, const struct helper_hello *peer)
{
	terms.role = role;
	memcpy(terms.peer_nonce, peer->nonce, sizeof(peer->nonce));
	return talk(end, HELPER_KEYS, &terms, sizeof(terms));
}

static void start_without_keys(void)
{
	pair_start(GCM_PLAIN);
	put_table(8, HELPER_ROOT_BYTES);
	memcpy(source.secret, secret, sizeof(secret));
	memcpy(target.secret, secret, sizeof(secret));
}

/* Seals a page at the source. Returns what the target says to it. */
static enum helper_status move_page(void)
{
	struct helper_slot *sealed = end_ask(
	        &source, (struct helper_slot){.command = HELPER_SEAL, .stream = 1, .gpa = 0x1000}, NULL);
	struct helper_slot record = *sealed;

	assert_int_equal(sealed->status, HELPER_DONE);
	record.command = HELPER_OPEN;
	return end_ask(&target, record, end_page(&source, sealed))->status;
}

static void test_key_both_ends_come_to_the_same_keys(void **state)
{
	struct helper_hello of_source, of_target;
	struct helper_terms terms = agreed;
	struct helper_info info = {.policy = 0x1};
	uint8_t wanted[32];
	struct gcm_key key;

	start_without_keys();
	of_source = greet(&source);
	of_target = greet(&target);
	assert_int_equal(agree(&source, terms, HELPER_SOURCE, &of_target), HELPER_DONE);
	assert_int_equal(agree(&target, terms, HELPER_TARGET, &of_source), HELPER_DONE);
	assert_int_equal(move_page(), HELPER_DONE);
	assert_memory_equal(source.memory + 0x1000, target.memory + 0x1000, HELPER_PAGE_BYTES);

	memcpy(info.source_nonce, of_source.nonce, sizeof(info.source_nonce));
	memcpy(info.target_nonce, of_target.nonce, sizeof(info.target_nonce));
	memcpy(info.source_digest, terms.source_digest, sizeof(info.source_digest));
	memcpy(info.target_digest, terms.target_digest, sizeof(info.target_digest));
	memcpy(info.move, terms.move, sizeof(info.move));
	for (info.direction = HELPER_SOURCE; info.direction <= HELPER_TARGET; info.direction++) {
		assert_true(finds_root());
		openssl_hkdf(root, sizeof(root), HELPER_SALT, sizeof(HELPER_SALT), &info, sizeof(info),
		        wanted, sizeof(wanted));
		gcm_key_set(&key, GCM_PLAIN, wanted);
		assert_memory_equal(key.round,
		        info.direction == HELPER_SOURCE ? source.helper.seal.round : target.helper.seal.round,
		        sizeof(key.round));
	}
}

/* The target is told something else than the source, or has another root. */
static void test_key_who_is_told_otherwise_has_other_keys(void **state)
{
	for (unsigned what = 0; what < 7; what++) {
		struct helper_hello of_source, of_target;
		struct helper_terms terms = agreed;
		enum helper_role role = HELPER_TARGET;

		start_without_keys();
		of_source = greet(&source);
		of_target = greet(&target);
		assert_int_equal(agree(&source, terms, HELPER_SOURCE, &of_target), HELPER_DONE);
		switch (what) {
		case 0: terms.source_digest[31] ^= 1; break;
		case 1: terms.target_digest[0] ^= 1; break;
		case 2: terms.policy ^= 0x80; break;
		case 3: terms.move[7] ^= 1; break;
		case 4: of_source.nonce[31] ^= 1; break;
		case 5: target.secret[20 + 20 + 8 + 20] ^= 1; break;
		case 6: role = HELPER_SOURCE; break;
		}
		assert_int_equal(agree(&target, terms, role, &of_source), HELPER_DONE);
		assert_int_equal(move_page(), HELPER_BAD_TAG);
	}
}

static void assert_has_no_keys(struct end *end)
{
	static const struct gcm_key none;

	assert_int_equal(
	        end_ask(end, (struct helper_slot){.command = HELPER_SEAL, .stream = 1, .gpa = 0x1000}, NULL)
	                ->status,
	        HELPER_NO_KEYS);
	assert_int_equal(
	        end_ask(end, (struct helper_slot){.command = HELPER_END_OPEN}, NULL)->status, HELPER_NO_KEYS);
	assert_memory_equal(&end->helper.seal, &none, sizeof(none));
	assert_memory_equal(&end->helper.open, &none, sizeof(none));
}

static void test_key_a_nonce_gives_keys_once(void **state)
{
	struct helper_hello peer = {.nonce = "another"}, first, second;

	start_without_keys();
	assert_int_equal(talk(&source, HELPER_FORGET, NULL, 0), HELPER_DONE);
	assert_has_no_keys(&source);
	assert_int_equal(agree(&source, agreed, HELPER_SOURCE, &peer), HELPER_NO_HELLO);
	first = greet(&source);
	assert_has_no_keys(&source);
	assert_int_equal(agree(&source, agreed, HELPER_SOURCE, &peer), HELPER_DONE);
	assert_int_equal(agree(&source, agreed, HELPER_SOURCE, &peer), HELPER_NO_HELLO);
	assert_int_equal(
	        end_ask(&source, (struct helper_slot){.command = HELPER_SEAL, .stream = 1, .gpa = 0x1000},
	                NULL)
	                ->status,
	        HELPER_DONE);
	second = greet(&source);
	assert_memory_not_equal(first.nonce, second.nonce, sizeof(first.nonce));
	assert_has_no_keys(&source);
	assert_true(source.helper.sealed[1] == 0);
}

static void test_key_bad_terms_are_refused(void **state)
{
	struct helper_hello own, peer = {.nonce = "another"}, none = {0};
	struct helper_terms terms = agreed;

	start_without_keys();
	own = greet(&source);
	assert_int_equal(agree(&source, terms, HELPER_SOURCE, &own), HELPER_BAD_TERMS);
	assert_int_equal(agree(&source, terms, HELPER_SOURCE, &none), HELPER_BAD_TERMS);
	assert_int_equal(agree(&source, terms, (enum helper_role)2, &peer), HELPER_BAD_TERMS);
	terms.reserved = 1;
	assert_int_equal(agree(&source, terms, HELPER_SOURCE, &peer), HELPER_BAD_TERMS);
	source.secret[0] ^= 1;
	assert_int_equal(agree(&source, agreed, HELPER_SOURCE, &peer), HELPER_NO_ROOT);
	assert_has_no_keys(&source);
	source.secret[0] ^= 1;
	assert_int_equal(agree(&source, agreed, HELPER_SOURCE, &peer), HELPER_DONE);
	assert_int_equal(
	        end_ask(&source, (struct helper_slot){.command = HELPER_HELLO, .gpa = 1}, NULL)->status,
	        HELPER_BAD_COMMAND);
}

static void test_key_without_random_numbers_there_are_no_keys(void **state)
{
	start_without_keys();
	source.helper.random = reluctant;
	refusals = UINT32_MAX;
	assert_int_equal(talk(&source, HELPER_HELLO, NULL, 0), HELPER_NO_RANDOM);
	assert_has_no_keys(&source);
	refusals = 0;
}

/* What a key has sealed as its first record of the page's stream. */
static struct helper_slot seal_first(uint8_t ret_page[static HELPER_PAGE_BYTES])
{
	const struct helper_slot *slot = end_ask(
	        &source, (struct helper_slot){.command = HELPER_SEAL, .stream = 1, .gpa = 0x1000}, NULL);

	assert_int_equal(slot->status, HELPER_DONE);
	assert_true(slot->number == 0);
	memcpy(ret_page, end_page(&source, slot), HELPER_PAGE_BYTES);
	return *slot;
}

/*
 * Number and stream are the same again, so the key must be another, or both pages' difference could be seen.
 * The host tells the source the same as before, the peer's nonce included.
 */
static void test_key_a_cancelled_move_and_the_next_share_no_key(void **state)
{
	const struct helper_hello peer = {.nonce = "another"};
	uint8_t first[HELPER_PAGE_BYTES], second[HELPER_PAGE_BYTES];

	start_without_keys();
	greet(&source);
	assert_int_equal(agree(&source, agreed, HELPER_SOURCE, &peer), HELPER_DONE);
	seal_first(first);
	assert_int_equal(talk(&source, HELPER_FORGET, NULL, 0), HELPER_DONE);
	greet(&source);
	assert_int_equal(agree(&source, agreed, HELPER_SOURCE, &peer), HELPER_DONE);
	seal_first(second);
	for (size_t at = 0; at < sizeof(first); at += 16)
		assert_memory_not_equal(first + at, second + at, 16);
}

/* A host that has recorded a move brings it to another target of the same owner, or to the same one again. */
static void test_key_a_recorded_move_does_not_load_again(void **state)
{
	struct helper_hello of_source, of_target;
	uint8_t page[HELPER_PAGE_BYTES];
	struct helper_slot record;

	start_without_keys();
	of_source = greet(&source);
	of_target = greet(&target);
	assert_int_equal(agree(&source, agreed, HELPER_SOURCE, &of_target), HELPER_DONE);
	assert_int_equal(agree(&target, agreed, HELPER_TARGET, &of_source), HELPER_DONE);
	record = seal_first(page);
	record.command = HELPER_OPEN;
	assert_int_equal(end_ask(&target, record, page)->status, HELPER_DONE);

	end_start(&target, GCM_PLAIN);
	memcpy(target.secret, secret, sizeof(secret));
	for (unsigned i = 0; i < 2; i++) {
		greet(&target);
		assert_int_equal(agree(&target, agreed, HELPER_TARGET, &of_source), HELPER_DONE);
		assert_int_equal(end_ask(&target, record, page)->status, HELPER_BAD_TAG);
	}
	for (size_t i = 0; i < PAIR_BYTES; i++)
		assert_int_equal(target.memory[i], 0);
}

/* Also after a move that was forgotten, and a nonce that has made keys. */
static void test_key_a_nonce_does_not_come_twice(void **state)
{
	const struct helper_hello peer = {.nonce = "another"};

	start_without_keys();
	source.helper.random = repeating;
	turns = 0;
	greet(&source);
	assert_int_equal(agree(&source, agreed, HELPER_SOURCE, &peer), HELPER_DONE);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(talk(&source, HELPER_HELLO, NULL, 0), HELPER_NO_RANDOM);
		assert_has_no_keys(&source);
		assert_int_equal(agree(&source, agreed, HELPER_SOURCE, &peer), HELPER_NO_HELLO);
		assert_int_equal(talk(&source, HELPER_FORGET, NULL, 0), HELPER_DONE);
	}
	turns++;
	greet(&source);
	assert_int_equal(agree(&source, agreed, HELPER_SOURCE, &peer), HELPER_DONE);
}

static void test_key_a_broken_ring_ends_the_keys(void **state)
{
	static const struct gcm_key none;

	start_without_keys();
	source.ring.produced += HELPER_SLOTS + 1;
	assert_int_equal(helper_serve(&source.helper), 0);
	assert_memory_equal(&source.helper.seal, &none, sizeof(none));
	assert_false(source.helper.has_keys);
}

int main(void)
{
	struct err err;
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_key_nonce_waits_but_not_for_ever),
	        cmocka_unit_test(test_key_nonce_is_not_of_a_stuck_generator),
	        cmocka_unit_test(test_key_root_is_found_in_the_owners_table),
	        cmocka_unit_test(test_key_root_is_not_found_in_anything_else),
	        cmocka_unit_test(test_key_both_ends_come_to_the_same_keys),
	        cmocka_unit_test(test_key_who_is_told_otherwise_has_other_keys),
	        cmocka_unit_test(test_key_a_nonce_gives_keys_once),
	        cmocka_unit_test(test_key_bad_terms_are_refused),
	        cmocka_unit_test(test_key_without_random_numbers_there_are_no_keys),
	        cmocka_unit_test(test_key_a_nonce_does_not_come_twice),
	        cmocka_unit_test(test_key_a_cancelled_move_and_the_next_share_no_key),
	        cmocka_unit_test(test_key_a_recorded_move_does_not_load_again),
	        cmocka_unit_test(test_key_a_broken_ring_ends_the_keys),
	};

	if (crypto_load(&err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys that SNP guests derive: which requests give the same key again, which give another, and which are
 * refused. ID blocks are made by src/owner, the guest's side is message_guest.h.
 */
#include "message_guest.h"
#include "psp_bench.h"

#include "vmm/owner.h"

#define POLICY 0x30000
#define SVN    7

enum { F_POLICY = 1, F_IMAGE = 2, F_FAMILY = 4, F_MEASUREMENT = 8, F_SVN = 16, F_TCB = 32, F_ALL = 63 };

/* What one guest differs in from another. A zeroed struct is a guest like any other. */
struct kind {
	const char *product;
	uint64_t seed, policy;
	uint8_t contents, family, image, host_data;
	struct owner_id_key *id_key, *author; /* NULL: no ID block */
	bool masked, vlek, vcek_disabled;
};

struct request {
	uint32_t select;
	uint64_t fields;
	uint32_t vmpl, svn;
	uint64_t tcb;
	unsigned vmpck;
};

struct bench {
	struct psp *psp;
	uint32_t gctx;
	struct talker guest;
};

static void finish(struct bench *b, const struct kind *kind)
{
	struct uapi_sev_snp_launch_finish finish = {.id_block_en = kind->id_key != NULL,
	        .auth_key_en = kind->author != NULL,
	        .vcek_disabled = kind->vcek_disabled,
	        .host_data = {kind->host_data}};
	struct abi_id_block block = {.version = 1,
	        .guest_svn = SVN,
	        .policy = POLICY | kind->policy,
	        .family_id = {kind->family},
	        .image_id = {kind->image}};
	struct abi_id_auth auth;
	struct psp_guest_view view;
	struct err err;

	assert_true(psp_guest_view(b->psp, 0, &view));
	memcpy(block.ld, view.digest, sizeof(block.ld));
	if (kind->id_key)
		assert_ok(owner_id_sign(&block, kind->id_key, kind->author, &auth, &err));
	assert_code(psp_snp_launch_finish(b->psp, b->gctx, &finish, &block, &auth), PSP_SUCCESS);
}

static void bench_init(struct bench *b, const struct kind *kind)
{
	struct psp_options options = bench_options(kind->product ?: "Milan");
	const struct uapi_sev_snp_config config = {.mask_chip = kind->masked ? 2 : 0};
	uint8_t page[PAGE_SIZE_BYTES] = {kind->contents}, secrets[PAGE_SIZE_BYTES] = {0};
	struct err err;

	options.seed += kind->seed;
	assert_ok(psp_create(&options, &b->psp, &err));
	assert_code(psp_snp_set_config(b->psp, &config), PSP_SUCCESS);
	if (kind->vlek) {
		uint8_t wrapped[PSP_VLEK_BYTES];
		char *vlek, *chain;

		assert_ok(psp_export_vlek(b->psp, "a provider", wrapped, &vlek, &chain, &err));
		assert_code(psp_snp_vlek_load(b->psp, wrapped, sizeof(wrapped)), PSP_SUCCESS);
		free(vlek);
		free(chain);
	}
	assert_code(psp_gctx_create(b->psp, &b->gctx), PSP_SUCCESS);
	assert_code(psp_snp_launch_start(b->psp, b->gctx, POLICY | kind->policy, secrets), PSP_SUCCESS);
	assert_code(psp_snp_activate(b->psp, b->gctx, 1), PSP_SUCCESS);
	assert_code(psp_snp_launch_update(b->psp, b->gctx, ABI_PAGE_NORMAL, 0, page), PSP_SUCCESS);
	assert_code(psp_snp_launch_update(b->psp, b->gctx, ABI_PAGE_SECRETS, 0x1000, secrets), PSP_SUCCESS);
	finish(b, kind);
	talker_init(&b->guest, secrets);
}

static const uint8_t *ask_raw(struct bench *b, unsigned vmpck, const uint8_t payload[static 32])
{
	message_write(&b->guest, vmpck, KEY_REQ, payload, 32);
	message_seal(&b->guest, vmpck, 32);
	assert_code(psp_snp_guest_request(b->psp, b->gctx, b->guest.request, b->guest.response), PSP_SUCCESS);
	return message_read(&b->guest, vmpck, KEY_REQ, 64);
}

/* Returns the status. */
static uint32_t ask(struct bench *b, const struct request *r, uint8_t ret_key[static 32])
{
	static const uint8_t zeros[32];
	uint8_t payload[32] = {0};
	const uint8_t *answer;
	uint32_t status;

	store_le(payload, 4, r->select);
	store_le(payload + 8, 8, r->fields);
	store_le(payload + 16, 4, r->vmpl);
	store_le(payload + 20, 4, r->svn);
	store_le(payload + 24, 8, r->tcb);
	answer = ask_raw(b, r->vmpck, payload);
	status = (uint32_t)load_le(answer, 4);
	assert_memory_equal(answer + 4, zeros, 28);
	memcpy(ret_key, answer + 32, 32);
	assert_int_equal(memcmp(ret_key, zeros, 32) == 0, status != PSP_SUCCESS);
	return status;
}

/* The key that a guest of this kind gets; it is refused nothing. */
static void key_of(const struct kind *kind, const struct request *r, uint8_t ret_key[static 32])
{
	uint8_t again[32];
	struct bench b;

	bench_init(&b, kind);
	assert_code(ask(&b, r, ret_key), PSP_SUCCESS);
	assert_code(ask(&b, r, again), PSP_SUCCESS);
	assert_memory_equal(ret_key, again, 32);
	psp_destroy(b.psp);
}

static void assert_keys(const struct kind *a, const struct request *by_a, const struct kind *b,
        const struct request *by_b, bool same)
{
	uint8_t keys[2][32];

	key_of(a, by_a, keys[0]);
	key_of(b, by_b, keys[1]);
	assert_int_equal(memcmp(keys[0], keys[1], 32) == 0, same);
}

/* ---- what changes a key ---- */

static void test_key_is_bound_to_what_the_guest_selects(void **state)
{
	struct owner_id_key *id_key;
	struct err err;

	assert_ok(owner_id_key_generate(&id_key, &err));
	const struct kind plain = {.id_key = id_key};
	const struct {
		struct kind kind;
		uint64_t field; /* that tells the two apart; 0: nothing does, or any key does */
		bool always;
	} others[] = {
	        {{.id_key = id_key}, 0, false},
	        {{.id_key = id_key, .policy = 0x80000}, F_POLICY, false},
	        {{.id_key = id_key, .image = 1}, F_IMAGE, false},
	        {{.id_key = id_key, .family = 1}, F_FAMILY, false},
	        {{.id_key = id_key, .contents = 1}, F_MEASUREMENT, false},
	        {{.id_key = id_key, .host_data = 1}, 0, true},
	        {{.id_key = id_key, .seed = 1}, 0, true},
	        {{.id_key = id_key, .product = "Genoa"}, 0, true},
	        {{.id_key = NULL}, 0, true},
	};

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		const struct request all = {.fields = F_ALL, .svn = 0, .tcb = 0},
		                     rest = {.fields = F_ALL & ~others[i].field};

		assert_keys(&plain, &all, &others[i].kind, &all, !others[i].field && !others[i].always);
		assert_keys(&plain, &rest, &others[i].kind, &rest, !others[i].always);
	}
	owner_id_key_destroy(id_key);
}

static void test_key_is_bound_to_the_request(void **state)
{
	static const struct request others[] = {
	        {.vmpl = 1},
	        {.select = 1},
	        {.fields = F_POLICY},
	        {.fields = F_IMAGE},
	        {.fields = F_FAMILY},
	        {.fields = F_MEASUREMENT},
	        {.fields = F_SVN},
	        {.fields = F_SVN, .svn = SVN},
	        {.fields = F_TCB},
	        {.fields = F_TCB, .tcb = BENCH_TCB},
	};
	uint8_t keys[ARRAY_LEN(others) + 1][32], same[32];
	struct owner_id_key *id_key;
	struct bench b;
	struct err err;

	assert_ok(owner_id_key_generate(&id_key, &err));
	bench_init(&b, &(struct kind){.id_key = id_key});
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_code(ask(&b, &others[i], keys[i]), PSP_SUCCESS);
	assert_code(ask(&b, &(struct request){0}, keys[ARRAY_LEN(others)]), PSP_SUCCESS);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(keys[i], keys[j], 32);
	}
	/* Fields that were not selected have no effect; code at any level may ask for those above it. */
	assert_code(ask(&b, &(struct request){.svn = SVN, .tcb = BENCH_TCB}, same), PSP_SUCCESS);
	assert_memory_equal(same, keys[ARRAY_LEN(others)], 32);
	assert_code(ask(&b, &(struct request){.vmpl = 1, .vmpck = 1}, same), PSP_SUCCESS);
	assert_memory_equal(same, keys[0], 32);
	psp_destroy(b.psp);
	owner_id_key_destroy(id_key);
}

/* Guests whose ID keys have the same author have the same keys. */
static void test_key_follows_the_author(void **state)
{
	static const struct request all = {.fields = F_ALL};
	struct owner_id_key *one, *two, *author;
	struct err err;

	assert_ok(owner_id_key_generate(&one, &err));
	assert_ok(owner_id_key_generate(&two, &err));
	assert_ok(owner_id_key_generate(&author, &err));
	const struct kind a = {.id_key = one}, b = {.id_key = two}, c = {.id_key = one, .author = author},
	                  d = {.id_key = two, .author = author}, e = {.id_key = two, .author = one};

	assert_keys(&a, &all, &b, &all, false);
	assert_keys(&c, &all, &d, &all, true);
	assert_keys(&a, &all, &e, &all, false);
	assert_keys(&d, &all, &e, &all, false);
	owner_id_key_destroy(one);
	owner_id_key_destroy(two);
	owner_id_key_destroy(author);
}

/* ---- roots ---- */

static void test_key_has_the_root_that_is_selected(void **state)
{
	static const struct kind chip = {0}, vlek = {.vlek = true}, far = {.vlek = true, .seed = 1};
	static const struct request either = {.select = 0}, by_vcek = {.select = 2}, by_vlek = {.select = 4};

	assert_keys(&chip, &either, &chip, &by_vcek, true);
	assert_keys(&chip, &either, &vlek, &by_vcek, true);
	assert_keys(&vlek, &either, &vlek, &by_vlek, true);
	assert_keys(&vlek, &by_vlek, &vlek, &by_vcek, false);
	/* A VLEK is its provider's: another chip gives the same key. */
	assert_keys(&vlek, &by_vlek, &far, &by_vlek, true);
	assert_keys(&vlek, &by_vcek, &far, &by_vcek, false);
}

/* The root of a guest's own is drawn at its launch. */
static void test_key_of_the_guests_own_root_is_new_with_each_launch(void **state)
{
	static const struct request own = {.select = 1};
	struct bench b, next;
	uint8_t keys[3][32], page[PAGE_SIZE_BYTES] = {0};

	bench_init(&b, &(struct kind){.masked = true, .vcek_disabled = true});
	assert_code(ask(&b, &own, keys[0]), PSP_SUCCESS);
	assert_code(ask(&b, &own, keys[1]), PSP_SUCCESS);
	assert_memory_equal(keys[0], keys[1], 32);
	next.psp = b.psp;
	assert_code(psp_snp_decommission(b.psp, b.gctx), PSP_SUCCESS);
	assert_code(psp_gctx_create(next.psp, &next.gctx), PSP_SUCCESS);
	assert_code(psp_snp_launch_start(next.psp, next.gctx, POLICY, page), PSP_SUCCESS);
	assert_code(psp_snp_activate(next.psp, next.gctx, 2), PSP_SUCCESS);
	assert_code(psp_snp_launch_update(next.psp, next.gctx, ABI_PAGE_NORMAL, 0, page), PSP_SUCCESS);
	assert_code(psp_snp_launch_update(next.psp, next.gctx, ABI_PAGE_SECRETS, 0x1000, page), PSP_SUCCESS);
	finish(&next, &(struct kind){0});
	talker_init(&next.guest, page);
	assert_code(ask(&next, &own, keys[2]), PSP_SUCCESS);
	assert_memory_not_equal(keys[0], keys[2], 32);
	psp_destroy(b.psp);
}

/* ---- refusals ---- */

static void test_key_that_is_not_the_guests_is_refused(void **state)
{
	struct owner_id_key *id_key;
	struct err err;

	assert_ok(owner_id_key_generate(&id_key, &err));
	const struct {
		struct kind kind;
		struct request request;
		uint32_t status;
	} cases[] = {
	        {{0}, {.vmpl = 0, .vmpck = 1}, PSP_INVALID_PARAM},
	        {{0}, {.vmpl = 2, .vmpck = 3}, PSP_INVALID_PARAM}, {{0}, {.vmpl = 4}, PSP_INVALID_PARAM},
	        {{0}, {.fields = 64}, PSP_INVALID_PARAM},
	        {{0}, {.fields = UINT64_C(1) << 63}, PSP_INVALID_PARAM},
	        {{0}, {.fields = F_TCB, .tcb = BENCH_TCB + 1}, PSP_INVALID_PARAM},
	        {{0}, {.fields = F_TCB, .tcb = 0xd416000000000a04}, PSP_INVALID_PARAM},
	        {{0}, {.fields = F_TCB, .tcb = 0x10000}, PSP_INVALID_PARAM}, /* a part that Milan lacks */
	        {{0}, {.fields = F_SVN, .svn = 1}, PSP_INVALID_PARAM},       /* no ID block */
	        {{.id_key = id_key}, {.fields = F_SVN, .svn = SVN + 1}, PSP_INVALID_PARAM},
	        {{0}, {.select = 8}, PSP_INVALID_PARAM}, {{0}, {.select = 1u << 31}, PSP_INVALID_PARAM},
	        {{0}, {.select = 4}, PSP_INVALID_KEY}, {{0}, {.select = 6}, PSP_INVALID_KEY},
	        {{.vlek = true}, {.select = 6}, PSP_INVALID_KEY},
	        {{.masked = true}, {.select = 0}, PSP_INVALID_KEY},
	        {{.masked = true, .vlek = true}, {.select = 4}, PSP_INVALID_KEY},
	        {{.vcek_disabled = true}, {.select = 0}, PSP_INVALID_KEY},
	        {{.vcek_disabled = true}, {.select = 2}, PSP_INVALID_KEY},
	        {{.vcek_disabled = true, .vlek = true}, {.select = 2}, PSP_INVALID_KEY},
	        {{.vcek_disabled = true, .vlek = true}, {.select = 0}, PSP_SUCCESS},
	        {{.vcek_disabled = true}, {.select = 1}, PSP_SUCCESS},
	        {{.vcek_disabled = true}, {.select = 7}, PSP_SUCCESS}, /* the guest's own root needs no key */
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t key[32];
		struct bench b;
		uint32_t status;

		bench_init(&b, &cases[i].kind);
		status = ask(&b, &cases[i].request, key);
		if (status != cases[i].status)
			fail_msg("case %zu: status %u", i, status);
		psp_destroy(b.psp);
	}
	owner_id_key_destroy(id_key);
}

static void test_key_request_with_reserved_bytes_is_refused(void **state)
{
	struct bench b;

	bench_init(&b, &(struct kind){0});
	for (size_t at = 4; at < 8; at++) {
		uint8_t payload[32] = {0};

		payload[at] = 1;
		assert_int_equal(load_le(ask_raw(&b, 0, payload), 4), PSP_INVALID_PARAM);
	}
	psp_destroy(b.psp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_key_is_bound_to_what_the_guest_selects),
	        cmocka_unit_test(test_key_is_bound_to_the_request),
	        cmocka_unit_test(test_key_follows_the_author),
	        cmocka_unit_test(test_key_has_the_root_that_is_selected),
	        cmocka_unit_test(test_key_of_the_guests_own_root_is_new_with_each_launch),
	        cmocka_unit_test(test_key_that_is_not_the_guests_is_refused),
	        cmocka_unit_test(test_key_request_with_reserved_bytes_is_refused),
	};

	return crypto_load(NULL) < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}

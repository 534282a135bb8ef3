/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes wrong where a guest moves by a helper on a mirror, on the software platform: what no log shows,
 * pages whose kind was mistaken, and keys that outlive what they were made for.
 */
#include "move.h"
#include "vmm/page/dirty.h"

/* ---- what no log shows ---- */

/* Takes what was logged so far. Returns whether the text's page was written. */
static bool text_is_logged(struct side *side, struct page_dirty *dirty)
{
	const uint64_t frame = TEXT_GPA / HELPER_PAGE_BYTES;
	struct page_range range;
	bool found = false;

	assert_ok(machine_vm_collect_written(side->bench.vm, dirty, &err));
	for (uint64_t from = 0; page_dirty_take(dirty, from, UINT64_MAX, &range); from = range.end)
		found |= range.first <= frame && frame < range.end;
	return found;
}

/* The guest's write is in the guest's log; the helper's, by its own VM, is not. */
static void test_traps_guests_log_does_not_show_what_the_helper_writes(void **state)
{
	struct page_dirty *dirty;

	side_start(&source, &milan, first_text, root_key);
	side_prepare(&target, &genoa, second_text);
	side_begin(&target);
	side_inject_root(&target, root_key);
	side_finish(&target);
	assert_ok(page_dirty_create(machine_vm_memory(target.bench.vm), &dirty, &err));
	assert_ok(machine_vm_log_writes(target.bench.vm, true, &err));
	text_is_logged(&target, dirty); /* it may begin with all pages */
	side_step(&target);
	assert_true(text_is_logged(&target, dirty));
	agree();
	seal(&source, 1);
	assert_opens(records, 1);
	assert_false(text_is_logged(&target, dirty));
	assert_says(&target, first_text);
	assert_ok(machine_vm_log_writes(target.bench.vm, false, &err));
	page_dirty_destroy(dirty);
}

/* ---- the kind of a page ---- */

/* The helper takes every page for a private one, so what the guest shares with the host must not go by it. */
static void test_traps_shared_page_does_not_go_by_the_helper(void **state)
{
	static const char shared[] = "the guest and the host both read this";
	const uint64_t at = TEXT_GPA + HELPER_STREAMS * HELPER_PAGE_BYTES;
	char seen[sizeof(shared)];
	unsigned done;

	start_both();
	assert_int_equal(page_write(machine_vm_memory(source.bench.vm), gpa(at), shared, sizeof(shared)), 0);
	records[0] = page_record(at);
	assert_ok(mirror_helper_seal(source.helper, records, 1, &done, &err));
	assert_opens(records, 1);
	assert_int_equal(page_read(machine_vm_memory(target.bench.vm), gpa(at), seen, sizeof(seen)), 0);
	assert_memory_not_equal(seen, shared, sizeof(shared));
	assert_int_equal(page_read(machine_vm_memory(source.bench.vm), gpa(at), seen, sizeof(seen)), 0);
	assert_memory_equal(seen, shared, sizeof(shared));
}

/* ---- keys ---- */

/* Stream and number, which are all of the nonce, begin anew: so must the key. */
static void test_traps_cancelled_move_shares_no_key_with_the_next(void **state)
{
	static struct mirror_record first;
	unsigned done;

	start_both();
	seal(&source, 1);
	first = records[0];
	mirror_helper_cancel(source.helper);
	assert_fails(mirror_helper_seal(source.helper, records, 1, &done, &err), ERR_USAGE, "was cancelled");
	agree();
	seal(&source, 1);
	assert_true(records[0].number == first.number && records[0].stream == first.stream);
	for (size_t at = 0; at < HELPER_PAGE_BYTES; at += 16)
		assert_memory_not_equal(records[0].page + at, first.page + at, 16);
	assert_refuses(&first, "was changed, or sealed with other keys");
}

/* A start of the guest is the end of all keys, the owner's root key too. */
static void test_traps_keys_end_with_the_incarnation(void **state)
{
	struct helper_hello hello;

	start_both();
	launch_end(source.bench.launch);
	side_begin(&source);
	side_finish(&source);
	side_step(&source);
	assert_has_no_keys(&source);
	assert_ok(mirror_helper_hello(source.helper, &hello, &err));
	terms = (struct helper_terms){.peer_nonce = "another"};
	assert_fails(mirror_helper_agree(source.helper, &terms, &err), ERR_USAGE,
	        "the guest's owner has injected no root key");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_teardown(
	                test_traps_guests_log_does_not_show_what_the_helper_writes, end_both),
	        cmocka_unit_test_teardown(test_traps_shared_page_does_not_go_by_the_helper, end_both),
	        cmocka_unit_test_teardown(test_traps_cancelled_move_shares_no_key_with_the_next, end_both),
	        cmocka_unit_test_teardown(test_traps_keys_end_with_the_incarnation, end_both),
	};

	log_set_level(LOG_ERROR);
	if (crypto_load(&err) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's half of the migration helper: what it does after refusals, when it is cancelled, and when the
 * helper fails.
 */
#include <pthread.h>
#include <signal.h>

#include "move.h"

/* ---- refusals ---- */

static void test_half_goes_on_with_another_move_after_a_refusal(void **state)
{
	unsigned done;

	start_both();
	seal(&source, ARRAY_LEN(records));
	records[HELPER_SLOTS + 3].tag[0] ^= 1;
	assert_fails(mirror_helper_open(target.helper, records, ARRAY_LEN(records), &done, &err), ERR_USAGE,
	        "the page at 0x63000: the migration helper refuses: it was changed");
	assert_int_equal(done, HELPER_SLOTS + 3);
	assert_has_no_keys(&target);
	agree();
	seal(&source, ARRAY_LEN(records));
	assert_opens(records, ARRAY_LEN(records));
	seal(&target, 1);

	records[3] = page_record(HELPER_GPA); /* the source refuses */
	assert_fails(mirror_helper_seal(source.helper, records, 9, &done, &err), ERR_USAGE,
	        "it may not touch that address");
	assert_int_equal(done, 3);
	assert_has_no_keys(&source);
	agree();
	seal(&source, 9);
	assert_opens(records, 9);
}

static void test_half_touches_the_guests_pages_alone(void **state)
{
	static const uint64_t not_its[] = {HELPER_GPA, HELPER_SECRET_GPA, HELPER_RING_GPA, TEXT_GPA + 1};
	static const uint64_t nowhere[] = {HELPER_GAP_FIRST, HELPER_GAP_END - HELPER_PAGE_BYTES, MIB(4),
	        MIB(4) - HELPER_PAGE_BYTES + 1, HELPER_GPA - HELPER_PAGE_BYTES, HELPER_GPA + HELPER_BYTES,
	        GIB(4), HELPER_REACH_BYTES, HELPER_WINDOW + HELPER_GPA, UINT64_C(1) << 51 | TEXT_GPA,
	        UINT64_MAX & ~0xfffull};
	unsigned done;

	start_both();
	for (size_t i = 0; i < ARRAY_LEN(not_its); i++) {
		agree();
		records[0] = page_record(not_its[i]);
		assert_fails(mirror_helper_seal(source.helper, records, 1, &done, &err), ERR_USAGE,
		        "it may not touch that address");
	}
	/* The helper would crash. */
	for (size_t i = 0; i < ARRAY_LEN(nowhere); i++) {
		agree();
		seal(&source, 2);
		records[2] = page_record(nowhere[i]);
		assert_fails(mirror_helper_open(target.helper, records, 3, &done, &err), ERR_USAGE,
		        "the guest has no memory there");
		assert_int_equal(done, 2);
		assert_has_no_keys(&target);
		assert_fails(mirror_helper_seal(source.helper, &records[2], 1, &done, &err), ERR_USAGE,
		        "the guest has no memory there");
	}
	agree();
	records[0] = page_record(MIB(4) - HELPER_PAGE_BYTES);
	assert_ok(mirror_helper_seal(source.helper, records, 1, &done, &err));
	assert_opens(records, 1);
}

/* ---- memory that is added ---- */

#define ADDED MIB(128)

static void start_with_growth(void)
{
	side_memory_max = "machine.memory-max=388M";
	start_both();
	side_memory_max = NULL;
}

static void assert_moves(struct side *from, struct side *to, uint64_t at)
{
	unsigned done;

	records[0] = page_record(at);
	assert_ok(mirror_helper_seal(from->helper, records, 1, &done, &err));
	assert_ok(mirror_helper_open(to->helper, records, 1, &done, &err));
}

/* A page goes to the other guest and back. Its ciphertext depends on place and contents alone. */
static void assert_moves_there_and_back(uint64_t at)
{
	static const uint8_t zeros[HELPER_PAGE_BYTES];
	uint8_t before[HELPER_PAGE_BYTES], after[HELPER_PAGE_BYTES];
	struct page_memory *memory = machine_vm_memory(source.bench.vm);

	memset(before, 0xa5, sizeof(before));
	assert_int_equal(page_write(memory, gpa(at), before, sizeof(before)), 0);
	assert_moves(&source, &target, at);
	assert_int_equal(page_write(memory, gpa(at), zeros, sizeof(zeros)), 0);
	assert_moves(&target, &source, at);
	assert_int_equal(page_read(memory, gpa(at), after, sizeof(after)), 0);
	assert_memory_equal(after, before, sizeof(after));
}

static void test_half_sees_memory_that_is_added(void **state)
{
	unsigned done;

	start_with_growth();
	for (unsigned i = 0; i < 3; i++) {
		records[0] = page_record(GIB(4) + i * ADDED);
		assert_fails(mirror_helper_seal(source.helper, records, 1, &done, &err), ERR_USAGE,
		        "the guest has no memory there");
		assert_ok(launch_plug(source.bench.launch, ADDED, &err));
		assert_ok(launch_plug(target.bench.launch, ADDED, &err));
		agree();
		for (unsigned old = 0; old <= i; old++) {
			assert_moves_there_and_back(GIB(4) + old * ADDED);
			assert_moves_there_and_back(GIB(4) + (old + 1) * ADDED - HELPER_PAGE_BYTES);
		}
	}
	assert_fails(
	        launch_plug(source.bench.launch, ADDED, &err), ERR_USAGE, "the guest can get 0 MiB more");
}

/* The first slot is the mirror's, the second the guest's. The guest gets both or none. */
static void test_half_sees_no_memory_that_the_guest_does_not_get(void **state)
{
	struct mirror_record record = page_record(GIB(4));
	unsigned done;

	start_with_growth();
	for (unsigned nth = 1; nth <= 2; nth++) {
		const struct sim_fault fault = {
		        .call = "KVM_SET_USER_MEMORY_REGION", .nth = nth, .sys = ENOMEM};

		assert_ok(sim_fault_set(source.host, &fault, &err));
		assert_fails(launch_plug(source.bench.launch, ADDED, &err), ERR_FAILED, "ENOMEM");
		assert_int_equal(sim_fault_count(source.host), 0);
		assert_fails(mirror_helper_seal(source.helper, &record, 1, &done, &err), ERR_USAGE,
		        "the guest has no memory there");
	}
	assert_ok(launch_plug(source.bench.launch, ADDED, &err));
	assert_ok(launch_plug(target.bench.launch, ADDED, &err));
	agree();
	assert_moves_there_and_back(GIB(4));
}

static void test_half_is_new_after_a_reset(void **state)
{
	start_both();
	launch_end(source.bench.launch);
	assert_null(launch_helper(source.bench.launch));
	side_begin(&source);
	side_inject_root(&source, root_key);
	side_finish(&source);
	side_step(&source);
	assert_has_no_keys(&source);
	agree();
	seal(&source, 1);
	assert_opens(records, 1);
}

/* ---- another program in place of the helper ---- */

static uint8_t other_image[HELPER_IMAGE_BYTES];

/* Launches the source with another image in place of the helper. */
static void start_with(const uint8_t *image)
{
	struct launch_plan *plan;

	side_prepare(&source, &milan, first_text);
	plan = source.bench.launch->plan;
	for (unsigned i = 0; i < plan->count; i++) {
		if (plan->items[i].data == mirror_helper_image)
			plan->items[i].data = image;
	}
	side_begin(&source);
	side_inject_root(&source, root_key);
	side_finish(&source);
}

/* ---- cancels ---- */

static void on_kick(int signal)
{
}

static void catch_kicks(void)
{
	const struct sigaction action = {.sa_handler = on_kick};

	sigaction(SIGUSR1, &action, NULL);
}

static _Atomic bool enough;

/* A cancel that comes before the hello is forgotten, so there are several. */
static void *cancel_often(void *ctx)
{
	while (!enough) {
		usleep(20000);
		mirror_helper_cancel(source.helper);
	}
	return NULL;
}

static pthread_t start_canceller(void)
{
	pthread_t thread;

	catch_kicks();
	enough = false;
	assert_int_equal(pthread_create(&thread, NULL, cancel_often, NULL), 0);
	return thread;
}

static void end_canceller(pthread_t thread)
{
	enough = true;
	pthread_join(thread, NULL);
}

static void test_half_can_be_cancelled_by_another_thread(void **state)
{
	pthread_t thread;
	unsigned done = 0;

	start_both();
	thread = start_canceller();
	do {
		for (unsigned i = 0; i < ARRAY_LEN(records); i++)
			records[i] = page_record(TEXT_GPA + i * HELPER_PAGE_BYTES);
	} while (mirror_helper_seal(source.helper, records, ARRAY_LEN(records), &done, &err) == 0);
	end_canceller(thread);
	assert_int_equal(err.kind, ERR_USAGE);
	assert_string_equal(err.text, "the move was cancelled");
	assert_true(done < ARRAY_LEN(records));
	assert_ok(mirror_helper_forget(source.helper, &err));

	/* Also what comes later, until the next hello: nothing of it reaches the helper. */
	assert_fails(mirror_helper_seal(source.helper, records, 1, &done, &err), ERR_USAGE, "was cancelled");
	assert_fails(mirror_helper_agree(source.helper, &terms, &err), ERR_USAGE, "was cancelled");
	agree();
	seal(&source, 1);
	assert_opens(records, 1);
	assert_says(&target, first_text);
}

/* Without the cancel this would take MIRROR_HELPER_LIMIT_NS. */
static void test_half_that_does_not_stop_has_failed(void **state)
{
	struct helper_hello hello;
	pthread_t thread;

	memcpy(other_image, mirror_helper_image, sizeof(other_image));
	memcpy(other_image, "\xeb\xfe", 2); /* jmp $ */
	start_with(other_image);
	thread = start_canceller();
	assert_fails(mirror_helper_hello(source.helper, &hello, &err), ERR_FAILED,
	        "does not answer: it has run for 1000 ms");
	end_canceller(thread);
	assert_fails(mirror_helper_hello(source.helper, &hello, &err), ERR_FAILED, "has failed before");
}

/* ---- helpers that fail ---- */

static void test_half_that_does_not_answer_is_kicked(void **state)
{
	struct helper_hello hello;

	catch_kicks();
	memcpy(other_image, mirror_helper_image, sizeof(other_image));
	memcpy(other_image, "\xeb\xfe", 2); /* jmp $ */
	start_with(other_image);
	mirror_helper_set_limit(source.helper, 20000000);
	assert_fails(mirror_helper_hello(source.helper, &hello, &err), ERR_FAILED,
	        "does not answer: it has run for 20 ms");
	assert_fails(mirror_helper_hello(source.helper, &hello, &err), ERR_FAILED, "has failed before");
}

static void test_half_that_halts_without_an_answer_is_noticed(void **state)
{
	struct helper_hello hello;

	memcpy(other_image, mirror_helper_image, sizeof(other_image));
	other_image[0] = 0xf4; /* hlt */
	start_with(other_image);
	assert_fails(
	        mirror_helper_hello(source.helper, &hello, &err), ERR_FAILED, "halted before it answered");
}

/* RDRAND becomes UD2. */
static void test_half_tells_of_an_exception(void **state)
{
	struct helper_hello hello;
	uint8_t *rdrand;

	memcpy(other_image, mirror_helper_image, sizeof(other_image));
	rdrand = memmem(other_image, 4 * HELPER_PAGE_BYTES, "\x48\x0f\xc7", 3);
	assert_non_null(rdrand);
	memcpy(rdrand, "\x0f\x0b\x90", 3);
	start_with(other_image);
	assert_fails(mirror_helper_hello(source.helper, &hello, &err), ERR_FAILED,
	        "met exception 6, error code 0x0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_teardown(test_half_goes_on_with_another_move_after_a_refusal, end_both),
	        cmocka_unit_test_teardown(test_half_touches_the_guests_pages_alone, end_both),
	        cmocka_unit_test_teardown(test_half_sees_memory_that_is_added, end_both),
	        cmocka_unit_test_teardown(test_half_sees_no_memory_that_the_guest_does_not_get, end_both),
	        cmocka_unit_test_teardown(test_half_is_new_after_a_reset, end_both),
	        cmocka_unit_test_teardown(test_half_can_be_cancelled_by_another_thread, end_both),
	        cmocka_unit_test_teardown(test_half_that_does_not_stop_has_failed, end_both),
	        cmocka_unit_test_teardown(test_half_that_does_not_answer_is_kicked, end_both),
	        cmocka_unit_test_teardown(test_half_that_halts_without_an_answer_is_noticed, end_both),
	        cmocka_unit_test_teardown(test_half_tells_of_an_exception, end_both),
	};

	log_set_level(LOG_ERROR);
	if (crypto_load(&err) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

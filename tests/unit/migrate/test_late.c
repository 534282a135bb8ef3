/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest goes over while its memory is missing there. It reads all of it on several threads, and finds what
 * it had; whatever happens to the connection, it goes on over the next one, and never runs twice.
 */
#include "../../../src/migrate/late.h"
#include "guest.h"
#include "vmm/page/missing.h"

#define READERS 4
#define ROUNDS  3 /* connections, of which the first one is harmed */

static int missing_fd = -1;
static uint64_t loaded_page; /* read while a part is loaded, before the guest is the target's */

/* ---- the guest on the target ---- */

static pthread_t readers[READERS];
static _Atomic unsigned wrong_pages;
static bool reads; /* the readers are there */

static void *read_all(void *ctx)
{
	uint8_t here[PAGE_SIZE_BYTES], there[PAGE_SIZE_BYTES];
	uint64_t pages = RAM / PAGE_SIZE_BYTES, step = (uintptr_t)ctx * 2 + 5;

	for (uint64_t i = 0, at = 0; i < pages; i++, at = (at + step) % pages) {
		if (page_read(target.memory, gpa(at * PAGE_SIZE_BYTES), here, sizeof(here)) < 0 ||
		        page_read(source.memory, gpa(at * PAGE_SIZE_BYTES), there, sizeof(there)) < 0 ||
		        memcmp(here, there, sizeof(here)) != 0)
			wrong_pages++;
	}
	return NULL;
}

static int take_and_read(void *ctx, const uint8_t id[static MIGRATE_ID_BYTES], struct err *err)
{
	if (guest_take(ctx, id, err) < 0)
		return -1;
	for (uintptr_t i = 0; i < READERS; i++)
		pthread_create(&readers[i], NULL, read_all, (void *)i);
	reads = true;
	return 0;
}

static int load_and_read(
        void *ctx, enum migrate_part part, unsigned i, const void *data, size_t size, struct err *err)
{
	if (part == MIGRATE_PART_DEVICE &&
	        page_read(target.memory, gpa(MIB(3)), &loaded_page, sizeof(loaded_page)) < 0)
		return -1;
	return guest_load(ctx, part, i, data, size, err);
}

/* ---- connections ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool waits, ended; /* the target's thread: for a connection; it is over */
static int next_fd = -1;  /* what it waits for */
static unsigned reconnects;

static void tell(bool *flag)
{
	pthread_mutex_lock(&lock);
	*flag = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static int reconnect(void *ctx, struct err *err)
{
	int fd;

	shutdown(target.fd, SHUT_RDWR);
	tell(&waits);
	pthread_mutex_lock(&lock);
	while (next_fd < 0)
		pthread_cond_wait(&changed, &lock);
	fd = next_fd;
	next_fd = -1;
	waits = false;
	pthread_mutex_unlock(&lock);
	close_side(&target);
	reconnects++;
	open_side(&target, fd, MIGRATE_PATIENCE_MS);
	return 0;
}

static void *be_late_target(void *ctx)
{
	be_target(ctx);
	tell(&ended);
	return NULL;
}

static void make_late_guests(void)
{
	make_guests();
	waits = ended = reads = false;
	wrong_pages = 0;
	reconnects = 0;
	source.side.may_split = true;
	source.limits.late = true;
	target.side.missing_fd = missing_fd;
	target.side.reconnect = reconnect;
	target.seam.take = take_and_read;
	target.seam.load = load_and_read;
}

static void free_late_guests(void)
{
	for (unsigned i = 0; i < READERS && reads; i++)
		pthread_join(readers[i], NULL);
	migrate_late_end(&target.side);
	free_guests();
}

/* A connection of its own for the source that asks again. Returns whether the target's thread is another one.
 */
static bool connect_again(pthread_t *thread)
{
	bool begins;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	open_side(&source, fds[0], MIGRATE_PATIENCE_MS);
	pthread_mutex_lock(&lock);
	while (!waits && !ended)
		pthread_cond_wait(&changed, &lock);
	begins = ended;
	if (!begins)
		next_fd = fds[1];
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	if (!begins)
		return false;
	pthread_join(*thread, NULL);
	close_side(&target);
	ended = false;
	open_side(&target, fds[1], MIGRATE_PATIENCE_MS);
	pthread_create(thread, NULL, be_late_target, &target);
	return true;
}

static void check_late_outcome(void)
{
	if (source.result == MIGRATE_STAYS) {
		assert_false(target.took);
		return;
	}
	assert_true(source.gave && !source.runs && target.took);
	assert_int_equal(source.result, MIGRATE_GONE);
	assert_int_equal(target.result, MIGRATE_GONE);
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
	reads = false;
	assert_int_equal(wrong_pages, 0);
	assert_true(are_equal());
}

/* As move(), and goes on over new connections until it is known who has the guest, and it has all of it. */
static bool move_late(enum harm harm, unsigned from, unsigned at)
{
	static struct middle middle;
	int left[2], right[2];
	pthread_t threads[2];

	middle = (struct middle){.harm = harm, .from = from, .at = at};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, left), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, right), 0);
	middle.ends[0] = left[1];
	middle.ends[1] = right[1];
	open_side(&source, left[0], harm == NO_HARM ? MIGRATE_PATIENCE_MS : SOON_MS);
	open_side(&target, right[0], harm == NO_HARM ? MIGRATE_PATIENCE_MS : SOON_MS);
	pthread_create(&threads[0], NULL, be_middleman, &middle);
	pthread_create(&threads[1], NULL, be_late_target, NULL);
	source.result = migrate_source(&source.side, &source.err);
	shutdown(source.fd, SHUT_RDWR);
	pthread_join(threads[0], NULL);
	for (unsigned i = 1; i < ROUNDS && (source.result == MIGRATE_DOUBT || source.result == MIGRATE_SPLIT);
	        i++) {
		close_side(&source);
		connect_again(&threads[1]);
		source.result = migrate_source_again(&source.side, &source.err);
		shutdown(source.fd, SHUT_RDWR);
	}
	pthread_join(threads[1], NULL);
	close_side(&source);
	close_side(&target);
	close(left[1]);
	close(right[1]);
	if (source.result == MIGRATE_STAYS)
		source.runs = true;
	return middle.done;
}

static void late_all(enum harm harm, unsigned from)
{
	bool done = true;

	for (unsigned at = 0; done; at++) {
		make_late_guests();
		done = move_late(harm, from, at);
		/* Of READY that is lost the target knows nothing. */
		check_late_outcome();
		free_late_guests();
		assert_true(at < 1000);
	}
}

/* ---- tests ---- */

static int setup(void **state)
{
	struct err err;

	fake_start(&kernel);
	log_set_level(LOG_ERROR);
	if (page_missing_open(&missing_fd, &err) < 0) {
		print_message("%s\n", err.text);
		missing_fd = -1;
	}
	return 0;
}

static void want_faults(void)
{
	if (missing_fd < 0)
		skip();
}

static void test_late_guest_reads_memory_that_misses(void **state)
{
	want_faults();
	make_late_guests();
	move_late(NO_HARM, 0, 0);
	if (source.result != MIGRATE_GONE)
		fail_msg("%s; %s", source.err.text, target.err.text);
	check_late_outcome();
	assert_int_equal(reconnects, 0);
	assert_int_equal(source.progress.phase, MIGRATE_LATE);
	assert_true(source.progress.wants >= 1); /* that of the device at least */
	/* Each page went once, and nothing twice. */
	assert_int_equal(source.progress.data_pages + source.progress.zero_pages, PAGES);
	free_late_guests();
}

static void test_late_after_a_pass(void **state)
{
	want_faults();
	make_late_guests();
	source.limits.late = false;
	source.limits.stop_ms = 0;
	source.rounds = 1;
	move_late(NO_HARM, 0, 0);
	check_late_outcome();
	assert_int_equal(source.result, MIGRATE_GONE);
	free_late_guests();
}

static void test_late_within_a_limit(void **state)
{
	want_faults();
	make_late_guests();
	source.limits.late_bytes_per_s = MIB(16);
	move_late(NO_HARM, 0, 0);
	check_late_outcome();
	assert_int_equal(source.result, MIGRATE_GONE);
	free_late_guests();
}

static void test_late_cut(void **state)
{
	want_faults();
	late_all(CUT, 0);
	late_all(CUT, 1);
}

static void test_late_frames_twice(void **state)
{
	want_faults();
	late_all(TWICE, 0);
	late_all(TWICE, 1);
}

static void test_late_target_that_cannot(void **state)
{
	make_late_guests();
	target.side.missing_fd = 0;
	move_late(NO_HARM, 0, 0);
	assert_int_equal(source.result, MIGRATE_STAYS);
	assert_non_null(strstr(target.err.text, "gives vmm no userfaultfd"));
	free_late_guests();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_late_guest_reads_memory_that_misses),
	        cmocka_unit_test(test_late_after_a_pass),
	        cmocka_unit_test(test_late_within_a_limit),
	        cmocka_unit_test(test_late_cut),
	        cmocka_unit_test(test_late_frames_twice),
	        cmocka_unit_test(test_late_target_that_cannot),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of confidential guests on the software platform, as a controller sees it and changes it: in every
 * phase of the launch, with many vCPUs, and over many resets.
 */
#include <dirent.h>
#include <malloc.h>

#include "life.h"

/* ---- stop and cont in every phase of the launch ---- */

static void stop_at(struct life *l)
{
	if (l->launch_events != l->at || l->step)
		return;
	l->step = 1;
	assert_ok(run_stop(l->run, &err));
	if (*l->log)
		life_stop(l); /* it ran already, and may be paused at once */
	else
		assert_ok(run_stop(l->run, &err));
}

static void then_cont(struct life *l)
{
	if (l->step == 1) {
		/* After the last step of the launch the vCPUs ran already. */
		life_assert_status(l, *l->log ? "paused" : "prelaunch");
		assert_string_equal(l->log, *l->log ? "RS" : "");
		l->step = 2;
		assert_ok(run_cont(l->run, &err));
		assert_ok(run_cont(l->run, &err));
		if (run_is_settled(l->run))
			run_quit(l->run);
		return;
	}
	life_assert_status(l, "running");
	run_quit(l->run);
}

static void test_life_stop_and_cont_in_every_phase_of_the_launch(void **state)
{
	life.on_launch = stop_at;
	life.on_settled = then_cont;
	for (size_t t = 0; t < ARRAY_LEN(types); t++) {
		unsigned phases = UINT32_MAX;

		for (life.at = 1; life.at <= phases; life.at++) {
			bool last;

			assert_ends_well(life_run(&life, types[t], NULL));
			phases = life.launch_events;
			last = life.at == phases;
			assert_int_equal(life.step, 2);
			assert_string_equal(life.log, last ? "RSRQ" : "RQ");
		}
		assert_true(phases >= 4);
	}
}

/* ---- quit in every phase of the launch ---- */

static void quit_at(struct life *l)
{
	if (l->launch_events == l->at)
		run_quit(l->run);
}

static void test_life_quit_in_every_phase_of_the_launch(void **state)
{
	struct sim_guest_view view;

	life.on_launch = quit_at;
	for (size_t t = 0; t < ARRAY_LEN(types); t++) {
		unsigned at = 0;

		do {
			life.at = ++at;
			assert_ends_well(life_run(&life, types[t], NULL));
			assert_int_equal(life.launch_events, at);
			assert_int_equal(life.cause, RUN_CAUSE_HOST_QUIT);
			assert_false(sim_guest_view(life.host, 0, &view));
		} while (strcmp(life.log, "Q") == 0);
		assert_string_equal(life.log, "RQ"); /* after the last step */
		assert_true(at >= 4);
	}
}

/* ---- many vCPUs ---- */

static void assert_all(struct life *l, bool wait)
{
	static pid_t threads[MACHINE_VCPUS_MAX];

	assert_int_equal(run_vcpus(l->run), MACHINE_VCPUS_MAX);
	for (unsigned i = 0; i < MACHINE_VCPUS_MAX; i++) {
		struct run_vcpu_facts facts = run_vcpu_facts(l->run, i);

		assert_int_equal(facts.waits, wait);
		if (l->settled == 1)
			threads[i] = facts.thread;
		assert_true(facts.thread && facts.thread == threads[i]);
	}
}

static void stop_or_cont(struct life *l)
{
	bool waits = l->step++ % 2;

	assert_all(l, waits);
	life_assert_status(l, waits ? "paused" : "running");
	if (l->step == 21) {
		run_quit(l->run);
	} else if (!waits) {
		life_stop(l);
	} else {
		assert_ok(run_cont(l->run, &err));
		assert_true(run_is_settled(l->run));
		stop_or_cont(l);
	}
}

static void test_life_stop_and_cont_with_all_vcpus(void **state)
{
	const char *const vcpus[] = {"machine.vcpus=64", NULL};

	life.on_settled = stop_or_cont;
	for (size_t t = 0; t < ARRAY_LEN(types); t++) {
		assert_ends_well(life_run(&life, types[t], vcpus));
		assert_string_equal(life.log, "RSRSRSRSRSRSRSRSRSRSRQ");
	}
}

/* ---- a hundred resets ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true /* sanitizers map memory for themselves */
#else
#define SANITIZED false
#endif

static unsigned count_entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

struct taken {
	unsigned fds, threads;
	size_t bytes;         /* that malloc() has given out, in all threads */
	unsigned long mapped; /* bytes, but for the heap, which keeps room for later */
};

static unsigned long mapped_bytes(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	unsigned long sum = 0, first, end;
	char line[400];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		assert_int_equal(sscanf(line, "%lx-%lx", &first, &end), 2);
		if (!strstr(line, "[heap]"))
			sum += end - first;
	}
	fclose(file);
	return sum;
}

static struct taken take_stock(void)
{
	unsigned long mapped = mapped_bytes();
	struct mallinfo2 info = mallinfo2();

	return (struct taken){count_entries("/proc/self/fd"), count_entries("/proc/self/task"),
	        info.uordblks + info.hblkhd, mapped};
}

static struct taken before, after;

static void assert_measured(struct life *l)
{
	const struct launch_digest *told = launch_digest_of(run_launch(l->run));
	struct sim_guest_view view;

	if (!told->size_bytes)
		return;
	assert_true(sim_guest_view(l->host, 0, &view));
	assert_int_equal(view.digest_bytes, told->size_bytes);
	assert_memory_equal(view.digest, told->bytes, told->size_bytes);
	assert_false(sim_guest_view(l->host, 1, &view));
}

#define FIRST   5            /* resets of a guest that waits */
#define RUNS    (FIRST + 1)  /* from here on it runs, ... */
#define STOPPED (RUNS + 101) /* ... is reset a hundred times, and stopped */
#define LAST    (STOPPED + FIRST)

/* Five resets of a guest that waits, a hundred of one that runs, five again. */
static void reset_again(struct life *l)
{
	unsigned n = l->step++;

	life_assert_status(l, n == STOPPED ? "paused" : n >= RUNS && n < STOPPED ? "running" : "prelaunch");
	assert_int_equal(run_status_of(l->run).resets, n < RUNS ? n : n < STOPPED ? n - 1 : n - 2);
	if (n >= RUNS && n <= STOPPED)
		assert_measured(l);
	if (n == FIRST)
		before = take_stock();
	if (n == LAST) {
		after = take_stock();
		run_quit(l->run);
	} else if (n == FIRST) {
		assert_ok(run_cont(l->run, &err));
	} else if (n == STOPPED - 1) {
		life_stop(l);
	} else {
		assert_ok(run_reset(l->run, &err));
	}
}

static void make_disk(char *path)
{
	int fd = mkstemp(strcpy(path, "/tmp/vmm-disk-XXXXXX"));

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, MIB(1)), 0);
	close(fd);
}

static void test_life_a_hundred_resets_leave_nothing_behind(void **state)
{
	char file[64] = "devices[0].file=", *path = file + strlen(file);
	const char *const sets[] = {"run.paused=true", "machine.vcpus=4", "devices[0].driver=blk", file,
	        "devices[1].driver=rng", "devices[2].driver=console", "devices[2].output=/dev/null", NULL};

	make_disk(path);
	life.on_settled = reset_again;
	for (size_t t = 0; t < ARRAY_LEN(types); t++) {
		assert_ends_well(life_run(&life, types[t], sets));
		assert_int_equal(life.step, LAST + 1);
		assert_int_equal(after.fds, before.fds);
		assert_int_equal(after.threads, before.threads);
		print_message("%s: %zu bytes and %lu mapped before, %zu and %lu after\n", types[t],
		        before.bytes, before.mapped, after.bytes, after.mapped);
		assert_int_equal(after.bytes, before.bytes);
		if (!SANITIZED)
			assert_int_equal(after.mapped, before.mapped);
	}
	unlink(path);
}

/* ---- a guest that waits costs nothing ---- */

/* How often the threads of this process were put to sleep or pushed aside, but for the caller's. */
static uint64_t switches(void)
{
	struct dirent *entry;
	uint64_t sum = 0;
	DIR *dir = opendir("/proc/self/task");

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		char path[300], line[200];
		unsigned long long n;
		FILE *file;

		if (*entry->d_name == '.' || atoi(entry->d_name) == gettid())
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%s/status", entry->d_name);
		file = fopen(path, "re");
		while (file && fgets(line, sizeof(line), file)) {
			if (sscanf(line, "voluntary_ctxt_switches: %llu", &n) == 1 ||
			        sscanf(line, "nonvoluntary_ctxt_switches: %llu", &n) == 1)
				sum += n;
		}
		if (file)
			fclose(file);
	}
	closedir(dir);
	return sum;
}

#define WINDOW_S  11 /* longer than the time between two looks whether the guest spins */
#define WINDOWS   3
#define SETTLE_MS 200

static _Atomic uint64_t woken;
static pthread_t watcher;

/* The watcher must be gone before the loop is, to which it posts this. */
static void quit_now(void *ctx)
{
	pthread_join(watcher, NULL);
	run_quit(((struct life *)ctx)->run);
}

/* The threads may be late on their way to sleep, but not each time. */
static void *watch(void *ctx)
{
	struct life *l = ctx;
	static struct loop_task quit;

	woken = UINT64_MAX;
	for (unsigned i = 0; i < WINDOWS && woken; i++) {
		uint64_t start;

		nanosleep(&(const struct timespec){.tv_nsec = SETTLE_MS * 1000000}, NULL);
		start = switches();
		nanosleep(&(const struct timespec){.tv_sec = WINDOW_S}, NULL);
		woken = switches() - start;
	}
	quit = (struct loop_task){.fn = quit_now, .ctx = l};
	loop_post(run_loop(l->run), &quit);
	return NULL;
}

static void stop_and_watch(struct life *l)
{
	if (l->step++ == 0) {
		life_stop(l);
		return;
	}
	life_assert_status(l, "paused");
	assert_int_equal(pthread_create(&watcher, NULL, watch, l), 0);
}

static void test_life_paused_guest_wakes_nobody(void **state)
{
	const char *const vcpus[] = {"machine.vcpus=4", NULL};

#ifdef __SANITIZE_THREAD__
	print_message("the sanitizer has a thread of its own, which wakes again and again\n");
	skip();
#endif
	life.on_settled = stop_and_watch;
	assert_ends_well(life_run(&life, "sev-snp", vcpus));
	assert_int_equal(woken, 0);
}

/* ---- what a reset means to a guest that waits ---- */

static void reset_what_waits(struct life *l)
{
	switch (l->step++) {
	case 0: /* run.paused */
		life_assert_status(l, "prelaunch");
		assert_ok(run_cont(l->run, &err));
		break;
	case 1:
		life_assert_status(l, "running");
		life_stop(l);
		break;
	case 2:
		life_assert_status(l, "paused");
		assert_ok(run_powerdown(l->run, &err));
		assert_ok(run_reset(l->run, &err));
		break;
	case 3:
		life_assert_status(l, "prelaunch");
		assert_string_equal(l->log, "RSPT");
		assert_ok(run_reset(l->run, &err));
		assert_ok(run_cont(l->run, &err));
		break;
	case 4:
		life_assert_status(l, "running");
		assert_ok(run_reset(l->run, &err));
		assert_ok(run_stop(l->run, &err));
		break;
	case 5:
		life_assert_status(l, "prelaunch");
		run_quit(l->run);
		break;
	default: fail();
	}
}

static void test_life_reset_of_a_paused_guest_waits(void **state)
{
	life.on_settled = reset_what_waits;
	for (size_t t = 0; t < ARRAY_LEN(types); t++) {
		assert_ends_well(life_run(&life, types[t], paused));
		assert_string_equal(life.log, "RSPTTRTSQ");
		assert_int_equal(life.step, 6);
	}
}

/* ---- looks at vCPUs ---- */

static struct run_look look;

static void on_looked(struct run_look *done)
{
	assert_non_null(strstr(done->text, "rip    000000000000fff0"));
	if (life.step++ == 1)
		life_stop(&life);
	else
		run_quit(life.run);
}

static void look_at_it(struct life *l)
{
	look.on_done = on_looked;
	l->step += l->step == 0;
	run_look_start(l->run, 0, &look);
}

static void test_life_registers_are_told_of_vcpus_that_run_or_wait(void **state)
{
	life.on_settled = look_at_it;
	assert_ends_well(life_run(&life, "none", NULL));
	assert_string_equal(life.log, "RSQ");
	assert_int_equal(life.step, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        T(test_life_stop_and_cont_in_every_phase_of_the_launch),
	        T(test_life_quit_in_every_phase_of_the_launch),
	        T(test_life_stop_and_cont_with_all_vcpus),
	        T(test_life_a_hundred_resets_leave_nothing_behind),
	        T(test_life_paused_guest_wakes_nobody),
	        T(test_life_reset_of_a_paused_guest_waits),
	        T(test_life_registers_are_told_of_vcpus_that_run_or_wait),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

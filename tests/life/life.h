/* SPDX-License-Identifier: Apache-2.0 */
/*
 * life: a guest on the software platform, which spins at its reset vector, and a controller in the same loop.
 * One guest at a time.
 */
#ifndef VMM_TEST_LIFE_H
#define VMM_TEST_LIFE_H

#include "unit/launch/bench.h"
#include "vmm/run.h"
#include "vmm/run/command.h"
#include "vmm/run/facts.h"
#include "vmm/sim.h"

struct life {
	struct bench bench;
	struct host *host;
	struct run *run;
	struct run_observer observer;
	struct loop_task turn;
	struct err err;
	const uint8_t *image; /* in place of one that spins; IMAGE_BYTES */
	int out;              /* gets what the guest prints; 0: nobody */
	/* What happened, a letter an event: (R)esume, (S)top, rese(T), (P)owerdown, shutdown (Q), (C)rash,
	 * record (F)ull, conversion storm (W). */
	char log[512];
	enum run_cause cause;       /* of the last SHUTDOWN, ... */
	const char *last_status;    /* ... and the guest's status then */
	int panic;                  /* of the last PANICKED, ... */
	uint64_t sev_set, sev_code; /* ... and its reason */
	unsigned launch_events;     /* of all incarnations */
	unsigned settled;
	/* The test's controller. It is called from the loop, after an event of these two kinds. */
	void (*on_launch)(struct life *life);
	void (*on_settled)(struct life *life);
	unsigned step, at; /* the test's own */
};

static inline void life_on_turn(void *ctx)
{
	struct life *life = ctx;

	if (life->on_launch)
		life->on_launch(life);
}

static inline void life_note(struct life *life, char letter)
{
	size_t n = strlen(life->log);

	if (n + 1 < sizeof(life->log))
		life->log[n] = letter;
}

static inline void life_on_event(void *ctx, const struct run_event *event)
{
	static const char letters[RUN_EVENTS] = {[RUN_EVENT_STOP] = 'S',
	        [RUN_EVENT_RESUME] = 'R',
	        [RUN_EVENT_RESET] = 'T',
	        [RUN_EVENT_POWERDOWN] = 'P',
	        [RUN_EVENT_SHUTDOWN] = 'Q',
	        [RUN_EVENT_PANICKED] = 'C',
	        [RUN_EVENT_SHARED_RANGES_FULL] = 'F',
	        [RUN_EVENT_CONVERSION_STORM] = 'W'};
	struct life *life = ctx;

	if (letters[event->kind])
		life_note(life, letters[event->kind]);
	if (event->kind == RUN_EVENT_PANICKED) {
		life->panic = event->panic;
		life->sev_set = event->sev_set;
		life->sev_code = event->sev_code;
	}
	if (event->kind == RUN_EVENT_SHUTDOWN) {
		life->cause = event->cause;
		life->last_status = run_status_of(life->run).name;
	}
	if (event->kind == RUN_EVENT_LAUNCH) {
		life->launch_events++;
		loop_post(run_loop(life->run), &life->turn);
	}
	if (event->kind == RUN_EVENT_SETTLED) {
		life->settled++;
		if (life->on_settled)
			life->on_settled(life);
	}
}

/* Runs a guest to its end. Returns what run_guest() returns. */
static inline int life_run(struct life *life, const char *type, const char *const *sets)
{
	const struct run_place place = {.host = life->host, .process = &life->bench.process};
	const struct run_console_io console = {.in = -1, .out = life->out ? life->out : -1};
	int result;

	memset(life->log, 0, sizeof(life->log));
	life->launch_events = life->settled = life->step = 0;
	bench_start(&life->bench);
	memcpy(life->bench.image.bytes + IMAGE_BYTES - 16, "\xeb\xfe", 2); /* jmp $ */
	if (life->image)
		memcpy(life->bench.image.bytes, life->image, IMAGE_BYTES);
	bench_config(&life->bench, type, sets);
	if (run_create(&place, life->bench.config, &console, &life->run, &life->err) < 0)
		fail_msg("%s", life->err.text);
	life->turn = (struct loop_task){.fn = life_on_turn, .ctx = life};
	life->observer = (struct run_observer){.on_event = life_on_event, .ctx = life};
	run_observe(life->run, &life->observer);
	result = run_guest(life->run, &life->err);
	run_destroy(take_ptr(&life->run));
	bench_end(&life->bench);
	return result;
}

static inline void life_assert_status(const struct life *life, const char *name)
{
	assert_string_equal(run_status_of(life->run).name, name);
	assert_int_equal(run_status_of(life->run).running, strcmp(name, "running") == 0);
}

/*
 * Stops the guest, whose on_settled is called once it is paused. vCPUs that have not yet heard of a cont go
 * on waiting, so the guest may be paused at once, and no RUN_EVENT_SETTLED follows.
 */
static inline void life_stop(struct life *life)
{
	struct err err;

	assert_ok(run_stop(life->run, &err));
	if (run_is_settled(life->run))
		life->on_settled(life);
}

/* ---- a test's parts ---- */

static struct life life;
static struct err err;

static const char *const types[] = {"none", "sev", "sev-es", "sev-snp"};
static const char *const paused[] = {"run.paused=true", NULL};

static inline int setup(void **state)
{
	const struct sim_options options = {.product = "Milan", .seed = 7};

	memset(&life, 0, sizeof(life));
	return sim_host_create(&options, &life.host, &err);
}

static inline int teardown(void **state)
{
	host_destroy(life.host);
	return 0;
}

static inline void assert_ends_well(int result)
{
	if (result < 0)
		fail_msg("%s", life.err.text);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif

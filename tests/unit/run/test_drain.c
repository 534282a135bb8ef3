/* SPDX-License-Identifier: Apache-2.0 */
/* A drain whose reader has gone, and one whose writes cannot be started: on a loop that refuses them. */
#include <errno.h>
#include <stdio.h>

#include "../../../src/loop/backend.h"
#include "../../../src/run/console.h"
#include "support/test.h"

/* ---- a loop on poll(2) that starts no write ---- */

static int start_but_writes(struct loop_op *op, struct err *err)
{
	if (op->kind == LOOP_WRITE)
		return err_sys(err, ERR_FAILED, EAGAIN, "a thread that writes");
	return loop_poll.start(op, err);
}

/* ---- a device: always full for a number of chunks ---- */

struct bench {
	struct loop *loop;
	struct run_console_drain drain;
	unsigned left, taken; /* chunks */
	unsigned idle_calls, errors;
	int sys;
};

static size_t take(void *device, void *data, size_t max)
{
	struct bench *b = device;

	b->taken++;
	if (!b->left)
		return 0;
	b->left--;
	memset(data, 'x', max);
	return max;
}

static void on_idle(void *ctx)
{
	struct bench *b = ctx;

	b->idle_calls++;
	loop_stop(b->loop);
}

static void on_error(void *ctx, int sys)
{
	struct bench *b = ctx;

	b->errors++;
	b->sys = sys;
}

static void start(struct bench *b, unsigned chunks)
{
	static struct loop_backend backend;
	struct err err;

	backend = loop_poll;
	backend.start = start_but_writes;
	*b = (struct bench){.left = chunks};
	assert_ok(loop_create_with(&backend, &b->loop, &err));
	b->drain = (struct run_console_drain){
	        .loop = b->loop,
	        .take = take,
	        .device = b,
	        .fd = STDOUT_FILENO,
	        .on_idle = on_idle,
	        .on_error = on_error,
	        .ctx = b,
	};
}

/* ---- tests ---- */

/* A guest writes as fast as it is read: each turn of the loop takes its share, and nothing is left. */
static void test_drain_throws_away_in_turns(void **state)
{
	struct bench b;
	struct err err;

	start(&b, 3 * RUN_CONSOLE_CHUNKS_A_TURN + 5);
	b.drain.broken = true;
	run_console_drain_kick(&b.drain);
	assert_int_equal(b.taken, RUN_CONSOLE_CHUNKS_A_TURN);
	assert_false(run_console_drain_idle(&b.drain));
	assert_int_equal(b.idle_calls, 0);
	assert_ok(loop_run(b.loop, &err));
	assert_int_equal(b.left, 0);
	assert_int_equal(b.taken, 3 * RUN_CONSOLE_CHUNKS_A_TURN + 6);
	assert_true(run_console_drain_idle(&b.drain));
	assert_int_equal(b.idle_calls, 1);
	loop_destroy(b.loop);
}

static void test_drain_little_is_thrown_away_at_once(void **state)
{
	struct bench b;

	start(&b, RUN_CONSOLE_CHUNKS_A_TURN - 1);
	b.drain.broken = true;
	run_console_drain_kick(&b.drain);
	assert_int_equal(b.left, 0);
	assert_true(run_console_drain_idle(&b.drain));
	loop_destroy(b.loop);
}

/* The error names the loop's own reason, and the bytes that the device still has are dropped. */
static void test_drain_tells_why_no_write_starts(void **state)
{
	struct bench b;

	start(&b, 3);
	run_console_drain_kick(&b.drain);
	assert_int_equal(b.errors, 1);
	assert_int_equal(b.sys, EAGAIN);
	assert_int_equal(b.left, 0);
	assert_true(run_console_drain_idle(&b.drain));
	assert_int_equal(b.idle_calls, 1);
	loop_destroy(b.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_drain_throws_away_in_turns),
	        cmocka_unit_test(test_drain_little_is_thrown_away_at_once),
	        cmocka_unit_test(test_drain_tells_why_no_write_starts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

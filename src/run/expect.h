/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expect: carries a script out at the guest's console: waits for its output, types, minds the time.
 */
#ifndef VMM_RUN_EXPECT_H
#define VMM_RUN_EXPECT_H

#include "script.h"
#include "vmm/device/serial.h"
#include "vmm/loop.h"

struct run_expect {
	struct loop *loop;
	const struct run_script *script; /* NULL: none, and then nothing here does anything */
	struct run_script_screen screen;
	size_t at;              /* the step that is waited for */
	size_t typing, typed;   /* the step whose text is being typed, and how many of its bytes were */
	struct loop_task moved; /* posted when `at` has changed */
	struct loop_op *timer;  /* of step `timed`, while that is waited for */
	size_t timed;

	/* Told by the loop; set by the owner. */
	void (*on_type)(void *ctx); /* there may be something to type */
	void (*on_quit)(void *ctx);
	void (*on_timeout)(void *ctx);
	void *ctx;
};

/* Begins to wait for the first step. expect is zeroed but for loop, script and what it tells. */
void run_expect_start(struct run_expect *expect);
/* The guest wrote this. */
void run_expect_output(struct run_expect *expect, const void *data, size_t size);
/* Types what the script wants typed and the port takes. Returns true when nothing is left to type. */
bool run_expect_type(struct run_expect *expect, struct device_serial *serial);
/*
 * What was not met when the guest ended or a step's time was over: err names the step and the reason, report
 * has the guest's last output. Returns 0 if nothing is unmet.
 */
int run_expect_unmet(const struct run_expect *expect, bool ended, char *report, size_t size, struct err *err);
void run_expect_finish(struct run_expect *expect);

#endif

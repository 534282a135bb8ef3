/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expect: a script at the guest's console. Main thread. What the output brings about is done by a posted
 * task, since output comes while the console is being drained.
 */
#include "expect.h"

static const struct run_script_step *step_at(const struct run_expect *expect, size_t at)
{
	return expect->script && at < expect->script->count ? &expect->script->steps[at] : NULL;
}

/* ---- waiting ---- */

static void on_timeout(void *ctx)
{
	struct run_expect *expect = ctx;

	expect->timer = NULL;
	expect->on_timeout(expect->ctx);
}

static void start_timer(struct run_expect *expect, const struct run_script_step *step)
{
	struct err err;

	loop_op_stop(take_ptr(&expect->timer));
	expect->timed = expect->at;
	if (loop_timer_start(expect->loop, step->timeout_s * 1000000000ull, on_timeout, expect,
	            &expect->timer, &err) < 0) {
		log_error("%s", err.text);
		expect->on_timeout(expect->ctx);
	}
}

static void on_moved(void *ctx)
{
	struct run_expect *expect = ctx;
	const struct run_script_step *step = step_at(expect, expect->at);

	expect->on_type(expect->ctx);
	if (!step)
		loop_op_stop(take_ptr(&expect->timer));
	else if (step->kind == RUN_SCRIPT_QUIT)
		expect->on_quit(expect->ctx);
	else if (!expect->timer || expect->timed != expect->at)
		start_timer(expect, step);
}

/* Goes on over the steps that are done: a text that is sent is typed while the next step is waited for. */
static bool advance(struct run_expect *expect)
{
	size_t before = expect->at;
	const struct run_script_step *step;

	while ((step = step_at(expect, expect->at))) {
		if (step->kind != RUN_SCRIPT_SEND &&
		        (step->kind != RUN_SCRIPT_EXPECT || !run_script_find(&expect->screen, step)))
			break;
		expect->at++;
	}
	return expect->at != before;
}

void run_expect_start(struct run_expect *expect)
{
	if (!expect->script)
		return;
	expect->moved = (struct loop_task){.fn = on_moved, .ctx = expect};
	advance(expect);
	loop_post(expect->loop, &expect->moved);
}

void run_expect_output(struct run_expect *expect, const void *data, size_t size)
{
	const uint8_t *bytes = data;
	bool moved = false;

	if (!expect->script)
		return;
	while (size) {
		size_t n = run_script_show(&expect->screen, bytes, size);

		bytes += n;
		size -= n;
		moved |= advance(expect);
	}
	if (moved)
		loop_post(expect->loop, &expect->moved);
}

/* ---- typing ---- */

bool run_expect_type(struct run_expect *expect, struct device_serial *serial)
{
	for (; expect->typing < expect->at; expect->typing++) {
		const struct run_script_step *step = step_at(expect, expect->typing);
		const struct run_script_text *text = &step->texts[0];

		if (step->kind != RUN_SCRIPT_SEND)
			continue;
		expect->typed +=
		        device_serial_input(serial, text->bytes + expect->typed, text->size - expect->typed);
		if (expect->typed < text->size)
			return false;
		expect->typed = 0;
	}
	return true;
}

/* ---- the end ---- */

static void name_step(const struct run_script_step *step, char *text, size_t size)
{
	FILE *out;

	snprintf(text, size, "end of the guest");
	if (step->kind != RUN_SCRIPT_EXPECT || !(out = fmemopen(text, size, "w")))
		return;
	run_script_name(step, out);
	fclose(out);
	text[size - 1] = '\0';
}

static void report_output(const struct run_expect *expect, char *report, size_t size)
{
	FILE *out = fmemopen(report, size, "w");

	if (!out)
		return;
	fputs("the guest's last output:\n", out);
	run_script_tail(&expect->screen, out);
	fclose(out);
	report[size - 1] = '\0';
}

int run_expect_unmet(const struct run_expect *expect, bool ended, char *report, size_t size, struct err *err)
{
	const struct run_script_step *step = step_at(expect, expect->at);
	char name[300];

	if (!step || (ended && step->kind != RUN_SCRIPT_EXPECT))
		return 0;
	name_step(step, name, sizeof(name));
	report_output(expect, report, size);
	if (ended)
		return err_set(err, ERR_FAILED, "%s:%u: the guest ended without %s", expect->script->path,
		        step->line, name);
	return err_set(err, ERR_FAILED, "%s:%u: no %s within %u s; the guest was ended", expect->script->path,
	        step->line, name, step->timeout_s);
}

void run_expect_finish(struct run_expect *expect)
{
	loop_op_stop(take_ptr(&expect->timer));
}

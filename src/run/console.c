/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console: carries what the user types to the guest, and what the guest prints to the user. Ctrl-] is for vmm
 * itself. Main thread. Input is read only as fast as the guest takes it, so that a pipe of any length needs
 * no memory.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "console.h"

#define ESCAPE 0x1d /* Ctrl-] */

/* Does what the user asks for with the byte after Ctrl-]. Returns true if the byte is for the guest after
 * all. */
static bool on_escape(struct run_console *console, uint8_t byte)
{
	switch (byte) {
	case ESCAPE: return true;
	case 'q': console->on_quit(console->ctx); return false;
	case 's': console->on_status(console->ctx); return false;
	default:
		log_print("\n[vmm: Ctrl-] then q quits, s shows the status, Ctrl-] sends itself]\n");
		return false;
	}
}

/* Takes the user's words to vmm out of what was just read. Returns how many bytes are left. */
static size_t filter(struct run_console *console, uint8_t *data, size_t size)
{
	size_t kept = 0;

	if (!console->io.escape)
		return size;
	for (size_t i = 0; i < size; i++) {
		bool escaped = console->escaped;

		console->escaped = !escaped && data[i] == ESCAPE;
		if (console->escaped || (escaped && !on_escape(console, data[i])))
			continue;
		data[kept++] = data[i];
	}
	return kept;
}

/* Returns true when the guest has taken all that was read. The text that a script types goes first, in one
 * piece. */
static bool give_input(struct run_console *console)
{
	if (!console->open || !run_expect_type(&console->expect, console->serial))
		return false;
	console->input_start += device_serial_input(console->serial, console->input + console->input_start,
	        console->input_end - console->input_start);
	if (console->input_start < console->input_end)
		return false;
	console->input_start = console->input_end = 0;
	return true;
}

static void stop_reading(struct run_console *console)
{
	loop_op_stop(take_ptr(&console->watch));
}

/*
 * Would a read wait? A watch is only a hint: another process that shares the descriptor may have read first,
 * and the watch of a terminal ends with EINVAL when its modes change (Linux 6.18). A read that fails or finds
 * the end does not wait.
 */
static bool would_wait(int fd)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};

	return poll(&ready, 1, 0) == 0;
}

static void on_readable(void *ctx, int events)
{
	struct run_console *console = ctx;
	ssize_t n;

	if (would_wait(console->io.in))
		return;
	n = read(console->io.in, console->input + console->input_end,
	        sizeof(console->input) - console->input_end);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		console->ended = true;
		stop_reading(console);
		return;
	}
	console->input_end += filter(console, console->input + console->input_end, (size_t)n);
	/* While the guest is launched, the user's escapes are read all the same, as long as there is room. */
	if (!give_input(console) && (console->open || console->input_end == sizeof(console->input)))
		stop_reading(console);
}

static void read_more(struct run_console *console)
{
	struct err err;

	if (console->ended || console->watch || console->io.in < 0 ||
	        console->input_end == sizeof(console->input))
		return;
	if (loop_watch_start(
	            console->loop, console->io.in, POLLIN, on_readable, console, &console->watch, &err) < 0)
		log_error("the console's input is lost: %s", err.text);
}

void run_console_on_room(struct run_console *console)
{
	if (give_input(console))
		read_more(console);
}

void run_console_on_output(struct run_console *console)
{
	run_console_drain_kick(&console->output);
	run_console_files_kick(console);
}

bool run_console_idle(const struct run_console *console)
{
	return run_console_drain_idle(&console->output) && run_console_files_idle(console);
}

/* ---- life ---- */

static size_t take_serial(void *ctx, void *data, size_t max)
{
	struct run_console *console = ctx;
	size_t n = device_serial_output(console->serial, data, max);

	run_expect_output(&console->expect, data, n);
	return n;
}

static void on_drained(void *ctx)
{
	struct run_console *console = ctx;

	if (run_console_idle(console))
		console->on_idle(console->ctx);
}

/* A script goes on reading when no other reader is left. */
static void discard_output(struct run_console *console)
{
	if (!console->io.script)
		device_serial_discard(console->serial, true);
}

static void on_output_lost(void *ctx, int sys)
{
	struct run_console *console = ctx;

	/* A reader may go when it has seen enough. Any other reason is worth a warning. */
	log_at(sys == EPIPE ? LOG_INFO : LOG_WARN, "the console's output is dropped: %s (%s)",
	        strerrordesc_np(sys), err_sys_name(sys));
	discard_output(console);
}

static void on_script_types(void *ctx)
{
	run_console_on_room(ctx);
}

static void on_script_quits(void *ctx)
{
	struct run_console *console = ctx;

	console->on_script_quit(console->ctx);
}

static void on_script_timeout(void *ctx)
{
	struct run_console *console = ctx;

	console->on_timeout(console->ctx);
}

void run_console_start(struct run_console *console)
{
	console->open = true;
	if (!console->started)
		run_expect_start(&console->expect);
	console->started = true;
	run_console_on_room(console);
}

void run_console_hold(struct run_console *console)
{
	console->open = false;
	read_more(console);
}

int run_console_init(struct run_console *console, struct machine *machine, struct err *err)
{
	console->serial = device_serial_of(machine_board(machine));
	console->expect = (struct run_expect){.loop = console->loop,
	        .script = console->io.script,
	        .on_type = on_script_types,
	        .on_quit = on_script_quits,
	        .on_timeout = on_script_timeout,
	        .ctx = console};
	console->output = (struct run_console_drain){.loop = console->loop,
	        .take = take_serial,
	        .device = console,
	        .fd = console->io.out,
	        .on_idle = on_drained,
	        .on_error = on_output_lost,
	        .ctx = console};
	if (console->io.out < 0) {
		console->output.broken = true;
		discard_output(console);
	}
	if (run_console_files_init(console, machine, err) < 0)
		return -1;
	read_more(console);
	return 0;
}

void run_console_finish(struct run_console *console)
{
	stop_reading(console);
	run_expect_finish(&console->expect);
	loop_op_stop(console->output.op);
	run_console_files_finish(console);
}

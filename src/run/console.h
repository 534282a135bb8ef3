/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console: the guest's first serial port on a pair of descriptors; its debug console and its virtio consoles
 * in files.
 */
#ifndef VMM_RUN_CONSOLE_H
#define VMM_RUN_CONSOLE_H

#include "expect.h"
#include "vmm/config.h"
#include "vmm/loop.h"
#include "vmm/machine.h"
#include "vmm/run.h"

#define RUN_CONSOLE_CHUNK_BYTES   4096
#define RUN_CONSOLE_CHUNKS_A_TURN 16 /* thrown away before the loop's other work has its turn */

/* Carries a device's output to a descriptor, a chunk at a time, without ever blocking the loop. */
struct run_console_drain {
	struct loop *loop;
	size_t (*take)(void *device, void *data, size_t max);
	void *device;
	int fd;
	bool broken;           /* nobody reads any more: what comes is thrown away */
	struct loop_task more; /* posted while more may be left to throw away; zeroed by the owner */
	struct loop_op *op;    /* the write under way */
	size_t used, written;
	uint8_t chunk[RUN_CONSOLE_CHUNK_BYTES];
	void (*on_idle)(void *ctx); /* everything was written, or thrown away */
	void (*on_error)(void *ctx, int sys);
	void *ctx;
};

/* Starts writing if there is something and no write is under way; throws away where nobody reads. */
void run_console_drain_kick(struct run_console_drain *drain);
bool run_console_drain_idle(const struct run_console_drain *drain);

/* A console that writes to a file (files.c). */
struct run_console_file {
	struct run_console *console;
	const char *name; /* for messages */
	struct run_console_drain drain;
	int fd; /* -1: there is no file */
};
#define RUN_CONSOLE_FILES_MAX (1 + CONFIG_DEVICES_MAX)

struct run_console {
	struct loop *loop;
	struct device_serial *serial;
	struct run_console_io io;
	struct run_console_drain output;
	struct run_console_file files[RUN_CONSOLE_FILES_MAX];
	unsigned files_count;
	struct loop_op
	        *watch;     /* of io.in; NULL while the guest takes no more, and after the end of the input */
	bool started;       /* the script */
	bool open;          /* the guest runs, and can take input */
	bool ended;         /* the input has */
	bool escaped;       /* the byte before was the escape */
	uint8_t input[256]; /* read, not yet taken by the guest */
	size_t input_start, input_end;
	struct run_expect expect; /* of io.script */

	/* Told of the user's escapes, the script and the end of the output; set by the owner. */
	void (*on_quit)(void *ctx);
	void (*on_status)(void *ctx);
	void (*on_idle)(void *ctx);
	void (*on_script_quit)(void *ctx);
	void (*on_timeout)(void *ctx); /* of a step of the script */
	void *ctx;
};

/* console is zeroed but for loop, io, ctx and what it tells. */
int run_console_init(struct run_console *console, struct machine *machine, struct err *err) MUST_CHECK;
void run_console_finish(struct run_console *console);
/* The guest runs: it gets its input, and its script begins, if it has not begun. */
void run_console_start(struct run_console *console);
/* The guest's devices will be reset: the input waits until run_console_start(). At first it does. */
void run_console_hold(struct run_console *console);
/* From the loop, after the machine said so. */
void run_console_on_output(struct run_console *console);
void run_console_on_room(struct run_console *console);
/* Is all output written? */
bool run_console_idle(const struct run_console *console);

/* ---- files.c: the consoles that write to files ---- */

int run_console_files_init(struct run_console *console, struct machine *machine, struct err *err) MUST_CHECK;
void run_console_files_kick(struct run_console *console);
bool run_console_files_idle(const struct run_console *console);
void run_console_files_finish(struct run_console *console);

#endif

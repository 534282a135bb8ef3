/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files: the guest's debug console and its virtio consoles, each of which writes to a file. Main thread.
 */
#include <string.h>

#include "console.h"
#include "vmm/device/debugcon.h"
#include "vmm/virtio.h"

static void on_idle(void *ctx)
{
	struct run_console *console = ((struct run_console_file *)ctx)->console;

	if (run_console_idle(console))
		console->on_idle(console->ctx);
}

static void on_error(void *ctx, int sys)
{
	log_warn("%s: its output is dropped: %s (%s)", ((struct run_console_file *)ctx)->name,
	        strerrordesc_np(sys), err_sys_name(sys));
}

/* path "": what the guest writes is thrown away. */
static int open_file(struct run_console *console, const char *name, const char *path,
        size_t (*take)(void *device, void *data, size_t max), void *device, struct err *err)
{
	struct run_console_file *file = &console->files[console->files_count];

	*file = (struct run_console_file){.console = console, .name = name, .fd = -1};
	if (*path && file_stream_open(path, &file->fd, err) < 0)
		return -1;
	file->drain = (struct run_console_drain){.loop = console->loop,
	        .take = take,
	        .device = device,
	        .fd = file->fd,
	        .broken = !*path,
	        .on_idle = on_idle,
	        .on_error = on_error,
	        .ctx = file};
	console->files_count++;
	return 0;
}

static size_t take_debugcon(void *device, void *data, size_t max)
{
	return device_debugcon_output(device, data, max);
}

static size_t take_virtio(void *device, void *data, size_t max)
{
	return virtio_console_output(device, data, max);
}

int run_console_files_init(struct run_console *console, struct machine *machine, struct err *err)
{
	const struct config *config = machine_config(machine);
	const struct device_board *board = machine_board(machine);
	struct device_debugcon *debugcon = device_debugcon_of(board);

	if (debugcon && open_file(console, "the debug console", config->machine.debugcon, take_debugcon,
	                        debugcon, err) < 0)
		return err_wrap(err, "machine.debugcon");
	for (size_t i = 0; i < config->devices_count; i++) {
		const struct config_device *device = &config->devices[i];

		if (device->driver == CONFIG_CONSOLE &&
		        open_file(console, device->id, device->output, take_virtio,
		                virtio_console_of(board, device->id), err) < 0)
			return err_wrap(err, "devices[%zu].output", i);
	}
	return 0;
}

void run_console_files_kick(struct run_console *console)
{
	for (unsigned i = 0; i < console->files_count; i++)
		run_console_drain_kick(&console->files[i].drain);
}

bool run_console_files_idle(const struct run_console *console)
{
	for (unsigned i = 0; i < console->files_count; i++)
		if (!run_console_drain_idle(&console->files[i].drain))
			return false;
	return true;
}

void run_console_files_finish(struct run_console *console)
{
	for (unsigned i = 0; i < console->files_count; i++) {
		struct run_console_file *file = &console->files[i];

		loop_cancel(console->loop, &file->drain.more);
		loop_op_stop(take_ptr(&file->drain.op));
		if (file->fd >= 0)
			close(file->fd);
		file->fd = -1;
	}
}

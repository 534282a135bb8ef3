/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wires: message-signalled interrupts and doorbells of the guest that runs now. An eventfd that sends a
 * message has a place in one table of routes, which KVM takes as a whole. Any thread; the lock guards the
 * table, and sending takes none.
 */
#include <errno.h>
#include <pthread.h>

#include "machine.h"

#define ROUTES_MAX 1024 /* KVM takes 4096, and the wires of a PC are among them */

struct machine_wires {
	pthread_mutex_t lock;
	struct call_msi messages[ROUTES_MAX];
	int fds[ROUTES_MAX];    /* whose message it is; it keeps the place while it is unbound */
	bool bound[ROUTES_MAX]; /* the kernel sends it */
	unsigned count;
};

static void wires_send(void *ctx, const struct device_msi *msi)
{
	const struct machine *machine = ctx;
	const struct call_msi message = {msi->address, msi->data};
	int vm_fd = machine->vm_fd;
	struct err err;

	if (vm_fd >= 0 && call_vm_signal_msi(machine->host, vm_fd, &message, &err) < 0)
		log_guest(LOG_DEBUG, "a device's interrupt got lost: %s", err.text);
}

/* Returns the place of an eventfd, a new one if it has none yet; ROUTES_MAX: the table is full. */
static unsigned place_of(struct machine_wires *wires, int fd)
{
	unsigned at = 0;

	while (at < wires->count && wires->fds[at] != fd)
		at++;
	if (at < wires->count || at == ROUTES_MAX)
		return at;
	wires->fds[at] = fd;
	wires->messages[at] = (struct call_msi){0};
	wires->bound[at] = false;
	wires->count++;
	return at;
}

static int bind_at(
        struct machine *machine, unsigned at, int fd, const struct device_msi *msi, struct err *err)
{
	struct machine_wires *wires = machine->wires;
	struct call_msi *message = &wires->messages[at];
	int vm_fd = machine->vm_fd;

	if (message->address != msi->address || message->data != msi->data) {
		*message = (struct call_msi){msi->address, msi->data};
		if (call_vm_set_routing(machine->host, vm_fd, wires->messages, wires->count, err) < 0) {
			*message = (struct call_msi){0};
			return -1;
		}
	}
	return call_vm_irqfd(machine->host, vm_fd, fd, CALL_MSI_GSI + at, true, err);
}

static int wires_bind(void *ctx, int fd, const struct device_msi *msi)
{
	struct machine *machine = ctx;
	struct machine_wires *wires = machine->wires;
	struct err err = {0};
	int result = -1;
	unsigned at;

	if (machine->vm_fd < 0)
		return -1;
	pthread_mutex_lock(&wires->lock);
	at = place_of(wires, fd);
	if (at < ROUTES_MAX)
		result = bind_at(machine, at, fd, msi, &err);
	if (result == 0)
		wires->bound[at] = true;
	pthread_mutex_unlock(&wires->lock);
	if (result < 0)
		log_guest(LOG_DEBUG, "vmm sends a device's interrupts itself: %s",
		        err.kind ? err.text : "there are too many");
	return result;
}

static void wires_unbind(void *ctx, int fd)
{
	struct machine *machine = ctx;
	struct machine_wires *wires = machine->wires;
	struct err err;
	unsigned at = 0;

	pthread_mutex_lock(&wires->lock);
	while (at < wires->count && wires->fds[at] != fd)
		at++;
	if (at < wires->count && wires->bound[at]) {
		wires->bound[at] = false;
		if (call_vm_irqfd(machine->host, machine->vm_fd, fd, CALL_MSI_GSI + at, false, &err) < 0)
			log_guest(LOG_WARN, "%s", err.text);
	}
	pthread_mutex_unlock(&wires->lock);
}

static int wires_doorbell(void *ctx, int fd, uint64_t address, bool on)
{
	const struct machine *machine = ctx;
	int vm_fd = machine->vm_fd;
	struct err err;

	if (vm_fd < 0)
		return -1;
	if (call_vm_ioeventfd(machine->host, vm_fd, fd, address, on, &err) == 0)
		return 0;
	log_guest(LOG_DEBUG, "a device's doorbell is answered in vmm: %s", err.text);
	return -1;
}

int machine_wires_create(struct machine *machine, struct err *err)
{
	machine->wires = calloc(1, sizeof(*machine->wires));
	if (!machine->wires)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for interrupt routes");
	pthread_mutex_init(&machine->wires->lock, NULL);
	machine->board.wires =
	        (struct device_wires){wires_send, wires_bind, wires_unbind, wires_doorbell, machine};
	return 0;
}

void machine_wires_destroy(struct machine *machine)
{
	if (machine->wires)
		pthread_mutex_destroy(&machine->wires->lock);
	free(take_ptr(&machine->wires));
}

void machine_wires_cut(struct machine *machine)
{
	pthread_mutex_lock(&machine->wires->lock);
	machine->wires->count = 0;
	pthread_mutex_unlock(&machine->wires->lock);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * life: a device starts when its driver is ready, and stops when the driver resets it or breaks the rules, or
 * when the guest ends. Each function says on which thread it runs. VIRTIO 1.2, sections 2.1, 2.4, 3.1.
 */
#include <stdarg.h>

#include "device.h"

/* ---- on the thread of the device's loop ---- */

static void unhear(struct virtio_device *device)
{
	for (unsigned i = 0; i < device->setup.queues; i++)
		loop_op_stop(take_ptr(&device->slots[i].bell_op));
}

/* May be called again and again: only the first call stops the device. */
static void stop_on_loop(void *ctx)
{
	struct virtio_device *device = ctx;
	bool first;

	pthread_mutex_lock(&device->run_lock);
	first = device->run == VIRTIO_RUNNING;
	if (first)
		device->run = VIRTIO_STOPPING;
	pthread_mutex_unlock(&device->run_lock);
	if (!first)
		return;
	unhear(device);
	device->setup.kind->stop(device->setup.ctx);
}

static void on_kick(void *ctx)
{
	struct virtio_slot *slot = ctx;
	struct virtio_device *device = slot->device;

	if (!(device->status & VIRTIO_NEEDS_RESET))
		device->setup.kind->kick(device->setup.ctx, &slot->queue);
	if (device->status & VIRTIO_NEEDS_RESET)
		stop_on_loop(device);
}

/* A queue that is served outside wants to interrupt, and the kernel does not do it. */
static void on_call(void *ctx)
{
	const struct virtio_slot *slot = ctx;

	virtio_interrupt_queue(slot->device, slot->index);
}

static int hear(struct virtio_slot *slot, struct err *err)
{
	struct loop *loop = slot->device->setup.loop;

	if (!virtio_is_outside(slot))
		return loop_bell_start(loop, slot->kick_fd, on_kick, slot, &slot->bell_op, err);
	if (!slot->wired)
		return loop_bell_start(loop, slot->call_fd, on_call, slot, &slot->bell_op, err);
	return 0;
}

static int try_start(struct virtio_device *device, struct err *err)
{
	const struct virtio_start start = {
	        device->driver_features, device->started, device->memory, device->goes_on};

	for (unsigned i = 0; i < device->setup.queues; i++)
		if (device->started[i] && hear(&device->slots[i], err) < 0)
			return -1;
	return device->setup.kind->start(device->setup.ctx, &start, err);
}

static void settle_on_loop(void *ctx)
{
	struct virtio_device *device = ctx;

	for (unsigned i = 0; i < device->setup.queues; i++)
		if (device->started[i])
			virtio_queue_settle(device->started[i]);
}

static void start_on_loop(void *ctx)
{
	struct virtio_device *device = ctx;

	if (try_start(device, &device->start_err) < 0) {
		unhear(device);
		return;
	}
	pthread_mutex_lock(&device->run_lock);
	device->run = VIRTIO_RUNNING;
	pthread_mutex_unlock(&device->run_lock);
}

void virtio_device_stopped(struct virtio_device *device)
{
	pthread_mutex_lock(&device->run_lock);
	device->run = device->holding ? VIRTIO_HELD : VIRTIO_IDLE;
	pthread_cond_broadcast(&device->run_changed);
	pthread_mutex_unlock(&device->run_lock);
}

/* ---- on a vCPU's thread or the main thread, with the transport's lock held ---- */

/* A driver that wants no vector for a queue wants no interrupts. */
static bool connect_call(struct virtio_slot *slot)
{
	struct device_msix *msix = slot->device->msix;

	if (slot->vector == VIRTIO_NO_VECTOR)
		return device_msix_is_on(msix);
	return device_msix_connect(msix, slot->vector, slot->call_fd) == 0;
}

void virtio_life_rewire(struct virtio_slot *slot)
{
	if (!slot->wired)
		return;
	device_msix_disconnect(slot->device->msix, slot->call_fd);
	if (!connect_call(slot))
		log_guest(LOG_WARN, "%s: the interrupts of queue %u are lost", slot->device->id, slot->index);
}

static int start_queue(struct virtio_device *device, struct virtio_slot *slot, struct err *err)
{
	const struct virtio_queue_setup setup = {
	        .owner = &device->owner,
	        .memory = device->memory,
	        .desc_gpa = slot->desc_gpa,
	        .avail_gpa = slot->avail_gpa,
	        .used_gpa = slot->used_gpa,
	        .size = slot->size,
	        .features = device->driver_features,
	        .index = slot->index,
	        .kick_fd = slot->kick_fd,
	        .call_fd = slot->call_fd,
	};

	if (virtio_queue_start(&slot->queue, &setup, err) < 0)
		return -1;
	device->started[slot->index] = &slot->queue;
	slot->wired = virtio_is_outside(slot) && connect_call(slot);
	return 0;
}

static int start_queues(struct virtio_device *device, struct err *err)
{
	for (unsigned i = 0; i < device->setup.queues; i++)
		if (device->slots[i].enabled && start_queue(device, &device->slots[i], err) < 0)
			return -1;
	return 0;
}

/* Also after a start that failed half-way. */
static void end_queues(struct virtio_device *device)
{
	for (unsigned i = 0; i < device->setup.queues; i++) {
		struct virtio_slot *slot = &device->slots[i];

		device->started[i] = NULL;
		if (slot->wired)
			device_msix_disconnect(device->msix, slot->call_fd);
		slot->wired = false;
		loop_bell_take(slot->kick_fd);
		loop_bell_take(slot->call_fd);
	}
}

static enum virtio_run run_of(struct virtio_device *device)
{
	enum virtio_run run;

	pthread_mutex_lock(&device->run_lock);
	run = device->run;
	pthread_mutex_unlock(&device->run_lock);
	return run;
}

/* Says where the next stop leads. A device that is held stays so, or is idle from now on. */
static void set_holding(struct virtio_device *device, bool holding)
{
	pthread_mutex_lock(&device->run_lock);
	device->holding = holding;
	device->goes_on = !holding && device->run == VIRTIO_HELD;
	if (device->goes_on)
		device->run = VIRTIO_IDLE;
	pthread_mutex_unlock(&device->run_lock);
}

static void wait_while(struct virtio_device *device, enum virtio_run run)
{
	pthread_mutex_lock(&device->run_lock);
	while (device->run == run)
		pthread_cond_wait(&device->run_changed, &device->run_lock);
	pthread_mutex_unlock(&device->run_lock);
}

static void ring_all(struct virtio_device *device)
{
	for (unsigned i = 0; i < device->setup.queues; i++)
		if (device->started[i])
			virtio_bell_ring(&device->slots[i]);
}

void virtio_life_start(struct virtio_device *device)
{
	if (start_queues(device, &device->start_err) == 0)
		loop_call(device->setup.loop, start_on_loop, device);
	if (run_of(device) == VIRTIO_IDLE) {
		end_queues(device);
		virtio_life_broken(device, device->start_err.text);
		return;
	}
	virtio_bell_hang(device, true);
	ring_all(device); /* the driver may have filled the queues before it was ready */
}

/* The device stops as for a reset, but its registers, its queues and their doorbells stay. */
void virtio_life_hold(struct virtio_device *device)
{
	if (!virtio_serves_itself(device))
		return;
	set_holding(device, true);
	if (run_of(device) == VIRTIO_RUNNING)
		loop_call(device->setup.loop, stop_on_loop, device);
	wait_while(device, VIRTIO_STOPPING);
	if (run_of(device) == VIRTIO_HELD)
		loop_call(device->setup.loop, settle_on_loop, device);
	virtio_interrupt_hold(device, true);
}

bool virtio_life_is_held(struct virtio_device *device)
{
	return run_of(device) == VIRTIO_HELD;
}

void virtio_life_arrive(struct virtio_device *device, struct vmstate *s)
{
	if (start_queues(device, &device->start_err) < 0) {
		end_queues(device);
		vmstate_fail(s, "%s", device->start_err.text);
		return;
	}
	for (unsigned i = 0; i < device->setup.queues; i++)
		if (device->started[i])
			virtio_queue_go_on(device->started[i], device->slots[i].from);
	pthread_mutex_lock(&device->run_lock);
	device->run = VIRTIO_HELD;
	pthread_mutex_unlock(&device->run_lock);
	virtio_bell_hang(device, true);
}

/* A driver that broke the rules before the device was held has to reset it. */
static void go_on(struct virtio_device *device)
{
	bool broken = device->status & VIRTIO_NEEDS_RESET;

	if (!broken)
		loop_call(device->setup.loop, start_on_loop, device);
	if (run_of(device) == VIRTIO_RUNNING) {
		ring_all(device); /* it may have been rung, and not have heard it */
		return;
	}
	virtio_bell_hang(device, false);
	end_queues(device);
	if (!broken)
		virtio_life_broken(device, device->start_err.text);
}

void virtio_life_wake(struct virtio_device *device)
{
	set_holding(device, false);
	if (device->goes_on)
		go_on(device);
	device->goes_on = false;
	virtio_interrupt_hold(device, false);
}

void virtio_life_reset(struct virtio_device *device)
{
	virtio_bell_hang(device, false);
	set_holding(device, false);
	device->goes_on = false;
	if (run_of(device) == VIRTIO_RUNNING)
		loop_call(device->setup.loop, stop_on_loop, device);
	wait_while(device, VIRTIO_STOPPING);
	end_queues(device);
	virtio_common_reset(device);
	virtio_interrupt_status(device);
}

/* ---- on any thread ---- */

/*
 * The loop stops the device: it may be in the middle of its work. A queue that the loop watches brings it
 * there; a device without one stops when it is reset.
 */
void virtio_life_broken(void *ctx, const char *text)
{
	struct virtio_device *device = ctx;

	if (atomic_fetch_or(&device->status, VIRTIO_NEEDS_RESET) & VIRTIO_NEEDS_RESET)
		return;
	log_guest(LOG_WARN, "%s %s stops until its driver resets it: %s", device->setup.kind->name,
	        device->id, text);
	virtio_interrupt_config(device);
	for (unsigned i = 0; i < device->setup.queues; i++)
		if (!virtio_is_outside(&device->slots[i]))
			virtio_bell_ring(&device->slots[i]);
}

void virtio_device_break(struct virtio_device *device, const char *fmt, ...)
{
	char text[200];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	virtio_life_broken(device, text);
}

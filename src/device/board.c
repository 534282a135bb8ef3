/* SPDX-License-Identifier: Apache-2.0 */
/*
 * board: the devices of one machine, as a list. Main thread, while no vCPU runs; device_board_find() runs on
 * any thread.
 */
#include <errno.h>

#include "vmm/device.h"

#define KIND_ADDRESS(name) &device_##name##_kind,
const struct device_kind *const device_kinds[] = {DEVICE_KINDS(KIND_ADDRESS)};
const size_t device_kinds_count = ARRAY_LEN(device_kinds);
#undef KIND_ADDRESS

int device_board_init(struct device_board *board, struct err *err)
{
	return device_bus_create(&board->bus, err);
}

static void destroy(struct device *device)
{
	if (device->kind->finish)
		device->kind->finish(device);
	pthread_mutex_destroy(&device->lock);
	free(device);
}

void device_board_finish(struct device_board *board)
{
	while (board->count)
		destroy(board->devices[--board->count]);
	device_bus_destroy(take_ptr(&board->bus));
}

int device_board_add(
        struct device_board *board, const struct device_kind *kind, const void *ask, struct err *err)
{
	struct device *device;

	if (board->count == DEVICE_BOARD_MAX)
		return err_set(
		        err, ERR_FAILED, "%s: the board has %u devices already", kind->name, board->count);
	device = calloc(1, kind->size);
	if (!device)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for the %s", kind->name);
	device->kind = kind;
	pthread_mutex_init(&device->lock, NULL);
	if (kind->init(device, board, ask, err) < 0) {
		destroy(device);
		return -1;
	}
	board->devices[board->count++] = device;
	return 0;
}

struct device *device_board_find(const struct device_board *board, const struct device_kind *kind)
{
	for (unsigned i = 0; i < board->count; i++)
		if (board->devices[i]->kind == kind)
			return board->devices[i];
	return NULL;
}

void device_board_reset(struct device_board *board)
{
	for (unsigned i = 0; i < board->count; i++)
		if (board->devices[i]->kind->reset)
			board->devices[i]->kind->reset(board->devices[i]);
}

void device_board_attach(struct device_board *board, struct page_memory *memory)
{
	for (unsigned i = 0; i < board->count; i++)
		if (board->devices[i]->kind->attach)
			board->devices[i]->kind->attach(board->devices[i], memory);
}

const char *device_board_unmovable(const struct device_board *board)
{
	const char *why = NULL;

	for (unsigned i = 0; i < board->count && !why; i++)
		if (board->devices[i]->kind->unmovable)
			why = board->devices[i]->kind->unmovable(board->devices[i]);
	return why;
}

static void visit(const struct device_board *board, unsigned i, struct vmstate *s)
{
	struct device *device = board->devices[i];

	if (device->kind->visit)
		device->kind->visit(device, s);
}

int device_board_save(
        const struct device_board *board, unsigned i, struct vmstate *ret_state, struct err *err)
{
	*ret_state = vmstate_save(board->devices[i]->kind->name);
	visit(board, i, ret_state);
	return vmstate_end(ret_state, err);
}

int device_board_load(
        const struct device_board *board, unsigned i, const void *data, size_t size, struct err *err)
{
	struct vmstate s = vmstate_load(board->devices[i]->kind->name, data, size);

	visit(board, i, &s);
	return vmstate_end(&s, err);
}

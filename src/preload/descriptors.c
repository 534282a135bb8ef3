/* SPDX-License-Identifier: Apache-2.0 */
/*
 * descriptors: which descriptors of the process are the platform's. The platform knows what is behind a
 * number; this table says, without a lock, whether it is to be asked at all. Any thread.
 */
#include <stdatomic.h>

#include "preload.h"

#define NUMBERS PRELOAD_NUMBERS

static _Atomic unsigned char kinds[NUMBERS], vm_types[NUMBERS];

static bool in_range(int fd)
{
	return fd >= 0 && fd < NUMBERS;
}

enum preload_kind preload_kind_of(int fd)
{
	return in_range(fd) ? (enum preload_kind)atomic_load_explicit(&kinds[fd], memory_order_acquire)
	                    : PRELOAD_NOT_OURS;
}

int preload_note(int fd, enum preload_kind kind)
{
	if (in_range(fd))
		atomic_store_explicit(&kinds[fd], (unsigned char)kind, memory_order_release);
	return fd;
}

void preload_forget(int fd)
{
	preload_note(fd, PRELOAD_NOT_OURS);
}

void preload_each(unsigned first, unsigned last, void (*each)(int fd))
{
	for (unsigned fd = first; fd < NUMBERS && fd <= last; fd++) {
		if (preload_kind_of((int)fd) != PRELOAD_NOT_OURS)
			each((int)fd);
	}
}

/* The library's own serve the parent's platform alone. */
static void leave(int fd)
{
	static const enum preload_kind left[] = {
	        [PRELOAD_KVM] = PRELOAD_LEFT_KVM,
	        [PRELOAD_SEV] = PRELOAD_LEFT_SEV,
	        [PRELOAD_OBJECT] = PRELOAD_LEFT,
	        [PRELOAD_GMEM] = PRELOAD_LEFT,
	        [PRELOAD_LEFT_KVM] = PRELOAD_LEFT_KVM,
	        [PRELOAD_LEFT_SEV] = PRELOAD_LEFT_SEV,
	        [PRELOAD_LEFT] = PRELOAD_LEFT,
	};

	if (preload_kind_of(fd) == PRELOAD_PRIVATE)
		close(fd);
	else
		preload_note(fd, left[preload_kind_of(fd)]);
}

void preload_leave_all(void)
{
	preload_each(0, NUMBERS - 1, leave);
}

unsigned preload_vm_type(int vm)
{
	return in_range(vm) ? atomic_load(&vm_types[vm]) : 0;
}

void preload_note_vm_type(int vm, unsigned long type)
{
	if (in_range(vm))
		atomic_store(&vm_types[vm], (unsigned char)type);
}

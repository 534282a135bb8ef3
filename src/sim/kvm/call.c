/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call: finds the function that answers an ioctl by the ioctl's number, and copies the caller's struct in and
 * out. Any thread may call.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "call.h"

#define ARG_BYTES 4096 /* no struct of a call that is copied here is larger */

static int make_call(void *object, const struct kvm_call *row, uintptr_t user)
{
	char arg[ARG_BYTES] __attribute__((aligned(64)));
	size_t size = _IOC_SIZE(row->request);
	int result;

	if (_IOC_DIR(row->request) == _IOC_NONE || row->raw)
		return row->fn(object, NULL, user);
	if (!(_IOC_DIR(row->request) & _IOC_WRITE))
		memset(arg, 0, size);
	else if (object_copy_in(arg, user, size) < 0)
		return -EFAULT;
	result = row->fn(object, arg, user);
	if (result >= 0 && _IOC_DIR(row->request) & _IOC_READ && object_copy_out(user, arg, size) < 0)
		return -EFAULT;
	return result;
}

int kvm_call_table(
        void *object, const struct kvm_call *table, unsigned long request, uintptr_t user, int unknown)
{
	for (const struct kvm_call *row = table; row->request; row++) {
		if (row->request == request)
			return make_call(object, row, user);
	}
	return unknown;
}

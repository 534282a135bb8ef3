/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nbd_library: loads libnbd. Main thread.
 */
#include <dlfcn.h>

#include "nbd_library.h"

#define LIBRARY "libnbd.so.0"

struct back_nbd_library back_nbd_library;

int back_nbd_load(struct err *err)
{
	void *handle = back_nbd_library.create ? NULL : dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	bool whole = true;

	if (back_nbd_library.create)
		return 0;
	if (!handle)
		return err_set(
		        err, ERR_HOST, "nbd:// addresses need " LIBRARY ": install libnbd (%s)", dlerror());
#define FIND(name) \
	*(void **)&back_nbd_library.name = dlsym(handle, "nbd_" #name); \
	whole = whole && back_nbd_library.name;
	BACK_NBD_FUNCTIONS(FIND)
#undef FIND
	if (whole)
		return 0;
	back_nbd_library.create = NULL;
	return err_set(err, ERR_HOST, LIBRARY " is too old: install libnbd 1.14 or newer");
}

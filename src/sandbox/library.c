/* SPDX-License-Identifier: Apache-2.0 */
/*
 * library: loads libseccomp. Main thread.
 */
#include <dlfcn.h>

#include "library.h"

#define LIBRARY "libseccomp.so.2"

struct sandbox_library sandbox_library;

int sandbox_library_load(struct err *err)
{
	void *handle = sandbox_library.init ? NULL : dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	bool whole = true;

	if (sandbox_library.init)
		return 0;
	if (!handle)
		return err_set(err, ERR_HOST,
		        "the sandbox needs " LIBRARY ": install it (Debian: apt install libseccomp2), or run "
		        "with --no-sandbox (%s)",
		        dlerror());
#define FIND(name) \
	*(void **)&sandbox_library.name = dlsym(handle, "seccomp_" #name); \
	whole = whole && sandbox_library.name;
	SANDBOX_FUNCTIONS(FIND)
#undef FIND
	if (whole)
		return 0;
	sandbox_library.init = NULL;
	return err_set(err, ERR_HOST, LIBRARY " is too old: install libseccomp 2.5 or newer");
}

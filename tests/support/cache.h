/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache: where scripts/setup keeps firmware images. The rule is that of scripts/lib.sh, which
 * tests/scripts/scripts.py compares.
 */
#ifndef VMM_TEST_CACHE_H
#define VMM_TEST_CACHE_H

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Writes the path of NAME in the cache. */
static inline void cache_path(const char *name, char *path, size_t size)
{
	const char *cache = getenv("VMM_CACHE"), *caches = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	const struct passwd *user = home ? NULL : getpwuid(getuid());

	if (cache && *cache)
		snprintf(path, size, "%s/%s", cache, name);
	else if (caches && *caches)
		snprintf(path, size, "%s/vmm/%s", caches, name);
	else
		snprintf(path, size, "%s/.cache/vmm/%s", home ? home : user ? user->pw_dir : "", name);
}

#endif

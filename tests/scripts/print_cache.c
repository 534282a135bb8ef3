/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints where C tests look for the cache, for tests/scripts/scripts.py.
 */
#include "support/cache.h"

int main(void)
{
	char path[4096];

	cache_path("x", path, sizeof(path));
	puts(path);
	return 0;
}

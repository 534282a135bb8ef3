/* SPDX-License-Identifier: Apache-2.0 */
/*
 * folder: small text files in a folder of a test's own, which stand for the kernel's.
 */
#ifndef VMM_TEST_FOLDER_H
#define VMM_TEST_FOLDER_H

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#include "support/test.h"

static inline void folder_put(const char *folder, const char *name, const char *text)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* With its files; it has no folders. */
static inline void folder_remove(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(folder);
}

#endif

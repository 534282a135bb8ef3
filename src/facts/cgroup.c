/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup: the misc controller's files, from a process's own group up to the root: how many ASIDs a guest of
 * this process may still take. The files are the kernel's, or a platform's; anything may stand in them. Any
 * thread; no state. Law: Documentation/admin-guide/cgroup-v2.rst, Misc.
 */
#include <ctype.h>
#include <fcntl.h>
#include <string.h>

#include "cgroup.h"

/* The number behind a resource in a flat-keyed file; "max" is UINT64_MAX. */
static bool read_key(const char *folder, const char *file, const char *resource, uint64_t *ret_value)
{
	char path[4300], line[160];
	size_t length = strlen(resource);

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe cannot make it wait */
	auto_fclose FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	if (!f)
		return false;
	take_fd(&fd);
	for (int lines = 0; lines < 100 && fgets(line, sizeof(line), f); lines++) {
		const char *value = line + length + 1;

		if (strncmp(line, resource, length) != 0 || line[length] != ' ')
			continue;
		if (strncmp(value, "max", 3) == 0)
			*ret_value = UINT64_MAX;
		else if (isdigit((unsigned char)*value))
			*ret_value = strtoull(value, NULL, 10);
		else
			return false;
		return true;
	}
	return false;
}

static uint64_t minus(uint64_t limit, uint64_t used)
{
	return limit > used ? limit - used : 0;
}

static void look_at(const char *folder, const char *resource, struct facts_asids *asids)
{
	uint64_t current, max, capacity;

	if (!read_key(folder, "misc.current", resource, &current))
		return;
	/* A higher group's count includes those of the groups below it, so the last one seen is the best. */
	asids->used = current;
	asids->used_known = true;
	if (!read_key(folder, "misc.max", resource, &max))
		max = UINT64_MAX;
	if (max < asids->group_limit)
		asids->group_limit = max;
	if (max != UINT64_MAX && (!asids->free_known || minus(max, current) < asids->free)) {
		asids->free = minus(max, current);
		asids->free_known = true;
		snprintf(asids->limiting, sizeof(asids->limiting), "%.150s", folder);
	}
	/* Only the root group has this file, and its count covers every guest of the host. */
	if (read_key(folder, "misc.capacity", resource, &capacity) &&
	        (!asids->free_known || minus(capacity, current) < asids->free)) {
		asids->free = minus(capacity, current);
		asids->free_known = true;
		asids->limiting[0] = '\0';
	}
}

void facts_cgroup_asids(const char *folder, const char *resource, struct facts_asids *asids)
{
	char path[4200];

	asids->group_limit = UINT64_MAX;
	snprintf(path, sizeof(path), "%s", folder);
	for (unsigned level = 0; level < CGROUP_LEVELS_MAX && *path; level++) {
		char *slash = strrchr(path, '/');

		look_at(path, resource, asids);
		if (!slash)
			break;
		*slash = '\0';
	}
	if (!asids->used_known)
		asids->why = *folder ? "the cgroup has no misc controller to be seen (misc.current)"
		                     : "this process's cgroup is not to be seen";
	else if (!asids->free_known)
		asids->why = "misc.capacity stands in the root cgroup only, which is not to be seen here";
}

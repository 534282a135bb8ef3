/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup: the misc cgroup that the platform's guests are charged to, with the kernel's files in a folder.
 * The user writes misc.max; this file writes the others. Runs with sev_platform.lock held. Law:
 * cgroup-v2.rst, Misc.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "cgroup.h"

#define FILE_MAX_BYTES 4096
#define PATH_MODE      0755
#define FILE_MODE      0644

static const char *const names[SEV_MISC_COUNT] = {"sev", "sev_es"};

static void write_file(const struct sev_cgroup *cgroup, const char *name, const char *text)
{
	auto_close int fd = openat(
	        cgroup->dir, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, FILE_MODE);

	/* If there is a pipe or a device under this name it cannot be emptied, and it is left alone. */
	if (fd < 0 || ftruncate(fd, 0) < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		log_warn("software platform: %s cannot be written: %s", name, err_sys_name(errno));
}

static void write_values(
        const struct sev_cgroup *cgroup, const char *name, const uint32_t values[SEV_MISC_COUNT])
{
	char text[100];

	snprintf(text, sizeof(text), "%s %u\n%s %u\n", names[0], values[0], names[1], values[1]);
	write_file(cgroup, name, text);
}

static void write_events(const struct sev_cgroup *cgroup)
{
	char text[100];

	snprintf(text, sizeof(text), "%s.max %llu\n%s.max %llu\n", names[0],
	        (unsigned long long)cgroup->refused[0], names[1], (unsigned long long)cgroup->refused[1]);
	write_file(cgroup, "misc.events", text);
	write_file(cgroup, "misc.events.local", text);
}

/* A line is "sev 5" or "sev max". A file that is missing or cannot be read sets no limit. */
static uint64_t read_limit(const struct sev_cgroup *cgroup, enum sev_misc resource)
{
	auto_close int fd = openat(cgroup->dir, "misc.max", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char text[FILE_MAX_BYTES], *rest = text, *line;
	ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	size_t name = strlen(names[resource]);

	if (size < 0)
		return UINT64_MAX;
	text[size] = '\0';
	while ((line = strsep(&rest, "\n"))) {
		unsigned long long value;

		if (strncmp(line, names[resource], name) == 0 && sscanf(line + name, " %llu", &value) == 1)
			return value;
	}
	return UINT64_MAX;
}

int sev_cgroup_open(struct sev_cgroup *cgroup, const char *path, struct err *err)
{
	if (!path || !*path)
		return 0;
	if (mkdir(path, PATH_MODE) < 0 && errno != EEXIST)
		return err_sys(err, ERR_USAGE, errno, "sim.cgroup: %s cannot be made", path);
	cgroup->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup->dir < 0)
		return err_sys(err, ERR_USAGE, errno, "sim.cgroup: %s cannot be opened", path);
	if (flock(cgroup->dir, LOCK_EX | LOCK_NB) < 0)
		return err_sys(err, ERR_USAGE, errno,
		        "sim.cgroup: %s belongs to one process at a time, and another has it; end that, or "
		        "name another folder",
		        path);
	write_values(cgroup, "misc.capacity", cgroup->capacity);
	write_values(cgroup, "misc.current", cgroup->usage);
	write_values(cgroup, "misc.peak", cgroup->peak);
	write_events(cgroup);
	if (faccessat(cgroup->dir, "misc.max", F_OK, 0) < 0)
		write_file(cgroup, "misc.max", "sev max\nsev_es max\n");
	return 0;
}

void sev_cgroup_close(struct sev_cgroup *cgroup)
{
	if (cgroup->dir >= 0)
		close(cgroup->dir);
}

static void tell_usage(const struct sev_cgroup *cgroup)
{
	if (cgroup->dir < 0)
		return;
	write_values(cgroup, "misc.current", cgroup->usage);
	write_values(cgroup, "misc.peak", cgroup->peak);
}

int sev_cgroup_charge(struct sev_cgroup *cgroup, enum sev_misc resource)
{
	uint64_t limit = cgroup->dir < 0 ? UINT64_MAX : read_limit(cgroup, resource);
	uint32_t usage = cgroup->usage[resource] + 1;

	if (usage > limit || usage > cgroup->capacity[resource]) {
		cgroup->refused[resource]++;
		if (cgroup->dir >= 0)
			write_events(cgroup);
		return -EBUSY;
	}
	cgroup->usage[resource] = usage;
	if (usage > cgroup->peak[resource])
		cgroup->peak[resource] = usage;
	tell_usage(cgroup);
	return 0;
}

void sev_cgroup_uncharge(struct sev_cgroup *cgroup, enum sev_misc resource)
{
	cgroup->usage[resource]--;
	tell_usage(cgroup);
}

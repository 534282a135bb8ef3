/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limit: names the limits of this process, explains errors that come from them, and says how to raise each.
 * Any thread. Law: setrlimit(2), systemd.exec(5).
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

#include "vmm/base.h"

static const struct {
	int resource;
	const char *name, *shell, *unit; /* the option of ulimit, the directive of a service */
	unsigned shell_shift;            /* ulimit counts in units of 2^shell_shift */
} limits[] = {
        [LIMIT_FILES] = {RLIMIT_NOFILE, "RLIMIT_NOFILE", "-n", "LimitNOFILE", 0},
        [LIMIT_FILE_BYTES] = {RLIMIT_FSIZE, "RLIMIT_FSIZE", "-f", "LimitFSIZE", 10},
        [LIMIT_ADDRESSES] = {RLIMIT_AS, "RLIMIT_AS", "-v", "LimitAS", 10},
        [LIMIT_LOCKED] = {RLIMIT_MEMLOCK, "RLIMIT_MEMLOCK", "-l", "LimitMEMLOCK", 10},
        [LIMIT_THREADS] = {RLIMIT_NPROC, "RLIMIT_NPROC", "-u", "LimitNPROC", 0},
};

uint64_t limit_value(enum limit which)
{
	struct rlimit limit;

	if (getrlimit((__rlimit_resource_t)limits[which].resource, &limit) < 0 ||
	        limit.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	return limit.rlim_cur;
}

uint64_t limit_memory_pages(void)
{
	static _Atomic uint64_t pages;

	if (!pages)
		pages = (uint64_t)sysconf(_SC_PHYS_PAGES);
	return pages;
}

const char *limit_words(enum limit which, char text[static LIMIT_WORDS_BYTES])
{
	const char *unit = limits[which].shell_shift ? " KiB" : "";

	snprintf(text, LIMIT_WORDS_BYTES, "%s is %" PRIu64 "%s; raise it (ulimit %s, %s= of a service)",
	        limits[which].name, limit_value(which) >> limits[which].shell_shift, unit,
	        limits[which].shell, limits[which].unit);
	return text;
}

/*
 * The errno with which each limit refuses. EAGAIN of the limit of threads has many other causes, too, so
 * limit_explain_thread() handles it.
 */
static const struct {
	int sys;
	enum limit limit;
} refusals[] = {
        {EMFILE, LIMIT_FILES},
        {EFBIG, LIMIT_FILE_BYTES},
        {ENOMEM, LIMIT_ADDRESSES},
};

static void blame(struct err *err, enum limit which)
{
	char words[LIMIT_WORDS_BYTES];

	if (limit_value(which) == UINT64_MAX || strstr(err->text, "ulimit"))
		return;
	err_append(err, ": %s", limit_words(which, words));
	err->kind = ERR_HOST;
}

void limit_explain(struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		if (err->kind && err->sys == refusals[i].sys)
			blame(err, refusals[i].limit);
	}
}

/*
 * The text does not give the limit's value: nearly every user has such a limit, and root is exempt from it
 * (setrlimit(2)).
 */
void limit_explain_thread(struct err *err)
{
	if (err->sys != EAGAIN)
		return;
	err_append(err,
	        ": more threads than this user (ulimit -u, RLIMIT_NPROC) or its cgroup (pids.max) may "
	        "have, or no memory for one more; raise what is reached (LimitNPROC=, TasksMax= of a "
	        "service)");
	err->kind = ERR_HOST;
}

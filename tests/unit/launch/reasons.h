/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reasons: rows that make a launch be refused, by a fact of the host or by a call that fails, and the error
 * that each row must give: cause and remedy in one sentence.
 */
#ifndef VMM_TEST_LAUNCH_REASONS_H
#define VMM_TEST_LAUNCH_REASONS_H

#include <sys/stat.h>

#include "bench.h"
#include "support/folder.h"

static struct bench bench;
static char cgroup[64];

/* ---- facts that both tables use ---- */

static inline void old_kernel(struct bench *b)
{
	b->kernel.old = true;
	b->kernel.vm_types = 1;
}

/* Linux 6.11 does not report policy bits, and refuses single-socket. */
static inline void linux_6_12(struct bench *b)
{
	b->kernel.no_policy_bits = true;
	b->process.linux_version = FACTS_LINUX(6, 12);
}

static inline void small_memlock(struct bench *b)
{
	b->process.memlock_bytes = KIB(64);
}

static inline void full_cgroup(struct bench *b)
{
	folder_put(cgroup, "misc.current", "sev 3\nsev_es 2\n");
	folder_put(cgroup, "misc.max", "sev 3\nsev_es 2\n");
	b->process.cgroup = cgroup;
}

static inline void hiding(struct bench *b)
{
	b->process.hiding_asids = 40;
}

/* ---- a row ---- */

#define GUEST KVM_MEMORY_ENCRYPT_OP
#define AT(id, errno_, code) \
	{ \
		.request = GUEST, .command = (id), .sys = (errno_), .fw = (code) \
	}
#define CALL(request_, errno_) \
	{ \
		.request = (request_), .sys = (errno_) \
	}
#define OPEN(errno_) \
	{ \
		.path = "/dev/sev", .sys = (errno_), .skip = 1 \
	} /* the first is the preflight's */

struct cause {
	const char *type;
	void (*fact)(struct bench *b);
	struct fake_refusal refusal;
	const char *set; /* one more word of the configuration */
	enum err_kind status;
	const char *sentence; /* the beginning of the error's text, after "creating the guest: " if met */
};

static inline void check_cause(const struct cause *cause, size_t i)
{
	const char *sets[] = {cause->set, NULL}, *text;
	int result;

	snprintf(cgroup, sizeof(cgroup), "/tmp/vmm-reasons-XXXXXX");
	assert_non_null(mkdtemp(cgroup));
	bench_start(&bench);
	if (cause->fact)
		cause->fact(&bench);
	bench.kernel.refusal = cause->refusal;
	result = bench_launch(&bench, cause->type, cause->set ? sets : NULL);
	text = bench.err.text;
	if (result == 0)
		fail_msg("row %zu: launched, not \"%s\"", i, cause->sentence);
	if (strncmp(text, "creating the guest: ", 20) == 0)
		text += 20;
	if (strncmp(text, cause->sentence, strlen(cause->sentence)) != 0)
		fail_msg("row %zu: \"%s\", not \"%s\"", i, text, cause->sentence);
	if (bench.err.kind != cause->status)
		fail_msg("row %zu: status %d, not %d: %s", i, (int)bench.err.kind, (int)cause->status, text);
	if (!strchr(text, ';') || strchr(text, '\n'))
		fail_msg("row %zu: no sentence with a remedy: \"%s\"", i, text);
	bench_end(&bench);
	assert_int_equal(bench.kernel.open_fds, 0);
	folder_remove(cgroup);
}

#endif

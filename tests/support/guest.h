/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest: runs a flat guest through the room `run` and catches what it writes. One guest at a time.
 */
#ifndef VMM_TEST_GUEST_H
#define VMM_TEST_GUEST_H

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "support/flat.h"
#include "support/test.h"
#include "vmm/run.h"

struct guest {
	char firmware[64]; /* the image's path */
	atomic_int out;    /* a file with what it writes; before the first guest: 0 */
	char output[4096]; /* what it wrote, after guest_run() */
	char report[2048];
	struct err err;
};

static inline bool guest_kvm_usable(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/*
 * Returns 0 or -1 as run_guest() does. sets is a list of at most 8 --set words that ends with NULL, or NULL.
 */
static inline int guest_run(
        struct guest *g, struct host *host, const struct flat *flat, const char *const *sets)
{
	struct config_mistakes mistakes = {0};
	struct config *config = NULL;
	struct run *run = NULL;
	char firmware[80];
	const char *folder = getenv("TMPDIR"); /* in the lab /tmp is 9p, where a signal cuts a write short */
	const char *words[11] = {firmware, "machine.memory=2M"};
	size_t count = 2;
	int result, fd;

	memset(g->output, 0, sizeof(g->output));
	memset(g->report, 0, sizeof(g->report));
	g->err = (struct err){0};
	snprintf(g->firmware, sizeof(g->firmware), "%s/vmm-flat-XXXXXX", folder ? folder : "/tmp");
	fd = mkstemp(g->firmware);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, flat->image, FLAT_BYTES), FLAT_BYTES);
	close(fd);
	snprintf(firmware, sizeof(firmware), "firmware=%s", g->firmware);
	for (; sets && *sets; sets++)
		words[count++] = *sets;
	if (config_load(NULL, words, count, NULL, &config, &mistakes) < 0)
		fail_msg("configuration: %s", mistakes.count ? mistakes.list[0].text : "no memory");
	config_mistakes_finish(&mistakes);
	if (!g->out)
		g->out = memfd_create("output", 0);
	result = run_create(&(struct run_place){.host = host}, config,
	        &(struct run_console_io){.in = -1, .out = g->out}, &run, &g->err);
	if (result == 0) {
		result = run_guest(run, &g->err);
		snprintf(g->report, sizeof(g->report), "%s", run_report(run));
	}
	run_destroy(run);
	config_destroy(config);
	if (pread(g->out, g->output, sizeof(g->output) - 1, 0) < 0)
		fail_msg("the guest's output cannot be read: %s", strerror(errno));
	/* The file is kept for the next guest: a thread of the test may still be about to look at it. */
	assert_int_equal(ftruncate(g->out, 0), 0);
	lseek(g->out, 0, SEEK_SET);
	unlink(g->firmware);
	return result;
}

#endif

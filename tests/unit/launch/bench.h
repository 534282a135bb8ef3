/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench: launches a small guest on the fake kernel: an image with all that a launch looks for, 4 MiB of
 * memory. One at a time.
 */
#ifndef VMM_TEST_LAUNCH_BENCH_H
#define VMM_TEST_LAUNCH_BENCH_H

#include <stdio.h>
#include <unistd.h>

#include "support/fake_kernel.h"
#include "support/launch.h"
#include "unit/launch/image.h"
#include "vmm/launch.h"

#define BENCH_SETS_MAX 12

struct bench {
	struct fake_kernel kernel;
	struct facts_process process;
	char firmware[64];
	struct image image;
	struct config *config;
	struct launch *launch;
	struct machine *machine;
	struct machine_vm *vm;
	struct err err;
};

static const uint8_t secret_guid[16] = {
        0x61, 0xb3, 0x2e, 0x4c, 0x9b, 0x7d, 0xc3, 0x4c, 0x80, 0x81, 0x12, 0x7c, 0x90, 0xd3, 0xd2, 0x94};

static inline void bench_image(struct bench *b, bool metadata, bool secret)
{
	static const uint32_t sections[] = {0x10000, 0x3000, 1, 0x14000, 0x1000, 2, 0x15000, 0x1000, 3};
	static const uint32_t reset = 0x80b004, area[] = {0x20c00, 0x400};

	image_start(&b->image);
	image_entry(&b->image, reset_guid, &reset, 4);
	if (secret)
		image_entry(&b->image, secret_guid, area, 8);
	if (metadata)
		image_metadata(&b->image, sections, 3);
	image_end(&b->image);
}

static inline void bench_save(struct bench *b)
{
	int fd;

	snprintf(b->firmware, sizeof(b->firmware), "/tmp/vmm-bench-XXXXXX");
	fd = mkstemp(b->firmware);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, b->image.bytes, IMAGE_BYTES), IMAGE_BYTES);
	close(fd);
}

static inline void bench_start(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	fake_start(&b->kernel);
	b->process = (struct facts_process){.cgroup = "", .memlock_bytes = UINT64_MAX};
	bench_image(b, true, true);
}

static inline void bench_config(struct bench *b, const char *type, const char *const *sets)
{
	struct config_mistakes mistakes = {0};
	char firmware[96], kind[32];
	const char *words[BENCH_SETS_MAX + 4] = {
	        kind, firmware, "machine.memory=4M", "machine.cpu=EPYC-Milan"};
	size_t count = 4;

	bench_save(b);
	snprintf(firmware, sizeof(firmware), "firmware=%s", b->firmware);
	snprintf(kind, sizeof(kind), "sev.type=%s", type);
	for (; sets && *sets; sets++)
		words[count++] = *sets;
	if (config_load(NULL, words, count, NULL, &b->config, &mistakes) < 0)
		fail_msg("configuration: %s: %s", mistakes.list[0].key, mistakes.list[0].text);
	config_mistakes_finish(&mistakes);
}

/* host: the bench's kernel, or one around it. */
static inline int bench_plan_on(struct bench *b, struct host *host)
{
	return launch_create(host, b->config, &b->process, &b->launch, &b->err);
}

static inline int bench_guest_on(struct bench *b, struct host *host)
{
	static const struct device_events events = {0};
	const struct machine_place place = {.host = host, .events = &events};
	const struct machine_files files = launch_machine_files(b->launch);

	if (machine_create(&place, b->config, &files, &b->machine, &b->err) < 0)
		return -1;
	return launch_whole(b->launch, b->machine, &b->vm, &b->err);
}

static inline int bench_launch_on(struct bench *b, struct host *host)
{
	return bench_plan_on(b, host) < 0 ? -1 : bench_guest_on(b, host);
}

static inline int bench_launch(struct bench *b, const char *type, const char *const *sets)
{
	bench_config(b, type, sets);
	return bench_launch_on(b, &b->kernel.host);
}

/* Ends the guest; the fake kernel's records stay. */
static inline void bench_end(struct bench *b)
{
	if (b->launch)
		launch_end(b->launch);
	machine_destroy(b->machine);
	launch_destroy(b->launch);
	config_destroy(b->config);
	if (*b->firmware)
		unlink(b->firmware);
	b->vm = NULL;
	b->launch = NULL;
	b->machine = NULL;
	b->config = NULL;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every call that a flat guest's life makes fails in turn. The sanitizer finds leaks, this test finds
 * descriptors left open.
 */
#include <dirent.h>
#include <errno.h>

#include "../../../src/host/fault.h"
#include "support/guest.h"

#define RUNS 50

static struct flat flat;
static struct guest guest;

static unsigned open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* Counts the calls of a guest that lives through set-up and RUNS runs. */
static uint64_t count_calls(struct host *real)
{
	struct host *counting;
	struct err err;
	uint64_t calls;

	assert_ok(host_fault_create(real, 0, 0, &counting, &err));
	if (guest_run(&guest, counting, &flat, NULL) < 0)
		fail_msg("%s", guest.err.text);
	calls = host_fault_calls(counting);
	host_destroy(counting);
	return calls;
}

/* Does the error name the step? "ioctl KVM_RUN" and "open /dev/kvm" by themselves, mappings by the word. */
static bool is_named(const char *failed, const char *text)
{
	const char *what = strchr(failed, ' ');

	return strstr(text, what ? what + 1 : "mapping") != NULL;
}

static void fail_call(struct host *real, uint64_t nth, int sys)
{
	unsigned before = open_descriptors();
	struct host *failing;
	const char *failed;
	struct err err;
	int result;

	assert_ok(host_fault_create(real, nth, sys, &failing, &err));
	result = guest_run(&guest, failing, &flat, NULL);
	failed = host_fault_name(failing);
	/* A capability that is only asked for may be absent; the error then names the capability. */
	if (strcmp(failed, "ioctl KVM_CHECK_EXTENSION") == 0) {
		if (result < 0 && !strstr(guest.err.text, "KVM_CAP_"))
			fail_msg("call %lu, %s: no capability is named: %s", (unsigned long)nth, failed,
			        guest.err.text);
	} else if (result == 0) {
		fail_msg("call %lu, %s: its failure went unnoticed", (unsigned long)nth, failed);
	} else if (!is_named(failed, guest.err.text)) {
		fail_msg("call %lu, %s: the error does not name it: %s", (unsigned long)nth, failed,
		        guest.err.text);
	}
	host_destroy(failing);
	assert_int_equal(open_descriptors(), before);
}

static void test_every_failing_call_ends_the_guest_with_its_name(void **state)
{
	struct host *real;
	struct err err;
	uint64_t calls;

	assert_ok(host_kernel_create(&real, &err));
	flat_init(&flat);
	flat_delay(&flat, RUNS);
	flat_power_off(&flat);
	calls = count_calls(real);
	assert_in_range(calls, RUNS + 15, RUNS + 200);
	for (uint64_t nth = 1; nth <= calls; nth++)
		fail_call(real, nth, EIO);
	host_destroy(real);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_every_failing_call_ends_the_guest_with_its_name),
	};

	if (!guest_kvm_usable()) {
		printf("skipped: /dev/kvm cannot be opened here; the lab runs these tests\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

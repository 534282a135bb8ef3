/* SPDX-License-Identifier: Apache-2.0 */
/* KVM_SEV_SNP_LAUNCH_UPDATE: answers that are neither a success nor a refusal. */
#include "bench.h"

static struct bench bench;

static int setup(void **state)
{
	bench_start(&bench);
	return 0;
}

static int teardown(void **state)
{
	bench_end(&bench);
	assert_int_equal(bench.kernel.open_fds, 0);
	return 0;
}

static void launches(void)
{
	if (bench_launch(&bench, "sev-snp", NULL) < 0)
		fail_msg("%s", bench.err.text);
}

static void refuses(const char *part)
{
	assert_int_equal(bench_launch(&bench, "sev-snp", NULL), -1);
	if (!strstr(bench.err.text, part))
		fail_msg("\"%s\" lacks \"%s\"", bench.err.text, part);
	assert_int_equal(bench.err.kind, ERR_HOST);
}

static void test_update_partial_success_is_gone_on_with(void **state)
{
	bench.kernel.partial_pages = 5;
	launches();
	assert_string_equal(bench.kernel.lines[5], "SNP_LAUNCH_UPDATE 0xffff0");
	assert_string_equal(bench.kernel.lines[6], "SNP_LAUNCH_UPDATE 0xffff5");
	assert_string_equal(bench.kernel.lines[8], "SNP_LAUNCH_UPDATE 0xfffff");
}

static void test_update_without_progress_ends(void **state)
{
	bench.kernel.no_progress = true;
	refuses("the kernel made no progress at 0xffff0000");
	assert_in_range(bench.kernel.count, 50, 200);
}

/* The kernel answers EIO with code 0 for any failure on the first page of an update. */
static void test_update_is_asked_for_again(void **state)
{
	static const int passing[] = {EIO, EINTR, EAGAIN};

	for (size_t i = 0; i < ARRAY_LEN(passing); i++) {
		if (i)
			bench_start(&bench);
		bench.kernel.refusal = (struct fake_refusal){.request = KVM_MEMORY_ENCRYPT_OP,
		        .command = UAPI_SEV_SNP_LAUNCH_UPDATE,
		        .sys = passing[i],
		        .times = 3};
		launches();
		assert_string_equal(bench.kernel.lines[5], "SNP_LAUNCH_UPDATE 0xffff0");
		bench_end(&bench);
	}
}

static void test_update_is_not_asked_for_again_for_ever(void **state)
{
	bench.kernel.refusal = (struct fake_refusal){.request = KVM_MEMORY_ENCRYPT_OP,
	        .command = UAPI_SEV_SNP_LAUNCH_UPDATE,
	        .sys = EIO,
	        .times = 100};
	refuses("the kernel could not give the guest a page");
	assert_int_equal(bench.kernel.refusal.times, 0);
}

/* A refusal by the firmware itself is final. */
static void test_update_that_the_firmware_refuses_is_asked_for_once(void **state)
{
	bench.kernel.refusal = (struct fake_refusal){.request = KVM_MEMORY_ENCRYPT_OP,
	        .command = UAPI_SEV_SNP_LAUNCH_UPDATE,
	        .sys = EIO,
	        .fw = 0x1a,
	        .times = 1};
	refuses("firmware code 0x1a");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_update_partial_success_is_gone_on_with),
	        TEST(test_update_without_progress_ends),
	        TEST(test_update_is_asked_for_again),
	        TEST(test_update_is_not_asked_for_again_for_ever),
	        TEST(test_update_that_the_firmware_refuses_is_asked_for_once),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

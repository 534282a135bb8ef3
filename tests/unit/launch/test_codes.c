/* SPDX-License-Identifier: Apache-2.0 */
/* Failures by force: every firmware command with every code, every host call with an errno. */
#include "../../../src/host/fault.h"
#include "bench.h"

static struct bench bench;

/* Every firmware command refused with every code: always a remedy, never a leak. */
static void test_codes_every_command_with_every_code(void **state)
{
	static const struct {
		const char *type;
		uint32_t command;
	} commands[] = {
	        {"sev", UAPI_SEV_INIT2},
	        {"sev", KVM_SEV_LAUNCH_START},
	        {"sev", KVM_SEV_LAUNCH_UPDATE_DATA},
	        {"sev-es", KVM_SEV_LAUNCH_UPDATE_VMSA},
	        {"sev", KVM_SEV_LAUNCH_MEASURE},
	        {"sev", KVM_SEV_GUEST_STATUS},
	        {"sev", KVM_SEV_LAUNCH_FINISH},
	        {"sev-snp", UAPI_SEV_INIT2},
	        {"sev-snp", UAPI_SEV_SNP_LAUNCH_START},
	        {"sev-snp", UAPI_SEV_SNP_LAUNCH_UPDATE},
	        {"sev-snp", UAPI_SEV_SNP_LAUNCH_FINISH},
	};

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		for (uint32_t fw = 1; fw <= 0x3a; fw++) {
			bench_start(&bench);
			bench.kernel.refusal = (struct fake_refusal){.request = KVM_MEMORY_ENCRYPT_OP,
			        .command = commands[i].command,
			        .sys = EIO,
			        .fw = fw};
			assert_int_equal(bench_launch(&bench, commands[i].type, NULL), -1);
			assert_int_equal(bench.err.fw, fw);
			if (!strchr(bench.err.text, ';'))
				fail_msg(
				        "command %u, code 0x%x: %s", commands[i].command, fw, bench.err.text);
			bench_end(&bench);
			assert_int_equal(bench.kernel.open_fds, 0);
		}
	}
}

/*
 * A failure of a call that only asks for something may change nothing. Any other failure ends the launch with
 * an error.
 */
static bool is_question(const char *name)
{
	static const char *const questions[] = {"ioctl KVM_CHECK_EXTENSION", "ioctl KVM_GET_DEVICE_ATTR",
	        "ioctl SEV_PLATFORM_STATUS", "ioctl SNP_PLATFORM_STATUS", "ioctl KVM_GET_SUPPORTED_CPUID",
	        "ioctl KVM_GET_API_VERSION", "open /dev/kvm", "open /dev/sev"};

	for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
		if (strcmp(name, questions[i]) == 0)
			return true;
	}
	return false;
}

/*
 * EIO without a firmware code may come from a signal, or from memory that was short for a moment, so the call
 * is repeated.
 */
static bool may_pass(const char *name, int sys)
{
	return sys == EIO && strcmp(name, "ioctl KVM_SEV_SNP_LAUNCH_UPDATE") == 0;
}

static uint64_t launch_with_fault(const char *type, uint64_t nth, int sys)
{
	struct host *faulty;
	struct err err;
	uint64_t calls;
	int result;

	bench_start(&bench);
	bench_config(&bench, type, (const char *const[]){"machine.vcpus=2", NULL});
	assert_ok(host_fault_create(&bench.kernel.host, nth, sys, &faulty, &err));
	result = bench_launch_on(&bench, faulty);
	if (nth == 0 && result < 0)
		fail_msg("%s", bench.err.text);
	if (nth && result == 0 && !is_question(host_fault_name(faulty)) &&
	        !may_pass(host_fault_name(faulty), sys))
		fail_msg("%s, call %lu, %s: its failure went unnoticed", type, (unsigned long)nth,
		        host_fault_name(faulty));
	if (result < 0 && (!*bench.err.text || !bench.err.kind))
		fail_msg("%s, call %lu, %s: no error", type, (unsigned long)nth, host_fault_name(faulty));
	calls = host_fault_calls(faulty);
	bench_end(&bench);
	host_destroy(faulty);
	if (bench.kernel.open_fds)
		fail_msg("%s, call %lu: %d descriptors are left open", type, (unsigned long)nth,
		        bench.kernel.open_fds);
	return calls;
}

static void test_codes_every_failing_call_ends_the_launch_cleanly(void **state)
{
	static const char *const types[] = {"sev", "sev-es", "sev-snp"};

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		uint64_t calls = launch_with_fault(types[i], 0, 0);

		assert_in_range(calls, 40, 200);
		for (uint64_t nth = 1; nth <= calls; nth++) {
			launch_with_fault(types[i], nth, EIO);
			launch_with_fault(types[i], nth, ENOMEM);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_codes_every_command_with_every_code),
	        cmocka_unit_test(test_codes_every_failing_call_ends_the_launch_cleanly),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

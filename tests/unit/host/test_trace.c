#include <linux/kvm.h>

#include "support/host_script.h"
#include "support/test.h"

static struct host_script script;
static struct host *trace;
static int ends[2];

static int setup(void **state)
{
	struct err err;

	script = (struct host_script){.host.ops = &script_ops};
	return pipe(ends) || host_trace_create(&script.host, ends[1], &trace, &err);
}

static int teardown(void **state)
{
	host_destroy(trace);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

static const char *written(void)
{
	static char text[4096];
	ssize_t n = read(ends[0], text, sizeof(text) - 1);

	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static void test_trace_descriptors_have_roles(void **state)
{
	struct kvm_userspace_memory_region region = {.slot = 1,
	        .guest_phys_addr = 0x1000,
	        .memory_size = 0x2000,
	        .userspace_addr = 0x7fff12345000};

	script.result = 10;
	host_open(trace, "/dev/kvm", 0);
	script.result = 11;
	host_ioctl_number(trace, 10, KVM_CREATE_VM, 0);
	script.result = 12;
	host_ioctl_number(trace, 11, KVM_CREATE_VCPU, 3);
	script.result = 0;
	host_ioctl(trace, 11, KVM_SET_USER_MEMORY_REGION, &region);
	assert_string_equal(written(),
	        "open /dev/kvm -> kvm\n"
	        "ioctl kvm KVM_CREATE_VM type=0x0 -> vm0\n"
	        "ioctl vm0 KVM_CREATE_VCPU id=0x3 -> vcpu0.3\n"
	        "ioctl vm0 KVM_SET_USER_MEMORY_REGION slot=0x1 flags=0x0 gpa=0x1000 size=0x2000 -> 0\n");
}

static void test_trace_run_says_why_the_guest_exited(void **state)
{
	struct kvm_run run = {.exit_reason = KVM_EXIT_IO};

	run.io.direction = KVM_EXIT_IO_OUT;
	run.io.port = 0x3f8;
	run.io.size = 1;
	run.io.count = 1;
	script.result = 11;
	host_ioctl_number(trace, 10, KVM_CREATE_VM, 0);
	script.result = 12;
	host_ioctl_number(trace, 11, KVM_CREATE_VCPU, 0);
	script.result = 0;
	script.mapped = &run;
	host_mmap(trace, NULL, 4096, 0, 0, 12, 0);
	written();
	host_ioctl_number(trace, 12, KVM_RUN, 0);
	assert_string_equal(
	        written(), "ioctl vcpu0.0 KVM_RUN KVM_EXIT_IO out port=0x3f8 size=1 count=1 -> 0\n");
	host_munmap(trace, &run, 4096);
	written();
	host_ioctl_number(trace, 12, KVM_RUN, 0);
	assert_string_equal(written(), "ioctl vcpu0.0 KVM_RUN -> 0\n");
}

static void test_trace_failure_keeps_errno_and_names_it(void **state)
{
	script.result = -1;
	script.sys = EACCES;
	errno = 0;
	assert_int_equal(host_open(trace, "/dev/sev", 0), -1);
	assert_int_equal(errno, EACCES);
	assert_int_equal(host_ioctl(trace, 4, 0x12345678, NULL), -1);
	assert_int_equal(host_close(trace, 4), -1);
	assert_string_equal(written(), "open /dev/sev -> EACCES\n"
	                               "ioctl other 0x12345678 -> EACCES\n"
	                               "close other -> EACCES\n");
}

static void test_trace_absurd_descriptors_are_taken(void **state)
{
	script.result = 100000;
	host_open(trace, "/dev/kvm", 0);
	host_ioctl(trace, 100000, KVM_GET_REGS, NULL);
	host_ioctl(trace, -1, KVM_GET_REGS, NULL);
	assert_non_null(strstr(written(), "ioctl ? KVM_GET_REGS"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_trace_descriptors_have_roles, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_trace_run_says_why_the_guest_exited, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_trace_failure_keeps_errno_and_names_it, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_trace_absurd_descriptors_are_taken, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

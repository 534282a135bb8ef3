/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/kvm.h>

#include "../../../src/host/fault.h"
#include "support/host_script.h"
#include "support/test.h"

static void test_fault_only_the_nth_call_fails(void **state)
{
	struct host_script script = {.host.ops = &script_ops, .result = 3};
	struct host *h;
	struct err err;

	assert_ok(host_fault_create(&script.host, 2, EIO, &h, &err));
	assert_int_equal(host_open(h, "/dev/kvm", 0), 3);
	assert_int_equal(host_ioctl_number(h, 3, KVM_CREATE_VM, 0), -1);
	assert_int_equal(errno, EIO);
	assert_string_equal(host_fault_name(h), "ioctl KVM_CREATE_VM");
	assert_int_equal(host_ioctl_number(h, 3, KVM_CREATE_VM, 0), 3);
	assert_int_equal(host_fault_calls(h), 3);
	assert_int_equal(script.calls, 2);
	assert_string_equal(host_name(h), "script");
	host_destroy(h);
}

static void test_fault_closing_is_never_failed(void **state)
{
	struct host_script script = {.host.ops = &script_ops};
	struct host *h;
	struct err err;

	assert_ok(host_fault_create(&script.host, 1, EIO, &h, &err));
	assert_int_equal(host_close(h, 5), 0);
	assert_int_equal(host_munmap(h, &script, 1), 0);
	assert_ptr_equal(host_mmap(h, NULL, 1, 0, 0, -1, 0), MAP_FAILED);
	host_destroy(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_fault_only_the_nth_call_fails),
	        cmocka_unit_test(test_fault_closing_is_never_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

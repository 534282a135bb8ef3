/* SPDX-License-Identifier: Apache-2.0 */
/* The software platform's promises about descriptors: when each closes, and which are not its own. */
#include <errno.h>
#include <fcntl.h>

#include "guest_bench.h"

static unsigned open_descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void test_descriptors_close_in_any_order_and_none_is_left(void **state)
{
	unsigned before = open_descriptors();
	struct abi abi;
	struct err err;
	int vm, vcpu;

	assert_ok(sim_host_create(&(struct sim_options){0}, &abi.host, &err));
	abi.kvm = host_open(abi.host, "/dev/kvm", O_RDWR);
	vm = ask_number(&abi, abi.kvm, KVM_CREATE_VM, 0);
	vcpu = ask_number(&abi, vm, KVM_CREATE_VCPU, 0);
	assert_int_equal(host_close(abi.host, vm), 0);
	assert_int_equal(host_close(abi.host, abi.kvm), 0);
	assert_int_equal(ask_number(&abi, vm, KVM_CREATE_VCPU, 1), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(ask(&abi, vcpu, KVM_GET_REGS, &(struct kvm_regs){0}), 0); /* its VM lives on */
	assert_int_equal(host_close(abi.host, vcpu), 0);
	assert_int_equal(host_close(abi.host, vcpu), -1);
	abi.kvm = host_open(abi.host, "/dev/kvm", O_RDWR);
	vm = ask_number(&abi, abi.kvm, KVM_CREATE_VM, 0);
	assert_true(ask_number(&abi, vm, KVM_CREATE_VCPU, 0) >= 0);
	host_destroy(abi.host); /* closes what is open */
	assert_int_equal(open_descriptors(), before);
}

static void test_other_paths_and_descriptors_are_the_kernels(void **state)
{
	struct abi *abi = *state;
	int fd;

	assert_int_equal(host_open(abi->host, "/dev/there-is-no-such", O_RDWR), -1);
	assert_int_equal(errno, ENOENT);
	fd = host_open(abi->host, "/dev/null", O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(ask_number(abi, fd, KVM_GET_API_VERSION, 0), -1);
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(host_close(abi->host, fd), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_descriptors_close_in_any_order_and_none_is_left),
	        cmocka_unit_test_setup_teardown(test_other_paths_and_descriptors_are_the_kernels,
	                guest_bench_setup, guest_bench_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

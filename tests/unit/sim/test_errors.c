/* SPDX-License-Identifier: Apache-2.0 */
/* The error numbers of calls that fail because this process lacks something. */
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "guest_bench.h"

struct call {
	const char *name;
	int (*make)(struct abi *abi, int vm, int event_fd);
};

static int make_vm(struct abi *abi, int vm, int event_fd)
{
	return host_ioctl_number(abi->host, abi->kvm, KVM_CREATE_VM, 0);
}

static int make_vcpu(struct abi *abi, int vm, int event_fd)
{
	return host_ioctl_number(abi->host, vm, KVM_CREATE_VCPU, 1);
}

static int make_irqfd(struct abi *abi, int vm, int event_fd)
{
	struct kvm_irqfd ask = {.fd = (uint32_t)event_fd, .gsi = 5};

	return host_ioctl(abi->host, vm, KVM_IRQFD, &ask);
}

static int make_ioeventfd(struct abi *abi, int vm, int event_fd)
{
	struct kvm_ioeventfd ask = {.addr = 0x700, .len = 1, .fd = event_fd, .flags = KVM_IOEVENTFD_FLAG_PIO};

	return host_ioctl(abi->host, vm, KVM_IOEVENTFD, &ask);
}

/* Makes the call with room for one more descriptor each time, until it has all that it needs. */
static void assert_says_emfile(struct abi *abi, const struct call *call, int vm, int event_fd)
{
	struct rlimit old, now;
	unsigned failed = 0;
	int lowest = dup(0), result = -1;

	close(lowest);
	getrlimit(RLIMIT_NOFILE, &old);
	for (now = old, now.rlim_cur = (rlim_t)lowest; result < 0; now.rlim_cur++) {
		setrlimit(RLIMIT_NOFILE, &now);
		result = call->make(abi, vm, event_fd);
		if (result < 0 && (errno != EMFILE || ++failed > 10))
			fail_msg("%s: %s", call->name, err_sys_name(errno));
	}
	setrlimit(RLIMIT_NOFILE, &old);
	assert_in_range(failed, 1, 10);
	if (result > 0)
		host_close(abi->host, result);
}

static void test_descriptors_that_run_out_are_told_as_such(void **state)
{
	static const struct call calls[] = {
	        {"KVM_CREATE_VM", make_vm},
	        {"KVM_CREATE_VCPU", make_vcpu},
	        {"KVM_IRQFD", make_irqfd},
	        {"KVM_IOEVENTFD", make_ioeventfd},
	};
	struct abi *abi = *state;
	int vm, event_fd = eventfd(0, EFD_CLOEXEC);

	vm = host_ioctl_number(abi->host, abi->kvm, KVM_CREATE_VM, 0);
	assert_true(vm >= 0 && event_fd >= 0);
	assert_int_equal(host_ioctl_number(abi->host, vm, KVM_CREATE_IRQCHIP, 0), 0);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		assert_says_emfile(abi, &calls[i], vm, event_fd);
	host_close(abi->host, vm);
	close(event_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_descriptors_that_run_out_are_told_as_such,
	                guest_bench_setup, guest_bench_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

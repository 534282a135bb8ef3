/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's wires on both hosts: the software platform, and the KVM of the machine that runs the test.
 * What the kernel does with an eventfd shows in its count: a bound one is read at once, another keeps it.
 */
#include <poll.h>
#include <sys/eventfd.h>

#include "../../../src/machine/machine.h"
#include "support/test.h"
#include "vmm/sim.h"

#define PATIENCE_MS  20000
#define NO_CHANGE_MS 20

static struct machine machine;
static int fd, other;

static int open_sim(struct host **ret_host, struct err *err)
{
	return sim_host_create(&(struct sim_options){0}, ret_host, err);
}

/* A VM with the interrupt controllers of a PC, and a vCPU whose local APIC can take messages. */
static int make(int (*open_host)(struct host **ret_host, struct err *err))
{
	struct err err = {0};
	int vm_fd = -1, vcpu_fd;

	machine = (struct machine){.kvm_fd = -1, .vm_fd = -1};
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	other = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_ok(open_host(&machine.host, &err));
	if (call_kvm_open(machine.host, &machine.kvm_fd, &err) < 0)
		return 0;
	assert_ok(call_vm_create(machine.host, machine.kvm_fd, 0, &vm_fd, &err));
	assert_ok(call_vm_create_irqchip(machine.host, vm_fd, &err));
	assert_ok(call_vm_set_routing(machine.host, vm_fd, NULL, 0, &err));
	assert_ok(call_vcpu_create(machine.host, vm_fd, 0, &vcpu_fd, &err));
	host_close(machine.host, vcpu_fd);
	machine.vm_fd = vm_fd;
	return machine_wires_create(&machine, &err);
}

static int setup_sim(void **state)
{
	return make(open_sim);
}

static int setup_kvm(void **state)
{
	return make(host_kernel_create);
}

static int teardown(void **state)
{
	machine_wires_destroy(&machine);
	host_close(machine.host, machine.vm_fd);
	host_close(machine.host, machine.kvm_fd);
	host_destroy(machine.host);
	close(fd);
	close(other);
	return 0;
}

static const struct device_wires *wires(void)
{
	if (machine.vm_fd < 0) {
		print_message("no usable /dev/kvm here\n");
		skip();
	}
	return &machine.board.wires;
}

static bool has_count(int which)
{
	struct pollfd p = {.fd = which, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

/* Does the kernel take the count of a bound eventfd? */
static bool is_taken(int which)
{
	for (unsigned ms = 0; ms < PATIENCE_MS && has_count(which); ms++)
		poll(NULL, 0, 1);
	return !has_count(which);
}

static bool bind_fd(int which, uint64_t address, uint32_t data)
{
	const struct device_msi message = {address, data};

	return wires()->bind(wires()->ctx, which, &message) == 0;
}

static void test_wires_bound_eventfd_is_read_by_the_kernel(void **state)
{
	assert_true(bind_fd(fd, 0xfee00000, 0x31));
	assert_true(bind_fd(other, 0xfee00000, 0x32));
	assert_int_equal(eventfd_write(fd, 1), 0);
	assert_int_equal(eventfd_write(other, 1), 0);
	assert_true(is_taken(fd));
	assert_true(is_taken(other));
	/* Unbound, it keeps its count. KVM sends for a count that it finds, and takes it with the next one.
	 */
	wires()->unbind(wires()->ctx, fd);
	assert_int_equal(eventfd_write(fd, 1), 0);
	poll(NULL, 0, NO_CHANGE_MS);
	assert_true(has_count(fd));
	assert_true(bind_fd(fd, 0xfee00000, 0x33));
	assert_int_equal(eventfd_write(fd, 1), 0);
	assert_true(is_taken(fd));
	assert_int_equal(eventfd_write(other, 1), 0);
	assert_true(is_taken(other));
}

static void test_wires_unbinding_twice_is_allowed(void **state)
{
	wires()->unbind(wires()->ctx, fd);
	assert_true(bind_fd(fd, 0xfee00000, 0x31));
	wires()->unbind(wires()->ctx, fd);
	wires()->unbind(wires()->ctx, fd);
	assert_true(bind_fd(fd, 0xfee00000, 0x31));
}

static void test_wires_what_is_no_eventfd_is_not_bound(void **state)
{
	assert_false(bind_fd(-1, 0xfee00000, 0x31));
	assert_int_equal(wires()->doorbell(wires()->ctx, -1, 0xe0000000, true), -1);
}

/* Messages that no local APIC takes are the guest's mistake. They are dropped. */
static void test_wires_take_any_message(void **state)
{
	static const struct device_msi messages[] = {{0xfee00000, 0x31}, {0xfeeff000, 0x31}, {0, 0},
	        {UINT64_MAX, UINT32_MAX}, {0xfee00000, 0x7ff}};

	for (size_t i = 0; i < ARRAY_LEN(messages); i++)
		wires()->send(wires()->ctx, &messages[i]);
}

static void test_wires_doorbells_hang_at_one_place_each(void **state)
{
	const struct device_wires *w = wires();

	assert_int_equal(w->doorbell(w->ctx, fd, 0xe0003000, true), 0);
	assert_int_equal(w->doorbell(w->ctx, other, 0xe0003004, true), 0);
	assert_int_equal(w->doorbell(w->ctx, other, 0xe0003000, true), -1);
	assert_int_equal(w->doorbell(w->ctx, fd, 0xe0003000, false), 0);
	assert_int_equal(w->doorbell(w->ctx, fd, 0xe0003000, false), -1);
	assert_int_equal(w->doorbell(w->ctx, fd, UINT64_C(0xe000003000), true), 0);
}

/* A device between two guests reaches none. */
static void test_wires_without_a_guest_do_nothing(void **state)
{
	const struct device_wires *w = wires();
	int vm_fd = machine.vm_fd;

	assert_true(bind_fd(fd, 0xfee00000, 0x31));
	machine_wires_cut(&machine);
	machine.vm_fd = -1;
	assert_int_equal(w->bind(w->ctx, other, &(struct device_msi){0xfee00000, 0x31}), -1);
	assert_int_equal(w->doorbell(w->ctx, fd, 0xe0003000, true), -1);
	w->unbind(w->ctx, fd);
	w->send(w->ctx, &(struct device_msi){0xfee00000, 0x31});
	machine.vm_fd = vm_fd;
}

int main(void)
{
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, setup_sim, teardown), \
	        cmocka_unit_test_setup_teardown(name, setup_kvm, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_wires_bound_eventfd_is_read_by_the_kernel),
	        TEST(test_wires_unbinding_twice_is_allowed),
	        TEST(test_wires_what_is_no_eventfd_is_not_bound),
	        TEST(test_wires_take_any_message),
	        TEST(test_wires_doorbells_hang_at_one_place_each),
	        TEST(test_wires_without_a_guest_do_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

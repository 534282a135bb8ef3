/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plain guest that prints is stopped and goes on again and again, on the software platform and, where it
 * can be opened, on the real KVM. It must lose nothing and repeat nothing.
 */
#include <sys/mman.h>

#include "life.h"
#include "support/flat.h"
#include "support/guest.h"
#include "vmm/call.h"

#define BYTES 40000 /* takes a while, also where exits are fast */

static struct flat flat;

/*
 * A vCPU that waits is between two instructions: with immediate_exit, which is set, KVM_RUN would finish one
 * whose answer it has not got yet.
 */
static void assert_is_between_instructions(struct life *l)
{
	const struct machine_vcpu *vcpu = machine_vm_vcpu(run_vm(l->run), 0);
	struct kvm_regs before, after;

	assert_int_equal(vcpu->run->immediate_exit, 1);
	assert_ok(call_vcpu_get_regs(l->host, vcpu->fd, &before, &err));
	assert_int_equal(call_vcpu_run(l->host, vcpu->fd, vcpu->run, &err), 1);
	assert_ok(call_vcpu_get_regs(l->host, vcpu->fd, &after, &err));
	assert_memory_equal(&before, &after, sizeof(before));
}

static void toggle(void *ctx)
{
	struct life *l = ctx;
	const char *status = run_status_of(l->run).name;

	if (strcmp(status, "paused") == 0) {
		assert_is_between_instructions(l);
		assert_ok(run_cont(l->run, &err));
	} else if (run_stop(l->run, &err) < 0) {
		return; /* the guest has ended meanwhile */
	}
	l->step++;
	if (run_is_settled(l->run))
		l->on_settled(l);
}

/* The loop has a turn between two commands, in which the guest runs, or rests. */
static void toggle_soon(struct life *l)
{
	static struct loop_op *timer;

	assert_ok(loop_timer_start(run_loop(l->run), 1000000, toggle, l, &timer, &err));
}

/* mov cx, BYTES; again: mov dx, 0x3fd; wait: in al, dx; test al, 0x20; jz wait; print; loop again */
static void write_guest(void)
{
	flat_init(&flat);
	FLAT(&flat, 0xb9, BYTES & 0xff, BYTES >> 8);
	FLAT(&flat, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x20, 0x74, 0xfb);
	FLAT(&flat, 0x88, 0xc8, 0xba, 0xf8, 0x03, 0xee); /* mov al, cl; mov dx, 0x3f8; out dx, al */
	FLAT(&flat, 0xe2, 0xf0);
	flat_power_off(&flat);
}

static void assert_printed(int out)
{
	static uint8_t found[BYTES + 1];

	assert_int_equal(pread(out, found, sizeof(found), 0), BYTES);
	for (unsigned i = 0; i < BYTES; i++)
		assert_int_equal(found[i], (BYTES - i) & 0xff);
}

static void run_and_toggle(void)
{
	write_guest();
	life.image = flat.image;
	life.out = memfd_create("output", 0);
	life.on_settled = toggle_soon;
	assert_ends_well(life_run(&life, "none", (const char *const[]){"machine.memory=2M", NULL}));
	assert_printed(life.out);
	close(life.out);
	assert_int_equal(life.cause, RUN_CAUSE_GUEST_SHUTDOWN);
	print_message("%u commands\n", life.step);
	assert_int_equal(strncmp(life.log, "RS", 2), 0);
}

static int setup_kernel(void **state)
{
	memset(&life, 0, sizeof(life));
	return host_kernel_create(&life.host, &err);
}

static void test_toggle_on_the_software_platform(void **state)
{
	run_and_toggle();
}

static void test_toggle_on_the_real_kvm(void **state)
{
	if (!guest_kvm_usable()) {
		print_message("/dev/kvm cannot be opened here; the lab runs this test\n");
		skip();
	}
	run_and_toggle();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        T(test_toggle_on_the_software_platform),
	        cmocka_unit_test_setup_teardown(test_toggle_on_the_real_kvm, setup_kernel, teardown),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stories of flat guests on the real KVM.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#include "support/guest.h"

static struct host *host;
static struct flat flat;
static struct guest guest;

static int setup(void **state)
{
	struct err err;

	flat_init(&flat);
	return host_kernel_create(&host, &err);
}

static int teardown(void **state)
{
	host_destroy(take_ptr(&host));
	return 0;
}

static void run_to_success(const char *const *sets)
{
	if (guest_run(&guest, host, &flat, sets) < 0)
		fail_msg("%s\n%s", guest.err.text, guest.report);
}

static void test_guest_that_powers_off_succeeds(void **state)
{
	flat_print(&flat, "hello\n");
	flat_power_off(&flat);
	run_to_success(NULL);
	assert_string_equal(guest.output, "hello\n");
	assert_string_equal(guest.report, "");
}

static void test_guest_long_output_arrives_whole(void **state)
{
	char expected[2001] = "";

	/* mov cx, 2000; again: mov dx, 0x3fd; wait: in al, dx; test al, 0x20; jz wait; print; loop again */
	FLAT(&flat, 0xb9, 0xd0, 0x07);
	FLAT(&flat, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x20, 0x74, 0xfb);
	flat_out8(&flat, 0x3f8, 'x');
	FLAT(&flat, 0xe2, 0xf0);
	flat_power_off(&flat);
	run_to_success(NULL);
	memset(expected, 'x', 2000);
	assert_string_equal(guest.output, expected);
}

static void test_guest_triple_fault_is_a_crash_with_registers(void **state)
{
	flat_print(&flat, "x");
	flat_triple_fault(&flat);
	assert_int_equal(guest_run(&guest, host, &flat, NULL), -1);
	if (strstr(guest.err.text, "could not emulate")) {
		print_message("this KVM emulates real mode and has no triple fault there; the lab's has\n");
		skip();
	}
	assert_int_equal(guest.err.kind, ERR_GUEST);
	assert_non_null(strstr(guest.err.text, "vCPU 0: the guest crashed with a triple fault"));
	assert_non_null(strstr(guest.report, "rip "));
	assert_non_null(strstr(guest.report, "cs   f000"));
	/*
	 * The guest printed before it crashed, so it can only be at the reset vector because KVM put it
	 * there.
	 */
	assert_int_equal(!strstr(guest.report, "rip    000000000000fff0"),
	        !strstr(guest.report, "registers of a reset"));
	assert_string_equal(guest.output, "x");
}

/* Counts the guest's starts in a CMOS cell, which outlives resets. */
static void test_guest_reset_is_a_new_guest_on_the_same_machine(void **state)
{
	flat_print(&flat, "r");
	flat_out8(&flat, 0x70, 0x40);
	FLAT(&flat, 0xe4, 0x71, 0xfe, 0xc0, 0xe6, 0x71); /* in al, 0x71; inc al; out 0x71, al */
	FLAT(&flat, 0x3c, 0x03, 0x73, 0x07);             /* cmp al, 3; jae + 7 */
	flat_out8(&flat, 0xcf9, 6);
	FLAT(&flat, 0xf4);
	flat_power_off(&flat);
	run_to_success(NULL);
	assert_string_equal(guest.output, "rrr");
}

static void test_guest_memory_is_fresh_after_a_reset(void **state)
{
	/* mov al, [0x500]; add al, '0'; out 0x3f8; mov byte [0x500], 5 */
	FLAT(&flat, 0x31, 0xc0, 0x8e, 0xd8);
	FLAT(&flat, 0xa0, 0x00, 0x05, 0x04, '0', 0xba, 0xf8, 0x03, 0xee, 0xc6, 0x06, 0x00, 0x05, 0x05);
	flat_out8(&flat, 0x70, 0x40);
	FLAT(&flat, 0xe4, 0x71, 0xfe, 0xc0, 0xe6, 0x71, 0x3c, 0x02, 0x73, 0x07);
	flat_out8(&flat, 0xcf9, 6);
	FLAT(&flat, 0xf4);
	flat_power_off(&flat);
	run_to_success(NULL);
	assert_string_equal(guest.output, "00");
}

/* Has nobody taken the signal yet? */
static bool term_waits(void)
{
	sigset_t pending;

	return sigpending(&pending) == 0 && sigismember(&pending, SIGTERM) == 1;
}

/* Has the guest written something? */
static bool guest_runs(void)
{
	struct stat facts;

	return guest.out && fstat(guest.out, &facts) == 0 && facts.st_size > 0;
}

static void *send_term(void *ctx)
{
	const int *times = ctx;

	while (!guest_runs())
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	for (int i = 0; i < *times; i++) {
		/* The second counts when it comes more than a second after the first was taken. */
		nanosleep(&(struct timespec){.tv_sec = i, .tv_nsec = 150000000}, NULL);
		kill(getpid(), SIGTERM);
		while (term_waits())
			nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	return NULL;
}

/* The tester's own thread must not take the signal: it inherits a mask that blocks it. */
static pthread_t term_once_it_runs(int *times)
{
	sigset_t mask, old;
	pthread_t thread;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &mask, &old);
	assert_int_equal(pthread_create(&thread, NULL, send_term, times), 0);
	return thread;
}

static void test_guest_that_ignores_the_button_is_ended(void **state)
{
	const char *const grace[] = {"run.grace=1", NULL};
	pthread_t thread;
	int times = 1;

	flat_print(&flat, "s");
	flat_spin(&flat);
	thread = term_once_it_runs(&times);
	assert_int_equal(guest_run(&guest, host, &flat, grace), -1);
	pthread_join(thread, NULL);
	assert_int_equal(guest.err.kind, ERR_FAILED);
	assert_non_null(strstr(guest.err.text, "did not shut down within 1 s"));
}

static void test_guest_is_ended_by_a_second_term(void **state)
{
	const char *const grace[] = {"run.grace=600", NULL};
	pthread_t thread;
	int times = 2;

	flat_print(&flat, "s");
	flat_spin(&flat);
	thread = term_once_it_runs(&times);
	assert_int_equal(guest_run(&guest, host, &flat, grace), -1);
	pthread_join(thread, NULL);
	assert_non_null(strstr(guest.err.text, "second"));
}

/* The guest polls PM1_STS for the button (bit 8) and then powers off. */
static void test_guest_that_sees_the_button_shuts_down(void **state)
{
	pthread_t thread;
	int times = 1;

	flat_print(&flat, "s");
	flat_out32(&flat, 0xcf8, 0x80000b40);
	flat_out32(&flat, 0xcfc, 0xb001);
	flat_out32(&flat, 0xcf8, 0x80000b80);
	flat_out8(&flat, 0xcfc, 1);
	FLAT(&flat, 0xba, 0x00, 0xb0, 0xed, 0xf6, 0xc4, 0x01, 0x74, 0xfa); /* in ax, dx; test ah, 1; jz */
	flat_power_off(&flat);
	thread = term_once_it_runs(&times);
	run_to_success(NULL);
	pthread_join(thread, NULL);
}

static void test_guest_with_many_vcpus_stops_as_one(void **state)
{
	const char *const vcpus[] = {"machine.vcpus=8", NULL};

	flat_print(&flat, "8");
	flat_power_off(&flat);
	run_to_success(vcpus);
	assert_string_equal(guest.output, "8");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        T(test_guest_that_powers_off_succeeds),
	        T(test_guest_long_output_arrives_whole),
	        T(test_guest_triple_fault_is_a_crash_with_registers),
	        T(test_guest_reset_is_a_new_guest_on_the_same_machine),
	        T(test_guest_memory_is_fresh_after_a_reset),
	        T(test_guest_that_ignores_the_button_is_ended),
	        T(test_guest_is_ended_by_a_second_term),
	        T(test_guest_that_sees_the_button_shuts_down),
	        T(test_guest_with_many_vcpus_stops_as_one),
	};

	if (!guest_kvm_usable()) {
		printf("skipped: /dev/kvm cannot be opened here; the lab runs these tests\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

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
	signal(SIGPIPE, SIG_IGN);
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

/* ---- readers that are slow, or stop ---- */

#define CLOSE_LINE "close other -> 0\n"
#define RUN_LINE   "ioctl other KVM_RUN -> 0\n"

static void trace_closes(unsigned count)
{
	script.result = 0;
	for (unsigned i = 0; i < count; i++)
		host_close(trace, 500);
}

struct reader {
	const char *line;
	unsigned lines;
};

/* Reads to the end, a line at a time, and counts the lines as long as they are that line. */
static void *read_slowly(void *ctx)
{
	struct reader *reader = ctx;
	const size_t length = strlen(reader->line);
	char piece[sizeof(RUN_LINE)];
	size_t used = 0;
	ssize_t n;

	while ((n = read(ends[0], piece + used, length - used)) > 0) {
		used += (size_t)n;
		if (used < length)
			continue;
		if (memcmp(piece, reader->line, length) != 0)
			break;
		reader->lines++;
		used = 0;
	}
	return NULL;
}

/* Nobody reads, so a call that waited would wait for ever. The amount of text that is kept is bounded. */
static void test_trace_that_nobody_reads_makes_no_call_wait(void **state)
{
	struct reader reader = {.line = CLOSE_LINE};
	char byte;

	trace_closes(1000000);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	read_slowly(&reader);
	assert_in_range(reader.lines, 1, fcntl(ends[0], F_GETPIPE_SZ) / strlen(CLOSE_LINE));
	trace_closes(1);
	assert_int_equal(read(ends[0], &byte, 1), -1);
}

static void test_trace_whose_reader_is_late_is_whole(void **state)
{
	struct reader reader = {.line = CLOSE_LINE};
	pthread_t thread;

	trace_closes(30000);
	pthread_create(&thread, NULL, read_slowly, &reader);
	host_destroy(take_ptr(&trace));
	close(take_fd(&ends[1]));
	pthread_join(thread, NULL);
	assert_int_equal(reader.lines, 30000);
}

static struct kvm_run *open_vcpu(void)
{
	static struct kvm_run run;

	run = (struct kvm_run){.exit_reason = KVM_EXIT_HLT};
	script.result = 11;
	host_ioctl_number(trace, 10, KVM_CREATE_VM, 0);
	script.result = 12;
	host_ioctl_number(trace, 11, KVM_CREATE_VCPU, 0);
	script.result = 0;
	script.mapped = &run;
	host_mmap(trace, NULL, 4096, 0, 0, 12, 0);
	return &run;
}

/* A guest that is being stopped does not wait for the trace's reader; 20,000 lines are much more than fit. */
static void test_trace_vcpu_that_is_kicked_does_not_wait_for_the_reader(void **state)
{
	struct kvm_run *run = open_vcpu();

	run->immediate_exit = 1;
	trace_closes(20000);
	for (int i = 0; i < 100; i++)
		assert_int_equal(host_ioctl_number(trace, 12, KVM_RUN, 0), 0);
	close(take_fd(&ends[0]));
}

/* The rest is lost, and the vCPU goes on. */
static void test_trace_whose_reader_has_stopped_ends(void **state)
{
	char bytes[4096];

	open_vcpu();
	trace_closes(20000);
	for (int i = 0; i < 100; i++)
		assert_int_equal(host_ioctl_number(trace, 12, KVM_RUN, 0), 0);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	while (read(ends[0], bytes, sizeof(bytes)) > 0)
		;
	trace_closes(1);
	assert_int_equal(read(ends[0], bytes, 1), -1);
}

static _Atomic unsigned alarms;

static void on_alarm(int signal)
{
	alarms++;
}

/* A kick interrupts a write that waits (no SA_RESTART): no line is cut or lost. */
static void test_trace_under_signals_is_whole(void **state)
{
	const struct itimerval often = {{0, 500}, {0, 500}}, never = {0};
	struct sigaction action = {.sa_handler = on_alarm};
	struct reader reader = {.line = RUN_LINE};
	unsigned calls = 0;
	sigset_t alarm_only;
	pthread_t thread;

	sigaction(SIGALRM, &action, NULL);
	sigemptyset(&alarm_only);
	sigaddset(&alarm_only, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm_only, NULL); /* for the reader: the signals are for this thread */
	pthread_create(&thread, NULL, read_slowly, &reader);
	pthread_sigmask(SIG_UNBLOCK, &alarm_only, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	script.result = 0;
	for (; alarms < 200; calls++)
		host_ioctl_number(trace, 500, KVM_RUN, 0);
	setitimer(ITIMER_REAL, &never, NULL);
	host_destroy(take_ptr(&trace));
	close(take_fd(&ends[1]));
	pthread_join(thread, NULL);
	assert_int_equal(reader.lines, calls);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_trace_descriptors_have_roles, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_trace_run_says_why_the_guest_exited, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_trace_failure_keeps_errno_and_names_it, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_trace_absurd_descriptors_are_taken, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                test_trace_that_nobody_reads_makes_no_call_wait, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_trace_whose_reader_is_late_is_whole, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                test_trace_vcpu_that_is_kicked_does_not_wait_for_the_reader, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_trace_whose_reader_has_stopped_ends, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_trace_under_signals_is_whole, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

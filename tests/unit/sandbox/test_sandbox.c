/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox: threads make the calls of their lists, and any other call ends the process with a message that
 * names it. Each case runs in a process of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>

#include "vmm/sandbox.h"

#include "support/test.h"

#define CALLS_MAX 64

#define SKIP_INSTRUMENTED() \
	do { \
		if (SANDBOX_INSTRUMENTED) { \
			print_message( \
			        "skipped: a build with a sanitizer or coverage only logs such calls\n"); \
			skip(); \
		} \
	} while (0)

/* ---- a process that enters the sandbox ---- */

struct act {
	enum sandbox_thread kind;
	bool simulated;
	void (*fn)(void);
	bool certificates;
};

static void start(const struct act *act)
{
	const struct sandbox_setup setup = {.simulated = act->simulated, .certificates = act->certificates};
	struct err err = {0};

	if (sandbox_start(&setup, &err) < 0) {
		log_error("%s", err.text);
		_exit(1);
	}
	sandbox_enter(act->kind);
}

static void child(const struct act *act, int log_fd)
{
	dup2(log_fd, STDERR_FILENO);
	start(act);
	act->fn();
	_exit(0);
}

/* Returns the wait status of a process that does this; text gets what it wrote to its standard error. */
static int run(const struct act *act, char *text, size_t size)
{
	int pipes[2], status;
	size_t used = 0;
	ssize_t got;
	pid_t pid;

	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		child(act, pipes[1]);
	close(pipes[1]);
	while ((got = read(pipes[0], text + used, size - 1 - used)) > 0)
		used += (size_t)got;
	text[used] = '\0';
	close(pipes[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void assert_killed(int signal, enum sandbox_thread kind, void (*fn)(void), const char *word)
{
	const struct act act = {kind, false, fn};
	char text[1000];
	int status = run(&act, text, sizeof(text));
	bool told = strstr(text, "the sandbox ends vmm");

	if (!WIFSIGNALED(status) || WTERMSIG(status) != signal || !strstr(text, word) ||
	        told != (signal == SIGSYS))
		fail_msg("status %#x instead of signal %d, or no \"%s\" in \"%s\"", status, signal, word,
		        text);
}

static void assert_ends(enum sandbox_thread kind, void (*fn)(void), const char *word)
{
	assert_killed(SIGSYS, kind, fn, word);
}

static void assert_lives(enum sandbox_thread kind, bool simulated, void (*fn)(void))
{
	const struct act act = {kind, simulated, fn};
	char text[1000];
	int status = run(&act, text, sizeof(text));

	if (status != 0)
		fail_msg("status %#x: %s", status, text);
}

/* ---- the lists ---- */

static bool is_first(size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(sandbox_rows[k].call, sandbox_rows[i].call) == 0 && !sandbox_rows[k].refuse)
			return false;
	return true;
}

static void test_lists_are_short_and_give_reasons(void **state)
{
	unsigned calls = 0;

	for (size_t i = 0; i < sandbox_row_count; i++) {
		const struct sandbox_row *row = &sandbox_rows[i];

		calls += !row->refuse && is_first(i);
		assert_true(row->threads && !(row->threads >> SANDBOX_THREADS));
		assert_true(strlen(row->why) >= 10);
		assert_int_equal(row->value & ~row->mask, 0);
	}
	print_message("%u calls\n", calls);
	assert_in_range(calls, 1, CALLS_MAX);
}

/* A thread that the main thread makes obeys both lists, so its own may have nothing that the other lacks. */
static void test_lists_of_later_threads_are_parts_of_the_main_one(void **state)
{
	for (size_t i = 0; i < sandbox_row_count; i++) {
		const struct sandbox_row *row = &sandbox_rows[i];
		bool in_main = false;

		if (!(row->threads & (1u << SANDBOX_VCPU | 1u << SANDBOX_WRITER | 1u << SANDBOX_MIGRATE)))
			continue;
		for (size_t k = 0; k < sandbox_row_count; k++)
			in_main = in_main || (strcmp(sandbox_rows[k].call, row->call) == 0 &&
			                             sandbox_rows[k].threads & 1u << SANDBOX_MAIN);
		if (!in_main)
			fail_msg("%s is not in the main thread's list", row->call);
	}
}

/* ---- forbidden calls ---- */

static void make_socket(void)
{
	socket(AF_INET, SOCK_STREAM, 0);
}

static void make_process(void)
{
	fork();
}

static void run_program(void)
{
	execl("/bin/true", "true", (char *)NULL);
}

static void map_code(void)
{
	mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void type_into_terminal(void)
{
	char byte = 'x';

	syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, &byte);
}

static void open_file(void)
{
	open("/", O_RDONLY | O_CLOEXEC);
}

static void accept_nobody(void)
{
	accept4(-1, NULL, NULL, SOCK_CLOEXEC);
}

static void kill_another(void)
{
	syscall(SYS_tgkill, 1, 1, 0);
}

static void call_nothing(void)
{
	syscall(511L /* no call has this number */);
}

static void test_forbidden_calls_end_the_process_with_a_message(void **state)
{
	SKIP_INSTRUMENTED();
	assert_ends(SANDBOX_MAIN, make_socket, "the main thread made the system call socket (number 41");
	assert_ends(SANDBOX_MAIN, make_process, "system call clone (number 56");
	assert_ends(SANDBOX_MAIN, run_program, "system call execve (number 59");
	assert_ends(SANDBOX_MAIN, map_code, "system call mmap (number 9");
	assert_ends(SANDBOX_MAIN, type_into_terminal, "ioctl (number 16, second argument 0x5412)");
	assert_ends(SANDBOX_MAIN, kill_another, "system call tgkill");
	assert_ends(SANDBOX_MAIN, call_nothing, "without a name");
	assert_ends(SANDBOX_VCPU, open_file, "the thread of a vCPU made the system call openat (number 257");
	assert_ends(SANDBOX_DEVICE, open_file, "the thread of a device");
	assert_ends(SANDBOX_WRITER, open_file, "a thread that writes");
	assert_ends(SANDBOX_MIGRATE, open_file, "the thread that moves the guest");
	assert_ends(SANDBOX_DEVICE, accept_nobody, "system call accept4");
}

/* Signals that are blocked, as in threads that take none, do not hide the message. */
static void block_and_make_socket(void)
{
	sigset_t all;

	sigfillset(&all);
	sigdelset(&all, SIGSYS);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	make_socket();
}

static void test_message_comes_with_other_signals_blocked(void **state)
{
	SKIP_INSTRUMENTED();
	assert_ends(SANDBOX_DEVICE, block_and_make_socket, "socket");
}

static void *make_socket_at_once(void *ctx)
{
	pthread_barrier_wait(ctx);
	make_socket();
	return NULL;
}

static void make_sockets(void)
{
	static pthread_barrier_t start;
	pthread_t thread;

	pthread_barrier_init(&start, NULL, 8);
	for (unsigned i = 0; i < 8; i++)
		if (pthread_create(&thread, NULL, make_socket_at_once, &start) != 0)
			_exit(1);
	pthread_join(thread, NULL);
}

static void test_message_comes_once_when_several_threads_are_wrong(void **state)
{
	SKIP_INSTRUMENTED();
	for (unsigned i = 0; i < 20; i++)
		assert_ends(SANDBOX_MAIN, make_sockets, "system call socket");
}

/* ---- builds with a sanitizer or coverage ---- */

static void make_socket_under_a_filter(void)
{
	int fd;

	if (prctl(PR_GET_SECCOMP) != SECCOMP_MODE_FILTER || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		_exit(1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	_exit(fd < 0);
}

/* They are under the filter, which lets forbidden calls through; test_forbidden_calls_... is for the others.
 */
static void test_an_instrumented_build_is_in_the_sandbox_and_goes_on(void **state)
{
	if (!SANDBOX_INSTRUMENTED) {
		print_message("skipped: this build ends at a forbidden call\n");
		skip();
	}
	for (unsigned simulated = 0; simulated < 2; simulated++)
		assert_lives(SANDBOX_MAIN, simulated, make_socket_under_a_filter);
}

/* ---- allowed calls ---- */

static int made;

static void *other_thread(void *ctx)
{
	sandbox_enter(SANDBOX_VCPU);
	free(malloc(1 << 20));
	return ctx;
}

static void make_thread(void)
{
	pthread_t thread;
	void *result = NULL;

	if (pthread_create(&thread, NULL, other_thread, &made) != 0 || pthread_join(thread, &result) != 0 ||
	        result != &made)
		_exit(1);
	close(open("/", O_RDONLY | O_CLOEXEC));
}

static void test_allowed_calls_and_new_threads_go_on(void **state)
{
	assert_lives(SANDBOX_MAIN, false, make_thread);
	assert_lives(SANDBOX_MAIN, true, make_thread);
}

/* ---- certificates ---- */

static void read_under_a_lock(void)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	_exit(fd < 0 || (fcntl(fd, F_OFD_SETLK, &lock) < 0 && errno == EBADF));
}

static void open_to_write(void)
{
	_exit(open("/dev/null", O_WRONLY | O_CLOEXEC) < 0);
}

static void test_vcpus_read_files_only_for_certificates(void **state)
{
	struct act act = {.kind = SANDBOX_VCPU, .fn = read_under_a_lock, .certificates = true};
	char text[1000];

	for (unsigned simulated = 0; simulated < 2; simulated++) {
		act.simulated = simulated;
		assert_int_equal(run(&act, text, sizeof(text)), 0);
	}
	SKIP_INSTRUMENTED();
	assert_ends(SANDBOX_VCPU, read_under_a_lock, "system call openat");
	act = (struct act){.kind = SANDBOX_VCPU, .fn = open_to_write, .certificates = true};
	assert_true(WIFSIGNALED(run(&act, text, sizeof(text))));
	assert_non_null(strstr(text, "system call openat"));
}

static int by_value(const void *one, const void *other)
{
	return *(const int *)one - *(const int *)other;
}

/* What the C library does in different ways from version to version. */
static void use_the_library(void)
{
	static int numbers[4096];
	struct termios modes;
	struct stat st;

	void *volatile block = malloc(1 << 20);

	block = realloc(block, 4 << 20);
	if (!block)
		_exit(1);
	free(block);
	qsort(numbers, ARRAY_LEN(numbers), sizeof(numbers[0]), by_value);
	if (fstat(STDERR_FILENO, &st) < 0)
		_exit(1);
	if (tcgetattr(STDERR_FILENO, &modes) == 0)
		tcsetattr(STDERR_FILENO, TCSANOW, &modes);
}

static void test_functions_of_the_library_go_on(void **state)
{
	for (unsigned kind = 0; kind < SANDBOX_THREADS; kind++)
		assert_lives((enum sandbox_thread)kind, false, use_the_library);
}

/* glibc checks the heap (malloc(3), M_CHECK_ACTION). */
static void free_twice(void)
{
	void *volatile block = malloc(100);
	void *volatile again = block;

	free(block);
	free(again);
}

static void test_the_library_says_why_it_aborts(void **state)
{
	SKIP_INSTRUMENTED();
	for (unsigned kind = 0; kind < SANDBOX_THREADS; kind++)
		assert_killed(SIGABRT, (enum sandbox_thread)kind, free_twice, "double free");
}

static void narrow_and_open(void)
{
	close(open("/", O_RDONLY | O_CLOEXEC));
	sandbox_enter(SANDBOX_VCPU);
	open_file();
}

#define THREADS 40

static pthread_barrier_t barrier;

/* All use malloc at the same time, so that each has a heap, which then shrinks. */
static void *allocate(void *ctx)
{
	void *volatile blocks[8];

	sandbox_enter(SANDBOX_VCPU);
	pthread_barrier_wait(&barrier);
	for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
		blocks[i] = malloc(96 << 10);
	pthread_barrier_wait(&barrier);
	for (size_t i = ARRAY_LEN(blocks); i-- > 0;)
		free(blocks[i]);
	return ctx;
}

static void make_many_threads(void)
{
	pthread_t threads[THREADS];

	pthread_barrier_init(&barrier, NULL, THREADS);
	for (unsigned i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, allocate, NULL) != 0)
			_exit(1);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void test_many_threads_can_allocate(void **state)
{
	assert_lives(SANDBOX_MAIN, false, make_many_threads);
}

/* The second list takes away what the first one allowed. */
static void test_a_second_list_narrows_the_first(void **state)
{
	SKIP_INSTRUMENTED();
	assert_ends(SANDBOX_MAIN, narrow_and_open, "the thread of a vCPU made the system call openat");
}

static void test_without_a_start_nothing_is_forbidden(void **state)
{
	assert_false(sandbox_is_on());
	sandbox_enter(SANDBOX_WRITER);
	close(open("/", O_RDONLY | O_CLOEXEC));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_lists_are_short_and_give_reasons),
	        cmocka_unit_test(test_lists_of_later_threads_are_parts_of_the_main_one),
	        cmocka_unit_test(test_forbidden_calls_end_the_process_with_a_message),
	        cmocka_unit_test(test_message_comes_with_other_signals_blocked),
	        cmocka_unit_test(test_message_comes_once_when_several_threads_are_wrong),
	        cmocka_unit_test(test_an_instrumented_build_is_in_the_sandbox_and_goes_on),
	        cmocka_unit_test(test_allowed_calls_and_new_threads_go_on),
	        cmocka_unit_test(test_vcpus_read_files_only_for_certificates),
	        cmocka_unit_test(test_functions_of_the_library_go_on),
	        cmocka_unit_test(test_the_library_says_why_it_aborts),
	        cmocka_unit_test(test_many_threads_can_allocate),
	        cmocka_unit_test(test_a_second_list_narrows_the_first),
	        cmocka_unit_test(test_without_a_start_nothing_is_forbidden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

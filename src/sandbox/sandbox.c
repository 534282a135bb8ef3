/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox: turns each list into a program for the kernel. Main thread, while it is the only one.
 * Law: seccomp(2), seccomp_rule_add(3).
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>

#include "library.h"
#include "sandbox.h"

#define HEAPS_A_PROCESSOR 8   /* of malloc */
#define FIRST             255 /* a call that comes before all others in its program */

/*
 * The run-time of a sanitizer makes calls of its own, more when it reports something, and that of coverage
 * writes files at the end. With such a build the kernel carries out what is not in a list, and logs it.
 */
#define FORBIDDEN     (SANDBOX_INSTRUMENTED ? SCMP_ACT_LOG : SCMP_ACT_TRAP)
#define FORBIDDEN_SYS (SANDBOX_INSTRUMENTED ? SECCOMP_RET_LOG : SECCOMP_RET_TRAP)

struct sandbox_made sandbox_made;

static bool is_on;

bool sandbox_is_on(void)
{
	return is_on;
}

/* Can a filter of this kernel do what is to be done with a forbidden call? */
static int check_kernel(struct err *err)
{
	uint32_t action = FORBIDDEN_SYS;

	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0)
		return 0;
	return err_sys(err, ERR_HOST, errno,
	        "the sandbox needs seccomp(2), which this kernel or container refuses; --no-sandbox runs "
	        "without");
}

/* ---- a list ---- */

static int add_row(scmp_filter_ctx filter, const struct sandbox_row *row, struct err *err)
{
	const struct scmp_arg_cmp value = {row->argument, SCMP_CMP_MASKED_EQ, row->mask, row->value};
	const struct scmp_arg_cmp own = {0, SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0};
	const struct scmp_arg_cmp *condition = row->own_process ? &own : &value;
	unsigned conditions = row->own_process || row->mask;
	int number = sandbox_library.syscall_resolve_name(row->call), result;

	if (number == __NR_SCMP_ERROR)
		return err_set(err, ERR_HOST, "libseccomp does not know the call %s: install a newer one",
		        row->call);
	result = sandbox_library.rule_add_exact_array(filter,
	        row->refuse ? SCMP_ACT_ERRNO((unsigned)row->refuse) : SCMP_ACT_ALLOW, number, conditions,
	        condition);
	if (result < 0)
		return err_sys(err, ERR_FAILED, -result, "libseccomp: the rule of %s", row->call);
	return 0;
}

/*
 * KVM_RUN is made most often. The kernel remembers the calls that are allowed whatever their arguments are,
 * and runs no program for those (Linux 5.11).
 */
static int put_first(scmp_filter_ctx filter, const char *call, struct err *err)
{
	int result =
	        sandbox_library.syscall_priority(filter, sandbox_library.syscall_resolve_name(call), FIRST);

	return result < 0 ? err_sys(err, ERR_FAILED, -result, "libseccomp: the place of %s", call) : 0;
}

static bool is_for(const struct sandbox_row *row, enum sandbox_thread kind, const struct sandbox_setup *setup)
{
	return row->threads & 1u << kind && (!row->simulated || setup->simulated) &&
	       (!row->certificates || setup->certificates);
}

static int add_rows(
        scmp_filter_ctx filter, enum sandbox_thread kind, const struct sandbox_setup *setup, struct err *err)
{
	for (size_t i = 0; i < sandbox_row_count; i++) {
		const struct sandbox_row *row = &sandbox_rows[i];

		if (is_for(row, kind, setup) && add_row(filter, row, err) < 0)
			return -1;
	}
	return 0;
}

/* Reads the program that libseccomp writes. */
static int take_program(scmp_filter_ctx filter, struct sock_fprog *ret_program, struct err *err)
{
	auto_close int fd = memfd_create("sandbox", MFD_CLOEXEC);
	auto_free void *code = NULL;
	struct stat st;
	int result = fd < 0 ? -errno : sandbox_library.export_bpf(filter, fd);

	if (result < 0 || fstat(fd, &st) < 0)
		return err_sys(err, ERR_FAILED, result < 0 ? -result : errno, "libseccomp: a list");
	code = malloc((size_t)st.st_size);
	if (!code || pread(fd, code, (size_t)st.st_size, 0) != st.st_size)
		return err_sys(err, ERR_FAILED, ENOMEM, "the sandbox");
	ret_program->len = (unsigned short)((size_t)st.st_size / sizeof(struct sock_filter));
	ret_program->filter = take_ptr(&code);
	return 0;
}

/* Calls by another convention than x86-64's have no list: they end the process at once. */
static int make_program(enum sandbox_thread kind, const struct sandbox_setup *setup, struct err *err)
{
	scmp_filter_ctx filter = sandbox_library.init(FORBIDDEN);
	int result = -1;

	if (!filter)
		return err_sys(err, ERR_FAILED, ENOMEM, "libseccomp");
	if (sandbox_library.attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) < 0)
		err_set(err, ERR_HOST, "libseccomp is too old: install 2.5 or newer");
	else if (put_first(filter, "ioctl", err) == 0 && add_rows(filter, kind, setup, err) == 0)
		result = take_program(filter, &sandbox_made.programs[kind], err);
	sandbox_library.release(filter);
	return result;
}

/* ---- start ---- */

/* A signal handler cannot ask libseccomp for a name, since that allocates memory. */
static void take_names(void)
{
	for (int number = 0; number < SANDBOX_CALLS; number++)
		sandbox_made.names[number] =
		        sandbox_library.syscall_resolve_num_arch(SCMP_ARCH_X86_64, number);
}

/* Grows a heap of its own beyond what free(3) keeps (M_TRIM_THRESHOLD, mallopt(3)), and frees it. */
static void *use_heap(void *unused)
{
	void *volatile blocks[8];

	for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
		blocks[i] = malloc(KIB(96));
	for (size_t i = ARRAY_LEN(blocks); i-- > 0;)
		free(blocks[i]);
	return NULL;
}

static int by_value(const void *one, const void *other)
{
	return *(const int *)one - *(const int *)other;
}

/*
 * glibc and vmm ask things late and once, which would be forbidden then. malloc asks how many processors
 * there are, when the ninth thread allocates: here it is told the limit that it would make of the answer. It
 * asks how memory is overcommitted, when a thread's heap shrinks. qsort() asks how much memory there is, when
 * it sorts more than 1024 bytes (before glibc 2.37).
 */
static void ask_early(void)
{
	int numbers[KIB(2) / sizeof(int)] = {0};
	pthread_t thread;

	mallopt(M_ARENA_MAX, get_nprocs() * HEAPS_A_PROCESSOR);
	if (pthread_create(&thread, NULL, use_heap, NULL) == 0)
		pthread_join(thread, NULL);
	qsort(numbers, ARRAY_LEN(numbers), sizeof(numbers[0]), by_value);
	(void)limit_memory_pages();
}

int sandbox_start(const struct sandbox_setup *setup, struct err *err)
{
	if (SANDBOX_INSTRUMENTED)
		log_info("this build measures or checks itself, so forbidden system calls are only logged");
	if (check_kernel(err) < 0 || sandbox_library_load(err) < 0)
		return -1;
	for (unsigned kind = 0; kind < SANDBOX_THREADS; kind++)
		if (make_program((enum sandbox_thread)kind, setup, err) < 0)
			return -1;
	take_names();
	ask_early();
	sandbox_made.on_end = setup->on_end;
	if (sandbox_take_signal(err) < 0)
		return -1;
	is_on = true;
	return 0;
}

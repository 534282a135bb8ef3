/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start: the platform of this process: read from the environment when the library is loaded, made when the
 * program first opens a device. A child process has another one. Any thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/uio.h>

#include "preload.h"

static struct sim_options options;
static bool has_options;
static const char *trace_path;
static bool explains;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct host *platform, *traced; /* the lock; NULL: not made yet */
static _Atomic(struct host *) ready;   /* what calls go to: one of the two */
static _Atomic pid_t owner;

void preload_say(const char *fmt, ...)
{
	char text[500], line[520];
	va_list args;
	int size;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	size = snprintf(line, sizeof(line), "vmm platform: %s\n", text);
	if (write(STDERR_FILENO, line, (size_t)size) < 0)
		return;
}

static void end(const char *what, const char *why)
{
	preload_say("%s: %s", what, why);
	_exit(ERR_HOST);
}

const struct sim_options *preload_options(void)
{
	return has_options ? &options : NULL;
}

bool preload_is_owner(void)
{
	return atomic_load(&owner) == getpid();
}

/* ---- the trace ---- */

/* The first process has the file. Each other one has a file beside it, with its number at the end of its
 * name. */
static int open_trace(void)
{
	const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
	char path[PATH_MAX];
	struct stat facts;
	int fd = open(trace_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

	if (fd < 0 || fstat(fd, &facts) < 0 || !S_ISREG(facts.st_mode))
		return fd;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && ftruncate(fd, 0) == 0)
		return fd;
	close(fd);
	if ((size_t)snprintf(path, sizeof(path), "%s.%ld", trace_path, (long)getpid()) >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return open(path, flags, 0666);
}

static struct host *with_trace(struct host *h)
{
	struct err err;
	int fd = open_trace();

	if (fd < 0)
		end(trace_path, err_sys_name(errno));
	if (host_trace_create(h, fd, &traced, &err) < 0)
		end(trace_path, err.text);
	return traced;
}

/* ---- the platform ---- */

static void make(void)
{
	struct err err;

	if (trace_path)
		options.measured = preload_measured;
	if (sim_host_create(&options, &platform, &err) < 0)
		end("the software platform cannot be made", err.text);
	atomic_store(&owner, getpid());
	atomic_store_explicit(&ready, trace_path ? with_trace(platform) : platform, memory_order_release);
}

struct host *preload_platform(void)
{
	struct host *h = atomic_load_explicit(&ready, memory_order_acquire);

	if (h)
		return h;
	pthread_mutex_lock(&lock);
	if (!atomic_load(&ready))
		make();
	pthread_mutex_unlock(&lock);
	return atomic_load(&ready);
}

bool preload_copy(void *to, uintptr_t from, size_t size)
{
	const struct iovec own = {to, size},
	                   theirs = {(void *)from, size}; // NOLINT(performance-no-int-to-ptr)

	return process_vm_readv(getpid(), &own, 1, &theirs, 1, 0) == (ssize_t)size;
}

static bool is_readable(unsigned long request, const void *arg)
{
	const size_t fields = 64; /* more than those of a launch command that the trace shows */
	uint8_t bytes[1 << _IOC_SIZEBITS];
	struct kvm_sev_cmd cmd;

	if (_IOC_DIR(request) == _IOC_NONE)
		return true;
	if (request == KVM_MEMORY_ENCRYPT_OP)
		return preload_copy(&cmd, (uintptr_t)arg, sizeof(cmd)) &&
		       (!cmd.data || preload_copy(bytes, (uintptr_t)cmd.data, fields));
	return preload_copy(bytes, (uintptr_t)arg, _IOC_SIZE(request));
}

struct host *preload_platform_for(unsigned long request, const void *arg)
{
	struct host *h = preload_platform();

	return !traced || is_readable(request, arg) ? h : platform;
}

int preload_ask_cpuid(struct kvm_cpuid2 *cpuid)
{
	int fd, result;

	preload_platform();
	fd = host_open(platform, "/dev/kvm", O_RDWR | O_CLOEXEC);
	result = host_ioctl(platform, fd, KVM_GET_SUPPORTED_CPUID, cpuid);
	host_close(platform, fd);
	return result;
}

bool preload_hardware_leaf(uint32_t leaf, uint32_t ret_registers[static 4])
{
	preload_platform();
	return sim_hardware_leaf(platform, leaf, ret_registers);
}

bool preload_view(unsigned n, struct sim_guest_view *ret_view)
{
	return sim_guest_view(platform, n, ret_view);
}

void preload_facts(struct facts *ret_facts)
{
	const struct facts_process process = {
	        .vcpu_files = 2,
	        .cgroup = options.cgroup ?: "",
	        .hiding_asids = options.snp_asids,
	        .memlock_bytes = options.memlock_bytes ?: UINT64_MAX,
	        .smt = !options.smt_off,
	};

	facts_gather(platform, &process, ret_facts);
}

void preload_trace(const char *line)
{
	if (traced)
		host_trace_note(traced, line);
}

bool preload_explains(void)
{
	return explains;
}

void preload_alias(int from, int to)
{
	sim_host_alias(platform, from, to);
}

/* ---- signals ---- */

static _Thread_local bool holding;

struct preload_held *preload_hold(struct preload_held *ret_held)
{
	static const int own_faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
	sigset_t all;

	ret_held->outermost = !holding;
	if (holding)
		return ret_held;
	sigfillset(&all);
	for (size_t i = 0; i < ARRAY_LEN(own_faults); i++)
		sigdelset(&all, own_faults[i]);
	pthread_sigmask(SIG_SETMASK, &all, &ret_held->before);
	holding = true;
	sim_signals_held(&ret_held->before);
	return ret_held;
}

void preload_release(struct preload_held **held)
{
	if (!(*held)->outermost)
		return;
	sim_signals_held(NULL);
	holding = false;
	pthread_sigmask(SIG_SETMASK, &(*held)->before, NULL);
}

/* ---- life ---- */

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void in_parent(void)
{
	pthread_mutex_unlock(&lock);
}

/*
 * The parent's other threads are not in the child, so what they did to the platform stays half done. The
 * child leaves it alone, as the kernel refuses a VM of another process (Linux's kvm_vm_ioctl(): EIO).
 */
static void in_child(void)
{
	pthread_mutex_init(&lock, NULL);
	platform = traced = NULL;
	atomic_store(&ready, NULL);
	atomic_store(&owner, getpid());
	preload_leave_all();
	preload_explain_forget_all();
}

/* A child that _Fork(3) makes, which calls no handlers of fork(2). */
void preload_in_child(void)
{
	if (has_options && !preload_is_owner())
		in_child();
}

__attribute__((constructor)) static void start(void)
{
	const char *text = getenv(SIM_ENV_OPTIONS), *trace;
	struct err err;
	char *own;

	if (!text)
		return;
	own = strdup(text); /* for as long as the process lives */
	if (!own || sim_options_read(own, &options, &err) < 0)
		end(SIM_ENV_OPTIONS, own ? err.text : "no memory");
	has_options = true;
	trace = getenv(SIM_ENV_TRACE);
	trace_path = trace ? strdup(trace) : NULL;
	explains = getenv(SIM_ENV_EXPLAIN) != NULL;
	atomic_store(&owner, getpid());
	pthread_atfork(before_fork, in_parent, in_child);
	preload_cpuid_start();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace: a host around another one that writes a line for each call. Any thread; one lock keeps lines and the
 * roles of descriptors in order. Two runs that do the same write the same lines.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>

#include "names.h"
#include "vmm/uapi.h"
#include "writer.h"

#define FDS_MAX        1024
#define LINE_MAX_BYTES 320

struct role {
	char name[24]; /* "kvm", "vm0", "vcpu0.1"; "" if the trace has not seen it opened */
	const struct kvm_run *run;
};

struct host_trace {
	struct host host;
	struct host_writer writer;
	unsigned vms, memfds; /* how many were created so far */
	pthread_mutex_t lock;
	struct role roles[FDS_MAX];
};

struct line {
	char text[LINE_MAX_BYTES];
	size_t used;
};

static struct host_trace *trace_of(struct host *h)
{
	return (struct host_trace *)h;
}

static void PRINTF(2, 3) put(struct line *line, const char *fmt, ...)
{
	size_t room = sizeof(line->text) - line->used;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(line->text + line->used, room, fmt, args);
	va_end(args);
	if (n > 0)
		line->used += (size_t)n < room ? (size_t)n : room - 1;
}

/*
 * Ends the line with the result (a descriptor by its role) and writes it. Sets errno to sys for the caller.
 */
static void finish(struct host_trace *t, struct line *line, int result, int sys, const char *role)
{
	if (result < 0)
		put(line, " -> %s", err_sys_name(sys));
	else if (role && *role)
		put(line, " -> %s", role);
	else
		put(line, " -> %d", result);
	line->text[line->used] = '\n';
	host_writer_put(&t->writer, line->text, line->used + 1);
	errno = sys;
}

static struct role *role_of(struct host_trace *t, int fd)
{
	static struct role unknown = {.name = "?"};

	return fd >= 0 && fd < FDS_MAX ? &t->roles[fd] : &unknown;
}

static const char *role_name(struct host_trace *t, int fd)
{
	const char *name = role_of(t, fd)->name;

	return *name ? name : "other";
}

static int trace_open(struct host *h, const char *path, int flags)
{
	struct host_trace *t = trace_of(h);
	struct line line = {0};
	int fd, sys;

	pthread_mutex_lock(&t->lock);
	fd = host_open(t->host.inner, path, flags);
	sys = errno;
	put(&line, "open %s", path);
	if (fd >= 0 && fd < FDS_MAX) {
		const char *slash = strrchr(path, '/');

		snprintf(t->roles[fd].name, sizeof(t->roles[fd].name), "%s", slash ? slash + 1 : path);
	}
	finish(t, &line, fd, sys, fd >= 0 ? role_of(t, fd)->name : NULL);
	pthread_mutex_unlock(&t->lock);
	errno = sys;
	return fd;
}

static int trace_close(struct host *h, int fd)
{
	struct host_trace *t = trace_of(h);
	struct line line = {0};
	int result, sys;

	pthread_mutex_lock(&t->lock);
	put(&line, "close %s", role_name(t, fd));
	if (fd < FDS_MAX)
		t->roles[fd] = (struct role){0};
	result = host_close(t->host.inner, fd);
	sys = errno;
	finish(t, &line, result, sys, NULL);
	pthread_mutex_unlock(&t->lock);
	errno = sys;
	return result;
}

/* Gives a new VM or vCPU its role. Returns the role's name or NULL. */
static const char *name_result(
        struct host_trace *t, int fd, unsigned long request, const void *arg, int result)
{
	if (result < 0 || result >= FDS_MAX)
		return NULL;
	if (request == KVM_CREATE_VM)
		snprintf(t->roles[result].name, sizeof(t->roles[result].name), "vm%u", t->vms++);
	else if (request == UAPI_CREATE_GUEST_MEMFD)
		snprintf(t->roles[result].name, sizeof(t->roles[result].name), "memfd%.8s.%u",
		        role_name(t, fd) + 2, t->memfds++);
	else if (request == KVM_CREATE_VCPU)
		snprintf(t->roles[result].name, sizeof(t->roles[result].name), "vcpu%.8s.%lu",
		        role_name(t, fd) + 2, (unsigned long)(uintptr_t)arg);
	else
		return NULL;
	return t->roles[result].name;
}

static void put_fields(struct line *line, const struct host_request *r, const void *arg)
{
	for (size_t i = 0; r && arg && i < HOST_FIELDS_MAX && r->fields[i].size; i++)
		put(line, " %s=0x%llx", r->fields[i].name,
		        (unsigned long long)load_le(
		                (const char *)arg + r->fields[i].offset, r->fields[i].size));
}

static void put_arguments(
        struct line *line, const struct host_request *r, unsigned long request, const void *arg)
{
	struct host_command command;

	if (_IOC_DIR(request) == _IOC_NONE) {
		if (r && r->number)
			put(line, " %s=0x%lx", r->number, (unsigned long)(uintptr_t)arg);
		return;
	}
	if (!host_command_find(request, arg, &command)) {
		put_fields(line, r, arg);
		return;
	}
	put(line, command.row ? " %s" : " command %s%u", command.row ? command.row->name : "", command.id);
	put_fields(line, command.row, command.data);
}

/* The firmware's answer, if the firmware was asked. */
static void put_answer(struct line *line, unsigned long request, const void *arg, int result)
{
	struct host_command command;

	if (result < 0 && host_command_find(request, arg, &command))
		put(line, " error=0x%x", command.error);
}

static void put_exit(struct line *line, const struct kvm_run *run)
{
	const char *name = host_exit_name(run->exit_reason);

	put(line, name ? " %s" : " exit %s%u", name ?: "", run->exit_reason);
	if (run->exit_reason == UAPI_EXIT_MEMORY_FAULT) {
		const struct uapi_memory_fault *fault = (const void *)&run->hw;

		put(line, " gpa=0x%llx size=0x%llx flags=0x%llx", (unsigned long long)fault->gpa,
		        (unsigned long long)fault->size, (unsigned long long)fault->flags);
	} else if (run->exit_reason == KVM_EXIT_IO)
		put(line, " %s port=0x%x size=%u count=%u",
		        run->io.direction == KVM_EXIT_IO_OUT ? "out" : "in", run->io.port, run->io.size,
		        run->io.count);
	else if (run->exit_reason == KVM_EXIT_MMIO)
		put(line, " %s gpa=0x%llx size=%u", run->mmio.is_write ? "write" : "read",
		        (unsigned long long)run->mmio.phys_addr, run->mmio.len);
	else if (run->exit_reason == KVM_EXIT_HYPERCALL)
		put(line, " nr=%llu gpa=0x%llx pages=0x%llx attributes=0x%llx",
		        (unsigned long long)run->hypercall.nr, (unsigned long long)run->hypercall.args[0],
		        (unsigned long long)run->hypercall.args[1],
		        (unsigned long long)run->hypercall.args[2]);
	else if (run->exit_reason == KVM_EXIT_SYSTEM_EVENT)
		put(line, " type=%u data=0x%llx", run->system_event.type,
		        (unsigned long long)(run->system_event.ndata ? run->system_event.data[0] : 0));
	else if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		put(line, " suberror=%u", run->internal.suberror);
}

/*
 * Makes a guest wait for a slow reader, so that the trace is complete. Only KVM_RUN waits, because a vCPU's
 * thread may block there, and the kick that ends KVM_RUN also ends this wait. The caller holds the trace's
 * lock.
 */
static void wait_for_reader(struct host_trace *t, const struct kvm_run *run)
{
	while (host_writer_is_behind(&t->writer)) {
		if (run && __atomic_load_n(&run->immediate_exit, __ATOMIC_ACQUIRE))
			return;
		pthread_mutex_unlock(&t->lock);
		host_writer_wait(&t->writer);
		pthread_mutex_lock(&t->lock);
	}
}

/* KVM_RUN blocks for as long as the guest runs, so the lock is not held around it. */
static int trace_run(struct host_trace *t, int fd, unsigned long request, void *arg)
{
	struct line line = {0};
	const struct kvm_run *run;
	int result = host_ioctl(t->host.inner, fd, request, arg), sys = errno;

	pthread_mutex_lock(&t->lock);
	run = role_of(t, fd)->run;
	put(&line, "ioctl %s KVM_RUN", role_name(t, fd));
	if (run && (result >= 0 || run->exit_reason == UAPI_EXIT_MEMORY_FAULT))
		put_exit(&line, run);
	finish(t, &line, result, sys, NULL);
	wait_for_reader(t, run);
	pthread_mutex_unlock(&t->lock);
	errno = sys;
	return result;
}

static int trace_ioctl(struct host *h, int fd, unsigned long request, void *arg)
{
	struct host_trace *t = trace_of(h);
	const struct host_request *r = host_request_find(request);
	struct line line = {0};
	int result, sys;

	if (request == KVM_RUN)
		return trace_run(t, fd, request, arg);
	pthread_mutex_lock(&t->lock);
	if (r)
		put(&line, "ioctl %s %s", role_name(t, fd), r->name);
	else
		put(&line, "ioctl %s 0x%lx", role_name(t, fd), request);
	put_arguments(&line, r, request, arg);
	result = host_ioctl(t->host.inner, fd, request, arg);
	sys = errno;
	put_answer(&line, request, arg, result);
	finish(t, &line, result, sys, name_result(t, fd, request, arg, result));
	pthread_mutex_unlock(&t->lock);
	errno = sys;
	return result;
}

static void *trace_mmap(struct host *h, void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	struct host_trace *t = trace_of(h);
	struct line line = {0};
	void *mapped;
	int sys;

	pthread_mutex_lock(&t->lock);
	mapped = host_mmap(t->host.inner, addr, length, prot, flags, fd, offset);
	sys = errno;
	put(&line, "mmap %s size=0x%zx offset=0x%llx", fd < 0 ? "anonymous" : role_name(t, fd), length,
	        (unsigned long long)offset);
	if (mapped != MAP_FAILED && strncmp(role_of(t, fd)->name, "vcpu", 4) == 0)
		role_of(t, fd)->run = mapped;
	finish(t, &line, mapped == MAP_FAILED ? -1 : 0, sys, NULL);
	pthread_mutex_unlock(&t->lock);
	errno = sys;
	return mapped;
}

static int trace_munmap(struct host *h, void *addr, size_t length)
{
	struct host_trace *t = trace_of(h);
	struct line line = {0};
	int result, sys;

	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < FDS_MAX; i++) {
		if (t->roles[i].run == addr)
			t->roles[i].run = NULL;
	}
	result = host_munmap(t->host.inner, addr, length);
	sys = errno;
	put(&line, "munmap size=0x%zx", length);
	finish(t, &line, result, sys, NULL);
	pthread_mutex_unlock(&t->lock);
	errno = sys;
	return result;
}

static int trace_fallocate(struct host *h, int fd, int mode, off_t offset, off_t length)
{
	struct host_trace *t = trace_of(h);
	struct line line = {0};
	int result, sys;

	pthread_mutex_lock(&t->lock);
	result = host_fallocate(t->host.inner, fd, mode, offset, length);
	sys = errno;
	put(&line, "fallocate %s mode=0x%x offset=0x%llx size=0x%llx", role_name(t, fd), (unsigned)mode,
	        (unsigned long long)offset, (unsigned long long)length);
	finish(t, &line, result, sys, NULL);
	pthread_mutex_unlock(&t->lock);
	errno = sys;
	return result;
}

static void trace_destroy(struct host *h)
{
	host_writer_finish(&trace_of(h)->writer);
	pthread_mutex_destroy(&trace_of(h)->lock);
	free(trace_of(h));
}

static const struct host_ops trace_ops = {
        .name = "trace",
        .open = trace_open,
        .close = trace_close,
        .ioctl = trace_ioctl,
        .mmap = trace_mmap,
        .munmap = trace_munmap,
        .fallocate = trace_fallocate,
        .destroy = trace_destroy,
};

void host_trace_note(struct host *trace, const char *line)
{
	host_writer_put(&trace_of(trace)->writer, line, strlen(line));
}

int host_trace_create(struct host *inner, int fd, struct host **ret_host, struct err *err)
{
	struct host_trace *t = calloc(1, sizeof(*t));

	if (!t)
		return err_sys(err, ERR_FAILED, ENOMEM, "trace");
	t->host.ops = &trace_ops;
	t->host.inner = inner;
	host_writer_init(&t->writer, fd);
	pthread_mutex_init(&t->lock, NULL);
	*ret_host = &t->host;
	return 0;
}

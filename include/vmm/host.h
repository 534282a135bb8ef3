/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host: the one door to the kernel. Every call to /dev/kvm, /dev/sev, a guest_memfd or guest memory goes
 * through a table of operations. Only `cli`, which makes the host, knows which one it is.
 *
 * Hosts stack: a trace or a fault injector is a host around another one. Any thread may call; errors are
 * -1 (or MAP_FAILED) with errno, as the system calls give them.
 */
#ifndef VMM_HOST_H
#define VMM_HOST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/types.h>

#include "vmm/base.h"

struct host;

struct host_ops {
	const char *name; /* "kvm", "sim" */
	int (*open)(struct host *h, const char *path, int flags);
	int (*close)(struct host *h, int fd);
	int (*ioctl)(struct host *h, int fd, unsigned long request, void *arg);
	void *(*mmap)(struct host *h, void *addr, size_t length, int prot, int flags, int fd, off_t offset);
	int (*munmap)(struct host *h, void *addr, size_t length);
	int (*fallocate)(struct host *h, int fd, int mode, off_t offset, off_t length);
	void (*destroy)(
	        struct host *h); /* frees what the implementation made, but not a wrapper's inner host */
};

/* Implementations embed this as their first member. */
struct host {
	const struct host_ops *ops;
	struct host *inner; /* the host inside a wrapper, borrowed; NULL if this is not a wrapper */
};

/* Returns the name of the innermost host. */
const char *host_name(const struct host *h);

int host_open(struct host *h, const char *path, int flags);
/* Closing -1 is allowed and does nothing, so cleanup code may close what was never opened. */
int host_close(struct host *h, int fd);
int host_ioctl(struct host *h, int fd, unsigned long request, void *arg);
/* For requests whose argument is a number and not a pointer (KVM_CREATE_VM, KVM_CHECK_EXTENSION, ...). */
int host_ioctl_number(struct host *h, int fd, unsigned long request, uint64_t number);
void *host_mmap(struct host *h, void *addr, size_t length, int prot, int flags, int fd, off_t offset);
/* Unmapping NULL is allowed and does nothing. */
int host_munmap(struct host *h, void *addr, size_t length);
int host_fallocate(struct host *h, int fd, int mode, off_t offset, off_t length);
void host_destroy(struct host *h); /* NULL is allowed */

/* ---- the real kernel ---- */

int host_kernel_create(struct host **ret_host, struct err *err) MUST_CHECK;

/* ---- the trace: one line a call ---- */

/*
 * Makes a host that writes a line for each call to fd (borrowed): the call, the descriptor by role (kvm, vm0,
 * vcpu0.1), the request by name, its arguments as numbers, the result or the name of the errno. Lines hold no
 * pointer, host address, time or thread id, so that diff can compare the traces of two runs. Lines of KVM_RUN
 * give the reason of the guest's exit. inner is borrowed and must outlive the trace.
 *
 * Unless it is a regular file, fd becomes non-blocking, so nobody else may share its open file description.
 * Only KVM_RUN, whose wait a kick ends, and host_destroy(), which writes the remaining lines, wait for a
 * reader. If the reader takes nothing for five seconds of such a wait, or falls megabytes behind, the rest of
 * the trace is lost, and the log says so.
 */
int host_trace_create(struct host *inner, int fd, struct host **ret_host, struct err *err) MUST_CHECK;
/*
 * Writes a line, which ends with a newline, in front of that of the call that is under way: inner calls this
 * in a call that came through trace, other than KVM_RUN, on its thread.
 */
void host_trace_note(struct host *trace, const char *line);

/* ---- names, for the trace, errors and tests ---- */

/*
 * Returns a name such as "KVM_CREATE_VM", or NULL if neither vmm nor its software platform knows the request.
 */
const char *host_ioctl_name(unsigned long request);
/* Returns a name such as "KVM_EXIT_IO", or NULL. */
const char *host_exit_name(uint32_t exit_reason);

#endif

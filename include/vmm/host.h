/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host: the one door to the kernel. Everything that reaches /dev/kvm, /dev/sev, a guest_memfd or guest memory
 * goes through a table of operations; nothing above `cli` knows which table it got.
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
	        struct host *h); /* frees what the implementation made; not what is inside a wrapper */
};

/* Implementations embed this as their first member. */
struct host {
	const struct host_ops *ops;
	struct host *inner; /* the host that a wrapper is around, borrowed; NULL for one that is none */
};

/* The name of the innermost host. */
const char *host_name(const struct host *h);

int host_open(struct host *h, const char *path, int flags);
/* Closing -1 is allowed and does nothing: enders take what was never opened. */
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
 * Writes a line per call to fd (borrowed): the call, the descriptor by role (kvm, vm0, vcpu0.1), the request
 * by name, its arguments as numbers, the result or errno name. No pointer, host address, time or thread id,
 * so that the traces of two runs can be compared with diff. KVM_RUN lines say what the guest exited for.
 * inner is borrowed and must outlive the trace.
 *
 * Unless it is a regular file, fd becomes non-blocking: its open file description must be the trace's alone.
 * No call waits for a reader but KVM_RUN, which a kick ends, and host_destroy(), which writes what is left. A
 * reader that takes nothing for five seconds while it is waited for, or that is megabytes behind, loses the
 * rest, and the log says so.
 */
int host_trace_create(struct host *inner, int fd, struct host **ret_host, struct err *err) MUST_CHECK;

/* ---- names, for the trace, errors and tests ---- */

/* "KVM_CREATE_VM" or NULL if the request is not one that vmm or its platform knows. */
const char *host_ioctl_name(unsigned long request);
/* "KVM_EXIT_IO" or NULL. */
const char *host_exit_name(uint32_t exit_reason);

#endif

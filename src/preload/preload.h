/* SPDX-License-Identifier: Apache-2.0 */
/*
 * preload: the library libvmm-platform.so, which `vmm platform` has the dynamic loader put before libc in
 * other people's programs. Its calls (calls.c) take the place of libc's. What concerns /dev/kvm, /dev/sev and
 * descriptors of the software platform goes there, all else to the kernel, as it came. Any thread of the
 * program may call anything; no call may change errno if it succeeds.
 */
#ifndef PRELOAD_PRELOAD_H
#define PRELOAD_PRELOAD_H

#include <linux/kvm.h>
#include <signal.h>
#include <sys/stat.h>

#include "vmm/base.h"
#include "vmm/facts.h"
#include "vmm/host.h"
#include "vmm/sim.h"
#include "vmm/uapi.h"

/* ---- start.c: the platform of this process ---- */

/* Returns the platform, which the first call makes. If it cannot be made, the process ends with the reason.
 */
struct host *preload_platform(void);
/*
 * The platform for a call with this argument: past the trace if that could not read the argument where it
 * lies, as the call itself fails then (EFAULT).
 */
struct host *preload_platform_for(unsigned long request, const void *arg);
/* Copies from the program's memory, which may be anywhere, or nowhere. Returns whether all was there. */
bool preload_copy(void *to, uintptr_t from, size_t size);
/* KVM_GET_SUPPORTED_CPUID, which no trace has, since the program has not asked. 0, or -1 with errno. */
int preload_ask_cpuid(struct kvm_cpuid2 *cpuid);
/* What sim_hardware_leaf() does. */
bool preload_hardware_leaf(uint32_t leaf, uint32_t ret_registers[static 4]);
/* What sim_guest_view() does. */
bool preload_view(unsigned n, struct sim_guest_view *ret_view);
/* What this host, which is the platform, can do for a confidential guest. */
void preload_facts(struct facts *ret_facts);
/* Are launches to be explained? */
bool preload_explains(void);
/* What host_trace_note() does, if there is a trace. */
void preload_trace(const char *line);
/* Prints a line to standard error, past stdio, which may be in any state. */
void preload_say(const char *fmt, ...) PRINTF(1, 2);
/* What sim_host_alias() does. */
void preload_alias(int from, int to);
/* The options; NULL: the library was loaded by something other than `vmm platform`, and does nothing. */
const struct sim_options *preload_options(void);
/*
 * Is this the process that made the platform? A child of vfork(2) shares its memory, and must not change what
 * it knows of descriptors.
 */
bool preload_is_owner(void);
/* What is to be done in a new child process, unless it was done already. */
void preload_in_child(void);

/*
 * Until preload_release() no handler of the program's runs on this thread, since it may call the platform, or
 * jump out of it: every call to the platform is made so. Handlers of faults run.
 */
struct preload_held {
	bool outermost; /* the others belong to a call in a handler of a fault */
	sigset_t before;
};
struct preload_held *preload_hold(struct preload_held *ret_held);
void preload_release(struct preload_held **held);
/* HOLD holds the signals until the block ends in which it stands, behind the declarations. */
#define HOLD \
	struct preload_held held_signals; \
	__attribute__((cleanup(preload_release))) struct preload_held *holds_signals = \
	        preload_hold(&held_signals)

/* ---- descriptors.c: which descriptors are the platform's ---- */

/* The platform has descriptors below this number alone. */
#define PRELOAD_NUMBERS 4096

enum preload_kind {
	PRELOAD_NOT_OURS,
	PRELOAD_KVM,      /* /dev/kvm */
	PRELOAD_SEV,      /* /dev/sev */
	PRELOAD_OBJECT,   /* a VM, a vCPU */
	PRELOAD_GMEM,     /* a guest_memfd */
	PRELOAD_LEFT_KVM, /* in a child process, what the parent had: /dev/kvm, */
	PRELOAD_LEFT_SEV, /* /dev/sev, */
	PRELOAD_LEFT,     /* or anything else */
	PRELOAD_PRIVATE   /* of the library itself: the program cannot reach it */
};

enum preload_kind preload_kind_of(int fd);
/* Notes that fd is the platform's. Returns fd; a negative one is returned as it is. */
int preload_note(int fd, enum preload_kind kind);
void preload_forget(int fd);
/* The type that KVM_CREATE_VM was given for this VM (enum uapi_vm_type). */
unsigned preload_vm_type(int vm);
void preload_note_vm_type(int vm, unsigned long type);
/* In a child process: what was noted is left over from the parent. */
void preload_leave_all(void);
/* Calls each() for every descriptor from first to last that is noted. */
void preload_each(unsigned first, unsigned last, void (*each)(int fd));

/* ---- files.c: files of the system that describe KVM and the processor ---- */

/* Which of them a path names; -1: none. */
int preload_file(const char *path);
/*
 * Which of them a path names that is relative to a folder, or not the shortest one; and which was opened as
 * fd, or not: fd -1 with errno. Both keep errno.
 */
int preload_file_at(int folder, const char *path);
int preload_file_behind(int folder, const char *path, int fd);
/* The file that a descriptor of this kind is; -1: none. */
int preload_file_of(enum preload_kind kind);
/* These return as open(2), access(2) and stat(2) do. */
int preload_file_open(int file, int flags);
int preload_file_access(int file, int mode);
int preload_file_stat(int file, struct stat *ret_stat);
/* Gives the facts of a descriptor the size that sysfs tells, if it is that of such a file. */
void preload_file_size(int fd, struct stat *stat);
/* The platform's cgroup has the files of the misc controller; returns path, or where the file is. */
const char *preload_path(const char *path, char *buffer, size_t size);

/* ---- cpuid.c: the program's own CPUID instructions ---- */

/* Makes those of the program answer as the platform's KVM_GET_SUPPORTED_CPUID. */
void preload_cpuid_start(void);
/* sigaction(2) for SIGILL, which is the library's if the program has such an instruction. */
int preload_cpuid_sigaction(const struct sigaction *action, struct sigaction *ret_old);
/* Is SIGILL the library's? The program must not block it then. */
bool preload_cpuid_taken(void);

/* ---- measured.c: what launches measure, for vmm measure --compare ---- */

/* A line of the trace for each page, and one for the end; see struct sim_options. */
void preload_measured(const struct sim_measured *measured);

/* ---- explain.c: what --explain tells ---- */

/* A command of a VM's, as the program gave it: the call changes it. */
struct preload_command {
	struct kvm_sev_cmd cmd;
	struct uapi_sev_snp_launch_update update; /* of KVM_SEV_SNP_LAUNCH_UPDATE */
};
/* Before and after a call on fd. Returns whether there may be something to say, and end() is to be called. */
bool preload_explain_begin(unsigned long request, const void *arg, struct preload_command *ret_command);
/* A VM was closed; in a child process all were. */
void preload_explain_forget(int vm);
void preload_explain_forget_all(void);
void preload_explain_end(
        int fd, unsigned long request, const void *arg, struct preload_command *command, int result, int sys);

#endif

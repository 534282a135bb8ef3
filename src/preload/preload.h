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
/* KVM_GET_SUPPORTED_CPUID, which no trace has, since the program has not asked. 0, or -1 with errno. */
int preload_ask_cpuid(struct kvm_cpuid2 *cpuid);
/* What sim_guest_view() does. */
bool preload_view(unsigned n, struct sim_guest_view *ret_view);
/* What this host, which is the platform, can do for a confidential guest. */
void preload_facts(struct facts *ret_facts);
/* Are launches to be explained? */
bool preload_explains(void);
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
	PRELOAD_LEFT      /* or anything else */
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
/* These return as open(2), access(2) and stat(2) do. */
int preload_file_open(int file, int flags);
int preload_file_access(int file, int mode);
int preload_file_stat(int file, struct stat *ret_stat);
/* The platform's cgroup has the files of the misc controller; returns path, or where the file is. */
const char *preload_path(const char *path, char *buffer, size_t size);

/* ---- cpuid.c: the program's own CPUID instructions ---- */

/* Makes those of the program answer as the platform's KVM_GET_SUPPORTED_CPUID. */
void preload_cpuid_start(void);
/* sigaction(2) for SIGILL, which is the library's if the program has such an instruction. */
int preload_cpuid_sigaction(const struct sigaction *action, struct sigaction *ret_old);
/* Is SIGILL the library's? The program must not block it then. */
bool preload_cpuid_taken(void);

/* ---- explain.c: what --explain tells ---- */

/* A command of a VM's, as the program gave it: the call changes it. */
struct preload_command {
	struct kvm_sev_cmd cmd;
	struct uapi_sev_snp_launch_update update; /* of KVM_SEV_SNP_LAUNCH_UPDATE */
};
/* Before and after a call on fd. Returns whether there may be something to say, and end() is to be called. */
bool preload_explain_begin(unsigned long request, const void *arg, struct preload_command *ret_command);
void preload_explain_end(
        int fd, unsigned long request, const void *arg, struct preload_command *command, int result, int sys);

#endif

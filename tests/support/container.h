/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container: a seccomp filter that refuses the calls that a container's runtime refuses, so that tests can
 * see this on any machine. Facts: the default profile of Docker (moby/profiles, seccomp/default.json), which
 * containerd's follows. Calls that it does not list, such as io_uring's, are refused with EPERM; clone3 is
 * refused with ENOSYS.
 */
#ifndef VMM_TEST_CONTAINER_H
#define VMM_TEST_CONTAINER_H

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "vmm/base.h"

/* The calls of x86-64 that need a capability which containers lack, or that no container may make. */
static const int container_refused[] = {
        SYS_syslog,
        SYS_uselib,
        SYS_ustat,
        SYS_sysfs,
        SYS_vhangup,
        SYS_pivot_root,
        SYS_chroot,
        SYS_acct,
        SYS_settimeofday,
        SYS_mount,
        SYS_umount2,
        SYS_swapon,
        SYS_swapoff,
        SYS_reboot,
        SYS_sethostname,
        SYS_setdomainname,
        SYS_iopl,
        SYS_ioperm,
        SYS_init_module,
        SYS_delete_module,
        SYS_finit_module,
        SYS_quotactl,
        SYS_lookup_dcookie,
        SYS_clock_settime,
        SYS_mbind,
        SYS_set_mempolicy,
        SYS_get_mempolicy,
        SYS_migrate_pages,
        SYS_move_pages,
        SYS_kexec_load,
        SYS_kexec_file_load,
        SYS_add_key,
        SYS_request_key,
        SYS_keyctl,
        SYS_unshare,
        SYS_setns,
        SYS_perf_event_open,
        SYS_fanotify_init,
        SYS_open_by_handle_at,
        SYS_kcmp,
        SYS_bpf,
        SYS_userfaultfd,
        SYS_open_tree,
        SYS_move_mount,
        SYS_fsopen,
        SYS_fsconfig,
        SYS_fsmount,
        SYS_fspick,
        SYS_mount_setattr,
        SYS_pidfd_getfd,
        SYS_process_madvise,
};
static const int container_uring[] = {SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register};

struct container_filter {
	struct sock_filter code[2 * (ARRAY_LEN(container_refused) + ARRAY_LEN(container_uring) + 1) + 8];
	unsigned short length;
};

static inline void container_add(struct container_filter *filter, int call, int sys)
{
	filter->code[filter->length++] =
	        (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1);
	filter->code[filter->length++] =
	        (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)sys);
}

/*
 * Installs the filter for this process and its children; io_uring's calls fail with the errno sys. Returns 0
 * or -1.
 */
static inline int container_enter(int sys)
{
	static const struct sock_filter start[] = {
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	struct container_filter filter = {.length = ARRAY_LEN(start)};
	struct sock_fprog program = {.filter = filter.code};

	for (size_t i = 0; i < ARRAY_LEN(start); i++)
		filter.code[i] = start[i];
	for (size_t i = 0; i < ARRAY_LEN(container_uring); i++)
		container_add(&filter, container_uring[i], sys);
	for (size_t i = 0; i < ARRAY_LEN(container_refused); i++)
		container_add(&filter, container_refused[i], EPERM);
	container_add(&filter, SYS_clone3, ENOSYS);
	filter.code[filter.length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = filter.length;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

#endif

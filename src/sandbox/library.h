/* SPDX-License-Identifier: Apache-2.0 */
/*
 * library: libseccomp, which is loaded when a guest is run in the sandbox.
 */
#ifndef VMM_SANDBOX_LIBRARY_H
#define VMM_SANDBOX_LIBRARY_H

#include <seccomp.h>

#include "vmm/base.h"

/* The functions that vmm uses, without their prefix seccomp_. */
#define SANDBOX_FUNCTIONS(row) \
	row(init) row(release) row(attr_set) row(rule_add_exact_array) row(export_bpf) row(syscall_priority) \
	        row(syscall_resolve_name) row(syscall_resolve_num_arch)

#define SANDBOX_MEMBER(name) __typeof__(seccomp_##name) *name;
struct sandbox_library {
	SANDBOX_FUNCTIONS(SANDBOX_MEMBER)
};
#undef SANDBOX_MEMBER

extern struct sandbox_library sandbox_library;

/* Main thread. Later calls cost nothing. ERR_HOST: it is not installed. */
int sandbox_library_load(struct err *err) MUST_CHECK;

#endif

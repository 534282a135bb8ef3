/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats: counters of what VMs and vCPUs did, which programs read from a descriptor (KVM_GET_STATS_FD).
 */
#ifndef KVM_STATS_H
#define KVM_STATS_H

#include <stdatomic.h>
#include <stdint.h>

/* kvm_vm.lock is held to count. */
enum kvm_vm_stat { KVM_STAT_FLUSHES, KVM_STAT_FLUSH_REQUESTS, KVM_VM_STATS };

/* The vCPU's thread counts. */
enum kvm_vcpu_stat {
	KVM_STAT_EXITS,
	KVM_STAT_IO_EXITS,
	KVM_STAT_MMIO_EXITS,
	KVM_STAT_SIGNAL_EXITS,
	KVM_STAT_WINDOW_EXITS,
	KVM_STAT_HALT_EXITS,
	KVM_STAT_HALT_WAKEUP,
	KVM_STAT_HALT_WAIT_NS,
	KVM_STAT_BLOCKING,
	KVM_STAT_HYPERCALLS,
	KVM_STAT_INJECTIONS,
	KVM_STAT_EMULATION_FAILURES,
	KVM_VCPU_STATS,
};

#define KVM_STATS_MAX KVM_VCPU_STATS

/* The counters of one VM or vCPU; all zeros and fd -1 at first. kvm_stats_finish() ends them. */
struct kvm_stats {
	_Atomic uint64_t own[KVM_STATS_MAX];
	_Atomic uint64_t
	        *file; /* the counters in the file that programs read; NULL: own, no file was made yet */
	void *page;
	int fd;
};

static inline void kvm_stats_add(struct kvm_stats *stats, unsigned which, uint64_t count)
{
	atomic_fetch_add_explicit(&(stats->file ?: stats->own)[which], count, memory_order_relaxed);
}

static inline void kvm_stats_set(struct kvm_stats *stats, unsigned which, uint64_t value)
{
	atomic_store_explicit(&(stats->file ?: stats->own)[which], value, memory_order_relaxed);
}

void kvm_stats_finish(struct kvm_stats *stats);

/* ---- calls (struct kvm_call) ---- */

int kvm_vm_get_stats(void *object, void *arg, uintptr_t user);   /* KVM_GET_STATS_FD */
int kvm_vcpu_get_stats(void *object, void *arg, uintptr_t user); /* KVM_GET_STATS_FD */

#endif

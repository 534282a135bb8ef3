/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus: guest memory, and the functions that the platform supplies to the processor.
 */
#ifndef CPU_BUS_H
#define CPU_BUS_H

#include <linux/kvm.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct kvm_gmem;

/* ---- guest memory ---- */

#define CPU_SLOT_READONLY 1u /* writes become MMIO exits, as with KVM_MEM_READONLY */

struct cpu_slot {
	uint64_t gpa; /* gpa and size: in bytes, multiples of 4,096; slots do not overlap */
	uint64_t size;
	uint32_t id;           /* the slot's number, for cpu_bus.dirtied */
	uint8_t *host;         /* size bytes; an access that fails there leaves with CPU_EXIT_MISSING */
	struct kvm_gmem *gmem; /* the guest_memfd behind it, for cpu_bus.view; NULL: none */
	uint64_t gmem_offset;
	uint32_t flags;
	/* One bit for each page, or NULL. A page's bit is set before the first write that follows a flush. */
	_Atomic uint64_t *dirty;
};

/*
 * All of guest memory, sorted by gpa. A map is immutable once it is published. To change the map, give the
 * new one a generation that no map of this VM had before, store it into cpu_bus.map, set CPU_PENDING_FLUSH
 * on every vCPU, and wait until cpu_uses_other_map() is false for each of them. Then the old map can be
 * freed. Maps are told apart by their generations and never by their addresses, because the allocator may
 * give a freed map's address to the next one.
 */
struct cpu_map {
	uint64_t generation; /* at least CPU_MAP_FIRST */
	uint32_t count;
	struct cpu_slot slots[];
};

/* The values of cpu.map_used that are not generations of maps. */
#define CPU_MAP_NONE  0 /* the vCPU uses no map */
#define CPU_MAP_ANY   1 /* the vCPU is about to take the bus's map, whichever that is */
#define CPU_MAP_FIRST 2

/* ---- what the platform supplies ---- */

/* The answer of cpu_bus.view about a page. */
enum cpu_view {
	CPU_VIEW_GOOD,
	CPU_VIEW_WRONG_KIND, /* an access of this kind, private or shared, is not allowed (CPU_EXIT_FAULT) */
	CPU_VIEW_MISSING,    /* the VMM's memory cannot be accessed (CPU_EXIT_MISSING) */
	CPU_VIEW_NOT_VALIDATED, /* the guest has not accepted the page: #VC */
	CPU_VIEW_REFUSED, /* the guest tries again, for ever if it is a fault that KVM does not resolve */
};

enum cpu_rmp_op { CPU_RMP_PVALIDATE, CPU_RMP_ADJUST, CPU_RMP_QUERY };

/* PVALIDATE, RMPADJUST or RMPQUERY, for cpu_bus.rmp: the page that it is about, and its operands. */
struct cpu_rmp_call {
	enum cpu_rmp_op op;
	bool private; /* the C-bit is set */
	uint64_t gpa;
	uint64_t rcx, rdx;   /* RMPQUERY changes them */
	uint32_t ret_result; /* for EAX */
	bool ret_unchanged;  /* of PVALIDATE, for CF */
};

/*
 * There is one bus for each VM; ctx is for each vCPU. The callbacks run on the vCPU's thread, inside
 * cpu_run(). They may call cpu_set_deadline(), cpu_icount() and cpu_post(), and no other function of cpu.h.
 * An access that repeats after an exit is not reported twice.
 */
struct cpu_bus {
	_Atomic(const struct cpu_map *) map;
	/*
	 * The valid bits of a physical address, e.g. (1 << 40) - 1. Higher bits are reserved in page tables.
	 */
	uint64_t phys_mask;

	/*
	 * Returns true if a device inside the platform answers; else the access is an exit. NULL: none
	 * answers.
	 */
	bool (*io)(void *ctx, bool write, uint16_t port, uint32_t size, void *data);
	bool (*mmio)(void *ctx, bool write, uint64_t gpa, uint32_t size, void *data);
	/*
	 * Accesses an MSR that is not the processor's own (TSC, APIC, KVM's). False: the guest gets #GP(0).
	 */
	bool (*msr)(void *ctx, bool write, uint32_t index, uint64_t *value);
	/* Returns whether the guest may access this MSR. NULL: it may access any. */
	bool (*msr_allowed)(void *ctx, bool write, uint32_t index);
	/* Returns whether this is one of the MSRs that msr() answers, and can be read, or written. */
	bool (*msr_known)(void *ctx, bool write, uint32_t index);
	/*
	 * Returns whether the hypervisor of a SEV-ES guest intercepts this MSR, so that it raises #VC. NULL:
	 * it intercepts all but the processor's own. The MSR of the GHCB and SEV_STATUS never raise #VC.
	 */
	bool (*msr_intercepted)(void *ctx, bool write, uint32_t index);
	/* Returns whether a refused access (KVM_MSR_EXIT_REASON_*) becomes an exit. False or NULL: #GP(0). */
	bool (*msr_exits)(void *ctx, uint32_t reason);
	/*
	 * Reports a coming write to a page whose bit in slot->dirty is not set. NULL: it is enough to set
	 * the bit. False: the write cannot happen now, and the instruction is given up with
	 * CPU_EXIT_STOPPED.
	 */
	bool (*dirtied)(void *ctx, const struct cpu_slot *slot, uint64_t page);
	uint64_t (*tsc)(void *ctx);
	/*
	 * Returns whether KVM writes VMMCALL over VMCALL. If not, and with NULL, VMCALL raises #UD, as on
	 * AMD's processors.
	 */
	bool (*fixes_vmcall)(void *ctx);
	uint8_t (*cr8_read)(void *ctx); /* NULL: a read returns the value written last */
	void (*cr8_write)(void *ctx, uint8_t tpr);
	/* Takes the vector of the interrupt that CPU_PENDING_INTR announced; -1: the interrupt went away. */
	int (*interrupt_ack)(void *ctx);

	/* Each instruction that KVM cannot emulate is an exit (KVM_CAP_EXIT_ON_EMULATION_FAILURE). */
	_Atomic bool fails_to_vmm;

	/* KVM_X86_QUIRK_* bits: the oddities of KVM that the VMM switched off (KVM_CAP_DISABLE_QUIRKS2). */
	_Atomic uint32_t quirks_off;

	/*
	 * Memory encryption (APM 2, 15.34.5). c_bit is the C-bit of page tables; 0: there is no encryption.
	 * If viewed is set, view() gives the page at gpa as the guest sees it with the C-bit set (private) or
	 * clear. It gives NULL where there is no memory; slot is NULL then, too. The processor uses the page
	 * until it takes CPU_PENDING_FLUSH or another map: it has forgotten all pages when it calls
	 * view_end().
	 */
	uint64_t c_bit;
	bool viewed; /* the guest has memory encryption, or pages that KVM alone calls private */
	enum cpu_view (*view)(void *ctx, const struct cpu_slot *slot, uint64_t gpa, bool private, bool write,
	        uint8_t **ret_host);
	void (*view_end)(void *ctx);
	/* Executes the instruction, if the answer is CPU_VIEW_GOOD. NULL: the guest is no SEV-SNP guest. */
	enum cpu_view (*rmp)(void *ctx, const struct cpu_slot *slot, struct cpu_rmp_call *call);
	bool has_rmpquery; /* the processor has RMPQUERY */
};

static inline bool cpu_bus_has_quirk(const struct cpu_bus *bus, uint32_t quirk)
{
	return !(atomic_load_explicit(&bus->quirks_off, memory_order_relaxed) & quirk);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus: guest memory, and what the platform supplies to the processor.
 */
#ifndef CPU_BUS_H
#define CPU_BUS_H

#include <linux/kvm.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct kvm_gmem;

/* ---- guest memory ---- */

#define CPU_SLOT_READONLY 1u /* writes become MMIO exits, as KVM_MEM_READONLY */

struct cpu_slot {
	uint64_t gpa; /* both in bytes, multiples of 4,096; slots do not overlap */
	uint64_t size;
	uint32_t id;           /* of the slot, for bus.dirtied */
	uint8_t *host;         /* size bytes; an access that the VMM's mapping refuses is CPU_EXIT_MISSING */
	struct kvm_gmem *gmem; /* the guest_memfd behind it, for cpu_bus.view; NULL: none */
	uint64_t gmem_offset;
	uint32_t flags;
	/* NULL, or one bit a page: set before the first write that follows a flush. */
	_Atomic uint64_t *dirty;
};

/*
 * All of guest memory, sorted by gpa; immutable once published. To change it: give the new map a generation
 * that no map of this VM had before, store it into cpu_bus.map, set CPU_PENDING_FLUSH on every vCPU, and wait
 * until cpu_uses_other_map() is false for each of them. Then the old map can be freed. Maps are told
 * apart by their generations and never by their addresses, because the allocator may give a freed map's
 * address to the next one.
 */
struct cpu_map {
	uint64_t generation; /* at least CPU_MAP_FIRST */
	uint32_t count;
	struct cpu_slot slots[];
};

/* In cpu.map_used, beside the generations of maps. */
#define CPU_MAP_NONE  0 /* the vCPU uses no map */
#define CPU_MAP_ANY   1 /* it is about to take the bus's map, whichever that is */
#define CPU_MAP_FIRST 2

/* ---- what the platform supplies ---- */

/* What cpu_bus.view says of a page. */
enum cpu_view {
	CPU_VIEW_GOOD,
	CPU_VIEW_WRONG_KIND, /* the access is not allowed to be of that kind (CPU_EXIT_FAULT) */
	CPU_VIEW_MISSING,    /* the VMM's memory cannot be accessed (CPU_EXIT_MISSING) */
};

/*
 * One bus per VM, ctx is per vCPU. The callbacks run on the vCPU's thread, inside cpu_run(); they may
 * call cpu_set_deadline(), cpu_icount() and cpu_post() and nothing else of this file. An access
 * that repeats after an exit is not reported twice.
 */
struct cpu_bus {
	_Atomic(const struct cpu_map *) map;
	/* Valid physical address bits, e.g. (1 << 40) - 1; those above are reserved in page tables. */
	uint64_t phys_mask;

	/* A device inside the platform answers (true), or the access becomes an exit (false). NULL: none
	 * answers. */
	bool (*io)(void *ctx, bool write, uint16_t port, uint32_t size, void *data);
	bool (*mmio)(void *ctx, bool write, uint64_t gpa, uint32_t size, void *data);
	/* MSRs that are not the processor's own (TSC, APIC, KVM's). false: the guest gets #GP(0). */
	bool (*msr)(void *ctx, bool write, uint32_t index, uint64_t *value);
	/* May the guest access this MSR? NULL: any. */
	bool (*msr_allowed)(void *ctx, bool write, uint32_t index);
	/* Is there an MSR among those that msr() answers that can be read, or written? */
	bool (*msr_known)(void *ctx, bool write, uint32_t index);
	/* A refused access, KVM_MSR_EXIT_REASON_*: true: an exit; false: #GP(0). NULL: #GP(0). */
	bool (*msr_exits)(void *ctx, uint32_t reason);
	/* A page whose bit is not set in slot->dirty is about to be written. NULL: the bit is enough. False:
	 * not now; the instruction is given up with CPU_EXIT_STOPPED. */
	bool (*dirtied)(void *ctx, const struct cpu_slot *slot, uint64_t page);
	uint64_t (*tsc)(void *ctx);
	/* Does KVM write VMMCALL over VMCALL? Else, and with NULL, it is #UD, as on AMD's processors. */
	bool (*fixes_vmcall)(void *ctx);
	uint8_t (*cr8_read)(void *ctx); /* NULL: reads what was written */
	void (*cr8_write)(void *ctx, uint8_t tpr);
	/* Takes the vector of the interrupt that CPU_PENDING_INTR announced; -1 if it went away. */
	int (*interrupt_ack)(void *ctx);

	/* KVM_X86_QUIRK_*: the oddities of KVM that the VMM switched off (KVM_CAP_DISABLE_QUIRKS2). */
	_Atomic uint32_t quirks_off;

	/*
	 * Memory encryption (APM 2, 15.34.5): the C-bit of page tables; 0: none. Then view() gives the page
	 * at gpa as the guest sees it with or without its C-bit (NULL for no memory; slot is NULL then). What
	 * it gave is not used any more after view_end().
	 */
	uint64_t c_bit;
	enum cpu_view (*view)(void *ctx, const struct cpu_slot *slot, uint64_t gpa, bool private, bool write,
	        uint8_t **ret_host);
	void (*view_end)(void *ctx);
};

static inline bool cpu_bus_has_quirk(const struct cpu_bus *bus, uint32_t quirk)
{
	return !(atomic_load_explicit(&bus->quirks_off, memory_order_relaxed) & quirk);
}

#endif

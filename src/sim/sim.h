/*
 * sim: what the files of the software platform share: its objects, their locks and who may call what.
 * Order of locks: sev_guest.lock, kvm_vcpu.lock, kvm_vm.lock, kvm_vm.irqfd_lock, kvm_vm.irq_lock,
 * sim_platform.lock.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "cpu/cpu.h"
#include "irq/irq.h"
#include "vmm/sim.h"
#include "vmm/uapi.h"

#define SIM_FDS_MAX      4096
#define KVM_VCPUS_MAX    IRQ_LAPICS_MAX
#define KVM_VCPU_IDS_MAX 256
#define KVM_SLOTS_MAX    512
#define KVM_PHYS_BITS    40
#define KVM_TSC_KHZ      1000000u /* a tick is a nanosecond */
#define KVM_CPUID_MAX    256
#define KVM_RING_OFFSET  (KVM_DIRTY_LOG_PAGE_OFFSET * PAGE_SIZE_BYTES) /* in a vCPU's descriptor */
#define KVM_MCE_BANKS    32
#define KVM_GUESTDBG_KNOWN \
	(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP | KVM_GUESTDBG_USE_HW_BP | \
	        KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP | KVM_GUESTDBG_BLOCKIRQ)
/* struct kvm_run, port data, coalesced MMIO (not used) */
#define KVM_RUN_BYTES ((size_t)3 * PAGE_SIZE_BYTES)

/* ---- objects behind descriptors (sim.c) ---- */

enum sim_kind { SIM_SYSTEM, SIM_VM, SIM_VCPU, SIM_GMEM, SIM_SEV_DEVICE };

struct sim_object {
	enum sim_kind kind;
	int fd;
	unsigned refs; /* its descriptor, and calls under way; sim_platform.lock */
};

/* The guest's time. Its reader on a vCPU's thread is kvm_vcpu_now(). */
struct kvm_clock {
	bool host;
	uint64_t host_base_ns;
	_Atomic uint64_t now_ns; /* of the virtual clock: the latest that any vCPU has seen */
};

struct sim_fault_row {
	struct sim_fault ask;
	char call[48];
	uint64_t left; /* until it happens; 0: the row is free */
};

struct sim_platform {
	struct host host;
	struct kvm_clock clock;
	pthread_mutex_t lock; /* objects, the lists of VMs and irqfds, faults */
	struct sim_fault_row faults[SIM_FAULTS_MAX];
	_Atomic unsigned fault_count;
	struct sim_object *objects[SIM_FDS_MAX];
	struct kvm_vm *vms;
	struct kvm_eventfd *irqfds;  /* of all VMs */
	struct sim_figures ended;    /* of VMs that are gone */
	struct sev_platform *secure; /* the secure processor and its ASIDs (sev/sev.h); NULL: none */
};

/*
 * A guest_memfd: its pages lie here, beyond the VMM's reach. With GUEST_MEMFD_FLAG_INIT_SHARED the VMM may
 * map them, too.
 */
struct kvm_gmem {
	struct sim_object object;
	struct kvm_vm *vm;
	uint64_t size, flags;
	int map_fd; /* what the VMM maps: GMEM_MAP_OFFSET and the pages if they are shared, else an empty file
	             */
	uint8_t *pages;
	_Atomic uint64_t *owned; /* one bit a page: the guest's, as the RMP has it */
};

struct kvm_slot {
	struct uapi_userspace_memory_region2 region; /* size 0: not used */
	_Atomic uint64_t *dirty;
	struct kvm_gmem *gmem; /* NULL: none, or closed */
};

struct kvm_eventfd;
struct kvm_filter;

struct kvm_vm {
	struct sim_object object;
	struct sim_platform *sim;
	struct kvm_vm *next;
	unsigned refs; /* objects (its own, vCPUs, guest_memfds), mirrors, kvm_vm_hold(); sim->lock */
	unsigned type; /* enum uapi_vm_type */
	struct sev_guest *sev;
	_Atomic bool dead; /* its encryption context was moved away: every call gives EIO */

	pthread_mutex_t lock; /* slots, attributes, vCPUs */
	_Atomic uint64_t
	        *private; /* one bit a page of all of its addresses; NULL: it knows no private pages */
	struct kvm_slot *slots;
	struct sim_map *map;
	struct sim_bus bus;
	struct kvm_vcpu *vcpus[KVM_VCPUS_MAX]; /* by index; they live as long as the VM */
	_Atomic unsigned vcpu_count;
	pthread_mutex_t irqfd_lock; /* the next five; of irqfds also irq_lock, to change them */
	struct kvm_eventfd *irqfds;
	int epoll_fd, stop_fd; /* of the thread, once it was started */
	pthread_t irqfd_thread;
	bool irqfd_thread_runs;
	uint32_t x2apic_api;        /* KVM_CAP_X2APIC_API */
	unsigned vcpu_ids;          /* KVM_CAP_MAX_VCPU_ID; 0: not chosen yet */
	uint64_t hypercall_exits;   /* KVM_CAP_EXIT_HYPERCALL */
	_Atomic bool has_payload;   /* KVM_CAP_EXCEPTION_PAYLOAD */
	uint32_t dirty_manual;      /* KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 */
	uint32_t ring_bytes;        /* KVM_CAP_DIRTY_LOG_RING; 0: bitmaps */
	_Atomic uint32_t msr_exits; /* KVM_CAP_X86_USER_SPACE_MSR */
	_Atomic int64_t clock_offset;

	pthread_mutex_t irq_lock;  /* everything below, and mp_state and sleep of every vCPU */
	struct kvm_filter *filter; /* if has_filter */
	_Atomic bool has_filter;
	struct irq_chip *chip; /* set once, before the first vCPU; NULL: none in the platform */
	struct kvm_eventfd *ioeventfds;
	_Atomic unsigned ioeventfd_count;
	_Atomic uint64_t next_timer_ns;
	_Atomic uint64_t idle_ns; /* skipped since the guest last did or was told anything */
};

enum kvm_request { KVM_REQUEST_INIT = 1, KVM_REQUEST_SIPI = 2 };

struct kvm_vcpu {
	struct sim_object object;
	struct kvm_vm *vm;
	unsigned index, id;
	pthread_mutex_t lock; /* held by every ioctl on the vCPU, so also while it runs */
	struct kvm_run *run;
	struct sim_cpu *cpu;
	struct irq_lapic lapic; /* if vm->chip */

	/* vm->irq_lock */
	uint32_t mp_state;
	uint32_t requests;
	uint8_t sipi_vector;
	bool sleeping;
	int eoi_vector; /* an end of interrupt that the VMM is to hear of; -1: none */
	bool wakeable;  /* while halted: a maskable interrupt would be taken */
	bool kicked;    /* KVM_HC_KICK_CPU: the next HLT is over at once */
	int wake_fd;

	/* the vCPU's thread */
	uint64_t base_ns, base_icount; /* this vCPU's time was base_ns at base_icount */
	uint64_t slice_end;
	int64_t tsc_offset;
	uint64_t tsc_adjust;
	uint64_t msrs[8]; /* see kvm/msr.c */
	uint64_t vapic;   /* guest-physical, of the four bytes in kvm/vapic.c; 0: none */
	struct {
		uint64_t cap, status, ctl, bank[KVM_MCE_BANKS][4];
	} mce;
	bool triple_fault; /* the next KVM_RUN ends with it */
	struct {           /* of the exception in cpu->event that KVM_SET_VCPU_EVENTS said is pending */
		bool pending, has;
		uint64_t value;
	} payload;
	struct kvm_dirty_gfn *ring; /* NULL: none; ring_count entries, a power of two */
	uint32_t ring_count, ring_at;
	_Atomic uint32_t ring_reset; /* up to here entries were given back; kvm_vm.lock */
	struct {
		uint64_t key, icount, waited_ns;
	} poll;
	uint32_t waits;  /* exit reason whose data the next KVM_RUN brings; 0: none */
	int user_vector; /* KVM_INTERRUPT; -1: none */
	bool has_run;
	uint32_t guest_debug; /* KVM_SET_GUEST_DEBUG; 0: no debugger */
	bool has_sigmask;
	uint64_t sigmask, sigmask_user;
	struct kvm_cpuid_entry2 *cpuid;
	uint32_t cpuid_count;
	struct sev_vcpu *sev; /* sev/sev.h; NULL: not a guest's with memory encryption */
	uint64_t exits;
};

/* ---- calls as tables (sim.c) ---- */

#define KVM_ARG_BYTES 4096

/*
 * arg: the struct, copied in and out by the direction and size in the request's number, or NULL for requests
 * whose argument is a number; user: the argument as given. Returns 0 or more, or a negated errno; then
 * nothing is copied out.
 */
typedef int kvm_call_fn(void *object, void *arg, uintptr_t user);

struct kvm_call {
	unsigned long request;
	kvm_call_fn *fn;
	bool raw; /* arg is NULL, nothing is copied: user may be NULL, or the number lies about the size */
};

extern const struct kvm_call kvm_system_calls[], kvm_vm_calls[], kvm_vcpu_calls[]; /* end with request 0 */

/* A call is about to be made (fault.c): 0, or the negated errno that it is to fail with. */
int sim_fault_meet(struct sim_platform *sim, const char *call);
/* 0 or -EFAULT, as the kernel's. */
int sim_copy_in(void *to, uintptr_t user, size_t size);
int sim_copy_out(uintptr_t user, const void *from, size_t size);
/* The VM behind a descriptor, held for the caller (kvm_vm_unref()); NULL: it is none. */
struct kvm_vm *kvm_vm_hold(struct sim_platform *sim, int fd);
/* A descriptor for an object, a file of size bytes. A negated errno: there is none. */
int sim_object_fd(const char *name, size_t size);
/*
 * From now on calls reach the object by that descriptor, which is returned. A negative one does nothing. No
 * lock is held: an object that had the number before, and was not closed through the platform, ends.
 */
int sim_object_open(struct sim_platform *sim, struct sim_object *object, int fd);

/* ---- VMs (kvm/) ---- */

int kvm_vm_create(struct sim_platform *sim, unsigned long type);
/* What the VM's type says of it, whether it has a context or not: the kernel's has_private_mem (SEV-SNP) and
 * has_protected_state (SEV-ES, SEV-SNP). */
bool kvm_vm_has_private_memory(const struct kvm_vm *vm);
bool kvm_vm_has_protected_state(const struct kvm_vm *vm);
/* Gives back one hold; the last ends the VM. NULL is allowed. */
void kvm_vm_unref(struct kvm_vm *vm);
void kvm_vm_destroy(struct kvm_vm *vm);
kvm_call_fn kvm_vm_enable_cap, kvm_vm_create_device, kvm_vm_set_memory, kvm_vm_get_clock, kvm_vm_set_clock,
        kvm_vm_set_msr_filter;
kvm_call_fn kvm_vm_get_tsc_khz, kvm_vm_set_tsc_khz;
void kvm_vm_filter_free(struct kvm_filter *filter);
/* The slots as they are now become the processors' map; returns when none uses the old one. vm->lock held. */
int kvm_vm_map_publish(struct kvm_vm *vm);
kvm_call_fn kvm_vm_get_dirty_log, kvm_vm_clear_dirty_log, kvm_vm_reset_dirty_rings;
/* The log of a slot that begins to be logged. NULL: no memory. */
_Atomic uint64_t *kvm_vm_dirty_make(const struct kvm_vm *vm, uint64_t pages);
/* vm NULL: of the platform. */
int kvm_vm_capability(const struct sim_platform *sim, const struct kvm_vm *vm, unsigned long capability);
kvm_call_fn kvm_vm_set_memory2;
/* The slot with the page, or NULL. lock held. */
struct kvm_slot *kvm_vm_memory_slot(struct kvm_vm *vm, uint64_t gpa);
void kvm_vm_memory_finish(struct kvm_vm *vm);
kvm_call_fn kvm_vm_create_gmem, kvm_vm_set_attributes;
kvm_call_fn kvm_vcpu_prefault;
int kvm_vm_attributes_init(struct kvm_vm *vm);
void kvm_vm_attributes_finish(struct kvm_vm *vm);
bool kvm_vm_page_is_private(const struct kvm_vm *vm, uint64_t gpa);
/* Puts the descriptor's memory behind a slot of the VM. lock held. 0 or a negated errno. */
int kvm_vm_gmem_bind(struct kvm_vm *vm, struct kvm_slot *row);
/* The flags that KVM_CREATE_GUEST_MEMFD of the VM knows; vm NULL: of any. */
uint64_t kvm_vm_gmem_flags(const struct kvm_vm *vm);
int kvm_gmem_fallocate(struct kvm_gmem *gmem, int mode, off_t offset, off_t length);
/* The descriptor to map in place of it, at another offset, or a negated errno. */
int kvm_gmem_mmap_fd(const struct kvm_gmem *gmem, int prot, int flags, off_t *offset);
/* Where the slot's memory is to the guest: of a guest_memfd that can be mapped, in the file itself. */
uint8_t *kvm_gmem_slot_host(const struct kvm_vm *vm, const struct kvm_slot *row);
/* Its descriptor was closed. */
void kvm_gmem_close(struct kvm_gmem *gmem);
/* Makes the page the guest's; false: it is already. */
bool kvm_gmem_own(struct kvm_gmem *gmem, uint64_t offset);
void kvm_gmem_disown(struct kvm_gmem *gmem, uint64_t offset);
kvm_call_fn kvm_vm_create_irqchip, kvm_vm_create_pit, kvm_vm_get_pit, kvm_vm_set_pit, kvm_vm_reinject,
        kvm_vm_get_irqchip, kvm_vm_set_irqchip, kvm_vm_irq_line, kvm_vm_irq_line_status, kvm_vm_set_routing,
        kvm_vm_signal_msi;
/* The interrupt controllers, if they are here, do as capabilities say. irq_lock held. */
void kvm_vm_configure_chip(struct kvm_vm *vm);
/* KVM_CAP_SPLIT_IRQCHIP: LAPICs alone; GSIs below reserved are pins of the VMM's IOAPIC. vm->lock held. */
int kvm_vm_split_irqchip(struct kvm_vm *vm, unsigned reserved);
bool kvm_vm_has_pic(const struct kvm_vm *vm);
kvm_call_fn kvm_vm_irqfd, kvm_vm_ioeventfd;
void kvm_vm_eventfds_finish(struct kvm_vm *vm);
/* The VM's descriptor was closed: its irqfds end, though its vCPUs may live on. */
void kvm_vm_irqfds_release(struct kvm_vm *vm);
/* A write of the guest: does a doorbell answer it? irq_lock held. */
bool kvm_vm_ioeventfd_write(struct kvm_vm *vm, bool pio, uint64_t address, uint32_t size, const void *data);
/* End of interrupt at a pin: level-triggered irqfds. irq_lock held. */
void kvm_vm_irqfd_acked(struct kvm_vm *vm, unsigned irqchip, unsigned pin);
/* After a change of any timer; irq_lock held. */
void kvm_vm_timers_changed(struct kvm_vm *vm);
struct kvm_vcpu *kvm_vm_vcpu(struct kvm_vm *vm, unsigned index);

/* ---- vCPUs (kvm/) ---- */

int kvm_vcpu_create(struct kvm_vm *vm, unsigned long id);
void kvm_vcpu_destroy(struct kvm_vcpu *vcpu);
void kvm_vcpu_add_figures(const struct kvm_vcpu *vcpu, struct sim_figures *sum);
kvm_call_fn kvm_vcpu_run;
/* The call of kvm_vcpu_calls. vcpu->lock held. */
int kvm_vcpu_table_call(struct kvm_vcpu *vcpu, unsigned long request, uintptr_t user);
/* May MSR 1B be set to this value? Then set it: irq_lock held. */
bool kvm_vcpu_apic_base_valid(const struct kvm_vcpu *vcpu, uint64_t base, bool by_host);
void kvm_vcpu_set_apic_base(struct kvm_vcpu *vcpu, uint64_t base);
/* The first entry of a leaf in kvm_vcpu.cpuid; NULL: there is none. */
const struct kvm_cpuid_entry2 *kvm_vcpu_cpuid_leaf(const struct kvm_vcpu *vcpu, uint32_t leaf);
/* kvm_vcpu.cpuid is another one. */
void kvm_vcpu_lapic_cpuid_changed(struct kvm_vcpu *vcpu);
kvm_call_fn kvm_vcpu_get_lapic, kvm_vcpu_set_lapic, kvm_vcpu_set_vapic;
/* Before the vCPU enters its guest, and after it has left. */
void kvm_vcpu_vapic_enter(struct kvm_vcpu *vcpu);
void kvm_vcpu_vapic_leave(struct kvm_vcpu *vcpu);
kvm_call_fn kvm_system_has_attr, kvm_system_get_attr, kvm_system_get_mce_cap;
kvm_call_fn kvm_vcpu_set_regs, kvm_vcpu_get_sregs, kvm_vcpu_set_sregs, kvm_vcpu_get_sregs2,
        kvm_vcpu_set_sregs2, kvm_vcpu_get_xsave, kvm_vcpu_set_xsave, kvm_vcpu_get_xcrs, kvm_vcpu_set_xcrs,
        kvm_vcpu_get_debugregs, kvm_vcpu_set_debugregs, kvm_vcpu_set_guest_debug, kvm_vcpu_get_tsc_khz,
        kvm_vcpu_set_tsc_khz, kvm_vcpu_kvmclock_ctrl, kvm_vcpu_has_attr, kvm_vcpu_get_attr, kvm_vcpu_set_attr,
        kvm_vcpu_setup_mce, kvm_vcpu_set_mce;
/* As KVM_SET_SREGS, but for its interrupt_bitmap. */
int kvm_vcpu_set_sregs_but_interrupt(struct kvm_vcpu *vcpu, const struct kvm_sregs *sregs);
/* Registers that come in struct kvm_run, and what goes out in it; the vCPU's thread. */
int kvm_vcpu_sync_in(struct kvm_vcpu *vcpu);
void kvm_vcpu_tell_state(struct kvm_vcpu *vcpu);
/* Could the VMM inject an interrupt now? An access that is under way does not matter: it is finished first.
 */
bool kvm_vcpu_injectable(const struct kvm_vcpu *vcpu);
/* What came with the exception that waits goes where the guest finds it. */
void kvm_vcpu_deliver_payload(struct kvm_vcpu *vcpu);
int kvm_vcpu_leave_debug(struct kvm_vcpu *vcpu);
int kvm_vcpu_leave_msr(struct kvm_vcpu *vcpu);
/* The guest executed VMMCALL. 1: answered, it goes on; 0: the VMM answers, and kvm_vcpu_finish_hypercall()
 * takes it on. */
int kvm_vcpu_hypercall(struct kvm_vcpu *vcpu);
void kvm_vcpu_finish_hypercall(struct kvm_vcpu *vcpu);
bool kvm_vcpu_ring_is_full(const struct kvm_vcpu *vcpu);
kvm_call_fn kvm_vcpu_get_cpuid, kvm_vcpu_set_cpuid, kvm_vcpu_get_msrs, kvm_vcpu_set_msrs, kvm_vcpu_get_events,
        kvm_vcpu_set_events, kvm_vcpu_get_mp_state, kvm_vcpu_set_mp_state;
void kvm_vcpu_msrs_reset(struct kvm_vcpu *vcpu);
const uint32_t *kvm_platform_msrs(uint32_t *ret_count);
bool kvm_vcpu_msr(struct kvm_vcpu *vcpu, bool write, uint32_t index, uint64_t *value, bool by_host);
bool kvm_vcpu_mce_known(const struct kvm_vcpu *vcpu, uint32_t index);
bool kvm_vcpu_mce_msr(struct kvm_vcpu *vcpu, bool write, uint32_t index, uint64_t *value, bool by_host);
void kvm_vcpu_mce_reset(struct kvm_vcpu *vcpu);
/* For struct sim_bus. */
bool kvm_vcpu_fixes_vmcall(void *ctx);
bool kvm_vcpu_msr_known(void *ctx, bool write, uint32_t index);
bool kvm_vcpu_msr_allowed(void *ctx, bool write, uint32_t index);
bool kvm_vcpu_msr_exits(void *ctx, uint32_t reason);
bool kvm_vcpu_dirtied(void *ctx, const struct sim_slot *slot, uint64_t page);
/* Values of the MSRs that are the same for every vCPU (KVM_GET_MSR_FEATURE_INDEX_LIST). */
const uint32_t *kvm_platform_features(uint32_t *ret_count);
bool kvm_platform_feature(uint32_t index, uint64_t *ret_value);
void kvm_bus_init(struct sim_bus *bus);

/* Something for this vCPU may be waiting; irq_lock held. */
void kvm_vcpu_interrupts_changed(struct kvm_vcpu *vcpu);
void kvm_vcpu_post_nmi(struct kvm_vcpu *vcpu);
/* Ends its HLT, or the next one. */
void kvm_vcpu_kick(struct kvm_vcpu *vcpu);
void kvm_vcpu_request(struct kvm_vcpu *vcpu, uint32_t request);
/* INIT and SIPI that wait take effect. irq_lock held, cpu not running. */
void kvm_vcpu_take_requests(struct kvm_vcpu *vcpu);
/* Halted or waiting for INIT or SIPI: sleeps until there is something to run. 0 or -EINTR. */
int kvm_vcpu_block(struct kvm_vcpu *vcpu);
/* A signal or immediate_exit wants KVM_RUN to return. */
bool kvm_vcpu_interrupted(const struct kvm_vcpu *vcpu);

/* ---- time (kvm/clock.c) ---- */

void kvm_clock_init(struct kvm_clock *clock, enum sim_clock_kind kind);
uint64_t kvm_clock_now(const struct kvm_clock *clock);
void kvm_clock_skip_to(struct kvm_clock *clock, uint64_t now_ns);
/* This vCPU's time, from its instructions; never before what any vCPU was told. The vCPU's thread. */
uint64_t kvm_vcpu_now(struct kvm_vcpu *vcpu);
/* Waiting costs time too: what an access takes, more and more while the guest polls. */
void kvm_vcpu_charge_access(struct kvm_vcpu *vcpu, uint64_t ns);
void kvm_vcpu_charge_exit(struct kvm_vcpu *vcpu, uint64_t key, bool write);
/* Delivers what is due and sets until when the processor may run. */
uint64_t kvm_vcpu_start_slice(struct kvm_vcpu *vcpu);
/* From a callback: a timer may be due earlier now. */
void kvm_vcpu_retime(struct kvm_vcpu *vcpu);

#endif

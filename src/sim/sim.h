/*
 * sim: what the files of the software platform share: its objects, their locks and who may call what.
 * Order of locks: sim_vcpu.lock, sim_vm.lock, sim_vm.irq_lock, sim_platform.lock.
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

#define SIM_FDS_MAX      4096
#define SIM_VCPUS_MAX    IRQ_LAPICS_MAX
#define SIM_VCPU_IDS_MAX 256
#define SIM_SLOTS_MAX    512
#define SIM_PHYS_BITS    40
#define SIM_TSC_KHZ      1000000u /* a tick is a nanosecond */
#define SIM_CPUID_MAX    256
#define SIM_RUN_BYTES    ((size_t)3 * PAGE_SIZE_BYTES) /* struct kvm_run, port data, a ring not used */

/* ---- objects behind descriptors (sim.c) ---- */

enum sim_kind { SIM_SYSTEM, SIM_VM, SIM_VCPU };

struct sim_object {
	enum sim_kind kind;
	int fd;
};

/* The guest's time. Its reader on a vCPU's thread is vcpu_now(). */
struct sim_clock {
	bool host;
	uint64_t host_base_ns;
	_Atomic uint64_t now_ns; /* of the virtual clock: the latest that any vCPU has seen */
};

struct sim_platform {
	struct host host;
	struct sim_clock clock;
	pthread_mutex_t lock; /* objects, the list of VMs */
	struct sim_object *objects[SIM_FDS_MAX];
	struct sim_vm *vms;
	struct sim_figures ended; /* of VMs that are gone */
};

struct sim_slot_row {
	struct kvm_userspace_memory_region region; /* size 0: not used */
	_Atomic uint64_t *dirty;
};

struct sim_eventfd;

struct sim_vm {
	struct sim_object object;
	struct sim_platform *sim;
	struct sim_vm *next;
	unsigned refs; /* open descriptors and calls under way; sim->lock */

	pthread_mutex_t lock; /* slots, vCPUs, event descriptors */
	struct sim_slot_row *slots;
	struct sim_map *map;
	struct sim_bus bus;
	struct sim_vcpu *vcpus[SIM_VCPUS_MAX]; /* by index; they live as long as the VM */
	_Atomic unsigned vcpu_count;
	struct sim_eventfd *irqfds;
	int epoll_fd, stop_fd; /* of the thread, once it was started */
	pthread_t irqfd_thread;
	bool irqfd_thread_runs;
	uint64_t hypercall_exits; /* KVM_CAP_EXIT_HYPERCALL */

	pthread_mutex_t irq_lock; /* everything below, and mp_state and sleep of every vCPU */
	struct irq_chip *chip;    /* set once, before the first vCPU; NULL: none in the platform */
	struct sim_eventfd *ioeventfds;
	_Atomic unsigned ioeventfd_count;
	_Atomic uint64_t next_timer_ns;
	_Atomic uint64_t idle_ns; /* skipped since the guest last did or was told anything */
};

enum sim_request { SIM_REQUEST_INIT = 1, SIM_REQUEST_SIPI = 2 };

struct sim_vcpu {
	struct sim_object object;
	struct sim_vm *vm;
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
	bool wakeable; /* while halted: a maskable interrupt would be taken */
	int wake_fd;

	/* the vCPU's thread */
	uint64_t base_ns, base_icount; /* this vCPU's time was base_ns at base_icount */
	uint64_t slice_end;
	int64_t tsc_offset;
	uint64_t tsc_adjust;
	uint64_t msrs[4]; /* see msr.c */
	struct {
		uint64_t key, icount, waited_ns;
	} poll;
	uint32_t waits;  /* exit reason whose data the next KVM_RUN brings; 0: none */
	int user_vector; /* KVM_INTERRUPT; -1: none */
	bool has_run;
	bool has_sigmask;
	uint64_t sigmask, sigmask_user;
	struct kvm_cpuid_entry2 *cpuid;
	uint32_t cpuid_count;
	_Atomic bool in_run; /* the processor may be using a map */
	uint64_t exits;
};

/* ---- calls as tables (sim.c) ---- */

#define SIM_ARG_BYTES 4096

/*
 * arg: the struct, copied in and out by the direction and size in the request's number, or NULL for requests
 * whose argument is a number; user: the argument as given. Returns 0 or more, or a negated errno; then
 * nothing is copied out.
 */
typedef int sim_call_fn(void *object, void *arg, uintptr_t user);

struct sim_call {
	unsigned long request;
	sim_call_fn *fn;
};

extern const struct sim_call sim_system_calls[], sim_vm_calls[], sim_vcpu_calls[]; /* end with request 0 */

/* 0 or -EFAULT, as the kernel's. */
int sim_copy_in(void *to, uintptr_t user, size_t size);
int sim_copy_out(uintptr_t user, const void *from, size_t size);
/* Puts an object at its descriptor. Returns the descriptor, or a negated errno; the object is then not taken.
 */
int sim_object_open(struct sim_platform *sim, struct sim_object *object, const char *name, size_t size);
/* Takes the object off again, unused. */
void sim_object_close(struct sim_platform *sim, int fd);

/* ---- VMs (kvm_vm.c, kvm_memory.c, kvm_irq.c, kvm_eventfd.c) ---- */

int vm_create(struct sim_platform *sim, unsigned long type);
/* Gives back one hold; the last ends the VM. NULL is allowed. */
void vm_unref(struct sim_vm *vm);
void vm_destroy(struct sim_vm *vm);
int vm_capability(unsigned long capability);
sim_call_fn vm_set_memory, vm_get_dirty_log;
void vm_memory_finish(struct sim_vm *vm);
sim_call_fn vm_create_irqchip, vm_create_pit, vm_get_pit, vm_set_pit, vm_reinject, vm_get_irqchip,
        vm_set_irqchip, vm_irq_line, vm_irq_line_status, vm_set_routing, vm_signal_msi;
sim_call_fn vm_irqfd, vm_ioeventfd;
void vm_eventfds_finish(struct sim_vm *vm);
/* A write of the guest: does a doorbell answer it? irq_lock held. */
bool vm_ioeventfd_write(struct sim_vm *vm, bool pio, uint64_t address, uint32_t size, const void *data);
/* End of interrupt at a pin: level-triggered irqfds. irq_lock held. */
void vm_irqfd_acked(struct sim_vm *vm, unsigned irqchip, unsigned pin);
/* After a change of any timer; irq_lock held. */
void vm_timers_changed(struct sim_vm *vm);
struct sim_vcpu *vm_vcpu(struct sim_vm *vm, unsigned index);

/* ---- vCPUs (kvm_vcpu.c, kvm_state.c, msr.c, bus.c, kvm_run.c, idle.c) ---- */

int vcpu_create(struct sim_vm *vm, unsigned long id);
void vcpu_destroy(struct sim_vcpu *vcpu);
void vcpu_add_figures(const struct sim_vcpu *vcpu, struct sim_figures *sum);
sim_call_fn vcpu_run;
sim_call_fn vcpu_get_cpuid, vcpu_set_cpuid, vcpu_get_msrs, vcpu_set_msrs, vcpu_get_events, vcpu_set_events,
        vcpu_get_mp_state, vcpu_set_mp_state;
void vcpu_msrs_reset(struct sim_vcpu *vcpu);
const uint32_t *platform_msr_list(uint32_t *ret_count);
bool vcpu_msr(struct sim_vcpu *vcpu, bool write, uint32_t index, uint64_t *value, bool by_host);
bool cpuid_has_x2apic(const struct sim_vcpu *vcpu);
void bus_init(struct sim_bus *bus);

/* Something for this vCPU may be waiting; irq_lock held. */
void vcpu_interrupts_changed(struct sim_vcpu *vcpu);
void vcpu_post_nmi(struct sim_vcpu *vcpu);
void vcpu_request(struct sim_vcpu *vcpu, uint32_t request);
/* INIT and SIPI that wait take effect. irq_lock held, cpu not running. */
void vcpu_take_requests(struct sim_vcpu *vcpu);
/* Halted or waiting for INIT or SIPI: sleeps until there is something to run. 0 or -EINTR. */
int vcpu_block(struct sim_vcpu *vcpu);
/* A signal or immediate_exit wants KVM_RUN to return. */
bool vcpu_interrupted(const struct sim_vcpu *vcpu);

/* ---- time (clock.c) ---- */

void clock_init(struct sim_clock *clock, enum sim_clock_kind kind);
uint64_t clock_now(const struct sim_clock *clock);
void clock_skip_to(struct sim_clock *clock, uint64_t now_ns);
/* This vCPU's time, from its instructions; never before what any vCPU was told. The vCPU's thread. */
uint64_t vcpu_now(struct sim_vcpu *vcpu);
/* Waiting costs time too: what an access takes, more and more while the guest polls. */
void vcpu_charge_access(struct sim_vcpu *vcpu, uint64_t ns);
void vcpu_charge_exit(struct sim_vcpu *vcpu, uint64_t key, bool write);
/* Delivers what is due and sets until when the processor may run. */
uint64_t vcpu_start_slice(struct sim_vcpu *vcpu);
/* From a callback: a timer may be due earlier now. */
void vcpu_retime(struct sim_vcpu *vcpu);

#endif

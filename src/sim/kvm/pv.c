/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pv: KVM's clock, wall clock and steal time, which guests read in their own memory after they have given its
 * address in an MSR. The MSRs only note what is to be written; it is written before the vCPU enters the
 * guest, because memory slots cannot be looked up while the processor runs. Runs on the vCPU's thread. Law:
 * the kernel's Documentation/virt/kvm/x86/msr.rst and cpuid.rst.
 */
#include <asm/kvm_para.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"
#include "pv.h"
#include "registers.h"

#define NS_PER_S          UINT64_C(1000000000)
#define SIGNATURES        0x40000000u /* leaves where a hypervisor may say who it is, from here on */
#define SIGNATURES_END    0x40010000u
#define SIGNATURES_STEP   0x100u
#define FEATURE(n)        (1u << (n))
#define TSC_STABLE        1u /* flags of the clock */
#define GUEST_STOPPED     2u
#define STEAL_RESERVED    UINT64_C(0x3e)
#define NS_PER_TICK_SHIFT 1 /* a tick of the TSC is a nanosecond: ticks << 1, times 2^31, divided by 2^32 */
#define NS_PER_TICK_MUL   0x80000000u

/* The clock of a vCPU in guest memory. While version is odd the rest is not valid. */
struct clock {
	uint32_t version, pad0;
	uint64_t tsc_timestamp, system_time;
	uint32_t tsc_to_system_mul;
	int8_t tsc_shift;
	uint8_t flags, pad1[2];
};
_Static_assert(sizeof(struct clock) == 32, "the clock has the size that guests know");

struct wall_clock {
	uint32_t version, sec, nsec;
};

const uint32_t kvm_pv_msrs[KVM_PV_MSRS] = {MSR_KVM_WALL_CLOCK, MSR_KVM_SYSTEM_TIME, MSR_KVM_WALL_CLOCK_NEW,
        MSR_KVM_SYSTEM_TIME_NEW, MSR_KVM_STEAL_TIME, MSR_KVM_POLL_CONTROL};
static const unsigned needed_features[KVM_PV_MSRS] = {KVM_FEATURE_CLOCKSOURCE, KVM_FEATURE_CLOCKSOURCE,
        KVM_FEATURE_CLOCKSOURCE2, KVM_FEATURE_CLOCKSOURCE2, KVM_FEATURE_STEAL_TIME, KVM_FEATURE_POLL_CONTROL};

/* ---- features ---- */

/* Returns the leaf of the vCPU's CPUID in which KVM tells its features; NULL: there is none. */
static const struct kvm_cpuid_entry2 *features_leaf(const struct kvm_vcpu *v)
{
	for (uint32_t base = SIGNATURES; base < SIGNATURES_END; base += SIGNATURES_STEP) {
		const struct kvm_cpuid_entry2 *e = kvm_vcpu_cpuid_leaf(v, base);

		if (e && memcmp(&e->ebx, KVM_SIGNATURE, 3 * sizeof(e->ebx)) == 0)
			return kvm_vcpu_cpuid_leaf(v, base | KVM_CPUID_FEATURES);
	}
	return NULL;
}

bool kvm_vcpu_pv_has(const struct kvm_vcpu *v, unsigned feature)
{
	const struct kvm_cpuid_entry2 *leaf;

	if (!v->pv.enforce)
		return true;
	leaf = features_leaf(v);
	return leaf && leaf->eax & FEATURE(feature);
}

/* Time can only be stolen from guests whose time is the host's. */
uint32_t kvm_platform_pv_features(const struct kvm_platform *platform)
{
	if (!platform->paravirtual)
		return 0;
	return FEATURE(KVM_FEATURE_CLOCKSOURCE) | FEATURE(KVM_FEATURE_NOP_IO_DELAY) |
	       FEATURE(KVM_FEATURE_CLOCKSOURCE2) | FEATURE(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT) |
	       FEATURE(KVM_FEATURE_PV_UNHALT) | FEATURE(KVM_FEATURE_PV_SEND_IPI) |
	       FEATURE(KVM_FEATURE_PV_SCHED_YIELD) | FEATURE(KVM_FEATURE_POLL_CONTROL) |
	       (platform->clock.host ? FEATURE(KVM_FEATURE_STEAL_TIME) : 0);
}

/* ---- MSRs ---- */

void kvm_vcpu_pv_reset(struct kvm_vcpu *v)
{
	v->pv.poll = 1;
}

void kvm_vcpu_pv_retime(struct kvm_vcpu *v)
{
	if (!(v->pv.time & KVM_MSR_ENABLED))
		return;
	atomic_store(&v->pv.time_due, true);
	cpu_post(v->cpu, CPU_PENDING_STOP);
}

void kvm_vm_pv_retime(struct kvm_vm *vm)
{
	for (unsigned i = 0; i < atomic_load(&vm->vcpu_count); i++)
		kvm_vcpu_pv_retime(vm->vcpus[i]);
}

/* The boot processor's choice of the MSR decides whether the VM's clock counts as stable. */
static void set_time(struct kvm_vcpu *v, uint64_t value, bool old, bool by_host)
{
	if (v->id == 0 && !by_host && atomic_exchange(&v->vm->old_clock, old) != old)
		kvm_vm_pv_retime(v->vm);
	v->pv.time = value;
	kvm_vcpu_pv_retime(v);
}

static void set_wall_clock(struct kvm_vcpu *v, uint64_t value)
{
	atomic_store(&v->vm->wall_clock, value);
	v->pv.wall_due = value != 0;
	if (v->pv.wall_due)
		cpu_post(v->cpu, CPU_PENDING_STOP);
}

/*
 * Where the guest's time is not the host's, the guest cannot switch this on, as on a kernel that does not
 * measure how long threads wait.
 */
static bool set_steal(struct kvm_vcpu *v, uint64_t value)
{
	bool on = value & KVM_MSR_ENABLED;

	if (value & STEAL_RESERVED || (on && !v->vm->platform->clock.host))
		return false;
	v->pv.steal = value;
	if (on)
		cpu_post(v->cpu, CPU_PENDING_STOP);
	return true;
}

static bool write_msr(struct kvm_vcpu *v, uint32_t index, uint64_t value, bool by_host)
{
	switch (index) {
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_WALL_CLOCK_NEW: set_wall_clock(v, value); return true;
	case MSR_KVM_SYSTEM_TIME:
	case MSR_KVM_SYSTEM_TIME_NEW: set_time(v, value, index == MSR_KVM_SYSTEM_TIME, by_host); return true;
	case MSR_KVM_STEAL_TIME: return set_steal(v, value);
	default:
		if (value & ~UINT64_C(1))
			return false;
		v->pv.poll = value;
		return true;
	}
}

static uint64_t read_msr(const struct kvm_vcpu *v, uint32_t index)
{
	switch (index) {
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_WALL_CLOCK_NEW: return atomic_load(&v->vm->wall_clock);
	case MSR_KVM_SYSTEM_TIME:
	case MSR_KVM_SYSTEM_TIME_NEW: return v->pv.time;
	case MSR_KVM_STEAL_TIME: return v->pv.steal;
	default: return v->pv.poll;
	}
}

bool kvm_vcpu_pv_knows_msr(const struct kvm_vcpu *v, uint32_t index)
{
	for (size_t i = 0; i < KVM_PV_MSRS; i++) {
		if (kvm_pv_msrs[i] == index)
			return kvm_vcpu_pv_has(v, needed_features[i]);
	}
	return false;
}

bool kvm_vcpu_pv_msr(struct kvm_vcpu *v, bool write, uint32_t index, uint64_t *value, bool by_host)
{
	if (write)
		return write_msr(v, index, *value, by_host);
	*value = read_msr(v, index);
	return true;
}

/* ---- guest memory ---- */

static uint32_t next_version(uint32_t version)
{
	return (version + 1) | 1;
}

/* Writes the struct, whose version is odd, and then an even version, for processors that read meanwhile. */
static void publish(struct kvm_vcpu *v, uint64_t gpa, void *data, size_t size, uint32_t *version)
{
	if (!kvm_vcpu_write_memory(v, gpa, data, size))
		return;
	(*version)++;
	kvm_vcpu_write_memory(
	        v, gpa + (uint64_t)((uint8_t *)version - (uint8_t *)data), version, sizeof(*version));
}

/* The guest's flag of having been stopped stays until the guest clears it. */
static void write_clock(struct kvm_vcpu *v)
{
	uint64_t gpa = v->pv.time & ~UINT64_C(1), now = kvm_vcpu_now(v);
	struct clock clock;

	if (!(v->pv.time & KVM_MSR_ENABLED) || !kvm_vcpu_read_memory(v, gpa, &clock, sizeof(clock)))
		return;
	clock = (struct clock){
	        .version = next_version(clock.version),
	        .tsc_timestamp = now + (uint64_t)v->tsc_offset,
	        .system_time = now + (uint64_t)atomic_load(&v->vm->clock_offset),
	        .tsc_to_system_mul = NS_PER_TICK_MUL,
	        .tsc_shift = NS_PER_TICK_SHIFT,
	        .flags = (uint8_t)((clock.flags & GUEST_STOPPED) | (v->pv.stopped ? GUEST_STOPPED : 0) |
	                           (atomic_load(&v->vm->old_clock) ? 0 : TSC_STABLE)),
	};
	v->pv.stopped = false;
	publish(v, gpa, &clock, sizeof(clock), &clock.version);
}

/* Tells when the VM's clock was 0, by the wall clock. */
static void write_wall_clock(struct kvm_vcpu *v)
{
	uint64_t gpa = atomic_load(&v->vm->wall_clock), zero = kvm_vm_clock_zero(v->vm);
	struct wall_clock wall;

	if (!kvm_vcpu_read_memory(v, gpa, &wall, sizeof(wall)))
		return;
	wall = (struct wall_clock){.version = next_version(wall.version),
	        .sec = (uint32_t)(zero / NS_PER_S),
	        .nsec = (uint32_t)(zero % NS_PER_S)};
	publish(v, gpa, &wall, sizeof(wall), &wall.version);
}

/* Returns how long this thread has been ready to run without a processor, in ns; before: the kernel does not
 * tell. */
static uint64_t run_delay(uint64_t before)
{
	auto_close int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	unsigned long long ran, delay;
	char text[96];
	ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (size <= 0)
		return before;
	text[size] = '\0';
	return sscanf(text, "%llu %llu", &ran, &delay) == 2 ? delay : before;
}

static void write_steal(struct kvm_vcpu *v)
{
	uint64_t gpa = v->pv.steal & ~(STEAL_RESERVED | KVM_MSR_ENABLED), delay = run_delay(v->pv.delay);
	struct kvm_steal_time steal;

	if (!kvm_vcpu_read_memory(v, gpa, &steal, sizeof(steal)))
		return;
	steal.preempted = 0;
	steal.version = next_version(steal.version);
	steal.steal += delay - v->pv.delay;
	v->pv.delay = delay;
	publish(v, gpa, &steal, sizeof(steal), &steal.version);
}

void kvm_vcpu_pv_enter(struct kvm_vcpu *v)
{
	if (atomic_load_explicit(&v->pv.time_due, memory_order_relaxed) &&
	        atomic_exchange(&v->pv.time_due, false))
		write_clock(v);
	if (v->pv.wall_due) {
		v->pv.wall_due = false;
		write_wall_clock(v);
	}
	if (v->pv.steal & KVM_MSR_ENABLED)
		write_steal(v);
}

/* ---- calls ---- */

int kvm_vcpu_kvmclock_ctrl(void *object, void *arg, uintptr_t user)
{
	struct kvm_vcpu *v = object;

	if (!(v->pv.time & KVM_MSR_ENABLED))
		return -EINVAL;
	v->pv.stopped = true;
	kvm_vcpu_pv_retime(v);
	return 0;
}

int kvm_vcpu_enable_cap(void *object, void *arg, uintptr_t user)
{
	const struct kvm_enable_cap *cap = arg;
	struct kvm_vcpu *v = object;

	if (cap->flags || cap->cap != KVM_CAP_ENFORCE_PV_FEATURE_CPUID)
		return -EINVAL;
	v->pv.enforce = cap->args[0];
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hypercall: answers what a guest asks of KVM by VMMCALL, or by a VMGEXIT that stands for it. Runs on the
 * vCPU's thread. Every call is answered, whatever the guest's CPUID says, unless the VMM wants it otherwise
 * (KVM_CAP_ENFORCE_PV_FEATURE_CPUID). Law: the kernel's Documentation/virt/kvm/x86/hypercalls.rst.
 */
#include <errno.h>
#include <linux/kvm_para.h>

#include "hooks.h"
#include "pv.h"

#define ICR_REFUSED (0x800u | 0xc0000u) /* logical destinations and shorthands */

static int vapic_poll_irq(struct kvm_vcpu *v, const struct kvm_hypercall *c, uint64_t *ret_result)
{
	*ret_result = 0;
	return 1;
}

/* Ends the HLT of the processor with this APIC ID, or its next one. */
static int kick_cpu(struct kvm_vcpu *v, const struct kvm_hypercall *c, uint64_t *ret_result)
{
	struct kvm_vm *vm = v->vm;
	struct irq_message m = {.dest = (uint32_t)c->args[1], .delivery = IRQ_REMOTE_READ};

	pthread_mutex_lock(&vm->irq_lock);
	if (vm->chip)
		irq_deliver(vm->chip, &m);
	pthread_mutex_unlock(&vm->irq_lock);
	*ret_result = 0;
	return 1;
}

/* Answers as KVM does on a host whose clock is not based on its TSC. */
static int clock_pairing(struct kvm_vcpu *v, const struct kvm_hypercall *c, uint64_t *ret_result)
{
	*ret_result = -(uint64_t)KVM_EOPNOTSUPP;
	return 1;
}

/*
 * args[0] and args[1] have one bit for each APIC ID, counted from args[2] on; args[3] is a value of the ICR.
 */
static int send_ipi(struct kvm_vcpu *v, const struct kvm_hypercall *c, uint64_t *ret_result)
{
	uint32_t icr = (uint32_t)c->args[3], first = (uint32_t)c->args[2];
	struct kvm_vm *vm = v->vm;
	struct irq_message m = {
	        .level = icr & 0x8000,
	        .assert = icr & 0x4000,
	        .vector = (uint8_t)icr,
	        .delivery = icr >> 8 & 7,
	};

	if (icr & ICR_REFUSED) {
		*ret_result = -(uint64_t)KVM_EINVAL;
		return 1;
	}
	*ret_result = -(uint64_t)KVM_EOPNOTSUPP;
	pthread_mutex_lock(&vm->irq_lock);
	if (vm->chip)
		*ret_result = irq_deliver_ids(vm->chip, c->args[0], first, &m) +
		              irq_deliver_ids(vm->chip, c->args[1], first + (c->longmode ? 64 : 32), &m);
	pthread_mutex_unlock(&vm->irq_lock);
	return 1;
}

/* Does nothing: the host's scheduler decides which vCPU runs. */
static int sched_yield_to(struct kvm_vcpu *v, const struct kvm_hypercall *c, uint64_t *ret_result)
{
	*ret_result = 0;
	return 1;
}

/* Leaves the answer to the VMM, if it has asked for these calls (KVM_CAP_EXIT_HYPERCALL). */
static int map_gpa_range(struct kvm_vcpu *v, const struct kvm_hypercall *c, uint64_t *ret_result)
{
	uint64_t gpa = c->args[0], pages = c->args[1], end;
	struct kvm_run *run = v->run;

	if (!(v->vm->hypercall_exits >> KVM_HC_MAP_GPA_RANGE & 1))
		return 1;
	/* As many pages as would overflow in bytes are the VMM's to refuse. */
	if (!is_aligned(gpa, PAGE_SIZE_BYTES) || !pages || !add_ok(gpa / PAGE_SIZE_BYTES, pages, &end)) {
		*ret_result = -(uint64_t)KVM_EINVAL;
		return 1;
	}
	run->exit_reason = KVM_EXIT_HYPERCALL;
	run->hypercall.nr = c->number;
	run->hypercall.args[0] = gpa;
	run->hypercall.args[1] = pages;
	run->hypercall.args[2] = c->args[2];
	run->hypercall.longmode = c->longmode;
	run->hypercall.ret = 0;
	return 0;
}

#define NO_FEATURE 0xffu

/*
 * Each function returns 1 if it answered and the guest goes on, or 0 if the VMM answers. *ret_result is
 * ENOSYS before the call. feature: without it the call is refused, if features are enforced.
 */
static const struct {
	int (*fn)(struct kvm_vcpu *v, const struct kvm_hypercall *c, uint64_t *ret_result);
	unsigned feature;
} answers[] = {
        [KVM_HC_VAPIC_POLL_IRQ] = {vapic_poll_irq, NO_FEATURE},
        [KVM_HC_KICK_CPU] = {kick_cpu, KVM_FEATURE_PV_UNHALT},
        [KVM_HC_CLOCK_PAIRING] = {clock_pairing, NO_FEATURE},
        [KVM_HC_SEND_IPI] = {send_ipi, KVM_FEATURE_PV_SEND_IPI},
        [KVM_HC_SCHED_YIELD] = {sched_yield_to, KVM_FEATURE_PV_SCHED_YIELD},
        [KVM_HC_MAP_GPA_RANGE] = {map_gpa_range, NO_FEATURE},
};

static bool is_offered(const struct kvm_vcpu *v, uint64_t number)
{
	return number < ARRAY_LEN(answers) && answers[number].fn &&
	       (answers[number].feature == NO_FEATURE || kvm_vcpu_pv_has(v, answers[number].feature));
}

int kvm_vcpu_answer_hypercall(struct kvm_vcpu *v, const struct kvm_hypercall *c, uint64_t *ret_result)
{
	kvm_stats_add(&v->stats, KVM_STAT_HYPERCALLS, 1);
	*ret_result = c->cpl ? -(uint64_t)KVM_EPERM : -(uint64_t)KVM_ENOSYS;
	return c->cpl || !is_offered(v, c->number) ? 1 : answers[c->number].fn(v, c, ret_result);
}

/* ---- VMMCALL ---- */

/* Outside of 64-bit code only 32 bits of each register count. */
static struct kvm_hypercall call_of(const struct cpu *cpu)
{
	bool longmode = cpu->efer & 0x400 && cpu->seg[CPU_CS].attr & 0x200;
	uint64_t mask = longmode ? UINT64_MAX : UINT32_MAX;

	return (struct kvm_hypercall){
	        .number = cpu->gpr[CPU_RAX] & mask,
	        .args = {cpu->gpr[CPU_RBX] & mask, cpu->gpr[CPU_RCX] & mask, cpu->gpr[CPU_RDX] & mask,
	                cpu->gpr[CPU_RSI] & mask},
	        .longmode = longmode,
	        .cpl = (uint8_t)cpu->cpl,
	};
}

static void put_result(struct cpu *cpu, uint64_t result, bool longmode)
{
	cpu->gpr[CPU_RAX] = longmode ? result : (uint32_t)result;
}

int kvm_vcpu_hypercall(struct kvm_vcpu *v)
{
	struct kvm_hypercall c = call_of(v->cpu);
	uint64_t result;

	if (kvm_vcpu_answer_hypercall(v, &c, &result) == 0) {
		v->waits = KVM_EXIT_HYPERCALL;
		v->cpu->gpr[CPU_GPR_RIP] -= v->cpu->exit_info.hypercall_length;
		return 0;
	}
	put_result(v->cpu, result, c.longmode);
	return 1;
}

void kvm_vcpu_finish_hypercall(struct kvm_vcpu *v)
{
	put_result(v->cpu, v->run->hypercall.ret, v->run->hypercall.longmode);
	v->cpu->gpr[CPU_GPR_RIP] += v->cpu->exit_info.hypercall_length;
}

/* KVM cannot read the instructions of an encrypted guest, so VMCALL remains #UD there. */
bool kvm_vcpu_fixes_vmcall(void *ctx)
{
	const struct kvm_vcpu *v = ctx;

	return !v->vm->encrypted && cpu_bus_has_quirk(&v->vm->bus, KVM_X86_QUIRK_FIX_HYPERCALL_INSN);
}

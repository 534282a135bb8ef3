/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state_vcpu: a vCPU that moves: what KVM holds of it, as KVM's own structs. The order matters in both
 * directions. KVM reads control registers by CPUID, which was set when the vCPU was made; registers by the
 * mode that control registers choose; the APIC by its base; the deadline of the APIC's timer by the timer's
 * mode and the TSC. Setting registers drops exceptions that wait, so events come late, and the run state
 * last. Getting goes the other way: getting the run state may take an INIT that waits, and getting events may
 * change DR6 and CR2. No vCPU runs. Law: api.rst, 4.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "state.h"

#define XSAVE_MAX KIB(64)

struct vcpu_state {
	struct kvm_sregs2 sregs;
	struct kvm_regs regs;
	struct kvm_xcrs xcrs;
	struct kvm_debugregs debug;
	struct kvm_lapic_state lapic;
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp;
	uint8_t xsave[XSAVE_MAX];
	size_t xsave_size; /* this host's */
	struct machine_msr *msrs;
	unsigned msr_count;
};

bool machine_state_is_zero(const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < size; i++) {
		if (at[i])
			return false;
	}
	return true;
}

/* ---- what a peer must not send: what KVM ignores today, and flags that vmm does not know ---- */

static bool is_good_segment(const struct kvm_segment *s)
{
	return s->type <= 15 && s->present <= 1 && s->dpl <= 3 && s->db <= 1 && s->s <= 1 && s->l <= 1 &&
	       s->g <= 1 && s->avl <= 1 && s->unusable <= 1 && !s->padding;
}

static bool is_good_table(const struct kvm_dtable *t)
{
	return machine_state_is_zero(t->padding, sizeof(t->padding));
}

static bool are_good_sregs(const struct vcpu_state *v)
{
	const struct kvm_sregs2 *s = &v->sregs;

	return is_good_segment(&s->cs) && is_good_segment(&s->ds) && is_good_segment(&s->es) &&
	       is_good_segment(&s->fs) && is_good_segment(&s->gs) && is_good_segment(&s->ss) &&
	       is_good_segment(&s->tr) && is_good_segment(&s->ldt) && is_good_table(&s->gdt) &&
	       is_good_table(&s->idt) && !(s->flags & ~(uint64_t)KVM_SREGS2_FLAGS_PDPTRS_VALID);
}

/* There is XCR0 and no other. */
static bool are_good_xcrs(const struct vcpu_state *v)
{
	const struct kvm_xcrs *x = &v->xcrs;

	return x->nr_xcrs <= 1 && !x->flags && !x->xcrs[0].xcr && !x->xcrs[0].reserved &&
	       machine_state_is_zero(&x->xcrs[1], sizeof(x->xcrs) - sizeof(x->xcrs[0])) &&
	       machine_state_is_zero(x->padding, sizeof(x->padding));
}

static bool are_good_debug_registers(const struct vcpu_state *v)
{
	return !v->debug.flags && machine_state_is_zero(v->debug.reserved, sizeof(v->debug.reserved));
}

/* vmm asks for no payload of exceptions, and its guests have no system management mode. */
static bool are_good_events(const struct vcpu_state *v)
{
	const uint32_t known =
	        KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_SMM;
	const struct kvm_vcpu_events *e = &v->events;

	return !(e->flags & ~known) && e->exception.injected <= 1 && !e->exception.pending &&
	       e->exception.has_error_code <= 1 && e->exception.nr < 32 && e->interrupt.injected <= 1 &&
	       e->interrupt.soft <= 1 && e->interrupt.shadow <= 3 && e->nmi.injected <= 1 &&
	       e->nmi.masked <= 1 && !e->nmi.pad && !e->sipi_vector && !e->smi.smm && !e->smi.pending &&
	       !e->smi.smm_inside_nmi && e->smi.latched_init <= 1 && !e->triple_fault.pending &&
	       machine_state_is_zero(e->reserved, sizeof(e->reserved)) && !e->exception_has_payload;
}

static bool is_good_run_state(const struct vcpu_state *v)
{
	return v->mp.mp_state <= KVM_MP_STATE_SIPI_RECEIVED;
}

/* ---- the parts, in the order in which they are set ---- */

#define FIXED(member) offsetof(struct vcpu_state, member), sizeof(((struct vcpu_state *)NULL)->member)

static const struct part {
	const char *name;
	unsigned long get, set; /* 0: one of the two below, which have functions of their own */
	size_t at, size;
	bool (*is_good)(const struct vcpu_state *v); /* NULL: KVM judges */
	bool is_xsave;
} parts[] = {
        {"the control registers", KVM_GET_SREGS2, KVM_SET_SREGS2, FIXED(sregs), are_good_sregs},
        {"the registers", KVM_GET_REGS, KVM_SET_REGS, FIXED(regs), NULL},
        {"XCR0", KVM_GET_XCRS, KVM_SET_XCRS, FIXED(xcrs), are_good_xcrs},
        {"the x87 and vector registers", .is_xsave = true},
        {"the debug registers", KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, FIXED(debug), are_good_debug_registers},
        {"the local APIC", KVM_GET_LAPIC, KVM_SET_LAPIC, FIXED(lapic), NULL},
        {"the MSRs"},
        {"the events", KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, FIXED(events), are_good_events},
        {"the run state", KVM_GET_MP_STATE, KVM_SET_MP_STATE, FIXED(mp), is_good_run_state},
};

static void *bytes_of(struct vcpu_state *v, const struct part *part)
{
	return (uint8_t *)v + part->at;
}

static int get_part(const struct machine_vm *vm, const struct machine_vcpu *vcpu, struct vcpu_state *v,
        const struct part *part, struct err *err)
{
	struct host *host = vm->machine->host;

	if (part->get)
		return call_get_state(host, vcpu->fd, part->get, bytes_of(v, part), err);
	if (part->is_xsave)
		return call_vcpu_get_xsave(host, vcpu->fd, v->xsave, v->xsave_size, err);
	return machine_msrs_read(vm, vcpu, &v->msrs, &v->msr_count, err);
}

static int set_part(const struct machine_vm *vm, const struct machine_vcpu *vcpu, struct vcpu_state *v,
        const struct part *part, struct err *err)
{
	struct host *host = vm->machine->host;

	if (part->set)
		return call_set_state(host, vcpu->fd, part->set, bytes_of(v, part), err);
	if (part->is_xsave)
		return call_vcpu_set_xsave(host, vcpu->fd, v->xsave, err);
	return machine_msrs_write(vm, vcpu, v->msrs, v->msr_count, err);
}

/*
 * Without KVM_CAP_EXCEPTION_PAYLOAD, KVM tells an exception that waits as one that is injected, and ignores
 * the rest when it is set.
 */
static void forget_payload(struct kvm_vcpu_events *events)
{
	events->exception.pending = events->exception_has_payload = 0;
	events->exception_payload = 0;
	if (!events->exception.injected)
		events->exception.nr = 0;
}

#define EFER_SVME (UINT64_C(1) << 12)

static int get(
        const struct machine_vm *vm, const struct machine_vcpu *vcpu, struct vcpu_state *v, struct err *err)
{
	for (size_t i = ARRAY_LEN(parts); i--;) {
		if (get_part(vm, vcpu, v, &parts[i], err) < 0)
			return -1;
	}
	forget_payload(&v->events);
	if (v->sregs.efer & EFER_SVME)
		return err_set(err, ERR_HOST,
		        "the guest is a host of guests (EFER.SVME), which do not move with it: stop them, "
		        "and "
		        "unload its kvm_amd");
	return 0;
}

static int set(
        const struct machine_vm *vm, const struct machine_vcpu *vcpu, struct vcpu_state *v, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (set_part(vm, vcpu, v, &parts[i], err) < 0) {
			err_wrap(err, "%s of vCPU %u", parts[i].name, vcpu->index);
			return -1;
		}
	}
	call_vcpu_tell_stopped(vm->machine->host, vcpu->fd);
	return 0;
}

/* The other host may know more components than this one. What this one has no room for must be unused. */
static void visit_xsave(struct vmstate *s, struct vcpu_state *v)
{
	unsigned size = (unsigned)v->xsave_size;

	vmstate_count(s, "the size of the x87 and vector registers", &size, XSAVE_MAX);
	vmstate_bytes(s, "the x87 and vector registers", v->xsave, size);
	if (s->loads && size > v->xsave_size &&
	        !machine_state_is_zero(v->xsave + v->xsave_size, size - v->xsave_size))
		vmstate_fail(s, "its vector registers take %u bytes, and this host has %zu for them", size,
		        v->xsave_size);
}

/* The structs are KVM's, whose sizes never change; a build that thought otherwise would be told. */
static uint64_t struct_bytes(void)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		bytes += parts[i].size;
	return bytes;
}

static void visit(struct vmstate *s, struct vcpu_state *v)
{
	vmstate_same(s, "the size of KVM's structs", struct_bytes());
	for (size_t i = 0; i < ARRAY_LEN(parts) && !s->bad; i++) {
		const struct part *part = &parts[i];

		if (part->is_xsave)
			visit_xsave(s, v);
		else if (!part->get)
			machine_msrs_visit(s, &v->msrs, &v->msr_count);
		else
			vmstate_bytes(s, part->name, bytes_of(v, part), part->size);
		if (s->loads && !s->bad && part->is_good && !part->is_good(v))
			vmstate_fail(s, "%s have values that no KVM gives", part->name);
	}
}

void machine_vm_visit_vcpu(struct machine_vm *vm, unsigned i, struct vmstate *s)
{
	auto_free struct vcpu_state *v = calloc(1, sizeof(*v));
	const struct machine_vcpu *vcpu = &vm->vcpus[i];
	struct err err = {0};

	if (!v)
		vmstate_fail(s, "no memory is left");
	if (!v || !machine_state_is_open(vm, s))
		return;
	v->xsave_size = call_vm_xsave_size(vm->machine->host, vm->fd);
	if (!s->loads && get(vm, vcpu, v, &err) < 0)
		machine_state_fail(s, &err);
	if (!s->bad)
		visit(s, v);
	if (s->loads && !s->bad && set(vm, vcpu, v, &err) < 0)
		machine_state_fail(s, &err);
	free(v->msrs);
}

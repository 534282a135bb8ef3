/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state: the rest of a vCPU's state as KVM's structs have it: CPUID, MSRs, events, its run state. Runs with
 * kvm_vcpu.lock held. Law: api.rst, 4.18, 4.20, 4.31, 4.38.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "hooks.h"
#include "irq.h"
#include "msr.h"
#include "registers.h"

#define MSRS_MAX             256
#define VECTOR_DB            1
#define VECTOR_NMI           2
#define VECTOR_PF            14
#define VECTOR_EXCEPTION_MAX 31

/* ---- CPUID ---- */

const struct kvm_cpuid_entry2 *kvm_vcpu_cpuid_leaf(const struct kvm_vcpu *v, uint32_t leaf)
{
	for (uint32_t i = 0; i < v->cpuid_count; i++) {
		if (v->cpuid[i].function == leaf)
			return &v->cpuid[i];
	}
	return NULL;
}

/* CPUID may say 48 or 57 bits of linear address, or nothing. */
static bool cpuid_is_valid(const struct kvm_cpuid_entry2 *entries, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t linear_bits = entries[i].eax >> 8 & 0xff;

		if (entries[i].function == 0x80000008 && linear_bits != 0 && linear_bits != 48 &&
		        linear_bits != 57)
			return false;
	}
	return true;
}

static void bring_up_to_date(const struct kvm_vcpu *v, struct kvm_cpuid_entry2 *entries, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		cpu_cpuid_now(v->cpu, &entries[i]);
}

static bool same_cpuid(struct kvm_vcpu *v, const struct kvm_cpuid_entry2 *entries, uint32_t count)
{
	bool same = count == v->cpuid_count;

	bring_up_to_date(v, v->cpuid, v->cpuid_count);
	for (uint32_t i = 0; i < count && same; i++)
		same = memcmp(&entries[i], &v->cpuid[i], offsetof(struct kvm_cpuid_entry2, padding)) == 0;
	return same;
}

int kvm_vcpu_set_cpuid(void *object, void *arg, uintptr_t user)
{
	const struct kvm_cpuid2 *head = arg;
	struct kvm_vcpu *v = object;
	auto_free struct kvm_cpuid_entry2 *entries = NULL;
	size_t bytes;

	if (head->nent > KVM_CPUID_MAX)
		return -E2BIG;
	bytes = head->nent * sizeof(*entries);
	entries = calloc(head->nent + 1, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	if (object_copy_in(entries, user + sizeof(*head), bytes) < 0)
		return -EFAULT;
	bring_up_to_date(v, entries, head->nent);
	/* Once a vCPU has run its CPUID cannot change; setting the same again is allowed. */
	if (v->has_run)
		return same_cpuid(v, entries, head->nent) ? 0 : -EINVAL;
	if (!cpuid_is_valid(entries, head->nent))
		return -EINVAL;
	if (cpu_set_cpuid(v->cpu, entries, head->nent, NULL) < 0)
		return -ENOMEM;
	free(v->cpuid);
	v->cpuid = take_ptr(&entries);
	v->cpuid_count = head->nent;
	kvm_vcpu_lapic_cpuid_changed(v);
	return 0;
}

int kvm_vcpu_get_cpuid(void *object, void *arg, uintptr_t user)
{
	struct kvm_cpuid2 *head = arg;
	struct kvm_vcpu *v = object;

	if (head->nent < v->cpuid_count)
		return -E2BIG;
	head->nent = v->cpuid_count;
	bring_up_to_date(v, v->cpuid, v->cpuid_count);
	return object_copy_out(user + sizeof(*head), v->cpuid, v->cpuid_count * sizeof(*v->cpuid));
}

/* ---- MSRs ---- */

static bool access_msr(struct kvm_vcpu *v, bool write, struct kvm_msr_entry *e)
{
	uint64_t value = e->data;
	bool good;

	if (v->vm->platform->hooks->vcpu_hides_msr(v, e->index)) {
		e->data = write ? e->data : 0;
		return !kvm_vm_has_protected_state(v->vm);
	}
	if (write)
		good = cpu_msr_write(v->cpu, e->index, value, true);
	else
		good = cpu_msr_read(v->cpu, e->index, &value, true);
	if (!good)
		good = kvm_vcpu_msr(v, write, e->index, &value, true);
	e->data = value;
	return good;
}

/* Returns how many were done. The first that is refused ends the call. */
static int access_msrs(struct kvm_vcpu *v, bool write, const struct kvm_msrs *head, uintptr_t user)
{
	auto_free struct kvm_msr_entry *entries = NULL;
	size_t bytes = head->nmsrs * sizeof(*entries);
	uint32_t done = 0;

	if (head->nmsrs >= MSRS_MAX)
		return -E2BIG;
	entries = calloc(head->nmsrs + 1, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	if (object_copy_in(entries, user + sizeof(*head), bytes) < 0)
		return -EFAULT;
	while (done < head->nmsrs && access_msr(v, write, &entries[done]))
		done++;
	if (!write && object_copy_out(user + sizeof(*head), entries, bytes) < 0)
		return -EFAULT;
	return (int)done;
}

int kvm_vcpu_get_msrs(void *object, void *arg, uintptr_t user)
{
	return access_msrs(object, false, arg, user);
}

int kvm_vcpu_set_msrs(void *object, void *arg, uintptr_t user)
{
	return access_msrs(object, true, arg, user);
}

/* ---- events ---- */

/* Without KVM_CAP_EXCEPTION_PAYLOAD a pending exception is reported as injected. */
static void get_exception(const struct kvm_vcpu *v, struct kvm_vcpu_events *e)
{
	const struct cpu_event *event = &v->cpu->event;

	if (event->kind != CPU_EVENT_EXCEPTION)
		return;
	e->exception.pending = v->payload.pending;
	e->exception.injected = !v->payload.pending || !v->vm->has_payload;
	e->exception.nr = event->vector;
	e->exception.has_error_code = event->has_error;
	e->exception.error_code = event->error;
	e->exception_has_payload = v->payload.pending && v->payload.has;
	e->exception_payload = v->payload.value;
}

int kvm_vcpu_get_events(void *object, void *arg, uintptr_t user)
{
	struct kvm_vcpu_events *e = arg;
	struct kvm_vcpu *v = object;
	const struct cpu_event *event = &v->cpu->event;

	memset(e, 0, sizeof(*e));
	get_exception(v, e);
	/* KVM does not report an INT n that was interrupted, because the instruction runs again. */
	e->interrupt.injected = event->kind == CPU_EVENT_INTR;
	e->nmi.injected = event->kind == CPU_EVENT_NMI;
	if (e->interrupt.injected) {
		e->interrupt.nr = event->vector;
	} else if (!v->vm->chip && v->user_vector >= 0) {
		e->interrupt.injected = 1;
		e->interrupt.nr = (uint8_t)v->user_vector;
	}
	e->interrupt.shadow = v->cpu->shadow ? KVM_X86_SHADOW_INT_STI | KVM_X86_SHADOW_INT_MOV_SS : 0;
	e->nmi.pending = (uint8_t)cpu_nmis(v->cpu);
	e->nmi.masked = v->cpu->nmi_blocked;
	e->flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_SMM |
	           (v->vm->has_payload ? KVM_VCPUEVENT_VALID_PAYLOAD : 0);
	return 0;
}

static struct cpu_event event_of(const struct kvm_vcpu_events *e, bool pending)
{
	if (e->exception.injected || pending)
		return (struct cpu_event){.kind = CPU_EVENT_EXCEPTION,
		        .vector = e->exception.nr,
		        .has_error = e->exception.has_error_code,
		        .error = e->exception.error_code,
		        .given = true};
	if (e->interrupt.injected)
		return (struct cpu_event){.kind = e->interrupt.soft ? CPU_EVENT_SOFT : CPU_EVENT_INTR,
		        .vector = e->interrupt.nr};
	if (e->nmi.injected)
		return (struct cpu_event){.kind = CPU_EVENT_NMI, .vector = VECTOR_NMI};
	return (struct cpu_event){.kind = CPU_EVENT_NONE};
}

static int check_events(const struct kvm_vcpu *v, const struct kvm_vcpu_events *e, bool pending)
{
	const uint32_t known = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR |
	                       KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_SMM |
	                       KVM_VCPUEVENT_VALID_PAYLOAD;

	if (e->flags & ~known || (e->flags & KVM_VCPUEVENT_VALID_PAYLOAD && !v->vm->has_payload))
		return -EINVAL;
	if ((e->exception.injected || pending) &&
	        (e->exception.nr > VECTOR_EXCEPTION_MAX || e->exception.nr == VECTOR_NMI))
		return -EINVAL;
	if (e->flags & KVM_VCPUEVENT_VALID_SMM && (e->smi.smm || e->smi.pending)) /* there is no SMM */
		return -EINVAL;
	return 0;
}

/* kvm_vm.irq_lock is held. */
static void take_events(struct kvm_vcpu *v, const struct kvm_vcpu_events *e, bool pending)
{
	v->cpu->event = event_of(e, pending);
	v->payload.pending = pending;
	v->payload.has = pending && e->exception_has_payload;
	v->payload.value = e->exception_payload;
	if (!v->vm->chip)
		v->user_vector = -1; /* the VMM has just said which interrupt is injected */
	v->cpu->nmi_blocked = e->nmi.masked;
	if (e->flags & KVM_VCPUEVENT_VALID_SHADOW)
		v->cpu->shadow = e->interrupt.shadow;
	if (e->flags & KVM_VCPUEVENT_VALID_NMI_PENDING)
		cpu_set_nmis(v->cpu, e->nmi.pending);
	if (e->flags & KVM_VCPUEVENT_VALID_SIPI_VECTOR)
		v->sipi_vector = (uint8_t)e->sipi_vector;
	kvm_vcpu_interrupts_changed(v);
}

int kvm_vcpu_set_events(void *object, void *arg, uintptr_t user)
{
	const struct kvm_vcpu_events *e = arg;
	struct kvm_vcpu *v = object;
	bool pending = e->flags & KVM_VCPUEVENT_VALID_PAYLOAD && e->exception.pending;
	int result = check_events(v, e, pending);

	if (result < 0)
		return result;
	pthread_mutex_lock(&v->vm->irq_lock);
	take_events(v, e, pending);
	pthread_mutex_unlock(&v->vm->irq_lock);
	return 0;
}

void kvm_vcpu_deliver_payload(struct kvm_vcpu *v)
{
	if (v->payload.pending && v->payload.has && v->cpu->event.kind == CPU_EVENT_EXCEPTION) {
		if (v->cpu->event.vector == VECTOR_DB)
			v->cpu->debug_dr6 = v->payload.value;
		if (v->cpu->event.vector == VECTOR_PF)
			v->cpu->cr2 = v->payload.value;
	}
	v->payload.pending = false;
}

/* ---- run state ---- */

int kvm_vcpu_get_mp_state(void *object, void *arg, uintptr_t user)
{
	struct kvm_mp_state *state = arg;
	struct kvm_vcpu *v = object;

	pthread_mutex_lock(&v->vm->irq_lock);
	kvm_vcpu_take_requests(v, KVM_REQUESTS_OF_LAPIC);
	state->mp_state = v->mp_state;
	pthread_mutex_unlock(&v->vm->irq_lock);
	return 0;
}

int kvm_vcpu_set_mp_state(void *object, void *arg, uintptr_t user)
{
	const struct kvm_mp_state *state = arg;
	struct kvm_vcpu *v = object;

	if ((state->mp_state > KVM_MP_STATE_SIPI_RECEIVED && state->mp_state != KVM_MP_STATE_AP_RESET_HOLD) ||
	        (!v->vm->chip && state->mp_state != KVM_MP_STATE_RUNNABLE))
		return -EINVAL;
	pthread_mutex_lock(&v->vm->irq_lock);
	v->mp_state = state->mp_state;
	v->kicked &= state->mp_state != KVM_MP_STATE_RUNNABLE;
	v->wakeable = cpu_interruptible(v->cpu);
	if (state->mp_state == KVM_MP_STATE_SIPI_RECEIVED) {
		v->mp_state = KVM_MP_STATE_INIT_RECEIVED;
		kvm_vcpu_request(v, KVM_REQUEST_SIPI);
	}
	pthread_mutex_unlock(&v->vm->irq_lock);
	return 0;
}

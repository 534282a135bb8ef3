/* SPDX-License-Identifier: Apache-2.0 */
/*
 * share: two VMs and one encryption context. A mirror shares the context of its owner; a move takes the
 * context over. Any thread may call; the functions take the locks of both VMs. Law: api.rst,
 * KVM_CAP_VM_COPY_ENC_CONTEXT_FROM, KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM; Linux's arch/x86/kvm/svm/sev.c.
 */
#include <errno.h>
#include <string.h>

#include "decrypted.h"

/* Locks of one kind are taken in the order of their VMs' addresses, whichever of the two gives. */
static struct kvm_vm *lower(struct kvm_vm *a, struct kvm_vm *b)
{
	return a < b ? a : b;
}

static struct kvm_vm *upper(struct kvm_vm *a, struct kvm_vm *b)
{
	return a < b ? b : a;
}

/* Marks both VMs, so that no other move or copy uses them, and takes their locks. */
static int lock_two(struct kvm_vm *a, struct kvm_vm *b)
{
	if (a == b)
		return -EINVAL;
	if (atomic_exchange(&a->sev->migrating, true))
		return -EBUSY;
	if (atomic_exchange(&b->sev->migrating, true)) {
		atomic_store(&a->sev->migrating, false);
		return -EBUSY;
	}
	pthread_mutex_lock(&lower(a, b)->sev->lock);
	pthread_mutex_lock(&upper(a, b)->sev->lock);
	return 0;
}

static void unlock_two(struct kvm_vm *a, struct kvm_vm *b)
{
	pthread_mutex_unlock(&a->sev->lock);
	pthread_mutex_unlock(&b->sev->lock);
	atomic_store(&a->sev->migrating, false);
	atomic_store(&b->sev->migrating, false);
}

static int with_source(struct kvm_vm *vm, int fd, int (*work)(struct kvm_vm *vm, struct kvm_vm *source))
{
	struct kvm_vm *source;
	int result;

	source = kvm_vm_hold(vm->platform, fd);
	if (!source)
		return -EBADF;
	result = lock_two(vm, source);
	if (result == 0) {
		result = work(vm, source);
		unlock_two(vm, source);
	}
	kvm_vm_unref(source);
	return result;
}

/* ---- mirrors ---- */

/* KVM copies neither the features of VMSAs nor the version of the GHCB. */
static int copy(struct kvm_vm *vm, struct kvm_vm *source)
{
	struct sev_guest *to = vm->sev, *from = source->sev;
	int result = 0;

	if (vm->encrypted || !source->encrypted || sev_is_snp(source) || from->owner)
		return -EINVAL;
	pthread_mutex_lock(&vm->lock);
	if (atomic_load(&vm->vcpu_count)) {
		result = -EINVAL;
	} else {
		vm->encrypted = true;
		to->need_init = false;
		to->es = from->es;
		to->asid = from->asid;
		to->handle = from->handle;
		to->fd = from->fd;
		to->memory = sev_decrypted_share(from->memory);
		sev_bus_init(vm);
	}
	pthread_mutex_unlock(&vm->lock);
	if (result < 0)
		return result;
	pthread_mutex_lock(&vm->platform->lock);
	source->refs++;
	to->owner = source;
	pthread_mutex_unlock(&vm->platform->lock);
	return 0;
}

int sev_vm_copy_from(struct kvm_vm *vm, int source_fd)
{
	return with_source(vm, source_fd, copy);
}

/* ---- moves ---- */

/* A VM of SEV-ES needs as many vCPUs as the source has, and all of the source's must have a VMSA. */
static int check_vcpus(struct kvm_vm *vm, struct kvm_vm *source)
{
	unsigned count = atomic_load(&source->vcpu_count);

	if (!source->sev->es)
		return 0;
	if (atomic_load(&vm->vcpu_count) != count)
		return -EINVAL;
	for (unsigned i = 0; i < count; i++) {
		if (!source->vcpus[i]->protected)
			return -EINVAL;
	}
	return 0;
}

/* Gives a part to vCPUs that were made before the guest came. */
static int add_vcpu_parts(struct kvm_vm *vm)
{
	for (unsigned i = 0; i < atomic_load(&vm->vcpu_count); i++) {
		struct kvm_vcpu *v = vm->vcpus[i];

		if (!v->sev)
			v->sev = calloc(1, sizeof(*v->sev));
		if (!v->sev)
			return -ENOMEM;
	}
	return 0;
}

/*
 * The registers of a SEV-ES guest are in its VMSAs, which move. KVM's own copy of them does not move: the VMM
 * sees the registers of the vCPU that it made, and those of its FPU, which is not hidden.
 */
static void move_vcpus(struct kvm_vm *vm, struct kvm_vm *source)
{
	for (unsigned i = 0; source->sev->es && i < atomic_load(&vm->vcpu_count); i++) {
		struct kvm_vcpu *to = vm->vcpus[i], *from = source->vcpus[i];
		struct kvm_regs regs;
		struct kvm_sregs sregs;
		struct kvm_fpu fpu;

		sev_vcpu_keep_stale(to);
		cpu_get_regs(from->cpu, &regs);
		cpu_get_sregs(from->cpu, &sregs);
		cpu_get_fpu(from->cpu, &fpu);
		if (cpu_set_sregs(to->cpu, &sregs) < 0)
			log_warn("software platform: a vCPU did not take the control registers of the guest "
			         "that moved to it");
		cpu_set_regs(to->cpu, &regs);
		cpu_set_fpu(to->cpu, &fpu);
		to->sev->vmsa = take_ptr(&from->sev->vmsa);
		sev_ghcb_move(to, from);
		cpu_set_vc(to->cpu, from->cpu->vc);
		to->protected = true;
		from->protected = false;
	}
}

/* Mirrors of the source become mirrors of the VM. kvm_platform.lock is held. */
static void move_mirrors(struct kvm_vm *vm, struct kvm_vm *source)
{
	for (struct kvm_vm *m = vm->platform->vms; m; m = m->next) {
		if (m->sev && m->sev->owner == source) {
			m->sev->owner = vm;
			source->refs--;
			vm->refs++;
		}
	}
}

/*
 * Moves exactly what Linux's sev_migrate_from() moves. The number of /dev/sev stays behind, so commands on
 * the guest look up descriptor 0. A VM of the type SEV or SEV-ES still waits for a KVM_SEV_INIT2, which is
 * now refused, and so it never runs. Only guests of the VM type 0 survive a move.
 */
static void move_context(struct kvm_vm *vm, struct kvm_vm *source)
{
	struct sev_guest *to = vm->sev, *from = source->sev;

	vm->encrypted = true;
	to->es = from->es;
	to->asid = from->asid;
	to->handle = from->handle;
	to->vmsa_features = from->vmsa_features;
	to->pages_locked = from->pages_locked;
	to->regions = take_ptr(&from->regions);
	to->memory = take_ptr(&from->memory);
	pthread_mutex_lock(&vm->platform->lock);
	to->owner = take_ptr(&from->owner);
	move_mirrors(vm, source);
	pthread_mutex_unlock(&vm->platform->lock);
	source->encrypted = from->es = false;
	from->handle = from->asid = 0;
	from->pages_locked = 0;
	sev_bus_init(vm);
	source->bus.c_bit = 0;
	source->bus.viewed = false;
	atomic_store(&source->dead, true);
}

/* The charge moves with the ASID, because there is one cgroup. */
static int move(struct kvm_vm *vm, struct kvm_vm *source)
{
	int result;

	if (vm->type != source->type || vm->encrypted || !source->encrypted || sev_is_snp(source))
		return -EINVAL;
	result = check_vcpus(vm, source);
	if (result < 0)
		return result;
	result = add_vcpu_parts(vm);
	if (result < 0)
		return result;
	move_vcpus(vm, source);
	move_context(vm, source);
	return 0;
}

static unsigned lock_vcpus(struct kvm_vm *vm)
{
	unsigned count = atomic_load(&vm->vcpu_count);

	for (unsigned i = 0; i < count; i++)
		pthread_mutex_lock(&vm->vcpus[i]->lock);
	return count;
}

static void unlock_vcpus(struct kvm_vm *vm, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		pthread_mutex_unlock(&vm->vcpus[i]->lock);
}

/* Keeps the slots and the numbers of vCPUs of both VMs as they are. The vCPUs' locks are held already. */
static void lock_memory(struct kvm_vm *a, struct kvm_vm *b)
{
	pthread_mutex_lock(&lower(a, b)->lock);
	pthread_mutex_lock(&upper(a, b)->lock);
}

static void unlock_memory(struct kvm_vm *a, struct kvm_vm *b)
{
	pthread_mutex_unlock(&a->lock);
	pthread_mutex_unlock(&b->lock);
}

/* No vCPU of either VM runs meanwhile. If one was made before the locks were held, the result is -EBUSY. */
static int move_locked(struct kvm_vm *vm, struct kvm_vm *source)
{
	struct kvm_vm *one = lower(vm, source), *two = upper(vm, source);
	unsigned ones = lock_vcpus(one), twos = lock_vcpus(two);
	int result = -EBUSY;

	lock_memory(one, two);
	if (atomic_load(&one->vcpu_count) == ones && atomic_load(&two->vcpu_count) == twos)
		result = move(vm, source);
	unlock_memory(one, two);
	unlock_vcpus(two, twos);
	unlock_vcpus(one, ones);
	return result;
}

int sev_vm_move_from(struct kvm_vm *vm, int source_fd)
{
	return with_source(vm, source_fd, move_locked);
}

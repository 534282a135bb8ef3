/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sev_moves: what the kernel's own selftests demand of encryption contexts that move to another VM, or that
 * two VMs share, by calls of our own. The README says which check of theirs stands where. For hosts that have
 * SEV.
 */
#include <pthread.h>

#include "sev.h"

#define CHAIN 3

static int enable(struct sev_vm *v, uint32_t capability, const struct sev_vm *source)
{
	const struct kvm_enable_cap cap = {.cap = capability, .args[0] = (uint64_t)source->vm};

	return ask(v->abi, v->vm, KVM_ENABLE_CAP, &cap);
}

static int move(struct sev_vm *to, const struct sev_vm *from)
{
	return enable(to, KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM, from);
}

static int mirror(struct sev_vm *v, const struct sev_vm *owner)
{
	return enable(v, KVM_CAP_VM_COPY_ENC_CONTEXT_FROM, owner);
}

/* A VM of type 0, the only one that can be used once it was moved. Its launch is not finished. */
static void open_old(struct sev_vm *v, struct abi *abi, bool es)
{
	vm_open(v, abi, UAPI_VM_DEFAULT);
	quietly(v, es ? KVM_SEV_ES_INIT : KVM_SEV_INIT, NULL);
	add_vcpu(v);
	begin(v, es ? ABI_SEV_POLICY_ES : 0);
}

static void open_empty(struct sev_vm *v, struct abi *abi, bool with_vcpu)
{
	vm_open(v, abi, UAPI_VM_DEFAULT);
	if (with_vcpu)
		add_vcpu(v);
}

static void move_along(struct abi *abi, bool es)
{
	struct sev_vm first, chain[CHAIN];

	tell("- a chain of moves, %s", es ? "SEV-ES" : "SEV");
	open_old(&first, abi, es);
	for (unsigned i = 0; i < CHAIN; i++) {
		open_empty(&chain[i], abi, true);
		say(move(&chain[i], i ? &chain[i - 1] : &first), "move %u", i);
	}
	say(move(&first, &chain[CHAIN - 1]), "back to the first");
	for (unsigned i = 0; i < CHAIN; i++)
		vm_close(&chain[i]);
	vm_close(&first);
}

struct racer {
	struct sev_vm *vm, *all;
};

static void *race(void *arg)
{
	struct racer *racer = arg;

	for (unsigned i = 0; i < 10000; i++) {
		if (move(racer->vm, &racer->all[i % CHAIN]) == 0)
			tell("a vm with a context took another one");
	}
	return NULL;
}

/* No move is possible, since each has a context: what is tested is that the locks are taken in one order. */
static void move_at_once(struct abi *abi)
{
	struct sev_vm all[CHAIN];
	struct racer racers[CHAIN];
	pthread_t threads[CHAIN];

	tell("- moves in three threads");
	for (unsigned i = 0; i < CHAIN; i++)
		open_old(&all[i], abi, false);
	for (unsigned i = 0; i < CHAIN; i++) {
		racers[i] = (struct racer){&all[i], all};
		if (pthread_create(&threads[i], NULL, race, &racers[i]))
			give_up("a thread");
	}
	for (unsigned i = 0; i < CHAIN; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < CHAIN; i++)
		vm_close(&all[i]);
	tell("all have ended");
}

static void refusals(struct abi *abi)
{
	struct sev_vm sev, es, unmeasured, without, with;

	tell("- moves and mirrors that are refused");
	open_old(&sev, abi, false);
	open_old(&es, abi, true);
	vm_open(&unmeasured, abi, UAPI_VM_DEFAULT);
	quietly(&unmeasured, KVM_SEV_ES_INIT, NULL);
	add_vcpu(&unmeasured);
	open_empty(&without, abi, false);
	open_empty(&with, abi, true);
	say(move(&without, &with), "move of a vm without a context");
	say(move(&sev, &es), "move of SEV-ES to SEV");
	say(move(&es, &sev), "move of SEV to SEV-ES");
	say(move(&without, &es), "move of SEV-ES to a vm without vcpus");
	say(move(&with, &unmeasured), "move of SEV-ES before its VMSA");
	say(mirror(&sev, &sev), "mirror of itself");
	say(mirror(&without, &with), "mirror of a vm without a context");
	say(mirror(&with, &sev), "mirror that has a vcpu");
	say(mirror(&sev, &es), "mirror of SEV-ES by SEV");
	say(mirror(&es, &sev), "mirror of SEV by SEV-ES");
	vm_close(&with);
	vm_close(&without);
	vm_close(&unmeasured);
	vm_close(&es);
	vm_close(&sev);
}

static void mirror_commands(struct abi *abi, bool es)
{
	struct kvm_sev_guest_status status = {0};
	struct sev_vm owner, v;
	unsigned refused = 0;

	tell("- a mirror, %s", es ? "SEV-ES" : "SEV");
	open_old(&owner, abi, es);
	open_empty(&v, abi, false);
	say(mirror(&v, &owner), "mirror");
	add_vcpu(&v);
	if (es)
		command(&v, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, "VMSA");
	for (uint32_t id = 0; id < 104; id++) {
		struct kvm_sev_cmd cmd = {.id = id, .sev_fd = (uint32_t)v.sev};

		if (id != KVM_SEV_LAUNCH_UPDATE_VMSA && id != KVM_SEV_GUEST_STATUS &&
		        id != KVM_SEV_DBG_DECRYPT && id != KVM_SEV_DBG_ENCRYPT)
			refused += ask(abi, v.vm, KVM_MEMORY_ENCRYPT_OP, &cmd) < 0 && errno == EINVAL;
	}
	tell("%u of 100 other commands are EINVAL", refused);
	command(&v, KVM_SEV_GUEST_STATUS, &status, "status");
	vm_close(&v);
	vm_close(&owner);
}

/* Both the owner and its mirror are moved; then the vms are closed in this order or in the other one. */
static void move_both(struct abi *abi, bool mirrors_first)
{
	struct sev_vm owner, owner_to, copy, copy_to;

	tell("- moves of a mirror and its owner");
	open_old(&owner, abi, false);
	open_empty(&owner_to, abi, true);
	open_empty(&copy, abi, false);
	open_empty(&copy_to, abi, false);
	say(mirror(&copy, &owner), "mirror");
	say(move(&copy_to, &copy), "move of the mirror");
	say(move(&owner_to, &owner), "move of the owner");
	vm_close(mirrors_first ? &copy : &owner_to);
	vm_close(mirrors_first ? &copy_to : &owner);
	vm_close(mirrors_first ? &owner_to : &copy);
	vm_close(mirrors_first ? &owner : &copy_to);
}

static void run_moves(struct abi *abi)
{
	move_along(abi, false);
	move_along(abi, true);
	move_at_once(abi);
	refusals(abi);
	mirror_commands(abi, false);
	mirror_commands(abi, true);
	move_both(abi, false);
	move_both(abi, true);
}

const struct chapter chapter_sev_moves = {"sev-moves", run_moves, true};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain: tells the user of the program, on standard error, what its launches are: what each command has
 * measured, the digest at the end, and of each refusal what vmm says of its own. Any thread.
 * Law: amd-memory-encryption.rst; SNP ABI, SNP_LAUNCH_UPDATE.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <string.h>

#include "preload.h"
#include "vmm/launch.h"
#include "vmm/uapi.h"

#define SLOTS_MAX 512
#define VMSA_GPA  UINT64_C(0xfffffffff000) /* what a VMSA is measured at, as vmm measure shows it */

/* The memory of the program's VMs, since the older commands name it by the program's own addresses. */
static struct slot {
	int vm;
	uint32_t slot;
	uint64_t gpa, size, address; /* size 0: the row is free */
} slots[SLOTS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- memory ---- */

static struct slot *find_slot(int vm, uint32_t number)
{
	struct slot *unused = NULL;

	for (size_t i = 0; i < SLOTS_MAX; i++) {
		if (!slots[i].size)
			unused = unused ?: &slots[i];
		else if (slots[i].vm == vm && slots[i].slot == number)
			return &slots[i];
	}
	return unused;
}

/* The structure of KVM_SET_USER_MEMORY_REGION2 begins as that of the older call. */
static void note_slot(int vm, uintptr_t arg)
{
	struct kvm_userspace_memory_region region;
	struct slot *slot;

	if (!preload_copy(&region, arg, sizeof(region)))
		return;
	pthread_mutex_lock(&lock);
	slot = find_slot(vm, region.slot);
	if (slot)
		*slot = (struct slot){
		        vm, region.slot, region.guest_phys_addr, region.memory_size, region.userspace_addr};
	pthread_mutex_unlock(&lock);
}

void preload_explain_forget(int vm)
{
	if (!preload_explains())
		return;
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < SLOTS_MAX; i++) {
		if (slots[i].vm == vm)
			slots[i].size = 0;
	}
	pthread_mutex_unlock(&lock);
}

/* A thread that is not in the child may have held the lock. */
void preload_explain_forget_all(void)
{
	pthread_mutex_init(&lock, NULL);
	memset(slots, 0, sizeof(slots));
}

static uint64_t gpa_of(int vm, uint64_t address)
{
	uint64_t gpa = UINT64_MAX;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < SLOTS_MAX; i++) {
		const struct slot *s = &slots[i];

		if (s->size && s->vm == vm && address >= s->address && address - s->address < s->size)
			gpa = s->gpa + (address - s->address);
	}
	pthread_mutex_unlock(&lock);
	return gpa;
}

/* ---- what was measured ---- */

/* The guest that was launched last is the last one of its kind. */
static bool find_guest(bool snp, struct sim_guest_view *ret_view)
{
	struct sim_guest_view view;
	bool found = false;

	for (unsigned n = 0; preload_view(n, &view); n++) {
		if (view.snp != snp)
			continue;
		*ret_view = view;
		found = true;
	}
	return found;
}

static enum config_sev_type type_of(const struct sim_guest_view *view)
{
	const uint64_t es = 4; /* the bit of a SEV-ES guest in the policy of the older firmware commands */

	return view->snp ? CONFIG_SEV_SNP : view->policy & es ? CONFIG_SEV_ES : CONFIG_SEV;
}

static const char *const type_words[] = {
        [CONFIG_SEV] = "SEV", [CONFIG_SEV_ES] = "SEV-ES", [CONFIG_SEV_SNP] = "SEV-SNP"};

/* gpa UINT64_MAX: the program has not yet told KVM where the memory is. */
static void tell_row(bool snp, uint64_t gpa, uint64_t size, const char *type)
{
	unsigned long long pages = (size + PAGE_SIZE_BYTES - 1) / PAGE_SIZE_BYTES;
	struct sim_guest_view view;
	char digest[2 * sizeof(view.digest) + 1], at[24] = "-";

	if (!find_guest(snp, &view))
		return;
	hex_encode(view.digest, view.digest_bytes, digest);
	if (gpa != UINT64_MAX)
		snprintf(at, sizeof(at), "0x%llx", (unsigned long long)gpa);
	preload_say(
	        "measured %-14s %7llu page%s  %-10s  %s", at, pages, pages == 1 ? " " : "s", type, digest);
}

static void tell_update(int vm, const struct kvm_sev_cmd *cmd)
{
	struct kvm_sev_launch_update_data data;

	if (preload_copy(&data, (uintptr_t)cmd->data, sizeof(data)))
		tell_row(false, gpa_of(vm, data.uaddr), data.len, "normal");
}

static void tell_snp_update(const struct uapi_sev_snp_launch_update *asked)
{
	static const char *const types[] = {[1] = "normal",
	        [2] = "vmsa",
	        [3] = "zero",
	        [4] = "unmeasured",
	        [5] = "secrets",
	        [6] = "cpuid"};
	const char *type = asked->type < ARRAY_LEN(types) ? types[asked->type] : NULL;

	tell_row(true, asked->gfn_start * PAGE_SIZE_BYTES, asked->len, type ?: "unknown");
}

static void tell_end(bool snp)
{
	struct sim_guest_view view;
	char digest[2 * sizeof(view.digest) + 1];

	if (!find_guest(snp, &view))
		return;
	hex_encode(view.digest, view.digest_bytes, digest);
	preload_say("launched a %s guest, policy 0x%llx, digest %s", type_words[type_of(&view)],
	        (unsigned long long)view.policy, digest);
}

static void tell_success(int vm, const struct preload_command *command)
{
	switch (command->cmd.id) {
	case KVM_SEV_LAUNCH_UPDATE_DATA: tell_update(vm, &command->cmd); break;
	case KVM_SEV_LAUNCH_UPDATE_VMSA: tell_row(false, VMSA_GPA, PAGE_SIZE_BYTES, "vmsa"); break;
	case UAPI_SEV_SNP_LAUNCH_UPDATE: tell_snp_update(&command->update); break;
	case KVM_SEV_LAUNCH_FINISH: tell_end(false); break;
	case UAPI_SEV_SNP_LAUNCH_FINISH: tell_end(true); break;
	default: break;
	}
}

/* ---- what was refused ---- */

/* Programs ask with an empty buffer how large it has to be. */
static bool is_question(const struct kvm_sev_cmd *cmd)
{
	const uint32_t invalid_len = 4;

	return cmd->error == invalid_len &&
	       (cmd->id == KVM_SEV_LAUNCH_MEASURE || cmd->id == KVM_SEV_GET_ATTESTATION_REPORT ||
	               cmd->id == KVM_SEV_SEND_START || cmd->id == KVM_SEV_SEND_UPDATE_DATA);
}

static enum config_sev_type type_of_command(int vm, uint32_t id)
{
	unsigned type = preload_vm_type(vm);
	struct sim_guest_view view;

	if (type == UAPI_VM_SNP)
		return CONFIG_SEV_SNP;
	if (type == UAPI_VM_SEV_ES || id == KVM_SEV_ES_INIT)
		return CONFIG_SEV_ES;
	return find_guest(false, &view) ? type_of(&view) : CONFIG_SEV;
}

static void tell_refusal(int vm, const struct kvm_sev_cmd *cmd, int sys)
{
	auto_free struct facts *facts = calloc(1, sizeof(*facts));
	struct err err;

	if (!facts || is_question(cmd))
		return;
	preload_facts(facts);
	launch_explain_command(cmd->id, type_of_command(vm, cmd->id), facts, sys, cmd->error, &err);
	preload_say("%s", err.text);
}

/* ---- calls ---- */

bool preload_explain_begin(unsigned long request, const void *arg, struct preload_command *ret_command)
{
	if (request == KVM_SET_USER_MEMORY_REGION || request == UAPI_SET_USER_MEMORY_REGION2)
		return true;
	if (request != KVM_MEMORY_ENCRYPT_OP ||
	        !preload_copy(&ret_command->cmd, (uintptr_t)arg, sizeof(ret_command->cmd)))
		return false;
	return ret_command->cmd.id != UAPI_SEV_SNP_LAUNCH_UPDATE ||
	       preload_copy(
	               &ret_command->update, (uintptr_t)ret_command->cmd.data, sizeof(ret_command->update));
}

void preload_explain_end(
        int fd, unsigned long request, const void *arg, struct preload_command *command, int result, int sys)
{
	if (request != KVM_MEMORY_ENCRYPT_OP) {
		if (result == 0)
			note_slot(fd, (uintptr_t)arg);
	} else if (result == 0) {
		tell_success(fd, command);
	} else if (preload_copy(&command->cmd, (uintptr_t)arg, sizeof(command->cmd))) {
		tell_refusal(fd, &command->cmd, sys);
	}
}

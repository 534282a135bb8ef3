/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_kernel: a host that answers as a kernel with a secure processor would, from a few facts and without
 * checking the order of calls: it records the calls, and refuses those that a test tells it to refuse. Guests
 * do not run on it. Written from the kernel's documents alone; one guest at a time.
 */
#ifndef VMM_TEST_FAKE_KERNEL_H
#define VMM_TEST_FAKE_KERNEL_H

#include <errno.h>
#include <linux/kvm.h>
#include <linux/psp-sev.h>
#include <string.h>

#include "vmm/abi/id_block.h"
#include "vmm/abi/snp.h"
#include "vmm/abi/vmsa.h"
#include "vmm/host.h"
#include "vmm/uapi.h"

#define FAKE_LINES_MAX 400
#define FAKE_FD        900 /* its descriptors count up from here: none of them is real */
#define FAKE_VCPUS_MAX 64

/* A wrong answer to give. */
struct fake_refusal {
	unsigned long request; /* of an ioctl; 0: open of a path */
	uint32_t command;      /* of KVM_MEMORY_ENCRYPT_OP and SEV_ISSUE_CMD */
	const char *path;
	int sys;
	uint32_t fw;
	unsigned skip;  /* how many answers are right before it */
	unsigned times; /* how often it is given; 0: from then on, always */
};

struct fake_kernel {
	struct host host;

	/* Facts. */
	int vm_types, memory_attributes, guest_memfd, exit_hypercall;
	bool old;            /* Linux before 6.10: no attributes of SEV, no KVM_SEV_INIT2 */
	bool no_policy_bits; /* Linux 6.11 to 6.18: no such attribute */
	bool no_req_certs;   /* Linux before 7.0: nobody asks for certificates */
	bool very_old_psp;   /* no SNP_PLATFORM_STATUS */
	bool no_msr_exits;   /* no KVM_CAP_X86_USER_SPACE_MSR */
	bool no_mirrors;     /* no KVM_CAP_VM_COPY_ENC_CONTEXT_FROM */
	uint64_t vmsa_features, policy_bits;
	uint32_t sev_eax, asid_max, asid_min, signature;
	struct sev_user_data_status status;
	struct uapi_sev_snp_status snp;
	uint32_t partial_pages; /* LAUNCH_UPDATE does so many at a time; 0: all */
	bool no_progress;
	uint8_t state_lie; /* added to GUEST_STATUS */
	/* The firmware changes this CPUID leaf's EBX to right_ebx, and refuses a page with another value. */
	uint32_t wrong_leaf, right_ebx;
	bool garble_cpuid; /* and its answer is no page */

	/* Behaviour. */
	struct fake_refusal refusal;
	void (*on_update)(struct fake_kernel *k, const struct uapi_sev_snp_launch_update *update);
	int (*on_run)(struct fake_kernel *k); /* answers KVM_RUN; NULL: it returns without an exit reason */

	/* A record of the calls. */
	int next_fd, open_fds;
	uint8_t guest_state;
	uint32_t policy;
	unsigned vcpus;
	struct kvm_regs regs[FAKE_VCPUS_MAX];
	struct kvm_sregs sregs[FAKE_VCPUS_MAX];
	int vcpu_fds[FAKE_VCPUS_MAX];
	struct uapi_sev_snp_launch_finish finish;
	struct abi_id_block block;
	uint8_t secret[64];
	union {
		struct kvm_run run;
		uint8_t run_pages[3 * 4096]; /* what is mapped of a vCPU */
	};
	char lines[FAKE_LINES_MAX][48]; /* the secure processor's commands, in their order */
	unsigned count;
};

static inline void fake_note(struct fake_kernel *k, const char *what, uint64_t number)
{
	if (k->count < FAKE_LINES_MAX)
		snprintf(k->lines[k->count++], sizeof(k->lines[0]), "%s 0x%llx", what,
		        (unsigned long long)number);
}

static inline int fake_new_fd(struct fake_kernel *k)
{
	k->open_fds++;
	return k->next_fd++;
}

static inline bool fake_is_refused(
        struct fake_kernel *k, unsigned long request, uint32_t command, uint32_t *ret_fw)
{
	struct fake_refusal *r = &k->refusal;
	bool firmware = request == KVM_MEMORY_ENCRYPT_OP || request == SEV_ISSUE_CMD;

	if (!r->sys || r->path || r->request != request || (firmware && r->command != command) ||
	        r->skip-- > 0)
		return false;
	r->skip = 0;
	*ret_fw = r->fw;
	errno = r->sys;
	if (r->times && --r->times == 0)
		r->sys = 0;
	return true;
}

static inline int fake_open(struct host *h, const char *path, int flags)
{
	struct fake_kernel *k = (struct fake_kernel *)h;

	if (k->refusal.path && strcmp(k->refusal.path, path) == 0 && k->refusal.skip-- == 0) {
		k->refusal.skip = 0;
		errno = k->refusal.sys;
		return -1;
	}
	return fake_new_fd(k);
}

static inline int fake_close(struct host *h, int fd)
{
	struct fake_kernel *k = (struct fake_kernel *)h;

	if (fd >= FAKE_FD)
		k->open_fds--;
	return 0;
}

static inline int fake_capability(const struct fake_kernel *k, uintptr_t capability)
{
	switch (capability) {
	case UAPI_CAP_VM_TYPES: return k->vm_types;
	case UAPI_CAP_MEMORY_ATTRIBUTES: return k->memory_attributes;
	case UAPI_CAP_GUEST_MEMFD: return k->guest_memfd;
	case KVM_CAP_EXIT_HYPERCALL: return k->exit_hypercall;
	case KVM_CAP_X86_USER_SPACE_MSR: return !k->no_msr_exits;
	case KVM_CAP_VM_COPY_ENC_CONTEXT_FROM: return !k->no_mirrors;
	default: return 1;
	}
}

static inline int fake_cpuid(const struct fake_kernel *k, struct kvm_cpuid2 *cpuid)
{
	const struct kvm_cpuid_entry2 entries[] = {
	        {.function = 0, .eax = 0x10, .ebx = 0x68747541, .edx = 0x69746e65, .ecx = 0x444d4163},
	        {.function = 1, .eax = k->signature, .edx = 0x178bfbff, .ecx = 0x01000000},
	        {.function = 0x80000000, .eax = 0x80000021},
	        {.function = 0x80000001, .edx = 0x20100800},
	        {.function = 0x80000008, .eax = 0x3030},
	        {.function = 0x8000001f,
	                .eax = k->sev_eax,
	                .ebx = 51 | 5 << 6,
	                .ecx = k->asid_max,
	                .edx = k->asid_min},
	};

	memcpy(cpuid->entries, entries, sizeof(entries));
	cpuid->nent = sizeof(entries) / sizeof(entries[0]);
	return 0;
}

static inline int fake_attribute(const struct fake_kernel *k, const struct kvm_device_attr *attr)
{
	const uint64_t values[] = {k->vmsa_features, k->policy_bits, 1};

	if (k->old || attr->group != 1 || attr->attr > 2 || (k->no_policy_bits && attr->attr == 1) ||
	        (k->no_req_certs && attr->attr == 2)) {
		errno = ENXIO;
		return -1;
	}
	memcpy((void *)(uintptr_t)attr->addr, &values[attr->attr], 8);
	return 0;
}

static inline int fake_fail(int sys)
{
	errno = sys;
	return -1;
}

/* Accepts a CPUID page as the firmware wants it, or refuses it and corrects it. */
static inline bool fake_cpuid_is_wrong(struct fake_kernel *k, struct abi_cpuid_page *page)
{
	if (k->garble_cpuid) {
		page->count = 77;
		return true;
	}
	for (uint32_t i = 0; k->wrong_leaf && i < page->count; i++) {
		if (page->entries[i].eax_in == k->wrong_leaf && page->entries[i].ebx != k->right_ebx) {
			page->entries[i].ebx = k->right_ebx;
			return true;
		}
	}
	return false;
}

static inline int fake_snp_update(
        struct fake_kernel *k, struct uapi_sev_snp_launch_update *update, uint32_t *fw)
{
	uint64_t done = update->len;

	fake_note(k, "SNP_LAUNCH_UPDATE", update->gfn_start);
	if (update->uaddr % 4096 || !update->len || update->len % 4096 || !update->uaddr)
		return fake_fail(EINVAL);
	if (update->type == ABI_PAGE_CPUID && fake_cpuid_is_wrong(k, (void *)(uintptr_t)update->uaddr)) {
		*fw = 0x16;
		return fake_fail(EIO);
	}
	if (k->no_progress)
		return 0;
	if (k->on_update)
		k->on_update(k, update);
	if (k->partial_pages && done > k->partial_pages * UINT64_C(4096))
		done = k->partial_pages * UINT64_C(4096);
	update->gfn_start += done / 4096;
	if (update->type != ABI_PAGE_ZERO)
		update->uaddr += done;
	update->len -= done;
	return 0;
}

static inline int fake_guest_status(struct fake_kernel *k, struct kvm_sev_guest_status *status)
{
	*status = (struct kvm_sev_guest_status){
	        .handle = 1, .policy = k->policy, .state = k->guest_state + k->state_lie};
	return 0;
}

static inline int fake_measure(struct fake_kernel *k, struct kvm_sev_launch_measure *measure)
{
	fake_note(k, "LAUNCH_MEASURE", measure->len);
	memset((void *)(uintptr_t)measure->uaddr, 0x5a, 48);
	measure->len = 48;
	k->guest_state = 2;
	return 0;
}

static inline int fake_secret(struct fake_kernel *k, const struct kvm_sev_launch_secret *secret)
{
	fake_note(k, "LAUNCH_SECRET", secret->guest_len);
	memcpy(k->secret, (void *)(uintptr_t)secret->trans_uaddr,
	        secret->trans_len < sizeof(k->secret) ? secret->trans_len : sizeof(k->secret));
	return 0;
}

static inline int fake_snp_finish(struct fake_kernel *k, const struct uapi_sev_snp_launch_finish *finish)
{
	fake_note(k, "SNP_LAUNCH_FINISH", finish->id_block_en);
	k->finish = *finish;
	if (finish->id_block_en)
		memcpy(&k->block, (void *)(uintptr_t)finish->id_block_uaddr, sizeof(k->block));
	return 0;
}

/* A command that the firmware takes in one state alone. */
static inline int fake_move(struct fake_kernel *k, const char *name, uint8_t from, uint8_t to, uint32_t *fw)
{
	fake_note(k, name, k->guest_state);
	if (k->guest_state != from) {
		*fw = 2;
		return fake_fail(EIO);
	}
	k->guest_state = to;
	return 0;
}

static inline int fake_send_start(struct fake_kernel *k, struct kvm_sev_send_start *start, uint32_t *fw)
{
	start->policy = k->policy;
	memset((void *)(uintptr_t)start->session_uaddr, 0x5e, start->session_len);
	return fake_move(k, "SEND_START", 3, 4, fw);
}

/* A packet is the page, and its header tells nothing. */
static inline int fake_packet(struct fake_kernel *k, const char *name, uint64_t from, uint64_t to,
        uint32_t size, uint8_t state, uint32_t *fw)
{
	memcpy((void *)(uintptr_t)to, (void *)(uintptr_t)from, size);
	return fake_move(k, name, state, state, fw);
}

static inline int fake_move_command(struct fake_kernel *k, struct kvm_sev_cmd *cmd)
{
	void *data = (void *)(uintptr_t)cmd->data;
	struct kvm_sev_send_update_data *send = data;
	struct kvm_sev_receive_update_data *receive = data;

	switch (cmd->id) {
	case KVM_SEV_SEND_START: return fake_send_start(k, data, &cmd->error);
	case KVM_SEV_SEND_UPDATE_DATA:
		return fake_packet(k, "SEND_UPDATE_DATA", send->guest_uaddr, send->trans_uaddr,
		        send->guest_len, 4, &cmd->error);
	case KVM_SEV_SEND_CANCEL: return fake_move(k, "SEND_CANCEL", 4, 3, &cmd->error);
	case KVM_SEV_SEND_FINISH: return fake_move(k, "SEND_FINISH", 4, 6, &cmd->error);
	case KVM_SEV_RECEIVE_START:
		k->policy = ((struct kvm_sev_receive_start *)data)->policy;
		((struct kvm_sev_receive_start *)data)->handle = 8;
		return fake_move(k, "RECEIVE_START", 0, 5, &cmd->error);
	case KVM_SEV_RECEIVE_UPDATE_DATA:
		return fake_packet(k, "RECEIVE_UPDATE_DATA", receive->trans_uaddr, receive->guest_uaddr,
		        receive->guest_len, 5, &cmd->error);
	case KVM_SEV_RECEIVE_FINISH: return fake_move(k, "RECEIVE_FINISH", 5, 3, &cmd->error);
	default: return fake_fail(EINVAL);
	}
}

static inline int fake_guest_command(struct fake_kernel *k, struct kvm_sev_cmd *cmd)
{
	void *data = (void *)(uintptr_t)cmd->data;

	switch (cmd->id) {
	case KVM_SEV_INIT: fake_note(k, "INIT", 0); return 0;
	case KVM_SEV_ES_INIT: fake_note(k, "ES_INIT", 0); return 0;
	case UAPI_SEV_INIT2: fake_note(k, "INIT2", ((struct uapi_sev_init *)data)->vmsa_features); return 0;
	case KVM_SEV_LAUNCH_START:
		k->policy = ((struct kvm_sev_launch_start *)data)->policy;
		k->guest_state = 1;
		fake_note(k, "LAUNCH_START", k->policy);
		return 0;
	case KVM_SEV_LAUNCH_UPDATE_DATA:
		fake_note(k, "LAUNCH_UPDATE_DATA", ((struct kvm_sev_launch_update_data *)data)->len);
		return 0;
	case KVM_SEV_LAUNCH_UPDATE_VMSA: fake_note(k, "LAUNCH_UPDATE_VMSA", k->vcpus); return 0;
	case KVM_SEV_LAUNCH_MEASURE: return fake_measure(k, data);
	case KVM_SEV_LAUNCH_SECRET: return fake_secret(k, data);
	case KVM_SEV_LAUNCH_FINISH:
		k->guest_state = 3;
		fake_note(k, "LAUNCH_FINISH", 0);
		return 0;
	case KVM_SEV_GUEST_STATUS:
		fake_note(k, "GUEST_STATUS", k->guest_state);
		return fake_guest_status(k, data);
	case UAPI_SEV_SNP_ENABLE_REQ_CERTS:
		fake_note(k, "SNP_ENABLE_REQ_CERTS", k->vcpus);
		return k->no_req_certs || k->vcpus ? fake_fail(EINVAL) : 0;
	case UAPI_SEV_SNP_LAUNCH_START:
		fake_note(k, "SNP_LAUNCH_START", ((struct uapi_sev_snp_launch_start *)data)->policy);
		return 0;
	case UAPI_SEV_SNP_LAUNCH_UPDATE: return fake_snp_update(k, data, &cmd->error);
	case UAPI_SEV_SNP_LAUNCH_FINISH: return fake_snp_finish(k, data);
	default: return fake_move_command(k, cmd);
	}
}

static inline int fake_platform_command(struct fake_kernel *k, struct sev_issue_cmd *cmd)
{
	void *data = (void *)(uintptr_t)cmd->data;

	switch (cmd->cmd) {
	case SEV_PLATFORM_STATUS: *(struct sev_user_data_status *)data = k->status; return 0;
	case UAPI_SNP_PLATFORM_STATUS:
		if (k->very_old_psp)
			return fake_fail(EINVAL);
		*(struct uapi_sev_snp_status *)data = k->snp;
		return 0;
	default: return fake_fail(EINVAL);
	}
}

static inline int fake_vcpu_of(const struct fake_kernel *k, int fd)
{
	for (unsigned i = 0; i < k->vcpus; i++) {
		if (k->vcpu_fds[i] == fd)
			return (int)i;
	}
	return 0;
}

static inline int fake_ioctl(struct host *h, int fd, unsigned long request, void *arg)
{
	struct fake_kernel *k = (struct fake_kernel *)h;
	struct kvm_sev_cmd *guest = request == KVM_MEMORY_ENCRYPT_OP ? arg : NULL;
	struct sev_issue_cmd *platform = request == SEV_ISSUE_CMD ? arg : NULL;
	uint32_t fw = 0;

	if (fake_is_refused(k, request, guest ? guest->id : platform ? platform->cmd : 0, &fw)) {
		if (guest)
			guest->error = fw;
		if (platform)
			platform->error = fw;
		return -1;
	}
	switch (request) {
	case KVM_GET_API_VERSION: return KVM_API_VERSION;
	case KVM_RUN: return k->on_run ? k->on_run(k) : 0;
	case KVM_CHECK_EXTENSION: return fake_capability(k, (uintptr_t)arg);
	case KVM_GET_VCPU_MMAP_SIZE: return sizeof(k->run_pages);
	case KVM_GET_SUPPORTED_CPUID: return fake_cpuid(k, arg);
	case KVM_GET_DEVICE_ATTR: return fake_attribute(k, arg);
	case KVM_CREATE_VM:
		fake_note(k, "CREATE_VM", (uintptr_t)arg);
		k->vcpus = 0;
		return fake_new_fd(k);
	case KVM_CREATE_VCPU: k->vcpu_fds[k->vcpus] = fake_new_fd(k); return k->vcpu_fds[k->vcpus++];
	case UAPI_CREATE_GUEST_MEMFD: return fake_new_fd(k);
	case KVM_MEMORY_ENCRYPT_REG_REGION:
		fake_note(k, "REG_REGION", ((struct kvm_enc_region *)arg)->size);
		return 0;
	case UAPI_SET_MEMORY_ATTRIBUTES:
		fake_note(k, ((struct uapi_memory_attributes *)arg)->attributes ? "PRIVATE" : "SHARED",
		        ((struct uapi_memory_attributes *)arg)->address);
		return 0;
	case KVM_SET_REGS: k->regs[fake_vcpu_of(k, fd)] = *(struct kvm_regs *)arg; return 0;
	case KVM_SET_SREGS: k->sregs[fake_vcpu_of(k, fd)] = *(struct kvm_sregs *)arg; return 0;
	case KVM_GET_SREGS:
		memset(arg, 0, sizeof(struct kvm_sregs));
		((struct kvm_sregs *)arg)->apic_base = 0xfee00900;
		return 0;
	case KVM_MEMORY_ENCRYPT_OP: return fake_guest_command(k, arg);
	case SEV_ISSUE_CMD: return fake_platform_command(k, arg);
	default: return 0;
	}
}

static inline void *fake_mmap(
        struct host *h, void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	return fd >= FAKE_FD ? &((struct fake_kernel *)h)->run : mmap(addr, length, prot, flags, fd, offset);
}

static inline int fake_munmap(struct host *h, void *addr, size_t length)
{
	return addr == &((struct fake_kernel *)h)->run ? 0 : munmap(addr, length);
}

static inline int fake_fallocate(struct host *h, int fd, int mode, off_t offset, off_t length)
{
	return 0;
}

static const struct host_ops fake_ops = {
        .name = "fake",
        .open = fake_open,
        .close = fake_close,
        .ioctl = fake_ioctl,
        .mmap = fake_mmap,
        .munmap = fake_munmap,
        .fallocate = fake_fallocate,
};

/* A Milan with Linux 7: everything offered. */
static inline void fake_start(struct fake_kernel *k)
{
	*k = (struct fake_kernel){
	        .host.ops = &fake_ops,
	        .vm_types = 0x1d,
	        .memory_attributes = 8,
	        .guest_memfd = 1,
	        .exit_hypercall = 1 << 12,
	        .vmsa_features = ABI_FEATURE_DEBUG_SWAP,
	        .policy_bits = 0x1bffff,
	        .sev_eax = 0x1f,
	        .asid_max = 509,
	        .asid_min = 100,
	        .signature = 0xa00f11,
	        .status = {.api_major = 1, .api_minor = 55, .build = 21, .state = 1},
	        .snp = {.api_major = 1, .api_minor = 55, .state = 1, .rmp_init = 1, .build_id = 21},
	        .next_fd = FAKE_FD,
	};
}

#endif

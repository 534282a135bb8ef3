/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest: the state that a VM and its vCPUs have in addition to KVM's when their memory is encrypted (struct
 * kvm_sev_info of the kernel). Law: Documentation/virt/kvm/x86/amd-memory-encryption.rst.
 */
#ifndef SEV_GUEST_H
#define SEV_GUEST_H

#include "ghcb.h"
#include "kvm/hooks.h"
#include "platform.h"

/* A range of memory that the VMM registered (KVM_MEMORY_ENCRYPT_REG_REGION). */
struct sev_region {
	struct sev_region *next;
	uint64_t address, size;
};

struct sev_guest {
	pthread_mutex_t lock; /* protects all below and kvm_vm.encrypted; stands for the kernel's kvm->lock */
	bool es;              /* SEV-SNP is in vmsa_features: sev_is_snp() */
	bool need_init;       /* of a VM type with SEV, until KVM_SEV_INIT2 */
	bool req_certs;
	uint32_t asid;
	uint32_t handle; /* of the firmware; 0: not started */
	uint32_t gctx;   /* SNP: its context; 0: none */
	int fd;          /* of /dev/sev, as a number: looked up again by each command */
	uint64_t vmsa_features;
	uint16_t ghcb_version;
	_Atomic uint64_t jump_table; /* an address that the guest's firmware keeps here for its kernel */
	uint64_t pages_locked, pages_lockable; /* the second is the limit of the first */
	struct sev_region *regions;
	struct sev_decrypted *memory; /* shared with mirrors; NULL: SNP, or none */

	pthread_mutex_t request_lock;      /* taken after kvm_vcpu.lock: one guest request at a time */
	uint8_t response[PAGE_SIZE_BYTES]; /* request_lock; the last answer of the secure processor */

	/* kvm_platform.lock */
	struct kvm_vm *owner;   /* of a mirror; NULL: this VM is not a mirror */
	_Atomic bool migrating; /* in another move or copy */
};

struct sev_held {
	struct sev_page *page;
	bool written;
};

#define SEV_SEEN 1024u
struct sev_seen {
	uintptr_t host; /* 0: none */
	uint64_t tag;   /* its age, see decrypted.c */
	uint8_t *plain;
	uint64_t saves; /* it may be written until the vCPU's number of saves is another one */
};
#define SEV_SEEN_READ UINT64_MAX /* in saves: it may only be read */

#define SEV_FXSAVE_BYTES 512

#define SEV_NO_VMSA UINT64_MAX

/* SEV-SNP: the VMSA that the guest made for a vCPU by AP creation (guest_vmsa.c). */
struct sev_guest_vmsa {
	bool waiting;     /* kvm_vm.irq_lock: the next INIT takes pending */
	uint64_t pending; /* kvm_vm.irq_lock: guest-physical; SEV_NO_VMSA: the vCPU is to stop */
	bool taken;       /* never again the one of the launch */
	bool loaded;      /* its registers are in the processor */
	uint64_t gpa;     /* if taken; SEV_NO_VMSA: none */
};

struct sev_vcpu {
	struct abi_vmsa *vmsa;
	bool fpu_hidden; /* the FPU's registers are the guest's, too: fpstate_is_confidential() of the kernel
	                  */
	/* Of SEV and SEV-ES: the decrypted pages that it holds in this turn (decrypted.c). */
	uint64_t turn, saves, sweeps, turn_ns, written_ns;
	bool in_turn, will_sweep, has_written;
	struct sev_held *held;
	unsigned held_count, held_room;
	struct sev_seen seen[SEV_SEEN]; /* by address: the latest of them */
	struct sev_ghcb ghcb;
	struct sev_guest_vmsa guest_vmsa;
	/*
	 * Of a protected vCPU: KVM's own copy. The VMM may still read and write it, without effect on the
	 * guest. The general registers have what the last VMGEXIT was about.
	 */
	struct {
		struct kvm_regs regs;
		struct kvm_debugregs debugregs;
		uint64_t xcr0;
		uint8_t fxsave[SEV_FXSAVE_BYTES], ymm[CPU_YMM_BYTES];
	} stale;
};

/* The table that kvm/ gets: the functions below, and those of the other headers in this folder. */
extern const struct kvm_hooks sev_hooks;

/* Returns the VM's secure processor. NULL: there is none, and so no VM has an encryption context. */
static inline struct sev_platform *sev_platform_of(const struct kvm_vm *vm)
{
	return vm->platform->secure;
}

/*
 * Is the guest a SEV-SNP guest since KVM_SEV_INIT2 (sev_snp_guest() of KVM)? A VM of the type SEV-SNP that
 * mirrors a SEV-ES guest is not.
 */
bool sev_is_snp(const struct kvm_vm *vm);

/* ---- for struct kvm_hooks, which says more ---- */

int sev_vm_create(struct kvm_vm *vm);
void sev_vm_destroy(struct kvm_vm *vm);
int sev_vm_command(struct kvm_vm *vm, uintptr_t user);
int sev_vm_register(struct kvm_vm *vm, uintptr_t user);
int sev_vm_unregister(struct kvm_vm *vm, uintptr_t user);
int sev_vm_copy_from(struct kvm_vm *vm, int source_fd);
int sev_vm_move_from(struct kvm_vm *vm, int source_fd);
int sev_vcpu_create(struct kvm_vcpu *v);
void sev_vcpu_destroy(struct kvm_vcpu *v);
bool sev_vcpu_msr(struct kvm_vcpu *v, bool write, uint32_t index, uint64_t *value);
bool sev_vcpu_msr_intercepted(void *ctx, bool write, uint32_t index); /* struct cpu_bus */
bool sev_vcpu_hides_msr(const struct kvm_vcpu *v, uint32_t index);
int sev_vcpu_pre_run(struct kvm_vcpu *v);
int sev_vcpu_enter(struct kvm_vcpu *v);
void sev_vcpu_init(struct kvm_vcpu *v);
bool sev_vcpu_call(struct kvm_vcpu *v, unsigned long request, uintptr_t user, int *ret_result);
void sev_vcpu_set_regs(struct kvm_vcpu *v, const struct kvm_regs *regs);
int sev_vcpu_leave_fault(struct kvm_vcpu *v);

/*
 * Lets the processor raise #VC, because its registers are the guest's from now on. features: sev_features of
 * its VMSA.
 */
void sev_vcpu_set_vc(struct kvm_vcpu *v, uint64_t features);
/*
 * Loads the registers of the VMSA that the guest chose, if they are not loaded yet. Returns false if there is
 * no such VMSA, or if the processor refuses it.
 */
bool sev_guest_vmsa_enter(struct kvm_vcpu *v);
/* Copies the registers as they are; the VMM sees this copy from now on. kvm_vcpu.lock is held. */
void sev_vcpu_keep_stale(struct kvm_vcpu *v);

#endif

/*
 * sev: the kernel's half of SEV on the software platform: what a VM has beside memory and vCPUs, the ASIDs,
 * the misc cgroup. What the firmware does is psp/. Law: Documentation/virt/kvm/x86/amd-memory-encryption.rst,
 * cgroup-v2.rst (misc).
 */
#ifndef SIM_SEV_H
#define SIM_SEV_H

#include "psp/psp.h"
#include "sim.h"
#include "vmm/abi/policy.h"

/* ---- the processor (platform.c) ---- */

/* A product that it can be. */
struct sev_product {
	const char *name;
	bool es, snp;
	uint64_t vmsa_features; /* what KVM offers in KVM_X86_SEV_VMSA_FEATURES */
	uint64_t tcb;
	struct sim_firmware firmware; /* if the options name none */
};

enum sev_asid_kind { SEV_ASID_SEV, SEV_ASID_ES, SEV_ASID_SNP, SEV_ASID_KINDS };

/* The misc cgroup's resources; SNP guests are charged to sev_es. */
enum sev_misc { SEV_MISC_SEV, SEV_MISC_SEV_ES, SEV_MISC_COUNT };

struct sev_cgroup {
	int dir; /* -1: no files */
	uint32_t capacity[SEV_MISC_COUNT], usage[SEV_MISC_COUNT], peak[SEV_MISC_COUNT];
	uint64_t refused[SEV_MISC_COUNT];
};

struct sev_platform {
	const struct sev_product *product;
	uint32_t asids, es_asids; /* 1..es_asids: SEV-ES and SNP; the rest, from min_sev_asid: SEV */
	uint32_t min_sev_asid;
	uint32_t snp_asids; /* the partition of ciphertext hiding: 1..snp_asids; 0: none */
	unsigned c_bit;
	bool has_snp_firmware;  /* SNP, and new enough for the kernel to initialise it */
	uint64_t memlock_bytes; /* RLIMIT_MEMLOCK of whoever has a SEV or SEV-ES guest; UINT64_MAX: none */
	struct psp *psp;

	/*
	 * The two below; held while a guest is started, so that no command of /dev/sev shuts the firmware
	 * down meanwhile (sev_cmd_mutex of the kernel). sev_guest.lock may be held, sev_platform.lock not.
	 */
	pthread_mutex_t driver_lock;
	bool sev_is_on, snp_is_on; /* as the kernel's driver has it, which asks the firmware for neither */

	pthread_mutex_t lock; /* all below; outside of that of the psp, inside of every other */
	uint8_t *uses;        /* of each ASID: enum asid_use (asid.c) */
	struct sev_spa_range *spa_ranges;
	struct sev_cgroup cgroup;
};

/* NULL product in options: no processor, and success. */
int sev_platform_create(
        const struct sim_options *options, struct sev_platform **ret_secure, struct err *err) MUST_CHECK;
void sev_platform_destroy(struct sev_platform *secure); /* NULL is allowed */
/* A mask of enum uapi_vm_type; secure may be NULL. */
unsigned sev_platform_vm_types(const struct sev_platform *secure);
struct kvm_cpuid_entry2 sev_platform_cpuid(const struct sev_platform *secure); /* leaf 0x8000001f */
/*
 * What CPUID says on that product, if it has SEV-SNP, for its firmware to judge CPUID pages by
 * (hardware_cpuid.c). Returns how many entries.
 */
unsigned sev_hardware_cpuid(
        const struct sev_platform *secure, struct abi_cpuid_entry entries[static PSP_CPUID_MAX]);
/* An attribute of /dev/kvm's group for SEV. 0 or -ENXIO. */
int sev_platform_attribute(const struct sev_platform *secure, uint64_t attribute, uint64_t *ret_value);

/* ---- the kernel's driver (driver.c); each answers with the firmware's code ---- */

/* For a guest: SEV-SNP, then SEV, unless SEV is initialised. Takes driver_lock. */
uint32_t sev_driver_init(struct sev_platform *secure);
/* The rest with driver_lock held. */
uint32_t sev_driver_init_sev(struct sev_platform *secure);
uint32_t sev_driver_shutdown_sev(struct sev_platform *secure);
/* SEV and, unless it has guests, SEV-SNP. */
void sev_driver_shutdown(struct sev_platform *secure);

/* ---- ASIDs and their charge (asid.c, cgroup.c) ---- */

/* 0 or -ENOTTY (there are none of the kind), -EBUSY (limit, capacity, all in use), -ENOMEM. */
int sev_asid_take(struct sev_platform *secure, enum sev_asid_kind kind, uint32_t *ret_asid);
void sev_asid_give(struct sev_platform *secure, enum sev_asid_kind kind, uint32_t asid);
void sev_asid_range(
        const struct sev_platform *secure, enum sev_asid_kind kind, uint32_t *ret_min, uint32_t *ret_max);

int sev_cgroup_open(struct sev_cgroup *cgroup, const char *path, struct err *err) MUST_CHECK;
void sev_cgroup_close(struct sev_cgroup *cgroup);
int sev_cgroup_charge(struct sev_cgroup *cgroup, enum sev_misc resource); /* 0 or -EBUSY */
void sev_cgroup_uncharge(struct sev_cgroup *cgroup, enum sev_misc resource);

/* ---- system physical addresses (spa.c) ---- */

/*
 * Frames for those pages of size bytes at host, in the VMM's memory, that have none yet: one range for what
 * lies together. The owner is whoever encrypts them, all of its VMs and processors; another's are different
 * ones, even for the same host. False: no memory.
 */
bool sev_spa_place(struct sev_platform *secure, const void *owner, uintptr_t host, uint64_t size);
/* The address of the byte at host; 0: it has none. *size becomes what of it has the addresses that follow. */
uint64_t sev_spa_of(struct sev_platform *secure, const void *owner, uintptr_t host, uint64_t *size);
/* All of the owner's frames are free. */
void sev_spa_forget(struct sev_platform *secure, const void *owner);

/* ---- a VM (struct kvm_sev_info of the kernel) ---- */

struct sev_region {
	struct sev_region *next;
	uint64_t address, size;
};

struct sev_decrypted;

#define FXSAVE_BYTES 512

struct sev_guest {
	pthread_mutex_t lock; /* all below */
	bool active, es;      /* SEV-SNP is in vmsa_features: sev_is_snp() */
	bool need_init;       /* of a VM type with SEV, until KVM_SEV_INIT2 */
	bool req_certs;
	_Atomic bool finished; /* SNP_LAUNCH_FINISH was done: pages may be given to the guest beforehand */
	uint32_t asid;
	uint32_t handle; /* of the firmware; 0: not started */
	uint32_t gctx;   /* SNP: its context; 0: none */
	int fd;          /* of /dev/sev, as a number: looked up again by each command */
	uint64_t vmsa_features;
	uint16_t ghcb_version;
	uint64_t pages_locked, pages_lockable; /* the latter is the limit; the former never above it */
	struct sev_region *regions;
	struct sev_decrypted *memory; /* shared with mirrors; NULL: SNP, or none */

	/* sim_platform.lock */
	struct kvm_vm *owner;   /* of a mirror; NULL: it is none */
	_Atomic bool migrating; /* in another move or copy */
};

/* What a vCPU has of it. */
struct sev_vcpu {
	struct abi_vmsa *vmsa;
	bool protected;  /* the VMSA was encrypted: registers are the guest's */
	bool fpu_hidden; /* so are those of the FPU, to the VMM: fpstate_is_confidential() of the kernel */
	bool sregs_set;  /* by the VMM, so they are not those of KVM's reset any more */
	/* Pages of private memory that its translations lead to, bit 0: written. */
	uintptr_t *held;
	unsigned held_count, held_room;
	uint64_t epoch;
	uint64_t ghcb_uses; /* VMGEXIT, VMMCALL and the GHCB's MSR of a SEV-ES or SNP guest: not built */
	struct { /* of a vCPU that is protected: what the VMM may go on to read and write, without effect */
		struct kvm_regs regs;
		struct kvm_debugregs debugregs;
		uint64_t xcr0;
		uint8_t fxsave[FXSAVE_BYTES];
	} stale;
};

/* command.c, vcpu.c */
int sev_vm_create(struct kvm_vm *vm);
void sev_vm_destroy(struct kvm_vm *vm);
kvm_call_fn sev_vm_command, sev_vm_register, sev_vm_unregister;
int sev_vcpu_create(struct kvm_vcpu *v); /* 0 or -ENOMEM */
void sev_vcpu_destroy(struct kvm_vcpu *v);
/* May the vCPU run? 1, 0 (it exits at once: *run tells), or a negated errno. */
int sev_vcpu_enter(struct kvm_vcpu *v);
/*
 * state.c: a call on the registers of a vCPU. True if they are the guest's and the call was refused,
 * or made on what the VMM has of them instead (*ret_result).
 */
bool sev_vcpu_call(struct kvm_vcpu *v, unsigned long request, uintptr_t user, int *ret_result);
/* What the VMM is to see from now on: the registers as they are. */
void sev_vcpu_keep_stale(struct kvm_vcpu *v);
/* An MSR that the VMM does not reach any more: the processor has it in the VMSA. */
bool sev_vcpu_hides_msr(const struct kvm_vcpu *v, uint32_t index);
/* The guest has Secure TSC: nobody changes its time (guest_tsc_protected of the kernel). */
bool sev_vcpu_keeps_tsc(const struct kvm_vcpu *v);
/* The guest, of SEV-ES or SNP, wants something of the hypervisor through the GHCB, and is told nothing. */
void sev_vcpu_miss_ghcb(struct kvm_vcpu *v);
/* KVM_EXIT_MEMORY_FAULT: -EFAULT. */
int sev_vcpu_leave_fault(struct kvm_vcpu *v);

/* ---- commands (command.c, launch.c, memory.c, send.c, snp.c): each with sev_guest.lock held ---- */

struct sev_call {
	struct kvm_vm *vm;
	struct sev_guest *sev;
	struct psp *psp;
	struct kvm_sev_cmd *cmd;
};

typedef int sev_command_fn(struct sev_call *call);

sev_command_fn sev_init, sev_es_init, sev_init2;
sev_command_fn sev_launch_start, sev_launch_update_data, sev_launch_update_vmsa, sev_launch_measure,
        sev_launch_secret, sev_launch_finish;
sev_command_fn sev_send_start, sev_send_update_data, sev_send_finish, sev_send_cancel;
sev_command_fn sev_receive_start, sev_receive_update_data, sev_receive_finish;
sev_command_fn sev_guest_status, sev_dbg_decrypt, sev_dbg_encrypt, sev_attestation_report;
sev_command_fn sev_snp_launch_start, sev_snp_launch_update, sev_snp_launch_finish, sev_snp_enable_req_certs;

bool sev_is_active(const struct kvm_vm *vm);
/* As sev_snp_guest() of KVM: since KVM_SEV_INIT2. A VM of the type SEV-SNP that mirrors a SEV-ES guest is
 * none. */
bool sev_is_snp(const struct kvm_vm *vm);
/* Copies the command's struct. 0 or -EFAULT. */
int sev_copy_in(const struct sev_call *call, void *data, size_t size);
/* With what most commands on a SEV or SEV-ES guest begin: -ENOTTY (it is none), then as sev_copy_in(). */
int sev_take_params(const struct sev_call *call, void *params, size_t size);
int sev_copy_out(const struct sev_call *call, const void *data, size_t size);
/* Is the number an open /dev/sev? 0 or -EBADF. */
int sev_check_device(const struct sev_call *call, int fd);
/* For commands on a guest that was started: -ENOTTY (not SEV), -EBADF (its /dev/sev was closed). */
int sev_ready(const struct sev_call *call);
/* Makes the firmware's new guest that of the VM, or ends it. */
int sev_bind(struct sev_call *call, uint32_t handle, int fd);
/* The caller could not be told of its guest: there is none. -EFAULT. */
int sev_unbind(struct sev_call *call);
/* The firmware's answer as the ioctl's: 0 or -EIO, the code in cmd->error. */
int sev_result(struct sev_call *call, uint32_t code);

/* The kernel copies all of its buffer, in which zeros lie behind the answer. size <= room. 0 or -EFAULT. */
int sev_copy_out_padded(uint64_t user, const void *data, size_t size, size_t room);
/*
 * An answer into the *len bytes at user, then params back to the caller, *len as it is now. A query (*len is
 * 0) gives the length even though the firmware answered with PSP_INVALID_LEN.
 */
struct sev_answer {
	const void *data;
	size_t size;
	void *params;
	size_t params_size;
	uint64_t user;
	uint32_t *len;
};
int sev_answer(struct sev_call *call, uint32_t code, const struct sev_answer *answer);

/* The bits of an SNP policy that KVM lets through: those that every firmware knows. */
#define SNP_POLICY_BITS \
	(0xffff | ABI_SNP_POLICY_SMT | ABI_SNP_POLICY_MUST_BE_ONE | ABI_SNP_POLICY_DEBUG | \
	        ABI_SNP_POLICY_SINGLE_SOCKET)

#define SEV_BLOB_MAX_BYTES 0x4000u
#define KERNEL_BUFFER_MAX  MIB(4) /* of kmalloc() (KMALLOC_MAX_SIZE): more is -ENOMEM */

/* psp_copy_user_blob(): a copy, or NULL with -EINVAL (no address, no or too long a length), -EFAULT, -ENOMEM.
 */
void *sev_copy_blob(uint64_t user, uint64_t size, int *ret_result);
static inline void *sev_pointer(uint64_t address)
{
	return (void *)(uintptr_t)address; /* NOLINT: the VMM's own memory, by number */
}

/*
 * The system physical address of what is guest memory at address in the VMM; *size becomes what of it lies
 * together there, a page at least. 0 or -ENOMEM.
 */
int sev_guest_spa(const struct sev_call *call, uint64_t address, uint64_t *size, uint64_t *ret_spa);
/* Has the VMM memory everywhere in size bytes at address, that can be read, or written? size is not 0. */
bool sev_is_there(uint64_t address, uint64_t size, bool write);
/*
 * Counts size bytes of the VMM's memory at address as locked, until sev_unpin() of the same. 0; -EINVAL
 * (nothing, beyond the end, more than the host has); -ENOMEM (above the limit, not there, or write and not
 * writable).
 */
int sev_pin(struct sev_guest *sev, uint64_t address, uint64_t size, bool write);
void sev_unpin(struct sev_guest *sev, uint64_t address, uint64_t size);

/* ---- VMSAs (vmsa.c) ---- */

/* What the firmware does with a VMSA: its code. */
typedef uint32_t sev_vmsa_fn(struct sev_call *call, struct abi_vmsa *vmsa, uint64_t spa);

/* What KVM makes of the vCPU's state (sev_es_sync_vmsa). legacy: KVM_SEV_ES_INIT, without the FPU. */
void sev_vmsa_build(const struct kvm_vcpu *v, uint64_t features, bool legacy, struct abi_vmsa *ret_vmsa);
/*
 * Every vCPU's VMSA, by turns, through the /dev/sev that fd is; -EINVAL if one is protected already, or has a
 * debugger. SEV-ES takes the descriptor of its start, SEV-SNP that of the call.
 */
int sev_vmsas_update(struct sev_call *call, sev_vmsa_fn *update, int fd);

/* ---- memory as the guest sees it (decrypted.c) ---- */

struct sev_decrypted *sev_decrypted_create(struct sev_platform *secure);
struct sev_decrypted *sev_decrypted_share(struct sev_decrypted *memory);
void sev_decrypted_unref(struct sev_decrypted *memory); /* NULL is allowed */
void sev_decrypted_set_cipher(struct sev_decrypted *memory, const struct psp_cipher *cipher);
/* Turns the bus of a VM to it, and its slots to where they are for such a guest. kvm_vm.lock. */
void sev_bus_init(struct kvm_vm *vm);
/* What the vCPU wrote goes to memory; its translations must be forgotten. */
void sev_decrypted_release(struct kvm_vcpu *v);

/* ---- sharing and moving (share.c): KVM_ENABLE_CAP ---- */

int sev_vm_copy_from(struct kvm_vm *vm, int source_fd);
int sev_vm_move_from(struct kvm_vm *vm, int source_fd);

/* ---- /dev/sev (device.c) ---- */

struct sev_device {
	struct sim_object object;
	struct sim_platform *sim;
	bool writable;
};

int sev_device_open(struct sim_platform *sim, int flags);
int sev_device_ioctl(struct sev_device *device, unsigned long request, uintptr_t user);

#endif

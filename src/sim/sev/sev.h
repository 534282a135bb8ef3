/*
 * sev: the kernel's half of SEV on the software platform: what a VM has beside memory and vCPUs, the ASIDs,
 * the misc cgroup. What the firmware does is psp/. Law: Documentation/virt/kvm/x86/amd-memory-encryption.rst,
 * cgroup-v2.rst (misc).
 */
#ifndef SIM_SEV_H
#define SIM_SEV_H

#include "psp/psp.h"
#include "sim.h"

/* ---- the processor (platform.c) ---- */

/* A product that it can be. */
struct sim_product {
	const char *name;
	bool es, snp;
	uint64_t vmsa_features; /* what KVM offers in KVM_X86_SEV_VMSA_FEATURES */
	uint64_t tcb;
	struct sim_firmware firmware; /* if the options name none */
};

enum sim_asid_kind { SIM_ASID_SEV, SIM_ASID_ES, SIM_ASID_SNP, SIM_ASID_KINDS };

/* The misc cgroup's resources; SNP guests are charged to sev_es. */
enum sim_misc { SIM_MISC_SEV, SIM_MISC_SEV_ES, SIM_MISC_COUNT };

struct sim_cgroup {
	int dir; /* -1: no files */
	uint32_t capacity[SIM_MISC_COUNT], usage[SIM_MISC_COUNT], peak[SIM_MISC_COUNT];
	uint64_t refused[SIM_MISC_COUNT];
};

struct sim_processor {
	const struct sim_product *product;
	uint32_t asids, es_asids; /* 1..es_asids: SEV-ES and SNP; the rest, from min_sev_asid: SEV */
	uint32_t min_sev_asid;
	uint32_t snp_asids; /* the partition of ciphertext hiding: 1..snp_asids; 0: none */
	unsigned c_bit;
	bool has_snp_firmware;  /* SNP, and new enough for the kernel to initialise it */
	uint64_t memlock_bytes; /* RLIMIT_MEMLOCK of whoever has a SEV or SEV-ES guest; UINT64_MAX: none */
	struct psp *psp;

	/*
	 * The two below; held while a guest is started, so that no command of /dev/sev shuts the firmware
	 * down meanwhile (sev_cmd_mutex of the kernel). sim_sev.lock may be held, sim_processor.lock not.
	 */
	pthread_mutex_t driver_lock;
	bool sev_is_on, snp_is_on; /* as the kernel's driver has it, which asks the firmware for neither */

	pthread_mutex_t lock; /* all below; outside of that of the psp, inside of every other */
	uint8_t *uses;        /* of each ASID: enum asid_use (asid.c) */
	struct spa_range *spa_ranges;
	struct sim_cgroup cgroup;
};

/* NULL product in options: no processor, and success. */
int processor_create(
        const struct sim_options *options, struct sim_processor **ret_secure, struct err *err) MUST_CHECK;
void processor_destroy(struct sim_processor *secure); /* NULL is allowed */
/* A mask of enum uapi_vm_type; secure may be NULL. */
unsigned processor_vm_types(const struct sim_processor *secure);
struct kvm_cpuid_entry2 processor_cpuid(const struct sim_processor *secure); /* leaf 0x8000001f */
/*
 * What CPUID says on that product, if it has SEV-SNP, for its firmware to judge CPUID pages by
 * (hardware_cpuid.c). Returns how many entries.
 */
unsigned hardware_cpuid(
        const struct sim_processor *secure, struct abi_cpuid_entry entries[static PSP_CPUID_MAX]);
/* An attribute of /dev/kvm's group for SEV. 0 or -ENXIO. */
int processor_attribute(const struct sim_processor *secure, uint64_t attribute, uint64_t *ret_value);

/* ---- the kernel's driver (driver.c); each answers with the firmware's code ---- */

/* For a guest: SEV-SNP, then SEV, unless SEV is initialised. Takes driver_lock. */
uint32_t driver_init(struct sim_processor *secure);
/* The rest with driver_lock held. */
uint32_t driver_init_sev(struct sim_processor *secure);
uint32_t driver_shutdown_sev(struct sim_processor *secure);
/* SEV and, unless it has guests, SEV-SNP. */
void driver_shutdown(struct sim_processor *secure);

/* ---- ASIDs and their charge (asid.c, cgroup.c) ---- */

/* 0 or -ENOTTY (there are none of the kind), -EBUSY (limit, capacity, all in use), -ENOMEM. */
int asid_take(struct sim_processor *secure, enum sim_asid_kind kind, uint32_t *ret_asid);
void asid_give(struct sim_processor *secure, enum sim_asid_kind kind, uint32_t asid);
void asid_range(
        const struct sim_processor *secure, enum sim_asid_kind kind, uint32_t *ret_min, uint32_t *ret_max);

int cgroup_open(struct sim_cgroup *cgroup, const char *path, struct err *err) MUST_CHECK;
void cgroup_close(struct sim_cgroup *cgroup);
int cgroup_charge(struct sim_cgroup *cgroup, enum sim_misc resource); /* 0 or -EBUSY */
void cgroup_uncharge(struct sim_cgroup *cgroup, enum sim_misc resource);

/* ---- system physical addresses (spa.c) ---- */

/*
 * Frames for those pages of size bytes at host, in the VMM's memory, that have none yet: one range for what
 * lies together. The owner is whoever encrypts them, all of its VMs and processors; another's are different
 * ones, even for the same host. False: no memory.
 */
bool spa_place(struct sim_processor *secure, const void *owner, uintptr_t host, uint64_t size);
/* The address of the byte at host; 0: it has none. *size becomes what of it has the addresses that follow. */
uint64_t spa_of(struct sim_processor *secure, const void *owner, uintptr_t host, uint64_t *size);
/* All of the owner's frames are free. */
void spa_forget(struct sim_processor *secure, const void *owner);

/* ---- a VM (struct kvm_sev_info of the kernel) ---- */

struct sim_region {
	struct sim_region *next;
	uint64_t address, size;
};

struct private_memory;

#define FXSAVE_BYTES 512

struct sim_sev {
	pthread_mutex_t lock; /* all below */
	bool active, es;      /* SEV-SNP is in vmsa_features: vm_is_snp() */
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
	struct sim_region *regions;
	struct private_memory *memory; /* shared with mirrors; NULL: SNP, or none */

	/* sim_platform.lock */
	struct sim_vm *owner;   /* of a mirror; NULL: it is none */
	_Atomic bool migrating; /* in another move or copy */
};

/* What a vCPU has of it. */
struct sim_vcpu_sev {
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
int vm_sev_create(struct sim_vm *vm);
void vm_sev_destroy(struct sim_vm *vm);
sim_call_fn vm_sev_command, vm_sev_register, vm_sev_unregister;
int vcpu_sev_create(struct sim_vcpu *v); /* 0 or -ENOMEM */
void vcpu_sev_destroy(struct sim_vcpu *v);
/* May the vCPU run? 1, 0 (it exits at once: *run tells), or a negated errno. */
int vcpu_sev_enter(struct sim_vcpu *v);
/*
 * state.c: a call on the registers of a vCPU. True if they are the guest's and the call was refused,
 * or made on what the VMM has of them instead (*ret_result).
 */
bool vcpu_sev_call(struct sim_vcpu *v, unsigned long request, uintptr_t user, int *ret_result);
/* What the VMM is to see from now on: the registers as they are. */
void vcpu_sev_keep_stale(struct sim_vcpu *v);
/* An MSR that the VMM does not reach any more: the processor has it in the VMSA. */
bool vcpu_sev_hides_msr(const struct sim_vcpu *v, uint32_t index);
/* The guest has Secure TSC: nobody changes its time (guest_tsc_protected of the kernel). */
bool vcpu_sev_keeps_tsc(const struct sim_vcpu *v);
/* The guest, of SEV-ES or SNP, wants something of the hypervisor through the GHCB, and is told nothing. */
void vcpu_sev_miss_ghcb(struct sim_vcpu *v);
/* KVM_EXIT_MEMORY_FAULT: -EFAULT. */
int vcpu_sev_leave_fault(struct sim_vcpu *v);

/* ---- commands (command.c, launch.c, memory.c, send.c, snp.c): each with sim_sev.lock held ---- */

struct sev_call {
	struct sim_vm *vm;
	struct sim_sev *sev;
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

bool vm_is_sev(const struct sim_vm *vm);
/* As sev_snp_guest() of KVM: since KVM_SEV_INIT2. A VM of the type SEV-SNP that mirrors a SEV-ES guest is
 * none. */
bool vm_is_snp(const struct sim_vm *vm);
/* Copies the command's struct. 0 or -EFAULT. */
int sev_copy_in(const struct sev_call *call, void *data, size_t size);
/* With what most commands on a SEV or SEV-ES guest begin: -ENOTTY (it is none), then as sev_copy_in(). */
int sev_take_params(const struct sev_call *call, void *params, size_t size);
int sev_copy_out(const struct sev_call *call, const void *data, size_t size);
/* Is the number an open /dev/sev? 0 or -EBADF. */
int sev_device(const struct sev_call *call, int fd);
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
int sev_spa(const struct sev_call *call, uint64_t address, uint64_t *size, uint64_t *ret_spa);
/* Has the VMM memory everywhere in size bytes at address, that can be read, or written? size is not 0. */
bool sev_is_there(uint64_t address, uint64_t size, bool write);
/*
 * Counts size bytes of the VMM's memory at address as locked, until sev_unpin() of the same. 0; -EINVAL
 * (nothing, beyond the end, more than the host has); -ENOMEM (above the limit, not there, or write and not
 * writable).
 */
int sev_pin(struct sim_sev *sev, uint64_t address, uint64_t size, bool write);
void sev_unpin(struct sim_sev *sev, uint64_t address, uint64_t size);

/* ---- VMSAs (vmsa.c) ---- */

/* What the firmware does with a VMSA: its code. */
typedef uint32_t sev_vmsa_fn(struct sev_call *call, struct abi_vmsa *vmsa, uint64_t spa);

/* What KVM makes of the vCPU's state (sev_es_sync_vmsa). legacy: KVM_SEV_ES_INIT, without the FPU. */
void vmsa_build(const struct sim_vcpu *v, uint64_t features, bool legacy, struct abi_vmsa *ret_vmsa);
/*
 * Every vCPU's VMSA, by turns, through the /dev/sev that fd is; -EINVAL if one is protected already, or has a
 * debugger. SEV-ES takes the descriptor of its start, SEV-SNP that of the call.
 */
int sev_vmsas_update(struct sev_call *call, sev_vmsa_fn *update, int fd);

/* ---- memory as the guest sees it (decrypted.c) ---- */

struct private_memory *private_memory_create(struct sim_processor *secure);
struct private_memory *private_memory_share(struct private_memory *memory);
void private_memory_unref(struct private_memory *memory); /* NULL is allowed */
void private_memory_set_cipher(struct private_memory *memory, const struct psp_cipher *cipher);
/* Turns the bus of a VM to it, and its slots to where they are for such a guest. sim_vm.lock. */
void private_bus_init(struct sim_vm *vm);
/* What the vCPU wrote goes to memory; its translations must be forgotten. */
void private_release(struct sim_vcpu *v);

/* ---- sharing and moving (share.c): KVM_ENABLE_CAP ---- */

int vm_sev_copy_from(struct sim_vm *vm, int source_fd);
int vm_sev_move_from(struct sim_vm *vm, int source_fd);

/* ---- /dev/sev (device.c) ---- */

struct sim_sev_device {
	struct sim_object object;
	struct sim_platform *sim;
	bool writable;
};

int sev_device_open(struct sim_platform *sim, int flags);
int sev_device_ioctl(struct sim_sev_device *device, unsigned long request, uintptr_t user);

#endif

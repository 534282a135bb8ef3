/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uapi: structs and numbers of the kernel that the headers of Debian 12 lack. They have names of our own, so
 * that they do not clash with newer headers: uapi_x is the kernel's kvm_x or sev's x. Law: api.rst;
 * Documentation/virt/kvm/x86/amd-memory-encryption.rst.
 */
#ifndef VMM_UAPI_H
#define VMM_UAPI_H

#include <linux/ioctl.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

#define UAPI_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type " has another size")
#define UAPI_AT(type, at, name) \
	_Static_assert(offsetof(type, name) == (at), #type "." #name " lies elsewhere")

/* ---- capabilities, VM types ---- */

#define UAPI_CAP_USER_MEMORY2       231
#define UAPI_CAP_MEMORY_FAULT_INFO  232
#define UAPI_CAP_MEMORY_ATTRIBUTES  233
#define UAPI_CAP_GUEST_MEMFD        234
#define UAPI_CAP_VM_TYPES           235
#define UAPI_CAP_PRE_FAULT_MEMORY   236
#define UAPI_CAP_APIC_BUS_CYCLES_NS 237
#define UAPI_CAP_GUEST_MEMFD_FLAGS  244

#define UAPI_QUIRK_STUFF_FEATURE_MSRS (1u << 8)

/* KVM_CAP_X2APIC_API */
#define UAPI_X2APIC_ENABLE_SUPPRESS_EOI_BROADCAST  (1u << 2)
#define UAPI_X2APIC_DISABLE_SUPPRESS_EOI_BROADCAST (1u << 3)

enum uapi_vm_type {
	UAPI_VM_DEFAULT,
	UAPI_VM_SW_PROTECTED,
	UAPI_VM_SEV,
	UAPI_VM_SEV_ES,
	UAPI_VM_SNP,
};

/* ---- exits ---- */

#define UAPI_EXIT_MEMORY_FAULT     39
#define UAPI_EXIT_SNP_REQ_CERTS    43
#define UAPI_SYSTEM_EVENT_SEV_TERM 6

#define UAPI_MEMORY_EXIT_PRIVATE (UINT64_C(1) << 3)

/* This structure lies in kvm_run, at the offset of its union. */
struct uapi_memory_fault {
	uint64_t flags, gpa, size;
};
UAPI_SIZE(struct uapi_memory_fault, 24);

/* KVM_EXIT_SNP_REQ_CERTS: a page of the guest, how many pages it has there, the answer (0 or an errno). */
struct uapi_snp_req_certs {
	uint64_t gpa, npages, ret;
};
UAPI_SIZE(struct uapi_snp_req_certs, 24);

/* ---- memory ---- */

#define UAPI_MEM_GUEST_MEMFD (1u << 2)

struct uapi_userspace_memory_region2 {
	uint32_t slot, flags;
	uint64_t guest_phys_addr, memory_size, userspace_addr, guest_memfd_offset;
	uint32_t guest_memfd, pad1;
	uint64_t pad2[14];
};
UAPI_SIZE(struct uapi_userspace_memory_region2, 160);

#define UAPI_GUEST_MEMFD_MMAP        (UINT64_C(1) << 0)
#define UAPI_GUEST_MEMFD_INIT_SHARED (UINT64_C(1) << 1)

struct uapi_create_guest_memfd {
	uint64_t size, flags, reserved[6];
};
UAPI_SIZE(struct uapi_create_guest_memfd, 64);

#define UAPI_MEMORY_ATTRIBUTE_PRIVATE (UINT64_C(1) << 3)

struct uapi_memory_attributes {
	uint64_t address, size, attributes, flags;
};
UAPI_SIZE(struct uapi_memory_attributes, 32);

struct uapi_pre_fault_memory {
	uint64_t gpa, size, flags, padding[5];
};
UAPI_SIZE(struct uapi_pre_fault_memory, 64);

#define UAPI_SET_USER_MEMORY_REGION2 _IOW(KVMIO, 0x49, struct uapi_userspace_memory_region2)
#define UAPI_SET_MEMORY_ATTRIBUTES   _IOW(KVMIO, 0xd2, struct uapi_memory_attributes)
#define UAPI_CREATE_GUEST_MEMFD      _IOWR(KVMIO, 0xd4, struct uapi_create_guest_memfd)
#define UAPI_PRE_FAULT_MEMORY        _IOWR(KVMIO, 0xd5, struct uapi_pre_fault_memory)

/* ---- KVM_MEMORY_ENCRYPT_OP: commands that newer kernels have; the others are in linux/kvm.h ---- */

enum uapi_sev_command {
	UAPI_SEV_INIT2 = 22,
	UAPI_SEV_SNP_LAUNCH_START = 100,
	UAPI_SEV_SNP_LAUNCH_UPDATE = 101,
	UAPI_SEV_SNP_LAUNCH_FINISH = 102,
	UAPI_SEV_SNP_ENABLE_REQ_CERTS = 103,
};

struct uapi_sev_init {
	uint64_t vmsa_features;
	uint32_t flags;
	uint16_t ghcb_version, pad1;
	uint32_t pad2[8];
};
UAPI_SIZE(struct uapi_sev_init, 48);

struct uapi_sev_snp_launch_start {
	uint64_t policy;
	uint8_t gosvw[16];
	uint16_t flags;
	uint8_t pad0[6];
	uint64_t pad1[4];
};
UAPI_SIZE(struct uapi_sev_snp_launch_start, 64);
UAPI_AT(struct uapi_sev_snp_launch_start, 0x18, flags);

/* Types of pages are enum abi_page_type. */
struct uapi_sev_snp_launch_update {
	uint64_t gfn_start, uaddr, len;
	uint8_t type, pad0;
	uint16_t flags;
	uint32_t pad1;
	uint64_t pad2[4];
};
UAPI_SIZE(struct uapi_sev_snp_launch_update, 64);
UAPI_AT(struct uapi_sev_snp_launch_update, 0x1a, flags);

#define UAPI_SNP_HOST_DATA_BYTES 32

struct uapi_sev_snp_launch_finish {
	uint64_t id_block_uaddr, id_auth_uaddr;
	uint8_t id_block_en, auth_key_en, vcek_disabled, host_data[UAPI_SNP_HOST_DATA_BYTES], pad0[3];
	uint16_t flags;
	uint64_t pad1[4];
};
UAPI_SIZE(struct uapi_sev_snp_launch_finish, 88);
UAPI_AT(struct uapi_sev_snp_launch_finish, 0x36, flags);

/* Device attributes of /dev/kvm. */
#define UAPI_X86_GROUP_SEV     1
#define UAPI_SEV_VMSA_FEATURES 0
#define UAPI_SNP_POLICY_BITS   1
#define UAPI_SEV_SNP_REQ_CERTS 2

/* ---- /dev/sev: SEV_ISSUE_CMD, the commands that linux/psp-sev.h of Debian 12 lacks ---- */

enum uapi_sev_platform_command {
	UAPI_SNP_PLATFORM_STATUS = 9,
	UAPI_SNP_COMMIT = 10,
	UAPI_SNP_SET_CONFIG = 11,
	UAPI_SNP_VLEK_LOAD = 12,
};

#define UAPI_SNP_STATUS_RMP_INITIALIZED (1u << 0) /* of rmp_init */
#define UAPI_SNP_STATUS_MASK_CHIP_ID    (1u << 0) /* of flags, as all below */
#define UAPI_SNP_STATUS_MASK_CHIP_KEY   (1u << 1)
#define UAPI_SNP_STATUS_VLEK_EN         (1u << 2)
#define UAPI_SNP_STATUS_FEATURE_INFO    (1u << 3)
#define UAPI_SNP_STATUS_RAPL_DIS        (1u << 4)
#define UAPI_SNP_STATUS_CIPHERTEXT_CAP  (1u << 5)
#define UAPI_SNP_STATUS_CIPHERTEXT_EN   (1u << 6)

struct uapi_sev_snp_status {
	uint8_t api_major, api_minor, state, rmp_init;
	uint32_t build_id, flags, guest_count;
	uint64_t current_tcb_version, reported_tcb_version;
};
UAPI_SIZE(struct uapi_sev_snp_status, 32);

struct uapi_sev_snp_config {
	uint64_t reported_tcb;
	uint32_t mask_chip; /* bit 0: mask_chip_id, bit 1: mask_chip_key */
	uint8_t rsvd[52];
};
UAPI_SIZE(struct uapi_sev_snp_config, 64);

struct uapi_sev_snp_vlek_load {
	uint32_t len;
	uint8_t vlek_wrapped_version, rsvd[3];
	uint64_t vlek_wrapped_address;
};
UAPI_SIZE(struct uapi_sev_snp_vlek_load, 16);

/* ---- /proc/PID/maps (linux/fs.h since 6.11) ---- */

#define UAPI_PROCMAP_VMA_SHARED 0x8u /* of vma_flags */

struct uapi_procmap_query {
	uint64_t size, query_flags, query_addr;
	uint64_t vma_start, vma_end, vma_flags, vma_page_size, vma_offset;
	uint64_t inode;
	uint32_t dev_major, dev_minor, vma_name_size, build_id_size;
	uint64_t vma_name_addr, build_id_addr;
};
UAPI_SIZE(struct uapi_procmap_query, 104);
#define UAPI_PROCMAP_QUERY _IOWR('f', 17, struct uapi_procmap_query)

#endif

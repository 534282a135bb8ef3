/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ghcb: the guest-hypervisor communication block, by which a SEV-ES or SEV-SNP guest asks its hypervisor, and
 * the protocol in the MSR of the block. Little-endian. Law: the GHCB specification (AMD 56421). Layouts and
 * numbers only; any room may include this.
 */
#ifndef VMM_ABI_GHCB_H
#define VMM_ABI_GHCB_H

#include <stdint.h>

#include "vmm/abi/layout.h"

/* ---- the page (section 2.6, table 3) ---- */

#define ABI_GHCB_SHARED_AT    0x800
#define ABI_GHCB_SHARED_BYTES 0x7f0

struct abi_ghcb {
	uint8_t reserved_000[0xcb];
	uint8_t cpl;
	uint8_t reserved_0cc[0x74];
	uint64_t xss;
	uint8_t reserved_148[0x18];
	uint64_t dr7;
	uint8_t reserved_168[0x90];
	uint64_t rax;
	uint8_t reserved_200[0x108];
	uint64_t rcx, rdx, rbx;
	uint8_t reserved_320[0x10];
	uint64_t rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15;
	uint8_t reserved_380[0x10];
	uint64_t sw_exit_code, sw_exit_info_1, sw_exit_info_2, sw_scratch;
	uint8_t reserved_3b0[0x38];
	uint64_t xcr0;
	uint8_t valid_bitmap[16]; /* a bit for each 8 bytes of the page before it: ABI_GHCB_BIT() */
	uint64_t x87_state_gpa;
	uint8_t reserved_408[0x3f8];
	uint8_t shared_buffer[ABI_GHCB_SHARED_BYTES];
	uint8_t reserved_ff0[10];
	uint16_t protocol_version;
	uint32_t usage;
} ABI_PACKED;
ABI_SIZE(struct abi_ghcb, 4096);
ABI_AT(struct abi_ghcb, 0x0cb, cpl);
ABI_AT(struct abi_ghcb, 0x140, xss);
ABI_AT(struct abi_ghcb, 0x160, dr7);
ABI_AT(struct abi_ghcb, 0x1f8, rax);
ABI_AT(struct abi_ghcb, 0x308, rcx);
ABI_AT(struct abi_ghcb, 0x318, rbx);
ABI_AT(struct abi_ghcb, 0x330, rsi);
ABI_AT(struct abi_ghcb, 0x390, sw_exit_code);
ABI_AT(struct abi_ghcb, 0x3a8, sw_scratch);
ABI_AT(struct abi_ghcb, 0x3e8, xcr0);
ABI_AT(struct abi_ghcb, 0x3f0, valid_bitmap);
ABI_AT(struct abi_ghcb, ABI_GHCB_SHARED_AT, shared_buffer);
ABI_AT(struct abi_ghcb, 0xffa, protocol_version);
ABI_AT(struct abi_ghcb, 0xffc, usage);

/* The number of a field's bit in valid_bitmap. */
#define ABI_GHCB_BIT(field) (offsetof(struct abi_ghcb, field) / 8)

/* ---- events: sw_exit_code (section 4.1, table 7) ---- */

/* Events for which the processor leaves a plain guest, with the exit codes of APM 2, appendix C. */
#define ABI_GHCB_READ_DR7  UINT64_C(0x27)
#define ABI_GHCB_WRITE_DR7 UINT64_C(0x37)
#define ABI_GHCB_RDTSC     UINT64_C(0x6e)
#define ABI_GHCB_RDPMC     UINT64_C(0x6f)
#define ABI_GHCB_CPUID     UINT64_C(0x72)
#define ABI_GHCB_INVD      UINT64_C(0x76)
#define ABI_GHCB_IOIO      UINT64_C(0x7b)
#define ABI_GHCB_MSR       UINT64_C(0x7c)
#define ABI_GHCB_VMMCALL   UINT64_C(0x81)
#define ABI_GHCB_RDTSCP    UINT64_C(0x87)
#define ABI_GHCB_WBINVD    UINT64_C(0x89)
#define ABI_GHCB_MONITOR   UINT64_C(0x8a)
#define ABI_GHCB_MWAIT     UINT64_C(0x8b)
/* Events that no instruction causes: the guest's software asks for them. */
#define ABI_GHCB_MMIO_READ         UINT64_C(0x80000001)
#define ABI_GHCB_MMIO_WRITE        UINT64_C(0x80000002)
#define ABI_GHCB_NMI_COMPLETE      UINT64_C(0x80000003)
#define ABI_GHCB_AP_RESET_HOLD     UINT64_C(0x80000004)
#define ABI_GHCB_AP_JUMP_TABLE     UINT64_C(0x80000005)
#define ABI_GHCB_PSC               UINT64_C(0x80000010) /* page state change */
#define ABI_GHCB_GUEST_REQUEST     UINT64_C(0x80000011)
#define ABI_GHCB_EXT_GUEST_REQUEST UINT64_C(0x80000012)
#define ABI_GHCB_AP_CREATION       UINT64_C(0x80000013)
#define ABI_GHCB_HV_FEATURES       UINT64_C(0x8000fffd)
#define ABI_GHCB_TERMINATE         UINT64_C(0x8000fffe)
#define ABI_GHCB_UNSUPPORTED       UINT64_C(0x8000ffff)

/* sw_exit_info_1 of ABI_GHCB_IOIO (APM 2, figure 15-2); bits 31:16 have the port. */
#define ABI_GHCB_IO_IN         (UINT64_C(1) << 0)
#define ABI_GHCB_IO_STRING     (UINT64_C(1) << 2)
#define ABI_GHCB_IO_SIZE(info) ((info) >> 4 & 7) /* in bytes */
#define ABI_GHCB_IO_PORT(info) ((uint16_t)((info) >> 16))

/* sw_exit_info_1 of ABI_GHCB_AP_JUMP_TABLE. */
#define ABI_GHCB_JUMP_TABLE_SET UINT64_C(0)
#define ABI_GHCB_JUMP_TABLE_GET UINT64_C(1)

/* sw_exit_info_1 of ABI_GHCB_AP_CREATION: what to do with the vCPU that has this APIC id (section 4.1.9). */
#define ABI_GHCB_AP_REQUEST(info)  ((uint32_t)(info))
#define ABI_GHCB_AP_ID(info)       ((uint32_t)((info) >> 32))
#define ABI_GHCB_AP_CREATE_ON_INIT 0u
#define ABI_GHCB_AP_CREATE         1u
#define ABI_GHCB_AP_DESTROY        2u

/* The scratch area of ABI_GHCB_PSC: a list of page state changes (section 4.1.6). */
struct abi_ghcb_psc {
	uint16_t current, end; /* the entry that is next, and the last one */
	uint32_t reserved;
	uint64_t entries[];
} ABI_PACKED;
ABI_SIZE(struct abi_ghcb_psc, 8);
/* An entry: how many of its pages are done, the page's number, the operation, whether it has 2 MiB. */
#define ABI_GHCB_PSC_DONE             UINT64_C(0xfff)
#define ABI_GHCB_PSC_GFN(entry)       ((entry) >> 12 & ((UINT64_C(1) << 40) - 1))
#define ABI_GHCB_PSC_OPERATION(entry) ((unsigned)((entry) >> 52 & 0xf))
#define ABI_GHCB_PSC_LARGE            (UINT64_C(1) << 56)
#define ABI_GHCB_PSC_PRIVATE          1u
#define ABI_GHCB_PSC_SHARED           2u
/* sw_exit_info_2, with sw_exit_info_1 ABI_GHCB_DONE. */
#define ABI_GHCB_PSC_BAD_HEADER (UINT64_C(1) << 32 | 1)
#define ABI_GHCB_PSC_BAD_ENTRY  (UINT64_C(1) << 32 | 2)
#define ABI_GHCB_PSC_FAILED     (UINT64_C(0x100) << 32)

/*
 * sw_exit_info_2 as the answer to ABI_GHCB_GUEST_REQUEST and ABI_GHCB_EXT_GUEST_REQUEST: the hypervisor's
 * error above the firmware's code.
 */
#define ABI_GHCB_REQUEST_RESULT(error, code) ((uint64_t)(error) << 32 | (uint32_t)(code))
#define ABI_GHCB_REQUEST_TOO_SMALL           1u /* too few pages for the certificates: RBX has the number */
#define ABI_GHCB_REQUEST_BUSY                2u /* nothing was sent: ask again with the same message */

/* The hypervisor's features (section 2.3.1). */
#define ABI_GHCB_FEATURE_SNP         UINT64_C(0x1)
#define ABI_GHCB_FEATURE_AP_CREATION UINT64_C(0x2)

/* ---- answers: sw_exit_info_1, and sw_exit_info_2 with it (section 4.1) ---- */

#define ABI_GHCB_DONE      UINT64_C(0)
#define ABI_GHCB_EXCEPTION UINT64_C(1) /* sw_exit_info_2 is an event as in EVENTINJ (APM 2, 15.20) */
#define ABI_GHCB_MALFORMED UINT64_C(2) /* sw_exit_info_2 is one of these: */

#define ABI_GHCB_NOT_REGISTERED UINT64_C(1)
#define ABI_GHCB_BAD_USAGE      UINT64_C(2)
#define ABI_GHCB_BAD_SCRATCH    UINT64_C(3)
#define ABI_GHCB_MISSING_INPUT  UINT64_C(4)
#define ABI_GHCB_INVALID_INPUT  UINT64_C(5)
#define ABI_GHCB_INVALID_EVENT  UINT64_C(6)

#define ABI_GHCB_EVENT_EXCEPTION UINT64_C(0x80000300) /* valid, an exception; bits 7:0 are its vector */

/* ---- the protocol in the MSR: bits 11:0 (section 2.3.1, table 2) ---- */

#define ABI_GHCB_MSR_CODE UINT64_C(0xfff)

#define ABI_GHCB_MSR_INFO           0x001u
#define ABI_GHCB_MSR_INFO_ASK       0x002u
#define ABI_GHCB_MSR_CPUID_ASK      0x004u
#define ABI_GHCB_MSR_CPUID          0x005u
#define ABI_GHCB_MSR_RESET_HOLD_ASK 0x006u
#define ABI_GHCB_MSR_RESET_HOLD     0x007u
#define ABI_GHCB_MSR_PREFERRED_ASK  0x010u
#define ABI_GHCB_MSR_PREFERRED      0x011u
#define ABI_GHCB_MSR_REGISTER_ASK   0x012u
#define ABI_GHCB_MSR_REGISTER       0x013u
#define ABI_GHCB_MSR_PSC_ASK        0x014u
#define ABI_GHCB_MSR_PSC            0x015u
#define ABI_GHCB_MSR_FEATURES_ASK   0x080u
#define ABI_GHCB_MSR_FEATURES       0x081u
#define ABI_GHCB_MSR_TERMINATE      0x100u

/* The answer ABI_GHCB_MSR_INFO: versions in bits 63:48 and 47:32, the position of the C-bit in 31:24. */
#define ABI_GHCB_MSR_INFO_OF(max, min, c_bit) \
	((uint64_t)(max) << 48 | (uint64_t)(min) << 32 | (uint64_t)(c_bit) << 24 | ABI_GHCB_MSR_INFO)
/* ABI_GHCB_MSR_CPUID_ASK: the function in bits 63:32, which the answer has its place in; the register. */
#define ABI_GHCB_MSR_CPUID_FUNCTION(msr) ((uint32_t)((msr) >> 32))
#define ABI_GHCB_MSR_CPUID_REGISTER(msr) ((unsigned)((msr) >> 30 & 3)) /* EAX, EBX, ECX, EDX */
/* Bits 63:12 of several requests and answers: a page, features, the result of a reset hold. */
#define ABI_GHCB_MSR_DATA(msr)      ((msr) >> 12)
#define ABI_GHCB_MSR_OF(data, code) ((uint64_t)(data) << 12 | (code))
#define ABI_GHCB_MSR_NO_PREFERENCE  ((UINT64_C(1) << 52) - 1)
#define ABI_GHCB_MSR_PSC_FAILED     (UINT64_C(1) << 63 | ABI_GHCB_MSR_PSC)
/* ABI_GHCB_MSR_PSC_ASK: the operation is ABI_GHCB_PSC_PRIVATE or ABI_GHCB_PSC_SHARED. */
#define ABI_GHCB_MSR_PSC_OPERATION(msr) ((unsigned)((msr) >> 52 & 0xf))
#define ABI_GHCB_MSR_PSC_GFN(msr)       ((msr) >> 12 & ((UINT64_C(1) << 40) - 1))

#endif

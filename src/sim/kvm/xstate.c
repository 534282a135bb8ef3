/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xstate: the state for which KVM added structs later: XSAVE areas, XCR0, KVM_GET_SREGS2. Runs with
 * kvm_vcpu.lock held. Law: api.rst, 4.42 to 4.45, KVM_GET_SREGS2; APM 2, 11.5.2 (the layout of an XSAVE
 * area).
 */
#include <errno.h>
#include <string.h>

#include "registers.h"

#define XSTATE_X87   UINT64_C(1)
#define XSTATE_SSE   UINT64_C(2)
#define XSTATE_AVX   UINT64_C(4)
#define XSTATE_KNOWN (XSTATE_X87 | XSTATE_SSE | XSTATE_AVX)
#define XSTATE_BV    512 /* offset of XSTATE_BV; behind it XCOMP_BV and reserved bytes, all zero */
#define HEADER_BYTES 64
#define FX_BYTES     512
#define FX_X87_BYTES 24 /* of the FXSAVE image, before MXCSR */
#define MXCSR_RESET  0x1f80
#define FX_ST        32
#define FX_XMM       160
#define FX_XMM_BYTES 256
#define AREA_YMM     576 /* behind the header */
#define FX_FEATURES  464 /* where the kernel says which components the area can have */

static const uint8_t cpu_x87_reset[FX_X87_BYTES] = {0x7f, 0x03};

static bool is_zero(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (bytes[i])
			return false;
	}
	return true;
}

/* Returns the bits of XCR0 that this vCPU's CPUID allows. */
static uint64_t xcr0_allowed(const struct kvm_vcpu *v)
{
	for (uint32_t i = 0; i < v->cpuid_count; i++) {
		if (v->cpuid[i].function == 0xd && v->cpuid[i].index == 0)
			return v->cpuid[i].eax & XSTATE_KNOWN;
	}
	return 0;
}

/* Components in their initial state are left out of XSTATE_BV. */
int kvm_vcpu_get_xsave(void *object, void *arg, uintptr_t user)
{
	uint8_t image[FX_BYTES], high[CPU_YMM_BYTES], *area = arg;
	const struct kvm_vcpu *v = object;
	uint64_t has = 0;

	cpu_get_fxsave(v->cpu, image);
	cpu_get_ymm(v->cpu, high);
	if (memcmp(image, cpu_x87_reset, sizeof(cpu_x87_reset)) != 0 ||
	        !is_zero(image + FX_ST, FX_XMM - FX_ST))
		has |= XSTATE_X87;
	if (!is_zero(image + FX_XMM, FX_XMM_BYTES))
		has |= XSTATE_SSE;
	if (!is_zero(high, sizeof(high)))
		has |= XSTATE_AVX;
	memset(area, 0, sizeof(struct kvm_xsave));
	memcpy(area, image, sizeof(image));
	memcpy(area + AREA_YMM, high, sizeof(high));
	store_le(area + FX_FEATURES, 8, XSTATE_X87 | XSTATE_SSE | xcr0_allowed(v));
	store_le(area + XSTATE_BV, 8, has);
	return 0;
}

int kvm_vcpu_set_xsave(void *object, void *arg, uintptr_t user)
{
	const uint8_t *area = arg;
	uint64_t has = load_le(area + XSTATE_BV, 8);
	struct kvm_vcpu *v = object;
	uint8_t image[FX_BYTES] = {0}, high[CPU_YMM_BYTES] = {0};

	if (has & ~XSTATE_KNOWN || !is_zero(area + XSTATE_BV + 8, HEADER_BYTES - 8))
		return -EINVAL;
	memcpy(image, cpu_x87_reset, sizeof(cpu_x87_reset));
	if (has & XSTATE_X87) {
		memcpy(image, area, FX_X87_BYTES);
		memcpy(image + FX_ST, area + FX_ST, FX_XMM - FX_ST);
	}
	store_le(image + FX_X87_BYTES, 4, MXCSR_RESET);
	if (has & XSTATE_SSE) {
		memcpy(image + FX_X87_BYTES, area + FX_X87_BYTES, 4);
		memcpy(image + FX_XMM, area + FX_XMM, FX_XMM_BYTES);
	}
	if (has & XSTATE_AVX)
		memcpy(high, area + AREA_YMM, sizeof(high));
	if (cpu_set_fxsave(v->cpu, image) < 0)
		return -EINVAL;
	cpu_set_ymm(v->cpu, high);
	return 0;
}

/* ---- XCR0 ---- */

bool kvm_vcpu_xcr0_is_valid(const struct kvm_vcpu *v, uint64_t value)
{
	return value & XSTATE_X87 && !(value & ~(xcr0_allowed(v) | XSTATE_X87)) &&
	       (value & XSTATE_SSE || !(value & XSTATE_AVX));
}

int kvm_vcpu_get_xcrs(void *object, void *arg, uintptr_t user)
{
	struct kvm_xcrs *xcrs = arg;

	*xcrs = (struct kvm_xcrs){.nr_xcrs = 1, .xcrs[0].value = ((struct kvm_vcpu *)object)->cpu->xcr0};
	return 0;
}

/* Registers other than XCR0 are ignored, as the kernel does. */
int kvm_vcpu_set_xcrs(void *object, void *arg, uintptr_t user)
{
	const struct kvm_xcrs *xcrs = arg;
	struct kvm_vcpu *v = object;

	if (xcrs->nr_xcrs > KVM_MAX_XCRS || xcrs->flags)
		return -EINVAL;
	for (uint32_t i = 0; i < xcrs->nr_xcrs; i++) {
		uint64_t value = xcrs->xcrs[i].value;

		if (xcrs->xcrs[i].xcr)
			continue;
		if (!kvm_vcpu_xcr0_is_valid(v, value))
			return -EINVAL;
		v->cpu->xcr0 = value;
		break;
	}
	return 0;
}

/* ---- KVM_GET_SREGS2: like KVM_GET_SREGS, with the entries of PAE and without injected interrupts ---- */

#define CR0_PG   UINT64_C(0x80000000)
#define CR4_PAE  UINT64_C(0x20)
#define EFER_LMA UINT64_C(0x400)

static bool is_pae(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
	return cr0 & CR0_PG && cr4 & CR4_PAE && !(efer & EFER_LMA);
}

/* Both structs begin with the same registers, up to apic_base. */
#define COMMON_BYTES offsetof(struct kvm_sregs, interrupt_bitmap)
_Static_assert(COMMON_BYTES == offsetof(struct kvm_sregs2, flags), "the registers of sregs2");

int kvm_vcpu_get_sregs2(void *object, void *arg, uintptr_t user)
{
	struct kvm_vcpu *v = object;
	struct kvm_sregs2 *s2 = arg;
	struct kvm_sregs s;

	kvm_vcpu_get_sregs(v, &s, 0);
	memset(s2, 0, sizeof(*s2));
	memcpy(s2, &s, COMMON_BYTES);
	if (is_pae(s.cr0, s.cr4, s.efer)) {
		s2->flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
		memcpy(s2->pdptrs, v->cpu->pdpte, sizeof(s2->pdptrs));
	}
	return 0;
}

int kvm_vcpu_set_sregs2(void *object, void *arg, uintptr_t user)
{
	const struct kvm_sregs2 *s2 = arg;
	bool has_entries = s2->flags & KVM_SREGS2_FLAGS_PDPTRS_VALID;
	struct kvm_vcpu *v = object;
	struct kvm_sregs s = {0};
	int result;

	if (s2->flags & ~(uint64_t)KVM_SREGS2_FLAGS_PDPTRS_VALID)
		return -EINVAL;
	if (has_entries && !is_pae(s2->cr0, s2->cr4, s2->efer))
		return -EINVAL;
	memcpy(&s, s2, COMMON_BYTES);
	result = kvm_vcpu_set_sregs_but_interrupt(v, &s);
	if (result == 0 && has_entries)
		memcpy(v->cpu->pdpte, s2->pdptrs, sizeof(v->cpu->pdpte));
	return result;
}

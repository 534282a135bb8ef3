/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts from outside about CPUs, for tests. Feature words: QEMU 10.0.2, asked by QMP for the properties
 * "feature-words" and "filtered-features" of `-accel tcg -cpu MODEL,+vme,-monitor,-svm` (KVM's defaults for
 * the three, vme repeated in 80000001.EDX); versions that it lacks are the version before plus what QEMU 10.1
 * adds, of which two are from AMD's PPR 57238: fs-gs-base-ns (Fn8000_0021_EAX[1]) and prefetchi (bit 20).
 */
#ifndef TEST_CPU_FACTS_H
#define TEST_CPU_FACTS_H

#include "vmm/machine.h"

static const struct {
	uint32_t function, index;
	size_t reg;
} fact_places[] = {
        {0x1, 0, offsetof(struct kvm_cpuid_entry2, ecx)},
        {0x1, 0, offsetof(struct kvm_cpuid_entry2, edx)},
        {0x6, 0, offsetof(struct kvm_cpuid_entry2, eax)},
        {0x7, 0, offsetof(struct kvm_cpuid_entry2, ebx)},
        {0x7, 0, offsetof(struct kvm_cpuid_entry2, ecx)},
        {0x7, 0, offsetof(struct kvm_cpuid_entry2, edx)},
        {0x7, 1, offsetof(struct kvm_cpuid_entry2, eax)},
        {0xd, 1, offsetof(struct kvm_cpuid_entry2, eax)},
        {0x80000001, 0, offsetof(struct kvm_cpuid_entry2, ecx)},
        {0x80000001, 0, offsetof(struct kvm_cpuid_entry2, edx)},
        {0x80000007, 0, offsetof(struct kvm_cpuid_entry2, ebx)},
        {0x80000007, 0, offsetof(struct kvm_cpuid_entry2, edx)},
        {0x80000008, 0, offsetof(struct kvm_cpuid_entry2, ebx)},
        {0x80000021, 0, offsetof(struct kvm_cpuid_entry2, eax)},
        {0x80000022, 0, offsetof(struct kvm_cpuid_entry2, eax)},
};

static const struct {
	const char *model;
	uint32_t words[ARRAY_LEN(fact_places)];
} fact_words[] = {
        {"EPYC-Genoa-v1", {0xf6da3203, 0x078bfbff, 0x00000004, 0xf1bf07a9, 0x00415f4e, 0x00000010, 0x00000020,
                                  0x0000000f, 0x00c003f1, 0x2fd3fbff, 0x00000000, 0x00000000, 0x1102d205,
                                  0x00000145, 0x00000000}},
        {"EPYC-Genoa-v2", {0xf6da3203, 0x078bfbff, 0x00000004, 0xf1bf07a9, 0x00415f4e, 0x00000010, 0x00000020,
                                  0x0000000f, 0x00c003f1, 0x2fd3fbff, 0x00000003, 0x00000000, 0x1102d205,
                                  0x00000147, 0x00000001}},
        {"EPYC-Milan-v1", {0xf6da3203, 0x078bfbff, 0x00000004, 0x219c07a9, 0x0040000c, 0x00000010, 0x00000000,
                                  0x0000000f, 0x00c003f1, 0x2fd3fbff, 0x00000000, 0x00000000, 0x0100d205,
                                  0x00000000, 0x00000000}},
        {"EPYC-Milan-v2", {0xf6da3203, 0x078bfbff, 0x00000004, 0x219c07a9, 0x0040060c, 0x00000010, 0x00000000,
                                  0x0000000f, 0x00c003f1, 0x2fd3fbff, 0x00000000, 0x00000000, 0x1102d205,
                                  0x00000045, 0x00000000}},
        {"EPYC-Milan-v3", {0xf6da3203, 0x078bfbff, 0x00000004, 0x219c07a9, 0x0040060c, 0x00000010, 0x00000000,
                                  0x0000000f, 0x00c003f1, 0x2fd3fbff, 0x00000003, 0x00000000, 0x1102d205,
                                  0x00000045, 0x00000000}},
        {"EPYC-Rome-v1", {0xf6d83203, 0x078bfbff, 0x00000004, 0x219c01a9, 0x00400004, 0x00000000, 0x00000000,
                                 0x0000000f, 0x00c003f1, 0x2fd3fbff, 0x00000000, 0x00000000, 0x00009205,
                                 0x00000000, 0x00000000}},
        {"EPYC-Rome-v2", {0xf6d83203, 0x078bfbff, 0x00000004, 0x219c01a9, 0x00400004, 0x00000000, 0x00000000,
                                 0x0000000f, 0x00c003f1, 0x2fd3fbff, 0x00000000, 0x00000000, 0x0100d205,
                                 0x00000000, 0x00000000}},
        {"EPYC-Rome-v3", {0xf6d83203, 0x078bfbff, 0x00000004, 0x219c01a9, 0x00400004, 0x00000000, 0x00000000,
                                 0x0000000f, 0x00c003f1, 0x2fd3fbff, 0x00000000, 0x00000000, 0x0100d205,
                                 0x00000000, 0x00000000}},
        {"EPYC-Rome-v4", {0xf6d83203, 0x078bfbff, 0x00000004, 0x219c01a9, 0x00400004, 0x00000000, 0x00000000,
                                 0x00000007, 0x00c003f1, 0x2fd3fbff, 0x00000000, 0x00000000, 0x0100d205,
                                 0x00000000, 0x00000000}},
        {"EPYC-Rome-v5", {0xf6d83203, 0x078bfbff, 0x00000004, 0x219c01a9, 0x00400004, 0x00000000, 0x00000000,
                                 0x00000007, 0x00c003f1, 0x2fd3fbff, 0x00000003, 0x00000000, 0x0100d205,
                                 0x00000000, 0x00000000}},
        {"EPYC-Turin-v1", {0xf6da3203, 0x078bfbff, 0x00000004, 0xf1bf07a9, 0x18415f4e, 0x00000110, 0x00000030,
                                  0x0000000f, 0x00c003f1, 0x2fd3fbff, 0x00000003, 0x00000000, 0x1102d205,
                                  0x58100147, 0x00000001}},
        {"EPYC-v1", {0xf6d83203, 0x078bfbff, 0x00000004, 0x209c01a9, 0x00000000, 0x00000000, 0x00000000,
                            0x00000007, 0x004003f1, 0x2fd3fbff, 0x00000000, 0x00000000, 0x00000000,
                            0x00000000, 0x00000000}},
        {"EPYC-v2", {0xf6d83203, 0x078bfbff, 0x00000004, 0x209c01a9, 0x00000000, 0x00000000, 0x00000000,
                            0x00000007, 0x004003f1, 0x2fd3fbff, 0x00000000, 0x00000000, 0x00001000,
                            0x00000000, 0x00000000}},
        {"EPYC-v3", {0xf6d83203, 0x078bfbff, 0x00000004, 0x209c01a9, 0x00000000, 0x00000000, 0x00000000,
                            0x0000000f, 0x00c003f1, 0x2fd3fbff, 0x00000000, 0x00000000, 0x00001005,
                            0x00000000, 0x00000000}},
        {"EPYC-v4", {0xf6d83203, 0x078bfbff, 0x00000004, 0x209c01a9, 0x00000000, 0x00000000, 0x00000000,
                            0x0000000f, 0x00c003f1, 0x2fd3fbff, 0x00000000, 0x00000000, 0x00001005,
                            0x00000000, 0x00000000}},
        {"EPYC-v5", {0xf6d83203, 0x078bfbff, 0x00000004, 0x209c01a9, 0x00000000, 0x00000000, 0x00000000,
                            0x0000000f, 0x00c003f1, 0x2fd3fbff, 0x00000003, 0x00000000, 0x00001005,
                            0x00000000, 0x00000000}},
};

/* Family, model, stepping: virtee/sev-snp-measure, vcpu_types.py; versions that it lacks are QEMU's. */
static const struct {
	const char *name;
	unsigned family, model, stepping;
} fact_signatures[] = {
        {"EPYC", 23, 1, 2},
        {"EPYC-v1", 23, 1, 2},
        {"EPYC-v2", 23, 1, 2},
        {"EPYC-v3", 23, 1, 2},
        {"EPYC-v4", 23, 1, 2},
        {"EPYC-v5", 23, 1, 2},
        {"EPYC-IBPB", 23, 1, 2},
        {"EPYC-Rome", 23, 49, 0},
        {"EPYC-Rome-v1", 23, 49, 0},
        {"EPYC-Rome-v2", 23, 49, 0},
        {"EPYC-Rome-v3", 23, 49, 0},
        {"EPYC-Rome-v4", 23, 49, 0},
        {"EPYC-Rome-v5", 23, 49, 0},
        {"EPYC-Milan", 25, 1, 1},
        {"EPYC-Milan-v1", 25, 1, 1},
        {"EPYC-Milan-v2", 25, 1, 1},
        {"EPYC-Milan-v3", 25, 1, 1},
        {"EPYC-Genoa", 25, 17, 0},
        {"EPYC-Genoa-v1", 25, 17, 0},
        {"EPYC-Genoa-v2", 25, 17, 0},
        {"EPYC-Turin", 26, 0, 0},
        {"EPYC-Turin-v1", 26, 0, 0},
};

/* Extended states of an EPYC 7003 (Milan): CPUID leaf 0xd as its owners publish it. */
static const struct kvm_cpuid_entry2 fact_milan_states[] = {
        {0xd, 0, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, 0x207, 0x240, 0x988, 0},
        {0xd, 1, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, 0xf, 0x240, 0, 0},
        {0xd, 2, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, 0x100, 0x240, 0, 0},
        {0xd, 9, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, 0x8, 0x980, 0, 0},
};

/*
 * KVM_GET_SUPPORTED_CPUID of a KVM without hardware virtualisation (pvm) on an Intel host, entries of zeros
 * left out. It offers LA57 and 57 address bits, and refuses CR4.LA57; leaf 0xd without XSAVE.
 */
static const struct kvm_cpuid_entry2 fact_pvm[] = {
        {0x00000000, 0, 0, 0x0000001c, 0x756e6547, 0x6c65746e, 0x49656e69},
        {0x00000001, 0, 0, 0x000c06f2, 0x00020800, 0x81202000, 0x0f8bfbff},
        {0x00000002, 0, 0, 0x00feff01, 0x000000f0, 0x00000000, 0x00000000},
        {0x00000004, 0, 1, 0x04000121, 0x02c0003f, 0x0000003f, 0x00000000},
        {0x00000004, 1, 1, 0x04000122, 0x01c0003f, 0x0000003f, 0x00000000},
        {0x00000004, 2, 1, 0x04000143, 0x03c0003f, 0x000007ff, 0x00000000},
        {0x00000004, 3, 1, 0x04004163, 0x04c0003f, 0x00033fff, 0x00000000},
        {0x00000006, 0, 0, 0x00000004, 0x00000000, 0x00000000, 0x00000000},
        {0x00000007, 0, 1, 0x00000002, 0x01802852, 0x1a010104, 0x20010000},
        {0x00000007, 1, 1, 0x00001c00, 0x00000000, 0x00000000, 0x00000000},
        {0x00000007, 2, 1, 0x00000000, 0x00000000, 0x00000000, 0x00000001},
        {0x0000000d, 0, 1, 0x000000e7, 0x00000a80, 0x00000a80, 0x00000000},
        {0x0000000d, 2, 1, 0x00000100, 0x00000240, 0x00000000, 0x00000000},
        {0x0000000d, 5, 1, 0x00000040, 0x00000440, 0x00000000, 0x00000000},
        {0x0000000d, 6, 1, 0x00000200, 0x00000480, 0x00000000, 0x00000000},
        {0x0000000d, 7, 1, 0x00000400, 0x00000680, 0x00000000, 0x00000000},
        {0x80000000, 0, 0, 0x80000021, 0x00000000, 0x00000000, 0x00000000},
        {0x80000001, 0, 0, 0x00000000, 0x00000000, 0x00000101, 0x20100800},
        {0x80000006, 0, 0, 0x00000000, 0x00000000, 0x08007040, 0x00000000},
        {0x80000007, 0, 0, 0x00000000, 0x00000000, 0x00000000, 0x00000100},
        {0x80000008, 0, 0, 0x00003930, 0x00000000, 0x00000000, 0x00000000},
        {0x80000021, 0, 0, 0x00000244, 0x00000000, 0x00000006, 0x00000000},
        {0x40000000, 0, 0, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x0000004d},
        {0x40000001, 0, 0, 0x01007efb, 0x00000000, 0x00000000, 0x00000000},
};

#endif

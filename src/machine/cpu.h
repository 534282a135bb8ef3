/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu: what cpu_models.c, cpu_features.c and cpuid.c share: features by name, caches by number.
 */
#ifndef MACHINE_CPU_H
#define MACHINE_CPU_H

#include "vmm/machine.h"

/* The registers of CPUID that hold a bit for each feature. */
enum machine_cpu_word {
	CPU_1_ECX,
	CPU_1_EDX,
	CPU_6_EAX,
	CPU_7_EBX,
	CPU_7_ECX,
	CPU_7_EDX,
	CPU_7_1_EAX,
	CPU_D_1_EAX,
	CPU_80000001_ECX,
	CPU_80000001_EDX,
	CPU_80000007_EBX,
	CPU_80000007_EDX,
	CPU_80000008_EBX,
	CPU_8000001F_EAX,
	CPU_80000021_EAX,
	CPU_80000022_EAX,
	CPU_WORDS
};

struct machine_cpu_features {
	uint32_t words[CPU_WORDS];
};

/* Where a word stands: leaf, subleaf and offset of the register in struct kvm_cpuid_entry2. */
struct machine_cpu_place {
	uint32_t function, index;
	size_t reg;
};
extern const struct machine_cpu_place machine_cpu_places[CPU_WORDS];

/* NULL for a bit that has no name here, because no model and no rule needs it. */
const char *machine_cpu_feature_name(enum machine_cpu_word word, unsigned bit);
/* "avx -pku": adds, takes away. False if a name is unknown; the others are applied all the same. */
bool machine_cpu_features_apply(struct machine_cpu_features *features, const char *list);
bool machine_cpu_features_have(const struct machine_cpu_features *features, const char *name);
/* The features of the named model and all its parents. */
void machine_cpu_model_features(
        const struct machine_cpu_model *model, struct machine_cpu_features *ret_features);

/* CPUID.8000001D describes these, in this order (APM vol. 3, E.4.15). */
enum { CPU_L1D, CPU_L1I, CPU_L2, CPU_L3, CPU_CACHES };
struct machine_cpu_caches {
	struct {
		uint16_t kib;
		uint8_t ways;
	} levels[CPU_CACHES];
};
#define CPU_CACHE_LINE_BYTES 64

#endif

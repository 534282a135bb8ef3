/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu_features: the names of CPU features, as users of QEMU and libvirt know them, and sets of features. Any
 * thread; no state. APM vol. 3, appendix E; Intel SDM vol. 2, CPUID.
 */
#include <string.h>

#include "cpu.h"

#define PLACE(function, index, reg) \
	{ \
		function, index, offsetof(struct kvm_cpuid_entry2, reg) \
	}

const struct machine_cpu_place machine_cpu_places[CPU_WORDS] = {
        [CPU_1_ECX] = PLACE(0x1, 0, ecx),
        [CPU_1_EDX] = PLACE(0x1, 0, edx),
        [CPU_6_EAX] = PLACE(0x6, 0, eax),
        [CPU_7_EBX] = PLACE(0x7, 0, ebx),
        [CPU_7_ECX] = PLACE(0x7, 0, ecx),
        [CPU_7_EDX] = PLACE(0x7, 0, edx),
        [CPU_7_1_EAX] = PLACE(0x7, 1, eax),
        [CPU_D_1_EAX] = PLACE(0xd, 1, eax),
        [CPU_80000001_ECX] = PLACE(0x80000001, 0, ecx),
        [CPU_80000001_EDX] = PLACE(0x80000001, 0, edx),
        [CPU_80000007_EBX] = PLACE(0x80000007, 0, ebx),
        [CPU_80000007_EDX] = PLACE(0x80000007, 0, edx),
        [CPU_80000008_EBX] = PLACE(0x80000008, 0, ebx),
        [CPU_8000001F_EAX] = PLACE(0x8000001f, 0, eax),
        [CPU_80000021_EAX] = PLACE(0x80000021, 0, eax),
        [CPU_80000022_EAX] = PLACE(0x80000022, 0, eax),
};

/* clang-format off */
static const char *const names[CPU_WORDS][32] = {
	[CPU_1_ECX] = {
		[0] = "pni", [1] = "pclmulqdq", [3] = "monitor", [9] = "ssse3", [12] = "fma", [13] = "cx16",
		[17] = "pcid", [19] = "sse4.1", [20] = "sse4.2", [21] = "x2apic", [22] = "movbe", [23] = "popcnt",
		[24] = "tsc-deadline", [25] = "aes", [26] = "xsave", [27] = "osxsave", [28] = "avx", [29] = "f16c",
		[30] = "rdrand", [31] = "hypervisor",
	},
	[CPU_1_EDX] = {
		[0] = "fpu", [1] = "vme", [2] = "de", [3] = "pse", [4] = "tsc", [5] = "msr", [6] = "pae", [7] = "mce",
		[8] = "cx8", [9] = "apic", [11] = "sep", [12] = "mtrr", [13] = "pge", [14] = "mca", [15] = "cmov",
		[16] = "pat", [17] = "pse36", [19] = "clflush", [23] = "mmx", [24] = "fxsr", [25] = "sse",
		[26] = "sse2", [28] = "ht",
	},
	[CPU_6_EAX] = {[2] = "arat"},
	[CPU_7_EBX] = {
		[0] = "fsgsbase", [1] = "tsc-adjust", [3] = "bmi1", [5] = "avx2", [7] = "smep", [8] = "bmi2",
		[9] = "erms", [10] = "invpcid", [16] = "avx512f", [17] = "avx512dq", [18] = "rdseed", [19] = "adx",
		[20] = "smap", [21] = "avx512ifma", [23] = "clflushopt", [24] = "clwb", [28] = "avx512cd",
		[29] = "sha-ni", [30] = "avx512bw", [31] = "avx512vl",
	},
	[CPU_7_ECX] = {
		[1] = "avx512vbmi", [2] = "umip", [3] = "pku", [4] = "ospke", [6] = "avx512vbmi2", [8] = "gfni",
		[9] = "vaes", [10] = "vpclmulqdq", [11] = "avx512vnni", [12] = "avx512bitalg",
		[14] = "avx512-vpopcntdq", [16] = "la57", [22] = "rdpid", [27] = "movdiri", [28] = "movdir64b",
	},
	[CPU_7_EDX] = {
		[4] = "fsrm", [8] = "avx512-vp2intersect", [26] = "spec-ctrl", [27] = "stibp", [28] = "flush-l1d",
		[29] = "arch-capabilities", [30] = "core-capability", [31] = "ssbd",
	},
	[CPU_7_1_EAX] = {[4] = "avx-vnni", [5] = "avx512-bf16"},
	[CPU_D_1_EAX] = {[0] = "xsaveopt", [1] = "xsavec", [2] = "xgetbv1", [3] = "xsaves"},
	[CPU_80000001_ECX] = {
		[0] = "lahf-lm", [1] = "cmp-legacy", [2] = "svm", [4] = "cr8legacy", [5] = "abm", [6] = "sse4a",
		[7] = "misalignsse", [8] = "3dnowprefetch", [9] = "osvw", [22] = "topoext", [23] = "perfctr-core",
	},
	[CPU_80000001_EDX] = {
		[11] = "syscall", [20] = "nx", [22] = "mmxext", [25] = "fxsr-opt", [26] = "pdpe1gb", [27] = "rdtscp",
		[29] = "lm",
	},
	[CPU_80000007_EBX] = {[0] = "overflow-recov", [1] = "succor"},
	[CPU_80000007_EDX] = {[8] = "invtsc"},
	[CPU_80000008_EBX] = {
		[0] = "clzero", [2] = "xsaveerptr", [9] = "wbnoinvd", [12] = "ibpb", [14] = "ibrs",
		[15] = "amd-stibp", [17] = "stibp-always-on", [24] = "amd-ssbd", [25] = "virt-ssbd", [28] = "amd-psfd",
	},
	[CPU_8000001F_EAX] = {[1] = "sev", [3] = "sev-es", [4] = "sev-snp"},
	[CPU_80000021_EAX] = {
		[0] = "no-nested-data-bp", [1] = "fs-gs-base-ns", [2] = "lfence-always-serializing",
		[6] = "null-sel-clr-base", [8] = "auto-ibrs", [20] = "prefetchi", [27] = "sbpb",
		[28] = "ibpb-brtype", [30] = "srso-user-kernel-no",
	},
	[CPU_80000022_EAX] = {[0] = "perfmon-v2"},
};
/* clang-format on */

const char *machine_cpu_feature_name(enum machine_cpu_word word, unsigned bit)
{
	return names[word][bit];
}

/* The bit's mask, 0 if the name is unknown. */
static uint32_t feature_find(const char *name, size_t len, enum machine_cpu_word *ret_word)
{
	for (unsigned i = 0; i < CPU_WORDS * 32; i++) {
		const char *known = names[i / 32][i % 32];

		if (known && strlen(known) == len && memcmp(known, name, len) == 0) {
			*ret_word = i / 32;
			return UINT32_C(1) << i % 32;
		}
	}
	return 0;
}

bool machine_cpu_features_apply(struct machine_cpu_features *features, const char *list)
{
	bool all_known = true;

	while (*(list += strspn(list, " "))) {
		bool take_away = *list == '-';
		const char *name = list + take_away;
		size_t len = strcspn(name, " ");
		enum machine_cpu_word word = 0;
		uint32_t bit = feature_find(name, len, &word);

		if (!bit)
			all_known = false;
		else if (take_away)
			features->words[word] &= ~bit;
		else
			features->words[word] |= bit;
		list = name + len;
	}
	return all_known;
}

bool machine_cpu_features_have(const struct machine_cpu_features *features, const char *name)
{
	enum machine_cpu_word word = 0;
	uint32_t bit = feature_find(name, strlen(name), &word);

	return features->words[word] & bit;
}

void machine_cpu_model_features(
        const struct machine_cpu_model *model, struct machine_cpu_features *ret_features)
{
	const struct machine_cpu_model *parent = model->parent ? machine_cpu_model(model->parent) : NULL;
	struct machine_cpu_features features = {0};

	if (parent)
		machine_cpu_model_features(parent, &features);
	machine_cpu_features_apply(&features, model->features);
	*ret_features = features;
}

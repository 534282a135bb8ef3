/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu_models: the CPUs that a guest can be given, by QEMU's names. Each is written as what it adds to an
 * earlier one. Any thread; no state. AMD PPRs of families 17h, 19h, 1Ah; docs/cpu-models.md says how to add
 * one.
 */
#include <string.h>

#include "cpu.h"

static const struct machine_cpu_caches zen1_caches = {{{32, 8}, {64, 4}, {512, 8}, {8192, 16}}};
static const struct machine_cpu_caches zen2_caches = {{{32, 8}, {32, 8}, {512, 8}, {16384, 16}}};
static const struct machine_cpu_caches zen3_caches = {{{32, 8}, {32, 8}, {512, 8}, {32768, 16}}};
static const struct machine_cpu_caches zen4_caches = {{{32, 8}, {32, 8}, {1024, 8}, {32768, 16}}};
static const struct machine_cpu_caches zen5_caches = {{{48, 12}, {32, 8}, {1024, 16}, {32768, 16}}};

#define ZEN1 .signature = 0x00800f12, .caches = &zen1_caches
#define ZEN2 .signature = 0x00830f10, .caches = &zen2_caches
#define ZEN3 .signature = 0x00a00f11, .caches = &zen3_caches
#define ZEN4 .signature = 0x00a10f10, .caches = &zen4_caches
#define ZEN5 .signature = 0x00b00f00, .caches = &zen5_caches

static const struct machine_cpu_model models[] = {
        {"host", .features = ""},
        {"EPYC-v1", NULL, ZEN1, .title = "AMD EPYC Processor", .max_leaf_ext = 0x8000001e,
                .features =
                        "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx "
                        "fxsr sse sse2 pni pclmulqdq ssse3 fma cx16 sse4.1 sse4.2 movbe popcnt aes xsave "
                        "avx f16c rdrand arat fsgsbase bmi1 avx2 smep bmi2 rdseed adx smap clflushopt "
                        "sha-ni xsaveopt xsavec xgetbv1 lahf-lm cr8legacy abm sse4a misalignsse "
                        "3dnowprefetch osvw topoext syscall nx mmxext fxsr-opt pdpe1gb rdtscp lm"},
        {"EPYC-v2", "EPYC-v1", ZEN1, .title = "AMD EPYC Processor (with IBPB)", .max_leaf_ext = 0x8000001e,
                .features = "ibpb"},
        {"EPYC-v3", "EPYC-v2", ZEN1, .title = "AMD EPYC Processor", .max_leaf_ext = 0x8000001e,
                .features = "perfctr-core clzero xsaveerptr xsaves"},
        {"EPYC-v4", "EPYC-v3", ZEN1, .title = "AMD EPYC-v4 Processor", .max_leaf_ext = 0x8000001e,
                .features = ""},
        {"EPYC-v5", "EPYC-v4", ZEN1, .title = "AMD EPYC-v5 Processor", .max_leaf_ext = 0x8000001e,
                .features = "overflow-recov succor"},
        {"EPYC-Rome-v1", "EPYC-v3", ZEN2, .title = "AMD EPYC-Rome Processor", .max_leaf_ext = 0x8000001e,
                .features = "clwb umip rdpid wbnoinvd amd-stibp"},
        {"EPYC-Rome-v2", "EPYC-Rome-v1", ZEN2, .title = "AMD EPYC-Rome Processor", .max_leaf_ext = 0x8000001e,
                .features = "ibrs amd-ssbd"},
        {"EPYC-Rome-v3", "EPYC-Rome-v2", ZEN2, .title = "AMD EPYC-Rome-v3 Processor",
                .max_leaf_ext = 0x8000001e, .features = ""},
        {"EPYC-Rome-v4", "EPYC-Rome-v3", ZEN2, .title = "AMD EPYC-Rome-v4 Processor (no XSAVES)",
                .max_leaf_ext = 0x8000001e, .features = "-xsaves"}, /* erratum 1386 */
        {"EPYC-Rome-v5", "EPYC-Rome-v4", ZEN2, .title = "AMD EPYC-Rome-v5 Processor",
                .max_leaf_ext = 0x8000001e, .features = "overflow-recov succor"},
        {"EPYC-Milan-v1", "EPYC-Rome-v3", ZEN3, .title = "AMD EPYC-Milan Processor",
                .max_leaf_ext = 0x8000001e, .features = "pcid erms invpcid pku fsrm"},
        {"EPYC-Milan-v2", "EPYC-Milan-v1", ZEN3, .title = "AMD EPYC-Milan-v2 Processor",
                .max_leaf_ext = 0x80000021,
                .features = "vaes vpclmulqdq stibp-always-on amd-psfd no-nested-data-bp "
                            "lfence-always-serializing null-sel-clr-base"},
        {"EPYC-Milan-v3", "EPYC-Milan-v2", ZEN3, .title = "AMD EPYC-Milan-v3 Processor",
                .max_leaf_ext = 0x80000021, .features = "overflow-recov succor"},
        {"EPYC-Genoa-v1", "EPYC-Milan-v2", ZEN4, .title = "AMD EPYC-Genoa Processor",
                .max_leaf_ext = 0x80000022,
                .features =
                        "avx512f avx512dq avx512ifma avx512cd avx512bw avx512vl avx512vbmi avx512vbmi2 gfni "
                        "avx512vnni avx512bitalg avx512-vpopcntdq la57 avx512-bf16 auto-ibrs"},
        {"EPYC-Genoa-v2", "EPYC-Genoa-v1", ZEN4, .title = "AMD EPYC-Genoa-v2 Processor",
                .max_leaf_ext = 0x80000022, .features = "overflow-recov succor fs-gs-base-ns perfmon-v2"},
        {"EPYC-Turin-v1", "EPYC-Genoa-v2", ZEN5, .title = "AMD EPYC-Turin Processor",
                .max_leaf_ext = 0x80000022,
                .features = "movdiri movdir64b avx512-vp2intersect avx-vnni prefetchi sbpb ibpb-brtype "
                            "srso-user-kernel-no"},
};

/* The unversioned names mean version 1, as for QEMU's unversioned machines. */
static const struct {
	const char *name, *model;
} aliases[] = {
        {"EPYC", "EPYC-v1"},
        {"EPYC-IBPB", "EPYC-v2"},
        {"EPYC-Rome", "EPYC-Rome-v1"},
        {"EPYC-Milan", "EPYC-Milan-v1"},
        {"EPYC-Genoa", "EPYC-Genoa-v1"},
        {"EPYC-Turin", "EPYC-Turin-v1"},
};

const struct machine_cpu_model *machine_cpu_model(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(aliases); i++)
		if (strcmp(name, aliases[i].name) == 0)
			name = aliases[i].model;
	for (size_t i = 0; i < ARRAY_LEN(models); i++)
		if (strcmp(name, models[i].name) == 0)
			return &models[i];
	return NULL;
}

const char *machine_cpu_model_name(size_t i)
{
	if (i < ARRAY_LEN(models))
		return models[i].name;
	i -= ARRAY_LEN(models);
	return i < ARRAY_LEN(aliases) ? aliases[i].name : NULL;
}

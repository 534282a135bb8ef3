/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpuid: the CPUID table of a vCPU, the features in it that instructions depend on, and the features that
 * this processor can offer.
 */
#include <cpuid.h>

#include "internal.h"

#define ENTRIES_MAX      256u /* KVM_MAX_CPUID_ENTRIES */
#define PHYS_BITS_UNSAID 36   /* KVM's cpuid_query_maxphyaddr() */

enum cpuid_reg { EAX, EBX, ECX, EDX };

struct feature_bit {
	u32 leaf, subleaf;
	enum cpuid_reg reg;
	u8 bit;
	u64 feature; /* enum cpu_feature; 0: no instruction depends on the bit */
};

/*
 * All feature bits that are implemented. If a bit has a feature of ours (the last column) and the table does
 * not offer it, its instructions raise #UD and its control bits are reserved.
 */
/* clang-format off */
static const struct feature_bit feature_bits[] = {
        {1, 0, ECX, 0, FEATURE_SSE3},
        {1, 0, ECX, 1, FEATURE_PCLMUL},
        {1, 0, ECX, 3, 0}, /* MONITOR: see check_monitor() */
        {1, 0, ECX, 9, FEATURE_SSSE3},
        {1, 0, ECX, 13, FEATURE_CX16},
        {1, 0, ECX, 19, FEATURE_SSE41},
        {1, 0, ECX, 20, FEATURE_SSE42},
        {1, 0, ECX, 22, FEATURE_MOVBE},
        {1, 0, ECX, 23, FEATURE_POPCNT},
        {1, 0, ECX, 25, FEATURE_AES},
        {1, 0, ECX, 26, FEATURE_XSAVE},
        {1, 0, ECX, 12, FEATURE_FMA}, /* not offered */
        {1, 0, ECX, 28, FEATURE_AVX}, /* for its state alone; not offered */
        {1, 0, ECX, 29, FEATURE_F16C}, /* not offered */
        {1, 0, ECX, 30, FEATURE_RDRAND},
        {1, 0, EDX, 0, 0}, /* FPU */
        {1, 0, EDX, 2, 0}, /* DE */
        {1, 0, EDX, 3, 0}, /* PSE */
        {1, 0, EDX, 4, 0}, /* TSC */
        {1, 0, EDX, 5, 0}, /* MSR */
        {1, 0, EDX, 6, 0}, /* PAE */
        {1, 0, EDX, 7, 0}, /* MCE */
        {1, 0, EDX, 8, 0}, /* CX8 */
        {1, 0, EDX, 9, 0}, /* APIC */
        {1, 0, EDX, 11, 0}, /* SEP */
        {1, 0, EDX, 12, 0}, /* MTRR */
        {1, 0, EDX, 13, 0}, /* PGE */
        {1, 0, EDX, 14, 0}, /* MCA */
        {1, 0, EDX, 15, 0}, /* CMOV */
        {1, 0, EDX, 16, 0}, /* PAT */
        {1, 0, EDX, 17, 0}, /* PSE36 */
        {1, 0, EDX, 19, 0}, /* CLFSH */
        {1, 0, EDX, 23, 0}, /* MMX */
        {1, 0, EDX, 24, 0}, /* FXSR */
        {1, 0, EDX, 25, 0}, /* SSE */
        {1, 0, EDX, 26, 0}, /* SSE2 */
        {7, 0, EBX, 0, FEATURE_FSGSBASE},
        {7, 0, EBX, 3, FEATURE_BMI1},
        {7, 0, EBX, 5, FEATURE_AVX2}, /* not offered */
        {7, 0, EBX, 7, FEATURE_SMEP},
        {7, 0, EBX, 8, FEATURE_BMI2},
        {7, 0, EBX, 9, 0}, /* ERMS */
        {7, 0, EBX, 18, FEATURE_RDSEED},
        {7, 0, EBX, 19, FEATURE_ADX},
        {7, 0, EBX, 20, FEATURE_SMAP},
        {7, 0, EBX, 23, FEATURE_CLFLUSHOPT},
        {7, 0, EBX, 24, FEATURE_CLWB},
        {7, 0, EBX, 29, FEATURE_SHA},
        {7, 0, ECX, 2, FEATURE_UMIP},
        {7, 0, ECX, 9, FEATURE_VAES}, /* not offered */
        {7, 0, ECX, 10, FEATURE_VPCLMUL}, /* not offered */
        {7, 0, ECX, 22, FEATURE_RDPID},
        {7, 0, EDX, 4, 0}, /* FSRM */
        {0xd, 1, EAX, 0, FEATURE_XSAVEOPT},
        {0xd, 1, EAX, 1, FEATURE_XSAVEC},
        {0xd, 1, EAX, 2, 0}, /* XGETBV with ECX 1 */
        {0x80000001, 0, ECX, 0, 0}, /* LAHF */
        {0x80000001, 0, ECX, 5, FEATURE_LZCNT},
        {0x80000001, 0, ECX, 6, FEATURE_SSE4A},
        {0x80000001, 0, ECX, 7, 0}, /* misaligned SSE */
        {0x80000001, 0, ECX, 8, 0}, /* PREFETCH */
        {0x80000001, 0, EDX, 11, 0}, /* SYSCALL */
        {0x80000001, 0, EDX, 20, FEATURE_NX},
        {0x80000001, 0, EDX, 22, 0}, /* MMX extensions */
        {0x80000001, 0, EDX, 25, 0}, /* fast FXSAVE */
        {0x80000001, 0, EDX, 26, FEATURE_GB_PAGES},
        {0x80000001, 0, EDX, 27, FEATURE_RDTSCP},
        {0x80000001, 0, EDX, 29, FEATURE_LM},
        {0x80000008, 0, EBX, 9, 0}, /* WBNOINVD */
};
/* clang-format on */

static u32 *entry_reg(struct kvm_cpuid_entry2 *e, enum cpuid_reg reg)
{
	return reg == EAX ? &e->eax : reg == EBX ? &e->ebx : reg == ECX ? &e->ecx : &e->edx;
}

static const struct kvm_cpuid_entry2 *find(const struct cpu *cpu, u32 leaf, u32 subleaf)
{
	for (u32 i = 0; i < cpu->cpuid_count; i++) {
		const struct kvm_cpuid_entry2 *e = &cpu->cpuid[i];

		if (e->function == leaf &&
		        (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == subleaf))
			return e;
	}
	return NULL;
}

/* AVX is the only state behind those of x87 and SSE: it takes the same room in the standard and the compact
 * form. */
#define XSAVE_BYTES   0x240u
#define XSAVE_AVX     0x100u
#define D1_EAX_XSAVEC (1u << 1)
#define D1_EAX_XSAVES (1u << 3)
#define ECX_OSXSAVE   (1u << 27)
#define ECX_MONITOR   (1u << 3)
#define EDX_APIC      (1u << 9)
#define ECX_OSPKE     (1u << 4) /* of leaf 7 */

void cpu_cpuid_now(const struct cpu *cpu, struct kvm_cpuid_entry2 *entry)
{
	if (entry->function == 1) {
		entry->ecx = (entry->ecx & ~ECX_OSXSAVE) | (cpu->cr4 & CR4_OSXSAVE ? ECX_OSXSAVE : 0);
		entry->edx = (entry->edx & ~EDX_APIC) | (cpu->apic_on ? EDX_APIC : 0);
		if (!cpu_bus_has_quirk(cpu->bus, KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT))
			entry->ecx = (entry->ecx & ~ECX_MONITOR) | (cpu->mwait_on ? ECX_MONITOR : 0);
	}
	if (entry->function == 7 && entry->index == 0)
		entry->ecx &= ~ECX_OSPKE;
	if (entry->function == 0xd &&
	        (entry->index == 0 || (entry->index == 1 && entry->eax & (D1_EAX_XSAVEC | D1_EAX_XSAVES))))
		entry->ebx = XSAVE_BYTES + (cpu->xcr0 & XSTATE_AVX ? XSAVE_AVX : 0);
}

void cpu_cpuid_query(const struct cpu *cpu, u32 leaf, u32 subleaf, u32 ret_regs[static 4])
{
	const struct kvm_cpuid_entry2 *e = find(cpu, leaf, subleaf);
	struct kvm_cpuid_entry2 now = {0};

	if (e) {
		now = *e;
		cpu_cpuid_now(cpu, &now);
	}
	ret_regs[EAX] = now.eax;
	ret_regs[EBX] = now.ebx;
	ret_regs[ECX] = now.ecx;
	ret_regs[EDX] = now.edx;
}

uint64_t cpu_phys_mask(const struct cpu *cpu)
{
	u32 max[4], addresses[4], bits = PHYS_BITS_UNSAID;

	cpu_cpuid_query(cpu, 0x80000000, 0, max);
	cpu_cpuid_query(cpu, 0x80000008, 0, addresses);
	if (max[EAX] >= 0x80000008 && find(cpu, 0x80000008, 0))
		bits = addresses[EAX] & 0xff;
	return bits < 64 ? ((u64)1 << bits) - 1 : UINT64_MAX;
}

static bool is_amd(const u32 vendor[static 4])
{
	static const char names[][13] = {"AuthenticAMD", "AMDisbetter!", "HygonGenuine"};
	const u32 order[] = {vendor[EBX], vendor[EDX], vendor[ECX]};
	bool found = false;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		found |= memcmp(names[i], order, sizeof(order)) == 0;
	return found;
}

int cpu_set_cpuid(struct cpu *cpu, const struct kvm_cpuid_entry2 *entries, uint32_t count, struct err *err)
{
	struct kvm_cpuid_entry2 *copy;
	u32 regs[4];

	if (count > ENTRIES_MAX)
		return err_set(err, ERR_FAILED, "%u CPUID entries, at most %u", count, ENTRIES_MAX);
	copy = calloc(count ? count : 1, sizeof(*copy));
	if (!copy)
		return err_set(err, ERR_FAILED, "no memory for %u CPUID entries", count);
	if (count)
		memcpy(copy, entries, count * sizeof(*copy));
	free(cpu->cpuid);
	cpu->cpuid = copy;
	cpu->cpuid_count = count;
	cpu->features = 0;
	for (size_t i = 0; i < ARRAY_LEN(feature_bits); i++) {
		const struct feature_bit *f = &feature_bits[i];
		const struct kvm_cpuid_entry2 *e = find(cpu, f->leaf, f->subleaf);

		if (e && *entry_reg((struct kvm_cpuid_entry2 *)(uintptr_t)e, f->reg) >> f->bit & 1)
			cpu->features |= f->feature;
	}
	cpu_cpuid_query(cpu, 0x80000001, 0, regs);
	cpu->mxcsr_mask = 0xffff | (regs[ECX] >> 7 & 1 ? MXCSR_MM : 0);
	cpu_cpuid_query(cpu, 0, 0, regs);
	cpu->amd = is_amd(regs);
	/* The old blocks were decoded for other features. */
	cpu_code_serialize(cpu);
	cpu_code_forget_blocks(cpu);
	return 0;
}

/* ---- what can be offered ---- */

/* The host's own instructions do the work of these features, so the host must have them. */
#define HOST_COMPUTED \
	(FEATURE_SSSE3 | FEATURE_SSE41 | FEATURE_SSE42 | FEATURE_AES | FEATURE_PCLMUL | FEATURE_SHA)

/* AVX is not complete. */
#define NOT_OFFERED (FEATURE_AVX | FEATURE_AVX2 | FEATURE_FMA | FEATURE_F16C | FEATURE_VAES | FEATURE_VPCLMUL)

static bool can_offer(const struct feature_bit *f)
{
	u32 regs[4] = {0};

	if (!(f->feature & HOST_COMPUTED))
		return !(f->feature & NOT_OFFERED);
	__get_cpuid_count(f->leaf, f->subleaf, &regs[EAX], &regs[EBX], &regs[ECX], &regs[EDX]);
	return regs[f->reg] >> f->bit & 1;
}

#define VENDOR_EBX 0x68747541u /* "AuthenticAMD" */
#define VENDOR_EDX 0x69746e65u
#define VENDOR_ECX 0x444d4163u
#define INDEXED    KVM_CPUID_FLAG_SIGNIFCANT_INDEX

/* The leaves without their feature bits. Family 25, model 1 is Milan to SEV-SNP guests. */
static const struct kvm_cpuid_entry2 leaves[] = {
        {.function = 0, .eax = 0xd, .ebx = VENDOR_EBX, .ecx = VENDOR_ECX, .edx = VENDOR_EDX},
        {.function = 1, .eax = 0x00a00f11, .ebx = 0x00000800},
        {.function = 5, .eax = 64, .ebx = 64, .ecx = 3},
        {.function = 6, .eax = 4}, /* the APIC timer does not stop */
        {.function = 7, .index = 0, .flags = INDEXED},
        {.function = 0xd, .index = 0, .flags = INDEXED, .eax = 3, .ebx = 0x240, .ecx = 0x240},
        {.function = 0xd, .index = 1, .flags = INDEXED},
        {.function = 0x80000000, .eax = 0x80000008, .ebx = VENDOR_EBX, .ecx = VENDOR_ECX, .edx = VENDOR_EDX},
        {.function = 0x80000001, .eax = 0x00a00f11},
        {.function = 0x80000002, .eax = 0x206d6d76, .ebx = 0x74666f73, .ecx = 0x65726177, .edx = 0x6f727020},
        {.function = 0x80000003, .eax = 0x73736563, .ebx = 0x0000726f},
        {.function = 0x80000004},
        {.function = 0x80000005, .ecx = 0x20080140, .edx = 0x20080140},
        {.function = 0x80000006, .ecx = 0x02006140},
        {.function = 0x80000007, .edx = 0x100}, /* the TSC is invariant */
        {.function = 0x80000008, .eax = 0x3028},
};

void cpu_supported_cpuid(struct kvm_cpuid_entry2 *entries, uint32_t *count)
{
	u32 room = *count < ARRAY_LEN(leaves) ? *count : (u32)ARRAY_LEN(leaves);

	*count = ARRAY_LEN(leaves);
	if (!room)
		return;
	memcpy(entries, leaves, room * sizeof(*entries));
	for (size_t i = 0; i < ARRAY_LEN(feature_bits); i++) {
		const struct feature_bit *f = &feature_bits[i];

		for (u32 n = 0; n < room; n++)
			if (entries[n].function == f->leaf && entries[n].index == f->subleaf && can_offer(f))
				*entry_reg(&entries[n], f->reg) |= 1u << f->bit;
	}
	/* AMD repeats most of leaf 1's EDX. */
	for (u32 n = 0; n < room; n++)
		if (entries[n].function == 0x80000001 && room > 1)
			entries[n].edx |= entries[1].edx & 0x0183f3ff;
}

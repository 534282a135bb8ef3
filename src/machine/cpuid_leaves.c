/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpuid_leaves: the entries of a guest's CPUID table: the feature words in their places, and what else CPUID
 * holds: names, caches, topology, sizes. Each leaf has a row. Any thread. APM vol. 3, appendix E; KVM
 * cpuid.rst.
 */
#include <linux/kvm_para.h>
#include <string.h>

#include "cpuid.h"

#define CLFLUSH_QWORDS 8
#define VENDOR_AMD_ECX 0x444d4163
#define VENDOR_AMD_EDX 0x69746e65

/* Bits that hold `count` different numbers. */
static unsigned id_bits(unsigned count)
{
	return count <= 1 ? 0 : 32 - (unsigned)__builtin_clz(count - 1);
}

/* ---- one entry ---- */

static bool is_nothing(const struct kvm_cpuid_entry2 *e)
{
	return !(e->eax | e->ebx | e->ecx | e->edx);
}

/* Leaves that are not in the table read as zero, so a leaf of zeros is left out. */
static void put(struct machine_cpuid_build *b, const struct kvm_cpuid_entry2 *e)
{
	if (is_nothing(e))
		return;
	if (b->cpuid.nent == ARRAY_LEN(b->cpuid.entries))
		b->full = true;
	else
		b->cpuid.entries[b->cpuid.nent++] = *e;
}

static void put_features(const struct machine_cpuid_build *b, struct kvm_cpuid_entry2 *e)
{
	for (unsigned w = 0; w < CPU_WORDS; w++) {
		const struct machine_cpu_place *place = &machine_cpu_places[w];

		if (place->function == e->function && place->index == e->index)
			store_le((char *)e + place->reg, 4, b->features.words[w]);
	}
}

/* ---- what this vCPU is among the others: one socket, one thread a core, APIC id = index ---- */

static void place_1(const struct machine_cpuid_build *b, struct kvm_cpuid_entry2 *e)
{
	e->ebx = b->ask->vcpu << 24 | b->ask->vcpus << 16 | CLFLUSH_QWORDS << 8;
}

/* Intel's leaf of caches (SDM vol. 2, leaf 4): all cores share level 3, and each core has the other levels to
 * itself. */
static void place_4(const struct machine_cpuid_build *b, struct kvm_cpuid_entry2 *e)
{
	uint32_t ids = (1U << id_bits(b->ask->vcpus)) - 1, level = e->eax >> 5 & 7;

	if ((e->eax & 0x1f) == 0)
		return;
	e->eax = (e->eax & 0x3fff) | (level >= 3 ? ids : 0) << 14 | ids << 26;
}

static void place_80000008(const struct machine_cpuid_build *b, struct kvm_cpuid_entry2 *e)
{
	if (machine_cpuid_is_amd(b->ask))
		e->ecx = (b->ask->vcpus - 1) | id_bits(b->ask->vcpus) << 12;
}

static void place_8000001d(const struct machine_cpuid_build *b, struct kvm_cpuid_entry2 *e)
{
	uint32_t ids = (1U << id_bits(b->ask->vcpus)) - 1, level = e->eax >> 5 & 7;

	if ((e->eax & 0x1f) == 0)
		return;
	e->eax = (e->eax & 0x3fff) | (level >= 3 ? ids : 0) << 14;
}

static void place_8000001e(const struct machine_cpuid_build *b, struct kvm_cpuid_entry2 *e)
{
	if (!machine_cpu_features_have(&b->features, "topoext"))
		return;
	e->eax = b->ask->vcpu;
	e->ebx = b->ask->vcpu; /* core id; one thread a core */
	e->ecx = 0;            /* node 0 of one */
	e->edx = 0;
}

/* ---- what a named model says beyond its features ---- */

static void fill_vendor(const struct machine_cpuid_build *b, struct kvm_cpuid_entry2 *e)
{
	e->eax = 0xd;
	if (e->function == 0x80000000)
		e->eax = b->ask->sev != CONFIG_SEV_NONE && b->ask->model->max_leaf_ext < 0x8000001f
		                 ? 0x8000001f
		                 : b->ask->model->max_leaf_ext;
	e->ebx = MACHINE_CPUID_VENDOR_AMD_EBX;
	e->ecx = VENDOR_AMD_ECX;
	e->edx = VENDOR_AMD_EDX;
}

/* The signature is kept whatever the host is: launch digests hold it. */
static void fill_signature(const struct machine_cpuid_build *b, struct kvm_cpuid_entry2 *e)
{
	e->eax = b->ask->model->signature;
}

static void fill_7(const struct machine_cpuid_build *b, struct kvm_cpuid_entry2 *e)
{
	e->eax = b->features.words[CPU_7_1_EAX] ? 1 : 0; /* the last subleaf */
}

static void fill_title(const struct machine_cpuid_build *b, struct kvm_cpuid_entry2 *e)
{
	char title[48] = "";

	snprintf(title, sizeof(title), "%s", b->ask->model->title);
	memcpy(&e->eax, title + (size_t)(e->function - 0x80000002) * 16, 16);
}

static void fill_l1(const struct machine_cpuid_build *b, struct kvm_cpuid_entry2 *e)
{
	const struct machine_cpu_caches *c = b->ask->model->caches;

	e->ecx = (uint32_t)c->levels[CPU_L1D].kib << 24 | (uint32_t)c->levels[CPU_L1D].ways << 16 | 1 << 8 |
	         CPU_CACHE_LINE_BYTES;
	e->edx = (uint32_t)c->levels[CPU_L1I].kib << 24 | (uint32_t)c->levels[CPU_L1I].ways << 16 | 1 << 8 |
	         CPU_CACHE_LINE_BYTES;
}

/* L2 and L3 encode their ways (APM vol. 3, E.4.5): 8 ways are 6, 16 ways are 8. L3 counts in 512 KiB. */
static void fill_l2_l3(const struct machine_cpuid_build *b, struct kvm_cpuid_entry2 *e)
{
	const struct machine_cpu_caches *c = b->ask->model->caches;
	uint32_t l2_ways = c->levels[CPU_L2].ways == 8 ? 6 : 8, l3_ways = 8;

	e->ecx = (uint32_t)c->levels[CPU_L2].kib << 16 | l2_ways << 12 | 1 << 8 | CPU_CACHE_LINE_BYTES;
	e->edx = (uint32_t)c->levels[CPU_L3].kib / 512 << 18 | l3_ways << 12 | 1 << 8 | CPU_CACHE_LINE_BYTES;
}

/* The host's physical address size; 48 virtual bits unless the guest has 5-level paging. */
static void fill_80000008(const struct machine_cpuid_build *b, struct kvm_cpuid_entry2 *e)
{
	uint32_t virt = machine_cpu_features_have(&b->features, "la57") ? 57 : 48;

	e->eax = (machine_cpuid_host(b->ask, 0x80000008, 0)->eax & ~0xff00U) | virt << 8;
}

static void fill_8000001d(const struct machine_cpuid_build *b, struct kvm_cpuid_entry2 *e)
{
	static const struct {
		uint32_t type, level, flags; /* EDX: 1 WBINVD reaches no sharers, 2 inclusive */
	} kinds[CPU_CACHES] = {{1, 1, 0}, {2, 1, 0}, {3, 2, 2}, {3, 3, 1}};
	const struct machine_cpu_caches *c = b->ask->model->caches;
	uint32_t ways = c->levels[e->index].ways;

	if (!machine_cpu_features_have(&b->features, "topoext"))
		return;
	e->eax = kinds[e->index].type | kinds[e->index].level << 5 | 1 << 8; /* self-initialising */
	e->ebx = (ways - 1) << 22 | (CPU_CACHE_LINE_BYTES - 1);
	e->ecx = c->levels[e->index].kib * 1024U / CPU_CACHE_LINE_BYTES / ways - 1;
	e->edx = kinds[e->index].flags;
}

/* Only a guest that has the feature gets the number of counters (PPR: CPUID Fn8000_0022_EBX). */
static void fill_80000022(const struct machine_cpuid_build *b, struct kvm_cpuid_entry2 *e)
{
	if (machine_cpu_features_have(&b->features, "perfmon-v2"))
		e->ebx = machine_cpuid_host(b->ask, 0x80000022, 0)->ebx;
}

typedef void leaf_fn(const struct machine_cpuid_build *b, struct kvm_cpuid_entry2 *e);

#define SUBLEAF KVM_CPUID_FLAG_SIGNIFCANT_INDEX

static const struct {
	uint32_t function, index, flags;
	leaf_fn *fill;
} named_leaves[] = {
        {0x0, 0, 0, fill_vendor},
        {0x1, 0, 0, fill_signature},
        {0x6, 0, 0, NULL},
        {0x7, 0, SUBLEAF, fill_7},
        {0x7, 1, SUBLEAF, NULL},
        {0x80000000, 0, 0, fill_vendor},
        {0x80000001, 0, 0, fill_signature},
        {0x80000002, 0, 0, fill_title},
        {0x80000003, 0, 0, fill_title},
        {0x80000004, 0, 0, fill_title},
        {0x80000005, 0, 0, fill_l1},
        {0x80000006, 0, 0, fill_l2_l3},
        {0x80000007, 0, 0, NULL},
        {0x80000008, 0, 0, fill_80000008},
        {0x8000001d, CPU_L1D, SUBLEAF, fill_8000001d},
        {0x8000001d, CPU_L1I, SUBLEAF, fill_8000001d},
        {0x8000001d, CPU_L2, SUBLEAF, fill_8000001d},
        {0x8000001d, CPU_L3, SUBLEAF, fill_8000001d},
        {0x8000001e, 0, 0, NULL},
        {0x80000021, 0, 0, NULL},
        {0x80000022, 0, 0, fill_80000022},
};

static const struct {
	uint32_t function;
	leaf_fn *place;
} placements[] = {
        {0x1, place_1},
        {0x4, place_4},
        {0x80000008, place_80000008},
        {0x8000001d, place_8000001d},
        {0x8000001e, place_8000001e},
};

/* Adds a leaf after its features and its place among the vCPUs are written into it. */
static void put_leaf(struct machine_cpuid_build *b, struct kvm_cpuid_entry2 e)
{
	put_features(b, &e);
	for (size_t i = 0; i < ARRAY_LEN(placements); i++)
		if (placements[i].function == e.function)
			placements[i].place(b, &e);
	put(b, &e);
}

static void put_named(struct machine_cpuid_build *b)
{
	for (size_t i = 0; i < ARRAY_LEN(named_leaves); i++) {
		struct kvm_cpuid_entry2 e = {.function = named_leaves[i].function,
		        .index = named_leaves[i].index,
		        .flags = named_leaves[i].flags};

		if (named_leaves[i].fill)
			named_leaves[i].fill(b, &e);
		put_leaf(b, e);
	}
}

/* ---- `host`: the host's leaves, but for those that the functions below write ---- */

static bool host_leaf_is_ours(const struct machine_cpuid_build *b, uint32_t function)
{
	switch (function) {
	case 0xb:        /* topology */
	case 0x1f:       /* topology again, Intel: leaf 0xb serves */
	case 0x8000001f: /* SEV */
	case 0x80000026: /* topology again, AMD: leaf 0xb serves */ return true;
	case 0xd: return !machine_cpu_features_have(&b->features, "xsave");
	case 0x8000000a: return !machine_cpu_features_have(&b->features, "svm");
	default: return (function & 0xf0000000) == KVM_CPUID_SIGNATURE;
	}
}

static void put_host(struct machine_cpuid_build *b)
{
	const struct kvm_cpuid2 *host = b->ask->supported;

	for (unsigned i = 0; i < host->nent; i++) {
		struct kvm_cpuid_entry2 e = host->entries[i];

		if (host_leaf_is_ours(b, e.function))
			continue;
		if (e.function == 0x80000008 && (e.eax >> 8 & 0xff) > 48)
			e.eax = (e.eax & ~0xff00U) | 48 << 8; /* cpuid.c: no 5-level paging from the host */
		put_leaf(b, e);
	}
}

/* ---- for every model ---- */

/* x2APIC topology (SDM vol. 2, leaf 0BH; APM vol. 3, E.3.9): a level of threads, one of cores. */
static void put_topology(struct machine_cpuid_build *b)
{
	const struct machine_cpuid_ask *ask = b->ask;

	put(b, &(struct kvm_cpuid_entry2){0xb, 0, SUBLEAF, 0, 1, 1 << 8 | 0, ask->vcpu});
	put(b, &(struct kvm_cpuid_entry2){
	               0xb, 1, SUBLEAF, id_bits(ask->vcpus), ask->vcpus, 2 << 8 | 1, ask->vcpu});
}

/* The extended state of the features that the guest has, laid out as on the host's processor. */
static void put_xsave(struct machine_cpuid_build *b)
{
	const struct machine_cpu_features *f = &b->features;
	uint32_t states = MACHINE_XCR0_LEGACY | (machine_cpu_features_have(f, "avx") ? MACHINE_XCR0_AVX : 0) |
	                  (machine_cpu_features_have(f, "avx512f") ? MACHINE_XCR0_AVX512 : 0) |
	                  (machine_cpu_features_have(f, "pku") ? MACHINE_XCR0_PKRU : 0);
	uint32_t legacy_bytes = 576, bytes = legacy_bytes;

	if (!machine_cpu_features_have(f, "xsave"))
		return;
	for (unsigned i = 2; i < 32; i++) {
		const struct kvm_cpuid_entry2 *e = machine_cpuid_host(b->ask, 0xd, i);

		if (states >> i & 1 && e->ebx + e->eax > bytes)
			bytes = e->ebx + e->eax;
	}
	/* The second number is the size for the present value of XCR0. KVM keeps it up to date. */
	put(b, &(struct kvm_cpuid_entry2){0xd, 0, SUBLEAF, states, legacy_bytes, bytes, 0});
	put_leaf(b, (struct kvm_cpuid_entry2){0xd, 1, SUBLEAF, 0, legacy_bytes, 0, 0});
	for (unsigned i = 2; i < 32; i++)
		if (states >> i & 1)
			put(b, machine_cpuid_host(b->ask, 0xd, i));
}

/* The C-bit's position and the physical address bits that encryption takes, as KVM tells them. */
static void put_sev(struct machine_cpuid_build *b)
{
	struct kvm_cpuid_entry2 e = {.function = 0x8000001f};

	if (b->ask->sev == CONFIG_SEV_NONE)
		return;
	e.ebx = machine_cpuid_host(b->ask, 0x8000001f, 0)->ebx & 0xfff;
	put_leaf(b, e);
}

/*
 * KVM's paravirtual features that guests get, each with its reason. The others are left out: some make KVM
 * write into the guest's memory (steal time, asynchronous page faults; for confidential guests end of
 * interrupt). Some save exits
 * (spin locks, TLB flushes, IPIs by hypercall), but a guest that does not trust its host is better off
 * without another interface to it.
 */
#define BIT(n) (UINT32_C(1) << (n))
static const uint32_t kvm_features =
        BIT(KVM_FEATURE_CLOCKSOURCE2) |           /* the time of day and of a TSC whose frequency changes */
        BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT) | /* without it Linux distrusts that clock between vCPUs */
        BIT(KVM_FEATURE_NOP_IO_DELAY);            /* saves an exit (a #VC) at each write to port 0x80 */
/*
 * A guest that trusts its host gets this one, too: with it most interrupts end without an exit, which is a
 * large part of what a disk request costs.
 */
static const uint32_t plain_features = BIT(KVM_FEATURE_PV_EOI);
/* KVM does not list these: the VMM promises them, not KVM. */
static const uint32_t sharing_features =
        BIT(KVM_FEATURE_HC_MAP_GPA_RANGE) | BIT(KVM_FEATURE_MIGRATION_CONTROL);

static void put_kvm(struct machine_cpuid_build *b)
{
	struct kvm_cpuid_entry2 signature = {.function = KVM_CPUID_SIGNATURE, .eax = KVM_CPUID_FEATURES};
	struct kvm_cpuid_entry2 features = {.function = KVM_CPUID_FEATURES};

	memcpy(&signature.ebx, KVM_SIGNATURE, 12);
	features.eax = machine_cpuid_host(b->ask, KVM_CPUID_FEATURES, 0)->eax &
	               (kvm_features | (b->ask->sev == CONFIG_SEV_NONE ? plain_features : 0));
	if (b->ask->report_sharing)
		features.eax |= sharing_features;
	put(b, &signature);
	put(b, &features);
}

/* Other VMMs have models of their own. The configuration holds only the signature of such a model. */
static void place_signature(struct machine_cpuid_build *b)
{
	for (unsigned i = 0; b->ask->signature && i < b->cpuid.nent; i++) {
		struct kvm_cpuid_entry2 *e = &b->cpuid.entries[i];

		if (e->function == 0x1 || e->function == 0x80000001)
			e->eax = *b->ask->signature;
	}
}

int machine_cpuid_leaves(struct machine_cpuid_build *build, struct err *err)
{
	if (machine_cpuid_is_host(build->ask)) {
		put_host(build);
	} else {
		put_named(build);
		put_xsave(build);
	}
	place_signature(build);
	put_topology(build);
	put_sev(build);
	put_kvm(build);
	if (build->full)
		return err_set(err, ERR_HOST,
		        "this host's KVM offers %u CPUID entries, vmm passes at most %u on: choose a named "
		        "CPU model (machine.cpu)",
		        build->ask->supported->nent, MACHINE_CPUID_ENTRIES_MAX);
	return 0;
}

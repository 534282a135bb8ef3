/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SEV-SNP guests on the software platform: private memory, its cost, and guests and VMMs that disagree about
 * a page.
 */
#include <linux/falloc.h>
#include <pthread.h>

#include "sev_guest.h"
#include "vmm/abi/snp.h"
#include "vmm/abi/vmsa.h"

static const struct sim_options milan = {.product = "Milan", .seed = 1};

static int snp_start(struct guest *g)
{
	const struct uapi_sev_snp_launch_start start = {.policy = 0x30000};

	return command(g, UAPI_SEV_SNP_LAUNCH_START, &start);
}

static int snp_update(struct guest *g, uint32_t at, uint32_t size, uint8_t type)
{
	struct uapi_sev_snp_launch_update update = {
	        .gfn_start = at >> 12, .uaddr = (uintptr_t)g->memory + at, .len = size, .type = type};
	int result = command(g, UAPI_SEV_SNP_LAUNCH_UPDATE, &update);

	if (result == 0)
		assert_int_equal(update.len, 0);
	return result;
}

static int snp_finish(struct guest *g)
{
	const struct uapi_sev_snp_launch_finish finish = {0};

	return command(g, UAPI_SEV_SNP_LAUNCH_FINISH, &finish);
}

/* Launches up to the finish: the pages up to that of GUEST_DATA are private and the guest's. */
static void snp_make_on(struct guest *g, struct machine *m, const struct sim_options *options)
{
	machine_open(m, options);
	guest_make(g, m, UAPI_VM_SNP);
	assert_int_equal(guest_init2(g), 0);
	guest_add_vcpu(g);
	assert_int_equal(snp_start(g), 0);
	assert_int_equal(set_private(g, 0, GUEST_DATA + 0x1000, true), 0);
}

/* CR4.OSFXSR */
static void enable_sse(struct guest *g)
{
	struct kvm_sregs s;

	assert_int_equal(call_of(g->m, g->vcpu, KVM_GET_SREGS, &s), 0);
	s.cr4 |= 0x200;
	assert_int_equal(call_of(g->m, g->vcpu, KVM_SET_SREGS, &s), 0);
}

static void snp_make(struct guest *g, struct machine *m)
{
	snp_make_on(g, m, &milan);
}

static void assert_fault(struct guest *g, uint64_t gpa, bool private)
{
	struct uapi_memory_fault fault;

	assert_int_equal(guest_run(g), -EFAULT);
	assert_int_equal(g->run->exit_reason, UAPI_EXIT_MEMORY_FAULT);
	memcpy(&fault, &g->run->hw, sizeof(fault));
	assert_int_equal(fault.gpa, gpa);
	assert_int_equal(fault.size, PAGE_SIZE_BYTES);
	assert_int_equal(fault.flags, private ? UAPI_MEMORY_EXIT_PRIVATE : 0);
}

/* mov al, [GUEST_DATA]; tell al; mov [0x3000], al; mov al, [0x3000]; tell al; hlt */
#define USE_ANOTHER_PAGE 0xa0, 0x00, 0x20, TELL, 0xa2, 0x00, 0x30, 0xa0, 0x00, 0x30, TELL, 0xf4

/* pvalidate of the page in ax; ecx and edx change */
#define VALIDATE 0x66, 0x31, 0xc9, 0xba, 0x01, 0x00, 0xf2, 0x0f, 0x01, 0xff

/* The same, with a page that the guest validates: mov si, ax; mov ax, 0x3000; validate; mov ax, si */
#define VALIDATE_ANOTHER_PAGE \
	0xa0, 0x00, 0x20, TELL, 0x89, 0xc6, 0xb8, 0x00, 0x30, VALIDATE, 0x89, 0xf0, 0xa2, 0x00, 0x30, 0xa0, \
	        0x00, 0x30, TELL, 0xf4

static void test_snp_guest_runs_from_private_memory(void **state)
{
	struct machine m;
	struct guest g;

	snp_make(&g, &m);
	CODE(&g, VALIDATE_ANOTHER_PAGE);
	g.memory[GUEST_DATA] = 0x42;
	assert_int_equal(snp_update(&g, 0, GUEST_DATA + 0x1000, ABI_PAGE_NORMAL), 0);
	assert_int_equal(guest_run(&g), 0);
	assert_int_equal(g.run->exit_reason, KVM_EXIT_FAIL_ENTRY);
	assert_int_equal(snp_finish(&g), 0);
	/* The guest does not see what the VMM does with its own mapping. */
	memset(g.memory, 0xee, GUEST_BYTES);
	assert_int_equal(run_to_port(&g), 0x42);
	assert_fault(&g, 0x3000, true);
	assert_fault(&g, 0x3000, true);
	assert_int_equal(set_private(&g, 0x3000, 0x1000, true), 0);
	assert_int_equal(run_to_port(&g), 0x42);
	for (unsigned at = 0; at < GUEST_BYTES; at++)
		assert_int_equal(g.memory[at], 0xee);
	guest_close(&g);
	machine_close(&m);
}

/*
 * KVM does not hide the FPU of a SEV-SNP guest: the VMM has its own copy of it, and the guest keeps its
 * registers.
 */
static void test_snp_fpu_has_two_sides(void **state)
{
	struct kvm_fpu mine = {.fcw = 0x37f, .xmm[0] = {0x11}}, read;
	struct kvm_xsave area, other = {.region[6] = 0x1f80, .region[128] = 4, .region[144] = 0x33};
	struct machine m;
	struct guest g;

	snp_make(&g, &m);
	/* movd eax, xmm0; tell al; mov al, 0x77; movd xmm0, eax; tell al; movd eax, xmm0; tell al */
	CODE(&g, 0x66, 0x0f, 0x7e, 0xc0, TELL, 0xb0, 0x77, 0x66, 0x0f, 0x6e, 0xc0, TELL, 0x66, 0x0f, 0x7e,
	        0xc0, TELL);
	assert_int_equal(call_of(&m, g.vcpu, KVM_SET_FPU, &mine), 0);
	enable_sse(&g);
	assert_int_equal(snp_update(&g, 0, GUEST_DATA + 0x1000, ABI_PAGE_NORMAL), 0);
	assert_int_equal(snp_finish(&g), 0);
	assert_int_equal(run_to_port(&g), 0x11); /* as it was measured */
	mine.xmm[0][0] = 0x22;
	assert_int_equal(call_of(&m, g.vcpu, KVM_SET_FPU, &mine), 0);
	assert_int_equal(run_to_port(&g), 0x77);
	assert_int_equal(call_of(&m, g.vcpu, KVM_GET_FPU, &read), 0);
	assert_int_equal(read.xmm[0][0], 0x22);
	assert_int_equal(call_of(&m, g.vcpu, KVM_GET_XSAVE, &area), 0);
	assert_int_equal(area.region[40] & 0xff, 0x22);
	assert_int_equal(area.region[144], 0);
	assert_int_equal(call_of(&m, g.vcpu, KVM_SET_XSAVE, &other), 0);
	assert_int_equal(run_to_port(&g), 0x77);
	assert_int_equal(call_of(&m, g.vcpu, KVM_GET_XSAVE, &area), 0);
	assert_int_equal(area.region[144], 0x33);
	guest_close(&g);
	machine_close(&m);
}

static int64_t msr_10(struct guest *g, unsigned long request, int64_t value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = {.head.nmsrs = 1, .entry = {.index = 0x10, .data = (uint64_t)value}};

	assert_int_equal(call_of(g->m, g->vcpu, request, &msrs), 1);
	return (int64_t)msrs.entry.data;
}

/*
 * With Secure TSC the VMM changes neither rate nor count, and only an attempt to change the rate gives an
 * error.
 */
static void test_snp_secure_tsc_is_not_the_vmms(void **state)
{
	const struct sim_options genoa = {.product = "Genoa", .seed = 1};
	const int64_t far = INT64_C(1) << 60;
	struct kvm_device_attr offset = {.addr = (uintptr_t)&far};
	struct machine m;
	struct guest g;

	machine_open(&m, &genoa);
	for (int secure = 0; secure < 2; secure++) {
		const struct uapi_sev_init init = {.vmsa_features = secure ? ABI_FEATURE_SECURE_TSC : 0};

		guest_make(&g, &m, UAPI_VM_SNP);
		assert_int_equal(command(&g, UAPI_SEV_INIT2, &init), 0);
		guest_add_vcpu(&g);
		assert_int_equal(number_of(&m, g.vcpu, KVM_SET_TSC_KHZ, 0), secure ? -EINVAL : 0);
		msr_10(&g, KVM_SET_MSRS, far);
		assert_int_equal(msr_10(&g, KVM_GET_MSRS, 0) < far, secure);
		assert_int_equal(call_of(&m, g.vcpu, KVM_SET_DEVICE_ATTR, &offset), 0);
		assert_int_equal(msr_10(&g, KVM_GET_MSRS, 0) < far, secure);
		guest_close(&g);
	}
	machine_close(&m);
}

static void test_snp_code_in_shared_memory_is_not_run(void **state)
{
	struct machine m;
	struct guest g;

	snp_make(&g, &m);
	CODE(&g, USE_ANOTHER_PAGE);
	assert_int_equal(snp_update(&g, 0, GUEST_DATA + 0x1000, ABI_PAGE_NORMAL), 0);
	assert_int_equal(snp_finish(&g), 0);
	assert_int_equal(set_private(&g, GUEST_CODE, 0x1000, false), 0);
	assert_fault(&g, GUEST_CODE, true);
	guest_close(&g);
	machine_close(&m);
}

/* A VM of the type SEV-SNP that mirrors a SEV-ES guest runs as that, and has no private memory to KVM. */
static void test_snp_type_of_a_mirror_makes_no_snp_guest(void **state)
{
	struct kvm_enable_cap copy = {.cap = KVM_CAP_VM_COPY_ENC_CONTEXT_FROM};
	struct guest owner, mirror;
	struct machine m;

	machine_open(&m, &milan);
	guest_make(&owner, &m, UAPI_VM_SEV_ES);
	assert_int_equal(guest_init2(&owner), 0);
	CODE(&owner, USE_ANOTHER_PAGE);
	owner.memory[GUEST_DATA] = 0x42;
	assert_int_equal(launch_start(&owner, ABI_SEV_POLICY_ES), 0);
	assert_int_equal(launch_update(&owner, 0, GUEST_BYTES), 0);
	guest_make(&mirror, &m, UAPI_VM_SNP);
	copy.args[0] = (uint64_t)owner.vm;
	assert_int_equal(call_of(&m, mirror.vm, KVM_ENABLE_CAP, &copy), 0);
	assert_int_equal(set_memory(&mirror, 0, 0, 0, NULL, -1), 0);
	assert_int_equal(set_memory(&mirror, 0, 0, GUEST_BYTES, owner.memory, -1), 0);
	guest_add_vcpu(&mirror);
	assert_int_equal(command(&mirror, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL), 0);
	assert_int_equal(set_private(&mirror, 0x3000, 0x1000, true), 0);
	assert_int_equal(run_to_port(&mirror), 0x42);
	assert_fault(&mirror, 0x3000, false);
	assert_int_equal(set_private(&mirror, 0x3000, 0x1000, false), 0);
	assert_int_equal(run_to_port(&mirror), 0x42);
	guest_close(&mirror);
	guest_close(&owner);
	machine_close(&m);
}

static void test_snp_closed_guest_memfd_leaves_no_private_memory(void **state)
{
	struct machine m;
	struct guest g;

	snp_make(&g, &m);
	CODE(&g, USE_ANOTHER_PAGE);
	assert_int_equal(snp_update(&g, 0, GUEST_DATA + 0x1000, ABI_PAGE_NORMAL), 0);
	assert_int_equal(snp_finish(&g), 0);
	host_close(m.host, g.gmem);
	g.gmem = -1;
	assert_fault(&g, GUEST_CODE, true);
	guest_close(&g);
	machine_close(&m);
}

static int punch(struct guest *g, off_t offset, off_t length)
{
	return host_fallocate(
	        g->m->host, g->gmem, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
}

static void test_snp_hole_is_zero_and_can_be_given_again(void **state)
{
	struct machine m;
	struct guest g;

	snp_make(&g, &m);
	/* mov ax, GUEST_DATA; validate; mov al, [GUEST_DATA]; tell al */
	CODE(&g, 0xb8, 0x00, 0x20, VALIDATE, 0xa0, 0x00, 0x20, TELL);
	g.memory[GUEST_DATA] = 0x42;
	assert_int_equal(snp_update(&g, 0, GUEST_DATA + 0x1000, ABI_PAGE_NORMAL), 0);
	assert_int_equal(snp_update(&g, GUEST_DATA, 0x1000, ABI_PAGE_NORMAL), -EIO);
	assert_int_equal(punch(&g, GUEST_DATA, 0x1000), 0);
	assert_int_equal(snp_update(&g, GUEST_DATA, 0x1000, ABI_PAGE_NORMAL), 0);
	assert_int_equal(snp_finish(&g), 0);
	assert_int_equal(punch(&g, GUEST_DATA, 0x1000), 0);
	assert_int_equal(run_to_port(&g), 0);
	guest_close(&g);
	machine_close(&m);
}

/* A CPUID page that claims too much comes back as the firmware wants it, and is then taken. */
static void test_snp_cpuid_page_comes_back_corrected(void **state)
{
	struct abi_cpuid_page *page;
	struct machine m;
	struct guest g;

	snp_make(&g, &m);
	page = (struct abi_cpuid_page *)(void *)(g.memory + GUEST_DATA);
	page->count = 1;
	page->entries[0] = (struct abi_cpuid_entry){.eax_in = 1, .eax = 0x00a00f11, .ecx = UINT32_MAX};
	assert_int_equal(snp_update(&g, GUEST_DATA, 0x1000, ABI_PAGE_CPUID), -EIO);
	assert_int_equal(g.error, 0x16);
	assert_int_not_equal(page->entries[0].ecx, UINT32_MAX);
	assert_int_equal(snp_update(&g, GUEST_DATA, 0x1000, ABI_PAGE_CPUID), 0);
	guest_close(&g);
	machine_close(&m);
}

#define MILAN 1u
#define GENOA 2u
#define TURIN 4u
#define ALL   (MILAN | GENOA | TURIN)

/*
 * CPUID entries of guests, and the products whose firmware accepts them because the product has the feature,
 * whether the software processor has it or not.
 */
static const struct {
	struct abi_cpuid_entry entry;
	unsigned products;
} judged[] = {
        {{0x1, .ebx = 0x800, .ecx = 1u << 28}, ALL},           /* AVX */
        {{0x1, .ebx = 0x800, .ecx = 1u << 21}, ALL},           /* x2APIC */
        {{0x1, .ebx = 0x800, .ecx = 1u << 24}, 0},             /* the TSC deadline is KVM's */
        {{0x1, .eax = 0xa10f11, .ebx = 0x800}, GENOA | TURIN}, /* a later model */
        {{0x7, .ebx = 1u << 5}, ALL},                          /* AVX2 */
        {{0x7, .ebx = 1u << 16}, GENOA | TURIN},               /* AVX-512 */
        {{0x7, .ebx = 1u << 1}, TURIN},                        /* TSC_ADJUST */
        {{0x7, .ecx = 1u << 16}, GENOA | TURIN},               /* five levels of pages */
        {{0x7, 1, .eax = 1u << 4}, TURIN},                     /* AVX-VNNI */
        {{0xd, 2, .eax = 0x100, .ebx = 0x240}, ALL},           /* AVX state */
        {{0xd, 5, .eax = 0x40, .ebx = 0x340}, GENOA | TURIN},  /* AVX-512 state */
        {{0xd, 1, 3, 0, 0xf, 0x240, 0, 0, 0}, ALL},            /* XSAVES */
        {{0x80000000, .eax = 0x80000028}, GENOA | TURIN},      /* the last leaf */
        {{0x80000001, .ecx = 0x4001e1}, ALL},                  /* TOPOEXT and more, as QEMU asks */
        {{0x80000001, .ecx = 1u << 23}, ALL},                  /* performance counters of a core */
        {{0x80000001, .ecx = 1u << 11}, 0},                    /* XOP is gone */
        {{0x80000008, .eax = 0x3934}, GENOA | TURIN},          /* sizes of addresses */
        {{0x8000001f, .eax = 0x1a, .ebx = 51}, ALL},           /* SEV, the C-bit */
        {{0x8000001f, .eax = 0x1a, .ebx = 47}, 0},             /* it is elsewhere */
        {{0x8000001f, .eax = 1u << 24, .ebx = 51}, GENOA | TURIN},
        {{0x80000021, .eax = 0x45}, ALL},
        {{0x80000021, .eax = 1u << 27}, TURIN},
        {{0x80000022, .eax = 1}, GENOA | TURIN},
};

/* The rows that this product takes go into one page: one that was taken cannot be given again. */
static void judge(struct guest *g, const char *name, unsigned product)
{
	struct abi_cpuid_page *page = (struct abi_cpuid_page *)(void *)(g->memory + GUEST_DATA);
	struct abi_cpuid_page good = {0};

	for (size_t i = 0; i < ARRAY_LEN(judged); i++) {
		if (judged[i].products & product) {
			good.entries[good.count++] = judged[i].entry;
			continue;
		}
		*page = (struct abi_cpuid_page){.count = 1, .entries = {judged[i].entry}};
		if (snp_update(g, GUEST_DATA, 0x1000, ABI_PAGE_CPUID) != -EIO || g->error != 0x16)
			fail_msg("%s takes row %zu", name, i);
	}
	*page = good;
	if (snp_update(g, GUEST_DATA, 0x1000, ABI_PAGE_CPUID) == 0)
		return;
	for (uint32_t i = 0; i < good.count; i++) {
		if (memcmp(&page->entries[i], &good.entries[i], sizeof(good.entries[i])) != 0)
			fail_msg("%s refuses its row %u: leaf %x", name, i, good.entries[i].eax_in);
	}
	fail_msg("%s refuses the page", name);
}

/* The firmware judges the CPUID page by the product's processor, not by the part of it that is simulated. */
static void test_snp_cpuid_page_is_judged_by_the_product(void **state)
{
	static const char *const names[] = {"Milan", "Genoa", "Turin"};

	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		const struct sim_options options = {.product = names[i], .seed = 1};
		struct machine m;
		struct guest g;

		snp_make_on(&g, &m, &options);
		judge(&g, names[i], 1u << i);
		guest_close(&g);
		machine_close(&m);
	}
}

/* ---- the VMM and a running guest ---- */

static void *run_until_told(void *arg)
{
	struct guest *g = arg;

	while (guest_run(g) != -EINTR)
		;
	return NULL;
}

/* inc byte [GUEST_DATA]; jmp: every change of an attribute makes the processor look for its pages again. */
static void test_snp_attributes_change_while_the_guest_runs(void **state)
{
	struct machine m;
	pthread_t thread;
	struct guest g;

	snp_make(&g, &m);
	CODE(&g, 0xfe, 0x06, 0x00, 0x20, 0xeb, 0xfa);
	assert_int_equal(snp_update(&g, 0, GUEST_DATA + 0x1000, ABI_PAGE_NORMAL), 0);
	assert_int_equal(snp_finish(&g), 0);
	assert_int_equal(pthread_create(&thread, NULL, run_until_told, &g), 0);
	for (unsigned i = 0; i < 500; i++) {
		assert_int_equal(set_private(&g, 0x8000, 0x1000, i % 2 == 0), 0);
		assert_int_equal(punch(&g, 0x8000, 0x1000), 0);
	}
	__atomic_store_n(&g.run->immediate_exit, 1, __ATOMIC_RELEASE);
	assert_int_equal(pthread_join(thread, NULL), 0);
	guest_close(&g);
	machine_close(&m);
}

/* ---- cost ---- */

static long resident_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long pages = 0;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*s %ld", &pages), 1);
	fclose(f);
	return pages * (long)(PAGE_SIZE_BYTES / 1024);
}

static void test_gmem_costs_what_is_touched(void **state)
{
	const uint64_t huge = GIB(64);
	/*
	 * Nothing touches the shared side, so it need not exist, but it must lie below the end of user space.
	 */
	void *const nowhere = (void *)(uintptr_t)GIB(1024);
	struct machine m;
	struct guest g;
	long before, gmem;

	machine_open(&m, &milan);
	guest_make(&g, &m, UAPI_VM_SNP);
	before = resident_kib();
	gmem = create_gmem(&g, huge);
	assert_true(gmem >= 0);
	assert_int_equal(set_memory(&g, 1, GIB(64), huge, nowhere, (int)gmem), 0);
	assert_int_equal(set_private(&g, GIB(64), huge, true), 0);
	/* One bit for each private page makes 2 MiB, to which a sanitizer adds its shadow memory. */
	assert_in_range(resident_kib() - before, 0, MIB(128) / 1024);
	host_close(m.host, (int)gmem);
	guest_close(&g);
	machine_close(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_snp_guest_runs_from_private_memory),
	        cmocka_unit_test(test_snp_fpu_has_two_sides),
	        cmocka_unit_test(test_snp_secure_tsc_is_not_the_vmms),
	        cmocka_unit_test(test_snp_code_in_shared_memory_is_not_run),
	        cmocka_unit_test(test_snp_type_of_a_mirror_makes_no_snp_guest),
	        cmocka_unit_test(test_snp_closed_guest_memfd_leaves_no_private_memory),
	        cmocka_unit_test(test_snp_hole_is_zero_and_can_be_given_again),
	        cmocka_unit_test(test_snp_cpuid_page_comes_back_corrected),
	        cmocka_unit_test(test_snp_cpuid_page_is_judged_by_the_product),
	        cmocka_unit_test(test_snp_attributes_change_while_the_guest_runs),
	        cmocka_unit_test(test_gmem_costs_what_is_touched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

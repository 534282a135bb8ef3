/* SEV-SNP guests on the software platform: private memory, what it costs, and views that disagree. */
#include <linux/falloc.h>
#include <pthread.h>

#include "sev_guest.h"

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

/* Up to its finish: pages up to GUEST_DATA's are private and the guest's. */
static void snp_make(struct guest *g, struct machine *m)
{
	machine_open(m, &milan);
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

/* mov al, [GUEST_DATA]; out PORT, al; mov [0x3000], al; mov al, [0x3000]; out PORT, al; hlt */
#define USE_ANOTHER_PAGE 0xa0, 0x00, 0x20, 0xe6, PORT, 0xa2, 0x00, 0x30, 0xa0, 0x00, 0x30, 0xe6, PORT, 0xf4

static void test_snp_guest_runs_from_private_memory(void **state)
{
	struct machine m;
	struct guest g;

	snp_make(&g, &m);
	CODE(&g, USE_ANOTHER_PAGE);
	g.memory[GUEST_DATA] = 0x42;
	assert_int_equal(snp_update(&g, 0, GUEST_DATA + 0x1000, ABI_PAGE_NORMAL), 0);
	assert_int_equal(guest_run(&g), 0);
	assert_int_equal(g.run->exit_reason, KVM_EXIT_FAIL_ENTRY);
	assert_int_equal(snp_finish(&g), 0);
	/* What the VMM does with its own mapping is nothing to the guest. */
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

/* KVM leaves the FPU of a SEV-SNP guest open: the VMM has its own side of it, the guest keeps the other. */
static void test_snp_fpu_has_two_sides(void **state)
{
	struct kvm_fpu mine = {.fcw = 0x37f, .xmm[0] = {0x11}}, read;
	struct kvm_xsave area;
	struct machine m;
	struct guest g;

	snp_make(&g, &m);
	/* movd eax, xmm0; out PORT, al; mov al, 0x77; movd xmm0, eax; out PORT, al; movd eax, xmm0; out PORT,
	 * al */
	CODE(&g, 0x66, 0x0f, 0x7e, 0xc0, 0xe6, PORT, 0xb0, 0x77, 0x66, 0x0f, 0x6e, 0xc0, 0xe6, PORT, 0x66,
	        0x0f, 0x7e, 0xc0, 0xe6, PORT);
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
	assert_int_equal(run_to_port(&g), 0x77);
	guest_close(&g);
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
	CODE(&g, USE_ANOTHER_PAGE);
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
	/* Nobody touches the shared side, so it need not be there, only below the end of user space. */
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
	/* A bit a page of what is private: 2 MiB, and the shadow that a sanitizer keeps of them. */
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
	        cmocka_unit_test(test_snp_code_in_shared_memory_is_not_run),
	        cmocka_unit_test(test_snp_type_of_a_mirror_makes_no_snp_guest),
	        cmocka_unit_test(test_snp_closed_guest_memfd_leaves_no_private_memory),
	        cmocka_unit_test(test_snp_hole_is_zero_and_can_be_given_again),
	        cmocka_unit_test(test_snp_cpuid_page_comes_back_corrected),
	        cmocka_unit_test(test_snp_attributes_change_while_the_guest_runs),
	        cmocka_unit_test(test_gmem_costs_what_is_touched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

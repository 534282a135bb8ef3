/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a SEV-SNP guest starts and stops its processors on the software platform (AP creation): what KVM takes
 * and refuses, which registers the new processor has, and with which VMSAs it cannot run. The guest's first
 * vCPU does what the test wants and asks to be ended, and so does the second, once it runs from a VMSA of the
 * guest.
 */
#include "ap_guest.h"
#include "malice.h"
#include "snp_guest.h"
#include "vmm/abi/vmsa.h"

#define HOLD    0xc000u /* code: the second vCPU waits */
#define STARTED 0xc800u /* code: it tells its registers */
#define SAVED   0xd000u /* a VMSA, as the other one */
#define OTHER   0xe000u
#define FEATURE ABI_FEATURE_SNP

/* The test orders, and the first vCPU answers, in the page NOTE. */
struct order {
	uint64_t page, adjust; /* RMPADJUST of this page, 0: none, with this RDX */
	uint64_t adjusted;     /* what it left in EAX */
	uint64_t msr;          /* then a VMGEXIT with this GHCB MSR, 0: none */
};

/* The second vCPU writes its registers here, behind the order. */
struct told {
	uint64_t rbx, rbp, r15, rflags, xmm, efer, cr3, lstar;
	uint32_t mxcsr, count;
};
#define TOLD (NOTE + 0x100u)

GHCB_CODE(ap_asks, "1: movl 0x205000, %eax\n"
                   "testl %eax, %eax\n"
                   "jz 2f\n"
                   "movq 0x205008, %rdx\n"
                   "xorl %ecx, %ecx\n"
                   ".byte 0xf3, 0x0f, 0x01, 0xfe\n" /* rmpadjust */
                   "movq %rax, 0x205010\n"
                   "2: movl $0xc0010130, %ecx\n"
                   "xorl %edx, %edx\n"
                   "movl 0x205018, %eax\n"
                   "testl %eax, %eax\n"
                   "jz 3f\n"
                   "wrmsr\n"
                   "rep; vmmcall\n"
                   "3: movl $0x100, %eax\n"
                   "wrmsr\n"
                   "rep; vmmcall\n"
                   "jmp 1b");
GHCB_CODE(ap_holds, "1: movl $0xc0010130, %ecx\n"
                    "xorl %edx, %edx\n"
                    "movl $6, %eax\n"
                    "wrmsr\n"
                    "rep; vmmcall\n"
                    "jmp 1b");
GHCB_CODE(ap_tells, "movq %rbx, 0x205100\n"
                    "movq %rbp, 0x205108\n"
                    "movq %r15, 0x205110\n"
                    "pushfq\n"
                    "popq 0x205118\n"
                    "movq %xmm3, 0x205120\n"
                    "movl $0xc0000080, %ecx\n"
                    "rdmsr\n"
                    "movl %eax, 0x205128\n"
                    "movq %cr3, %rax\n"
                    "movq %rax, 0x205130\n"
                    "movl $0xc0000082, %ecx\n"
                    "rdmsr\n"
                    "movl %eax, 0x205138\n"
                    "movl %edx, 0x20513c\n"
                    "stmxcsr 0x205140\n"
                    "1: incl 0x205144\n"
                    "movl $0xc0010130, %ecx\n"
                    "xorl %edx, %edx\n"
                    "movl $0x100, %eax\n"
                    "wrmsr\n"
                    "rep; vmmcall\n"
                    "jmp 1b");

/* ---- the guest ---- */

struct bench {
	struct machine m;
	struct guest g, ap;    /* the same guest: the first vCPU, and the second */
	struct abi_vmsa usual; /* what is in the page OTHER, and in SAVED unless a test has another one */
};

static struct order *order_of(struct bench *b)
{
	return (struct order *)(void *)(b->g.memory + NOTE);
}

static struct told *told_of(struct bench *b)
{
	return (struct told *)(void *)(b->g.memory + TOLD);
}

static struct abi_segment segment(const struct kvm_segment *s)
{
	return (struct abi_segment){.selector = s->selector,
	        .attrib = (uint16_t)(s->type | s->s << 4 | s->dpl << 5 | s->present << 7 | s->l << 9 |
	                             s->db << 10 | s->g << 11),
	        .limit = s->limit,
	        .base = s->base};
}

/* A VMSA with which the second vCPU runs the code at STARTED, and registers that no other one has. */
static struct abi_vmsa vmsa_of(struct bench *b)
{
	struct abi_vmsa vmsa = {.cr0 = 0x80000011,
	        .cr3 = TABLES | C_BIT,
	        .cr4 = 0x220,
	        .efer = 0x1500,
	        .dr6 = 0xffff0ff0,
	        .dr7 = 0x400,
	        .rflags = 0xad7,
	        .rip = STARTED,
	        .rsp = 0xf800,
	        .rbx = 0x1111,
	        .rbp = 0x2222,
	        .r15 = 0xfedcba9876543210,
	        .lstar = 0x123456789abc,
	        .g_pat = 0x0007040600070406,
	        .xcr0 = 1,
	        .mxcsr = 0x1fa0,
	        .x87_fcw = 0x37f,
	        .x87_ftw = 0xffff,
	        .sev_features = FEATURE};
	struct kvm_sregs s;

	assert_int_equal(call_of(&b->m, b->g.vcpu, KVM_GET_SREGS, &s), 0);
	vmsa.cs = segment(&s.cs);
	vmsa.ss = segment(&s.ss);
	vmsa.tr = segment(&s.tr);
	vmsa.ldtr = segment(&s.ldt);
	memcpy(vmsa.xmm[3], "xmm reg", 8);
	return vmsa;
}

/* The guest has interrupt controllers, and its second vCPU waits in an AP Reset Hold. */
static void bench_init_with(struct bench *b, const struct abi_vmsa *vmsa)
{
	static const struct sim_options milan = {.product = "Milan", .seed = 1};
	const struct kvm_regs regs = {.rip = HOLD, .rflags = 2};
	struct guest *g = &b->g;
	struct kvm_sregs s;

	machine_open(&b->m, &milan);
	guest_make(g, &b->m, UAPI_VM_SNP);
	assert_int_equal(guest_init2(g), 0);
	assert_int_equal(number_of(&b->m, g->vm, KVM_CREATE_IRQCHIP, 0), 0);
	guest_add_vcpu(g);
	b->ap = *g;
	b->ap.vcpu = guest_add_vcpu(g);
	b->ap.run = run_of(&b->m, b->ap.vcpu);
	ghcb_prepare(g);
	put_code(g, GUEST_CODE, ap_asks, ap_asks_end);
	put_code(g, HOLD, ap_holds, ap_holds_end);
	put_code(g, STARTED, ap_tells, ap_tells_end);
	assert_int_equal(call_of(&b->m, g->vcpu, KVM_GET_SREGS, &s), 0);
	s.apic_base &= ~UINT64_C(0x100);
	ghcb_cpuid(g, b->ap.vcpu);
	assert_int_equal(call_of(&b->m, b->ap.vcpu, KVM_SET_SREGS, &s), 0);
	assert_int_equal(call_of(&b->m, b->ap.vcpu, KVM_SET_REGS, &regs), 0);
	b->usual = vmsa_of(b);
	memcpy(g->memory + SAVED, vmsa ? vmsa : &b->usual, sizeof(b->usual));
	memcpy(g->memory + OTHER, &b->usual, sizeof(b->usual));
	snp_launch(g);
	starts(&b->ap);
	runs_until(&b->ap, KVM_MP_STATE_AP_RESET_HOLD);
	*order_of(b) = (struct order){.msr = GHCB | ABI_GHCB_MSR_REGISTER_ASK};
	runs_to(g, KVM_EXIT_SYSTEM_EVENT);
}

static void bench_init(struct bench *b)
{
	bench_init_with(b, NULL);
}

static void bench_finish(struct bench *b)
{
	run_unmap(&b->m, b->ap.run);
	host_close(b->m.host, b->ap.vcpu);
	guest_close(&b->g);
	machine_close(&b->m);
}

/* The first vCPU makes the page a VMSA, or no longer one. */
static void adjusts(struct bench *b, uint32_t page, bool vmsa)
{
	*order_of(b) = (struct order){.page = page, .adjust = 1 | (vmsa ? 0x10000 : 0)};
	runs_to(&b->g, KVM_EXIT_SYSTEM_EVENT);
	assert_int_equal(order_of(b)->adjusted, 0);
}

static void request(struct bench *b, uint64_t info_1, uint64_t info_2, uint64_t rax)
{
	*order_of(b) = (struct order){.msr = GHCB};
	ask(&b->g, ABI_GHCB_AP_CREATION, info_1, info_2);
	GIVE(&b->g, rax, rax);
	runs_to(&b->g, KVM_EXIT_SYSTEM_EVENT);
}

static void requests(struct bench *b, uint32_t what, uint64_t page)
{
	request(b, UINT64_C(1) << 32 | what, page, FEATURE);
	assert_answer(&b->g, 0, 0);
}

/* The second vCPU runs from the guest's VMSA, not from the launch's. */
static void assert_started(struct bench *b)
{
	memset(told_of(b), 0, sizeof(struct told));
	runs_to(&b->ap, KVM_EXIT_SYSTEM_EVENT);
	assert_int_equal(told_of(b)->count, 1);
}

static void assert_still_holds(struct bench *b)
{
	memset(told_of(b), 0, sizeof(struct told));
	runs_until(&b->ap, KVM_MP_STATE_AP_RESET_HOLD);
	assert_int_equal(told_of(b)->count, 0);
}

static void assert_cannot_enter(struct bench *b)
{
	runs_to(&b->ap, KVM_EXIT_FAIL_ENTRY);
	assert_int_equal(b->ap.run->fail_entry.hardware_entry_failure_reason, UINT64_MAX);
}

/* ---- tests ---- */

static void test_created_processor_has_the_registers_of_its_vmsa(void **state)
{
	const struct told *told;
	struct bench b;

	bench_init(&b);
	adjusts(&b, SAVED, true);
	requests(&b, ABI_GHCB_AP_CREATE, SAVED);
	assert_started(&b);
	told = told_of(&b);
	assert_int_equal(told->rbx, 0x1111);
	assert_int_equal(told->rbp, 0x2222);
	assert_int_equal(told->r15, 0xfedcba9876543210);
	assert_int_equal(told->rflags, 0xad7);
	assert_memory_equal(&told->xmm, "xmm reg", 8);
	assert_int_equal(told->efer, 0x1500);
	assert_int_equal(told->cr3, TABLES | C_BIT);
	assert_int_equal(told->lstar, 0x123456789abc);
	assert_int_equal(told->mxcsr, 0x1fa0);
	bench_finish(&b);
}

static void test_processor_goes_on_until_the_next_request(void **state)
{
	struct bench b;

	bench_init(&b);
	adjusts(&b, SAVED, true);
	adjusts(&b, OTHER, true);
	requests(&b, ABI_GHCB_AP_CREATE, SAVED);
	assert_started(&b);
	runs_to(&b.ap, KVM_EXIT_SYSTEM_EVENT);
	assert_int_equal(told_of(&b)->count, 2);
	requests(&b, ABI_GHCB_AP_CREATE, OTHER);
	assert_started(&b);
	bench_finish(&b);
}

static void test_creation_on_init_waits_for_it(void **state)
{
	struct bench b;

	bench_init(&b);
	adjusts(&b, SAVED, true);
	requests(&b, ABI_GHCB_AP_CREATE_ON_INIT, SAVED);
	assert_still_holds(&b);
	send(&b.ap, INIT);
	runs_until(&b.ap, KVM_MP_STATE_INIT_RECEIVED);
	send(&b.ap, SIPI);
	assert_started(&b);
	bench_finish(&b);
}

static void test_destroyed_processor_stops(void **state)
{
	const struct kvm_mp_state runnable = {.mp_state = KVM_MP_STATE_RUNNABLE};
	struct bench b;

	bench_init(&b);
	adjusts(&b, SAVED, true);
	requests(&b, ABI_GHCB_AP_CREATE, SAVED);
	assert_started(&b);
	requests(&b, ABI_GHCB_AP_DESTROY, 0);
	runs_until(&b.ap, KVM_MP_STATE_HALTED);
	assert_int_equal(call_of(&b.m, b.ap.vcpu, KVM_SET_MP_STATE, &runnable), 0);
	assert_cannot_enter(&b);
	requests(&b, ABI_GHCB_AP_CREATE, SAVED);
	assert_started(&b);
	bench_finish(&b);
}

static void test_refused_requests_change_nothing(void **state)
{
	static const struct {
		uint64_t info_1, page, rax;
	} rows[] = {
	        {UINT64_C(2) << 32 | ABI_GHCB_AP_CREATE, SAVED, FEATURE}, /* there is no such vCPU */
	        {UINT64_C(1) << 32 | 3, SAVED, FEATURE},                  /* there is no such request */
	        {UINT64_C(1) << 32 | ABI_GHCB_AP_CREATE, SAVED, FEATURE | ABI_FEATURE_DEBUG_SWAP},
	        {UINT64_C(1) << 32 | ABI_GHCB_AP_CREATE, SAVED, 0},
	        {UINT64_C(1) << 32 | ABI_GHCB_AP_CREATE_ON_INIT, SAVED, 0},
	        {UINT64_C(1) << 32 | ABI_GHCB_AP_CREATE, SAVED + 8, FEATURE},
	        {UINT64_C(1) << 32 | ABI_GHCB_AP_CREATE, 0, FEATURE}, /* erratum 1467 */
	        {UINT64_C(1) << 32 | ABI_GHCB_AP_CREATE, MIB(2), FEATURE},
	        {UINT64_C(1) << 32 | ABI_GHCB_AP_CREATE, UINT64_C(1) << 55 | SAVED, FEATURE},
	};
	struct bench b;

	bench_init(&b);
	adjusts(&b, SAVED, true);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		request(&b, rows[i].info_1, rows[i].page, rows[i].rax);
		assert_answer(&b.g, 2, ABI_GHCB_INVALID_INPUT);
		assert_still_holds(&b);
	}
	*order_of(&b) = (struct order){.msr = GHCB};
	ask(&b.g, ABI_GHCB_AP_CREATION, UINT64_C(1) << 32 | ABI_GHCB_AP_CREATE, SAVED); /* without RAX */
	runs_to(&b.g, KVM_EXIT_SYSTEM_EVENT);
	assert_answer(&b.g, 2, ABI_GHCB_MISSING_INPUT);
	bench_finish(&b);
}

static void set_features_none(struct abi_vmsa *vmsa)
{
	vmsa->sev_features = 0;
}

static void set_features_more(struct abi_vmsa *vmsa)
{
	vmsa->sev_features |= ABI_FEATURE_DEBUG_SWAP;
}

static void set_vmpl(struct abi_vmsa *vmsa)
{
	vmsa->vmpl = 1;
}

static void clear_svme(struct abi_vmsa *vmsa)
{
	vmsa->efer = 0x500;
}

static void clear_pae(struct abi_vmsa *vmsa)
{
	vmsa->cr4 = 0;
}

static void set_cr0_high(struct abi_vmsa *vmsa)
{
	vmsa->cr0 |= UINT64_C(1) << 32;
}

static void set_dr7_high(struct abi_vmsa *vmsa)
{
	vmsa->dr7 |= UINT64_C(1) << 32;
}

static void set_xcr0(struct abi_vmsa *vmsa)
{
	vmsa->xcr0 = 2;
}

/* KVM_RUN says so each time, in place of waiting for ever. */
static void test_vmsas_that_the_processor_refuses(void **state)
{
	void (*const changes[])(struct abi_vmsa *) = {set_features_none, set_features_more, set_vmpl,
	        clear_svme, clear_pae, set_cr0_high, set_dr7_high, set_xcr0};
	struct bench b;

	bench_init(&b);
	bench_finish(&b);
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		struct abi_vmsa changed = b.usual;

		changes[i](&changed);
		bench_init_with(&b, &changed);
		adjusts(&b, SAVED, true);
		adjusts(&b, OTHER, true);
		requests(&b, ABI_GHCB_AP_CREATE, SAVED);
		assert_cannot_enter(&b);
		assert_cannot_enter(&b);
		requests(&b, ABI_GHCB_AP_CREATE, OTHER);
		assert_started(&b);
		bench_finish(&b);
	}
}

static void test_page_must_be_a_vmsa_all_the_time(void **state)
{
	struct bench b;

	bench_init(&b);
	requests(&b, ABI_GHCB_AP_CREATE, SAVED);
	assert_cannot_enter(&b);
	requests(&b, ABI_GHCB_AP_CREATE, FREE); /* nobody has it */
	assert_cannot_enter(&b);
	requests(&b, ABI_GHCB_AP_CREATE, GHCB); /* it is shared */
	assert_cannot_enter(&b);
	requests(&b, ABI_GHCB_AP_CREATE, NOWHERE);
	assert_cannot_enter(&b);
	adjusts(&b, SAVED, true);
	requests(&b, ABI_GHCB_AP_CREATE, SAVED);
	assert_started(&b);
	adjusts(&b, SAVED, false);
	assert_cannot_enter(&b);
	bench_finish(&b);
}

/* The host takes the page while the processor runs, or while it waits. */
static void test_processor_ends_with_its_page(void **state)
{
	struct bench b;

	for (int shared = 0; shared < 2; shared++) {
		bench_init(&b);
		adjusts(&b, SAVED, true);
		requests(&b, ABI_GHCB_AP_CREATE, SAVED);
		assert_started(&b);
		if (shared)
			assert_int_equal(set_private(&b.g, SAVED, PAGE_SIZE_BYTES, false), 0);
		else
			snp_punch(&b.g, SAVED, PAGE_SIZE_BYTES);
		assert_cannot_enter(&b);
		bench_finish(&b);
	}
}

/* A kernel edits the page, puts another of the guest's pages in its place, or takes it and gives it back. */
static void test_kernel_attacks_the_vmsa_of_a_new_processor(void **state)
{
	const uint64_t rip = HOLD;
	struct host *h;
	struct bench b;

	bench_init(&b);
	h = b.m.host;
	adjusts(&b, SAVED, true);
	assert_int_equal(sim_malice_write(h, b.g.vm, SAVED + offsetof(struct abi_vmsa, rip), &rip, 8),
	        SIM_MALICE_RMP_FAULT);
	sim_malice_swap(h, b.g.vm, SAVED, OTHER);
	requests(&b, ABI_GHCB_AP_CREATE, SAVED);
	assert_cannot_enter(&b);
	sim_malice_swap(h, b.g.vm, SAVED, OTHER);
	requests(&b, ABI_GHCB_AP_CREATE, SAVED);
	assert_started(&b);
	sim_malice_rmpupdate(h, b.g.vm, SAVED, SAVED);
	requests(&b, ABI_GHCB_AP_CREATE, SAVED);
	assert_cannot_enter(&b);
	bench_finish(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_created_processor_has_the_registers_of_its_vmsa),
	        cmocka_unit_test(test_processor_goes_on_until_the_next_request),
	        cmocka_unit_test(test_creation_on_init_waits_for_it),
	        cmocka_unit_test(test_destroyed_processor_stops),
	        cmocka_unit_test(test_refused_requests_change_nothing),
	        cmocka_unit_test(test_vmsas_that_the_processor_refuses),
	        cmocka_unit_test(test_page_must_be_a_vmsa_all_the_time),
	        cmocka_unit_test(test_processor_ends_with_its_page),
	        cmocka_unit_test(test_kernel_attacks_the_vmsa_of_a_new_processor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

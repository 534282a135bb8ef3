/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose the pages of a SEV-SNP guest are: what each access comes to, what PVALIDATE and RMPADJUST answer, and
 * how a page changes hands.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/time.h>

#include "snp_guest.h"

#define FLAG_CF 0x1u
#define FLAG_ZF 0x40u

static void ends(struct guest *g)
{
	struct machine *m = g->m;

	guest_close(g);
	machine_close(m);
}

static void assert_fault(struct guest *g, uint64_t gpa, bool private)
{
	struct uapi_memory_fault fault;

	assert_int_equal(guest_run(g), -EFAULT);
	assert_int_equal(g->run->exit_reason, UAPI_EXIT_MEMORY_FAULT);
	memcpy(&fault, &g->run->hw, sizeof(fault));
	assert_int_equal(fault.gpa, gpa);
	assert_int_equal(fault.flags, private ? UAPI_MEMORY_EXIT_PRIVATE : 0);
}

/* PVALIDATE of a page of 4 KiB: did it change anything? */
static bool validates(struct guest *g, uint64_t at, bool valid)
{
	assert_int_equal(snp_can(g, DO_PVALIDATE, at, 0, valid), 0);
	return !(snp_note_of(g)->flags & FLAG_CF);
}

/* ---- accesses ---- */

static void test_a_validated_page_is_used(void **state)
{
	struct machine m;
	struct guest g;

	snp_start(&g, &m, 0);
	snp_can(&g, DO_WRITE, GUEST_DATA, 0, 0x42);
	assert_int_equal(snp_can(&g, DO_READ, GUEST_DATA, 0, 0), 0x42);
	snp_can(&g, DO_WRITE, GUEST_DATA, 0, 0xc3); /* ret */
	snp_can(&g, DO_FETCH, GUEST_DATA, 0, 0);
	assert_int_equal(g.memory[GUEST_DATA], 0); /* the VMM's own page is another one */
	ends(&g);
}

/* The first access assigns the page, which helps nobody until it is validated. */
static void test_a_page_that_is_not_validated_raises_vc(void **state)
{
	static const enum snp_do accesses[] = {DO_READ, DO_WRITE, DO_FETCH};
	struct machine m;
	struct guest g;

	snp_start(&g, &m, 0);
	for (size_t i = 0; i < ARRAY_LEN(accesses); i++) {
		snp_gets(&g, accesses[i], FREE, 29, VC_NOT);
		snp_gets(&g, accesses[i], TABLE, 29, VC_NOT);
	}
	assert_true(validates(&g, FREE, true));
	assert_int_equal(snp_can(&g, DO_READ, FREE, 0, 0), 0);
	ends(&g);
}

/* Each of these is the VMM's to answer. */
static void test_the_c_bit_must_be_that_of_the_attribute(void **state)
{
	static const struct {
		enum snp_do what;
		uint64_t at, gpa;
		bool private;
	} rows[] = {
	        {DO_READ, SHARED + FREE, FREE, false}, {DO_WRITE, SHARED + FREE, FREE, false},
	        {DO_PVALIDATE, SHARED + FREE, FREE, false}, {DO_RMPADJUST, SHARED + FREE, FREE, false},
	        {DO_READ, GHCB, GHCB, true}, {DO_WRITE, GHCB, GHCB, true}, {DO_PVALIDATE, GHCB, GHCB, true},
	        {DO_RMPADJUST, GHCB, GHCB, true},
	        {DO_FETCH, SHARED + GHCB, GHCB, true}, /* code is private in any case */
	};
	struct machine m;
	struct guest g;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snp_start(&g, &m, 0);
		snp_asks(&g, rows[i].what, rows[i].at, 0, 1);
		assert_fault(&g, rows[i].gpa, rows[i].private);
		ends(&g);
	}
}

static void test_a_private_access_without_memory_is_the_vmms(void **state)
{
	struct machine m;
	struct guest g;

	for (int private = 0; private < 2; private ++) {
		snp_start(&g, &m, 0);
		assert_int_equal(set_private(&g, 0x100000, 0x1000, private), 0);
		snp_asks(&g, DO_READ, 0x100000, 0, 0);
		assert_fault(&g, 0x100000, true);
		snp_asks(&g, DO_PVALIDATE, 0x100000, 0, 1);
		assert_fault(&g, 0x100000, true);
		ends(&g);
	}
}

/* ---- instructions ---- */

static void test_pvalidate_tells_whether_it_changed_anything(void **state)
{
	struct machine m;
	struct guest g;

	snp_start(&g, &m, 0);
	assert_false(validates(&g, GUEST_DATA, true)); /* the launch validated it */
	assert_true(validates(&g, FREE, true));
	assert_false(validates(&g, FREE, true));
	snp_can(&g, DO_WRITE, FREE, 0, 0x42);
	assert_true(validates(&g, FREE, false));
	assert_false(validates(&g, FREE, false));
	snp_gets(&g, DO_READ, FREE, 29, VC_NOT);
	assert_true(validates(&g, FREE, true));
	assert_int_equal(snp_can(&g, DO_READ, FREE, 0, 0), 0x42);
	ends(&g);
}

#define ON_VMPL(n)   ((uint64_t)(n))
#define GIVING(bits) ((uint64_t)(bits) << 8)
#define AS_VMSA      (UINT64_C(1) << 16)

static void test_the_instructions_refuse_operands(void **state)
{
	static const struct {
		enum snp_do what;
		uint64_t at, size, rdx;
		uint32_t code;
	} rows[] = {
	        {DO_PVALIDATE, 0, 1, 1, 6}, /* 2 MiB, of pages that are assigned as 4 KiB */
	        {DO_PVALIDATE, 0, 1, 0, 6},
	        {DO_PVALIDATE, GUEST_DATA, 1, 1, 1},
	        {DO_RMPADJUST, GUEST_DATA, 0, ON_VMPL(1), 0},
	        {DO_RMPADJUST, GUEST_DATA, 0, ON_VMPL(3) | GIVING(0xf), 0},
	        {DO_RMPADJUST, GUEST_DATA, 0, ON_VMPL(1) | AS_VMSA, 0},
	        {DO_RMPADJUST, GUEST_DATA, 0, ON_VMPL(0), 2}, /* the level must be below the caller's */
	        {DO_RMPADJUST, GUEST_DATA, 0, ON_VMPL(0) | AS_VMSA, 2},
	        {DO_RMPADJUST, GUEST_DATA, 0, ON_VMPL(4), 1},
	        {DO_RMPADJUST, GUEST_DATA, 0, ON_VMPL(1) | GIVING(0x10), 1},
	        {DO_RMPADJUST, GUEST_DATA, 0, ON_VMPL(1) | AS_VMSA << 1, 1},
	        {DO_RMPADJUST, 0, 1, ON_VMPL(1), 6},
	        {DO_RMPADJUST, GUEST_DATA, 1, ON_VMPL(1), 1},
	};
	struct machine m;
	struct guest g;

	snp_start(&g, &m, 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t rax = snp_can(&g, rows[i].what, rows[i].at, rows[i].size, rows[i].rdx);

		if (rax != rows[i].code || !(snp_note_of(&g)->flags & FLAG_ZF) != !!rax)
			fail_msg("row %zu: EAX %llx", i, (unsigned long long)rax);
	}
	ends(&g);
}

static void test_rmpadjust_needs_a_validated_page(void **state)
{
	struct machine m;
	struct guest g;

	snp_start(&g, &m, 0);
	snp_gets(&g, DO_RMPADJUST, FREE, 29, VC_NOT);
	assert_true(validates(&g, FREE, true));
	assert_int_equal(snp_can(&g, DO_RMPADJUST, FREE, 0, 1), 0);
	ends(&g);
}

static void test_the_instructions_are_the_kernels(void **state)
{
	static const enum snp_do whats[] = {DO_PVALIDATE, DO_RMPADJUST};
	struct machine m;
	struct guest g;

	for (size_t i = 0; i < ARRAY_LEN(whats); i++) {
		snp_start(&g, &m, 3);
		snp_gets(&g, whats[i], GUEST_DATA, 13, 0);
		ends(&g);
	}
}

static void test_only_snp_guests_have_the_instructions(void **state)
{
	static const struct sim_options milan = {.product = "Milan", .seed = 1};
	struct machine m;
	struct guest g;

	machine_open(&m, &milan);
	ghcb_make(&g, &m, 2);
	guest_add_vcpu(&g);
	snp_prepare(&g, 0);
	guest_launch(&g, ABI_SEV_POLICY_ES);
	snp_gets(&g, DO_PVALIDATE, GUEST_DATA, 6, 0);
	snp_gets(&g, DO_RMPADJUST, GUEST_DATA, 6, 0);
	ends(&g);
}

/* ---- pages change hands ---- */

static void test_a_hole_takes_the_page_from_the_guest(void **state)
{
	struct machine m;
	struct guest g;

	snp_start(&g, &m, 0);
	snp_can(&g, DO_WRITE, GUEST_DATA, 0, 0x42);
	snp_punch(&g, GUEST_DATA, 0x1000);
	snp_gets(&g, DO_READ, GUEST_DATA, 29, VC_NOT);
	assert_true(validates(&g, GUEST_DATA, true));
	assert_int_equal(snp_can(&g, DO_READ, GUEST_DATA, 0, 0), 0);
	ends(&g);
}

/* The attribute alone leaves the page as it is, as in the kernel: the hole makes it the host's. */
static void test_the_attribute_leaves_the_page_to_the_guest(void **state)
{
	struct machine m;
	struct guest g;

	snp_start(&g, &m, 0);
	snp_can(&g, DO_WRITE, GUEST_DATA, 0, 0x42);
	assert_int_equal(set_private(&g, GUEST_DATA, 0x1000, false), 0);
	assert_int_equal(snp_can(&g, DO_READ, SHARED + GUEST_DATA, 0, 0), 0);
	assert_int_equal(set_private(&g, GUEST_DATA, 0x1000, true), 0);
	assert_int_equal(snp_can(&g, DO_READ, GUEST_DATA, 0, 0), 0x42);
	ends(&g);
}

static void on_alarm(int signal)
{
}

/*
 * The guest tries again for ever, because KVM cannot help. Alarms get the thread back: the last one when the
 * guest has begun to try.
 */
static void tries_for_ever(struct guest *g)
{
	const struct itimerval often = {.it_value.tv_usec = 20000, .it_interval.tv_usec = 20000};
	const struct itimerval never = {.it_value.tv_usec = 0};
	struct sigaction action = {.sa_handler = on_alarm};
	bool begun;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	do {
		begun = snp_note_of(g)->begun;
		assert_int_equal(guest_run(g), -EINTR);
	} while (!begun);
	setitimer(ITIMER_REAL, &never, NULL);
	assert_int_equal(snp_note_of(g)->vector, 0);
	assert_int_equal(snp_note_of(g)->flags, 0);
}

#define FIRST_HOME 0x20000u
#define NEXT_HOME  0x40000u

/* An entry has the address for which its page was assigned. */
static void test_a_page_is_the_guests_at_one_address(void **state)
{
	struct machine m;
	struct guest g;
	int own;

	snp_start(&g, &m, 0);
	own = g.gmem;
	g.gmem = create_gmem(&g, 0x1000);
	assert_true(g.gmem >= 0);
	assert_int_equal(set_memory(&g, 1, FIRST_HOME, 0x1000, g.memory, g.gmem), 0);
	assert_int_equal(set_private(&g, FIRST_HOME, NEXT_HOME, true), 0);
	assert_true(validates(&g, FIRST_HOME, true));
	assert_int_equal(set_memory(&g, 1, 0, 0, NULL, -1), 0);
	assert_int_equal(set_memory(&g, 1, NEXT_HOME, 0x1000, g.memory, g.gmem), 0);
	snp_asks(&g, DO_READ, NEXT_HOME, 0, 0);
	tries_for_ever(&g);
	snp_punch(&g, 0, 0x1000);
	runs_to(&g, KVM_EXIT_HLT);
	assert_int_equal(snp_note_of(&g)->error, VC_NOT);
	assert_true(validates(&g, NEXT_HOME, true));
	host_close(m.host, g.gmem);
	g.gmem = own;
	ends(&g);
}

/* A shared page is nobody's in the table, and KVM does not answer for it. */
static void test_pvalidate_of_a_shared_page_tries_for_ever(void **state)
{
	struct machine m;
	struct guest g;

	snp_start(&g, &m, 0);
	snp_asks(&g, DO_PVALIDATE, SHARED + GHCB, 0, 1);
	tries_for_ever(&g);
	ends(&g);
}

/* ---- several at once ---- */

#define SECOND 0x5800u /* of the page NOTE: the second vCPU's count; the first's is 8 before it */

/* Validates a page, writes it, gives it back, and counts; a #VC begins again. */
#define SNP_TURNS(count) \
	"1: movl $0xf000, %esp\n" \
	"movl $0x3000, %eax\n" \
	"xorl %ecx, %ecx\n" \
	"movl $1, %edx\n" \
	".byte 0xf2, 0x0f, 0x01, 0xff\n" \
	"incq 0x3000\n" \
	"movl $0x3000, %eax\n" \
	"xorl %edx, %edx\n" \
	".byte 0xf2, 0x0f, 0x01, 0xff\n" \
	"lock incq " #count "\n" \
	"jmp 1b"
GHCB_CODE(snp_turns, SNP_TURNS(0x2057f8));
GHCB_CODE(snp_turns_too, SNP_TURNS(0x205800));
GHCB_CODE(snp_again, "popq %rdx\n popq %rax\n andl $0xfffff000, %eax\n jmp *%rax");

/* Writes 1 to a page that it has validated, reads it, and counts its turns and what else than 1 it read. */
GHCB_CODE(snp_keeps, "1: movl $0xf000, %esp\n"
                     "movl $0x3000, %eax\n"
                     "xorl %ecx, %ecx\n"
                     "movl $1, %edx\n"
                     ".byte 0xf2, 0x0f, 0x01, 0xff\n"
                     "movq $1, 0x3000\n"
                     "movl $1000, %ecx\n"
                     "2: cmpq $1, 0x3000\n"
                     "je 3f\n"
                     "incq 0x205800\n"
                     "3: loop 2b\n"
                     "incq 0x2057f8\n"
                     "jmp 1b");

struct runner {
	struct guest g;
	pthread_t thread;
	int result;
};

/* The VMM takes the page away meanwhile: then an access is one of the wrong kind. */
static void *run_until_told(void *arg)
{
	struct runner *r = arg;

	do
		r->result = guest_run(&r->g);
	while (r->result == -EFAULT && r->g.run->exit_reason == UAPI_EXIT_MEMORY_FAULT);
	return NULL;
}

static void start(struct runner *r)
{
	assert_int_equal(pthread_create(&r->thread, NULL, run_until_told, r), 0);
}

static void stop(struct runner *r)
{
	__atomic_store_n(&r->g.run->immediate_exit, 1, __ATOMIC_RELEASE);
	assert_int_equal(pthread_join(r->thread, NULL), 0);
	assert_int_equal(r->result, -EINTR);
}

static void add_second(struct runner *to, struct guest *from)
{
	const struct kvm_regs regs = {.rip = GUEST_DATA, .rsp = 0xf000, .rflags = 2};
	struct kvm_sregs s;

	*to = (struct runner){.g = *from};
	to->g.vcpu = guest_add_vcpu(from);
	ghcb_cpuid(from, to->g.vcpu);
	assert_int_equal(call_of(from->m, from->vcpu, KVM_GET_SREGS, &s), 0);
	assert_int_equal(call_of(from->m, to->g.vcpu, KVM_SET_SREGS, &s), 0);
	assert_int_equal(call_of(from->m, to->g.vcpu, KVM_SET_REGS, &regs), 0);
	to->g.run = host_mmap(from->m->host, NULL,
	        (size_t)number_of(from->m, from->m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE,
	        MAP_SHARED, to->g.vcpu, 0);
	assert_ptr_not_equal(to->g.run, MAP_FAILED);
}

static uint64_t turns(const struct guest *g, unsigned vcpu)
{
	return __atomic_load_n((uint64_t *)(void *)(g->memory + SECOND - 8 + 8 * vcpu), __ATOMIC_RELAXED);
}

static void convert(struct guest *g, unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		assert_int_equal(set_private(g, FREE, 0x1000, false), 0);
		snp_punch(g, FREE, 0x1000);
		assert_int_equal(set_private(g, FREE, 0x1000, true), 0);
	}
}

static void test_vcpus_and_vmm_change_a_page_at_once(void **state)
{
	static const struct sim_options milan = {.product = "Milan", .seed = 1};
	struct runner runners[2];
	struct machine m;
	struct guest g;

	guest_ready(&g, &m, &milan, UAPI_VM_SNP);
	snp_prepare(&g, 0);
	add_second(&runners[1], &g);
	put_code(&g, GUEST_CODE, snp_turns, snp_turns_end);
	put_code(&g, GUEST_DATA, snp_turns_too, snp_turns_too_end);
	put_code(&g, ON_VC, snp_again, snp_again_end);
	snp_launch(&g);
	runners[0].g = g;
	for (unsigned i = 0; i < 2; i++)
		start(&runners[i]);
	while (turns(&g, 0) < 100 || turns(&g, 1) < 100)
		convert(&g, 1);
	for (unsigned i = 0; i < 2; i++)
		stop(&runners[i]);
	host_munmap(m.host, runners[1].g.run, (size_t)number_of(&m, m.kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
	host_close(m.host, runners[1].g.vcpu);
	ends(&g);
}

/* A hole in a page that is and stays private: the guest loses what it wrote, but never without a #VC. */
static void test_a_guest_learns_of_each_hole(void **state)
{
	static const struct sim_options milan = {.product = "Milan", .seed = 1};
	struct runner runner = {.result = 0};
	struct machine m;
	struct guest g;

	guest_ready(&g, &m, &milan, UAPI_VM_SNP);
	snp_prepare(&g, 0);
	put_code(&g, GUEST_CODE, snp_keeps, snp_keeps_end);
	put_code(&g, ON_VC, snp_again, snp_again_end);
	snp_launch(&g);
	runner.g = g;
	start(&runner);
	for (unsigned i = 0; i < 100; i++) {
		uint64_t before = turns(&g, 0);

		snp_punch(&g, FREE, 0x1000);
		while (turns(&g, 0) == before)
			sched_yield();
	}
	stop(&runner);
	assert_int_equal(turns(&g, 1), 0);
	ends(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_a_validated_page_is_used),
	        cmocka_unit_test(test_a_page_that_is_not_validated_raises_vc),
	        cmocka_unit_test(test_the_c_bit_must_be_that_of_the_attribute),
	        cmocka_unit_test(test_a_private_access_without_memory_is_the_vmms),
	        cmocka_unit_test(test_pvalidate_tells_whether_it_changed_anything),
	        cmocka_unit_test(test_the_instructions_refuse_operands),
	        cmocka_unit_test(test_rmpadjust_needs_a_validated_page),
	        cmocka_unit_test(test_the_instructions_are_the_kernels),
	        cmocka_unit_test(test_only_snp_guests_have_the_instructions),
	        cmocka_unit_test(test_a_hole_takes_the_page_from_the_guest),
	        cmocka_unit_test(test_the_attribute_leaves_the_page_to_the_guest),
	        cmocka_unit_test(test_a_page_is_the_guests_at_one_address),
	        cmocka_unit_test(test_pvalidate_of_a_shared_page_tries_for_ever),
	        cmocka_unit_test(test_vcpus_and_vmm_change_a_page_at_once),
	        cmocka_unit_test(test_a_guest_learns_of_each_hole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

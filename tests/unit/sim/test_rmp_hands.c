/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How pages of a SEV-SNP guest change hands: holes, attributes, slots, and several who change a page at once.
 */
#include <pthread.h>
#include <sched.h>

#include "snp_guest.h"

/* ---- one after another ---- */

static void test_a_hole_takes_the_page_from_the_guest(void **state)
{
	struct machine m;
	struct guest g;

	snp_start(&g, &m, 0);
	snp_can(&g, DO_WRITE, GUEST_DATA, 0, 0x42);
	snp_punch(&g, GUEST_DATA, 0x1000);
	snp_gets(&g, DO_READ, GUEST_DATA, 29, VC_NOT);
	assert_true(snp_validates(&g, GUEST_DATA, true));
	assert_int_equal(snp_can(&g, DO_READ, GUEST_DATA, 0, 0), 0);
	snp_ends(&g);
}

static void sees(struct guest *g, uint64_t gpa, bool private, bool assigned, bool validated)
{
	struct sim_page_view view;

	assert_true(sim_page_view(g->m->host, gpa, &view));
	assert_int_equal(view.private, private);
	assert_int_equal(view.assigned, assigned);
	assert_int_equal(view.validated, validated);
}

static void test_an_observer_sees_attribute_and_entry(void **state)
{
	struct sim_page_view view;
	struct machine m;
	struct guest g;

	snp_start(&g, &m, 0);
	sees(&g, GUEST_DATA, true, true, true);
	sees(&g, GHCB, false, false, false);
	sees(&g, FREE, true, false, false);
	snp_gets(&g, DO_READ, FREE, 29, VC_NOT);
	sees(&g, FREE, true, true, false);
	assert_true(snp_validates(&g, FREE, true));
	sees(&g, FREE, true, true, true);
	assert_int_equal(set_private(&g, GUEST_DATA, 0x1000, false), 0);
	sees(&g, GUEST_DATA, false, true, true);
	snp_punch(&g, GUEST_DATA, 0x1000);
	sees(&g, GUEST_DATA, false, false, false);
	assert_false(sim_page_view(m.host, GUEST_BYTES, &view));
	snp_ends(&g);
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
	snp_ends(&g);
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
	assert_true(snp_validates(&g, FIRST_HOME, true));
	assert_int_equal(set_memory(&g, 1, 0, 0, NULL, -1), 0);
	assert_int_equal(set_memory(&g, 1, NEXT_HOME, 0x1000, g.memory, g.gmem), 0);
	snp_asks(&g, DO_READ, NEXT_HOME, 0, 0);
	snp_tries_for_ever(&g);
	snp_punch(&g, 0, 0x1000);
	runs_to(&g, KVM_EXIT_HLT);
	assert_int_equal(snp_note_of(&g)->error, VC_NOT);
	assert_true(snp_validates(&g, NEXT_HOME, true));
	host_close(m.host, g.gmem);
	g.gmem = own;
	snp_ends(&g);
}

/* A shared page is nobody's in the table, and KVM does not answer for it. */
static void test_pvalidate_of_a_shared_page_tries_for_ever(void **state)
{
	struct machine m;
	struct guest g;

	snp_start(&g, &m, 0);
	snp_asks(&g, DO_PVALIDATE, SHARED + GHCB, 0, 1);
	snp_tries_for_ever(&g);
	snp_ends(&g);
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

/* A VMM that converts again at once may be faster than the vCPUs, which then never end a turn. */
static void convert_and_wait(struct guest *g)
{
	uint64_t before = turns(g, 0) + turns(g, 1);

	assert_int_equal(set_private(g, FREE, 0x1000, false), 0);
	snp_punch(g, FREE, 0x1000);
	assert_int_equal(set_private(g, FREE, 0x1000, true), 0);
	while (turns(g, 0) + turns(g, 1) == before)
		sched_yield();
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
		convert_and_wait(&g);
	for (unsigned i = 0; i < 2; i++)
		stop(&runners[i]);
	host_munmap(m.host, runners[1].g.run, (size_t)number_of(&m, m.kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
	host_close(m.host, runners[1].g.vcpu);
	snp_ends(&g);
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
	snp_ends(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_a_hole_takes_the_page_from_the_guest),
	        cmocka_unit_test(test_an_observer_sees_attribute_and_entry),
	        cmocka_unit_test(test_the_attribute_leaves_the_page_to_the_guest),
	        cmocka_unit_test(test_a_page_is_the_guests_at_one_address),
	        cmocka_unit_test(test_pvalidate_of_a_shared_page_tries_for_ever),
	        cmocka_unit_test(test_vcpus_and_vmm_change_a_page_at_once),
	        cmocka_unit_test(test_a_guest_learns_of_each_hole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

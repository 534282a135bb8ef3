/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_rmp: two vCPUs of a SEV-SNP guest and its VMM change the state of the same pages at once: PVALIDATE,
 * RMPADJUST, RMPQUERY, page state changes by the MSR; attributes, holes, prefaults. The guest writes a mark
 * into each page that says which page it is, and whether it was written with the C-bit. Nobody may ever read
 * another mark than that page's own, or zero. Input: records of three bytes: who does what, to which page,
 * with which operand.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "../unit/sim/snp_guest.h"
#include "input.h"

#define VCPUS     2u
#define STEPS_MAX 16u /* of a vCPU */
#define VMM_MAX   32u
#define EXITS_MAX 64u
#define STUCK_NS \
	5000000 /* then a vCPU that is not through tries for ever: KVM has no answer to some faults */
#define KICK SIGUSR1

/* A step, and what came of it, in a page that guest and VMM share. */
enum step_what { STEP_END, STEP_PVALIDATE, STEP_RMPADJUST, STEP_RMPQUERY, STEP_READ, STEP_WRITE, STEP_PSC };
struct step {
	uint64_t what, rax, rcx, rdx;
	uint64_t rax_after, vector, error, done;
};

#define SCRIPT(vcpu) (OUTSIDE + 0x800u * (vcpu)) /* struct step[STEPS_MAX + 1] */
#define STACK(vcpu)  (0xf000u - 0x400u * (vcpu))

/* R13: the script, R14: the stack, R15: the step. */
GHCB_CODE(steps, "1: movq %r14, %rsp\n"
                 "movq 8(%r15), %rax\n"
                 "movq 16(%r15), %rcx\n"
                 "movq 24(%r15), %rdx\n"
                 "movl (%r15), %ebx\n"
                 "cmpl $0, %ebx\n je 9f\n"
                 "cmpl $2, %ebx\n je 3f\n"
                 "cmpl $3, %ebx\n je 4f\n"
                 "cmpl $4, %ebx\n je 5f\n"
                 "cmpl $5, %ebx\n je 6f\n"
                 "cmpl $6, %ebx\n je 7f\n"
                 ".byte 0xf2, 0x0f, 0x01, 0xff\n"
                 "2: movq %rax, 32(%r15)\n"
                 "movb $1, 56(%r15)\n"
                 "addq $64, %r15\n"
                 "jmp 1b\n"
                 "3: .byte 0xf3, 0x0f, 0x01, 0xfe\n jmp 2b\n"
                 "4: .byte 0xf3, 0x0f, 0x01, 0xfd\n jmp 2b\n"
                 "5: movzbl (%rax), %eax\n jmp 2b\n"
                 "6: movb %dl, (%rax)\n jmp 2b\n"
                 "7: wrmsr\n rep; vmmcall\n rdmsr\n jmp 2b\n"
                 "9: movq %r13, %r15\n hlt\n jmp 1b");
#define STEP_FAILS(number) \
	"movb $" #number ", 40(%r15)\n" \
	"popq 48(%r15)\n" \
	"addq $64, %r15\n" \
	"movl $0x1000, %eax\n" \
	"jmp *%rax"
GHCB_CODE(step_on_vc, STEP_FAILS(29));

static const uint32_t pages[] = {GUEST_DATA, FREE, FREE + 0x1000, 0xc000};

static struct {
	struct machine machine;
	struct guest guests[VCPUS]; /* the same guest, with another vCPU */
	bool alive;
} f;

static uint8_t mark_of(size_t page, bool private)
{
	return (uint8_t)(0x10 + page + (private ? 0x80 : 0));
}

/* ---- the guest: one for all inputs, until a vCPU is stuck ---- */

static void drop_guest(void)
{
	struct host *h = f.machine.host;

	if (!f.alive)
		return;
	host_munmap(
	        h, f.guests[1].run, (size_t)number_of(&f.machine, f.machine.kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
	host_close(h, f.guests[1].vcpu);
	guest_close(&f.guests[0]);
	f.alive = false;
}

static void set_registers(struct guest *g, unsigned vcpu)
{
	const struct kvm_regs regs = {.rip = GUEST_CODE,
	        .rflags = 2,
	        .rsp = STACK(vcpu),
	        .r13 = SHARED + SCRIPT(vcpu),
	        .r14 = STACK(vcpu),
	        .r15 = SHARED + SCRIPT(vcpu)};

	assert_int_equal(call_of(g->m, g->vcpu, KVM_SET_REGS, &regs), 0);
}

static void add_second(void)
{
	struct guest *first = &f.guests[0], *second = &f.guests[1];
	struct kvm_sregs s;

	*second = *first;
	second->vcpu = guest_add_vcpu(first);
	ghcb_cpuid(second, second->vcpu);
	assert_int_equal(call_of(&f.machine, first->vcpu, KVM_GET_SREGS, &s), 0);
	assert_int_equal(call_of(&f.machine, second->vcpu, KVM_SET_SREGS, &s), 0);
	second->run = host_mmap(f.machine.host, NULL,
	        (size_t)number_of(&f.machine, f.machine.kvm, KVM_GET_VCPU_MMAP_SIZE, 0),
	        PROT_READ | PROT_WRITE, MAP_SHARED, second->vcpu, 0);
	assert_ptr_not_equal(second->run, MAP_FAILED);
}

static void on_kick(int signal)
{
}

static void want_guest(void)
{
	static const struct sim_options genoa = {.product = "Genoa", .seed = 1};
	const struct kvm_enable_cap cap = {.cap = KVM_CAP_EXIT_HYPERCALL, .args[0] = 1u << 12};
	struct sigaction action = {.sa_handler = on_kick};
	struct guest *g = &f.guests[0];

	if (f.alive)
		return;
	if (!f.machine.host) {
		machine_open(&f.machine, &genoa);
		fuzz_assert(sigaction(KICK, &action, NULL) == 0);
	}
	guest_make(g, &f.machine, UAPI_VM_SNP);
	assert_int_equal(guest_init2(g), 0);
	assert_int_equal(call_of(&f.machine, g->vm, KVM_ENABLE_CAP, &cap), 0);
	guest_add_vcpu(g);
	snp_prepare(g, 0);
	put_code(g, GUEST_CODE, steps, steps_end);
	put_code(g, ON_VC, step_on_vc, step_on_vc_end);
	add_second();
	for (unsigned i = 0; i < VCPUS; i++)
		set_registers(&f.guests[i], i);
	snp_launch(g);
	f.alive = true;
}

/* Every page is the host's, and private by its attribute. */
static void reset_pages(struct guest *g)
{
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		snp_punch(g, pages[i], PAGE_SIZE_BYTES);
		assert_int_equal(set_private(g, pages[i], PAGE_SIZE_BYTES, true), 0);
		memset(g->memory + pages[i], 0, PAGE_SIZE_BYTES);
	}
	memset(g->memory + OUTSIDE, 0, PAGE_SIZE_BYTES);
}

/* ---- what the input says ---- */

struct plan {
	unsigned steps[VCPUS];
	uint8_t answers[VCPUS]; /* bits of answers to exits */
	struct {
		uint8_t what, page, operand;
	} vmm[VMM_MAX];
	unsigned vmm_count;
};

static struct step *script_of(unsigned vcpu)
{
	return (struct step *)(void *)(f.guests[0].memory + SCRIPT(vcpu));
}

static void plan_step(struct plan *plan, unsigned vcpu, uint8_t what, uint8_t where, uint8_t operand)
{
	struct step *step = &script_of(vcpu)[plan->steps[vcpu]];
	const size_t page = where % ARRAY_LEN(pages);
	const enum step_what does = STEP_PVALIDATE + what % STEP_PSC;
	/* KVM has no answer to the instructions without the C-bit, so they are rare. */
	const bool private = !(where & 0x80) || (does <= STEP_RMPQUERY && operand < 0xf0);

	if (plan->steps[vcpu] == STEPS_MAX)
		return;
	plan->steps[vcpu]++;
	step->rax = pages[page] + (private ? 0 : SHARED) + (where & 0x40 ? 0x123 : 0);
	step->rcx = where & 0x20 ? 1 : 0; /* 2 MiB */
	step->what = does;
	switch (does) {
	case STEP_PVALIDATE: step->rdx = operand & 1; break;
	case STEP_RMPADJUST:
	case STEP_RMPQUERY:
		step->rdx = (operand & 3) | (uint64_t)(operand & 0x7c) << 6 | (uint64_t)(operand & 0x80) << 9;
		break;
	case STEP_WRITE: step->rdx = mark_of(page, private); break;
	case STEP_PSC:
		step->rax = pages[page] | ABI_GHCB_MSR_PSC_ASK;
		step->rdx = (uint64_t)(operand & 3) << 20;
		step->rcx = 0xc0010130;
		break;
	default: break;
	}
}

static void make_plan(struct plan *plan)
{
	*plan = (struct plan){.answers = {take8(), take8()}};
	while (input.size) {
		uint8_t what = take8(), where = take8(), operand = take8();

		if (!(what & 0x80))
			plan_step(plan, what >> 6 & 1, what & 0x3f, where, operand);
		else if (plan->vmm_count < VMM_MAX) {
			plan->vmm[plan->vmm_count].what = what;
			plan->vmm[plan->vmm_count].page = where;
			plan->vmm[plan->vmm_count++].operand = operand;
		}
	}
}

/* ---- the VMM ---- */

static void convert(struct guest *g, uint64_t gpa, bool private)
{
	assert_int_equal(set_private(g, gpa, PAGE_SIZE_BYTES, private), 0);
	if (!private)
		snp_punch(g, (off_t)gpa, PAGE_SIZE_BYTES);
}

static void prefault(struct guest *g, uint64_t gpa)
{
	struct uapi_pre_fault_memory range = {.gpa = gpa, .size = PAGE_SIZE_BYTES};
	int result = call_of(g->m, g->vcpu, UAPI_PRE_FAULT_MEMORY, &range);

	fuzz_assert(result == 0 || result == -EFAULT);
}

static void vmm_step(struct guest *g, uint8_t what, uint32_t gpa)
{
	switch (what % 4) {
	case 0: snp_punch(g, gpa, PAGE_SIZE_BYTES); break;
	case 1: assert_int_equal(set_private(g, gpa, PAGE_SIZE_BYTES, false), 0); break;
	case 2: assert_int_equal(set_private(g, gpa, PAGE_SIZE_BYTES, true), 0); break;
	case 3: sched_yield(); break;
	}
}

/* ---- a vCPU's thread ---- */

struct runner {
	struct guest *g;
	uint8_t answers;
	pthread_t thread;
	_Atomic bool through; /* the script is at its end, or its VMM gives up */
	bool stuck;
};

static void answer_exit(struct runner *r, unsigned exit, int result)
{
	struct guest *g = r->g;
	bool yes = r->answers >> exit % 8 & 1;
	struct uapi_memory_fault fault;

	if (result == 0) {
		fuzz_assert(g->run->exit_reason == KVM_EXIT_HYPERCALL);
		fuzz_assert(g->run->hypercall.args[1] == 1);
		if (yes)
			convert(g, g->run->hypercall.args[0], g->run->hypercall.args[2] >> 4 & 1);
		g->run->hypercall.ret = yes ? 0 : EINVAL;
		return;
	}
	fuzz_assert(result == -EFAULT && g->run->exit_reason == UAPI_EXIT_MEMORY_FAULT);
	memcpy(&fault, &g->run->hw, sizeof(fault));
	if (yes)
		assert_int_equal(set_private(g, fault.gpa, PAGE_SIZE_BYTES, fault.flags != 0), 0);
	else
		convert(g, fault.gpa, fault.flags != 0);
	if (exit % 2)
		prefault(g, fault.gpa);
}

static void *run_vcpu(void *arg)
{
	struct runner *r = arg;

	r->stuck = true;
	for (unsigned i = 0; i < EXITS_MAX && r->stuck; i++) {
		int result = guest_run(r->g);

		if (result == -EINTR)
			break;
		if (result == 0 && r->g->run->exit_reason == KVM_EXIT_HLT)
			r->stuck = false;
		else
			answer_exit(r, i, result);
	}
	atomic_store(&r->through, true);
	return NULL;
}

static void wait_for(struct runner *runners)
{
	const struct timespec moment = {.tv_nsec = STUCK_NS / 50};

	for (unsigned i = 0; i < 50; i++) {
		if (atomic_load(&runners[0].through) && atomic_load(&runners[1].through))
			break;
		nanosleep(&moment, NULL);
	}
	for (unsigned i = 0; i < VCPUS; i++) {
		__atomic_store_n(&runners[i].g->run->immediate_exit, 1, __ATOMIC_RELEASE);
		pthread_kill(runners[i].thread, KICK);
		fuzz_assert(pthread_join(runners[i].thread, NULL) == 0);
		runners[i].g->run->immediate_exit = 0;
	}
}

/* ---- what must be true ---- */

static void check_step(const struct step *step)
{
	const bool private = step->rax < SHARED;
	size_t page = 0;

	fuzz_assert(step->vector == 0 || (step->vector == 29 && step->error == VC_NOT));
	if (!step->done)
		return;
	if (step->what == STEP_PSC) {
		fuzz_assert((step->rax_after & ABI_GHCB_MSR_CODE) == ABI_GHCB_MSR_PSC);
		return;
	}
	while (pages[page] != (step->rax & ~(uint64_t)0xfff) - (private ? 0 : SHARED))
		page++;
	if (step->what == STEP_READ)
		fuzz_assert(step->rax_after == 0 || step->rax_after == mark_of(page, private));
	else if (step->what != STEP_WRITE)
		fuzz_assert(step->rax_after <= 2 || step->rax_after == 6);
}

static void check(const struct plan *plan)
{
	for (unsigned vcpu = 0; vcpu < VCPUS; vcpu++)
		for (unsigned i = 0; i < plan->steps[vcpu]; i++)
			check_step(&script_of(vcpu)[i]);
	for (size_t i = 0; i < ARRAY_LEN(pages); i++)
		for (size_t at = 0; at < PAGE_SIZE_BYTES; at++) {
			uint8_t byte = f.guests[0].memory[pages[i] + at];

			fuzz_assert(byte == 0 || byte == mark_of(i, false));
		}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct runner runners[VCPUS] = {{.stuck = false}};
	struct plan plan;

	input.data = data;
	input.size = size;
	want_guest();
	reset_pages(&f.guests[0]);
	make_plan(&plan);
	for (unsigned i = 0; i < VCPUS; i++) {
		runners[i].g = &f.guests[i];
		runners[i].answers = plan.answers[i];
		fuzz_assert(pthread_create(&runners[i].thread, NULL, run_vcpu, &runners[i]) == 0);
	}
	for (unsigned i = 0; i < plan.vmm_count; i++)
		vmm_step(&f.guests[0], plan.vmm[i].what & 0x7f, pages[plan.vmm[i].page % ARRAY_LEN(pages)]);
	wait_for(runners);
	check(&plan);
	if (runners[0].stuck || runners[1].stuck)
		drop_guest();
	return 0;
}

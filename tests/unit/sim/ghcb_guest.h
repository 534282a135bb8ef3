/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ghcb_guest: a SEV-ES guest on the software platform that executes one VMGEXIT after another, for the tests
 * of what KVM answers. The guest's code sets the GHCB's MSR, executes VMGEXIT, notes what it sees afterwards
 * in a shared page, and halts. The test writes the GHCB in the place of the guest.
 */
#ifndef VMM_TEST_GHCB_GUEST_H
#define VMM_TEST_GHCB_GUEST_H

#include "sev_guest.h"
#include "vmm/abi/ghcb.h"

#define NOTE    0x5000u /* struct note, shared */
#define GHCB    0x6000u /* the page, shared */
#define OUTSIDE 0x7000u /* a scratch area outside of the GHCB, shared */
#define IDT     0xb000u
#define GDT     0xb800u
#define ON_UD   0x1100u
#define ON_GP   0x1140u
#define NOWHERE UINT64_C(0x12345000) /* no slot is there */

/* What test and guest tell each other. */
struct note {
	uint64_t msr;       /* to the guest: the GHCB's MSR */
	uint64_t msr_after; /* from the guest: the MSR after the VMGEXIT */
	uint64_t rbx_after; /* and RBX, which no answer may change */
	uint8_t vector;     /* and the exception that came, 0: none */
	uint8_t keep;       /* to the guest: do not write the MSR */
};
#define GUEST_RBX UINT64_C(0x1122334455667788)

#define GHCB_CODE(name, text) \
	extern const uint8_t name[], name##_end[]; \
	__asm__(".pushsection .rodata\n" #name ":\n\t" text "\n" #name "_end:\n\t.popsection\n")

GHCB_CODE(ghcb_asks, "movabs $0x1122334455667788, %rbx\n"
                     "1: movl $0xc0010130, %ecx\n"
                     "cmpb $0, 0x205019\n"
                     "jne 2f\n"
                     "movl 0x205000, %eax\n"
                     "movl 0x205004, %edx\n"
                     "wrmsr\n"
                     "2: rep; vmmcall\n"
                     "movl $0xc0010130, %ecx\n"
                     "rdmsr\n"
                     "movl %eax, 0x205008\n"
                     "movl %edx, 0x20500c\n"
                     "movq %rbx, 0x205010\n"
                     "hlt\n"
                     "jmp 1b");
GHCB_CODE(ghcb_on_ud, "movb $6, 0x205018\n iretq");
GHCB_CODE(ghcb_on_gp, "movb $13, 0x205018\n addq $8, %rsp\n iretq");

static inline struct note *note_of(const struct guest *g)
{
	return (struct note *)(void *)(g->memory + NOTE);
}

static inline struct abi_ghcb *ghcb_of(const struct guest *g)
{
	return (struct abi_ghcb *)(void *)(g->memory + GHCB);
}

static inline void put_code(struct guest *g, uint32_t at, const uint8_t *code, const uint8_t *end)
{
	memcpy(g->memory + at, code, (size_t)(end - code));
}

static inline void put_gate(struct guest *g, unsigned vector, uint64_t at)
{
	store_le(g->memory + IDT + 16 * vector, 8, (at & 0xffff) | 8 << 16 | UINT64_C(0x8e00) << 32);
}

/* The CPUID of the guest: long mode, XSAVE, and a leaf that only a test has. */
static inline void ghcb_cpuid(struct guest *g, int vcpu)
{
	const struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[6];
	} cpuid = {.head.nent = 6,
	        .entries = {
	                {.function = 0, .eax = 0xd, .ebx = 0x68747541, .ecx = 0x444d4163, .edx = 0x69746e65},
	                {.function = 1, .eax = 0x00a00f11, .ecx = 1u << 26},
	                {.function = 0xd,
	                        .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
	                        .eax = 3,
	                        .ebx = 576,
	                        .ecx = 576},
	                {.function = 0x4f000000, .eax = 0x11, .ebx = 0x22, .ecx = 0x33, .edx = 0x44},
	                {.function = 0x80000000, .eax = 0x80000001},
	                {.function = 0x80000001, .edx = 1u << 29},
	        }};

	assert_int_equal(call_of(g->m, vcpu, KVM_SET_CPUID2, &cpuid), 0);
}

/* Puts code and tables into memory, and lets the first vCPU start with them. */
static inline void ghcb_prepare(struct guest *g)
{
	struct kvm_sregs s;

	put_code(g, GUEST_CODE, ghcb_asks, ghcb_asks_end);
	put_code(g, ON_UD, ghcb_on_ud, ghcb_on_ud_end);
	put_code(g, ON_GP, ghcb_on_gp, ghcb_on_gp_end);
	put_gate(g, 6, ON_UD);
	put_gate(g, 13, ON_GP);
	store_le(g->memory + GDT + 8, 8, UINT64_C(0x00af9b000000ffff));
	enter_long_mode(g);
	ghcb_cpuid(g, g->vcpu);
	assert_int_equal(call_of(g->m, g->vcpu, KVM_GET_SREGS, &s), 0);
	s.idt = (struct kvm_dtable){.base = IDT, .limit = 0x1ff};
	s.gdt = (struct kvm_dtable){.base = GDT, .limit = 0xf};
	assert_int_equal(call_of(g->m, g->vcpu, KVM_SET_SREGS, &s), 0);
}

/* Makes the context: version 0 stands for KVM_SEV_ES_INIT, on a VM of the type 0. */
static inline void ghcb_make(struct guest *g, struct machine *m, uint16_t version)
{
	const struct uapi_sev_init init = {.ghcb_version = version};

	guest_make(g, m, version ? UAPI_VM_SEV_ES : UAPI_VM_DEFAULT);
	if (version)
		assert_int_equal(command(g, UAPI_SEV_INIT2, &init), 0);
	else
		assert_int_equal(command(g, KVM_SEV_ES_INIT, NULL), 0);
}

/* Launches the guest. The shared pages hold zeros then. */
static inline void ghcb_launch(struct guest *g)
{
	ghcb_prepare(g);
	guest_launch(g, ABI_SEV_POLICY_ES);
	memset(g->memory + NOTE, 0, OUTSIDE + PAGE_SIZE_BYTES - NOTE);
	note_of(g)->msr = GHCB;
}

/* The usual guest: one vCPU, no interrupt controllers in the platform. */
static inline void ghcb_start(struct guest *g, struct machine *m, uint16_t version)
{
	static const struct sim_options milan = {.product = "Milan", .seed = 1};

	machine_open(m, &milan);
	ghcb_make(g, m, version);
	guest_add_vcpu(g);
	ghcb_launch(g);
}

static inline void ghcb_end(struct guest *g)
{
	struct machine *m = g->m;

	guest_close(g);
	machine_close(m);
}

/* ---- the page ---- */

static inline void ghcb_mark(struct guest *g, size_t bit)
{
	ghcb_of(g)->valid_bitmap[bit / 8] |= (uint8_t)(1u << bit % 8);
}

#define GIVE(g, field, value) (ghcb_of(g)->field = (value), ghcb_mark(g, ABI_GHCB_BIT(field)))

/* An event with its three fields, in a page that is otherwise empty. */
static inline void ask(struct guest *g, uint64_t code, uint64_t info_1, uint64_t info_2)
{
	memset(ghcb_of(g), 0, sizeof(struct abi_ghcb));
	GIVE(g, sw_exit_code, code);
	GIVE(g, sw_exit_info_1, info_1);
	GIVE(g, sw_exit_info_2, info_2);
}

/* Runs until the guest leaves to the VMM. A signal for somebody else, as libFuzzer's timer, ends no run. */
static inline int run_to_exit(struct guest *g)
{
	int result;

	do
		result = guest_run(g);
	while (result == -EINTR);
	return result;
}

/* Runs until the guest halts after its VMGEXIT, which KVM answered by itself. */
static inline void runs_to_halt(struct guest *g)
{
	int result;

	note_of(g)->vector = 0;
	result = run_to_exit(g);
	if (result != 0 || g->run->exit_reason != KVM_EXIT_HLT)
		fail_msg("KVM_RUN: %d, exit %u", result, g->run->exit_reason);
	assert_int_equal(note_of(g)->rbx_after, GUEST_RBX);
}

/* Runs until KVM leaves to the VMM for this reason. */
static inline void runs_to(struct guest *g, uint32_t reason)
{
	int result = run_to_exit(g);

	if (result != 0 || g->run->exit_reason != reason)
		fail_msg("KVM_RUN: %d, exit %u in place of %u", result, g->run->exit_reason, reason);
}

/* The answer is in the page, and exactly those fields are valid that KVM gives back. */
static inline void assert_answer(struct guest *g, uint64_t info_1, uint64_t info_2)
{
	static const uint16_t given[] = {ABI_GHCB_BIT(rax), ABI_GHCB_BIT(rbx), ABI_GHCB_BIT(rcx),
	        ABI_GHCB_BIT(rdx), ABI_GHCB_BIT(sw_exit_info_1), ABI_GHCB_BIT(sw_exit_info_2)};
	uint8_t bits[16] = {0};

	for (size_t i = 0; i < ARRAY_LEN(given); i++)
		bits[given[i] / 8] |= (uint8_t)(1u << given[i] % 8);
	assert_int_equal(ghcb_of(g)->sw_exit_info_1, info_1);
	assert_int_equal(ghcb_of(g)->sw_exit_info_2, info_2);
	assert_memory_equal(ghcb_of(g)->valid_bitmap, bits, sizeof(bits));
}

/* KVM answers the page that was prepared, without the VMM. */
static inline void answers(struct guest *g, uint64_t info_1, uint64_t info_2)
{
	runs_to_halt(g);
	assert_answer(g, info_1, info_2);
}

/* KVM wrote its answer, four registers, their valid bits and the shared buffer, and nothing else. */
static inline void assert_only_answered(struct guest *g, const struct abi_ghcb *before)
{
	struct abi_ghcb now = *ghcb_of(g);

	now.rax = before->rax;
	now.rbx = before->rbx;
	now.rcx = before->rcx;
	now.rdx = before->rdx;
	now.sw_exit_info_1 = before->sw_exit_info_1;
	now.sw_exit_info_2 = before->sw_exit_info_2;
	memcpy(now.valid_bitmap, before->valid_bitmap, sizeof(now.valid_bitmap));
	memcpy(now.shared_buffer, before->shared_buffer, sizeof(now.shared_buffer));
	assert_memory_equal(&now, before, sizeof(now));
	assert_answer(g, ghcb_of(g)->sw_exit_info_1, ghcb_of(g)->sw_exit_info_2);
	assert_in_range(ghcb_of(g)->sw_exit_info_1, 0, 2);
}

#endif

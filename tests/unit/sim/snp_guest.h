/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snp_guest: a SEV-SNP guest on the software platform that does one thing after another for the test: an
 * instruction on its pages, an access, a VMGEXIT. It tells in a shared page how that ended, and halts.
 */
#ifndef VMM_TEST_SNP_GUEST_H
#define VMM_TEST_SNP_GUEST_H

#include <linux/falloc.h>
#include <signal.h>
#include <sys/time.h>

#include "ghcb_guest.h"
#include "vmm/abi/snp.h"

#define FREE   0x3000u /* two pages that are private, and that nobody has assigned */
#define ON_VC  0x1180u
#define TSS    0xb900u
#define TABLE  0x40000000u /* linear: the tables lead through the page FREE */
#define VC_NOT 0x404u      /* the page is not validated */

#define FLAG_CF 0x1u
#define FLAG_ZF 0x40u

enum snp_do { DO_PVALIDATE, DO_RMPADJUST, DO_READ, DO_WRITE, DO_FETCH, DO_VMGEXIT, DO_RMPQUERY, DO_RDMSR };

/* What test and guest tell each other, in the page NOTE. */
struct snp_note {
	uint64_t what, rax, rcx, rdx;
	uint64_t rax_after, flags, vector, error, begun, rcx_after, rdx_after;
};

GHCB_CODE(snp_does, "1: movl $0xf000, %esp\n"
                    "movq 0x205008, %rax\n"
                    "movq 0x205010, %rcx\n"
                    "movq 0x205018, %rdx\n"
                    "movl 0x205000, %ebx\n"
                    "movb $1, 0x205040\n"
                    "cmpl $1, %ebx\n"
                    "je 3f\n"
                    "cmpl $2, %ebx\n"
                    "je 4f\n"
                    "cmpl $3, %ebx\n"
                    "je 5f\n"
                    "cmpl $4, %ebx\n"
                    "je 6f\n"
                    "cmpl $5, %ebx\n"
                    "je 7f\n"
                    "cmpl $6, %ebx\n"
                    "je 8f\n"
                    "cmpl $7, %ebx\n"
                    "je 9f\n"
                    ".byte 0xf2, 0x0f, 0x01, 0xff\n"
                    "2: pushfq\n"
                    "movq %rax, 0x205020\n"
                    "popq 0x205028\n"
                    "movq %rcx, 0x205048\n"
                    "movq %rdx, 0x205050\n"
                    "hlt\n"
                    "jmp 1b\n"
                    "3: .byte 0xf3, 0x0f, 0x01, 0xfe\n"
                    "jmp 2b\n"
                    "4: movzbl (%rax), %eax\n"
                    "jmp 2b\n"
                    "5: movb %dl, (%rax)\n"
                    "jmp 2b\n"
                    "6: call *%rax\n"
                    "jmp 2b\n"
                    "7: wrmsr\n"
                    "rep; vmmcall\n"
                    "rdmsr\n"
                    "shlq $32, %rdx\n"
                    "orq %rdx, %rax\n"
                    "jmp 2b\n"
                    "8: .byte 0xf3, 0x0f, 0x01, 0xfd\n"
                    "jmp 2b\n"
                    "9: rdmsr\n"
                    "shlq $32, %rdx\n"
                    "orq %rdx, %rax\n"
                    "jmp 2b");
#define SNP_TELLS(number, error) \
	"movb $" #number ", 0x205030\n" error "hlt\n" \
	"movl $0x1000, %eax\n" \
	"jmp *%rax"
GHCB_CODE(snp_on_ud, SNP_TELLS(6, ""));
GHCB_CODE(snp_on_gp, SNP_TELLS(13, "popq 0x205038\n"));
GHCB_CODE(snp_on_vc, SNP_TELLS(29, "popq 0x205038\n"));

static inline struct snp_note *snp_note_of(const struct guest *g)
{
	return (struct snp_note *)(void *)(g->memory + NOTE);
}

static inline void snp_update(struct guest *g, uint32_t at, uint32_t size)
{
	const struct uapi_sev_snp_launch_update update = {.gfn_start = at / PAGE_SIZE_BYTES,
	        .uaddr = (uintptr_t)g->memory + at,
	        .len = size,
	        .type = ABI_PAGE_NORMAL};

	assert_int_equal(command(g, UAPI_SEV_SNP_LAUNCH_UPDATE, &update), 0);
}

/* Puts code and tables into memory. At CPL 3 the guest has a TSS with a stack for its handlers. */
static inline void snp_prepare(struct guest *g, unsigned cpl)
{
	struct kvm_sregs s;

	ghcb_prepare(g);
	put_code(g, GUEST_CODE, snp_does, snp_does_end);
	put_code(g, ON_UD, snp_on_ud, snp_on_ud_end);
	put_code(g, ON_GP, snp_on_gp, snp_on_gp_end);
	put_code(g, ON_VC, snp_on_vc, snp_on_vc_end);
	put_gate(g, 29, ON_VC);
	store_le(g->memory + TSS + 4, 8, 0xf000);
	store_le(g->memory + TABLES + 0x1008, 8, FREE | 7 | C_BIT);
	assert_int_equal(call_of(g->m, g->vcpu, KVM_GET_SREGS, &s), 0);
	s.tr = (struct kvm_segment){.base = TSS, .limit = 0x67, .selector = 0x18, .type = 11, .present = 1};
	s.cs.dpl = s.ss.dpl = (uint8_t)cpl;
	s.cs.selector |= (uint16_t)cpl;
	s.ss.selector = (uint16_t)(0x20 | cpl);
	assert_int_equal(call_of(g->m, g->vcpu, KVM_SET_SREGS, &s), 0);
}

/* Launches the guest: its pages are private and validated, but for the shared ones and those of FREE. */
static inline void snp_launch(struct guest *g)
{
	const struct uapi_sev_snp_launch_start start = {.policy = 0x30000};
	const struct uapi_sev_snp_launch_finish finish = {0};

	assert_int_equal(command(g, UAPI_SEV_SNP_LAUNCH_START, &start), 0);
	assert_int_equal(set_private(g, 0, NOTE, true), 0);
	assert_int_equal(set_private(g, TABLES, GUEST_BYTES - TABLES, true), 0);
	snp_update(g, 0, FREE);
	snp_update(g, TABLES, GUEST_BYTES - TABLES);
	assert_int_equal(command(g, UAPI_SEV_SNP_LAUNCH_FINISH, &finish), 0);
	memset(g->memory, 0, GUEST_BYTES);
}

static inline void snp_start_on(struct guest *g, struct machine *m, const char *product, unsigned cpl)
{
	const struct sim_options options = {.product = product, .seed = 1};

	guest_ready(g, m, &options, UAPI_VM_SNP);
	snp_prepare(g, cpl);
	snp_launch(g);
}

static inline void snp_start(struct guest *g, struct machine *m, unsigned cpl)
{
	snp_start_on(g, m, "Milan", cpl);
}

static inline void snp_asks(struct guest *g, enum snp_do what, uint64_t rax, uint64_t rcx, uint64_t rdx)
{
	*snp_note_of(g) = (struct snp_note){.what = what, .rax = rax, .rcx = rcx, .rdx = rdx};
}

/* The guest does this to its end. Returns RAX; the note tells the rest. */
static inline uint64_t snp_does_it(
        struct guest *g, enum snp_do what, uint64_t rax, uint64_t rcx, uint64_t rdx)
{
	snp_asks(g, what, rax, rcx, rdx);
	runs_to(g, KVM_EXIT_HLT);
	return snp_note_of(g)->rax_after;
}

/* The guest does this, and gets no exception. */
static inline uint64_t snp_can(struct guest *g, enum snp_do what, uint64_t rax, uint64_t rcx, uint64_t rdx)
{
	uint64_t after = snp_does_it(g, what, rax, rcx, rdx);

	if (snp_note_of(g)->vector)
		fail_msg("exception %u, error %x", (unsigned)snp_note_of(g)->vector,
		        (unsigned)snp_note_of(g)->error);
	return after;
}

/* The guest does this, and gets this exception. */
static inline void snp_gets(struct guest *g, enum snp_do what, uint64_t rax, uint8_t vector, uint32_t error)
{
	snp_does_it(g, what, rax, 0, 1);
	assert_int_equal(snp_note_of(g)->vector, vector);
	assert_int_equal(snp_note_of(g)->error, error);
}

static inline void snp_punch(struct guest *g, off_t at, off_t size)
{
	assert_int_equal(
	        host_fallocate(g->m->host, g->gmem, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, size), 0);
}

static inline void snp_ends(struct guest *g)
{
	struct machine *m = g->m;

	guest_close(g);
	machine_close(m);
}

static inline void snp_leaves_fault(struct guest *g, uint64_t gpa, bool private)
{
	struct uapi_memory_fault fault;

	assert_int_equal(guest_run(g), -EFAULT);
	assert_int_equal(g->run->exit_reason, UAPI_EXIT_MEMORY_FAULT);
	memcpy(&fault, &g->run->hw, sizeof(fault));
	assert_int_equal(fault.gpa, gpa);
	assert_int_equal(fault.flags, private ? UAPI_MEMORY_EXIT_PRIVATE : 0);
}

/* PVALIDATE of a page of 4 KiB: did it change anything? */
static inline bool snp_validates(struct guest *g, uint64_t at, bool valid)
{
	assert_int_equal(snp_can(g, DO_PVALIDATE, at, 0, valid), 0);
	return !(snp_note_of(g)->flags & FLAG_CF);
}

static inline void snp_on_alarm(int signal)
{
}

/*
 * The guest tries again for ever, because KVM cannot help. Alarms get the thread back: the last one when the
 * guest has begun to try.
 */
static inline void snp_tries_for_ever(struct guest *g)
{
	const struct itimerval often = {.it_value.tv_usec = 20000, .it_interval.tv_usec = 20000};
	const struct itimerval never = {.it_value.tv_usec = 0};
	struct sigaction action = {.sa_handler = snp_on_alarm};
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

#endif

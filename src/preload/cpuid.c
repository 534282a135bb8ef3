/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpuid: the CPUID instructions of the program itself, which asks what the processor can do before it asks
 * KVM. They become UD2, of the same two bytes, and the handler of SIGILL answers. Those of libraries stay:
 * they choose code by them that this processor has to execute. Any thread, in a handler of signals.
 * Law: APM 3, CPUID, UD2.
 */
#include <fcntl.h>
#include <link.h>
#include <linux/kvm.h>
#include <stdatomic.h>
#include <string.h>
#include <ucontext.h>

#include "preload.h"

#define CPUID_BYTES 2
#define LEAVES_MAX  256
/* From so far in front of it, decoding has found the beginnings of instructions again. */
#define RUN_UP_BYTES 4096
/* So many bytes before and behind it must be instructions that the decoder knows. */
#define AROUND_BYTES 96
#define PLACES_MAX   4096
#define NAME_LEAF    0x80000002
#define LAST_LEAF    0x80000000 /* EAX: the number of the last extended leaf */
#define SEV_LEAF     0x8000001f

static const uint8_t instruction[CPUID_BYTES] = {0x0f, 0xa2}, trap[CPUID_BYTES] = {0x0f, 0x0b};

static struct {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entries[LEAVES_MAX];
} leaves;
static struct kvm_cpuid_entry2 name[3]; /* the processor's, in three leaves */
static uintptr_t places[PLACES_MAX];    /* ascending */
static unsigned count;
static struct sigaction before; /* the program's handler of SIGILL */

/* ---- answers ---- */

static bool is_place(uintptr_t at)
{
	unsigned low = 0, high = count;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (places[middle] == at)
			return true;
		if (places[middle] < at)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static void answer(greg_t *r)
{
	static const struct kvm_cpuid_entry2 none;
	uint32_t leaf = (uint32_t)r[REG_RAX], sub = (uint32_t)r[REG_RCX];
	const struct kvm_cpuid_entry2 *found = &none;

	for (uint32_t i = 0; i < leaves.head.nent; i++) {
		const struct kvm_cpuid_entry2 *e = &leaves.entries[i];

		if (e->function == leaf && (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == sub))
			found = e;
	}
	if (leaf - NAME_LEAF < ARRAY_LEN(name))
		found = &name[leaf - NAME_LEAF];
	r[REG_RAX] = found->eax;
	r[REG_RBX] = found->ebx;
	r[REG_RCX] = found->ecx;
	r[REG_RDX] = found->edx;
	r[REG_RIP] += CPUID_BYTES;
}

/* The program's own handler, with the signals masked that it wants masked. */
static void call_before(int number, siginfo_t *info, void *context)
{
	struct sigaction action = before;
	sigset_t old;

	if (action.sa_flags & (int)SA_RESETHAND)
		before = (struct sigaction){.sa_handler = SIG_DFL};
	pthread_sigmask(SIG_BLOCK, &action.sa_mask, &old);
	if (action.sa_flags & SA_SIGINFO)
		action.sa_sigaction(number, info, context);
	else
		action.sa_handler(number);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* As without a handler. A fault comes again when the instruction is executed again. */
static void end_by(int number)
{
	static const struct sigaction by_default = {.sa_handler = SIG_DFL};

	sigaction(number, &by_default, NULL);
	raise(number);
}

static void on_illegal(int number, siginfo_t *info, void *context)
{
	ucontext_t *c = context;

	if (is_place((uintptr_t)c->uc_mcontext.gregs[REG_RIP])) {
		answer(c->uc_mcontext.gregs);
	} else if (before.sa_flags & SA_SIGINFO ||
	           (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)) {
		call_before(number, info, context);
	} else if (info->si_code > 0 || before.sa_handler == SIG_DFL) { /* a fault, or nobody ignores it */
		end_by(number);
	}
}

bool preload_cpuid_taken(void)
{
	return count != 0;
}

int preload_cpuid_sigaction(const struct sigaction *action, struct sigaction *ret_old)
{
	struct sigaction old = before;

	if (action)
		before = *action;
	if (ret_old)
		*ret_old = old;
	return 0;
}

/* ---- finding them ---- */

/*
 * Does an instruction begin at `at`, seen from some way before it, and is all around it code? Tables that lie
 * among code have such bytes, too, and must not be changed. Soon before or behind these comes what is no
 * instruction.
 */
static bool begins(const uint8_t *code, size_t size, size_t at)
{
	size_t from = at > RUN_UP_BYTES ? (at - RUN_UP_BYTES) / 16 * 16 : 0;
	size_t end = size - at > AROUND_BYTES ? at + AROUND_BYTES : size;
	bool begins = false;

	while (from < end) {
		size_t left = size - from;
		bool known = false;
		unsigned length =
		        sim_instruction_length(code + from, left < 15 ? (unsigned)left : 15, &known);

		begins |= from == at;
		if (!known && from + AROUND_BYTES > at)
			return false;
		from += length ?: 1;
	}
	return begins;
}

/* Code cannot be written where it lies. Through this file the kernel gives the process a copy of the page. */
static bool patch(const uint8_t *code)
{
	auto_close int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);

	return fd >= 0 && pwrite(fd, trap, CPUID_BYTES, (off_t)(uintptr_t)code) == CPUID_BYTES;
}

static void take(uint8_t *code, size_t size)
{
	const uint8_t *at = code;

	while ((at = memmem(at, size - (size_t)(at - code), instruction, CPUID_BYTES))) {
		size_t offset = (size_t)(at - code);

		if (count < PLACES_MAX && begins(code, size, offset) && patch(code + offset))
			places[count++] = (uintptr_t)at;
		at += CPUID_BYTES;
	}
}

/* The first object is the program, also if it was started by the name of its dynamic loader. */
static int take_program(struct dl_phdr_info *info, size_t size, void *unused)
{
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];

		if (segment->p_type == PT_LOAD && segment->p_flags & PF_X)
			take((uint8_t *)(info->dlpi_addr + segment->p_vaddr), segment->p_memsz); // NOLINT
	}
	return 1;
}

/*
 * What of SEV the processor has, KVM tells only in part; programs that look after the host ask for it. ECX
 * and EDX are about ASIDs, which are the platform's.
 */
static void take_hardware(void)
{
	uint32_t r[4];

	for (uint32_t i = 0; i < leaves.head.nent; i++) {
		struct kvm_cpuid_entry2 *e = &leaves.entries[i];

		if ((e->function != SEV_LEAF && e->function != LAST_LEAF) ||
		        !preload_hardware_leaf(e->function, r))
			continue;
		e->eax = r[0];
		e->ebx = r[1];
	}
}

/* Programs look for "EPYC" in it. */
static void make_name(void)
{
	char text[sizeof(name) / sizeof(name[0]) * 16] = "";

	snprintf(text, sizeof(text), "AMD EPYC, simulated (%s)", preload_options()->product ?: "without SEV");
	for (size_t i = 0; i < ARRAY_LEN(name); i++)
		memcpy(&name[i].eax, text + 16 * i, 16);
}

void preload_cpuid_start(void)
{
	struct sigaction action = {
	        .sa_sigaction = on_illegal, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
	sigset_t ours;

	dl_iterate_phdr(take_program, NULL);
	leaves.head.nent = LEAVES_MAX;
	if (!count || preload_ask_cpuid(&leaves.head) < 0)
		return;
	take_hardware();
	make_name();
	sigaction(SIGILL, &action, &before);
	sigemptyset(&ours);
	sigaddset(&ours, SIGILL);
	pthread_sigmask(SIG_UNBLOCK, &ours, NULL);
}

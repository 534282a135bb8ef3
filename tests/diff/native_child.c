/* SPDX-License-Identifier: Apache-2.0 */
/*
 * native_child: the process that runs cases on the host's processor. Each case ends with a signal (INT3's or
 * a fault's); the handler takes the state out of the signal frame and puts the next case's in. Built without
 * sanitizers, whose mappings would lie where a case expects nothing. Started by native.c with three
 * descriptors.
 */
#include <asm/prctl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "native.h"

static struct diff_shared *shared;
static ucontext_t home;
static uint8_t *code; /* the pages at DIFF_CODE, where they can be written */

static const int gregs[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI, REG_R8,
        REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

#define XSTATE_MAGIC 0x46505853u /* FP_XSTATE_MAGIC1 of <asm/sigcontext.h>, in sw_reserved */

#define CS64 0x33u
#define CS32 0x23u

/* Has the kernel's frame the upper halves? Its words behind the image say which components there are. */
static bool has_ymm(const ucontext_t *uc)
{
	const uint32_t *words = (const uint32_t *)uc->uc_mcontext.fpregs;

	return words[116] == XSTATE_MAGIC && words[118] & 4;
}

static void save(struct diff_result *result, const ucontext_t *uc, const siginfo_t *info)
{
	for (unsigned i = 0; i < 16; i++)
		result->end.gpr[i] = (uint64_t)uc->uc_mcontext.gregs[gregs[i]];
	result->end.rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
	result->end.rflags = (uint64_t)uc->uc_mcontext.gregs[REG_EFL];
	memcpy(result->end.fxsave, uc->uc_mcontext.fpregs, 512);
	if (has_ymm(uc))
		memcpy(result->end.ymm, (uint8_t *)uc->uc_mcontext.fpregs + 576, 256);
	result->vector = (uint32_t)uc->uc_mcontext.gregs[REG_TRAPNO];
	result->error = (uint32_t)uc->uc_mcontext.gregs[REG_ERR];
	result->cr2 = result->vector == 14 ? (uint64_t)uc->uc_mcontext.gregs[REG_CR2] : 0;
}

static void load(const struct diff_case *c, ucontext_t *uc)
{
	static uint64_t last = DIFF_CODE;
	uint64_t segs = (uint64_t)uc->uc_mcontext.gregs[REG_CSGSFS];

	for (unsigned i = 0; i < 16; i++)
		uc->uc_mcontext.gregs[gregs[i]] = (greg_t)c->start.gpr[i];
	uc->uc_mcontext.gregs[REG_RIP] = (greg_t)c->start.rip;
	uc->uc_mcontext.gregs[REG_EFL] = (greg_t)c->start.rflags;
	uc->uc_mcontext.gregs[REG_CSGSFS] = (greg_t)((segs & ~(uint64_t)0xffff) | (c->mode32 ? CS32 : CS64));
	/* The kernel's own words at the image's end hold its size, so they stay. */
	memcpy(uc->uc_mcontext.fpregs, c->start.fxsave, 416);
	/* XSTATE_BV, where there is one: x87 and SSE are to be loaded from the image. */
	if (((uint32_t *)uc->uc_mcontext.fpregs)[116] == XSTATE_MAGIC)
		((uint8_t *)uc->uc_mcontext.fpregs)[512] |= 3;
	if (has_ymm(uc)) {
		((uint8_t *)uc->uc_mcontext.fpregs)[512] |= 4;
		memcpy((uint8_t *)uc->uc_mcontext.fpregs + 576, c->start.ymm, 256);
	}
	memset(code + (last - DIFF_CODE), 0xcc, sizeof(c->code));
	last = c->start.rip;
	for (const struct diff_poke *p = c->pokes; p < c->pokes + 2; p++)
		memcpy((void *)(uintptr_t)(DIFF_DATA + p->at), p->bytes, p->size);
	memcpy(code + (c->start.rip - DIFF_CODE), c->code, c->code_size);
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	/* The case's AC flag would hold for us, too; NT and ID would stay for the next case. */
	__builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() & ~0x244000ull);
	if (shared->next)
		save(&shared->results[shared->next - 1], uc, info);
	if (shared->next == shared->count) {
		setcontext(&home);
		_exit(3);
	}
	load(&shared->cases[shared->next++], uc);
}

static bool map_code(void)
{
	int fd = memfd_create("code", MFD_CLOEXEC);
	void *at = (void *)(uintptr_t)DIFF_CODE;

	if (fd < 0 || ftruncate(fd, DIFF_CODE_BYTES))
		return false;
	code = mmap(NULL, DIFF_CODE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (code == MAP_FAILED || mmap(at, DIFF_CODE_BYTES, PROT_READ | PROT_EXEC,
	                                  MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0) != at)
		return false;
	memset(code, 0xcc, DIFF_CODE_BYTES);
	close(fd);
	return true;
}

static bool map_data(void)
{
	void *at = (void *)(uintptr_t)DIFF_DATA;

	return mmap(at, DIFF_DATA_BYTES, PROT_READ | PROT_WRITE,
	               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == at;
}

static void child_loop(int in, int out)
{
	static const int signals[] = {SIGTRAP, SIGSEGV, SIGILL, SIGFPE, SIGBUS};
	struct sigaction action = {
	        .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
	stack_t stack = {.ss_size = 1 << 18};
	volatile bool ran;
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL) || !map_code() || !map_data())
		_exit(2);
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
	if (syscall(SYS_arch_prctl, ARCH_SET_GS, (unsigned long)DIFF_GS))
		_exit(2);
	/* 64-bit mode does not care; 32-bit cases need data segments. */
	__asm__ volatile("mov %0, %%ds; mov %0, %%es" : : "r"(0x2b));
	while (read(in, &byte, 1) == 1) {
		memcpy((void *)(uintptr_t)DIFF_DATA, shared->data, DIFF_DATA_BYTES);
		shared->next = 0;
		ran = false;
		getcontext(&home);
		if (!ran) {
			ran = true;
			raise(SIGTRAP);
		}
		memcpy(shared->data, (const void *)(uintptr_t)DIFF_DATA, DIFF_DATA_BYTES);
		if (write(out, &byte, 1) != 1)
			break;
	}
	_exit(0);
}

int main(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, DIFF_FD_SHARED, 0);
	if (shared == MAP_FAILED)
		return 2;
	child_loop(DIFF_FD_IN, DIFF_FD_OUT);
	return 0;
}

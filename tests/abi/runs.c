/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runs: KVM_RUN itself: what it finishes and reports when it must return at once, signals and their mask,
 * registers in struct kvm_run, hypercalls.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "abi.h"

static int handled; /* signals */

static void on_signal(int signal)
{
	handled++;
}

static void tell_place(struct guest *g, const char *when)
{
	struct kvm_regs r = {0};

	if (ask(g->abi, g->vcpu[0], KVM_GET_REGS, &r) < 0)
		give_up("KVM_GET_REGS");
	tell("%s: rip %llx rax %llx", when, (unsigned long long)r.rip, (unsigned long long)r.rax);
}

/* ---- at once ---- */

/* With immediate_exit, KVM_RUN finishes the access that the VMM answered, and then does nothing more. */
static void at_once(struct abi *abi)
{
	struct guest g;

	tell("-- immediate_exit");
	guest_open(&g, abi, 32, 1, 0);
	in_dx(&g.code, 1);
	load_eax(&g.code, 0x30000, 4);
	store_eax(&g.code, 0x30000, 4);
	hlt(&g.code);
	for (int i = 0; i < 4; i++) {
		g.run[0]->immediate_exit = 0;
		guest_run_once(&g, 0);
		g.run[0]->immediate_exit = 1;
		guest_run_once(&g, 0);
		tell("reason %s", host_exit_name(g.run[0]->exit_reason));
		tell_place(&g, "finished");
	}
	guest_close(&g);
}

/* An access that spans pages comes in parts, also when it is to end at once. */
static void at_once_in_parts(struct abi *abi)
{
	struct guest g;

	tell("-- immediate_exit between the parts of an access");
	guest_open(&g, abi, 32, 1, 0);
	load_eax(&g.code, 0x30ffe, 4);
	hlt(&g.code);
	g.run[0]->immediate_exit = 1;
	guest_run_once(&g, 0);
	g.run[0]->immediate_exit = 0;
	guest_run_once(&g, 0);
	g.run[0]->immediate_exit = 1;
	guest_run_once(&g, 0);
	tell_place(&g, "between");
	guest_run_once(&g, 0);
	tell_place(&g, "finished");
	guest_close(&g);
}

/* ---- signals ---- */

static int set_mask(struct guest *g, uint32_t len, uint64_t mask)
{
	struct {
		struct kvm_signal_mask head;
		uint8_t bits[8];
	} arg = {.head.len = len};

	memcpy((uint8_t *)&arg + offsetof(struct kvm_signal_mask, sigset), &mask, sizeof(mask));
	return ask(g->abi, g->vcpu[0], KVM_SET_SIGNAL_MASK, &arg);
}

/* A signal that waits: the thread's mask hides it, and a mask of KVM_RUN's own lets it end KVM_RUN. */
static void with_mask(struct abi *abi)
{
	sigset_t usr1, old;
	struct guest g;

	tell("-- a signal that is blocked but for KVM_RUN");
	signal(SIGUSR1, on_signal);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &usr1, &old);
	guest_open(&g, abi, 32, 1, 0);
	for (int i = 0; i < 3; i++)
		out8(&g.code, (uint8_t)(0x90 + i), 0);
	hlt(&g.code);
	handled = 0;
	pthread_kill(pthread_self(), SIGUSR1);
	guest_run_once(&g, 0);
	say(handled, "handled");
	say(set_mask(&g, 4, 0), "a mask of 4 bytes");
	say(set_mask(&g, 8, 0), "a mask that lets it in");
	guest_run_once(&g, 0);
	say(handled, "handled");
	tell("reason %s", host_exit_name(g.run[0]->exit_reason));
	tell_place(&g, "interrupted");
	guest_run_once(&g, 0);
	say(ask(abi, g.vcpu[0], KVM_SET_SIGNAL_MASK, (const void *)16), "a mask from nowhere");
	say(ask(abi, g.vcpu[0], KVM_SET_SIGNAL_MASK, NULL), "no mask");
	pthread_kill(pthread_self(), SIGUSR1);
	guest_run_once(&g, 0);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	say(handled, "handled after that");
	guest_close(&g);
}

/* A signal and an answer both wait: the answer goes first. */
static void signal_and_answer(struct abi *abi)
{
	sigset_t usr1, old;
	struct guest g;

	tell("-- a signal after a port was read");
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	guest_open(&g, abi, 32, 1, 0);
	in_dx(&g.code, 1);
	hlt(&g.code);
	guest_run_once(&g, 0);
	pthread_sigmask(SIG_BLOCK, &usr1, &old);
	say(set_mask(&g, 8, 0), "mask");
	pthread_kill(pthread_self(), SIGUSR1);
	guest_run_once(&g, 0);
	tell_place(&g, "interrupted");
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	guest_run_once(&g, 0);
	guest_close(&g);
}

/* ---- registers in struct kvm_run ---- */

static void synced(struct abi *abi)
{
	struct kvm_sync_regs *regs;
	struct guest g;

	tell("-- registers in kvm_run");
	guest_open(&g, abi, 32, 1, 0);
	set_eax(&g.code, 0x77);
	out8(&g.code, 0x90, 0x66);
	tell_eax(&g.code, 0x80);
	hlt(&g.code);
	regs = &g.run[0]->s.regs;
	g.run[0]->kvm_valid_regs = KVM_SYNC_X86_VALID_FIELDS;
	guest_run_once(&g, 0);
	tell("rip %llx rax %llx cr0 %llx flags %x", (unsigned long long)regs->regs.rip,
	        (unsigned long long)regs->regs.rax, (unsigned long long)regs->sregs.cr0, regs->events.flags);
	regs->regs.rax = 0xabcd;
	g.run[0]->kvm_dirty_regs = KVM_SYNC_X86_REGS;
	guest_run_once(&g, 0);
	tell("dirty %llx", (unsigned long long)g.run[0]->kvm_dirty_regs);
	regs->sregs.cr4 = UINT64_C(1) << 40;
	g.run[0]->kvm_dirty_regs = KVM_SYNC_X86_SREGS;
	guest_run_once(&g, 0);
	g.run[0]->kvm_dirty_regs = UINT64_C(1) << 40;
	guest_run_once(&g, 0);
	g.run[0]->kvm_dirty_regs = 0;
	guest_run_once(&g, 0);
	guest_close(&g);
}

/* ---- hypercalls ---- */

static void write_hypercall(struct code *c, uint32_t nr, uint32_t rbx, uint32_t rcx)
{
	emit_operand_prefix(c, 4);
	emit_bytes(c, 0xbb); /* mov ebx, ... */
	emit_number(c, rbx, 4);
	set_ecx(c, rcx);
	set_edx(c, 0x10);
	set_eax(c, nr);
	emit_bytes(c, 0x0f, 0x01, 0xd9);
	tell_eax(c, 0x80);
}

static void hypercalls(struct abi *abi, int bits, bool exits)
{
	const struct kvm_enable_cap cap = {.cap = KVM_CAP_EXIT_HYPERCALL, .args[0] = 1 << 12};
	struct kvm_run *run;
	struct guest g;
	int reason;

	tell("-- hypercalls, %d bits, %s", bits, exits ? "with exits" : "without exits");
	guest_open(&g, abi, bits, 1, 0);
	run = g.run[0];
	if (exits && ask(abi, g.vm, KVM_ENABLE_CAP, &cap) < 0)
		give_up("KVM_CAP_EXIT_HYPERCALL");
	write_hypercall(&g.code, 77, 0, 0);
	write_hypercall(&g.code, 12, 0x8000, 2);
	write_hypercall(&g.code, 12, 0x8001, 2);
	write_hypercall(&g.code, 12, 0x8000, 0);
	write_hypercall(&g.code, 12, 0x9000, 1);
	done(&g.code);
	while ((reason = guest_run(&g)) == KVM_EXIT_HYPERCALL) {
		tell("nr %llu args %llx %llx %llx ret %llx long %u", (unsigned long long)run->hypercall.nr,
		        (unsigned long long)run->hypercall.args[0],
		        (unsigned long long)run->hypercall.args[1],
		        (unsigned long long)run->hypercall.args[2], (unsigned long long)run->hypercall.ret,
		        run->hypercall.longmode & 1);
		tell_place(&g, "at it");
		run->hypercall.ret = run->hypercall.args[0] == 0x9000 ? (uint64_t)-EINVAL : 0;
	}
	guest_close(&g);
}

static void translate(struct abi *abi)
{
	static const uint64_t addresses[] = {0x1234, 0x40000000, 0xfee00123};
	struct guest g;

	tell("-- translation");
	guest_open(&g, abi, 64, 1, 0);
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
		struct kvm_translation t = {.linear_address = addresses[i]};

		say(ask(abi, g.vcpu[0], KVM_TRANSLATE, &t), "of %llx", (unsigned long long)addresses[i]);
		tell("%llx valid %u writeable %u usermode %u", (unsigned long long)t.physical_address,
		        t.valid, t.writeable, t.usermode);
	}
	guest_close(&g);
}

static void run_runs(struct abi *abi)
{
	at_once(abi);
	at_once_in_parts(abi);
	with_mask(abi);
	signal_and_answer(abi);
	synced(abi);
	hypercalls(abi, 32, false);
	hypercalls(abi, 32, true);
	hypercalls(abi, 64, true);
	translate(abi);
}

const struct chapter chapter_runs = {"runs", run_runs};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_ghcb: random contents of the GHCB of a guest that executes VMGEXIT, and random answers of its VMM.
 * Input: the version of the protocol, then up to 24 requests: a kind, the event, its fields and valid bits,
 * bytes of the shared buffer, the VMM's bytes. Missing bytes are zero.
 */
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "../unit/sim/ghcb_guest.h"
#include "input.h"

#define REQUESTS_MAX 24u
#define EXITS_MAX    40u
#define RUN_NS       5000000 /* a guest has five milliseconds of the host's time between two exits */
#define KICK         SIGUSR1

static struct {
	struct machine machine;
	struct guest guest;
	int version; /* -1: there is no guest */
	timer_t timer;
} f = {.version = -1};

static uint64_t take64(void)
{
	uint8_t bytes[8];

	take(bytes, sizeof(bytes));
	return load_le(bytes, sizeof(bytes));
}

static const uint64_t codes[] = {ABI_GHCB_READ_DR7, ABI_GHCB_WRITE_DR7, ABI_GHCB_RDTSC, ABI_GHCB_RDPMC,
        ABI_GHCB_CPUID, ABI_GHCB_INVD, ABI_GHCB_IOIO, ABI_GHCB_MSR, ABI_GHCB_VMMCALL, ABI_GHCB_RDTSCP,
        ABI_GHCB_WBINVD, ABI_GHCB_MONITOR, ABI_GHCB_MWAIT, ABI_GHCB_MMIO_READ, ABI_GHCB_MMIO_WRITE,
        ABI_GHCB_NMI_COMPLETE, ABI_GHCB_AP_RESET_HOLD, ABI_GHCB_AP_JUMP_TABLE, ABI_GHCB_PSC,
        ABI_GHCB_GUEST_REQUEST, ABI_GHCB_EXT_GUEST_REQUEST, ABI_GHCB_AP_CREATION, ABI_GHCB_HV_FEATURES,
        ABI_GHCB_TERMINATE, ABI_GHCB_UNSUPPORTED};

/* ---- the guest: one for all inputs, until one of them harms it ---- */

static void drop_guest(void)
{
	if (f.version >= 0)
		guest_close(&f.guest);
	f.version = -1;
}

static void on_kick(int signal)
{
}

static void prepare(void)
{
	static const struct sim_options milan = {.product = "Milan", .seed = 1};
	/* Sends the signal to this thread: of those of the process, libFuzzer's other thread takes most. */
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = KICK};
	struct sigaction action = {.sa_handler = on_kick};

	event._sigev_un._tid = gettid();
	machine_open(&f.machine, &milan);
	fuzz_assert(sigaction(KICK, &action, NULL) == 0);
	fuzz_assert(timer_create(CLOCK_MONOTONIC, &event, &f.timer) == 0);
}

/* With version 1 a guest may destroy its own code and then run for ever; the timer gets the thread back. */
static int run_for_a_while(struct guest *g)
{
	const struct itimerspec on = {{0, RUN_NS}, {0, RUN_NS}}, off = {{0, 0}, {0, 0}};
	int result;

	timer_settime(f.timer, 0, &on, NULL);
	result = guest_run(g);
	timer_settime(f.timer, 0, &off, NULL);
	return result;
}

static void want_guest(int version)
{
	if (f.version == version)
		return;
	if (!f.machine.host)
		prepare();
	drop_guest();
	ghcb_make(&f.guest, &f.machine, (uint16_t)version);
	guest_add_vcpu(&f.guest);
	ghcb_launch(&f.guest);
	f.version = version;
}

/* ---- a request ---- */

static void fill_page(struct guest *g)
{
	struct abi_ghcb *page = ghcb_of(g);
	uint8_t kind = take8(), which = take8();

	memset(page, 0, sizeof(*page));
	page->sw_exit_code = which < 0xf0 ? codes[which % ARRAY_LEN(codes)] : take64();
	page->sw_exit_info_1 = take64();
	page->sw_exit_info_2 = kind & 1 ? take64() : take8();
	page->sw_scratch = kind & 2 ? take64() : GHCB + ABI_GHCB_SHARED_AT + take8();
	page->rax = take64();
	page->rbx = take64();
	page->rcx = take64();
	page->rdx = take64();
	page->rsi = take64();
	page->xcr0 = take64();
	page->xss = take64();
	page->cpl = kind & 4 ? take8() : 0;
	page->usage = kind & 8 ? take8() : 0;
	memset(page->valid_bitmap, 0xff, sizeof(page->valid_bitmap));
	if (kind & 16)
		take(page->valid_bitmap, sizeof(page->valid_bitmap));
	take(page->shared_buffer, 64);
}

/* The VMM's answer: bytes for ports and registers, and a result. */
static void answer_exit(struct guest *g)
{
	struct kvm_run *run = g->run;

	if (run->exit_reason == KVM_EXIT_IO) {
		fuzz_assert(run->io.size && (uint64_t)run->io.size * run->io.count <= PAGE_SIZE_BYTES);
		take((uint8_t *)run + run->io.data_offset, (size_t)run->io.size * run->io.count);
	} else if (run->exit_reason == KVM_EXIT_MMIO) {
		fuzz_assert(run->mmio.len >= 1 && run->mmio.len <= 8);
		take(run->mmio.data, 8);
	} else if (run->exit_reason == KVM_EXIT_X86_RDMSR || run->exit_reason == KVM_EXIT_X86_WRMSR) {
		run->msr.error = take8();
		run->msr.data = take64();
	} else if (run->exit_reason == KVM_EXIT_HYPERCALL) {
		run->hypercall.ret = take64();
	} else {
		fuzz_assert(run->exit_reason == KVM_EXIT_SYSTEM_EVENT ||
		            run->exit_reason == KVM_EXIT_AP_RESET_HOLD ||
		            run->exit_reason == KVM_EXIT_INTERNAL_ERROR);
	}
	run->immediate_exit = take8() == 0x55;
}

/* Returns false if the guest may be harmed: with version 1 KVM writes to any memory of the guest. */
static bool run_request(struct guest *g)
{
	const struct abi_ghcb before = *ghcb_of(g);

	for (unsigned i = 0; i < EXITS_MAX; i++) {
		int result = run_for_a_while(g);

		fuzz_assert(result == 0 || result == -EINVAL || result == -EFAULT || result == -EINTR);
		if (result == 0 && g->run->exit_reason == KVM_EXIT_SHUTDOWN)
			return false;
		if (result == 0 && g->run->exit_reason == KVM_EXIT_HLT) {
			if (f.version != 2)
				return false;
			fuzz_assert(note_of(g)->rbx_after == GUEST_RBX);
			assert_only_answered(g, &before);
			return true;
		}
		if (result == 0)
			answer_exit(g);
		else
			g->run->immediate_exit = 0;
	}
	return false; /* a string that is not over yet */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int versions[] = {2, 2, 1, 0};
	bool good = true;

	input.data = data;
	input.size = size;
	want_guest(versions[take8() % ARRAY_LEN(versions)]);
	for (unsigned i = 0; i < REQUESTS_MAX && input.size && good; i++) {
		note_of(&f.guest)->msr = GHCB;
		fill_page(&f.guest);
		good = run_request(&f.guest);
	}
	if (!good)
		drop_guest();
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* How a guest ends or starts again, and what a controller hears of it. */
#include <linux/kvm.h>
#include <signal.h>

#include "life.h"
#include "support/flat.h"
#include "vmm/uapi.h"

static struct flat flat;

static void write_spin(void)
{
	flat_spin(&flat);
}

static void write_power_off(void)
{
	flat_power_off(&flat);
}

static void write_panic(void)
{
	flat_out8(&flat, 0x505, 1);
	flat_spin(&flat);
}

static void write_triple_fault(void)
{
	flat_triple_fault(&flat);
}

/* Counts its starts in a CMOS cell, and resets itself once. */
static void write_reset(void)
{
	flat_out8(&flat, 0x70, 0x40);
	FLAT(&flat, 0xe4, 0x71, 0xfe, 0xc0, 0xe6, 0x71); /* in al, 0x71; inc al; out 0x71, al */
	FLAT(&flat, 0x3c, 0x02, 0x73, 0x07);             /* cmp al, 2; jae + 7 */
	flat_out8(&flat, 0xcf9, 6);
	FLAT(&flat, 0xf4);
	flat_power_off(&flat);
}

static void ask_to_end(struct life *l)
{
	if (!l->step++)
		kill(getpid(), SIGTERM);
}

static void press_and_quit(struct life *l)
{
	assert_ok(run_powerdown(l->run, &err));
	run_quit(l->run);
	assert_int_equal(run_stop(l->run, &err), -1);
	assert_int_equal(run_cont(l->run, &err), -1);
	assert_int_equal(run_reset(l->run, &err), -1);
	assert_int_equal(run_powerdown(l->run, &err), -1);
	run_quit(l->run);
}

static const struct ending {
	const char *what;
	void (*write)(void);
	const char *set;
	void (*controller)(struct life *l);
	/* What follows. */
	const char *log, *cause, *status;
	enum err_kind kind; /* 0: run_guest() succeeds */
	int panic;          /* -1: the guest did not crash */
} endings[] = {
        {"power-off", write_power_off, NULL, NULL, "RQ", "guest-shutdown", "shutdown", 0, -1},
        {"panic", write_panic, NULL, NULL, "RCQ", "guest-panic", "guest-panicked", ERR_GUEST,
                RUN_PANIC_PVPANIC},
        {"triple fault", write_triple_fault, NULL, NULL, "RCQ", "guest-panic", "guest-panicked", ERR_GUEST,
                RUN_PANIC_TRIPLE_FAULT},
        {"reset", write_reset, NULL, NULL, "RTQ", "guest-shutdown", "shutdown", 0, -1},
        {"reset that ends", write_reset, "run.on-reboot=exit", NULL, "RQ", "guest-reset", "shutdown",
                ERR_REBOOT, -1},
        {"signal", write_spin, "run.grace=0", ask_to_end, "RQ", "host-signal", "shutdown", 0, -1},
        {"signal and button", write_spin, "run.grace=1", ask_to_end, "RPQ", "host-signal", "shutdown",
                ERR_FAILED, -1},
        {"signal to one that waits", write_spin, "run.paused=true", ask_to_end, "Q", "host-signal",
                "shutdown", ERR_FAILED, -1},
        {"quit", write_spin, NULL, press_and_quit, "RPQ", "host-qmp-quit", "shutdown", 0, -1},
};

static void test_ends_are_told_apart(void **state)
{
	for (const struct ending *e = endings; e < endings + ARRAY_LEN(endings); e++) {
		const char *sets[] = {"machine.memory=2M", e->set, NULL};
		int result;

		flat_init(&flat);
		e->write();
		life.image = flat.image;
		life.on_settled = e->controller;
		life.panic = -1;
		result = life_run(&life, "none", sets);
		if (result != (e->kind ? -1 : 0) || (result < 0 && life.err.kind != e->kind) ||
		        strcmp(life.log, e->log) || strcmp(run_cause_name(life.cause), e->cause) ||
		        strcmp(life.last_status, e->status) || life.panic != e->panic)
			fail_msg("%s: result %d %s, log %s, cause %s, status %s, panic %d", e->what, result,
			        result < 0 ? life.err.text : "", life.log, run_cause_name(life.cause),
			        life.last_status, life.panic);
	}
}

/* ---- a guest that asks to be ended ---- */

/* A host whose first vCPU asks for termination by GHCB's MSR protocol, as soon as it runs. */
struct terminator {
	struct host host;
	int vcpu_fd;
	struct kvm_run *run;
};

static int terminator_open(struct host *h, const char *path, int flags)
{
	return host_open(h->inner, path, flags);
}

static int terminator_close(struct host *h, int fd)
{
	return host_close(h->inner, fd);
}

static int terminator_ioctl(struct host *h, int fd, unsigned long request, void *arg)
{
	struct terminator *t = (struct terminator *)h;
	int result;

	if (request == KVM_RUN && fd == t->vcpu_fd) {
		t->run->exit_reason = KVM_EXIT_SYSTEM_EVENT;
		t->run->system_event.type = UAPI_SYSTEM_EVENT_SEV_TERM;
		t->run->system_event.ndata = 1;
		t->run->system_event.data[0] = 0x100 | 1 << 12 | 2 << 16; /* GHCB 2.3.1: set 1, code 2 */
		return 0;
	}
	result = host_ioctl(h->inner, fd, request, arg);
	if (request == KVM_CREATE_VCPU && !arg)
		t->vcpu_fd = result;
	return result;
}

static void *terminator_mmap(
        struct host *h, void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	struct terminator *t = (struct terminator *)h;
	void *at = host_mmap(h->inner, addr, length, prot, flags, fd, offset);

	if (fd >= 0 && fd == t->vcpu_fd)
		t->run = at;
	return at;
}

static int terminator_munmap(struct host *h, void *addr, size_t length)
{
	return host_munmap(h->inner, addr, length);
}

static int terminator_fallocate(struct host *h, int fd, int mode, off_t offset, off_t length)
{
	return host_fallocate(h->inner, fd, mode, offset, length);
}

static const struct host_ops terminator_ops = {
        .name = "terminator",
        .open = terminator_open,
        .close = terminator_close,
        .ioctl = terminator_ioctl,
        .mmap = terminator_mmap,
        .munmap = terminator_munmap,
        .fallocate = terminator_fallocate,
};

static void assert_terminated(const char *type, unsigned set, unsigned code, const char *words)
{
	life.panic = -1;
	assert_int_equal(life_run(&life, type, NULL), -1);
	assert_int_equal(life.err.kind, ERR_GUEST);
	if (!strstr(life.err.text, words))
		fail_msg("\"%s\" lacks \"%s\"", life.err.text, words);
	assert_string_equal(life.log, "RCQ");
	assert_int_equal(life.panic, RUN_PANIC_SEV);
	assert_int_equal(life.sev_set, set);
	assert_int_equal(life.sev_code, code);
	assert_int_equal(life.cause, RUN_CAUSE_GUEST_PANIC);
	assert_string_equal(life.last_status, "guest-panicked");
}

static void test_ends_of_a_snp_guest_by_a_termination_request(void **state)
{
	struct host *sim = life.host;
	struct terminator terminator = {.host = {.ops = &terminator_ops, .inner = sim}, .vcpu_fd = -1};

	life.host = &terminator.host;
	assert_terminated("sev-snp", 1, 2, "PVALIDATE failed");
	life.host = sim;
}

/* WRMSR of the GHCB's MSR, VMGEXIT. */
static void write_termination(unsigned set, unsigned code)
{
	const uint32_t msr = 0x100 | set << 12 | code << 16;

	flat_init(&flat);
	FLAT(&flat, 0x66, 0xb9, 0x30, 0x01, 0x01, 0xc0); /* mov ecx, 0xc0010130 */
	FLAT(&flat, 0x66, 0xb8, msr & 0xff, msr >> 8 & 0xff, msr >> 16 & 0xff, msr >> 24); /* mov eax */
	FLAT(&flat, 0x66, 0x31, 0xd2, 0x0f, 0x30); /* xor edx, edx; wrmsr */
	FLAT(&flat, 0xf3, 0x0f, 0x01, 0xd9);
	flat_spin(&flat);
}

/* Puts the code into an image that says where processors start. */
static void assert_terminates_itself(unsigned set, unsigned code, const char *words)
{
	static struct bench bench;

	bench_image(&bench, false, false);
	write_termination(set, code);
	memcpy(bench.image.bytes + FLAT_START, flat.image + FLAT_START, flat.at - FLAT_START);
	memcpy(bench.image.bytes + FLAT_BYTES - 16, flat.image + FLAT_BYTES - 16, 16);
	life.image = bench.image.bytes;
	assert_terminated("sev-es", set, code, words);
}

static void test_ends_of_a_sev_es_guest_that_asks_for_it(void **state)
{
	assert_terminates_itself(0, 0, "general (reason set 0, code 0)");
	assert_terminates_itself(1, 12, "secure AVIC failed (reason set 1, code 12)");
	assert_terminates_itself(7, 255, "a reason that vmm does not know (reason set 7, code 255)");
}

static void test_ends_causes_have_names_and_sides(void **state)
{
	for (enum run_cause cause = RUN_CAUSE_HOST_ERROR; cause < RUN_CAUSES; cause++)
		assert_int_equal(run_cause_is_guest(cause), strncmp(run_cause_name(cause), "guest-", 6) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        T(test_ends_are_told_apart),
	        T(test_ends_of_a_snp_guest_by_a_termination_request),
	        T(test_ends_of_a_sev_es_guest_that_asks_for_it),
	        T(test_ends_causes_have_names_and_sides),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

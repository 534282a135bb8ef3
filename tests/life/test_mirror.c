/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mirror of a SEV guest: its helper, a part of the guest's measured image, reads and writes private memory
 * and tells what it read in a shared page, while the guest's own vCPU runs. The host sees ciphertext.
 */
#include <semaphore.h>
#include <time.h>

#include "life.h"
#include "support/flat.h"
#include "vmm/call.h"
#include "vmm/mirror/runner.h"

/* In the image, which lies below 4 GiB. */
#define IMAGE_GPA  0xffff0000u
#define TABLES     0x1000
#define HELPER     0x4000
#define STRANGER   0x4800 /* a helper that uses memory which is not in its view */
#define MARKER     0x5000
#define SHARED_GPA 0x100000u
#define PRIVATE    0x200000u
#define MISSING    0x300000u
#define SHARED     (UINT64_C(1) << 39) /* from here on the first GiB is mapped without the C-bit */
#define C_BIT      (UINT64_C(1) << 51)

static const uint64_t first_marker = 0x1122334455667788, second_marker = 0x99aabbccddeeff01;

static struct flat flat;
static size_t at; /* where code is written */

static void put(size_t offset, uint64_t value)
{
	store_le(flat.image + offset, 8, value);
}

#define CODE(...) put_code((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void put_code(const uint8_t *code, size_t size)
{
	memcpy(flat.image + at, code, size);
	at += size;
}

static void put_address(uint64_t address)
{
	put(at, address);
	at += 8;
}

/* mov rax, [address], or the other way around */
static void load(uint64_t address)
{
	CODE(0x48, 0xa1);
	put_address(address);
}

static void store(uint64_t address)
{
	CODE(0x48, 0xa3);
	put_address(address);
}

static void write_tables(void)
{
	put(TABLES, (IMAGE_GPA + TABLES + 0x1000) | C_BIT | 3);
	put(TABLES + 8, (IMAGE_GPA + TABLES + 0x2000) | C_BIT | 3);
	for (uint64_t gib = 0; gib < 4; gib++)
		put(TABLES + 0x1000 + gib * 8, GIB(gib) | C_BIT | 0x83);
	put(TABLES + 0x2000, 0x83);
}

static void write_image(void)
{
	flat_init(&flat);
	flat_spin(&flat);
	write_tables();
	put(MARKER, first_marker);
	at = HELPER;
	CODE(0x48, 0x8b, 0x07); /* mov rax, [rdi] */
	store(SHARED + SHARED_GPA);
	CODE(0xf4);       /* hlt */
	CODE(0x48, 0xb8); /* mov rax, second_marker */
	put_address(second_marker);
	store(PRIVATE);
	CODE(0x31, 0xc0); /* xor eax, eax */
	load(PRIVATE);
	store(SHARED + SHARED_GPA + 8);
	CODE(0xf4, 0xeb, 0xfe); /* hlt; jmp $ */
	at = STRANGER;
	load(MISSING);
	CODE(0xf4);
}

static struct mirror_guest guest_of(struct life *l, int kvm_fd)
{
	struct machine_vm *vm = run_vm(l->run);

	return (struct mirror_guest){
	        .host = l->host,
	        .kvm_fd = kvm_fd,
	        .vm_fd = machine_vm_fd(vm),
	        .vm_type = UAPI_VM_SEV,
	        .sev = CONFIG_SEV,
	        .memory = machine_vm_memory(vm),
	        .cpuid = (const struct kvm_cpuid2 *)machine_vm_cpuid(vm),
	};
}

static const struct mirror_view views[] = {
        {{SHARED_GPA}, PAGE_SIZE_BYTES},
        {{PRIVATE}, PAGE_SIZE_BYTES},
        {{IMAGE_GPA}, IMAGE_BYTES},
};

static struct mirror_entry entry_at(uint64_t offset)
{
	return (struct mirror_entry){
	        .cr3 = (IMAGE_GPA + TABLES) | C_BIT, .rip = IMAGE_GPA + offset, .rdi = IMAGE_GPA + MARKER};
}

static uint64_t host_sees(const struct mirror_guest *guest, uint64_t address)
{
	uint8_t bytes[8];

	assert_int_equal(page_read(guest->memory, gpa(address), bytes, sizeof(bytes)), 0);
	return load_le(bytes, 8);
}

static void *kick_soon(void *mirror)
{
	static const struct timespec moment = {.tv_nsec = 20000000};

	nanosleep(&moment, NULL);
	mirror_kick(mirror);
	return NULL;
}

/* The helper spins. It is kicked while it does, and once before it goes on. */
static void assert_kicks(struct mirror *mirror)
{
	enum mirror_exit exit;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, kick_soon, mirror), 0);
	assert_ok(mirror_run(mirror, &exit, &err));
	assert_int_equal(exit, MIRROR_KICKED);
	pthread_join(thread, NULL);
	mirror_kick(mirror);
	assert_ok(mirror_run(mirror, &exit, &err));
	assert_int_equal(exit, MIRROR_KICKED);
}

static void assert_reads_and_writes(const struct mirror_guest *guest)
{
	const struct mirror_entry entry = entry_at(HELPER);
	enum mirror_exit exit = MIRROR_KICKED;
	struct mirror *mirror;

	assert_ok(mirror_create(guest, views, ARRAY_LEN(views), &entry, &mirror, &err));
	assert_ok(mirror_run(mirror, &exit, &err));
	assert_int_equal(exit, MIRROR_HALTED);
	assert_true(host_sees(guest, SHARED_GPA) == first_marker);
	assert_true(host_sees(guest, IMAGE_GPA + MARKER) != first_marker);
	assert_ok(mirror_run(mirror, &exit, &err));
	assert_int_equal(exit, MIRROR_HALTED);
	assert_true(host_sees(guest, SHARED_GPA + 8) == second_marker);
	assert_true(host_sees(guest, PRIVATE) != second_marker);
	assert_kicks(mirror);
	mirror_destroy(mirror);
}

/* Two mirrors of one guest: the second finds what the first wrote. */
static void assert_shares_with_another(const struct mirror_guest *guest)
{
	struct mirror_entry entry = entry_at(HELPER);
	struct mirror *mirror;
	enum mirror_exit exit;

	entry.rdi = PRIVATE;
	assert_ok(mirror_create(guest, views, ARRAY_LEN(views), &entry, &mirror, &err));
	assert_ok(mirror_run(mirror, &exit, &err));
	assert_true(host_sees(guest, SHARED_GPA) == second_marker);
	mirror_destroy(mirror);
}

static void assert_sees_its_views_alone(const struct mirror_guest *guest)
{
	const struct mirror_entry entry = entry_at(STRANGER);
	struct mirror *mirror;
	enum mirror_exit exit;

	assert_ok(mirror_create(guest, views, ARRAY_LEN(views), &entry, &mirror, &err));
	assert_int_equal(mirror_run(mirror, &exit, &err), -1);
	assert_non_null(strstr(err.text, "used 0x300000, where it has no memory"));
	assert_int_equal(mirror_run(mirror, &exit, &err), -1);
	assert_non_null(strstr(err.text, "has failed before"));
	mirror_destroy(mirror);
}

static void on_stop(void *stopped)
{
	sem_post(stopped);
}

static void assert_stops(struct mirror_runner *runner, sem_t *stopped, enum mirror_runner_state state)
{
	while (sem_wait(stopped) < 0)
		assert_int_equal(errno, EINTR);
	assert_int_equal(mirror_runner_facts(runner).state, state);
}

static struct mirror_runner *runner_at(const struct mirror_guest *guest, uint64_t offset, sem_t *stopped)
{
	const struct mirror_entry entry = entry_at(offset);
	struct mirror_runner *runner;

	assert_ok(mirror_runner_create(
	        guest, views, ARRAY_LEN(views), &entry, on_stop, stopped, &runner, &err));
	assert_int_equal(mirror_runner_facts(runner).state, MIRROR_RUNNER_READY);
	return runner;
}

/* The helper halts twice and then spins: it is kicked, goes on, and is ended while it does. */
static void assert_runs_on_a_thread(const struct mirror_guest *guest)
{
	struct mirror_runner *runner;
	sem_t stopped;

	assert_int_equal(sem_init(&stopped, 0, 0), 0);
	runner = runner_at(guest, HELPER, &stopped);
	for (unsigned run = 1; run <= 2; run++) {
		assert_ok(mirror_runner_go(runner, &err));
		assert_stops(runner, &stopped, MIRROR_RUNNER_HALTED);
		assert_false(mirror_runner_kick(runner));
		assert_int_equal(mirror_runner_facts(runner).runs, run);
	}
	for (unsigned run = 0; run < 20; run++) {
		assert_ok(mirror_runner_go(runner, &err));
		assert_fails(mirror_runner_go(runner, &err), ERR_USAGE, "runs already");
		assert_true(mirror_runner_kick(runner));
		assert_stops(runner, &stopped, MIRROR_RUNNER_KICKED);
	}
	assert_ok(mirror_runner_go(runner, &err));
	mirror_runner_destroy(runner);
	runner = runner_at(guest, STRANGER, &stopped);
	assert_ok(mirror_runner_go(runner, &err));
	while (mirror_runner_facts(runner).state == MIRROR_RUNNER_RUNS)
		sched_yield();
	assert_fails(mirror_runner_go(runner, &err), ERR_USAGE, "used 0x300000, where it has no memory");
	mirror_runner_destroy(runner);
	mirror_runner_destroy(NULL);
	sem_destroy(&stopped);
}

static void assert_refuses(const struct mirror_guest *guest)
{
	static const struct {
		enum config_sev_type type;
		const char *text;
	} others[] = {{CONFIG_SEV_NONE, "no encryption context"}, {CONFIG_SEV_ES, "registers of its vCPU"},
	        {CONFIG_SEV_SNP, "KVM shares neither"}};
	static const struct mirror_view bad[][2] = {
	        {{{0x800}, 0x1000}, {{0x2000}, 0x1000}},    /* not whole pages */
	        {{{0x1000}, 0}, {{0x2000}, 0x1000}},        /* nothing */
	        {{{0x1000}, 0x2000}, {{0x2000}, 0x1000}},   /* one in the other */
	        {{{0x2000}, 0x1000}, {{0x1000}, 0x1000}},   /* not ascending */
	        {{{0x1000}, 0x1000}, {{0x3ff000}, 0x2000}}, /* the memory ends before */
	        {{{0x1000}, 0x1000}, {{0xfffffffffffff000}, 0x2000}},
	};
	const struct mirror_entry entry = entry_at(HELPER);
	struct mirror_guest other = *guest;
	struct mirror *mirror;

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		other.sev = others[i].type;
		assert_int_equal(mirror_create(&other, views, 1, &entry, &mirror, &err), -1);
		assert_int_equal(err.kind, ERR_HOST);
		assert_non_null(strstr(err.text, others[i].text));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(mirror_create(guest, bad[i], 2, &entry, &mirror, &err), -1);
		assert_int_equal(err.kind, ERR_USAGE);
	}
	assert_int_equal(mirror_create(guest, views, 0, &entry, &mirror, &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
}

static void mirror_it(struct life *l)
{
	struct mirror_guest guest;
	int kvm_fd;

	if (!run_status_of(l->run).running || l->step++)
		return;
	assert_ok(call_kvm_open(l->host, &kvm_fd, &err));
	guest = guest_of(l, kvm_fd);
	assert_reads_and_writes(&guest);
	assert_shares_with_another(&guest);
	assert_sees_its_views_alone(&guest);
	assert_runs_on_a_thread(&guest);
	assert_refuses(&guest);
	host_close(l->host, kvm_fd);
	run_quit(l->run);
}

static void test_mirror_helper_reads_what_the_host_cannot(void **state)
{
	write_image();
	life.image = flat.image;
	life.on_launch = mirror_it;
	assert_ends_well(life_run(&life, "sev", NULL));
	assert_int_equal(life.step, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        T(test_mirror_helper_reads_what_the_host_cannot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

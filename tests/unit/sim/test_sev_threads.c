/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of one VMM that disturb each other's calls on guests with memory encryption: no crash, no hang. */
#include <linux/falloc.h>
#include <pthread.h>
#include <stdatomic.h>

#include "sev_guest.h"

#include "psp/psp.h"

#define ROUNDS 200

static const struct sim_options milan = {.product = "Milan", .seed = 1};

static void in_thread(pthread_t *thread, void *(*work)(void *), void *arg)
{
	assert_int_equal(pthread_create(thread, NULL, work, arg), 0);
}

/* ---- descriptors ---- */

/*
 * A descriptor that was closed, but not through the platform, leaves its object behind. A vCPU that gets its
 * number ends that object, while the vCPU is being made.
 */
static void test_number_of_a_lost_descriptor_is_used_again(void **state)
{
	struct machine m;
	struct guest g;
	int spare;

	machine_open(&m, &milan);
	spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	guest_make(&g, &m, UAPI_VM_SNP);
	assert_int_equal(guest_init2(&g), 0);
	close(spare);
	close(g.gmem);
	guest_add_vcpu(&g); /* its eventfd takes the first number that is free */
	assert_int_equal(g.vcpu, g.gmem);
	g.gmem = -1;
	guest_close(&g);
	machine_close(&m);
}

struct closer {
	struct guest *g;
	atomic_int fd;
	atomic_bool stop;
};

/* Makes calls on a number that is closed meanwhile, and may belong to another descriptor then. */
static void *use_gmem(void *arg)
{
	struct closer *c = arg;

	while (!atomic_load(&c->stop)) {
		int fd = atomic_load(&c->fd);
		void *at = host_mmap(c->g->m->host, NULL, PAGE_SIZE_BYTES, PROT_READ, MAP_SHARED, fd, 0);

		if (at != MAP_FAILED)
			munmap(at, PAGE_SIZE_BYTES);
		host_fallocate(
		        c->g->m->host, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE_SIZE_BYTES);
	}
	return NULL;
}

/*
 * The address sanitizer sees uses of freed memory. The thread sanitizer would report what the test does
 * itself, which is to close descriptors under calls.
 */
static void test_gmem_is_closed_while_it_is_used(void **state)
{
	const struct uapi_create_guest_memfd create = {
	        .size = GUEST_BYTES, .flags = UAPI_GUEST_MEMFD_MMAP | UAPI_GUEST_MEMFD_INIT_SHARED};
	struct closer c = {.fd = -1};
	pthread_t thread;
	struct machine m;
	struct guest g;

#ifdef __SANITIZE_THREAD__
	print_message("skipped: the thread sanitizer takes this test itself for a race\n");
	skip();
#endif
	machine_open(&m, &milan);
	guest_make(&g, &m, UAPI_VM_DEFAULT);
	c.g = &g;
	in_thread(&thread, use_gmem, &c);
	for (unsigned i = 0; i < ROUNDS; i++) {
		int fd = call_of(&m, g.vm, UAPI_CREATE_GUEST_MEMFD, &create);

		assert_true(fd >= 0);
		atomic_store(&c.fd, fd);
		usleep(i % 10 * 20);
		assert_int_equal(host_close(m.host, fd), 0);
	}
	atomic_store(&c.stop, true);
	pthread_join(thread, NULL);
	guest_close(&g);
	machine_close(&m);
}

/* ---- the firmware's state ---- */

static atomic_bool look_slowly, has_looked;

uint32_t __real_psp_platform_status(struct psp *psp, struct psp_platform_status *ret_status);
uint32_t __wrap_psp_platform_status(struct psp *psp, struct psp_platform_status *ret_status);

/* Delays the caller, so that it acts late on the status that it has read. */
uint32_t __wrap_psp_platform_status(struct psp *psp, struct psp_platform_status *ret_status)
{
	uint32_t code = __real_psp_platform_status(psp, ret_status);

	if (atomic_load(&look_slowly)) {
		atomic_store(&has_looked, true);
		usleep(100000);
	}
	return code;
}

static void *reset_platform(void *arg)
{
	struct sev_issue_cmd cmd = {.cmd = SEV_FACTORY_RESET};
	struct machine *m = arg;

	return (void *)(intptr_t)call_of(m, m->sev, SEV_ISSUE_CMD, &cmd);
}

/* A guest is started during a factory reset: either the reset is refused, or the start fails. */
static void test_guest_is_started_under_a_factory_reset(void **state)
{
	struct kvm_sev_guest_status status;
	struct machine m;
	struct guest g;
	pthread_t thread;
	bool started;
	void *reset;

	machine_open(&m, &milan);
	guest_make(&g, &m, UAPI_VM_SEV);
	assert_int_equal(guest_init2(&g), 0);
	atomic_store(&look_slowly, true);
	in_thread(&thread, reset_platform, &m);
	while (!atomic_load(&has_looked))
		usleep(100);
	started = launch_start(&g, 0) == 0;
	if (!started)
		assert_int_equal(g.error, PSP_INVALID_PLATFORM_STATE);
	pthread_join(thread, &reset);
	atomic_store(&look_slowly, false);
	assert_int_equal((intptr_t)reset, started ? -EBUSY : 0);
	assert_int_equal(command(&g, KVM_SEV_GUEST_STATUS, &status), started ? 0 : -EBADF);
	guest_close(&g);
	machine_close(&m);
}

/* ---- moves ---- */

static void es_make(struct guest *g, struct machine *m)
{
	guest_make(g, m, UAPI_VM_SEV_ES);
	assert_int_equal(guest_init2(g), 0);
	guest_add_vcpu(g);
	assert_int_equal(launch_start(g, ABI_SEV_POLICY_ES), 0);
	assert_int_equal(command(g, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL), 0);
}

static void *make_vcpus(void *arg)
{
	struct guest *g = arg;

	for (unsigned long id = 1; id < 4; id++)
		host_close(g->m->host, number_of(g->m, g->vm, KVM_CREATE_VCPU, id));
	return NULL;
}

/*
 * A SEV-ES guest moves only to a VM with as many vCPUs as it has. vCPUs that are made meanwhile count or do
 * not.
 */
static void test_move_while_vcpus_are_made(void **state)
{
	unsigned moved = 0;
	struct machine m;

	machine_open(&m, &milan);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct guest from, to;
		struct kvm_enable_cap cap = {.cap = KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM};
		pthread_t thread;
		int result;

		es_make(&from, &m);
		guest_make(&to, &m, UAPI_VM_SEV_ES);
		guest_add_vcpu(&to);
		cap.args[0] = (uint64_t)from.vm;
		in_thread(&thread, make_vcpus, &to);
		usleep(i % 50 * 20); /* into the middle of it, sooner or later */
		result = call_of(&m, to.vm, KVM_ENABLE_CAP, &cap);
		pthread_join(thread, NULL);
		assert_true(result == 0 || result == -EINVAL || result == -EBUSY);
		moved += result == 0;
		guest_close(&to);
		guest_close(&from);
	}
	print_message("%u of %u moves were early enough\n", moved, ROUNDS);
	machine_close(&m);
}

struct runner {
	struct guest *g;
	int result;
	uint32_t reason;
};

static void *run_until_the_end(void *arg)
{
	struct runner *r = arg;

	do {
		r->result = guest_run(r->g);
		r->reason = r->g->run->exit_reason;
	} while (r->result == 0 && r->reason == KVM_EXIT_IO);
	return NULL;
}

/* A KVM_RUN that waits for the move to be over ends like one that comes later: with EIO. */
static void test_move_under_a_vcpu_that_runs(void **state)
{
	struct machine m;

	machine_open(&m, &milan);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct kvm_enable_cap cap = {.cap = KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM};
		struct guest from, to;
		struct runner runner = {.g = &from};
		pthread_t thread;

		guest_make(&from, &m, UAPI_VM_SEV);
		assert_int_equal(guest_init2(&from), 0);
		guest_add_vcpu(&from);
		CODE(&from, 0xe6, PORT, 0xeb, 0xfc); /* 1: out %al, $PORT; jmp 1b */
		assert_int_equal(launch_start(&from, 0), 0);
		assert_int_equal(launch_update(&from, 0, GUEST_BYTES), 0);
		guest_make(&to, &m, UAPI_VM_SEV);
		cap.args[0] = (uint64_t)from.vm;
		in_thread(&thread, run_until_the_end, &runner);
		usleep(i % 50 * 20);
		assert_int_equal(call_of(&m, to.vm, KVM_ENABLE_CAP, &cap), 0);
		pthread_join(thread, NULL);
		if (runner.result != -EIO)
			fail_msg("KVM_RUN: %d, exit %u", runner.result, runner.reason);
		guest_close(&to);
		guest_close(&from);
	}
	machine_close(&m);
}

/* ---- private memory ---- */

struct race {
	struct guest *g;
	_Atomic bool over;
};

static void *change_attributes(void *arg)
{
	struct race *race = arg;

	for (unsigned i = 0; !atomic_load(&race->over); i++)
		set_private(race->g, i % 16 * PAGE_SIZE_BYTES, (1 + i % 3) * PAGE_SIZE_BYTES, i & 1);
	return NULL;
}

static void *punch_holes(void *arg)
{
	struct race *race = arg;
	struct guest *g = race->g;

	for (unsigned i = 0; !atomic_load(&race->over); i++)
		host_fallocate(g->m->host, g->gmem, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		        i % 16 * PAGE_SIZE_BYTES, 2 * PAGE_SIZE_BYTES);
	return NULL;
}

static void *run_guest(void *arg)
{
	struct race *race = arg;

	while (!atomic_load(&race->over))
		guest_run(race->g);
	return NULL;
}

/* A guest that walks through its memory, and leaves at each step. */
static void write_walker(struct guest *g)
{
	CODE(g, 0x88, 0x87, 0x00, 0x07, /* 1: mov %al, 0x700(%bx) */
	        0x81, 0xc3, 0x00, 0x08, /* add $0x800, %bx */
	        0xe6, PORT,             /* out %al, $PORT */
	        0xeb, 0xf4);            /* jmp 1b */
}

/* Updates, changes of attributes, holes and a guest that touches all of the memory, all at the same time. */
static void test_private_memory_changes_under_updates_and_the_guest(void **state)
{
	const struct uapi_sev_snp_launch_start start = {.policy = 0x30000};
	const struct uapi_sev_snp_launch_finish finish = {0};
	void *(*const works[])(void *) = {change_attributes, punch_holes, run_guest};
	pthread_t threads[ARRAY_LEN(works)];
	struct machine m;
	struct guest g;
	struct race race = {.g = &g};

	guest_ready(&g, &m, &milan, UAPI_VM_SNP);
	write_walker(&g);
	assert_int_equal(command(&g, UAPI_SEV_SNP_LAUNCH_START, &start), 0);
	for (size_t i = 0; i < ARRAY_LEN(works); i++)
		in_thread(&threads[i], works[i], &race);
	for (unsigned i = 0; i < 20 * ROUNDS; i++) {
		struct uapi_sev_snp_launch_update update = {.gfn_start = i % 16,
		        .uaddr = (uintptr_t)g.memory,
		        .len = (1 + i % 4) * PAGE_SIZE_BYTES,
		        .type = i & 1 ? ABI_PAGE_NORMAL : ABI_PAGE_ZERO};
		struct guest twin = g; /* the error of a command is its caller's */

		command(&twin, UAPI_SEV_SNP_LAUNCH_UPDATE, &update);
		if (i == 10 * ROUNDS)
			command(&twin, UAPI_SEV_SNP_LAUNCH_FINISH, &finish);
	}
	atomic_store(&race.over, true);
	for (size_t i = 0; i < ARRAY_LEN(works); i++)
		pthread_join(threads[i], NULL);
	guest_close(&g);
	machine_close(&m);
}

/* ---- descriptors ---- */

static void *reopen_device(void *arg)
{
	struct race *race = arg;
	struct machine *m = race->g->m;

	while (!atomic_load(&race->over)) {
		host_close(m->host, m->sev);
		host_close(m->host, host_open(m->host, "/dev/kvm", O_RDWR));
		host_open(m->host, "/dev/sev", O_RDWR); /* mostly of the same number */
	}
	return NULL;
}

/* /dev/sev comes and goes by its number: commands work or are refused, with EBADF. */
static void test_device_is_closed_and_opened_under_commands(void **state)
{
	unsigned refused = 0;
	struct machine m;
	struct guest g;
	struct race race = {.g = &g};
	pthread_t thread;

	machine_open(&m, &milan);
	guest_make(&g, &m, UAPI_VM_SEV);
	assert_int_equal(guest_init2(&g), 0);
	assert_int_equal(launch_start(&g, 0), 0);
	in_thread(&thread, reopen_device, &race);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct guest twin = g;
		int result = launch_update(&twin, 0, PAGE_SIZE_BYTES);

		assert_true(result == 0 || result == -EBADF);
		refused += result != 0;
	}
	atomic_store(&race.over, true);
	pthread_join(thread, NULL);
	print_message("%u of %u commands met no /dev/sev\n", refused, ROUNDS);
	guest_close(&g);
	machine_close(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_number_of_a_lost_descriptor_is_used_again),
	        cmocka_unit_test(test_gmem_is_closed_while_it_is_used),
	        cmocka_unit_test(test_guest_is_started_under_a_factory_reset),
	        cmocka_unit_test(test_move_while_vcpus_are_made),
	        cmocka_unit_test(test_move_under_a_vcpu_that_runs),
	        cmocka_unit_test(test_private_memory_changes_under_updates_and_the_guest),
	        cmocka_unit_test(test_device_is_closed_and_opened_under_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

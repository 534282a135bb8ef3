/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps of guest memory: no map is freed while a vCPU may use it. The allocator of this test gives the next
 * map the address of the one freed last, so that code which compares maps by address takes a new map for the
 * old one. Linked with --wrap for calloc, free and cpu_tlb_flush.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "guest_bench.h"

#include "kvm/vm.h"

#define MAP_BYTES (sizeof(struct cpu_map) + KVM_SLOTS_MAX * sizeof(struct cpu_slot))
#define MAPS_MAX  16
#define HOLE      0x40000000u
#define WAITS     300 /* milliseconds after which a change of slots counts as waiting for the vCPU */

static struct {
	pthread_mutex_t lock;
	void *live[MAPS_MAX], *spare;
	unsigned freed;
} maps = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The moment between the look at the bus's map and its use, where the slots change. */
static struct {
	struct guest *guest;
	void (*on_flush)(void);
	pthread_t changer;
	atomic_bool changed;
	unsigned freed;
} moment;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void __real_free(void *p);
void __wrap_free(void *p);
void __real_cpu_tlb_flush(struct cpu *cpu);
void __wrap_cpu_tlb_flush(struct cpu *cpu);

static void **find_live(const void *p)
{
	for (unsigned i = 0; i < MAPS_MAX; i++) {
		if (maps.live[i] == p)
			return &maps.live[i];
	}
	return NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
	void *p;

	if (count * size != MAP_BYTES)
		return __real_calloc(count, size);
	pthread_mutex_lock(&maps.lock);
	p = maps.spare ? memset(maps.spare, 0, MAP_BYTES) : __real_calloc(count, size);
	maps.spare = NULL;
	*find_live(NULL) = p;
	pthread_mutex_unlock(&maps.lock);
	return p;
}

void __wrap_free(void *p)
{
	void **live;

	if (!p)
		return;
	pthread_mutex_lock(&maps.lock);
	live = find_live(p);
	if (live) {
		*live = NULL;
		maps.freed++;
		void *last = maps.spare;

		maps.spare = p;
		p = last;
	}
	pthread_mutex_unlock(&maps.lock);
	__real_free(p);
}

void __wrap_cpu_tlb_flush(struct cpu *cpu)
{
	void (*on_flush)(void) = moment.on_flush;

	__real_cpu_tlb_flush(cpu);
	moment.on_flush = NULL;
	if (on_flush)
		on_flush();
}

static void set_slot(struct guest *g, uint64_t gpa)
{
	const struct kvm_userspace_memory_region region = {.slot = 1,
	        .guest_phys_addr = gpa,
	        .memory_size = 0x1000,
	        .userspace_addr = (uintptr_t)g->memory};

	assert_int_equal(ask(g->abi, g->vm, KVM_SET_USER_MEMORY_REGION, &region), 0);
}

static void *change_slot(void *guest)
{
	set_slot(guest, HOLE + 0x200000);
	atomic_store(&moment.changed, true);
	return NULL;
}

/* Either the change ends and has freed nothing, or it waits for the vCPU. */
static void change_while_looking(void)
{
	const struct timespec ms = {.tv_nsec = 1000000};
	unsigned before = maps.freed;

	pthread_create(&moment.changer, NULL, change_slot, moment.guest);
	for (int i = 0; i < WAITS && !atomic_load(&moment.changed); i++)
		nanosleep(&ms, NULL);
	pthread_mutex_lock(&maps.lock);
	moment.freed = maps.freed - before;
	pthread_mutex_unlock(&maps.lock);
}

/* use: something for which the vCPU looks at the map. */
static void check_use(struct abi *abi, void (*use)(struct guest *g))
{
	struct guest g;

	guest_open(&g, abi, 32, 1, GUEST_QUIET);
	for (int i = 0; i < 2; i++) {
		store(&g.code, HOLE, 1);
		emit_bytes(&g.code, 0xe6, 0x50); /* out 50h, al: what came before it is complete */
	}
	assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_MMIO);
	assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_IO);
	set_slot(&g, HOLE + 0x100000); /* frees the map that the vCPU used last */
	moment.guest = &g;
	atomic_store(&moment.changed, false);
	moment.on_flush = change_while_looking;
	use(&g);
	assert_null(moment.on_flush);
	pthread_join(moment.changer, NULL);
	assert_true(atomic_load(&moment.changed));
	assert_int_equal(moment.freed, 0);
	assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_IO);
	guest_close(&g);
}

static void use_by_running(struct guest *g)
{
	assert_int_equal(guest_run_once(g, 0), KVM_EXIT_MMIO);
}

static void use_by_setting_registers(struct guest *g)
{
	struct kvm_sregs sregs = {0};

	assert_int_equal(ask(g->abi, g->vcpu[0], KVM_GET_SREGS, &sregs), 0);
	assert_int_equal(ask(g->abi, g->vcpu[0], KVM_SET_SREGS, &sregs), 0);
	use_by_running(g);
}

static void use_by_translating(struct guest *g)
{
	struct kvm_translation translation = {.linear_address = GUEST_CODE};

	assert_int_equal(ask(g->abi, g->vcpu[0], KVM_TRANSLATE, &translation), 0);
	assert_int_equal(translation.physical_address, GUEST_CODE);
	use_by_running(g);
}

static void test_map_that_a_running_vcpu_looks_at_is_kept(void **state)
{
	check_use(*state, use_by_running);
}

static void test_map_that_new_registers_are_checked_with_is_kept(void **state)
{
	check_use(*state, use_by_setting_registers);
}

static void test_map_that_translates_an_address_is_kept(void **state)
{
	check_use(*state, use_by_translating);
}

static int teardown(void **state)
{
	__real_free(maps.spare);
	maps.spare = NULL;
	return guest_bench_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(
	                test_map_that_a_running_vcpu_looks_at_is_kept, guest_bench_setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                test_map_that_new_registers_are_checked_with_is_kept, guest_bench_setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                test_map_that_translates_an_address_is_kept, guest_bench_setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

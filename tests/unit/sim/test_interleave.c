/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random interleavings of what a VMM's threads do to one VM: two vCPUs run a guest that touches memory all
 * the time, while slots come, go and move, pages are logged, vCPUs are kicked, asked and closed. Freed memory
 * of the platform is never given out again but can no longer be reached, so that each use after free is seen
 * where it happens (linked with --wrap for malloc, calloc, realloc and free). INTERLEAVINGS: how many; SEED:
 * the first one's, which a failure prints.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "guest_bench.h"

#define PLACES     8
#define PLACE(n)   (0x40000000u + (n)*0x10000u)
#define SLOT_BYTES 0x4000u
#define SLOTS      4
#define OPS        24

/* ---- memory that is used once ---- */

#define ARENA_BYTES (UINT64_C(1) << 36)

struct block {
	size_t bytes, used; /* of its pages; of the caller's */
};

static uint8_t *arena;
static _Atomic uint64_t arena_used;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);
void __real_free(void *p);
void __wrap_free(void *p);

static bool is_ours(const void *p)
{
	return arena && (const uint8_t *)p >= arena && (const uint8_t *)p < arena + ARENA_BYTES;
}

/* Pages of its own, at whose end it lies, and an unmapped one behind. */
void *__wrap_malloc(size_t size)
{
	size_t rounded = (size + 15) / 16 * 16;
	size_t bytes =
	        (sizeof(struct block) + rounded + PAGE_SIZE_BYTES - 1) / PAGE_SIZE_BYTES * PAGE_SIZE_BYTES;
	uint64_t at = atomic_fetch_add(&arena_used, bytes + PAGE_SIZE_BYTES);
	struct block *block;

	if (!arena)
		return __real_malloc(size);
	if (at + bytes > ARENA_BYTES || mprotect(arena + at, bytes, PROT_READ | PROT_WRITE) < 0)
		return NULL;
	block = (struct block *)(arena + at + bytes - rounded) - 1;
	*block = (struct block){bytes, rounded};
	return block + 1;
}

void *__wrap_calloc(size_t count, size_t size)
{
	size_t bytes;
	void *p = __builtin_mul_overflow(count, size, &bytes) ? NULL : __wrap_malloc(bytes);

	return p && !is_ours(p) ? memset(p, 0, bytes) : p; /* new pages are zeros */
}

void __wrap_free(void *p)
{
	const struct block *block;
	uint8_t *pages;
	size_t bytes;

	if (!is_ours(p)) {
		__real_free(p);
		return;
	}
	block = (struct block *)p - 1;
	bytes = block->bytes;
	pages = (uint8_t *)p + block->used - bytes;
	madvise(pages, bytes, MADV_DONTNEED);
	mprotect(pages, bytes, PROT_NONE);
}

void *__wrap_realloc(void *p, size_t size)
{
	const struct block *block = (struct block *)p - 1;
	void *other;

	if (p && !is_ours(p))
		return __real_realloc(p, size);
	other = __wrap_malloc(size);
	if (p && other)
		memcpy(other, p, size < block->used ? size : block->used);
	__wrap_free(other ? p : NULL);
	return other;
}

/* The sanitizers look after freed memory by themselves. */
static void make_arena(void)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	arena = mmap(NULL, ARENA_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(arena, MAP_FAILED);
#endif
}

/* ---- a VM ---- */

struct round {
	struct guest g;
	uint64_t random;
	uint8_t *memory; /* of the slots */
	pthread_t threads[2];
	atomic_bool stop;
	struct kvm_regs start;
};

struct runner {
	struct round *round;
	unsigned n;
};

static unsigned random_below(struct round *r, unsigned limit)
{
	r->random ^= r->random << 13;
	r->random ^= r->random >> 7;
	r->random ^= r->random << 17;
	return (unsigned)((r->random >> 20) % limit);
}

/* Reads, writes and calls every place, where a slot may be or not: RET is in all of their memory. */
static void write_guest(struct code *code)
{
	uint8_t *top = code->at;

	for (unsigned n = 0; n < PLACES; n++) {
		store(code, PLACE(n) + 8, n);
		load_eax(code, PLACE(n) + 0x1010, 4);
		set_eax(code, PLACE(n));
		emit_bytes(code, 0xff, 0xd0); /* call eax */
	}
	emit_bytes(code, 0xe9);
	emit_number(code, (uint64_t)(top - code->at - 4), 4);
}

/* Without a slot at the place of a call the guest fails, and begins again. */
static void *run_vcpu(void *arg)
{
	struct runner *own = arg;
	struct round *r = own->round;
	struct kvm_run *run = r->g.run[own->n];

	while (!atomic_load(&r->stop)) {
		int result = host_ioctl_number(r->g.abi->host, r->g.vcpu[own->n], KVM_RUN, 0);

		__atomic_store_n(&run->immediate_exit, 0, __ATOMIC_RELEASE);
		if (result < 0 && (errno == EBADF || errno == ENOTTY))
			break;
		if (result == 0 && run->exit_reason != KVM_EXIT_MMIO)
			ask(r->g.abi, r->g.vcpu[own->n], KVM_SET_REGS, &r->start);
	}
	return NULL;
}

/* ---- what happens to it ---- */

static void set_slot(struct round *r)
{
	unsigned slot = 1 + random_below(r, SLOTS), kind = random_below(r, 4);
	const struct kvm_userspace_memory_region region = {
	        .slot = slot,
	        .flags = random_below(r, 2) ? KVM_MEM_LOG_DIRTY_PAGES : 0,
	        .guest_phys_addr = PLACE(random_below(r, PLACES)),
	        .memory_size = kind ? SLOT_BYTES : 0,
	        .userspace_addr = (uintptr_t)r->memory + (slot - 1) * SLOT_BYTES,
	};

	ask(r->g.abi, r->g.vm, KVM_SET_USER_MEMORY_REGION, &region); /* EEXIST: the place is taken */
}

static void get_log(struct round *r)
{
	uint64_t bits = 0;
	const struct kvm_dirty_log log = {.slot = 1 + random_below(r, SLOTS), .dirty_bitmap = &bits};

	ask(r->g.abi, r->g.vm, KVM_GET_DIRTY_LOG, &log);
}

static void kick(struct round *r)
{
	unsigned n = random_below(r, 2);

	__atomic_store_n(&r->g.run[n]->immediate_exit, 1, __ATOMIC_RELEASE);
	pthread_kill(r->threads[n], SIGUSR1);
}

static void ask_vcpu(struct round *r)
{
	struct kvm_regs regs;

	kick(r); /* the answer waits for the end of KVM_RUN */
	ask(r->g.abi, r->g.vcpu[random_below(r, 2)], KVM_GET_REGS, &regs);
}

/* Another VM comes and goes beside this one, and a vCPU of this one that never runs. */
static void make_others(struct round *r)
{
	int vm = host_ioctl_number(r->g.abi->host, r->g.abi->kvm, KVM_CREATE_VM, 0);
	int vcpu = host_ioctl_number(r->g.abi->host, r->g.vm, KVM_CREATE_VCPU, 2 + random_below(r, 8));

	host_close(r->g.abi->host, vm);
	host_close(r->g.abi->host, vcpu);
}

/* Its number becomes nothing else of the platform, since the vCPU's thread still uses it. */
static void close_vcpu(struct round *r)
{
	int fd = r->g.vcpu[random_below(r, 2)], other;

	if (random_below(r, 4))
		return;
	host_close(r->g.abi->host, fd);
	other = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (other != fd) {
		dup2(other, fd);
		close(other);
	}
}

static void (*const ops[])(struct round *r) = {
        set_slot, set_slot, set_slot, get_log, kick, ask_vcpu, make_others, close_vcpu};

static void nothing(int number)
{
}

static void interleave(struct abi *abi, uint64_t seed)
{
	struct round r = {.random = seed};
	struct runner runners[2] = {{&r, 0}, {&r, 1}};
	struct kvm_sregs sregs;

	r.memory = mmap(NULL, SLOTS * SLOT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(r.memory, MAP_FAILED);
	memset(r.memory, 0xc3, SLOTS * SLOT_BYTES);
	guest_open(&r.g, abi, 32, 2, GUEST_QUIET);
	write_guest(&r.g.code);
	assert_int_equal(ask(abi, r.g.vcpu[0], KVM_GET_SREGS, &sregs), 0);
	assert_int_equal(ask(abi, r.g.vcpu[0], KVM_GET_REGS, &r.start), 0);
	assert_int_equal(ask(abi, r.g.vcpu[1], KVM_SET_SREGS, &sregs), 0);
	assert_int_equal(ask(abi, r.g.vcpu[1], KVM_SET_REGS, &r.start), 0);
	for (unsigned n = 0; n < 2; n++)
		assert_int_equal(pthread_create(&r.threads[n], NULL, run_vcpu, &runners[n]), 0);
	for (unsigned i = 0; i < OPS; i++)
		ops[random_below(&r, ARRAY_LEN(ops))](&r);
	atomic_store(&r.stop, true);
	for (unsigned n = 0; n < 2; n++) {
		__atomic_store_n(&r.g.run[n]->immediate_exit, 1, __ATOMIC_RELEASE);
		pthread_kill(r.threads[n], SIGUSR1);
		pthread_join(r.threads[n], NULL);
	}
	guest_close(&r.g);
	munmap(r.memory, SLOTS * SLOT_BYTES);
}

static void test_interleavings(void **state)
{
	const struct sigaction action = {.sa_handler = nothing};
	const char *count = getenv("INTERLEAVINGS"), *seed = getenv("SEED");
	uint64_t first = seed ? strtoull(seed, NULL, 0) : 0x9e3779b97f4a7c15;

	sigaction(SIGUSR1, &action, NULL);
	for (unsigned long i = 0; i < (count ? strtoul(count, NULL, 0) : 20); i++) {
		fprintf(stderr, "\rSEED=0x%llx ", (unsigned long long)(first + i));
		interleave(*state, first + i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_interleavings, guest_bench_setup, guest_bench_teardown)};

	make_arena();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile SEV-ES guest with four processors: each fills its GHCB with random requests, writes into the
 * GHCBs of the others while KVM reads them, and asks by the MSR's protocol. The sanitizers judge.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "ghcb_guest.h"

#define VCPUS 4u
#define RUNS  1000u
#define PAGES 0x4000u /* the four GHCBs, shared */
#define CODES 0x3000u /* 32 events */

#define XORSHIFT \
	"movq %r14, %rax\n shlq $13, %rax\n xorq %rax, %r14\n" \
	"movq %r14, %rax\n shrq $7, %rax\n xorq %rax, %r14\n" \
	"movq %r14, %rax\n shlq $17, %rax\n xorq %rax, %r14\n"

/* R12: the GHCB, R13: its linear address, R14: random. */
GHCB_CODE(hostile, "1: movl $6, %r11d\n"
                   "2:\n" XORSHIFT "movq %r14, %rdi\n shrq $20, %rdi\n andl $0x3ff8, %edi\n"
                   "movq %r14, 0x204000(%rdi)\n" /* anywhere in the four pages */
                   "decl %r11d\n jnz 2b\n" XORSHIFT "movl %r14d, %edi\n andl $31, %edi\n"
                   "movq 0x3000(,%rdi,8), %rax\n movq %rax, 0x390(%r13)\n" /* the event */
                   "movq $-1, 0x3f0(%r13)\n movq $-1, 0x3f8(%r13)\n movl $0, 0xffc(%r13)\n"
                   "movq %r14, %rax\n shrq $32, %rax\n andl $0x0402007d, %eax\n"
                   "movq %rax, 0x398(%r13)\n"
                   "movzbl %r14b, %eax\n movq %rax, 0x3a0(%r13)\n"
                   "leaq 0x800(%r12), %rax\n movq %rax, 0x3a8(%r13)\n"
                   "movl %r12d, %eax\n xorl %edx, %edx\n movl $0xc0010130, %ecx\n"
                   "wrmsr\n rep; vmmcall\n"
                   "testl $0x700000, %r14d\n jnz 1b\n"
                   "movl %r14d, %eax\n andl $0x1ff, %eax\n movq %r14, %rdx\n shrq $32, %rdx\n"
                   "wrmsr\n rep; vmmcall\n"
                   "jmp 1b");

static const uint64_t codes[32] = {ABI_GHCB_READ_DR7, ABI_GHCB_WRITE_DR7, ABI_GHCB_RDTSC, ABI_GHCB_RDPMC,
        ABI_GHCB_CPUID, ABI_GHCB_INVD, ABI_GHCB_IOIO, ABI_GHCB_MSR, ABI_GHCB_VMMCALL, ABI_GHCB_RDTSCP,
        ABI_GHCB_WBINVD, ABI_GHCB_MONITOR, ABI_GHCB_MWAIT, ABI_GHCB_MMIO_READ, ABI_GHCB_MMIO_WRITE,
        ABI_GHCB_NMI_COMPLETE, ABI_GHCB_AP_RESET_HOLD, ABI_GHCB_AP_JUMP_TABLE, ABI_GHCB_PSC,
        ABI_GHCB_GUEST_REQUEST, ABI_GHCB_EXT_GUEST_REQUEST, ABI_GHCB_AP_CREATION, ABI_GHCB_HV_FEATURES,
        ABI_GHCB_TERMINATE, ABI_GHCB_UNSUPPORTED, ABI_GHCB_IOIO, ABI_GHCB_MMIO_READ, ABI_GHCB_MMIO_WRITE,
        ABI_GHCB_IOIO, 0x4711, 0x78, UINT64_MAX};

struct runner {
	struct machine *m;
	int vcpu;
	struct kvm_run *run;
	unsigned exits, errors, ends;
	pthread_t thread;
};

/* The VMM answers whatever it is asked. With version 1 the guest may destroy its own code, and end. */
static void *run_vcpu(void *arg)
{
	struct runner *r = arg;

	for (unsigned i = 0; i < RUNS && !r->ends; i++) {
		int result = number_of(r->m, r->vcpu, KVM_RUN, 0);

		r->exits += result == 0;
		r->errors += result < 0;
		r->ends += result == 0 && r->run->exit_reason == KVM_EXIT_SHUTDOWN;
		if (result == 0 && r->run->exit_reason == KVM_EXIT_MMIO)
			memset(r->run->mmio.data, (int)i, sizeof(r->run->mmio.data));
	}
	return NULL;
}

struct logger {
	struct guest *g;
	atomic_bool stop;
};

/* The VMM logs which pages are written, now and then. */
static void *log_pages(void *arg)
{
	struct logger *l = arg;
	uint64_t bits[GUEST_BYTES / PAGE_SIZE_BYTES / 64 + 1];

	while (!atomic_load(&l->stop)) {
		struct kvm_userspace_memory_region region = {.flags = KVM_MEM_LOG_DIRTY_PAGES,
		        .memory_size = GUEST_BYTES,
		        .userspace_addr = (uintptr_t)l->g->memory};
		const struct kvm_dirty_log log = {.dirty_bitmap = bits};

		call_of(l->g->m, l->g->vm, KVM_SET_USER_MEMORY_REGION, &region);
		call_of(l->g->m, l->g->vm, KVM_GET_DIRTY_LOG, &log);
		region.flags = 0;
		call_of(l->g->m, l->g->vm, KVM_SET_USER_MEMORY_REGION, &region);
	}
	return NULL;
}

static void add_runner(struct guest *g, struct runner *r, unsigned i)
{
	const struct kvm_regs regs = {.rip = GUEST_CODE,
	        .rsp = 0xf000 - 0x200 * i,
	        .rflags = 2,
	        .r12 = PAGES + i * PAGE_SIZE_BYTES,
	        .r13 = SHARED + PAGES + i * PAGE_SIZE_BYTES,
	        .r14 = UINT64_C(0x9e3779b97f4a7c15) * (i + 1)};
	struct kvm_sregs s;

	*r = (struct runner){.m = g->m, .vcpu = i ? guest_add_vcpu(g) : g->vcpu};
	assert_int_equal(call_of(g->m, g->vcpu, KVM_GET_SREGS, &s), 0);
	if (i)
		ghcb_cpuid(g, r->vcpu);
	assert_int_equal(call_of(g->m, r->vcpu, KVM_SET_SREGS, &s), 0);
	assert_int_equal(call_of(g->m, r->vcpu, KVM_SET_REGS, &regs), 0);
	r->run = i ? host_mmap(g->m->host, NULL, 3 * PAGE_SIZE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
	                     r->vcpu, 0)
	           : g->run;
	assert_ptr_not_equal(r->run, MAP_FAILED);
}

static void run_hostile(uint16_t version)
{
	static const struct sim_options milan = {.product = "Milan", .seed = 1};
	struct runner runners[VCPUS];
	pthread_t thread;
	struct machine m;
	struct guest g;
	struct logger logger = {.g = &g};

	machine_open(&m, &milan);
	ghcb_make(&g, &m, version);
	guest_add_vcpu(&g);
	ghcb_prepare(&g);
	put_code(&g, GUEST_CODE, hostile, hostile_end);
	memcpy(g.memory + CODES, codes, sizeof(codes));
	for (unsigned i = 0; i < VCPUS; i++)
		add_runner(&g, &runners[i], i);
	guest_launch(&g, ABI_SEV_POLICY_ES);
	assert_int_equal(pthread_create(&thread, NULL, log_pages, &logger), 0);
	for (unsigned i = 0; i < VCPUS; i++)
		assert_int_equal(pthread_create(&runners[i].thread, NULL, run_vcpu, &runners[i]), 0);
	for (unsigned i = 0; i < VCPUS; i++)
		pthread_join(runners[i].thread, NULL);
	atomic_store(&logger.stop, true);
	pthread_join(thread, NULL);
	for (unsigned i = 0; i < VCPUS; i++) {
		assert_true(runners[i].exits > 0);
		if (version == 2)
			assert_int_equal(runners[i].exits + runners[i].errors, RUNS);
		if (i) {
			host_munmap(m.host, runners[i].run, 3 * PAGE_SIZE_BYTES);
			host_close(m.host, runners[i].vcpu);
		}
	}
	ghcb_end(&g);
}

static void test_hostile_guest_of_version_2_harms_nobody(void **state)
{
	run_hostile(2);
}

/* KVM writes for the guest to where the guest says, which may be the guest's own code. */
static void test_hostile_guest_of_version_1_harms_itself(void **state)
{
	run_hostile(1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_hostile_guest_of_version_2_harms_nobody),
	        cmocka_unit_test(test_hostile_guest_of_version_1_harms_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

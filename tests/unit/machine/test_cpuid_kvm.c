/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every model on the KVM of the machine that runs the test: KVM takes the tables, and no feature bit is in
 * them that it did not offer. Prints what each model loses here. Skipped without /dev/kvm.
 */
#include <fcntl.h>
#include <sys/ioctl.h>

#include "cpu_facts.h"
#include "support/test.h"

#define HOST_ENTRIES 256

struct kvm {
	int fd, vm, vcpu;
	struct kvm_cpuid2 *supported;
};

static int kvm_finish(void **state)
{
	struct kvm *kvm = *state;

	if (kvm->vcpu >= 0)
		close(kvm->vcpu);
	if (kvm->vm >= 0)
		close(kvm->vm);
	if (kvm->fd >= 0)
		close(kvm->fd);
	free(kvm->supported);
	return 0;
}

/* CPUID without a run in between may be set again: one vCPU serves all models. */
static int kvm_init(void **state)
{
	static struct kvm kvm;

	kvm = (struct kvm){-1, -1, -1, NULL};
	*state = &kvm;
	kvm.supported = calloc(1, sizeof(*kvm.supported) + HOST_ENTRIES * sizeof(kvm.supported->entries[0]));
	kvm.fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm.fd < 0 || !kvm.supported)
		return 0;
	kvm.vm = ioctl(kvm.fd, KVM_CREATE_VM, 0);
	kvm.supported->nent = HOST_ENTRIES;
	if (kvm.vm < 0 || ioctl(kvm.fd, KVM_GET_SUPPORTED_CPUID, kvm.supported) < 0)
		return 0;
	if (ioctl(kvm.vm, KVM_CREATE_IRQCHIP) == 0)
		kvm.vcpu = ioctl(kvm.vm, KVM_CREATE_VCPU, 0);
	return 0;
}

static const struct kvm_cpuid_entry2 *offered(const struct kvm *kvm, uint32_t function, uint32_t index)
{
	for (unsigned i = 0; i < kvm->supported->nent; i++)
		if (kvm->supported->entries[i].function == function &&
		        kvm->supported->entries[i].index == index)
			return &kvm->supported->entries[i];
	return NULL;
}

/*
 * Returns the bits that the machine may set though KVM's list lacks them: topology, the hypervisor bit, TSC
 * deadline, aliases.
 */
static uint32_t may_add(size_t place, const struct machine_cpuid *cpuid)
{
	uint32_t function = fact_places[place].function;
	size_t reg = fact_places[place].reg;

	if (function == 1 && reg == offsetof(struct kvm_cpuid_entry2, ecx))
		return 1U << 31 | 1U << 24;
	if (function == 1 && reg == offsetof(struct kvm_cpuid_entry2, edx))
		return 1U << 28;
	if (function == 0x80000001 && reg == offsetof(struct kvm_cpuid_entry2, ecx))
		return 1U << 1;
	if (function == 0x80000001 && reg == offsetof(struct kvm_cpuid_entry2, edx))
		return machine_cpuid_find(cpuid, 1, 0)->edx & 0x0183f3ff;
	return 0;
}

static void check_no_more_than_offered(
        const struct kvm *kvm, const char *model, const struct machine_cpuid *cpuid)
{
	for (size_t i = 0; i < ARRAY_LEN(fact_places); i++) {
		uint32_t function = fact_places[i].function, index = fact_places[i].index;
		const struct kvm_cpuid_entry2 *guest = machine_cpuid_find(cpuid, function, index);
		const struct kvm_cpuid_entry2 *host = offered(kvm, function, index);
		uint64_t has = guest ? load_le((const char *)guest + fact_places[i].reg, 4) : 0;
		uint64_t may = host ? load_le((const char *)host + fact_places[i].reg, 4) : 0;

		if (has & ~(may | may_add(i, cpuid)))
			fail_msg("%s, leaf %#x: %#lx of an offered %#lx", model, function, has, may);
	}
}

static void test_cpuid_every_model_is_taken_by_this_kvm(void **state)
{
	const struct kvm *kvm = *state;
	static struct machine_cpuid cpuid, back;
	struct machine_cpuid_dropped dropped;
	char text[1000];
	struct err err;
	const char *name;

	if (kvm->vcpu < 0) {
		print_message("skipped: no /dev/kvm with an interrupt controller here\n");
		skip();
	}
	for (size_t i = 0; (name = machine_cpu_model_name(i)); i++) {
		struct machine_cpuid_ask ask = {.model = machine_cpu_model(name),
		        .supported = kvm->supported,
		        .tsc_deadline = ioctl(kvm->fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) == 1,
		        .vcpus = 4};

		assert_ok(machine_cpuid_make(&ask, &cpuid, &dropped, &err));
		check_no_more_than_offered(kvm, name, &cpuid);
		assert_return_code(ioctl(kvm->vcpu, KVM_SET_CPUID2, &cpuid), 0);
		back.nent = MACHINE_CPUID_ENTRIES_MAX;
		assert_return_code(ioctl(kvm->vcpu, KVM_GET_CPUID2, &back), 0);
		/* A KVM may show more than it was given (pvm does), never another CPU. */
		assert_int_equal(machine_cpuid_find(&back, 1, 0)->eax, machine_cpuid_find(&cpuid, 1, 0)->eax);
		machine_cpuid_dropped_format(&dropped, text, sizeof(text));
		print_message(
		        "%s: %u entries, %u features dropped: %s\n", name, cpuid.nent, dropped.count, text);
	}
}

/* ---- a guest that does nothing but CPUID ---- */

#define CODE_GPA 0x1000

struct guest {
	int vcpu;
	struct kvm_run *run;
};

static const uint8_t code[] = {0x0f, 0xa2, 0xe6, 0x80}; /* cpuid; out 0x80, al */

/* A page of memory for the VM of the fixture, in real mode at CODE_GPA. */
static void *guest_memory(const struct kvm *kvm)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region slot = {
	        .guest_phys_addr = CODE_GPA, .memory_size = 4096, .userspace_addr = (uintptr_t)page};

	assert_ptr_not_equal(page, MAP_FAILED);
	memcpy(page, code, sizeof(code));
	assert_return_code(ioctl(kvm->vm, KVM_SET_USER_MEMORY_REGION, &slot), 0);
	return page;
}

static struct guest guest_start(const struct kvm *kvm, const struct machine_cpuid *cpuid)
{
	struct guest guest = {.vcpu = kvm->vcpu};
	struct kvm_sregs sregs;
	int size = ioctl(kvm->fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	guest.run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, guest.vcpu, 0);
	assert_ptr_not_equal(guest.run, MAP_FAILED);
	assert_return_code(ioctl(guest.vcpu, KVM_SET_CPUID2, cpuid), 0);
	assert_return_code(ioctl(guest.vcpu, KVM_GET_SREGS, &sregs), 0);
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	assert_return_code(ioctl(guest.vcpu, KVM_SET_SREGS, &sregs), 0);
	return guest;
}

static void guest_cpuid(const struct guest *guest, uint32_t function, uint32_t index, uint32_t ret_regs[4])
{
	struct kvm_regs regs = {.rip = CODE_GPA, .rflags = 2, .rax = function, .rcx = index};

	assert_return_code(ioctl(guest->vcpu, KVM_SET_REGS, &regs), 0);
	assert_return_code(ioctl(guest->vcpu, KVM_RUN, 0), 0);
	assert_int_equal(guest->run->exit_reason, KVM_EXIT_IO);
	assert_return_code(ioctl(guest->vcpu, KVM_GET_REGS, &regs), 0);
	ret_regs[0] = (uint32_t)regs.rax;
	ret_regs[1] = (uint32_t)regs.rbx;
	ret_regs[2] = (uint32_t)regs.rcx;
	ret_regs[3] = (uint32_t)regs.rdx;
	/* Completes the OUT, so that the next SET_REGS is not undone. */
	guest->run->immediate_exit = 1;
	assert_int_equal(ioctl(guest->vcpu, KVM_RUN, 0), -1);
	guest->run->immediate_exit = 0;
}

/* Is this a value that KVM computes in any case: the size for the current XCR0? */
static bool is_kvms_own(uint32_t function, uint32_t index, unsigned reg)
{
	return function == 0xd && index <= 1 && reg == 1;
}

/* pvm cannot hide what CPUID reports in user mode, and shows it in the table, too. */
static bool keeps_to_table(const struct kvm *kvm, const struct machine_cpuid *cpuid)
{
	static struct machine_cpuid back = {.nent = MACHINE_CPUID_ENTRIES_MAX};

	assert_return_code(ioctl(kvm->vcpu, KVM_SET_CPUID2, cpuid), 0);
	assert_return_code(ioctl(kvm->vcpu, KVM_GET_CPUID2, &back), 0);
	return back.nent == cpuid->nent &&
	       machine_cpuid_find(&back, 7, 0)->ebx == machine_cpuid_find(cpuid, 7, 0)->ebx;
}

static void test_cpuid_guest_finds_its_table(void **state)
{
	const struct kvm *kvm = *state;
	struct machine_cpuid_ask ask = {
	        .model = machine_cpu_model("EPYC-Rome"), .supported = kvm->supported, .vcpus = 4, .vcpu = 3};
	static struct machine_cpuid cpuid;
	struct guest guest;
	struct err err;
	void *page;

	if (kvm->vcpu < 0) {
		print_message("skipped: no /dev/kvm with an interrupt controller here\n");
		skip();
	}
	assert_ok(machine_cpuid_make(&ask, &cpuid, NULL, &err));
	if (!keeps_to_table(kvm, &cpuid)) {
		print_message("skipped: this KVM adds to the table that it is given (pvm)\n");
		skip();
	}
	page = guest_memory(kvm);
	guest = guest_start(kvm, &cpuid);
	for (unsigned i = 0; i < cpuid.nent; i++) {
		const struct kvm_cpuid_entry2 *e = &cpuid.entries[i];
		const uint32_t want[] = {e->eax, e->ebx, e->ecx, e->edx};
		uint32_t have[4];

		guest_cpuid(&guest, e->function, e->index, have);
		for (unsigned reg = 0; reg < 4; reg++)
			if (have[reg] != want[reg] && !is_kvms_own(e->function, e->index, reg))
				fail_msg("leaf %#x.%u, register %u: %#x instead of %#x", e->function,
				        e->index, reg, have[reg], want[reg]);
	}
	munmap(page, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(
	                test_cpuid_every_model_is_taken_by_this_kvm, kvm_init, kvm_finish),
	        cmocka_unit_test_setup_teardown(test_cpuid_guest_finds_its_table, kvm_init, kvm_finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

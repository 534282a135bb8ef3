/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest and vmm write is logged, on both hosts: the software platform, and the KVM of the machine that
 * runs the test. The guest is a vCPU in 64-bit mode without interrupt controllers, so it leaves at each HLT.
 */
#include "../../../src/machine/vm.h"
#include "support/test.h"
#include "vmm/page/dirty.h"
#include "vmm/sim.h"

#define RAM      MIB(4)
#define FIRMWARE KIB(64)
#define TABLES   0x1000u /* and the pages behind it, up to the code */
#define CODE     0x8000u /* one page */
#define PAGES    (RAM / PAGE_SIZE_BYTES)
#define FRAME(a) ((a) / PAGE_SIZE_BYTES)

static struct err err;
static struct machine machine;
static struct config config;
static struct machine_vm *vm;
static struct page_dirty *dirty;
static int vcpu_fd;
static struct kvm_run *run;

static int open_sim(struct host **ret_host, struct err *ret_err)
{
	return sim_host_create(&(struct sim_options){0}, ret_host, ret_err);
}

/* ---- the guest ---- */

static void put(uint64_t at, uint64_t value)
{
	uint8_t bytes[8];

	store_le(bytes, 8, value);
	assert_int_equal(page_write(vm->memory, gpa(at), bytes, 8), 0);
}

static void enter_64bit(void)
{
	const struct kvm_segment code = {
	        .selector = 8, .limit = UINT32_MAX, .type = 0xb, .s = 1, .present = 1, .l = 1, .g = 1};
	const struct kvm_segment data = {
	        .selector = 16, .limit = UINT32_MAX, .type = 3, .s = 1, .present = 1, .db = 1, .g = 1};
	struct kvm_cpuid2 *cpuid = NULL;
	struct kvm_sregs sregs;

	put(TABLES, (TABLES + 0x1000) | 3);
	for (uint64_t gib = 0; gib < 5; gib++) { /* identity, in pages of 2 MiB */
		put(TABLES + 0x1000 + gib * 8, (TABLES + 0x2000 + gib * 0x1000) | 3);
		for (uint64_t n = 0; n < 512; n++)
			put(TABLES + 0x2000 + gib * 0x1000 + n * 8, (GIB(gib) + MIB(2) * n) | 0x83);
	}
	assert_ok(call_kvm_supported_cpuid(machine.host, machine.kvm_fd, &cpuid, &err));
	assert_ok(call_vcpu_set_cpuid(machine.host, vcpu_fd, cpuid, &err));
	free(cpuid);
	assert_ok(call_vcpu_get_sregs(machine.host, vcpu_fd, &sregs, &err));
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.cr0 = 0x80010033;
	sregs.cr3 = TABLES;
	sregs.cr4 = 0x620;
	sregs.efer = 0x500;
	assert_ok(call_vcpu_set_sregs(machine.host, vcpu_fd, &sregs, &err));
}

/* The guest writes a byte to each address. */
static void guest_writes(const uint64_t *addresses, unsigned count)
{
	struct kvm_regs regs = {.rip = CODE, .rflags = 2};
	uint8_t code[PAGE_SIZE_BYTES];
	size_t at = 0;

	for (unsigned i = 0; i < count; i++, at += 10) {
		memcpy(code + at, "\x48\xb8", 2); /* mov rax, address */
		store_le(code + at + 2, 8, addresses[i]);
		memcpy(code + at + 10, "\xc6\x00\x55", 3); /* mov byte [rax], 0x55 */
		at += 3;
	}
	code[at++] = 0xf4; /* hlt */
	assert_int_equal(page_write(vm->memory, gpa(CODE), code, at), 0);
	assert_ok(call_vcpu_set_regs(machine.host, vcpu_fd, &regs, &err));
	while (call_vcpu_run(machine.host, vcpu_fd, run, &err) == 1)
		;
	assert_int_equal(run->exit_reason, KVM_EXIT_HLT);
}

/* ---- what was found ---- */

static void collect(void)
{
	assert_ok(machine_vm_collect_written(vm, dirty, &err));
}

/* Takes the frame of an address out of the map. Was it in it? */
static bool take(uint64_t address)
{
	struct page_range range;

	if (!page_dirty_take(dirty, FRAME(address), 1, &range))
		return false;
	if (range.first == FRAME(address))
		return true;
	page_dirty_set(dirty, range.first, 1);
	return false;
}

/* Nothing but the pages of the guest's code and tables is left, which processors write or read first. */
static void assert_no_more(void)
{
	struct page_range range = {0, 0};

	while (page_dirty_take(dirty, range.end, 1, &range)) {
		if (range.first < FRAME(TABLES) || range.first > FRAME(CODE))
			fail_msg("frame 0x%llx was written by nobody", (unsigned long long)range.first);
	}
}

static void empty(void)
{
	struct page_range range;

	while (page_dirty_take(dirty, 0, UINT64_MAX, &range))
		;
}

static int make(int (*open_host)(struct host **ret_host, struct err *ret_err))
{
	struct page_layout *layout = &machine.layout;
	size_t size = 0;

	machine = (struct machine){.kvm_fd = -1, .vm_fd = -1, .config = &config};
	vm = NULL;
	assert_ok(open_host(&machine.host, &err));
	if (call_kvm_open(machine.host, &machine.kvm_fd, &err) < 0)
		return 0;
	vm = calloc(1, sizeof(*vm));
	vm->machine = &machine;
	pthread_mutex_init(&vm->log.lock, NULL);
	assert_ok(page_layout_make(RAM, FIRMWARE, layout, &err));
	assert_ok(page_layout_add_plugged(layout, PAGE_PLUG_BYTES, &err));
	assert_ok(page_memory_create(machine.host, layout, PAGE_OWN, &vm->memory, &err));
	assert_ok(page_dirty_create(vm->memory, &dirty, &err));
	assert_ok(call_vm_create(machine.host, machine.kvm_fd, 0, &vm->fd, &err));
	for (unsigned i = 0; i < 2; i++)
		assert_ok(machine_vm_set_slot(vm, i,
		        &(struct page_plug){.gpa = layout->regions[i].gpa,
		                .size_bytes = layout->regions[i].size_bytes,
		                .at = page_memory_slot_address(vm->memory, i),
		                .guest_memfd = -1},
		        &err));
	assert_ok(call_kvm_run_size(machine.host, machine.kvm_fd, &size, &err));
	machine.run_size = size;
	assert_ok(call_vcpu_create(machine.host, vm->fd, 0, &vcpu_fd, &err));
	assert_ok(call_vcpu_map_run(machine.host, vcpu_fd, size, &run, &err));
	enter_64bit();
	return 0;
}

static int setup_sim(void **state)
{
	return make(open_sim);
}

static int setup_kvm(void **state)
{
	return make(host_kernel_create);
}

static int teardown(void **state)
{
	if (vm) {
		host_munmap(machine.host, run, machine.run_size);
		host_close(machine.host, vcpu_fd);
		host_close(machine.host, vm->fd);
		page_dirty_destroy(dirty);
		page_memory_destroy(vm->memory);
		pthread_mutex_destroy(&vm->log.lock);
		free(vm);
	}
	host_close(machine.host, machine.kvm_fd);
	host_destroy(machine.host);
	return 0;
}

static void need_kvm(void)
{
	if (!vm) {
		print_message("no usable /dev/kvm here\n");
		skip();
	}
}

static void begin(void)
{
	assert_ok(machine_vm_log_writes(vm, true, &err));
	collect(); /* KVM may begin with all pages */
	empty();
}

/* ---- tests ---- */

static void test_log_has_what_the_guest_wrote(void **state)
{
	static const uint64_t all[] = {0x10000, 0x11fff, 0x200000, RAM - 1, GIB(4) - FIRMWARE, GIB(4) - 1};

	need_kvm();
	begin();
	guest_writes(all, ARRAY_LEN(all));
	collect();
	for (unsigned i = 0; i < ARRAY_LEN(all); i++)
		assert_true(take(all[i]));
	assert_no_more();
	guest_writes(all + 1, 1); /* the same pages again: they were clean */
	guest_writes(all + 4, 1);
	collect();
	assert_true(take(all[1]));
	assert_true(take(all[4]));
	assert_no_more();
	collect();
	assert_no_more();
}

static void test_log_has_what_vmm_wrote(void **state)
{
	uint8_t bytes[PAGE_SIZE_BYTES + 2] = {0};
	void *loan;

	need_kvm();
	begin();
	assert_int_equal(page_write(vm->memory, gpa(0x20fff), bytes, sizeof(bytes)), 0);
	assert_int_equal(page_load(vm->memory, gpa(GIB(4) - 2), bytes, 2), 0);
	loan = page_loan(vm->memory, gpa(0x50000), 0x10000);
	page_wrote(vm->memory, loan, 0x2000);
	collect();
	for (unsigned i = 0; i < 3; i++)
		assert_true(take(0x20000 + i * PAGE_SIZE_BYTES));
	assert_true(take(GIB(4) - 1));
	assert_true(take(0x50000));
	assert_true(take(0x51000));
	assert_no_more();
}

static void test_log_has_what_was_plugged_meanwhile(void **state)
{
	struct page_plug piece;
	uint64_t address;

	need_kvm();
	address = page_layout_plugged(&machine.layout)->gpa.raw + 0x5000;
	begin();
	assert_ok(page_plug_find(vm->memory, PAGE_PLUG_BYTES, &piece, &err));
	assert_ok(machine_vm_set_slot(vm, MACHINE_FIRST_PLUG_SLOT, &piece, &err));
	page_plug_open(vm->memory, &piece);
	collect();
	empty();
	guest_writes(&address, 1);
	collect();
	assert_true(take(address));
	assert_no_more();
}

static void test_log_is_switched_off_and_on(void **state)
{
	const uint64_t address = 0x30000;

	need_kvm();
	assert_fails(machine_vm_collect_written(vm, dirty, &err), ERR_FAILED, "are not logged");
	begin();
	assert_ok(machine_vm_log_writes(vm, true, &err));
	assert_ok(machine_vm_log_writes(vm, false, &err));
	assert_ok(machine_vm_log_writes(vm, false, &err));
	assert_fails(machine_vm_collect_written(vm, dirty, &err), ERR_FAILED, "are not logged");
	guest_writes(&address, 1);
	begin();
	guest_writes(&address, 1);
	collect();
	assert_true(take(address));
	assert_no_more();
}

#define ON(host, name) cmocka_unit_test_setup_teardown(name, setup_##host, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        ON(sim, test_log_has_what_the_guest_wrote),
	        ON(sim, test_log_has_what_vmm_wrote),
	        ON(sim, test_log_has_what_was_plugged_meanwhile),
	        ON(sim, test_log_is_switched_off_and_on),
	        ON(kvm, test_log_has_what_the_guest_wrote),
	        ON(kvm, test_log_has_what_vmm_wrote),
	        ON(kvm, test_log_has_what_was_plugged_meanwhile),
	        ON(kvm, test_log_is_switched_off_and_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest is answered that says who owns its pages (KVM_HC_MAP_GPA_RANGE), and what the record holds
 * then: the same on the real KVM and on the software platform. KVM passes these calls of a plain guest to the
 * VMM, too, if that asks for them; vmm does so for confidential guests alone, so the test does it here. The
 * exits are KVM's, and all that answers them is vmm's.
 */
#include <cpuid.h>
#include <fcntl.h>
#include <linux/kvm_para.h>

#include "../../../src/run/vcpu.h"
#include "unit/launch/bench.h"
#include "vmm/call.h"
#include "vmm/sim.h"

#define CALL         KVM_HC_MAP_GPA_RANGE
#define ROWS_AT      0x1000u  /* in the image, as the guest's source has it */
#define ANSWERS_AT   0x20000u /* in memory */
#define PORT_DONE    0xf4
#define ADDRESS_BITS 40
#define ADDRESS_END  (UINT64_C(1) << ADDRESS_BITS)
#define PRIVATE      0x10u
#define INVALID      (-(uint64_t)KVM_EINVAL)
#define UNKNOWN      (-(uint64_t)KVM_ENOSYS)

/* Who answers: KVM itself, or vmm after an exit. */
enum who { BY_KVM, BY_VMM };

static const struct row {
	const char *what;
	uint64_t nr, at, pages, attributes, answer;
	enum who who;
} rows[] = {
        {"one page", CALL, 0x100000, 1, 0, 0, BY_VMM},
        {"once more", CALL, 0x100000, 1, 0, 0, BY_VMM},
        {"back", CALL, 0x100000, 1, PRIVATE, 0, BY_VMM},
        {"forth", CALL, 0x100000, 1, 0, 0, BY_VMM},
        {"back again", CALL, 0x100000, 1, PRIVATE, 0, BY_VMM},
        {"back where it is", CALL, 0x100000, 1, PRIVATE, 0, BY_VMM},
        {"one that stays", CALL, 0x108000, 1, 0, 0, BY_VMM},
        {"256 pages", CALL, 0x140000, 0x100, 0, 0, BY_VMM},
        {"16 of them back", CALL, 0x150000, 0x10, PRIVATE, 0, BY_VMM},
        {"2 MiB as one page", CALL, 0x200000, 0x200, 1, 0, BY_VMM},
        {"2 MiB back", CALL, 0x200000, 0x200, PRIVATE | 1, 0, BY_VMM},
        {"all attributes but private", CALL, 0x300000, 2, ~(uint64_t)PRIVATE, 0, BY_VMM},
        {"all attributes", CALL, 0x301000, 1, ~UINT64_C(0), 0, BY_VMM},
        {"firmware", CALL, 0xffff0000, 0x10, 0, 0, BY_VMM},
        {"devices", CALL, 0xc0000000, 0x10, 0, 0, BY_VMM},
        {"across the end of RAM", CALL, 0x3ff000, 3, 0, 0, BY_VMM},
        {"the last address", CALL, ADDRESS_END - 0x1000, 1, 0, 0, BY_VMM},
        {"past the last address", CALL, ADDRESS_END, 1, 0, INVALID, BY_VMM},
        {"across the last address", CALL, ADDRESS_END - 0x1000, 2, 0, INVALID, BY_VMM},
        {"the last page of 64 bits", CALL, ~UINT64_C(0xfff), 1, 0, INVALID, BY_VMM},
        {"as many bytes as wrap around", CALL, 0, UINT64_C(1) << 52, 0, INVALID, BY_VMM},
        {"as many pages as there can be", CALL, 0, ~UINT64_C(0), 0, INVALID, BY_VMM},
        {"pages that wrap around", CALL, 0x1000, ~UINT64_C(0), 0, INVALID, BY_KVM},
        {"no page", CALL, 0x100000, 0, 0, INVALID, BY_KVM},
        {"no page, to private", CALL, 0x108000, 0, PRIVATE, INVALID, BY_KVM},
        {"half a page", CALL, 0x100800, 1, 0, INVALID, BY_KVM},
        {"a byte past a page", CALL, 0x100001, 1, 0, INVALID, BY_KVM},
        {"a call above", CALL + 1, 0x100000, 1, 0, UNKNOWN, BY_KVM},
        {"no call", 77, 0x100000, 1, 0, UNKNOWN, BY_KVM},
        {"the call, and bit 32", CALL | UINT64_C(1) << 32, 0x100000, 1, 0, UNKNOWN, BY_KVM},
        {"the last call", ~UINT64_C(0), 0x100000, 1, 0, UNKNOWN, BY_KVM},
        {"one page, to the end", CALL, 0x3f0000, 1, 0, 0, BY_VMM},
};

/* Frames that are shared after all rows. */
static const struct page_range record[] = {{0x108, 0x109}, {0x140, 0x150}, {0x160, 0x200}, {0x300, 0x301},
        {0x3f0, 0x3f1}, {0x3ff, 0x400}, {0xffff0, 0x100000}};
static const struct page_range devices[] = {
        {0x400, 0x402}, {0xc0000, 0xc0010}, {ADDRESS_END / 4096 - 1, ADDRESS_END / 4096}};

static struct host *host;
static struct bench bench;
static struct run_vcpu vcpu;
static struct err err;

/* ---- the guest ---- */

static void load_image(uint8_t *image)
{
	uint64_t count = ARRAY_LEN(rows);
	int fd = open(CALLS_IMAGE, O_RDONLY | O_CLOEXEC);
	uint8_t *to = image + ROWS_AT + sizeof(count);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, image, IMAGE_BYTES), IMAGE_BYTES);
	close(fd);
	store_le(image + ROWS_AT, 8, count);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++, to += 32) {
		store_le(to, 8, rows[i].nr);
		store_le(to + 8, 8, rows[i].at);
		store_le(to + 16, 8, rows[i].pages);
		store_le(to + 24, 8, rows[i].attributes);
	}
}

static void launch_guest(void)
{
	struct page_memory *memory;

	bench_start(&bench);
	load_image(bench.image.bytes);
	bench_config(&bench, "none", NULL);
	if (bench_launch_on(&bench, host) < 0)
		fail_msg("%s", bench.err.text);
	memory = machine_vm_memory(bench.vm);
	assert_ok(page_memory_keep_record(memory, 4096, &err));
	assert_ok(page_memory_keep_devices(memory, ADDRESS_BITS, &err));
	assert_ok(call_vm_enable_capability(
	        host, machine_vm_fd(bench.vm), KVM_CAP_EXIT_HYPERCALL, 1 << KVM_HC_MAP_GPA_RANGE, &err));
	vcpu = (struct run_vcpu){
	        .machine = bench.machine,
	        .vm = bench.vm,
	        .kvm = machine_vm_vcpu(bench.vm, 0),
	};
}

/* The next row that is vmm's to answer is what KVM passes on. */
static void assert_passed_on(const struct kvm_run *run, size_t *next)
{
	const struct row *row;

	while (*next < ARRAY_LEN(rows) && rows[*next].who == BY_KVM)
		++*next;
	assert_true(*next < ARRAY_LEN(rows));
	row = &rows[(*next)++];
	if (run->hypercall.nr != row->nr || run->hypercall.args[0] != row->at ||
	        run->hypercall.args[1] != row->pages || run->hypercall.args[2] != row->attributes)
		fail_msg("KVM passes on %llu of 0x%llx, 0x%llx, 0x%llx where \"%s\" is expected",
		        (unsigned long long)run->hypercall.nr, (unsigned long long)run->hypercall.args[0],
		        (unsigned long long)run->hypercall.args[1],
		        (unsigned long long)run->hypercall.args[2], row->what);
}

static void run_guest_to_end(void)
{
	const struct kvm_run *run = vcpu.kvm->run;
	size_t next = 0;

	for (;;) {
		int result = run_vcpu_to_exit(&vcpu);

		if (result < 0)
			fail_msg("%s\n%s", vcpu.err.text, vcpu.report);
		if (result)
			continue;
		if (run->exit_reason == KVM_EXIT_IO && run->io.port == PORT_DONE)
			break;
		if (run->exit_reason == KVM_EXIT_HYPERCALL)
			assert_passed_on(run, &next);
		if (run_vcpu_on_exit(&vcpu) != RUN_VCPU_RESUME)
			fail_msg("%s\n%s", vcpu.err.text, vcpu.report);
	}
	while (next < ARRAY_LEN(rows))
		assert_int_equal(rows[next++].who, BY_KVM);
}

/* ---- what it saw, and what is recorded ---- */

static void assert_answers(const struct page_memory *memory)
{
	uint64_t answers[ARRAY_LEN(rows)];

	assert_int_equal(page_read(memory, gpa(ANSWERS_AT), answers, sizeof(answers)), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (answers[i] != rows[i].answer)
			fail_msg("%s: the guest is answered %lld", rows[i].what, (long long)answers[i]);
}

static void assert_ranges(const struct page_range *found, size_t count, const struct page_range *expected,
        size_t expected_count)
{
	assert_int_equal(count, expected_count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(found[i].first, expected[i].first);
		assert_int_equal(found[i].end, expected[i].end);
	}
}

static void assert_record(struct page_memory *memory)
{
	static struct page_range found[PAGE_DEVICES_SHOWN];
	bool complete;
	struct page_record_walk walk = {.memory = memory, .end = PAGE_RANGE_MAP_PAGES_MAX};
	size_t count = 0;

	while (count < ARRAY_LEN(found) && page_record_next(&walk, &found[count]))
		count++;
	assert_ranges(found, count, record, ARRAY_LEN(record));
	count = page_devices_get(memory, found, &complete);
	assert_ranges(found, count, devices, ARRAY_LEN(devices));
	assert_true(complete);
}

static void answer_all(void)
{
	launch_guest();
	run_guest_to_end();
	assert_answers(machine_vm_memory(bench.vm));
	assert_record(machine_vm_memory(bench.vm));
	bench_end(&bench);
}

static void test_calls_on_the_software_platform(void **state)
{
	assert_ok(sim_host_create(&(const struct sim_options){0}, &host, &err));
	answer_all();
}

/* VMMCALL is an instruction of AMD-V's. */
static bool has_amd_v(void)
{
	unsigned eax, ebx, ecx = 0, edx;

	return __get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) && ecx & 4;
}

static void test_calls_on_the_real_kvm(void **state)
{
	if (!has_amd_v() || access("/dev/kvm", R_OK | W_OK) < 0) {
		print_message("this machine has no KVM with AMD-V; the lab runs this test\n");
		skip();
	}
	assert_ok(host_kernel_create(&host, &err));
	answer_all();
}

static int teardown(void **state)
{
	host_destroy(take_ptr(&host));
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_teardown(test_calls_on_the_software_platform, teardown),
	        cmocka_unit_test_teardown(test_calls_on_the_real_kvm, teardown),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

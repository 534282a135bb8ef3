/* SPDX-License-Identifier: Apache-2.0 */
/* Port and memory accesses, given by hand as the kernel would, and as it never should. */
#include "../../../src/run/vcpu.h"
#include "unit/launch/bench.h"

#define SERIAL_SCRATCH 0x3ff /* a register that keeps what is written */
#define DATA_OFFSET    4096

static struct bench bench;
static struct run_vcpu vcpu;
static struct kvm_run *run;
static uint8_t *data;

static void start(const char *type)
{
	bench_start(&bench);
	if (bench_launch(&bench, type, NULL) < 0)
		fail_msg("%s", bench.err.text);
	vcpu = (struct run_vcpu){
	        .machine = bench.machine,
	        .vm = bench.vm,
	        .kvm = machine_vm_vcpu(bench.vm, 0),
	};
	run = vcpu.kvm->run;
	data = (uint8_t *)run + DATA_OFFSET;
}

static int setup(void **state)
{
	start("sev");
	return 0;
}

static int teardown(void **state)
{
	bench_end(&bench);
	return 0;
}

static enum run_vcpu_verdict io(uint8_t direction, uint8_t size, uint32_t count, uint64_t offset)
{
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = direction;
	run->io.size = size;
	run->io.port = SERIAL_SCRATCH;
	run->io.count = count;
	run->io.data_offset = offset;
	return run_vcpu_on_exit(&vcpu);
}

static enum run_vcpu_verdict mmio(uint32_t size, bool is_write)
{
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = 0xc0000000;
	run->mmio.len = size;
	run->mmio.is_write = is_write;
	return run_vcpu_on_exit(&vcpu);
}

static void assert_ended(enum err_kind kind, const char *part)
{
	assert_int_equal(vcpu.err.kind, kind);
	if (!strstr(vcpu.err.text, part))
		fail_msg("\"%s\" lacks \"%s\"", vcpu.err.text, part);
}

static void assert_refused(enum run_vcpu_verdict verdict, const char *part)
{
	assert_int_equal(verdict, RUN_VCPU_FAIL);
	assert_ended(ERR_FAILED, part);
}

static void test_exit_io_moves_each_element(void **state)
{
	memcpy(data, "abc", 3);
	assert_int_equal(io(KVM_EXIT_IO_OUT, 1, 3, DATA_OFFSET), RUN_VCPU_RESUME);
	memset(data, 0, 4);
	assert_int_equal(io(KVM_EXIT_IO_IN, 1, 2, DATA_OFFSET), RUN_VCPU_RESUME);
	assert_memory_equal(data, "cc\0", 4);
}

/* Up to the last mapped byte, and not one further. */
static void test_exit_io_whose_data_is_not_mapped_is_refused(void **state)
{
	const uint64_t end = vcpu.kvm->run_size;
	const struct {
		uint8_t size;
		uint32_t count;
		uint64_t offset;
	} wrong[] = {
	        {1, 1, end},
	        {1, 2, end - 1},
	        {4, 1, end - 3},
	        {4, UINT32_MAX, DATA_OFFSET},
	        {4, 0x40000000, DATA_OFFSET}, /* 4 GiB: 0 in 32 bits */
	        {1, 1, UINT64_MAX},
	        {1, 2, UINT64_MAX - 1},
	        {1, 1, 0}, /* the kernel's own fields */
	        {1, 1, sizeof(struct kvm_run) - 1},
	};

	assert_int_equal(io(KVM_EXIT_IO_IN, 4, 1, end - 4), RUN_VCPU_RESUME);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_refused(io(KVM_EXIT_IO_IN, wrong[i].size, wrong[i].count, wrong[i].offset),
		        "an impossible port access");
}

/* No instruction has such a size, so KVM made it up. */
static void test_exit_io_of_no_known_size_is_refused(void **state)
{
	static const uint8_t sizes[] = {0, 3, 5, 6, 7, 8, 255};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		assert_refused(io(KVM_EXIT_IO_OUT, sizes[i], 1, DATA_OFFSET), "an impossible port access");
	assert_refused(io(2, 1, 1, DATA_OFFSET), "direction 2");
}

/* A guest with a GHCB writes the size there, and KVM takes what fits into its field. The rest is KVM's. */
static void test_exit_io_of_a_size_from_the_ghcb_is_the_guests_crash(void **state)
{
	static const char *const types[] = {"sev-es", "sev-snp"};
	static const uint8_t guests[] = {3, 5, 6, 7}, kvms[] = {0, 8, 255};

	for (size_t t = 0; t < ARRAY_LEN(types); t++) {
		bench_end(&bench);
		start(types[t]);
		for (unsigned size = 1; size <= 4; size *= 2)
			assert_int_equal(io(KVM_EXIT_IO_OUT, (uint8_t)size, 1, DATA_OFFSET), RUN_VCPU_RESUME);
		for (size_t i = 0; i < ARRAY_LEN(guests); i++) {
			char part[80];

			snprintf(part, sizeof(part), "by its GHCB for an access of %u bytes to port 0x3ff",
			        guests[i]);
			for (uint8_t out = 0; out < 2; out++) {
				assert_int_equal(io(out, guests[i], 1, DATA_OFFSET), RUN_VCPU_CRASH);
				assert_ended(ERR_GUEST, part);
			}
			assert_refused(io(2, guests[i], 1, DATA_OFFSET), "direction 2");
			assert_refused(io(KVM_EXIT_IO_IN, guests[i], 1, 0), "an impossible port access");
		}
		for (size_t i = 0; i < ARRAY_LEN(kvms); i++)
			assert_refused(
			        io(KVM_EXIT_IO_OUT, kvms[i], 1, DATA_OFFSET), "an impossible port access");
	}
}

/*
 * Each element can be a transfer of gigabytes, so a vCPU that is called looks at the call after each of them.
 * A guest that goes on gets every element, once.
 */
static void test_exit_io_of_a_vcpu_that_is_called_is_done_in_parts(void **state)
{
	for (unsigned i = 0; i < 5; i++)
		data[i] = (uint8_t)('a' + i);
	vcpu.called = true;
	for (unsigned i = 1; i < 5; i++) {
		assert_int_equal(io(KVM_EXIT_IO_OUT, 1, 5, DATA_OFFSET), RUN_VCPU_AGAIN);
		assert_int_equal(vcpu.io_done, i);
	}
	assert_int_equal(io(KVM_EXIT_IO_OUT, 1, 5, DATA_OFFSET), RUN_VCPU_RESUME);
	assert_int_equal(vcpu.io_done, 0);
	assert_int_equal(io(KVM_EXIT_IO_IN, 1, 1, DATA_OFFSET), RUN_VCPU_RESUME);
	assert_int_equal(data[0], 'e');
}

static void test_exit_mmio_of_an_impossible_size_is_refused(void **state)
{
	static const uint32_t sizes[] = {0, 9, 16, UINT32_MAX};

	assert_int_equal(mmio(8, false), RUN_VCPU_RESUME);
	assert_memory_equal(run->mmio.data, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		assert_refused(mmio(sizes[i], false), "it must have 1 to 8");
		assert_refused(mmio(sizes[i], true), "it must have 1 to 8");
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_exit_io_moves_each_element),
	        TEST(test_exit_io_whose_data_is_not_mapped_is_refused),
	        TEST(test_exit_io_of_no_known_size_is_refused),
	        TEST(test_exit_io_of_a_size_from_the_ghcb_is_the_guests_crash),
	        TEST(test_exit_io_of_a_vcpu_that_is_called_is_done_in_parts),
	        TEST(test_exit_mmio_of_an_impossible_size_is_refused),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

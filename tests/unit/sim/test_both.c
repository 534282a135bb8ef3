/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests that the comparison of the translator with the interpreter notices what is wrong, says what, and
 * compares all that it can: registers, flags, memory, exceptions. The faults are made here, by wrong
 * translations of right instructions.
 */
#include "cpu_bench.h"
#include "ops.h"

jit_fn __real_jit_alu, __wrap_jit_alu, __real_jit_store, __wrap_jit_store, __real_jit_jump, __wrap_jit_jump;

static enum { RIGHT, WRONG_RESULT, WRONG_FLAGS, WRONG_BYTE, WRONG_PLACE } fault;

/* Adds to a guest's register in native code, and leaves the flags alone. */
static void add_to(struct translation *t, unsigned guest, int value)
{
	unsigned home = (unsigned)jit_home[guest];

	put_rm(&t->e, X_LEA, 8, home, home, value);
}

bool __wrap_jit_alu(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	bool done = __real_jit_alu(t, op, detail);

	if (fault == WRONG_RESULT)
		add_to(t, CPU_RBX, 4);
	if (fault == WRONG_FLAGS)
		put8(&t->e, 0xf5); /* CMC */
	return done;
}

bool __wrap_jit_store(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	bool done;

	if (fault == WRONG_BYTE)
		add_to(t, CPU_RAX, 1);
	done = __real_jit_store(t, op, detail);
	if (fault == WRONG_BYTE)
		add_to(t, CPU_RAX, -1);
	return done;
}

bool __wrap_jit_jump(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	if (fault != WRONG_PLACE)
		return __real_jit_jump(t, op, detail);
	jit_go_on_at(t, t->linear + op->imm + 1, t->block->count);
	return true;
}

static int setup(void **state)
{
	fault = RIGHT;
	setenv("SIM_CPU", "both", 1);
	return bench_setup(state);
}

#define CELL 0x40008u

/* The page is written twice, the second time by native code with a warm TLB. */
GUEST(work, 64,
        "mov $0x1234, %eax\n\t"
        "add $3, %rbx\n\t"
        "adc $0, %rcx\n\t"
        "mov %al, 0x40000\n\t"
        "mov %al, 0x40008\n\t"
        "jmp 1f\n\t"
        "1: nop\n\t"
        "hlt\n\t");

/* Runs the guest; returns what vmm would have said. */
static const char *said(struct bench *b, enum cpu_exit exit)
{
	static char text[4096];
	FILE *log = tmpfile();
	int saved = dup(STDERR_FILENO);
	enum cpu_exit found;
	size_t size;

	assert_true(log && saved >= 0);
	fflush(stderr);
	dup2(fileno(log), STDERR_FILENO);
	bench_long(b, work, work_end, 0);
	found = bench_run(b);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(log);
	size = fread(text, 1, sizeof(text) - 1, log);
	text[size] = '\0';
	fclose(log);
	if (found != exit)
		print_message("%s", text);
	assert_int_equal(found, exit);
	return text;
}

static struct jit_counts counts(const struct bench *b)
{
	struct jit_counts counts = {0};

	jit_add_counts(b->cpu, &counts);
	return counts;
}

static void test_both_blocks_that_are_right_are_compared_without_a_word(void **state)
{
	struct bench *b = *state;

	assert_string_equal(said(b, CPU_EXIT_HLT), "");
	assert_int_equal(counts(b).compared, 2);
	assert_int_equal(counts(b).alone, 0);
	assert_int_equal(bench_get(b, CELL), 0x34);
}

static void assert_fault(struct bench *b, int kind, const char *const words[static 2])
{
	const char *text;

	fault = kind;
	text = said(b, CPU_EXIT_FAILED);
	for (unsigned i = 0; i < 2; i++)
		if (!strstr(text, words[i]))
			fail_msg("\"%s\" is not in:\n%s", words[i], text);
	/* Nothing of the block is done. */
	assert_int_equal(bench_regs(b).rip, CODE);
	assert_int_equal(bench_regs(b).rbx, 0);
	assert_int_equal(bench_get(b, CELL), 0);
}

#define ABOUT "differ about the 6 instructions at 0x1000"

static void test_both_wrong_result_is_told_with_the_register(void **state)
{
	assert_fault(
	        *state, WRONG_RESULT, (const char *const[]){ABOUT, "rbx: 0x3 interpreted, 0xb translated"});
}

static void test_both_wrong_flag_is_told(void **state)
{
	assert_fault(*state, WRONG_FLAGS, (const char *const[]){ABOUT, "flag_result"});
}

static void test_both_wrong_byte_in_memory_is_told_with_its_address(void **state)
{
	assert_fault(*state, WRONG_BYTE,
	        (const char *const[]){"code: b8 34 12 00 00 48 83 c3 03 48 83 d1 00",
	                "guest-physical 0x40000: 0x34 interpreted, 0x35 translated"});
}

static void test_both_wrong_jump_is_told(void **state)
{
	assert_fault(*state, WRONG_PLACE, (const char *const[]){ABOUT, "rip: 0x"});
}

GUEST(faults, 64,
        "mov $0x40000, %edi\n\t"
        "mov %eax, (%rdi)\n\t"
        "mov $0x900000, %edi\n\t"
        "mov %eax, (%rdi)\n\t");

static void test_both_compares_exceptions(void **state)
{
	struct bench *b = *state;

	bench_long(b, faults, faults_end, 0);
	assert_int_equal(bench_vector(b), 14);
	assert_int_equal(counts(b).compared, 2); /* with the handler's */
	assert_int_equal(counts(b).alone, 0);
}

static unsigned asked;

static bool device(void *ctx, bool write, uint64_t gpa, uint32_t size, void *data)
{
	asked++;
	memset(data, 7, size);
	return true;
}

GUEST(asks, 64,
        "mov $0xd0000000, %ecx\n\t"
        "mov (%rcx), %eax\n\t"
        "jmp 1f\n\t"
        "1: hlt\n\t");

static void test_both_asks_a_device_once(void **state)
{
	struct bench *b = *state;

	b->bus.mmio = device;
	asked = 0;
	bench_long(b, asks, asks_end, 0);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	assert_int_equal(asked, 1);
	assert_int_equal(bench_regs(b).rax, 0x07070707);
	assert_int_equal(counts(b).compared, 1);
	assert_int_equal(counts(b).alone, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_both_blocks_that_are_right_are_compared_without_a_word),
	        TEST(test_both_wrong_result_is_told_with_the_register),
	        TEST(test_both_wrong_flag_is_told),
	        TEST(test_both_wrong_byte_in_memory_is_told_with_its_address),
	        TEST(test_both_wrong_jump_is_told),
	        TEST(test_both_compares_exceptions),
	        TEST(test_both_asks_a_device_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

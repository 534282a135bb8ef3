/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests that the translator computes what the interpreter does, to the last bit: the traces of a guest must
 * not tell one from the other, also where the manuals leave a flag open. The cases are those of cpu_diff,
 * several instructions in a row as one block.
 */
#include "diff.h"
#include "support/test.h"

#define RUNS    60000
#define ROW_MAX 8

/* Puts the instructions of more cases behind those of the first, as many as there is room for. */
static void make_row(struct diff_random *random, struct diff_case *row)
{
	struct diff_case next;

	diff_generate(random, UINT32_MAX, NULL, row);
	for (unsigned i = (unsigned)diff_random(random) % ROW_MAX; i > 0; i--) {
		diff_generate(random, UINT32_MAX, NULL, &next);
		if (row->mode32 != next.mode32 || row->code_size + next.code_size > (int)sizeof(row->code))
			continue;
		memcpy(row->code + row->code_size, next.code, next.code_size);
		row->code_size = (uint8_t)(row->code_size + next.code_size);
	}
}

static void assert_same(const struct diff_case *row, const struct diff_result results[static 2])
{
	if (memcmp(&results[0], &results[1], sizeof(results[0])) == 0)
		return;
	print_message("code:");
	for (unsigned i = 0; i < row->code_size; i++)
		print_message(" %02x", row->code[i]);
	for (unsigned i = 0; i < 16; i++)
		print_message("\n%u: %llx, interpreted %llx, translated %llx", i,
		        (unsigned long long)row->start.gpr[i], (unsigned long long)results[0].end.gpr[i],
		        (unsigned long long)results[1].end.gpr[i]);
	print_message("\n");
	assert_int_equal(results[0].vector, results[1].vector);
	assert_int_equal(results[0].end.rip, results[1].end.rip);
	assert_int_equal(results[0].end.rflags, results[1].end.rflags);
	assert_int_equal(results[0].instructions, results[1].instructions);
	assert_memory_equal(&results[0], &results[1], sizeof(results[0]));
}

static void test_diff_translator_computes_what_the_interpreter_does(void **state)
{
	static uint8_t data[2][DIFF_DATA_BYTES];
	struct diff_soft *soft[] = {diff_soft_start(false), diff_soft_start(true)};
	struct diff_random random = {.state = 1};
	static struct diff_result results[2];
	struct diff_case row;

	for (unsigned i = 0; i < DIFF_DATA_BYTES; i++)
		data[0][i] = data[1][i] = (uint8_t)diff_random(&random);
	for (unsigned i = 0; i < RUNS; i++) {
		make_row(&random, &row);
		for (unsigned j = 0; j < 2; j++)
			diff_soft_run(soft[j], &row, 1, data[j], &results[j]);
		assert_same(&row, results);
		assert_memory_equal(data[0], data[1], DIFF_DATA_BYTES);
	}
	for (unsigned j = 0; j < 2; j++)
		diff_soft_stop(soft[j]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_diff_translator_computes_what_the_interpreter_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

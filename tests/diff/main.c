/*
 * cpu_diff [--cases N] [--seed S] [--form TEXT]: the differential test. Prints the seed; exit status 1 and a
 * report of the first differences if there are any; 77 if this host cannot run it.
 */
#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "diff.h"

#define REPORTS_MAX 20

static unsigned reports;

static void print_bytes(const char *name, const uint8_t *n, const uint8_t *s, unsigned size, unsigned step)
{
	for (unsigned i = 0; i < size; i += step) {
		if (!memcmp(n + i, s + i, step))
			continue;
		printf("  %s+%x native", name, i);
		for (unsigned k = 0; k < step; k++)
			printf(" %02x", n[i + k]);
		printf(" soft");
		for (unsigned k = 0; k < step; k++)
			printf(" %02x", s[i + k]);
		printf("\n");
	}
}

static void report(
        uint64_t number, const struct diff_case *c, const struct diff_result *n, const struct diff_result *s)
{
	if (++reports > REPORTS_MAX)
		return;
	printf("case %llu: %s (%s bits):", (unsigned long long)number, c->form, c->mode32 ? "32" : "64");
	for (unsigned i = 0; i < c->code_size; i++)
		printf(" %02x", c->code[i]);
	printf("\n  vector native %u soft %u, error %x %x, cr2 %llx %llx, rip %llx %llx\n", n->vector,
	        s->vector, n->error, s->error, (unsigned long long)n->cr2, (unsigned long long)s->cr2,
	        (unsigned long long)n->end.rip, (unsigned long long)s->end.rip);
	for (unsigned i = 0; i < 16; i++)
		if (n->end.gpr[i] != s->end.gpr[i])
			printf("  gpr %u: start %016llx native %016llx soft %016llx\n", i,
			        (unsigned long long)c->start.gpr[i], (unsigned long long)n->end.gpr[i],
			        (unsigned long long)s->end.gpr[i]);
	printf("  flags: start %03llx native %03llx soft %03llx undefined %03x; rax %llx rcx %llx\n",
	        (unsigned long long)c->start.rflags & 0xfff, (unsigned long long)n->end.rflags & 0xfff,
	        (unsigned long long)s->end.rflags & 0xfff, c->undefined, (unsigned long long)c->start.gpr[0],
	        (unsigned long long)c->start.gpr[1]);
	print_bytes("fx", n->end.fxsave, s->end.fxsave, 32, 4);
	if (c->fpu)
		print_bytes("st", n->end.fxsave + 32, s->end.fxsave + 32, 128, 16);
	print_bytes("xmm", n->end.fxsave + 160, s->end.fxsave + 160, 256, 16);
	print_bytes("data", n->data, s->data, DIFF_DATA_BYTES, 16);
}

/* What __builtin_cpu_supports() of clang 14 knows only in part. CPUID leaves 1, 7 and 0x80000001. */
static uint32_t host_features(void)
{
	unsigned a, b, c1 = 0, d, b7 = 0, c, c8 = 0;

	__get_cpuid(1, &a, &b, &c1, &d);
	__get_cpuid_count(7, 0, &a, &b7, &c, &d);
	__get_cpuid(0x80000001, &a, &b, &c8, &d);
	return (c1 & bit_SSE3 ? DIFF_SSE3 : 0) | (c1 & bit_SSSE3 ? DIFF_SSSE3 : 0) |
	       (c1 & bit_SSE4_1 ? DIFF_SSE41 : 0) | (c1 & bit_SSE4_2 ? DIFF_SSE42 : 0) |
	       (c1 & bit_POPCNT ? DIFF_POPCNT : 0) | (c1 & bit_MOVBE ? DIFF_MOVBE : 0) |
	       (c8 & bit_LZCNT ? DIFF_LZCNT : 0) | (b7 & bit_BMI ? DIFF_BMI1 : 0) |
	       (b7 & bit_ADX ? DIFF_ADX : 0) | DIFF_MODE32;
}

static struct diff_case cases[DIFF_BATCH];
static struct diff_result native_results[DIFF_BATCH], soft_result;

/* Returns the number of differences of one batch, or -1. */
static int run_batch(struct diff_native *native, struct diff_soft *soft, struct diff_random *random,
        uint64_t number, uint32_t features, const char *only)
{
	uint8_t data[DIFF_DATA_BYTES];
	int differences = 0;

	for (unsigned i = 0; i < DIFF_BATCH; i++)
		do {
			diff_generate(random, features, &cases[i]);
		} while (only && strncmp(cases[i].form, only, strlen(only)) != 0);
	for (unsigned i = 0; i < sizeof(data); i += 8) {
		uint64_t value = diff_random(random);

		memcpy(data + i, &value, 8);
	}
	if (!diff_native_run(native, cases, DIFF_BATCH, data, native_results))
		return -1;
	for (unsigned i = 0; i < DIFF_BATCH; i++) {
		diff_soft_run(soft, &cases[i], data, &soft_result);
		if (!diff_equal(&cases[i], &native_results[i], &soft_result)) {
			report(number + i, &cases[i], &native_results[i], &soft_result);
			differences++;
		}
		memcpy(data, native_results[i].data, sizeof(data));
	}
	return differences;
}

int main(int argc, char **argv)
{
	struct diff_random random = {.state = (uint64_t)time(NULL) * 0x9e3779b97f4a7c15u};
	uint64_t count = 100000, done = 0, differences = 0;
	uint32_t features = host_features();
	const char *only = NULL;
	struct diff_native *native;
	struct diff_soft *soft;

	if (argc < 2)
		return 2;
	for (int i = 2; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--cases"))
			count = strtoull(argv[i + 1], NULL, 0);
		else if (!strcmp(argv[i], "--seed"))
			random.state = strtoull(argv[i + 1], NULL, 0);
		else if (!strcmp(argv[i], "--form"))
			only = argv[i + 1];
	}
	printf("seed 0x%llx\n", (unsigned long long)random.state);
	fflush(stdout);
	native = diff_native_start(argv[1]);
	soft = diff_soft_start();
	for (; native && done < count; done += DIFF_BATCH) {
		int found = run_batch(native, soft, &random, done, features, only);

		if (found < 0)
			return 1;
		differences += (uint64_t)found;
	}
	printf("%llu cases, %llu differences\n", (unsigned long long)done, (unsigned long long)differences);
	diff_rules_print();
	diff_native_stop(native);
	diff_soft_stop(soft);
	return differences ? 1 : 0;
}

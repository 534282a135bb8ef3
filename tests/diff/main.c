/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu_diff: the differential test: batches of cases on both sides, by several threads. Prints the seed; exit
 * status 1 and a report of the first differences if there are any. --vendor: leaves out and excuses what it
 * would if the host were of that vendor.
 */
#include <cpuid.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "diff.h"

#define REPORTS_MAX 20000
#define JOBS_MAX    16

/* ---- reports ---- */

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

static void report(const struct diff_case *c, const struct diff_result *n, const struct diff_result *s)
{
	printf("%s (%s bits):", c->form, c->mode32 ? "32" : "64");
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
	for (const struct diff_poke *p = c->pokes; p < c->pokes + 2; p++)
		for (unsigned i = 0; i < p->size; i += 8) {
			unsigned long long value;

			memcpy(&value, p->bytes + i, sizeof(value));
			printf("  data+%x was set to %016llx\n", p->at + i, value);
		}
	print_bytes("fx", n->end.fxsave, s->end.fxsave, 32, 4);
	if (c->fpu)
		print_bytes("st", n->end.fxsave + 32, s->end.fxsave + 32, 128, 16);
	print_bytes("xmm", n->end.fxsave + 160, s->end.fxsave + 160, 256, 16);
	print_bytes("ymm", n->end.ymm, s->end.ymm, 256, 16);
}

/* ---- what the host has ---- */

static const struct {
	uint32_t leaf, subleaf;
	uint8_t reg, bit; /* EAX to EDX */
	uint32_t feature;
	const char *name;
} features[] = {
        {1, 0, 2, 0, DIFF_SSE3, "SSE3"},
        {1, 0, 2, 1, DIFF_PCLMUL, "PCLMULQDQ"},
        {1, 0, 2, 9, DIFF_SSSE3, "SSSE3"},
        {1, 0, 2, 19, DIFF_SSE41, "SSE4.1"},
        {1, 0, 2, 20, DIFF_SSE42, "SSE4.2"},
        {1, 0, 2, 22, DIFF_MOVBE, "MOVBE"},
        {1, 0, 2, 23, DIFF_POPCNT, "POPCNT"},
        {1, 0, 2, 25, DIFF_AES, "AES"},
        {1, 0, 2, 27, DIFF_XSAVE, "XSAVE"},
        {7, 0, 1, 3, DIFF_BMI1, "BMI1"},
        {7, 0, 1, 8, DIFF_BMI2, "BMI2"},
        {1, 0, 2, 28, DIFF_AVX, "AVX"},
        {1, 0, 2, 12, DIFF_FMA, "FMA"},
        {1, 0, 2, 29, DIFF_F16C, "F16C"},
        {7, 0, 1, 5, DIFF_AVX2, "AVX2"},
        {7, 0, 2, 9, DIFF_VAES, "VAES"},
        {7, 0, 2, 10, DIFF_VPCLMUL, "VPCLMULQDQ"},
        {7, 0, 1, 19, DIFF_ADX, "ADX"},
        {7, 0, 1, 23, DIFF_CLFLUSHOPT, "CLFLUSHOPT"},
        {7, 0, 1, 24, DIFF_CLWB, "CLWB"},
        {7, 0, 1, 29, DIFF_SHA, "SHA"},
        {0xd, 1, 0, 0, DIFF_XSAVEOPT, "XSAVEOPT"},
        {0xd, 1, 0, 1, DIFF_XSAVEC, "XSAVEC"},
        {0x80000001, 0, 2, 5, DIFF_LZCNT, "LZCNT"},
        {0x80000001, 0, 2, 6, DIFF_SSE4A, "SSE4A"},
        {0x80000001, 0, 2, 7, DIFF_MISALIGN, "MXCSR.MM"},
};

/* As CPUID says. */
static void host_vendor(char ret_name[static 13])
{
	unsigned max, b = 0, c = 0, d = 0;

	__get_cpuid(0, &max, &b, &c, &d);
	memcpy(ret_name, &b, 4);
	memcpy(ret_name + 4, &d, 4);
	memcpy(ret_name + 8, &c, 4);
	ret_name[12] = 0;
}

/* Linux gives an address above 47 bits to a caller that asks for one, where there are any. */
static bool host_five_levels(void)
{
	void *at = mmap((void *)((uintptr_t)1 << 48), 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return false;
	munmap(at, 4096);
	return (uintptr_t)at >> 47;
}

/*
 * Does INT3 raise #BP in a code segment of 32 bits? Where the host is itself a guest whose hypervisor has no
 * such segment (PVM), or whose kernel was told to have none (ia32_emulation=off), the jump there raises #GP.
 */
static bool host_runs_32_bits(const char *native_program)
{
	static const struct diff_case c = {
	        .start = {.rip = DIFF_CODE, .rflags = 0x202}, .mode32 = true, .code = {0xcc}, .code_size = 1};
	struct diff_native *native = diff_native_start(native_program);
	uint8_t data[DIFF_DATA_BYTES] = {0};
	struct diff_result result;

	if (!diff_native_run(native, &c, 1, data, &result))
		exit(2);
	diff_native_stop(native);
	return result.vector == 3;
}

/* Prints the features that are missing; their forms are left out. */
static uint32_t host_features(const char *vendor, const char *native_program)
{
	uint32_t has = DIFF_SPLIT_LOCK;

	if (host_runs_32_bits(native_program))
		has |= DIFF_MODE32;
	else
		printf("left out, the host has no code segment of 32 bits: code of 32 bits\n");
	/*
	 * On such a processor Linux makes a process that does this wait (split_lock_detect=warn), or sends it
	 * SIGBUS.
	 */
	if (!strcmp(vendor, DIFF_INTEL)) {
		has &= ~(uint32_t)DIFF_SPLIT_LOCK;
		printf("left out, the host may detect them: LOCKs across cache lines\n");
	}

	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		unsigned regs[4] = {0};

		__get_cpuid_count(
		        features[i].leaf, features[i].subleaf, &regs[0], &regs[1], &regs[2], &regs[3]);
		if (regs[features[i].reg] >> features[i].bit & 1)
			has |= features[i].feature;
		else
			printf("left out, the host has no %s\n", features[i].name);
	}
	return has;
}

/* ---- a batch ---- */

struct worker {
	struct diff_native *native;
	struct diff_soft *soft;
	struct diff_case cases[DIFF_BATCH];
	struct diff_result native_results[DIFF_BATCH], soft_results[DIFF_BATCH];
	uint8_t start_data[DIFF_DATA_BYTES], native_data[DIFF_DATA_BYTES], soft_data[DIFF_DATA_BYTES];
	pthread_t thread;
};

/* Shared by the workers; what changes is atomic or under the lock. */
static struct {
	const char *native_program, *only, *hosts[3];
	bool translated; /* the software processor translates */
	uint64_t seed, batches;
	uint32_t features;
	_Atomic uint64_t next_batch, differences;
	_Atomic bool failed;
	pthread_mutex_t lock;
	unsigned reports;
} run = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Batch 0's is the seed itself: a batch can be repeated alone. */
static uint64_t batch_seed(uint64_t batch)
{
	return run.seed + batch * 0xd1342543de82ef95u;
}

static void generate(struct worker *w, uint64_t batch)
{
	struct diff_random random = {.state = batch_seed(batch)};

	for (unsigned i = 0; i < DIFF_BATCH; i++)
		diff_generate(&random, run.features, run.only, &w->cases[i]);
	for (unsigned i = 0; i < DIFF_DATA_BYTES; i += 8) {
		uint64_t value = diff_random(&random);

		memcpy(w->start_data + i, &value, 8);
	}
}

/* Cases first to first + count - 1 on both sides, from the native data or the start's. */
static bool run_both(struct worker *w, unsigned first, unsigned count, const uint8_t *data)
{
	memmove(w->soft_data, data, DIFF_DATA_BYTES);
	memmove(w->native_data, data, DIFF_DATA_BYTES);
	if (!diff_native_run(w->native, w->cases + first, count, w->native_data, w->native_results + first))
		return false;
	diff_soft_run(w->soft, w->cases + first, count, w->soft_data, w->soft_results + first);
	return true;
}

/* Are the results equal except for what is excused, including the data at the end? */
static bool batch_fine(const struct worker *w)
{
	bool fine = memcmp(w->native_data, w->soft_data, DIFF_DATA_BYTES) == 0;

	for (unsigned i = 0; i < DIFF_BATCH && fine; i++) {
		unsigned parts = diff_compare(&w->cases[i], &w->native_results[i], &w->soft_results[i]);

		if (!parts)
			continue;
		pthread_mutex_lock(&run.lock);
		fine = diff_excused(
		        run.hosts, &w->cases[i], &w->native_results[i], &w->soft_results[i], parts);
		pthread_mutex_unlock(&run.lock);
	}
	return fine;
}

static void judge(struct worker *w, uint64_t batch, unsigned i)
{
	const struct diff_case *c = &w->cases[i];
	const struct diff_result *n = &w->native_results[i], *s = &w->soft_results[i];
	unsigned parts = diff_compare(c, n, s);

	if (memcmp(w->native_data, w->soft_data, DIFF_DATA_BYTES))
		parts |= PART_DATA;
	if (!parts)
		return;
	pthread_mutex_lock(&run.lock);
	if (!diff_excused(run.hosts, c, n, s, parts)) {
		run.differences++;
		if (run.reports++ < REPORTS_MAX) {
			printf("seed 0x%llx, case %u, ", (unsigned long long)batch_seed(batch), i);
			report(c, n, s);
			print_bytes("data", w->native_data, w->soft_data, DIFF_DATA_BYTES, 16);
		}
	}
	pthread_mutex_unlock(&run.lock);
}

/*
 * Compares all cases at once. If something differs, runs them one by one, each from the native side's data.
 */
static bool run_batch(struct worker *w, uint64_t batch)
{
	generate(w, batch);
	if (!run_both(w, 0, DIFF_BATCH, w->start_data))
		return false;
	if (batch_fine(w))
		return true;
	memcpy(w->native_data, w->start_data, DIFF_DATA_BYTES);
	for (unsigned i = 0; i < DIFF_BATCH; i++) {
		if (!run_both(w, i, 1, w->native_data))
			return false;
		judge(w, batch, i);
	}
	return true;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	uint64_t batch;

	while (!run.failed && (batch = run.next_batch++) < run.batches)
		if (!run_batch(w, batch)) {
			fprintf(stderr, "seed 0x%llx\n", (unsigned long long)batch_seed(batch));
			run.failed = true;
		}
	return NULL;
}

/* ---- the whole ---- */

static void run_workers(unsigned jobs)
{
	struct worker *workers = calloc(jobs, sizeof(*workers));

	if (!workers)
		abort();
	for (unsigned i = 0; i < jobs; i++) {
		workers[i].native = diff_native_start(run.native_program);
		workers[i].soft = diff_soft_start(run.translated);
	}
	for (unsigned i = 0; i < jobs; i++)
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			abort();
	for (unsigned i = 0; i < jobs; i++)
		pthread_join(workers[i].thread, NULL);
	for (unsigned i = 0; i < jobs; i++) {
		diff_native_stop(workers[i].native);
		diff_soft_stop(workers[i].soft);
	}
	free(workers);
}

static bool parse(int argc, char **argv, unsigned *ret_jobs)
{
	uint64_t count = 100000;

	run.seed = (uint64_t)time(NULL) * 0x9e3779b97f4a7c15u;
	for (int i = 2; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--cases"))
			count = strtoull(argv[i + 1], NULL, 0);
		else if (!strcmp(argv[i], "--seed"))
			run.seed = strtoull(argv[i + 1], NULL, 0);
		else if (!strcmp(argv[i], "--form"))
			run.only = argv[i + 1];
		else if (!strcmp(argv[i], "--vendor"))
			run.hosts[0] = argv[i + 1];
		else if (!strcmp(argv[i], "--processor"))
			run.translated = !strcmp(argv[i + 1], "translator");
		else if (!strcmp(argv[i], "--jobs"))
			*ret_jobs = (unsigned)strtoul(argv[i + 1], NULL, 0);
		else
			return false;
	}
	run.batches = (count + DIFF_BATCH - 1) / DIFF_BATCH;
	return argc >= 2 && argc % 2 == 0 && *ret_jobs && *ret_jobs <= JOBS_MAX;
}

int main(int argc, char **argv)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	char vendor[13];
	unsigned jobs = processors < 1 ? 1 : processors > JOBS_MAX ? JOBS_MAX : (unsigned)processors;

	if (!parse(argc, argv, &jobs)) {
		fprintf(stderr, "usage: cpu_diff NATIVE [--cases N] [--seed S] [--form TEXT] [--jobs N] "
		                "[--vendor NAME] [--processor translator]\n");
		return 2;
	}
	run.native_program = argv[1];
	host_vendor(vendor);
	if (!run.hosts[0])
		run.hosts[0] = vendor;
	if (host_five_levels())
		run.hosts[1] = DIFF_LA57;
	run.features = host_features(run.hosts[0], run.native_program);
	printf("seed 0x%llx\n", (unsigned long long)run.seed);
	fflush(stdout);
	run_workers(jobs);
	diff_excuses_print();
	printf("%llu cases, %llu differences\n", (unsigned long long)run.batches * DIFF_BATCH,
	        (unsigned long long)run.differences);
	return run.failed || run.differences ? 1 : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure: measures what a launch digest costs, against plain hashing of the same bytes in the same process.
 * The runs alternate, and the medians count. It judges nothing: docs/performance.md has the figures.
 */
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include "vmm/launch.h"

#define RUNS_MAX 101

struct job {
	const uint8_t *image;
	uint64_t bytes;
	enum config_sev_type type;
};

/* Reads the time of this thread, which does not include other work on the machine. */
static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *times, int runs)
{
	qsort(times, (size_t)runs, sizeof(*times), by_size);
	return times[runs / 2];
}

static double time_plain(const struct job *job)
{
	const EVP_MD *md = job->type == CONFIG_SEV_SNP ? EVP_sha384() : EVP_sha256();
	uint8_t digest[SHA384_BYTES];
	double start = seconds();

	if (EVP_Digest(job->image, job->bytes, digest, NULL, md, NULL) != 1)
		abort();
	return seconds() - start;
}

static double time_launch(const struct job *job)
{
	const struct launch_item item = {
	        .name = "firmware",
	        .type = ABI_PAGE_NORMAL,
	        .gpa = gpa(GIB(4) - job->bytes),
	        .size_bytes = job->bytes,
	        .data = job->image,
	};
	struct launch_hasher *hasher;
	struct launch_digest digest;
	struct err err;
	double start = seconds();

	if (launch_hasher_create(job->type, NULL, &hasher, &err) < 0)
		abort();
	launch_hasher_add(hasher, &item);
	if (launch_hasher_value(hasher, &digest, &err) < 0)
		abort();
	launch_hasher_destroy(hasher);
	return seconds() - start;
}

static void compare(const char *name, const struct job *job, int runs)
{
	double plain[RUNS_MAX], launch[RUNS_MAX], p, l;

	for (int i = 0; i < runs; i++) {
		if (i % 2)
			plain[i] = time_plain(job);
		launch[i] = time_launch(job);
		if (i % 2 == 0)
			plain[i] = time_plain(job);
	}
	p = median(plain, runs);
	l = median(launch, runs);
	printf("%-24s %-7s %8.2f ms %8.2f ms   %.3f\n", name,
	        job->type == CONFIG_SEV_SNP ? "sev-snp" : "sev-es", p * 1e3, l * 1e3, l / p);
}

/* No two pages alike, so that every page is hashed (xorshift64). */
static uint8_t *make_image(uint64_t bytes)
{
	uint64_t *words = malloc(bytes), x = 0x9e3779b97f4a7c15;

	if (!words)
		abort();
	for (uint64_t i = 0; i < bytes / sizeof(x); i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		words[i] = x;
	}
	return (uint8_t *)words;
}

static void compare_both(const char *name, const uint8_t *image, uint64_t bytes, int runs)
{
	for (enum config_sev_type type = CONFIG_SEV_ES; type <= CONFIG_SEV_SNP; type++)
		compare(name, &(struct job){image, bytes, type}, runs);
}

int main(int argc, char **argv)
{
	static const unsigned sizes_mib[] = {4, 64};
	int runs = 21;
	struct err err;

	for (int i = 1; i < argc; i++) {
		if (argv[i][0] != '-')
			continue;
		fprintf(stderr, "usage: bench_measure [IMAGE]...\n"
		                "What a launch digest costs, against plain hashing of the same bytes: of "
		                "made images of 4 "
		                "and 64 MiB, and of these. Prints medians and ratios; judges nothing.\n");
		return strcmp(argv[i], "--help") == 0 ? 0 : 2;
	}
	if (crypto_load(&err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	printf("%-24s %-7s %11s %11s   %s\n", "image", "type", "plain", "launch", "ratio");
	for (size_t i = 0; i < ARRAY_LEN(sizes_mib); i++) {
		auto_free uint8_t *image = make_image(MIB(sizes_mib[i]));
		char name[32];

		snprintf(name, sizeof(name), "%u MiB, no page twice", sizes_mib[i]);
		compare_both(name, image, MIB(sizes_mib[i]), runs);
	}
	for (int i = 1; i < argc; i++) {
		auto_free void *image = NULL;
		const char *name = strrchr(argv[i], '/');
		size_t size;

		if (file_read_all(argv[i], MIB(64), &image, &size, &err) < 0) {
			fprintf(stderr, "%s\n", err.text);
			return 1;
		}
		compare_both(name ? name + 1 : argv[i], image, size & ~(size_t)(PAGE_SIZE_BYTES - 1), runs);
	}
	return 0;
}

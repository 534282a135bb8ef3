/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The warnings: for images that start nothing or protect nothing, kernels that nobody measures, too little
 * memory.
 */
#include "bench.h"
#include "volume_image.h"

static struct bench bench;
static struct launch_findings warnings;
static size_t kernel_bytes;

/* Code at the reset vector, and the volumes in front. */
static void image_with(enum made made)
{
	static struct bytes main_volume;

	main_volume.size = 0;
	put_edk2(&main_volume, made);
	memcpy(bench.image.bytes, main_volume.at, main_volume.size);
	memcpy(bench.image.bytes + IMAGE_BYTES - 16, "\x0f\x20\xc0\xa8\x01", 5);
}

static const uint32_t new_sections[] = {
        0x10000, 0x3000, 1, 0x14000, 0x1000, 2, 0x15000, 0x1000, 3, 0x16000, 0x1000, 4};
static const uint32_t old_sections[] = {0x10000, 0x3000, 1, 0x14000, 0x1000, 2, 0x15000, 0x1000, 3};

static void image_of(bool is_new, uint32_t reset, uint32_t hashes, enum made made)
{
	const uint32_t area[] = {hashes, 0x400};

	image_start(&bench.image);
	image_entry(&bench.image, reset_guid, &reset, 4);
	image_entry(&bench.image, hashes_guid, area, 8);
	image_metadata(&bench.image, is_new ? new_sections : old_sections, is_new ? 4 : 3);
	image_end(&bench.image);
	image_with(made);
}

static int setup(void **state)
{
	bench_start(&bench);
	kernel_bytes = 0;
	image_of(true, 0x80b004, 0x20c00, MADE_PLAIN);
	return 0;
}

static int teardown(void **state)
{
	bench_end(&bench);
	return 0;
}

/* Makes the warnings of a configuration with this image; sets: more words. */
static void judge(const char *type, const char *const *sets)
{
	const char *words[BENCH_SETS_MAX] = {"machine.memory=64M"};
	const struct launch_files files = {
	        .firmware = {bench.image.bytes, IMAGE_BYTES}, .kernel = {NULL, kernel_bytes}};
	size_t count = 1;

	for (; sets && *sets; sets++)
		words[count++] = *sets;
	bench_config(&bench, type, words);
	launch_judge(bench.config, &files, &warnings);
	bench_end(&bench);
}

static void assert_warns(const char *part)
{
	for (unsigned i = 0; i < warnings.count; i++) {
		if (strstr(warnings.list[i].text, part) && strchr(warnings.list[i].text, ';'))
			return;
	}
	fail_msg("no warning has \"%s\"; of %u the first is \"%s\"", part, warnings.count,
	        warnings.count ? warnings.list[0].text : "");
}

static void assert_nothing(void)
{
	if (warnings.count)
		fail_msg("\"%s\"", warnings.list[0].text);
}

#define SETS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_judge_says_nothing_of_a_good_image(void **state)
{
	static const char *const types[] = {"none", "sev", "sev-es", "sev-snp"};

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		judge(types[i], NULL);
		assert_nothing();
	}
}

static void test_judge_image_without_code(void **state)
{
	static struct bytes store, none;

	memset(bench.image.bytes + IMAGE_BYTES - 16, 0, 16);
	judge("none", NULL);
	assert_warns("has no code at its end, where processors start");
	memset(bench.image.bytes, 0xff, IMAGE_BYTES);
	judge("sev", NULL);
	assert_warns("has no code at its end, where processors start");
	put_volume(&store, variables_guid, &none);
	memcpy(bench.image.bytes, store.at, store.size);
	judge("sev-snp", NULL);
	assert_warns("is a store of UEFI variables without any code");
	assert_int_equal(warnings.count, 1);
	bench.image.bytes[IMAGE_BYTES - 16] = 0x90; /* one with code behind it */
	judge("sev", NULL);
	assert_nothing();
}

static void test_judge_image_that_needs_smm(void **state)
{
	image_with(MADE_SMM);
	judge("none", NULL);
	assert_warns("needs system management mode");
	judge("sev-es", NULL);
	assert_warns("needs system management mode");
}

static void test_judge_image_for_tdx(void **state)
{
	image_with(MADE_PEILESS);
	judge("none", NULL);
	assert_nothing();
	judge("sev", NULL);
	assert_warns("is built for Intel TDX");
}

static void test_judge_image_too_old_for_snp(void **state)
{
	image_of(false, 0x80b004, 0x20c00, MADE_PLAIN);
	judge("sev-es", NULL);
	assert_nothing();
	judge("sev-snp", NULL);
	assert_warns("is older than edk2-stable202405");
	memset(bench.image.bytes, 0xff, 0x8000); /* nobody's release but edk2's is known */
	judge("sev-snp", NULL);
	assert_nothing();
}

static void test_judge_image_without_an_address_for_processors(void **state)
{
	image_of(true, 0, 0x20c00, MADE_PLAIN);
	judge("sev", NULL);
	assert_nothing();
	judge("sev-es", NULL);
	assert_warns("gives no address at which processors but the first start");
}

static void test_judge_hashes_that_nobody_compares(void **state)
{

	static const char kernel[] = "boot.kernel=" TEST_DATA "/attestation/milan-report-a.bin";
	judge("sev-snp", SETS(kernel, "boot.hashes=true"));
	assert_warns("boot.hashes: true measures hashes that nothing in the firmware image compares");
	judge("sev-snp", SETS(kernel));
	assert_warns("is not measured, since boot.hashes is false");
	judge("none", SETS(kernel));
	assert_nothing();
	image_with(MADE_COMPARES);
	judge("sev-snp", SETS(kernel, "boot.hashes=true"));
	assert_nothing();
	judge("sev", SETS(kernel));
	assert_warns("would not be started: the firmware image compares it with hashes");
	judge("none", SETS(kernel));
	assert_warns("would not be started");
}

static void test_judge_memory(void **state)
{
	static const char kernel[] = "boot.kernel=" TEST_DATA "/attestation/milan-report-a.bin";

	judge("none", SETS("machine.memory=63M"));
	assert_warns("machine.memory: 63M is too little for OVMF, which needs 64M");
	assert_int_equal(warnings.count, 1);
	memset(bench.image.bytes, 0xff, 0x8000); /* not OVMF */
	judge("none", SETS("machine.memory=1M"));
	assert_nothing();
	image_with(MADE_PLAIN);
	kernel_bytes = MIB(10);
	judge("none", SETS(kernel, "machine.memory=64M"));
	assert_warns("machine.memory: 64M may be too little");
	judge("none", SETS(kernel, "machine.memory=1G"));
	assert_nothing();
}

static void test_judge_policy_that_lets_the_host_look(void **state)
{
	judge("sev", SETS("sev.policy=0x0"));
	assert_warns("sev.policy: 0x0 lets the host read and change the guest's memory");
	judge("sev-snp", SETS("sev.policy=smt,debug"));
	assert_warns("lets the host read");
	judge("sev-es", SETS("sev.policy=nodbg,es"));
	assert_nothing();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_judge_says_nothing_of_a_good_image),
	        TEST(test_judge_image_without_code),
	        TEST(test_judge_image_that_needs_smm),
	        TEST(test_judge_image_for_tdx),
	        TEST(test_judge_image_too_old_for_snp),
	        TEST(test_judge_image_without_an_address_for_processors),
	        TEST(test_judge_hashes_that_nobody_compares),
	        TEST(test_judge_memory),
	        TEST(test_judge_policy_that_lets_the_host_look),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

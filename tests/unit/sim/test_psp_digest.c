/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Debian's OVMF images launched: the processor's digest must be that of an outside tool
 * (tests/data/expected-digests.json). Only the list of what is launched, in its order, comes from src/launch.
 */
#include <jansson.h>

#include "psp_bench.h"

#include "support/cache.h"

#include "vmm/config.h"
#include "vmm/launch.h"

#define MEMORY UINT64_C(0x100000000) /* where guest memory begins, for its encryption */

static const char *const places[] = {"firmware/bookworm/OVMF.fd", "firmware/trixie/OVMF.fd",
        "firmware/sid/OVMF.fd", "firmware/sid/OVMF.amdsev.fd"};

/* The image with this SHA-256 in the cache of scripts/setup. */
static bool find_image(const char *sha256, char *path, size_t size)
{
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		uint8_t digest[SHA256_BYTES];
		char hex[2 * SHA256_BYTES + 1];
		auto_free void *data = NULL;
		size_t bytes;

		cache_path(places[i], path, size);
		if (file_read_all(path, MIB(16), &data, &bytes, NULL) < 0)
			continue;
		hash_sha256(data, bytes, digest);
		hex_encode(digest, sizeof(digest), hex);
		if (strcmp(hex, sha256) == 0)
			return true;
	}
	return false;
}

static void put_page(struct psp *psp, uint32_t gctx, const struct launch_item *item, uint64_t offset)
{
	uint8_t page[PAGE_SIZE_BYTES] = {0};

	if (item->data)
		memcpy(page, (const uint8_t *)item->data + offset, sizeof(page));
	assert_code(psp_snp_launch_update(psp, gctx, item->type, item->gpa.raw + offset, page), PSP_SUCCESS);
}

static void launch_snp(struct psp *psp, const struct launch_plan *plan)
{
	uint32_t gctx = 0;

	assert_code(psp_gctx_create(psp, &gctx), PSP_SUCCESS);
	assert_code(psp_snp_launch_start(psp, gctx, plan->policy, (const uint8_t[16]){0}), PSP_SUCCESS);
	assert_code(psp_snp_activate(psp, gctx, 1), PSP_SUCCESS);
	for (unsigned i = 0; i < plan->count; i++) {
		for (uint64_t at = 0; at < plan->items[i].size_bytes; at += PAGE_SIZE_BYTES)
			put_page(psp, gctx, &plan->items[i], at);
	}
}

static void launch_sev(struct psp *psp, const struct launch_plan *plan)
{
	struct abi_sev_measure measure;
	uint32_t handle = 0;

	assert_code(psp_launch_start(psp, &handle, (uint32_t)plan->policy, NULL, NULL), PSP_SUCCESS);
	assert_code(psp_activate(psp, handle, plan->type == CONFIG_SEV_ES ? 1 : 9), PSP_SUCCESS);
	for (unsigned i = 0; i < plan->count; i++) {
		const struct launch_item *item = &plan->items[i];
		auto_free uint8_t *copy = malloc(item->size_bytes);

		memcpy(copy, item->data, item->size_bytes);
		if (item->type == ABI_PAGE_VMSA)
			assert_code(psp_launch_update_vmsa(psp, handle, (struct abi_vmsa *)copy, MEMORY),
			        PSP_SUCCESS);
		else
			assert_code(psp_launch_update_data(psp, handle, copy, MEMORY, item->size_bytes),
			        PSP_SUCCESS);
		assert_memory_not_equal(copy, item->data, 64);
	}
	assert_code(psp_launch_measure(psp, handle, &measure), PSP_SUCCESS);
}

static struct launch_plan *plan_of(json_t *entry, const char *image, struct launch_files *files)
{
	char sets[5][400];
	const char *words[5], *mode = json_string_value(json_object_get(entry, "mode"));
	json_t *vcpus = json_object_get(entry, "vcpus"), *features = json_object_get(entry, "guest_features");
	struct config_mistakes mistakes = {0};
	struct launch_plan *plan;
	struct config *config;
	struct err err;
	size_t count = 2;

	snprintf(sets[0], sizeof(sets[0]), "sev.type=%s",
	        strcmp(mode, "snp") == 0     ? "sev-snp"
	        : strcmp(mode, "seves") == 0 ? "sev-es"
	                                     : "sev");
	snprintf(sets[1], sizeof(sets[1]), "firmware=%s", image);
	if (vcpus) {
		snprintf(sets[2], sizeof(sets[2]), "machine.vcpus=%d", (int)json_integer_value(vcpus));
		snprintf(sets[3], sizeof(sets[3]), "machine.cpu=%s",
		        json_string_value(json_object_get(entry, "vcpu_type")));
		snprintf(sets[4], sizeof(sets[4]), "sev.vmsa-features=%s",
		        json_string_value(features ? features : json_object_get(entry, "sev_features")));
		count = 5;
	}
	for (size_t i = 0; i < count; i++)
		words[i] = sets[i];
	assert_int_equal(config_load(NULL, words, count, NULL, &config, &mistakes), 0);
	assert_ok(launch_files_read(config, files, &err));
	assert_ok(launch_plan_make(config, files, &plan, &err));
	config_mistakes_finish(&mistakes);
	config_destroy(config);
	return plan;
}

static void check_entry(json_t *entry, const char *image)
{
	struct psp_options options = bench_options("Milan");
	struct launch_files files;
	struct launch_plan *plan = plan_of(entry, image, &files);
	char hex[2 * SHA384_BYTES + 1];
	struct psp_guest_view view;
	struct psp *psp;
	struct err err;

	options.vmsa_features = UINT64_MAX;
	assert_ok(psp_create(&options, &psp, &err));
	if (plan->type == CONFIG_SEV_SNP)
		launch_snp(psp, plan);
	else
		launch_sev(psp, plan);
	assert_true(psp_guest_view(psp, 0, &view));
	hex_encode(view.digest, view.digest_bytes, hex);
	assert_string_equal(hex, json_string_value(json_object_get(entry, "digest")));
	psp_destroy(psp);
	launch_plan_destroy(plan);
	launch_files_finish(&files);
}

static void test_psp_digest_is_that_of_an_outside_tool(void **state)
{
	json_t *table = json_load_file(TEST_DATA "/expected-digests.json", 0, NULL), *entry;
	unsigned checked = 0;
	size_t i;

	assert_non_null(table);
	json_array_foreach(json_object_get(table, "digests"), i, entry)
	{
		const char *name = json_string_value(json_object_get(entry, "firmware"));
		json_t *input = json_object_get(json_object_get(table, "inputs"), name);
		char path[300];

		if (strcmp(json_string_value(json_object_get(entry, "boot")), "none") != 0 ||
		        !find_image(json_string_value(json_object_get(input, "sha256")), path, sizeof(path)))
			continue;
		check_entry(entry, path);
		checked++;
	}
	json_decref(table);
	if (!checked) {
		print_message(
		        "skipped: none of the images is here; scripts/setup --firmware --sid gets them\n");
		skip();
	}
	print_message("%u digests agree\n", checked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_psp_digest_is_that_of_an_outside_tool)};

	return crypto_load(NULL) < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli_measure_make: hashes a launch plan and writes down what was hashed. Main thread only.
 */
#include <errno.h>

#include "measure.h"
#include "progress.h"
#include "vmm/mirror/helper.h"

#define PAGE_MARK_BYTES 8

const char *const cli_measure_page_types[] = {
        [ABI_PAGE_NORMAL] = "normal",
        [ABI_PAGE_VMSA] = "vmsa",
        [ABI_PAGE_ZERO] = "zero",
        [ABI_PAGE_UNMEASURED] = "unmeasured",
        [ABI_PAGE_SECRETS] = "secrets",
        [ABI_PAGE_CPUID] = "cpuid",
};

const char *const cli_measure_sev_types[] = {
        [CONFIG_SEV_NONE] = "none",
        [CONFIG_SEV] = "sev",
        [CONFIG_SEV_ES] = "sev-es",
        [CONFIG_SEV_SNP] = "sev-snp",
};

/* Makes an array with a mark for each page, by which a changed page is found later. */
static json_t *contents_json(const struct launch_item *item)
{
	json_t *marks = json_array();

	for (uint64_t offset = 0; marks && offset < item->size_bytes; offset += PAGE_SIZE_BYTES) {
		uint64_t left = item->size_bytes - offset;
		uint8_t digest[SHA256_BYTES];

		hash_sha256((const uint8_t *)item->data + offset,
		        left < PAGE_SIZE_BYTES ? left : PAGE_SIZE_BYTES, digest);
		json_doc_append(&marks, json_doc_bytes(digest, PAGE_MARK_BYTES));
	}
	return marks;
}

static json_t *registers_json(const struct launch_item *item)
{
	json_t *registers = json_object();

	for (size_t i = 0; i < launch_vmsa_field_count; i++) {
		const struct launch_vmsa_field *f = &launch_vmsa_fields[i];
		uint64_t value = load_le((const uint8_t *)item->data + f->offset, f->size);

		json_doc_set(&registers, f->name, json_doc_mask(value));
	}
	return registers;
}

static json_t *row_json(const struct launch_item *item, const struct launch_digest *after)
{
	json_t *row = json_pack("{s:s, s:s, s:o, s:I, s:I, s:o}", "name", item->name, "type",
	        cli_measure_page_types[item->type], "gpa", json_doc_mask(item->gpa.raw), "pages",
	        (json_int_t)((item->size_bytes + PAGE_SIZE_BYTES - 1) / PAGE_SIZE_BYTES), "bytes",
	        (json_int_t)item->size_bytes, "digest", json_doc_bytes(after->bytes, after->size_bytes));

	if (item->type == ABI_PAGE_VMSA) {
		json_doc_set(&row, "vcpu", item->mirror ? json_null() : json_integer(item->vcpu));
		json_doc_set(&row, "registers", registers_json(item));
	} else if (item->data) {
		json_doc_set(&row, "contents", contents_json(item));
	}
	return row;
}

static json_t *hashes_json(const struct launch_plan *plan)
{
	const struct abi_hashes *hashes = &plan->hashes;

	if (!plan->hashed)
		return json_null();
	return json_pack("{s:o, s:o, s:o}", "kernel", json_doc_bytes(hashes->kernel.sha256, SHA256_BYTES),
	        "initrd", json_doc_bytes(hashes->initrd.sha256, SHA256_BYTES), "cmdline",
	        json_doc_bytes(hashes->cmdline.sha256, SHA256_BYTES));
}

static json_t *helper_json(const struct launch_plan *plan)
{
	uint8_t digest[SHA256_BYTES];

	for (unsigned i = 0; i < plan->count; i++) {
		if (plan->items[i].data != mirror_helper_image)
			continue;
		hash_sha256(mirror_helper_image, sizeof(mirror_helper_image), digest);
		return json_doc_bytes(digest, sizeof(digest));
	}
	return json_null();
}

/* A SEV guest's processors are not measured, so features and signature are null. */
static json_t *measurement_json(
        const struct launch_plan *plan, const struct launch_digest *digest, json_t *rows)
{
	bool has_vmsa = plan->type != CONFIG_SEV;
	json_t *measurement = json_pack("{s:o, s:s, s:i, s:o, s:o, s:o, s:o, s:o}", "digest",
	        json_doc_bytes(digest->bytes, digest->size_bytes), "type", cli_measure_sev_types[plan->type],
	        "vcpus", (int)plan->vcpus, "policy", json_doc_policy(plan->type, plan->policy),
	        "vmsa-features",
	        has_vmsa ? json_doc_bits(plan->vmsa.sev_features, config_vmsa_feature_bits) : json_null(),
	        "cpu-signature", has_vmsa ? json_doc_mask(plan->vmsa.cpu_signature) : json_null(),
	        "kernel-hashes", hashes_json(plan), "helper", helper_json(plan));

	if (rows)
		json_doc_set(&measurement, "rows", rows);
	return measurement;
}

static void on_page(void *ctx, const struct launch_item *item, uint64_t offset_bytes)
{
	cli_progress_advance(ctx, 1);
}

static int hash_items(struct launch_hasher *hasher, const struct launch_plan *plan, json_t *rows,
        struct launch_digest *ret_digest, struct err *err)
{
	for (unsigned i = 0; i < plan->count; i++) {
		launch_hasher_add(hasher, &plan->items[i]);
		if (launch_hasher_value(hasher, ret_digest, err) < 0)
			return -1;
		if (rows && json_array_append_new(rows, row_json(&plan->items[i], ret_digest)) < 0)
			return err_sys(err, ERR_FAILED, ENOMEM, "no memory for the rows");
	}
	return 0;
}

static uint64_t count_pages(const struct launch_plan *plan)
{
	uint64_t pages = 0;

	for (unsigned i = 0; i < plan->count; i++)
		pages += (plan->items[i].size_bytes + PAGE_SIZE_BYTES - 1) / PAGE_SIZE_BYTES;
	return pages;
}

int cli_measure_make(
        const struct launch_plan *plan, bool with_rows, json_t **ret_measurement, struct err *err)
{
	struct cli_progress progress;
	const struct launch_watch watch = {.on_page = on_page, .ctx = &progress};
	struct launch_hasher *hasher;
	struct launch_digest digest = {0};
	json_t *rows = with_rows ? json_array() : NULL, *measurement;
	int result = launch_hasher_create(plan->type, &watch, &hasher, err);

	if (result == 0) {
		cli_progress_start(&progress, "measuring", count_pages(plan));
		result = hash_items(hasher, plan, rows, &digest, err);
		cli_progress_finish(&progress);
		launch_hasher_destroy(hasher);
	}
	if (result < 0) {
		json_decref(rows);
		return -1;
	}
	measurement = measurement_json(plan, &digest, rows);
	if (!measurement)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for the measurement");
	*ret_measurement = measurement;
	return 0;
}

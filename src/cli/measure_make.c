/*
 * measure_make: hashes a launch plan and writes down what went in. Main thread only.
 */
#include <errno.h>
#include <inttypes.h>

#include "measure.h"
#include "progress.h"

#define PAGE_MARK_BYTES 8

const char *const measure_page_types[] = {
        [ABI_PAGE_NORMAL] = "normal",
        [ABI_PAGE_VMSA] = "vmsa",
        [ABI_PAGE_ZERO] = "zero",
        [ABI_PAGE_UNMEASURED] = "unmeasured",
        [ABI_PAGE_SECRETS] = "secrets",
        [ABI_PAGE_CPUID] = "cpuid",
};

const char *const measure_sev_types[] = {
        [CONFIG_SEV_NONE] = "none",
        [CONFIG_SEV] = "sev",
        [CONFIG_SEV_ES] = "sev-es",
        [CONFIG_SEV_SNP] = "sev-snp",
};

static json_t *hex_json(const void *data, size_t size)
{
	char text[2 * SHA384_BYTES + 1];

	hex_encode(data, size, text);
	return json_string(text);
}

static json_t *number_json(uint64_t number)
{
	return json_sprintf("0x%" PRIx64, number);
}

/* Adds value, which may be NULL for lack of memory, under key; false: object is gone for the same reason. */
static bool add(json_t **object, const char *key, json_t *value)
{
	if (json_object_set_new(*object, key, value) == 0)
		return true;
	json_decref(*object);
	*object = NULL;
	return false;
}

/* An array with a mark for each page, by which a changed page is found. */
static json_t *contents_json(const struct launch_item *item)
{
	json_t *marks = json_array();

	for (uint64_t offset = 0; offset < item->size_bytes; offset += PAGE_SIZE_BYTES) {
		uint64_t left = item->size_bytes - offset;
		uint8_t digest[SHA256_BYTES];

		hash_sha256((const uint8_t *)item->data + offset,
		        left < PAGE_SIZE_BYTES ? left : PAGE_SIZE_BYTES, digest);
		if (json_array_append_new(marks, hex_json(digest, PAGE_MARK_BYTES)) < 0) {
			json_decref(marks);
			return NULL;
		}
	}
	return marks;
}

static json_t *registers_json(const struct launch_item *item)
{
	json_t *registers = json_object();

	for (size_t i = 0; i < launch_vmsa_field_count; i++) {
		const struct launch_vmsa_field *f = &launch_vmsa_fields[i];
		uint64_t value = load_le((const uint8_t *)item->data + f->offset, f->size);

		if (!add(&registers, f->name, number_json(value)))
			break;
	}
	return registers;
}

static json_t *row_json(const struct launch_item *item, const struct launch_digest *after)
{
	json_t *row = json_pack("{s:s, s:s, s:o, s:I, s:I, s:o}", "name", item->name, "type",
	        measure_page_types[item->type], "gpa", number_json(item->gpa.raw), "pages",
	        (json_int_t)((item->size_bytes + PAGE_SIZE_BYTES - 1) / PAGE_SIZE_BYTES), "bytes",
	        (json_int_t)item->size_bytes, "digest", hex_json(after->bytes, after->size_bytes));

	if (item->type == ABI_PAGE_VMSA) {
		if (add(&row, "vcpu", json_integer(item->vcpu)))
			add(&row, "registers", registers_json(item));
	} else if (item->data) {
		add(&row, "contents", contents_json(item));
	}
	return row;
}

static json_t *hashes_json(const struct launch_plan *plan)
{
	const struct abi_hashes *hashes = &plan->hashes;

	if (!plan->hashed)
		return json_null();
	return json_pack("{s:o, s:o, s:o}", "kernel", hex_json(hashes->kernel.sha256, SHA256_BYTES), "initrd",
	        hex_json(hashes->initrd.sha256, SHA256_BYTES), "cmdline",
	        hex_json(hashes->cmdline.sha256, SHA256_BYTES));
}

static json_t *measurement_json(
        const struct launch_plan *plan, const struct launch_digest *digest, json_t *rows)
{
	json_t *measurement = json_pack("{s:o, s:s, s:i, s:o, s:o, s:o}", "digest",
	        hex_json(digest->bytes, digest->size_bytes), "type", measure_sev_types[plan->type], "vcpus",
	        (int)plan->vcpus, "policy", number_json(plan->policy), "vmsa-features",
	        number_json(plan->vmsa.sev_features), "kernel-hashes", hashes_json(plan));

	if (plan->type != CONFIG_SEV)
		add(&measurement, "cpu-signature", number_json(plan->vmsa.cpu_signature));
	if (rows)
		add(&measurement, "rows", rows);
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

int measure_make(const struct launch_plan *plan, bool with_rows, json_t **ret_measurement, struct err *err)
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

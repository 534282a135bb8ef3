/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json: values of JSON documents, and how a document is printed. Any thread. docs/json.md describes the
 * documents.
 */
#include <errno.h>
#include <inttypes.h>

#include "vmm/attest/report.h"
#include "vmm/json.h"

json_t *json_doc_mask(uint64_t mask)
{
	return json_sprintf("0x%" PRIx64, mask);
}

json_t *json_doc_bytes(const void *data, size_t size)
{
	auto_free char *text = malloc(2 * size + 1);

	if (!text)
		return NULL;
	hex_encode(data, size, text);
	return json_stringn(text, 2 * size);
}

json_t *json_doc_text(const char *text)
{
	auto_free char *safe = NULL;
	size_t size;
	FILE *out;
	bool failed;

	if (!text || !*text)
		return json_null();
	out = open_memstream(&safe, &size);
	if (!out)
		return NULL;
	text_put_safe(out, text);
	failed = ferror(out);
	return fclose(out) != 0 || failed ? NULL : json_stringn(safe, size);
}

json_t *json_doc_bits(uint64_t mask, const struct config_bit *table)
{
	json_t *object = json_pack("{s:o}", "value", json_doc_mask(mask));

	for (; table->name; table++)
		json_doc_set(&object, table->name, json_boolean(mask & table->bits));
	return object;
}

json_t *json_doc_policy(enum config_sev_type type, uint64_t policy)
{
	json_t *object = json_doc_bits(policy, config_policy_bits(type));
	unsigned major, minor;
	const char *word = config_policy_version(type, policy, &major, &minor);

	json_doc_set(&object, word, json_sprintf("%u.%u", major, minor));
	return object;
}

json_t *json_doc_tcb(uint64_t tcb, enum product_tcb_layout layout)
{
	json_t *object = json_pack("{s:o}", "value", json_doc_mask(tcb));

	for (enum attest_tcb_part part = 0; part < ATTEST_TCB_PARTS; part++) {
		int level = attest_tcb_get(tcb, layout, part);

		json_doc_set(
		        &object, attest_tcb_part_name(part), level < 0 ? json_null() : json_integer(level));
	}
	return object;
}

/* Both of jansson's functions take the value over, and refuse one that is NULL. */
static void keep_if(json_t **document, bool good)
{
	if (good)
		return;
	json_decref(*document);
	*document = NULL;
}

void json_doc_set(json_t **document, const char *key, json_t *value)
{
	keep_if(document, json_object_set_new(*document, key, value) == 0);
}

void json_doc_append(json_t **array, json_t *value)
{
	keep_if(array, json_array_append_new(*array, value) == 0);
}

int json_doc_print(const json_t *document, struct err *err)
{
	if (!document)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for the answer");
	errno = 0;
	if (json_dumpf(document, stdout, JSON_INDENT(2)) < 0 || putchar('\n') == EOF)
		return err_sys(err, ERR_FAILED, errno ?: EIO, "standard output cannot be written");
	return 0;
}

char *json_doc_line(const json_t *value)
{
	auto_free char *text = json_dumps(value, JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
	char *line;

	return text && asprintf(&line, "%s\r\n", text) >= 0 ? line : NULL;
}

char *json_doc_paragraph(const json_t *value)
{
	return json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY);
}

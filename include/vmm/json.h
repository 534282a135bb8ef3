/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json: makes the values of which every JSON document of vmm consists, and prints the documents. docs/json.md
 * describes them.
 *
 * A function that makes a value returns NULL if no memory is left. The caller owns the value; json_pack()'s
 * "o" and json_doc_set() take ownership of it. They also pass a NULL on, so that a document is either
 * complete or NULL. Any thread.
 */
#ifndef VMM_JSON_H
#define VMM_JSON_H

#include <jansson.h>
#include <stdio.h>

#include "vmm/attest.h"
#include "vmm/config.h"

/* A local variable that releases its reference at the end of its block. NULL is allowed. */
static inline void json_doc_cleanup(json_t **document)
{
	json_decref(*document);
}
#define auto_json __attribute__((cleanup(json_doc_cleanup)))

/* ---- values ---- */

/* A bit mask, an address or a register: "0x30000"; zero is "0x0". */
json_t *json_doc_mask(uint64_t mask);
/* A byte string: "00ff", lower-case hexadecimal. */
json_t *json_doc_bytes(const void *data, size_t size);
/*
 * A text, some of which may come from a file, a guest or a peer; it is escaped as text_put_safe() does. Both
 * NULL and "" become null.
 */
json_t *json_doc_text(const char *text);
/* A mask, and each bit under its word in the table: {"value": "0x30000", "smt": true, ...}. */
json_t *json_doc_bits(uint64_t mask, const struct config_bit *table);
/* The same for the policy of a guest of this type, with the firmware version that the policy demands. */
json_t *json_doc_policy(enum config_sev_type type, uint64_t policy);
/*
 * A TCB version and its parts, which are null if the layout lacks them: {"value": "0x...", "bootloader": 4,
 * ...}.
 */
json_t *json_doc_tcb(uint64_t tcb, enum product_tcb_layout layout);

/* ---- putting them together ---- */

/*
 * Puts value under key. If value is NULL or no memory is left, the document is freed and *document becomes
 * NULL. If *document is NULL already, only the value is freed. So one check at the end shows whether the
 * document is complete.
 */
void json_doc_set(json_t **document, const char *key, json_t *value);
/* Does the same at the end of an array. */
void json_doc_append(json_t **array, json_t *value);

/* ---- printing ---- */

/*
 * Prints a document and a newline to standard output. All documents have the same form. ERR_FAILED if the
 * document cannot be written or is NULL.
 */
int json_doc_print(const json_t *document, struct err *err) MUST_CHECK;
/*
 * Returns a value as one line of ASCII, with CR LF at its end, as QMP wants it; the caller frees it. NULL if
 * no memory is left, or if value is NULL.
 */
char *json_doc_line(const json_t *value);
/* Does the same in the form of printed documents, without a newline at its end. */
char *json_doc_paragraph(const json_t *value);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json: the values that every JSON document of vmm is made of, and the one place that prints a document. The
 * documents are described in docs/json.md.
 *
 * A function that makes a value returns NULL when there is no memory. The value is the caller's;
 * json_pack()'s "o" and json_doc_set() take it over and pass the NULL on, so that a document is whole or
 * NULL. Any thread.
 */
#ifndef VMM_JSON_H
#define VMM_JSON_H

#include <jansson.h>
#include <stdio.h>

#include "vmm/attest.h"
#include "vmm/config.h"

/* A local variable that gives its reference back at the end of its block; NULL is allowed. */
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
 * A text that a file, a guest or a peer may have had a hand in, escaped as text_put_safe() does; NULL is
 * null, as "" is.
 */
json_t *json_doc_text(const char *text);
/* {"value": "0x30000", "smt": true, ...}: a mask, and each bit by the word of the table. */
json_t *json_doc_bits(uint64_t mask, const struct config_bit *table);
/* The same for the policy of a guest of this type, with the firmware version that it asks for. */
json_t *json_doc_policy(enum config_sev_type type, uint64_t policy);
/* {"value": "0x...", "bootloader": 4, ...}: a TCB version and its parts; null where the layout lacks one. */
json_t *json_doc_tcb(uint64_t tcb, enum product_tcb_layout layout);

/* ---- putting them together ---- */

/*
 * Puts value under key. If value is NULL, or there is no memory, the document is freed and *document is NULL;
 * with *document NULL only the value is freed. So one look at the end tells whether everything is there.
 */
void json_doc_set(json_t **document, const char *key, json_t *value);
/* The same at the end of an array. */
void json_doc_append(json_t **array, json_t *value);

/* ---- printing ---- */

/*
 * Prints a document to standard output, in the one form that all have, and a newline. ERR_FAILED if it cannot
 * be written, or if document is NULL.
 */
int json_doc_print(const json_t *document, struct err *err) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * form: what attest's readers of files share beside attest_form_decode(). Private to attest.
 */
#ifndef VMM_ATTEST_FORM_H
#define VMM_ATTEST_FORM_H

#include "vmm/attest.h"

/*
 * Base64 with white space anywhere, padded or not, to bytes; ret_data holds size bytes. Returns how many, -1
 * if it is anything else.
 */
int attest_form_base64(const void *text, size_t size, uint8_t *ret_data);
/* A guess at what a file is that could not be read: a sentence without a full stop, or NULL. */
const char *attest_form_guess(const void *data, size_t size);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * form: functions that attest's readers of files share, beside attest_form_decode(). Private to attest.
 */
#ifndef VMM_ATTEST_FORM_H
#define VMM_ATTEST_FORM_H

#include "vmm/attest.h"

/*
 * Decodes Base64, which may have white space anywhere and need not be padded. ret_data has room for size
 * bytes. Returns how many bytes it wrote, -1 if the text is anything else.
 */
int attest_form_base64(const void *text, size_t size, uint8_t *ret_data);
/* A guess at what a file is that could not be read: a sentence without a full stop, or NULL. */
const char *attest_form_guess(const void *data, size_t size);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base64: binary values in requests and answers. QEMU's commands have them in Base64.
 */
#ifndef VMM_CONTROL_BASE64_H
#define VMM_CONTROL_BASE64_H

#include <jansson.h>
#include <stdint.h>

#include "vmm/base.h"

/* control_create() has loaded libcrypto for both. */
json_t *control_base64(const void *data, size_t size);
/* The caller frees *ret_data. The error has QEMU's words. */
int control_base64_read(const char *text, uint8_t **ret_data, size_t *ret_size, struct err *err) MUST_CHECK;

#endif

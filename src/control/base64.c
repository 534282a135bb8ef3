/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base64: RFC 4648, by libcrypto, which skips blanks at the ends and demands whole groups of four. Any
 * thread.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#include "base64.h"

#define GROUP       4
#define GROUP_BYTES 3

json_t *control_base64(const void *data, size_t size)
{
	auto_free uint8_t *text = malloc((size + GROUP_BYTES - 1) / GROUP_BYTES * GROUP + 1);

	if (!text)
		return NULL;
	EVP_EncodeBlock(text, data, (int)size);
	return json_string((const char *)text);
}

int control_base64_read(const char *text, uint8_t **ret_data, size_t *ret_size, struct err *err)
{
	size_t length = strlen(text), padding = 0;
	auto_free uint8_t *data = malloc(length + 1);

	if (!data)
		return err_sys(err, ERR_FAILED, ENOMEM, "Base64 data");
	while (padding < 2 && padding < length && text[length - 1 - padding] == '=')
		padding++;
	if (!length || length % GROUP || strspn(text, " \t\r\n") || length > INT32_MAX ||
	        EVP_DecodeBlock(data, (const uint8_t *)text, (int)length) !=
	                (int)(length / GROUP * GROUP_BYTES))
		return err_set(err, ERR_USAGE, "Base64 data '%s' is not valid", TEXT_VALUE(text));
	*ret_data = take_ptr(&data);
	*ret_size = length / GROUP * GROUP_BYTES - padding;
	return 0;
}

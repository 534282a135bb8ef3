/* SPDX-License-Identifier: Apache-2.0 */
/*
 * form: decodes bytes that come as text. Tools pass the same structure on as it is, in Base64 or in
 * hexadecimal, in one line or in many. Any thread. RFC 4648: section 4 (Base64), 5 (the alphabet for URLs), 8
 * (Base16).
 */
#include <ctype.h>
#include <string.h>

#include "form.h"

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The value of a digit of either alphabet of Base64; -1: it is not a digit. */
static int base64_digit(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	return c == '/' || c == '_' ? 63 : -1;
}

int attest_form_base64(const void *text, size_t size, uint8_t *ret_data)
{
	const uint8_t *c = text;
	uint32_t bits = 0;
	size_t digits = 0, pads = 0, used = 0;

	for (size_t i = 0; i < size; i++) {
		int digit = base64_digit(c[i]);

		if (is_space(c[i]))
			continue;
		pads += c[i] == '=';
		if (c[i] == '=')
			continue;
		if (digit < 0 || pads)
			return -1;
		bits = bits << 6 | (uint32_t)digit;
		if (digits++ % 4 != 0)
			ret_data[used++] = (uint8_t)(bits >> (6 - 2 * ((digits - 1) % 4)));
	}
	/* The unused bits of the last digit must be zero, so that no bytes can be written in two ways. */
	if (digits % 4 == 1 || (digits % 4 == 2 && bits & 0xf) || (digits % 4 == 3 && bits & 3))
		return -1;
	if (pads && (digits % 4 == 0 || pads != 4 - digits % 4))
		return -1;
	return (int)used;
}

static int form_hex(const void *text, size_t size, uint8_t *ret_data)
{
	const uint8_t *c = text;
	char pair[3] = "";
	size_t digits = 0;

	for (size_t i = 0; i < size; i++) {
		if (is_space(c[i]))
			continue;
		if (!isxdigit(c[i]))
			return -1;
		pair[digits % 2] = (char)c[i];
		if (digits % 2 && !hex_decode(pair, &ret_data[digits / 2], 1))
			return -1;
		digits++;
	}
	return digits % 2 ? -1 : (int)(digits / 2);
}

enum attest_form attest_form_decode(const void *data, size_t size, uint8_t *ret_data, size_t *ret_size)
{
	enum attest_form form = ATTEST_FORM_HEX;
	int found;

	/* PEM is refused first, because its letters and dashes all belong to the alphabet for URLs, too. */
	if (memmem(data, size, "-----BEGIN ", 11))
		return ATTEST_FORM_BYTES;
	found = form_hex(data, size, ret_data);

	if (found <= 0) {
		found = attest_form_base64(data, size, ret_data);
		form = ATTEST_FORM_BASE64;
	}
	if (found <= 0)
		return ATTEST_FORM_BYTES;
	*ret_size = (size_t)found;
	return form;
}

int attest_form_struct(const void *data, size_t data_size, void *ret_struct, size_t size, struct err *err)
{
	static const char *const names[] = {"bytes", "bytes in hexadecimal", "bytes in Base64"};
	auto_free uint8_t *decoded = malloc(data_size + 1);
	enum attest_form form = ATTEST_FORM_BYTES;
	size_t found = data_size;
	int base64;

	if (!decoded)
		return err_set(err, ERR_FAILED, "no memory for its bytes");
	if (data_size == size) {
		memcpy(ret_struct, data, size);
		return 0;
	}
	form = attest_form_decode(data, data_size, decoded, &found);
	/* Base64 may consist of hexadecimal digits alone. The decoded size shows which of the two it is. */
	if (form == ATTEST_FORM_HEX && found != size) {
		base64 = attest_form_base64(data, data_size, decoded);
		found = base64 == (int)size ? size : found;
	}
	if (found == size)
		memcpy(ret_struct, decoded, size);
	crypto_wipe(decoded, data_size + 1);
	if (found == size)
		return 0;
	return err_set(err, ERR_USAGE,
	        "has %zu %s: it must be the %zu bytes of the structure, or Base64 or hexadecimal of them",
	        found, names[form], size);
}

const char *attest_form_guess(const void *data, size_t size)
{
	static const struct {
		const char *start, *what;
	} rows[] = {
	        {"{", "it begins like JSON: extract what is needed with jq -r"},
	        {"[", "it begins like JSON: extract what is needed with jq -r"},
	        {"-----BEGIN ", "it is PEM, but of something else"},
	        {"HCLA", "it is a report of Azure's paravisor"},
	        {"\x1f\x8b", "it is compressed by gzip"},
	        {"\x30\x82", "it begins like a certificate in DER"},
	        {"<", "it begins like HTML or XML: is it a server's error message?"},
	};
	const uint8_t *c = data;

	while (size > 0 && is_space(*c)) {
		c++;
		size--;
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (size >= strlen(rows[i].start) && memcmp(c, rows[i].start, strlen(rows[i].start)) == 0)
			return rows[i].what;
	}
	return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_form: bytes that may be text, from hostile bytes. The text that is decoded must be the text that an
 * encoder would have written, and a structure must be taken only if its size is right.
 */
#include <ctype.h>
#include <string.h>

#include "fuzz.h"
#include "vmm/attest.h"

/* The characters that count, in capitals as xxd -u writes them. */
static size_t squeeze(const uint8_t *data, size_t size, char *text)
{
	size_t used = 0;

	for (size_t i = 0; i < size; i++) {
		if (!isspace(data[i]))
			text[used++] = (char)data[i];
	}
	text[used] = '\0';
	return used;
}

static void check_hex(const uint8_t *data, size_t size, const uint8_t *decoded, size_t found)
{
	char *text = malloc(size + 1), *again = malloc(2 * found + 1);

	fuzz_assert(text && again && squeeze(data, size, text) == 2 * found);
	hex_encode(decoded, found, again);
	fuzz_assert(strcasecmp(text, again) == 0);
	free(text);
	free(again);
}

/* Four characters are three bytes, and the last ones two or one. */
static void check_base64(const uint8_t *data, size_t size, size_t found)
{
	char *text = malloc(size + 1);
	size_t length;

	fuzz_assert(text);
	length = squeeze(data, size, text);
	while (length && text[length - 1] == '=')
		length--;
	fuzz_assert(length * 3 / 4 == found);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *decoded = malloc(size + 1), fixed[48];
	size_t found = SIZE_MAX;
	struct err err = {0};

	fuzz_assert(decoded);
	switch (attest_form_decode(data, size, decoded, &found)) {
	case ATTEST_FORM_BYTES: fuzz_assert(found == SIZE_MAX); break;
	case ATTEST_FORM_HEX: check_hex(data, size, decoded, found); break;
	case ATTEST_FORM_BASE64: check_base64(data, size, found); break;
	}
	if (attest_form_struct(data, size, fixed, sizeof(fixed), &err) < 0)
		fuzz_assert(err.kind == ERR_USAGE && *err.text);
	else
		fuzz_assert(size >= sizeof(fixed));
	free(decoded);
	return 0;
}

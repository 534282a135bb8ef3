/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text: makes text safe to show; writes amounts; reads and writes hexadecimal. Any thread.
 */
#include <string.h>

#include "vmm/base.h"

static const char digits[] = "0123456789abcdef";

static bool is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* The length of the UTF-8 character that text begins with, 0: it is not one (RFC 3629, section 4). */
static unsigned utf8_length(const char *text)
{
	const unsigned char *b = (const unsigned char *)text;
	unsigned length = b[0] < 0x80   ? 1
	                  : b[0] < 0xc2 ? 0
	                  : b[0] < 0xe0 ? 2
	                  : b[0] < 0xf0 ? 3
	                  : b[0] < 0xf5 ? 4
	                                : 0;

	for (unsigned i = 1; i < length; i++) {
		if (!is_continuation(text[i]))
			return 0;
	}
	/* Refuse forms that are not the shortest, surrogates, and code points beyond U+10FFFF. */
	if ((b[0] == 0xe0 && b[1] < 0xa0) || (b[0] == 0xed && b[1] > 0x9f) || (b[0] == 0xf0 && b[1] < 0x90) ||
	        (b[0] == 0xf4 && b[1] > 0x8f))
		return 0;
	return length;
}

/* Terminals act on C0, DEL, and U+0080 to U+009F (ECMA-48). */
static bool is_control(const char *text, unsigned length)
{
	unsigned char first = (unsigned char)text[0];

	return length == 1 ? first < ' ' || first == 0x7f : first == 0xc2 && (unsigned char)text[1] < 0xa0;
}

unsigned text_safe_next(const char **text, char ret_shown[static TEXT_SAFE_BYTES])
{
	const char *at = *text;
	unsigned length = utf8_length(at), used = 0;
	bool shown = length && !is_control(at, length);

	if (!*at)
		return 0;
	*text += length ?: 1;
	for (; at < *text; at++) {
		if (shown) {
			ret_shown[used++] = *at;
			continue;
		}
		ret_shown[used++] = '\\';
		ret_shown[used++] = 'x';
		ret_shown[used++] = digits[(unsigned char)*at >> 4];
		ret_shown[used++] = digits[*at & 15];
	}
	return used;
}

void text_put_safe(FILE *out, const char *text)
{
	char shown[TEXT_SAFE_BYTES];
	unsigned length;

	while ((length = text_safe_next(&text, shown)))
		fwrite(shown, 1, length, out);
}

const char *text_brief(const char *text, char *brief, size_t size)
{
	static const char gap[] = "...";
	size_t length = strlen(text), head, tail;

	if (length < size) {
		memcpy(brief, text, length + 1);
		return brief;
	}
	tail = (size - sizeof(gap)) / 2;
	head = size - sizeof(gap) - tail;
	while (head > 0 && is_continuation(text[head]))
		head--;
	while (tail > 0 && is_continuation(text[length - tail]))
		tail--;
	snprintf(brief, size, "%.*s%s%s", (int)head, text, gap, text + length - tail);
	return brief;
}

/* No amount is shown as a whole step: "1024.0KiB" is "1.0MiB". */
static const char *put_amount(double amount, double step, const char *const *units, char *text)
{
	unsigned unit = 0;

	for (; amount >= step - (unit ? 0.05 : 0.5) && units[unit + 1]; unit++)
		amount /= step;
	snprintf(text, TEXT_AMOUNT_BYTES,
	        !unit || (amount < step && amount == (double)(unsigned)amount) ? "%.0f%s" : "%.1f%s", amount,
	        units[unit]);
	return text;
}

const char *text_bytes(double amount, char text[static TEXT_AMOUNT_BYTES])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", NULL};

	return put_amount(amount, 1024, units, text);
}

const char *text_count(double amount, char text[static TEXT_AMOUNT_BYTES])
{
	static const char *const units[] = {"", "K", "M", "G", "T", "P", "E", NULL};

	return put_amount(amount, 1000, units, text);
}

void hex_encode(const void *data, size_t size, char *text)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++) {
		*text++ = digits[bytes[i] >> 4];
		*text++ = digits[bytes[i] & 15];
	}
	*text = '\0';
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool hex_decode(const char *text, void *data, size_t size)
{
	uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++) {
		int high = digit(text[2 * i]), low = high < 0 ? -1 : digit(text[2 * i + 1]);

		if (low < 0)
			return false;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return text[2 * size] == '\0';
}

bool guid_decode(const char *text, size_t length, uint8_t ret_bytes[static 16])
{
	static const uint8_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
	uint8_t bytes[16];
	char hex[33];
	size_t n = 0;

	if (length != 36)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (i != 8 && i != 13 && i != 18 && i != 23)
			hex[n++] = text[i];
		else if (text[i] != '-')
			return false;
	}
	hex[n] = '\0';
	if (!hex_decode(hex, bytes, sizeof(bytes)))
		return false;
	for (int i = 0; i < 16; i++)
		ret_bytes[i] = bytes[order[i]];
	return true;
}

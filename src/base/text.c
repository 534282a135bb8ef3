/*
 * text: text that is safe to show, hexadecimal. Any thread.
 */
#include "vmm/base.h"

static const char digits[] = "0123456789abcdef";

unsigned text_escape_byte(unsigned char byte, char ret_text[static 4])
{
	if (byte >= ' ' && byte != 0x7f) {
		ret_text[0] = (char)byte;
		return 1;
	}
	ret_text[0] = '\\';
	ret_text[1] = 'x';
	ret_text[2] = digits[byte >> 4];
	ret_text[3] = digits[byte & 15];
	return 4;
}

void text_put_safe(FILE *out, const char *text)
{
	char shown[4];

	for (; *text; text++)
		fwrite(shown, 1, text_escape_byte((unsigned char)*text, shown), out);
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

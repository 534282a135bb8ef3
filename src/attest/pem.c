/*
 * pem: the strict reading of PEM, where every character counts. Any thread. RFC 7468, section 5.
 */
#include <string.h>

#include "cert.h"

#define BEGIN "-----BEGIN CERTIFICATE-----"
#define END   "-----END CERTIFICATE-----"

#define LINE_CHARS 64

struct text {
	const char *at;
	size_t left;
};

static bool skip(struct text *t, const char *word, size_t size)
{
	if (t->left < size || memcmp(t->at, word, size) != 0)
		return false;
	t->at += size;
	t->left -= size;
	return true;
}

static bool starts(const struct text *t, const char *word, size_t size)
{
	return t->left >= size && memcmp(t->at, word, size) == 0;
}

/* The lines between BEGIN and END, joined; -1 if a line is empty, too long, or short before the last. */
static int join_lines(struct text *t, const char *eol, char *base64, size_t max)
{
	size_t used = 0, length = LINE_CHARS;

	while (!starts(t, END, strlen(END))) {
		const char *end = memchr(t->at, eol[0], t->left);

		if (!end || length < LINE_CHARS)
			return -1;
		length = (size_t)(end - t->at);
		if (length == 0 || length > LINE_CHARS || used + length >= max)
			return -1;
		memcpy(base64 + used, t->at, length);
		used += length;
		t->at += length;
		t->left -= length;
		if (!skip(t, eol, strlen(eol)))
			return -1;
	}
	base64[used] = '\0';
	return (int)used;
}

/* Decodes, and refuses text that the same bytes would not be written as. */
static int decode(const char *base64, size_t length, uint8_t *der, size_t max)
{
	unsigned padding = length < 4 ? 0 : (base64[length - 1] == '=') + (base64[length - 2] == '=');
	auto_free char *again = malloc(length + 1);
	int size;

	if (!again || length == 0 || length % 4 != 0 || length / 4 * 3 > max)
		return -1;
	size = EVP_DecodeBlock(der, (const uint8_t *)base64, (int)length);
	if (size < (int)padding)
		return -1;
	size -= (int)padding;
	EVP_EncodeBlock((uint8_t *)again, der, size);
	return strcmp(again, base64) == 0 ? size : -1;
}

int pem_take(const char **text, size_t *size, uint8_t *ret_der, size_t der_max)
{
	struct text t = {*text, *size};
	auto_free char *base64 = malloc(*size + 1);
	const char *eol;
	int length, der_size;

	if (!base64 || !skip(&t, BEGIN, strlen(BEGIN)))
		return -1;
	eol = starts(&t, "\r\n", 2) ? "\r\n" : "\n";
	if (!skip(&t, eol, strlen(eol)))
		return -1;
	length = join_lines(&t, eol, base64, *size + 1);
	if (length < 0)
		return -1;
	der_size = decode(base64, (size_t)length, ret_der, der_max);
	if (der_size < 0 || !skip(&t, END, strlen(END)))
		return -1;
	if (t.left > 0 && !skip(&t, eol, strlen(eol)))
		return -1;
	if (t.left == strlen(eol)) /* AMD's key server ends some files with an empty line */
		skip(&t, eol, strlen(eol));
	*text = t.at;
	*size = t.left;
	return der_size;
}

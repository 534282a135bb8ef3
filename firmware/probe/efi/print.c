/* SPDX-License-Identifier: Apache-2.0 */
/*
 * print: a line of JSON on the first serial port. OVMF's console inserts escape sequences, so the bytes go to
 * the port itself; OVMF has set the port up. In a SEV-ES guest each access raises #VC, which OVMF's handler
 * serves.
 */
#include "facts.h"

#define COM1         0x3f8
#define LINE_STATUS  (COM1 + 5)
#define HAS_BYTE     0x01
#define CAN_TAKE     0x20
#define LONGEST_WAIT 1000000
#define FIRST_TEXT   0x20 /* below are control characters */
#define LAST_TEXT    0x7e

static bool is_first = true; /* of an object or a list: no comma before it */

static void put(char c)
{
	for (unsigned wait = 0; wait < LONGEST_WAIT && !(in8(LINE_STATUS) & CAN_TAKE); wait++)
		;
	out8(COM1, (uint8_t)c);
}

static void puts_raw(const char *text)
{
	for (; *text; text++)
		put(*text);
}

/* A character that JSON would have to escape becomes '?': no text here has one. */
static void put_text(uint16_t c)
{
	put(c < FIRST_TEXT || c > LAST_TEXT || c == '"' || c == '\\' ? '?' : (char)c);
}

static void put_digits(uint64_t value, unsigned base, unsigned least)
{
	char digits[24];
	unsigned count = 0;

	do {
		digits[count++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value || count < least);
	while (count)
		put(digits[--count]);
}

static void put_key(const char *key)
{
	if (!is_first)
		put(',');
	is_first = false;
	if (key) {
		put('"');
		puts_raw(key);
		puts_raw("\":");
	}
}

void print_begin(void)
{
	puts_raw("\r\n{");
	is_first = true;
}

void print_end(void)
{
	puts_raw("}\r\n");
}

void await_key(void)
{
	while (!(in8(LINE_STATUS) & HAS_BYTE))
		__asm__ volatile("pause");
	in8(COM1);
}

void print_open(const char *key, char bracket)
{
	put_key(key);
	put(bracket);
	is_first = true;
}

void print_close(char bracket)
{
	put(bracket);
	is_first = false;
}

void print_null(const char *key)
{
	put_key(key);
	puts_raw("null");
}

void print_bool(const char *key, bool value)
{
	put_key(key);
	puts_raw(value ? "true" : "false");
}

void print_number(const char *key, uint64_t value)
{
	put_key(key);
	put_digits(value, 10, 1);
}

void print_mask(const char *key, uint64_t value)
{
	put_key(key);
	puts_raw("\"0x");
	put_digits(value, 16, 1);
	put('"');
}

void print_text(const char *key, const char *text, size_t length)
{
	put_key(key);
	put('"');
	for (size_t i = 0; i < length && text[i]; i++)
		put_text((uint8_t)text[i]);
	put('"');
}

void print_text16(const char *key, const CHAR16 *text)
{
	put_key(key);
	put('"');
	while (*text)
		put_text(*text++);
	put('"');
}

void print_cpuid(const char *key, uint32_t leaf)
{
	struct cpuid c = cpuid(leaf);

	print_open(key, '{');
	print_mask("eax", c.eax);
	print_mask("ebx", c.ebx);
	print_mask("ecx", c.ecx);
	print_mask("edx", c.edx);
	print_close('}');
}

void print_time(const char *key, const EFI_TIME *time)
{
	put_key(key);
	put('"');
	put_digits(time->Year, 10, 4);
	put('-');
	put_digits(time->Month, 10, 2);
	put('-');
	put_digits(time->Day, 10, 2);
	put('T');
	put_digits(time->Hour, 10, 2);
	put(':');
	put_digits(time->Minute, 10, 2);
	put(':');
	put_digits(time->Second, 10, 2);
	put('"');
}

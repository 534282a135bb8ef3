/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err: the error that the caller holds. Any thread; no state. Law: docs/errors.md.
 */
#include <stdarg.h>
#include <string.h>

#include "vmm/base.h"

const char *err_sys_name(int sys)
{
	static _Thread_local char number[24];
	const char *name = strerrorname_np(sys);

	if (name)
		return name;
	snprintf(number, sizeof(number), "errno %d", sys);
	return number;
}

/* More than any path and the message about it need. */
#define WHOLE_BYTES 10000

/* Writes "<fmt><after>", formatted, to the error's text. */
static PRINTF(2, 0) void put_text(struct err *e, const char *fmt, va_list args, const char *after)
{
	char whole[WHOLE_BYTES];
	int used = vsnprintf(whole, sizeof(whole), fmt, args);

	if (used < 0)
		used = 0;
	if ((size_t)used >= sizeof(whole))
		used = sizeof(whole) - 1;
	snprintf(whole + used, sizeof(whole) - (size_t)used, "%s", after);
	text_brief(whole, e->text, sizeof(e->text));
}

int(err_set)(struct err *e, enum err_kind kind, const char *fmt, ...)
{
	va_list args;

	if (!e)
		return -1;
	*e = (struct err){.kind = kind};
	va_start(args, fmt);
	put_text(e, fmt, args, "");
	va_end(args);
	return -1;
}

int(err_sys)(struct err *e, enum err_kind kind, int sys, const char *fmt, ...)
{
	char why[120];
	va_list args;

	if (!e)
		return -1;
	*e = (struct err){.kind = kind, .sys = sys};
	snprintf(why, sizeof(why), ": %s (%s)", strerrordesc_np(sys) ?: "unknown error", err_sys_name(sys));
	va_start(args, fmt);
	put_text(e, fmt, args, why);
	va_end(args);
	return -1;
}

void err_append(struct err *e, const char *fmt, ...)
{
	char whole[2 * sizeof(e->text)];
	size_t used = strlen(e->text);
	va_list args;

	memcpy(whole, e->text, used);
	va_start(args, fmt);
	vsnprintf(whole + used, sizeof(whole) - used, fmt, args);
	va_end(args);
	text_brief(whole, e->text, sizeof(e->text));
}

int(err_wrap)(struct err *e, const char *fmt, ...)
{
	char inner[sizeof(e->text) + 2];
	va_list args;

	if (!e)
		return -1;
	snprintf(inner, sizeof(inner), ": %s", e->text);
	va_start(args, fmt);
	put_text(e, fmt, args, inner);
	va_end(args);
	return -1;
}

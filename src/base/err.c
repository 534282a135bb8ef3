/*
 * err: the caller-held error. Any thread; no state. docs/errors.md is its law.
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

int(err_set)(struct err *e, enum err_kind kind, const char *fmt, ...)
{
	va_list args;

	if (!e)
		return -1;
	*e = (struct err){.kind = kind};
	va_start(args, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, args);
	va_end(args);
	return -1;
}

int(err_sys)(struct err *e, enum err_kind kind, int sys, const char *fmt, ...)
{
	va_list args;
	size_t used;

	if (!e)
		return -1;
	*e = (struct err){.kind = kind, .sys = sys};
	va_start(args, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, args);
	va_end(args);
	used = strlen(e->text);
	snprintf(e->text + used, sizeof(e->text) - used, ": %s (%s)", strerrordesc_np(sys) ?: "unknown error",
	        err_sys_name(sys));
	return -1;
}

int(err_wrap)(struct err *e, const char *fmt, ...)
{
	char inner[sizeof(e->text)];
	va_list args;
	size_t used;

	if (!e)
		return -1;
	memcpy(inner, e->text, sizeof(inner));
	va_start(args, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, args);
	va_end(args);
	used = strlen(e->text);
	snprintf(e->text + used, sizeof(e->text) - used, ": %s", inner);
	return -1;
}

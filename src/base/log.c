/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log: writes each line to standard error with one write(2), so that lines of several threads never mix. Any
 * thread. Callers never log guest memory or secrets.
 */
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>

#include "vmm/base.h"

#define LINE_MAX_BYTES 1000

static _Atomic enum log_level current = LOG_WARN;
static bool to_journal;

void log_set_level(enum log_level level)
{
	current = level;
}

/* The journal names its socket by device and inode, since the variable outlives a redirection. */
void log_find_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;
	char rest;

	to_journal = stream && sscanf(stream, "%llu:%llu%c", &device, &inode, &rest) == 2 &&
	             fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

bool log_is_journal(void)
{
	return to_journal;
}

const char *log_prefix(enum log_level level)
{
	static const char *const words[] = {"vmm: error: ", "vmm: warning: ", "vmm: info: ", "vmm: debug: "};
	/* sd-daemon(3); the numbers are those of syslog(3). */
	static const char *const priorities[] = {"<3>", "<4>", "<6>", "<7>"};

	return to_journal ? priorities[level] : words[level];
}

/* Appends text with its control characters escaped. Returns the new length. */
static size_t escape(char *line, size_t used, size_t max, const char *text)
{
	unsigned length;

	for (; used + TEXT_SAFE_BYTES <= max && (length = text_safe_next(&text, line + used)); used += length)
		;
	return used;
}

/*
 * Writes a line, or drops it. An error of the log itself has nowhere to be reported, and a reader that has
 * stopped must not stop the guest. A signal that ends the wait asks the thread to end its work, so the line
 * is dropped then, too.
 */
static void put(const char *text, size_t size)
{
	struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};

	if (poll(&ready, 1, LOG_WAIT_MS) != 1 || write(STDERR_FILENO, text, size) < 0)
		return;
}

void log_at(enum log_level level, const char *fmt, ...)
{
	char text[LINE_MAX_BYTES], line[LINE_MAX_BYTES + 32];
	va_list args;
	size_t used;

	if (level > current)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	used = (size_t)snprintf(line, sizeof(line), "%s", log_prefix(level));
	used = escape(line, used, sizeof(line) - 1, text);
	line[used++] = '\n';
	put(line, used);
}

void log_print(const char *fmt, ...)
{
	char text[LINE_MAX_BYTES];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (n > 0)
		put(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

bool log_limit_pass(struct log_limit *limit)
{
	struct timespec now;
	uint64_t second, seen;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	second = (uint64_t)now.tv_sec + 1;
	seen = atomic_load(&limit->second);
	if (seen != second && atomic_compare_exchange_strong(&limit->second, &seen, second)) {
		uint64_t dropped = atomic_exchange(&limit->dropped, 0);

		atomic_store(&limit->count, 0);
		if (dropped)
			log_warn("%llu lines like the next one were dropped", (unsigned long long)dropped);
	}
	if (atomic_fetch_add(&limit->count, 1) < LOG_LIMIT_BURST)
		return true;
	atomic_fetch_add(&limit->dropped, 1);
	return false;
}

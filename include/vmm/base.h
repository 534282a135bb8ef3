/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base: what every room uses: errors, log, bounded cursors, checked arithmetic, files, limits, text, hashes.
 * Nothing here knows about guests.
 */
#ifndef VMM_BASE_H
#define VMM_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define MUST_CHECK        __attribute__((warn_unused_result))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define ARRAY_LEN(a)      (sizeof(a) / sizeof((a)[0]))
#define KIB(n)            ((uint64_t)(n) << 10)
#define MIB(n)            ((uint64_t)(n) << 20)
#define GIB(n)            ((uint64_t)(n) << 30)
#define PAGE_SIZE_BYTES   4096u

/* ---- locals that close themselves ---- */

static inline void base_free_cleanup(void *p)
{
	free(*(void **)p);
}

static inline void base_close_cleanup(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void base_fclose_cleanup(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define auto_free   __attribute__((cleanup(base_free_cleanup)))
#define auto_close  __attribute__((cleanup(base_close_cleanup))) /* initialise to -1 or a descriptor */
#define auto_fclose __attribute__((cleanup(base_fclose_cleanup)))

/* Hands a self-closing local over to the caller: `*ret_fd = take_fd(&fd); return 0;` */
static inline int take_fd(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}

#define take_ptr(p) \
	({ \
		__auto_type taken_ = *(p); \
		*(p) = NULL; \
		taken_; \
	})

/* Reads a clock of clock_gettime(2), in ns. 0 if there is no such clock. */
static inline uint64_t clock_ns(clockid_t id)
{
	struct timespec now = {0};

	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/*
 * How long a guest that moves was away, by the wall clocks of the two hosts, in ns. A clock that is behind
 * the other one counts as no time. One of the two is wrong if they say more than CLOCK_AWAY_NS_MAX, a year;
 * then so much counts.
 */
#define CLOCK_AWAY_NS_MAX (UINT64_C(366) * 24 * 3600 * 1000000000)

static inline uint64_t clock_away_ns(uint64_t there, uint64_t here)
{
	uint64_t away = here > there ? here - there : 0;

	return away < CLOCK_AWAY_NS_MAX ? away : CLOCK_AWAY_NS_MAX;
}

/* ---- checked arithmetic: true when the result fits (and was stored) ---- */

#define add_ok(a, b, ret) (!__builtin_add_overflow((a), (b), (ret)))
#define mul_ok(a, b, ret) (!__builtin_mul_overflow((a), (b), (ret)))

/* Does [start, start + len) lie in [0, limit)? Never overflows. An empty range fits up to and at limit. */
static inline bool range_fits(uint64_t start, uint64_t len, uint64_t limit)
{
	return start <= limit && len <= limit - start;
}

static inline bool is_aligned(uint64_t value, uint64_t power_of_two)
{
	return (value & (power_of_two - 1)) == 0;
}

/* ---- errors ---- */

/* The kind of an error. Its number is the exit status of the process. */
enum err_kind {
	ERR_NONE = 0,
	ERR_FAILED = 1, /* something failed while doing the job */
	ERR_USAGE = 2,  /* the command line, the configuration or a named file is wrong */
	ERR_GUEST = 3,  /* the guest crashed or terminated itself */
	ERR_HOST = 4,   /* this host cannot do it */
	ERR_REBOOT = 5, /* the guest asked for a reboot, and run.on-reboot ends it then */
	ERR_DOUBT = 6,  /* nobody here can know which of two vmms has a guest that was moved */
};

/*
 * An error that the caller holds. The lowest function makes it with the facts (err_set, err_sys), each caller
 * may put in front what it was doing (err_wrap), and only main and the control socket print it. Functions
 * that can fail return 0 or -1 and take `struct err *` last; on failure they leave their other outputs
 * untouched. A text that is too long loses its middle, so that a long path or value hides neither what
 * happened nor why.
 */
struct err {
	enum err_kind kind;
	int sys;     /* errno, 0 if no system call failed */
	uint32_t fw; /* SEV firmware status, 0 if the firmware was not asked (SEV API, status codes) */
	char text[600];
};

/* Each of these sets *e (e may be NULL) and returns -1, so that a function can `return err_set(...)`. */
int err_set(struct err *e, enum err_kind kind, const char *fmt, ...) PRINTF(3, 4);
/* Appends ": <strerror> (<ERRNO NAME>)" and keeps the number in e->sys. */
int err_sys(struct err *e, enum err_kind kind, int sys, const char *fmt, ...) PRINTF(4, 5);
/* Puts "<fmt>: " in front of the text; keeps kind, sys and fw. */
int err_wrap(struct err *e, const char *fmt, ...) PRINTF(2, 3);
/* Puts "<fmt>", such as a cause and a remedy, after the text; keeps kind, sys and fw. e must not be NULL. */
void err_append(struct err *e, const char *fmt, ...) PRINTF(2, 3);
/* Shows compilers and analyzers that the call returns -1; otherwise they warn that outputs may be unset. */
#define ERR_ALWAYS(call) \
	__extension__({ \
		call; \
		-1; \
	})
#define err_set(...)  ERR_ALWAYS((err_set)(__VA_ARGS__))
#define err_sys(...)  ERR_ALWAYS((err_sys)(__VA_ARGS__))
#define err_wrap(...) ERR_ALWAYS((err_wrap)(__VA_ARGS__))
/* Returns "ENOENT" for 2, and a text such as "errno 4095" for a number that libc cannot name. Never NULL. */
const char *err_sys_name(int sys);

/*
 * ---- log: one line, one write(2), to standard error ----
 *
 * A caller never waits long for a reader: a line that the reader does not take within LOG_WAIT_MS is dropped.
 */
#define LOG_WAIT_MS 100

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_set_level(enum log_level level);
/*
 * Is standard error a stream of systemd's journal? From then on each line begins with its priority as the
 * journal wants it ("<3>") instead of words (sd-daemon(3); systemd.exec(5), JOURNAL_STREAM). Main thread, at
 * the start.
 */
void log_find_journal(void);
bool log_is_journal(void);
/* Returns the text with which a line of this level begins. */
const char *log_prefix(enum log_level level);
/* Lines longer than 1,000 bytes are cut; control characters (guest text!) are written as \xNN. */
void log_at(enum log_level level, const char *fmt, ...) PRINTF(2, 3);

/* Prints text that the user asked for: at every log level, unchanged, and cut at 1,000 bytes. */
void log_print(const char *fmt, ...) PRINTF(1, 2);

#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

/*
 * For lines that a guest or a peer can provoke: each site logs at most LOG_LIMIT_BURST lines a second, then
 * one line that counts the dropped ones. Zero-initialise it. Any thread.
 */
#define LOG_LIMIT_BURST 5
struct log_limit {
	_Atomic uint64_t second;
	_Atomic uint32_t count;
	_Atomic uint64_t dropped;
};
bool log_limit_pass(struct log_limit *limit);

#define log_guest(level, ...) \
	do { \
		static struct log_limit limit_; \
		if (log_limit_pass(&limit_)) \
			log_at((level), __VA_ARGS__); \
	} while (0)

/* ---- bounded cursors: little-endian reading that cannot leave the buffer ---- */

/* A read past the end sets `bad`. From then on everything reads as zero and the cursor no longer moves. */
struct cursor {
	const uint8_t *at;
	size_t left;
	bool bad;
};

static inline struct cursor cursor_over(const void *data, size_t size)
{
	return (struct cursor){.at = data, .left = size};
}

/* Returns the next n bytes; if there are fewer, sets bad and returns NULL. */
const void *cursor_take(struct cursor *c, size_t n);
/* Copies the next n bytes; if there are fewer, sets bad and writes zeros. */
void cursor_copy(struct cursor *c, void *dst, size_t n);
uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_u16(struct cursor *c);
uint32_t cursor_u32(struct cursor *c);
uint64_t cursor_u64(struct cursor *c);

/* ---- little- and big-endian values at any alignment ---- */

static inline uint64_t load_le(const void *p, unsigned size)
{
	uint64_t v = 0;
	__builtin_memcpy(&v, p, size);
	return v;
}

static inline void store_le(void *p, unsigned size, uint64_t v)
{
	__builtin_memcpy(p, &v, size);
}

/* ---- files that are read ---- */

/*
 * Reads a whole file of at most max bytes: a regular file, a pipe (`<(...)`, /dev/fd/N, or a FIFO, for whose
 * writer it waits) or, for "-", the standard input. ERR_USAGE, with a text that names the path and the
 * remedy, if the file is missing, unreadable, a directory, a device or larger; ERR_FAILED if a signal that
 * ends vmm comes while the function waits for a pipe. The caller frees the buffer; an empty file gives a
 * non-NULL buffer and size 0.
 */
int file_read_all(
        const char *path, size_t max, void **ret_data, size_t *ret_size, struct err *err) MUST_CHECK;
/* Returns the path as messages show it: "standard input" for "-". */
const char *file_name(const char *path);
/*
 * Returns NULL if file_read_all() is expected to read the file and to find bytes in it; otherwise the reason,
 * which completes "PATH cannot be read: ...". It opens nothing: a pipe's writer would notice, and some
 * devices act when they are opened.
 */
const char *file_why_unreadable(const char *path);

/* ---- files that are written: nothing but a regular file is ever replaced or removed ---- */

enum file_output {
	FILE_STREAM, /* grows while vmm runs: file_stream_open() */
	FILE_WHOLE,  /* appears whole: file_replace() */
};

/*
 * Returns NULL if the file could be written in this way; otherwise the reason, which completes "PATH cannot
 * be written: ...". It opens nothing.
 */
const char *file_why_unwritable(enum file_output how, const char *path);
/*
 * Opens a file for writing; the caller closes it. An existing regular file is emptied, unless this process
 * already has it open, as the log to which its standard error goes; then the new text follows the old. A pipe
 * or a character device is written through. Only the open file description of a regular file may be shared
 * with other programs. Waits for the reader of a named pipe. ERR_USAGE.
 */
int file_stream_open(const char *path, int *ret_fd, struct err *err) MUST_CHECK;
/* Writes these bytes as a new file or instead of a regular file. Readers never see half of it. */
int file_replace(const char *path, const void *data, size_t size, struct err *err) MUST_CHECK;
/* Makes a new file with these bytes. ERR_USAGE if a file of that name exists, which is left untouched. */
int file_make(const char *path, const void *data, size_t size, unsigned mode, struct err *err) MUST_CHECK;

/* Opens the folder in which a file of this path is, or would be. -1 with errno. The caller closes it. */
int file_folder_open(const char *path) MUST_CHECK;

/* A file that this process has made, and removes at its end unless another file has taken its place. */
struct file_made {
	char *path; /* NULL: there is none */
	uint64_t device, inode;
};

/* Notes the file at path, which was made just now. ERR_FAILED: it cannot be noted, and was removed. */
int file_made_note(const char *path, struct file_made *ret_made, struct err *err) MUST_CHECK;
/* Removes it if it is still this one, and leaves *made without a file. */
void file_made_remove(struct file_made *made);

/* ---- limits of this process ---- */

enum limit { LIMIT_FILES, LIMIT_FILE_BYTES, LIMIT_ADDRESSES, LIMIT_LOCKED, LIMIT_THREADS };

/* Returns the limit in bytes, files or threads; UINT64_MAX if there is none. */
uint64_t limit_value(enum limit which);
/* How many pages of memory this machine has, as when it was asked first. In the sandbox nobody may ask. */
uint64_t limit_memory_pages(void);
/* "RLIMIT_NOFILE is 16; raise it (ulimit -n, LimitNOFILE= of a service)". Returns text. */
#define LIMIT_WORDS_BYTES 120
const char *limit_words(enum limit which, char text[static LIMIT_WORDS_BYTES]);
/*
 * Explains an error that may come from a limit (EMFILE, EFBIG, ENOMEM): names the limit and makes the error
 * an ERR_HOST. Other errors, and those that name the limit already, stay as they are. Call it where the error
 * is shown.
 */
void limit_explain(struct err *err);
/*
 * Does the same for a thread that could not be made. EAGAIN can come from the user's limit of threads, from
 * the cgroup's, or from a lack of memory for a stack, and does not say which (pthread_create(3)). Other
 * errors stay as they are.
 */
void limit_explain_thread(struct err *err);

/* ---- text ---- */

/*
 * Writes the next character of a text in a form that is safe to show: as it is, or each of its bytes as \xNN
 * if a terminal would obey it (C0 and C1 control characters, DEL) or it is not UTF-8. Moves *text past the
 * character. Returns how many bytes it wrote, 0 at the end of the text; it writes no NUL.
 */
#define TEXT_SAFE_BYTES 8
unsigned text_safe_next(const char **text, char ret_shown[static TEXT_SAFE_BYTES]);
/* Writes text that may come in part from a file, a guest or a peer. */
void text_put_safe(FILE *out, const char *text);
/*
 * Copies text so that it fits: in a text that is too long, "..." replaces the middle, and no UTF-8 character
 * is cut. Returns brief.
 */
const char *text_brief(const char *text, char *brief, size_t size);
/* Shortens a value for a message, so that the reason after it stays in sight. */
#define TEXT_VALUE_BYTES 64
#define TEXT_VALUE(text) text_brief((text), (char[TEXT_VALUE_BYTES]){0}, TEXT_VALUE_BYTES)
/*
 * Write an amount for people and return text: "4KiB", "1.1MiB", "28.0GiB" of bytes; "12", "1.5K" of things.
 * An amount that is whole in its unit has no fraction; of others there is one digit, rounded, and of an
 * amount below the first unit none. amount: at least 0.
 */
#define TEXT_AMOUNT_BYTES 24
const char *text_bytes(double amount, char text[static TEXT_AMOUNT_BYTES]);
const char *text_count(double amount, char text[static TEXT_AMOUNT_BYTES]);
/* Lower-case hexadecimal of size bytes, NUL-terminated; text holds 2 * size + 1. */
void hex_encode(const void *data, size_t size, char *text);
/* Reads exactly size bytes from 2 * size hexadecimal digits and nothing after them; false otherwise. */
bool hex_decode(const char *text, void *data, size_t size) MUST_CHECK;
/*
 * Reads a GUID such as "736869e5-84f0-4973-92ec-06879ce3da0b" from length characters, and writes it in EFI's
 * and SMBIOS's byte order: the first three groups are little-endian (UEFI, appendix A). Returns false if the
 * text is not a GUID; ret_bytes is then undefined.
 */
bool guid_decode(const char *text, size_t length, uint8_t ret_bytes[static 16]) MUST_CHECK;

/* ---- cryptography is loaded when first needed (libcrypto doubles start-up time and memory) ---- */

/*
 * Loads libcrypto. Call once before any EVP_, X509_, ... function; later calls cost nothing. The functions of
 * OpenSSL that the tree uses are listed in base/libcrypto.S; a missing one is a link error.
 */
int crypto_load(struct err *err) MUST_CHECK;
/* The same for SSL_, and for libcrypto as well. The functions are listed in base/libssl.S. */
int crypto_load_tls(struct err *err) MUST_CHECK;

#define SHA256_BYTES 32
#define SHA384_BYTES 48

/* One-shot hashes; crypto_load() must have succeeded. */
void hash_sha256(const void *data, size_t size, uint8_t ret_digest[static SHA256_BYTES]);
void hash_sha384(const void *data, size_t size, uint8_t ret_digest[static SHA384_BYTES]);
/* Constant-time comparison of secrets and digests. */
bool crypto_equal(const void *a, const void *b, size_t size);
/* Overwrites a secret with zeros. The compiler cannot remove this write. */
void crypto_wipe(void *secret, size_t size);

#endif

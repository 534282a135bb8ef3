/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migrate: a guest goes from one vmm to another. docs/migration.md has the format of the stream and the
 * states of the two sides. A thread of its own sends or receives; everything here is for the main thread.
 */
#ifndef VMM_MIGRATE_H
#define VMM_MIGRATE_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base.h"
#include "vmm/run.h"

struct migrate;

/* Files in PEM's form: whose certificates are accepted, and this side's own. */
struct migrate_tls_files {
	const char *authority, *certificate, *key; /* "": there is no TLS */
	const char *name; /* the other side's certificate is for this name; "": see migrate_send() */
};

struct migrate_place {
	struct run *run; /* borrowed */
	/*
	 * A file to which this side writes, before anything else happens, that it gave a guest away or took
	 * one; "": there is none.
	 */
	const char *record;
	/*
	 * Of SEV guests without a helper. Files; "": there is none. As a target: the certificates of this
	 * host, of which the firmware does not know all. As a source: the ARK to which those of the other
	 * host lead.
	 */
	const char *certificates, *root;
	struct migrate_tls_files tls; /* with these, moves go over TLS alone; the name is borrowed */
};

/*
 * To be called between run_create() and run_guest(). ERR_USAGE: the record cannot be written, or a file of
 * certificates or of TLS does not serve. ERR_HOST: there is no OpenSSL.
 */
int migrate_create(
        const struct migrate_place *place, struct migrate **ret_migrate, struct err *err) MUST_CHECK;
/* After run_guest(), before run_destroy(). NULL is allowed. */
void migrate_destroy(struct migrate *migrate);

/* ---- what happens ---- */

/* Where a move is. The names of migrate_status_name() are QEMU's MigrationStatus, but for "in-doubt". */
enum migrate_status {
	MIGRATE_STATUS_NONE,
	MIGRATE_STATUS_SETUP,           /* both sides compare what guest they have */
	MIGRATE_STATUS_ACTIVE,          /* memory travels */
	MIGRATE_STATUS_DEVICE,          /* the guest is stopped, and the rest travels */
	MIGRATE_STATUS_POSTCOPY_ACTIVE, /* the guest runs on the target, and the rest of its memory follows */
	MIGRATE_STATUS_POSTCOPY_PAUSED, /* the same, and the connection broke */
	MIGRATE_STATUS_POSTCOPY_RECOVER, /* there is a new one */
	MIGRATE_STATUS_CANCELLING,       /* the user wants the guest to stay */
	MIGRATE_STATUS_CANCELLED,
	MIGRATE_STATUS_COMPLETED, /* the guest runs on the other side, which has said so; or here */
	MIGRATE_STATUS_FAILED,    /* the guest is where it was */
	/*
	 * The connection broke where this side cannot know which of them has the guest. It does not run here
	 * until migrate_send() with again, or migrate_resolve().
	 */
	MIGRATE_STATUS_DOUBT,
	MIGRATE_STATUSES
};
/* "active" */
const char *migrate_status_name(enum migrate_status status);

struct migrate_observer {
	void (*on_status)(void *ctx, enum migrate_status status);
	void (*on_pass)(void *ctx, uint64_t pass); /* over memory, from 1 */
	void *ctx;
};
/* There is one observer, which is borrowed until migrate_destroy(). It must not call migrate_*(). */
void migrate_observe(struct migrate *migrate, const struct migrate_observer *observer);

struct migrate_facts {
	enum migrate_status status;
	bool incoming;  /* the guest comes, or came */
	char text[600]; /* why it failed, or what the doubt is; "" otherwise */
	uint64_t pass, data_pages, zero_pages, left_pages, sent_bytes;
	uint64_t written_per_s, pages_per_s, bytes_per_s; /* pages that the guest wrote; over the last pass */
	uint64_t setup_ms, total_ms, expected_ms;         /* expected_ms: the stop, if it came now */
	uint64_t stopped_ms;                              /* how long the guest was stopped, or is by now */
	uint64_t wants;                                   /* pages that a guest waited for */
};
struct migrate_facts migrate_facts_of(struct migrate *migrate);

/* ---- the source ---- */

/* May be changed while a guest moves. */
struct migrate_limits_ask {
	uint64_t bytes_per_s; /* 0: no limit */
	uint64_t stop_ms;     /* the guest is stopped when the rest takes no longer; at least 20 are needed */
	uint64_t late_bytes_per_s; /* of post-copy, beside what the guest waits for; 0: no limit */
};
void migrate_set_limits(struct migrate *migrate, const struct migrate_limits_ask *ask);
struct migrate_limits_ask migrate_limits_of(struct migrate *migrate);
/*
 * Are guests handed over from now on: does the next one go to a process of this host that maps the same
 * memory, in place of a copy? migrate_send() wants a UNIX socket then, and no TLS.
 */
void migrate_set_handover(struct migrate *migrate, bool hands);
bool migrate_is_handover(const struct migrate *migrate);
/*
 * May the next guests go over before all of their memory has? Each of them does when migrate_start_late() is
 * called (post-copy).
 */
void migrate_set_late(struct migrate *migrate, bool late);
bool migrate_may_be_late(const struct migrate *migrate);
/* Lets the guest that moves go over now. ERR_USAGE: none moves, or it may not. */
int migrate_start_late(struct migrate *migrate, struct err *err) MUST_CHECK;
/*
 * Begins to send the guest to an address (vmm/back/address.h), or to "file:PATH", a file that it makes, or
 * over fd, a connected stream socket, which is owned from now on, also after an error; -1 if there is an
 * address. again: this leads to the target of a move that is in doubt, to ask it, or that
 * lacks memory. With TLS the target's
 * certificate is for the name in migrate_place, or for the host of the address. ERR_USAGE: the guest cannot
 * be moved, with the reason, or a move is under way. Later failures, among them those to connect, are
 * statuses.
 */
int migrate_send(
        struct migrate *migrate, const char *address, int fd, bool again, struct err *err) MUST_CHECK;
/* Why a guest of this configuration cannot be moved, or handed over, at all; NULL: it can. */
const char *migrate_refusal(struct migrate *migrate);
/* Keeps the guest here. ERR_USAGE: it was given away already. Nothing, if none moves. */
int migrate_cancel(struct migrate *migrate, struct err *err) MUST_CHECK;

/* ---- the target ---- */

/*
 * The guest comes over this socket: one that listens, or a connected one. It is owned from now on. missing_fd
 * is page_missing_open()'s, which is borrowed, or -1: then no memory may come late. To be called before
 * run_guest(); run was created with `arrives`.
 */
void migrate_receive(struct migrate *migrate, int fd, bool listens, int missing_fd);

/* ---- a file ---- */

/* The path of an address "file:PATH", to which migrate_send() saves a guest; NULL: it is another address. */
const char *migrate_file_path(const char *address);
/* A file in which a guest is. */
struct migrate_file;
/*
 * Opens one to load it. again: also if its guest was loaded before, and the file stays as it is; otherwise it
 * says afterwards that its guest was loaded. ERR_USAGE: no guest is in it that could be, with the reason.
 */
int migrate_file_open(
        const char *path, bool again, struct migrate_file **ret_file, struct err *err) MUST_CHECK;
/*
 * Removes a file that was being saved and is not complete; true: no guest can be in it any more. NULL is
 * allowed.
 */
bool migrate_file_close(struct migrate_file *file);
/*
 * As migrate_receive(), from this file, which is owned from now on, also after an error. ERR_USAGE: a guest
 * of this configuration cannot be loaded.
 */
int migrate_load(struct migrate *migrate, struct migrate_file *file, struct err *err) MUST_CHECK;

/* ---- a doubt ---- */

/*
 * Ends a doubt by the operator's word, who has looked at the other side. runs: the guest runs here from now
 * on. Otherwise it is not here: a source has given it away, a target ends. ERR_USAGE: there is no doubt.
 */
int migrate_resolve(struct migrate *migrate, bool runs, struct err *err) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migrate: the one move of a vmm, which the files of this room share. The main thread owns it. The thread of
 * the move works on `side`, and asks the main thread for what only that may do (ask.c).
 */
#ifndef MIGRATE_MIGRATE_H
#define MIGRATE_MIGRATE_H

#include <pthread.h>

#include "chain.h"
#include "file.h"
#include "side.h"
#include "vmm/back/address.h"
#include "vmm/loop.h"
#include "vmm/migrate.h"
#include "vmm/run/command.h"
#include "vmm/run/facts.h"

enum migrate_wish {
	MIGRATE_NOTHING,
	MIGRATE_ADD,
	MIGRATE_STOP,
	MIGRATE_SAVE,
	MIGRATE_LOAD,
	MIGRATE_GIVE,
	MIGRATE_TAKE,
	MIGRATE_OFFER, /* lease.c */
	MIGRATE_ACCEPT,
	MIGRATE_LEASE
};

/* With MIGRATE_SAVE and MIGRATE_LOAD: device number i of the board, and its state. */
struct migrate_device {
	unsigned i;
	struct vmstate state; /* MIGRATE_SAVE: the answer */
	const void *data;     /* MIGRATE_LOAD: from these bytes, which are borrowed */
	size_t size;
};

struct migrate {
	struct run *run;
	struct loop *loop;
	struct run_observer run_observer;
	const struct migrate_observer *observer;
	int record_fd;              /* -1: there is none */
	struct migrate_tls *tls;    /* NULL: frames travel as they are */
	const char *tls_name;       /* borrowed */
	struct migrate_root root;   /* to which the certificates of another host must lead */
	struct migrate_chain known; /* what the firmware does not tell of this host's certificates */

	/* What the move is. */
	bool incoming;
	_Atomic bool ending; /* target: the guest ends, so there is no time to wait for another connection */
	bool saves;          /* source: to a file */
	bool hands;          /* source: the next move is a handover */
	bool late;           /* source: the memory of the next one may come late */
	bool given;          /* source: the guest was given away */
	bool owned;          /* target: the guest was taken */
	char address[BACK_ADDRESS_MAX_BYTES]; /* source: to connect to; "": fd is connected */
	char peer[BACK_ADDRESS_MAX_BYTES];    /* source, with TLS: whose certificate the target has */
	int fd;                               /* the connection; -1: none yet */
	struct migrate_file *file;            /* in its place; NULL: there is none */
	int listen_fd;
	struct loop_op *listening;
	enum migrate_status status;
	struct err err; /* why it failed */
	uint64_t started_ns, ended_ns;
	uint64_t stopped_ns; /* when the guest was stopped; 0: it was not */
	uint64_t went_ns;    /* when it ran on the target before all of its memory was there; 0: it did not */
	uint64_t told_pass;
	char *plan;

	/* The thread. */
	pthread_t thread;
	bool threaded;
	bool again; /* it asks, or answers, about an older move */
	_Atomic bool cancelled;
	int cancel_fd; /* can be read when it is cancelled */
	struct migrate_guest guest;
	struct migrate_helper helper;     /* of a SEV guest that has one */
	struct migrate_firmware firmware; /* of a SEV guest without one */
	struct migrate_chain chain;       /* of this host, for the firmware */
	struct migrate_side side;
	struct migrate_progress progress;
	struct migrate_limits limits;
	struct loop_task progress_task, ended_task;
	enum migrate_result result; /* its last words, with thread_err */
	struct err thread_err;

	/* With MIGRATE_ADD: the pieces of memory that the guest has got beside its first, in their order. */
	uint64_t added[PAGE_PLUGS_MAX];
	unsigned added_count;

	struct migrate_device device;
	struct page_hand hand;  /* with MIGRATE_ACCEPT; the answer to MIGRATE_OFFER */
	enum page_lease leased; /* the answer to MIGRATE_LEASE */

	/* What the thread wants of the main thread. The lock guards all of it. */
	pthread_mutex_t lock;
	pthread_cond_t answered;
	struct loop_task wish_task;
	enum migrate_wish wish;
	bool over;    /* there will be no more answers */
	bool refused; /* the last wish has none */
	int answer;
	struct err answer_err;
	struct err take_err; /* MIGRATE_TAKE: why it failed, while what was taken is released */
};

/* migrate.c: tells the observer. */
void migrate_set_status(struct migrate *migrate, enum migrate_status status);

/* ---- allow.c ---- */

/* ERR_USAGE: the guest cannot be sent now. again: the move of one that was given away goes on. */
int migrate_may_send(struct migrate *migrate, bool again, struct err *err) MUST_CHECK;
/* Also: whose certificate the target must have. address NULL: there is a descriptor. */
int migrate_may_connect(struct migrate *migrate, const char *address, struct err *err) MUST_CHECK;

/* ---- worker.c: the thread ---- */

/* Starts the thread over migrate->fd. */
int migrate_worker_start(struct migrate *migrate, struct err *err) MUST_CHECK;
/* Lets it end soon, wherever it waits. */
void migrate_worker_cancel(struct migrate *migrate);
/* Ends it, wherever it is, and waits for that. Allowed when there is none. */
void migrate_worker_end(struct migrate *migrate);
/* On the thread: TLS over a new connection, if the frames travel so. */
int migrate_worker_secure(struct migrate *migrate, struct err *err) MUST_CHECK;
/* The guest of this vmm, for the states of the two sides. *err if there is no memory for its plan. */
int migrate_worker_prepare(struct migrate *migrate, struct err *err) MUST_CHECK;

/* ---- helper.c: a SEV guest ---- */

/* The helper of this vmm's guest, for the states of the two sides; NULL: it is a plain guest. */
const struct migrate_helper *migrate_helper_of(struct migrate *migrate);
/* Does not let the thread wait for the helper any longer: the move is over. */
void migrate_helper_cancel(struct migrate *migrate);
/* Implements check() of struct migrate_helper and struct migrate_firmware; ctx: the struct migrate. */
int migrate_helper_check(void *ctx, struct err *err) MUST_CHECK;
/* Why a guest of this configuration cannot be moved because of what protects it; NULL: it can. */
const char *migrate_helper_refusal(struct migrate *migrate);

/* ---- firmware.c: a SEV guest without a helper ---- */

/* Do the secure processors of both hosts move such a guest? */
bool migrate_firmware_serves(const struct config *config);
/*
 * The secure processor, for the states of the two sides; NULL: the guest does not move by it. Asks for this
 * host's certificates. ERR_HOST: it does not tell them.
 */
int migrate_firmware_prepare(
        struct migrate *migrate, const struct migrate_firmware **ret_firmware, struct err *err) MUST_CHECK;

/* ---- ask.c: what the thread asks for ---- */

void migrate_ask_init(struct migrate *migrate);
void migrate_ask_finish(struct migrate *migrate);
/* On the thread: returns what the main thread answers; -1 with *err also if there will be no answer. */
int migrate_ask(struct migrate *migrate, enum migrate_wish wish, struct err *err) MUST_CHECK;
/* Lets migrate_ask() return, now and from now on; or lets it ask again. */
void migrate_ask_refuse(struct migrate *migrate, bool refuse);
/* The guest has settled, if that was waited for. */
void migrate_ask_on_settled(struct migrate *migrate);
/* A disk may have been released, if that was waited for. */
void migrate_ask_on_released(struct migrate *migrate);

/* ---- lease.c: a guest that is handed over ---- */

/* Why a guest of this configuration cannot be handed over; NULL: it can. */
const char *migrate_lease_refusal(struct migrate *migrate);
/* ERR_USAGE: a handover does not go this way. fd: a connected socket; -1: there is an address. */
int migrate_lease_check_way(
        const struct migrate *migrate, const char *address, int fd, struct err *err) MUST_CHECK;
/* Does what the thread asks for by one of the three wishes. */
int migrate_lease_serve(struct migrate *migrate, enum migrate_wish wish, struct err *err) MUST_CHECK;
/* ERR_FAILED: another process runs the guest, or has run it. */
int migrate_lease_try(struct migrate *migrate, struct err *err) MUST_CHECK;
/* The guest runs here from now on. migrate_lease_try() was successful, or nobody else has had the lease. */
int migrate_lease_own(struct migrate *migrate, struct err *err) MUST_CHECK;
/* The other process may run it. */
void migrate_lease_release(struct migrate *migrate);

/* ---- split.c: a guest whose memory comes late (post-copy) ---- */

/* Why the memory of a guest of this configuration cannot come late; NULL: it can. */
const char *migrate_split_refusal(struct migrate *migrate);
/* Is the guest here or there while memory is missing? */
bool migrate_is_split(const struct migrate *migrate);
/* Implements reconnect() of struct migrate_side; ctx: the struct migrate. On the thread. */
int migrate_split_reconnect(void *ctx, struct err *err) MUST_CHECK;
/* The guest ends here: tells what that means, and ends the process if nothing else can. */
void migrate_split_on_shutdown(struct migrate *migrate);
/*
 * Target: the guest ends here, or is reset, and its vCPUs have ended. Returns when devices have brought to an
 * end what they had begun, for which pages still come; ends the process if they cannot come any more.
 */
void migrate_split_quieten(struct migrate *migrate);

/* ---- record.c: what is known of this side's moves, whatever happens to it ---- */

int migrate_record_open(const char *path, int *ret_fd, struct err *err) MUST_CHECK;
/*
 * Appends a line with what has happened ("gave", "took", "kept", "resolved: ..."), and returns when it is on
 * the disk. After an error the file is as before. fd -1: nothing is written.
 */
int migrate_record_write(
        int fd, const char *what, const uint8_t id[static MIGRATE_ID_BYTES], struct err *err) MUST_CHECK;

#endif

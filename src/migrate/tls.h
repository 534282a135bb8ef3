/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls: TLS 1.3 below the frames of a move, by OpenSSL. Both sides show a certificate, and each demands that
 * the other's was issued by the authority that the user names.
 */
#ifndef MIGRATE_TLS_H
#define MIGRATE_TLS_H

#include <stdatomic.h>
#include <sys/types.h>

#include "vmm/migrate.h"

struct migrate_tls;
struct migrate_session;

/* Loads OpenSSL and reads the files. NULL without an error: files has none. ERR_USAGE, ERR_HOST. */
int migrate_tls_create(
        const struct migrate_tls_files *files, struct migrate_tls **ret_tls, struct err *err) MUST_CHECK;
void migrate_tls_destroy(struct migrate_tls *tls); /* NULL is allowed */

struct migrate_peer {
	int fd;                  /* a connected socket, borrowed until migrate_session_end() */
	bool accepts;            /* this side was connected to */
	const char *name;        /* for whom its certificate must be, a host's name or IP address; "": any */
	_Atomic bool *cancelled; /* borrowed: nothing more is read */
};

/* ERR_FAILED: there is no memory. */
int migrate_session_begin(struct migrate_tls *tls, const struct migrate_peer *peer,
        struct migrate_session **ret_session, struct err *err) MUST_CHECK;
void migrate_session_end(struct migrate_session *session); /* NULL is allowed */
/*
 * Goes on with the handshake. Returns 0 when both sides are who they say, otherwise the event of poll(2) that
 * must come before the next call, or -1 with *err.
 */
int migrate_session_agree(struct migrate_session *session, struct err *err) MUST_CHECK;
/*
 * As recv(2) and send(2) with MSG_DONTWAIT. errno EPROTO: a record was damaged, or the peer or OpenSSL gave
 * up; migrate_session_fault() says why, and anybody on the way may have caused it. What could not be
 * sent at once (EAGAIN) must be what is sent next.
 */
ssize_t migrate_session_receive(struct migrate_session *session, void *data, size_t size) MUST_CHECK;
ssize_t migrate_session_send(struct migrate_session *session, const void *data, size_t size) MUST_CHECK;
/* Sets *err to what went wrong last; ERR_FAILED. Returns -1. */
int migrate_session_fault(const struct migrate_session *session, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire: the frames in which a guest travels from one vmm to another, over a stream socket. docs/migration.md
 * has the format. The peer is hostile: of each frame the header is checked before its payload is read, there
 * are never more bytes of it here than one frame has, and all waits end.
 */
#ifndef MIGRATE_WIRE_H
#define MIGRATE_WIRE_H

#include <stdatomic.h>

#include "fds.h"
#include "lend.h"
#include "tls.h"
#include "vmm/base.h"

/* The header of a frame. Numbers are little-endian. */
#define MIGRATE_MAGIC             0x314d4d56u /* "VMM1" */
#define MIGRATE_HEADER_BYTES      32
#define MIGRATE_FLAG_UNDERSTAND   1u /* a reader that does not know the type gives up; otherwise it skips */
#define MIGRATE_PAYLOAD_MAX_BYTES (MIB(1) + 64)

enum migrate_type {
	MIGRATE_HELLO = 1, /* both: version, id */
	MIGRATE_PLAN,      /* both: what guest this is, as text */
	MIGRATE_PAGES,     /* source: pages, and which pages are zeros */
	MIGRATE_PASS,      /* source: the end of a pass over memory */
	MIGRATE_TIME,      /* source: the state of the guest's clocks */
	MIGRATE_VCPU,      /* source: of a vCPU */
	MIGRATE_CHIPS,     /* source: of the interrupt controllers */
	MIGRATE_DEVICE,    /* source: of a device */
	MIGRATE_STATE,     /* source: the end of these states */
	MIGRATE_READY,     /* target: all of it is here, and checked */
	MIGRATE_COMMIT,    /* source: the guest is yours */
	MIGRATE_DONE,      /* target: it is, and runs */
	MIGRATE_ABORT,     /* both: why it is given up, as text */
	MIGRATE_PING,      /* both: nothing */
	MIGRATE_KEYS,      /* both: what the helpers' keys follow from */
	MIGRATE_PROOF,     /* target: its helper, or secure processor, has the source's keys */
	MIGRATE_SEALED,    /* source: pages that its guest's helper has sealed */
	MIGRATE_ENDS,      /* source: of the sealed streams */
	MIGRATE_MAP,       /* source: what the guest shares */
	MIGRATE_CHAIN,     /* target: the certificates of its host */
	MIGRATE_SESSION,   /* source: keys for the target's secure processor */
	MIGRATE_SENT,      /* source: pages that its secure processor has packed */
	MIGRATE_MEMORY,    /* source: memory that is handed over. Target: it is mapped */
	MIGRATE_LATER,     /* source: which pages come later. Target: which have not come */
	MIGRATE_WANT,      /* target: pages that its guest waits for */
	MIGRATE_WHOLE,     /* target: it needs no more pages */
	MIGRATE_TYPES
};
/* "PAGES"; NULL: there is no such type. */
const char *migrate_type_name(unsigned type);
/* How long the payload of such a frame may be; of a type that is not known, as long as any. */
size_t migrate_type_max_bytes(unsigned type);

struct migrate_file;

/* What is done whenever this descriptor can be read while the wire waits for the peer's next frame. */
struct migrate_watch {
	int fd; /* borrowed; -1: there is none */
	int (*on_ready)(void *ctx, struct err *err);
	void *ctx;
};

struct migrate_frame {
	unsigned type;
	const uint8_t *payload; /* valid until the next frame is received */
	size_t size;
	size_t unsummed; /* bytes at the end of which the frame's checksum says nothing */
};

struct migrate_wire {
	int fd;                          /* borrowed */
	_Atomic bool *cancelled;         /* borrowed: ends every wait */
	struct migrate_session *session; /* of TLS; NULL: the frames travel as they are */
	struct migrate_file *file; /* borrowed: frames go to it, or come from it; NULL: there is a peer */
	uint8_t *in, *out;         /* a frame each */
	uint64_t in_sequence, out_sequence;
	struct migrate_lender lender;
	size_t in_begun; /* bytes of the next frame that are there already */
	struct migrate_watch watch;
	bool takes_fds;              /* a frame MEMORY may bring descriptors; those of others are refused */
	struct migrate_fds in_fds;   /* of the last frame; closed when the next one is received */
	bool given_up;               /* the peer has said so, in a frame that is whole */
	bool faulted;                /* TLS has failed, by whoever's fault, and carries nothing any more */
	unsigned patience_ms;        /* how long a peer may do nothing; MIGRATE_PATIENCE_MS, but in tests */
	_Atomic uint64_t sent_bytes; /* any thread may read it */
};

#define MIGRATE_PATIENCE_MS 30000

/* ERR_FAILED: no memory. fd: a connected stream socket. */
int migrate_wire_init(struct migrate_wire *wire, int fd, _Atomic bool *cancelled, struct err *err) MUST_CHECK;
void migrate_wire_finish(struct migrate_wire *wire); /* a zeroed one is allowed */
/*
 * Before the first frame: agrees on TLS with the peer. The rest as for migrate_session_begin(). Waits at most
 * patience_ms. ERR_FAILED.
 */
int migrate_wire_secure(struct migrate_wire *wire, struct migrate_tls *tls, bool accepts, const char *name,
        struct err *err) MUST_CHECK;
/* Where the payload of the next frame is written: MIGRATE_PAYLOAD_MAX_BYTES. */
uint8_t *migrate_wire_payload(struct migrate_wire *wire);
/*
 * Sends a frame with the first size bytes there. Waits at most patience_ms for the peer to take something.
 * ERR_FAILED: it took nothing, or is gone, or the wait was cancelled; if the peer has told why it gave up,
 * that is the error.
 */
int migrate_wire_send(
        struct migrate_wire *wire, enum migrate_type type, size_t size, struct err *err) MUST_CHECK;
/* The same with a payload that begins further on in migrate_wire_payload(); what is before it is lost. */
int migrate_wire_send_at(struct migrate_wire *wire, enum migrate_type type, uint8_t *payload, size_t size,
        struct err *err) MUST_CHECK;
/*
 * Whether migrate_wire_send_lent() works: over a socket without TLS, where the kernel lets it.
 */
bool migrate_wire_lends(struct migrate_wire *wire);
/*
 * Sends a frame with the first size bytes in migrate_wire_payload() and then the memory at iov, which is
 * changed, as it is when the peer receives it. The frame's checksum leaves that out. Otherwise as
 * migrate_wire_send().
 */
int migrate_wire_send_lent(struct migrate_wire *wire, enum migrate_type type, size_t size, struct iovec *iov,
        unsigned count, struct err *err) MUST_CHECK;
/* The same, with descriptors, at most MIGRATE_FDS_MAX, which stay the caller's: over a UNIX socket without
 * TLS. */
int migrate_wire_send_fds(struct migrate_wire *wire, enum migrate_type type, size_t size, const int *fds,
        unsigned count, struct err *err) MUST_CHECK;
/*
 * Receives a frame of a type that is known, and skips those that need not be understood. Nothing may come for
 * so many times patience_ms. ERR_FAILED: nothing came, the connection is over, the wait was cancelled, the
 * frame is damaged or not the next one, or has descriptors that it must not have, or the peer gave up, in its
 * words.
 */
int migrate_wire_receive(struct migrate_wire *wire, unsigned times, struct migrate_frame *ret_frame,
        struct err *err) MUST_CHECK;
/* Has a frame begun to come? Does not wait. Returns 1 or 0; -1 with *err: the connection is over. */
int migrate_wire_has_begun(struct migrate_wire *wire, struct err *err) MUST_CHECK;
/* Waits at most so long, or until something comes. */
int migrate_wire_doze(struct migrate_wire *wire, unsigned ms, struct err *err) MUST_CHECK;
/* Receives a frame of that type with at least size_min bytes; any other one is an error, too. */
int migrate_wire_expect(struct migrate_wire *wire, enum migrate_type type, size_t size_min, unsigned times,
        struct migrate_frame *ret_frame, struct err *err) MUST_CHECK;
/* Tells the peer why this side gives up, as far as the socket takes it at once. */
void migrate_wire_abort(struct migrate_wire *wire, const char *why);

/* crc.c. The second one does without instructions for it, for tests. */
uint32_t migrate_crc32c(const void *data, size_t size);
uint32_t migrate_crc32c_plain(const void *data, size_t size);

#endif

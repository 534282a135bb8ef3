/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmstate: the state of a part of a guest (a device, a vCPU) as bytes, for a guest that goes on elsewhere.
 * One function of the part visits its fields in a fixed order, and does so in both directions: with a vmstate
 * that saves, each visit appends the field's value; with one that loads, it takes the value from the bytes.
 * So what is saved and what is loaded cannot differ.
 *
 * The bytes that are loaded come from a peer, which may be hostile: each visit says which values are
 * possible. The first value that is not, or that is missing, makes the vmstate bad. From then on it loads
 * zeros, and the part that was loaded must not be used.
 */
#ifndef VMM_BASE_VMSTATE_H
#define VMM_BASE_VMSTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base.h"

/* No part has more. */
#define VMSTATE_MAX_BYTES MIB(16)

struct vmstate {
	bool loads;
	bool bad;          /* err says why */
	struct err err;    /* ERR_FAILED */
	const char *part;  /* for messages: "serial port" */
	struct cursor in;  /* of one that loads: what is left */
	uint8_t *data;     /* of one that saves, vmstate_finish() frees it */
	size_t size, room; /* bytes in data; allocated for it */
};

/* An empty one that saves. part: a text that outlives it. The caller calls vmstate_finish(). */
struct vmstate vmstate_save(const char *part);
/* One that loads from these bytes, which are borrowed. It needs no vmstate_finish(). */
struct vmstate vmstate_load(const char *part, const void *data, size_t size);
void vmstate_finish(struct vmstate *s); /* a zeroed one is allowed */

/*
 * Visit a number. When it is loaded, bits beyond mask make the vmstate bad. Little-endian.
 */
void vmstate_u8(struct vmstate *s, const char *field, uint8_t *value, uint8_t mask);
void vmstate_u16(struct vmstate *s, const char *field, uint16_t *value, uint16_t mask);
void vmstate_u32(struct vmstate *s, const char *field, uint32_t *value, uint32_t mask);
void vmstate_u64(struct vmstate *s, const char *field, uint64_t *value, uint64_t mask);
void vmstate_bool(struct vmstate *s, const char *field, bool *value);
/* Visits a number of any unsigned type up to 32 bits that is at most max: a count, an index, an enum. */
void vmstate_count(struct vmstate *s, const char *field, unsigned *value, unsigned max);
/* Visits size bytes, all values of which are possible. */
void vmstate_bytes(struct vmstate *s, const char *field, void *bytes, size_t size);
/*
 * Visits a number that both sides have already, from their configuration: a version, a size, how many queues
 * there are. It makes the vmstate bad if the other side had another one.
 */
void vmstate_same(struct vmstate *s, const char *field, uint64_t value);
/* Makes the vmstate bad, for a reason that completes "state of the <part>: ...". */
void vmstate_fail(struct vmstate *s, const char *fmt, ...) PRINTF(2, 3);
/*
 * Ends the visits. Returns 0, or -1 with *err if the vmstate is bad; also if bytes are left of one that
 * loads.
 */
int vmstate_end(struct vmstate *s, struct err *err) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * types: the frames that there are.
 */
#include "wire.h"

/* What each type may be: a header that promises more is refused before anything of it is read. */
static const struct {
	const char *name;
	size_t max_bytes;
} types[MIGRATE_TYPES] = {
        [MIGRATE_HELLO] = {"HELLO", 256},
        [MIGRATE_PLAN] = {"PLAN", MIB(1)},
        [MIGRATE_PAGES] = {"PAGES", MIGRATE_PAYLOAD_MAX_BYTES},
        [MIGRATE_PASS] = {"PASS", 32},
        [MIGRATE_TIME] = {"TIME", MIB(1)},
        [MIGRATE_VCPU] = {"VCPU", MIB(1)},
        [MIGRATE_CHIPS] = {"CHIPS", MIB(1)},
        [MIGRATE_DEVICE] = {"DEVICE", MIB(1)},
        [MIGRATE_STATE] = {"STATE", 32},
        [MIGRATE_READY] = {"READY", 32},
        [MIGRATE_COMMIT] = {"COMMIT", 32},
        [MIGRATE_DONE] = {"DONE", 32},
        [MIGRATE_ABORT] = {"ABORT", 1024},
        [MIGRATE_PING] = {"PING", 0},
        [MIGRATE_KEYS] = {"KEYS", 128},
        [MIGRATE_PROOF] = {"PROOF", 32},
        [MIGRATE_SEALED] = {"SEALED", MIGRATE_PAYLOAD_MAX_BYTES},
        [MIGRATE_ENDS] = {"ENDS", 512},
        [MIGRATE_MAP] = {"MAP", MIGRATE_PAYLOAD_MAX_BYTES},
        [MIGRATE_CHAIN] = {"CHAIN", KIB(17)},
        [MIGRATE_SESSION] = {"SESSION", 2304},
        [MIGRATE_SENT] = {"SENT", MIGRATE_PAYLOAD_MAX_BYTES},
        [MIGRATE_MEMORY] = {"MEMORY", 32},
        [MIGRATE_LATER] = {"LATER", KIB(65)},
        [MIGRATE_WANT] = {"WANT", 1024},
        [MIGRATE_WHOLE] = {"WHOLE", 32},
};

const char *migrate_type_name(unsigned type)
{
	return type < MIGRATE_TYPES ? types[type].name : NULL;
}

size_t migrate_type_max_bytes(unsigned type)
{
	return migrate_type_name(type) ? types[type].max_bytes : MIGRATE_PAYLOAD_MAX_BYTES;
}

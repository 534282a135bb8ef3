/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_session: the files that the owner's side reads back: a session blob and keys from hostile bytes; and
 * secrets of any sizes for a table. Nothing but the sizes may make it fail, and no session of others may be
 * accepted.
 */
#include <string.h>

#include "fuzz.h"
#include "vmm/attest.h"
#include "vmm/owner.h"

#define ENTRIES_MAX 8

/* Entries are a size byte each, times 64, over the same input. */
static void pack(const uint8_t *data, size_t size, const struct owner_keys *keys)
{
	struct owner_secret_entry entries[ENTRIES_MAX] = {0};
	struct abi_sev_secret_header header;
	uint8_t *table, *cipher;
	size_t count = 0, bytes;
	struct err err = {0};

	for (; count < ENTRIES_MAX && count < size; count++) {
		size_t length = 64u * data[count];

		entries[count].guid.bytes[0] = (uint8_t)(count + 1);
		entries[count].value = (struct attest_blob){data, length < size ? length : size, "entry"};
	}
	if (owner_secret_table(entries, count, &table, &bytes, &err) < 0) {
		fuzz_assert(err.kind == ERR_USAGE);
		return;
	}
	fuzz_assert(bytes % 16 == 0 && bytes <= OWNER_SECRET_MAX_BYTES && load_le(table + 16, 4) <= bytes);
	cipher = malloc(bytes);
	fuzz_assert(cipher);
	fuzz_assert(owner_secret_pack(keys, (const uint8_t *)keys, table, bytes, &header, cipher, NULL) == 0);
	free(cipher);
	free(table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_over(data, size);
	struct owner_keys keys;
	struct abi_sev_session session;
	struct owner_measured launch = {0};
	uint8_t measure[32];
	bool good = true;

	cursor_copy(&c, &session, sizeof(session));
	cursor_copy(&c, &keys, sizeof(keys));
	cursor_copy(&c, launch.digest, sizeof(launch.digest));
	launch.policy = cursor_u32(&c);
	fuzz_assert(owner_session_check(&session, &keys, launch.policy, &good, NULL) == 0);
	session.policy_mac[0] ^= good;
	fuzz_assert(owner_session_check(&session, &keys, launch.policy, &good, NULL) == 0 && !good);
	fuzz_assert(owner_measure_expected(&keys, &launch, session.nonce, measure, NULL) == 0);
	pack(data, size, &keys);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_idblock: an ID block file, and after its length (16 bits, little-endian) an ID authentication file,
 * from hostile bytes. A block that verifies must no longer verify when a byte of it changes.
 */
#include <string.h>

#include "fuzz.h"
#include "vmm/attest.h"
#include "vmm/launch.h"
#include "vmm/owner.h"

static void check(const struct abi_id_block *block, const struct abi_id_auth *auth)
{
	struct abi_id_block changed = *block;
	struct err err = {0};

	if (owner_id_verify(block, auth, &err) < 0) {
		fuzz_assert(err.kind == ERR_USAGE && *err.text);
		return;
	}
	changed.family_id[0] ^= 1;
	fuzz_assert(owner_id_verify(&changed, auth, &err) < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_over(data, size);
	struct abi_id_block block;
	struct abi_id_auth auth;
	struct err err = {0};
	size_t length = cursor_u16(&c);
	const void *first = cursor_take(&c, length);

	if (!first)
		return 0;
	if (attest_form_struct(first, length, &block, sizeof(block), &err) == 0 &&
	        attest_form_struct(c.at, c.left, &auth, sizeof(auth), &err) == 0)
		check(&block, &auth);
	else
		fuzz_assert(err.kind == ERR_USAGE && *err.text);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_volume: an image from hostile bytes: volumes, files, sections and compressed data. Whatever the image
 * says, the search in it ends, and finds nothing in its beginning that it does not find in the whole.
 */
#include "../../src/launch/volume.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct launch_volume part, whole;

	launch_volume_look(data, size, false, &part);
	launch_volume_look(data, size, true, &whole);
	fuzz_assert(part.is_variables == whole.is_variables && part.is_edk2 == whole.is_edk2);
	fuzz_assert(part.is_edk2 || !part.is_open);
	fuzz_assert(part.is_open || !(part.needs_smm || part.is_peiless));
	fuzz_assert(!part.compares_hashes && (whole.is_open || !part.is_open));
	fuzz_assert(whole.needs_smm || !part.needs_smm);
	fuzz_assert(whole.is_peiless || !part.is_peiless);
	return 0;
}

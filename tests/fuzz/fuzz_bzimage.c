/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_bzimage: the header of a kernel file from hostile bytes: a Linux bzImage or an EFI program. The bytes
 * taken for the setup part lie in the file, are whole sectors, as many as the header says where that is
 * possible, and leave something to start. The initrd goes where header and memory allow, or nowhere. The
 * error for a refused file is a sentence that says what the file is.
 */
#include <string.h>

#include "fuzz.h"
#include "vmm/machine.h"

/* Reads nothing from the file but what it has checked. */
static bool is_pe(const uint8_t *data, size_t size)
{
	uint64_t at = size >= 64 ? load_le(data + 60, 4) : 0;

	return size >= 64 && data[0] == 'M' && data[1] == 'Z' && at + 6 <= size &&
	       memcmp(data + at, "PE\0", 4) == 0;
}

static void check_initrd(const uint8_t *data, size_t setup)
{
	static const uint64_t sizes[] = {1, KIB(4), MIB(300), GIB(1)};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		uint64_t at = machine_kernel_initrd_address(data, setup, MIB(512), sizes[i]);

		fuzz_assert(at % 4096 == 0 && at + (at ? sizes[i] : 0) < MIB(512) - 0x28000);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t setup = machine_kernel_setup_bytes(data, size);
	struct err err;

	if (!setup) {
		fuzz_assert(machine_kernel_refuse("file", data, size, &err) == -1 && *err.text);
		return 0;
	}
	fuzz_assert(setup < size && setup % 512 == 0);
	fuzz_assert(is_pe(data, size) || (size >= 0x206 && memcmp(data + 0x202, "HdrS", 4) == 0));
	if (setup / 512 - 1 != (data[0x1f1] ? data[0x1f1] : 4))
		fuzz_assert(setup == 512 && is_pe(data, size));
	check_initrd(data, setup);
	return 0;
}

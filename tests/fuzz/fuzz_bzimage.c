/*
 * fuzz_bzimage: the header of a kernel file from hostile bytes. What is taken for the setup part lies in the
 * file, has whole sectors as the header says, and leaves something to start.
 */
#include <string.h>

#include "fuzz.h"
#include "vmm/machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t setup = machine_kernel_setup_bytes(data, size);

	if (!setup)
		return 0;
	fuzz_assert(setup < size && setup % 512 == 0);
	fuzz_assert(memmem(data + 0x202, 4, "HdrS", 4));
	fuzz_assert(setup / 512 - 1 == (data[0x1f1] ? data[0x1f1] : 4));
	return 0;
}

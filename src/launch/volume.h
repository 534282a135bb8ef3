/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volume: what an EDK II image holds, as far as warnings depend on it.
 */
#ifndef VMM_LAUNCH_VOLUME_H
#define VMM_LAUNCH_VOLUME_H

#include <stdbool.h>
#include <stddef.h>

struct launch_volume {
	bool is_variables; /* the image begins with a store of UEFI variables; code may follow */
	bool is_edk2;      /* its main volume is compressed, as EDK II's are */
	bool is_open;      /* the beginning of that could be decompressed: what is below is known */
	bool is_whole;     /* all of it could */
	bool is_peiless;   /* it starts with the DXE phase: OVMF for Intel TDX */
	bool needs_smm;
	bool compares_hashes; /* of kernel, initrd and command line; looked for only if whole was set */
};

/*
 * image may hold anything. whole: decompress all of the main volume (16 MiB, a quarter of a second) in the
 * place of its first MiB. What cannot be found out stays false. Any thread.
 */
void launch_volume_look(const void *image, size_t image_bytes, bool whole, struct launch_volume *ret_volume);

#endif

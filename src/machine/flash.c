/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flash: opens the file of the firmware's variables and puts the chip that has its bytes below the firmware
 * image, where the split images of OVMF look for it. Main thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "machine.h"
#include "vmm/back/disk.h"
#include "vmm/device/flash.h"

#define HOW_TO_MAKE_ONE \
	"; a store is a copy of the template that belongs to the image, as with: cp " \
	"/usr/share/OVMF/OVMF_VARS_4M.fd " \
	"vars.fd (for OVMF_CODE_4M.fd)"

/* EFI_SYSTEM_NV_DATA_FV_GUID, at offset 16 of a firmware volume that holds variables. */
static const uint8_t variables_guid[16] = {
        0x8d, 0x2b, 0xf1, 0xff, 0x96, 0x76, 0x8b, 0x4c, 0xa9, 0x85, 0x27, 0x47, 0x07, 0x5b, 0x4f, 0x50};

static bool holds_variables(const uint8_t *data, size_t size)
{
	return size >= 32 && memcmp(data + 16, variables_guid, sizeof(variables_guid)) == 0;
}

/*
 * An image looks for its store at a fixed address. The image and its store have a power of two of bytes
 * together, so a store of another size would not be found: the guest would forget its variables silently.
 */
static int check_sizes(const struct machine *machine, uint64_t size, struct err *err)
{
	const struct machine_image *image = &machine->files.firmware;
	uint64_t both = image->size_bytes + size;

	if (holds_variables(image->data, image->size_bytes))
		return err_set(err, ERR_USAGE,
		        "is for an image without variables of its own, and %s has some; use the image "
		        "OVMF_CODE_4M.fd, or leave firmware-vars out",
		        machine->config->firmware);
	if (!size || !is_aligned(size, DEVICE_FLASH_BLOCK_BYTES))
		return err_set(err, ERR_USAGE,
		        "has %llu bytes: a store of variables has whole blocks of 4 KiB" HOW_TO_MAKE_ONE,
		        (unsigned long long)size);
	if (both > PAGE_FIRMWARE_MAX_BYTES || (both & (both - 1)) != 0)
		return err_set(err, ERR_USAGE,
		        "has %llu KiB, and the firmware image %s has %llu KiB: the two do not belong "
		        "together" HOW_TO_MAKE_ONE,
		        (unsigned long long)(size >> 10), machine->config->firmware,
		        (unsigned long long)(image->size_bytes >> 10));
	return 0;
}

/* While the guest runs, nobody else may write the file: two guests would spoil each other's variables. */
static int lock(int fd, struct err *err)
{
	if (back_lock(fd, true, err) == 0)
		return 0;
	back_unlock(fd);
	if (err->kind != ERR_USAGE)
		return -1;
	return err_set(err, ERR_USAGE,
	        "is in use by another program, probably another vmm; give each guest a store of its own");
}

static int open_store(struct machine *machine, const char *path, uint64_t *ret_size, struct err *err)
{
	struct stat st;

	machine->vars_fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (machine->vars_fd < 0)
		return err_sys(err, ERR_USAGE, errno, "cannot be opened to be read and written");
	if (fstat(machine->vars_fd, &st) < 0)
		return err_sys(err, ERR_USAGE, errno, "cannot be examined");
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_USAGE, "is no regular file" HOW_TO_MAKE_ONE);
	if (check_sizes(machine, (uint64_t)st.st_size, err) < 0)
		return -1;
	*ret_size = (uint64_t)st.st_size;
	/* A machine without a host is only checked, and one to which a guest comes must wait for it: another
	 * vmm may run with the file. */
	return machine->host && !machine->arrives ? lock(machine->vars_fd, err) : 0;
}

int machine_flash_add(struct machine *machine, struct err *err)
{
	struct device_flash_ask ask = {.name = machine->config->firmware_vars};

	if (!*ask.name)
		return 0;
	if (open_store(machine, ask.name, &ask.size_bytes, err) < 0)
		return err_wrap(err, "firmware-vars: %s", ask.name);
	ask.fd = machine->vars_fd;
	ask.base = PAGE_HOLE_END - machine->files.firmware.size_bytes - ask.size_bytes;
	/*
	 * The firmware of a SEV-ES guest reads its store as shared memory, because its #VC handler does not
	 * decode string instructions, and asks for each write by VMGEXIT (edk2,
	 * QemuFlashFvbServicesRuntimeDxe). A read-only memory slot would not do: KVM refuses them for such
	 * guests.
	 */
	if (machine->config->sev.type == CONFIG_SEV_ES &&
	        page_layout_add_store(&machine->layout, ask.size_bytes, err) < 0)
		return err_wrap(err, "firmware-vars: %s", ask.name);
	return device_board_add(&machine->board, &device_flash_kind, &ask, err);
}

int machine_flash_release(struct machine *machine, struct err *err)
{
	if (device_flash_release(&machine->board, err) < 0)
		return err_wrap(err, "firmware-vars");
	if (machine->vars_fd >= 0)
		back_unlock(machine->vars_fd);
	return 0;
}

int machine_flash_take(struct machine *machine, struct err *err)
{
	if (machine->vars_fd >= 0 && lock(machine->vars_fd, err) < 0)
		return err_wrap(err, "firmware-vars: %s", machine->config->firmware_vars);
	if (device_flash_take(&machine->board, err) < 0)
		return err_wrap(err, "firmware-vars");
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_virtio_blk: any driver against a disk of 1 MiB in a real file, which keeps its size.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "fuzz_virtio.h"

static char path[] = "/tmp/fuzz-virtio-blk-XXXXXX";
static int fd = -1;

/* The file loses its name as soon as the device has it. */
static int add(const struct virtio_place *place, const struct config_device *config, struct err *err)
{
	struct config_device with_file = *config;
	int result;

	fd = mkstemp(path);
	fuzz_assert(fd >= 0 && ftruncate(fd, (off_t)MIB(1)) == 0);
	with_file.file = path;
	result = virtio_blk_add(place, &with_file, err);
	unlink(path);
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct fuzz_virtio_target target = {
	        .add = add, .config = {.driver = CONFIG_BLK, .queues = 2}};
	struct stat st;
	int result = fuzz_virtio_run(&target, data, size);

	fuzz_assert(fstat(fd, &st) == 0 && st.st_size == (off_t)MIB(1));
	return result;
}

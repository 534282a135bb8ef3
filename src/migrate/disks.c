/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disks: what the files that a guest writes, its variables and images of disks, were like when it was saved,
 * as text in the header of the file: a line "ID SIZE MTIME" for each image that is a regular file, as many as
 * there is room for. A guest that is loaded knows nothing of what was written meanwhile, so its vmm tells.
 * Main thread.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "file.h"
#include "vmm/config.h"

#define LINE_BYTES 200
#define VARIABLES  "firmware-vars"

/* A file that the guest writes. */
struct image {
	const char *id, *path; /* path NULL: it has none */
};

/* The first is that of the firmware's variables; no device has its name. */
static struct image image_of(const struct config *config, size_t i)
{
	const struct config_device *device = i ? &config->devices[i - 1] : NULL;

	if (!device)
		return (struct image){VARIABLES, *config->firmware_vars ? config->firmware_vars : NULL};
	return (struct image){device->id, device->driver == CONFIG_BLK ? device->file : NULL};
}

/* Returns the length of the line, or 0: of this image there is none. */
static int make_line(const struct image *image, char line[static LINE_BYTES])
{
	struct stat now;
	int size;

	if (!image->path || stat(image->path, &now) < 0 || !S_ISREG(now.st_mode))
		return 0;
	size = snprintf(line, LINE_BYTES, "%s %" PRIu64 " %" PRId64 ".%09ld\n", image->id,
	        (uint64_t)now.st_size, (int64_t)now.st_mtim.tv_sec, now.st_mtim.tv_nsec);
	return size < LINE_BYTES ? size : 0;
}

void migrate_file_note_disks(struct migrate_file *file, const struct config *config)
{
	char line[LINE_BYTES];
	size_t used = 0;

	memset(file->disks, 0, sizeof(file->disks));
	for (size_t i = 0; i <= config->devices_count; i++) {
		const struct image image = image_of(config, i);
		int size = make_line(&image, line);

		if (used + (size_t)size >= sizeof(file->disks))
			return;
		memcpy(file->disks + used, line, (size_t)size);
		used += (size_t)size;
	}
}

/* The line of the same device in the file, of whatever bytes that is. NULL: there is none. */
static const char *find_line(const struct migrate_file *file, const char *id)
{
	size_t size = strlen(id);
	const char *at = file->disks;

	while (at && *at) {
		if (strncmp(at, id, size) == 0 && at[size] == ' ')
			return at;
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	return NULL;
}

void migrate_file_compare_disks(const struct migrate_file *file, const struct config *config)
{
	char line[LINE_BYTES];

	for (size_t i = 0; file && i <= config->devices_count; i++) {
		const struct image image = image_of(config, i);
		const char *then = make_line(&image, line) ? find_line(file, image.id) : NULL;

		if (then && strncmp(then, line, strlen(line)) != 0)
			log_warn("%s%s: %s is not as it was when the guest was saved (size or time of the "
			         "last "
			         "change). If it was written since, %s",
			        i ? "disk " : "", image.id, image.path,
			        i ? "the guest will destroy it"
			          : "that is lost: the guest brings its own variables");
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device_check: finds mistakes that only several keys of a device, or several devices, together show, and
 * files of devices that cannot be used. Any thread.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "internal.h"

/* What a check looks at, and where its mistakes go. */
struct look {
	const struct config *config;
	struct config_mistakes *mistakes;
	size_t device;
};

static const struct config_device *device_of(const struct look *look)
{
	return &look->config->devices[look->device];
}

static bool is_given(const struct look *look, const char *key)
{
	char name[CONFIG_DEVICE_NAME_BYTES];

	return config_place_find(look->config, config_device_name(look->device, key, name))->given;
}

static bool is_bad(const struct look *look, const char *key)
{
	char name[CONFIG_DEVICE_NAME_BYTES];

	return config_place_find(look->config, config_device_name(look->device, key, name))->bad;
}

#define MISTAKE(look, key, ...) \
	config_mistake_at((look)->config, (look)->mistakes, \
	        config_device_name((look)->device, (key), (char[CONFIG_DEVICE_NAME_BYTES]){0}), __VA_ARGS__)

/* ---- one device ---- */

bool config_is_nbd(const char *file)
{
	static const char *const schemes[] = {"nbd://", "nbds://", "nbd+unix://", "nbds+unix://"};

	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		if (strncmp(file, schemes[i], strlen(schemes[i])) == 0)
			return true;
	}
	return false;
}

static void check_blk(const struct look *look)
{
	const char *file = device_of(look)->file, *scheme = strstr(file, "://");

	if (scheme && !config_is_nbd(file) && !memchr(file, '/', (size_t)(scheme - file)))
		MISTAKE(look, "file",
		        "is a URI that vmm does not know; it knows nbd://, nbds:// and nbd+unix://");
}

/* Keys of a network card that only one of the two kinds of network has. */
static const struct {
	const char *key;
	bool tap;
} net_keys[] = {{"vhost", true}, {"forward-tcp", false}, {"forward-udp", false}};

static void check_net(const struct look *look)
{
	const struct config_device *device = device_of(look);
	bool tap = *device->tap || device->tap_fd >= 0;

	if (*device->tap && device->tap_fd >= 0)
		MISTAKE(look, "tap-fd", "names an interface, and so does tap; leave one of them out");
	if (strchr(device->tap, '/') || strchr(device->tap, ' ') || strcmp(device->tap, ".") == 0)
		MISTAKE(look, "tap", "is not the name of an interface, as tap0");
	for (size_t i = 0; i < ARRAY_LEN(net_keys); i++) {
		if (is_given(look, net_keys[i].key) && net_keys[i].tap != tap)
			MISTAKE(look, net_keys[i].key, "%s",
			        tap ? "is for passt, and this network card has a tap interface"
			            : "is for a tap interface, and this network card has none");
	}
}

static void check_fs(const struct look *look)
{
	const struct config_device *device = device_of(look);

	if (*device->socket && *device->folder)
		MISTAKE(look, "folder", "is given, and so is socket; leave one of them out");
	else if (!*device->socket && !*device->folder && !is_bad(look, "socket"))
		MISTAKE(look, "folder", "is missing; the driver fs needs it, or socket");
}

/*
 * The kernel pins the memory of a SEV or SEV-ES guest, so a page that was given back would be held twice; a
 * SEV-SNP guest's free pages are private, and it would have to accept them again. Linux's driver does not
 * start in any of them: it refuses ACCESS_PLATFORM, without which these guests use no device.
 */
static void check_balloon(const struct look *look)
{
	const struct config *config = look->config;

	if (config->sev.type != CONFIG_SEV_NONE)
		MISTAKE(look, "driver",
		        "is balloon, and sev.type is not none: a confidential guest cannot give "
		        "memory back");
	else if (device_of(look)->inflate_bytes >= config->machine.memory_bytes)
		MISTAKE(look, "inflate", "is all that the guest has; it must be less than machine.memory");
}

/* A word that stands in messages and in names of threads and files. */
static void check_id(const struct look *look)
{
	const char *id = device_of(look)->id;

	if (strspn(id, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_.") != strlen(id))
		MISTAKE(look, "id", "must be of letters, digits, \"-\", \"_\" and \".\"");
}

/* ---- several devices ---- */

static bool is_same_text(const char *a, const char *b)
{
	return *a && strcmp(a, b) == 0;
}

static bool is_same_id(const struct config_device *a, const struct config_device *b)
{
	return is_same_text(a->id, b->id);
}

static bool is_same_mac(const struct config_device *a, const struct config_device *b)
{
	return *a->mac && strcasecmp(a->mac, b->mac) == 0;
}

static bool is_same_tag(const struct config_device *a, const struct config_device *b)
{
	return is_same_text(a->tag, b->tag);
}

static bool is_same_tap(const struct config_device *a, const struct config_device *b)
{
	return is_same_text(a->tap, b->tap);
}

static bool is_same_tap_fd(const struct config_device *a, const struct config_device *b)
{
	return a->tap_fd >= 0 && a->tap_fd == b->tap_fd;
}

static bool is_same_file(const struct config_device *a, const struct config_device *b)
{
	return is_same_text(a->file, b->file) && (!a->read_only || !b->read_only);
}

static bool is_same_socket(const struct config_device *a, const struct config_device *b)
{
	return is_same_text(a->socket, b->socket);
}

static const struct {
	const char *key;
	bool (*same)(const struct config_device *a, const struct config_device *b);
} unique[] = {
        {"id", is_same_id},
        {"file", is_same_file},
        {"mac", is_same_mac},
        {"tap", is_same_tap},
        {"tap-fd", is_same_tap_fd},
        {"tag", is_same_tag},
        {"socket", is_same_socket},
};

/* Compares a device with one that stands before it. */
static void check_pair(const struct look *look, size_t before)
{
	const struct config_device *a = &look->config->devices[before], *b = device_of(look);

	for (size_t i = 0; i < ARRAY_LEN(unique); i++) {
		if (unique[i].same(a, b))
			MISTAKE(look, unique[i].key, "is that of devices[%zu], too; each needs its own",
			        before);
	}
	/* Linux's drivers of both refuse a second device. */
	if (a->driver == b->driver && (a->driver == CONFIG_VSOCK || a->driver == CONFIG_BALLOON))
		MISTAKE(look, "driver", "devices[%zu] is a %s device already; a guest has one at most",
		        before, config_driver_words[a->driver]);
}

static void check_device(const struct look *look)
{
	switch (device_of(look)->driver) {
	case CONFIG_BLK: check_blk(look); break;
	case CONFIG_NET: check_net(look); break;
	case CONFIG_FS: check_fs(look); break;
	case CONFIG_BALLOON: check_balloon(look); break;
	default: break;
	}
	check_id(look);
}

void config_devices_check(const struct config *config, struct config_mistakes *mistakes)
{
	struct look look = {.config = config, .mistakes = mistakes};

	for (; look.device < config->devices_count; look.device++) {
		if (is_bad(&look, "driver"))
			continue;
		check_device(&look);
		for (size_t before = 0; before < look.device; before++) {
			struct look first = look;

			first.device = before;
			if (!is_bad(&first, "driver"))
				check_pair(&look, before);
		}
	}
}

/* ---- files ---- */

static void check_disk(const struct look *look)
{
	const struct config_device *device = device_of(look);
	struct stat st;

	if (!*device->file || config_is_nbd(device->file))
		return;
	if (stat(device->file, &st) < 0)
		MISTAKE(look, "file", "%s cannot be opened: %s", device->file, strerrordesc_np(errno));
	else if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		MISTAKE(look, "file", "%s is neither a regular file nor a block device", device->file);
	else if (access(device->file, device->read_only ? R_OK : R_OK | W_OK) < 0)
		MISTAKE(look, "file", "%s cannot be opened for %s: %s%s", device->file,
		        device->read_only ? "reading" : "reading and writing", strerrordesc_np(errno),
		        device->read_only ? "" : "; read-only needs less");
}

static void check_output(const struct look *look)
{
	const char *path = device_of(look)->output;
	const char *why = *path ? file_why_unwritable(FILE_STREAM, path) : NULL;

	if (why)
		MISTAKE(look, "output", "%s cannot be written: %s", path, why);
}

static void check_folder(const struct look *look)
{
	const struct config_device *device = device_of(look);
	struct stat st;

	if (*device->folder && stat(device->folder, &st) < 0)
		MISTAKE(look, "folder", "%s cannot be used: %s", device->folder, strerrordesc_np(errno));
	else if (*device->folder && !S_ISDIR(st.st_mode))
		MISTAKE(look, "folder", "%s is not a folder", device->folder);
	if (*device->socket && stat(device->socket, &st) < 0)
		MISTAKE(look, "socket", "%s cannot be used: %s", device->socket, strerrordesc_np(errno));
	else if (*device->socket && !S_ISSOCK(st.st_mode))
		MISTAKE(look, "socket", "%s is not a socket", device->socket);
}

void config_check_device_files(const struct config *config, struct config_mistakes *mistakes)
{
	struct look look = {.config = config, .mistakes = mistakes};

	for (; look.device < config->devices_count; look.device++) {
		check_disk(&look);
		check_output(&look);
		check_folder(&look);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device: disks and networks in QEMU's words. Main thread.
 */
#include <inttypes.h>
#include <string.h>

#include "hmp.h"
#include "vmm/virtio.h"

static const struct device_board *board_of(const struct control_call *call)
{
	return machine_board(run_machine(call->control->place.run));
}

/* ---- disks ---- */

/* Returns the next disk, from the i-th device of the configuration on, and moves i behind it; NULL: the last.
 */
static const struct config_device *next_disk(
        const struct control_call *call, size_t *i, struct virtio_blk_facts *ret_facts)
{
	const struct config *config = call->control->place.config;

	while (*i < config->devices_count) {
		const struct config_device *device = &config->devices[(*i)++];

		if (device->driver == CONFIG_BLK && virtio_blk_facts(board_of(call), device->id, ret_facts))
			return device;
	}
	return NULL;
}

static json_t *cache_of(const struct config_device *device)
{
	return json_pack("{s:b,s:b,s:b}", "writeback", 1, "direct", device->cache == CONFIG_CACHE_DIRECT,
	        "no-flush", 0);
}

static json_t *inserted_of(const struct config_device *device, const struct virtio_blk_facts *facts)
{
	const char *format = config_is_nbd(device->file) ? "nbd" : "raw";
	json_t *image = json_pack("{s:o,s:s,s:I}", "filename", json_doc_text(device->file), "format", format,
	        "virtual-size", (json_int_t)facts->size_bytes);

	return json_pack("{s:o,s:s,s:b,s:s,s:i,s:b,s:b,s:s,s:i,s:i,s:i,s:i,s:i,s:i,s:o,s:o,s:i}", "file",
	        json_doc_text(device->file), "node-name", device->id, "ro", facts->read_only, "drv", format,
	        "backing_file_depth", 0, "encrypted", 0, "active", 1, "detect_zeroes", "off", "bps", 0,
	        "bps_rd", 0, "bps_wr", 0, "iops", 0, "iops_rd", 0, "iops_wr", 0, "image", image, "cache",
	        cache_of(device), "write_threshold", 0);
}

json_t *control_query_block(struct control_call *call, struct err *err)
{
	const struct config_device *device;
	struct virtio_blk_facts facts;
	json_t *list = json_array();

	for (size_t i = 0; (device = next_disk(call, &i, &facts));)
		json_doc_append(
		        &list, json_pack("{s:s,s:s,s:s,s:b,s:b,s:o,s:s}", "device", device->id, "qdev",
		                       device->id, "type", "unknown", "removable", 0, "locked", 0, "inserted",
		                       inserted_of(device, &facts), "io-status", "ok"));
	return list;
}

static int resize(const struct control_call *call, const char *id, json_int_t size, struct err *err)
{
	if (size < 0)
		return err_set(err, ERR_USAGE, "Parameter 'size' expects a >0 size");
	return virtio_blk_resize(board_of(call), id, (uint64_t)size, err);
}

/* Returns the id of the disk that one of the two names, as QEMU finds it; NULL: there is none. */
static const char *find_disk(const struct control_call *call, const char *device, const char *node)
{
	struct virtio_blk_facts facts;

	if (device && virtio_blk_facts(board_of(call), device, &facts))
		return device;
	return node && virtio_blk_facts(board_of(call), node, &facts) ? node : NULL;
}

json_t *control_block_resize(struct control_call *call, struct err *err)
{
	const char *device = json_string_value(json_object_get(call->arguments, "device")),
	           *node = json_string_value(json_object_get(call->arguments, "node-name"));
	const char *id = find_disk(call, device, node);

	if (!id) {
		err_set(err, ERR_USAGE, "Cannot find device='%s' nor node-name='%s'",
		        TEXT_VALUE(device ?: ""), TEXT_VALUE(node ?: ""));
		return NULL;
	}
	if (resize(call, id, json_integer_value(json_object_get(call->arguments, "size")), err) < 0)
		return NULL;
	return json_object();
}

json_t *control_info_block(struct control_call *call, const char *rest, struct err *err)
{
	const struct config_device *device;
	struct virtio_blk_facts facts;
	struct control_text text = {0};

	for (size_t i = 0; (device = next_disk(call, &i, &facts));)
		control_text_add(&text, "%s: %s (%s%s)\r\n    Size: %" PRIu64 " bytes\r\n", device->id,
		        device->file, config_is_nbd(device->file) ? "nbd" : "raw",
		        facts.read_only ? ", read-only" : "", facts.size_bytes);
	return control_text_take(&text);
}

/* ---- networks ---- */

/* As next_disk(). */
static const struct config_device *next_network(
        const struct control_call *call, size_t *i, struct virtio_net_facts *ret_facts)
{
	const struct config *config = call->control->place.config;

	while (*i < config->devices_count) {
		const struct config_device *device = &config->devices[(*i)++];

		if (device->driver == CONFIG_NET && virtio_net_facts(board_of(call), device->id, ret_facts))
			return device;
	}
	return NULL;
}

json_t *control_set_link(struct control_call *call, struct err *err)
{
	const char *id = json_string_value(json_object_get(call->arguments, "name"));

	if (virtio_net_set_link(board_of(call), id, json_is_true(json_object_get(call->arguments, "up"))))
		return json_object();
	return control_call_refuse(
	        call, CONTROL_DEVICE_NOT_FOUND, err, "Device '%s' not found", TEXT_VALUE(id));
}

json_t *control_info_network(struct control_call *call, const char *rest, struct err *err)
{
	const struct config_device *device;
	struct virtio_net_facts facts;
	struct control_text text = {0};

	for (size_t i = 0; (device = next_network(call, &i, &facts));) {
		const uint8_t *mac = facts.mac;

		control_text_add(&text,
		        "%s: "
		        "index=0,type=nic,model=virtio-net-pci,macaddr=%02x:%02x:%02x:%02x:%02x:%02x,link=%"
		        "s\r\n"
		        " \\ %s\r\n",
		        device->id, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5],
		        facts.link_up ? "up" : "down", facts.back);
	}
	return control_text_take(&text);
}

/* ---- vmm's own: what was moved ---- */

static json_t *disk_figures(const char *id, const struct virtio_blk_facts *facts)
{
	static const char *const kinds[BACK_DISK_KINDS] = {
	        [BACK_DISK_READ] = "read",
	        [BACK_DISK_WRITE] = "write",
	        [BACK_DISK_FLUSH] = "flush",
	        [BACK_DISK_DISCARD] = "discard",
	        [BACK_DISK_ZERO] = "zero",
	};
	json_t *requests = json_object(), *bytes = json_object();

	for (unsigned kind = 0; kind < BACK_DISK_KINDS; kind++) {
		json_doc_set(&requests, kinds[kind], json_integer((json_int_t)facts->requests[kind]));
		json_doc_set(&bytes, kinds[kind], json_integer((json_int_t)facts->bytes[kind]));
	}
	return json_pack("{s:s,s:I,s:o,s:o,s:I}", "id", id, "size-bytes", (json_int_t)facts->size_bytes,
	        "requests", requests, "bytes", bytes, "failed", (json_int_t)facts->failed);
}

json_t *control_own_disks(struct control_call *call, struct err *err)
{
	const struct config_device *device;
	struct virtio_blk_facts facts;
	json_t *list = json_array();

	for (size_t i = 0; (device = next_disk(call, &i, &facts));)
		json_doc_append(&list, disk_figures(device->id, &facts));
	return list;
}

static json_t *net_figures(const char *id, const struct virtio_net_facts *facts)
{
	return json_pack("{s:s,s:s,s:b,s:b,s:I,s:I,s:I,s:I,s:I,s:I}", "id", id, "back", facts->back,
	        "link-up", facts->link_up, "outside", facts->outside, "rx-frames",
	        (json_int_t)facts->rx_frames, "rx-bytes", (json_int_t)facts->rx_bytes, "rx-lost",
	        (json_int_t)facts->rx_lost, "tx-frames", (json_int_t)facts->tx_frames, "tx-bytes",
	        (json_int_t)facts->tx_bytes, "tx-lost", (json_int_t)facts->tx_lost);
}

json_t *control_own_networks(struct control_call *call, struct err *err)
{
	const struct config_device *device;
	struct virtio_net_facts facts;
	json_t *list = json_array();

	for (size_t i = 0; (device = next_network(call, &i, &facts));)
		json_doc_append(&list, net_figures(device->id, &facts));
	return list;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device_keys: the table of the keys that an element of devices[] can have. The row "driver" comes first,
 * because the others depend on it. Any thread; constant.
 */
#include <string.h>

#include "internal.h"

#define AT(field) .offset = offsetof(struct config_device, field)

#define BLK     CONFIG_FOR(CONFIG_BLK)
#define NET     CONFIG_FOR(CONFIG_NET)
#define VSOCK   CONFIG_FOR(CONFIG_VSOCK)
#define CONSOLE CONFIG_FOR(CONFIG_CONSOLE)
#define FS      CONFIG_FOR(CONFIG_FS)
#define BALLOON CONFIG_FOR(CONFIG_BALLOON)

#define ID_MAX_BYTES      31
#define PATH_MAX_BYTES    4095
#define SOCKET_MAX_BYTES  107 /* sun_path of Linux, without its NUL */
#define INTERFACE_MAX     15  /* IFNAMSIZ of Linux, without its NUL */
#define FORWARD_MAX_BYTES 1000
#define BLK_SERIAL_BYTES  20         /* VIRTIO 5.2.6, VIRTIO_BLK_T_GET_ID */
#define FS_TAG_BYTES      36         /* VIRTIO 5.11.4 */
#define CID_FIRST         3          /* VIRTIO 5.10.4: 0 to 2 are reserved, as are ... */
#define CID_LAST          0xfffffffe /* ... 0xffffffff and all that need more than 32 bits */
#define MTU_MIN           68         /* VIRTIO 5.1.4.1 */
#define QUEUES_MAX        64
#define MEMORY_MAX        GIB(1024)

const char *const config_driver_words[] = {"blk", "net", "rng", "vsock", "console", "fs", "balloon", NULL};
static const char *const cache_words[] = {"auto", "direct", "page", NULL};

const struct config_key config_device_keys[] = {
        {"driver", CONFIG_WORD, AT(driver), .words = config_driver_words, .required = true,
                .help = "What the guest gets: a disk (blk), a network card (net), random numbers (rng), "
                        "sockets to this machine (vsock), a second console (console), a folder of this "
                        "machine (fs), or a balloon, by which it returns memory that it does not use "
                        "(balloon)."},
        {"id", CONFIG_STRING, AT(id), .max = ID_MAX_BYTES, .def = "\"\"",
                .help = "The device's name in messages, which no other device has. Empty: its driver and a "
                        "number, as blk0."},

        {"file", CONFIG_STRING, AT(file), .min = 1, .max = PATH_MAX_BYTES, .types = BLK, .required = true,
                .help = "The disk: a raw image, a block device, or the URI of an NBD export "
                        "(nbd://HOST[:PORT]/NAME, nbd+unix:///NAME?socket=PATH), by which qemu-nbd serves "
                        "qcow2 images."},
        {"read-only", CONFIG_BOOL, AT(read_only), .types = BLK, .def = "false",
                .help = "Let the guest only read the disk. The file is opened for reading only."},
        {"serial", CONFIG_STRING, AT(serial), .max = BLK_SERIAL_BYTES, .types = BLK, .def = "\"\"",
                .help = "The disk's serial number, which Linux shows in /dev/disk/by-id."},
        {"cache", CONFIG_WORD, AT(cache), .words = cache_words, .types = BLK, .def = "\"auto\"",
                .help = "How the page cache of this machine is used: not at all (direct), for all reads and "
                        "writes (page), or not where the file can be read without it (auto). In each case "
                        "what the guest flushed is on the disk."},
        {"queues", CONFIG_NUMBER, AT(queues), .min = 1, .max = QUEUES_MAX, .types = BLK | NET, .def = "null",
                .help = "How many queues the device has; a net device counts pairs of them. null: a disk has "
                        "one for each virtual processor, a network card one pair."},

        {"tap", CONFIG_STRING, AT(tap), .max = INTERFACE_MAX, .types = NET, .def = "\"\"",
                .help = "The tap interface that the network card is connected to, by name. A card with "
                        "neither tap nor tap-fd is connected to a passt process, which vmm starts and which "
                        "needs no privilege."},
        {"tap-fd", CONFIG_FD, AT(tap_fd), .min = 3, .max = INT32_MAX, .types = NET, .def = "null",
                .help = "The number of an open descriptor of a tap interface, which vmm inherits."},
        {"mac", CONFIG_MAC, AT(mac), .types = NET, .def = "\"\"",
                .help = "The card's address: six pairs of hexadecimal digits with colons between them. "
                        "Empty: one that follows from machine.uuid or name, from the device's id, and from "
                        "the name of the tap."},
        {"mtu", CONFIG_NUMBER, AT(mtu), .min = MTU_MIN, .max = UINT16_MAX, .unit = "bytes", .types = NET,
                .def = "null",
                .help = "The largest packet of the network, which the guest's interface then has. null: what "
                        "the interface or passt on this machine has."},
        {"vhost", CONFIG_BOOL, AT(vhost), .types = NET, .def = "true",
                .help = "Let the kernel move the packets of a tap interface if it can (vhost-net)."},
        {"forward-tcp", CONFIG_STRING, AT(forward_tcp), .max = FORWARD_MAX_BYTES, .types = NET, .def = "\"\"",
                .help = "TCP ports of this machine that passt forwards to the guest, as passt's option -t "
                        "takes them: \"2222:22\" forwards port 2222 to the guest's port 22."},
        {"forward-udp", CONFIG_STRING, AT(forward_udp), .max = FORWARD_MAX_BYTES, .types = NET, .def = "\"\"",
                .help = "UDP ports of this machine that passt forwards to the guest, as passt's option -u "
                        "takes them."},

        {"cid", CONFIG_NUMBER, AT(cid), .min = CID_FIRST, .max = CID_LAST, .types = VSOCK, .required = true,
                .help = "The guest's address in the address family AF_VSOCK. No other guest of this machine "
                        "has it."},

        {"output", CONFIG_OUTPUT, AT(output), .max = PATH_MAX_BYTES, .types = CONSOLE, .def = "\"\"",
                .help = "The file that gets what the guest writes to the console. A regular file is emptied "
                        "first; pipes and devices are written through. Empty: what it writes is dropped."},

        {"tag", CONFIG_STRING, AT(tag), .min = 1, .max = FS_TAG_BYTES, .types = FS, .required = true,
                .help = "The name of the folder in the guest: mount -t virtiofs TAG PLACE."},
        {"socket", CONFIG_STRING, AT(socket), .max = SOCKET_MAX_BYTES, .types = FS, .def = "\"\"",
                .help = "The socket of a virtiofsd that runs already."},
        {"folder", CONFIG_STRING, AT(folder), .max = PATH_MAX_BYTES, .types = FS, .def = "\"\"",
                .help = "The folder for which vmm starts a virtiofsd of its own."},

        {"inflate", CONFIG_SIZE, AT(inflate_bytes), .max = MEMORY_MAX, .types = BALLOON, .def = "0",
                .help = "How much of its memory the guest is asked to give back while it runs. It takes "
                        "memory "
                        "back when it would run out of it. Whatever this says, memory that the guest has "
                        "free "
                        "goes back to this machine."},
};

const size_t config_device_keys_count = ARRAY_LEN(config_device_keys);

_Static_assert(
        ARRAY_LEN(config_device_keys) <= CONFIG_DEVICE_KEYS_MAX, "struct config_device_keys has no room");
_Static_assert(ARRAY_LEN(config_driver_words) == CONFIG_DRIVERS + 1, "a driver has no word");

const struct config_key *config_device_key_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(config_device_keys); i++) {
		if (strcmp(config_device_keys[i].name, name) == 0)
			return &config_device_keys[i];
	}
	return NULL;
}

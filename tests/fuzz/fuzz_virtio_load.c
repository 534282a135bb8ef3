/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_virtio_load: any bytes as the state of a virtio device, with any guest memory, and a driver that goes
 * on from there. The first byte chooses the device. Then follow a state, as bytes or as changes of one that
 * the device has saved, and steps: those of fuzz_virtio.h, and among them the device is held, saved, loaded
 * again and woken. What is refused has a message. What is taken can be saved, and loaded again with the same
 * result. A device beside it notices nothing.
 */
#include <fcntl.h>

#include "fuzz_virtio.h"

enum { RNG, CONSOLE, BLK, NET, BALLOON, KINDS };

#define FIRST       1 /* of the board's devices: PCI comes before */
#define STATE_BYTES 512

static struct fuzz_virtio f;
static struct virtio_function functions[KINDS];
static uint8_t usual[KINDS][STATE_BYTES]; /* as a device saves it whose driver keeps the rules */
static size_t usual_bytes[KINDS];

/* ---- a network that takes and gives frames ---- */

static struct back_net network;

static int net_start(struct back_net *net, struct err *err)
{
	return 0;
}

static void net_stop(struct back_net *net)
{
}

static void net_watch(struct back_net *net, unsigned queue, int events)
{
}

static unsigned net_send(
        struct back_net *net, unsigned queue, const struct back_net_frame *frames, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		fuzz_assert(frames[i].bytes >= BACK_NET_FRAME_MIN && frames[i].bytes <= net->frame_max);
	return count / 2;
}

static size_t net_receive(struct back_net *net, unsigned queue, const struct iovec *iov, unsigned iov_count)
{
	memset(iov->iov_base, 0x5a, iov->iov_len < 1000 ? iov->iov_len : 1000);
	return queue ? 0 : 1000;
}

static int net_offloads(struct back_net *net, unsigned offloads, struct err *err)
{
	fuzz_assert(!(offloads & ~net->offloads));
	return 0;
}

static int net_queues(struct back_net *net, unsigned count, struct err *err)
{
	fuzz_assert(count >= 1 && count <= net->queues);
	return 0;
}

static void net_destroy(struct back_net *net)
{
}

static const struct back_net_ops net_ops = {.start = net_start,
        .stop = net_stop,
        .watch = net_watch,
        .send = net_send,
        .receive = net_receive,
        .set_offloads = net_offloads,
        .set_queues = net_queues,
        .destroy = net_destroy};

int __wrap_back_net_open(const struct config_device *config, const uint8_t mac[static BACK_NET_MAC_BYTES],
        struct back_net **ret_net, struct err *err);
int __wrap_back_net_open(const struct config_device *config, const uint8_t mac[static BACK_NET_MAC_BYTES],
        struct back_net **ret_net, struct err *err)
{
	network = (struct back_net){.ops = &net_ops,
	        .queues = 2,
	        .offloads = BACK_NET_CSUM | BACK_NET_TSO4,
	        .mtu = 1500,
	        .frame_max = BACK_NET_FRAME_MAX};
	*ret_net = &network;
	return 0;
}

/* ---- states ---- */

/* Waits for the disk's requests, which all end, and then for everybody. */
static void hold(void)
{
	fuzz_assert(virtio_blk_quieten(&f.guest.board, "disk"));
	VIRTIO_GUEST_UNTIL(&f.guest, virtio_blk_is_quiet(&f.guest.board, "disk"));
	virtio_hold(&f.guest.board);
}

static size_t save(unsigned kind, uint8_t ret_state[static STATE_BYTES])
{
	struct vmstate saved;
	struct err err;
	size_t size;

	fuzz_assert(device_board_save(&f.guest.board, FIRST + kind, &saved, &err) == 0);
	fuzz_assert(saved.size <= STATE_BYTES);
	memcpy(ret_state, saved.data, saved.size);
	size = saved.size;
	vmstate_finish(&saved);
	return size;
}

static int load(unsigned kind, const uint8_t *state, size_t size)
{
	struct err err = {0};

	if (device_board_load(&f.guest.board, FIRST + kind, state, size, &err) == 0)
		return 0;
	fuzz_assert(err.kind == ERR_FAILED && strncmp(err.text, "state of the ", 13) == 0);
	return -1;
}

/* A device's state says all, so a device that gets it saves the same. */
static void save_twice(unsigned kind)
{
	uint8_t first[STATE_BYTES], second[STATE_BYTES];
	size_t size;

	hold();
	size = save(kind, first);
	fuzz_assert(load(kind, first, size) == 0);
	/* The network asks its driver to announce the guest, which changes the number of the configuration.
	 */
	fuzz_assert(save(kind, second) == size);
	fuzz_assert(kind == NET || memcmp(first, second, size) == 0);
}

static void load_input(unsigned kind, struct cursor *input)
{
	uint8_t state[STATE_BYTES], changes = cursor_u8(input);
	size_t size = usual_bytes[kind];

	hold();
	memcpy(state, usual[kind], size);
	if (changes == 0xff) {
		size = cursor_u8(input);
		cursor_copy(input, state, size);
	}
	for (unsigned i = 0; changes != 0xff && i < changes; i++) {
		size_t at = cursor_u8(input) % size;

		state[at] = cursor_u8(input);
	}
	if (load(kind, state, size) == 0)
		save_twice(kind);
	virtio_wake(&f.guest.board);
}

/* ---- the board, which is made once ---- */

static void add(virtio_adder *adder, struct config_device config, const char *id)
{
	config.id = (char *)(uintptr_t)id;
	fuzz_virtio_fill(&config);
	virtio_guest_add(&f.guest, adder, &config);
}

static void add_disk(void)
{
	static char path[] = "/tmp/fuzz-virtio-load-XXXXXX";
	int fd = mkstemp(path);

	fuzz_assert(fd >= 0 && ftruncate(fd, (off_t)MIB(1)) == 0 && close(fd) == 0);
	add(virtio_blk_add, (struct config_device){.driver = CONFIG_BLK, .file = path, .queues = 2}, "disk");
	unlink(path);
}

static void start_driver(unsigned kind)
{
	static const unsigned queues[KINDS] = {1, 2, 2, 4, 3};

	f.device = functions[kind];
	virtio_function_negotiate(&f.device, UINT64_MAX);
	for (unsigned i = 0; i < queues[kind]; i++)
		virtio_function_queue(&f.device, i, &f.queues[i], FUZZ_VIRTIO_RINGS + FUZZ_VIRTIO_RING * i,
		        FUZZ_VIRTIO_SIZE, true);
	virtio_function_add_status(&f.device, VIRTIO_CONFIG_S_DRIVER_OK);
}

static void make(void)
{
	static const struct fuzz_virtio_target target;

	log_set_level(LOG_ERROR);
	f.target = &target;
	virtio_guest_init(&f.guest);
	add(virtio_rng_add, (struct config_device){.driver = CONFIG_RNG}, "rng");
	add(virtio_console_add, (struct config_device){.driver = CONFIG_CONSOLE}, "console");
	add_disk();
	add(virtio_net_add, (struct config_device){.driver = CONFIG_NET, .tap_fd = -1}, "net");
	add(virtio_balloon_add, (struct config_device){.driver = CONFIG_BALLOON}, "balloon");
	add(virtio_rng_add, (struct config_device){.driver = CONFIG_RNG}, "witness");
	virtio_guest_start(&f.guest);
	for (unsigned i = 0; i < KINDS; i++)
		fuzz_assert(virtio_function_find(&functions[i], &f.guest, i, true));
	fuzz_assert(virtio_function_find(&f.witness, &f.guest, KINDS, true));
	for (unsigned i = 0; i < KINDS; i++) {
		start_driver(i);
		hold();
		usual_bytes[i] = save(i, usual[i]);
		virtio_wake(&f.guest.board);
		virtio_function_reset(&f.device);
	}
	fuzz_virtio_start_witness(&f);
}

static void step(unsigned kind, struct cursor *input)
{
	struct virtio_console *console = virtio_console_of(&f.guest.board, NULL);
	char text[64] = "";

	switch (cursor_u8(input) % 16) {
	case 0: load_input(kind, input); break;
	case 1:
		save_twice(kind);
		virtio_wake(&f.guest.board);
		break;
	case 2:
		hold();
		virtio_wake(&f.guest.board);
		break;
	case 3: (void)virtio_console_output(console, text, cursor_u8(input) % sizeof(text)); break;
	case 4: (void)virtio_console_input(console, text, cursor_u8(input) % sizeof(text)); break;
	default: fuzz_virtio_step(&f, input); break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor input = cursor_over(data, size);
	unsigned kind;

	if (!f.target)
		make();
	kind = cursor_u8(&input) % KINDS;
	f.device = functions[kind];
	for (unsigned i = 0; i < FUZZ_VIRTIO_QUEUES; i++)
		driver_init(&f.queues[i], f.guest.ram, FUZZ_VIRTIO_RINGS + FUZZ_VIRTIO_RING * i,
		        FUZZ_VIRTIO_SIZE, true);
	memset(f.guest.ram + FUZZ_VIRTIO_BUFFERS, 0, 0x20000);
	load_input(kind, &input);
	while (input.left && !input.bad)
		step(kind, &input);
	virtio_guest_turn(&f.guest, 2);
	fuzz_virtio_reset(&f);
	/* A queue that was loaded may lie in the rings of the witness, whose memory is not its own. */
	virtio_function_reset(&f.witness);
	fuzz_virtio_start_witness(&f);
	fuzz_virtio_ask_witness(&f);
	return 0;
}

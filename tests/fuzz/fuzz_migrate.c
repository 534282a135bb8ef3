/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_migrate: a target of a move, and a hostile source. The input is frames: type, length of the payload
 * (two bytes) and payload; a type above 0x7f sends all pages of memory as zeros and ends a pass, which takes
 * too many bytes to find. Headers are made here with the right sequence and checksum, except that a frame
 * whose type has bit 6 gets its header from the input, too. The target never takes a guest that is not whole.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../src/migrate/side.h"
#include "fuzz.h"
#include "support/fake_kernel.h"

#define RAM        MIB(2)
#define FIRMWARE   KIB(16)
#define PAGES      ((RAM + FIRMWARE) / PAGE_SIZE_BYTES)
#define SOCKET     (128 * 1024)
#define FRAMES_MAX 64
#define PARTS      2

static struct fake_kernel kernel;
static struct page_memory *memory;
static bool took;
static unsigned loaded;
static uint64_t sequence;

static int on_load(
        void *ctx, enum migrate_part part, unsigned i, const void *data, size_t size, struct err *err)
{
	struct vmstate s = vmstate_load("part", data, size);
	uint8_t value;

	vmstate_u8(&s, "value", &value, 0x0f);
	loaded += !s.bad;
	return vmstate_end(&s, err);
}

static int on_take(void *ctx, const uint8_t id[static MIGRATE_ID_BYTES], struct err *err)
{
	took = true;
	return 0;
}

static void on_progress(void *ctx)
{
}

static bool put(int fd, const uint8_t *header, unsigned type, const uint8_t *payload, size_t size)
{
	static uint8_t frame[MIGRATE_HEADER_BYTES + 65536];

	if (header)
		memcpy(frame, header, MIGRATE_HEADER_BYTES);
	else
		memset(frame, 0, MIGRATE_HEADER_BYTES);
	memcpy(frame + MIGRATE_HEADER_BYTES, payload, size);
	if (!header) {
		store_le(frame, 4, MIGRATE_MAGIC);
		store_le(frame + 4, 2, type);
		store_le(frame + 6, 2, MIGRATE_FLAG_UNDERSTAND);
		store_le(frame + 8, 4, size);
		store_le(frame + 16, 8, sequence++);
		store_le(frame + 24, 4, migrate_crc32c(frame, MIGRATE_HEADER_BYTES + size));
	}
	size += MIGRATE_HEADER_BYTES;
	return send(fd, frame, size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size;
}

static bool put_all(int fd)
{
	uint8_t payload[40];
	uint32_t last = 1;

	store_le(payload, 8, 2);
	store_le(payload + 8, 8, 0);
	store_le(payload + 16, 4, RAM);
	store_le(payload + 20, 4, 2);
	store_le(payload + 24, 8, PAGE_HOLE_END - FIRMWARE);
	store_le(payload + 32, 4, FIRMWARE);
	store_le(payload + 36, 4, 2);
	if (!put(fd, NULL, MIGRATE_PAGES, payload, sizeof(payload)))
		return false;
	store_le(payload, 4, 1);
	store_le(payload + 4, 4, last);
	store_le(payload + 8, 8, PAGES);
	return put(fd, NULL, MIGRATE_PASS, payload, 16);
}

/* As much as the socket takes is sent before the target reads: it never waits for more. */
static void put_frames(int fd, struct cursor in)
{
	bool room = true;

	for (unsigned i = 0; i < FRAMES_MAX && in.left && room; i++) {
		uint8_t type = cursor_u8(&in);
		const uint8_t *header = NULL, *payload;
		size_t size;

		if (type > 0x7f) {
			room = put_all(fd);
			continue;
		}
		if (type & 0x40)
			header = cursor_take(&in, MIGRATE_HEADER_BYTES);
		size = cursor_u16(&in);
		size = size < in.left ? size : in.left;
		payload = cursor_take(&in, size);
		if (payload && size <= 65536)
			room = put(fd, header, type & 0x3f, payload, size);
	}
}

static void run(const uint8_t *data, size_t size)
{
	static struct migrate_progress progress;
	const struct migrate_guest guest = {.memory = memory,
	        .plan = "a = 1\n",
	        .counts = {1, 1, 1, PARTS},
	        .load = on_load,
	        .take = on_take};
	struct migrate_side side = {.guest = &guest, .progress = &progress, .on_progress = on_progress};
	_Atomic bool cancelled = false;
	enum migrate_result result;
	int fds[2], bytes = SOCKET;
	struct err err;

	fuzz_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	(void)setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	took = false;
	loaded = 0;
	sequence = 0;
	put_frames(fds[0], cursor_over(data, size));
	shutdown(fds[0], SHUT_WR);
	fuzz_assert(migrate_wire_init(&side.wire, fds[1], &cancelled, &err) == 0);
	result = migrate_target(&side, &err);
	fuzz_assert(took == (result == MIGRATE_GONE));
	fuzz_assert(!took || loaded == 3 + PARTS);
	fuzz_assert(result == MIGRATE_GONE || *err.text);
	migrate_wire_finish(&side.wire);
	close(fds[0]);
	close(fds[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct page_layout layout;
	struct err err;

	if (!memory) {
		fake_start(&kernel);
		log_set_level(LOG_ERROR);
		fuzz_assert(page_layout_make(RAM, FIRMWARE, &layout, &err) == 0);
		fuzz_assert(page_memory_create(&kernel.host, &layout, PAGE_OWN, &memory, &err) == 0);
	}
	run(data, size);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest: two guests of a test, one for each side of a move, and a middleman on the connection between them
 * who does something to one frame.
 */
#ifndef TEST_MIGRATE_GUEST_H
#define TEST_MIGRATE_GUEST_H

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../../src/migrate/side.h"
#include "support/fake_kernel.h"
#include "support/test.h"

#define RAM         MIB(4)
#define FIRMWARE    KIB(16)
#define PAGES       ((RAM + FIRMWARE) / PAGE_SIZE_BYTES)
#define FIRMWARE_AT (PAGE_HOLE_END - FIRMWARE)
#define VCPUS       2
#define DEVICES     3
#define LAST_FRAME  700 /* and those behind it: what a guest writes last */
#define LAST_FRAMES 100

struct guest {
	struct page_memory *memory;
	struct migrate_guest seam;
	uint64_t parts[MIGRATE_PARTS][DEVICES];
	bool runs, stopped, gave, took;
	bool logs;                      /* what it writes */
	bool said_ready;                /* the target, to the middleman */
	bool disk_missing;              /* of the target, which learns it when it takes the guest */
	unsigned rounds;                /* the guest writes so often while it is moved */
	bool writes_last;               /* and once more while it is being stopped */
	unsigned allocations, fails_at; /* test_sides.c: of its thread, from 1; 0: none fails */
	bool fails_on;                  /* and all later ones fail, too */
	struct migrate_progress progress;
	struct migrate_limits limits;
	_Atomic bool cancelled;
	struct migrate_side side;
	enum migrate_result result;
	struct err err;
	int fd;
};

/* Not every test uses all of it. */
#pragma GCC diagnostic ignored "-Wunused-function"

static struct fake_kernel kernel;
static struct guest source, target;
static _Thread_local struct guest *own; /* whose thread this is */
/* Of a test whose guests are confidential (sealed.h): makes them so, frees that, and compares a page of both.
 */
static void (*dress)(void), (*undress)(void);
static bool (*is_page_equal)(uint64_t at);

/* ---- what a move does with them ---- */

static void visit(struct guest *guest, enum migrate_part part, unsigned i, struct vmstate *s)
{
	vmstate_u64(s, "value", &guest->parts[part][i], UINT32_MAX);
}

static int guest_save(
        void *ctx, enum migrate_part part, unsigned i, struct vmstate *ret_state, struct err *err)
{
	*ret_state = vmstate_save("part");
	visit(ctx, part, i, ret_state);
	return vmstate_end(ret_state, err);
}

static int guest_load(
        void *ctx, enum migrate_part part, unsigned i, const void *data, size_t size, struct err *err)
{
	struct vmstate s = vmstate_load("part", data, size);

	visit(ctx, part, i, &s);
	return vmstate_end(&s, err);
}

static int guest_log(void *ctx, bool on, struct err *err)
{
	((struct guest *)ctx)->logs = on;
	return 0;
}

/* The guest writes two pages, one of them with zeros. */
static int guest_collect(void *ctx, struct page_dirty *into, struct err *err)
{
	static const uint8_t zeros[PAGE_SIZE_BYTES];
	struct guest *guest = ctx;
	uint64_t frame = 300 + guest->rounds;
	int result;

	assert_true(guest->logs);
	if (guest->stopped && guest->writes_last)
		page_dirty_set(into, LAST_FRAME, LAST_FRAMES);
	if (!guest->rounds || guest->stopped)
		return 0;
	guest->rounds--;
	result = page_write(
	        guest->memory, gpa(frame * PAGE_SIZE_BYTES), &guest->rounds, sizeof(guest->rounds));
	if (result == 0)
		result = page_write(guest->memory, gpa(MIB(2)), zeros, sizeof(zeros));
	page_dirty_set(into, frame, 1);
	page_dirty_set(into, MIB(2) / PAGE_SIZE_BYTES, 1);
	return result;
}

static int guest_stop(void *ctx, struct err *err)
{
	struct guest *guest = ctx;
	static const char words[] = "written last";

	for (unsigned i = 0; i < LAST_FRAMES && guest->writes_last; i++)
		assert_int_equal(page_write(guest->memory, gpa((LAST_FRAME + i) * PAGE_SIZE_BYTES), words,
		                         sizeof(words)),
		        0);
	guest->runs = false;
	guest->stopped = true;
	guest->side.paused = false;
	return 0;
}

static int guest_give(void *ctx, const uint8_t id[static MIGRATE_ID_BYTES], struct err *err)
{
	((struct guest *)ctx)->gave = true;
	return 0;
}

static int guest_take(void *ctx, const uint8_t id[static MIGRATE_ID_BYTES], struct err *err)
{
	struct guest *guest = ctx;

	if (guest->disk_missing)
		return err_set(err, ERR_USAGE, "the disk is missing");
	guest->took = guest->runs = true;
	return 0;
}

static void on_progress(void *ctx)
{
}

/* ---- their life ---- */

static void fill(struct guest *guest)
{
	uint8_t page[PAGE_SIZE_BYTES];

	/* Every third page stays empty, below and above 1 MiB. */
	for (uint64_t frame = 0; frame < RAM / PAGE_SIZE_BYTES; frame++) {
		if (frame % 3 == 2)
			continue;
		for (size_t i = 0; i < sizeof(page); i++)
			page[i] = (uint8_t)(frame * 7 + i * 13 + 1);
		assert_int_equal(
		        page_write(guest->memory, gpa(frame * PAGE_SIZE_BYTES), page, sizeof(page)), 0);
	}
	for (unsigned part = 0; part < MIGRATE_PARTS; part++)
		for (unsigned i = 0; i < DEVICES; i++)
			guest->parts[part][i] = 100 * part + i + 1;
	guest->runs = true;
}

static void make_guest(struct guest *guest, const char *plan)
{
	struct page_layout layout;
	struct err err;

	assert_ok(page_layout_make(RAM, FIRMWARE, &layout, &err));
	assert_ok(page_memory_create(&kernel.host, &layout, PAGE_OWN, &guest->memory, &err));
	guest->limits.stop_ms = 300;
	guest->seam = (struct migrate_guest){
	        .memory = guest->memory,
	        .plan = plan,
	        .counts = {[MIGRATE_PART_TIME] = 1,
	                [MIGRATE_PART_VCPU] = VCPUS,
	                [MIGRATE_PART_CHIPS] = 1,
	                [MIGRATE_PART_DEVICE] = DEVICES},
	        .save = guest_save,
	        .load = guest_load,
	        .log = guest_log,
	        .collect = guest_collect,
	        .stop = guest_stop,
	        .give = guest_give,
	        .take = guest_take,
	        .ctx = guest,
	};
	guest->side = (struct migrate_side){.guest = &guest->seam,
	        .progress = &guest->progress,
	        .limits = &guest->limits,
	        .on_progress = on_progress};
}

static void make_guests(void)
{
	memset(&source, 0, sizeof(source));
	memset(&target, 0, sizeof(target));
	make_guest(&source, "memory = 4\nvcpus = 2\n");
	make_guest(&target, "memory = 4\nvcpus = 2\n");
	memset(source.side.id, 0x5a, MIGRATE_ID_BYTES);
	fill(&source);
	if (dress)
		dress();
}

static void free_guests(void)
{
	if (undress)
		undress();
	page_memory_destroy(take_ptr(&source.memory));
	page_memory_destroy(take_ptr(&target.memory));
}

static bool is_plain_page_equal(uint64_t at)
{
	uint8_t a[PAGE_SIZE_BYTES], b[PAGE_SIZE_BYTES];

	return page_read(source.memory, gpa(at), a, sizeof(a)) == 0 &&
	       page_read(target.memory, gpa(at), b, sizeof(b)) == 0 && memcmp(a, b, sizeof(a)) == 0;
}

static bool are_equal(void)
{
	for (uint64_t at = 0; at < RAM; at += PAGE_SIZE_BYTES)
		if (!(is_page_equal ?: is_plain_page_equal)(at))
			return false;
	for (unsigned part = 0; part < MIGRATE_PARTS; part++) {
		if (memcmp(source.parts[part], target.parts[part],
		            source.seam.counts[part] * sizeof(uint64_t)) != 0)
			return false;
	}
	return true;
}

/* ---- the middleman ---- */

enum harm { NO_HARM, CUT, CUT_INSIDE, FLIP, DROP, TWICE, SWAP };

struct middle {
	int ends[2];    /* to the source, to the target */
	enum harm harm; /* done to ... */
	unsigned from;  /* ... what this side sends (0: the source), ... */
	unsigned at;    /* ... to its frame of this number */
	unsigned bit;   /* FLIP: of the frame, modulo its length */
	bool done;      /* there was such a frame */
	uint8_t held[MIGRATE_HEADER_BYTES + MIGRATE_PAYLOAD_MAX_BYTES];
	size_t held_size; /* SWAP: until the next one */
};

/* Sees each whole frame before anything is done to it: the side that sent it, and its number there. */
static void (*on_frame)(unsigned from, unsigned number, const uint8_t *frame);

static bool take_bytes(int fd, uint8_t *at, size_t size)
{
	while (size) {
		ssize_t got = recv(fd, at, size, 0);

		if (got <= 0)
			return false;
		at += got;
		size -= (size_t)got;
	}
	return true;
}

static bool put_bytes(int fd, const uint8_t *at, size_t size)
{
	while (size) {
		ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		at += sent;
		size -= (size_t)sent;
	}
	return true;
}

static bool pass_harmed(struct middle *middle, int to, uint8_t *frame, size_t size)
{
	middle->done = true;
	switch (middle->harm) {
	case NO_HARM: break;
	case CUT: return false;
	case CUT_INSIDE: put_bytes(to, frame, size - 1); return false;
	case FLIP: frame[middle->bit / 8 % size] ^= (uint8_t)(1u << middle->bit % 8); break;
	case DROP: return true;
	case TWICE:
		if (!put_bytes(to, frame, size))
			return false;
		break;
	case SWAP:
		memcpy(middle->held, frame, size);
		middle->held_size = size;
		return true;
	}
	return put_bytes(to, frame, size);
}

/* Passes one frame on. Returns false when the connection is over. */
static bool pass(struct middle *middle, unsigned from, unsigned number)
{
	static uint8_t frame[MIGRATE_HEADER_BYTES + MIGRATE_PAYLOAD_MAX_BYTES];
	int in = middle->ends[from], out = middle->ends[!from];
	size_t size;

	if (!take_bytes(in, frame, MIGRATE_HEADER_BYTES))
		return false;
	size = load_le(frame + 8, 4);
	assert_true(size <= MIGRATE_PAYLOAD_MAX_BYTES);
	if (!take_bytes(in, frame + MIGRATE_HEADER_BYTES, size))
		return false;
	size += MIGRATE_HEADER_BYTES;
	if (from == 1 && load_le(frame + 4, 2) == MIGRATE_READY)
		target.said_ready = true;
	if (on_frame)
		on_frame(from, number, frame);
	if (middle->from == from && middle->at == number && middle->harm != NO_HARM)
		return pass_harmed(middle, out, frame, size);
	if (!put_bytes(out, frame, size))
		return false;
	if (middle->from == from && middle->held_size) {
		size = middle->held_size;
		middle->held_size = 0;
		return put_bytes(out, middle->held, size);
	}
	return true;
}

static void *be_middleman(void *ctx)
{
	struct middle *middle = ctx;
	unsigned numbers[2] = {0};
	bool open = true;

	while (open) {
		struct pollfd fds[2] = {{middle->ends[0], POLLIN, 0}, {middle->ends[1], POLLIN, 0}};

		poll(fds, 2, -1);
		for (unsigned i = 0; i < 2 && open; i++)
			if (fds[i].revents)
				open = pass(middle, i, numbers[i]++);
	}
	shutdown(middle->ends[0], SHUT_RDWR);
	shutdown(middle->ends[1], SHUT_RDWR);
	return NULL;
}

static void *be_target(void *ctx)
{
	bool again = ctx != NULL;

	own = &target;
	target.result = again ? migrate_target_again(&target.side, target.took, &target.err)
	                      : migrate_target(&target.side, &target.err);
	/* The peer hears that this side has ended, as when its process does. */
	shutdown(target.fd, SHUT_RDWR);
	return NULL;
}

/* Where frames are lost the other side waits in vain; elsewhere a slow machine must not matter. */
#define SOON_MS 400

static void open_side(struct guest *guest, int fd, unsigned patience_ms)
{
	struct err err;

	guest->fd = fd;
	signal(SIGPIPE, SIG_IGN); /* as vmm does */
	assert_ok(migrate_wire_init(&guest->side.wire, fd, &guest->cancelled, &err));
	guest->side.wire.patience_ms = patience_ms;
}

static void close_side(struct guest *guest)
{
	migrate_wire_finish(&guest->side.wire);
	close(guest->fd);
}

/* Moves the guest, or asks again. Returns whether the harm was done. */
static bool move(enum harm harm, unsigned from, unsigned at, unsigned bit, bool again)
{
	static struct middle middle;
	int left[2], right[2];
	pthread_t threads[2];

	middle = (struct middle){.harm = harm, .from = from, .at = at, .bit = bit};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, left), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, right), 0);
	middle.ends[0] = left[1];
	middle.ends[1] = right[1];
	open_side(&source, left[0], harm == NO_HARM ? MIGRATE_PATIENCE_MS : SOON_MS);
	open_side(&target, right[0], harm == NO_HARM ? MIGRATE_PATIENCE_MS : SOON_MS);
	pthread_create(&threads[0], NULL, be_middleman, &middle);
	pthread_create(&threads[1], NULL, be_target, again ? &target : NULL);
	own = &source;
	source.result = again ? migrate_source_again(&source.side, &source.err)
	                      : migrate_source(&source.side, &source.err);
	own = NULL;
	shutdown(source.fd, SHUT_RDWR);
	pthread_join(threads[1], NULL);
	pthread_join(threads[0], NULL);
	close_side(&source);
	close_side(&target);
	close(left[1]);
	close(right[1]);
	if (source.result == MIGRATE_STAYS)
		source.runs = true;
	return middle.done;
}

#endif

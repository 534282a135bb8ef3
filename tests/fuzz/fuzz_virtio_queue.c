/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_virtio_queue: any rings, descriptors and indices over a real guest memory of 1 MiB, and any order of
 * the device's calls. Each chain and each verdict must be what a model computes, which was written from
 * VIRTIO 1.2, 2.7, and each interrupt as linux/virtio_ring.h says.
 */
#include <linux/virtio_ring.h>
#include <string.h>

#include "../../src/virtio/queue.h"
#include "fuzz.h"

#define RAM_BYTES MIB(1)
#define TABLES    0x40000u /* indirect tables that inputs find easily */

static struct page_memory *memory;
static uint8_t *ram;

/* The queue under test, and what the model knows of it. */
static struct virtio_queue queue;
static struct virtio_queue_setup setup;
static struct virtio_chain chain;
static bool started, broken, hushed;
static bool in_flight[VIRTIO_QUEUE_SIZE_MAX];
static uint16_t next, seen, used, shown; /* of the available ring, of the used ring */
static unsigned calls, breaks;

static void on_call(void *ctx, unsigned index)
{
	fuzz_assert(index == setup.index);
	calls++;
}

static void on_broken(void *ctx, const char *text)
{
	fuzz_assert(strlen(text) > 10);
	breaks++;
}

static void make_memory(void)
{
	static struct host *host;
	struct page_layout layout;
	struct err err;

	if (memory)
		return;
	fuzz_assert(host_kernel_create(&host, &err) == 0);
	fuzz_assert(page_layout_make(RAM_BYTES, KIB(4), &layout, &err) == 0);
	fuzz_assert(page_memory_create(host, &layout, PAGE_OWN, &memory, &err) == 0);
	ram = page_memory_slot_address(memory, 0);
}

static uint16_t ram_u16(uint64_t at)
{
	return (uint16_t)load_le(ram + at, 2);
}

static bool in_ram(uint64_t at, uint64_t bytes)
{
	return bytes && range_fits(at, bytes, RAM_BYTES);
}

/* ---- starting ---- */

/* Most inputs put the rings to places where they fit. */
static uint64_t place(struct cursor *input, bool wild, uint64_t usual)
{
	return wild ? cursor_u64(input) : usual;
}

static bool can_start(void)
{
	unsigned size = setup.size;

	return size && size <= VIRTIO_QUEUE_SIZE_MAX && !(size & (size - 1)) && !(setup.desc_gpa % 16) &&
	       !(setup.avail_gpa % 2) && !(setup.used_gpa % 4) && in_ram(setup.desc_gpa, 16u * size) &&
	       in_ram(setup.avail_gpa, 6 + 2u * size) && in_ram(setup.used_gpa, 6 + 8u * size);
}

static void start(struct cursor *input)
{
	static const struct virtio_queue_owner owner = {.call = on_call, .broken = on_broken};
	uint8_t shape = cursor_u8(input);
	struct err err;

	setup = (struct virtio_queue_setup){.owner = &owner,
	        .memory = memory,
	        .size = shape & 1 ? cursor_u16(input) : (uint16_t)(1 << (shape >> 1 & 7)),
	        .features = (uint64_t)(shape >> 4 & 3) << 28,
	        .desc_gpa = place(input, (shape & 0xc0) == 0x40, 0x1000),
	        .avail_gpa = place(input, (shape & 0xc0) == 0x80, 0x6000),
	        .used_gpa = place(input, (shape & 0xc0) == 0xc0, 0x8000),
	        .index = 3};
	started = can_start();
	fuzz_assert((virtio_queue_start(&queue, &setup, &err) == 0) == started);
	if (!started)
		fuzz_assert(err.kind == ERR_GUEST);
	memset(in_flight, 0, sizeof(in_flight));
	next = seen = used = shown = 0;
	broken = hushed = false;
	breaks = 0;
}

/* ---- what the driver does ---- */

static struct vring_desc read_desc(struct cursor *input)
{
	uint8_t shape = cursor_u8(input);
	struct vring_desc desc = {.flags = shape & 7};

	desc.addr = shape & 0x08 ? cursor_u64(input) : cursor_u16(input) * UINT64_C(16) % (RAM_BYTES + 64);
	desc.len = shape & 0x10 ? cursor_u32(input) : cursor_u8(input) * 16u;
	desc.next = shape & 0x20 ? cursor_u16(input) : shape >> 6;
	return desc;
}

static void write_desc(struct cursor *input, uint64_t table)
{
	uint8_t i = cursor_u8(input);
	struct vring_desc desc = read_desc(input);

	memcpy(ram + table + 16u * i, &desc, sizeof(desc));
}

static void offer(struct cursor *input)
{
	uint8_t head = cursor_u8(input);
	uint16_t idx;

	if (!started)
		return;
	idx = ram_u16(setup.avail_gpa + 2);
	store_le(ram + setup.avail_gpa + 4 + 2u * (idx % setup.size), 2, head);
	store_le(ram + setup.avail_gpa + 2, 2, idx + 1u);
}

static void scribble(struct cursor *input)
{
	uint64_t at = cursor_u16(input) % 0xa000;

	store_le(ram + at, 2, cursor_u16(input));
}

/* ---- the model of a pop ---- */

/* A chain as the model walks it. */
struct walk {
	unsigned count, readable;
	uint64_t bytes;
	uint64_t at[VIRTIO_SEGMENTS_MAX];
	uint32_t size[VIRTIO_SEGMENTS_MAX];
};

static bool add(struct walk *walk, const struct vring_desc *desc)
{
	bool write = desc->flags & VRING_DESC_F_WRITE;

	walk->bytes += desc->len;
	if (walk->count == VIRTIO_SEGMENTS_MAX || !in_ram(desc->addr, desc->len) ||
	        walk->bytes > UINT32_MAX || (!write && walk->readable < walk->count))
		return false;
	walk->at[walk->count] = desc->addr;
	walk->size[walk->count++] = desc->len;
	walk->readable += !write;
	return true;
}

static bool walk_table(struct walk *walk, uint64_t table, uint64_t entries, uint16_t i, bool indirect)
{
	struct vring_desc desc;

	do {
		if (i >= entries)
			return false;
		memcpy(&desc, ram + table + 16u * i, sizeof(desc));
		if (desc.flags & VRING_DESC_F_INDIRECT)
			return !indirect && (setup.features & VIRTIO_F_INDIRECT_DESC) &&
			       !(desc.flags & VRING_DESC_F_NEXT) && desc.len % 16 == 0 &&
			       desc.len / 16 <= 65536 && in_ram(desc.addr, desc.len) &&
			       walk_table(walk, desc.addr, desc.len / 16, 0, true);
		if (!add(walk, &desc))
			return false;
		i = desc.next;
	} while (desc.flags & VRING_DESC_F_NEXT);
	return true;
}

/* Returns what the pop must return. */
static int model_pop(struct walk *walk, uint16_t *ret_head)
{
	if (broken)
		return -1;
	if (next == seen) {
		seen = ram_u16(setup.avail_gpa + 2);
		/* The pop asks for the next kick. The areas may overlap, so that this may change the index.
		 */
		if (seen == next && !hushed && (setup.features & VIRTIO_F_EVENT_IDX)) {
			store_le(ram + setup.used_gpa + 4 + 8u * setup.size, 2, next);
			seen = ram_u16(setup.avail_gpa + 2);
		}
		if ((uint16_t)(seen - next) > setup.size)
			return -1;
		if (seen == next)
			return 0;
	}
	*ret_head = ram_u16(setup.avail_gpa + 4 + 2u * (next % setup.size));
	if (*ret_head >= setup.size || in_flight[*ret_head])
		return -1;
	return walk_table(walk, setup.desc_gpa, setup.size, *ret_head, false) ? 1 : -1;
}

static void check_chain(const struct walk *walk)
{
	uint64_t bytes = 0;

	fuzz_assert(chain.readable == walk->readable);
	fuzz_assert(chain.readable + chain.writable == walk->count);
	for (unsigned i = 0; i < walk->count; i++) {
		fuzz_assert(chain.iov[i].iov_base == ram + walk->at[i]);
		fuzz_assert(chain.iov[i].iov_len == walk->size[i]);
		bytes += i < walk->readable ? walk->size[i] : 0;
	}
	fuzz_assert(chain.readable_bytes == bytes);
	fuzz_assert(chain.writable_bytes == walk->bytes - bytes);
}

/* Sometimes puts the chain back. */
static void pop(struct cursor *input)
{
	static struct walk walk;
	uint16_t head = 0;
	int expected;

	walk.count = walk.readable = 0;
	walk.bytes = 0;
	expected = model_pop(&walk, &head);
	fuzz_assert(virtio_queue_pop(&queue, &chain) == expected);
	broken = expected < 0;
	fuzz_assert(breaks == broken);
	if (expected != 1)
		return;
	fuzz_assert(chain.head == head);
	check_chain(&walk);
	if (cursor_u8(input) & 1) {
		virtio_queue_unpop(&queue);
		return;
	}
	in_flight[head] = true;
	next++;
}

/* ---- what the device does besides ---- */

static void push(struct cursor *input)
{
	uint16_t head = cursor_u8(input);
	uint32_t written = cursor_u8(input);
	uint64_t at = setup.used_gpa + 4 + 8u * (used % setup.size);

	virtio_queue_push_iov(&queue, head, NULL, 0, written);
	if (head >= setup.size || !in_flight[head])
		return;
	in_flight[head] = false;
	used++;
	fuzz_assert(load_le(ram + at, 4) == head);
	fuzz_assert(load_le(ram + at + 4, 4) == written);
}

static void flush(void)
{
	uint16_t old = shown;
	bool expected;

	shown = used;
	calls = 0;
	virtio_queue_flush(&queue);
	if (old != shown)
		fuzz_assert(ram_u16(setup.used_gpa + 2) == shown);
	if (setup.features & VIRTIO_F_EVENT_IDX)
		expected = vring_need_event(ram_u16(setup.avail_gpa + 4 + 2u * setup.size), shown, old);
	else
		expected = !(ram_u16(setup.avail_gpa) & VRING_AVAIL_F_NO_INTERRUPT);
	fuzz_assert(calls == (expected && old != shown));
}

static void listen(void)
{
	bool more = virtio_queue_listen(&queue);

	hushed = false;
	if (setup.features & VIRTIO_F_EVENT_IDX)
		fuzz_assert(ram_u16(setup.used_gpa + 4 + 8u * setup.size) == next);
	else
		fuzz_assert(!(ram_u16(setup.used_gpa) & VRING_USED_F_NO_NOTIFY));
	fuzz_assert(more == (ram_u16(setup.avail_gpa + 2) != next));
}

static void hush(void)
{
	virtio_queue_hush(&queue);
	hushed = true;
	if (!(setup.features & VIRTIO_F_EVENT_IDX))
		fuzz_assert(ram_u16(setup.used_gpa) & VRING_USED_F_NO_NOTIFY);
}

static void device_acts(unsigned what, struct cursor *input)
{
	if (!started)
		return;
	switch (what) {
	case 0: pop(input); break;
	case 1: push(input); break;
	case 2: flush(); break;
	case 3: listen(); break;
	default: hush(); break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor input = cursor_over(data, size);

	make_memory();
	memset(ram, 0, 0xa000);
	memset(ram + TABLES, 0, 0x1000);
	started = false;
	while (input.left && !input.bad) {
		uint8_t what = cursor_u8(&input) % 12;

		switch (what) {
		case 0: start(&input); break;
		case 1: write_desc(&input, 0x1000); break;
		case 2: write_desc(&input, TABLES); break;
		case 3: offer(&input); break;
		case 4: scribble(&input); break;
		default: device_acts(what - 5u, &input); break;
		}
	}
	return 0;
}

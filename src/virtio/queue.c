/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue: the ring walker. It takes chains of descriptors from a split virtqueue and gives them back. On the
 * thread of the device's loop, without a lock; the driver runs on other processors at the same time. Law:
 * VIRTIO 1.2, 2.7.
 *
 * The driver is hostile, so each of its values is read once and then checked. A chain that was popped is in
 * flight until it is pushed. The same head cannot be popped again meanwhile, so at most as many chains are in
 * flight as the queue has entries, and a device may keep its requests in a table by head.
 *
 * Barriers. The two sides share two indices, and each side writes one of them:
 * - The driver fills entries of the available ring and then moves its index, with a barrier between the two
 *   (2.7.13.3). avail_idx is read with acquire order, so that the entries are read after it.
 * - The device fills entries of the used ring and then moves its index with release order. The driver reads
 *   the index first and then the entries (2.7.14).
 * - Each side moves its index and then looks whether the other one wants to be told (2.7.7, 2.7.10). The
 * other one says what it wants and then looks at the index. A full fence on both sides between the two steps
 * makes sure that at least one of them sees what the other did, so that no wake-up is lost.
 */
#include <stdarg.h>
#include <string.h>

#include "queue.h"

/* A descriptor (2.7.5). */
struct desc {
	uint64_t address;
	uint32_t size;
	uint16_t flags, next;
};
#define DESC_BYTES    16
#define DESC_NEXT     1
#define DESC_WRITE    2
#define DESC_INDIRECT 4
#define TABLE_MAX     65536      /* entries of an indirect table that `next` can name */
#define CHAIN_MAX     UINT32_MAX /* bytes of a chain (2.7.5.2) */

/* The available ring (2.7.6): flags, idx, ring[size], used_event. The used ring (2.7.8): flags, idx, ... */
#define RING_FLAGS            0
#define RING_IDX              2
#define RING_ENTRIES          4
#define AVAIL_ENTRY           2
#define USED_ENTRY            8 /* id, len */
#define RING_EVENT            2 /* bytes of used_event and avail_event behind the entries */
#define USED_RING_BYTES(size) (RING_ENTRIES + USED_ENTRY * (uint64_t)(size) + RING_EVENT)
#define NO_INTERRUPT          1 /* a flag of the available ring */
#define NO_NOTIFICATION       1 /* a flag of the used ring */

/* ---- words that both sides use ---- */

static uint16_t load_u16(const uint8_t *at, int order)
{
	return __atomic_load_n((const uint16_t *)at, order);
}

static void store_u16(uint8_t *at, uint16_t value, int order)
{
	__atomic_store_n((uint16_t *)at, value, order);
}

/* Where the driver writes at which used index it wants to be interrupted next (2.7.7). */
static const uint8_t *used_event(const struct virtio_queue *queue)
{
	return queue->avail + RING_ENTRIES + AVAIL_ENTRY * queue->setup.size;
}

/* Where the device writes at which available index it wants to be kicked next (2.7.10). */
static uint8_t *avail_event(const struct virtio_queue *queue)
{
	return queue->used + RING_ENTRIES + USED_ENTRY * queue->setup.size;
}

static uint16_t slot(const struct virtio_queue *queue, uint16_t index)
{
	return index & (uint16_t)(queue->setup.size - 1);
}

/*
 * Copies a descriptor. Indirect tables may have any alignment (2.7.5.3). A volatile read happens exactly
 * once, so that what was checked is what is used.
 */
static struct desc desc_at(const uint8_t *table, unsigned i)
{
	typedef volatile const uint64_t word __attribute__((aligned(1), may_alias));
	word *words = (word *)(table + (size_t)DESC_BYTES * i);
	uint64_t address = words[0], rest = words[1];

	return (struct desc){.address = address,
	        .size = (uint32_t)rest,
	        .flags = (uint16_t)(rest >> 32),
	        .next = (uint16_t)(rest >> 48)};
}

/* ---- a chain ---- */

/* Says what the driver did wrong. Returns -1. */
PRINTF(2, 3) static int breach(struct virtio_queue *queue, const char *fmt, ...)
{
	char text[160];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	queue->broken = true;
	queue->setup.owner->broken(queue->setup.owner->ctx, text);
	return -1;
}

/* The table in which a chain goes on: the queue's own, then perhaps an indirect one. */
struct table {
	const uint8_t *at;
	uint32_t count;
	bool indirect;
};

/*
 * Goes on in an indirect table (2.7.5.3). A chain ends there: the descriptor that names the table has no
 * next, and tables are not nested. The flag DESC_WRITE of that descriptor means nothing.
 */
static int enter(struct virtio_queue *queue, const struct desc *desc, struct table *table)
{
	if (!queue->indirect || table->indirect || (desc->flags & DESC_NEXT))
		return breach(queue, "an indirect descriptor %s",
		        !queue->indirect  ? "without VIRTIO_F_INDIRECT_DESC"
		        : table->indirect ? "in an indirect table"
		                          : "with a next one");
	if (!desc->size || desc->size % DESC_BYTES || desc->size / DESC_BYTES > TABLE_MAX)
		return breach(queue, "an indirect table of %u bytes", desc->size);
	*table = (struct table){.at = page_loan(queue->setup.memory, gpa(desc->address), desc->size),
	        .count = desc->size / DESC_BYTES,
	        .indirect = true};
	if (!table->at)
		return breach(queue, "an indirect table of %u bytes at 0x%llx: this is not shared RAM",
		        desc->size, (unsigned long long)desc->address);
	return 0;
}

/* Adds a buffer. The count of buffers also ends a loop of descriptors. */
static int add(struct virtio_queue *queue, struct virtio_chain *chain, const struct desc *desc)
{
	bool writable = desc->flags & DESC_WRITE;
	unsigned count = chain->readable + chain->writable;
	void *at;

	if (count == VIRTIO_SEGMENTS_MAX)
		return breach(queue, "a chain of more than %u descriptors, or a loop", VIRTIO_SEGMENTS_MAX);
	if (chain->writable && !writable)
		return breach(queue, "a buffer to read after one to write"); /* 2.7.4.2 */
	if (chain->readable_bytes + chain->writable_bytes + desc->size > CHAIN_MAX)
		return breach(queue, "a chain of 4 GiB or more");
	at = page_loan(queue->setup.memory, gpa(desc->address), desc->size);
	if (!at)
		return breach(queue, "a buffer of %u bytes at 0x%llx: this is not shared RAM", desc->size,
		        (unsigned long long)desc->address);
	chain->iov[count] = (struct iovec){.iov_base = at, .iov_len = desc->size};
	*(writable ? &chain->writable : &chain->readable) += 1;
	*(writable ? &chain->writable_bytes : &chain->readable_bytes) += desc->size;
	return 0;
}

static int walk(struct virtio_queue *queue, uint16_t head, struct virtio_chain *chain)
{
	struct table table = {.at = queue->desc, .count = queue->setup.size};
	struct desc desc = {.flags = DESC_NEXT, .next = head};

	chain->head = head;
	chain->readable = chain->writable = 0;
	chain->readable_bytes = chain->writable_bytes = 0;
	while (desc.flags & DESC_NEXT) {
		if (desc.next >= table.count)
			return breach(queue, "descriptor %u of a table of %u", desc.next, table.count);
		desc = desc_at(table.at, desc.next);
		if (desc.flags & DESC_INDIRECT) {
			if (enter(queue, &desc, &table) < 0)
				return -1;
			desc = (struct desc){.flags = DESC_NEXT, .next = 0};
		} else if (add(queue, chain, &desc) < 0) {
			return -1;
		}
	}
	return 0;
}

/* ---- what copies of the memory are told of ---- */

/*
 * Copies of the guest's memory are told of what a device, or the kernel for it, wrote to a chain when the
 * chain is pushed, which is after the bytes were stored. That is enough. Before the driver is shown the
 * chain, the bytes mean nothing to it: if a copy lacks them, it lacks what the device writes again, or what a
 * driver that reset the device gave up. And whoever takes the last copy has held the devices before
 * (virtio_hold()), so every chain is pushed by then, or back in its queue. For the same reason the used ring
 * is told of after its index was stored: at a hold nothing is between the two.
 */
static void wrote_iov(
        const struct virtio_queue *queue, const struct iovec *iov, unsigned count, uint64_t bytes)
{
	for (unsigned i = 0; i < count && bytes; i++) {
		uint64_t n = iov[i].iov_len < bytes ? iov[i].iov_len : bytes;

		page_wrote(queue->setup.memory, iov[i].iov_base, n);
		bytes -= n;
	}
}

/* The ring's entries lie in a few pages, so one call for all of them is cheaper than one for each store. */
static void wrote_ring(const struct virtio_queue *queue)
{
	page_wrote(queue->setup.memory, queue->used, USED_RING_BYTES(queue->setup.size));
}

/* ---- taking and giving back ---- */

static uint64_t *flight_word(struct virtio_queue *queue, uint16_t head)
{
	return &queue->in_flight[head / 64];
}

static uint64_t flight_bit(uint16_t head)
{
	return UINT64_C(1) << head % 64;
}

/* Says with which entry the driver is to ring next. Returns its index as it is after that. */
static uint16_t ask_for_kick(struct virtio_queue *queue)
{
	if (queue->event_idx)
		store_u16(avail_event(queue), queue->avail_next, __ATOMIC_SEQ_CST);
	wrote_ring(queue);
	return load_u16(queue->avail + RING_IDX, __ATOMIC_SEQ_CST);
}

/*
 * Returns 1 if there are entries to take. The index is read only when all that were seen before are taken. A
 * device that did not hush the driver is rung with the next entry without asking for it.
 */
static int look(struct virtio_queue *queue)
{
	uint16_t idx;

	if (queue->broken)
		return -1;
	if (queue->avail_next != queue->avail_idx)
		return 1;
	idx = load_u16(queue->avail + RING_IDX, __ATOMIC_ACQUIRE);
	if (idx == queue->avail_next && !queue->hushed)
		idx = ask_for_kick(queue);
	if ((uint16_t)(idx - queue->avail_next) > queue->setup.size)
		return breach(queue, "the available index jumped from %u to %u", queue->avail_next, idx);
	queue->avail_idx = idx;
	return idx != queue->avail_next;
}

int virtio_queue_pop(struct virtio_queue *queue, struct virtio_chain *ret_chain)
{
	int there = look(queue);
	uint16_t head;

	if (there <= 0)
		return there;
	head = load_u16(
	        queue->avail + RING_ENTRIES + AVAIL_ENTRY * slot(queue, queue->avail_next), __ATOMIC_RELAXED);
	if (head >= queue->setup.size)
		return breach(queue, "descriptor %u of a queue of %u", head, queue->setup.size);
	if (*flight_word(queue, head) & flight_bit(head))
		return breach(queue, "descriptor %u made available again before it was used", head);
	if (walk(queue, head, ret_chain) < 0)
		return -1;
	*flight_word(queue, head) |= flight_bit(head);
	queue->popped = head;
	queue->avail_next++;
	return 1;
}

void virtio_queue_unpop(struct virtio_queue *queue)
{
	*flight_word(queue, queue->popped) &= ~flight_bit(queue->popped);
	queue->avail_next--;
}

static bool give_back(struct virtio_queue *queue, uint16_t head, uint32_t written)
{
	uint8_t *entry = queue->used + RING_ENTRIES + USED_ENTRY * slot(queue, queue->used_next);

	if (head >= queue->setup.size || !(*flight_word(queue, head) & flight_bit(head)))
		return false;
	*flight_word(queue, head) &= ~flight_bit(head);
	store_le(entry, 4, head);
	store_le(entry + 4, 4, written);
	queue->used_next++;
	return true;
}

void virtio_queue_push_iov(
        struct virtio_queue *queue, uint16_t head, const struct iovec *iov, unsigned count, uint32_t written)
{
	if (give_back(queue, head, written))
		wrote_iov(queue, iov, count, written);
}

void virtio_queue_push(struct virtio_queue *queue, const struct virtio_chain *chain, uint32_t written)
{
	if (give_back(queue, chain->head, written))
		wrote_iov(queue, chain->iov + chain->readable, chain->writable, chain->writable_bytes);
}

/* ---- who wakes whom ---- */

/* Does the driver want an interrupt for the used entries old..new? (2.7.7.2: has the event been passed?) */
static bool wants_call(const struct virtio_queue *queue, uint16_t old, uint16_t new)
{
	uint16_t event;

	if (!queue->event_idx)
		return !(load_u16(queue->avail + RING_FLAGS, __ATOMIC_SEQ_CST) & NO_INTERRUPT);
	event = load_u16(used_event(queue), __ATOMIC_SEQ_CST);
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

void virtio_queue_flush(struct virtio_queue *queue)
{
	uint16_t old = queue->used_shown, new = queue->used_next;

	if (old == new)
		return;
	queue->used_shown = new;
	/* Release order for the entries; the full fence comes with the sequentially consistent order. */
	store_u16(queue->used + RING_IDX, new, __ATOMIC_SEQ_CST);
	wrote_ring(queue);
	if (wants_call(queue, old, new))
		queue->setup.owner->call(queue->setup.owner->ctx, queue->setup.index);
}

bool virtio_queue_has_more(const struct virtio_queue *queue)
{
	return !queue->broken && load_u16(queue->avail + RING_IDX, __ATOMIC_ACQUIRE) != queue->avail_next;
}

/* With event indices, silence is to ask for an event that has passed. */
void virtio_queue_hush(struct virtio_queue *queue)
{
	queue->hushed = true;
	if (queue->event_idx)
		store_u16(avail_event(queue), (uint16_t)(queue->avail_next - 1), __ATOMIC_RELAXED);
	else
		store_u16(queue->used + RING_FLAGS, NO_NOTIFICATION, __ATOMIC_RELAXED);
	wrote_ring(queue);
}

bool virtio_queue_listen(struct virtio_queue *queue)
{
	queue->hushed = false;
	if (!queue->event_idx)
		store_u16(queue->used + RING_FLAGS, 0, __ATOMIC_SEQ_CST);
	return ask_for_kick(queue) != queue->avail_next;
}

/* ---- life ---- */

/* Borrows one of the three areas of a queue (2.7: their sizes and alignments). */
static int borrow(const struct virtio_queue_setup *setup, const char *what, uint64_t address, uint64_t bytes,
        unsigned alignment, uint8_t **ret_at, struct err *err)
{
	const char *wrong = "this is not shared RAM";

	*ret_at = page_loan(setup->memory, gpa(address), bytes);
	if (!is_aligned(address, alignment)) {
		wrong = "this is not aligned";
		*ret_at = NULL;
	}
	if (!*ret_at)
		return err_set(err, ERR_GUEST, "queue %u: the %s of %u entries at 0x%llx: %s", setup->index,
		        what, setup->size, (unsigned long long)address, wrong);
	return 0;
}

int virtio_queue_start(struct virtio_queue *queue, const struct virtio_queue_setup *setup, struct err *err)
{
	struct virtio_queue new = {.setup = *setup};
	uint64_t size = setup->size;

	if (!size || size > VIRTIO_QUEUE_SIZE_MAX || (size & (size - 1)))
		return err_set(err, ERR_GUEST, "queue %u: %llu entries: must be a power of two, at most %u",
		        setup->index, (unsigned long long)size, VIRTIO_QUEUE_SIZE_MAX);
	if (borrow(setup, "descriptor table", setup->desc_gpa, DESC_BYTES * size, 16, &new.desc, err) < 0 ||
	        borrow(setup, "available ring", setup->avail_gpa,
	                RING_ENTRIES + AVAIL_ENTRY * size + RING_EVENT, 2, &new.avail, err) < 0 ||
	        borrow(setup, "used ring", setup->used_gpa, USED_RING_BYTES(size), 4, &new.used, err) < 0)
		return -1;
	new.event_idx = setup->features &VIRTIO_F_EVENT_IDX;
	new.indirect = setup->features &VIRTIO_F_INDIRECT_DESC;
	*queue = new;
	return 0;
}

void virtio_queue_go_on(struct virtio_queue *queue, uint16_t index)
{
	queue->avail_next = queue->avail_idx = queue->used_next = queue->used_shown = index;
}

/* Each chain that was popped was pushed or is in flight, so the two indices tell how many are. */
void virtio_queue_settle(struct virtio_queue *queue)
{
	if (queue->broken)
		return;
	virtio_queue_flush(queue);
	queue->avail_next = queue->avail_idx = queue->used_next;
	queue->hushed = false;
	memset(queue->in_flight, 0, sizeof(queue->in_flight));
}

unsigned virtio_queue_index(const struct virtio_queue *queue)
{
	return queue->setup.index;
}

struct virtio_queue_place virtio_queue_place(const struct virtio_queue *queue)
{
	return (struct virtio_queue_place){
	        .desc_gpa = queue->setup.desc_gpa,
	        .avail_gpa = queue->setup.avail_gpa,
	        .used_gpa = queue->setup.used_gpa,
	        .desc = queue->desc,
	        .avail = queue->avail,
	        .used = queue->used,
	        .size = queue->setup.size,
	        .kick_fd = queue->setup.kick_fd,
	        .call_fd = queue->setup.call_fd,
	};
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "card.h"

struct card card;

#define RINGS(queue)   (0x10000u + 0x8000u * (queue)) /* guest physical */
#define BUFFERS(queue) (MIB(1) + MIB(12) * (queue))
#define BUFFER_BYTES   (128 * 1024u)
#define CARD_MEMORY    MIB(64)

/* ---- the back end ---- */

static int fake_start(struct back_net *net, struct err *err)
{
	return 0;
}

static void fake_stop(struct back_net *net)
{
	card.back.watched[0] = card.back.watched[1] = 0;
}

static void fake_watch(struct back_net *net, unsigned queue, int events)
{
	card.back.watched[queue] = events;
}

static unsigned fake_send(
        struct back_net *net, unsigned queue, const struct back_net_frame *frames, unsigned count)
{
	unsigned i = 0;

	for (; i < count && card.back.room && card.back.sent_count < CARD_FRAMES; i++, card.back.room--) {
		uint8_t *data = malloc(BACK_NET_HEADER_BYTES + frames[i].bytes);
		size_t at = 0;

		for (unsigned k = 0; k < frames[i].iov_count; at += frames[i].iov[k++].iov_len)
			memcpy(data + at, frames[i].iov[k].iov_base, frames[i].iov[k].iov_len);
		assert_int_equal(at, BACK_NET_HEADER_BYTES + frames[i].bytes);
		card.back.sent[card.back.sent_count].data = data;
		card.back.sent[card.back.sent_count++].bytes = frames[i].bytes;
	}
	return i;
}

static size_t fake_receive(struct back_net *net, unsigned queue, const struct iovec *iov, unsigned iov_count)
{
	uint8_t all[BACK_NET_HEADER_BYTES + BACK_NET_FRAME_MAX] = {0};
	size_t bytes, at = 0;

	if (card.back.waiting_next == card.back.waiting_count)
		return 0;
	bytes = BACK_NET_HEADER_BYTES + card.back.waiting[card.back.waiting_next].bytes;
	memcpy(all + BACK_NET_HEADER_BYTES, card.back.waiting[card.back.waiting_next].data,
	        bytes - BACK_NET_HEADER_BYTES);
	card.back.waiting_next++;
	for (unsigned i = 0; i < iov_count && at < bytes; i++) {
		size_t n = iov[i].iov_len < bytes - at ? iov[i].iov_len : bytes - at;

		memcpy(iov[i].iov_base, all + at, n);
		at += n;
	}
	return bytes;
}

static int fake_set_offloads(struct back_net *net, unsigned offloads, struct err *err)
{
	card.back.offloads = offloads;
	return 0;
}

static int fake_set_queues(struct back_net *net, unsigned count, struct err *err)
{
	card.back.queues = count;
	return 0;
}

static void fake_destroy(struct back_net *net)
{
	card.back.destroyed = true;
}

static const struct back_net_ops fake_ops = {
        .start = fake_start,
        .stop = fake_stop,
        .watch = fake_watch,
        .send = fake_send,
        .receive = fake_receive,
        .set_offloads = fake_set_offloads,
        .set_queues = fake_set_queues,
        .destroy = fake_destroy,
};

/* ---- what the device calls ---- */

int __wrap_back_net_open(
        const struct config_device *config, const uint8_t *mac, struct back_net **ret_net, struct err *err);
int __wrap_virtio_pci_add(struct device_board *board, const struct virtio_setup *setup,
        struct virtio_device **ret_device, struct err *err);
void __wrap_virtio_device_break(struct virtio_device *device, const char *fmt, ...) PRINTF(2, 3);
void __wrap_virtio_device_config_changed(struct virtio_device *device);
void __wrap_virtio_device_stopped(struct virtio_device *device);
void *__wrap_virtio_device_find(
        const struct device_board *board, const struct virtio_kind *kind, const char *id);

void *__wrap_virtio_device_find(
        const struct device_board *board, const struct virtio_kind *kind, const char *id)
{
	return kind == card.setup.kind ? card.setup.ctx : NULL;
}

int __wrap_back_net_open(
        const struct config_device *config, const uint8_t *mac, struct back_net **ret_net, struct err *err)
{
	card.back.net.ops = &fake_ops;
	*ret_net = &card.back.net;
	return 0;
}

int __wrap_virtio_pci_add(struct device_board *board, const struct virtio_setup *setup,
        struct virtio_device **ret_device, struct err *err)
{
	card.setup = *setup;
	return 0;
}

void __wrap_virtio_device_break(struct virtio_device *device, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(card.broken, sizeof(card.broken), fmt, args);
	va_end(args);
	card.breaks++;
}

void __wrap_virtio_device_config_changed(struct virtio_device *device)
{
	card.changes++;
}

void __wrap_virtio_device_stopped(struct virtio_device *device)
{
	card.stops++;
}

static void on_call(void *ctx, unsigned index)
{
	card.calls++;
}

static void on_broken(void *ctx, const char *text)
{
	snprintf(card.broken, sizeof(card.broken), "%s", text);
	card.breaks++;
}

/* ---- life ---- */

void card_add(const struct config_device *config)
{
	const struct virtio_place place = {.vcpus = 1, .machine = "test"};
	struct page_layout layout;
	struct err err = {0};

	card.owner = (struct virtio_queue_owner){on_call, on_broken, NULL};
	if (!card.back.net.queues)
		card.back.net.queues = 1;
	if (!card.back.net.frame_max)
		card.back.net.frame_max = 65535;
	assert_ok(host_kernel_create(&card.host, &err));
	assert_ok(page_layout_make(CARD_MEMORY, DRIVER_ROM, &layout, &err));
	assert_ok(page_memory_create(card.host, &layout, PAGE_SHARED, &card.memory, &err));
	card.ram = page_memory_slot_address(card.memory, 0);
	assert_ok(virtio_net_add(&place, config, &err));
}

static void start(void *ctx)
{
	struct virtio_start start = {
	        .features = card.features, .queues = card.queue_list, .memory = card.memory};

	card.started = card.setup.kind->start(card.setup.ctx, &start, &card.err);
}

void card_start(uint64_t features, uint16_t size)
{
	card.features = features;
	assert_true(card.setup.queues <= CARD_QUEUES);
	for (unsigned i = 0; i < card.setup.queues; i++) {
		struct virtio_queue_setup setup = {
		        .owner = &card.owner, .memory = card.memory, .features = features, .index = i};
		struct err err;

		driver_init(&card.drivers[i], card.ram, RINGS(i), size, features & VIRTIO_F_EVENT_IDX);
		driver_place(&card.drivers[i], &setup);
		assert_ok(virtio_queue_start(&card.queues[i], &setup, &err));
		card.queue_list[i] = &card.queues[i];
	}
	loop_call(card.setup.loop, start, NULL);
	assert_int_equal(card.started, 0);
}

static void kick(void *ctx)
{
	card.setup.kind->kick(card.setup.ctx, ctx);
}

void card_kick(unsigned queue)
{
	loop_call(card.setup.loop, kick, &card.queues[queue]);
}

struct ready {
	unsigned pair;
	int events;
};

static void ready(void *ctx)
{
	const struct ready *what = ctx;

	card.back.net.events.on_ready(card.back.net.events.ctx, what->pair, what->events);
}

void card_ready(unsigned pair, int events)
{
	struct ready what = {pair, events};

	loop_call(card.setup.loop, ready, &what);
}

static void nothing(void *ctx)
{
}

void card_settle(void)
{
	for (unsigned i = 0; i < 20; i++)
		loop_call(card.setup.loop, nothing, NULL);
}

static void stop(void *ctx)
{
	card.setup.kind->stop(card.setup.ctx);
}

void card_stop(void)
{
	loop_call(card.setup.loop, stop, NULL);
}

void card_finish(void)
{
	card_stop();
	card.setup.kind->finish(card.setup.ctx);
	assert_true(card.back.destroyed);
	for (unsigned i = 0; i < CARD_FRAMES; i++) {
		free(card.back.sent[i].data);
		free(card.back.waiting[i].data);
	}
	page_memory_destroy(card.memory);
	host_destroy(card.host);
	memset(&card, 0, sizeof(card));
}

/* ---- frames and buffers ---- */

void card_wait(size_t bytes, uint8_t value)
{
	unsigned i = card.back.waiting_count++;

	assert_true(i < CARD_FRAMES);
	card.back.waiting[i].bytes = bytes;
	card.back.waiting[i].data = malloc(bytes);
	memset(card.back.waiting[i].data, value, bytes);
}

uint8_t *card_buffer(unsigned queue, unsigned i)
{
	return card.ram + BUFFERS(queue) + BUFFER_BYTES * (i % 64);
}

void card_offer_rx(unsigned i, uint32_t bytes)
{
	driver_desc(&card.drivers[0], i, driver_gpa(&card.drivers[0], card_buffer(0, i)), bytes,
	        VRING_DESC_F_WRITE, 0);
	driver_offer(&card.drivers[0], (uint16_t)i);
}

void card_offer_tx(unsigned i, uint32_t bytes, uint8_t value)
{
	uint8_t *buffer = card_buffer(1, i);

	memset(buffer, 0, BACK_NET_HEADER_BYTES);
	if (bytes > BACK_NET_HEADER_BYTES)
		memset(buffer + BACK_NET_HEADER_BYTES, value, bytes - BACK_NET_HEADER_BYTES);
	driver_desc(&card.drivers[1], i, driver_gpa(&card.drivers[1], buffer), bytes, 0, 0);
	driver_offer(&card.drivers[1], (uint16_t)i);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * card: a network device with a made-up back end, a made-up transport, and a driver of its queues. The
 * program is linked with --wrap for what the device calls of the two.
 */
#ifndef TEST_VIRTIO_CARD_H
#define TEST_VIRTIO_CARD_H

#include <poll.h>

#include "../../../src/virtio/net.h"
#include "driver.h"

#define CARD_QUEUES 5
#define CARD_FRAMES 1200

/* The back end: it keeps what it is sent, and gives what a test put there. */
struct card_back {
	struct back_net net;
	struct {
		size_t bytes;
		uint8_t *data;
	} sent[CARD_FRAMES], waiting[CARD_FRAMES];
	unsigned sent_count, waiting_count, waiting_next;
	unsigned room; /* frames that it takes */
	int watched[2];
	unsigned offloads, queues;
	bool destroyed;
};

struct card {
	struct err err;
	struct host *host;
	struct page_memory *memory;
	uint8_t *ram;
	struct virtio_setup setup;
	struct card_back back;
	struct virtio_queue queues[CARD_QUEUES], *queue_list[CARD_QUEUES];
	struct driver drivers[CARD_QUEUES];
	struct virtio_queue_owner owner;
	int started;
	uint64_t features;
	_Atomic unsigned calls, stops, changes, breaks;
	char broken[200];
};
extern struct card card;

/* Makes the machine's memory, and adds a device with this configuration and what card.back says already. */
void card_add(const struct config_device *config);
/* The driver agrees to features, and enables queues of this size. */
void card_start(uint64_t features, uint16_t size);
void card_kick(unsigned queue);
void card_ready(unsigned pair, int events);
/* Lets the device's loop do what it was asked to, also what it asks itself meanwhile. */
void card_settle(void);
void card_stop(void);
void card_finish(void);

/* Puts a frame of so many bytes, each of this value, into the back end. */
void card_wait(size_t bytes, uint8_t value);
/* Offers a receive buffer, or what is to be sent; the numbers of descriptor and buffer are the same. */
void card_offer_rx(unsigned i, uint32_t bytes);
void card_offer_tx(unsigned i, uint32_t bytes, uint8_t value);
uint8_t *card_buffer(unsigned queue, unsigned i);

#endif

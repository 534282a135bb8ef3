/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rng: the entropy device. The guest's buffers are filled with random bytes of the host's kernel. On the main
 * loop. Law: VIRTIO 1.2, 5.4; getrandom(2).
 *
 * A guest may ask without end. A chain gets at most RNG_CHAIN_BYTES, which is allowed (5.4.6.2: one byte or
 * more), and after RNG_CHAINS_A_TURN chains the loop's other work has its turn.
 */
#include <errno.h>
#include <sys/random.h>

#include "vmm/virtio.h"

#define RNG_ID            4
#define RNG_QUEUE_SIZE    64
#define RNG_CHAIN_BYTES   4096
#define RNG_CHAINS_A_TURN 16

struct rng {
	struct virtio_device *device;
	struct loop *loop;
	struct loop_task more;      /* posted while chains may be left */
	struct virtio_queue *queue; /* NULL: stopped */
	struct virtio_chain chain;
};

/* Fills the chain's buffers. Returns how many bytes of them are random. */
static uint32_t fill(const struct virtio_chain *chain)
{
	size_t done = 0;

	for (unsigned i = chain->readable; i < chain->readable + chain->writable; i++) {
		size_t left = RNG_CHAIN_BYTES - done, length = chain->iov[i].iov_len;
		ssize_t n = getrandom(chain->iov[i].iov_base, length < left ? length : left, 0);

		if (n > 0)
			done += (size_t)n;
		if (n < 0 || done == RNG_CHAIN_BYTES || (size_t)n < length)
			break;
	}
	return (uint32_t)done;
}

/* Serves some chains. Returns false if there may be more. */
static bool serve(struct rng *rng)
{
	for (unsigned i = 0; i < RNG_CHAINS_A_TURN; i++) {
		int there = virtio_queue_pop(rng->queue, &rng->chain);

		if (there <= 0)
			return there < 0 || !virtio_queue_listen(rng->queue);
		if (rng->chain.readable) {
			virtio_device_break(rng->device, "a request with a buffer to read"); /* 5.4.6.1 */
			rng->queue = NULL;
			return true;
		}
		virtio_queue_push(rng->queue, &rng->chain, fill(&rng->chain));
	}
	return false;
}

static void on_turn(void *ctx)
{
	struct rng *rng = ctx;
	struct virtio_queue *queue = rng->queue;
	bool done;

	if (!queue)
		return;
	virtio_queue_hush(queue);
	done = serve(rng);
	virtio_queue_flush(queue);
	if (!done)
		loop_post(rng->loop, &rng->more);
}

/* ---- the kind ---- */

static int start(void *ctx, const struct virtio_start *start, struct err *err)
{
	((struct rng *)ctx)->queue = start->queues[0];
	return 0;
}

static void kick(void *ctx, struct virtio_queue *queue)
{
	on_turn(ctx);
}

static void stop(void *ctx)
{
	struct rng *rng = ctx;

	rng->queue = NULL;
	loop_cancel(rng->loop, &rng->more);
	virtio_device_stopped(rng->device);
}

static const struct virtio_kind rng_kind = {
        .name = "virtio-rng",
        .id = RNG_ID,
        .pci_class = 0x00ff00, /* none of the classes that PCI has */
        .start = start,
        .kick = kick,
        .stop = stop,
        .finish = free,
};

int virtio_rng_add(const struct virtio_place *place, const struct config_device *config, struct err *err)
{
	struct virtio_setup setup = {
	        .kind = &rng_kind,
	        .id = config->id,
	        .queues = 1,
	        .queue_size = RNG_QUEUE_SIZE,
	        .loop = place->main_loop,
	};
	struct rng *rng = calloc(1, sizeof(*rng));

	if (!rng)
		return err_sys(err, ERR_FAILED, ENOMEM, "%s", config->id);
	rng->loop = place->main_loop;
	rng->more = (struct loop_task){.fn = on_turn, .ctx = rng};
	setup.ctx = rng;
	return virtio_pci_add(place->board, &setup, &rng->device, err);
}

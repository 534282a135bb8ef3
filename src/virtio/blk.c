/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blk: the block device and its queues. Queues and disk belong to a thread of the device's own. Law:
 * VIRTIO 1.2, 5.2.
 *
 * A request is taken from a queue and begun (blk_request.c). At most BLK_REQUESTS of a queue are under way;
 * the queue's other chains wait in the guest's memory. The driver is shown together what was done in one turn
 * of the loop, or in a few turns while it brings more.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "blk_request.h"

#define BLK_ID         2
#define BLK_PCI_CLASS  0x018000 /* mass storage, other */
#define BLK_QUEUE_SIZE 256
#define BLK_BUSY       8  /* requests of a queue under way, from which on the driver need not ring */
#define BLK_HELD       16 /* answers that may wait while the driver brings requests */
#define BLK_QUEUES_MAX 64

/* ---- queues ---- */

static void broken(struct blk_queue *queue, const struct virtio_chain *chain)
{
	struct blk *blk = queue->blk;

	virtio_device_break(blk->device, "a request of %llu bytes to read and %llu to write",
	        (unsigned long long)chain->readable_bytes, (unsigned long long)chain->writable_bytes);
	for (unsigned i = 0; i < blk->queues_count; i++)
		blk->queues[i].queue = NULL;
}

/* Begins the next request. Returns 1, 0 if there is none, -1 if the queue is of no use any more. */
static int serve_one(struct blk_queue *queue, struct blk_request *request)
{
	int there = virtio_queue_pop(queue->queue, &request->chain);

	request->queue = queue;
	if (there <= 0) {
		virtio_blk_give(request);
		return there;
	}
	if (virtio_blk_begin(request))
		return 1;
	virtio_blk_give(request);
	broken(queue, &request->chain);
	return -1;
}

/*
 * Begins the requests that wait. It leaves some for later when BLK_REQUESTS are under way, or when it began
 * so many that the loop's other work must have its turn. From now on the driver need not ring: whoever ends a
 * request looks for new ones, and so does look(). Returns true if it began some.
 */
static bool serve(struct blk_queue *queue)
{
	struct blk_request *request = NULL;
	unsigned left = BLK_REQUESTS;
	int there = 1;

	queue->more = true;
	virtio_queue_hush(queue->queue);
	while (left && (request = virtio_blk_take(queue)) && (there = serve_one(queue, request)) > 0)
		left--;
	if (there < 0)
		queue->queue = NULL;
	else if (!left)
		loop_post(queue->blk->loop, &queue->blk->turn_end);
	return left < BLK_REQUESTS;
}

static void show(struct blk_queue *queue)
{
	if (queue->pushed)
		virtio_queue_flush(queue->queue);
	queue->pushed = 0;
}

/*
 * Looks for requests that the driver did not ring for. The last time it shows the driver what is done, and
 * lets a queue with little to do ring.
 */
static bool look_at(struct blk_queue *queue, bool last)
{
	if (last)
		show(queue);
	if (!queue->more || queue->under_way == BLK_REQUESTS)
		return false;
	if (last && queue->under_way < BLK_BUSY)
		queue->more = virtio_queue_listen(queue->queue);
	return queue->more && virtio_queue_has_more(queue->queue) && serve(queue);
}

static bool look(void *ctx, bool last)
{
	struct blk *blk = ctx;
	bool found = false;

	for (unsigned i = 0; i < blk->queues_count; i++) {
		if (blk->queues[i].queue && look_at(&blk->queues[i], last))
			found = true;
	}
	return found;
}

/*
 * A driver that brings requests is not waiting for answers, so the answers of a few turns are shown together,
 * with one interrupt.
 */
static void on_turn_end(void *ctx)
{
	struct blk *blk = ctx;

	for (unsigned i = 0; i < blk->queues_count; i++) {
		struct blk_queue *queue = &blk->queues[i];
		bool brings = queue->queue && (queue->more || queue->pushed) && serve(queue);

		if (queue->queue && !(brings && queue->pushed < BLK_HELD))
			show(queue);
	}
}

/*
 * The vCPUs wait, so what is in the rings now is the last that comes. A ring is looked at even if its bell
 * has not been heard yet. The end of the last request posts this task again.
 */
static void on_quieten(void *ctx)
{
	struct blk *blk = ctx;
	unsigned asked = blk->told.quiet_asked;
	bool began = false;

	for (unsigned i = 0; i < blk->queues_count; i++)
		began |= blk->queues[i].queue && serve(&blk->queues[i]);
	if (!blk->in_flight && began)
		loop_post(blk->loop, &blk->told.quieten);
	else if (!blk->in_flight)
		virtio_blk_tell_quiet(&blk->told, asked);
}

/* ---- the kind ---- */

static void config_read(void *ctx, unsigned offset, void *data, unsigned size)
{
	const struct blk *blk = ctx;
	struct virtio_blk_config config = blk->config;

	config.capacity = blk->told.sectors;
	memcpy(data, (const uint8_t *)&config + offset, size);
}

static int start(void *ctx, const struct virtio_start *start, struct err *err)
{
	struct blk *blk = ctx;

	loop_look(blk->loop, look, blk);
	blk->features = start->features;
	for (unsigned i = 0; i < blk->queues_count; i++) {
		blk->queues[i].queue = start->queues[i];
		blk->queues[i].more = false;
		blk->queues[i].pushed = 0;
	}
	return 0;
}

static void kick(void *ctx, struct virtio_queue *queue)
{
	struct blk *blk = ctx;
	struct blk_queue *ours = &blk->queues[virtio_queue_index(queue)];

	if (ours->queue)
		serve(ours);
}

/* What is under way goes on, since nobody can call it back, and its memory is the guest's until it is done.
 */
static void stop(void *ctx)
{
	struct blk *blk = ctx;

	for (unsigned i = 0; i < blk->queues_count; i++)
		blk->queues[i].queue = NULL;
	loop_cancel(blk->loop, &blk->turn_end);
	if (!blk->in_flight) {
		virtio_device_stopped(blk->device);
		return;
	}
	blk->stopping = true;
	back_disk_hurry(blk->disk, true);
}

static void finish(void *ctx)
{
	struct blk *blk = ctx;

	back_disk_destroy(blk->disk);
	loop_thread_destroy(blk->thread);
	for (unsigned i = 0; i < blk->queues_count; i++)
		free(blk->queues[i].requests);
	free(blk);
}

const struct virtio_kind virtio_blk_kind = {
        .name = "virtio-blk",
        .id = BLK_ID,
        .pci_class = BLK_PCI_CLASS,
        .config_read = config_read,
        .start = start,
        .kick = kick,
        .stop = stop,
        .visit = virtio_blk_visit,
        .finish = finish,
};

/* ---- making it ---- */

static int make_queues(struct blk *blk, struct err *err)
{
	for (unsigned i = 0; i < blk->queues_count; i++) {
		struct blk_queue *queue = &blk->queues[i];

		queue->blk = blk;
		queue->requests = calloc(BLK_REQUESTS, sizeof(*queue->requests));
		if (!queue->requests)
			return err_sys(err, ERR_FAILED, ENOMEM, "the requests of a disk");
	}
	return 0;
}

static int make(struct blk *blk, const struct virtio_place *place, const struct config_device *config,
        struct err *err)
{
	if (make_queues(blk, err) < 0 || loop_thread_create(config->id, &blk->thread, err) < 0)
		return -1;
	blk->loop = loop_thread_loop(blk->thread);
	if ((place->arrives ? back_disk_look : back_disk_open)(config, blk->loop, &blk->disk, err) < 0)
		return -1;
	blk->told.released = place->arrives ? BLK_RELEASED : BLK_OURS;
	blk->told.release = (struct loop_task){.fn = virtio_blk_release_on_loop, .ctx = &blk->told};
	blk->facts = back_disk_facts(blk->disk);
	blk->told.board = place->board;
	blk->told.id = config->id;
	blk->told.loop = blk->loop;
	blk->told.disk = blk->disk;
	blk->told.sectors = blk->facts->size_bytes / BLK_SECTOR;
	blk->turn_end = (struct loop_task){.fn = on_turn_end, .ctx = blk};
	blk->told.quieten = (struct loop_task){.fn = on_quieten, .ctx = blk};
	blk->config = virtio_blk_configure(blk->facts, blk->queues_count);
	memcpy(blk->serial, config->serial, strnlen(config->serial, sizeof(blk->serial)));
	return 0;
}

int virtio_blk_add(const struct virtio_place *place, const struct config_device *config, struct err *err)
{
	unsigned wanted = config->queues ? config->queues : place->vcpus,
	         queues = wanted < BLK_QUEUES_MAX ? wanted : BLK_QUEUES_MAX;
	struct virtio_setup setup = {
	        .kind = &virtio_blk_kind,
	        .id = config->id,
	        .queues = queues,
	        .queue_size = BLK_QUEUE_SIZE,
	        .config_bytes = offsetof(struct virtio_blk_config, max_secure_erase_sectors),
	};
	struct blk *blk = calloc(1, sizeof(*blk) + queues * sizeof(blk->queues[0]));

	if (!blk)
		return err_sys(err, ERR_FAILED, ENOMEM, "%s", config->id);
	blk->queues_count = queues;
	if (make(blk, place, config, err) < 0) {
		finish(blk);
		return -1;
	}
	setup.ctx = blk;
	setup.loop = blk->loop;
	setup.features = virtio_blk_offer(blk->facts);
	if (virtio_pci_add(place->board, &setup, &blk->device, err) < 0)
		return -1;
	blk->told.device = blk->device;
	return 0;
}

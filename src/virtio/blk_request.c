/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blk_request: one request of the block device. It is checked and given to the disk; when the disk is done,
 * the chain goes back. The device's thread. Law: VIRTIO 1.2, 5.2.6.
 */
#include <string.h>

#include "blk_request.h"

/* ---- the end of a request ---- */

struct blk_request *virtio_blk_take(struct blk_queue *queue)
{
	struct blk_request *request = queue->free;

	if (request)
		queue->free = request->next;
	else if (queue->fresh < BLK_REQUESTS)
		request = &queue->requests[queue->fresh++];
	return request;
}

void virtio_blk_give(struct blk_request *request)
{
	request->next = request->queue->free;
	request->queue->free = request;
}

static void end(struct blk_request *request, uint8_t status)
{
	struct blk_queue *queue = request->queue;
	struct blk *blk = queue->blk;
	bool ok = status == VIRTIO_BLK_S_OK;

	if (queue->queue) {
		*request->status = status;
		virtio_queue_push(
		        queue->queue, &request->chain, ok ? (uint32_t)request->chain.writable_bytes : 0);
		queue->pushed++;
		loop_post(blk->loop, &blk->turn_end);
	}
	virtio_blk_give(request);
	queue->under_way--;
	blk->in_flight--;
	if (!blk->in_flight && virtio_blk_is_quietening(&blk->told))
		loop_post(blk->loop, &blk->told.quieten);
	if (blk->stopping && !blk->in_flight) {
		blk->stopping = false;
		back_disk_hurry(blk->disk, false);
		virtio_device_stopped(blk->device);
	}
}

static void on_done(struct back_disk_request *disk_request, int result)
{
	struct blk_request *request = (struct blk_request *)disk_request;

	virtio_blk_count(&request->queue->blk->told, disk_request, result);
	end(request, result < 0 ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
}

/* ---- the start of a request: 5.2.6 ---- */

/* Where a request's data lies in its chain: without the header in front and the status at the end. */
struct blk_data {
	struct iovec *iov;
	unsigned count;
	uint64_t bytes;
};

static struct blk_data data_out(struct virtio_chain *chain)
{
	struct blk_data data = {
	        chain->iov, chain->readable, chain->readable_bytes - sizeof(struct virtio_blk_outhdr)};
	uint64_t skip = sizeof(struct virtio_blk_outhdr);

	while (data.count && skip >= data.iov->iov_len) {
		skip -= data.iov->iov_len;
		data.iov++;
		data.count--;
	}
	if (data.count) {
		data.iov->iov_base = (uint8_t *)data.iov->iov_base + skip;
		data.iov->iov_len -= skip;
	}
	return data;
}

static struct blk_data data_in(struct blk_request *request)
{
	const struct virtio_chain *chain = &request->chain;
	struct blk_data data = {request->into, chain->writable, chain->writable_bytes - 1};
	struct iovec *last = &data.iov[data.count - 1];

	memcpy(data.iov, chain->iov + chain->readable, chain->writable * sizeof(*data.iov));
	if (!--last->iov_len)
		data.count--;
	return data;
}

static void start_disk(struct blk_request *request, const struct back_disk_request *disk)
{
	request->disk = *disk;
	request->disk.on_done = on_done;
	back_disk_start(request->queue->blk->disk, &request->disk);
}

/* Reads or writes sectors. A driver that never flushes expects every write to last (5.2.6.2). */
static void transfer(
        struct blk_request *request, enum back_disk_kind kind, uint64_t sector, struct blk_data data)
{
	struct back_disk_request disk = {
	        .kind = kind,
	        .through = !(request->queue->blk->features & BLK_FEATURE(VIRTIO_BLK_F_FLUSH)),
	        .bytes = data.bytes,
	        .iov = data.iov,
	        .iov_count = data.count,
	};

	if (!mul_ok(sector, BLK_SECTOR, &disk.offset))
		end(request, VIRTIO_BLK_S_IOERR);
	else
		start_disk(request, &disk);
}

/* Discards or zeroes the one range that the configuration allows a request. */
static void change(struct blk_request *request, enum back_disk_kind kind)
{
	struct virtio_blk_discard_write_zeroes range;
	struct back_disk_request disk = {
	        .kind = kind, .through = !(request->queue->blk->features & BLK_FEATURE(VIRTIO_BLK_F_FLUSH))};
	uint32_t allowed = kind == BACK_DISK_ZERO ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0;
	struct virtio_chain *chain = &request->chain;

	if (chain->readable_bytes != sizeof(struct virtio_blk_outhdr) + sizeof(range)) {
		end(request, VIRTIO_BLK_S_IOERR);
		return;
	}
	virtio_chain_read(chain, sizeof(struct virtio_blk_outhdr), &range, sizeof(range));
	disk.keep = !(range.flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);
	disk.bytes = (uint64_t)range.num_sectors * BLK_SECTOR;
	if (range.flags & ~allowed)
		end(request, VIRTIO_BLK_S_UNSUPP); /* 5.2.6.2 */
	else if (disk.bytes > BLK_CHANGE_MAX || !mul_ok(range.sector, BLK_SECTOR, &disk.offset))
		end(request, VIRTIO_BLK_S_IOERR);
	else
		start_disk(request, &disk);
}

static void tell_id(struct blk_request *request)
{
	const struct blk *blk = request->queue->blk;
	uint64_t bytes = request->chain.writable_bytes - 1;

	virtio_chain_write(&request->chain, 0, blk->serial, bytes < BLK_ID_BYTES ? bytes : BLK_ID_BYTES);
	end(request, VIRTIO_BLK_S_OK);
}

static void dispatch(struct blk_request *request, uint32_t type, uint64_t sector)
{
	uint64_t features = request->queue->blk->features;

	if (type == VIRTIO_BLK_T_IN)
		transfer(request, BACK_DISK_READ, sector, data_in(request));
	else if (type == VIRTIO_BLK_T_OUT)
		transfer(request, BACK_DISK_WRITE, sector, data_out(&request->chain));
	else if (type == VIRTIO_BLK_T_FLUSH)
		start_disk(request, &(struct back_disk_request){.kind = BACK_DISK_FLUSH});
	else if (type == VIRTIO_BLK_T_GET_ID)
		tell_id(request);
	else if (type == VIRTIO_BLK_T_DISCARD && (features & BLK_FEATURE(VIRTIO_BLK_F_DISCARD)))
		change(request, BACK_DISK_DISCARD);
	else if (type == VIRTIO_BLK_T_WRITE_ZEROES && (features & BLK_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES)))
		change(request, BACK_DISK_ZERO);
	else
		end(request, VIRTIO_BLK_S_UNSUPP);
}

bool virtio_blk_begin(struct blk_request *request)
{
	struct virtio_chain *chain = &request->chain;
	struct virtio_blk_outhdr header;
	const struct iovec *last = &chain->iov[chain->readable + chain->writable - 1];

	if (chain->readable_bytes < sizeof(header) || !chain->writable_bytes)
		return false;
	virtio_chain_read(chain, 0, &header, sizeof(header));
	request->status = (uint8_t *)last->iov_base + last->iov_len - 1;
	request->queue->under_way++;
	request->queue->blk->in_flight++;
	dispatch(request, header.type, header.sector);
	return true;
}

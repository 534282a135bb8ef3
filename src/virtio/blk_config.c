/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blk_config: what the block device offers to its driver: features and configuration. Any thread. Law: VIRTIO
 * 1.2, 5.2.3, 5.2.4.
 */
#include "blk.h"

static uint8_t log2_of(uint32_t ratio)
{
	uint8_t log2 = 0;

	while (ratio >> (log2 + 1))
		log2++;
	return log2;
}

static uint16_t cut16(uint32_t value)
{
	return value > UINT16_MAX ? UINT16_MAX : (uint16_t)value;
}

/* CONFIG_WCE is not offered: with FLUSH this means a write-back cache (5.2.5.1). */
uint64_t virtio_blk_offer(const struct back_disk_facts *facts)
{
	uint64_t features = BLK_FEATURE(VIRTIO_BLK_F_SEG_MAX) | BLK_FEATURE(VIRTIO_BLK_F_BLK_SIZE) |
	                    BLK_FEATURE(VIRTIO_BLK_F_TOPOLOGY) | BLK_FEATURE(VIRTIO_BLK_F_FLUSH) |
	                    BLK_FEATURE(VIRTIO_BLK_F_MQ);

	if (facts->read_only)
		features |= BLK_FEATURE(VIRTIO_BLK_F_RO);
	if (facts->can_discard)
		features |= BLK_FEATURE(VIRTIO_BLK_F_DISCARD);
	if (facts->can_zero)
		features |= BLK_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES);
	return features;
}

struct virtio_blk_config virtio_blk_configure(const struct back_disk_facts *facts, unsigned queues)
{
	return (struct virtio_blk_config){
	        .capacity = facts->size_bytes / BLK_SECTOR,
	        .seg_max = BLK_SEGMENTS,
	        .blk_size = facts->block_bytes,
	        .physical_block_exp = log2_of(facts->physical_bytes / facts->block_bytes),
	        .min_io_size = cut16(facts->physical_bytes / facts->block_bytes),
	        .opt_io_size = facts->optimal_bytes / facts->block_bytes,
	        .num_queues = (uint16_t)queues,
	        .max_discard_sectors = BLK_CHANGE_MAX / BLK_SECTOR,
	        .max_discard_seg = 1,
	        .discard_sector_alignment = facts->discard_bytes / BLK_SECTOR,
	        .max_write_zeroes_sectors = BLK_CHANGE_MAX / BLK_SECTOR,
	        .max_write_zeroes_seg = 1,
	        .write_zeroes_may_unmap = 1,
	};
}

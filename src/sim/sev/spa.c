/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spa: system physical addresses. Memory encryption ties ciphertext to the physical address of its frame
 * (APM 2, 15.34.1): the same bytes at another address are other ciphertext. The platform has no frames, only
 * what the VMM has mapped: files that are shared, and memory of its own (backing.h). So it invents addresses:
 * each encryption context (the owner) has ranges of frames, and each range stands for a piece of a file or of
 * the VMM's own memory:
 *
 *     owner     backing                frames
 *     guest A   slot 0, 2 MiB          1_0000_0000 to 1_001f_ffff   a slot lies together
 *     guest A   slot 1, 4 MiB          1_0020_0000 to 1_005f_ffff
 *     guest B   slot 0, 2 MiB          1_0060_0000 to 1_007f_ffff   other frames, even for the same memory
 *     a VMSA    its own page           1_0080_0000 to 1_0080_0fff
 *
 * So a page of a file has one address, wherever the VMM maps it, and a VMM that maps another page of the file
 * there gives the guest that other page. Own memory that the VMM moves (mremap(2)) gets other addresses,
 * which real memory would not.
 *
 * A mirror has the owner of its original, so both read the same bytes. A range begins at the lowest place
 * that has room. So the same calls give the same addresses in every run, wherever the VMM's memory lies, and
 * ciphertext can be compared between runs. The functions take sev_platform.lock; any thread may call.
 */
#include "spa.h"
#include "backing.h"

#define SPA_FIRST  (UINT64_C(1) << 32) /* addresses below are those of the firmware and of devices */
#define LARGE_PAGE (UINT64_C(1) << 21) /* a range of at least that size begins at a multiple of it */

/* The list is sorted by start. The ranges of one owner do not overlap in their backing, either. */
struct sev_spa_range {
	struct sev_spa_range *next;
	uint64_t start, size;
	const void *owner;
	struct sev_backing backing; /* of its first byte */
};

static uint64_t align_up(uint64_t address, uint64_t size)
{
	uint64_t unit = size >= LARGE_PAGE ? LARGE_PAGE : PAGE_SIZE_BYTES;

	return (address + unit - 1) & ~(unit - 1);
}

static bool take(
        struct sev_platform *secure, const void *owner, const struct sev_backing *backing, uint64_t size)
{
	struct sev_spa_range **at = &secure->spa_ranges, *range = malloc(sizeof(*range));
	uint64_t start = SPA_FIRST;

	for (; *at && (*at)->start < start + size; at = &(*at)->next) {
		uint64_t behind = align_up((*at)->start + (*at)->size, size);

		start = behind > start ? behind : start;
	}
	if (!range || !range_fits(start, size, UINT64_C(1) << secure->c_bit)) {
		free(range);
		return false;
	}
	*range = (struct sev_spa_range){*at, start, size, owner, *backing};
	*at = range;
	return true;
}

/* Returns the owner's range that holds this place, or else the next one above; NULL if there is none. */
static const struct sev_spa_range *find(
        const struct sev_platform *secure, const void *owner, const struct sev_backing *place)
{
	const struct sev_spa_range *found = NULL;

	for (const struct sev_spa_range *r = secure->spa_ranges; r; r = r->next) {
		if (r->owner == owner && sev_backing_is_same(&r->backing, place) &&
		        place->at < r->backing.at + r->size && (!found || r->backing.at < found->backing.at))
			found = r;
	}
	return found;
}

/* Gives frames to what has none of a piece that lies together. */
static bool place_piece(struct sev_platform *secure, const void *owner, struct sev_backing at, uint64_t size)
{
	uint64_t end = at.at + size;

	while (at.at < end) {
		const struct sev_spa_range *r = find(secure, owner, &at);

		if (r && r->backing.at <= at.at) {
			at.at = r->backing.at + r->size;
			continue;
		}
		if (!take(secure, owner, &at, (r && r->backing.at < end ? r->backing.at : end) - at.at))
			return false;
	}
	return true;
}

bool sev_spa_place(struct sev_platform *secure, const void *owner, uintptr_t host, uint64_t size)
{
	uintptr_t at = host & ~(uintptr_t)(PAGE_SIZE_BYTES - 1);
	uintptr_t end = (uintptr_t)align_up(host + size, PAGE_SIZE_BYTES);
	bool ok = true;

	pthread_mutex_lock(&secure->lock);
	while (ok && at < end) {
		uint64_t part = end - at;
		struct sev_backing backing = sev_backing_of(secure->maps_fd, at, &part);

		ok = place_piece(secure, owner, backing, part);
		at += part;
	}
	pthread_mutex_unlock(&secure->lock);
	return ok;
}

/* Returns the address of what is at host; 0: it has none. *size becomes what follows in range and mapping. */
static uint64_t address_of(struct sev_platform *secure, const void *owner, uintptr_t host, uint64_t *size)
{
	struct sev_backing backing = sev_backing_of(secure->maps_fd, host, size);
	const struct sev_spa_range *r = find(secure, owner, &backing);
	uint64_t left;

	if (!r || r->backing.at > backing.at)
		return 0;
	left = r->backing.at + r->size - backing.at;
	*size = left < *size ? left : *size;
	return r->start + (backing.at - r->backing.at);
}

uint64_t sev_spa_of(struct sev_platform *secure, const void *owner, uintptr_t host, uint64_t *size)
{
	uint64_t run = *size, spa;

	pthread_mutex_lock(&secure->lock);
	spa = address_of(secure, owner, host, &run);
	while (spa && run < *size) {
		uint64_t more = *size - run;

		if (address_of(secure, owner, host + run, &more) != spa + run)
			break;
		run += more;
	}
	pthread_mutex_unlock(&secure->lock);
	*size = spa ? run : 0;
	return spa;
}

void sev_spa_forget(struct sev_platform *secure, const void *owner)
{
	struct sev_spa_range **at = &secure->spa_ranges;

	pthread_mutex_lock(&secure->lock);
	while (*at) {
		struct sev_spa_range *r = *at;

		if (r->owner != owner) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		free(r);
	}
	pthread_mutex_unlock(&secure->lock);
}

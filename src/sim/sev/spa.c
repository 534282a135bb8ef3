/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spa: system physical addresses. Memory encryption ties ciphertext to the physical address of its frame
 * (APM 2, 15.34.1): the same bytes at another address are other ciphertext. The platform has no frames, only
 * the VMM's mappings. So it invents addresses: each encryption context (the owner) has ranges of frames, and
 * each range stands for a piece of the VMM's memory:
 *
 *     owner     the VMM's memory       frames
 *     guest A   slot 0, 2 MiB          1_0000_0000 to 1_001f_ffff   a slot lies together
 *     guest A   slot 1, 4 MiB          1_0020_0000 to 1_005f_ffff
 *     guest B   slot 0, 2 MiB          1_0060_0000 to 1_007f_ffff   other frames, even for the same memory
 *     a VMSA    its own page           1_0080_0000 to 1_0080_0fff
 *
 * A mirror has the owner of its original, so both read the same bytes. A range begins at the lowest place
 * that has room. So the same calls give the same addresses in every run, wherever the VMM's memory lies, and
 * ciphertext can be compared between runs. The functions take sev_platform.lock; any thread may call.
 */
#include "spa.h"

#define SPA_FIRST  (UINT64_C(1) << 32) /* addresses below are those of the firmware and of devices */
#define LARGE_PAGE (UINT64_C(1) << 21) /* a range of at least that size begins at a multiple of it */

/* The list is sorted by start. The ranges of one owner do not overlap in host, either. */
struct sev_spa_range {
	struct sev_spa_range *next;
	uint64_t start, size;
	const void *owner;
	uintptr_t host;
};

static uint64_t align_up(uint64_t address, uint64_t size)
{
	uint64_t unit = size >= LARGE_PAGE ? LARGE_PAGE : PAGE_SIZE_BYTES;

	return (address + unit - 1) & ~(unit - 1);
}

static bool take(struct sev_platform *secure, const void *owner, uintptr_t host, uint64_t size)
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
	*range = (struct sev_spa_range){*at, start, size, owner, host};
	*at = range;
	return true;
}

/* Returns the owner's range that holds host, or else the next one above; NULL if there is none. */
static const struct sev_spa_range *find(const struct sev_platform *secure, const void *owner, uintptr_t host)
{
	const struct sev_spa_range *found = NULL;

	for (const struct sev_spa_range *r = secure->spa_ranges; r; r = r->next) {
		if (r->owner == owner && host < r->host + r->size && (!found || r->host < found->host))
			found = r;
	}
	return found;
}

bool sev_spa_place(struct sev_platform *secure, const void *owner, uintptr_t host, uint64_t size)
{
	uintptr_t at = host & ~(uintptr_t)(PAGE_SIZE_BYTES - 1);
	uintptr_t end = (uintptr_t)align_up(host + size, PAGE_SIZE_BYTES);
	bool ok = true;

	pthread_mutex_lock(&secure->lock);
	while (ok && at < end) {
		const struct sev_spa_range *r = find(secure, owner, at);

		if (r && r->host <= at) {
			at = r->host + r->size;
			continue;
		}
		ok = take(secure, owner, at, (r && r->host < end ? r->host : end) - at);
	}
	pthread_mutex_unlock(&secure->lock);
	return ok;
}

/* Returns 0 if the owner has nothing at host. */
static uint64_t address_of(const struct sev_spa_range *r, uintptr_t host)
{
	return r && r->host <= host ? r->start + (host - r->host) : 0;
}

uint64_t sev_spa_of(struct sev_platform *secure, const void *owner, uintptr_t host, uint64_t *size)
{
	uint64_t spa, run;

	pthread_mutex_lock(&secure->lock);
	spa = address_of(find(secure, owner, host), host);
	for (run = 0; spa && run < *size;) {
		const struct sev_spa_range *r = find(secure, owner, host + run);

		if (address_of(r, host + run) != spa + run)
			break;
		run = r->host + r->size - host;
	}
	pthread_mutex_unlock(&secure->lock);
	*size = run < *size ? run : *size;
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

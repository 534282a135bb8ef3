/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages: the cache of decrypted pages of one encryption context (pages.c explains). sev_decrypted.lock is
 * held for every function here.
 */
#ifndef SEV_PAGES_H
#define SEV_PAGES_H

#include "decrypted.h"
#include "frames.h"

#define SEV_PAGES_TABLE 2048u /* a power of two */
#define SEV_PRINT_KEYS  8u
#define SEV_AREAS       512u

struct sev_page {
	struct sev_page *next; /* in its chain of the table */
	struct sev_page *older,
	        *newer; /* in the list of idle pages: those that are idle for longer, and less */
	uintptr_t host; /* its address in the VMM */
	uint64_t spa;   /* the cipher ties bytes to it */
	uint64_t print; /* of the ciphertext that plain belongs to */
	uint8_t *plain;
	uint8_t *cipher; /* while there are writers: the ciphertext that plain belonged to at first */
	unsigned holders, writers; /* vCPUs that use plain, and that write it */
	bool is_new;               /* nothing was decrypted for it yet */
	/* The vCPU that looked at the ciphertext last, in that turn of its, and its struct sev_held. */
	const struct sev_vcpu *looker;
	uint64_t turn;
	unsigned at;
};

/* 2 MiB of the VMM's memory. */
struct sev_area {
	uint64_t number; /* its address / 2 MiB; 0: none */
	uint32_t pieces; /* a bit for each 64 KiB; those that were written have it */
	bool is_huge;    /* the kernel was asked for a huge page */
};

struct sev_decrypted {
	pthread_mutex_t lock;
	unsigned refs;
	struct sev_platform *secure;
	const struct psp_cipher *cipher; /* NULL: there is no key */
	uint64_t print_keys[SEV_PRINT_KEYS];
	/* Where run_size bytes from run_host on have their frames, as far as was looked up; 0: nothing is
	 * known. */
	uintptr_t run_host;
	uint64_t run_size, run_spa;
	struct sev_page *table[SEV_PAGES_TABLE]; /* by hash of spa */
	struct sev_page idle;                    /* the ends of the list of idle pages */
	size_t frame_count;                      /* of frames that pages have */
	struct sev_frames frames;
	struct sev_area areas[SEV_AREAS]; /* by number: the latest of them */
	uint64_t turns;                   /* of all its vCPUs so far */
	_Atomic uint64_t settles;         /* how often a page of the cache was used without the C-bit */
};

/* Looks up again where pages have their frames, since the VMM may have mapped others there. */
void sev_page_forget_frames(struct sev_decrypted *m);
/* Returns the address of the frame of the page at host, in the slot. 0: no memory is left. */
uint64_t sev_page_frame(struct sev_decrypted *m, const struct cpu_slot *slot, uintptr_t host);
/*
 * Has the kernel make the pages around host, in the slot, if this is the first write there: one call for
 * several pages takes less time than a fault for each of them.
 */
void sev_page_populate(struct sev_decrypted *m, const struct cpu_slot *slot, uintptr_t host);
/* Returns the page with that frame, NULL if it is not in the cache. */
struct sev_page *sev_page_find(const struct sev_decrypted *m, uint64_t spa);
/*
 * Returns the page with that frame, which is at host, with the plaintext of what is there now. An idle page
 * may leave the cache for it. To write it, the caller is counted as one who does, up to sev_page_end_write().
 * NULL: the VMM's memory is missing, or no memory is left.
 */
struct sev_page *sev_page_get(struct sev_decrypted *m, uint64_t spa, uintptr_t host, bool write);
/* Counts a vCPU that uses the page, which stays in the cache until sev_page_drop(). */
void sev_page_hold(struct sev_decrypted *m, struct sev_page *page);
void sev_page_drop(struct sev_decrypted *m, struct sev_page *page);
/* The vCPU does not write the page any more: writes back. Without a key what was written is lost. */
void sev_page_end_write(struct sev_decrypted *m, struct sev_page *page);
/* Encrypts a page that has writers, and writes those blocks to the VMM's memory that they changed. */
void sev_page_write_back(const struct sev_decrypted *m, struct sev_page *page);

#endif

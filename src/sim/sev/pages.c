/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages: the cache of decrypted pages. It is bounded: it holds the pages that vCPUs use at the moment, and
 * idle ones up to a limit, of which the one that is idle for the longest leaves for another. A page that
 * left is decrypted again when it is touched.
 *
 *     touch:  the ciphertext's fingerprint is that of page.print? -- yes --> page.plain is right
 *                |                                                  no ----> decrypted anew
 *     write:  page.cipher keeps the ciphertext as it was
 *     end:    page.plain is encrypted; the blocks that are not those of page.cipher are the guest's work, and
 *             go to the VMM's memory; the others may be the VMM's work, and are left alone
 *
 * The ciphertext of a page that nobody writes has no copy here. Its fingerprint is a hash of 64 bits, whose
 * key follows from the guest's. So nobody can make a page that is taken for another one, and a guest that
 * gets another key gets its pages decrypted anew.
 *
 * Law: APM 2, 15.34.5 to 15.34.9.
 */
#include <string.h>
#include <sys/mman.h>

#include "cpu/ram.h"
#include "pages.h"
#include "spa.h"

#define BLOCK 16u

/*
 * While pages have so many frames, idle pages leave the cache. A page has one frame for its plaintext, and
 * one for a copy of its ciphertext while somebody writes it.
 */
#define FRAMES_MAX 1536u

#define PIECE_BYTES (16 * PAGE_SIZE_BYTES)
#define AREA_BYTES  (32 * (uintptr_t)PIECE_BYTES)
#define AREA_FULL   32 /* pieces */

/* ---- the context ---- */

struct sev_decrypted *sev_decrypted_create(struct sev_platform *secure)
{
	struct sev_decrypted *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->refs = 1;
	m->secure = secure;
	m->idle.older = m->idle.newer = &m->idle;
	pthread_mutex_init(&m->lock, NULL);
	return m;
}

struct sev_decrypted *sev_decrypted_share(struct sev_decrypted *m)
{
	pthread_mutex_lock(&m->lock);
	m->refs++;
	pthread_mutex_unlock(&m->lock);
	return m;
}

static void destroy(struct sev_decrypted *m)
{
	sev_spa_forget(m->secure, m);
	for (size_t i = 0; i < SEV_PAGES_TABLE; i++) {
		while (m->table[i]) {
			struct sev_page *page = m->table[i];

			m->table[i] = page->next;
			free(page);
		}
	}
	sev_frames_finish(&m->frames);
	pthread_mutex_destroy(&m->lock);
	crypto_wipe(m, sizeof(*m));
	free(m);
}

void sev_decrypted_unref(struct sev_decrypted *m)
{
	bool last;

	if (!m)
		return;
	pthread_mutex_lock(&m->lock);
	last = --m->refs == 0;
	pthread_mutex_unlock(&m->lock);
	if (last)
		destroy(m);
}

/* No guest has memory at address 0, so nobody else sees the ciphertext that belongs there. */
void sev_decrypted_set_cipher(struct sev_decrypted *m, const struct psp_cipher *cipher)
{
	static const uint64_t zeros[SEV_PRINT_KEYS];

	pthread_mutex_lock(&m->lock);
	m->cipher = cipher;
	if (cipher)
		psp_encrypt(cipher, 0, zeros, m->print_keys, sizeof(m->print_keys));
	pthread_mutex_unlock(&m->lock);
}

/* ---- fingerprints ---- */

static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Four sums that do not wait for each other, since a processor multiplies several numbers at a time. */
static uint64_t fingerprint(const struct sev_decrypted *m, const uint8_t *cipher)
{
	const uint64_t *key = m->print_keys;
	uint64_t sums[4] = {0}, print = 0;

	for (const uint8_t *at = cipher; at < cipher + PAGE_SIZE_BYTES; at += 4 * BLOCK)
		for (unsigned i = 0; i < 4; i++)
			sums[i] = fold(ram_load(at + i * BLOCK, 8) ^ key[2 * i],
			        ram_load(at + i * BLOCK + 8, 8) ^ key[2 * i + 1] ^ sums[i]);
	for (unsigned i = 0; i < 4; i++)
		print = fold(print ^ sums[i] ^ key[2 * i], key[2 * i + 1]);
	return print;
}

/* ---- the table, and the list of idle pages ---- */

static struct sev_page **chain_of(const struct sev_decrypted *m, uint64_t spa)
{
	size_t i = (size_t)(spa / PAGE_SIZE_BYTES * UINT64_C(0x9e3779b97f4a7c15) >> 32) % SEV_PAGES_TABLE;

	return (struct sev_page **)(uintptr_t)&m->table[i];
}

struct sev_page *sev_page_find(const struct sev_decrypted *m, uint64_t spa)
{
	struct sev_page *page = *chain_of(m, spa);

	while (page && page->spa != spa)
		page = page->next;
	return page;
}

static void table_add(struct sev_decrypted *m, struct sev_page *page)
{
	struct sev_page **at = chain_of(m, page->spa);

	page->next = *at;
	*at = page;
}

static void table_remove(struct sev_decrypted *m, const struct sev_page *page)
{
	struct sev_page **at = chain_of(m, page->spa);

	while (*at != page)
		at = &(*at)->next;
	*at = page->next;
}

static void idle_add(struct sev_decrypted *m, struct sev_page *page)
{
	page->older = m->idle.older;
	page->newer = &m->idle;
	page->older->newer = m->idle.older = page;
}

static void idle_remove(struct sev_page *page)
{
	page->older->newer = page->newer;
	page->newer->older = page->older;
}

/* ---- pages ---- */

/* Takes the page that is idle for the longest out of the cache if that is full. Returns NULL if not. */
static struct sev_page *evict(struct sev_decrypted *m)
{
	struct sev_page *page = m->idle.newer;

	if (m->frame_count < FRAMES_MAX || page == &m->idle)
		return NULL;
	idle_remove(page);
	table_remove(m, page);
	page->looker = NULL;
	return page;
}

/* Returns a frame that the caller fills, NULL if no memory is left. */
static uint8_t *frame_take(struct sev_decrypted *m)
{
	struct sev_page *page = evict(m);
	uint8_t *frame = page ? page->plain : sev_frame_take(&m->frames);

	m->frame_count += !page && frame;
	free(page);
	return frame;
}

static void frame_put(struct sev_decrypted *m, uint8_t *frame)
{
	sev_frame_put(&m->frames, frame);
	m->frame_count--;
}

/* Returns a page that is in no list, NULL if no memory is left. */
static struct sev_page *take(struct sev_decrypted *m)
{
	struct sev_page *page = evict(m);

	if (page)
		return page;
	page = calloc(1, sizeof(*page));
	if (!page)
		return NULL;
	page->plain = frame_take(m);
	if (!page->plain) {
		free(page);
		return NULL;
	}
	return page;
}

void sev_page_forget_frames(struct sev_decrypted *m)
{
	m->run_size = 0;
}

/* Looks up the frames from `from` on, in the slot. Returns whether that of host is among them. */
static bool run_find(struct sev_decrypted *m, const struct cpu_slot *slot, uintptr_t from, uintptr_t host)
{
	m->run_host = from;
	m->run_size = slot->size - (from - (uintptr_t)slot->host);
	m->run_spa = sev_spa_of(m->secure, m, from, &m->run_size);
	return host - from < m->run_size;
}

/* Most often a slot lies together, and has frames already. */
uint64_t sev_page_frame(struct sev_decrypted *m, const struct cpu_slot *slot, uintptr_t host)
{
	uintptr_t start = (uintptr_t)slot->host;

	if (host - m->run_host < m->run_size)
		return m->run_spa + (host - m->run_host);
	if (run_find(m, slot, start, host) || run_find(m, slot, host, host))
		return m->run_spa + (host - m->run_host);
	if (!sev_spa_place(m->secure, m, start, slot->size))
		return 0;
	if (run_find(m, slot, start, host) || run_find(m, slot, host, host))
		return m->run_spa + (host - m->run_host);
	return 0;
}

static struct sev_area *area_of(struct sev_decrypted *m, uint64_t number)
{
	return &m->areas[number % SEV_AREAS];
}

static bool is_full(struct sev_decrypted *m, uint64_t number)
{
	const struct sev_area *area = area_of(m, number);

	return area->number == number && __builtin_popcount(area->pieces) >= AREA_FULL;
}

/* Asks for a huge page where the guest is likely to write all of it, since it did so right before. */
static bool make_huge(struct sev_decrypted *m, const struct cpu_slot *slot, uint64_t number)
{
	uintptr_t start = number * AREA_BYTES, offset = start - (uintptr_t)slot->host;

	return is_full(m, number - 1) && offset < slot->size && slot->size - offset >= AREA_BYTES &&
	       madvise((void *)start, AREA_BYTES, MADV_HUGEPAGE) == 0;
}

/* Where a call fails, the write itself says what is wrong. */
void sev_page_populate(struct sev_decrypted *m, const struct cpu_slot *slot, uintptr_t host)
{
	uint64_t number = host / AREA_BYTES;
	struct sev_area *area = area_of(m, number);
	uint32_t bit = UINT32_C(1) << host / PIECE_BYTES % 32;
	uintptr_t start = host & ~(uintptr_t)(PIECE_BYTES - 1), end = start + PIECE_BYTES;
	uintptr_t slot_start = (uintptr_t)slot->host, slot_end = slot_start + slot->size;

	if (area->number != number)
		*area = (struct sev_area){.number = number};
	if (slot->flags & CPU_SLOT_READONLY || area->pieces & bit)
		return;
	if (!area->pieces)
		area->is_huge = make_huge(m, slot, number);
	area->pieces |= bit;
	if (area->is_huge)
		return;
	start = start > slot_start ? start : slot_start;
	end = end < slot_end ? end : slot_end;
	madvise((void *)start, end - start, MADV_POPULATE_WRITE);
}

void sev_page_hold(struct sev_decrypted *m, struct sev_page *page)
{
	if (!page->holders++)
		idle_remove(page);
}

void sev_page_drop(struct sev_decrypted *m, struct sev_page *page)
{
	if (!--page->holders)
		idle_add(m, page);
}

static bool block_equal(const uint8_t *a, const uint8_t *b)
{
	return ram_load(a, 8) == ram_load(b, 8) && ram_load(a + 8, 8) == ram_load(b + 8, 8);
}

static void decrypt(const struct sev_decrypted *m, struct sev_page *page, const uint8_t *raw, uint64_t print)
{
	psp_decrypt(m->cipher, page->spa, raw, page->plain, PAGE_SIZE_BYTES);
	page->print = print;
	page->is_new = false;
}

/* Decrypts those blocks that somebody else wrote meanwhile: the VMM, or the guest without the C-bit. */
static void merge(const struct sev_decrypted *m, struct sev_page *page, const uint8_t *raw)
{
	uint8_t plain[PAGE_SIZE_BYTES];

	psp_decrypt(m->cipher, page->spa, raw, plain, sizeof(plain));
	for (unsigned at = 0; at < PAGE_SIZE_BYTES; at += BLOCK) {
		if (!block_equal(raw + at, page->cipher + at))
			ram_copy(page->plain + at, plain + at, BLOCK);
	}
	memcpy(page->cipher, raw, PAGE_SIZE_BYTES);
	crypto_wipe(plain, sizeof(plain));
}

struct look {
	const struct sev_decrypted *m;
	const struct sev_page *page;
	bool same;
};

/* Finds out whether the ciphertext is still the one that plain belongs to. Nothing is copied for that. */
static void look(uint8_t *cipher, void *arg)
{
	struct look *l = arg;

	l->same = l->page->writers ? ram_equal(cipher, l->page->cipher, PAGE_SIZE_BYTES)
	                           : fingerprint(l->m, cipher) == l->page->print;
}

/* Makes plain right. False: the VMM's memory is missing. */
static bool refresh(struct sev_decrypted *m, struct sev_page *page)
{
	struct look l = {.m = m, .page = page};
	uint8_t raw[PAGE_SIZE_BYTES];

	if (!page->is_new && !cpu_ram_try((void *)page->host, PAGE_SIZE_BYTES, look, &l))
		return false;
	if (l.same)
		return true;
	if (!cpu_ram_try_read(raw, (const void *)page->host, sizeof(raw)))
		return false;
	if (page->writers)
		merge(m, page, raw);
	else
		decrypt(m, page, raw, fingerprint(m, raw));
	return true;
}

/* Lets plain be written, and makes it right. False: the VMM's memory is missing, or no memory is left. */
static bool refresh_to_write(struct sev_decrypted *m, struct sev_page *page)
{
	uint8_t *cipher;
	uint64_t print;

	sev_page_hold(m, page); /* so it stays in the cache, whatever leaves for the frame */
	cipher = frame_take(m);
	sev_page_drop(m, page);
	if (!cipher)
		return false;
	if (!cpu_ram_try_read(cipher, (const void *)page->host, PAGE_SIZE_BYTES)) {
		frame_put(m, cipher);
		return false;
	}
	print = fingerprint(m, cipher);
	if (page->is_new || print != page->print)
		decrypt(m, page, cipher, print);
	page->cipher = cipher;
	return true;
}

static struct sev_page *make(struct sev_decrypted *m, uint64_t spa)
{
	struct sev_page *page = take(m);

	if (!page)
		return NULL;
	page->spa = spa;
	page->is_new = true;
	table_add(m, page);
	idle_add(m, page);
	return page;
}

struct sev_page *sev_page_get(struct sev_decrypted *m, uint64_t spa, uintptr_t host, bool write)
{
	struct sev_page *page = sev_page_find(m, spa);
	bool first;

	if (!page)
		page = make(m, spa);
	if (!page)
		return NULL;
	page->host = host;
	first = write && !page->writers;
	if (!(first ? refresh_to_write(m, page) : refresh(m, page)))
		return NULL;
	page->writers += write;
	return page;
}

void sev_page_end_write(struct sev_decrypted *m, struct sev_page *page)
{
	if (m->cipher)
		sev_page_write_back(m, page);
	if (--page->writers)
		return;
	page->print = fingerprint(m, page->cipher);
	frame_put(m, take_ptr(&page->cipher));
}

/* Returns how many bytes from there on lie in blocks that differ. */
static unsigned changed_bytes(const uint8_t *a, const uint8_t *b, unsigned at)
{
	unsigned size = 0;

	while (at + size < PAGE_SIZE_BYTES && !block_equal(a + at + size, b + at + size))
		size += BLOCK;
	return size;
}

/*
 * If the VMM's memory cannot be written, the bytes stay in plain, and are right for as long as that memory
 * does not change and the page stays in the cache.
 */
void sev_page_write_back(const struct sev_decrypted *m, struct sev_page *page)
{
	uint8_t now[PAGE_SIZE_BYTES];

	psp_encrypt(m->cipher, page->spa, page->plain, now, sizeof(now));
	for (unsigned at = 0, size; at < sizeof(now); at += size + BLOCK) {
		size = changed_bytes(now, page->cipher, at);
		if (size && cpu_ram_try_write((uint8_t *)page->host + at, now + at, size))
			memcpy(page->cipher + at, now + at, size);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decrypted: guest memory as the guest sees it. For a guest of SEV or SEV-ES the VMM's mapping holds
 * ciphertext. The processors could decrypt at each access, but that would be slow. So a page that a
 * processor touches with the C-bit is decrypted into a copy, as a line of a cache is, and all accesses go to
 * the copy:
 *
 *      the VMM's mapping            struct decrypted_page
 *     +--------------+   touch   +----------------------------------------------+
 *     | ciphertext   | --------> | plain:  what vCPUs that hold it read, write  |
 *     |              | <-------- | cipher: the ciphertext in the mapping that   |
 *     +--------------+  release  |         plain belongs to                     |
 *                                +----------------------------------------------+
 *
 * - Touch (on_view()): if the mapping no longer equals cipher, somebody wrote to it, and the blocks of 16
 *   bytes that differ are decrypted anew. Then the vCPU holds the page.
 * - Release (sev_decrypted_release()): when a vCPU forgets its translations, or the VMM gets the vCPU back,
 *   the pages that it wrote are encrypted, and the blocks that differ from cipher go to the mapping. So the
 *   VMM finds the right ciphertext whenever it may look.
 * - A page is tied to its system physical address (spa.c), as real ciphertext is.
 *
 * For SEV-SNP there is no copy: a private page is plain in the guest_memfd, of which the VMM has no address.
 *
 * Runs on the vCPU's thread; struct sev_decrypted has a lock of its own, since vCPUs and mirrors share it.
 * Law: APM 2, 15.34.5 to 15.34.9, 15.36.
 */
#include <string.h>

#include "cpu/ram.h"
#include "decrypted.h"
#include "kvm/gmem.h"
#include "spa.h"

#define BLOCK        16u
#define PAGES_FIRST  1024u
#define HELD_FIRST   64u
#define CHUNK_PAGES  256u
#define HELD_WRITTEN 1u

/* A page that was touched. It stays as long as the guest, so the guest's memory limits how many there are. */
struct decrypted_page {
	uintptr_t host; /* its address in the VMM */
	uint64_t spa;   /* the cipher ties bytes to it */
	uint8_t *plain;
	uint8_t *cipher;               /* the ciphertext in the VMM's memory that plain belongs to */
	const struct sev_vcpu *holder; /* the vCPU that held it last, in that epoch of the vCPU */
	uint64_t epoch;
	bool written;
};

struct sev_decrypted {
	pthread_mutex_t lock;
	unsigned refs;
	struct sev_platform *secure;
	const struct psp_cipher *cipher;
	struct decrypted_page **pages; /* a hash table of a power of two */
	size_t room, count;
	uint8_t *chunk; /* of mapped memory, from which pages are made */
	size_t chunk_left;
	uint8_t **chunks;
	size_t chunks_count;
};

#define CHUNK_BYTES ((size_t)CHUNK_PAGES * 2 * PAGE_SIZE_BYTES)

struct sev_decrypted *sev_decrypted_create(struct sev_platform *secure)
{
	struct sev_decrypted *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->refs = 1;
	m->secure = secure;
	m->room = PAGES_FIRST;
	m->pages = calloc(m->room, sizeof(struct decrypted_page *));
	if (!m->pages) {
		free(m);
		return NULL;
	}
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
	for (size_t i = 0; i < m->room; i++)
		free(m->pages[i]);
	for (size_t i = 0; i < m->chunks_count; i++) {
		crypto_wipe(m->chunks[i], CHUNK_BYTES);
		munmap(m->chunks[i], CHUNK_BYTES);
	}
	free((void *)m->chunks);
	free((void *)m->pages);
	pthread_mutex_destroy(&m->lock);
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

void sev_decrypted_set_cipher(struct sev_decrypted *m, const struct psp_cipher *cipher)
{
	pthread_mutex_lock(&m->lock);
	m->cipher = cipher;
	pthread_mutex_unlock(&m->lock);
}

/* ---- pages ---- */

static size_t place(const struct sev_decrypted *m, uintptr_t host)
{
	size_t i = (size_t)((host / PAGE_SIZE_BYTES) * UINT64_C(0x9e3779b97f4a7c15) >> 20);

	for (i &= m->room - 1; m->pages[i] && m->pages[i]->host != host;)
		i = (i + 1) & (m->room - 1);
	return i;
}

static bool grow(struct sev_decrypted *m)
{
	struct decrypted_page **old = m->pages;
	size_t old_room = m->room;

	m->pages = calloc(2 * old_room, sizeof(struct decrypted_page *));
	if (!m->pages) {
		m->pages = old;
		return false;
	}
	m->room = 2 * old_room;
	for (size_t i = 0; i < old_room; i++) {
		if (old[i])
			m->pages[place(m, old[i]->host)] = old[i];
	}
	free((void *)old);
	return true;
}

/* Takes memory for two pages, plain and cipher. */
static uint8_t *take_memory(struct sev_decrypted *m)
{
	if (!m->chunk_left) {
		uint8_t **chunks = reallocarray((void *)m->chunks, m->chunks_count + 1, sizeof(*chunks));
		void *chunk;

		if (!chunks)
			return NULL;
		m->chunks = chunks;
		chunk = mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (chunk == MAP_FAILED)
			return NULL;
		madvise(chunk, CHUNK_BYTES, MADV_DONTDUMP);
		m->chunks[m->chunks_count++] = m->chunk = chunk;
		m->chunk_left = CHUNK_PAGES;
	}
	m->chunk_left--;
	m->chunk += 2 * (size_t)PAGE_SIZE_BYTES;
	return m->chunk - 2 * (size_t)PAGE_SIZE_BYTES;
}

/* Decrypts anew what changed in the VMM's memory: the VMM wrote it, or the guest did without the C-bit. */
static void refresh(const struct sev_decrypted *m, struct decrypted_page *page, const uint8_t *raw)
{
	if (memcmp(raw, page->cipher, PAGE_SIZE_BYTES) == 0)
		return;
	for (unsigned at = 0; at < PAGE_SIZE_BYTES; at += BLOCK) {
		if (memcmp(raw + at, page->cipher + at, BLOCK) == 0)
			continue;
		memcpy(page->cipher + at, raw + at, BLOCK);
		psp_decrypt(m->cipher, page->spa + at, page->cipher + at, page->plain + at, BLOCK);
	}
}

static bool fill(
        struct sev_decrypted *m, const struct cpu_slot *slot, struct decrypted_page *page, const uint8_t *raw)
{
	uint64_t size = PAGE_SIZE_BYTES;

	if (!sev_spa_place(m->secure, m, (uintptr_t)slot->host, slot->size))
		return false;
	page->spa = sev_spa_of(m->secure, m, page->host, &size);
	page->plain = take_memory(m);
	if (!page->plain)
		return false;
	page->cipher = page->plain + PAGE_SIZE_BYTES;
	memcpy(page->cipher, raw, PAGE_SIZE_BYTES);
	psp_decrypt(m->cipher, page->spa, page->cipher, page->plain, PAGE_SIZE_BYTES);
	return true;
}

/*
 * Returns the page for host, which it makes if there is none. raw: the bytes of the VMM's memory at host.
 * Returns NULL if no memory is left.
 */
static struct decrypted_page *find(
        struct sev_decrypted *m, const struct cpu_slot *slot, uintptr_t host, const uint8_t *raw)
{
	size_t at = place(m, host);
	struct decrypted_page *page = m->pages[at];

	if (page)
		return page;
	if (2 * m->count >= m->room && grow(m))
		at = place(m, host);
	page = m->count + 1 < m->room ? calloc(1, sizeof(*page)) : NULL;
	if (!page)
		return NULL;
	page->host = host;
	if (!fill(m, slot, page, raw)) {
		free(page);
		return NULL;
	}
	m->pages[at] = page;
	m->count++;
	return page;
}

/* ---- what a vCPU holds ---- */

static bool is_held(const struct decrypted_page *page, const struct sev_vcpu *s)
{
	return page->holder && page->holder == s && page->epoch == s->epoch;
}

static bool hold(struct sev_vcpu *s, struct decrypted_page *page, bool written)
{
	if (is_held(page, s) && (page->written || !written))
		return true;
	if (s->held_count == s->held_room) {
		unsigned room = s->held_room ? 2 * s->held_room : HELD_FIRST;
		uintptr_t *held = reallocarray(s->held, room, sizeof(*held));

		if (!held)
			return false;
		s->held = held;
		s->held_room = room;
	}
	s->held[s->held_count++] = (uintptr_t)page | (written ? HELD_WRITTEN : 0);
	page->holder = s;
	page->epoch = s->epoch;
	page->written = written;
	return true;
}

/*
 * Decrypts the page at host and lets the vCPU hold it. *ret_plain is NULL if there is no key or no memory.
 * sev_decrypted.lock is held.
 */
static enum cpu_view view_private(
        struct kvm_vcpu *v, const struct cpu_slot *slot, uintptr_t host, bool write, uint8_t **ret_plain)
{
	struct sev_decrypted *m = v->vm->sev->memory;
	struct decrypted_page *page;
	uint8_t raw[PAGE_SIZE_BYTES];

	*ret_plain = NULL;
	if (!m->cipher)
		return CPU_VIEW_GOOD;
	if ((write && !cpu_ram_try_touch((void *)host)) ||
	        !cpu_ram_try_read(raw, (const void *)host, sizeof(raw)))
		return CPU_VIEW_MISSING;
	page = find(m, slot, host, raw);
	if (page && !is_held(page, v->sev))
		refresh(m, page, raw);
	if (page && hold(v->sev, page, write))
		*ret_plain = page->plain;
	return CPU_VIEW_GOOD;
}

/*
 * Encrypts the page and writes the blocks that changed. If the VMM's memory cannot be written, the bytes
 * stay in plain, and are right for as long as that memory does not change.
 */
static void write_back(const struct sev_decrypted *m, struct decrypted_page *page)
{
	uint8_t now[PAGE_SIZE_BYTES];

	psp_encrypt(m->cipher, page->spa, page->plain, now, PAGE_SIZE_BYTES);
	for (unsigned at = 0; at < PAGE_SIZE_BYTES; at += BLOCK) {
		unsigned size = 0;

		while (at + size < PAGE_SIZE_BYTES &&
		        memcmp(now + at + size, page->cipher + at + size, BLOCK) != 0)
			size += BLOCK;
		if (!size || !cpu_ram_try_write((uint8_t *)page->host + at, now + at, size))
			continue;
		memcpy(page->cipher + at, now + at, size);
		at += size - BLOCK;
	}
}

/*
 * Prepares a page for use without the C-bit. The bytes that processors wrote with the C-bit are written back
 * first, so that they do not later overwrite bytes that are written without it. Real processors keep both
 * views coherent (CPUID 8000_001F EAX[10]). sev_decrypted.lock is held.
 */
static void settle(struct sev_decrypted *m, uintptr_t host)
{
	struct decrypted_page *page = m->cipher ? m->pages[place(m, host)] : NULL;

	if (page)
		write_back(m, page);
}

static void release(struct kvm_vcpu *v)
{
	struct sev_decrypted *m = v->vm->sev->memory;
	struct sev_vcpu *s = v->sev;

	if (!m || !s->held_count)
		return;
	pthread_mutex_lock(&m->lock);
	/* A guest whose start was undone has no key any more, so what it wrote is dropped. */
	for (unsigned i = 0; m->cipher && i < s->held_count; i++) {
		if (s->held[i] & HELD_WRITTEN)
			write_back(m, (struct decrypted_page *)(s->held[i] & ~(uintptr_t)HELD_WRITTEN));
	}
	s->held_count = 0;
	s->epoch++;
	pthread_mutex_unlock(&m->lock);
}

void sev_decrypted_release(struct kvm_vcpu *v)
{
	if (!v->sev->held_count)
		return;
	release(v);
	cpu_post(v->cpu, CPU_PENDING_FLUSH);
}

/* ---- the bus ---- */

/*
 * Returns a private page of SEV-SNP, which becomes the guest's when it is first touched. No lock is needed:
 * before a guest_memfd ends, its owner waits until this processor uses another map.
 */
static uint8_t *page_of_gmem(const struct cpu_slot *slot, uint64_t gpa)
{
	uint64_t offset = slot->gmem_offset + (gpa - slot->gpa);

	kvm_gmem_own(slot->gmem, offset);
	return slot->gmem->pages + offset;
}

static enum cpu_view on_view(
        void *ctx, const struct cpu_slot *slot, uint64_t gpa, bool private, bool write, uint8_t **ret_host)
{
	struct kvm_vcpu *v = ctx;
	struct kvm_vm *vm = v->vm;
	enum cpu_view view = CPU_VIEW_GOOD;

	*ret_host = slot ? slot->host + (gpa - slot->gpa) : NULL;
	if (sev_is_snp(vm)) {
		if (private != kvm_vm_page_is_private(vm, gpa) || (private && slot && !slot->gmem))
			return CPU_VIEW_WRONG_KIND;
		if (private && slot)
			*ret_host = page_of_gmem(slot, gpa);
		return CPU_VIEW_GOOD;
	}
	/* In a mirror whose VM is of the type SEV-SNP, KVM treats every access as a shared one. */
	if (kvm_vm_page_is_private(vm, gpa))
		return CPU_VIEW_WRONG_KIND;
	if (!slot)
		return CPU_VIEW_GOOD;
	pthread_mutex_lock(&vm->sev->memory->lock);
	if (private)
		view = view_private(v, slot, (uintptr_t)*ret_host, write, ret_host);
	else
		settle(vm->sev->memory, (uintptr_t)*ret_host);
	pthread_mutex_unlock(&vm->sev->memory->lock);
	return view;
}

static void on_view_end(void *ctx)
{
	struct kvm_vcpu *v = ctx;

	if (v->cpu) /* NULL while the vCPU is being made */
		release(v);
}

void sev_bus_init(struct kvm_vm *vm)
{
	vm->bus.view = on_view;
	vm->bus.view_end = on_view_end;
	vm->bus.c_bit = UINT64_C(1) << sev_platform_of(vm)->c_bit;
	if (kvm_vm_map_publish(vm) < 0)
		log_error("software platform: no memory for a new map of slots, so slots of a guest_memfd "
		          "stay where they are for a plain guest");
}

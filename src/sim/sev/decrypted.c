/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decrypted: guest memory as the guest sees it. For a guest of SEV or SEV-ES the VMM's mapping holds
 * ciphertext. The processors could decrypt at each access, but that would be slow. So a page that a
 * processor touches with the C-bit is decrypted into a cache (pages.c), and all accesses go there:
 *
 *      the VMM's mapping              the cache
 *     +--------------+   touch   +---------------------+
 *     | ciphertext   | --------> | what vCPUs that     |
 *     |              | <-------- | hold it read, write |
 *     +--------------+  release  +---------------------+
 *
 * - Touch (on_view()): the vCPU looks whether somebody wrote to the mapping, and from then on it holds the
 *   page until its turn ends. To write a page, it looks again.
 * - Save (save()): the pages that the vCPU wrote are encrypted, and what changed goes to the mapping. The
 *   processor asks again before it writes more.
 * - Sweep (sweep()): the pages that the vCPU only read may leave the cache, since it holds too many. The
 *   processor asks again for every page, and the vCPU holds it again without a look, if it is still there.
 * - Release (release()): a save, and the end of the turn. The processor asks again for every page.
 *
 * The vCPU releases its pages when the VMM gets it back, before it sleeps, when it takes another map of
 * memory, and when the turn has become old. A guest that loads CR3 or flushes its TLB ends no turn.
 * If several vCPUs use the pages, each of them saves what it wrote between two slices of time (clock.c), once
 * the oldest of that is SAVE_NS old. A slice is shorter than that. So the VMM finds the right ciphertext
 * whenever a vCPU is out of KVM_RUN, and, while all of several run, 1 ms after a write at the latest. What a
 * single vCPU writes while it stays in KVM_RUN is saved when its turn has become old.
 *
 * The same page with the C-bit and without it: real processors keep both coherent (CPUID 8000_001F EAX[10]).
 * Here a vCPU that comes to a page by the other view sees what it wrote by the first one (settle(), and
 * tlb.c, which forgets the translations of the first one). Another vCPU sees it after it forgot its
 * translations, which the guest's kernel has it do, or in its next turn.
 *
 * A page is tied to its system physical address (spa.c), as real ciphertext is.
 *
 * For SEV-SNP there is no copy: a private page is plain in the guest_memfd, of which the VMM has no address.
 *
 * Runs on the vCPU's thread; struct sev_decrypted has a lock of its own, since vCPUs and mirrors share it.
 * Law: APM 2, 15.34.5 to 15.34.9, 15.36.
 */
#include "cpu/ram.h"
#include "kvm/clock.h"
#include "kvm/gmem.h"
#include "pages.h"
#include "rmp.h"

#define HELD_FIRST   64u
#define HELD_MAX     768u               /* pages that a vCPU holds before it sweeps */
#define SAVE_NS      UINT64_C(500000)   /* what was written so long ago is saved after the slice */
#define TURN_NS      UINT64_C(10000000) /* a turn of this length ends with its slice */
#define LONE_TURN_NS UINT64_C(50000000) /* the same, of the only vCPU, which saves nothing before */

/* ---- what a vCPU holds ---- */

static struct sev_seen *seen_of(struct sev_vcpu *s, uintptr_t host)
{
	return &s->seen[host / PAGE_SIZE_BYTES % SEV_SEEN];
}

/* These numbers only grow, so what was seen before one of them grew does not count any more. */
static uint64_t seen_tag(const struct kvm_vcpu *v)
{
	return v->sev->turn + v->sev->sweeps +
	       atomic_load_explicit(&v->vm->sev->memory->settles, memory_order_relaxed);
}

/* Returns the plaintext of a page that the vCPU holds, or NULL if this short memory does not know it. */
static uint8_t *recall(const struct kvm_vcpu *v, uintptr_t host, bool write)
{
	const struct sev_seen *e = seen_of(v->sev, host);

	return e->host == host && e->tag == seen_tag(v) && (e->saves == v->sev->saves || !write) ? e->plain
	                                                                                         : NULL;
}

/*
 * Was the vCPU the last one to look at the page, in this turn, and was the page not used without the C-bit
 * since then?
 */
static bool is_known(const struct sev_page *page, const struct sev_vcpu *s)
{
	return page->looker == s && page->turn == s->turn;
}

/* Does the vCPU also hold the page? */
static bool is_held(const struct sev_page *page, const struct sev_vcpu *s)
{
	return is_known(page, s) && page->at < s->held_count && s->held[page->at].page == page;
}

static bool is_writable(const struct sev_page *page, const struct sev_vcpu *s)
{
	return is_held(page, s) && s->held[page->at].written;
}

static bool make_room(struct sev_vcpu *s)
{
	unsigned room = s->held_room ? 2 * s->held_room : HELD_FIRST;
	struct sev_held *held;

	if (s->held_count < s->held_room)
		return true;
	held = reallocarray(s->held, room, sizeof(*held));
	if (!held)
		return false;
	s->held = held;
	s->held_room = room;
	return true;
}

/* No two turns have the same number, not even those of a vCPU and of a later one at its address. */
static void begin_turn(struct kvm_vcpu *v)
{
	struct sev_vcpu *s = v->sev;

	s->turn = ++v->vm->sev->memory->turns;
	s->turn_ns = kvm_clock_host_ns();
	s->in_turn = true;
}

/* There is room for the page. */
static void hold(struct kvm_vcpu *v, struct sev_page *page)
{
	struct sev_vcpu *s = v->sev;

	if (is_held(page, s))
		return;
	if (!s->in_turn)
		begin_turn(v);
	sev_page_hold(v->vm->sev->memory, page);
	page->looker = s;
	page->turn = s->turn;
	page->at = s->held_count;
	s->held[s->held_count++] = (struct sev_held){.page = page};
	if (s->held_count >= HELD_MAX) {
		s->will_sweep = true;
		cpu_post(v->cpu, CPU_PENDING_FLUSH);
	}
}

static void hold_for_writing(struct kvm_vcpu *v, struct sev_page *page)
{
	struct sev_vcpu *s = v->sev;

	hold(v, page);
	if (!s->has_written)
		s->written_ns = kvm_clock_host_ns();
	s->has_written = s->held[page->at].written = true;
}

/* sev_decrypted.lock is held. */
static void save(struct kvm_vcpu *v)
{
	struct sev_vcpu *s = v->sev;

	for (unsigned i = 0; s->has_written && i < s->held_count; i++) {
		struct sev_held *held = &s->held[i];

		if (!held->written)
			continue;
		sev_page_end_write(v->vm->sev->memory, held->page);
		held->written = false;
	}
	s->saves += s->has_written;
	s->has_written = false;
}

/* Drops the pages that the vCPU does not write. sev_decrypted.lock is held. */
static void drop_unwritten(struct kvm_vcpu *v)
{
	struct sev_vcpu *s = v->sev;
	unsigned kept = 0;

	for (unsigned i = 0; i < s->held_count; i++) {
		struct sev_held held = s->held[i];

		if (!held.written) {
			sev_page_drop(v->vm->sev->memory, held.page);
			continue;
		}
		if (is_known(held.page, s) && held.page->at == i)
			held.page->at = kept;
		s->held[kept++] = held;
	}
	s->held_count = kept;
}

/* The processor has forgotten its translations. */
static void sweep(struct kvm_vcpu *v)
{
	struct sev_decrypted *m = v->vm->sev->memory;
	struct sev_vcpu *s = v->sev;

	if (!m || !s->held_count)
		return;
	pthread_mutex_lock(&m->lock);
	s->will_sweep = false;
	drop_unwritten(v);
	if (s->held_count > HELD_MAX / 2) {
		save(v);
		drop_unwritten(v);
	}
	s->sweeps++;
	pthread_mutex_unlock(&m->lock);
}

static void release(struct kvm_vcpu *v)
{
	struct sev_decrypted *m = v->vm->sev->memory;
	struct sev_vcpu *s = v->sev;

	if (!m || !s->in_turn)
		return;
	pthread_mutex_lock(&m->lock);
	save(v);
	for (unsigned i = 0; i < s->held_count; i++)
		sev_page_drop(m, s->held[i].page);
	s->held_count = 0;
	s->in_turn = s->will_sweep = false;
	s->turn++;
	sev_page_forget_frames(m);
	pthread_mutex_unlock(&m->lock);
}

void sev_decrypted_release(struct kvm_vcpu *v)
{
	if (!v->sev->in_turn)
		return;
	release(v);
	cpu_post(v->cpu, CPU_PENDING_FLUSH);
}

/* Is there no other vCPU that uses these pages? */
static bool is_alone(const struct kvm_vcpu *v)
{
	struct sev_decrypted *m = v->vm->sev->memory;
	bool alone;

	pthread_mutex_lock(&m->lock);
	alone = m->refs == 1 && atomic_load(&v->vm->vcpu_count) == 1;
	pthread_mutex_unlock(&m->lock);
	return alone;
}

static void save_between_slices(struct kvm_vcpu *v)
{
	pthread_mutex_lock(&v->vm->sev->memory->lock);
	save(v);
	pthread_mutex_unlock(&v->vm->sev->memory->lock);
	cpu_tlb_forget_writes(v->cpu);
}

void sev_decrypted_slice(struct kvm_vcpu *v)
{
	struct sev_vcpu *s = v->sev;
	uint64_t now = s->in_turn ? kvm_clock_host_ns() : 0;
	bool is_old = s->in_turn && now - s->turn_ns >= TURN_NS;
	bool must_save = s->has_written && now - s->written_ns >= SAVE_NS;

	if ((!is_old && !must_save) || (now - s->turn_ns < LONE_TURN_NS && is_alone(v)))
		return;
	if (is_old)
		sev_decrypted_release(v);
	else
		save_between_slices(v);
}

/* ---- the two views of a page ---- */

/*
 * Decrypts the page at host and lets the vCPU hold it. The page is missing if there is no key, or no memory
 * for it. sev_decrypted.lock is held.
 */
static enum cpu_view view_private(
        struct kvm_vcpu *v, const struct cpu_slot *slot, uintptr_t host, bool write, uint8_t **ret_plain)
{
	struct sev_decrypted *m = v->vm->sev->memory;
	uint64_t spa = m->cipher ? sev_page_frame(m, slot, host) : 0;
	struct sev_page *page = spa ? sev_page_find(m, spa) : NULL;

	*ret_plain = NULL;
	if (!spa || !make_room(v->sev))
		return CPU_VIEW_MISSING;
	if (page && !write && is_known(page, v->sev)) {
		hold(v, page);
	} else if (!page || !(write ? is_writable(page, v->sev) : is_held(page, v->sev))) {
		page = !write || cpu_ram_try_touch((void *)host) ? sev_page_get(m, spa, host, write) : NULL;
		if (!page)
			return CPU_VIEW_MISSING;
		if (write)
			hold_for_writing(v, page);
		else
			hold(v, page);
	}
	*ret_plain = page->plain;
	*seen_of(v->sev, host) = (struct sev_seen){.host = host,
	        .tag = seen_tag(v),
	        .plain = page->plain,
	        .saves = is_writable(page, v->sev) ? v->sev->saves : SEV_SEEN_READ};
	return CPU_VIEW_GOOD;
}

/*
 * Prepares a page for use without the C-bit. The bytes that processors wrote with the C-bit are written back
 * first, so that they do not later overwrite bytes that are written without it. A later touch with the C-bit
 * looks at the ciphertext again. If nobody looked at it since it was prepared, no vCPU remembers it as one to
 * use with the C-bit, and there is nothing to do. sev_decrypted.lock is held.
 */
static void settle(struct sev_decrypted *m, const struct cpu_slot *slot, uintptr_t host)
{
	struct sev_page *page = m->cipher ? sev_page_find(m, sev_page_frame(m, slot, host)) : NULL;

	if (!page || (!page->writers && !page->looker))
		return;
	if (page->writers)
		sev_page_write_back(m, page);
	page->looker = NULL;
	atomic_fetch_add(&m->settles, 1);
}

void sev_decrypted_settle(struct kvm_vm *vm, const struct cpu_slot *slot, const uint8_t *host)
{
	struct sev_decrypted *m = vm->sev->memory;

	if (!m)
		return;
	pthread_mutex_lock(&m->lock);
	settle(m, slot, (uintptr_t)host);
	pthread_mutex_unlock(&m->lock);
}

static enum cpu_view view(
        struct kvm_vcpu *v, const struct cpu_slot *slot, bool private, bool write, uint8_t **host)
{
	struct sev_decrypted *m = v->vm->sev->memory;
	uintptr_t at = (uintptr_t)*host;
	enum cpu_view view = CPU_VIEW_GOOD;
	uint8_t *plain = private ? recall(v, at, write) : NULL;

	if (plain) {
		*host = plain;
		return CPU_VIEW_GOOD;
	}
	pthread_mutex_lock(&m->lock);
	if (write)
		sev_page_populate(m, slot, at);
	if (private)
		view = view_private(v, slot, at, write, host);
	else
		settle(m, slot, at);
	pthread_mutex_unlock(&m->lock);
	return view;
}

/* ---- the bus ---- */

static enum cpu_view on_view(
        void *ctx, const struct cpu_slot *slot, uint64_t gpa, bool private, bool write, uint8_t **ret_host)
{
	struct kvm_vcpu *v = ctx;
	struct kvm_vm *vm = v->vm;

	*ret_host = slot ? slot->host + (gpa - slot->gpa) : NULL;
	if (sev_is_snp(vm))
		return sev_rmp_view(vm, slot, gpa, private, ret_host);
	/* In a mirror whose VM is of the type SEV-SNP, KVM treats every access as a shared one. */
	if (kvm_vm_page_is_private(vm, gpa))
		return CPU_VIEW_WRONG_KIND;
	return slot ? view(v, slot, private, write, ret_host) : CPU_VIEW_GOOD;
}

/* Is the processor about to take another map? That map stays at least until the processor has taken it. */
static bool map_changes(const struct kvm_vcpu *v)
{
	return atomic_load(&v->vm->bus.map)->generation != v->cpu->map_cached;
}

static void on_view_end(void *ctx)
{
	struct kvm_vcpu *v = ctx;

	if (!v->cpu) /* the vCPU is being made */
		return;
	if (v->sev->will_sweep && !map_changes(v))
		sweep(v);
	else
		release(v);
}

void sev_bus_init(struct kvm_vm *vm)
{
	vm->bus.view = on_view;
	vm->bus.view_end = on_view_end;
	vm->bus.rmp = sev_is_snp(vm) ? sev_rmp_execute : NULL;
	vm->bus.has_rmpquery = sev_hardware_has(sev_platform_of(vm), SEV_HARDWARE_RMPQUERY);
	vm->bus.msr_intercepted = sev_vcpu_msr_intercepted;
	vm->bus.c_bit = UINT64_C(1) << sev_platform_of(vm)->c_bit;
	vm->bus.viewed = true;
	if (kvm_vm_map_publish(vm) < 0)
		log_error("software platform: no memory for a new map of slots, so slots of a guest_memfd "
		          "stay where they are for a plain guest");
}

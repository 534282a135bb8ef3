/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirty: which pages a guest wrote: by bitmap, cleared at once or by the VMM, and by ring.
 */
#include <errno.h>
#include <sys/mman.h>

#include "abi.h"

#define NOWHERE     ((const void *)16)
#define LOGGED      0x100000u /* a second slot */
#define PAGES       256u
#define RING_BYTES  4096u
#define RING_OFFSET ((off_t)KVM_DIRTY_LOG_PAGE_OFFSET * 4096)

struct log {
	struct guest g;
	uint8_t *memory;
	uint64_t bits[PAGES / 64];
};

static void add_slot(struct log *l, uint32_t flags)
{
	const struct kvm_userspace_memory_region region = {.slot = 1,
	        .flags = flags,
	        .guest_phys_addr = LOGGED,
	        .memory_size = PAGES * 4096,
	        .userspace_addr = (uintptr_t)l->memory};

	if (ask(l->g.abi, l->g.vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		give_up("a slot with a log");
}

static void log_open(struct log *l, struct abi *abi, unsigned flags)
{
	guest_open(&l->g, abi, 32, 1, flags);
	l->memory = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (l->memory == MAP_FAILED)
		give_up("memory");
	add_slot(l, KVM_MEM_LOG_DIRTY_PAGES);
}

static void log_close(struct log *l)
{
	guest_close(&l->g);
	munmap(l->memory, PAGES * 4096);
}

static void get_log(struct log *l, const char *when)
{
	const struct kvm_dirty_log ask_log = {.slot = 1, .dirty_bitmap = l->bits};

	memset(l->bits, 0xff, sizeof(l->bits));
	say(ask(l->g.abi, l->g.vm, KVM_GET_DIRTY_LOG, &ask_log), "log %s", when);
	tell("%016llx %016llx %016llx %016llx", (unsigned long long)l->bits[0],
	        (unsigned long long)l->bits[1], (unsigned long long)l->bits[2],
	        (unsigned long long)l->bits[3]);
}

static void clear_log(struct log *l, uint64_t first, uint32_t pages, uint64_t bits)
{
	uint64_t map[4] = {bits, bits, bits, bits};
	const struct kvm_clear_dirty_log clear = {
	        .slot = 1, .first_page = first, .num_pages = pages, .dirty_bitmap = map};

	say(ask(l->g.abi, l->g.vm, KVM_CLEAR_DIRTY_LOG, &clear), "clear %u from %llu", pages,
	        (unsigned long long)first);
}

/* Writes to pages 1, 65 and across 3 and 4, then says so. Reads are left out: KVM may count the first of a
 * page. */
static void write_pages(struct code *c)
{
	set_eax(c, 0x11223344);
	store_eax(c, LOGGED + 0x1000, 4);
	store_eax(c, LOGGED + 65 * 0x1000, 1);
	store_eax(c, LOGGED + 0x3ffe, 4);
	out8(c, 0x90, 1);
}

static void by_bitmap(struct abi *abi)
{
	struct log l;

	tell("-- a bitmap");
	log_open(&l, abi, 0);
	get_log(&l, "at first");
	for (int i = 0; i < 3; i++)
		write_pages(&l.g.code);
	guest_run_once(&l.g, 0);
	get_log(&l, "after writes");
	get_log(&l, "again");
	guest_run_once(&l.g, 0);
	clear_log(&l, 0, 64, 2);
	get_log(&l, "after writes, one cleared");
	l.memory[0x9000] = 1; /* the VMM's writes do not count */
	get_log(&l, "again");
	guest_run_once(&l.g, 0);
	add_slot(&l, 0);
	get_log(&l, "switched off");
	add_slot(&l, KVM_MEM_LOG_DIRTY_PAGES);
	get_log(&l, "switched on");
	log_close(&l);
}

static void set_manual(struct log *l, struct abi *abi, uint64_t flags)
{
	const struct kvm_enable_cap cap = {.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, .args[0] = flags};

	say(ask(abi, l->g.vm, KVM_ENABLE_CAP, &cap), "manual %llu", (unsigned long long)flags);
}

static void by_hand(struct abi *abi)
{
	struct log l;

	tell("-- a bitmap that the VMM clears");
	log_open(&l, abi, 0);
	set_manual(&l, abi, 2);
	set_manual(&l, abi, 5);
	set_manual(&l, abi, 1);
	for (int i = 0; i < 2; i++)
		write_pages(&l.g.code);
	guest_run_once(&l.g, 0);
	get_log(&l, "after writes");
	get_log(&l, "again");
	clear_log(&l, 1, 64, 0);
	clear_log(&l, 64, 65, 0);
	clear_log(&l, 320, 64, 0);
	clear_log(&l, 192, 128, 0);
	clear_log(&l, 0, 64, 0xa);
	clear_log(&l, 64, 192, ~UINT64_C(0));
	get_log(&l, "cleared in part");
	guest_run_once(&l.g, 0);
	get_log(&l, "after writes");
	set_manual(&l, abi, 3);
	add_slot(&l, 0);
	add_slot(&l, KVM_MEM_LOG_DIRTY_PAGES);
	get_log(&l, "all set at first");
	log_close(&l);
}

static void misuse(struct abi *abi)
{
	uint64_t bits[4];
	struct kvm_dirty_log log = {.slot = 0, .dirty_bitmap = bits};
	struct kvm_clear_dirty_log clear = {.slot = 0, .num_pages = 64, .dirty_bitmap = bits};
	struct kvm_enable_cap cap = {.cap = KVM_CAP_DIRTY_LOG_RING};
	static const uint64_t sizes[] = {0, 2048, 5000, 4096 * 3, 1 << 21, 4096, 8192};
	struct log l;
	int vm;

	tell("-- arguments");
	log_open(&l, abi, 0);
	say(ask(abi, l.g.vm, KVM_GET_DIRTY_LOG, &log), "log of a slot without one");
	log.slot = 60000;
	say(ask(abi, l.g.vm, KVM_GET_DIRTY_LOG, &log), "log of slot 60000");
	log.slot = 5;
	say(ask(abi, l.g.vm, KVM_GET_DIRTY_LOG, &log), "log of no slot");
	log = (struct kvm_dirty_log){.slot = 1, .dirty_bitmap = (void *)(uintptr_t)16}; /* NOLINT */
	say(ask(abi, l.g.vm, KVM_GET_DIRTY_LOG, &log), "log into nowhere");
	say(ask(abi, l.g.vm, KVM_CLEAR_DIRTY_LOG, &clear), "clear of a slot without a log");
	clear.slot = 60000;
	say(ask(abi, l.g.vm, KVM_CLEAR_DIRTY_LOG, &clear), "clear of slot 60000");
	clear = (struct kvm_clear_dirty_log){
	        .slot = 1, .num_pages = 64, .dirty_bitmap = (void *)(uintptr_t)16}; /* NOLINT */
	say(ask(abi, l.g.vm, KVM_CLEAR_DIRTY_LOG, &clear), "clear from nowhere");
	say(ask_number(abi, l.g.vm, KVM_RESET_DIRTY_RINGS, 0), "rings without rings");
	cap.args[0] = 4096;
	say(ask(abi, l.g.vm, KVM_ENABLE_CAP, &cap), "a ring after a vcpu");
	log_close(&l);
	vm = ask_number(abi, abi->kvm, KVM_CREATE_VM, 0);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		cap.args[0] = sizes[i];
		say(ask(abi, vm, KVM_ENABLE_CAP, &cap), "a ring of %llu bytes", (unsigned long long)sizes[i]);
	}
	log.slot = 0;
	say(ask(abi, vm, KVM_GET_DIRTY_LOG, &log), "log beside rings");
	clear.slot = 0;
	say(ask(abi, vm, KVM_CLEAR_DIRTY_LOG, &clear), "clear beside rings");
	say(ask_number(abi, vm, KVM_RESET_DIRTY_RINGS, 0), "rings with nothing in them");
	host_close(abi->host, vm);
}

/* ---- the ring ---- */

struct harvest {
	struct kvm_dirty_gfn *ring;
	unsigned at; /* where the next entry comes */
	bool seen[PAGES];
};

/* Takes what is in the ring and gives it back. Returns how many entries there were. */
static unsigned harvest(struct harvest *h, bool quiet)
{
	const unsigned count = RING_BYTES / sizeof(*h->ring);
	unsigned n = 0;

	for (;; h->at++, n++) {
		struct kvm_dirty_gfn *e = &h->ring[h->at % count];

		if (!(__atomic_load_n(&e->flags, __ATOMIC_ACQUIRE) & KVM_DIRTY_GFN_F_DIRTY))
			return n;
		if (!quiet)
			tell("slot %u page %llu", e->slot, (unsigned long long)e->offset);
		h->seen[e->offset % PAGES] = true;
		__atomic_store_n(&e->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
	}
}

static unsigned count_seen(const struct harvest *h)
{
	unsigned n = 0;

	for (size_t i = 0; i < PAGES; i++)
		n += h->seen[i];
	return n;
}

/* mov edi, LOGGED; mov ecx, PAGES; again: mov [edi], ecx; add edi, 1000h; loop again */
static void write_all(struct code *c)
{
	emit_bytes(c, 0xbf);
	emit_number(c, LOGGED, 4);
	set_ecx(c, PAGES);
	emit_bytes(c, 0x89, 0x0f, 0x81, 0xc7, 0x00, 0x10, 0x00, 0x00, 0xe2, 0xf6);
}

static void map_ring(struct log *l, int prot, int flags, const char *what)
{
	void *ring = host_mmap(l->g.abi->host, NULL, RING_BYTES, prot, flags, l->g.vcpu[0], RING_OFFSET);

	say(ring == MAP_FAILED ? -1 : 0, "ring %s", what);
	if (ring != MAP_FAILED)
		host_munmap(l->g.abi->host, ring, RING_BYTES);
}

/* The memory of the first slot is not logged, so that the ring has only what is meant. */
static void by_ring(struct abi *abi)
{
	struct harvest h = {0};
	struct log l;
	int reason;

	tell("-- a ring");
	log_open(&l, abi, GUEST_RING);
	map_ring(&l, PROT_READ, MAP_SHARED, "to read");
	map_ring(&l, PROT_READ | PROT_EXEC, MAP_SHARED, "with code");
	map_ring(&l, PROT_READ | PROT_WRITE, MAP_PRIVATE, "of one's own");
	h.ring = host_mmap(
	        abi->host, NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, l.g.vcpu[0], RING_OFFSET);
	if (h.ring == MAP_FAILED)
		give_up("the ring");
	for (int i = 0; i < 3; i++)
		write_pages(&l.g.code);
	write_all(&l.g.code);
	done(&l.g.code);
	for (int i = 0; i < 3; i++) {
		guest_run_once(&l.g, 0);
		say((int)harvest(&h, false), "entries");
		if (i) /* before that the pages are not counted again */
			say(ask_number(abi, l.g.vm, KVM_RESET_DIRTY_RINGS, 0), "given back");
	}
	do {
		reason = guest_run_once(&l.g, 0);
		if (reason == KVM_EXIT_DIRTY_RING_FULL) {
			guest_run_once(&l.g, 0);
			say((int)harvest(&h, true), "entries");
			say(ask_number(abi, l.g.vm, KVM_RESET_DIRTY_RINGS, 0), "given back");
		}
	} while (reason == KVM_EXIT_DIRTY_RING_FULL);
	harvest(&h, true); /* the last instruction before the exit may have come twice */
	tell("%u pages in all", count_seen(&h));
	host_munmap(abi->host, h.ring, RING_BYTES);
	log_close(&l);
}

static void run_dirty(struct abi *abi)
{
	by_bitmap(abi);
	by_hand(abi);
	misuse(abi);
	by_ring(abi);
}

const struct chapter chapter_dirty = {"dirty", run_dirty};

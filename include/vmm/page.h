/* SPDX-License-Identifier: Apache-2.0 */
/*
 * page: guest memory. The address map of RAM, its backing, and the only door to its bytes (page/access.c): no
 * other room dereferences guest memory.
 */
#ifndef VMM_PAGE_H
#define VMM_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base.h"
#include "vmm/host.h"
#include "vmm/page/flips.h"
#include "vmm/page/range_map.h"

/* A guest physical address: a type that cannot be dereferenced or mixed up with a host address. */
struct gpa {
	uint64_t raw;
};

static inline struct gpa gpa(uint64_t raw)
{
	return (struct gpa){raw};
}

/* ---- the address map ---- */

#define PAGE_HOLE_START    GIB(2) /* RAM below 4 GiB ends here at the latest: the 32-bit PCI window follows */
#define PAGE_HOLE_END      GIB(4) /* RAM that does not fit below the hole continues here */
#define PAGE_RAM_MAX_BYTES GIB(16384)
/* The firmware image ends at 4 GiB and must stay above the APICs at 0xfec00000. */
#define PAGE_FIRMWARE_MAX_BYTES MIB(16)

/*
 * PAGE_STORE: the firmware's variables, where a guest reads them as memory. The host never encrypts it.
 * PAGE_PLUGGED: addresses for RAM that is added while the guest runs. Only its first page_memory_plugged()
 * bytes are memory.
 * PAGE_HELPER: pages of the guest's encryption context that the guest itself does not have: those of a helper
 * on a mirror. Neither the guest nor its devices reach them.
 */
enum page_region_kind { PAGE_RAM, PAGE_FIRMWARE, PAGE_STORE, PAGE_PLUGGED, PAGE_HELPER };

struct page_region {
	enum page_region_kind kind;
	struct gpa gpa;
	uint64_t size_bytes;
};

#define PAGE_REGIONS_MAX 6
struct page_layout {
	struct page_region regions[PAGE_REGIONS_MAX]; /* ascending, disjoint */
	unsigned count;
	uint64_t low_bytes, high_bytes; /* RAM below the hole and above 4 GiB */
};

/*
 * ram_bytes: a multiple of 1 MiB, at least 1 MiB. firmware_bytes: a multiple of 4 KiB, 4
 * KiB..PAGE_FIRMWARE_MAX_BYTES. ERR_USAGE otherwise.
 */
int page_layout_make(uint64_t ram_bytes, uint64_t firmware_bytes, struct page_layout *ret_layout,
        struct err *err) MUST_CHECK;
/*
 * Adds a region of PAGE_STORE that ends where the firmware image begins. size_bytes: a multiple of 4 KiB;
 * image and store have at most PAGE_FIRMWARE_MAX_BYTES together. ERR_USAGE otherwise. Called once.
 */
int page_layout_add_store(struct page_layout *layout, uint64_t size_bytes, struct err *err) MUST_CHECK;
/*
 * Adds the region PAGE_HELPER: whole pages between RAM and the firmware image with its store. ERR_USAGE if
 * something lies there. Called once.
 */
int page_layout_add_helper(
        struct page_layout *layout, struct gpa start, uint64_t size_bytes, struct err *err) MUST_CHECK;
/* RAM is added in whole blocks: Linux takes no less (x86: MIN_MEMORY_BLOCK_SIZE). */
#define PAGE_PLUG_BYTES MIB(128)
/* How often RAM can be added. */
#define PAGE_PLUGS_MAX 16
/*
 * Adds the region PAGE_PLUGGED above all RAM, at a multiple of 2 GiB. size_bytes: a multiple of
 * PAGE_PLUG_BYTES, at least one, and no more RAM than PAGE_RAM_MAX_BYTES in all. ERR_USAGE otherwise. Called
 * once.
 */
int page_layout_add_plugged(struct page_layout *layout, uint64_t size_bytes, struct err *err) MUST_CHECK;
/* That region, borrowed from layout; NULL: no RAM can be added. */
const struct page_region *page_layout_plugged(const struct page_layout *layout);
/*
 * What every piece of RAM that is added must be a multiple of: PAGE_PLUG_BYTES; with 64 GiB and more at the
 * start Linux takes memory in blocks of up to 2 GiB, as large as the end of that RAM is aligned
 * (probe_memory_block_size()).
 */
uint64_t page_layout_block_bytes(const struct page_layout *layout);
/* The region that holds the address, borrowed from layout; NULL: there is no memory at it. */
const struct page_region *page_layout_find(const struct page_layout *layout, uint64_t address);

/* ---- the memory of one incarnation of a guest ---- */

struct page_memory;

/* ERR_HOST if this host has less memory than such a guest. */
int page_memory_check(const struct page_layout *layout, struct err *err) MUST_CHECK;
/* Where the memory comes from. */
enum page_backing {
	PAGE_OWN,    /* anonymous memory, which the kernel backs with huge pages where it can */
	PAGE_SHARED, /* memfds, which another process can map, too */
	PAGE_POOL,   /* memfds of 2 MiB pages of the host's pool; RAM must be whole 2 MiB */
};
/* Zero-filled. ERR_HOST if this host has less memory than asked for. host is borrowed. */
int page_memory_create(struct host *host, const struct page_layout *layout, enum page_backing backing,
        struct page_memory **ret_memory, struct err *err) MUST_CHECK;
void page_memory_destroy(struct page_memory *memory); /* NULL is allowed */
/*
 * Marks the memory as stopped, because the incarnation is being ended. Work on the memory whose length the
 * guest chose is done in bounded pieces. Between two pieces it looks for this mark, and fails if it is set:
 * conversions after every PAGE_CONVERT_BYTES, the copies of devices more often. Any thread.
 */
void page_memory_stop(struct page_memory *memory);
bool page_memory_is_stopped(const struct page_memory *memory);
#define PAGE_CONVERT_BYTES MIB(32)
const struct page_layout *page_memory_layout(const struct page_memory *memory);
enum page_backing page_memory_backing(const struct page_memory *memory);
/* Where region number i is mapped, for KVM's memory slots only. */
void *page_memory_slot_address(const struct page_memory *memory, unsigned i);

/* ---- RAM that is added while the guest runs (page/plug.c) ---- */

/* A piece of the region PAGE_PLUGGED, with what KVM needs to know of it. */
struct page_plug {
	struct gpa gpa;
	uint64_t size_bytes;
	void *at;        /* for the memory slot, and for pinning; for no other use */
	int guest_memfd; /* of private pages; -1: the guest has no private memory */
	uint64_t offset; /* of the piece in that file */
};
/*
 * Finds the place of the next piece of RAM; nothing changes for the guest. With PAGE_POOL the host promises
 * the pages of the piece. If the piece is not opened, the promise is kept for the next one. ERR_USAGE: no RAM
 * can be added to this guest, the size is not a multiple of page_layout_block_bytes(), or larger than what is
 * left. ERR_HOST: this host has less memory than that, or its pool fewer pages. Main thread.
 */
int page_plug_find(const struct page_memory *memory, uint64_t size_bytes, struct page_plug *ret_plug,
        struct err *err) MUST_CHECK;
/*
 * Makes such a piece memory for the door. All its pages are the guest's own in the record, if there is one.
 * Main thread; other threads see all of the piece or nothing of it.
 */
void page_plug_open(struct page_memory *memory, const struct page_plug *plug);
/* Takes the last piece back, of which the guest has not been told. Main thread. */
void page_plug_close(struct page_memory *memory, const struct page_plug *plug);
/* How many bytes were added. Any thread. */
uint64_t page_memory_plugged(const struct page_memory *memory);

/*
 * The address of guest memory for the kernel calls that encrypt it in place (LAUNCH_UPDATE_DATA,
 * LAUNCH_SECRET) or send and receive it encrypted, for the memory slots of a mirror, for pages that are lent
 * to a socket, and for no other use. NULL: the range does not lie in one region.
 */
void *page_kernel_address(const struct page_memory *memory, struct gpa start, uint64_t size_bytes);

/*
 * Looks which pages of the memory were never used, so that nobody need read them. NULL: this cannot be known
 * of this memory, or here. The memory must outlive it. Main thread; the others any thread.
 */
struct page_touched;
struct page_touched *page_touched_open(const struct page_memory *memory);
void page_touched_close(struct page_touched *touched); /* NULL is allowed */
/*
 * A bit for each page from start on, at most PAGE_UNTOUCHED_MAX, that was never used when it was looked at,
 * and held zeros. 0: nothing is known, as with touched NULL.
 */
#define PAGE_UNTOUCHED_MAX 64u
uint64_t page_untouched(const struct page_touched *touched, struct gpa start, unsigned pages);

/*
 * The door to the region PAGE_HELPER, for whoever speaks with the helper. The helper may change what is read
 * while it is read. They return -1 if the range does not lie in that region. Any thread.
 */
int page_helper_read(
        const struct page_memory *memory, struct gpa from, void *dst, uint64_t size_bytes) MUST_CHECK;
int page_helper_write(
        struct page_memory *memory, struct gpa to, const void *src, uint64_t size_bytes) MUST_CHECK;

/* ---- who owns each page (page/owner.c) ---- */

/*
 * Begins the record of a SEV or SEV-ES guest, in which every page is the guest's own at first. It holds up to
 * ranges_max ranges of shared pages (vmm/page/range_map.h), and the door stays open: what a device reads of a
 * page that is the guest's own is ciphertext. Called once, before the vCPUs run.
 */
int page_memory_keep_record(struct page_memory *memory, uint32_t ranges_max, struct err *err) MUST_CHECK;
/*
 * Makes the table of what the guest converts most often (vmm/page/flips.h), to which whoever hears of the
 * guest's conversions notes them. Its times begin now. storm: as for page_flips_create(). Called once.
 */
int page_memory_count_flips(struct page_memory *memory, uint32_t storm, struct err *err) MUST_CHECK;
/* Borrowed; NULL: there is none. */
struct page_flips *page_memory_flips(const struct page_memory *memory);
/* Is there a record? Every SEV-SNP guest has one. */
bool page_memory_has_record(const struct page_memory *memory);
/*
 * For a SEV-SNP guest: begins the record, gives each region a second backing that only the guest can read, a
 * guest_memfd of this VM, and makes every page private for the door. page_convert() tells KVM so, once the
 * memory slots exist.
 */
int page_memory_make_private(
        struct page_memory *memory, int vm_fd, uint32_t ranges_max, struct err *err) MUST_CHECK;
/* Of region number i, for the memory slots only; -1: the guest has no private memory. */
int page_memory_guest_memfd(const struct page_memory *memory, unsigned i);
/*
 * Hands a range of whole pages to the guest (private) or shares it with the host, and records it. The
 * contents of a SEV-SNP guest's pages are lost, because the backing that they leave is given back to the
 * host; of another guest's nothing but the record changes. Addresses of the range that are not memory are
 * skipped, or remembered apart (page_memory_keep_devices()). The guest chooses the size, so
 * PAGE_CONVERT_BYTES are done at a time, and this fails between two of them if the memory was stopped
 * (page_memory_stop()).
 *
 * PAGE_CONVERT_REFUSED: the record has no room for the change, which is no error of vmm. Pieces before the
 * one that did not fit are converted. A SEV-SNP guest has its other pages as before. Another guest may go on
 * as if it had been heard, so the record is incomplete from then on. Any thread. Changes of different pages
 * do not wait for each other, except for pages of a SEV-SNP guest in the same 2 MiB, and by chance.
 */
#define PAGE_CONVERT_REFUSED 1
int page_convert(struct page_memory *memory, struct gpa start, uint64_t size_bytes, bool private,
        struct err *err) MUST_CHECK;

/*
 * Are all pages of a range private by the record, or all of them shared? The range must lie in the memory of
 * a guest that has a record. Another vCPU may change the answer at any time. Any thread.
 */
bool page_is_already(struct page_memory *memory, struct gpa start, uint64_t size_bytes, bool private);
/* How many bytes of RAM are private by the record, and shared. Guests change that all the time. */
void page_memory_count(const struct page_memory *memory, uint64_t *ret_private, uint64_t *ret_shared);

/* How full the record of a guest that has one is, and whether it is right. */
struct page_record {
	uint64_t ranges;     /* of shared pages */
	uint32_t ranges_max; /* there may be */
	uint64_t refused;    /* conversions, for want of room */
	bool complete;       /* if not, what it says of the frames in doubt may be wrong */
	struct page_range doubt;
	uint64_t generation;           /* every change makes it larger */
	struct page_flip_totals flips; /* zero without page_memory_count_flips() */
};
/* Takes time for each range. Any thread. */
void page_record_count(struct page_memory *memory, struct page_record *ret_record);

/* The two parts of the record of a SEV or SEV-ES guest that goes to another vmm (src/page/record.c). */
enum page_record_part {
	PAGE_RECORD_MEMORY,  /* which pages of its memory it shares */
	PAGE_RECORD_DEVICES, /* what it shares where there is no memory (page_memory_keep_devices()) */
	PAGE_RECORD_PARTS
};
/* No form of a part is longer. */
size_t page_record_form_max_bytes(const struct page_memory *memory, enum page_record_part part);
/*
 * Writes a part as bytes, which the caller frees (vmm/page/range_map.h). No vCPU runs. ERR_FAILED: no memory;
 * the record of memory is not complete, or changes.
 */
int page_record_make_form(const struct page_memory *memory, enum page_record_part part, uint8_t **ret_data,
        size_t *ret_size, struct err *err) MUST_CHECK;
/*
 * Makes a part what such bytes say, which a peer has sent and may be hostile. The guest has not run yet, and
 * must not if this fails: ERR_FAILED, with what is wrong.
 */
int page_record_read_form(struct page_memory *memory, enum page_record_part part, const uint8_t *data,
        size_t size, struct err *err) MUST_CHECK;

/* A walk over the shared ranges, in ascending order, cut at the end. at and count are zero at the beginning.
 */
struct page_record_walk {
	const struct page_memory *memory;
	uint64_t next, end; /* frames: where it goes on, and before which it ends */
	struct page_range found[64];
	size_t at, count;
};
/* Returns the next range; false: there are no more. Any thread. */
bool page_record_next(struct page_record_walk *walk, struct page_range *ret_range);

/* Private pages of a SEV-SNP guest for which the backing of its shared pages holds memory, too. */
#define PAGE_TWICE_SHOWN 16u
struct page_twice {
	bool known; /* if not, the rest is 0 */
	uint64_t pages;
	struct page_range ranges[PAGE_TWICE_SHOWN]; /* the first of them */
	size_t count;
};
/*
 * Finds out which pages take memory twice; of a SEV-SNP guest without machine.hugepages it is known if the
 * kernel tells which parts of a memfd have memory, and the guest has not made too many of them. Whether the
 * guest has already used its own side of such a page, no kernel tells. Main thread; it takes some
 * milliseconds at most.
 */
void page_memory_twice(const struct page_memory *memory, struct page_twice *ret_twice);

/* How many bytes of a range are memory. The range does not wrap around. Any thread. */
uint64_t page_memory_bytes_in(const struct page_memory *memory, struct gpa start, uint64_t size_bytes);

/* ---- what is shared and is no memory (page/devices.c) ---- */

/* How many such ranges are remembered: boards have tens of devices. */
#define PAGE_DEVICES_MAX 1024u
/* Where RAM is added in the middle of such a range later, it is seen as two. */
#define PAGE_DEVICES_SHOWN (PAGE_DEVICES_MAX + PAGE_REGIONS_MAX)
/*
 * From now on page_convert() remembers what a SEV or SEV-ES guest shares and is no memory, apart from its
 * memory: addresses of devices, and holes. address_bits: how many bits a guest physical address has, 32 to 52
 * (CPUID 0x80000008 EAX[7:0]). Called once, after page_memory_keep_record().
 */
int page_memory_keep_devices(struct page_memory *memory, unsigned address_bits, struct err *err) MUST_CHECK;
/*
 * May the guest say who owns the pages of this range? All of it must be memory; with
 * page_memory_keep_devices(), it must only lie within the guest's addresses. Any thread.
 */
bool page_is_reportable(const struct page_memory *memory, struct gpa start, uint64_t size_bytes);
/*
 * Writes these ranges in order and returns how many there are. *ret_complete: the guest has shared no more of
 * them than there was room for; what there was no room for is not remembered. Any thread.
 */
size_t page_devices_get(struct page_memory *memory, struct page_range ret_ranges[static PAGE_DEVICES_SHOWN],
        bool *ret_complete);

/* Does the whole range lie in the guest's memory, whoever owns the pages? */
bool page_is_backed(const struct page_memory *memory, struct gpa start, uint64_t size_bytes);

/* ---- the door ---- */

/*
 * Copy out of and into guest memory. The whole range must be memory (it may cross from one region into an
 * adjacent one) and shared, if the guest has private pages; otherwise -1 and nothing is copied. Guests choose
 * addresses, so -1 is an answer for the guest and never an error of vmm. Any thread; other vCPUs may change
 * the bytes while they are copied: copy once, check, then use. Writing to the firmware image is refused (it
 * is ROM to devices).
 */
int page_read(const struct page_memory *memory, struct gpa from, void *dst, uint64_t size_bytes) MUST_CHECK;
int page_write(struct page_memory *memory, struct gpa to, const void *src, uint64_t size_bytes) MUST_CHECK;
/*
 * Lends a device a range for I/O that goes past copies: an address at which the bytes lie, and stay mapped
 * until the memory is destroyed. The range must lie in RAM, in one region, and be shared; otherwise NULL. The
 * guest may change the bytes, and may take the pages back: what is written then is lost. Any thread.
 */
void *page_loan(struct page_memory *memory, struct gpa start, uint64_t size_bytes);
/*
 * Says that a part of a loan was written, so that a copy of the memory elsewhere gets it, too. Call it after
 * the bytes were stored, by vmm or by the kernel for vmm, and before the guest is told of them. Other
 * addresses than those of a loan are ignored. It costs a few nanoseconds while nobody tracks. Any thread.
 */
void page_wrote(struct page_memory *memory, const void *loan, uint64_t size_bytes);
/*
 * Gives the memory behind a loan back to the host: the whole pages (of the backing: 4 KiB or 2 MiB) that lie
 * in it. They read as zeros afterwards, and take memory again when they are touched. For guests whose memory
 * is not pinned: the pages of a SEV or SEV-ES guest would only be held twice. Returns -1 if the range is not
 * one that page_loan() could have lent, or the host refuses. Any thread.
 */
int page_give_back(struct page_memory *memory, void *loan, uint64_t size_bytes) MUST_CHECK;

/* ---- what vmm writes (page/written.c) ---- */

/*
 * From now on, or no longer, notes which frames vmm writes: page_write(), page_load(), page_wrote(),
 * page_give_back(), and page_convert(), since the contents of a page change with its owner. What was noted
 * before is forgotten. What other processes and the kernel's vhost write is not noted (page_memory_lend()).
 * ERR_FAILED: no memory; only when it is switched on. The thread that collects.
 */
int page_memory_track(struct page_memory *memory, bool on, struct err *err) MUST_CHECK;
struct page_dirty;
/*
 * Moves what was noted to a map of the same memory. Read the bytes of those frames afterwards: what is
 * written after this call is found by the next. One thread at a time.
 */
void page_memory_collect_written(struct page_memory *memory, struct page_dirty *into);

/* ---- for back ends ---- */

/*
 * All of the guest's RAM, for a vhost back end, which serves queues by itself and finds the buffers by guest
 * address. at is for the kernel's vhost, fd for another process (vhost-user; -1 with PAGE_OWN): both are
 * borrowed, and the length of the file behind fd is sealed. Firmware is not lent, since devices cannot write
 * to it. Of a SEV-SNP guest this is the backing of the shared pages: private ones read as zeros there, and
 * what is written to them is lost. All of PAGE_PLUGGED is lent from the start, so that a back end need not
 * hear of RAM that is added: what lies there and is no memory yet reads as zeros.
 */
struct page_lent {
	struct gpa gpa;
	uint64_t size_bytes;
	void *at;
	int fd;
};
unsigned page_memory_lend(
        const struct page_memory *memory, struct page_lent ret_lent[static PAGE_REGIONS_MAX]);

/* Could the whole range be copied (writable: written)? */
bool page_is_memory(const struct page_memory *memory, struct gpa start, uint64_t size_bytes, bool writable);
/* Copies an image in, ROM included; for the launch, before the guest runs. */
int page_load(struct page_memory *memory, struct gpa to, const void *src, uint64_t size_bytes) MUST_CHECK;

#endif

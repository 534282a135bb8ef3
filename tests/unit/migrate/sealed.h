/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealed: the two guests of guest.h as SEV guests. What is a guest's own lies where only the guest and its
 * helper see it; what it shares is in its memory, as the host sees it. The helpers are those that run in
 * guests, as functions of this process.
 */
#ifndef TEST_MIGRATE_SEALED_H
#define TEST_MIGRATE_SEALED_H

#include <sys/mman.h>

#include "../../../firmware/helper/ring.h"
#include "guest.h"
#include "support/helper_forms.h"
#include "vmm/abi/sev_launch.h"

#define SHARED_FIRST 64 /* frames that are shared at first */
#define SHARED_COUNT 16
#define RANGES_MAX   200

struct confidential {
	struct guest *guest;
	struct helper helper;
	struct helper_ring ring;
	uint8_t secret[HELPER_PAGE_BYTES];
	uint8_t *own; /* its private memory: 4 GiB of addresses */
	struct migrate_helper seam;
	unsigned collected, forgot;
	const char *refusal; /* why the guest may not move */
};

static const struct helper_range helper_ranges[] = {{0, RAM}, {FIRMWARE_AT, PAGE_HOLE_END}};
static struct confidential source_sev, target_sev;

/* ---- the helper ---- */

static int ask_slot(
        struct confidential *sev, struct helper_slot *slot, void *page, size_t size, struct err *err)
{
	unsigned at = sev->ring.produced % HELPER_SLOTS;

	sev->ring.slots[at] = *slot;
	memcpy(sev->ring.pages[at], page, size);
	sev->ring.produced++;
	assert_int_equal(helper_serve(&sev->helper), 1);
	*slot = sev->ring.slots[at];
	memcpy(page, sev->ring.pages[at], size);
	if (slot->status != HELPER_DONE)
		return err_set(err, ERR_USAGE, "the helper refuses: status %u", slot->status);
	return 0;
}

static int sev_hello(void *ctx, struct helper_hello *ret_hello, struct err *err)
{
	struct helper_slot slot = {.command = HELPER_HELLO};

	return ask_slot(ctx, &slot, ret_hello, sizeof(*ret_hello), err);
}

static int sev_agree(void *ctx, const struct helper_terms *terms, struct err *err)
{
	struct helper_slot slot = {.command = HELPER_KEYS};
	struct helper_terms copy = *terms;

	return ask_slot(ctx, &slot, &copy, sizeof(copy), err);
}

static struct helper_slot slot_of(const struct mirror_record *record, enum helper_command command)
{
	return (struct helper_slot){.command = (uint16_t)(command + (record->trailer ? 2 : 0)),
	        .stream = record->stream,
	        .pass = record->pass,
	        .gpa = record->gpa.raw};
}

static int sev_seal(void *ctx, struct mirror_record *records, unsigned count, struct err *err)
{
	struct confidential *sev = ctx;

	for (unsigned i = 0; i < count; i++) {
		struct helper_slot slot = slot_of(&records[i], HELPER_SEAL);

		if (ask_slot(sev, &slot, records[i].page, sizeof(records[i].page), err) < 0)
			return -1;
		records[i].number = slot.number;
		memcpy(records[i].tag, slot.tag, sizeof(slot.tag));
	}
	return 0;
}

static int sev_open(void *ctx, const struct mirror_record *records, unsigned count, struct err *err)
{
	for (unsigned i = 0; i < count; i++) {
		struct helper_slot slot = slot_of(&records[i], HELPER_OPEN);
		uint8_t page[HELPER_PAGE_BYTES];

		memcpy(page, records[i].page, sizeof(page));
		slot.number = records[i].number;
		memcpy(slot.tag, records[i].tag, sizeof(slot.tag));
		if (ask_slot(ctx, &slot, page, sizeof(page), err) < 0)
			return -1;
	}
	return 0;
}

static int sev_forget(void *ctx, struct err *err)
{
	struct helper_slot slot = {.command = HELPER_FORGET};
	uint8_t none;

	((struct confidential *)ctx)->forgot++;
	return ask_slot(ctx, &slot, &none, 0, err);
}

static int sev_check(void *ctx, struct err *err)
{
	const char *why = ((struct confidential *)ctx)->refusal;

	return why ? err_set(err, ERR_FAILED, "%s", why) : 0;
}

/* ---- the guest ---- */

static struct confidential *sev_of(struct guest *guest)
{
	return guest == &source ? &source_sev : &target_sev;
}

/* What is in a page from now on, and whose it is. */
static void own_page(struct guest *guest, uint64_t frame, bool private, uint8_t contents)
{
	uint64_t at = frame * PAGE_SIZE_BYTES;
	uint8_t page[PAGE_SIZE_BYTES];
	struct err err;

	memset(page, contents, sizeof(page));
	assert_int_equal(page_convert(guest->memory, gpa(at), PAGE_SIZE_BYTES, private, &err), 0);
	if (private)
		memcpy(sev_of(guest)->own + at, page, sizeof(page));
	else
		assert_int_equal(page_write(guest->memory, gpa(at), page, sizeof(page)), 0);
}

/* Two pages change hands between the passes. */
static int sev_collect(void *ctx, struct page_dirty *into, struct err *err)
{
	struct guest *guest = ctx;

	if (++sev_of(guest)->collected == 2) {
		own_page(guest, 500, false, 0x51);
		own_page(guest, SHARED_FIRST + 1, true, 0x52);
		page_dirty_set(into, 500, 1);
		page_dirty_set(into, SHARED_FIRST + 1, 1);
	}
	return guest_collect(ctx, into, err);
}

/* Two more change hands at the last moment, and no log knows of them. */
static int sev_stop(void *ctx, struct err *err)
{
	own_page(ctx, 600, false, 0x61);
	own_page(ctx, SHARED_FIRST + 2, true, 0x62);
	return guest_stop(ctx, err);
}

static bool is_own(struct guest *guest, uint64_t at)
{
	return page_is_already(guest->memory, gpa(at), PAGE_SIZE_BYTES, true);
}

static bool is_sev_page_equal(uint64_t at)
{
	if (is_own(&source, at) != is_own(&target, at))
		return false;
	return is_own(&source, at) ? memcmp(source_sev.own + at, target_sev.own + at, PAGE_SIZE_BYTES) == 0
	                           : is_plain_page_equal(at);
}

/* ---- life ---- */

/* The page of the owner's launch secret (include/vmm/abi/sev_launch.h). */
static void inject(struct confidential *sev, uint8_t first)
{
	struct abi_secret_header table = {.guid = ABI_SECRET_TABLE_GUID,
	                                 .length = 2 * sizeof(table) + HELPER_ROOT_BYTES},
	                         entry = {.guid = HELPER_ROOT_GUID,
	                                 .length = sizeof(entry) + HELPER_ROOT_BYTES};

	memcpy(sev->secret, &table, sizeof(table));
	memcpy(sev->secret + sizeof(table), &entry, sizeof(entry));
	memset(sev->secret + sizeof(table) + sizeof(entry), first, HELPER_ROOT_BYTES);
}

static void dress_one(struct confidential *sev, struct guest *guest)
{
	struct err err;

	*sev = (struct confidential){.guest = guest};
	sev->own = mmap(NULL, PAGE_HOLE_END, PROT_READ | PROT_WRITE,
	        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(sev->own != MAP_FAILED);
	sev->helper = (struct helper){.ring = &sev->ring,
	        .private_base = sev->own,
	        .ranges = helper_ranges,
	        .range_count = ARRAY_LEN(helper_ranges),
	        .form = form_runs(GCM_AESNI) ? GCM_AESNI : GCM_PLAIN,
	        .random = key_rdrand,
	        .secret = sev->secret};
	inject(sev, 7);
	sev->seam = (struct migrate_helper){.hello = sev_hello,
	        .agree = sev_agree,
	        .seal = sev_seal,
	        .open = sev_open,
	        .forget = sev_forget,
	        .check = sev_check,
	        .digest = {1, 2, 3},
	        .policy = 1,
	        .ctx = sev};
	guest->seam.helper = &sev->seam;
	guest->seam.collect = sev_collect;
	guest->seam.stop = sev_stop;
	assert_ok(page_memory_keep_record(guest->memory, RANGES_MAX, &err));
	assert_ok(page_memory_keep_devices(guest->memory, 40, &err));
}

static void dress_both(void)
{
	dress_one(&source_sev, &source);
	dress_one(&target_sev, &target);
	for (uint64_t frame = 0; frame < RAM / PAGE_SIZE_BYTES; frame++)
		memset(source_sev.own + frame * PAGE_SIZE_BYTES, (int)(frame * 11 + 5), PAGE_SIZE_BYTES);
	memset(source_sev.own + FIRMWARE_AT, 0xf1, FIRMWARE);
	/* Whatever the target's launch has left there. */
	memset(target_sev.own + MIB(1), 0xee, MIB(1));
	for (uint64_t frame = SHARED_FIRST; frame < SHARED_FIRST + SHARED_COUNT; frame++)
		own_page(&source, frame, false, frame % 3 ? (uint8_t)frame : 0);
}

static void undress_both(void)
{
	munmap(source_sev.own, PAGE_HOLE_END);
	munmap(target_sev.own, PAGE_HOLE_END);
}

static void confide(void)
{
	dress = dress_both;
	undress = undress_both;
	is_page_equal = is_sev_page_equal;
}

#endif

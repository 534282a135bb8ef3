/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring: the helper's half of the ring: one request after the other is copied, checked and done.
 */
#include <string.h>

#include "hkdf.h"
#include "mask.h"
#include "ring.h"

#define NUMBER_MAX  (UINT64_C(1) << 48) /* records of a key and stream; long before that a new key is made */
#define VERSION     1u
#define PAGE_OFFSET (HELPER_PAGE_BYTES - 1)

enum kind { KIND_PAGE = 1, KIND_TRAILER };

/* ---- what is sealed with a record, and its nonce ---- */

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

/* Each direction has a key of its own, so stream and number are the whole nonce. */
static void make_iv(const struct helper_slot *slot, uint8_t iv[static GCM_IV_BYTES])
{
	put(iv, slot->stream, 4);
	put(iv + 4, slot->number, 8);
}

#define AAD_BYTES 32u

static void make_aad(const struct helper *helper, const struct helper_slot *slot, enum kind kind,
        uint32_t size, uint8_t aad[static AAD_BYTES])
{
	memset(aad, 0, AAD_BYTES);
	aad[0] = VERSION;
	aad[1] = (uint8_t)kind;
	put(aad + 2, slot->stream, 2);
	put(aad + 4, slot->pass, 4);
	memcpy(aad + 8, helper->id, sizeof(helper->id));
	put(aad + 16, slot->gpa, 8);
	put(aad + 24, size, 4);
}

/*
 * Seals into helper->page, which is private: the tag is made of the bytes that were stored, and a host that
 * changed them meanwhile would get the tag of its own.
 */
static void seal_record(
        struct helper *helper, struct helper_slot *slot, enum kind kind, const void *from, uint32_t size)
{
	uint8_t iv[GCM_IV_BYTES], aad[AAD_BYTES];

	make_iv(slot, iv);
	make_aad(helper, slot, kind, size, aad);
	gcm_seal(&helper->seal, iv, aad, sizeof(aad), from, size, helper->page, slot->tag);
}

/* Opens helper->page, in its place. */
static bool open_record(struct helper *helper, const struct helper_slot *slot, enum kind kind, uint32_t size)
{
	uint8_t iv[GCM_IV_BYTES], aad[AAD_BYTES];

	make_iv(slot, iv);
	make_aad(helper, slot, kind, size, aad);
	return gcm_open(&helper->open, iv, aad, sizeof(aad), helper->page, size, helper->page, slot->tag);
}

/* ---- commands ---- */

/* NULL: the helper may not touch it. */
static uint8_t *guest_page(const struct helper *helper, uint64_t gpa)
{
	for (unsigned i = 0; i < helper->range_count; i++) {
		const struct helper_range *range = &helper->ranges[i];

		if (gpa >= range->first && gpa < range->end && range->end - gpa >= HELPER_PAGE_BYTES &&
		        !(gpa & PAGE_OFFSET))
			return helper->private_base +
			       (gpa & helper_mask(gpa - range->first, range->end - range->first));
	}
	return NULL;
}

/* The newest record of a page must come last, so a page has one stream. */
static enum helper_status find_page(
        const struct helper *helper, const struct helper_slot *slot, uint8_t **ret_page)
{
	*ret_page = guest_page(helper, slot->gpa);
	if (!*ret_page)
		return HELPER_BAD_ADDRESS;
	return slot->stream == HELPER_STREAM_OF(slot->gpa) ? HELPER_DONE : HELPER_BAD_STREAM;
}

static enum helper_status seal_page(struct helper *helper, struct helper_slot *slot, uint8_t *shared)
{
	uint8_t *page;
	enum helper_status status = find_page(helper, slot, &page);

	if (status != HELPER_DONE)
		return status;
	seal_record(helper, slot, KIND_PAGE, page, HELPER_PAGE_BYTES);
	memcpy(shared, helper->page, HELPER_PAGE_BYTES);
	return HELPER_DONE;
}

static enum helper_status open_page(struct helper *helper, struct helper_slot *slot, uint8_t *shared)
{
	uint8_t *page;
	enum helper_status status = find_page(helper, slot, &page);

	if (status != HELPER_DONE)
		return status;
	memcpy(helper->page, shared, HELPER_PAGE_BYTES);
	if (!open_record(helper, slot, KIND_PAGE, HELPER_PAGE_BYTES))
		return HELPER_BAD_TAG;
	memcpy(page, helper->page, HELPER_PAGE_BYTES);
	return HELPER_DONE;
}

/* A trailer takes a number as well, which says how many pages its stream had. */
static enum helper_status seal_trailer(struct helper *helper, struct helper_slot *slot, uint8_t *shared)
{
	if (slot->gpa)
		return HELPER_BAD_ADDRESS;
	seal_record(helper, slot, KIND_TRAILER, helper->page, 0);
	helper->seal_ended[slot->stream] = true;
	return HELPER_DONE;
}

static enum helper_status open_trailer(struct helper *helper, struct helper_slot *slot, uint8_t *shared)
{
	if (slot->gpa)
		return HELPER_BAD_ADDRESS;
	if (!open_record(helper, slot, KIND_TRAILER, 0))
		return HELPER_BAD_TAG;
	helper->open_ended[slot->stream] = true;
	return HELPER_DONE;
}

/* ---- keys ---- */

void helper_forget(struct helper *helper)
{
	helper->greeted = helper->has_keys = false;
	helper_wipe(helper->nonce, sizeof(helper->nonce));
	helper_wipe(&helper->seal, sizeof(helper->seal));
	helper_wipe(&helper->open, sizeof(helper->open));
	helper_wipe(helper->page, sizeof(helper->page));
	memset(helper->sealed, 0, sizeof(helper->sealed));
	memset(helper->opened, 0, sizeof(helper->opened));
	memset(helper->seal_ended, 0, sizeof(helper->seal_ended));
	memset(helper->open_ended, 0, sizeof(helper->open_ended));
}

static enum helper_status forget(struct helper *helper, struct helper_slot *slot, uint8_t *shared)
{
	helper_forget(helper);
	return HELPER_DONE;
}

static enum helper_status hello(struct helper *helper, struct helper_slot *slot, uint8_t *shared)
{
	struct helper_hello hello = {.version = HELPER_VERSION, .form = helper->form};

	helper_forget(helper);
	if (!key_nonce(helper->random, helper->nonce) ||
	        memcmp(helper->nonce, helper->last_nonce, sizeof(helper->nonce)) == 0) {
		helper_forget(helper);
		return HELPER_NO_RANDOM;
	}
	memcpy(helper->last_nonce, helper->nonce, sizeof(helper->nonce));
	helper->greeted = true;
	memcpy(hello.nonce, helper->nonce, sizeof(hello.nonce));
	memcpy(shared, &hello, sizeof(hello));
	return HELPER_DONE;
}

static void set_key(const struct helper *helper, const struct helper_terms *terms,
        const uint8_t root[static HELPER_ROOT_BYTES], enum helper_role direction, struct gcm_key *key)
{
	uint8_t secret[GCM_SECRET_BYTES];

	key_derive(root, terms, helper->nonce, direction, secret);
	gcm_key_set(key, helper->form, secret);
	helper_wipe(secret, sizeof(secret));
}

/* A nonce makes keys once, whatever the rest of the terms is: so no key counts from 0 twice. */
static enum helper_status make_keys(struct helper *helper, struct helper_slot *slot, uint8_t *shared)
{
	static const uint8_t none[HELPER_NONCE_BYTES];
	uint8_t root[HELPER_ROOT_BYTES];
	struct helper_terms terms;

	memcpy(&terms, shared, sizeof(terms));
	__asm__ volatile("" ::: "memory");
	if (!helper->greeted)
		return HELPER_NO_HELLO;
	if (terms.role > HELPER_TARGET || terms.reserved ||
	        memcmp(terms.peer_nonce, helper->nonce, sizeof(helper->nonce)) == 0 ||
	        memcmp(terms.peer_nonce, none, sizeof(none)) == 0)
		return HELPER_BAD_TERMS;
	if (!key_find_root(helper->secret, HELPER_PAGE_BYTES, root))
		return HELPER_NO_ROOT;
	helper->greeted = false;
	set_key(helper, &terms, root, terms.role == HELPER_SOURCE ? HELPER_SOURCE : HELPER_TARGET,
	        &helper->seal);
	set_key(helper, &terms, root, terms.role == HELPER_SOURCE ? HELPER_TARGET : HELPER_SOURCE,
	        &helper->open);
	helper_wipe(root, sizeof(root));
	memcpy(helper->id, terms.move, sizeof(helper->id));
	helper->has_keys = true;
	return HELPER_DONE;
}

/* ---- any request ---- */

static const struct command {
	enum { OPENS, SEALS, TALKS } does;
	enum helper_status (*run)(struct helper *helper, struct helper_slot *slot, uint8_t *shared);
} commands[] = {
        [HELPER_SEAL] = {SEALS, seal_page},
        [HELPER_OPEN] = {OPENS, open_page},
        [HELPER_END_SEAL] = {SEALS, seal_trailer},
        [HELPER_END_OPEN] = {OPENS, open_trailer},
        [HELPER_HELLO] = {TALKS, hello},
        [HELPER_KEYS] = {TALKS, make_keys},
        [HELPER_FORGET] = {TALKS, forget},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* NULL: there is no such command, or fields that it does not use are not zero. */
static const struct command *find_command(const struct helper_slot *slot)
{
	const struct command *command;

	if (!slot->command || slot->command >= COMMANDS || slot->reserved || slot->reserved_too)
		return NULL;
	command = &commands[slot->command & helper_mask(slot->command, COMMANDS)];
	if (command->does == TALKS && (slot->stream || slot->pass || slot->gpa || slot->number))
		return NULL;
	return command;
}

/* A record has the next number of its stream. */
static enum helper_status answer_record(
        struct helper *helper, const struct command *command, struct helper_slot *slot, uint8_t *shared)
{
	bool seals = command->does == SEALS;
	enum helper_status status;
	uint64_t *next;

	if (!helper->has_keys)
		return HELPER_NO_KEYS;
	if (slot->stream >= HELPER_STREAMS)
		return HELPER_BAD_STREAM;
	slot->stream &= (uint16_t)helper_mask(slot->stream, HELPER_STREAMS);
	if (seals ? helper->seal_ended[slot->stream] : helper->open_ended[slot->stream])
		return HELPER_BAD_STREAM;
	next = seals ? &helper->sealed[slot->stream] : &helper->opened[slot->stream];
	if (*next >= NUMBER_MAX || (!seals && slot->number != *next))
		return HELPER_BAD_NUMBER;
	slot->number = *next;
	status = command->run(helper, slot, shared);
	*next += status == HELPER_DONE;
	return status;
}

/* slot is the copy; shared is the slot's page in the ring. */
static enum helper_status answer(struct helper *helper, struct helper_slot *slot, uint8_t *shared)
{
	const struct command *command = find_command(slot);

	if (!command)
		return HELPER_BAD_COMMAND;
	if (command->does == TALKS)
		return command->run(helper, slot, shared);
	return answer_record(helper, command, slot, shared);
}

/* The host may write to the ring at any time, so the compiler must not read a field of it again. */
static void serve_one(struct helper *helper, unsigned at)
{
	struct helper_slot *shared = &helper->ring->slots[at], slot = *shared;

	__asm__ volatile("" ::: "memory");
	slot.status = (uint16_t)answer(helper, &slot, helper->ring->pages[at]);
	*shared = slot;
}

unsigned helper_serve(struct helper *helper)
{
	uint32_t waiting = __atomic_load_n(&helper->ring->produced, __ATOMIC_ACQUIRE) - helper->consumed;

	if (waiting > HELPER_SLOTS) {
		helper->broken = true;
		helper_forget(helper);
	}
	if (helper->broken)
		return 0;
	for (uint32_t i = 0; i < waiting; i++) {
		serve_one(helper, helper->consumed % HELPER_SLOTS);
		__atomic_store_n(&helper->ring->consumed, ++helper->consumed, __ATOMIC_RELEASE);
	}
	return waiting;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helper_pair: two migration helpers as functions of this process, whose keys belong together, with a guest's
 * memory and a ring each.
 */
#ifndef VMM_TEST_HELPER_PAIR_H
#define VMM_TEST_HELPER_PAIR_H

#include <string.h>

#include "ring.h"

#define PAIR_PAGES 32u
#define PAIR_BYTES (PAIR_PAGES * HELPER_PAGE_BYTES)
/* What lies in neither range is not the helpers' to touch. */
static const struct helper_range pair_ranges[] = {{0x1000, 0x8000}, {0x10000, 0x20000}};

struct end {
	struct helper helper;
	struct helper_ring ring;
	uint8_t secret[HELPER_PAGE_BYTES];
	_Alignas(4096) uint8_t memory[PAIR_BYTES];
};

static struct end source, target;

static inline void end_start(struct end *end, enum gcm_form form)
{
	memset(end, 0, sizeof(*end));
	end->helper.ring = &end->ring;
	end->helper.private_base = end->memory;
	end->helper.ranges = pair_ranges;
	end->helper.range_count = sizeof(pair_ranges) / sizeof(pair_ranges[0]);
	end->helper.form = form;
	end->helper.random = key_rdrand;
	end->helper.secret = end->secret;
}

static inline void end_set_keys(struct end *end, enum gcm_form form, const uint8_t *seal, const uint8_t *open)
{
	helper_forget(&end->helper);
	memcpy(end->helper.id, "one move", sizeof(end->helper.id));
	gcm_key_set(&end->helper.seal, form, seal);
	gcm_key_set(&end->helper.open, form, open);
	end->helper.has_keys = true;
}

/* What the source seals the target opens, and the other way around. Both begin to count. */
static inline void pair_keys(enum gcm_form form)
{
	static const uint8_t one[GCM_SECRET_BYTES] = "from the source to the target, .",
	                     other[GCM_SECRET_BYTES] = "from the target to the source, .";

	end_set_keys(&source, form, one, other);
	end_set_keys(&target, form, other, one);
}

static inline void pair_start(enum gcm_form form)
{
	end_start(&source, form);
	end_start(&target, form);
	pair_keys(form);
	for (size_t i = 0; i < PAIR_BYTES; i++)
		source.memory[i] = (uint8_t)(i * 7 + i / 256);
}

/* Puts a request and, if page is not NULL, its page into the ring, and has it answered. Returns the slot. */
static inline struct helper_slot *end_ask(struct end *end, struct helper_slot ask, const uint8_t *page)
{
	unsigned at = end->ring.produced % HELPER_SLOTS;

	end->ring.slots[at] = ask;
	if (page)
		memcpy(end->ring.pages[at], page, HELPER_PAGE_BYTES);
	end->ring.produced++;
	helper_serve(&end->helper);
	return &end->ring.slots[at];
}

static inline const uint8_t *end_page(struct end *end, const struct helper_slot *slot)
{
	return end->ring.pages[slot - end->ring.slots];
}

#endif

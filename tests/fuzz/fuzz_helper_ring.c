/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring of the migration helper, written by a hostile host: requests of any content, with pages that
 * another helper has sealed, or that it has not. Nothing outside the helper's ranges changes, its memory
 * changes only by records that are right, and numbers rise by one.
 */
#include <stdbool.h>
#include <stdlib.h>

#include "support/helper_forms.h"
#include "support/helper_pair.h"

#define ASK_BYTES 24u

static uint8_t before[PAIR_BYTES];

static void must(bool right)
{
	if (!right)
		abort();
}

static uint64_t number(const uint8_t *at, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value |= (uint64_t)at[i] << 8 * i;
	return value;
}

static enum gcm_form form(void)
{
	return form_runs(GCM_AESNI) ? GCM_AESNI : GCM_PLAIN;
}

static struct helper_slot slot_of(const uint8_t *data)
{
	return (struct helper_slot){.command = (uint16_t)number(data, 2),
	        .stream = (uint16_t)number(data + 2, 2),
	        .reserved = data[4],
	        .pass = data[5],
	        .gpa = number(data + 8, 8),
	        .number = number(data + 16, 7)};
}

static bool has_page(const struct helper_slot *slot)
{
	return slot->command == HELPER_SEAL || slot->command == HELPER_OPEN;
}

/* Requests about keys touch no page, and leave keys only where the owner has injected a root: here is none.
 */
static void talk(struct helper_slot slot, const uint8_t *data)
{
	static uint8_t page[HELPER_PAGE_BYTES];
	const struct helper_slot *answer;

	memcpy(page, data, ASK_BYTES);
	answer = end_ask(&target, slot, page);
	must(answer->status != HELPER_WAITS && answer->status != HELPER_NO_RANDOM);
	must(slot.command != HELPER_KEYS || answer->status != HELPER_DONE);
	must(memcmp(target.memory, before, PAIR_BYTES) == 0);
	if (!target.helper.has_keys)
		must(end_ask(&target, (struct helper_slot){.command = HELPER_SEAL, .gpa = 0x1000}, NULL)
		                ->status == HELPER_NO_KEYS);
	pair_keys(form());
}

static void ask(const uint8_t *data)
{
	struct helper_slot slot = slot_of(data), sealed;
	const struct helper_slot *made, *answer;
	uint16_t stream;
	uint64_t seals, opens;
	bool is_right = data[23] & 1, done;

	if (slot.command >= HELPER_HELLO && slot.command <= HELPER_FORGET) {
		talk(slot, data);
		return;
	}
	if (is_right && has_page(&slot))
		slot.stream = HELPER_STREAM_OF(slot.gpa);
	stream = slot.stream % HELPER_STREAMS;
	seals = target.helper.sealed[stream];
	opens = target.helper.opened[stream];
	sealed = (struct helper_slot){
	        .command = HELPER_SEAL, .stream = slot.stream, .pass = slot.pass, .gpa = slot.gpa};
	made = end_ask(&source, sealed, NULL);
	if (is_right && made->status == HELPER_DONE) {
		memcpy(slot.tag, made->tag, sizeof(slot.tag));
		slot.number = made->number;
	}
	answer = end_ask(&target, slot, end_page(&source, made));
	done = answer->status == HELPER_DONE;
	must(answer->status != HELPER_WAITS);
	must(target.helper.sealed[stream] + target.helper.opened[stream] == seals + opens + done);
	must(!done || slot.command != HELPER_OPEN || is_right);
	if (!done || slot.command != HELPER_OPEN)
		must(memcmp(target.memory, before, PAIR_BYTES) == 0);
	else
		must(memcmp(target.memory + slot.gpa, source.memory + slot.gpa, HELPER_PAGE_BYTES) == 0);
	memcpy(before, target.memory, PAIR_BYTES);
	/* A record that was not taken is made anew, so that later ones can be right. */
	source.helper.sealed[stream] = target.helper.opened[stream];
}

static void must_be_untouched(uint64_t first, uint64_t end)
{
	for (uint64_t at = first; at < end; at++)
		must(target.memory[at] == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	pair_start(form());
	memset(before, 0, sizeof(before));
	for (; size >= ASK_BYTES; data += ASK_BYTES, size -= ASK_BYTES)
		ask(data);
	must_be_untouched(0, 0x1000);
	must_be_untouched(0x8000, 0x10000);
	if (size > 3)
		target.ring.produced += (uint32_t)number(data, 4);
	must(helper_serve(&target.helper) <= HELPER_SLOTS);
	return 0;
}

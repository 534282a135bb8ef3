/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring of the migration helper, written by a hostile host: requests of any content, with pages that
 * another helper has sealed, or that it has not. Nothing outside the helper's ranges changes, its memory
 * changes only by records that are right, and numbers rise by one.
 *
 * The input's first bytes say where the keys come from: two that the helpers are given, or those that both
 * make of a root key that their owner has injected. A host that tells the target a byte of the terms
 * otherwise than the source gets keys that open nothing.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "support/helper_forms.h"
#include "support/helper_pair.h"
#include "vmm/abi/sev_launch.h"

#define ASK_BYTES 24u

/* The head of the input. */
static struct {
	uint8_t has_root;
	uint8_t at, change; /* of the target's terms: which byte, and its difference */
} head;

static uint8_t before[PAIR_BYTES];
static bool is_agreed; /* what one end seals the other opens */

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

/* ---- keys ---- */

/* The same numbers for the same input. */
static bool random_number(uint64_t *ret_value)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005u + 1442695040888963407u;
	*ret_value = state;
	return true;
}

static void inject_root(struct end *end)
{
	const size_t bytes = sizeof(struct abi_secret_header);
	const struct abi_secret_header table = {
	        ABI_SECRET_TABLE_GUID, (uint32_t)(2 * bytes + HELPER_ROOT_BYTES)};
	const struct abi_secret_header root = {HELPER_ROOT_GUID, (uint32_t)(bytes + HELPER_ROOT_BYTES)};

	memcpy(end->secret, &table, bytes);
	memcpy(end->secret + bytes, &root, bytes);
	memset(end->secret + 2 * bytes, 0x5a, HELPER_ROOT_BYTES);
}

static struct helper_hello greet(struct end *end)
{
	const struct helper_slot *slot = end_ask(end, (struct helper_slot){.command = HELPER_HELLO}, NULL);
	struct helper_hello hello;

	must(slot->status == HELPER_DONE);
	memcpy(&hello, end_page(end, slot), sizeof(hello));
	return hello;
}

static enum helper_status tell(struct end *end, const struct helper_terms *terms)
{
	static uint8_t page[HELPER_PAGE_BYTES];

	memcpy(page, terms, sizeof(*terms));
	return end_ask(end, (struct helper_slot){.command = HELPER_KEYS}, page)->status;
}

static void agree(void)
{
	struct helper_hello of_source = greet(&source), of_target = greet(&target);
	struct helper_terms terms = {.role = HELPER_SOURCE, .policy = 1, .move = "a move"};
	bool told;

	memcpy(terms.peer_nonce, of_target.nonce, sizeof(terms.peer_nonce));
	must(tell(&source, &terms) == HELPER_DONE);
	terms.role = HELPER_TARGET;
	memcpy(terms.peer_nonce, of_source.nonce, sizeof(terms.peer_nonce));
	((uint8_t *)&terms)[head.at % sizeof(terms)] ^= head.change;
	told = tell(&target, &terms) == HELPER_DONE;
	must(told || terms.role != HELPER_TARGET || terms.reserved);
	must(told == target.helper.has_keys);
	is_agreed = told && !head.change;
}

static void renew(void)
{
	if (head.has_root & 1) {
		agree();
		return;
	}
	pair_keys(form());
	is_agreed = true;
}

static void start(void)
{
	pair_start(form());
	if (head.has_root & 1) {
		source.helper.random = target.helper.random = random_number;
		inject_root(&source);
		inject_root(&target);
	}
	renew();
	memset(before, 0, sizeof(before));
}

/* ---- requests ---- */

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

/* Requests about keys touch no page, and leave keys only where the owner has injected a root. */
static void talk(struct helper_slot slot, const uint8_t *data)
{
	static uint8_t page[HELPER_PAGE_BYTES];
	const struct helper_slot *answer;
	bool had_keys = target.helper.has_keys, was_greeted = target.helper.greeted;

	memcpy(page, data, ASK_BYTES);
	answer = end_ask(&target, slot, page);
	must(answer->status != HELPER_WAITS && answer->status != HELPER_NO_RANDOM);
	must(slot.command != HELPER_KEYS || answer->status != HELPER_DONE ||
	        (was_greeted && head.has_root & 1));
	must(memcmp(target.memory, before, PAIR_BYTES) == 0);
	if (answer->status == HELPER_DONE)
		is_agreed = false;
	else
		must(target.helper.has_keys == had_keys && target.helper.greeted == was_greeted);
	if (!target.helper.has_keys)
		must(end_ask(&target,
		             (struct helper_slot){.command = HELPER_SEAL, .stream = 1, .gpa = 0x1000}, NULL)
		                ->status == HELPER_NO_KEYS);
	if (data[23] & 2)
		renew();
}

/* What the target has answered to a request for a record, whose page was right or not. */
static void judge(const struct helper_slot *slot, const struct helper_slot *answer, bool is_right)
{
	bool done = answer->status == HELPER_DONE;

	must(answer->status != HELPER_WAITS);
	must(!done || target.helper.has_keys);
	must(!done || slot->command == HELPER_SEAL || slot->command == HELPER_END_SEAL ||
	        (is_right && is_agreed));
	if (!done || slot->command != HELPER_OPEN)
		must(memcmp(target.memory, before, PAIR_BYTES) == 0);
	else
		must(memcmp(target.memory + slot->gpa, source.memory + slot->gpa, HELPER_PAGE_BYTES) == 0);
	memcpy(before, target.memory, PAIR_BYTES);
}

/* The source opens what the target has sealed, if it is told the number. */
static void bring_back(const struct helper_slot *answer)
{
	struct helper_slot slot = *answer;
	enum helper_status status;

	source.helper.opened[slot.stream] = slot.number;
	slot.command = HELPER_OPEN;
	status = end_ask(&source, slot, end_page(&target, answer))->status;
	must((status == HELPER_DONE) == is_agreed);
	must(!is_agreed ||
	        memcmp(target.memory + slot.gpa, source.memory + slot.gpa, HELPER_PAGE_BYTES) == 0);
}

static void ask(const uint8_t *data)
{
	struct helper_slot slot = slot_of(data), sealed;
	const struct helper_slot *made, *answer;
	uint16_t stream;
	uint64_t seals, opens;
	bool is_right = data[23] & 1;

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
	        .command = slot.command == HELPER_END_OPEN ? HELPER_END_SEAL : HELPER_SEAL,
	        .stream = slot.stream,
	        .pass = slot.pass,
	        .gpa = slot.gpa};
	made = end_ask(&source, sealed, NULL);
	if (is_right && made->status == HELPER_DONE) {
		memcpy(slot.tag, made->tag, sizeof(slot.tag));
		slot.number = made->number;
	}
	answer = end_ask(&target, slot, end_page(&source, made));
	must(target.helper.sealed[stream] + target.helper.opened[stream] ==
	        seals + opens + (answer->status == HELPER_DONE));
	judge(&slot, answer, is_right);
	/* A record that was not taken is made anew, so that later ones can be right. */
	source.helper.sealed[stream] = target.helper.opened[stream];
	source.helper.seal_ended[stream] = target.helper.open_ended[stream];
	if (slot.command == HELPER_SEAL && answer->status == HELPER_DONE)
		bring_back(answer);
}

static void must_be_untouched(uint64_t first, uint64_t end)
{
	for (uint64_t at = first; at < end; at++)
		must(target.memory[at] == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < sizeof(head))
		return 0;
	memcpy(&head, data, sizeof(head));
	data += sizeof(head);
	size -= sizeof(head);
	start();
	for (; size >= ASK_BYTES; data += ASK_BYTES, size -= ASK_BYTES)
		ask(data);
	must_be_untouched(0, 0x1000);
	must_be_untouched(0x8000, 0x10000);
	if (size > 3)
		target.ring.produced += (uint32_t)number(data, 4);
	must(helper_serve(&target.helper) <= HELPER_SLOTS);
	return 0;
}

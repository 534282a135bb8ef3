/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_control: what a hostile client sends: the bytes behind the first as a stream of requests, in pieces
 * whose size the first byte says, and each value in it as the arguments of every command. The values must be
 * the same however the bytes are cut, memory is bounded, and a check says what is wrong or nothing.
 */
#include <string.h>

#include "../../src/control/control.h"
#include "fuzz.h"

/* Checks a value as arguments of all commands. */
static void check_arguments(const char *text, size_t size)
{
	json_t *value = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);

	for (size_t i = 0; i < control_commands_count; i++) {
		struct err err = {0};
		int result = control_check_arguments(control_commands[i].arguments, value, &err);

		fuzz_assert(result == 0 ? !err.kind : err.kind == ERR_USAGE && *err.text);
		fuzz_assert(!json_object_size(value) || control_commands[i].arguments || result < 0);
	}
	json_decref(value);
}

struct tally {
	size_t values, mistakes, bytes;
	uint64_t sum; /* of all bytes of all values */
};

static void take(struct control_frame *frame, bool check, struct tally *tally)
{
	size_t size;
	auto_free char *text = control_frame_take(frame, &size);

	fuzz_assert(size > 0 && size <= CONTROL_FRAME_MAX_BYTES + 8 && text[size] == '\0');
	tally->values++;
	tally->bytes += size;
	for (size_t i = 0; i < size; i++)
		tally->sum = tally->sum * 31 + (uint8_t)text[i];
	if (check)
		check_arguments(text, size);
}

static struct tally read_stream(const uint8_t *data, size_t size, size_t piece, bool check)
{
	struct control_frame frame = {0};
	struct tally tally = {0};

	for (size_t at = 0; at < size; at += piece) {
		const uint8_t *bytes = data + at;
		size_t left = size - at < piece ? size - at : piece;

		while (left) {
			const char *why = NULL;
			enum control_frame_result result = control_frame_feed(&frame, &bytes, &left, &why);

			fuzz_assert(
			        result != CONTROL_FRAME_NO_MEMORY && (result == CONTROL_FRAME_BAD) == !!why);
			fuzz_assert(result != CONTROL_FRAME_MORE || !left);
			if (result == CONTROL_FRAME_WHOLE)
				take(&frame, check, &tally);
			tally.mistakes += result == CONTROL_FRAME_BAD;
		}
		fuzz_assert(frame.room <= 2 * CONTROL_FRAME_MAX_BYTES);
	}
	control_frame_finish(&frame);
	return tally;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tally whole, pieces;

	if (!size)
		return 0;
	whole = read_stream(data + 1, size - 1, size, true);
	pieces = read_stream(data + 1, size - 1, data[0] % 16 + 1u, false);
	fuzz_assert(memcmp(&whole, &pieces, sizeof(whole)) == 0);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harm: what must be true of both guests of a test, whatever happens to the connection between them.
 */
#ifndef TEST_MIGRATE_HARM_H
#define TEST_MIGRATE_HARM_H

#include "guest.h"

/* What may never be, and what must be. */
static void check_outcome(void)
{
	if (source.runs && target.runs)
		fail_msg("the guest runs twice");
	if (target.runs && !are_equal())
		fail_msg("the guest runs on wrong memory");
	if (target.runs)
		assert_true(source.gave);
	if (source.gave)
		assert_true(target.said_ready);
	switch (source.result) {
	case MIGRATE_STAYS: assert_true(source.runs && !target.took && !source.logs); break;
	case MIGRATE_GONE: assert_true(!source.runs && source.gave && target.took); break;
	case MIGRATE_DOUBT: assert_true(!source.runs && source.gave); break;
	case MIGRATE_SPLIT: fail_msg("no memory was to come late"); break;
	}
	if (target.result == MIGRATE_DOUBT)
		assert_true(target.said_ready && !target.runs);
	if (source.result == MIGRATE_STAYS || target.result == MIGRATE_STAYS ||
	        source.result == MIGRATE_DOUBT || target.result == MIGRATE_DOUBT)
		return;
	assert_true(target.runs);
}

/* Does this to every frame of a side in turn, until there is no such frame. */
static void harm_all(enum harm harm, unsigned from, unsigned bits)
{
	bool done = true;

	for (unsigned at = 0; done; at++) {
		for (unsigned bit = 0; bit < bits && done; bit++) {
			make_guests();
			source.rounds = 2;
			/* Bits of the header, then some of the payload. */
			done = move(harm, from, at, bit < 4 ? bit * 67 : bit * 9973 + at, false);
			check_outcome();
			/* A target in doubt whose source has the guest is for the operator. */
			if (source.result == MIGRATE_DOUBT) {
				move(NO_HARM, 0, 0, 0, true);
				check_outcome();
				if (source.gave && !target.runs)
					fail_msg("the doubt did not end: %s; %s", source.err.text,
					        target.err.text);
			}
			free_guests();
		}
		assert_true(at < 1000);
	}
}

#endif

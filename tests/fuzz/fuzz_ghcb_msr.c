/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_ghcb_msr: random values in the GHCB's MSR of a guest that executes VMGEXIT. Input: the version of the
 * protocol, then the values, 8 bytes each.
 */
#include "../unit/sim/ghcb_guest.h"
#include "fuzz.h"

#define VALUES_MAX 64u

static struct machine machine;
static struct guest guests[2];

static struct guest *guest_of(unsigned i)
{
	static const struct sim_options milan = {.product = "Milan", .seed = 1};
	struct guest *g = &guests[i];

	if (g->m)
		return g;
	if (!machine.host)
		machine_open(&machine, &milan);
	ghcb_make(g, &machine, (uint16_t)(i + 1));
	guest_add_vcpu(g);
	ghcb_launch(g);
	return g;
}

/* The low bits of an answer by those of the request; what has no answer stays as it is. */
static uint64_t code_of_answer(uint64_t asked)
{
	switch (asked & ABI_GHCB_MSR_CODE) {
	case ABI_GHCB_MSR_INFO_ASK: return ABI_GHCB_MSR_INFO;
	case ABI_GHCB_MSR_CPUID_ASK: return ABI_GHCB_MSR_CPUID;
	case ABI_GHCB_MSR_RESET_HOLD_ASK: return ABI_GHCB_MSR_RESET_HOLD;
	case ABI_GHCB_MSR_FEATURES_ASK: return ABI_GHCB_MSR_FEATURES;
	default: return asked & ABI_GHCB_MSR_CODE;
	}
}

static bool ends_guest(uint64_t asked)
{
	uint64_t code = asked & ABI_GHCB_MSR_CODE;

	return code == ABI_GHCB_MSR_TERMINATE || code == ABI_GHCB_MSR_PREFERRED_ASK ||
	       code == ABI_GHCB_MSR_REGISTER_ASK || code == ABI_GHCB_MSR_PSC_ASK;
}

static void try_value(struct guest *g, uint64_t asked)
{
	uint64_t code = code_of_answer(asked), answer;

	note_of(g)->msr = asked;
	if (ends_guest(asked)) {
		runs_to(g, KVM_EXIT_SYSTEM_EVENT);
		fuzz_assert(g->run->system_event.data[0] == asked);
	} else if (code == ABI_GHCB_MSR_RESET_HOLD && code != (asked & ABI_GHCB_MSR_CODE)) {
		runs_to(g, KVM_EXIT_AP_RESET_HOLD);
	}
	runs_to_halt(g);
	answer = note_of(g)->msr_after;
	fuzz_assert((answer & ABI_GHCB_MSR_CODE) == code);
	fuzz_assert(code != (asked & ABI_GHCB_MSR_CODE) || answer == asked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct guest *g = guest_of(size ? data[0] & 1 : 0);

	for (size_t at = 1, n = 0; n < VALUES_MAX && at + 8 <= size; at += 8, n++) {
		uint64_t value = load_le(data + at, 8);

		/* Pages are fuzz_ghcb's; a page that is the guest's code would end it. */
		try_value(g, value & ABI_GHCB_MSR_CODE ? value : value | ABI_GHCB_MSR_CODE);
	}
	return 0;
}

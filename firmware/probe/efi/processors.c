/* SPDX-License-Identifier: Apache-2.0 */
/*
 * processors: how many there are, and what each says for itself of its encryption.
 */
#include "facts.h"

#define PATIENCE_US 60000000

struct answers {
	bool has_sev;
	uint64_t sev_status;
	volatile uint32_t count, same; /* changed by all processors */
};

static void EFIAPI answer(void *argument)
{
	struct answers *answers = argument;

	if (!answers->has_sev || rdmsr(MSR_SEV_STATUS) == answers->sev_status)
		__atomic_add_fetch(&answers->same, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&answers->count, 1, __ATOMIC_SEQ_CST);
}

void facts_processors(const struct guest *guest)
{
	EFI_GUID guid = EFI_MP_SERVICES_PROTOCOL_GUID;
	EFI_MP_SERVICES_PROTOCOL *mp;
	struct answers answers = {.has_sev = guest->has_sev, .sev_status = guest->sev_status};
	size_t total, enabled;
	void *found;

	if (guest->system->BootServices->LocateProtocol(&guid, NULL, &found)) {
		print_null("processors");
		return;
	}
	mp = found;
	if (mp->GetNumberOfProcessors(mp, &total, &enabled))
		total = enabled = 0;
	answer(&answers);
	if (enabled > 1)
		(void)mp->StartupAllAPs(mp, answer, false, NULL, PATIENCE_US, &answers, NULL);
	print_open("processors", '{');
	print_number("total", total);
	print_number("enabled", enabled);
	print_number("answered", answers.count);
	print_bool("same-sev-status", answers.same == answers.count);
	print_close('}');
}

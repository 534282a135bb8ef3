/*
 * host_show: prints what a host offers, for people and for tools.
 */
#ifndef VMM_CLI_HOST_SHOW_H
#define VMM_CLI_HOST_SHOW_H

#include "vmm/launch.h"

struct cli_host_offer {
	bool simulated; /* it is the software platform */
	bool opened;    /* there is a KVM of the version that vmm knows; usable: it has all that vmm needs */
	bool usable;
	struct err reason; /* why it is not usable */
	int values[32];    /* a value for each row of call_capabilities */
	bool id_known;
	uint8_t id[64];       /* of the chip (SEV_GET_ID2) */
	struct err id_reason; /* why it is not known */
	struct facts facts;
};

void cli_host_print_words(const struct cli_host_offer *offer);
int cli_host_print_json(const struct cli_host_offer *offer, struct err *err) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_show: prints what a host offers, for people and for tools.
 */
#ifndef VMM_CLI_HOST_SHOW_H
#define VMM_CLI_HOST_SHOW_H

#include "hosts.h"
#include "vmm/json.h"
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

/* ---- what both ways of printing it need (host_offer.c) ---- */

struct cli_host_generation {
	const char *name, *key; /* for people and for tools */
	uint32_t cpuid;         /* its bit in CPUID 8000001F EAX */
	unsigned vm_type;
	enum product_asid_kind asids;
};

#define CLI_HOST_GENERATIONS 3
extern const struct cli_host_generation cli_host_generations[CLI_HOST_GENERATIONS];

/* Does KVM offer the generation with this index? */
bool cli_host_offers(const struct facts *facts, size_t i);
/*
 * Returns why KVM does not offer a generation that the processor has; NULL if KVM offers it, or if the reason
 * cannot be seen.
 */
const char *cli_host_why_not(const struct facts *facts, size_t i);
enum product_tcb_layout cli_host_tcb_layout(const struct facts *facts);
/* Returns the name of a platform's state; NULL if the specification does not name the state. */
const char *cli_host_state_name(uint8_t state);
/*
 * Writes the VCEK's address, which depends on the product and the reported TCB. It is "" if the chip has no
 * SEV-SNP.
 */
void cli_host_vcek_url(const struct cli_host_offer *offer, char ret_url[static ATTEST_URL_BYTES]);

/* ---- printing ---- */

void cli_host_print_words(const struct cli_host_offer *offer);
int cli_host_print_json(const struct cli_host_offer *offer, struct err *err) MUST_CHECK;
/* Makes the document that cli_host_print_json() prints; NULL if no memory is left. The caller decrefs it. */
json_t *cli_host_make_json(const struct cli_host_offer *offer);
/* Are the options --format and --json right? ERR_USAGE otherwise. */
int cli_host_format_check(const struct cli_args *args, struct err *err) MUST_CHECK;
/* Prints the IDs of confidential guests in a format that was checked: "prometheus" or "nfd". */
void cli_host_print_format(const struct cli_host_offer *offer, const char *name);
/* Asks the host and makes the document. NULL with err. */
json_t *cli_host_report(const struct cli_hosts *hosts, const struct config *config, struct err *err);

#endif

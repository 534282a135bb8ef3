/*
 * host: `vmm host`, what this machine offers, or exactly why not. Main thread.
 */
#include <jansson.h>

#include "vmm/call.h"

#include "hosts.h"
#include "verbs.h"

/* What was found out. */
struct offer {
	bool usable;
	int values[32]; /* of call_capabilities, in its order */
};

static void ask(struct host *host, struct offer *offer, struct err *reason)
{
	int fd = -1;

	if (call_kvm_open(host, &fd, reason) < 0)
		return;
	for (size_t i = 0; call_capabilities[i].name && i < ARRAY_LEN(offer->values); i++)
		offer->values[i] = call_capability(host, fd, call_capabilities[i].capability);
	offer->usable = call_kvm_check(host, fd, reason) == 0;
	host_close(host, fd);
}

static void print_words(const struct offer *offer, const struct err *reason)
{
	printf("KVM: %s%s\n",
	        offer->usable ? "usable, API version 12" : "not usable: ", offer->usable ? "" : reason->text);
	for (size_t i = 0; call_capabilities[i].name; i++) {
		const struct call_capability_row *row = &call_capabilities[i];

		if (offer->values[i] > 1)
			printf("  %-33s %-6d %s\n", row->name, offer->values[i], row->use);
		else if (offer->usable || offer->values[i])
			printf("  %-33s %-6s %s\n", row->name, offer->values[i] ? "yes" : "no", row->use);
	}
}

static int print_json(const struct offer *offer, const struct err *reason, struct err *err)
{
	json_t *capabilities = json_object(), *root = NULL;
	int result = 0;

	for (size_t i = 0; call_capabilities[i].name; i++)
		json_object_set_new(capabilities, call_capabilities[i].name, json_integer(offer->values[i]));
	root = json_pack("{s:{s:b, s:s?, s:o}}", "kvm", "usable", offer->usable, "reason",
	        offer->usable ? NULL : reason->text, "capabilities", capabilities);
	if (!root || json_dumpf(root, stdout, JSON_INDENT(2)) < 0)
		result = err_set(err, ERR_FAILED, "the answer could not be written");
	printf("\n");
	json_decref(root);
	return result;
}

static int run_verb(const struct cli_args *args, struct err *err)
{
	struct offer offer = {0};
	struct err reason = {0};
	struct config config = {.host = CONFIG_HOST_KVM};
	struct cli_hosts hosts = {0};
	int result = cli_host_word(cli_value(args, "host"), &config.host, err);

	if (result == 0)
		result = cli_hosts_open(&hosts, &config, NULL, err);
	if (result == 0)
		ask(hosts.host, &offer, &reason);
	cli_hosts_close(&hosts);
	if (result < 0)
		return -1;
	if (!cli_given(args, "json"))
		print_words(&offer, &reason);
	else if (print_json(&offer, &reason, err) < 0)
		return -1;
	return offer.usable ? 0 : ERR_HOST;
}

static const struct cli_option options[] = {
        CLI_OPTION_JSON,
        CLI_OPTION_HOST,
        {0},
};

const struct cli_verb cli_verb_host = {
        .name = "host",
        .operands = "",
        .summary = "say what this machine offers, or exactly why not",
        .help = "The exit status is 4 when no guest can run here.",
        .options = options,
        .run = run_verb,
};

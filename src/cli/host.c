/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host: `vmm host` says what this machine offers, or why it offers nothing. Main thread.
 */
#include <errno.h>

#include "vmm/call.h"

#include "host_certs.h"
#include "host_show.h"
#include "hosts.h"
#include "verbs.h"

static void ask(const struct cli_hosts *hosts, const struct config *config, struct cli_host_offer *offer)
{
	const struct facts_process *process = cli_hosts_process(hosts);
	struct facts_process own;
	int fd = -1;

	if (!process)
		facts_process_own(config->cgroup, &own);
	facts_gather(hosts->host, process ?: &own, &offer->facts);
	if (call_kvm_open(hosts->host, &fd, &offer->reason) < 0)
		return;
	offer->opened = true;
	for (size_t i = 0; call_capabilities[i].name && i < ARRAY_LEN(offer->values); i++)
		offer->values[i] = call_capability(hosts->host, fd, call_capabilities[i].capability);
	offer->usable = call_kvm_check(hosts->host, fd, &offer->reason) == 0;
	host_close(hosts->host, fd);
}

/* Asks for the chip's id, by which AMD's key server knows the chip. */
static void ask_id(struct host *host, struct cli_host_offer *offer)
{
	int fd;

	if (call_platform_open(host, &fd, &offer->id_reason) < 0)
		return;
	offer->id_known = call_platform_id(host, fd, offer->id, &offer->id_reason) == 0;
	host_close(host, fd);
}

json_t *cli_host_report(const struct cli_hosts *hosts, const struct config *config, struct err *err)
{
	auto_free struct cli_host_offer *offer = calloc(1, sizeof(*offer));

	if (!offer)
		return NULL;
	offer->simulated = hosts->sim;
	ask(hosts, config, offer);
	ask_id(hosts->host, offer);
	return cli_host_make_json(offer);
}

static int show(const struct cli_args *args, const struct cli_hosts *hosts, const struct config *config,
        struct err *err)
{
	auto_free struct cli_host_offer *offer = calloc(1, sizeof(*offer));

	if (!offer)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for what the host offers");
	if (cli_host_certificates_write(args, hosts, err) < 0)
		return -1;
	offer->simulated = hosts->sim;
	ask(hosts, config, offer);
	ask_id(hosts->host, offer);
	if (cli_given(args, "format"))
		cli_host_print_format(offer, cli_value(args, "format"));
	else if (!cli_given(args, "json"))
		cli_host_print_words(offer);
	else if (cli_host_print_json(offer, err) < 0)
		return -1;
	return offer->usable ? 0 : ERR_HOST;
}

static int run_verb(const struct cli_args *args, struct err *err)
{
	struct cli_hosts hosts = {0};
	bool for_tools = cli_given(args, "json") || cli_given(args, "format");
	struct config *config;
	int result;

	if (cli_host_format_check(args, err) < 0 || cli_config_load_bare(args, &config, err) < 0)
		return -1;
	result = cli_host_word(cli_value(args, "host"), &config->host, err);
	if (result == 0)
		result = cli_hosts_open(&hosts, config, NULL, for_tools ? stderr : stdout, err);
	if (result == 0)
		result = show(args, &hosts, config, err);
	cli_hosts_close(&hosts);
	config_destroy(config);
	return result;
}

static const struct cli_option options[] = {
        CLI_OPTION_SET,
        CLI_OPTION_JSON,
        {"format", "prometheus|nfd",
                "Print how many confidential guests of each kind this host can have, for programs that place "
                "guests. prometheus: the text that node-exporter reads from files. nfd: local features of "
                "Kubernetes' Node Feature Discovery."},
        CLI_OPTION_HOST,
        CLI_OPTIONS_CERTS,
        {0},
};

const struct cli_verb cli_verb_host = {
        .name = "host",
        .operands = "",
        .summary = "say what this machine offers, or exactly why not",
        .help = "Prints generations, ASIDs (by the misc controller of this process's cgroup, or of the one "
                "that the key cgroup names), the secure processor's firmware, and KVM's capabilities. The "
                "exit status is 4 when no guest can run here.",
        .options = options,
        .run = run_verb,
};

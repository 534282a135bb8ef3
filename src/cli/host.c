/*
 * host: `vmm host`, what this machine offers, or exactly why not. Main thread.
 */
#include <errno.h>

#include "vmm/call.h"

#include "host_show.h"
#include "hosts.h"
#include "owner.h"
#include "verbs.h"

static void ask(const struct cli_hosts *hosts, const struct config *config, struct host_offer *offer)
{
	const struct launch_process *process = cli_hosts_process(hosts);
	struct launch_process own;
	int fd = -1;

	if (!process)
		launch_process_own(config->cgroup, &own);
	launch_facts_gather(hosts->host, process ?: &own, &offer->facts);
	if (call_kvm_open(hosts->host, &fd, &offer->reason) < 0)
		return;
	offer->opened = true;
	for (size_t i = 0; call_capabilities[i].name && i < ARRAY_LEN(offer->values); i++)
		offer->values[i] = call_capability(hosts->host, fd, call_capabilities[i].capability);
	offer->usable = call_kvm_check(hosts->host, fd, &offer->reason) == 0;
	host_close(hosts->host, fd);
}

/* What a guest's owner makes a session with: the PDH, and its chain but for AMD's own part. */
static int export_certificates(struct host *host, const char *path, struct err *err)
{
	struct {
		struct abi_sev_cert pdh;
		struct abi_sev_cert_chain chain;
	} ABI_PACKED certs;
	const struct owner_file file = {"certificates", path, &certs, sizeof(certs)};
	int fd, result;

	if (call_platform_open(host, &fd, err) < 0)
		return -1;
	result = call_platform_certificates(host, fd, &certs.pdh, &certs.chain, err);
	host_close(host, fd);
	return result < 0 ? -1 : owner_files_write(&file, 1, err);
}

static int show(const struct cli_args *args, const struct cli_hosts *hosts, const struct config *config,
        struct err *err)
{
	auto_free struct host_offer *offer = calloc(1, sizeof(*offer));

	if (!offer)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for what the host offers");
	if (cli_given(args, "certificates") &&
	        export_certificates(hosts->host, cli_value(args, "certificates"), err) < 0)
		return -1;
	offer->simulated = hosts->sim;
	ask(hosts, config, offer);
	if (!cli_given(args, "json"))
		host_print_words(offer);
	else if (host_print_json(offer, err) < 0)
		return -1;
	return offer->usable ? 0 : ERR_HOST;
}

static int run_verb(const struct cli_args *args, struct err *err)
{
	struct cli_hosts hosts = {0};
	struct config *config;
	int result;

	if (cli_config_load_bare(args, &config, err) < 0)
		return -1;
	result = cli_host_word(cli_value(args, "host"), &config->host, err);
	if (result == 0)
		result = cli_hosts_open(&hosts, config, NULL, cli_given(args, "json") ? stderr : stdout, err);
	if (result == 0)
		result = show(args, &hosts, config, err);
	cli_hosts_close(&hosts);
	config_destroy(config);
	return result;
}

static const struct cli_option options[] = {
        CLI_OPTION_SET,
        CLI_OPTION_JSON,
        CLI_OPTION_HOST,
        {"certificates", "FILE",
                "Write the platform's certificates (PDH, PEK, OCA, CEK) to FILE, which must not exist: what "
                "the owner of a SEV or SEV-ES guest makes a session with."},
        {0},
};

const struct cli_verb cli_verb_host = {
        .name = "host",
        .operands = "",
        .summary = "say what this machine offers, or exactly why not",
        .help = "Generations, ASIDs (by the misc controller of this process's cgroup, or of the one that the "
                "key cgroup names), the secure processor's firmware, and KVM's capabilities. The exit status "
                "is 4 when no guest can run here.",
        .options = options,
        .run = run_verb,
};

/*
 * hosts: which host a verb works on: the kernel, or at the user's word the software platform.
 */
#ifndef VMM_CLI_HOSTS_H
#define VMM_CLI_HOSTS_H

#include "cli.h"
#include "vmm/config.h"
#include "vmm/device.h"
#include "vmm/host.h"
#include "vmm/launch.h"

/* Zeroed before cli_hosts_open(); cli_hosts_close() in any case. */
struct cli_hosts {
	struct host *host;   /* what the verb uses: traced if a trace was asked for */
	struct host *real;   /* what stands behind */
	struct host *traced; /* NULL: no trace */
	FILE *trace;
	bool sim;
	struct launch_process process; /* on the software platform, where the configuration says what it is */
	bool own_time;                 /* the guest's time is not this computer's: */
	struct device_clock clock;
};

/*
 * trace: a file for a line per kernel call; NULL: none. tell gets CLI_SIMULATED on the software platform,
 * before anything else is printed: standard output if the verb answers there in words, else standard error.
 */
int cli_hosts_open(struct cli_hosts *hosts, const struct config *config, const char *trace, FILE *tell,
        struct err *err) MUST_CHECK;
/* Are the keys below "sim" what the software platform takes? ERR_USAGE names the one that is not. */
int cli_sim_check(const struct config *config, struct err *err) MUST_CHECK;
/* The guest's time, NULL: this computer's. */
const struct device_clock *cli_hosts_clock(const struct cli_hosts *hosts);
/* What counts the host's guests and limits this process there, NULL: this process's own. */
const struct launch_process *cli_hosts_process(const struct cli_hosts *hosts);
/* What the software platform has to tell at the end, to the log. */
void cli_hosts_close(struct cli_hosts *hosts);

/* --host kvm|sim, where a verb has it; the word goes over the configuration's. */
#define CLI_OPTION_HOST \
	{ \
		"host", "kvm|sim", \
		        "kvm: this machine's KVM. sim: KVM, secure processor and CPU are simulated in the " \
		        "process, which needs no /dev/kvm and protects nothing." \
	}
/* ERR_USAGE for another word; nothing if word is NULL. */
int cli_host_word(const char *word, enum config_host *host, struct err *err) MUST_CHECK;

#endif

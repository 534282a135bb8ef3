/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hosts: the host that a verb works on, which is the kernel or, if the user says so, the software platform.
 */
#ifndef VMM_CLI_HOSTS_H
#define VMM_CLI_HOSTS_H

#include "cli.h"
#include "vmm/config.h"
#include "vmm/control.h"
#include "vmm/device.h"
#include "vmm/host.h"
#include "vmm/launch.h"

/* Zero it before cli_hosts_open(), and call cli_hosts_close() in any case. */
struct cli_hosts {
	struct host *host;   /* what the verb uses: real, or traced if a trace was asked for */
	struct host *real;   /* the kernel or the software platform */
	struct host *traced; /* NULL if there is no trace */
	FILE *trace;
	bool sim;
	struct facts_process process; /* for the software platform, from the configuration */
	bool own_time;                /* the guest has clock's time, not this computer's */
	struct device_clock clock;
	struct control_platform platform; /* for controllers of guests on the software platform */
};

/*
 * Opens the host. trace is a file that gets a line per kernel call, or NULL. On the software platform
 * CLI_SIMULATED is printed to tell before anything else: tell is standard output if the verb prints words
 * there, otherwise standard error.
 */
int cli_hosts_open(struct cli_hosts *hosts, const struct config *config, const char *trace, FILE *tell,
        struct err *err) MUST_CHECK;
/* Checks the keys below "sim". ERR_USAGE names the one that the software platform does not take. */
int cli_sim_check(const struct config *config, struct err *err) MUST_CHECK;
/*
 * Writes the keys below "sim" as sim_options_text() does, for another process; the caller frees the text.
 * ERR_USAGE names the key that the software platform does not take.
 */
int cli_sim_text(const struct config *config, char **ret_text, struct err *err) MUST_CHECK;
/* Returns the guest's clock, or NULL if the guest has this computer's time. */
const struct device_clock *cli_hosts_clock(const struct cli_hosts *hosts);
/* Returns the cgroup and the limits of this process on the software platform, or NULL if its own apply. */
const struct facts_process *cli_hosts_process(const struct cli_hosts *hosts);
/* Returns what controllers can do with the software platform, or NULL on another host. */
const struct control_platform *cli_hosts_platform(const struct cli_hosts *hosts);
/* Closes the host. The software platform logs its figures. */
void cli_hosts_close(struct cli_hosts *hosts);

/* The option --host kvm|sim, which goes over the configuration's key. */
#define CLI_OPTION_HOST \
	{ \
		"host", "kvm|sim", \
		        "kvm: this machine's KVM. sim: KVM, secure processor and CPU are simulated in the " \
		        "process, which needs no /dev/kvm and protects nothing." \
	}
/* Reads the word of --host. ERR_USAGE if it is neither of the two. Does nothing if word is NULL. */
int cli_host_word(const char *word, enum config_host *host, struct err *err) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run: `vmm run` goes from a configuration to the exit status. Main thread.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/back/address.h"
#include "vmm/config.h"
#include "vmm/control.h"
#include "vmm/host.h"
#include "vmm/migrate.h"
#include "vmm/page/missing.h"
#include "vmm/run.h"
#include "vmm/sandbox.h"

#include "dry_run.h"
#include "host_show.h"
#include "hosts.h"
#include "owner.h"
#include "service.h"
#include "terminal.h"
#include "verbs.h"

/* Before any thread is made. */
static int start_sandbox(const struct cli_hosts *hosts, const struct config *config, struct err *err)
{
	const struct sandbox_setup setup = {.simulated = hosts->sim,
	        .certificates = *config->sev.certificates,
	        .on_end = cli_terminal_restore};

	return config->run.sandbox ? sandbox_start(&setup, err) : 0;
}

struct host_place {
	const struct cli_hosts *hosts;
	const struct config *config;
};

static json_t *report_host(void *ctx, struct err *err)
{
	const struct host_place *place = ctx;

	return cli_host_report(place->hosts, place->config, err);
}

/* What the command line says beside the configuration. */
struct run_words {
	const struct run_script *script; /* --expect */
	const char *incoming;            /* --incoming; NULL: the guest begins here */
	bool again;                      /* --load-again */
};

/* Where a guest comes from that another vmm sends. */
struct arrival {
	int fd;
	bool listens;
	int missing_fd;             /* for memory that comes late; -1: this host gives none */
	struct file_made made;      /* the socket file */
	struct migrate_file *saved; /* the file in which the guest is; NULL: it comes from a vmm */
};

/* Before the sandbox, which lets no socket be made. */
static int open_arrival(const struct run_words *words, struct arrival *ret_arrival, struct err *err)
{
	const char *path = words->incoming ? migrate_file_path(words->incoming) : NULL;

	struct err why;

	*ret_arrival = (struct arrival){.fd = -1, .missing_fd = -1};
	if (words->again && !path)
		return err_set(err, ERR_USAGE, "--load-again is for --incoming file:PATH");
	if (path)
		return migrate_file_open(path, words->again, &ret_arrival->saved, err);
	if (!words->incoming)
		return 0;
	if (page_missing_open(&ret_arrival->missing_fd, &why) < 0)
		log_debug("%s", why.text);
	return back_address_listen(
	        words->incoming, &ret_arrival->fd, &ret_arrival->listens, &ret_arrival->made, err);
}

static void close_arrival(struct arrival *arrival)
{
	file_made_remove(&arrival->made);
	migrate_file_close(take_ptr(&arrival->saved));
	if (arrival->fd >= 0)
		close(take_fd(&arrival->fd));
	if (arrival->missing_fd >= 0)
		close(take_fd(&arrival->missing_fd));
}

/* Runs the guest, and answers its controllers meanwhile. */
static int run_controlled(const struct cli_hosts *hosts, const struct config *config, struct run *run,
        struct migrate *migrate, int listen_fd, struct err *err)
{
	struct host_place host = {hosts, config};
	const struct control_place place = {
	        .run = run,
	        .migrate = migrate,
	        .config = config,
	        .platform = cli_hosts_platform(hosts),
	        .host_report = report_host,
	        .host_ctx = &host,
	        .listen_fd = listen_fd,
	};
	struct control *control;
	int result;

	if (control_create(&place, &control, err) < 0)
		return -1;
	if (config->run.paused && !*config->control.socket && place.listen_fd < 0)
		log_warn("run.paused: the guest waits, and nobody can start it; set control.socket");
	cli_terminal_raw(STDIN_FILENO);
	result = run_guest(run, err);
	cli_terminal_restore();
	control_destroy(control);
	return result;
}

static int run_movable(const struct cli_hosts *hosts, const struct config *config, struct run *run,
        int listen_fd, struct arrival *arrival, struct err *err)
{
	const struct migrate_place place = {
	        .run = run,
	        .record = config->migrate.record,
	        .certificates = config->migrate.certificates,
	        .root = config->migrate.root,
	        .tls = {config->migrate.tls_authority, config->migrate.tls_certificate,
	                config->migrate.tls_key, config->migrate.tls_name},
	};
	struct migrate *migrate;
	int result;

	if (migrate_create(&place, &migrate, err) < 0)
		return -1;
	result = 0;
	if (arrival->saved)
		result = migrate_load(migrate, take_ptr(&arrival->saved), err);
	else if (arrival->fd >= 0)
		migrate_receive(migrate, take_fd(&arrival->fd), arrival->listens, arrival->missing_fd);
	if (result == 0)
		result = run_controlled(hosts, config, run, migrate, listen_fd, err);
	migrate_destroy(migrate);
	return result;
}

static int run_here(const struct cli_hosts *hosts, const struct config *config, const struct run_words *words,
        struct cli_service *service, int listen_fd, struct arrival *arrival, struct err *err)
{
	const struct run_place place = {
	        .host = hosts->host,
	        .clock = cli_hosts_clock(hosts),
	        .process = cli_hosts_process(hosts),
	        .arrives = arrival->fd >= 0 || arrival->saved,
	        .controlled = listen_fd >= 0 || *config->control.socket,
	};
	struct run_console_io console = {.in = STDIN_FILENO,
	        .out = STDOUT_FILENO,
	        .escape = isatty(STDIN_FILENO),
	        .script = words->script};
	auto_free char *report = NULL;
	struct run *run;
	int result;

	if (start_sandbox(hosts, config, err) < 0 || run_create(&place, config, &console, &run, err) < 0)
		return -1;
	cli_service_watch(service, run);
	result = run_movable(hosts, config, run, listen_fd, arrival, err);
	report = strdup(run_report(run));
	run_destroy(run);
	/*
	 * If nobody reads standard error, this waits. So it comes after run_destroy(), when signals end vmm
	 * again.
	 */
	fputs(report ?: "", stderr);
	return result;
}

static int run_on(const struct cli_hosts *hosts, const struct config *config, const struct run_words *words,
        struct err *err)
{
	struct cli_service service;
	struct arrival arrival;
	int listen_fd, result = -1;

	/* What the service manager says to vmm is for vmm alone, and not for programs that run_create()
	 * starts. */
	cli_service_open(&service);
	listen_fd = control_inherited();
	if (open_arrival(words, &arrival, err) == 0)
		result = run_here(hosts, config, words, &service, listen_fd, &arrival, err);
	close_arrival(&arrival);
	cli_service_close(&service);
	return result;
}

static int dry_run_on(
        const struct cli_hosts *hosts, const struct config *config, bool as_json, struct err *err)
{
	struct launch *launch;
	struct err why = {0};
	int result;

	if (launch_create_unjudged(hosts->host, config, cli_hosts_process(hosts), &launch, &why) < 0) {
		*err = why;
		return why.kind == ERR_USAGE ? cli_dry_run_mistaken(config, &why, hosts->sim, as_json, err)
		                             : -1;
	}
	result = cli_dry_run(config, launch, hosts->sim, as_json, err);
	launch_destroy(launch);
	return result;
}

static int run_configured(
        const struct cli_args *args, struct config *config, const struct run_words *words, struct err *err)
{
	bool dry = cli_given(args, "dry-run"), json = cli_given(args, "json");
	struct cli_hosts hosts = {0};
	int result;

	log_set_level(config->log);
	if (cli_host_word(cli_value(args, "host"), &config->host, err) < 0)
		return -1;
	if (cli_given(args, "no-sandbox"))
		config->run.sandbox = false;
	/*
	 * On the software platform this process holds keys that otherwise only a secure processor has. The
	 * key of TLS is this computer's.
	 */
	if (config->sev.type != CONFIG_SEV_NONE || *config->migrate.tls_key)
		cli_owner_guard_secrets();
	result =
	        cli_hosts_open(&hosts, config, cli_value(args, "trace"), dry && !json ? stdout : stderr, err);
	if (result == 0)
		result = dry ? dry_run_on(&hosts, config, json, err) : run_on(&hosts, config, words, err);
	cli_hosts_close(&hosts);
	return result;
}

static int run_verb(const struct cli_args *args, struct err *err)
{
	const char *expect = cli_value(args, "expect");
	struct run_script *script = NULL;
	struct config *config;
	int result;

	if (cli_given(args, "json") && !cli_given(args, "dry-run"))
		return err_set(err, ERR_USAGE, "--json is for --dry-run; see vmm run --help");
	if (cli_config_load(args, cli_operand(args, 0), stderr, &config, err) < 0)
		return -1;
	result = expect ? run_script_load(expect, &script, err) : 0;
	if (result == 0)
		result = run_configured(args, config,
		        &(struct run_words){
		                script, cli_value(args, "incoming"), cli_given(args, "load-again")},
		        err);
	run_script_destroy(script);
	config_destroy(config);
	return result;
}

static const struct cli_option options[] = {
        CLI_OPTION_SET,
        CLI_OPTIONS_DEVICES,
        CLI_OPTION_HOST,
        {"dry-run", NULL,
                "Launch nothing: print the steps of the launch, what is measured, the digest, and all that "
                "would be refused. The exit status is that of the first refusal."},
        {"json", NULL, "With --dry-run: print JSON for tools instead of words for people."},
        {"incoming", "ADDRESS",
                "Wait for a guest that another vmm sends (vmm ctl SOCKET migrate): unix:PATH, tcp:HOST:PORT, "
                "or fd:N for a descriptor that vmm inherits. Or load the guest that is in a file (vmm ctl "
                "SOCKET save): file:PATH. CONFIG is the same as there."},
        {"load-again", NULL,
                "With --incoming file:PATH: load the guest also if it was loaded before, and leave the file "
                "as "
                "it is. Its memory does not know what happened to its disks since then: without copies of "
                "the "
                "disks that are as old as the file it destroys them."},
        {"no-sandbox", NULL,
                "Hold no thread to its list of system calls: for debuggers and tracers (run.sandbox=false)."},
        {"expect", "FILE",
                "Wait for output of the guest and type into the guest, as FILE says; see EXPECT FILES in "
                "vmm(1). \"-\" is standard input."},
        {"trace", "FILE",
                "Write a line per kernel call to FILE; the traces of two runs can be compared with diff(1). "
                "A regular file is emptied first, unless vmm was started with it (/dev/stderr); a pipe or a "
                "device is written to."},
        {0},
};

const struct cli_verb cli_verb_run = {
        .name = "run",
        .operands = "[CONFIG]",
        .operands_max = 1,
        .summary = "launch a guest; the terminal is its first serial port",
        .help = "On a terminal, Ctrl-] then q quits, Ctrl-] then s shows the status, and Ctrl-] twice sends "
                "one. SIGTERM presses the power button; the guest is ended when run.grace has "
                "passed, or at a second SIGTERM that comes more than a second after the first.\n"
                "The exit status is 0 when the guest shut down or the user quit, 3 when it crashed, 5 when "
                "it rebooted and run.on-reboot is exit, 1 "
                "when it did not do what --expect waits for; see vmm --help.",
        .options = options,
        .run = run_verb,
};

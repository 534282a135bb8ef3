/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hosts: opens the kernel or the software platform, and puts a trace around it if one is asked for. Main
 * thread.
 */
#include <errno.h>
#include <string.h>

#include "vmm/sim.h"

#include "hosts.h"

static uint64_t sim_clock_now(void *ctx)
{
	return sim_now_ns(ctx);
}

static int64_t sim_clock_wall(void *ctx)
{
	return SIM_WALL_START_NS + (int64_t)sim_now_ns(ctx);
}

/* Reads "1.55.29". An empty text leaves the product's own version. */
static int take_version(const char *text, struct product_firmware *ret_firmware, struct err *err)
{
	unsigned major, minor, build;
	char rest;

	if (!*text)
		return 0;
	if (sscanf(text, "%3u.%3u.%3u%c", &major, &minor, &build, &rest) != 3 || major > UINT8_MAX ||
	        minor > UINT8_MAX || build > UINT8_MAX || !(major | minor | build))
		return err_set(err, ERR_USAGE,
		        "sim.firmware-version: must be three numbers up to 255, as \"1.55.29\"; this is "
		        "\"%s\"",
		        TEXT_VALUE(text));
	*ret_firmware = (struct product_firmware){(uint8_t)major, (uint8_t)minor, (uint8_t)build};
	return 0;
}

static int sim_options_of(const struct config *config, struct sim_options *ret_options, struct err *err)
{
	*ret_options = (struct sim_options){
	        .translate = config->sim.cpu != CONFIG_SIM_CPU_INTERPRETER,
	        .compare = config->sim.cpu == CONFIG_SIM_CPU_BOTH,
	        .clock = config->sim.clock == CONFIG_SIM_CLOCK_HOST ? SIM_CLOCK_HOST : SIM_CLOCK_VIRTUAL,
	        .product = product_words[config->sim.product],
	        .seed = config->sim.seed,
	        .tcb = *config->sim.tcb ? strtoull(config->sim.tcb, NULL, 16) : 0,
	        .vlek = config->sim.vlek,
	        .mask_chip = config->sim.mask_chip,
	        .asids = config->sim.asids,
	        .es_asids = config->sim.es_asids,
	        .snp_asids = config->sim.snp_asids,
	        .c_bit = config->sim.c_bit,
	        .smt_off = !config->sim.smt,
	        .memlock_bytes = config->sim.memlock_bytes,
	        .cgroup = config->sim.cgroup,
	};
	return take_version(config->sim.firmware_version, &ret_options->firmware, err);
}

static uint64_t platform_now(void *ctx)
{
	return sim_now_ns(ctx);
}

static int platform_fail_call(
        void *ctx, const char *call, uint64_t nth, int sys, uint64_t delay_ns, struct err *err)
{
	const struct sim_fault fault = {.call = call, .nth = nth, .sys = sys, .delay_ns = delay_ns};

	return sim_fault_set(ctx, &fault, err);
}

static int platform_fail_firmware(
        void *ctx, const char *command, unsigned nth, uint32_t code, struct err *err)
{
	if (sim_fail_firmware(ctx, command, nth, code) == 0)
		return 0;
	return err_set(err, ERR_USAGE, "the firmware has no command %s, or there is no SEV here",
	        TEXT_VALUE(command));
}

static int open_real(struct cli_hosts *hosts, const struct config *config, FILE *tell, struct err *err)
{
	struct sim_options options;

	if (config->host == CONFIG_HOST_KVM)
		return host_kernel_create(&hosts->real, err);
	if (sim_options_of(config, &options, err) < 0)
		return -1;
	fprintf(tell, "%s\n", CLI_SIMULATED);
	if (sim_host_create(&options, &hosts->real, err) < 0)
		return -1;
	hosts->sim = true;
	hosts->process = (struct facts_process){
	        .vcpu_files = 2,
	        .cgroup = config->sim.cgroup,
	        .hiding_asids = config->sim.snp_asids,
	        .memlock_bytes = config->sim.memlock_bytes ?: UINT64_MAX,
	        .smt = config->sim.smt,
	};
	hosts->own_time = config->sim.clock == CONFIG_SIM_CLOCK_VIRTUAL;
	hosts->clock = (struct device_clock){sim_clock_now, sim_clock_wall, hosts->real};
	hosts->platform = (struct control_platform){
	        hosts->own_time, platform_now, platform_fail_call, platform_fail_firmware, hosts->real};
	return 0;
}

int cli_sim_check(const struct config *config, struct err *err)
{
	struct sim_options options;
	struct host *host;

	if (sim_options_of(config, &options, err) < 0)
		return -1;
	if (config->host != CONFIG_HOST_SIM)
		return 0;
	/* With a cgroup, files would be created, or a running guest that uses them would be in the way. */
	options.cgroup = "";
	if (sim_host_create(&options, &host, err) < 0)
		return err_wrap(err, "host");
	host_destroy(host);
	return 0;
}

int cli_sim_text(const struct config *config, char **ret_text, struct err *err)
{
	struct sim_options options;

	if (sim_options_of(config, &options, err) < 0)
		return -1;
	options.paravirtual = true;
	*ret_text = sim_options_text(&options);
	return *ret_text ? 0 : err_sys(err, ERR_FAILED, ENOMEM, "software platform");
}

static int open_trace(struct cli_hosts *hosts, const char *path, struct err *err)
{
	auto_close int fd = -1;

	if (file_stream_open(path, &fd, err) < 0)
		return err_wrap(err, "--trace");
	hosts->trace = fdopen(fd, "w");
	if (!hosts->trace)
		return err_sys(err, ERR_FAILED, errno, "--trace: %s", path);
	take_fd(&fd);
	return host_trace_create(hosts->real, fileno(hosts->trace), &hosts->traced, err);
}

int cli_hosts_open(
        struct cli_hosts *hosts, const struct config *config, const char *trace, FILE *tell, struct err *err)
{
	if (open_real(hosts, config, tell, err) < 0 || (trace && open_trace(hosts, trace, err) < 0))
		return -1;
	hosts->host = hosts->traced ?: hosts->real;
	return 0;
}

const struct device_clock *cli_hosts_clock(const struct cli_hosts *hosts)
{
	return hosts->own_time ? &hosts->clock : NULL;
}

const struct facts_process *cli_hosts_process(const struct cli_hosts *hosts)
{
	return hosts->sim ? &hosts->process : NULL;
}

const struct control_platform *cli_hosts_platform(const struct cli_hosts *hosts)
{
	return hosts->sim ? &hosts->platform : NULL;
}

static void tell_figures(struct cli_hosts *hosts)
{
	struct sim_figures figures;

	sim_figures(hosts->real, &figures);
	log_info("software platform: %llu instructions, %llu exits, %llu ms of the guest's time",
	        (unsigned long long)figures.instructions, (unsigned long long)figures.exits,
	        (unsigned long long)(sim_now_ns(hosts->real) / 1000000));
	if (figures.compared)
		log_info("software platform: %llu blocks were the same by the interpreter and by the "
		         "translator, %llu could not be compared",
		        (unsigned long long)figures.compared, (unsigned long long)figures.alone);
	if (figures.unknown)
		log_warn("software platform: the guest used instructions that are not implemented: %s",
		        figures.unknown_names);
}

void cli_hosts_close(struct cli_hosts *hosts)
{
	if (hosts->sim)
		tell_figures(hosts);
	host_destroy(hosts->traced);
	host_destroy(hosts->real);
	if (hosts->trace)
		fclose(hosts->trace);
}

int cli_host_word(const char *word, enum config_host *host, struct err *err)
{
	if (!word)
		return 0;
	if (strcmp(word, "kvm") != 0 && strcmp(word, "sim") != 0)
		return err_set(
		        err, ERR_USAGE, "--host: must be kvm or sim; this is \"%s\"", TEXT_VALUE(word));
	*host = strcmp(word, "sim") == 0 ? CONFIG_HOST_SIM : CONFIG_HOST_KVM;
	return 0;
}

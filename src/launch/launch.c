/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch: what is prepared before the first incarnation of a guest is launched, and outlives all of them: the
 * files, the plan, the digest, the facts of the host. work.c launches. Main thread.
 */
#include <errno.h>
#include <string.h>

#include "launch.h"

/* ---- the rows ---- */

const struct launch_row launch_rows_none[] = {
        {"VM", "KVM_CREATE_VM", LAUNCH_STEP_CREATE, launch_create_vm, LAUNCH_UNINIT},
        {"processors", "KVM_CREATE_VCPU", LAUNCH_STEP_VCPUS, launch_add_vcpus, LAUNCH_UNINIT},
        {0},
};

const struct launch_row *launch_rows(enum config_sev_type type)
{
	if (type == CONFIG_SEV_NONE)
		return launch_rows_none;
	return type == CONFIG_SEV_SNP ? launch_rows_snp : launch_rows_sev;
}

const char *launch_state_name(enum launch_state state)
{
	static const char *const names[] = {
	        [LAUNCH_UNINIT] = "UNINIT",
	        [LAUNCH_LUPDATE] = "LUPDATE",
	        [LAUNCH_LSECRET] = "LSECRET",
	        [LAUNCH_RUNNING] = "RUNNING",
	        [LAUNCH_SUPDATE] = "SUPDATE",
	        [LAUNCH_RUPDATE] = "RUPDATE",
	        [LAUNCH_SENT] = "SENT",
	};

	return state < ARRAY_LEN(names) ? names[state] : "another one";
}

/* ---- life ---- */

void launch_ask_facts(const struct launch *launch, struct facts *ret_facts)
{
	struct facts_process own;

	if (!launch->process)
		facts_process_own(launch->config.cgroup, &own);
	facts_gather(launch->host, launch->process ?: &own, ret_facts);
}

const struct facts *launch_facts_of(const struct launch *launch)
{
	return &launch->facts;
}

/* Kernels without KVM_SEV_INIT2 get the old commands, which change the measurement of a SEV-ES guest. */
static void choose_init(struct launch *launch)
{
	struct config *config = &launch->config;
	bool legacy =
	        !launch->facts.kvm.kind && !launch->facts.has_init2 && config->sev.type != CONFIG_SEV_SNP;

	if (config->sev.init != CONFIG_SEV_INIT_AUTO)
		return;
	config->sev.init = legacy ? CONFIG_SEV_INIT_LEGACY : CONFIG_SEV_INIT2;
	if (legacy && config->sev.type == CONFIG_SEV_ES)
		log_info("this kernel has KVM_SEV_ES_INIT only: the measurement is that of sev.init legacy");
}

static int prepare(struct launch *launch, struct err *err)
{
	if (launch_files_read(&launch->config, &launch->files, err) < 0 ||
	        launch_fit(&launch->config, &launch->files, err) < 0)
		return -1;
	if (launch->config.sev.type == CONFIG_SEV_NONE)
		return 0;
	launch_ask_facts(launch, &launch->facts);
	choose_init(launch);
	if (launch_plan_make(&launch->config, &launch->files, &launch->plan, err) < 0 ||
	        launch_plan_digest(launch->plan, NULL, &launch->digest, err) < 0)
		return -1;
	return launch_options_read(&launch->config, &launch->digest, &launch->options, err);
}

int launch_create_unjudged(struct host *host, const struct config *config,
        const struct facts_process *process, struct launch **ret_launch, struct err *err)
{
	struct launch *launch = calloc(1, sizeof(*launch));

	if (!launch)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for the launch");
	launch->host = host;
	launch->config = *config;
	launch->process = process;
	launch->vcpu_files = process ? process->vcpu_files : 1;
	launch->sev_fd = -1;
	if (prepare(launch, err) < 0) {
		launch_destroy(launch);
		return -1;
	}
	launch_judge(&launch->config, &launch->files, &launch->warnings);
	launch_doubt(launch, &launch->warnings);
	*ret_launch = launch;
	return 0;
}

int launch_create(struct host *host, const struct config *config, const struct facts_process *process,
        struct launch **ret_launch, struct err *err)
{
	struct launch *launch;
	auto_free struct launch_findings *findings = calloc(1, sizeof(*findings));

	if (!findings)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for the launch");
	if (launch_create_unjudged(host, config, process, &launch, err) < 0)
		return -1;
	launch_warn(&launch->warnings);
	if (launch->plan)
		launch_findings(launch, findings);
	else
		launch_limits(launch, findings);
	if (findings->count) {
		launch_destroy(launch);
		for (unsigned i = 1; i < findings->count; i++)
			log_warn("also: %s", findings->list[i].text);
		*err = findings->list[0];
		return -1;
	}
	*ret_launch = launch;
	return 0;
}

void launch_destroy(struct launch *launch)
{
	if (!launch)
		return;
	launch_end(launch);
	host_close(launch->host, launch->sev_fd);
	launch_options_finish(&launch->options);
	launch_plan_destroy(launch->plan);
	launch_files_finish(&launch->files);
	free(launch);
}

static struct machine_image image_of(const struct launch_file *file)
{
	return (struct machine_image){file->data, file->size_bytes};
}

struct machine_files launch_machine_files(const struct launch *launch)
{
	return (struct machine_files){
	        .firmware = image_of(&launch->files.firmware),
	        .kernel = image_of(&launch->files.kernel),
	        .initrd = image_of(&launch->files.initrd),
	};
}

const struct launch_findings *launch_warnings(const struct launch *launch)
{
	return &launch->warnings;
}

const struct launch_plan *launch_plan_of(const struct launch *launch)
{
	return launch->plan;
}

/* Steps that do nothing for this configuration are not shown to people. */
static bool is_idle(const struct config *config, enum launch_step step)
{
	switch (step) {
	case LAUNCH_STEP_CGROUP: return !*config->cgroup;
	case LAUNCH_STEP_CERTIFICATES: return !*config->sev.certificates;
	case LAUNCH_STEP_VMSA: return config->sev.type != CONFIG_SEV_ES;
	case LAUNCH_STEP_REPORTS: return !config->sev.page_status;
	case LAUNCH_STEP_SECRET: return !*config->sev.secret;
	case LAUNCH_STEP_HELPER: return !config->sev.helper || config->sev.type != CONFIG_SEV;
	case LAUNCH_STEP_HELPER_VMSA: return !config->sev.helper || config->sev.type != CONFIG_SEV_ES;
	default: return false;
	}
}

const char *launch_row_call(const struct launch *launch, const struct launch_row *row)
{
	const struct config *config = &launch->config;

	if (row->step != LAUNCH_STEP_INIT || config->sev.init != CONFIG_SEV_INIT_LEGACY)
		return row->call;
	return config->sev.type == CONFIG_SEV_ES ? "KVM_SEV_ES_INIT" : "KVM_SEV_INIT";
}

bool launch_step_words(const struct launch *launch, unsigned i, const char **ret_name, const char **ret_call)
{
	const struct config *config = &launch->config;
	const struct launch_row *row = launch_rows(config->sev.type);

	for (; row->name; row++) {
		if (!is_idle(config, row->step) && i-- == 0)
			break;
	}
	if (!row->name)
		return false;
	*ret_name = row->name;
	*ret_call = launch_row_call(launch, row);
	return true;
}

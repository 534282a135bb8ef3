/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check: every mistake that the files of a configuration show, told in one go; a launch stops at the first.
 * Each file is read once: it may be a pipe. Any thread; no state.
 */
#include <string.h>

#include "launch.h"
#include "vmm/machine.h"
#include "vmm/owner.h"

static void add(struct launch_findings *findings, const struct err *err)
{
	if (findings->count < LAUNCH_FINDINGS_MAX)
		findings->list[findings->count++] = *err;
}

/* ---- the files that are measured ---- */

/* config_check_files() reports, with its key, a file that cannot be read. */
static void read_files(struct launch *launch)
{
	const struct config *config = &launch->config;
	struct launch_files *files = &launch->files;
	const struct {
		const char *path;
		uint64_t max;
		struct launch_file *file;
	} wanted[] = {
	        {config->firmware, PAGE_FIRMWARE_MAX_BYTES, &files->firmware},
	        {config->boot.kernel, MACHINE_KERNEL_MAX_BYTES, &files->kernel},
	        {config->boot.initrd, MACHINE_INITRD_MAX_BYTES, &files->initrd},
	};

	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		struct launch_file *file = wanted[i].file;
		struct err err;

		if (*wanted[i].path && file_read_all(wanted[i].path, wanted[i].max, &file->data,
		                               &file->size_bytes, &err) < 0)
			*file = (struct launch_file){0};
	}
}

static int check_kernel(struct launch *launch, struct err *err)
{
	const struct launch_file *kernel = &launch->files.kernel;

	if (!kernel->data || machine_kernel_setup_bytes(kernel->data, kernel->size_bytes))
		return 0;
	return machine_kernel_refuse(launch->config.boot.kernel, kernel->data, kernel->size_bytes, err);
}

static int check_firmware(struct launch *launch, struct err *err)
{
	const struct config *config = &launch->config;
	struct page_layout layout;

	if (!launch->files.firmware.data || page_layout_make(config->machine.memory_bytes,
	                                            launch->files.firmware.size_bytes, &layout, err) == 0)
		return 0;
	return err_wrap(err, "firmware: %s", config->firmware);
}

static int check_fit(struct launch *launch, struct err *err)
{
	return launch_fit(&launch->config, &launch->files, err);
}

/* The plan is made without the hashes, so that a mistake in them does not hide other mistakes. */
static int check_plan(struct launch *launch, struct err *err)
{
	struct config config = launch->config;

	config.boot.hashes = false;
	return launch_plan_make(&config, &launch->files, &launch->plan, err);
}

static int check_hashes(struct launch *launch, struct err *err)
{
	struct launch_plan *plan;

	if (!launch->config.boot.hashes || !launch->plan ||
	        (*launch->config.boot.kernel && !launch->files.kernel.data))
		return 0;
	if (launch_plan_make(&launch->config, &launch->files, &plan, err) < 0)
		return -1;
	launch_plan_destroy(launch->plan);
	launch->plan = plan;
	return 0;
}

/* ---- the owner's files ---- */

static int check_id_block(struct launch *launch, struct err *err)
{
	const struct config *config = &launch->config;

	if (!*config->sev.id_block || access(config->sev.id_block, R_OK) < 0)
		return 0;
	if (owner_id_block_read(config->sev.id_block, &launch->options.block, err) < 0)
		return err_wrap(err, "sev.id-block");
	launch->options.has_id = true;
	return 0;
}

static int check_id_auth(struct launch *launch, struct err *err)
{
	const struct config *config = &launch->config;
	bool has_block = launch->options.has_id;

	launch->options.has_id = false;
	if (!*config->sev.id_auth || access(config->sev.id_auth, R_OK) < 0)
		return 0;
	if (owner_id_auth_read(config->sev.id_auth, &launch->options.auth, err) < 0)
		return err_wrap(err, "sev.id-auth");
	launch->options.has_id = has_block;
	return 0;
}

static int check_dh_cert(struct launch *launch, struct err *err)
{
	return launch_dh_cert_read(&launch->config, &launch->options.dh_cert, err);
}

static int check_session(struct launch *launch, struct err *err)
{
	return launch_session_read(&launch->config, &launch->options.session, err);
}

#define SEV (CONFIG_FOR(CONFIG_SEV) | CONFIG_FOR(CONFIG_SEV_ES))
#define SNP CONFIG_FOR(CONFIG_SEV_SNP)
#define ALL (CONFIG_FOR(CONFIG_SEV_NONE) | SEV | SNP)

/* The order matters: each function puts into the launch what the later ones look at. */
static const struct {
	unsigned types;
	int (*fn)(struct launch *launch, struct err *err);
} checks[] = {
        {ALL, check_kernel},
        {ALL, check_fit},
        {CONFIG_FOR(CONFIG_SEV_NONE), check_firmware},
        {SEV | SNP, check_plan},
        {SEV | SNP, check_hashes},
        {SNP, check_id_block},
        {SNP, check_id_auth},
        {SEV, check_dh_cert},
        {SEV, check_session},
};

void launch_check(const struct config *config, struct launch_findings *ret_mistakes,
        struct launch_findings *ret_warnings)
{
	struct launch launch = {.config = *config, .sev_fd = -1};
	struct err err = {0};

	ret_mistakes->count = 0;
	read_files(&launch);
	launch_judge(config, &launch.files, ret_warnings);
	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		if (checks[i].types & CONFIG_FOR(config->sev.type) && checks[i].fn(&launch, &err) < 0)
			add(ret_mistakes, &err);
	}
	if (launch.plan && launch_plan_digest(launch.plan, NULL, &launch.digest, &err) == 0)
		launch_owner_findings(&launch, ret_mistakes);
	launch_options_finish(&launch.options);
	launch_plan_destroy(launch.plan);
	launch_files_finish(&launch.files);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * owner: finds mistakes in the files of a guest's owner that any host would refuse: ID block, session,
 * secret; and in the certificates that the guest is to get. Any thread; no state.
 */
#include <inttypes.h>
#include <string.h>

#include "launch.h"
#include "vmm/attest/sev.h"
#include "vmm/owner.h"

#define SEV (CONFIG_FOR(CONFIG_SEV) | CONFIG_FOR(CONFIG_SEV_ES))
#define SNP CONFIG_FOR(CONFIG_SEV_SNP)

static int check_id_block(const struct launch *launch, struct err *err)
{
	const struct launch_options *options = &launch->options;

	if (!options->has_id)
		return 0;
	if (owner_id_verify(&options->block, &options->auth, err) < 0)
		return err_wrap(err, "sev.id-block");
	if (owner_id_match(&options->block, launch->digest.bytes, launch->digest.size_bytes,
	            launch->config.sev.policy, err) < 0)
		return err_wrap(err, "sev.id-block");
	return 0;
}

static int check_session(const struct launch *launch, struct err *err)
{
	const struct launch_file *dh = &launch->options.dh_cert;
	struct abi_sev_cert cert;

	if (!dh->data || attest_sev_cert_parse(dh->data, dh->size_bytes, &cert, err) == 0)
		return 0;
	return err_wrap(err, "sev.dh-cert (the firmware would say INVALID_CERTIFICATE)");
}

/*
 * The address is known before the secret itself. Checking it now avoids a launch that must fail after its
 * measurement.
 */
static int check_secret_address(const struct launch *launch, struct err *err)
{
	const struct config *config = &launch->config;
	uint64_t address = strtoull(config->sev.secret_address, NULL, 16);
	struct page_layout layout;

	if (!is_aligned(address, 16))
		return err_set(err, ERR_USAGE,
		        "sev.secret-address: 0x%" PRIx64 " is not a multiple of 16; take one", address);
	if (page_layout_make(config->machine.memory_bytes, launch->files.firmware.size_bytes, &layout, err) <
	        0)
		return -1;
	if (config->sev.helper && page_layout_add_helper(&layout, gpa(HELPER_GPA), HELPER_BYTES, err) < 0)
		return -1;
	if (page_layout_find(&layout, address))
		return 0;
	return err_set(err, ERR_USAGE,
	        "sev.secret-address: 0x%" PRIx64 " is not in the guest's memory; leave it empty, or lower "
	        "it",
	        address);
}

static int check_secret(const struct launch *launch, struct err *err)
{
	const struct config *config = &launch->config;
	const struct launch_ovmf_entry *area = &launch->plan->ovmf.secret;

	if (*config->sev.secret_address)
		return check_secret_address(launch, err);
	if (!*config->sev.secret || (area->present && area->value[0]))
		return 0;
	return err_set(err, ERR_USAGE,
	        "sev.secret: the firmware image %s has no place for secrets; set sev.secret-address, or use "
	        "OVMF.amdsev.fd of Debian's ovmf-amdsev",
	        config->firmware);
}

static int check_certificates(const struct launch *launch, struct err *err)
{
	const char *path = launch->config.sev.certificates;

	return *path ? launch_certificates_check(path, err) : 0;
}

static const struct launch_check_row checks[] = {
        {SNP, check_id_block},
        {SNP, check_certificates},
        {SEV, check_session},
        {SEV, check_secret},
};

void launch_owner_findings(const struct launch *launch, struct launch_findings *findings)
{
	launch_run_checks(launch, checks, ARRAY_LEN(checks), findings);
}

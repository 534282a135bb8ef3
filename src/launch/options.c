/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options: what a launch takes beside the plan: the owner's session, the ID block, host data. Files may hold
 * anything. Main thread.
 */
#include <string.h>

#include "launch.h"
#include "vmm/attest.h"
#include "vmm/owner.h"

/* The kernel takes no more (SEV_FW_BLOB_MAX_SIZE). */
#define BLOB_MAX_BYTES KIB(16)

static int read_blob(
        const char *key, const char *path, size_t size_bytes, struct launch_file *ret_file, struct err *err)
{
	auto_free void *data = NULL, *decoded = malloc(size_bytes);
	size_t data_bytes;

	if (!*path)
		return 0;
	if (!decoded)
		return err_set(err, ERR_FAILED, "%s: no memory for its bytes", key);
	if (file_read_all(path, BLOB_MAX_BYTES, &data, &data_bytes, err) < 0)
		return err_wrap(err, "%s", key);
	if (attest_form_struct(data, data_bytes, decoded, size_bytes, err) < 0)
		return err_wrap(err, "%s: %s (vmm session new makes it)", key, path);
	*ret_file = (struct launch_file){take_ptr(&decoded), size_bytes};
	return 0;
}

int launch_dh_cert_read(const struct config *config, struct launch_file *ret_file, struct err *err)
{
	return read_blob("sev.dh-cert", config->sev.dh_cert, sizeof(struct abi_sev_cert), ret_file, err);
}

int launch_session_read(const struct config *config, struct launch_file *ret_file, struct err *err)
{
	return read_blob("sev.session", config->sev.session, sizeof(struct abi_sev_session), ret_file, err);
}

static int read_owner(const struct config *config, struct launch_options *options, struct err *err)
{
	if (launch_dh_cert_read(config, &options->dh_cert, err) < 0)
		return -1;
	return launch_session_read(config, &options->session, err);
}

static int read_id(const struct config *config, const struct launch_digest *digest,
        struct launch_options *options, struct err *err)
{
	options->has_id = true;
	if (*config->sev.id_block) {
		if (owner_id_block_read(config->sev.id_block, &options->block, err) < 0)
			return -1;
		return owner_id_auth_read(config->sev.id_auth, &options->auth, err);
	}
	options->has_id = config->sev.enforce_digest;
	return options->has_id ? owner_id_make(digest->bytes, digest->size_bytes, config->sev.policy,
	                                 &options->block, &options->auth, err)
	                       : 0;
}

int launch_options_read(const struct config *config, const struct launch_digest *digest,
        struct launch_options *ret_options, struct err *err)
{
	struct launch_options options = {0};
	int result;

	if (*config->sev.host_data &&
	        !hex_decode(config->sev.host_data, options.host_data, sizeof(options.host_data)))
		return err_set(err, ERR_USAGE, "sev.host-data: must be %zu hexadecimal digits",
		        2 * sizeof(options.host_data));
	result = config->sev.type == CONFIG_SEV_SNP ? read_id(config, digest, &options, err)
	                                            : read_owner(config, &options, err);
	if (result < 0) {
		launch_options_finish(&options);
		return -1;
	}
	*ret_options = options;
	return 0;
}

void launch_options_finish(struct launch_options *options)
{
	free(options->dh_cert.data);
	free(options->session.data);
	*options = (struct launch_options){0};
}

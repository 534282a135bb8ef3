/* SPDX-License-Identifier: Apache-2.0 */
/*
 * owner: reads and writes the files of a guest's owner. Main thread only.
 */
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "owner.h"
#include "vmm/attest/sev.h"
#include "vmm/owner.h"

void cli_owner_guard_secrets(void)
{
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		log_warn("a crash of vmm could leave keys in a core dump: %s", strerrordesc_np(errno));
}

/*
 * Reads a structure that may be a secret, in any of its forms. The file may have a few KiB, since text may
 * stand around it.
 */
static int read_struct(const char *path, const char *what, void *ret_struct, size_t size, struct err *err)
{
	void *data;
	size_t data_size;
	int result;

	if (file_read_all(path, KIB(16), &data, &data_size, err) < 0)
		return -1;
	result = attest_form_struct(data, data_size, ret_struct, size, err);
	crypto_wipe(data, data_size);
	free(data);
	return result < 0 ? err_wrap(err, "%s (%s)", file_name(path), what) : 0;
}

int cli_owner_keys_read(const char *path, struct owner_keys *ret_keys, struct err *err)
{
	struct stat st;

	if (read_struct(path, "the owner's keys: TEK, then TIK", ret_keys, sizeof(*ret_keys), err) < 0)
		return -1;
	if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & (S_IRWXG | S_IRWXO)))
		log_warn("%s: other users can read these keys; run chmod 600 on the file", path);
	return 0;
}

int cli_owner_measure_read(const char *path, struct abi_sev_measure *ret_measure, struct err *err)
{
	return read_struct(path, "the launch measurement", ret_measure, sizeof(*ret_measure), err);
}

static int write_new(const struct cli_owner_file *file, struct err *err)
{
	if (file_make(file->path, file->data, file->size, file->secret ? 0600 : 0644, err) < 0)
		return err_wrap(err, "--%s", file->option);
	return 0;
}

int cli_owner_files_write(const struct cli_owner_file *files, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		if (write_new(&files[i], err) == 0)
			continue;
		while (i-- > 0)
			unlink(files[i].path);
		return -1;
	}
	return 0;
}

int cli_owner_evidence_read(
        const struct cli_args *args, struct attest_sev_evidence *ret_evidence, struct err *err)
{
	struct attest_sev_evidence evidence = {0};

	if (!cli_given(args, "pdh"))
		return err_set(err, ERR_USAGE, "--pdh FILE is needed: the platform's PDH certificate");
	if (cli_blob_read_option(args, "pdh", &evidence.pdh, err) < 0 ||
	        cli_blob_read_option(args, "chain", &evidence.chain, err) < 0 ||
	        cli_blob_read_option(args, "cek", &evidence.cek, err) < 0 ||
	        cli_blob_read_option(args, "amd", &evidence.amd, err) < 0 ||
	        cli_blob_read_option(args, "root", &evidence.root, err) < 0) {
		cli_owner_evidence_free(&evidence);
		return -1;
	}
	*ret_evidence = evidence;
	return 0;
}

void cli_owner_evidence_free(struct attest_sev_evidence *evidence)
{
	cli_blob_free(&evidence->pdh);
	cli_blob_free(&evidence->chain);
	cli_blob_free(&evidence->cek);
	cli_blob_free(&evidence->amd);
	cli_blob_free(&evidence->root);
}

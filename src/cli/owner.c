/*
 * owner: files of a guest's owner. Main thread only.
 */
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <openssl/evp.h>

#include "owner.h"

void owner_guard_secrets(void)
{
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		log_warn("a crash of vmm could leave keys in a core dump: %s", strerrordesc_np(errno));
}

int owner_keys_read(const char *path, struct attest_owner_keys *ret_keys, struct err *err)
{
	struct stat st;
	void *data;
	size_t size;

	if (file_read_all(path, sizeof(*ret_keys), &data, &size, err) < 0)
		return -1;
	if (size == sizeof(*ret_keys))
		memcpy(ret_keys, data, size);
	crypto_wipe(data, size);
	free(data);
	if (size != sizeof(*ret_keys))
		return err_set(err, ERR_USAGE, "%s: has %zu bytes, the owner's keys are %zu (TEK, then TIK)",
		        path, size, sizeof(*ret_keys));
	if (stat(path, &st) == 0 && (st.st_mode & (S_IRWXG | S_IRWXO)))
		log_warn("%s: others than its owner may read these keys; chmod 600 it", path);
	return 0;
}

/* 64 characters of base64 are 48 bytes without padding. */
static bool from_base64(const char *text, struct abi_sev_measure *ret_measure)
{
	uint8_t bytes[sizeof(*ret_measure)];

	if (crypto_load(NULL) < 0 || EVP_DecodeBlock(bytes, (const uint8_t *)text, 64) != (int)sizeof(bytes))
		return false;
	memcpy(ret_measure, bytes, sizeof(bytes));
	return true;
}

int owner_measure_read(const char *path, struct abi_sev_measure *ret_measure, struct err *err)
{
	char text[128] = "";
	void *data;
	size_t size;

	if (file_read_all(path, sizeof(text) - 1, &data, &size, err) < 0)
		return -1;
	memcpy(text, data, size);
	free(data);
	if (size == sizeof(*ret_measure)) {
		memcpy(ret_measure, text, size);
		return 0;
	}
	text[strcspn(text, "\r\n")] = '\0';
	if (strlen(text) == 64 && from_base64(text, ret_measure))
		return 0;
	if (strlen(text) == 96 && hex_decode(text, ret_measure, sizeof(*ret_measure)))
		return 0;
	return err_set(err, ERR_USAGE,
	        "%s: is no launch measurement: 48 bytes, or 64 characters of base64, or 96 of hexadecimal",
	        path);
}

static int write_new(const struct owner_file *file, struct err *err)
{
	if (file_make(file->path, file->data, file->size, file->secret ? 0600 : 0644, err) < 0)
		return err_wrap(err, "--%s", file->option);
	return 0;
}

int owner_files_write(const struct owner_file *files, size_t count, struct err *err)
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

int owner_evidence_read(
        const struct cli_args *args, struct attest_sev_evidence *ret_evidence, struct err *err)
{
	struct attest_sev_evidence evidence = {0};

	if (!cli_given(args, "pdh"))
		return err_set(err, ERR_USAGE, "--pdh FILE is needed: the platform's PDH certificate");
	if (blob_read_option(args, "pdh", &evidence.pdh, err) < 0 ||
	        blob_read_option(args, "chain", &evidence.chain, err) < 0 ||
	        blob_read_option(args, "amd", &evidence.amd, err) < 0 ||
	        blob_read_option(args, "root", &evidence.root, err) < 0) {
		owner_evidence_free(&evidence);
		return -1;
	}
	*ret_evidence = evidence;
	return 0;
}

void owner_evidence_free(struct attest_sev_evidence *evidence)
{
	blob_free(&evidence->pdh);
	blob_free(&evidence->chain);
	blob_free(&evidence->amd);
	blob_free(&evidence->root);
}

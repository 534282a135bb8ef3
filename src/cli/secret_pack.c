/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret pack: encrypts secrets for the platform of a launched SEV guest. Main thread only. SEV API,
 * LAUNCH_SECRET.
 */
#include <string.h>

#include "owner.h"
#include "verbs.h"

#define ENTRIES_MAX 64

static void wipe_and_free(void *data, size_t size)
{
	if (data)
		crypto_wipe(data, size);
	free(data);
}

/* Reads "GUID=FILE". */
static int read_entry(const char *text, struct owner_secret_entry *ret_entry, struct err *err)
{
	const char *equals = strchr(text, '=');
	void *data;
	size_t size;

	if (!equals || !guid_decode(text, (size_t)(equals - text), ret_entry->guid.bytes))
		return err_set(err, ERR_USAGE,
		        "--entry takes GUID=FILE (736869e5-84f0-4973-92ec-06879ce3da0b=FILE), not \"%s\"",
		        TEXT_VALUE(text));
	if (file_read_all(equals + 1, OWNER_SECRET_MAX_BYTES, &data, &size, err) < 0)
		return -1;
	ret_entry->value = (struct attest_blob){data, size, equals + 1};
	return 0;
}

static int read_table(
        const char *const *words, size_t count, uint8_t **ret_data, size_t *ret_size, struct err *err)
{
	struct owner_secret_entry entries[ENTRIES_MAX] = {0};
	int status = 0;

	if (count > ENTRIES_MAX)
		return err_set(err, ERR_USAGE, "--entry may be given %d times", ENTRIES_MAX);
	for (size_t i = 0; status == 0 && i < count; i++)
		status = read_entry(words[i], &entries[i], err);
	if (status == 0)
		status = owner_secret_table(entries, count, ret_data, ret_size, err);
	for (size_t i = 0; i < count; i++)
		wipe_and_free((void *)(uintptr_t)entries[i].value.data, entries[i].value.size);
	return status;
}

static int read_plain(const struct cli_args *args, uint8_t **ret_data, size_t *ret_size, struct err *err)
{
	size_t count;
	const char *const *words = cli_values(args, "entry", &count);
	void *data;

	if (count > 0)
		return read_table(words, count, ret_data, ret_size, err);
	if (file_read_all(cli_value(args, "raw"), OWNER_SECRET_MAX_BYTES, &data, ret_size, err) < 0)
		return -1;
	*ret_data = data;
	return 0;
}

static int pack(const struct cli_args *args, const struct owner_keys *keys, const uint8_t *plain, size_t size,
        struct err *err)
{
	struct abi_sev_secret_header header;
	struct abi_sev_measure measure;
	auto_free uint8_t *cipher = malloc(size ?: 1);
	const struct cli_owner_file files[] = {
	        {"out-header", cli_value(args, "out-header"), &header, sizeof(header)},
	        {"out-secret", cli_value(args, "out-secret"), cipher, size},
	};

	if (!cipher)
		return err_set(err, ERR_FAILED, "no memory for the secret");
	if (cli_owner_measure_read(cli_value(args, "measure"), &measure, err) < 0 ||
	        owner_secret_pack(keys, measure.measure, plain, size, &header, cipher, err) < 0)
		return -1;
	return cli_owner_files_write(files, ARRAY_LEN(files), err);
}

static int run(const struct cli_args *args, struct err *err)
{
	static const char *const needed[] = {"keys", "measure", "out-header", "out-secret"};
	struct owner_keys keys;
	uint8_t *plain = NULL;
	size_t size = 0;
	int status;

	for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
		if (!cli_given(args, needed[i]))
			return err_set(
			        err, ERR_USAGE, "--%s FILE is needed; see vmm secret pack --help", needed[i]);
	}
	if (cli_given(args, "entry") == cli_given(args, "raw"))
		return err_set(err, ERR_USAGE, "give either --entry GUID=FILE (once or more) or --raw FILE");
	cli_owner_guard_secrets();
	if (cli_owner_keys_read(cli_value(args, "keys"), &keys, err) < 0)
		return -1;
	status = read_plain(args, &plain, &size, err);
	if (status == 0)
		status = pack(args, &keys, plain, size, err);
	wipe_and_free(plain, size);
	crypto_wipe(&keys, sizeof(keys));
	return status;
}

static const struct cli_option options[] = {
        {"keys", "FILE", "The owner's keys, which vmm session new wrote."},
        {"measure", "FILE", "What LAUNCH_MEASURE gave, after vmm session verify has found it good."},
        {"entry", "GUID=FILE",
                "A secret by its GUID, for the table that OVMF and Linux hand on to the guest. "
                "736869e5-84f0-4973-92ec-06879ce3da0b is a disk's passphrase.",
                .repeats = true},
        {"raw", "FILE", "The plain bytes to send instead of a table: a multiple of 16."},
        {"out-header", "FILE", "Where the packet header goes (52 bytes)."},
        {"out-secret", "FILE", "Where the encrypted secret goes."},
        {0},
};

const struct cli_verb cli_verb_secret_pack = {
        .name = "secret pack",
        .operands = "",
        .summary = "encrypt secrets for a launched SEV or SEV-ES guest",
        .help = "The result can be opened only by the platform of the session, and only in the launch that "
                "was measured. Files that exist are never overwritten.",
        .options = options,
        .run = run,
};

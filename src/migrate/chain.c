/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain: reads what the firmware does not tell of its host's certificates, and judges those of another host.
 * Any thread.
 */
#include <string.h>

#include "chain.h"
#include "vmm/abi/policy.h"
#include "vmm/attest/sev.h"

#define AT_CEK (3 * sizeof(struct abi_sev_cert))
#define AT_AMD (4 * sizeof(struct abi_sev_cert))

/* ---- files ---- */

/* Takes the next certificate of AMD's from *at, and puts it where the firmware wants it: the ASK first. */
static int take_amd(const uint8_t *data, size_t size, size_t *at, const uint8_t **ask, const uint8_t **ark,
        struct err *err)
{
	struct attest_amd_cert cert;

	if (attest_amd_cert_parse(data + *at, size - *at, &cert, err) < 0)
		return -1;
	*(cert.usage == ABI_SEV_USAGE_ARK ? ark : ask) = data + *at;
	*at += cert.size;
	return 0;
}

static int read_amd(const uint8_t *data, size_t size, struct migrate_chain *chain, struct err *err)
{
	const uint8_t *ask = NULL, *ark = NULL;
	size_t at = 0, first;

	if (take_amd(data, size, &at, &ask, &ark, err) < 0)
		return -1;
	first = at;
	if (take_amd(data, size, &at, &ask, &ark, err) < 0)
		return -1;
	if (at != size || !ask || !ark || size > sizeof(chain->amd))
		return err_set(err, ERR_USAGE, "one ASK and one ARK belong behind the CEK, and nothing else");
	memcpy(chain->amd, ask, ask == data ? first : size - first);
	memcpy(chain->amd + (ask == data ? first : size - first), ark, ask == data ? size - first : first);
	chain->amd_bytes = (uint32_t)size;
	return 0;
}

static int read_chain(const uint8_t *data, size_t size, struct migrate_chain *chain, struct err *err)
{
	if (size <= AT_AMD)
		return err_set(err, ERR_USAGE,
		        "has %zu bytes; PDH, PEK, OCA and CEK of %zu bytes each, ASK and ARK belong here",
		        size, sizeof(struct abi_sev_cert));
	if (attest_sev_cert_parse(data + AT_CEK, sizeof(chain->platform.cek), &chain->platform.cek, err) < 0)
		return -1;
	if (chain->platform.cek.usage != ABI_SEV_USAGE_CEK)
		return err_set(err, ERR_USAGE, "the fourth certificate is not that of a CEK");
	return read_amd(data + AT_AMD, size - AT_AMD, chain, err);
}

int migrate_chain_read(const char *path, struct migrate_chain *ret_chain, struct err *err)
{
	auto_free void *data = NULL;
	size_t size;

	*ret_chain = (struct migrate_chain){0};
	if (!*path)
		return 0;
	if (file_read_all(path, ATTEST_FILE_MAX_BYTES, &data, &size, err) < 0 ||
	        read_chain(data, size, ret_chain, err) < 0) {
		err->kind = ERR_USAGE;
		return err_wrap(err, "migrate.certificates: %s", path);
	}
	return 0;
}

static int read_root(const void *data, size_t size, struct migrate_root *root, struct err *err)
{
	struct attest_amd_cert cert;

	if (attest_amd_cert_parse(data, size, &cert, err) < 0)
		return -1;
	if (cert.usage != ABI_SEV_USAGE_ARK || cert.size != size || size > sizeof(root->data))
		return err_set(err, ERR_USAGE, "one ARK belongs here, and nothing else");
	memcpy(root->data, data, size);
	root->size = size;
	return 0;
}

int migrate_chain_read_root(const char *path, struct migrate_root *ret_root, struct err *err)
{
	auto_free void *data = NULL;
	size_t size;

	*ret_root = (struct migrate_root){0};
	if (!*path)
		return 0;
	if (file_read_all(path, ATTEST_FILE_MAX_BYTES, &data, &size, err) < 0 ||
	        read_root(data, size, ret_root, err) < 0) {
		err->kind = ERR_USAGE;
		return err_wrap(err, "migrate.root: %s", path);
	}
	return 0;
}

/* ---- the other host's ---- */

static bool is_root_of(const struct migrate_chain *chain, const struct migrate_root *root)
{
	return chain->amd_bytes > root->size &&
	       memcmp(chain->amd + chain->amd_bytes - root->size, root->data, root->size) == 0;
}

static int refuse(struct err *err, const char *why)
{
	return err_set(err, ERR_FAILED, "the other host is not proven to have a processor of AMD's: %s", why);
}

/* The verdict's own words on the root name options of the command line. */
static const char *fault_of(const struct attest_verdict *verdict)
{
	for (size_t i = 0; i < verdict->count; i++) {
		const struct attest_check *check = &verdict->checks[i];

		if (check->result == ATTEST_FAILED)
			return strcmp(check->name, "root") == 0 ? "its certificates lead to no root of AMD's "
			                                          "(migrate.root names another)"
			                                        : check->text;
	}
	return verdict->passed ? NULL : "nothing was proven";
}

int migrate_chain_verify(
        const struct migrate_chain *chain, const struct migrate_root *root, uint64_t policy, struct err *err)
{
	const struct attest_sev_evidence evidence = {
	        .pdh = {&chain->pdh, sizeof(chain->pdh), "its PDH"},
	        .chain = {&chain->platform, sizeof(chain->platform), "its certificates"},
	        .amd = {chain->amd, chain->amd_bytes, "its certificates of AMD"},
	        .root = {root->data, root->size, "migrate.root"},
	};
	bool same_owner = policy & ABI_SEV_POLICY_DOMAIN && !(policy & ABI_SEV_POLICY_SEV);
	struct attest_verdict verdict;
	const char *fault;

	if (!chain->amd_bytes && same_owner && !root->size)
		return 0;
	if (!chain->amd_bytes)
		return refuse(err, "it does not tell AMD's certificates (migrate.certificates there)");
	if (root->size && !is_root_of(chain, root))
		return refuse(err, "its certificates lead to another root than migrate.root");
	if (attest_sev_verify(&evidence, &verdict, err) < 0)
		return err_wrap(err, "the certificates of the other host");
	fault = fault_of(&verdict);
	return fault ? refuse(err, fault) : 0;
}

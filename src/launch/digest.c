/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest: what the firmware's measurement of a launch will be. SEV, SEV-ES: one SHA-256 over all contents
 * (SEV API 6.2). SEV-SNP: a chain of SHA-384, a link per 4 KiB page (SNP ABI 8.17.2). One thread at a time.
 * Contexts and methods are made once: a page costs its blocks and two more, and no fetch from OpenSSL.
 */
#include <string.h>

#include <openssl/evp.h>

#include "vmm/launch.h"

struct launch_hasher {
	const struct launch_watch *watch;
	EVP_MD *md;
	EVP_MD_CTX *running; /* SEV, SEV-ES: everything so far; SEV-SNP: reused for each hash */
	EVP_MD_CTX *copy;    /* SEV, SEV-ES: to finish what goes on */
	bool chained;        /* SEV-SNP */
	bool bad;            /* OpenSSL failed; nothing after it counts */
	uint8_t ld[SHA384_BYTES];
	uint8_t contents[SHA384_BYTES]; /* of the page before, if the item has one */
};

static const uint8_t zero_page[PAGE_SIZE_BYTES];

void launch_hasher_destroy(struct launch_hasher *hasher)
{
	if (!hasher)
		return;
	EVP_MD_CTX_free(hasher->running);
	EVP_MD_CTX_free(hasher->copy);
	EVP_MD_free(hasher->md);
	free(hasher);
}

int launch_hasher_create(enum config_sev_type type, const struct launch_watch *watch,
        struct launch_hasher **ret_hasher, struct err *err)
{
	struct launch_hasher *hasher;

	if (crypto_load(err) < 0)
		return -1;
	hasher = calloc(1, sizeof(*hasher));
	if (!hasher)
		return err_set(err, ERR_FAILED, "no memory for the launch digest");
	hasher->watch = watch;
	hasher->chained = type == CONFIG_SEV_SNP;
	hasher->md = EVP_MD_fetch(NULL, hasher->chained ? "SHA384" : "SHA256", NULL);
	hasher->running = EVP_MD_CTX_new();
	hasher->copy = EVP_MD_CTX_new();
	if (!hasher->md || !hasher->running || !hasher->copy ||
	        EVP_DigestInit_ex(hasher->running, hasher->md, NULL) != 1) {
		launch_hasher_destroy(hasher);
		return err_set(err, ERR_FAILED, "OpenSSL gives no hash for the launch digest");
	}
	*ret_hasher = hasher;
	return 0;
}

static void sha384(struct launch_hasher *hasher, const void *data, size_t size_bytes, uint8_t *ret_hash)
{
	/* Without a method the context keeps the one it has, and what that has set up. */
	if (EVP_DigestInit_ex(hasher->running, NULL, NULL) != 1 ||
	        EVP_DigestUpdate(hasher->running, data, size_bytes) != 1 ||
	        EVP_DigestFinal_ex(hasher->running, ret_hash, NULL) != 1)
		hasher->bad = true;
}

/*
 * Firmware images are full of equal neighbours, and comparing is much cheaper than hashing, so a page equal
 * to the one before it in its item keeps that one's hash.
 */
static void link_page(struct launch_hasher *hasher, const struct launch_item *item, uint64_t offset)
{
	const uint8_t *page = item->data ? (const uint8_t *)item->data + offset : zero_page;
	struct abi_page_info info = {
	        .length = sizeof(info),
	        .page_type = (uint8_t)item->type,
	        .gpa = item->gpa.raw + offset,
	};

	memcpy(info.digest_cur, hasher->ld, sizeof(hasher->ld));
	if (item->type == ABI_PAGE_NORMAL || item->type == ABI_PAGE_VMSA) {
		if (offset == 0 || !item->data || memcmp(page, page - PAGE_SIZE_BYTES, PAGE_SIZE_BYTES) != 0)
			sha384(hasher, page, PAGE_SIZE_BYTES, hasher->contents);
		memcpy(info.contents, hasher->contents, sizeof(info.contents));
	}
	sha384(hasher, &info, sizeof(info), hasher->ld);
}

static void add_bytes(struct launch_hasher *hasher, const struct launch_item *item, uint64_t offset)
{
	uint64_t left = item->size_bytes - offset;
	const uint8_t *data = item->data ? (const uint8_t *)item->data + offset : zero_page;

	if (EVP_DigestUpdate(hasher->running, data, left < PAGE_SIZE_BYTES ? left : PAGE_SIZE_BYTES) != 1)
		hasher->bad = true;
}

void launch_hasher_add(struct launch_hasher *hasher, const struct launch_item *item)
{
	const struct launch_watch *watch = hasher->watch;

	for (uint64_t offset = 0; offset < item->size_bytes; offset += PAGE_SIZE_BYTES) {
		if (watch && watch->on_page)
			watch->on_page(watch->ctx, item, offset);
		if (hasher->chained)
			link_page(hasher, item, offset);
		else
			add_bytes(hasher, item, offset);
	}
}

int launch_hasher_value(struct launch_hasher *hasher, struct launch_digest *ret_digest, struct err *err)
{
	struct launch_digest digest = {.size_bytes = hasher->chained ? SHA384_BYTES : SHA256_BYTES};

	if (hasher->chained)
		memcpy(digest.bytes, hasher->ld, SHA384_BYTES);
	else if (EVP_MD_CTX_copy_ex(hasher->copy, hasher->running) != 1 ||
	         EVP_DigestFinal_ex(hasher->copy, digest.bytes, NULL) != 1)
		hasher->bad = true;
	if (hasher->bad)
		return err_set(err, ERR_FAILED, "OpenSSL failed while hashing for the launch digest");
	*ret_digest = digest;
	return 0;
}

int launch_plan_digest(const struct launch_plan *plan, const struct launch_watch *watch,
        struct launch_digest *ret_digest, struct err *err)
{
	struct launch_hasher *hasher;
	int result;

	if (launch_hasher_create(plan->type, watch, &hasher, err) < 0)
		return -1;
	for (unsigned i = 0; i < plan->count; i++)
		launch_hasher_add(hasher, &plan->items[i]);
	result = launch_hasher_value(hasher, ret_digest, err);
	launch_hasher_destroy(hasher);
	return result;
}

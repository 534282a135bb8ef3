/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret: makes what the guest's owner sends to LAUNCH_SECRET: a table that guests can read, encrypted. Any
 * thread. SEV API, LAUNCH_SECRET; edk2 OvmfPkg/AmdSev/SecretDxe and Linux efi_secret (the table).
 */
#include <string.h>

#include <openssl/rand.h>

#include "mac.h"

#define PADDING 16 /* LAUNCH_SECRET accepts only multiples of this size */

static int table_size(
        const struct owner_secret_entry *entries, size_t count, size_t *ret_size, struct err *err)
{
	size_t size = sizeof(struct abi_secret_header);

	for (size_t i = 0; i < count; i++) {
		if (!add_ok(size, entries[i].value.size, &size) ||
		        !add_ok(size, sizeof(struct abi_secret_header), &size) ||
		        size > OWNER_SECRET_MAX_BYTES)
			return err_set(err, ERR_USAGE,
			        "the secrets are too large: with \"%s\" the table exceeds %llu bytes, which "
			        "is all "
			        "that one launch secret can hold",
			        entries[i].value.name, (unsigned long long)OWNER_SECRET_MAX_BYTES);
	}
	*ret_size = size;
	return 0;
}

/* Guests find a secret by its GUID. They cannot find a secret without bytes. */
static int check_entries(const struct owner_secret_entry *entries, size_t count, struct err *err)
{
	static const struct abi_efi_guid zeros;

	for (size_t i = 0; i < count; i++) {
		if (memcmp(&entries[i].guid, &zeros, sizeof(zeros)) == 0)
			return err_set(err, ERR_USAGE,
			        "%s is given the GUID of zeros, by which guests mark deleted secrets: Linux "
			        "would never show it; give it another one",
			        entries[i].value.name);
		if (!entries[i].value.size)
			return err_set(err, ERR_USAGE, "%s: is empty; a secret needs at least one byte",
			        entries[i].value.name);
		for (size_t j = 0; j < i; j++) {
			if (memcmp(&entries[i].guid, &entries[j].guid, sizeof(entries[i].guid)) == 0)
				return err_set(err, ERR_USAGE,
				        "%s and %s are given the same GUID, so a guest would find only one "
				        "of them",
				        entries[j].value.name, entries[i].value.name);
		}
	}
	return 0;
}

static uint8_t *put(uint8_t *at, struct abi_efi_guid guid, const void *data, size_t size, size_t length)
{
	struct abi_secret_header header = {guid, (uint32_t)length};

	memcpy(at, &header, sizeof(header));
	if (size)
		memcpy(at + sizeof(header), data, size);
	return at + sizeof(header) + size;
}

int owner_secret_table(const struct owner_secret_entry *entries, size_t count, uint8_t **ret_data,
        size_t *ret_size, struct err *err)
{
	size_t size, padded;
	uint8_t *data, *at;

	if (check_entries(entries, count, err) < 0 || table_size(entries, count, &size, err) < 0)
		return -1;
	padded = (size + PADDING - 1) / PADDING * PADDING;
	data = calloc(1, padded);
	if (!data)
		return err_set(err, ERR_FAILED, "no memory for the table of secrets");
	at = put(data, ABI_SECRET_TABLE_GUID, NULL, 0, size);
	for (size_t i = 0; i < count; i++) {
		const struct attest_blob *value = &entries[i].value;

		at = put(at, entries[i].guid, value->data, value->size,
		        sizeof(struct abi_secret_header) + value->size);
	}
	*ret_data = data;
	*ret_size = padded;
	return 0;
}

int owner_secret_pack(const struct owner_keys *keys, const uint8_t measure[static 32], const uint8_t *data,
        size_t size, struct abi_sev_secret_header *ret_header, uint8_t *ret_ciphertext, struct err *err)
{
	static const uint8_t context = 0x01;
	struct abi_sev_secret_header header = {.flags = 0}; /* not compressed */
	uint8_t length[4];
	const struct owner_mac_part parts[] = {
	        {&context, sizeof(context)},
	        {&header.flags, sizeof(header.flags)},
	        {header.iv, sizeof(header.iv)},
	        {length, sizeof(length)}, /* its length in the guest */
	        {length, sizeof(length)}, /* its length on the way, which is the same: it is not compressed */
	        {ret_ciphertext, size},
	        {measure, 32},
	};

	if (size == 0 || size % PADDING != 0 || size > OWNER_SECRET_MAX_BYTES)
		return err_set(err, ERR_USAGE,
		        "a launch secret has 16 to %llu bytes, a multiple of 16; not %zu",
		        (unsigned long long)OWNER_SECRET_MAX_BYTES, size);
	if (crypto_load(err) < 0)
		return -1;
	if (RAND_bytes(header.iv, sizeof(header.iv)) != 1)
		return err_set(err, ERR_FAILED, "OpenSSL cannot make random numbers");
	store_le(length, sizeof(length), size);
	if (owner_mac_crypt(keys->tek, header.iv, data, size, ret_ciphertext, err) < 0 ||
	        owner_mac_compute(keys->tik, sizeof(keys->tik), parts, ARRAY_LEN(parts), header.mac, err) < 0)
		return -1;
	*ret_header = header;
	return 0;
}

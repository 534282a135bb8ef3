/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No key is left for a core dump: after keys and secrets were used, this process's writable memory is
 * searched for them. The wanted bytes are kept in reverse, so that the search does not find its own copy.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include "support/test.h"
#include "vmm/launch.h"
#include "vmm/owner.h"

static struct err err;

#define NEEDLE_BYTES 24 /* of the middle of a secret: enough to be no accident */

struct needle {
	uint8_t turned[NEEDLE_BYTES]; /* every byte XOR 0xa5 */
};

static struct needle needle_of(const uint8_t *secret)
{
	struct needle needle;

	for (size_t i = 0; i < NEEDLE_BYTES; i++)
		needle.turned[i] = secret[i] ^ 0xa5;
	return needle;
}

static bool is_at(const struct needle *needle, const volatile uint8_t *at)
{
	for (size_t i = 0; i < NEEDLE_BYTES; i++) {
		if ((at[i] ^ 0xa5) != needle->turned[i])
			return false;
	}
	return true;
}

static bool is_in(const struct needle *needle, uintptr_t from, uintptr_t to)
{
	uint8_t chunk[4096 + NEEDLE_BYTES];
	int fd = open("/proc/self/mem", O_RDONLY);
	bool found = false;

	assert_true(fd >= 0);
	for (uintptr_t at = from; at < to && !found; at += 4096) {
		ssize_t n = pread(fd, chunk, sizeof(chunk), (off_t)at);

		for (ssize_t i = 0; i + NEEDLE_BYTES <= n && !found; i++)
			found = is_at(needle, chunk + i);
	}
	close(fd);
	/* The copy that was searched here must not be found the next time. */
	crypto_wipe(chunk, sizeof(chunk));
	return found;
}

/*
 * Only heap, stack and data are searched, which a core dump would show; sanitizers keep freed memory and map
 * much memory of their own.
 */
static bool is_in_memory(const struct needle *needle)
{
	char line[512], permissions[8];
	uintptr_t from, to;
	bool found = false;

	auto_fclose FILE *maps = fopen("/proc/self/maps", "re");
	assert_non_null(maps);
	while (!found && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, permissions) == 3 && permissions[1] == 'w' &&
		        to - from < MIB(256))
			found = is_in(needle, from, to);
	}
	return found;
}

static void test_wipe_the_search_finds_what_is_there(void **state)
{
	uint8_t secret[NEEDLE_BYTES];
	struct needle needle;

	for (size_t i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t)(i * 37 + 11);
	needle = needle_of(secret);
	assert_true(is_in_memory(&needle));
	crypto_wipe(secret, sizeof(secret));
	assert_false(is_in_memory(&needle));
}

/*
 * Reads the private number of a key from OpenSSL. vmm never does this, so base has no function for it. The
 * first member of a key is OpenSSL's.
 */
static void find_number(const struct owner_id_key *key, struct needle *ret_big, struct needle *ret_little)
{
	void *lib = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_NOLOAD);
	int (*get)(const void *, const char *, void **) =
	        (__typeof__(get))dlsym(lib, "EVP_PKEY_get_bn_param");
	int (*pad)(const void *, uint8_t *, int) = (__typeof__(pad))dlsym(lib, "BN_bn2binpad");
	void (*clear)(void *) = (__typeof__(clear))dlsym(lib, "BN_clear_free");
	uint8_t number[48], reversed[48];
	void *bn = NULL;

	assert_true(get && pad && clear);
	assert_int_equal(get(*(void *const *)key, "priv", &bn), 1);
	assert_int_equal(pad(bn, number, sizeof(number)), sizeof(number));
	clear(bn);
	for (size_t i = 0; i < sizeof(number); i++)
		reversed[i] = number[47 - i];
	*ret_big = needle_of(number + 12);
	*ret_little = needle_of(reversed + 12);
	crypto_wipe(number, sizeof(number));
	crypto_wipe(reversed, sizeof(reversed));
	dlclose(lib);
}

static void test_wipe_id_key_is_nowhere_after_its_end(void **state)
{
	struct abi_id_block block = {.version = ABI_ID_BLOCK_VERSION};
	struct needle big, little;
	struct owner_id_key *key;
	struct abi_id_auth auth;

	assert_ok(owner_id_key_generate(&key, &err));
	find_number(key, &big, &little);
	assert_true(is_in_memory(&little)); /* as big numbers are kept */
	assert_ok(owner_id_sign(&block, key, key, &auth, &err));
	owner_id_key_destroy(key);
	assert_false(is_in_memory(&little));
	assert_false(is_in_memory(&big));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_wipe_the_search_finds_what_is_there),
	        cmocka_unit_test(test_wipe_id_key_is_nowhere_after_its_end),
	};

	if (crypto_load(&err) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

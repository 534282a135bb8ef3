/* SPDX-License-Identifier: Apache-2.0 */
/* Expected values: a Python program over hashlib that follows the text of SNP ABI 8.17.2 and SEV API 6.2. */
#include "support/test.h"

#include "vmm/launch.h"

static uint8_t a[PAGE_SIZE_BYTES], b[PAGE_SIZE_BYTES], aab[3 * PAGE_SIZE_BYTES];

static int start(void **state)
{
	for (unsigned i = 0; i < PAGE_SIZE_BYTES; i++) {
		a[i] = (uint8_t)(i * 7 + 3);
		b[i] = (uint8_t)(i * 5 + 1);
	}
	memcpy(aab, a, sizeof(a));
	memcpy(aab + sizeof(a), a, sizeof(a));
	memcpy(aab + 2 * sizeof(a), b, sizeof(b));
	return 0;
}

static void add(
        struct launch_hasher *hasher, enum abi_page_type type, uint64_t at, const void *data, uint64_t size)
{
	struct launch_item item = {
	        .name = "x", .type = type, .gpa = gpa(at), .size_bytes = size, .data = data};

	launch_hasher_add(hasher, &item);
}

static void assert_value(struct launch_hasher *hasher, const char *expected)
{
	char text[2 * SHA384_BYTES + 1];
	struct launch_digest digest;
	struct err err;

	assert_ok(launch_hasher_value(hasher, &digest, &err));
	assert_int_equal(digest.size_bytes * 2, strlen(expected));
	hex_encode(digest.bytes, digest.size_bytes, text);
	assert_string_equal(text, expected);
}

static void test_digest_snp_is_the_chain_of_page_infos(void **state)
{
	struct launch_hasher *hasher;
	struct err err;

	assert_ok(launch_hasher_create(CONFIG_SEV_SNP, NULL, &hasher, &err));
	add(hasher, ABI_PAGE_NORMAL, 0xffff0000, aab, sizeof(aab));
	assert_value(hasher, "553bb20cab094d554860e87f99bc95b0a7f5d14a956a852e"
	                     "c2454cc20b0c4882681f5f878cee8253d7cb101b09a5d1d1");
	add(hasher, ABI_PAGE_ZERO, 0x800000, NULL, 0x2000);
	add(hasher, ABI_PAGE_SECRETS, 0x80d000, NULL, 0x1000);
	add(hasher, ABI_PAGE_CPUID, 0x80e000, NULL, 0x1000);
	assert_value(hasher, "6d863ecbbf7540ac852711a2521b6b2de5423202c28d10d5"
	                     "136d3922b2911d5159b2530fa02977b6e3f5e393cb472c39");
	add(hasher, ABI_PAGE_NORMAL, 0x810000, NULL, 0x1000);
	assert_value(hasher, "07fa7b2f46025f8c77b13d4d7bca6ab954aa69f24faf1ee7"
	                     "5e2b60074a467791c934b098481df33d228ed2492304dd96");
	add(hasher, ABI_PAGE_VMSA, ABI_VMSA_GPA, b, sizeof(b));
	assert_value(hasher, "daa416c691928515e5cda5e549d36122384f256014a2a3ea"
	                     "1ae2d850962780bbe98742e7c981082f66b6807344881f84");
	launch_hasher_destroy(hasher);
}

static void test_digest_sev_is_one_hash_that_can_be_read_on_the_way(void **state)
{
	struct launch_hasher *hasher;
	struct err err;

	assert_ok(launch_hasher_create(CONFIG_SEV_ES, NULL, &hasher, &err));
	add(hasher, ABI_PAGE_NORMAL, 0xffff0000, aab, sizeof(aab));
	assert_value(hasher, "d44da2e5fef54e25e772d1b6697561facde3829efe1886e85f8a3ec3bc35cae4");
	add(hasher, ABI_PAGE_NORMAL, 0x810c00, b, 0xb0);
	assert_value(hasher, "167ab3221e4ad8f2be46cef2c72063fc07f3141f839a6bdf8de162c39fd574cb");
	add(hasher, ABI_PAGE_VMSA, ABI_VMSA_GPA, a, sizeof(a));
	assert_value(hasher, "d3a87ffbb91ab47ff57888ab5ad2b87b9d09b031fc7e305f9e6acfc5fdde3aad");
	launch_hasher_destroy(hasher);
}

struct seen {
	uint64_t pages, last;
};

static void on_page(void *ctx, const struct launch_item *item, uint64_t offset_bytes)
{
	struct seen *seen = ctx;

	seen->pages++;
	seen->last = item->gpa.raw + offset_bytes;
}

static void test_digest_watcher_sees_every_page_once(void **state)
{
	struct seen seen = {0};
	const struct launch_watch watch = {.on_page = on_page, .ctx = &seen};
	struct launch_hasher *hasher;
	struct err err;

	assert_ok(launch_hasher_create(CONFIG_SEV, &watch, &hasher, &err));
	add(hasher, ABI_PAGE_NORMAL, 0xffff0000, aab, sizeof(aab));
	assert_int_equal(seen.pages, 3);
	assert_int_equal(seen.last, 0xffff2000);
	add(hasher, ABI_PAGE_NORMAL, 0x810c00, b, 0xb0);
	assert_int_equal(seen.pages, 4);
	launch_hasher_destroy(hasher);
}

static void test_digest_ender_takes_nothing(void **state)
{
	launch_hasher_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_digest_snp_is_the_chain_of_page_infos),
	        cmocka_unit_test(test_digest_sev_is_one_hash_that_can_be_read_on_the_way),
	        cmocka_unit_test(test_digest_watcher_sees_every_page_once),
	        cmocka_unit_test(test_digest_ender_takes_nothing),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * To which host a SEV guest may be sent by the secure processor. The certificates are those of software
 * platforms.
 */
#include <fcntl.h>
#include <unistd.h>

#include "../../../src/migrate/chain.h"
#include "support/test.h"
#include "vmm/abi/policy.h"
#include "vmm/call.h"
#include "vmm/host.h"
#include "vmm/sim.h"

#define NO_DEBUG ABI_SEV_POLICY_NODBG
#define DOMAIN   (NO_DEBUG | ABI_SEV_POLICY_DOMAIN)

static struct err err;
static struct sim_cert amd[SIM_CERTS];
/* What a target tells, from its firmware and from a file; the root of another product. */
static struct migrate_chain good;
static struct migrate_root none, rome, milan;
static char path[] = "/tmp/vmm-chain-XXXXXX";

static void take_root(struct migrate_root *root)
{
	memcpy(root->data, amd[SIM_CERT_ARK].data, amd[SIM_CERT_ARK].size);
	root->size = amd[SIM_CERT_ARK].size;
}

static void open_platform(const char *product, struct host **ret_host)
{
	const struct sim_options options = {.product = product, .seed = 1};
	int fd;

	assert_ok(sim_host_create(&options, ret_host, &err));
	assert_ok(sim_certificates(*ret_host, false, amd, &err));
	assert_ok(call_platform_open_to_read(*ret_host, &fd, &err));
	assert_ok(call_platform_certificates(*ret_host, fd, &good.pdh, &good.platform, &err));
	host_close(*ret_host, fd);
}

static void write_parts(unsigned count, const void *const *parts, const size_t *sizes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(write(fd, parts[i], sizes[i]), sizes[i]);
	close(fd);
}

/* first, second: of AMD's certificates, behind the four of the platform. */
static int read_file(unsigned first, unsigned second, size_t cut, struct migrate_chain *ret_chain)
{
	const void *const parts[] = {
	        &good.pdh, &good.platform, amd[SIM_CERT_CHIP].data, amd[first].data, amd[second].data};
	const size_t sizes[] = {sizeof(good.pdh), sizeof(good.platform) - sizeof(good.platform.cek),
	        sizeof(good.platform.cek), amd[first].size, amd[second].size - cut};

	write_parts(5, parts, sizes);
	return migrate_chain_read(path, ret_chain, &err);
}

static int setup(void **state)
{
	struct migrate_chain known;
	struct host *host;

	assert_true(mkstemp(path) >= 0);
	open_platform("Rome", &host);
	take_root(&rome);
	sim_certificates_free(amd);
	host_destroy(host);
	open_platform("Milan", &host);
	host_destroy(host);
	take_root(&milan);
	assert_ok(read_file(SIM_CERT_ASK, SIM_CERT_ARK, 0, &known));
	good.platform.cek = known.platform.cek;
	memcpy(good.amd, known.amd, known.amd_bytes);
	good.amd_bytes = known.amd_bytes;
	return 0;
}

static int teardown(void **state)
{
	sim_certificates_free(amd);
	unlink(path);
	return 0;
}

static void refuses(
        const struct migrate_chain *chain, const struct migrate_root *root, uint64_t policy, const char *part)
{
	assert_fails(migrate_chain_verify(chain, root, policy, &err), ERR_FAILED, part);
}

static void test_chain_to_a_root_that_is_named_is_good(void **state)
{
	assert_ok(migrate_chain_verify(&good, &milan, NO_DEBUG, &err));
}

/* That of a software platform is not AMD's. */
static void test_chain_that_leads_to_another_root_is_refused(void **state)
{
	refuses(&good, &none, NO_DEBUG,
	        "its certificates lead to no root of AMD's (migrate.root names another)");
	refuses(&good, &rome, NO_DEBUG, "lead to another root than migrate.root");
}

static void test_chain_with_any_byte_changed_is_refused(void **state)
{
	static const size_t places[] = {20, 2084 + 20, 2 * 2084 + 20, 3 * 2084 + 20};
	struct migrate_chain bad;

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		bad = good;
		((uint8_t *)&bad)[places[i]] ^= 1;
		assert_int_equal(migrate_chain_verify(&bad, &milan, NO_DEBUG, &err), -1);
	}
	for (uint32_t at = 100; at < good.amd_bytes; at += 211) {
		bad = good;
		bad.amd[at] ^= 1;
		assert_int_equal(migrate_chain_verify(&bad, &milan, NO_DEBUG, &err), -1);
	}
}

/* The firmware's CEK has no signature: without the file nothing leads to AMD. */
static void test_chain_without_amds_certificates_is_for_the_same_owner_alone(void **state)
{
	struct migrate_chain bare = good;

	bare.amd_bytes = 0;
	refuses(&bare, &none, NO_DEBUG, "it does not tell AMD's certificates (migrate.certificates there)");
	assert_ok(migrate_chain_verify(&bare, &none, DOMAIN, &err));
	refuses(&bare, &milan, DOMAIN, "it does not tell AMD's certificates");
	refuses(&bare, &none, DOMAIN | ABI_SEV_POLICY_SEV, "it does not tell AMD's certificates");
}

static void test_chain_files_are_read(void **state)
{
	struct migrate_chain chain;

	/* The firmware wants the ASK first, whatever the file's order is. */
	assert_ok(read_file(SIM_CERT_ARK, SIM_CERT_ASK, 0, &chain));
	assert_memory_equal(chain.amd, good.amd, good.amd_bytes);
	assert_int_equal(chain.amd_bytes, good.amd_bytes);
	assert_memory_equal(&chain.platform.cek, amd[SIM_CERT_CHIP].data, sizeof(chain.platform.cek));
	assert_ok(migrate_chain_read("", &chain, &err));
	assert_int_equal(chain.amd_bytes, 0);
}

static void test_chain_files_that_do_not_serve_are_named(void **state)
{
	const void *const part = amd[SIM_CERT_ASK].data;
	struct migrate_chain chain;
	struct migrate_root root;

	assert_fails(
	        read_file(SIM_CERT_ASK, SIM_CERT_ASK, 0, &chain), ERR_USAGE, "migrate.certificates: /tmp/");
	assert_non_null(strstr(err.text, "one ASK and one ARK belong behind the CEK"));
	assert_fails(
	        read_file(SIM_CERT_ASK, SIM_CERT_ARK, 1, &chain), ERR_USAGE, "migrate.certificates: /tmp/");
	assert_fails(
	        read_file(SIM_CERT_CHIP, SIM_CERT_ARK, 0, &chain), ERR_USAGE, "migrate.certificates: /tmp/");
	write_parts(1, &part, &amd[SIM_CERT_ASK].size);
	assert_fails(migrate_chain_read(path, &chain, &err), ERR_USAGE, "PDH, PEK, OCA and CEK");
	assert_fails(migrate_chain_read("/nowhere/x", &chain, &err), ERR_USAGE,
	        "migrate.certificates: /nowhere/x");
	assert_fails(migrate_chain_read_root(path, &root, &err), ERR_USAGE, "one ARK belongs here");
	assert_fails(
	        migrate_chain_read_root("/nowhere/x", &root, &err), ERR_USAGE, "migrate.root: /nowhere/x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_chain_to_a_root_that_is_named_is_good),
	        cmocka_unit_test(test_chain_that_leads_to_another_root_is_refused),
	        cmocka_unit_test(test_chain_with_any_byte_changed_is_refused),
	        cmocka_unit_test(test_chain_without_amds_certificates_is_for_the_same_owner_alone),
	        cmocka_unit_test(test_chain_files_are_read),
	        cmocka_unit_test(test_chain_files_that_do_not_serve_are_named),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

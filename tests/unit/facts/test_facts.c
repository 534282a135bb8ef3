/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The facts that are known about a host, and those that are not: from calls, from the misc controller's
 * files, from neither.
 */
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "support/fake_kernel.h"
#include "support/folder.h"
#include "vmm/launch.h"

static struct fake_kernel kernel;
static struct facts facts;
static char root[64], group[80];
static uint32_t hiding;

static int setup(void **state)
{
	fake_start(&kernel);
	hiding = 0;
	snprintf(root, sizeof(root), "/tmp/vmm-facts-XXXXXX");
	assert_non_null(mkdtemp(root));
	snprintf(group, sizeof(group), "%s/guests", root);
	assert_int_equal(mkdir(group, 0700), 0);
	return 0;
}

static int teardown(void **state)
{
	folder_remove(group);
	folder_remove(root);
	return 0;
}

static void gather(const char *cgroup)
{
	facts_gather(&kernel.host,
	        &(struct facts_process){.cgroup = cgroup, .hiding_asids = hiding, .memlock_bytes = 4096},
	        &facts);
	assert_int_equal(kernel.open_fds, 0);
}

static void test_facts_of_a_whole_host(void **state)
{
	gather("");
	assert_int_equal(facts.kvm.kind, ERR_NONE);
	assert_int_equal(facts.product, PRODUCT_MILAN);
	assert_int_equal(facts.c_bit, 51);
	assert_int_equal(facts.vmsa_features, 0x20);
	assert_int_equal(facts.policy_bits, 0x1bffff);
	assert_true(facts.has_init2 && facts.has_private_memory && facts.has_conversion && facts.has_mirrors);
	assert_int_equal(facts.snp.api_minor, 55);
	assert_int_equal(facts.asids[PRODUCT_ASID_SEV].limit, 410);
	assert_int_equal(facts.asids[PRODUCT_ASID_ES].limit, 99);
	assert_int_equal(facts.asids[PRODUCT_ASID_SNP].limit, 99);
	assert_false(facts.asids[PRODUCT_ASID_SNP].used_known || facts.asids[PRODUCT_ASID_SNP].free_known);
	assert_non_null(facts.asids[PRODUCT_ASID_SNP].why);
}

static void test_facts_without_devices_say_why(void **state)
{
	kernel.refusal = (struct fake_refusal){.path = "/dev/sev", .sys = EACCES};
	gather("");
	assert_int_equal(facts.device.sys, EACCES);
	assert_int_equal(facts.status.sys, EACCES);
	assert_int_equal(facts.snp_status.sys, EACCES);
	kernel.refusal = (struct fake_refusal){.path = "/dev/kvm", .sys = ENOENT};
	gather("");
	assert_int_equal(facts.kvm.sys, ENOENT);
	assert_int_equal(facts.vm_types, 0);
}

static void test_facts_container_sees_its_limit_but_no_capacity(void **state)
{
	folder_put(group, "misc.current", "sev 1\nsev_es 2\n");
	folder_put(group, "misc.max", "sev max\nsev_es 5\n");
	gather(group);
	assert_int_equal(facts.asids[PRODUCT_ASID_SNP].used, 2);
	assert_int_equal(facts.asids[PRODUCT_ASID_SNP].free, 3);
	assert_string_equal(facts.asids[PRODUCT_ASID_SNP].limiting, group);
	assert_int_equal(facts.asids[PRODUCT_ASID_SNP].group_limit, 5);
	assert_true(facts.asids[PRODUCT_ASID_SEV].group_limit == UINT64_MAX);
	assert_null(facts.asids[PRODUCT_ASID_SNP].why);
	assert_true(facts.asids[PRODUCT_ASID_SEV].used_known);
	assert_false(facts.asids[PRODUCT_ASID_SEV].free_known);
	assert_non_null(strstr(facts.asids[PRODUCT_ASID_SEV].why, "misc.capacity"));
}

static void test_facts_host_counts_all_groups(void **state)
{
	folder_put(group, "misc.current", "sev 0\nsev_es 2\n");
	folder_put(group, "misc.max", "sev max\nsev_es 50\n");
	folder_put(root, "misc.current", "sev 10\nsev_es 90\n");
	folder_put(root, "misc.capacity", "sev 410\nsev_es 99\n");
	gather(group);
	assert_int_equal(facts.asids[PRODUCT_ASID_SNP].used, 90);
	assert_int_equal(facts.asids[PRODUCT_ASID_SNP].free, 9);
	assert_string_equal(facts.asids[PRODUCT_ASID_SNP].limiting, "");
	assert_int_equal(facts.asids[PRODUCT_ASID_SNP].group_limit, 50);
	assert_int_equal(facts.asids[PRODUCT_ASID_SEV].free, 400);
}

static void test_facts_group_above_its_limit_has_none_free(void **state)
{
	folder_put(group, "misc.current", "sev 7\n");
	folder_put(group, "misc.max", "sev 5\n");
	gather(group);
	assert_true(facts.asids[PRODUCT_ASID_SEV].free_known);
	assert_int_equal(facts.asids[PRODUCT_ASID_SEV].free, 0);
}

static void test_facts_ciphertext_hiding_divides_the_asids(void **state)
{
	hiding = 30;
	folder_put(group, "misc.current", "sev_es 2\n");
	folder_put(group, "misc.max", "sev_es 5\n");
	gather(group);
	assert_int_equal(facts.asids[PRODUCT_ASID_SNP].limit, 30);
	assert_int_equal(facts.asids[PRODUCT_ASID_ES].limit, 69);
	assert_false(facts.asids[PRODUCT_ASID_SNP].used_known || facts.asids[PRODUCT_ASID_SNP].free_known);
	folder_put(group, "misc.max", "sev_es 2\n");
	gather(group);
	assert_true(facts.asids[PRODUCT_ASID_SNP].free_known);
	assert_int_equal(facts.asids[PRODUCT_ASID_SNP].free, 0);
}

static void test_facts_files_of_any_content_are_survived(void **state)
{
	static const char *const texts[] = {"", "\n", "sev", "sev \n", "sev -1\n", "sev x\n", "sevx 1\n",
	        "sev 99999999999999999999999\n", "sev_es", "\xff\xfe\xfd"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		folder_put(group, "misc.current", texts[i]);
		folder_put(group, "misc.max", texts[i]);
		gather(group);
		assert_int_equal(facts.asids[PRODUCT_ASID_SEV].limit, 410);
	}
	gather("relative");
	gather("////////////////");
}

/*
 * As root of a user namespace of its own, as in rootless containers, a process has every capability, but the
 * kernel ignores them when memory is locked. Exit status 77: no such namespace can be made.
 */
static int look_from_a_user_namespace(void)
{
	const struct rlimit limit = {.rlim_cur = KIB(64), .rlim_max = KIB(64)};
	struct facts_process process;

	if (unshare(CLONE_NEWUSER) < 0 || setrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return 77;
	facts_process_own("", &process);
	return process.memlock_bytes == KIB(64) ? 0 : 1;
}

static void test_facts_capabilities_of_a_container_lock_no_memory(void **state)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(look_from_a_user_namespace());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("no user namespace can be made here\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_facts_of_a_whole_host),
	        TEST(test_facts_without_devices_say_why),
	        TEST(test_facts_container_sees_its_limit_but_no_capacity),
	        TEST(test_facts_host_counts_all_groups),
	        TEST(test_facts_group_above_its_limit_has_none_free),
	        TEST(test_facts_ciphertext_hiding_divides_the_asids),
	        TEST(test_facts_files_of_any_content_are_survived),
	        TEST(test_facts_capabilities_of_a_container_lock_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

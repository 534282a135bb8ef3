/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that a launch makes to the kernel, their order, and what it does with the answers. */
#include <sys/stat.h>
#include <time.h>

#include "../../../src/launch/launch.h"
#include "bench.h"
#include "support/folder.h"

static struct bench bench;
static struct err err;

static time_t made_at; /* the owner's files: by default after any measurement of today */

static int setup(void **state)
{
	made_at = time(NULL) + 86400;
	bench_start(&bench);
	return 0;
}

static int teardown(void **state)
{
	bench_end(&bench);
	assert_int_equal(bench.kernel.open_fds, 0);
	return 0;
}

static void assert_lines(const char *const *wanted)
{
	unsigned i = 0;

	for (; wanted[i]; i++) {
		if (i >= bench.kernel.count)
			fail_msg("line %u: nothing, not \"%s\"", i, wanted[i]);
		assert_string_equal(bench.kernel.lines[i], wanted[i]);
	}
	if (i < bench.kernel.count)
		fail_msg("line %u: \"%s\" is one too many", i, bench.kernel.lines[i]);
}

static void launches(const char *type, const char *const *sets)
{
	if (bench_launch(&bench, type, sets) < 0)
		fail_msg("%s", bench.err.text);
}

static void refuses(const char *type, const char *const *sets, enum err_kind kind, const char *part)
{
	assert_int_equal(bench_launch(&bench, type, sets), -1);
	if (!strstr(bench.err.text, part))
		fail_msg("\"%s\" lacks \"%s\"", bench.err.text, part);
	assert_int_equal(bench.err.kind, kind);
}

/* ---- the three generations ---- */

static void test_launch_sev_asks_the_state_after_each_phase(void **state)
{
	launches("sev", NULL);
	assert_lines((const char *const[]){"CREATE_VM 0x2", "INIT2 0x0", "REG_REGION 0x400000",
	        "REG_REGION 0x10000", "LAUNCH_START 0x1", "GUEST_STATUS 0x1", "LAUNCH_UPDATE_DATA 0x10000",
	        "GUEST_STATUS 0x1", "GUEST_STATUS 0x1", "LAUNCH_MEASURE 0x30", "GUEST_STATUS 0x2",
	        "GUEST_STATUS 0x2", "LAUNCH_FINISH 0x0", "GUEST_STATUS 0x3", NULL});
}

static void test_launch_sev_es_measures_the_processors(void **state)
{
	launches("sev-es", (const char *const[]){"machine.vcpus=3", "sev.vmsa-features=debug-swap", NULL});
	assert_lines((const char *const[]){"CREATE_VM 0x3", "INIT2 0x20", "REG_REGION 0x400000",
	        "REG_REGION 0x10000", "LAUNCH_START 0x5", "GUEST_STATUS 0x1", "LAUNCH_UPDATE_DATA 0x10000",
	        "GUEST_STATUS 0x1", "LAUNCH_UPDATE_VMSA 0x3", "GUEST_STATUS 0x1", "LAUNCH_MEASURE 0x30",
	        "GUEST_STATUS 0x2", "GUEST_STATUS 0x2", "LAUNCH_FINISH 0x0", "GUEST_STATUS 0x3", NULL});
}

static void test_launch_old_kernel_gets_the_old_commands(void **state)
{
	bench.kernel.old = true;
	bench.kernel.vm_types = 1;
	launches("sev-es", NULL);
	assert_string_equal(bench.kernel.lines[0], "CREATE_VM 0x0");
	assert_string_equal(bench.kernel.lines[1], "ES_INIT 0x0");
	assert_true(launch_plan_of(bench.launch)->vmsa.legacy_init);
}

static void test_launch_snp_issues_the_plan(void **state)
{
	launches("sev-snp", NULL);
	assert_lines((const char *const[]){"CREATE_VM 0x4", "INIT2 0x0", "PRIVATE 0x0", "PRIVATE 0xffff0000",
	        "SNP_LAUNCH_START 0x30000", "SNP_LAUNCH_UPDATE 0xffff0", "SNP_LAUNCH_UPDATE 0x10",
	        "SNP_LAUNCH_UPDATE 0x14", "SNP_LAUNCH_UPDATE 0x15", "SNP_LAUNCH_FINISH 0x1", NULL});
	assert_memory_equal(bench.kernel.block.ld, launch_digest_of(bench.launch)->bytes, 48);
	assert_int_equal(bench.kernel.block.policy, 0x30000);
	assert_int_equal(bench.kernel.finish.auth_key_en, 0);
}

static void test_launch_snp_asks_for_certificates_before_the_vcpus(void **state)
{
	launches("sev-snp",
	        (const char *const[]){"sev.certificates=" TEST_DATA "/attestation/milan-certs-a.bin", NULL});
	assert_string_equal(bench.kernel.lines[1], "INIT2 0x0");
	assert_string_equal(bench.kernel.lines[2], "SNP_ENABLE_REQ_CERTS 0x0");
	assert_string_equal(bench.kernel.lines[3], "PRIVATE 0x0");
}

static void test_launch_plain_guest_needs_no_secure_processor(void **state)
{
	launches("none", NULL);
	assert_lines((const char *const[]){"CREATE_VM 0x0", NULL});
	assert_null(launch_plan_of(bench.launch));
}

/* ---- the launch issues exactly what the plan holds ---- */

static void check_update(struct fake_kernel *k, const struct uapi_sev_snp_launch_update *update)
{
	const struct launch_plan *plan = launch_plan_of(bench.launch);
	const struct launch_item *item = NULL;

	for (unsigned i = 0; i < plan->count; i++) {
		if (plan->items[i].type != ABI_PAGE_VMSA &&
		        range_fits(update->gfn_start * 4096 - plan->items[i].gpa.raw, 4096,
		                plan->items[i].size_bytes))
			item = &plan->items[i];
	}
	assert_non_null(item);
	assert_int_equal(update->type, item->type);
	if (item->data)
		assert_memory_equal((void *)(uintptr_t)update->uaddr,
		        (const uint8_t *)item->data + (update->gfn_start * 4096 - item->gpa.raw), 4096);
}

static void test_launch_snp_contents_are_the_plans(void **state)
{
	bench.kernel.on_update = check_update;
	bench.kernel.partial_pages = 1;
	launches("sev-snp", NULL);
	/* 16 pages of firmware, 3 of memory, 2 more, each by itself, and 6 other calls. */
	assert_int_equal(bench.kernel.count, 5 + 16 + 3 + 2 + 1);
}

static void test_launch_registers_are_those_of_the_measured_vmsa(void **state)
{
	launches("sev-snp", (const char *const[]){"machine.vcpus=2", NULL});
	for (unsigned i = 0; i < 2; i++) {
		const struct kvm_sregs *s = &bench.kernel.sregs[i];
		const struct kvm_regs *r = &bench.kernel.regs[i];

		assert_int_equal(s->cs.base + r->rip, i ? 0x80b004 : 0xfffffff0);
		assert_int_equal(r->rdx, 0xa00f11);
		assert_int_equal(r->rflags, 2);
		assert_int_equal(s->cs.selector, 0xf000);
		assert_int_equal(s->cs.type, 11);
		assert_int_equal(s->tr.type, 11);
		assert_int_equal(s->tr.s, 0);
		assert_int_equal(s->ds.type, 3);
		assert_int_equal(s->ds.present, 1);
		assert_int_equal(s->ldt.type, 2);
		assert_int_equal(s->idt.limit, 0xffff);
		assert_int_equal(s->cr0, 0x60000010);
		assert_int_equal(s->cr4, 0);
		assert_int_equal(s->efer, 0);
		assert_int_equal(s->apic_base, 0xfee00900); /* stays KVM's */
	}
}

static void test_launch_again_is_a_new_guest_measured_anew(void **state)
{
	unsigned first;

	launches("sev-snp", NULL);
	first = bench.kernel.count;
	launch_end(bench.launch);
	assert_ok(launch_whole(bench.launch, bench.machine, &bench.vm, &err));
	assert_int_equal(bench.kernel.count, 2 * first);
	for (unsigned i = 0; i < first; i++)
		assert_string_equal(bench.kernel.lines[i], bench.kernel.lines[first + i]);
}

/* ---- options ---- */

static void test_launch_host_data_and_no_enforced_digest(void **state)
{
	launches("sev-snp", (const char *const[]){"sev.enforce-digest=false",
	                            "sev.host-data="
	                            "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
	                            NULL});
	assert_int_equal(bench.kernel.finish.id_block_en, 0);
	assert_int_equal(bench.kernel.finish.host_data[1], 0x11);
	assert_int_equal(bench.kernel.finish.host_data[31], 0xff);
}

static void write_file(char *path, size_t size, const void *data, size_t bytes)
{
	const struct timespec times[2] = {{.tv_sec = made_at}, {.tv_sec = made_at}};
	int fd;

	snprintf(path, size, "/tmp/vmm-launch-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, bytes), bytes);
	assert_int_equal(futimens(fd, times), 0);
	close(fd);
}

static void launch_with_secret(size_t secret_bytes, const char *address)
{
	static const uint8_t secret[2048] = "the owner's packet";
	char header[32], packet[32], out[64], words[4][96];
	uint8_t measure[48];
	const char *sets[] = {words[0], words[1], words[2], address ? words[3] : NULL, NULL};
	FILE *f;

	write_file(header, sizeof(header), secret, 52);
	write_file(packet, sizeof(packet), secret, secret_bytes);
	snprintf(out, sizeof(out), "%s.measure", header);
	snprintf(words[0], sizeof(words[0]), "sev.secret-header=%s", header);
	snprintf(words[1], sizeof(words[1]), "sev.secret=%s", packet);
	snprintf(words[2], sizeof(words[2]), "sev.measurement=%s", out);
	snprintf(words[3], sizeof(words[3]), "sev.secret-address=%s", address ?: "");
	if (bench_launch(&bench, "sev", sets) == 0) {
		f = fopen(out, "rb");
		assert_non_null(f);
		assert_int_equal(fread(measure, 1, sizeof(measure), f), sizeof(measure));
		assert_int_equal(measure[47], 0x5a);
		fclose(f);
	}
	unlink(out);
	unlink(header);
	unlink(packet);
}

static void test_launch_secret_goes_where_the_image_says(void **state)
{
	launch_with_secret(48, NULL);
	if (!bench.vm)
		fail_msg("%s", bench.err.text);
	assert_string_equal((char *)bench.kernel.secret, "the owner's packet");
	assert_string_equal(bench.kernel.lines[11], "LAUNCH_SECRET 0x30");
}

static void test_launch_secret_is_refused_with_every_code(void **state)
{
	for (uint32_t fw = 1; fw <= 0x3a; fw++) {
		bench.kernel.refusal = (struct fake_refusal){.request = KVM_MEMORY_ENCRYPT_OP,
		        .command = KVM_SEV_LAUNCH_SECRET,
		        .sys = EIO,
		        .fw = fw};
		launch_with_secret(48, NULL);
		assert_int_equal(bench.err.fw, fw);
		if (!strchr(bench.err.text, ';'))
			fail_msg("code 0x%x: %s", fw, bench.err.text);
		bench_end(&bench);
		assert_int_equal(bench.kernel.open_fds, 0);
		bench_start(&bench);
	}
}

static void test_launch_secret_that_does_not_fit_is_refused(void **state)
{
	launch_with_secret(2048, NULL);
	assert_non_null(strstr(bench.err.text, "has 2048 bytes, the firmware image has room for 1024"));
	assert_int_equal(bench.err.kind, ERR_USAGE);
}

static void test_launch_secret_of_an_earlier_launch_is_not_taken(void **state)
{
	made_at = time(NULL) - 60;
	launch_with_secret(48, NULL);
	assert_non_null(strstr(bench.err.text, "is of an earlier launch, and no newer one came within 0 s"));
}

static void test_launch_secret_outside_memory_is_refused(void **state)
{
	launch_with_secret(48, "3ffff0");
	assert_non_null(strstr(bench.err.text, "48 bytes at 0x3ffff0 do not lie in the guest's memory"));
}

static void test_launch_secret_address_is_judged_before_the_launch(void **state)
{
	static const struct {
		const char *address, *text;
	} wrong[] = {
	        {"7ffff000", "sev.secret-address: 0x7ffff000 is not in the guest's memory; "},
	        {"fffffffff0", "sev.secret-address: 0xfffffffff0 is not in the guest's memory; "},
	        {"801", "sev.secret-address: 0x801 is not a multiple of 16; "},
	};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		launch_with_secret(48, wrong[i].address);
		assert_non_null(strstr(bench.err.text, wrong[i].text));
		assert_int_equal(bench.err.kind, ERR_USAGE);
		assert_null(bench.launch);
		bench_end(&bench);
		bench_start(&bench);
	}
}

static void test_launch_secret_that_does_not_come_is_not_waited_for(void **state)
{
	refuses("sev",
	        (const char *const[]){
	                "sev.secret=/tmp/vmm-none", "sev.secret-header=/tmp/vmm-none-too", NULL},
	        ERR_USAGE, "/tmp/vmm-none-too did not come within 0 s of the measurement (sev.secret-wait)");
}

static void test_launch_measurement_that_cannot_be_written_is_no_fault_of_the_host(void **state)
{
	refuses("sev", (const char *const[]){"sev.measurement=/nowhere/measure", NULL}, ERR_USAGE,
	        "sev.measurement: /nowhere/measure cannot be written: its folder is missing or cannot be "
	        "written");
	assert_null(strstr(bench.err.text, "dmesg"));
}

/* As root, a rename over a device would take it from every program of the host. */
static void test_launch_measurement_replaces_nothing_but_a_file(void **state)
{
	char folder[] = "/tmp/vmm-launch-XXXXXX", victim[64], measure[64], word[96];
	const char *sets[] = {word, NULL};
	struct stat st;

	assert_non_null(mkdtemp(folder));
	folder_put(folder, "victim", "mine");
	snprintf(victim, sizeof(victim), "%s/victim", folder);
	snprintf(measure, sizeof(measure), "%s/measure", folder);
	snprintf(word, sizeof(word), "sev.measurement=%s", measure);
	assert_int_equal(symlink(victim, measure), 0);
	refuses("sev", sets, ERR_USAGE, "it is a symbolic link; a regular file or a new name is needed");
	assert_int_equal(stat(victim, &st), 0);
	assert_int_equal(st.st_size, 4);
	assert_int_equal(unlink(measure), 0);
	bench_end(&bench);
	bench_start(&bench);
	if (bench_launch(&bench, "sev", sets) < 0)
		fail_msg("%s", bench.err.text);
	assert_int_equal(lstat(measure, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(st.st_size, 48);
	folder_remove(folder);
}

static void test_launch_joins_the_cgroup_before_it_takes_an_asid(void **state)
{
	char folder[] = "/tmp/vmm-cgroup-XXXXXX", procs[64], word[64], pid[32] = "", own[32];
	FILE *f;

	assert_non_null(mkdtemp(folder));
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", folder);
	f = fopen(procs, "w");
	assert_non_null(f);
	fclose(f);
	snprintf(word, sizeof(word), "cgroup=%s", folder);
	bench.kernel.refusal = (struct fake_refusal){
	        .request = KVM_MEMORY_ENCRYPT_OP, .command = UAPI_SEV_INIT2, .sys = EBUSY};
	refuses("sev", (const char *const[]){word, NULL}, ERR_HOST, "KVM_SEV_INIT2");
	f = fopen(procs, "r");
	assert_non_null(f);
	assert_non_null(fgets(pid, sizeof(pid), f));
	fclose(f);
	snprintf(own, sizeof(own), "%d\n", getpid());
	assert_string_equal(pid, own);
	unlink(procs);
	rmdir(folder);
}

/* ---- the CPUID page ---- */

static void test_launch_corrected_cpuid_page_is_adopted(void **state)
{
	bench.kernel.wrong_leaf = 0x8000001f;
	bench.kernel.right_ebx = 0x33;
	launches("sev-snp", NULL);
	/* The CPUID page twice: refused, then taken. */
	assert_string_equal(bench.kernel.lines[8], "SNP_LAUNCH_UPDATE 0x15");
	assert_string_equal(bench.kernel.lines[9], "SNP_LAUNCH_UPDATE 0x15");
}

static void test_launch_corrected_cpuid_page_is_refused_if_wanted(void **state)
{
	bench.kernel.wrong_leaf = 0x8000001f;
	bench.kernel.right_ebx = 0x33;
	refuses("sev-snp", (const char *const[]){"sev.cpuid-correction=refuse", NULL}, ERR_HOST,
	        "INVALID_PARAM: a parameter is not valid: the CPUID page claims what this processor lacks; "
	        "set sev.cpuid-correction to adopt");
}

static void test_launch_answer_that_is_no_cpuid_page_is_not_adopted(void **state)
{
	bench.kernel.garble_cpuid = true;
	refuses("sev-snp", NULL, ERR_HOST, "the CPUID page that the firmware corrected is not valid");
}

/* ---- refusals on the way ---- */

static void test_launch_state_that_is_another_ends_it(void **state)
{
	bench.kernel.state_lie = 1;
	refuses("sev", NULL, ERR_HOST,
	        "after the step \"start\" the firmware says that the guest is in state 2 (LSECRET), not "
	        "LUPDATE");
}

static void test_launch_failed_finish_is_final(void **state)
{
	bench.kernel.refusal = (struct fake_refusal){.request = KVM_MEMORY_ENCRYPT_OP,
	        .command = UAPI_SEV_SNP_LAUNCH_FINISH,
	        .sys = EIO,
	        .fw = 0xb};
	refuses("sev-snp", NULL, ERR_HOST, "cannot be finished, nor tried again with this guest");
	assert_non_null(strstr(bench.err.text, "BAD_MEASUREMENT"));
	assert_int_equal(bench.err.fw, 0xb);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_launch_sev_asks_the_state_after_each_phase),
	        TEST(test_launch_sev_es_measures_the_processors),
	        TEST(test_launch_old_kernel_gets_the_old_commands),
	        TEST(test_launch_snp_issues_the_plan),
	        TEST(test_launch_snp_asks_for_certificates_before_the_vcpus),
	        TEST(test_launch_plain_guest_needs_no_secure_processor),
	        TEST(test_launch_snp_contents_are_the_plans),
	        TEST(test_launch_registers_are_those_of_the_measured_vmsa),
	        TEST(test_launch_again_is_a_new_guest_measured_anew),
	        TEST(test_launch_host_data_and_no_enforced_digest),
	        TEST(test_launch_secret_goes_where_the_image_says),
	        TEST(test_launch_secret_is_refused_with_every_code),
	        TEST(test_launch_secret_that_does_not_fit_is_refused),
	        TEST(test_launch_secret_of_an_earlier_launch_is_not_taken),
	        TEST(test_launch_secret_outside_memory_is_refused),
	        TEST(test_launch_secret_address_is_judged_before_the_launch),
	        TEST(test_launch_secret_that_does_not_come_is_not_waited_for),
	        TEST(test_launch_measurement_replaces_nothing_but_a_file),
	        TEST(test_launch_measurement_that_cannot_be_written_is_no_fault_of_the_host),
	        TEST(test_launch_joins_the_cgroup_before_it_takes_an_asid),
	        TEST(test_launch_corrected_cpuid_page_is_adopted),
	        TEST(test_launch_corrected_cpuid_page_is_refused_if_wanted),
	        TEST(test_launch_answer_that_is_no_cpuid_page_is_not_adopted),
	        TEST(test_launch_state_that_is_another_ends_it),
	        TEST(test_launch_failed_finish_is_final),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

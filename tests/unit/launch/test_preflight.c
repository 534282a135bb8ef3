/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reasons for refusing a launch that are known before anything irreversible happens: a row a check, and
 * more.
 */
#include "reasons.h"

/* ---- facts ---- */

/* On another vendor's processor KVM reports neither VMSA features nor SEV. */
static void no_sev_at_all(struct bench *b)
{
	b->kernel.old = true;
	b->kernel.vm_types = 1;
	b->kernel.sev_eax = 0;
}

static void no_snp_in_cpuid(struct bench *b)
{
	b->kernel.sev_eax = 0xf;
}

static void no_es_in_cpuid(struct bench *b)
{
	b->kernel.sev_eax = 3;
}

static void no_snp_vm_type(struct bench *b)
{
	b->kernel.vm_types = 0xd;
}

static void no_es_asids(struct bench *b)
{
	b->kernel.asid_min = 1;
}

static void no_sev_asids(struct bench *b)
{
	b->kernel.asid_max = 99;
}

static void no_guest_memfd(struct bench *b)
{
	b->kernel.guest_memfd = 0;
}

static void no_conversion(struct bench *b)
{
	b->kernel.exit_hypercall = 0;
}

static void no_msr_exits(struct bench *b)
{
	b->kernel.no_msr_exits = true;
}

static void no_mirrors(struct bench *b)
{
	b->kernel.no_mirrors = true;
}

static void no_rmp(struct bench *b)
{
	b->kernel.snp.rmp_init = 0;
	b->kernel.snp.state = 0;
}

static void linux_6_14(struct bench *b)
{
	b->kernel.no_policy_bits = true;
	b->process.linux_version = FACTS_LINUX(6, 14);
}

/* Firmware with which the kernel does not initialise SEV-SNP; Linux 6.12 offers the type all the same. */
static void snp_firmware_1_49(struct bench *b)
{
	b->kernel.status.api_minor = 49;
	b->kernel.snp.api_minor = 49;
	no_rmp(b);
}

static void snp_firmware_0_24(struct bench *b)
{
	b->kernel.status.api_major = 0;
	b->kernel.status.api_minor = 24;
	no_snp_vm_type(b);
}

static void no_es_asids_old(struct bench *b)
{
	old_kernel(b);
	no_es_asids(b);
}

static void no_es_type(struct bench *b)
{
	no_es_asids(b);
	b->kernel.vm_types = 0x13;
}

static void old_firmware(struct bench *b)
{
	b->kernel.snp.api_minor = b->kernel.status.api_minor = 52;
}

static void old_sev_firmware(struct bench *b)
{
	b->kernel.status.api_minor = 17;
	b->kernel.status.api_major = 0;
}

static void memlock_for_one_copy(struct bench *b)
{
	b->process.memlock_bytes = MIB(4) + IMAGE_BYTES;
}

static void full_host(struct bench *b)
{
	folder_put(cgroup, "misc.current", "sev 410\nsev_es 99\n");
	folder_put(cgroup, "misc.capacity", "sev 410\nsev_es 99\n");
	b->process.cgroup = cgroup;
}

static void hiding_all(struct bench *b)
{
	b->process.hiding_asids = 200;
}

static void no_req_certs(struct bench *b)
{
	b->kernel.no_req_certs = true;
}

static void smt_on(struct bench *b)
{
	b->process.smt = true;
}

static void smt_on_6_12(struct bench *b)
{
	linux_6_12(b);
	smt_on(b);
}

static void linux_unknown(struct bench *b)
{
	b->kernel.no_policy_bits = true;
}

static void no_metadata(struct bench *b)
{
	bench_image(b, false, true);
}

/* ---- the table ---- */

static const struct cause causes[] = {
        {"sev-snp", old_kernel, {0}, NULL, 4,
                "KVM_SEV_INIT2 would fail with EINVAL: this kernel is too old for SEV-SNP guests; use Linux "
                "6.11"},
        {"sev", old_kernel, {0}, "sev.init=init2", 4,
                "KVM_SEV_INIT2 would fail with EINVAL: this kernel does not have it; use Linux 6.10"},
        {"sev-snp", no_sev_at_all, {0}, NULL, 4,
                "KVM_CREATE_VM would fail with EINVAL: this host's KVM does not offer SEV-SNP (CPUID "
                "8000001F EAX is 0x0); enable it"},
        {"sev", no_sev_at_all, {0}, "sev.init=init2", 4,
                "KVM_CREATE_VM would fail with EINVAL: this host's KVM does not offer SEV (CPUID 8000001F "
                "EAX is 0x0); enable it"},
        {"sev-snp", no_snp_in_cpuid, {0}, NULL, 4,
                "KVM_CREATE_VM would fail with EINVAL: this host's KVM does not offer SEV-SNP (CPUID "
                "8000001F EAX is 0xf); enable it"},
        {"sev-es", no_es_in_cpuid, {0}, NULL, 4,
                "KVM_CREATE_VM would fail with EINVAL: this host's KVM does not offer SEV-ES (CPUID 8000001F "
                "EAX is 0x3); enable it"},
        {"sev-snp", no_snp_vm_type, {0}, NULL, 4,
                "KVM_CREATE_VM would fail with EINVAL: KVM does not offer VM type 4 (SEV-SNP), though the "
                "processor has it; dmesg"},
        {"sev-es", no_es_type, {0}, NULL, 4,
                "KVM_CREATE_VM would fail with EINVAL: this host has no ASIDs for SEV-ES (the least ASID of "
                "SEV is 1 of 509); change that"},
        {"sev-es", no_es_asids_old, {0}, NULL, 4,
                "KVM_SEV_ES_INIT would fail with ENOTTY: this host has no ASIDs for SEV-ES (the least ASID "
                "of "
                "SEV is 1 of 509); change that"},
        {"sev-es", no_es_asids, {0}, NULL, 4,
                "KVM_SEV_INIT2 would fail with ENOTTY: this host has no ASIDs for SEV-ES (the least ASID of "
                "SEV is 1 of 509); change that"},
        {"sev", no_sev_asids, {0}, NULL, 4,
                "KVM_SEV_INIT2 would fail with ENOTTY: this host has no ASIDs for SEV (the least ASID of SEV "
                "is 100 of 99); change that"},
        {"sev-es", hiding_all, {0}, NULL, 4,
                "KVM_SEV_INIT2 would fail with ENOTTY: this host has no ASIDs for SEV-ES (the least ASID of "
                "SEV is 100 of 509, and ciphertext hiding divides those below it); change that"},
        {"sev-snp", no_guest_memfd, {0}, NULL, 4,
                "KVM_CREATE_GUEST_MEMFD would fail with EINVAL: this KVM lacks memory that only the guest "
                "can read (KVM_CAP_GUEST_MEMFD); use Linux 6.11"},
        {"sev-snp", no_conversion, {0}, NULL, 4,
                "KVM_ENABLE_CAP would fail with EINVAL: this KVM lacks page state changes "
                "(KVM_CAP_EXIT_HYPERCALL); "
                "use Linux"},
        {"sev", no_conversion, {0}, "sev.page-status=true", 4,
                "KVM_ENABLE_CAP would fail with EINVAL: this KVM lacks reports of shared pages "
                "(KVM_CAP_EXIT_HYPERCALL), which sev.page-status needs; use Linux 5.14"},
        {"sev-es", no_msr_exits, {0}, "sev.page-status=true", 4,
                "KVM_X86_SET_MSR_FILTER would fail with EINVAL: this KVM lacks exits at a guest's MSRs "
                "(KVM_CAP_X86_USER_SPACE_MSR), which sev.page-status needs; use Linux 5.14"},
        {"sev", no_mirrors, {0}, "sev.helper=true", 4,
                "KVM_ENABLE_CAP would fail with EINVAL: this KVM lacks mirrors of guests "
                "(KVM_CAP_VM_COPY_ENC_CONTEXT_FROM), which sev.helper needs; use Linux 5.13"},
        {"sev-snp", no_rmp, {0}, NULL, 4,
                "KVM_SEV_SNP_LAUNCH_START would fail with ENOTTY: the firmware says that SEV-SNP is not "
                "initialised (state 0, no RMP); enable it"},
        {"sev-snp", NULL, {0}, "sev.policy=0x70000", 4,
                "KVM_SEV_SNP_LAUNCH_START would fail with EINVAL: of sev.policy 0x70000 this KVM does not "
                "take bit 18 (migrate-ma); leave that out or use a newer kernel (it takes 0x1bffff)"},
        {"sev-snp", linux_6_14, {0}, "sev.policy=smt,cxl,migrate-ma", 4,
                "KVM_SEV_SNP_LAUNCH_START would fail with EINVAL: of sev.policy 0x270000, this kernel, which "
                "does not tell what it takes, refuses bit 18 (migrate-ma), bit 21 (cxl); leave"},
        {"sev-snp", snp_firmware_1_49, {0}, NULL, 4,
                "KVM_SEV_SNP_LAUNCH_START would fail with ENOTTY: the secure processor's firmware has API "
                "version 1.49, and Linux initialises SEV-SNP with 1.51 or newer only; update"},
        {"sev-snp", snp_firmware_0_24, {0}, NULL, 4,
                "KVM_CREATE_VM would fail with EINVAL: the secure processor's firmware has API version 0.24, "
                "and Linux initialises SEV-SNP with 1.51 or newer only; update"},
        {"sev-snp", old_firmware, {0}, "sev.policy=abi=1.55,smt", 4,
                "KVM_SEV_SNP_LAUNCH_START would fail with EIO, POLICY_FAILURE: sev.policy asks for at least "
                "version 1.55 of the firmware's ABI, this host has 1.52; update"},
        {"sev", old_sev_firmware, {0}, "sev.policy=nodbg,api=1.0", 4,
                "KVM_SEV_LAUNCH_START would fail with EIO, POLICY_FAILURE: sev.policy asks for at least "
                "version 1.0 of the firmware's API, this host has 0.17; update"},
        {"sev-snp", NULL, {0}, "sev.vmsa-features=secure-tsc", 4,
                "KVM_SEV_INIT2 would fail with EINVAL: of sev.vmsa-features 0x201 this KVM does not offer "
                "bit 9 (secure-tsc); leave that out or use a newer kernel (it offers 0x20)"},
        {"sev-snp", smt_on, {0}, "sev.policy=debug", 4,
                "KVM_SEV_SNP_LAUNCH_START would fail with EIO, POLICY_FAILURE: sev.policy 0xa0000 forbids "
                "simultaneous multithreading, which is on; add the word smt"},
        {"sev-snp", smt_on_6_12, {0}, "sev.policy=debug", 4,
                "KVM_SEV_SNP_LAUNCH_START would fail with EINVAL or EIO, POLICY_FAILURE: sev.policy 0xa0000 "
                "forbids simultaneous multithreading, which is on; add the word smt"},
        {"sev-snp", linux_unknown, {0}, "sev.policy=smt,cxl", 4,
                "KVM_SEV_SNP_LAUNCH_START would fail with EINVAL: of sev.policy 0x230000, this kernel, which "
                "does not tell what it takes, refuses bit 21 (cxl); leave"},
        {"sev-snp", no_req_certs, {0}, "sev.certificates=" TEST_DATA "/attestation/milan-certs-a.bin", 4,
                "KVM_SEV_SNP_ENABLE_REQ_CERTS would fail with EINVAL: this kernel does not ask for the "
                "certificates of sev.certificates; use Linux 7.0"},
        {"sev", small_memlock, {0}, NULL, 4,
                "KVM_MEMORY_ENCRYPT_REG_REGION would fail with ENOMEM: 4224 KiB must be locked, and "
                "RLIMIT_MEMLOCK is 64 KiB; raise it (ulimit -l unlimited"},
        {"sev", memlock_for_one_copy, {0}, NULL, 4,
                "KVM_SEV_LAUNCH_UPDATE_DATA would fail with ENOMEM: 4224 KiB must be locked, and "
                "RLIMIT_MEMLOCK is 4160 KiB; raise it (ulimit -l unlimited"},
        {"sev", full_cgroup, {0}, NULL, 4,
                "KVM_SEV_INIT2 would fail with EBUSY: the cgroup /tmp/vmm-reasons-"},
        {"sev-snp", full_host, {0}, NULL, 4,
                "KVM_SEV_INIT2 would fail with EBUSY: all ASIDs for SEV-SNP are taken (99 of 99); end "
                "another guest"},
        {"sev-snp", NULL, {0}, "cgroup=/nowhere", 2,
                "joining the cgroup /nowhere: No such file or directory (ENOENT): there is no such cgroup; "
                "make it"},
        {"sev-snp", NULL, {0}, "cgroup=/dev", 2,
                "cgroup: /dev is not a cgroup: it has no file cgroup.procs; name a folder below"},
        {"sev-snp", no_metadata, {0}, NULL, 2, "firmware image /tmp/vmm-bench-"},
        {"sev", NULL, {.path = "/dev/sev", .sys = ENOENT}, NULL, 4,
                "opening /dev/sev: No such file or directory (ENOENT): the kernel has found no secure "
                "processor; enable SME and SEV"},
        {"sev", NULL, {.path = "/dev/kvm", .sys = ENOENT}, NULL, 4, "/dev/kvm is missing: enable SVM"},
};

static void test_preflight_every_cause_is_told_in_a_sentence(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(causes); i++)
		check_cause(&causes[i], i);
	assert_in_range(ARRAY_LEN(causes), 25, 200);
}

static unsigned count_warnings(const struct launch *launch, const char *part)
{
	const struct launch_findings *warnings = launch_warnings(launch);
	unsigned count = 0;

	for (unsigned i = 0; i < warnings->count; i++) {
		if (strstr(warnings->list[i].text, part))
			count++;
	}
	return count;
}

/*
 * Distributions put later code into kernels of an early version, so vmm tries calls that the version alone
 * would rule out.
 */
static void test_preflight_backported_kernel_is_warned_of_not_refused(void **state)
{
	static const struct {
		void (*kernel)(struct bench *b);
		const char *policy;
		unsigned warnings;
	} rows[] = {
	        {linux_6_12, "sev.policy=smt,single-socket", 1}, {linux_6_12, "sev.policy=debug", 1},
	        {linux_6_12, "sev.policy=smt,debug", 0}, {linux_unknown, "sev.policy=single-socket", 1},
	        {linux_6_14, "sev.policy=single-socket", 0},
	        {smt_on, "sev.policy=smt,single-socket", 0}, /* it reports its policy bits */
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *sets[] = {rows[i].policy, NULL};

		bench_start(&bench);
		rows[i].kernel(&bench);
		if (bench_launch(&bench, "sev-snp", sets) < 0)
			fail_msg("row %zu: %s", i, bench.err.text);
		assert_int_equal(count_warnings(bench.launch, "6.13 demands smt and refuses single-socket"),
		        rows[i].warnings);
		bench_end(&bench);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_preflight_every_cause_is_told_in_a_sentence),
	        cmocka_unit_test(test_preflight_backported_kernel_is_warned_of_not_refused),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

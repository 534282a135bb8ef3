/*
 * Why a launch is refused, in one sentence: what failed with errno and firmware code, the likely cause, the
 * remedy. Each row provokes a cause by a fact of the host, or injects it at a call.
 */
#include <sys/stat.h>

#include "bench.h"
#include "support/folder.h"

static struct bench bench;
static char cgroup[64];

/* ---- facts ---- */

/* Another vendor's processor: KVM tells neither of VMSA features nor of SEV. */
static void no_sev_at_all(struct bench *b)
{
	b->kernel.old = true;
	b->kernel.vm_types = 1;
	b->kernel.sev_eax = 0;
}

static void old_kernel(struct bench *b)
{
	b->kernel.old = true;
	b->kernel.vm_types = 1;
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

static void no_rmp(struct bench *b)
{
	b->kernel.snp.rmp_init = 0;
	b->kernel.snp.state = 0;
}

static void old_firmware(struct bench *b)
{
	b->kernel.snp.api_minor = 40;
	b->kernel.status.api_minor = 17;
	b->kernel.status.api_major = 0;
}

static void memlock_for_one_copy(struct bench *b)
{
	b->process.memlock_bytes = MIB(4) + IMAGE_BYTES;
}

static void small_memlock(struct bench *b)
{
	b->process.memlock_bytes = KIB(64);
}

static void full_cgroup(struct bench *b)
{
	folder_put(cgroup, "misc.current", "sev 3\nsev_es 2\n");
	folder_put(cgroup, "misc.max", "sev 3\nsev_es 2\n");
	b->process.cgroup = cgroup;
}

static void full_host(struct bench *b)
{
	folder_put(cgroup, "misc.current", "sev 410\nsev_es 99\n");
	folder_put(cgroup, "misc.capacity", "sev 410\nsev_es 99\n");
	b->process.cgroup = cgroup;
}

static void hiding(struct bench *b)
{
	b->process.hiding_asids = 40;
}

static void hiding_all(struct bench *b)
{
	b->process.hiding_asids = 200;
}

static void smt_on(struct bench *b)
{
	b->process.smt = true;
}

static void no_metadata(struct bench *b)
{
	bench_image(b, false, true);
}

/* ---- the table ---- */

#define GUEST KVM_MEMORY_ENCRYPT_OP
#define AT(id, errno_, code) \
	{ \
		.request = GUEST, .command = (id), .sys = (errno_), .fw = (code) \
	}
#define CALL(request_, errno_) \
	{ \
		.request = (request_), .sys = (errno_) \
	}
#define OPEN(errno_) \
	{ \
		.path = "/dev/sev", .sys = (errno_), .skip = 1 \
	} /* the first is the preflight's */

static const struct cause {
	const char *type;
	void (*fact)(struct bench *b);
	struct fake_refusal refusal;
	const char *set; /* one more word of the configuration */
	enum err_kind status;
	const char *sentence; /* what the error's text begins with, after "creating the guest: " if met */
} causes[] = {
        /* foreseen */
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
        {"sev-es", no_es_asids, {0}, NULL, 4,
                "KVM_SEV_INIT2 would fail with EBUSY: this host has no ASIDs for SEV-ES (the least ASID of "
                "SEV is 1 of 509); change that"},
        {"sev", no_sev_asids, {0}, NULL, 4,
                "KVM_SEV_INIT2 would fail with EBUSY: this host has no ASIDs for SEV (the least ASID of SEV "
                "is 100 of 99); change that"},
        {"sev-es", hiding_all, {0}, NULL, 4,
                "KVM_SEV_INIT2 would fail with EBUSY: this host has no ASIDs for SEV-ES (the least ASID of "
                "SEV is 100 of 509, and ciphertext hiding divides those below it); change that"},
        {"sev-snp", no_guest_memfd, {0}, NULL, 4,
                "KVM_CREATE_GUEST_MEMFD would fail with EINVAL: this KVM lacks memory that only the guest "
                "can read (KVM_CAP_GUEST_MEMFD); use Linux 6.11"},
        {"sev-snp", no_conversion, {0}, NULL, 4,
                "KVM_ENABLE_CAP would fail with EINVAL: this KVM lacks page state changes "
                "(KVM_CAP_EXIT_HYPERCALL); "
                "use Linux"},
        {"sev-snp", no_rmp, {0}, NULL, 4,
                "KVM_SEV_SNP_LAUNCH_START would fail with ENOTTY: the firmware says that SEV-SNP is not "
                "initialised (state 0, no RMP); enable it"},
        {"sev-snp", NULL, {0}, "sev.policy=0x70000", 4,
                "KVM_SEV_SNP_LAUNCH_START would fail with EINVAL: of sev.policy 0x70000 this KVM does not "
                "take bit 18 (migrate-ma); leave that out or use a newer kernel (it takes 0x1bffff)"},
        {"sev-snp", old_firmware, {0}, "sev.policy=abi=1.51,smt", 4,
                "KVM_SEV_SNP_LAUNCH_START would fail with EIO, POLICY_FAILURE: sev.policy asks for at least "
                "version 1.51 of the firmware's ABI, this host has 1.40; update"},
        {"sev", old_firmware, {0}, "sev.policy=nodbg,api=1.0", 4,
                "KVM_SEV_LAUNCH_START would fail with EIO, POLICY_FAILURE: sev.policy asks for at least "
                "version 1.0 of the firmware's API, this host has 0.17; update"},
        {"sev-snp", NULL, {0}, "sev.vmsa-features=secure-tsc", 4,
                "KVM_SEV_INIT2 would fail with EINVAL: of sev.vmsa-features 0x201 this KVM does not offer "
                "bit 9 (secure-tsc); leave that out or use a newer kernel (it offers 0x20)"},
        {"sev-snp", smt_on, {0}, "sev.policy=debug", 4,
                "KVM_SEV_SNP_LAUNCH_START would fail with EIO, POLICY_FAILURE: sev.policy 0xa0000 forbids "
                "simultaneous multithreading, which is on; add the word smt"},
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
                "cgroup: /dev is no cgroup, it has no file cgroup.procs; name a folder below"},
        {"sev-snp", no_metadata, {0}, NULL, 2, "firmware image /tmp/vmm-bench-"},
        {"sev", NULL, {.path = "/dev/sev", .sys = ENOENT}, NULL, 4,
                "opening /dev/sev: No such file or directory (ENOENT): the kernel has found no secure "
                "processor; enable SME and SEV"},
        {"sev", NULL, {.path = "/dev/kvm", .sys = ENOENT}, NULL, 4, "/dev/kvm is missing: enable SVM"},

        /* met: the device, the VM */
        {"sev-snp", NULL, OPEN(EMFILE), NULL, 4,
                "opening /dev/sev: Too many open files (EMFILE): this process has too many files open; raise "
                "ulimit"},
        {"sev-snp", NULL, OPEN(ENXIO), NULL, 4,
                "opening /dev/sev: No such device or address (ENXIO): the secure processor is gone; enable"},
        {"sev-snp", NULL, CALL(KVM_CREATE_VM, EINVAL), NULL, 4,
                "KVM_CREATE_VM of type 4: Invalid argument (EINVAL): KVM does not offer SEV-SNP guests; "
                "enable"},
        {"sev-es", NULL, CALL(KVM_CREATE_VM, EINVAL), NULL, 4,
                "KVM_CREATE_VM of type 3: Invalid argument (EINVAL): KVM does not offer SEV-ES guests; give "
                "SEV-ES"},
        {"sev-snp", NULL, CALL(UAPI_CREATE_GUEST_MEMFD, ENOMEM), NULL, 4,
                "KVM_CREATE_GUEST_MEMFD of 4 MiB: Cannot allocate memory (ENOMEM): the host has not enough "
                "memory left; lower machine.memory"},
        {"sev-snp", NULL, CALL(UAPI_CREATE_GUEST_MEMFD, ENOTTY), NULL, 4,
                "KVM_CREATE_GUEST_MEMFD of 4 MiB: Inappropriate ioctl for device (ENOTTY): this kernel has "
                "no memory that only the guest can read; use Linux 6.11"},

        /* the context */
        {"sev", full_cgroup, AT(UAPI_SEV_INIT2, EBUSY, 0), NULL, 4, "KVM_SEV_INIT2 would fail with EBUSY"},
        {"sev-snp", hiding, AT(UAPI_SEV_INIT2, EBUSY, 0), NULL, 4,
                "KVM_SEV_INIT2: Device or resource busy (EBUSY): the ASIDs of SEV-SNP, "
                "kvm_amd.ciphertext_hiding_asids of them, are all taken; end another guest of this kind or "
                "raise"},
        {"sev-es", hiding, AT(UAPI_SEV_INIT2, EBUSY, 0), NULL, 4,
                "KVM_SEV_INIT2: Device or resource busy (EBUSY): the ASIDs that "
                "kvm_amd.ciphertext_hiding_asids "
                "leaves to SEV-ES are all taken; end another"},
        {"sev-snp", NULL, AT(UAPI_SEV_INIT2, EBUSY, 0), NULL, 4,
                "KVM_SEV_INIT2: Device or resource busy (EBUSY): the ASIDs of SEV-ES and SEV-SNP are all "
                "taken; end"},
        {"sev", NULL, AT(UAPI_SEV_INIT2, EBUSY, 0xffffffff), NULL, 4,
                "KVM_SEV_INIT2: Device or resource busy (EBUSY), firmware code 0xffffffff, not called: the "
                "kernel did not get as far as the firmware: the ASIDs of SEV are all taken; end"},
        {"sev-es", NULL, AT(UAPI_SEV_INIT2, EINVAL, 0), NULL, 4,
                "KVM_SEV_INIT2: Invalid argument (EINVAL): KVM refuses these VMSA features for this type; "
                "set"},
        {"sev", NULL, AT(UAPI_SEV_INIT2, ENOTTY, 0), NULL, 4,
                "KVM_SEV_INIT2: Inappropriate ioctl for device (ENOTTY): SEV is off in KVM; load kvm_amd"},
        {"sev", old_kernel, AT(KVM_SEV_INIT, ENOTTY, 0), NULL, 4,
                "KVM_SEV_INIT: Inappropriate ioctl for device (ENOTTY): SEV is off in KVM; load kvm_amd"},
        {"sev", NULL, AT(UAPI_SEV_INIT2, EIO, 1), NULL, 4,
                "KVM_SEV_INIT2: Input/output error (EIO), firmware code 0x1, INVALID_PLATFORM_STATE: the "
                "platform is not in a state that allows the command: the platform is not initialised; "
                "reload"},
        {"sev", NULL, AT(UAPI_SEV_INIT2, EIO, 0x18), NULL, 4,
                "KVM_SEV_INIT2: Input/output error (EIO), firmware code 0x18, SECURE_DATA_INVALID: data from "
                "a guest or its owner is not authentic: the firmware's stored keys are damaged; reset"},

        /* memory */
        {"sev", NULL, CALL(KVM_MEMORY_ENCRYPT_REG_REGION, ENOMEM), NULL, 4,
                "KVM_MEMORY_ENCRYPT_REG_REGION of 4096 KiB: Cannot allocate memory (ENOMEM): the host cannot "
                "lock that much memory; lower machine.memory"},
        {"sev-snp", NULL, CALL(UAPI_SET_MEMORY_ATTRIBUTES, EINVAL), NULL, 4,
                "KVM_SET_MEMORY_ATTRIBUTES of 4096 KiB at 0x0: Invalid argument (EINVAL): this KVM cannot "
                "make memory private; use Linux 6.11"},

        /* start */
        {"sev-snp", NULL, AT(UAPI_SEV_SNP_LAUNCH_START, EINVAL, 0), NULL, 2,
                "KVM_SEV_SNP_LAUNCH_START: Invalid argument (EINVAL): KVM knows a bit of the policy not, or "
                "bit 17 is clear; vmm host shows"},
        {"sev-snp", NULL, AT(UAPI_SEV_SNP_LAUNCH_START, ENOTTY, 0), NULL, 4,
                "KVM_SEV_SNP_LAUNCH_START: Inappropriate ioctl for device (ENOTTY): the firmware made no "
                "context for the guest; SEV-SNP is not"},
        {"sev-snp", NULL, AT(UAPI_SEV_SNP_LAUNCH_START, EIO, 7), NULL, 4,
                "KVM_SEV_SNP_LAUNCH_START: Input/output error (EIO), firmware code 0x7, POLICY_FAILURE: the "
                "guest's policy does not allow it: the policy forbids what this host has"},
        {"sev-snp", NULL, AT(UAPI_SEV_SNP_LAUNCH_START, EIO, 1), NULL, 4,
                "KVM_SEV_SNP_LAUNCH_START: Input/output error (EIO), firmware code 0x1, "
                "INVALID_PLATFORM_STATE: the "
                "platform is not in a state that allows the command: SEV-SNP is not initialised; enable"},
        {"sev-snp", NULL, AT(UAPI_SEV_SNP_LAUNCH_START, EIO, 0xd), NULL, 4,
                "KVM_SEV_SNP_LAUNCH_START: Input/output error (EIO), firmware code 0xd, INVALID_ASID: the "
                "ASID is not valid for this guest: the ASID is not one of this type; the kernel and the "
                "firmware disagree"},
        {"sev", NULL, AT(KVM_SEV_LAUNCH_START, EIO, 6), NULL, 2,
                "KVM_SEV_LAUNCH_START: Input/output error (EIO), firmware code 0x6, INVALID_CERTIFICATE: a "
                "certificate is not valid: the owner's Diffie-Hellman certificate is not valid; make"},
        {"sev", NULL, AT(KVM_SEV_LAUNCH_START, EIO, 0xb), NULL, 2,
                "KVM_SEV_LAUNCH_START: Input/output error (EIO), firmware code 0xb, BAD_MEASUREMENT: a "
                "measurement or an authentication code is another one: the session is for another platform "
                "key or another policy; export"},
        {"sev-es", NULL, AT(KVM_SEV_LAUNCH_START, EIO, 7), NULL, 2,
                "KVM_SEV_LAUNCH_START: Input/output error (EIO), firmware code 0x7, POLICY_FAILURE: the "
                "guest's policy does not allow it: the policy asks for a newer firmware API"},
        {"sev", NULL, AT(KVM_SEV_LAUNCH_START, EIO, 0xf), NULL, 4,
                "KVM_SEV_LAUNCH_START: Input/output error (EIO), firmware code 0xf, DFFLUSH_REQUIRED: the "
                "data fabric must be flushed first: freed ASIDs wait for a flush; try again"},
        {"sev", NULL, AT(KVM_SEV_LAUNCH_START, EIO, 0x17), NULL, 4,
                "KVM_SEV_LAUNCH_START: Input/output error (EIO), firmware code 0x17, RESOURCE_LIMIT: the "
                "firmware has run out of something: the firmware keeps no more guests; end"},
        {"sev", NULL, AT(KVM_SEV_LAUNCH_START, EBADF, 0), NULL, 4,
                "KVM_SEV_LAUNCH_START: Bad file descriptor (EBADF): the descriptor of /dev/sev is none any "
                "more"},
        {"sev", NULL, AT(KVM_SEV_LAUNCH_START, ETIMEDOUT, 0xffffffff), NULL, 4,
                "KVM_SEV_LAUNCH_START: Connection timed out (ETIMEDOUT), firmware code 0xffffffff, not "
                "called: the kernel did not get as far as the firmware: the secure processor does not "
                "answer; reboot"},

        /* contents, state, measurement */
        {"sev-snp", NULL, AT(UAPI_SEV_SNP_LAUNCH_UPDATE, EIO, 0x1a), NULL, 4,
                "firmware at 0xffff0000: KVM_SEV_SNP_LAUNCH_UPDATE: Input/output error (EIO), firmware code "
                "0x1a, INVALID_PAGE_STATE: a page is in a wrong state in the RMP: a page is in another "
                "state"},
        {"sev-snp", NULL, AT(UAPI_SEV_SNP_LAUNCH_UPDATE, EIO, 0), NULL, 4,
                "firmware at 0xffff0000: KVM_SEV_SNP_LAUNCH_UPDATE: Input/output error (EIO): the kernel "
                "could not give the guest a page"},
        {"sev-snp", NULL, AT(UAPI_SEV_SNP_LAUNCH_UPDATE, EINVAL, 0), NULL, 4,
                "firmware at 0xffff0000: KVM_SEV_SNP_LAUNCH_UPDATE: Invalid argument (EINVAL): a page lies "
                "in no private memory of the guest"},
        {"sev", small_memlock, AT(KVM_SEV_LAUNCH_UPDATE_DATA, ENOMEM, 0), NULL, 4,
                "KVM_MEMORY_ENCRYPT_REG_REGION would fail with ENOMEM"},
        {"sev", NULL, AT(KVM_SEV_LAUNCH_UPDATE_DATA, EIO, 9), NULL, 4,
                "firmware at 0xffff0000: KVM_SEV_LAUNCH_UPDATE_DATA: Input/output error (EIO), firmware code "
                "0x9, INVALID_ADDRESS: an address is not valid: an address is no multiple of 16"},
        {"sev-es", NULL, AT(KVM_SEV_LAUNCH_UPDATE_VMSA, EINVAL, 0), NULL, 4,
                "KVM_SEV_LAUNCH_UPDATE_VMSA: Invalid argument (EINVAL): a processor's state is encrypted "
                "already"},
        {"sev", NULL, AT(KVM_SEV_LAUNCH_MEASURE, EIO, 2), NULL, 4,
                "KVM_SEV_LAUNCH_MEASURE: Input/output error (EIO), firmware code 0x2, INVALID_GUEST_STATE: "
                "the guest is not in a state that allows the command: the launch is out of order"},
        {"sev", NULL, AT(KVM_SEV_GUEST_STATUS, EIO, 0x10), NULL, 4,
                "KVM_SEV_GUEST_STATUS: Input/output error (EIO), firmware code 0x10, INVALID_GUEST: there is "
                "no such guest: the firmware has lost the guest; the platform was reset"},

        /* the end */
        {"sev-snp", NULL, AT(UAPI_SEV_SNP_LAUNCH_FINISH, EIO, 0xb), NULL, 4,
                "the launch cannot be finished, and not be tried again with this guest: "
                "KVM_SEV_SNP_LAUNCH_FINISH: "
                "Input/output error (EIO), firmware code 0xb, BAD_MEASUREMENT: a measurement or an "
                "authentication code is another one: what was launched is not what the ID block names"},
        {"sev-snp", NULL, AT(UAPI_SEV_SNP_LAUNCH_FINISH, EIO, 0xa), NULL, 2,
                "the launch cannot be finished, and not be tried again with this guest: "
                "KVM_SEV_SNP_LAUNCH_FINISH: "
                "Input/output error (EIO), firmware code 0xa, BAD_SIGNATURE: a signature is wrong: a "
                "signature in sev.id-auth is wrong; make both again"},
        {"sev-snp", NULL, AT(UAPI_SEV_SNP_LAUNCH_FINISH, EIO, 7), NULL, 2,
                "the launch cannot be finished, and not be tried again with this guest: "
                "KVM_SEV_SNP_LAUNCH_FINISH: "
                "Input/output error (EIO), firmware code 0x7, POLICY_FAILURE: the guest's policy does not "
                "allow it: the ID block is for another policy; set sev.policy"},
        {"sev-snp", NULL, AT(UAPI_SEV_SNP_LAUNCH_FINISH, EINVAL, 0), NULL, 4,
                "the launch cannot be finished, and not be tried again with this guest: "
                "KVM_SEV_SNP_LAUNCH_FINISH: "
                "Invalid argument (EINVAL): the guest was finished already, or has no context"},

        /* anywhere */
        {"sev", NULL, AT(KVM_SEV_LAUNCH_FINISH, EIO, 0x14), NULL, 4,
                "KVM_SEV_LAUNCH_FINISH: Input/output error (EIO), firmware code 0x14, HWSEV_RET_UNSAFE: a "
                "hardware fault; the platform is not safe any more: the secure processor is not safe any "
                "more; reboot"},
        {"sev", NULL, AT(KVM_SEV_LAUNCH_FINISH, ENODEV, 0), NULL, 4,
                "KVM_SEV_LAUNCH_FINISH: No such device (ENODEV): the secure processor is gone; dmesg"},
        {"sev-snp", NULL, AT(UAPI_SEV_SNP_LAUNCH_START, EIO, 0x20), NULL, 4,
                "KVM_SEV_SNP_LAUNCH_START: Input/output error (EIO), firmware code 0x20, RMP_INIT_REQUIRED: "
                "the RMP must be initialised again; reboot"},
        {"sev", NULL, AT(KVM_SEV_LAUNCH_UPDATE_DATA, EIO, 0x7777), NULL, 4,
                "firmware at 0xffff0000: KVM_SEV_LAUNCH_UPDATE_DATA: Input/output error (EIO), firmware code "
                "0x7777, unknown to vmm: it may be newer: the secure processor refuses it; dmesg"},
};

static void check_cause(size_t i)
{
	const struct cause *cause = &causes[i];
	const char *sets[] = {cause->set, NULL}, *text;
	int result;

	snprintf(cgroup, sizeof(cgroup), "/tmp/vmm-reasons-XXXXXX");
	assert_non_null(mkdtemp(cgroup));
	bench_start(&bench);
	if (cause->fact)
		cause->fact(&bench);
	bench.kernel.refusal = cause->refusal;
	result = bench_launch(&bench, cause->type, cause->set ? sets : NULL);
	text = bench.err.text;
	if (result == 0)
		fail_msg("row %zu: launched, not \"%s\"", i, cause->sentence);
	if (strncmp(text, "creating the guest: ", 20) == 0)
		text += 20;
	if (strncmp(text, cause->sentence, strlen(cause->sentence)) != 0)
		fail_msg("row %zu: \"%s\", not \"%s\"", i, text, cause->sentence);
	if (bench.err.kind != cause->status)
		fail_msg("row %zu: status %d, not %d: %s", i, (int)bench.err.kind, (int)cause->status, text);
	if (!strchr(text, ';') || strchr(text, '\n'))
		fail_msg("row %zu: no sentence with a remedy: \"%s\"", i, text);
	bench_end(&bench);
	assert_int_equal(bench.kernel.open_fds, 0);
	folder_remove(cgroup);
}

static void test_reasons_every_cause_is_told_in_a_sentence(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(causes); i++)
		check_cause(i);
	assert_in_range(ARRAY_LEN(causes), 40, 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_reasons_every_cause_is_told_in_a_sentence),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a step of a launch was refused, in one sentence: what failed with errno and firmware code, the likely
 * cause, the remedy. Each row makes a call fail; the first two parts are the call's own.
 */
#include "reasons.h"

static const struct cause causes[] = {
        /* met: the device, the VM */
        {"sev-snp", NULL, OPEN(EMFILE), NULL, 4,
                "opening /dev/sev: Too many open files (EMFILE): this process has too many files open; raise "
                "RLIMIT_NOFILE (ulimit -n"},
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
                "call did not reach the firmware: the ASIDs of SEV are all taken; end"},
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

        /* what the guest reports */
        {"sev", NULL, CALL(KVM_ENABLE_CAP, EINVAL), "sev.page-status=true", 4,
                "KVM_ENABLE_CAP of capability 201: Invalid argument (EINVAL): this KVM does not pass on what "
                "the guest reports; use Linux 5.14"},
        {"sev-es", NULL, CALL(KVM_X86_SET_MSR_FILTER, ENOTTY), "sev.page-status=true", 4,
                "KVM_X86_SET_MSR_FILTER of MSR 0x4b564d08: Inappropriate ioctl for device (ENOTTY): this KVM "
                "has no filter of MSRs; use Linux 5.14"},

        /* memory */
        {"sev", NULL, CALL(KVM_MEMORY_ENCRYPT_REG_REGION, ENOMEM), NULL, 4,
                "KVM_MEMORY_ENCRYPT_REG_REGION of 4096 KiB: Cannot allocate memory (ENOMEM): the host cannot "
                "lock that much memory; lower machine.memory"},
        {"sev", NULL, CALL(KVM_MEMORY_ENCRYPT_REG_REGION, EINVAL), NULL, 4,
                "KVM_MEMORY_ENCRYPT_REG_REGION of 4096 KiB: Invalid argument (EINVAL): the guest has more "
                "memory than the host could lock; lower machine.memory"},
        {"sev-snp", NULL, CALL(UAPI_SET_MEMORY_ATTRIBUTES, EINVAL), NULL, 4,
                "KVM_SET_MEMORY_ATTRIBUTES of 4096 KiB at 0x0: Invalid argument (EINVAL): this KVM cannot "
                "make memory private; use Linux 6.11"},

        /* start */
        {"sev-snp", NULL, AT(UAPI_SEV_SNP_ENABLE_REQ_CERTS, EINVAL, 0),
                "sev.certificates=" TEST_DATA "/attestation/milan-certs-a.bin", 4,
                "KVM_SEV_SNP_ENABLE_REQ_CERTS: Invalid argument (EINVAL): this kernel does not ask for "
                "certificates; use Linux 7.0"},
        {"sev-snp", NULL, AT(UAPI_SEV_SNP_LAUNCH_START, EINVAL, 0), NULL, 2,
                "KVM_SEV_SNP_LAUNCH_START: Invalid argument (EINVAL): KVM does not know one of the "
                "policy's bits, or bit 17 is clear; vmm host shows"},
        {"sev-snp", linux_6_12, AT(UAPI_SEV_SNP_LAUNCH_START, EINVAL, 0), NULL, 2,
                "KVM_SEV_SNP_LAUNCH_START: Invalid argument (EINVAL): this kernel, which does not tell which "
                "policy bits it takes, refuses sev.policy: Linux 6.11 to 6.13 demands smt and refuses "
                "single-socket; use Linux 6.14 or newer, or"},
        {"sev-snp", linux_6_12, AT(UAPI_SEV_SNP_LAUNCH_START, EINVAL, 0), "sev.policy=smt,single-socket", 2,
                "KVM_SEV_SNP_LAUNCH_START: Invalid argument (EINVAL): this kernel, which does not tell which "
                "policy bits it takes, refuses sev.policy: Linux 6.11 to 6.13 demands smt and refuses "
                "single-socket; use"},
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
                "measurement or an authentication code does not match: the session is for another platform "
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
                "KVM_SEV_LAUNCH_START: Bad file descriptor (EBADF): the descriptor of /dev/sev is no longer "
                "valid"},
        {"sev", NULL, AT(KVM_SEV_LAUNCH_START, ETIMEDOUT, 0xffffffff), NULL, 4,
                "KVM_SEV_LAUNCH_START: Connection timed out (ETIMEDOUT), firmware code 0xffffffff, not "
                "called: the call did not reach the firmware: the secure processor does not "
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
                "0x9, INVALID_ADDRESS: an address is not valid: an address is not a multiple of 16"},
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
                "the launch cannot be finished, nor tried again with this guest: "
                "KVM_SEV_SNP_LAUNCH_FINISH: "
                "Input/output error (EIO), firmware code 0xb, BAD_MEASUREMENT: a measurement or an "
                "authentication code does not match: what was launched is not what the ID block names"},
        {"sev-snp", NULL, AT(UAPI_SEV_SNP_LAUNCH_FINISH, EIO, 0xa), NULL, 2,
                "the launch cannot be finished, nor tried again with this guest: "
                "KVM_SEV_SNP_LAUNCH_FINISH: "
                "Input/output error (EIO), firmware code 0xa, BAD_SIGNATURE: a signature is wrong: a "
                "signature in sev.id-auth is wrong; make both again"},
        {"sev-snp", NULL, AT(UAPI_SEV_SNP_LAUNCH_FINISH, EIO, 7), NULL, 2,
                "the launch cannot be finished, nor tried again with this guest: "
                "KVM_SEV_SNP_LAUNCH_FINISH: "
                "Input/output error (EIO), firmware code 0x7, POLICY_FAILURE: the guest's policy does not "
                "allow it: the ID block is for another policy; set sev.policy"},
        {"sev-snp", NULL, AT(UAPI_SEV_SNP_LAUNCH_FINISH, EINVAL, 0), NULL, 4,
                "the launch cannot be finished, nor tried again with this guest: "
                "KVM_SEV_SNP_LAUNCH_FINISH: "
                "Invalid argument (EINVAL): the guest was finished already, or has no context"},

        /* anywhere */
        {"sev", NULL, AT(KVM_SEV_LAUNCH_FINISH, EIO, 0x14), NULL, 4,
                "KVM_SEV_LAUNCH_FINISH: Input/output error (EIO), firmware code 0x14, HWSEV_RET_UNSAFE: a "
                "hardware fault; the platform is no longer safe: the secure processor is no longer safe; "
                "reboot"},
        {"sev", NULL, AT(KVM_SEV_LAUNCH_FINISH, ENODEV, 0), NULL, 4,
                "KVM_SEV_LAUNCH_FINISH: No such device (ENODEV): the secure processor is gone; dmesg"},
        {"sev-snp", NULL, AT(UAPI_SEV_SNP_LAUNCH_START, EIO, 0x20), NULL, 4,
                "KVM_SEV_SNP_LAUNCH_START: Input/output error (EIO), firmware code 0x20, RMP_INIT_REQUIRED: "
                "the RMP must be initialised again; reboot"},
        {"sev", NULL, AT(KVM_SEV_LAUNCH_UPDATE_DATA, EIO, 0x7777), NULL, 4,
                "firmware at 0xffff0000: KVM_SEV_LAUNCH_UPDATE_DATA: Input/output error (EIO), firmware code "
                "0x7777, unknown to vmm: it may be newer: the secure processor refuses it; dmesg"},
};

static void test_reasons_every_cause_is_told_in_a_sentence(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(causes); i++)
		check_cause(&causes[i], i);
	assert_in_range(ARRAY_LEN(causes), 35, 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_reasons_every_cause_is_told_in_a_sentence),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

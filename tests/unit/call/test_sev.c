/* SPDX-License-Identifier: Apache-2.0 */
/* The firmware's commands as the kernel gets them, and the texts of its refusals. */
#include <sys/ioctl.h>

#include "../../../src/call/firmware.h"
#include "support/host_script.h"
#include "support/test.h"
#include "vmm/call.h"

static struct err err;
static struct host_script script;
static struct kvm_sev_cmd last;
static uint32_t firmware_says;
static unsigned long last_request;
static struct kvm_sev_send_start sent_start;

static int answer(struct host *h, int fd, unsigned long request, void *arg)
{
	last_request = request;
	if (request == KVM_MEMORY_ENCRYPT_OP) {
		last = *(struct kvm_sev_cmd *)arg;
		((struct kvm_sev_cmd *)arg)->error = firmware_says;
		if (last.id == KVM_SEV_SEND_START)
			sent_start = *(struct kvm_sev_send_start *)(uintptr_t)last.data;
	} else if (request == SEV_ISSUE_CMD) {
		((struct sev_issue_cmd *)arg)->error = firmware_says;
	}
	return script_answer(h);
}

static struct host_ops ops;

static struct call_sev sev_with(int result, int sys, uint32_t fw)
{
	ops = script_ops;
	ops.ioctl = answer;
	script = (struct host_script){.host.ops = &ops, .result = result, .sys = sys};
	firmware_says = fw;
	return (struct call_sev){.host = &script.host, .vm_fd = 5, .sev_fd = 9};
}

static void test_sev_refusal_names_call_errno_and_firmware_code(void **state)
{
	struct call_sev sev = sev_with(-1, EIO, 7);

	assert_fails(call_snp_launch_start(&sev, 0x30000, &err), ERR_HOST,
	        "KVM_SEV_SNP_LAUNCH_START: Input/output error (EIO), firmware code 0x7, POLICY_FAILURE: ");
	assert_int_equal(err.sys, EIO);
	assert_int_equal(err.fw, 7);
	assert_int_equal(last.id, 100);
	assert_int_equal(last.sev_fd, 9);
	sev = sev_with(-1, EIO, 0x1234);
	assert_fails(call_sev_launch_finish(&sev, &err), ERR_HOST, "0x1234, unknown to vmm");
	sev = sev_with(-1, EBUSY, CALL_FW_NOT_CALLED);
	assert_fails(call_sev_init2(&sev, 0, &err), ERR_HOST, "EBUSY), firmware code 0xffffffff, not called");
}

static void test_sev_refusal_of_the_kernel_alone_names_no_code(void **state)
{
	struct call_sev sev = sev_with(-1, EINVAL, 0);

	assert_fails(call_sev_init2(&sev, 0x20, &err), ERR_HOST, "KVM_SEV_INIT2: Invalid argument (EINVAL)");
	assert_null(strstr(err.text, "firmware"));
	assert_int_equal(err.fw, 0);
	assert_int_equal(last.id, 22);
}

static void test_sev_commands_have_the_kernels_numbers(void **state)
{
	struct call_sev sev = sev_with(0, 0, 0);
	struct kvm_sev_launch_start start = {0};
	struct kvm_sev_launch_secret secret = {0};
	struct kvm_sev_guest_status status;
	struct uapi_sev_snp_launch_update update = {0};
	struct uapi_sev_snp_launch_finish finish = {0};
	struct abi_sev_measure measure;

	assert_ok(call_sev_init_legacy(&sev, false, &err));
	assert_int_equal(last.id, 0);
	assert_ok(call_sev_init_legacy(&sev, true, &err));
	assert_int_equal(last.id, 1);
	assert_ok(call_sev_launch_start(&sev, &start, &err));
	assert_int_equal(last.id, 2);
	assert_ok(call_sev_launch_update_data(&sev, &start, 16, &err));
	assert_int_equal(last.id, 3);
	assert_ok(call_sev_launch_update_vmsa(&sev, &err));
	assert_int_equal(last.id, 4);
	assert_ok(call_sev_launch_secret(&sev, &secret, &err));
	assert_int_equal(last.id, 5);
	assert_ok(call_sev_launch_measure(&sev, &measure, &err));
	assert_int_equal(last.id, 6);
	assert_ok(call_sev_launch_finish(&sev, &err));
	assert_int_equal(last.id, 7);
	assert_ok(call_sev_guest_status(&sev, &status, &err));
	assert_int_equal(last.id, 16);
	assert_ok(call_snp_launch_update(&sev, &update, &err));
	assert_int_equal(last.id, 101);
	assert_ok(call_snp_launch_finish(&sev, &finish, &err));
	assert_int_equal(last.id, 102);
	assert_ok(call_sev_register_memory(&sev, &start, 4096, &err));
	assert_int_equal(last_request, 0x8010aebb);
}

static void test_sev_commands_that_move_a_guest_say_all_that_they_have(void **state)
{
	struct call_sev sev = sev_with(0, 0, 0);
	struct abi_sev_secret_header header = {0};
	struct abi_sev_session session = {0};
	struct abi_sev_cert_chain chain = {0};
	struct abi_sev_cert pdh = {0};
	uint8_t page[64], packet[64];
	struct call_sev_receiver receiver = {&pdh, &chain, page, sizeof(page)};
	uint32_t policy, handle;

	assert_ok(call_sev_send_start(&sev, &receiver, &policy, &session, &err));
	assert_int_equal(last.id, 8);
	assert_int_equal(sent_start.pdh_cert_uaddr, (uintptr_t)&pdh);
	assert_int_equal(sent_start.plat_certs_len, 3 * 2084);
	assert_int_equal(sent_start.amd_certs_uaddr, (uintptr_t)page);
	assert_int_equal(sent_start.amd_certs_len, sizeof(page));
	assert_int_equal(sent_start.session_len, 128);
	/* The kernel refuses a call without them. */
	receiver.amd_bytes = 0;
	assert_ok(call_sev_send_start(&sev, &receiver, &policy, &session, &err));
	assert_int_equal(sent_start.amd_certs_uaddr, (uintptr_t)&chain);
	assert_int_equal(sent_start.amd_certs_len, 3 * 2084);
	assert_ok(call_sev_send_update_data(&sev, page, sizeof(page), &header, packet, &err));
	assert_int_equal(last.id, 9);
	assert_ok(call_sev_send_finish(&sev, &err));
	assert_int_equal(last.id, 11);
	assert_ok(call_sev_receive_start(&sev, 7, &pdh, &session, &handle, &err));
	assert_int_equal(last.id, 12);
	assert_ok(call_sev_receive_update_data(&sev, &header, packet, page, sizeof(page), &err));
	assert_int_equal(last.id, 13);
	assert_ok(call_sev_receive_finish(&sev, &err));
	assert_int_equal(last.id, 15);
	assert_ok(call_sev_send_cancel(&sev, &err));
	assert_int_equal(last.id, 21);
}

static void test_platform_refusals_name_themselves(void **state)
{
	struct sev_user_data_status status;
	struct uapi_sev_snp_status snp;
	struct abi_sev_cert pdh;
	struct abi_sev_cert_chain chain;
	uint8_t id[CALL_PLATFORM_ID_BYTES];
	struct host *h = sev_with(-1, EIO, 1).host;
	int fd;

	assert_fails(call_platform_status(h, 3, &status, &err), ERR_HOST, "SEV_PLATFORM_STATUS: ");
	assert_non_null(strstr(err.text, "INVALID_PLATFORM_STATE"));
	assert_fails(call_platform_snp_status(h, 3, &snp, &err), ERR_HOST, "SNP_PLATFORM_STATUS: ");
	assert_fails(call_platform_id(h, 3, id, &err), ERR_HOST, "SEV_GET_ID2: ");
	assert_fails(call_platform_certificates(h, 3, &pdh, &chain, &err), ERR_HOST, "SEV_PDH_CERT_EXPORT: ");
	assert_int_equal(last_request, 0xc0105300);
	h = sev_with(-1, EPERM, 0).host;
	assert_fails(call_platform_certificates(h, 3, &pdh, &chain, &err), ERR_HOST, "not initialised");
	h = sev_with(-1, ENOENT, 0).host;
	assert_fails(call_platform_open(h, &fd, &err), ERR_HOST, "/dev/sev: No such file");
	assert_int_equal(script.calls, 1);
	h = sev_with(-1, EACCES, 0).host;
	assert_fails(call_platform_open(h, &fd, &err), ERR_HOST, "EACCES");
	assert_int_equal(script.calls, 2); /* for writing, then for reading */
	h = sev_with(-1, EACCES, 0).host;
	assert_fails(call_platform_open_to_read(h, &fd, &err), ERR_HOST, "EACCES");
	assert_int_equal(script.calls, 1);
}

static void test_memory_calls_name_themselves(void **state)
{
	struct host *h = sev_with(-1, EINVAL, 0).host;
	int fd;

	assert_fails(call_vm_create_guest_memfd(h, 3, MIB(2), &fd, &err), ERR_HOST,
	        "KVM_CREATE_GUEST_MEMFD of 2 MiB");
	assert_int_equal(last_request, 0xc040aed4);
	assert_fails(call_vm_set_private_memory(h, 3, 1, 0, MIB(2), NULL, 4, 0, &err), ERR_HOST,
	        "KVM_SET_USER_MEMORY_REGION2 of slot 1");
	assert_int_equal(last_request, 0x40a0ae49);
	assert_fails(call_vm_set_attributes(h, 3, 0x1000, 4096, 8, &err), ERR_HOST,
	        "KVM_SET_MEMORY_ATTRIBUTES of 4 KiB at 0x1000");
	assert_int_equal(last_request, 0x4020aed2);
	assert_fails(call_vm_enable_capability(h, 3, 201, 0x1000, &err), ERR_HOST, "capability 201");
}

static void test_fw_codes_are_unique_and_named(void **state)
{
	for (uint32_t code = 0; code < 0x40; code++) {
		const struct call_fw_code *found = call_fw_code_find(code);

		assert_non_null(found->name);
		if (strcmp(found->name, "unknown to vmm") != 0)
			assert_int_equal(found->code, code);
	}
	assert_string_equal(call_fw_code_find(0xb)->name, "BAD_MEASUREMENT");
	assert_string_equal(call_fw_code_find(0x1a)->name, "INVALID_PAGE_STATE");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_sev_refusal_names_call_errno_and_firmware_code),
	        cmocka_unit_test(test_sev_refusal_of_the_kernel_alone_names_no_code),
	        cmocka_unit_test(test_sev_commands_have_the_kernels_numbers),
	        cmocka_unit_test(test_sev_commands_that_move_a_guest_say_all_that_they_have),
	        cmocka_unit_test(test_platform_refusals_name_themselves),
	        cmocka_unit_test(test_memory_calls_name_themselves),
	        cmocka_unit_test(test_fw_codes_are_unique_and_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

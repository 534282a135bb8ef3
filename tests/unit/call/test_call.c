/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "../../../src/call/node.h"
#include "../../../src/host/fault.h"
#include "support/host_script.h"
#include "support/test.h"
#include "vmm/call.h"

static struct err err;
static struct host_script script;
static struct kvm_run answer;

static struct host *failing(int sys)
{
	script = (struct host_script){.host.ops = &script_ops, .result = -1, .sys = sys};
	return &script.host;
}

static void test_kvm_open_says_why_not_and_what_to_do(void **state)
{
	int fd = -7;

	assert_fails(call_kvm_open(failing(ENOENT), &fd, &err), ERR_HOST, "modprobe");
	assert_fails(call_kvm_open(failing(EACCES), &fd, &err), ERR_HOST, "/dev/kvm may not be opened: ");
	assert_fails(call_kvm_open(failing(EPERM), &fd, &err), ERR_HOST, "--device /dev/kvm");
	assert_fails(call_kvm_open(failing(EMFILE), &fd, &err), ERR_HOST, "EMFILE");
	assert_int_equal(fd, -7);
}

/* The remedy fits the owner and the mode of the device file. */
static void test_node_remedy_fits_owner_and_mode(void **state)
{
	static const struct {
		gid_t group;
		mode_t mode;
		int sys;
		const char *part;
	} rows[] = {
	        {54321, 0660, EACCES, "add the user to its group (usermod -aG 54321 USER)"},
	        {54321, 0640, EACCES, "group 54321 with mode 0640, so no group helps"},
	        {0, 0600, EACCES, "user 0 and group 0 with mode 0600, so no group helps"},
	        {0, 0660, EACCES,
	                "group 0 with mode 0660, so no group helps"}, /* nobody should join root's */
	        {54321, 0660, EPERM, "allow the container or service to use it"},
	};
	char path[] = "/tmp/vmm-node-XXXXXX", text[CALL_NODE_REMEDY_BYTES];
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (fchown(fd, 0, rows[i].group) < 0)
			break;
		assert_int_equal(fchmod(fd, rows[i].mode), 0);
		if (!strstr(call_node_remedy(path, rows[i].sys, text), rows[i].part))
			fail_msg("row %zu: \"%s\" lacks \"%s\"", i, text, rows[i].part);
	}
	close(fd);
	unlink(path);
	if (geteuid() == 0)
		return;
	print_message("only root can make nodes of other owners\n");
	skip();
}

static void test_kvm_open_other_version_is_refused(void **state)
{
	int fd;

	script = (struct host_script){.host.ops = &script_ops, .result = 11};
	assert_fails(call_kvm_open(&script.host, &fd, &err), ERR_HOST, "API version 11");
	assert_int_equal(script.calls, 3); /* open, version, close */
}

static void test_failed_calls_name_themselves(void **state)
{
	struct kvm_cpuid2 *cpuid = NULL;
	struct kvm_sregs sregs;
	struct kvm_run *run;
	uint64_t bits = 0;
	size_t size;
	bool taken;
	int fd;

	assert_fails(call_kvm_run_size(failing(EIO), 3, &size, &err), ERR_FAILED, "KVM_GET_VCPU_MMAP_SIZE");
	assert_fails(call_kvm_supported_cpuid(failing(E2BIG), 3, &cpuid, &err), ERR_FAILED,
	        "KVM_GET_SUPPORTED_CPUID");
	assert_fails(call_vm_create(failing(EINVAL), 3, 4, &fd, &err), ERR_HOST, "KVM_CREATE_VM of type 4");
	assert_fails(
	        call_vm_set_intel_pages(failing(EIO), 3, 0, &err), ERR_FAILED, "KVM_SET_IDENTITY_MAP_ADDR");
	assert_fails(call_vm_create_irqchip(failing(EEXIST), 3, &err), ERR_FAILED, "KVM_CREATE_IRQCHIP");
	assert_fails(
	        call_vm_set_routing(failing(EINVAL), 3, NULL, 0, &err), ERR_FAILED, "KVM_SET_GSI_ROUTING");
	assert_fails(call_vm_create_pit(failing(EIO), 3, &err), ERR_FAILED, "KVM_CREATE_PIT2");
	assert_fails(call_vm_set_memory(failing(EEXIST), 3, 1, 0, 4096, NULL, &err), ERR_FAILED, "of slot 1");
	assert_fails(call_vm_get_log(failing(ENOENT), 3, 1, &bits, &err), ERR_FAILED,
	        "KVM_GET_DIRTY_LOG of slot 1");
	assert_fails(call_vm_clear_log(failing(EINVAL), 3, 1, 0, 64, &bits, &err), ERR_FAILED,
	        "KVM_CLEAR_DIRTY_LOG of 64 pages of slot 1");
	assert_fails(call_vm_irq_line(failing(EIO), 3, 4, true, &err), ERR_FAILED, "KVM_IRQ_LINE 4");
	assert_fails(call_vm_signal_msi(failing(EPERM), 3, &(struct call_msi){0xfee01000, 0x31}, &err),
	        ERR_FAILED, "KVM_SIGNAL_MSI to 0xfee01000");
	assert_fails(call_vm_irqfd(failing(EBADF), 3, 5, 24, true, &err), ERR_FAILED, "KVM_IRQFD 24");
	assert_fails(call_vm_ioeventfd(failing(EEXIST), 3, 5, 0xe0003000, true, &err), ERR_FAILED,
	        "KVM_IOEVENTFD at 0xe0003000");
	assert_fails(call_vcpu_create(failing(EIO), 3, 9, &fd, &err), ERR_FAILED, "KVM_CREATE_VCPU 9");
	assert_fails(call_vcpu_map_run(failing(EIO), 3, 4096, &run, &err), ERR_FAILED, "struct kvm_run");
	assert_fails(call_vcpu_get_sregs(failing(EIO), 3, &sregs, &err), ERR_FAILED, "KVM_GET_SREGS");
	assert_fails(call_vcpu_set_msr(failing(EIO), 3, 0xc0010015, 1, &taken, &err), ERR_FAILED,
	        "KVM_SET_MSRS of MSR 0xc0010015");
	assert_fails(call_vcpu_run(failing(EFAULT), 3, &answer, &err), ERR_FAILED,
	        "KVM_RUN: Bad address (EFAULT)");
	assert_null(cpuid);
}

/* An older kernel lets nobody clear its log by hand, which is no error. */
static void test_log_by_hand_is_asked_for_where_it_is(void **state)
{
	bool can = true;

	assert_ok(call_vm_clear_log_by_hand(failing(EINVAL), 3, &can, &err));
	assert_false(can);
	script = (struct host_script){.host.ops = &script_ops, .result = KVM_DIRTY_LOG_INITIALLY_SET};
	assert_ok(call_vm_clear_log_by_hand(&script.host, 3, &can, &err));
	assert_false(can);
	assert_int_equal(script.calls, 1);
	script = (struct host_script){.host.ops = &script_ops, .result = 3};
	assert_ok(call_vm_clear_log_by_hand(&script.host, 3, &can, &err));
	assert_true(can);
	assert_int_equal(script.calls, 2);
}

static void test_run_interrupted_is_no_failure(void **state)
{
	assert_int_equal(call_vcpu_run(failing(EINTR), 3, &answer, &err), 1);
	assert_int_equal(call_vcpu_run(failing(EAGAIN), 3, &answer, &err), 1);
}

static void test_vm_create_interrupted_is_tried_again(void **state)
{
	struct host *interrupted;
	int fd = -1;

	script = (struct host_script){.host.ops = &script_ops, .result = 5};
	assert_ok(host_fault_create(&script.host, 1, EINTR, &interrupted, &err));
	assert_ok(call_vm_create(interrupted, 3, 0, &fd, &err));
	assert_int_equal(fd, 5);
	host_destroy(interrupted);
}

static void test_kvm_check_names_what_is_missing(void **state)
{
	script = (struct host_script){.host.ops = &script_ops, .result = 0};
	assert_fails(call_kvm_check(&script.host, 3, &err), ERR_HOST, "lacks KVM_CAP_USER_MEMORY");
	script.result = 1;
	assert_ok(call_kvm_check(&script.host, 3, &err));
	assert_fails(call_kvm_run_size(&script.host, 3, &(size_t){0}, &err), ERR_HOST, "1 bytes per vCPU");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_kvm_open_says_why_not_and_what_to_do),
	        cmocka_unit_test(test_node_remedy_fits_owner_and_mode),
	        cmocka_unit_test(test_kvm_open_other_version_is_refused),
	        cmocka_unit_test(test_failed_calls_name_themselves),
	        cmocka_unit_test(test_log_by_hand_is_asked_for_where_it_is),
	        cmocka_unit_test(test_run_interrupted_is_no_failure),
	        cmocka_unit_test(test_vm_create_interrupted_is_tried_again),
	        cmocka_unit_test(test_kvm_check_names_what_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

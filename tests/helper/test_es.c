/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The migration helper of SEV-ES guests: its vCPU is measured with the guest's, its registers are encrypted,
 * and it serves its ring as that of a SEV guest does. The digest is the one that was told beforehand.
 */
#include "move.h"

#define IMAGE_TEXT_GPA (UINT32_MAX - IMAGE_BYTES + 1 + TEXT_AT)

static void start_es(struct side *side, const struct sim_options *options, const char *text)
{
	side_type = "sev-es";
	side_start(side, options, text, root_key);
	side_type = "sev";
}

/* A page goes from a SEV-ES guest into a SEV guest, and another one back. */
static void test_helper_serves_a_sev_es_guest(void **state)
{
	struct mirror_record trailer = {.trailer = true, .stream = 3};
	uint8_t seen[TEXT_BYTES];
	unsigned done;

	start_es(&source, &milan, first_text);
	side_start(&target, &genoa, second_text, root_key);
	agree();
	seal(&source, ARRAY_LEN(records));
	assert_null(memmem(records[0].page, HELPER_PAGE_BYTES, first_text, 8));
	assert_opens(records, ARRAY_LEN(records));
	assert_says(&target, first_text);
	assert_ok(mirror_helper_seal(source.helper, &trailer, 1, &done, &err));
	assert_opens(&trailer, 1);
	/* Its firmware image, which the vCPU has not written. */
	records[0] = page_record(IMAGE_TEXT_GPA);
	assert_ok(mirror_helper_seal(source.helper, records, 1, &done, &err));
	assert_int_equal(page_read(machine_vm_memory(source.bench.vm), gpa(TEXT_GPA), seen, sizeof(seen)), 0);
	assert_memory_not_equal(seen, first_text, 8); /* the host sees ciphertext there */
	assert_ok(mirror_helper_forget(source.helper, &err));
	assert_has_no_keys(&source);
}

static void test_helper_opens_into_a_sev_es_guest(void **state)
{
	side_start(&source, &milan, first_text, root_key);
	start_es(&target, &genoa, second_text);
	agree();
	seal(&source, 1);
	assert_opens(records, 1);
	seal(&target, 1); /* what it has opened goes back, over what the source's vCPU writes meanwhile */
	assert_int_equal(
	        page_write(machine_vm_memory(source.bench.vm), gpa(TEXT_GPA), second_text, TEXT_BYTES / 2),
	        0);
	struct side there = target;
	target = source;
	assert_opens(records, 1);
	assert_says(&target, first_text);
	target = there;
	records[0].tag[0] ^= 1;
	seal(&source, 1);
	records[0].tag[0] ^= 1;
	assert_refuses(&records[0], "was changed, or sealed with other keys");
}

static void assert_told(const struct side *side)
{
	const struct launch_digest *told = launch_digest_of(side->bench.launch);
	struct sim_guest_view view;

	assert_true(sim_guest_view(side->host, 0, &view));
	assert_memory_equal(view.digest, told->bytes, told->size_bytes);
}

/* Of any processor, of both ways to make a context, with more vCPUs, and after a reset. */
static void test_vcpu_of_the_helper_is_in_the_digest(void **state)
{
	static const char *const sets[][2] = {
	        {"machine.vcpus=3"}, {"sev.init=legacy"}, {"machine.cpu=EPYC-Genoa"}, {"boot.hashes=false"}};

	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		side_memory_max = sets[i][0];
		start_es(&source, i == 2 ? &genoa : &milan, first_text);
		assert_told(&source);
		side_begin(&source);
		side_inject_root(&source, root_key);
		side_finish(&source);
		assert_told(&source);
		side_end(&source);
	}
	side_memory_max = NULL;
}

static void test_plan_ends_with_the_helpers_vmsa(void **state)
{
	const struct launch_item *last;
	const struct launch_plan *plan;

	start_es(&source, &milan, first_text);
	plan = launch_plan_of(source.bench.launch);
	last = &plan->items[plan->count - 1];
	assert_true(last->mirror);
	assert_string_equal(last->name, "helper VMSA");
	assert_int_equal(plan->helper_c_bit, 51);
	assert_true(plan->helper.rip == HELPER_WINDOW + HELPER_GPA);
	assert_true(plan->helper.cr3 == (HELPER_CR3_51 | UINT64_C(1) << 51));
	assert_true(plan->helper.sev_features == 0);
}

/* Naples and Rome have the C-bit 47, later ones 51: the owner could not tell the digest for both. */
static void test_another_c_bit_is_refused(void **state)
{
	const char *const sets[] = {"sev.helper=true", NULL};
	const struct sim_options rome = {.product = "Rome", .seed = 7, .c_bit = 47};

	assert_ok(sim_host_create(&rome, &source.host, &err));
	bench_start(&source.bench);
	bench_config(&source.bench, "sev-es", sets);
	assert_int_equal(bench_plan_on(&source.bench, source.host), -1);
	assert_non_null(strstr(source.bench.err.text, "C-bit of machine.cpu, 51, and this host's is 47"));
}

static void test_a_mirror_is_made_at_launch_alone(void **state)
{
	struct mirror_guest guest;
	struct mirror_helper *second;
	struct call_sev late;

	start_es(&source, &milan, first_text);
	late = source.bench.launch->work.sev;
	guest = (struct mirror_guest){.host = source.host,
	        .vm_fd = machine_vm_fd(source.bench.vm),
	        .vm_type = UAPI_VM_SEV_ES,
	        .sev = CONFIG_SEV_ES,
	        .memory = machine_vm_memory(source.bench.vm),
	        .cpuid = (const struct kvm_cpuid2 *)machine_vm_cpuid(source.bench.vm)};
	assert_ok(call_kvm_open(source.host, &guest.kvm_fd, &err));
	assert_fails(
	        mirror_helper_create(&guest, 51, &second, &err), ERR_HOST, "cannot be made after its launch");
	guest.launching = &late; /* the firmware's answer, if it were tried */
	assert_fails(mirror_helper_create(&guest, 51, &second, &err), ERR_HOST, "KVM_SEV_LAUNCH_UPDATE_VMSA");
	host_close(source.host, guest.kvm_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_teardown(test_helper_serves_a_sev_es_guest, end_both),
	        cmocka_unit_test_teardown(test_helper_opens_into_a_sev_es_guest, end_both),
	        cmocka_unit_test_teardown(test_vcpu_of_the_helper_is_in_the_digest, end_both),
	        cmocka_unit_test_teardown(test_plan_ends_with_the_helpers_vmsa, end_both),
	        cmocka_unit_test_teardown(test_another_c_bit_is_refused, end_both),
	        cmocka_unit_test_teardown(test_a_mirror_is_made_at_launch_alone, end_both),
	};

	log_set_level(LOG_ERROR);
	if (crypto_load(&err) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

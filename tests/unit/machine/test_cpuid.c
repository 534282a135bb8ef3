/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy for guest CPUID: what is dropped, what is kept, what each vCPU sees of the others.
 */
#include "cpu_facts.h"
#include "support/test.h"

#define SUBLEAF KVM_CPUID_FLAG_SIGNIFCANT_INDEX

static struct machine_cpuid cpuid;
static struct machine_cpuid_dropped dropped;
static struct err err;

/* The lists of KVM_GET_SUPPORTED_CPUID that tests start from. */
union host_cpuid {
	struct kvm_cpuid2 kvm;
	struct {
		uint32_t nent, padding;
		struct kvm_cpuid_entry2 entries[256];
	} room;
};

static void host_add(union host_cpuid *host, const struct kvm_cpuid_entry2 *entries, size_t count)
{
	memcpy(host->room.entries + host->room.nent, entries, count * sizeof(*entries));
	host->room.nent += (uint32_t)count;
}

#define HOST_ADD(host, ...) \
	host_add(host, (struct kvm_cpuid_entry2[]){__VA_ARGS__}, \
	        ARRAY_LEN(((struct kvm_cpuid_entry2[]){__VA_ARGS__})))

static union host_cpuid pvm_host(void)
{
	union host_cpuid host = {0};

	host_add(&host, fact_pvm, ARRAY_LEN(fact_pvm));
	return host;
}

/* An AMD host with all features of Milan, SEV-SNP with the C-bit at 51, and more than any guest should get.
 */
static union host_cpuid milan_host(void)
{
	union host_cpuid host = {0};

	HOST_ADD(&host, {0, 0, 0, 0x10, 0x68747541, 0x444d4163, 0x69746e65},
	        {1, 0, 0, 0xa00f11, 0x08400800, 0xfefa3203, 0x178bfbff}, {6, 0, 0, 4, 0, 0, 0},
	        {7, 0, SUBLEAF, 0, 0x219c07ab, 0x0040069c, 0x8c000010}, {0xb, 0, SUBLEAF, 1, 2, 0x100, 9},
	        {0xb, 1, SUBLEAF, 7, 0x80, 0x201, 9});
	host_add(&host, fact_milan_states, ARRAY_LEN(fact_milan_states));
	HOST_ADD(&host, {0x80000000, 0, 0, 0x80000021, 0x68747541, 0x444d4163, 0x69746e65},
	        {0x80000001, 0, 0, 0xa00f11, 0x40000000, 0x00c003f7, 0x2fd3fbff},
	        {0x80000007, 0, 0, 0, 3, 0, 0x100}, {0x80000008, 0, 0, 0x00303030, 0x1302d205, 0x707f, 0},
	        {0x8000000a, 0, 0, 1, 0x8000, 0, 0x1019},
	        {0x8000001d, 0, SUBLEAF, 0x4121, 0x01c0003f, 0x3f, 0},
	        {0x8000001d, 3, SUBLEAF, 0x3c163, 0x03c0003f, 0x7fff, 1},
	        {0x8000001e, 0, 0, 9, 0x104, 0x300, 0}, {0x8000001f, 0, 0, 0x1001a, 0x33, 0x1fd, 1},
	        {0x80000021, 0, 0, 0x45, 0, 0, 0},
	        {0x40000000, 0, 0, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d},
	        {0x40000001, 0, 0, 0x01007efb, 0, 0, 0});
	return host;
}

static const struct kvm_cpuid_entry2 *leaf(uint32_t function, uint32_t index)
{
	static const struct kvm_cpuid_entry2 nothing;

	return machine_cpuid_find(&cpuid, function, index) ?: &nothing;
}

static void make(
        const char *model, union host_cpuid *host, enum config_sev_type sev, unsigned vcpu, unsigned vcpus)
{
	struct machine_cpuid_ask ask = {.model = machine_cpu_model(model),
	        .supported = &host->kvm,
	        .tsc_deadline = true,
	        .sev = sev,
	        .vcpu = vcpu,
	        .vcpus = vcpus};

	assert_ok(machine_cpuid_make(&ask, &cpuid, &dropped, &err));
}

static bool is_dropped(const char *name)
{
	for (unsigned i = 0; i < dropped.count; i++)
		if (strcmp(dropped.names[i], name) == 0)
			return true;
	return false;
}

static void test_cpuid_weak_host_drops_by_name_and_keeps_signature(void **state)
{
	union host_cpuid host = pvm_host();

	make("EPYC-Milan", &host, CONFIG_SEV_NONE, 0, 1);
	assert_int_equal(leaf(1, 0)->eax, 0xa00f11);
	assert_int_equal(leaf(0x80000001, 0)->eax, 0xa00f11);
	assert_true(is_dropped("avx2"));
	assert_true(is_dropped("xsave"));
	assert_true(is_dropped("xsaves"));
	assert_true(is_dropped("rdtscp"));
	assert_false(is_dropped("cx16"));
	assert_false(is_dropped("clflushopt"));
	assert_int_equal(leaf(1, 0)->ecx, 1U << 31 | 1U << 24 | 1U << 21 | 1U << 13);
	assert_null(machine_cpuid_find(&cpuid, 0xd, 0));
	assert_int_equal(leaf(0x80000008, 0)->eax, 0x3030);
	assert_int_equal(leaf(0, 0)->eax, 0xd);
	assert_int_equal(leaf(0x80000000, 0)->eax, 0x8000001e);
	assert_memory_equal(&leaf(0x80000002, 0)->eax, "AMD EPYC-Milan P", 16);
}

static void test_cpuid_host_model_passes_on_all_but_what_cannot_work(void **state)
{
	union host_cpuid host = pvm_host();

	make("host", &host, CONFIG_SEV_NONE, 0, 1);
	assert_int_equal(dropped.count, 0);
	assert_int_equal(leaf(1, 0)->eax, 0xc06f2);
	assert_int_equal(leaf(7, 0)->ecx, 0x1a010104 & ~(1U << 16)); /* no LA57 */
	assert_int_equal(leaf(7, 0)->edx, 0x20010000);
	assert_int_equal(leaf(0x80000008, 0)->eax, 0x3030);
	assert_null(machine_cpuid_find(&cpuid, 0xd, 0)); /* no XSAVE */
	assert_int_equal(leaf(0x80000021, 0)->eax, 0x244);
	assert_int_equal(leaf(0x40000001, 0)->eax, 1U << 24 | 1 << 6 | 1 << 3 | 1 << 1);
}

static void test_cpuid_host_model_topology_is_the_guests(void **state)
{
	union host_cpuid host = milan_host();

	make("host", &host, CONFIG_SEV_NONE, 2, 6);
	assert_int_equal(leaf(1, 0)->ebx, 0x02060800);
	assert_int_equal(leaf(0xb, 0)->edx, 2);
	assert_int_equal(leaf(0xb, 1)->ebx, 6);
	assert_int_equal(leaf(0x80000008, 0)->ecx, 0x3005);
	assert_int_equal(leaf(0x8000001d, 0)->eax, 0x121);
	assert_int_equal(leaf(0x8000001d, 3)->eax, 0x1c163);
	assert_int_equal(leaf(0x8000001e, 0)->eax, 2);
	assert_int_equal(leaf(0x8000001e, 0)->ebx, 2);
	assert_int_equal(leaf(0x8000001e, 0)->ecx, 0);
	assert_null(machine_cpuid_find(&cpuid, 0x8000001f, 0));
	assert_int_equal(leaf(1, 0)->ecx >> 27 & 1, 0); /* OSXSAVE follows the guest's CR4 */
	assert_int_equal(leaf(0x8000000a, 0)->ebx, 0x8000);

	host = pvm_host();
	make("host", &host, CONFIG_SEV_NONE, 1, 4);
	assert_int_equal(leaf(4, 0)->eax, 0x0c000121);
	assert_int_equal(leaf(4, 3)->eax, 0x0c00c163);
}

static void test_cpuid_topology_of_each_vcpu(void **state)
{
	union host_cpuid host = milan_host();

	for (unsigned vcpu = 0; vcpu < 5; vcpu++) {
		make("EPYC-Milan-v2", &host, CONFIG_SEV_NONE, vcpu, 5);
		assert_int_equal(leaf(1, 0)->ebx, vcpu << 24 | 5 << 16 | 0x800);
		assert_true(leaf(1, 0)->edx >> 28 & 1);         /* HTT */
		assert_true(leaf(0x80000001, 0)->ecx >> 1 & 1); /* CmpLegacy */
		assert_int_equal(leaf(0xb, 0)->eax, 0);
		assert_int_equal(leaf(0xb, 0)->ebx, 1);
		assert_int_equal(leaf(0xb, 0)->ecx, 0x100);
		assert_int_equal(leaf(0xb, 1)->eax, 3);
		assert_int_equal(leaf(0xb, 1)->ebx, 5);
		assert_int_equal(leaf(0xb, 1)->ecx, 0x201);
		assert_int_equal(leaf(0xb, 0)->edx, vcpu);
		assert_int_equal(leaf(0xb, 1)->edx, vcpu);
		assert_int_equal(leaf(0x80000008, 0)->ecx, 0x3004);
		assert_int_equal(leaf(0x8000001e, 0)->eax, vcpu);
	}
	make("EPYC-Milan-v2", &host, CONFIG_SEV_NONE, 0, 1);
	assert_false(leaf(1, 0)->edx >> 28 & 1);
	assert_int_equal(leaf(0xb, 1)->eax, 0);
}

/* Milan's caches: 32 KiB and 8 ways, 512 KiB and 8 ways, 32 MiB and 16 ways (PPR 55898). */
static void test_cpuid_caches_of_milan(void **state)
{
	static const struct kvm_cpuid_entry2 want[] = {
	        {0x8000001d, 0, SUBLEAF, 0x00000121, 0x01c0003f, 0x3f, 0},
	        {0x8000001d, 1, SUBLEAF, 0x00000122, 0x01c0003f, 0x3f, 0},
	        {0x8000001d, 2, SUBLEAF, 0x00000143, 0x01c0003f, 0x3ff, 2},
	        {0x8000001d, 3, SUBLEAF, 0x0000c163, 0x03c0003f, 0x7fff, 1},
	        {0x80000005, 0, 0, 0, 0, 0x20080140, 0x20080140},
	        {0x80000006, 0, 0, 0, 0, 0x02006140, 0x01008140},
	};
	union host_cpuid host = milan_host();

	make("EPYC-Milan", &host, CONFIG_SEV_NONE, 0, 4);
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		assert_memory_equal(leaf(want[i].function, want[i].index), &want[i], sizeof(want[i]));
	assert_null(machine_cpuid_find(&cpuid, 0x8000001d, 4));
}

static void test_cpuid_xsave_states_follow_the_features(void **state)
{
	union host_cpuid host = milan_host();

	make("EPYC-Milan", &host, CONFIG_SEV_NONE, 0, 1);
	assert_int_equal(leaf(0xd, 0)->eax, 0x207);
	assert_int_equal(leaf(0xd, 0)->ebx, 0x240);
	assert_int_equal(leaf(0xd, 0)->ecx, 0x988);
	assert_int_equal(leaf(0xd, 1)->eax, 0xf);
	assert_int_equal(leaf(0xd, 9)->ebx, 0x980);
	make("EPYC-Rome-v4", &host, CONFIG_SEV_NONE, 0, 1);
	assert_int_equal(leaf(0xd, 0)->eax, 7);
	assert_int_equal(leaf(0xd, 0)->ecx, 0x340);
	assert_int_equal(leaf(0xd, 1)->eax, 7);
	assert_null(machine_cpuid_find(&cpuid, 0xd, 9));
}

/* A host that offers AVX-512 without its registers, or AVX2 without AVX, is not believed. */
static void test_cpuid_features_without_their_base_are_dropped(void **state)
{
	union host_cpuid host = milan_host();

	make("EPYC-Genoa", &host, CONFIG_SEV_NONE, 0, 1);
	assert_true(is_dropped("avx512f"));
	host.room.entries[3].ebx = UINT32_MAX; /* leaf 7 */
	host.room.entries[3].ecx = UINT32_MAX;
	make("EPYC-Genoa", &host, CONFIG_SEV_NONE, 0, 1);
	assert_true(is_dropped("avx512f"));
	assert_true(is_dropped("avx512bitalg"));
	assert_false(is_dropped("vaes"));
	assert_int_equal(leaf(0x80000008, 0)->eax, 0x00303930); /* the model has LA57, so does this host */
	host.room.entries[1].ecx &= ~(1U << 28);                /* AVX */
	make("EPYC-Genoa", &host, CONFIG_SEV_NONE, 0, 1);
	assert_true(is_dropped("avx2"));
	assert_true(is_dropped("vaes"));
	assert_int_equal(leaf(0xd, 0)->eax, 0x203);
}

static void test_cpuid_sev_leaf_tells_the_generation(void **state)
{
	static const uint32_t want[] = {[CONFIG_SEV] = 0x2, [CONFIG_SEV_ES] = 0xa, [CONFIG_SEV_SNP] = 0x1a};
	union host_cpuid host = milan_host();

	for (enum config_sev_type type = CONFIG_SEV; type <= CONFIG_SEV_SNP; type++) {
		const char *const models[] = {"EPYC-Milan", "host"};

		for (size_t i = 0; i < ARRAY_LEN(models); i++) {
			make(models[i], &host, type, 0, 1);
			assert_int_equal(leaf(0x8000001f, 0)->eax, want[type]);
			assert_int_equal(leaf(0x8000001f, 0)->ebx, 51);
			assert_int_equal(leaf(0x8000001f, 0)->ecx, 0);
			assert_int_equal(leaf(0x8000001f, 0)->edx, 0);
			assert_in_range(leaf(0x80000000, 0)->eax, 0x8000001f, 0x80000022);
			assert_false(leaf(0x80000001, 0)->ecx >> 2 & 1); /* no SVM */
			assert_null(machine_cpuid_find(&cpuid, 0x8000000a, 0));
			assert_in_range(cpuid.nent, 1, 64); /* fits the CPUID page */
		}
	}
	make("EPYC-Milan", &host, CONFIG_SEV_NONE, 0, 1);
	assert_null(machine_cpuid_find(&cpuid, 0x8000001f, 0));
}

static void test_cpuid_sev_snp_leaves_out_what_firmware_refuses(void **state)
{
	union host_cpuid host = milan_host();
	const char *const models[] = {"EPYC-Milan", "host"};

	for (size_t i = 0; i < ARRAY_LEN(models); i++) {
		make(models[i], &host, CONFIG_SEV_ES, 0, 1);
		assert_true(leaf(1, 0)->ecx >> 24 & 1);
		make(models[i], &host, CONFIG_SEV_SNP, 0, 1);
		assert_false(leaf(1, 0)->ecx >> 24 & 1);          /* TSC deadline */
		assert_false(leaf(7, 0)->ebx >> 1 & 1);           /* TSC_ADJUST */
		assert_int_equal(leaf(7, 0)->edx, 0x10);          /* FSRM alone */
		assert_false(leaf(0x80000008, 0)->ebx >> 25 & 1); /* VIRT_SSBD */
	}
}

static void test_cpuid_sev_not_offered_is_refused(void **state)
{
	union host_cpuid host = pvm_host();
	struct machine_cpuid_ask ask = {.model = machine_cpu_model("EPYC-Milan"),
	        .supported = &host.kvm,
	        .sev = CONFIG_SEV_SNP,
	        .vcpus = 1};

	cpuid.nent = 7;
	assert_fails(machine_cpuid_make(&ask, &cpuid, &dropped, &err), ERR_HOST, "\"sev-snp\"");
	assert_int_equal(cpuid.nent, 7);
}

/* The guest reads the signature that is measured in RDX. */
static void test_cpuid_signature_by_number_goes_over_the_model(void **state)
{
	static const char *const models[] = {"EPYC-Milan", "host"};
	static const uint32_t signature = 0xaa0f02;
	union host_cpuid host = milan_host();

	for (size_t i = 0; i < ARRAY_LEN(models); i++) {
		struct machine_cpuid_ask ask = {.model = machine_cpu_model(models[i]),
		        .signature = &signature,
		        .supported = &host.kvm,
		        .vcpus = 1};

		assert_ok(machine_cpuid_make(&ask, &cpuid, NULL, &err));
		assert_int_equal(leaf(1, 0)->eax, signature);
		assert_int_equal(leaf(0x80000001, 0)->eax, signature);
	}
}

static void test_cpuid_vcpu_out_of_range_is_refused(void **state)
{
	union host_cpuid host = pvm_host();
	struct machine_cpuid_ask ask = {.model = machine_cpu_model("host"), .supported = &host.kvm};

	assert_fails(machine_cpuid_make(&ask, &cpuid, NULL, &err), ERR_USAGE, "1 to 64");
	ask.vcpus = 65;
	assert_fails(machine_cpuid_make(&ask, &cpuid, NULL, &err), ERR_USAGE, "1 to 64");
	ask.vcpu = ask.vcpus = 64;
	assert_fails(machine_cpuid_make(&ask, &cpuid, NULL, &err), ERR_USAGE, "1 to 64");
	ask.vcpu = 63;
	assert_ok(machine_cpuid_make(&ask, &cpuid, NULL, &err));
}

static void test_cpuid_host_with_too_many_entries_is_refused(void **state)
{
	union host_cpuid host = pvm_host();
	struct machine_cpuid_ask ask = {
	        .model = machine_cpu_model("host"), .supported = &host.kvm, .vcpus = 1};

	while (host.room.nent < ARRAY_LEN(host.room.entries))
		HOST_ADD(&host, {0x14, host.room.nent, SUBLEAF, 1, 1, 1, 1});
	assert_fails(machine_cpuid_make(&ask, &cpuid, NULL, &err), ERR_HOST, "256 CPUID entries");
	ask.model = machine_cpu_model("EPYC");
	assert_ok(machine_cpuid_make(&ask, &cpuid, NULL, &err));
}

static void test_cpuid_sharing_reports_are_asked_for_only_when_wanted(void **state)
{
	union host_cpuid host = milan_host();
	struct machine_cpuid_ask ask = {
	        .model = machine_cpu_model("EPYC-Milan"), .supported = &host.kvm, .vcpus = 1};

	assert_ok(machine_cpuid_make(&ask, &cpuid, NULL, &err));
	assert_int_equal(leaf(0x40000001, 0)->eax, 0x0100004a);
	assert_memory_equal(&leaf(0x40000000, 0)->ebx, "KVMKVMKVM\0\0\0", 12);
	ask.report_sharing = true;
	assert_ok(machine_cpuid_make(&ask, &cpuid, NULL, &err));
	assert_int_equal(leaf(0x40000001, 0)->eax, 0x0103004a);
	/* KVM writes into no page of a confidential guest when an interrupt ends. */
	ask.sev = CONFIG_SEV_SNP;
	assert_ok(machine_cpuid_make(&ask, &cpuid, NULL, &err));
	assert_int_equal(leaf(0x40000001, 0)->eax, 0x0103000a);
}

static void test_cpuid_dropped_text_says_how_many_are_cut(void **state)
{
	struct machine_cpuid_dropped list = {.names = {"svm", "avx2", "xsave"}, .count = 3};
	char text[64];

	machine_cpuid_dropped_format(&list, text, sizeof(text));
	assert_string_equal(text, "svm, avx2, xsave");
	machine_cpuid_dropped_format(&list, text, 24);
	assert_string_equal(text, "svm, avx2 and 1 more");
	list.count = 0;
	machine_cpuid_dropped_format(&list, text, sizeof(text));
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_cpuid_weak_host_drops_by_name_and_keeps_signature),
	        cmocka_unit_test(test_cpuid_host_model_passes_on_all_but_what_cannot_work),
	        cmocka_unit_test(test_cpuid_host_model_topology_is_the_guests),
	        cmocka_unit_test(test_cpuid_topology_of_each_vcpu),
	        cmocka_unit_test(test_cpuid_caches_of_milan),
	        cmocka_unit_test(test_cpuid_xsave_states_follow_the_features),
	        cmocka_unit_test(test_cpuid_features_without_their_base_are_dropped),
	        cmocka_unit_test(test_cpuid_sev_leaf_tells_the_generation),
	        cmocka_unit_test(test_cpuid_sev_snp_leaves_out_what_firmware_refuses),
	        cmocka_unit_test(test_cpuid_sev_not_offered_is_refused),
	        cmocka_unit_test(test_cpuid_signature_by_number_goes_over_the_model),
	        cmocka_unit_test(test_cpuid_vcpu_out_of_range_is_refused),
	        cmocka_unit_test(test_cpuid_host_with_too_many_entries_is_refused),
	        cmocka_unit_test(test_cpuid_sharing_reports_are_asked_for_only_when_wanted),
	        cmocka_unit_test(test_cpuid_dropped_text_says_how_many_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

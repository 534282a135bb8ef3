/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPU models against facts from outside (cpu_facts.h), seen through the public functions only.
 */
#include "cpu_facts.h"
#include "support/test.h"

/* The arithmetic of AMD's CPUID specification (25481), Fn0000_0001_EAX. */
static uint32_t signature(unsigned family, unsigned model, unsigned stepping)
{
	unsigned ext_family = family > 15 ? family - 15 : 0;

	return ext_family << 20 | (model >> 4) << 16 | (family > 15 ? 15 : family) << 8 | (model & 15) << 4 |
	       stepping;
}

static void test_models_signatures_are_those_that_digests_hold(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(fact_signatures); i++) {
		const struct machine_cpu_model *m = machine_cpu_model(fact_signatures[i].name);

		assert_non_null(m);
		assert_int_equal(m->signature, signature(fact_signatures[i].family, fact_signatures[i].model,
		                                       fact_signatures[i].stepping));
	}
	assert_int_equal(machine_cpu_model("EPYC-v4")->signature, 0x800f12);
	assert_int_equal(machine_cpu_model("EPYC-Milan")->signature, 0xa00f11);
}

static void test_models_unknown_name_is_none(void **state)
{
	assert_null(machine_cpu_model(""));
	assert_null(machine_cpu_model("EPYC-v9"));
	assert_null(machine_cpu_model("epyc"));
	assert_null(machine_cpu_model("EPYC-Milan "));
}

static void test_models_every_listed_name_is_known_once(void **state)
{
	size_t count = 0;

	for (const char *name; (name = machine_cpu_model_name(count)); count++) {
		const struct machine_cpu_model *m = machine_cpu_model(name);

		assert_non_null(m);
		for (size_t i = 0; i < count; i++)
			assert_string_not_equal(machine_cpu_model_name(i), name);
		if (m->title)
			assert_in_range(strlen(m->title), 1, 47);
		if (m->parent)
			assert_non_null(machine_cpu_model(m->parent));
	}
	assert_int_equal(count, 1 + ARRAY_LEN(fact_signatures));
}

/* A host that offers everything, so that what the guest gets is the model. */
static struct kvm_cpuid2 *boundless_host(void)
{
	size_t count = ARRAY_LEN(fact_places) + 3;
	struct kvm_cpuid2 *host = calloc(1, sizeof(*host) + count * sizeof(host->entries[0]));

	assert_non_null(host);
	for (size_t i = 0; i < ARRAY_LEN(fact_places); i++) {
		const uint32_t function = fact_places[i].function, index = fact_places[i].index;
		size_t n = 0;

		while (n < host->nent &&
		        (host->entries[n].function != function || host->entries[n].index != index))
			n++;
		host->entries[n].function = function;
		host->entries[n].index = index;
		host->entries[n].flags =
		        function == 7 || function == 0xd ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0;
		store_le((char *)&host->entries[n] + fact_places[i].reg, 4, UINT32_MAX);
		if (n == host->nent)
			host->nent++;
	}
	host->entries[host->nent++] =
	        (struct kvm_cpuid_entry2){0xd, 0, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, 0x2e7, 0x240, 0x988, 0};
	return host;
}

/* Which bits the machine adds to any model on such a host, by register. */
static uint32_t added(uint32_t function, size_t reg)
{
	if (function == 1 && reg == offsetof(struct kvm_cpuid_entry2, ecx))
		return 1U << 21 | 1U << 24; /* x2APIC, TSC deadline */
	if (function == 0x80000007 && reg == offsetof(struct kvm_cpuid_entry2, edx))
		return 1U << 8; /* invariant TSC */
	return 0;
}

static void test_models_features_agree_with_qemu(void **state)
{
	auto_free struct kvm_cpuid2 *host = boundless_host();
	static struct machine_cpuid cpuid;
	struct err err;

	for (size_t m = 0; m < ARRAY_LEN(fact_words); m++) {
		struct machine_cpuid_ask ask = {.model = machine_cpu_model(fact_words[m].model),
		        .supported = host,
		        .tsc_deadline = true,
		        .vcpus = 1};
		struct machine_cpuid_dropped dropped;

		assert_ok(machine_cpuid_make(&ask, &cpuid, &dropped, &err));
		assert_int_equal(dropped.count, 0);
		for (size_t i = 0; i < ARRAY_LEN(fact_places); i++) {
			uint32_t function = fact_places[i].function;
			const struct kvm_cpuid_entry2 *e =
			        machine_cpuid_find(&cpuid, function, fact_places[i].index);
			uint32_t want = fact_words[m].words[i] | added(function, fact_places[i].reg);
			uint32_t have = e ? (uint32_t)load_le((const char *)e + fact_places[i].reg, 4) : 0;

			if (have != want)
				fail_msg("%s, leaf %#x, word %zu: %#x, QEMU has %#x", fact_words[m].model,
				        function, i, have, want);
		}
	}
}

static void test_models_on_a_host_without_features_name_all_they_lack(void **state)
{
	struct kvm_cpuid2 nothing = {0};
	static struct machine_cpuid cpuid;
	struct machine_cpuid_dropped dropped;
	struct err err;

	for (size_t m = 0; m < ARRAY_LEN(fact_words); m++) {
		struct machine_cpuid_ask ask = {
		        .model = machine_cpu_model(fact_words[m].model), .supported = &nothing, .vcpus = 1};
		unsigned bits = 0;

		assert_ok(machine_cpuid_make(&ask, &cpuid, &dropped, &err));
		for (size_t i = 0; i < ARRAY_LEN(fact_places); i++)
			bits += (unsigned)__builtin_popcount(fact_words[m].words[i]);
		/* Less the hypervisor bit and what 80000001.EDX repeats of 1.EDX. */
		assert_int_equal(dropped.count, bits - 1 - (unsigned)__builtin_popcount(0x0183f3ff));
		for (unsigned i = 0; i < dropped.count; i++)
			assert_non_null(dropped.names[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_models_signatures_are_those_that_digests_hold),
	        cmocka_unit_test(test_models_unknown_name_is_none),
	        cmocka_unit_test(test_models_every_listed_name_is_known_once),
	        cmocka_unit_test(test_models_features_agree_with_qemu),
	        cmocka_unit_test(test_models_on_a_host_without_features_name_all_they_lack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpuid: which CPU features a guest gets: the model AND what the host offers. docs/cpu-models.md is the
 * policy in words. Any thread; no state. KVM api.rst, KVM_GET_SUPPORTED_CPUID.
 */
#include <string.h>

#include "cpuid.h"

/* Features that cannot work without another one. A host that offers one of them alone is not believed. */
static const struct {
	const char *needed, *without_it;
} needs[] = {
        {"xsave", "-avx -pku -xsaveopt -xsavec -xgetbv1 -xsaves -xsaveerptr"},
        {"avx", "-fma -f16c -avx2 -vaes -vpclmulqdq -avx-vnni -avx512f"},
        {"avx512f", "-avx512dq -avx512ifma -avx512cd -avx512bw -avx512vl -avx512vbmi -avx512vbmi2 "
                    "-avx512vnni -avx512bitalg -avx512-vpopcntdq -avx512-bf16 -avx512-vp2intersect"},
};

/*
 * KVM offers these to any guest because it emulates them, and the firmware of SEV-SNP refuses a CPUID page
 * with bits that the processor lacks (SNP ABI, CPUID reporting).
 */
static const char snp_never[] = "-tsc-deadline -tsc-adjust -spec-ctrl -stibp -flush-l1d -arch-capabilities "
                                "-core-capability -ssbd -virt-ssbd";

/*
 * Features that a guest never gets from the host: 5-level paging (some versions of KVM offer it and then
 * refuse CR4.LA57), bits that follow the guest's own CR4, and bits that describe the host's topology.
 */
static const char host_never[] = "-la57 -osxsave -ospke -ht -cmp-legacy";

const struct kvm_cpuid_entry2 *machine_cpuid_entry(
        const struct kvm_cpuid_entry2 *entries, unsigned count, uint32_t function, uint32_t index)
{
	for (unsigned i = 0; i < count; i++) {
		const struct kvm_cpuid_entry2 *e = &entries[i];

		if (e->function == function &&
		        (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == index))
			return e;
	}
	return NULL;
}

const struct kvm_cpuid_entry2 *machine_cpuid_host(
        const struct machine_cpuid_ask *ask, uint32_t function, uint32_t index)
{
	static const struct kvm_cpuid_entry2 nothing;

	return machine_cpuid_entry(ask->supported->entries, ask->supported->nent, function, index)
	               ?: &nothing;
}

const struct kvm_cpuid_entry2 *machine_cpuid_find(
        const struct machine_cpuid *cpuid, uint32_t function, uint32_t index)
{
	return machine_cpuid_entry(cpuid->entries, cpuid->nent, function, index);
}

/* The parts of the extended state without which a feature is of no use (XCR0 bits, APM vol. 2, 11.5.2). */
static void host_states_check(const struct machine_cpuid_ask *ask, struct machine_cpu_features *host)
{
	uint32_t states = machine_cpuid_host(ask, 0xd, 0)->eax;

	if (!(states & MACHINE_XCR0_AVX))
		machine_cpu_features_apply(host, "-avx");
	if ((states & MACHINE_XCR0_AVX512) != MACHINE_XCR0_AVX512)
		machine_cpu_features_apply(host, "-avx512f");
	if (!(states & MACHINE_XCR0_PKRU))
		machine_cpu_features_apply(host, "-pku");
}

static void host_features(const struct machine_cpuid_ask *ask, struct machine_cpu_features *ret_host)
{
	struct machine_cpu_features host;

	for (unsigned w = 0; w < CPU_WORDS; w++) {
		const struct machine_cpu_place *place = &machine_cpu_places[w];
		const struct kvm_cpuid_entry2 *e = machine_cpuid_host(ask, place->function, place->index);

		host.words[w] = (uint32_t)load_le((const char *)e + place->reg, 4);
	}
	if (ask->tsc_deadline)
		machine_cpu_features_apply(&host, "tsc-deadline");
	host_states_check(ask, &host);
	for (size_t i = 0; i < ARRAY_LEN(needs); i++)
		if (!machine_cpu_features_have(&host, needs[i].needed))
			machine_cpu_features_apply(&host, needs[i].without_it);
	*ret_host = host;
}

static void dropped_note(
        struct machine_cpuid_dropped *dropped, enum machine_cpu_word word, uint32_t wanted, uint32_t offered)
{
	for (unsigned bit = 0; bit < 32; bit++)
		if (((wanted & ~offered) >> bit & 1) && dropped->count < ARRAY_LEN(dropped->names))
			dropped->names[dropped->count++] = machine_cpu_feature_name(word, bit);
}

/* The rule itself. The model `host` has every feature that a guest may get from the host. */
static void choose_model(const struct machine_cpuid_ask *ask, const struct machine_cpu_features *host,
        struct machine_cpu_features *ret_chosen, struct machine_cpuid_dropped *dropped)
{
	struct machine_cpu_features wanted = *host;

	if (machine_cpuid_is_host(ask))
		machine_cpu_features_apply(&wanted, host_never);
	else
		machine_cpu_model_features(ask->model, &wanted);
	for (unsigned w = 0; w < CPU_WORDS; w++) {
		dropped_note(dropped, w, wanted.words[w], host->words[w]);
		ret_chosen->words[w] = wanted.words[w] & host->words[w];
	}
}

/* Features that the machine adds to every model if the host has them. */
static void choose_platform(const struct machine_cpuid_ask *ask, const struct machine_cpu_features *host,
        struct machine_cpu_features *chosen)
{
	static const char *const added[] = {"x2apic", "tsc-deadline", "invtsc"};

	for (size_t i = 0; i < ARRAY_LEN(added); i++)
		if (machine_cpu_features_have(host, added[i]))
			machine_cpu_features_apply(chosen, added[i]);
	machine_cpu_features_apply(chosen, "hypervisor");
	if (ask->vcpus > 1)
		machine_cpu_features_apply(chosen, machine_cpuid_is_amd(ask) ? "ht cmp-legacy" : "ht");
}

/* Encrypted guests cannot nest. The firmware decides which of the other features they may see. */
static void choose_sev(const struct machine_cpuid_ask *ask, struct machine_cpu_features *chosen)
{
	static const char *const shown[] = {
	        [CONFIG_SEV_NONE] = "",
	        [CONFIG_SEV] = "-svm sev",
	        [CONFIG_SEV_ES] = "-svm sev sev-es",
	        [CONFIG_SEV_SNP] = "-svm sev sev-es sev-snp",
	};

	chosen->words[CPU_8000001F_EAX] = 0;
	machine_cpu_features_apply(chosen, shown[ask->sev]);
	if (ask->sev == CONFIG_SEV_SNP)
		machine_cpu_features_apply(chosen, snp_never);
}

/* AMD repeats part of CPUID.1.EDX in CPUID.80000001.EDX (APM vol. 3, E.4.2). */
static void choose_aliases(const struct machine_cpuid_ask *ask, struct machine_cpu_features *chosen)
{
	if (!machine_cpuid_is_host(ask))
		chosen->words[CPU_80000001_EDX] |= chosen->words[CPU_1_EDX] & 0x0183f3ff;
}

static int sev_check(
        const struct machine_cpuid_ask *ask, const struct machine_cpu_features *host, struct err *err)
{
	static const char *const needed[] = {
	        [CONFIG_SEV] = "sev", [CONFIG_SEV_ES] = "sev-es", [CONFIG_SEV_SNP] = "sev-snp"};

	if (ask->sev == CONFIG_SEV_NONE || machine_cpu_features_have(host, needed[ask->sev]))
		return 0;
	return err_set(err, ERR_HOST,
	        "this host's KVM does not offer \"%s\" to guests (CPUID 8000001F EAX is %#x): enable it in "
	        "the host's firmware set-up and in the module kvm_amd, or choose another sev.type",
	        needed[ask->sev], host->words[CPU_8000001F_EAX]);
}

int machine_cpuid_make(const struct machine_cpuid_ask *ask, struct machine_cpuid *ret_cpuid,
        struct machine_cpuid_dropped *ret_dropped, struct err *err)
{
	struct machine_cpuid_dropped dropped = {0};
	struct machine_cpu_features host;
	struct machine_cpuid_build build = {.ask = ask};

	if (ask->vcpus < 1 || ask->vcpus > MACHINE_VCPUS_MAX || ask->vcpu >= ask->vcpus)
		return err_set(err, ERR_USAGE, "vCPU %u of %u: there can be 1 to %u", ask->vcpu, ask->vcpus,
		        MACHINE_VCPUS_MAX);
	host_features(ask, &host);
	if (sev_check(ask, &host, err) < 0)
		return -1;
	choose_model(ask, &host, &build.features, &dropped);
	choose_platform(ask, &host, &build.features);
	choose_sev(ask, &build.features);
	choose_aliases(ask, &build.features);
	if (machine_cpuid_leaves(&build, err) < 0)
		return -1;
	*ret_cpuid = build.cpuid;
	if (ret_dropped)
		*ret_dropped = dropped;
	return 0;
}

void machine_cpuid_dropped_format(const struct machine_cpuid_dropped *dropped, char *text, size_t size)
{
	static const size_t more_bytes = sizeof(" and 255 more");
	size_t used = 0;

	if (size)
		text[0] = '\0';
	for (unsigned i = 0; i < dropped->count; i++) {
		size_t len = strlen(dropped->names[i]) + (i ? 2 : 0);

		if (!range_fits(used, len + more_bytes, size)) {
			snprintf(text + used, size - used, " and %u more", dropped->count - i);
			return;
		}
		used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", dropped->names[i]);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * platform: the processor with SEV that the platform pretends to be, and what KVM reports about it: VM types,
 * CPUID, device attributes. Any thread may call. Law: APM 3, E.4.17 (CPUID 8000_001F); api.rst,
 * KVM_GET_DEVICE_ATTR.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "asid.h"
#include "kvm/platform.h"

#define CPUID_SEV          (1u << 1)
#define CPUID_SEV_ES       (1u << 3)
#define CPUID_SEV_SNP      (1u << 4)
#define CPUID_SME_COHERENT (1u << 10) /* older products may have caches that are not */

#define ASIDS_DEFAULT    509
#define ES_ASIDS_DEFAULT 99
#define C_BIT_DEFAULT    51
#define C_BIT_MAX        51

/* The kernel's driver does not initialise SNP with older firmware (SNP_MIN_API_MAJOR, SNP_MIN_API_MINOR). */
#define SNP_API_MAJOR 1
#define SNP_API_MINOR 51

/* What the host's owner does by snphost: SNP_CONFIG, and SNP_VLEK_LOAD of a key that AMD's server wrapped. */
static int configure(struct sev_platform *secure, const struct sim_options *o, struct err *err)
{
	const struct uapi_sev_snp_config config = {.mask_chip = o->mask_chip};
	bool has_vlek = o->vlek && *o->vlek;
	auto_free char *cert = NULL, *chain = NULL;
	uint8_t wrapped[PSP_VLEK_BYTES];

	if (!o->mask_chip && !has_vlek)
		return 0;
	if (!secure->snp_is_on)
		return err_set(err, ERR_USAGE,
		        "software platform: sim.vlek and sim.mask-chip need SEV-SNP, which this sim.product "
		        "or this sim.firmware-version lacks");
	if (o->mask_chip && psp_snp_set_config(secure->psp, &config) != PSP_SUCCESS)
		return err_set(
		        err, ERR_USAGE, "software platform: SNP_CONFIG refuses MASK_CHIP %u", o->mask_chip);
	if (!has_vlek)
		return 0;
	if (psp_export_vlek(secure->psp, o->vlek, wrapped, &cert, &chain, err) < 0)
		return -1;
	snprintf(secure->vlek, sizeof(secure->vlek), "%s", o->vlek);
	if (psp_snp_vlek_load(secure->psp, wrapped, sizeof(wrapped)) == PSP_SUCCESS)
		return 0;
	return err_set(err, ERR_FAILED, "software platform: SNP_VLEK_LOAD refuses the key that it has made");
}

static int make_psp(struct sev_platform *secure, const struct sim_options *o, struct err *err)
{
	bool given = o->firmware.major || o->firmware.minor || o->firmware.build;
	struct product_firmware firmware = given ? o->firmware : secure->product->firmware;
	bool new = firmware.major > SNP_API_MAJOR ||
	           (firmware.major == SNP_API_MAJOR && firmware.minor >= SNP_API_MINOR);
	struct abi_cpuid_entry rows[PSP_CPUID_MAX];
	const struct psp_options options = {
	        .seed = o->seed,
	        .product = secure->product->name,
	        .sev_major = firmware.major,
	        .sev_minor = firmware.minor,
	        .sev_build = firmware.build,
	        .snp_major = firmware.major,
	        .snp_minor = firmware.minor,
	        .snp_build = firmware.build,
	        .tcb = o->tcb ?: secure->product->tcb,
	        .asids = secure->asids,
	        .es_asids = secure->es_asids,
	        .snp_asids = secure->snp_asids,
	        .snp_off = !new,
	        .vmsa_features = secure->product->vmsa_features | ABI_FEATURE_SNP,
	        .smt_off = o->smt_off,
	        .cpuid = rows,
	        .cpuid_count = sev_hardware_cpuid(secure, rows),
	        .measured = o->measured,
	};

	if (psp_create(&options, &secure->psp, err) < 0)
		return -1;
	secure->has_snp_firmware = secure->snp_is_on = secure->product->snp && new;
	secure->sev_is_on = true;
	return configure(secure, o, err);
}

static int take_options(struct sev_platform *secure, const struct sim_options *o, struct err *err)
{
	secure->asids = o->asids ?: ASIDS_DEFAULT;
	secure->es_asids = !secure->product->es ? 0 : o->asids ? o->es_asids : ES_ASIDS_DEFAULT;
	secure->min_sev_asid = secure->es_asids + 1;
	secure->snp_asids = secure->product->snp ? o->snp_asids : 0;
	secure->c_bit = o->c_bit ?: C_BIT_DEFAULT;
	secure->memlock_bytes = o->memlock_bytes ?: UINT64_MAX;
	if (secure->asids > PSP_ASIDS_MAX || secure->es_asids > secure->asids ||
	        secure->snp_asids > secure->es_asids)
		return err_set(err, ERR_USAGE,
		        "software platform: sim.asids is %u (at most %u), sim.es-asids %u, sim.snp-asids %u: "
		        "none may be more than the one before it",
		        secure->asids, PSP_ASIDS_MAX, secure->es_asids, secure->snp_asids);
	if (secure->c_bit < KVM_PHYS_BITS || secure->c_bit > C_BIT_MAX)
		return err_set(err, ERR_USAGE, "software platform: the C-bit cannot be bit %u, only %u to %u",
		        secure->c_bit, KVM_PHYS_BITS, C_BIT_MAX);
	return 0;
}

static int fill(struct sev_platform *secure, const struct sim_options *options, struct err *err)
{
	if (take_options(secure, options, err) < 0 || make_psp(secure, options, err) < 0)
		return -1;
	secure->uses = calloc(secure->asids + 1, 1);
	if (!secure->uses)
		return err_sys(err, ERR_FAILED, ENOMEM, "software platform");
	secure->cgroup.capacity[SEV_MISC_SEV] =
	        secure->asids >= secure->min_sev_asid ? secure->asids - secure->min_sev_asid + 1 : 0;
	secure->cgroup.capacity[SEV_MISC_SEV_ES] = secure->es_asids;
	return sev_cgroup_open(&secure->cgroup, options->cgroup, err);
}

int sev_platform_create(const struct sim_options *options, struct sev_platform **ret_secure, struct err *err)
{
	const struct product *product;
	struct sev_platform *secure;

	*ret_secure = NULL;
	if (!options->product || strcmp(options->product, "none") == 0)
		return 0;
	product = product_find(options->product);
	if (!product)
		return err_set(err, ERR_USAGE, "software platform: there is no product %s", options->product);
	secure = calloc(1, sizeof(*secure));
	if (!secure)
		return err_sys(err, ERR_FAILED, ENOMEM, "software platform");
	secure->product = product;
	secure->cgroup.dir = -1;
	secure->maps_fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	pthread_mutex_init(&secure->driver_lock, NULL);
	pthread_mutex_init(&secure->lock, NULL);
	if (fill(secure, options, err) < 0) {
		sev_platform_destroy(secure);
		return -1;
	}
	*ret_secure = secure;
	return 0;
}

void sev_platform_destroy(struct sev_platform *secure)
{
	if (!secure)
		return;
	psp_destroy(secure->psp);
	sev_cgroup_close(&secure->cgroup);
	if (secure->maps_fd >= 0)
		close(secure->maps_fd);
	pthread_mutex_destroy(&secure->lock);
	pthread_mutex_destroy(&secure->driver_lock);
	free(secure->uses);
	free(secure);
}

/* ---- what KVM reports ---- */

static bool has_asids(const struct sev_platform *secure, enum product_asid_kind kind)
{
	uint32_t min, max;

	sev_asid_range(secure, kind, &min, &max);
	return min <= max;
}

unsigned sev_platform_vm_types(const struct sev_platform *secure)
{
	unsigned types = 1u << UAPI_VM_DEFAULT | 1u << UAPI_VM_SW_PROTECTED;

	if (secure && has_asids(secure, PRODUCT_ASID_SEV))
		types |= 1u << UAPI_VM_SEV;
	if (secure && secure->product->es && has_asids(secure, PRODUCT_ASID_ES))
		types |= 1u << UAPI_VM_SEV_ES;
	if (secure && secure->has_snp_firmware && has_asids(secure, PRODUCT_ASID_SNP))
		types |= 1u << UAPI_VM_SNP;
	return types;
}

/*
 * Returns the leaf of memory encryption as KVM shows it: no VMPLs, no lost bits of address, and the ASIDs of
 * the processor.
 */
static struct kvm_cpuid_entry2 sev_leaf(const struct sev_platform *secure)
{
	return (struct kvm_cpuid_entry2){.function = 0x8000001f,
	        .eax = CPUID_SEV | (secure->product->es ? CPUID_SEV_ES : 0) |
	               (secure->product->snp ? CPUID_SEV_SNP | CPUID_SME_COHERENT : 0),
	        .ebx = secure->c_bit,
	        .ecx = secure->asids,
	        .edx = secure->min_sev_asid};
}

/* Adds the leaf of memory encryption, and changes the processor's signature to that of the product. */
uint32_t sev_platform_add_cpuid(
        const struct sev_platform *secure, struct kvm_cpuid_entry2 *entries, uint32_t count)
{
	if (!secure || count == KVM_CPUID_MAX)
		return count;
	entries[count] = sev_leaf(secure);
	for (uint32_t i = 0; i < count; i++) {
		if (entries[i].function == 1 || entries[i].function == 0x80000001)
			entries[i].eax = secure->product->signature;
		if (entries[i].function == 0x80000000 && entries[i].eax < entries[count].function)
			entries[i].eax = entries[count].function;
	}
	return count + 1;
}

int sev_platform_attribute(const struct sev_platform *secure, uint64_t attribute, uint64_t *ret_value)
{
	bool snp = sev_platform_vm_types(secure) >> UAPI_VM_SNP & 1;

	switch (attribute) {
	case UAPI_SEV_VMSA_FEATURES: *ret_value = secure ? secure->product->vmsa_features : 0; return 0;
	case UAPI_SNP_POLICY_BITS: *ret_value = snp ? SEV_SNP_POLICY_BITS : 0; return 0;
	case UAPI_SEV_SNP_REQ_CERTS: *ret_value = snp; return 0;
	default: return -ENXIO;
	}
}

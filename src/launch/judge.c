/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judge: warns of configurations that are measured without an error but protect nothing, or that start but
 * never print anything. The list is the same for every verb and every host. Any thread; no state.
 */
#include <string.h>

#include "launch.h"
#include "plan.h"
#include "vmm/machine.h"
#include "volume.h"

#define SEV (CONFIG_FOR(CONFIG_SEV) | CONFIG_FOR(CONFIG_SEV_ES))
#define ES  CONFIG_FOR(CONFIG_SEV_ES)
#define SNP CONFIG_FOR(CONFIG_SEV_SNP)
#define ALL (CONFIG_FOR(CONFIG_SEV_NONE) | SEV | SNP)

/* What the rows below judge. */
struct judged {
	const struct config *config;
	const uint8_t *image;
	size_t image_bytes, kernel_bytes, initrd_bytes;
	uint64_t unpacked_bytes; /* of the kernel */
	struct launch_ovmf
	        ovmf; /* empty if the image's table contradicts itself, which is an error elsewhere */
	struct launch_volume volume;
};

/* ---- the image ---- */

/* The first instruction is the 16 bytes below 4 GiB (APM 2, 14.1.5); erased flash and zeros are none. */
#define RESET_BYTES 16

static bool is_without_code(const struct judged *j)
{
	const uint8_t *reset = j->image + j->image_bytes - RESET_BYTES;

	if (j->image_bytes < RESET_BYTES || (reset[0] != 0 && reset[0] != 0xff))
		return false;
	return memcmp(reset, reset + 1, RESET_BYTES - 1) == 0;
}

static bool is_variable_store(const struct judged *j)
{
	return j->volume.is_variables && !j->volume.is_edk2 && is_without_code(j);
}

static bool is_other_without_code(const struct judged *j)
{
	return is_without_code(j) && !is_variable_store(j);
}

static bool needs_smm(const struct judged *j)
{
	return j->volume.needs_smm;
}

static bool is_for_tdx(const struct judged *j)
{
	return j->volume.is_peiless;
}

/* The section for an SVSM's calling area came with the same release as the mended access to the local APIC.
 */
static bool is_too_old_for_snp(const struct judged *j)
{
	if (!j->volume.is_edk2 || !j->ovmf.metadata.present)
		return false;
	for (unsigned i = 0; i < j->ovmf.section_count; i++) {
		if (j->ovmf.sections[i].type == ABI_OVMF_SVSM_CAA)
			return false;
	}
	return true;
}

static bool is_without_ap_address(const struct judged *j)
{
	return j->ovmf.reset.present && !j->ovmf.reset.value[0] && j->config->machine.vcpus == 1;
}

/* ---- the kernel ---- */

static bool has_hash_area(const struct launch_ovmf *ovmf)
{
	return ovmf->hashes.present && ovmf->hashes.value[0];
}

static bool compares_no_hashes(const struct judged *j)
{
	return j->config->boot.hashes && has_hash_area(&j->ovmf) && j->volume.is_whole &&
	       !j->volume.compares_hashes;
}

static bool starts_hashed_kernels_only(const struct judged *j)
{
	return *j->config->boot.kernel && !j->config->boot.hashes && j->volume.compares_hashes;
}

static bool is_unmeasured_kernel(const struct judged *j)
{
	return *j->config->boot.kernel && !j->config->boot.hashes && !j->volume.compares_hashes;
}

/* ---- memory ---- */

#define OVMF_BYTES MIB(64) /* docs/platform.md */

static bool is_too_little_memory(const struct judged *j)
{
	return j->volume.is_edk2 && j->config->machine.memory_bytes < OVMF_BYTES;
}

/*
 * OVMF holds what it has fetched, and hands out a copy of it, and the kernel unpacks itself beside all that.
 * fit.c refuses what certainly fails.
 */
static bool is_too_large_a_kernel(const struct judged *j)
{
	const struct config *config = j->config;
	uint64_t files = j->kernel_bytes + j->initrd_bytes;

	return *config->boot.kernel && j->volume.is_edk2 && !is_too_little_memory(j) &&
	       config->machine.memory_bytes < OVMF_BYTES + 2 * files + j->unpacked_bytes;
}

/* ---- the policy ---- */

#define SEV_POLICY_NODBG (UINT64_C(1) << 0)
#define SNP_POLICY_DEBUG (UINT64_C(1) << 19)

static bool allows_debugging(const struct judged *j)
{
	uint64_t policy = j->config->sev.policy;

	return j->config->sev.type == CONFIG_SEV_SNP ? policy & SNP_POLICY_DEBUG
	                                             : !(policy & SEV_POLICY_NODBG);
}

/* ---- all ---- */

static const struct row {
	unsigned types;
	const char *key; /* whose value the text goes on after */
	bool (*is_so)(const struct judged *j);
	const char *text, *remedy;
} rows[] = {
        {ALL, "firmware", is_variable_store,
                "is a store of UEFI variables without any code: nothing would start",
                "name an image with code, such as OVMF.fd or OVMF_CODE_4M.fd"},
        {ALL, "firmware", is_other_without_code,
                "has no code at its end, where processors start: nothing would start",
                "name a firmware image that ends with its code"},
        {ALL, "firmware", needs_smm,
                "needs system management mode, which this machine does not have: it would stop without a "
                "word",
                "use an image without Secure Boot, such as OVMF.fd or OVMF_CODE_4M.fd"},
        {SEV | SNP, "firmware", is_for_tdx,
                "is built for Intel TDX: it has no PEI phase, in which OVMF sets up memory encryption",
                "use OVMF.fd of Debian 13's ovmf, or OVMF.amdsev.fd"},
        {SNP, "firmware", is_too_old_for_snp,
                "is older than edk2-stable202405 (its SEV metadata has no section for an SVSM): as a SEV-SNP "
                "guest it reaches for its interrupt controller in a way that Linux's KVM ends the guest for",
                "use OVMF.fd of Debian 13's ovmf, or OVMF.amdsev.fd"},
        {ES | SNP, "firmware", is_without_ap_address,
                "gives no address at which processors but the first start: it is launched and measured with "
                "one, but QEMU refuses such an image",
                "use another image where the digest is to be compared with QEMU's"},
        {SEV | SNP, "boot.hashes", compares_no_hashes,
                "measures hashes that nothing in the firmware image compares: the host can replace the "
                "kernel, "
                "the initial RAM disk and the command line unnoticed",
                LAUNCH_IMAGES_HASHES},
        {ALL, "boot.kernel", starts_hashed_kernels_only,
                "would not be started: the firmware image compares it with hashes, and boot.hashes is false",
                "set boot.hashes to true; for a plain guest use OVMF.fd of ovmf"},
        {SEV | SNP, "boot.kernel", is_unmeasured_kernel,
                "is not measured, since boot.hashes is false: the host can replace it, the initial RAM disk "
                "and "
                "the command line unnoticed",
                "set boot.hashes to true; " LAUNCH_IMAGES_HASHES},
        {ALL, "machine.memory", is_too_little_memory,
                "is too little for OVMF, which needs 64M: it would stop without a word", "raise it"},
        {ALL, "machine.memory", is_too_large_a_kernel,
                "may be too little: OVMF needs 64M, memory for boot.kernel and boot.initrd twice, and for "
                "the kernel to unpack itself",
                "raise it"},
        {SEV | SNP, "sev.policy", allows_debugging, "lets the host read and change the guest's memory",
                "add the word nodbg (SEV-SNP: leave out debug), unless the guest is to be debugged"},
};
_Static_assert(ARRAY_LEN(rows) <= LAUNCH_FINDINGS_MAX, "a finding a row");

static const char *value_of(
        const struct config *config, const char *key, char text[static CONFIG_SIZE_TEXT_BYTES])
{
	if (strcmp(key, "firmware") == 0)
		return config->firmware;
	if (strcmp(key, "boot.kernel") == 0)
		return config->boot.kernel;
	if (strcmp(key, "machine.memory") == 0)
		return config_size_text(config->machine.memory_bytes, text);
	if (strcmp(key, "sev.policy") == 0)
		snprintf(text, CONFIG_SIZE_TEXT_BYTES, "0x%llx", (unsigned long long)config->sev.policy);
	else
		snprintf(text, CONFIG_SIZE_TEXT_BYTES, "true");
	return text;
}

/* All of the image is decompressed only where that can tell more. */
static void look(const struct config *config, const struct launch_files *files, struct judged *ret_judged)
{
	struct judged j = {
	        .config = config,
	        .image = files->firmware.data,
	        .image_bytes = files->firmware.size_bytes,
	        .kernel_bytes = files->kernel.size_bytes,
	        .initrd_bytes = files->initrd.size_bytes,
	        .unpacked_bytes = machine_kernel_unpacked_bytes(files->kernel.data, files->kernel.size_bytes),
	};
	bool whole;
	struct err err;

	if (launch_ovmf_parse(j.image, j.image_bytes, &j.ovmf, &err) < 0)
		j.ovmf = (struct launch_ovmf){0};
	whole = *config->boot.kernel && has_hash_area(&j.ovmf);
	launch_volume_look(j.image, j.image_bytes, whole, &j.volume);
	*ret_judged = j;
}

void launch_judge(
        const struct config *config, const struct launch_files *files, struct launch_findings *ret_warnings)
{
	size_t image_bytes = files->firmware.size_bytes;
	char text[CONFIG_SIZE_TEXT_BYTES];
	struct judged j;

	ret_warnings->count = 0;
	/* An image of a size that no image has is refused, whatever is in it. */
	if (!files->firmware.data || !image_bytes || !is_aligned(image_bytes, PAGE_SIZE_BYTES))
		return;
	look(config, files, &j);
	for (const struct row *row = rows; row < rows + ARRAY_LEN(rows); row++) {
		if (row->types & CONFIG_FOR(config->sev.type) && row->is_so(&j))
			(err_set)(&ret_warnings->list[ret_warnings->count++], ERR_USAGE, "%s: %s %s; %s",
			        row->key, value_of(config, row->key, text), row->text, row->remedy);
	}
}

void launch_warn(const struct launch_findings *warnings)
{
	for (unsigned i = 0; i < warnings->count; i++)
		log_warn("%s", warnings->list[i].text);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan: makes the launch plan: what all generations share. Any thread.
 */
#include <errno.h>

#include "plan.h"
#include "vmm/machine.h"

/* ---- files ---- */

int launch_files_read(const struct config *config, struct launch_files *ret_files, struct err *err)
{
	struct launch_files files = {0};
	const struct {
		const char *key, *path;
		uint64_t max;
		struct launch_file *file;
	} wanted[] = {
	        {"firmware", config->firmware, PAGE_FIRMWARE_MAX_BYTES, &files.firmware},
	        {"boot.kernel", config->boot.kernel, MACHINE_KERNEL_MAX_BYTES, &files.kernel},
	        {"boot.initrd", config->boot.initrd, MACHINE_INITRD_MAX_BYTES, &files.initrd},
	};

	*ret_files = files;
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		struct launch_file *file = wanted[i].file;

		if (!*wanted[i].path)
			continue;
		if (file_read_all(wanted[i].path, wanted[i].max, &file->data, &file->size_bytes, err) < 0) {
			launch_files_finish(&files);
			return err_wrap(err, "%s", wanted[i].key);
		}
	}
	*ret_files = files;
	return 0;
}

void launch_files_finish(struct launch_files *files)
{
	free(files->firmware.data);
	free(files->kernel.data);
	free(files->initrd.data);
	*files = (struct launch_files){0};
}

/* ---- items ---- */

void launch_plan_add(struct launch_plan *plan, struct launch_item item)
{
	plan->items[plan->count++] = item;
}

int launch_plan_check_ram(
        const struct launch_inputs *inputs, uint64_t start, uint64_t size_bytes, struct err *err)
{
	if (range_fits(start, size_bytes, inputs->layout.low_bytes))
		return 0;
	if (!range_fits(start, size_bytes, PAGE_HOLE_START))
		return err_set(err, ERR_USAGE, "lies at 0x%llx, where no guest has memory: use another image",
		        (unsigned long long)start);
	return err_set(err, ERR_USAGE,
	        "lies at 0x%llx, not in the guest's memory of %llu MiB: raise machine.memory",
	        (unsigned long long)start, (unsigned long long)(inputs->layout.low_bytes >> 20));
}

void launch_plan_add_firmware(struct launch_plan *plan, const struct launch_inputs *inputs)
{
	const struct launch_file *firmware = &inputs->files->firmware;

	launch_plan_add(plan, (struct launch_item){
	                              .name = "firmware",
	                              .type = ABI_PAGE_NORMAL,
	                              .gpa = gpa(PAGE_HOLE_END - firmware->size_bytes),
	                              .size_bytes = firmware->size_bytes,
	                              .data = firmware->data,
	                      });
}

int launch_plan_add_vmsas(struct launch_plan *plan, struct err *err)
{
	struct launch_vmsa ap = plan->vmsa;

	if (!plan->ovmf.reset.present)
		return err_set(err, ERR_USAGE,
		        "does not say where processors of SEV-ES and SEV-SNP guests start (its table has no "
		        "SEV-ES reset block); " LAUNCH_IMAGES_SNP);
	ap.eip = plan->ovmf.reset.value[0];
	if (!ap.eip && plan->vcpus > 1)
		return err_set(err, ERR_USAGE,
		        "gives no address at which processors but the first start: set machine.vcpus to 1 or "
		        "use another image");
	launch_vmsa_fill(&plan->vmsa, &plan->bsp);
	launch_vmsa_fill(&ap, &plan->ap);
	for (unsigned i = 0; i < plan->vcpus; i++)
		launch_plan_add(plan, (struct launch_item){
		                              .name = "VMSA",
		                              .type = ABI_PAGE_VMSA,
		                              .gpa = gpa(ABI_VMSA_GPA),
		                              .size_bytes = sizeof(plan->bsp),
		                              .data = i ? &plan->ap : &plan->bsp,
		                              .vcpu = i,
		                      });
	return 0;
}

/* ---- the kernel ---- */

static int fill_hashes(struct launch_plan *plan, const struct launch_inputs *inputs, struct err *err)
{
	const struct launch_file *kernel = &inputs->files->kernel, *initrd = &inputs->files->initrd;

	if (!inputs->config->boot.hashes)
		return 0;
	if (!kernel->data)
		return err_set(err, ERR_USAGE,
		        "boot.hashes is true, but there is no kernel to hash: set boot.kernel, or "
		        "boot.hashes to false");
	if (crypto_load(err) < 0)
		return -1;
	launch_hashes_fill(kernel->data, kernel->size_bytes, initrd->data, initrd->size_bytes,
	        inputs->config->boot.cmdline, &plan->hashes);
	plan->hashed = true;
	return 0;
}

/* ---- the processors ---- */

static int fill_vmsa(struct launch_plan *plan, const struct config *config, struct err *err)
{
	const struct machine_cpu_model *model = machine_cpu_model(config->machine.cpu);

	plan->vmsa = (struct launch_vmsa){
	        .eip = LAUNCH_RESET_EIP,
	        .sev_features = config->sev.vmsa_features,
	        .legacy_init = config->sev.init == CONFIG_SEV_INIT_LEGACY,
	};
	if (!model)
		return err_set(
		        err, ERR_USAGE, "machine.cpu: there is no CPU model \"%s\"", config->machine.cpu);
	if (!model->signature && !config->machine.cpu_signature_given)
		return err_set(err, ERR_USAGE,
		        "machine.cpu: with \"%s\" the digest depends on the host's processor: name a model "
		        "(EPYC-Milan, ...), or set machine.cpu-signature, so that the digest is known "
		        "beforehand",
		        model->name);
	if (plan->vmsa.legacy_init && plan->vmsa.sev_features)
		return err_set(err, ERR_USAGE,
		        "sev.vmsa-features 0x%llx: sev.init is legacy (KVM_SEV_ES_INIT), which takes none: "
		        "set sev.init to init2",
		        (unsigned long long)plan->vmsa.sev_features);
	plan->vmsa.cpu_signature =
	        config->machine.cpu_signature_given ? config->machine.cpu_signature : model->signature;
	return 0;
}

/* ---- the plan ---- */

static int fill(struct launch_plan *plan, struct launch_inputs *inputs, struct err *err)
{
	const struct config *config = inputs->config;
	const struct launch_file *firmware = &inputs->files->firmware;

	if (config->sev.type == CONFIG_SEV_NONE)
		return err_set(err, ERR_USAGE,
		        "sev.type is \"none\": nothing of such a guest is measured; set sev.type to sev, "
		        "sev-es or sev-snp");
	if (!firmware->data)
		return err_set(err, ERR_USAGE, "there is no firmware: set it to the path of an OVMF image");
	if (config->machine.vcpus < 1 || config->machine.vcpus > CONFIG_VCPUS_MAX)
		return err_set(err, ERR_USAGE, "machine.vcpus: %u processors; there can be 1 to %u",
		        config->machine.vcpus, CONFIG_VCPUS_MAX);
	if (page_layout_make(config->machine.memory_bytes, firmware->size_bytes, &inputs->layout, err) < 0 ||
	        launch_ovmf_parse(firmware->data, firmware->size_bytes, &plan->ovmf, err) < 0)
		return err_wrap(err, "firmware image %s", config->firmware);
	plan->type = config->sev.type;
	plan->policy = config->sev.policy;
	plan->vcpus = config->machine.vcpus;
	if (plan->type != CONFIG_SEV && fill_vmsa(plan, config, err) < 0)
		return -1;
	return fill_hashes(plan, inputs, err);
}

/* A refusal here is the image's fault. */
static int add_items(struct launch_plan *plan, const struct launch_inputs *inputs, struct err *err)
{
	int result = plan->type == CONFIG_SEV_SNP ? launch_plan_snp(plan, inputs, err)
	                                          : launch_plan_sev(plan, inputs, err);

	return result < 0 ? err_wrap(err, "firmware image %s", inputs->config->firmware) : 0;
}

int launch_plan_make(const struct config *config, const struct launch_files *files,
        struct launch_plan **ret_plan, struct err *err)
{
	struct launch_inputs inputs = {.config = config, .files = files};
	struct launch_plan *plan = calloc(1, sizeof(*plan));

	if (!plan)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for the launch plan");
	if (fill(plan, &inputs, err) < 0 || add_items(plan, &inputs, err) < 0) {
		launch_plan_destroy(plan);
		return -1;
	}
	*ret_plan = plan;
	return 0;
}

void launch_plan_destroy(struct launch_plan *plan)
{
	free(plan);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_launch: a kernel and a firmware that answer whatever they like. A byte chooses the generation; then
 * for each of their commands a byte: 0 to 199 the right answer, else an errno and a firmware code from the
 * next two, and for a launch update the number of bytes that it reports as left. The bytes after 0xff are
 * laid over the CPUID page. A launch must end, and say why if it fails.
 */
#include "fuzz.h"
#include "support/fake_kernel.h"
#include "support/launch.h"
#include "support/measured_image.h"
#include "vmm/launch.h"

#define COMMANDS_LIMIT 100000 /* more than any launch may ask */

static struct fake_kernel kernel;
static struct cursor input;
static unsigned commands;

/* ---- answers ---- */

static void flip(struct uapi_sev_snp_launch_update *update)
{
	uint8_t *page = (uint8_t *)(uintptr_t)update->uaddr;

	for (size_t i = 0; update->type == ABI_PAGE_CPUID && i < PAGE_SIZE_BYTES && i < input.left; i++)
		page[i] ^= input.at[i];
}

static int lie(struct kvm_sev_cmd *cmd, uint8_t how)
{
	uint8_t sys = cursor_u8(&input);

	cmd->error = cursor_u8(&input);
	if (cmd->id == UAPI_SEV_SNP_LAUNCH_UPDATE && cmd->data) {
		struct uapi_sev_snp_launch_update *update = (void *)(uintptr_t)cmd->data;

		if (how == 0xff)
			flip(update);
		else
			update->len = (uint64_t)cmd->error * (how & 1 ? PAGE_SIZE_BYTES : 1);
	}
	if (!sys)
		return 0;
	errno = sys & 0x7f;
	return -1;
}

static int answer(struct host *h, int fd, unsigned long request, void *arg)
{
	uint8_t how;

	if (request != KVM_MEMORY_ENCRYPT_OP && request != SEV_ISSUE_CMD)
		return fake_ioctl(h, fd, request, arg);
	fuzz_assert(++commands < COMMANDS_LIMIT);
	how = cursor_u8(&input);
	if (how < 200 || request == SEV_ISSUE_CMD)
		return fake_ioctl(h, fd, request, arg);
	return lie(arg, how);
}

static int launch(const struct config *config, struct err *err)
{
	const struct facts_process process = {.cgroup = "", .memlock_bytes = UINT64_MAX};
	const struct device_events events = {0};
	const struct machine_place place = {.host = &kernel.host, .events = &events};
	struct launch *launch = NULL;
	struct machine *machine = NULL;
	struct machine_vm *vm = NULL;
	struct machine_files files;
	int result = -1;

	if (launch_create(&kernel.host, config, &process, &launch, err) < 0)
		return -1;
	files = launch_machine_files(launch);
	if (machine_create(&place, config, &files, &machine, err) == 0)
		result = launch_whole(launch, machine, &vm, err);
	launch_end(launch);
	machine_destroy(machine);
	launch_destroy(launch);
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const types[] = {"sev.type=sev", "sev.type=sev-es", "sev.type=sev-snp"};
	static struct host_ops ops;
	struct config_mistakes mistakes = {0};
	struct config *config;
	struct err err = {0};
	char word[96];
	int result;

	log_set_level(LOG_ERROR);
	input = cursor_over(data, size);
	fake_start(&kernel);
	ops = fake_ops;
	ops.ioctl = answer;
	kernel.host.ops = &ops;
	commands = 0;
	snprintf(word, sizeof(word), "firmware=%s", measured_image_path());
	const char *words[] = {types[cursor_u8(&input) % 3], word, "machine.memory=1M",
	        "machine.cpu=EPYC-Milan", "sev.enforce-digest=false", "sev.vmsa-features=null"};
	result = config_load(NULL, words, 4 + (words[0] == types[2]), NULL, &config, &mistakes);
	config_mistakes_finish(&mistakes);
	fuzz_assert(result == 0);
	result = launch(config, &err);
	fuzz_assert(result == 0 || (err.kind && *err.text));
	fuzz_assert(kernel.open_fds == 0);
	config_destroy(config);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch: reports what the guests did, what the secure processor knows of them and whose their pages are, and
 * makes commands of the secure processor fail for tests. Any thread may call.
 */
#include <string.h>

#include "sev/platform.h"
#include "sev/rmp.h"
#include "sim.h"

void sim_figures(struct host *h, struct sim_figures *ret_figures)
{
	kvm_platform_figures(&((struct sim_platform *)h)->kvm, ret_figures);
}

uint64_t sim_now_ns(const struct host *h)
{
	return kvm_clock_now(&((const struct sim_platform *)h)->kvm.clock);
}

static struct psp *psp_of(struct host *h)
{
	struct sim_platform *sim = (struct sim_platform *)h;

	return sim->kvm.secure ? sim->kvm.secure->psp : NULL;
}

bool sim_guest_view(struct host *h, unsigned n, struct sim_guest_view *ret_view)
{
	struct psp *psp = psp_of(h);
	struct psp_guest_view view;

	if (!psp || !psp_guest_view(psp, n, &view))
		return false;
	*ret_view = (struct sim_guest_view){
	        .snp = view.snp,
	        .handle = view.handle,
	        .asid = view.asid,
	        .policy = view.policy,
	        .state = view.state,
	        .digest_bytes = view.digest_bytes,
	};
	memcpy(ret_view->digest, view.digest, sizeof(ret_view->digest));
	return true;
}

bool sim_hardware_leaf(struct host *h, uint32_t leaf, uint32_t ret_registers[static 4])
{
	const struct sev_platform *secure = ((struct sim_platform *)h)->kvm.secure;
	struct abi_cpuid_entry entries[PSP_CPUID_MAX];
	unsigned count = secure ? sev_hardware_cpuid(secure, entries) : 0;

	for (unsigned i = 0; i < count; i++) {
		const struct abi_cpuid_entry *e = &entries[i];

		if (e->eax_in != leaf || e->ecx_in)
			continue;
		memcpy(ret_registers, (uint32_t[]){e->eax, e->ebx, e->ecx, e->edx}, 4 * sizeof(uint32_t));
		return true;
	}
	return false;
}

bool sim_page_view(struct host *h, uint64_t gpa, struct sim_page_view *ret_view)
{
	struct kvm_vm *vm = kvm_vm_hold_newest(&((struct sim_platform *)h)->kvm);
	bool found;

	if (!vm)
		return false;
	pthread_mutex_lock(&vm->lock);
	found = sev_rmp_look(vm, gpa, ret_view);
	pthread_mutex_unlock(&vm->lock);
	kvm_vm_unref(vm);
	return found;
}

static int command_find(const char *name, enum psp_command *ret_command)
{
	for (unsigned i = 0; i <= PSP_CMD_ANY; i++) {
		if (strcmp(psp_command_name((enum psp_command)i), name) == 0) {
			*ret_command = (enum psp_command)i;
			return 0;
		}
	}
	return -1;
}

int sim_fail_firmware(struct host *h, const char *command, unsigned nth, uint32_t code)
{
	struct psp *psp = psp_of(h);
	enum psp_command which;

	if (!psp || command_find(command, &which) < 0)
		return -1;
	psp_fail(psp, which, nth, code);
	return 0;
}

uint64_t sim_firmware_calls(struct host *h, const char *command)
{
	struct psp *psp = psp_of(h);
	enum psp_command which;

	return psp && command_find(command, &which) == 0 ? psp_command_count(psp, which) : 0;
}

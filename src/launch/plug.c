/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plug: RAM for a guest that was launched and runs. Main thread. Law: amd-memory-encryption.rst
 * (KVM_MEMORY_ENCRYPT_REG_REGION).
 */
#include "launch.h"

static bool is_pinned(const struct launch *launch)
{
	return launch->config.sev.type == CONFIG_SEV || launch->config.sev.type == CONFIG_SEV_ES;
}

/* Says what an administrator can do about it, if the kernel refused. */
static int explain(struct launch *launch, struct err *err)
{
	struct facts facts;

	if (launch->config.sev.type == CONFIG_SEV_NONE)
		return -1;
	launch_ask_facts(launch, &facts);
	return launch_explain(LAUNCH_STEP_MEMORY, launch->config.sev.type, &facts, err);
}

/* Takes back what came before the step that failed. */
static int undo(struct launch *launch, const struct page_plug *plug, bool is_seen, struct err *err)
{
	struct err second;

	if (is_seen && mirror_helper_unplug(launch->work.helper, &second) < 0)
		log_warn("%s", second.text);
	if (is_pinned(launch) &&
	        call_sev_unregister_memory(&launch->work.sev, plug->at, plug->size_bytes, &second) < 0)
		log_warn("%s", second.text);
	return explain(launch, err);
}

/*
 * Pinned before the guest can reach it: the kernel must not move a page that holds ciphertext. The helper
 * sees it before the guest does, because a guest with memory that its helper does not see could not move.
 */
int launch_plug(struct launch *launch, uint64_t size_bytes, struct err *err)
{
	const struct call_sev *sev = &launch->work.sev;
	struct mirror_helper *helper = launch->work.helper;
	struct page_plug plug;

	if (machine_vm_plug_find(launch->work.vm, size_bytes, &plug, err) < 0)
		return -1;
	if (is_pinned(launch) && call_sev_register_memory(sev, plug.at, plug.size_bytes, err) < 0)
		return explain(launch, err);
	if (helper && mirror_helper_plug(helper, &plug, err) < 0)
		return undo(launch, &plug, false, err);
	if (machine_vm_plug(launch->work.vm, &plug, err) < 0)
		return undo(launch, &plug, helper, err);
	return 0;
}

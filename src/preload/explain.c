/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain: tells the user of the program, on standard error, what the secure processor has measured when a
 * launch ends. Any thread.
 */
#include <errno.h>
#include <linux/kvm.h>

#include "preload.h"
#include "vmm/uapi.h"

static bool ends_launch(const struct kvm_sev_cmd *cmd)
{
	return cmd->id == KVM_SEV_LAUNCH_FINISH || cmd->id == UAPI_SEV_SNP_LAUNCH_FINISH;
}

/* The guest that was launched last is the last one of its kind. */
static bool find_guest(bool snp, struct sim_guest_view *ret_view)
{
	struct sim_guest_view view;
	bool found = false;

	for (unsigned n = 0; preload_view(n, &view); n++) {
		if (view.snp != snp)
			continue;
		*ret_view = view;
		found = true;
	}
	return found;
}

static const char *kind_of(const struct sim_guest_view *view)
{
	const uint64_t es = 4; /* the policy's bit of a SEV-ES guest */

	return view->snp ? "SEV-SNP" : view->policy & es ? "SEV-ES" : "SEV";
}

void preload_explain(unsigned long request, const void *arg)
{
	const struct kvm_sev_cmd *cmd = arg;
	struct sim_guest_view view;
	char digest[2 * sizeof(view.digest) + 1];

	if (!getenv(PRELOAD_EXPLAIN) || request != KVM_MEMORY_ENCRYPT_OP || !ends_launch(cmd) ||
	        !find_guest(cmd->id == UAPI_SEV_SNP_LAUNCH_FINISH, &view))
		return;
	hex_encode(view.digest, view.digest_bytes, digest);
	preload_say("launched a %s guest, policy 0x%llx, digest %s", kind_of(&view),
	        (unsigned long long)view.policy, digest);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helper: the migration helper of this vmm's guest, and what else a SEV guest must have to be moved. The main
 * thread asks why it cannot be, the thread of the move does the rest.
 */
#include <string.h>

#include "migrate.h"
#include "vmm/abi/policy.h"
#include "vmm/launch.h"
#include "vmm/machine.h"

#define SME_COHERENT (1u << 10) /* CPUID 0x8000001f, EAX */

static struct mirror_helper *helper_of(void *ctx)
{
	return launch_helper(run_launch(((struct migrate *)ctx)->run));
}

static int hello(void *ctx, struct helper_hello *ret_hello, struct err *err)
{
	return mirror_helper_hello(helper_of(ctx), ret_hello, err);
}

static int agree(void *ctx, const struct helper_terms *terms, struct err *err)
{
	return mirror_helper_agree(helper_of(ctx), terms, err);
}

static int seal(void *ctx, struct mirror_record *records, unsigned count, struct err *err)
{
	unsigned done;

	return mirror_helper_seal(helper_of(ctx), records, count, &done, err);
}

static int open_records(void *ctx, const struct mirror_record *records, unsigned count, struct err *err)
{
	unsigned done;

	return mirror_helper_open(helper_of(ctx), records, count, &done, err);
}

static int forget(void *ctx, struct err *err)
{
	return helper_of(ctx) ? mirror_helper_forget(helper_of(ctx), err) : 0;
}

void migrate_helper_cancel(struct migrate *migrate)
{
	if (helper_of(migrate))
		mirror_helper_cancel(helper_of(migrate));
}

static bool is_record_complete(struct page_memory *memory)
{
	struct page_record record;

	page_record_count(memory, &record);
	return record.complete;
}

/* Was the guest launched, or has it come, and is its helper there, if it is to have one? */
static bool is_complete(struct migrate *migrate)
{
	enum launch_state state = launch_state_of(run_launch(migrate->run));

	return run_vm(migrate->run) && (state == LAUNCH_RUNNING || state == LAUNCH_SUPDATE) &&
	       (migrate_firmware_serves(run_config(migrate->run)) || helper_of(migrate));
}

static const char *refusal_of_guest(struct migrate *migrate)
{
	struct machine_vm *vm = run_vm(migrate->run);
	struct page_memory *memory;

	if (!is_complete(migrate))
		return "it is being launched";
	if (launch_mirrors(run_launch(migrate->run)))
		return "a controller has made mirrors of it, and what they write would be left behind "
		       "(__vmm_mirror-del ends one)";
	memory = machine_vm_memory(vm);
	if (!machine_vm_may_migrate(vm))
		return "it has not allowed its migration (MSR_KVM_MIGRATION_CONTROL)";
	if (!is_record_complete(memory))
		return "the record of its shared pages is not complete (sev.shared-ranges-max)";
	return NULL;
}

/* NULL: such a guest can be moved. */
static const char *refusal_of_config(const struct config *config)
{
	static const char *const types[] = {
	        [CONFIG_SEV_ES] =
	                "the registers of a SEV-ES guest are encrypted, and the kernel moves them to no "
	                "other host",
	        [CONFIG_SEV_SNP] =
	                "a SEV-SNP guest shares its context with no other VM, so it has no helper that "
	                "could seal its memory",
	};

	if (config->sev.type != CONFIG_SEV)
		return types[config->sev.type];
	if (!config->sev.helper && config->sev.policy & ABI_SEV_POLICY_NOSEND)
		return "its policy forbids the secure processor to send its memory (nosend), and it has no "
		       "helper that seals it (sev.helper)";
	if (!config->sev.page_status)
		return "its memory is encrypted, and it does not report which pages it shares "
		       "(sev.page-status)";
	return NULL;
}

const char *migrate_helper_refusal(struct migrate *migrate)
{
	const struct config *config = run_config(migrate->run);
	const char *why = config->sev.type == CONFIG_SEV_NONE ? NULL : refusal_of_config(config);

	return why || config->sev.type == CONFIG_SEV_NONE ? why : refusal_of_guest(migrate);
}

int migrate_helper_check(void *ctx, struct err *err)
{
	struct migrate *migrate = ctx;
	const char *why = refusal_of_config(run_config(migrate->run));

	if (!why && !migrate->incoming)
		why = refusal_of_guest(migrate);
	else if (!why && !migrate_firmware_serves(run_config(migrate->run)) && !helper_of(migrate))
		why = "it has no helper";
	if (!why && migrate->incoming && !(launch_facts_of(run_launch(migrate->run))->sev_eax & SME_COHERENT))
		return err_set(err, ERR_FAILED,
		        "no SEV guest can come to this host: its processor does not keep the caches of "
		        "private and "
		        "shared memory coherent (SME_COHERENT)");
	return why ? err_set(err, ERR_FAILED, "the guest cannot be moved: %s", why) : 0;
}

const struct migrate_helper *migrate_helper_of(struct migrate *migrate)
{
	const struct launch *launch = run_launch(migrate->run);

	const struct config *config = run_config(migrate->run);

	if (config->sev.type == CONFIG_SEV_NONE || migrate_firmware_serves(config))
		return NULL;
	migrate->helper = (struct migrate_helper){.hello = hello,
	        .agree = agree,
	        .seal = seal,
	        .open = open_records,
	        .forget = forget,
	        .check = migrate_helper_check,
	        .policy = config->sev.policy,
	        .ctx = migrate};
	memcpy(migrate->helper.digest, launch_digest_of(launch)->bytes, HELPER_DIGEST_BYTES);
	return &migrate->helper;
}

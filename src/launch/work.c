/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work: carries out the rows of a generation, a part at a time, and asks the firmware after each row whether
 * the guest is where it should be. Between two parts the caller can do other work. Main thread.
 */
#include <errno.h>
#include <string.h>

#include "launch.h"

/*
 * The firmware of SEV and SEV-ES tells where the guest is. That of SEV-SNP cannot be asked through KVM:
 * there, the state follows from the results. The helper's rows change no state.
 */
static int check_row(struct launch_work *work, const struct launch_row *row, struct err *err)
{
	if (row->state == LAUNCH_UNINIT || row->step == LAUNCH_STEP_HELPER ||
	        row->step == LAUNCH_STEP_HELPER_VMSA || work->launch->config.sev.type == CONFIG_SEV_SNP)
		return 0;
	return launch_check_state(work, row->state, row->name, err);
}

int launch_check_state(
        const struct launch_work *work, enum launch_state state, const char *after, struct err *err)
{
	const struct config *config = &work->launch->config;
	struct kvm_sev_guest_status status;

	if (call_sev_guest_status(&work->sev, &status, err) < 0)
		return -1;
	if (status.state != state)
		return err_set(err, ERR_HOST,
		        "after the step \"%s\" the firmware says that the guest is in state %u (%s), not %s: "
		        "another program drives this guest, or the firmware and the kernel do not match",
		        after, status.state, launch_state_name(status.state), launch_state_name(state));
	if (status.policy != (uint32_t)config->sev.policy)
		return err_set(err, ERR_HOST,
		        "the firmware says that the guest has the policy 0x%x, not 0x%x: the firmware and "
		        "the kernel do not match",
		        status.policy, (uint32_t)config->sev.policy);
	return 0;
}

static int explain(const struct launch *launch, enum launch_step step, struct err *err)
{
	if (launch->plan) {
		struct facts facts;

		/* Facts that the plan was made with may have changed. */
		launch_ask_facts(launch, &facts);
		launch_explain(step, launch->config.sev.type, &facts, err);
	}
	return err_wrap(err, "creating the guest");
}

static int do_part(struct launch_work *work, const struct launch_row *row, struct err *err)
{
	int result;

	*err = (struct err){0};
	result = row->fn(work, err);
	if (result < 0)
		return explain(work->launch, row->step, err);
	work->part++;
	if (result == LAUNCH_DONE && check_row(work, row, err) < 0)
		return explain(work->launch, LAUNCH_STEP_STATUS, err);
	return result;
}

static int begin_row(struct launch_work *work, const struct launch_row *row)
{
	struct launch_progress *progress = &work->progress[work->row];

	log_debug("launch: %s", row->name);
	progress->began_ns = clock_ns(CLOCK_MONOTONIC);
	progress->state = LAUNCH_ROW_RUNS;
	return LAUNCH_MORE;
}

static void note(struct launch_work *work, const struct launch_row *row, int result)
{
	struct launch_progress *progress = &work->progress[work->row];

	progress->ns = clock_ns(CLOCK_MONOTONIC) - progress->began_ns;
	progress->done = work->part;
	progress->state = result < 0              ? LAUNCH_ROW_FAILED
	                  : result == LAUNCH_DONE ? LAUNCH_ROW_DONE
	                                          : LAUNCH_ROW_RUNS;
	if (result != LAUNCH_DONE)
		return;
	work->state = row->state;
	work->row++;
	work->part = 0;
}

int launch_parts(struct launch_work *work, unsigned total)
{
	work->progress[work->row].total = total;
	return work->part + 1 < total ? LAUNCH_MORE : LAUNCH_DONE;
}

void launch_begin(struct launch *launch, struct machine *machine)
{
	launch_end(launch);
	launch->work = (struct launch_work){
	        .launch = launch,
	        .machine = machine,
	        .sev = {.host = launch->host, .vm_fd = -1, .sev_fd = -1},
	};
}

/* A guest without a helper comes by the secure processor. */
void launch_begin_to_receive(struct launch *launch, struct machine *machine)
{
	launch_begin(launch, machine);
	launch->work.receives = launch->config.sev.type == CONFIG_SEV && !launch->config.sev.helper;
}

static bool is_end(const struct launch_work *work, const struct launch_row *row)
{
	return !row->name || (work->receives && row->step == LAUNCH_STEP_START);
}

int launch_next(struct launch *launch, bool hold, struct err *err)
{
	struct launch_work *work = &launch->work;
	const struct launch_row *row = &launch_rows(launch->config.sev.type)[work->row];
	int result;

	if (is_end(work, row))
		return LAUNCH_DONE;
	if (hold && row->held)
		return LAUNCH_HELD;
	/* Whoever watches the launch hears of a row before it takes its time. */
	if (work->progress[work->row].state == LAUNCH_ROW_WAITS)
		return begin_row(work, row);
	result = do_part(work, row, err);
	note(work, row, result);
	if (result != LAUNCH_DONE)
		return result;
	return is_end(work, &row[1]) ? LAUNCH_DONE : LAUNCH_MORE;
}

unsigned launch_row_at(const struct launch *launch)
{
	return launch->work.row;
}

struct machine_vm *launch_vm(const struct launch *launch)
{
	return launch->work.vm;
}

struct mirror_helper *launch_helper(const struct launch *launch)
{
	return launch->work.helper;
}

void launch_end(struct launch *launch)
{
	launch_mirrors_end(launch);
	mirror_helper_destroy(take_ptr(&launch->work.helper));
	machine_vm_destroy(take_ptr(&launch->work.vm));
	free(take_ptr(&launch->work.staging));
	launch->work.machine = NULL;
}

/* ---- what was done so far ---- */

bool launch_row_facts(const struct launch *launch, unsigned i, struct launch_row_facts *ret_facts)
{
	const struct launch_row *rows = launch_rows(launch->config.sev.type);
	const struct launch_progress *progress;

	for (unsigned r = 0; r <= i; r++) {
		if (is_end(&launch->work, &rows[r]))
			return false;
	}
	progress = &launch->work.progress[i];
	*ret_facts = (struct launch_row_facts){
	        .name = rows[i].name,
	        .call = launch_row_call(launch, &rows[i]),
	        .state = progress->state,
	        .done = progress->done,
	        .total = progress->total ?: 1,
	        .ns = progress->ns,
	};
	return true;
}

enum launch_state launch_state_of(const struct launch *launch)
{
	return launch->work.state;
}

const char *launch_state_word(enum launch_state state)
{
	static const char *const words[] = {
	        [LAUNCH_UNINIT] = "uninit",
	        [LAUNCH_LUPDATE] = "launch-update",
	        [LAUNCH_LSECRET] = "launch-secret",
	        [LAUNCH_RUNNING] = "running",
	        [LAUNCH_SUPDATE] = "send-update",
	        [LAUNCH_RUPDATE] = "receive-update",
	        [LAUNCH_SENT] = "send-update", /* QEMU has no other word */
	};

	return words[state];
}

const struct launch_digest *launch_digest_of(const struct launch *launch)
{
	return &launch->digest;
}

/*
 * Only SEV and SEV-ES guests are ever in LSECRET, and all of them run after it. One that came from another
 * host was measured there.
 */
const struct abi_sev_measure *launch_measurement_of(const struct launch *launch)
{
	enum launch_state state = launch->work.state;

	if (launch->config.sev.type == CONFIG_SEV_SNP || launch->work.receives ||
	        (state != LAUNCH_LSECRET && state != LAUNCH_RUNNING && state != LAUNCH_SUPDATE))
		return NULL;
	return &launch->work.measure;
}

uint32_t launch_handle_of(const struct launch *launch)
{
	return launch->work.handle;
}

unsigned launch_secrets_of(const struct launch *launch)
{
	return launch->work.secrets;
}

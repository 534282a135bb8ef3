/* SPDX-License-Identifier: Apache-2.0 */
/*
 * move: a SEV guest that the secure processor of one host sends to that of another one. Nothing of a guest
 * that comes so is launched or measured here: RECEIVE_START takes the place of LAUNCH_START. The thread of
 * the move. Law: amd-memory-encryption.rst, KVM_SEV_SEND_START to KVM_SEV_RECEIVE_FINISH.
 */
#include "launch.h"

/* Others may ask at any time how far it is. */
static void enter(struct launch_work *work, enum launch_state state)
{
	atomic_store_explicit(&work->state, state, memory_order_relaxed);
}

static int out_of_turn(const struct launch_work *work, const char *what, struct err *err)
{
	return err_set(err, ERR_FAILED, "the guest cannot be %s: its context is in the state %s", what,
	        launch_state_name(work->state));
}

/* Adds what helps. The facts are those with which the guest was begun: no reason for a move asks for others.
 */
static int explain(const struct launch *launch, enum launch_step step, struct err *err)
{
	return launch_explain(step, launch->config.sev.type, &launch->facts, err);
}

static void *page_at(const struct launch_work *work, struct gpa gpa, struct err *err)
{
	void *at = page_kernel_address(machine_vm_memory(work->vm), gpa, PAGE_SIZE_BYTES);

	if (!at)
		err_set(err, ERR_FAILED, "the page at 0x%llx does not lie in the guest's memory",
		        (unsigned long long)gpa.raw);
	return at;
}

/* ---- a guest that comes ---- */

bool launch_receives(const struct launch *launch)
{
	return launch->work.receives;
}

int launch_receive_start(struct launch *launch, const struct abi_sev_cert *pdh,
        const struct abi_sev_session *session, struct err *err)
{
	struct launch_work *work = &launch->work;
	uint32_t handle;

	if (!work->receives || !work->vm || work->state != LAUNCH_UNINIT)
		return out_of_turn(work, "received", err);
	if (call_sev_receive_start(
	            &work->sev, (uint32_t)launch->config.sev.policy, pdh, session, &handle, err) < 0)
		return explain(launch, LAUNCH_STEP_RECEIVE_START, err);
	atomic_store_explicit(&work->handle, handle, memory_order_relaxed);
	enter(work, LAUNCH_RUPDATE);
	if (launch_check_state(work, LAUNCH_RUPDATE, "receive", err) < 0)
		return explain(launch, LAUNCH_STEP_RECEIVE_START, err);
	return 0;
}

int launch_receive_page(struct launch *launch, struct gpa gpa, const struct abi_sev_secret_header *header,
        const void *packet, struct err *err)
{
	void *at = page_at(&launch->work, gpa, err);

	if (!at)
		return -1;
	if (call_sev_receive_update_data(&launch->work.sev, header, packet, at, PAGE_SIZE_BYTES, err) < 0)
		return explain(launch, LAUNCH_STEP_RECEIVE_PAGE, err);
	return 0;
}

int launch_receive_finish(struct launch *launch, struct err *err)
{
	struct launch_work *work = &launch->work;

	if (work->state != LAUNCH_RUPDATE)
		return out_of_turn(work, "received", err);
	if (call_sev_receive_finish(&work->sev, err) < 0)
		return explain(launch, LAUNCH_STEP_RECEIVE_FINISH, err);
	enter(work, LAUNCH_RUNNING);
	if (launch_check_state(work, LAUNCH_RUNNING, "receive", err) < 0)
		return explain(launch, LAUNCH_STEP_RECEIVE_FINISH, err);
	return 0;
}

/* ---- a guest that leaves ---- */

/* One that was not taken back when an earlier move failed is taken back first. */
int launch_send_start(struct launch *launch, const struct call_sev_receiver *receiver,
        struct abi_sev_session *ret_session, struct err *err)
{
	struct launch_work *work = &launch->work;
	uint32_t policy;

	if (launch_send_end(launch, false, err) < 0)
		return -1;
	if (work->state != LAUNCH_RUNNING || !work->vm)
		return out_of_turn(work, "sent", err);
	if (call_sev_send_start(&work->sev, receiver, &policy, ret_session, err) < 0)
		return explain(launch, LAUNCH_STEP_SEND_START, err);
	enter(work, LAUNCH_SUPDATE);
	if (policy != (uint32_t)launch->config.sev.policy)
		return err_set(err, ERR_HOST,
		        "the firmware says that the guest has the policy 0x%x, not 0x%x: the firmware and "
		        "the kernel do not match",
		        policy, (uint32_t)launch->config.sev.policy);
	if (launch_check_state(work, LAUNCH_SUPDATE, "send", err) < 0)
		return explain(launch, LAUNCH_STEP_SEND_START, err);
	return 0;
}

int launch_send_page(struct launch *launch, struct gpa gpa, struct abi_sev_secret_header *ret_header,
        void *ret_packet, struct err *err)
{
	void *at = page_at(&launch->work, gpa, err);

	if (!at)
		return -1;
	if (call_sev_send_update_data(&launch->work.sev, at, PAGE_SIZE_BYTES, ret_header, ret_packet, err) <
	        0)
		return explain(launch, LAUNCH_STEP_SEND_PAGE, err);
	return 0;
}

int launch_send_end(struct launch *launch, bool given, struct err *err)
{
	struct launch_work *work = &launch->work;

	if (work->state != LAUNCH_SUPDATE)
		return 0;
	if ((given ? call_sev_send_finish(&work->sev, err) : call_sev_send_cancel(&work->sev, err)) < 0)
		return explain(launch, LAUNCH_STEP_SEND_END, err);
	enter(work, given ? LAUNCH_SENT : LAUNCH_RUNNING);
	return 0;
}

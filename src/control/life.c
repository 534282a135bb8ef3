/* SPDX-License-Identifier: Apache-2.0 */
/*
 * life: commands that start, stop and end the guest. Those that take time are answered when the guest has
 * arrived, so that all events of a command come before its answer. Main thread.
 */
#include "control.h"

json_t *control_query_status(struct control_call *call, struct err *err)
{
	struct run_status status = run_status_of(call->control->place.run);

	return json_pack("{s:b,s:s}", "running", status.running, "status", status.name);
}

/* QEMU asks nothing of a guest that is ending, and answers all the same. */
static json_t *after(struct control_call *call, int result)
{
	return result < 0 ? NULL : control_call_when_settled(call);
}

json_t *control_stop(struct control_call *call, struct err *err)
{
	return after(call, run_stop(call->control->place.run, err));
}

json_t *control_cont(struct control_call *call, struct err *err)
{
	return after(call, run_cont(call->control->place.run, err));
}

json_t *control_reset(struct control_call *call, struct err *err)
{
	return after(call, run_reset(call->control->place.run, err));
}

json_t *control_powerdown(struct control_call *call, struct err *err)
{
	return after(call, run_powerdown(call->control->place.run, err));
}

json_t *control_wakeup(struct control_call *call, struct err *err)
{
	err_set(err, ERR_USAGE, "wake-up from suspend is not supported by this guest");
	return NULL;
}

json_t *control_quit(struct control_call *call, struct err *err)
{
	run_quit(call->control->place.run);
	return json_object();
}

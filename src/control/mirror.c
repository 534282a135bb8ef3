/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mirror: mirrors of a SEV guest, which run helpers of a controller. No command waits for a helper: an event
 * says when it has stopped. Main thread, but for on_stop().
 */
#include "control.h"

static struct launch *launch_of(const struct control *control)
{
	return run_launch(control->place.run);
}

static const char *state_name(enum mirror_runner_state state)
{
	static const char *const names[MIRROR_RUNNER_STATES] = {
	        [MIRROR_RUNNER_READY] = "ready",
	        [MIRROR_RUNNER_RUNS] = "runs",
	        [MIRROR_RUNNER_HALTED] = "halted",
	        [MIRROR_RUNNER_KICKED] = "kicked",
	        [MIRROR_RUNNER_FAILED] = "failed",
	};

	return names[state];
}

static json_t *json_of(const struct launch_mirror_facts *mirror)
{
	const struct mirror_runner_facts *facts = &mirror->facts;

	return json_pack("{s:I,s:s,s:I,s:o}", "id", (json_int_t)mirror->id, "state", state_name(facts->state),
	        "runs", (json_int_t)facts->runs, "why",
	        *facts->text ? json_string(facts->text) : json_null());
}

/* ---- the event ---- */

/* On a mirror's thread. */
static void on_stop(void *ctx)
{
	struct control *control = ctx;

	loop_post(control->loop, &control->mirror_task);
}

/* Tells of each run that has ended since, once. */
static void tell(void *ctx)
{
	struct control *control = ctx;
	struct launch_mirror_facts mirror;

	for (unsigned i = 0; launch_mirror_facts(launch_of(control), i, &mirror); i++) {
		if (mirror.facts.state == MIRROR_RUNNER_RUNS || mirror.facts.runs == mirror.told)
			continue;
		launch_mirror_told(launch_of(control), mirror.id, mirror.facts.runs);
		control_event_send(control, "__VMM_MIRROR", json_of(&mirror));
	}
}

void control_mirrors_init(struct control *control)
{
	control->mirror_task = (struct loop_task){.fn = tell, .ctx = control};
}

/* Their threads speak to the loop of this control. */
void control_mirrors_finish(struct control *control)
{
	launch_mirrors_end(launch_of(control));
	loop_cancel(control->loop, &control->mirror_task);
}

/* ---- arguments ---- */

static int take_views(const struct control_call *call, struct mirror_view views[static MIRROR_VIEWS_MAX],
        unsigned *ret_count, struct err *err)
{
	const json_t *list = json_object_get(call->arguments, "views");
	size_t count = json_array_size(list);

	if (!count || count > MIRROR_VIEWS_MAX)
		return err_set(err, ERR_USAGE, "a mirror sees 1 to %u pieces of memory, not %zu",
		        MIRROR_VIEWS_MAX, count);
	for (size_t i = 0; i < count; i++) {
		const json_t *view = json_array_get(list, i);

		views[i].start = gpa((uint64_t)json_integer_value(json_object_get(view, "gpa")));
		views[i].size_bytes = (uint64_t)json_integer_value(json_object_get(view, "size-bytes"));
	}
	*ret_count = (unsigned)count;
	return 0;
}

static uint64_t word_of(const struct control_call *call, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(call->arguments, name));
}

/* The ids are those of answers; another number is nobody's, and 0 no mirror's. */
static unsigned id_of(const struct control_call *call)
{
	json_int_t id = json_integer_value(json_object_get(call->arguments, "id"));

	return id > 0 && id <= UINT32_MAX ? (unsigned)id : 0;
}

/* ---- commands ---- */

/*
 * What a mirror writes is in no log of the guest's VM, so a move would leave it behind. migrate refuses a
 * guest that has one; here one is refused while a move goes on.
 */
static int refuse_while_moving(const struct control_call *call, struct err *err)
{
	switch (migrate_facts_of(call->control->place.migrate).status) {
	case MIGRATE_STATUS_NONE:
	case MIGRATE_STATUS_CANCELLED:
	case MIGRATE_STATUS_FAILED:
	case MIGRATE_STATUS_COMPLETED: return 0;
	default:
		return err_set(err, ERR_USAGE,
		        "a move of the guest is under way, and would miss what a mirror writes");
	}
}

json_t *control_mirror_add(struct control_call *call, struct err *err)
{
	struct control *control = call->control;
	const struct launch_mirror_watch watch = {on_stop, control};
	const struct mirror_entry entry = {.cr3 = word_of(call, "cr3"),
	        .rip = word_of(call, "rip"),
	        .rsp = word_of(call, "rsp"),
	        .rdi = word_of(call, "rdi")};
	struct mirror_view views[MIRROR_VIEWS_MAX];
	unsigned count, id;

	if (refuse_while_moving(call, err) < 0 || take_views(call, views, &count, err) < 0 ||
	        launch_mirror_add(launch_of(control), views, count, &entry, &watch, &id, err) < 0)
		return NULL;
	return json_pack("{s:I}", "id", (json_int_t)id);
}

json_t *control_mirror_run(struct control_call *call, struct err *err)
{
	tell(call->control); /* of the run before */
	return launch_mirror_run(launch_of(call->control), id_of(call), err) < 0 ? NULL : json_object();
}

json_t *control_mirror_kick(struct control_call *call, struct err *err)
{
	return launch_mirror_kick(launch_of(call->control), id_of(call), err) < 0 ? NULL : json_object();
}

json_t *control_mirror_del(struct control_call *call, struct err *err)
{
	return launch_mirror_remove(launch_of(call->control), id_of(call), err) < 0 ? NULL : json_object();
}

json_t *control_query_mirrors(struct control_call *call, struct err *err)
{
	struct launch_mirror_facts mirror;
	json_t *list = json_array();

	for (unsigned i = 0; launch_mirror_facts(launch_of(call->control), i, &mirror); i++)
		json_doc_append(&list, json_of(&mirror));
	return list;
}

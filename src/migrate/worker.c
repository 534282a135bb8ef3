/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker: the thread of a move, and the guest of this vmm as the states of the two sides see it. What is here
 * reads and writes the incarnation that was there when the move began: the main thread ends this thread
 * before it ends that.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "migrate.h"
#include "plan.h"
#include "vmm/machine.h"
#include "vmm/sandbox.h"

/* ---- the guest ---- */

static struct machine_vm *vm_of(void *ctx)
{
	return run_vm(((struct migrate *)ctx)->run);
}

static const char *const part_names[MIGRATE_PARTS] = {
        [MIGRATE_PART_TIME] = "guest's clocks",
        [MIGRATE_PART_VCPU] = "processor",
        [MIGRATE_PART_CHIPS] = "interrupt controllers",
};

static void visit(struct machine_vm *vm, enum migrate_part part, unsigned i, struct vmstate *s)
{
	if (part == MIGRATE_PART_TIME)
		machine_vm_visit_time(vm, s);
	else if (part == MIGRATE_PART_VCPU)
		machine_vm_visit_vcpu(vm, i, s);
	else
		machine_vm_visit_chips(vm, s);
}

/* The devices are the main thread's. */
static int save(void *ctx, enum migrate_part part, unsigned i, struct vmstate *ret_state, struct err *err)
{
	struct migrate *migrate = ctx;

	if (part == MIGRATE_PART_DEVICE) {
		migrate->device = (struct migrate_device){.i = i};
		if (migrate_ask(migrate, MIGRATE_SAVE, err) < 0)
			return -1;
		*ret_state = migrate->device.state;
		return 0;
	}
	*ret_state = vmstate_save(part_names[part]);
	visit(vm_of(ctx), part, i, ret_state);
	return vmstate_end(ret_state, err);
}

static int load(void *ctx, enum migrate_part part, unsigned i, const void *data, size_t size, struct err *err)
{
	struct migrate *migrate = ctx;
	struct vmstate state;

	if (part == MIGRATE_PART_DEVICE) {
		migrate->device = (struct migrate_device){.i = i, .data = data, .size = size};
		return migrate_ask(migrate, MIGRATE_LOAD, err);
	}
	state = vmstate_load(part_names[part], data, size);
	visit(vm_of(ctx), part, i, &state);
	return vmstate_end(&state, err);
}

static int adopt(void *ctx, const char *plan, size_t size, struct err *err)
{
	struct migrate *migrate = ctx;

	migrate->added_count = migrate_plan_added(plan, size, migrate->added);
	if (!migrate->added_count)
		return 0;
	return migrate_ask(migrate, MIGRATE_ADD, err) < 0 ? -1 : 1;
}

static int log_writes(void *ctx, bool on, struct err *err)
{
	return machine_vm_log_writes(vm_of(ctx), on, err);
}

static int collect(void *ctx, struct page_dirty *into, struct err *err)
{
	return machine_vm_collect_written(vm_of(ctx), into, err);
}

static int stop(void *ctx, struct err *err)
{
	struct migrate *migrate = ctx;

	if (migrate_ask(migrate, MIGRATE_STOP, err) < 0)
		return -1;
	migrate->side.paused = run_left_paused(migrate->run);
	return 0;
}

static int give(void *ctx, const uint8_t id[static MIGRATE_ID_BYTES], struct err *err)
{
	return migrate_ask(ctx, MIGRATE_GIVE, err);
}

static int take(void *ctx, const uint8_t id[static MIGRATE_ID_BYTES], struct err *err)
{
	return migrate_ask(ctx, MIGRATE_TAKE, err);
}

static int offer(void *ctx, struct page_hand *ret_hand, struct err *err)
{
	struct migrate *migrate = ctx;

	if (migrate_ask(migrate, MIGRATE_OFFER, err) < 0)
		return -1;
	*ret_hand = migrate->hand;
	return 0;
}

static int accept_memory(void *ctx, const struct page_hand *hand, struct err *err)
{
	struct migrate *migrate = ctx;

	migrate->hand = *hand;
	return migrate_ask(migrate, MIGRATE_ACCEPT, err);
}

static int lease(void *ctx, enum page_lease *ret_lease, struct err *err)
{
	struct migrate *migrate = ctx;

	if (migrate_ask(migrate, MIGRATE_LEASE, err) < 0)
		return -1;
	*ret_lease = migrate->leased;
	return 0;
}

static void on_progress(void *ctx)
{
	struct migrate *migrate = ctx;

	loop_post(migrate->loop, &migrate->progress_task);
}

int migrate_worker_prepare(struct migrate *migrate, struct err *err)
{
	struct machine *machine = run_machine(migrate->run);
	struct machine_vm *vm = run_vm(migrate->run);
	const struct migrate_firmware *firmware;

	free(take_ptr(&migrate->plan));
	if (migrate_firmware_prepare(migrate, &firmware, err) < 0 ||
	        migrate_plan_make(machine, vm, &migrate->plan, err) < 0)
		return -1;
	migrate->guest = (struct migrate_guest){
	        .memory = machine_vm_memory(vm),
	        .plan = migrate->plan,
	        .counts = {[MIGRATE_PART_TIME] = 1,
	                [MIGRATE_PART_VCPU] = machine_vm_vcpu_count(vm),
	                [MIGRATE_PART_CHIPS] = 1,
	                [MIGRATE_PART_DEVICE] = machine_board(machine)->count},
	        .save = save,
	        .load = load,
	        .helper = migrate_helper_of(migrate),
	        .firmware = firmware,
	        .adopt = adopt,
	        .log = log_writes,
	        .collect = collect,
	        .offer = offer,
	        .accept = accept_memory,
	        .lease = lease,
	        .stop = stop,
	        .give = give,
	        .take = take,
	        .ctx = migrate,
	};
	migrate->side.guest = &migrate->guest;
	migrate->side.progress = &migrate->progress;
	migrate->side.limits = &migrate->limits;
	migrate->side.reconnect = migrate_split_reconnect;
	migrate->side.on_progress = on_progress;
	migrate->side.ctx = migrate;
	return 0;
}

/* ---- the thread ---- */

int migrate_worker_secure(struct migrate *migrate, struct err *err)
{
	if (!migrate->tls || migrate->file)
		return 0;
	return migrate_wire_secure(&migrate->side.wire, migrate->tls, migrate->incoming,
	        migrate->incoming ? migrate->tls_name : migrate->peer, err);
}

/* What a move is that gets no further than to the connection. */
static enum migrate_result unconnected(const struct migrate *migrate)
{
	if (!migrate->again)
		return MIGRATE_STAYS;
	return migrate_is_split(migrate) ? MIGRATE_SPLIT : migrate->owned ? MIGRATE_GONE : MIGRATE_DOUBT;
}

static enum migrate_result send_or_receive(struct migrate *migrate, struct err *err)
{
	struct migrate_side *side = &migrate->side;

	if (*migrate->address && !migrate->incoming &&
	        back_address_connect(migrate->address, migrate->cancel_fd, &migrate->fd, err) < 0)
		return unconnected(migrate);
	side->wire.fd = migrate->fd;
	side->wire.file = migrate->file;
	if (migrate_worker_secure(migrate, err) < 0)
		return unconnected(migrate);
	if (migrate->incoming)
		return migrate->again ? migrate_target_again(side, migrate->owned, err)
		                      : migrate_target(side, err);
	return migrate->again ? migrate_source_again(side, err) : migrate_source(side, err);
}

static void *work(void *ctx)
{
	struct migrate *migrate = ctx;

	pthread_setname_np(pthread_self(), "migrate");
	sandbox_enter(SANDBOX_MIGRATE);
	migrate->result = send_or_receive(migrate, &migrate->thread_err);
	loop_post(migrate->loop, &migrate->ended_task);
	return NULL;
}

int migrate_worker_start(struct migrate *migrate, struct err *err)
{
	uint64_t count;
	int sys;

	/* What an older thread was told is not for this one. */
	atomic_store(&migrate->cancelled, false);
	(void)!read(migrate->cancel_fd, &count, sizeof(count));
	migrate_ask_refuse(migrate, false);
	if (migrate_wire_init(&migrate->side.wire, migrate->fd, &migrate->cancelled, err) < 0)
		return -1;
	if (!migrate->incoming)
		migrate->side.unused = page_touched_open(migrate->guest.memory);
	sys = pthread_create(&migrate->thread, NULL, work, migrate);
	if (sys) {
		page_touched_close(take_ptr(&migrate->side.unused));
		migrate_wire_finish(&migrate->side.wire);
		err_sys(err, ERR_FAILED, sys, "the thread of the move");
		limit_explain_thread(err);
		return -1;
	}
	migrate->threaded = true;
	run_hold_memory(migrate->run, true);
	return 0;
}

void migrate_worker_cancel(struct migrate *migrate)
{
	const uint64_t one = 1;

	atomic_store(&migrate->cancelled, true);
	(void)!write(migrate->cancel_fd, &one, sizeof(one));
	migrate_helper_cancel(migrate);
}

void migrate_worker_end(struct migrate *migrate)
{
	if (!migrate->threaded)
		return;
	migrate_worker_cancel(migrate);
	migrate_ask_refuse(migrate, true);
	pthread_join(migrate->thread, NULL);
	migrate->threaded = false;
	run_hold_memory(migrate->run, false);
	loop_cancel(migrate->loop, &migrate->ended_task);
	loop_cancel(migrate->loop, &migrate->progress_task);
	page_touched_close(take_ptr(&migrate->side.unused));
	migrate_wire_finish(&migrate->side.wire);
}

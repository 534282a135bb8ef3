/* SPDX-License-Identifier: Apache-2.0 */
/*
 * move: a guest that leaves for another vmm, or comes from one. What there is to send or receive is not the
 * business of this room, only who has the guest and its disks. Main thread.
 */
#include "run.h"
#include "vmm/virtio.h"

/* ---- disks and the firmware's variables: another vmm has their files, or will have them ---- */

int run_take_disks(struct run *run, struct err *err)
{
	if (!run->released)
		return 0;
	if (virtio_disks_take(machine_board(run->machine), err) < 0 ||
	        machine_flash_take(run->machine, err) < 0)
		return -1;
	run->released = false;
	return 0;
}

void run_release(struct run *run)
{
	run->released = true;
	virtio_disks_release(machine_board(run->machine));
}

int run_has_released(struct run *run, struct err *err)
{
	if (machine_flash_release(run->machine, err) < 0)
		return -1;
	return virtio_disks_released(machine_board(run->machine), err);
}

/* ---- a guest that comes ---- */

bool run_is_awaiting(const struct run *run)
{
	return run->state == RUN_LIFE_AWAITING;
}

int run_arrive(struct run *run, struct err *err)
{
	return run_take_disks(run, err);
}

void run_own(struct run *run, bool paused)
{
	/* The devices are as those of a guest that is paused. */
	run->held = true;
	run_step(run, paused ? RUN_LIFE_ARRIVE_PAUSED : RUN_LIFE_ARRIVE);
}

void run_miss(struct run *run, const struct err *why)
{
	run->err = *why;
	run_step_because(run, RUN_LIFE_FAIL, RUN_CAUSE_HOST_ERROR);
}

/* ---- a guest that leaves ---- */

int run_leave(struct run *run, struct err *err)
{
	if (run_refuse_moved(run, err) < 0)
		return -1;
	if (run->state != RUN_LIFE_RUNNING && run->state != RUN_LIFE_PAUSED)
		return err_set(err, ERR_USAGE, "the guest is %s: it can be moved when it runs or is paused",
		        run_life_state_name(run->state));
	run->left_paused = run->state == RUN_LIFE_PAUSED;
	run_step(run, RUN_LIFE_LEAVE);
	return 0;
}

bool run_has_left(const struct run *run)
{
	return run->state == RUN_LIFE_LEFT;
}

bool run_left_paused(const struct run *run)
{
	return run->left_paused;
}

int run_stay(struct run *run, struct err *err)
{
	int result = run_take_disks(run, err);

	run->given = false;
	run_step(run, run->left_paused || result < 0 ? RUN_LIFE_STAY_PAUSED : RUN_LIFE_STAY);
	return result;
}

void run_give(struct run *run)
{
	run->given = true;
	run_step(run, RUN_LIFE_GIVE);
}

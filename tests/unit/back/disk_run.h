/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_run: one disk on one loop, and requests to it that a test waits for.
 */
#ifndef TEST_BACK_DISK_RUN_H
#define TEST_BACK_DISK_RUN_H

#include "../../../src/back/disk.h"
#include "support/test.h"

static struct loop *loop;
static struct back_disk *disk;
static struct err err;

static int answer;
static bool answered;

static void on_done(struct back_disk_request *request, int result)
{
	answer = result;
	answered = true;
	loop_stop(loop);
}

static int run(struct back_disk_request request)
{
	request.on_done = on_done;
	answered = false;
	back_disk_start(disk, &request);
	if (!answered)
		assert_ok(loop_run(loop, &err));
	return answer;
}

#endif

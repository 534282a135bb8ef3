/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client: connections without a guest behind them: who hears which events, byte for byte, and how many
 * requests wait behind one that is not answered yet.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../../src/control/control.h"
#include "support/loop_run.h"

#define NEGOTIATE  "{\"execute\": \"qmp_capabilities\"}"
#define NEGOTIATED "{\"return\": {}}\r\n"

struct bench {
	struct control control;
	int peer; /* the other end of the client that was connected last */
	char got[4096];
};

static struct err err;

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	assert_non_null(bench);
	assert_ok(loop_create(&bench->control.loop, &err));
	bench->peer = -1;
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	while (bench->control.clients)
		control_client_drop(bench->control.clients, NULL);
	control_limited_free(&bench->control);
	loop_destroy(bench->control.loop);
	close(bench->peer);
	free(bench);
	return 0;
}

/* Lets the loop work until nothing is left to do, and reads what the peer was sent. */
static const char *hear(struct bench *bench)
{
	ssize_t n;

	loop_run_for(bench->control.loop, 1);
	n = recv(bench->peer, bench->got, sizeof(bench->got) - 1, MSG_DONTWAIT);
	assert_true(n >= 0 || errno == EAGAIN);
	bench->got[n > 0 ? n : 0] = '\0';
	return bench->got;
}

/* The same, when something must come. */
static const char *wait_for(struct bench *bench)
{
	while (!*hear(bench))
		;
	return bench->got;
}

static void say(struct bench *bench, const char *text)
{
	assert_int_equal(send(bench->peer, text, strlen(text), 0), strlen(text));
}

static void connect_one(struct bench *bench)
{
	int ends[2];

	close(bench->peer);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	bench->peer = ends[1];
	assert_ok(control_client_create(&bench->control, ends[0], &err));
	assert_memory_equal(wait_for(bench), "{\"QMP\": ", 8);
}

static void negotiate(struct bench *bench)
{
	connect_one(bench);
	say(bench, NEGOTIATE);
	assert_string_equal(wait_for(bench), NEGOTIATED);
}

/* ---- events ---- */

/* An event begins with its time; what follows is compared. */
static void assert_event(const char *line, const char *expected)
{
	static const char *const parts[] = {"{\"timestamp\": {\"seconds\": ", ", \"microseconds\": ", "}, "};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		assert_memory_equal(line, parts[i], strlen(parts[i]));
		line += strlen(parts[i]);
		line += strspn(line, "0123456789");
	}
	assert_string_equal(line, expected);
}

static void tell(struct bench *bench, const struct run_event *event)
{
	control_event_on_run(&bench->control, event);
}

static void test_events_are_qemus_byte_for_byte(void **state)
{
	static const struct {
		struct run_event event;
		const char *expected;
	} rows[] = {
	        {{.kind = RUN_EVENT_STOP}, "\"event\": \"STOP\"}\r\n"},
	        {{.kind = RUN_EVENT_RESUME}, "\"event\": \"RESUME\"}\r\n"},
	        {{.kind = RUN_EVENT_POWERDOWN}, "\"event\": \"POWERDOWN\"}\r\n"},
	        {{.kind = RUN_EVENT_RESET, .cause = RUN_CAUSE_GUEST_RESET},
	                "\"event\": \"RESET\", \"data\": {\"guest\": true, \"reason\": "
	                "\"guest-reset\"}}\r\n"},
	        {{.kind = RUN_EVENT_SHUTDOWN, .cause = RUN_CAUSE_HOST_SIGNAL},
	                "\"event\": \"SHUTDOWN\", \"data\": {\"guest\": false, \"reason\": "
	                "\"host-signal\"}}\r\n"},
	        {{.kind = RUN_EVENT_PANICKED, .panic = RUN_PANIC_PVPANIC},
	                "\"event\": \"GUEST_PANICKED\", \"data\": {\"action\": \"poweroff\"}}\r\n"},
	        {{.kind = RUN_EVENT_PANICKED, .panic = RUN_PANIC_SEV, .sev_set = 1, .sev_code = 2},
	                "\"event\": \"GUEST_PANICKED\", \"data\": {\"action\": \"poweroff\", \"info\": "
	                "{\"type\": \"sev\", \"set\": 1, \"code\": 2}}}\r\n"},
	        {{.kind = RUN_EVENT_DISK_ERROR, .device = "blk0", .writes = true, .sys = ENOSPC},
	                "\"event\": \"BLOCK_IO_ERROR\", \"data\": {\"device\": \"blk0\", \"qom-path\": "
	                "\"blk0\", \"operation\": \"write\", \"action\": \"report\", \"nospace\": true, "
	                "\"reason\": \"No space left on device\"}}\r\n"},
	        {{.kind = RUN_EVENT_DIMM, .slot = 1, .source = 1, .status = UINT32_MAX},
	                "\"event\": \"ACPI_DEVICE_OST\", \"data\": {\"info\": {\"slot\": \"1\", "
	                "\"slot-type\": \"DIMM\", \"source\": 1, \"status\": 4294967295}}}\r\n"},
	};
	struct bench *bench = *state;

	negotiate(bench);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		tell(bench, &rows[i].event);
		assert_event(wait_for(bench), rows[i].expected);
	}
}

static void test_no_event_comes_before_the_negotiation_and_none_is_kept(void **state)
{
	struct bench *bench = *state;

	connect_one(bench);
	tell(bench, &(struct run_event){.kind = RUN_EVENT_STOP});
	assert_string_equal(hear(bench), "");
	say(bench, NEGOTIATE);
	assert_string_equal(wait_for(bench), NEGOTIATED);
	tell(bench, &(struct run_event){.kind = RUN_EVENT_RESUME});
	assert_event(wait_for(bench), "\"event\": \"RESUME\"}\r\n");
}

/* The loop's timer cannot end while the loop does not run, however slow this machine is. */
static void test_of_a_disks_errors_within_a_second_the_latest_wins(void **state)
{
	struct bench *bench = *state;
	struct run_event event = {.kind = RUN_EVENT_DISK_ERROR, .device = "blk0", .sys = ENOSPC};
	unsigned lines = 0;

	negotiate(bench);
	for (unsigned i = 0; i < 1000; i++) {
		event.sys = i == 999 ? EIO : ENOSPC;
		tell(bench, &event);
	}
	event.device = "blk1";
	tell(bench, &event);
	while (lines < 3) {
		for (const char *at = wait_for(bench); (at = strstr(at, "\r\n")); at += 2)
			lines++;
		if (lines == 2)
			assert_non_null(strstr(bench->got, "blk1"));
	}
	assert_int_equal(lines, 3);
	assert_non_null(strstr(bench->got, "\"blk0\", \"operation\": \"read\""));
	assert_non_null(strstr(bench->got, "\"nospace\": false, \"reason\": \"Input/output error\""));
}

/* ---- requests that wait ---- */

static void test_eight_requests_wait_and_the_rest_stays_in_the_socket(void **state)
{
	struct bench *bench = *state;
	struct control_client *client;
	struct control_call call = {0};

	negotiate(bench);
	client = bench->control.clients;
	client->call = &call; /* as if one were not answered yet */
	for (char id[80], i = 0; i < 20; i++) {
		snprintf(id, sizeof(id), "{\"execute\": \"query-target\", \"id\": %d}", i);
		say(bench, id);
	}
	do
		assert_string_equal(hear(bench), "");
	while (client->queue_count < CONTROL_QUEUE_MAX);
	assert_int_equal(client->queue_count, CONTROL_QUEUE_MAX);
	assert_null(client->reading);
	client->call = NULL;
	control_client_pump(client);
	for (char line[80], i = 0; i < 20; i++) {
		snprintf(line, sizeof(line), "{\"return\": {\"arch\": \"x86_64\"}, \"id\": %d}\r\n", i);
		assert_int_equal(recv(bench->peer, bench->got, strlen(line), MSG_WAITALL), strlen(line));
		bench->got[strlen(line)] = '\0';
		assert_string_equal(bench->got, line);
	}
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        T(test_events_are_qemus_byte_for_byte),
	        T(test_no_event_comes_before_the_negotiation_and_none_is_kept),
	        T(test_of_a_disks_errors_within_a_second_the_latest_wins),
	        T(test_eight_requests_wait_and_the_rest_stays_in_the_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real passt, where it is installed and can shut itself in; and shell scripts in its place.
 */
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "support/folder.h"
#include "support/test.h"
#include "vmm/back/net.h"

#define HEADER BACK_NET_HEADER_BYTES

static char empty[] = "";
static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};

static int open_passt(char *tcp, struct back_net **ret_net, struct err *err)
{
	struct config_device config = {.driver = CONFIG_NET,
	        .tap = empty,
	        .tap_fd = -1,
	        .mac = empty,
	        .forward_tcp = tcp,
	        .forward_udp = empty};

	return back_net_open(&config, mac, ret_net, err);
}

/* Puts a script of this text in passt's place, or nothing, and finds no other. */
static void replace(char *folder, const char *script)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/passt", folder);
	unlink(path);
	setenv("PATH", folder, 1);
	if (!script)
		return;
	file = fopen(path, "we");
	assert_non_null(file);
	fprintf(file, "#!/bin/sh\nPATH=/bin:/usr/bin\n%s\n", script);
	fclose(file);
	assert_int_equal(chmod(path, 0755), 0);
}

struct card {
	struct back_net *net;
	struct loop *loop;
	unsigned downs;
	size_t bytes;
	uint8_t frame[HEADER + 2000];
};

static void on_down(void *ctx)
{
	((struct card *)ctx)->downs++;
	loop_stop(((struct card *)ctx)->loop);
}

/* Is it a reply of BOOTP over UDP? Other frames may come before, such as the answer to vmm's own question. */
static bool is_offer(const struct card *card)
{
	return card->bytes >= HEADER + 14 + 28 + 240 && card->frame[HEADER + 23] == 17;
}

static void on_ready(void *ctx, unsigned queue, int events)
{
	struct card *card = ctx;
	struct iovec iov = {card->frame, sizeof(card->frame)};

	do
		card->bytes = back_net_receive(card->net, 0, &iov, 1);
	while (card->bytes && !is_offer(card));
	if (card->bytes)
		loop_stop(card->loop);
}

static void start(struct card *card)
{
	const struct back_net_events events = {.on_ready = on_ready, .on_down = on_down, .ctx = card};
	struct err err;

	assert_ok(loop_create(&card->loop, &err));
	assert_ok(back_net_start(card->net, card->loop, &events, &err));
	back_net_watch(card->net, 0, POLLIN);
}

static void finish(struct card *card)
{
	back_net_stop(card->net);
	loop_destroy(card->loop);
	back_net_destroy(card->net);
	/* It left no child. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* DHCP by hand: a DISCOVER of a client with our address is answered with an OFFER (RFC 2131). */
static size_t make_discover(uint8_t *frame)
{
	static const uint8_t head[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 1,
	        0x10, 0, 0, 0, 0, 64, 17, 0x79, 0xde, 0, 0, 0, 0, 255, 255, 255, 255, 0, 68, 0, 67, 0, 0xfc,
	        0, 0, 1, 1, 6, 0, 0x12, 0x34, 0x56, 0x78};
	static const uint8_t options[] = {0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255};

	memcpy(frame, head, sizeof(head));
	memcpy(frame + 14 + 28 + 28, mac, 6);
	memcpy(frame + 14 + 28 + 236, options, sizeof(options));
	return 14 + 0x110;
}

static void test_passt_answers_dhcp(void **state)
{
	struct card card = {0};
	uint8_t data[HEADER + 300] = {0};
	struct iovec iov = {data, 0};
	struct back_net_frame frame = {&iov, 1, 0};
	struct err err = {0};

	if (open_passt(empty, &card.net, &err) < 0) {
		print_message("%s\n", err.text);
		if (strstr(err.text, "apt install passt") || strstr(err.text, "user namespace") ||
		        strstr(err.text, "default route"))
			skip();
		fail();
	}
	assert_int_equal(card.net->mtu, 1500);
	start(&card);
	frame.bytes = make_discover(data + HEADER);
	iov.iov_len = HEADER + frame.bytes;
	assert_int_equal(back_net_send(card.net, 0, &frame, 1), 1);
	assert_ok(loop_run(card.loop, &err));
	assert_int_equal(card.downs, 0);
	assert_int_equal(card.frame[HEADER + 14 + 28], 2); /* a reply ... */
	assert_memory_equal(
	        card.frame + HEADER + 14 + 28 + 4, "\x12\x34\x56\x78", 4); /* ... to our question */
	finish(&card);
}

static void test_passt_needs_the_program(void **state)
{
	struct back_net *net;
	struct err err;

	replace(*state, NULL);
	assert_fails(open_passt(empty, &net, &err), ERR_HOST, "apt install passt");
}

static void test_passt_that_ends_says_why(void **state)
{
	struct back_net *net;
	struct err err;

	replace(*state, "echo first; echo 'Failed to bind port 80' >&2; echo 'Failed to send 9 bytes to "
	                "syslog' >&2; exit 1");
	assert_fails(
	        open_passt(empty, &net, &err), ERR_HOST, "passt ended at its start: Failed to bind port 80");
	replace(*state, "echo \"Couldn't create user namespace: Operation not permitted\" >&2; exit 1");
	assert_fails(open_passt(empty, &net, &err), ERR_HOST, "in a chroot");
	replace(*state, "exit 1");
	assert_fails(open_passt(empty, &net, &err), ERR_HOST, "no reason");
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* The words, the descriptors and the session of the child, which it writes to a file. */
static void test_passt_gets_its_words_and_nothing_else(void **state)
{
	static char forward[] = "127.0.0.1/2222:22,8000-8010";
	char script[PATH_MAX + 200], path[PATH_MAX], text[2000] = "";
	struct back_net *net;
	struct err err;
	FILE *file;

	snprintf(path, sizeof(path), "%s/seen", (char *)*state);
	snprintf(script, sizeof(script),
	        "{ echo \"$@\"; for n in 4 5 6 7 8 9; do [ ! -e /proc/$$/fd/$n ] || echo leak $n; done; } "
	        ">%s; printf '\\0\\0\\0\\016%%014d' 0 "
	        ">&3; cat <&3 >/dev/null",
	        path);
	replace(*state, script);
	assert_ok(open_passt(forward, &net, &err));
	back_net_destroy(net);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
	fclose(file);
	unlink(path);
	assert_non_null(strstr(text,
	        "--foreground --fd 3 --mtu 1500 --tcp-ports 127.0.0.1/2222:22,8000-8010 --udp-ports none\n"));
	if (strstr(text, "leak"))
		fail_msg("%s", text);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void test_passt_that_dies_brings_the_link_down(void **state)
{
	struct card card = {0};
	struct err err;

	replace(*state, "printf '\\0\\0\\0\\016%014d' 0 >&3; head -c 46 <&3 >/dev/null; exit 1");
	assert_ok(open_passt(empty, &card.net, &err));
	start(&card);
	while (!card.downs)
		assert_ok(loop_run(card.loop, &err));
	assert_int_equal(card.downs, 1);
	finish(&card);
}

/* One that ignores the end of its connection and SIGTERM is killed. */
static void test_passt_that_hangs_is_killed(void **state)
{
	struct back_net *net;
	struct err err;

	replace(*state, "trap '' TERM; printf '\\0\\0\\0\\016%014d' 0 >&3; while :; do sleep 1; done");
	assert_ok(open_passt(empty, &net, &err));
	back_net_destroy(net);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void test_passt_refuses_what_names_no_ports(void **state)
{
	static char bad[][40] = {"ssh", "22;reboot", "0", "65536", "22:", ":22", "22-", "22,,23", "22:23:24",
	        "1.2.3.4/", "$(x)/22", "22 23", "-22", "auto", "22/23/24"};
	static char good[][40] = {"22", "22:2222", "22-80:32-90", "192.0.2.1%eth0/22", "192.0.2.1/20-30,~25",
	        "~20000-20010", "fd00::1/22", "all", "none"};
	struct back_net *net;
	struct err err;

	/* What passes the check comes to the program that is not there. */
	replace(*state, NULL);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (open_passt(bad[i], &net, &err) == 0 || !strstr(err.text, "names no ports"))
			fail_msg("%s: %s", bad[i], err.text);
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_fails(open_passt(good[i], &net, &err), ERR_HOST, "apt install passt");
}

static int group_setup(void **state)
{
	static char folder[] = "/tmp/test_passt.XXXXXX";

	assert_non_null(mkdtemp(folder));
	*state = folder;
	return 0;
}

static int group_teardown(void **state)
{
	folder_remove(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_passt_answers_dhcp), /* before PATH leads elsewhere */
	        cmocka_unit_test(test_passt_needs_the_program),
	        cmocka_unit_test(test_passt_that_ends_says_why),
	        cmocka_unit_test(test_passt_gets_its_words_and_nothing_else),
	        cmocka_unit_test(test_passt_that_dies_brings_the_link_down),
	        cmocka_unit_test(test_passt_that_hangs_is_killed),
	        cmocka_unit_test(test_passt_refuses_what_names_no_ports),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

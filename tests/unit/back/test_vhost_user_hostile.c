/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile vhost-user back ends: each kind of wrong answer to each request of a life, which is a meeting, a
 * start and a stop. What failed is not asked again, and all descriptors are closed in the end.
 */
#include <fcntl.h>
#include <sys/eventfd.h>

#include "support/test.h"
#include "support/vhost_user.h"
#include "vmm/back/vhost.h"

#define OFFERED (UINT64_C(1) << 28 | UINT64_C(1) << 29 | UINT64_C(1) << 30 | UINT64_C(1) << 32)
#define ASKED   (UINT64_C(1) << 29 | UINT64_C(1) << 32)
#define RAM     MIB(4)

/* Those that are answered, in the order of a life. */
static const unsigned requests[] = {PEER_GET_FEATURES, PEER_GET_PROTOCOL_FEATURES, PEER_SET_OWNER,
        PEER_SET_FEATURES, PEER_SET_MEM_TABLE, PEER_SET_VRING_NUM, PEER_SET_VRING_BASE, PEER_SET_VRING_ADDR,
        PEER_SET_VRING_CALL, PEER_SET_VRING_ERR, PEER_SET_VRING_KICK, PEER_SET_VRING_ENABLE,
        PEER_GET_VRING_BASE};

static struct host *host;
static struct page_memory *memory;
static struct loop *loop;
static struct peer peer;
static int kick_fd, call_fd;
static unsigned broken;
static struct err err;

static void on_broken(void *ctx, const char *why)
{
	broken++;
	loop_stop(loop);
}

static int setup(void **state)
{
	struct page_layout layout;

	assert_ok(host_kernel_create(&host, &err));
	assert_ok(page_layout_make(RAM, KIB(4), &layout, &err));
	assert_ok(page_memory_create(host, &layout, PAGE_SHARED, &memory, &err));
	assert_ok(loop_create(&loop, &err));
	kick_fd = eventfd(0, EFD_CLOEXEC);
	call_fd = eventfd(0, EFD_CLOEXEC);
	peer = (struct peer){.features = OFFERED, .protocol_features = 0xffff};
	broken = 0;
	return 0;
}

static int teardown(void **state)
{
	close(kick_fd);
	close(call_fd);
	loop_destroy(loop);
	page_memory_destroy(memory);
	host_destroy(host);
	return 0;
}

static unsigned count_fds(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 1000; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static int start(struct back_vhost *vhost)
{
	struct back_vhost_queue queues[PEER_RINGS];

	for (unsigned i = 0; i < PEER_RINGS; i++) {
		uint64_t at = 0x10000 * (i + 1);

		queues[i] = (struct back_vhost_queue){.index = i,
		        .size = 64,
		        .desc_gpa = at,
		        .avail_gpa = at + 0x1000,
		        .used_gpa = at + 0x2000,
		        .kick_fd = kick_fd,
		        .call_fd = call_fd};
	}
	return back_vhost_start(vhost, ASKED, memory, queues, PEER_RINGS, &err);
}

/* Returns what went wrong; "": nothing. */
static const char *serve(struct back_vhost *vhost)
{
	if (start(vhost) < 0)
		return err.text;
	return back_vhost_stop(vhost) ? "" : "the stop failed";
}

/* One life with a back end that has these manners from this request on; what opened is closed after it. */
static void live(enum peer_manners manners, unsigned when, bool goes_on, const char *expected)
{
	unsigned fds = count_fds();
	struct back_vhost *vhost;
	const char *text;

	memset(peer.heard, 0, sizeof(peer.heard));
	peer.manners = manners;
	peer.when = when;
	if (back_vhost_user_create(peer_start(&peer), "fsd", loop,
	            &(struct back_vhost_events){on_broken, NULL}, &vhost, &err) < 0) {
		text = err.text;
	} else {
		text = serve(vhost);
		if (*text && !goes_on) {
			char first[sizeof(err.text)];

			snprintf(first, sizeof(first), "%s", text);
			assert_fails(start(vhost), ERR_HOST, "fsd: it failed before");
			snprintf(err.text, sizeof(err.text), "%s", first);
			text = err.text;
		}
		back_vhost_destroy(vhost);
	}
	peer_end(&peer);
	if (!strstr(text, expected) || (!*expected && *text))
		fail_msg("manners %d from request %u on: \"%s\"", manners, when, text);
	assert_int_equal(count_fds(), fds);
	assert_true(peer.heard[PEER_SET_FEATURES] <= 1); /* the second start said nothing */
}

/* ---- wrong answers ---- */

static void test_vhost_user_every_wrong_answer_to_every_request(void **state)
{
	static const struct {
		enum peer_manners manners;
		const char *text;
	} rows[] = {
	        {PEER_HANGS_UP, "fsd: it has hung up"},
	        {PEER_HALF_HEADER, "fsd: it has hung up"},
	        {PEER_HALF_ANSWER, "fsd: it has hung up"},
	        {PEER_OTHER_REQUEST, "was answered with"},
	        {PEER_OTHER_SIZE, "was answered with"},
	        {PEER_SMALL_SIZE, "was answered with"},
	        {PEER_HUGE_SIZE, "was answered with"},
	        {PEER_NO_REPLY_FLAG, "was answered with"},
	        {PEER_OTHER_VERSION, "was answered with"},
	        {PEER_TWICE, "was answered with"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t k = 0; k < ARRAY_LEN(requests); k++)
			live(rows[i].manners, requests[k], false,
			        requests[k] == PEER_GET_VRING_BASE ? "the stop failed" : rows[i].text);
}

/* A refusal is an answer: the back end may take the next start. */
static void test_vhost_user_every_refusal(void **state)
{
	for (size_t k = 0; k < ARRAY_LEN(requests); k++) {
		char text[60];

		if (requests[k] == PEER_GET_FEATURES || requests[k] == PEER_GET_PROTOCOL_FEATURES ||
		        requests[k] == PEER_GET_VRING_BASE)
			continue;
		snprintf(text, sizeof(text), "fsd: it refuses request %u", requests[k]);
		live(PEER_REFUSES, requests[k], true, text);
	}
}

static void test_vhost_user_descriptors_with_every_answer(void **state)
{
	live(PEER_SENDS_FDS, 0, true, "");
	live(PEER_GOOD, 0, true, "");
}

static void test_vhost_user_silence_at_the_stop_has_an_end(void **state)
{
	live(PEER_SILENT, PEER_GET_VRING_BASE, false, "the stop failed");
}

/* ---- more than was asked for ---- */

static void test_vhost_user_takes_no_feature_that_it_does_not_know(void **state)
{
	peer.features = peer.protocol_features = UINT64_MAX;
	live(PEER_GOOD, 0, true, "");
	assert_int_equal(peer.set_features, ASKED | UINT64_C(1) << 30);
	assert_int_equal(peer.set_protocol_features, 1 << 0 | 1 << 3); /* MQ, REPLY_ACK */
}

/* The protocol's bit alone, or nothing at all: whether that is enough is for the device to say. */
static void test_vhost_user_without_features_gets_none(void **state)
{
	static const uint64_t features[] = {UINT64_C(1) << 30, 0};

	for (size_t i = 0; i < ARRAY_LEN(features); i++) {
		peer.features = features[i];
		live(PEER_GOOD, 0, true, "");
		assert_int_equal(peer.set_features, features[i]);
	}
}

/* ---- while it serves ---- */

/* More than the socket holds: vmm hears of it once, and reads none of it. */
static void test_vhost_user_flood_is_told_once(void **state)
{
	static const uint8_t words[4096];
	struct back_vhost *vhost;

	assert_ok(back_vhost_user_create(
	        peer_start(&peer), "fsd", loop, &(struct back_vhost_events){on_broken, NULL}, &vhost, &err));
	assert_ok(start(vhost));
	while (send(peer.fd, words, sizeof(words), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		;
	assert_ok(loop_run(loop, &err));
	assert_false(back_vhost_stop(vhost));
	assert_fails(start(vhost), ERR_HOST, "fsd: it failed before");
	back_vhost_destroy(vhost);
	peer_end(&peer);
	assert_int_equal(broken, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_vhost_user_every_wrong_answer_to_every_request),
	        TEST(test_vhost_user_every_refusal),
	        TEST(test_vhost_user_descriptors_with_every_answer),
	        TEST(test_vhost_user_silence_at_the_stop_has_an_end),
	        TEST(test_vhost_user_takes_no_feature_that_it_does_not_know),
	        TEST(test_vhost_user_without_features_gets_none),
	        TEST(test_vhost_user_flood_is_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

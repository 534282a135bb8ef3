/* SPDX-License-Identifier: Apache-2.0 */
/* A vhost-user back end gets memory, features and queues; one that misbehaves ends in an error, and in time.
 */
#include <fcntl.h>
#include <sys/eventfd.h>

#include "support/test.h"
#include "support/vhost_user.h"
#include "vmm/back/vhost.h"

#define FEATURES (UINT64_C(1) << 28 | UINT64_C(1) << 29 | UINT64_C(1) << 30 | UINT64_C(1) << 32)
#define RAM      MIB(64)

static struct host *host;
static struct page_memory *memory;
static struct loop *loop;
static struct back_vhost *vhost;
static struct peer peer;
static int kick_fd, call_fd;
static char broken[200];
static struct err err;

static void on_broken(void *ctx, const char *why)
{
	snprintf(broken, sizeof(broken), "%s", why);
	loop_stop(loop);
}

static int setup(void **state)
{
	struct page_layout layout;

	assert_ok(host_kernel_create(&host, &err));
	assert_ok(page_layout_make(RAM, MIB(1), &layout, &err));
	assert_ok(page_memory_create(host, &layout, PAGE_SHARED, &memory, &err));
	assert_ok(loop_create(&loop, &err));
	kick_fd = eventfd(0, EFD_CLOEXEC);
	call_fd = eventfd(0, EFD_CLOEXEC);
	peer = (struct peer){.features = FEATURES | UINT64_C(1) << 33, .protocol_features = 0xffff};
	vhost = NULL;
	*broken = '\0';
	return 0;
}

static int teardown(void **state)
{
	back_vhost_destroy(vhost);
	peer_end(&peer);
	close(kick_fd);
	close(call_fd);
	loop_destroy(loop);
	page_memory_destroy(memory);
	host_destroy(host);
	return 0;
}

static int meet(void)
{
	return back_vhost_user_create(peer_start(&peer), "virtiofsd", loop,
	        &(struct back_vhost_events){on_broken, NULL}, &vhost, &err);
}

static int start(void)
{
	const struct back_vhost_queue queues[] = {
	        {.index = 0,
	                .size = 128,
	                .desc_gpa = 0x10000,
	                .avail_gpa = 0x11000,
	                .used_gpa = 0x12000,
	                .kick_fd = kick_fd,
	                .call_fd = call_fd},
	        {.index = 1,
	                .size = 64,
	                .desc_gpa = 0x20000,
	                .avail_gpa = 0x21000,
	                .used_gpa = 0x22000,
	                .kick_fd = kick_fd,
	                .call_fd = call_fd},
	};

	return back_vhost_start(vhost, UINT64_MAX, memory, queues, 2, &err);
}

static void test_vhost_user_gets_memory_features_and_queues(void **state)
{
	assert_ok(meet());
	assert_int_equal(back_vhost_features(vhost), FEATURES & ~(UINT64_C(1) << 30));
	assert_ok(start());
	/* The protocol's own bit, and never ACCESS_PLATFORM. */
	assert_int_equal(peer.set_features, FEATURES);
	assert_int_equal(peer.table.count, 1);
	assert_int_equal(peer.table_fds, 1);
	assert_int_equal(peer.table.regions[0].gpa, 0);
	assert_int_equal(peer.table.regions[0].size, RAM);
	assert_int_equal(peer.heard[PEER_SET_VRING_KICK], 2);
	assert_int_equal(peer.heard[PEER_SET_VRING_ENABLE], 2);
	assert_int_equal(peer.enabled, 1);
	assert_true(back_vhost_stop(vhost));
	assert_int_equal(peer.heard[PEER_GET_VRING_BASE], 2);
	assert_int_equal(peer.enabled, 0);
	assert_ok(start()); /* the next incarnation of the guest */
	assert_int_equal(peer.heard[PEER_SET_MEM_TABLE], 2);
}

static void test_vhost_user_without_protocol_features_is_asked_whether_it_has_the_memory(void **state)
{
	peer.features &= ~(UINT64_C(1) << 30);
	assert_ok(meet());
	assert_int_equal(peer.heard[PEER_GET_PROTOCOL_FEATURES], 0);
	assert_ok(start());
	assert_int_equal(peer.heard[PEER_GET_FEATURES], 2);
	assert_true(back_vhost_stop(vhost));
	assert_int_equal(peer.heard[PEER_SET_VRING_ENABLE], 0);
}

static void test_vhost_user_refusal_of_memory_is_an_error_and_leaves_nothing_started(void **state)
{
	peer.manners = PEER_REFUSES;
	peer.when = PEER_SET_MEM_TABLE;
	assert_ok(meet());
	assert_fails(start(), ERR_FAILED, "virtiofsd: it refuses request 5");
	assert_int_equal(peer.heard[PEER_SET_VRING_KICK], 0);
	assert_true(back_vhost_stop(vhost));
}

static void test_vhost_user_that_hangs_up_is_not_called_again(void **state)
{
	peer.manners = PEER_HANGS_UP;
	peer.when = PEER_SET_VRING_KICK;
	assert_ok(meet());
	assert_fails(start(), ERR_FAILED, "virtiofsd: it has hung up");
	assert_fails(start(), ERR_HOST, "virtiofsd: it failed before");
}

static void test_vhost_user_wrong_answers_are_refused(void **state)
{
	static const enum peer_manners wrong[] = {PEER_OTHER_REQUEST, PEER_OTHER_SIZE, PEER_NO_REPLY_FLAG};

	for (unsigned i = 0; i < ARRAY_LEN(wrong); i++) {
		peer.manners = wrong[i];
		assert_fails(meet(), ERR_FAILED, "virtiofsd: request 1 was answered with");
		peer_end(&peer);
	}
	peer.manners = PEER_GOOD;
	assert_ok(meet());
}

static unsigned count_fds(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 1000; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void test_vhost_user_descriptors_that_it_sends_are_closed(void **state)
{
	unsigned before = count_fds();

	peer.manners = PEER_SENDS_FDS;
	assert_ok(meet());
	assert_int_equal(count_fds() - before, 2); /* the pair of sockets */
}

/* Each byte comes in time, and the answer never. */
static void test_vhost_user_answer_has_a_deadline(void **state)
{
	peer.manners = PEER_TRICKLES;
	assert_fails(meet(), ERR_FAILED, "virtiofsd: no answer within 5 s");
}

static void test_vhost_user_start_has_a_deadline_as_a_whole(void **state)
{
	peer.manners = PEER_SLOW;
	peer.when = PEER_SET_FEATURES;
	assert_ok(meet());
	assert_fails(start(), ERR_FAILED, "virtiofsd: no answer within 5 s");
	assert_fails(start(), ERR_HOST, "virtiofsd: it failed before");
}

static void test_vhost_user_death_while_it_serves_is_told_once(void **state)
{
	assert_ok(meet());
	assert_ok(start());
	shutdown(peer.fd, SHUT_RDWR);
	assert_ok(loop_run(loop, &err));
	assert_string_equal(broken, "virtiofsd has hung up");
	assert_false(back_vhost_stop(vhost));
	assert_fails(start(), ERR_HOST, "it failed before");
}

static void test_vhost_user_unasked_words_break_it(void **state)
{
	assert_ok(meet());
	assert_ok(start());
	assert_int_equal(send(peer.fd, "hello", 5, MSG_NOSIGNAL), 5);
	assert_ok(loop_run(loop, &err));
	assert_string_equal(broken, "virtiofsd said something that it was not asked");
}

static void test_vhost_user_error_of_a_queue_is_told_and_can_be_got_over(void **state)
{
	uint64_t one = 1;

	assert_ok(meet());
	assert_ok(start());
	assert_int_equal(write(peer.error_fd, &one, sizeof(one)), sizeof(one));
	assert_ok(loop_run(loop, &err));
	assert_string_equal(broken, "virtiofsd cannot go on with a queue");
	assert_true(back_vhost_stop(vhost));
	assert_ok(start());
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_vhost_user_gets_memory_features_and_queues),
	        TEST(test_vhost_user_without_protocol_features_is_asked_whether_it_has_the_memory),
	        TEST(test_vhost_user_refusal_of_memory_is_an_error_and_leaves_nothing_started),
	        TEST(test_vhost_user_that_hangs_up_is_not_called_again),
	        TEST(test_vhost_user_wrong_answers_are_refused),
	        TEST(test_vhost_user_descriptors_that_it_sends_are_closed),
	        TEST(test_vhost_user_answer_has_a_deadline),
	        TEST(test_vhost_user_start_has_a_deadline_as_a_whole),
	        TEST(test_vhost_user_death_while_it_serves_is_told_once),
	        TEST(test_vhost_user_unasked_words_break_it),
	        TEST(test_vhost_user_error_of_a_queue_is_told_and_can_be_got_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

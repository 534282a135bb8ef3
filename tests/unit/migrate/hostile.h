/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile: a target on a thread of its own, and a source that sends it whatever a test wants.
 */
#ifndef TEST_MIGRATE_HOSTILE_H
#define TEST_MIGRATE_HOSTILE_H

#include "guest.h"

static struct migrate_wire wire;
static _Atomic bool cancelled;
static struct err err;
static int fds[2];
static pthread_t thread;

static int (*begin_adopt)(void *ctx, const char *plan, size_t size, struct err *why);

static void begin(void)
{
	make_guests();
	target.seam.adopt = begin_adopt;
	cancelled = false;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_ok(migrate_wire_init(&wire, fds[0], &cancelled, &err));
	open_side(&target, fds[1], MIGRATE_PATIENCE_MS);
	pthread_create(&thread, NULL, be_target, NULL);
}

/* Returns what the target said of it. */
static const char *end(void)
{
	shutdown(fds[0], SHUT_WR);
	pthread_join(thread, NULL);
	close_side(&target);
	migrate_wire_finish(&wire);
	close(fds[0]);
	free_guests();
	assert_false(target.took);
	return target.err.text;
}

static void assert_says(const char *said, const char *part)
{
	if (!strstr(said, part))
		fail_msg("\"%s\" lacks \"%s\"", said, part);
}

static void put(enum migrate_type type, const void *payload, size_t size)
{
	memcpy(migrate_wire_payload(&wire), payload, size);
	/* A target that gave up takes no more. */
	(void)!migrate_wire_send(&wire, type, size, &err);
}

static void hello(unsigned major, unsigned least, unsigned greatest, unsigned standing)
{
	uint8_t bytes[30] = {0};

	store_le(bytes, 2, major);
	store_le(bytes + 2, 2, least);
	store_le(bytes + 4, 2, greatest);
	store_le(bytes + 6, 2, standing);
	memcpy(bytes + 24, "test", 4);
	put(MIGRATE_HELLO, bytes, sizeof(bytes));
}

static void agree(void)
{
	static const char plan[] = "memory = 4\nvcpus = 2\n";

	begin();
	hello(1, 0, 0, MIGRATE_NEW);
	put(MIGRATE_PLAN, plan, strlen(plan));
}

/* ---- pages, passes and parts ---- */

struct row {
	uint32_t count, zero;
	uint64_t gpa;
	uint32_t bytes, kind;
	size_t contents; /* bytes behind the record */
};

static void put_pages(const struct row *row)
{
	static uint8_t bytes[KIB(64)];

	memset(bytes, 0, sizeof(bytes));
	store_le(bytes, 4, row->count);
	store_le(bytes + 4, 4, row->zero);
	store_le(bytes + 8, 8, row->gpa);
	store_le(bytes + 16, 4, row->bytes);
	store_le(bytes + 20, 4, row->kind);
	put(MIGRATE_PAGES, bytes, 24 + row->contents);
}

static void put_pass(uint32_t pass, uint32_t last, uint64_t pages)
{
	uint8_t bytes[16];

	store_le(bytes, 4, pass);
	store_le(bytes + 4, 4, last);
	store_le(bytes + 8, 8, pages);
	put(MIGRATE_PASS, bytes, sizeof(bytes));
}

/* All pages, as zeros. */
static void put_all(void)
{
	for (uint64_t at = 0; at < RAM; at += MIB(1))
		put_pages(&(struct row){1, 0, at, MIB(1), 2, 0});
	put_pages(&(struct row){1, 0, FIRMWARE_AT, FIRMWARE, 2, 0});
}

static void put_part(enum migrate_type type, uint32_t i, uint64_t value)
{
	uint8_t bytes[16] = {0};

	store_le(bytes, 4, i);
	store_le(bytes + 8, 8, value);
	put(type, bytes, sizeof(bytes));
}

#endif

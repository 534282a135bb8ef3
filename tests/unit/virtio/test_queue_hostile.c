/* SPDX-License-Identifier: Apache-2.0 */
/* The ring walker with drivers that break the rules: each way has its verdict, and the queue stays broken. */
#include "driver.h"

static struct virtio_chain chain;

/* ---- rings that cannot be ---- */

static const struct bad_start {
	uint64_t desc, avail, used;
	uint16_t size;
	const char *part;
} bad_starts[] = {
        {0x1000, 0x2000, 0x3000, 0, "0 entries"},
        {0x1000, 0x2000, 0x3000, 3, "3 entries"},
        {0x1000, 0x2000, 0x3000, 2048, "2048 entries"},
        {0x1000, 0x2000, 0x3000, 32768, "32768 entries"},
        {0x1008, 0x2000, 0x3000, 16, "descriptor table of 16 entries at 0x1008: this is not aligned"},
        {0x1000, 0x2001, 0x3000, 16, "available ring of 16 entries at 0x2001: this is not aligned"},
        {0x1000, 0x2000, 0x3002, 16, "used ring of 16 entries at 0x3002: this is not aligned"},
        {DRIVER_MEMORY, 0x2000, 0x3000, 16, "descriptor table"},             /* behind RAM */
        {DRIVER_MEMORY - 240, 0x2000, 0x3000, 16, "descriptor table"},       /* 16 bytes of it behind RAM */
        {0x1000, DRIVER_MEMORY - 36, 0x3000, 16, "available ring"},          /* its event word behind RAM */
        {0x1000, 0x2000, DRIVER_MEMORY - 132, 16, "used ring"},              /* its event word behind RAM */
        {GIB(4) - DRIVER_ROM, 0x2000, 0x3000, 16, "this is not shared RAM"}, /* firmware */
        {0x1000, GIB(4) - 4096, 0x3000, 16, "this is not shared RAM"},       /* firmware */
        {0x1000, 0x2000, GIB(4) - 4096, 16, "used ring of 16 entries at 0xfffff000"}, /* firmware */
        {0xfee00000, 0x2000, 0x3000, 16, "this is not shared RAM"},                   /* a device */
        {UINT64_MAX - 15, 0x2000, 0x3000, 16, "descriptor table"},                    /* wraps */
        {0x1000, UINT64_MAX - 1, 0x3000, 16, "available ring"},                       /* wraps */
        {0x1000, 0x2000, UINT64_MAX - 3, 16, "used ring"},                            /* wraps */
        {UINT64_C(1) << 63, 0x2000, 0x3000, 16, "descriptor table"},
};

static void test_queue_impossible_rings_are_refused(void **state)
{
	struct bench *bench = *state;

	for (size_t i = 0; i < ARRAY_LEN(bad_starts); i++) {
		const struct bad_start *bad = &bad_starts[i];
		struct virtio_queue_setup setup = bench_queue(bench, 16, 0);
		struct virtio_queue queue = {.popped = 77};
		struct err err;

		setup.size = bad->size;
		setup.desc_gpa = bad->desc;
		setup.avail_gpa = bad->avail;
		setup.used_gpa = bad->used;
		assert_fails(virtio_queue_start(&queue, &setup, &err), ERR_GUEST, bad->part);
		assert_int_equal(queue.popped, 77);
		assert_null(queue.desc);
	}
}

static void test_queue_last_possible_places_are_taken(void **state)
{
	struct bench *bench = *state;
	struct virtio_queue_setup setup = bench_queue(bench, 16, 0);

	setup.desc_gpa = DRIVER_MEMORY - 256;
	setup.avail_gpa = 0;
	setup.used_gpa = DRIVER_MEMORY - 256 - 136;
	assert_int_equal(virtio_queue_start(&bench->queue, &setup, &bench->err), 0);
	setup.used_gpa = DRIVER_MEMORY - 136;
	setup.avail_gpa = DRIVER_MEMORY - 38;
	/* They overlap, which is the driver's own loss. */
	assert_int_equal(virtio_queue_start(&bench->queue, &setup, &bench->err), 0);
}

/* ---- chains that break the rules ---- */

#define NEXT     VRING_DESC_F_NEXT
#define WRITE    VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT

/* A queue of 8 gets these descriptors and heads; the indirect table is at DRIVER_TABLES. */
static const struct bad_chain {
	const char *verdict; /* a part of it */
	struct vring_desc desc[3], table[3];
	uint16_t heads[3];
	uint16_t idx;
	unsigned pops; /* how many work before */
} bad_chains[] = {
        /* The available ring. */
        {.verdict = "descriptor 8 of a queue of 8", .heads = {8}, .idx = 1},
        {.verdict = "descriptor 65535 of a queue of 8", .heads = {65535}, .idx = 1},
        {.verdict = "index jumped from 0 to 9", .idx = 9},
        {.verdict = "index jumped from 0 to 65535", .idx = 65535},
        {.verdict = "index jumped from 0 to 32768", .idx = 32768},
        {.verdict = "descriptor 0 made available again",
                .desc = {{DRIVER_BUFFERS, 1, 0, 0}},
                .idx = 2,
                .pops = 1},
        {.verdict = "descriptor 1 made available again",
                .desc = {{DRIVER_BUFFERS, 1, 0, 0}, {DRIVER_BUFFERS, 1, WRITE, 0}},
                .heads = {1, 0, 1},
                .idx = 3,
                .pops = 2},
        /* Descriptors that lead nowhere, or in a circle. */
        {.verdict = "descriptor 8 of a table of 8", .desc = {{DRIVER_BUFFERS, 1, NEXT, 8}}, .idx = 1},
        {.verdict = "descriptor 65535 of a table of 8", .desc = {{DRIVER_BUFFERS, 1, NEXT, 65535}}, .idx = 1},
        {.verdict = "a loop", .desc = {{DRIVER_BUFFERS, 1, NEXT, 0}}, .idx = 1},
        {.verdict = "a loop",
                .desc = {{DRIVER_BUFFERS, 1, NEXT, 1}, {DRIVER_BUFFERS, 1, NEXT | WRITE, 2},
                        {DRIVER_BUFFERS, 1, NEXT | WRITE, 1}},
                .idx = 1},
        /* Buffers that are not there. */
        {.verdict = "0 bytes at 0x100000", .desc = {{DRIVER_BUFFERS, 0, 0, 0}}, .idx = 1},
        {.verdict = "not shared RAM", .desc = {{DRIVER_MEMORY, 1, WRITE, 0}}, .idx = 1},
        {.verdict = "not shared RAM", .desc = {{DRIVER_MEMORY - 1, 2, WRITE, 0}}, .idx = 1},
        {.verdict = "not shared RAM", .desc = {{GIB(4) - 4096, 16, WRITE, 0}}, .idx = 1},
        {.verdict = "not shared RAM", .desc = {{GIB(4) - 4096, 16, 0, 0}}, .idx = 1},
        {.verdict = "4294967295 bytes at 0x0", .desc = {{0, UINT32_MAX, WRITE, 0}}, .idx = 1},
        {.verdict = "not shared RAM", .desc = {{UINT64_MAX, 1, 0, 0}}, .idx = 1},
        {.verdict = "not shared RAM", .desc = {{UINT64_MAX - 7, 16, WRITE, 0}}, .idx = 1},
        {.verdict = "not shared RAM", .desc = {{UINT64_C(1) << 63, 1, 0, 0}}, .idx = 1},
        {.verdict = "not shared RAM",
                .desc = {{DRIVER_BUFFERS, 1, NEXT, 1}, {GIB(3), 1, WRITE, 0}},
                .idx = 1},
        {.verdict = "4 GiB or more",
                .desc = {{DRIVER_BUFFERS, 1, NEXT, 1}, {DRIVER_BUFFERS, UINT32_MAX, 0, 0}},
                .idx = 1},
        /* An order that is forbidden. */
        {.verdict = "to read after one to write",
                .desc = {{DRIVER_BUFFERS, 1, NEXT | WRITE, 1}, {DRIVER_BUFFERS, 1, 0, 0}},
                .idx = 1},
        /* Indirect tables. */
        {.verdict = "with a next one", .desc = {{DRIVER_TABLES, 16, INDIRECT | NEXT, 1}}, .idx = 1},
        {.verdict = "table of 0 bytes", .desc = {{DRIVER_TABLES, 0, INDIRECT, 0}}, .idx = 1},
        {.verdict = "table of 15 bytes", .desc = {{DRIVER_TABLES, 15, INDIRECT, 0}}, .idx = 1},
        {.verdict = "table of 17 bytes", .desc = {{DRIVER_TABLES, 17, INDIRECT, 0}}, .idx = 1},
        {.verdict = "table of 1048592 bytes", .desc = {{DRIVER_TABLES, 16 * 65537, INDIRECT, 0}}, .idx = 1},
        {.verdict = "table of 4294967280 bytes", .desc = {{0, 0xfffffff0, INDIRECT, 0}}, .idx = 1},
        {.verdict = "table of 32 bytes at 0x3ffff0: this is not shared RAM",
                .desc = {{DRIVER_MEMORY - 16, 32, INDIRECT, 0}},
                .idx = 1},
        {.verdict = "this is not shared RAM", .desc = {{GIB(4) - 4096, 32, INDIRECT, 0}}, .idx = 1},
        {.verdict = "this is not shared RAM", .desc = {{UINT64_MAX - 15, 32, INDIRECT, 0}}, .idx = 1},
        {.verdict = "in an indirect table",
                .desc = {{DRIVER_TABLES, 16, INDIRECT, 0}},
                .table = {{DRIVER_TABLES, 16, INDIRECT, 0}},
                .idx = 1},
        {.verdict = "descriptor 2 of a table of 2",
                .desc = {{DRIVER_TABLES, 32, INDIRECT, 0}},
                .table = {{DRIVER_BUFFERS, 1, NEXT, 2}, {0}, {DRIVER_BUFFERS, 1, 0, 0}},
                .idx = 1},
        {.verdict = "a loop",
                .desc = {{DRIVER_BUFFERS, 1, NEXT, 1}, {DRIVER_TABLES, 32, INDIRECT, 0}},
                .table = {{DRIVER_BUFFERS, 1, NEXT, 1}, {DRIVER_BUFFERS, 1, NEXT, 0}},
                .idx = 1},
        {.verdict = "to read after one to write",
                .desc = {{DRIVER_BUFFERS, 1, NEXT | WRITE, 1}, {DRIVER_TABLES, 32, INDIRECT, 0}},
                .table = {{DRIVER_BUFFERS, 1, 0, 0}},
                .idx = 1},
        {.verdict = "not shared RAM",
                .desc = {{DRIVER_TABLES, 16, INDIRECT, 0}},
                .table = {{DRIVER_MEMORY, 1, 0, 0}},
                .idx = 1},
};

static void offer_bad(struct bench *bench, const struct bad_chain *bad)
{
	memcpy(bench->driver.ring.desc, bad->desc, sizeof(bad->desc));
	memcpy(bench->driver.ram + DRIVER_TABLES, bad->table, sizeof(bad->table));
	memcpy(bench->driver.ring.avail->ring, bad->heads, sizeof(bad->heads));
	bench->driver.ring.avail->idx = bad->idx;
}

static void test_queue_every_breach_has_its_verdict(void **state)
{
	struct bench *bench = *state;

	for (size_t i = 0; i < ARRAY_LEN(bad_chains); i++) {
		const struct bad_chain *bad = &bad_chains[i];

		bench_start(bench, 8, VIRTIO_F_INDIRECT_DESC | (i % 2 ? VIRTIO_F_EVENT_IDX : 0));
		offer_bad(bench, bad);
		for (unsigned n = 0; n < bad->pops; n++)
			assert_int_equal(virtio_queue_pop(&bench->queue, &chain), 1);
		assert_int_equal(virtio_queue_pop(&bench->queue, &chain), -1);
		if (!strstr(bench->broken, bad->verdict))
			fail_msg("\"%s\" lacks \"%s\"", bench->broken, bad->verdict);
		/* It is said once, and nothing mends the queue but a new start. */
		memset(bench->driver.ram + DRIVER_RINGS, 0, 256);
		assert_int_equal(virtio_queue_pop(&bench->queue, &chain), -1);
		assert_int_equal(bench->breaks, 1);
		assert_int_equal(bench->calls, 0);
	}
}

static void test_queue_indirect_without_the_feature_is_a_breach(void **state)
{
	struct bench *bench = *state;

	bench_start(bench, 8, 0);
	driver_desc(&bench->driver, 0, DRIVER_TABLES, 16, INDIRECT, 0);
	driver_offer(&bench->driver, 0);
	assert_int_equal(virtio_queue_pop(&bench->queue, &chain), -1);
	assert_non_null(strstr(bench->broken, "without VIRTIO_F_INDIRECT_DESC"));
}

static void test_queue_one_buffer_too_many_is_a_breach(void **state)
{
	struct bench *bench = *state;

	bench_start(bench, 1024, 0);
	for (uint16_t i = 0; i <= VIRTIO_SEGMENTS_MAX; i++)
		driver_desc(&bench->driver, i, DRIVER_BUFFERS, 1, i < VIRTIO_SEGMENTS_MAX ? NEXT : 0,
		        (uint16_t)(i + 1));
	driver_offer(&bench->driver, 1);
	driver_offer(&bench->driver, 0);
	assert_int_equal(virtio_queue_pop(&bench->queue, &chain), 1);
	assert_int_equal(chain.readable, VIRTIO_SEGMENTS_MAX);
	assert_int_equal(virtio_queue_pop(&bench->queue, &chain), -1);
	assert_non_null(strstr(bench->broken, "more than 256 descriptors"));
}

/* What the driver changes after the pop changes nothing that was copied. */
static void test_queue_chain_is_copied_once(void **state)
{
	struct bench *bench = *state;

	bench_start(bench, 8, 0);
	driver_desc(&bench->driver, 0, DRIVER_BUFFERS, 8, WRITE, 0);
	driver_offer(&bench->driver, 0);
	assert_int_equal(virtio_queue_pop(&bench->queue, &chain), 1);
	driver_desc(&bench->driver, 0, GIB(3), UINT32_MAX, NEXT, 0);
	assert_int_equal(virtio_chain_write(&chain, 0, "12345678abc", 11), 8);
	assert_memory_equal(bench->driver.ram + DRIVER_BUFFERS, "12345678\0", 9);
	virtio_queue_push(&bench->queue, &chain, 8);
	assert_int_equal(bench->breaks, 0);
}

/* A broken device may still give back what it had in flight. */
static void test_queue_broken_takes_pushes(void **state)
{
	struct bench *bench = *state;
	struct vring_used_elem elem;

	bench_start(bench, 8, 0);
	driver_desc(&bench->driver, 0, DRIVER_BUFFERS, 8, WRITE, 0);
	driver_offer(&bench->driver, 0);
	assert_int_equal(virtio_queue_pop(&bench->queue, &chain), 1);
	driver_offer(&bench->driver, 9);
	assert_int_equal(virtio_queue_pop(&bench->queue, &chain), -1);
	virtio_queue_push_iov(&bench->queue, 0, NULL, 0, 8);
	virtio_queue_flush(&bench->queue);
	assert_true(driver_take(&bench->driver, &elem));
	assert_int_equal(elem.id, 0);
}

/* The used index, the used ring and event words that the driver scribbles over do not lead the device astray.
 */
static void test_queue_scribbles_over_the_used_ring_change_nothing(void **state)
{
	struct bench *bench = *state;

	bench_start(bench, 8, VIRTIO_F_EVENT_IDX);
	for (unsigned round = 0; round < 1000; round++) {
		uint16_t head = (uint16_t)(round % 8);

		memset(bench->driver.ring.used, (int)round, 4 + 8 * 8 + 2);
		vring_used_event(&bench->driver.ring) = (uint16_t)(round * 7919);
		driver_desc(&bench->driver, head, DRIVER_BUFFERS, 8, WRITE, 0);
		driver_offer(&bench->driver, head);
		assert_int_equal(virtio_queue_pop(&bench->queue, &chain), 1);
		virtio_queue_push(&bench->queue, &chain, 8);
		virtio_queue_flush(&bench->queue);
		assert_int_equal(bench->driver.ring.used->idx, round + 1);
		assert_int_equal(bench->driver.ring.used->ring[round % 8].id, head);
	}
	assert_int_equal(bench->breaks, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_queue_impossible_rings_are_refused),
	        cmocka_unit_test(test_queue_last_possible_places_are_taken),
	        cmocka_unit_test(test_queue_every_breach_has_its_verdict),
	        cmocka_unit_test(test_queue_indirect_without_the_feature_is_a_breach),
	        cmocka_unit_test(test_queue_one_buffer_too_many_is_a_breach),
	        cmocka_unit_test(test_queue_chain_is_copied_once),
	        cmocka_unit_test(test_queue_broken_takes_pushes),
	        cmocka_unit_test(test_queue_scribbles_over_the_used_ring_change_nothing),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}

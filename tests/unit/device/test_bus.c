/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

/* A device that remembers its last access and reads as its offset repeated. */
struct probe {
	_Atomic unsigned reads, writes;
	_Atomic uint64_t offset, value;
	_Atomic unsigned size;
	enum device_verdict verdict;
};

static uint64_t probe_read(void *dev, uint64_t offset, unsigned size)
{
	struct probe *probe = dev;

	probe->reads++;
	probe->offset = offset;
	probe->size = size;
	return 0x0101010101010101 * (offset & 0xff);
}

static enum device_verdict probe_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct probe *probe = dev;

	probe->writes++;
	probe->offset = offset;
	probe->size = size;
	probe->value = value;
	return probe->verdict;
}

static struct device_range range_of(
        struct probe *probe, enum device_space space, uint64_t base, uint64_t size)
{
	return (struct device_range){"probe", space, base, size, probe_read, probe_write, probe, 0};
}

struct fixture {
	struct device_bus *bus;
	struct probe a, b, mobile, mmio;
	struct device_claim *claim;
};

/* a: 0x100-0x107, b: 0x108-0x108, mmio: 64 bytes at 0xfed00000, mobile: 16 ports, anywhere. */
static int setup(void **state)
{
	static struct fixture f;
	struct device_range range;
	struct err err;

	f = (struct fixture){0};
	assert_ok(device_bus_create(&f.bus, &err));
	range = range_of(&f.b, DEVICE_PIO, 0x108, 1);
	assert_ok(device_bus_claim(f.bus, &range, &err));
	range = range_of(&f.a, DEVICE_PIO, 0x100, 8);
	assert_ok(device_bus_claim(f.bus, &range, &err));
	range = range_of(&f.mmio, DEVICE_MMIO, 0xfed00000, 64);
	assert_ok(device_bus_claim(f.bus, &range, &err));
	range = range_of(&f.mobile, DEVICE_PIO, 0, 16);
	assert_ok(device_bus_claim_movable(f.bus, &range, &f.claim, &err));
	device_bus_freeze(f.bus);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	device_bus_destroy(((struct fixture *)*state)->bus);
	return 0;
}

static void test_bus_access_inside_a_range_arrives_whole(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(inl(f->bus, 0x103), 0x03030303);
	assert_int_equal(f->a.reads, 1);
	assert_int_equal(f->a.size, 4);
	outw(f->bus, 0x106, 0xbeef);
	assert_int_equal(f->a.writes, 1);
	assert_int_equal(f->a.offset, 6);
	assert_int_equal(f->a.value, 0xbeef);
	assert_int_equal(device_bus_read(f->bus, DEVICE_MMIO, 0xfed00038, 8), (uint64_t)0x3838383838383838);
	assert_int_equal(f->mmio.size, 8);
}

static void test_bus_unclaimed_reads_ones_and_swallows_writes(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(inb(f->bus, 0xff), 0xff);
	assert_int_equal(inw(f->bus, 0x109), 0xffff);
	assert_int_equal(inl(f->bus, 0), 0xffffffff);
	assert_int_equal(device_bus_read(f->bus, DEVICE_MMIO, 0x100, 8), UINT64_MAX);
	assert_int_equal(outl(f->bus, 0x200, 0), DEVICE_RESUME);
	assert_int_equal(f->a.reads + f->b.reads + f->mmio.reads + f->mobile.reads, 0);
}

static void test_bus_access_across_an_edge_is_split_into_bytes(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(inl(f->bus, 0x106), 0xff000706);
	assert_int_equal(f->a.size, 1);
	assert_int_equal(f->a.reads, 2);
	assert_int_equal(f->b.reads, 1);
	assert_int_equal(inw(f->bus, 0xff), 0x00ff);
	outl(f->bus, 0x107, 0x44332211);
	assert_int_equal(f->a.value, 0x11);
	assert_int_equal(f->b.value, 0x22);
}

static void test_bus_odd_sizes_are_split_into_bytes(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(device_bus_read(f->bus, DEVICE_PIO, 0x101, 3), 0x030201);
	assert_int_equal(f->a.reads, 3);
	/* Ports have 32 bits at most. */
	assert_int_equal(device_bus_read(f->bus, DEVICE_PIO, 0x100, 8), (uint64_t)0x0706050403020100);
	assert_int_equal(f->a.size, 1);
	assert_int_equal(device_bus_read(f->bus, DEVICE_MMIO, 0xfed0003a, 7), (uint64_t)0xff3f3e3d3c3b3a);
}

static void test_bus_end_of_space_does_not_wrap(void **state)
{
	struct device_bus *bus;
	struct probe low = {0}, high = {0};
	struct device_range range;
	struct err err;

	assert_ok(device_bus_create(&bus, &err));
	for (int space = DEVICE_PIO; space <= DEVICE_MMIO; space++) {
		range = range_of(&low, space, 0, 4);
		assert_ok(device_bus_claim(bus, &range, &err));
	}
	range = range_of(&high, DEVICE_PIO, 0xfffe, 2);
	assert_ok(device_bus_claim(bus, &range, &err));
	range = range_of(&high, DEVICE_MMIO, UINT64_MAX - 2, 2);
	assert_ok(device_bus_claim(bus, &range, &err));

	assert_int_equal(inl(bus, 0xfffe), 0xffff0100);
	assert_int_equal(inl(bus, 0x10000), 0xffffffff);
	assert_int_equal(device_bus_read(bus, DEVICE_MMIO, UINT64_MAX - 2, 8), (uint64_t)0xffffffffffff0100);
	device_bus_write(bus, DEVICE_MMIO, UINT64_MAX - 1, 8, 0);
	assert_int_equal(low.reads + low.writes, 0);
	device_bus_destroy(bus);
}

static void test_bus_byte_device_gets_bytes_only(void **state)
{
	struct device_bus *bus;
	struct probe probe = {0};
	struct device_range range = range_of(&probe, DEVICE_PIO, 0x3f8, 8);
	struct err err;

	range.widest = 1;
	assert_ok(device_bus_create(&bus, &err));
	assert_ok(device_bus_claim(bus, &range, &err));
	assert_int_equal(inl(bus, 0x3f8), 0x03020100);
	assert_int_equal(probe.reads, 4);
	assert_int_equal(probe.size, 1);
	device_bus_destroy(bus);
}

static void test_bus_movable_range_follows_its_base(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(inb(f->bus, 0xb001), 0xff);
	device_claim_move(f->claim, true, 0xb000);
	assert_int_equal(inb(f->bus, 0xb001), 1);
	assert_int_equal(inl(f->bus, 0xb00e), 0xffff0f0e);
	device_claim_move(f->claim, true, 0x600);
	assert_int_equal(inb(f->bus, 0xb001), 0xff);
	assert_int_equal(inw(f->bus, 0x602), 0x0202);
	device_claim_move(f->claim, false, 0x600);
	assert_int_equal(inb(f->bus, 0x602), 0xff);
}

static void test_bus_movable_range_out_of_space_is_off(void **state)
{
	struct fixture *f = *state;

	device_claim_move(f->claim, true, 0x10000 - 16);
	assert_int_equal(inb(f->bus, 0xffff), 15);
	device_claim_move(f->claim, true, 0x10000 - 15);
	assert_int_equal(inb(f->bus, 0xffff), 0xff);
	device_claim_move(f->claim, true, UINT64_MAX);
	assert_int_equal(device_bus_read(f->bus, DEVICE_PIO, UINT64_MAX, 4), 0xffffffff);
	assert_int_equal(f->mobile.reads, 1);
}

static void test_bus_fixed_range_wins_over_a_movable_one(void **state)
{
	struct fixture *f = *state;

	device_claim_move(f->claim, true, 0xfa);
	assert_int_equal(inl(f->bus, 0xfe), 0x01000504); /* two bytes of mobile, two of a */
	assert_int_equal(inw(f->bus, 0x109), 0xff0f);
	device_claim_move(f->claim, true, 0x108);
	assert_int_equal(inb(f->bus, 0x108), 0);
	assert_int_equal(f->b.reads, 1);
	assert_int_equal(inb(f->bus, 0x109), 1);
}

static void test_bus_stop_ends_a_split_write(void **state)
{
	struct fixture *f = *state;

	f->a.verdict = DEVICE_STOP;
	assert_int_equal(outl(f->bus, 0x106, 0x44332211), DEVICE_STOP);
	assert_int_equal(f->a.writes, 1);
	assert_int_equal(f->b.writes, 0);
}

static void test_bus_wrong_claims_are_refused(void **state)
{
	struct fixture *f = *state;
	struct device_bus *bus;
	struct probe probe = {0};
	struct device_claim *claim = NULL;
	struct device_range range = range_of(&probe, DEVICE_PIO, 0x300, 8);
	struct err err;

	assert_fails(device_bus_claim(f->bus, &range, &err), ERR_FAILED, "frozen");
	assert_fails(device_bus_claim_movable(f->bus, &range, &claim, &err), ERR_FAILED, "frozen");
	assert_null(claim);
	assert_ok(device_bus_create(&bus, &err));
	assert_ok(device_bus_claim(bus, &range, &err));
	for (uint64_t base = 0x2f9; base < 0x308; base++) {
		range.base = base;
		assert_fails(device_bus_claim(bus, &range, &err), ERR_FAILED, "overlaps");
	}
	range.base = 0x308;
	assert_ok(device_bus_claim(bus, &range, &err));
	range.base = 0x2f8;
	assert_ok(device_bus_claim(bus, &range, &err));
	range.base = 0xfff9;
	assert_fails(device_bus_claim(bus, &range, &err), ERR_FAILED, "no range");
	range.size = 0;
	assert_fails(device_bus_claim(bus, &range, &err), ERR_FAILED, "no range");
	device_bus_destroy(bus);
}

static void test_bus_full_of_ranges_refuses_one_more(void **state)
{
	struct device_bus *bus;
	struct probe probe = {0};
	struct device_range range = range_of(&probe, DEVICE_MMIO, 0, 1);
	struct err err;
	unsigned n;

	assert_ok(device_bus_create(&bus, &err));
	for (n = 0; n < 1000 && device_bus_claim(bus, &range, &err) == 0; n++)
		range.base += 3;
	assert_in_range(n, 32, 999);
	assert_non_null(strstr(err.text, "ranges already"));
	for (unsigned i = 0; i < n; i++) /* and each is found, none beside it */
		assert_int_equal(device_bus_read(bus, DEVICE_MMIO, 3 * i, 2), 0xff00);
	device_bus_destroy(bus);
}

/* Splitting must not be visible: bytes read one by one are the bytes of the whole access. */
static void test_bus_any_access_equals_its_bytes(void **state)
{
	struct fixture *f = *state;
	uint64_t random = 42;

	device_claim_move(f->claim, true, 0x10a);
	for (int i = 0; i < 20000; i++) {
		uint64_t port = 0xf8 + next_random(&random) % 48;
		unsigned size = 1 + next_random(&random) % 8;
		uint64_t whole = device_bus_read(f->bus, DEVICE_PIO, port, size);

		for (unsigned k = 0; k < size; k++) {
			bool claimed = port + k >= 0x100 && port + k < 0x11a && port + k != 0x109;

			/* The probe repeats the offset of the first byte when it is asked whole. */
			assert_int_equal((whole >> (8 * k) & 0xff) == 0xff, !claimed);
		}
	}
}

static void move_around(void *ctx, unsigned round)
{
	struct fixture *f = ctx;

	device_claim_move(f->claim, round % 3, 0xf8 + round % 32);
}

static void test_bus_claims_move_while_vcpus_access(void **state)
{
	struct fixture *f = *state;

	hammer_from_two_threads(f->bus, 0xf0, 64, move_around, f);
	assert_true(f->mobile.reads + f->mobile.writes > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(
	                test_bus_access_inside_a_range_arrives_whole, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                test_bus_unclaimed_reads_ones_and_swallows_writes, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                test_bus_access_across_an_edge_is_split_into_bytes, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_bus_odd_sizes_are_split_into_bytes, setup, teardown),
	        cmocka_unit_test(test_bus_end_of_space_does_not_wrap),
	        cmocka_unit_test(test_bus_byte_device_gets_bytes_only),
	        cmocka_unit_test_setup_teardown(test_bus_movable_range_follows_its_base, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_bus_movable_range_out_of_space_is_off, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                test_bus_fixed_range_wins_over_a_movable_one, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_bus_stop_ends_a_split_write, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_bus_wrong_claims_are_refused, setup, teardown),
	        cmocka_unit_test(test_bus_full_of_ranges_refuses_one_more),
	        cmocka_unit_test_setup_teardown(test_bus_any_access_equals_its_bytes, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_bus_claims_move_while_vcpus_access, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

#define INDEX 0x70
#define DATA  0x71

/* `date -u -d @SECONDS`: 2026-11-20 23:59:58, a Friday. */
#define BEFORE_MIDNIGHT 1795219198

struct fixture {
	struct device_board board;
	struct device_bus *bus;
	struct fake_clock clock;
};

static void make(struct fixture *f, uint64_t low_bytes, uint64_t high_bytes)
{
	struct err err;

	f->board.clock = fake_clock(&f->clock);
	f->board.low_bytes = low_bytes;
	f->board.high_bytes = high_bytes;
	assert_ok(device_board_init(&f->board, &err));
	assert_ok(device_board_add(&f->board, &device_rtc_kind, NULL, &err));
	f->bus = f->board.bus;
	device_bus_freeze(f->bus);
}

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){.clock = {.wall_at_zero_s = BEFORE_MIDNIGHT}};
	make(&f, MIB(512), 0);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	device_board_finish(&f->board);
	return 0;
}

static uint8_t get(struct fixture *f, uint8_t cell)
{
	outb(f->bus, INDEX, cell);
	return inb(f->bus, DATA);
}

static void put(struct fixture *f, uint8_t cell, uint8_t value)
{
	outb(f->bus, INDEX, cell);
	outb(f->bus, DATA, value);
}

static void pass(struct fixture *f, uint64_t seconds)
{
	f->clock.ns += seconds * SECOND_NS;
}

/* Century, year, month, day, weekday, hours, minutes, seconds as they stand in the cells. */
static void assert_shows(struct fixture *f, const char *expected)
{
	char text[32];

	snprintf(text, sizeof(text), "%02x%02x-%02x-%02x %x %02x:%02x:%02x", get(f, 0x32), get(f, 9),
	        get(f, 8), get(f, 7), get(f, 6), get(f, 4), get(f, 2), get(f, 0));
	assert_string_equal(text, expected);
}

static void set(struct fixture *f, uint8_t century, uint8_t year, uint8_t month, uint8_t day, uint8_t hours,
        uint8_t minutes, uint8_t seconds)
{
	put(f, 0x0b, get(f, 0x0b) | 0x80);
	put(f, 0x00, seconds);
	put(f, 0x02, minutes);
	put(f, 0x04, hours);
	put(f, 0x07, day);
	put(f, 0x08, month);
	put(f, 0x09, year);
	put(f, 0x32, century);
	put(f, 0x0b, get(f, 0x0b) & 0x7f);
}

static void test_rtc_tells_the_wall_clock_in_bcd(void **state)
{
	struct fixture *f = *state;

	assert_shows(f, "2026-11-20 6 23:59:58");
	pass(f, 2);
	assert_shows(f, "2026-11-21 7 00:00:00");
	pass(f, 365 * 86400);
	assert_shows(f, "2027-11-21 1 00:00:00");
}

/* As firmware does at start: read until no update is near, then keep what it found valid. */
static void test_rtc_firmware_initialises_it(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(get(f, 0x0d) & 0x80, 0x80);
	assert_int_equal(get(f, 0x0a), 0x26);
	put(f, 0x0a, 0xaf); /* UIP cannot be written */
	assert_int_equal(get(f, 0x0a), 0x2f);
	put(f, 0x0a, 0x26);
	get(f, 0x0c);
	put(f, 0x0d, 0);
	assert_int_equal(get(f, 0x0d), 0x80);
	put(f, 0x0b, 0x02);
	assert_int_equal(get(f, 0x0b), 0x02);
	put(f, 0x0f, 0);
	assert_int_equal(get(f, 0x0f), 0);
	assert_int_equal(inb(f->bus, INDEX), 0xff);
}

static void test_rtc_nmi_bit_of_the_index_is_ignored(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(get(f, 0x80 | 0x0d), 0x80);
	put(f, 0x80 | 0x50, 0x42);
	assert_int_equal(get(f, 0x50), 0x42);
}

static void test_rtc_guest_sets_the_clock_across_midnight(void **state)
{
	struct fixture *f = *state;

	set(f, 0x20, 0x24, 0x02, 0x28, 0x23, 0x59, 0x59);
	assert_shows(f, "2024-02-28 6 23:59:59"); /* the weekday as it was, until the next update */
	pass(f, 1);
	assert_shows(f, "2024-02-29 5 00:00:00"); /* a leap year, a Thursday */
	pass(f, 86400);
	assert_shows(f, "2024-03-01 6 00:00:00");
	set(f, 0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x58);
	pass(f, 2);
	assert_shows(f, "2000-01-01 7 00:00:00");
}

/* While SET is on, the clock stands still and keeps what was written. Afterwards it goes on from there. */
static void test_rtc_set_holds_the_clock(void **state)
{
	struct fixture *f = *state;

	put(f, 0x0b, 0x82);
	put(f, 0x00, 0x30);
	pass(f, 100);
	assert_shows(f, "2026-11-20 6 23:59:30");
	f->clock.ns += SECOND_NS - 1;
	assert_int_equal(get(f, 0x0a) & 0x80, 0);
	f->clock.ns++;
	put(f, 0x0b, 0x02);
	assert_shows(f, "2026-11-20 6 23:59:30");
	pass(f, 1);
	assert_shows(f, "2026-11-20 6 23:59:31");
}

/* A guest's own time is an offset: steps of the host's wall clock move it along. */
static void test_rtc_guest_time_is_an_offset_to_the_wall(void **state)
{
	struct fixture *f = *state;

	set(f, 0x20, 0x30, 0x01, 0x01, 0x12, 0x00, 0x00);
	f->clock.wall_at_zero_s += 3600;
	assert_shows(f, "2030-01-01 3 13:00:00");
	f->clock.wall_at_zero_s -= 7200;
	assert_shows(f, "2030-01-01 3 11:00:00");
}

/* Bytes of a date written one by one without SET, as old software does, within one second. */
static void test_rtc_date_set_byte_by_byte_does_not_overflow(void **state)
{
	struct fixture *f = *state;

	set(f, 0x20, 0x25, 0x01, 0x31, 0x10, 0x00, 0x00);
	put(f, 8, 0x02); /* for a moment the 31st of February */
	put(f, 7, 0x15);
	pass(f, 1);
	assert_shows(f, "2025-02-15 7 10:00:01");
}

static void test_rtc_formats_show_the_same_time(void **state)
{
	struct fixture *f = *state;

	set(f, 0x20, 0x26, 0x11, 0x20, 0x13, 0x45, 0x59);
	put(f, 0x0b, 0x06); /* binary, 24 hours */
	assert_shows(f, "141a-0b-14 6 0d:2d:3b");
	put(f, 0x0b, 0x04); /* binary, 12 hours: 1 pm */
	assert_int_equal(get(f, 4), 0x81);
	put(f, 0x0b, 0x00); /* BCD, 12 hours */
	assert_shows(f, "2026-11-20 6 81:45:59");
	put(f, 0x0b, 0x02);
	assert_shows(f, "2026-11-20 6 13:45:59");
}

static void test_rtc_twelve_hours_count_as_clocks_do(void **state)
{
	static const struct {
		uint8_t cell;
		const char *in_24;
	} hours[] = {{0x12, "00"}, {0x01, "01"}, {0x11, "11"}, {0x92, "12"}, {0x81, "13"}, {0x91, "23"}};
	struct fixture *f = *state;
	char text[8];

	for (size_t i = 0; i < ARRAY_LEN(hours); i++) {
		put(f, 0x0b, 0x00);
		set(f, 0x20, 0x26, 0x11, 0x20, hours[i].cell, 0, 0);
		pass(f, 1);
		assert_int_equal(get(f, 4), hours[i].cell);
		put(f, 0x0b, 0x02);
		snprintf(text, sizeof(text), "%02x", get(f, 4));
		assert_string_equal(text, hours[i].in_24);
	}
}

/*
 * An update is announced 244 us ahead and is over when the second has begun, so a guest that saw no UIP may
 * read.
 */
static void test_rtc_update_in_progress_clears(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(get(f, 0x0a) & 0x80, 0);
	f->clock.ns += SECOND_NS - 244000 - 1;
	assert_int_equal(get(f, 0x0a) & 0x80, 0);
	f->clock.ns++;
	assert_int_equal(get(f, 0x0a) & 0x80, 0x80);
	assert_int_equal(get(f, 0), 0x58);
	f->clock.ns += 244000;
	assert_int_equal(get(f, 0x0a) & 0x80, 0);
	assert_int_equal(get(f, 0), 0x59);
}

/*
 * The seconds of the wall clock begin anywhere between those of the monotonic clock; the cells change only
 * after UIP.
 */
static void test_rtc_cells_change_only_with_uip(void **state)
{
	struct fixture *f = *state;

	f->clock.ns = SECOND_NS / 2;
	assert_int_equal(get(f, 0), 0x58);
	f->clock.wall_at_zero_s++; /* the wall ticks in the middle of our second */
	assert_int_equal(get(f, 0), 0x58);
	f->clock.ns = SECOND_NS;
	f->clock.wall_at_zero_s--;
	assert_int_equal(get(f, 0), 0x59);
	f->clock.wall_at_zero_s += 2; /* a real step is followed at once */
	assert_int_equal(get(f, 0), 0x01);
}

static void test_rtc_flags_are_cleared_by_reading(void **state)
{
	struct fixture *f = *state;

	get(f, 0x0c);
	assert_int_equal(get(f, 0x0c), 0);
	pass(f, 1);
	assert_int_equal(get(f, 0x0c), 0x50); /* update ended, periodic */
	assert_int_equal(get(f, 0x0c), 0);
	put(f, 0x0a, 0x20); /* rate 0: no periodic flag */
	pass(f, 1);
	assert_int_equal(get(f, 0x0c), 0x10);
	put(f, 0x0a, 0x2f); /* 2 Hz */
	f->clock.ns += SECOND_NS / 2;
	assert_int_equal(get(f, 0x0c), 0x40);
}

/* MC146818A, table 5, for the time base of 32.768 kHz. */
static void test_rtc_periodic_rates_are_the_chips(void **state)
{
	static const struct {
		uint8_t rate;
		uint64_t hz;
	} rates[] = {{1, 256}, {2, 128}, {3, 8192}, {6, 1024}, {8, 256}, {9, 128}, {15, 2}};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
		unsigned flags = 0;

		put(f, 0x0a, 0x20 | rates[i].rate);
		f->clock.ns = 1000 * SECOND_NS;
		get(f, 0x0c);
		for (unsigned k = 0; k < 64; k++) { /* quarters of a period */
			f->clock.ns += SECOND_NS / rates[i].hz / 4 + 1;
			flags += get(f, 0x0c) >> 6 & 1;
		}
		assert_int_equal(flags, 16);
	}
}

static void test_rtc_set_clears_the_update_interrupt(void **state)
{
	struct fixture *f = *state;

	put(f, 0x0b, 0x12);
	assert_int_equal(get(f, 0x0b), 0x12);
	put(f, 0x0b, 0x92);
	assert_int_equal(get(f, 0x0b), 0x82);
}

static void test_rtc_memory_size_cells(void **state)
{
	static const struct {
		uint64_t low, high;
		uint16_t base, extended, above_16m;
		uint32_t above_4g;
	} cases[] = {
	        {MIB(512), 0, 640, 0xffff, 0x1f00, 0},
	        {MIB(32), 0, 640, 31 * 1024, 0x100, 0},
	        {MIB(1), 0, 640, 0, 0, 0},
	        {GIB(2), GIB(6), 640, 0xffff, 0x7f00, 0x18000},
	        {GIB(2), GIB(1024) * 1024, 640, 0xffff, 0x7f00, 0xffffff},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fixture f = {0};

		make(&f, cases[i].low, cases[i].high);
		assert_int_equal(get(&f, 0x16) << 8 | get(&f, 0x15), cases[i].base);
		assert_int_equal(get(&f, 0x18) << 8 | get(&f, 0x17), cases[i].extended);
		assert_int_equal(get(&f, 0x31) << 8 | get(&f, 0x30), cases[i].extended);
		assert_int_equal(get(&f, 0x35) << 8 | get(&f, 0x34), cases[i].above_16m);
		assert_int_equal(get(&f, 0x5d) << 16 | get(&f, 0x5c) << 8 | get(&f, 0x5b), cases[i].above_4g);
		device_board_finish(&f.board);
	}
}

static void test_rtc_reset_keeps_the_time(void **state)
{
	struct fixture *f = *state;

	set(f, 0x20, 0x30, 0x01, 0x01, 0x12, 0x00, 0x30);
	put(f, 0x0b, 0x7a);
	put(f, 0x35, 0);
	put(f, 0x50, 0x42);
	outb(f->bus, INDEX, 0x50);
	reset_device(&f->board, &device_rtc_kind);
	assert_int_equal(inb(f->bus, DATA), 0x30); /* the index is that of the seconds again */
	assert_int_equal(get(f, 0x0b), 0x02);
	assert_int_equal(get(f, 0x35), 0x1f);
	assert_int_equal(get(f, 0x50), 0x42);
	pass(f, 5);
	assert_shows(f, "2030-01-01 3 12:00:35");
}

/* No value of a cell is an error; the clock goes on from the time that the value stands for. */
static void test_rtc_nonsense_times_run_on(void **state)
{
	struct fixture *f = *state;

	for (unsigned mode = 0; mode < 8; mode += 2)
		for (unsigned value = 0; value < 256; value++) {
			put(f, 0x0b, (uint8_t)mode);
			set(f, (uint8_t)value, 0xff, 0xff, 0xff, (uint8_t)value, 0xff, 0xff);
			pass(f, 1);
			assert_in_range(get(f, 0), 0, 0x59);
			assert_in_range(get(f, 6), 1, 7);
		}
}

static void test_rtc_survives_random_accesses(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 10; i++) {
		assert_survives(f->bus, INDEX - 2, 6, 20000);
		f->clock.ns = f->clock.ns * 5 + 12345678901;
	}
	assert_int_equal(get(f, 0x0d), 0x80);
}

/* The clocks at the ends of their ranges. */
static void test_rtc_absurd_clocks_are_survived(void **state)
{
	static const int64_t walls[] = {9223372036, -9223372036, 0, -1, INT64_MAX, INT64_MIN};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(walls); i++) {
		f->clock.wall_at_zero_s = walls[i];
		for (unsigned cell = 0; cell < 128; cell++)
			get(f, (uint8_t)cell);
	}
}

static void tick(void *ctx, unsigned round)
{
	struct fixture *f = ctx;

	pass(f, 1);
	if (round % 100 == 0)
		reset_device(&f->board, &device_rtc_kind);
}

static void test_rtc_two_vcpus_and_the_loop(void **state)
{
	struct fixture *f = *state;

	hammer_from_two_threads(f->bus, INDEX, 2, tick, f);
	assert_int_equal(get(f, 0x0d), 0x80);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_rtc_tells_the_wall_clock_in_bcd),
	        TEST(test_rtc_firmware_initialises_it),
	        TEST(test_rtc_nmi_bit_of_the_index_is_ignored),
	        TEST(test_rtc_guest_sets_the_clock_across_midnight),
	        TEST(test_rtc_set_holds_the_clock),
	        TEST(test_rtc_guest_time_is_an_offset_to_the_wall),
	        TEST(test_rtc_date_set_byte_by_byte_does_not_overflow),
	        TEST(test_rtc_formats_show_the_same_time),
	        TEST(test_rtc_twelve_hours_count_as_clocks_do),
	        TEST(test_rtc_update_in_progress_clears),
	        TEST(test_rtc_cells_change_only_with_uip),
	        TEST(test_rtc_flags_are_cleared_by_reading),
	        TEST(test_rtc_periodic_rates_are_the_chips),
	        TEST(test_rtc_set_clears_the_update_interrupt),
	        TEST(test_rtc_memory_size_cells),
	        TEST(test_rtc_reset_keeps_the_time),
	        TEST(test_rtc_nonsense_times_run_on),
	        TEST(test_rtc_survives_random_accesses),
	        TEST(test_rtc_absurd_clocks_are_survived),
	        TEST(test_rtc_two_vcpus_and_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest reads from the PM timer and the RTC after it was moved: time has gone on as the wall clocks of
 * the two hosts say, and never back.
 */
#include "move.h"

#define SECOND   INT64_C(1000000000)
#define HOUR     (3600 * SECOND)
#define TIMER_HZ 3579545

static uint32_t timer_of(struct pc *pc)
{
	return (uint32_t)pc_in(pc, PC_PM + 8, 4);
}

static uint8_t cell(struct pc *pc, uint8_t index)
{
	pc_out(pc, 0x70, 1, index);
	return (uint8_t)pc_in(pc, 0x71, 1);
}

static void put_cell(struct pc *pc, uint8_t index, uint8_t value)
{
	pc_out(pc, 0x70, 1, index);
	pc_out(pc, 0x71, 1, value);
}

/* Moves the devices that tell the time; the other host's wall clock is this much ahead of the first one's. */
static void go(struct move *move, int64_t away_ns)
{
	move->to.wall_ns = move->from.wall_ns + away_ns;
	load_kind(&move->from, &move->to, &device_pci_kind);
	load_kind(&move->from, &move->to, &device_power_kind);
	load_kind(&move->from, &move->to, &device_rtc_kind);
}

static int setup_pm(void **state)
{
	int result = setup(state);
	struct move *move = *state;

	pc_use_pci(&move->from);
	return result;
}

/* ---- the PM timer ---- */

static void check_timer(struct move *move, int64_t away_ns, uint64_t ticks)
{
	uint32_t before = timer_of(&move->from);

	go(move, away_ns);
	/* ticks is rounded down. */
	assert_in_range((timer_of(&move->to) - before - ticks) & 0xffffff, 0, 1);
}

static void test_move_time_timer_goes_on(void **state)
{
	struct move *move = *state;
	uint32_t there;

	check_timer(move, 0, 0);
	there = timer_of(&move->to);
	move->to.now_ns += SECOND / 2;
	assert_in_range((timer_of(&move->to) - there) & 0xffffff, TIMER_HZ / 2, TIMER_HZ / 2 + 1);
}

static void test_move_time_timer_counts_the_time_between(void **state)
{
	check_timer(*state, SECOND / 4, TIMER_HZ / 4);
}

static void test_move_time_timer_stays_where_the_other_clock_is_behind(void **state)
{
	check_timer(*state, -20 * HOUR, 0);
}

static void test_move_time_of_more_than_a_year_is_not_believed(void **state)
{
	const uint64_t year = UINT64_C(366) * 24 * 3600;

	check_timer(*state, 3 * 366 * 24 * HOUR, year * TIMER_HZ);
}

/* Also if the clocks are at the ends of what they can be. */
static void test_move_time_absurd_clocks_are_survived(void **state)
{
	static const int64_t walls[] = {INT64_MIN, -1, 0, 1, INT64_MAX};
	struct move *move = *state;

	move->from.now_ns = UINT64_MAX - 5;
	for (size_t i = 0; i < ARRAY_LEN(walls) * ARRAY_LEN(walls); i++) {
		struct vmstate s;
		struct err err;
		unsigned rtc = pc_index(&move->from, &device_rtc_kind);

		move->from.wall_ns = walls[i / ARRAY_LEN(walls)];
		move->to.wall_ns = walls[i % ARRAY_LEN(walls)];
		s = save(&move->from, rtc);
		assert_ok(device_board_load(&move->to.board, rtc, s.data, s.size, &err));
		vmstate_finish(&s);
		for (unsigned index = 0; index < 128; index++)
			cell(&move->to, (uint8_t)index);
	}
}

/* ---- the RTC ---- */

/* The wall clock says 23:59:58 when a machine is made; 123 s later it is 00:02:01. */
static void start_rtc(struct move *move)
{
	move->from.now_ns = 123 * SECOND;
	move->from.wall_ns += 123 * SECOND;
	assert_int_equal(cell(&move->from, 4), 0x00);
	assert_int_equal(cell(&move->from, 2), 0x02);
	assert_int_equal(cell(&move->from, 0), 0x01);
}

static void test_move_time_rtc_keeps_its_difference_from_the_wall(void **state)
{
	struct move *move = *state;

	start_rtc(move);
	put_cell(&move->from, 4, 0x13);
	move->to.now_ns = 0;
	go(move, 7 * SECOND);
	assert_int_equal(cell(&move->to, 4), 0x13);
	assert_int_equal(cell(&move->to, 2), 0x02);
	assert_int_equal(cell(&move->to, 0), 0x08);
	/* The wall clock here is followed as before. */
	move->to.now_ns += SECOND;
	move->to.wall_ns += SECOND;
	assert_int_equal(cell(&move->to, 0), 0x09);
	move->to.wall_ns += 60 * SECOND;
	assert_int_equal(cell(&move->to, 2), 0x03);
}

static void test_move_time_rtc_does_not_go_back(void **state)
{
	struct move *move = *state;

	start_rtc(move);
	go(move, -2 * HOUR);
	assert_int_equal(cell(&move->to, 4), 0x00);
	assert_int_equal(cell(&move->to, 2), 0x02);
	assert_int_equal(cell(&move->to, 0), 0x01);
}

/* The software platform's clock may begin anew with its process, and its wall clock with it. */
static void test_move_time_rtc_goes_on_under_a_virtual_clock(void **state)
{
	struct move *move = *state;

	start_rtc(move);
	move->to.now_ns = 0;
	go(move, -123 * SECOND);
	assert_int_equal(cell(&move->to, 0), 0x01);
	move->to.now_ns += 5 * SECOND;
	move->to.wall_ns += 5 * SECOND;
	assert_int_equal(cell(&move->to, 0), 0x06);
	assert_int_equal(cell(&move->to, 2), 0x02);
}

/* The cells change when UIP says so, which depends on where in a second the guest was. */
static void test_move_time_rtc_keeps_its_phase(void **state)
{
	struct move *move = *state;

	start_rtc(move);
	move->from.now_ns += SECOND - 100000;
	assert_int_equal(cell(&move->from, 0x0a) & 0x80, 0x80);
	move->to.now_ns = 17;
	go(move, 50000);
	assert_int_equal(cell(&move->to, 0x0a) & 0x80, 0x80);
	assert_int_equal(cell(&move->to, 0), 0x01);
	move->to.now_ns += 50000;
	assert_int_equal(cell(&move->to, 0x0a) & 0x80, 0);
	assert_int_equal(cell(&move->to, 0), 0x02);
}

static void test_move_time_rtc_cells_that_are_being_set_stay(void **state)
{
	struct move *move = *state;

	start_rtc(move);
	put_cell(&move->from, 0x0b, 0x82);
	put_cell(&move->from, 0, 0x30);
	go(move, 10 * SECOND);
	assert_int_equal(cell(&move->to, 0), 0x30);
	put_cell(&move->to, 0x0b, 0x02);
	move->to.now_ns += SECOND;
	move->to.wall_ns += SECOND;
	assert_int_equal(cell(&move->to, 0), 0x31);
}

/* What happened before the move and was not read is read there, once. */
static void test_move_time_rtc_flags_are_kept(void **state)
{
	struct move *move = *state;

	start_rtc(move);
	cell(&move->from, 0x0c);
	move->from.now_ns += SECOND;
	go(move, 0);
	assert_int_equal(cell(&move->to, 0x0c) & 0x10, 0x10);
	assert_int_equal(cell(&move->to, 0x0c), 0);
}

static void test_move_time_rtc_flags_that_were_read_do_not_come_again(void **state)
{
	struct move *move = *state;

	start_rtc(move);
	cell(&move->from, 0x0c);
	go(move, 0);
	assert_int_equal(cell(&move->to, 0x0c), 0);
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_pm, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_move_time_timer_goes_on),
	        TEST(test_move_time_timer_counts_the_time_between),
	        TEST(test_move_time_timer_stays_where_the_other_clock_is_behind),
	        TEST(test_move_time_of_more_than_a_year_is_not_believed),
	        TEST(test_move_time_absurd_clocks_are_survived),
	        TEST(test_move_time_rtc_keeps_its_difference_from_the_wall),
	        TEST(test_move_time_rtc_does_not_go_back),
	        TEST(test_move_time_rtc_goes_on_under_a_virtual_clock),
	        TEST(test_move_time_rtc_keeps_its_phase),
	        TEST(test_move_time_rtc_cells_that_are_being_set_stay),
	        TEST(test_move_time_rtc_flags_are_kept),
	        TEST(test_move_time_rtc_flags_that_were_read_do_not_come_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

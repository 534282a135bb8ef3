/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtc: an MC146818 with 128 bytes of CMOS memory, ports 0x70 and 0x71. Runs on any vCPU thread, with one
 * lock. As in the chip, the time cells hold the time. They catch up with the clock when the guest looks at
 * them, so no timer runs. The chip raises no interrupts here. Motorola MC146818A data sheet; the memory size
 * cells are filled as the firmware of PCs leaves them.
 */
#include <time.h>

#include "away.h"

#define RTC_PORT      0x70
#define RTC_PORTS     2
#define SECOND_NS     1000000000ull
#define UIP_NS        244000 /* UIP announces an update this much ahead (data sheet, t_BUC) */
#define A_UIP         0x80
#define B_SET         0x80
#define B_PIE_AIE_UIE 0x70
#define B_UIE         0x10
#define B_SQWE        0x08
#define B_BINARY      0x04
#define B_24H         0x02
#define C_PF          0x40
#define C_UF          0x10
#define D_VALID       0x80
#define HOUR_PM       0x80
#define REG_A_RESET   0x26 /* 32.768 kHz, 1,024 Hz */

enum cell {
	SECONDS = 0x00,
	MINUTES = 0x02,
	HOURS = 0x04,
	WEEKDAY = 0x06,
	DAY = 0x07,
	MONTH = 0x08,
	YEAR = 0x09,
	REG_A = 0x0a,
	REG_B = 0x0b,
	REG_C = 0x0c,
	REG_D = 0x0d,
	CENTURY = 0x32,
};

struct device_rtc {
	struct device device;
	struct device_time time;
	uint64_t low_bytes, high_bytes;
	int64_t skew_s;    /* wall clock minus whole seconds of the monotonic one */
	int64_t cells_s;   /* the second for which the time cells hold */
	uint64_t flags_ns; /* when register C was last read */
	uint8_t index;
	uint8_t cells[128];
};

/* ---- what the clock says ---- */

/*
 * The wall clock, with its seconds made to begin where those of the monotonic clock do, so that UIP can be
 * announced. That changes it by one second at most. A larger difference means that the wall clock was set,
 * and is followed.
 */
static int64_t clock_seconds(struct device_rtc *rtc)
{
	int64_t up = (int64_t)(device_time_now(&rtc->time) / SECOND_NS);
	int64_t skew = device_time_wall_s(&rtc->time) - up;

	if (skew < rtc->skew_s - 1 || skew > rtc->skew_s + 1)
		rtc->skew_s = skew;
	return up + rtc->skew_s;
}

static bool is_updating(const struct device_rtc *rtc)
{
	uint64_t phase = device_time_now(&rtc->time) % SECOND_NS;

	return !(rtc->cells[REG_B] & B_SET) && phase >= SECOND_NS - UIP_NS;
}

/* ---- cells to time and back, in the format that register B asks for ---- */

static int decode(const struct device_rtc *rtc, uint8_t cell)
{
	return rtc->cells[REG_B] & B_BINARY ? cell : (cell >> 4) * 10 + (cell & 0x0f);
}

static uint8_t encode(const struct device_rtc *rtc, int number)
{
	return (uint8_t)(rtc->cells[REG_B] & B_BINARY ? number : number / 10 << 4 | number % 10);
}

static int decode_hours(const struct device_rtc *rtc)
{
	uint8_t cell = rtc->cells[HOURS];

	if (rtc->cells[REG_B] & B_24H)
		return decode(rtc, cell);
	return decode(rtc, cell & ~HOUR_PM) % 12 + (cell & HOUR_PM ? 12 : 0);
}

static uint8_t encode_hours(const struct device_rtc *rtc, int hour)
{
	if (rtc->cells[REG_B] & B_24H)
		return encode(rtc, hour);
	return encode(rtc, (hour + 11) % 12 + 1) | (hour >= 12 ? HOUR_PM : 0);
}

/* A day that the month lacks (the 40th) is counted on into the next month, as timegm() does. */
static int64_t cells_to_time(const struct device_rtc *rtc)
{
	const uint8_t *cells = rtc->cells;
	struct tm tm = {.tm_sec = decode(rtc, cells[SECONDS]),
	        .tm_min = decode(rtc, cells[MINUTES]),
	        .tm_hour = decode_hours(rtc),
	        .tm_mday = decode(rtc, cells[DAY]),
	        .tm_mon = decode(rtc, cells[MONTH]) - 1,
	        .tm_year = decode(rtc, cells[CENTURY]) * 100 + decode(rtc, cells[YEAR]) - 1900};

	return timegm(&tm);
}

static void time_to_cells(struct device_rtc *rtc, int64_t time)
{
	uint8_t *cells = rtc->cells;
	struct tm tm = {.tm_mday = 1, .tm_year = 70, .tm_wday = 4};
	int year;

	gmtime_r(&(time_t){time}, &tm);
	year = (int)(((tm.tm_year + 1900LL) % 10000 + 10000) % 10000);
	cells[SECONDS] = encode(rtc, tm.tm_sec % 60);
	cells[MINUTES] = encode(rtc, tm.tm_min);
	cells[HOURS] = encode_hours(rtc, tm.tm_hour);
	cells[WEEKDAY] = encode(rtc, tm.tm_wday + 1);
	cells[DAY] = encode(rtc, tm.tm_mday);
	cells[MONTH] = encode(rtc, tm.tm_mon + 1);
	cells[YEAR] = encode(rtc, year % 100);
	cells[CENTURY] = encode(rtc, year / 100);
}

/* Lets the time cells catch up, unless the guest holds them (SET). */
static void catch_up(struct device_rtc *rtc)
{
	int64_t now = clock_seconds(rtc);

	if (!(rtc->cells[REG_B] & B_SET) && now != rtc->cells_s)
		time_to_cells(rtc, cells_to_time(rtc) + (now - rtc->cells_s));
	rtc->cells_s = now;
}

/* ---- registers ---- */

/* Rates 1 and 2 are those of 8 and 9 (data sheet, table 5, 32.768 kHz); 0 is off. */
static uint64_t period_ns(const struct device_rtc *rtc)
{
	unsigned rate = rtc->cells[REG_A] & 0x0f;

	if (rate == 1 || rate == 2)
		rate += 7;
	return rate ? (SECOND_NS << (rate - 1)) / 32768 : 0;
}

/* The flags of what happened since register C was last read. Guests poll them; no interrupt follows. */
static uint8_t read_reg_c(struct device_rtc *rtc)
{
	uint64_t now = device_time_now(&rtc->time), period = period_ns(rtc), before = rtc->flags_ns;
	uint8_t flags = 0;

	if (!(rtc->cells[REG_B] & B_SET) && now / SECOND_NS != before / SECOND_NS)
		flags |= C_UF;
	if (period && now / period != before / period)
		flags |= C_PF;
	rtc->flags_ns = now;
	return flags;
}

static uint8_t read_cell(struct device_rtc *rtc)
{
	switch (rtc->index) {
	case REG_A: return (rtc->cells[REG_A] & ~A_UIP) | (is_updating(rtc) ? A_UIP : 0);
	case REG_C: return read_reg_c(rtc);
	case REG_D: return D_VALID;
	default: catch_up(rtc); return rtc->cells[rtc->index];
	}
}

/* A running clock keeps its time when the format changes. Cells that are being set keep what was written. */
static void write_reg_b(struct device_rtc *rtc, uint8_t value)
{
	bool was_running = !(rtc->cells[REG_B] & B_SET);
	int64_t time;

	catch_up(rtc);
	time = cells_to_time(rtc);
	rtc->cells[REG_B] = value & B_SET ? value & ~B_UIE : value; /* SET also clears UIE */
	if (was_running)
		time_to_cells(rtc, time);
}

static void write_cell(struct device_rtc *rtc, uint8_t value)
{
	switch (rtc->index) {
	case REG_B: write_reg_b(rtc, value); return;
	case REG_C:
	case REG_D: return;
	default: catch_up(rtc); rtc->cells[rtc->index] = value;
	}
}

/* The index port cannot be read on a PC. Its bit 7 masks NMIs, which no device sends here. */
static uint64_t on_read(void *dev, uint64_t offset, unsigned size)
{
	struct device_rtc *rtc = dev;
	uint8_t value = 0xff;

	pthread_mutex_lock(&rtc->device.lock);
	if (offset == 1)
		value = read_cell(rtc);
	pthread_mutex_unlock(&rtc->device.lock);
	return value;
}

static enum device_verdict on_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct device_rtc *rtc = dev;

	pthread_mutex_lock(&rtc->device.lock);
	if (offset == 0)
		rtc->index = value & 0x7f;
	else
		write_cell(rtc, (uint8_t)value);
	pthread_mutex_unlock(&rtc->device.lock);
	return DEVICE_RESUME;
}

/* ---- a guest that goes on elsewhere ---- */

static void check_cells(const struct device_rtc *rtc, struct vmstate *s)
{
	uint8_t b = rtc->cells[REG_B];

	if (rtc->cells[REG_C] || rtc->cells[REG_D] || ((b & B_SET) && (b & B_UIE)))
		vmstate_fail(s, "its registers are 0x%02x, 0x%02x, 0x%02x, which the chip prevents", b,
		        rtc->cells[REG_C], rtc->cells[REG_D]);
}

/*
 * The cells go on from the second for which they held, by the time that has passed since. So they keep what
 * the guest made them differ from the wall clock, and never go back if the wall clock is behind here.
 */
static void visit(struct device *device, struct vmstate *s)
{
	struct device_rtc *rtc = (struct device_rtc *)device;
	uint64_t saved_ns;

	pthread_mutex_lock(&rtc->device.lock);
	if (!s->loads)
		catch_up(rtc);
	saved_ns = device_time_visit(&rtc->time, s);
	vmstate_u64(s, "the time of register C", &rtc->flags_ns, UINT64_MAX);
	vmstate_u8(s, "index", &rtc->index, 0x7f);
	vmstate_bytes(s, "cells", rtc->cells, sizeof(rtc->cells));
	if (s->loads) {
		check_cells(rtc, s);
		rtc->skew_s =
		        device_time_wall_s(&rtc->time) - (int64_t)(device_time_now(&rtc->time) / SECOND_NS);
		rtc->cells_s = (int64_t)(saved_ns / SECOND_NS) + rtc->skew_s;
	}
	pthread_mutex_unlock(&rtc->device.lock);
}

/* ---- the kind ---- */

static uint64_t units(uint64_t bytes, uint64_t above, uint64_t unit, uint64_t max)
{
	uint64_t n = bytes > above ? (bytes - above) / unit : 0;

	return n < max ? n : max;
}

/* KiB below 640 KiB and above 1 MiB, 64 KiB blocks above 16 MiB and above 4 GiB. */
static void fill_memory_size(struct device_rtc *rtc)
{
	uint64_t extended = units(rtc->low_bytes, MIB(1), KIB(1), 0xffff);

	store_le(&rtc->cells[0x15], 2, units(rtc->low_bytes, 0, KIB(1), 640));
	store_le(&rtc->cells[0x17], 2, extended);
	store_le(&rtc->cells[0x30], 2, extended);
	store_le(&rtc->cells[0x34], 2, units(rtc->low_bytes, MIB(16), KIB(64), 0xffff));
	store_le(&rtc->cells[0x5b], 3, units(rtc->high_bytes, 0, KIB(64), 0xffffff));
}

/* As the chip's RESET pin does: the time stays. The memory size cells are filled anew. */
static void reset(struct device *device)
{
	struct device_rtc *rtc = (struct device_rtc *)device;

	pthread_mutex_lock(&rtc->device.lock);
	catch_up(rtc);
	rtc->index = 0;
	rtc->cells[REG_B] &= (uint8_t) ~(B_PIE_AIE_UIE | B_SQWE);
	fill_memory_size(rtc);
	pthread_mutex_unlock(&rtc->device.lock);
}

static int init(struct device *device, struct device_board *board, const void *ask, struct err *err)
{
	struct device_rtc *rtc = (struct device_rtc *)device;
	const struct device_range range = {.name = "RTC",
	        .space = DEVICE_PIO,
	        .base = RTC_PORT,
	        .size = RTC_PORTS,
	        .read = on_read,
	        .write = on_write,
	        .dev = rtc,
	        .widest = 1};

	rtc->time.clock = board->clock;
	rtc->low_bytes = board->low_bytes;
	rtc->high_bytes = board->high_bytes;
	rtc->cells[REG_A] = REG_A_RESET;
	rtc->cells[REG_B] = B_24H;
	rtc->cells_s = clock_seconds(rtc);
	time_to_cells(rtc, rtc->cells_s);
	fill_memory_size(rtc);
	return device_bus_claim(board->bus, &range, err);
}

const struct device_kind device_rtc_kind = {
        .name = "RTC",
        .size = sizeof(struct device_rtc),
        .init = init,
        .reset = reset,
        .visit = visit,
        .isa = {"RTC_", "PNP0B00", RTC_PORT, RTC_PORTS, 0},
};

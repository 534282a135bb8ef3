/*
 * rtc: an MC146818 with 128 bytes of CMOS memory, ports 0x70 and 0x71. Any vCPU thread; one lock. The time
 * cells are the truth, as in the chip, and catch up with the clock when somebody looks: nothing runs.
 * Motorola MC146818A data sheet; the memory size cells as firmware of PCs leaves them. No interrupts.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "vmm/device.h"

#define RTC_PORT      0x70
#define SECOND_NS     1000000000ull
#define UIP_NS        244000 /* UIP announces an update this much ahead (data sheet, t_BUC) */
#define A_UIP         0x80
#define B_SET         0x80
#define B_PIE_AIE_UIE 0x70
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
	pthread_mutex_t lock;
	struct device_clock clock;
	uint64_t low_bytes, high_bytes;
	int64_t skew_s;    /* wall clock minus whole seconds of the monotonic one */
	int64_t cells_s;   /* the second for which the time cells hold */
	uint64_t flags_ns; /* when register C was last read */
	uint8_t index;
	uint8_t cells[128];
};

/* ---- what the clock says ---- */

/*
 * The wall clock, but with its seconds beginning where those of the monotonic clock do, so that UIP can be
 * announced: the two differ by one second at most, more is a step of the wall clock and followed.
 */
static int64_t clock_seconds(struct device_rtc *rtc)
{
	int64_t up = (int64_t)(rtc->clock.now_ns(rtc->clock.ctx) / SECOND_NS);
	int64_t skew = rtc->clock.wall_s(rtc->clock.ctx) - up;

	if (skew < rtc->skew_s - 1 || skew > rtc->skew_s + 1)
		rtc->skew_s = skew;
	return up + rtc->skew_s;
}

static bool is_updating(const struct device_rtc *rtc)
{
	uint64_t phase = rtc->clock.now_ns(rtc->clock.ctx) % SECOND_NS;

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

/* What no calendar has (the 40th of a month) counts on from what it has, as timegm() does. */
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

/* Flags of what happened since the last look; they are polled, no interrupt follows. */
static uint8_t read_reg_c(struct device_rtc *rtc)
{
	uint64_t now = rtc->clock.now_ns(rtc->clock.ctx), period = period_ns(rtc), before = rtc->flags_ns;
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

/* A running clock keeps its time when the format changes; one that is being set is taken as written. */
static void write_reg_b(struct device_rtc *rtc, uint8_t value)
{
	bool was_running = !(rtc->cells[REG_B] & B_SET);
	int64_t time;

	catch_up(rtc);
	time = cells_to_time(rtc);
	rtc->cells[REG_B] = value & B_SET ? value & ~0x10 : value; /* SET also clears UIE */
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

/* The index port cannot be read on a PC; its bit 7 masks NMIs, which nobody sends. */
static uint64_t on_read(void *dev, uint64_t offset, unsigned size)
{
	struct device_rtc *rtc = dev;
	uint8_t value = 0xff;

	pthread_mutex_lock(&rtc->lock);
	if (offset == 1)
		value = read_cell(rtc);
	pthread_mutex_unlock(&rtc->lock);
	return value;
}

static enum device_verdict on_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct device_rtc *rtc = dev;

	pthread_mutex_lock(&rtc->lock);
	if (offset == 0)
		rtc->index = value & 0x7f;
	else
		write_cell(rtc, (uint8_t)value);
	pthread_mutex_unlock(&rtc->lock);
	return DEVICE_RESUME;
}

/* ---- creation ---- */

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

void device_rtc_reset(struct device_rtc *rtc)
{
	pthread_mutex_lock(&rtc->lock);
	catch_up(rtc);
	rtc->index = 0;
	rtc->cells[REG_B] &= (uint8_t) ~(B_PIE_AIE_UIE | B_SQWE);
	fill_memory_size(rtc);
	pthread_mutex_unlock(&rtc->lock);
}

int device_rtc_create(struct device_bus *bus, struct device_clock clock, uint64_t low_bytes,
        uint64_t high_bytes, struct device_rtc **ret_rtc, struct err *err)
{
	auto_free struct device_rtc *rtc = calloc(1, sizeof(*rtc));
	struct device_range range = {.name = "RTC",
	        .space = DEVICE_PIO,
	        .base = RTC_PORT,
	        .size = 2,
	        .read = on_read,
	        .write = on_write,
	        .dev = rtc,
	        .widest = 1};

	if (!rtc)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for the RTC");
	pthread_mutex_init(&rtc->lock, NULL);
	rtc->clock = clock;
	rtc->low_bytes = low_bytes;
	rtc->high_bytes = high_bytes;
	rtc->cells[REG_A] = REG_A_RESET;
	rtc->cells[REG_B] = B_24H;
	rtc->cells_s = clock_seconds(rtc);
	time_to_cells(rtc, rtc->cells_s);
	fill_memory_size(rtc);
	if (device_bus_claim(bus, &range, err) < 0)
		return -1;
	*ret_rtc = take_ptr(&rtc);
	return 0;
}

void device_rtc_destroy(struct device_rtc *rtc)
{
	if (!rtc)
		return;
	pthread_mutex_destroy(&rtc->lock);
	free(rtc);
}

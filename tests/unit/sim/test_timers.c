/* SPDX-License-Identifier: Apache-2.0 */
/* The timers of the local APIC and the PIT, against a clock that the tests set. */
#include "irq_bench.h"

static void test_lapic_one_shot_fires_once_when_due(void **state)
{
	struct bench *b = bench_start();
	struct irq_lapic *l = &b->lapic[0];

	lapic_write(l, LAPIC_LVT_TIMER, 0x20, 0);
	lapic_write(l, LAPIC_TIMER_DIVIDE, 0x3, 0); /* by 16 */
	lapic_write(l, LAPIC_TIMER_INITIAL, 1000, 500);
	assert_int_equal(irq_chip_next_timer(b->chip), 16500);
	assert_int_equal(lapic_read(l, LAPIC_TIMER_CURRENT, 8500), 500);
	irq_chip_run_timers(b->chip, 16499);
	assert_int_equal(irq_lapic_pending(l), -1);
	irq_chip_run_timers(b->chip, 16500);
	assert_int_equal(irq_lapic_ack(l), 0x20);
	assert_int_equal(lapic_read(l, LAPIC_TIMER_CURRENT, 17000), 0);
	assert_true(irq_chip_next_timer(b->chip) == IRQ_NEVER);
	bench_end(b);
}

static void test_lapic_periodic_keeps_its_beat_when_late(void **state)
{
	struct bench *b = bench_start();
	struct irq_lapic *l = &b->lapic[0];

	lapic_write(l, LAPIC_LVT_TIMER, 0x20020, 0);
	lapic_write(l, LAPIC_TIMER_DIVIDE, 0xb, 0); /* by 1 */
	lapic_write(l, LAPIC_TIMER_INITIAL, 10000000, 0);
	irq_chip_run_timers(b->chip, 10000000);
	assert_int_equal(irq_lapic_ack(l), 0x20);
	lapic_write(l, LAPIC_EOI, 0, 0);
	irq_chip_run_timers(b->chip, 35000000);
	assert_int_equal(irq_lapic_ack(l), 0x20); /* two beats in one */
	assert_int_equal(irq_chip_next_timer(b->chip), 40000000);
	lapic_write(l, LAPIC_TIMER_INITIAL, 0, 35000000);
	assert_true(irq_chip_next_timer(b->chip) == IRQ_NEVER);
	lapic_write(l, LAPIC_TIMER_INITIAL, 1, 35000000); /* no storm: at most a beat each 200 us */
	assert_int_equal(irq_chip_next_timer(b->chip), 35200000);
	bench_end(b);
}

static void test_lapic_masked_timer_waits_for_its_mask(void **state)
{
	struct bench *b = bench_start();
	struct irq_lapic *l = &b->lapic[0];

	lapic_write(l, LAPIC_LVT_TIMER, 0x10020, 0);
	lapic_write(l, LAPIC_TIMER_INITIAL, 1000, 0);
	irq_chip_run_timers(b->chip, 100000);
	assert_int_equal(irq_lapic_pending(l), -1);
	lapic_write(l, LAPIC_LVT_TIMER, 0x20, 100000);
	assert_int_equal(irq_lapic_ack(l), 0x20);
	lapic_write(l, LAPIC_EOI, 0, 0);
	lapic_write(l, LAPIC_LVT_TIMER, 0x10020, 100000);
	lapic_write(l, LAPIC_TIMER_INITIAL, 1000, 100000);
	irq_chip_run_timers(b->chip, 200000);
	lapic_write(l, LAPIC_TIMER_INITIAL, 1000, 200000); /* who starts it anew does not want the old one */
	lapic_write(l, LAPIC_LVT_TIMER, 0x20, 200000);
	assert_int_equal(irq_lapic_pending(l), -1);
	bench_end(b);
}

static void test_lapic_timer_runs_on_while_the_lapic_is_off(void **state)
{
	struct bench *b = bench_start();
	struct irq_lapic *l = &b->lapic[0];

	lapic_write(l, LAPIC_LVT_TIMER, 0x20, 0);
	lapic_write(l, LAPIC_TIMER_INITIAL, 1000, 0);
	irq_lapic_set_base(l, IRQ_LAPIC_BASE);
	irq_chip_run_timers(b->chip, 100000);
	assert_int_equal(irq_lapic_pending(l), -1);
	irq_lapic_set_base(l, IRQ_LAPIC_BASE | IRQ_LAPIC_BASE_ON);
	assert_int_equal(irq_lapic_ack(l), 0x20);
	bench_end(b);
}

static void test_lapic_timer_has_the_modes_of_cpuid_alone(void **state)
{
	struct bench *b = bench_start();
	struct irq_lapic *l = &b->lapic[0];

	lapic_write(l, LAPIC_LVT_TIMER, 0x60020, 0); /* no mode: it does not count */
	assert_int_equal(lapic_read(l, LAPIC_LVT_TIMER, 0), 0x60020);
	lapic_write(l, LAPIC_TIMER_INITIAL, 1000, 0);
	assert_true(irq_chip_next_timer(b->chip) == IRQ_NEVER);
	l->timer_modes = 0x20000;
	lapic_write(l, LAPIC_LVT_TIMER, 0x40020, 0);
	assert_int_equal(lapic_read(l, LAPIC_LVT_TIMER, 0), 0x20);
	irq_lapic_set_deadline(l, 5000, 5000);
	assert_int_equal(irq_lapic_deadline(l), 0);
	bench_end(b);
}

static void test_lapic_deadline_only_in_its_mode(void **state)
{
	struct bench *b = bench_start();
	struct irq_lapic *l = &b->lapic[0];

	irq_lapic_set_deadline(l, 777, 777);
	assert_int_equal(l->deadline_tsc, 0);
	lapic_write(l, LAPIC_LVT_TIMER, 0x40030, 0);
	lapic_write(l, LAPIC_TIMER_INITIAL, 1000, 0); /* no meaning in this mode */
	assert_true(irq_chip_next_timer(b->chip) == IRQ_NEVER);
	irq_lapic_set_deadline(l, 5000, 4000);
	assert_int_equal(irq_chip_next_timer(b->chip), 4000);
	irq_chip_run_timers(b->chip, 4000);
	assert_int_equal(irq_lapic_ack(l), 0x30);
	assert_int_equal(l->deadline_tsc, 0);
	irq_lapic_set_deadline(l, 9000, 9000);
	lapic_write(l, LAPIC_LVT_TIMER, 0x30, 0); /* leaving the mode disarms */
	assert_true(irq_chip_next_timer(b->chip) == IRQ_NEVER);
	bench_end(b);
}

/* ---- PIT ---- */

static struct bench *with_pit(void)
{
	struct bench *b = bench_start();

	b->chip->pit = calloc(1, sizeof(*b->chip->pit));
	assert_non_null(b->chip->pit);
	b->chip->pit->speaker = true;
	irq_pit_reset(b->chip->pit, 0);
	return b;
}

static void out(struct bench *b, uint16_t port, uint8_t value, uint64_t now_ns)
{
	assert_true(irq_chip_io(b->chip, true, port, 1, &value, now_ns));
}

static uint8_t in(struct bench *b, uint16_t port, uint64_t now_ns)
{
	uint8_t value = 0;

	assert_true(irq_chip_io(b->chip, false, port, 1, &value, now_ns));
	return value;
}

static uint64_t ticks(uint64_t n)
{
	return n * 1000000000u / 1193182 + 1;
}

static void test_pit_rate_generator_beats_at_gsi_0(void **state)
{
	struct bench *b = with_pit();

	ioapic_write(b, 0x10, 0x30);
	out(b, 0x43, 0x34, 0);
	out(b, 0x40, 0x9c, 0); /* 11932: 100 Hz */
	assert_true(irq_chip_next_timer(b->chip) == IRQ_NEVER);
	out(b, 0x40, 0x2e, 0);
	assert_in_range(irq_chip_next_timer(b->chip), 10000000, 10000200);
	irq_chip_run_timers(b->chip, 10000200);
	assert_int_equal(irq_lapic_ack(&b->lapic[0]), 0x30);
	assert_true(b->chip->pic.output);
	lapic_write(&b->lapic[0], LAPIC_EOI, 0, 0);
	assert_in_range(irq_chip_next_timer(b->chip), 20000000, 20000400);
	irq_chip_run_timers(
	        b->chip, 10000000000); /* a thousand beats late: one interrupt, and back in step */
	assert_int_equal(irq_lapic_ack(&b->lapic[0]), 0x30);
	assert_in_range(irq_chip_next_timer(b->chip), 10000000001, 10010000000);
	bench_end(b);
}

static void test_pit_one_shot_counts_down_and_raises_out(void **state)
{
	struct bench *b = with_pit();

	out(b, 0x43, 0xb0, 0);
	out(b, 0x42, 0x10, 0);
	out(b, 0x42, 0x27, 0); /* 10000 */
	assert_int_equal(in(b, 0x61, ticks(9999)) & 0x20, 0);
	assert_int_equal(in(b, 0x61, ticks(10000)) & 0x20, 0x20);
	assert_int_equal(in(b, 0x42, ticks(16)), 0x00); /* 9984 is 2700h */
	assert_int_equal(in(b, 0x42, ticks(16)), 0x27);
	out(b, 0x43, 0x80, ticks(100)); /* latch: 9900 is 26ach */
	assert_int_equal(in(b, 0x42, ticks(500)), 0xac);
	assert_int_equal(in(b, 0x42, ticks(600)), 0x26);
	bench_end(b);
}

static void test_pit_gate_of_channel_2_starts_again(void **state)
{
	struct bench *b = with_pit();

	out(b, 0x43, 0xb2, 0); /* mode 1 */
	out(b, 0x42, 0xe8, 0);
	out(b, 0x42, 0x03, 0);
	assert_int_equal(in(b, 0x61, ticks(2000)) & 0x21, 0);
	out(b, 0x61, 1, ticks(2000));
	assert_int_equal(in(b, 0x61, ticks(2010)) & 0x21, 0x21);
	assert_int_equal(in(b, 0x61, ticks(3001)) & 0x21, 0x01);
	bench_end(b);
}

static void test_pit_read_back_tells_status(void **state)
{
	struct bench *b = with_pit();

	out(b, 0x43, 0x34, 0);
	out(b, 0x40, 0, 0);
	out(b, 0x40, 0, 0);
	out(b, 0x43, 0xe2, ticks(5)); /* status of channel 0 */
	assert_int_equal(in(b, 0x40, ticks(5)), 0x34);
	out(b, 0x43, 0xc2, ticks(6)); /* status and count */
	assert_int_equal(in(b, 0x40, ticks(9)), 0x34);
	assert_int_equal(in(b, 0x40, ticks(9)), 0xfa);
	assert_int_equal(in(b, 0x40, ticks(9)), 0xff);
	bench_end(b);
}

static void test_pit_any_writes_never_hang(void **state)
{
	struct bench *b = with_pit();
	uint32_t random = 1;
	uint64_t now = 0;

	for (unsigned i = 0; i < 200000; i++) {
		random = random * 1664525 + 1013904223;
		now += random >> 12;
		if (random & 0x800)
			out(b, (uint16_t)(0x40 + (random >> 8 & 3)), (uint8_t)(random >> 24), now);
		else
			in(b, (uint16_t)(random & 0x400 ? 0x61 : 0x40 + (random >> 8 & 3)), now);
		irq_chip_run_timers(b->chip, now);
		assert_true(irq_chip_next_timer(b->chip) > now);
	}
	bench_end(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_lapic_one_shot_fires_once_when_due),
	        cmocka_unit_test(test_lapic_periodic_keeps_its_beat_when_late),
	        cmocka_unit_test(test_lapic_masked_timer_waits_for_its_mask),
	        cmocka_unit_test(test_lapic_timer_runs_on_while_the_lapic_is_off),
	        cmocka_unit_test(test_lapic_timer_has_the_modes_of_cpuid_alone),
	        cmocka_unit_test(test_lapic_deadline_only_in_its_mode),
	        cmocka_unit_test(test_pit_rate_generator_beats_at_gsi_0),
	        cmocka_unit_test(test_pit_one_shot_counts_down_and_raises_out),
	        cmocka_unit_test(test_pit_gate_of_channel_2_starts_again),
	        cmocka_unit_test(test_pit_read_back_tells_status),
	        cmocka_unit_test(test_pit_any_writes_never_hang),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Local APICs, IOAPIC, PIC and routes, driven as software and lines drive them. */
#include <errno.h>

#include "irq_bench.h"

/* ---- local APIC ---- */

static void test_lapic_after_reset_is_as_kvm_has_it(void **state)
{
	struct bench *b = bench_start();

	irq_lapic_reset(&b->lapic[0], true);
	irq_lapic_reset(&b->lapic[3], true);
	assert_int_equal(b->lapic[0].base, 0xfee00900);
	assert_int_equal(b->lapic[3].base, 0xfee00800);
	assert_int_equal(lapic_read(&b->lapic[3], LAPIC_ID, 0), 3u << 24);
	assert_int_equal(lapic_read(&b->lapic[0], LAPIC_VERSION, 0), 0x50014);
	assert_int_equal(lapic_read(&b->lapic[0], LAPIC_SPIV, 0), 0xff);
	assert_int_equal(lapic_read(&b->lapic[0], LAPIC_LVT_LINT0, 0), 0x700);
	assert_int_equal(lapic_read(&b->lapic[3], LAPIC_LVT_LINT0, 0), 0x10000);
	assert_true(irq_lapic_takes_pic(&b->lapic[0]));
	assert_false(irq_lapic_takes_pic(&b->lapic[3]));
	bench_end(b);
}

static void send(struct irq_lapic *l, uint32_t high, uint32_t low)
{
	lapic_write(l, LAPIC_ICR_HIGH, high, 0);
	lapic_write(l, LAPIC_ICR, low, 0);
}

static void test_lapic_priorities_hold_back_lower_vectors(void **state)
{
	struct bench *b = bench_start();
	struct irq_lapic *l = &b->lapic[1];

	send(&b->lapic[0], 1u << 24, 0x4041);
	send(&b->lapic[0], 1u << 24, 0x4055);
	assert_int_equal(irq_lapic_pending(l), 0x55);
	assert_int_equal(irq_lapic_ack(l), 0x55);
	assert_int_equal(lapic_read(l, LAPIC_PPR, 0), 0x50);
	assert_int_equal(irq_lapic_pending(l), -1); /* 41h waits behind 55h in service */
	send(&b->lapic[0], 1u << 24, 0x4060);
	assert_int_equal(irq_lapic_ack(l), 0x60);
	lapic_write(l, LAPIC_EOI, 0, 0);
	assert_int_equal(irq_lapic_pending(l), -1);
	lapic_write(l, LAPIC_EOI, 0, 0);
	assert_int_equal(irq_lapic_pending(l), 0x41);
	lapic_write(l, LAPIC_TPR, 0x40, 0);
	assert_int_equal(irq_lapic_pending(l), -1);
	lapic_write(l, LAPIC_TPR, 0x3f, 0);
	assert_int_equal(irq_lapic_ack(l), 0x41);
	assert_int_equal(irq_lapic_ack(l), -1);
	bench_end(b);
}

static void test_lapic_ipi_reaches_whom_it_names(void **state)
{
	static const struct {
		uint32_t high, low;
		unsigned reached; /* a bit a LAPIC */
	} rows[] = {
	        {2u << 24, 0x4030, 0x4},        /* physical */
	        {0xffu << 24, 0x4030, 0xf},     /* physical broadcast */
	        {9u << 24, 0x4030, 0x0},        /* nobody */
	        {0x0au << 24, 0x4830, 0xa},     /* logical, flat: LDR is 1 << id */
	        {0xffu << 24, 0x4830, 0xf},     /* logical broadcast */
	        {0, 0x44030, 0x1},              /* self */
	        {0, 0x84030, 0xf},              /* all */
	        {0, 0xc4030, 0xe},              /* all others */
	        {0x0eu << 24, 0x4930, 1u << 1}, /* lowest priority among 1, 2, 3: 30h modulo 3 is the first */
	        {0x0eu << 24, 0x4931, 1u << 2}, /* 31h: the second */
	        {0xffu << 24, 0x4130, 0xf},     /* lowest priority, physical: KVM takes it for a broadcast */
	        {2u << 24, 0x4130, 1u << 2},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bench *b = bench_start();
		unsigned reached = 0;

		for (unsigned n = 0; n < BENCH_LAPICS; n++)
			lapic_write(&b->lapic[n], LAPIC_LDR, 1u << (24 + n), 0);
		send(&b->lapic[0], rows[i].high, rows[i].low);
		for (unsigned n = 0; n < BENCH_LAPICS; n++)
			reached |= (unsigned)(irq_lapic_pending(&b->lapic[n]) >= 0) << n;
		if (reached != rows[i].reached)
			fail_msg("row %zu reached %x", i, reached);
		bench_end(b);
	}
}

static void test_lapic_cluster_mode_matches_cluster_and_bit(void **state)
{
	struct bench *b = bench_start();

	for (unsigned n = 0; n < BENCH_LAPICS; n++) {
		lapic_write(&b->lapic[n], LAPIC_DFR, 0x0fffffff, 0);
		lapic_write(&b->lapic[n], LAPIC_LDR, (0x10 * (n / 2) + (1u << n % 2)) << 24, 0);
	}
	send(&b->lapic[0], 0x13u << 24, 0x4830);
	assert_int_equal(irq_lapic_pending(&b->lapic[0]), -1);
	assert_int_equal(irq_lapic_pending(&b->lapic[2]), 0x30);
	assert_int_equal(irq_lapic_pending(&b->lapic[3]), 0x30);
	bench_end(b);
}

static void test_lapic_id_is_the_guests_until_reset(void **state)
{
	struct bench *b = bench_start();
	struct irq_lapic *l = &b->lapic[2];

	lapic_write(l, LAPIC_ID, 0x77ffffff, 0);
	assert_int_equal(lapic_read(l, LAPIC_ID, 0), 0x77000000);
	send(&b->lapic[0], 2u << 24, 0x4030);
	assert_int_equal(irq_lapic_pending(l), -1);
	send(&b->lapic[0], 0x77u << 24, 0x4030);
	assert_int_equal(irq_lapic_pending(l), 0x30);
	irq_lapic_reset(l, false); /* INIT leaves it */
	assert_int_equal(lapic_read(l, LAPIC_ID, 0), 0x77000000);
	irq_lapic_reset(l, true);
	assert_int_equal(lapic_read(l, LAPIC_ID, 0), 0x02000000);
	bench_end(b);
}

static void test_lapic_init_sipi_nmi_are_told_to_the_owner(void **state)
{
	struct bench *b = bench_start();

	send(&b->lapic[0], 0, 0xc4500);
	send(&b->lapic[0], 0, 0xc8500); /* INIT de-assert: nothing */
	send(&b->lapic[0], 0, 0xc4687);
	send(&b->lapic[0], 2u << 24, 0x4400);
	assert_int_equal(b->inits[0], 0);
	for (unsigned n = 1; n < BENCH_LAPICS; n++) {
		assert_int_equal(b->inits[n], 1);
		assert_int_equal(b->sipis[n], 1);
		assert_int_equal(b->nmis[n], n == 2);
	}
	assert_int_equal(b->sipi_vector, 0x87);
	bench_end(b);
}

static void test_lapic_switched_off_takes_nothing_and_masks_lvts(void **state)
{
	struct bench *b = bench_start();

	lapic_write(&b->lapic[1], LAPIC_LVT_LINT1, 0x400, 0);
	assert_int_equal(lapic_read(&b->lapic[1], LAPIC_LVT_LINT1, 0), 0x400);
	lapic_write(&b->lapic[1], LAPIC_SPIV, 0xff, 0);
	assert_int_equal(lapic_read(&b->lapic[1], LAPIC_LVT_LINT1, 0), 0x10400);
	send(&b->lapic[0], 1u << 24, 0x4030);
	assert_int_equal(irq_lapic_pending(&b->lapic[1]), -1);
	bench_end(b);
}

static void test_lapic_x2apic_has_msrs_and_wide_ids(void **state)
{
	struct bench *b = bench_start();
	struct irq_lapic *l = &b->lapic[2];
	uint64_t value = 0;

	assert_false(irq_lapic_msr(l, false, 0x802, &value, 0)); /* not in x2APIC mode */
	assert_false(irq_lapic_base_is_valid(l, 0xfee00c00, IRQ_LAPIC_BASE_X2, false)); /* not offered */
	assert_true(irq_lapic_base_is_valid(l, 0xfee00c00, 0, false));
	irq_lapic_set_base(l, 0xfee00c00);
	assert_false(irq_lapic_base_is_valid(l, 0xfee00800, 0, false)); /* only by way of off */
	assert_true(irq_lapic_msr(l, false, 0x802, &value, 0));
	assert_int_equal(value, 2);
	assert_true(irq_lapic_msr(l, false, 0x80d, &value, 0));
	assert_int_equal(value, 4); /* logical: cluster 0, bit 2 */
	value = 0x30 | UINT64_C(2) << 32;
	assert_true(irq_lapic_msr(l, true, 0x830, &value, 0));
	assert_int_equal(irq_lapic_ack(l), 0x30);
	value = 0x2030 | UINT64_C(2) << 32;
	assert_false(irq_lapic_msr(l, true, 0x830, &value, 0)); /* a reserved bit */
	value = 0;
	assert_true(irq_lapic_msr(l, true, 0x80b, &value, 0));
	value = 0x77;
	assert_true(irq_lapic_msr(l, true, 0x83f, &value, 0)); /* self IPI */
	assert_int_equal(irq_lapic_ack(l), 0x77);
	assert_false(irq_lapic_msr(l, false, 0x80e, &value, 0)); /* DFR is gone */
	assert_false(irq_lapic_msr(l, false, 0x831, &value, 0)); /* so is the high half of ICR */
	assert_true(irq_msi(b->chip, 0xfee00000 | 0xff << 12, 0x50) > 0);
	assert_int_equal(irq_lapic_pending(l), -1); /* 50h waits behind 77h in service ... */
	assert_int_equal(lapic_read(&b->lapic[1], LAPIC_IRR + 0x20, 0), 1u << 16);
	bench_end(b);
}

static void test_ids_reach_those_that_are_on_and_have_them(void **state)
{
	const struct irq_message fixed = {.vector = 0x50}, kick = {.delivery = IRQ_REMOTE_READ, .dest = 3};
	struct bench *b = bench_start();

	assert_int_equal(irq_deliver_ids(b->chip, 0xe, 0, &fixed), 3);
	assert_int_equal(irq_deliver_ids(b->chip, 0xe, 0, &fixed), 3); /* also where it waits already */
	assert_int_equal(irq_lapic_pending(&b->lapic[0]), -1);
	assert_int_equal(irq_lapic_ack(&b->lapic[3]), 0x50);
	assert_int_equal(irq_deliver_ids(b->chip, 3, 3, &fixed), 1);
	assert_int_equal(irq_deliver_ids(b->chip, UINT64_MAX, UINT32_MAX, &fixed), 0); /* IDs do not wrap */
	b->lapic[1].regs[LAPIC_ID >> 4] = 7u << 24;
	assert_int_equal(irq_deliver_ids(b->chip, 1u << 7, 0, &fixed), 1);
	b->lapic[1].base = 0xfee00c00; /* x2APIC: its ID is 1 again */
	assert_int_equal(irq_deliver_ids(b->chip, 1u << 7, 0, &fixed), 0);
	assert_int_equal(irq_deliver_ids(b->chip, 1u << 1, 0, &fixed), 1);
	b->lapic[1].base = 0xfee00000;
	assert_int_equal(irq_deliver_ids(b->chip, 1u << 1, 0, &fixed), 0);
	assert_int_equal(irq_deliver(b->chip, &kick), 1);
	assert_int_equal(b->kicks[3], 1);
	bench_end(b);
}

static void test_lapic_odd_accesses_are_harmless(void **state)
{
	struct bench *b = bench_start();
	uint8_t data[16];

	for (unsigned offset = 0; offset < PAGE_SIZE_BYTES; offset++) {
		for (unsigned size = 1; size <= 8; size *= 2) {
			memset(data, 0xa5, sizeof(data));
			irq_lapic_mmio(&b->lapic[0], true, offset, size, data, 0);
			irq_lapic_mmio(&b->lapic[0], false, offset, size, data, 0);
			assert_int_equal(data[size], 0xa5);
		}
	}
	bench_end(b);
}

static void test_lapic_state_comes_back_as_it_was_saved(void **state)
{
	struct bench *b = bench_start();
	struct kvm_lapic_state saved, again;

	lapic_write(&b->lapic[1], LAPIC_TPR, 0x20, 0);
	lapic_write(&b->lapic[1], LAPIC_LVT_TIMER, 0x31, 0);
	lapic_write(&b->lapic[1], LAPIC_TIMER_DIVIDE, 0xb, 0);
	lapic_write(&b->lapic[1], LAPIC_TIMER_INITIAL, 1000, 0);
	send(&b->lapic[0], 1u << 24, 0x4055);
	irq_lapic_get_state(&b->lapic[1], &saved, 400);
	irq_lapic_reset(&b->lapic[1], true);
	assert_int_equal(irq_lapic_set_state(&b->lapic[1], &saved, 5000), 0);
	irq_lapic_get_state(&b->lapic[1], &again, 5000);
	assert_memory_equal(&saved, &again, sizeof(saved));
	assert_int_equal(b->lapic[1].timer_at_ns, 5600);
	assert_int_equal(irq_lapic_ack(&b->lapic[1]), 0x55);
	bench_end(b);
}

/* ---- IOAPIC ---- */

static void test_ioapic_registers_read_as_the_82093aa(void **state)
{
	struct bench *b = bench_start();

	assert_int_equal(ioapic_read(b, 1), 0x170011);
	ioapic_write(b, 0, 0x0f000000);
	assert_int_equal(ioapic_read(b, 0), 0x0f000000);
	assert_int_equal(ioapic_read(b, 0x10), 0x10000);
	ioapic_write(b, 0x10, 0xffffffff);
	assert_int_equal(ioapic_read(b, 0x10), 0xffffafff); /* remote IRR and status are not software's */
	assert_int_equal(ioapic_read(b, 0x10 + 2 * 24), 0xffffffff);
	bench_end(b);
}

static void test_ioapic_edge_is_one_interrupt_an_edge(void **state)
{
	struct bench *b = bench_start();
	struct irq_lapic *l = &b->lapic[1];

	ioapic_write(b, 0x10 + 2 * 4 + 1, 1u << 24);
	ioapic_write(b, 0x10 + 2 * 4, 0x34);
	assert_int_equal(irq_line_set(b->chip, IRQ_SOURCE_USER, 4, true), 2); /* PIC and IOAPIC */
	assert_int_equal(irq_lapic_ack(l), 0x34);
	assert_int_equal(irq_line_set(b->chip, IRQ_SOURCE_USER, 4, true), 1);
	assert_int_equal(irq_lapic_pending(l), -1);
	lapic_write(l, LAPIC_EOI, 0, 0);
	assert_int_equal(irq_lapic_pending(l), -1);
	irq_line_set(b->chip, IRQ_SOURCE_USER, 4, false);
	irq_line_set(b->chip, IRQ_SOURCE_USER, 4, true);
	assert_int_equal(irq_lapic_ack(l), 0x34);
	bench_end(b);
}

static void test_ioapic_level_comes_again_until_the_line_falls(void **state)
{
	struct bench *b = bench_start();
	struct irq_lapic *l = &b->lapic[0];

	ioapic_write(b, 0x10 + 2 * 17, 0x8045);
	irq_line_set(b->chip, IRQ_SOURCE_USER, 17, true);
	assert_int_equal(irq_lapic_ack(l), 0x45);
	assert_int_equal(ioapic_read(b, 0x10 + 2 * 17), 0xc045); /* remote IRR */
	irq_line_set(b->chip, IRQ_SOURCE_RESAMPLE, 17, true);
	assert_int_equal(irq_lapic_pending(l), -1);
	lapic_write(l, LAPIC_EOI, 0, 0);
	assert_int_equal(b->acks, 1);
	assert_int_equal(b->acked_pin, 17);
	assert_int_equal(irq_lapic_ack(l), 0x45);
	irq_line_set(b->chip, IRQ_SOURCE_USER, 17, false);
	lapic_write(l, LAPIC_EOI, 0, 0);
	assert_int_equal(irq_lapic_ack(l), 0x45); /* the other source holds it still */
	irq_line_set(b->chip, IRQ_SOURCE_RESAMPLE, 17, false);
	lapic_write(l, LAPIC_EOI, 0, 0);
	assert_int_equal(irq_lapic_pending(l), -1);
	assert_int_equal(ioapic_read(b, 0x10 + 2 * 17), 0x8045);
	bench_end(b);
}

static void test_ioapic_masked_level_arrives_when_unmasked(void **state)
{
	struct bench *b = bench_start();

	ioapic_write(b, 0x10 + 2 * 17, 0x18045);
	irq_line_set(b->chip, IRQ_SOURCE_USER, 17, true);
	assert_int_equal(irq_lapic_pending(&b->lapic[0]), -1);
	ioapic_write(b, 0x10 + 2 * 17, 0x8045);
	assert_int_equal(irq_lapic_ack(&b->lapic[0]), 0x45);
	ioapic_write(b, 0x10 + 2 * 17, 0x10045); /* to edge: remote IRR goes */
	assert_int_equal(ioapic_read(b, 0x10 + 2 * 17), 0x10045);
	bench_end(b);
}

/* ---- PIC ---- */

static void pic_write(struct bench *b, uint16_t port, uint8_t value)
{
	assert_true(irq_chip_io(b->chip, true, port, 1, &value, 0));
}

static uint8_t pic_read(struct bench *b, uint16_t port)
{
	uint8_t value = 0;

	assert_true(irq_chip_io(b->chip, false, port, 1, &value, 0));
	return value;
}

static void pic_program(struct bench *b)
{
	static const struct {
		uint16_t port;
		uint8_t value;
	} words[] = {{0x20, 0x11}, {0x21, 0x30}, {0x21, 4}, {0x21, 1}, {0xa0, 0x11}, {0xa1, 0x38}, {0xa1, 2},
	        {0xa1, 1}};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		pic_write(b, words[i].port, words[i].value);
}

static void test_pic_serves_by_priority_and_cascade(void **state)
{
	struct bench *b = bench_start();

	pic_program(b);
	irq_line_set(b->chip, IRQ_SOURCE_USER, 12, true);
	irq_line_set(b->chip, IRQ_SOURCE_USER, 4, true);
	assert_true(b->chip->pic.output);
	assert_int_equal(irq_pic_ack(b->chip), 0x3c); /* IRQ 12 comes by way of 2, before 4 */
	assert_false(b->chip->pic.output);
	pic_write(b, 0xa0, 0x20);
	pic_write(b, 0x20, 0x20);
	assert_int_equal(irq_pic_ack(b->chip), 0x34);
	irq_line_set(b->chip, IRQ_SOURCE_USER, 1, true);
	assert_int_equal(irq_pic_ack(b->chip), 0x31); /* nested: higher than 4 */
	pic_write(b, 0x20, 0x0b);
	assert_int_equal(pic_read(b, 0x20), 0x12);
	pic_write(b, 0x20, 0x64); /* specific EOI of 4 */
	assert_int_equal(pic_read(b, 0x20), 0x02);
	assert_int_equal(irq_pic_ack(b->chip), 0x37); /* spurious */
	bench_end(b);
}

static void test_pic_masks_levels_rotates_and_polls(void **state)
{
	struct bench *b = bench_start();

	pic_program(b);
	pic_write(b, 0x4d0, 0xff);
	pic_write(b, 0x4d1, 0xff);
	assert_int_equal(pic_read(b, 0x4d0), 0xf8);
	assert_int_equal(pic_read(b, 0x4d1), 0xde);
	pic_write(b, 0x21, 0x20);
	irq_line_set(b->chip, IRQ_SOURCE_USER, 5, true);
	assert_false(b->chip->pic.output);
	pic_write(b, 0x21, 0);
	assert_int_equal(irq_pic_ack(b->chip), 0x35);
	pic_write(b, 0x20, 0x20);
	assert_true(b->chip->pic.output); /* the level is still there */
	irq_line_set(b->chip, IRQ_SOURCE_USER, 5, false);
	assert_false(b->chip->pic.output);
	pic_write(b, 0x20, 0xc5); /* 5 is the lowest now, so 6 goes before 1 */
	irq_line_set(b->chip, IRQ_SOURCE_USER, 1, true);
	irq_line_set(b->chip, IRQ_SOURCE_USER, 6, true);
	pic_write(b, 0x20, 0x0c);
	assert_int_equal(pic_read(b, 0x20), 6);
	assert_int_equal(irq_pic_ack(b->chip), 0x31); /* the poll took 6 and ended it */
	bench_end(b);
}

/* ---- routes ---- */

static void test_routes_refuse_what_kvm_refuses(void **state)
{
	struct bench *b = bench_start();
	struct kvm_irq_routing_entry r[2] = {{.gsi = 0, .type = KVM_IRQ_ROUTING_IRQCHIP}, {.gsi = 0}};

	r[0].u.irqchip.irqchip = 3;
	assert_int_equal(irq_routes_set(b->chip, r, 1), -1);
	assert_int_equal(errno, EINVAL);
	r[0].u.irqchip.irqchip = KVM_IRQCHIP_PIC_SLAVE;
	r[0].u.irqchip.pin = 8;
	assert_int_equal(irq_routes_set(b->chip, r, 1), -1);
	r[0].u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
	r[0].u.irqchip.pin = 24;
	assert_int_equal(irq_routes_set(b->chip, r, 1), -1);
	r[0].u.irqchip.pin = 2;
	r[1] = r[0];
	assert_int_equal(irq_routes_set(b->chip, r, 2), -1); /* twice to one irqchip */
	r[1].type = KVM_IRQ_ROUTING_MSI;
	assert_int_equal(irq_routes_set(b->chip, r, 2), -1); /* a message beside a pin */
	r[1].gsi = IRQ_ROUTES_MAX;
	assert_int_equal(irq_routes_set(b->chip, r, 2), -1);
	assert_int_equal(irq_line_set(b->chip, IRQ_SOURCE_USER, 1, true), 1); /* the old ones hold */
	r[1].gsi = 40;
	r[1].u.msi.address_lo = 0xfee01000;
	r[1].u.msi.data = 0x61;
	assert_int_equal(irq_routes_set(b->chip, r, 2), 0);
	assert_int_equal(irq_line_set(b->chip, IRQ_SOURCE_USER, 40, true), 1);
	assert_int_equal(irq_lapic_ack(&b->lapic[1]), 0x61);
	assert_int_equal(irq_line_set(b->chip, IRQ_SOURCE_USER, 41, true), -1);
	assert_int_equal(irq_gsi_of_pin(b->chip, KVM_IRQCHIP_IOAPIC, 2), 0);
	bench_end(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_lapic_after_reset_is_as_kvm_has_it),
	        cmocka_unit_test(test_lapic_priorities_hold_back_lower_vectors),
	        cmocka_unit_test(test_lapic_ipi_reaches_whom_it_names),
	        cmocka_unit_test(test_lapic_cluster_mode_matches_cluster_and_bit),
	        cmocka_unit_test(test_lapic_id_is_the_guests_until_reset),
	        cmocka_unit_test(test_lapic_init_sipi_nmi_are_told_to_the_owner),
	        cmocka_unit_test(test_lapic_switched_off_takes_nothing_and_masks_lvts),
	        cmocka_unit_test(test_lapic_x2apic_has_msrs_and_wide_ids),
	        cmocka_unit_test(test_ids_reach_those_that_are_on_and_have_them),
	        cmocka_unit_test(test_lapic_odd_accesses_are_harmless),
	        cmocka_unit_test(test_lapic_state_comes_back_as_it_was_saved),
	        cmocka_unit_test(test_ioapic_registers_read_as_the_82093aa),
	        cmocka_unit_test(test_ioapic_edge_is_one_interrupt_an_edge),
	        cmocka_unit_test(test_ioapic_level_comes_again_until_the_line_falls),
	        cmocka_unit_test(test_ioapic_masked_level_arrives_when_unmasked),
	        cmocka_unit_test(test_pic_serves_by_priority_and_cascade),
	        cmocka_unit_test(test_pic_masks_levels_rotates_and_polls),
	        cmocka_unit_test(test_routes_refuse_what_kvm_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

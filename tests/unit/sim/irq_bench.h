/* SPDX-License-Identifier: Apache-2.0 */
/*
 * irq_bench: an irq_chip with four local APICs. The bench counts the chip's calls to its owner, and sets
 * registers as software does.
 */
#ifndef VMM_TEST_IRQ_BENCH_H
#define VMM_TEST_IRQ_BENCH_H

#include "irq/irq.h"
#include "support/test.h"

#define BENCH_LAPICS 4

struct bench {
	struct irq_chip *chip;
	struct irq_lapic lapic[BENCH_LAPICS];
	unsigned nmis[BENCH_LAPICS], inits[BENCH_LAPICS], sipis[BENCH_LAPICS], kicks[BENCH_LAPICS];
	uint8_t sipi_vector;
	unsigned acked_pin, acks;
};

static void bench_changed(void *ctx, unsigned lapic)
{
}

static void bench_nmi(void *ctx, unsigned lapic)
{
	((struct bench *)ctx)->nmis[lapic]++;
}

static void bench_kick(void *ctx, unsigned lapic)
{
	((struct bench *)ctx)->kicks[lapic]++;
}

static void bench_init(void *ctx, unsigned lapic)
{
	((struct bench *)ctx)->inits[lapic]++;
}

static void bench_sipi(void *ctx, unsigned lapic, uint8_t vector)
{
	((struct bench *)ctx)->sipis[lapic]++;
	((struct bench *)ctx)->sipi_vector = vector;
}

static void bench_acked(void *ctx, unsigned irqchip, unsigned pin)
{
	((struct bench *)ctx)->acked_pin = pin;
	((struct bench *)ctx)->acks++;
}

static inline void lapic_write(struct irq_lapic *l, unsigned reg, uint32_t value, uint64_t now_ns)
{
	irq_lapic_mmio(l, true, reg, 4, &value, now_ns);
}

static inline uint32_t lapic_read(struct irq_lapic *l, unsigned reg, uint64_t now_ns)
{
	uint32_t value = 0;

	irq_lapic_mmio(l, false, reg, 4, &value, now_ns);
	return value;
}

/* All LAPICs are switched on; the caller ends the bench. */
static inline struct bench *bench_start(void)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct irq_owner owner = {.changed = bench_changed,
	        .nmi = bench_nmi,
	        .init = bench_init,
	        .sipi = bench_sipi,
	        .acked = bench_acked,
	        .kick = bench_kick,
	        .ctx = b};

	assert_non_null(b);
	assert_int_equal(irq_chip_create(owner, &b->chip), 0);
	for (unsigned i = 0; i < BENCH_LAPICS; i++) {
		irq_lapic_init(&b->lapic[i], b->chip, i, i);
		b->lapic[i].timer_modes = 0x60000;
		lapic_write(&b->lapic[i], LAPIC_SPIV, 0x1ff, 0);
	}
	return b;
}

static inline void bench_end(struct bench *b)
{
	irq_chip_destroy(b->chip);
	free(b);
}

static inline void ioapic_write(struct bench *b, uint8_t reg, uint32_t value)
{
	uint32_t select = reg;

	irq_ioapic_mmio(b->chip, true, 0x00, 4, &select);
	irq_ioapic_mmio(b->chip, true, 0x10, 4, &value);
}

static inline uint32_t ioapic_read(struct bench *b, uint8_t reg)
{
	uint32_t select = reg, value = 0;

	irq_ioapic_mmio(b->chip, true, 0x00, 4, &select);
	irq_ioapic_mmio(b->chip, false, 0x10, 4, &value);
	return value;
}

#endif

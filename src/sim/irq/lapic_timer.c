/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lapic_timer: the timer of a local APIC: one-shot, periodic, TSC deadline. A tick is a cycle of its bus, 1
 * ns unless the VMM chose another (irq_chip.bus_ns), times the divisor. The caller holds the VM's interrupt
 * lock. Law: APM 2, 16.4.1.
 */
#include "irq.h"

#define MODE_PERIODIC 0x20000u
#define MODE_DEADLINE 0x40000u

static uint32_t *at(struct irq_lapic *l, unsigned reg)
{
	return &l->regs[reg >> 4];
}

static uint32_t mode(const struct irq_lapic *l)
{
	return l->regs[LAPIC_LVT_TIMER >> 4] & l->timer_modes;
}

/* Returns true for a one-shot or periodic timer, false for the deadline and the reserved mode. */
static bool counts(const struct irq_lapic *l)
{
	return mode(l) == 0 || mode(l) == MODE_PERIODIC;
}

static unsigned divisor(const struct irq_lapic *l)
{
	uint32_t code = l->regs[LAPIC_TIMER_DIVIDE >> 4];

	return 1u << ((((code & 3) | (code & 8) >> 1) + 1) & 7);
}

/* The product fits for every count (kvm_vm_enable_cap()). */
static uint64_t tick_ns(const struct irq_lapic *l)
{
	return divisor(l) * l->chip->bus_ns;
}

static uint64_t ticks_ns(const struct irq_lapic *l, uint32_t ticks)
{
	uint64_t ns = ticks * tick_ns(l);

	return mode(l) == MODE_PERIODIC && ns < IRQ_TIMER_NS_MIN ? IRQ_TIMER_NS_MIN : ns;
}

static void stop(struct irq_lapic *l)
{
	l->timer_at_ns = IRQ_NEVER;
	l->timer_due = false;
	l->deadline_tsc = 0;
	*at(l, LAPIC_TIMER_INITIAL) = 0;
}

static uint64_t after(uint64_t now_ns, uint64_t ns)
{
	uint64_t at_ns;

	return add_ok(now_ns, ns, &at_ns) ? at_ns : IRQ_NEVER;
}

static void start(struct irq_lapic *l, uint32_t ticks, uint64_t now_ns)
{
	l->timer_at_ns = counts(l) && *at(l, LAPIC_TIMER_INITIAL) && ticks ? after(now_ns, ticks_ns(l, ticks))
	                                                                   : IRQ_NEVER;
}

static void write_mode(struct irq_lapic *l, uint32_t value)
{
	bool was_deadline = mode(l) == MODE_DEADLINE;

	*at(l, LAPIC_LVT_TIMER) = value;
	if (was_deadline != (mode(l) == MODE_DEADLINE))
		stop(l);
	irq_lapic_timer_unmasked(l);
}

static void write_divide(struct irq_lapic *l, uint32_t value, uint64_t now_ns)
{
	uint32_t left = irq_lapic_timer_current(l, now_ns);

	*at(l, LAPIC_TIMER_DIVIDE) = value & 0xb;
	if (counts(l) && l->timer_at_ns != IRQ_NEVER)
		start(l, left, now_ns);
}

void irq_lapic_timer_write(struct irq_lapic *l, unsigned reg, uint32_t value, uint64_t now_ns)
{
	if (reg == LAPIC_LVT_TIMER) {
		write_mode(l, value);
	} else if (reg == LAPIC_TIMER_DIVIDE) {
		write_divide(l, value, now_ns);
	} else if (mode(l) != MODE_DEADLINE) {
		*at(l, LAPIC_TIMER_INITIAL) = value;
		l->timer_due = false;
		start(l, value, now_ns);
	}
}

uint32_t irq_lapic_timer_current(const struct irq_lapic *l, uint64_t now_ns)
{
	if (!counts(l) || l->timer_at_ns == IRQ_NEVER || l->timer_at_ns <= now_ns)
		return 0;
	return (uint32_t)((l->timer_at_ns - now_ns) / tick_ns(l));
}

/*
 * As with KVM, a count of zero is one that has just run down: a repeating timer begins its next period, and
 * another fires at once.
 */
void irq_lapic_timer_resume(struct irq_lapic *l, uint64_t now_ns)
{
	uint32_t initial = *at(l, LAPIC_TIMER_INITIAL), ticks = *at(l, LAPIC_TIMER_CURRENT);

	l->timer_at_ns = IRQ_NEVER;
	l->timer_due = false;
	if (!counts(l) || !initial)
		return;
	if (ticks > initial || (!ticks && mode(l) == MODE_PERIODIC))
		ticks = initial;
	l->timer_at_ns = after(now_ns, ticks ? ticks_ns(l, ticks) : 0);
}

/* KVM remembers a timer that ran down while it was masked, or while the LAPIC was off. */
static void fire(struct irq_lapic *l)
{
	l->timer_due = !irq_lapic_is_enabled(l) || !irq_lapic_deliver_local(l, LAPIC_LVT_TIMER);
}

void irq_lapic_timer_unmasked(struct irq_lapic *l)
{
	if (l->timer_due)
		fire(l);
}

void irq_lapic_set_deadline(struct irq_lapic *l, uint64_t deadline_tsc, uint64_t at_ns)
{
	if (mode(l) != MODE_DEADLINE || !irq_lapic_is_on(l))
		return;
	l->timer_due = false;
	l->deadline_tsc = deadline_tsc;
	l->timer_at_ns = deadline_tsc ? at_ns : IRQ_NEVER;
}

uint64_t irq_lapic_deadline(const struct irq_lapic *l)
{
	return mode(l) == MODE_DEADLINE && irq_lapic_is_on(l) ? l->deadline_tsc : 0;
}

void irq_lapic_run_timer(struct irq_lapic *l, uint64_t now_ns)
{
	uint64_t late, period;

	if (l->timer_at_ns > now_ns)
		return;
	late = now_ns - l->timer_at_ns;
	if (mode(l) == MODE_PERIODIC) {
		period = ticks_ns(l, *at(l, LAPIC_TIMER_INITIAL));
		l->timer_at_ns += period * (late / period + 1);
	} else {
		l->timer_at_ns = IRQ_NEVER;
		l->deadline_tsc = 0;
	}
	fire(l);
}

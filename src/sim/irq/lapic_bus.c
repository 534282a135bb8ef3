/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lapic_bus: a local APIC as software sees it: the xAPIC page, the x2APIC MSRs, the base MSR, and the state
 * as KVM_GET_LAPIC gives it. The caller holds the VM's interrupt lock. Law: APM 2, 16.3 and 16.9; Linux's
 * arch/x86/kvm/lapic.c says which bits are kept and which are refused.
 */
#include <errno.h>
#include <string.h>

#include "irq.h"

#define SPIV_ENABLED 0x100u
#define SPIV_KNOWN   0x3ffu
#define SPIV_EOI     0x1000u /* directed EOI, if the version register has it */
#define VERSION_EOI  0x1000000u
#define LVT_MASKED   0x10000u
#define LVT_KNOWN    0x110ffu              /* vector, delivery status, mask */
#define LVT_MODE     0x700u                /* how it is delivered */
#define LINT_KNOWN   (LVT_KNOWN | 0xe700u) /* its delivery mode, polarity, remote IRR and trigger mode */
#define ICR_BUSY     0x1000u
#define ICR_RESERVED 0xfff32000u /* in an x2APIC */

#define BASE_RESERVED UINT64_C(0x2ff)

/* X2_READ: an x2APIC lets software read the register, but not write it. */
enum access { NONE = 0, R = 1, W = 2, RW = 3, X2_ONLY = 4, X1_ONLY = 8, X2_READ = 16 };

/*
 * The registers by offset / 16. A register with NONE reads as 0 through the page; through an MSR it causes
 * #GP.
 */
static const struct {
	uint8_t access;
	uint32_t mask; /* of what can be written */
} registers[64] = {
        [LAPIC_ID >> 4] = {RW | X2_READ, 0xff000000},
        [LAPIC_VERSION >> 4] = {R, 0},
        [LAPIC_TPR >> 4] = {RW, 0xff},
        [LAPIC_APR >> 4] = {R | X1_ONLY, 0},
        [LAPIC_PPR >> 4] = {R, 0},
        [LAPIC_EOI >> 4] = {W, 0xffffffff},
        [LAPIC_LDR >> 4] = {RW | X2_READ, 0xff000000},
        [LAPIC_DFR >> 4] = {RW | X1_ONLY, 0xf0000000},
        [LAPIC_SPIV >> 4] = {RW, SPIV_KNOWN | SPIV_EOI},
        [LAPIC_ISR >> 4 ...(LAPIC_ISR >> 4) + 23] = {R, 0},
        [LAPIC_ESR >> 4] = {RW, 0},
        [LAPIC_ICR >> 4] = {RW, ~ICR_BUSY},
        [LAPIC_ICR_HIGH >> 4] = {RW | X1_ONLY, 0xff000000},
        [LAPIC_LVT_TIMER >> 4] = {RW, LVT_KNOWN}, /* and irq_lapic.timer_modes */
        [LAPIC_LVT_THERMAL >> 4] = {RW, LVT_KNOWN | LVT_MODE},
        [LAPIC_LVT_PERF >> 4] = {RW, LVT_KNOWN | LVT_MODE},
        [LAPIC_LVT_LINT0 >> 4] = {RW, LINT_KNOWN},
        [LAPIC_LVT_LINT1 >> 4] = {RW, LINT_KNOWN},
        [LAPIC_LVT_ERROR >> 4] = {RW, LVT_KNOWN},
        [LAPIC_TIMER_INITIAL >> 4] = {RW, 0xffffffff},
        [LAPIC_TIMER_CURRENT >> 4] = {R, 0},
        [LAPIC_TIMER_DIVIDE >> 4] = {RW, 0xb},
        [LAPIC_SELF_IPI >> 4] = {W | X2_ONLY, 0xff},
};

static uint32_t *at(struct irq_lapic *l, unsigned reg)
{
	return &l->regs[reg >> 4];
}

static bool allowed(const struct irq_lapic *l, unsigned reg, uint8_t want)
{
	uint8_t access = registers[reg >> 4].access, other_mode = irq_lapic_is_x2(l) ? X1_ONLY : X2_ONLY;

	if (irq_lapic_is_x2(l) && access & X2_READ)
		access &= ~W;
	return (access & want) && !(access & other_mode);
}

static uint32_t read_register(struct irq_lapic *l, unsigned reg, uint64_t now_ns)
{
	/* The arbitration priority belongs to a bus that no longer exists. */
	if (!allowed(l, reg, R) || reg == LAPIC_APR)
		return 0;
	return reg == LAPIC_TIMER_CURRENT ? irq_lapic_timer_current(l, now_ns) : *at(l, reg);
}

static void send_ipi(struct irq_lapic *l, uint32_t low, uint32_t high)
{
	struct irq_message m = {
	        .dest = irq_lapic_is_x2(l) ? high : high >> 24,
	        .logical = low & 0x800,
	        .level = low & 0x8000,
	        .assert = low & 0x4000,
	        .vector = (uint8_t)low,
	        .delivery = low >> 8 & 7,
	        .shorthand = low >> 18 & 3,
	        .source = l,
	};

	irq_deliver(l->chip, &m);
}

/* Switching the LAPIC off by software masks every local interrupt. */
static void write_spurious(struct irq_lapic *l, uint32_t value)
{
	*at(l, LAPIC_SPIV) =
	        value & (*at(l, LAPIC_VERSION) & VERSION_EOI ? SPIV_KNOWN | SPIV_EOI : SPIV_KNOWN);
	if (value & SPIV_ENABLED)
		return;
	for (unsigned lvt = LAPIC_LVT_TIMER; lvt <= LAPIC_LVT_ERROR; lvt += 0x10)
		*at(l, lvt) |= LVT_MASKED;
	l->timer_due = false;
	l->chip->owner.changed(l->chip->owner.ctx, l->index);
}

static void write_lvt(struct irq_lapic *l, unsigned reg, uint32_t value, uint64_t now_ns)
{
	value &= registers[reg >> 4].mask | (reg == LAPIC_LVT_TIMER ? l->timer_modes : 0);
	if (!(*at(l, LAPIC_SPIV) & SPIV_ENABLED))
		value |= LVT_MASKED;
	if (reg == LAPIC_LVT_TIMER)
		irq_lapic_timer_write(l, reg, value, now_ns);
	else
		*at(l, reg) = value;
	/* LINT0 decides whether the PIC reaches this processor. */
	l->chip->owner.changed(l->chip->owner.ctx, l->index);
}

static void write_register(struct irq_lapic *l, unsigned reg, uint32_t value, uint64_t now_ns)
{
	uint32_t mask = registers[reg >> 4].mask;

	switch (reg) {
	case LAPIC_TPR: irq_lapic_set_tpr(l, value); break;
	case LAPIC_EOI: irq_lapic_eoi(l); break;
	case LAPIC_DFR: *at(l, reg) = value | ~mask; break;
	case LAPIC_SPIV: write_spurious(l, value & mask); break;
	case LAPIC_ESR: break; /* no error is ever recorded */
	case LAPIC_ICR:
		*at(l, reg) = value & mask;
		send_ipi(l, *at(l, reg), *at(l, LAPIC_ICR_HIGH));
		break;
	case LAPIC_SELF_IPI: send_ipi(l, IRQ_TO_SELF << 18 | (value & mask), 0); break;
	case LAPIC_TIMER_INITIAL:
	case LAPIC_TIMER_DIVIDE: irq_lapic_timer_write(l, reg, value & mask, now_ns); break;
	default:
		if (reg >= LAPIC_LVT_TIMER && reg <= LAPIC_LVT_ERROR)
			write_lvt(l, reg, value, now_ns);
		else
			*at(l, reg) = value & mask;
	}
}

void irq_lapic_mmio(
        struct irq_lapic *l, bool write, unsigned offset, unsigned size, void *data, uint64_t now_ns)
{
	unsigned reg = offset & ~15u, byte = offset & 15;

	if (!write)
		memset(data, 0, size);
	if (offset >= sizeof(l->regs) * 4 || byte + size > 4)
		return;
	if (!write)
		store_le(data, size, read_register(l, reg, now_ns) >> 8 * byte);
	else if (size == 4 && allowed(l, reg, W))
		write_register(l, reg, (uint32_t)load_le(data, 4), now_ns);
}

static bool write_msr(struct irq_lapic *l, unsigned reg, uint64_t value, uint64_t now_ns)
{
	if (!allowed(l, reg, W))
		return false;
	if (reg == LAPIC_ICR) {
		if (value & ICR_RESERVED)
			return false;
		*at(l, LAPIC_ICR_HIGH) = (uint32_t)(value >> 32);
		write_register(l, reg, (uint32_t)value, now_ns);
		return true;
	}
	if (value >> 32 || (reg == LAPIC_ESR && value) || (reg == LAPIC_SELF_IPI && value > 0xff))
		return false;
	write_register(l, reg, (uint32_t)value, now_ns);
	return true;
}

bool irq_lapic_msr(struct irq_lapic *l, bool write, uint32_t index, uint64_t *value, uint64_t now_ns)
{
	unsigned reg = (index - 0x800) << 4;

	if (!irq_lapic_is_x2(l) || reg >= sizeof(l->regs) * 4)
		return false;
	if (write)
		return write_msr(l, reg, *value, now_ns);
	if (!allowed(l, reg, R))
		return false;
	*value = read_register(l, reg, now_ns);
	if (reg == LAPIC_ICR)
		*value |= (uint64_t)*at(l, LAPIC_ICR_HIGH) << 32;
	return true;
}

static void take_id(struct irq_lapic *l)
{
	*at(l, LAPIC_ID) = irq_lapic_is_x2(l) ? l->id : l->id << 24;
	if (irq_lapic_is_x2(l))
		*at(l, LAPIC_LDR) = (l->id >> 4) << 16 | 1u << (l->id & 15);
}

bool irq_lapic_base_is_valid(const struct irq_lapic *l, uint64_t base, uint64_t reserved, bool by_host)
{
	const uint64_t on = IRQ_LAPIC_BASE_ON, x2 = IRQ_LAPIC_BASE_X2;
	uint64_t was = l->base & (on | x2), is = base & (on | x2);

	if (base == l->base)
		return true;
	if (base & (BASE_RESERVED | reserved) || is == x2)
		return false;
	return by_host || !((was == (on | x2) && is == on) || (was == 0 && is == (on | x2)));
}

void irq_lapic_set_base(struct irq_lapic *l, uint64_t base)
{
	uint64_t changed = l->base ^ base;

	l->base = base;
	if (!l->chip || !(changed & (IRQ_LAPIC_BASE_ON | IRQ_LAPIC_BASE_X2)))
		return;
	if (irq_lapic_is_on(l))
		take_id(l);
	irq_lapic_timer_unmasked(l);
	l->chip->owner.changed(l->chip->owner.ctx, l->index);
}

static bool has_wide_ids(const struct irq_lapic *l)
{
	return l->chip->x2apic_api & KVM_X2APIC_API_USE_32BIT_IDS;
}

void irq_lapic_get_state(struct irq_lapic *l, struct kvm_lapic_state *ret_state, uint64_t now_ns)
{
	memset(ret_state, 0, sizeof(*ret_state));
	*at(l, LAPIC_TIMER_CURRENT) = irq_lapic_timer_current(l, now_ns);
	for (unsigned i = 0; i < ARRAY_LEN(l->regs); i++)
		store_le(ret_state->regs + 16 * i, 4, l->regs[i]);
	/* In either mode the ID stands where an xAPIC has it, unless the VMM has asked for 32-bit IDs. */
	if (irq_lapic_is_x2(l) && !has_wide_ids(l))
		store_le(ret_state->regs + LAPIC_ID, 4, l->id << 24);
}

int irq_lapic_set_state(struct irq_lapic *l, const struct kvm_lapic_state *state, uint64_t now_ns)
{
	if (irq_lapic_is_x2(l) && has_wide_ids(l) && load_le(state->regs + LAPIC_ID, 4) != l->id) {
		errno = EINVAL;
		return -1;
	}
	for (unsigned i = 0; i < ARRAY_LEN(l->regs); i++)
		l->regs[i] = (uint32_t)load_le(state->regs + 16 * i, 4);
	irq_lapic_set_version(l);
	/* The ID of an x2APIC is fixed; KVM ignores any other ID that a VMM writes. */
	if (irq_lapic_is_x2(l))
		take_id(l);
	irq_lapic_timer_resume(l, now_ns);
	irq_lapic_set_tpr(l, irq_lapic_tpr(l));
	return 0;
}

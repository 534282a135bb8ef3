/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lapic: a local APIC orders interrupts by priority and accepts them; messages are delivered to the local
 * APICs that they are for. The caller holds the VM's interrupt lock. Law: APM 2, 16.6.
 */
#include <string.h>

#include "irq.h"
#include "vmm/uapi.h"

#define SPIV_ENABLED         0x100u
#define LVT_MASKED           0x10000u
#define LVT_LEVEL            0x8000u
#define VERSION              0x00050014u /* six LVT entries, an integrated APIC */
#define VERSION_DIRECTED_EOI 0x1000000u
#define SPIV_DIRECTED_EOI    0x1000u
#define DFR_FLAT             0xffffffffu
#define BROADCAST            0xffu
#define BROADCAST_X2         0xffffffffu
#define VECTOR_BIT(v)        (1u << ((v)&31))
#define VECTOR_WORD(v)       ((unsigned)(v) >> 5)

static uint32_t get(const struct irq_lapic *l, unsigned reg)
{
	return l->regs[reg >> 4];
}

static void set(struct irq_lapic *l, unsigned reg, uint32_t value)
{
	l->regs[reg >> 4] = value;
}

/* The 256-bit sets ISR, TMR and IRR are eight words each. */
static uint32_t *set_word(struct irq_lapic *l, unsigned set_reg, uint8_t vector)
{
	return &l->regs[(set_reg >> 4) + VECTOR_WORD(vector)];
}

static int highest(const struct irq_lapic *l, unsigned set_reg)
{
	for (int i = 7; i >= 0; i--) {
		uint32_t word = l->regs[(set_reg >> 4) + (unsigned)i];

		if (word)
			return i * 32 + 31 - __builtin_clz(word);
	}
	return -1;
}

bool irq_lapic_is_enabled(const struct irq_lapic *l)
{
	return irq_lapic_is_on(l) && (get(l, LAPIC_SPIV) & SPIV_ENABLED);
}

/* The processor priority is the task's priority or that of the interrupt in service, whichever is higher. */
static uint32_t ppr(const struct irq_lapic *l)
{
	uint32_t tpr = get(l, LAPIC_TPR) & 0xff;
	int serving = highest(l, LAPIC_ISR);
	uint32_t isr = serving < 0 ? 0 : (uint32_t)serving & 0xf0;

	return (tpr & 0xf0) >= isr ? tpr : isr;
}

static void changed(struct irq_lapic *l)
{
	set(l, LAPIC_PPR, ppr(l));
	l->chip->owner.changed(l->chip->owner.ctx, l->index);
}

/*
 * KVM offers directed ends of interrupts if the IOAPIC is not the kernel's, unless the VMM has chosen
 * otherwise.
 */
void irq_lapic_set_version(struct irq_lapic *l)
{
	uint32_t api = l->chip->x2apic_api;
	bool directed = api & UAPI_X2APIC_ENABLE_SUPPRESS_EOI_BROADCAST ||
	                (l->chip->split && !(api & UAPI_X2APIC_DISABLE_SUPPRESS_EOI_BROADCAST));

	set(l, LAPIC_VERSION, directed ? VERSION | VERSION_DIRECTED_EOI : VERSION);
}

/*
 * With this bit software ends an interrupt at the IOAPIC itself. KVM obeys the bit if the VMM asked for that,
 * or if the IOAPIC is the kernel's.
 */
static bool eoi_is_directed(const struct irq_lapic *l)
{
	uint32_t api = l->chip->x2apic_api;

	if (!(get(l, LAPIC_SPIV) & SPIV_DIRECTED_EOI) || api & UAPI_X2APIC_DISABLE_SUPPRESS_EOI_BROADCAST)
		return false;
	return api & UAPI_X2APIC_ENABLE_SUPPRESS_EOI_BROADCAST || !l->chip->split;
}

static bool is_boot(const struct irq_lapic *l)
{
	return l->id == l->chip->boot_id;
}

void irq_lapic_reset(struct irq_lapic *l, bool base)
{
	/* INIT does not change an xAPIC's ID, which software may have set. */
	uint32_t id = base ? l->id << 24 : get(l, LAPIC_ID);

	if (base)
		l->base = irq_lapic_base_after_reset(is_boot(l));
	memset(l->regs, 0, sizeof(l->regs));
	set(l, LAPIC_ID, id);
	irq_lapic_set_version(l);
	set(l, LAPIC_DFR, DFR_FLAT);
	set(l, LAPIC_SPIV, 0xff);
	if (irq_lapic_is_x2(l))
		set(l, LAPIC_LDR, (l->id >> 4) << 16 | 1u << (l->id & 15));
	for (unsigned lvt = LAPIC_LVT_TIMER; lvt <= LAPIC_LVT_ERROR; lvt += 0x10)
		set(l, lvt, LVT_MASKED);
	/* KVM wires the PIC through to the boot processor from the start (KVM_X86_QUIRK_LINT0_REENABLED). */
	if (is_boot(l) && !l->chip->lint0_masked)
		set(l, LAPIC_LVT_LINT0, IRQ_EXTINT << 8);
	l->timer_at_ns = IRQ_NEVER;
	l->timer_due = false;
	l->deadline_tsc = 0;
	changed(l);
}

void irq_lapic_init(struct irq_lapic *l, struct irq_chip *chip, unsigned index, uint32_t id)
{
	*l = (struct irq_lapic){.chip = chip, .index = index, .id = id};
	chip->lapic[index] = l;
	if (chip->lapics <= index)
		chip->lapics = index + 1;
	irq_lapic_reset(l, true);
}

int irq_lapic_pending(const struct irq_lapic *l)
{
	int vector = irq_lapic_is_on(l) ? highest(l, LAPIC_IRR) : -1;

	return vector >= 0 && ((uint32_t)vector & 0xf0) > (ppr(l) & 0xf0) ? vector : -1;
}

int irq_lapic_ack(struct irq_lapic *l)
{
	int vector = irq_lapic_pending(l);

	if (vector < 0)
		return -1;
	*set_word(l, LAPIC_IRR, (uint8_t)vector) &= ~VECTOR_BIT(vector);
	*set_word(l, LAPIC_ISR, (uint8_t)vector) |= VECTOR_BIT(vector);
	changed(l);
	return vector;
}

void irq_lapic_eoi(struct irq_lapic *l)
{
	int vector = highest(l, LAPIC_ISR);

	if (vector < 0)
		return;
	*set_word(l, LAPIC_ISR, (uint8_t)vector) &= ~VECTOR_BIT(vector);
	changed(l);
	if (eoi_is_directed(l))
		return;
	if (l->chip->split)
		l->chip->owner.eoi(l->chip->owner.ctx, l->index, (uint8_t)vector);
	else if (*set_word(l, LAPIC_TMR, (uint8_t)vector) & VECTOR_BIT(vector))
		irq_ioapic_eoi(l->chip, (uint8_t)vector);
}

uint32_t irq_lapic_tpr(const struct irq_lapic *l)
{
	return get(l, LAPIC_TPR) & 0xff;
}

void irq_lapic_set_tpr(struct irq_lapic *l, uint32_t tpr)
{
	set(l, LAPIC_TPR, tpr & 0xff);
	changed(l);
}

uint32_t irq_lapic_vapic(const struct irq_lapic *l)
{
	int serving = highest(l, LAPIC_ISR), requested = highest(l, LAPIC_IRR);
	uint32_t class = serving < 0 ? 0 : (uint32_t)serving & 0xf0;

	return irq_lapic_tpr(l) | class << 8 | (requested < 0 ? 0 : (uint32_t)requested << 24);
}

bool irq_lapic_takes_pic(const struct irq_lapic *l)
{
	uint32_t lvt = get(l, LAPIC_LVT_LINT0);

	return !irq_lapic_is_on(l) || (!(lvt & LVT_MASKED) && (lvt >> 8 & 7) == IRQ_EXTINT);
}

static bool accept_vector(struct irq_lapic *l, const struct irq_message *m)
{
	uint32_t *irr = set_word(l, LAPIC_IRR, m->vector), *tmr = set_word(l, LAPIC_TMR, m->vector);

	if (!irq_lapic_is_enabled(l) || (m->level && !m->assert))
		return false;
	*tmr = m->level ? *tmr | VECTOR_BIT(m->vector) : *tmr & ~VECTOR_BIT(m->vector);
	*irr |= VECTOR_BIT(m->vector);
	changed(l);
	return true;
}

bool irq_lapic_accept(struct irq_lapic *l, const struct irq_message *m)
{
	const struct irq_owner *owner = &l->chip->owner;

	switch (m->delivery) {
	case IRQ_FIXED:
	case IRQ_LOWEST: return accept_vector(l, m);
	case IRQ_REMOTE_READ: owner->kick(owner->ctx, l->index); return true;
	case IRQ_NMI: owner->nmi(owner->ctx, l->index); return true;
	case IRQ_INIT:
		if (m->level && !m->assert)
			return false;
		owner->init(owner->ctx, l->index);
		return true;
	case IRQ_SIPI: owner->sipi(owner->ctx, l->index, m->vector); return true;
	default: /* There is no SMM for SMI. ExtINT comes only from the PIC: irq_lapic_takes_pic(). */
		return false;
	}
}

static uint32_t id_of(const struct irq_lapic *l)
{
	return irq_lapic_is_x2(l) ? l->id : get(l, LAPIC_ID) >> 24;
}

static bool matches_physical(const struct irq_lapic *l, uint32_t dest)
{
	return dest == (irq_lapic_is_x2(l) ? BROADCAST_X2 : BROADCAST) || dest == id_of(l);
}

static bool matches_logical(const struct irq_lapic *l, uint32_t dest)
{
	uint32_t ldr = get(l, LAPIC_LDR);

	if (irq_lapic_is_x2(l))
		return dest == BROADCAST_X2 || (ldr >> 16 == dest >> 16 && (ldr & dest & 0xffff));
	ldr >>= 24;
	if (dest == BROADCAST)
		return true;
	if (get(l, LAPIC_DFR) == DFR_FLAT)
		return ldr & dest;
	return ldr >> 4 == dest >> 4 && (ldr & dest & 0xf);
}

bool irq_lapic_matches(const struct irq_lapic *l, const struct irq_message *m)
{
	uint32_t dest = m->dest;

	if (!irq_lapic_is_on(l) && m->shorthand != IRQ_TO_SELF)
		return false;
	switch (m->shorthand) {
	case IRQ_TO_SELF: return l == m->source;
	case IRQ_TO_ALL: return true;
	case IRQ_TO_OTHERS: return l != m->source;
	default:
		/* A device's 8-bit broadcast reaches every local APIC, in either mode. */
		if (!m->source && dest == BROADCAST && irq_lapic_is_x2(l) &&
		        !(l->chip->x2apic_api & KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK))
			dest = BROADCAST_X2;
		return m->logical ? matches_logical(l, dest) : matches_physical(l, dest);
	}
}

/* Chooses one of several targets by the vector, so that the same interrupt always goes to the same target. */
static int deliver_lowest(struct irq_chip *chip, const struct irq_message *m)
{
	unsigned count = 0, chosen;

	for (unsigned i = 0; i < chip->lapics; i++)
		count += chip->lapic[i] && irq_lapic_is_enabled(chip->lapic[i]) &&
		         irq_lapic_matches(chip->lapic[i], m);
	if (!count)
		return -1;
	chosen = m->vector % count;
	for (unsigned i = 0; i < chip->lapics; i++) {
		struct irq_lapic *l = chip->lapic[i];

		if (l && irq_lapic_is_enabled(l) && irq_lapic_matches(l, m) && chosen-- == 0)
			return irq_lapic_accept(l, m);
	}
	return -1;
}

static bool has_xapic(const struct irq_chip *chip)
{
	bool found = false;

	for (unsigned i = 0; i < chip->lapics; i++)
		found |= chip->lapic[i] && irq_lapic_is_enabled(chip->lapic[i]) &&
		         !irq_lapic_is_x2(chip->lapic[i]);
	return found;
}

/*
 * KVM looks most destinations up in a table; then a destination without a LAPIC is not a failure. For a
 * broadcast KVM asks one LAPIC after the other.
 */
static bool is_looked_up(const struct irq_chip *chip, const struct irq_message *m)
{
	if (!chip->lapics || m->shorthand != IRQ_TO_DEST)
		return false;
	if (!(chip->x2apic_api & KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK))
		return m->dest != BROADCAST;
	return m->dest != BROADCAST_X2 && (m->dest != BROADCAST || !has_xapic(chip));
}

static int deliver(struct irq_chip *chip, const struct irq_message *m)
{
	bool everybody = !m->logical && m->dest == BROADCAST;
	int taken = -1;

	/* KVM treats a physical broadcast of the lowest priority as a plain broadcast. */
	if (m->delivery == IRQ_LOWEST && !everybody)
		return deliver_lowest(chip, m);
	for (unsigned i = 0; i < chip->lapics; i++) {
		struct irq_lapic *l = chip->lapic[i];

		if (l && irq_lapic_matches(l, m))
			taken = (taken < 0 ? 0 : taken) + irq_lapic_accept(l, m);
	}
	return taken;
}

int irq_deliver(struct irq_chip *chip, const struct irq_message *m)
{
	int taken = deliver(chip, m);

	return taken < 0 && is_looked_up(chip, m) ? 0 : taken;
}

unsigned irq_deliver_ids(struct irq_chip *chip, uint64_t bits, uint32_t first, const struct irq_message *m)
{
	unsigned taken = 0;

	for (unsigned i = 0; i < chip->lapics; i++) {
		struct irq_lapic *l = chip->lapic[i];
		uint32_t bit = l ? id_of(l) - first : 0;

		if (l && irq_lapic_is_on(l) && id_of(l) >= first && bit < 64 && bits >> bit & 1)
			taken += irq_lapic_accept(l, m);
	}
	return taken;
}

bool irq_lapic_deliver_local(struct irq_lapic *l, unsigned lvt_reg)
{
	uint32_t lvt = get(l, lvt_reg);
	struct irq_message m = {
	        .vector = (uint8_t)lvt,
	        .delivery = lvt >> 8 & 7,
	        .level = lvt & LVT_LEVEL,
	        .assert = true,
	};

	if (!irq_lapic_is_on(l) || lvt & LVT_MASKED)
		return false;
	irq_lapic_accept(l, &m);
	return true;
}

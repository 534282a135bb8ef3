/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ioapic: turns the states of 24 pins into messages for local APICs. The caller holds the VM's interrupt
 * lock. Law: 82093AA, as KVM reads it: the polarity bit is ignored; a line is active when it is 1.
 */
#include <string.h>

#include "irq.h"

#define VERSION         0x170011u /* 24 pins, version 11h */
#define SELECT          0x00
#define WINDOW          0x10
#define REG_ID          0x00
#define REG_VERSION     0x01
#define REG_ARBITRATION 0x02
#define REG_TABLE       0x10
#define ENTRY_MASKED    UINT64_C(0x10000)
#define ENTRY_READONLY  UINT64_C(0x5000) /* remote IRR, delivery status */

void irq_ioapic_reset(struct irq_chip *chip)
{
	struct kvm_ioapic_state *s = &chip->ioapic.state;

	*s = (struct kvm_ioapic_state){.base_address = IRQ_IOAPIC_BASE};
	for (unsigned pin = 0; pin < KVM_IOAPIC_NUM_PINS; pin++)
		s->redirtbl[pin].bits = ENTRY_MASKED;
	memset(chip->ioapic.lines, 0, sizeof(chip->ioapic.lines));
	chip->ioapic.delivered = 0;
}

/* Sends the pin's interrupt unless it is masked or the last one is still in service. */
static int service(struct irq_chip *chip, unsigned pin)
{
	union {
		uint64_t bits;
		__typeof__(chip->ioapic.state.redirtbl[0].fields) fields;
	} entry = {.bits = chip->ioapic.state.redirtbl[pin].bits};
	struct irq_message m = {
	        .dest = entry.fields.dest_id,
	        .logical = entry.fields.dest_mode,
	        .level = entry.fields.trig_mode,
	        .assert = true,
	        .vector = entry.fields.vector,
	        .delivery = entry.fields.delivery_mode,
	};
	int taken;

	if (entry.fields.mask || (entry.fields.trig_mode && entry.fields.remote_irr))
		return -1;
	if (!entry.fields.trig_mode)
		chip->ioapic.delivered |= 1u << pin;
	/* This is set before sending, because sending may lead to an end of interrupt at once. */
	chip->ioapic.state.redirtbl[pin].fields.remote_irr = entry.fields.trig_mode;
	taken = irq_deliver(chip, &m);
	if (taken == 0)
		chip->ioapic.state.redirtbl[pin].fields.remote_irr = 0;
	return taken;
}

int irq_ioapic_set(struct irq_chip *chip, enum irq_source source, unsigned pin, bool level)
{
	struct kvm_ioapic_state *s = &chip->ioapic.state;
	uint8_t *line = &chip->ioapic.lines[pin];
	uint32_t bit = 1u << pin;
	bool was = s->irr & bit;

	*line = (uint8_t)(level ? *line | 1u << source : *line & ~(1u << source));
	if (!*line) {
		s->irr &= ~bit;
		return 1;
	}
	s->irr |= bit;
	if (!s->redirtbl[pin].fields.trig_mode)
		chip->ioapic.delivered &= ~bit;
	if (was && !s->redirtbl[pin].fields.trig_mode)
		return 0;
	return service(chip, pin);
}

void irq_ioapic_eoi(struct irq_chip *chip, uint8_t vector)
{
	struct kvm_ioapic_state *s = &chip->ioapic.state;

	for (unsigned pin = 0; pin < KVM_IOAPIC_NUM_PINS; pin++) {
		if (s->redirtbl[pin].fields.vector != vector || !s->redirtbl[pin].fields.trig_mode)
			continue;
		chip->owner.acked(chip->owner.ctx, KVM_IRQCHIP_IOAPIC, pin);
		s->redirtbl[pin].fields.remote_irr = 0;
		if (s->irr & 1u << pin)
			service(chip, pin);
	}
}

static uint32_t read_window(const struct kvm_ioapic_state *s)
{
	unsigned index = (s->ioregsel - REG_TABLE) / 2;

	switch (s->ioregsel) {
	case REG_VERSION: return VERSION;
	case REG_ID:
	case REG_ARBITRATION: return (s->id & 0xf) << 24;
	default:
		if (s->ioregsel < REG_TABLE || index >= KVM_IOAPIC_NUM_PINS)
			return s->ioregsel < REG_TABLE ? 0 : 0xffffffff;
		return (uint32_t)(s->redirtbl[index].bits >> (s->ioregsel & 1 ? 32 : 0));
	}
}

static void write_entry(struct irq_chip *chip, unsigned pin, bool high, uint32_t value)
{
	struct kvm_ioapic_state *s = &chip->ioapic.state;
	uint64_t bits = s->redirtbl[pin].bits;

	if (high)
		bits = (bits & 0xffffffff) | (uint64_t)value << 32;
	else
		bits = (bits & (ENTRY_READONLY | UINT64_C(0xffffffff00000000))) |
		       (value & ~ENTRY_READONLY & 0xffffffff);
	s->redirtbl[pin].bits = bits;
	/* Systems without an EOI register clear remote IRR by turning a pin to edge-triggered. */
	if (!s->redirtbl[pin].fields.trig_mode)
		s->redirtbl[pin].fields.remote_irr = 0;
	else if (s->irr & 1u << pin)
		service(chip, pin);
}

static void write_window(struct irq_chip *chip, uint32_t value)
{
	struct kvm_ioapic_state *s = &chip->ioapic.state;
	unsigned index = (s->ioregsel - REG_TABLE) / 2;

	if (s->ioregsel == REG_ID)
		s->id = value >> 24 & 0xf;
	else if (s->ioregsel >= REG_TABLE && index < KVM_IOAPIC_NUM_PINS)
		write_entry(chip, index, s->ioregsel & 1, value);
}

void irq_ioapic_mmio(struct irq_chip *chip, bool write, unsigned offset, unsigned size, void *data)
{
	struct kvm_ioapic_state *s = &chip->ioapic.state;
	unsigned reg = offset & 0xf0;

	if (!write) {
		uint64_t value = reg == SELECT ? s->ioregsel : reg == WINDOW ? read_window(s) : 0;

		memcpy(data, &value, size);
		return;
	}
	if (offset & 15)
		return;
	if (reg == SELECT)
		s->ioregsel = (uint8_t)load_le(data, 1);
	else if (reg == WINDOW)
		write_window(chip, (uint32_t)load_le(data, size < 4 ? size : 4));
}

void irq_ioapic_get_state(const struct irq_chip *chip, struct kvm_ioapic_state *ret_state)
{
	*ret_state = chip->ioapic.state;
	ret_state->irr &= ~chip->ioapic.delivered;
}

void irq_ioapic_set_state(struct irq_chip *chip, const struct kvm_ioapic_state *state)
{
	chip->ioapic.state = *state;
	chip->ioapic.state.base_address = IRQ_IOAPIC_BASE;
	chip->ioapic.delivered = 0;
	/* Lines that were up stay up, and pending interrupts are sent again, as KVM does after a restore. */
	for (unsigned pin = 0; pin < KVM_IOAPIC_NUM_PINS; pin++) {
		chip->ioapic.lines[pin] = state->irr >> pin & 1;
		if (state->irr >> pin & 1)
			service(chip, pin);
	}
}

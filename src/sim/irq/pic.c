/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pic: the two 8259As of a PC, with the edge/level registers of the PIIX. The caller holds the VM's interrupt
 * lock. Law: 8259A data sheet; PIIX3, 2.5.5 for 4D0 and 4D1.
 */
#include <string.h>

#include "irq.h"

#define MASTER     0
#define SLAVE      1
#define CASCADE    2
#define SPURIOUS   7
#define NOTHING    8 /* none of the eight bits is set */
#define PORT_ELCR  0x4d0
#define OCW2_FIXED 0x10 /* ICW1 */
#define OCW3       0x08

static const uint8_t elcr_masks[2] = {0xf8, 0xde};

/* Returns how far the bit of the highest priority is from the rotating top; NOTHING if no bit is set. */
static unsigned priority(const struct kvm_pic_state *s, uint8_t bits)
{
	unsigned p = 0;

	if (!bits)
		return NOTHING;
	while (!(bits & 1u << ((p + s->priority_add) & 7)))
		p++;
	return p;
}

/* Returns the pin for which the chip requests an interrupt; -1 if there is none. */
static int request(const struct irq_pic *pic, unsigned which)
{
	const struct kvm_pic_state *s = &pic->chip[which];
	unsigned wanted = priority(s, s->irr & (uint8_t)~s->imr);
	uint8_t serving = s->isr;

	if (s->special_fully_nested_mode && which == MASTER)
		serving &= (uint8_t) ~(1u << CASCADE);
	return wanted < priority(s, serving) ? (int)((wanted + s->priority_add) & 7) : -1;
}

static int set_pin(struct kvm_pic_state *s, unsigned pin, bool level)
{
	uint8_t bit = (uint8_t)(1u << pin);
	int taken = 1;

	if (!level) {
		if (s->elcr & bit)
			s->irr &= (uint8_t)~bit;
		s->last_irr &= (uint8_t)~bit;
	} else {
		if ((s->elcr & bit) || !(s->last_irr & bit)) {
			taken = !(s->irr & bit);
			s->irr |= bit;
		}
		s->last_irr |= bit;
	}
	return s->imr & bit ? -1 : taken;
}

static void update(struct irq_chip *chip)
{
	struct irq_pic *pic = &chip->pic;
	bool was = pic->output;

	if (request(pic, SLAVE) >= 0) {
		set_pin(&pic->chip[MASTER], CASCADE, true);
		set_pin(&pic->chip[MASTER], CASCADE, false);
	}
	pic->output = request(pic, MASTER) >= 0;
	for (unsigned i = 0; pic->output != was && i < chip->lapics; i++) {
		if (chip->lapic[i])
			chip->owner.changed(chip->owner.ctx, i);
	}
}

static void reset_chip(struct irq_pic *pic, unsigned which)
{
	uint8_t elcr = pic->chip[which].elcr;

	pic->chip[which] = (struct kvm_pic_state){.elcr = elcr, .elcr_mask = elcr_masks[which]};
}

void irq_pic_reset(struct irq_chip *chip)
{
	memset(&chip->pic, 0, sizeof(chip->pic));
	reset_chip(&chip->pic, MASTER);
	reset_chip(&chip->pic, SLAVE);
}

int irq_pic_set(struct irq_chip *chip, enum irq_source source, unsigned pin, bool level)
{
	uint8_t *line = &chip->pic.lines[pin];
	int taken;

	*line = (uint8_t)(level ? *line | 1u << source : *line & ~(1u << source));
	taken = set_pin(&chip->pic.chip[pin / 8], pin % 8, *line);
	update(chip);
	return taken;
}

static void end_of_interrupt(struct irq_chip *chip, unsigned which, unsigned pin)
{
	chip->pic.chip[which].isr &= (uint8_t) ~(1u << pin);
	chip->owner.acked(
	        chip->owner.ctx, which == MASTER ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, pin);
}

static void acknowledge(struct irq_chip *chip, unsigned which, unsigned pin)
{
	struct kvm_pic_state *s = &chip->pic.chip[which];

	s->isr |= (uint8_t)(1u << pin);
	if (!(s->elcr & 1u << pin))
		s->irr &= (uint8_t) ~(1u << pin);
	if (!s->auto_eoi)
		return;
	if (s->rotate_on_auto_eoi)
		s->priority_add = (pin + 1) & 7;
	end_of_interrupt(chip, which, pin);
}

uint8_t irq_pic_ack(struct irq_chip *chip)
{
	struct irq_pic *pic = &chip->pic;
	int pin = request(pic, MASTER), slave_pin;
	uint8_t vector;

	if (pin < 0) {
		vector = (uint8_t)(pic->chip[MASTER].irq_base + SPURIOUS);
	} else if (pin == CASCADE) {
		acknowledge(chip, MASTER, CASCADE);
		slave_pin = request(pic, SLAVE);
		if (slave_pin >= 0)
			acknowledge(chip, SLAVE, (unsigned)slave_pin);
		vector = (uint8_t)(pic->chip[SLAVE].irq_base + (slave_pin < 0 ? SPURIOUS : slave_pin));
	} else {
		acknowledge(chip, MASTER, (unsigned)pin);
		vector = (uint8_t)(pic->chip[MASTER].irq_base + pin);
	}
	update(chip);
	return vector;
}

/* ICW1 resets everything except the requests of level-triggered pins that are still up. */
static void start_init(struct irq_chip *chip, unsigned which, uint8_t value)
{
	struct kvm_pic_state *s = &chip->pic.chip[which];
	struct kvm_pic_state old = *s;

	reset_chip(&chip->pic, which);
	s->irr = old.irr & old.elcr;
	s->irq_base = old.irq_base;
	s->init4 = value & 1;
	s->init_state = 1;
	if (s->init4) {
		s->special_fully_nested_mode = old.special_fully_nested_mode;
		s->auto_eoi = old.auto_eoi;
	}
}

/* OCW2: bit 7 rotates, bit 6 names the pin, bit 5 ends an interrupt. */
static void write_ocw2(struct irq_chip *chip, unsigned which, uint8_t value)
{
	struct kvm_pic_state *s = &chip->pic.chip[which];
	bool rotate = value & 0x80, specific = value & 0x40, eoi = value & 0x20;
	unsigned pin = value & 7, serving = priority(s, s->isr);

	if (!specific && !eoi) {
		s->rotate_on_auto_eoi = rotate;
		return;
	}
	if (!specific) {
		if (serving == NOTHING)
			return;
		pin = (serving + s->priority_add) & 7;
	}
	if (rotate)
		s->priority_add = (pin + 1) & 7;
	if (eoi)
		end_of_interrupt(chip, which, pin);
}

static void write_command(struct irq_chip *chip, unsigned which, uint8_t value)
{
	struct kvm_pic_state *s = &chip->pic.chip[which];

	if (value & OCW2_FIXED) {
		start_init(chip, which, value);
	} else if (value & OCW3) {
		if (value & 4)
			s->poll = 1;
		if (value & 2)
			s->read_reg_select = value & 1;
		if (value & 0x40)
			s->special_mask = value >> 5 & 1;
	} else {
		write_ocw2(chip, which, value);
	}
}

static void write_data(struct kvm_pic_state *s, uint8_t value)
{
	switch (s->init_state) {
	case 0: s->imr = value; break;
	case 1:
		s->irq_base = value & 0xf8;
		s->init_state = 2;
		break;
	case 2: s->init_state = s->init4 ? 3 : 0; break;
	default:
		s->special_fully_nested_mode = value >> 4 & 1;
		s->auto_eoi = value >> 1 & 1;
		s->init_state = 0;
	}
}

/* After OCW3's poll bit, a read acknowledges the interrupt in place of the processor. */
static uint8_t poll_read(struct irq_chip *chip, unsigned which)
{
	int pin = request(&chip->pic, which);

	chip->pic.chip[which].poll = 0;
	if (pin < 0) {
		update(chip);
		return SPURIOUS;
	}
	if (which == SLAVE) {
		chip->pic.chip[MASTER].isr &= (uint8_t) ~(1u << CASCADE);
		chip->pic.chip[MASTER].irr &= (uint8_t) ~(1u << CASCADE);
	}
	chip->pic.chip[which].irr &= (uint8_t) ~(1u << pin);
	end_of_interrupt(chip, which, (unsigned)pin);
	update(chip);
	return (uint8_t)pin;
}

bool irq_pic_port(uint16_t port)
{
	return (port & ~0x81) == 0x20 || (port & ~1) == PORT_ELCR;
}

uint8_t irq_pic_read(struct irq_chip *chip, uint16_t port)
{
	unsigned which = port & 0x80 ? SLAVE : MASTER;
	struct kvm_pic_state *s = &chip->pic.chip[which];

	if ((port & ~1) == PORT_ELCR)
		return chip->pic.chip[port & 1].elcr;
	if (s->poll)
		return poll_read(chip, which);
	if (port & 1)
		return s->imr;
	return s->read_reg_select ? s->isr : s->irr;
}

void irq_pic_write(struct irq_chip *chip, uint16_t port, uint8_t value)
{
	unsigned which = port & 0x80 ? SLAVE : MASTER;

	if ((port & ~1) == PORT_ELCR)
		chip->pic.chip[port & 1].elcr = value & elcr_masks[port & 1];
	else if (port & 1)
		write_data(&chip->pic.chip[which], value);
	else
		write_command(chip, which, value);
	update(chip);
}

void irq_pic_set_state(struct irq_chip *chip, unsigned which, const struct kvm_pic_state *state)
{
	chip->pic.chip[which] = *state;
	chip->pic.chip[which].elcr_mask = elcr_masks[which];
	chip->pic.chip[which].priority_add &= 7;
	update(chip);
}

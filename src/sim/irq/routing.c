/* SPDX-License-Identifier: Apache-2.0 */
/*
 * routing: the interrupt controllers as a whole: routes GSI numbers to pins and messages, runs timers, and
 * passes accesses to ports on. The caller holds the VM's interrupt lock. Law: api.rst, KVM_SET_GSI_ROUTING.
 */
#include <errno.h>
#include <string.h>

#include "irq.h"

static void default_routes(struct irq_chip *chip)
{
	unsigned n = 0;

	for (unsigned gsi = 0; gsi < KVM_IOAPIC_NUM_PINS; gsi++) {
		struct kvm_irq_routing_entry e = {.gsi = gsi, .type = KVM_IRQ_ROUTING_IRQCHIP};

		e.u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
		e.u.irqchip.pin = gsi;
		chip->routes[n++] = e;
		if (gsi >= IRQ_PIC_PINS)
			continue;
		e.u.irqchip.irqchip = gsi < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE;
		e.u.irqchip.pin = gsi % 8;
		chip->routes[n++] = e;
	}
	chip->route_count = n;
}

int irq_chip_create(struct irq_owner owner, struct irq_chip **ret_chip)
{
	struct irq_chip *chip = calloc(1, sizeof(*chip));

	if (!chip)
		return -1;
	chip->bus_ns = IRQ_BUS_NS;
	chip->owner = owner;
	chip->routes = calloc(KVM_IOAPIC_NUM_PINS + IRQ_PIC_PINS, sizeof(*chip->routes));
	if (!chip->routes) {
		free(chip);
		return -1;
	}
	default_routes(chip);
	irq_ioapic_reset(chip);
	irq_pic_reset(chip);
	*ret_chip = chip;
	return 0;
}

void irq_chip_split(struct irq_chip *chip, unsigned reserved)
{
	chip->split = true;
	chip->reserved = reserved;
	chip->route_count = 0;
}

void irq_chip_destroy(struct irq_chip *chip)
{
	if (!chip)
		return;
	free(chip->pit);
	free(chip->routes);
	free(chip);
}

uint64_t irq_chip_next_timer(const struct irq_chip *chip)
{
	uint64_t next = chip->pit ? chip->pit->timer_at_ns : IRQ_NEVER;

	for (unsigned i = 0; i < chip->lapics; i++) {
		if (chip->lapic[i] && chip->lapic[i]->timer_at_ns < next)
			next = chip->lapic[i]->timer_at_ns;
	}
	return next;
}

/* A tick is an edge at GSI 0. Processors that use the PIT as an NMI watchdog (LINT0 as NMI) get an NMI. */
static void pit_tick(struct irq_chip *chip)
{
	irq_line_set(chip, IRQ_SOURCE_PIT, 0, true);
	irq_line_set(chip, IRQ_SOURCE_PIT, 0, false);
	for (unsigned i = 0; i < chip->lapics; i++) {
		struct irq_lapic *l = chip->lapic[i];

		if (l && (l->regs[LAPIC_LVT_LINT0 >> 4] >> 8 & 7) == IRQ_NMI)
			irq_lapic_deliver_local(l, LAPIC_LVT_LINT0);
	}
}

void irq_chip_run_timers(struct irq_chip *chip, uint64_t now_ns)
{
	if (chip->pit && irq_pit_run(chip->pit, now_ns))
		pit_tick(chip);
	for (unsigned i = 0; i < chip->lapics; i++) {
		if (chip->lapic[i])
			irq_lapic_run_timer(chip->lapic[i], now_ns);
	}
}

bool irq_chip_io(struct irq_chip *chip, bool write, uint16_t port, unsigned size, void *data, uint64_t now_ns)
{
	uint64_t value = 0;

	if (irq_pic_port(port)) {
		if (write && size == 1)
			irq_pic_write(chip, port, (uint8_t)load_le(data, 1));
		value = !write && size == 1 ? irq_pic_read(chip, port) : 0;
	} else if (irq_pit_port(chip->pit, port)) {
		if (write)
			irq_pit_write(chip->pit, port, (uint8_t)load_le(data, 1), now_ns);
		else
			value = irq_pit_read(chip->pit, port, now_ns);
	} else {
		return false;
	}
	if (!write)
		store_le(data, size, value);
	return true;
}

static uint64_t msi_address(const struct kvm_irq_routing_entry *e)
{
	return (uint64_t)e->u.msi.address_hi << 32 | e->u.msi.address_lo;
}

static bool has_wide_ids(const struct irq_chip *chip)
{
	return chip->x2apic_api & KVM_X2APIC_API_USE_32BIT_IDS;
}

bool irq_msi_is_valid(const struct irq_chip *chip, uint64_t address)
{
	return !has_wide_ids(chip) || !(address >> 32 & 0xff);
}

static bool route_is_valid(const struct irq_chip *chip, const struct kvm_irq_routing_entry *e)
{
	if (e->gsi >= IRQ_ROUTES_MAX)
		return false;
	if (e->type == KVM_IRQ_ROUTING_MSI)
		return !(e->flags & ~KVM_MSI_VALID_DEVID) && irq_msi_is_valid(chip, msi_address(e));
	if (e->type != KVM_IRQ_ROUTING_IRQCHIP || e->flags || chip->split)
		return false;
	return e->u.irqchip.irqchip == KVM_IRQCHIP_IOAPIC
	               ? e->u.irqchip.pin < KVM_IOAPIC_NUM_PINS
	               : e->u.irqchip.irqchip <= KVM_IRQCHIP_PIC_SLAVE && e->u.irqchip.pin < 8;
}

/* A GSI may have one route to each irqchip, or one message. */
static bool routes_clash(const struct kvm_irq_routing_entry *a, const struct kvm_irq_routing_entry *b)
{
	return a->gsi == b->gsi &&
	       (a->type != KVM_IRQ_ROUTING_IRQCHIP || b->type != KVM_IRQ_ROUTING_IRQCHIP ||
	               a->u.irqchip.irqchip == b->u.irqchip.irqchip);
}

static int by_gsi(const void *a, const void *b)
{
	const struct kvm_irq_routing_entry *x = a, *y = b;

	return x->gsi < y->gsi ? -1 : x->gsi > y->gsi;
}

static bool routes_are_valid(
        const struct irq_chip *chip, const struct kvm_irq_routing_entry *sorted, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (!route_is_valid(chip, &sorted[i]))
			return false;
		/* A GSI has at most three routes (one for each irqchip), so this loop is short. */
		for (unsigned j = i + 1; j < count && sorted[j].gsi == sorted[i].gsi; j++) {
			if (routes_clash(&sorted[i], &sorted[j]))
				return false;
		}
	}
	return true;
}

int irq_routes_set(struct irq_chip *chip, const struct kvm_irq_routing_entry *routes, unsigned count)
{
	auto_free struct kvm_irq_routing_entry *sorted = calloc(count + 1, sizeof(*sorted));

	if (!sorted) {
		errno = ENOMEM;
		return -1;
	}
	if (count)
		memcpy(sorted, routes, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), by_gsi);
	if (!routes_are_valid(chip, sorted, count)) {
		errno = EINVAL;
		return -1;
	}
	free(chip->routes);
	chip->routes = take_ptr(&sorted);
	chip->route_count = count;
	return 0;
}

/* The upper bits of the address hold the upper bits of the destination's ID (KVM_CAP_X2APIC_API). */
static struct irq_message message_of(const struct irq_chip *chip, uint64_t address, uint32_t data)
{
	return (struct irq_message){
	        .dest = (address >> 12 & 0xff) | (has_wide_ids(chip) ? address >> 32 & 0xffffff00 : 0),
	        .logical = address & 4,
	        .level = data & 0x8000,
	        .assert = true,
	        .vector = (uint8_t)data,
	        .delivery = address & 8 ? IRQ_LOWEST : (data >> 8 & 7),
	};
}

int irq_msi(struct irq_chip *chip, uint64_t address, uint32_t data)
{
	struct irq_message m = message_of(chip, address, data);

	return irq_deliver(chip, &m);
}

bool irq_wants_eoi(const struct irq_chip *chip, const struct irq_lapic *l, uint8_t vector)
{
	for (unsigned i = 0; i < chip->route_count; i++) {
		const struct kvm_irq_routing_entry *e = &chip->routes[i];
		struct irq_message m;

		if (e->gsi >= chip->reserved || e->type != KVM_IRQ_ROUTING_MSI)
			continue;
		m = message_of(chip, msi_address(e), e->u.msi.data);
		if (m.level && m.vector == vector && irq_lapic_matches(l, &m))
			return true;
	}
	return false;
}

static int route_set(
        struct irq_chip *chip, const struct kvm_irq_routing_entry *e, enum irq_source source, bool level)
{
	if (e->type == KVM_IRQ_ROUTING_MSI)
		return level ? irq_msi(chip, msi_address(e), e->u.msi.data) : -1;
	if (e->u.irqchip.irqchip == KVM_IRQCHIP_IOAPIC)
		return irq_ioapic_set(chip, source, e->u.irqchip.pin, level);
	return irq_pic_set(chip, source,
	        e->u.irqchip.pin + (e->u.irqchip.irqchip == KVM_IRQCHIP_PIC_SLAVE ? 8 : 0), level);
}

int irq_line_set(struct irq_chip *chip, enum irq_source source, uint32_t gsi, bool level)
{
	int taken = -1;

	for (unsigned i = 0; i < chip->route_count; i++) {
		int one = chip->routes[i].gsi == gsi ? route_set(chip, &chip->routes[i], source, level) : -1;

		if (one >= 0)
			taken = (taken < 0 ? 0 : taken) + one;
	}
	return taken;
}

int irq_gsi_of_pin(const struct irq_chip *chip, unsigned irqchip, unsigned pin)
{
	for (unsigned i = 0; i < chip->route_count; i++) {
		const struct kvm_irq_routing_entry *e = &chip->routes[i];

		if (e->type == KVM_IRQ_ROUTING_IRQCHIP && e->u.irqchip.irqchip == irqchip &&
		        e->u.irqchip.pin == pin)
			return (int)e->gsi;
	}
	return -1;
}

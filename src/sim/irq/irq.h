/* SPDX-License-Identifier: Apache-2.0 */
/*
 * irq: the interrupt controllers of the software platform: local APICs, IOAPIC, the PIC pair, the PIT and the
 * routes from GSI numbers to them. One irq_chip per VM; its owner holds one lock around every call and
 * passes the time, in ns of the guest. Law: APM 2, 16; 82093AA, 8259A, 8254 and the kernel's api.rst.
 */
#ifndef SIM_IRQ_H
#define SIM_IRQ_H

#include <linux/kvm.h>

#include "vmm/base.h"

#define IRQ_LAPICS_MAX     512
#define IRQ_NEVER          UINT64_MAX
#define IRQ_ROUTES_MAX     4096 /* also the limit of GSI numbers (KVM_CAP_IRQ_ROUTING) */
#define IRQ_PIC_PINS       16
#define IRQ_BUS_NS         1      /* KVM's default: the bus of the timers runs at 1 GHz */
#define IRQ_TIMER_NS_MIN   200000 /* the shortest period of a repeating timer, as KVM's */
#define IRQ_IOAPIC_BASE    UINT64_C(0xfec00000)
#define IRQ_IOAPIC_BYTES   0x100
#define IRQ_LAPIC_BASE     UINT64_C(0xfee00000)
#define IRQ_LAPIC_BASE_BSP 0x100u
#define IRQ_LAPIC_BASE_X2  0x400u
#define IRQ_LAPIC_BASE_ON  0x800u

struct irq_chip;

/* Offsets in the xAPIC page; x2APIC MSRs are 0x800 + offset / 16. */
enum irq_lapic_register {
	LAPIC_ID = 0x20,
	LAPIC_VERSION = 0x30,
	LAPIC_TPR = 0x80,
	LAPIC_APR = 0x90,
	LAPIC_PPR = 0xa0,
	LAPIC_EOI = 0xb0,
	LAPIC_LDR = 0xd0,
	LAPIC_DFR = 0xe0,
	LAPIC_SPIV = 0xf0,
	LAPIC_ISR = 0x100,
	LAPIC_TMR = 0x180,
	LAPIC_IRR = 0x200,
	LAPIC_ESR = 0x280,
	LAPIC_ICR = 0x300,
	LAPIC_ICR_HIGH = 0x310,
	LAPIC_LVT_TIMER = 0x320,
	LAPIC_LVT_THERMAL = 0x330,
	LAPIC_LVT_PERF = 0x340,
	LAPIC_LVT_LINT0 = 0x350,
	LAPIC_LVT_LINT1 = 0x360,
	LAPIC_LVT_ERROR = 0x370,
	LAPIC_TIMER_INITIAL = 0x380,
	LAPIC_TIMER_CURRENT = 0x390,
	LAPIC_TIMER_DIVIDE = 0x3e0,
	LAPIC_SELF_IPI = 0x3f0,
};

enum irq_delivery {
	IRQ_FIXED = 0,
	IRQ_LOWEST = 1,
	IRQ_SMI = 2,
	IRQ_REMOTE_READ = 3, /* to KVM: end a HLT */
	IRQ_NMI = 4,
	IRQ_INIT = 5,
	IRQ_SIPI = 6,
	IRQ_EXTINT = 7,
};

enum irq_shorthand { IRQ_TO_DEST, IRQ_TO_SELF, IRQ_TO_ALL, IRQ_TO_OTHERS };

struct irq_lapic;

/* An interrupt on its way to local APICs. */
struct irq_message {
	uint32_t dest;
	bool logical, level, assert;
	uint8_t vector;
	enum irq_delivery delivery;
	enum irq_shorthand shorthand;
	struct irq_lapic *source; /* the sender of an IPI, otherwise NULL */
};

struct irq_lapic {
	struct irq_chip *chip;
	unsigned index; /* of its vCPU */
	uint32_t id;    /* at reset and in x2APIC mode */
	uint64_t base;  /* MSR 1B */
	uint32_t regs[64];
	uint32_t timer_modes; /* the bits of the timer's LVT that choose its mode, as far as CPUID has them */
	uint64_t timer_at_ns; /* IRQ_NEVER: the timer is not running */
	bool timer_due;       /* the timer ran down while its interrupt was masked */
	uint64_t deadline_tsc;
};

struct irq_ioapic {
	struct kvm_ioapic_state state;
	uint8_t lines[KVM_IOAPIC_NUM_PINS]; /* one bit for each source */
	uint32_t delivered; /* a bit for each pin in irr whose edge was sent, and whose line is still up */
};

struct irq_pic {
	struct kvm_pic_state chip[2]; /* master, slave */
	uint8_t lines[IRQ_PIC_PINS];
	bool output;
};

struct irq_pit {
	struct kvm_pit_channel_state channel[3]; /* count_load_time: ns of the guest */
	uint32_t flags;
	bool speaker; /* port 0x61 is answered */
	bool reinject;
	uint64_t timer_at_ns;
	uint64_t ticks; /* of channel 0 since it was loaded */
};

/* The sources that can hold a line high. A line is high while at least one source holds it. */
enum irq_source { IRQ_SOURCE_USER, IRQ_SOURCE_RESAMPLE, IRQ_SOURCE_PIT };

/* Functions that the owner supplies. They are called with the owner's lock held. */
struct irq_owner {
	void (*changed)(void *ctx, unsigned lapic); /* the processor may take other interrupts now */
	void (*nmi)(void *ctx, unsigned lapic);
	void (*init)(void *ctx, unsigned lapic);
	void (*sipi)(void *ctx, unsigned lapic, uint8_t vector);
	void (*acked)(void *ctx, unsigned irqchip, unsigned pin); /* end of interrupt: irqfd resampling */
	void *ctx;
	void (*eoi)(void *ctx, unsigned lapic, uint8_t vector); /* of a split chip, see irq_wants_eoi() */
	void (*kick)(void *ctx, unsigned lapic);
};

struct irq_chip {
	struct irq_owner owner;
	struct irq_lapic *lapic[IRQ_LAPICS_MAX];
	unsigned lapics;
	struct irq_ioapic ioapic;
	struct irq_pic pic;
	struct irq_pit *pit; /* NULL until created */
	struct kvm_irq_routing_entry *routes;
	unsigned route_count;
	bool lint0_masked;   /* LINT0 is masked at reset, also on the boot processor */
	uint32_t x2apic_api; /* KVM_CAP_X2APIC_API */
	uint32_t boot_id;    /* the APIC ID of the boot processor */
	uint64_t bus_ns;     /* a cycle of the bus that timers count */
	bool split;          /* only LAPICs are here; PIC, IOAPIC and PIT are the VMM's */
	unsigned reserved;   /* GSIs below this number are pins of the VMM's IOAPIC */
};

/* ---- the whole (routing.c) ---- */

/*
 * Makes a chip with the routes that KVM starts with. Returns 0, or -1 if no memory is left.
 * irq_chip_destroy() ends it.
 */
int irq_chip_create(struct irq_owner owner, struct irq_chip **ret_chip);
/* KVM_CAP_SPLIT_IRQCHIP: only LAPICs are here; the VMM's IOAPIC has reserved pins. Before the first LAPIC. */
void irq_chip_split(struct irq_chip *chip, unsigned reserved);
/* Is the end of this interrupt at this LAPIC what an IOAPIC in user space waits for? */
bool irq_wants_eoi(const struct irq_chip *chip, const struct irq_lapic *lapic, uint8_t vector);
void irq_chip_destroy(struct irq_chip *chip); /* NULL is allowed; the LAPICs are their vCPUs' */
/* Returns the time at which the next timer is due, IRQ_NEVER if no timer runs. */
uint64_t irq_chip_next_timer(const struct irq_chip *chip);
/* Delivers the interrupts of all timers that are due. */
void irq_chip_run_timers(struct irq_chip *chip, uint64_t now_ns);
/* Answers the ports of PIC and PIT; false: another port. */
bool irq_chip_io(
        struct irq_chip *chip, bool write, uint16_t port, unsigned size, void *data, uint64_t now_ns);

/* Copies the routes. Returns 0; -1 with EINVAL for routes that KVM refuses: then the old ones stay. */
int irq_routes_set(struct irq_chip *chip, const struct kvm_irq_routing_entry *routes, unsigned count);
/* Linux's kvm_set_irq(). Returns -1: no route or no target; 0: coalesced; else how many took it. */
int irq_line_set(struct irq_chip *chip, enum irq_source source, uint32_t gsi, bool level);
/* With 32-bit APIC IDs the low byte of the upper address must be 0. Returns false if it is not. */
bool irq_msi_is_valid(const struct irq_chip *chip, uint64_t address);
/* Sends a message-signalled interrupt. Returns -1: nobody took it; 0: coalesced; else how many took it. */
int irq_msi(struct irq_chip *chip, uint64_t address, uint32_t data);
/* Returns the GSI whose route ends at this pin, -1 if there is none. */
int irq_gsi_of_pin(const struct irq_chip *chip, unsigned irqchip, unsigned pin);

/* ---- local APIC (lapic.c, lapic_bus.c, lapic_timer.c) ---- */

/* Sets a local APIC up as after power-on. index is the index of its vCPU, id its APIC ID. */
void irq_lapic_init(struct irq_lapic *lapic, struct irq_chip *chip, unsigned index, uint32_t id);
/*
 * Resets a local APIC as INIT does: everything but the base. With base true, it resets the base, too, as
 * after power-on.
 */
void irq_lapic_reset(struct irq_lapic *lapic, bool base);
/* Returns the vector that the processor may take now, -1 if there is none. irq_lapic_ack() takes it. */
int irq_lapic_pending(const struct irq_lapic *lapic);
int irq_lapic_ack(struct irq_lapic *lapic);
/* Is the PIC's output wired through to this processor (LINT0 as ExtINT, or the LAPIC off)? */
bool irq_lapic_takes_pic(const struct irq_lapic *lapic);
/*
 * Accepts an interrupt. Returns true if it was taken, which as in KVM includes a vector that already waits.
 */
bool irq_lapic_accept(struct irq_lapic *lapic, const struct irq_message *message);
/* Is the message for this LAPIC? */
bool irq_lapic_matches(const struct irq_lapic *lapic, const struct irq_message *message);
/* Sends to all that the message is for. Returns -1: no target; 0: coalesced; else how many took it. */
int irq_deliver(struct irq_chip *chip, const struct irq_message *message);
/* Sends to the LAPICs that are on and whose ID is first + n for a set bit n. Returns how many took it. */
unsigned irq_deliver_ids(
        struct irq_chip *chip, uint64_t bits, uint32_t first, const struct irq_message *message);
/* Returns the task priority: bits 7:0 of its register. */
uint32_t irq_lapic_tpr(const struct irq_lapic *lapic);
void irq_lapic_set_tpr(struct irq_lapic *lapic, uint32_t tpr);
/* Bits 7:0 the task priority, 15:8 the class of the interrupt in service, 31:24 the highest one requested. */
uint32_t irq_lapic_vapic(const struct irq_lapic *lapic);
/* The guest ends the interrupt in service that has the highest priority. */
void irq_lapic_eoi(struct irq_lapic *lapic);

/* An access to the page at an offset, of any size and alignment. */
void irq_lapic_mmio(
        struct irq_lapic *lapic, bool write, unsigned offset, unsigned size, void *data, uint64_t now_ns);
/* An access to MSRs 0x800 to 0x8ff. Returns false: #GP. */
bool irq_lapic_msr(struct irq_lapic *lapic, bool write, uint32_t index, uint64_t *value, uint64_t now_ns);
/*
 * May MSR 1B be set to this value? reserved: the bits that CPUID does not offer (x2APIC, addresses). The
 * guest may make only some changes of the mode, the host any (APM 2, 16.9).
 */
bool irq_lapic_base_is_valid(const struct irq_lapic *lapic, uint64_t base, uint64_t reserved, bool by_host);
/* Sets MSR 1B to a valid value; the mode changes with it. */
void irq_lapic_set_base(struct irq_lapic *lapic, uint64_t base);
/* Sets the version register, which tells whether ends of interrupts can be kept from IOAPICs. */
void irq_lapic_set_version(struct irq_lapic *lapic);
/* KVM_GET_LAPIC and KVM_SET_LAPIC. */
void irq_lapic_get_state(struct irq_lapic *lapic, struct kvm_lapic_state *ret_state, uint64_t now_ns);
/* Returns -1 with EINVAL if KVM_CAP_X2APIC_API has 32-bit IDs and this is not the LAPIC's own. */
int irq_lapic_set_state(struct irq_lapic *lapic, const struct kvm_lapic_state *state, uint64_t now_ns);

/* The timer's registers; reg is one of enum irq_lapic_register. */
void irq_lapic_timer_write(struct irq_lapic *lapic, unsigned reg, uint32_t value, uint64_t now_ns);
uint32_t irq_lapic_timer_current(const struct irq_lapic *lapic, uint64_t now_ns);
/* Lets the timer run on from the count in TIMER_CURRENT, as after KVM_SET_LAPIC. */
void irq_lapic_timer_resume(struct irq_lapic *lapic, uint64_t now_ns);
/* Delivers the timer's interrupt if it is due. */
void irq_lapic_run_timer(struct irq_lapic *lapic, uint64_t now_ns);
/*
 * MSR 6E0: sets the deadline and the time of it; deadline_tsc 0 disarms. Does nothing in another mode, or if
 * the LAPIC is off.
 */
void irq_lapic_set_deadline(struct irq_lapic *lapic, uint64_t deadline_tsc, uint64_t at_ns);
uint64_t irq_lapic_deadline(const struct irq_lapic *lapic);
/* The timer's interrupt may reach the processor again: if it ran down while masked, it is delivered now. */
void irq_lapic_timer_unmasked(struct irq_lapic *lapic);
/* Raises a local interrupt. Returns false if it is masked, or the LAPIC is off. */
bool irq_lapic_deliver_local(struct irq_lapic *lapic, unsigned lvt);
/* Is it switched on, by its base and by software? */
bool irq_lapic_is_enabled(const struct irq_lapic *lapic);

static inline uint64_t irq_lapic_base_after_reset(bool boot)
{
	return IRQ_LAPIC_BASE | IRQ_LAPIC_BASE_ON | (boot ? IRQ_LAPIC_BASE_BSP : 0);
}

static inline bool irq_lapic_is_on(const struct irq_lapic *lapic)
{
	return lapic->base & IRQ_LAPIC_BASE_ON;
}

static inline bool irq_lapic_is_x2(const struct irq_lapic *lapic)
{
	return (lapic->base & (IRQ_LAPIC_BASE_X2 | IRQ_LAPIC_BASE_ON)) ==
	       (IRQ_LAPIC_BASE_X2 | IRQ_LAPIC_BASE_ON);
}

/* ---- IOAPIC (ioapic.c) ---- */

/* All pins masked, no line up. */
void irq_ioapic_reset(struct irq_chip *chip);
/* A source raises or lowers a pin. Returns as irq_line_set(). */
int irq_ioapic_set(struct irq_chip *chip, enum irq_source source, unsigned pin, bool level);
/* A LAPIC reports the end of an interrupt. Level-triggered pins with that vector may send again. */
void irq_ioapic_eoi(struct irq_chip *chip, uint8_t vector);
/* An access to its registers, at an offset from IRQ_IOAPIC_BASE. */
void irq_ioapic_mmio(struct irq_chip *chip, bool write, unsigned offset, unsigned size, void *data);
/* KVM_GET_IRQCHIP and KVM_SET_IRQCHIP. The state has no edge that was sent already. */
void irq_ioapic_get_state(const struct irq_chip *chip, struct kvm_ioapic_state *ret_state);
void irq_ioapic_set_state(struct irq_chip *chip, const struct kvm_ioapic_state *state);

/* ---- PIC pair (pic.c) ---- */

/* As after power-on. */
void irq_pic_reset(struct irq_chip *chip);
/* A source raises or lowers a pin. Returns as irq_line_set(). */
int irq_pic_set(struct irq_chip *chip, enum irq_source source, unsigned pin, bool level);
/* The processor takes the interrupt that waits. Returns its vector. */
uint8_t irq_pic_ack(struct irq_chip *chip);
/* Is the port one of the two chips'? */
bool irq_pic_port(uint16_t port);
uint8_t irq_pic_read(struct irq_chip *chip, uint16_t port);
void irq_pic_write(struct irq_chip *chip, uint16_t port, uint8_t value);
/* KVM_SET_IRQCHIP; which: 0 the master, 1 the slave. */
void irq_pic_set_state(struct irq_chip *chip, unsigned which, const struct kvm_pic_state *state);

/* ---- PIT and port 61 (pit.c) ---- */

/* As after power-on. */
void irq_pit_reset(struct irq_pit *pit, uint64_t now_ns);
/* Is the port the PIT's? pit NULL: there is none. */
bool irq_pit_port(const struct irq_pit *pit, uint16_t port);
uint8_t irq_pit_read(struct irq_pit *pit, uint16_t port, uint64_t now_ns);
void irq_pit_write(struct irq_pit *pit, uint16_t port, uint8_t value, uint64_t now_ns);
/* Was a tick of channel 0 due, or several? At most one interrupt is delivered for them. */
bool irq_pit_run(struct irq_pit *pit, uint64_t now_ns);
/* KVM_SET_PIT2. */
void irq_pit_set_state(struct irq_pit *pit, const struct kvm_pit_state2 *state, uint64_t now_ns);

#endif

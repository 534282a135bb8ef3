/* SPDX-License-Identifier: Apache-2.0 */
/*
 * power: the power management function of the PIIX4 with its ACPI registers, and the three ports by which PCs
 * are reset. Runs on any vCPU thread and on the loop, with one lock, which is not held while events are told.
 * Intel 82371AB (PIIX4), sections 7.1 and 7.2; ACPI 6.5, section 4.8.3; PIIX3, 2.5.4 (RC, port 0xcf9).
 */
#include <string.h>

#include "away.h"
#include "cf9.h"
#include "vmm/device/power.h"

#define PMBA             0x40 /* configuration: base of the PM block, bits 15:6; bit 0 reads as 1 */
#define DEVACTB          0x58 /* configuration: what counts as activity, and makes SMIs */
#define DEVACTB_APMC_EN  25   /* of its bits: a write to port B2 makes an SMI */
#define PMREGMISC        0x80 /* configuration: bit 0 switches the PM block on */
#define PM_BYTES         64
#define PM_TIMER_HZ      3579545
#define PM_TIMER_MASK    0xffffff
#define STS_PWRBTN       (1u << 8)
#define STS_BITS         STS_PWRBTN /* that are ever set */
#define EN_BITS          0x0721 /* RTC, PWRBTN, GBL, TMR: the guest's to set; only the button has a source */
#define CNT_BITS         0x1c03 /* SLP_TYP, BM_RLD, SCI_EN; SLP_EN reads as zero */
#define CNT_SLP_EN       (1u << 13)
#define CNT_SLP_TYP(cnt) ((cnt) >> 10 & 7)
#define RC_HARD          2
#define SYSTEM_RESET     1
#define SYSTEM_A20       2
#define SLP_TYP_S5       0 /* as on the PIIX4; what the DSDT's _S5 must say */

enum { PM1_STS = 0, PM1_EN = 2, PM1_CNT = 4, PM_TMR = 8 };

struct device_power {
	struct device device;
	struct device_irq irq;
	struct device_time time; /* of the PM timer */
	struct device_events events;
	struct device_claim *pm;
	_Atomic uint16_t port; /* of the PM block; 0: nowhere */

	uint16_t sts, en, cnt;
	uint8_t gpe_sts[2], gpe_en[2];
	uint8_t reset_control, system_control; /* ports 0xcf9 and 0x92 */
	bool sci;
};

static enum device_verdict stop(struct device_power *power, enum device_event event, const char *how)
{
	if (power->events.on_event)
		power->events.on_event(power->events.ctx, event, how);
	return DEVICE_STOP;
}

/* ---- PM block ---- */

/* Events raise the SCI whatever SCI_EN says: there is no SMM whose SMI they could raise instead. */
static void update_sci(struct device_power *power)
{
	bool level = power->sts & power->en || power->gpe_sts[0] & power->gpe_en[0] ||
	             power->gpe_sts[1] & power->gpe_en[1];

	if (level == power->sci)
		return;
	power->sci = level;
	if (power->irq.set)
		power->irq.set(power->irq.ctx, DEVICE_POWER_GSI, level);
}

/* Counts whole seconds and the rest apart. Only the first product can overflow, and its low 24 bits stay
 * exact. */
static uint32_t timer(const struct device_power *power)
{
	const uint64_t second = 1000000000;
	uint64_t now = device_time_now(&power->time);
	uint64_t ticks = now / second * PM_TIMER_HZ + now % second * PM_TIMER_HZ / second;

	return ticks & PM_TIMER_MASK;
}

static uint64_t pm_read(void *dev, uint64_t offset, unsigned size)
{
	struct device_power *power = dev;
	uint8_t block[PM_BYTES] = {0};

	pthread_mutex_lock(&power->device.lock);
	store_le(block + PM1_STS, 2, power->sts);
	store_le(block + PM1_EN, 2, power->en);
	store_le(block + PM1_CNT, 2, power->cnt);
	store_le(block + PM_TMR, 4, timer(power));
	pthread_mutex_unlock(&power->device.lock);
	return load_le(block + offset, size);
}

/* Writes one byte of the block. Returns true when that puts the machine into S5; there are no other sleep
 * states. */
static bool pm_write_byte(struct device_power *power, uint64_t offset, uint8_t byte)
{
	unsigned shift = 8 * (offset & 1);
	uint16_t value = (uint16_t)(byte << shift);
	uint16_t keep = (uint16_t) ~(0xff << shift);

	switch (offset & ~1ULL) {
	case PM1_STS: power->sts &= (uint16_t)~value; return false;
	case PM1_EN: power->en = (power->en & keep) | (value & EN_BITS); return false;
	case PM1_CNT:
		power->cnt = (power->cnt & keep) | (value & CNT_BITS);
		return (value & CNT_SLP_EN) && CNT_SLP_TYP(power->cnt) == SLP_TYP_S5;
	default: return false;
	}
}

static enum device_verdict pm_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct device_power *power = dev;
	bool off = false;

	pthread_mutex_lock(&power->device.lock);
	for (unsigned i = 0; i < size; i++)
		off |= pm_write_byte(power, offset + i, (uint8_t)(value >> (8 * i)));
	update_sci(power);
	pthread_mutex_unlock(&power->device.lock);
	return off ? stop(power, DEVICE_EVENT_POWER_OFF, "ACPI") : DEVICE_RESUME;
}

/* ---- GPE0 block: what other devices tell by device_power_gpe() ---- */

static uint64_t gpe_read(void *dev, uint64_t offset, unsigned size)
{
	struct device_power *power = dev;
	uint64_t value;

	pthread_mutex_lock(&power->device.lock);
	value = offset < 2 ? power->gpe_sts[offset] : power->gpe_en[offset - 2];
	pthread_mutex_unlock(&power->device.lock);
	return value;
}

static enum device_verdict gpe_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct device_power *power = dev;

	pthread_mutex_lock(&power->device.lock);
	if (offset < 2)
		power->gpe_sts[offset] &= (uint8_t)~value;
	else
		power->gpe_en[offset - 2] = (uint8_t)value;
	update_sci(power);
	pthread_mutex_unlock(&power->device.lock);
	return DEVICE_RESUME;
}

/* ---- reset ports ---- */

static uint64_t load_byte(struct device_power *power, const uint8_t *byte)
{
	uint8_t value;

	pthread_mutex_lock(&power->device.lock);
	value = *byte;
	pthread_mutex_unlock(&power->device.lock);
	return value;
}

static void store_byte(struct device_power *power, uint8_t *byte, uint64_t value)
{
	pthread_mutex_lock(&power->device.lock);
	*byte = (uint8_t)value;
	pthread_mutex_unlock(&power->device.lock);
}

/* RC: bit 1 chooses a hard reset, bit 2 asks for it. Every reset is a hard one here. */
static uint64_t cf9_read(void *dev, uint64_t offset, unsigned size)
{
	struct device_power *power = dev;

	return load_byte(power, &power->reset_control);
}

static enum device_verdict cf9_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct device_power *power = dev;

	store_byte(power, &power->reset_control, value & RC_HARD);
	return value & 4 ? stop(power, DEVICE_EVENT_RESET, "port 0xcf9") : DEVICE_RESUME;
}

/* There is no keyboard controller. Its commands 0xf0-0xff pulse output pins low, and pin 0 resets the
 * machine. */
static uint64_t keyboard_read(void *dev, uint64_t offset, unsigned size)
{
	return 0xff;
}

static enum device_verdict keyboard_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	return (value & 0xf1) == 0xf0 ? stop(dev, DEVICE_EVENT_RESET, "port 0x64") : DEVICE_RESUME;
}

/* System control port A: bit 0 resets, bit 1 was the A20 gate. Bit 0 reads as 0, so that a guest that writes
 * back what it read does not reset the machine. */
static uint64_t system_read(void *dev, uint64_t offset, unsigned size)
{
	struct device_power *power = dev;

	return load_byte(power, &power->system_control);
}

static enum device_verdict system_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct device_power *power = dev;

	store_byte(power, &power->system_control, value & (uint8_t)~SYSTEM_RESET);
	return value & SYSTEM_RESET ? stop(power, DEVICE_EVENT_RESET, "port 0x92") : DEVICE_RESUME;
}

/* ---- the loop's side ---- */

void device_power_button(struct device_power *power)
{
	pthread_mutex_lock(&power->device.lock);
	power->sts |= STS_PWRBTN;
	update_sci(power);
	pthread_mutex_unlock(&power->device.lock);
}

void device_power_gpe(struct device_power *power, unsigned event)
{
	pthread_mutex_lock(&power->device.lock);
	power->gpe_sts[event / 8] |= (uint8_t)(1 << event % 8);
	update_sci(power);
	pthread_mutex_unlock(&power->device.lock);
}

uint16_t device_power_port(const struct device_power *power)
{
	return power->port;
}

/* ---- the kind ---- */

static void on_config(void *ctx, const uint8_t config[256])
{
	struct device_power *power = ctx;

	power->port = load_le(&config[PMBA], 2) & 0xffc0;
	device_claim_move(power->pm, config[PMREGMISC] & 1, power->port);
}

/* The PM block itself is switched off when PCI is reset. */
static void reset(struct device *device)
{
	struct device_power *power = (struct device_power *)device;

	pthread_mutex_lock(&power->device.lock);
	power->sts = power->en = power->cnt = 0;
	memset(power->gpe_sts, 0, sizeof(power->gpe_sts));
	memset(power->gpe_en, 0, sizeof(power->gpe_en));
	power->reset_control = 0;
	power->system_control = SYSTEM_A20;
	update_sci(power);
	pthread_mutex_unlock(&power->device.lock);
}

/* Where the PM block lies comes with PCI's state, which is loaded before this one. */
static void visit(struct device *device, struct vmstate *s)
{
	struct device_power *power = (struct device_power *)device;

	pthread_mutex_lock(&power->device.lock);
	vmstate_u16(s, "PM1 status", &power->sts, STS_BITS);
	vmstate_u16(s, "PM1 enable", &power->en, EN_BITS);
	vmstate_u16(s, "PM1 control", &power->cnt, CNT_BITS);
	vmstate_bytes(s, "GPE0 status", power->gpe_sts, sizeof(power->gpe_sts));
	vmstate_bytes(s, "GPE0 enable", power->gpe_en, sizeof(power->gpe_en));
	vmstate_u8(s, "reset control", &power->reset_control, RC_HARD);
	vmstate_u8(s, "system control", &power->system_control, (uint8_t)~SYSTEM_RESET);
	(void)device_time_visit(&power->time, s);
	if (!s->bad)
		update_sci(power);
	pthread_mutex_unlock(&power->device.lock);
}

static int add_function(struct device_power *power, struct device_pci *pci, struct err *err)
{
	/* There is no SMM. SeaBIOS would set it up and wait for its SMI for ever, unless APMC_EN says that
	 * this has been done already. QEMU sets that bit, too. */
	static const uint8_t initial[256] = {
	        [PMBA] = 1, [DEVACTB + DEVACTB_APMC_EN / 8] = 1 << DEVACTB_APMC_EN % 8};
	static const uint8_t write_mask[256] = {[PMBA] = 0xc0, [PMBA + 1] = 0xff, [PMREGMISC] = 1};
	const struct device_pci_setup function = {.device = 1,
	        .function = 3,
	        .vendor_id = 0x8086,
	        .device_id = 0x7113,
	        .class_code = 0x068000,
	        .revision = 3,
	        .interrupt_pin = 1,
	        .initial = initial,
	        .write_mask = write_mask,
	        .on_write = on_config,
	        .ctx = power};

	return device_pci_add(pci, &function, NULL, err);
}

static int claim_ports(struct device_power *power, struct device_bus *bus, struct err *err)
{
	const struct device_range pm = {"PM block", DEVICE_PIO, 0, PM_BYTES, pm_read, pm_write, power, 0};
	const struct device_range fixed[] = {
	        {"GPE0 block", DEVICE_PIO, DEVICE_POWER_GPE_PORT, DEVICE_POWER_GPE_PORTS, gpe_read, gpe_write,
	                power, 1},
	        {"keyboard controller", DEVICE_PIO, 0x64, 1, keyboard_read, keyboard_write, power, 1},
	        {"system control port", DEVICE_PIO, 0x92, 1, system_read, system_write, power, 1},
	};

	for (unsigned i = 0; i < ARRAY_LEN(fixed); i++)
		if (device_bus_claim(bus, &fixed[i], err) < 0)
			return -1;
	return device_bus_claim_movable(bus, &pm, &power->pm, err);
}

static int init(struct device *device, struct device_board *board, const void *ask, struct err *err)
{
	struct device_power *power = (struct device_power *)device;
	const struct device_range cf9 = {"reset control", DEVICE_PIO, 0, 1, cf9_read, cf9_write, power, 1};
	struct device_pci *pci = device_pci_of(board);

	if (!pci)
		return err_set(err, ERR_FAILED, "power management needs PCI, which the board lacks");
	power->irq = board->irq;
	power->time.clock = board->clock;
	power->events = board->events;
	reset(device);
	if (claim_ports(power, board->bus, err) < 0 || add_function(power, pci, err) < 0)
		return -1;
	device_pci_set_cf9(pci, &cf9);
	return 0;
}

const struct device_kind device_power_kind = {
        .name = "power management",
        .size = sizeof(struct device_power),
        .init = init,
        .reset = reset,
        .visit = visit,
};

struct device_power *device_power_of(const struct device_board *board)
{
	return (struct device_power *)device_board_find(board, &device_power_kind);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"
#include "vmm/device/power.h"

struct fixture {
	struct device_board board;
	struct device_bus *bus;
	struct device_power *power;
	struct fake_clock clock;
	struct fake_irq irq;
	_Atomic unsigned off, reset;
	_Atomic(const char *) how; /* the last of them was asked for */
};

static void on_event(void *ctx, enum device_event event, const char *how)
{
	struct fixture *f = ctx;

	atomic_store(&f->how, how);
	atomic_fetch_add(event == DEVICE_EVENT_POWER_OFF ? &f->off : &f->reset, 1);
}

static int setup(void **state)
{
	static struct fixture f;
	struct err err;

	f = (struct fixture){0};
	f.board.irq = fake_irq(&f.irq);
	f.board.clock = fake_clock(&f.clock);
	f.board.events = (struct device_events){.on_event = on_event, .ctx = &f};
	assert_ok(device_board_init(&f.board, &err));
	assert_ok(device_board_add(&f.board, &device_pci_kind, NULL, &err));
	assert_ok(device_board_add(&f.board, &device_power_kind, NULL, &err));
	f.bus = f.board.bus;
	f.power = device_power_of(&f.board);
	device_bus_freeze(f.bus);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	device_board_finish(&f->board);
	return 0;
}

static void config_write(struct fixture *f, unsigned reg, unsigned size, uint32_t value)
{
	outl(f->bus, 0xcf8, 0x80000b00 | (reg & 0xfc));
	device_bus_write(f->bus, DEVICE_PIO, 0xcfc + (reg & 3), size, value);
}

static uint32_t config_read(struct fixture *f, unsigned reg)
{
	outl(f->bus, 0xcf8, 0x80000b00 | reg);
	return inl(f->bus, 0xcfc);
}

static void enable_at(struct fixture *f, uint32_t base)
{
	config_write(f, 0x40, 4, base | 1);
	config_write(f, 0x80, 1, 1);
}

/* The smallest guest: from the reset vector to power-off. */
static void test_power_tiny_guest_switches_off(void **state)
{
	struct fixture *f = *state;

	config_write(f, 0x40, 4, 0xb001);
	config_write(f, 0x80, 1, 1);
	assert_int_equal(outw(f->bus, 0xb004, 0x2000), DEVICE_STOP);
	assert_int_equal(f->off, 1);
	assert_int_equal(f->reset, 0);
}

static void test_power_function_is_the_piix4s(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(config_read(f, 0), 0x71138086);
	assert_int_equal(config_read(f, 8), 0x06800003); /* kernels distrust the timer of revisions below 3 */
	assert_int_equal(config_read(f, 0x3c), 0x100);   /* INTA */
	assert_int_equal(config_read(f, 0x40), 1);
	assert_int_equal(config_read(f, 0x80), 0);
	config_write(f, 0x40, 4, 0xffffffff);
	config_write(f, 0x80, 4, 0xffffffff);
	assert_int_equal(config_read(f, 0x40), 0xffc1);
	assert_int_equal(config_read(f, 0x80), 1);
}

static void test_power_block_is_where_and_when_configured(void **state)
{
	struct fixture *f = *state;

	config_write(f, 0x40, 4, 0xb001);
	assert_int_equal(inl(f->bus, 0xb008), 0xffffffff);
	config_write(f, 0x80, 1, 1);
	assert_int_equal(inl(f->bus, 0xb008), 0);
	config_write(f, 0x40, 2, 0x0600);
	assert_int_equal(inl(f->bus, 0xb008), 0xffffffff);
	assert_int_equal(inl(f->bus, 0x608), 0);
	assert_int_equal(inb(f->bus, 0x63f), 0);
	assert_int_equal(inb(f->bus, 0x640), 0xff);
	reset_device(&f->board, &device_pci_kind);
	assert_int_equal(inl(f->bus, 0x608), 0xffffffff);
}

/* The ACPI tables must name the block's place, even if it is not switched on yet. */
static void test_power_port_follows_the_configuration(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(device_power_port(f->power), 0);
	config_write(f, 0x40, 4, 0x601);
	assert_int_equal(device_power_port(f->power), 0x600);
	config_write(f, 0x41, 1, 0xb0);
	assert_int_equal(device_power_port(f->power), 0xb000);
	reset_device(&f->board, &device_pci_kind);
	assert_int_equal(device_power_port(f->power), 0);
}

/*
 * APMC_EN (PIIX4, 7.1.28) is set from the start, so SeaBIOS takes SMIs for set up and does not wait for one.
 */
static void test_power_smi_needs_no_setting_up(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(config_read(f, 0x58), 1 << 25);
	config_write(f, 0x58, 4, 0);
	reset_device(&f->board, &device_pci_kind);
	assert_int_equal(config_read(f, 0x58), 1 << 25);
}

/* PM timer against the clock: 3.579545 MHz, 24 bits, also after years. ACPI 6.5, 4.8.3.3. */
static void test_power_timer_keeps_time(void **state)
{
	static const struct {
		uint64_t ns;
		uint32_t ticks;
	} cases[] = {
	        {0, 0},
	        {279, 0},
	        {280, 1},
	        {1 * SECOND_NS, 3579545},
	        {4 * SECOND_NS, 4 * 3579545},
	        {5 * SECOND_NS, 5 * 3579545 - (1 << 24)},
	        {4686968874ull, (1 << 24) - 1}, /* 2^24 / 3579545 s */
	        {4686968875ull, 0},
	        {1ull << 63, 0}, /* 292 years: computed below */
	        {UINT64_MAX, 0},
	};
	struct fixture *f = *state;

	enable_at(f, 0xb000);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint32_t exact = (uint32_t)((unsigned __int128)cases[i].ns * 3579545 / SECOND_NS) & 0xffffff;

		atomic_store(&f->clock.ns, cases[i].ns);
		if (cases[i].ns < 100 * SECOND_NS)
			assert_int_equal(exact, cases[i].ticks);
		assert_int_equal(inl(f->bus, 0xb008), exact);
	}
	outl(f->bus, 0xb008, 0x123456);
	assert_int_equal(inw(f->bus, 0xb00a), inl(f->bus, 0xb008) >> 16);
}

/* Firmware makes the machine an ACPI one and shuts down: SCI_EN, then SLP_EN with SLP_TYP 0. */
static void test_power_firmware_enables_acpi_then_shuts_down(void **state)
{
	struct fixture *f = *state;

	enable_at(f, 0xb000);
	assert_int_equal(outw(f->bus, 0xb004, inw(f->bus, 0xb004) | 1), DEVICE_RESUME);
	assert_int_equal(inw(f->bus, 0xb004), 1);
	assert_int_equal(outw(f->bus, 0xb004, 0x2001), DEVICE_STOP);
	assert_int_equal(inw(f->bus, 0xb004), 1); /* SLP_EN reads as zero */
	assert_int_equal(f->off, 1);
}

static void test_power_other_sleep_states_do_not_exist(void **state)
{
	struct fixture *f = *state;

	enable_at(f, 0xb000);
	for (unsigned type = 1; type < 8; type++)
		assert_int_equal(outw(f->bus, 0xb004, (uint16_t)(0x2000 | type << 10)), DEVICE_RESUME);
	assert_int_equal(f->off, 0);
	assert_int_equal(outw(f->bus, 0xb004, 0), DEVICE_RESUME);
	assert_int_equal(outb(f->bus, 0xb005, 0x20), DEVICE_STOP); /* a byte is enough */
	assert_int_equal(f->off, 1);
}

/* The user presses the button, the kernel takes the interrupt and clears what caused it. */
static void test_power_button_raises_the_sci_until_cleared(void **state)
{
	struct fixture *f = *state;

	enable_at(f, 0xb000);
	device_power_button(f->power);
	assert_int_equal(inw(f->bus, 0xb000), 0x100);
	assert_false(f->irq.level[9]);
	outw(f->bus, 0xb000, 0xffff);
	outw(f->bus, 0xb002, 0x0100);
	assert_int_equal(inw(f->bus, 0xb002), 0x0100);

	device_power_button(f->power);
	assert_true(f->irq.level[9]);
	outw(f->bus, 0xb000, 0x0001); /* another bit: not this one */
	assert_true(f->irq.level[9]);
	outw(f->bus, 0xb000, 0x0100);
	assert_false(f->irq.level[9]);
	assert_int_equal(inw(f->bus, 0xb000), 0);
	assert_int_equal(f->irq.rises[9], 1);
}

static void test_power_enabling_late_still_raises(void **state)
{
	struct fixture *f = *state;

	enable_at(f, 0xb000);
	device_power_button(f->power);
	outl(f->bus, 0xb000, 0x01000000); /* status untouched, button enabled: one 32-bit write */
	assert_true(f->irq.level[9]);
	outb(f->bus, 0xb003, 0);
	assert_false(f->irq.level[9]);
	outb(f->bus, 0xb003, 1);
	assert_true(f->irq.level[9]);
	reset_device(&f->board, &device_power_kind);
	assert_false(f->irq.level[9]);
	assert_int_equal(inl(f->bus, 0xb000), 0);
}

static void test_power_enable_bits_without_an_event_stay_zero(void **state)
{
	struct fixture *f = *state;

	enable_at(f, 0xb000);
	outw(f->bus, 0xb002, 0xffff);
	assert_int_equal(inw(f->bus, 0xb002), 0x0721);
	assert_false(f->irq.level[9]);
}

static void test_power_gpe_raises_the_sci_until_it_is_cleared(void **state)
{
	struct fixture *f = *state;

	outw(f->bus, 0xafe2, 0x8000);
	device_power_gpe(f->power, 3);
	assert_false(f->irq.level[9]);
	device_power_gpe(f->power, 15);
	assert_true(f->irq.level[9]);
	assert_int_equal(inw(f->bus, 0xafe0), 0x8008);
	/* An event of the PM block on the same line. */
	enable_at(f, 0xb000);
	outw(f->bus, 0xb002, 0x0100);
	device_power_button(f->power);
	outw(f->bus, 0xafe0, 0x8000);
	assert_true(f->irq.level[9]);
	outw(f->bus, 0xb000, 0x0100);
	assert_false(f->irq.level[9]);
	assert_int_equal(inw(f->bus, 0xafe0), 0x0008);
	outb(f->bus, 0xafe2, 0x08);
	assert_true(f->irq.level[9]);
	reset_device(&f->board, &device_power_kind);
	assert_false(f->irq.level[9]);
	assert_int_equal(inl(f->bus, 0xafe0), 0);
}

static void test_power_gpe_block_is_quiet_storage(void **state)
{
	struct fixture *f = *state;

	outw(f->bus, 0xafe0, 0xffff);
	outw(f->bus, 0xafe2, 0x1234);
	assert_int_equal(inl(f->bus, 0xafe0), 0x12340000);
	assert_false(f->irq.level[9]);
	reset_device(&f->board, &device_power_kind);
	assert_int_equal(inl(f->bus, 0xafe0), 0);
}

/* The ways in which PCs are reset, as firmware and kernels try them. */
static void test_power_every_reset_port_resets(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(outb(f->bus, 0xcf9, 0xfb), DEVICE_RESUME);
	assert_int_equal(inb(f->bus, 0xcf9), 0x02);
	assert_int_equal(inw(f->bus, 0xcf9), 0xff02);
	assert_int_equal(outb(f->bus, 0xcf9, 0x06), DEVICE_STOP);
	assert_int_equal(f->reset, 1);
	assert_string_equal(f->how, "port 0xcf9");
	assert_int_equal(outb(f->bus, 0x64, 0xfe), DEVICE_STOP);
	assert_int_equal(f->reset, 2);
	assert_string_equal(f->how, "port 0x64");
	assert_int_equal(outb(f->bus, 0x92, inb(f->bus, 0x92) | 1), DEVICE_STOP);
	assert_int_equal(f->reset, 3);
	assert_string_equal(f->how, "port 0x92");
	assert_int_equal(outw(f->bus, 0xcf8, 0x0600), DEVICE_STOP); /* as two bytes */
	assert_int_equal(f->reset, 4);
	assert_int_equal(f->off, 0);
}

static void test_power_harmless_writes_do_not_reset(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(inb(f->bus, 0x64), 0xff); /* no keyboard controller */
	assert_int_equal(outb(f->bus, 0x64, 0xd1), DEVICE_RESUME);
	assert_int_equal(outb(f->bus, 0x64, 0xff), DEVICE_RESUME);
	assert_int_equal(outb(f->bus, 0x92, inb(f->bus, 0x92) | 2), DEVICE_RESUME); /* A20 */
	assert_int_equal(inb(f->bus, 0x92), 2);
	assert_int_equal(outb(f->bus, 0x92, 0xfc), DEVICE_RESUME);
	assert_int_equal(inb(f->bus, 0x92), 0xfc);
	outb(f->bus, 0xcf9, 2);
	reset_device(&f->board, &device_power_kind);
	assert_int_equal(inb(f->bus, 0x92), 2);
	assert_int_equal(inb(f->bus, 0xcf9), 0);
	assert_int_equal(outw(f->bus, 0xcf8, 0xfbff), DEVICE_RESUME);
	outb(f->bus, 0xcf9, 0);
	outl(f->bus, 0xcf8, 0x80000600); /* a PCI address with what would be 6 in port 0xcf9 */
	assert_int_equal(inb(f->bus, 0xcf9), 0);
	assert_int_equal(f->reset, 0);
}

static void test_power_survives_random_accesses(void **state)
{
	static const struct {
		uint64_t first, ports;
	} where[] = {{0x60, 0x40}, {0xcf0, 0x18}, {0xafdc, 0xc}, {0xaff8, 0x50}};
	struct fixture *f = *state;

	enable_at(f, 0xb000);
	for (size_t i = 0; i < ARRAY_LEN(where); i++)
		assert_survives(f->bus, where[i].first, where[i].ports, 50000);
	assert_true(f->off > 0 && f->reset > 0);
}

static void press_and_move(void *ctx, unsigned round)
{
	struct fixture *f = ctx;

	enable_at(f, round & 1 ? 0xb000 : 0xb040);
	device_power_button(f->power);
	if (round % 50 == 0)
		reset_device(&f->board, &device_power_kind);
	atomic_fetch_add(&f->clock.ns, 1000);
}

static void test_power_two_vcpus_and_the_loop(void **state)
{
	struct fixture *f = *state;

	hammer_from_two_threads(f->bus, 0xb000, 0x80, press_and_move, f);
	enable_at(f, 0xb000);
	outw(f->bus, 0xb002, 0);
	assert_false(f->irq.level[9]); /* the line follows the registers, whoever wrote them last */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_power_tiny_guest_switches_off),
	        TEST(test_power_function_is_the_piix4s),
	        TEST(test_power_block_is_where_and_when_configured),
	        TEST(test_power_port_follows_the_configuration),
	        TEST(test_power_smi_needs_no_setting_up),
	        TEST(test_power_timer_keeps_time),
	        TEST(test_power_firmware_enables_acpi_then_shuts_down),
	        TEST(test_power_other_sleep_states_do_not_exist),
	        TEST(test_power_button_raises_the_sci_until_cleared),
	        TEST(test_power_enabling_late_still_raises),
	        TEST(test_power_enable_bits_without_an_event_stay_zero),
	        TEST(test_power_gpe_block_is_quiet_storage),
	        TEST(test_power_gpe_raises_the_sci_until_it_is_cleared),
	        TEST(test_power_every_reset_port_resets),
	        TEST(test_power_harmless_writes_do_not_reset),
	        TEST(test_power_survives_random_accesses),
	        TEST(test_power_two_vcpus_and_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

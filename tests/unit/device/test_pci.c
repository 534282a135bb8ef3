/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"
#include "vmm/device/pci.h"

#define ADDRESS 0xcf8
#define DATA    0xcfc

struct fixture {
	struct device_board board;
	struct device_bus *bus;
	struct device_pci *pci;
	_Atomic unsigned told;
	uint8_t seen[256];
};

static void on_write(void *ctx, const uint8_t config[256])
{
	struct fixture *f = ctx;

	f->told++;
	memcpy(f->seen, config, sizeof(f->seen));
}

static int setup(void **state)
{
	static const uint8_t initial[256] = {[0x34] = 0x40, [0x40] = 0x09, [0x4f] = 0x55};
	static const uint8_t write_mask[256] = {
	        [0x05] = 0x80, [0x10] = 0xf0, 0xff, 0xff, 0xff, [0x4f] = 0x0f};
	static struct fixture f;
	struct device_pci_setup card = {.device = 5,
	        .vendor_id = 0x1af4,
	        .device_id = 0x1042,
	        .class_code = 0x018000,
	        .revision = 1,
	        .subsystem_vendor_id = 0x1af4,
	        .subsystem_id = 0x1100,
	        .interrupt_pin = 1,
	        .initial = initial,
	        .write_mask = write_mask,
	        .on_write = on_write,
	        .ctx = &f};
	const struct device_pci_setup second = {
	        .device = 1, .function = 3, .vendor_id = 0x8086, .device_id = 0x7113};
	struct err err;

	f = (struct fixture){0};
	assert_ok(device_board_init(&f.board, &err));
	assert_ok(device_board_add(&f.board, &device_pci_kind, NULL, &err));
	f.bus = f.board.bus;
	f.pci = device_pci_of(&f.board);
	assert_ok(device_pci_add(f.pci, &card, NULL, &err));
	assert_ok(device_pci_add(f.pci, &second, NULL, &err));
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

static uint32_t at(unsigned bus, unsigned device, unsigned function, unsigned reg)
{
	return 0x80000000 | bus << 16 | device << 11 | function << 8 | reg;
}

static uint32_t config_read(struct fixture *f, unsigned device, unsigned function, unsigned reg)
{
	outl(f->bus, ADDRESS, at(0, device, function, reg));
	return inl(f->bus, DATA);
}

/* Firmware first reads the device id, with 16 bits, to learn which chipset this is. */
static void test_pci_firmware_recognises_the_i440fx(void **state)
{
	struct fixture *f = *state;

	outl(f->bus, ADDRESS, at(0, 0, 0, 0));
	assert_int_equal(inw(f->bus, DATA), 0x8086);
	assert_int_equal(inw(f->bus, DATA + 2), 0x1237);
	outl(f->bus, ADDRESS, at(0, 0, 0, 8));
	assert_int_equal(inl(f->bus, DATA) >> 8, 0x060000);
}

/* Without the class of an ISA bridge firmware finds no COM1. */
static void test_pci_isa_bridge_is_multifunction_and_routes_interrupts(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(config_read(f, 1, 0, 0), 0x70008086);
	assert_int_equal(config_read(f, 1, 0, 8) >> 8, 0x060100);
	assert_int_equal(config_read(f, 1, 0, 0x0c) >> 16 & 0xff, 0x80);
	assert_int_equal(config_read(f, 1, 3, 0x0c) >> 16 & 0xff, 0x80);
	assert_int_equal(config_read(f, 0, 0, 0x0c) >> 16 & 0xff, 0);
	assert_int_equal(config_read(f, 1, 0, 0x60), 0x80808080);
	outb(f->bus, DATA + 0, 0x0a);
	outb(f->bus, DATA + 1, 0x0a);
	outb(f->bus, DATA + 2, 0x0b);
	outb(f->bus, DATA + 3, 0x0b);
	assert_int_equal(config_read(f, 1, 0, 0x60), 0x0b0b0a0a);
	outl(f->bus, DATA, 0xffffffff);
	assert_int_equal(inl(f->bus, DATA), 0xffffffff);
	outl(f->bus, DATA, 0);
	assert_int_equal(inl(f->bus, DATA), 0);
}

/* Linux: does type 1 exist? It writes a byte next to the address register, then the register itself. */
static void test_pci_kernel_checks_for_mechanism_1(void **state)
{
	struct fixture *f = *state;
	uint32_t saved;

	outb(f->bus, 0xcfb, 1);
	saved = inl(f->bus, ADDRESS);
	outl(f->bus, ADDRESS, 0x80000000);
	assert_int_equal(inl(f->bus, ADDRESS), 0x80000000);
	outl(f->bus, ADDRESS, saved);
	assert_int_equal(inl(f->bus, ADDRESS), saved);
}

static void test_pci_address_reads_back_with_reserved_bits_zero(void **state)
{
	struct fixture *f = *state;

	outl(f->bus, ADDRESS, 0xffffffff);
	assert_int_equal(inl(f->bus, ADDRESS), 0x80fffffc);
	outl(f->bus, ADDRESS, 0x80001840);
	outw(f->bus, ADDRESS, 0);
	outb(f->bus, ADDRESS + 2, 0);
	assert_int_equal(inl(f->bus, ADDRESS), 0x80001840);
	assert_int_equal(inw(f->bus, ADDRESS), 0xffff);
	assert_int_equal(outw(f->bus, ADDRESS + 1, 0x0606), DEVICE_RESUME); /* nobody has port 0xcf9 here */
}

static void test_pci_scan_finds_only_what_is_there(void **state)
{
	struct fixture *f = *state;
	unsigned found = 0;

	for (unsigned bus = 0; bus < 256; bus += 51)
		for (unsigned devfn = 0; devfn < 256; devfn++) {
			outl(f->bus, ADDRESS, at(bus, devfn >> 3, devfn & 7, 0));
			if (inl(f->bus, DATA) == 0xffffffff)
				continue;
			assert_int_equal(bus, 0);
			found++;
		}
	assert_int_equal(found, 4);
	assert_int_equal(config_read(f, 31, 7, 0xfc), 0xffffffff);
	outl(f->bus, ADDRESS, at(0, 31, 7, 4));
	assert_int_equal(outl(f->bus, DATA, 0), DEVICE_RESUME);
}

static void test_pci_disabled_address_reaches_nothing(void **state)
{
	struct fixture *f = *state;

	outl(f->bus, ADDRESS, at(0, 5, 0, 4) & ~0x80000000);
	assert_int_equal(inl(f->bus, DATA), 0xffffffff);
	outl(f->bus, DATA, 0xffffffff);
	assert_int_equal(f->told, 0);
	assert_int_equal(config_read(f, 5, 0, 4), 0);
}

static void test_pci_every_byte_lane_reads_its_byte(void **state)
{
	struct fixture *f = *state;
	uint32_t whole = config_read(f, 5, 0, 0);

	assert_int_equal(whole, 0x10421af4);
	for (unsigned lane = 0; lane < 4; lane++)
		assert_int_equal(inb(f->bus, DATA + lane), whole >> (8 * lane) & 0xff);
	assert_int_equal(inw(f->bus, DATA + 1), 0x421a);
	/* The access crosses the last lane, and no device has the port after it. */
	assert_int_equal(inw(f->bus, DATA + 3), 0xff10);
	assert_int_equal(inl(f->bus, DATA + 2), 0xffff1042);
	/* Across the first: the last byte of the address register is write-only in bytes. */
	assert_int_equal(inw(f->bus, DATA - 1), 0xf4ff);
}

static void test_pci_header_is_read_only_but_for_its_writable_bits(void **state)
{
	static const uint32_t expected[16] = {
	        [0] = 0x10421af4,
	        [1] = 0x00008547, /* command: the standard bits, and one of the function's own */
	        [2] = 0x01800001,
	        [3] = 0x0000ffff, /* latency, cache line */
	        [4] = 0xfffffff0, /* BAR 0, by the function's own mask */
	        [11] = 0x11001af4,
	        [13] = 0x40,
	        [15] = 0x000001ff, /* pin, line */
	};
	struct fixture *f = *state;

	for (unsigned i = 0; i < 16; i++) {
		outl(f->bus, ADDRESS, at(0, 5, 0, 4 * i));
		outl(f->bus, DATA, 0xffffffff);
		assert_int_equal(inl(f->bus, DATA), expected[i]);
	}
	assert_int_equal(f->told, 16);
	assert_int_equal(f->seen[4], 0x47);
}

static void test_pci_byte_write_changes_that_byte_alone(void **state)
{
	struct fixture *f = *state;

	config_read(f, 5, 0, 0x10);
	outb(f->bus, DATA + 2, 0xab);
	assert_int_equal(config_read(f, 5, 0, 0x10), 0x00ab0000);
	outw(f->bus, DATA + 1, 0x1234);
	assert_int_equal(config_read(f, 5, 0, 0x10), 0x00123400);
	config_read(f, 5, 0, 0x4c);
	outb(f->bus, DATA + 3, 0xaa);
	assert_int_equal(config_read(f, 5, 0, 0x4c) >> 24, 0x5a);
}

static void test_pci_reset_restores_and_tells(void **state)
{
	struct fixture *f = *state;

	config_read(f, 0, 0, 4);
	outw(f->bus, DATA, 0x0003);
	assert_int_equal(config_read(f, 0, 0, 4), 3);
	config_read(f, 5, 0, 0x10);
	outl(f->bus, DATA, 0xfebf0000);
	assert_int_equal(f->told, 1);
	reset_device(&f->board, &device_pci_kind);
	assert_int_equal(f->told, 2);
	assert_int_equal(f->seen[0x13], 0);
	assert_int_equal(f->seen[0x4f], 0x55);
	assert_int_equal(inl(f->bus, ADDRESS), 0);
	assert_int_equal(config_read(f, 5, 0, 0x10), 0);
	assert_int_equal(config_read(f, 0, 0, 4), 0);
}

static void test_pci_function_added_twice_is_refused(void **state)
{
	struct fixture *f = *state;
	struct device_pci_setup function = {.device = 5, .vendor_id = 1};
	struct err err;

	assert_fails(device_pci_add(f->pci, &function, NULL, &err), ERR_FAILED, "00:05.0");
	function.device = 32;
	assert_fails(device_pci_add(f->pci, &function, NULL, &err), ERR_FAILED, "cannot be added");
	function.device = 6;
	function.function = 1; /* nobody would look for it without function 0 */
	assert_fails(device_pci_add(f->pci, &function, NULL, &err), ERR_FAILED, "cannot be added");
	function.function = 8;
	assert_fails(device_pci_add(f->pci, &function, NULL, &err), ERR_FAILED, "cannot be added");
}

static void test_pci_survives_random_accesses(void **state)
{
	struct fixture *f = *state;

	assert_survives(f->bus, ADDRESS - 4, 16, 200000);
	assert_int_equal(config_read(f, 0, 0, 0), 0x12378086);
}

static void reset_now_and_then(void *ctx, unsigned round)
{
	struct fixture *f = ctx;

	if (round % 100 == 0)
		reset_device(&f->board, &device_pci_kind);
	outl(f->bus, ADDRESS, at(0, 5, 0, 0x10));
	outl(f->bus, DATA, round);
}

static void test_pci_two_vcpus_at_once(void **state)
{
	struct fixture *f = *state;

	hammer_from_two_threads(f->bus, ADDRESS, 8, reset_now_and_then, f);
	assert_int_equal(config_read(f, 5, 0, 0), 0x10421af4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_pci_firmware_recognises_the_i440fx),
	        TEST(test_pci_isa_bridge_is_multifunction_and_routes_interrupts),
	        TEST(test_pci_kernel_checks_for_mechanism_1),
	        TEST(test_pci_address_reads_back_with_reserved_bits_zero),
	        TEST(test_pci_scan_finds_only_what_is_there),
	        TEST(test_pci_disabled_address_reaches_nothing),
	        TEST(test_pci_every_byte_lane_reads_its_byte),
	        TEST(test_pci_header_is_read_only_but_for_its_writable_bits),
	        TEST(test_pci_byte_write_changes_that_byte_alone),
	        TEST(test_pci_reset_restores_and_tells),
	        TEST(test_pci_function_added_twice_is_refused),
	        TEST(test_pci_survives_random_accesses),
	        TEST(test_pci_two_vcpus_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

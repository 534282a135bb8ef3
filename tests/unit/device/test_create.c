/*
 * Making the devices when memory ends or a port is taken: an error, nothing leaked (the sanitizers look),
 * nothing handed out. The linker wraps the allocating functions (meson.build).
 */
#include <errno.h>

#include "guest.h"

static long countdown = -1; /* how many allocations still succeed; -1: all */

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	return countdown >= 0 && countdown-- == 0 ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
	return countdown >= 0 && countdown-- == 0 ? NULL : __real_calloc(n, size);
}

struct devices {
	struct device_bus *bus;
	struct device_pci *pci;
	struct device_power *power;
	struct device_serial *serial;
	struct device_debugcon *debugcon;
	struct device_rtc *rtc;
	struct device_fw_cfg *fw_cfg;
};

static void on_event(void *ctx, enum device_power_event event)
{
	fail_msg("no guest runs here");
}

static bool making_fails(struct devices *d, struct err *err)
{
	static struct fake_clock clock;
	struct device_irq irq = {0};
	struct device_notify nobody = {0};
	uint8_t data[100] = {0};

	return device_pci_create(d->bus, &d->pci, err) ||
	       device_power_create(d->bus, d->pci, irq, fake_clock(&clock), on_event, NULL, &d->power, err) ||
	       device_serial_create(d->bus, 0x3f8, 4, irq, nobody, nobody, &d->serial, err) ||
	       device_debugcon_create(d->bus, nobody, &d->debugcon, err) ||
	       device_rtc_create(d->bus, fake_clock(&clock), MIB(64), 0, &d->rtc, err) ||
	       device_fw_cfg_create(d->bus, &d->fw_cfg, err) ||
	       device_fw_cfg_add_file(d->fw_cfg, "etc/x", data, sizeof(data), err);
}

static void destroy(struct devices *d)
{
	device_fw_cfg_destroy(d->fw_cfg);
	device_rtc_destroy(d->rtc);
	device_debugcon_destroy(d->debugcon);
	device_serial_destroy(d->serial);
	device_power_destroy(d->power);
	device_pci_destroy(d->pci);
	device_bus_destroy(d->bus);
}

static void test_create_each_failing_allocation_is_an_error(void **state)
{
	struct err err = {0};
	bool failed = true;
	long n;

	for (n = 0; failed; n++) {
		struct devices d = {0};

		countdown = n;
		failed = device_bus_create(&d.bus, &err) || making_fails(&d, &err);
		countdown = -1;
		if (failed)
			assert_int_equal(err.sys, ENOMEM);
		destroy(&d);
	}
	assert_in_range(n, 12, 100); /* every device allocates at least once */
}

/* Somebody else has one of the ports: whoever wants it too says who it is. */
static void test_create_taken_port_is_an_error(void **state)
{
	static const uint16_t ports[] = {
	        0x64, 0x70, 0x71, 0x92, 0x3f8, 0x3ff, 0x402, 0x510, 0x51b, 0xafe0, 0xcf8, 0xcff};
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
		struct devices d = {0};
		struct device_range range = {.name = "squatter", .base = ports[i], .size = 1};

		assert_ok(device_bus_create(&d.bus, &err));
		assert_ok(device_bus_claim(d.bus, &range, &err));
		assert_true(making_fails(&d, &err));
		assert_non_null(strstr(err.text, "overlaps squatter"));
		destroy(&d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_create_each_failing_allocation_is_an_error),
	        cmocka_unit_test(test_create_taken_port_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order in which firmware is told to try the devices, as it reads it from fw_cfg.
 */
#include <endian.h>
#include <stdlib.h>

#include "../../../src/machine/machine.h"
#include "support/test.h"

#define SELECTOR 0x510
#define DATA     0x511

static void take(struct device_bus *bus, void *data, size_t size)
{
	uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)device_bus_read(bus, DEVICE_PIO, DATA, 1);
}

/* Reads a file as firmware does, by way of the directory; -1: there is none. */
static int read_file(struct device_bus *bus, const char *name, char *text, size_t room)
{
	struct {
		uint32_t size;
		uint16_t key, reserved;
		char name[56];
	} file;
	uint32_t count;

	device_bus_write(bus, DEVICE_PIO, SELECTOR, 2, FW_CFG_FILE_DIR);
	take(bus, &count, sizeof(count));
	for (uint32_t i = 0; i < be32toh(count); i++) {
		take(bus, &file, sizeof(file));
		if (strcmp(file.name, name) != 0)
			continue;
		assert_true(be32toh(file.size) <= room);
		device_bus_write(bus, DEVICE_PIO, SELECTOR, 2, be16toh(file.key));
		take(bus, text, be32toh(file.size));
		return (int)be32toh(file.size);
	}
	return -1;
}

/* What firmware finds for such a configuration. */
static int order_of(struct config *config, char *text, size_t room)
{
	struct machine machine = {.config = config};
	struct err err;
	int size;

	assert_ok(device_board_init(&machine.board, &err));
	assert_ok(device_board_add(&machine.board, &device_fw_cfg_kind, NULL, &err));
	assert_ok(machine_boot_add(&machine, device_fw_cfg_of(&machine.board), &err));
	device_bus_freeze(machine.board.bus);
	size = read_file(machine.board.bus, "bootorder", text, room);
	device_board_finish(&machine.board);
	return size;
}

static struct config *parse(const char *json)
{
	struct config_mistakes mistakes = {0};
	struct config *config = NULL;

	assert_int_equal(config_parse("test", json, strlen(json), NULL, 0, NULL, &config, &mistakes), 0);
	config_mistakes_finish(&mistakes);
	return config;
}

/* Disks and cards in the order of devices[]. Other devices count as places, and firmware starts from none. */
static void test_order_is_that_of_the_devices(void **state)
{
	static const char wanted[] = "/pci@i0cf8/ethernet@3/ethernet-phy@0\n"
	                             "/pci@i0cf8/scsi@5/disk@0,0\n"
	                             "/pci@i0cf8/scsi@6/disk@0,0";
	struct config *config = parse("{\"devices\": [{\"driver\": \"net\"}, {\"driver\": \"balloon\"}, "
	                              "{\"driver\": \"blk\", \"file\": \"a\"}, "
	                              "{\"driver\": \"blk\", \"file\": \"b\"}]}");
	char text[500];

	assert_int_equal(order_of(config, text, sizeof(text)), sizeof(wanted)); /* with its NUL */
	assert_string_equal(text, wanted);
	config_destroy(config);
}

static void test_order_of_the_most_disks_fits(void **state)
{
	char json[4000] = "{\"devices\": [", text[4000];
	struct config *config;

	for (unsigned i = 0; i < CONFIG_DEVICES_MAX; i++)
		strcat(json, i ? ", {\"driver\": \"net\"}" : "{\"driver\": \"net\"}");
	strcat(json, "], \"machine\": {\"rng\": false}}");
	config = parse(json);
	assert_true(order_of(config, text, sizeof(text)) > CONFIG_DEVICES_MAX * 30);
	assert_non_null(strstr(text, "/pci@i0cf8/ethernet@1a/ethernet-phy@0"));
	config_destroy(config);
}

static void test_order_is_left_to_a_store_of_variables(void **state)
{
	struct config *config = parse(
	        "{\"firmware-vars\": \"vars.fd\", \"devices\": [{\"driver\": \"blk\", \"file\": \"a\"}]}");
	char text[500];

	assert_int_equal(order_of(config, text, sizeof(text)), -1);
	config_destroy(config);
}

static void test_order_of_no_disk_is_no_file(void **state)
{
	struct config *config = parse("{\"devices\": [{\"driver\": \"rng\"}]}");
	char text[500];

	assert_int_equal(order_of(config, text, sizeof(text)), -1);
	config_destroy(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_order_is_that_of_the_devices),
	        cmocka_unit_test(test_order_of_the_most_disks_fits),
	        cmocka_unit_test(test_order_is_left_to_a_store_of_variables),
	        cmocka_unit_test(test_order_of_no_disk_is_no_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files can be the store of a firmware's variables, and where the guest finds it.
 */
#include <stdlib.h>
#include <unistd.h>

#include "../../../src/machine/machine.h"
#include "support/test.h"

#define IMAGE_BYTES KIB(3568) /* of OVMF_CODE_4M.fd */
#define STORE_BYTES KIB(528)  /* of OVMF_VARS_4M.fd */

static char image_name[] = "code.fd", none[] = "", null[] = "/dev/null", nowhere[] = "/nowhere/vars.fd";

struct fixture {
	struct machine machine;
	struct config config;
	char path[32];
	int fd;
	uint8_t *image;
};

static int setup(void **state)
{
	static struct fixture f;
	struct err err;

	f = (struct fixture){.path = "/tmp/vmm-vars.XXXXXX"};
	f.fd = mkstemp(f.path);
	assert_true(f.fd >= 0);
	f.image = calloc(1, IMAGE_BYTES);
	f.config.firmware = image_name;
	f.config.firmware_vars = f.path;
	f.machine = (struct machine){.config = &f.config, .vars_fd = -1};
	f.machine.files.firmware = (struct machine_image){f.image, IMAGE_BYTES};
	assert_ok(device_board_init(&f.machine.board, &err));
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	device_board_finish(&f->machine.board);
	if (f->machine.vars_fd >= 0)
		close(f->machine.vars_fd);
	free(f->image);
	close(f->fd);
	unlink(f->path);
	return 0;
}

static void test_flash_store_ends_where_the_image_begins(void **state)
{
	struct fixture *f = *state;
	struct device_bus *bus = f->machine.board.bus;
	struct err err;

	assert_int_equal(ftruncate(f->fd, STORE_BYTES), 0);
	assert_int_equal(pwrite(f->fd, "a", 1, 0), 1);
	assert_int_equal(pwrite(f->fd, "z", 1, STORE_BYTES - 1), 1);
	assert_ok(machine_flash_add(&f->machine, &err));
	device_bus_freeze(bus);
	assert_int_equal(device_bus_read(bus, DEVICE_MMIO, 0xffc00000, 1), 'a');
	assert_int_equal(device_bus_read(bus, DEVICE_MMIO, 0xffc00000 + STORE_BYTES - 1, 1), 'z');
	assert_int_equal(device_bus_read(bus, DEVICE_MMIO, 0xffc00000 + STORE_BYTES, 1), 0xff);
}

static void test_flash_none_is_no_device(void **state)
{
	struct fixture *f = *state;
	struct err err;

	f->config.firmware_vars = none;
	assert_ok(machine_flash_add(&f->machine, &err));
	assert_int_equal(f->machine.board.count, 0);
}

static void test_flash_store_of_another_image_is_refused(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *why;
	} cases[] = {
	        {0, "has 0 bytes: a store of variables has whole blocks of 4 KiB"},
	        {STORE_BYTES - 1, "whole blocks of 4 KiB"},
	        {KIB(128), "has 128 KiB, and the firmware image code.fd has 3568 KiB: the two do not belong"},
	        {MIB(32) - IMAGE_BYTES, "do not belong together"}, /* it would reach below the APICs */
	};
	struct fixture *f = *state;
	struct err err;

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(ftruncate(f->fd, (off_t)cases[i].bytes), 0);
		assert_fails(machine_flash_add(&f->machine, &err), ERR_USAGE, cases[i].why);
		assert_non_null(strstr(err.text, f->path));
		close(f->machine.vars_fd);
		f->machine.vars_fd = -1;
	}
}

/* OVMF.fd begins with its own variables, and would never look at the store. */
static void test_flash_with_an_image_that_has_variables_is_refused(void **state)
{
	static const uint8_t guid[] = {0x8d, 0x2b, 0xf1, 0xff, 0x96, 0x76, 0x8b, 0x4c, 0xa9, 0x85, 0x27, 0x47,
	        0x07, 0x5b, 0x4f, 0x50};
	struct fixture *f = *state;
	struct err err;

	assert_int_equal(ftruncate(f->fd, STORE_BYTES), 0);
	memcpy(f->image + 16, guid, sizeof(guid));
	assert_fails(machine_flash_add(&f->machine, &err), ERR_USAGE, "use the image OVMF_CODE_4M.fd");
}

static void test_flash_store_that_is_no_file_is_refused(void **state)
{
	struct fixture *f = *state;
	struct err err;

	f->config.firmware_vars = null;
	assert_fails(machine_flash_add(&f->machine, &err), ERR_USAGE, "is no regular file");
	close(f->machine.vars_fd);
	f->machine.vars_fd = -1;
	f->config.firmware_vars = nowhere;
	assert_fails(
	        machine_flash_add(&f->machine, &err), ERR_USAGE, "cannot be opened to be read and written");
}

/* One file for both machines: the guest's is the one that may write it. */
static void test_flash_store_changes_hands(void **state)
{
	struct fixture *f = *state;
	struct machine here = f->machine;
	struct host *host;
	struct err err;

	assert_int_equal(ftruncate(f->fd, STORE_BYTES), 0);
	assert_ok(host_kernel_create(&host, &err));
	f->machine.host = here.host = host;
	here.board = (struct device_board){0};
	here.arrives = true;
	assert_ok(device_board_init(&here.board, &err));
	assert_ok(machine_flash_add(&f->machine, &err));
	assert_ok(machine_flash_add(&here, &err));

	assert_fails(machine_flash_take(&here, &err), ERR_USAGE, "is in use by another program");
	assert_non_null(strstr(err.text, f->path));
	/* What failed left no lock behind. */
	assert_ok(machine_flash_release(&f->machine, &err));
	assert_ok(machine_flash_take(&f->machine, &err));
	assert_ok(machine_flash_release(&f->machine, &err));
	assert_ok(machine_flash_take(&here, &err));
	assert_fails(machine_flash_take(&f->machine, &err), ERR_USAGE, "is in use by another program");

	device_board_finish(&here.board);
	close(here.vars_fd);
	assert_ok(machine_flash_take(&f->machine, &err));
	f->machine.host = NULL;
	host_destroy(host);
}

static void test_flash_none_changes_no_hands(void **state)
{
	struct fixture *f = *state;
	struct err err;

	assert_ok(machine_flash_release(&f->machine, &err));
	assert_ok(machine_flash_take(&f->machine, &err));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_flash_store_ends_where_the_image_begins),
	        TEST(test_flash_none_is_no_device),
	        TEST(test_flash_store_of_another_image_is_refused),
	        TEST(test_flash_with_an_image_that_has_variables_is_refused),
	        TEST(test_flash_store_that_is_no_file_is_refused),
	        TEST(test_flash_store_changes_hands),
	        TEST(test_flash_none_changes_no_hands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "fw_cfg_items.h"

/* ---- byte by byte ---- */

static void test_fw_cfg_firmware_finds_it(void **state)
{
	struct fixture *f = *state;
	uint8_t text[8];

	outw(f->bus, SELECTOR, FW_CFG_SIGNATURE);
	read_port(f, text, 4);
	assert_memory_equal(text, "QEMU", 4);
	outw(f->bus, SELECTOR, FW_CFG_ID);
	read_port(f, text, 4);
	assert_memory_equal(text, ((uint8_t[]){FW_CFG_VERSION | FW_CFG_VERSION_DMA, 0, 0, 0}), 4);
	assert_int_equal((uint64_t)be32toh(inl(f->bus, DMA_HIGH)) << 32 | be32toh(inl(f->bus, DMA_LOW)),
	        FW_CFG_DMA_SIGNATURE);
	assert_int_equal(inb(f->bus, DMA_LOW + 2), 'F');
}

static void test_fw_cfg_item_ends_in_zeros(void **state)
{
	struct fixture *f = *state;
	char text[sizeof(kernel) + 4];

	memset(text, 'x', sizeof(text));
	outw(f->bus, SELECTOR, FW_CFG_KERNEL_DATA);
	read_port(f, text, sizeof(text));
	assert_memory_equal(text, kernel, sizeof(kernel));
	assert_memory_equal(text + sizeof(kernel), "\0\0\0\0", 4);
}

static void test_fw_cfg_selecting_starts_over(void **state)
{
	struct fixture *f = *state;

	outw(f->bus, SELECTOR, FW_CFG_KERNEL_DATA);
	assert_int_equal(inb(f->bus, DATA), 'b');
	assert_int_equal(inb(f->bus, DATA), 'y');
	outw(f->bus, SELECTOR, FW_CFG_KERNEL_DATA | FW_CFG_WRITE_CHANNEL);
	assert_int_equal(inb(f->bus, DATA), 'b');
	outb(f->bus, DATA, 'X'); /* writes are ignored */
	assert_int_equal(inb(f->bus, DATA), 'y');
	device_board_reset(&f->board);
	assert_int_equal(inb(f->bus, DATA), 'Q');
}

static void test_fw_cfg_numbers_are_little_endian(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[5];

	outw(f->bus, SELECTOR, FW_CFG_KERNEL_SIZE);
	read_port(f, bytes, 5);
	assert_memory_equal(bytes, ((uint8_t[]){0x55, 0x44, 0x33, 0x22, 0}), 5);
}

static void test_fw_cfg_unknown_keys_are_empty(void **state)
{
	struct fixture *f = *state;

	for (uint32_t key = 0; key <= 0xffff; key++) {
		uint16_t item = (uint16_t)(key & ~FW_CFG_WRITE_CHANNEL);
		bool known = item <= FW_CFG_ID || item == FW_CFG_KERNEL_SIZE || item == FW_CFG_KERNEL_DATA ||
		             item == FW_CFG_FILE_FIRST || item == FW_CFG_FILE_FIRST + 2;

		outw(f->bus, SELECTOR, (uint16_t)key);
		assert_int_equal(inb(f->bus, DATA) != 0, known);
	}
}

static void test_fw_cfg_odd_accesses_are_nobodys(void **state)
{
	struct fixture *f = *state;

	outw(f->bus, SELECTOR, FW_CFG_KERNEL_DATA);
	outb(f->bus, SELECTOR, 0);
	assert_int_equal(inw(f->bus, SELECTOR), 0xffff);
	assert_int_equal(inb(f->bus, SELECTOR), 0xff);
	assert_int_equal(inb(f->bus, DATA), 'b');
	assert_int_equal(inw(f->bus, 0x512), 0xffff);
	outw(f->bus, DMA_LOW, 0); /* no operation */
	outb(f->bus, DMA_LOW + 3, 0);
	outl(f->bus, DMA_HIGH + 2, 0);
	assert_int_equal(inb(f->bus, DATA), 'y');
}

/* ---- the directory ---- */

static void test_fw_cfg_directory_is_as_the_kernel_reads_it(void **state)
{
	static const struct {
		const char *name;
		uint32_t size;
		uint16_t key;
	} expected[] = {{"bootorder", 0, 0x21}, {"etc/acpi/rsdp", 8, 0x22}, {"etc/e820", 4, 0x20}};
	struct fixture *f = *state;
	struct fw_cfg_file file;
	uint32_t count;

	outw(f->bus, SELECTOR, FW_CFG_FILE_DIR);
	read_port(f, &count, sizeof(count));
	assert_int_equal(be32toh(count), ARRAY_LEN(expected));
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		read_port(f, &file, sizeof(file));
		assert_string_equal(file.name, expected[i].name);
		assert_int_equal(be32toh(file.size), expected[i].size);
		assert_int_equal(be16toh(file.select), expected[i].key);
		assert_int_equal(file.reserved, 0);
	}
	assert_int_equal(inb(f->bus, DATA), 0);
}

static void test_fw_cfg_full_directory_is_sorted(void **state)
{
	struct fixture *f = *state;
	struct fw_cfg_file files[FW_CFG_FILES_MAX];
	char name[FW_CFG_MAX_FILE_PATH + 8];
	uint32_t count;
	struct err err;

	for (unsigned i = 3; i < FW_CFG_FILES_MAX; i++) {
		snprintf(name, sizeof(name), "opt/%02u", i * 37 % 64);
		assert_ok(device_fw_cfg_add_file(f->fw_cfg, name, &i, 1, &err));
	}
	assert_fails(
	        device_fw_cfg_add_file(f->fw_cfg, "opt/more", "", 0, &err), ERR_FAILED, "32 files already");
	assert_int_equal(dma(f, select_bits(FW_CFG_FILE_DIR) | FW_CFG_DMA_CTL_READ,
	                         sizeof(count) + sizeof(files), BUFFER),
	        0);
	peek(f, BUFFER, &count, sizeof(count));
	peek(f, BUFFER + sizeof(count), files, sizeof(files));
	assert_int_equal(be32toh(count), FW_CFG_FILES_MAX);
	for (unsigned i = 1; i < FW_CFG_FILES_MAX; i++)
		assert_true(strcmp(files[i - 1].name, files[i].name) < 0);
}

static void test_fw_cfg_wrong_items_are_refused(void **state)
{
	struct fixture *f = *state;
	char name[FW_CFG_MAX_FILE_PATH + 1];
	struct err err;

	memset(name, 'n', sizeof(name));
	name[FW_CFG_MAX_FILE_PATH] = 0;
	assert_fails(
	        device_fw_cfg_add(f->fw_cfg, FW_CFG_KERNEL_DATA, "", 0, &err), ERR_FAILED, "0x11 is there");
	assert_fails(device_fw_cfg_add(f->fw_cfg, FW_CFG_FILE_DIR, "", 0, &err), ERR_FAILED, "is there");
	assert_fails(device_fw_cfg_add(f->fw_cfg, 0x20, "", 0, &err), ERR_FAILED, "belongs to files");
	assert_fails(device_fw_cfg_add_number(f->fw_cfg, 5, 1, 9, &err), ERR_FAILED, "9 bytes");
	assert_fails(device_fw_cfg_add_file(f->fw_cfg, "etc/e820", "", 0, &err), ERR_FAILED,
	        "etc/e820 is there already");
	assert_fails(device_fw_cfg_add_file(f->fw_cfg, "", "", 0, &err), ERR_FAILED, "1 to 55");
	assert_fails(device_fw_cfg_add_file(f->fw_cfg, name, "", 0, &err), ERR_FAILED, "1 to 55");
	name[FW_CFG_MAX_FILE_PATH - 1] = 0;
	assert_ok(device_fw_cfg_add_file(f->fw_cfg, name, "", 0, &err));
}

static void count_up(void *ctx, uint8_t *data, size_t size)
{
	assert_int_equal(size, 8);
	data[0] = (uint8_t)++ * (unsigned *)ctx;
}

static void test_fw_cfg_file_that_follows_is_fresh_when_selected(void **state)
{
	struct fixture *f = *state;
	unsigned count = 0;
	char text[8];

	device_fw_cfg_follow(f->fw_cfg, "etc/acpi/rsdp", count_up, &count);
	outw(f->bus, SELECTOR, 0x22);
	read_port(f, text, 8);
	assert_memory_equal(text, "\1SD PTR ", 8);
	assert_int_equal(dma(f, select_bits(0x22) | FW_CFG_DMA_CTL_READ, 4, BUFFER), 0);
	assert_int_equal(dma(f, FW_CFG_DMA_CTL_READ, 4, BUFFER + 4), 0);
	peek(f, BUFFER, text, 8);
	assert_memory_equal(text, "\2SD PTR ", 8);
	outw(f->bus, SELECTOR, 0x20);
	assert_int_equal(count, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_fw_cfg_firmware_finds_it),
	        TEST(test_fw_cfg_item_ends_in_zeros),
	        TEST(test_fw_cfg_selecting_starts_over),
	        TEST(test_fw_cfg_numbers_are_little_endian),
	        TEST(test_fw_cfg_unknown_keys_are_empty),
	        TEST(test_fw_cfg_odd_accesses_are_nobodys),
	        TEST(test_fw_cfg_directory_is_as_the_kernel_reads_it),
	        TEST(test_fw_cfg_full_directory_is_sorted),
	        TEST(test_fw_cfg_wrong_items_are_refused),
	        TEST(test_fw_cfg_file_that_follows_is_fresh_when_selected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

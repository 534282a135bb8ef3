/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flash chip of the firmware's variables: what drivers do to it, by the command set's specification and
 * as edk2's driver uses it, and that the file has each change at once.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"
#include "vmm/device/flash.h"

#define BASE  0xffc00000u
#define BLOCK DEVICE_FLASH_BLOCK_BYTES
#define SIZE  (132 * BLOCK) /* the store of Debian's images of 4 MiB */

struct fixture {
	struct device_board board;
	int fd;
};

static void *plain_mmap(struct host *h, void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	return mmap(addr, length, prot, flags, fd, offset);
}

static int plain_munmap(struct host *h, void *addr, size_t length)
{
	return munmap(addr, length);
}

static const struct device_flash_ask *ask_for(const struct fixture *f)
{
	static struct device_flash_ask ask;

	ask = (struct device_flash_ask){f->fd, "vars.fd", BASE, SIZE};
	return &ask;
}

static void make(struct fixture *f)
{
	uint8_t block[BLOCK];
	struct err err;

	*f = (struct fixture){.fd = memfd_create("vars", MFD_ALLOW_SEALING | MFD_CLOEXEC)};
	for (unsigned i = 0; i < SIZE / BLOCK; i++) {
		memset(block, (int)(i + 1), sizeof(block));
		assert_int_equal(write(f->fd, block, sizeof(block)), sizeof(block));
	}
	assert_ok(device_board_init(&f->board, &err));
	assert_ok(device_board_add(&f->board, &device_flash_kind, ask_for(f), &err));
}

static int setup(void **state)
{
	static struct fixture f;

	make(&f);
	device_bus_freeze(f.board.bus);
	device_board_reset(&f.board);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	device_board_finish(&f->board);
	close(f->fd);
	return 0;
}

static uint8_t get(struct fixture *f, uint64_t offset)
{
	return (uint8_t)device_bus_read(f->board.bus, DEVICE_MMIO, BASE + offset, 1);
}

static void put(struct fixture *f, uint64_t offset, uint8_t value)
{
	assert_int_equal(device_bus_write(f->board.bus, DEVICE_MMIO, BASE + offset, 1, value), DEVICE_RESUME);
}

static uint8_t in_file(struct fixture *f, uint64_t offset)
{
	uint8_t byte;

	assert_int_equal(pread(f->fd, &byte, 1, (off_t)offset), 1);
	return byte;
}

static void program(struct fixture *f, uint64_t offset, uint8_t value)
{
	put(f, offset, 0x10);
	put(f, offset, value);
}

/* ---- reading ---- */

static void test_flash_shows_the_file_at_any_width(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(get(f, 0), 1);
	assert_int_equal(get(f, SIZE - 1), 132);
	assert_int_equal(device_bus_read(f->board.bus, DEVICE_MMIO, BASE + BLOCK - 4, 8), 0x0202020201010101);
	assert_int_equal(device_bus_read(f->board.bus, DEVICE_MMIO, BASE + SIZE - 1, 2), 0xff84);
	assert_int_equal(device_bus_read(f->board.bus, DEVICE_MMIO, BASE - 1, 2), 0x01ff);
}

static void test_flash_tells_its_id(void **state)
{
	struct fixture *f = *state;

	put(f, 0x1234, 0x90);
	assert_int_equal(get(f, 0), 0x89);
	assert_int_equal(get(f, 0x101), 0x18);
	assert_int_equal(get(f, 2), 0); /* the block is not locked */
	put(f, 0, 0xff);
	assert_int_equal(get(f, 0), 1);
}

/* JESD68: a driver learns the size, the buffer and the blocks here. */
static void test_flash_answers_the_query(void **state)
{
	struct fixture *f = *state;
	unsigned blocks, block_bytes;

	put(f, 0x55, 0x98);
	assert_int_equal(get(f, 0x10), 'Q');
	assert_int_equal(get(f, 0x11), 'R');
	assert_int_equal(get(f, 0x12), 'Y');
	assert_int_equal(get(f, 0x13), 1);
	assert_int_equal(get(f, get(f, 0x15)), 'P');
	assert_int_equal(1u << get(f, 0x27), MIB(1)); /* 528 KiB, rounded up to a power of two */
	assert_int_equal(1u << get(f, 0x2a), 256);
	assert_int_equal(get(f, 0x2c), 1);
	blocks = get(f, 0x2d) + 256u * get(f, 0x2e) + 1;
	block_bytes = 256u * (get(f, 0x2f) + 256u * get(f, 0x30));
	assert_int_equal(blocks * block_bytes, SIZE);
	assert_int_equal(get(f, 0), 0);
	assert_int_equal(get(f, 0xff), 0);
}

/* ---- as edk2 does it ---- */

/*
 * The driver looks for a byte that is no command and no cleared status. A chip then answers Clear Status with
 * something else than that command (which RAM would return), and Read Status with 0 (ROM would return the
 * byte).
 */
static void test_flash_is_found_by_edk2(void **state)
{
	struct fixture *f = *state;

	put(f, 0, 0x50);
	assert_int_not_equal(get(f, 0), 0x50);
	put(f, 0, 0x70);
	assert_int_equal(get(f, 0), 0);
	put(f, 0, 0xff);
	assert_int_equal(get(f, 0), 1);
	assert_int_equal(in_file(f, 0), 1);
}

static void test_flash_edk2_erases_and_writes_a_block(void **state)
{
	static const uint8_t text[] = {'v', 'a', 'r', 0x10, 0x20, 0xff, 0xd0, 0xe8};
	struct fixture *f = *state;

	put(f, 3 * BLOCK, 0x20);
	put(f, 3 * BLOCK, 0xd0);
	for (unsigned i = 0; i < sizeof(text); i++)
		program(f, 3 * BLOCK + 5 + i, text[i]);
	put(f, 3 * BLOCK + 5 + sizeof(text) - 1, 0xff);
	for (unsigned i = 0; i < BLOCK; i++) {
		uint8_t expected = i >= 5 && i < 5 + sizeof(text) ? text[i - 5] : 0xff;

		assert_int_equal(get(f, 3 * BLOCK + i), expected);
		assert_int_equal(in_file(f, 3 * BLOCK + i), expected);
	}
	assert_int_equal(get(f, 3 * BLOCK - 1), 3);
	assert_int_equal(get(f, 4 * BLOCK), 5);
}

/* ---- the command set ---- */

static void test_flash_program_shows_status_until_read_array(void **state)
{
	struct fixture *f = *state;

	put(f, 9, 0x40);
	assert_int_equal(in_file(f, 9), 1);
	put(f, 9, 0x77);
	assert_int_equal(in_file(f, 9), 0x77); /* at once, not when the driver is done */
	assert_int_equal(get(f, 9), 0x80);
	put(f, 0, 0xff);
	assert_int_equal(get(f, 9), 0x77);
}

/* Each byte of a wider write is a write of its own, as on a chip of 8 bits. */
static void test_flash_wide_write_is_bytes(void **state)
{
	struct fixture *f = *state;

	device_bus_write(f->board.bus, DEVICE_MMIO, BASE + 2, 2, 0xaa10);
	put(f, 0, 0xff);
	assert_int_equal(get(f, 2), 1);
	assert_int_equal(get(f, 3), 0xaa);
}

static void test_flash_erase_wants_to_be_confirmed(void **state)
{
	struct fixture *f = *state;

	put(f, 7, 0x20);
	put(f, 7, 0xff); /* leaves it */
	assert_int_equal(get(f, 7), 1);
	put(f, 7, 0x20);
	put(f, 7, 0x00);
	assert_int_equal(get(f, 7), 0xb0); /* ready, a wrong sequence */
	put(f, 7, 0x50);
	put(f, 7, 0x70);
	assert_int_equal(get(f, 7), 0);
	put(f, 7, 0xff);
	assert_int_equal(get(f, 7), 1);
	put(f, BLOCK + 7, 0x20);
	put(f, BLOCK + 9, 0xd0);
	put(f, 0, 0xff);
	assert_int_equal(get(f, BLOCK - 1), 1);
	assert_int_equal(get(f, BLOCK), 0xff);
	assert_int_equal(get(f, 2 * BLOCK - 1), 0xff);
	assert_int_equal(get(f, 2 * BLOCK), 3);
}

static void test_flash_locks_have_no_effect(void **state)
{
	struct fixture *f = *state;

	put(f, 0, 0x60);
	put(f, 0, 0x01);
	assert_int_equal(get(f, 0), 0x80);
	program(f, 0, 0x42);
	put(f, 0, 0xff);
	assert_int_equal(get(f, 0), 0x42);
}

static void buffered(struct fixture *f, uint64_t start, unsigned count, uint8_t end)
{
	put(f, start, 0xe8);
	assert_int_equal(get(f, start), 0x80);
	put(f, start, (uint8_t)(count - 1));
	for (unsigned i = 0; i < count; i++)
		put(f, start + i, (uint8_t)(i ^ 0x5a));
	put(f, start, end);
}

static void test_flash_buffer_is_written_when_confirmed(void **state)
{
	struct fixture *f = *state;

	buffered(f, 5 * BLOCK - 256, 256, 0xd0);
	assert_int_equal(get(f, 0), 0x80);
	put(f, 0, 0xff);
	for (unsigned i = 0; i < 256; i++) {
		assert_int_equal(get(f, 5 * BLOCK - 256 + i), i ^ 0x5a);
		assert_int_equal(in_file(f, 5 * BLOCK - 256 + i), i ^ 0x5a);
	}
	buffered(f, 0, 3, 0x00);
	assert_int_equal(get(f, 0), 0xb0);
	put(f, 0, 0xff);
	assert_int_equal(get(f, 0), 1);
}

static void test_flash_buffer_outside_its_range_is_refused(void **state)
{
	static const struct {
		uint64_t first, second;
	} cases[] = {{BLOCK - 1, BLOCK}, {SIZE - 1, 0}, {100, 99}, {100, 102}, {0, SIZE - 1}};
	struct fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		put(f, 0, 0xe8);
		put(f, 0, 1); /* two bytes */
		put(f, cases[i].first, 0xee);
		put(f, cases[i].second, 0xee);
		put(f, 0, 0x70);
		assert_int_equal(get(f, 0), 0xb0);
		put(f, 0, 0x50);
		put(f, 0, 0xd0);
		put(f, 0, 0xff);
		for (unsigned k = 0; k < 200; k++)
			assert_int_equal(get(f, k), 1);
		assert_int_equal(get(f, SIZE - 1), 132);
	}
}

static void test_flash_reset_forgets_the_command(void **state)
{
	struct fixture *f = *state;

	put(f, 0, 0x10);
	device_board_reset(&f->board);
	assert_int_equal(get(f, 0), 1);
	put(f, 0, 0x70);
	assert_int_equal(get(f, 0), 0x80);
}

/* ---- files that fail ---- */

/* The chip's status tells the driver, and the contents stay as they are in the file. */
static void test_flash_file_that_cannot_be_written_is_a_status(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fcntl(f->fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	program(f, 0, 0x55); /* the log says so, once */
	assert_int_equal(get(f, 0), 0x90);
	put(f, 0, 0x50);
	put(f, 0, 0x20);
	put(f, 0, 0xd0);
	assert_int_equal(get(f, 0), 0xa0);
	put(f, 0, 0xff);
	assert_int_equal(get(f, 0), 1);
}

/* A SEV-ES guest reads memory, whatever the chip's state is, and its commands come by VMGEXIT. */
static void test_flash_shows_its_contents_in_memory_that_is_there(void **state)
{
	static const struct host_ops ops = {.mmap = plain_mmap, .munmap = plain_munmap};
	struct host host = {.ops = &ops};
	struct fixture *f = *state;
	struct page_memory *memory;
	struct page_layout layout;
	uint8_t bytes[3];
	struct err err;

	assert_ok(page_layout_make(MIB(1), GIB(4) - BASE - SIZE, &layout, &err));
	assert_ok(page_layout_add_store(&layout, SIZE, &err));
	assert_ok(page_memory_create(&host, &layout, PAGE_OWN, &memory, &err));
	device_board_attach(&f->board, memory);
	assert_int_equal(page_read(memory, gpa(BASE + BLOCK - 1), bytes, 3), 0);
	assert_memory_equal(bytes, "\1\2\2", 3);

	put(f, BLOCK, 0x10);
	put(f, BLOCK, 0x55);
	put(f, 2 * BLOCK, 0x20);
	put(f, 2 * BLOCK, 0xd0);
	assert_int_equal(page_read(memory, gpa(BASE + BLOCK - 1), bytes, 3), 0);
	assert_memory_equal(bytes, "\1\x55\2", 3);
	assert_int_equal(page_read(memory, gpa(BASE + 2 * BLOCK - 1), bytes, 3), 0);
	assert_memory_equal(bytes, "\2\xff\xff", 3);
	assert_int_equal(page_write(memory, gpa(BASE), bytes, 1), -1); /* other devices keep away */

	device_board_attach(&f->board, NULL);
	page_memory_destroy(memory);
	program(f, 0, 0x66); /* nobody looks */
}

static void test_flash_file_that_ends_early_is_an_error(void **state)
{
	struct fixture f;
	struct err err;

	f = (struct fixture){.fd = memfd_create("vars", MFD_CLOEXEC)};
	assert_int_equal(ftruncate(f.fd, SIZE - 1), 0);
	assert_ok(device_board_init(&f.board, &err));
	assert_fails(device_board_add(&f.board, &device_flash_kind, ask_for(&f), &err), ERR_FAILED,
	        "vars.fd: cannot be read");
	device_board_finish(&f.board);
	close(f.fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_flash_shows_the_file_at_any_width),
	        TEST(test_flash_shows_its_contents_in_memory_that_is_there),
	        TEST(test_flash_tells_its_id),
	        TEST(test_flash_answers_the_query),
	        TEST(test_flash_is_found_by_edk2),
	        TEST(test_flash_edk2_erases_and_writes_a_block),
	        TEST(test_flash_program_shows_status_until_read_array),
	        TEST(test_flash_wide_write_is_bytes),
	        TEST(test_flash_erase_wants_to_be_confirmed),
	        TEST(test_flash_locks_have_no_effect),
	        TEST(test_flash_buffer_is_written_when_confirmed),
	        TEST(test_flash_buffer_outside_its_range_is_refused),
	        TEST(test_flash_reset_forgets_the_command),
	        TEST(test_flash_file_that_cannot_be_written_is_a_status),
	        cmocka_unit_test(test_flash_file_that_ends_early_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

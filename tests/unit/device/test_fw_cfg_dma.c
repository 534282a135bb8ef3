/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <sys/mman.h>

#include "fw_cfg_items.h"

static void test_fw_cfg_dma_reads_in_pieces(void **state)
{
	struct fixture *f = *state;
	char text[32];

	assert_int_equal(dma(f, select_bits(FW_CFG_KERNEL_DATA) | FW_CFG_DMA_CTL_READ, 5, BUFFER), 0);
	assert_int_equal(dma(f, FW_CFG_DMA_CTL_SKIP, 5, 0), 0);
	assert_int_equal(dma(f, FW_CFG_DMA_CTL_READ, 16, BUFFER + 5), 0);
	peek(f, BUFFER, text, 21);
	assert_memory_equal(text, "bytes kernel\0\0\0\0\0\0\0\0\0", 21);
	assert_int_equal(inb(f->bus, DATA), 0); /* both interfaces share the offset */
	assert_int_equal(dma(f, select_bits(0x22), 0, 0), 0);
	assert_int_equal(inb(f->bus, DATA), 'R');
}

static void test_fw_cfg_dma_of_nothing_gives_zeros(void **state)
{
	static const uint8_t zeros[64];
	struct fixture *f = *state;
	uint8_t bytes[66];

	for (unsigned i = 0; i < 3; i++) {
		memset(bytes, 'x', sizeof(bytes));
		poke(f, BUFFER, bytes, sizeof(bytes));
		assert_int_equal(
		        dma(f, select_bits((uint16_t[]){0x21, 0x3f, 0x8003}[i]) | FW_CFG_DMA_CTL_READ, 64,
		                BUFFER + 1),
		        0);
		peek(f, BUFFER, bytes, sizeof(bytes));
		assert_memory_equal(bytes + 1, zeros, 64);
		assert_int_equal(bytes[0], 'x');
		assert_int_equal(bytes[65], 'x');
	}
}

static void test_fw_cfg_dma_read_wins_over_write_and_skip(void **state)
{
	struct fixture *f = *state;
	char text[6] = "";

	assert_int_equal(dma(f,
	                         select_bits(FW_CFG_KERNEL_DATA) | FW_CFG_DMA_CTL_READ |
	                                 FW_CFG_DMA_CTL_WRITE | FW_CFG_DMA_CTL_SKIP,
	                         5, BUFFER),
	        0);
	peek(f, BUFFER, text, 5);
	assert_string_equal(text, "bytes");
}

static void test_fw_cfg_dma_write_is_refused(void **state)
{
	struct fixture *f = *state;
	char text[6] = "";

	poke(f, BUFFER, "other", 5);
	assert_int_equal(dma(f, select_bits(FW_CFG_KERNEL_DATA) | FW_CFG_DMA_CTL_WRITE, 5, BUFFER),
	        FW_CFG_DMA_CTL_ERROR);
	assert_int_equal(dma(f, FW_CFG_DMA_CTL_WRITE, 0, BUFFER), 0);
	read_port(f, text, 5);
	assert_string_equal(text, "bytes");
}

static void test_fw_cfg_dma_to_what_is_not_ram_is_refused(void **state)
{
	static const struct {
		uint64_t address;
		uint32_t length;
	} targets[] = {
	        {RAM_BYTES, 1},
	        {RAM_BYTES - 4, 5},
	        {0, RAM_BYTES + 1},
	        {0, UINT32_MAX},        /* as good as 4 GiB */
	        {GIB(4) - KIB(64), 16}, /* ROM */
	        {GIB(4) - 1, 1},
	        {GIB(4), 1},
	        {0xfee00000, 4},
	        {UINT64_MAX, 1},
	        {UINT64_MAX - 3, 8}, /* wraps to RAM */
	        {1ull << 63, UINT32_MAX},
	};
	struct fixture *f = *state;
	char before[16], after[16];

	poke(f, RAM_BYTES - 16, "untouched bytes", 16);
	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		peek(f, RAM_BYTES - 16, before, 16);
		assert_int_equal(dma(f, select_bits(FW_CFG_KERNEL_DATA) | FW_CFG_DMA_CTL_READ,
		                         targets[i].length, targets[i].address),
		        FW_CFG_DMA_CTL_ERROR);
		peek(f, RAM_BYTES - 16, after, 16);
		assert_memory_equal(before, after, 16);
		assert_int_equal(inb(f->bus, DATA), 'b'); /* nothing was taken from the item */
	}
}

static void test_fw_cfg_dma_of_all_ram_is_done(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[4] = {1, 2, 3, 4};

	poke(f, RAM_BYTES - 4, bytes, 4);
	assert_int_equal(dma(f, select_bits(FW_CFG_KERNEL_DATA) | FW_CFG_DMA_CTL_READ, RAM_BYTES, 0), 0);
	peek(f, RAM_BYTES - 4, bytes, 4);
	assert_memory_equal(bytes, "\0\0\0\0", 4);
	peek(f, 0, bytes, 4);
	assert_memory_equal(bytes, "byte", 4);
}

/* Copies more than is copied at once, of an item and of the zeros after it. */
static void test_fw_cfg_dma_of_a_large_item_is_whole(void **state)
{
	enum { SIZE = 100001, READ = 200003 };
	struct fixture *f = *state;
	uint8_t *want = calloc(1, READ), *got = malloc(READ);
	struct err err;

	for (unsigned i = 0; i < SIZE; i++)
		want[i] = (uint8_t)(i * 2654435761u >> 24);
	assert_ok(device_fw_cfg_add(f->fw_cfg, FW_CFG_INITRD_DATA, want, SIZE, &err));
	memset(got, 'x', READ);
	poke(f, BUFFER + 1, got, READ);
	assert_int_equal(dma(f, select_bits(FW_CFG_INITRD_DATA) | FW_CFG_DMA_CTL_READ, READ, BUFFER + 1), 0);
	peek(f, BUFFER + 1, got, READ);
	assert_memory_equal(got, want, READ);
	free(want);
	free(got);
}

/* ---- a guest that is ended meanwhile ---- */

#define PIECE_BYTES KIB(64) /* at most, before the stop is noticed */

static struct page_memory *copied_to;
static void *trap;

/* The copy has come to the page that is not accessible. Just then the guest is ended. */
static void on_trap(int signal)
{
	page_memory_stop(copied_to);
	mprotect(trap, PAGE_SIZE_BYTES, PROT_READ | PROT_WRITE);
}

static void test_fw_cfg_dma_ends_within_a_piece_of_the_stop(void **state)
{
	const uint64_t at = MIB(1) + 5 * PAGE_SIZE_BYTES, rest = at + PIECE_BYTES;
	struct sigaction action = {.sa_handler = on_trap}, old;
	struct fixture *f = *state;
	uint8_t byte = 'x';

	for (uint64_t i = 0; i < RAM_BYTES; i += PAGE_SIZE_BYTES)
		poke(f, i, &byte, 1);
	copied_to = f->memory;
	trap = page_kernel_address(f->memory, gpa(at), PAGE_SIZE_BYTES);
	sigaction(SIGSEGV, &action, &old);
	mprotect(trap, PAGE_SIZE_BYTES, PROT_NONE);
	assert_int_equal(dma(f, select_bits(0x3f) | FW_CFG_DMA_CTL_READ, RAM_BYTES - BUFFER, BUFFER),
	        FW_CFG_DMA_CTL_ERROR);
	sigaction(SIGSEGV, &old, NULL);
	peek(f, at - PIECE_BYTES, &byte, 1);
	assert_int_equal(byte, 0);
	for (uint64_t i = rest; i < RAM_BYTES; i += PAGE_SIZE_BYTES) {
		peek(f, i, &byte, 1);
		assert_int_equal(byte, 'x');
	}
}

static void test_fw_cfg_dma_of_an_ended_guest_moves_nothing(void **state)
{
	struct fixture *f = *state;
	char text[6] = "";

	poke(f, BUFFER, "other", 5);
	page_memory_stop(f->memory);
	assert_int_equal(dma(f, select_bits(FW_CFG_KERNEL_DATA) | FW_CFG_DMA_CTL_READ, 5, BUFFER),
	        FW_CFG_DMA_CTL_ERROR);
	peek(f, BUFFER, text, 5);
	assert_string_equal(text, "other");
}

static void test_fw_cfg_dma_skip_of_anything_is_bounded(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(dma(f, select_bits(FW_CFG_KERNEL_DATA) | FW_CFG_DMA_CTL_SKIP, UINT32_MAX, 0), 0);
	assert_int_equal(dma(f, FW_CFG_DMA_CTL_SKIP, UINT32_MAX, 0), 0);
	assert_int_equal(inb(f->bus, DATA), 0);
}

/*
 * The data overwrites the descriptor: the device goes by the copy that it made before, and writes the result
 * last.
 */
static void test_fw_cfg_dma_over_its_own_descriptor(void **state)
{
	struct fixture *f = *state;
	char text[sizeof(kernel)];

	assert_int_equal(
	        dma(f, select_bits(FW_CFG_KERNEL_DATA) | FW_CFG_DMA_CTL_READ, sizeof(kernel), DESCRIPTOR), 0);
	peek(f, DESCRIPTOR, text, sizeof(text));
	assert_memory_equal(text, "\0\0\0\0", 4);
	assert_memory_equal(text + 4, kernel + 4, sizeof(kernel) - 4);
}

static void test_fw_cfg_dma_descriptor_that_is_not_there(void **state)
{
	struct fixture *f = *state;
	uint32_t control = 0xdead;

	start_dma(f, RAM_BYTES);
	start_dma(f, UINT64_MAX - 7);
	start_dma(f, 0xffffffff00000000);
	/* Its first half is in RAM: the answer has a place. */
	poke(f, RAM_BYTES - 8, &control, sizeof(control));
	start_dma(f, RAM_BYTES - 8);
	peek(f, RAM_BYTES - 8, &control, sizeof(control));
	assert_int_equal(be32toh(control), FW_CFG_DMA_CTL_ERROR);
}

static void test_fw_cfg_dma_descriptor_in_rom_stays_as_it_is(void **state)
{
	struct fixture *f = *state;
	uint32_t control = select_bits(FW_CFG_KERNEL_DATA) | FW_CFG_DMA_CTL_READ;
	char text[6] = "";

	assert_int_equal(dma_with_descriptor_at(f, GIB(4) - 16, control, 5, BUFFER), control);
	peek(f, BUFFER, text, 5);
	assert_string_equal(text, "bytes");
}

/* The high half counts for one operation only: the register is zero afterwards. */
static void test_fw_cfg_dma_high_half_is_forgotten(void **state)
{
	struct fixture *f = *state;

	start_dma(f, 0x100000000 + DESCRIPTOR);
	assert_int_equal(dma(f, select_bits(0x22), 0, 0), 0);
	outl(f->bus, DMA_HIGH, htobe32(1));
	device_board_reset(&f->board);
	assert_int_equal(dma(f, FW_CFG_DMA_CTL_WRITE, 1, 0), FW_CFG_DMA_CTL_ERROR);
}

static void test_fw_cfg_dma_without_memory_does_nothing(void **state)
{
	struct fixture *f = *state;
	uint32_t control = select_bits(FW_CFG_KERNEL_DATA) | FW_CFG_DMA_CTL_READ;

	device_board_attach(&f->board, NULL);
	assert_int_equal(dma(f, control, 5, BUFFER), control);
	assert_int_equal(inb(f->bus, DATA), 'Q');
}

/* ---- everything ---- */

static void random_descriptors(void *ctx, unsigned round)
{
	struct fixture *f = ctx;
	uint64_t random = 0x1234567 + round;
	struct fw_cfg_dma_access access;

	next_random(&random);
	next_random(&random);
	access.control = htobe32((uint32_t)(next_random(&random) & 0x003f001f));
	access.length = htobe32((uint32_t)(next_random(&random) >> (32 + round % 32)));
	access.address = htobe64(next_random(&random) >> (round % 64));
	poke(f, DESCRIPTOR, &access, sizeof(access));
	start_dma(f, DESCRIPTOR);
}

static void test_fw_cfg_survives_random_accesses(void **state)
{
	struct fixture *f = *state;

	for (unsigned round = 0; round < 200; round++) {
		assert_survives(f->bus, SELECTOR - 4, 20, 500);
		random_descriptors(f, round);
	}
}

static void test_fw_cfg_two_vcpus_and_dma(void **state)
{
	struct fixture *f = *state;

	hammer_from_two_threads(f->bus, SELECTOR, 4, random_descriptors, f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_fw_cfg_dma_reads_in_pieces),
	        TEST(test_fw_cfg_dma_of_nothing_gives_zeros),
	        TEST(test_fw_cfg_dma_read_wins_over_write_and_skip),
	        TEST(test_fw_cfg_dma_write_is_refused),
	        TEST(test_fw_cfg_dma_to_what_is_not_ram_is_refused),
	        TEST(test_fw_cfg_dma_of_all_ram_is_done),
	        TEST(test_fw_cfg_dma_of_a_large_item_is_whole),
	        TEST(test_fw_cfg_dma_ends_within_a_piece_of_the_stop),
	        TEST(test_fw_cfg_dma_of_an_ended_guest_moves_nothing),
	        TEST(test_fw_cfg_dma_skip_of_anything_is_bounded),
	        TEST(test_fw_cfg_dma_over_its_own_descriptor),
	        TEST(test_fw_cfg_dma_descriptor_that_is_not_there),
	        TEST(test_fw_cfg_dma_descriptor_in_rom_stays_as_it_is),
	        TEST(test_fw_cfg_dma_high_half_is_forgotten),
	        TEST(test_fw_cfg_dma_without_memory_does_nothing),
	        TEST(test_fw_cfg_survives_random_accesses),
	        TEST(test_fw_cfg_two_vcpus_and_dma),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

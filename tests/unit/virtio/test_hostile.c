/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile drivers: rings, chains, registers and BARs. */
#include "hostile.h"

/* The victim is broken, has said so once, and works after a reset. */
static void assert_broken_and_mended(unsigned messages_before)
{
	VIRTIO_GUEST_UNTIL(&guest, guest.messages > messages_before);
	assert_int_equal(virtio_function_status(&victim), RUNNING | VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(guest.messages, messages_before + 1);
	assert_int_equal(guest.last_data, 0); /* the configuration's vector */
	virtio_function_kick(&victim, 0);
	virtio_guest_turn(&guest, TURNS);
	assert_int_equal(virtio_function_status(&victim), RUNNING | VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_true(start_rng(&victim, &driver, RINGS));
	assert_true(rng_works(&victim, &driver));
}

/* ---- rings ---- */

static void test_hostile_ring_addresses(void **state)
{
	static const unsigned registers[] = {
	        VIRTIO_PCI_COMMON_Q_DESCLO, VIRTIO_PCI_COMMON_Q_AVAILLO, VIRTIO_PCI_COMMON_Q_USEDLO};
	static const uint64_t places[] = {VIRTIO_GUEST_MEMORY, VIRTIO_GUEST_MEMORY - 4, GIB(4) - 4096,
	        0xfee00000, VIRTIO_GUEST_BARS, UINT64_MAX - 15, UINT64_C(1) << 63, 0x10001};

	assert_true(virtio_function_find(&victim, &guest, RNG, true));
	for (size_t r = 0; r < ARRAY_LEN(registers); r++) {
		for (size_t p = 0; p < ARRAY_LEN(places); p++) {
			unsigned messages;

			virtio_function_negotiate(&victim, EVENT_IDX);
			virtio_function_unmask(&victim);
			virtio_function_set(&victim, VIRTIO_PCI_COMMON_MSIX, 2, 0);
			virtio_function_queue(&victim, 0, &driver, RINGS, 8, true);
			virtio_function_reset(&victim);
			virtio_function_negotiate(&victim, EVENT_IDX);
			virtio_function_set(&victim, VIRTIO_PCI_COMMON_MSIX, 2, 0);
			for (size_t i = 0; i < ARRAY_LEN(registers); i++)
				virtio_function_set_address(
				        &victim, registers[i], i == r ? places[p] : RINGS + 4096 * i);
			virtio_function_set(&victim, VIRTIO_PCI_COMMON_Q_SIZE, 2, 8);
			virtio_function_set(&victim, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
			messages = guest.messages;
			virtio_function_add_status(&victim, VIRTIO_CONFIG_S_DRIVER_OK);
			assert_broken_and_mended(messages);
		}
	}
}

static void four_gib(void)
{
	driver_desc(&driver, 0, 0, UINT32_MAX, VRING_DESC_F_WRITE, 0);
	driver_offer(&driver, 0);
}

static void buffer_in_firmware(void)
{
	driver_desc(&driver, 0, GIB(4) - 4096, 64, VRING_DESC_F_WRITE, 0);
	driver_offer(&driver, 0);
}

static void buffer_in_a_device(void)
{
	driver_desc(&driver, 0, other.common, 64, VRING_DESC_F_WRITE, 0);
	driver_offer(&driver, 0);
}

static void wrong_direction(void)
{
	driver_desc(&driver, 0, BUFFERS, 64, 0, 0);
	driver_offer(&driver, 0);
}

static void test_hostile_chains(void **state)
{
	static void (*const acts[])(void) = {loop_of_descriptors, four_gib, jumping_index, buffer_in_firmware,
	        buffer_in_a_device, wrong_direction};

	assert_true(virtio_function_find(&victim, &guest, RNG, true));
	for (size_t i = 0; i < ARRAY_LEN(acts); i++) {
		unsigned messages = guest.messages;

		assert_true(start_rng(&victim, &driver, RINGS));
		acts[i]();
		virtio_function_kick(&victim, 0);
		assert_broken_and_mended(messages);
	}
}

/* The device has only its second queue when it breaks. */
static void test_hostile_without_the_first_queue(void **state)
{
	struct virtio_console *console = virtio_console_of(&guest.board, names[CONSOLE]);
	char byte;

	assert_true(virtio_function_find(&victim, &guest, CONSOLE, true));
	virtio_function_negotiate(&victim, 0);
	virtio_function_queue(&victim, 1, &driver, RINGS, 8, false);
	virtio_function_add_status(&victim, VIRTIO_CONFIG_S_DRIVER_OK);
	driver_desc(&driver, 0, BUFFERS, 1, VRING_DESC_F_WRITE, 0);
	driver_offer(&driver, 0);
	assert_int_equal(virtio_console_output(console, &byte, 1), 0);
	virtio_guest_turn(&guest, TURNS);
	assert_int_equal(virtio_function_status(&victim), RUNNING | VIRTIO_CONFIG_S_NEEDS_RESET);
	virtio_function_negotiate(&victim, 0);
	virtio_function_queue(&victim, 1, &driver, RINGS, 8, false);
	virtio_function_add_status(&victim, VIRTIO_CONFIG_S_DRIVER_OK);
	guest.ram[BUFFERS] = 'x';
	driver_desc(&driver, 0, BUFFERS, 1, 0, 0);
	driver_offer(&driver, 0);
	assert_int_equal(virtio_console_output(console, &byte, 1), 1);
	assert_int_equal(byte, 'x');
}

/* ---- registers ---- */

static void test_hostile_status_skips_no_step(void **state)
{
	assert_true(virtio_function_find(&victim, &guest, RNG, true));
	virtio_function_reset(&victim);
	virtio_function_queue(&victim, 0, &driver, RINGS, 8, false);
	virtio_function_set(&victim, VIRTIO_PCI_COMMON_STATUS, 1, VIRTIO_CONFIG_S_DRIVER_OK);
	assert_false(virtio_function_status(&victim) & VIRTIO_CONFIG_S_DRIVER_OK);
	/* Features that are not offered, and none at all. */
	virtio_function_reset(&victim);
	for (unsigned word = 0; word < 2; word++) {
		virtio_function_set(&victim, VIRTIO_PCI_COMMON_GFSELECT, 4, word);
		virtio_function_set(&victim, VIRTIO_PCI_COMMON_GF, 4, UINT32_MAX);
	}
	virtio_function_set(&victim, VIRTIO_PCI_COMMON_STATUS, 1, RUNNING);
	assert_false(
	        virtio_function_status(&victim) & (VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK));
	virtio_function_reset(&victim);
	virtio_function_set(&victim, VIRTIO_PCI_COMMON_STATUS, 1, RUNNING);
	assert_false(virtio_function_status(&victim) & VIRTIO_CONFIG_S_FEATURES_OK);
	/* A bit that only the device sets, and bits that are not taken back. */
	virtio_function_negotiate(&victim, 0);
	virtio_function_set(&victim, VIRTIO_PCI_COMMON_STATUS, 1, VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(virtio_function_status(&victim), RUNNING & ~VIRTIO_CONFIG_S_DRIVER_OK);
	/* Feature words that do not exist. */
	for (unsigned word = 2; word; word = word * 2 + 1) {
		virtio_function_set(&victim, VIRTIO_PCI_COMMON_DFSELECT, 4, word);
		assert_int_equal(virtio_function_get(&victim, VIRTIO_PCI_COMMON_DF, 4), 0);
		if (word == UINT32_MAX)
			break;
	}
}

static void test_hostile_queues_that_do_not_exist(void **state)
{
	assert_true(virtio_function_find(&victim, &guest, RNG, true));
	virtio_function_negotiate(&victim, 0);
	for (unsigned index = 1; index < 65536; index += 257) {
		virtio_function_set(&victim, VIRTIO_PCI_COMMON_Q_SELECT, 2, index);
		assert_int_equal(virtio_function_get(&victim, VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
		virtio_function_set(&victim, VIRTIO_PCI_COMMON_Q_SIZE, 2, 8);
		virtio_function_set(&victim, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
		assert_int_equal(virtio_function_get(&victim, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
		device_bus_write(guest.board.bus, DEVICE_MMIO,
		        victim.notify + (uint64_t)index * victim.notify_multiplier, 2, index);
	}
	assert_true(start_rng(&victim, &driver, RINGS));
	assert_true(rng_works(&victim, &driver));
}

static void test_hostile_queue_is_fixed_once_enabled(void **state)
{
	uint64_t desc;

	assert_true(virtio_function_find(&victim, &guest, RNG, true));
	assert_true(start_rng(&victim, &driver, RINGS));
	desc = virtio_function_get(&victim, VIRTIO_PCI_COMMON_Q_DESCLO, 4);
	virtio_function_set_address(&victim, VIRTIO_PCI_COMMON_Q_DESCLO, 0x1230000);
	virtio_function_set(&victim, VIRTIO_PCI_COMMON_Q_SIZE, 2, 4);
	virtio_function_set(&victim, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0);
	virtio_function_set(&victim, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	virtio_function_add_status(&victim, VIRTIO_CONFIG_S_DRIVER_OK);
	assert_int_equal(virtio_function_get(&victim, VIRTIO_PCI_COMMON_Q_DESCLO, 4), desc);
	assert_int_equal(virtio_function_get(&victim, VIRTIO_PCI_COMMON_Q_SIZE, 2), 8);
	assert_int_equal(virtio_function_get(&victim, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	assert_true(rng_works(&victim, &driver));
}

static void test_hostile_vectors_out_of_range(void **state)
{
	static const unsigned vectors[] = {2, 3, 255, 0x7fff, 0xfffe};

	assert_true(virtio_function_find(&victim, &guest, RNG, true));
	assert_int_equal(victim.vectors, 2);
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		unsigned messages = guest.messages;
		struct vring_used_elem elem;

		assert_true(start_rng(&victim, &driver, RINGS));
		virtio_function_set(&victim, VIRTIO_PCI_COMMON_MSIX, 2, vectors[i]);
		assert_int_equal(virtio_function_get(&victim, VIRTIO_PCI_COMMON_MSIX, 2), 0xffff);
		virtio_function_set(&victim, VIRTIO_PCI_COMMON_Q_MSIX, 2, vectors[i]);
		assert_int_equal(virtio_function_get(&victim, VIRTIO_PCI_COMMON_Q_MSIX, 2), 0xffff);
		driver_desc(&driver, 0, BUFFERS, 8, VRING_DESC_F_WRITE, 0);
		driver_offer(&driver, 0);
		virtio_function_kick(&victim, 0);
		VIRTIO_GUEST_UNTIL(&guest, driver.ring.used->idx);
		assert_true(driver_take(&driver, &elem));
		assert_int_equal(guest.messages, messages);
	}
	/* Entries of the table behind the last one. */
	for (unsigned i = 0; i < 4096; i += 4) {
		device_bus_write(guest.board.bus, DEVICE_MMIO, victim.table + 32 + i, 4, UINT32_MAX);
		device_bus_read(guest.board.bus, DEVICE_MMIO, victim.table + 32 + i, 8);
	}
	assert_true(start_rng(&victim, &driver, RINGS));
	assert_true(rng_works(&victim, &driver));
}

/* With and without a driver that runs; the other devices keep their registers. */
static void test_hostile_every_register_at_every_width(void **state)
{
	static const unsigned functions[] = {RNG, CONSOLE, SLOW};
	uint64_t before = 0, after = 0;

	for (unsigned i = 0; i < 0x38; i += 8)
		before = before * 31 + virtio_function_get(&other, i, 8);
	for (size_t f = 0; f < ARRAY_LEN(functions); f++) {
		assert_true(virtio_function_find(&victim, &guest, functions[f], true));
		for (unsigned round = 0; round < 20; round++) {
			virtio_function_negotiate(&victim, EVENT_IDX);
			virtio_function_queue(&victim, round % 2, &driver, RINGS, 8, true);
			if (round % 3)
				virtio_function_add_status(&victim, VIRTIO_CONFIG_S_DRIVER_OK);
			sweep(&victim);
			virtio_guest_turn(&guest, 1);
		}
		virtio_function_reset(&victim);
	}
	for (unsigned i = 0; i < 0x38; i += 8)
		after = after * 31 + virtio_function_get(&other, i, 8);
	assert_int_equal(before, after);
	assert_true(virtio_function_find(&victim, &guest, RNG, true));
	assert_true(start_rng(&victim, &driver, RINGS));
	assert_true(rng_works(&victim, &driver));
}

/* 4.1.4.9: the window into the BAR from configuration space. */
static void test_hostile_window(void **state)
{
	unsigned cap;

	assert_true(virtio_function_find(&victim, &guest, RNG, true));
	cap = victim.window;
	for (unsigned round = 0; round < 20000; round++) {
		virtio_guest_pci_write(&guest, victim.slot, cap + VIRTIO_PCI_CAP_BAR, 1, noise() % 8);
		virtio_guest_pci_write(&guest, victim.slot, cap + VIRTIO_PCI_CAP_OFFSET, 4,
		        noise() & 1 ? noise() : noise() % 0x4010);
		virtio_guest_pci_write(&guest, victim.slot, cap + VIRTIO_PCI_CAP_LENGTH, 4,
		        noise() & 1 ? UINT32_C(1) << noise() % 4 : noise());
		virtio_guest_pci_read(&guest, victim.slot, cap + 16, 4);
		virtio_guest_pci_write(
		        &guest, victim.slot, cap + 16 + noise() % 4, 1u << noise() % 3, noise());
	}
	virtio_function_reset(&victim);
	assert_true(start_rng(&victim, &driver, RINGS));
	assert_true(rng_works(&victim, &driver));
}

/* BARs over each other, over nothing, and switched off while the device runs. */
static void test_hostile_bars(void **state)
{
	assert_true(virtio_function_find(&victim, &guest, RNG, true));
	assert_true(start_rng(&victim, &driver, RINGS));
	for (unsigned round = 0; round < 2000; round++) {
		uint64_t to = noise() & 1 ? other.common : noise();

		if (noise() & 1)
			to = 0;
		virtio_guest_pci_write(
		        &guest, victim.slot, PCI_BASE_ADDRESS_0 + 4 * (unsigned)(noise() % 6), 4, to);
		virtio_guest_pci_write(&guest, victim.slot, PCI_COMMAND, 2, noise());
	}
	virtio_guest_pci_write(&guest, victim.slot, PCI_COMMAND, 2, 0);
	assert_true(virtio_function_find(&victim, &guest, RNG, true));
	assert_true(start_rng(&victim, &driver, RINGS));
	assert_true(rng_works(&victim, &driver));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        T(test_hostile_ring_addresses),
	        T(test_hostile_chains),
	        T(test_hostile_without_the_first_queue),
	        T(test_hostile_status_skips_no_step),
	        T(test_hostile_queues_that_do_not_exist),
	        T(test_hostile_queue_is_fixed_once_enabled),
	        T(test_hostile_vectors_out_of_range),
	        T(test_hostile_every_register_at_every_width),
	        T(test_hostile_window),
	        T(test_hostile_bars),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System physical addresses of the software platform, as ciphertext reveals them: the address of a page, and
 * how long it has it.
 */
#include "sev_guest.h"

static const struct sim_options milan = {.product = "Milan", .seed = 1};

static void open_guest(struct guest *g, struct machine *m)
{
	guest_make(g, m, UAPI_VM_SEV);
	assert_int_equal(guest_init2(g), 0);
	memset(g->memory, 0x42, GUEST_BYTES);
}

static void debug_read(struct guest *g, uint32_t at, void *data, uint32_t size)
{
	const struct kvm_sev_dbg read = {(uintptr_t)g->memory + at, (uintptr_t)data, size};

	assert_int_equal(command(g, KVM_SEV_DBG_DECRYPT, &read), 0);
}

static void assert_plain(struct guest *g)
{
	uint8_t plain[GUEST_BYTES];

	debug_read(g, 0, plain, sizeof(plain));
	for (unsigned i = 0; i < GUEST_BYTES; i++)
		assert_int_equal(plain[i], 0x42);
}

/* A guest that writes a byte, from its start to the first exit. */
static void run_guest(struct guest *g, struct machine *m)
{
	struct abi_sev_measure measure;

	open_guest(g, m);
	guest_add_vcpu(g);
	/* mov al, [0x3000]; mov [0x4000], al; out PORT, al */
	CODE(g, 0xa0, 0x00, 0x30, 0xa2, 0x00, 0x40, 0xe6, PORT);
	assert_int_equal(launch_start(g, 0), 0);
	assert_int_equal(launch_update(g, GUEST_CODE, PAGE_SIZE_BYTES), 0);
	assert_int_equal(launch_measure(g, &measure), 0);
	assert_int_equal(command(g, KVM_SEV_LAUNCH_FINISH, NULL), 0);
	run_to_port(g);
}

static void test_spa_same_guest_twice_same_ciphertext_and_noise(void **state)
{
	struct machine one, other;
	struct guest a, b;

	machine_open(&one, &milan);
	machine_open(&other, &milan);
	run_guest(&a, &one);
	run_guest(&b, &other);
	assert_ptr_not_equal(a.memory, b.memory);
	assert_int_equal(
	        ((uint8_t *)a.run)[a.run->io.data_offset], ((uint8_t *)b.run)[b.run->io.data_offset]);
	assert_memory_equal(a.memory, b.memory, GUEST_BYTES);
	guest_close(&a);
	guest_close(&b);
	machine_close(&one);
	machine_close(&other);
}

/* Both guests have the same key, so that only addresses tell them apart. */
static void test_spa_guests_share_no_frame_but_follow_each_other(void **state)
{
	struct kvm_sev_launch_start start = {.policy = 0};
	uint8_t first[GUEST_BYTES];
	void *hole = NULL, *first_at;
	struct machine m;
	struct guest a, b;

	machine_open(&m, &milan);
	open_guest(&a, &m);
	assert_int_equal(command(&a, KVM_SEV_LAUNCH_START, &start), 0);
	assert_int_equal(launch_update(&a, 0, GUEST_BYTES), 0);
	for (unsigned i = 0; i < 2; i++) {
		uint32_t handle = start.handle;

		open_guest(&b, &m);
		assert_int_equal(command(&b, KVM_SEV_LAUNCH_START, &start), 0);
		assert_int_equal(launch_update(&b, 0, GUEST_BYTES), 0);
		for (unsigned at = 0; at < GUEST_BYTES; at += PAGE_SIZE_BYTES)
			for (unsigned to = 0; to < GUEST_BYTES; to += PAGE_SIZE_BYTES)
				assert_memory_not_equal(a.memory + at, b.memory + to, 16);
		if (i == 1)
			assert_memory_equal(b.memory, first, GUEST_BYTES);
		memcpy(first, b.memory, GUEST_BYTES);
		first_at = b.memory;
		guest_close(&b);
		start.handle = handle;
		if (i == 0) /* so that the next one's memory lies elsewhere */
			hole = mmap(first_at, GUEST_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	}
	munmap(hole, GUEST_BYTES);
	guest_close(&a);
	machine_close(&m);
}

static void test_spa_outlives_the_slot(void **state)
{
	struct machine m;
	struct guest g;

	machine_open(&m, &milan);
	open_guest(&g, &m);
	assert_int_equal(launch_start(&g, 0), 0);
	assert_int_equal(launch_update(&g, 0, GUEST_BYTES), 0);
	assert_int_equal(set_memory(&g, 0, 0, 0, g.memory, -1), 0);
	assert_plain(&g);
	assert_int_equal(set_memory(&g, 3, 0x100000, GUEST_BYTES, g.memory, -1), 0);
	assert_plain(&g);
	guest_close(&g);
	machine_close(&m);
}

/*
 * Without a slot each piece gets its place when it is first used, but a secret needs pages that lie together.
 */
static void test_spa_pieces_are_pieces(void **state)
{
	uint8_t packet[2 * PAGE_SIZE_BYTES] = {0}, header[52] = {0};
	struct kvm_sev_launch_secret secret = {.hdr_uaddr = (uintptr_t)header,
	        .hdr_len = sizeof(header),
	        .guest_len = sizeof(packet),
	        .trans_uaddr = (uintptr_t)packet,
	        .trans_len = sizeof(packet)};
	struct abi_sev_measure measure;
	struct machine m;
	struct guest g;

	machine_open(&m, &milan);
	open_guest(&g, &m);
	assert_int_equal(set_memory(&g, 0, 0, 0, g.memory, -1), 0);
	assert_int_equal(launch_start(&g, 0), 0);
	assert_int_equal(launch_update(&g, 2 * PAGE_SIZE_BYTES, PAGE_SIZE_BYTES), 0);
	memset(g.memory, 0x42, GUEST_BYTES);
	assert_int_equal(launch_update(&g, 0, GUEST_BYTES), 0);
	assert_plain(&g);
	assert_int_equal(launch_measure(&g, &measure), 0);
	secret.guest_uaddr = (uintptr_t)g.memory + PAGE_SIZE_BYTES;
	assert_int_equal(command(&g, KVM_SEV_LAUNCH_SECRET, &secret), -EINVAL);
	secret.guest_uaddr = (uintptr_t)g.memory + 4 * PAGE_SIZE_BYTES;
	assert_int_equal(command(&g, KVM_SEV_LAUNCH_SECRET, &secret), -EIO); /* nobody packed it */
	guest_close(&g);
	machine_close(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_spa_same_guest_twice_same_ciphertext_and_noise),
	        cmocka_unit_test(test_spa_guests_share_no_frame_but_follow_each_other),
	        cmocka_unit_test(test_spa_outlives_the_slot),
	        cmocka_unit_test(test_spa_pieces_are_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accesses to ports and memory-mapped registers by the GHCB. kvm_run looks as for a plain guest, and the next
 * KVM_RUN completes the access.
 */
#include <signal.h>

#include "ghcb_guest.h"

#define INFO(port, size) ((uint64_t)(port) << 16 | (uint64_t)(size) << 4)
#define IN               ABI_GHCB_IO_IN
#define STR              ABI_GHCB_IO_STRING

static uint8_t *port_data(struct guest *g)
{
	return (uint8_t *)g->run + g->run->io.data_offset;
}

static void assert_io(struct guest *g, bool out, unsigned size, uint16_t port, uint32_t count)
{
	runs_to(g, KVM_EXIT_IO);
	assert_int_equal(g->run->io.direction, out ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN);
	assert_int_equal(g->run->io.size, size);
	assert_int_equal(g->run->io.port, port);
	assert_int_equal(g->run->io.count, count);
}

/* ---- one element ---- */

static void test_out_brings_the_low_bytes_of_rax(void **state)
{
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 2);
	/* Ports have one, two or four bytes; KVM does not insist. */
	for (unsigned size = 1; size <= 7; size++) {
		ask(&g, ABI_GHCB_IOIO, INFO(0xabcd, size), 0);
		GIVE(&g, rax, 0x8877665544332211);
		assert_io(&g, true, size, 0xabcd, 1);
		assert_int_equal(load_le(port_data(&g), size),
		        UINT64_C(0x8877665544332211) & ((UINT64_C(1) << 8 * size) - 1));
		answers(&g, 0, 0);
		assert_int_equal(ghcb_of(&g)->rax, 0x8877665544332211);
	}
	ghcb_end(&g);
}

/* Less than four bytes keep the rest of RAX, as for a plain guest; the VMM sees zeros before it answers. */
static void test_in_brings_the_vmms_answer_to_rax(void **state)
{
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 2);
	for (unsigned size = 1; size <= 7; size++) {
		uint64_t mask = (UINT64_C(1) << 8 * size) - 1, value = UINT64_C(0xf1f2f3f4f5f6f7f8) & mask;

		ask(&g, ABI_GHCB_IOIO, INFO(PORT, size) | IN, 0);
		GIVE(&g, rax, 0x8877665544332211);
		assert_io(&g, false, size, PORT, 1);
		assert_int_equal(load_le(port_data(&g), size), 0);
		store_le(port_data(&g), size, value);
		answers(&g, 0, 0);
		assert_int_equal(
		        ghcb_of(&g)->rax, value | (size < 4 ? UINT64_C(0x8877665544332211) & ~mask : 0));
	}
	ask(&g, ABI_GHCB_IOIO, INFO(PORT, 2) | IN, 0); /* IN does not need RAX */
	assert_io(&g, false, 2, PORT, 1);
	store_le(port_data(&g), 2, 0xbeef);
	answers(&g, 0, 0);
	assert_int_equal(ghcb_of(&g)->rax, 0xbeef);
	ghcb_end(&g);
}

static void test_port_access_of_no_size_is_done(void **state)
{
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 2);
	ask(&g, ABI_GHCB_IOIO, INFO(PORT, 0) | IN, 0);
	GIVE(&g, rax, 0x77);
	answers(&g, 0, 0);
	assert_int_equal(ghcb_of(&g)->rax, 0x77);
	/* A string's scratch area is not looked at. */
	ask(&g, ABI_GHCB_IOIO, INFO(PORT, 0) | STR, 5);
	GIVE(&g, sw_scratch, 0);
	answers(&g, 0, 0);
	ghcb_end(&g);
}

/* ---- strings ---- */

#define SHARED_AT (GHCB + ABI_GHCB_SHARED_AT)

static void test_string_out_in_the_page(void **state)
{
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 2);
	for (unsigned size = 1; size <= 4; size *= 2) {
		uint32_t count = ABI_GHCB_SHARED_BYTES / size;

		ask(&g, ABI_GHCB_IOIO, INFO(0x402, size) | STR, count);
		GIVE(&g, sw_scratch, SHARED_AT);
		for (unsigned i = 0; i < ABI_GHCB_SHARED_BYTES; i++)
			ghcb_of(&g)->shared_buffer[i] = (uint8_t)(i * 7);
		assert_io(&g, true, size, 0x402, count);
		for (unsigned i = 0; i < ABI_GHCB_SHARED_BYTES; i++)
			assert_int_equal(port_data(&g)[i], (uint8_t)(i * 7));
		answers(&g, 0, 0);
	}
	ghcb_end(&g);
}

static void test_string_in_fills_the_page(void **state)
{
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 2);
	ask(&g, ABI_GHCB_IOIO, INFO(0x402, 2) | STR | IN, 8);
	GIVE(&g, sw_scratch, SHARED_AT + 0x10);
	memset(ghcb_of(&g)->shared_buffer, 0xee, 0x40);
	assert_io(&g, false, 2, 0x402, 8);
	for (unsigned i = 0; i < 16; i++) {
		assert_int_equal(port_data(&g)[i], 0);
		port_data(&g)[i] = (uint8_t)(0x40 + i);
	}
	answers(&g, 0, 0);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(ghcb_of(&g)->shared_buffer[0x10 + i], 0x40 + i);
	assert_int_equal(ghcb_of(&g)->shared_buffer[0x0f], 0xee);
	assert_int_equal(ghcb_of(&g)->shared_buffer[0x20], 0xee);
	ghcb_end(&g);
}

/* Scratch areas that KVM refuses; each access wants eight bytes. */
static const struct {
	uint64_t at;
	uint16_t version;
	bool good;
} areas[] = {
        {0, 2, false},
        {SHARED_AT, 2, true},
        {SHARED_AT - 1, 2, false},
        {GHCB, 2, false},
        {SHARED_AT + ABI_GHCB_SHARED_BYTES - 8, 2, true},
        {SHARED_AT + ABI_GHCB_SHARED_BYTES - 7, 2, false},
        {GHCB + 0xfff, 2, false},
        {OUTSIDE, 2, false},
        {UINT64_MAX - 3, 2, false},
        {0, 1, false},
        {SHARED_AT - 1, 1, false},
        {SHARED_AT + ABI_GHCB_SHARED_BYTES - 7, 1, false},
        {OUTSIDE, 1, true},
        {OUTSIDE + 0xffc, 1, true}, /* in two pages */
        {GHCB - 4, 1, true},        /* begins outside, ends in the GHCB */
        {UINT64_MAX - 3, 1, false},
};

static void test_scratch_area_is_checked(void **state)
{
	for (uint16_t version = 1; version <= 2; version++) {
		struct machine m;
		struct guest g;

		ghcb_start(&g, &m, version);
		for (size_t i = 0; i < ARRAY_LEN(areas); i++) {
			if (areas[i].version != version)
				continue;
			for (unsigned mmio = 0; mmio < 2; mmio++) {
				if (mmio)
					ask(&g, ABI_GHCB_MMIO_WRITE, 0xd0000000, 8);
				else
					ask(&g, ABI_GHCB_IOIO, INFO(PORT, 4) | STR, 2);
				GIVE(&g, sw_scratch, areas[i].at);
				if (areas[i].good)
					runs_to(&g, mmio ? KVM_EXIT_MMIO : KVM_EXIT_IO);
				runs_to_halt(&g);
				assert_answer(&g, areas[i].good ? 0 : ABI_GHCB_MALFORMED,
				        areas[i].good ? 0 : ABI_GHCB_BAD_SCRATCH);
			}
		}
		ghcb_end(&g);
	}
}

/* Version 1: more bytes than kvm_run has room for come in parts of a page. */
static void test_string_outside_the_page_comes_in_parts(void **state)
{
	enum { BYTES = 0x2000 + 0x600 };
	uint64_t at = 0x2780; /* in private memory, whose ciphertext KVM sees */
	uint8_t raw[BYTES];
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 1);
	ask(&g, ABI_GHCB_IOIO, INFO(0x402, 2) | STR, BYTES / 2);
	GIVE(&g, sw_scratch, at);
	memcpy(raw, g.memory + at, BYTES);
	for (unsigned done = 0; done < BYTES; done += 0x1000) {
		unsigned part = BYTES - done < 0x1000 ? BYTES - done : 0x1000;

		assert_io(&g, true, 2, 0x402, part / 2);
		assert_memory_equal(port_data(&g), raw + done, part);
	}
	answers(&g, 0, 0);
	ghcb_end(&g);
}

static void test_string_in_outside_the_page_is_written_at_the_end(void **state)
{
	enum { BYTES = 0x1004 };
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 1);
	ask(&g, ABI_GHCB_IOIO, INFO(0x402, 4) | STR | IN, BYTES / 4);
	GIVE(&g, sw_scratch, OUTSIDE - 0x1000 + 4 - 8 + 0x1000);
	memset(g.memory + OUTSIDE, 0xee, PAGE_SIZE_BYTES);
	/* The area begins in the GHCB, but not in its shared buffer. */
	answers(&g, ABI_GHCB_MALFORMED, ABI_GHCB_BAD_SCRATCH);
	ask(&g, ABI_GHCB_IOIO, INFO(0x402, 4) | STR | IN, 0x400);
	GIVE(&g, sw_scratch, OUTSIDE);
	assert_io(&g, false, 4, 0x402, 0x400);
	memset(port_data(&g), 0x5a, PAGE_SIZE_BYTES);
	g.run->immediate_exit = 1;
	assert_int_equal(guest_run(&g), -EINTR);
	assert_int_equal(g.memory[OUTSIDE], 0xee); /* the guest has not gone on */
	g.run->immediate_exit = 0;
	answers(&g, 0, 0);
	for (unsigned i = 0; i < PAGE_SIZE_BYTES; i++)
		assert_int_equal(g.memory[OUTSIDE + i], 0x5a);
	ghcb_end(&g);
}

static void test_string_that_is_too_long_fails(void **state)
{
	static const struct {
		uint64_t count, at;
		uint8_t size, version;
		int result; /* 1: malformed */
	} rows[] = {
	        {UINT64_C(0x80000000), SHARED_AT, 1, 2, -EINVAL},
	        {UINT64_MAX, SHARED_AT, 4, 2, -EINVAL},
	        {0x40000000, SHARED_AT, 2, 2, -EINVAL},
	        {0x7fffffff, SHARED_AT, 1, 2, 1},
	        {0x10001, OUTSIDE, 1, 1, 1}, /* 64 KiB at most */
	        {0x8001, OUTSIDE, 2, 1, 1},
	        {0x10000, OUTSIDE, 1, 1, -EFAULT}, /* the slot has 64 KiB */
	        {8, NOWHERE, 1, 1, -EFAULT},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct machine m;
		struct guest g;

		ghcb_start(&g, &m, rows[i].version);
		ask(&g, ABI_GHCB_IOIO, INFO(PORT, rows[i].size) | STR, rows[i].count);
		GIVE(&g, sw_scratch, rows[i].at);
		if (rows[i].result < 0) {
			assert_int_equal(guest_run(&g), rows[i].result);
			assert_int_equal(g.run->exit_reason, KVM_EXIT_UNKNOWN);
			answers(&g, 0, 0); /* the answer was "done" by then */
		} else {
			answers(&g, ABI_GHCB_MALFORMED, ABI_GHCB_BAD_SCRATCH);
		}
		ghcb_end(&g);
	}
}

/* ---- memory-mapped registers ---- */

static void assert_mmio(struct guest *g, bool write, uint64_t gpa, unsigned size)
{
	runs_to(g, KVM_EXIT_MMIO);
	assert_int_equal(g->run->mmio.is_write, write);
	assert_int_equal(g->run->mmio.phys_addr, gpa);
	assert_int_equal(g->run->mmio.len, size);
}

static void test_mmio_brings_one_to_eight_bytes(void **state)
{
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 2);
	for (unsigned size = 1; size <= 8; size++) {
		ask(&g, ABI_GHCB_MMIO_WRITE, 0xd0000ffe, size);
		GIVE(&g, sw_scratch, SHARED_AT + 3);
		memset(ghcb_of(&g)->shared_buffer, 0x10 + (int)size, 16);
		assert_mmio(&g, true, 0xd0000ffe, size);
		for (unsigned i = 0; i < 8; i++)
			assert_int_equal(g.run->mmio.data[i], i < size ? 0x10 + size : 0);
		answers(&g, 0, 0);
		ask(&g, ABI_GHCB_MMIO_READ, 0xd0000008, size);
		GIVE(&g, sw_scratch, SHARED_AT);
		memset(ghcb_of(&g)->shared_buffer, 0xee, 16);
		assert_mmio(&g, false, 0xd0000008, size);
		memset(g.run->mmio.data, 0x20 + (int)size, 8);
		answers(&g, 0, 0);
		for (unsigned i = 0; i < 16; i++)
			assert_int_equal(ghcb_of(&g)->shared_buffer[i], i < size ? 0x20 + size : 0xee);
	}
	ghcb_end(&g);
}

static void test_mmio_of_nine_bytes_is_for_version_1(void **state)
{
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 2);
	ask(&g, ABI_GHCB_MMIO_READ, 0xd0000000, 0);
	GIVE(&g, sw_scratch, 0);
	answers(&g, 0, 0);
	ask(&g, ABI_GHCB_MMIO_READ, 0xd0000000, 9);
	GIVE(&g, sw_scratch, SHARED_AT);
	answers(&g, ABI_GHCB_MALFORMED, ABI_GHCB_INVALID_INPUT);
	ghcb_end(&g);

	ghcb_start(&g, &m, 1);
	ask(&g, ABI_GHCB_MMIO_READ, 0xd0000004, 21);
	GIVE(&g, sw_scratch, OUTSIDE + 0x100);
	for (unsigned done = 0; done < 21; done += 8) {
		assert_mmio(&g, false, 0xd0000004 + done, done == 16 ? 5 : 8);
		memset(g.run->mmio.data, 0x30 + (int)done, 8);
	}
	answers(&g, 0, 0);
	for (unsigned i = 0; i < 21; i++)
		assert_int_equal(g.memory[OUTSIDE + 0x100 + i], 0x30 + i / 8 * 8);
	assert_int_equal(g.memory[OUTSIDE + 0x100 + 21], 0);
	ask(&g, ABI_GHCB_MMIO_WRITE, 0xd0000000, UINT64_C(0x100000008));
	GIVE(&g, sw_scratch, OUTSIDE);
	answers(&g, ABI_GHCB_MALFORMED, ABI_GHCB_BAD_SCRATCH);
	ghcb_end(&g);
}

/* ---- leaving at once ---- */

static void on_signal(int signal)
{
}

/* The VMM's answer counts, and the guest does not go on: its registers are not in the page yet. */
static void test_answer_is_taken_before_kvm_run_returns_at_once(void **state)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct machine m;
	struct guest g;

	sigaction(SIGUSR1, &action, NULL);
	for (unsigned by_signal = 0; by_signal < 2; by_signal++) {
		ghcb_start(&g, &m, 2);
		ask(&g, ABI_GHCB_IOIO, INFO(PORT, 1) | IN, 0);
		assert_io(&g, false, 1, PORT, 1);
		assert_int_equal(ghcb_of(&g)->sw_exit_info_1, 0);
		assert_int_not_equal(ghcb_of(&g)->valid_bitmap[ABI_GHCB_BIT(sw_exit_info_1) / 8], 0);
		*port_data(&g) = 0x99;
		if (by_signal) {
			sigset_t set;

			sigemptyset(&set);
			sigaddset(&set, SIGUSR1);
			pthread_sigmask(SIG_BLOCK, &set, NULL);
			raise(SIGUSR1);
			{
				const struct {
					struct kvm_signal_mask head;
					uint64_t mask;
				} mask = {.head.len = 8};

				assert_int_equal(call_of(&m, g.vcpu, KVM_SET_SIGNAL_MASK, &mask), 0);
			}
			assert_int_equal(guest_run(&g), -EINTR);
			assert_int_equal(g.run->exit_reason, KVM_EXIT_INTR);
			assert_int_equal(call_of(&m, g.vcpu, KVM_SET_SIGNAL_MASK, NULL), 0);
			pthread_sigmask(SIG_UNBLOCK, &set, NULL);
		} else {
			g.run->immediate_exit = 1;
			assert_int_equal(guest_run(&g), -EINTR);
			g.run->immediate_exit = 0;
		}
		*port_data(&g) = 0x11; /* too late */
		assert_int_equal(ghcb_of(&g)->rax, 0);
		answers(&g, 0, 0);
		assert_int_equal(ghcb_of(&g)->rax, 0x99);
		ghcb_end(&g);
	}
}

/* The VMM takes the page away while it has the access: the answer is lost, and nothing else. */
static void test_page_that_goes_away_loses_the_answer(void **state)
{
	struct machine m;
	struct guest g;

	ghcb_start(&g, &m, 2);
	ask(&g, ABI_GHCB_MMIO_READ, 0xd0000000, 8);
	GIVE(&g, sw_scratch, SHARED_AT);
	assert_mmio(&g, false, 0xd0000000, 8);
	mprotect(g.memory + GHCB, PAGE_SIZE_BYTES, PROT_NONE);
	runs_to_halt(&g);
	mprotect(g.memory + GHCB, PAGE_SIZE_BYTES, PROT_READ | PROT_WRITE);
	ask(&g, ABI_GHCB_HV_FEATURES, 0, 0);
	answers(&g, 0, 3);
	ghcb_end(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_out_brings_the_low_bytes_of_rax),
	        cmocka_unit_test(test_in_brings_the_vmms_answer_to_rax),
	        cmocka_unit_test(test_port_access_of_no_size_is_done),
	        cmocka_unit_test(test_string_out_in_the_page),
	        cmocka_unit_test(test_string_in_fills_the_page),
	        cmocka_unit_test(test_scratch_area_is_checked),
	        cmocka_unit_test(test_string_outside_the_page_comes_in_parts),
	        cmocka_unit_test(test_string_in_outside_the_page_is_written_at_the_end),
	        cmocka_unit_test(test_string_that_is_too_long_fails),
	        cmocka_unit_test(test_mmio_brings_one_to_eight_bytes),
	        cmocka_unit_test(test_mmio_of_nine_bytes_is_for_version_1),
	        cmocka_unit_test(test_answer_is_taken_before_kvm_run_returns_at_once),
	        cmocka_unit_test(test_page_that_goes_away_loses_the_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

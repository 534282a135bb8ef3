/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that moves from one VM to another again and again, in the middle of its work, has the results of
 * one that is left alone. Its state is checked when it is loaded: no part of it is too little, and none of it
 * harms the program.
 */
#include "moved_board.h"

#define MOVES   12u
#define BETWEEN 7u /* reads of its port by the first vCPU between two moves */

static void need_host(void)
{
	if (machine.kvm_fd < 0) {
		print_message("no usable /dev/kvm here\n");
		skip();
	}
}

static struct board *begin(unsigned count)
{
	struct board *board = board_new(count);

	load_program(board);
	for (unsigned i = 0; i < count; i++)
		start_at_program(board, i);
	return board;
}

static void skip_unable(struct board *board)
{
	board_end(board);
	print_message("this KVM cannot execute the program\n");
	skip();
}

static void run_program(unsigned count, unsigned moves, struct moved_data ret_data[static VCPUS_MAX])
{
	struct board *board = begin(count);

	for (unsigned i = 1; i <= moves && !is_over(board); i++) {
		run_until(board, (uint64_t)i * BETWEEN);
		board = move(board);
	}
	run_until(board, UINT64_MAX);
	for (unsigned i = 0; i < count; i++) {
		if (board->vcpus[i].unable)
			skip_unable(board);
		assert_false(board->vcpus[i].failed);
		assert_int_equal(page_read(board->vm->memory, gpa(DATA + i * 0x1000), &ret_data[i],
		                         sizeof(ret_data[i])),
		        0);
	}
	board_end(board);
}

static void assert_moves_change_nothing(unsigned count)
{
	struct moved_data alone[VCPUS_MAX] = {0}, moved[VCPUS_MAX] = {0};

	need_host();
	run_program(count, 0, alone);
	run_program(count, MOVES, moved);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(alone[i].wrong, 0);
		assert_int_equal(moved[i].wrong, 0);
		assert_true(moved[i].ticks >= 12);
		assert_true(alone[i].sum == moved[i].sum && alone[i].mxcsr == moved[i].mxcsr);
		assert_memory_equal(alone[i].x87, moved[i].x87, sizeof(alone[i].x87));
		assert_memory_equal(alone[i].xmm, moved[i].xmm, sizeof(alone[i].xmm));
		assert_memory_equal(alone[i].ymm, moved[i].ymm, sizeof(alone[i].ymm));
	}
	assert_true(moved[0].pit_ticks >= 12);
}

static void test_one_vcpu_moves(void **state)
{
	assert_moves_change_nothing(1);
}

static void test_four_vcpus_move(void **state)
{
	assert_moves_change_nothing(VCPUS_MAX);
}

/* ---- what is loaded ---- */

static void test_state_that_is_cut_off_is_refused(void **state)
{
	struct board *from, *to;
	struct saved saved;

	need_host();
	from = begin(1);
	run_until(from, 3);
	save(from, &saved);
	to = board_new(1);
	for (unsigned i = 0; i < saved.count; i++) {
		for (size_t size = 0; size < saved.parts[i].size; size += size < 64 ? 1 : 13) {
			assert_int_equal(load_part(to, i, saved.parts[i].data, size), -1);
			assert_non_null(strstr(err.text, "state of the guest: it ends before"));
		}
	}
	load(to, &saved);
	saved_finish(&saved);
	board_end(from);
	board_end(to);
}

/* KVM takes much of what is changed so, and refuses the rest. The program goes on in either case. */
static void test_state_that_is_changed_harms_nobody(void **state)
{
	uint32_t random = 12345;
	struct board *from, *to;
	struct saved saved;
	unsigned refused = 0;

	need_host();
	from = begin(1);
	run_until(from, 3);
	save(from, &saved);
	to = board_new(1);
	for (unsigned turn = 0; turn < 1500; turn++) {
		struct vmstate *part = &saved.parts[turn % saved.count];
		uint8_t old;
		size_t at;

		random = random * 1664525 + 1013904223;
		at = (random >> 8) % part->size;
		old = part->data[at];
		part->data[at] ^= (uint8_t)(1u << (random >> 28 & 7));
		refused += load_part(to, turn % saved.count, part->data, part->size) < 0;
		part->data[at] = old;
	}
	assert_true(refused > 0);
	board_end(to);
	to = board_new(1);
	load(to, &saved);
	saved_finish(&saved);
	board_end(from);
	board_end(to);
}

static uint64_t tsc_of(struct board *board)
{
	uint64_t tsc = 0;
	bool has;

	assert_ok(call_vcpu_get_msr(machine.host, board->vm->vcpus[0].fd, 0x10, &has, &tsc, &err));
	assert_true(has);
	return tsc;
}

/* ns of the guest's time-stamp counter */
static uint64_t ns_of(struct board *board, uint64_t ticks)
{
	uint32_t khz;

	assert_ok(call_vcpu_get_tsc_khz(machine.host, board->vm->vcpus[0].fd, &khz, &err));
	return (uint64_t)((unsigned __int128)ticks * 1000000 / khz);
}

#define LATE_NS  (UINT64_C(3600) * 1000000000) /* of a test on a busy machine */
#define SLACK_NS 1000000 /* of the rate that Linux measured, and of the clock that it disciplines */

static void test_time_goes_on_by_what_has_passed(void **state)
{
	static const struct timespec moment = {.tv_nsec = 50000000};
	uint64_t first, tsc, saved_at, loading_at, passed;
	struct board *from, *to;
	struct saved saved;

	need_host();
	from = begin(1);
	run_until(from, 3);
	first = clock_ns(CLOCK_REALTIME);
	tsc = tsc_of(from);
	save(from, &saved);
	saved_at = clock_ns(CLOCK_REALTIME);
	to = board_new(1);
	nanosleep(&moment, NULL);
	loading_at = clock_ns(CLOCK_REALTIME);
	load(to, &saved);
	passed = ns_of(to, tsc_of(to) - tsc);
	if (is_sim()) { /* whose virtual time stood still, and with it its wall clock */
		assert_true(passed == 0);
	} else {
		assert_true(passed + SLACK_NS >= loading_at - saved_at);
		assert_true(passed <= clock_ns(CLOCK_REALTIME) - first + SLACK_NS);
	}
	saved_finish(&saved);
	board_end(from);
	board_end(to);
}

/* There are KVMs (pvm) whose guests see the host's own counter whatever they are told. */
static bool moves_tsc(struct board *board)
{
	const uint64_t other = UINT64_C(1) << 40;
	uint64_t offset;

	assert_ok(call_vcpu_set_tsc_offset(machine.host, board->vm->vcpus[0].fd, other, &err));
	assert_ok(call_vcpu_get_tsc_offset(machine.host, board->vm->vcpus[0].fd, &offset, &err));
	return offset == other;
}

/* Behind the count of vCPUs and the guest's clock, of eight bytes each. */
#define WALL_AT 16

/* A host whose wall clock is wrong, or a peer who says what it likes, moves the guest's clocks by a year. */
static void test_time_away_is_a_year_at_most(void **state)
{
	struct kvm_clock_data clock = {0};
	uint64_t tsc, passed, now;
	struct board *from, *to;
	struct saved saved;

	need_host();
	from = begin(1);
	run_until(from, 3);
	tsc = tsc_of(from);
	save(from, &saved);
	now = load_le(saved.parts[0].data + WALL_AT - 8, 8);
	store_le(saved.parts[0].data + WALL_AT, 8, 1);
	to = board_new(1);
	load(to, &saved);
	passed = ns_of(to, tsc_of(to) - tsc);
	if (moves_tsc(from))
		assert_in_range(passed, CLOCK_AWAY_NS_MAX - SLACK_NS, CLOCK_AWAY_NS_MAX + LATE_NS);
	assert_ok(call_get_state(machine.host, to->vm->fd, KVM_GET_CLOCK, &clock, &err));
	assert_in_range(clock.clock - now, CLOCK_AWAY_NS_MAX, CLOCK_AWAY_NS_MAX + LATE_NS);
	saved_finish(&saved);
	board_end(from);
	board_end(to);
}

/* The rate is behind the count of vCPUs, two clocks and the counter, of eight bytes each. */
#define RATE_AT 32

static void test_time_of_another_rate_is_scaled_or_refused(void **state)
{
	struct board *from, *to;
	struct saved saved;
	uint32_t khz, half;
	char text[100];

	need_host();
	from = board_new(1);
	to = board_new(1);
	save(from, &saved);
	assert_ok(call_vcpu_get_tsc_khz(machine.host, from->vm->vcpus[0].fd, &khz, &err));
	assert_int_equal(load_le(saved.parts[0].data + RATE_AT, 4), khz);
	half = khz / 2;
	store_le(saved.parts[0].data + RATE_AT, 4, half);
	snprintf(text, sizeof(text), "the guest's TSC counts %u kHz, and this host's %u kHz", half, khz);
	if (call_capability(machine.host, to->vm->fd, KVM_CAP_TSC_CONTROL)) {
		assert_int_equal(load_part(to, 0, saved.parts[0].data, saved.parts[0].size), 0);
		assert_ok(call_vcpu_get_tsc_khz(machine.host, to->vm->vcpus[0].fd, &khz, &err));
		assert_int_equal(khz, half);
	} else {
		assert_int_equal(load_part(to, 0, saved.parts[0].data, saved.parts[0].size), -1);
		assert_non_null(strstr(err.text, text));
	}
	saved_finish(&saved);
	board_end(from);
	board_end(to);
}

static void test_state_of_another_number_of_vcpus_is_refused(void **state)
{
	struct board *one, *two;
	struct saved saved;

	need_host();
	one = board_new(1);
	two = board_new(2);
	save(one, &saved);
	assert_int_equal(load_part(two, 0, saved.parts[0].data, saved.parts[0].size), -1);
	assert_string_equal(err.text, "state of the guest: how many vCPUs there are is 1 there and 2 here");
	saved_finish(&saved);
	board_end(one);
	board_end(two);
}

static void test_state_of_encrypted_registers_is_refused(void **state)
{
	struct vmstate s = vmstate_save("guest");
	struct board *board;

	need_host();
	board = board_new(1);
	config.sev.type = CONFIG_SEV_ES;
	machine_vm_visit_vcpu(board->vm, 0, &s);
	assert_fails(vmstate_end(&s, &err), ERR_FAILED, "SEV-ES");
	vmstate_finish(&s);
	board_end(board);
}

#define ON(host, name) cmocka_unit_test_setup_teardown(name, setup_##host, teardown)
#define ALL(host) \
	ON(host, test_one_vcpu_moves), ON(host, test_four_vcpus_move), \
	        ON(host, test_state_that_is_cut_off_is_refused), \
	        ON(host, test_state_that_is_changed_harms_nobody), \
	        ON(host, test_time_goes_on_by_what_has_passed), ON(host, test_time_away_is_a_year_at_most), \
	        ON(host, test_time_of_another_rate_is_scaled_or_refused), \
	        ON(host, test_state_of_another_number_of_vcpus_is_refused), \
	        ON(host, test_state_of_encrypted_registers_is_refused)

int main(void)
{
	const struct CMUnitTest tests[] = {ALL(sim), ALL(kvm)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

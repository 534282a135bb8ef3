/* SPDX-License-Identifier: Apache-2.0 */
/* A guest that the secure processor sends or receives: the calls to the kernel, and which come after which.
 */
#include "../../../src/launch/launch.h"
#include "bench.h"

static struct bench bench;
static struct err err;
static struct abi_sev_cert pdh;
static struct abi_sev_cert_chain chain;
static struct abi_sev_session session;
static struct abi_sev_secret_header header;
static uint8_t packet[PAGE_SIZE_BYTES];
static const struct call_sev_receiver receiver = {.pdh = &pdh, .chain = &chain};

static int setup(void **state)
{
	bench_start(&bench);
	memset(packet, 0xab, sizeof(packet));
	return 0;
}

static int teardown(void **state)
{
	bench_end(&bench);
	assert_int_equal(bench.kernel.open_fds, 0);
	return 0;
}

static void launches(const char *type, const char *const *sets)
{
	if (bench_launch(&bench, type, sets) < 0)
		fail_msg("%s", bench.err.text);
}

/* Ends what the bench has launched, and begins a guest that is to come. */
static void await(const char *const *sets)
{
	int next;

	launches("sev", sets);
	launch_end(bench.launch);
	bench.kernel.count = bench.kernel.guest_state = 0;
	launch_begin_to_receive(bench.launch, bench.machine);
	while ((next = launch_next(bench.launch, false, &err)) == LAUNCH_MORE)
		;
	assert_int_equal(next, LAUNCH_DONE);
	assert_int_equal(launch_next(bench.launch, false, &err), LAUNCH_DONE);
}

static void assert_last(const char *line)
{
	assert_string_equal(bench.kernel.lines[bench.kernel.count - 1], line);
}

static const char *word(void)
{
	return launch_state_word(launch_state_of(bench.launch));
}

/* ---- a guest that comes ---- */

static void test_move_guest_that_comes_is_not_launched(void **state)
{
	const char *const wanted[] = {
	        "CREATE_VM 0x2", "INIT2 0x0", "REG_REGION 0x400000", "REG_REGION 0x10000"};
	struct launch_row_facts row;
	unsigned rows = 0;

	await(NULL);
	assert_int_equal(bench.kernel.count, ARRAY_LEN(wanted));
	for (unsigned i = 0; i < ARRAY_LEN(wanted); i++)
		assert_string_equal(bench.kernel.lines[i], wanted[i]);
	assert_true(launch_receives(bench.launch));
	assert_string_equal(word(), "uninit");
	for (; launch_row_facts(bench.launch, rows, &row); rows++)
		assert_int_equal(row.state, LAUNCH_ROW_DONE);
	assert_int_equal(rows, 7);
}

static void test_move_guest_comes_page_by_page(void **state)
{
	uint8_t *page;

	await(NULL);
	assert_ok(launch_receive_start(bench.launch, &pdh, &session, &err));
	assert_string_equal(bench.kernel.lines[4], "RECEIVE_START 0x0");
	assert_last("GUEST_STATUS 0x5");
	assert_string_equal(word(), "receive-update");
	assert_int_equal(launch_handle_of(bench.launch), 8);
	assert_int_equal(bench.kernel.policy, 1);
	assert_ok(launch_receive_page(bench.launch, gpa(MIB(1)), &header, packet, &err));
	page = page_kernel_address(machine_vm_memory(launch_vm(bench.launch)), gpa(MIB(1)), PAGE_SIZE_BYTES);
	assert_memory_equal(page, packet, sizeof(packet));
	assert_fails(launch_receive_page(bench.launch, gpa(MIB(4)), &header, packet, &err), ERR_FAILED,
	        "the page at 0x400000 does not lie in the guest's memory");
	assert_ok(launch_receive_finish(bench.launch, &err));
	assert_last("GUEST_STATUS 0x3");
	assert_string_equal(word(), "running");
	/* It was measured elsewhere. */
	assert_null(launch_measurement_of(bench.launch));
}

static void test_move_guest_comes_once(void **state)
{
	await(NULL);
	assert_fails(launch_receive_finish(bench.launch, &err), ERR_FAILED, "in the state UNINIT");
	assert_ok(launch_receive_start(bench.launch, &pdh, &session, &err));
	assert_fails(launch_receive_start(bench.launch, &pdh, &session, &err), ERR_FAILED,
	        "cannot be received: its context is in the state RUPDATE");
	assert_ok(launch_receive_finish(bench.launch, &err));
	assert_fails(launch_receive_finish(bench.launch, &err), ERR_FAILED, "in the state RUNNING");
}

static void test_move_session_that_is_refused_leaves_room_for_another(void **state)
{
	await(NULL);
	bench.kernel.refusal = (struct fake_refusal){.request = KVM_MEMORY_ENCRYPT_OP,
	        .command = KVM_SEV_RECEIVE_START,
	        .sys = EIO,
	        .fw = 0xb,
	        .times = 1};
	assert_fails(launch_receive_start(bench.launch, &pdh, &session, &err), ERR_HOST, "BAD_MEASUREMENT");
	assert_string_equal(word(), "uninit");
	assert_ok(launch_receive_start(bench.launch, &pdh, &session, &err));
}

static void test_move_other_guests_are_launched_as_always(void **state)
{
	await((const char *const[]){"sev.helper=true", "sev.policy=nodbg", NULL});
	assert_false(launch_receives(bench.launch));
	assert_string_equal(word(), "running");
	assert_fails(launch_receive_start(bench.launch, &pdh, &session, &err), ERR_FAILED, "RUNNING");
}

static void test_move_guest_that_came_is_launched_here_by_a_reset(void **state)
{
	await(NULL);
	assert_ok(launch_receive_start(bench.launch, &pdh, &session, &err));
	assert_ok(launch_receive_finish(bench.launch, &err));
	launch_end(bench.launch);
	bench.kernel.guest_state = 0;
	assert_ok(launch_whole(bench.launch, bench.machine, &bench.vm, &err));
	assert_false(launch_receives(bench.launch));
	assert_non_null(launch_measurement_of(bench.launch));
	assert_last("GUEST_STATUS 0x3");
}

/* ---- a guest that leaves ---- */

static void test_move_guest_that_leaves(void **state)
{
	struct abi_sev_session made;
	uint8_t sent[PAGE_SIZE_BYTES];

	launches("sev", NULL);
	assert_ok(launch_send_end(bench.launch, true, &err)); /* nothing to do */
	assert_ok(launch_send_start(bench.launch, &receiver, &made, &err));
	assert_last("GUEST_STATUS 0x4");
	assert_int_equal(((uint8_t *)&made)[127], 0x5e);
	assert_string_equal(word(), "send-update");
	memcpy(page_kernel_address(machine_vm_memory(bench.vm), gpa(0x3000), PAGE_SIZE_BYTES), packet,
	        sizeof(packet));
	assert_ok(launch_send_page(bench.launch, gpa(0x3000), &header, sent, &err));
	assert_memory_equal(sent, packet, sizeof(packet));
	assert_fails(launch_send_page(bench.launch, gpa(MIB(64)), &header, sent, &err), ERR_FAILED,
	        "does not lie in the guest's memory");
	assert_ok(launch_send_end(bench.launch, true, &err));
	assert_last("SEND_FINISH 0x4");
	assert_fails(launch_send_start(bench.launch, &receiver, &made, &err), ERR_FAILED,
	        "cannot be sent: its context is in the state SENT");
}

static void test_move_guest_that_stays_is_sent_again(void **state)
{
	struct abi_sev_session made;

	launches("sev", NULL);
	assert_ok(launch_send_start(bench.launch, &receiver, &made, &err));
	assert_ok(launch_send_end(bench.launch, false, &err));
	assert_last("SEND_CANCEL 0x4");
	assert_string_equal(word(), "running");
	assert_ok(launch_send_start(bench.launch, &receiver, &made, &err));
	/* Whatever ended the last move, it left the guest as it was. */
	assert_ok(launch_send_start(bench.launch, &receiver, &made, &err));
	assert_string_equal(bench.kernel.lines[bench.kernel.count - 3], "SEND_CANCEL 0x4");
	bench.kernel.refusal = (struct fake_refusal){
	        .request = KVM_MEMORY_ENCRYPT_OP, .command = KVM_SEV_SEND_CANCEL, .sys = EIO, .fw = 1};
	assert_fails(
	        launch_send_start(bench.launch, &receiver, &made, &err), ERR_HOST, "KVM_SEV_SEND_CANCEL");
	assert_string_equal(word(), "send-update");
}

/* ---- refusals of the firmware ---- */

static int end_given(void)
{
	return launch_send_end(bench.launch, true, &err);
}

static int end_kept(void)
{
	return launch_send_end(bench.launch, false, &err);
}

static int send_start(void)
{
	return launch_send_start(bench.launch, &receiver, &session, &err);
}

static int send_page(void)
{
	return launch_send_page(bench.launch, gpa(MIB(1)), &header, packet, &err);
}

static int receive_start(void)
{
	return launch_receive_start(bench.launch, &pdh, &session, &err);
}

static int receive_page(void)
{
	return launch_receive_page(bench.launch, gpa(MIB(1)), &header, packet, &err);
}

static int receive_finish(void)
{
	return launch_receive_finish(bench.launch, &err);
}

enum {
	SEND_START,
	SEND_PAGE,
	SEND_FINISH,
	SEND_CANCEL,
	RECEIVE_START,
	RECEIVE_PAGE,
	RECEIVE_FINISH,
	COMMANDS
};

static const struct {
	uint32_t id;
	int (*call)(void);
	int (*before)(void);
	bool receives;
} commands[COMMANDS] = {
        [SEND_START] = {KVM_SEV_SEND_START, send_start, NULL, false},
        [SEND_PAGE] = {KVM_SEV_SEND_UPDATE_DATA, send_page, send_start, false},
        [SEND_FINISH] = {KVM_SEV_SEND_FINISH, end_given, send_start, false},
        [SEND_CANCEL] = {KVM_SEV_SEND_CANCEL, end_kept, send_start, false},
        [RECEIVE_START] = {KVM_SEV_RECEIVE_START, receive_start, NULL, true},
        [RECEIVE_PAGE] = {KVM_SEV_RECEIVE_UPDATE_DATA, receive_page, receive_start, true},
        [RECEIVE_FINISH] = {KVM_SEV_RECEIVE_FINISH, receive_finish, receive_start, true},
};

/* Returns what is said when the firmware or the kernel refuses the command. */
static const char *refuse(unsigned command, int sys, uint32_t fw)
{
	setup(NULL);
	if (commands[command].receives)
		await(NULL);
	else
		launches("sev", NULL);
	if (commands[command].before)
		assert_ok(commands[command].before());
	bench.kernel.refusal = (struct fake_refusal){
	        .request = KVM_MEMORY_ENCRYPT_OP, .command = commands[command].id, .sys = sys, .fw = fw};
	err = (struct err){0};
	assert_int_equal(commands[command].call(), -1);
	assert_int_equal(err.kind, ERR_HOST);
	assert_int_equal(err.fw, fw);
	bench.kernel.refusal = (struct fake_refusal){0};
	teardown(NULL);
	return err.text;
}

/* Whatever the firmware answers: always a remedy, and never that of a launch. */
static void test_move_every_command_with_every_code(void **state)
{
	static const char *const of_a_launch[] = {"launch again", "the launch is out of order", "session new",
	        "sev.dh-cert", "lower machine.memory", "creating the guest"};

	for (unsigned command = 0; command < COMMANDS; command++) {
		for (uint32_t fw = 0; fw <= 0x3a; fw++) {
			const char *text = refuse(command, fw ? EIO : ENOMEM, fw);

			if (!strchr(text, ';') || strchr(text, '\n'))
				fail_msg("command %u, code 0x%x: %s", command, fw, text);
			for (size_t i = 0; i < ARRAY_LEN(of_a_launch); i++)
				if (strstr(text, of_a_launch[i]))
					fail_msg("command %u, code 0x%x: %s", command, fw, text);
		}
	}
}

static void test_move_every_cause_is_told_in_a_sentence(void **state)
{
	static const struct {
		unsigned command;
		int sys;
		uint32_t fw;
		const char *text;
	} causes[] = {
	        {SEND_START, EIO, 0x2,
	                "for the firmware the guest is not running, or it was sent already; another"},
	        {SEND_START, EIO, 0x4,
	                "a certificate of the other host has a wrong length; write the file of"},
	        {SEND_START, EIO, 0x6, "do not sign each other, or do not lead to AMD; write the file of"},
	        {SEND_START, EIO, 0x7,
	                "sev.policy does not let the guest go there: it says nosend; or domain, and"},
	        {SEND_START, EIO, 0xa, "a signature in the certificates of the other host is wrong; write"},
	        {SEND_START, EIO, 0x16, "the firmware cannot read the certificates of the other host; write"},
	        {SEND_START, EINVAL, 0,
	                "the kernel does not accept the certificates of the other host; write"},
	        {SEND_START, ENOTTY, 0, "this kernel cannot send SEV guests; use Linux 5.14"},
	        {SEND_PAGE, EIO, 0x2, "for the firmware the guest is not running"},
	        {SEND_PAGE, EIO, 0x4,
	                "a page, or the room for its packet, has a wrong length; this is a fault"},
	        {SEND_PAGE, EIO, 0x8,
	                "the firmware has lost the guest's ASID; the platform was reset meanwhile: end"},
	        {SEND_PAGE, EIO, 0x9, "a page is at no valid address; this is a fault"},
	        {SEND_PAGE, EFAULT, 0, "a page is not in the host's memory; free memory"},
	        {SEND_FINISH, EIO, 0x10,
	                "the firmware has lost the guest; the platform was reset meanwhile: end"},
	        {SEND_CANCEL, EIO, 0x14, "the secure processor is no longer safe; reboot the host"},
	        {RECEIVE_START, EIO, 0x4, "the session or the PDH has a wrong length; this is a fault"},
	        {RECEIVE_START, EIO, 0x6, "the other host's PDH is not valid; make a new one there"},
	        {RECEIVE_START, EIO, 0x7,
	                "the policy asks for a newer firmware API, or for what this platform lacks"},
	        {RECEIVE_START, EIO, 0xb,
	                "the session was made for another PDH than this host has now, or for another"},
	        {RECEIVE_START, EIO, 0xc, "another program drives the secure processor: end it"},
	        {RECEIVE_START, EIO, 0xf, "freed ASIDs wait for a flush; start the target again, and move"},
	        {RECEIVE_START, EIO, 0x17, "the firmware has run out of something"},
	        {RECEIVE_START, EINVAL, 0,
	                "the kernel does not accept the session or the PDH; this is a fault"},
	        {RECEIVE_PAGE, EIO, 0x2, "for the firmware the guest is not one that comes; another program"},
	        {RECEIVE_PAGE, EIO, 0x4, "the packet has another length than its page; this is a fault"},
	        {RECEIVE_PAGE, EIO, 0x9, "a page is at no valid address; this is a fault"},
	        {RECEIVE_PAGE, EIO, 0xb,
	                "the page was packed with other keys, or was changed on its way; start"},
	        {RECEIVE_PAGE, EIO, 0x15, "in a form that this firmware does not know; update"},
	        {RECEIVE_PAGE, ENOMEM, 0, "the host is short of memory; free memory on the host, and move"},
	        {RECEIVE_FINISH, EIO, 0x10,
	                "the firmware has lost the guest; the platform was reset meanwhile: start"},
	        {RECEIVE_FINISH, EIO, 0x13, "the secure processor met a hardware fault; try again"},
	};

	for (size_t i = 0; i < ARRAY_LEN(causes); i++) {
		const char *text = refuse(causes[i].command, causes[i].sys, causes[i].fw);

		if (!strstr(text, causes[i].text))
			fail_msg("row %zu: \"%s\" lacks \"%s\"", i, text, causes[i].text);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_move_guest_that_comes_is_not_launched),
	        TEST(test_move_guest_comes_page_by_page),
	        TEST(test_move_guest_comes_once),
	        TEST(test_move_session_that_is_refused_leaves_room_for_another),
	        TEST(test_move_other_guests_are_launched_as_always),
	        TEST(test_move_guest_that_came_is_launched_here_by_a_reset),
	        TEST(test_move_guest_that_leaves),
	        TEST(test_move_guest_that_stays_is_sent_again),
	        cmocka_unit_test(test_move_every_command_with_every_code),
	        cmocka_unit_test(test_move_every_cause_is_told_in_a_sentence),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

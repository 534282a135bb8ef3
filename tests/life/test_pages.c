/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A SEV guest that reports which pages it shares, and allows its migration: what the record holds, what the
 * guest is answered, and what a reset leaves of it.
 */
#include "life.h"
#include "support/flat.h"

#define MSR_MIGRATION 0x4b564d08u
#define EAX           0xb8
#define ECX           0xb9
#define EDX           0xba
#define EBX           0xbb

static struct flat flat;

static void set(uint8_t opcode, uint32_t value)
{
	FLAT(&flat, 0x66, opcode, value & 0xff, value >> 8 & 0xff, value >> 16 & 0xff, value >> 24);
}

/* Tells AL. */
static void tell(void)
{
	FLAT(&flat, 0xba, 0xf8, 0x03, 0xee); /* mov dx, 0x3f8; out dx, al */
}

static void call(uint32_t at, uint32_t pages, uint32_t attributes)
{
	set(EAX, 12); /* KVM_HC_MAP_GPA_RANGE */
	set(EBX, at);
	set(ECX, pages);
	set(EDX, attributes);
	FLAT(&flat, 0x0f, 0x01, 0xd9); /* vmmcall */
}

static void report(uint32_t at, uint32_t pages, uint32_t attributes)
{
	call(at, pages, attributes);
	tell();
}

/* The guest shares four pages more, by which the test sees that it has told all, and spins. */
static void be_done(void)
{
	call(0x50000, 4, 0);
	flat_spin(&flat);
}

static void write_msr(uint32_t low, uint32_t high)
{
	set(ECX, MSR_MIGRATION);
	set(EAX, low);
	set(EDX, high);
	FLAT(&flat, 0x0f, 0x30);
}

static void read_msr(void)
{
	set(ECX, MSR_MIGRATION);
	FLAT(&flat, 0x0f, 0x32);
	tell();
}

#define HANDLER 0xff00

/*
 * The handler of #GP tells 'G' and goes on behind an instruction of two bytes. An interrupt leaves the
 * segment of the reset vector for the real one, so the guest copies itself there first.
 */
static void write_handler(void)
{
	static const uint8_t code[] = {0xb0, 'G', 0xba, 0xf8, 0x03, 0xee, /* out 0x3f8, 'G' */
	        0x89, 0xe5, 0x83, 0x46, 0x00, 0x02, 0xcf}; /* mov bp, sp; add word [bp], 2; iret */
	uint16_t next;

	memcpy(flat.image + HANDLER, code, sizeof(code));
	FLAT(&flat, 0xb8, 0x00, 0xf0, 0x8e, 0xc0); /* mov ax, 0xf000; mov es, ax */
	FLAT(&flat, 0xbe, 0x00, FLAT_START >> 8, 0xbf, 0x00, FLAT_START >> 8); /* mov si, mov di */
	FLAT(&flat, 0xb9, 0x00, 0x10, 0x2e, 0xf3, 0xa4); /* mov cx, 0x1000; rep movs cs:[si] */
	next = (uint16_t)(flat.at + 5);
	FLAT(&flat, 0xea, next & 0xff, next >> 8, 0x00, 0xf0);             /* jmp 0xf000:next */
	FLAT(&flat, 0xbc, 0x00, 0x80);                                     /* mov sp, 0x8000 */
	FLAT(&flat, 0xc7, 0x06, 0x34, 0x00, HANDLER & 0xff, HANDLER >> 8); /* mov word [0x34] */
	FLAT(&flat, 0xc7, 0x06, 0x36, 0x00, 0x00, 0xf0);                   /* mov word [0x36] */
}

/* Counts its starts in a CMOS cell. From the second on it reports one page, and jumps there by itself. */
static void write_second_start(void)
{
	size_t jump;

	flat_out8(&flat, 0x70, 0x40);
	FLAT(&flat, 0xe4, 0x71, 0xfe, 0xc0, 0xe6, 0x71); /* in al, 0x71; inc al; out 0x71, al */
	FLAT(&flat, 0x3c, 0x02, 0x72, 0x00);             /* cmp al, 2; jb */
	jump = flat.at;
	report(0x40000, 1, 0);
	be_done();
	flat.image[jump - 1] = (uint8_t)(flat.at - jump);
}

/* What the first start tells. */
static const uint8_t told[] = {0, 0, 0, 0xea, 0, 0, 0xea, 0, 'G', 'G', 0, 1};

static void write_reporter(void)
{
	flat_init(&flat);
	write_handler();
	write_second_start();
	report(0x10000, 16, 0x1);       /* a hint of 2 MiB changes nothing */
	report(0x14000, 2, 0x10);       /* bit 4: encrypted again */
	report(0x30000, 1, 0xfffffffe); /* no bit but 4 counts; here it is set */
	report(0x10008, 1, 0);          /* KVM refuses this one, vmm the one after the next two: -EINVAL */
	report(0x3fe000, 3, 0);         /* the memory ends in the middle */
	report(0xc0000000, 1, 0);       /* it has no memory there: a device's registers, perhaps */
	report(0x10000, 0xffffffff, 0); /* more than it can address */
	read_msr();
	write_msr(3, 0);
	write_msr(1, 1);
	read_msr();
	write_msr(1, 0);
	read_msr();
	be_done();
}

/* Has the guest reported so many pages as shared since its first start? A page that it shares twice counts
 * twice. */
static bool has_come(struct life *l, unsigned pages)
{
	bool come = run_vcpu_facts(l->run, 0).counts.converted_pages[RUN_TO_SHARED] >= pages;

	if (!come)
		loop_post(run_loop(l->run), &l->turn);
	return come;
}

static struct run_vcpu_counts counts;

static void assert_devices(void)
{
	struct page_range found[PAGE_DEVICES_SHOWN];
	bool complete;

	assert_int_equal(page_devices_get(machine_vm_memory(run_vm(life.run)), found, &complete), 2);
	assert_true(complete);
	assert_int_equal(found[0].first, 0x400);
	assert_int_equal(found[0].end, 0x401);
	assert_int_equal(found[1].first, 0xc0000);
	assert_int_equal(found[1].end, 0xc0001);
}

/* Once the guest has come to its end, it is reset; once it has come there again, it is ended. */
static void look(struct life *l)
{
	struct run_memory_facts facts;

	if (l->step == 1 || !has_come(l, l->step ? 27 : 22))
		return;
	facts = run_memory_facts(l->run);
	assert_true(facts.known);
	if (l->step) {
		assert_int_equal(facts.shared_bytes, 5 * 4096);
		assert_false(facts.may_migrate);
		counts = run_vcpu_facts(l->run, 0).counts;
		run_quit(l->run);
		return;
	}
	assert_true(facts.may_migrate);
	assert_int_equal(facts.shared_bytes, 20 * 4096);
	assert_int_equal(facts.private_bytes, MIB(4) - 20 * 4096);
	assert_devices();
	assert_true(page_is_already(machine_vm_memory(run_vm(l->run)), gpa(0x14000), 0x2000, true));
	l->step = 1;
	assert_ok(run_reset(l->run, &err));
}

static void settle(struct life *l)
{
	if (l->step == 1)
		l->step = 2;
	look(l);
}

static void test_pages_are_recorded_as_the_guest_reports_them(void **state)
{
	static const char *const sets[] = {"sev.page-status=true", NULL};
	uint8_t output[64];
	int out[2];

	assert_int_equal(pipe(out), 0);
	write_reporter();
	life.image = flat.image;
	life.out = out[1];
	life.on_launch = look;
	life.on_settled = settle;
	assert_ends_well(life_run(&life, "sev", sets));
	assert_string_equal(life.log, "RTQ");
	assert_int_equal(read(out[0], output, sizeof(output)), sizeof(told) + 1);
	assert_memory_equal(output, told, sizeof(told));
	assert_int_equal(output[sizeof(told)], 0);
	assert_int_equal(
	        counts.exits[RUN_EXIT_HYPERCALL], 9); /* KVM has refused one itself, vmm refuses one */
	assert_int_equal(counts.exits[RUN_EXIT_MSR], 6);
	assert_int_equal(counts.conversions[RUN_TO_SHARED], 6);
	assert_int_equal(counts.converted_pages[RUN_TO_SHARED], 27);
	assert_int_equal(counts.conversions[RUN_TO_PRIVATE], 2);
	assert_int_equal(counts.converted_pages[RUN_TO_PRIVATE], 3);
	close(out[0]);
	close(out[1]);
}

/* ---- without the key ---- */

static void look_at_nothing(struct life *l)
{
	assert_false(run_memory_facts(l->run).known);
	run_quit(l->run);
}

static void write_asker(void)
{
	flat_init(&flat);
	write_handler();
	report(0x10000, 16, 0);
	read_msr();
	flat_power_off(&flat);
}

static void test_pages_are_asked_for_by_the_key_alone(void **state)
{
	uint8_t output[64];
	int out[2];

	assert_int_equal(pipe(out), 0);
	write_asker();
	life.image = flat.image;
	life.out = out[1];
	assert_ends_well(life_run(&life, "sev", NULL));
	assert_int_equal(read(out[0], output, sizeof(output)), 3);
	assert_int_equal(output[0], 0x18); /* -KVM_ENOSYS */
	assert_int_equal(output[1], 'G');
	life.on_settled = look_at_nothing;
	life.out = 0;
	assert_ends_well(life_run(&life, "sev", paused));
	close(out[0]);
	close(out[1]);
}

/* ---- a record that is full ---- */

static struct run_memory_facts at_end;

/* The guest has shared a page, another one, and at its end four more: what was refused does not count. */
static void look_when_done(struct life *l)
{
	if (!has_come(l, 6))
		return;
	if (!strchr(l->log, 'F')) { /* it is on its way */
		loop_post(run_loop(l->run), &l->turn);
		return;
	}
	at_end = run_memory_facts(l->run);
	run_quit(l->run);
}

static void test_pages_past_the_bound_are_refused_and_told_once(void **state)
{
	static const char *const sets[] = {"sev.page-status=true", "sev.shared-ranges-max=2", NULL};
	static const uint8_t answers[] = {0, 0, 0xf5, 0xf5, 0}; /* -KVM_EAGAIN twice */
	uint8_t output[64];
	int out[2];

	assert_int_equal(pipe(out), 0);
	flat_init(&flat);
	report(0x10000, 1, 0);
	report(0x20000, 1, 0);
	report(0x30000, 1, 0);
	report(0x38000, 2, 0);
	report(0x20000, 1, 0x10);
	be_done();
	life.image = flat.image;
	life.out = out[1];
	life.on_launch = look_when_done;
	assert_ends_well(life_run(&life, "sev", sets));
	assert_string_equal(life.log, "RFQ");
	assert_int_equal(read(out[0], output, sizeof(output)), sizeof(answers));
	assert_memory_equal(output, answers, sizeof(answers));
	assert_int_equal(at_end.shared_bytes, 5 * 4096);
	assert_int_equal(at_end.record.ranges, 2);
	assert_int_equal(at_end.record.refused, 2);
	assert_false(at_end.record.complete);
	assert_int_equal(at_end.record.doubt.first, 0x30);
	assert_int_equal(at_end.record.doubt.end, 0x3a);
	close(out[0]);
	close(out[1]);
}

/* ---- a guest that converts without end ---- */

static void look_for_storm(struct life *l)
{
	if (!strchr(l->log, 'W')) {
		loop_post(run_loop(l->run), &l->turn);
		return;
	}
	at_end = run_memory_facts(l->run);
	run_quit(l->run);
}

/* Two of its conversions come within a second at some time, however slow the machine is. */
static void test_pages_that_are_converted_without_end_are_a_storm(void **state)
{
	static const char *const sets[] = {"sev.page-status=true", "sev.conversion-storm=1", NULL};
	size_t start;

	flat_init(&flat);
	start = flat.at;
	call(0x10000, 1, 0);
	call(0x10000, 1, 0x10);
	FLAT(&flat, 0xe9, (uint8_t)(start - flat.at - 3), (uint8_t)((start - flat.at - 3) >> 8)); /* jmp */
	life.image = flat.image;
	life.on_launch = look_for_storm;
	assert_ends_well(life_run(&life, "sev", sets));
	assert_true(at_end.record.flips.storms > 0);
	assert_true(at_end.record.flips.conversions > 1);
	assert_true(at_end.record.flips.flips > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        T(test_pages_are_recorded_as_the_guest_reports_them),
	        T(test_pages_are_asked_for_by_the_key_alone),
	        T(test_pages_past_the_bound_are_refused_and_told_once),
	        T(test_pages_that_are_converted_without_end_are_a_storm),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

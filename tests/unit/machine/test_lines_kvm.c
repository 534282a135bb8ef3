/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupt lines of a guest that goes on in another VM, on both hosts: the software platform, and the KVM of
 * the machine that runs the test. The interrupt controllers are moved first, then the devices. What reaches
 * the local APIC shows in its request register: no interrupt is lost, and none comes twice.
 */
#include <errno.h>

#include "../../../src/machine/machine.h"
#include "support/pc.h"
#include "support/test.h"
#include "vmm/sim.h"

#define VECTOR(gsi) (0x40u + (gsi))
#define PIN_GSI     (device_pci_gsi(PC_CARD, 1))

/* The local APIC's page (APM vol. 2, 16.3). */
enum { APIC_SPURIOUS = 0xf0, APIC_REQUESTS = 0x200 };

/* A board and the VM in which its lines end. */
struct side {
	struct host *host;
	struct pc pc;
	int vm_fd, vcpu_fd;
};

static struct host *host;
static int kvm_fd;
static struct side from, to;

static void set_line(void *ctx, unsigned gsi, bool level)
{
	struct side *side = ctx;
	struct err err;

	assert_ok(call_vm_irq_line(side->host, side->vm_fd, gsi, level, &err));
}

/* A call that gets or sets a state. */
static void call(const struct side *side, unsigned long request, int fd, void *arg)
{
	if (host_ioctl(side->host, fd, request, arg) < 0)
		fail_msg("%s: %s", host_ioctl_name(request), strerror(errno));
}

/* ---- the interrupt controllers ---- */

static void get_ioapic(const struct side *side, struct kvm_irqchip *ret_chip)
{
	*ret_chip = (struct kvm_irqchip){.chip_id = KVM_IRQCHIP_IOAPIC};
	call(side, KVM_GET_IRQCHIP, side->vm_fd, ret_chip);
}

static void set_masked(const struct side *side, unsigned gsi, bool masked)
{
	struct kvm_irqchip chip;

	get_ioapic(side, &chip);
	chip.chip.ioapic.redirtbl[gsi].fields.mask = masked;
	call(side, KVM_SET_IRQCHIP, side->vm_fd, &chip);
}

/* As Linux does it: ISA lines are edge-triggered, the SCI and the PCI pins level-triggered. */
static void start_controllers(const struct side *side)
{
	struct kvm_lapic_state apic;
	struct kvm_irqchip chip;

	call(side, KVM_GET_LAPIC, side->vcpu_fd, &apic);
	apic.regs[APIC_SPURIOUS + 1] |= 1; /* on */
	call(side, KVM_SET_LAPIC, side->vcpu_fd, &apic);
	get_ioapic(side, &chip);
	for (unsigned pin = 1; pin < KVM_IOAPIC_NUM_PINS; pin++) {
		chip.chip.ioapic.redirtbl[pin].bits = VECTOR(pin);
		chip.chip.ioapic.redirtbl[pin].fields.trig_mode = pin == DEVICE_POWER_GSI || pin >= 16;
	}
	call(side, KVM_SET_IRQCHIP, side->vm_fd, &chip);
}

static bool is_requested(const struct side *side, unsigned gsi)
{
	struct kvm_lapic_state apic;
	unsigned vector = VECTOR(gsi);

	call(side, KVM_GET_LAPIC, side->vcpu_fd, &apic);
	return apic.regs[APIC_REQUESTS + 0x10 * (vector / 32) + vector % 32 / 8] >> vector % 8 & 1;
}

/* The processor takes the interrupt, and its handler goes on for as long as the test. */
static void take(const struct side *side, unsigned gsi)
{
	struct kvm_lapic_state apic;
	unsigned vector = VECTOR(gsi);

	assert_true(is_requested(side, gsi));
	call(side, KVM_GET_LAPIC, side->vcpu_fd, &apic);
	apic.regs[APIC_REQUESTS + 0x10 * (vector / 32) + vector % 32 / 8] &= (char)~(1 << vector % 8);
	call(side, KVM_SET_LAPIC, side->vcpu_fd, &apic);
	assert_false(is_requested(side, gsi));
}

/* ---- the move: first the controllers, then the devices ---- */

static void move_controllers(void)
{
	struct kvm_lapic_state apic;

	call(&from, KVM_GET_LAPIC, from.vcpu_fd, &apic);
	call(&to, KVM_SET_LAPIC, to.vcpu_fd, &apic);
	for (unsigned id = KVM_IRQCHIP_PIC_MASTER; id <= KVM_IRQCHIP_IOAPIC; id++) {
		struct kvm_irqchip chip = {.chip_id = id};

		call(&from, KVM_GET_IRQCHIP, from.vm_fd, &chip);
		call(&to, KVM_SET_IRQCHIP, to.vm_fd, &chip);
	}
}

static void move(void)
{
	move_controllers();
	for (unsigned i = 0; i < from.pc.board.count; i++) {
		struct vmstate s;
		struct err err;

		assert_ok(device_board_save(&from.pc.board, i, &s, &err));
		assert_ok(device_board_load(&to.pc.board, i, s.data, s.size, &err));
		vmstate_finish(&s);
	}
}

/* ---- the sides ---- */

static void make_side(struct side *side)
{
	struct err err;

	*side = (struct side){.host = host, .vm_fd = -1, .vcpu_fd = -1};
	assert_ok(pc_make(&side->pc, &err));
	if (kvm_fd < 0)
		return;
	assert_ok(call_vm_create(host, kvm_fd, 0, &side->vm_fd, &err));
	assert_ok(call_vm_create_irqchip(host, side->vm_fd, &err));
	assert_ok(call_vm_set_routing(host, side->vm_fd, NULL, 0, &err));
	assert_ok(call_vcpu_create(host, side->vm_fd, 0, &side->vcpu_fd, &err));
	side->pc.on_line = set_line;
	side->pc.line_ctx = side;
}

static int make(int (*open_host)(struct host **ret_host, struct err *err))
{
	struct err err = {0};

	assert_ok(open_host(&host, &err));
	kvm_fd = -1;
	if (call_kvm_open(host, &kvm_fd, &err) < 0)
		kvm_fd = -1;
	make_side(&from);
	make_side(&to);
	if (kvm_fd >= 0)
		start_controllers(&from);
	return 0;
}

static int open_sim(struct host **ret_host, struct err *err)
{
	return sim_host_create(&(struct sim_options){0}, ret_host, err);
}

static int setup_sim(void **state)
{
	return make(open_sim);
}

static int setup_kvm(void **state)
{
	return make(host_kernel_create);
}

static void finish_side(struct side *side)
{
	pc_finish(&side->pc);
	host_close(side->host, side->vcpu_fd);
	host_close(side->host, side->vm_fd);
}

static int teardown(void **state)
{
	finish_side(&from);
	finish_side(&to);
	host_close(host, kvm_fd);
	host_destroy(host);
	return 0;
}

/* ---- what a guest sees ---- */

static void need_kvm(void)
{
	if (kvm_fd >= 0)
		return;
	print_message("no usable /dev/kvm here\n");
	skip();
}

static void type(struct side *side, const char *text)
{
	assert_int_equal(
	        device_serial_input(device_serial_of(&side->pc.board), text, strlen(text)), strlen(text));
}

/* An edge that was delivered and taken: the guest is about to read the byte. */
static void test_lines_taken_edge_does_not_come_again(void **state)
{
	need_kvm();
	pc_use_serial(&from.pc);
	take(&from, DEVICE_SERIAL_GSI);
	move();
	assert_false(is_requested(&to, DEVICE_SERIAL_GSI));
	/* The line falls when the guest has read what is there, and the next byte is an edge. */
	for (unsigned i = 0; i < 21; i++)
		(void)pc_in(&to.pc, 0x3f8, 1);
	assert_false(is_requested(&to, DEVICE_SERIAL_GSI));
	type(&to, "v");
	assert_true(is_requested(&to, DEVICE_SERIAL_GSI));
}

/* An edge that was delivered and waits for the processor. */
static void test_lines_requested_edge_stays_requested(void **state)
{
	need_kvm();
	pc_use_serial(&from.pc);
	move();
	take(&to, DEVICE_SERIAL_GSI);
}

/* An edge that came while the controller's pin was masked. */
static void test_lines_masked_edge_is_not_lost(void **state)
{
	need_kvm();
	set_masked(&from, DEVICE_SERIAL_GSI, true);
	pc_use_serial(&from.pc);
	move();
	assert_false(is_requested(&to, DEVICE_SERIAL_GSI));
	set_masked(&to, DEVICE_SERIAL_GSI, false);
	assert_true(is_requested(&to, DEVICE_SERIAL_GSI));
}

static void press_button(struct side *side)
{
	pc_use_pci(&side->pc);
	pc_use_power(&side->pc);
}

/* Level-triggered lines that are in service: the SCI, and the one that two PCI functions share. */
static void test_lines_level_in_service_does_not_come_again(void **state)
{
	need_kvm();
	press_button(&from);
	take(&from, DEVICE_POWER_GSI);
	take(&from, PIN_GSI);
	move();
	assert_false(is_requested(&to, DEVICE_POWER_GSI));
	assert_false(is_requested(&to, PIN_GSI));
	assert_true(to.pc.lines[DEVICE_POWER_GSI]);
	assert_true(to.pc.lines[PIN_GSI]);
}

/* They are high while their pins are masked. */
static void test_lines_masked_level_is_not_lost(void **state)
{
	need_kvm();
	set_masked(&from, DEVICE_POWER_GSI, true);
	set_masked(&from, PIN_GSI, true);
	press_button(&from);
	move();
	assert_false(is_requested(&to, DEVICE_POWER_GSI));
	assert_false(is_requested(&to, PIN_GSI));
	set_masked(&to, DEVICE_POWER_GSI, false);
	set_masked(&to, PIN_GSI, false);
	assert_true(is_requested(&to, DEVICE_POWER_GSI));
	assert_true(is_requested(&to, PIN_GSI));
}

/* A line that fell on the other side of the move is low: what comes after it is an interrupt again. */
static void test_lines_level_can_fall_after_the_move(void **state)
{
	need_kvm();
	set_masked(&from, DEVICE_POWER_GSI, true);
	press_button(&from);
	move();
	pc_out(&to.pc, PC_PM, 2, 0x0100);
	set_masked(&to, DEVICE_POWER_GSI, false);
	assert_false(is_requested(&to, DEVICE_POWER_GSI));
	device_power_button(device_power_of(&to.pc.board));
	assert_true(is_requested(&to, DEVICE_POWER_GSI));
}

static void test_lines_that_are_low_stay_low(void **state)
{
	need_kvm();
	move();
	for (unsigned gsi = 1; gsi < KVM_IOAPIC_NUM_PINS; gsi++)
		assert_false(is_requested(&to, gsi));
}

#define ON_BOTH(name) \
	cmocka_unit_test_setup_teardown(name, setup_sim, teardown), \
	        cmocka_unit_test_setup_teardown(name, setup_kvm, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        ON_BOTH(test_lines_taken_edge_does_not_come_again),
	        ON_BOTH(test_lines_requested_edge_stays_requested),
	        ON_BOTH(test_lines_masked_edge_is_not_lost),
	        ON_BOTH(test_lines_level_in_service_does_not_come_again),
	        ON_BOTH(test_lines_masked_level_is_not_lost),
	        ON_BOTH(test_lines_level_can_fall_after_the_move),
	        ON_BOTH(test_lines_that_are_low_stay_low),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

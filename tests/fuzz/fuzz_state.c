/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_state: any bytes as what KVM holds of a guest that moves: its time, a vCPU, its interrupt controllers
 * (src/machine/state.c), on the software platform. The first byte of the input chooses one of them. Then
 * follows its state: changes of one that was saved, or, with 255 of them, all of it. What is refused has a
 * message. What is taken can be saved, and goes on to other VMs as it is.
 */
#include <string.h>

#include "../../src/machine/vm.h"
#include "fuzz.h"
#include "vmm/base/vmstate.h"
#include "vmm/call.h"
#include "vmm/sim.h"

#define RAM       MIB(4)
#define FIRMWARE  KIB(64)
#define STATE_MAX KIB(64)

enum { TIME, VCPU, CHIPS, PARTS };

static struct machine machine;
static struct config config;
static uint8_t usual[PARTS][STATE_MAX];
static size_t usual_bytes[PARTS];

/* ---- VMs ---- */

static void make_machine(void)
{
	struct err err;

	log_set_level(LOG_ERROR);
	machine = (struct machine){.kvm_fd = -1, .vm_fd = -1, .config = &config};
	fuzz_assert(sim_host_create(&(struct sim_options){0}, &machine.host, &err) == 0);
	fuzz_assert(call_kvm_open(machine.host, &machine.kvm_fd, &err) == 0);
	fuzz_assert(call_kvm_run_size(machine.host, machine.kvm_fd, &machine.run_size, &err) == 0);
	fuzz_assert(page_layout_make(RAM, FIRMWARE, &machine.layout, &err) == 0);
	fuzz_assert(call_kvm_supported_cpuid(machine.host, machine.kvm_fd, &machine.supported, &err) == 0);
}

static void add_vcpu(struct machine_vm *vm)
{
	struct machine_vcpu *vcpu = &vm->vcpus[0];
	struct err err;

	vcpu->run_size = machine.run_size;
	fuzz_assert(call_vcpu_create(machine.host, vm->fd, 0, &vcpu->fd, &err) == 0);
	fuzz_assert(call_vcpu_map_run(machine.host, vcpu->fd, vcpu->run_size, &vcpu->run, &err) == 0);
	fuzz_assert(call_vcpu_set_cpuid(machine.host, vcpu->fd, machine.supported, &err) == 0);
	vm->vcpu_count = 1;
}

static struct machine_vm *make_vm(void)
{
	struct machine_vm *vm = calloc(1, sizeof(*vm));
	struct err err;

	fuzz_assert(vm);
	vm->machine = &machine;
	fuzz_assert(call_vm_create(machine.host, machine.kvm_fd, 0, &vm->fd, &err) == 0);
	fuzz_assert(call_vm_create_irqchip(machine.host, vm->fd, &err) == 0);
	fuzz_assert(call_vm_set_routing(machine.host, vm->fd, NULL, 0, &err) == 0);
	fuzz_assert(call_vm_create_pit(machine.host, vm->fd, &err) == 0);
	add_vcpu(vm);
	return vm;
}

static void end_vm(struct machine_vm *vm)
{
	host_munmap(machine.host, vm->vcpus[0].run, vm->vcpus[0].run_size);
	host_close(machine.host, vm->vcpus[0].fd);
	host_close(machine.host, vm->fd);
	free(vm);
}

/* ---- states ---- */

static void visit(struct machine_vm *vm, unsigned part, struct vmstate *s)
{
	if (part == TIME)
		machine_vm_visit_time(vm, s);
	else if (part == VCPU)
		machine_vm_visit_vcpu(vm, 0, s);
	else
		machine_vm_visit_chips(vm, s);
}

static struct vmstate save(struct machine_vm *vm, unsigned part)
{
	struct vmstate s = vmstate_save("guest");
	struct err err;

	visit(vm, part, &s);
	fuzz_assert(vmstate_end(&s, &err) == 0);
	fuzz_assert(s.size <= STATE_MAX);
	return s;
}

static int load(struct machine_vm *vm, unsigned part, const void *data, size_t size)
{
	struct vmstate s = vmstate_load("guest", data, size);
	struct err err = {0};

	visit(vm, part, &s);
	if (vmstate_end(&s, &err) == 0)
		return 0;
	fuzz_assert(err.kind != ERR_NONE && strncmp(err.text, "state of the guest: ", 20) == 0);
	return -1;
}

/* Another VM gets what this one saves, and saves that. */
static struct vmstate hand_on(unsigned part, const struct vmstate *state)
{
	struct machine_vm *vm = make_vm();
	struct vmstate saved;

	fuzz_assert(load(vm, part, state->data, state->size) == 0);
	saved = save(vm, part);
	fuzz_assert(saved.size == state->size);
	end_vm(vm);
	return saved;
}

/*
 * KVM may change what no KVM gives: a PIC that gets the other one's request raises it again. Of what it has
 * once saved it changes nothing more, but for the time, which goes on.
 */
static void save_again(struct machine_vm *vm, unsigned part)
{
	struct vmstate first = save(vm, part), second = hand_on(part, &first), third;

	third = hand_on(part, &second);
	fuzz_assert(part == TIME || memcmp(second.data, third.data, second.size) == 0);
	vmstate_finish(&third);
	vmstate_finish(&second);
	vmstate_finish(&first);
}

static void make_usual(void)
{
	struct machine_vm *vm;

	make_machine();
	vm = make_vm();
	for (unsigned part = 0; part < PARTS; part++) {
		struct vmstate s = save(vm, part);

		memcpy(usual[part], s.data, s.size);
		usual_bytes[part] = s.size;
		vmstate_finish(&s);
	}
	end_vm(vm);
}

static size_t take_state(struct cursor *in, unsigned part, uint8_t ret_state[static STATE_MAX])
{
	unsigned changes = cursor_u8(in);
	size_t size = usual_bytes[part];

	memcpy(ret_state, usual[part], size);
	if (changes == UINT8_MAX) {
		size = in->left < STATE_MAX ? in->left : STATE_MAX;
		cursor_copy(in, ret_state, size);
		return size;
	}
	for (unsigned i = 0; i < changes && in->left; i++) {
		size_t at = cursor_u16(in) % size;

		ret_state[at] = cursor_u8(in);
	}
	return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor in = cursor_over(data, size);
	static uint8_t state[STATE_MAX];
	struct machine_vm *vm;
	unsigned part;

	if (!machine.host)
		make_usual();
	part = cursor_u8(&in) % PARTS;
	size = take_state(&in, part, state);
	vm = make_vm();
	if (load(vm, part, state, size) == 0)
		save_again(vm, part);
	end_vm(vm);
	return 0;
}

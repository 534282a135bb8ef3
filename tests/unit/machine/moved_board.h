/* SPDX-License-Identifier: Apache-2.0 */
/*
 * moved_board: a VM in which the program of moved_guest.h runs, and the move of all of it to another VM. On
 * both hosts: the software platform, and the KVM of the machine that runs the test.
 */
#ifndef VMM_TEST_MOVED_BOARD_H
#define VMM_TEST_MOVED_BOARD_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "../../../src/machine/vm.h"
#include "moved_guest.h"
#include "support/test.h"
#include "vmm/base/vmstate.h"
#include "vmm/sim.h"

#define RAM                  MIB(4)
#define FIRMWARE             KIB(64)
#define TABLES               0x1000u /* and the pages behind it, up to the code */
#define CODE                 0x8000u
#define IDT                  0x9000u
#define GDT                  0xa000u
#define STACKS               0x10000u /* a page for each vCPU, as of the data */
#define DATA                 0x20000u
#define VCPUS_MAX            4u
#define CPUID_1_TSC_DEADLINE (1u << 24) /* older kernels do not list what they have */

struct host_vcpu {
	struct board *board;
	unsigned index;
	_Atomic uint64_t reads; /* of its port: the next answer */
	bool unanswered;
	_Atomic bool done, failed;
	bool unable; /* this KVM does not execute the program, but emulates it, and only in part (pvm) */
	pthread_t thread;
};

/* One VM, and what answers its vCPUs. */
struct board {
	struct machine_vm *vm;
	struct host_vcpu vcpus[VCPUS_MAX];
	unsigned count;
	_Atomic uint64_t until; /* how often the first vCPU reads until all stop */
	_Atomic bool stop;
	pthread_mutex_t lock;
	pthread_cond_t changed;
};

static struct err err;
static struct machine machine;
static struct config config;

static int open_sim(struct host **ret_host, struct err *ret_err)
{
	return sim_host_create(&(struct sim_options){0}, ret_host, ret_err);
}

static void on_kick(int signal)
{
}

static int make(int (*open_host)(struct host **ret_host, struct err *ret_err))
{
	const struct sigaction action = {.sa_handler = on_kick};

	sigaction(SIGUSR1, &action, NULL);
	machine = (struct machine){.kvm_fd = -1, .vm_fd = -1, .config = &config};
	config.sev.type = CONFIG_SEV_NONE;
	assert_ok(open_host(&machine.host, &err));
	if (call_kvm_open(machine.host, &machine.kvm_fd, &err) < 0)
		return 0;
	assert_ok(call_kvm_run_size(machine.host, machine.kvm_fd, &machine.run_size, &err));
	assert_ok(page_layout_make(RAM, FIRMWARE, &machine.layout, &err));
	assert_ok(call_kvm_supported_cpuid(machine.host, machine.kvm_fd, &machine.supported, &err));
	for (uint32_t i = 0; i < machine.supported->nent; i++) {
		if (machine.supported->entries[i].function == 1)
			machine.supported->entries[i].ecx |= CPUID_1_TSC_DEADLINE;
	}
	return 0;
}

static int setup_sim(void **state)
{
	return make(open_sim);
}

static int setup_kvm(void **state)
{
	return make(host_kernel_create);
}

static int teardown(void **state)
{
	free(take_ptr(&machine.supported));
	host_close(machine.host, machine.kvm_fd);
	host_destroy(machine.host);
	return 0;
}

static bool has_feature(uint32_t leaf, unsigned reg, unsigned bit)
{
	for (uint32_t i = 0; i < machine.supported->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &machine.supported->entries[i];

		if (e->function == leaf && e->index == 0)
			return (reg ? e->ecx : e->eax) >> bit & 1;
	}
	return false;
}

/* ---- a VM ---- */

static void add_vcpu(struct machine_vm *vm, unsigned i)
{
	struct machine_vcpu *vcpu = &vm->vcpus[i];

	*vcpu = (struct machine_vcpu){.index = i, .run_size = machine.run_size};
	assert_ok(call_vcpu_create(machine.host, vm->fd, i, &vcpu->fd, &err));
	assert_ok(call_vcpu_map_run(machine.host, vcpu->fd, vcpu->run_size, &vcpu->run, &err));
	assert_ok(call_vcpu_set_cpuid(machine.host, vcpu->fd, machine.supported, &err));
	vm->vcpu_count = i + 1;
}

static struct board *board_new(unsigned count)
{
	struct board *board = calloc(1, sizeof(*board));
	struct machine_vm *vm = calloc(1, sizeof(*vm));

	board->vm = vm;
	board->count = count;
	pthread_mutex_init(&board->lock, NULL);
	pthread_cond_init(&board->changed, NULL);
	vm->machine = &machine;
	pthread_mutex_init(&vm->log.lock, NULL);
	assert_ok(page_memory_create(machine.host, &machine.layout, PAGE_OWN, &vm->memory, &err));
	assert_ok(call_vm_create(machine.host, machine.kvm_fd, 0, &vm->fd, &err));
	assert_ok(call_vm_set_intel_pages(machine.host, vm->fd, 0xfeffc000, &err));
	assert_ok(machine_vm_set_slot(vm, 0,
	        &(struct page_plug){.gpa = machine.layout.regions[0].gpa,
	                .size_bytes = RAM,
	                .at = page_memory_slot_address(vm->memory, 0),
	                .guest_memfd = -1},
	        &err));
	assert_ok(call_vm_create_irqchip(machine.host, vm->fd, &err));
	assert_ok(call_vm_set_routing(machine.host, vm->fd, NULL, 0, &err));
	assert_ok(call_vm_create_pit(machine.host, vm->fd, &err));
	for (unsigned i = 0; i < count; i++) {
		add_vcpu(vm, i);
		board->vcpus[i] = (struct host_vcpu){.board = board, .index = i};
	}
	return board;
}

static void board_end(struct board *board)
{
	struct machine_vm *vm = board->vm;

	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		host_munmap(machine.host, vm->vcpus[i].run, vm->vcpus[i].run_size);
		host_close(machine.host, vm->vcpus[i].fd);
	}
	host_close(machine.host, vm->fd);
	page_memory_destroy(vm->memory);
	pthread_mutex_destroy(&vm->log.lock);
	pthread_mutex_destroy(&board->lock);
	pthread_cond_destroy(&board->changed);
	free(vm);
	free(board);
}

/* ---- the program in it ---- */

static void put(struct board *board, uint64_t at, uint64_t value)
{
	uint8_t bytes[8];

	store_le(bytes, 8, value);
	assert_int_equal(page_write(board->vm->memory, gpa(at), bytes, 8), 0);
}

static void put_gate(struct board *board, unsigned vector, const uint8_t *handler)
{
	uint64_t at = CODE + (uint64_t)(handler - moved_start);

	put(board, IDT + vector * 16, (at & 0xffff) | 8u << 16 | UINT64_C(0x8e00) << 32 | at >> 16 << 48);
	put(board, IDT + vector * 16 + 8, 0);
}

static void load_program(struct board *board)
{
	assert_true((size_t)(moved_end - moved_start) <= IDT - CODE);
	assert_int_equal(
	        page_write(board->vm->memory, gpa(CODE), moved_start, (size_t)(moved_end - moved_start)), 0);
	put(board, TABLES, (TABLES + 0x1000) | 3);
	for (uint64_t gib = 0; gib < 4; gib++) { /* identity, in pages of 2 MiB */
		put(board, TABLES + 0x1000 + gib * 8, (TABLES + 0x2000 + gib * 0x1000) | 3);
		for (uint64_t n = 0; n < 512; n++)
			put(board, TABLES + 0x2000 + gib * 0x1000 + n * 8, (GIB(gib) + MIB(2) * n) | 0x83);
	}
	put(board, GDT + 8, 0x00af9b000000ffff);
	put(board, GDT + 16, 0x00cf93000000ffff);
	put_gate(board, 0x40, moved_timer);
	put_gate(board, 0x41, moved_pit);
}

static bool is_sim(void)
{
	return strcmp(host_name(machine.host), "sim") == 0;
}

static uint32_t abilities(unsigned i)
{
	uint32_t can = i == 0 ? MOVED_PIT : 0;

	if (has_feature(1, 1, 28) && has_feature(1, 1, 26))
		can |= MOVED_AVX;
	if (!is_sim() && has_feature(0x40000001, 0, 3))
		can |= MOVED_KVMCLOCK;
	return i & 1 ? can | MOVED_DEADLINE : can;
}

static void start_at_program(struct board *board, unsigned i)
{
	const struct kvm_segment code = {
	        .selector = 8, .limit = UINT32_MAX, .type = 0xb, .s = 1, .present = 1, .l = 1, .g = 1};
	const struct kvm_segment data = {
	        .selector = 16, .limit = UINT32_MAX, .type = 3, .s = 1, .present = 1, .db = 1, .g = 1};
	const struct kvm_regs regs = {.rip = CODE,
	        .rflags = 2,
	        .rsp = STACKS + (i + 1) * 0x1000,
	        .rdi = DATA + i * 0x1000,
	        .rsi = abilities(i)};
	const struct kvm_mp_state runnable = {.mp_state = KVM_MP_STATE_RUNNABLE};
	int fd = board->vm->vcpus[i].fd;
	struct kvm_sregs sregs;

	assert_ok(call_vcpu_get_sregs(machine.host, fd, &sregs, &err));
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.gdt = (struct kvm_dtable){.base = GDT, .limit = 23};
	sregs.idt = (struct kvm_dtable){.base = IDT, .limit = 0x42 * 16 - 1};
	sregs.cr0 = 0x80010033;
	sregs.cr3 = TABLES;
	sregs.cr4 = abilities(i) & MOVED_AVX ? 0x40620 : 0x620;
	sregs.efer = 0x500;
	assert_ok(call_vcpu_set_sregs(machine.host, fd, &sregs, &err));
	assert_ok(call_vcpu_set_regs(machine.host, fd, &regs, &err));
	assert_ok(call_set_state(machine.host, fd, KVM_SET_MP_STATE, &runnable, &err));
}

/* ---- running ---- */

static void on_exit_of(struct host_vcpu *v, struct kvm_run *run)
{
	struct board *board = v->board;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	if (run->exit_reason != KVM_EXIT_IO) {
		v->failed = v->done = true;
		v->unable = run->exit_reason == KVM_EXIT_INTERNAL_ERROR &&
		            run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION;
		print_message("vCPU %u: exit %u\n", v->index, run->exit_reason);
	} else if (run->io.port == MOVED_DONE) {
		v->done = true;
	} else if (run->io.direction == KVM_EXIT_IO_IN) {
		v->reads++;
		store_le(data, run->io.size, v->reads * 2654435761u ^ v->index);
	}
	pthread_mutex_lock(&board->lock);
	if (v->done || (v->index == 0 && v->reads >= board->until))
		pthread_cond_signal(&board->changed);
	pthread_mutex_unlock(&board->lock);
}

static void *run_vcpu(void *arg)
{
	struct host_vcpu *v = arg;
	struct machine_vcpu *vcpu = &v->board->vm->vcpus[v->index];
	struct err ignored;

	/* One that is done goes on to halt, so that the others are not waited for in vain. */
	while (!v->failed && (v->unanswered || !atomic_load(&v->board->stop))) {
		int result = call_vcpu_run(machine.host, vcpu->fd, vcpu->run, &ignored);

		if (result < 0) {
			v->failed = v->done = true;
			print_message("vCPU %u: %s\n", v->index, ignored.text);
		}
		v->unanswered = result == 0 && !v->failed;
		if (result == 0)
			on_exit_of(v, vcpu->run);
	}
	return NULL;
}

static bool is_over(const struct board *board)
{
	bool done = true, failed = false;

	for (unsigned i = 0; i < board->count; i++) {
		done = done && board->vcpus[i].done;
		failed = failed || board->vcpus[i].failed;
	}
	return done || failed;
}

/* Until the first vCPU has read so often, or all are done. */
static void run_until(struct board *board, uint64_t reads)
{
	board->until = reads;
	atomic_store(&board->stop, false);
	for (unsigned i = 0; i < board->count; i++) {
		board->vm->vcpus[i].run->immediate_exit = 0;
		assert_int_equal(
		        pthread_create(&board->vcpus[i].thread, NULL, run_vcpu, &board->vcpus[i]), 0);
	}
	pthread_mutex_lock(&board->lock);
	while (!is_over(board) && board->vcpus[0].reads < board->until)
		pthread_cond_wait(&board->changed, &board->lock);
	pthread_mutex_unlock(&board->lock);
	atomic_store(&board->stop, true);
	for (unsigned i = 0; i < board->count; i++) {
		__atomic_store_n(&board->vm->vcpus[i].run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		pthread_kill(board->vcpus[i].thread, SIGUSR1);
	}
	for (unsigned i = 0; i < board->count; i++)
		pthread_join(board->vcpus[i].thread, NULL);
}

/* ---- moving ---- */

#define PARTS (VCPUS_MAX + 2) /* the time, vCPUs, the chips */

struct saved {
	struct vmstate parts[PARTS];
	unsigned count;
};

static void visit(struct board *board, unsigned part, struct vmstate *s)
{
	if (part == 0)
		machine_vm_visit_time(board->vm, s);
	else if (part <= board->count)
		machine_vm_visit_vcpu(board->vm, part - 1, s);
	else
		machine_vm_visit_chips(board->vm, s);
}

static void save(struct board *board, struct saved *saved)
{
	saved->count = board->count + 2;
	for (unsigned i = 0; i < saved->count; i++) {
		saved->parts[i] = vmstate_save("guest");
		visit(board, i, &saved->parts[i]);
		assert_ok(vmstate_end(&saved->parts[i], &err));
	}
}

static void saved_finish(struct saved *saved)
{
	for (unsigned i = 0; i < saved->count; i++)
		vmstate_finish(&saved->parts[i]);
}

static int load_part(struct board *board, unsigned part, const void *data, size_t size)
{
	struct vmstate s = vmstate_load("guest", data, size);

	err = (struct err){0};
	visit(board, part, &s);
	return vmstate_end(&s, &err);
}

static void load(struct board *board, const struct saved *saved)
{
	for (unsigned i = 0; i < saved->count; i++) {
		if (load_part(board, i, saved->parts[i].data, saved->parts[i].size) < 0)
			fail_msg("part %u: %s", i, err.text);
	}
}

static struct board *move(struct board *from)
{
	static uint8_t memory[RAM];
	struct board *to = board_new(from->count);
	struct saved saved;

	save(from, &saved);
	assert_int_equal(page_read(from->vm->memory, gpa(0), memory, RAM), 0);
	assert_int_equal(page_write(to->vm->memory, gpa(0), memory, RAM), 0);
	for (unsigned i = 0; i < from->count; i++) {
		to->vcpus[i].reads = from->vcpus[i].reads;
		to->vcpus[i].done = from->vcpus[i].done;
	}
	board_end(from);
	load(to, &saved);
	saved_finish(&saved);
	return to;
}

#endif

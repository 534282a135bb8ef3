/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exits: tiny guests whose ports and memory accesses come to the VMM, in 16-, 32- and 64-bit code.
 */
#include "abi.h"

/* Every width in and out, strings, a port at the end of the space. */
static void write_ports(struct code *c)
{
	for (size_t size = 1; size <= 4; size *= 2) {
		set_edx(c, 0x510);
		set_eax(c, 0x44332211);
		out_dx(c, size);
		set_eax(c, 0xffffffff);
		in_dx(c, size);
		tell_eax(c, 0x80);
	}
	set_edx(c, 0xffff);
	in_dx(c, 1);
	tell_eax(c, 0x80);
}

static void write_strings(struct code *c)
{
	const uint8_t movs[3][3] = {{0xbe, 0x00, 0x60}, {0xbf, 0x00, 0x70}};

	for (int i = 0; i < 2; i++) { /* esi = 6000h, edi = 7000h */
		emit(c, movs[i], 3);
		if (c->bits != 16)
			emit_number(c, 0, 2);
	}
	set_edx(c, 0x520);
	set_ecx(c, 5);
	emit_bytes(c, 0xfc, 0xf3, 0x6e); /* cld; rep outsb */
	set_ecx(c, 3);
	emit_operand_prefix(c, 2);
	emit_bytes(c, 0xf3, 0x6d); /* rep insw, after its prefix */
	set_ecx(c, 0);
	emit_bytes(c, 0xf3, 0x6c); /* nothing */
}

static void run_ports(struct abi *abi)
{
	static const int modes[] = {16, 32, 64};

	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		struct guest g;

		tell("-- %d bits", modes[i]);
		guest_open(&g, abi, modes[i], 1, 0);
		memcpy(g.memory + 0x6000, "ports", 5);
		write_ports(&g.code);
		write_strings(&g.code);
		done(&g.code);
		guest_run(&g);
		tell("read %02x %02x %02x %02x %02x %02x %02x", g.memory[0x7000], g.memory[0x7001],
		        g.memory[0x7002], g.memory[0x7003], g.memory[0x7004], g.memory[0x7005],
		        g.memory[0x7006]);
		guest_close(&g);
	}
}

const struct chapter chapter_ports = {"ports", run_ports};

/* The widths of every mode; in 64-bit code also 8 bytes. */
static void write_widths(struct code *c)
{
	for (size_t size = 1; size <= 4; size *= 2) {
		set_eax(c, 0x44332211);
		store_eax(c, 0x30000, size);
		set_eax(c, 0xffffffff);
		load_eax(c, 0x30004, size);
		tell_eax(c, 0x80);
	}
	set_eax(c, 0x44332211);
	store_eax(c, 0x30ffe, 4);
	load_eax(c, 0x30ffd, 4);
	tell_eax(c, 0x80);
	store_eax(c, GUEST_BYTES - 2, 4);
	if (c->bits != 64)
		return;
	emit_bytes(c, 0x48, 0x8b, 0x04, 0x25); /* mov rax, [30010h] */
	emit_number(c, 0x30010, 4);
	emit_bytes(c, 0x48, 0x89, 0x04, 0x25); /* mov [30ffch], rax */
	emit_number(c, 0x30ffc, 4);
}

/* Real mode reaches the same place by a segment: mov ax, 3000h; mov ds, ax; mov [4], eax; mov al, [5]. */
static void write_segment(struct code *c)
{
	emit_bytes(c, 0xb8, 0x00, 0x30, 0x8e, 0xd8, 0x66, 0xa3, 0x04, 0x00, 0xa0, 0x05, 0x00);
	tell_eax(c, 0x80);
	emit_bytes(c, 0x31, 0xc0, 0x8e, 0xd8);
}

/* mov reg, value for ESI (be) and EDI (bf) */
static void set_pointer(struct code *c, uint8_t opcode, uint32_t value)
{
	emit_operand_prefix(c, 4);
	emit_bytes(c, opcode);
	emit_number(c, value, 4);
}

/* Repeated moves from a device, to it, and within it; then reads that write. */
static void write_repeated(struct code *c)
{
	emit_bytes(c, 0xfc);
	set_pointer(c, 0xbe, 0x30020);
	set_pointer(c, 0xbf, 0x7010);
	set_ecx(c, 3);
	emit_operand_prefix(c, 2);
	emit_bytes(c, 0xf3, 0xa5); /* rep movsw, after its prefix */
	set_pointer(c, 0xbf, 0x30040);
	set_eax(c, 0x55667788);
	set_ecx(c, 2);
	emit_bytes(c, 0xf3, 0xab); /* rep stosd */
	set_pointer(c, 0xbe, 0x30060);
	set_pointer(c, 0xbf, 0x30080);
	emit_bytes(c, 0xa4); /* movsb */
	set_pointer(c, 0xbf, 0x30090);
	set_eax(c, 0x21);
	emit_bytes(c, 0x08, 0x07); /* or [edi], al */
	emit_bytes(c, 0x86, 0x07); /* xchg [edi], al */
	tell_eax(c, 0x80);
}

/* Above GUEST_BYTES there is no memory. An access that spans the edge of a page comes in parts. */
static void run_memory(struct abi *abi)
{
	static const int modes[] = {16, 32, 64};

	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		struct guest g;

		tell("-- %d bits", modes[i]);
		guest_open(&g, abi, modes[i], 1, 0);
		if (modes[i] == 16) {
			write_segment(&g.code);
		} else {
			write_widths(&g.code);
			write_repeated(&g.code);
		}
		done(&g.code);
		guest_run(&g);
		tell("memory's last bytes %02x %02x, read %02x %02x %02x", g.memory[GUEST_BYTES - 2],
		        g.memory[GUEST_BYTES - 1], g.memory[0x7010], g.memory[0x7012], g.memory[0x7015]);
		guest_close(&g);
	}
}

const struct chapter chapter_memory = {"memory", run_memory};

/* ---- what ends a guest ---- */

static void tell_state(struct guest *g)
{
	struct kvm_sregs s = {0};
	struct kvm_regs r;

	if (ask(g->abi, g->vcpu[0], KVM_GET_SREGS, &s) < 0 || ask(g->abi, g->vcpu[0], KVM_GET_REGS, &r) < 0)
		give_up("KVM_GET_REGS");
	tell("rip %llx rax %llx cr2 %llx", (unsigned long long)r.rip, (unsigned long long)r.rax,
	        (unsigned long long)s.cr2);
}

static void run_hlt(struct abi *abi)
{
	struct guest g;

	tell("-- hlt without irqchip, twice");
	guest_open(&g, abi, 16, 1, 0);
	hlt(&g.code);
	set_eax(&g.code, 0x1234);
	hlt(&g.code);
	guest_run(&g);
	guest_run(&g);
	tell_state(&g);
	guest_close(&g);
}

static void run_shutdown(struct abi *abi)
{
	struct kvm_sregs s = {0};
	struct guest g;

	tell("-- triple fault");
	guest_open(&g, abi, 32, 1, 0);
	if (ask(abi, g.vcpu[0], KVM_GET_SREGS, &s) < 0)
		give_up("KVM_GET_SREGS");
	s.idt.limit = 0;
	ask(abi, g.vcpu[0], KVM_SET_SREGS, &s);
	emit_bytes(&g.code, 0x0f, 0x0b);
	guest_run(&g);
	guest_close(&g);
}

/* Makes a handler that takes the error code from the stack and prints it with RIP and CR2. */
static void write_fault_handler(struct guest *g)
{
	struct code stub = guest_stub(g, 14);

	emit_bytes(&stub, 0x58); /* pop rax */
	tell_eax(&stub, 0x81);
	emit_bytes(&stub, 0x0f, 0x20, 0xd0); /* mov rax, cr2 */
	tell_eax(&stub, 0x82);
	emit_bytes(&stub, 0x8b, 0x04, 0x24); /* mov eax, [rsp] */
	tell_eax(&stub, 0x83);
	done(&stub);
}

enum fault { FAULT_WRITE, FAULT_READ, FAULT_FETCH, FAULT_READ_ONLY, FAULT_RESERVED, FAULTS };

static void page_fault(struct abi *abi, enum fault fault)
{
	static const char *const names[] = {"a write to nothing", "a read of nothing", "code in nothing",
	        "a write to a read-only page", "a reserved bit"};
	struct guest g;

	tell("-- page fault: %s", names[fault]);
	guest_open(&g, abi, 64, 1, 0);
	guest_set_handler(&g, 14, 0);
	write_fault_handler(&g);
	emit_bytes(&g.code, 0x0f, 0x20, 0xc0, 0x0d); /* mov rax, cr0; or eax, WP; mov cr0, rax */
	emit_number(&g.code, 0x10000, 4);
	emit_bytes(&g.code, 0x0f, 0x22, 0xc0);
	set_eax(&g.code, 0x40123456);
	if (fault == FAULT_WRITE) {
		store_eax(&g.code, 0x40123456, 4); /* the second GiB is not mapped */
	} else if (fault == FAULT_READ) {
		load_eax(&g.code, 0x40123456, 4);
	} else if (fault == FAULT_FETCH) {
		emit_bytes(&g.code, 0xff, 0xe0); /* jmp rax */
	} else {
		const uint64_t entry = fault == FAULT_READ_ONLY ? 0x400085 : 0x400087 | UINT64_C(1) << 51;

		memcpy(g.memory + GUEST_TABLES + 0x2000 + 2 * 8, &entry, 8);
		store_eax(&g.code, 0x400010, 1);
	}
	done(&g.code);
	guest_run(&g);
	guest_close(&g);
}

static void run_modes(struct abi *abi)
{
	run_hlt(abi);
	run_shutdown(abi);
	for (int fault = 0; fault < FAULTS; fault++)
		page_fault(abi, (enum fault)fault);
}

const struct chapter chapter_modes = {"ends", run_modes};

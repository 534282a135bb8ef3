/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest: a tiny guest: its memory, code, tables and vCPUs, and the printing of its exits.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include "abi.h"
#include "vmm/uapi.h"

#define EXITS_MAX 1000
#define GDT_CODE  0x08
#define GDT_DATA  0x10
#define LAPIC_EOI 0xfee000b0u

/* ---- making ---- */

static struct kvm_segment segment(uint16_t selector, uint8_t type, int bits)
{
	return (struct kvm_segment){.limit = bits == 16 ? 0xffff : 0xffffffff,
	        .selector = selector,
	        .type = type,
	        .present = 1,
	        .s = 1,
	        .db = bits == 32 || (bits == 64 && type == 3),
	        .l = bits == 64 && type == 11,
	        .g = bits != 16};
}

/* One table of 512 pages of 2 MiB: the first GiB; the last GiB below 4 GiB has the APICs. */
static void write_page_tables(struct guest *g)
{
	uint64_t *pml4 = (uint64_t *)(void *)(g->memory + GUEST_TABLES), *pdpt = pml4 + 512,
	         *low = pml4 + 1024, *high = pml4 + 1536;

	pml4[0] = (GUEST_TABLES + 0x1000) | 7;
	pdpt[0] = (GUEST_TABLES + 0x2000) | 7;
	pdpt[3] = (GUEST_TABLES + 0x3000) | 7;
	for (uint64_t i = 0; i < 512; i++) {
		low[i] = i << 21 | 0x87;
		high[i] = UINT64_C(0xc0000000) + (i << 21) + 0x9f;
	}
}

/* Selectors are loaded from here when an interrupt returns. */
static void write_gdt(struct guest *g, int bits)
{
	uint64_t *gdt = (uint64_t *)(void *)(g->memory + 0x800);

	gdt[1] = bits == 64 ? UINT64_C(0x00af9b000000ffff) : UINT64_C(0x00cf9b000000ffff);
	gdt[2] = UINT64_C(0x00cf93000000ffff);
}

static void set_mode(struct guest *g, int bits)
{
	struct kvm_sregs s = {0};

	if (ask(g->abi, g->vcpu[0], KVM_GET_SREGS, &s) < 0)
		give_up("KVM_GET_SREGS");
	s.cs = segment(bits == 16 ? 0 : GDT_CODE, 11, bits);
	s.ds = segment(bits == 16 ? 0 : GDT_DATA, 3, bits);
	s.es = s.fs = s.gs = s.ss = s.ds;
	s.gdt.base = 0x800;
	s.gdt.limit = 23;
	s.idt.base = bits == 16 ? 0 : GUEST_IDT;
	s.idt.limit = bits == 16 ? 0x3ff : 0xfff;
	s.cr0 = bits == 16 ? 0x10 : bits == 32 ? 0x11 : 0x80000011;
	if (bits == 64) {
		s.cr3 = GUEST_TABLES;
		s.cr4 = 0x20;
		s.efer = 0x500;
	}
	if (ask(g->abi, g->vcpu[0], KVM_SET_SREGS, &s) < 0)
		give_up("KVM_SET_SREGS");
}

static void set_start(struct guest *g)
{
	const struct kvm_regs r = {.rip = GUEST_CODE, .rsp = GUEST_STACK, .rflags = 2};

	if (ask(g->abi, g->vcpu[0], KVM_SET_REGS, &r) < 0)
		give_up("KVM_SET_REGS");
}

static void create_vcpu(struct guest *g, unsigned i)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[256];
	} cpuid = {.head.nent = 256};

	g->vcpu[i] = ask_number(g->abi, g->vm, KVM_CREATE_VCPU, i);
	if (g->vcpu[i] < 0)
		give_up("KVM_CREATE_VCPU");
	g->run[i] = host_mmap(
	        g->abi->host, NULL, g->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, g->vcpu[i], 0);
	if (g->run[i] == MAP_FAILED)
		give_up("mmap of a vCPU");
	if (ask(g->abi, g->abi->kvm, KVM_GET_SUPPORTED_CPUID, &cpuid) < 0 ||
	        ask(g->abi, g->vcpu[i], KVM_SET_CPUID2, &cpuid) < 0)
		give_up("CPUID");
}

static void enable(struct guest *g, unsigned flags, uint32_t capability, uint64_t arg)
{
	const struct kvm_enable_cap cap = {.cap = capability, .args[0] = arg};

	if (g->flags & flags && ask(g->abi, g->vm, KVM_ENABLE_CAP, &cap) < 0)
		give_up("KVM_ENABLE_CAP");
}

static void create_vm(struct guest *g)
{
	struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
	uint64_t identity = 0xfeffc000;
	struct kvm_userspace_memory_region region = {.memory_size = GUEST_BYTES};

	g->vm = ask_number(g->abi, g->abi->kvm, KVM_CREATE_VM,
	        g->flags & GUEST_PROTECTED ? UAPI_VM_SW_PROTECTED : UAPI_VM_DEFAULT);
	if (g->vm < 0)
		give_up("KVM_CREATE_VM");
	g->memory = mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	region.userspace_addr = (uintptr_t)g->memory;
	ask(g->abi, g->vm, KVM_SET_IDENTITY_MAP_ADDR, &identity);
	ask_number(g->abi, g->vm, KVM_SET_TSS_ADDR, 0xfeffd000);
	if (g->memory == MAP_FAILED || ask(g->abi, g->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		give_up("guest memory");
	enable(g, GUEST_WITHOUT(~0u), KVM_CAP_DISABLE_QUIRKS2, g->flags / GUEST_WITHOUT(1));
	if (g->flags & GUEST_IRQCHIP && ask_number(g->abi, g->vm, KVM_CREATE_IRQCHIP, 0) < 0)
		give_up("KVM_CREATE_IRQCHIP");
	enable(g, GUEST_SPLIT, KVM_CAP_SPLIT_IRQCHIP, 24);
	enable(g, GUEST_RING, KVM_CAP_DIRTY_LOG_RING, 4096);
	if (g->flags & GUEST_PIT && ask(g->abi, g->vm, KVM_CREATE_PIT2, &pit) < 0)
		give_up("KVM_CREATE_PIT2");
}

void guest_open(struct guest *g, struct abi *abi, int bits, unsigned vcpus, unsigned flags)
{
	*g = (struct guest){.abi = abi, .flags = flags, .vcpus = vcpus};
	g->run_bytes = (size_t)ask_number(abi, abi->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	create_vm(g);
	for (unsigned i = 0; i < vcpus; i++)
		create_vcpu(g, i);
	write_gdt(g, bits);
	if (bits == 64)
		write_page_tables(g);
	set_mode(g, bits);
	set_start(g);
	g->code = (struct code){.at = g->memory + GUEST_CODE, .bits = bits};
}

void guest_close(struct guest *g)
{
	for (unsigned i = 0; i < g->vcpus; i++) {
		host_munmap(g->abi->host, g->run[i], g->run_bytes);
		host_close(g->abi->host, g->vcpu[i]);
	}
	host_close(g->abi->host, g->vm);
	munmap(g->memory, GUEST_BYTES);
}

struct code guest_stub(struct guest *g, unsigned vector)
{
	return (struct code){.at = g->memory + GUEST_STUBS + 32 * (vector & 0x7f), .bits = g->code.bits};
}

/* push eax; out PORT_VECTOR, vector; EOI; pop eax; iret */
static void write_stub(struct guest *g, unsigned vector, int eoi)
{
	struct code c = guest_stub(g, vector);

	emit_bytes(&c, 0x50);
	out8(&c, PORT_VECTOR, (uint8_t)vector);
	if (eoi == 1)
		store(&c, LAPIC_EOI, 0);
	if (eoi == 2)
		out8(&c, 0x20, 0x20);
	emit_bytes(&c, 0x58);
	if (c.bits == 64)
		emit_bytes(&c, 0x48);
	emit_bytes(&c, 0xcf);
}

void guest_set_handler(struct guest *g, unsigned vector, int eoi)
{
	uint32_t at = GUEST_STUBS + 32 * (vector & 0x7f);
	uint8_t *gate = g->memory + GUEST_IDT + (g->code.bits == 64 ? 16 : 8) * vector;

	write_stub(g, vector, eoi);
	if (g->code.bits == 16) {
		store_le(g->memory + 4 * (size_t)vector, 4, at);
		return;
	}
	store_le(gate, 8,
	        (at & 0xffff) | GDT_CODE << 16 | UINT64_C(0x8e00) << 32 | (uint64_t)(at >> 16) << 48);
	if (g->code.bits == 64)
		store_le(gate + 8, 8, 0);
}

/* ---- running ---- */

static void print_bytes(const char *what, const uint8_t *data, size_t size)
{
	printf("%s", what);
	for (size_t i = 0; i < size; i++)
		printf(" %02x", data[i]);
	printf("\n");
}

static void on_io(struct guest *g, struct kvm_run *run)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	size_t size = (size_t)run->io.size * run->io.count;

	if (run->io.direction == KVM_EXIT_IO_IN) {
		for (size_t i = 0; i < size; i++)
			data[i] = (uint8_t)++g->input;
	}
	if (g->flags & GUEST_QUIET)
		return;
	printf("%s port %x size %u count %u", run->io.direction == KVM_EXIT_IO_IN ? "in" : "out",
	        run->io.port, run->io.size, run->io.count);
	print_bytes(":", data, size);
}

static void on_mmio(struct guest *g, struct kvm_run *run)
{
	if (!run->mmio.is_write) {
		for (unsigned i = 0; i < run->mmio.len; i++)
			run->mmio.data[i] = (uint8_t)++g->input;
	}
	if (g->flags & GUEST_QUIET)
		return;
	printf("mmio %s %llx", run->mmio.is_write ? "write" : "read",
	        (unsigned long long)run->mmio.phys_addr);
	print_bytes(":", run->mmio.data, run->mmio.len);
}

int guest_run_once(struct guest *g, unsigned vcpu)
{
	struct kvm_run *run = g->run[vcpu];
	int result = ask_number(g->abi, g->vcpu[vcpu], KVM_RUN, 0);

	if (result < 0) {
		say(result, "run %u", vcpu);
		return -1;
	}
	if (run->exit_reason == KVM_EXIT_IO)
		on_io(g, run);
	else if (run->exit_reason == KVM_EXIT_MMIO)
		on_mmio(g, run);
	else if (!(g->flags & GUEST_QUIET))
		tell("exit %s", host_exit_name(run->exit_reason));
	return (int)run->exit_reason;
}

static bool is_done(const struct kvm_run *run)
{
	return run->exit_reason == KVM_EXIT_IO && run->io.port == PORT_DONE;
}

int guest_run(struct guest *g)
{
	for (unsigned i = 0; i < EXITS_MAX; i++) {
		int reason = guest_run_once(g, 0);

		if ((reason != KVM_EXIT_IO && reason != KVM_EXIT_MMIO) || is_done(g->run[0]))
			return reason;
	}
	tell("no end after %u exits", EXITS_MAX);
	return -1;
}

/* ---- two processors ---- */

static void on_signal(int signal)
{
}

static void *second_main(void *ctx)
{
	struct guest *g = ctx;
	int result;

	do {
		result = ask_number(g->abi, g->vcpu[1], KVM_RUN, 0);
	} while (result == 0 || errno == EAGAIN);
	return NULL;
}

void guest_run_both(struct guest *g)
{
	pthread_t second;

	signal(SIGUSR1, on_signal);
	pthread_create(&second, NULL, second_main, g);
	guest_run(g);
	__atomic_store_n(&g->run[1]->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(second, SIGUSR1);
	pthread_join(second, NULL);
}

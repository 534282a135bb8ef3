/* SPDX-License-Identifier: Apache-2.0 */
/*
 * missing: guest memory that the VMM protected, unmapped or cut off. KVM_RUN fails with EFAULT, nothing of
 * the instruction is done, and the guest goes on once the memory is back.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "abi.h"

#define DATA    0x18000 /* the page that goes away */
#define PAGE    4096
#define FILE_AT 0x100000

static void fill(struct guest *g)
{
	for (unsigned i = 0; i < PAGE; i += 4)
		store_le(g->memory + DATA + i, 4, 0x01010101 * (i / 4 % 251));
}

static void tell_state(struct guest *g, const char *when)
{
	struct kvm_regs r = {0};

	if (ask(g->abi, g->vcpu[0], KVM_GET_REGS, &r) < 0)
		give_up("KVM_GET_REGS");
	tell("%s: %s, rip %llx rax %llx rcx %llx rsi %llx rdi %llx rsp %llx flags %llx, memory %x", when,
	        host_exit_name(g->run[0]->exit_reason), (unsigned long long)r.rip, (unsigned long long)r.rax,
	        (unsigned long long)r.rcx, (unsigned long long)r.rsi, (unsigned long long)r.rdi,
	        (unsigned long long)r.rsp, (unsigned long long)r.rflags,
	        (unsigned)load_le(g->memory + DATA, 4));
}

/* Runs twice without the page, and then with it. The vCPU has used the page before. */
static void refuse(struct guest *g, const char *what, unsigned page, int protection)
{
	void *at = g->memory + page;

	tell("-- %s", what);
	fill(g);
	guest_run_once(g, 0);
	if (mprotect(at, PAGE, protection) < 0)
		give_up("mprotect");
	guest_run_once(g, 0);
	guest_run_once(g, 0);
	mprotect(at, PAGE, PROT_READ | PROT_WRITE);
	tell_state(g, "refused");
	guest_run(g);
	tell_state(g, "at the end");
}

/* The guest reads and writes the page, says so, and comes to the instruction. */
static void begin(struct guest *g, struct abi *abi, int bits)
{
	guest_open(g, abi, bits, 1, 0);
	load_eax(&g->code, DATA, 4);
	store_eax(&g->code, DATA, 4);
	out8(&g->code, 0x80, 1);
}

static void end(struct guest *g, const char *what, unsigned page, int protection)
{
	done(&g->code);
	refuse(g, what, page, protection);
	guest_close(g);
}

static void instructions(struct abi *abi)
{
	struct guest g;

	begin(&g, abi, 32);
	store(&g.code, DATA, 0x12345678);
	end(&g, "a store to a page that can be read", DATA, PROT_READ);

	begin(&g, abi, 32);
	load_eax(&g.code, DATA + 4, 4);
	end(&g, "a load from a page that cannot be accessed", DATA, PROT_NONE);

	begin(&g, abi, 32);
	emit_bytes(&g.code, 0xf9, 0xb0, 0x5a, 0x10, 0x05); /* stc; mov al, 5ah; adc [DATA], al */
	emit_number(&g.code, DATA, 4);
	end(&g, "ADC to a page that can be read", DATA, PROT_READ);

	begin(&g, abi, 32);
	emit_bytes(&g.code, 0xf9, 0xb0, 0x5a, 0xf0, 0x10, 0x05);
	emit_number(&g.code, DATA, 4);
	end(&g, "LOCK ADC to a page that can be read", DATA, PROT_READ);

	begin(&g, abi, 32);
	emit_bytes(&g.code, 0xf9, 0xc0, 0x15); /* stc; rcl byte [DATA], 3 */
	emit_number(&g.code, DATA, 4);
	emit_bytes(&g.code, 3);
	end(&g, "RCL of a page that can be read", DATA, PROT_READ);

	begin(&g, abi, 32);
	emit_bytes(&g.code, 0xbc); /* mov esp, DATA + 2; pusha */
	emit_number(&g.code, DATA + 2, 4);
	emit_bytes(&g.code, 0x60);
	end(&g, "PUSHA to two pages, of which one can be read", DATA, PROT_READ);

	begin(&g, abi, 32);
	emit_bytes(&g.code, 0xbe, 0x00, 0x10, 0x00, 0x00, 0xbf); /* mov esi, 1000h; mov edi, DATA - 8 */
	emit_number(&g.code, DATA - 8, 4);
	set_ecx(&g.code, 16);
	emit_bytes(&g.code, 0xf3, 0xa4);
	end(&g, "REP MOVSB into a page that can be read", DATA, PROT_READ);

	begin(&g, abi, 32);
	store(&g.code, DATA - 2, 0x12345678);
	end(&g, "a store to two pages, of which the second can be read", DATA, PROT_READ);
}

/* The handler's stack is in the page. KVM_GET_VCPU_EVENTS does not report an INT n that waits. */
static void delivery(struct abi *abi)
{
	struct guest g;

	begin(&g, abi, 32);
	guest_set_handler(&g, 0x30, 0);
	emit_bytes(&g.code, 0xbc); /* mov esp, DATA + 10h; int 30h */
	emit_number(&g.code, DATA + 0x10, 4);
	emit_bytes(&g.code, 0xcd, 0x30);
	end(&g, "INT to a stack that can be read", DATA, PROT_READ);
}

static void code(struct abi *abi)
{
	struct guest g;

	guest_open(&g, abi, 32, 1, 0);
	store(&g.code, DATA + 8, 0x00c3f4f4); /* hlt; hlt; ret */
	out8(&g.code, 0x80, 1);
	emit_bytes(&g.code, 0xb8); /* mov eax, DATA + 10; call eax: ret */
	emit_number(&g.code, DATA + 10, 4);
	emit_bytes(&g.code, 0xff, 0xd0);
	end(&g, "code in a page that cannot be accessed", DATA, PROT_NONE);
}

/* KVM_SET_SREGS makes the vCPU forget what it read in the tables. */
static void tables(struct abi *abi)
{
	struct kvm_sregs sregs;
	struct guest g;

	tell("-- page tables that cannot be accessed");
	begin(&g, abi, 64);
	done(&g.code);
	guest_run_once(&g, 0);
	g.run[0]->immediate_exit = 1; /* the port's instruction ends */
	guest_run_once(&g, 0);
	g.run[0]->immediate_exit = 0;
	mprotect(g.memory + GUEST_TABLES + 0x2000, PAGE, PROT_NONE);
	if (ask(abi, g.vcpu[0], KVM_GET_SREGS, &sregs) < 0 || ask(abi, g.vcpu[0], KVM_SET_SREGS, &sregs) < 0)
		give_up("KVM_SET_SREGS");
	guest_run_once(&g, 0);
	tell_state(&g, "refused");
	mprotect(g.memory + GUEST_TABLES + 0x2000, PAGE, PROT_READ | PROT_WRITE);
	guest_run(&g);
	tell_state(&g, "at the end");
	guest_close(&g);
}

/* Touches memory beyond the end of a file. */
static void file(struct abi *abi)
{
	struct kvm_userspace_memory_region region = {
	        .slot = 1, .guest_phys_addr = FILE_AT, .memory_size = PAGE};
	int fd = memfd_create("abi", MFD_CLOEXEC);
	struct guest g;
	void *at;

	tell("-- a file that was cut off");
	guest_open(&g, abi, 32, 1, 0);
	store(&g.code, FILE_AT, 0x11);
	out8(&g.code, 0x80, 1);
	load_eax(&g.code, FILE_AT, 4);
	store_eax(&g.code, DATA, 4);
	done(&g.code);
	at = fd >= 0 && ftruncate(fd, PAGE) == 0 ? mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
	                                         : MAP_FAILED;
	if (at == MAP_FAILED)
		give_up("a file");
	region.userspace_addr = (uintptr_t)at;
	say(ask(abi, g.vm, KVM_SET_USER_MEMORY_REGION, &region), "a slot");
	guest_run_once(&g, 0);
	say(ftruncate(fd, 0), "cut off");
	guest_run_once(&g, 0);
	tell_state(&g, "refused");
	say(ftruncate(fd, PAGE), "given back");
	guest_run(&g);
	tell_state(&g, "at the end");
	guest_close(&g);
	munmap(at, PAGE);
	close(fd);
}

/* KVM reads tables itself for these. */
static void looked_at(struct abi *abi)
{
	struct kvm_translation translation = {.linear_address = DATA};
	struct kvm_sregs sregs = {0};
	struct guest g;

	tell("-- page tables that cannot be accessed, by ioctls");
	guest_open(&g, abi, 64, 1, 0);
	mprotect(g.memory + GUEST_TABLES, PAGE, PROT_NONE);
	say(ask(abi, g.vcpu[0], KVM_TRANSLATE, &translation), "KVM_TRANSLATE");
	tell("valid %u", translation.valid);
	mprotect(g.memory + GUEST_TABLES, PAGE, PROT_READ | PROT_WRITE);
	say(ask(abi, g.vcpu[0], KVM_TRANSLATE, &translation), "KVM_TRANSLATE");
	tell("valid %u", translation.valid);
	say(ask(abi, g.vcpu[0], KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	sregs.efer = 0;
	sregs.cs = (struct kvm_segment){
	        .limit = 0xffffffff, .selector = 8, .type = 11, .present = 1, .s = 1, .db = 1, .g = 1};
	mprotect(g.memory + GUEST_TABLES, PAGE, PROT_NONE);
	say(ask(abi, g.vcpu[0], KVM_SET_SREGS, &sregs), "KVM_SET_SREGS with PAE tables");
	mprotect(g.memory + GUEST_TABLES, PAGE, PROT_READ | PROT_WRITE);
	guest_close(&g);
}

static void missing(struct abi *abi)
{
	instructions(abi);
	delivery(abi);
	code(abi);
	tables(abi);
	file(abi);
	looked_at(abi);
}

const struct chapter chapter_missing = {"missing", missing, false};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msrs: which MSRs a guest may access, and those that the VMM answers.
 */
#include "abi.h"

#define GP 13

/* Reads the MSR and writes it to a port. A #GP writes its vector and goes on after the instruction. */
static void read_msr(struct code *c, uint32_t index)
{
	set_ecx(c, index);
	set_eax(c, 0);
	emit_bytes(c, 0x0f, 0x32);
	tell_eax(c, 0x80);
}

static void open_guest(struct guest *g, struct abi *abi, uint64_t reasons)
{
	const struct kvm_enable_cap cap = {.cap = KVM_CAP_X86_USER_SPACE_MSR, .args[0] = reasons};
	struct code stub;

	guest_open(g, abi, 32, 1, GUEST_IRQCHIP);
	guest_set_handler(g, GP, 0);
	stub = guest_stub(g, GP);
	emit_bytes(&stub, 0x58); /* pop eax: the error code */
	out8(&stub, PORT_VECTOR, GP);
	emit_bytes(&stub, 0x83, 0x04, 0x24, 0x02, 0xcf); /* add [esp], 2; iret */
	if (ask(abi, g->vm, KVM_ENABLE_CAP, &cap) < 0)
		give_up("KVM_CAP_X86_USER_SPACE_MSR");
}

/* Answers every second exit with an error. */
static void run_guest(struct guest *g)
{
	struct kvm_run *run = g->run[0];

	for (unsigned n = 0;; n++) {
		int reason = guest_run(g);

		if (reason != KVM_EXIT_X86_RDMSR && reason != KVM_EXIT_X86_WRMSR)
			return;
		tell("msr %x reason %x data %llx error %u", run->msr.index, (unsigned)run->msr.reason,
		        (unsigned long long)run->msr.data, run->msr.error);
		run->msr.data = 0x5500 + n;
		run->msr.error = n & 1;
	}
}

static void answered(struct abi *abi, uint64_t reasons)
{
	struct guest g;

	tell("-- unknown and wrong ones, exits for %llx", (unsigned long long)reasons);
	open_guest(&g, abi, reasons);
	read_msr(&g.code, 0xdead);
	read_msr(&g.code, 0xdead);
	write_msr(&g.code, 0xdead, 0x1122334455667788);
	write_msr(&g.code, 0xc0000082, 0x123); /* good */
	write_msr(&g.code, 0x277, 0x33);       /* no memory type */
	read_msr(&g.code, 0x277);
	done(&g.code);
	run_guest(&g);
	guest_close(&g);
}

/* The range from c0000080 on: EFER and STAR may be read, EFER not be written. */
static void filtered(struct abi *abi, uint64_t reasons, uint32_t flags)
{
	uint8_t reads[8] = {0x03}, writes[8] = {0xfe};
	struct kvm_msr_filter f = {.flags = flags};
	struct guest g;

	tell("-- filtered, exits for %llx, else %s", (unsigned long long)reasons,
	        flags ? "denied" : "allowed");
	open_guest(&g, abi, reasons);
	f.ranges[0] = (struct kvm_msr_filter_range){
	        .flags = KVM_MSR_FILTER_READ, .base = 0xc0000080, .nmsrs = 8, .bitmap = reads};
	f.ranges[2] = (struct kvm_msr_filter_range){
	        .flags = KVM_MSR_FILTER_WRITE, .base = 0xc0000080, .nmsrs = 8, .bitmap = writes};
	say(ask(abi, g.vm, KVM_X86_SET_MSR_FILTER, &f), "filter");
	read_msr(&g.code, 0xc0000080);
	read_msr(&g.code, 0xc0000082);
	write_msr(&g.code, 0xc0000080, 0);
	write_msr(&g.code, 0xc0000082, 0x777);
	read_msr(&g.code, 0x277); /* in no range */
	done(&g.code);
	run_guest(&g);
	memset(&f, 0, sizeof(f));
	say(ask(abi, g.vm, KVM_X86_SET_MSR_FILTER, &f), "no filter");
	guest_close(&g);
}

static void misuse(struct abi *abi)
{
	static uint8_t bitmap[8192];
	const struct kvm_msr_filter_range rows[] = {
	        {.flags = 1, .nmsrs = 0, .bitmap = bitmap},
	        {.flags = 4, .nmsrs = 8, .bitmap = bitmap},
	        {.flags = 3, .nmsrs = 0x3000, .bitmap = bitmap},
	        {.flags = 3, .nmsrs = 0x3001, .bitmap = bitmap},
	        {.flags = 3, .nmsrs = 8, .bitmap = (uint8_t *)(uintptr_t)16}, /* NOLINT */
	        {.flags = 0, .nmsrs = 8, .bitmap = bitmap},
	};
	struct kvm_enable_cap cap = {.cap = KVM_CAP_X86_USER_SPACE_MSR, .args[0] = 8};
	struct kvm_msr_filter f = {.flags = 2};
	int vm = ask_number(abi, abi->kvm, KVM_CREATE_VM, 0);

	tell("-- arguments");
	say(ask(abi, vm, KVM_ENABLE_CAP, &cap), "an unknown reason");
	cap.flags = 1;
	cap.args[0] = 1;
	say(ask(abi, vm, KVM_ENABLE_CAP, &cap), "flags");
	say(ask(abi, vm, KVM_X86_SET_MSR_FILTER, &f), "filter with unknown flags");
	f.flags = 1;
	say(ask(abi, vm, KVM_X86_SET_MSR_FILTER, &f), "filter that denies all, without ranges");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		f.flags = 0;
		f.ranges[5] = rows[i];
		say(ask(abi, vm, KVM_X86_SET_MSR_FILTER, &f), "range %zu", i);
	}
	say(ask(abi, vm, KVM_X86_SET_MSR_FILTER, (const void *)16), "filter from nowhere");
	host_close(abi->host, vm);
}

/* A VMM that saves what KVM_GET_MSR_INDEX_LIST names must be able to put all of it back. */
static void list_goes_back(struct abi *abi)
{
	struct {
		struct kvm_msr_list head;
		uint32_t indices[1000];
	} list = {.head.nmsrs = 1000};
	struct guest g;

	tell("-- the list, saved and put back");
	guest_open(&g, abi, 64, 1, GUEST_IRQCHIP);
	say(ask(abi, abi->kvm, KVM_GET_MSR_INDEX_LIST, &list), "list");
	for (uint32_t i = 0; i < list.head.nmsrs; i++) {
		struct {
			struct kvm_msrs head;
			struct kvm_msr_entry entry;
		} msr = {.head.nmsrs = 1, .entry.index = list.indices[i]};

		if (ask(abi, g.vcpu[0], KVM_GET_MSRS, &msr) != 1)
			tell("%x cannot be read", list.indices[i]);
		else if (ask(abi, g.vcpu[0], KVM_SET_MSRS, &msr) != 1)
			tell("%x cannot be put back", list.indices[i]);
	}
	guest_close(&g);
}

static void run_msrs(struct abi *abi)
{
	answered(abi, 0);
	answered(abi, KVM_MSR_EXIT_REASON_UNKNOWN);
	answered(abi, KVM_MSR_EXIT_REASON_UNKNOWN | KVM_MSR_EXIT_REASON_INVAL);
	filtered(abi, 0, 0);
	filtered(abi, KVM_MSR_EXIT_REASON_FILTER, 0);
	filtered(abi, KVM_MSR_EXIT_REASON_FILTER, KVM_MSR_FILTER_DEFAULT_DENY);
	misuse(abi);
	list_goes_back(abi);
}

const struct chapter chapter_msrs = {"msrs", run_msrs};

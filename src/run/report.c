/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report: the registers of a vCPU that ended badly. The vCPU's thread. Of a SEV-ES or SEV-SNP guest KVM gives
 * none, or stale ones.
 */
#include <stdarg.h>

#include "vmm/call.h"

#include "vcpu.h"

#define RESET_VECTOR 0xfffffff0

struct text {
	char *at;
	size_t left;
};

static void PRINTF(2, 3) put(struct text *text, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text->at, text->left, fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n >= text->left)
		n = text->left ? (int)text->left - 1 : 0;
	text->at += n;
	text->left -= (size_t)n;
}

static void put_regs(struct text *text, const struct kvm_regs *r)
{
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
	        {"rax", r->rax},
	        {"rbx", r->rbx},
	        {"rcx", r->rcx},
	        {"rdx", r->rdx},
	        {"rsi", r->rsi},
	        {"rdi", r->rdi},
	        {"rbp", r->rbp},
	        {"rsp", r->rsp},
	        {"r8", r->r8},
	        {"r9", r->r9},
	        {"r10", r->r10},
	        {"r11", r->r11},
	        {"r12", r->r12},
	        {"r13", r->r13},
	        {"r14", r->r14},
	        {"r15", r->r15},
	        {"rip", r->rip},
	        {"rflags", r->rflags},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		put(text, "%-6s %016llx%s", rows[i].name, (unsigned long long)rows[i].value,
		        i % 3 == 2 ? "\n" : "  ");
}

static void put_segment(struct text *text, const char *name, const struct kvm_segment *s)
{
	put(text, "%-4s %04x base %016llx limit %08x type %x s %u dpl %u p %u l %u db %u\n", name,
	        s->selector, (unsigned long long)s->base, s->limit, s->type, s->s, s->dpl, s->present, s->l,
	        s->db);
}

static void put_sregs(struct text *text, const struct kvm_sregs *s)
{
	put_segment(text, "cs", &s->cs);
	put_segment(text, "ss", &s->ss);
	put_segment(text, "ds", &s->ds);
	put_segment(text, "es", &s->es);
	put_segment(text, "fs", &s->fs);
	put_segment(text, "gs", &s->gs);
	put_segment(text, "tr", &s->tr);
	put_segment(text, "ldt", &s->ldt);
	put(text, "gdt  base %016llx limit %04x  idt base %016llx limit %04x\n",
	        (unsigned long long)s->gdt.base, s->gdt.limit, (unsigned long long)s->idt.base, s->idt.limit);
	put(text, "cr0 %llx  cr2 %llx  cr3 %llx  cr4 %llx  efer %llx\n", (unsigned long long)s->cr0,
	        (unsigned long long)s->cr2, (unsigned long long)s->cr3, (unsigned long long)s->cr4,
	        (unsigned long long)s->efer);
}

/* KVM on AMD's processors (shutdown_interception()): the VMCB is undefined after a shutdown. */
static void put_reset(struct text *text, const struct kvm_regs *regs, const struct kvm_sregs *sregs)
{
	if (sregs->cs.base + regs->rip == RESET_VECTOR)
		put(text, "these are the registers of a reset: KVM on AMD's processors resets a vCPU before "
		          "it reports a triple fault, so their contents are lost\n");
}

void run_vcpu_report_registers(const struct run_vcpu *vcpu, char ret_text[static RUN_TEXT_BYTES])
{
	struct host *host = machine_host(vcpu->machine);
	struct text text = {ret_text, RUN_TEXT_BYTES};
	struct kvm_sregs sregs = {0};
	struct kvm_regs regs = {0};
	struct err err;

	put(&text, "registers of vCPU %u:\n", vcpu->kvm->index);
	if (machine_config(vcpu->machine)->sev.type >= CONFIG_SEV_ES) {
		put(&text, "encrypted: the host cannot read the registers of a SEV-ES or SEV-SNP guest\n");
		return;
	}
	if (call_vcpu_get_regs(host, vcpu->kvm->fd, &regs, &err) == 0)
		put_regs(&text, &regs);
	else
		put(&text, "not to be had: %s\n", err.text);
	if (call_vcpu_get_sregs(host, vcpu->kvm->fd, &sregs, &err) == 0)
		put_sregs(&text, &sregs);
	else
		put(&text, "not to be had: %s\n", err.text);
	put_reset(&text, &regs, &sregs);
}

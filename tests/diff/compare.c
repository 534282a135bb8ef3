/*
 * compare: what is equal of two results, and the list of what a vendor's processors do by their own
 * definition. A rule loosens one form, under one condition, in what it names, on that vendor's hosts alone.
 */
#include <cpuid.h>
#include <stdio.h>
#include <string.h>

#include "diff.h"

/* What can differ. */
enum part {
	FAULT = 1, /* vector, error code, CR2, RIP */
	GPR = 2,
	FLAGS = 4,
	SSE = 8, /* XMM registers, MXCSR */
	X87 = 16,
	DATA = 32,
	ALL = 63,
};

/* Elsewhere in the host's address space something else may be mapped: present or not does not matter. */
static bool foreign(uint64_t address)
{
	return address < DIFF_CODE || address > DIFF_DATA + 0x10000;
}

static bool fault_differs(const struct diff_result *n, const struct diff_result *s)
{
	if (n->vector != s->vector || n->end.rip != s->end.rip || n->cr2 != s->cr2)
		return true;
	return (n->vector == 14 || n->vector == 13) && (n->error ^ s->error) & ~(foreign(n->cr2) ? 1u : 0u);
}

static unsigned parts_differing(
        const struct diff_case *c, const struct diff_result *n, const struct diff_result *s)
{
	/* RF, and IF and IOPL which user mode cannot change, are not of interest. */
	uint64_t mask = 0xcd5 & ~(uint64_t)c->undefined;
	const uint8_t *a = n->end.fxsave, *b = s->end.fxsave;
	unsigned parts = 0;

	if (fault_differs(n, s))
		parts |= FAULT;
	if (memcmp(n->end.gpr, s->end.gpr, c->mode32 ? 64 : 128))
		parts |= GPR;
	if ((n->end.rflags ^ s->end.rflags) & mask)
		parts |= FLAGS;
	if (memcmp(a + 160, b + 160, c->mode32 ? 128 : 256) || memcmp(a + 24, b + 24, 4))
		parts |= SSE;
	if (c->fpu && (memcmp(a, b, 5) || memcmp(a + 32, b + 32, 128)))
		parts |= X87;
	if (memcmp(n->data, s->data, DIFF_DATA_BYTES))
		parts |= DATA;
	return parts;
}

/* ---- conditions of rules ---- */

typedef bool condition_fn(
        const struct diff_case *c, const struct diff_result *n, const struct diff_result *s);

static bool memory_fault(const struct diff_result *r)
{
	return r->vector == 14 || r->vector == 17;
}

static bool has_prefix(const struct diff_case *c, uint8_t prefix)
{
	return memchr(c->code, prefix, 4) != NULL;
}

static bool both_protection(
        const struct diff_case *c, const struct diff_result *n, const struct diff_result *s)
{
	return n->vector == 13 && s->vector == 13;
}

static bool both_memory(const struct diff_case *c, const struct diff_result *n, const struct diff_result *s)
{
	return memory_fault(n) && memory_fault(s);
}

static bool both_memory_rep(
        const struct diff_case *c, const struct diff_result *n, const struct diff_result *s)
{
	return has_prefix(c, 0xf3) && both_memory(c, n, s);
}

static bool soft_memory(const struct diff_case *c, const struct diff_result *n, const struct diff_result *s)
{
	return memory_fault(s);
}

static bool soft_memory_66(
        const struct diff_case *c, const struct diff_result *n, const struct diff_result *s)
{
	return has_prefix(c, 0x66) && memory_fault(s);
}

static bool soft_alignment(
        const struct diff_case *c, const struct diff_result *n, const struct diff_result *s)
{
	return s->vector == 17;
}

static bool rex_b(const struct diff_case *c, const struct diff_result *n, const struct diff_result *s)
{
	return !c->mode32 && (c->code[1] & 0xf1) == 0x41;
}

#define INTEL "GenuineIntel"

static struct rule {
	const char *vendor; /* as CPUID says; NULL: the order of events is no vendor's to promise */
	const char *forms;  /* each followed by a semicolon */
	condition_fn *when;
	unsigned loose; /* enum part */
	const char *reason;
	uint64_t met;
} rules[] = {
        {NULL, "a6;", both_memory_rep, FAULT, "REPE CMPSB of which both operands fault: which one is first"},
        {INTEL, "ff /2;", both_protection, DATA, "CALL to a non-canonical target has written the stack"},
        {INTEL, "f3 90;", rex_b, GPR, "F3 90 with REX.B is PAUSE"},
        {INTEL, "0f 10 /r;66 0f 10 /r;0f 11 /r;66 0f 11 /r;f3 0f 6f /r;f3 0f 7f /r;f2 0f f0 /r;",
                soft_alignment, ALL, "16 bytes of any alignment are not checked for it"},
        {INTEL, "66 0f 3a 60 /r ib;66 0f 3a 61 /r ib;66 0f 3a 62 /r ib;66 0f 3a 63 /r ib;", soft_alignment,
                ALL, "16 bytes of any alignment are not checked for it"},
        {INTEL, "62 /r;", soft_memory, ALL, "BOUND may decide by the lower bound before it reads the upper"},
        {INTEL, "63 /r;", soft_memory_66, ALL, "MOVSXD with 66 reads 16 bits"},
        {INTEL, "a6;a7;ae;af;", both_memory, FLAGS,
                "a fault leaves the flags of before the first comparison"},
        {INTEL, "0f 7e /r;0f 7f /r;0f e7 /r;0f f7 /r;", both_memory, X87,
                "an MMX store that faults has moved TOP"},
        {INTEL, "db /7;df /6;", both_memory, DATA,
                "an 80-bit store may go out in part before its second page faults"},
};

static bool named(const char *forms, const char *form)
{
	size_t size = strlen(form);

	for (const char *at = forms; (at = strstr(at, form)); at += size)
		if ((at == forms || at[-1] == ';') && at[size] == ';')
			return true;
	return false;
}

const char *diff_host_vendor(void)
{
	static char name[13];
	unsigned max, b = 0, c = 0, d = 0;

	__get_cpuid(0, &max, &b, &c, &d);
	memcpy(name, &b, 4);
	memcpy(name + 4, &d, 4);
	memcpy(name + 8, &c, 4);
	return name;
}

bool diff_equal(const struct diff_case *c, const struct diff_result *n, const struct diff_result *s)
{
	unsigned parts = parts_differing(c, n, s);

	for (struct rule *r = rules; parts && r < rules + sizeof(rules) / sizeof(rules[0]); r++) {
		if (parts & ~r->loose || !named(r->forms, c->form) || !r->when(c, n, s) ||
		        (r->vendor && strcmp(r->vendor, diff_host_vendor()) != 0))
			continue;
		r->met++;
		parts = 0;
	}
	return !parts;
}

void diff_rules_print(void)
{
	for (const struct rule *r = rules; r < rules + sizeof(rules) / sizeof(rules[0]); r++)
		if (r->met)
			printf("left to %s, %llu times: %s\n", r->vendor ? r->vendor : "each processor",
			        (unsigned long long)r->met, r->reason);
}

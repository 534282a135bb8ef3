/*
 * compare: what is equal of two results, and the list of what a vendor's processors do by their own
 * definition. A rule loosens one form, under one condition, in what it names, on that vendor's hosts alone.
 */
#include <cpuid.h>
#include <stdio.h>
#include <string.h>

#include "diff.h"

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

unsigned diff_compare(const struct diff_case *c, const struct diff_result *n, const struct diff_result *s)
{
	/* RF, and IF and IOPL which user mode cannot change, are not of interest. */
	uint64_t mask = 0xcd5 & ~(uint64_t)c->undefined;
	const uint8_t *a = n->end.fxsave, *b = s->end.fxsave;
	unsigned parts = 0;

	if (fault_differs(n, s))
		parts |= PART_FAULT;
	if (memcmp(n->end.gpr, s->end.gpr, c->mode32 ? 64 : 128))
		parts |= PART_GPR;
	if ((n->end.rflags ^ s->end.rflags) & mask)
		parts |= PART_FLAGS;
	if (memcmp(a + 160, b + 160, c->mode32 ? 128 : 256) || memcmp(a + 24, b + 24, 4))
		parts |= PART_SSE;
	if (c->fpu && (memcmp(a, b, 5) || memcmp(a + 32, b + 32, 128)))
		parts |= PART_X87;
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
	return has_prefix(c, 0xf3) && (memory_fault(n) || n->vector == 13) &&
	       (memory_fault(s) || s->vector == 13);
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

static bool unaligned_sse(const struct diff_case *c, const struct diff_result *n, const struct diff_result *s)
{
	return c->start.fxsave[26] & 2 && s->vector == 14;
}

static bool near_branch_66(
        const struct diff_case *c, const struct diff_result *n, const struct diff_result *s)
{
	static const char branches[] =
	        "0f 8;ff /2;ff /4;c2 i;c3;e0 ;e1 ;e2 ;e3 ;e8 ;e9 ;eb ;70 ;71 ;72 ;73 ;74 ;75 ;"
	        "76 ;77 ;78 ;79 ;7a ;7b ;7c ;7d ;7e ;7f ;";

	if (c->mode32 || !has_prefix(c, 0x66))
		return false;
	for (const char *at = branches; *at; at = strchr(at, ';') + 1)
		if (!strncmp(c->form, at, strcspn(at, ";")))
			return true;
	return false;
}

static bool x87_exception(const struct diff_case *c, const struct diff_result *n, const struct diff_result *s)
{
	return s->end.fxsave[2] & 0x80;
}

static bool both_float(const struct diff_case *c, const struct diff_result *n, const struct diff_result *s)
{
	return n->vector == 19 && s->vector == 19;
}

static bool native_protection(
        const struct diff_case *c, const struct diff_result *n, const struct diff_result *s)
{
	return n->vector == 13;
}

static bool register_operand(
        const struct diff_case *c, const struct diff_result *n, const struct diff_result *s)
{
	return s->vector == 6;
}

#define INTEL "GenuineIntel"

static struct rule {
	const char *vendor; /* as CPUID says; NULL: the order of events is no vendor's to promise */
	const char *forms;  /* each followed by a semicolon; NULL: the condition knows */
	condition_fn *when;
	unsigned loose; /* enum diff_part */
	const char *reason;
	uint64_t met;
} rules[] = {
        {NULL, "a6;", both_memory_rep, PART_FAULT,
                "REPE CMPSB of which both operands fault: which one is first"},
        {NULL,
                "0f 14 /r;66 0f 14 /r;66 0f 60 /r;66 0f 61 /r;66 0f 62 /r;66 0f 6c /r;"
                "66 0f d1 /r;66 0f d2 /r;66 0f d3 /r;66 0f e1 /r;66 0f e2 /r;66 0f f1 /r;66 0f f2 /r;"
                "66 0f f3 /r;",
                unaligned_sse, PART_ALL,
                "with MXCSR.MM, whether the half of the operand that is not needed is read"},
        {NULL, "66 0f 3a 40 /r ib;66 0f 3a 41 /r ib;", both_float, PART_SSE,
                "DPPS, DPPD: which flags the steps before the one that traps have set"},
        {INTEL, "ff /2;", both_protection, PART_DATA, "CALL to a non-canonical target has written the stack"},
        {INTEL, "f3 90;", rex_b, PART_GPR, "F3 90 with REX.B is PAUSE"},
        {INTEL, "0f 10 /r;66 0f 10 /r;0f 11 /r;66 0f 11 /r;f3 0f 6f /r;f3 0f 7f /r;f2 0f f0 /r;",
                soft_alignment, PART_ALL, "16 bytes of any alignment are not checked for it"},
        {INTEL, "66 0f 3a 60 /r ib;66 0f 3a 61 /r ib;66 0f 3a 62 /r ib;66 0f 3a 63 /r ib;", soft_alignment,
                PART_ALL, "16 bytes of any alignment are not checked for it"},
        {INTEL, "62 /r;", soft_memory, PART_ALL,
                "BOUND may decide by the lower bound before it reads the upper"},
        {INTEL, "63 /r;", soft_memory_66, PART_ALL, "MOVSXD with 66 reads 16 bits"},
        {INTEL, "a6;a7;ae;af;", both_memory, PART_FLAGS,
                "a fault leaves the flags of before the first comparison"},
        {INTEL, "0f 7e /r;0f 7f /r;0f e7 /r;0f f7 /r;", both_memory, PART_X87,
                "an MMX store that faults has moved TOP"},
        {INTEL, "0f 0d /r;", register_operand, PART_ALL, "PREFETCH of a register is a NOP"},
        {INTEL, "0f 38 c8 /r;0f 38 c9 /r;0f 38 ca /r;0f 38 cb /r;0f 38 cc /r;0f 38 cd /r;0f 3a cc /r ib;",
                native_protection, PART_ALL, "SHA's memory operands must be aligned"},
        {INTEL, "0f f7 /r;66 0f f7 /r;", soft_memory, PART_ALL, "a masked store faults by its mask"},
        {INTEL, NULL, near_branch_66, PART_ALL, "66 is ignored by near branches in 64-bit mode"},
        {INTEL, "db e8 +r;db f0 +r;df e8 +r;df f0 +r;db /r;df /r;", x87_exception, PART_FLAGS,
                "FCOMI with an unmasked exception leaves RFLAGS"},
        {INTEL, "d9 /0;dd /0;", x87_exception, PART_X87, "FLD of a denormal with that exception unmasked"},
        {INTEL, "db /7;df /6;", both_memory, PART_DATA,
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

static const char *host_vendor(void)
{
	static char name[13];
	unsigned max, b = 0, c = 0, d = 0;

	if (!name[0]) {
		__get_cpuid(0, &max, &b, &c, &d);
		memcpy(name, &b, 4);
		memcpy(name + 4, &d, 4);
		memcpy(name + 8, &c, 4);
	}
	return name;
}

bool diff_excused(
        const struct diff_case *c, const struct diff_result *n, const struct diff_result *s, unsigned parts)
{
	for (struct rule *r = rules; r < rules + sizeof(rules) / sizeof(rules[0]); r++) {
		if (parts & ~r->loose || (r->forms && !named(r->forms, c->form)) || !r->when(c, n, s) ||
		        (r->vendor && strcmp(r->vendor, host_vendor()) != 0))
			continue;
		r->met++;
		return true;
	}
	return false;
}

void diff_excuses_print(void)
{
	for (const struct rule *r = rules; r < rules + sizeof(rules) / sizeof(rules[0]); r++)
		if (r->met)
			printf("left to %s, %llu times: %s\n", r->vendor ? r->vendor : "each processor",
			        (unsigned long long)r->met, r->reason);
}

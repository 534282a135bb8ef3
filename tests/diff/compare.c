/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compare: compares two results, and lists what a vendor's processors do by their own definition. A rule
 * excuses named parts of one form, under one condition, on the vendor's hosts only.
 */
#include <stdio.h>
#include <string.h>

#include "diff.h"

/*
 * Elsewhere in the host's address space something else may be mapped, so the bit for present pages does not
 * matter.
 */
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
	if (memcmp(a + 160, b + 160, c->mode32 ? 128 : 256) ||
	        memcmp(n->end.ymm, s->end.ymm, c->mode32 ? 128 : 256))
		parts |= PART_XMM;
	if (memcmp(a + 24, b + 24, 4))
		parts |= PART_MXCSR;
	if (c->fpu && (memcmp(a, b, 5) || memcmp(a + 32, b + 32, 128)))
		parts |= PART_X87;
	return parts;
}

/* ---- conditions of rules ---- */

typedef bool condition_fn(
        const struct diff_case *c, const struct diff_result *n, const struct diff_result *s);
#define CONDITION(name) \
	static bool name(const struct diff_case *c, const struct diff_result *n, const struct diff_result *s)

static bool memory_fault(const struct diff_result *r)
{
	return r->vector == 14 || r->vector == 17;
}

/* Also by a segment, or by an address that is not canonical. */
static bool operand_fault(const struct diff_result *r)
{
	return memory_fault(r) || r->vector == 12 || r->vector == 13;
}

static bool has_prefix(const struct diff_case *c, uint8_t prefix)
{
	return memchr(c->code, prefix, 4) != NULL;
}

/* Returns the REX prefix of the case; 0: there is none. */
static uint8_t rex(const struct diff_case *c)
{
	unsigned i = 0;

	while (i + 1u < c->code_size && memchr("\xf0\xf2\xf3\x66\x67\x65", c->code[i], 6))
		i++;
	return !c->mode32 && (c->code[i] & 0xf0) == 0x40 ? c->code[i] : 0;
}

static bool canonical(uint64_t address, unsigned bits)
{
	return (uint64_t)((int64_t)(address << (64 - bits)) >> (64 - bits)) == address;
}

CONDITION(wide_address)
{
	bool refused = s->vector == 12 || s->vector == 13;

	if (n->vector == 14)
		return refused && !canonical(n->cr2, 48) && canonical(n->cr2, 57);
	return refused && n->vector == 17;
}

CONDITION(both_protection)
{
	return n->vector == 13 && s->vector == 13;
}

CONDITION(both_memory)
{
	return memory_fault(n) && memory_fault(s);
}

CONDITION(both_operand)
{
	return operand_fault(n) && operand_fault(s);
}

CONDITION(both_operand_mmx)
{
	return c->fpu && c->form[0] == '0' && both_operand(c, n, s);
}

CONDITION(both_refused)
{
	return (n->vector == 6 || n->vector == 13) && (s->vector == 6 || s->vector == 13);
}

CONDITION(native_invalid)
{
	return n->vector == 6;
}

CONDITION(soft_memory)
{
	return memory_fault(s);
}

CONDITION(soft_operand)
{
	return operand_fault(s);
}

CONDITION(soft_memory_66)
{
	return has_prefix(c, 0x66) && memory_fault(s);
}

CONDITION(soft_alignment)
{
	return s->vector == 17;
}

CONDITION(rex_b)
{
	return rex(c) & 1;
}

CONDITION(bits16)
{
	return has_prefix(c, 0x66) && !(rex(c) & 8);
}

CONDITION(bits16_and_64)
{
	return has_prefix(c, 0x66) && rex(c) & 8;
}

CONDITION(unaligned_sse)
{
	return c->start.fxsave[26] & 2 && s->vector == 14;
}

CONDITION(near_branch_66)
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

CONDITION(both_x87)
{
	return n->end.fxsave[2] & s->end.fxsave[2] & 0x80;
}

/*
 * The native store was not made, because an exception waits; the software processor looked at memory first.
 */
CONDITION(x87_store_prevented)
{
	return n->vector == 3 && n->end.fxsave[2] & 0x80 && operand_fault(s);
}

/* All but ES and B of the status word is equal. */
CONDITION(x87_summary)
{
	uint8_t a[160], b[160];

	memcpy(a, n->end.fxsave, sizeof(a));
	memcpy(b, s->end.fxsave, sizeof(b));
	for (unsigned i = 2; i < 4; i++) {
		a[i] &= 0x7f;
		b[i] &= 0x7f;
	}
	return !memcmp(a, b, 5) && !memcmp(a + 32, b + 32, 128);
}

/* Encodings that manuals no longer list: second encodings of FCOM, FCOMP, FSTP, FXCH and FFREE. */
CONDITION(x87_alias)
{
	static const uint8_t aliases[][2] = {{0xd9, 0xd8}, {0xdc, 0xd0}, {0xdc, 0xd8}, {0xdd, 0xc8},
	        {0xde, 0xd0}, {0xdf, 0xc0}, {0xdf, 0xc8}, {0xdf, 0xd0}, {0xdf, 0xd8}};
	const uint8_t *opcode = c->code + c->code_size - 2;

	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
		if (opcode[0] == aliases[i][0] && (opcode[1] & 0xf8) == aliases[i][1])
			return true;
	return false;
}

/* With AC set, the area may be checked as its words or as a whole; its last bytes mean nothing. */
CONDITION(environment_fault)
{
	return c->start.rflags & 0x40000 || operand_fault(s);
}

CONDITION(both_float)
{
	return n->vector == 19 && s->vector == 19;
}

CONDITION(native_protection)
{
	return n->vector == 13;
}

CONDITION(native_invalid32)
{
	return c->mode32 && n->vector == 6;
}

CONDITION(register_operand)
{
	return s->vector == 6;
}

CONDITION(no_iteration)
{
	return (has_prefix(c, 0xf2) || has_prefix(c, 0xf3)) && !c->start.gpr[1];
}

static struct rule {
	const char *host; /* the hosts it is for; NULL: any, because no vendor promises the order of events */
	const char *forms; /* each followed by a semicolon; NULL: the condition knows */
	condition_fn *when;
	unsigned loose; /* enum diff_part */
	const char *reason;
	uint64_t met;
} rules[] = {
        {DIFF_LA57, NULL, wide_address, PART_ALL, "with five levels of page tables 57 bits are canonical"},
        {NULL, "a6;a7;", both_operand, PART_FAULT, "CMPS of which both operands fault: which one is first"},
        {NULL,
                "0f 14 /r;66 0f 14 /r;66 0f 60 /r;66 0f 61 /r;66 0f 62 /r;66 0f 6c /r;"
                "66 0f d1 /r;66 0f d2 /r;66 0f d3 /r;66 0f e1 /r;66 0f e2 /r;66 0f f1 /r;66 0f f2 /r;"
                "66 0f f3 /r;",
                unaligned_sse, PART_ALL,
                "with MXCSR.MM, whether the half of the operand that is not needed is read"},
        {NULL, "66 0f 3a 40 /r ib;66 0f 3a 41 /r ib;v3a.66 40 /r ib;v3a.66 41 /r ib;", both_float, PART_MXCSR,
                "DPPS, DPPD: which flags the steps before the one that traps have set"},
        {DIFF_INTEL, "ff /2;", both_protection, PART_DATA,
                "CALL to a non-canonical target has written the stack"},
        {DIFF_INTEL, "f3 90;", rex_b, PART_GPR, "F3 90 with REX.B is PAUSE"},
        {DIFF_INTEL, "0f 10 /r;66 0f 10 /r;0f 11 /r;66 0f 11 /r;f3 0f 6f /r;f3 0f 7f /r;f2 0f f0 /r;",
                soft_alignment, PART_ALL, "16 bytes of any alignment are not checked for it"},
        {DIFF_INTEL, "66 0f 3a 60 /r ib;66 0f 3a 61 /r ib;66 0f 3a 62 /r ib;66 0f 3a 63 /r ib;",
                soft_alignment, PART_ALL, "16 bytes of any alignment are not checked for it"},
        {DIFF_INTEL, "62 /r;", soft_memory, PART_ALL,
                "BOUND may decide by the lower bound before it reads the upper"},
        {DIFF_INTEL, "63 /r;", soft_memory_66, PART_ALL, "MOVSXD with 66 reads 16 bits"},
        {DIFF_INTEL, "a6;a7;ae;af;", both_memory, PART_FLAGS,
                "a fault leaves the flags of before the first comparison"},
        {DIFF_INTEL, "6c;6d;6e;6f;", no_iteration, PART_ALL,
                "whether the port is checked of INS and OUTS that are not repeated even once"},
        {DIFF_INTEL, "0f c8 +r;", bits16, PART_GPR, "BSWAP of 16 bits has no defined result"},
        {DIFF_INTEL, "0f 07;", native_invalid32, PART_FAULT, "SYSRET is of 64-bit mode alone"},
        {DIFF_INTEL, "0f 20 /r;0f 21 /r;0f 22 /r;0f 23 /r;", both_refused, PART_FAULT,
                "whether the privilege or the register's number is looked at first"},
        {DIFF_INTEL, "0f 01 /6;", both_operand, PART_FAULT, "LMSW may read before it looks at the privilege"},
        {DIFF_INTEL, NULL, both_operand_mmx, PART_X87, "an MMX access that faults has moved TOP"},
        {DIFF_INTEL, "0f 0d /r;", register_operand, PART_ALL, "PREFETCH of a register is a NOP"},
        {DIFF_INTEL,
                "0f 38 c8 /r;0f 38 c9 /r;0f 38 ca /r;0f 38 cb /r;0f 38 cc /r;0f 38 cd /r;0f 3a cc /r ib;",
                native_protection, PART_ALL, "SHA's memory operands must be aligned"},
        {DIFF_INTEL, "0f f7 /r;66 0f f7 /r;", soft_operand, PART_ALL, "a masked store faults by its mask"},
        {DIFF_INTEL, NULL, near_branch_66, PART_ALL, "66 is ignored by near branches in 64-bit mode"},
        {DIFF_INTEL, "0f ae /0;0f ae /1;0f ae /4;0f ae /5;0f ae /6;0f c7 /4;", both_operand, PART_ALL,
                "FXSAVE, XSAVE and what restores them: which fault comes first, and behind which part"},
        {DIFF_INTEL, "d9 /4;d9 /6;dd /4;dd /6;", environment_fault, PART_ALL,
                "x87 environments: which fault comes first, and behind which part"},
        {DIFF_INTEL, "d9 /4;d9 /6;dd /4;dd /6;", bits16_and_64, PART_ALL,
                "x87 environments: whether 66 or REX.W decides of the size"},
        {DIFF_INTEL, "0f ae /1;0f ae /5;d9 /4;dd /4;", x87_summary, PART_X87,
                "whether ES and B of a status word are loaded or follow from its exceptions"},
        {DIFF_INTEL, "d9 /r;dc /r;dd /r;de /r;df /r;", x87_alias, PART_ALL,
                "x87 encodings that are not documented"},
        {DIFF_INTEL, "db e8 +r;db f0 +r;df e8 +r;df f0 +r;db /r;df /r;", both_x87, PART_FLAGS,
                "FCOMI with an unmasked exception leaves RFLAGS"},
        {DIFF_INTEL, NULL, both_x87, PART_X87,
                "x87 exceptions that are not masked: what else has changed, such as the top of the stack"},
        {DIFF_INTEL, NULL, both_float, PART_MXCSR,
                "SSE exceptions that are not masked: which flags of others are set, too"},
        {DIFF_INTEL, "v3a.66 00 /r ib;v3a.66 01 /r ib;", native_invalid, PART_ALL,
                "VPERMQ, VPERMPD with VEX.W0"},
        {DIFF_INTEL, "d9 /2;d9 /3;db /1;db /2;db /3;db /7;dd /1;dd /2;dd /3;df /1;df /2;df /3;df /6;df /7;",
                x87_store_prevented, PART_ALL,
                "an exception that is not masked keeps an x87 store from looking at its operand"},
        {DIFF_INTEL, "db /7;df /6;", both_memory, PART_DATA,
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

static bool listed(const char *const *hosts, const char *host)
{
	for (; *hosts; hosts++)
		if (!strcmp(*hosts, host))
			return true;
	return false;
}

bool diff_excused(const char *const *hosts, const struct diff_case *c, const struct diff_result *n,
        const struct diff_result *s, unsigned parts)
{
	for (struct rule *r = rules; r < rules + sizeof(rules) / sizeof(rules[0]); r++) {
		if (!(parts & r->loose) || (r->host && !listed(hosts, r->host)) ||
		        (r->forms && !named(r->forms, c->form)) || !r->when(c, n, s))
			continue;
		r->met++;
		parts &= ~r->loose;
	}
	return !parts;
}

void diff_excuses_print(void)
{
	for (const struct rule *r = rules; r < rules + sizeof(rules) / sizeof(rules[0]); r++)
		if (r->met)
			printf("left to %s, %llu times: %s\n", r->host ? r->host : "each processor",
			        (unsigned long long)r->met, r->reason);
}

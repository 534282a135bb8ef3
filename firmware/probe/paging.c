/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paging: rights, error codes, accessed and dirty bits at each level, in tables of two levels, PAE and four
 * levels. Everything is mapped one to one by large pages, TEST_PAGE by a table of its own.
 */
#include "chapters.h"

#define P         1
#define W         2
#define U         4
#define A         0x20
#define D         0x40
#define LARGE     0x80
#define HIGH(bit) ((u64)1 << (bit))
#define NX        HIGH(63)

#define CR0_WP   0x10000
#define CR4_PSE  0x10
#define CR4_PAE  0x20
#define CR4_SMEP 0x100000
#define CR4_SMAP 0x200000

CODE(access_read, "mov (%" TEXT(REG(bx)) "), %al");
CODE(access_write, "mov %al, (%" TEXT(REG(bx)) ")");
CODE(access_exec, "jmp *%" TEXT(REG(bx)));
CODE(access_modify, "lock incl (%" TEXT(REG(bx)) ")");
CODE(access_cross, "mov -2(%" TEXT(REG(bx)) "), %eax");
CODE(write_cross, "mov %eax, -2(%" TEXT(REG(bx)) ")");
CODE(string_cross, "cld\n mov $4, %ecx\n lea -2(%" TEXT(REG(bx)) "), %" TEXT(REG(di)) "\n rep stosb");
CODE(copy_cross, "cld\n mov $8, %ecx\n lea -2(%" TEXT(REG(bx)) "), %" TEXT(
                         REG(si)) "\n mov $0x86000, %edi\n rep movsb");
CODE(ins_cross,
        "cld\n mov $0x80, %edx\n mov $4, %ecx\n lea -2(%" TEXT(REG(bx)) "), %" TEXT(REG(di)) "\n rep insb");
CODE(outs_cross,
        "cld\n mov $0x80, %edx\n mov $4, %ecx\n lea -2(%" TEXT(REG(bx)) "), %" TEXT(REG(si)) "\n rep outsb");
CODE(stac_read, "stac\n mov (%" TEXT(REG(bx)) "), %al");
CODE(invlpg, "mov (%" TEXT(REG(bx)) "), %al\n movb $0x61, (%" TEXT(REG(si)) ")\n invlpg (%" TEXT(
                     REG(bx)) ")\n movb $1, (%" TEXT(REG(bx)) ")");

/* How the test page is mapped: its entry and the one above; what else is set. */
struct mapping {
	u64 leaf, upper;
	u32 cr0, cr4; /* added */
	bool nxe;
};

enum levels { TWO, PAE, FOUR };

static u64 entry_get(enum levels levels, word table, word index)
{
	return levels == TWO ? get32((void *)(table + index * 4)) : *(volatile u64 *)(table + index * 8);
}

static void entry_set(enum levels levels, word table, word index, u64 value)
{
	if (levels == TWO)
		put32((void *)(table + index * 4), (u32)value);
	else
		*(volatile u64 *)(table + index * 8) = value;
}

/* Where the directory is that holds the upper entry, and its index. */
static word directory(enum levels levels)
{
	return PAGES_TEST + (levels == TWO ? 0 : levels == PAE ? 0x1000 : 0x2000);
}

static word upper_index(enum levels levels)
{
	return TEST_PAGE >> (levels == TWO ? 22 : 21);
}

#define TABLE (PAGES_TEST + 0x8000)

static void tables_make(enum levels levels, const struct mapping *m, u32 all)
{
	unsigned shift = levels == TWO ? 22 : 21, count = levels == TWO ? 1024 : 2048;

	for (word at = PAGES_TEST; at < PAGES_TEST + 0x9000; at += 4)
		put32((void *)at, 0);
	for (u32 i = 0; i < count; i++)
		entry_set(levels, directory(levels), i, (u64)i << shift | all | LARGE | A | D);
	for (u32 i = 0; levels != TWO && i < 4; i++)
		entry_set(levels, PAGES_TEST + (levels == FOUR ? 0x1000 : 0), i,
		        (directory(levels) + i * 0x1000) | P | (levels == FOUR ? U | W : 0));
	if (levels == FOUR)
		entry_set(levels, PAGES_TEST, 0, (PAGES_TEST + 0x1000) | P | W | U);
	for (u32 i = 0; i < 512; i++)
		entry_set(levels, TABLE, i, (TEST_PAGE + i * 0x1000) | all);
	entry_set(levels, TABLE, 0, TEST_PAGE | m->leaf);
	entry_set(levels, directory(levels), upper_index(levels),
	        (m->upper & LARGE ? TEST_PAGE : TABLE) | m->upper);
}

static void paging_on(enum levels levels, const struct mapping *m)
{
	word cr4 = CR4_START | m->cr4 | (levels == TWO ? CR4_PSE : CR4_PAE);

#ifdef __x86_64__
	msr_write(0xc0000080, m->nxe ? 0xd01 : 0x501);
#else
	msr_write(0xc0000080, m->nxe ? 0x800 : 0);
	cr4_write(cr4);
#endif
	cr3_write(PAGES_TEST);
	cr4_write(cr4);
	cr0_write((CR0_START & ~(word)CR0_WP) | 0x80000000 | m->cr0);
}

static void print_bits(u64 entry)
{
	print(entry & A ? " A" : " -");
	print(entry & D ? "D" : "-");
}

/*
 * Makes one access and prints how it ended. If it was made, prints A and D of the entries, too: after a fault
 * processors differ in these.
 */
static void access_run(enum levels levels, const struct mapping *m, const struct probe *probe)
{
	struct state s = {.ip = (word)probe->code,
	        .bx = TEST_PAGE + probe->bx,
	        .si = TABLE,
	        .flags = 2 | probe->flags,
	        .cs = probe->ring ? SEL_CODE3 : SEL_CODE,
	        .ss = probe->ring ? SEL_DATA3 : SEL_DATA,
	        .ds = probe->ring ? SEL_DATA3 : SEL_DATA,
	        .es = probe->ring ? SEL_DATA3 : SEL_DATA,
	        .sp = probe->ring ? STACK_3 : STACK_0};

	machine_reset();
	put16((void *)TEST_PAGE, 0x20cd); /* INT VECTOR_DONE */
	put16((void *)(TEST_PAGE - 2), 0);
	tables_make(levels, m, probe->ring ? P | W | U : P | W);
	paging_on(levels, m);
	probe_enter(&s);
	probe_print_event(probe, &probe_seen);
	if (probe_seen.cx)
		print_named("cx", probe_seen.cx);
	if (probe_seen.vector == VECTOR_DONE)
		print_bits(entry_get(levels, directory(levels), upper_index(levels)));
	if (probe_seen.vector == VECTOR_DONE && !(m->upper & LARGE))
		print_bits(entry_get(levels, TABLE, 0));
#ifndef __x86_64__
	cr0_write(CR0_START);
#endif
}

/* ---- every combination of present, writable and user ---- */

static const struct {
	const char *name;
	const u8 *code;
} accesses[] = {{"read", access_read}, {"write", access_write}, {"execute", access_exec}};

static void rights(enum levels levels, unsigned ring, bool protect)
{
	for (size_t i = 0; i < COUNT(accesses); i++)
		for (u32 bits = 0; bits < 8; bits++) {
			struct probe probe = {.code = accesses[i].code, .ring = (u8)ring};
			struct mapping m = {.leaf = bits, .upper = P | W | U, .cr0 = protect ? CR0_WP : 0};

			print(ring ? "ring 3, " : "ring 0, ");
			print(protect ? "WP, " : "");
			print(accesses[i].name);
			print(bits & P ? ", P" : ", -");
			print(bits & W ? "W" : "-");
			print(bits & U ? "U:" : "-:");
			access_run(levels, &m, &probe);
			print("\n");
		}
}

/* ---- cases with names ---- */

#define ALL (P | W | U)
#define UP  .upper = ALL

static const struct special {
	const char *name;
	const u8 *code;
	struct mapping m;
	u8 ring;
	u32 flags;
	bool wide; /* not in two levels */
} specials[] = {
        {"upper level not present", access_read, {.leaf = ALL}, 0, 0, false},
        {"upper level not writable", access_write, {.leaf = ALL, .upper = P | U, .cr0 = CR0_WP}, 0, 0, false},
        {"upper level not writable in ring 3", access_write, {.leaf = ALL, .upper = P | U}, 3, 0, false},
        {"upper level not user", access_read, {.leaf = ALL, .upper = P | W}, 3, 0, false},
        {"locked increment of read only", access_modify, {.leaf = P | U, UP, .cr0 = CR0_WP}, 0, 0, false},
        {"locked increment", access_modify, {.leaf = ALL, UP}, 3, 0, false},
        {"read across, second not present", access_cross, {.leaf = 0, UP}, 0, 0, false},
        {"write across, second read only", write_cross, {.leaf = P, UP, .cr0 = CR0_WP}, 0, 0, false},
        {"STOS across, second not present", string_cross, {.leaf = 0, UP}, 0, 0, false},
        {"MOVS across, second not present", copy_cross, {.leaf = 0, UP}, 0, 0, false},
        {"INS across, second not present", ins_cross, {.leaf = 0, UP}, 0, 0, false},
        {"INS across, second read only", ins_cross, {.leaf = P, UP, .cr0 = CR0_WP}, 0, 0, false},
        {"OUTS across, second not present", outs_cross, {.leaf = 0, UP}, 0, 0, false},
        {"INVLPG", invlpg, {.leaf = P | W, UP}, 0, 0, false},
        {"large page", access_write, {.upper = ALL | LARGE}, 3, 0, false},
        {"large page, read only", access_write, {.upper = P | U | LARGE}, 3, 0, false},
        {"large page, not user", access_exec, {.upper = P | W | LARGE}, 3, 0, false},
        {"large page, reserved bit", access_read, {.upper = ALL | LARGE | 0x200000}, 0, 0, false},
        {"SMEP", access_exec, {.leaf = ALL, UP, .cr4 = CR4_SMEP}, 0, 0, false},
        {"SMEP, not present", access_exec, {.leaf = 0, UP, .cr4 = CR4_SMEP}, 0, 0, false},
        {"SMEP, supervisor's page", access_exec, {.leaf = P, UP, .cr4 = CR4_SMEP}, 0, 0, false},
        {"SMAP, read", access_read, {.leaf = ALL, UP, .cr4 = CR4_SMAP}, 0, 0, false},
        {"SMAP, write", access_write, {.leaf = ALL, UP, .cr4 = CR4_SMAP}, 0, 0, false},
        {"SMAP, read with AC", access_read, {.leaf = ALL, UP, .cr4 = CR4_SMAP}, 0, FLAG_AC, false},
        {"SMAP, STAC", stac_read, {.leaf = ALL, UP, .cr4 = CR4_SMAP}, 0, 0, false},
        {"SMAP, supervisor's page", access_write, {.leaf = P | W, UP, .cr4 = CR4_SMAP}, 0, 0, false},
        {"SMAP, execute", access_exec, {.leaf = ALL, UP, .cr4 = CR4_SMAP}, 0, 0, false},
        {"NX, read", access_read, {.leaf = ALL | NX, UP, .nxe = true}, 0, 0, true},
        {"NX, execute", access_exec, {.leaf = ALL | NX, UP, .nxe = true}, 0, 0, true},
        {"NX, execute in ring 3", access_exec, {.leaf = ALL | NX, UP, .nxe = true}, 3, 0, true},
        {"NX above, execute", access_exec, {.leaf = ALL, .upper = ALL | NX, .nxe = true}, 3, 0, true},
        {"NX in a large page, execute", access_exec, {.upper = ALL | LARGE | NX, .nxe = true}, 3, 0, true},
        {"NX and not present, execute", access_exec, {.leaf = NX, UP, .nxe = true}, 0, 0, true},
        {"no NXE, NX set", access_read, {.leaf = ALL | NX, UP}, 0, 0, true},
        {"no NXE, not present, execute", access_exec, {.leaf = 0, UP}, 0, 0, true},
        {"reserved address bit", access_read, {.leaf = ALL | HIGH(51), UP}, 0, 0, true},
        {"reserved address bit, write in ring 3", access_write, {.leaf = ALL | HIGH(51), UP}, 3, 0, true},
        {"reserved address bit above", access_exec, {.leaf = ALL, .upper = ALL | HIGH(51), .nxe = true}, 0, 0,
                true},
        {"reserved address bit, not present", access_read, {.leaf = HIGH(51), UP}, 0, 0, true},
};

#ifdef __x86_64__
/* Entries above all other mappings: a page of 1 GiB, and entries that the upper levels must not have. */
static const struct {
	const char *name;
	const u8 *code;
	u64 pml4, pdpt;
} giants[] = {
        {"page of 1 GiB", access_write, ALL, ALL | LARGE},
        {"page of 1 GiB, read only", access_write, P, ALL | LARGE},
        {"page of 1 GiB, reserved bit", access_read, ALL, ALL | LARGE | 0x2000},
        {"page of 1 GiB, execute with NX", access_exec, ALL, ALL | LARGE | NX},
        {"PS in the highest level", access_read, ALL | LARGE, ALL | LARGE},
        {"NX in the highest level", access_exec, ALL | NX, ALL | LARGE},
        {"third level not present", access_read, ALL, 0},
};

static void giant(void)
{
	for (size_t i = 0; i < COUNT(giants); i++) {
		const struct mapping m = {.leaf = ALL, .upper = ALL, .nxe = true, .cr0 = CR0_WP};
		const struct probe probe = {.code = giants[i].code};
		struct state s = {.ip = (word)probe.code,
		        .bx = ((word)1 << 39) + TEST_PAGE, /* entry 1 of the highest level */
		        .flags = 2,
		        .cs = SEL_CODE,
		        .ss = SEL_DATA,
		        .ds = SEL_DATA,
		        .sp = STACK_0};

		machine_reset();
		put16((void *)TEST_PAGE, 0x20cd);
		tables_make(FOUR, &m, P | W);
		entry_set(FOUR, PAGES_TEST, 1, (PAGES_TEST + 0x7000) | giants[i].pml4);
		entry_set(FOUR, PAGES_TEST + 0x7000, 0, giants[i].pdpt);
		paging_on(FOUR, &m);
		print(giants[i].name);
		print(":");
		probe_enter(&s);
		probe_print_event(&probe, &probe_seen);
		print("\n");
	}
}
#endif

static void named(enum levels levels)
{
	for (size_t i = 0; i < COUNT(specials); i++) {
		const struct special *s = &specials[i];
		struct probe probe = {.code = s->code, .ring = s->ring, .flags = s->flags};

		if (s->wide && levels == TWO)
			continue;
		print(s->name);
		print(":");
		access_run(levels, &s->m, &probe);
		print("\n");
	}
}

static void all(const char *name, enum levels levels)
{
	print("[paging, ");
	print(name);
	print("]\n");
	rights(levels, 0, false);
	rights(levels, 0, true);
	rights(levels, 3, true);
	named(levels);
}

static void run(void)
{
#ifdef __x86_64__
	all("four levels", FOUR);
	giant();
#else
	all("two levels", TWO);
	all("PAE", PAE);
#endif
}

const struct chapter chapter_paging = {"paging", NULL, 0, run};

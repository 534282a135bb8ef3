/* SPDX-License-Identifier: Apache-2.0 */
/*
 * code: the cache of decoded blocks. A block is a run of instructions that ends at a branch; it has at most
 * BLOCK_MAX instructions, all in one page. An instruction that crosses pages is a block of its own. Each
 * vCPU has its own cache, so threads share nothing here.
 *
 *    CS:RIP, linear                          guest-physical address and mode
 *         |                                             |
 *         v                                             v
 *    +----------+  not there    cpu_exec_     +--------------------+  not there   decode_run()
 *    |  jumps   | ----------->  translate() ->|  hash of blocks    | -----------> puts a block into
 *    +----------+                             +--------------------+              the arena
 *         | linear and tag are equal             | are its bytes those in memory?
 *         v                                      v
 *       block  <---------------------------------+
 *
 *    arena: | block, operations, bytes | block, operations, bytes | ...   when it is full, all is dropped
 *
 * The tag of a jump is the value of cpu.exec_tag at its time. cpu.exec_tag changes with everything that
 * makes all jumps stale at once: a change of translations, of the mode or of the privilege, or an event
 * after which bytes may not be current. So the cache never has to be searched for stale jumps.
 *
 * Code may be written at any time. A vCPU sees its own writes at once: the page is slow in its TLB (mmu.c),
 * and cpu_code_written() drops the blocks of the page. Nobody reports the writes of other vCPUs and of the
 * VMM, so they are found by comparing. cpu_code_serialize() starts a new epoch after each event that orders
 * such writes, and a block of an older epoch is compared with memory before it runs again.
 */
#include "decode.h"
#include "internal.h"
#include "native.h"

#define HASH_SIZE   16384u
#define PAGE_HASH   4096u
#define ARENA_BYTES MIB(8)
#define BLOCK_MAX   32u /* instructions; an interrupt waits for at most so many */
#define NO_PAGE     (~(u64)0)
/* After so many instructions, bytes are compared again even if no event ordered a write. */
#define SERIALIZE_INTERVAL 262144u
/* A loop that waits (PAUSE) makes the vCPU compare bytes at most once in so many instructions. */
#define LAZY_INTERVAL 4096u

struct block_ref {
	struct cpu_block *block;
	struct block_ref *next;
};

/* A guest page from which blocks were decoded. granules has a bit for each 64 bytes that a block uses. */
struct code_page {
	u64 gpa, granules;
	struct block_ref *blocks;
	struct code_page *next;
};

struct cpu_code {
	struct cpu_jump jumps[JUMP_ENTRIES];
	struct cpu_block *hash[HASH_SIZE];
	struct code_page *pages[PAGE_HASH];
	u64 generation, epoch, next_serialize;
	size_t used;
	_Alignas(16) u8 arena[ARENA_BYTES];
};

int cpu_code_create(struct cpu *cpu, struct err *err)
{
	/* Pages of the cache take no memory until they are used. */
	cpu->code = calloc(1, sizeof(*cpu->code));
	if (!cpu->code)
		return err_set(err, ERR_FAILED, "no memory for the cache of decoded instructions");
	cpu->code->generation = 1;
	cpu->code->epoch = 1;
	cpu_code_forget_jumps(cpu);
	return 0;
}

void cpu_code_destroy(struct cpu *cpu)
{
	free(cpu->code);
	cpu->code = NULL;
}

void cpu_code_forget_jumps(struct cpu *cpu)
{
	cpu->code->generation++;
	cpu->exec_tag = cpu->code->generation * 2 + (cpu->cpl == 3);
}

void cpu_code_privilege_changed(struct cpu *cpu)
{
	cpu->exec_tag = cpu->code->generation * 2 + (cpu->cpl == 3);
}

void cpu_code_serialize(struct cpu *cpu)
{
	cpu->code->epoch++;
	cpu->code->next_serialize = cpu->icount + SERIALIZE_INTERVAL;
	cpu_code_forget_jumps(cpu);
}

void cpu_code_serialize_lazily(struct cpu *cpu)
{
	if (cpu->icount + SERIALIZE_INTERVAL - cpu->code->next_serialize >= LAZY_INTERVAL)
		cpu_code_serialize(cpu);
}

static void forget_all(struct cpu_code *code)
{
	memset(code->hash, 0, sizeof(code->hash));
	memset(code->pages, 0, sizeof(code->pages));
	code->used = 0;
}

void cpu_code_forget_blocks(struct cpu *cpu)
{
	forget_all(cpu->code);
	cpu->saved_op = NULL; /* another operation may come to lie there */
	if (cpu->native)
		cpu->native->forget(cpu);
	cpu_code_forget_jumps(cpu);
}

static void *arena_take(struct cpu_code *code, size_t size)
{
	void *p = code->arena + code->used;

	code->used += (size + 15) & ~(size_t)15;
	return p;
}

static unsigned hash_of(u64 gpa, u32 mode)
{
	u64 mixed = (gpa ^ (u64)mode << 40) * 0x9e3779b97f4a7c15u;

	return (unsigned)(mixed >> 50) % HASH_SIZE;
}

/* ---- pages ---- */

static struct code_page **page_slot(const struct cpu_code *code, u64 gpa)
{
	struct code_page *const *at = &code->pages[(gpa >> 12) % PAGE_HASH];

	while (*at && (*at)->gpa != gpa)
		at = &(*at)->next;
	return (struct code_page **)(uintptr_t)at;
}

bool cpu_code_in_page(const struct cpu *cpu, u64 gpa)
{
	const struct code_page *page = *page_slot(cpu->code, gpa & ~(u64)0xfff);

	return page && page->granules;
}

static u64 granules_of(u64 gpa, unsigned size)
{
	unsigned first = (gpa >> 6) & 63, last = (unsigned)((gpa + size - 1) >> 6) & 63;

	return (~(u64)0 << first) & (~(u64)0 >> (63 - last));
}

static void page_add(struct cpu *cpu, struct cpu_block *block, u64 gpa, unsigned size)
{
	struct cpu_code *code = cpu->code;
	struct code_page **at = page_slot(code, gpa & ~(u64)0xfff);
	struct block_ref *ref = arena_take(code, sizeof(*ref));

	if (!*at) {
		*at = arena_take(code, sizeof(**at));
		**at = (struct code_page){.gpa = gpa & ~(u64)0xfff};
	}
	if (!(*at)->granules)
		cpu_tlb_protect(cpu, (*at)->gpa);
	(*at)->granules |= granules_of(gpa, size);
	*ref = (struct block_ref){.block = block, .next = (*at)->blocks};
	(*at)->blocks = ref;
}

static void block_kill(struct cpu_code *code, struct cpu_block *block)
{
	struct cpu_block **at = &code->hash[hash_of(block->gpa, block->mode)];

	while (*at && *at != block)
		at = &(*at)->next;
	if (*at)
		*at = block->next;
	block->dead = true;
}

void cpu_code_written(struct cpu *cpu, u64 gpa, unsigned size)
{
	struct code_page *page = *page_slot(cpu->code, gpa & ~(u64)0xfff);

	if (!page || !(page->granules & granules_of(gpa, size)))
		return;
	if (cpu->native && cpu->native->code_written)
		cpu->native->code_written(cpu);
	for (struct block_ref *ref = page->blocks; ref; ref = ref->next)
		block_kill(cpu->code, ref->block);
	page->blocks = NULL;
	page->granules = 0;
	cpu_code_forget_jumps(cpu);
	/* If the block is stale now, the instruction that runs is the last one to run of it. */
	if (cpu->op && cpu->block->dead)
		cpu->op_end = cpu->op + 1;
}

/* ---- blocks ---- */

/*
 * Copies 15 bytes at linear, which cross into a second page. Leaves with CPU_EXIT_FAILED if that is not RAM.
 */
static unsigned fetch_crossing(
        struct cpu *cpu, u64 linear, const u8 *host, u8 bytes[static 16], u64 *ret_gpa2)
{
	unsigned first = 4096 - (unsigned)(linear & 0xfff), second = 15 - first;
	u64 next = (linear & ~(u64)0xfff) + 4096;
	const u8 *more = cpu_exec_translate(cpu, mode_is(cpu, MODE_64) ? next : (u32)next, ret_gpa2);

	ram_copy(bytes, host, first);
	if (!more)
		cpu_leave_failed(cpu, "code outside guest RAM", *ret_gpa2);
	ram_copy(bytes + first, more, second);
	return 15;
}

/* Returns whether memory still has the bytes from which the block was decoded. */
static bool block_current(struct cpu *cpu, struct cpu_block *block, u64 linear, const u8 *host)
{
	u8 bytes[16];
	u64 gpa2;

	if (block->gpa2 != NO_PAGE) {
		fetch_crossing(cpu, linear, host, bytes, &gpa2);
		return gpa2 == block->gpa2 && ram_equal(bytes, block->bytes, block->bytes_size);
	}
	return block->epoch == cpu->code->epoch || ram_equal(host, block->bytes, block->bytes_size);
}

static unsigned decode_run(const struct cpu *cpu, const u8 *bytes, unsigned size, struct cpu_op *ops)
{
	unsigned offset = 0, count = 0;
	bool end = false;

	while (count < BLOCK_MAX && !end && offset < size) {
		unsigned len = cpu_decode(cpu, bytes + offset, size - offset, offset, &ops[count], &end);

		if (!len)
			break;
		offset += len;
		count++;
	}
	return count;
}

/*
 * Copies the bytes once and decodes the copy. Another processor may write the memory meanwhile, and the
 * operations must belong to the bytes that are kept for comparison.
 */
static struct cpu_block *block_build(struct cpu *cpu, u64 linear, u64 gpa, const u8 *host)
{
	struct cpu_code *code = cpu->code;
	unsigned left = 4096 - (unsigned)(gpa & 0xfff), size;
	struct cpu_block *block;
	u8 bytes[BLOCK_MAX * 15], crossing[16];
	const u8 *from = bytes;
	u64 gpa2 = NO_PAGE;

	if (code->used + sizeof(*block) + BLOCK_MAX * (sizeof(struct cpu_op) + 16) + 1024 > ARENA_BYTES) {
		cpu_code_forget_blocks(cpu);
	}
	block = (struct cpu_block *)(void *)(code->arena + code->used);
	*block = (struct cpu_block){.gpa = gpa, .mode = cpu->mode, .epoch = code->epoch};
	size = left < sizeof(bytes) ? left : sizeof(bytes);
	ram_copy(bytes, host, size);
	block->count = (u16)decode_run(cpu, bytes, size, block->ops);
	if (!block->count) {
		bool end;

		fetch_crossing(cpu, linear, bytes, crossing, &gpa2);
		cpu_decode(cpu, crossing, 15, 0, block->ops, &end);
		block->count = 1;
		from = crossing;
	}
	size = block->ops[block->count - 1].next;
	block->gpa2 = gpa2;
	block->bytes_size = (u16)size;
	arena_take(code, sizeof(*block) + block->count * sizeof(struct cpu_op));
	block->bytes = arena_take(code, size);
	memcpy(block->bytes, from, size);
	page_add(cpu, block, gpa, size < left ? size : left);
	if (gpa2 != NO_PAGE)
		page_add(cpu, block, gpa2, size - left);
	block->next = code->hash[hash_of(gpa, block->mode)];
	code->hash[hash_of(gpa, block->mode)] = block;
	return block;
}

struct cpu_jump *cpu_code_jumps(struct cpu *cpu)
{
	return cpu->code->jumps;
}

bool cpu_code_again(struct cpu *cpu, struct cpu_block *block, u64 linear)
{
	const u8 *host;
	u64 gpa;

	if (cpu->icount >= cpu->code->next_serialize || block->dead || block->mode != cpu->mode)
		return false;
	host = cpu_exec_translate(cpu, linear, &gpa);
	if (!host || block->gpa != gpa || !block_current(cpu, block, linear, host))
		return false;
	block->epoch = cpu->code->epoch;
	return true;
}

struct cpu_block *cpu_code_find(struct cpu *cpu, u64 linear)
{
	struct cpu_code *code = cpu->code;
	struct cpu_block *block;
	const u8 *host;
	u64 gpa;

	if (cpu->icount >= code->next_serialize)
		cpu_code_serialize(cpu);
	host = cpu_exec_translate(cpu, linear, &gpa);
	if (!host)
		cpu_leave_failed(cpu, "code outside guest RAM", gpa);
	block = code->hash[hash_of(gpa, cpu->mode)];
	while (block && (block->gpa != gpa || block->mode != cpu->mode))
		block = block->next;
	if (block && !block_current(cpu, block, linear, host)) {
		block_kill(code, block);
		block = NULL;
	}
	if (!block) {
		if (cpu->toil >= CPU_TOIL_MAX)
			cpu_leave(cpu, CPU_EXIT_DEADLINE);
		block = block_build(cpu, linear, gpa, host);
		cpu->toil += CPU_TOIL_BLOCK;
	}
	block->epoch = code->epoch;
	cpu->code->jumps[cpu_jump_index(linear)] =
	        (struct cpu_jump){.linear = linear, .tag = cpu->exec_tag, .block = block};
	return block;
}

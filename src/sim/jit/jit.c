/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jit: the memory of native code, and the translators that use it.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include <pthread.h>

#include "both.h"
#include "shadow.h"

#define PLACES_MAX 32 /* addresses at which a block is native: a guest may map its page at any number */

struct jit_pool {
	int fd;
	unsigned count;
	u8 *write;            /* CODE_BYTES for each processor */
	u8 *execute;          /* the same bytes; between two pieces lie SLOTS_BYTES that can be written */
	pthread_mutex_t lock; /* protects used */
	bool *used;
};

#define PIECE_BYTES (CODE_BYTES + SLOTS_BYTES)

/* ---- the pool ---- */

static int map_code(struct jit_pool *pool, struct err *err)
{
	size_t code = CODE_BYTES * (size_t)pool->count, all = PIECE_BYTES * (size_t)pool->count;

	pool->fd = memfd_create("native-code", MFD_CLOEXEC);
	if (pool->fd < 0 || ftruncate(pool->fd, (off_t)code) < 0)
		return err_sys(err, ERR_HOST, errno, "memory for native code");
	pool->write = mmap(NULL, code, PROT_READ | PROT_WRITE, MAP_SHARED, pool->fd, 0);
	pool->execute =
	        mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (pool->write == MAP_FAILED || pool->execute == MAP_FAILED)
		return err_sys(err, ERR_HOST, errno, "memory for native code");
	for (unsigned i = 0; i < pool->count; i++)
		if (mmap(pool->execute + PIECE_BYTES * (size_t)i, CODE_BYTES, PROT_READ | PROT_EXEC,
		            MAP_SHARED | MAP_FIXED, pool->fd, (off_t)(CODE_BYTES * (size_t)i)) == MAP_FAILED)
			return err_sys(err, ERR_HOST, errno, "executable memory for native code");
	return 0;
}

void jit_pool_destroy(struct jit_pool *pool)
{
	if (!pool)
		return;
	if (pool->write != MAP_FAILED)
		munmap(pool->write, CODE_BYTES * (size_t)pool->count);
	if (pool->execute != MAP_FAILED)
		munmap(pool->execute, PIECE_BYTES * (size_t)pool->count);
	if (pool->fd >= 0)
		close(pool->fd);
	pthread_mutex_destroy(&pool->lock);
	free(pool->used);
	free(pool);
}

struct jit_pool *jit_pool_create(unsigned count, struct err *err)
{
	struct jit_pool *pool = calloc(1, sizeof(*pool));

	if (!pool) {
		(void)err_sys(err, ERR_FAILED, ENOMEM, "memory for native code");
		return NULL;
	}
	*pool = (struct jit_pool){.fd = -1, .count = count, .write = MAP_FAILED, .execute = MAP_FAILED};
	pthread_mutex_init(&pool->lock, NULL);
	pool->used = calloc(count, sizeof(*pool->used));
	if (!pool->used || map_code(pool, err) < 0) {
		jit_pool_destroy(pool);
		return NULL;
	}
	jit_rows_prepare();
	return pool;
}

static bool take_piece(struct jit_pool *pool, unsigned *ret_index)
{
	unsigned i = 0;
	bool found;

	pthread_mutex_lock(&pool->lock);
	while (i < pool->count && pool->used[i])
		i++;
	found = i < pool->count;
	if (found)
		pool->used[i] = true;
	pthread_mutex_unlock(&pool->lock);
	*ret_index = i;
	return found;
}

static void give_piece(struct jit_pool *pool, unsigned index)
{
	pthread_mutex_lock(&pool->lock);
	pool->used[index] = false;
	pthread_mutex_unlock(&pool->lock);
}

/* ---- a translator ---- */

static struct jit *jit_of(const struct cpu *cpu)
{
	return (struct jit *)(uintptr_t)cpu->native;
}

static void forget(struct cpu *cpu)
{
	struct jit *jit = jit_of(cpu);

	jit->code_used = jit->code_start;
	jit->data_used = jit->data_start;
	jit->fault_count = 0;
	jit->generation++;
	memset(jit->targets, 0, JUMP_ENTRIES * sizeof(*jit->targets));
}

/* Returns the block's code for an address, or NULL. */
static struct jit_code *find_code(const struct jit *jit, const struct cpu_block *block, u64 linear)
{
	struct jit_code *code = block->native_generation == jit->generation ? block->native : NULL;

	while (code && code->linear != linear)
		code = code->next;
	return code;
}

struct jit_code *jit_code_of(struct cpu *cpu, struct cpu_block *block, u64 linear)
{
	struct jit *jit = jit_of(cpu);
	struct jit_code *code;
	unsigned places = 0;

	if (block->native_generation != jit->generation) {
		block->native = NULL;
		block->native_generation = jit->generation;
	}
	for (code = block->native; code; code = code->next, places++)
		if (code->linear == linear)
			return code;
	if (places == PLACES_MAX)
		return NULL;
	if (block->heat < jit->heat) {
		block->heat++;
		return NULL;
	}
	cpu->toil += CPU_TOIL_BLOCK;
	code = jit_translate(jit, block, linear);
	if (!code) {
		forget(cpu);
		block->native = NULL;
		block->native_generation = jit->generation;
		code = jit_translate(jit, block, linear);
	}
	code->next = block->native;
	block->native = code;
	return code;
}

static bool run(struct cpu *cpu, struct cpu_block *block, u64 linear)
{
	const struct jit_code *code = jit_code_of(cpu, block, linear);

	if (!code)
		return false;
	jit_of(cpu)->thunks.enter(cpu, code->entry);
	return true;
}

/* When the search for the block drops all blocks, the slot is gone; the block that is then made has no code.
 */
const u8 *jit_resolve(struct cpu *cpu, struct jit_slot *slot)
{
	struct jit *jit = jit_of(cpu);
	u64 linear = cpu->gpr[CPU_GPR_RIP];

	if (!(cpu->mode & MODE_64) || jit->both)
		return NULL;
	if (!slot)
		slot = &jit->targets[cpu_jump_index(linear)];
	if (slot->linear != linear || !slot->block || !cpu_code_again(cpu, slot->block, linear)) {
		struct cpu_block *block = cpu_code_find(cpu, linear);
		const struct jit_code *code = find_code(jit, block, linear);

		if (!code)
			return NULL;
		*slot = (struct jit_slot){.entry = code->entry, .linear = linear, .block = block};
	}
	slot->tag = cpu->exec_tag;
	return slot->entry;
}

static uintptr_t detour(const struct cpu *cpu, uintptr_t rip)
{
	const struct jit *jit = jit_of(cpu);
	uintptr_t at = rip - (uintptr_t)jit->code;
	u32 low = 0, high = jit->fault_count;

	if (at >= CODE_BYTES)
		return 0;
	while (low < high) {
		u32 middle = low + (high - low) / 2;

		if (jit->faults[middle].at < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low < jit->fault_count && jit->faults[low].at == at
	               ? (uintptr_t)jit->code + jit->faults[low].detour
	               : 0;
}

static void destroy(struct cpu *cpu)
{
	struct jit *jit = jit_of(cpu);

	give_piece(jit->pool, jit->index);
	jit_both_destroy(jit->both);
	free(jit->faults);
	free(jit);
	cpu->native = NULL;
}

static u64 aux_of(unsigned ah)
{
	struct cpu cpu;

	flags_arith_set(&cpu, ah & 0xd5);
	return cpu.flag_aux;
}

static void prepare_data(struct jit *jit)
{
	u64 *table = (void *)jit->data;

	for (unsigned ah = 0; ah < 256; ah++)
		table[ah] = aux_of(ah);
	jit->aux_table = table;
	jit->targets = (void *)(jit->data + 4096);
	jit->data_start = jit->data_used = 4096 + JUMP_ENTRIES * sizeof(*jit->targets);
}

bool jit_attach(struct jit_pool *pool, struct cpu *cpu, uint32_t heat)
{
	struct jit *jit = calloc(1, sizeof(*jit));
	struct emit e;

	if (!jit)
		return false;
	jit->faults = malloc(FAULTS_MAX * sizeof(*jit->faults));
	if (!jit->faults || !take_piece(pool, &jit->index)) {
		free(jit->faults);
		free(jit);
		return false;
	}
	jit->native = (struct cpu_native){.run = run, .forget = forget, .detour = detour, .destroy = destroy};
	jit->pool = pool;
	jit->heat = heat;
	jit->generation = 1;
	jit->write = pool->write + CODE_BYTES * (size_t)jit->index;
	jit->code = pool->execute + PIECE_BYTES * (size_t)jit->index;
	jit->data = jit->code + CODE_BYTES;
	prepare_data(jit);
	e = (struct emit){.at = jit->write, .there = jit->code - jit->write};
	jit_thunks_emit(jit, &e);
	jit->code_start = jit->code_used = (size_t)(e.at - jit->write);
	cpu->native = &jit->native;
	forget(cpu);
	return true;
}

bool jit_compare(struct cpu *cpu)
{
	struct jit *jit = jit_of(cpu);

	jit->both = jit_both_create(cpu);
	if (!jit->both)
		return false;
	jit->native.run = jit_both_run;
	jit->native.code_written = jit_shadow_end_trial;
	return true;
}

void jit_add_counts(const struct cpu *cpu, struct jit_counts *sum)
{
	if (cpu->native && jit_of(cpu)->both)
		jit_both_counts(jit_of(cpu)->both, sum);
}

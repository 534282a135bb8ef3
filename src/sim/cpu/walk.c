/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk: the one page walker. It translates linear to guest-physical addresses, checks rights, and sets
 * accessed and dirty bits (APM 2, 5). It also reads the C-bit of memory encryption (APM 2, 15.34.5); tables
 * and code are private whatever the C-bit says.
 */
#include "walk.h"

#define PTE_P  1u
#define PTE_W  2u
#define PTE_U  4u
#define PTE_A  0x20u
#define PTE_D  0x40u
#define PTE_PS 0x80u
#define PTE_NX ((u64)1 << 63)

#define PTE_ADDRESS 0x000ffffffffff000u

#define ERROR_P    1u
#define ERROR_U    4u
#define ERROR_RSVD 8u

/* One walk in progress: the entries that it met, for the accessed bits, and the rights so far. */
struct path {
	const struct cpu *cpu;
	u64 c_bit;
	bool viewed;     /* otherwise tables are read from the VMM's memory */
	u64 *entries[4]; /* NULL: it is in a register, or in memory that cannot be written */
	u64 addresses[4];
	u64 values[4];
	unsigned count;
	bool writable, user, executable;
	bool private;
	enum cpu_view table; /* the first view of a table that is not good */
	bool no_table;       /* a table has no memory */
	u64 gpa;             /* of the page, or of a bad table */
	u32 error;
	unsigned shift;
};

static void *table_host(const struct cpu *cpu, bool viewed, u64 gpa, unsigned size, bool write,
        bool *ret_readonly, enum cpu_view *ret_view)
{
	const struct cpu_slot *slot = cpu_slot_find(cpu->map, gpa & ~(u64)(size - 1));
	const struct cpu_bus *bus = cpu->bus;
	u8 *page;

	if (slot)
		*ret_readonly = slot->flags & CPU_SLOT_READONLY;
	if (unlikely(viewed)) {
		*ret_view = bus->view(cpu->ctx, slot, gpa & ~(u64)0xfff, true, write, &page);
		return *ret_view != CPU_VIEW_GOOD || !page ? NULL : page + (gpa & 0xfff);
	}
	return slot ? slot->host + (gpa - slot->gpa) : NULL;
}

void *cpu_table_host(
        const struct cpu *cpu, u64 gpa, unsigned size, bool *ret_readonly, enum cpu_view *ret_view)
{
	return table_host(cpu, cpu->bus->viewed, gpa, size, false, ret_readonly, ret_view);
}

static void *entry_host(struct path *path, u64 gpa, unsigned size, bool write, bool *ret_readonly)
{
	enum cpu_view view = CPU_VIEW_GOOD;
	void *host = table_host(path->cpu, path->viewed, gpa, size, write, ret_readonly, &view);

	if (view != CPU_VIEW_GOOD && path->table == CPU_VIEW_GOOD) {
		path->table = view;
		path->gpa = gpa & ~(u64)0xfff;
	}
	path->no_table |= !host;
	return host;
}

/* Reads an entry. A table outside RAM reads as zeros, which are not present. */
static u64 entry_read(struct path *path, u64 gpa)
{
	bool readonly = false;
	u64 *host = entry_host(path, gpa, 8, false, &readonly);
	u64 value = host ? __atomic_load_n(host, __ATOMIC_RELAXED) : 0;

	path->entries[path->count] = readonly ? NULL : host;
	path->addresses[path->count] = gpa;
	path->values[path->count++] = value;
	return value;
}

static u64 reserved_bits(const struct path *path, unsigned level, bool large)
{
	const struct cpu *cpu = path->cpu;
	u64 reserved = PTE_ADDRESS & ~cpu->bus->phys_mask & ~path->c_bit;

	if (!(cpu->efer & EFER_NXE))
		reserved |= PTE_NX;
	if (!mode_is(cpu, MODE_LONG))
		reserved |= 0x7ff0000000000000u;
	if (level == 4 || (level == 3 && !(cpu->features & FEATURE_GB_PAGES)))
		reserved |= PTE_PS;
	if (large)
		reserved |= level == 2 ? 0x1fe000 : 0x3fffe000;
	return reserved;
}

/*
 * Walks tables of 512 entries of 8 bytes, from the given level down. False: the walk is refused, and error
 * says why.
 */
static bool walk_wide(struct path *path, u64 linear, u64 table, unsigned level)
{
	for (;; level--) {
		unsigned shift = 12 + 9 * (level - 1);
		u64 entry = entry_read(path, table + ((linear >> shift) & 511) * 8);
		bool large = level > 1 && level < 4 && entry & PTE_PS;

		if (!(entry & PTE_P))
			return false;
		if (entry & reserved_bits(path, level, large)) {
			path->error |= ERROR_P | ERROR_RSVD;
			return false;
		}
		path->writable &= !!(entry & PTE_W);
		path->user &= !!(entry & PTE_U);
		path->executable &= !(entry & PTE_NX);
		table = entry & PTE_ADDRESS & ~path->c_bit;
		if (level == 1 || large) {
			u64 offset = linear & (((u64)1 << shift) - 1);

			path->gpa = (table & ~(((u64)1 << shift) - 1)) | (offset & ~(u64)0xfff);
			path->private = entry & path->c_bit;
			path->shift = shift;
			return true;
		}
	}
}

static bool walk_pae(struct path *path, u64 linear)
{
	u64 entry = path->cpu->pdpte[(linear >> 30) & 3];

	return entry & PTE_P && walk_wide(path, linear, entry & PTE_ADDRESS & ~path->c_bit, 2);
}

static u32 entry_read32(struct path *path, u64 gpa)
{
	bool readonly = false;
	u32 *host = entry_host(path, gpa, 4, false, &readonly);
	u32 value = host ? __atomic_load_n(host, __ATOMIC_RELAXED) : 0;

	path->entries[path->count] = readonly ? NULL : (u64 *)(void *)host;
	path->addresses[path->count] = gpa;
	path->values[path->count++] = value;
	path->writable &= !!(value & PTE_W);
	path->user &= !!(value & PTE_U);
	return value;
}

/*
 * Walks the two-level tables of 32-bit entries, with 4 MiB pages if CR4.PSE is set. They have no C-bit, so
 * all pages are private.
 */
static bool walk_narrow(struct path *path, u64 linear)
{
	u32 entry = entry_read32(path, (path->cpu->cr3 & 0xfffff000) + ((linear >> 22) & 1023) * 4);

	path->private = true;
	if (!(entry & PTE_P))
		return false;
	if (entry & PTE_PS && path->cpu->cr4 & CR4_PSE) {
		path->shift = 22;
		path->gpa = (entry & 0xffc00000) | (u64)(entry & 0x1fe000) << 19 | (linear & 0x3ff000);
		if (entry & 0x200000 || path->gpa & ~path->cpu->bus->phys_mask) {
			path->error |= ERROR_P | ERROR_RSVD;
			return false;
		}
		return true;
	}
	entry = entry_read32(path, (entry & 0xfffff000) + ((linear >> 12) & 1023) * 4);
	path->shift = 12;
	path->gpa = entry & 0xfffff000;
	return entry & PTE_P;
}

static bool permitted(const struct cpu *cpu, const struct path *path, const struct walk_query *query)
{
	if (query->user && !path->user)
		return false;
	if (query->access == ACCESS_WRITE && !path->writable && (query->user || cpu->cr0 & CR0_WP))
		return false;
	if (query->access == ACCESS_EXEC)
		return path->executable && (query->user || !path->user || !(cpu->cr4 & CR4_SMEP));
	return query->user || !path->user || !query->smap;
}

/*
 * Sets A in all entries and D in the leaf, each atomically; an entry that cannot be written stays. False: an
 * entry changed meanwhile, and the walk must be repeated.
 */
static bool mark_used(struct path *path, bool write, bool narrow)
{
	for (unsigned i = 0; i < path->count; i++) {
		u64 old = path->values[i], new = old | PTE_A | (write && i + 1 == path->count ? PTE_D : 0);
		bool readonly;

		if (new == old || !path->entries[i])
			continue;
		if (path->viewed) /* it was read through a view for reading */
			path->entries[i] =
			        entry_host(path, path->addresses[i], narrow ? 4 : 8, true, &readonly);
		if (!path->entries[i])
			continue;
		if (!ram_replace(path->entries[i], &old, new, narrow ? 4 : 8))
			return false;
		path->values[i] = new;
	}
	return true;
}

static u32 fault_error(const struct cpu *cpu, const struct walk_query *query, u32 error)
{
	bool fetch_told = cpu->cr4 & CR4_SMEP || (cpu->efer & EFER_NXE && cpu->cr4 & CR4_PAE);

	if (query->access == ACCESS_EXEC)
		return error | (query->user ? ERROR_U : 0) | (fetch_told ? ACCESS_EXEC : 0);
	return error | (query->user ? ERROR_U : 0) | query->access;
}

static bool walk_tables(struct path *path, u64 linear)
{
	const struct cpu *cpu = path->cpu;

	if (!(cpu->cr4 & CR4_PAE))
		return walk_narrow(path, linear);
	if (mode_is(cpu, MODE_LONG))
		return walk_wide(path, linear, cpu->cr3 & PTE_ADDRESS & ~path->c_bit, 4);
	return walk_pae(path, linear);
}

/* Always returns false. */
static bool refused(const struct path *path, const struct walk_query *query, u32 error, struct walk *ret)
{
	*ret = (struct walk){.error = fault_error(path->cpu, query, error),
	        .table = path->table,
	        .no_table = path->no_table,
	        .gpa = path->gpa};
	return false;
}

bool cpu_walk(const struct cpu *cpu, u64 linear, const struct walk_query *query, struct walk *ret)
{
	struct path path;

	if (!(cpu->cr0 & CR0_PG)) {
		*ret = (struct walk){
		        .gpa = linear & 0xfffff000, .shift = 12, .writable = true, .private = true};
		return true;
	}
	do {
		path = (struct path){.cpu = cpu,
		        .c_bit = query->peek ? 0 : cpu->bus->c_bit,
		        .viewed = !query->peek && cpu->bus->viewed,
		        .writable = true,
		        .user = true,
		        .executable = true};
		if (!walk_tables(&path, linear) || path.table != CPU_VIEW_GOOD)
			return refused(&path, query, path.error, ret);
		if (!permitted(cpu, &path, query))
			return refused(&path, query, ERROR_P, ret);
	} while (!query->peek && !mark_used(&path, query->access == ACCESS_WRITE, !(cpu->cr4 & CR4_PAE)));
	if (path.table != CPU_VIEW_GOOD)
		return refused(&path, query, 0, ret);

	*ret = (struct walk){.gpa = path.gpa,
	        .shift = (u8)path.shift,
	        .private = path.private || query->access == ACCESS_EXEC};
	ret->writable =
	        (path.writable || !(query->user || cpu->cr0 & CR0_WP)) && path.values[path.count - 1] & PTE_D;
	return true;
}

struct translation {
	u64 linear;
	struct walk walk;
	bool valid;
};

static void translate(struct cpu *cpu, void *arg)
{
	struct walk_query query = {.access = ACCESS_READ, .peek = true};
	struct translation *t = arg;

	t->valid = cpu_walk(cpu, t->linear, &query, &t->walk);
}

bool cpu_translate(struct cpu *cpu, uint64_t linear, uint64_t *ret_gpa)
{
	struct translation t = {.linear = linear};

	if (!cpu_look(cpu, translate, &t) || !t.valid)
		return false;
	*ret_gpa = t.walk.gpa | (linear & 0xfff);
	return true;
}

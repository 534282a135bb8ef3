/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shadow: see shadow.h. The processor asks the bus for each page that it uses if guest memory has views
 * (cpu_bus.view), so a bus of our own gives it copies, also of page tables. Other callbacks end the trial,
 * but for those that only tell what the processor is.
 */
#include "shadow.h"

static _Thread_local struct shadow *current; /* while a trial runs */

static _Noreturn void end_trial(struct shadow *shadow)
{
	longjmp(*shadow->cpu->unwind, SHADOW_ENDED);
}

void jit_shadow_end_trial(struct cpu *cpu)
{
	if (current)
		end_trial(current);
}

/* ---- pages ---- */

static unsigned add_page(struct shadow *s, const u8 *host, u64 gpa)
{
	unsigned i = s->count;

	if (i == SHADOW_PAGES)
		end_trial(s);
	ram_copy(s->now[i], host, 4096); /* may find that the memory is missing, and end the trial */
	s->pages[i].host = host;
	s->pages[i].gpa = gpa;
	s->pages[i].copy = SHADOW_PAGES;
	s->count++;
	return i;
}

/* Until now the page was only read. */
static void make_writable(struct shadow *s, unsigned i)
{
	unsigned copy = s->written++;

	s->pages[i].copy = copy;
	s->of[copy] = i;
	memcpy(s->before[copy], s->now[i], 4096);
	memcpy(s->after[copy], s->now[i], 4096);
}

static u8 *page_of(struct shadow *s, const u8 *host, u64 gpa, bool write)
{
	unsigned i = 0;

	while (i < s->count && s->pages[i].host != host)
		i++;
	if (i == s->count)
		i = add_page(s, host, gpa);
	if (write && s->pages[i].copy == SHADOW_PAGES)
		make_writable(s, i);
	return s->now[i];
}

/* Asks for the page as the real run will, with the same effect on the real TLB. */
static void ask_view(
        struct shadow *s, const struct cpu_slot *slot, u64 gpa, bool private, bool write, u8 **host)
{
	struct cpu *cpu = s->cpu;

	if (s->real->view(cpu->ctx, slot, gpa, private, write, host) != CPU_VIEW_GOOD)
		end_trial(s);
	cpu->tlb = s->real_tlb;
	cpu_tlb_take_view(cpu, gpa, private, *host);
	cpu->tlb = &s->tlb;
}

static enum cpu_view view(
        void *ctx, const struct cpu_slot *slot, uint64_t gpa, bool private, bool write, uint8_t **ret_host)
{
	u8 *host = slot ? slot->host + (gpa - slot->gpa) : NULL;
	struct shadow *s = current;

	if (s->real->viewed)
		ask_view(s, slot, gpa, private, write, &host);
	*ret_host = host ? page_of(s, host, gpa, write) : NULL;
	return CPU_VIEW_GOOD;
}

void jit_shadow_rewind(struct shadow *s, bool keep)
{
	for (unsigned copy = 0; copy < s->written; copy++) {
		u8 *now = s->now[s->of[copy]];

		if (keep)
			memcpy(s->after[copy], now, 4096);
		memcpy(now, s->before[copy], 4096);
	}
}

const u8 *jit_shadow_difference(const struct shadow *s, u64 *ret_at, const u8 **ret_kept)
{
	for (unsigned copy = 0; copy < s->written; copy++) {
		const u8 *now = s->now[s->of[copy]], *kept = s->after[copy];
		unsigned at = 0;

		if (memcmp(now, kept, 4096) == 0)
			continue;
		while (now[at] == kept[at])
			at++;
		*ret_at = s->pages[s->of[copy]].gpa + at;
		*ret_kept = kept + at;
		return now + at;
	}
	return NULL;
}

void jit_shadow_forget_translations(struct shadow *s)
{
	for (unsigned set = 0; set < TLB_SETS; set++) {
		for (unsigned i = 0; s->tlb.used[set] && i < TLB_ENTRIES; i++)
			s->tlb.set[set][i].read = s->tlb.set[set][i].write = TLB_NONE;
		s->tlb.used[set] = s->tlb.large[set] = false;
	}
	s->tlb.shared = 0;
}

/* ---- the bus ---- */

static bool no_access(void *ctx, bool write, uint64_t gpa, uint32_t size, void *data)
{
	end_trial(current);
}

static bool no_port(void *ctx, bool write, uint16_t port, uint32_t size, void *data)
{
	end_trial(current);
}

static bool no_msr(void *ctx, bool write, uint32_t index, uint64_t *value)
{
	end_trial(current);
}

static bool no_dirtied(void *ctx, const struct cpu_slot *slot, uint64_t page)
{
	end_trial(current);
}

static uint64_t no_tsc(void *ctx)
{
	end_trial(current);
}

static uint8_t no_cr8_read(void *ctx)
{
	end_trial(current);
}

static void no_cr8_write(void *ctx, uint8_t tpr)
{
	end_trial(current);
}

static enum cpu_view no_rmp(void *ctx, const struct cpu_slot *slot, struct cpu_rmp_call *call)
{
	end_trial(current);
}

/* Callbacks that are NULL, or that only tell what the processor is, are those of the real bus. */
static void make_bus(struct shadow *s)
{
	const struct cpu_bus *real = s->real;
	struct cpu_bus *bus = &s->bus;

	bus->phys_mask = real->phys_mask;
	bus->io = no_port;
	bus->mmio = no_access;
	bus->msr = real->msr ? no_msr : NULL;
	bus->msr_allowed = real->msr_allowed;
	bus->msr_known = real->msr_known;
	bus->msr_intercepted = real->msr_intercepted;
	bus->msr_exits = real->msr_exits;
	bus->dirtied = real->dirtied ? no_dirtied : NULL;
	bus->tsc = real->tsc ? no_tsc : NULL;
	bus->fixes_vmcall = real->fixes_vmcall;
	bus->cr8_read = real->cr8_read ? no_cr8_read : NULL;
	bus->cr8_write = real->cr8_write ? no_cr8_write : NULL;
	bus->c_bit = real->c_bit;
	bus->viewed = true;
	bus->view = view;
	bus->rmp = real->rmp ? no_rmp : NULL;
	bus->has_rmpquery = real->has_rmpquery;
	atomic_store_explicit(&bus->map, atomic_load(&real->map), memory_order_relaxed);
	atomic_store_explicit(&bus->fails_to_vmm, atomic_load(&real->fails_to_vmm), memory_order_relaxed);
	atomic_store_explicit(&bus->quirks_off, atomic_load(&real->quirks_off), memory_order_relaxed);
}

/* ---- life ---- */

void jit_shadow_enter(struct shadow *s)
{
	struct cpu *cpu = s->cpu;
	ptrdiff_t set = cpu->tlb_now - cpu->tlb->set[0];

	s->real = cpu->bus;
	s->real_tlb = cpu->tlb;
	s->count = s->written = 0;
	make_bus(s);
	jit_shadow_forget_translations(s);
	cpu->bus = &s->bus;
	cpu->tlb = &s->tlb;
	cpu->tlb_now = s->tlb.set[0] + set;
	current = s;
}

/* The caller gives the processor its real memory back, with all other state. */
void jit_shadow_leave(struct shadow *s)
{
	current = NULL;
}

struct shadow *jit_shadow_create(struct cpu *cpu)
{
	struct shadow *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->cpu = cpu;
	memset(s->tlb.used, true, sizeof(s->tlb.used));
	for (unsigned i = 0; i < EXEC_ENTRIES; i++)
		s->tlb.exec[i].tag = 2;
	s->now = calloc(3 * SHADOW_PAGES, 4096);
	if (!s->now) {
		free(s);
		return NULL;
	}
	s->before = s->now + SHADOW_PAGES;
	s->after = s->before + SHADOW_PAGES;
	return s;
}

void jit_shadow_destroy(struct shadow *s)
{
	if (!s)
		return;
	free(s->now);
	free(s);
}

/*
 * walk: the page walker, for mmu.c.
 */
#ifndef SIM_CPU_WALK_H
#define SIM_CPU_WALK_H

#include "internal.h"

struct walk_query {
	enum access access;
	bool user; /* as CPL 3 */
	bool smap; /* a supervisor's data access to a user page is refused */
	bool peek; /* no accessed and dirty bits */
};

struct walk {
	u64 gpa;       /* of the page of 4 KiB */
	u32 error;     /* of #PF, if refused */
	u8 shift;      /* log2 of the bytes of the page in the tables */
	bool writable; /* a write of the same privilege may follow without another walk */
	bool private;  /* under memory encryption: with the C-bit */
	bool fault;    /* if refused: a table at gpa may not be private */
};

/* linear is canonical. False: #PF with error, or fault. */
bool sim_walk(const struct sim_cpu *cpu, u64 linear, const struct walk_query *query, struct walk *ret);
/* Where size bytes at gpa are, as page tables are read: NULL if there is no memory, or *ret_fault. */
void *sim_table_host(const struct sim_cpu *cpu, u64 gpa, unsigned size, bool *ret_readonly, bool *ret_fault);

#endif

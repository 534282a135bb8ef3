/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shadow: guest memory for trials (both.c). A trial is a run of a block that nobody outside the processor
 * notices: it works on copies of the pages that it touches, with a TLB of its own, and it ends where it would
 * ask a device or the platform. All of it runs on the vCPU's thread.
 */
#ifndef JIT_SHADOW_H
#define JIT_SHADOW_H

#include "cpu/internal.h"

#define SHADOW_PAGES 64u

struct shadow {
	struct cpu_bus bus; /* in place of the real one */
	struct cpu_tlb tlb;
	struct cpu *cpu;
	struct cpu_bus *real;
	struct cpu_tlb *real_tlb;
	unsigned count, written; /* pages; those that may be written */
	struct {
		const u8 *host; /* of the real page */
		u64 gpa;
		unsigned copy; /* in before and after, if it is below written */
	} pages[SHADOW_PAGES];
	u8 (*now)[4096];           /* each page, as the trial that runs sees it */
	u8 (*before)[4096];        /* those that may be written, as they were */
	u8 (*after)[4096];         /* and as the first of two trials has left them */
	unsigned of[SHADOW_PAGES]; /* the page that before and after are about */
};

/* NULL: there is no memory. */
struct shadow *jit_shadow_create(struct cpu *cpu) MUST_CHECK;
void jit_shadow_destroy(struct shadow *shadow); /* NULL is allowed */

/* Between these two the processor has the shadow's memory. No page is copied yet. */
void jit_shadow_enter(struct shadow *shadow);
void jit_shadow_leave(struct shadow *shadow);
/* Forgets translations, but not the copies. */
void jit_shadow_forget_translations(struct shadow *shadow);
/* Gives all pages their bytes from before the first trial. With keep, what is there now is kept. */
void jit_shadow_rewind(struct shadow *shadow, bool keep);
/* Looks for a page that is not now as it was kept; NULL: there is none. *ret_at is the first byte in it. */
const u8 *jit_shadow_difference(const struct shadow *shadow, u64 *ret_at, const u8 **ret_kept);

/* setjmp(*cpu->unwind) returns this when a trial ended at something that only the real run may do. */
#define SHADOW_ENDED 3
/* Ends the trial; does nothing outside of one. */
void jit_shadow_end_trial(struct cpu *cpu);

#endif

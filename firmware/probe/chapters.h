/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chapters: the chapters of tests that each image consists of.
 */
#ifndef PROBE_CHAPTERS_H
#define PROBE_CHAPTERS_H

#include "probe.h"

extern const struct chapter chapter_segment, chapter_gate, chapter_system, chapter_refused, chapter_paging,
        chapter_event, chapter_shutdown, chapter_sysenter;
extern const struct chapter chapter_limit, chapter_task, chapter_virtual, chapter_narrow, chapter_real,
        chapter_modes, chapter_modes_refused, chapter_syscall;                /* of 32 bits alone */
extern const struct chapter chapter_long, chapter_long_refused, chapter_fast; /* of 64 bits alone */

#if defined PROBE_REFUSED && defined __x86_64__
#define CHAPTERS &chapter_refused, &chapter_long_refused
#elif defined PROBE_REFUSED
#define CHAPTERS &chapter_refused, &chapter_modes_refused
#elif defined PROBE_SYSENTER
#define CHAPTERS &chapter_sysenter
#elif defined PROBE_SHUTDOWN
#define CHAPTERS &chapter_shutdown
#elif defined __x86_64__
#define CHAPTERS \
	&chapter_segment, &chapter_gate, &chapter_system, &chapter_long, &chapter_fast, &chapter_event, \
	        &chapter_paging
#else
#define CHAPTERS \
	&chapter_real, &chapter_segment, &chapter_limit, &chapter_gate, &chapter_narrow, &chapter_task, \
	        &chapter_system, &chapter_sysenter, &chapter_syscall, &chapter_modes, &chapter_virtual, \
	        &chapter_event, &chapter_paging
#endif

#endif

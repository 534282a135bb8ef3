/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main: every chapter's tests in their order, then the end.
 */
#include "chapters.h"

static const struct chapter *const chapters[] = {CHAPTERS};

static void run_chapter(const struct chapter *chapter)
{
	if (chapter->count) {
		print("[");
		print(chapter->name);
		print("]\n");
	}
	for (size_t i = 0; i < chapter->count; i++)
		probe_run(&chapter->probes[i]);
	if (chapter->run)
		chapter->run();
}

void probe_main(void);
void probe_main(void)
{
	out8(0x21, 0xff);
	out8(0xa1, 0xff);
	for (size_t i = 0; i < COUNT(chapters); i++)
		run_chapter(chapters[i]);
	print("[end]\n");
	power_off();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_script: the file of `vmm run --expect`, and what a guest writes while it is carried out, from hostile
 * bytes: the script ends at the first NUL, the rest is output. The error for a refused file names a place in
 * it; an accepted script has texts within its bounds; a step is found at most once in the same output, and
 * nothing outside the screen is touched.
 */
#include <string.h>

#include "../../src/run/script.h"
#include "fuzz.h"

static void check_steps(const struct run_script *script)
{
	fuzz_assert(script->count > 0 && script->count <= RUN_SCRIPT_STEPS_MAX);
	for (size_t i = 0; i < script->count; i++) {
		const struct run_script_step *step = &script->steps[i];

		fuzz_assert(step->line > 0 && step->text_count <= RUN_SCRIPT_TEXTS_MAX);
		fuzz_assert((step->kind == RUN_SCRIPT_EXPECT || step->kind == RUN_SCRIPT_SEND) ==
		            (step->text_count > 0));
		for (unsigned k = 0; k < step->text_count; k++)
			fuzz_assert(step->texts[k].size > 0 && step->texts[k].size <= RUN_SCRIPT_TEXT_MAX);
	}
}

static void play(const struct run_script *script, const uint8_t *data, size_t size)
{
	static struct run_script_screen screen;
	char tail[4000] = "";
	size_t at = 0;
	FILE *out = fmemopen(tail, sizeof(tail), "w");

	screen = (struct run_script_screen){0};
	while (size) {
		size_t n = run_script_show(&screen, data, size);

		fuzz_assert(n > 0 && n <= size && screen.used <= sizeof(screen.text));
		data += n;
		size -= n;
		while (at < script->count && (script->steps[at].kind == RUN_SCRIPT_SEND ||
		                                     run_script_find(&screen, &script->steps[at])))
			at++;
		fuzz_assert(screen.seen <= screen.used);
	}
	if (!out)
		return;
	run_script_tail(&screen, out);
	for (size_t i = 0; i < script->count; i++)
		run_script_name(&script->steps[i], out);
	fclose(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, 0, size);
	size_t length = end ? (size_t)(end - data) : size;
	struct run_script *script;
	struct err err;

	if (run_script_parse("file", (const char *)data, length, &script, &err) < 0) {
		fuzz_assert(err.kind == ERR_USAGE && strncmp(err.text, "file:", 5) == 0);
		return 0;
	}
	check_steps(script);
	play(script, data + length, size - length);
	run_script_destroy(script);
	return 0;
}

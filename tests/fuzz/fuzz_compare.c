/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_compare: a saved measurement, or a trace, from hostile bytes, compared with a real one. Whatever the
 * file holds, the message is plain text, and only a measurement with this digest is called the same.
 */
#include <string.h>

#include "../../src/cli/measure.h"
#include "../../src/launch/plan.h"
#include "fuzz.h"

static json_t *make_measurement(void)
{
	static struct launch_plan plan = {.type = CONFIG_SEV_SNP, .vcpus = 2, .hashed = true, .count = 5};
	static uint8_t image[2 * PAGE_SIZE_BYTES];
	const struct launch_vmsa vmsa = {.eip = LAUNCH_RESET_EIP, .sev_features = 1};
	json_t *measurement;
	struct err err;

	launch_vmsa_fill(&vmsa, &plan.bsp);
	plan.items[0] = (struct launch_item){
	        "firmware", ABI_PAGE_NORMAL, gpa(GIB(4) - sizeof(image)), sizeof(image), image, 0};
	plan.items[1] = (struct launch_item){"memory", ABI_PAGE_ZERO, gpa(0x800000), 0x3000, NULL, 0};
	plan.items[2] = (struct launch_item){
	        "kernel hashes", ABI_PAGE_NORMAL, gpa(0x810000), PAGE_SIZE_BYTES, plan.hash_page, 0};
	for (unsigned i = 0; i < plan.vcpus; i++)
		plan.items[3 + i] = (struct launch_item){
		        "VMSA", ABI_PAGE_VMSA, gpa(ABI_VMSA_GPA), sizeof(plan.bsp), &plan.bsp, i};
	fuzz_assert(cli_measure_make(&plan, true, &measurement, &err) == 0);
	return measurement;
}

static void check_sentences(const json_t *differences)
{
	fuzz_assert(json_is_array(differences));
	for (size_t i = 0; i < json_array_size(differences); i++) {
		const char *text = json_string_value(json_array_get(differences, i));

		fuzz_assert(text && *text);
		for (; *text; text++)
			fuzz_assert(*text >= ' ' && *text <= '~');
	}
}

static json_t *load(const char *text, size_t size, const json_t *now)
{
	struct err err = {0};
	json_t *then;

	if (!cli_measure_is_trace(text, size))
		return json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
	if (cli_measure_read_trace(text, size, "trace", now, &then, &err) == 0)
		return then;
	fuzz_assert(err.kind == ERR_USAGE);
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static json_t *now;
	json_t *then, *differences;
	struct err err = {0};

	if (!now)
		now = make_measurement();
	then = load((const char *)(data ?: (const uint8_t *)""), size, now);
	if (!then)
		return 0;
	if (cli_measure_compare(then, "saved", now, &differences, &err) < 0) {
		fuzz_assert(err.kind == ERR_USAGE);
	} else {
		check_sentences(differences);
		if (strcmp(cli_measure_text(then, "digest"), cli_measure_text(now, "digest")) != 0)
			fuzz_assert(json_array_size(differences) > 0);
		json_decref(differences);
	}
	json_decref(then);
	return 0;
}

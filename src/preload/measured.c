/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measured: the lines by which a trace tells what launches have measured, so that vmm measure --compare
 * (src/cli/measure_trace.c) finds the page or the register in which a launch differs. On the thread of the
 * call, with locks of the platform held.
 */
#include <string.h>

#include "preload.h"
#include "vmm/launch.h"

#define MARK_BYTES 8

/* A page by the first bytes of its SHA-256, "-" if its contents are not measured. */
static void tell_page(const struct sim_measured *m, size_t offset)
{
	size_t left = m->size_bytes - offset, size = left < PAGE_SIZE_BYTES ? left : PAGE_SIZE_BYTES;
	uint64_t gpa = m->gpa + offset;
	char mark[2 * MARK_BYTES + 1] = "-", line[120];
	uint8_t digest[SHA256_BYTES];

	if (m->data) {
		hash_sha256((const uint8_t *)m->data + offset, size, digest);
		hex_encode(digest, MARK_BYTES, mark);
	}
	snprintf(line, sizeof(line), "measured %s 0x%llx %zu %s\n", m->page, (unsigned long long)gpa, size,
	        mark);
	preload_trace(line);
}

static void tell_vmsa(const struct sim_measured *m)
{
	char line[4096] = "measured vmsa";
	size_t used = strlen(line);

	for (size_t i = 0; i < launch_vmsa_field_count; i++) {
		const struct launch_vmsa_field *f = &launch_vmsa_fields[i];
		unsigned long long value = load_le((const uint8_t *)m->data + f->offset, f->size);
		int size = snprintf(line + used, sizeof(line) - used, " %s=0x%llx", f->name, value);

		used += (size_t)size < sizeof(line) - used ? (size_t)size : 0;
	}
	preload_trace(line);
	preload_trace("\n");
}

static void tell_end(const struct sim_measured *m)
{
	char digest[2 * SHA384_BYTES + 1], line[160];

	hex_encode(m->digest, m->digest_bytes, digest);
	snprintf(line, sizeof(line), "measured %s guest, digest %s\n", m->guest, digest);
	preload_trace(line);
}

void preload_measured(const struct sim_measured *measured)
{
	if (!measured->page) {
		tell_end(measured);
	} else if (strcmp(measured->page, "vmsa") == 0) {
		tell_vmsa(measured);
	} else {
		for (size_t offset = 0; offset < measured->size_bytes; offset += PAGE_SIZE_BYTES)
			tell_page(measured, offset);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helper_forms: which forms of the helper's AES-256-GCM this processor can run.
 */
#ifndef VMM_TEST_HELPER_FORMS_H
#define VMM_TEST_HELPER_FORMS_H

#include <cpuid.h>

#include "gcm.h"

static const char *const form_names[GCM_FORMS] = {"plain", "AES-NI", "VAES"};

/* AVX2 also needs an operating system that keeps its registers, which the compiler's function knows. */
static inline bool form_runs(enum gcm_form form)
{
	const unsigned aesni = bit_AES | bit_PCLMUL | bit_SSSE3, vaes = bit_VAES | bit_VPCLMULQDQ;
	unsigned eax, ebx, ecx = 0, ecx7 = 0, edx;

	__get_cpuid(1, &eax, &ebx, &ecx, &edx);
	__get_cpuid_count(7, 0, &eax, &ebx, &ecx7, &edx);
	switch (form) {
	case GCM_AESNI: return (ecx & aesni) == aesni;
	case GCM_VAES: return (ecx7 & vaes) == vaes && __builtin_cpu_supports("avx2");
	default: return true;
	}
}

#define FOR_EACH_FORM(form) \
	for (enum gcm_form form = GCM_PLAIN; form < GCM_FORMS; form++) \
		if (form_runs(form))

#endif

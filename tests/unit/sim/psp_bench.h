/* SPDX-License-Identifier: Apache-2.0 */
/*
 * psp_bench: the helpers that the tests of the secure processor share: a processor and guests of each kind.
 */
#ifndef TEST_PSP_BENCH_H
#define TEST_PSP_BENCH_H

#include "support/test.h"

#include "psp/psp.h"

#define BENCH_SEED 0x5eed
#define BENCH_TCB  0xd315000000000a04 /* Milan's layout: microcode 211, snp 21, tee 10, bootloader 4 */

static inline struct psp_options bench_options(const char *product)
{
	return (struct psp_options){
	        .seed = BENCH_SEED,
	        .product = product,
	        .sev_major = 1,
	        .sev_minor = 55,
	        .sev_build = 29,
	        .snp_major = 1,
	        .snp_minor = 55,
	        .snp_build = 29,
	        .tcb = BENCH_TCB,
	        .asids = 16,
	        .es_asids = 8,
	        .vmsa_features = ABI_FEATURE_SNP | ABI_FEATURE_DEBUG_SWAP,
	};
}

static inline struct psp *bench_psp(const char *product)
{
	struct psp_options options = bench_options(product);
	struct psp *psp;
	struct err err;

	assert_ok(psp_create(&options, &psp, &err));
	return psp;
}

/* A code that a test does not expect is shown by number. */
#define assert_code(call, wanted) assert_int_equal((call), (wanted))

#endif

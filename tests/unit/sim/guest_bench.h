/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_bench: the guests of tests/abi for tests that check by assertions. Each test gets a platform: *state
 * is a struct abi.
 */
#ifndef GUEST_BENCH_H
#define GUEST_BENCH_H

#include "support/test.h"
#include "vmm/sim.h"

#include "../../abi/abi.h"

int guest_bench_setup(void **state);
int guest_bench_teardown(void **state);

#endif

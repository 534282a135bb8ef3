/*
 * diff: the same instruction bytes on the host's processor and on the software one. A case is a machine state
 * and code; both sides start from it, run to the INT3 behind the code or to a fault, and give back a result.
 */
#ifndef DIFF_H
#define DIFF_H

#include <stdbool.h>
#include <stdint.h>

/* Linear addresses, the same on both sides; what is not named here is not mapped. */
#define DIFF_CODE       0x10000000u /* two pages, filled with INT3 */
#define DIFF_CODE_BYTES 8192u
#define DIFF_DATA       0x10010000u /* one page, of which the window is used */
#define DIFF_DATA_BYTES 4096u
#define DIFF_BATCH      64

/* rax rcx rdx rbx rsp rbp rsi rdi r8..r15, as instructions number them */
struct diff_state {
	uint64_t gpr[16];
	uint64_t rip, rflags;
	uint8_t fxsave[512];
};

struct diff_case {
	struct diff_state start;
	bool mode32;
	uint8_t code[24];
	uint8_t code_size;
	uint8_t fpu;        /* compare the FXSAVE image: 0 not, 1 all, 2 without x87's pointers and opcode */
	uint32_t undefined; /* flags not to compare */
	const char *form;
};

struct diff_result {
	struct diff_state end;
	uint32_t vector, error;
	uint64_t cr2; /* of #PF */
	uint8_t data[DIFF_DATA_BYTES];
};

/* ---- cases.c ---- */

struct diff_random {
	uint64_t state;
};
uint64_t diff_random(struct diff_random *r);
/* features: bits of enum diff_feature that both sides have. */
void diff_generate(struct diff_random *r, uint32_t features, struct diff_case *ret_case);

enum diff_feature {
	DIFF_SSE3 = 1,
	DIFF_SSSE3 = 2,
	DIFF_SSE41 = 4,
	DIFF_SSE42 = 8,
	DIFF_POPCNT = 16,
	DIFF_MOVBE = 32,
	DIFF_LZCNT = 64,
	DIFF_BMI1 = 128,
	DIFF_ADX = 256,
	DIFF_MODE32 = 512,
};

/* ---- compare.c ---- */

/* Is n, of the host's processor, what s, of the software one, says? But for what the host's vendor defines.
 */
bool diff_equal(const struct diff_case *c, const struct diff_result *n, const struct diff_result *s);
const char *diff_host_vendor(void);
void diff_rules_print(void); /* those that were met, and how often */

/* ---- native.c ---- */

struct diff_native;
struct diff_native *diff_native_start(const char *program); /* the path of native_child */
/* The data page starts as data and goes on from case to case. */
bool diff_native_run(struct diff_native *n, const struct diff_case *cases, unsigned count,
        const uint8_t data[DIFF_DATA_BYTES], struct diff_result *ret_results);
void diff_native_stop(struct diff_native *n);

/* ---- soft.c ---- */

struct diff_soft;
struct diff_soft *diff_soft_start(void);
void diff_soft_run(struct diff_soft *s, const struct diff_case *c, uint8_t data[DIFF_DATA_BYTES],
        struct diff_result *ret_result);
void diff_soft_stop(struct diff_soft *s);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diff: the same instruction bytes on the host's processor and on the software one. A case is a machine state
 * and code; both sides start from it, run to the INT3 behind the code or to a fault, and give back a result.
 */
#ifndef DIFF_H
#define DIFF_H

#include <stdbool.h>
#include <stdint.h>

/* Linear addresses, the same on both sides. No other page is mapped. */
#define DIFF_CODE       0x10000000u /* two pages, filled with INT3 */
#define DIFF_CODE_BYTES 8192u
#define DIFF_DATA       0x10010000u /* one page, of which the window is used */
#define DIFF_DATA_BYTES 4096u
#define DIFF_GS         0x20000u /* GS's base in 64-bit mode */
#define DIFF_BATCH      128

/* rax rcx rdx rbx rsp rbp rsi rdi r8..r15, as instructions number them */
struct diff_state {
	uint64_t gpr[16];
	uint64_t rip, rflags;
	uint8_t fxsave[512];
	uint8_t ymm[256]; /* the upper halves */
};

/* Bytes of the data page to be set before the case; size 0: none. */
struct diff_poke {
	uint16_t at, size;
	uint8_t bytes[64];
};

struct diff_case {
	struct diff_state start;
	bool mode32;
	uint8_t code[24];
	uint8_t code_size;
	uint8_t fpu;        /* compare the FXSAVE image: 0 not, 1 all, 2 without x87's pointers and opcode */
	uint32_t undefined; /* flags not to compare */
	const char *form;
	struct diff_poke pokes[2];
};

struct diff_result {
	struct diff_state end;
	uint32_t vector, error;
	uint64_t cr2;          /* of #PF */
	uint64_t instructions; /* that the software processor counted */
};

/* ---- cases.c ---- */

struct diff_random {
	uint64_t state;
};
uint64_t diff_random(struct diff_random *r);
/* features: bits of enum diff_feature that both sides have; only: NULL, or the beginning of the form. */
void diff_generate(struct diff_random *r, uint32_t features, const char *only, struct diff_case *ret_case);

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
	DIFF_AES = 1024,
	DIFF_PCLMUL = 2048,
	DIFF_SHA = 4096,
	DIFF_SSE4A = 8192,
	DIFF_XSAVE = 16384,
	DIFF_XSAVEOPT = 32768,
	DIFF_XSAVEC = 65536,
	DIFF_CLFLUSHOPT = 1 << 17,
	DIFF_CLWB = 1 << 18,
	DIFF_MISALIGN = 1 << 19,
	DIFF_SPLIT_LOCK = 1 << 20, /* LOCK across cache lines costs no more than time */
	DIFF_BMI2 = 1 << 21,
	DIFF_AVX = 1 << 22,
	DIFF_AVX2 = 1 << 23,
	DIFF_VAES = 1 << 24,
	DIFF_VPCLMUL = 1 << 25,
	DIFF_FMA = 1 << 26,
	DIFF_F16C = 1 << 27,
};

/* ---- compare.c ---- */

/* The parts of a result that can differ. */
enum diff_part {
	PART_FAULT = 1, /* vector, error code, CR2, RIP */
	PART_GPR = 2,
	PART_FLAGS = 4,
	PART_XMM = 8,
	PART_X87 = 16,
	PART_DATA = 32, /* the data page, which the caller compares */
	PART_MXCSR = 64,
	PART_ALL = 127,
};

/*
 * Compares n, the result of the host's processor, with s, that of the software one. Returns bits of enum
 * diff_part.
 */
unsigned diff_compare(const struct diff_case *c, const struct diff_result *n, const struct diff_result *s);
/*
 * Does the host's processor differ in parts by its own definition? hosts: the kinds of host that it is, ended
 * by NULL: its vendor, as CPUID says, and DIFF_LA57. The parts that several rules excuse add up. Counts the
 * use of the rules. One thread at a time.
 */
#define DIFF_INTEL "GenuineIntel"
#define DIFF_LA57  "five levels of paging"
bool diff_excused(const char *const *hosts, const struct diff_case *c, const struct diff_result *n,
        const struct diff_result *s, unsigned parts);
void diff_excuses_print(void); /* those that were met, and how often */

/* ---- native.c ---- */

struct diff_native;
struct diff_native *diff_native_start(const char *program); /* the path of native_child */
/* Runs at most DIFF_BATCH cases, one after the other on the data page. False: the child is gone or hangs. */
bool diff_native_run(struct diff_native *n, const struct diff_case *cases, unsigned count,
        uint8_t data[DIFF_DATA_BYTES], struct diff_result *ret_results);
void diff_native_stop(struct diff_native *n);

/* ---- soft.c ---- */

struct diff_soft;
struct diff_soft *diff_soft_start(bool translated); /* by the translator, not the interpreter */
void diff_soft_run(struct diff_soft *s, const struct diff_case *cases, unsigned count,
        uint8_t data[DIFF_DATA_BYTES], struct diff_result *ret_results);
void diff_soft_stop(struct diff_soft *s);

#endif

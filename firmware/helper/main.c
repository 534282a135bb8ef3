/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main: the migration helper as a program on the vCPU of a mirror. It answers what waits in the ring, halts,
 * and goes on when the host enters it again. Every start begins with nothing but the owner's secret.
 * Law: APM vol. 2, 8.2 (exceptions), 15.34 (SEV).
 */
#include <string.h>

/* All of it is in this image: the compiler need not look for its addresses in a table. */
#pragma GCC visibility push(hidden)
#include "hkdf.h"
#include "ring.h"
#pragma GCC visibility pop

extern const uint8_t helper_stubs[], helper_secret[];
extern void helper_halt(void); /* entry.S: until the host enters again */
extern _Noreturn void helper_main(void);
extern _Noreturn void helper_crash(uint64_t vector, uint64_t error);

#define STUB_BYTES 16u
#define VECTORS    32u

/* All that the window reaches but the 2 MiB with the helper itself. */
static const struct helper_range ranges[] = {
        {0, HELPER_GAP_FIRST},
        {HELPER_GAP_END, HELPER_REACH_BYTES},
};

static struct helper helper;
static struct gate {
	uint16_t offset_0, selector, type, offset_16;
	uint32_t offset_32, reserved;
} gates[VECTORS];

static struct helper_ring *ring(void)
{
	return (struct helper_ring *)(HELPER_WINDOW + HELPER_RING_GPA);
}

static void catch_exceptions(void)
{
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} place = {sizeof(gates) - 1, (uintptr_t)gates};

	for (unsigned i = 0; i < VECTORS; i++) {
		uint64_t at = (uintptr_t)helper_stubs + (uintptr_t)i * STUB_BYTES;

		gates[i] = (struct gate){
		        .offset_0 = (uint16_t)at,
		        .selector = 8,
		        .type = 0x8e00, /* an interrupt gate */
		        .offset_16 = (uint16_t)(at >> 16),
		        .offset_32 = (uint32_t)(at >> 32),
		};
	}
	__asm__ volatile("lidt %0" ::"m"(place));
}

/* Nothing goes on after an exception, and the keys do not outlive it. The stack was wiped before. */
void helper_crash(uint64_t vector, uint64_t error)
{
	helper_wipe(&helper, sizeof(helper));
	ring()->error = (uint32_t)error;
	__atomic_store_n(&ring()->crashed, (uint32_t)vector + 1, __ATOMIC_RELEASE);
	for (;;)
		helper_halt();
}

void helper_main(void)
{
	catch_exceptions();
	helper_wipe(&helper, sizeof(helper));
	helper.ring = ring();
	helper.private_base = (uint8_t *)HELPER_WINDOW;
	helper.ranges = ranges;
	helper.range_count = sizeof(ranges) / sizeof(ranges[0]);
	helper.form = GCM_AESNI;
	helper.random = key_rdrand;
	helper.secret = helper_secret;
	for (;;) {
		while (helper_serve(&helper))
			;
		helper_halt();
	}
}

/* ---- what the compiler takes for granted ---- */

void *memcpy(void *to, const void *from, size_t size)
{
	void *at = to;

	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(size)::"memory");
	return to;
}

void *memset(void *to, int value, size_t size)
{
	void *at = to;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(size) : "a"(value) : "memory");
	return to;
}

void *memmove(void *to, const void *from, size_t size)
{
	uint8_t *out = to;
	const uint8_t *in = from;

	if ((uintptr_t)to - (uintptr_t)from >= size)
		return memcpy(to, from, size);
	while (size--) {
		out[size] = in[size];
		__asm__ volatile("" ::: "memory"); /* this is not to become a call of memmove() */
	}
	return to;
}

int memcmp(const void *one, const void *other, size_t size)
{
	const uint8_t *a = one, *b = other;

	for (size_t i = 0; i < size; i++) {
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	}
	return 0;
}

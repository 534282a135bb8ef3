/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ram: guest memory as the host sees it. Accesses have any alignment, and other processors and the VMM read
 * and write the memory meanwhile. The thread sanitizer reports a copy by libc with a frame of libc on top,
 * so the copies are here, and tests/support/tsan.supp knows the functions by name.
 *
 * The VMM may unmap or protect guest memory at any time, or cut off the file behind it. KVM_RUN must then
 * fail with EFAULT (Linux, arch/x86/kvm/mmu/mmu.c, kvm_handle_error_pfn()), and the process must live on. A
 * struct ram_guard says where to go on when the host's processor faults.
 */
#ifndef CPU_RAM_H
#define CPU_RAM_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef uint16_t unaligned16 __attribute__((aligned(1), may_alias));
typedef uint32_t unaligned32 __attribute__((aligned(1), may_alias));
typedef uint64_t unaligned64 __attribute__((aligned(1), may_alias));

/* Load and store 1, 2, 4 or 8 bytes at an address of any alignment; a load is zero-extended. */
static inline __attribute__((always_inline)) uint64_t ram_load(const void *at, unsigned size)
{
	return size == 8   ? *(const unaligned64 *)at
	       : size == 4 ? *(const unaligned32 *)at
	       : size == 2 ? *(const unaligned16 *)at
	                   : *(const uint8_t *)at;
}

static inline __attribute__((always_inline)) void ram_store(void *at, unsigned size, uint64_t value)
{
	if (size == 8)
		*(unaligned64 *)at = value;
	else if (size == 4)
		*(unaligned32 *)at = (uint32_t)value;
	else if (size == 2)
		*(unaligned16 *)at = (uint16_t)value;
	else
		*(uint8_t *)at = (uint8_t)value;
}

/*
 * While a guard is in force, a fault of this thread on host memory that the guard owns makes setjmp(*back)
 * return RAM_FAULT. The guard is no longer in force then, and ending it changes nothing. The code must not
 * hold a lock that the code behind setjmp() does not release. Guards nest. A fault that no guard owns ends
 * the process as it would without any guard.
 */
struct ram_guard {
	jmp_buf *back;
	bool (*owns)(const struct ram_guard *guard, uintptr_t address); /* the signal's handler calls it */
	/*
	 * Returns where the code that faulted at rip goes on in place of *back; 0: nowhere. NULL: as 0. The
	 * signal's handler calls it.
	 */
	uintptr_t (*detour)(const struct ram_guard *guard, uintptr_t rip);
	const void *start; /* for owns() and detour() */
	size_t size;
	struct ram_guard *outer;
};
#define RAM_FAULT 2

/* Takes SIGSEGV and SIGBUS again, if the program has set other handlers since the first guard took them. */
void cpu_ram_guard_prepare(void);
void cpu_ram_guard_begin(struct ram_guard *guard);
void cpu_ram_guard_end(struct ram_guard *guard); /* ends the guard that began last */

/*
 * Calls work(guest, arg), which accesses only size bytes of guest memory from there on. False: some of it is
 * missing, and the work is not done, or done in part. The work holds no lock.
 */
bool cpu_ram_try(void *guest, size_t size, void (*work)(uint8_t *guest, void *arg), void *arg);
/*
 * Copy size bytes from or to guest memory that may be missing. False: some of it is, and a part may be
 * copied.
 */
bool cpu_ram_try_read(void *to, const void *guest, size_t size);
bool cpu_ram_try_write(void *guest, const void *from, size_t size);
/* Returns whether the byte can be written. The byte keeps its value, whoever else writes it meanwhile. */
bool cpu_ram_try_touch(void *guest);

/* Causes the fault that an access to the byte would cause. */
static inline void ram_touch(void *guest, bool write)
{
	if (write)
		__asm__ volatile("lock orb $0, %0" : "+m"(*(uint8_t *)guest) : : "cc");
	else
		(void)*(const volatile uint8_t *)guest;
}

/*
 * Atomic operations on guest memory. Those of the thread sanitizer hold a lock of its runtime while they
 * access the memory, which may be missing; so these operations are hidden from it.
 */
#ifdef __SANITIZE_THREAD__
#define RAM_ATOMIC static __attribute__((noinline, unused, no_sanitize("thread")))
#else
#define RAM_ATOMIC static inline
#endif
#define DEFINE_RAM_ATOMIC(type, N) \
	RAM_ATOMIC bool ram_replace##N(type *at, type *old, type new) \
	{ \
		return __atomic_compare_exchange_n(at, old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
	} \
	RAM_ATOMIC type ram_exchange##N(type *at, type new) \
	{ \
		return __atomic_exchange_n(at, new, __ATOMIC_SEQ_CST); \
	} \
	RAM_ATOMIC type ram_add##N(type *at, type summand) \
	{ \
		return __atomic_fetch_add(at, summand, __ATOMIC_SEQ_CST); \
	}
DEFINE_RAM_ATOMIC(uint8_t, 8)
DEFINE_RAM_ATOMIC(uint16_t, 16)
DEFINE_RAM_ATOMIC(uint32_t, 32)
DEFINE_RAM_ATOMIC(uint64_t, 64)

/*
 * Writes new if the size bytes at `at`, which are aligned, equal *old. False: they do not; nothing is
 * written, and *old becomes their value.
 */
static inline __attribute__((always_inline)) bool ram_replace(
        void *at, uint64_t *old, uint64_t new, unsigned size)
{
	uint32_t old32 = (uint32_t)*old;
	uint16_t old16 = (uint16_t)*old;
	uint8_t old8 = (uint8_t)*old;
	bool replaced;

	switch (size) {
	case 8: return ram_replace64(at, old, new);
	case 4:
		replaced = ram_replace32(at, &old32, (uint32_t) new);
		*old = old32;
		break;
	case 2:
		replaced = ram_replace16(at, &old16, (uint16_t) new);
		*old = old16;
		break;
	default:
		replaced = ram_replace8(at, &old8, (uint8_t) new);
		*old = old8;
		break;
	}
	return replaced;
}

/* Exchange and add. Each returns the old value of the size bytes at `at`. */
static inline __attribute__((always_inline)) uint64_t ram_exchange(void *at, uint64_t new, unsigned size)
{
	switch (size) {
	case 8: return ram_exchange64(at, new);
	case 4: return ram_exchange32(at, (uint32_t) new);
	case 2: return ram_exchange16(at, (uint16_t) new);
	default: return ram_exchange8(at, (uint8_t) new);
	}
}

static inline __attribute__((always_inline)) uint64_t ram_add(void *at, uint64_t summand, unsigned size)
{
	switch (size) {
	case 8: return ram_add64(at, summand);
	case 4: return ram_add32(at, (uint32_t)summand);
	case 2: return ram_add16(at, (uint16_t)summand);
	default: return ram_add8(at, (uint8_t)summand);
	}
}

/* Copies size bytes from or to guest memory; the two ranges may overlap. */
static inline void ram_copy(void *to, const void *from, size_t size)
{
	memmove(to, from, size);
}

static inline void ram_fill(void *to, uint8_t value, size_t size)
{
	memset(to, value, size);
}

static inline bool ram_equal(const void *a, const void *b, size_t size)
{
	return memcmp(a, b, size) == 0;
}

#endif

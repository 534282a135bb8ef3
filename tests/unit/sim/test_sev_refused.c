/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A SEV guest whose pages cannot be decrypted, because vmm gets no memory for them: KVM_RUN says so, and the
 * guest goes on where it was once there is memory again. The program's allocations go through the functions
 * of this test, which refuse the later ones of a KVM_RUN. Linked with --wrap for those functions.
 */
#include <stdlib.h>

#include "sev/frames.h"
#include "sev_guest.h"

#define WORDS      0x10000u /* a word in each page of another slot, more pages than a processor holds */
#define WORD_PAGES 144u
#define WORD_BYTES (WORD_PAGES * PAGE_SIZE_BYTES)

enum { MALLOC, CALLOC, REALLOC, FRAME, FUNCTIONS };

/* Of this thread, since the platform has others. */
static _Thread_local struct {
	bool counts;
	unsigned granted;         /* allocations are granted in this KVM_RUN, and more are refused */
	bool is_first[FUNCTIONS]; /* which functions the first refusals of KVM_RUNs were for */
	bool refused;
} memory;

/* Returns whether this allocation is to be refused. */
static bool is_refused(unsigned function)
{
	if (!memory.counts)
		return false;
	if (memory.granted) {
		memory.granted--;
		return false;
	}
	memory.is_first[function] |= !memory.refused;
	memory.refused = true;
	errno = ENOMEM;
	return true;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	return is_refused(MALLOC) ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
	return is_refused(CALLOC) ? NULL : __real_calloc(n, size);
}

void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return is_refused(REALLOC) ? NULL : __real_reallocarray(p, n, size);
}

uint8_t *__real_sev_frame_take(struct sev_frames *frames);
uint8_t *__wrap_sev_frame_take(struct sev_frames *frames);
uint8_t *__wrap_sev_frame_take(struct sev_frames *frames)
{
	return is_refused(FRAME) ? NULL : __real_sev_frame_take(frames);
}

/* A guest that writes its address to each page of WORDS, and counts them. Then it tells its count, or 0. */
static void writer_make(struct guest *g, struct machine *m, uint8_t *words)
{
	guest_make(g, m, UAPI_VM_SEV);
	assert_int_equal(set_memory(g, 1, WORDS, WORD_BYTES, words, -1), 0);
	assert_int_equal(guest_init2(g), 0);
	guest_add_vcpu(g);
	CODE(g, 0xbe, 0x00, 0x00, 0x01, 0x00,             /*    mov $WORDS, %esi */
	        0xff, 0x04, 0x25, 0x00, 0x20, 0x00, 0x00, /* 1: incl GUEST_DATA */
	        0x89, 0x36,                               /*    mov %esi, (%rsi) */
	        0x81, 0xc6, 0x00, 0x10, 0x00, 0x00,       /*    add $4096, %esi */
	        0x81, 0xfe, 0x00, 0x00, 0x0a, 0x00,       /*    cmp $(WORDS + WORD_BYTES), %esi */
	        0x72, 0xe9,                               /*    jb 1b */
	        0x31, 0xc0,                               /*    xor %eax, %eax */
	        0xbe, 0x00, 0x00, 0x01, 0x00,             /*    mov $WORDS, %esi */
	        0x39, 0x36,                               /* 2: cmp %esi, (%rsi) */
	        0x75, 0x15,                               /*    jne 3f */
	        0x81, 0xc6, 0x00, 0x10, 0x00, 0x00,       /*    add $4096, %esi */
	        0x81, 0xfe, 0x00, 0x00, 0x0a, 0x00,       /*    cmp $(WORDS + WORD_BYTES), %esi */
	        0x72, 0xee,                               /*    jb 2b */
	        0x8b, 0x04, 0x25, 0x00, 0x20, 0x00, 0x00, /*    mov GUEST_DATA, %eax */
	        0xe6, PORT);                              /* 3: out %al, $PORT */
	enter_long_mode(g);
	guest_launch(g, 0);
}

static int run_with(struct guest *g, unsigned granted)
{
	int result;

	memory.granted = granted;
	memory.refused = false;
	memory.counts = true;
	result = guest_run(g);
	memory.counts = false;
	return result;
}

/*
 * Returns whether KVM_RUN needed more memory than so many allocations. Where the vCPU had too little room for
 * the pages that it holds, it has dropped them all since, and may need none now.
 */
static bool check_granted(struct machine *m, uint8_t *words, unsigned granted)
{
	struct guest g;
	bool refused;
	int result;

	writer_make(&g, m, words);
	result = run_with(&g, granted);
	refused = memory.refused;
	if (refused) {
		assert_int_equal(result, -EFAULT);
		assert_int_equal(g.run->exit_reason, KVM_EXIT_UNKNOWN);
		result = run_with(&g, 0); /* there is still no memory */
	}
	if (result == -EFAULT)
		result = guest_run(&g);
	assert_int_equal(result, 0);
	assert_int_equal(g.run->exit_reason, KVM_EXIT_IO);
	assert_int_equal(((uint8_t *)g.run)[g.run->io.data_offset], WORD_PAGES);
	guest_close(&g);
	return refused;
}

static void test_sev_guest_waits_where_it_gets_no_memory(void **state)
{
	static const struct sim_options milan = {.product = "Milan", .seed = 1};
	uint8_t *words = mmap(NULL, WORD_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct machine m;
	unsigned granted = 0;

	assert_ptr_not_equal(words, MAP_FAILED);
	machine_open(&m, &milan);
	while (check_granted(&m, words, granted))
		granted++;
	/* Each page, its plaintext, and its ciphertext while it is written. */
	assert_true(granted > 3 * WORD_PAGES);
	assert_true(memory.is_first[MALLOC]); /* where the guest's memory lies */
	assert_true(memory.is_first[CALLOC] && memory.is_first[FRAME]);
	assert_true(memory.is_first[REALLOC]); /* the list of pages that the vCPU holds */
	machine_close(&m);
	munmap(words, WORD_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_sev_guest_waits_where_it_gets_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Where the plaintext of SEV guests lies on the software platform, how much of it, and what registering
 * takes. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sev_guest.h"

#define DATA 0x4000u
#define OUT  0x6000u

static const struct sim_options milan = {.product = "Milan", .seed = 1};

/* ---- where plaintext is, and how much of it ---- */

/* A line of a mapping in /proc/self/smaps, and the figures that follow. */
struct mapping {
	unsigned long long start, end, resident_kib;
	bool dumped;
};

/* Calls each() for every mapping of this process that can be read and has pages. */
static void each_mapping(void (*each)(const struct mapping *mapping, void *arg), void *arg)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long long start, end;
	struct mapping mapping;
	char line[512], access[8] = "";

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx-%llx %7s", &start, &end, access) == 3)
			mapping = (struct mapping){.start = start, .end = end};
		sscanf(line, "Rss: %llu", &mapping.resident_kib);
		if (strncmp(line, "VmFlags:", 8) != 0 || access[0] != 'r' || !mapping.resident_kib)
			continue;
		mapping.dumped = !strstr(line, " dd");
		each(&mapping, arg);
	}
	fclose(f);
}

static void add_hidden(const struct mapping *mapping, void *arg)
{
	unsigned long long *sum = arg;

	*sum += mapping->dumped ? 0 : mapping->resident_kib;
}

#define BIG_GPA   0x400000u
#define BIG_PAGES 4096u
#define BIG_BYTES ((size_t)BIG_PAGES * PAGE_SIZE_BYTES)

/*
 * Makes a guest with a second slot of memory, which begins at a multiple of 2 MiB and asks for huge pages.
 * The mapping that it lies in is returned.
 */
static void *big_make(struct guest *g, struct machine *m, uint8_t **ret_memory)
{
	void *map =
	        mmap(NULL, BIG_BYTES + MIB(2), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_enc_region region = {.size = BIG_BYTES};

	assert_ptr_not_equal(map, MAP_FAILED);
	*ret_memory = (uint8_t *)map + (-(uintptr_t)map & (MIB(2) - 1));
	madvise(*ret_memory, BIG_BYTES, MADV_HUGEPAGE);
	machine_open(m, &milan);
	guest_make(g, m, UAPI_VM_SEV);
	assert_int_equal(set_memory(g, 1, BIG_GPA, BIG_BYTES, *ret_memory, -1), 0);
	assert_int_equal(guest_init2(g), 0);
	region.addr = (uintptr_t)*ret_memory;
	assert_int_equal(call_of(m, g->vm, KVM_MEMORY_ENCRYPT_REG_REGION, &region), 0);
	guest_add_vcpu(g);
	return map;
}

static void big_launch(struct guest *g)
{
	uint64_t *directory;

	enter_long_mode(g);
	directory = (uint64_t *)(void *)(g->memory + TABLES + 0x2000);
	for (unsigned i = 0; i < BIG_BYTES / MIB(2); i++)
		directory[2 + i] = (BIG_GPA + i * MIB(2)) | 0x87 | C_BIT;
	guest_launch(g, 0);
}

/* The guest numbers more pages than the platform keeps decrypted, and counts those with a wrong number. */
static void test_sev_many_pages_are_right_and_few_are_decrypted(void **state)
{
	unsigned long long before = 0, after = 0;
	struct machine m;
	struct guest g;
	uint8_t *memory;
	void *map = big_make(&g, &m, &memory);

	CODE(&g, 0xbf, 0x00, 0x00, 0x40, 0x00,      /* mov $BIG_GPA, %edi */
	        0x31, 0xc9,                         /* xor %ecx, %ecx */
	        0x48, 0x89, 0x0f,                   /* 1: mov %rcx, (%rdi) */
	        0x81, 0xc7, 0x00, 0x10, 0x00, 0x00, /* add $4096, %edi */
	        0xff, 0xc1,                         /* inc %ecx */
	        0x81, 0xf9, 0x00, 0x10, 0x00, 0x00, /* cmp $BIG_PAGES, %ecx */
	        0x75, 0xed,                         /* jne 1b */
	        0xbf, 0x00, 0x00, 0x40, 0x00,       /* mov $BIG_GPA, %edi */
	        0x31, 0xc9,                         /* xor %ecx, %ecx */
	        0x31, 0xc0,                         /* xor %eax, %eax */
	        0x48, 0x39, 0x0f,                   /* 2: cmp %rcx, (%rdi) */
	        0x74, 0x02,                         /* je 3f */
	        0xff, 0xc0,                         /* inc %eax */
	        0x81, 0xc7, 0x00, 0x10, 0x00, 0x00, /* 3: add $4096, %edi */
	        0xff, 0xc1,                         /* inc %ecx */
	        0x81, 0xf9, 0x00, 0x10, 0x00, 0x00, /* cmp $BIG_PAGES, %ecx */
	        0x75, 0xe9,                         /* jne 2b */
	        0xe6, PORT);                        /* out %al, $PORT */
	big_launch(&g);
	each_mapping(add_hidden, &before);
	assert_int_equal(run_to_port(&g), 0);
	each_mapping(add_hidden, &after);
#ifndef __SANITIZE_THREAD__ /* its shadow of memory is hidden from dumps, too */
	assert_true(after > before && after - before < BIG_BYTES / 1024 * 6 / 10);
#endif
	guest_close(&g);
	munmap(map, BIG_BYTES + MIB(2));
	machine_close(&m);
}

/* The guest writes a page in each 2 MiB. Its memory then holds those and few around them, and no huge pages.
 */
static void test_sev_memory_that_nobody_touches_is_not_there(void **state)
{
	unsigned char present[BIG_PAGES];
	unsigned count = 0;
	struct machine m;
	struct guest g;
	uint8_t *memory;
	void *map = big_make(&g, &m, &memory);

	CODE(&g, 0xbf, 0x00, 0x00, 0x40, 0x00,      /* mov $BIG_GPA, %edi */
	        0x48, 0x89, 0x3f,                   /* 1: mov %rdi, (%rdi) */
	        0x81, 0xc7, 0x00, 0x00, 0x20, 0x00, /* add $0x200000, %edi */
	        0x81, 0xff, 0x00, 0x00, 0x40, 0x01, /* cmp $BIG_GPA + BIG_BYTES, %edi */
	        0x75, 0xef,                         /* jne 1b */
	        0xe6, PORT);                        /* out %al, $PORT */
	big_launch(&g);
	run_to_port(&g);
	assert_int_equal(mincore(memory, BIG_BYTES, present), 0);
	for (unsigned i = 0; i < BIG_PAGES; i++)
		count += present[i] & 1;
	assert_in_range(count, BIG_BYTES / MIB(2), 16 * BIG_BYTES / MIB(2) + 1); /* registering reads one */
	guest_close(&g);
	munmap(map, BIG_BYTES + MIB(2));
	machine_close(&m);
}

static const volatile uint64_t not_marker =
        0x0123456789abcdef; /* the marker itself is nowhere in this program */

struct search {
	int memory;
	unsigned found;
};

static void search_dumped(const struct mapping *mapping, void *arg)
{
	static uint64_t words[8192];
	struct search *search = arg;
	unsigned long long at = mapping->start;

	for (ssize_t n = 1; mapping->dumped && n > 0 && at < mapping->end; at += (unsigned long long)n) {
		n = pread(search->memory, words, sizeof(words), (off_t)at);
		for (ssize_t i = 0; i < n / 8; i++)
			search->found += ~words[i] == not_marker;
	}
	memset(words, 0, sizeof(words));
}

static unsigned markers(void)
{
	struct search search = {.memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC)};

	assert_true(search.memory >= 0);
	each_mapping(search_dumped, &search);
	close(search.memory);
	return search.found;
}

/* A core dump, and whoever may read all of the program but the platform's own pages, do not find the marker.
 */
static void test_sev_marker_is_nowhere_until_the_guest_shares_it(void **state)
{
	struct machine m;
	struct guest g;

	guest_ready(&g, &m, &milan, UAPI_VM_SEV);
	CODE(&g, 0x48, 0xb8, 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01, /* mov $not_marker, %rax */
	        0x48, 0xf7, 0xd0,                                            /* not %rax */
	        0x48, 0x89, 0x04, 0x25, 0x00, 0x40, 0x00, 0x00,              /* mov %rax, DATA */
	        0x31, 0xc0,                                                  /* xor %eax, %eax */
	        /* Once more with another word, which takes the marker's place on the platform's stack. */
	        0x48, 0xf7, 0xd0,                               /* not %rax */
	        0x48, 0x89, 0x04, 0x25, 0x08, 0x50, 0x00, 0x00, /* mov %rax, OTHER + 8 */
	        0xe6, PORT,                                     /* out %al, $PORT */
	        0x48, 0x8b, 0x04, 0x25, 0x00, 0x40, 0x00, 0x00, /* mov DATA, %rax */
	        0x48, 0x89, 0x04, 0x25, 0x00, 0x60, 0x20, 0x00, /* mov %rax, SHARED + OUT */
	        0x31, 0xc0,                                     /* xor %eax, %eax */
	        0xe6, PORT);                                    /* out %al, $PORT */
	enter_long_mode(&g);
	guest_launch(&g, 0);
	assert_int_equal(markers(), 0);
	run_to_port(&g);
	assert_int_equal(markers(), 0);
	run_to_port(&g);
	assert_true(markers() >= 1); /* the platform's stack may have another */
	assert_int_equal(~load_le(g.memory + OUT, 8), not_marker);
	guest_close(&g);
	machine_close(&m);
}

/* ---- registered memory ---- */

static void test_sev_registered_region_is_readable_and_takes_no_memory(void **state)
{
	const size_t size = MIB(4), half = size / 2;
	int fd = memfd_create("region", MFD_CLOEXEC);
	struct kvm_enc_region region = {.size = size};
	struct machine m;
	struct guest g;
	struct stat st;
	uint8_t *at;

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(at, MAP_FAILED);
	region.addr = (uintptr_t)at;
	machine_open(&m, &milan);
	guest_make(&g, &m, UAPI_VM_SEV);
	assert_int_equal(guest_init2(&g), 0);
	assert_int_equal(call_of(&m, g.vm, KVM_MEMORY_ENCRYPT_REG_REGION, &region), 0);
	assert_int_equal(call_of(&m, g.vm, KVM_MEMORY_ENCRYPT_UNREG_REGION, &region), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true((size_t)st.st_blocks * 512 < half);

	assert_int_equal(mprotect(at + half, PAGE_SIZE_BYTES, PROT_NONE), 0);
	assert_int_equal(call_of(&m, g.vm, KVM_MEMORY_ENCRYPT_REG_REGION, &region), -ENOMEM);
	munmap(at + half, PAGE_SIZE_BYTES);
	assert_int_equal(call_of(&m, g.vm, KVM_MEMORY_ENCRYPT_REG_REGION, &region), -ENOMEM);
	region.size = half;
	assert_int_equal(call_of(&m, g.vm, KVM_MEMORY_ENCRYPT_REG_REGION, &region), 0);
	assert_int_equal(call_of(&m, g.vm, KVM_MEMORY_ENCRYPT_UNREG_REGION, &region), 0);
	assert_int_equal(ftruncate(fd, (off_t)half / 2), 0); /* the rest would be SIGBUS */
	assert_int_equal(call_of(&m, g.vm, KVM_MEMORY_ENCRYPT_REG_REGION, &region), -ENOMEM);
	guest_close(&g);
	machine_close(&m);
	munmap(at, size);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_sev_many_pages_are_right_and_few_are_decrypted),
	        cmocka_unit_test(test_sev_memory_that_nobody_touches_is_not_there),
	        cmocka_unit_test(test_sev_marker_is_nowhere_until_the_guest_shares_it),
	        cmocka_unit_test(test_sev_registered_region_is_readable_and_takes_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

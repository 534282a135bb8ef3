/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_memfds that the VMM maps: memory of the VMM and the guest, and pages that one of them may not touch.
 */
#include <linux/falloc.h>
#include <stdio.h>

#include "sev_guest.h"

static const struct sim_options milan = {.product = "Milan", .seed = 1};

/* mov al, [GUEST_DATA]; inc al; mov [GUEST_DATA], al; out PORT, al; again */
#define COUNT 0xa0, 0x00, 0x20, 0xfe, 0xc0, 0xa2, 0x00, 0x20, 0xe6, PORT, 0xeb, 0xf4

static int make_gmem(struct guest *g, uint64_t flags)
{
	const struct uapi_create_guest_memfd create = {.size = GUEST_BYTES, .flags = flags};

	return call_of(g->m, g->vm, UAPI_CREATE_GUEST_MEMFD, &create);
}

/* The guest's memory is the file, at whatever address of the VMM the slot is. */
static void use_gmem(struct guest *g, uint64_t flags, void *at)
{
	g->gmem = make_gmem(g, flags);
	assert_true(g->gmem >= 0);
	assert_int_equal(set_memory(g, 0, 0, 0, NULL, -1), 0);
	assert_int_equal(set_memory(g, 0, 0, GUEST_BYTES, at, g->gmem), 0);
}

static uint8_t *map_gmem(struct guest *g, size_t size)
{
	void *at = host_mmap(g->m->host, NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, g->gmem, 0);

	assert_ptr_not_equal(at, MAP_FAILED);
	return at;
}

static void test_gmem_is_shared_with_the_guest_that_runs_from_it(void **state)
{
	struct machine m;
	struct guest g;
	uint8_t *shared;

	machine_open(&m, &milan);
	guest_make(&g, &m, UAPI_VM_DEFAULT);
	use_gmem(&g, UAPI_GUEST_MEMFD_MMAP | UAPI_GUEST_MEMFD_INIT_SHARED, NULL);
	shared = map_gmem(&g, GUEST_BYTES);
	CODE(&g, COUNT);
	memcpy(shared + GUEST_CODE, g.memory + GUEST_CODE, 32);
	guest_add_vcpu(&g);
	shared[GUEST_DATA] = 0x41;
	assert_int_equal(run_to_port(&g), 0x42);
	assert_int_equal(shared[GUEST_DATA], 0x42);
	/* A hole takes the page from both. */
	assert_int_equal(host_fallocate(m.host, g.gmem, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	                         GUEST_DATA, PAGE_SIZE_BYTES),
	        0);
	assert_int_equal(shared[GUEST_DATA], 0);
	assert_int_equal(run_to_port(&g), 1);
	assert_int_equal(shared[GUEST_DATA], 1);
	munmap(shared, GUEST_BYTES);
	/* There is nothing before the first page. */
	assert_ptr_equal(host_mmap(m.host, NULL, PAGE_SIZE_BYTES, PROT_READ, MAP_SHARED, g.gmem,
	                         -(off_t)PAGE_SIZE_BYTES),
	        MAP_FAILED);
	assert_int_equal(errno, EOVERFLOW);
	guest_close(&g);
	machine_close(&m);
}

/* The file is closed, but mapped where the slot is: the kernel keeps it for as long as the mapping exists. */
static void test_gmem_that_is_closed_stays_where_it_is_mapped(void **state)
{
	struct machine m;
	struct guest g;
	uint8_t *shared;

	machine_open(&m, &milan);
	guest_make(&g, &m, UAPI_VM_DEFAULT);
	g.gmem = make_gmem(&g, UAPI_GUEST_MEMFD_MMAP | UAPI_GUEST_MEMFD_INIT_SHARED);
	assert_true(g.gmem >= 0);
	shared = map_gmem(&g, GUEST_BYTES);
	assert_int_equal(set_memory(&g, 0, 0, 0, NULL, -1), 0);
	assert_int_equal(set_memory(&g, 0, 0, GUEST_BYTES, shared, g.gmem), 0);
	CODE(&g, COUNT);
	memcpy(shared + GUEST_CODE, g.memory + GUEST_CODE, 32);
	guest_add_vcpu(&g);
	assert_int_equal(run_to_port(&g), 1);
	host_close(m.host, g.gmem);
	g.gmem = -1;
	assert_int_equal(run_to_port(&g), 2);
	assert_int_equal(shared[GUEST_DATA], 2);
	munmap(shared, GUEST_BYTES);
	guest_close(&g);
	machine_close(&m);
}

/* The VMM can map a page that is private from the start, but cannot touch it. */
static void test_gmem_private_pages_cannot_be_touched(void **state)
{
	static const unsigned types[] = {UAPI_VM_DEFAULT, UAPI_VM_SEV, UAPI_VM_SEV_ES, UAPI_VM_SNP};

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct machine m;
		struct guest g;
		int fds[2], own;
		uint8_t *at;

		machine_open(&m, &milan);
		guest_make(&g, &m, types[i]);
		own = g.gmem;
		g.gmem = make_gmem(&g, UAPI_GUEST_MEMFD_MMAP);
		assert_true(g.gmem >= 0);
		at = map_gmem(&g, GUEST_BYTES);
		assert_int_equal(pipe(fds), 0);
		assert_int_equal(write(fds[1], at, 1), -1); /* where a touch is SIGBUS */
		assert_int_equal(errno, EFAULT);
		close(fds[0]);
		close(fds[1]);
		munmap(at, GUEST_BYTES);
		host_close(m.host, own);
		guest_close(&g);
		machine_close(&m);
	}
}

/* With SEV, the guest decrypts what the VMM encrypts in its mapping. */
static void sev_guest_runs_from_gmem(unsigned type)
{
	struct machine m;
	struct guest g;
	uint8_t *shared, *plain;

	machine_open(&m, &milan);
	guest_make(&g, &m, type);
	g.gmem = make_gmem(&g, UAPI_GUEST_MEMFD_MMAP | UAPI_GUEST_MEMFD_INIT_SHARED);
	assert_true(g.gmem >= 0);
	shared = map_gmem(&g, GUEST_BYTES);
	assert_int_equal(set_memory(&g, 0, 0, 0, NULL, -1), 0);
	assert_int_equal(set_memory(&g, 0, 0, GUEST_BYTES, shared, g.gmem), 0);
	assert_int_equal(type == UAPI_VM_SEV ? guest_init2(&g) : command(&g, KVM_SEV_INIT, NULL), 0);
	guest_add_vcpu(&g);
	CODE(&g, COUNT);
	memcpy(shared + GUEST_CODE, g.memory + GUEST_CODE, 32);
	plain = g.memory;
	g.memory = shared;
	guest_launch(&g, 0);
	assert_int_equal(run_to_port(&g), 1);
	assert_int_equal(run_to_port(&g), 2);
	g.memory = plain;
	munmap(shared, GUEST_BYTES);
	guest_close(&g);
	machine_close(&m);
}

static void test_gmem_of_a_sev_guest_is_measured_where_it_is_mapped(void **state)
{
	sev_guest_runs_from_gmem(UAPI_VM_SEV);
}

/* The VM becomes a guest with SEV when it has the slot already. */
static void test_gmem_of_a_vm_that_becomes_a_sev_guest(void **state)
{
	sev_guest_runs_from_gmem(UAPI_VM_DEFAULT);
}

#define ODD_BYTES 0x1235000u /* a size that nothing else has */

/*
 * Counts the mappings of about that size that are left out of core dumps. Linux merges two equal mappings
 * that touch.
 */
static unsigned undumped(void)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long size = 0;
	unsigned count = 0;
	char line[512];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		sscanf(line, "Size: %lu kB", &size);
		if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " dd"))
			count += size >= ODD_BYTES / 1024 && size <= ODD_BYTES / 1024 + GUEST_BYTES / 1024;
	}
	fclose(f);
	return count;
}

static void test_gmem_of_snp_is_in_no_core_dump(void **state)
{
	unsigned before;
	struct machine m;
	struct guest g;
	int gmem;

	machine_open(&m, &milan);
	guest_make(&g, &m, UAPI_VM_SNP);
	before = undumped();
	gmem = create_gmem(&g, ODD_BYTES);
	assert_true(gmem >= 0);
	assert_int_equal(undumped(), before + 1);
	host_close(m.host, gmem);
	guest_close(&g);
	machine_close(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_gmem_is_shared_with_the_guest_that_runs_from_it),
	        cmocka_unit_test(test_gmem_that_is_closed_stays_where_it_is_mapped),
	        cmocka_unit_test(test_gmem_private_pages_cannot_be_touched),
	        cmocka_unit_test(test_gmem_of_a_sev_guest_is_measured_where_it_is_mapped),
	        cmocka_unit_test(test_gmem_of_a_vm_that_becomes_a_sev_guest),
	        cmocka_unit_test(test_gmem_of_snp_is_in_no_core_dump),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMs whose private pages nothing encrypts (KVM_X86_SW_PROTECTED_VM): the attribute of a page alone says
 * whether the guest finds the page of the guest_memfd or the VMM's.
 */
#include <errno.h>
#include <sys/mman.h>

#include "guest_bench.h"
#include "vmm/uapi.h"

#define AT    0x100000u /* of a slot with a guest_memfd */
#define BYTES 0x2000u
#define BARE  0x18000u /* a page of a slot that has none */
#define PORT  0x80

struct bench {
	struct guest g;
	uint8_t *shared; /* the VMM's memory of the slot */
	int gmem;
};

static void make(struct bench *b, struct abi *abi, uint64_t flags)
{
	struct uapi_create_guest_memfd create = {.size = BYTES, .flags = flags};
	struct uapi_userspace_memory_region2 region = {
	        .slot = 5, .flags = UAPI_MEM_GUEST_MEMFD, .guest_phys_addr = AT, .memory_size = BYTES};

	guest_open(&b->g, abi, 32, 1, GUEST_QUIET | GUEST_PROTECTED);
	b->gmem = ask(abi, b->g.vm, UAPI_CREATE_GUEST_MEMFD, &create);
	assert_true(b->gmem >= 0);
	b->shared = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(b->shared, MAP_FAILED);
	region.userspace_addr = (uintptr_t)b->shared;
	region.guest_memfd = (uint32_t)b->gmem;
	assert_int_equal(ask(abi, b->g.vm, UAPI_SET_USER_MEMORY_REGION2, &region), 0);
}

static void end(struct bench *b)
{
	host_close(b->g.abi->host, b->gmem);
	guest_close(&b->g);
	munmap(b->shared, BYTES);
}

static void set_private(struct bench *b, uint64_t gpa, bool private)
{
	const struct uapi_memory_attributes attributes = {
	        .address = gpa, .size = 4096, .attributes = private ? UAPI_MEMORY_ATTRIBUTE_PRIVATE : 0};

	assert_int_equal(ask(b->g.abi, b->g.vm, UAPI_SET_MEMORY_ATTRIBUTES, &attributes), 0);
}

static uint32_t told(struct bench *b)
{
	assert_int_equal(guest_run_once(&b->g, 0), KVM_EXIT_IO);
	return (uint32_t)load_le((uint8_t *)b->g.run[0] + b->g.run[0]->io.data_offset, 4);
}

/* The guest writes a shared page, then the same page while it is private, then reads it shared again. */
static void write_and_read(struct code *c)
{
	store(c, AT, 0x11111111);
	out8(c, PORT, 0);
	load_eax(c, AT, 4);
	tell_eax(c, PORT);
	store(c, AT, 0x22222222);
	load_eax(c, AT, 4);
	tell_eax(c, PORT);
	load_eax(c, AT, 4);
	tell_eax(c, PORT);
}

static void test_protected_page_is_another_while_it_is_private(void **state)
{
	struct bench b;

	make(&b, *state, 0);
	write_and_read(&b.g.code);
	told(&b);
	set_private(&b, AT, true);
	assert_int_equal(told(&b), 0);
	assert_int_equal(told(&b), 0x22222222);
	assert_int_equal(load_le(b.shared, 4), 0x11111111);
	set_private(&b, AT, false);
	assert_int_equal(told(&b), 0x11111111);
	end(&b);
}

/* A slot whose guest_memfd can be mapped is that file, for shared pages as well: the VMM's memory stays as it
 * is. */
static void test_protected_slot_of_a_file_is_one_page_for_both(void **state)
{
	struct bench b;

	make(&b, *state, UAPI_GUEST_MEMFD_MMAP);
	write_and_read(&b.g.code);
	told(&b);
	set_private(&b, AT, true);
	assert_int_equal(told(&b), 0x11111111);
	assert_int_equal(told(&b), 0x22222222);
	set_private(&b, AT, false);
	assert_int_equal(told(&b), 0x22222222);
	assert_int_equal(load_le(b.shared, 4), 0);
	end(&b);
}

static void test_protected_page_without_a_file_is_a_fault_for_the_vmm(void **state)
{
	const struct uapi_memory_fault *fault;
	struct bench b;

	make(&b, *state, 0);
	store(&b.g.code, BARE, 1);
	out8(&b.g.code, PORT, 0);
	set_private(&b, BARE, true);
	assert_int_equal(guest_run_once(&b.g, 0), -1);
	assert_int_equal(errno, EFAULT);
	fault = (const void *)&b.g.run[0]->mmio;
	assert_int_equal(b.g.run[0]->exit_reason, UAPI_EXIT_MEMORY_FAULT);
	assert_int_equal(fault->gpa, BARE);
	assert_int_equal(fault->flags, UAPI_MEMORY_EXIT_PRIVATE);
	set_private(&b, BARE, false);
	told(&b);
	assert_int_equal(load_le(b.g.memory + BARE, 4), 1);
	end(&b);
}

/* Memory of such a VM can be mapped, but does not start as shared. */
static void test_protected_memory_does_not_start_shared(void **state)
{
	struct uapi_create_guest_memfd create = {.size = BYTES, .flags = UAPI_GUEST_MEMFD_INIT_SHARED};
	struct abi *abi = *state;
	struct guest g;

	guest_open(&g, abi, 32, 1, GUEST_QUIET | GUEST_PROTECTED);
	assert_int_equal(ask_number(abi, g.vm, KVM_CHECK_EXTENSION, UAPI_CAP_GUEST_MEMFD_FLAGS),
	        UAPI_GUEST_MEMFD_MMAP);
	assert_int_equal(ask_number(abi, g.vm, KVM_CHECK_EXTENSION, UAPI_CAP_MEMORY_ATTRIBUTES),
	        UAPI_MEMORY_ATTRIBUTE_PRIVATE);
	assert_int_equal(ask(abi, g.vm, UAPI_CREATE_GUEST_MEMFD, &create), -1);
	assert_int_equal(errno, EINVAL);
	guest_close(&g);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, guest_bench_setup, guest_bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_protected_page_is_another_while_it_is_private),
	        TEST(test_protected_slot_of_a_file_is_one_page_for_both),
	        TEST(test_protected_page_without_a_file_is_a_fault_for_the_vmm),
	        TEST(test_protected_memory_does_not_start_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

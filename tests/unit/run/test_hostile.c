/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guests that do things that no guest should do. vmm must answer, go on, and see them power off or crash.
 */
#include "../../../src/host/fault.h"
#include "support/guest.h"

static struct host *real, *host; /* the second counts the calls of the first, of which most are exits */
static struct flat flat;
static struct guest guest;

static int setup(void **state)
{
	struct err err;

	flat_init(&flat);
	return host_kernel_create(&real, &err) || host_fault_create(real, 0, 0, &host, &err);
}

static int teardown(void **state)
{
	host_destroy(take_ptr(&host));
	host_destroy(take_ptr(&real));
	return 0;
}

/* In such a place everything is real, but an exit takes half a millisecond. */
static bool in_lab(void)
{
	return getenv("LAB") != NULL;
}

/* Some hosts emulate the guest's instructions, but not all of them. */
static void skip_if_not_emulated(int result)
{
	if (result == 0 || !strstr(guest.err.text, "could not emulate"))
		return;
	print_message("this KVM does not execute all of this guest; the lab's does\n");
	skip();
}

/* The guest must come to its end with so many exits that it cannot have left anything out. */
static void run_to_success(const char *const *sets, uint64_t exits)
{
	int result = guest_run(&guest, host, &flat, sets);

	skip_if_not_emulated(result);
	if (result < 0)
		fail_msg("%s\n%s", guest.err.text, guest.report);
	assert_in_range(host_fault_calls(host), exits, UINT64_MAX);
}

#define LE16(v) (v) & 0xff, (v) >> 8 & 0xff
#define LE32(v) LE16(v), (v) >> 16 & 0xff, (v) >> 24 & 0xff

/* ---- ports ---- */

/* Reads and writes every port below end (0: all) in 8, 16 and 32 bits. No value may have what resets: bit 2
 * at 0xcf9, bit 0 at 0x92, 0xf0 with bit 0 clear at 0x64. */
static void every_port(uint32_t value, uint16_t end)
{
	size_t again;

	FLAT(&flat, 0x31, 0xd2); /* xor dx, dx */
	again = flat.at;
	FLAT(&flat, 0xec, 0xed, 0x66, 0xed);             /* in al, dx; in ax, dx; in eax, dx */
	FLAT(&flat, 0x66, 0xb8, LE32(value));            /* mov eax, value */
	FLAT(&flat, 0xee, 0xef, 0x66, 0xef);             /* out dx, al; out dx, ax; out dx, eax */
	FLAT(&flat, 0x42, 0x81, 0xfa, LE16(end));        /* inc dx; cmp dx, end */
	FLAT(&flat, 0x75, (again - flat.at - 2) & 0xff); /* jne again */
}

static void test_hostile_guest_that_uses_every_port_goes_on(void **state)
{
	every_port(0, 0x1000);
	every_port(0xa2a2a2a2, in_lab() ? 0x1000 : 0);
	flat_power_off(&flat);
	run_to_success(NULL, in_lab() ? 49000 : 400000);
}

/* rep ins or outs of thousands of elements, from and to segment 0x1000; dword with a prefix. */
static void repeat(uint16_t port, uint8_t opcode, bool dword)
{
	FLAT(&flat, 0xb8, LE16(0x1000), 0x8e, 0xd8, 0x8e, 0xc0, 0xfc, 0x31, 0xf6, 0x31, 0xff);
	FLAT(&flat, 0xba, LE16(port), 0xb9, LE16(in_lab() ? 0x4ff : 0x2fff));
	if (dword)
		FLAT(&flat, 0x66);
	FLAT(&flat, 0xf3, opcode);
}

static void test_hostile_guest_with_long_string_io_goes_on(void **state)
{
	static const uint16_t ports[] = {0x80, 0x511, 0x518, 0xcfc, 0x71, 0xffff};

	for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
		repeat(ports[i], 0x6c, false);                                       /* insb */
		repeat(ports[i], 0x6d, true);                                        /* insd */
		FLAT(&flat, 0x31, 0xc0, 0x31, 0xff, 0xb9, LE16(0x8000), 0xf3, 0xab); /* rep stosw */
		repeat(ports[i], 0x6e, false);                                       /* outsb */
		repeat(ports[i], 0x6f, true);                                        /* outsd */
	}
	flat_power_off(&flat);
	run_to_success(NULL, in_lab() ? 15000 : 140000);
}

/* ---- addresses without memory ---- */

/* Prints the mark unless the last comparison was equal. */
static void check_equal(char mark)
{
	FLAT(&flat, 0x74, 6); /* je */
	flat_out8(&flat, 0x3f8, (uint8_t)mark);
}

/* In real mode segment ffff reaches 64 KiB above 1 MiB. */
static void test_hostile_guest_in_unclaimed_memory_reads_ones(void **state)
{
	static const char *const sets[] = {"machine.memory=1M", NULL};
	size_t again;

	FLAT(&flat, 0xb8, LE16(0xffff), 0x8e, 0xd8, 0x8e, 0xc0, 0xbe,
	        LE16(0x10)); /* ds = es = ffff; si = 10 */
	again = flat.at;
	FLAT(&flat, 0x88, 0x04, 0x89, 0x04, 0x66, 0x89, 0x04); /* mov [si], al, ax, eax */
	FLAT(&flat, 0x31, 0xc0, 0x8a, 0x04, 0x3c, 0xff);       /* mov al, [si]; cmp al, ff */
	check_equal('1');
	FLAT(&flat, 0x8b, 0x04, 0x83, 0xf8, 0xff); /* mov ax, [si]; cmp ax, -1 */
	check_equal('2');
	FLAT(&flat, 0x66, 0x8b, 0x04, 0x66, 0x83, 0xf8, 0xff); /* mov eax, [si]; cmp eax, -1 */
	check_equal('4');
	FLAT(&flat, 0x81, 0xc6, LE16(0x101), 0x0f, 0x83,
	        LE16(again - flat.at - 8)); /* add si, 101; jnc again */
	/* A dword at 0xffffe lies half in memory and half outside of it. */
	FLAT(&flat, 0x66, 0x31, 0xc0, 0x66, 0xa3, LE16(0x0e), 0x66, 0xa1, LE16(0x0e));
	FLAT(&flat, 0x66, 0x3d, LE32(0xffff0000));
	check_equal('x');
	/* 48 KiB of rep stosd and rep movsw. */
	FLAT(&flat, 0xfc, 0xbf, LE16(0x10), 0xb9, LE16(0x3000), 0x66, 0xf3, 0xab);
	FLAT(&flat, 0xbe, LE16(0x10), 0xbf, LE16(0x4010), 0xb9, LE16(0x1000), 0xf3, 0xa5);
	flat_power_off(&flat);
	run_to_success(sets, 20000);
	assert_string_equal(guest.output, "");
}

#define GDT_AT   0xe000u
#define TABLE_AT 0xe100u
#define ROM_BASE 0xffff0000u

/* From real mode into 32-bit protected mode with flat segments. */
static void enter_protected_mode(void)
{
	static const uint64_t gdt[] = {0, 0x00cf9a000000ffff, 0x00cf92000000ffff};
	const uint8_t gdtr[] = {LE16(sizeof(gdt) - 1), LE32(ROM_BASE + GDT_AT)};
	uint32_t next;

	memcpy(flat.image + GDT_AT, gdt, sizeof(gdt));
	memcpy(flat.image + GDT_AT + 0x80, gdtr, sizeof(gdtr));
	FLAT(&flat, 0xfa, 0x66, 0x2e, 0x0f, 0x01, 0x16, LE16(GDT_AT + 0x80)); /* lgdt cs:[gdtr] */
	FLAT(&flat, 0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0);          /* cr0 |= PE */
	next = ROM_BASE + (uint32_t)flat.at + 8;
	FLAT(&flat, 0x66, 0xea, LE32(next), 0x08, 0x00);                         /* jmp far 8:next */
	FLAT(&flat, 0x66, 0xb8, 0x10, 0x00, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0); /* ds = es = ss = 10 */
}

/* The same ending as flat_power_off(), in 32-bit code. */
static void power_off_32(void)
{
	static const uint32_t writes[][2] = {
	        {0xcf8, 0x80000b40}, {0xcfc, 0xb001}, {0xcf8, 0x80000b80}, {0xcfc, 1}, {0xb004, 0x2000}};

	for (size_t i = 0; i < ARRAY_LEN(writes); i++)
		FLAT(&flat, 0x66, 0xba, LE16(writes[i][0]), 0xb8, LE32(writes[i][1]), 0xef);
	FLAT(&flat, 0xf4, 0xeb, 0xfd);
}

/* Addresses without memory, the interrupt controllers, the firmware image and the edges between them. */
static const uint32_t places[] = {0x00200000, 0x001ffffd, 0x001ffff9, 0x10000000, 0x7ffffffd, 0x80000000,
        0xbfffffff, 0xc0000000, 0xe0000000, 0xfebf0000, 0xfebffffd, 0xfec00000, 0xfec00010, 0xfed00000,
        0xfedffffd, 0xfee00020, 0xfee00ffd, 0xfeefffff, 0xfeffbffd, 0xff000000, 0xfffefffd, 0xffff0000,
        0xffff8000, 0xfffffffc};

static void test_hostile_guest_in_every_hole_goes_on(void **state)
{
	size_t again, end;

	memcpy(flat.image + TABLE_AT, places, sizeof(places)); /* zeros follow */
	enter_protected_mode();
	FLAT(&flat, 0xfc, 0xbe, LE32(ROM_BASE + TABLE_AT)); /* esi = table */
	again = flat.at;
	FLAT(&flat, 0xad, 0x85, 0xc0, 0x74, 0, 0x89, 0xc3); /* lodsd; test eax, eax; jz end; mov ebx, eax */
	end = flat.at - 2;
	FLAT(&flat, 0x8a, 0x03, 0x66, 0x8b, 0x03, 0x8b, 0x03); /* mov al, ax, eax, [ebx] */
	FLAT(&flat, 0x8a, 0x43, 0x01, 0x66, 0x8b, 0x43, 0x01); /* mov al, ax, [ebx + 1] */
	FLAT(&flat, 0x88, 0x03, 0x66, 0x89, 0x03, 0x89, 0x03); /* mov [ebx], al, ax, eax */
	FLAT(&flat, 0x86, 0x03, 0x87, 0x03);                   /* xchg [ebx], al and eax: locked */
	FLAT(&flat, 0xff, 0x03, 0x80, 0x0b, 0x55);             /* inc dword [ebx]; or byte [ebx], 55 */
	FLAT(&flat, 0xeb, (again - flat.at - 2) & 0xff);       /* jmp again */
	flat.image[end - 1] = (uint8_t)(flat.at - end);
	power_off_32();
	run_to_success(NULL, 150);
}

/* 8 and 16 bytes at once: KVM hands them over in pieces of at most 8. */
static void test_hostile_guest_with_wide_accesses_goes_on(void **state)
{
	enter_protected_mode();
	FLAT(&flat, 0x0f, 0x20, 0xe0, 0x0d, LE32(0x600), 0x0f, 0x22, 0xe0); /* cr4 |= OSFXSR, OSXMMEXCPT */
	FLAT(&flat, 0x0f, 0x20, 0xc0, 0x83, 0xe0, 0xfb, 0x0f, 0x22, 0xc0);  /* cr0 &= ~EM */
	for (uint32_t offset = 0; offset < 3; offset++) {
		FLAT(&flat, 0xbb, LE32(0xc0000000 + offset));
		FLAT(&flat, 0x0f, 0x6f, 0x03, 0x0f, 0x7f, 0x03);             /* movq mm0, [ebx] and back */
		FLAT(&flat, 0xf3, 0x0f, 0x6f, 0x03, 0xf3, 0x0f, 0x7f, 0x03); /* movdqu xmm0, [ebx] and back */
	}
	power_off_32();
	run_to_success(NULL, 40);
}

/* ---- fw_cfg DMA ---- */

#define DESCRIPTOR 0x1000u
#define RAM_BYTES  0x200000u /* guest_run()'s default */
#define ERROR      1u
#define READ       2u
#define SKIP       4u
#define SELECT     8u
#define WRITE      16u
#define DIRECTORY  (0x19u << 16 | SELECT)

static const struct {
	uint32_t control, length;
	uint64_t address;
	uint32_t result;
} transfers[] = {
        {DIRECTORY | READ, 16, 0x2000, 0},
        {DIRECTORY | READ, 0xffffffff, 0, ERROR},
        {DIRECTORY | READ, RAM_BYTES, 0, 0}, /* all there is, the descriptor too */
        {DIRECTORY | READ, RAM_BYTES, 1, ERROR},
        {DIRECTORY | READ, RAM_BYTES + 1, 0, ERROR},
        {DIRECTORY | READ, 1, RAM_BYTES, ERROR},
        {DIRECTORY | READ, 2, RAM_BYTES - 1, ERROR},
        {DIRECTORY | READ, 16, DESCRIPTOR, 0}, /* over itself: the result comes last */
        {DIRECTORY | READ, 64, DESCRIPTOR - 32, 0},
        {DIRECTORY | READ, 16, ROM_BASE, ERROR},
        {DIRECTORY | READ, 1, 0xffffffff, ERROR},
        {DIRECTORY | READ, 2, 0xffffffff, ERROR},
        {DIRECTORY | READ, 16, 0xc0000000, ERROR},
        {DIRECTORY | READ, 16, 0x100000000, ERROR},
        {DIRECTORY | READ, 0x20, 0xfffffffffffffff0, ERROR}, /* wraps into RAM */
        {DIRECTORY | READ, 0xffffffff, 0xffffffff00000001, ERROR},
        {DIRECTORY | READ, 0, 0xffffffffffffffff, 0},
        {DIRECTORY | READ, 1, 0xffffffffffffffff, ERROR},
        {DIRECTORY | SKIP, 0xffffffff, 0, 0},
        {READ, 16, 0x2000, 0}, /* past the end: zeros */
        {DIRECTORY | WRITE, 16, 0x2000, ERROR},
        {DIRECTORY | WRITE, 0xffffffff, 0xffffffffffffffff, ERROR},
        {0xffffffff, 16, 0x2000, 0}, /* an item that is not there, with every bit set: reading wins */
        {0xffff0000 | SELECT | READ, 0xffffffff, 0, ERROR},
        {0, 0xffffffff, 0xffffffffffffffff, 0},
};

/* mov dword [at], value */
static void store(uint16_t at, uint32_t value)
{
	FLAT(&flat, 0x66, 0xc7, 0x06, LE16(at), LE32(value));
}

static void start_dma(uint64_t at)
{
	flat_out32(&flat, 0x514, __builtin_bswap32((uint32_t)(at >> 32)));
	flat_out32(&flat, 0x518, __builtin_bswap32((uint32_t)at));
}

static void test_hostile_guest_dma_has_the_right_result(void **state)
{
	FLAT(&flat, 0x31, 0xc0, 0x8e, 0xd8);
	for (size_t i = 0; i < ARRAY_LEN(transfers); i++) {
		uint64_t address = __builtin_bswap64(transfers[i].address);

		store(DESCRIPTOR, __builtin_bswap32(transfers[i].control));
		store(DESCRIPTOR + 4, __builtin_bswap32(transfers[i].length));
		store(DESCRIPTOR + 8, (uint32_t)address);
		store(DESCRIPTOR + 12, (uint32_t)(address >> 32));
		start_dma(DESCRIPTOR);
		FLAT(&flat, 0x66, 0xa1, LE16(DESCRIPTOR), 0x66, 0x3d,
		        LE32(__builtin_bswap32(transfers[i].result)));
		check_equal((char)('A' + i));
	}
	flat_power_off(&flat);
	run_to_success(NULL, 70);
	assert_string_equal(guest.output, ""); /* else the letters of the rows that went wrong */
}

static void test_hostile_guest_dma_descriptor_anywhere_goes_on(void **state)
{
	static const uint64_t at[] = {RAM_BYTES, RAM_BYTES - 1, RAM_BYTES - 8, ROM_BASE, ROM_BASE + 0xf000,
	        0xfffffff8, 0xc0000000, 0x100000000, 0x7fffffffffffffff, 0xfffffffffffffff0,
	        0xfffffffffffffff8, 0xffffffffffffffff};

	for (size_t i = 0; i < ARRAY_LEN(at); i++)
		start_dma(at[i]);
	flat_power_off(&flat);
	run_to_success(NULL, 45);
}

/* ---- processors ---- */

static void test_hostile_guest_with_64_vcpus_ends(void **state)
{
	static const char *const sets[] = {"machine.vcpus=64", NULL};

	flat_print(&flat, "64");
	flat_power_off(&flat);
	run_to_success(sets, 200);
	assert_string_equal(guest.output, "64");
}

/* mov eax, low; xor edx, edx; mov ecx, msr; wrmsr */
static void write_msr(uint32_t msr, uint32_t low)
{
	FLAT(&flat, 0x66, 0xb8, LE32(low), 0x66, 0x31, 0xd2, 0x66, 0xb9, LE32(msr), 0x0f, 0x30);
}

/* INIT and start-up interrupts bring the second processor to code without an interrupt table. */
static void test_hostile_guest_whose_ap_faults_crashes(void **state)
{
	static const char *const sets[] = {"machine.vcpus=2", NULL};
	int result;

	FLAT(&flat, 0x31, 0xc0, 0x8e, 0xd8);
	store(0x8000, 0x001e010f); /* lidt [0]; int3 */
	store(0x8004, 0x0000cc00);
	write_msr(0x1b, 0xfee00d00); /* APIC base: enabled, x2APIC, boot processor */
	write_msr(0x830, 0xc4500);   /* INIT, to all but self */
	flat_delay(&flat, 5000);
	write_msr(0x830, 0xc4608); /* start-up at 0x8000 */
	flat_delay(&flat, 20000);
	flat_power_off(&flat);
	result = guest_run(&guest, host, &flat, sets);
	skip_if_not_emulated(result);
	if (result == 0 && !in_lab()) {
		print_message("this KVM starts no second processor from real mode; the lab's does\n");
		skip();
	}
	assert_int_equal(result, -1);
	assert_int_equal(guest.err.kind, ERR_GUEST);
	assert_string_equal(guest.err.text, "vCPU 1: the guest crashed with a triple fault");
	assert_non_null(strstr(guest.report, "registers of vCPU 1"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        T(test_hostile_guest_that_uses_every_port_goes_on),
	        T(test_hostile_guest_with_long_string_io_goes_on),
	        T(test_hostile_guest_in_unclaimed_memory_reads_ones),
	        T(test_hostile_guest_in_every_hole_goes_on),
	        T(test_hostile_guest_with_wide_accesses_goes_on),
	        T(test_hostile_guest_dma_has_the_right_result),
	        T(test_hostile_guest_dma_descriptor_anywhere_goes_on),
	        T(test_hostile_guest_with_64_vcpus_ends),
	        T(test_hostile_guest_whose_ap_faults_crashes),
	};

	if (!guest_kvm_usable()) {
		printf("skipped: /dev/kvm cannot be opened here; the lab runs these tests\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

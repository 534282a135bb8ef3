/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that writes its memory, and lets fw_cfg write it by DMA, while a controller copies what was
 * written, as a migration does. Once the guest is stopped and the rest was copied, the copy is the memory.
 */
#include "life.h"
#include "support/flat.h"
#include "vmm/page/dirty.h"

#define MEMORY     MIB(4)
#define DMA        0x7000u  /* what fw_cfg is asked to do */
#define BY_VMM     0x20000u /* 16 pages that fw_cfg alone writes */
#define PASSES     200u
#define PASSES_MAX 100000u /* a copy that sees nothing of what fw_cfg writes ends here */

static struct flat flat;
static struct page_dirty *dirty;
static uint8_t copy[MEMORY], now[MEMORY];
static bool seen_by_vmm[2]; /* each of the two values that fw_cfg writes to its first page was copied */

/* Each round asks for an item of four bytes, and writes a number into one of 64 pages at 0x40000. */
static void write_guest(void)
{
	size_t start;

	flat_init(&flat);
	FLAT(&flat, 0x31, 0xdb); /* xor bx, bx */
	start = flat.at;
	FLAT(&flat, 0x43);                                                     /* inc bx */
	FLAT(&flat, 0x66, 0xc7, 0x06, 0x00, DMA >> 8, 0x00, 0x00, 0x00, 0x0a); /* select, read */
	FLAT(&flat, 0x66, 0xc7, 0x06, 0x04, DMA >> 8, 0x00, 0x00, 0x00, 0x04); /* 4 bytes */
	FLAT(&flat, 0x66, 0xc7, 0x06, 0x08, DMA >> 8, 0x00, 0x00, 0x00, 0x00);
	FLAT(&flat, 0x66, 0xc7, 0x06, 0x0c, DMA >> 8, 0x00, BY_VMM >> 16, 0x00, 0x00);
	FLAT(&flat, 0x88, 0xd8, 0xc0, 0xe0, 0x04, 0xa2, 0x0e, DMA >> 8); /* which page: bx, bits 0-3 */
	FLAT(&flat, 0x88, 0xd8, 0xc0, 0xe8, 0x04, 0x24, 0x01, 0xa2, 0x01, DMA >> 8);       /* item: bit 4 */
	FLAT(&flat, 0xba, 0x18, 0x05, 0x66, 0xb8, 0x00, 0x00, DMA >> 8, 0x00, 0x66, 0xef); /* out dx, eax */
	FLAT(&flat, 0x89, 0xd8, 0x83, 0xe0, 0x3f, 0xc1, 0xe0, 0x08); /* mov ax, bx; and ax, 63; shl ax, 8 */
	FLAT(&flat, 0x05, 0x00, 0x40, 0x8e, 0xc0);                   /* add ax, 0x4000; mov es, ax */
	FLAT(&flat, 0x26, 0x89, 0x1e, 0x10, 0x00);                   /* mov es:[0x10], bx */
	FLAT(&flat, 0xe9, (uint8_t)(start - flat.at - 3), (uint8_t)((start - flat.at - 3) >> 8));
}

/* The RAM alone: the firmware image is not written. */
static void copy_written(struct life *l)
{
	const struct page_memory *memory = machine_vm_memory(run_vm(l->run));
	struct page_range range = {0, 0};

	assert_ok(machine_vm_collect_written(run_vm(l->run), dirty, &err));
	while (page_dirty_take(dirty, range.end, 64, &range)) {
		uint64_t at = range.first * PAGE_SIZE_BYTES,
		         size = (range.end - range.first) * PAGE_SIZE_BYTES;

		if (at < MEMORY)
			assert_int_equal(page_read(memory, gpa(at), copy + at, size), 0);
	}
	seen_by_vmm[0] |= memcmp(copy + BY_VMM, "QEMU", 4) == 0;
	seen_by_vmm[1] |= copy[BY_VMM] && copy[BY_VMM] != 'Q';
}

static void copy_it(struct life *l)
{
	struct machine_vm *vm = run_vm(l->run);

	if (!run_status_of(l->run).running)
		return;
	if (!l->step++) {
		assert_ok(page_dirty_create(machine_vm_memory(vm), &dirty, &err));
		assert_ok(machine_vm_log_writes(vm, true, &err));
		page_dirty_set_all(dirty);
	}
	copy_written(l);
	if (l->step < PASSES || (!(seen_by_vmm[0] && seen_by_vmm[1]) && l->step < PASSES_MAX))
		loop_post(run_loop(l->run), &l->turn);
	else
		life_stop(l);
}

static void compare(struct life *l)
{
	if (run_status_of(l->run).running)
		return;
	life_assert_status(l, "paused");
	copy_written(l);
	assert_int_equal(page_read(machine_vm_memory(run_vm(l->run)), gpa(0), now, MEMORY), 0);
	for (size_t at = 0; at < MEMORY; at += PAGE_SIZE_BYTES) {
		if (memcmp(copy + at, now + at, PAGE_SIZE_BYTES) != 0)
			fail_msg("the page at 0x%zx was not copied as it is", at);
	}
	assert_true(seen_by_vmm[0] && seen_by_vmm[1]);
	assert_ok(machine_vm_log_writes(run_vm(l->run), false, &err));
	page_dirty_destroy(take_ptr(&dirty));
	l->at = 1;
	run_quit(l->run);
}

static void test_log_lets_a_copy_follow_a_running_guest(void **state)
{
	write_guest();
	life.image = flat.image;
	life.on_launch = copy_it;
	life.on_settled = compare;
	assert_ends_well(life_run(&life, "none", NULL));
	assert_int_equal(life.at, 1);
}

static void refuse_log(struct life *l)
{
	if (!run_vm(l->run) || l->at)
		return;
	assert_fails(machine_vm_log_writes(run_vm(l->run), true, &err), ERR_HOST, "SEV-SNP");
	l->at = 1;
	run_quit(l->run);
}

static void test_log_of_a_snp_guest_is_refused(void **state)
{
	life.on_settled = refuse_log;
	assert_ends_well(life_run(&life, "sev-snp", paused));
	assert_int_equal(life.at, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        T(test_log_lets_a_copy_follow_a_running_guest),
	        T(test_log_of_a_snp_guest_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * added: memory that the hypervisor added while the guest ran, of which nobody tells a SEV-SNP guest. The
 * program looks at the registers of the memory slots, accepts what is there, writes to every page and reads
 * it back. Firmware maps such addresses without the C-bit, if at all, so they are mapped anew.
 *
 * Law: QEMU, docs/specs/acpi_mem_hotplug.rst; AMD APM 24594, PVALIDATE.
 */
#include "facts.h"

#define PORT          0xa00u /* selects a slot when it is written */
#define PORT_SIZE     (PORT + 8)
#define PORT_FLAGS    (PORT + 20)
#define ENABLED       1u
#define NO_SLOT       0xffu
#define SLOTS_MAX     256u
#define SMALL         0x1000u
#define LARGE         0x200000u
#define SIZE_MISMATCH 6u /* the pages are small ones for the hypervisor */

/* What PVALIDATE said, in bytes. */
struct accepted {
	uint64_t now, before, failed;
};

static uint64_t in64(uint16_t port)
{
	return in32(port) | (uint64_t)in32(port + 4) << 32;
}

/* Returns PVALIDATE's code; *ret_before: the page was validated already. */
static uint32_t pvalidate(const volatile void *at, bool large, bool *ret_before)
{
	uint64_t code = (uint64_t)at;

	__asm__ volatile(".byte 0xf2, 0x0f, 0x01, 0xff" /* PVALIDATE */
	                 : "+a"(code), "=@ccc"(*ret_before)
	                 : "c"(large), "d"(1)
	                 : "memory");
	return (uint32_t)code;
}

static void accept_page(const volatile uint8_t *at, bool large, struct accepted *accepted)
{
	uint64_t bytes = large ? LARGE : SMALL;
	bool before;
	uint32_t code = pvalidate(at, large, &before);

	if (large && code == SIZE_MISMATCH)
		for (uint64_t offset = 0; offset < LARGE; offset += SMALL)
			accept_page(at + offset, false, accepted);
	else if (code)
		accepted->failed += bytes;
	else if (before)
		accepted->before += bytes;
	else
		accepted->now += bytes;
}

/* Each page gets its own address. Returns how many bytes of pages held it. */
static uint64_t use(volatile uint8_t *window, uint64_t base, uint64_t bytes)
{
	uint64_t held = 0;

	for (uint64_t at = 0; at < bytes; at += SMALL)
		*(volatile uint64_t *)(window + at) = base + at;
	for (uint64_t at = 0; at < bytes; at += SMALL)
		held += *(volatile uint64_t *)(window + at) == base + at ? SMALL : 0;
	return held;
}

/* A window of the program's page tables at a time. */
static uint64_t accept(const struct guest *guest, const struct tables *tables, uint64_t base, uint64_t size,
        struct accepted *accepted)
{
	const uint64_t step = (uint64_t)TABLE_ENTRIES * LARGE;
	volatile uint8_t *window = (volatile uint8_t *)tables->window;
	uint64_t held = 0;

	for (uint64_t done = 0; done < size; done += step) {
		uint64_t bytes = size - done < step ? size - done : step, flags, cr3;

		for (uint64_t at = 0; at < bytes; at += LARGE)
			tables->last[at / LARGE] =
			        (base + done + at) | 1ull << guest->c_bit | TABLE_WRITE | TABLE_LARGE;
		flags = interrupts_off();
		cr3 = read_cr3();
		write_cr3(tables->cr3);
		for (uint64_t at = 0; at < bytes; at += LARGE)
			accept_page(window + at, true, accepted);
		if (!accepted->failed)
			held += use(window, base + done, bytes);
		write_cr3(cr3);
		interrupts_back(flags);
	}
	return held;
}

static void put_slot(const struct guest *guest, const struct tables *tables)
{
	uint64_t base = in64(PORT), size = in64(PORT_SIZE), held;
	struct accepted accepted = {0};

	held = accept(guest, tables, base, size, &accepted);
	print_open(NULL, '{');
	print_mask("gpa", base);
	print_number("size-bytes", size);
	print_number("accepted-bytes", accepted.now);
	print_number("accepted-before-bytes", accepted.before);
	print_number("refused-bytes", accepted.failed);
	print_number("held-bytes", held);
	print_close('}');
}

/* Ports of other machines are left alone: they may be anything. */
static bool has_slots(const struct guest *guest)
{
	if (!(guest->sev_status & SEV_STATUS_SNP))
		return false;
	out32(PORT, 0);
	return in8(PORT_FLAGS) != NO_SLOT;
}

void facts_added(const struct guest *guest)
{
	struct tables tables;

	if (!has_slots(guest) || !tables_make(guest, tables_levels() - 1, &tables)) {
		print_null("added-memory");
		return;
	}
	print_open("added-memory", '[');
	for (uint32_t slot = 0; slot < SLOTS_MAX; slot++) {
		out32(PORT, slot);
		if (in8(PORT_FLAGS) == NO_SLOT)
			break;
		if (in8(PORT_FLAGS) & ENABLED)
			put_slot(guest, &tables);
	}
	print_close(']');
}

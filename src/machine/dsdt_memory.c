/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsdt_memory: describes the slots for RAM that is added while the guest runs: a memory device (PNP0C80) for
 * each, which the registers of device/dimms.h fill with life. Any thread; no state. ACPI 6.5, 6.3.5, 9.11.
 */
#include "acpi.h"
#include "aml.h"
#include "vmm/device/dimms.h"

#define PRESENT      0x0f /* _STA: there, enabled, shown, working */
#define DEVICE_CHECK 1    /* Notify(): look for the device again */

typedef struct machine_acpi_blob blob_t;

/* The registers, and the lock around "select a slot, then use it". */
static void put_registers(blob_t *b)
{
	static const struct machine_aml_field reads[] = {
	        {"BASL", 32}, {"BASH", 32}, {"SIZL", 32}, {"SIZH", 32}};
	static const struct machine_aml_field writes[] = {{"SLOT", 32}, {"OSOU", 32}, {"OSTA", 32}};
	static const struct machine_aml_field flags[] = {{NULL, 160}, {"ENAB", 1}, {"INSE", 1}};
	struct machine_aml_resources resources;

	machine_aml_name(b, "_CRS");
	resources = machine_aml_resources_open(b);
	machine_aml_io(b, DEVICE_DIMMS_PORT, DEVICE_DIMMS_PORTS);
	machine_aml_resources_close(b, resources);
	machine_aml_ports(b, "REGS", DEVICE_DIMMS_PORT, DEVICE_DIMMS_PORTS);
	machine_aml_fields(b, "REGS", 4, reads, ARRAY_LEN(reads));
	machine_aml_fields(b, "REGS", 4, writes, ARRAY_LEN(writes));
	machine_aml_fields(b, "REGS", 1, flags, ARRAY_LEN(flags));
	machine_aml_mutex(b, "GATE");
}

static void put_argument(blob_t *b, unsigned i)
{
	machine_aml_op(b, (enum machine_aml_op)(MACHINE_AML_ARG0 + i));
}

/* Store (argument i, name) */
static void put_store_argument(blob_t *b, unsigned i, const char *name)
{
	machine_aml_op(b, MACHINE_AML_STORE);
	put_argument(b, i);
	machine_aml_refer(b, name);
}

/* Store (value, Local0) */
static void put_set_local(blob_t *b, uint32_t value)
{
	machine_aml_op(b, MACHINE_AML_STORE);
	machine_aml_integer(b, value);
	machine_aml_op(b, MACHINE_AML_LOCAL0);
}

/* STAT (slot): what _STA says of it. */
static void put_status(blob_t *b)
{
	size_t method = machine_aml_method_open(b, "STAT", 1), there;

	put_set_local(b, 0);
	machine_aml_acquire(b, "GATE");
	put_store_argument(b, 0, "SLOT");
	there = machine_aml_if_open(b);
	machine_aml_refer(b, "ENAB");
	put_set_local(b, PRESENT);
	machine_aml_close(b, there);
	machine_aml_release(b, "GATE");
	machine_aml_op(b, MACHINE_AML_RETURN);
	machine_aml_op(b, MACHINE_AML_LOCAL0);
	machine_aml_close(b, method);
}

/* CreateQWordField (RAM, offset, name) */
static void put_part(blob_t *b, uint32_t offset, const char *name)
{
	machine_aml_op(b, MACHINE_AML_QWORD_FIELD);
	machine_aml_refer(b, "RAM_");
	machine_aml_integer(b, offset);
	machine_aml_refer(b, name);
}

/* target = high << 32 | low */
static void put_join(blob_t *b, const char *high, const char *low, const char *target)
{
	machine_aml_op(b, MACHINE_AML_OR);
	machine_aml_op(b, MACHINE_AML_SHIFT_LEFT);
	machine_aml_refer(b, high);
	machine_aml_integer(b, 32);
	machine_aml_op(b, MACHINE_AML_NO_TARGET);
	machine_aml_refer(b, low);
	machine_aml_refer(b, target);
}

/* CRES (slot): its _CRS. */
static void put_resources(blob_t *b)
{
	size_t method = machine_aml_method_open(b, "CRES", 1);
	struct machine_aml_resources resources;

	machine_aml_name(b, "RAM_");
	resources = machine_aml_resources_open(b);
	machine_aml_ram(b);
	machine_aml_resources_close(b, resources);
	put_part(b, MACHINE_AML_RAM_FIRST, "FRST");
	put_part(b, MACHINE_AML_RAM_LAST, "LAST");
	put_part(b, MACHINE_AML_RAM_BYTES, "LEN_");
	machine_aml_acquire(b, "GATE");
	put_store_argument(b, 0, "SLOT");
	put_join(b, "BASH", "BASL", "FRST");
	put_join(b, "SIZH", "SIZL", "LEN_");
	machine_aml_release(b, "GATE");
	machine_aml_op(b, MACHINE_AML_ADD);
	machine_aml_refer(b, "FRST");
	machine_aml_refer(b, "LEN_");
	machine_aml_op(b, MACHINE_AML_LOCAL0);
	machine_aml_op(b, MACHINE_AML_SUBTRACT);
	machine_aml_op(b, MACHINE_AML_LOCAL0);
	machine_aml_integer(b, 1);
	machine_aml_refer(b, "LAST");
	machine_aml_op(b, MACHINE_AML_RETURN);
	machine_aml_refer(b, "RAM_");
	machine_aml_close(b, method);
}

/* TELL (slot, source, status): what the system made of an event, _OST without its buffer. */
static void put_tell(blob_t *b)
{
	size_t method = machine_aml_method_open(b, "TELL", 3);

	machine_aml_acquire(b, "GATE");
	put_store_argument(b, 0, "SLOT");
	put_store_argument(b, 1, "OSOU");
	put_store_argument(b, 2, "OSTA");
	machine_aml_release(b, "GATE");
	machine_aml_close(b, method);
}

static const char *slot_name(unsigned i, char name[static 5])
{
	snprintf(name, 5, "M0%02u", i % 100);
	return name;
}

/* SCAN: tells the system of each slot that was filled since the last time. */
static void put_scan(blob_t *b)
{
	size_t method = machine_aml_method_open(b, "SCAN", 0), is_new;
	char name[5];

	machine_aml_acquire(b, "GATE");
	for (unsigned i = 0; i < PAGE_PLUGS_MAX; i++) {
		machine_aml_op(b, MACHINE_AML_STORE);
		machine_aml_integer(b, i);
		machine_aml_refer(b, "SLOT");
		is_new = machine_aml_if_open(b);
		machine_aml_refer(b, "INSE");
		machine_aml_op(b, MACHINE_AML_STORE);
		machine_aml_integer(b, 1);
		machine_aml_refer(b, "INSE");
		machine_aml_op(b, MACHINE_AML_NOTIFY);
		machine_aml_refer(b, slot_name(i, name));
		machine_aml_integer(b, DEVICE_CHECK);
		machine_aml_close(b, is_new);
	}
	machine_aml_release(b, "GATE");
	machine_aml_close(b, method);
}

/* Method (name) { Return (target (slot)) } */
static void put_forward(blob_t *b, const char *name, const char *target, unsigned slot)
{
	size_t method = machine_aml_method_open(b, name, 0);

	machine_aml_op(b, MACHINE_AML_RETURN);
	machine_aml_refer(b, target);
	machine_aml_integer(b, slot);
	machine_aml_close(b, method);
}

static void put_slot(blob_t *b, unsigned i)
{
	char name[5];
	size_t device = machine_aml_device_open(b, slot_name(i, name)), method;

	machine_aml_name(b, "_HID");
	machine_aml_eisa_id(b, "PNP0C80");
	machine_aml_name(b, "_UID");
	machine_aml_integer(b, i);
	put_forward(b, "_STA", "STAT", i);
	put_forward(b, "_CRS", "CRES", i);
	method = machine_aml_method_open(b, "_OST", 3);
	machine_aml_refer(b, "TELL");
	machine_aml_integer(b, i);
	put_argument(b, 0);
	put_argument(b, 1);
	machine_aml_close(b, method);
	machine_aml_close(b, device);
}

void machine_dsdt_put_memory(struct machine_acpi_blob *b)
{
	size_t container = machine_aml_device_open(b, "MEMS");

	machine_aml_name(b, "_HID");
	machine_aml_eisa_id(b, "PNP0A06"); /* a container (ACPI 6.5, 9.8) */
	machine_aml_name(b, "_UID");
	machine_aml_string(b, "memory slots");
	put_registers(b);
	put_status(b);
	put_resources(b);
	put_tell(b);
	put_scan(b);
	for (unsigned i = 0; i < PAGE_PLUGS_MAX; i++)
		put_slot(b, i);
	machine_aml_close(b, container);
}

/* An event is edge-triggered (_E) when its status is cleared before its method runs. */
#define EVENT_METHOD(digit) "_E0" #digit
#define EVENT_NAME(digit)   EVENT_METHOD(digit)
#define NAMES_3             "\x2f\x03" /* a path of three names follows */

void machine_dsdt_put_memory_event(struct machine_acpi_blob *b)
{
	size_t scope = machine_aml_scope_open(b, "\\_GPE"), method;

	method = machine_aml_method_open(b, EVENT_NAME(DEVICE_DIMMS_GPE), 0);
	machine_aml_refer(b, "\\" NAMES_3 "_SB_MEMSSCAN");
	machine_aml_close(b, method);
	machine_aml_close(b, scope);
}

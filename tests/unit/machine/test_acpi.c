/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ACPI files after a firmware of our own has run the script (acpi_firmware.h). test_acpi_tools.py checks
 * them with iasl and an AML interpreter.
 */
#include "acpi_firmware.h"
#include "vmm/device/dimms.h"

static const struct device_board board; /* without devices */
static struct err err;

static void test_acpi_every_table_is_found_and_sums_to_zero(void **state)
{
	static const unsigned counts[] = {1, 2, 63, 64};

	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		struct machine_acpi acpi;
		struct firmware fw;
		const uint8_t *fadt, *facs;
		uint32_t length;

		assert_ok(machine_acpi_build(&board, counts[i], &acpi, &err));
		fw = firmware_run(&acpi);
		firmware_find(&fw, "APIC", &length);
		fadt = firmware_find(&fw, "FACP", &length);
		assert_int_equal(length, 244);
		facs = firmware_table(&fw, load_le(fadt + 36, 4), "FACS", &length);
		assert_int_equal(length, 64);
		assert_int_equal((uint64_t)(facs - fw.files[1].data) % 64, 0);
		assert_int_equal(load_le(fadt + 40, 4), load_le(fadt + 140, 8));
		firmware_table(&fw, load_le(fadt + 140, 8), "DSDT", &length);
		machine_acpi_finish(&acpi);
	}
}

/*
 * The fields of the FADT and their offsets: ACPI 6.5, table 5.9. The ports are those that OVMF programs (PMBA
 * 0xb000).
 */
static void test_acpi_fadt_describes_the_platform(void **state)
{
	static const struct {
		unsigned at, bytes;
		uint64_t value;
	} want[] = {
	        {46, 2, 9},      /* SCI_INT */
	        {48, 4, 0},      /* SMI_CMD: ACPI mode always */
	        {56, 4, 0xb000}, /* PM1a_EVT_BLK */
	        {64, 4, 0xb004}, /* PM1a_CNT_BLK */
	        {76, 4, 0xb008}, /* PM_TMR_BLK */
	        {80, 4, 0},      /* GPE0_BLK */
	        {88, 1, 4},
	        {89, 1, 2},
	        {91, 1, 4},
	        {109, 2, 5},          /* legacy devices, no 8042, no VGA; the RTC is there */
	        {112, 4, 0x465},      /* RESET_REG_SUP, FIX_RTC, SLP_BUTTON, PROC_C1, WBINVD; 24-bit timer */
	        {116, 4, 0x01000801}, /* RESET_REG: I/O, 8 bits */
	        {120, 8, 0xcf9},
	        {128, 1, 6},
	        {148, 4, 0x02002001},
	        {152, 8, 0xb000},
	        {172, 4, 0x02001001},
	        {176, 8, 0xb004},
	        {208, 4, 0x03002001},
	        {212, 8, 0xb008},
	};
	struct machine_acpi acpi;
	struct firmware fw;
	const uint8_t *fadt;
	uint32_t length;

	assert_ok(machine_acpi_build(&board, 4, &acpi, &err));
	fw = firmware_run(&acpi);
	fadt = firmware_find(&fw, "FACP", &length);
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		assert_int_equal(load_le(fadt + want[i].at, want[i].bytes), want[i].value);
	machine_acpi_finish(&acpi);
}

static uint64_t no_ns(void *ctx)
{
	return 0;
}

/* Only machines with slots for memory, of which their guests are told, have a general-purpose event. */
static void test_acpi_events_are_described_where_memory_grows(void **state)
{
	static const struct {
		unsigned at, bytes;
		uint64_t value;
	} want[] = {{80, 4, 0xafe0}, {92, 1, 4}, {220, 4, 0x01002001}, {224, 8, 0xafe0}};

	for (unsigned announced = 0; announced < 2; announced++) {
		const struct device_dimms_ask ask = {announced};
		struct device_board with = {.clock.now_ns = no_ns};
		struct machine_acpi acpi;
		struct firmware fw;
		const uint8_t *fadt, *dsdt;
		uint32_t length;

		assert_ok(device_board_init(&with, &err));
		assert_ok(device_board_add(&with, &device_pci_kind, NULL, &err));
		assert_ok(device_board_add(&with, &device_power_kind, NULL, &err));
		assert_ok(device_board_add(&with, &device_dimms_kind, &ask, &err));
		assert_ok(machine_acpi_build(&with, 64, &acpi, &err));
		fw = firmware_run(&acpi);
		fadt = firmware_find(&fw, "FACP", &length);
		for (size_t i = 0; i < ARRAY_LEN(want); i++)
			assert_int_equal(
			        load_le(fadt + want[i].at, want[i].bytes), announced ? want[i].value : 0);
		dsdt = firmware_table(&fw, load_le(fadt + 40, 4), "DSDT", &length);
		assert_int_equal(memmem(dsdt, length, "M015", 4) != NULL, announced);
		machine_acpi_finish(&acpi);
		device_board_finish(&with);
	}
}

/* Changes every field that names the PM block and no other byte; the script makes the checksums. */
static void test_acpi_fadt_follows_the_pm_block(void **state)
{
	static const uint32_t fields[] = {56, 64, 76, 152, 176, 212};
	struct machine_acpi acpi;
	struct firmware fw;
	uint8_t before[244];
	const uint8_t *fadt;
	uint32_t length;

	assert_ok(machine_acpi_build(&board, 1, &acpi, &err));
	memcpy(before, (uint8_t *)acpi.tables + acpi.fadt_at, sizeof(before));
	machine_acpi_set_pm_port((uint8_t *)acpi.tables + acpi.fadt_at, MACHINE_PM_PORT);
	assert_memory_equal((uint8_t *)acpi.tables + acpi.fadt_at, before, sizeof(before));
	machine_acpi_set_pm_port((uint8_t *)acpi.tables + acpi.fadt_at, 0x600);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		store_le(before + fields[i], 2, load_le(before + fields[i], 2) - 0xb000 + 0x600);
	assert_memory_equal((uint8_t *)acpi.tables + acpi.fadt_at, before, sizeof(before));
	fw = firmware_run(&acpi);
	fadt = firmware_find(&fw, "FACP", &length);
	assert_int_equal(load_le(fadt + 64, 4), 0x604);
	assert_int_equal(load_le(fadt + 176, 8), 0x604);
	machine_acpi_finish(&acpi);
}

static void test_acpi_madt_lists_every_vcpu_and_interrupt(void **state)
{
	struct machine_acpi acpi;
	struct firmware fw;
	const uint8_t *madt;
	uint32_t length;
	unsigned lapics = 0, others = 0;

	assert_ok(machine_acpi_build(&board, 64, &acpi, &err));
	fw = firmware_run(&acpi);
	madt = firmware_find(&fw, "APIC", &length);
	assert_int_equal(load_le(madt + 36, 4), 0xfee00000);
	for (const uint8_t *e = madt + 44; e < madt + length; e += e[1]) {
		static const uint8_t want[][12] = {
		        {1, 12, 0, 0, 0, 0, 0xc0, 0xfe}, /* IOAPIC at fec00000 */
		        {2, 10, 0, 0, 2},                /* IRQ 0 is GSI 2 */
		        {2, 10, 0, 9, 9, 0, 0, 0, 0xd},  /* SCI: level, high */
		        {4, 6, 0xff, 0, 0, 1},           /* NMI at LINT1 */
		};

		assert_true(e[1] >= 6 && e + e[1] <= madt + length);
		if (e[0] == 0) {
			assert_int_equal(e[2], lapics);
			assert_int_equal(e[3], lapics);
			assert_int_equal(load_le(e + 4, 4), 1);
			lapics++;
		} else {
			assert_true(others < ARRAY_LEN(want));
			assert_memory_equal(e, want[others], e[1]);
			others++;
		}
	}
	assert_int_equal(lapics, 64);
	assert_int_equal(others, 4);
	machine_acpi_finish(&acpi);
}

static void test_acpi_vcpus_out_of_range_are_refused(void **state)
{
	struct machine_acpi acpi;

	assert_fails(machine_acpi_build(&board, 0, &acpi, &err), ERR_USAGE, "1 to 64");
	assert_fails(machine_acpi_build(&board, 65, &acpi, &err), ERR_USAGE, "1 to 64");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_acpi_every_table_is_found_and_sums_to_zero),
	        cmocka_unit_test(test_acpi_fadt_describes_the_platform),
	        cmocka_unit_test(test_acpi_events_are_described_where_memory_grows),
	        cmocka_unit_test(test_acpi_fadt_follows_the_pm_block),
	        cmocka_unit_test(test_acpi_madt_lists_every_vcpu_and_interrupt),
	        cmocka_unit_test(test_acpi_vcpus_out_of_range_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

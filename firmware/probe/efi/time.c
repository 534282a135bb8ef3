/* SPDX-License-Identifier: Apache-2.0 */
/*
 * time: whether the clocks agree, and whether interrupts arrive. The ACPI timer measures; for a tenth of a
 * second the time-stamp counter and the ticks of a timer of firmware, which needs the local APIC's interrupt,
 * are counted.
 *
 * Law: ACPI 6.5, 4.8.3.3 (timer), 5.2.5.3 (RSDP), 5.2.8 (XSDT), 5.2.9 (FADT).
 */
#include "facts.h"

#define PM_TIMER_HZ     3579545u
#define WINDOW          (PM_TIMER_HZ / 10)
#define LONGEST_LOOP    100000000u /* a timer that stands still ends here */
#define TICK_100NS      100000u    /* 10 ms */
#define RSDP_XSDT       24
#define TABLE_LENGTH    4
#define XSDT_ENTRIES    36
#define FADT_PM_TMR_BLK 76
#define PM_TIMER_MASK   0xffffffu /* each timer has at least 24 bits */

static uint64_t get(const uint8_t *table, size_t at, unsigned bytes)
{
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | table[at + bytes];
	return value;
}

static bool is_guid(const EFI_GUID *a, const EFI_GUID *b)
{
	const uint8_t *x = (const void *)a, *y = (const void *)b;

	for (size_t i = 0; i < sizeof(*a); i++)
		if (x[i] != y[i])
			return false;
	return true;
}

/* The port that the FADT names; 0: there is none. */
static uint16_t pm_timer_port(const EFI_SYSTEM_TABLE *system)
{
	EFI_GUID acpi = EFI_ACPI_20_TABLE_GUID;
	const uint8_t *rsdp = NULL, *xsdt;

	for (size_t i = 0; i < system->NumberOfTableEntries; i++)
		if (is_guid(&system->ConfigurationTable[i].VendorGuid, &acpi))
			rsdp = system->ConfigurationTable[i].VendorTable;
	if (!rsdp)
		return 0;
	xsdt = (const uint8_t *)get(rsdp, RSDP_XSDT, 8);
	for (size_t at = XSDT_ENTRIES; at + 8 <= get(xsdt, TABLE_LENGTH, 4); at += 8) {
		const uint8_t *table = (const uint8_t *)get(xsdt, at, 8);

		if (table[0] == 'F' && table[1] == 'A' && table[2] == 'C' && table[3] == 'P')
			return (uint16_t)get(table, FADT_PM_TMR_BLK, 4);
	}
	return 0;
}

static void EFIAPI tick(EFI_EVENT event, void *context)
{
	++*(volatile uint32_t *)context;
}

/* Counts the window's time-stamp counts; 0: the timer stands still. */
static uint64_t count_tsc(uint16_t port)
{
	uint32_t start = in32(port);
	uint64_t tsc = rdtsc();

	for (unsigned i = 0; i < LONGEST_LOOP; i++)
		if (((in32(port) - start) & PM_TIMER_MASK) >= WINDOW)
			return rdtsc() - tsc;
	return 0;
}

static void measure(const struct guest *guest, uint16_t port)
{
	EFI_BOOT_SERVICES *boot = guest->system->BootServices;
	volatile uint32_t ticks = 0;
	EFI_EVENT event;
	uint64_t tsc;

	if (boot->CreateEvent(EVT_TIMER | EVT_NOTIFY_SIGNAL, TPL_CALLBACK, tick, (void *)&ticks, &event))
		return;
	(void)boot->SetTimer(event, TimerPeriodic, TICK_100NS);
	tsc = count_tsc(port);
	(void)boot->CloseEvent(event);
	print_number("tsc-khz", tsc / (1000 / 10));
	print_number("timer-ticks", ticks);
}

void facts_time(const struct guest *guest)
{
	uint16_t port = pm_timer_port(guest->system);
	EFI_TIME time;

	print_open("time", '{');
	print_mask("pm-timer", port);
	if (port)
		measure(guest, port);
	if (guest->system->RuntimeServices->GetTime(&time, NULL))
		print_null("rtc");
	else
		print_time("rtc", &time);
	print_close('}');
}

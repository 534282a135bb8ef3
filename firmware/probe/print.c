/* SPDX-License-Identifier: Apache-2.0 */
/*
 * print: text on the first serial port, and the end of the machine.
 */
#include "probe.h"

#define COM1      0x3f8
#define PCI_INDEX 0xcf8
#define PCI_DATA  0xcfc
#define PM_PCI    0x80000b00 /* bus 0, device 1, function 3: PIIX4 power management */
#define PM_BASE   0xb000

void print(const char *text)
{
	for (; *text; text++) {
		while (!(in8(COM1 + 5) & 0x20))
			;
		out8(COM1, (u8)*text);
	}
}

void print_hex(u64 value)
{
	char text[17];
	unsigned at = 16;

	text[at] = 0;
	do {
		text[--at] = "0123456789abcdef"[value & 15];
		value >>= 4;
	} while (value);
	print(text + at);
}

void print_named(const char *name, u64 value)
{
	print(" ");
	print(name);
	print("=");
	print_hex(value);
}

/* ACPI's S5, whose SLP_TYP is 0, with the registers where firmware puts them. */
void power_off(void)
{
	out32(PCI_INDEX, PM_PCI | 0x40);
	out32(PCI_DATA, PM_BASE | 1);
	out32(PCI_INDEX, PM_PCI | 0x80);
	out8(PCI_DATA, 1);
	out16(PM_BASE + 4, 0x2000);
	for (;;)
		asm volatile("cli; hlt");
}

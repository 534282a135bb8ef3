/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cr: the control registers CR0, CR2, CR3, CR4 and CR8, and the changes into and out of long mode (APM 2,
 * 3.1, 14.6).
 */
#include "ops.h"
#include "walk.h"

/* ---- control registers (APM 2, 3.1) ---- */

#define CR0_KNOWN \
	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)
#define CR4_KNOWN \
	(CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE | \
	        CR4_OSFXSR | CR4_OSXMMEXCPT)

u64 cpu_cr4_allowed(const struct cpu *cpu)
{
	return CR4_KNOWN | (cpu->features & FEATURE_SMEP ? CR4_SMEP : 0) |
	       (cpu->features & FEATURE_SMAP ? CR4_SMAP : 0) | (cpu->features & FEATURE_UMIP ? CR4_UMIP : 0) |
	       (cpu->features & FEATURE_FSGSBASE ? CR4_FSGSBASE : 0) |
	       (cpu->features & FEATURE_XSAVE ? CR4_OSXSAVE : 0);
}

/* Reads the four entries that PAE keeps in the processor (APM 2, 5.2.3). False: a reserved bit is set. */
static bool pdptes_read(const struct cpu *cpu, u64 cr3, u64 ret_entries[static 4])
{
	u64 table = cr3 & 0xffffffe0, valid = cpu->bus->phys_mask | cpu->bus->c_bit;
	enum cpu_view view;
	bool readonly;

	for (unsigned i = 0; i < 4; i++) {
		const u8 *entry = cpu_table_host(cpu, table + i * 8, 8, &readonly, &view);

		ret_entries[i] = entry ? load_le(entry, 8) : 0;
		if (ret_entries[i] & 1 && ret_entries[i] & (~valid | 0x1e6))
			return false;
	}
	return true;
}

static bool pae_paging(u64 cr0, u64 cr4, u64 efer)
{
	return cr0 & CR0_PG && cr4 & CR4_PAE && !(efer & EFER_LMA);
}

void cpu_pdptes_load(struct cpu *cpu)
{
	u64 entries[4];

	if (pae_paging(cpu->cr0, cpu->cr4, cpu->efer) && pdptes_read(cpu, cpu->cr3, entries))
		memcpy(cpu->pdpte, entries, sizeof(entries));
}

/* Reads the four entries if the write turns PAE paging on; bad entries refuse the write with #GP. */
static void pdptes_check(struct cpu *cpu, u64 cr0, u64 cr3, u64 cr4, u64 efer)
{
	u64 entries[4];

	if (!pae_paging(cr0, cr4, efer))
		return;
	if (!pdptes_read(cpu, cr3, entries))
		cpu_raise_error(cpu, EXC_GP, 0);
	memcpy(cpu->pdpte, entries, sizeof(entries));
}

/*
 * Returns EFER after a write to CR0. With EFER.LME, long mode begins when paging is turned on, and ends when
 * paging is turned off.
 */
static u64 long_mode_switch(struct cpu *cpu, u64 old, u64 value)
{
	if (!((old ^ value) & CR0_PG) || !(cpu->efer & EFER_LME))
		return cpu->efer;
	if (!(value & CR0_PG)) {
		if (cpu->seg[CPU_CS].attr & SEG_L)
			cpu_raise_error(cpu, EXC_GP, 0);
		return cpu->efer & ~(u64)EFER_LMA;
	}
	if (!(cpu->cr4 & CR4_PAE) || cpu->seg[CPU_CS].attr & SEG_L)
		cpu_raise_error(cpu, EXC_GP, 0);
	return cpu->efer | EFER_LMA;
}

void cpu_cr0_write(struct cpu *cpu, u64 value)
{
	u64 old = cpu->cr0, efer;

	if (value >> 32 || (value & CR0_PG && !(value & CR0_PE)) || (value & CR0_NW && !(value & CR0_CD)))
		cpu_raise_error(cpu, EXC_GP, 0);
	value = (value & CR0_KNOWN) | CR0_ET;
	efer = long_mode_switch(cpu, old, value);
	if ((old ^ value) & (CR0_PG | CR0_CD | CR0_NW))
		pdptes_check(cpu, value, cpu->cr3, cpu->cr4, efer);
	cpu->efer = efer;
	cpu->cr0 = value;
	if ((old ^ value) & (CR0_PG | CR0_WP | CR0_PE))
		cpu_tlb_flush(cpu);
	cpu_mode_changed(cpu);
}

void cpu_cr3_write(struct cpu *cpu, u64 value)
{
	if (mode_is(cpu, MODE_LONG)) {
		value &= ~((u64)1 << 63);
		if (value & ~(cpu->bus->phys_mask | cpu->bus->c_bit | 0xfff))
			cpu_raise_error(cpu, EXC_GP, 0);
	}
	pdptes_check(cpu, cpu->cr0, value, cpu->cr4, cpu->efer);
	cpu->cr3 = value;
	cpu_tlb_flush(cpu);
	cpu_code_serialize(cpu);
}

void cpu_cr4_write(struct cpu *cpu, u64 value)
{
	u64 old = cpu->cr4;

	if (value & ~cpu_cr4_allowed(cpu) || (mode_is(cpu, MODE_LONG) && !(value & CR4_PAE)))
		cpu_raise_error(cpu, EXC_GP, 0);
	if ((old ^ value) & (CR4_PAE | CR4_PSE | CR4_PGE | CR4_SMEP))
		pdptes_check(cpu, cpu->cr0, cpu->cr3, value, cpu->efer);
	cpu->cr4 = value;
	if ((old ^ value) & (CR4_PAE | CR4_PSE | CR4_PGE | CR4_SMEP | CR4_SMAP))
		cpu_tlb_flush(cpu);
	cpu_mode_changed(cpu);
}

/* Raises #UD for a register that does not exist, at every privilege; else #GP above CPL 0. */
static void cr_check(struct cpu *cpu, unsigned number)
{
	if (number > 8 || !(0x11d >> number & 1))
		cpu_raise(cpu, EXC_UD);
	require_cpl0(cpu);
}

void op_mov_from_cr(struct cpu *cpu, const struct cpu_op *op)
{
	u64 value;

	cr_check(cpu, op->xreg);
	switch (op->xreg) {
	case 0: value = cpu->cr0; break;
	case 2: value = cpu->cr2; break;
	case 3: value = cpu->cr3; break;
	case 4: value = cpu->cr4; break;
	default: value = cpu->bus->cr8_read ? cpu->bus->cr8_read(cpu->ctx) : cpu->cr8; break;
	}
	reg_set(cpu, op->xrm * 8u, register_width(cpu), value);
}

void op_mov_to_cr(struct cpu *cpu, const struct cpu_op *op)
{
	u64 value = reg_get(cpu, op->xrm * 8u, register_width(cpu));

	cr_check(cpu, op->xreg);
	switch (op->xreg) {
	case 0: cpu_cr0_write(cpu, value); break;
	case 2: cpu->cr2 = value; break;
	case 3: cpu_cr3_write(cpu, value); break;
	case 4: cpu_cr4_write(cpu, value); break;
	default:
		if (value > 15)
			cpu_raise_error(cpu, EXC_GP, 0);
		cpu->cr8 = value;
		if (cpu->bus->cr8_write)
			cpu->bus->cr8_write(cpu->ctx, (u8)value);
	}
}

void op_lmsw(struct cpu *cpu, const struct cpu_op *op)
{
	u64 value;

	require_cpl0(cpu);
	value = cpu_rm_read(cpu, op, 2) & 0xf;
	/* LMSW can set PE but not clear it. */
	cpu_cr0_write(cpu, (cpu->cr0 & ~(u64)0xe) | value);
}

void op_smsw(struct cpu *cpu, const struct cpu_op *op)
{
	if (cpu->cr4 & CR4_UMIP && cpu->cpl)
		cpu_raise_error(cpu, EXC_GP, 0);
	cpu_rm_write(cpu, op, op->flags & OP_MEM ? 2 : op->size, cpu->cr0);
}

void op_clts(struct cpu *cpu, const struct cpu_op *op)
{
	require_cpl0(cpu);
	cpu->cr0 &= ~(u64)CR0_TS;
}

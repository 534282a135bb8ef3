/* SPDX-License-Identifier: Apache-2.0 */
/*
 * length: how long instructions are, for programs of the host.
 */
#include "decode.h"
#include "ops.h"

/* The bytes of a ModRM operand behind its opcode: ModRM, SIB, displacement. */
static unsigned modrm_length(const u8 *modrm, unsigned size)
{
	unsigned mod = modrm[0] >> 6, rm = modrm[0] & 7, length = mod != 3 && rm == 4 ? 2 : 1;

	if (size < length)
		return 0;
	if (mod == 1)
		return length + 1;
	if (mod == 2 || (mod == 0 && (rm == 5 || (rm == 4 && (modrm[1] & 7) == 5))))
		return length + 4;
	return length;
}

/* Which opcodes of the second map have an immediate byte behind them when they are encoded with VEX or EVEX.
 */
static bool vex_has_immediate(u8 opcode)
{
	return (opcode >= 0x70 && opcode <= 0x73) || opcode == 0xc2 || (opcode >= 0xc4 && opcode <= 0xc6);
}

/* C5: one byte behind it; C4: two, the first with the map; 62: three, likewise. */
static unsigned vex_length(const u8 *code, unsigned size)
{
	unsigned at = code[0] == 0xc5 ? 2 : code[0] == 0xc4 ? 3 : 4, map = 1, operand;

	if (size < at + 2)
		return 0;
	if (code[0] != 0xc5)
		map = code[1] & (code[0] == 0xc4 ? 31 : 7);
	if (map == 1 && code[at] == 0x77) /* VZEROUPPER, VZEROALL */
		return at + 1;
	operand = modrm_length(code + at + 1, size - at - 1);
	if (!operand)
		return 0;
	return at + 1 + operand + (map == 3 || (map == 1 && vex_has_immediate(code[at])));
}

/* UD2, with which compilers end what does not return. */
static bool is_ud2(const u8 *code, unsigned size)
{
	return size >= 2 && code[0] == 0x0f && code[1] == 0x0b;
}

unsigned cpu_length(const u8 *code, unsigned size, bool *ret_known)
{
	static const struct cpu in_long_mode = {
	        .mode = MODE_64 | MODE_CS32 | MODE_PE, .features = UINT64_MAX};
	struct cpu_op op = {0};
	unsigned length;
	bool end;

	if (!size)
		return 0;
	*ret_known = true;
	if (code[0] == 0xc4 || code[0] == 0xc5 || code[0] == 0x62)
		return vex_length(code, size);
	length = cpu_decode(&in_long_mode, code, size, 0, &op, &end);
	*ret_known = is_ud2(code, size) || (length && op.fn != op_unknown && op.fn != op_invalid);
	return length;
}

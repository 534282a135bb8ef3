/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run: runs one test and prints its line: what it met, how it ended, and each register that changed.
 */
#include "probe.h"

#define EVENTS_MAX  8
#define FLAGS_SHOWN 0x3f7700 /* without the arithmetic ones */

static const char *const names[] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "9", "#TS",
        "#NP", "#SS", "#GP", "#PF", "15", "#MF", "#AC", "#MC", "#XM"};

static bool has_error(unsigned vector)
{
	return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
}

/* Is RF left out? Processors differ in whether an interrupt from outside, or an abort, pushes it set. */
static bool any_flag_rf(const struct state *s)
{
	return s->vector == 2 || s->vector == 8 || s->vector >= 0x40;
}

/* In code of 16 bits, whose base is not 0, addresses have 16 bits, too. */
static word distance(word ip, const u8 *code)
{
	return ip < 0x10000 ? (u16)(ip - (word)code) : ip - (word)code;
}

static void print_place(const struct probe *probe, word ip)
{
	word from_code = distance(ip, probe->code);
	word from_target = probe->target ? distance(ip, probe->target) : ~(word)0;

	if (from_code >= 256 && from_target >= 256) {
		print_named("ip", ip);
		return;
	}
	print(from_target < from_code ? " target+" : " +");
	print_hex(from_target < from_code ? from_target : from_code);
}

void probe_print_event(const struct probe *probe, const struct state *s)
{
	print(" ");
	if (s->vector == VECTOR_DONE) {
		print("done");
		return;
	}
	if (s->vector < COUNT(names)) {
		print(names[s->vector]);
	} else {
		print("vector ");
		print_hex(s->vector);
	}
	if (has_error((unsigned)s->vector) &&
	        !(s->cs == 0x1000 && !(s->flags & FLAG_VM))) { /* real mode has none */
		print("(");
		print_hex(s->error);
		print(")");
	}
	print_place(probe, s->ip);
	if (s->vector == 14)
		print_named("cr2", cr2_read());
	if (s->vector == 1) {
		print_named("dr6", dr6_read());
		dr6_write(0xffff0ff0);
	}
}

static const struct {
	const char *name;
	u16 offset, bits;
} shown[] = {
        {"ax", STATE_AX, 64},
        {"cx", STATE_CX, 64},
        {"dx", STATE_DX, 64},
        {"bx", STATE_BX, 64},
        {"bp", STATE_BP, 64},
        {"si", STATE_SI, 64},
        {"di", STATE_DI, 64},
        {"cs", STATE_CS, 16},
        {"ss", STATE_SS, 16},
        {"ds", STATE_DS, 16},
        {"es", STATE_ES, 16},
        {"fs", STATE_FS, 16},
        {"gs", STATE_GS, 16},
};

/* Prints a value. An address in the code is printed as a distance from the code's start. */
static void print_value(const struct probe *probe, const char *name, word value)
{
	word from = probe_seen.cs == SEL_CODE16 || probe_seen.cs == 0x1000 ? 0x10000 : 0,
	     from_code = value + from - (word)probe->code;

	if (probe->target && value + from - (word)probe->target < from_code)
		from_code = value + from - (word)probe->target;
	if (from_code >= 256) {
		print_named(name, value);
		return;
	}
	print(" ");
	print(name);
	print("=+");
	print_hex(from_code);
}

void probe_print_changes(const struct probe *probe, const struct state *start, const struct state *s)
{
	word mask = any_flag_rf(s) ? FLAGS_SHOWN & ~FLAG_RF : FLAGS_SHOWN;

	for (size_t i = 0; i < COUNT(shown); i++) {
		word old = *(const word *)(const void *)((const u8 *)start + shown[i].offset);
		word new = *(const word *)(const void *)((const u8 *)s + shown[i].offset);

		if (shown[i].bits == 16)
			old &= 0xffff, new &= 0xffff;
		if (old != new)
			print_value(probe, shown[i].name, new);
	}
	if ((s->flags ^ start->flags) & mask)
		print_named("flags", s->flags & mask);
	if (probe->stack)
		print_named("sp", s->sp);
	if (probe->zf)
		print(s->flags & FLAG_ZF ? " ZF" : " -");
}

static struct state start_of(const struct probe *probe)
{
	static const u16 codes[] = {SEL_CODE, SEL_CODE1, 0, SEL_CODE3},
	                 datas[] = {SEL_DATA, SEL_DATA1, 0, SEL_DATA3};
	struct state s = {.ax = probe->ax,
	        .cx = probe->cx,
	        .dx = probe->dx,
	        .bx = probe->bx,
	        .si = probe->si,
	        .di = probe->di,
	        .ip = (word)probe->code,
	        .flags = probe->flags | 2,
	        .cs = probe->cs ? probe->cs : codes[probe->ring],
	        .ss = probe->ss ? probe->ss : datas[probe->ring],
	        .ds = probe->ds ? probe->ds : datas[probe->ring],
	        .es = datas[probe->ring]};

	s.sp = probe->sp ? probe->sp : probe->ring ? STACK_3 : STACK_0;
	if (probe->flags & FLAG_VM) {
		s.cs = 0x1000;
		s.ss = s.ds = s.es = 0x8000;
		s.sp = 0x7000;
	}
	if (probe->flags & FLAG_VM || s.cs == SEL_CODE16)
		s.ip &= 0xffff;
	return s;
}

static bool goes_on(const struct probe *probe, word vector)
{
	for (size_t i = 0; i < COUNT(probe->resume); i++)
		if (probe->resume[i] && probe->resume[i] == vector)
			return true;
	return false;
}

void probe_run(const struct probe *probe)
{
	struct state start = start_of(probe), now = start;

	machine_reset();
	print(probe->name);
	print(":");
	if (probe->before)
		probe->before(probe);
	for (unsigned events = 0;; events++) {
		probe_enter(&now);
		probe_print_event(probe, &probe_seen);
		if (!goes_on(probe, probe_seen.vector) || events == EVENTS_MAX)
			break;
		print(",");
		now = probe_seen;
		if (any_flag_rf(&now))
			now.flags &= ~(word)FLAG_RF;
	}
	if (!probe->quiet)
		probe_print_changes(probe, &start, &probe_seen);
	if (probe->after)
		probe->after(probe);
	print("\n");
}

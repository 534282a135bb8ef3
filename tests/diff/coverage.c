/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu_coverage: is every instruction that the software processor implements among the forms of cpu_diff? A
 * unit is an encoding: map, opcode, mandatory prefix, LOCK, /reg, register or memory. Units that no form can
 * hold are in a list with their reasons. Prints the missing units; exit status 1 if there are any.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"
#include "cpu/decode.h"
#include "cpu/internal.h"

#define CASES_PER_FORM 2000
/* none, 66, F3, F2, LOCK */
enum prefix { PLAIN, P66, PF3, PF2, PLOCK, PREFIXES };
#define MAPS   7 /* one byte, 0F, 0F 38, 0F 3A; with VEX 0F, 0F 38, 0F 3A */
#define VEX_0F 4
#define UNITS  (PREFIXES * MAPS * 256 * 16)

static const uint8_t prefix_bytes[PREFIXES] = {0, 0x66, 0xf3, 0xf2, 0xf0};
static bool covered[UNITS];

struct unit {
	enum prefix prefix;
	unsigned map, opcode, reg;
	bool memory;
};

static unsigned unit_index(const struct unit *u)
{
	return (((unsigned)u->prefix * MAPS + u->map) * 256 + u->opcode) * 16 + u->reg * 2 + u->memory;
}

/* ---- units that no form holds; /reg 8: any, 9: of a register with F3 ---- */

static const struct {
	uint8_t map, first, last, reg;
	const char *why;
} elsewhere[] = {
        {0, 0x06, 0x07, 8, "segment registers: tests/unit/sim"},
        {0, 0x0e, 0x0e, 8, "segment registers"},
        {0, 0x16, 0x17, 8, "segment registers"},
        {0, 0x1e, 0x1f, 8, "segment registers"},
        {0, 0x8c, 0x8c, 8, "segment registers"},
        {0, 0x8e, 0x8e, 8, "segment registers"},
        {0, 0x9a, 0x9a, 8, "far transfer"},
        {0, 0xc4, 0xc5, 8, "segment registers"},
        {0, 0xca, 0xcf, 8, "far transfer, software interrupts"},
        {0, 0xea, 0xea, 8, "far transfer"},
        {0, 0xf1, 0xf1, 8, "the host's kernel takes the trap"},
        {0, 0xff, 0xff, 3, "far transfer"},
        {0, 0xff, 0xff, 5, "far transfer"},
        {1, 0x00, 0x00, 8, "the host's own tables"},
        {1, 0x02, 0x03, 8, "the host's own tables"},
        {1, 0x05, 0x05, 8, "enters the host's kernel"},
        {1, 0x31, 0x31, 8, "time"},
        {1, 0x33, 0x33, 8, "the host's counters"},
        {1, 0x34, 0x35, 8, "hypervisors emulate it; AMD's processors have it outside long mode alone"},
        {1, 0xa0, 0xa1, 8, "segment registers"},
        {1, 0xa2, 0xa2, 8, "CPUID is the guest's own"},
        {1, 0xa8, 0xa9, 8, "segment registers"},
        {1, 0xae, 0xae, 9, "FS's base is the host's"},
        {1, 0xb2, 0xb2, 8, "segment registers"},
        {1, 0xb4, 0xb5, 8, "segment registers"},
        {1, 0x01, 0x01, 0, "the host's own tables; hypercalls"},
        {1, 0x01, 0x01, 1, "the host's own tables; MONITOR, MWAIT, CLAC and STAC are tests/unit/sim's"},
        {1, 0x01, 0x01, 2, "XCR0 is the host's"},
        {1, 0x01, 0x01, 3, "the host's own tables; hypercalls"},
        {1, 0x01, 0x01, 4, "CR0 is the host's"},
        {1, 0x01, 0x01, 7, "time"},
        {1, 0xc7, 0xc7, 6, "random"},
        {1, 0xc7, 0xc7, 7, "random; RDPID"},
};

static const char *why_elsewhere(const struct unit *u)
{
	for (size_t i = 0; i < ARRAY_LEN(elsewhere); i++)
		if (u->map == elsewhere[i].map && u->opcode >= elsewhere[i].first &&
		        u->opcode <= elsewhere[i].last &&
		        (elsewhere[i].reg == 8 || elsewhere[i].reg == u->reg ||
		                (elsewhere[i].reg == 9 && u->prefix == PF3 && !u->memory)))
			return elsewhere[i].why;
	return NULL;
}

/* ---- what is implemented ---- */

static unsigned encode(const struct unit *u, uint8_t bytes[static 24])
{
	static const uint8_t maps[VEX_0F][2] = {{0}, {0x0f}, {0x0f, 0x38}, {0x0f, 0x3a}};
	unsigned n = 0;

	memset(bytes, 0, 24);
	if (u->map >= VEX_0F) {
		bytes[0] = 0xc4;
		bytes[1] = (uint8_t)(0xe0 | (u->map - VEX_0F + 1));
		bytes[2] = (uint8_t)(0x78 | u->prefix);
		bytes[3] = (uint8_t)u->opcode;
		bytes[4] = (uint8_t)(u->reg << 3 | (u->memory ? 0x84 : 0xc1));
		return 5;
	}
	if (u->prefix != PLAIN)
		bytes[n++] = prefix_bytes[u->prefix];
	for (unsigned i = 0; i < 2 && maps[u->map][i]; i++)
		bytes[n++] = maps[u->map][i];
	bytes[n++] = (uint8_t)u->opcode;
	bytes[n++] = (uint8_t)(u->reg << 3 | (u->memory ? 0x81 : 0xc1));
	return n;
}

static cpu_op_fn *handler(struct cpu *cpu, const struct unit *u, unsigned *ret_len)
{
	struct cpu_op op = {0};
	uint8_t bytes[24];
	bool end;

	encode(u, bytes);
	/* VEX.W and VEX.L may have to have one value. */
	for (unsigned i = 0; i < (u->map < VEX_0F ? 1 : 4); i++) {
		if (u->map >= VEX_0F)
			bytes[2] = (uint8_t)((bytes[2] & 0x7b) | (i & 1) << 2 | (i & 2) << 6);
		*ret_len = cpu_decode(cpu, bytes, 15, 0, &op, &end);
		if (op.fn != op_unknown && op.fn != op_invalid)
			return op.fn;
	}
	return NULL;
}

/* A ModRM byte for memory is followed by four bytes of displacement. */
static bool has_modrm(struct cpu *cpu, struct unit u)
{
	unsigned memory, reg;

	u.memory = true;
	handler(cpu, &u, &memory);
	u.memory = false;
	handler(cpu, &u, &reg);
	return memory != reg;
}

static bool is_escape(const struct cpu *cpu, const struct unit *u)
{
	static const char prefixes[] = "\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3\x0f";

	if (u->map == 0)
		return memchr(prefixes, (int)u->opcode, sizeof(prefixes) - 1) ||
		       (cpu->mode & MODE_64 && (u->opcode & 0xf0) == 0x40);
	return u->map == 1 && (u->opcode == 0x38 || u->opcode == 0x3a);
}

/*
 * Is the unit implemented, and not the same as without the prefix? 66 gives another size and always counts.
 */
static bool implemented(struct cpu *cpu, const struct unit *u)
{
	struct unit bare = *u;
	cpu_op_fn *fn;
	unsigned len;

	bare.prefix = PLAIN;
	if (u->map >= VEX_0F && u->prefix == PLOCK)
		return false;
	if (is_escape(cpu, u) || !(fn = handler(cpu, u, &len)))
		return false;
	if (!has_modrm(cpu, *u) && (u->reg || !u->memory))
		return false;
	return u->prefix <= P66 || u->map >= VEX_0F || fn != handler(cpu, &bare, &len);
}

/* ---- what the forms hold ---- */

static void cover(const struct diff_case *c)
{
	struct unit u = {.prefix = PLAIN};
	const uint8_t *at = c->code;

	for (;; at++) {
		if (*at == 0x66 && u.prefix == PLAIN)
			u.prefix = P66;
		else if (*at == 0xf0 || *at == 0xf2 || *at == 0xf3)
			u.prefix = *at == 0xf0 ? PLOCK : *at == 0xf3 ? PF3 : PF2;
		else if (*at != 0x67 && *at != 0x64 && *at != 0x65 && (c->mode32 || (*at & 0xf0) != 0x40))
			break;
	}
	if ((*at == 0xc4 || *at == 0xc5) && (!c->mode32 || at[1] >= 0xc0)) {
		u.map = VEX_0F + (*at == 0xc5 ? 0 : (at[1] & 31) - 1u);
		at += *at == 0xc5 ? 1 : 2;
		u.prefix = (enum prefix)(*at++ & 3);
	} else if (*at == 0x0f) {
		at++;
		u.map = *at == 0x38 ? 2 : *at == 0x3a ? 3 : 1;
		at += u.map > 1;
	}
	u.opcode = *at++;
	u.reg = *at >> 3 & 7;
	u.memory = *at < 0xc0;
	covered[unit_index(&u)] = true;
	/* Without a ModRM byte that is any. */
	u.reg = 0;
	u.memory = true;
	covered[unit_index(&u)] = true;
}

static struct cpu *create(struct cpu_bus *bus)
{
	struct kvm_cpuid_entry2 entries[64];
	uint32_t count = 64;
	struct cpu *cpu;
	struct err err = {0};

	if (cpu_create(bus, NULL, &cpu, &err))
		abort();
	cpu_supported_cpuid(entries, &count);
	if (cpu_set_cpuid(cpu, entries, count, &err))
		abort();
	/* Also what CPUID does not offer, because of the host or yet. */
	cpu->features = UINT64_MAX;
	return cpu;
}

static unsigned print_missing(struct cpu *cpu, unsigned *ret_total)
{
	unsigned missing = 0;
	uint8_t bytes[24];

	for (unsigned i = 0; i < UNITS; i++) {
		struct unit u = {.memory = i & 1,
		        .reg = i >> 1 & 7,
		        .opcode = i >> 4 & 255,
		        .map = (i >> 12) % MAPS,
		        .prefix = (enum prefix)((i >> 12) / MAPS)};
		unsigned size;

		if (!implemented(cpu, &u) || why_elsewhere(&u))
			continue;
		++*ret_total;
		if (covered[i])
			continue;
		size = encode(&u, bytes);
		printf("not covered, %s mode:", cpu->mode & MODE_64 ? "64-bit" : "32-bit");
		for (unsigned k = 0; k < size; k++)
			printf(" %02x", bytes[k]);
		printf("\n");
		missing++;
	}
	return missing;
}

int main(void)
{
	struct diff_random random = {.state = 1};
	struct cpu_bus bus = {.phys_mask = 0xffffffffff};
	struct cpu *cpu = create(&bus);
	unsigned missing = 0, total = 0;

	for (unsigned i = 0; i < diff_form_count; i++)
		for (unsigned k = 0; k < CASES_PER_FORM; k++) {
			struct diff_case c;

			if (diff_build(&random, &diff_forms[i], ~0u, &c))
				cover(&c);
		}
	cpu->mode = MODE_PE | MODE_CS32 | MODE_SS32;
	missing += print_missing(cpu, &total);
	cpu->mode = MODE_PE | MODE_LONG | MODE_64;
	missing += print_missing(cpu, &total);
	printf("%u encodings, %u not covered\n", total, missing);
	cpu_destroy(cpu);
	return missing ? 1 : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ghcb_io: accesses to ports and to memory-mapped registers by the GHCB. What no device inside the platform
 * answers leaves to the VMM, as for a plain guest. The bytes of strings and registers lie in the scratch
 * area: in the page of the GHCB itself, or with version 1 of its protocol anywhere in guest memory. Law: the
 * GHCB specification (AMD 56421), 4.1.2, 4.1.4; Linux's arch/x86/kvm/svm/sev.c and
 * arch/x86/kvm/x86.c.
 */
#include <errno.h>
#include <string.h>

#include "raw.h"

#define SCRATCH_MAX  (UINT64_C(16) * PAGE_SIZE_BYTES)
#define MMIO_MAX     8u /* bytes of one access, and all that version 2 allows */
#define RAX_MERGE_TO 3u /* IN of so many bytes keeps the rest of RAX */

static bool is_version_2(const struct kvm_vcpu *v)
{
	return v->vm->sev->ghcb_version >= 2;
}

/* ---- the scratch area ---- */

uint8_t *sev_ghcb_scratch(struct kvm_vcpu *v, uint64_t at)
{
	struct sev_ghcb *g = &v->sev->ghcb;

	if (g->scratch.outside)
		return g->scratch.outside + at;
	return (uint8_t *)&g->guest + (g->guest.sw_scratch - g->msr) + at;
}

static int use_page(struct kvm_vcpu *v, uint64_t size)
{
	struct sev_ghcb *g = &v->sev->ghcb;
	uint64_t offset = g->guest.sw_scratch - g->msr;

	if (offset < ABI_GHCB_SHARED_AT ||
	        !range_fits(offset - ABI_GHCB_SHARED_AT, size, ABI_GHCB_SHARED_BYTES))
		return sev_ghcb_malformed(v, ABI_GHCB_BAD_SCRATCH);
	g->scratch.size = size;
	return 0;
}

static int use_outside(struct kvm_vcpu *v, uint64_t size, bool sync)
{
	struct sev_ghcb *g = &v->sev->ghcb;

	if (is_version_2(v) || size > SCRATCH_MAX)
		return sev_ghcb_malformed(v, ABI_GHCB_BAD_SCRATCH);
	g->scratch.outside = calloc(1, size);
	if (!g->scratch.outside)
		return -ENOMEM;
	if (!sev_raw_read(v, g->guest.sw_scratch, g->scratch.outside, size)) {
		free(take_ptr(&g->scratch.outside));
		return -EFAULT;
	}
	g->scratch.size = size;
	g->scratch.sync = sync;
	return 0;
}

int sev_ghcb_open_scratch(struct kvm_vcpu *v, uint64_t size, bool sync)
{
	const struct sev_ghcb *g = &v->sev->ghcb;
	uint64_t at = g->guest.sw_scratch, end;

	if (!at || !add_ok(at, size, &end))
		return sev_ghcb_malformed(v, ABI_GHCB_BAD_SCRATCH);
	return (at & ~ABI_GHCB_MSR_CODE) == g->msr ? use_page(v, size) : use_outside(v, size, sync);
}

void sev_ghcb_filled(struct kvm_vcpu *v, uint64_t at, uint64_t size)
{
	struct sev_ghcb *g = &v->sev->ghcb;

	if (!g->scratch.outside)
		sev_ghcb_write(v, g->guest.sw_scratch - g->msr + at, sev_ghcb_scratch(v, at), size);
}

/* ---- ports ---- */

/*
 * Lets a device inside the platform answer count elements. As in KVM, the first one decides. If the device
 * goes away later, what remains reads as zero. Returns false if the VMM is to answer all of them.
 */
static bool device_answers(struct kvm_vcpu *v, uint8_t *data, uint32_t count)
{
	const struct sev_ghcb *g = &v->sev->ghcb;
	const unsigned size = g->access.size;

	for (uint32_t i = 0; i < count; i++, data += size) {
		uint64_t value = load_le(data, size);

		if (!v->vm->bus.io(v, g->access.write, (uint16_t)g->access.at, size, &value)) {
			if (i == 0)
				return false;
			if (!g->access.write)
				memset(data, 0, (size_t)(count - i) * size);
			break;
		}
		if (!g->access.write)
			store_le(data, size, value);
	}
	return true;
}

static void leave_for_port(struct kvm_vcpu *v, const uint8_t *data, uint32_t count)
{
	const struct sev_ghcb *g = &v->sev->ghcb;

	kvm_vcpu_tell_io(v, g->access.write, (uint16_t)g->access.at, g->access.size, count, data);
}

/* ---- one element, in RAX ---- */

static int take_element(struct kvm_vcpu *v, const uint8_t *data)
{
	const struct sev_ghcb *g = &v->sev->ghcb;
	uint64_t mask = (UINT64_C(1) << 8 * g->access.size) - 1, value = load_le(data, g->access.size);
	struct kvm_regs *regs = &v->sev->stale.regs;

	if (!g->access.write)
		regs->rax = value | (g->access.size <= RAX_MERGE_TO ? regs->rax & ~mask : 0);
	return 1;
}

static int complete_element(struct kvm_vcpu *v)
{
	uint8_t data[8] = {0};

	memcpy(data, kvm_vcpu_port_data(v), v->sev->ghcb.access.size);
	return take_element(v, data);
}

static int one_element(struct kvm_vcpu *v)
{
	uint8_t data[8];

	store_le(data, sizeof(data), v->sev->ghcb.access.write ? v->sev->stale.regs.rax : 0);
	if (device_answers(v, data, 1))
		return take_element(v, data);
	leave_for_port(v, data, 1);
	return sev_ghcb_leave(v, complete_element);
}

/* ---- strings ---- */

static void part_done(struct kvm_vcpu *v, uint32_t count)
{
	struct sev_ghcb *g = &v->sev->ghcb;
	uint64_t bytes = (uint64_t)count * g->access.size;

	if (!g->access.write)
		sev_ghcb_filled(v, g->access.done, bytes);
	g->access.done += bytes;
	g->access.left -= count;
}

static int complete_string(struct kvm_vcpu *v);

/* A part is at most a page, because that is what kvm_run has room for. */
static int next_part(struct kvm_vcpu *v)
{
	struct sev_ghcb *g = &v->sev->ghcb;

	while (g->access.left) {
		uint8_t *data = sev_ghcb_scratch(v, g->access.done);
		uint32_t count = PAGE_SIZE_BYTES / g->access.size;

		g->access.now = count < g->access.left ? count : g->access.left;
		if (!device_answers(v, data, g->access.now)) {
			leave_for_port(v, data, g->access.now);
			return sev_ghcb_leave(v, complete_string);
		}
		part_done(v, g->access.now);
	}
	return 1;
}

static int complete_string(struct kvm_vcpu *v)
{
	struct sev_ghcb *g = &v->sev->ghcb;

	if (!g->access.write)
		memcpy(sev_ghcb_scratch(v, g->access.done), kvm_vcpu_port_data(v),
		        (size_t)g->access.now * g->access.size);
	part_done(v, g->access.now);
	return next_part(v);
}

static int string(struct kvm_vcpu *v)
{
	struct sev_ghcb *g = &v->sev->ghcb;
	uint64_t count = g->guest.sw_exit_info_2, bytes;
	int result;

	if (count > INT32_MAX || !mul_ok(count, g->access.size, &bytes) || bytes > INT32_MAX)
		return -EINVAL;
	if (!bytes)
		return 1;
	result = sev_ghcb_open_scratch(v, bytes, !g->access.write);
	if (result)
		return result;
	g->access.left = (uint32_t)count;
	return next_part(v);
}

/* KVM takes every size but 0, also those that no instruction has. */
int sev_ghcb_on_port(struct kvm_vcpu *v)
{
	struct sev_ghcb *g = &v->sev->ghcb;
	uint64_t info = g->guest.sw_exit_info_1;

	memset(&g->access, 0, sizeof(g->access));
	g->access.at = ABI_GHCB_IO_PORT(info);
	g->access.size = ABI_GHCB_IO_SIZE(info);
	g->access.write = !(info & ABI_GHCB_IO_IN);
	if (!g->access.size)
		return 1;
	return info & ABI_GHCB_IO_STRING ? string(v) : one_element(v);
}

/* ---- memory-mapped registers ---- */

static uint32_t piece_of(const struct sev_ghcb *g)
{
	return g->access.left < MMIO_MAX ? g->access.left : MMIO_MAX;
}

static void piece_done(struct kvm_vcpu *v, uint32_t size)
{
	struct sev_ghcb *g = &v->sev->ghcb;

	if (!g->access.write)
		sev_ghcb_filled(v, g->access.done, size);
	g->access.at += size;
	g->access.done += size;
	g->access.left -= size;
}

static int complete_mmio(struct kvm_vcpu *v);

/* Once the VMM has got one piece it gets all that follow. */
static int leave_for_mmio(struct kvm_vcpu *v)
{
	struct sev_ghcb *g = &v->sev->ghcb;

	if (!g->access.left)
		return 1;
	kvm_vcpu_tell_mmio(
	        v, g->access.write, g->access.at, piece_of(g), sev_ghcb_scratch(v, g->access.done));
	return sev_ghcb_leave(v, complete_mmio);
}

static int complete_mmio(struct kvm_vcpu *v)
{
	struct sev_ghcb *g = &v->sev->ghcb;
	uint32_t size = piece_of(g);

	if (!g->access.write)
		memcpy(sev_ghcb_scratch(v, g->access.done), v->run->mmio.data, size);
	piece_done(v, size);
	return leave_for_mmio(v);
}

int sev_ghcb_on_mmio(struct kvm_vcpu *v)
{
	struct sev_ghcb *g = &v->sev->ghcb;
	uint64_t size = g->guest.sw_exit_info_2;
	int result;

	memset(&g->access, 0, sizeof(g->access));
	g->access.at = g->guest.sw_exit_info_1;
	g->access.write = g->guest.sw_exit_code == ABI_GHCB_MMIO_WRITE;
	if (!size)
		return 1;
	if (is_version_2(v) && size > MMIO_MAX)
		return sev_ghcb_malformed(v, ABI_GHCB_INVALID_INPUT);
	result = sev_ghcb_open_scratch(v, size, !g->access.write);
	if (result)
		return result;
	g->access.left = (uint32_t)size;
	while (g->access.left) {
		uint32_t piece = piece_of(g);

		if (!v->vm->bus.mmio(
		            v, g->access.write, g->access.at, piece, sev_ghcb_scratch(v, g->access.done)))
			break;
		piece_done(v, piece);
	}
	return leave_for_mmio(v);
}

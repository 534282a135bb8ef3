/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ghcb: takes the page of a VMGEXIT and brings the answer there. Guest and VMM can change the page at any
 * time, so KVM copies it once, and checks and uses the copy:
 *
 *     VMGEXIT: copy the page, clear its valid bits --> an event's function --> answer
 *                                                        |           ^
 *                                                        v exit      | KVM_RUN
 *                                                          the VMM
 *     the guest goes on: answer, RAX, RBX, RCX, RDX and their valid bits to the page
 *
 * Between the two, KVM's general registers (stale.regs) hold what the page had, and then the event's result.
 */
#include <string.h>

#include "cpu/ram.h"
#include "kvm/registers.h"
#include "raw.h"

/* ---- life ---- */

void sev_ghcb_reset(struct kvm_vcpu *v)
{
	v->sev->ghcb.msr = ABI_GHCB_MSR_INFO_OF(
	        v->vm->sev->ghcb_version, SEV_GHCB_VERSION_MIN, sev_platform_of(v->vm)->c_bit);
}

static void drop_scratch(struct sev_ghcb *g)
{
	free(g->scratch.outside);
	memset(&g->scratch, 0, sizeof(g->scratch));
}

void sev_ghcb_finish(struct sev_ghcb *g)
{
	drop_scratch(g);
}

void sev_ghcb_move(struct kvm_vcpu *to, struct kvm_vcpu *from)
{
	sev_ghcb_finish(&to->sev->ghcb);
	to->sev->ghcb = from->sev->ghcb;
	to->sev->ghcb.complete = NULL;
	memset(&from->sev->ghcb, 0, sizeof(from->sev->ghcb));
}

/* ---- the page ---- */

/* Takes a copy and clears the valid bits, so that those of the answer stand alone. */
static void take_page(uint8_t *page, void *arg)
{
	struct abi_ghcb *copy = arg;

	ram_copy(copy, page, sizeof(*copy));
	ram_fill(page + offsetof(struct abi_ghcb, valid_bitmap), 0, sizeof(copy->valid_bitmap));
}

static void put_field(uint8_t *page, size_t offset, uint64_t value)
{
	uint8_t *bits = page + offsetof(struct abi_ghcb, valid_bitmap) + offset / 64;

	ram_store(bits, 1, ram_load(bits, 1) | 1u << (offset / 8 % 8));
	ram_store(page + offset, 8, value);
}

#define PUT(page, field, value) put_field(page, offsetof(struct abi_ghcb, field), value)

static void put_answer(uint8_t *page, void *arg)
{
	const struct sev_ghcb *g = arg;

	PUT(page, sw_exit_info_1, g->answer[0]);
	PUT(page, sw_exit_info_2, g->answer[1]);
}

static void put_registers(uint8_t *page, void *arg)
{
	const struct kvm_vcpu *v = arg;
	const struct kvm_regs *regs = &v->sev->stale.regs;

	if (v->sev->ghcb.answered)
		put_answer(page, &v->sev->ghcb);
	PUT(page, rax, regs->rax);
	PUT(page, rbx, regs->rbx);
	PUT(page, rcx, regs->rcx);
	PUT(page, rdx, regs->rdx);
}

void sev_ghcb_write(struct kvm_vcpu *v, uint64_t offset, const void *data, size_t size)
{
	if (!sev_raw_write(v, v->sev->ghcb.msr + offset, data, size))
		log_guest(LOG_DEBUG, "software platform: a GHCB is no longer there");
}

/* The VMM gets control: it finds the answer in the page, as far as it is known. */
static void publish(struct kvm_vcpu *v)
{
	struct sev_ghcb *g = &v->sev->ghcb;

	if (g->answered && sev_raw_page(v, g->msr, put_answer, g))
		g->answered = false;
}

/* The guest goes on: the VMGEXIT is over. */
void sev_vcpu_resume(struct kvm_vcpu *v)
{
	struct sev_ghcb *g = &v->sev->ghcb;

	g->hold = SEV_HOLD_NONE;
	if (!g->open)
		return;
	if (g->scratch.sync)
		sev_raw_write(v, g->guest.sw_scratch, g->scratch.outside, g->scratch.size);
	sev_raw_page(v, g->msr, put_registers, v);
	drop_scratch(g);
	g->open = g->answered = false;
}

/* ---- answers ---- */

bool sev_ghcb_is_valid(const struct sev_ghcb *g, unsigned bit)
{
	return g->guest.valid_bitmap[bit / 8] >> (bit % 8) & 1;
}

static int answer(struct kvm_vcpu *v, uint64_t info_1, uint64_t info_2)
{
	struct sev_ghcb *g = &v->sev->ghcb;

	g->answer[0] = info_1;
	g->answer[1] = info_2;
	g->answered = true;
	return 1;
}

int sev_ghcb_done(struct kvm_vcpu *v, uint64_t info_2)
{
	return answer(v, ABI_GHCB_DONE, info_2);
}

int sev_ghcb_malformed(struct kvm_vcpu *v, uint64_t why)
{
	return answer(v, ABI_GHCB_MALFORMED, why);
}

int sev_ghcb_exception(struct kvm_vcpu *v, uint8_t vector)
{
	return answer(v, ABI_GHCB_EXCEPTION, ABI_GHCB_EVENT_EXCEPTION | vector);
}

int sev_ghcb_leave(struct kvm_vcpu *v, sev_ghcb_fn *complete)
{
	v->sev->ghcb.complete = complete;
	v->waits = KVM_WAITS_VMGEXIT;
	return 0;
}

int sev_ghcb_terminate(struct kvm_vcpu *v)
{
	v->run->exit_reason = KVM_EXIT_SYSTEM_EVENT;
	v->run->system_event.type = UAPI_SYSTEM_EVENT_SEV_TERM;
	v->run->system_event.ndata = 1;
	v->run->system_event.data[0] = v->sev->ghcb.msr;
	return 0;
}

/* ---- VMGEXIT ---- */

/* Takes a field of the copy; 0 if the guest did not mark it as valid. */
#define TAKE(g, field) (sev_ghcb_is_valid(g, ABI_GHCB_BIT(field)) ? (g)->guest.field : 0)

/*
 * Makes KVM's registers those of the page. KVM learns XCR0 only here, and ignores a value that it would
 * refuse. It ignores each value of XSS, because no vCPU has XSAVES.
 */
static void take_registers(struct kvm_vcpu *v)
{
	struct kvm_regs *regs = &v->sev->stale.regs;
	struct sev_ghcb *g = &v->sev->ghcb;
	uint64_t xcr0 = TAKE(g, xcr0);

	*regs = (struct kvm_regs){.rip = regs->rip, .rflags = regs->rflags};
	regs->rax = TAKE(g, rax);
	regs->rbx = TAKE(g, rbx);
	regs->rcx = TAKE(g, rcx);
	regs->rdx = TAKE(g, rdx);
	regs->rsi = TAKE(g, rsi);
	if (kvm_vcpu_xcr0_is_valid(v, xcr0))
		v->sev->stale.xcr0 = xcr0;
}

/* Opens the page. Returns false if there is none: KVM lets the guest go on without an answer. */
static bool open_page(struct kvm_vcpu *v)
{
	struct sev_ghcb *g = &v->sev->ghcb;

	if (!g->msr || !sev_raw_page(v, g->msr, take_page, &g->guest)) {
		log_guest(LOG_DEBUG, "software platform: a VMGEXIT without a GHCB, which is at 0x%llx",
		        (unsigned long long)g->msr);
		return false;
	}
	g->open = true;
	take_registers(v);
	return true;
}

static int with_page(struct kvm_vcpu *v)
{
	struct sev_ghcb *g = &v->sev->ghcb;

	if (!open_page(v))
		return 1;
	if (sev_is_snp(v->vm) && g->registered != g->msr)
		return sev_ghcb_malformed(v, ABI_GHCB_NOT_REGISTERED);
	if (g->guest.usage)
		return sev_ghcb_malformed(v, ABI_GHCB_BAD_USAGE);
	return sev_ghcb_event(v);
}

/* Ends a part of a VMGEXIT: if the VMM gets control, the answer goes to the page first. */
static int part_done(struct kvm_vcpu *v, int result)
{
	if (result != 1)
		publish(v);
	if (result < 0)
		v->run->exit_reason = KVM_EXIT_UNKNOWN;
	return result;
}

int sev_vcpu_vmgexit(struct kvm_vcpu *v)
{
	bool protocol = v->sev->ghcb.msr & ABI_GHCB_MSR_CODE;

	return part_done(v, protocol ? sev_ghcb_msr_protocol(v) : with_page(v));
}

int sev_vcpu_vmgexit_complete(struct kvm_vcpu *v)
{
	sev_ghcb_fn *complete = take_ptr(&v->sev->ghcb.complete);

	return part_done(v, complete ? complete(v) : 1);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state: what KVM holds of a VM that moves, without its vCPUs: the time and the interrupt controllers. No
 * vCPU runs. Law: api.rst, KVM_GET_CLOCK, KVM_GET_IRQCHIP, KVM_GET_PIT2;
 * Documentation/virt/kvm/devices/vcpu.rst, 4.
 */
#include <errno.h>
#include <stddef.h>

#include "state.h"

void machine_state_fail(struct vmstate *s, const struct err *err)
{
	vmstate_fail(s, "%s", err->text);
}

bool machine_state_is_open(const struct machine_vm *vm, struct vmstate *s)
{
	if (vm->machine->config->sev.type >= CONFIG_SEV_ES)
		vmstate_fail(s,
		        "the registers of a SEV-ES or SEV-SNP guest are encrypted, and KVM has no call "
		        "that moves them");
	else if (!call_capability(vm->machine->host, vm->fd, KVM_CAP_SREGS2))
		vmstate_fail(s, "this KVM lacks KVM_CAP_SREGS2: use Linux 5.16 or newer");
	return !s->bad;
}

/* ---- time ---- */

#define MSR_TSC 0x10u
#define SAMPLES 5

/* One moment, by the clocks of the guest and of the host. */
struct moment {
	uint64_t clock;    /* ns of kvmclock */
	uint64_t realtime; /* ns of CLOCK_REALTIME */
	uint64_t tsc;      /* of the first vCPU */
};

struct time_state {
	struct moment stop;
	uint32_t khz;
	uint64_t ahead[MACHINE_VCPUS_MAX]; /* how far a vCPU's TSC is ahead of the first one's; modulo 2^64 */
};

static int read_clock(const struct machine_vm *vm, struct kvm_clock_data *ret_clock, struct err *err)
{
	if (call_get_state(vm->machine->host, vm->fd, KVM_GET_CLOCK, ret_clock, err) < 0)
		return -1;
	/* A host whose own clock is not the TSC does not tell. */
	if (!(ret_clock->flags & KVM_CLOCK_REALTIME))
		ret_clock->realtime = clock_ns(CLOCK_REALTIME);
	return 0;
}

/* The TSC is read between two looks at the clock, and is taken for that of the middle between them. */
static int sample(
        const struct machine_vm *vm, struct moment *ret_moment, uint64_t *ret_width, struct err *err)
{
	struct kvm_clock_data before = {0}, after = {0};
	uint64_t tsc, half;
	bool has;

	if (read_clock(vm, &before, err) < 0 ||
	        call_vcpu_get_msr(vm->machine->host, vm->vcpus[0].fd, MSR_TSC, &has, &tsc, err) < 0 ||
	        read_clock(vm, &after, err) < 0)
		return -1;
	if (!has)
		return err_set(err, ERR_HOST, "KVM does not tell a vCPU's time-stamp counter");
	*ret_width = after.clock - before.clock;
	half = *ret_width / 2;
	*ret_moment =
	        (struct moment){.clock = after.clock - half, .realtime = after.realtime - half, .tsc = tsc};
	return 0;
}

/* This thread may lose its processor between the looks. The narrowest sample counts. */
static int read_moment(const struct machine_vm *vm, struct moment *ret_moment, struct err *err)
{
	uint64_t least = UINT64_MAX, width;
	struct moment moment;

	for (unsigned i = 0; i < SAMPLES && least; i++) {
		if (sample(vm, &moment, &width, err) < 0)
			return -1;
		if (width < least) {
			least = width;
			*ret_moment = moment;
		}
	}
	return 0;
}

static int get_time(const struct machine_vm *vm, struct time_state *time, struct err *err)
{
	struct host *host = vm->machine->host;
	uint64_t first = 0, offset;

	if (read_moment(vm, &time->stop, err) < 0 ||
	        call_vcpu_get_tsc_khz(host, vm->vcpus[0].fd, &time->khz, err) < 0)
		return -1;
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		if (call_vcpu_get_tsc_offset(host, vm->vcpus[i].fd, &offset, err) < 0)
			return -1;
		first = i ? first : offset;
		time->ahead[i] = offset - first;
	}
	return 0;
}

/* Linux takes a rate for the host's own if they differ by no more than that (tsc_tolerance_ppm). */
#define SAME_RATE_PPM 250u

static bool is_same_rate(uint32_t a, uint32_t b)
{
	uint64_t more = a > b ? a - b : b - a;

	return more * 1000000 <= (uint64_t)b * SAME_RATE_PPM;
}

static int set_rate(
        const struct machine_vm *vm, const struct machine_vcpu *vcpu, uint32_t khz, struct err *err)
{
	struct host *host = vm->machine->host;
	uint32_t here;

	if (call_vcpu_get_tsc_khz(host, vcpu->fd, &here, err) < 0)
		return -1;
	if (here == khz)
		return 0;
	if (!is_same_rate(khz, here) && !call_capability(host, vm->fd, KVM_CAP_TSC_CONTROL))
		return err_set(err, ERR_HOST,
		        "the guest's TSC counts %u kHz, and this host's %u kHz, which its processor cannot "
		        "scale",
		        khz, here);
	return call_vcpu_set_tsc_khz(host, vcpu->fd, khz, err);
}

static int set_clock(const struct machine_vm *vm, const struct moment *stop, struct err *err)
{
	struct kvm_clock_data clock = {.clock = stop->clock, .flags = KVM_CLOCK_REALTIME}, here = {0};

	if (read_clock(vm, &here, err) < 0)
		return -1;
	/* KVM adds what has passed since then, and nothing if this host's clock is behind the other's. */
	clock.realtime = here.realtime - clock_away_ns(stop->realtime, here.realtime);
	return call_set_state(vm->machine->host, vm->fd, KVM_SET_CLOCK, &clock, err);
}

/* Each TSC goes on by as much as the clock does. */
static int set_time(const struct machine_vm *vm, const struct time_state *time, struct err *err)
{
	struct host *host = vm->machine->host;
	uint64_t offset, passed;
	struct moment now;

	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		if (set_rate(vm, &vm->vcpus[i], time->khz, err) < 0)
			return -1;
	}
	if (set_clock(vm, &time->stop, err) < 0 || read_moment(vm, &now, err) < 0 ||
	        call_vcpu_get_tsc_offset(host, vm->vcpus[0].fd, &offset, err) < 0)
		return -1;
	passed = now.clock > time->stop.clock ? now.clock - time->stop.clock : 0;
	offset += time->stop.tsc + (uint64_t)((unsigned __int128)passed * time->khz / 1000000) - now.tsc;
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		if (call_vcpu_set_tsc_offset(host, vm->vcpus[i].fd, offset + time->ahead[i], err) < 0)
			return -1;
	}
	return 0;
}

void machine_vm_visit_time(struct machine_vm *vm, struct vmstate *s)
{
	bool may_migrate = machine_vm_may_migrate(vm);
	struct time_state time = {0};
	struct err err = {0};

	if (!machine_state_is_open(vm, s))
		return;
	if (!s->loads && get_time(vm, &time, &err) < 0)
		machine_state_fail(s, &err);
	vmstate_same(s, "how many vCPUs there are", vm->vcpu_count);
	vmstate_u64(s, "the guest's clock", &time.stop.clock, INT64_MAX);
	vmstate_u64(s, "the host's clock", &time.stop.realtime, INT64_MAX);
	vmstate_u64(s, "the time-stamp counter", &time.stop.tsc, UINT64_MAX);
	vmstate_u32(s, "the rate of the time-stamp counter", &time.khz, INT32_MAX);
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		vmstate_u64(s, "the lead of a vCPU's time-stamp counter", &time.ahead[i], UINT64_MAX);
	vmstate_bool(s, "whether the guest may be migrated", &may_migrate);
	if (!s->loads || s->bad)
		return;
	machine_vm_set_may_migrate(vm, may_migrate);
	if (set_time(vm, &time, &err) < 0)
		machine_state_fail(s, &err);
}

/* ---- interrupt controllers ---- */

static bool is_good_ioapic(const struct kvm_ioapic_state *ioapic)
{
	return ioapic->base_address == MACHINE_IOAPIC_GPA && !ioapic->pad;
}

static bool is_good_pit(const struct kvm_pit_state2 *pit)
{
	bool good = !(pit->flags & ~(uint32_t)KVM_PIT_FLAGS_SPEAKER_DATA_ON) &&
	            machine_state_is_zero(pit->reserved, sizeof(pit->reserved));

	for (unsigned i = 0; i < ARRAY_LEN(pit->channels); i++)
		good = good && pit->channels[i].count <= 0x10000 &&
		       (pit->channels[i].mode <= 5 || pit->channels[i].mode == UINT8_MAX);
	return good;
}

static const struct {
	const char *name;
	uint32_t id;
	size_t size;
} chips[] = {
        {"the first PIC", KVM_IRQCHIP_PIC_MASTER, sizeof(struct kvm_pic_state)},
        {"the second PIC", KVM_IRQCHIP_PIC_SLAVE, sizeof(struct kvm_pic_state)},
        {"the IOAPIC", KVM_IRQCHIP_IOAPIC, sizeof(struct kvm_ioapic_state)},
};

static int visit_chip(const struct machine_vm *vm, unsigned i, struct vmstate *s, struct err *err)
{
	struct kvm_irqchip chip = {.chip_id = chips[i].id};

	if (!s->loads && call_get_state(vm->machine->host, vm->fd, KVM_GET_IRQCHIP, &chip, err) < 0)
		return -1;
	vmstate_bytes(s, chips[i].name, &chip.chip, chips[i].size);
	if (!s->loads || s->bad)
		return 0;
	if (chips[i].id == KVM_IRQCHIP_IOAPIC && !is_good_ioapic(&chip.chip.ioapic))
		return err_set(err, ERR_FAILED, "the IOAPIC has values that no KVM gives");
	return call_set_state(vm->machine->host, vm->fd, KVM_SET_IRQCHIP, &chip, err);
}

static int visit_pit(const struct machine_vm *vm, struct vmstate *s, struct err *err)
{
	struct kvm_pit_state2 pit = {0};

	if (!s->loads && call_get_state(vm->machine->host, vm->fd, KVM_GET_PIT2, &pit, err) < 0)
		return -1;
	vmstate_bytes(s, "the PIT", &pit, sizeof(pit));
	if (!s->loads || s->bad)
		return 0;
	if (!is_good_pit(&pit))
		return err_set(err, ERR_FAILED, "the PIT has values that no KVM gives");
	return call_set_state(vm->machine->host, vm->fd, KVM_SET_PIT2, &pit, err);
}

void machine_vm_visit_chips(struct machine_vm *vm, struct vmstate *s)
{
	struct err err = {0};

	for (unsigned i = 0; i < ARRAY_LEN(chips) && !s->bad; i++) {
		if (visit_chip(vm, i, s, &err) < 0)
			machine_state_fail(s, &err);
	}
	if (!s->bad && visit_pit(vm, s, &err) < 0)
		machine_state_fail(s, &err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exit_io: port and memory-mapped accesses become accesses of the bus. The vCPU's thread.
 * Law: api.rst, 5 (KVM_EXIT_IO, KVM_EXIT_MMIO); the GHCB specification (AMD 56421), 4.1.2 (IOIO_PROT).
 */
#include <string.h>

#include "vcpu.h"

#define GHCB_PORT_MAX 7u /* bits 6:4 of SW_EXITINFO1 */

static enum run_vcpu_verdict verdict_of(enum device_verdict verdict)
{
	return verdict == DEVICE_STOP ? RUN_VCPU_STOP : RUN_VCPU_RESUME;
}

/* The elements lie behind struct kvm_run, inside the mapping, and are no larger than the GHCB can name. */
static bool is_sane_io(const struct run_vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->kvm->run;
	uint64_t bytes = (uint64_t)run->io.size * run->io.count;

	return run->io.size >= 1 && run->io.size <= GHCB_PORT_MAX && run->io.direction <= KVM_EXIT_IO_OUT &&
	       run->io.data_offset >= sizeof(*run) &&
	       range_fits(run->io.data_offset, bytes, vcpu->kvm->run_size);
}

/*
 * Of other guests the processor executes the instruction, and only these sizes exist. A SEV-ES or SEV-SNP
 * guest writes a size of three bits into its GHCB, and KVM passes each of them on but 0.
 */
static bool has_port_size(const struct kvm_run *run)
{
	return run->io.size == 1 || run->io.size == 2 || run->io.size == 4;
}

static bool has_ghcb(const struct run_vcpu *vcpu)
{
	return machine_config(vcpu->machine)->sev.type >= CONFIG_SEV_ES;
}

static enum run_vcpu_verdict end_of_bad_io(struct run_vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->kvm->run;

	if (is_sane_io(vcpu) && has_ghcb(vcpu))
		return run_vcpu_end(vcpu, RUN_VCPU_CRASH,
		        "the guest asked by its GHCB for an access of %u bytes to port 0x%x: ports have 1, 2 "
		        "or 4",
		        run->io.size, run->io.port);
	return run_vcpu_end(vcpu, RUN_VCPU_FAIL,
	        "KVM reports an impossible port access: direction %u, %u bytes %u times, data at "
	        "0x%llx of %zu mapped bytes",
	        run->io.direction, run->io.size, run->io.count, (unsigned long long)run->io.data_offset,
	        vcpu->kvm->run_size);
}

enum run_vcpu_verdict run_vcpu_on_io(struct run_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->kvm->run;
	struct device_bus *bus = machine_board(vcpu->machine)->bus;
	unsigned size = run->io.size;
	enum run_vcpu_verdict verdict = RUN_VCPU_RESUME;

	if (!is_sane_io(vcpu) || !has_port_size(run))
		return end_of_bad_io(vcpu);
	/* Each element may start a transfer by DMA, so before each one the vCPU looks whether it is called.
	 */
	for (uint32_t i = vcpu->io_done; i < run->io.count && verdict == RUN_VCPU_RESUME; i++) {
		uint8_t *data = (uint8_t *)run + run->io.data_offset + (size_t)i * size;

		if (vcpu->called && i > vcpu->io_done) {
			vcpu->io_done = i;
			return RUN_VCPU_AGAIN;
		}
		if (run->io.direction == KVM_EXIT_IO_OUT)
			verdict = verdict_of(
			        device_bus_write(bus, DEVICE_PIO, run->io.port, size, load_le(data, size)));
		else
			store_le(data, size, device_bus_read(bus, DEVICE_PIO, run->io.port, size));
	}
	vcpu->io_done = 0;
	return verdict;
}

enum run_vcpu_verdict run_vcpu_on_mmio(struct run_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->kvm->run;
	struct device_bus *bus = machine_board(vcpu->machine)->bus;
	unsigned size = run->mmio.len;

	if (!size || size > sizeof(run->mmio.data))
		return run_vcpu_end(vcpu, RUN_VCPU_FAIL,
		        "KVM reports an access of %u bytes at 0x%llx: it must have 1 to %zu", size,
		        (unsigned long long)run->mmio.phys_addr, sizeof(run->mmio.data));
	if (run->mmio.is_write)
		return verdict_of(device_bus_write(
		        bus, DEVICE_MMIO, run->mmio.phys_addr, size, load_le(run->mmio.data, size)));
	store_le(run->mmio.data, size, device_bus_read(bus, DEVICE_MMIO, run->mmio.phys_addr, size));
	return RUN_VCPU_RESUME;
}

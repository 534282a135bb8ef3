/*
 * exit_io: port and memory-mapped accesses become accesses of the bus. The vCPU's thread.
 * Law: api.rst, 5 (KVM_EXIT_IO, KVM_EXIT_MMIO).
 */
#include <string.h>

#include "vcpu.h"

static enum vcpu_verdict verdict_of(enum device_verdict verdict)
{
	return verdict == DEVICE_STOP ? VCPU_STOP : VCPU_RESUME;
}

enum vcpu_verdict vcpu_on_io(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->kvm->run;
	struct device_bus *bus = machine_bus(vcpu->machine);
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	unsigned size = run->io.size;
	enum vcpu_verdict verdict = VCPU_RESUME;

	for (uint32_t i = 0; i < run->io.count && verdict == VCPU_RESUME; i++, data += size) {
		if (run->io.direction == KVM_EXIT_IO_OUT)
			verdict = verdict_of(
			        device_bus_write(bus, DEVICE_PIO, run->io.port, size, load_le(data, size)));
		else
			store_le(data, size, device_bus_read(bus, DEVICE_PIO, run->io.port, size));
	}
	return verdict;
}

enum vcpu_verdict vcpu_on_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->kvm->run;
	struct device_bus *bus = machine_bus(vcpu->machine);
	unsigned size = run->mmio.len;

	if (run->mmio.is_write)
		return verdict_of(device_bus_write(
		        bus, DEVICE_MMIO, run->mmio.phys_addr, size, load_le(run->mmio.data, size)));
	store_le(run->mmio.data, size, device_bus_read(bus, DEVICE_MMIO, run->mmio.phys_addr, size));
	return VCPU_RESUME;
}

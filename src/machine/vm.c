/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm: one incarnation of the guest: its memory, its VM, its vCPUs. A reset is a new one under the same
 * machine. Main thread.
 */
#include <errno.h>

#include "vm.h"
#include "vmm/device/dimms.h"

/* Four pages below the APICs, where no device answers: the 32-bit PCI window ends before them. */
#define INTEL_PAGES_GPA 0xfeffc000u

/* The end of the firmware image is visible here, too. */
#define BIOS_END       MIB(1)
#define BIOS_MAX_BYTES KIB(128)

/*
 * After its reset vector, a BIOS goes on below 1 MiB, where the end of its image is visible as on the i440fx.
 * Here that is a copy in RAM, which the guest can write from the start. Firmware that writes the PAM
 * registers to make it writable changes nothing.
 */
static int load_firmware(struct page_memory *memory, const struct machine_image *firmware)
{
	const uint8_t *data = firmware->data;
	size_t size = firmware->size_bytes, low = size < BIOS_MAX_BYTES ? size : BIOS_MAX_BYTES;

	if (page_load(memory, gpa(PAGE_HOLE_END - size), data, size) < 0)
		return -1;
	return page_load(memory, gpa(BIOS_END - low), data + size - low, low);
}

/*
 * virtiofsd maps the guest's memory, and so does a vmm to which it is handed over. A SEV-SNP guest gives the
 * backing of its shared pages back piece by piece.
 */
enum page_backing machine_backing(const struct config *config)
{
	if (config->machine.hugepages)
		return PAGE_POOL;
	for (unsigned i = 0; i < config->devices_count; i++) {
		if (config->devices[i].driver == CONFIG_FS)
			return PAGE_SHARED;
	}
	return config->machine.memory_shared || config->sev.type == CONFIG_SEV_SNP ? PAGE_SHARED : PAGE_OWN;
}

_Static_assert(CONFIG_SHARED_RANGES_MAX == PAGE_RANGE_MAP_RANGES_MAX, "every value of the key makes a map");

static uint32_t ranges_max(const struct machine *machine)
{
	return (uint32_t)machine->config->sev.shared_ranges_max;
}

#define CPUID_ADDRESS_BITS 0x80000008u /* EAX[7:0]: of physical addresses */
#define ADDRESS_BITS_MIN   36u         /* what processors without that leaf have */
#define ADDRESS_BITS_MAX   52u

/* The guest's CPUID has the host's number. */
static unsigned address_bits(const struct machine *machine)
{
	const struct kvm_cpuid2 *host = machine->supported;
	unsigned bits = 0;

	for (uint32_t i = 0; i < host->nent; i++) {
		if (host->entries[i].function == CPUID_ADDRESS_BITS)
			bits = host->entries[i].eax & 0xff;
	}
	bits = bits > ADDRESS_BITS_MIN ? bits : ADDRESS_BITS_MIN;
	return bits < ADDRESS_BITS_MAX ? bits : ADDRESS_BITS_MAX;
}

static int create_memory(struct machine_vm *vm, struct err *err)
{
	struct machine *machine = vm->machine;

	if (page_memory_create(
	            machine->host, &machine->layout, machine_backing(machine->config), &vm->memory, err) < 0)
		return -1;
	if (machine->config->sev.page_status &&
	        (page_memory_keep_record(vm->memory, ranges_max(machine), err) < 0 ||
	                page_memory_keep_devices(vm->memory, address_bits(machine), err) < 0))
		return -1;
	if ((machine->config->sev.page_status || machine->config->sev.type == CONFIG_SEV_SNP) &&
	        page_memory_count_flips(vm->memory, (uint32_t)machine->config->sev.conversion_storm, err) < 0)
		return -1;
	/* A SEV guest gets its measured memory from the launch plan. */
	if (machine->config->sev.type != CONFIG_SEV_NONE)
		return 0;
	if (load_firmware(vm->memory, &machine->files.firmware) < 0)
		return err_set(err, ERR_FAILED, "the firmware image does not fit its place");
	return 0;
}

static int set_region(struct machine_vm *vm, unsigned i, struct err *err)
{
	const struct page_region *region = &vm->machine->layout.regions[i];
	const struct page_plug whole = {.gpa = region->gpa,
	        .size_bytes = region->size_bytes,
	        .at = page_memory_slot_address(vm->memory, i),
	        .guest_memfd = page_memory_guest_memfd(vm->memory, i)};

	if (region->kind == PAGE_PLUGGED || region->kind == PAGE_HELPER)
		return 0;
	return machine_vm_set_slot(vm, i, &whole, err);
}

/* What was added to an earlier incarnation stays. */
static int set_plugged(struct machine_vm *vm, struct err *err)
{
	struct device_dimm dimms[PAGE_PLUGS_MAX];
	unsigned count = device_dimms_list(device_dimms_of(&vm->machine->board), dimms);
	struct page_plug plug;

	for (unsigned i = 0; i < count; i++) {
		if (page_plug_find(vm->memory, dimms[i].size_bytes, &plug, err) < 0)
			return -1;
		if (plug.gpa.raw != dimms[i].gpa.raw)
			return err_set(err, ERR_FAILED,
			        "memory was added at 0x%llx before the reset, and would be at 0x%llx now",
			        (unsigned long long)dimms[i].gpa.raw, (unsigned long long)plug.gpa.raw);
		if (machine_vm_set_slot(vm, MACHINE_FIRST_PLUG_SLOT + i, &plug, err) < 0)
			return -1;
		page_plug_open(vm->memory, &plug);
	}
	return 0;
}

static int set_memory(struct machine_vm *vm, struct err *err)
{
	const struct machine *machine = vm->machine;

	if (machine->config->sev.type == CONFIG_SEV_SNP &&
	        page_memory_make_private(vm->memory, vm->fd, ranges_max(machine), err) < 0)
		return -1;
	for (unsigned i = 0; i < machine->layout.count; i++) {
		if (set_region(vm, i, err) < 0)
			return -1;
	}
	return set_plugged(vm, err);
}

static int create_vm(struct machine_vm *vm, unsigned type, struct err *err)
{
	struct machine *machine = vm->machine;
	struct host *host = machine->host;

	/* Memory goes first: KVM waits for a grace period when a slot is set after the interrupt controllers
	 * were made. */
	if (call_vm_create(host, machine->kvm_fd, type, &vm->fd, err) < 0 ||
	        call_vm_set_intel_pages(host, vm->fd, INTEL_PAGES_GPA, err) < 0 || set_memory(vm, err) < 0 ||
	        call_vm_create_irqchip(host, vm->fd, err) < 0 ||
	        call_vm_set_routing(host, vm->fd, NULL, 0, err) < 0)
		return -1;
	return call_vm_create_pit(host, vm->fd, err);
}

static void tell_dropped(const struct machine *machine, const struct machine_cpuid_dropped *dropped)
{
	char text[400];

	if (!dropped->count)
		return;
	machine_cpuid_dropped_format(dropped, text, sizeof(text));
	log_info("CPU model %s without what this host lacks: %s", machine->config->machine.cpu, text);
}

static int set_cpuid(struct machine_vm *vm, struct machine_vcpu *vcpu, struct err *err)
{
	const struct machine *machine = vm->machine;
	const struct machine_cpuid_ask ask = {
	        .model = machine->model,
	        .signature = machine->config->machine.cpu_signature_given
	                             ? &machine->config->machine.cpu_signature
	                             : NULL,
	        .supported = machine->supported,
	        .tsc_deadline = machine->tsc_deadline,
	        .sev = machine->config->sev.type,
	        .report_sharing = machine->config->sev.page_status,
	        .vcpu = vcpu->index,
	        .vcpus = machine->config->machine.vcpus,
	};
	struct machine_cpuid_dropped dropped;
	struct machine_cpuid cpuid;

	if (machine_cpuid_make(&ask, &cpuid, &dropped, err) < 0)
		return -1;
	if (vcpu->index == 0) {
		tell_dropped(machine, &dropped);
		vm->cpuid = cpuid;
	}
	return call_vcpu_set_cpuid(machine->host, vcpu->fd, (const struct kvm_cpuid2 *)&cpuid, err);
}

/* APM vol. 2, hardware configuration register: TscFreqSel says that the TSC counts at the frequency of P0. */
#define MSR_HWCR         0xc0010015u
#define HWCR_TSCFREQSEL  (UINT64_C(1) << 24)
#define CPUID_POWER      0x80000007u
#define CPUID_POWER_ITSC (1u << 8) /* EDX: the TSC is invariant */

/*
 * Linux reports a fault of the firmware if the TSC is invariant and this bit is clear. KVM takes the bit
 * since Linux 6.8; without it the guest loses nothing but a line of its log.
 */
static int set_hwcr(const struct machine_vm *vm, const struct machine_vcpu *vcpu, struct err *err)
{
	const struct kvm_cpuid_entry2 *power = machine_cpuid_find(&vm->cpuid, CPUID_POWER, 0);
	bool taken;

	if (!power || !(power->edx & CPUID_POWER_ITSC))
		return 0;
	return call_vcpu_set_msr(vm->machine->host, vcpu->fd, MSR_HWCR, HWCR_TSCFREQSEL, &taken, err);
}

static int create_vcpu(struct machine_vm *vm, unsigned index, struct err *err)
{
	struct machine_vcpu *vcpu = &vm->vcpus[index];
	struct host *host = vm->machine->host;

	*vcpu = (struct machine_vcpu){.index = index, .fd = -1, .run_size = vm->machine->run_size};
	vm->vcpu_count = index + 1;
	if (call_vcpu_create(host, vm->fd, index, &vcpu->fd, err) < 0 ||
	        call_vcpu_map_run(host, vcpu->fd, vcpu->run_size, &vcpu->run, err) < 0)
		return -1;
	return set_cpuid(vm, vcpu, err) < 0 ? -1 : set_hwcr(vm, vcpu, err);
}

int machine_vm_create(struct machine *machine, unsigned type, struct machine_vm **ret_vm, struct err *err)
{
	struct machine_vm *vm = calloc(1, sizeof(*vm));

	if (!vm)
		return err_sys(err, ERR_FAILED, ENOMEM, "guest");
	vm->machine = machine;
	vm->fd = -1;
	pthread_mutex_init(&vm->log.lock, NULL);
	device_board_reset(&machine->board);
	if (create_memory(vm, err) < 0 || create_vm(vm, type, err) < 0) {
		machine_vm_destroy(vm);
		return -1;
	}
	device_board_attach(&machine->board, vm->memory);
	machine->vm_fd = vm->fd;
	*ret_vm = vm;
	return 0;
}

int machine_vm_add_vcpus(struct machine_vm *vm, struct err *err)
{
	for (unsigned i = 0; i < vm->machine->config->machine.vcpus; i++) {
		if (create_vcpu(vm, i, err) < 0)
			return -1;
	}
	return 0;
}

void machine_vm_quieten(struct machine_vm *vm)
{
	device_board_attach(&vm->machine->board, NULL);
}

void machine_vm_destroy(struct machine_vm *vm)
{
	struct host *host;

	if (!vm)
		return;
	host = vm->machine->host;
	/* The devices stop while they can still reach the VM. After that they interrupt nobody. */
	machine_vm_quieten(vm);
	vm->machine->vm_fd = -1;
	machine_wires_cut(vm->machine);
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		host_munmap(host, vm->vcpus[i].run, vm->vcpus[i].run_size);
		host_close(host, vm->vcpus[i].fd);
	}
	host_close(host, vm->fd);
	page_memory_destroy(vm->memory);
	pthread_mutex_destroy(&vm->log.lock);
	free(vm);
}

int machine_vm_fd(const struct machine_vm *vm)
{
	return vm->fd;
}

struct page_memory *machine_vm_memory(const struct machine_vm *vm)
{
	return vm->memory;
}

int machine_vm_plug_find(
        struct machine_vm *vm, uint64_t size_bytes, struct page_plug *ret_plug, struct err *err)
{
	struct device_dimm dimms[PAGE_PLUGS_MAX];

	if (device_dimms_list(device_dimms_of(&vm->machine->board), dimms) == PAGE_PLUGS_MAX)
		return err_set(err, ERR_USAGE,
		        "the guest got memory %u times, and there are no more slots: add more at a time "
		        "after the next start of vmm",
		        PAGE_PLUGS_MAX);
	return page_plug_find(vm->memory, size_bytes, ret_plug, err);
}

int machine_vm_plug(struct machine_vm *vm, const struct page_plug *plug, struct err *err)
{
	struct device_dimms *dimms = device_dimms_of(&vm->machine->board);
	struct device_dimm list[PAGE_PLUGS_MAX];
	unsigned slot = MACHINE_FIRST_PLUG_SLOT + device_dimms_list(dimms, list);
	struct page_plug nothing = *plug;
	struct err ignored;

	if (machine_vm_set_slot(vm, slot, plug, err) < 0)
		return -1;
	page_plug_open(vm->memory, plug);
	/* As after a launch, all of it is private, and the guest has accepted nothing of it. */
	if (plug->guest_memfd >= 0 && page_convert(vm->memory, plug->gpa, plug->size_bytes, true, err) < 0) {
		page_plug_close(vm->memory, plug);
		nothing.size_bytes = 0;
		if (machine_vm_set_slot(vm, slot, &nothing, &ignored) < 0)
			log_warn("%s", ignored.text);
		return -1;
	}
	device_dimms_add(dimms, plug->gpa, plug->size_bytes);
	return 0;
}

bool machine_vm_may_migrate(const struct machine_vm *vm)
{
	return atomic_load_explicit(&vm->may_migrate, memory_order_acquire);
}

void machine_vm_set_may_migrate(struct machine_vm *vm, bool may)
{
	atomic_store_explicit(&vm->may_migrate, may, memory_order_release);
}

const struct machine_cpuid *machine_vm_cpuid(const struct machine_vm *vm)
{
	return &vm->cpuid;
}

unsigned machine_vm_vcpu_count(const struct machine_vm *vm)
{
	return vm->vcpu_count;
}

struct machine_vcpu *machine_vm_vcpu(struct machine_vm *vm, unsigned i)
{
	return &vm->vcpus[i];
}

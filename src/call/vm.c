/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm: calls on a VM descriptor. Main thread; those about interrupts and doorbells run on any thread. Law:
 * api.rst, 4.
 */
#include <errno.h>
#include <linux/kvm.h>

#include "vmm/call.h"

/* Making a VM takes all locks of the address space, and gives up at whatever looks like a signal: a
 * completion of io_uring is enough. */
int call_vm_create(struct host *h, int kvm_fd, unsigned type, int *ret_fd, struct err *err)
{
	int fd;

	do
		fd = host_ioctl_number(h, kvm_fd, KVM_CREATE_VM, type);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return err_sys(err, ERR_HOST, errno, "KVM_CREATE_VM of type %u", type);
	*ret_fd = fd;
	return 0;
}

int call_vm_set_intel_pages(struct host *h, int vm_fd, uint64_t address, struct err *err)
{
	uint64_t identity = address, tss = address + PAGE_SIZE_BYTES;

	if (host_ioctl(h, vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0)
		return err_sys(err, ERR_FAILED, errno, "KVM_SET_IDENTITY_MAP_ADDR");
	if (host_ioctl_number(h, vm_fd, KVM_SET_TSS_ADDR, tss) < 0)
		return err_sys(err, ERR_FAILED, errno, "KVM_SET_TSS_ADDR");
	return 0;
}

int call_vm_create_irqchip(struct host *h, int vm_fd, struct err *err)
{
	if (host_ioctl_number(h, vm_fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return err_sys(err, ERR_FAILED, errno, "KVM_CREATE_IRQCHIP");
	return 0;
}

#define PIC_LINES    16
#define IOAPIC_LINES CALL_MSI_GSI
#define PC_ROUTES    (PIC_LINES + IOAPIC_LINES - 1)

static struct kvm_irq_routing_entry route(unsigned gsi, unsigned chip, unsigned pin)
{
	return (struct kvm_irq_routing_entry){
	        .gsi = gsi, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip = {.irqchip = chip, .pin = pin}};
}

/* Returns how many entries it wrote: PC_ROUTES. */
static unsigned put_pc_routes(struct kvm_irq_routing_entry *entries)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PIC_LINES; i++)
		entries[n++] = route(i, i < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, i % 8);
	for (unsigned i = 0; i < IOAPIC_LINES; i++) {
		if (i != 2) /* line 2 of the PIC is the cascade, nobody raises it */
			entries[n++] = route(i, KVM_IRQCHIP_IOAPIC, i == 0 ? 2 : i);
	}
	return n;
}

int call_vm_set_routing(
        struct host *h, int vm_fd, const struct call_msi *messages, unsigned count, struct err *err)
{
	auto_free struct kvm_irq_routing *table =
	        calloc(1, sizeof(*table) + (PC_ROUTES + (size_t)count) * sizeof(table->entries[0]));

	if (!table)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for %u interrupt routes", count);
	table->nr = put_pc_routes(table->entries);
	for (unsigned i = 0; i < count; i++)
		table->entries[table->nr++] = (struct kvm_irq_routing_entry){
		        .gsi = CALL_MSI_GSI + i,
		        .type = KVM_IRQ_ROUTING_MSI,
		        .u.msi = {.address_lo = (uint32_t)messages[i].address,
		                .address_hi = (uint32_t)(messages[i].address >> 32),
		                .data = messages[i].data},
		};
	if (host_ioctl(h, vm_fd, KVM_SET_GSI_ROUTING, table) < 0)
		return err_sys(err, ERR_FAILED, errno, "KVM_SET_GSI_ROUTING");
	return 0;
}

int call_vm_create_pit(struct host *h, int vm_fd, struct err *err)
{
	/* The speaker's port 0x61 gates channel 2, which Linux calibrates its clock with. */
	struct kvm_pit_config config = {.flags = KVM_PIT_SPEAKER_DUMMY};

	if (host_ioctl(h, vm_fd, KVM_CREATE_PIT2, &config) < 0)
		return err_sys(err, ERR_FAILED, errno, "KVM_CREATE_PIT2");
	return 0;
}

int call_vm_set_logged_memory(struct host *h, int vm_fd, unsigned slot, uint64_t gpa, uint64_t size_bytes,
        void *host_address, bool log, struct err *err)
{
	struct kvm_userspace_memory_region region = {
	        .slot = slot,
	        .flags = log ? KVM_MEM_LOG_DIRTY_PAGES : 0,
	        .guest_phys_addr = gpa,
	        .memory_size = size_bytes,
	        .userspace_addr = (uintptr_t)host_address,
	};

	if (host_ioctl(h, vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return err_sys(err, ERR_FAILED, errno,
		        "KVM_SET_USER_MEMORY_REGION of slot %u, %llu KiB at 0x%llx", slot,
		        (unsigned long long)(size_bytes >> 10), (unsigned long long)gpa);
	return 0;
}

int call_vm_set_memory(struct host *h, int vm_fd, unsigned slot, uint64_t gpa, uint64_t size_bytes,
        void *host_address, struct err *err)
{
	return call_vm_set_logged_memory(h, vm_fd, slot, gpa, size_bytes, host_address, false, err);
}

int call_vm_clear_log_by_hand(struct host *h, int vm_fd, bool *ret_can, struct err *err)
{
	unsigned flags = (unsigned)call_capability(h, vm_fd, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2) &
	                 (KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET);

	*ret_can = flags & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE;
	if (!*ret_can)
		return 0;
	return call_vm_enable_capability(h, vm_fd, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, flags, err);
}

int call_vm_get_log(struct host *h, int vm_fd, unsigned slot, uint64_t *bits, struct err *err)
{
	struct kvm_dirty_log log = {.slot = slot, .dirty_bitmap = bits};

	if (host_ioctl(h, vm_fd, KVM_GET_DIRTY_LOG, &log) < 0)
		return err_sys(err, ERR_FAILED, errno, "KVM_GET_DIRTY_LOG of slot %u", slot);
	return 0;
}

int call_vm_clear_log(struct host *h, int vm_fd, unsigned slot, uint64_t first_page, uint32_t pages,
        const uint64_t *bits, struct err *err)
{
	struct kvm_clear_dirty_log clear = {.slot = slot,
	        .num_pages = pages,
	        .first_page = first_page,
	        .dirty_bitmap = (void *)(uintptr_t)bits};

	if (host_ioctl(h, vm_fd, KVM_CLEAR_DIRTY_LOG, &clear) < 0)
		return err_sys(
		        err, ERR_FAILED, errno, "KVM_CLEAR_DIRTY_LOG of %u pages of slot %u", pages, slot);
	return 0;
}

int call_vm_take_msr(struct host *h, int vm_fd, uint32_t index, struct err *err)
{
	uint64_t denied = 0; /* the kernel reads the bitmap in words of eight bytes */
	struct kvm_msr_filter filter = {
	        .ranges[0] = {.flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE,
	                .nmsrs = 1,
	                .base = index,
	                .bitmap = (uint8_t *)&denied},
	};

	if (call_vm_enable_capability(h, vm_fd, KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_FILTER, err) <
	        0)
		return -1;
	if (host_ioctl(h, vm_fd, KVM_X86_SET_MSR_FILTER, &filter) < 0)
		return err_sys(err, ERR_HOST, errno, "KVM_X86_SET_MSR_FILTER of MSR 0x%x", index);
	return 0;
}

int call_vm_irq_line(struct host *h, int vm_fd, unsigned gsi, bool level, struct err *err)
{
	struct kvm_irq_level line = {.irq = gsi, .level = level};

	if (host_ioctl(h, vm_fd, KVM_IRQ_LINE, &line) < 0)
		return err_sys(err, ERR_FAILED, errno, "KVM_IRQ_LINE %u", gsi);
	return 0;
}

int call_vm_signal_msi(struct host *h, int vm_fd, const struct call_msi *message, struct err *err)
{
	struct kvm_msi msi = {.address_lo = (uint32_t)message->address,
	        .address_hi = (uint32_t)(message->address >> 32),
	        .data = message->data};

	if (host_ioctl(h, vm_fd, KVM_SIGNAL_MSI, &msi) < 0)
		return err_sys(err, ERR_FAILED, errno, "KVM_SIGNAL_MSI to 0x%llx",
		        (unsigned long long)message->address);
	return 0;
}

int call_vm_irqfd(struct host *h, int vm_fd, int fd, unsigned gsi, bool on, struct err *err)
{
	struct kvm_irqfd irqfd = {.fd = (uint32_t)fd, .gsi = gsi, .flags = on ? 0 : KVM_IRQFD_FLAG_DEASSIGN};

	if (host_ioctl(h, vm_fd, KVM_IRQFD, &irqfd) < 0)
		return err_sys(err, ERR_FAILED, errno, "KVM_IRQFD %u", gsi);
	return 0;
}

int call_vm_ioeventfd(struct host *h, int vm_fd, int fd, uint64_t address, bool on, struct err *err)
{
	struct kvm_ioeventfd bell = {
	        .addr = address, .fd = fd, .flags = on ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN};

	if (host_ioctl(h, vm_fd, KVM_IOEVENTFD, &bell) < 0)
		return err_sys(
		        err, ERR_FAILED, errno, "KVM_IOEVENTFD at 0x%llx", (unsigned long long)address);
	return 0;
}

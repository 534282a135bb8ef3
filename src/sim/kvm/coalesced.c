/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coalesced: writes to ports and memory whose exits the VMM wants to save. They go into a ring that lies
 * behind struct kvm_run of every vCPU of the VM, and the VMM takes them from there before the next exit
 * counts. Any thread may call; the zones are used with kvm_vm.irq_lock held. Law: api.rst,
 * KVM_REGISTER_COALESCED_MMIO.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "irq.h"

#define ZONES_MAX 1000 /* NR_IOBUS_DEVS of the kernel, for ports and for memory */
#define RING_MAX \
	((PAGE_SIZE_BYTES - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio))

struct kvm_zone {
	struct kvm_coalesced_mmio_zone zone;
	struct kvm_zone *next;
};

int kvm_vm_ring_init(struct kvm_vm *vm)
{
	void *ring;

	vm->ring_fd = object_fd("sim-ring", PAGE_SIZE_BYTES);
	if (vm->ring_fd < 0)
		return vm->ring_fd;
	ring = mmap(NULL, PAGE_SIZE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, vm->ring_fd, 0);
	if (ring == MAP_FAILED)
		return -errno;
	vm->ring = ring;
	return 0;
}

void kvm_vm_ring_finish(struct kvm_vm *vm)
{
	while (vm->zones) {
		struct kvm_zone *next = vm->zones->next;

		free(vm->zones);
		vm->zones = next;
	}
	if (vm->ring)
		munmap(vm->ring, PAGE_SIZE_BYTES);
	if (vm->ring_fd >= 0)
		close(vm->ring_fd);
}

static bool holds(const struct kvm_zone *z, bool pio, uint64_t address, uint64_t size)
{
	return pio == (z->zone.pio != 0) && address >= z->zone.addr &&
	       range_fits(address - z->zone.addr, size, z->zone.size);
}

/* One entry stays free, so that a full ring does not look empty. The VMM can write anything to the ring. */
static bool put(struct kvm_vm *vm, bool pio, uint64_t address, uint32_t size, const void *data)
{
	struct kvm_coalesced_mmio_ring *ring = vm->ring;
	uint32_t last = __atomic_load_n(&ring->last, __ATOMIC_RELAXED);
	uint32_t first = __atomic_load_n(&ring->first, __ATOMIC_ACQUIRE);
	struct kvm_coalesced_mmio entry = {.phys_addr = address, .len = size, .pio = pio};

	if (last >= RING_MAX || (last + 1) % RING_MAX == first || size > sizeof(entry.data))
		return false;
	memcpy(entry.data, data, size);
	ring->coalesced_mmio[last] = entry;
	__atomic_store_n(&ring->last, (last + 1) % (uint32_t)RING_MAX, __ATOMIC_RELEASE);
	return true;
}

bool kvm_vm_coalesce(struct kvm_vm *vm, bool pio, uint64_t address, uint32_t size, const void *data)
{
	bool done = false;

	if (!atomic_load_explicit(&vm->zone_count, memory_order_relaxed))
		return false;
	pthread_mutex_lock(&vm->irq_lock);
	for (const struct kvm_zone *z = vm->zones; z && !done; z = z->next)
		done = holds(z, pio, address, size) && put(vm, pio, address, size, data);
	pthread_mutex_unlock(&vm->irq_lock);
	return done;
}

/* ---- calls ---- */

static unsigned count_of(const struct kvm_vm *vm, bool pio)
{
	unsigned count = 0;

	for (const struct kvm_zone *z = vm->zones; z; z = z->next)
		count += pio == (z->zone.pio != 0);
	return count;
}

int kvm_vm_register_zone(void *object, void *arg, uintptr_t user)
{
	const struct kvm_coalesced_mmio_zone *zone = arg;
	struct kvm_vm *vm = object;
	auto_free struct kvm_zone *z = NULL;
	int result = 0;

	if (zone->pio > 1)
		return -EINVAL;
	z = calloc(1, sizeof(*z));
	if (!z)
		return -ENOMEM;
	z->zone = *zone;
	pthread_mutex_lock(&vm->irq_lock);
	if (count_of(vm, zone->pio) >= ZONES_MAX) {
		result = -ENOSPC;
	} else {
		z->next = vm->zones;
		vm->zones = take_ptr(&z);
		atomic_fetch_add(&vm->zone_count, 1);
	}
	pthread_mutex_unlock(&vm->irq_lock);
	return result;
}

/* Removes every zone that holds all of this one. That there is none is no error. */
int kvm_vm_unregister_zone(void *object, void *arg, uintptr_t user)
{
	const struct kvm_coalesced_mmio_zone *zone = arg;
	struct kvm_vm *vm = object;
	struct kvm_zone **at = &vm->zones;

	if (zone->pio > 1)
		return -EINVAL;
	pthread_mutex_lock(&vm->irq_lock);
	while (*at) {
		struct kvm_zone *z = *at;

		if (!holds(z, zone->pio, zone->addr, zone->size)) {
			at = &z->next;
			continue;
		}
		*at = z->next;
		free(z);
		atomic_fetch_sub(&vm->zone_count, 1);
	}
	pthread_mutex_unlock(&vm->irq_lock);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats: KVM_GET_STATS_FD. The descriptor is that of a file which describes itself and holds the counters.
 * The platform counts in the file's memory, so that whoever reads the file sees the present values, and need
 * not ask the platform. Counters start in the VM's or the vCPU's own memory, because few programs ask for the
 * file. Law: api.rst, 4.133.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vcpu.h"

#define NAME_BYTES 48 /* KVM_STATS_NAME_SIZE */
#define ROW_BYTES  (sizeof(struct kvm_stats_desc) + NAME_BYTES)
#define ID_AT      sizeof(struct kvm_stats_header)
#define ROWS_AT    (ID_AT + NAME_BYTES)

#define COUNT   (KVM_STATS_TYPE_CUMULATIVE | KVM_STATS_UNIT_NONE | KVM_STATS_BASE_POW10)
#define TIME_NS (KVM_STATS_TYPE_CUMULATIVE | KVM_STATS_UNIT_SECONDS | KVM_STATS_BASE_POW10)
#define IS_TRUE (KVM_STATS_TYPE_INSTANT | KVM_STATS_UNIT_BOOLEAN | KVM_STATS_BASE_POW10)

struct counter {
	const char *name; /* KVM's */
	uint32_t flags;
	int16_t exponent;
};

/* Flushes are those of the processors' maps, because slots have changed. */
static const struct counter vm_counters[KVM_VM_STATS] = {
        [KVM_STAT_FLUSHES] = {"remote_tlb_flush", COUNT, 0},
        [KVM_STAT_FLUSH_REQUESTS] = {"remote_tlb_flush_requests", COUNT, 0},
};

static const struct counter vcpu_counters[KVM_VCPU_STATS] = {
        [KVM_STAT_EXITS] = {"exits", COUNT, 0},
        [KVM_STAT_IO_EXITS] = {"io_exits", COUNT, 0},
        [KVM_STAT_MMIO_EXITS] = {"mmio_exits", COUNT, 0},
        [KVM_STAT_SIGNAL_EXITS] = {"signal_exits", COUNT, 0},
        [KVM_STAT_WINDOW_EXITS] = {"irq_window_exits", COUNT, 0},
        [KVM_STAT_HALT_EXITS] = {"halt_exits", COUNT, 0},
        [KVM_STAT_HALT_WAKEUP] = {"halt_wakeup", COUNT, 0},
        [KVM_STAT_HALT_WAIT_NS] = {"halt_wait_ns", TIME_NS, -9},
        [KVM_STAT_BLOCKING] = {"blocking", IS_TRUE, 0},
        [KVM_STAT_HYPERCALLS] = {"hypercalls", COUNT, 0},
        [KVM_STAT_INJECTIONS] = {"irq_injections", COUNT, 0},
        [KVM_STAT_EMULATION_FAILURES] = {"insn_emulation_fail", COUNT, 0},
};

static size_t data_at(unsigned count)
{
	return ROWS_AT + count * ROW_BYTES;
}

_Static_assert(
        ROWS_AT + KVM_STATS_MAX * (ROW_BYTES + sizeof(uint64_t)) <= PAGE_SIZE_BYTES, "one page is enough");
_Static_assert(
        ROWS_AT % sizeof(uint64_t) == 0 && ROW_BYTES % sizeof(uint64_t) == 0, "the counters are aligned");

static void describe(uint8_t *file, const struct counter *counters, unsigned count, const char *id)
{
	const struct kvm_stats_header head = {
	        .name_size = NAME_BYTES,
	        .num_desc = count,
	        .id_offset = ID_AT,
	        .desc_offset = ROWS_AT,
	        .data_offset = (uint32_t)data_at(count),
	};

	memcpy(file, &head, sizeof(head));
	snprintf((char *)file + ID_AT, NAME_BYTES, "%s", id);
	for (unsigned i = 0; i < count; i++) {
		uint8_t *at = file + ROWS_AT + i * ROW_BYTES;
		const struct kvm_stats_desc row = {
		        .flags = counters[i].flags,
		        .exponent = counters[i].exponent,
		        .size = 1,
		        .offset = i * (uint32_t)sizeof(uint64_t),
		};

		memcpy(at, &row, sizeof(row));
		snprintf((char *)at + sizeof(row), NAME_BYTES, "%s", counters[i].name);
	}
}

/* Makes the file, and goes on counting in it. Nobody counts meanwhile. */
static int make_file(struct kvm_stats *stats, const struct counter *counters, unsigned count, const char *id)
{
	auto_close int fd = object_fd("sim-stats", data_at(count) + count * sizeof(uint64_t));
	void *page;

	if (fd < 0)
		return fd;
	page = mmap(NULL, PAGE_SIZE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return -errno;
	describe(page, counters, count, id);
	stats->page = page;
	stats->file = (_Atomic uint64_t *)(void *)((uint8_t *)page + data_at(count));
	for (unsigned i = 0; i < count; i++)
		atomic_store(&stats->file[i], atomic_load(&stats->own[i]));
	stats->fd = take_fd(&fd);
	return 0;
}

/* Each call gives a descriptor of its own, with a place of its own in the file, which can only be read. */
static int open_file(struct kvm_stats *stats, const struct counter *counters, unsigned count, const char *id)
{
	int result = stats->file ? 0 : make_file(stats, counters, count, id);
	char path[32];

	if (result < 0)
		return result;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", stats->fd);
	result = open(path, O_RDONLY | O_CLOEXEC);
	return result < 0 ? -errno : result;
}

int kvm_vm_get_stats(void *object, void *arg, uintptr_t user)
{
	struct kvm_vm *vm = object;
	char id[NAME_BYTES];
	int result;

	snprintf(id, sizeof(id), "kvm-%d", (int)getpid());
	pthread_mutex_lock(&vm->lock);
	result = open_file(&vm->stats, vm_counters, KVM_VM_STATS, id);
	pthread_mutex_unlock(&vm->lock);
	return result;
}

int kvm_vcpu_get_stats(void *object, void *arg, uintptr_t user)
{
	struct kvm_vcpu *v = object;
	char id[NAME_BYTES];

	snprintf(id, sizeof(id), "kvm-%d/vcpu-%u", (int)getpid(), v->id);
	return open_file(&v->stats, vcpu_counters, KVM_VCPU_STATS, id);
}

void kvm_stats_finish(struct kvm_stats *stats)
{
	if (stats->fd < 0)
		return;
	munmap(stats->page, PAGE_SIZE_BYTES);
	close(stats->fd);
}

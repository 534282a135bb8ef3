/* SPDX-License-Identifier: Apache-2.0 */
/*
 * private: memory calls and SEV calls on a host without SEV, and how the kernel refuses them.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>

#include "vmm/uapi.h"

#include "abi.h"

#define NOWHERE   ((const void *)16)
#define HUGE_PAGE UINT64_C(0x200000)

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1; glibc 2.37 */
#endif

static int new_vm(struct abi *abi)
{
	int vm = ask_number(abi, abi->kvm, KVM_CREATE_VM, 0);

	if (vm < 0)
		give_up("KVM_CREATE_VM");
	return vm;
}

static void capabilities(struct abi *abi, int vm)
{
	static const int list[] = {KVM_CAP_VM_COPY_ENC_CONTEXT_FROM, KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM,
	        UAPI_CAP_USER_MEMORY2, UAPI_CAP_MEMORY_FAULT_INFO, UAPI_CAP_MEMORY_ATTRIBUTES,
	        UAPI_CAP_GUEST_MEMFD, UAPI_CAP_VM_TYPES, UAPI_CAP_PRE_FAULT_MEMORY,
	        UAPI_CAP_GUEST_MEMFD_FLAGS};

	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		say(ask_number(abi, abi->kvm, KVM_CHECK_EXTENSION, (unsigned long)list[i]),
		        "capability %d of the host", list[i]);
		say(ask_number(abi, vm, KVM_CHECK_EXTENSION, (unsigned long)list[i]), "capability %d of a vm",
		        list[i]);
	}
	for (unsigned type = 0; type < 8; type++)
		say(ask_number(abi, abi->kvm, KVM_CREATE_VM, type) < 0 ? -1 : 0, "vm of type %u", type);
}

static void attributes(struct abi *abi)
{
	uint64_t value = 77;

	for (uint32_t group = 0; group < 3; group++) {
		for (uint64_t attr = 0; attr < 4; attr++) {
			const struct kvm_device_attr a = {
			        .group = group, .attr = attr, .addr = (uintptr_t)&value};

			say(ask(abi, abi->kvm, KVM_HAS_DEVICE_ATTR, &a), "has attribute %u.%d", group,
			        (int)attr);
			if (group)
				say(ask(abi, abi->kvm, KVM_GET_DEVICE_ATTR, &a), "attribute %u.%d", group,
				        (int)attr);
		}
	}
	tell("the value: %llx", (unsigned long long)value);
}

/* Makes regions by the newer call, with the flags that only it has. */
static void regions(struct abi *abi, int vm, int gmem)
{
	char *memory = mmap(NULL, 0x10000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const uint64_t at = (uintptr_t)memory;
	const uint32_t fd = (uint32_t)gmem, none = 9999;
	const struct {
		const char *what;
		struct uapi_userspace_memory_region2 region;
	} rows[] = {
	        {"slot 0", {0, 0, 0, 0x8000, at, 0, 0, 0, {0}}},
	        {"slot 0 with rubbish behind", {0, 0, 0, 0x8000, at, 5, none, 5, {5}}},
	        {"unknown flag", {1, 8, 0x100000, 0x1000, at, 0, 0, 0, {0}}},
	        {"guest_memfd of no descriptor", {1, 4, 0x100000, 0x1000, at, 0, none, 0, {0}}},
	        {"guest_memfd beyond its end", {1, 4, 0x100000, 0x8000, at, 0, fd, 0, {0}}},
	        {"guest_memfd from beyond its end", {1, 4, 0x100000, 0x1000, at, 0x4000, fd, 0, {0}}},
	        {"guest_memfd not at a page", {1, 4, 0x100000, 0x1000, at, 0x800, fd, 0, {0}}},
	        {"guest_memfd", {1, 4, 0x100000, 0x1000, at, 0, fd, 0, {0}}},
	        {"guest_memfd again", {1, 4, 0x100000, 0x1000, at, 0, fd, 0, {0}}},
	        {"guest_memfd without it", {1, 0, 0x100000, 0x1000, at, 0, 0, 0, {0}}},
	        {"guest_memfd elsewhere too", {2, 4, 0x200000, 0x2000, at, 0, fd, 0, {0}}},
	        {"guest_memfd, read only", {1, 6, 0x100000, 0x1000, at, 0, fd, 0, {0}}},
	        {"guest_memfd, logged", {1, 5, 0x100000, 0x1000, at, 0, fd, 0, {0}}},
	        {"logged from now on", {0, 1, 0, 0x8000, at, 0, 0, 0, {0}}},
	        {"deleted", {0, 0, 0, 0, 0, 0, 0, 0, {0}}},
	        {"deleted again", {0, 0, 0, 0, 0, 0, 0, 0, {0}}},
	};
	const struct kvm_userspace_memory_region old = {1, 4, 0x100000, 0x1000, at};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		say(ask(abi, vm, UAPI_SET_USER_MEMORY_REGION2, &rows[i].region), "region: %s", rows[i].what);
	say(ask(abi, vm, UAPI_SET_USER_MEMORY_REGION2, NOWHERE), "region: nowhere");
	say(ask(abi, vm, KVM_SET_USER_MEMORY_REGION, &old), "region: guest_memfd by the old call");
	munmap(memory, 0x10000);
}

static void private_attributes(struct abi *abi, int vm)
{
	static const struct {
		const char *what;
		struct uapi_memory_attributes a;
	} rows[] = {
	        {"shared", {0, 0x1000, 0, 0}},
	        {"private", {0, 0x1000, 8, 0}},
	        {"unknown", {0, 0x1000, 1, 0}},
	        {"with flags", {0, 0x1000, 0, 1}},
	        {"of nothing", {0, 0, 0, 0}},
	        {"not of pages", {0, 0x1800, 0, 0}},
	        {"not at a page", {0x800, 0x1000, 0, 0}},
	        {"beyond the end", {UINT64_C(0xfffffffffffff000), 0x2000, 0, 0}},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		say(ask(abi, vm, UAPI_SET_MEMORY_ATTRIBUTES, &rows[i].a), "attributes: %s", rows[i].what);
	say(ask(abi, vm, UAPI_SET_MEMORY_ATTRIBUTES, NOWHERE), "attributes: nowhere");
}

/* Misuses the call in ways that every VM refuses. Returns the descriptor of a good guest_memfd, or -1. */
static int guest_memfd(struct abi *abi, int vm)
{
	static const struct {
		const char *what;
		struct uapi_create_guest_memfd create;
	} rows[] = {
	        {"of nothing", {0, 0, {0}}},
	        {"not of pages", {0x1800, 0, {0}}},
	        {"of all memory", {UINT64_C(0xfffffffffffff000), 0, {0}}},
	        {"with an unknown flag", {0x1000, 1u << 20, {0}}},
	};
	const struct uapi_create_guest_memfd good = {.size = 0x4000};
	int fd;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		fd = ask(abi, vm, UAPI_CREATE_GUEST_MEMFD, &rows[i].create);
		say(fd < 0 ? -1 : 0, "guest_memfd %s", rows[i].what);
		if (fd >= 0)
			host_close(abi->host, fd);
	}
	say(ask(abi, vm, UAPI_CREATE_GUEST_MEMFD, NOWHERE), "guest_memfd nowhere");
	fd = ask(abi, vm, UAPI_CREATE_GUEST_MEMFD, &good);
	say(fd < 0 ? -1 : 0, "guest_memfd");
	return fd;
}

/* The kernel reads the page for us: EFAULT is the SIGBUS that a touch would be. */
static int touch(const void *page)
{
	int fds[2], result;

	if (pipe(fds) < 0)
		give_up("a pipe");
	result = write(fds[1], page, 1) == 1 ? 0 : -1;
	close(fds[0]);
	close(fds[1]);
	return result;
}

void tell_mapping(struct abi *abi, int gmem, size_t size)
{
	static const struct {
		const char *what;
		int prot, flags;
	} rows[] = {
	        {"mapped", PROT_READ | PROT_WRITE, MAP_SHARED},
	        {"mapped, private", PROT_READ | PROT_WRITE, MAP_PRIVATE},
	        {"mapped for code", PROT_READ | PROT_EXEC, MAP_SHARED},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		void *at = host_mmap(abi->host, NULL, 2 * size, rows[i].prot, rows[i].flags, gmem, 0);

		say(at == MAP_FAILED ? -1 : 0, "guest_memfd: %s", rows[i].what);
		if (at == MAP_FAILED)
			continue;
		say(touch(at), "its first page");
		say(touch((char *)at + size), "what is behind its end");
		munmap(at, 2 * size);
	}
}

/* Memory of a descriptor that both the VMM and the guest use: the slot needs no address in the VMM. */
static void shared_memory(struct abi *abi, int vm)
{
	struct uapi_create_guest_memfd create = {.size = 0x2000};

	for (create.flags = 0; create.flags < 4; create.flags++) {
		int fd = ask(abi, vm, UAPI_CREATE_GUEST_MEMFD, &create);
		struct uapi_userspace_memory_region2 region = {.slot = 5,
		        .flags = UAPI_MEM_GUEST_MEMFD,
		        .guest_phys_addr = 0x200000,
		        .memory_size = 0x2000,
		        .guest_memfd = (uint32_t)fd};

		tell("- guest_memfd with flags %d", (int)create.flags);
		tell_mapping(abi, fd, 0x2000);
		say(ask(abi, vm, UAPI_SET_USER_MEMORY_REGION2, &region), "its slot");
		region.memory_size = 0;
		say(ask(abi, vm, UAPI_SET_USER_MEMORY_REGION2, &region), "its slot, deleted");
		host_close(abi->host, fd);
	}
}

/* Where the mapping has the alignment of a huge page: its pages stay single ones. */
static void huge_page(struct abi *abi, int vm)
{
	const struct uapi_create_guest_memfd create = {.size = HUGE_PAGE, .flags = 3};
	int fd = ask(abi, vm, UAPI_CREATE_GUEST_MEMFD, &create);
	void *room = mmap(NULL, 2 * HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *at = (char *)room + (HUGE_PAGE - (uintptr_t)room % HUGE_PAGE) % HUGE_PAGE;

	if (fd < 0 || room == MAP_FAILED ||
	        host_mmap(abi->host, at, HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) !=
	                at)
		give_up("a guest_memfd of a huge page");
	memset(at, 1, HUGE_PAGE);
	say(madvise(at, HUGE_PAGE, MADV_HUGEPAGE), "guest_memfd: huge pages wished for");
	say(madvise(at, HUGE_PAGE, MADV_COLLAPSE), "guest_memfd: made a huge page");
	say(madvise(at, HUGE_PAGE, MADV_DONTNEED), "guest_memfd: out of the page tables");
	say(at[HUGE_PAGE - 1], "its last byte");
	munmap(room, 2 * HUGE_PAGE);
	host_close(abi->host, fd);
}

static void prefault(struct abi *abi, int vcpu)
{
	struct {
		const char *what;
		struct uapi_pre_fault_memory range; /* what is left comes back, whatever the answer */
	} rows[] = {
	        {"with flags", {0, 0x1000, 1, {0}}},
	        {"of nothing", {0, 0, 0, {0}}},
	        {"not of pages", {0, 0x1800, 0, {0}}},
	        {"beyond the end", {UINT64_C(0xfffffffffffff000), 0x2000, 0, {0}}},
	        {"of no memory", {0x4000000, 0x1000, 0, {0}}},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		say(ask(abi, vcpu, UAPI_PRE_FAULT_MEMORY, &rows[i].range), "pre-fault %s", rows[i].what);
	say(ask(abi, vcpu, UAPI_PRE_FAULT_MEMORY, NOWHERE), "pre-fault nowhere");
}

static void encryption(struct abi *abi, int vm)
{
	struct kvm_sev_cmd cmd = {.id = KVM_SEV_INIT, .error = 5};
	struct kvm_enc_region region = {.addr = 0x1000, .size = 0x1000};
	struct kvm_enable_cap cap = {.cap = KVM_CAP_VM_COPY_ENC_CONTEXT_FROM, .args[0] = (unsigned)vm};

	say(ask(abi, vm, KVM_MEMORY_ENCRYPT_OP, NULL), "is there encryption");
	say(ask(abi, vm, KVM_MEMORY_ENCRYPT_OP, NOWHERE), "command from nowhere");
	say(ask(abi, vm, KVM_MEMORY_ENCRYPT_OP, &cmd), "command 0");
	tell("its error: %u", cmd.error);
	cmd.id = 22;
	say(ask(abi, vm, KVM_MEMORY_ENCRYPT_OP, &cmd), "command 22");
	cmd.id = 5000;
	say(ask(abi, vm, KVM_MEMORY_ENCRYPT_OP, &cmd), "command 5000");
	say(ask(abi, vm, KVM_MEMORY_ENCRYPT_REG_REGION, &region), "register a region");
	say(ask(abi, vm, KVM_MEMORY_ENCRYPT_UNREG_REGION, &region), "and off");
	say(ask(abi, vm, KVM_MEMORY_ENCRYPT_REG_REGION, NOWHERE), "register from nowhere");
	say(ask(abi, vm, KVM_ENABLE_CAP, &cap), "copy from itself");
	cap.args[0] = 9999;
	say(ask(abi, vm, KVM_ENABLE_CAP, &cap), "copy from no descriptor");
	cap.cap = KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM;
	say(ask(abi, vm, KVM_ENABLE_CAP, &cap), "move from no descriptor");
	cap.args[0] = (unsigned)vm;
	say(ask(abi, vm, KVM_ENABLE_CAP, &cap), "move from itself");
}

static void run(struct abi *abi)
{
	int vm = new_vm(abi), gmem, vcpu, sev = host_open(abi->host, "/dev/sev", O_RDWR);

	say(sev, "/dev/sev");
	capabilities(abi, vm);
	attributes(abi);
	gmem = guest_memfd(abi, vm);
	regions(abi, vm, gmem);
	shared_memory(abi, vm);
	huge_page(abi, vm);
	private_attributes(abi, vm);
	vcpu = ask_number(abi, vm, KVM_CREATE_VCPU, 0);
	prefault(abi, vcpu);
	encryption(abi, vm);
	host_close(abi->host, vcpu);
	host_close(abi->host, gmem);
	host_close(abi->host, vm);
}

const struct chapter chapter_no_sev = {"no-sev", run};

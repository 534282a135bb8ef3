/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sev_guest: a tiny guest with memory encryption on the software platform, for the tests of the platform's
 * kernel side: 64 KiB of memory at 0, one vCPU that starts in real mode at GUEST_CODE.
 */
#ifndef VMM_TEST_SEV_GUEST_H
#define VMM_TEST_SEV_GUEST_H

#include <errno.h>
#include <fcntl.h>
#include <linux/psp-sev.h>
#include <sys/mman.h>

#include "support/test.h"
#include "vmm/abi/policy.h"
#include "vmm/abi/sev_launch.h"
#include "vmm/sim.h"
#include "vmm/uapi.h"

#define GUEST_BYTES 0x10000u
#define GUEST_CODE  0x1000u
#define GUEST_DATA  0x2000u
#define PORT        0x80

struct machine {
	struct host *host;
	int kvm, sev;
};

struct guest {
	struct machine *m;
	int vm, vcpu, gmem;
	uint8_t *memory;
	struct kvm_run *run;
	uint32_t error; /* of the latest command: the firmware's code */
};

static inline void machine_open(struct machine *m, const struct sim_options *options)
{
	struct err err;

	assert_ok(sim_host_create(options, &m->host, &err));
	m->kvm = host_open(m->host, "/dev/kvm", O_RDWR);
	m->sev = host_open(m->host, "/dev/sev", O_RDWR);
	assert_true(m->kvm >= 0);
}

static inline void machine_close(struct machine *m)
{
	host_close(m->host, m->sev);
	host_close(m->host, m->kvm);
	host_destroy(m->host);
}

/* 0 or more, or a negated errno. */
static inline int call_of(const struct machine *m, int fd, unsigned long request, const void *arg)
{
	int result = host_ioctl(m->host, fd, request, (void *)(uintptr_t)arg);

	return result < 0 ? -errno : result;
}

static inline int number_of(const struct machine *m, int fd, unsigned long request, unsigned long number)
{
	int result = host_ioctl_number(m->host, fd, request, number);

	return result < 0 ? -errno : result;
}

static inline int command_with(struct guest *g, uint32_t id, const void *data, int sev_fd)
{
	struct kvm_sev_cmd cmd = {
	        .id = id, .data = (uintptr_t)data, .sev_fd = (uint32_t)sev_fd, .error = 0xeeee};
	int result = call_of(g->m, g->vm, KVM_MEMORY_ENCRYPT_OP, &cmd);

	g->error = cmd.error;
	return result;
}

static inline int command(struct guest *g, uint32_t id, const void *data)
{
	return command_with(g, id, data, g->m->sev);
}

static inline int set_memory(struct guest *g, uint32_t slot, uint64_t gpa, uint64_t size, void *at, int gmem)
{
	const struct uapi_userspace_memory_region2 region = {.slot = slot,
	        .flags = gmem >= 0 ? UAPI_MEM_GUEST_MEMFD : 0,
	        .guest_phys_addr = gpa,
	        .memory_size = size,
	        .userspace_addr = (uintptr_t)at,
	        .guest_memfd = (uint32_t)gmem};

	return call_of(g->m, g->vm, UAPI_SET_USER_MEMORY_REGION2, &region);
}

static inline int create_gmem(struct guest *g, uint64_t size)
{
	const struct uapi_create_guest_memfd create = {.size = size};

	return call_of(g->m, g->vm, UAPI_CREATE_GUEST_MEMFD, &create);
}

static inline int set_private(struct guest *g, uint64_t gpa, uint64_t size, bool private)
{
	const struct uapi_memory_attributes a = {
	        .address = gpa, .size = size, .attributes = private ? UAPI_MEMORY_ATTRIBUTE_PRIVATE : 0};

	return call_of(g->m, g->vm, UAPI_SET_MEMORY_ATTRIBUTES, &a);
}

/* A VM with its memory, without a context and vCPUs. */
static inline void guest_make(struct guest *g, struct machine *m, unsigned type)
{
	*g = (struct guest){.m = m, .vcpu = -1, .gmem = -1};
	g->vm = number_of(m, m->kvm, KVM_CREATE_VM, type);
	assert_true(g->vm >= 0);
	g->memory = mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(g->memory, MAP_FAILED);
	if (type == UAPI_VM_SNP) {
		g->gmem = create_gmem(g, GUEST_BYTES);
		assert_true(g->gmem >= 0);
	}
	assert_int_equal(set_memory(g, 0, 0, GUEST_BYTES, g->memory, g->gmem), 0);
}

/* Another vCPU; the first is g->vcpu, in real mode at GUEST_CODE. */
static inline int guest_add_vcpu(struct guest *g)
{
	const struct kvm_regs regs = {.rip = GUEST_CODE, .rsp = 0xf000, .rflags = 2};
	struct machine *m = g->m;
	struct kvm_sregs sregs;
	static unsigned id;
	int vcpu = number_of(m, g->vm, KVM_CREATE_VCPU, g->vcpu < 0 ? id = 0 : ++id);

	assert_true(vcpu >= 0);
	if (g->vcpu >= 0)
		return vcpu;
	g->vcpu = vcpu;
	g->run = host_mmap(m->host, NULL, (size_t)number_of(m, m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0),
	        PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	assert_ptr_not_equal(g->run, MAP_FAILED);
	assert_int_equal(call_of(m, vcpu, KVM_GET_SREGS, &sregs), 0);
	sregs.cs.base = sregs.cs.selector = 0;
	assert_int_equal(call_of(m, vcpu, KVM_SET_SREGS, &sregs), 0);
	assert_int_equal(call_of(m, vcpu, KVM_SET_REGS, &regs), 0);
	return vcpu;
}

static inline int guest_init2(struct guest *g)
{
	const struct uapi_sev_init init = {0};

	return command(g, UAPI_SEV_INIT2, &init);
}

/* A machine, and a guest on it whose launch can start: it has its context and a vCPU. */
static inline void guest_ready(
        struct guest *g, struct machine *m, const struct sim_options *options, unsigned type)
{
	machine_open(m, options);
	guest_make(g, m, type);
	assert_int_equal(guest_init2(g), 0);
	guest_add_vcpu(g);
}

static inline int launch_start(struct guest *g, uint32_t policy)
{
	struct kvm_sev_launch_start start = {.policy = policy};

	return command(g, KVM_SEV_LAUNCH_START, &start);
}

static inline int launch_update(struct guest *g, uint32_t at, uint32_t size)
{
	const struct kvm_sev_launch_update_data update = {.uaddr = (uintptr_t)g->memory + at, .len = size};

	return command(g, KVM_SEV_LAUNCH_UPDATE_DATA, &update);
}

static inline int launch_measure(struct guest *g, struct abi_sev_measure *ret_measure)
{
	struct kvm_sev_launch_measure measure = {
	        .uaddr = (uintptr_t)ret_measure, .len = sizeof(*ret_measure)};

	return command(g, KVM_SEV_LAUNCH_MEASURE, &measure);
}

/* Launches all of the guest's memory and, with SEV-ES, its vCPUs, up to the end of the launch. */
static inline void guest_launch(struct guest *g, uint32_t policy)
{
	struct abi_sev_measure measure;

	assert_int_equal(launch_start(g, policy), 0);
	assert_int_equal(launch_update(g, 0, GUEST_BYTES), 0);
	if (policy & ABI_SEV_POLICY_ES)
		assert_int_equal(command(g, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL), 0);
	assert_int_equal(launch_measure(g, &measure), 0);
	assert_int_equal(command(g, KVM_SEV_LAUNCH_FINISH, NULL), 0);
}

static inline int guest_run(struct guest *g)
{
	return number_of(g->m, g->vcpu, KVM_RUN, 0);
}

/*
 * Tells AL, in real mode, for a guest whose port accesses raise #VC: by the GHCB's MSR it asks to be ended,
 * with AL as the reason. EBX, ECX and EDX change.
 */
#define TELL \
	0x66, 0x89, 0xc3,                           /* mov %eax, %ebx */ \
	        0x66, 0x0f, 0xb6, 0xc0,             /* movzx %al, %eax */ \
	        0x66, 0xc1, 0xe0, 0x10,             /* shl $16, %eax */ \
	        0xb4, 0x01,                         /* mov $1, %ah */ \
	        0x66, 0x31, 0xd2,                   /* xor %edx, %edx */ \
	        0x66, 0xb9, 0x30, 0x01, 0x01, 0xc0, /* mov $0xc0010130, %ecx */ \
	        0x0f, 0x30,                         /* wrmsr */ \
	        0xf3, 0x0f, 0x01, 0xd9,             /* vmgexit */ \
	        0x66, 0x89, 0xd8                    /* mov %ebx, %eax */

/* Runs until the guest writes a byte to PORT, or does TELL, and returns the byte. */
static inline uint8_t run_to_port(struct guest *g)
{
	int result = guest_run(g);

	if (result == 0 && g->run->exit_reason == KVM_EXIT_SYSTEM_EVENT)
		return (uint8_t)(g->run->system_event.data[0] >> 16);
	if (result != 0 || g->run->exit_reason != KVM_EXIT_IO)
		fail_msg("KVM_RUN: %d, exit %u", result, g->run->exit_reason);
	assert_int_equal(g->run->io.port, PORT);
	return ((uint8_t *)g->run)[g->run->io.data_offset];
}

static inline void guest_close(struct guest *g)
{
	struct host *h = g->m->host;

	if (g->run)
		host_munmap(h, g->run, (size_t)number_of(g->m, g->m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
	host_close(h, g->vcpu);
	host_close(h, g->gmem);
	host_close(h, g->vm);
	munmap(g->memory, GUEST_BYTES);
}

#define TABLES 0x8000u
#define C_BIT  (UINT64_C(1) << 51)
#define SHARED 0x200000u /* linear: gpa 0 without the C-bit */

/* Long mode: gpa 0 with the C-bit at 0, without at SHARED. */
static inline void enter_long_mode(struct guest *g)
{
	uint64_t *pml4 = (uint64_t *)(void *)(g->memory + TABLES), *pdpt = pml4 + 512, *pd = pml4 + 1024;
	const struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entry;
	} cpuid = {.head.nent = 1, .entry = {.function = 0x80000001, .edx = 1u << 29}}; /* long mode */
	struct kvm_sregs s;

	pml4[0] = (TABLES + 0x1000) | 7 | C_BIT;
	pdpt[0] = (TABLES + 0x2000) | 7 | C_BIT;
	pd[0] = 0x87 | C_BIT;
	pd[1] = 0x87;
	assert_int_equal(call_of(g->m, g->vcpu, KVM_SET_CPUID2, &cpuid), 0);
	assert_int_equal(call_of(g->m, g->vcpu, KVM_GET_SREGS, &s), 0);
	s.cs = (struct kvm_segment){
	        .limit = UINT32_MAX, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1};
	s.cr0 = 0x80000011;
	s.cr3 = TABLES | C_BIT;
	s.cr4 = 0x20;
	s.efer = 0x500;
	assert_int_equal(call_of(g->m, g->vcpu, KVM_SET_SREGS, &s), 0);
}

#define CODE(g, ...) \
	memcpy((g)->memory + GUEST_CODE, ((const uint8_t[]){__VA_ARGS__}), \
	        sizeof((const uint8_t[]){__VA_ARGS__}))

#endif

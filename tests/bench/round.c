/* SPDX-License-Identifier: Apache-2.0 */
/*
 * round: measures a round trip of KVM_RUN: a guest writes to a port for ever. `round sim` calls the software
 * platform as vmm does; `round kvm` opens /dev/kvm as any program does, that of vmm platform too
 * (tests/bench/others.py). It prints the nanoseconds of processor time of each.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#include "vmm/sim.h"

#define ROUNDS 300000u

static const unsigned char guest_code[] = {0xe6, 16, 0xeb, 0xfc}; /* 1: out 16, al; jmp 1b */

static struct host *host; /* NULL: the kernel, or who stands in its place */

static int call(int fd, unsigned long request, const void *arg)
{
	void *p = (void *)(uintptr_t)arg;

	return host ? host_ioctl(host, fd, request, p) : ioctl(fd, request, p);
}

static void *map(int fd, size_t size)
{
	const int prot = PROT_READ | PROT_WRITE;

	return host ? host_mmap(host, NULL, size, prot, MAP_SHARED, fd, 0)
	            : mmap(NULL, size, prot, MAP_SHARED, fd, 0);
}

static int make_vcpu(const void *memory, struct kvm_run **ret_run)
{
	const struct kvm_userspace_memory_region region = {
	        .memory_size = 4096, .userspace_addr = (uintptr_t)memory};
	int kvm = host ? host_open(host, "/dev/kvm", O_RDWR) : open("/dev/kvm", O_RDWR);
	int vm = call(kvm, KVM_CREATE_VM, NULL), vcpu;
	const struct kvm_regs regs = {.rflags = 2};
	struct kvm_sregs sregs;

	call(vm, KVM_SET_USER_MEMORY_REGION, &region);
	vcpu = call(vm, KVM_CREATE_VCPU, NULL);
	*ret_run = map(vcpu, (size_t)call(kvm, KVM_GET_VCPU_MMAP_SIZE, NULL));
	call(vcpu, KVM_GET_SREGS, &sregs);
	sregs.cs.base = sregs.cs.selector = 0;
	call(vcpu, KVM_SET_SREGS, &sregs);
	call(vcpu, KVM_SET_REGS, &regs);
	return vcpu;
}

static uint64_t processor_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int main(int argc, char **argv)
{
	const struct sim_options options = {.product = "Milan"};
	struct kvm_run *run;
	uint64_t begun;
	struct err err;
	void *memory;
	int vcpu;

	if (argc != 2 || (strcmp(argv[1], "sim") != 0 && strcmp(argv[1], "kvm") != 0)) {
		printf("usage: bench_round sim | kvm: the nanoseconds of a round trip of KVM_RUN\n");
		return argc == 2 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
	}
	if (strcmp(argv[1], "sim") == 0 && sim_host_create(&options, &host, &err) < 0)
		return 1;
	memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memcpy(memory, guest_code, sizeof(guest_code));
	vcpu = make_vcpu(memory, &run);
	begun = processor_ns();
	for (unsigned i = 0; i < ROUNDS; i++) {
		if (call(vcpu, KVM_RUN, NULL) < 0 || run->exit_reason != KVM_EXIT_IO)
			return 1;
	}
	printf("%llu\n", (unsigned long long)(processor_ns() - begun) / ROUNDS);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sev_self: what the kernel's own selftests demand of SEV and SEV-ES, by calls of our own. The README says
 * which check of theirs stands where. For hosts that have SEV.
 */
#include "sev.h"

static uint32_t policy_of(unsigned type)
{
	return type == UAPI_VM_SEV ? 0 : ABI_SEV_POLICY_ES;
}

/* ---- KVM_SEV_INIT2 ---- */

static int try_init2(struct abi *abi, unsigned type, uint64_t features, uint32_t flags)
{
	const struct uapi_sev_init init = {.vmsa_features = features, .flags = flags};
	struct kvm_sev_cmd cmd = {.id = UAPI_SEV_INIT2, .data = (uintptr_t)&init};
	struct sev_vm v;
	int result;

	vm_open(&v, abi, type);
	cmd.sev_fd = (uint32_t)v.sev;
	result = ask(abi, v.vm, KVM_MEMORY_ENCRYPT_OP, &cmd) < 0 ? -errno : 0;
	vm_close(&v);
	return result;
}

static uint64_t offered_features(struct abi *abi, unsigned type)
{
	uint64_t features = 0;
	const struct kvm_device_attr get = {
	        .group = UAPI_X86_GROUP_SEV, .attr = UAPI_SEV_VMSA_FEATURES, .addr = (uintptr_t)&features};

	if (ask(abi, abi->kvm, KVM_GET_DEVICE_ATTR, &get) < 0)
		give_up("features of VMSAs");
	return type == UAPI_VM_SEV ? 0 : features;
}

static void run_init(struct abi *abi)
{
	int types = ask_number(abi, abi->kvm, KVM_CHECK_EXTENSION, UAPI_CAP_VM_TYPES);
	struct sev_vm v;

	for (unsigned type = UAPI_VM_DEFAULT; type < 8; type++) {
		int fd = ask_number(abi, abi->kvm, KVM_CREATE_VM, type);

		say(fd < 0 ? fd : 0, "vm of type %u, %s", type,
		        types >> type & 1 ? "offered" : "not offered");
		host_close(abi->host, fd);
	}
	for (unsigned type = UAPI_VM_SEV; type <= UAPI_VM_SNP; type++) {
		unsigned flags = 0, features = 0;
		uint64_t offered = offered_features(abi, type);

		for (unsigned bit = 0; bit < 32; bit++)
			flags += try_init2(abi, type, 0, 1u << bit) == -EINVAL;
		for (unsigned bit = 0; bit < 64; bit++)
			features +=
			        offered >> bit & 1 || try_init2(abi, type, UINT64_C(1) << bit, 0) == -EINVAL;
		tell("- vm of type %u", type);
		say(try_init2(abi, type, 0, 0), "init2");
		tell("of 32 flags %u are refused, and of 64 features all %u that are not offered", flags,
		        features);
	}
	tell("- vm of type 0");
	vm_open(&v, abi, UAPI_VM_DEFAULT);
	init2(&v, "init2");
	vm_close(&v);
}

const struct chapter chapter_sev_init = {"sev-init", run_init, true};

/* ---- a guest that is launched ---- */

/* Vcpus stand in real mode at 0x1000. */
static void place_vcpu(struct sev_vm *v)
{
	const struct kvm_regs regs = {.rip = GUEST_CODE, .rsp = 0x8000, .rflags = 2};
	struct kvm_sregs sregs;

	if (ask(v->abi, v->vcpu, KVM_GET_SREGS, &sregs) < 0)
		give_up("system registers");
	sregs.cs.base = sregs.cs.selector = 0;
	if (ask(v->abi, v->vcpu, KVM_SET_SREGS, &sregs) < 0 || ask(v->abi, v->vcpu, KVM_SET_REGS, &regs) < 0)
		give_up("registers");
}

static void launch(struct sev_vm *v, uint32_t policy)
{
	uint8_t blob[48];
	const struct kvm_sev_launch_measure measure = {(uintptr_t)blob, sizeof(blob)};

	begin(v, policy);
	quietly(v, KVM_SEV_LAUNCH_MEASURE, &measure);
	quietly(v, KVM_SEV_LAUNCH_FINISH, NULL);
}

/* ---- it runs ---- */

#define MSR_GHCB       0xc0010130u
#define MSR_SEV_STATUS 0xc0010131u
#define MSR_EFER       0xc0000080u

/* Registers keep what they are given: each is read, written as it was read, read again and compared. */
static void write_registers(struct code *c)
{
	static const uint8_t numbers[] = {0, 3, 4};

	set_ecx(c, MSR_EFER);
	emit_bytes(c, 0x0f, 0x32, 0x66, 0x89, 0xc6, 0x0f, 0x30, 0x0f,
	        0x32);                                     /* rdmsr; mov esi, eax; wrmsr; rdmsr */
	emit_bytes(c, 0x66, 0x39, 0xf0, 0x74, 0x01, 0xf4); /* cmp eax, esi; je + 1; hlt */
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		uint8_t modrm = (uint8_t)(0xc0 | numbers[i] << 3);

		emit_bytes(c, 0x0f, 0x20, modrm, 0x0f, 0x22, modrm, 0x66, 0x89, 0xc6, 0x0f, 0x20, modrm);
		emit_bytes(c, 0x66, 0x39, 0xf0, 0x74, 0x01, 0xf4);
	}
}

/* A SEV guest tells its SEV_STATUS by a port; a SEV-ES guest, whose ports need a GHCB, by its last request.
 */
static void write_status(struct code *c, unsigned type)
{
	set_ecx(c, MSR_SEV_STATUS);
	emit_bytes(c, 0x0f, 0x32);
	if (type == UAPI_VM_SEV) {
		tell_eax(c, 0x10);
		done(c);
		return;
	}
	emit_bytes(c, 0x66, 0xc1, 0xe0, 0x10);             /* shl eax, 16: the code of the request */
	emit_bytes(c, 0x66, 0x0d, 0x00, 0x01, 0x00, 0x00); /* or eax, 0x100 */
	set_ecx(c, MSR_GHCB);
	set_edx(c, 0);
	emit_bytes(c, 0x0f, 0x30, 0xf3, 0x0f, 0x01, 0xd9, 0xf4); /* wrmsr; vmgexit; hlt */
}

static void tell_exit(const struct kvm_run *run)
{
	if (run->exit_reason == KVM_EXIT_IO)
		tell("port %x: %x", run->io.port,
		        (unsigned)load_le((const uint8_t *)run + run->io.data_offset, run->io.size));
	else if (run->exit_reason == KVM_EXIT_SYSTEM_EVENT)
		tell("event %u with %u words: %llx", run->system_event.type, run->system_event.ndata,
		        (unsigned long long)run->system_event.data[0]);
	else
		tell("exit %u", run->exit_reason);
}

static void run_guest(struct abi *abi, unsigned type, uint32_t policy, bool shuts_down)
{
	size_t size = (size_t)ask_number(abi, abi->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	struct kvm_run *run;
	struct sev_vm v;
	struct code c;

	vm_open(&v, abi, type);
	c = (struct code){v.memory + GUEST_CODE, 16};
	if (shuts_down) {
		emit_bytes(&c, 0x0f, 0x01, 0x1e, 0x00, 0x00, 0x0f, 0x0b); /* lidt of zeros; ud2 */
	} else {
		write_registers(&c);
		write_status(&c, type);
	}
	init2(&v, "init2");
	add_vcpu(&v);
	place_vcpu(&v);
	launch(&v, policy);
	run = host_mmap(abi->host, NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, v.vcpu, 0);
	if (run == MAP_FAILED)
		give_up("struct kvm_run");
	do {
		say(ask_number(abi, v.vcpu, KVM_RUN, 0), "run");
		tell_exit(run);
	} while (run->exit_reason == KVM_EXIT_IO && run->io.port != PORT_DONE);
	host_munmap(abi->host, run, size);
	vm_close(&v);
}

static void run_runs(struct abi *abi)
{
	for (unsigned type = UAPI_VM_SEV; type <= UAPI_VM_SEV_ES; type++) {
		tell("- vm of type %u", type);
		run_guest(abi, type, policy_of(type) | ABI_SEV_POLICY_NODBG, false);
		run_guest(abi, type, policy_of(type), false);
		run_guest(abi, type, policy_of(type), true);
	}
}

const struct chapter chapter_sev_runs = {"sev-runs", run_runs, true};

/* ---- a debugger, whose ranges end and begin anywhere ---- */

#define BUFFER_BYTES (2 * PAGE_SIZE_BYTES)

/* Returns whether the bytes came through the guest's memory as they were. */
static bool goes_round(struct sev_vm *v, unsigned from, unsigned to, unsigned size, uint8_t value)
{
	static uint8_t source[BUFFER_BYTES], back[BUFFER_BYTES];
	const uint64_t guest = (uintptr_t)v->memory + 0x4000;
	const struct kvm_sev_dbg write = {(uintptr_t)source + from, guest + to, size},
	                         read = {guest + to, (uintptr_t)back + from, size};

	memset(source + from, value, size);
	quietly(v, KVM_SEV_DBG_ENCRYPT, &write);
	quietly(v, KVM_SEV_DBG_DECRYPT, &read);
	return memcmp(source, back, sizeof(back)) == 0;
}

static void debug_sizes(struct sev_vm *v)
{
	static const unsigned around[] = {1, 8, 15, 16, 17, 32, 33};
	static const unsigned places[] = {0, 1, 8, 15, 16, 23, PAGE_SIZE_BYTES - 23, PAGE_SIZE_BYTES - 8};
	unsigned tries = 0, right = 0;

	for (size_t n = 0; n < 3 * ARRAY_LEN(around); n++) {
		unsigned small = around[n % ARRAY_LEN(around)];
		unsigned size = n < 7 ? small : n < 14 ? PAGE_SIZE_BYTES - small : PAGE_SIZE_BYTES + small;

		for (size_t i = 0; i < ARRAY_LEN(places) * ARRAY_LEN(places); i++) {
			unsigned from = places[i % ARRAY_LEN(places)], to = places[i / ARRAY_LEN(places)];

			if (from + size > BUFFER_BYTES || to + size > BUFFER_BYTES)
				continue;
			tries++;
			right += goes_round(v, from, to, size, (uint8_t)(tries * 7 + 1));
		}
	}
	tell("%u of %u round trips are right", right, tries);
}

static void run_debug(struct abi *abi)
{
	struct sev_vm v;

	for (unsigned type = UAPI_VM_SEV; type <= UAPI_VM_SEV_ES; type++) {
		static uint8_t back[BUFFER_BYTES];
		struct kvm_sev_dbg read = {.dst_uaddr = (uintptr_t)back, .len = sizeof(back)};
		unsigned right = 0;

		tell("- vm of type %u", type);
		vm_open(&v, abi, type);
		memset(v.memory, 0xaa, MEMORY_BYTES);
		init2(&v, "init2");
		add_vcpu(&v);
		launch(&v, policy_of(type));
		read.src_uaddr = (uintptr_t)v.memory + 0x4000;
		quietly(&v, KVM_SEV_DBG_DECRYPT, &read);
		for (unsigned i = 0; i < sizeof(back); i++)
			right += back[i] == 0xaa;
		tell("%u bytes are what was launched", right);
		say(goes_round(&v, 0, 0, BUFFER_BYTES, 0x55), "all of it goes round");
		debug_sizes(&v);
		vm_close(&v);
	}
}

const struct chapter chapter_sev_debug = {"sev-debug", run_debug, true};

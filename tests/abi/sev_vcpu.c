/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sev_vcpu: what the VMM can read and write of a vCPU whose registers are the guest's, and how a VM's type
 * changes that. For hosts that have SEV.
 */
#include "sev.h"
#include "vmm/abi/policy.h"

/* ---- types ---- */

static void tell_type(struct abi *abi, unsigned type)
{
	static const struct {
		const char *what;
		unsigned capability;
	} rows[] = {
	        {"read-only memory", KVM_CAP_READONLY_MEM},
	        {"registers in struct kvm_run", KVM_CAP_SYNC_REGS},
	        {"private memory", UAPI_CAP_MEMORY_ATTRIBUTES},
	        {"flags of a guest_memfd", UAPI_CAP_GUEST_MEMFD_FLAGS},
	};
	struct uapi_userspace_memory_region2 region = {
	        .slot = 1, .flags = KVM_MEM_READONLY, .guest_phys_addr = 0x100000, .memory_size = 0x1000};
	struct uapi_create_guest_memfd create = {.size = 0x1000};
	struct sev_vm v;

	tell("- vm of type %u", type);
	vm_open(&v, abi, type);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		say(ask_number(abi, v.vm, KVM_CHECK_EXTENSION, rows[i].capability), "%s", rows[i].what);
	region.userspace_addr = (uintptr_t)v.memory;
	say(ask(abi, v.vm, UAPI_SET_USER_MEMORY_REGION2, &region), "region: read only");
	region.flags = KVM_MEM_LOG_DIRTY_PAGES;
	say(ask(abi, v.vm, UAPI_SET_USER_MEMORY_REGION2, &region), "region: logged");
	for (create.flags = 0; create.flags < 8; create.flags++) {
		int fd = ask(abi, v.vm, UAPI_CREATE_GUEST_MEMFD, &create);

		say(fd < 0 ? -1 : 0, "guest_memfd with flags %d", (int)create.flags);
		host_close(abi->host, fd);
	}
	vm_close(&v);
}

static void run_types(struct abi *abi)
{
	for (unsigned type = UAPI_VM_SEV; type <= UAPI_VM_SNP; type++)
		tell_type(abi, type);
}

const struct chapter chapter_sev_types = {"sev-types", run_types, true};

/* ---- registers ---- */

static void try_msr(struct sev_vm *v, uint32_t index)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = {.head.nmsrs = 1, .entry = {.index = index, .data = 0x77}};

	say(ask(v->abi, v->vcpu, KVM_GET_MSRS, &msrs), "msr %x", index);
	if (msrs.entry.data == 0 || msrs.entry.data == 0x77)
		tell("reads %x", (unsigned)msrs.entry.data);
	say(ask(v->abi, v->vcpu, KVM_SET_MSRS, &msrs), "msr %x back", index);
}

/* Each is read, then written as it was read. */
static void try_registers(struct sev_vm *v, const char *when)
{
	static const struct {
		const char *what;
		unsigned long get, set;
	} rows[] = {
	        {"registers", KVM_GET_REGS, KVM_SET_REGS},
	        {"system registers", KVM_GET_SREGS, KVM_SET_SREGS},
	        {"system registers, newer call", KVM_GET_SREGS2, KVM_SET_SREGS2},
	        {"debug registers", KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS},
	        {"XCR0", KVM_GET_XCRS, KVM_SET_XCRS},
	        {"fpu", KVM_GET_FPU, KVM_SET_FPU},
	        {"xsave area", KVM_GET_XSAVE, KVM_SET_XSAVE},
	        {"run state", KVM_GET_MP_STATE, KVM_SET_MP_STATE},
	        {"events", KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS},
	};
	static uint8_t data[4096];

	tell("- %s", when);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		say(ask(v->abi, v->vcpu, rows[i].get, data), "%s", rows[i].what);
		say(ask(v->abi, v->vcpu, rows[i].set, data), "%s back", rows[i].what);
	}
	say(ask(v->abi, v->vcpu, KVM_SET_GUEST_DEBUG, &(struct kvm_guest_debug){.control = 0}), "debugging");
	try_msr(v, 0xc0000080);
	try_msr(v, 0xc0000082);
	try_msr(v, 0x3b);
}

/*
 * Prints the registers of a SEV-ES guest that a VM of type 0 still shows: the control registers, which the
 * guest cannot hide.
 */
static void tell_stale(struct sev_vm *v)
{
	struct kvm_regs regs = {.rax = 0x1234};
	struct kvm_sregs sregs;
	struct kvm_fpu fpu = {.fcw = 0x1234};

	ask(v->abi, v->vcpu, KVM_SET_REGS, &regs);
	ask(v->abi, v->vcpu, KVM_GET_REGS, &regs);
	ask(v->abi, v->vcpu, KVM_GET_SREGS, &sregs);
	ask(v->abi, v->vcpu, KVM_GET_FPU, &fpu);
	tell("rax %x, cs %x, cr0 %x, efer %x, fcw %x", (unsigned)regs.rax, sregs.cs.selector,
	        (unsigned)sregs.cr0, (unsigned)sregs.efer, fpu.fcw);
}

static void tell_entry(struct sev_vm *v)
{
	size_t size = (size_t)ask_number(v->abi, v->abi->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	struct kvm_run *run =
	        host_mmap(v->abi->host, NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, v->vcpu, 0);

	if (run == MAP_FAILED)
		give_up("struct kvm_run");
	say(ask_number(v->abi, v->vcpu, KVM_RUN, 0), "run before the VMSA is encrypted");
	tell("exit %u, reason %llx", run->exit_reason,
	        (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
	run->kvm_valid_regs = KVM_SYNC_X86_REGS;
	say(ask_number(v->abi, v->vcpu, KVM_RUN, 0), "run that asks for registers");
	host_munmap(v->abi->host, run, size);
}

static void debug_vcpu(struct sev_vm *v, bool on)
{
	const struct kvm_guest_debug debug = {.control = on ? KVM_GUESTDBG_ENABLE : 0};

	say(ask(v->abi, v->vcpu, KVM_SET_GUEST_DEBUG, &debug), "debugger %s", on ? "on" : "off");
}

static void run_es(struct abi *abi, unsigned type)
{
	struct kvm_sev_launch_start start = {.policy = ABI_SEV_POLICY_ES};
	struct sev_vm v;

	tell("- SEV-ES, vm of type %u", type);
	vm_open(&v, abi, type);
	if (type)
		init2(&v, "init2");
	else
		command(&v, KVM_SEV_ES_INIT, NULL, "the old init of SEV-ES");
	add_vcpu(&v);
	command(&v, KVM_SEV_LAUNCH_START, &start, "start");
	if (type)
		tell_entry(&v);
	debug_vcpu(&v, true);
	command(&v, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, "VMSA of a vcpu with a debugger");
	debug_vcpu(&v, false);
	command(&v, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, "VMSA");
	try_registers(&v, "registers of the guest");
	if (!type)
		tell_stale(&v);
	vm_close(&v);
}

static void run_snp(struct abi *abi)
{
	const struct uapi_sev_snp_launch_start start = {.policy = 0x30000};
	const struct uapi_sev_snp_launch_finish finish = {.flags = 0};
	struct sev_vm v;

	tell("- SEV-SNP");
	vm_open(&v, abi, UAPI_VM_SNP);
	init2(&v, "init2");
	add_vcpu(&v);
	command(&v, UAPI_SEV_SNP_LAUNCH_START, &start, "start");
	debug_vcpu(&v, true);
	command(&v, UAPI_SEV_SNP_LAUNCH_FINISH, &finish, "finish with a debugger");
	debug_vcpu(&v, false);
	command_by(&v, -1, UAPI_SEV_SNP_LAUNCH_FINISH, &finish, "finish with no descriptor");
	command(&v, UAPI_SEV_SNP_LAUNCH_FINISH, &finish, "finish");
	try_registers(&v, "registers of the guest");
	vm_close(&v);
}

/* The VMSAs go by the descriptor of the call, the end by that of the start. */
static void finish_by_two(struct abi *abi)
{
	const struct uapi_sev_snp_launch_start start = {.policy = 0x30000};
	const struct uapi_sev_snp_launch_finish finish = {.flags = 0};
	struct sev_vm v;
	int other;

	tell("- SEV-SNP, /dev/sev opened twice");
	vm_open(&v, abi, UAPI_VM_SNP);
	other = host_open(abi->host, "/dev/sev", O_RDWR);
	init2(&v, "init2");
	add_vcpu(&v);
	command(&v, UAPI_SEV_SNP_LAUNCH_START, &start, "start");
	host_close(abi->host, v.sev);
	command_by(&v, other, UAPI_SEV_SNP_LAUNCH_FINISH, &finish, "finish, the other one closed");
	v.sev = other;
	command(&v, UAPI_SEV_SNP_LAUNCH_FINISH, &finish, "finish again");
	vm_close(&v);
}

/* The registers of a SEV guest are the host's to change. */
static void run_sev(struct abi *abi)
{
	const struct kvm_sev_launch_start start = {.policy = 0};
	struct kvm_regs regs = {.rip = 0x1234, .rflags = 2};
	struct sev_vm v;

	tell("- SEV");
	vm_open(&v, abi, UAPI_VM_SEV);
	init2(&v, "init2");
	add_vcpu(&v);
	command(&v, KVM_SEV_LAUNCH_START, &start, "start");
	try_registers(&v, "registers of the guest");
	ask(abi, v.vcpu, KVM_SET_REGS, &regs);
	regs.rip = 0;
	ask(abi, v.vcpu, KVM_GET_REGS, &regs);
	tell("rip %x", (unsigned)regs.rip);
	vm_close(&v);
}

static void run_registers(struct abi *abi)
{
	run_sev(abi);
	run_es(abi, UAPI_VM_SEV_ES);
	run_es(abi, UAPI_VM_DEFAULT);
	run_snp(abi);
	finish_by_two(abi);
}

const struct chapter chapter_sev_registers = {"sev-registers", run_registers, true};

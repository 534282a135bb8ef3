/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sev: SEV, SEV-ES and SEV-SNP guests up to their first instruction: every command in order, out of order and
 * with wrong arguments. For hosts that have them.
 */
#include "sev.h"
#include "vmm/abi/policy.h"
#include "vmm/abi/sev_launch.h"
#include "vmm/abi/vmsa.h"

/* ---- contexts ---- */

static void init_misuse(struct abi *abi, unsigned type)
{
	static const struct {
		const char *what;
		struct uapi_sev_init init;
	} rows[] = {
	        {"flags", {.flags = 1}},
	        {"the feature SNP", {.vmsa_features = ABI_FEATURE_SNP}},
	        {"a feature of bit 63", {.vmsa_features = UINT64_C(1) << 63}},
	        {"GHCB version 3", {.ghcb_version = 3}},
	};
	const struct uapi_sev_init ghcb1 = {.ghcb_version = 1};
	struct sev_vm v;

	tell("- vm of type %u", type);
	vm_open(&v, abi, type);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		command(&v, UAPI_SEV_INIT2, &rows[i].init, rows[i].what);
	command(&v, UAPI_SEV_INIT2, NOWHERE, "init2 from nowhere");
	command(&v, KVM_SEV_INIT, NULL, "the old init");
	command(&v, KVM_SEV_ES_INIT, NULL, "the old init of SEV-ES");
	if (type == UAPI_VM_SEV || type == UAPI_VM_SNP)
		command(&v, UAPI_SEV_INIT2, &ghcb1, "GHCB version 1");
	init2(&v, "init2");
	init2(&v, "init2 again");
	vm_close(&v);
	vm_open(&v, abi, type);
	add_vcpu(&v);
	say(ask_number(abi, v.vcpu, KVM_RUN, 0), "run before init2");
	init2(&v, "init2 after a vcpu");
	vm_close(&v);
}

static void run_context(struct abi *abi)
{
	struct sev_vm v;

	for (unsigned type = UAPI_VM_SEV; type <= UAPI_VM_SNP; type++)
		init_misuse(abi, type);
	tell("- vm of type 0");
	vm_open(&v, abi, UAPI_VM_DEFAULT);
	say(ask(abi, v.vm, KVM_MEMORY_ENCRYPT_OP, NULL), "is there encryption");
	say(ask(abi, v.vm, KVM_MEMORY_ENCRYPT_OP, NOWHERE), "command from nowhere");
	init2(&v, "init2");
	command(&v, 5000, NULL, "command 5000");
	command(&v, KVM_SEV_LAUNCH_FINISH, NULL, "finish before init");
	command(&v, KVM_SEV_RECEIVE_UPDATE_DATA, NULL, "receive data before init");
	command(&v, UAPI_SEV_SNP_LAUNCH_START, NULL, "snp start");
	command(&v, UAPI_SEV_SNP_LAUNCH_UPDATE, NULL, "snp update");
	command(&v, UAPI_SEV_SNP_LAUNCH_FINISH, NULL, "snp finish");
	command(&v, UAPI_SEV_SNP_ENABLE_REQ_CERTS, NULL, "snp certificates");
	command(&v, KVM_SEV_INIT, NULL, "the old init");
	command(&v, KVM_SEV_INIT, NULL, "the old init again");
	command(&v, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, "update of VMSAs");
	vm_close(&v);
}

const struct chapter chapter_sev_context = {"sev-context", run_context, true};

/* ---- a launch ---- */

static void try_everything(struct sev_vm *v, const char *state)
{
	struct kvm_sev_launch_update_data data = {.uaddr = (uintptr_t)v->memory + 0x8000, .len = 0x1000};
	struct kvm_sev_guest_status status = {0};
	struct kvm_sev_launch_measure query = {.len = 0};
	struct abi_sev_secret_header header = {0};
	const struct kvm_sev_launch_secret secret = {.hdr_uaddr = (uintptr_t)&header,
	        .hdr_len = sizeof(header),
	        .guest_uaddr = (uintptr_t)v->memory + 0x9000,
	        .guest_len = 64,
	        .trans_uaddr = (uintptr_t)v->memory + 0xa000,
	        .trans_len = 64};

	tell("- %s", state);
	command(v, KVM_SEV_GUEST_STATUS, &status, "status");
	tell("state %u, policy %x", status.state, status.policy);
	command(v, KVM_SEV_LAUNCH_SECRET, &secret, "secret that nobody packed");
	if (status.state != 1) {
		command(v, KVM_SEV_LAUNCH_UPDATE_DATA, &data, "update");
		command(v, KVM_SEV_LAUNCH_MEASURE, &query, "measure");
	}
	command(v, KVM_SEV_SEND_FINISH, NULL, "send finish");
	command(v, KVM_SEV_RECEIVE_FINISH, NULL, "receive finish");
	command(v, KVM_SEV_SEND_UPDATE_VMSA, NULL, "send a VMSA");
	command(v, KVM_SEV_RECEIVE_UPDATE_VMSA, NULL, "receive a VMSA");
	command(v, KVM_SEV_CERT_EXPORT, NULL, "export certificates");
}

static void update_misuse(struct sev_vm *v)
{
	const uint64_t at = (uintptr_t)v->memory;
	const struct {
		const char *what;
		struct kvm_sev_launch_update_data data;
	} rows[] = {
	        {"of nothing", {at, 0}},
	        {"not of blocks", {at + 0x9000, 24}},
	        {"not at a block", {at + 0x9008, 32}},
	        {"of no memory", {16, 64}},
	        {"beyond the end", {UINT64_C(0xfffffffffffff000), 0x2000}},
	        {"good", {at, 0x2000}},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		command(v, KVM_SEV_LAUNCH_UPDATE_DATA, &rows[i].data, rows[i].what);
	command(v, KVM_SEV_LAUNCH_UPDATE_DATA, NOWHERE, "from nowhere");
}

static void start_misuse(struct sev_vm *v)
{
	const uint64_t at = (uintptr_t)v->memory;
	const struct {
		const char *what;
		struct kvm_sev_launch_start start;
	} rows[] = {
	        {"start with no length of a certificate", {.dh_uaddr = at}},
	        {"start with a certificate of 16 KiB and a byte", {.dh_uaddr = at, .dh_len = 0x4001}},
	        {"start with a certificate from nowhere", {.dh_uaddr = 16, .dh_len = 2084}},
	        {"start with the key of guest 77", {.handle = 77}},
	};
	const struct kvm_sev_launch_start good = {.policy = ABI_SEV_POLICY_NODBG};
	struct kvm_sev_guest_status status = {0};

	command(v, KVM_SEV_GUEST_STATUS, &status, "status before start");
	command(v, KVM_SEV_LAUNCH_START, NOWHERE, "start from nowhere");
	command_by(v, 9999, KVM_SEV_LAUNCH_START, &good, "start with no descriptor");
	command_by(v, v->vm, KVM_SEV_LAUNCH_START, &good, "start with a vm's descriptor");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		command(v, KVM_SEV_LAUNCH_START, &rows[i].start, rows[i].what);
}

static void measure(struct sev_vm *v)
{
	uint8_t blob[64];
	struct kvm_sev_launch_measure m = {.uaddr = (uintptr_t)blob};

	command(v, KVM_SEV_LAUNCH_MEASURE, &m, "how long is a measurement");
	tell("%u bytes", m.len);
	m.len = 0x4001;
	command(v, KVM_SEV_LAUNCH_MEASURE, &m, "measure into 16 KiB and a byte");
	m.len = 16;
	command(v, KVM_SEV_LAUNCH_MEASURE, &m, "measure into 16 bytes");
	m.len = sizeof(struct abi_sev_measure);
	command(v, KVM_SEV_LAUNCH_MEASURE, &m, "measure");
}

static void report(struct sev_vm *v)
{
	uint8_t blob[1024];
	struct kvm_sev_attestation_report r = {.uaddr = (uintptr_t)blob};

	command(v, KVM_SEV_GET_ATTESTATION_REPORT, &r, "how long is a report");
	tell("%u bytes", r.len);
	r.len = 0x4001;
	command(v, KVM_SEV_GET_ATTESTATION_REPORT, &r, "report into 16 KiB and a byte");
	r.len = 16;
	command(v, KVM_SEV_GET_ATTESTATION_REPORT, &r, "report into 16 bytes");
	r.len = sizeof(struct abi_sev_report);
	r.uaddr = 16;
	command(v, KVM_SEV_GET_ATTESTATION_REPORT, &r, "report to nowhere");
	r.uaddr = (uintptr_t)blob;
	command(v, KVM_SEV_GET_ATTESTATION_REPORT, &r, "report");
}

/* Shows which check comes first: whether the guest has SEV, or where the command's parameters are. */
static void from_nowhere(struct sev_vm *v, const char *state)
{
	static const struct {
		const char *what;
		uint32_t id;
	} rows[] = {
	        {"update", KVM_SEV_LAUNCH_UPDATE_DATA},
	        {"measure", KVM_SEV_LAUNCH_MEASURE},
	        {"secret", KVM_SEV_LAUNCH_SECRET},
	        {"debugger reads", KVM_SEV_DBG_DECRYPT},
	        {"send start", KVM_SEV_SEND_START},
	        {"send", KVM_SEV_SEND_UPDATE_DATA},
	        {"receive start", KVM_SEV_RECEIVE_START},
	        {"receive", KVM_SEV_RECEIVE_UPDATE_DATA},
	        {"report", KVM_SEV_GET_ATTESTATION_REPORT},
	};

	tell("- from nowhere, %s", state);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		command(v, rows[i].id, NOWHERE, rows[i].what);
}

static void run_launch(struct abi *abi)
{
	struct kvm_sev_launch_start start = {.policy = ABI_SEV_POLICY_NODBG};
	struct sev_vm v;
	int other;

	vm_open(&v, abi, UAPI_VM_DEFAULT);
	from_nowhere(&v, "no guest with encryption");
	vm_close(&v);
	vm_open(&v, abi, UAPI_VM_SEV);
	init2(&v, "init2");
	from_nowhere(&v, "not started");
	start_misuse(&v);
	command(&v, KVM_SEV_LAUNCH_START, &start, "start");
	say(start.handle != 0, "it has a handle");
	start.handle = 0;
	command(&v, KVM_SEV_LAUNCH_START, &start, "start again");
	try_everything(&v, "started");
	command(&v, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, "VMSAs of a guest without");
	update_misuse(&v);
	other = v.sev;
	host_close(abi->host, v.sev);
	command(&v, KVM_SEV_LAUNCH_FINISH, NULL, "finish, its descriptor closed");
	v.sev = host_open(abi->host, "/dev/sev", O_RDWR);
	say(v.sev == other, "opened again with the same number");
	measure(&v);
	report(&v);
	try_everything(&v, "measured");
	command(&v, KVM_SEV_LAUNCH_FINISH, NULL, "finish");
	try_everything(&v, "running");
	command(&v, KVM_SEV_LAUNCH_FINISH, NULL, "finish again");
	vm_close(&v);
}

const struct chapter chapter_sev_launch = {"sev-launch", run_launch, true};

/* ---- SEV-ES: registers ---- */

static void try_registers(struct sev_vm *v)
{
	struct kvm_regs regs = {0};
	struct kvm_sregs sregs = {0};
	struct kvm_fpu fpu = {0};
	struct kvm_guest_debug debug = {0};
	struct kvm_mp_state mp = {0};
	struct kvm_vcpu_events events = {0};

	say(ask(v->abi, v->vcpu, KVM_GET_REGS, &regs), "registers");
	say(ask(v->abi, v->vcpu, KVM_SET_REGS, &regs), "registers back");
	say(ask(v->abi, v->vcpu, KVM_GET_SREGS, &sregs), "system registers");
	say(ask(v->abi, v->vcpu, KVM_SET_SREGS, &sregs), "system registers back");
	say(ask(v->abi, v->vcpu, KVM_GET_FPU, &fpu), "fpu");
	say(ask(v->abi, v->vcpu, KVM_SET_FPU, &fpu), "fpu back");
	say(ask(v->abi, v->vcpu, KVM_SET_GUEST_DEBUG, &debug), "debugging");
	say(ask(v->abi, v->vcpu, KVM_GET_MP_STATE, &mp), "run state");
	say(ask(v->abi, v->vcpu, KVM_GET_VCPU_EVENTS, &events), "events");
}

static void run_es(struct abi *abi)
{
	struct kvm_sev_launch_start start = {.policy = ABI_SEV_POLICY_NODBG | ABI_SEV_POLICY_ES};
	struct kvm_sev_guest_status status = {0};
	struct sev_vm v;

	vm_open(&v, abi, UAPI_VM_SEV_ES);
	init2(&v, "init2");
	add_vcpu(&v);
	command(&v, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, "VMSAs before start");
	command(&v, KVM_SEV_LAUNCH_START, &start, "start");
	tell("- before the VMSA is encrypted");
	try_registers(&v);
	command(&v, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, "VMSAs");
	tell("- after it");
	try_registers(&v);
	command(&v, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, "VMSAs again");
	command(&v, KVM_SEV_GUEST_STATUS, &status, "status");
	tell("state %u, policy %x", status.state, status.policy);
	vm_close(&v);
}

const struct chapter chapter_sev_es = {"sev-es", run_es, true};

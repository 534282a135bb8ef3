/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sev_more: memory of SEV guests, mirrors and moves, SEV-SNP, /dev/sev. For hosts that have them.
 */
#include <linux/falloc.h>

#include "sev.h"
#include "vmm/abi/policy.h"

/* ---- memory of SEV guests ---- */

static void regions(struct sev_vm *v)
{
	const uint64_t at = (uintptr_t)v->memory;
	void *read_only = mmap(NULL, 0x1000, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct {
		const char *what;
		struct kvm_enc_region region;
		bool off;
	} rows[] = {
	        {"of nothing", {at, 0}, false},
	        {"beyond the end", {UINT64_C(0xfffffffffffff000), 0x2000}, false},
	        {"of no memory", {16, 0x1000}, false},
	        {"of more than any host has", {0x1000, UINT64_C(1) << 42}, false},
	        {"of more pages than there are numbers", {0x1000, UINT64_C(1) << 44}, false},
	        {"that the vmm can only read", {(uintptr_t)read_only, 0x1000}, false},
	        {"good", {at, MEMORY_BYTES}, false},
	        {"off, but its half", {at, MEMORY_BYTES / 2}, true},
	        {"off", {at, MEMORY_BYTES}, true},
	        {"off again", {at, MEMORY_BYTES}, true},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		say(ask(v->abi, v->vm,
		            rows[i].off ? KVM_MEMORY_ENCRYPT_UNREG_REGION : KVM_MEMORY_ENCRYPT_REG_REGION,
		            &rows[i].region),
		        "region: %s", rows[i].what);
	munmap(read_only, 0x1000);
}

static void debug(struct sev_vm *v)
{
	uint8_t plain[64] = "what the debugger writes into the guest", back[64] = {0};
	const uint64_t guest = (uintptr_t)v->memory + 0x1000;
	const struct kvm_sev_dbg write = {(uintptr_t)plain, guest + 5, 40},
	                         read = {guest + 5, (uintptr_t)back, 40}, none = {guest, (uintptr_t)back, 0},
	                         nowhere = {guest, 0, 16}, wrong = {16, (uintptr_t)back, 16},
	                         null = {0, (uintptr_t)back, 16}, far = {UINT64_MAX - 8, (uintptr_t)back, 16},
	                         to_far = {(uintptr_t)plain, UINT64_MAX - 8, 16};

	command(v, KVM_SEV_DBG_ENCRYPT, &write, "debugger writes");
	command(v, KVM_SEV_DBG_DECRYPT, &read, "debugger reads");
	say(memcmp(plain, back, 40) == 0, "what it wrote");
	say(memcmp(v->memory + 0x1005, plain, 40) == 0, "and memory shows it");
	command(v, KVM_SEV_DBG_DECRYPT, &none, "debugger reads nothing");
	command(v, KVM_SEV_DBG_DECRYPT, &nowhere, "debugger reads to nowhere");
	command(v, KVM_SEV_DBG_DECRYPT, &wrong, "debugger reads no memory");
	command(v, KVM_SEV_DBG_DECRYPT, &null, "debugger reads at NULL");
	command(v, KVM_SEV_DBG_DECRYPT, &far, "debugger reads beyond the end");
	command(v, KVM_SEV_DBG_ENCRYPT, &to_far, "debugger writes beyond the end");
}

static void launch(struct sev_vm *v, uint32_t policy)
{
	struct kvm_sev_launch_start start = {.policy = policy};
	const struct kvm_sev_launch_update_data data = {(uintptr_t)v->memory, MEMORY_BYTES};
	uint8_t blob[48];
	struct kvm_sev_launch_measure m = {(uintptr_t)blob, sizeof(blob)};

	init2(v, "init2");
	command(v, KVM_SEV_LAUNCH_START, &start, "start");
	command(v, KVM_SEV_LAUNCH_UPDATE_DATA, &data, "update");
	command(v, KVM_SEV_LAUNCH_MEASURE, &m, "measure");
	command(v, KVM_SEV_LAUNCH_FINISH, NULL, "finish");
}

static void run_memory(struct abi *abi)
{
	struct sev_vm v;

	vm_open(&v, abi, UAPI_VM_SEV);
	launch(&v, 0);
	regions(&v);
	debug(&v);
	vm_close(&v);
	vm_open(&v, abi, UAPI_VM_SEV);
	launch(&v, ABI_SEV_POLICY_NODBG);
	debug(&v);
	vm_close(&v);
	vm_open(&v, abi, UAPI_VM_DEFAULT);
	regions(&v);
	vm_close(&v);
}

const struct chapter chapter_sev_memory = {"sev-memory", run_memory, true};

/* ---- mirrors and moves ---- */

static int enable(struct sev_vm *v, uint32_t capability, int source, const char *what)
{
	const struct kvm_enable_cap cap = {.cap = capability, .args[0] = (uint64_t)source};

	return say(ask(v->abi, v->vm, KVM_ENABLE_CAP, &cap), "%s", what);
}

static void mirrors(struct abi *abi, struct sev_vm *owner)
{
	const uint32_t copy = KVM_CAP_VM_COPY_ENC_CONTEXT_FROM;
	struct kvm_enc_region region = {(uintptr_t)owner->memory, 0x1000};
	struct kvm_sev_guest_status status = {0};
	struct sev_vm v, second;

	vm_open(&v, abi, UAPI_VM_SEV);
	vm_open(&second, abi, UAPI_VM_SEV);
	enable(&v, copy, v.vm, "mirror of itself");
	enable(&v, copy, second.vm, "mirror of a vm without a context");
	enable(&v, copy, abi->kvm, "mirror of /dev/kvm");
	add_vcpu(&second);
	enable(&second, copy, owner->vm, "mirror that has a vcpu");
	enable(&v, copy, owner->vm, "mirror");
	enable(&v, copy, owner->vm, "mirror again");
	vm_close(&second);
	vm_open(&second, abi, UAPI_VM_SEV);
	enable(&second, copy, v.vm, "mirror of a mirror");
	for (uint32_t id = 0; id <= 23; id++) {
		const void *data = id == KVM_SEV_GUEST_STATUS ? &status : NULL;
		char what[32];

		snprintf(what, sizeof(what), "mirror: command %u", id);
		command(&v, id, data, what);
	}
	tell("state %u", status.state);
	say(ask(abi, v.vm, KVM_MEMORY_ENCRYPT_REG_REGION, &region), "mirror: region");
	vm_close(&second);
	vm_close(&v);
}

static void moves(struct abi *abi, struct sev_vm *owner)
{
	const uint32_t move = KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM;
	struct kvm_sev_guest_status status = {0};
	struct sev_vm v, other, snp;

	vm_open(&v, abi, UAPI_VM_SEV);
	vm_open(&other, abi, UAPI_VM_SEV_ES);
	vm_open(&snp, abi, UAPI_VM_SNP);
	init2(&snp, "init2 of snp");
	enable(&other, move, owner->vm, "move to another type");
	enable(&v, move, v.vm, "move to itself");
	enable(&snp, move, owner->vm, "move to snp");
	enable(&v, move, snp.vm, "move of snp");
	enable(&v, KVM_CAP_VM_COPY_ENC_CONTEXT_FROM, snp.vm, "mirror of snp");
	add_vcpu(&v);
	enable(&v, move, owner->vm, "move");
	command(&v, KVM_SEV_GUEST_STATUS, &status, "status");
	say(ask_number(abi, v.vcpu, KVM_RUN, 0), "run");
	init2(&v, "init2");
	command(owner, KVM_SEV_GUEST_STATUS, &status, "status of the one that was left");
	say(ask_number(abi, owner->vm, KVM_CHECK_EXTENSION, KVM_CAP_IRQCHIP), "and a capability of it");
	enable(&other, move, owner->vm, "move from it");
	vm_close(&snp);
	vm_close(&other);
	vm_close(&v);
}

/* A VM is a SEV-SNP guest by its context, which a mirror has from its owner, and not by its type. */
static void mirror_of_another_type(struct abi *abi)
{
	struct kvm_sev_launch_start start = {.policy = ABI_SEV_POLICY_ES};
	struct kvm_sev_guest_status status = {0};
	struct uapi_pre_fault_memory range = {.size = 0x1000};
	struct sev_vm owner, v;

	vm_open(&owner, abi, UAPI_VM_SEV_ES);
	vm_open(&v, abi, UAPI_VM_SNP);
	init2(&owner, "init2 of sev-es");
	command(&owner, KVM_SEV_LAUNCH_START, &start, "start");
	enable(&v, KVM_CAP_VM_COPY_ENC_CONTEXT_FROM, owner.vm, "mirror of sev-es in a vm of snp");
	command(&v, KVM_SEV_GUEST_STATUS, &status, "mirror: status");
	command(&v, UAPI_SEV_SNP_LAUNCH_START, NULL, "mirror: snp start");
	add_vcpu(&v);
	command(&v, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, "mirror: VMSA");
	say(ask(abi, v.vcpu, UAPI_PRE_FAULT_MEMORY, &range), "mirror: pre-fault");
	vm_close(&v);
	vm_close(&owner);
}

static void run_share(struct abi *abi)
{
	struct sev_vm owner;

	vm_open(&owner, abi, UAPI_VM_SEV);
	launch(&owner, 0);
	mirrors(abi, &owner);
	moves(abi, &owner);
	vm_close(&owner);
	mirror_of_another_type(abi);
}

const struct chapter chapter_sev_share = {"sev-share", run_share, true};

/* ---- SEV-SNP ---- */

static void fallocates(struct sev_vm *v)
{
	const int keep = FALLOC_FL_KEEP_SIZE, punch = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE;
	const struct {
		const char *what;
		int mode;
		off_t offset, length;
	} rows[] = {
	        {"whole", keep, 0, MEMORY_BYTES},
	        {"without KEEP_SIZE", 0, 0, MEMORY_BYTES},
	        {"hole", punch, 0x1000, 0x2000},
	        {"hole of nothing", punch, 0x1000, 0},
	        {"hole not of pages", punch, 0x1000, 0x800},
	        {"hole not at a page", punch, 0x800, 0x1000},
	        {"hole beyond its end", punch, MEMORY_BYTES, 0x1000},
	        {"beyond its end", keep, 0, MEMORY_BYTES + 0x1000},
	        {"zeros", FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0, 0x1000},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		say(host_fallocate(v->abi->host, v->gmem, rows[i].mode, rows[i].offset, rows[i].length),
		        "guest_memfd: %s", rows[i].what);
	say(host_mmap(v->abi->host, NULL, 0x1000, PROT_READ, MAP_SHARED, v->gmem, 0) == MAP_FAILED ? -1 : 0,
	        "guest_memfd: mapped");
	say(ask_number(v->abi, v->gmem, KVM_CHECK_EXTENSION, 0), "guest_memfd: an ioctl");
}

static void run_snp_memory(struct abi *abi)
{
	const struct uapi_create_guest_memfd shared = {.size = 0x1000, .flags = 3},
	                                     mapped = {.size = 0x1000, .flags = 1};
	const struct uapi_memory_attributes private = {0, MEMORY_BYTES, 8, 0}, other = {0, 0x1000, 1, 0},
	                                    none = {0, 0, 8, 0},
	                                    far = {UINT64_C(0xfffffffffffff000), 0x2000, 8, 0};
	struct uapi_userspace_memory_region2 region = {
	        .slot = 1, .flags = UAPI_MEM_GUEST_MEMFD, .guest_phys_addr = 0x100000, .memory_size = 0x1000};
	struct uapi_pre_fault_memory range = {.size = 0x1000};
	struct sev_vm v, second;
	int fd;

	vm_open(&v, abi, UAPI_VM_SNP);
	vm_open(&second, abi, UAPI_VM_SNP);
	say(ask_number(abi, v.vm, KVM_CHECK_EXTENSION, UAPI_CAP_MEMORY_ATTRIBUTES), "attributes of the vm");
	say(ask(abi, v.vm, UAPI_CREATE_GUEST_MEMFD, &shared), "guest_memfd that is shared at first");
	fd = ask(abi, v.vm, UAPI_CREATE_GUEST_MEMFD, &mapped);
	say(fd < 0 ? -1 : 0, "guest_memfd that can be mapped");
	tell_mapping(abi, fd, 0x1000);
	host_close(abi->host, fd);
	fallocates(&v);
	region.userspace_addr = (uintptr_t)v.memory;
	region.guest_memfd = (uint32_t)second.gmem;
	say(ask(abi, v.vm, UAPI_SET_USER_MEMORY_REGION2, &region), "region: guest_memfd of another vm");
	region.guest_memfd = (uint32_t)v.vm;
	say(ask(abi, v.vm, UAPI_SET_USER_MEMORY_REGION2, &region), "region: a vm's descriptor");
	say(ask(abi, v.vm, UAPI_SET_MEMORY_ATTRIBUTES, &private), "private");
	say(ask(abi, v.vm, UAPI_SET_MEMORY_ATTRIBUTES, &other), "an unknown attribute");
	say(ask(abi, v.vm, UAPI_SET_MEMORY_ATTRIBUTES, &none), "of nothing");
	say(ask(abi, v.vm, UAPI_SET_MEMORY_ATTRIBUTES, &far), "beyond the end");
	init2(&v, "init2");
	add_vcpu(&v);
	say(ask(abi, v.vcpu, UAPI_PRE_FAULT_MEMORY, &range), "pre-fault before finish");
	vm_close(&second);
	vm_close(&v);
}

const struct chapter chapter_snp_memory = {"snp-memory", run_snp_memory, true};

static void snp_update(struct sev_vm *v, uint64_t gfn, uint64_t at, uint64_t len, uint8_t type,
        uint16_t flags, const char *what)
{
	struct uapi_sev_snp_launch_update update = {
	        .gfn_start = gfn, .uaddr = at, .len = len, .type = type, .flags = flags};

	command(v, UAPI_SEV_SNP_LAUNCH_UPDATE, &update, what);
	if (update.len != len)
		tell("left: %d pages from frame %d", (int)(update.len >> 12), (int)update.gfn_start);
}

static void snp_starts(struct sev_vm *v)
{
	static const struct {
		const char *what;
		struct uapi_sev_snp_launch_start start;
	} rows[] = {
	        {"start with flags", {.policy = 0x30000, .flags = 1}},
	        {"start without bit 17", {.policy = 0x10000}},
	        {"start with bit 18", {.policy = 0x70000}},
	        {"start with bit 26", {.policy = 0x4030000}},
	        {"start for firmware 99", {.policy = 0x36300}},
	        {"start", {.policy = 0x30000}},
	        {"start again", {.policy = 0x30000}},
	};

	command_by(v, v->vm, UAPI_SEV_SNP_LAUNCH_START, &rows[5].start, "start with a vm's descriptor");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		command(v, UAPI_SEV_SNP_LAUNCH_START, &rows[i].start, rows[i].what);
}

static void snp_updates(struct sev_vm *v)
{
	const uint64_t at = (uintptr_t)v->memory;
	const struct uapi_memory_attributes two = {0x2000, 0x2000, 8, 0}, more = {0x8000, 0x8000, 8, 0};

	snp_update(v, 0, at, 0x1000, 1, 0, "page that is shared");
	say(ask(v->abi, v->vm, UAPI_SET_MEMORY_ATTRIBUTES, &two), "two private pages");
	snp_update(v, 2, at, 0, 1, 0, "no page");
	snp_update(v, 2, at, 0x800, 1, 0, "half a page");
	snp_update(v, 2, at + 8, 0x1000, 1, 0, "page from no page's start");
	snp_update(v, 2, 0, 0x1000, 1, 0, "page from NULL");
	snp_update(v, 2, at, 0x1000, 2, 0, "page of type VMSA");
	snp_update(v, 2, at, 0x1000, 7, 0, "page of type 7");
	snp_update(v, 2, at, 0x1000, 1, 1, "page with flags");
	snp_update(v, 0x100000, at, 0x1000, 1, 0, "page in no slot");
	snp_update(v, 2, 0x1000, 0x1000, 1, 0, "page from nowhere");
	snp_update(v, 2, at, 0x4000, 1, 0, "four pages, two private");
	snp_update(v, 2, at, 0x1000, 1, 0, "page that was given already");
	say(ask(v->abi, v->vm, UAPI_SET_MEMORY_ATTRIBUTES, &more), "eight private pages");
	snp_update(v, 8, 8, 0x1000, 3, 0, "page of zeros from anywhere");
	snp_update(v, 9, at, 0x1000, 4, 0, "unmeasured page");
	snp_update(v, 10, at, 0x1000, 5, 0, "secrets");
	mprotect(v->memory, 0x1000, PROT_READ);
	snp_update(v, 11, at, 0x1000, 1, 0, "page that the vmm can only read");
	snp_update(v, 13, at, 0x1000, 6, 0, "CPUID page that the vmm can only read");
	mprotect(v->memory, 0x1000, PROT_READ | PROT_WRITE);
	snp_update(v, 13, at, 0x1000, 6, 0, "CPUID page");
	snp_update(v, 14, at, 0x4000, 1, 0, "pages beyond the slot");
	command(v, UAPI_SEV_SNP_LAUNCH_UPDATE, NOWHERE, "update from nowhere");
}

static void run_snp_launch(struct abi *abi)
{
	struct uapi_sev_snp_launch_finish finish = {.flags = 1};
	struct kvm_sev_guest_status status;
	struct uapi_pre_fault_memory range = {.gpa = 0x2000, .size = 0x1000};
	struct sev_vm v;

	vm_open(&v, abi, UAPI_VM_SNP);
	command(&v, UAPI_SEV_SNP_LAUNCH_START, NULL, "start before init2");
	command(&v, UAPI_SEV_SNP_LAUNCH_UPDATE, NULL, "update before init2");
	command(&v, UAPI_SEV_SNP_LAUNCH_FINISH, NULL, "finish before init2");
	command(&v, UAPI_SEV_SNP_ENABLE_REQ_CERTS, NULL, "certificates before init2");
	init2(&v, "init2");
	command(&v, UAPI_SEV_SNP_ENABLE_REQ_CERTS, NULL, "certificates");
	command(&v, KVM_SEV_GUEST_STATUS, &status, "a command of SEV");
	command(&v, 99, NULL, "command 99");
	command(&v, 104, NULL, "command 104");
	command(&v, UAPI_SEV_SNP_LAUNCH_UPDATE, NULL, "update before start");
	command(&v, UAPI_SEV_SNP_LAUNCH_FINISH, NULL, "finish before start");
	snp_starts(&v);
	add_vcpu(&v);
	command(&v, UAPI_SEV_SNP_ENABLE_REQ_CERTS, NULL, "certificates after a vcpu");
	snp_updates(&v);
	command(&v, UAPI_SEV_SNP_LAUNCH_FINISH, &finish, "finish with flags");
	command(&v, UAPI_SEV_SNP_LAUNCH_FINISH, NOWHERE, "finish from nowhere");
	finish.flags = 0;
	command(&v, UAPI_SEV_SNP_LAUNCH_FINISH, &finish, "finish");
	command(&v, UAPI_SEV_SNP_LAUNCH_FINISH, &finish, "finish again");
	snp_update(&v, 12, (uintptr_t)v.memory, 0x1000, 1, 0, "page after finish");
	say(ask(abi, v.vcpu, UAPI_PRE_FAULT_MEMORY, &range), "pre-fault after finish");
	vm_close(&v);
	vm_open(&v, abi, UAPI_VM_SNP);
	init2(&v, "init2");
	command(&v, UAPI_SEV_SNP_LAUNCH_START, &(struct uapi_sev_snp_launch_start){.policy = 0x30000},
	        "start");
	add_vcpu(&v);
	finish.id_block_en = 1;
	command(&v, UAPI_SEV_SNP_LAUNCH_FINISH, &finish, "finish with no ID block");
	finish.id_block_en = 0;
	command(&v, UAPI_SEV_SNP_LAUNCH_FINISH, &finish, "finish without, then");
	vm_close(&v);
}

const struct chapter chapter_snp_launch = {"snp-launch", run_snp_launch, true};

/* ---- /dev/sev ---- */

static int issue(struct abi *abi, int fd, uint32_t number, const void *data, const char *what)
{
	struct sev_issue_cmd cmd = {.cmd = number, .data = (uintptr_t)data, .error = 0xeeee};
	int result = ask(abi, fd, SEV_ISSUE_CMD, &cmd);

	return cmd.error == 0xeeee ? say(result, "%s", what)
	                           : say(result, "%s, firmware %x", what, cmd.error);
}

static void run_device(struct abi *abi)
{
	struct sev_user_data_pek_csr csr = {0};
	struct sev_user_data_pdh_cert_export pdh = {0};
	struct sev_user_data_get_id2 id = {0};
	struct uapi_sev_snp_vlek_load vlek = {.len = 15};
	uint8_t room[0x4000];
	char what[32];
	int fd = host_open(abi->host, "/dev/sev", O_RDONLY);
	struct kvm_sev_launch_start start = {.policy = 0};
	struct sev_vm v;

	for (uint32_t number = 0; number <= 13; number++) {
		snprintf(what, sizeof(what), "command %u, read only", number);
		issue(abi, fd, number, NULL, what);
	}
	say(ask_number(abi, fd, KVM_GET_API_VERSION, 0), "an ioctl of /dev/kvm");
	say(ask(abi, fd, SEV_ISSUE_CMD, NOWHERE), "command from nowhere");
	issue(abi, fd, SEV_PLATFORM_STATUS, room, "status");
	say(room[2], "state");
	issue(abi, fd, UAPI_SNP_PLATFORM_STATUS, room, "status of snp");
	issue(abi, fd, SEV_PDH_CERT_EXPORT, &pdh, "how long are the certificates");
	tell("%u and %u bytes", pdh.pdh_cert_len, pdh.cert_chain_len);
	issue(abi, fd, SEV_GET_ID2, &id, "how long is the id");
	tell("%u bytes", id.length);
	issue(abi, fd, UAPI_SNP_SET_CONFIG, NOWHERE, "configuration from nowhere, read only");
	issue(abi, fd, UAPI_SNP_VLEK_LOAD, NOWHERE, "VLEK from nowhere, read only");
	vm_open(&v, abi, UAPI_VM_SEV);
	init2(&v, "init2");
	command(&v, KVM_SEV_LAUNCH_START, &start, "start");
	issue(abi, fd, SEV_PLATFORM_STATUS, room, "status");
	say(room[2], "state");
	pdh = (struct sev_user_data_pdh_cert_export){0};
	issue(abi, fd, SEV_PDH_CERT_EXPORT, &pdh, "how long are the certificates while a guest is there");
	pdh = (struct sev_user_data_pdh_cert_export){(uintptr_t)room, 0x4001, (uintptr_t)room, 0x4000};
	issue(abi, fd, SEV_PDH_CERT_EXPORT, &pdh, "certificates of 16 KiB and a byte");
	vm_close(&v);
	host_close(abi->host, fd);
	fd = host_open(abi->host, "/dev/sev", O_RDWR);
	issue(abi, fd, SEV_PEK_CSR, &csr, "how long is a request for a certificate");
	tell("%u bytes", csr.length);
	csr = (struct sev_user_data_pek_csr){(uintptr_t)room, 0x4001};
	issue(abi, fd, SEV_PEK_CSR, &csr, "request of 16 KiB and a byte");
	csr.length = 16;
	issue(abi, fd, SEV_PEK_CSR, &csr, "request of 16 bytes");
	issue(abi, fd, UAPI_SNP_SET_CONFIG, NOWHERE, "configuration from nowhere");
	issue(abi, fd, UAPI_SNP_VLEK_LOAD, &vlek, "VLEK of 15 bytes");
	vlek.len = 16;
	issue(abi, fd, UAPI_SNP_VLEK_LOAD, &vlek, "VLEK from nowhere");
	host_close(abi->host, fd);
}

const struct chapter chapter_sev_device = {"sev-device", run_device, true};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts: what this host can do, asked without changing anything: /dev/kvm, /dev/sev, the misc controller,
 * this process's limits. Any thread, except for facts_process_own().
 */
#include <errno.h>
#include <linux/kvm_para.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "cgroup.h"
#include "vmm/abi/report.h"
#include "vmm/call.h"
#include "vmm/facts.h"

#define CAP_IPC_LOCK_BIT 14

/* ---- this process ---- */

/* "0::/path" of cgroup v2 in /proc/self/cgroup. */
static void find_own_cgroup(char *folder, size_t size)
{
	char line[4096];

	folder[0] = '\0';
	auto_fclose FILE *f = fopen("/proc/self/cgroup", "re");
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::", 3) == 0)
			snprintf(folder, size, "/sys/fs/cgroup%s", strcmp(line + 3, "/") ? line + 3 : "");
	}
}

/*
 * Capabilities in a user namespace of a container's own do not count: the kernel asks for CAP_IPC_LOCK in the
 * initial one (capable() in Linux's sev_pin_memory()), which is the one with this inode (PROC_USER_INIT_INO).
 */
#define INITIAL_USER_NAMESPACE 0xEFFFFFFDu

static bool is_in_initial_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/user", &st) == 0 && st.st_ino == INITIAL_USER_NAMESPACE;
}

static bool may_lock_memory(void)
{
	unsigned long long effective;
	char line[256];

	if (!is_in_initial_namespace())
		return false;

	auto_fclose FILE *f = fopen("/proc/self/status", "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "CapEff: %llx", &effective) == 1)
			return effective >> CAP_IPC_LOCK_BIT & 1;
	}
	return false;
}

/* 0: the file does not exist. */
static uint32_t read_number(const char *path)
{
	unsigned value = 0;

	auto_fclose FILE *f = fopen(path, "re");
	return f && fscanf(f, "%u", &value) == 1 ? value : 0;
}

static unsigned linux_version(void)
{
	unsigned major, minor;
	struct utsname name;

	return uname(&name) == 0 && sscanf(name.release, "%u.%u", &major, &minor) == 2
	               ? FACTS_LINUX(major, minor)
	               : 0;
}

void facts_process_own(const char *join, struct facts_process *ret_process)
{
	static char folder[4200];
	struct rlimit limit = {.rlim_cur = RLIM_INFINITY};

	if (*join)
		snprintf(folder, sizeof(folder), "%s", join);
	else
		find_own_cgroup(folder, sizeof(folder));
	getrlimit(RLIMIT_MEMLOCK, &limit);
	*ret_process = (struct facts_process){
	        .cgroup = folder,
	        .hiding_asids = read_number("/sys/module/kvm_amd/parameters/ciphertext_hiding_asids"),
	        .linux_version = linux_version(),
	        .vcpu_files = 1,
	        .smt = read_number("/sys/devices/system/cpu/smt/active"),
	        .memlock_bytes =
	                limit.rlim_cur == RLIM_INFINITY || may_lock_memory() ? UINT64_MAX : limit.rlim_cur,
	};
}

/* ---- /dev/kvm ---- */

static void take_cpuid(const struct kvm_cpuid2 *cpuid, struct facts *facts)
{
	for (unsigned i = 0; i < cpuid->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		if (e->function == 1)
			facts->cpu_signature = e->eax;
		if (e->function != 0x8000001f)
			continue;
		facts->sev_eax = e->eax;
		facts->c_bit = e->ebx & 0x3f;
		facts->reduced_bits = e->ebx >> 6 & 0x3f;
		facts->sev_asid_max = e->ecx;
		facts->sev_asid_min = e->edx;
	}
}

static void ask_kvm(struct host *host, struct facts *facts)
{
	struct kvm_cpuid2 *cpuid = NULL;
	struct err err;
	int fd;

	if (call_kvm_open(host, &fd, &facts->kvm) < 0)
		return;
	facts->vm_types = (uint32_t)call_capability(host, fd, UAPI_CAP_VM_TYPES);
	facts->has_private_memory = call_capability(host, fd, UAPI_CAP_GUEST_MEMFD) &&
	                            call_capability(host, fd, UAPI_CAP_USER_MEMORY2) &&
	                            call_capability(host, fd, UAPI_CAP_MEMORY_ATTRIBUTES);
	facts->has_conversion = call_capability(host, fd, KVM_CAP_EXIT_HYPERCALL) >> KVM_HC_MAP_GPA_RANGE & 1;
	facts->has_mirrors = call_capability(host, fd, KVM_CAP_VM_COPY_ENC_CONTEXT_FROM);
	facts->has_msr_exits = call_capability(host, fd, KVM_CAP_X86_USER_SPACE_MSR) &&
	                       call_capability(host, fd, KVM_CAP_X86_MSR_FILTER);
	facts->features_known =
	        call_kvm_sev_attribute(host, fd, UAPI_SEV_VMSA_FEATURES, &facts->vmsa_features);
	facts->policy_known = call_kvm_sev_attribute(host, fd, UAPI_SNP_POLICY_BITS, &facts->policy_bits);
	facts->certs_known = call_kvm_sev_attribute(host, fd, UAPI_SEV_SNP_REQ_CERTS, &facts->req_certs);
	facts->has_init2 = facts->features_known;
	if (call_kvm_supported_cpuid(host, fd, &cpuid, &err) == 0)
		take_cpuid(cpuid, facts);
	facts->product = product_by_signature(facts->cpu_signature);
	free(cpuid);
	host_close(host, fd);
}

/* ---- /dev/sev ---- */

static void ask_device(struct host *host, struct facts *facts)
{
	struct sev_user_data_status status;
	int fd;

	if (call_platform_open(host, &fd, &facts->device) < 0) {
		facts->status = facts->snp_status = facts->device;
		return;
	}
	if (call_platform_status(host, fd, &status, &facts->status) == 0) {
		facts->api_major = status.api_major;
		facts->api_minor = status.api_minor;
		facts->build = status.build;
		facts->state = status.state;
		facts->owned = status.flags & 1;
		facts->es_initialised = status.flags & SEV_STATUS_FLAGS_CONFIG_ES;
		facts->guests = status.guest_count;
	}
	if (call_platform_snp_status(host, fd, &facts->snp, &facts->snp_status) < 0)
		facts->snp = (struct uapi_sev_snp_status){0};
	host_close(host, fd);
}

bool facts_firmware_is_too_old(const struct facts *facts)
{
	const unsigned version = facts->api_major << 8 | facts->api_minor;

	return !facts->status.kind && version < (FACTS_SNP_API_MAJOR << 8 | FACTS_SNP_API_MINOR);
}

/* ---- ASIDs ---- */

enum product_asid_kind facts_asid_kind(enum config_sev_type type)
{
	return type == CONFIG_SEV ? PRODUCT_ASID_SEV
	                          : (type == CONFIG_SEV_ES ? PRODUCT_ASID_ES : PRODUCT_ASID_SNP);
}

/*
 * ASIDs below the least one of SEV are for SEV-ES and SEV-SNP, which charge the same resource. With
 * ciphertext hiding SEV-SNP has the first of them and SEV-ES the others; the controller knows only their sum.
 */
static void count_asids(const struct facts_process *process, struct facts *facts)
{
	struct facts_asids *sev = &facts->asids[PRODUCT_ASID_SEV], *es = &facts->asids[PRODUCT_ASID_ES],
	                   *snp = &facts->asids[PRODUCT_ASID_SNP];
	uint32_t joint = facts->sev_asid_min ? facts->sev_asid_min - 1 : 0;
	uint32_t hiding = facts->hiding_asids < joint ? facts->hiding_asids : joint;

	if (facts->sev_asid_max >= facts->sev_asid_min && facts->sev_asid_min)
		sev->limit = facts->sev_asid_max - facts->sev_asid_min + 1;
	facts_cgroup_asids(process->cgroup, "sev", sev);
	facts_cgroup_asids(process->cgroup, "sev_es", es);
	*snp = *es;
	es->limit = joint - hiding;
	snp->limit = hiding ? hiding : joint;
	if (!hiding)
		return;
	/* A limit that is reached holds for both all the same. */
	snp->used_known = es->used_known = false;
	snp->free_known = es->free_known = es->free_known && !es->free;
	snp->why = es->why =
	        "with ciphertext hiding SEV-ES and SEV-SNP have ASIDs of their own, and the misc "
	        "controller counts their sum";
}

void facts_gather(struct host *host, const struct facts_process *process, struct facts *ret_facts)
{
	struct facts facts = {0};

	ask_kvm(host, &facts);
	ask_device(host, &facts);
	facts.memlock_bytes = process->memlock_bytes;
	facts.smt = process->smt;
	facts.linux_version = process->linux_version;
	facts.hiding_asids = process->hiding_asids;
	count_asids(process, &facts);
	*ret_facts = facts;
}

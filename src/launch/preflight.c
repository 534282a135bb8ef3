/* SPDX-License-Identifier: Apache-2.0 */
/*
 * preflight: finds what would be refused before anything irreversible is done: a list of checks of the
 * configuration and the plan against the known facts of the host. An unknown fact is no reason to refuse. Any
 * thread; no state.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "launch.h"
#include "vmm/abi/policy.h"

#define SEV (CONFIG_FOR(CONFIG_SEV) | CONFIG_FOR(CONFIG_SEV_ES))
#define ES  CONFIG_FOR(CONFIG_SEV_ES)
#define SNP CONFIG_FOR(CONFIG_SEV_SNP)
#define ALL (SEV | SNP)

#define WORDS_BYTES 200

/* "bit 18 (migrate-ma), bit 40": the bits of a mask by their words. */
static const char *bit_words(const struct config_bit *table, uint64_t bits, char text[static WORDS_BYTES])
{
	size_t used = 0;

	text[0] = '\0';
	for (unsigned bit = 0; bit < 64 && used < WORDS_BYTES; bit++) {
		const struct config_bit *row = table;

		if (!(bits >> bit & 1))
			continue;
		while (row->name && row->bits != UINT64_C(1) << bit)
			row++;
		used += (size_t)snprintf(text + used, WORDS_BYTES - used, "%sbit %u%s%s%s", used ? ", " : "",
		        bit, row->name ? " (" : "", row->name ?: "", row->name ? ")" : "");
	}
	return text;
}

/* ---- the host ---- */

static int check_kvm(const struct launch *launch, struct err *err)
{
	if (!launch->facts.kvm.kind)
		return 0;
	*err = launch->facts.kvm;
	return -1;
}

static int check_device(const struct launch *launch, struct err *err)
{
	const struct facts *facts = &launch->facts;

	if (!facts->device.kind)
		return 0;
	*err = facts->device;
	return launch_explain(LAUNCH_STEP_OPEN, launch->config.sev.type, facts, err);
}

static const struct generation {
	const char *word;
	unsigned vm_type;
	uint32_t cpuid; /* CPUID 8000001F EAX */
} generations[] = {
        [CONFIG_SEV] = {"SEV", UAPI_VM_SEV, 1u << 1},
        [CONFIG_SEV_ES] = {"SEV-ES", UAPI_VM_SEV_ES, 1u << 3},
        [CONFIG_SEV_SNP] = {"SEV-SNP", UAPI_VM_SNP, 1u << 4},
};

static int check_init(const struct launch *launch, struct err *err)
{
	const struct facts *facts = &launch->facts;

	if (facts->kvm.kind || facts->has_init2 || launch->config.sev.init == CONFIG_SEV_INIT_LEGACY)
		return 0;
	/* The processor has no SEV or is another vendor's, so the age of the kernel does not matter. */
	if (!(facts->sev_eax & generations[CONFIG_SEV].cpuid))
		return 0;
	if (launch->config.sev.type == CONFIG_SEV_SNP)
		return err_set(err, ERR_HOST,
		        "KVM_SEV_INIT2 would fail with EINVAL: this kernel is too old for SEV-SNP guests; "
		        "use Linux 6.11 or newer");
	return err_set(err, ERR_HOST,
	        "KVM_SEV_INIT2 would fail with EINVAL: this kernel does not have it; use Linux 6.10 or "
	        "newer, or set sev.init to auto");
}

/* A KVM that does not offer the generation gives no meaningful answers about it. */
static bool is_offered(const struct launch *launch)
{
	const struct facts *facts = &launch->facts;
	enum config_sev_type type = launch->config.sev.type;

	if (launch->config.sev.init == CONFIG_SEV_INIT_LEGACY)
		return facts->sev_eax & generations[type].cpuid;
	return facts->has_init2 && facts->vm_types >> generations[type].vm_type & 1;
}

static bool is_older(uint8_t major, uint8_t minor, uint8_t wanted_major, uint8_t wanted_minor)
{
	return major < wanted_major || (major == wanted_major && minor < wanted_minor);
}

static int check_firmware(const struct launch *launch, struct err *err)
{
	const struct facts *facts = &launch->facts;

	if (!facts_firmware_is_too_old(facts) || !(facts->sev_eax & generations[CONFIG_SEV_SNP].cpuid))
		return 0;
	return err_set(err, ERR_HOST,
	        "%s: the secure processor's firmware has API version %u.%u, and Linux initialises SEV-SNP "
	        "with " FACTS_SNP_API
	        " or newer only; update the host's firmware (its setup, or amd/amd_sev_*.sbin "
	        "of the package with the processor's firmware)",
	        is_offered(launch) ? "KVM_SEV_SNP_LAUNCH_START would fail with ENOTTY"
	                           : "KVM_CREATE_VM would fail with EINVAL",
	        facts->api_major, facts->api_minor);
}

/* Linux 7.x does not even offer a type without ASIDs; 6.x refuses the context (sev_asid_new()). */
static const char *without_asids(const struct launch *launch)
{
	if (launch->config.sev.init == CONFIG_SEV_INIT_LEGACY)
		return launch->config.sev.type == CONFIG_SEV_ES ? "KVM_SEV_ES_INIT would fail with ENOTTY"
		                                                : "KVM_SEV_INIT would fail with ENOTTY";
	return is_offered(launch) ? "KVM_SEV_INIT2 would fail with ENOTTY"
	                          : "KVM_CREATE_VM would fail with EINVAL";
}

/* Why KVM does not offer a generation. */
static int check_generation(const struct launch *launch, struct err *err)
{
	const struct facts *facts = &launch->facts;
	enum config_sev_type type = launch->config.sev.type;
	const struct generation *g = &generations[type];

	if (facts->kvm.kind)
		return 0;
	/* A kernel that is too old hides SEV-SNP; check_init() has reported that. */
	if (!facts->has_init2 && type == CONFIG_SEV_SNP && facts->sev_eax & generations[CONFIG_SEV].cpuid)
		return 0;
	if (!(facts->sev_eax & g->cpuid))
		return err_set(err, ERR_HOST,
		        "KVM_CREATE_VM would fail with EINVAL: this host's KVM does not offer %s (CPUID "
		        "8000001F EAX is 0x%x); enable it in the host's firmware setup and in the module "
		        "kvm_amd, or choose another sev.type",
		        g->word, facts->sev_eax);
	if (!facts->asids[facts_asid_kind(type)].limit)
		return err_set(err, ERR_HOST,
		        "%s: this host has no ASIDs for %s (the least ASID of SEV is %u of %u%s); change "
		        "that "
		        "in the host's firmware setup",
		        without_asids(launch), g->word, facts->sev_asid_min, facts->sev_asid_max,
		        facts->hiding_asids ? ", and ciphertext hiding divides those below it" : "");
	if (type == CONFIG_SEV_SNP && facts_firmware_is_too_old(facts))
		return 0;
	if (!is_offered(launch))
		return err_set(err, ERR_HOST,
		        "KVM_CREATE_VM would fail with EINVAL: KVM does not offer VM type %u (%s), though "
		        "the processor has it; dmesg | grep -i -e sev -e kvm says why%s",
		        g->vm_type, g->word,
		        type == CONFIG_SEV_SNP ? ", often an IOMMU in passthrough mode or an RMP that covers "
		                                 "too little memory"
		                               : "");
	return 0;
}

static int check_private_memory(const struct launch *launch, struct err *err)
{
	const struct facts *facts = &launch->facts;

	if (!is_offered(launch) || (facts->has_private_memory && facts->has_conversion))
		return 0;
	return err_set(err, ERR_HOST,
	        "%s would fail with EINVAL: this KVM lacks %s; use Linux 6.11 or newer, built with "
	        "CONFIG_KVM_AMD_SEV",
	        facts->has_private_memory ? "KVM_ENABLE_CAP" : "KVM_CREATE_GUEST_MEMFD",
	        facts->has_private_memory ? "page state changes (KVM_CAP_EXIT_HYPERCALL)"
	                                  : "memory that only the guest can read (KVM_CAP_GUEST_MEMFD)");
}

static int check_page_status(const struct launch *launch, struct err *err)
{
	const struct facts *facts = &launch->facts;

	if (!launch->config.sev.page_status || facts->kvm.kind ||
	        (facts->has_conversion && facts->has_msr_exits))
		return 0;
	return err_set(err, ERR_HOST,
	        "%s would fail with EINVAL: this KVM lacks %s, which sev.page-status needs; use Linux 5.14 "
	        "or "
	        "newer, or leave sev.page-status out",
	        facts->has_conversion ? "KVM_X86_SET_MSR_FILTER" : "KVM_ENABLE_CAP",
	        facts->has_conversion ? "exits at a guest's MSRs (KVM_CAP_X86_USER_SPACE_MSR)"
	                              : "reports of shared pages (KVM_CAP_EXIT_HYPERCALL)");
}

static int check_snp_initialised(const struct launch *launch, struct err *err)
{
	const struct facts *facts = &launch->facts;

	if (facts->snp_status.kind || facts->snp.rmp_init & UAPI_SNP_STATUS_RMP_INITIALIZED ||
	        facts_firmware_is_too_old(facts))
		return 0;
	return err_set(err, ERR_HOST,
	        "KVM_SEV_SNP_LAUNCH_START would fail with ENOTTY: the firmware says that SEV-SNP is not "
	        "initialised (state %u, no RMP); enable it in the host's firmware setup, boot with "
	        "iommu=nopt and see dmesg | grep -i sev",
	        facts->snp.state);
}

static int check_asids(const struct launch *launch, struct err *err)
{
	enum config_sev_type type = launch->config.sev.type;
	const struct facts_asids *asids = &launch->facts.asids[facts_asid_kind(type)];

	if (launch->facts.kvm.kind || !asids->limit || !asids->free_known || asids->free)
		return 0;
	if (*asids->limiting)
		return err_set(err, ERR_HOST,
		        "KVM_SEV_INIT2 would fail with EBUSY: the cgroup %s has reached its limit of %s "
		        "ASIDs (misc.max); raise it, end another guest there, or name another group in the "
		        "key cgroup",
		        asids->limiting, generations[type].word);
	return err_set(err, ERR_HOST,
	        "KVM_SEV_INIT2 would fail with EBUSY: all ASIDs for %s are taken (%" PRIu64 " of %" PRIu64
	        "); end another guest, or move the border between SEV and SEV-ES in the "
	        "host's firmware setup",
	        generations[type].word, asids->used_known ? asids->used : asids->limit, asids->limit);
}

/* While the firmware is measured, KVM counts its pages a second time. */
static int check_memlock(const struct launch *launch, struct err *err)
{
	const struct facts *facts = &launch->facts;
	uint64_t pinned = launch->config.machine.memory_bytes + launch->files.firmware.size_bytes +
	                  (launch->config.sev.helper ? HELPER_BYTES : 0);
	uint64_t needed = pinned + launch->files.firmware.size_bytes;

	if (needed <= facts->memlock_bytes)
		return 0;
	return err_set(err, ERR_HOST,
	        "%s would fail with ENOMEM: %" PRIu64 " KiB must be locked, and RLIMIT_MEMLOCK is %" PRIu64
	        " KiB; raise it (ulimit -l unlimited, "
	        "LimitMEMLOCK=infinity), or give CAP_IPC_LOCK, which counts outside of containers with user "
	        "namespaces only",
	        pinned > facts->memlock_bytes ? "KVM_MEMORY_ENCRYPT_REG_REGION"
	                                      : "KVM_SEV_LAUNCH_UPDATE_DATA",
	        needed >> 10, facts->memlock_bytes >> 10);
}

static int check_cgroup(const struct launch *launch, struct err *err)
{
	char path[4200];

	if (!*launch->config.cgroup)
		return 0;
	snprintf(path, sizeof(path), "%s/cgroup.procs", launch->config.cgroup);
	if (access(path, W_OK) == 0)
		return 0;
	if (errno == ENOENT && access(launch->config.cgroup, F_OK) == 0)
		return err_set(err, ERR_USAGE,
		        "cgroup: %s is not a cgroup: it has no file cgroup.procs; name a folder below "
		        "/sys/fs/cgroup",
		        launch->config.cgroup);
	err_sys(err, ERR_HOST, errno, "joining the cgroup %s", launch->config.cgroup);
	return launch_explain(LAUNCH_STEP_CGROUP, launch->config.sev.type, &launch->facts, err);
}

static int check_certificates(const struct launch *launch, struct err *err)
{
	const struct facts *facts = &launch->facts;

	if (!*launch->config.sev.certificates || !is_offered(launch) ||
	        (facts->certs_known && facts->req_certs))
		return 0;
	return err_set(err, ERR_HOST,
	        "KVM_SEV_SNP_ENABLE_REQ_CERTS would fail with EINVAL: this kernel does not ask for the "
	        "certificates of sev.certificates; use Linux 7.0 or newer, or leave the key empty");
}

/* ---- the policy ---- */

static int check_policy_bits(const struct launch *launch, struct err *err)
{
	const struct facts *facts = &launch->facts;
	uint64_t policy = launch->config.sev.policy, wrong = policy & ~facts->policy_bits;
	char words[WORDS_BYTES];

	if (!is_offered(launch) || !facts->policy_known || !wrong)
		return 0;
	return err_set(err, ERR_HOST,
	        "KVM_SEV_SNP_LAUNCH_START would fail with EINVAL: of sev.policy 0x%" PRIx64
	        " this KVM does not take %s; leave that out or use a newer kernel (it takes 0x%" PRIx64 ")",
	        policy, bit_words(config_snp_policy_bits, wrong, words), facts->policy_bits);
}

/* All that a kernel can accept which does not report its policy bits: the version, bits 16, 17, 19 and 20. */
#define OLD_POLICY_BITS (UINT64_C(0xffff) | ABI_SNP_POLICY_SMT | UINT64_C(0x1a) << 16)

static int check_policy_of_old_kernel(const struct launch *launch, struct err *err)
{
	uint64_t policy = launch->config.sev.policy, wrong = policy & ~OLD_POLICY_BITS;
	char words[WORDS_BYTES];

	if (!is_offered(launch) || launch->facts.policy_known || !wrong)
		return 0;
	return err_set(err, ERR_HOST,
	        "KVM_SEV_SNP_LAUNCH_START would fail with EINVAL: of sev.policy 0x%" PRIx64
	        ", this kernel, which does not tell what it takes, refuses %s; leave that out, or use Linux "
	        "7.0 or newer",
	        policy, bit_words(config_snp_policy_bits, wrong, words));
}

/*
 * Before 6.14 Linux demands bit 16 (SMT) and refuses bit 20 (single socket), as snp_launch_start() has it. A
 * distribution's kernel may have a later one's code under an earlier version, so the launch decides.
 */
#define POLICY_SINGLE_SOCKET (UINT64_C(1) << 20)
#define OLDEST_WITH_SOCKETS  FACTS_LINUX(6, 14)

static int doubt_policy_of_old_kernel(const struct launch *launch, struct err *err)
{
	uint64_t policy = launch->config.sev.policy;
	uint64_t doubtful = (policy ^ ABI_SNP_POLICY_SMT) & (ABI_SNP_POLICY_SMT | POLICY_SINGLE_SOCKET);

	if (!is_offered(launch) || launch->facts.policy_known || !doubtful ||
	        launch->facts.linux_version >= OLDEST_WITH_SOCKETS)
		return 0;
	return err_set(err, ERR_HOST,
	        "sev.policy: 0x%" PRIx64 " may be refused (EINVAL of KVM_SEV_SNP_LAUNCH_START): this kernel "
	        "does not tell what it takes, "
	        "and Linux 6.11 to 6.13 demands smt and refuses single-socket; if it is refused, change that "
	        "or "
	        "use Linux 6.14 or newer",
	        policy);
}

static int check_version(const struct launch *launch, struct err *err)
{
	const struct facts *facts = &launch->facts;
	bool snp = launch->config.sev.type == CONFIG_SEV_SNP;
	uint64_t policy = launch->config.sev.policy;
	uint8_t wanted_major = (uint8_t)(policy >> (snp ? 8 : 16)),
	        wanted_minor = (uint8_t)(policy >> (snp ? 0 : 24));
	uint8_t major = snp ? facts->snp.api_major : facts->api_major;
	uint8_t minor = snp ? facts->snp.api_minor : facts->api_minor;

	if ((snp ? facts->snp_status.kind : facts->status.kind) ||
	        !is_older(major, minor, wanted_major, wanted_minor))
		return 0;
	return err_set(err, ERR_HOST,
	        "%s would fail with EIO, POLICY_FAILURE: sev.policy asks for at least version %u.%u of the "
	        "firmware's %s, this host has %u.%u; update the host's firmware or lower %s in sev.policy",
	        snp ? "KVM_SEV_SNP_LAUNCH_START" : "KVM_SEV_LAUNCH_START", wanted_major, wanted_minor,
	        snp ? "ABI" : "API", major, minor, snp ? "abi=" : "api=");
}

/* Bits of the policy that demand a property of the platform which its status shows. */
static const struct {
	uint64_t policy;
	uint32_t flag;
	const char *word, *lacks, *remedy;
} platform_bits[] = {
        {UINT64_C(1) << 23, UAPI_SNP_STATUS_RAPL_DIS, "rapl-dis", "RAPL is not disabled",
                "disable it in the host's firmware setup"},
        {UINT64_C(1) << 24, UAPI_SNP_STATUS_CIPHERTEXT_EN, "ciphertext-hiding", "ciphertext hiding is off",
                "load kvm_amd with ciphertext_hiding_asids"},
};

static int check_platform_bits(const struct launch *launch, struct err *err)
{
	const struct facts *facts = &launch->facts;

	if (facts->snp_status.kind)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(platform_bits); i++) {
		if (launch->config.sev.policy & platform_bits[i].policy &&
		        !(facts->snp.flags & platform_bits[i].flag))
			return err_set(err, ERR_HOST,
			        "KVM_SEV_SNP_LAUNCH_START would fail with EIO, POLICY_FAILURE: sev.policy "
			        "has %s, and on this host %s; %s, or leave the word out",
			        platform_bits[i].word, platform_bits[i].lacks, platform_bits[i].remedy);
	}
	return 0;
}

static int check_smt(const struct launch *launch, struct err *err)
{
	if (!is_offered(launch) || !launch->facts.smt || launch->config.sev.policy & ABI_SNP_POLICY_SMT)
		return 0;
	return err_set(err, ERR_HOST,
	        "KVM_SEV_SNP_LAUNCH_START would fail with %s: sev.policy 0x%" PRIx64
	        " forbids simultaneous multithreading, which is on; add the word smt, or switch it off in "
	        "the host's firmware setup",
	        launch->facts.policy_known ? "EIO, POLICY_FAILURE" : "EINVAL or EIO, POLICY_FAILURE",
	        launch->config.sev.policy);
}

static int check_features(const struct launch *launch, struct err *err)
{
	const struct facts *facts = &launch->facts;
	uint64_t wanted = launch->config.sev.vmsa_features & ~ABI_FEATURE_SNP;
	uint64_t wrong = wanted & ~facts->vmsa_features;
	char words[WORDS_BYTES];

	if (!is_offered(launch) || !wrong)
		return 0;
	return err_set(err, ERR_HOST,
	        "KVM_SEV_INIT2 would fail with EINVAL: of sev.vmsa-features 0x%" PRIx64
	        " this KVM does not offer %s; leave that out or use a newer kernel (it offers 0x%" PRIx64 ")",
	        launch->config.sev.vmsa_features, bit_words(config_vmsa_feature_bits, wrong, words),
	        facts->vmsa_features);
}

static int check_helper(const struct launch *launch, struct err *err)
{
	unsigned planned = launch->plan->helper_c_bit, c_bit = launch->facts.c_bit;

	if (!launch->config.sev.helper || launch->facts.kvm.kind)
		return 0;
	if (!launch->facts.has_mirrors)
		return err_set(err, ERR_HOST,
		        "KVM_ENABLE_CAP would fail with EINVAL: this KVM lacks mirrors of guests "
		        "(KVM_CAP_VM_COPY_ENC_CONTEXT_FROM), which sev.helper needs; use Linux 5.13 or "
		        "newer, or leave sev.helper out");
	if (planned && planned != c_bit)
		return err_set(err, ERR_HOST,
		        "sev.helper: it is measured for the C-bit of machine.cpu, %u, and this host's is %u; "
		        "set machine.cpu to a model of this host",
		        planned, c_bit);
	return mirror_helper_check(c_bit, err) < 0 ? err_wrap(err, "sev.helper") : 0;
}

/* ---- all ---- */

static const struct launch_check_row host_checks[] = {
        {ALL, check_kvm},
        {ALL, check_init},
        {SNP, check_firmware},
        {ALL, check_generation},
        {ALL, check_device},
        {SNP, check_private_memory},
        {SEV, check_page_status},
        {SEV, check_helper},
        {SNP, check_snp_initialised},
        {SNP, check_certificates},
        {ES | SNP, check_features},
        {SNP, check_policy_bits},
        {SNP, check_policy_of_old_kernel},
        {ALL, check_version},
        {SNP, check_platform_bits},
        {SNP, check_smt},
        {ALL, check_cgroup},
        {ALL, check_asids},
        {SEV, check_memlock},
};

static const struct launch_check_row host_doubts[] = {
        {SNP, doubt_policy_of_old_kernel},
};

void launch_run_checks(const struct launch *launch, const struct launch_check_row *check, size_t count,
        struct launch_findings *findings)
{
	for (; count--; check++) {
		struct err err = {0};

		if (check->types & CONFIG_FOR(launch->config.sev.type) &&
		        findings->count < LAUNCH_FINDINGS_MAX && check->fn(launch, &err) < 0)
			findings->list[findings->count++] = err;
	}
}

void launch_doubt(const struct launch *launch, struct launch_findings *warnings)
{
	launch_run_checks(launch, host_doubts, ARRAY_LEN(host_doubts), warnings);
}

/* A plain guest needs only one fact, and does not spend time on it before its start. */
static void find_plain(const struct launch *launch, struct launch_findings *findings)
{
	struct facts facts;

	launch_ask_facts(launch, &facts);
	if (facts.kvm.kind)
		findings->list[findings->count++] = facts.kvm;
}

void launch_findings(const struct launch *launch, struct launch_findings *ret_findings)
{
	ret_findings->count = 0;
	if (!launch->plan) {
		find_plain(launch, ret_findings);
	} else {
		launch_run_checks(launch, host_checks, ARRAY_LEN(host_checks), ret_findings);
		launch_owner_findings(launch, ret_findings);
	}
	launch_limits(launch, ret_findings);
}

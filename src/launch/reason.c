/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reason: why a step of a launch or a move was refused and what helps, from the step, the errno, the
 * firmware's code and what is known of the host. A table; its first row that fits speaks. Any thread;
 * constant. Law: kernel arch/x86/kvm/svm/sev.c; SEV API and SNP ABI, status codes of each command.
 */
#include <errno.h>
#include <string.h>

#include "launch.h"

#define AT(step) (1u << LAUNCH_STEP_##step)
#define ANYWHERE UINT32_MAX

#define SENDING   (AT(SEND_START) | AT(SEND_PAGE) | AT(SEND_END))
#define RECEIVING (AT(RECEIVE_START) | AT(RECEIVE_PAGE) | AT(RECEIVE_FINISH))

#define SEV    (CONFIG_FOR(CONFIG_SEV) | CONFIG_FOR(CONFIG_SEV_ES))
#define ES     CONFIG_FOR(CONFIG_SEV_ES)
#define SNP    CONFIG_FOR(CONFIG_SEV_SNP)
#define ALL    (SEV | SNP)
#define FW_ANY UINT32_C(0xfffffffe)

struct reason {
	uint32_t steps; /* AT() of those where it can be met */
	unsigned types;
	int sys;     /* 0: any */
	uint32_t fw; /* 0: the firmware was not asked, FW_ANY */
	bool (*fact)(const struct facts *facts, enum config_sev_type type);
	enum err_kind kind; /* 0: as the call has it */
	const char *cause, *remedy;
};

/* ---- what is known of the host ---- */

static bool is_cgroup_limit(const struct facts *facts, enum config_sev_type type)
{
	const struct facts_asids *asids = &facts->asids[facts_asid_kind(type)];

	return asids->free_known && asids->free == 0 && *asids->limiting;
}

static bool is_hiding(const struct facts *facts, enum config_sev_type type)
{
	return facts->hiding_asids;
}

static bool is_without_init2(const struct facts *facts, enum config_sev_type type)
{
	return !facts->has_init2;
}

/* Before Linux 7.0 KVM does not tell which policy bits it takes. */
static bool is_without_policy(const struct facts *facts, enum config_sev_type type)
{
	return !facts->policy_known;
}

static bool is_without_asids(const struct facts *facts, enum config_sev_type type)
{
	return !facts->kvm.kind && !facts->asids[facts_asid_kind(type)].limit;
}

static bool is_old_firmware(const struct facts *facts, enum config_sev_type type)
{
	return facts_firmware_is_too_old(facts);
}

static bool is_small_memlock(const struct facts *facts, enum config_sev_type type)
{
	return facts->memlock_bytes != UINT64_MAX;
}

static bool is_without_rmp(const struct facts *facts, enum config_sev_type type)
{
	return !facts->snp_status.kind && !(facts->snp.rmp_init & UAPI_SNP_STATUS_RMP_INITIALIZED);
}

/* ---- words that several rows use ---- */

#define SETUP_SEV \
	"enable SME and SEV in the host's firmware setup and load the module (modprobe ccp); --host sim " \
	"runs guests without it, and without any protection"
#define SETUP_SNP \
	"enable SEV-SNP and the RMP's coverage in the host's firmware setup and boot with iommu=nopt " \
	"amd_iommu=on and kvm_amd.sev_snp=1; dmesg | grep -i sev says how far the kernel came"
#define UPDATE_FIRMWARE \
	"update the host's firmware to API version " FACTS_SNP_API \
	" or newer: Linux initialises SEV-SNP with no " \
	"older one"
#define MOVE_ASIDS    "change the least ASID of SEV in the host's firmware setup"
#define MORE_FILES    "raise RLIMIT_NOFILE (ulimit -n, LimitNOFILE= of a service)"
#define END_ONE       "end another guest of this kind"
#define VMM_FAULT     "this is a fault of vmm or of the kernel: report it with the output of --trace"
#define NEWER_KERNEL  "use Linux 6.11 or newer"
#define LOOK_AT_DMESG "dmesg | grep -i -e sev -e ccp says more"
#define OTHERS_CERTS \
	"write the file of migrate.certificates there anew (sevctl export --full), and start that vmm again"
#define MOVE_AGAIN "start the target again, and move the guest again"

static const struct reason reasons[] = {
        /* the device */
        {AT(OPEN), ALL, ENOENT, 0, NULL, 0, "the kernel has found no secure processor", SETUP_SEV},
        {AT(OPEN), ALL, ENODEV, 0, NULL, 0, "the kernel has found no secure processor", SETUP_SEV},
        {AT(OPEN), ALL, ENXIO, 0, NULL, 0, "the secure processor is gone", SETUP_SEV},
        {AT(OPEN), ALL, EACCES, 0, NULL, 0, "this user may not open it",
                "let the group kvm have it (udev: KERNEL==\"sev\", GROUP=\"kvm\", MODE=\"0660\") and be in "
                "it"},
        {AT(OPEN), ALL, EPERM, 0, NULL, 0, "this user or container may not open it",
                "add the device to the container, or run as root"},
        {AT(OPEN), ALL, EMFILE, 0, NULL, 0, "this process has too many files open", MORE_FILES},

        /* the cgroup */
        {AT(CGROUP), ALL, ENOENT, 0, NULL, ERR_USAGE, "there is no such cgroup",
                "make it (mkdir) or correct the key cgroup"},
        {AT(CGROUP), ALL, EACCES, 0, NULL, 0, "this user may not move processes there",
                "delegate the cgroup to the user, or leave the key cgroup empty"},
        {AT(CGROUP), ALL, EBUSY, 0, NULL, 0, "a cgroup whose children have controllers takes no process",
                "name one of its children in the key cgroup"},
        {AT(CGROUP), ALL, EOPNOTSUPP, 0, NULL, 0, "it is a threaded cgroup",
                "name a domain cgroup in the key cgroup"},

        /* the VM and its memory */
        {AT(CREATE), SNP, EINVAL, 0, is_without_init2, 0, "this kernel does not know SEV-SNP guests",
                NEWER_KERNEL},
        {AT(CREATE), ALL, EINVAL, 0, is_without_asids, 0, "this host has no ASIDs for guests of this kind",
                MOVE_ASIDS},
        {AT(CREATE), SNP, EINVAL, 0, is_old_firmware, 0, "the secure processor's firmware is too old",
                UPDATE_FIRMWARE},
        {AT(CREATE), SNP, EINVAL, 0, NULL, 0, "KVM does not offer SEV-SNP guests", SETUP_SNP},
        {AT(CREATE), ES, EINVAL, 0, NULL, 0, "KVM does not offer SEV-ES guests",
                "give SEV-ES some ASIDs in the host's firmware setup and set kvm_amd.sev_es=1"},
        {AT(CREATE), SEV, EINVAL, 0, NULL, 0, "KVM does not offer SEV guests",
                "leave SEV some ASIDs in the host's firmware setup and set kvm_amd.sev=1"},
        {AT(CREATE), SNP, ENOTTY, 0, NULL, 0, "this kernel has no memory that only the guest can read",
                NEWER_KERNEL},
        {AT(CREATE) | AT(VCPUS), ALL, ENOMEM, 0, NULL, 0, "the host has not enough memory left",
                "lower machine.memory or end other guests"},
        {AT(CREATE) | AT(VCPUS), ALL, EMFILE, 0, NULL, 0, "this process has too many files open", MORE_FILES},

        {AT(REPORTS), SEV, EINVAL, 0, NULL, 0, "this KVM does not pass on what the guest reports",
                "use Linux 5.14 or newer, or leave sev.page-status out"},
        {AT(REPORTS), SEV, ENOTTY, 0, NULL, 0, "this KVM has no filter of MSRs",
                "use Linux 5.14 or newer, or leave sev.page-status out"},

        /* the context */
        {AT(INIT), ALL, EBUSY, FW_ANY, is_cgroup_limit, 0,
                "the cgroup's limit of ASIDs (misc.max) is reached",
                "raise it there, " END_ONE ", or name another group in the key cgroup"},
        {AT(INIT), SNP, EBUSY, FW_ANY, is_hiding, 0,
                "the ASIDs of SEV-SNP, kvm_amd.ciphertext_hiding_asids of them, are all taken",
                END_ONE " or raise that parameter"},
        {AT(INIT), ES, EBUSY, FW_ANY, is_hiding, 0,
                "the ASIDs that kvm_amd.ciphertext_hiding_asids leaves to SEV-ES are all taken",
                END_ONE " or lower that parameter"},
        {AT(INIT), ES | SNP, EBUSY, FW_ANY, NULL, 0, "the ASIDs of SEV-ES and SEV-SNP are all taken",
                END_ONE " or raise the least ASID of SEV in the host's firmware setup"},
        {AT(INIT), SEV, EBUSY, FW_ANY, NULL, 0, "the ASIDs of SEV are all taken",
                END_ONE " or lower the least ASID of SEV in the host's firmware setup"},
        {AT(INIT), SEV, EINVAL, 0, is_without_init2, 0, "this kernel has no KVM_SEV_INIT2",
                "use Linux 6.10 or newer, or set sev.init to auto"},
        {AT(INIT), SEV, EINVAL, 0, NULL, 0, "KVM refuses these VMSA features for this type",
                "set sev.vmsa-features to what vmm host shows"},
        {AT(INIT), SNP, EINVAL, 0, NULL, 0, "KVM refuses these VMSA features for SEV-SNP",
                "set sev.vmsa-features to what vmm host shows"},
        {AT(INIT), ALL, ENOTTY, FW_ANY, is_without_asids, 0, "this host has no ASIDs for guests of this kind",
                MOVE_ASIDS},
        {AT(INIT), SEV, ENOTTY, 0, NULL, 0, "SEV is off in KVM",
                "load kvm_amd with sev=1, for SEV-ES with sev_es=1 too"},
        {AT(INIT), SNP, ENOTTY, 0, NULL, 0, "SEV-SNP is off in KVM", SETUP_SNP},
        {AT(INIT), ALL, EIO, 0x01, NULL, 0, "the platform is not initialised",
                "reload the module ccp (rmmod kvm_amd ccp; modprobe kvm_amd)"},
        {AT(INIT), ALL, EIO, 0x03, NULL, 0, "the firmware does not take its configuration",
                "update the host's firmware"},
        {AT(INIT), ALL, EIO, 0x18, NULL, 0, "the firmware's stored keys are damaged",
                "reset the platform (snphost or sevctl reset) and make new keys"},

        {AT(CERTIFICATES), SNP, EINVAL, 0, NULL, 0, "this kernel does not ask for certificates",
                "use Linux 7.0 or newer, or leave sev.certificates empty"},

        /* pinned or private memory */
        {AT(MEMORY), SEV, ENOMEM, 0, is_small_memlock, 0,
                "the guest's memory must be locked, and the limit of locked memory is lower",
                "raise it (ulimit -l unlimited, LimitMEMLOCK=infinity), or give CAP_IPC_LOCK, which counts "
                "outside of containers with user namespaces only"},
        {AT(MEMORY), SEV, ENOMEM, 0, NULL, 0, "the host cannot lock that much memory",
                "lower machine.memory"},
        {AT(MEMORY), SEV, EINVAL, 0, NULL, 0, "the guest has more memory than the host could lock",
                "lower machine.memory below the host's own"},
        {AT(MEMORY), SEV, EFAULT, 0, NULL, 0, "the host cannot bring in the guest's memory",
                "lower machine.memory or enlarge the pool of huge pages"},
        {AT(MEMORY), SNP, EINVAL, 0, NULL, 0, "this KVM cannot make memory private", NEWER_KERNEL},
        {AT(MEMORY), SNP, ENOTTY, 0, NULL, 0, "this KVM cannot make memory private", NEWER_KERNEL},
        {AT(MEMORY), SNP, ENOMEM, 0, NULL, 0, "the host has not enough memory left", "lower machine.memory"},

        /* start */
        {AT(START), SEV, EIO, 0x06, NULL, ERR_USAGE, "the owner's Diffie-Hellman certificate is not valid",
                "make sev.dh-cert and sev.session with vmm session new"},
        {AT(START), SEV, EIO, 0x0b, NULL, ERR_USAGE,
                "the session is for another platform key or another policy",
                "export this host's certificates (vmm host --certificates) and make a new session for this "
                "sev.policy"},
        {AT(START), SEV, EIO, 0x07, NULL, ERR_USAGE,
                "the policy asks for a newer firmware API or for a property that this platform lacks",
                "compare sev.policy with vmm host"},
        {AT(START), SEV, EIO, 0x04, NULL, ERR_USAGE, "the session or certificate has a wrong length",
                "make both with vmm session new"},
        {AT(START), SEV, EINVAL, 0, NULL, ERR_USAGE,
                "the kernel does not accept the session or the certificate",
                "make both with vmm session new"},
        {AT(START), ALL, EIO, 0x0f, NULL, 0, "freed ASIDs wait for a flush", "try again"},
        {AT(START), ALL, EIO, 0x0e, NULL, 0, "caches wait for a flush", "try again"},
        {AT(START), ALL, EIO, 0x0d, NULL, 0, "the ASID is not one of this type",
                "the kernel and the firmware disagree about ASIDs: reboot after changing them in the setup"},
        {AT(START), ALL, EIO, 0x0c, NULL, 0, "the ASID belongs to another guest",
                "another program drives the secure processor: end it, or reload kvm_amd"},
        {AT(START), SNP, EINVAL, 0, is_without_policy, ERR_USAGE,
                "this kernel, which does not tell which policy bits it takes, refuses sev.policy: Linux 6.11 "
                "to 6.13 demands smt and refuses single-socket",
                "use Linux 6.14 or newer, or a policy of the words smt, debug and abi= with smt among them"},
        {AT(START), SNP, EINVAL, 0, NULL, ERR_USAGE,
                "KVM does not know one of the policy's bits, or bit 17 is clear",
                "vmm host shows the policy bits that this KVM takes"},
        {AT(START), SNP, ENOTTY, FW_ANY, is_old_firmware, 0, "the secure processor's firmware is too old",
                UPDATE_FIRMWARE},
        {AT(START), SNP, ENOTTY, FW_ANY, is_without_rmp, 0, "SEV-SNP is not initialised", SETUP_SNP},
        {AT(START), SNP, ENOTTY, FW_ANY, NULL, 0, "the firmware made no context for the guest",
                "SEV-SNP is not initialised, or the firmware is out of memory: " LOOK_AT_DMESG},
        {AT(START), SNP, EIO, 0x07, NULL, 0,
                "the policy forbids what this host has (simultaneous multithreading without \"smt\", several "
                "sockets), or asks for what it lacks (a newer ABI, RAPL disabled, ciphertext hiding)",
                "compare sev.policy with vmm host"},
        {AT(START), SNP, EIO, 0x01, NULL, 0, "SEV-SNP is not initialised", SETUP_SNP},
        {AT(START), ALL, EIO, 0x17, NULL, 0, "the firmware keeps no more guests", END_ONE},

        /* contents */
        {AT(UPDATE), SEV, ENOMEM, 0, is_small_memlock, 0, "the limit of locked memory is too low",
                "raise it (ulimit -l unlimited)"},
        {AT(UPDATE), SEV, EIO, 0x09, NULL, 0, "an address is not a multiple of 16", VMM_FAULT},
        {AT(UPDATE), SEV, EIO, 0x04, NULL, 0, "a length is not a multiple of 16", VMM_FAULT},
        {AT(UPDATE), SNP, EIO, 0x16, NULL, 0, "the CPUID page claims what this processor lacks",
                "set sev.cpuid-correction to adopt, or machine.cpu to this host's model"},
        {AT(UPDATE), SNP, EIO, 0x1a, NULL, 0, "a page is in another state in the RMP than it should be",
                VMM_FAULT},
        {AT(UPDATE), SNP, EIO, 0x1c, NULL, 0, "a page belongs to another guest in the RMP", VMM_FAULT},
        {AT(UPDATE), SNP, EIO, 0x19, NULL, 0, "a page has another size in the RMP than it should have",
                VMM_FAULT},
        {AT(UPDATE), SNP, EIO, 0, NULL, 0,
                "the kernel could not give the guest a page: it is the guest's already, or memory is short",
                "free memory on the host; " LOOK_AT_DMESG},
        {AT(UPDATE), SNP, EINVAL, 0, NULL, 0, "a page lies in no private memory of the guest", VMM_FAULT},
        {AT(UPDATE), SNP, ENOMEM, 0, NULL, 0, "the host has not enough memory left", "lower machine.memory"},

        /* the processors' state */
        {AT(VMSA), ES, EINVAL, 0, NULL, 0, "a processor's state is encrypted already, or is debugged",
                VMM_FAULT},
        {AT(VMSA), ES, ENOTTY, 0, NULL, 0, "KVM takes the guest for a SEV guest, not a SEV-ES guest",
                VMM_FAULT},

        /* measurement and secret */
        {AT(SECRET), SEV, EIO, 0x0b, NULL, ERR_USAGE,
                "the secret was packed for another launch or with other keys",
                "pack it from this launch's measurement (sev.measurement) with the keys of sev.session"},
        {AT(SECRET), SEV, EIO, 0x18, NULL, ERR_USAGE, "the secret is damaged",
                "pack it again with vmm secret pack"},
        {AT(SECRET), SEV, EIO, 0x07, NULL, ERR_USAGE, "the policy does not allow this secret",
                "pack it with vmm secret pack"},
        {AT(SECRET), SEV, EINVAL, 0, NULL, ERR_USAGE,
                "the secret's place crosses pages that are not adjacent in the host's memory",
                "set sev.secret-address to where it lies in one page"},
        {AT(SECRET), SEV, EIO, 0x04, NULL, ERR_USAGE, "the secret has a length that the firmware refuses",
                "pack it again with vmm secret pack"},

        /* the end */
        {AT(FINISH), SNP, EIO, 0x0b, NULL, 0,
                "what was launched is not what the ID block names: this kernel builds other VMSAs (VMSA "
                "features that it adds, another reset state)",
                "compare with vmm measure --rows; sev.enforce-digest false launches without the check"},
        {AT(FINISH), SNP, EIO, 0x07, NULL, ERR_USAGE, "the ID block is for another policy",
                "set sev.policy to that of the ID block, or make a new one (vmm idblock make)"},
        {AT(FINISH), SNP, EIO, 0x0a, NULL, ERR_USAGE, "a signature in sev.id-auth is wrong",
                "make both again with vmm idblock make"},
        {AT(FINISH), SNP, EIO, 0x27, NULL, ERR_USAGE, "a key in sev.id-auth is not valid",
                "make both again with vmm idblock make"},
        {AT(FINISH), SNP, EIO, 0x16, NULL, 0, "the firmware refuses the ID block or the VMSA features",
                "check sev.id-block with vmm idblock check, and sev.vmsa-features against vmm host"},
        {AT(FINISH), SNP, EIO, 0x15, NULL, 0, "the firmware does not support these VMSA features",
                "update the host's firmware, or lower sev.vmsa-features"},
        {AT(FINISH), SNP, EINVAL, 0, NULL, 0, "the guest was finished already, or has no context", VMM_FAULT},

        /* a guest that goes to another host */
        {AT(SEND_START), SEV, EIO, 0x06, NULL, 0,
                "the certificates of the other host do not sign each other, or do not lead to AMD",
                OTHERS_CERTS},
        {AT(SEND_START), SEV, EIO, 0x0a, NULL, 0,
                "a signature in the certificates of the other host is wrong", OTHERS_CERTS},
        {AT(SEND_START), SEV, EIO, 0x04, NULL, 0, "a certificate of the other host has a wrong length",
                OTHERS_CERTS},
        {AT(SEND_START), SEV, EIO, 0x16, NULL, 0,
                "the firmware cannot read the certificates of the other host", OTHERS_CERTS},
        {AT(SEND_START), SEV, EIO, 0x07, NULL, 0,
                "sev.policy does not let the guest go there: it says nosend; or domain, and that host has "
                "another "
                "owner; or sev, and that host's firmware is older than the policy demands",
                "choose another target (vmm host there shows its owner and its firmware), or launch the "
                "guest "
                "with another sev.policy"},
        {AT(SEND_START), SEV, EINVAL, 0, NULL, 0,
                "the kernel does not accept the certificates of the other host", OTHERS_CERTS},
        {AT(SEND_PAGE), SEV, EIO, 0x04, NULL, 0, "a page, or the room for its packet, has a wrong length",
                VMM_FAULT},
        {AT(SEND_PAGE) | AT(RECEIVE_PAGE), SEV, EIO, 0x09, NULL, 0, "a page is at no valid address",
                VMM_FAULT},
        {AT(SEND_PAGE) | AT(RECEIVE_PAGE), SEV, EFAULT, 0, NULL, 0, "a page is not in the host's memory",
                "free memory on the host; " LOOK_AT_DMESG},
        {SENDING, SEV, EIO, 0x02, NULL, 0,
                "for the firmware the guest is not running, or it was sent already",
                "another program drives this guest, or " VMM_FAULT},
        {SENDING, SEV, 0, 0x10, NULL, 0, "the firmware has lost the guest",
                "the platform was reset meanwhile: end the guest and launch it again"},
        {SENDING, SEV, 0, 0x08, NULL, 0, "the firmware has lost the guest's ASID",
                "the platform was reset meanwhile: end the guest and launch it again"},
        {SENDING, SEV, ENOTTY, 0, NULL, 0, "this kernel cannot send SEV guests",
                "use Linux 5.14 or newer, or guests with sev.helper"},

        /* a guest that comes from another host */
        {AT(RECEIVE_START), SEV, EIO, 0x06, NULL, 0, "the other host's PDH is not valid",
                "make a new one there (sevctl rotate), and move the guest again"},
        {AT(RECEIVE_START), SEV, EIO, 0x0b, NULL, 0,
                "the session was made for another PDH than this host has now, or for another policy, or was "
                "changed on its way",
                "move the guest again: each move asks for this host's certificates. If it stays, use TLS "
                "(migrate.tls-certificate)"},
        {AT(RECEIVE_START), SEV, EIO, 0x07, NULL, 0,
                "the policy asks for a newer firmware API, or for what this platform lacks",
                "compare sev.policy with vmm host, and choose another target"},
        {AT(RECEIVE_START), SEV, EIO, 0x04, NULL, 0, "the session or the PDH has a wrong length", VMM_FAULT},
        {AT(RECEIVE_START), SEV, EIO, 0x0c, NULL, 0, "the ASID belongs to another guest",
                "another program drives the secure processor: end it, or reload kvm_amd"},
        {AT(RECEIVE_START), SEV, EIO, 0x0d, NULL, 0, "the ASID is not one of this type",
                "the kernel and the firmware disagree about ASIDs: reboot after changing them in the setup"},
        {AT(RECEIVE_START), SEV, EIO, 0x0e, NULL, 0, "caches wait for a flush", MOVE_AGAIN},
        {AT(RECEIVE_START), SEV, EIO, 0x0f, NULL, 0, "freed ASIDs wait for a flush", MOVE_AGAIN},
        {AT(RECEIVE_START), SEV, EINVAL, 0, NULL, 0, "the kernel does not accept the session or the PDH",
                VMM_FAULT},
        {AT(RECEIVE_PAGE), SEV, EIO, 0x0b, NULL, 0,
                "the page was packed with other keys, or was changed on its way",
                MOVE_AGAIN "; if it stays, use TLS (migrate.tls-certificate)"},
        {AT(RECEIVE_PAGE), SEV, EIO, 0x15, NULL, 0,
                "the page is packed in a form that this firmware does not know",
                "update the firmware of the older one of the two hosts"},
        {AT(RECEIVE_PAGE), SEV, EIO, 0x04, NULL, 0, "the packet has another length than its page", VMM_FAULT},
        {RECEIVING, SEV, EIO, 0x02, NULL, 0, "for the firmware the guest is not one that comes",
                "another program drives this guest, or " VMM_FAULT},
        {RECEIVING, SEV, 0, 0x10, NULL, 0, "the firmware has lost the guest",
                "the platform was reset meanwhile: " MOVE_AGAIN},
        {RECEIVING, SEV, 0, 0x08, NULL, 0, "the firmware has lost the guest's ASID",
                "the platform was reset meanwhile: " MOVE_AGAIN},
        {RECEIVING, SEV, ENOTTY, 0, NULL, 0, "this kernel cannot receive SEV guests",
                "use Linux 5.14 or newer, or guests with sev.helper"},
        {SENDING | RECEIVING, SEV, ENOMEM, 0, NULL, 0, "the host is short of memory",
                "free memory on the host, and move the guest again"},

        /* anywhere */
        {ANYWHERE, ALL, 0, 0x02, NULL, 0, "the launch is out of order",
                "another program drives this guest, or " VMM_FAULT},
        {ANYWHERE, ALL, 0, 0x10, NULL, 0, "the firmware has lost the guest",
                "the platform was reset meanwhile: launch again"},
        {ANYWHERE, ALL, 0, 0x08, NULL, 0, "the firmware has lost the guest's ASID",
                "the platform was reset meanwhile: launch again"},
        {ANYWHERE, ALL, 0, 0x13, NULL, 0, "the secure processor met a hardware fault",
                "try again; if it stays, the host needs service"},
        {ANYWHERE, ALL, 0, 0x14, NULL, 0, "the secure processor is no longer safe", "reboot the host"},
        {ANYWHERE, ALL, 0, 0x11, NULL, 0, "the firmware is too old for this command",
                "update the host's firmware"},
        {ANYWHERE, ALL, 0, 0x15, NULL, 0, "the firmware does not support it", "update the host's firmware"},
        {ANYWHERE, ALL, 0, 0x01, NULL, 0, "the platform is not in a state for it",
                "reload kvm_amd and ccp, or reboot after an update of the firmware"},
        {ANYWHERE, ALL, 0, 0x17, NULL, 0, "the firmware has run out of something", END_ONE},
        {ANYWHERE, ALL, 0, 0x20, NULL, 0, "the RMP must be initialised again", "reboot the host"},
        {ANYWHERE, ALL, 0, 0x26, NULL, 0, "the RMP could not be initialised", SETUP_SNP},
        {ANYWHERE, ALL, 0, 0x23, NULL, 0, "the firmware waits for a shutdown after an update",
                "reload kvm_amd and ccp, or reboot"},
        {ANYWHERE, ALL, 0, 0x25, NULL, 0, "the firmware's update must be undone", "reboot the host"},
        {ANYWHERE, ALL, EBADF, FW_ANY, NULL, 0, "the descriptor of /dev/sev is no longer valid", VMM_FAULT},
        {ANYWHERE, ALL, ENODEV, FW_ANY, NULL, 0, "the secure processor is gone", LOOK_AT_DMESG},
        {ANYWHERE, ALL, ETIMEDOUT, FW_ANY, NULL, 0, "the secure processor does not answer",
                "reboot the host; " LOOK_AT_DMESG},
        {ANYWHERE, ALL, EBUSY, FW_ANY, NULL, 0, "the secure processor is busy or dead",
                "try again; " LOOK_AT_DMESG},
        {ANYWHERE, ALL, EPERM, 0, NULL, 0, "KVM does not accept this command for guests of this type",
                VMM_FAULT},
        {ANYWHERE, ALL, EACCES, 0, NULL, 0, "this user may not do that", "run as root"},
        {ANYWHERE, ALL, ENOTTY, 0, NULL, 0, "this kernel does not know the call", NEWER_KERNEL},
        {ANYWHERE, ALL, ENOMEM, 0, NULL, 0, "the host is short of memory", "lower machine.memory"},
        {ANYWHERE, ALL, EINVAL, 0, NULL, 0, "the kernel refuses the request", NEWER_KERNEL},
        {ANYWHERE, ALL, EIO, FW_ANY, NULL, 0, "the secure processor refuses it", LOOK_AT_DMESG},
        {ANYWHERE, ALL, 0, FW_ANY, NULL, 0, "vmm knows of no reason for it", LOOK_AT_DMESG},
        {0},
};

static bool fits(const struct reason *reason, enum launch_step step, enum config_sev_type type,
        const struct facts *facts, const struct err *err)
{
	return reason->steps >> step & 1 && reason->types & CONFIG_FOR(type) &&
	       (!reason->sys || reason->sys == err->sys) && (reason->fw == FW_ANY || reason->fw == err->fw) &&
	       (!reason->fact || reason->fact(facts, type));
}

/* Does not repeat what the text of the firmware's code says already. */
static bool is_said(const char *text, const char *cause)
{
	size_t length = strlen(text), part = strlen(cause);

	return length >= part && strcmp(text + length - part, cause) == 0;
}

/* Errors of files and of vmm's own memory name their reasons themselves. */
static bool is_the_hosts(enum launch_step step, const struct err *err)
{
	if (!err->sys && !err->fw)
		return false;
	return err->kind == ERR_HOST ||
	       (err->kind == ERR_FAILED && (step == LAUNCH_STEP_CREATE || step == LAUNCH_STEP_VCPUS));
}

int launch_explain(
        enum launch_step step, enum config_sev_type type, const struct facts *facts, struct err *err)
{
	if (!is_the_hosts(step, err))
		return -1;
	for (const struct reason *r = reasons; r->cause; r++) {
		const char *cause;

		if (!fits(r, step, type, facts, err))
			continue;
		cause = is_said(err->text, r->cause) ? "" : r->cause;
		err_append(err, "%s%s; %s", *cause ? ": " : "", cause, r->remedy);
		err->kind = r->kind ?: err->kind;
		break;
	}
	return -1;
}

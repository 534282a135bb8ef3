/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys: the table of configuration keys, which reading, checks, the example, the man page and the suggestions
 * use. Any thread; constant. sev.type stands before the keys whose meaning depends on it.
 */
#include <string.h>

#include "internal.h"

#define AT(field) .offset = offsetof(struct config, field)

static const char *const host_words[] = {"kvm", "sim", NULL};
static const char *const type_words[] = {"none", "sev", "sev-es", "sev-snp", NULL};
static const char *const init_words[] = {"auto", "init2", "legacy", NULL};
static const char *const correction_words[] = {"adopt", "refuse", NULL};
static const char *const reboot_words[] = {"restart", "exit", NULL};
static const char *const processor_words[] = {"interpreter", "translator", "both", NULL};
static const char *const clock_words[] = {"virtual", "host", NULL};
static const char *const mask_words[] = {"none", "id", "key", "both", NULL}; /* the bits of MASK_CHIP */
static const char *const log_words[] = {"error", "warn", "info", "debug", NULL};

#define SEV (CONFIG_FOR(CONFIG_SEV) | CONFIG_FOR(CONFIG_SEV_ES))
#define SNP CONFIG_FOR(CONFIG_SEV_SNP)
#define ES  CONFIG_FOR(CONFIG_SEV_ES)

#define NAME_MAX_BYTES      63
#define SERIAL_MAX_BYTES    255
#define PATH_MAX_BYTES      4095 /* PATH_MAX of Linux, without its NUL */
#define HOST_NAME_MAX_BYTES 253
#define VERSION_MAX_BYTES   11 /* "255.255.255" */
#define CSP_ID_MAX_BYTES    32 /* of a CSP_ID, without the "CN=" before it */
#define MEMORY_MAX_BYTES    GIB(16 * 1024)
#define SIM_ASIDS_MAX       2048
#define MEMLOCK_MAX_BYTES   GIB(1024 * 1024)
#define ALLOW_MAX_BYTES     1023
#define CMDLINE_MAX_BYTES   2047 /* COMMAND_LINE_SIZE of x86 Linux, without its NUL */

#define FILE_KEY(field) AT(field), .max = PATH_MAX_BYTES, .def = "\"\""

const struct config_key config_keys[] = {
        {"name", CONFIG_STRING, AT(name), .min = 1, .max = NAME_MAX_BYTES, .def = "\"guest\"",
                .help = "The machine's name, in messages, and as the asset tag of the chassis in the guest's "
                        "SMBIOS tables."},
        {"host", CONFIG_WORD, AT(host), .words = host_words, .def = "\"kvm\"",
                .help = "Where the guest runs: on the real kernel and its secure processor, or on the "
                        "software platform, whose guests are not confidential."},
        {"firmware", CONFIG_PATH, AT(firmware), .min = 1, .max = PATH_MAX_BYTES,
                .def = "\"/usr/share/ovmf/OVMF.fd\"",
                .help = "The firmware image that ends at 4 GiB. A SEV-SNP guest needs one with SEV metadata, "
                        "boot.hashes one with a table for the hashes."},
        {"firmware-vars", CONFIG_PATH, FILE_KEY(firmware_vars),
                .help = "A file in which the firmware keeps its variables (boot entries, settings), so that "
                        "they "
                        "last: a copy of OVMF_VARS_4M.fd, with the image OVMF_CODE_4M.fd as firmware. It is "
                        "written while the guest runs, and locked. It is not part of what is measured. Not "
                        "for "
                        "SEV-SNP guests."},
        {"cgroup", CONFIG_STRING, AT(cgroup), .max = PATH_MAX_BYTES, .def = "\"\"",
                .help = "The folder of a cgroup that vmm joins before it makes a confidential guest, so that "
                        "the guest's ASID is charged to that group (misc controller). Empty: the one that "
                        "vmm was started in."},

        {"machine.vcpus", CONFIG_NUMBER, AT(machine.vcpus), .min = 1, .max = CONFIG_VCPUS_MAX, .def = "1",
                .help = "The number of virtual processors. It is part of what is measured for SEV-ES and "
                        "SEV-SNP. A guest runs with at most 64; more can only be measured."},
        {"machine.memory", CONFIG_SIZE, AT(machine.memory_bytes), .min = MIB(1), .max = MEMORY_MAX_BYTES,
                .unit = "bytes", .def = "\"1G\"",
                .help = "The guest's memory, in whole MiB. OVMF needs 64M. More than this machine has cannot "
                        "be run, "
                        "only measured."},
        {"machine.memory-max", CONFIG_SIZE, AT(machine.memory_max_bytes), .max = MEMORY_MAX_BYTES,
                .unit = "bytes", .def = "\"0\"",
                .help = "What the guest's memory may grow to while it runs (control command device_add): "
                        "machine.memory and a multiple of 128M. It takes addresses and little else until it "
                        "is used, and nothing of it is measured. 0: the memory does not grow."},
        {"machine.cpu", CONFIG_STRING, AT(machine.cpu), .min = 1, .max = NAME_MAX_BYTES, .def = "\"EPYC-v4\"",
                .help = "The processor model by name. Its signature is part of what is measured for SEV-ES "
                        "and SEV-SNP."},
        {"machine.cpu-signature", CONFIG_REGISTER, AT(machine.cpu_signature),
                .given = offsetof(struct config, machine.cpu_signature_given), .def = "null",
                .help = "The processor's signature (CPUID.1:EAX) as a number, for guests of other VMMs whose "
                        "model has no name here. It replaces the signature of the default model or of the "
                        "model host. It is what is measured for SEV-ES and SEV-SNP (the VMSA's RDX), and "
                        "what the guest reads. null is the signature of machine.cpu."},
        {"machine.hugepages", CONFIG_BOOL, AT(machine.hugepages), .def = "false",
                .help = "Back the guest's memory with huge pages; machine.memory is then a multiple of 2 "
                        "MiB. They come from the host's pool (vm.nr_hugepages), which promises them to the "
                        "guest when it starts, and those of memory that is added when it is added."},
        {"machine.memory-shared", CONFIG_BOOL, AT(machine.memory_shared), .def = "false",
                .help = "Keep the guest's memory in files (memfds), so that another vmm on this host can go "
                        "on with it (vmm ctl SOCKET migrate --handover). That of a guest with "
                        "machine.hugepages is kept so anyway. Other memory is faster where the kernel has no "
                        "huge pages for files."},
        {"machine.uuid", CONFIG_UUID, AT(machine.uuid), .def = "\"\"",
                .help = "The system's UUID in the SMBIOS tables, where Linux, dmidecode and cloud-init find "
                        "it. Neither it nor the serial number is measured: the host can tell the guest "
                        "another one."},
        {"machine.serial", CONFIG_STRING, AT(machine.serial), .max = SERIAL_MAX_BYTES, .def = "\"\"",
                .help = "The system's serial number in the SMBIOS tables. cloud-init takes one like "
                        "ds=nocloud;s=URL for the place of its data."},
        {"machine.debugcon", CONFIG_OUTPUT, FILE_KEY(machine.debugcon),
                .help = "The file that gets what the firmware writes to its debug console (port 0x402). A "
                        "regular file is emptied first, unless it is one that vmm was started with, as "
                        "/dev/stderr; pipes and devices are written through."},
        {"machine.pvpanic", CONFIG_BOOL, AT(machine.pvpanic), .def = "true",
                .help = "Give the guest a pvpanic device (port 0x505), by which its kernel reports a panic: "
                        "vmm then ends the guest as crashed. A panic that starts a crash kernel is logged, "
                        "and the guest goes on. Nothing of this is measured."},

        {"machine.rng", CONFIG_BOOL, AT(machine.rng), .def = "true",
                .help = "Give a guest that has devices, and no rng among them, one more: a source of random "
                        "numbers, without which firmware of 2025 boots from no network. Neither it nor any "
                        "other device is measured."},

        {"boot.kernel", CONFIG_PATH, FILE_KEY(boot.kernel),
                .help = "The program that the firmware starts instead of looking for a disk: a Linux kernel "
                        "(bzImage), or an EFI program such as a shell, a boot loader or a unified kernel "
                        "image."},
        {"boot.initrd", CONFIG_PATH, FILE_KEY(boot.initrd), .needs = "boot.kernel",
                .help = "The initial RAM disk of boot.kernel."},
        {"boot.cmdline", CONFIG_STRING, AT(boot.cmdline), .max = CMDLINE_MAX_BYTES, .def = "\"\"",
                .needs = "boot.kernel", .help = "The command line of boot.kernel."},
        {"boot.hashes", CONFIG_BOOL, AT(boot.hashes), .def = "false", .types = SEV | SNP,
                .needs = "boot.kernel",
                .help = "Put the hashes of kernel, initial RAM disk and command line into measured memory, "
                        "so that the firmware refuses others and the measurement covers them."},

        {"sev.type", CONFIG_WORD, AT(sev.type), .words = type_words, .def = "\"none\"",
                .help = "What protects the guest: nothing, encrypted memory (SEV), encrypted registers too "
                        "(SEV-ES), memory integrity too (SEV-SNP)."},
        {"sev.init", CONFIG_WORD, AT(sev.init), .words = init_words, .def = "\"auto\"", .types = SEV,
                .help = "How KVM makes the context of a SEV or SEV-ES guest: with KVM_SEV_INIT2 (init2), as "
                        "kernels before 6.10 do (legacy), or with INIT2 if the host offers it (auto). It "
                        "changes the measurement of a SEV-ES guest."},
        {"sev.policy", CONFIG_POLICY, AT(sev.policy), .given = offsetof(struct config, sev.policy_given),
                .def = "null", .types = SEV | SNP,
                .help = "What the secure processor allows with this guest: a number, taken as it is, or "
                        "words, as a list or in a string with commas between them; null is the default of "
                        "the type: 0x1 for sev, 0x5 for sev-es, 0x30000 for sev-snp."},
        {"sev.vmsa-features", CONFIG_FEATURES, AT(sev.vmsa_features),
                .given = offsetof(struct config, sev.vmsa_features_given), .def = "null", .types = ES | SNP,
                .help = "The SEV_FEATURES of every virtual processor, which are measured: a number, taken as "
                        "it is, or words, as a list or in a string with commas between them; null is the "
                        "default of the type: 0 for sev-es, 0x1 for sev-snp."},
        {"sev.id-block", CONFIG_PATH, FILE_KEY(sev.id_block), .types = SNP, .needs = "sev.id-auth",
                .help = "The ID block of a SEV-SNP guest: its expected measurement, policy and names, signed "
                        "in sev.id-auth. As it is or in Base64, as sev.id-auth."},
        {"sev.id-auth", CONFIG_PATH, FILE_KEY(sev.id_auth), .types = SNP, .needs = "sev.id-block",
                .help = "The ID authentication structure: signature and key of sev.id-block, and the "
                        "author's signature and key if there is one."},
        {"sev.host-data", CONFIG_HEX, AT(sev.host_data), .min = 64, .max = 64, .def = "\"\"", .types = SNP,
                .help = "32 bytes that a SEV-SNP guest finds in its attestation reports (HOST_DATA)."},
        {"sev.certificates", CONFIG_STRING, AT(sev.certificates), .max = PATH_MAX_BYTES, .def = "\"\"",
                .types = SNP,
                .help = "The certificates that a SEV-SNP guest gets with its attestation reports: a file "
                        "with a certificate table (snphost import; on the software platform vmm host "
                        "--certificates), or a folder with vcek or vlek, ask or asvk, and ark, as .der or "
                        ".pem. They are read anew for each request, under a read lock (F_OFD_SETLK)."},
        {"sev.enforce-digest", CONFIG_BOOL, AT(sev.enforce_digest), .def = "true", .types = SNP,
                .help = "Refuse to launch a SEV-SNP guest whose measurement is not the one that vmm "
                        "computed. Without sev.id-block, vmm makes an ID block with a key of its own for "
                        "this launch alone: the ID key digest in the guest's reports is then that key's, not "
                        "zeros."},
        {"sev.dh-cert", CONFIG_PATH, FILE_KEY(sev.dh_cert), .types = SEV, .needs = "sev.session",
                .help = "The guest owner's Diffie-Hellman certificate, as it is or in Base64."},
        {"sev.session", CONFIG_PATH, FILE_KEY(sev.session), .types = SEV, .needs = "sev.dh-cert",
                .help = "The guest owner's launch session, made for this host and sev.dh-cert, as it is or "
                        "in Base64."},
        {"sev.cpuid-correction", CONFIG_WORD, AT(sev.cpuid_correction), .words = correction_words,
                .def = "\"adopt\"", .types = SNP,
                .help = "What to do when the secure processor corrects the CPUID page, which it does when "
                        "the guest's CPUID claims what the processor lacks: launch with the corrected page, "
                        "or refuse. Each changed bit is logged. The page is not measured."},
        {"sev.page-status", CONFIG_BOOL, AT(sev.page_status), .def = "false",
                .help = "Ask a SEV or SEV-ES guest to report which pages it shares with the host (CPUID: "
                        "KVM_FEATURE_HC_MAP_GPA_RANGE, KVM_FEATURE_MIGRATION_CONTROL), and keep a record of "
                        "them: vmm ctl status shows it. Linux reports them, OVMF does not. The record is "
                        "what the guest says, and nothing is measured. A SEV-SNP guest reports them in any "
                        "case."},
        {"sev.shared-ranges-max", CONFIG_NUMBER, AT(sev.shared_ranges_max), .min = 1,
                .max = CONFIG_SHARED_RANGES_MAX, .def = "65536",
                .help = "How many ranges of shared pages the record of a guest may hold (SEV-SNP; SEV and "
                        "SEV-ES with sev.page-status), so that no guest can fill the host's memory: 24 bytes "
                        "each. A Linux guest has some tens. Past it a conversion is refused: a SEV-SNP guest "
                        "ends itself, and of another guest, which goes on, vmm ctl status says that the "
                        "record is incomplete."},
        {"sev.conversion-storm", CONFIG_NUMBER, AT(sev.conversion_storm), .min = 0, .max = 1000000000,
                .def = "10000",
                .help = "More conversions of pages to private or shared than this within a second are told, "
                        "by a warning and by the control socket's event __VMM_CONVERSION_STORM (SEV-SNP; SEV "
                        "and SEV-ES with sev.page-status). Each takes the host some ten microseconds, so "
                        "10000 of them take a tenth of a processor; a Linux guest boots with some hundreds. "
                        "It comes from a driver that shares its buffers anew for each request, or once, at "
                        "the start, from a guest that accepts much memory in small pieces. 0: never."},
        {"sev.helper", CONFIG_BOOL, AT(sev.helper), .def = "false",
                .help = "Add vmm's migration helper to a SEV or SEV-ES guest: 64 KiB that are measured with "
                        "it, "
                        "and run on a VM of their own that shares the guest's encryption context. It seals "
                        "pages of the guest with keys that the host does not know. The guest's owner gives "
                        "it a root key by sev.secret at sev.secret-address fef07000. sev.policy must have "
                        "the word nodbg, as its default does. A SEV-ES guest is not moved all the same: no "
                        "kernel moves its processors' registers."},
        {"sev.measurement", CONFIG_OUTPUT_WHOLE, FILE_KEY(sev.measurement), .types = SEV,
                .help = "The file that gets the launch measurement (48 bytes, LAUNCH_MEASURE), for the "
                        "guest's owner to judge. vmm writes it whole, during the launch, as a new file or "
                        "instead of a regular file; it replaces nothing else."},
        {"sev.secret-header", CONFIG_STRING, AT(sev.secret_header), .max = PATH_MAX_BYTES, .def = "\"\"",
                .types = SEV, .needs = "sev.secret",
                .help = "The packet header of sev.secret, a file (vmm secret pack --out-header)."},
        {"sev.secret", CONFIG_STRING, AT(sev.secret), .max = PATH_MAX_BYTES, .def = "\"\"", .types = SEV,
                .needs = "sev.secret-header",
                .help = "The guest owner's encrypted secret, a file (vmm secret pack --out-secret). It can "
                        "be made only from this launch's measurement, so one that is older is not taken."},
        {"sev.secret-address", CONFIG_HEX, AT(sev.secret_address), .min = 1, .max = 10, .def = "\"\"",
                .types = SEV, .needs = "sev.secret",
                .help = "Where in the guest's memory the secret goes, hexadecimal digits. Empty: where the "
                        "firmware image says."},
        {"sev.secret-wait", CONFIG_NUMBER, AT(sev.secret_wait_s), .max = 86400, .unit = "seconds", .def = "0",
                .help = "How long a launch waits for sev.secret and its header. A reset is another launch, "
                        "with another measurement, and waits again."},

        {"run.grace", CONFIG_NUMBER, AT(run.grace_s), .max = 3600, .unit = "seconds", .def = "30",
                .help = "The time between pressing the guest's power button and ending it; 0 ends it at "
                        "once."},
        {"run.on-reboot", CONFIG_WORD, AT(run.on_reboot), .words = reboot_words, .def = "\"restart\"",
                .help = "What happens when the guest reboots: it is launched again, or vmm ends with an exit "
                        "status of its own, 5, so that whoever started vmm decides."},
        {"run.paused", CONFIG_BOOL, AT(run.paused), .def = "false",
                .help = "Launch the guest, and let it wait for a controller's cont. A SEV or SEV-ES guest "
                        "waits before LAUNCH_SECRET, so that its owner can judge the measurement and send a "
                        "secret; a SEV-SNP guest waits before SNP_LAUNCH_FINISH."},
        {"run.sandbox", CONFIG_BOOL, AT(run.sandbox), .def = "true",
                .help = "From the launch on vmm makes only the system calls that it needs, and ends itself "
                        "when it makes another one: see docs/sandbox.md. --no-sandbox says false."},
        {"control.socket", CONFIG_STRING, AT(control.socket), .max = PATH_MAX_BYTES, .def = "\"\"",
                .help = "The Unix socket at which other programs ask about the guest and steer it (QMP): a "
                        "path of at most 107 bytes, or fd:N for a listening socket that vmm inherits. Empty: "
                        "none, or the one that systemd hands over. Only the user of vmm and root may "
                        "connect."},
        {"control.allow", CONFIG_STRING, AT(control.allow), .max = ALLOW_MAX_BYTES, .def = "\"\"",
                .needs = "control.socket",
                .help = "Names or numbers of more users who may connect to control.socket, with commas "
                        "between them. They can end the guest and read what vmm knows of it."},
        {"migrate.record", CONFIG_OUTPUT, FILE_KEY(migrate.record),
                .help = "A file to which a line is appended, and written to the disk, before the guest is "
                        "given to another vmm or taken from one. Whoever has to decide which side of a "
                        "broken "
                        "move has the guest reads the files of both."},
        {"migrate.certificates", CONFIG_PATH, FILE_KEY(migrate.certificates),
                .help = "The certificates of this computer's processor, as sevctl export --full writes them: "
                        "PDH, PEK, OCA, and the CEK, ASK and ARK that AMD signed. A vmm that sends a SEV "
                        "guest "
                        "without sev.helper to this one verifies them."},
        {"migrate.root", CONFIG_PATH, FILE_KEY(migrate.root),
                .help = "A SEV guest without sev.helper goes only to a host whose certificates lead to this "
                        "root (an ARK, in AMD's binary format). Empty: to one of AMD's."},
        {"migrate.tls-authority", CONFIG_PATH, FILE_KEY(migrate.tls_authority),
                .needs = "migrate.tls-certificate",
                .help = "Guests come and go over TLS 1.3 alone, and only to and from a vmm whose certificate "
                        "was issued by an authority of this file (PEM)."},
        {"migrate.tls-certificate", CONFIG_PATH, FILE_KEY(migrate.tls_certificate),
                .needs = "migrate.tls-key",
                .help = "The certificate that this vmm shows to others, and those between it and the "
                        "authority (PEM). As the target of a move it must be for the name or IP address by "
                        "which the source calls this computer."},
        {"migrate.tls-key", CONFIG_PATH, FILE_KEY(migrate.tls_key), .needs = "migrate.tls-authority",
                .help = "The private key of migrate.tls-certificate (PEM, without a password)."},
        {"migrate.tls-name", CONFIG_STRING, AT(migrate.tls_name), .max = HOST_NAME_MAX_BYTES, .def = "\"\"",
                .needs = "migrate.tls-authority",
                .help = "The name or IP address that the other vmm's certificate must be for. Empty: to "
                        "whom a guest is sent, the one in tcp:HOST:PORT; from whom a guest comes, any."},
        {"sim.cpu", CONFIG_WORD, AT(sim.cpu), .words = processor_words, .def = "\"interpreter\"",
                .help = "How the software platform's processor runs a guest's code: one instruction after "
                        "another, or translated to this machine's code where it runs often. Both compute "
                        "the same. For developers, both runs each piece of code by the one and by the other, "
                        "and ends the guest where they differ."},
        {"sim.clock", CONFIG_WORD, AT(sim.clock), .words = clock_words, .def = "\"virtual\"",
                .help = "The time of a guest on the software platform: virtual, which advances with its "
                        "instructions and skips what it only waits for, so that every run is the same; or "
                        "that of the host."},
        {"sim.product", CONFIG_WORD, AT(sim.product), .words = product_words, .def = "\"Milan\"",
                .help = "The processor that the software platform pretends to be: Naples has SEV, Rome "
                        "SEV-ES too, those from Milan on SEV-SNP too; none has no secure processor."},
        {"sim.seed", CONFIG_NUMBER, AT(sim.seed), .max = UINT32_MAX, .def = "1",
                .help = "The number from which the keys of the software platform's secure processor follow: "
                        "the same number gives the same chip."},
        {"sim.firmware-version", CONFIG_STRING, AT(sim.firmware_version), .max = VERSION_MAX_BYTES,
                .def = "\"\"",
                .help = "The version of the secure processor's firmware on the software platform: API major "
                        "and minor number, and build, as \"1.55.29\", for SEV and SEV-SNP alike. The layout "
                        "of attestation reports depends on it. Empty selects a version that exists for "
                        "sim.product."},
        {"sim.tcb", CONFIG_HEX, AT(sim.tcb), .min = 16, .max = 16, .def = "\"\"",
                .help = "The TCB version of the secure processor on the software platform as a number of 16 "
                        "hexadecimal digits, whose bytes have the meaning that sim.product gives them; empty "
                        "is the product's own."},
        {"sim.vlek", CONFIG_STRING, AT(sim.vlek), .max = CSP_ID_MAX_BYTES, .def = "\"\"",
                .help = "The cloud provider whose key (VLEK) the secure processor of the software platform "
                        "has loaded: the attestation reports of SEV-SNP guests are signed by it, unless they "
                        "demand the chip's key (VCEK). Empty: none."},
        {"sim.mask-chip", CONFIG_WORD, AT(sim.mask_chip), .words = mask_words, .def = "\"none\"",
                .help = "What the host of the software platform keeps out of attestation reports "
                        "(SNP_CONFIG): the id of its chip, signatures and derived keys by the chip's key "
                        "(VCEK), or both. A VLEK signs in any case."},
        {"sim.asids", CONFIG_NUMBER, AT(sim.asids), .min = 1, .max = SIM_ASIDS_MAX, .def = "509",
                .help = "The number of ASIDs, and so of confidential guests, on the software platform."},
        {"sim.es-asids", CONFIG_NUMBER, AT(sim.es_asids), .max = SIM_ASIDS_MAX, .def = "99",
                .help = "How many of sim.asids, from 1, are for SEV-ES and SEV-SNP guests; the rest is for "
                        "SEV guests."},
        {"sim.snp-asids", CONFIG_NUMBER, AT(sim.snp_asids), .max = SIM_ASIDS_MAX, .def = "0",
                .help = "How many of sim.es-asids, from 1, are for SEV-SNP guests alone, as with ciphertext "
                        "hiding; 0: SEV-ES and SEV-SNP guests share theirs."},
        {"sim.c-bit", CONFIG_NUMBER, AT(sim.c_bit), .min = 40, .max = 51, .def = "51",
                .help = "The place of the C-bit in page tables on the software platform."},
        {"sim.smt", CONFIG_BOOL, AT(sim.smt), .def = "true",
                .help = "Simultaneous multithreading of the processor on the software platform: while it is "
                        "on, SEV-SNP guests whose policy lacks the word smt are refused."},
        {"sim.memlock", CONFIG_SIZE, AT(sim.memlock_bytes), .max = MEMLOCK_MAX_BYTES, .def = "\"0\"",
                .help = "The limit of locked memory (RLIMIT_MEMLOCK) that the software platform pretends: "
                        "the memory of a SEV or SEV-ES guest and its firmware must fit into it, in whole "
                        "MiB. 0: none."},
        {"sim.cgroup", CONFIG_STRING, AT(sim.cgroup), .max = PATH_MAX_BYTES, .def = "\"\"",
                .help = "A folder that stands for the misc cgroup of this process on the software platform: "
                        "the limits in its misc.max hold, the other files (misc.current, ...) are written. "
                        "Made if missing; one process at a time. Empty: no limits but the number of ASIDs."},
        {"log", CONFIG_WORD, AT(log), .words = log_words, .def = "\"warn\"",
                .help = "How much is logged to standard error: messages of this level and more serious "
                        "ones."},
};

const size_t config_keys_count = ARRAY_LEN(config_keys);

const struct config_key *config_key_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(config_keys); i++) {
		if (strcmp(config_keys[i].name, name) == 0)
			return &config_keys[i];
	}
	return NULL;
}

const char *config_words_text(
        const char *const *words, unsigned mask, char text[static CONFIG_WORDS_TEXT_BYTES])
{
	size_t used = 0;

	text[0] = '\0';
	for (unsigned i = 0; words[i] && used < CONFIG_WORDS_TEXT_BYTES; i++) {
		bool last = !words[i + 1] || mask >> i == 1;

		if (mask & 1u << i)
			used += (size_t)snprintf(text + used, CONFIG_WORDS_TEXT_BYTES - used, "%s%s",
			        !used  ? ""
			        : last ? " or "
			               : ", ",
			        words[i]);
	}
	return text;
}

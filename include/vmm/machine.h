/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine: puts the parts together: the CPU that the guest sees, the tables that it finds, and the devices
 * that answer at its addresses. docs/platform.md is the map, docs/cpu-models.md the policy for CPUID.
 */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base.h"
#include "vmm/config.h"
#include "vmm/device.h"
#include "vmm/host.h"
#include "vmm/loop.h"
#include "vmm/page.h"

/* ---- CPU models (machine/cpu_models.c) ---- */

/*
 * A named CPU. It never changes and is never freed. Names and contents are those of QEMU's x86 models as KVM
 * guests get them. The signatures are those of sev-snp-measure, because launch digests of SEV-ES and SEV-SNP
 * guests depend on them.
 */
struct machine_cpu_model {
	const char *name;      /* "EPYC-Milan-v2"; "host" is what the host offers */
	const char *parent;    /* the model whose features this one starts from; NULL: none */
	uint32_t signature;    /* CPUID.1.EAX: family, model, stepping (APM vol. 3, E.3.2); 0: the host's */
	uint32_t max_leaf_ext; /* CPUID.80000000.EAX */
	const char *title;     /* brand string, CPUID.80000002-4; at most 47 bytes; NULL: the host's */
	const struct machine_cpu_caches *caches;
	const char *features; /* added to the parent's; "-name" takes one away */
};

/*
 * Finds a model by name or alias ("EPYC-Milan" is "EPYC-Milan-v1", "EPYC-IBPB" is "EPYC-v2"). NULL: there is
 * none.
 */
const struct machine_cpu_model *machine_cpu_model(const char *name);
/* Returns name number i of those that machine_cpu_model() takes, aliases included. NULL after the last. */
const char *machine_cpu_model_name(size_t i);

/* ---- guest CPUID (machine/cpuid.c) ---- */

/* The most vCPUs that a guest can run with. vmm can measure guests that have more (CONFIG_VCPUS_MAX). */
#define MACHINE_VCPUS_MAX 64

/* The CPUID page of SEV-SNP has room for 64 entries (SNP ABI, 8.14.2.6). The model `host` may need more. */
#define MACHINE_CPUID_ENTRIES_MAX 128

/* The argument of KVM_SET_CPUID2: the layout of struct kvm_cpuid2 with room for its entries. */
struct machine_cpuid {
	uint32_t nent;
	uint32_t padding;
	struct kvm_cpuid_entry2 entries[MACHINE_CPUID_ENTRIES_MAX];
};

struct machine_cpuid_ask {
	const struct machine_cpu_model *model;
	const uint32_t *signature;          /* in place of the model's; NULL: the model's */
	const struct kvm_cpuid2 *supported; /* what KVM_GET_SUPPORTED_CPUID gave */
	bool tsc_deadline;                  /* KVM_CAP_TSC_DEADLINE_TIMER: `supported` never holds it */
	enum config_sev_type sev;           /* the guest reads it in CPUID.8000001F */
	bool report_sharing;  /* asks the guest to report which pages it shares (KVM_HC_MAP_GPA_RANGE) */
	unsigned vcpu, vcpus; /* index and count: 1..MACHINE_VCPUS_MAX; the index is the APIC id */
};

/* Features of the model that the guest does not get because the host does not offer them. Static strings. */
#define MACHINE_CPUID_DROPPED_MAX 256
struct machine_cpuid_dropped {
	const char *names[MACHINE_CPUID_DROPPED_MAX];
	unsigned count;
};

/*
 * Makes the guest's CPUID table by the policy of docs/cpu-models.md: the features that both the model and the
 * host have, with the topology of this vCPU. The dropped features are the same for every vCPU; ret_dropped
 * may be NULL. ERR_HOST if the host does not offer the wanted SEV generation or offers more entries than fit.
 * Any thread.
 */
int machine_cpuid_make(const struct machine_cpuid_ask *ask, struct machine_cpuid *ret_cpuid,
        struct machine_cpuid_dropped *ret_dropped, struct err *err) MUST_CHECK;
/* Returns the entry of a leaf, NULL if there is none. index is ignored for leaves without subleaves. */
const struct kvm_cpuid_entry2 *machine_cpuid_find(
        const struct machine_cpuid *cpuid, uint32_t function, uint32_t index);
/* Writes "svm, avx2, ...", for the log. A list that does not fit ends with "and N more". */
void machine_cpuid_dropped_format(const struct machine_cpuid_dropped *dropped, char *text, size_t size);

/* ---- fixed places of the platform that tables describe and devices answer ---- */

#define MACHINE_IOAPIC_GPA  UINT64_C(0xfec00000)
#define MACHINE_LAPIC_GPA   UINT64_C(0xfee00000)
#define MACHINE_PCI_WINDOW  UINT64_C(0x80000000) /* memory BARs: from PAGE_HOLE_START ... */
#define MACHINE_PCI_LIMIT   UINT64_C(0xfc000000) /* ... up to here */
#define MACHINE_PM_PORT     0xb000               /* where OVMF puts the PIIX4 PM block (PMBA) */
#define MACHINE_RESET_PORT  0xcf9
#define MACHINE_RESET_VALUE 6
#define MACHINE_GSI_PIT     2 /* IRQ 0 arrives here: KVM's routing needs GSI 0 at pin 2 of the IOAPIC */

/* ---- ACPI tables (machine/acpi.c) ---- */

/* Files for fw_cfg. The firmware follows the script: it allocates, links and checksums the tables (QEMU,
 * bios-linker-loader). */
struct machine_acpi {
	void *tables; /* etc/acpi/tables: FACS, DSDT, FADT, MADT, XSDT */
	size_t tables_size;
	size_t fadt_at; /* offset of the FADT in tables */
	void *rsdp;     /* etc/acpi/rsdp */
	size_t rsdp_size;
	void *loader; /* etc/table-loader */
	size_t loader_size;
};

/*
 * Makes the tables of a board with that many vCPUs. They are the same for every guest that has both.
 * ERR_USAGE unless vcpus is 1..MACHINE_VCPUS_MAX. The caller finishes *ret_acpi.
 */
int machine_acpi_build(const struct device_board *board, unsigned vcpus, struct machine_acpi *ret_acpi,
        struct err *err) MUST_CHECK;
void machine_acpi_finish(struct machine_acpi *acpi); /* a zeroed one is allowed */
/* Writes the port of the PM block into a FADT that has no checksum yet. At first it is MACHINE_PM_PORT. */
void machine_acpi_set_pm_port(uint8_t *fadt, uint16_t port);

/* ---- SMBIOS tables (machine/smbios.c) ---- */

#define MACHINE_SMBIOS_ANCHOR_BYTES 31

/* Files for fw_cfg. Firmware puts the tables somewhere and writes their address into the anchor. */
struct machine_smbios {
	void *tables; /* etc/smbios/smbios-tables */
	size_t tables_size;
	uint8_t anchor[MACHINE_SMBIOS_ANCHOR_BYTES]; /* etc/smbios/smbios-anchor */
};

struct machine_smbios_ask {
	const struct config *config; /* name, machine.uuid, machine.serial, machine.vcpus */
	const struct machine_cpu_model *model;
	const struct page_layout *layout;
};

/* Makes the tables. The caller finishes *ret_smbios. */
int machine_smbios_build(
        const struct machine_smbios_ask *ask, struct machine_smbios *ret_smbios, struct err *err) MUST_CHECK;
void machine_smbios_finish(struct machine_smbios *smbios); /* a zeroed one is allowed */

/* ---- memory map and states for firmware (machine/tables.c) ---- */

#define MACHINE_E820_ENTRIES_MAX   2
#define MACHINE_E820_ENTRY_BYTES   20
#define MACHINE_E820_MAX_BYTES     ((size_t)MACHINE_E820_ENTRIES_MAX * MACHINE_E820_ENTRY_BYTES)
#define MACHINE_SYSTEM_STATES_SIZE 6

/* Makes etc/e820: the RAM of the layout, without the firmware image. Returns the number of bytes written. */
size_t machine_e820_make(const struct page_layout *layout, uint8_t ret_table[static MACHINE_E820_MAX_BYTES]);
/* etc/system-states: S3 and S4 are not supported. */
extern const uint8_t machine_system_states[MACHINE_SYSTEM_STATES_SIZE];

/* ---- the machine: what outlives a reset (machine/machine.c) ---- */

struct machine;

/* The contents of a file. */
struct machine_image {
	const void *data; /* NULL: the configuration names none, or it is empty */
	size_t size_bytes;
};

/*
 * The contents of the files `firmware`, `boot.kernel` and `boot.initrd`. They are read once, so that the
 * bytes that are measured are those that the guest gets.
 */
struct machine_files {
	struct machine_image firmware, kernel, initrd;
};

/* Where a machine lives; everything is borrowed. */
struct machine_place {
	struct host *host;
	const struct device_clock *clock; /* of hosts with a time of their own; NULL: this computer's */
	const struct device_events *events;
	struct loop *loop; /* the main loop, for devices; it is destroyed after the machine */
	/* A guest comes from elsewhere: its disks (struct virtio_place) and the store of its firmware's
	 * variables are another vmm's at first. */
	bool arrives;
};

/*
 * Checks the configuration and its files against the host, and makes the devices and what they are connected
 * to. config and the files' bytes are borrowed; the guest reads the bytes where they are. Errors name the
 * file or key at fault.
 */
int machine_create(const struct machine_place *place, const struct config *config,
        const struct machine_files *files, struct machine **ret_machine, struct err *err) MUST_CHECK;
void machine_destroy(struct machine *machine); /* NULL is allowed; after its machine_vm */
/*
 * Checks what does not depend on KVM: the files, and whether this computer has the memory. Fails if
 * machine_create() or the guest's memory would be refused because of them. Asks no host, and opens nothing
 * that the devices of devices[] are connected to. Main thread.
 */
int machine_check(const struct config *config, const struct machine_files *files, struct err *err) MUST_CHECK;
const struct config *machine_config(const struct machine *machine);
struct host *machine_host(const struct machine *machine);
/* Returns the board with the devices: device_serial_of(machine_board(machine)) is the console. */
const struct device_board *machine_board(const struct machine *machine);

/*
 * The store of the firmware's variables, when a guest goes on elsewhere. As with disks
 * (virtio_disks_release()), the machine that has the guest lets go of it before it gives the guest away, and
 * the other one takes it when the guest is its own; or the first one takes it again. Without a store nothing
 * happens. Main thread, while no vCPU runs. take, ERR_USAGE: somebody else has the file. Both, ERR_HOST: it
 * cannot be written.
 */
int machine_flash_release(struct machine *machine, struct err *err) MUST_CHECK;
int machine_flash_take(struct machine *machine, struct err *err) MUST_CHECK;

/* ---- the kernel that the firmware starts (machine/kernel.c, boot.c) ---- */

#define MACHINE_KERNEL_MAX_BYTES MIB(512)
#define MACHINE_INITRD_MAX_BYTES GIB(1)

/*
 * Returns how many of a file's first bytes go into the setup item of fw_cfg; the rest is the kernel item. In
 * a Linux bzImage they are the real-mode setup part (boot.rst, "setup_sects"). An EFI program is split at the
 * same byte, as QEMU does. 0: the file is neither, or ends before the kernel. The file may hold anything.
 */
size_t machine_kernel_setup_bytes(const void *file, size_t size_bytes);
/*
 * Sets the error for a file for which machine_kernel_setup_bytes() returned 0. The error says what the file
 * is instead, if that can be seen. Returns -1.
 */
int machine_kernel_refuse(const char *path, const void *file, size_t size_bytes, struct err *err);
/*
 * Returns how much memory a Linux kernel needs to unpack itself and run (boot.rst, "init_size"); of a kernel
 * that does not say so, and of another EFI program, the size of the file. file may be
 * NULL.
 */
uint64_t machine_kernel_unpacked_bytes(const void *file, size_t size_bytes);
/*
 * Returns where BIOS firmware is to put an initrd: on a page boundary, as high as the kernel's header allows,
 * and below what firmware keeps at the end of low RAM. 0: there is no such place. setup is the kernel's setup
 * part.
 */
uint64_t machine_kernel_initrd_address(
        const void *setup, size_t setup_bytes, uint64_t low_bytes, uint64_t initrd_bytes);

/* ---- one incarnation of the guest (machine/vm.c) ---- */

struct machine_vm;

struct machine_vcpu {
	unsigned index;
	int fd;
	struct kvm_run *run;
	size_t run_size; /* bytes mapped there, at least sizeof(struct kvm_run) */
};

/*
 * Makes a new guest: fresh memory, the VM (type: enum uapi_vm_type) with its interrupt controllers, and all
 * devices as after power-on. The memory of a plain guest holds the firmware image. A SEV guest's launch
 * brings what is measured. A SEV-SNP guest's memory has a private backing. There is at most one guest at a
 * time. Main thread.
 */
int machine_vm_create(
        struct machine *machine, unsigned type, struct machine_vm **ret_vm, struct err *err) MUST_CHECK;
/* Makes the guest's vCPUs, in KVM's reset state. Called once; for a SEV guest after its context was made. */
int machine_vm_add_vcpus(struct machine_vm *vm, struct err *err) MUST_CHECK;
/* Destroys the guest. Called after all its vCPUs have stopped. NULL is allowed. */
void machine_vm_destroy(struct machine_vm *vm);
/* Stops the devices of a guest whose vCPUs have ended, and returns when they have done what they had begun.
 */
void machine_vm_quieten(struct machine_vm *vm);
int machine_vm_fd(const struct machine_vm *vm);
struct page_memory *machine_vm_memory(const struct machine_vm *vm);
/*
 * Finds the place of the next piece of RAM, as page_plug_find() does; nothing changes. ERR_USAGE also if all
 * slots are taken. Main thread.
 */
int machine_vm_plug_find(
        struct machine_vm *vm, uint64_t size_bytes, struct page_plug *ret_plug, struct err *err) MUST_CHECK;
/*
 * Gives the guest that piece while it runs, and tells it. A SEV or SEV-ES guest's is pinned already. A reset
 * keeps it. Main thread.
 */
int machine_vm_plug(struct machine_vm *vm, const struct page_plug *plug, struct err *err) MUST_CHECK;
/*
 * From now on, or no longer, the guest's writes (KVM's log of all memory slots, of memory that is plugged
 * meanwhile, too) and vmm's own (page_memory_track()) are logged. When it is switched on, KVM may count all
 * pages as written, and what was written before is not in the log: begin with all pages. While it is on,
 * guests write more slowly. ERR_HOST: a SEV-SNP guest, whose private memory KVM does not log. Any thread
 * while the incarnation lives.
 */
int machine_vm_log_writes(struct machine_vm *vm, bool on, struct err *err) MUST_CHECK;
struct page_dirty;
/*
 * Moves to a map of this guest's memory what was logged. Read the bytes of its frames afterwards: what is
 * written after this call is found by the next. Once all vCPUs are stopped and the devices are quiet, one
 * more call finds all that is left. Not logged are the writes of other processes and of the kernel's vhost,
 * and those of the secure processor. ERR_FAILED: nothing is logged. Any thread while the incarnation lives,
 * one at a time.
 */
int machine_vm_collect_written(struct machine_vm *vm, struct page_dirty *into, struct err *err) MUST_CHECK;
/*
 * May the guest be migrated? A confidential guest starts with no, and says yes when its report of shared
 * pages is complete (MSR_KVM_MIGRATION_CONTROL). Any thread.
 */
bool machine_vm_may_migrate(const struct machine_vm *vm);
void machine_vm_set_may_migrate(struct machine_vm *vm, bool may);

/* ---- what KVM holds of a guest that moves (machine/state.c) ---- */

/*
 * These three visit all of it, when each vCPU is parked (so KVM has the answer to its last exit) or has never
 * run. They are called in this order, on both hosts: the time, every vCPU, the interrupt controllers. For the
 * deadlines of APIC timers are times of the TSC, and the IOAPIC sends what waits in it to the APICs. Devices
 * set the levels of their interrupt lines afterwards.
 *
 * One that loads writes to KVM what it has checked. If it makes the vmstate bad, the guest must not run. A
 * plain guest or a SEV guest; the registers of others are encrypted. The vCPUs have the CPUID table of the
 * other host. Any thread while the incarnation lives, one at a time.
 */
struct vmstate;
/*
 * The guest's clock and the TSC of each vCPU go on where they were when they were saved, plus what has passed
 * meanwhile by the hosts' CLOCK_REALTIME. They never go back. If the hosts' TSCs run at different rates, this
 * host's processor scales; if it cannot, the vmstate becomes bad, and the error has both rates.
 */
void machine_vm_visit_time(struct machine_vm *vm, struct vmstate *s);
/* vCPU number i, below machine_vm_vcpu_count(). */
void machine_vm_visit_vcpu(struct machine_vm *vm, unsigned i, struct vmstate *s);
/* The PICs, the IOAPIC and the PIT, which begins its periods anew. */
void machine_vm_visit_chips(struct machine_vm *vm, struct vmstate *s);
/* Returns what backs the memory of a guest with this configuration. */
enum page_backing machine_backing(const struct config *config);
/* Returns the CPUID table of the first vCPU, after machine_vm_add_vcpus(). */
const struct machine_cpuid *machine_vm_cpuid(const struct machine_vm *vm);
unsigned machine_vm_vcpu_count(const struct machine_vm *vm);
struct machine_vcpu *machine_vm_vcpu(struct machine_vm *vm, unsigned i);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * types_machine: the types that describe a machine and its devices. Constant; any thread.
 */
#include "define.h"

static ENUM(target, "SysEmuTarget", "x86_64");
static OBJECT(cpu_properties, "CpuInstanceProperties", {"socket-id", INT, MAYBE}, {"core-id", INT, MAYBE},
        {"thread-id", INT, MAYBE});
static OBJECT(cpu, "CpuInfoFast", {"cpu-index", INT}, {"qom-path", STR},
        {"thread-id", INT, false, "The thread of this process that runs it; 0: there is none now."},
        {"props", &cpu_properties, MAYBE}, {"target", &target});
LIST(control_type_cpu_list, "[CpuInfoFast]", cpu);

static OBJECT(hotpluggable, "HotpluggableCPU", {"type", STR}, {"vcpus-count", INT},
        {"props", &cpu_properties}, {"qom-path", STR, MAYBE});
LIST(control_type_hotpluggable_list, "[HotpluggableCPU]", hotpluggable);

OBJECT(control_type_memory, "MemoryInfo", {"base-memory", U64, false, "Bytes."},
        {"plugged-memory", U64, MAYBE, "What was added."});

static OBJECT(dimm, "PCDIMMDeviceInfo", {"id", STR, MAYBE}, {"addr", INT, false, "Where the guest finds it."},
        {"size", INT}, {"slot", INT}, {"node", INT}, {"memdev", STR, false, "Its backend: `/objects/ID`."},
        {"hotplugged", BOOL}, {"hotpluggable", BOOL});
static ENUM(memory_kind, "MemoryDeviceInfoKind", "dimm", "nvdimm", "virtio-pmem", "virtio-mem", "sgx-epc",
        "hv-balloon");
static OBJECT(dimm_data, "PCDIMMDeviceInfoWrapper", {"data", &dimm});
static const struct control_variant memory_rows[] = {{"dimm", &dimm_data}, {0}};
static UNION(memory_device, "MemoryDeviceInfo", "type", memory_rows, {"type", &memory_kind});
LIST(control_type_memory_device_list, "[MemoryDeviceInfo]", memory_device);

static ENUM(slot_type, "ACPISlotType", "DIMM", "CPU");
static OBJECT(ospm, "ACPIOSTInfo", {"device", STR, MAYBE}, {"slot", STR}, {"slot-type", &slot_type},
        {"source", INT, false, "What the answer is about: 1 is the news of a device; 0: there is no answer."},
        {"status", INT, false, "0: the system uses the memory; others are failures (ACPI 6.5, 6.3.5)."});
LIST(control_type_ospm_list, "[ACPIOSTInfo]", ospm);
const struct control_member control_event_ost[] = {{"info", &ospm}, {0}};
OBJECT(control_type_current_machine, "CurrentMachineParams", {"wakeup-suspend-support", BOOL});

static OBJECT(machine, "MachineInfo", {"name", STR}, {"alias", STR, MAYBE}, {"is-default", BOOL, MAYBE},
        {"cpu-max", INT}, {"hotpluggable-cpus", BOOL}, {"numa-mem-supported", BOOL}, {"deprecated", BOOL},
        {"default-cpu-type", STR, MAYBE}, {"acpi", BOOL});
LIST(control_type_machine_list, "[MachineInfo]", machine);

static OBJECT(chardev, "ChardevInfo", {"label", STR},
        {"filename", STR, false, "Where the characters go, as in QEMU's words."}, {"frontend-open", BOOL});
LIST(control_type_chardev_list, "[ChardevInfo]", chardev);

static OBJECT(iothread, "IOThreadInfo", {"id", STR, false, "That of the device."}, {"thread-id", INT},
        {"poll-max-ns", INT, false, "How long it looks for work at most before it sleeps."},
        {"poll-grow", INT, false, "0: by QEMU's rule, it looks twice as long the next time."},
        {"poll-shrink", INT, false, "0: by QEMU's rule, it looks no longer."},
        {"aio-max-batch", INT, false, "0: there is no limit."});
LIST(control_type_iothread_list, "[IOThreadInfo]", iothread);

/* ---- disks ---- */

static OBJECT(image, "ImageInfo", {"filename", STR}, {"format", STR}, {"virtual-size", INT});
static OBJECT(cache, "BlockdevCacheInfo", {"writeback", BOOL}, {"direct", BOOL}, {"no-flush", BOOL});
static ENUM(zeroes, "BlockdevDetectZeroesOptions", "off", "on", "unmap");
static OBJECT(inserted, "BlockDeviceInfo", {"file", STR}, {"node-name", STR, MAYBE}, {"ro", BOOL},
        {"drv", STR}, {"backing_file_depth", INT}, {"encrypted", BOOL}, {"active", BOOL},
        {"detect_zeroes", &zeroes}, {"bps", INT}, {"bps_rd", INT}, {"bps_wr", INT}, {"iops", INT},
        {"iops_rd", INT}, {"iops_wr", INT}, {"image", &image}, {"cache", &cache}, {"write_threshold", INT});
static ENUM(io_status, "BlockDeviceIoStatus", "ok", "failed", "nospace");
static OBJECT(block, "BlockInfo", {"device", STR, false, "The device's id."}, {"qdev", STR, MAYBE},
        {"type", STR}, {"removable", BOOL}, {"locked", BOOL}, {"inserted", &inserted, MAYBE},
        {"io-status", &io_status, MAYBE});
LIST(control_type_block_list, "[BlockInfo]", block);

/* ---- descriptors ---- */

OBJECT(control_type_added_fd, "AddfdInfo", {"fdset-id", INT}, {"fd", INT, false, "Its number here."});
static OBJECT(fdset_fd, "FdsetFdInfo", {"fd", INT}, {"opaque", STR, MAYBE});
static LIST(fdset_fd_list, "[FdsetFdInfo]", fdset_fd);
static OBJECT(fdset, "FdsetInfo", {"fdset-id", INT}, {"fds", &fdset_fd_list});
LIST(control_type_fdset_list, "[FdsetInfo]", fdset);

/* ---- arguments ---- */

const struct control_member control_arguments_resize[] = {{"device", STR, MAYBE, "The device's id."},
        {"node-name", STR, MAYBE, "The same; one of the two must be there."},
        {"size", INT, false, "The new size in bytes."}, {0}};
const struct control_member control_arguments_link[] = {
        {"name", STR, false, "The device's id."}, {"up", BOOL, false, "Is the cable in?"}, {0}};
const struct control_member control_arguments_add[] = {{"driver", STR, false, "What is to be plugged."},
        {"bus", STR, MAYBE}, {"id", STR, MAYBE},
        {"memdev", STR, MAYBE, "Of a `pc-dimm`: its backend, which object-add has made."}, {NULL, ANY}};
static ENUM(backend, "ObjectType", "memory-backend-ram");
const struct control_member control_arguments_object[] = {
        {"qom-type", &backend, false, "What is to be made."}, {"id", STR, false, "A name for it."},
        {"size", U64, false, "Bytes."}, {0}};
const struct control_member control_arguments_object_id[] = {{"id", STR, false, "Its name."}, {0}};
const struct control_member control_arguments_id[] = {{"id", STR, false, "The device's id."}, {0}};
const struct control_member control_arguments_fd[] = {{"fdname", STR, false, "A name for it."}, {0}};
const struct control_member control_arguments_add_fd[] = {
        {"fdset-id", INT, MAYBE,
                "The set; if it is not given, a new one with the first number that is free."},
        {"opaque", STR, MAYBE, "A note, which `query-fdsets` repeats."}, {0}};
const struct control_member control_arguments_remove_fd[] = {{"fdset-id", INT, false, "The set."},
        {"fd", INT, MAYBE, "The number of the descriptor; if it is not given, all of the set go."}, {0}};
const struct control_member control_arguments_hmp[] = {
        {"command-line", STR, false, "As a person would type it: `info status`."},
        {"cpu-index", INT, MAYBE, "The processor that it is about; 0 if it is not given."}, {0}};
static ENUM(
        dump_format, "DumpGuestMemoryFormat", "elf", "kdump-zlib", "kdump-lzo", "kdump-snappy", "win-dmp");
const struct control_member control_arguments_dump[] = {{"paging", BOOL}, {"protocol", STR},
        {"detach", BOOL, MAYBE}, {"begin", INT, MAYBE}, {"length", INT, MAYBE},
        {"format", &dump_format, MAYBE}, {0}};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * types: the types of arguments, results and events. Those of QEMU's commands have QEMU's names and members;
 * types_own.c has those of vmm's own.
 */
#ifndef VMM_CONTROL_TYPES_H
#define VMM_CONTROL_TYPES_H

#include "vmm/control/table.h"

/* types.c */
extern const struct control_type control_type_str, control_type_int, control_type_uint64, control_type_number,
        control_type_bool, control_type_any;
extern const struct control_type control_type_version, control_type_command_list, control_type_name,
        control_type_uuid, control_type_kvm, control_type_target, control_type_schema_list,
        control_type_status;

/* types_machine.c */
extern const struct control_type control_type_cpu_list, control_type_memory, control_type_current_machine,
        control_type_machine_list, control_type_chardev_list, control_type_iothread_list,
        control_type_hotpluggable_list, control_type_block_list, control_type_added_fd,
        control_type_fdset_list, control_type_memory_device_list, control_type_ospm_list;

/* types_migrate.c */
extern const struct control_type control_type_migration, control_type_migration_parameters,
        control_type_migration_capabilities;

/* types_sev.c */
extern const struct control_type control_type_sev, control_type_sev_capabilities, control_type_sev_measure,
        control_type_sev_report;

/* types_own.c */
extern const struct control_type control_type_pages, control_type_map, control_type_launch,
        control_type_digest, control_type_exits, control_type_asids, control_type_clock, control_type_disks,
        control_type_networks, control_type_mirror_id, control_type_mirrors;

/* Arguments. Each ends with a row without a name. */
extern const struct control_member control_arguments_capabilities[], control_arguments_inject[],
        control_arguments_report[], control_arguments_dump[], control_arguments_map[],
        control_arguments_hmp[], control_arguments_resize[], control_arguments_link[],
        control_arguments_add[], control_arguments_id[], control_arguments_fd[], control_arguments_add_fd[],
        control_arguments_remove_fd[], control_arguments_object[], control_arguments_object_id[],
        control_arguments_log[], control_arguments_fault[], control_arguments_firmware_fault[],
        control_arguments_migrate[], control_arguments_migration_parameters[],
        control_arguments_migration_capabilities[], control_arguments_resolve[],
        control_arguments_mirror_add[], control_arguments_mirror[];

/* The data of events. */
extern const struct control_member control_event_ended[], control_event_panicked[],
        control_event_disk_error[], control_event_ost[], control_event_launch[],
        control_event_shared_ranges_full[], control_event_conversion_storm[], control_event_migration[],
        control_event_migration_pass[], control_event_mirror[];

#endif

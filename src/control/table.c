/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table: the rows of all commands and events. Constant; any thread.
 */
#include <string.h>

#include "control.h"

const struct control_command control_commands[] = {
        /* ---- the session ---- */
        {"qmp_capabilities", control_arguments_capabilities, NULL, 0, control_capabilities,
                "Ends the negotiation with which every connection begins. No other command comes before it, "
                "and no event."},
        {"query-version", NULL, &control_type_version, 0, control_query_version,
                "The version of the protocol's model, which is QEMU's, and in `package` that of this "
                "program."},
        {"query-commands", NULL, &control_type_command_list, 0, control_query_commands,
                "The names of all commands."},
        {"query-qmp-schema", NULL, &control_type_schema_list, 0, control_query_schema,
                "All commands, events and types, for programs (QEMU's introspection)."},

        /* ---- the guest's life ---- */
        {"query-status", NULL, &control_type_status, 0, control_query_status,
                "Does the guest run? `prelaunch` is a guest that has not run yet, or that was reset while "
                "it was stopped."},
        {"stop", NULL, NULL, CONTROL_CHANGES | CONTROL_GUEST, control_stop,
                "Lets the guest's processors wait, its disks finish, and its other devices do nothing; "
                "the event STOP comes first. "
                "During a launch it takes effect at the launch's end."},
        {"cont", NULL, NULL, CONTROL_CHANGES | CONTROL_GUEST, control_cont,
                "Lets the guest's processors run; the event RESUME comes first. The rest of a launch that "
                "waits for it is done before."},
        {"system_reset", NULL, NULL, CONTROL_CHANGES | CONTROL_GUEST, control_reset,
                "Resets the guest. It is launched again, with a new context and a new measurement, on the "
                "same devices."},
        {"system_powerdown", NULL, NULL, CONTROL_CHANGES | CONTROL_GUEST, control_powerdown,
                "Presses the power button. The guest decides what it does then."},
        {"system_wakeup", NULL, NULL, CONTROL_CHANGES | CONTROL_GUEST, control_wakeup,
                "Fails: no guest can be suspended here."},
        {"quit", NULL, NULL, CONTROL_CHANGES, control_quit, "Ends the guest at once, and vmm."},

        /* ---- what the guest is ---- */
        {"query-name", NULL, &control_type_name, 0, control_query_name, "The guest's name."},
        {"query-uuid", NULL, &control_type_uuid, 0, control_query_uuid,
                "The guest's UUID; zero if it has none."},
        {"query-kvm", NULL, &control_type_kvm, 0, control_query_kvm,
                "Does a KVM run the guest? Not on the software platform."},
        {"query-target", NULL, &control_type_target, 0, control_query_target, "The guest's architecture."},
        {"query-machines", NULL, &control_type_machine_list, 0, control_query_machines,
                "The kinds of machines that there are: one."},
        {"query-current-machine", NULL, &control_type_current_machine, 0, control_query_current_machine,
                "What this machine can do."},
        {"query-cpus-fast", NULL, &control_type_cpu_list, 0, control_query_cpus,
                "The virtual processors and their threads."},
        {"query-hotpluggable-cpus", NULL, &control_type_hotpluggable_list, 0, control_query_hotpluggable,
                "The places of processors; all are taken, and none can be unplugged."},
        {"query-memory-size-summary", NULL, &control_type_memory, 0, control_query_memory,
                "How much memory the guest has."},
        {"query-memory-devices", NULL, &control_type_memory_device_list, 0, control_query_memory_devices,
                "Memory that was added, in the order in which it came."},
        {"query-acpi-ospm-status", NULL, &control_type_ospm_list, 0, control_query_ospm,
                "What the guest's system said of each piece of memory that was added, since its last reset."},
        {"query-chardev", NULL, &control_type_chardev_list, 0, control_query_chardev,
                "Serial port, debug console, virtio consoles and this socket."},
        {"query-iothreads", NULL, &control_type_iothread_list, 0, control_query_iothreads,
                "The threads that serve devices: one for each device that does much I/O. They cannot be "
                "tuned."},

        /* ---- devices ---- */
        {"query-block", NULL, &control_type_block_list, 0, control_query_block, "The guest's disks."},
        {"block_resize", control_arguments_resize, NULL, CONTROL_CHANGES | CONTROL_GUEST,
                control_block_resize,
                "Makes a disk larger and tells the guest. A smaller size is refused: data would be lost."},
        {"set_link", control_arguments_link, NULL, CONTROL_CHANGES | CONTROL_GUEST, control_set_link,
                "Pulls the cable of a network card, or puts it in again."},
        {"object-add", control_arguments_object, NULL, CONTROL_CHANGES, control_object_add,
                "Makes a backend for memory that is to be added. It takes no memory yet."},
        {"object-del", control_arguments_object_id, NULL, CONTROL_CHANGES, control_object_del,
                "Removes a backend that no device uses."},
        {"device_add", control_arguments_add, NULL, CONTROL_CHANGES | CONTROL_GUEST, control_device_add,
                "Adds a `pc-dimm`: memory of the size of its backend, up to `machine.memory-max`. Fails for "
                "all other devices."},
        {"device_del", control_arguments_id, NULL, CONTROL_CHANGES | CONTROL_GUEST, control_device_del,
                "Fails: nothing can be unplugged from a running machine."},
        {"getfd", control_arguments_fd, NULL, CONTROL_TAKES_FD, control_getfd,
                "Keeps a descriptor that came with the request, under a name, for this connection."},
        {"closefd", control_arguments_fd, NULL, 0, control_closefd, "Closes such a descriptor."},
        {"add-fd", control_arguments_add_fd, &control_type_added_fd, CONTROL_TAKES_FD, control_add_fd,
                "Keeps a descriptor that came with the request in a set, which all clients share. The sets "
                "are "
                "gone when no client is connected."},
        {"remove-fd", control_arguments_remove_fd, NULL, 0, control_remove_fd,
                "Closes a descriptor of a set, or all of them."},
        {"query-fdsets", NULL, &control_type_fdset_list, 0, control_query_fdsets,
                "The sets and their descriptors."},

        /* ---- confidential guests ---- */
        {"query-sev", NULL, &control_type_sev, 0, control_query_sev,
                "State, policy and firmware of a confidential guest."},
        {"query-sev-capabilities", NULL, &control_type_sev_capabilities, 0, control_query_sev_capabilities,
                "What a guest's owner needs of this host to make a session."},
        {"query-sev-launch-measure", NULL, &control_type_sev_measure, 0, control_query_sev_measure,
                "The measurement of a SEV or SEV-ES guest, for its owner to judge."},
        {"sev-inject-launch-secret", control_arguments_inject, NULL, CONTROL_CHANGES, control_inject,
                "Gives a SEV or SEV-ES guest that waits for it (`run.paused`) a secret of its owner."},
        {"query-sev-attestation-report", control_arguments_report, &control_type_sev_report, 0,
                control_query_sev_report, "The firmware's report of a SEV or SEV-ES guest."},
        {"dump-guest-memory", control_arguments_dump, NULL, 0, control_dump_memory,
                "Fails: of a confidential guest the host sees ciphertext only, and of others vmm writes no "
                "dumps."},

        /* ---- moves ---- */
        {"migrate", control_arguments_migrate, NULL, CONTROL_CHANGES, control_migrate,
                "Moves the guest to another vmm, which was started with `--incoming`, or saves it to a file. "
                "Answers at once; `query-migrate` tells how it goes. When it is complete, the guest runs "
                "there, or is in the file, and never again runs here."},
        {"migrate_cancel", NULL, NULL, CONTROL_CHANGES, control_migrate_cancel,
                "Keeps the guest here. Fails when the guest was given away already."},
        {"migrate-start-postcopy", NULL, NULL, CONTROL_CHANGES, control_migrate_start_postcopy,
                "Lets the guest that moves go over now, with the capability `postcopy-ram`: it runs there, "
                "and "
                "the rest of its memory follows."},
        {"query-migrate", NULL, &control_type_migration, 0, control_query_migrate,
                "How the last move of this guest goes, or went."},
        {"migrate-set-parameters", control_arguments_migration_parameters, NULL, CONTROL_CHANGES,
                control_migrate_parameters, "Limits of a move, also of one that is under way."},
        {"query-migrate-parameters", NULL, &control_type_migration_parameters, 0,
                control_query_migrate_parameters, "These limits."},
        {"migrate-set-capabilities", control_arguments_migration_capabilities, NULL, CONTROL_CHANGES,
                control_migrate_capabilities, "What moves are to do beyond the usual."},
        {"query-migrate-capabilities", NULL, &control_type_migration_capabilities, 0,
                control_query_migrate_capabilities, "What they do."},
        {"__vmm_migrate-resolve", control_arguments_resolve, NULL, CONTROL_CHANGES, control_own_resolve,
                "Ends a doubt by the word of the operator, who has looked at the other side "
                "(`query-migrate`, the file `migrate.record`). Both sides may be told `false`, and then the "
                "guest is lost; never may both be told `true`."},

        /* ---- people ---- */
        {"human-monitor-command", control_arguments_hmp, &control_type_str, CONTROL_CHANGES, control_human,
                "Carries out a line as people type it, and answers with text; `help` lists what there is."},

        /* ---- vmm's own ---- */
        {"__vmm_query-pages", NULL, &control_type_pages, 0, control_own_pages,
                "How much memory is the guest's own, and how much it shares."},
        {"__vmm_query-map", control_arguments_map, &control_type_map, 0, control_own_map,
                "The guest's memory, and the ranges of it that are shared, up to some thousands at once. It "
                "changes while the guest runs: if `generation` is the same in all answers, they belong "
                "together."},
        {"__vmm_query-launch", NULL, &control_type_launch, 0, control_own_launch,
                "The steps of the launch with their times."},
        {"__vmm_query-digest", NULL, &control_type_digest, 0, control_own_digest,
                "The digest that the guest must have, the one that it has, and what is measured."},
        {"__vmm_query-exits", NULL, &control_type_exits, 0, control_own_exits,
                "Why and how often each processor left the guest since the start."},
        {"__vmm_query-disks", NULL, &control_type_disks, 0, control_own_disks,
                "What the disks have moved since the start."},
        {"__vmm_query-networks", NULL, &control_type_networks, 0, control_own_networks,
                "What the networks have moved since the start."},
        {"__vmm_query-asids", NULL, &control_type_asids, 0, control_own_asids,
                "How many more confidential guests this host can have."},
        {"__vmm_query-host", NULL, &control_type_any, 0, control_own_host,
                "What `vmm host --json` prints (docs/json.md)."},
        {"__vmm_mirror-add", control_arguments_mirror_add, &control_type_mirror_id,
                CONTROL_CHANGES | CONTROL_GUEST, control_mirror_add,
                "Makes a mirror of a SEV guest: a virtual machine with one processor that sees pieces of the "
                "guest's "
                "memory, private ones, too, and is to run a program that the guest has put there. There are "
                "at most "
                "4. A guest that has one is not moved."},
        {"__vmm_mirror-run", control_arguments_mirror, NULL, CONTROL_CHANGES | CONTROL_GUEST,
                control_mirror_run,
                "Lets its program run, or go on. Answers at once; the event `__VMM_MIRROR` says when it has "
                "stopped."},
        {"__vmm_mirror-kick", control_arguments_mirror, NULL, CONTROL_CHANGES, control_mirror_kick,
                "Stops a program that runs; the event follows."},
        {"__vmm_mirror-del", control_arguments_mirror, NULL, CONTROL_CHANGES, control_mirror_del,
                "Ends a mirror, also while its program runs. There is no event then."},
        {"__vmm_query-mirrors", NULL, &control_type_mirrors, 0, control_query_mirrors,
                "The mirrors that were made so, and what became of them."},
        {"__vmm_set-log-level", control_arguments_log, NULL, CONTROL_CHANGES, control_own_log_level,
                "How much is logged from now on; the key `log` says it at the start."},
        {"__vmm_query-clock", NULL, &control_type_clock, CONTROL_SIM_ONLY, control_own_clock,
                "The guest's time on the software platform."},
        {"__vmm_inject-fault", control_arguments_fault, NULL, CONTROL_SIM_ONLY | CONTROL_CHANGES,
                control_own_fault, "Lets a call to the software platform fail, or wait."},
        {"__vmm_inject-firmware-fault", control_arguments_firmware_fault, NULL,
                CONTROL_SIM_ONLY | CONTROL_CHANGES, control_own_firmware_fault,
                "Lets a command of the simulated firmware fail."},
};

const size_t control_commands_count = ARRAY_LEN(control_commands);

const struct control_command *control_command_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(control_commands); i++) {
		if (strcmp(control_commands[i].name, name) == 0)
			return &control_commands[i];
	}
	return NULL;
}

const struct control_event control_events[] = {
        {"SHUTDOWN", control_event_ended, "The guest has ended, or is being ended; vmm ends next."},
        {"POWERDOWN", NULL, "The guest's power button was pressed."},
        {"RESET", control_event_ended, "The guest was reset. A confidential guest is launched anew."},
        {"STOP", NULL, "The guest's processors have stopped."},
        {"RESUME", NULL, "The guest's processors run."},
        {"GUEST_PANICKED", control_event_panicked, "The guest told that it cannot go on."},
        {"BLOCK_IO_ERROR", control_event_disk_error,
                "A disk answered a request of the guest with an error. At most one a second is told."},
        {"ACPI_DEVICE_OST", control_event_ost,
                "The guest's system answered for memory that was added. At most one a second is told of a "
                "slot; the last answer always is."},
        {"MIGRATION", control_event_migration,
                "A move of the guest has come to another status. Told if the capability `events` is on."},
        {"MIGRATION_PASS", control_event_migration_pass,
                "A move begins another pass over memory. Told if the capability `events` is on."},
        {"__VMM_LAUNCH", control_event_launch,
                "A step of the launch began, came forward or ended (`__vmm_query-launch`)."},
        {"__VMM_SHARED_RANGES_FULL", control_event_shared_ranges_full,
                "The guest was refused to share a page, or to take one back, since the record of its shared "
                "pages is full. Told once for each incarnation; `__vmm_query-pages` counts."},
        {"__VMM_MIRROR", control_event_mirror,
                "The program of a mirror has stopped. A reset of the guest and its end, and `quit`, end all "
                "mirrors "
                "without an event of their own."},
        {"__VMM_CONVERSION_STORM", control_event_conversion_storm,
                "The guest converts more pages within a second than `sev.conversion-storm` allows without a "
                "word. At most one in ten seconds is told."},
};

const size_t control_events_count = ARRAY_LEN(control_events);

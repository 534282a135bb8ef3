/* SPDX-License-Identifier: Apache-2.0 */
/*
 * types_migrate: the types that describe a guest's move to another vmm, with QEMU's names. Constant; any
 * thread.
 */
#include "define.h"

static ENUM(status, "MigrationStatus", "none", "setup", "cancelling", "cancelled", "active", "device",
        "postcopy-active", "postcopy-paused", "postcopy-recover", "completed", "failed", "in-doubt");

static OBJECT(stats, "MigrationStats", {"transferred", INT, false, "Bytes that were sent."},
        {"remaining", INT, false, "Bytes that are known to be left."},
        {"total", INT, false, "Bytes of the guest's memory."},
        {"duplicate", INT, false, "Pages of zeros that were told of."},
        {"normal", INT, false, "Pages that were sent."}, {"normal-bytes", INT},
        {"dirty-pages-rate", INT, false, "Pages a second that the guest wrote during the last pass."},
        {"mbps", &control_type_number, false, "Millions of bits a second, over the last pass."},
        {"dirty-sync-count", INT, false, "Passes over memory."}, {"page-size", INT},
        {"pages-per-second", U64, false, "Pages with contents, at the same speed."},
        {"postcopy-requests", INT, false, "Pages that the guest waited for on the other side."});

static LIST(reasons, "[str]", control_type_str);
OBJECT(control_type_migration, "MigrationInfo",
        {"status", &status, MAYBE,
                "`completed` of a source is proof: the target has said that the guest runs there. "
                "`in-doubt`: "
                "the connection broke where this side cannot know which of the two has the guest; it does "
                "not "
                "run here. `postcopy-active`: the guest runs there, and the rest of its memory follows. "
                "`postcopy-paused`: the connection broke meanwhile; `migrate` with `resume` goes on."},
        {"ram", &stats, MAYBE}, {"total-time", INT, MAYBE, "Milliseconds."},
        {"expected-downtime", INT, MAYBE, "Milliseconds that the guest would be stopped for now."},
        {"downtime", INT, MAYBE, "Milliseconds that it was stopped."}, {"setup-time", INT, MAYBE},
        {"error-desc", STR, MAYBE, "Why it failed, or what the doubt is."},
        {"blocked-reasons", &reasons, MAYBE,
                "Why this guest cannot be moved at all, in the mode that is set."});

static ENUM(mode, "MigMode", "normal", "cpr-transfer");
OBJECT(control_type_migration_parameters, "MigrationParameters",
        {"max-bandwidth", U64, MAYBE, "Bytes a second; 0: no limit."},
        {"downtime-limit", U64, MAYBE, "Milliseconds that the guest may be stopped."},
        {"mode", &mode, MAYBE, "How the next guest goes."},
        {"max-postcopy-bandwidth", U64, MAYBE,
                "Bytes a second in post-copy, beside what the guest waits for; 0: no limit."});

static ENUM(capability, "MigrationCapability", "events", "return-path", "postcopy-ram");
static OBJECT(capability_state, "MigrationCapabilityStatus", {"capability", &capability}, {"state", BOOL});
LIST(control_type_migration_capabilities, "[MigrationCapabilityStatus]", capability_state);

const struct control_member control_arguments_migrate[] = {
        {"uri", STR, false,
                "Where the other vmm waits: `unix:PATH`, `tcp:HOST:PORT`, `fd:NAME` (`getfd`). `file:PATH`: "
                "the guest is "
                "saved to a file that does not exist yet; a relative path counts from the folder of `vmm`."},
        {"detach", BOOL, MAYBE, "For old clients; the answer never waits for the move."},
        {"resume", BOOL, MAYBE,
                "Ask the target of a move that is in doubt, and end the doubt; or go on with one that is "
                "`postcopy-paused`."},
        {0}};
const struct control_member control_arguments_migration_parameters[] = {
        {"max-bandwidth", U64, MAYBE, "Bytes a second; 0: no limit, which is the default."},
        {"downtime-limit", U64, MAYBE,
                "Milliseconds, at most 2000000: the guest is stopped when the rest takes no longer."},
        {"max-postcopy-bandwidth", U64, MAYBE,
                "Bytes a second in post-copy, beside what the guest waits for; 0: no limit, which is the "
                "default. Something is sent every five seconds, however low it is."},
        {"mode", &mode, MAYBE,
                "`cpr-transfer`: to a vmm on the same host, which goes on with the same memory; nothing is "
                "copied. `normal`, the default: memory travels."},
        {0}};
const struct control_member control_arguments_migration_capabilities[] = {
        {"capabilities", &control_type_migration_capabilities, false,
                "`events`: MIGRATION and MIGRATION_PASS are told. `postcopy-ram`: the next guests may go "
                "over "
                "before all of their memory has (`migrate-start-postcopy`). `return-path` is always on."},
        {0}};
const struct control_member control_arguments_resolve[] = {
        {"runs", BOOL, false, "Does the guest run here from now on?"}, {0}};
const struct control_member control_event_migration[] = {{"status", &status}, {0}};
const struct control_member control_event_migration_pass[] = {
        {"pass", INT, false, "Passes over memory that have begun."}, {0}};

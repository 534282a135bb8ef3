/* SPDX-License-Identifier: Apache-2.0 */
/*
 * types: the types that all others are made of, and those of the session, the schema and events. Constant;
 * any thread.
 */
#include "define.h"

const struct control_type control_type_str = {.name = "str", .kind = CONTROL_STRING};
const struct control_type control_type_int = {.name = "int", .kind = CONTROL_INTEGER};
const struct control_type control_type_uint64 = {.name = "uint64", .kind = CONTROL_UNSIGNED};
const struct control_type control_type_number = {.name = "number", .kind = CONTROL_NUMBER};
const struct control_type control_type_bool = {.name = "bool", .kind = CONTROL_BOOLEAN};
const struct control_type control_type_any = {.name = "any", .kind = CONTROL_ANY};

static OBJECT(version_triple, "VersionTriple", {"major", INT}, {"minor", INT}, {"micro", INT});
OBJECT(control_type_version, "VersionInfo", {"qemu", &version_triple}, {"package", STR});

static OBJECT(command_info, "CommandInfo", {"name", STR});
LIST(control_type_command_list, "[CommandInfo]", command_info);

OBJECT(control_type_name, "NameInfo", {"name", STR, true});
OBJECT(control_type_uuid, "UuidInfo", {"UUID", STR});
OBJECT(control_type_kvm, "KvmInfo", {"enabled", BOOL}, {"present", BOOL});

static ENUM(arch, "SysEmuTarget", "x86_64");
OBJECT(control_type_target, "TargetInfo", {"arch", &arch});

static ENUM(run_state, "RunState", "debug", "inmigrate", "internal-error", "io-error", "paused",
        "postmigrate", "prelaunch", "finish-migrate", "restore-vm", "running", "save-vm", "shutdown",
        "suspended", "watchdog", "guest-panicked", "colo");
OBJECT(control_type_status, "StatusInfo", {"running", BOOL}, {"status", &run_state});

/* ---- query-qmp-schema ---- */

static ENUM(meta, "SchemaMetaType", "builtin", "enum", "array", "object", "alternate", "command", "event");
static ENUM(json, "JSONType", "string", "number", "int", "boolean", "null", "object", "array", "value");

static LIST(list_str, "[str]", control_type_str);
static OBJECT(schema_builtin, "SchemaInfoBuiltin", {"json-type", &json});
static OBJECT(schema_enum_member, "SchemaInfoEnumMember", {"name", STR});
static LIST(list_enum_members, "[SchemaInfoEnumMember]", schema_enum_member);
static OBJECT(schema_enum, "SchemaInfoEnum", {"members", &list_enum_members}, {"values", &list_str});
static OBJECT(schema_array, "SchemaInfoArray", {"element-type", STR});
static OBJECT(schema_member, "SchemaInfoObjectMember", {"name", STR}, {"type", STR},
        {"default", &control_type_any, true});
static LIST(list_members, "[SchemaInfoObjectMember]", schema_member);
static OBJECT(schema_variant, "SchemaInfoObjectVariant", {"case", STR}, {"type", STR});
static LIST(list_variants, "[SchemaInfoObjectVariant]", schema_variant);
static OBJECT(schema_object, "SchemaInfoObject", {"members", &list_members}, {"tag", STR, true},
        {"variants", &list_variants, true});
static OBJECT(
        schema_command, "SchemaInfoCommand", {"arg-type", STR}, {"ret-type", STR}, {"allow-oob", BOOL, true});
static OBJECT(schema_event, "SchemaInfoEvent", {"arg-type", STR});
static const struct control_variant schema_rows[] = {{"builtin", &schema_builtin}, {"enum", &schema_enum},
        {"array", &schema_array}, {"object", &schema_object}, {"command", &schema_command},
        {"event", &schema_event}, {0}};
static UNION(schema_info, "SchemaInfo", "meta-type", schema_rows, {"name", STR}, {"meta-type", &meta});
LIST(control_type_schema_list, "[SchemaInfo]", schema_info);

/* ---- arguments ---- */

static ENUM(capability, "QMPCapability", "oob");
static LIST(capability_list, "[QMPCapability]", capability);
const struct control_member control_arguments_capabilities[] = {
        {"enable", &capability_list, true, "Capabilities to switch on; this server has none."}, {0}};

/* ---- events ---- */

static ENUM(cause, "ShutdownCause", "none", "host-error", "host-qmp-quit", "host-qmp-system-reset",
        "host-signal", "host-ui", "guest-shutdown", "guest-reset", "guest-panic", "subsystem-reset",
        "snapshot-load");

const struct control_member control_event_ended[] = {
        {"guest", BOOL, false, "Did the guest ask for it?"}, {"reason", &cause}, {0}};

static ENUM(panic_action, "GuestPanicAction", "pause", "poweroff", "run", "exit-failure");
static ENUM(panic_type, "GuestPanicInformationType", "hyper-v", "s390", "tdx", "sev");
static OBJECT(panic_sev, "GuestPanicInformationSev", {"set", U64}, {"code", U64});
static const struct control_variant panic_rows[] = {{"sev", &panic_sev}, {0}};
static UNION(panic_info, "GuestPanicInformation", "type", panic_rows, {"type", &panic_type});
const struct control_member control_event_panicked[] = {
        {"action", &panic_action, false, "What vmm does then."},
        {"info", &panic_info, MAYBE,
                "Of a termination request by a SEV-ES or SEV-SNP guest: the set of reason codes and the code "
                "(GHCB 2.3.1)."},
        {0}};

static ENUM(io_operation, "IoOperationType", "read", "write");
static ENUM(error_action, "BlockErrorAction", "ignore", "report", "stop");
const struct control_member control_event_disk_error[] = {{"device", STR, false, "The device's id."},
        {"qom-path", STR}, {"operation", &io_operation},
        {"action", &error_action, false, "`report`: the guest was told."},
        {"nospace", BOOL, MAYBE, "Is the storage full?"}, {"reason", STR, false, "For people."}, {0}};

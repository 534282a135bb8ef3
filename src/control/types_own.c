/* SPDX-License-Identifier: Apache-2.0 */
/*
 * types_own: the types of vmm's own commands and events. Their members are as docs/json.md has them.
 * Constant; any thread.
 */
#include "define.h"

OBJECT(control_type_pages, "__vmm_Pages",
        {"ram-bytes", INT, false, "Of the configuration, and what was added."},
        {"private-bytes", ANY, false,
                "RAM that is the guest's own, of a SEV or SEV-ES guest by what it has reported; null before "
                "the launch has made it, for a plain guest, and without sev.page-status for SEV and SEV-ES "
                "guests."},
        {"shared-bytes", ANY, false, "The rest of it; null likewise."},
        {"held-twice-bytes", ANY, false,
                "Private memory of a SEV-SNP guest for which the backing of its shared pages holds memory, "
                "too. null: not known, or another guest, of which nothing is held twice."},
        {"migration-allowed", ANY, false,
                "Does the guest allow migration (MSR_KVM_MIGRATION_CONTROL)? null without sev.page-status."},
        {"record", ANY, false,
                "The record of shared pages: how many `ranges` it has, of at most `ranges-max`; how often it "
                "`refused` a conversion for want of room; whether it is `complete`, or may be wrong in "
                "`doubt` (`gpa`, `size-bytes`), because the guest went on after a refusal; how many "
                "`conversions` this incarnation has made, `conversions-per-second` of the last five seconds; "
                "how many of them were `flips`, of ranges that it had converted before, at least; how many "
                "`storms` there were (`sev.conversion-storm`). null: there is none."});

const struct control_member control_arguments_map[] = {
        {"start", INT, MAYBE, "The ranges from this guest address on; 0 if it is not given."}, {0}};
static OBJECT(region, "__vmm_MapRegion", {"kind", STR, false, "`ram`, `added`, `firmware` or `store`."},
        {"gpa", STR, false, "A mask."}, {"size-bytes", INT});
static LIST(region_list, "[__vmm_MapRegion]", region);
static OBJECT(range, "__vmm_MapRange", {"gpa", STR, false, "A mask."}, {"size-bytes", INT});
static OBJECT(flipped, "__vmm_MapSharedRange", {"gpa", STR, false, "A mask."}, {"size-bytes", INT},
        {"flips", INT, false,
                "How often what begins in it was converted, as far as it is remembered: at least."},
        {"last-ns", ANY, false,
                "When that was last, in nanoseconds since the launch began; null: it is not remembered."});
static LIST(flipped_list, "[__vmm_MapSharedRange]", flipped);
static LIST(range_list, "[__vmm_MapRange]", range);
static OBJECT(flip, "__vmm_Flip",
        {"gpa", STR, false, "A mask: of the range's first page, by which it is known."},
        {"size-bytes", INT, false, "Of its last conversion."},
        {"flips", INT, false, "How often it was converted, at least."},
        {"last-ns", INT, false, "When the last conversion was, in nanoseconds since the launch began."});
static LIST(flip_list, "[__vmm_Flip]", flip);
OBJECT(control_type_map, "__vmm_Map",
        {"regions", &region_list, false, "All of the guest's memory, in order."},
        {"ranges", &flipped_list, false, "What is shared, in order. The rest is private."},
        {"devices", &range_list, false,
                "What a SEV or SEV-ES guest shares where there is no memory, in order, in every answer."},
        {"devices-complete", BOOL, false, "false: the guest shares more such ranges than there is room for."},
        {"flippers", &flip_list, false,
                "The ranges that were converted most often, ten of those that were converted again, in every "
                "answer."},
        {"held-twice", ANY, false,
                "Private memory that takes memory twice: `size-bytes` in all, and the first 16 `ranges`. "
                "null: "
                "not known, or no SEV-SNP guest."},
        {"next", ANY, false, "The `start` of the next answer; null: there is no more."},
        {"generation", INT, false, "Every change makes it larger."},
        {"record", ANY, false, "As in `__vmm_query-pages`."});

static ENUM(row_state, "__vmm_LaunchRowState", "waits", "runs", "done", "failed");
static OBJECT(row, "__vmm_LaunchRow", {"name", STR, false, "As `vmm run --dry-run` shows it."},
        {"call", STR, false, "What it asks the kernel for, above all."}, {"state", &row_state},
        {"done", INT, false, "Parts that are done: items of the plan, regions of memory."},
        {"total", INT, false, "All its parts."},
        {"ns", INT, false, "How long it has worked or waited, in nanoseconds."});
static LIST(row_list, "[__vmm_LaunchRow]", row);
OBJECT(control_type_launch, "__vmm_Launch", {"phase", STR, false, "Where the guest's life is, for people."},
        {"state", STR, false, "That of the guest's context: `launch-secret`."},
        {"secrets", INT, false, "Secrets of the owner that this incarnation got."},
        {"resets", INT, false, "Incarnations before this one."}, {"rows", &row_list});

static OBJECT(item, "__vmm_MeasuredItem", {"name", STR}, {"gpa", STR, false, "A mask."}, {"size-bytes", INT},
        {"vcpu", ANY, false, "Whose VMSA; null: it is none."});
static LIST(item_list, "[__vmm_MeasuredItem]", item);
OBJECT(control_type_digest, "__vmm_Digest",
        {"expected", ANY, false, "The digest that was computed beforehand; null for a plain guest."},
        {"actual", ANY, false,
                "What the firmware reports of a SEV or SEV-ES guest. null: not launched yet, or a SEV-SNP "
                "guest, of which only the guest gets a report."},
        {"rows", &item_list, false, "What is measured, in its order."});

#define CONVERSIONS \
	{"conversions", ANY, false, \
	        "How often the guest's exits made pages `private` or `shared`. Of a SEV or SEV-ES guest, " \
	        "how " \
	        "often it reported that."}, \
	{ \
		"converted-pages", ANY, false, "The pages of these, by the same kinds." \
	}
static OBJECT(vcpu, "__vmm_VcpuExits", {"index", INT}, {"thread-id", INT, false, "0: it has none now."},
        {"waits", BOOL, false, "Is it stopped?"}, {"processor-ns", INT, false, "Time that it has used."},
        {"exits", ANY, false, "How often it left the guest, by kind."}, CONVERSIONS);
static LIST(vcpu_list, "[__vmm_VcpuExits]", vcpu);
OBJECT(control_type_exits, "__vmm_Exits", {"vcpus", &vcpu_list},
        {"exits", ANY, false, "Those of all vCPUs together, by kind."}, CONVERSIONS);

static OBJECT(asid_kind, "__vmm_AsidKind", {"kind", STR, false, "`sev`, `sev-es`, `sev-snp`"},
        {"limit", INT, false, "Of this host."}, {"used", ANY, false, "null: it is not known."},
        {"free", ANY, false, "For one more guest of this process; null: it is not known."});
LIST(control_type_asids, "[__vmm_AsidKind]", asid_kind);

static OBJECT(disk, "__vmm_Disk", {"id", STR}, {"size-bytes", INT},
        {"requests", ANY, false, "That were done, by kind: `read`, `write`, `flush`, `discard`, `zero`."},
        {"bytes", ANY, false, "By the same kinds."}, {"failed", INT, false, "Requests."});
LIST(control_type_disks, "[__vmm_Disk]", disk);

static OBJECT(network, "__vmm_Network", {"id", STR}, {"back", STR, false, "What it is connected to."},
        {"link-up", BOOL}, {"outside", BOOL, false, "The kernel moves the frames, and none is counted here."},
        {"rx-frames", INT}, {"rx-bytes", INT}, {"rx-lost", INT}, {"tx-frames", INT}, {"tx-bytes", INT},
        {"tx-lost", INT});
LIST(control_type_networks, "[__vmm_Network]", network);

OBJECT(control_type_clock, "__vmm_Clock",
        {"own-time", BOOL, false,
                "Does it pass with the guest's instructions, not with this computer's clock?"},
        {"ns", INT, false, "The guest's time since the start."});

static ENUM(level, "__vmm_LogLevel", "error", "warn", "info", "debug");
const struct control_member control_arguments_log[] = {{"level", &level}, {0}};
const struct control_member control_arguments_fault[] = {
        {"call", STR, false, "The name of a call, as in traces: `KVM_RUN`; `any`: any call."},
        {"nth", INT, MAYBE, "Which of the calls from now on, from 1; 1 if it is not given."},
        {"errno", INT, MAYBE, "The number with which it fails; 0 or not given: it is made."},
        {"delay-ns", INT, MAYBE, "How long it waits before."}, {0}};
const struct control_member control_arguments_firmware_fault[] = {
        {"command", STR, false, "A command of the firmware: `LAUNCH_START`; `any`: any command."},
        {"nth", INT, MAYBE, "Which of the commands from now on; 1 if it is not given; 0 takes a fault back."},
        {"status", INT, false, "The status code of its answer."}, {0}};

const struct control_member control_event_launch[] = {{"row", INT, false, "Which row, from 0."},
        {"name", STR}, {"state", &row_state}, {"done", INT}, {"total", INT}, {0}};

const struct control_member control_event_shared_ranges_full[] = {
        {"shared-ranges-max", INT, false, "sev.shared-ranges-max of the configuration."}, {0}};

const struct control_member control_event_conversion_storm[] = {
        {"conversion-storm", INT, false, "sev.conversion-storm of the configuration."},
        {"conversions", INT, false, "Of this incarnation so far."},
        {"top", ANY, false,
                "The range that was converted most often, as in `flippers` of `__vmm_query-map`."},
        {0}};

/* ---- mirrors ---- */

static OBJECT(view, "__vmm_MirrorView",
        {"gpa", U64, false, "Where it begins: a page of the guest's RAM or firmware image."},
        {"size-bytes", U64, false, "Whole pages."});
static LIST(view_list, "[__vmm_MirrorView]", view);
const struct control_member control_arguments_mirror_add[] = {
        {"views", &view_list, false,
                "What the helper sees of the guest's memory, at the guest's addresses: 1 to 32 pieces, "
                "ascending and "
                "disjoint."},
        {"cr3", U64, false,
                "The guest address of its page tables (four levels), with the C-bit if they are private."},
        {"rip", U64, false, "Its first instruction, in 64-bit mode."},
        {"rsp", U64, MAYBE, "Its stack; 0 if not given."},
        {"rdi", U64, MAYBE, "Its argument; 0 if not given."}, {0}};
const struct control_member control_arguments_mirror[] = {
        {"id", INT, false, "As `__vmm_mirror-add` has answered it."}, {0}};
OBJECT(control_type_mirror_id, "__vmm_MirrorId", {"id", INT, false, "From 1; none is given twice."});
static ENUM(mirror_state, "__vmm_MirrorState", "ready", "runs", "halted", "kicked", "failed");

/* An answer and the event have the same members. */
#define MIRROR \
	{"id", INT}, \
	        {"state", &mirror_state, false, \
	                "After `halted` (HLT) and `kicked` it can go on; one that has `failed` cannot."}, \
	        {"runs", INT, false, "How often it was told to run."}, \
	{ \
		"why", ANY, false, "What a helper that failed has done; null: it has not." \
	}
static OBJECT(mirror, "__vmm_Mirror", MIRROR);
LIST(control_type_mirrors, "[__vmm_Mirror]", mirror);
const struct control_member control_event_mirror[] = {MIRROR, {0}};

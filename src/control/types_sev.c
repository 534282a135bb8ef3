/* SPDX-License-Identifier: Apache-2.0 */
/*
 * types_sev: the types of QEMU's commands for SEV. Constant; any thread.
 */
#include "define.h"

static ENUM(state, "SevState", "uninit", "launch-update", "launch-secret", "running", "send-update",
        "receive-update");
static ENUM(guest_type, "SevGuestType", "sev", "sev-snp");
static OBJECT(sev, "SevGuestInfo", {"policy", INT}, {"handle", INT, false, "The firmware's number."});
static OBJECT(snp, "SevSnpGuestInfo", {"snp-policy", U64});
static const struct control_variant rows[] = {{"sev", &sev}, {"sev-snp", &snp}, {0}};
UNION(control_type_sev, "SevInfo", "sev-type", rows,
        {"enabled", BOOL, false, "If not, the other members mean nothing."}, {"api-major", INT},
        {"api-minor", INT}, {"build-id", INT}, {"state", &state}, {"sev-type", &guest_type});

OBJECT(control_type_sev_capabilities, "SevCapability",
        {"pdh", STR, false, "The platform's Diffie-Hellman certificate, in Base64."},
        {"cert-chain", STR, false, "PEK, OCA and CEK, in Base64."},
        {"cpu0-id", STR, false, "The chip's id, in Base64."}, {"cbitpos", INT}, {"reduced-phys-bits", INT});
OBJECT(control_type_sev_measure, "SevLaunchMeasureInfo",
        {"data", STR, false, "MEASURE and MNONCE of LAUNCH_MEASURE, in Base64."});
OBJECT(control_type_sev_report, "SevAttestationReport", {"data", STR, false, "In Base64."});

const struct control_member control_arguments_inject[] = {
        {"packet-header", STR, false, "The header of the packet, in Base64."},
        {"secret", STR, false, "The encrypted secret, in Base64."},
        {"gpa", U64, MAYBE, "Where it goes; if it is not given, where the firmware image says."}, {0}};
const struct control_member control_arguments_report[] = {
        {"mnonce", STR, false, "16 bytes in Base64, which the report repeats."}, {0}};

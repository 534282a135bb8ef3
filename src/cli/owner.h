/* SPDX-License-Identifier: Apache-2.0 */
/*
 * owner: files of a guest's owner as several verbs read and write them. Secrets are wiped after use.
 */
#ifndef VMM_CLI_OWNER_H
#define VMM_CLI_OWNER_H

#include "evidence.h"
#include "vmm/attest/sev.h"
#include "vmm/owner.h"

/*
 * Call it before a key is read or made. This process then leaves no core dump, and the user's other processes
 * cannot look into it.
 */
void cli_owner_guard_secrets(void);
/* Reads TEK and TIK, 32 bytes, as vmm session new wrote them. */
int cli_owner_keys_read(const char *path, struct owner_keys *ret_keys, struct err *err) MUST_CHECK;
/* Reads what LAUNCH_MEASURE gave: 48 bytes, or the same in Base64 or hexadecimal. */
int cli_owner_measure_read(const char *path, struct abi_sev_measure *ret_measure, struct err *err) MUST_CHECK;

struct cli_owner_file {
	const char *option, *path;
	const void *data;
	size_t size;
	bool secret; /* readable by its owner alone */
};

/* Makes all the files or none. ERR_USAGE if one of them exists already; it is not touched. */
int cli_owner_files_write(const struct cli_owner_file *files, size_t count, struct err *err) MUST_CHECK;

/* Reads the files of --pdh, --chain, --cek, --amd and --root. Free them with cli_owner_evidence_free(). */
int cli_owner_evidence_read(
        const struct cli_args *args, struct attest_sev_evidence *ret_evidence, struct err *err) MUST_CHECK;
void cli_owner_evidence_free(struct attest_sev_evidence *evidence);

#define CLI_OPTIONS_EVIDENCE \
	{"pdh", "FILE", \
	        "The platform's PDH certificate (2084 bytes), or PDH, PEK, OCA and CEK one after the " \
	        "other, as vmm host and sevctl export write them; ASK and ARK may follow (sevctl export " \
	        "--full)."}, \
	        {"chain", "FILE", "PEK, OCA and CEK, if they are not with the PDH."}, \
	        {"cek", "FILE", \
	                "The CEK that AMD signed (2084 bytes). It replaces the one that the firmware gave, " \
	                "which has no signature. AMD's key server has it, at the address that vmm host " \
	                "prints."}, \
	        {"amd", "FILE", \
	                "AMD's ASK and ARK for the product, in AMD's binary format (ask_ark_milan.cert)."}, \
	{ \
		"root", "FILE", \
		        "Also trust this ARK, which is not AMD's (a simulated platform). AMD's own root " \
		        "keys " \
		        "are built in." \
	}

#endif

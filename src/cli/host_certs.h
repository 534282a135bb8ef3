/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_certs: `vmm host --certificates`.
 */
#ifndef VMM_CLI_HOST_CERTS_H
#define VMM_CLI_HOST_CERTS_H

#include "cli.h"
#include "hosts.h"

/*
 * Writes the files that --certificates, --generation and --out-root ask for. Does nothing if none of them is
 * given.
 */
int cli_host_certificates_write(
        const struct cli_args *args, const struct cli_hosts *hosts, struct err *err) MUST_CHECK;

#define CLI_OPTIONS_CERTS \
	{"certificates", "FILE", \
	        "Write the platform's certificates (PDH, PEK, OCA and, unsigned, CEK) to FILE, which must " \
	        "not exist: with the CEK that AMD signed, they are what the owner of a SEV or SEV-ES guest " \
	        "makes a session with."}, \
	        {"generation", "sev|snp", \
	                "With --host sim: let FILE also hold the certificates that AMD's key server has " \
	                "for a real processor. sev: PDH, PEK, OCA, the signed CEK, ASK and ARK one after " \
	                "the other. snp: VCEK, ASK and ARK, or with sim.vlek VLEK, ASVK and ARK, as the " \
	                "certificate table that a host hands to guests."}, \
	{ \
		"out-root", "FILE", \
		        "With --generation: write the simulated root (ARK) to FILE, for --root of other " \
		        "verbs." \
	}

#endif

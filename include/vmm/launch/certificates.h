/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certificates: what a SEV-SNP guest gets with its attestation report (sev.certificates): a file with a
 * certificate table (GHCB, "SNP Extended Guest Request"), or a folder with certificates.
 */
#ifndef VMM_LAUNCH_CERTIFICATES_H
#define VMM_LAUNCH_CERTIFICATES_H

#include <stdint.h>

#include "vmm/base.h"

#define LAUNCH_CERTIFICATE_FILES 5 /* of a folder */

/* A table as it goes to the guest, and the files that it came from, which are open and locked. */
struct launch_certificates {
	uint8_t *pages; /* whole pages; zeros follow the table */
	uint64_t size_bytes;
	int fds[LAUNCH_CERTIFICATE_FILES];
	unsigned fd_count;
};

enum launch_certificates_answer {
	LAUNCH_CERTIFICATES_READ,
	LAUNCH_CERTIFICATES_BUSY /* somebody who changes them holds a lock; they can be had soon */
};

/*
 * Reads the certificates of a path, and keeps a read lock (F_OFD_SETLK) on each file until
 * launch_certificates_release(), so that they belong to the report that is made meanwhile
 * (amd-memory-encryption.rst, KVM_SEV_SNP_ENABLE_REQ_CERTS). Waits for nothing. A file system without locks
 * is no reason to fail. Returns an answer, or -1 with ERR_USAGE or ERR_HOST. Any thread.
 */
int launch_certificates_take(
        const char *path, struct launch_certificates *ret_certs, struct err *err) MUST_CHECK;
/* Allowed for zeroed ones. */
void launch_certificates_release(struct launch_certificates *certs);

#endif

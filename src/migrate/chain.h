/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain: the certificates of the host to which the secure processor sends a SEV guest. Whoever has the
 * private key of the PDH can read the guest. The source's firmware asks whose it is only if the guest's
 * policy says SEV or DOMAIN, so vmm asks in any case.
 */
#ifndef MIGRATE_CHAIN_H
#define MIGRATE_CHAIN_H

#include "vmm/abi/sev_cert.h"
#include "vmm/base.h"

#define MIGRATE_AMD_MAX_BYTES KIB(8)

struct migrate_chain {
	struct abi_sev_cert pdh;
	struct abi_sev_cert_chain platform;
	uint8_t amd[MIGRATE_AMD_MAX_BYTES]; /* ASK, then ARK, in AMD's format */
	uint32_t amd_bytes;                 /* 0: they are not known */
};

/* An ARK to which the certificates of the other host must lead. 0 bytes: any of AMD's will do. */
struct migrate_root {
	uint8_t data[MIGRATE_AMD_MAX_BYTES];
	size_t size;
};

/*
 * Reads a file as `sevctl export --full` writes it: PDH, PEK, OCA, CEK, ASK, ARK. path "": *ret_chain is as
 * one of which nothing is known. ERR_USAGE, beginning with the key.
 */
int migrate_chain_read(const char *path, struct migrate_chain *ret_chain, struct err *err) MUST_CHECK;
/* Reads an ARK. path "": any will do. ERR_USAGE, beginning with the key. */
int migrate_chain_read_root(const char *path, struct migrate_root *ret_root, struct err *err) MUST_CHECK;

/*
 * May a guest of this policy be sent to the host of these certificates, which may be any bytes? Without AMD's
 * certificates the answer is no, unless the firmware will ask whether both hosts have the same owner.
 * ERR_FAILED says why not.
 */
int migrate_chain_verify(const struct migrate_chain *chain, const struct migrate_root *root, uint64_t policy,
        struct err *err) MUST_CHECK;

#endif

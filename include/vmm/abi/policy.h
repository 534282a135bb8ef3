/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy: guest policies, which the guest owner sets and the firmware enforces. Layouts and numbers only;
 * any room may include this.
 */
#ifndef VMM_ABI_POLICY_H
#define VMM_ABI_POLICY_H

/* ---- policies (SEV API 2; SNP ABI 4.3) ---- */

#define ABI_SEV_POLICY_NODBG  (1u << 0)
#define ABI_SEV_POLICY_NOKS   (1u << 1)
#define ABI_SEV_POLICY_ES     (1u << 2)
#define ABI_SEV_POLICY_NOSEND (1u << 3)
#define ABI_SEV_POLICY_DOMAIN (1u << 4)
#define ABI_SEV_POLICY_SEV    (1u << 5)
#define ABI_SEV_POLICY_KNOWN  0xffff003full /* with the API version in bits 16..31 */

#define ABI_SNP_POLICY_SMT           (1ull << 16)
#define ABI_SNP_POLICY_MUST_BE_ONE   (1ull << 17)
#define ABI_SNP_POLICY_MIGRATE_MA    (1ull << 18)
#define ABI_SNP_POLICY_DEBUG         (1ull << 19)
#define ABI_SNP_POLICY_SINGLE_SOCKET (1ull << 20)
#define ABI_SNP_POLICY_KNOWN         0x3ffffffull /* with the ABI version in bits 0..15 */

#endif

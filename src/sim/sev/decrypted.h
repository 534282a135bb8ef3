/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decrypted: memory as a guest with memory encryption sees it (decrypted.c explains).
 */
#ifndef SEV_DECRYPTED_H
#define SEV_DECRYPTED_H

#include "guest.h"

/* The decrypted pages of one encryption context. Any thread. */
struct sev_decrypted;

/* Makes the pages of a context without a key yet; the caller owns a hold. NULL: no memory. */
struct sev_decrypted *sev_decrypted_create(struct sev_platform *secure);
/* One more hold on the same pages, for a mirror. Returns its argument. */
struct sev_decrypted *sev_decrypted_share(struct sev_decrypted *memory);
/* Gives back a hold; the last one wipes and frees the pages. NULL is allowed. */
void sev_decrypted_unref(struct sev_decrypted *memory);
/* The context's key from now on; NULL: it has none. */
void sev_decrypted_set_cipher(struct sev_decrypted *memory, const struct psp_cipher *cipher);

/*
 * The VM's processors see memory as a guest with memory encryption does from now on, and its slots lie where
 * they are for such a guest. kvm_vm.lock is held.
 */
void sev_bus_init(struct kvm_vm *vm);
/* For struct kvm_hooks (vcpu_release). */
void sev_decrypted_release(struct kvm_vcpu *vcpu);

#endif

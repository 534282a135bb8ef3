/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decrypted: memory as a guest with memory encryption sees it (decrypted.c explains).
 */
#ifndef SEV_DECRYPTED_H
#define SEV_DECRYPTED_H

#include "guest.h"

/* The decrypted pages of one encryption context. Any thread. */
struct sev_decrypted;

/*
 * Makes the pages of a context that has no key yet. The caller owns a hold. Returns NULL if no memory is
 * left.
 */
struct sev_decrypted *sev_decrypted_create(struct sev_platform *secure);
/* Takes one more hold on the same pages, for a mirror. Returns its argument. */
struct sev_decrypted *sev_decrypted_share(struct sev_decrypted *memory);
/* Gives back a hold; giving back the last one wipes and frees the pages. NULL is allowed. */
void sev_decrypted_unref(struct sev_decrypted *memory);
/* Sets the context's key. NULL: the context has no key from now on. */
void sev_decrypted_set_cipher(struct sev_decrypted *memory, const struct psp_cipher *cipher);

/*
 * Makes the page at host, in the VMM's memory of the slot, hold as ciphertext what processors wrote to it
 * with the C-bit, so that the kernel can read and write the VMM's memory. Any VM with a context may call.
 */
void sev_decrypted_settle(struct kvm_vm *vm, const struct cpu_slot *slot, const uint8_t *host);

/*
 * Makes the VM's processors see memory as a guest with memory encryption does, and publishes the slots again,
 * because those of a guest_memfd lie elsewhere for such a guest. kvm_vm.lock is held.
 */
void sev_bus_init(struct kvm_vm *vm);
/* Implement vcpu_release and vcpu_slice of struct kvm_hooks. */
void sev_decrypted_release(struct kvm_vcpu *vcpu);
void sev_decrypted_slice(struct kvm_vcpu *vcpu);

#endif

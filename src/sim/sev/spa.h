/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spa: system physical addresses: which frames of the machine's memory hold the pages of a guest (spa.c
 * explains). Any thread; takes sev_platform.lock.
 */
#ifndef SEV_SPA_H
#define SEV_SPA_H

#include "platform.h"

/*
 * Gives frames to those pages of the size bytes at host, in the VMM's memory, that have none yet: one range
 * for what lies together. The owner is a pointer that stands for whoever encrypts the pages: an encryption
 * context has one owner for all of its VMs and vCPUs, and each VMSA is its own. Another owner gets other
 * frames, even for the same host. Returns false if no memory is left.
 */
bool sev_spa_place(struct sev_platform *secure, const void *owner, uintptr_t host, uint64_t size);
/*
 * Returns the address of the byte at host; 0: it has none. *size is the number of bytes that the caller
 * wants, and becomes the number of them that have the addresses that follow.
 */
uint64_t sev_spa_of(struct sev_platform *secure, const void *owner, uintptr_t host, uint64_t *size);
/* Frees all frames of the owner. */
void sev_spa_forget(struct sev_platform *secure, const void *owner);

#endif

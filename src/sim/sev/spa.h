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
 * for what lies together. The owner is whoever encrypts them: all VMs and processors of an encryption context
 * have one. Another owner's frames are different ones, even for the same host. False: there is no memory
 * left.
 */
bool sev_spa_place(struct sev_platform *secure, const void *owner, uintptr_t host, uint64_t size);
/*
 * Returns the address of the byte at host; 0: it has none. *size, the caller's wish, becomes how much of it
 * has the addresses that follow.
 */
uint64_t sev_spa_of(struct sev_platform *secure, const void *owner, uintptr_t host, uint64_t *size);
/* All frames of the owner are free again. */
void sev_spa_forget(struct sev_platform *secure, const void *owner);

#endif

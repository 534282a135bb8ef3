/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw: a guest's memory as the kernel reaches it by guest-physical addresses: without the guest's key.
 */
#ifndef SEV_RAW_H
#define SEV_RAW_H

#include "guest.h"

/*
 * Calls work() with the host address of the page at gpa, once what processors wrote there with the C-bit is
 * ciphertext in it. If the page cannot be accessed, work() is given up at the access that failed. The page
 * counts as written. work() must not take a lock. Returns false if there is no memory that can be written.
 * The vCPU's thread, outside of the processor; no lock is held but kvm_vcpu.lock.
 */
bool sev_raw_page(struct kvm_vcpu *v, uint64_t gpa, void (*work)(uint8_t *page, void *arg), void *arg);

/*
 * Copy size bytes at gpa from or to memory; they may span pages and slots. False: a part is not there, and
 * some may have been copied. As for sev_raw_page() otherwise.
 */
bool sev_raw_read(struct kvm_vcpu *v, uint64_t gpa, void *data, size_t size);
bool sev_raw_write(struct kvm_vcpu *v, uint64_t gpa, const void *data, size_t size);

#endif

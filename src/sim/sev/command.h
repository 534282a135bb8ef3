/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command: the commands of KVM_MEMORY_ENCRYPT_OP, and the functions that they share. All run with
 * sev_guest.lock held.
 */
#ifndef SEV_COMMAND_H
#define SEV_COMMAND_H

#include "guest.h"

/* A command that is being executed. */
struct sev_call {
	struct kvm_vm *vm;
	struct sev_guest *sev;
	struct psp *psp;
	struct kvm_sev_cmd *cmd;
};

/* Returns 0 or a negated errno; the firmware's code goes to call->cmd->error. */
typedef int sev_command_fn(struct sev_call *call);

/* ---- the commands: their numbers begin with KVM_SEV_ ---- */

/* command.c: the guest gets an encryption context */
int sev_init(struct sev_call *call);
int sev_es_init(struct sev_call *call);
int sev_init2(struct sev_call *call);
/* launch.c: a SEV or SEV-ES guest is launched */
int sev_launch_start(struct sev_call *call);
int sev_launch_update_data(struct sev_call *call);
int sev_launch_update_vmsa(struct sev_call *call);
int sev_launch_measure(struct sev_call *call);
int sev_launch_finish(struct sev_call *call);
int sev_guest_status(struct sev_call *call);
int sev_attestation_report(struct sev_call *call);
/* memory.c: the guest's memory is written and read */
int sev_launch_secret(struct sev_call *call);
int sev_dbg_decrypt(struct sev_call *call);
int sev_dbg_encrypt(struct sev_call *call);
/* send.c: a SEV guest goes to another machine */
int sev_send_start(struct sev_call *call);
int sev_send_update_data(struct sev_call *call);
int sev_send_finish(struct sev_call *call);
int sev_send_cancel(struct sev_call *call);
int sev_receive_start(struct sev_call *call);
int sev_receive_update_data(struct sev_call *call);
int sev_receive_finish(struct sev_call *call);
/* snp.c: a SEV-SNP guest is launched */
int sev_snp_launch_start(struct sev_call *call);
int sev_snp_launch_update(struct sev_call *call);
int sev_snp_launch_finish(struct sev_call *call);
int sev_snp_enable_req_certs(struct sev_call *call);

/* ---- the caller's memory ---- */

/* Copies the command's struct. Returns 0 or -EFAULT. */
int sev_copy_in(const struct sev_call *call, void *data, size_t size);
int sev_copy_out(const struct sev_call *call, const void *data, size_t size);
/*
 * Begins most commands on a SEV or SEV-ES guest: returns -ENOTTY if the guest has no encryption context, and
 * otherwise does what sev_copy_in() does.
 */
int sev_take_params(const struct sev_call *call, void *params, size_t size);
/*
 * Copies size bytes and then zeros up to room bytes, because the kernel copies all of its buffer. size <=
 * room. Returns 0 or -EFAULT.
 */
int sev_copy_out_padded(uint64_t user, const void *data, size_t size, size_t room);

#define SEV_BLOB_MAX_BYTES    0x4000u
#define SEV_KERNEL_BUFFER_MAX MIB(4) /* of kmalloc() (KMALLOC_MAX_SIZE): more gives -ENOMEM */

/*
 * Copies as the kernel's psp_copy_user_blob() does. Returns a copy that the caller frees. On an error it
 * returns NULL and sets *ret_result to -EINVAL (no address, no length, or too long a one), -EFAULT or
 * -ENOMEM.
 */
void *sev_copy_blob(uint64_t user, uint64_t size, int *ret_result);

/* Several such copies, for one command. They are freed at the end of the block of code. */
struct sev_blobs {
	void *at[3];
};
/* Makes copy number i. Returns 0, or an error of sev_copy_blob(). */
int sev_blob_take(struct sev_blobs *blobs, unsigned i, uint64_t user, uint64_t size);
void sev_blobs_free(struct sev_blobs *blobs);
#define auto_sev_blobs __attribute__((cleanup(sev_blobs_free)))

static inline void *sev_pointer(uint64_t address)
{
	return (void *)(uintptr_t)address; /* NOLINT: the VMM's own memory, by number */
}

/* ---- the firmware's answers ---- */

/* Turns the firmware's code into the ioctl's result, 0 or -EIO, and puts the code into cmd->error. */
int sev_result(struct sev_call *call, uint32_t code);

/* ---- the guest's state ---- */

/* Returns 0 if fd is an open /dev/sev, otherwise -EBADF. */
int sev_check_device(const struct sev_call *call, int fd);
/*
 * Checks that a guest was started, for a command on it. Returns 0, -ENOTTY (not a guest with SEV) or -EBADF
 * (its /dev/sev was closed).
 */
int sev_ready(const struct sev_call *call);
/* Makes a command on a guest that was started, if the firmware wants only the guest's handle for it. */
int sev_plain(struct sev_call *call, uint32_t (*command)(struct psp *psp, uint32_t handle));

/* How a guest is started: by KVM_SEV_LAUNCH_START or KVM_SEV_RECEIVE_START. */
struct sev_start {
	/* Asks the firmware for a new guest and puts its handle into params. Returns the firmware's code. */
	uint32_t (*ask)(struct sev_call *call, void *params, const struct sev_blobs *blobs);
	void *params; /* the command's struct, which the caller gets back */
	size_t size;
	const uint32_t *handle; /* in params */
	const struct sev_blobs *blobs;
};
/*
 * Starts a guest through the caller's /dev/sev and makes it that of the VM. Returns 0 or a negated errno.
 * After an error the firmware has no guest left over, even if the error was that the caller's memory did not
 * take the handle.
 */
int sev_start(struct sev_call *call, const struct sev_start *start);

/* ---- the guest's memory ---- */

/*
 * Finds the system physical address of the guest memory that is at address in the VMM. *size becomes the
 * number of bytes that lie together there, at least a page. Returns 0 or -ENOMEM.
 */
int sev_guest_spa(const struct sev_call *call, uint64_t address, uint64_t *size, uint64_t *ret_spa);
/* Can all of the VMM's size bytes at address be read, or with write written? size is not 0. */
bool sev_is_there(uint64_t address, uint64_t size, bool write);
/*
 * Counts size bytes of the VMM's memory at address as locked, until sev_unpin() of the same bytes. Returns 0;
 * -EINVAL (size is 0, passes the end of addresses, or is more than the host has); -ENOMEM (the limit is
 * exceeded, the memory is not there, or write is set and it is not writable).
 */
int sev_pin(struct sev_guest *sev, uint64_t address, uint64_t size, bool write);
/* Does the same as sev_pin() for reading, but takes no memory for what was never touched. */
int sev_pin_region(struct sev_guest *sev, uint64_t address, uint64_t size);
void sev_unpin(struct sev_guest *sev, uint64_t address, uint64_t size);

#endif

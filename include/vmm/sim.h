/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim: the software platform. It is a host that answers KVM's ioctls in the process, with a processor and
 * interrupt controllers in software. It runs guests on any x86-64 Linux without /dev/kvm. It protects
 * nothing, so only `cli` may choose it, and only if the user asks for it.
 */
#ifndef VMM_SIM_H
#define VMM_SIM_H

#include <signal.h>

#include "vmm/host.h"
#include "vmm/product.h"

enum sim_clock_kind {
	SIM_CLOCK_VIRTUAL, /* 1 instruction is 1 ns; when every vCPU halts, time skips to the next timer */
	SIM_CLOCK_HOST,    /* CLOCK_MONOTONIC */
};

#define SIM_CSP_ID_MAX 32

/*
 * A step of a guest's launch: the secure processor has added a page to the guest's digest, or, if page is
 * NULL, the digest is complete.
 */
struct sim_measured {
	const char *guest; /* "sev", "sev-es", "sev-snp" */
	const char *page;  /* "normal", "vmsa", "zero", "unmeasured", "secrets", "cpuid" */
	uint64_t gpa;      /* of a SEV-SNP guest's page; 0 for others */
	const void *data;  /* NULL: the page's contents are not in the digest */
	size_t size_bytes;
	const uint8_t *digest; /* NULL until it is complete */
	unsigned digest_bytes;
};

/* All zeros: a processor without SEV, and virtual time. */
struct sim_options {
	bool translate; /* the guest's code to this machine's, where the host allows that */
	/*
	 * The translator's results are compared with the interpreter's. Where they differ, KVM_RUN ends with
	 * KVM_EXIT_INTERNAL_ERROR. Needs translate, and a host that allows it.
	 */
	bool compare;
	enum sim_clock_kind clock;
	/* One of product_words; NULL or "none": no SEV. */
	const char *product;
	uint64_t seed;                    /* of the secure processor's keys */
	uint64_t tcb;                     /* TCB_VERSION; 0: the product's */
	struct product_firmware firmware; /* 0.0.0: the product's */
	/*
	 * The provider, of at most SIM_CSP_ID_MAX characters, whose VLEK is loaded; NULL or "": none. And
	 * MASK_CHIP of SNP_CONFIG: bit 0 hides the chip's id, bit 1 forbids the chip's key. With either the
	 * product and its firmware must have SEV-SNP.
	 */
	const char *vlek;
	unsigned mask_chip;
	/*
	 * ASIDs 1..es_asids are for SEV-ES and SEV-SNP, the rest for SEV; asids 0: 509 and 99. With
	 * ciphertext hiding, ASIDs 1..snp_asids are for SEV-SNP alone; snp_asids 0: there is no such
	 * partition.
	 */
	uint32_t asids, es_asids, snp_asids;
	unsigned c_bit;         /* 40..51; 0: 51 */
	bool smt_off;           /* simultaneous multithreading, by the host's firmware setup */
	uint64_t memlock_bytes; /* the RLIMIT_MEMLOCK that the platform pretends; 0: none */
	/*
	 * A folder for the files of the misc cgroup of this process (misc.max, ...). It is made if it is
	 * missing, and belongs to one platform at a time. NULL or "": there is no cgroup.
	 */
	const char *cgroup;
	/*
	 * Called for all that is measured, in order, on the thread of the call that has it measured, with
	 * locks of the platform held: it calls nothing of the platform. NULL: not called. It is not part of
	 * the text of the options.
	 */
	void (*measured)(const struct sim_measured *measured);
	/*
	 * CPUID offers KVM's clock, its hypercalls, and with SIM_CLOCK_HOST the time that was stolen. vmm's
	 * own guests do without, so that what they see is the same in each run.
	 */
	bool paravirtual;
};

/*
 * Creates a host whose /dev/kvm and /dev/sev are the software platform; other paths and descriptors are the
 * kernel's.
 */
int sim_host_create(const struct sim_options *options, struct host **ret_host, struct err *err) MUST_CHECK;

/*
 * The environment of a program that runs on the platform (libvmm-platform.so): the options as text; the path
 * of its trace, if there is one; set, if its launches are explained.
 */
#define SIM_ENV_OPTIONS "VMM_PLATFORM"
#define SIM_ENV_TRACE   "VMM_PLATFORM_TRACE"
#define SIM_ENV_EXPLAIN "VMM_PLATFORM_EXPLAIN"

/*
 * The options as text, a line NAME=VALUE for each, for another process; the caller frees it. NULL: no memory.
 */
char *sim_options_text(const struct sim_options *options) MUST_CHECK;
/*
 * Reads such a text, which it changes. The texts in *ret_options lie in it. ERR_USAGE: it is no such text;
 * what the values mean sim_host_create() judges.
 */
int sim_options_read(char *text, struct sim_options *ret_options, struct err *err) MUST_CHECK;

/*
 * Lets the descriptor `to`, which the caller has made as a duplicate of `from` (dup2(2)), reach what `from`
 * reaches, which may be the kernel's. What `to` reached before is closed. Each of them is closed with
 * host_close(). h must be what sim_host_create() returned, not a wrapper of it.
 */
void sim_host_alias(struct host *h, int from, int to);

/*
 * Tells the platform that the caller blocks all signals on this thread while it calls the platform, and that
 * mask is what it blocks otherwise: KVM_RUN ends with EINTR at any other, and no handler runs in the
 * platform. NULL: this is no longer so.
 */
void sim_signals_held(const sigset_t *mask);

/*
 * Returns the length of the instruction of 64-bit mode at code, of which size bytes are there, or 0 if that
 * are too few. It is that of the decoder of the software CPU; what that does not execute has the length that
 * its encoding says (VEX, EVEX), or that of the bytes that were looked at, and then *ret_known is false.
 */
unsigned sim_instruction_length(const uint8_t *code, unsigned size, bool *ret_known);

/*
 * The wall clock of virtual time starts here, so that two runs read the same from the RTC: 2026-01-01
 * 00:00:00 UTC.
 */
#define SIM_WALL_START_NS INT64_C(1767225600000000000)
/*
 * Returns the guest's time in ns since the host was created, for the devices of the VMM. The time is
 * monotonic, and any thread may ask. On a vCPU's thread between two KVM_RUN it is exact. h must be what
 * sim_host_create() returned, not a wrapper of it.
 */
uint64_t sim_now_ns(const struct host *h);

/* The work that the guests of a host have done so far; exact when none runs. */
struct sim_figures {
	uint64_t instructions;
	uint64_t exits;   /* returns of KVM_RUN to the VMM */
	uint64_t unknown; /* instructions that are not implemented; each raised #UD */
	uint64_t compared,
	        alone; /* with sim_options.compare: blocks that were compared; those that could not be */
	char unknown_names[256]; /* "0f 38 f0 /0 mod 3 x12, ..." */
};
void sim_figures(struct host *h, struct sim_figures *ret_figures);

/* ---- the certificates that AMD's key server has of a real processor ---- */

/*
 * The certificate of the chip's key, or that of the VLEK in its place; that of the key that signed it; and
 * the root.
 */
enum { SIM_CERT_CHIP, SIM_CERT_VLEK, SIM_CERT_ASK, SIM_CERT_ARK, SIM_CERTS };
struct sim_cert {
	void *data;
	size_t size;
};

/*
 * Gets the certificates. For SEV these are the signed CEK (struct abi_sev_cert), ASK and ARK in AMD's binary
 * format; for SNP the VCEK of the reported TCB and ASK, or VLEK and ASVK, and ARK as DER. What is not there
 * has size 0. All end in a root that is the software platform's. h must be what sim_host_create() returned,
 * not a wrapper of it. Free them with sim_certificates_free(). ERR_HOST: the processor has no SEV; ERR_USAGE:
 * it has no SNP.
 */
int sim_certificates(
        struct host *h, bool snp, struct sim_cert ret_certs[static SIM_CERTS], struct err *err) MUST_CHECK;
void sim_certificates_free(struct sim_cert certs[static SIM_CERTS]);

/* ---- for tests and for observers ---- */

#define SIM_FAULTS_MAX 16

/* A fault that one call on the platform's descriptors meets. */
struct sim_fault {
	const char *call;  /* as in traces: "KVM_RUN", "SEV_ISSUE_CMD", "open", "mmap"; "any": any call */
	uint64_t nth;      /* counts the calls of that name from now on, from 1 */
	int sys;           /* the errno with which the call fails, without being made; 0: it is made */
	uint64_t delay_ns; /* of the host's time, before the call; a signal of the caller ends it early */
};

/*
 * Prepares a fault, from any thread; the text is copied. At most SIM_FAULTS_MAX faults wait at a time.
 * Several may meet one call: their delays add up, and the last errno counts. ERR_USAGE: no call has this
 * name, nth is 0, or too many faults wait.
 */
int sim_fault_set(struct host *h, const struct sim_fault *fault, struct err *err) MUST_CHECK;
void sim_fault_clear(struct host *h);
/* Returns how many faults still wait for their call. */
unsigned sim_fault_count(const struct host *h);

/* A guest that the secure processor knows. */
struct sim_guest_view {
	bool snp;
	uint32_t handle, asid;
	uint64_t policy;
	const char *state; /* static text, as in the firmware's manuals: "LUPDATE", "RUNNING", "LAUNCH" */
	uint8_t digest[48];
	unsigned digest_bytes; /* 32: SHA-256, 48: SHA-384 */
};

/* Gets the n-th guest of the secure processor, from 0. False: there are not so many. Any thread. */
bool sim_guest_view(struct host *h, unsigned n, struct sim_guest_view *ret_view);
/*
 * Gets what CPUID itself says on the product, of which KVM passes on a part: EAX, EBX, ECX, EDX of subleaf 0.
 * False: the product has no SEV-SNP, or the platform does not know the leaf. Any thread.
 */
bool sim_hardware_leaf(struct host *h, uint32_t leaf, uint32_t ret_registers[static 4]);
/* What KVM and the processor say of a page of a SEV-SNP guest, each for itself. */
struct sim_page_view {
	bool private;   /* by KVM's memory attribute (KVM_SET_MEMORY_ATTRIBUTES) */
	bool assigned;  /* by the RMP the page of the guest_memfd is the guest's, at this address ... */
	bool validated; /* ... and the guest has accepted it (PVALIDATE) or was launched with it */
};
/*
 * Gets the view of the page at gpa, a multiple of 4 KiB. The guest is the one that was created last. False:
 * there is no guest, or there is no memory of a guest_memfd at gpa. Any thread; while a vCPU runs, the page
 * may change hands between two looks.
 */
bool sim_page_view(struct host *h, uint64_t gpa, struct sim_page_view *ret_view);
/*
 * Makes the n-th next firmware command of this name ("LAUNCH_START", "SNP_LAUNCH_UPDATE", "any"), from 1,
 * answer with code and do nothing else. One failure is prepared at a time; nth 0 takes it back. -1: there is
 * no SEV here, or no such command.
 */
int sim_fail_firmware(struct host *h, const char *command, unsigned nth, uint32_t code) MUST_CHECK;
/* Returns how many commands of this name the firmware was given; 0 also for a name that it does not know. */
uint64_t sim_firmware_calls(struct host *h, const char *command);

#endif

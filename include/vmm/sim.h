/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim: the software platform: a host that answers KVM's ioctls in the process, with a processor and
 * interrupt controllers in software. It runs guests on any x86-64 Linux without /dev/kvm; it protects
 * nothing, and only `cli` may choose it, at the user's word.
 */
#ifndef VMM_SIM_H
#define VMM_SIM_H

#include "vmm/host.h"
#include "vmm/product.h"

enum sim_clock_kind {
	SIM_CLOCK_VIRTUAL, /* 1 instruction is 1 ns; when every vCPU halts, time skips to the next timer */
	SIM_CLOCK_HOST,    /* CLOCK_MONOTONIC */
};

/* All zero: a processor without SEV, and virtual time. */
struct sim_options {
	enum sim_clock_kind clock;
	/* One of product_words; NULL or "none": no SEV. */
	const char *product;
	uint64_t seed;                    /* of the secure processor's keys */
	uint64_t tcb;                     /* TCB_VERSION; 0: the product's */
	struct product_firmware firmware; /* 0.0.0: the product's */
	/* ASIDs 1..es_asids are for SEV-ES and SEV-SNP, the rest for SEV; asids 0: 509 and 99. With
	 * ciphertext hiding 1..snp_asids are for SEV-SNP alone; 0: no such partition. */
	uint32_t asids, es_asids, snp_asids;
	unsigned c_bit;         /* 40..51; 0: 51 */
	bool smt_off;           /* simultaneous multithreading, by the host's firmware setup */
	uint64_t memlock_bytes; /* RLIMIT_MEMLOCK as the platform pretends it; 0: none */
	/* A folder for the files of the misc cgroup that this process is in (misc.max, ...), made if missing;
	 * it belongs to one platform at a time. NULL or "": no cgroup. */
	const char *cgroup;
};

/* A host whose /dev/kvm and /dev/sev are the software platform; other paths and descriptors are the kernel's.
 */
int sim_host_create(const struct sim_options *options, struct host **ret_host, struct err *err) MUST_CHECK;

/*
 * The guest's time in ns since the host was created, for the devices of the VMM: monotonic, any thread. On
 * a vCPU's thread between two KVM_RUN it is exact. h is what sim_host_create() gave, not a wrapper of it.
 */
uint64_t sim_now_ns(const struct host *h);

/* What the guests of a host did so far; exact when none runs. */
struct sim_figures {
	uint64_t instructions;
	uint64_t exits;          /* KVM_RUN that returned to the VMM */
	uint64_t unknown;        /* instructions met that are not implemented: each raised #UD */
	char unknown_names[256]; /* "0f 38 f0 /0 mod 3 x12, ..." */
	uint64_t ghcb_uses; /* VMGEXIT and the GHCB's MSR in SEV-ES and SNP guests: not built, nobody answers
	                     */
};
void sim_figures(struct host *h, struct sim_figures *ret_figures);

/* ---- what AMD's key server has of a real processor ---- */

/* The certificate of the chip's key, of what signed that, and the root. */
enum { SIM_CERT_LEAF, SIM_CERT_ASK, SIM_CERT_ARK, SIM_CERTS };
struct sim_cert {
	void *data;
	size_t size;
};

/*
 * For SEV the signed CEK (struct abi_sev_cert), ASK and ARK in AMD's binary format; for SNP the VCEK of the
 * reported TCB, ASK and ARK as DER. All end in a root that is the software platform's. h is what
 * sim_host_create() gave, not a wrapper of it. Free with sim_certificates_free(). ERR_HOST: a processor
 * without SEV; ERR_USAGE: without SNP.
 */
int sim_certificates(
        struct host *h, bool snp, struct sim_cert ret_certs[static SIM_CERTS], struct err *err) MUST_CHECK;
void sim_certificates_free(struct sim_cert certs[static SIM_CERTS]);

/* ---- for tests and for who watches ---- */

#define SIM_FAULTS_MAX 16

/* What a call on the platform's descriptors meets, once. */
struct sim_fault {
	const char *call;  /* as in traces: "KVM_RUN", "SEV_ISSUE_CMD", "open", "mmap"; "any": whichever */
	uint64_t nth;      /* of the calls of that name from now on, from 1 */
	int sys;           /* the errno it fails with, without being made; 0: it is made */
	uint64_t delay_ns; /* of the host's time, before that; a signal of the caller ends it early */
};

/*
 * Any thread; the text is copied. At most SIM_FAULTS_MAX wait at a time; several may meet one call: their
 * delays add up, the last errno counts. ERR_USAGE: no call has this name, nth is 0, or too many wait.
 */
int sim_fault_set(struct host *h, const struct sim_fault *fault, struct err *err) MUST_CHECK;
void sim_fault_clear(struct host *h);
/* How many still wait for their call. */
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

/* The n-th guest of the secure processor, from 0; false: there are not so many. Any thread. */
bool sim_guest_view(struct host *h, unsigned n, struct sim_guest_view *ret_view);
/*
 * The n-th next firmware command of this name ("LAUNCH_START", "SNP_LAUNCH_UPDATE", "any"), from 1, answers
 * with code and does nothing else; one failure is prepared at a time, nth 0 takes it back. -1: no SEV here,
 * or no such command.
 */
int sim_fail_firmware(struct host *h, const char *command, unsigned nth, uint32_t code) MUST_CHECK;
/* How many commands of this name the firmware was given; 0 also for a name that it does not know. */
uint64_t sim_firmware_calls(struct host *h, const char *command);

#endif

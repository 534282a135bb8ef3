/* SPDX-License-Identifier: Apache-2.0 */
/*
 * product: AMD's processors with SEV, in one table (src/product/product.c) that the configuration, the
 * verifier of reports, the launch and the software platform read. The table has facts alone; no code here
 * judges anything. Any thread; constant.
 */
#ifndef VMM_PRODUCT_H
#define VMM_PRODUCT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The products in the order of their generations. Those that the software platform can pretend to be come
 * first.
 */
enum product_id {
	PRODUCT_UNKNOWN, /* also a processor without SEV */
	PRODUCT_NAPLES,
	PRODUCT_ROME,
	PRODUCT_MILAN,
	PRODUCT_GENOA, /* and Bergamo, Siena */
	PRODUCT_TURIN,
	PRODUCT_VENICE,
	PRODUCT_IDS
};

/*
 * The division of the eight bytes of a TCB_VERSION (SNP ABI, TCB_VERSION). Newer products put FMC in front.
 */
enum product_tcb_layout { PRODUCT_TCB_PLAIN, PRODUCT_TCB_FMC };

/*
 * The pools of ASIDs, one for each generation of SEV. SEV-ES and SEV-SNP share one without ciphertext
 * hiding.
 */
enum product_asid_kind { PRODUCT_ASID_SEV, PRODUCT_ASID_ES, PRODUCT_ASID_SNP, PRODUCT_ASID_KINDS };

/* A version of the secure processor's firmware: the two numbers of its API, and the build. */
struct product_firmware {
	uint8_t major, minor, build;
};

/* Models of a CPUID family, both ends included; family 0: an unused row. */
struct product_models {
	uint8_t family, first, last;
};

struct product {
	enum product_id id;
	const char *name; /* as AMD's key server and certificates write it: "Milan"; or "unknown" */
	/*
	 * The name in the VCEK of a simulated processor, with the stepping if AMD's VCEKs have it. NULL: the
	 * processor makes no reports.
	 */
	const char *vcek_name;
	struct product_models models[3];
	bool es, snp;           /* it has SEV-ES, SEV-SNP; every product has SEV */
	bool ciphertext_hiding; /* it can have ASIDs that are SEV-SNP's alone */
	bool silent_reports;    /* reports of version 2, which do not name the product, may come from it */
	unsigned c_bit;         /* where page tables have it; an unknown processor is taken for a new one */
	enum product_tcb_layout tcb_layout;
	unsigned root_bits; /* the size of RSA keys of AMD's authorities for it, and of simulated ones */

	/* ---- the processor that the software platform pretends to be; zeros if it cannot ---- */

	uint32_t signature;     /* CPUID.1.EAX */
	uint32_t cpuid_max;     /* the highest standard leaf; 0: no SEV-SNP, so nothing asks for it */
	uint32_t cpuid_max_ext; /* the highest extended leaf */
	uint64_t vmsa_features; /* what KVM offers in KVM_X86_SEV_VMSA_FEATURES */
	struct product_firmware firmware; /* the version if the configuration names none */
	uint64_t tcb;                     /* the TCB_VERSION that belongs to this firmware */
};

/* Returns a product, never NULL: an unknown product has SEV alone, no models and no signature. */
const struct product *product_get(enum product_id id);
/* Returns the product of this name. NULL: there is none; also for a NULL name. */
const struct product *product_find(const char *name);
/* Returns the product whose models include this one. PRODUCT_UNKNOWN: none does. */
enum product_id product_by_model(unsigned family, unsigned model);
/* Does the same as product_by_model(), by CPUID.1.EAX. */
enum product_id product_by_signature(uint32_t signature);

/* Return family, model and stepping of CPUID.1.EAX, with the extended parts added (APM volume 3, E.3.2). */
unsigned product_family(uint32_t signature);
unsigned product_model(uint32_t signature);
unsigned product_stepping(uint32_t signature);

/* Returns how many bytes of a report's 64 hold the chip's id; the others are zeros. */
size_t product_chip_id_bytes(enum product_tcb_layout layout);

/*
 * "none", then the products that the software platform can pretend to be, by enum product_id. The list ends
 * with NULL.
 */
extern const char *const product_words[];

#endif

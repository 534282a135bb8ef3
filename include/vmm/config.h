/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config: the configuration of a guest. A JSON file and --set words become one const struct config; every
 * mistake is reported, not only the first. The keys are one table (config_keys), from which the checks, the
 * example, the man page and the suggestions come.
 */
#ifndef VMM_CONFIG_H
#define VMM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base.h"
#include "vmm/product.h"

#define CONFIG_VCPUS_MAX         512 /* the most that vmm can measure; it runs at most MACHINE_VCPUS_MAX */
#define CONFIG_SHARED_RANGES_MAX 1048576 /* sev.shared-ranges-max, at most */
#define CONFIG_FILE_MAX_BYTES    MIB(1)

enum config_host { CONFIG_HOST_KVM, CONFIG_HOST_SIM };
enum config_sim_cpu { CONFIG_SIM_CPU_INTERPRETER, CONFIG_SIM_CPU_TRANSLATOR, CONFIG_SIM_CPU_BOTH };
enum config_sim_clock { CONFIG_SIM_CLOCK_VIRTUAL, CONFIG_SIM_CLOCK_HOST };
enum config_sev_type { CONFIG_SEV_NONE, CONFIG_SEV, CONFIG_SEV_ES, CONFIG_SEV_SNP };
/* How a SEV or SEV-ES guest's context is made. This changes the FPU fields of an ES guest's measured VMSA. */
enum config_sev_init { CONFIG_SEV_INIT_AUTO, CONFIG_SEV_INIT2, CONFIG_SEV_INIT_LEGACY };

/* What to do with a CPUID page that the firmware of SEV-SNP has corrected. */
enum config_cpuid_correction { CONFIG_CPUID_ADOPT, CONFIG_CPUID_REFUSE };

/* What becomes of a guest that resets itself. */
enum config_on_reboot { CONFIG_REBOOT_RESTART, CONFIG_REBOOT_EXIT };

/* The devices of devices[] (VIRTIO 5). */
enum config_driver {
	CONFIG_BLK,
	CONFIG_NET,
	CONFIG_RNG,
	CONFIG_VSOCK,
	CONFIG_CONSOLE,
	CONFIG_FS,
	CONFIG_BALLOON,
	CONFIG_DRIVERS,
};
enum config_net { CONFIG_NET_PASST, CONFIG_NET_TAP };
enum config_cache { CONFIG_CACHE_AUTO, CONFIG_CACHE_DIRECT, CONFIG_CACHE_PAGE };

#define CONFIG_DEVICES_MAX 24

/* A device of devices[]. It owns its strings; "" means not given. A driver uses only the fields of its own.
 */
struct config_device {
	enum config_driver driver;
	char *id; /* unique among the devices; given by the user or made ("blk0") */

	/* blk */
	char *file; /* a raw image, a block device, or an NBD URI (nbd://, nbd+unix://) */
	bool read_only;
	char *serial;            /* at most 20 bytes */
	enum config_cache cache; /* how the host's page cache is used: AUTO is direct where the file can */
	/* blk, net */
	unsigned queues; /* 0: blk has one a vCPU, net one pair */

	/* net */
	enum config_net net;             /* follows from tap and tap_fd */
	char *tap;                       /* an interface's name */
	int tap_fd;                      /* an inherited descriptor; -1: none */
	char *mac;                       /* six pairs of hexadecimal digits with colons between them */
	unsigned mtu;                    /* 0: the back end's own */
	bool vhost;                      /* serve a tap in the kernel if that has vhost-net */
	char *forward_tcp, *forward_udp; /* passt's -t and -u: ports to forward to the guest */

	unsigned cid;           /* vsock */
	char *output;           /* console: the file that gets what the guest writes */
	char *tag, *socket;     /* fs: its name in the guest, and the socket of a running virtiofsd, or ... */
	char *folder;           /* ... the folder for which vmm starts one */
	uint64_t inflate_bytes; /* balloon: memory that the guest is asked to give back */
};

/* Where each key's value came from, so that later checks can point at it. */
struct config_place;
struct config_device_places;

/* The configuration owns its strings. "" means not given; no string is NULL. */
struct config {
	char *name;
	enum config_host host;
	char *firmware;      /* path of the image that ends at 4 GiB */
	char *firmware_vars; /* path of the store of its variables */
	char *cgroup;        /* folder of the cgroup to be in before an ASID is taken */
	struct {
		unsigned vcpus; /* 1..CONFIG_VCPUS_MAX */
		uint64_t memory_bytes;
		uint64_t memory_max_bytes; /* what it may grow to; 0: memory_bytes */
		char *cpu;                 /* CPU model by name, as machine_cpu_model() knows it */
		uint32_t cpu_signature;    /* CPUID.1:EAX instead of the model's */
		bool cpu_signature_given;
		bool hugepages;
		bool memory_shared; /* memory is a file in any case */
		char *uuid;         /* 8-4-4-4-12 hexadecimal digits or "" */
		char *serial;       /* the system's serial number in its SMBIOS tables */
		char *debugcon;     /* file that gets the guest's debug console (port 0x402) */
		bool pvpanic;       /* a device by which the guest reports a kernel panic */
		bool rng;           /* devices gets a source of random numbers if it has others and none */
	} machine;
	struct {
		char *kernel, *initrd, *cmdline;
		bool hashes;
	} boot;
	struct {
		enum config_sev_type type;
		enum config_sev_init init;
		uint64_t policy; /* for the launch; not given: 0x1 SEV, 0x5 SEV-ES, 0x30000 SNP */
		bool policy_given;
		uint64_t vmsa_features; /* the whole measured sev_features field; if not given: 1 for SNP */
		bool vmsa_features_given;
		char *id_block, *id_auth; /* files */
		char *host_data;          /* 64 hexadecimal digits or "" */
		char *certificates;       /* a file or a folder, for the guest's reports */
		bool enforce_digest;
		char *dh_cert, *session; /* files, from the guest owner */
		enum config_cpuid_correction cpuid_correction;
		bool helper;                  /* a helper on a mirror is part of the guest (SEV) */
		bool page_status;             /* a SEV or SEV-ES guest is asked which pages it shares */
		uint64_t shared_ranges_max;   /* of a guest whose shared pages are recorded */
		uint64_t conversion_storm;    /* conversions within a second that are told; 0: never */
		char *measurement;            /* the file to which the result of LAUNCH_MEASURE is written */
		char *secret_header, *secret; /* files that may appear only after that */
		char *secret_address;         /* hexadecimal digits; "": where the firmware image says */
		unsigned secret_wait_s;
	} sev;
	struct {
		bool sandbox;     /* each thread is held to its list of system calls */
		unsigned grace_s; /* from the power button to the end of the guest; 0: end at once */
		enum config_on_reboot on_reboot;
		bool paused; /* the guest waits for a controller to start it */
	} run;
	struct {
		char *socket; /* the path of the control socket, or "fd:N", a listening one; "": none */
		char *allow;  /* users who may connect to it beside this one and root */
	} control;
	struct {
		char *record;              /* a file that says which guests were given away or taken */
		char *certificates, *root; /* of this host, and to which those of others lead; files, or "" */
		char *tls_authority, *tls_certificate, *tls_key; /* files in PEM's form; "": no TLS */
		char *tls_name; /* the other side's certificate is for this name; "": for its address */
	} migrate;
	struct {
		enum config_sim_cpu cpu;
		enum config_sim_clock clock;
		enum product_id product; /* PRODUCT_UNKNOWN: none */
		unsigned seed;
		char *firmware_version; /* "MAJOR.MINOR.BUILD"; "": the product's */
		char *tcb;              /* 16 hexadecimal digits or "" */
		char *vlek;             /* the provider of the VLEK; "": none */
		unsigned mask_chip;     /* as MASK_CHIP of SNP_CONFIG: bit 0 the id, bit 1 the key */
		unsigned asids, es_asids,
		        snp_asids; /* ASIDs 1..es_asids: SEV-ES and SNP; 1..snp_asids: SNP alone */
		unsigned c_bit;
		bool smt;
		uint64_t memlock_bytes; /* 0: no limit */
		char *cgroup;           /* a folder */
	} sim;
	enum log_level log;
	struct config_device *devices;              /* in the order of the file */
	size_t devices_count;                       /* at most CONFIG_DEVICES_MAX */
	struct config_place *places;                /* one for each row of config_keys */
	struct config_device_places *device_places; /* one for each device */
};

/*
 * One mistake. line and column count from 1, in characters; both are 0 for a mistake in a --set word or
 * without a place.
 */
struct config_mistake {
	char *where; /* file name, "--set WORD" or "" */
	unsigned line, column;
	char *key; /* dotted key or "" */
	char *text;
	bool in_set; /* where is a --set word */
};

/* Mistakes in the order of the file; those without a line come last. */
#define CONFIG_MISTAKES_MAX 100
struct config_mistakes {
	struct config_mistake *list;
	size_t count; /* at most CONFIG_MISTAKES_MAX; if there were more, the last one says so */
};

/* ---- reading ---- */

/*
 * A check that the caller of config_load() adds to those of this room, for facts that another room knows
 * (names, files). It runs even if there are mistakes already; keys with a mistake then hold their default.
 */
typedef void config_check(const struct config *config, struct config_mistakes *mistakes);

/*
 * path: the JSON file, NULL for defaults only. sets: n_sets words of the command line, applied after the file
 * in order. KEY=VALUE sets a key; a value is JSON or, for strings, sizes and words, plain text. A word that
 * begins with one of config_device_options and a blank ("--disk FILE,read-only") adds a device. check: more
 * checks, or NULL. On success the caller destroys *ret_config. Otherwise this returns -1 with at least one
 * mistake, or with none if no memory is left. The caller zeroes mistakes before the call and finishes it in
 * either case. Any thread.
 */
int config_load(const char *path, const char *const *sets, size_t n_sets, config_check *check,
        struct config **ret_config, struct config_mistakes *mistakes) MUST_CHECK;
/* As config_load(), from size bytes of text (NULL: no file). Mistakes use name as the file's name. */
int config_parse(const char *name, const void *text, size_t size, const char *const *sets, size_t n_sets,
        config_check *check, struct config **ret_config, struct config_mistakes *mistakes) MUST_CHECK;
void config_destroy(struct config *config); /* NULL is allowed */

/* The options that add a device, with their dashes: "--device", "--disk", "--net". Ends with NULL. */
extern const char *const config_device_options[];

/* A config_check that checks the files that keys name: can each be read or written, as its key needs? */
void config_check_files(const struct config *config, struct config_mistakes *mistakes);
/* Does the same for the files of devices, which nobody needs who only measures the guest. */
void config_check_device_files(const struct config *config, struct config_mistakes *mistakes);
/* Is the file of a blk device the URI of an NBD export? */
bool config_is_nbd(const char *file);
/* Was the key given in the file or on the command line? A device's key is "devices[1].file". */
bool config_is_given(const struct config *config, const char *key);
/*
 * Adds a mistake in the value of a key of config_keys, at the key's place. If the key already has a mistake,
 * nothing is added, since a further mistake probably follows from the first. A device's key is
 * "devices[1].file"; if the key was not given, its place is that of the device.
 */
void config_mistake_at(const struct config *config, struct config_mistakes *mistakes, const char *key,
        const char *fmt, ...) PRINTF(4, 5);
/*
 * Both return the candidate that a word probably means, or NULL. The candidates are candidate(ctx, 0),
 * candidate(ctx, 1) and so on up to NULL. config_same() finds other spellings (case, "_" for "-", a key
 * without its section) and the names that other programs use; config_nearest() finds mistyped words, too.
 */
typedef const char *config_candidate(const void *ctx, size_t i);
const char *config_same(const char *word, config_candidate *candidate, const void *ctx);
const char *config_nearest(const char *word, config_candidate *candidate, const void *ctx);
/* The reason why vmm has nothing like the thing that other programs call by this word, or NULL. */
const char *config_why_none(const char *word);
void config_mistakes_finish(struct config_mistakes *mistakes);
/*
 * Returns "file:line:column: key: what is wrong", without the parts that do not apply and with control
 * characters written as \xNN. The caller frees it. NULL: no memory is left.
 */
char *config_mistake_format(const struct config_mistake *mistake);

/* ---- the table of keys ---- */

enum config_type {
	CONFIG_BOOL,         /* bool */
	CONFIG_NUMBER,       /* unsigned */
	CONFIG_SIZE,         /* uint64_t, in bytes */
	CONFIG_STRING,       /* char * */
	CONFIG_PATH,         /* char *, a file to be read */
	CONFIG_OUTPUT,       /* char *, a file that is written while the guest runs (FILE_STREAM) */
	CONFIG_OUTPUT_WHOLE, /* char *, a file that appears whole (FILE_WHOLE) */
	CONFIG_WORD,         /* an enum */
	CONFIG_HEX,          /* char *, hexadecimal digits */
	CONFIG_UUID,         /* char *, 8-4-4-4-12 hexadecimal digits */
	CONFIG_MAC,          /* char *, six pairs of hexadecimal digits with colons between them */
	CONFIG_FD,           /* int, an inherited descriptor; null is -1 */
	CONFIG_REGISTER,     /* uint32_t, and a bool: given */
	CONFIG_POLICY,       /* uint64_t, and a bool: given */
	CONFIG_FEATURES,     /* uint64_t, and a bool: given */
};

#define CONFIG_FOR(type) (1u << (type))

struct config_key {
	const char *name; /* dotted */
	enum config_type type;
	size_t offset;            /* into struct config or struct config_device */
	size_t given;             /* offset of a bool that is set if the key was given; 0: none */
	uint64_t min, max;        /* limits of a value, or of a string's length; a CONFIG_HEX may be empty */
	const char *unit;         /* for messages and the man page; NULL: none */
	const char *const *words; /* CONFIG_WORD: NULL-terminated, in the order of the enum */
	unsigned types;           /* CONFIG_FOR(sev type or driver) of those that use it; 0: all */
	bool required;            /* a device's key that has no default */
	const char *needs;        /* the key without which this one has no effect; NULL: none */
	const char *def;          /* the default, as JSON in the file would have it; null: see help */
	const char *help;         /* one or more sentences, for the man page */
};

extern const struct config_key config_keys[];
extern const size_t config_keys_count;

/* Returns the row of a dotted key, or NULL. */
const struct config_key *config_key_find(const char *name);

/* The keys of devices[]. Their names have no dots: "driver", "file". The first row is "driver". */
extern const struct config_key config_device_keys[];
extern const size_t config_device_keys_count;
extern const char *const config_driver_words[]; /* in the order of enum config_driver; ends with NULL */
/* Returns the row of a device's key, or NULL. */
const struct config_key *config_device_key_find(const char *name);
/*
 * Lists the words whose bits are set in mask: "sev, sev-es or sev-snp". Returns text, which is cut if it is
 * too long.
 */
#define CONFIG_WORDS_TEXT_BYTES 100
const char *config_words_text(
        const char *const *words, unsigned mask, char text[static CONFIG_WORDS_TEXT_BYTES]);

/*
 * Writes a size as a configuration may hold it, exact and as short as can be: "1G" rather than "1024M".
 * Returns text. People who read amounts get text_bytes().
 */
#define CONFIG_SIZE_TEXT_BYTES 24
const char *config_size_text(uint64_t bytes, char text[static CONFIG_SIZE_TEXT_BYTES]);

/* ---- names of bits ---- */

/* A word of sev.policy or sev.vmsa-features. A table ends with a row without a name. */
struct config_bit {
	const char *name;
	uint64_t bits;
	const char *help;
};

/*
 * Can a guest of this type, which is not CONFIG_SEV_NONE, have this policy? The text of ERR_USAGE follows the
 * name of what holds the policy: "is 0x1, but ...".
 */
int config_policy_check(enum config_sev_type type, uint64_t policy, struct err *err) MUST_CHECK;

/*
 * Reads a policy as sev.policy has it for this type: a number, or words ("smt,abi=1.55").
 * config_policy_check() decides whether such a guest is possible. The error's text follows the name of what
 * holds the policy here, too.
 */
int config_policy_parse(
        enum config_sev_type type, const char *text, uint64_t *ret_policy, struct err *err) MUST_CHECK;

/* Returns the table of the policy's bits for this type. */
const struct config_bit *config_policy_bits(enum config_sev_type type);
/*
 * Finds the least version of the firmware's interface that a policy demands. Returns the word that gives this
 * version in sev.policy: "api", or "abi" for SEV-SNP.
 */
const char *config_policy_version(
        enum config_sev_type type, uint64_t policy, unsigned *ret_major, unsigned *ret_minor);

/* SEV API and SNP ABI, guest policy; APM volume 2, SEV_FEATURES. */
extern const struct config_bit config_sev_policy_bits[], config_snp_policy_bits[], config_vmsa_feature_bits[];

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bits: reads the guest policy and the VMSA features, given as numbers or as words. Any thread. SEV API 55766
 * (guest policy structure), SNP ABI 56860 (guest policy), APM volume 2 (SEV_FEATURES).
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "internal.h"

#define BIT(n) (UINT64_C(1) << (n))

const struct config_bit config_sev_policy_bits[] = {
        {"nodbg", BIT(0), "Debugging of the guest is not allowed."},
        {"noks", BIT(1), "Sharing the key with other guests is not allowed."},
        {"es", BIT(2), "SEV-ES is required."},
        {"nosend", BIT(3), "Sending the guest to another platform is not allowed."},
        {"domain", BIT(4), "The guest must not be sent to another domain."},
        {"sev", BIT(5), "The guest must not be sent to a platform that is not SEV-capable."},
        {0},
};

const struct config_bit config_snp_policy_bits[] = {
        {"smt", BIT(16), "Simultaneous multithreading is allowed."},
        {"migrate-ma", BIT(18), "Association with a migration agent is allowed."},
        {"debug", BIT(19), "Debugging of the guest is allowed."},
        {"single-socket", BIT(20), "The guest may be activated on one socket only."},
        {"cxl", BIT(21), "CXL devices and memory may be populated."},
        {"aes-256-xts", BIT(22), "Memory must be encrypted with AES-256-XTS."},
        {"rapl-dis", BIT(23), "Running average power limit (RAPL) must be disabled."},
        {"ciphertext-hiding", BIT(24), "Ciphertext hiding must be enabled."},
        {"page-swap-disable", BIT(25), "Moving, swapping and absorbing guest pages is not allowed."},
        {0},
};

const struct config_bit config_vmsa_feature_bits[] = {
        {"snp", BIT(0), "SEV-SNP is active."},
        {"vtom", BIT(1), "Virtual top of memory."},
        {"reflect-vc", BIT(2), "Exceptions are reflected to VMPL 0."},
        {"restricted-injection", BIT(3), "Only #HV may be injected."},
        {"alternate-injection", BIT(4), "The guest's VMSA holds what is injected."},
        {"debug-swap", BIT(5), "Debug registers are swapped."},
        {"prevent-host-ibs", BIT(6), "The host cannot sample the guest's instructions."},
        {"btb-isolation", BIT(7), "The branch target buffer is isolated."},
        {"vmpl-sss", BIT(8), "Supervisor shadow stacks by VMPL."},
        {"secure-tsc", BIT(9), "The time stamp counter is out of the host's reach."},
        {"vmgexit-parameter", BIT(10), "VMGEXIT takes a parameter."},
        {"pmc-virtualization", BIT(11), "Performance counters are virtualised."},
        {"ibs-virtualization", BIT(12), "Instruction-based sampling is virtualised."},
        {"vmsa-reg-protection", BIT(14), "Some registers in the VMSA are masked with a nonce."},
        {"smt-protection", BIT(15), "The sibling thread idles while the guest runs."},
        {0},
};

/* The policy's layout in each generation. */
struct format {
	const struct config_bit *bits;
	uint64_t required, forbidden;
	const char *why;     /* the reason, for both cases */
	const char *version; /* the word for the least firmware version; NULL: there is no such word */
	unsigned major_shift, minor_shift;
	uint64_t def;
};

static const struct format policies[] = {
        [CONFIG_SEV] = {config_sev_policy_bits, 0, BIT(2), "bit 2 (es) belongs to sev.type \"sev-es\"", "api",
                16, 24, 0x1},
        [CONFIG_SEV_ES] = {config_sev_policy_bits, BIT(2), 0, "a sev-es guest needs bit 2 (es) in its policy",
                "api", 16, 24, 0x5},
        [CONFIG_SEV_SNP] = {config_snp_policy_bits, BIT(17), 0, "every SNP policy must have bit 17 set",
                "abi", 8, 0, 0x30000},
};

static const struct format features[] = {
        [CONFIG_SEV] = {config_vmsa_feature_bits},
        [CONFIG_SEV_ES] = {config_vmsa_feature_bits, 0, BIT(0), "bit 0 (snp) belongs to sev.type \"sev-snp\"",
                .def = 0},
        [CONFIG_SEV_SNP] = {config_vmsa_feature_bits, BIT(0), 0,
                "bit 0 (snp) is set in every sev-snp guest's features", .def = 0x1},
};

static int check_bits(const struct format *f, uint64_t bits, struct err *err)
{
	uint64_t known = f->required | f->forbidden;

	for (const struct config_bit *b = f->bits; b->name; b++)
		known |= b->bits;
	if (f->version)
		known |= UINT64_C(0xff) << f->major_shift | UINT64_C(0xff) << f->minor_shift;
	if ((bits & f->required) != f->required || (bits & f->forbidden))
		return err_set(err, ERR_USAGE, "is 0x%" PRIx64 ", but %s: write 0x%" PRIx64 "%s", bits,
		        f->why, (bits | f->required) & ~f->forbidden,
		        f->required ? ", or words, which need not say this bit" : "");
	if (bits & ~known)
		return err_set(err, ERR_USAGE, "is 0x%" PRIx64 ", of which 0x%" PRIx64 " is reserved", bits,
		        bits & ~known);
	return 0;
}

int config_policy_check(enum config_sev_type type, uint64_t policy, struct err *err)
{
	return check_bits(&policies[type], policy, err);
}

const struct config_bit *config_policy_bits(enum config_sev_type type)
{
	return policies[type].bits;
}

const char *config_policy_version(
        enum config_sev_type type, uint64_t policy, unsigned *ret_major, unsigned *ret_minor)
{
	const struct format *f = &policies[type];

	*ret_major = (unsigned)(policy >> f->major_shift & 0xff);
	*ret_minor = (unsigned)(policy >> f->minor_shift & 0xff);
	return f->version;
}

/* Reads the "1.55" of "abi=1.55". */
static bool read_version(const struct format *f, const char *text, uint64_t *bits)
{
	unsigned part[2];

	for (int i = 0; i < 2; i++) {
		unsigned long n;
		char *end;

		if (!isdigit((unsigned char)*text))
			return false;
		n = strtoul(text, &end, 10);
		if (n > 255 || *end != (i == 0 ? '.' : '\0'))
			return false;
		part[i] = (unsigned)n;
		text = end + 1;
	}
	*bits |= (uint64_t)part[0] << f->major_shift | (uint64_t)part[1] << f->minor_shift;
	return true;
}

static const char *bit_name(const void *bits, size_t i)
{
	return ((const struct config_bit *)bits)[i].name;
}

static int unknown_word(const struct format *f, const char *word, struct err *err)
{
	const char *best = config_nearest(word, bit_name, f->bits);
	char list[300] = "";
	size_t used = 0;

	if (best)
		return err_set(err, ERR_USAGE, "has no word \"%.40s\"; did you mean \"%s\"?", word, best);
	for (const struct config_bit *b = f->bits; b->name && used < sizeof(list); b++)
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", used ? ", " : "", b->name);
	return err_set(err, ERR_USAGE, "has no word \"%.40s\"; there are %s%s%s%s", word, list,
	        f->version ? " and " : "", f->version ?: "", f->version ? "=MAJOR.MINOR" : "");
}

static int add_word(const struct format *f, const char *word, uint64_t *bits, struct err *err)
{
	size_t version = f->version ? strlen(f->version) : 0;

	for (const struct config_bit *b = f->bits; b->name; b++) {
		if (strcmp(b->name, word) == 0) {
			*bits |= b->bits;
			return 0;
		}
	}
	if (!version || strncmp(word, f->version, version) != 0 || word[version] != '=')
		return unknown_word(f, word, err);
	if (!read_version(f, word + version + 1, bits))
		return err_set(err, ERR_USAGE, "\"%.40s\" must be %s=MAJOR.MINOR, each from 0 to 255", word,
		        f->version);
	return 0;
}

/* Adds the bits of words such as "smt,debug". Blanks around a word are allowed. */
static int add_words(const struct format *f, const char *text, uint64_t *bits, struct err *err)
{
	for (;;) {
		size_t length = strcspn(text, ","), first = strspn(text, " ");
		char word[48];

		if (first >= length)
			return err_set(err, ERR_USAGE, "has an empty word; null is the default");
		while (text[length - 1] == ' ' && length > first)
			length--;
		snprintf(word, sizeof(word), "%.*s", (int)(length - first), text + first);
		if (add_word(f, word, bits, err) < 0)
			return -1;
		text += strcspn(text, ",");
		if (!*text++)
			return 0;
	}
}

int config_bits_number(const char *text, uint64_t *ret_number, struct err *err)
{
	bool hex = strncmp(text, "0x", 2) == 0 || strncmp(text, "0X", 2) == 0;
	const char *digits = hex ? text + 2 : text;
	char *end;

	errno = 0;
	*ret_number = strtoull(digits, &end, hex ? 16 : 10);
	if (errno || *end || !isxdigit((unsigned char)*digits))
		return err_set(err, ERR_USAGE, "\"%.40s\" is not a number of at most 64 bits", text);
	return 0;
}

static int read_text(const struct format *f, const char *text, uint64_t *bits, struct err *err)
{
	if (isdigit((unsigned char)*text))
		return config_bits_number(text, bits, err);
	*bits |= f->required;
	return add_words(f, text, bits, err);
}

static int read_string(const struct format *f, const json_t *value, uint64_t *bits, struct err *err)
{
	if (config_value_text_check(value, err) < 0)
		return -1;
	return read_text(f, json_string_value(value), bits, err);
}

static int read_list(const struct format *f, const json_t *list, uint64_t *bits, struct err *err)
{
	char text[CONFIG_VALUE_TEXT_BYTES];
	const json_t *word;
	size_t i;

	*bits |= f->required;
	json_array_foreach(list, i, word)
	{
		if (!json_is_string(word))
			return err_set(err, ERR_USAGE, "is a list of words, and %s is not one",
			        config_value_text(word, text));
		if (config_value_text_check(word, err) < 0 ||
		        add_word(f, json_string_value(word), bits, err) < 0)
			return -1;
	}
	return 0;
}

static int read_bits(const struct format *f, const json_t *value, uint64_t *bits, struct err *err)
{
	char text[CONFIG_VALUE_TEXT_BYTES];

	if (json_is_string(value))
		return read_string(f, value, bits, err);
	if (json_is_array(value))
		return read_list(f, value, bits, err);
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return err_set(err, ERR_USAGE, "must be a number, words or null; this is %s",
		        config_value_text(value, text));
	*bits = (uint64_t)json_integer_value(value);
	return 0;
}

int config_policy_parse(enum config_sev_type type, const char *text, uint64_t *ret_policy, struct err *err)
{
	uint64_t policy = 0;

	if (read_text(&policies[type], text, &policy, err) < 0)
		return -1;
	*ret_policy = policy;
	return 0;
}

int config_bits_set(void *record, const struct config_key *key, const json_t *value, struct err *err)
{
	struct config *config = record;
	const struct format *f = key->type == CONFIG_POLICY ? policies : features;
	uint64_t bits = 0;

	f += config->sev.type;
	if (json_is_null(value)) {
		bits = f->def;
	} else if (f->bits) { /* no words without a type: config_check_between() reports that */
		if (read_bits(f, value, &bits, err) < 0 || check_bits(f, bits, err) < 0)
			return -1;
	}
	*(uint64_t *)((char *)config + key->offset) = bits;
	*(bool *)((char *)config + key->given) = !json_is_null(value);
	return 0;
}

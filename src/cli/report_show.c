/*
 * report show: an attestation report in words. Main thread only. SNP ABI, ATTESTATION_REPORT.
 */
#include <jansson.h>

#include "evidence.h"
#include "verbs.h"

enum kind { NUMBER, VECTOR, BYTES, POLICY, PLATFORM, KEY_INFO, TCB, FIRMWARE, CPUID };

struct row {
	const char *key, *label;
	enum kind kind;
	size_t offset, size;
	unsigned since; /* report version that brought the field */
};

#define ROW(key, label, kind, member, since) \
	{ \
		key, label, kind, offsetof(struct abi_snp_report, member), \
		        sizeof(((struct abi_snp_report *)0)->member), since \
	}

static const struct row rows[] = {
        ROW("version", "report version", NUMBER, version, 0),
        ROW("cpuid", "processor", CPUID, cpuid_family, 3),
        ROW("guest_svn", "guest SVN", NUMBER, guest_svn, 0),
        ROW("policy", "policy", POLICY, policy, 0),
        ROW("vmpl", "VMPL", NUMBER, vmpl, 0),
        ROW("measurement", "measurement", BYTES, measurement, 0),
        ROW("report_data", "report data", BYTES, report_data, 0),
        ROW("host_data", "host data", BYTES, host_data, 0),
        ROW("family_id", "family id", BYTES, family_id, 0),
        ROW("image_id", "image id", BYTES, image_id, 0),
        ROW("id_key_digest", "ID key digest", BYTES, id_key_digest, 0),
        ROW("author_key_digest", "author key digest", BYTES, author_key_digest, 0),
        ROW("report_id", "report id", BYTES, report_id, 0),
        ROW("report_id_ma", "migration agent", BYTES, report_id_ma, 0),
        ROW("platform_info", "platform", PLATFORM, platform_info, 0),
        ROW("key_info", "signing key", KEY_INFO, key_info, 0),
        ROW("chip_id", "chip id", BYTES, chip_id, 0),
        ROW("reported_tcb", "reported TCB", TCB, reported_tcb, 0),
        ROW("current_tcb", "current TCB", TCB, current_tcb, 0),
        ROW("committed_tcb", "committed TCB", TCB, committed_tcb, 0),
        ROW("launch_tcb", "launch TCB", TCB, launch_tcb, 0),
        ROW("current_version", "current firmware", FIRMWARE, current, 0),
        ROW("committed_version", "committed firmware", FIRMWARE, committed, 0),
        ROW("launch_mit_vector", "launch mitigations", VECTOR, launch_mit_vector, 5),
        ROW("current_mit_vector", "current mitigations", VECTOR, current_mit_vector, 5),
        ROW("signature_algo", "signature algorithm", NUMBER, signature_algo, 0),
};

/* ---- words ---- */

static void print_bits(uint64_t value, const struct attest_bit *bits, uint64_t elsewhere)
{
	const char *comma = "";

	for (; bits->key; bits++) {
		const char *words = value >> bits->bit & 1 ? bits->set : bits->clear;

		elsewhere |= 1ull << bits->bit;
		if (words)
			printf("%s%s", comma, words);
		if (words)
			comma = ", ";
	}
	if (value & ~elsewhere)
		printf("%sunknown bits %#llx", comma, (unsigned long long)(value & ~elsewhere));
	putchar('\n');
}

static void print_bytes(const uint8_t *bytes, size_t size)
{
	char text[2 * 32 + 1];

	for (size_t i = 0; i < size; i += 32) {
		hex_encode(bytes + i, size - i < 32 ? size - i : 32, text);
		printf("%s%s\n", i ? "                     " : "", text);
	}
}

static void print_tcb(uint64_t value, enum attest_tcb_layout layout)
{
	printf("%#018llx:", (unsigned long long)value);
	for (int part = 0; part < ATTEST_TCB_PARTS; part++) {
		int level = attest_tcb_get(value, layout, part);

		if (level >= 0)
			printf(" %s %d", attest_tcb_part_name(part), level);
	}
	putchar('\n');
}

static void print_key_info(uint32_t value)
{
	printf("%#x: signed by %s%s%s\n", value, attest_signer_name(value),
	        value & ABI_SNP_KEY_MASKED ? ", signing masked by the host" : "",
	        value & ABI_SNP_KEY_AUTHOR ? ", ID block with author key" : ", no author key");
}

static void print_row(const struct row *row, const struct abi_snp_report *report)
{
	const uint8_t *at = (const uint8_t *)report + row->offset;
	uint64_t value = row->size <= 8 ? load_le(at, (unsigned)row->size) : 0;

	printf("%-20s ", row->label);
	switch (row->kind) {
	case NUMBER: printf("%llu\n", (unsigned long long)value); break;
	case VECTOR: printf("0x%llx\n", (unsigned long long)value); break;
	case BYTES: print_bytes(at, row->size); break;
	case POLICY:
		printf("%#llx: ABI %u.%u or newer, ", (unsigned long long)value,
		        (unsigned)(value >> 8 & 0xff), (unsigned)(value & 0xff));
		print_bits(value, attest_policy_bits, 0xffff);
		break;
	case PLATFORM:
		printf("%#llx: ", (unsigned long long)value);
		print_bits(value, attest_platform_bits, 0);
		break;
	case KEY_INFO: print_key_info((uint32_t)value); break;
	case TCB: print_tcb(value, attest_report_tcb_layout(report)); break;
	case FIRMWARE: printf("%u.%u build %u\n", at[2], at[1], at[0]); break;
	case CPUID:
		printf("%s (family %#x, model %#x, stepping %u)\n",
		        attest_product_name(attest_report_product(report)), at[0], at[1], at[2]);
		break;
	}
}

/* ---- JSON: numbers of 64 bits and byte strings as hexadecimal text ---- */

static json_t *json_hex(uint64_t value)
{
	return json_sprintf("%#llx", (unsigned long long)value);
}

static json_t *json_bits(uint64_t value, const struct attest_bit *bits)
{
	json_t *object = json_pack("{s:o}", "value", json_hex(value));

	for (; bits->key; bits++)
		json_object_set_new(object, bits->key, json_boolean(value >> bits->bit & 1));
	return object;
}

static json_t *json_tcb(uint64_t value, enum attest_tcb_layout layout)
{
	json_t *object = json_pack("{s:o}", "value", json_hex(value));

	for (int part = 0; part < ATTEST_TCB_PARTS; part++) {
		int level = attest_tcb_get(value, layout, part);

		if (level >= 0)
			json_object_set_new(object, attest_tcb_part_name(part), json_integer(level));
	}
	return object;
}

static json_t *json_policy(uint64_t value)
{
	json_t *object = json_bits(value, attest_policy_bits);

	json_object_set_new(object, "abi_major", json_integer((json_int_t)(value >> 8 & 0xff)));
	json_object_set_new(object, "abi_minor", json_integer((json_int_t)(value & 0xff)));
	return object;
}

static json_t *json_row(const struct row *row, const struct abi_snp_report *report)
{
	const uint8_t *at = (const uint8_t *)report + row->offset;
	uint64_t value = row->size <= 8 ? load_le(at, (unsigned)row->size) : 0;
	char hex[2 * 64 + 1];

	switch (row->kind) {
	case NUMBER: return json_integer((json_int_t)value);
	case VECTOR: return json_hex(value);
	case BYTES: hex_encode(at, row->size, hex); return json_string(hex);
	case POLICY: return json_policy(value);
	case PLATFORM: return json_bits(value, attest_platform_bits);
	case KEY_INFO:
		return json_pack("{s:o, s:s, s:b, s:b}", "value", json_hex(value), "signer",
		        attest_signer_name((uint32_t)value), "mask_chip_key", !!(value & ABI_SNP_KEY_MASKED),
		        "author_key", !!(value & ABI_SNP_KEY_AUTHOR));
	case TCB: return json_tcb(value, attest_report_tcb_layout(report));
	case FIRMWARE: return json_sprintf("%u.%u.%u", at[2], at[1], at[0]);
	case CPUID:
		return json_pack("{s:s, s:i, s:i, s:i}", "product",
		        attest_product_name(attest_report_product(report)), "family", at[0], "model", at[1],
		        "stepping", at[2]);
	}
	return NULL;
}

static int print_json(const struct abi_snp_report *report, struct err *err)
{
	struct attest_vcek_urls at;
	json_t *root = json_pack("{s:n}", "simulated"); /* only its certificates say */
	int status = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].since <= report->version &&
		        json_object_set_new(root, rows[i].key, json_row(&rows[i], report)) < 0)
			status = -1;
	}
	attest_report_vcek_urls(report, &at);
	if (json_object_set_new(root, "vcek_url", at.count == 1 ? json_string(at.url[0]) : json_null()) < 0)
		status = -1;
	if (status < 0 || json_dumpf(root, stdout, JSON_INDENT(2)) < 0)
		status = err_set(err, ERR_FAILED, "the report cannot be written as JSON");
	else
		putchar('\n');
	json_decref(root);
	return status;
}

static void print_urls(const struct abi_snp_report *report)
{
	struct attest_vcek_urls at;

	attest_report_vcek_urls(report, &at);
	for (size_t i = 0; i < at.count; i++)
		printf("%-20s %s\n", i ? "or at" : "VCEK at", at.url[i]);
	if (at.count > 1)
		printf("%-20s (a report of version %u does not say which product its processor is)\n", "",
		        report->version);
}

static int run(const struct cli_args *args, struct err *err)
{
	struct abi_snp_report report;
	struct attest_blob file;

	if (report_read(cli_operand(args, 0), &file, &report, NULL, err) < 0)
		return -1;
	blob_free(&file);
	if (cli_given(args, "json"))
		return print_json(&report, err);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].since <= report.version)
			print_row(&rows[i], &report);
	}
	print_urls(&report);
	printf("\nNothing of this is proven yet, and a report does not say whether it comes from a "
	       "simulation:\n"
	       "vmm report verify checks both, by the certificates.\n");
	return 0;
}

static const struct cli_option options[] = {CLI_OPTION_JSON, {0}};

const struct cli_verb cli_verb_report_show = {
        .name = "report show",
        .operands = "FILE",
        .operands_min = 1,
        .operands_max = 1,
        .summary = "print an SNP attestation report in words",
        .help = "FILE, - for the standard input, holds a report of version 2 to 5 (1184 bytes): alone, in "
                "the "
                "firmware's response as a guest gets it, in the report of Azure's paravisor, or with a "
                "certificate table behind it; as it is, in Base64 or in hexadecimal. Nothing is verified; "
                "see "
                "vmm report verify.",
        .options = options,
        .run = run,
};

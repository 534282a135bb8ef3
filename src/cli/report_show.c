/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report show: prints an attestation report in words or as JSON. Main thread only. SNP ABI,
 * ATTESTATION_REPORT.
 */
#include "evidence.h"
#include "verbs.h"
#include "vmm/attest/report.h"
#include "vmm/json.h"

enum kind { NUMBER, VECTOR, BYTES, POLICY, PLATFORM, KEY_INFO, TCB, FIRMWARE, CPUID };

struct row {
	const char *key, *label;
	enum kind kind;
	size_t offset, size;
	unsigned since; /* the first report version that has the field */
};

#define ROW(key, label, kind, member, since) \
	{ \
		key, label, kind, offsetof(struct abi_snp_report, member), \
		        sizeof(((struct abi_snp_report *)0)->member), since \
	}

static const struct row rows[] = {
        ROW("version", "report version", NUMBER, version, 0),
        ROW("cpuid", "processor", CPUID, cpuid_family, 3),
        ROW("guest-svn", "guest SVN", NUMBER, guest_svn, 0),
        ROW("policy", "policy", POLICY, policy, 0),
        ROW("vmpl", "VMPL", NUMBER, vmpl, 0),
        ROW("measurement", "measurement", BYTES, measurement, 0),
        ROW("report-data", "report data", BYTES, report_data, 0),
        ROW("host-data", "host data", BYTES, host_data, 0),
        ROW("family-id", "family id", BYTES, family_id, 0),
        ROW("image-id", "image id", BYTES, image_id, 0),
        ROW("id-key-digest", "ID key digest", BYTES, id_key_digest, 0),
        ROW("author-key-digest", "author key digest", BYTES, author_key_digest, 0),
        ROW("report-id", "report id", BYTES, report_id, 0),
        ROW("report-id-ma", "migration agent", BYTES, report_id_ma, 0),
        ROW("platform-info", "platform", PLATFORM, platform_info, 0),
        ROW("key-info", "signing key", KEY_INFO, key_info, 0),
        ROW("chip-id", "chip id", BYTES, chip_id, 0),
        ROW("reported-tcb", "reported TCB", TCB, reported_tcb, 0),
        ROW("current-tcb", "current TCB", TCB, current_tcb, 0),
        ROW("committed-tcb", "committed TCB", TCB, committed_tcb, 0),
        ROW("launch-tcb", "launch TCB", TCB, launch_tcb, 0),
        ROW("current-version", "current firmware", FIRMWARE, current, 0),
        ROW("committed-version", "committed firmware", FIRMWARE, committed, 0),
        ROW("launch-mit-vector", "launch mitigations", VECTOR, launch_mit_vector, 5),
        ROW("current-mit-vector", "current mitigations", VECTOR, current_mit_vector, 5),
        ROW("signature-algo", "signature algorithm", NUMBER, signature_algo, 0),
};

/* ---- words ---- */

static void print_bits(uint64_t value, const struct attest_bit *bits, uint64_t elsewhere)
{
	const char *comma = "";

	for (; bits->set || bits->clear; bits++) {
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

static void print_tcb(uint64_t value, enum product_tcb_layout layout)
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
	        value & ABI_SNP_KEY_MASKED ? ", chip's key masked by the host" : "",
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
		        product_get(attest_report_product(report))->name, at[0], at[1], at[2]);
		break;
	}
}

/* ---- JSON ---- */

static json_t *platform_json(uint64_t value)
{
	json_t *object = json_pack("{s:o}", "value", json_doc_mask(value));

	for (const struct attest_bit *b = attest_platform_bits; b->key; b++)
		json_doc_set(&object, b->key, json_boolean(value >> b->bit & 1));
	return object;
}

static json_t *key_info_json(uint32_t value)
{
	return json_pack("{s:o, s:s, s:b, s:b}", "value", json_doc_mask(value), "signer",
	        attest_signer_name(value), "mask-chip-key", !!(value & ABI_SNP_KEY_MASKED), "author-key",
	        !!(value & ABI_SNP_KEY_AUTHOR));
}

static json_t *cpuid_json(const struct abi_snp_report *report, const uint8_t *at)
{
	enum product_id product = attest_report_product(report);

	return json_pack("{s:s?, s:i, s:i, s:i}", "product",
	        product != PRODUCT_UNKNOWN ? product_get(product)->name : NULL, "family", at[0], "model",
	        at[1], "stepping", at[2]);
}

/* The value is null if reports of this version do not have the field. */
static json_t *row_json(const struct row *row, const struct abi_snp_report *report)
{
	const uint8_t *at = (const uint8_t *)report + row->offset;
	uint64_t value = row->size <= 8 ? load_le(at, (unsigned)row->size) : 0;

	if (row->since > report->version)
		return json_null();
	switch (row->kind) {
	case NUMBER: return json_integer((json_int_t)value);
	case VECTOR: return json_doc_mask(value);
	case BYTES: return json_doc_bytes(at, row->size);
	case POLICY: return json_doc_policy(CONFIG_SEV_SNP, value);
	case PLATFORM: return platform_json(value);
	case KEY_INFO: return key_info_json((uint32_t)value);
	case TCB: return json_doc_tcb(value, attest_report_tcb_layout(report));
	case FIRMWARE: return json_sprintf("%u.%u.%u", at[2], at[1], at[0]);
	case CPUID: return cpuid_json(report, at);
	}
	return NULL;
}

static int print_json(const struct abi_snp_report *report, struct err *err)
{
	struct attest_vcek_urls at;
	auto_json json_t *root = json_pack("{s:n}", "simulated"); /* only certificates tell */

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		json_doc_set(&root, rows[i].key, row_json(&rows[i], report));
	attest_report_vcek_urls(report, &at);
	json_doc_set(&root, "vcek-url", at.count == 1 ? json_string(at.url[0]) : json_null());
	return json_doc_print(root, err);
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

	if (cli_report_read(cli_operand(args, 0), &file, &report, NULL, err) < 0)
		return -1;
	cli_blob_free(&file);
	if (cli_given(args, "json"))
		return print_json(&report, err);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].since <= report.version)
			print_row(&rows[i], &report);
	}
	print_urls(&report);
	printf("\nNone of this is verified yet, and a report does not say whether it comes from a "
	       "simulation:\n"
	       "vmm report verify checks both with the certificates.\n");
	return 0;
}

static const struct cli_option options[] = {CLI_OPTION_JSON, {0}};

const struct cli_verb cli_verb_report_show = {
        .name = "report show",
        .operands = "FILE",
        .operands_min = 1,
        .operands_max = 1,
        .summary = "print an SNP attestation report in words",
        .help = "FILE (- is standard input) holds a report of version 2 to 5 (1184 bytes): alone, in the "
                "firmware's response as a guest gets it, in the report of Azure's paravisor, or with a "
                "certificate table behind it. The bytes may also be in Base64 or hexadecimal. Nothing is "
                "verified; see vmm report verify.",
        .options = options,
        .run = run,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>

#include "../../../src/config/internal.h"
#include "parse.h"

static void test_defaults_alone_are_good(void **state)
{
	struct config_mistakes mistakes = {0};
	struct config *config;

	assert_int_equal(config_load(NULL, NULL, 0, NULL, &config, &mistakes), 0);
	assert_int_equal(mistakes.count, 0);
	assert_string_equal(config->name, "guest");
	assert_string_equal(config->firmware, "/usr/share/ovmf/OVMF.fd");
	assert_int_equal(config->host, CONFIG_HOST_KVM);
	assert_int_equal(config->machine.vcpus, 1);
	assert_int_equal(config->machine.memory_bytes, GIB(1));
	assert_string_equal(config->machine.cpu, "EPYC-v4");
	assert_string_equal(config->machine.debugcon, "");
	assert_true(config->machine.pvpanic);
	assert_false(config->boot.hashes);
	assert_int_equal(config->sev.type, CONFIG_SEV_NONE);
	assert_false(config->sev.policy_given);
	assert_string_equal(config->sev.host_data, "");
	assert_int_equal(config->run.grace_s, 30);
	assert_int_equal(config->log, LOG_WARN);
	config_destroy(config);
}

static void test_keys_defaults_are_json_and_pass_when_written(void **state)
{
	for (size_t i = 0; i < config_keys_count; i++) {
		const struct config_key *key = &config_keys[i];
		json_t *def = json_loads(key->def, JSON_DECODE_ANY, NULL);
		auto_free char *text = NULL;

		assert_non_null(def);
		json_decref(def);
		assert_true(asprintf(&text, "{\"%s\": %s}", key->name, key->def) > 0);
		config_destroy(parsed(text, NULL));
	}
}

static void test_keys_are_found_by_name_and_unique(void **state)
{
	for (size_t i = 0; i < config_keys_count; i++)
		assert_ptr_equal(config_key_find(config_keys[i].name), &config_keys[i]);
	assert_null(config_key_find("machine"));
	assert_null(config_key_find(""));
}

/* Checks the properties of the table on which the code relies. */
static void test_keys_rows_are_whole(void **state)
{
	const struct config_key *type = config_key_find("sev.type");

	for (const struct config_key *key = config_keys; key < config_keys + config_keys_count; key++) {
		bool bits = key->type == CONFIG_POLICY || key->type == CONFIG_FEATURES;

		assert_true(key->offset < sizeof(struct config) && key->min <= key->max);
		assert_true(*key->help && key->help[strlen(key->help) - 1] == '.');
		assert_true((key->type == CONFIG_WORD) == (key->words != NULL));
		assert_true((bits || key->type == CONFIG_REGISTER) == (key->given != 0));
		assert_true(!bits || key > type);
		assert_true(!key->needs || config_key_find(key->needs));
		assert_int_equal(key->types & ~(CONFIG_FOR(CONFIG_SEV) | CONFIG_FOR(CONFIG_SEV_ES) |
		                                      CONFIG_FOR(CONFIG_SEV_SNP)),
		        0);
	}
}

static void test_device_keys_rows_are_whole(void **state)
{
	assert_string_equal(config_device_keys[0].name, "driver");
	for (size_t i = 0; i < config_device_keys_count; i++) {
		const struct config_key *key = &config_device_keys[i];

		assert_ptr_equal(config_device_key_find(key->name), key);
		assert_true(key->offset < sizeof(struct config_device) && key->min <= key->max);
		assert_true(*key->help && key->help[strlen(key->help) - 1] == '.');
		assert_true((key->type == CONFIG_WORD) == (key->words != NULL));
		assert_true(key->required == !key->def);
		assert_true(key->types < CONFIG_FOR(CONFIG_DRIVERS) && !key->given && !key->needs);
	}
	assert_null(config_device_key_find("devices[0].file"));
}

static void test_keys_of_a_section_stand_together(void **state)
{
	for (size_t i = 1; i < config_keys_count; i++) {
		const char *name = config_keys[i].name, *dot = strchr(name, '.');
		size_t bytes = dot ? (size_t)(dot - name) + 1 : 0;
		bool seen = false;

		for (size_t j = 0; bytes && j < i; j++)
			seen |= strncmp(config_keys[j].name, name, bytes) == 0;
		assert_true(!seen || strncmp(config_keys[i - 1].name, name, bytes) == 0);
	}
}

/* A value that is not the default, for every key; the table and the struct could disagree. */
static const char everything[] =
        "{\"name\": \"n\", \"host\": \"sim\", \"firmware\": \"f\","
        " \"machine\": {\"vcpus\": 64, \"memory\": \"4G\", \"cpu\": \"c\", \"hugepages\": true, "
        "\"debugcon\": \"d\", \"pvpanic\": false},"
        " \"boot\": {\"kernel\": \"k\", \"initrd\": \"i\", \"cmdline\": \"l\", \"hashes\": true},"
        " \"sev\": {\"type\": \"sev-snp\", \"policy\": 131072, \"vmsa-features\": \"0x21\", \"id-block\": "
        "\"b\","
        "  \"id-auth\": \"a\", \"enforce-digest\": false, \"host-data\":"
        "  \"00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF\"},"
        " \"run\": {\"grace\": 0}, \"log\": \"debug\"}";

static void test_every_key_reaches_its_field(void **state)
{
	struct config *c = parsed(everything, NULL);

	assert_string_equal(c->name, "n");
	assert_int_equal(c->host, CONFIG_HOST_SIM);
	assert_string_equal(c->firmware, "f");
	assert_int_equal(c->machine.vcpus, 64);
	assert_int_equal(c->machine.memory_bytes, GIB(4));
	assert_string_equal(c->machine.cpu, "c");
	assert_true(c->machine.hugepages);
	assert_string_equal(c->machine.debugcon, "d");
	assert_false(c->machine.pvpanic);
	assert_string_equal(c->boot.kernel, "k");
	assert_string_equal(c->boot.initrd, "i");
	assert_string_equal(c->boot.cmdline, "l");
	assert_true(c->boot.hashes);
	assert_int_equal(c->sev.type, CONFIG_SEV_SNP);
	assert_int_equal(c->sev.policy, 0x20000);
	assert_true(c->sev.policy_given);
	assert_int_equal(c->sev.vmsa_features, 0x21);
	assert_true(c->sev.vmsa_features_given);
	assert_string_equal(c->sev.id_block, "b");
	assert_string_equal(c->sev.id_auth, "a");
	assert_string_equal(
	        c->sev.host_data, "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF");
	assert_false(c->sev.enforce_digest);
	assert_int_equal(c->run.grace_s, 0);
	assert_int_equal(c->log, LOG_DEBUG);
	config_destroy(c);
	c = parsed("{\"sev\": {\"type\": \"sev-es\", \"init\": \"legacy\", \"dh-cert\": \"d\", \"session\": "
	           "\"s\"}}",
	        NULL);
	assert_int_equal(c->sev.type, CONFIG_SEV_ES);
	assert_int_equal(c->sev.init, CONFIG_SEV_INIT_LEGACY);
	assert_string_equal(c->sev.dh_cert, "d");
	assert_string_equal(c->sev.session, "s");
	config_destroy(c);
}

static void test_sections_may_be_written_as_dotted_keys(void **state)
{
	struct config *c = parsed("{\"machine.vcpus\": 3, \"machine\": {\"m\\u0065mory\": \"2M\"}}", NULL);

	assert_int_equal(c->machine.vcpus, 3);
	assert_int_equal(c->machine.memory_bytes, MIB(2));
	config_destroy(c);
}

static bool is_word(const char *name)
{
	static const struct config_bit *const tables[] = {
	        config_sev_policy_bits, config_snp_policy_bits, config_vmsa_feature_bits};

	for (size_t i = 0; i < config_keys_count; i++) {
		for (const char *const *word = config_keys[i].words; word && *word; word++) {
			if (strcmp(*word, name) == 0)
				return true;
		}
	}
	for (size_t i = 0; i < config_device_keys_count; i++) {
		for (const char *const *word = config_device_keys[i].words; word && *word; word++) {
			if (strcmp(*word, name) == 0)
				return true;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		for (const struct config_bit *bit = tables[i]; bit->name; bit++) {
			if (strcmp(bit->name, name) == 0)
				return true;
		}
	}
	return false;
}

/* A row without effect would never be noticed. The names of models belong to the room machine. */
static void test_keys_foreign_names_lead_somewhere(void **state)
{
	for (const struct config_foreign *f = config_foreign_names; f->theirs; f++) {
		assert_true(!f->ours != !f->why);
		if (f->ours && !config_key_find(f->ours) && !config_device_key_find(f->ours) &&
		        !is_word(f->ours) && strncmp(f->ours, "EPYC", 4) != 0)
			fail_msg("%s: %s is nothing", f->theirs, f->ours);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_defaults_alone_are_good),
	        cmocka_unit_test(test_keys_defaults_are_json_and_pass_when_written),
	        cmocka_unit_test(test_keys_are_found_by_name_and_unique),
	        cmocka_unit_test(test_keys_rows_are_whole),
	        cmocka_unit_test(test_device_keys_rows_are_whole),
	        cmocka_unit_test(test_keys_foreign_names_lead_somewhere),
	        cmocka_unit_test(test_keys_of_a_section_stand_together),
	        cmocka_unit_test(test_every_key_reaches_its_field),
	        cmocka_unit_test(test_sections_may_be_written_as_dotted_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

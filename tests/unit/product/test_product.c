/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"
#include "vmm/product.h"

/* The words of sim.product are names of the table, in its order, of just those products that can be
 * simulated. */
static void test_product_words_are_the_simulated_products(void **state)
{
	int count = 0;

	assert_string_equal(product_words[PRODUCT_UNKNOWN], "none");
	for (int id = 1; id < PRODUCT_IDS; id++) {
		const struct product *product = product_get((enum product_id)id);

		if (!product->signature)
			break;
		assert_string_equal(product_words[id], product->name);
		count = id;
	}
	assert_null(product_words[count + 1]);
	for (int id = count + 1; id < PRODUCT_IDS; id++)
		assert_int_equal(product_get((enum product_id)id)->signature, 0);
}

static void test_product_is_found_by_id_name_and_signature(void **state)
{
	for (int id = 1; id < PRODUCT_IDS; id++) {
		const struct product *product = product_get((enum product_id)id);

		assert_int_equal(product->id, id);
		assert_ptr_equal(product_find(product->name), product);
		if (product->signature)
			assert_int_equal(product_by_signature(product->signature), id);
	}
	assert_null(product_find("unknown"));
	assert_null(product_find("none"));
	assert_null(product_find("milan"));
	assert_null(product_find(NULL));
}

/* AMD 57230 and the processors' manuals, row by row. */
static void test_product_models_are_those_of_the_manuals(void **state)
{
	static const struct {
		unsigned family, model;
		enum product_id id;
	} rows[] = {
	        {0x17, 0x00, PRODUCT_UNKNOWN},
	        {0x17, 0x01, PRODUCT_NAPLES},
	        {0x17, 0x31, PRODUCT_ROME},
	        {0x17, 0x71, PRODUCT_UNKNOWN}, /* a desktop processor */
	        {0x19, 0x01, PRODUCT_MILAN},
	        {0x19, 0x11, PRODUCT_GENOA},
	        {0x19, 0x21, PRODUCT_UNKNOWN}, /* a desktop processor */
	        {0x19, 0xa0, PRODUCT_GENOA},   /* Bergamo */
	        {0x1a, 0x02, PRODUCT_TURIN},
	        {0x1a, 0x11, PRODUCT_TURIN}, /* Turin Dense */
	        {0x1a, 0x12, PRODUCT_UNKNOWN},
	        {0x1a, 0x50, PRODUCT_VENICE},
	        {0x06, 0x8f, PRODUCT_UNKNOWN}, /* a Xeon */
	        {0, 0, PRODUCT_UNKNOWN},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(product_by_model(rows[i].family, rows[i].model), rows[i].id);
}

/* No model belongs to two products, and each range is the right way round. */
static void test_product_models_do_not_overlap(void **state)
{
	bool taken[256][256] = {0};

	for (int id = 1; id < PRODUCT_IDS; id++) {
		const struct product *product = product_get((enum product_id)id);

		assert_true(product->models[0].family);
		for (size_t i = 0; i < ARRAY_LEN(product->models) && product->models[i].family; i++) {
			const struct product_models *models = &product->models[i];

			assert_true(models->first <= models->last);
			for (unsigned model = models->first; model <= models->last; model++) {
				assert_false(taken[models->family][model]);
				taken[models->family][model] = true;
			}
		}
	}
}

static void test_product_signature_is_taken_apart(void **state)
{
	assert_int_equal(product_family(0xb00f21), 0x1a);
	assert_int_equal(product_model(0xb00f21), 0x02);
	assert_int_equal(product_stepping(0xb00f21), 1);
	assert_int_equal(product_family(0x830f10), 0x17);
	assert_int_equal(product_model(0x830f10), 0x31);
	assert_int_equal(product_stepping(0x830f10), 0);
}

/* Each generation needs the one before it, and fields that only SEV-SNP has are empty in all other rows. */
static void test_product_features_belong_together(void **state)
{
	for (int id = 0; id < PRODUCT_IDS; id++) {
		const struct product *p = product_get((enum product_id)id);

		assert_true(p->es || !p->snp);
		assert_true(p->snp || !(p->ciphertext_hiding || p->silent_reports || p->tcb || p->vcek_name));
		if (!p->signature)
			continue;
		assert_true(p->root_bits == 2048 || p->root_bits == 4096);
		assert_int_equal(p->snp, p->tcb && p->cpuid_max && p->cpuid_max_ext && p->vcek_name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_product_words_are_the_simulated_products),
	        cmocka_unit_test(test_product_is_found_by_id_name_and_signature),
	        cmocka_unit_test(test_product_models_are_those_of_the_manuals),
	        cmocka_unit_test(test_product_models_do_not_overlap),
	        cmocka_unit_test(test_product_signature_is_taken_apart),
	        cmocka_unit_test(test_product_features_belong_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of devices[] golden tests cannot see: the fields behind the keys, and what nobody wrote.
 */
#include "parse.h"

static const char every_key[] =
        "{\"devices\": ["
        "{\"driver\": \"blk\", \"file\": \"f\", \"read-only\": true, \"serial\": \"s\", \"cache\": \"page\","
        " \"queues\": 4, \"id\": \"root\"},"
        "{\"driver\": \"net\", \"tap\": \"t\", \"mac\": \"52:54:00:12:34:56\", \"mtu\": 9000, \"queues\": 2,"
        " \"vhost\": false},"
        "{\"driver\": \"net\", \"tap-fd\": 7},"
        "{\"driver\": \"net\", \"forward-tcp\": \"2222:22\", \"forward-udp\": \"53\"},"
        "{\"driver\": \"vsock\", \"cid\": 4294967294},"
        "{\"driver\": \"console\", \"output\": \"o\"},"
        "{\"driver\": \"fs\", \"tag\": \"g\", \"folder\": \"d\"},"
        "{\"driver\": \"fs\", \"tag\": \"h\", \"socket\": \"k\"},"
        "{\"driver\": \"balloon\"}]}";

static void test_every_device_key_reaches_its_field(void **state)
{
	struct config *c = parsed(every_key, NULL);
	const struct config_device *d = c->devices;

	assert_int_equal(c->devices_count, 10); /* with the rng */
	assert_int_equal(d[0].driver, CONFIG_BLK);
	assert_string_equal(d[0].file, "f");
	assert_true(d[0].read_only);
	assert_string_equal(d[0].serial, "s");
	assert_int_equal(d[0].cache, CONFIG_CACHE_PAGE);
	assert_int_equal(d[0].queues, 4);
	assert_string_equal(d[0].id, "root");
	assert_int_equal(d[1].driver, CONFIG_NET);
	assert_int_equal(d[1].net, CONFIG_NET_TAP);
	assert_string_equal(d[1].tap, "t");
	assert_string_equal(d[1].mac, "52:54:00:12:34:56");
	assert_int_equal(d[1].mtu, 9000);
	assert_int_equal(d[1].queues, 2);
	assert_false(d[1].vhost);
	assert_int_equal(d[2].net, CONFIG_NET_TAP);
	assert_int_equal(d[2].tap_fd, 7);
	assert_int_equal(d[3].net, CONFIG_NET_PASST);
	assert_string_equal(d[3].forward_tcp, "2222:22");
	assert_string_equal(d[3].forward_udp, "53");
	assert_int_equal(d[4].driver, CONFIG_VSOCK);
	assert_int_equal(d[4].cid, 4294967294u);
	assert_int_equal(d[5].driver, CONFIG_CONSOLE);
	assert_string_equal(d[5].output, "o");
	assert_int_equal(d[6].driver, CONFIG_FS);
	assert_string_equal(d[6].tag, "g");
	assert_string_equal(d[6].folder, "d");
	assert_string_equal(d[7].socket, "k");
	assert_int_equal(d[8].driver, CONFIG_BALLOON);
	config_destroy(c);
}

static void test_device_defaults(void **state)
{
	struct config *c = parsed("{\"devices\": [{\"driver\": \"net\"}, {\"driver\": \"rng\"}]}", NULL);
	const struct config_device *d = c->devices;

	assert_int_equal(c->devices_count, 2);
	for (size_t i = 0; i < 2; i++) {
		const char *const texts[] = {d[i].file, d[i].serial, d[i].tap, d[i].mac, d[i].forward_tcp,
		        d[i].forward_udp, d[i].output, d[i].tag, d[i].socket, d[i].folder};

		for (size_t t = 0; t < ARRAY_LEN(texts); t++)
			assert_string_equal(texts[t], "");
		assert_int_equal(d[i].tap_fd, -1);
		assert_int_equal(d[i].queues, 0);
		assert_int_equal(d[i].mtu, 0);
		assert_int_equal(d[i].cache, CONFIG_CACHE_AUTO);
		assert_true(d[i].vhost);
	}
	config_destroy(c);
}

/* A name that the user gave is not given a second time. */
static void test_devices_without_id_are_named(void **state)
{
	struct config *c =
	        parsed("{\"devices\": [{\"driver\": \"blk\", \"file\": \"a\"}, {\"driver\": \"blk\", "
	               "\"file\": \"b\"}, {\"driver\": \"net\", \"id\": \"blk0\"}]}",
	                NULL);

	assert_int_equal(c->devices_count, 4);
	assert_string_equal(c->devices[0].id, "blk1");
	assert_string_equal(c->devices[1].id, "blk2");
	assert_string_equal(c->devices[2].id, "blk0");
	assert_string_equal(c->devices[3].id, "rng0");
	config_destroy(c);
}

static void test_only_guests_with_devices_get_an_rng(void **state)
{
	struct config *c = parsed("{}", NULL);

	assert_int_equal(c->devices_count, 0);
	config_destroy(c);
	c = parsed("{\"devices\": [{\"driver\": \"net\"}], \"machine\": {\"rng\": false}}", NULL);
	assert_int_equal(c->devices_count, 1);
	config_destroy(c);
	c = parsed("{\"devices\": [{\"driver\": \"net\"}]}", NULL);
	assert_int_equal(c->devices_count, 2);
	assert_int_equal(c->devices[1].driver, CONFIG_RNG);
	config_destroy(c);
}

static void test_words_add_and_change_devices(void **state)
{
	static const char *const words[] = {"--disk a,,b,read-only,serial=x=y",
	        "--net user,forward-tcp=1:2,,3", "--net tap=tap0", "--device vsock,cid=3",
	        "devices[0].read-only=false", "devices[5].driver=rng", NULL};
	struct config *c =
	        parsed("{\"devices\": [{\"driver\": \"blk\", \"file\": \"f\", \"read-only\": true}]}", words);

	assert_int_equal(c->devices_count, 6);
	assert_false(c->devices[0].read_only);
	assert_string_equal(c->devices[1].file, "a,b");
	assert_true(c->devices[1].read_only);
	assert_string_equal(c->devices[1].serial, "x=y");
	assert_string_equal(c->devices[2].forward_tcp, "1:2,3");
	assert_int_equal(c->devices[2].net, CONFIG_NET_PASST);
	assert_string_equal(c->devices[3].tap, "tap0");
	assert_int_equal(c->devices[4].cid, 3);
	assert_int_equal(c->devices[5].driver, CONFIG_RNG);
	assert_true(config_is_given(c, "devices[1].file"));
	assert_false(config_is_given(c, "devices[1].cache"));
	config_destroy(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_every_device_key_reaches_its_field),
	        cmocka_unit_test(test_device_defaults),
	        cmocka_unit_test(test_devices_without_id_are_named),
	        cmocka_unit_test(test_only_guests_with_devices_get_an_rng),
	        cmocka_unit_test(test_words_add_and_change_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the owner of a confidential guest asks of its launch, by way of a controller: the measurement, a
 * secret, a report.
 */
#include "life.h"
#include "vmm/call.h"
#include "vmm/owner.h"

static struct owner_keys keys;
static struct abi_sev_cert godh;
static struct abi_sev_session session;

static void make_session(uint32_t policy)
{
	struct abi_sev_cert_chain chain;
	struct abi_sev_cert pdh;
	int fd;

	assert_ok(call_platform_open(life.host, &fd, &err));
	assert_ok(call_platform_certificates(life.host, fd, &pdh, &chain, &err));
	host_close(life.host, fd);
	assert_ok(owner_session_create(&pdh, policy, &session, &godh, &keys, &err));
}

static void inject(struct life *l, const struct abi_sev_measure *measure, int wrong)
{
	struct launch *launch = run_launch(l->run);
	struct abi_sev_secret_header header;
	uint8_t packet[32];

	assert_ok(owner_secret_pack(&keys, measure->measure,
	        (const uint8_t *)"the secret of the guest's owner", 32, &header, packet, &err));
	header.mac[0] ^= (uint8_t)wrong;
	if (!wrong)
		assert_ok(launch_inject(launch, &header, packet, sizeof(packet), NULL, &err));
	else
		assert_int_equal(launch_inject(launch, &header, packet, sizeof(packet), NULL, &err), -1);
}

static void be_the_owner(struct life *l)
{
	struct launch *launch = run_launch(l->run);
	const struct abi_sev_measure *measure = launch_measurement_of(launch);
	const struct abi_sev_secret_header none = {0};
	struct abi_sev_report report;
	static const uint8_t nonce[16] = "sixteen bytes!!";

	assert_non_null(measure);
	if (l->step++ == 0) {
		life_assert_status(l, "prelaunch");
		assert_string_equal(launch_state_word(launch_state_of(launch)), "launch-secret");
		assert_true(launch_handle_of(launch));
		inject(l, measure, 1);
		assert_int_equal(launch_secrets_of(launch), 0);
		assert_fails(launch_inject(launch, &none, "x", 1, NULL, &err), ERR_USAGE, "multiple of 16");
		assert_fails(launch_inject(launch, &none, "0123456789abcdef", 16, &(uint64_t){GIB(5)}, &err),
		        ERR_USAGE, "do not lie in the guest's memory");
		inject(l, measure, 0);
		assert_int_equal(launch_secrets_of(launch), 1);
		assert_ok(run_cont(l->run, &err));
		return;
	}
	life_assert_status(l, "running");
	assert_string_equal(launch_state_word(launch_state_of(launch)), "running");
	assert_fails(launch_inject(launch, &none, "0123456789abcdef", 16, NULL, &err), ERR_USAGE,
	        "Not in correct state. (LSECRET) running");
	assert_ok(launch_report(launch, nonce, &report, &err));
	assert_memory_equal(report.mnonce, nonce, 16);
	assert_memory_equal(report.digest, launch_digest_of(launch)->bytes, 32);
	run_quit(l->run);
}

static void put_file(char *path, const void *data, size_t size)
{
	int fd = mkstemp(strcpy(path, "/tmp/vmm-life-XXXXXX"));

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	close(fd);
}

static void test_life_owner_judges_and_sends_a_secret(void **state)
{
	char dh[64] = "sev.dh-cert=", blob[64] = "sev.session=";
	char *dh_path = dh + strlen(dh), *blob_path = blob + strlen(blob);
	const char *const sets[] = {"run.paused=true", dh, blob, NULL};

	life.on_settled = be_the_owner;
	for (size_t t = 1; t < 3; t++) {
		make_session(strcmp(types[t], "sev") ? 5 : 1);
		put_file(dh_path, &godh, sizeof(godh));
		put_file(blob_path, &session, sizeof(session));
		assert_ends_well(life_run(&life, types[t], sets));
		unlink(dh_path);
		unlink(blob_path);
		assert_string_equal(life.log, "RQ");
		assert_int_equal(life.step, 2);
	}
}

static void ask_a_snp_guest(struct life *l)
{
	struct launch *launch = run_launch(l->run);
	const struct abi_sev_secret_header none = {0};
	struct abi_sev_report report;
	static const uint8_t nonce[16];

	assert_string_equal(launch_state_word(launch_state_of(launch)), "launch-update");
	assert_null(launch_measurement_of(launch));
	assert_fails(launch_inject(launch, &none, "0123456789abcdef", 16, NULL, &err), ERR_USAGE, "only SEV");
	assert_fails(launch_report(launch, nonce, &report, &err), ERR_USAGE, "asks for its own");
	assert_int_equal(run_memory_facts(l->run).shared_bytes, 0);
	assert_int_equal(run_memory_facts(l->run).private_bytes, MIB(4));
	run_quit(l->run);
}

static void test_life_snp_guest_takes_no_secret(void **state)
{
	life.on_settled = ask_a_snp_guest;
	assert_ends_well(life_run(&life, "sev-snp", paused));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        T(test_life_owner_judges_and_sends_a_secret),
	        T(test_life_snp_guest_takes_no_secret),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

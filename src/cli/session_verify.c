/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session verify: checks the measurement of a launched SEV guest for its owner. Main thread only. SEV API,
 * LAUNCH_MEASURE.
 */
#include <stdio.h>
#include <string.h>

#include "owner.h"
#include "verbs.h"

static int read_launch(const struct cli_args *args, struct owner_measured *ret_launch, struct err *err)
{
	static const char *const needed[] = {"keys", "measure", "digest", "policy", "firmware"};
	struct owner_measured launch;
	unsigned major, minor, build;
	uint64_t policy;
	int end = 0;

	for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
		if (!cli_given(args, needed[i]))
			return err_set(
			        err, ERR_USAGE, "--%s is needed; see vmm session verify --help", needed[i]);
	}
	if (cli_policy_read("policy", CONFIG_SEV, cli_value(args, "policy"), &policy, err) < 0)
		return -1;
	if (!hex_decode(cli_value(args, "digest"), launch.digest, sizeof(launch.digest)))
		return err_set(
		        err, ERR_USAGE, "--digest takes 64 hexadecimal digits, as vmm measure prints them");
	if (sscanf(cli_value(args, "firmware"), "%3u.%3u.%3u%n", &major, &minor, &build, &end) != 3 ||
	        cli_value(args, "firmware")[end] != '\0' || major > 255 || minor > 255 || build > 255)
		return err_set(err, ERR_USAGE,
		        "--firmware takes MAJOR.MINOR.BUILD as vmm host prints it (1.55.21), not \"%s\"",
		        TEXT_VALUE(cli_value(args, "firmware")));
	launch.policy = (uint32_t)policy;
	launch.api_major = (uint8_t)major;
	launch.api_minor = (uint8_t)minor;
	launch.build = (uint8_t)build;
	*ret_launch = launch;
	return 0;
}

static int check_session(
        const struct cli_args *args, const struct owner_keys *keys, uint32_t policy, struct err *err)
{
	struct attest_blob blob;
	bool good;
	int status;

	if (!cli_given(args, "session"))
		return 0;
	if (cli_blob_read_option(args, "session", &blob, err) < 0)
		return -1;
	if (blob.size != sizeof(struct abi_sev_session))
		status = err_set(err, ERR_USAGE, "%s: has %zu bytes, a session has %zu", blob.name, blob.size,
		        sizeof(struct abi_sev_session));
	else
		status = owner_session_check(blob.data, keys, policy, &good, err);
	cli_blob_free(&blob);
	if (status < 0)
		return -1;
	printf("%-7s session           %s these keys and this policy\n", good ? "ok" : "FAILED",
	        good ? "made with" : "not made with");
	return good ? 0 : ERR_FAILED;
}

static int check_measure(const struct cli_args *args, const struct owner_keys *keys,
        const struct owner_measured *launch, struct err *err)
{
	struct abi_sev_measure measure;
	uint8_t expected[32];
	bool good;

	if (cli_owner_measure_read(cli_value(args, "measure"), &measure, err) < 0 ||
	        owner_measure_expected(keys, launch, measure.mnonce, expected, err) < 0)
		return -1;
	good = crypto_equal(expected, measure.measure, sizeof(expected));
	printf("%-7s measure           %s\n", good ? "ok" : "FAILED",
	        good ? "the platform of this session launched exactly this guest"
	             : "other keys, another digest, policy or firmware version, or a forged measurement");
	return good ? 0 : ERR_FAILED;
}

static int run(const struct cli_args *args, struct err *err)
{
	struct owner_keys keys;
	struct owner_measured launch;
	int session, measure = -1;

	cli_owner_guard_secrets();
	if (read_launch(args, &launch, err) < 0 ||
	        cli_owner_keys_read(cli_value(args, "keys"), &keys, err) < 0)
		return -1;
	session = check_session(args, &keys, launch.policy, err);
	if (session >= 0)
		measure = check_measure(args, &keys, &launch, err);
	crypto_wipe(&keys, sizeof(keys));
	if (session < 0 || measure < 0)
		return -1;
	printf("%s\n", session || measure ? "NOT VERIFIED" : "verified");
	return session ?: measure;
}

static const struct cli_option options[] = {
        {"keys", "FILE", "The owner's keys, which vmm session new wrote."},
        {"measure", "FILE", "What LAUNCH_MEASURE gave: 48 bytes, or base64, or hexadecimal."},
        {"digest", "HEX", "The launch digest that the guest must have, as vmm measure prints it."},
        {"policy", "POLICY", "The guest's policy, a number or the words of sev.policy."},
        {"firmware", "MAJOR.MINOR.BUILD",
                "The version of the firmware that measured, as vmm host prints it."},
        {"session", "FILE", "Also check that this session was made with these keys and this policy."},
        {0},
};

const struct cli_verb cli_verb_session_verify = {
        .name = "session verify",
        .operands = "",
        .summary = "check the measurement of a launched SEV or SEV-ES guest",
        .help = "The measurement is authenticated with the owner's TIK, which only the platform of the "
                "session can have. If the check fails, send no secret.\n\nExit status: 0 verified, "
                "1 not, 2 a file or an option cannot be read.",
        .options = options,
        .run = run,
};

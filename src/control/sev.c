/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sev: QEMU's commands for SEV: what the guest's owner needs to judge a launch and to send a secret. Main
 * thread.
 */
#include <string.h>

#include "base64.h"
#include "control.h"
#include "vmm/call.h"
#include "vmm/facts.h"

static enum config_sev_type type_of(const struct control_call *call)
{
	return call->control->place.config->sev.type;
}

static bool is_sev(const struct control_call *call)
{
	return type_of(call) == CONFIG_SEV || type_of(call) == CONFIG_SEV_ES;
}

static struct host *host_of(const struct control_call *call)
{
	return machine_host(run_machine(call->control->place.run));
}

static const char *text_of(const struct control_call *call, const char *name)
{
	return json_string_value(json_object_get(call->arguments, name));
}

/* ---- query-sev ---- */

static json_t *guest_of(struct control_call *call)
{
	const struct launch *launch = run_launch(call->control->place.run);
	const struct facts *facts = launch_facts_of(launch);

	return json_pack("{s:b,s:i,s:i,s:i,s:s,s:s}", "enabled", 1, "api-major", facts->api_major,
	        "api-minor", facts->api_minor, "build-id", facts->build, "state",
	        launch_state_word(launch_state_of(launch)), "sev-type",
	        type_of(call) == CONFIG_SEV_SNP ? "sev-snp" : "sev");
}

json_t *control_query_sev(struct control_call *call, struct err *err)
{
	const struct launch_plan *plan = launch_plan_of(run_launch(call->control->place.run));
	json_t *answer;

	/* Programs want all members of the variant, also where they mean nothing. */
	if (!plan)
		return json_pack("{s:b,s:i,s:i,s:i,s:s,s:s,s:i,s:i}", "enabled", 0, "api-major", 0,
		        "api-minor", 0, "build-id", 0, "state", "uninit", "sev-type", "sev", "policy", 0,
		        "handle", 0);
	answer = guest_of(call);
	if (type_of(call) == CONFIG_SEV_SNP) {
		json_doc_set(&answer, "snp-policy", json_integer((json_int_t)plan->policy));
	} else {
		json_doc_set(&answer, "policy", json_integer((json_int_t)plan->policy));
		json_doc_set(&answer, "handle",
		        json_integer(launch_handle_of(run_launch(call->control->place.run))));
	}
	return answer;
}

/* ---- query-sev-capabilities ---- */

struct capabilities {
	struct facts facts;
	struct abi_sev_cert pdh;
	struct abi_sev_cert_chain chain;
	uint8_t id[CALL_PLATFORM_ID_BYTES];
};

static int read_capabilities(struct host *host, struct capabilities *ret_capabilities, struct err *err)
{
	int fd, result;

	if (call_platform_open_to_read(host, &fd, err) < 0)
		return -1;
	result = call_platform_certificates(host, fd, &ret_capabilities->pdh, &ret_capabilities->chain, err);
	if (result == 0)
		result = call_platform_id(host, fd, ret_capabilities->id, err);
	host_close(host, fd);
	return result;
}

json_t *control_query_sev_capabilities(struct control_call *call, struct err *err)
{
	struct capabilities *capabilities = calloc(1, sizeof(*capabilities));
	json_t *answer = NULL;

	if (capabilities && read_capabilities(host_of(call), capabilities, err) == 0) {
		launch_ask_facts(run_launch(call->control->place.run), &capabilities->facts);
		answer = json_pack("{s:o,s:o,s:o,s:i,s:i}", "pdh",
		        control_base64(&capabilities->pdh, sizeof(capabilities->pdh)), "cert-chain",
		        control_base64(&capabilities->chain, sizeof(capabilities->chain)), "cpu0-id",
		        control_base64(capabilities->id, sizeof(capabilities->id)), "cbitpos",
		        (int)capabilities->facts.c_bit, "reduced-phys-bits",
		        (int)capabilities->facts.reduced_bits);
	}
	free(capabilities);
	return answer;
}

/* ---- measure, inject, report ---- */

json_t *control_query_sev_measure(struct control_call *call, struct err *err)
{
	const struct abi_sev_measure *measure = launch_measurement_of(run_launch(call->control->place.run));

	if (!measure) {
		err_set(err, ERR_USAGE, "SEV launch measurement is not available");
		return NULL;
	}
	return json_pack("{s:o}", "data", control_base64(measure, sizeof(*measure)));
}

static int read_header(const char *text, struct abi_sev_secret_header *ret_header, struct err *err)
{
	auto_free uint8_t *data = NULL;
	size_t size;

	if (control_base64_read(text, &data, &size, err) < 0)
		return -1;
	if (size != sizeof(*ret_header))
		return err_set(err, ERR_USAGE, "the packet header has %zu bytes; it must have %zu", size,
		        sizeof(*ret_header));
	memcpy(ret_header, data, size);
	return 0;
}

json_t *control_inject(struct control_call *call, struct err *err)
{
	const json_t *address = json_object_get(call->arguments, "gpa");
	uint64_t gpa = (uint64_t)json_integer_value(address);
	struct abi_sev_secret_header header;
	auto_free uint8_t *secret = NULL;
	size_t size;

	if (!is_sev(call)) {
		err_set(err, ERR_USAGE, "SEV not enabled for guest");
		return NULL;
	}
	if (read_header(text_of(call, "packet-header"), &header, err) < 0 ||
	        control_base64_read(text_of(call, "secret"), &secret, &size, err) < 0)
		return NULL;
	if (launch_inject(run_launch(call->control->place.run), &header, secret, size, address ? &gpa : NULL,
	            err) < 0)
		return NULL;
	return json_object();
}

json_t *control_query_sev_report(struct control_call *call, struct err *err)
{
	struct abi_sev_report report;
	auto_free uint8_t *nonce = NULL;
	size_t size;

	if (!is_sev(call)) {
		err_set(err, ERR_USAGE, "SEV is not enabled");
		return NULL;
	}
	if (control_base64_read(text_of(call, "mnonce"), &nonce, &size, err) < 0)
		return NULL;
	if (size != sizeof(report.mnonce)) {
		err_set(err, ERR_USAGE, "SEV: mnonce must be %zu bytes (got %zu)", sizeof(report.mnonce),
		        size);
		return NULL;
	}
	if (launch_report(run_launch(call->control->place.run), nonce, &report, err) < 0)
		return NULL;
	return json_pack("{s:o}", "data", control_base64(&report, sizeof(report)));
}

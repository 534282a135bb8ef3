/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_formats: how many confidential guests this host can have, for programs that place guests: in the text
 * format that node-exporter reads from files, and in that of Node Feature Discovery's local features. Each
 * guest takes an ID of its kind: an ASID here, a key ID with TDX. Main thread. Law: prometheus.io,
 * "Exposition formats"; Node Feature Discovery, "Customization guide", local feature source.
 */
#include <inttypes.h>
#include <string.h>

#include "host_show.h"

/* A figure about the IDs of a kind. get returns false if it is not known. */
struct figure {
	const char *prometheus, *help;
	const char *nfd;
	bool is_fixed; /* until the host boots again, so it can be a node's label */
	bool (*get)(const struct facts_asids *asids, uint64_t *ret_value);
};

static bool get_limit(const struct facts_asids *asids, uint64_t *ret_value)
{
	*ret_value = asids->limit;
	return true;
}

static bool get_used(const struct facts_asids *asids, uint64_t *ret_value)
{
	*ret_value = asids->used;
	return asids->used_known;
}

static bool get_free(const struct facts_asids *asids, uint64_t *ret_value)
{
	*ret_value = asids->free;
	return asids->free_known;
}

static bool get_group_limit(const struct facts_asids *asids, uint64_t *ret_value)
{
	*ret_value = asids->group_limit;
	return asids->group_limit != UINT64_MAX;
}

static const struct figure figures[] = {
        {"vmm_host_guest_ids", "IDs of confidential guests that the processor has, by kind of guest.", "ids",
                true, get_limit},
        {"vmm_host_guest_ids_used", "IDs that guests, mirrors among them, hold.", "ids-used", false,
                get_used},
        {"vmm_host_guest_ids_free", "IDs that are left for guests of this cgroup.", "ids-free", false,
                get_free},
        {"vmm_host_guest_ids_cgroup_limit", "IDs that guests of this cgroup may hold.", "ids-cgroup-limit",
                false, get_group_limit},
};

/*
 * The kind whose IDs a kind uses. SEV-SNP has IDs of its own only if the host set some apart for ciphertext
 * hiding; else it takes those of SEV-ES, and who adds up all kinds would count them twice.
 */
static const char *pool_of(const struct facts *facts, size_t i)
{
	const struct cli_host_generation *kind = &cli_host_generations[i];
	bool joint = kind->asids == PRODUCT_ASID_SNP && !facts->hiding_asids;

	for (size_t k = 0; joint && k < CLI_HOST_GENERATIONS; k++) {
		if (cli_host_generations[k].asids == PRODUCT_ASID_ES)
			return cli_host_generations[k].key;
	}
	return kind->key;
}

/* ---- Prometheus ---- */

static void put_head(const char *name, const char *help)
{
	printf("# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
}

/* A simulated guest must never pass for a confidential one, so each sample says what it is about. */
static void put_sample(const struct cli_host_offer *offer, const char *name, size_t i, uint64_t value)
{
	printf("%s{kind=\"%s\",pool=\"%s\",simulated=\"%s\"} %" PRIu64 "\n", name,
	        cli_host_generations[i].key, pool_of(&offer->facts, i), offer->simulated ? "true" : "false",
	        value);
}

static void print_prometheus(const struct cli_host_offer *offer)
{
	static const char offered[] = "vmm_host_guest_kind_offered";
	uint64_t value;

	put_head(offered, "Whether guests of a kind can be started.");
	for (size_t i = 0; i < CLI_HOST_GENERATIONS; i++)
		put_sample(offer, offered, i, offer->usable && cli_host_offers(&offer->facts, i));
	for (size_t f = 0; f < ARRAY_LEN(figures); f++) {
		bool headed = false;

		for (size_t i = 0; i < CLI_HOST_GENERATIONS; i++) {
			if (!figures[f].get(&offer->facts.asids[cli_host_generations[i].asids], &value))
				continue;
			if (!headed)
				put_head(figures[f].prometheus, figures[f].help);
			headed = true;
			put_sample(offer, figures[f].prometheus, i, value);
		}
	}
}

/* ---- Node Feature Discovery ---- */

/* A figure that may change at any time becomes a feature for rules and not a label. The directive is for the
 * next line. */
static void put_feature(
        const struct cli_host_offer *offer, size_t i, const char *name, const char *value, bool is_label)
{
	printf("%sfeature.node.kubernetes.io/%s.%s.%s=%s\n", is_label ? "" : "# +no-label\n",
	        offer->simulated ? "simulated-guests" : "confidential-guests", cli_host_generations[i].key,
	        name, value);
}

static void print_nfd(const struct cli_host_offer *offer)
{
	const struct facts *facts = &offer->facts;
	char text[24];
	uint64_t value;

	for (size_t i = 0; i < CLI_HOST_GENERATIONS; i++) {
		put_feature(offer, i, "offered",
		        offer->usable && cli_host_offers(facts, i) ? "true" : "false", true);
		put_feature(offer, i, "pool", pool_of(facts, i), true);
		for (size_t f = 0; f < ARRAY_LEN(figures); f++) {
			if (!figures[f].get(&facts->asids[cli_host_generations[i].asids], &value))
				continue;
			snprintf(text, sizeof(text), "%" PRIu64, value);
			put_feature(offer, i, figures[f].nfd, text, figures[f].is_fixed);
		}
	}
}

/* ---- the option ---- */

static const struct {
	const char *name;
	void (*print)(const struct cli_host_offer *offer);
} formats[] = {
        {"prometheus", print_prometheus},
        {"nfd", print_nfd},
};

int cli_host_format_check(const struct cli_args *args, struct err *err)
{
	const char *name = cli_value(args, "format");

	if (name && cli_given(args, "json"))
		return err_set(err, ERR_USAGE, "--format and --json exclude each other");
	for (size_t i = 0; name && i < ARRAY_LEN(formats); i++) {
		if (strcmp(name, formats[i].name) == 0)
			return 0;
	}
	return name ? err_set(err, ERR_USAGE, "--format: must be prometheus or nfd; this is \"%s\"", name)
	            : 0;
}

void cli_host_print_format(const struct cli_host_offer *offer, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		if (strcmp(name, formats[i].name) == 0)
			formats[i].print(offer);
	}
}

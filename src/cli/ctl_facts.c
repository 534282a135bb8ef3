/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl_facts: asks several commands at once, for what is made of their answers. Main thread only.
 */
#include "vmm/json.h"

#include "ctl.h"

json_t *cli_ctl_facts(struct cli_ctl_link *link, const char *const *commands, struct err *err)
{
	json_t *facts = json_object();

	for (; *commands; commands++) {
		json_t *value = cli_ctl_link_call(link, *commands, NULL, -1, err);

		if (value) {
			json_doc_set(&facts, *commands, value);
		} else if (!cli_ctl_link_refused(link)) {
			json_decref(facts);
			return NULL;
		}
	}
	if (!facts)
		err_set(err, ERR_FAILED, "no memory for the server's answers");
	return facts;
}

double cli_ctl_number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

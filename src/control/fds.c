/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fds: descriptors that clients hand over by SCM_RIGHTS. One that has a name (getfd) belongs to the client
 * that sent it, until that client closes it or goes. Those in sets (add-fd) belong to all clients, until one
 * of them removes it or the last of them goes. Main thread.
 */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "control.h"

#define TEXT_MAX_BYTES 255 /* of a name, and of what a client notes beside a descriptor */

static const char *text_of(const struct control_call *call, const char *name)
{
	return json_string_value(json_object_get(call->arguments, name));
}

/* Takes the descriptor that came with the request; a request that fails later has used it up. */
static int take_passed(struct control_call *call, int *ret_fd, struct err *err)
{
	if (call->client->passed_fd < 0)
		return err_set(err, ERR_USAGE, "No file descriptor supplied via SCM_RIGHTS");
	*ret_fd = take_fd(&call->client->passed_fd);
	return 0;
}

static int check_length(const char *name, const char *text, struct err *err)
{
	if (text && strlen(text) > TEXT_MAX_BYTES)
		return err_set(err, ERR_USAGE, "Parameter '%s' has at most %d bytes", name, TEXT_MAX_BYTES);
	return 0;
}

/* ---- with a name: getfd, closefd ---- */

/* Returns the place of a name, or that of a free entry for NULL; NULL: there is none. */
static struct control_fd *find(struct control_client *client, const char *name)
{
	for (size_t i = 0; i < CONTROL_FDS_MAX; i++) {
		struct control_fd *entry = &client->fds[i];

		if (name ? entry->name && strcmp(entry->name, name) == 0 : !entry->name)
			return entry;
	}
	return NULL;
}

static void drop(struct control_fd *entry)
{
	if (!entry->name)
		return;
	close(entry->fd);
	free(take_ptr(&entry->name));
}

void control_fds_finish(struct control_client *client)
{
	for (size_t i = 0; i < CONTROL_FDS_MAX; i++)
		drop(&client->fds[i]);
	if (client->passed_fd >= 0)
		close(client->passed_fd);
	client->passed_fd = -1;
}

static int check_name(const char *name, struct err *err)
{
	if (isdigit((unsigned char)*name))
		return err_set(err, ERR_USAGE, "Parameter 'fdname' expects a name not starting with a digit");
	return check_length("fdname", name, err);
}

json_t *control_getfd(struct control_call *call, struct err *err)
{
	const char *name = text_of(call, "fdname");
	struct control_fd *entry;
	auto_close int fd = -1;

	if (take_passed(call, &fd, err) < 0 || check_name(name, err) < 0)
		return NULL;
	entry = find(call->client, name) ?: find(call->client, NULL);
	if (!entry) {
		err_set(err, ERR_USAGE, "a client keeps at most %d descriptors; close one (closefd)",
		        CONTROL_FDS_MAX);
		return NULL;
	}
	drop(entry);
	entry->name = strdup(name);
	if (!entry->name)
		return NULL;
	entry->fd = take_fd(&fd);
	return json_object();
}

static json_t *refuse_unknown(const char *name, struct err *err)
{
	err_set(err, ERR_USAGE, "File descriptor named '%s' not found", TEXT_VALUE(name));
	return NULL;
}

json_t *control_closefd(struct control_call *call, struct err *err)
{
	struct control_fd *entry = find(call->client, text_of(call, "fdname"));

	if (!entry)
		return refuse_unknown(text_of(call, "fdname"), err);
	drop(entry);
	return json_object();
}

int control_fds_take(struct control_client *client, const char *name)
{
	struct control_fd *entry = client ? find(client, name) : NULL;
	int fd;

	if (!entry)
		return -1;
	fd = entry->fd;
	free(take_ptr(&entry->name));
	return fd;
}

/* ---- in sets: add-fd, remove-fd, query-fdsets ---- */

static bool has_set(const struct control_fdsets *sets, json_int_t set)
{
	for (unsigned i = 0; i < sets->count; i++) {
		if (sets->fds[i].set == set)
			return true;
	}
	return false;
}

/* Reads the set that is wanted, or finds the first number that is free. */
static int choose_set(struct control_call *call, json_int_t *ret_set, struct err *err)
{
	const json_t *wanted = json_object_get(call->arguments, "fdset-id");

	*ret_set = json_integer_value(wanted);
	if (*ret_set < 0)
		return err_set(err, ERR_USAGE, "Parameter 'fdset-id' expects a non-negative value");
	while (!wanted && has_set(&call->control->fdsets, *ret_set))
		(*ret_set)++;
	return 0;
}

json_t *control_add_fd(struct control_call *call, struct err *err)
{
	struct control_fdsets *sets = &call->control->fdsets;
	const char *opaque = text_of(call, "opaque");
	json_int_t set;
	auto_close int fd = -1;
	struct control_fdset_fd *added = &sets->fds[sets->count];

	if (take_passed(call, &fd, err) < 0 || choose_set(call, &set, err) < 0 ||
	        check_length("opaque", opaque, err) < 0)
		return NULL;
	if (sets->count == CONTROL_FDSET_FDS_MAX) {
		err_set(err, ERR_USAGE, "the sets have at most %d descriptors; remove one (remove-fd)",
		        CONTROL_FDSET_FDS_MAX);
		return NULL;
	}
	*added = (struct control_fdset_fd){set, fd, opaque ? strdup(opaque) : NULL};
	if (opaque && !added->opaque)
		return NULL;
	sets->count++;
	return json_pack("{s:i,s:I}", "fd", take_fd(&fd), "fdset-id", set);
}

/* The others stay in the order in which they came. */
static void remove_at(struct control_fdsets *sets, unsigned i)
{
	close(sets->fds[i].fd);
	free(sets->fds[i].opaque);
	memmove(&sets->fds[i], &sets->fds[i + 1], (--sets->count - i) * sizeof(sets->fds[0]));
}

/* Returns how many were removed; fd -1: all of the set. */
static unsigned remove_from(struct control_fdsets *sets, json_int_t set, json_int_t fd)
{
	unsigned before = sets->count;

	for (unsigned i = sets->count; i-- > 0;) {
		if (sets->fds[i].set == set && (fd == -1 || sets->fds[i].fd == fd))
			remove_at(sets, i);
	}
	return before - sets->count;
}

json_t *control_remove_fd(struct control_call *call, struct err *err)
{
	json_int_t set = json_integer_value(json_object_get(call->arguments, "fdset-id"));
	const json_t *wanted = json_object_get(call->arguments, "fd");
	json_int_t fd = json_integer_value(wanted);
	char name[64];

	if ((!wanted || fd >= 0) && remove_from(&call->control->fdsets, set, wanted ? fd : -1))
		return json_object();
	if (wanted)
		snprintf(name, sizeof(name), "fdset-id:%" PRId64 ", fd:%" PRId64, (int64_t)set, (int64_t)fd);
	else
		snprintf(name, sizeof(name), "fdset-id:%" PRId64, (int64_t)set);
	return refuse_unknown(name, err);
}

void control_fdsets_finish(struct control *control)
{
	while (control->fdsets.count)
		remove_at(&control->fdsets, control->fdsets.count - 1);
}

static json_t *fds_of(const struct control_fdsets *sets, json_int_t set)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < sets->count; i++) {
		const struct control_fdset_fd *one = &sets->fds[i];

		if (one->set == set)
			json_doc_append(&list, json_pack("{s:i,s:s*}", "fd", one->fd, "opaque", one->opaque));
	}
	return list;
}

/* Returns the largest number of a set that is at most this; -1: there is none. */
static json_int_t set_up_to(const struct control_fdsets *sets, json_int_t most)
{
	json_int_t found = -1;

	for (unsigned i = 0; i < sets->count; i++) {
		if (sets->fds[i].set > found && sets->fds[i].set <= most)
			found = sets->fds[i].set;
	}
	return found;
}

/* QEMU has the sets from the largest number down, and the descriptors in the order in which they came. */
json_t *control_query_fdsets(struct control_call *call, struct err *err)
{
	const struct control_fdsets *sets = &call->control->fdsets;
	json_t *list = json_array();

	for (json_int_t set = INT64_MAX; (set = set_up_to(sets, set)) >= 0; set--)
		json_doc_append(&list, json_pack("{s:o,s:I}", "fds", fds_of(sets, set), "fdset-id", set));
	return list;
}

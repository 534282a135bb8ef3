/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs: a folder of this machine in the guest. virtiofsd, another process, serves the queues; the device has
 * only the configuration and the back end's life. It has a thread of its own, since virtiofsd may let it
 * wait. Law: VIRTIO 5.11.
 */
#include <errno.h>
#include <string.h>

#include "vhost.h"
#include "vmm/back/helper.h"

#define TAG_BYTES 36
#define QUEUES    2 /* requests that go first, and requests */

struct fs {
	struct virtio_device *device;
	struct loop_thread *thread;
	const struct config_device *wanted; /* borrowed: a folder, or the socket of a virtiofsd */
	struct back_vhost *vhost;           /* NULL: there is none, start makes it */
	pid_t child;                        /* 0: virtiofsd is not ours */
	struct {
		char tag[TAG_BYTES]; /* no NUL if it is that long */
		uint32_t request_queues;
	} config;
};

static void on_broken(void *ctx, const char *why)
{
	struct fs *fs = ctx;

	virtio_device_break(fs->device, "%s", why);
}

static void disconnect(void *ctx)
{
	struct fs *fs = ctx;

	back_server_end(fs->child);
	fs->child = 0;
	back_vhost_destroy(take_ptr(&fs->vhost));
}

static int connect_back_end(struct fs *fs, struct err *err)
{
	struct back_server server;

	if (back_server_start(fs->wanted, &server, err) < 0)
		return -1;
	fs->child = server.pid;
	if (back_vhost_user_create(server.fd, "virtiofsd", loop_thread_loop(fs->thread),
	            &(struct back_vhost_events){on_broken, fs}, &fs->vhost, err) == 0 &&
	        virtio_vhost_check(fs->vhost, "virtiofsd", err) == 0)
		return 0;
	if (*fs->wanted->folder)
		err_append(err, "; virtiofsd itself may have said why (that of Debian 12 needs root)");
	disconnect(fs);
	return -1;
}

/* A virtiofsd that failed is replaced when the guest's driver starts again. */
static int fs_start(void *ctx, const struct virtio_start *start, struct err *err)
{
	struct fs *fs = ctx;

	if (!fs->vhost && connect_back_end(fs, err) < 0)
		return -1;
	if (virtio_vhost_start(fs->vhost, start, 0, QUEUES, err) == 0)
		return 0;
	disconnect(fs);
	return -1;
}

static void fs_kick(void *ctx, struct virtio_queue *queue)
{
}

static void fs_stop(void *ctx)
{
	struct fs *fs = ctx;

	if (fs->vhost && !back_vhost_stop(fs->vhost))
		disconnect(fs);
	virtio_device_stopped(fs->device);
}

static void fs_finish(void *ctx)
{
	struct fs *fs = ctx;

	if (fs->thread)
		loop_call(loop_thread_loop(fs->thread), disconnect, fs);
	loop_thread_destroy(fs->thread);
	free(fs);
}

static void fs_config_read(void *ctx, unsigned offset, void *data, unsigned size)
{
	const struct fs *fs = ctx;

	memcpy(data, (const uint8_t *)&fs->config + offset, size);
}

static const struct virtio_kind fs_kind = {
        .name = "virtio-fs",
        .id = 26,
        .pci_class = 0x018000, /* storage, other */
        .config_read = fs_config_read,
        .start = fs_start,
        .kick = fs_kick,
        .stop = fs_stop,
        .finish = fs_finish,
        .unmovable =
                "it has an fs device, and virtiofsd knows which files the guest has open, which cannot be "
                "moved; start it without the device",
};

struct first_connect {
	struct fs *fs;
	struct err *err;
	int result;
};

static void connect_first(void *ctx)
{
	struct first_connect *first = ctx;

	first->result = connect_back_end(first->fs, first->err);
}

/* The back end is tried at once, so that what is wrong with it is told before the guest runs. */
static int prepare(struct fs *fs, struct err *err)
{
	struct first_connect first = {fs, err, 0};

	if (loop_thread_create("virtio-fs", &fs->thread, err) < 0)
		return -1;
	loop_call(loop_thread_loop(fs->thread), connect_first, &first);
	return first.result;
}

int virtio_fs_add(const struct virtio_place *place, const struct config_device *config, struct err *err)
{
	struct fs *fs = calloc(1, sizeof(*fs));

	if (!fs)
		return err_sys(err, ERR_FAILED, ENOMEM, "virtio-fs");
	fs->wanted = config;
	memcpy(fs->config.tag, config->tag, strnlen(config->tag, TAG_BYTES));
	fs->config.request_queues = QUEUES - 1;
	if (prepare(fs, err) < 0) {
		fs_finish(fs);
		return -1;
	}
	return virtio_pci_add(place->board,
	        &(struct virtio_setup){
	                .kind = &fs_kind,
	                .ctx = fs,
	                .id = config->id,
	                .features = VIRTIO_VHOST_RINGS,
	                .queues = QUEUES,
	                .queue_size = 128,
	                .config_bytes = sizeof(fs->config),
	                .loop = loop_thread_loop(fs->thread),
	                .outside = {(1u << QUEUES) - 1},
	        },
	        &fs->device, err);
}

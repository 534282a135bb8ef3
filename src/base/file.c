/*
 * file: a named file read whole, with an error that says what to do. Any thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "vmm/base.h"

static int read_up_to(int fd, const char *path, uint8_t *data, size_t size, size_t *ret_size, struct err *err)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(fd, data + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, ERR_USAGE, errno, "%s: cannot be read", path);
		if (n == 0)
			break;
		done += (size_t)n;
	}
	*ret_size = done;
	return 0;
}

int file_read_all(const char *path, size_t max, void **ret_data, size_t *ret_size, struct err *err)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	auto_free uint8_t *data = NULL;
	struct stat st;
	size_t size = 0;

	if (fd < 0)
		return err_sys(err, ERR_USAGE, errno, "%s: cannot be opened", path);
	if (fstat(fd, &st) < 0)
		return err_sys(err, ERR_USAGE, errno, "%s: cannot be examined", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_USAGE, "%s: is %s, a regular file is needed", path,
		        S_ISDIR(st.st_mode) ? "a directory" : "not a file of bytes");
	if ((uint64_t)st.st_size > max)
		return err_set(err, ERR_USAGE,
		        "%s: has %lld bytes, at most %zu are taken; is it the right file?", path,
		        (long long)st.st_size, max);
	data = malloc((size_t)st.st_size + 1);
	if (!data)
		return err_sys(err, ERR_FAILED, ENOMEM, "%s: no memory for its %lld bytes", path,
		        (long long)st.st_size);
	if (read_up_to(fd, path, data, (size_t)st.st_size, &size, err) < 0)
		return -1;
	*ret_size = size;
	*ret_data = take_ptr(&data);
	return 0;
}

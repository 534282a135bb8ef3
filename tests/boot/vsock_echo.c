/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vsock_echo: runs in a guest: takes one connection to a port of AF_VSOCK, and sends all that comes back,
 * until the other side hangs up.
 */
#include <sys/socket.h>

#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY};
	int listener = socket(AF_VSOCK, SOCK_STREAM, 0), connection;
	char data[65536];
	ssize_t n;

	address.svm_port = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
	if (listener < 0 || bind(listener, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	        listen(listener, 1) < 0) {
		perror("vsock");
		return 1;
	}
	connection = accept(listener, NULL, NULL);
	while ((n = read(connection, data, sizeof(data))) > 0) {
		for (ssize_t done = 0, m; done < n; done += m) {
			m = write(connection, data + done, (size_t)(n - done));
			if (m <= 0)
				return 2;
		}
	}
	return n < 0 ? 3 : 0;
}

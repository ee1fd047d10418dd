/* SPDX-License-Identifier: Apache-2.0 */
/* What a service manager wants to hear: datagrams to NOTIFY_SOCKET (sd_notify(3)), without its
 * library. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/daemon.h"

void notify_socket_tell(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t size = path ? strlen(path) : 0;

	if (size < 2 || size >= sizeof address.sun_path || (*path != '/' && *path != '@'))
		return;
	memcpy(address.sun_path, path, size);
	if (*path == '@') /* the abstract namespace */
		address.sun_path[0] = '\0';
	int file = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (file < 0)
		return;
	ssize_t sent = sendto(file, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
			      (const struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size));
	(void)sent; /* who does not listen misses it */
	close(file);
}

int64_t notify_socket_watchdog_ns(void)
{
	const char *text = getenv("WATCHDOG_USEC"), *process = getenv("WATCHDOG_PID");
	int64_t us, pid;

	if (!text || !number_read(text, &us) || us <= 0 || us > INT64_MAX / 1000)
		return 0;
	if (process && (!number_read(process, &pid) || pid != getpid()))
		return 0;
	return us * 1000;
}

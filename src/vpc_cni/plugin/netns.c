/* The pod's network namespace: two descriptors for the agent, which itself may not enter namespaces. */

#define _GNU_SOURCE
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* The host's namespace, opened before a pod's is entered; -1 until then, or when it cannot be opened. */
static int host = -1;

static bool is_host_namespace(int fd)
{
    struct stat pod, own;
    return fstat(fd, &pod) == 0 && fstat(host, &own) == 0 && pod.st_dev == own.st_dev && pod.st_ino == own.st_ino;
}

/* Says whether a failed open is about this process or machine, not about the path. */
static bool is_our_trouble(int error)
{
    return error == EACCES || error == EPERM || error == EMFILE || error == ENFILE || error == ENOMEM || error == EIO;
}

static int open_namespace(const char *path)
{
    /* O_NONBLOCK: whatever the path really is, a FIFO or a terminal, opening it must not wait. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && is_our_trouble(errno))
        fail(CNI_IO_FAILURE, "the plugin must run as root on the host", "cannot open CNI_NETNS %.200s: %s", path,
             strerror(errno));
    if (fd < 0)
        fail(CNI_INVALID_ENVIRONMENT, "the sandbox is gone or the container runtime passed a wrong path",
             "cannot open CNI_NETNS %.200s: %s", path, strerror(errno));
    if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
        fail(CNI_INVALID_ENVIRONMENT, "pass the path of a network namespace, as /run/netns/... or /proc/PID/ns/net",
             "CNI_NETNS %.200s is not a network namespace", path);
    if (is_host_namespace(fd))
        fail(CNI_INVALID_ENVIRONMENT, "pods with host networking need no plugin; pass the sandbox's own namespace",
             "CNI_NETNS %.200s is the namespace of the host", path);
    return fd;
}

/*
 * Enters the namespace and stays there: unix sockets with a path and the spool do not depend on the network namespace,
 * and going back would only cost time. Who has to explain a failure goes back. One descriptor serves that and the
 * comparison with the pod's: to look the name up a second time costs 5 to 8 us of every ADD, a third of the first look.
 */
void enter_pod(const char *path, struct passed *passed)
{
    struct sockaddr_nl any = {.nl_family = AF_NETLINK};
    host = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int namespace = open_namespace(path);
    if (setns(namespace, CLONE_NEWNET) < 0)
        fail(CNI_IO_FAILURE, "the plugin must run as root with CAP_SYS_ADMIN", "cannot enter CNI_NETNS %.200s: %s", path,
             strerror(errno));
    int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (netlink < 0 || bind(netlink, (struct sockaddr *)&any, sizeof any) < 0)
        fail(CNI_IO_FAILURE, "check the limits of open files on this node", "no netlink socket in CNI_NETNS %.200s: %s",
             path, strerror(errno));
    passed->fds[0] = netlink;
    passed->fds[1] = namespace;
    memcpy(passed->kinds, "sn", sizeof "sn");
}

bool return_to_host(void)
{
    return host < 0 || setns(host, CLONE_NEWNET) == 0;
}

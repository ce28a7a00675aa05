/*
 * Stands in for a CNI plugin and times it. Run as DIR/NAME it runs DIR/NAME.timed with the same environment and
 * standard streams, ends as that ends, and appends one line to DIR/NAME.stamps:
 *
 *   COMMAND CONTAINER STARTED ENDED STATUS
 *
 * STARTED is CLOCK_MONOTONIC in nanoseconds before the plugin's process is made, ENDED the same after its exit has been
 * seen: what a container runtime waits for, without our own start. STATUS is as the shell says it: 128 + n for signal n.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_SUFFIX 16
#define MAX_WORD "255"

static char plugin[PATH_MAX + MAX_SUFFIX];
static char stamps[PATH_MAX + MAX_SUFFIX];

static _Noreturn void stop(const char *what)
{
    dprintf(2, "stopwatch: %s: %s\n", what, strerror(errno));
    _exit(127);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Names the files beside this program. Its own path comes from the kernel: a runtime may pass any argv[0]. */
static void find_files(void)
{
    char own[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    if (length < 0)
        stop("/proc/self/exe");
    own[length] = 0;
    snprintf(plugin, sizeof plugin, "%s.timed", own);
    snprintf(stamps, sizeof stamps, "%s.stamps", own);
}

/* vfork: the cheapest way to a process, whose cost is part of what is measured. The child changes nothing of ours. */
static int run(char **arguments)
{
    int status;
    pid_t child = vfork();
    if (child == 0) {
        /* A runtime that gives up kills us, and means the plugin. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execv(plugin, arguments);
        _exit(127);
    }
    if (child < 0)
        stop("vfork");
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            stop("waitpid");
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static const char *word(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : "-";
}

/* One write to a file opened for appending: lines of calls that end together do not mix. */
static void note(int64_t started, int64_t ended, int status)
{
    char line[1024];
    int size = snprintf(line, sizeof line, "%." MAX_WORD "s %." MAX_WORD "s %" PRId64 " %" PRId64 " %d\n",
                        word("CNI_COMMAND"), word("CNI_CONTAINERID"), started, ended, status);
    int fd = open(stamps, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, line, (size_t)size) != size)
        stop(stamps);
}

int main(int argc, char **argv)
{
    (void)argc;
    find_files();
    int64_t started = now_ns();
    int status = run(argv);
    note(started, now_ns(), status);
    return status;
}

/*
 * DELs for an agent that is away: one file for each sandbox, beside the socket. The agent replays them before its
 * first ADD. A file appears whole (written under a name that begins with a dot, then renamed) and is not synced: the
 * folder lies on a tmpfs and has to survive processes, not the node.
 */

#define _GNU_SOURCE
#include "shim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct frame frame;

bool path_beside(const char *socket, const char *name, char *out, size_t room)
{
    const char *slash = strrchr(socket, '/');
    int length = snprintf(out, room, "%.*s%s%s", (int)(slash - socket), socket, *name ? "/" : "", name);
    return length >= 0 && (size_t)length < room;
}

/* The text that also is the alias of the pod's link; kept equal to SandboxKey.alias of the agent. */
static void name_file(const struct request *request, char out[65])
{
    char alias[2 * MAX_WORD_BYTES + MAX_IFNAME_BYTES + 3];
    snprintf(alias, sizeof alias, "%s/%s/%s", request->network, request->container_id, request->ifname);
    if (strlen(alias) > 255) {
        char digest[65];
        sha256_hex(alias, digest);
        snprintf(alias, sizeof alias, "sha256:%s", digest);
    }
    sha256_hex(alias, out);
}

/* Opens the folder, making it and its parent when they are absent; -1 with errno. */
static int open_folder(const char *socket)
{
    char path[MAX_SOCKET_PATH_BYTES + 16];
    struct stat found;
    path_beside(socket, "", path, sizeof path);
    if (*path && mkdir(path, 0700) < 0 && errno != EEXIST)
        return -1;
    path_beside(socket, "spool", path, sizeof path);
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return -1;
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    /* Who else can write here could make the agent release other pods' addresses. */
    if (folder >= 0 && (fstat(folder, &found) < 0 || found.st_uid != geteuid() || found.st_mode & 022)) {
        close(folder);
        errno = EPERM;
        return -1;
    }
    return folder;
}

static bool has_room(int folder, const char *name)
{
    int entries = 0;
    if (faccessat(folder, name, F_OK, 0) == 0)
        return true;
    DIR *list = fdopendir(dup(folder));
    if (!list)
        return false;
    while (readdir(list))
        entries++;
    closedir(list);
    return entries < MAX_SPOOL_FILES + 2; /* "." and ".." */
}

static bool write_whole(int fd, const unsigned char *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, data, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        data += written;
        size -= (size_t)written;
    }
    return true;
}

static bool write_file(int folder, const char *name)
{
    char temporary[96];
    snprintf(temporary, sizeof temporary, ".%s.%d", name, (int)getpid());
    unlinkat(folder, temporary, 0);
    int fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    bool good = write_whole(fd, frame.bytes, frame.size);
    good = close(fd) == 0 && good;
    if (good && renameat(folder, temporary, folder, name) == 0)
        return true;
    int error = errno;
    unlinkat(folder, temporary, 0);
    errno = error;
    return false;
}

/* A record too large for the spool keeps what identifies the sandbox; the agent knows the rest. */
static void frame_record(const struct request *request)
{
    static char small_config[MAX_WORD_BYTES + 80];
    int64_t now = now_ms();
    frame_request(&frame, request, "", now);
    if (frame.size <= MAX_SPOOL_FILE_BYTES)
        return;
    struct request small = *request;
    int size = snprintf(small_config, sizeof small_config, "{\"cniVersion\":\"%s\",\"name\":\"%s\"}", request->version,
                        request->network);
    small.config = small_config;
    small.config_size = (size_t)size;
    small.args = small.path = NULL;
    frame_request(&frame, &small, "", now);
}

const char *spool_delete(const struct request *request)
{
    char name[65];
    const char *why = NULL;
    name_file(request, name);
    int folder = open_folder(request->socket);
    if (folder < 0)
        return strerror(errno);
    frame_record(request);
    if (!has_room(folder, name))
        why = "the spool is full";
    else if (!write_file(folder, name))
        why = strerror(errno);
    close(folder);
    return why;
}

/*
 * The conversation with the agent.
 *
 * An attempt is one connection. It ends with an answer, in silence (a deadline passed while the agent had the
 * request), or lost (nobody listens, or the connection broke: the agent was killed or restarts). Only a lost attempt
 * is repeated: requests may be repeated by contract. A lost agent is tried for RETRY_MS, or as long as its restarting
 * marker asks. A DEL is never repeated: the spool keeps it, and the runtime can go on.
 */

#define _GNU_SOURCE
#include "shim.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum attempt { ATTEMPT_ANSWERED, ATTEMPT_LOST, ATTEMPT_FINAL };

/* One request and its time limits; `why` says what went wrong last. */
struct talk {
    const struct request *request;
    const struct passed *passed;
    struct answer *answer;
    int64_t end;       /* of the whole command */
    int64_t until;     /* of the current wait */
    bool acknowledged; /* this connection has shown PROGRESS */
    const char *why;
};

static struct frame frame;
static unsigned char inbox[FRAME_HEADER_BYTES + MAX_PAYLOAD_BYTES];

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static enum attempt lost(struct talk *talk, const char *why)
{
    talk->why = why;
    return ATTEMPT_LOST;
}

static enum attempt final(struct talk *talk, const char *why)
{
    talk->why = why;
    return ATTEMPT_FINAL;
}

/* Waits until the socket is ready or the talk's current wait is over; false when it is over. */
static bool wait_ready(const struct talk *talk, int fd, short events)
{
    struct pollfd pollfd = {.fd = fd, .events = events};
    for (;;) {
        int64_t left = talk->until - now_ms();
        if (left <= 0)
            return false;
        int ready = poll(&pollfd, 1, (int)left);
        if (ready > 0 || (ready < 0 && errno != EINTR))
            return true;
    }
}

static int connect_agent(struct talk *talk, enum attempt *failure)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct ucred peer;
    socklen_t size = sizeof peer;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        *failure = final(talk, strerror(errno));
        return -1;
    }
    memcpy(address.sun_path, talk->request->socket, strlen(talk->request->socket));
    /* EAGAIN: its queue of connections is full. */
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        bool away = errno == ENOENT || errno == ECONNREFUSED || errno == EAGAIN || errno == EINTR;
        *failure = away ? lost(talk, strerror(errno)) : final(talk, strerror(errno));
    } else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.uid != 0) {
        *failure = final(talk, "its socket belongs to another user than root");
    } else {
        return fd;
    }
    close(fd);
    return -1;
}

/* Sends some bytes; the descriptors travel with the first one. */
static ssize_t send_some(int fd, size_t done, const struct passed *passed)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof passed->fds)];
    } control = {0};
    struct iovec part = {.iov_base = frame.bytes + done, .iov_len = frame.size - done};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (done == 0 && passed->kinds[0]) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof passed->fds);
        memcpy(CMSG_DATA(&control.header), passed->fds, sizeof passed->fds);
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

/* Returns false when the time is over. A broken connection is found by reading: an answer may wait there. */
static bool send_request(const struct talk *talk, int fd)
{
    size_t done = 0;
    while (done < frame.size) {
        ssize_t sent = send_some(fd, done, talk->passed);
        if (sent >= 0)
            done += (size_t)sent;
        else if (errno == EAGAIN) {
            if (!wait_ready(talk, fd, POLLOUT))
                return false;
        } else if (errno != EINTR)
            return true;
    }
    return true;
}

/* Takes whole frames from the inbox. Returns the last kind met; `*held` is what remains. */
static enum answer_kind take_frames(struct talk *talk, size_t *held)
{
    for (;;) {
        size_t used = 0;
        enum answer_kind kind = read_answer(inbox, *held, talk->answer, &used);
        if (kind == ANSWER_PROGRESS) {
            talk->acknowledged = true;
            talk->until = talk->end;
        } else if (kind != ANSWER_OTHER) {
            return kind;
        }
        *held -= used;
        memmove(inbox, inbox + used, *held);
    }
}

static enum attempt read_answers(struct talk *talk, int fd)
{
    size_t held = 0;
    for (;;) {
        if (!wait_ready(talk, fd, POLLIN))
            return final(talk, talk->acknowledged ? "no result in time" : "no answer in time; it hangs or is overloaded");
        ssize_t got = recv(fd, inbox + held, sizeof inbox - held, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (got < 0)
            return lost(talk, strerror(errno));
        if (got == 0)
            return lost(talk, "it closed the connection without a result");
        held += (size_t)got;
        switch (take_frames(talk, &held)) {
        case ANSWER_RESULT:
            return ATTEMPT_ANSWERED;
        case ANSWER_INCOMPLETE:
            break;
        default:
            return final(talk, "its answer is not readable; agent and plugin are too far apart");
        }
    }
}

/* What the agent is told is a little less than what we wait, so that its own error arrives in time. */
static uint32_t time_for_agent(const struct talk *talk)
{
    int64_t left = most(talk->end - now_ms(), 1);
    return (uint32_t)(left - least(left / 4, 500));
}

static enum attempt attempt_once(struct talk *talk)
{
    enum attempt outcome;
    talk->acknowledged = false;
    int fd = connect_agent(talk, &outcome);
    if (fd < 0)
        return outcome;
    talk->until = least(now_ms() + FIRST_ANSWER_MS, talk->end);
    frame_set_deadline(&frame, time_for_agent(talk));
    if (send_request(talk, fd))
        outcome = read_answers(talk, fd);
    else
        outcome = final(talk, "it does not read the request; it hangs or is overloaded");
    close(fd);
    return outcome;
}

/* Returns CLOCK_BOOTTIME milliseconds until which a stopping agent asks us to wait; 0 when it does not. */
static int64_t read_marker(const char *socket)
{
    char path[MAX_SOCKET_PATH_BYTES + 16], text[24];
    if (!path_beside(socket, "restarting", path, sizeof path))
        return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return 0;
    ssize_t size = read(fd, text, sizeof text);
    close(fd);
    int64_t until = 0;
    ssize_t i = 0;
    for (; i < size && i < 18 && text[i] >= '0' && text[i] <= '9'; i++)
        until = until * 10 + (text[i] - '0');
    return i > 0 && i + 1 == size && text[i] == '\n' ? until : 0;
}

static void pause_ms(int64_t ms)
{
    struct timespec time = {.tv_nsec = ms * 1000000};
    nanosleep(&time, NULL);
}

const char *ask_agent(const struct request *request, const struct passed *passed, struct answer *answer)
{
    int64_t start = now_ms(), believed = 0;
    int64_t give_up = request->command == DEL ? start : start + RETRY_MS;
    struct talk talk = {.request = request, .passed = passed, .answer = answer};
    talk.end = start + (request->command == ADD ? ADD_MS : OTHER_MS);
    frame_request(&frame, request, passed->kinds, 0);
    for (;;) {
        enum attempt outcome = attempt_once(&talk);
        if (outcome == ATTEMPT_ANSWERED)
            return NULL;
        if (outcome == ATTEMPT_FINAL || request->command == DEL)
            return talk.why;
        int64_t now = now_ms(), marker = read_marker(request->socket);
        if (talk.acknowledged)
            give_up = now + RETRY_MS;
        if (marker > now && !believed)
            believed = now + RESTART_MAX_MS;
        int64_t patience = least(most(give_up, least(marker, believed)), talk.end);
        if (now >= patience)
            return talk.why;
        pause_ms(least(POLL_MS, patience - now));
    }
}

bool reference_listens(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(REFERENCE_PORT)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = return_to_host() ? socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
    if (fd < 0)
        return false;
    bool listens = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (!listens && errno == EINPROGRESS) {
        struct pollfd pollfd = {.fd = fd, .events = POLLOUT};
        int problem = 0;
        socklen_t size = sizeof problem;
        listens = poll(&pollfd, 1, REFERENCE_MS) > 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size) == 0 &&
                  problem == 0;
    }
    close(fd);
    return listens;
}

/* One HTTP/1.0 request: connect, send, read until the agent closes; a deadline on each half. */

#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FULL_QUEUE_PAUSE_MS 10

static int64_t now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_BOOTTIME, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static bool wait_ready(int fd, short events, int64_t until)
{
    struct pollfd pollfd = {.fd = fd, .events = events};
    for (;;) {
        int64_t left = until - now_ms();
        if (left <= 0)
            return false;
        int ready = poll(&pollfd, 1, (int)left);
        if (ready > 0 || (ready < 0 && errno != EINTR))
            return true;
    }
}

/* Returns 0, else an errno; ETIMEDOUT when the time is over. */
static int finish_connect(int fd, int64_t until)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (!wait_ready(fd, POLLOUT, until))
        return ETIMEDOUT;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? errno : error;
}

static int connect_by(int fd, const struct target *target, int64_t until)
{
    for (;;) {
        if (connect(fd, (const struct sockaddr *)&target->address, target->size) == 0)
            return 0;
        if (errno == EINPROGRESS || errno == EINTR)
            return finish_connect(fd, until);
        if (errno != EAGAIN)
            return errno;
        /* A unix socket whose queue is full cannot be waited for. */
        if (now_ms() >= until)
            return ETIMEDOUT;
        nanosleep(&(struct timespec){.tv_nsec = FULL_QUEUE_PAUSE_MS * 1000000}, NULL);
    }
}

/* Sends the request and reads the answer. Returns its size, -1 with `*why` set when there is none. */
static ssize_t exchange(int fd, const char *page, char *answer, size_t room, int64_t until, const char **why)
{
    char request[128];
    int length = snprintf(request, sizeof request, "GET %s HTTP/1.0\r\nUser-Agent: grpc-health-probe/" SHIM_VERSION "\r\n\r\n", page);
    size_t held = 0;
    /* A new connection takes so few bytes at once. */
    if (send(fd, request, (size_t)length, MSG_NOSIGNAL) != length) {
        *why = strerror(errno);
        return -1;
    }
    while (held < room) {
        if (!wait_ready(fd, POLLIN, until)) {
            *why = "no answer in time; the agent hangs or is overloaded";
            return -1;
        }
        ssize_t got = recv(fd, answer + held, room - held, 0);
        if (got == 0)
            break;
        if (got > 0)
            held += (size_t)got;
        else if (errno != EINTR && errno != EAGAIN) {
            *why = strerror(errno);
            return -1;
        }
    }
    return (ssize_t)held;
}

/* Reads "HTTP/1.x NNN"; 0 when the answer does not begin like that. */
static int read_status(const char *answer)
{
    if (strncmp(answer, "HTTP/1.", 7) != 0 || strlen(answer) < 12 || answer[8] != ' ')
        return 0;
    return (int)strtol(answer + 9, NULL, 10);
}

/* Moves the body to the front, without line ends and what a terminal would obey. */
static void keep_body(char *answer)
{
    char *body = strstr(answer, "\r\n\r\n");
    size_t length = 0;
    for (body = body ? body + 4 : answer + strlen(answer); *body; body++)
        answer[length++] = *body == '\n' || *body == '\r' ? ' ' : (unsigned char)*body < ' ' || *body == 0x7f ? '?' : *body;
    while (length > 0 && answer[length - 1] == ' ')
        length--;
    answer[length] = '\0';
}

enum outcome ask(const struct flags *flags, const struct target *target, const char *page, char text[MAX_ANSWER_BYTES])
{
    const char *why = NULL;
    int fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error = fd < 0 ? errno : connect_by(fd, target, now_ms() + flags->connect_ms);
    if (error) {
        snprintf(text, MAX_ANSWER_BYTES, "failed to connect service \"%s\": %s", flags->address, strerror(error));
        return NOT_CONNECTED;
    }
    ssize_t size = exchange(fd, page, text, MAX_ANSWER_BYTES - 1, now_ms() + flags->request_ms, &why);
    close(fd);
    if (size < 0) {
        snprintf(text, MAX_ANSWER_BYTES, "health rpc failed: %s", why);
        return REQUEST_FAILED;
    }
    text[size] = '\0';
    int status = read_status(text);
    keep_body(text);
    if (status == 200)
        return HEALTHY;
    if (status == 503)
        return UNHEALTHY;
    snprintf(text, MAX_ANSWER_BYTES, "health rpc failed: %s answered %s", page,
             status ? "with another status than 200 or 503" : "what is no HTTP");
    return REQUEST_FAILED;
}

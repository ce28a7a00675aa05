/* A server for tests: answers on one port, by TCP and by UDP, with who asks whom, then with what was asked.
 *
 *   echo [PORT]        PORT defaults to 8080
 *
 * A TCP client gets the line "HOSTNAME PEER-ADDRESS\n" at once and every byte that it sends; a datagram gets one
 * datagram back: the same line, then its own bytes. SIGTERM ends it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_CLIENTS = 1024, LINE_BYTES = 128, DATAGRAM_BYTES = 65536 };

static char host_name[64];

static void end(int number) {
    (void)number;
    _exit(0);
}

static size_t describe(const struct sockaddr_in *peer, char *line) {
    char address[INET_ADDRSTRLEN] = "?";
    inet_ntop(AF_INET, &peer->sin_addr, address, sizeof address);
    int length = snprintf(line, LINE_BYTES, "%s %s\n", host_name, address);
    return length > 0 ? (size_t)length : 0;
}

static int open_server(int kind, unsigned short port) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_ANY)};
    int yes = 1;
    int server = socket(AF_INET, kind, 0);
    if (server < 0 || setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
        bind(server, (struct sockaddr *)&here, sizeof here) < 0 || (kind == SOCK_STREAM && listen(server, 128) < 0)) {
        perror("cannot listen");
        exit(EXIT_FAILURE);
    }
    return server;
}

static void answer_datagram(int server) {
    static char buffer[LINE_BYTES + DATAGRAM_BYTES];
    static char data[DATAGRAM_BYTES];
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    ssize_t received = recvfrom(server, data, sizeof data, 0, (struct sockaddr *)&peer, &length);
    if (received < 0) {
        return;
    }
    size_t head = describe(&peer, buffer);
    memcpy(buffer + head, data, (size_t)received);
    sendto(server, buffer, head + (size_t)received, 0, (struct sockaddr *)&peer, length);
}

/* False when the client has gone. */
static int answer_stream(int client) {
    char data[4096];
    ssize_t received = recv(client, data, sizeof data, 0);
    for (ssize_t sent = 0; sent < received;) {
        ssize_t step = send(client, data + sent, (size_t)(received - sent), MSG_NOSIGNAL);
        if (step <= 0) {
            return 0;
        }
        sent += step;
    }
    return received > 0;
}

static int accept_client(int server) {
    char line[LINE_BYTES];
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    int client = accept(server, (struct sockaddr *)&peer, &length);
    if (client >= 0) {
        send(client, line, describe(&peer, line), MSG_NOSIGNAL);
    }
    return client;
}

int main(int argc, char **argv) {
    unsigned short port = (unsigned short)(argc > 1 ? atoi(argv[1]) : 8080);
    struct sigaction ending = {.sa_handler = end};
    static struct pollfd watched[MAX_CLIENTS + 2];
    nfds_t count = 2;
    sigaction(SIGTERM, &ending, NULL);
    gethostname(host_name, sizeof host_name - 1);
    watched[0] = (struct pollfd){.fd = open_server(SOCK_STREAM, port), .events = POLLIN};
    watched[1] = (struct pollfd){.fd = open_server(SOCK_DGRAM, port), .events = POLLIN};
    while (poll(watched, count, -1) >= 0 || errno == EINTR) {
        if (watched[1].revents) {
            answer_datagram(watched[1].fd);
        }
        for (nfds_t index = 2; index < count; index++) {
            if (watched[index].revents && !answer_stream(watched[index].fd)) {
                close(watched[index].fd);
                watched[index--] = watched[--count];
            }
        }
        if (watched[0].revents && count < MAX_CLIENTS + 2) {
            int client = accept_client(watched[0].fd);
            if (client >= 0) {
                watched[count++] = (struct pollfd){.fd = client, .events = POLLIN};
            }
        }
    }
    return EXIT_FAILURE;
}

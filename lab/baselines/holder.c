// The least that can hold PostgreSQL connections: epoll and nothing else. `holder PORT N USER DATABASE` logs in N times on
// loopback without a password, prints `open`, and prints for each end the connection's own port, the wall clock in
// nanoseconds when it was noticed, and its form.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what) {
  perror(what);
  exit(1);
}

// Protocol 3.0, then names and values, each ended by a zero byte.
static size_t startup(char *message, size_t size, const char *user, const char *database) {
  const int text = snprintf(message + 8, size - 8, "user%c%s%cdatabase%c%s%c", 0, user, 0, 0, database, 0);
  const uint32_t length = 8 + (uint32_t)text + 1, head[2] = {htonl(length), htonl(196608)};
  memcpy(message, head, sizeof head);
  message[length - 1] = 0;
  return length;
}

// Logs in: reads until ReadyForQuery, the last six bytes of an answer.
static int login(const struct sockaddr_in *server, const char *message, size_t length) {
  static const char ready[6] = {'Z', 0, 0, 0, 5, 'I'};
  char answer[4096];
  size_t got = 0;
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (const struct sockaddr *)server, sizeof *server)) fail("connect");
  if (send(fd, message, length, 0) != (ssize_t)length) fail("send");
  do {
    const ssize_t n = recv(fd, answer + got, sizeof answer - got, 0);
    if (n <= 0) fail("login");
    got += (size_t)n;
  } while (got < sizeof ready || memcmp(answer + got - sizeof ready, ready, sizeof ready) != 0);
  return fd;
}

static unsigned port_of(int fd) {
  struct sockaddr_in own;
  socklen_t size = sizeof own;
  if (getsockname(fd, (struct sockaddr *)&own, &size)) fail("getsockname");
  return ntohs(own.sin_port);
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  const struct sockaddr_in server = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int left = atoi(argv[2]);
  char message[256];
  const size_t length = startup(message, sizeof message, argv[3], argv[4]);
  const int epoll = epoll_create1(0);
  for (int i = 0; i < left; i++) {
    const int fd = login(&server, message, length);
    // The port is asked now: the kernel forgets it with a reset.
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)port_of(fd) << 32 | (uint32_t)fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) fail("epoll_ctl");
  }
  puts("open");
  fflush(stdout);
  while (left > 0) {
    struct epoll_event events[64];
    const int n = epoll_wait(epoll, events, 64, -1);
    for (int i = 0; i < n; i++) {
      char bytes[4096];
      struct timespec now;
      const int fd = (int)(uint32_t)events[i].data.u64;
      const ssize_t got = recv(fd, bytes, sizeof bytes, 0);
      const char *form = got > 0 ? "Message" : got == 0 ? "Fin" : errno == ECONNRESET ? "Rst" : "Other";
      clock_gettime(CLOCK_REALTIME, &now);
      close(fd);
      printf("%u %lld%09ld %s\n", (unsigned)(events[i].data.u64 >> 32), (long long)now.tv_sec, now.tv_nsec, form);
      left--;
    }
  }
  return 0;
}

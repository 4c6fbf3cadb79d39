// bare_loop: the limit that the benchmark measures servers against.
//
// What it owns: one listening socket, one epoll set, one buffer a connection. One thread, one
// process. What it does: counts a request as whole when the blank line and `--request-body` bytes
// after it have come, then sends one prepared answer. It parses nothing and calls no application,
// so what remains is what the kernel asks for: one recv, one send, and a share of one epoll_wait.
// Invariants: sockets are registered once, edge-triggered (no epoll_ctl a request); a recv shorter
// than its buffer has drained the socket (epoll(7)), so no second recv is made to meet EAGAIN.
//
// Use: bare_loop PORT BODY_FILE [--chunk BYTES] [--request-body BYTES] [--close]

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr size_t kBufferBytes = 32 * 1024;
constexpr int kEventsMax = 256;

struct Options {
    uint16_t port = 0;
    std::string body;
    size_t chunk_bytes = 0;         // 0: Content-Length framing
    size_t request_body_bytes = 0;  // what every request carries after its head
    bool close_after = false;
};

struct Connection {
    std::array<char, kBufferBytes> buffer;
    size_t filled = 0;
    size_t unsent_offset = 0;  // into the answer; 0: nothing is waiting to be sent
};

std::string render_answer(const Options& options) {
    std::string answer =
        "HTTP/1.1 200 OK\r\nServer: bare\r\nDate: Sat, 01 Jan 2000 00:00:00 GMT\r\n"
        "Content-Type: text/plain\r\n";
    if (options.close_after) answer += "Connection: close\r\n";
    if (options.chunk_bytes == 0) {
        answer += "Content-Length: " + std::to_string(options.body.size()) + "\r\n\r\n";
        return answer + options.body;
    }
    answer += "Transfer-Encoding: chunked\r\n\r\n";
    for (size_t at = 0; at < options.body.size(); at += options.chunk_bytes) {
        const std::string piece = options.body.substr(at, options.chunk_bytes);
        std::array<char, 32> size_line{};
        std::snprintf(size_line.data(), size_line.size(), "%zx\r\n", piece.size());
        answer += size_line.data() + piece + "\r\n";
    }
    return answer + "0\r\n\r\n";
}

int listen_on(uint16_t port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // accepted sockets inherit it
    // Wakes the listener when the request is here: a third less CPU for a short connection.
    setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &on, sizeof on);
    if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        listen(fd, 2048) != 0) {
        std::perror("bare_loop: cannot listen");
        std::exit(1);
    }
    return fd;
}

class Loop {
  public:
    explicit Loop(const Options& options)
        : options_(options),
          answer_(render_answer(options)),
          poller_(epoll_create1(EPOLL_CLOEXEC)),
          listener_(listen_on(options.port)) {
        watch(listener_, EPOLLIN);
    }

    [[noreturn]] void run() {
        std::array<epoll_event, kEventsMax> events;
        for (;;) {
            const int count = epoll_wait(poller_, events.data(), kEventsMax, -1);
            for (int i = 0; i < count; ++i) {
                const epoll_event& event = events[static_cast<size_t>(i)];
                if (event.data.fd == listener_) {
                    accept_all();
                } else {
                    handle(event.data.fd, event.events);
                }
            }
        }
    }

  private:
    void watch(int fd, uint32_t wanted) {
        epoll_event event{};
        event.events = wanted;
        event.data.fd = fd;
        epoll_ctl(poller_, EPOLL_CTL_ADD, fd, &event);
    }

    void accept_all() {
        for (;;) {
            const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0) return;
            const auto slot = static_cast<size_t>(fd);
            if (slot >= connections_.size()) connections_.resize(slot + 1, nullptr);
            if (connections_[slot] == nullptr) connections_[slot] = new Connection;
            Connection& connection = *connections_[slot];
            connection.filled = 0;
            connection.unsent_offset = 0;
            // The request is often here already: then a connection that carries one request is
            // answered and closed without ever entering the epoll set.
            if (receive(fd, connection)) {
                watch(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
            } else {
                close(fd);
            }
        }
    }

    // Slots (and their buffers) stay allocated for the next connection with the same number.
    void handle(int fd, uint32_t events) {
        Connection& connection = *connections_[static_cast<size_t>(fd)];
        bool alive = true;
        if (connection.unsent_offset != 0 && (events & EPOLLOUT) != 0) {
            alive = send_answer(fd, connection);
        }
        if (alive && (events & EPOLLIN) != 0) alive = receive(fd, connection);
        const bool hung_up = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
        if (!alive || hung_up) close(fd);
    }

    bool receive(int fd, Connection& connection) {
        for (;;) {
            const size_t room = kBufferBytes - connection.filled;
            if (room == 0) return false;  // larger than any case of the benchmark sends
            const ssize_t got = recv(fd, &connection.buffer[connection.filled], room, 0);
            if (got < 0) return errno == EAGAIN || errno == EINTR;
            if (got == 0) return false;
            connection.filled += static_cast<size_t>(got);
            if (request_is_whole(connection) && !answer_request(fd, connection)) return false;
            if (static_cast<size_t>(got) < room) return true;
        }
    }

    [[nodiscard]] bool request_is_whole(const Connection& connection) const {
        const void* end = memmem(connection.buffer.data(), connection.filled, "\r\n\r\n", 4);
        if (end == nullptr) return false;
        const auto head_bytes =
            static_cast<size_t>(static_cast<const char*>(end) - connection.buffer.data()) + 4;
        return connection.filled >= head_bytes + options_.request_body_bytes;
    }

    bool answer_request(int fd, Connection& connection) {
        connection.filled = 0;
        connection.unsent_offset = 0;
        return send_answer(fd, connection);
    }

    // False once the connection is to be closed.
    bool send_answer(int fd, Connection& connection) {
        size_t offset = connection.unsent_offset;
        while (offset < answer_.size()) {
            const ssize_t put =
                send(fd, answer_.data() + offset, answer_.size() - offset, MSG_NOSIGNAL);
            if (put < 0) {
                connection.unsent_offset = offset;
                return errno == EAGAIN || errno == EINTR;
            }
            offset += static_cast<size_t>(put);
        }
        connection.unsent_offset = 0;
        return !options_.close_after;
    }

    Options options_;
    std::string answer_;
    int poller_;
    int listener_;
    std::vector<Connection*> connections_;
};

std::string read_file(const char* path) {
    std::string content;
    std::FILE* file = std::fopen(path, "rb");
    if (file == nullptr) {
        std::perror(path);
        std::exit(1);
    }
    std::array<char, 4096> block;
    size_t got = 0;
    while ((got = std::fread(block.data(), 1, block.size(), file)) > 0) {
        content.append(block.data(), got);
    }
    std::fclose(file);
    return content;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr,
                     "use: bare_loop PORT BODY_FILE [--chunk N] [--request-body N] [--close]\n");
        return 2;
    }
    Options options;
    options.port = static_cast<uint16_t>(std::atoi(argv[1]));
    options.body = read_file(argv[2]);
    for (int i = 3; i < argc; ++i) {
        const std::string flag = argv[i];
        if (flag == "--close") {
            options.close_after = true;
        } else if (flag == "--chunk" && i + 1 < argc) {
            options.chunk_bytes = std::strtoul(argv[++i], nullptr, 10);
        } else if (flag == "--request-body" && i + 1 < argc) {
            options.request_body_bytes = std::strtoul(argv[++i], nullptr, 10);
        }
    }
    Loop(options).run();
}

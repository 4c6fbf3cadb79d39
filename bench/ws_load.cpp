// ws_load: loads a WebSocket echo server with a fixed number of messages and checks each answer.
//
// What it owns: its connections, one epoll set, and the one prepared frame that all of them send.
// One thread, one process. Each connection has one message under way, so the server decides the
// speed. Invariants: no extension is offered, so a frame with RSV bits, a masked one, one of
// another type or with other bytes than were sent ends the run with exit code 1 and no result
// line. Pings are read over, not answered: runs end long before a server minds (SECONDS_MAX).
// Prints at the end the line that wrk.lua prints.
//
// Use: ws_load PORT MESSAGE_BYTES CONNECTIONS MESSAGES SECONDS_MAX

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kEventsMax = 64;
constexpr int kSocketSecondsMax = 5;
constexpr size_t kHeadBytesMax = 10;  // a frame's head without a mask (RFC 6455 section 5.2)
constexpr size_t kControlBytesMax = 125;
constexpr unsigned kBinary = 2;
constexpr unsigned kClose = 8;
constexpr std::array<uint8_t, 4> kMask{0x37, 0xfa, 0x21, 0x3d};
constexpr std::string_view kAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";  // of the key in kUpgrade
constexpr std::string_view kUpgrade =
    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

[[noreturn]] void fail(const char* why) {
    std::fprintf(stderr, "ws_load: %s\n", why);
    std::exit(1);
}

uint32_t us_between(Clock::time_point from, Clock::time_point to) {
    const auto passed = std::chrono::duration_cast<std::chrono::microseconds>(to - from).count();
    return static_cast<uint32_t>(passed);
}

std::string make_payload(size_t bytes) {
    std::string payload(bytes, '\0');
    for (size_t i = 0; i < bytes; ++i) payload[i] = static_cast<char>(i * 31 + i / 256);
    return payload;
}

// A whole masked frame, as clients must send it (RFC 6455 section 5.3).
std::string make_frame(unsigned opcode, std::string_view payload) {
    std::string frame(1, static_cast<char>(0x80 | opcode));
    if (payload.size() < 126) {
        frame += static_cast<char>(0x80 | payload.size());
    } else {
        const bool two_bytes = payload.size() < 65536;
        frame += static_cast<char>(0x80 | (two_bytes ? 126 : 127));
        for (int shift = two_bytes ? 8 : 56; shift >= 0; shift -= 8) {
            frame += static_cast<char>(payload.size() >> shift);
        }
    }
    for (const uint8_t byte : kMask) frame += static_cast<char>(byte);
    for (size_t i = 0; i < payload.size(); ++i) {
        frame += static_cast<char>(static_cast<uint8_t>(payload[i]) ^ kMask[i % 4]);
    }
    return frame;
}

void send_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t put = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) fail("cannot send");
        bytes.remove_prefix(static_cast<size_t>(put));
    }
}

int connect_to(uint16_t port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    const timeval patience{kSocketSecondsMax, 0};
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        fail("cannot connect");
    }
    return fd;
}

void upgrade(int fd) {
    send_all(fd, kUpgrade);
    std::string answer;
    while (answer.find("\r\n\r\n") == std::string::npos) {
        char byte = 0;  // one at a time: what follows the head is a frame
        if (recv(fd, &byte, 1, 0) != 1) fail("no answer to the upgrade");
        answer += byte;
    }
    if (answer.rfind("HTTP/1.1 101", 0) != 0) fail(answer.substr(0, answer.find('\r')).c_str());
    if (answer.find(kAccept) == std::string::npos) fail("wrong Sec-WebSocket-Accept");
}

struct Connection {
    int fd = -1;
    std::vector<char> buffer;
    size_t filled = 0;
    size_t matched = 0;  // bytes of the message under way that have come back
    Clock::time_point sent_at;
};

struct Head {
    bool whole = false;  // head and payload are in the buffer
    bool final = false;
    unsigned opcode = 0;
    size_t head_bytes = 0;
    size_t payload_bytes = 0;
};

Head read_head(const char* at, size_t available) {
    const auto byte = [at](size_t i) { return static_cast<uint8_t>(at[i]); };
    Head head;
    if (available < 2) return head;
    if ((byte(0) & 0x70) != 0 || (byte(1) & 0x80) != 0) fail("a frame with RSV bits or a mask");
    head.final = (byte(0) & 0x80) != 0;
    head.opcode = byte(0) & 0x0f;
    head.payload_bytes = byte(1);
    const size_t length_bytes = byte(1) < 126 ? 0 : (byte(1) == 126 ? 2 : 8);
    head.head_bytes = 2 + length_bytes;
    if (available < head.head_bytes) return head;
    if (length_bytes != 0) head.payload_bytes = 0;
    for (size_t i = 0; i < length_bytes; ++i) {
        head.payload_bytes = head.payload_bytes << 8 | byte(2 + i);
    }
    head.whole = available - head.head_bytes >= head.payload_bytes;
    return head;
}

class Load {
  public:
    Load(size_t message_bytes, uint32_t messages)
        : payload_(make_payload(message_bytes)),
          frame_(make_frame(kBinary, payload_)),
          messages_(messages),
          poller_(epoll_create1(EPOLL_CLOEXEC)) {
        latencies_us_.reserve(messages);
    }

    void open(uint16_t port, size_t count) {
        connections_.resize(count);
        for (size_t i = 0; i < count; ++i) {
            Connection& connection = connections_[i];
            connection.fd = connect_to(port);
            connection.buffer.resize(payload_.size() + kHeadBytesMax + kControlBytesMax);
            upgrade(connection.fd);
            epoll_event event{};
            event.events = EPOLLIN;
            event.data.u64 = i;
            epoll_ctl(poller_, EPOLL_CTL_ADD, connection.fd, &event);
        }
    }

    void run(int seconds_max) {
        started_ = Clock::now();
        const Clock::time_point deadline = started_ + std::chrono::seconds(seconds_max);
        for (Connection& connection : connections_) send_next(connection);
        std::array<epoll_event, kEventsMax> events;
        while (latencies_us_.size() < messages_) {
            const int count = epoll_wait(poller_, events.data(), kEventsMax, 1000);
            for (int i = 0; i < count; ++i) {
                receive(connections_[events[static_cast<size_t>(i)].data.u64]);
            }
            if (Clock::now() > deadline) fail("too slow: not all messages came back");
        }
        ended_ = Clock::now();
        for (const Connection& connection : connections_) {
            send_all(connection.fd, make_frame(kClose, "\x03\xe8"));
            close(connection.fd);
        }
    }

    void report() {
        const auto percentile = [this](size_t hundredths) {
            const size_t index = (latencies_us_.size() - 1) * hundredths / 100;
            std::nth_element(latencies_us_.begin(),
                             latencies_us_.begin() + static_cast<std::ptrdiff_t>(index),
                             latencies_us_.end());
            return latencies_us_[index];
        };
        std::printf(
            "@result {\"requests\": %u, \"duration_us\": %u, \"p50_us\": %u, \"p99_us\": %u, "
            "\"connect\": 0, \"read\": 0, \"write\": 0, \"status\": 0, \"timeout\": 0}\n",
            messages_, us_between(started_, ended_), percentile(50), percentile(99));
    }

  private:
    void send_next(Connection& connection) {
        if (sent_ == messages_) return;
        ++sent_;
        connection.matched = 0;
        connection.sent_at = Clock::now();
        send_all(connection.fd, frame_);
    }

    void receive(Connection& connection) {
        const ssize_t got = recv(connection.fd, connection.buffer.data() + connection.filled,
                                 connection.buffer.size() - connection.filled, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (got <= 0) fail("the server closed a connection");
        connection.filled += static_cast<size_t>(got);
        size_t used = 0;
        for (;;) {
            const char* at = connection.buffer.data() + used;
            const Head head = read_head(at, connection.filled - used);
            if (head.payload_bytes > payload_.size() + kControlBytesMax) fail("too long a frame");
            if (!head.whole) break;
            take(connection, head, at + head.head_bytes);
            used += head.head_bytes + head.payload_bytes;
        }
        connection.filled -= used;
        std::memmove(connection.buffer.data(), connection.buffer.data() + used, connection.filled);
    }

    // A frame of the message under way: the first says binary, the following ones continue it.
    void take(Connection& connection, const Head& head, const char* bytes) {
        if (head.opcode == kClose) fail("the server sent a close frame");
        if (head.opcode > kClose) return;
        const size_t before = connection.matched;
        if (head.opcode != (before == 0 ? kBinary : 0)) fail("a frame of an unexpected type");
        if (head.payload_bytes > payload_.size() - before ||
            std::memcmp(payload_.data() + before, bytes, head.payload_bytes) != 0) {
            fail("other bytes came back than were sent");
        }
        connection.matched = before + head.payload_bytes;
        if (!head.final) return;
        if (connection.matched != payload_.size()) fail("a message came back short");
        latencies_us_.push_back(us_between(connection.sent_at, Clock::now()));
        send_next(connection);
    }

    std::string payload_;
    std::string frame_;
    uint32_t messages_;
    uint32_t sent_ = 0;
    int poller_;
    std::vector<Connection> connections_;
    std::vector<uint32_t> latencies_us_;
    Clock::time_point started_;
    Clock::time_point ended_;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 6) {
        std::fprintf(stderr, "use: ws_load PORT MESSAGE_BYTES CONNECTIONS MESSAGES SECONDS_MAX\n");
        return 2;
    }
    const auto number = [argv](int i) { return std::strtoul(argv[i], nullptr, 10); };
    const auto messages = static_cast<uint32_t>(number(4));
    if (number(2) == 0 || number(3) == 0 || messages == 0) fail("sizes and counts start at 1");
    Load load(number(2), messages);
    load.open(static_cast<uint16_t>(number(1)), number(3));
    load.run(static_cast<int>(number(5)));
    load.report();
}

// ws_echo_server PORT [SECONDS]: sends every WebSocket message back, on 127.0.0.1, a thread a
// connection. The protocol alone, without the engine: for autobahntestsuite (tools/autobahn.sh)
// and other clients. SECONDS ends it (default 3600), so that a forgotten one does not stay.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "base/clock.hpp"
#include "http1/framing.hpp"
#include "http1/head_parser.hpp"
#include "websocket/handshake.hpp"
#include "websocket/websocket.hpp"

namespace mono::conformance {
namespace {

using websocket::WebSocket;

class Peer {
  public:
    explicit Peer(int fd) : fd_(fd) {}
    ~Peer() { ::close(fd_); }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    void serve() {
        if (!shake_hands()) return;
        WebSocket socket(limits_, opening_.deflate, out_, base::monotonic_ms());
        if (!rest_.empty()) take(socket, rest_.data(), rest_.size());
        while (socket.phase() != WebSocket::Phase::kClosed) turn(socket);
        flush(nullptr);
    }

  private:
    bool shake_hands() {
        const http1::HeadRules rules;
        char piece[4096];
        while (true) {
            const ssize_t size = ::recv(fd_, piece, sizeof(piece), 0);
            if (size <= 0) return false;
            head_.append(piece, static_cast<size_t>(size));
            http1::HeadParser parser(rules);
            http::RequestHead head;
            const auto length = static_cast<uint32_t>(head_.size());
            const http1::ParseStatus status = parser.parse(head_.data(), length, head);
            if (status == http1::ParseStatus::kFailed) return false;
            if (status == http1::ParseStatus::kComplete) return answer(head);
        }
    }

    bool answer(http::RequestHead& head) {
        if (http1::apply_framing(head_.data(), head).error != http::Error::kNone) return false;
        if (!websocket::is_opening(head_.data(), head)) return false;
        const websocket::Refusal refusal =
            websocket::read_opening(head_.data(), head, limits_.deflate, opening_);
        if (refusal != websocket::Refusal::kNone) {
            out_.append_copy(websocket::refusal_page(refusal));
            flush(nullptr);
            return false;
        }
        http::ResponseHead response;
        const std::string_view first =
            opening_.subprotocols.empty() ? std::string_view() : opening_.subprotocols.front();
        if (websocket::accept_ws(opening_, first, response) != http::HeadFault::kNone) return false;
        http::ResponseHead::Context context;
        context.connection = "Upgrade";
        std::string text(response.size_max(context), '\0');
        text.resize(response.write(context, text.data()));
        out_.append_copy(text);
        rest_ = head_.substr(head.length);
        return true;
    }

    // One round: writes what there is, waits for bytes or the deadline, reads.
    void turn(WebSocket& socket) {
        flush(&socket);
        if (socket.phase() == WebSocket::Phase::kClosed) return;
        if (socket.phase() == WebSocket::Phase::kLinger && out_.empty()) ::shutdown(fd_, SHUT_WR);
        pollfd wanted = {fd_, 0, 0};
        if (socket.wants_bytes()) wanted.events |= POLLIN;
        if (!out_.empty()) wanted.events |= POLLOUT;
        const int64_t left_ms = socket.deadline_ms() == WebSocket::kNever
                                    ? 1'000
                                    : socket.deadline_ms() - base::monotonic_ms();
        ::poll(&wanted, 1, static_cast<int>(std::clamp<int64_t>(left_ms, 0, 1'000)));
        (void)socket.expire(base::monotonic_ms());
        if ((wanted.revents & (POLLIN | POLLERR | POLLHUP)) == 0) return;
        const ssize_t size = ::recv(fd_, input_, sizeof(input_), MSG_DONTWAIT);
        if (size > 0)
            take(socket, input_, static_cast<size_t>(size));
        else if (size == 0 || (errno != EAGAIN && errno != EINTR))
            (void)socket.end_of_input();
    }

    void take(WebSocket& socket, char* bytes, size_t size) {
        const int64_t now_ms = base::monotonic_ms();
        size_t used = 0;
        while (true) {
            const WebSocket::Step step = socket.next(bytes + used, size - used, now_ms);
            used += step.consumed;
            if (step.event == WebSocket::Event::kNeedMore) return;
            if (step.event == WebSocket::Event::kMessage)
                (void)socket.send(step.data, step.text, nullptr, now_ms);
            if (step.event == WebSocket::Event::kFault) socket.fail(now_ms);
        }
    }

    void flush(WebSocket* socket) {
        while (!out_.empty()) {
            iovec vectors[16];
            msghdr message = {};
            message.msg_iov = vectors;
            message.msg_iovlen = static_cast<size_t>(out_.gather(vectors, 16));
            const ssize_t size = ::sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (size < 0) {
                if (errno != EAGAIN && socket != nullptr) (void)socket->end_of_input();
                if (errno != EAGAIN) out_.clear(released_);
                return;
            }
            out_.consume(static_cast<uint64_t>(size), released_);
            if (socket != nullptr) socket->progressed(base::monotonic_ms());
        }
    }

    int fd_;
    websocket::WebSocketLimits limits_;
    std::string head_;
    std::string rest_;
    websocket::Opening opening_;
    base::Chain out_;
    std::vector<base::Released> released_;
    char input_[64 * 1024];
};

int listen_on(uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const auto* generic = reinterpret_cast<const sockaddr*>(&address);
    if (::bind(fd, generic, sizeof(address)) != 0 || ::listen(fd, 128) != 0) return -1;
    return fd;
}

}  // namespace
}  // namespace mono::conformance

int main(int argc, char** argv) {
    using mono::conformance::Peer;
    if (argc < 2) return 2;
    ::alarm(argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 3600U);
    const int listener = mono::conformance::listen_on(static_cast<uint16_t>(std::atoi(argv[1])));
    if (listener < 0) {
        std::perror("listen");
        return 1;
    }
    while (true) {
        const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) continue;
        const int on = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        std::thread([fd] { std::make_unique<Peer>(fd)->serve(); }).detach();
    }
}

// h2_echo_server: http2::Session over an epoll loop on 127.0.0.1, cleartext by prior knowledge, no
// engine: what h2spec, h2load, nghttp and curl say of the codec alone. Ends by a signal.
//
//   h2_echo_server [--port 8000] [--body-bytes 13]
//
// Port 0: any; the chosen one is the first line of the output.
#include <charconv>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.hpp"
#include "http2/echo_test.hpp"
#include "os/files.hpp"
#include "os/poller.hpp"
#include "os/socket.hpp"

namespace mono::tools {
namespace {

constexpr uint64_t kListener = 0;
constexpr size_t kReceiveBytes = 64 * 1024;

void say(int fd, const std::string& line) {
    [[maybe_unused]] const os::SinkResult result =
        os::write_sink(fd, os::sink_kind(fd), line + "\n");
}

struct Client {
    Client(os::Fd socket, const http2::Limits& limits, size_t body_bytes)
        : fd(std::move(socket)), application(limits, body_bytes) {}
    os::Fd fd;
    http2::EchoApplication application;
};

class Server {
  public:
    Server(os::Fd listener, size_t body_bytes)
        : listener_(std::move(listener)), body_bytes_(body_bytes), buffer_(kReceiveBytes) {}

    void run() {
        if (!poller_.ok() || !poller_.add_reader(listener_.get(), kListener, false)) return;
        os::Ready ready[os::Poller::kBatch];
        for (;;) {
            const int count = poller_.wait(ready, -1);
            for (int at = 0; at < count; ++at) {
                if (ready[at].key == kListener)
                    accept();
                else
                    serve(ready[at].key);
            }
        }
    }

  private:
    void accept() {
        for (;;) {
            os::Accepted accepted = os::accept_stream(listener_.get());
            if (accepted.status != os::AcceptStatus::kAccepted) return;
            const uint64_t key = ++last_key_;
            const int fd = accepted.fd.get();
            clients_[key] = std::make_unique<Client>(std::move(accepted.fd), limits_, body_bytes_);
            if (!poller_.add_stream(fd, key)) clients_.erase(key);
        }
    }
    void serve(uint64_t key) {
        const auto found = clients_.find(key);
        if (found == clients_.end() || turn(*found->second)) return;
        const std::string fault = found->second->application.session().fault_text();
        if (!fault.empty()) say(2, fault);
        poller_.remove(found->second->fd.get());
        clients_.erase(found);
    }
    // False: the connection is over.
    bool turn(Client& client) {
        http2::Session& session = client.application.session();
        for (;;) {
            const os::IoResult got = os::receive(client.fd.get(), buffer_);
            if (got.status == os::IoStatus::kAgain) break;
            if (got.status != os::IoStatus::kDone) return false;
            session.feed({buffer_.data(), got.bytes}, base::monotonic_ms());
            if (!flush(client)) return false;
        }
        return flush(client) && !session.over();
    }
    static bool flush(Client& client) {
        http2::Session& session = client.application.session();
        for (;;) {
            const std::string_view bytes = session.output();
            if (bytes.empty()) return true;
            const os::IoResult put = os::send_bytes(client.fd.get(), bytes.data(), bytes.size());
            if (put.status == os::IoStatus::kAgain) return true;
            if (put.status != os::IoStatus::kDone) return false;
            session.sent(put.bytes);
        }
    }

    const http2::Limits limits_;
    os::Poller poller_;
    os::Fd listener_;
    size_t body_bytes_;
    std::vector<char> buffer_;
    std::unordered_map<uint64_t, std::unique_ptr<Client>> clients_;
    uint64_t last_key_ = kListener;
};

template <class Number>
bool read_number(const char* text, Number& number) {
    const char* end = text + std::strlen(text);
    return std::from_chars(text, end, number).ptr == end && text != end;
}

int run(int argc, char** argv) {
    uint16_t port = 8000;
    size_t body_bytes = 13;
    for (int at = 1; at + 1 < argc; at += 2) {
        const std::string_view name = argv[at];
        if (name == "--port" && read_number(argv[at + 1], port)) continue;
        if (name == "--body-bytes" && read_number(argv[at + 1], body_bytes)) continue;
        say(2, "usage: h2_echo_server [--port PORT] [--body-bytes BYTES]");
        return 2;
    }
    os::Fd listener = os::listen_loopback(port);
    if (!listener) {
        say(2, "h2_echo_server: the port cannot be had");
        return 1;
    }
    os::ignore_broken_pipes();
    say(1, std::to_string(port));
    Server(std::move(listener), body_bytes).run();
    return 0;
}

}  // namespace
}  // namespace mono::tools

int main(int argc, char** argv) { return mono::tools::run(argc, argv); }

// http_load: loads an HTTP/1.1 server over kept connections and checks every answer whole.
//
// What it owns: its connections, one epoll set, and the one prepared request that all of them
// send. One thread, one process; who starts it pins it to a core. Each connection has one batch of
// requests under way (one request, unless pipelined), so the server decides the speed. An answer
// with "Connection: close" is read to the end of the connection, and the next request opens a new
// one. Invariants: an answer with another status, another length, other bytes or broken framing,
// and a connection that ends inside an answer, end the run with exit code 1 and no result line.
//
// Use: http_load PORT REQUEST_FILE BODY_FILE [--connections N] [--pipeline N] [--status N]
// REQUEST_FILE has one whole request, BODY_FILE the body that must come back. Then each line of
// the standard input is one run over the same connections: "seconds 0.1" or "requests 1000"
// (up to a batch more). Each run prints one line of JSON.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kEventsMax = 64;
constexpr int kSilenceMsMax = 10'000;
constexpr size_t kBufferBytes = 64 * 1024;
constexpr size_t kLineBytesMax = 128;  // of the standard input

struct Options {
    uint16_t port = 0;
    std::string request;
    std::string body;  // what must come back
    size_t connections = 32;
    size_t pipeline = 1;
    unsigned status = 200;
};

[[noreturn]] void fail(const char* why) {
    std::fprintf(stderr, "http_load: %s\n", why);
    std::exit(1);
}

std::string read_file(const char* path) {
    std::FILE* file = std::fopen(path, "rb");
    if (file == nullptr) fail("cannot read a file that the command line names");
    std::string text;
    std::array<char, 4096> piece{};
    size_t got = 0;
    while ((got = std::fread(piece.data(), 1, piece.size(), file)) > 0) {
        text.append(piece.data(), got);
    }
    std::fclose(file);
    return text;
}

// The whole of `text` as a number; nothing for a sign, blanks, or more digits than fit.
std::optional<size_t> number_in(std::string_view text, int base = 10) {
    size_t value = 0;
    const char* end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, value, base);
    if (error != std::errc() || stopped != end) return std::nullopt;
    return value;
}

bool same_word(std::string_view a, std::string_view b) {
    return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

// How an answer ends, as its head says (RFC 9112 section 6.3).
struct Head {
    unsigned status = 0;
    std::optional<size_t> length;
    bool chunked = false;
    bool closes = false;
};

Head read_head(std::string_view text) {
    Head head;
    if (!text.starts_with("HTTP/1.") || text.size() < 12) fail("not an answer in HTTP/1");
    head.closes = text[7] == '0';
    head.status = static_cast<unsigned>(number_in(text.substr(9, 3)).value_or(0));
    size_t at = text.find("\r\n") + 2;
    while (at < text.size()) {
        const size_t end = text.find("\r\n", at);
        const std::string_view line = text.substr(at, end - at);
        const size_t colon = line.find(':');
        if (colon == std::string_view::npos) fail("a header line without a colon");
        const std::string_view name = line.substr(0, colon);
        const std::string_view value = trimmed(line.substr(colon + 1));
        if (same_word(name, "content-length")) {
            head.length = number_in(value);
            if (!head.length) fail("a length that is no number");
        } else if (same_word(name, "transfer-encoding")) {
            head.chunked = same_word(value, "chunked");
        } else if (same_word(name, "connection")) {
            head.closes = same_word(value, "close");
        }
        at = end + 2;
    }
    return head;
}

// Reads the answers of one connection and compares them with what must come back.
class Reader {
  public:
    explicit Reader(const Options& options) : options_(&options), buffer_(kBufferBytes) {}

    char* space() { return buffer_.data() + filled_; }
    size_t space_bytes() const { return buffer_.size() - filled_; }
    bool drained() const { return filled_ == 0; }
    bool closes() const { return head_.closes; }

    // Takes what was received into space(); returns how many answers are whole now.
    size_t received(size_t bytes) {
        filled_ += bytes;
        size_t whole = 0;
        std::string_view rest(buffer_.data(), filled_);
        while (step(rest)) {
            if (stage_ == Stage::whole) {
                ++whole;
                stage_ = head_.closes ? Stage::closing : Stage::head;
            }
        }
        std::memmove(buffer_.data(), rest.data(), rest.size());
        filled_ = rest.size();
        if (space_bytes() == 0) fail("too long a line");
        return whole;
    }

    // The server ended the connection; true when that made an answer whole.
    bool ended() {
        const bool completes = stage_ == Stage::until_end;
        if (completes) end_body();
        if (!completes && stage_ != Stage::closing) fail("the server closed inside an answer");
        if (filled_ != 0) fail("bytes after an answer");
        stage_ = Stage::head;
        return completes;
    }

  private:
    enum class Stage {
        head,
        sized,
        chunk_size,
        chunk,
        chunk_end,
        trailer,
        until_end,
        whole,
        closing
    };

    // One step over the front of `rest`; false when more bytes must come first.
    bool step(std::string_view& rest) {
        switch (stage_) {
            case Stage::head:
                return take_head(rest);
            case Stage::sized:
                if (!compare(rest)) return false;
                end_body();
                return true;
            case Stage::chunk:
                if (!compare(rest)) return false;
                stage_ = Stage::chunk_end;
                return true;
            case Stage::chunk_size:
            case Stage::chunk_end:
            case Stage::trailer:
                return take_line(rest);
            case Stage::until_end:
                compare(rest);
                return false;
            case Stage::closing:
                if (!rest.empty()) fail("bytes after the last answer");
                return false;
            case Stage::whole:
                return false;
        }
        return false;
    }

    bool take_head(std::string_view& rest) {
        const size_t end = rest.find("\r\n\r\n");
        if (end == std::string_view::npos) return false;
        head_ = read_head(rest.substr(0, end + 2));
        rest.remove_prefix(end + 4);
        if (head_.status != options_->status) {
            std::fprintf(stderr, "http_load: status %u\n", head_.status);
            std::exit(1);
        }
        matched_ = 0;
        if (head_.chunked) {
            stage_ = Stage::chunk_size;
            return true;
        }
        if (head_.length && *head_.length != options_->body.size()) fail("another length");
        left_ = head_.length.value_or(SIZE_MAX);
        head_.closes = head_.closes || !head_.length;
        stage_ = head_.length ? Stage::sized : Stage::until_end;
        return true;
    }

    // Lines of the chunked coding (RFC 9112 section 7.1).
    bool take_line(std::string_view& rest) {
        const size_t end = rest.find("\r\n");
        if (end == std::string_view::npos) return false;
        const std::string_view line = rest.substr(0, end);
        rest.remove_prefix(end + 2);
        if (stage_ == Stage::trailer) {
            if (line.empty()) end_body();
        } else if (stage_ == Stage::chunk_end) {
            if (!line.empty()) fail("a chunk longer than it says");
            stage_ = Stage::chunk_size;
        } else {
            const auto bytes = number_in(line.substr(0, line.find(';')), 16);
            if (!bytes) fail("a chunk without a size");
            left_ = *bytes;
            stage_ = left_ == 0 ? Stage::trailer : Stage::chunk;
        }
        return true;
    }

    // Takes bytes of body, or of a chunk; true when none is left to come.
    bool compare(std::string_view& rest) {
        const size_t bytes = std::min(rest.size(), left_);
        if (bytes > options_->body.size() - matched_ ||
            std::memcmp(options_->body.data() + matched_, rest.data(), bytes) != 0) {
            fail("another body than must come back");
        }
        matched_ += bytes;
        left_ -= bytes;
        rest.remove_prefix(bytes);
        return left_ == 0;
    }

    void end_body() {
        if (matched_ != options_->body.size()) fail("too short a body");
        stage_ = Stage::whole;
    }

    const Options* options_;
    std::vector<char> buffer_;
    size_t filled_ = 0;
    Stage stage_ = Stage::head;
    Head head_;
    size_t left_ = 0;     // bytes of the body or of the chunk that are still to come
    size_t matched_ = 0;  // bytes of the body that have come and were right
};

struct Connection {
    int fd = -1;
    Reader reader;
    size_t under_way = 0;  // answers to come
    bool busy = false;     // takes part in the run: not yet at its end
    Clock::time_point sent_at;
};

// When a run ends: at a time, or after so many requests.
struct Goal {
    Clock::time_point end = Clock::time_point::max();
    Clock::time_point latest = Clock::time_point::max();  // for the last answers
    size_t requests = SIZE_MAX;
};

class Load {
  public:
    explicit Load(const Options& options)
        : options_(options), poller_(epoll_create1(EPOLL_CLOEXEC)) {
        for (size_t i = 0; i < options_.pipeline; ++i) batch_ += options_.request;
        connections_.resize(options_.connections, Connection{-1, Reader(options_), 0, false, {}});
        for (Connection& connection : connections_) open(connection);
    }

    void run(const Goal& goal) {
        goal_ = goal;
        latencies_us_.clear();
        sent_ = opened_ = 0;
        started_ = Clock::now();
        for (Connection& connection : connections_) begin(connection);
        std::array<epoll_event, kEventsMax> events;
        while (busy_ > 0) {
            const int count = epoll_wait(poller_, events.data(), kEventsMax, kSilenceMsMax);
            if (count == 0 || Clock::now() > goal_.latest) fail("no answer for 10 s");
            for (int i = 0; i < count; ++i) {
                receive(*static_cast<Connection*>(events[static_cast<size_t>(i)].data.ptr));
            }
        }
    }

    void report() {
        const auto duration = Clock::now() - started_;
        const auto us = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
        std::printf(
            "{\"requests\": %zu, \"duration_us\": %lld, \"connects\": %zu, \"p50_us\": %u, "
            "\"p99_us\": %u, \"max_us\": %u}\n",
            latencies_us_.size(), static_cast<long long>(us), opened_, percentile(500),
            percentile(990), percentile(1000));
        std::fflush(stdout);
    }

  private:
    void open(Connection& connection) {
        connection.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const int on = 1;
        const timeval patience{kSilenceMsMax / 1000, 0};
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(options_.port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(connection.fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        if (connect(connection.fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
            fail("cannot connect");
        }
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.ptr = &connection;
        epoll_ctl(poller_, EPOLL_CTL_ADD, connection.fd, &event);
        ++opened_;
    }

    // The first batch of a run. Between runs the server may have ended an idle connection.
    void begin(Connection& connection) {
        char byte = 0;
        if (recv(connection.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) {
            close(connection.fd);
            open(connection);
        }
        connection.busy = true;
        ++busy_;
        send_next(connection);
    }

    void send_next(Connection& connection) {
        connection.sent_at = Clock::now();
        if (sent_ >= goal_.requests || connection.sent_at >= goal_.end) {
            connection.busy = false;
            --busy_;
            return;
        }
        std::string_view rest = batch_;
        while (!rest.empty()) {
            const ssize_t put = send(connection.fd, rest.data(), rest.size(), MSG_NOSIGNAL);
            if (put < 0 && errno == EINTR) continue;
            if (put <= 0) fail("cannot send");
            rest.remove_prefix(static_cast<size_t>(put));
        }
        connection.under_way = options_.pipeline;
        sent_ += options_.pipeline;
    }

    void receive(Connection& connection) {
        Reader& reader = connection.reader;
        const ssize_t got = recv(connection.fd, reader.space(), reader.space_bytes(), MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (got < 0) fail("a connection was reset");
        if (got == 0) return reconnect(connection);
        const size_t whole = reader.received(static_cast<size_t>(got));
        if (whole > connection.under_way) fail("more answers than requests");
        count(connection, whole);
        if (connection.under_way == 0 && !reader.drained()) fail("bytes after an answer");
        if (whole > 0 && connection.under_way == 0 && !reader.closes()) send_next(connection);
    }

    void reconnect(Connection& connection) {
        if (connection.busy && connection.reader.ended()) count(connection, 1);
        if (connection.under_way != 0) fail("the server closed before an answer");
        close(connection.fd);
        open(connection);
        if (connection.busy) send_next(connection);
    }

    void count(Connection& connection, size_t answers) {
        const auto passed = Clock::now() - connection.sent_at;
        const auto us = std::chrono::duration_cast<std::chrono::microseconds>(passed).count();
        latencies_us_.insert(latencies_us_.end(), answers, static_cast<uint32_t>(us));
        connection.under_way -= answers;
    }

    uint32_t percentile(size_t thousandths) {
        if (latencies_us_.empty()) return 0;
        const size_t index = (latencies_us_.size() - 1) * thousandths / 1000;
        const auto at = latencies_us_.begin() + static_cast<std::ptrdiff_t>(index);
        std::nth_element(latencies_us_.begin(), at, latencies_us_.end());
        return *at;
    }

    const Options options_;
    std::string batch_;  // the request, as often as it is pipelined
    int poller_;
    std::vector<Connection> connections_;
    Goal goal_;
    size_t sent_ = 0;
    size_t busy_ = 0;    // connections
    size_t opened_ = 0;  // connections, during this run
    std::vector<uint32_t> latencies_us_;
    Clock::time_point started_;
};

Options read_options(int argc, char** argv) {
    if (argc < 4 || argc % 2 != 0) {
        fail("use: PORT REQUEST_FILE BODY_FILE [--connections N] [--pipeline N] [--status N]");
    }
    Options options;
    options.port = static_cast<uint16_t>(number_in(argv[1]).value_or(0));
    options.request = read_file(argv[2]);
    options.body = read_file(argv[3]);
    for (int i = 4; i < argc; i += 2) {
        const std::string_view name = argv[i];
        const size_t value = number_in(argv[i + 1]).value_or(0);
        if (value == 0) fail("an option's number starts at 1");
        if (name == "--connections") {
            options.connections = value;
        } else if (name == "--pipeline") {
            options.pipeline = value;
        } else if (name == "--status") {
            options.status = static_cast<unsigned>(value);
        } else {
            fail("unknown option");
        }
    }
    return options;
}

Goal read_goal(const char* line) {
    Goal goal;
    double seconds = 0;
    if (std::sscanf(line, "seconds %lf", &seconds) == 1) {
        goal.end = Clock::now() + std::chrono::microseconds(static_cast<int64_t>(seconds * 1e6));
        goal.latest = goal.end + std::chrono::milliseconds(kSilenceMsMax);
    } else if (std::sscanf(line, "requests %zu", &goal.requests) != 1) {
        fail("a run is \"seconds N\" or \"requests N\"");
    }
    return goal;
}

}  // namespace

int main(int argc, char** argv) {
    Load load(read_options(argc, argv));
    std::array<char, kLineBytesMax> line{};
    while (std::fgets(line.data(), static_cast<int>(line.size()), stdin) != nullptr) {
        load.run(read_goal(line.data()));
        load.report();
    }
}

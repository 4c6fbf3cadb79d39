// Whole histories of one connection on a real engine: a script of what the client sends and reads,
// what the application answers, and how time passes. Whatever happens: answers come in the order of
// their requests, one for each, nothing behind the end; what one connection makes the engine hold
// is bounded; and where nothing happens, nothing is done.
//
// The first line is settings, one letter each (options_from), each further line a step: a word of
// one letter, a blank, a text.
//   s  the client sends the text, where | is CR LF; "12*text" is sent twelve times
//   b  it stops reading          o  it reads again
//   h  it half-closes            r  it leaves
//   t  so many milliseconds pass
//   a  the application answers with the text; l promises more; c sends a piece, e the last one
//   f  it is done with no more   x  it falls       p  it gets an error page
//   i  early hints               w  it takes what has come of the body
//   u  upgrades ("deflate")      m, v, z  sends, takes a message, closes
//   y  uses a request that is over
//   g  a drain begins ("all": for good)            n  asks whether that is complete
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "engine/engine.hpp"
#include "fuzz.hpp"
#include "os/fd.hpp"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MONO_COUNTS_MEMORY 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define MONO_COUNTS_MEMORY 1
#endif
#ifdef MONO_COUNTS_MEMORY
// Of <sanitizer/allocator_interface.h>, which not every clang brings along.
extern "C" size_t __sanitizer_get_current_allocated_bytes();
#endif

namespace mono::fuzz {
namespace {

std::atomic<int64_t> passed_ms{0};  // beside the real time

}  // namespace
}  // namespace mono::fuzz

// The engine's time is the script's.
extern "C" int clock_gettime(clockid_t clock, timespec* now) noexcept {
    const long result = syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_MONOTONIC) {
        const int64_t ms = mono::fuzz::passed_ms.load();
        now->tv_sec += ms / 1'000;
        now->tv_nsec += ms % 1'000 * 1'000'000;
        now->tv_sec += now->tv_nsec / 1'000'000'000;
        now->tv_nsec %= 1'000'000'000;
    }
    return static_cast<int>(result);
}

namespace mono::fuzz {
namespace {

using engine::Engine;
using engine::Handle;
using engine::WriteStatus;

constexpr size_t kScriptBytesMax = 8 * 1024;
constexpr size_t kPayloadBytesMax = 1 << 20;  // of all steps together
constexpr size_t kHeldBytesMax = 8 << 20;     // by the engine, for one connection
constexpr int kTurnsMax = 2'000;              // until nothing is left to be done
constexpr std::string_view kEarly = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
constexpr std::string_view kSwitch =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";

size_t allocated() {
#ifdef MONO_COUNTS_MEMORY
    return __sanitizer_get_current_allocated_bytes();
#else
    return 0;
#endif
}

int stream_socket() { return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }

// At an address of the kernel's choice.
os::Fd listening() {
    std::signal(SIGPIPE, SIG_IGN);
    os::Fd made(stream_socket());
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    const bool bound = bind(made.get(), plain, sizeof address.sun_family) == 0;
    require(bound && listen(made.get(), 16) == 0, "a listener");
    return made;
}

os::Fd connected(int listener) {
    sockaddr_un address{};
    socklen_t length = sizeof address;
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    getsockname(listener, plain, &length);
    os::Fd made(stream_socket());
    require(connect(made.get(), plain, length) == 0, "a connection");
    return made;
}

// The first line of the script: each letter is a setting.
engine::Options options_from(std::string_view letters) {
    engine::Options options;
    options.nested = true;
    options.slots = 8;
    const auto has = [letters](char letter) {
        return letters.find(letter) != std::string_view::npos;
    };
    session::Limits& limits = options.limits;
    limits.readiness_path = "/ready";
    options.stream_bodies = has('s');
    if (has('b')) limits.body_bytes_max = 1'000;
    if (has('m')) limits.body_memory_bytes_max = 64;
    if (has('k')) limits.keepalive_ms_max = 0;
    if (has('q')) limits.queue_ms_max = 50;
    if (has('r')) limits.request_ms_max = 300;
    if (has('h')) limits.head.head_bytes_max = 512;
    if (has('i')) limits.request_id_header = "X-Request-ID";
    options.websocket.message_bytes_max = has('w') ? 4'096 : 1 << 20;
    return options;
}

// What the client has read: responses, until one that ends with the connection.
class Transcript {
  public:
    void append(std::string_view bytes) { bytes_ += bytes; }

    // `numbers`: of the application's answers, in order. False: broken off in the middle.
    bool read(std::vector<int>& numbers) {
        std::string_view rest = bytes_;
        bool over = false;
        while (!rest.empty()) {
            require(!over, "bytes behind the end");
            const size_t head_end = rest.find("\r\n\r\n");
            if (head_end == std::string_view::npos) return false;
            const std::string_view head = rest.substr(0, head_end + 4);
            require(head.starts_with("HTTP/1."), "a status line stands where an answer begins");
            rest.remove_prefix(head.size());
            const std::string_view status = head.substr(9, 3);
            if (status == "101") return true;  // from here on, frames
            if (status.starts_with("1")) continue;
            if (const auto number = field(head, "X-Number")) numbers.push_back(to_int(*number));
            over = field(head, "Connection") == "close";
            if (!skip_body(head, rest)) return false;
        }
        return true;
    }

  private:
    static int to_int(std::string_view text) {
        int number = -1;
        std::from_chars(text.data(), text.data() + text.size(), number);
        return number;
    }
    static std::optional<std::string_view> field(std::string_view head, std::string_view name) {
        const std::string begin = "\r\n" + std::string(name) + ": ";
        const size_t at = head.find(begin);
        if (at == std::string_view::npos) return std::nullopt;
        const std::string_view value = head.substr(at + begin.size());
        return value.substr(0, value.find("\r\n"));
    }
    // False: it is not whole.
    static bool skip_body(std::string_view head, std::string_view& rest) {
        if (const auto length = field(head, "Content-Length")) {
            const auto size = static_cast<size_t>(to_int(*length));
            const bool whole = rest.size() >= size;
            rest.remove_prefix(std::min(size, rest.size()));
            return whole;
        }
        if (field(head, "Transfer-Encoding")) return skip_chunks(rest);
        rest = {};  // until the end
        return true;
    }
    static bool skip_chunks(std::string_view& rest) {
        while (true) {
            const size_t line = rest.find("\r\n");
            if (line == std::string_view::npos) return false;
            size_t size = 0;
            const auto read = std::from_chars(rest.data(), rest.data() + line, size, 16);
            require(read.ptr == rest.data() + line, "a chunk's length");
            if (rest.size() < line + 2 + size + 2) return false;
            require(rest.substr(line + 2 + size, 2) == "\r\n", "a chunk's end");
            rest.remove_prefix(line + 2 + size + 2);
            if (size == 0) return true;
        }
    }

    std::string bytes_;
};

class History {
  public:
    explicit History(std::string_view letters)
        : listener_(listening()),
          engine_(options_from(letters)),
          client_(connected(listener_.get())) {
        require(engine_.ok() && engine_.listen(listener_.get()), "an engine");
        before_ = allocated();
    }

    void step(char word, std::string_view text) {
        if (word == 's') send(text);
        if (word == 't') pass(text);
        if (word == 'b' || word == 'o') reads_ = word == 'o';
        if (word == 'h') half_close();
        if (word == 'r') client_.reset();
        clean_ &= word != 'b' && word != 'h' && word != 'r' && word != 't';
        if (word == 'g') engine_.drain(text == "all");
        if (word == 'n') engine_.drained();
        answer(word, text);
        settle();
    }
    void end() {
        reads_ = true;
        settle();
        while (!waiting_.empty()) {
            answer('f', "");
            settle();
        }
        half_close();
        for (int round = 0; round < 40 && engine_.connections() != 0; ++round) {
            while (!waiting_.empty()) answer('f', "");
            passed_ms += 30'000;  // every deadline there is
            settle();
        }
        require(engine_.connections() == 0, "a connection outlives its client");
        judge();
    }

  private:
    void send(std::string_view text) {
        if (!client_ || half_closed_) return;
        std::string bytes;
        size_t times = 1;
        // "12* text": so often.
        const auto read = std::from_chars(text.data(), text.data() + text.size(), times);
        if (read.ec == std::errc() && read.ptr != text.data() + text.size() && *read.ptr == '*')
            text.remove_prefix(static_cast<size_t>(read.ptr - text.data()) + 1);
        else
            times = 1;
        for (const char byte : text)
            bytes += byte == '|' ? std::string("\r\n") : std::string(1, byte);
        asked_ += bytes + bytes.substr(0, 8);
        for (; times != 0 && sent_ + bytes.size() <= kPayloadBytesMax; --times) {
            size_t at = 0;
            for (int tries = 0; at < bytes.size() && tries < 50; ++tries) {
                const ssize_t put =
                    ::send(client_.get(), bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
                if (put < 0 && errno != EAGAIN) return;
                if (put > 0) at += static_cast<size_t>(put);
                if (at < bytes.size()) settle();
            }
            sent_ += bytes.size();
            if (at < bytes.size()) return;  // the server does not read
        }
    }
    void pass(std::string_view text) {
        int ms = 0;
        std::from_chars(text.data(), text.data() + text.size(), ms);
        passed_ms += std::clamp(ms, 0, 200'000);
    }
    void half_close() {
        if (client_) shutdown(client_.get(), SHUT_WR);
        half_closed_ = true;
    }

    // One step of the application with the oldest request that it has.
    void answer(char word, std::string_view text) {
        if (word == 'y') return late(text);
        if (waiting_.empty()) return;
        Request& request = waiting_.front();
        const Handle handle = request.handle;
        switch (word) {
            case 'a':
                write(request, text, static_cast<int64_t>(text.size()), true);
                return finish();
            case 'l':
                clean_ = false;
                write(request, text, static_cast<int64_t>(text.size()) + 5, false);
                return finish();
            case 'c':
                return write(request, text, -1, false);
            case 'e':
                write(request, text, -1, true);
                return finish();
            case 'f':
                clean_ &= !request.begun;
                return finish();
            case 'x':
                engine_.abandon(handle);
                clean_ = false;
                return forget();
            case 'i':
                engine_.write_interim(handle, kEarly);
                return;
            case 'p':
                engine_.write_error(handle, 500, "fell");
                request.begun = true;
                clean_ = false;
                return finish();
            case 'w': {
                base::Buffer taken;
                [[maybe_unused]] const auto state = engine_.take_body(handle, taken);
                return;
            }
            default:
                return socket(word, text, request);
        }
    }
    struct Request {
        Handle handle;
        int number;
        bool begun = false;
        bool socket = false;
        session::Exchange* exchange;
    };
    void socket(char word, std::string_view text, Request& request) {
        if (word == 'u' && !request.begun && !request.socket && !request.exchange->streamed) {
            std::optional<websocket::DeflateParams> deflate;
            if (text == "deflate") deflate.emplace();
            clean_ = false;
            request.socket = engine_.upgrade(request.handle, kSwitch, deflate);
        }
        if (!request.socket) return;
        session::SocketMessage message;
        if (word == 'm') engine_.send_message(request.handle, {text, nullptr}, true);
        if (word == 'v') engine_.take_message(request.handle, message);
        if (word == 'z') engine_.close_socket(request.handle, 1000, text);
    }
    void write(Request& request, std::string_view text, int64_t known_length, bool last) {
        if (request.socket) return;
        if (!request.begun) {
            http::ResponseHead& head = request.exchange->response.head;
            [[maybe_unused]] http::HeadFault fault = head.set_status("200 OK");
            fault = head.add("X-Number", std::to_string(request.number));
            request.begun = true;
        }
        const WriteStatus status =
            engine_.write(request.handle, {text, nullptr}, known_length, last);
        require(status != WriteStatus::kOver, "a request that is not given back is not over");
        require(status != WriteStatus::kKept, "nobody's bytes are kept");
        clean_ &= status != WriteStatus::kGone;
    }
    void finish() {
        // Without an answer the runner makes one.
        Request& request = waiting_.front();
        if (!request.begun && !request.socket) write(request, "", 0, true);
        // Whole or not is the engine's to tell; here only the order counts.
        engine_.finish(request.handle);
        forget();
    }
    void forget() {
        last_ = waiting_.front().handle;
        waiting_.erase(waiting_.begin());
    }
    // Somebody has kept a request that is over.
    void late(std::string_view text) {
        if (!last_) return;
        require(engine_.write(*last_, {text, nullptr}, -1, true) == WriteStatus::kOver, "late");
        engine_.finish(*last_);
        require(engine_.share_socket(*last_) == -1, "late");
    }

    // Turns until there is nothing to do: it must come to that.
    void settle() {
        for (int turns = 0; turns < kTurnsMax; ++turns) {
            const bool heard = read();
            engine::Turn turn;
            engine_.turn(turn);
            for (session::Exchange* exchange : turn.ready)
                waiting_.push_back({*exchange, count_++, false, false, exchange});
            engine_.collect_overdue([](session::Exchange&, bool) {});
            if (engine_.needs_attention()) engine_.take_released();
            engine_.take_journal();
            require(allocated() <= before_ + kHeldBytesMax + 4 * sent_, "too much is held");
            pollfd waited{engine_.fileno(), POLLIN, 0};
            const bool idle = turn.ready.empty() && turn.events.empty() && !turn.again && !heard;
            if (idle && poll(&waited, 1, 0) == 0) return;
        }
        require(false, "the engine does not come to rest");
    }
    // True: something came.
    bool read() {
        bool heard = false;
        std::array<char, 65536> piece;
        while (reads_ && client_) {
            const ssize_t got = recv(client_.get(), piece.data(), piece.size(), 0);
            if (got <= 0) break;
            said_.append({piece.data(), static_cast<size_t>(got)});
            heard = true;
        }
        return heard;
    }
    void judge() {
        // Their heads tell of bodies that are not there.
        for (const char* method : {"HEAD", "CONNECT"})
            if (asked_.find(method) != std::string::npos) return;
        std::vector<int> numbers;
        const bool whole = said_.read(numbers);
        // The application's requests are numbered as they were handed out.
        for (size_t at = 0; at < numbers.size(); ++at)
            require(numbers[at] == static_cast<int>(at), "an answer is out of order, or missing");
        require(numbers.size() <= static_cast<size_t>(count_), "more answers than requests");
        if (!clean_) return;
        require(whole, "an answer is cut");
        require(numbers.size() == static_cast<size_t>(count_), "a request has no answer");
    }

    os::Fd listener_;
    Engine engine_;
    os::Fd client_;
    Transcript said_;
    std::vector<Request> waiting_;
    std::optional<Handle> last_;
    size_t before_ = 0;
    size_t sent_ = 0;
    std::string asked_;
    int count_ = 0;
    bool reads_ = true;
    bool half_closed_ = false;
    bool clean_ = true;  // nothing happened that may cost an answer
};

}  // namespace
}  // namespace mono::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace mono::fuzz;
    if (size > kScriptBytesMax) return 0;
    std::string_view script = as_text(data, size);
    const auto line = [&script] {
        const std::string_view found = script.substr(0, script.find('\n'));
        script.remove_prefix(std::min(script.size(), found.size() + 1));
        return found;
    };
    History history(line());
    while (!script.empty()) {
        const std::string_view step = line();
        if (step.empty()) continue;
        history.step(step[0], step.size() > 2 ? step.substr(2) : std::string_view());
    }
    history.end();
    return 0;
}

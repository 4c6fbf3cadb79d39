// MessageDriver: what a connection does with its parsers, without the connection. It feeds a
// stream through HeadParser, framing, trust and ChunkedDecoder and writes down, in the words of
// tests/vectors/README.md, what happened. Pieces may be of any size; the transcript must not
// depend on them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/trust.hpp"
#include "http1/chunked.hpp"
#include "http1/framing.hpp"
#include "http1/head_parser.hpp"

namespace mono::conformance {

struct DriverRules {
    http1::HeadRules head;
    http::TrustRules trust;
    bool peer_trusted = true;  // the peer is 127.0.0.1

    // By the settings' public names; returns a sentence for what is not understood.
    std::string apply(const std::vector<std::pair<std::string, std::string>>& settings);
    DriverRules();
};

// The events of an accepted head, `request` to `script-name`.
struct AcceptedHead {
    const char* buffer;
    const http::RequestHead& head;
    http::Scheme scheme;
    base::Slice script_name;
};
void note_head(const AcceptedHead& accepted, std::vector<std::string>& events);
// One event, escaped.
std::string event_line(std::string_view key, std::string_view value);
std::string error_line(http::Error error, uint64_t offset);

class MessageDriver {
  public:
    explicit MessageDriver(const DriverRules& rules)
        : rules_(&rules), parser_(rules.head), decoder_(rules.head) {}

    void feed(std::string_view piece);
    void finish();  // the client closes
    const std::vector<std::string>& events() const { return events_; }

  private:
    enum class Phase : uint8_t { kHead, kLength, kChunked, kOver };

    bool turn();  // one step; false when it needs more bytes
    bool read_head();
    bool read_chunked();
    void note(std::string_view key, std::string_view value);
    void note_error(http::Error error, uint64_t offset);
    void end_message();
    void drop(size_t bytes);

    const DriverRules* rules_;
    http1::HeadParser parser_;
    http1::ChunkedDecoder decoder_;
    http::RequestHead head_;
    // Exactly as large as its content, and newly allocated for every piece, so that
    // AddressSanitizer sees a read past the end and a slice into a buffer that moved.
    std::unique_ptr<char[]> buffer_;
    size_t size_ = 0;
    uint64_t remaining_ = 0;
    std::string data_;
    std::vector<std::string> events_;
    Phase phase_ = Phase::kHead;
};

// Compares a transcript with a case's events; keys of detail (path, query, form, authority,
// field) count only in messages where the case names them. Returns what differs, or nothing.
std::string compare(const std::vector<std::string>& expected,
                    const std::vector<std::string>& actual);

}  // namespace mono::conformance

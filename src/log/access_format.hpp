// AccessFormat: gunicorn's %-style access_log_format, compiled once into steps, then run per
// request. "json" and "logfmt" name two ready-made formats. Atoms: docs/settings.md.
// Owned by AccessLog; used by one thread at a time (it caches the text of the current second).
// Invariant: format() appends exactly one line, and text chosen by the client is escaped.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "http/names.hpp"
#include "log/access_record.hpp"

namespace mono::log {

enum class Atom : uint8_t {
    kLiteral,
    kAbsent,          // unknown atoms, and %(l)s
    kRemoteAddr,      // h
    kUser,            // u
    kTime,            // t
    kTimeUtc,         // RFC 3339, of the ready-made formats
    kRequestLine,     // r
    kMethod,          // m
    kPath,            // U, percent-decoded
    kTarget,          // {raw_uri}e
    kQuery,           // q
    kProtocol,        // H
    kStatus,          // s
    kBodyBytes,       // B
    kBodyBytesText,   // b
    kSeconds,         // T
    kMilliseconds,    // M
    kMicroseconds,    // D
    kDecimalSeconds,  // L
    kPid,             // p
    kPidNumber,       // of the ready-made formats
    kRequestField,    // {name}i: the last of several
    kRequestJoined,   // f, a, {http_name}e: several are joined with ","
    kResponseField,   // {name}o
    kVariable,        // {ssl_...}e: of AccessRecord::variables
    kRequestId,       // request_id; the rest are gunicorn's, from here on are ours
    kTraceId,         // trace_id
    kBalancerTime,    // balancer_us
    kReadTime,        // read_us
    kQueueTime,       // queue_us
    kAppTime,         // app_us
};

enum class LineStyle : uint8_t { kPlain, kJson, kLogfmt };

struct AccessStep {
    Atom atom = Atom::kLiteral;
    http::KnownField known = http::KnownField::kOther;
    bool left_adjusted = false;
    bool zero_padded = false;
    uint16_t width = 0;      // of Python's %-formatting; 0: none
    int16_t precision = -1;  // -1: none
    std::string text;        // the literal, a lower-case field name, or an environ key
};

class AccessFormat {
  public:
    // gunicorn's default, Apache's combined format.
    static constexpr std::string_view kCombined =
        R"(%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s")";

    // `text` is the setting's value. Fails with a sentence on what Python's % would refuse.
    static base::Result<AccessFormat> compile(std::string_view text);

    // True where an atom reads an environ key that only Python knows: the caller then logs
    // through Python's Logger.access instead, and format() would print "-" for it.
    bool needs_environ() const { return needs_environ_; }

    // Appends one line with its final LF.
    void format(const AccessRecord& record, std::string& out);

  private:
    friend class AccessFormatCompiler;
    AccessFormat() = default;

    void append_step(const AccessStep& step, const AccessRecord& record, std::string& out);
    void append_head_step(const AccessStep& step, const AccessRecord& record, std::string& out);
    void append_field(const AccessStep& step, const AccessRecord& record, std::string& out);
    void append_variable(const AccessStep& step, const AccessRecord& record, std::string& out);
    void append_user(const AccessRecord& record, std::string& out);
    void append_path(const AccessRecord& record, std::string& out);
    void append_time(int64_t unix_us, std::string& out);
    void append_time_utc(int64_t unix_us, std::string& out);
    void append_text(std::string_view text, std::string& out) const;
    void append_absent(std::string& out) const;
    void append_leg(int64_t duration_us, std::string& out) const;

    std::vector<AccessStep> steps_;
    LineStyle style_ = LineStyle::kPlain;
    bool needs_environ_ = false;
    int64_t cached_second_ = -1;  // which second time_text_ tells
    std::string time_text_;       // kTime, or kTimeUtc up to the seconds
    std::string scratch_;         // decoded path, decoded user, joined fields
};

}  // namespace mono::log

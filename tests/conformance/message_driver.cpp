#include "message_driver.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "vector_file.hpp"

namespace mono::conformance {
namespace {

constexpr std::string_view kPeer = "127.0.0.1";

std::vector<std::string> split_list(std::string_view list) {
    std::vector<std::string> items;
    http::for_each_list_element(list, [&items](std::string_view item) {
        items.emplace_back(item);
        return true;
    });
    return items;
}

bool set_number(http1::HeadRules& head, std::string_view key, uint32_t number) {
    if (key == "limit_request_line")
        head.line_bytes_max = number;
    else if (key == "limit_request_fields")
        head.fields_max = number;
    else if (key == "limit_request_field_size")
        head.field_bytes_max = number;
    else if (key == "limit_request_head")
        head.head_bytes_max = number;
    else
        return false;
    return true;
}

bool set_flag(http1::HeadRules& head, std::string_view key, bool flag) {
    if (key == "permit_obsolete_folding")
        head.permit_obsolete_folding = flag;
    else if (key == "strip_header_spaces")
        head.strip_header_spaces = flag;
    else if (key == "permit_unconventional_http_method")
        head.permit_unconventional_http_method = flag;
    else if (key == "permit_unconventional_http_version")
        head.permit_unconventional_http_version = flag;
    else if (key == "casefold_http_method")
        head.casefold_http_method = flag;
    else
        return false;
    return true;
}

std::string_view form_name(http::TargetForm form) {
    switch (form) {
        case http::TargetForm::kOrigin:
            return "origin";
        case http::TargetForm::kAbsolute:
            return "absolute";
        case http::TargetForm::kAuthority:
            return "authority";
        case http::TargetForm::kAsterisk:
            return "asterisk";
    }
    return "";
}

std::string field_line(std::string_view name, std::string_view value) {
    std::string line(name);
    line += ':';
    if (!value.empty()) line.append(" ").append(value);
    return line;
}

std::string_view key_of(std::string_view line) { return line.substr(0, line.find(' ')); }

bool is_detail(std::string_view key) {
    return key == "path" || key == "query" || key == "form" || key == "authority" || key == "field";
}

// The lines of one message: from `request` to before the next.
using Lines = std::vector<std::string>;
std::vector<Lines> split_messages(const Lines& lines) {
    std::vector<Lines> messages;
    for (const std::string& line : lines) {
        const bool after_end = !messages.empty() && messages.back().back() == "end";
        if (messages.empty() || after_end) messages.emplace_back();
        messages.back().push_back(line);
    }
    return messages;
}

std::string join(const Lines& lines) {
    std::string text;
    for (const std::string& line : lines) text += "    " + line.substr(0, 300) + "\n";
    return text;
}

}  // namespace

DriverRules::DriverRules() {
    trust.forwarded_allow_ips = http::NetworkSet::parse({"127.0.0.1", "::1"}).value();
    trust.secure_scheme_headers = {
        {"X-FORWARDED-PROTOCOL", "ssl"}, {"X-FORWARDED-PROTO", "https"}, {"X-FORWARDED-SSL", "on"}};
    trust.forwarder_headers = {"SCRIPT_NAME", "PATH_INFO"};
}

std::string DriverRules::apply(const std::vector<std::pair<std::string, std::string>>& settings) {
    for (const auto& [key, value] : settings) {
        if (set_number(head, key, static_cast<uint32_t>(std::strtoul(value.c_str(), nullptr, 10))))
            continue;
        if (set_flag(head, key, value == "true")) continue;
        if (key == "forwarder_headers") {
            trust.forwarder_headers = split_list(value);
        } else if (key == "forwarded_allow_ips") {
            base::Result<http::NetworkSet> set = http::NetworkSet::parse(split_list(value));
            if (!set) return set.sentence();
            peer_trusted = set.value().contains(kPeer);
        } else if (key == "header_map" && value == "drop") {
            trust.header_map = http::HeaderMap::kDrop;
        } else if (key == "header_map" && value == "refuse") {
            trust.header_map = http::HeaderMap::kRefuse;
        } else if (key == "header_map" && value == "dangerous") {
            trust.header_map = http::HeaderMap::kDangerous;
        } else {
            return "unknown setting: " + key + " " + value;
        }
    }
    return {};
}

std::string event_line(std::string_view key, std::string_view value) {
    std::string line(key);
    if (!value.empty()) line.append(" ").append(value);
    return escape(line);
}

std::string error_line(http::Error error, uint64_t offset) {
    const http::ErrorInfo& info = http::describe(error);
    return event_line("error", std::string(info.rule) + " " + std::to_string(info.status) + " " +
                                   std::to_string(offset));
}

void note_head(const AcceptedHead& accepted, std::vector<std::string>& events) {
    const char* buffer = accepted.buffer;
    const http::RequestHead& head = accepted.head;
    const auto note = [&events](std::string_view key, std::string_view value) {
        events.push_back(event_line(key, value));
    };
    std::string line(head.method.in(buffer));
    line.append(" ").append(head.target.in(buffer)).append(" ");
    line += static_cast<char>('0' + head.version_major);
    line += '.';
    line += static_cast<char>('0' + head.version_minor);
    note("request", line);
    note("form", form_name(head.form));
    if (!head.authority.empty()) note("authority", head.authority.in(buffer));
    note("path", head.path.in(buffer));
    note("query", head.query.in(buffer));
    for (const http::Field& field : head.fields) {
        note("field", field_line(field.name_in(buffer), field.value.in(buffer)));
    }
    if (head.body == http::BodyKind::kLength)
        note("body", "length " + std::to_string(head.content_length));
    if (head.body == http::BodyKind::kChunked) note("body", "chunked");
    if (!head.keep_alive) note("keep-alive", "no");
    if (head.expect_continue) note("expect-continue", "yes");
    if (head.upgrade) note("upgrade", "yes");
    if (accepted.scheme != http::Scheme::kTransport)
        note("scheme", accepted.scheme == http::Scheme::kHttps ? "https" : "http");
    if (!accepted.script_name.empty()) note("script-name", accepted.script_name.in(buffer));
}

void MessageDriver::feed(std::string_view piece) {
    auto grown = std::make_unique<char[]>(size_ + piece.size());
    if (size_ != 0) std::memcpy(grown.get(), buffer_.get(), size_);
    if (!piece.empty()) std::memcpy(grown.get() + size_, piece.data(), piece.size());
    buffer_ = std::move(grown);
    size_ += piece.size();
    while (turn()) {
    }
}

void MessageDriver::finish() {
    if (phase_ == Phase::kOver || (phase_ == Phase::kHead && size_ == 0)) return;
    if (!data_.empty()) note("data", data_);
    note("incomplete", {});
    phase_ = Phase::kOver;
}

bool MessageDriver::turn() {
    switch (phase_) {
        case Phase::kHead:
            return size_ != 0 && read_head();
        case Phase::kLength: {
            const auto taken = static_cast<size_t>(std::min<uint64_t>(remaining_, size_));
            data_.append(buffer_.get(), taken);
            drop(taken);
            remaining_ -= taken;
            if (remaining_ == 0) end_message();
            return remaining_ == 0;
        }
        case Phase::kChunked:
            return read_chunked();
        case Phase::kOver:
            return false;
    }
    return false;
}

bool MessageDriver::read_head() {
    const auto size = static_cast<uint32_t>(size_);
    const http1::ParseStatus status = parser_.parse(buffer_.get(), size, head_);
    if (status == http1::ParseStatus::kNeedMore) return false;
    if (status == http1::ParseStatus::kFailed) {
        note_error(parser_.error(), parser_.error_offset());
        return false;
    }
    const http::FramingError framing = http1::apply_framing(buffer_.get(), head_);
    if (framing.error != http::Error::kNone) {
        note_error(framing.error, framing.offset);
        return false;
    }
    const http::TrustVerdict verdict =
        http::apply_trust(rules_->trust, rules_->peer_trusted, buffer_.get(), head_);
    if (verdict.fault.error != http::Error::kNone) {
        note_error(verdict.fault.error, verdict.fault.offset);
        return false;
    }
    note_head({buffer_.get(), head_, verdict.scheme, verdict.script_name}, events_);
    drop(head_.length);
    parser_.reset();
    remaining_ = head_.content_length;
    decoder_.reset();
    switch (head_.body) {
        case http::BodyKind::kNone:
            end_message();
            break;
        case http::BodyKind::kLength:
            phase_ = Phase::kLength;
            break;
        case http::BodyKind::kChunked:
            phase_ = Phase::kChunked;
            break;
    }
    return true;
}

bool MessageDriver::read_chunked() {
    const http1::ChunkedDecoder::Step step = decoder_.next({buffer_.get(), size_});
    data_ += step.data;
    drop(step.consumed);
    switch (step.event) {
        case http1::ChunkedDecoder::Event::kNeedMore:
            return false;
        case http1::ChunkedDecoder::Event::kData:
            return true;
        case http1::ChunkedDecoder::Event::kEnd:
            if (!data_.empty()) note("data", std::exchange(data_, {}));
            for (const http1::Trailer& trailer : decoder_.trailers())
                note("trailer", field_line(trailer.name, trailer.value));
            end_message();
            return true;
        case http1::ChunkedDecoder::Event::kFailed:
            if (!data_.empty()) note("data", std::exchange(data_, {}));
            note_error(decoder_.error(), decoder_.error_offset());
            return false;
    }
    return false;
}

void MessageDriver::note(std::string_view key, std::string_view value) {
    events_.push_back(event_line(key, value));
}

void MessageDriver::note_error(http::Error error, uint64_t offset) {
    events_.push_back(error_line(error, offset));
    phase_ = Phase::kOver;
}

void MessageDriver::end_message() {
    if (!data_.empty()) note("data", std::exchange(data_, {}));
    note("end", {});
    phase_ = head_.keep_alive ? Phase::kHead : Phase::kOver;
}

void MessageDriver::drop(size_t bytes) {
    auto rest = std::make_unique<char[]>(size_ - bytes);
    if (size_ != bytes) std::memcpy(rest.get(), buffer_.get() + bytes, size_ - bytes);
    buffer_ = std::move(rest);
    size_ -= bytes;
}

std::string compare(const Lines& expected, const Lines& actual) {
    const std::vector<Lines> wanted = split_messages(expected);
    std::vector<Lines> got = split_messages(actual);
    for (size_t at = 0; at < std::min(wanted.size(), got.size()); ++at) {
        std::erase_if(got[at], [&wanted, at](const std::string& line) {
            const std::string_view key = key_of(line);
            return is_detail(key) &&
                   std::none_of(wanted[at].begin(), wanted[at].end(),
                                [key](const std::string& own) { return key_of(own) == key; });
        });
    }
    if (wanted == got) return {};
    std::string text = "expected\n";
    for (const Lines& lines : wanted) text += join(lines);
    text += "got\n";
    for (const Lines& lines : got) text += join(lines);
    return text;
}

}  // namespace mono::conformance

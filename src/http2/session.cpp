#include "http2/session.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "http2/callbacks.hpp"
#include "http2/stream.hpp"

namespace mono::http2 {
namespace {

constexpr size_t kSpareStreams = 8;
constexpr uint32_t kFirstWindow = 65535;  // RFC 9113 section 6.9.2
constexpr uint32_t kWindowMax = 0x7FFFFFFF;
constexpr uint8_t kPingPayload[8] = {'d', 'r', 'a', 'i', 'n', 'i', 'n', 'g'};

int32_t as_id(uint32_t stream) { return static_cast<int32_t>(stream); }

uint8_t* bytes_of(std::string_view text) {  // nghttp2_nv is not const, and nghttp2 does not write
    return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
}

nghttp2_nv pair_of(std::string_view name, std::string_view value) {
    return {bytes_of(name), bytes_of(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

// What nghttp2 would do by itself and the Guard or the owner does here.
nghttp2_option* options_of(const Limits& limits) {
    constexpr uint64_t kUnreached = 1 << 30;
    nghttp2_option* option = nullptr;
    if (nghttp2_option_new(&option) != 0) return nullptr;
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_builtin_recv_extension_type(option, NGHTTP2_PRIORITY_UPDATE);
    nghttp2_option_set_max_deflate_dynamic_table_size(option, limits.header_table_bytes);
    nghttp2_option_set_stream_reset_rate_limit(option, kUnreached, kUnreached);
    nghttp2_option_set_max_outbound_ack(option, kUnreached);
    nghttp2_option_set_max_continuations(option, kUnreached);
    return option;
}

}  // namespace

std::vector<nghttp2_nv> pairs_of(std::span<const FieldView> fields, std::string_view status) {
    std::vector<nghttp2_nv> pairs;
    pairs.reserve(fields.size() + 1);
    if (!status.empty()) pairs.push_back(pair_of(":status", status));
    for (const FieldView& field : fields) pairs.push_back(pair_of(field.name, field.value));
    return pairs;
}

Session::Session(const Limits& limits, Events& events)
    : limits_(limits), events_(events), guard_(limits) {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_option* option = options_of(limits);
    if (nghttp2_session_callbacks_new(&callbacks) == 0 && option != nullptr) {
        Callbacks::install_receiving(callbacks);
        Callbacks::install_sending(callbacks);
        nghttp2_session_server_new2(&codec_, callbacks, this, option);
    }
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    if (codec_ == nullptr) std::abort();  // as all of base does without memory
    greet();
}

Session::~Session() { nghttp2_session_del(codec_); }

std::unique_ptr<Session> make_session(const Limits& limits, Events& events) {
    return std::make_unique<Session>(limits, events);
}

void Session::greet() {
    std::vector<nghttp2_settings_entry> entries = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits_.streams_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits_.window_bytes},
        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, limits_.frame_bytes_max},
        {NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, limits_.header_table_bytes},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    if (limits_.header_list_bytes_max != 0)
        entries.push_back({NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits_.header_list_bytes_max});
    if (limits_.extended_connect) entries.push_back({NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1});
    nghttp2_submit_settings(codec_, NGHTTP2_FLAG_NONE, entries.data(), entries.size());
    const uint32_t window = std::clamp(limits_.connection_window_bytes, kFirstWindow, kWindowMax);
    nghttp2_session_set_local_window_size(codec_, NGHTTP2_FLAG_NONE, 0,
                                          static_cast<int32_t>(window));
}

bool Session::upgrade(std::string_view settings, bool head_method) {
    if (nghttp2_session_upgrade2(codec_, bytes_of(settings), settings.size(), head_method ? 1 : 0,
                                 nullptr) != 0)
        return false;
    walk_.upgraded();
    Stream& stream = open(1);
    stream.told = stream.remote_ended = true;
    stream.head_method = head_method;
    return true;
}

void Session::feed(std::string_view bytes, int64_t now_ms) {
    if (fault_ != Fault::kNone) return;
    guard_.at(now_ms);
    const size_t sound = walk_.walk(bytes);
    inside_ = true;
    const ssize_t read = nghttp2_session_mem_recv(codec_, bytes_of(bytes), sound);
    inside_ = false;
    if (read < 0 && fault_ == Fault::kNone)
        fail(read == NGHTTP2_ERR_BAD_CLIENT_MAGIC ? Fault::kPreface : Fault::kInternal,
             nghttp2_strerror(static_cast<int>(read)));
    if (walk_.fault() != Fault::kNone) fail(walk_.fault(), {});
    const size_t queued = nghttp2_session_get_outbound_queue_size(codec_);
    if (limits_.queued_frames_max != 0 && queued > limits_.queued_frames_max + streams_.size())
        fail(Fault::kOutputFlood, {});
    pump();
    deliver();
}

// The GOAWAY goes behind what is waiting; nothing else is made after it.
void Session::fail(Fault fault, std::string_view detail) {
    if (fault_ != Fault::kNone) return;
    fault_ = fault;
    if (!detail.empty()) detail_ = detail;
    const FaultInfo& info = describe(fault);
    code_ = info.code;
    nghttp2_submit_goaway(
        codec_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(codec_),
        static_cast<uint32_t>(info.code), bytes_of(info.detail), info.detail.size());
}

std::string Session::fault_text() const {
    if (fault_ == Fault::kNone) return {};
    const FaultInfo& info = describe(fault_);
    std::string text(info.rule);
    text.append(": ").append(info.detail);
    if (!detail_.empty()) text.append(" (").append(detail_).append(")");
    return text;
}

std::string_view Session::output() {
    pump();
    deliver();
    return output_.view();
}

void Session::sent(size_t bytes) {
    output_.take(bytes);
    const uint64_t left = made_ - output_.size();
    size_t done = 0;
    for (; done < marks_.size() && marks_[done].end <= left; ++done)
        notices_.push_back({NoticeKind::kSent, marks_[done].stream, Code::kNoError});
    marks_.erase(marks_.begin(), marks_.begin() + static_cast<std::ptrdiff_t>(done));
    pump();
    deliver();
}

void Session::append(std::string_view bytes) {
    output_.append(bytes);
    made_ += bytes.size();
}

// What nghttp2 has to send, in the order of its priorities, as long as there is room.
void Session::pump() {
    if (inside_) return;
    inside_ = true;
    while (!last_frame_made_ && output_.size() < limits_.output_bytes_max) {
        const uint8_t* bytes = nullptr;
        const uint64_t before = made_;
        const ssize_t size = nghttp2_session_mem_send(codec_, &bytes);
        if (size < 0) {
            fail(Fault::kInternal, nghttp2_strerror(static_cast<int>(size)));
            last_frame_made_ = true;
            break;
        }
        if (size == 0 && made_ == before) break;
        append(Callbacks::text(bytes, static_cast<size_t>(size)));
    }
    inside_ = false;
}

// What happened while nghttp2 ran. What is told may lead to more, until all is said.
void Session::deliver() {
    while (!notices_.empty()) {
        const std::vector<Notice> told = std::exchange(notices_, {});
        for (const Notice& notice : told) {
            switch (notice.kind) {
                case NoticeKind::kReset:
                    events_.on_reset(notice.stream, notice.code);
                    break;
                case NoticeKind::kRoom:
                    if (find(notice.stream) != nullptr) events_.on_room(notice.stream);
                    break;
                case NoticeKind::kSent:
                    events_.on_sent(notice.stream);
                    break;
            }
        }
    }
}

Stream* Session::find(uint32_t stream) {
    const auto found = streams_.find(stream);
    return found == streams_.end() ? nullptr : found->second.get();
}

Stream& Session::open(uint32_t stream) {
    std::unique_ptr<Stream>& place = streams_[stream];
    if (!spare_.empty()) {
        place = std::move(spare_.back());
        spare_.pop_back();
    } else {
        place = std::make_unique<Stream>();
    }
    place->clear();
    place->id = stream;
    return *place;
}

void Session::close(uint32_t stream, Code code) {
    const auto found = streams_.find(stream);
    if (found == streams_.end()) return;
    Stream& closed = *found->second;
    if (closed.told && !closed.given_up && !closed.ended)
        notices_.push_back({NoticeKind::kReset, stream, code});
    // What the owner has taken in of a stream that is gone holds nobody else up.
    if (closed.unconsumed != 0) nghttp2_session_consume_connection(codec_, closed.unconsumed);
    if (spare_.size() < kSpareStreams) spare_.push_back(std::move(found->second));
    streams_.erase(found);
}

void Session::answer(Stream& stream, uint16_t status, std::string_view why) {
    stream.refused = true;
    if (status == 0) {
        reset_for(stream, Code::kProtocolError);
    } else {
        fields_.read("content-length: 0\r\n");
        submit(stream, status, true);
    }
    events_.on_refused(stream.id, status, why);
}

void Session::respond(uint32_t id, uint16_t status, std::string_view fields, bool end) {
    Stream* const stream = find(id);
    if (stream == nullptr || stream->responded || stream->given_up) return;
    const bool switched = stream->websocket && status == 101;  // RFC 8441 section 5
    fields_.read(fields, switched);
    submit(*stream, switched ? 200 : status, end);
}

// fields_ has the fields.
void Session::submit(Stream& stream, uint16_t status, bool end) {
    stream.responded = true;
    stream.ending = end;
    if (!fields_.announces_trailers()) stream.left = fields_.content_length();
    const std::string digits = std::to_string(status);
    const std::vector<nghttp2_nv> pairs = pairs_of(fields_.list(), digits);
    nghttp2_data_provider provider = {{.ptr = &stream}, Callbacks::read_data};
    nghttp2_submit_response(codec_, as_id(stream.id), pairs.data(), pairs.size(),
                            end ? nullptr : &provider);
}

void Session::interim(uint32_t id, uint16_t status, std::string_view fields) {
    Stream* const stream = find(id);
    if (stream == nullptr || stream->responded || stream->given_up) return;
    fields_.read(fields);
    const std::string digits = std::to_string(status);
    const std::vector<nghttp2_nv> pairs = pairs_of(fields_.list(), digits);
    nghttp2_submit_headers(codec_, NGHTTP2_FLAG_NONE, as_id(id), nullptr, pairs.data(),
                           pairs.size(), nullptr);
}

size_t Session::data(uint32_t id, std::string_view bytes, bool end) {
    Stream* stream = find(id);
    if (stream == nullptr || stream->given_up || stream->ending || stream->ended ||
        !stream->responded)
        return bytes.size();
    stream->blocked = inside_;
    if (inside_) {
        nghttp2_session_resume_data(codec_, as_id(id));
        return 0;
    }
    stream->pending = bytes;
    stream->ending = end;
    nghttp2_session_resume_data(codec_, as_id(id));
    pump();
    stream = find(id);  // its last frame may have closed it
    if (stream == nullptr) return bytes.size();
    const size_t taken = bytes.size() - stream->pending.size();
    const bool all = stream->pending.empty();
    stream->pending = {};
    stream->ending = end && all;
    stream->blocked = !all;
    return taken;
}

void Session::trailers(uint32_t id, std::string_view lines) {
    Stream* const stream = find(id);
    if (stream == nullptr || stream->given_up || stream->ending || stream->ended ||
        !stream->responded)
        return;
    stream->response_trailers = lines;
    stream->ending = stream->with_trailers = true;
    nghttp2_session_resume_data(codec_, as_id(id));
    pump();
}

void Session::reset_for(const Stream& stream, Code code) {
    nghttp2_submit_rst_stream(codec_, NGHTTP2_FLAG_NONE, as_id(stream.id),
                              static_cast<uint32_t>(code));
}

void Session::reset(uint32_t id, Code code) {
    std::erase_if(marks_, [id](const Mark& mark) { return mark.stream == id; });
    Stream* const stream = find(id);
    if (stream == nullptr || stream->given_up) return;
    stream->given_up = true;
    reset_for(*stream, code);
}

void Session::consumed(uint32_t id, size_t bytes) {
    Stream* const stream = find(id);
    if (stream == nullptr) return;
    const size_t counted = std::min<uint64_t>(bytes, stream->unconsumed);
    stream->unconsumed -= counted;
    nghttp2_session_consume(codec_, as_id(id), counted);
}

void Session::begin_drain() {
    if (drain_ != Drain::kNo) return;
    drain_ = Drain::kBegun;
    nghttp2_submit_shutdown_notice(codec_);
    nghttp2_submit_ping(codec_, NGHTTP2_FLAG_NONE, kPingPayload);
}

void Session::end_drain() {
    if (drain_ == Drain::kEnded) return;
    drain_ = Drain::kEnded;
    nghttp2_submit_goaway(codec_, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(codec_), NGHTTP2_NO_ERROR,
                          nullptr, 0);
}

bool Session::over() const {
    if (!output_.empty()) return false;
    if (last_frame_made_) return true;
    return nghttp2_session_want_read(codec_) == 0 && nghttp2_session_want_write(codec_) == 0;
}

}  // namespace mono::http2

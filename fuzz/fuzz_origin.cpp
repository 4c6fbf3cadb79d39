// What a proxy says about a request: ids, traces and times of any bytes. What is believed obeys its
// grammar, and nothing outside the input is read.
#include <algorithm>
#include <memory>
#include <string>

#include "fuzz.hpp"
#include "http/queue_time.hpp"
#include "http/request_id.hpp"

namespace mono::fuzz {
namespace {

constexpr int64_t kNowUs = 1'719'400'000'123'456;

bool is_lower_hex(std::string_view text) {
    return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

void check_value(std::string_view value) {
    const int64_t waited_us = http::queue_time_us(value, kNowUs);
    require(waited_us >= -1 && waited_us <= http::kQueueTimeMaxUs, "a queue time out of range");
    const int64_t start_us = http::parse_queue_start(value);
    require(start_us >= 0, "a start before 1970");
    require((waited_us >= 0) ==
                (start_us != 0 && start_us <= kNowUs && kNowUs - start_us <= http::kQueueTimeMaxUs),
            "the two readings differ");
    require(http::parse_queue_start("t=" + std::string(value)) == start_us ||
                value.substr(0, 2) == "t=",
            "the prefix changes the time");

    const std::string_view trace = http::trace_id_of(value);
    require(trace.empty() || (trace.size() == 32 && is_lower_hex(trace) &&
                              trace.data() >= value.data() && value.size() >= 55),
            "a trace id that is none");

    http::RequestId id;
    if (!http::is_request_id(value)) return;
    id.assign(value);
    require(id.view() == value, "an id changes");
    for (const char byte : value)
        require(byte > 0x20 && byte < 0x7F && byte != '"' && byte != '\\' && byte != ',',
                "an id that needs escaping");
}

}  // namespace
}  // namespace mono::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace mono::fuzz;
    // A block of its own: AddressSanitizer sees a read beyond the end.
    auto block = std::make_unique<char[]>(size);
    std::copy_n(data, size, block.get());
    check_value({block.get(), size});
    return 0;
}

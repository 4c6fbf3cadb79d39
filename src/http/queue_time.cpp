#include "http/queue_time.hpp"

#include "http/decimal.hpp"

namespace mono::http {
namespace {

// The least numbers that are not seconds, milliseconds, microseconds any more.
constexpr uint64_t kMillisecondsFrom = 100'000'000'000;
constexpr uint64_t kMicrosecondsFrom = kMillisecondsFrom * 1'000;
constexpr uint64_t kNanosecondsFrom = kMicrosecondsFrom * 1'000;
constexpr uint64_t kNanosecondsMax = kNanosecondsFrom * 90;  // still fits
constexpr size_t kMicrosecondDigits = 6;

// The fraction of a second in microseconds; further digits are not looked at.
uint64_t fraction_us(std::string_view digits) {
    uint64_t value = 0;
    for (size_t at = 0; at < kMicrosecondDigits; ++at)
        value = value * 10 + (at < digits.size() ? static_cast<uint64_t>(digits[at] - '0') : 0);
    return value;
}

std::string_view first_element(std::string_view list) {
    std::string_view text = list.substr(0, list.find(','));
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

}  // namespace

int64_t parse_queue_start(std::string_view value) {
    std::string_view text = first_element(value);
    if (text.starts_with("t=")) text.remove_prefix(2);
    const size_t dot = text.find('.');
    const std::string_view fraction =
        dot == std::string_view::npos ? std::string_view() : text.substr(dot + 1);
    uint64_t number = 0;
    if (!parse_decimal(text.substr(0, dot), number)) return 0;
    if (fraction.find_first_not_of("0123456789") != std::string_view::npos) return 0;
    uint64_t result = 0;
    if (number < kMillisecondsFrom) {
        result = number * 1'000'000 + fraction_us(fraction);
    } else if (number < kMicrosecondsFrom) {
        result = number * 1'000 + fraction_us(fraction) / 1'000;
    } else if (number < kNanosecondsFrom) {
        result = number;
    } else if (number < kNanosecondsMax) {
        result = number / 1'000;
    }
    return static_cast<int64_t>(result);
}

int64_t queue_time_us(std::string_view value, int64_t now_unix_us) {
    const int64_t start_us = parse_queue_start(value);
    if (start_us == 0 || start_us > now_unix_us) return -1;
    const int64_t waited_us = now_unix_us - start_us;
    return waited_us <= kQueueTimeMaxUs ? waited_us : -1;
}

}  // namespace mono::http

// Nanoseconds a head takes, parser and framing; a figure to look at, never a test.
// Build the target http_bench in the release preset.
#include <cstdio>
#include <string>

#include "base/clock.hpp"
#include "http/response_head.hpp"
#include "http1/framing.hpp"
#include "http1/head_parser.hpp"

namespace mono::http1 {
namespace {

constexpr int kRounds = 1'000'000;

double head_ns(std::string text) {
    const HeadRules rules;
    http::RequestHead head;
    HeadParser parser(rules);
    uint64_t sum = 0;
    const int64_t begin = base::monotonic_us();
    for (int round = 0; round < kRounds; ++round) {
        parser.reset();
        const auto size = static_cast<uint32_t>(text.size());
        if (parser.parse(text.data(), size, head) != ParseStatus::kComplete) return -1;
        if (apply_framing(text.data(), head).error != http::Error::kNone) return -1;
        sum += head.fields.size() + head.path.length;
    }
    const int64_t end = base::monotonic_us();
    return sum == 0 ? -1 : static_cast<double>(end - begin) * 1000.0 / kRounds;
}

double response_ns() {
    http::ResponseHead head;
    http::ResponseHead::Context context;
    context.server = "monoceros";
    context.date = "Sun, 06 Nov 1994 08:49:37 GMT";
    context.connection = "keep-alive";
    std::string out(1024, '\0');
    uint64_t sum = 0;
    const int64_t begin = base::monotonic_us();
    for (int round = 0; round < kRounds; ++round) {
        head.clear();
        const bool bad = head.set_status("200 OK") != http::HeadFault::kNone ||
                         head.add("Content-Type", "text/plain") != http::HeadFault::kNone ||
                         head.add("Content-Length", "13") != http::HeadFault::kNone;
        if (bad || head.size_max(context) > out.size()) return -1;
        sum += head.write(context, out.data());
    }
    const int64_t end = base::monotonic_us();
    return sum == 0 ? -1 : static_cast<double>(end - begin) * 1000.0 / kRounds;
}

}  // namespace
}  // namespace mono::http1

int main() {
    const std::string hello =
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nUser-Agent: wrk\r\nAccept: */*\r\n"
        "Connection: keep-alive\r\n\r\n";
    const std::string browser =
        "GET /articles/2024/05/a-page?utm_source=feed&page=2 HTTP/1.1\r\nHost: www.example.com\r\n"
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:126.0) Gecko/20100101 Firefox/126.0\r\n"
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n"
        "Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\nAccept-Encoding: gzip, deflate, br\r\n"
        "Referer: https://www.example.com/articles/\r\nConnection: keep-alive\r\n"
        "Cookie: session=5f2b9c1d7e8a4f6b; theme=dark; consent=1\r\n"
        "Upgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\n\r\n";
    std::printf("hello, 4 fields      %6.0f ns\n", mono::http::head_ns(hello));
    std::printf("browser, 10 fields   %6.0f ns\n", mono::http::head_ns(browser));
    std::printf("response head        %6.0f ns\n", mono::http::response_ns());
    return 0;
}

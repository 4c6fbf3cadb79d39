// The first bytes of a connection: what they are does not depend on the pieces in which they come,
// nothing outside them is read, and what is believed is an address.
#include <arpa/inet.h>

#include <memory>
#include <string>

#include "fuzz.hpp"
#include "proxy/header.hpp"

namespace mono::fuzz {
namespace {

constexpr size_t kInputBytesMax = 16 * 1024;

struct Reading {
    proxy::Parsed parsed;
    proxy::Header header;
};

// In a block of its own: AddressSanitizer sees a read beyond the end.
Reading read(std::string_view bytes, proxy::Versions versions) {
    auto block = std::make_unique<char[]>(bytes.size());
    bytes.copy(block.get(), bytes.size());
    Reading reading;
    reading.parsed = proxy::parse({block.get(), bytes.size()}, versions, reading.header);
    const proxy::Status seen = proxy::recognise({block.get(), bytes.size()}, versions);
    const proxy::Status status = reading.parsed.status;
    require((seen == proxy::Status::kAbsent) == (status == proxy::Status::kAbsent),
            "recognise() and parse() differ about what is absent");
    require(seen == proxy::Status::kDone || status == proxy::Status::kAbsent ||
                status == proxy::Status::kNeedMore,
            "a header is judged before it is recognised");
    return reading;
}

std::string extras_text(const proxy::Extras* extras) {
    if (extras == nullptr) return "none";
    std::string text = extras->alpn + '|' + extras->authority + '|' + extras->unique_id + '|' +
                       extras->netns + '|' + extras->vpc_endpoint + '|' +
                       std::to_string(extras->private_link) + '|' +
                       std::to_string(extras->service_connection);
    if (extras->tls)
        text += '|' + extras->tls->version + '|' + extras->tls->common_name + '|' +
                std::to_string(extras->tls->verify);
    return text;
}

void check_endpoint(const proxy::Endpoint& endpoint, proxy::Kind kind) {
    char address[16];
    if (kind == proxy::Kind::kTcp4)
        require(inet_pton(AF_INET, endpoint.host.c_str(), address) == 1, "not an IPv4 address");
    else if (kind == proxy::Kind::kTcp6)
        require(inet_pton(AF_INET6, endpoint.host.c_str(), address) == 1, "not an IPv6 address");
    else if (kind == proxy::Kind::kUnix)
        require(endpoint.host.size() <= 108 && endpoint.port == 0, "not a unix path");
    else
        require(endpoint.host.empty() && endpoint.port == 0, "an address that nobody gave");
    require(endpoint.host.find('\0') == std::string::npos, "NUL in an address");
}

void check(std::string_view input, proxy::Versions versions, Random& random) {
    const Reading whole = read(input, versions);
    const proxy::Parsed& parsed = whole.parsed;
    require(parsed.offset <= input.size(), "a fault outside the input");
    require(parsed.consumed <= input.size(), "more is consumed than came");
    require((parsed.status == proxy::Status::kMalformed) == (parsed.error != http::Error::kNone),
            "malformed without a rule");
    if (parsed.status == proxy::Status::kDone) {
        check_endpoint(whole.header.source, whole.header.kind);
        check_endpoint(whole.header.destination, whole.header.kind);
        require(parsed.consumed > 0, "nothing is a header");
    }
    size_t arrived = 0;
    in_pieces(input, random, [&](std::string_view piece) {
        arrived += piece.size();
        const Reading part = read(input.substr(0, arrived), versions);
        if (part.parsed.status == proxy::Status::kNeedMore) {
            require(parsed.status == proxy::Status::kNeedMore || arrived < input.size(),
                    "the same bytes are enough, and are not");
            return;
        }
        require(part.parsed.status == parsed.status && part.parsed.error == parsed.error &&
                    part.parsed.offset == parsed.offset && part.parsed.consumed == parsed.consumed,
                "the header depends on the split");
        require(part.header.source.host == whole.header.source.host &&
                    extras_text(part.header.extras.get()) == extras_text(whole.header.extras.get()),
                "what it says depends on the split");
    });
}

}  // namespace
}  // namespace mono::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace mono::fuzz;
    if (size > kInputBytesMax) return 0;
    const std::string_view input = as_text(data, size);
    Random random(input);
    for (const auto versions :
         {mono::proxy::Versions::kBoth, mono::proxy::Versions::kV1, mono::proxy::Versions::kV2})
        check(input, versions, random);
    return 0;
}

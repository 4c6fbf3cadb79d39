// What a client says in Forwarded and X-Forwarded-For before a proxy appends its own word: the
// address is one, and whatever the client says, the proxy's word counts, or the request is refused.
#include <memory>
#include <string>

#include "fuzz.hpp"
#include "http/forwarded.hpp"

namespace mono::fuzz {
namespace {

constexpr std::string_view kTrue = "192.0.2.1";

struct Reading {
    http::Error error;
    std::string client;
};

Reading read(std::string_view value, bool rfc, const http::NetworkSet& trusted) {
    // A block of its own: AddressSanitizer sees a read beyond the end.
    auto block = std::make_unique<char[]>(value.size() + 1);
    value.copy(block.get(), value.size());
    http::RequestHead head;
    http::Field field;
    field.known = rfc ? http::KnownField::kForwarded : http::KnownField::kXForwardedFor;
    field.value = {0, static_cast<uint32_t>(value.size())};
    head.fields.push_back(field);
    const auto fields =
        rfc ? http::ForwardedFields::kForwarded : http::ForwardedFields::kXForwarded;
    const http::ForwardedVerdict verdict = http::read_forwarded(trusted, fields, block.get(), head);
    require(verdict.client.offset + verdict.client.length <= value.size(),
            "a client outside the field");
    const std::string client(verdict.client.in(block.get()));
    require(client.empty() || http::is_address(client), "a client that is no address");
    require(rfc || verdict.fault.error == http::Error::kNone, "X-Forwarded-For has no grammar");
    return {verdict.fault.error, client};
}

void check(std::string_view value) {
    const http::NetworkSet nobody = http::NetworkSet::parse({}).value();
    const http::NetworkSet everyone = http::NetworkSet::parse({"*"}).value();
    for (const bool rfc : {true, false}) {
        read(value, rfc, nobody);
        read(value, rfc, everyone);
        const std::string appended =
            std::string(value) + (rfc ? ", for=" : ", ") + std::string(kTrue);
        const Reading reading = read(appended, rfc, nobody);
        require(reading.error != http::Error::kNone || reading.client == kTrue,
                "the client's claim outweighs the proxy's word");
    }
}

}  // namespace
}  // namespace mono::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size <= 4096) mono::fuzz::check(mono::fuzz::as_text(data, size));
    return 0;
}

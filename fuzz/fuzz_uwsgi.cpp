// Any packet: the head that is made of it is one head and nothing more, whatever its variables
// hold, and does not depend on the pieces in which the packet comes. What HTTP's parser then says
// is HTTP's business.
#include <memory>
#include <string>

#include "fuzz.hpp"
#include "http/target.hpp"
#include "http1/framing.hpp"
#include "http1/head_parser.hpp"
#include "uwsgi/request.hpp"

namespace mono::fuzz {
namespace {

constexpr size_t kInputBytesMax = 16 * 1024;

uwsgi::Step read_block(std::string_view bytes, const uwsgi::Options& options,
                       uwsgi::Request& request) {
    // A block of its own: AddressSanitizer sees a read beyond the end.
    auto block = std::make_unique<char[]>(bytes.size());
    bytes.copy(block.get(), bytes.size());
    return uwsgi::read({block.get(), bytes.size()}, options, request);
}

void check_variables(const uwsgi::Request& request, bool trusted) {
    const uwsgi::Fault fault = uwsgi::for_each_variable(
        request.variables, [](const uwsgi::Variable& variable) -> uwsgi::Fault {
            require(!variable.name.empty() && !variable.name.starts_with("HTTP_"),
                    "a variable that is a field");
            require(variable.name.find('.') == std::string_view::npos, "a key of the server");
            for (const char byte : variable.value)
                require(byte != '\r' && byte != '\n' && byte != '\0', "a variable of two lines");
            return {};
        });
    require(fault.error == http::Error::kNone, "variables that cannot be read");
    require(trusted || (request.variables.empty() && request.remote_addr.empty() &&
                        request.script_name.empty()),
            "who is not trusted is believed");
    require(request.remote_addr.empty() || http::is_address(request.remote_addr),
            "an address that is none");
}

// Lenient rules: whatever can be injected would be seen.
void check_head(const uwsgi::Request& request) {
    http1::HeadRules rules;
    rules.line_bytes_max = rules.field_bytes_max = 0;
    rules.head_bytes_max = 1 << 20;
    rules.fields_max = 2000;
    rules.permit_unconventional_http_method = true;
    http1::HeadParser parser(rules);
    http::RequestHead head;
    std::string text = request.head;
    const auto size = static_cast<uint32_t>(text.size());
    const http1::ParseStatus status = parser.parse(text.data(), size, head);
    require(status != http1::ParseStatus::kNeedMore, "the head has no end");
    if (status != http1::ParseStatus::kComplete) return;
    require(head.length == size, "something stands behind the head");
    size_t lengths = 0;
    for (const http::Field& field : head.fields) {
        require(!field.underscore, "a field with an underscore");
        require(field.known != http::KnownField::kTransferEncoding &&
                    field.known != http::KnownField::kExpect,
                "a field that is the client's and the proxy's alone");
        lengths += field.known == http::KnownField::kContentLength ? 1 : 0;
    }
    require(lengths <= 1, "two lengths");
    if (request.script_name.empty()) return;
    require(head.path.in(text.data()).starts_with(request.script_name.in(text.data())),
            "a script name outside the path");
    require(request.script_name.offset == head.target.offset, "a script name elsewhere");
}

void check(std::string_view input, const uwsgi::Options& options, Random& random) {
    uwsgi::Request whole;
    const uwsgi::Step step = read_block(input, options, whole);
    require(step.consumed <= input.size(), "more is consumed than came");
    require(step.fault.offset <= input.size(), "a fault outside the input");
    require((step.status == uwsgi::Status::kMalformed) == (step.fault.error != http::Error::kNone),
            "malformed without a rule");
    if (step.status == uwsgi::Status::kDone) {
        check_variables(whole, options.trusted);
        check_head(whole);
    }
    size_t arrived = 0;
    uwsgi::Request part;
    in_pieces(input, random, [&](std::string_view piece) {
        arrived += piece.size();
        const uwsgi::Step other = read_block(input.substr(0, arrived), options, part);
        if (other.status == uwsgi::Status::kNeedMore) return;
        require(other.status == step.status && other.fault.error == step.fault.error &&
                    other.fault.offset == step.fault.offset && other.consumed == step.consumed,
                "the request depends on the split");
        if (other.status != uwsgi::Status::kDone) return;
        require(part.head == whole.head && part.variables == whole.variables &&
                    part.remote_addr == whole.remote_addr,
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
    for (const bool trusted : {true, false}) {
        const uint32_t most = random.one_in(8) ? 64 : 65536;
        check(input, {most, trusted}, random);
    }
    return 0;
}

// A chunked body: the same data, trailers and error for every split; what is decoded and written
// again in chunks is decoded to the same.
#include <memory>
#include <string>
#include <vector>

#include "fuzz.hpp"
#include "http1/chunked.hpp"

namespace mono::fuzz {
namespace {

using http1::ChunkedDecoder;

constexpr size_t kInputBytesMax = 16 * 1024;

struct Outcome {
    ChunkedDecoder::Event event = ChunkedDecoder::Event::kNeedMore;
    http::Error error = http::Error::kNone;
    uint64_t offset = 0;  // of the error, or of what follows the body
    std::string data;
    std::string trailers;

    bool operator==(const Outcome&) const = default;
};

class Feeder {
  public:
    explicit Feeder(const http1::HeadRules& rules) : decoder_(rules) {}

    void feed(std::string_view piece) {
        // A block of its own: AddressSanitizer sees a read past the piece.
        auto block = std::make_unique<char[]>(piece.size());
        piece.copy(block.get(), piece.size());
        std::string_view rest(block.get(), piece.size());
        while (outcome_.event == ChunkedDecoder::Event::kNeedMore) {
            const ChunkedDecoder::Step step = decoder_.next(rest);
            require(step.consumed <= rest.size(), "more consumed than given");
            if (step.event == ChunkedDecoder::Event::kData) {
                require(!step.data.empty(), "no data with kData");
                require(step.data.data() >= rest.data() &&
                            step.data.data() + step.data.size() <= rest.data() + step.consumed,
                        "data outside the input");
                outcome_.data += step.data;
            }
            rest.remove_prefix(step.consumed);
            consumed_ += step.consumed;
            if (step.event == ChunkedDecoder::Event::kNeedMore) {
                require(rest.empty(), "needs more but has not used all");
                return;
            }
            if (step.event != ChunkedDecoder::Event::kData) end(step.event);
        }
    }
    const Outcome& outcome() const { return outcome_; }

  private:
    void end(ChunkedDecoder::Event event) {
        outcome_.event = event;
        outcome_.error = decoder_.error();
        const bool failed = event == ChunkedDecoder::Event::kFailed;
        require(failed == (decoder_.error() != http::Error::kNone), "error and event disagree");
        outcome_.offset = failed ? decoder_.error_offset() : consumed_;
        for (const http1::Trailer& trailer : decoder_.trailers())
            outcome_.trailers += trailer.name + ":" + trailer.value + "\r\n";
    }

    ChunkedDecoder decoder_;
    Outcome outcome_;
    uint64_t consumed_ = 0;
};

http1::HeadRules rules_from(Random& random) {
    http1::HeadRules rules;
    if (random.one_in(2)) return rules;
    rules.strip_header_spaces = random.one_in(2);
    if (random.one_in(2)) rules.field_bytes_max = random.below(64);
    if (random.one_in(2)) rules.fields_max = random.below(8);
    if (random.one_in(2)) rules.head_bytes_max = 1 + random.below(128);
    return rules;
}

std::string write_again(const Outcome& outcome, Random& random) {
    std::string text;
    in_pieces(outcome.data, random, [&text](std::string_view piece) {
        char prefix[http1::kChunkPrefixMax];
        text.append(prefix, http1::write_chunk_prefix(piece.size(), prefix));
        text.append(piece).append("\r\n");
    });
    return text + "0\r\n" + outcome.trailers + "\r\n";
}

}  // namespace
}  // namespace mono::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace mono::fuzz;
    if (size > kInputBytesMax) return 0;
    const std::string_view input = as_text(data, size);
    Random random(input);
    const mono::http1::HeadRules rules = rules_from(random);
    Feeder whole(rules);
    whole.feed(input);
    for (int round = 0; round < 3; ++round) {
        Feeder pieces(rules);
        in_pieces(input, random, [&pieces](std::string_view piece) { pieces.feed(piece); });
        require(pieces.outcome() == whole.outcome(), "the outcome depends on the split");
    }
    if (whole.outcome().event != mono::http1::ChunkedDecoder::Event::kEnd) return 0;
    mono::http1::HeadRules lenient = rules;  // the size lines may be longer than they were
    lenient.field_bytes_max = mono::http1::HeadRules().field_bytes_max;
    Feeder second(lenient);
    second.feed(write_again(whole.outcome(), random));
    require(second.outcome().event == whole.outcome().event, "refused when written again");
    require(second.outcome().data == whole.outcome().data, "other data when written again");
    require(second.outcome().trailers == whole.outcome().trailers, "other trailers");
    return 0;
}

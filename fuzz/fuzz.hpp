// What the fuzz targets share. A target's settings and split points follow from a hash of the
// input, so that the input is nothing but bytes of the protocol: vectors are seeds as they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace mono::fuzz {

inline void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "broken property: %s\n", what);
    std::abort();
}

// splitmix64, seeded by FNV-1a of the input.
class Random {
  public:
    explicit Random(std::string_view input) {
        for (const char byte : input) {
            state_ ^= static_cast<uint8_t>(byte);
            state_ *= 0x100000001B3ULL;
        }
    }
    uint64_t next() {
        uint64_t value = state_ += 0x9E3779B97F4A7C15ULL;
        value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9ULL;
        value = (value ^ value >> 27) * 0x94D049BB133111EBULL;
        return value ^ value >> 31;
    }
    uint32_t below(uint32_t bound) { return static_cast<uint32_t>(next() % bound); }
    bool one_in(uint32_t bound) { return below(bound) == 0; }

  private:
    uint64_t state_ = 0xCBF29CE484222325ULL;
};

inline std::string_view as_text(const uint8_t* data, size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

// Calls take(piece) for consecutive pieces of random sizes.
template <class Take>
void in_pieces(std::string_view input, Random& random, Take take) {
    const uint32_t largest = random.one_in(3) ? 1 : 1 + random.below(64);
    while (!input.empty()) {
        const size_t wanted = 1 + random.below(largest);
        const std::string_view piece = input.substr(0, wanted);
        take(piece);
        input.remove_prefix(piece.size());
    }
}

}  // namespace mono::fuzz

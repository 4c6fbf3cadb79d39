#include "http/names.hpp"

#include <array>
#include <cstddef>
#include <cstring>

namespace mono::http {
namespace {

constexpr size_t kNames = static_cast<size_t>(KnownField::kCount);
constexpr size_t kNameBytesMax = 25;  // upgrade-insecure-requests
constexpr size_t kNameBytesMin = 2;   // te

constexpr std::array<std::string_view, kNames> kWire = {"",
#define MONO_ROW(enumerator, wire, environ) wire,
                                                        MONO_KNOWN_FIELDS(MONO_ROW)
#undef MONO_ROW
};

constexpr std::array<std::string_view, kNames> kEnviron = {"",
#define MONO_ROW(enumerator, wire, environ) environ,
                                                           MONO_KNOWN_FIELDS(MONO_ROW)
#undef MONO_ROW
};

// A perfect hash: the multiplier is searched for at compile time, so a new row of
// MONO_KNOWN_FIELDS needs nothing else. Only a candidate: classify() still compares.
constexpr size_t kSlots = 512;

constexpr uint32_t hash(std::string_view name, uint32_t multiplier) {
    const auto folded = [&name](size_t at) { return uint32_t{uint8_t(name[at])} | 0x20U; };
    const size_t size = name.size();
    const uint32_t key =
        folded(0) | folded(size / 2) << 8 | folded(size - 2) << 16 | folded(size - 1) << 24;
    return ((key ^ static_cast<uint32_t>(size)) * multiplier) >> 23;
}

constexpr bool is_perfect(uint32_t multiplier) {
    std::array<bool, kSlots> taken{};
    for (size_t name = 1; name < kNames; ++name) {
        bool& slot = taken[hash(kWire[name], multiplier)];
        if (slot) return false;
        slot = true;
    }
    return true;
}

constexpr uint32_t search_multiplier() {
    uint32_t multiplier = 0x9E3779B1U;
    while (!is_perfect(multiplier)) multiplier = multiplier * 1664525U + 1013904223U;
    return multiplier;
}

constexpr uint32_t kMultiplier = search_multiplier();

constexpr std::array<uint8_t, kSlots> make_slots() {
    std::array<uint8_t, kSlots> slots{};
    for (size_t name = 1; name < kNames; ++name)
        slots[hash(kWire[name], kMultiplier)] = static_cast<uint8_t>(name);
    return slots;
}

constexpr std::array<uint8_t, kSlots> kSlotTable = make_slots();

constexpr bool sizes_are_in_range() {
    for (size_t name = 1; name < kNames; ++name)
        if (kWire[name].size() < kNameBytesMin || kWire[name].size() > kNameBytesMax) return false;
    return true;
}
static_assert(sizes_are_in_range());

template <class Word>
Word load(const char* at) {
    Word word;
    std::memcpy(&word, at, sizeof(word));
    return word;
}

// Lower-cases the ASCII letters of all bytes of a word at once; other bytes stay as they are.
template <class Word>
constexpr Word fold(Word word) {
    constexpr Word ones = static_cast<Word>(0x0101010101010101ULL);
    const Word low_bits = word & static_cast<Word>(ones * 0x7F);
    const Word from_a = low_bits + static_cast<Word>(ones * (0x80 - 'A'));
    const Word past_z = low_bits + static_cast<Word>(ones * (0x7F - 'Z'));
    const Word upper = (from_a ^ past_z) & ~word & static_cast<Word>(ones * 0x80);
    return word | (upper >> 2);
}

constexpr char fold_byte(char byte) {
    return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte | 0x20) : byte;
}

// Pieces of one word, the last of which may overlap the one before.
template <class Word>
bool equal_words(const char* left, const char* right, size_t size) {
    for (size_t at = 0; at + sizeof(Word) < size; at += sizeof(Word))
        if (fold(load<Word>(left + at)) != fold(load<Word>(right + at))) return false;
    const size_t last = size - sizeof(Word);
    return fold(load<Word>(left + last)) == fold(load<Word>(right + last));
}

constexpr std::array<bool, 256> make_token_bytes() {
    std::array<bool, 256> table{};
    for (int byte = '0'; byte <= '9'; ++byte) table[static_cast<size_t>(byte)] = true;
    for (int byte = 'a'; byte <= 'z'; ++byte) table[static_cast<size_t>(byte)] = true;
    for (int byte = 'A'; byte <= 'Z'; ++byte) table[static_cast<size_t>(byte)] = true;
    for (const char byte : std::string_view("!#$%&'*+-.^_`|~")) table[uint8_t(byte)] = true;
    return table;
}

constexpr std::array<bool, 256> kTokenBytes = make_token_bytes();

}  // namespace

bool equals_folded(const char* left, const char* right, size_t size) {
    if (size >= 8) return equal_words<uint64_t>(left, right, size);
    if (size >= 4) return equal_words<uint32_t>(left, right, size);
    for (size_t at = 0; at < size; ++at)
        if (fold_byte(left[at]) != fold_byte(right[at])) return false;
    return true;
}

KnownField classify(std::string_view name) {
    if (name.size() < kNameBytesMin || name.size() > kNameBytesMax) return KnownField::kOther;
    const uint8_t candidate = kSlotTable[hash(name, kMultiplier)];
    if (!equals_ignoring_case(name, kWire[candidate])) return KnownField::kOther;
    return static_cast<KnownField>(candidate);
}

std::string_view wire_name(KnownField field) { return kWire[static_cast<size_t>(field)]; }

std::string_view environ_key(KnownField field) { return kEnviron[static_cast<size_t>(field)]; }

bool is_token(std::string_view text) {
    for (const char byte : text)
        if (!kTokenBytes[static_cast<uint8_t>(byte)]) return false;
    return !text.empty();
}

}  // namespace mono::http

// Searching and checking bytes 16 at a time (SSE2, which every x86-64 has) or one at a time.
// Private to http. No function reads outside [base, end): a short rest is read as the 16 bytes
// that end at `end`, which is why each takes `base`, the first readable byte.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#if defined(__SSE2__) && !defined(MONO_NO_SIMD)
#define MONO_HTTP_SSE2 1
#include <emmintrin.h>
#endif

namespace mono::http::scan {

// The byte classes of RFC 9110 section 5.5 and of request targets (RFC 9112 section 3.2).
constexpr bool is_field_byte(char byte) {
    const auto value = static_cast<uint8_t>(byte);
    return (value >= 0x20 && value != 0x7F) || value == '\t';
}
constexpr bool is_target_byte(char byte) { return byte > 0x20 && byte < 0x7F; }

struct Checked {
    const char* bad;  // first byte outside the class, or end
    bool ascii;       // no byte before `bad` (at least) is above 0x7F
};

inline const char* find_scalar(const char* begin, const char* end, char wanted) {
    while (begin != end && *begin != wanted) ++begin;
    return begin;
}

inline Checked check_field_scalar(const char* begin, const char* end) {
    bool ascii = true;
    for (; begin != end; ++begin) {
        if (!is_field_byte(*begin)) break;
        ascii &= static_cast<uint8_t>(*begin) < 0x80;
    }
    return {begin, ascii};
}

inline const char* check_target_scalar(const char* begin, const char* end) {
    while (begin != end && is_target_byte(*begin)) ++begin;
    return begin;
}

#ifdef MONO_HTTP_SSE2

inline __m128i load(const char* at) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
}
inline uint32_t mask_of(__m128i lanes) { return static_cast<uint32_t>(_mm_movemask_epi8(lanes)); }

// Calls lanes_of(16 bytes, lanes to ignore), which returns the mask of hits, until there is one.
// The 16 bytes before `end` must be readable.
template <class LanesOf>
inline const char* first_hit(const char* begin, const char* end, LanesOf lanes_of) {
    for (; end - begin >= 16; begin += 16) {
        const uint32_t hits = lanes_of(load(begin), 0);
        if (hits != 0) return begin + std::countr_zero(hits);
    }
    if (begin == end) return end;
    const auto before = static_cast<uint32_t>(16 - (end - begin));  // lanes dealt with already
    const uint32_t hits = lanes_of(load(end - 16), before) >> before;
    return hits != 0 ? begin + std::countr_zero(hits) : end;
}

inline const char* find(const char* base, const char* begin, const char* end, char wanted) {
    if (end - base < 16) return find_scalar(begin, end, wanted);
    const __m128i pattern = _mm_set1_epi8(wanted);
    return first_hit(begin, end, [pattern](__m128i bytes, uint32_t) {
        return mask_of(_mm_cmpeq_epi8(bytes, pattern));
    });
}

inline Checked check_field(const char* base, const char* begin, const char* end) {
    if (end - base < 16) return check_field_scalar(begin, end);
    uint32_t above = 0;
    const char* bad = first_hit(begin, end, [&above](__m128i bytes, uint32_t before) {
        const uint32_t high = mask_of(bytes);
        above |= high >> before;
        // The comparison is signed: it also catches bytes from 0x80, which `high` takes out.
        const uint32_t low = mask_of(_mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20))) & ~high;
        const uint32_t tab = mask_of(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t')));
        return (low & ~tab) | mask_of(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7F)));
    });
    return {bad, above == 0};
}

inline const char* check_target(const char* base, const char* begin, const char* end) {
    if (end - base < 16) return check_target_scalar(begin, end);
    return first_hit(begin, end, [](__m128i bytes, uint32_t) {
        return mask_of(_mm_or_si128(_mm_cmplt_epi8(bytes, _mm_set1_epi8(0x21)),
                                    _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7F))));
    });
}

#else

inline const char* find(const char*, const char* begin, const char* end, char wanted) {
    return find_scalar(begin, end, wanted);
}
inline Checked check_field(const char*, const char* begin, const char* end) {
    return check_field_scalar(begin, end);
}
inline const char* check_target(const char*, const char* begin, const char* end) {
    return check_target_scalar(begin, end);
}

#endif

}  // namespace mono::http::scan

// Utf8Check: is a text that arrives in pieces UTF-8? RFC 3629: no overlong forms, no surrogates,
// nothing above U+10FFFF. Wrong bytes are seen at once, not at the text's end.
#pragma once

#include <cstdint>
#include <string_view>

namespace mono::websocket {

class Utf8Check {
  public:
    // False as soon as no continuation could make the text valid; then only reset() helps.
    [[nodiscard]] bool feed(std::string_view piece);
    // The text so far does not end inside a character.
    bool complete() const { return wanted_ == 0; }
    void reset() { wanted_ = 0; }

  private:
    bool begin(uint8_t lead);

    uint8_t wanted_ = 0;  // continuation bytes
    uint8_t lowest_ = 0;  // bounds of the next one, with wanted_
    uint8_t highest_ = 0;
};

inline bool is_utf8(std::string_view text) {
    Utf8Check check;
    return check.feed(text) && check.complete();
}

}  // namespace mono::websocket

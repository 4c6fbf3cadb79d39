// Secret: text that must not stay in freed memory: private keys, passwords. Wiped when it goes.
#pragma once

#include <openssl/crypto.h>

#include <string>
#include <utility>

namespace mono::tls {

class Secret {
  public:
    Secret() = default;
    Secret(std::string text) : text_(std::move(text)) {}
    Secret(const char* text) : text_(text) {}
    Secret(const Secret&) = default;
    Secret(Secret&&) noexcept = default;
    Secret& operator=(Secret other) noexcept {
        text_.swap(other.text_);
        return *this;
    }
    ~Secret() { wipe(text_); }

    const std::string& text() const { return text_; }
    bool empty() const { return text_.empty(); }
    static void wipe(std::string& text) {
        OPENSSL_cleanse(text.data(), text.size());
        text.clear();
    }

  private:
    std::string text_;
};

}  // namespace mono::tls

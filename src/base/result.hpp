// Result<T>: a value, or a sentence for the human who wrote the configuration.
// Used on the control path only; the data path reports enums (http/error.hpp).
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace mono::base {

struct Failure {
    std::string sentence;
};

template <class T>
class [[nodiscard]] Result {
  public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Failure failure) : state_(std::in_place_index<1>, std::move(failure)) {}

    bool ok() const { return state_.index() == 0; }
    explicit operator bool() const { return ok(); }
    T& value() { return *std::get_if<0>(&state_); }
    const T& value() const { return *std::get_if<0>(&state_); }
    const std::string& sentence() const { return std::get_if<1>(&state_)->sentence; }

  private:
    std::variant<T, Failure> state_;
};

}  // namespace mono::base

// Journal: what the engine has to say to the error log. The engine cannot call Python's logging:
// it leaves entries here and the runner takes them. Bounded: what does not fit is counted.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace mono::engine {

enum class Severity : uint8_t { kDebug = 10, kInfo = 20, kWarning = 30, kError = 40 };

// Where in the sources something is said; as std::source_location, which clang 14 lacks.
struct Place {
    const char* file;  // literals
    int line;
    const char* function;  // its name alone

    static constexpr Place here(const char* file = __builtin_FILE(), int line = __builtin_LINE(),
                                const char* function = __builtin_FUNCTION()) {
        return {file, line, function};
    }
};

struct JournalEntry {
    Severity severity;
    std::string text;
    Place where;
};

class Journal {
  public:
    void add(Severity severity, std::string text, Place where = Place::here()) {
        if (entries_.size() >= kEntriesMax) {
            ++dropped_;
            return;
        }
        entries_.push_back({severity, std::move(text), where});
    }
    bool empty() const { return entries_.empty(); }
    std::vector<JournalEntry> take() {
        if (dropped_ != 0) {
            entries_.push_back(
                {Severity::kWarning,
                 std::to_string(dropped_) +
                     " further messages of the engine were dropped: too many at once",
                 Place::here()});
            dropped_ = 0;
        }
        return std::exchange(entries_, {});
    }

  private:
    static constexpr size_t kEntriesMax = 1000;
    std::vector<JournalEntry> entries_;
    uint64_t dropped_ = 0;
};

}  // namespace mono::engine

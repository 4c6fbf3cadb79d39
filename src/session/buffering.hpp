// BufferingRules: the setting request_buffering. Says from which size on a body is handed out at
// its request's head, by the path (docs/uploads.md). Immutable; any thread.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "config/parse.hpp"

namespace mono::session {

class BufferingRules {
  public:
    static base::Result<BufferingRules> parse(const config::Texts& items);

    // Bodies of more bytes than this are streamed, and those of unknown length;
    // config::kNeverStreamed: none. `otherwise`: where no rule is for this path.
    uint64_t stream_above(std::string_view path, uint64_t otherwise) const;

  private:
    std::vector<config::BufferingRule> rules_;  // the longest prefix first
};

}  // namespace mono::session

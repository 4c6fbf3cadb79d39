// Thousands of random histories of the supervisor. A failure names its seed:
//   supervisor_sim --gtest_filter=*OneSeed with MONO_SIM_SEED=N in the environment repeats it.
// MONO_SIM_HISTORIES sets the number of histories (default 3000, about ten seconds).
#include <gtest/gtest.h>

#include <cstdlib>

#include "world.hpp"

namespace mono::sim {
namespace {

uint64_t from_environment(const char* name, uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST(Supervisor, KeepsItsInvariantsInEveryHistory) {
    const uint64_t histories = from_environment("MONO_SIM_HISTORIES", 3'000);
    std::map<std::string, uint64_t> seen;
    for (uint64_t seed = 1; seed <= histories; ++seed) {
        World world(seed);
        const auto failure = world.run(150);
        ASSERT_FALSE(failure.has_value()) << *failure;
        for (const auto& [what, times] : world.seen) seen[what] += times;
    }
    // A simulation that no longer meets its subjects proves nothing.
    for (const char* what :
         {"stall", "fork failed", "reload", "reload failed", "kill", "abort", "commit", "roll back",
          "recycled", "forked helper", "stuck", "left", "halt 0", "halt 3", "halt 4", "healed"}) {
        EXPECT_GT(seen[what], histories / 100) << what;
    }
    for (int number : {1, 2, 3, 10, 12, 15, 17, 21, 22, 28}) {
        for (const char* phase : {"running", "reloading", "stopping", "quitting"}) {
            const std::string what = "signal " + std::to_string(number) + " in " + phase;
            EXPECT_GT(seen[what], 0U) << what;
        }
    }
}

TEST(Supervisor, OneSeed) {
    const uint64_t seed = from_environment("MONO_SIM_SEED", 42);
    World world(seed);
    const auto failure = world.run(150);
    EXPECT_FALSE(failure.has_value()) << *failure;
}

}  // namespace
}  // namespace mono::sim

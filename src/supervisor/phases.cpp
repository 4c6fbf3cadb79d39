#include "supervisor/phases.hpp"

#include <array>
#include <cstddef>

namespace mono::supervisor {
namespace {

constexpr size_t kPhases = 6;
constexpr size_t kPhaseInputs = 6;
constexpr size_t kStates = 6;
constexpr size_t kStateInputs = 5;

using PhaseRow = std::array<Phase, kPhaseInputs>;
using StateRow = std::array<State, kStateInputs>;

// clang-format off
constexpr auto kNo = Phase::kRefused;
constexpr std::array<PhaseRow, kPhases> kPhaseTable = {{
    // start          reload            answer         stop             quit             emptied
    {Phase::kRunning, kNo, kNo, kNo, kNo, kNo},                                     // Idle
    {kNo, Phase::kReloading, kNo, Phase::kStopping, Phase::kQuitting, kNo},         // Running
    {kNo, kNo, Phase::kRunning, Phase::kStopping, Phase::kQuitting, kNo},           // Reloading
    {kNo, kNo, kNo, kNo, Phase::kQuitting, Phase::kHalted},                         // Stopping
    {kNo, kNo, kNo, kNo, Phase::kQuitting, Phase::kHalted},                         // Quitting
    {kNo, kNo, kNo, kNo, kNo, kNo},                                                 // Halted
}};

constexpr auto kBad = State::kRefused;
constexpr std::array<StateRow, kStates> kStateTable = {{
    // forked         ready            term             abort             kill
    {State::kBooting, kBad, kBad, kBad, kBad},                                      // Forking
    {kBad, State::kServing, State::kRetiring, State::kAborting, State::kKilled},    // Booting
    {kBad, kBad, State::kRetiring, State::kAborting, State::kKilled},               // Serving
    {kBad, kBad, State::kRetiring, State::kAborting, State::kKilled},               // Retiring
    {kBad, kBad, kBad, kBad, State::kKilled},                                       // Aborting
    {kBad, kBad, kBad, kBad, kBad},                                                 // Killed
}};

// clang-format on

}  // namespace

Phase next(Phase phase, PhaseInput input) {
    if (phase == Phase::kRefused) return phase;
    return kPhaseTable[static_cast<size_t>(phase)][static_cast<size_t>(input)];
}

State next(State state, StateInput input) {
    if (state == State::kRefused) return state;
    return kStateTable[static_cast<size_t>(state)][static_cast<size_t>(input)];
}

std::string_view name(Phase phase) {
    constexpr std::array<std::string_view, kPhases + 1> kNames = {
        "idle", "running", "reloading", "stopping", "quitting", "halted", "refused"};
    return kNames[static_cast<size_t>(phase)];
}

std::string_view name(State state) {
    constexpr std::array<std::string_view, kStates + 1> kNames = {
        "forking", "booting", "serving", "retiring", "aborting", "killed", "refused"};
    return kNames[static_cast<size_t>(state)];
}

}  // namespace mono::supervisor

#include "config/settings.hpp"

#include <algorithm>
#include <cstddef>

#include "config/parse.hpp"

namespace mono::config {
namespace {

// A row of the table in the order of the macro's columns, so that settings.def reads as prose.
constexpr Row make_row(Scope scope, Kind kind, std::string_view name, std::string_view klass,
                       std::string_view section, std::string_view flags, std::string_view metavar,
                       const char* fallback, std::string_view domain, std::string_view doc,
                       Ready ready, std::string_view note) {
    return {name, klass, section, flags, metavar, fallback, domain, doc, note, scope, kind, ready};
}

#define NOW Ready::kNow, ""
#define LATER(why) Ready::kLater, why
#define REFUSE(why) Ready::kRefuse, why
#define UNUSED(why) Ready::kUnused, why
// Two steps, so that NOW and its like become their two arguments first.
#define MONO_ROW(scope, kind, name, klass, ...) \
    make_row(Scope::k##scope, Kind::k##kind, #name, #klass, __VA_ARGS__),
#define MONO_SETTING(scope, kind, name, klass, ...) MONO_ROW(scope, kind, name, klass, __VA_ARGS__)

constexpr Row kRows[] = {
#include "config/settings.def"
};

#undef MONO_SETTING
#undef MONO_ROW

size_t edit_distance(std::string_view left, std::string_view right) {
    std::vector<size_t> row(right.size() + 1);
    for (size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (size_t i = 0; i < left.size(); ++i) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < right.size(); ++j) {
            const size_t swapped = diagonal + (left[i] == right[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({swapped, diagonal + 1, row[j] + 1});
        }
    }
    return row.back();
}

}  // namespace

std::span<const Row> table() { return kRows; }

const Row* find(std::string_view name) {
    const auto* row = std::ranges::find(kRows, name, &Row::name);
    return row == std::end(kRows) ? nullptr : row;
}

const Row* find_flag(std::string_view flag) {
    if (flag.empty()) return nullptr;
    for (const Row& row : kRows) {
        const size_t bar = row.flags.find('|');
        if (flag == row.flags.substr(0, bar)) return &row;
        if (bar != std::string_view::npos && flag == row.flags.substr(bar + 1)) return &row;
    }
    return nullptr;
}

const Row* nearest(std::string_view name) {
    // Two letters may be wrong in a short name, a third of them in a long one.
    const Row* best = nullptr;
    size_t best_distance = std::max<size_t>(2, name.size() / 3) + 1;
    for (const Row& row : kRows) {
        const size_t distance = edit_distance(name, row.name);
        if (distance < best_distance) {
            best = &row;
            best_distance = distance;
        }
    }
    return best;
}

// Puts a parsed value into a member of its type; an unset text stays "".
template <class T>
static void fill(T& member, const Row& row) {
    if (row.fallback == nullptr) return;
    auto value = parse(row, row.fallback);
    if (!value) return;
    if (T* typed = std::get_if<T>(&value.value())) member = std::move(*typed);
}

// The table's own defaults always parse: settings_test.cpp holds every row to it.
#define MONO_FILL_Engine(kind, name) fill(this->name, *find(#name));
#define MONO_FILL_Master(kind, name) MONO_FILL_Engine(kind, name)
#define MONO_FILL_Python(kind, name)
#define MONO_SETTING(scope, kind, name, ...) MONO_FILL_##scope(kind, name)

Settings::Settings() {
#include "config/settings.def"
    sendfile = true;
}

#undef MONO_SETTING

}  // namespace mono::config

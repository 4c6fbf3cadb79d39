// The table of settings (settings.def) as data, and Settings: the values that C++ reads.
// Owns: nothing at run time; the table is constant data. Settings is a plain value, filled once by
// the control path (src/python/settings_type.cpp) and then only read, from any thread.
// Invariant: a default-constructed Settings holds the table's defaults.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mono::config {

// Who reads a setting.
enum class Scope : uint8_t { kEngine, kMaster, kPython };

// How a value is written as text, and what it becomes.
enum class Kind : uint8_t {
    kInt,         // integer in Python's base-0 grammar, within the row's range
    kOctal,       // the same; the command line also takes 022 for 0o22
    kSize,        // kInt in bytes; K, M or G behind it multiplies
    kShare,       // a number, a percentage up to 100%, or auto where that is the default
    kFlag,        // true or false
    kSendfile,    // true, false, or unset
    kText,        // any text, or unset
    kEnum,        // one of the row's choices
    kTexts,       // a list; one text is a list of one; commas are not split
    kBuffering,   // kTexts of parse_buffering()'s grammar
    kCsv,         // a list joined by commas
    kNetworks,    // kCsv of addresses, networks, or "*"
    kProtocols,   // kCsv of distinct choices
    kDict,        // NAME=VALUE joined by commas; config files give a dict
    kClass,       // a class, or text that names one
    kHook,        // a callable with the row's number of parameters
    kUser,        // user name or number
    kGroup,       // group name or number
    kChdir,       // an existing directory
    kFiles,       // a list of existing files and glob patterns
    kStatsd,      // HOST:PORT or unix://PATH
    kTlsVersion,  // a number or name of Python's ssl module
};

enum class Ready : uint8_t {
    kNow,
    kLater,   // set: the server warns at start
    kRefuse,  // set: the server does not start
    kUnused,  // set: nothing happens, and nothing is lost
};

struct Row {
    std::string_view name;
    std::string_view klass;
    std::string_view section;
    std::string_view flags;
    std::string_view metavar;
    const char* fallback;  // nullptr = None
    std::string_view domain;
    std::string_view doc;
    std::string_view note;  // why it is not `now`
    Scope scope;
    Kind kind;
    Ready ready;
};

using Texts = std::vector<std::string>;
using Pairs = std::vector<std::pair<std::string, std::string>>;

// One member for each row of scope Engine or Master, named as the setting. An unset text is "".
// `sendfile` is what was resolved; `tmp_upload_dir` "" = $TMPDIR or /tmp.
#define MONO_TYPE_Int int64_t
#define MONO_TYPE_Octal int64_t
#define MONO_TYPE_Size int64_t
#define MONO_TYPE_Share std::string
#define MONO_TYPE_Flag bool
#define MONO_TYPE_Sendfile bool
#define MONO_TYPE_Text std::string
#define MONO_TYPE_Enum std::string
#define MONO_TYPE_Texts Texts
#define MONO_TYPE_Buffering Texts
#define MONO_TYPE_Csv Texts
#define MONO_TYPE_Networks Texts
#define MONO_TYPE_Protocols Texts
#define MONO_TYPE_Dict Pairs
#define MONO_MEMBER_Engine(kind, name) MONO_TYPE_##kind name{};
#define MONO_MEMBER_Master(kind, name) MONO_TYPE_##kind name{};
#define MONO_MEMBER_Python(kind, name)
#define MONO_SETTING(scope, kind, name, ...) MONO_MEMBER_##scope(kind, name)

struct Settings {
    Settings();

#include "config/settings.def"

    bool operator==(const Settings&) const = default;
};

#undef MONO_SETTING
#undef MONO_MEMBER_Engine
#undef MONO_MEMBER_Master
#undef MONO_MEMBER_Python

// All rows, in the order of settings.def.
std::span<const Row> table();

// nullptr if there is no such setting.
const Row* find(std::string_view name);

// The setting that a whole flag such as "-w" or "--workers" sets, or nullptr.
const Row* find_flag(std::string_view flag);

// The setting whose name is nearest to `name` by edit distance, or nullptr if none is near.
const Row* nearest(std::string_view name);

}  // namespace mono::config

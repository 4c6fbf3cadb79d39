// The test vectors of tests/vectors, as tests/vectors/README.md describes their format.
// Owns nothing but copies of the files' text. Used by the conformance runner and the fuzz targets.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mono::conformance {

struct VectorCase {
    std::string file;   // base name, e.g. "host.md"
    std::string group;  // the folder, e.g. "h1_invalid"
    int line = 0;       // of the title
    std::string title;
    std::string bytes;                // what the client sends, unescaped
    std::vector<std::string> frames;  // behind them, as text: ws_frames.hpp
    std::vector<std::pair<std::string, std::string>> settings;
    std::vector<std::string> events;  // normalised: escape(unescape(line))
};

// \r \n \t \0 \\ \xHH and \{text*count}; false for any other escape.
bool unescape(std::string_view text, std::string& out);
// The one canonical form: printable ASCII as it is, the rest escaped.
std::string escape(std::string_view bytes);

// Appends the cases of one file's text; returns a sentence for the first mistake, or nothing.
std::string parse_vectors(std::string_view text, const VectorCase& origin,
                          std::vector<VectorCase>& cases);
// Every *.md under `folder` but README.md, sorted by path; mistakes are appended to `problems`.
std::vector<VectorCase> load_vectors(const std::string& folder, std::vector<std::string>& problems);

bool read_file(const std::string& path, std::string& out);

}  // namespace mono::conformance

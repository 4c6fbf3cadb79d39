// The request target that stands for what a proxy says about the path: REQUEST_URI as the client
// sent it, PATH_INFO as the proxy reads it, SCRIPT_NAME where the application is mounted, and
// QUERY_STRING. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mono::uwsgi {

struct Place {
    std::string_view method;
    std::string_view uri;     // REQUEST_URI, still encoded
    std::string_view path;    // PATH_INFO, decoded
    std::string_view script;  // SCRIPT_NAME, decoded; empty: the proxy is not believed about it
    std::string_view query;
    bool has_path = false;  // PATH_INFO was there, empty or not
};

struct Target {
    bool valid = false;
    size_t script_bytes = 0;  // so many first bytes of the target are the script name
};

// Appends the target to `out`. It decodes to SCRIPT_NAME + PATH_INFO whatever bytes those hold, and
// is REQUEST_URI itself where that says the same: a proxy may have rewritten the path. A proxy
// whose PATH_INFO holds SCRIPT_NAME already (nginx: uwsgi_param SCRIPT_NAME beside $document_uri)
// is told by REQUEST_URI, in which it stands once. Not valid: PATH_INFO is not a path.
Target append_target(const Place& place, std::string& out);

}  // namespace mono::uwsgi

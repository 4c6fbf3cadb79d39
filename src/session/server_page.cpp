#include "session/server_page.hpp"

#include "http/response_head.hpp"

namespace mono::session {

std::string server_page(const Limits& limits, const Exchange& exchange, uint16_t status,
                        std::string_view detail) {
    bool ours = status >= 500;
    std::string_view id = exchange.request_id();
    std::string page = http::error_page(status, detail, ours ? id : std::string_view());
    std::string_view name = limits.request_id_header;
    if (name.empty() && ours) name = "X-Request-ID";
    if (!name.empty() && !id.empty()) http::insert_field(page, name, id);
    // RFC 9110 section 9.3.2
    if (exchange.head.head_method) page.resize(page.find("\r\n\r\n") + 4);
    return page;
}

}  // namespace mono::session

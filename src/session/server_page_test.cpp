#include "session/server_page.hpp"

#include <gtest/gtest.h>

namespace mono::session {
namespace {

bool has(const std::string& page, std::string_view text) {
    return page.find(text) != std::string::npos;
}

TEST(ServerPage, NamesTheRequestWhereTheServerFailed) {
    Limits limits;
    Exchange exchange;
    exchange.id.assign("abc-1");
    const std::string failed = server_page(limits, exchange, 504, "Late.");
    EXPECT_TRUE(has(failed, "\r\nX-Request-ID: abc-1\r\n"));
    EXPECT_TRUE(has(failed, "<p>Request id: abc-1</p>"));
    EXPECT_FALSE(has(failed, "Retry-After"));
    EXPECT_FALSE(has(server_page(limits, exchange, 400, "Bad."), "abc-1"));
    EXPECT_TRUE(has(server_page(limits, exchange, 503, "Busy."), "\r\nRetry-After: 1\r\n"));
}

TEST(ServerPage, TheFieldIsTheOneThatWasAskedFor) {
    Limits limits;
    limits.request_id_header = "X-Correlation-ID";
    Exchange exchange;
    exchange.id.assign("abc-1");
    EXPECT_TRUE(has(server_page(limits, exchange, 400, ""), "\r\nX-Correlation-ID: abc-1\r\n"));
    EXPECT_FALSE(has(server_page(limits, exchange, 500, ""), "X-Request-ID"));
}

TEST(ServerPage, HasNoBodyForHead) {
    Limits limits;
    Exchange exchange;
    exchange.head.head_method = true;
    EXPECT_TRUE(server_page(limits, exchange, 500, "x").ends_with("\r\n\r\n"));
}

}  // namespace
}  // namespace mono::session

#include "http2/session.hpp"

#include <gtest/gtest.h>

#include <string>

#include "http2/client_test.hpp"
#include "http2/frames_test.hpp"
#include "http2/preface.hpp"

namespace mono::http2 {
namespace {

TEST(Session, AnswersARequest) {
    Pair pair;
    const uint32_t stream = pair.client.get("/x");
    pair.run();
    const Response& response = pair.client.response(stream);
    EXPECT_EQ(response.status, "200");
    EXPECT_EQ(response.body, std::string(13, 'x'));
    EXPECT_TRUE(response.closed);
    EXPECT_EQ(response.code, 0U);
    EXPECT_EQ(pair.story(), "request 1 GET /x HTTP/1.1\r\nhost: a\r\n\r\n\nend 1 \nsent 1 \n");
    EXPECT_EQ(pair.session().streams(), 0U);
    EXPECT_FALSE(pair.session().over());
}

TEST(Session, EchoesABodyAtEverySplit) {
    const std::string body(700, 'b');
    std::string first;
    for (size_t piece = 1; piece < 120; ++piece) {
        Pair pair;
        const uint32_t stream = pair.client.post(body, {{"x-sum", "7"}}, {{"cookie", "c=1"}});
        pair.run(piece);
        const Response& response = pair.client.response(stream);
        EXPECT_EQ(response.body, body) << piece;
        EXPECT_EQ(response.trailers, (Pairs{{"x-sum", "7"}})) << piece;
        EXPECT_TRUE(response.closed) << piece;
        EXPECT_EQ(response.code, 0U) << piece;
        EXPECT_TRUE(pair.echo.requests().empty()) << piece;
    }
}

TEST(Session, RunsStreamsSideBySide) {
    Pair pair;
    std::vector<uint32_t> streams;
    for (int at = 0; at < 100; ++at)
        streams.push_back(pair.client.post(std::string(50'000, static_cast<char>('a' + at % 26))));
    pair.run();
    for (size_t at = 0; at < streams.size(); ++at) {
        const Response& response = pair.client.response(streams[at]);
        EXPECT_EQ(response.body, std::string(50'000, static_cast<char>('a' + at % 26)));
        EXPECT_TRUE(response.closed);
    }
    EXPECT_TRUE(pair.echo.requests().empty());
}

TEST(Session, HeadHasNoBody) {
    Pair pair;
    const uint32_t stream = pair.client.request(Client::head("HEAD", "/", {}), nullptr);
    pair.run();
    EXPECT_EQ(pair.client.response(stream).fields, (Pairs{{"content-length", "13"}}));
    EXPECT_EQ(pair.client.response(stream).body, "");
    EXPECT_TRUE(pair.client.response(stream).closed);
}

TEST(Session, InterimResponsesComeFirst) {
    Pair pair;
    const uint32_t stream = pair.client.post("x", {}, {{"expect", "100-continue"}});
    pair.run();
    EXPECT_EQ(pair.client.response(stream).interim, (std::vector<std::string>{"100"}));
    EXPECT_EQ(pair.client.response(stream).status, "200");
}

TEST(Session, AWebSocketIsSwitchedBy200) {
    Pair pair;
    pair.run();  // the client must know that this server speaks RFC 8441
    nghttp2_data_provider provider = {
        {.ptr = nullptr},
        [](nghttp2_session*, int32_t, uint8_t*, size_t, uint32_t*, nghttp2_data_source*,
           void*) -> ssize_t { return NGHTTP2_ERR_DEFERRED; }};
    const uint32_t stream = pair.client.request({{":method", "CONNECT"},
                                                 {":protocol", "websocket"},
                                                 {":scheme", "http"},
                                                 {":path", "/chat"},
                                                 {":authority", "a"}},
                                                &provider);
    pair.run();
    EXPECT_EQ(pair.client.response(stream).status, "200");
    EXPECT_FALSE(pair.client.response(stream).closed);
    EXPECT_TRUE(pair.echo.requests()[stream].head.starts_with("GET /chat HTTP/1.1\r\n"));
}

TEST(Session, AnUnknownProtocolIsNotImplemented) {
    Pair pair;
    pair.run();
    const uint32_t stream = pair.client.request({{":method", "CONNECT"},
                                                 {":protocol", "connect-udp"},
                                                 {":scheme", "http"},
                                                 {":path", "/"},
                                                 {":authority", "a"}},
                                                nullptr);
    pair.run();
    EXPECT_EQ(pair.client.response(stream).status, "501");
    EXPECT_TRUE(pair.echo.requests().empty());
}

TEST(Session, AListTooLargeIsAnswered431) {
    Limits limits;
    limits.header_list_bytes_max = 1000;
    Pair pair(limits);
    const uint32_t stream = pair.client.get("/", {{"x", std::string(1000, 'y')}});
    pair.run();
    EXPECT_EQ(pair.client.response(stream).status, "431");
    EXPECT_EQ(pair.story(), "refused 431 1 The header list is larger than permitted.\n");
    const uint32_t next = pair.client.get();
    pair.run();
    EXPECT_EQ(pair.client.response(next).status, "200");
}

TEST(Session, AMalformedRequestIsReset) {
    Pair pair;
    const uint32_t host = pair.client.get("/", {{"host", "b"}});
    const uint32_t upper = pair.client.get("/", {{"connection", "close"}});
    const uint32_t good = pair.client.get("/");
    pair.run();
    EXPECT_EQ(pair.client.response(host).code, NGHTTP2_PROTOCOL_ERROR);
    EXPECT_EQ(pair.client.response(upper).code, NGHTTP2_PROTOCOL_ERROR);
    EXPECT_EQ(pair.client.response(good).status, "200");
    EXPECT_NE(pair.story().find("refused 0 3 "), std::string::npos) << pair.story();
}

TEST(Session, ABodyMustBeAsLongAsItSays) {
    Pair pair;
    const uint32_t stream = pair.client.post("12345", {}, {{"content-length", "4"}});
    pair.run();
    EXPECT_EQ(pair.client.response(stream).code, NGHTTP2_PROTOCOL_ERROR);
    EXPECT_NE(pair.story().find("reset 1 1\n"), std::string::npos) << pair.story();
    EXPECT_TRUE(pair.echo.requests().empty());
}

TEST(Session, AReaderWithoutAWindowHoldsALittleOnly) {
    Pair pair({}, 1 << 20, false);
    const uint32_t stream = pair.client.get();
    pair.run();
    EXPECT_EQ(pair.client.response(stream).body.size(), 65535U);
    EXPECT_EQ(pair.session().output().size(), 0U);  // nothing was taken beyond the window
    EXPECT_EQ(pair.echo.requests()[stream].out.size(), (1U << 20) - 65535U);
    pair.client.grant(stream, 1 << 20);
    pair.client.grant(0, 1 << 20);
    pair.run();
    EXPECT_EQ(pair.client.response(stream).body.size(), 1U << 20);
    EXPECT_TRUE(pair.client.response(stream).closed);
}

TEST(Session, AWindowOfOneByteIsUsed) {
    Pair pair({}, 5, false);
    pair.client.initial_window(1);
    const uint32_t stream = pair.client.get();
    pair.run();
    EXPECT_EQ(pair.client.response(stream).body, "x");
    for (int byte = 0; byte < 4; ++byte) {
        pair.client.grant(stream, 1);
        pair.run();
    }
    EXPECT_EQ(pair.client.response(stream).body, "xxxxx");
    EXPECT_TRUE(pair.client.response(stream).closed);  // the last byte carried the end
}

TEST(Session, ATransportThatIsSlowHoldsALittleOnly) {
    Limits limits;
    limits.output_bytes_max = 20'000;
    Pair pair(limits, 1 << 20);
    nghttp2_session_set_local_window_size(pair.client.codec(), 0, 0, 1 << 24);
    pair.client.initial_window(1 << 24);
    const uint32_t stream = pair.client.get();
    pair.session().feed(pair.client.output(), 0);
    EXPECT_GE(pair.session().output().size(), 20'000U);
    EXPECT_LE(pair.session().output().size(), 20'000U + 16384U + 9U);
    pair.down_bytes_max = 777;
    pair.run();
    EXPECT_EQ(pair.client.response(stream).body.size(), 1U << 20);
}

// Takes requests in and does nothing with them.
class Sink final : public Events {
  public:
    void on_request(uint32_t, std::string_view, const RequestInfo&) override { ++requests; }
    void on_data(uint32_t, std::string_view bytes) override { data += bytes.size(); }
    void on_end(uint32_t, std::string_view) override {}
    void on_reset(uint32_t, Code) override { ++resets; }
    void on_room(uint32_t) override {}
    void on_sent(uint32_t) override { ++sent; }
    void on_refused(uint32_t, uint16_t, std::string_view) override { ++refused; }

    size_t requests = 0;
    size_t data = 0;
    size_t resets = 0;
    size_t sent = 0;
    size_t refused = 0;
};

// What a session says to bytes that no client would send; the rest of its answer is read.
struct Raw {
    explicit Raw(const Limits& wanted = {}) : limits(wanted) {}
    void feed(const std::string& bytes) {
        session.feed(bytes, now_ms);
        read();
    }
    void read() {
        for (size_t size = 0; (size = session.output().size()) != 0; session.sent(size))
            sent += session.output();
    }
    const Limits limits;
    Sink sink;
    Session session{limits, sink};
    std::string sent;
    int64_t now_ms = 0;
};

std::string hello() { return std::string(kPreface) + frame(kSettings, 0, 0, ""); }

TEST(Session, ASenderGetsCreditForWhatWasTaken) {
    const Limits limits;
    Sink sink;
    Session session(limits, sink);
    Client client;
    const auto wire = [&] {
        for (int round = 0; round < 4; ++round) {
            session.feed(client.output(), 0);
            const std::string bytes(session.output());
            session.sent(bytes.size());
            client.feed(bytes);
        }
    };
    const uint32_t stream = client.post(std::string(200'000, 'u'));
    wire();
    EXPECT_EQ(sink.data, 65535U);
    session.consumed(stream, 40'000);
    wire();
    EXPECT_EQ(sink.data, 105'535U);
    session.consumed(stream, 65'535);
    wire();
    EXPECT_EQ(sink.data, 171'070U);
}

TEST(Session, AResetGivesTheConnectionItsCreditBack) {
    Limits limits;
    limits.connection_window_bytes = 65535;
    Sink sink;
    Session session(limits, sink);
    Client client;
    for (size_t round = 1; round <= 5; ++round) {
        const uint32_t stream = client.post(std::string(60'000, 'u'));
        session.feed(client.output(), 0);
        EXPECT_EQ(sink.data, 60'000 * round);
        session.reset(stream, Code::kCancel);
        const std::string bytes(session.output());
        session.sent(bytes.size());
        client.feed(bytes);
        EXPECT_EQ(client.response(stream).code, NGHTTP2_CANCEL);
    }
    EXPECT_EQ(sink.resets, 0U);  // the owner did it
    EXPECT_EQ(session.streams(), 0U);
}

TEST(Session, ThePeerMayCancel) {
    Pair pair({}, 1 << 20, false);
    const uint32_t stream = pair.client.get();
    pair.run();
    pair.client.cancel(stream);
    pair.run();
    EXPECT_TRUE(pair.story().ends_with("reset 1 8\n")) << pair.story();
    EXPECT_EQ(pair.session().streams(), 0U);
    EXPECT_EQ(pair.session().data(stream, "late", true), 4U);  // forgiven
}

TEST(Session, WhatWasResetIsNotSent) {
    const Limits limits;
    Sink sink;
    Session session(limits, sink);
    Client client;
    const uint32_t stream = client.get();
    session.feed(client.output(), 0);
    session.respond(stream, 204, "", true);
    const size_t size = session.output().size();
    session.reset(stream, Code::kCancel);
    session.sent(size);
    EXPECT_EQ(sink.sent, 0U);
}

TEST(Session, AnUploadThatNobodyNeedsIsStopped) {
    Limits limits;
    Sink sink;
    Session session(limits, sink);
    Client client;
    const uint32_t stream = client.post("begin", {}, {}, true);
    session.feed(client.output(), 0);
    session.respond(stream, 200, "Content-Length: 2\r\n", false);
    EXPECT_EQ(session.data(stream, "no", true), 2U);
    client.feed(session.output());
    EXPECT_EQ(client.response(stream).body, "no");
    EXPECT_TRUE(client.response(stream).closed);
    EXPECT_EQ(client.response(stream).code, 0U);
    EXPECT_EQ(session.streams(), 0U);
}

TEST(Session, DrainsInTwoSteps) {
    Pair pair({}, 13);
    pair.client.get();
    pair.run();
    const uint32_t open = pair.client.post("a", {}, {}, true);
    pair.run();
    pair.session().begin_drain();
    pair.run();
    ASSERT_EQ(pair.client.goaways().size(), 2U);
    EXPECT_EQ(pair.client.goaways()[0].last, 0x7FFFFFFF);
    EXPECT_EQ(pair.client.goaways()[1].last, static_cast<int32_t>(open));
    EXPECT_EQ(pair.client.goaways()[1].code, 0U);
    EXPECT_FALSE(pair.session().over());
    pair.client.send(open, "b", true);
    pair.run();
    EXPECT_EQ(pair.client.response(open).body, "ab");
    EXPECT_TRUE(pair.session().over());
}

TEST(Session, StreamsOfADrainedConnectionAreNotLookedAt) {
    Raw raw;
    raw.feed(hello() + frame(kHeaders, 5, 1, get_block()));
    raw.session.end_drain();
    raw.read();
    raw.feed(frame(kHeaders, 5, 3, get_block()));
    EXPECT_EQ(raw.sink.requests, 1U);
    raw.session.respond(1, 204, "", true);
    raw.read();
    EXPECT_TRUE(raw.session.over());
    EXPECT_EQ(raw.session.fault(), Fault::kNone);
}

TEST(Session, AnUpgradedRequestIsStreamOne) {
    Pair pair;
    const std::string settings;
    ASSERT_TRUE(pair.session().upgrade(settings, false));
    ASSERT_EQ(nghttp2_session_upgrade2(pair.client.codec(), nullptr, 0, 0, nullptr), 0);
    pair.session().respond(1, 200, "", false);
    EXPECT_EQ(pair.session().data(1, "upgraded", true), 8U);
    const uint32_t next = pair.client.get();
    pair.run();
    EXPECT_EQ(pair.client.response(1).body, "upgraded");
    EXPECT_TRUE(pair.client.response(1).closed);
    EXPECT_EQ(next, 3U);
    EXPECT_EQ(pair.client.response(next).status, "200");
}

TEST(Session, UrgentStreamsHearOfRoomFirst) {
    Limits limits;
    limits.output_bytes_max = 16'000;
    Pair pair(limits, 40'000);
    const uint32_t late = pair.client.get("/", {{"priority", "u=6"}});
    const uint32_t early = pair.client.get("/", {{"priority", "u=1"}});
    pair.run(4096);
    const std::string story = pair.story();
    EXPECT_LT(story.find("sent " + std::to_string(early)),
              story.find("sent " + std::to_string(late)));
    EXPECT_EQ(pair.client.response(late).body.size(), 40'000U);
}

void expect_end(Raw& raw, Fault fault) {
    EXPECT_EQ(raw.session.fault(), fault) << raw.session.fault_text();
    EXPECT_TRUE(raw.session.over());
    const std::string code = big_endian(static_cast<uint32_t>(describe(fault).code), 4);
    EXPECT_NE(raw.sent.find(code + std::string(describe(fault).detail)), std::string::npos);
}

TEST(Abuse, TooManyResets) {
    Raw raw;
    raw.feed(hello());
    for (uint32_t stream = 1; raw.session.fault() == Fault::kNone && stream < 1000; stream += 2)
        raw.feed(frame(kHeaders, 5, stream, get_block()) +
                 frame(kRstStream, 0, stream, big_endian(8, 4)));
    EXPECT_EQ(raw.sink.requests, 201U);
    expect_end(raw, Fault::kResetFlood);
}

TEST(Abuse, TooManyResetsByThePeersOwnErrors) {
    Raw raw;
    raw.feed(hello());
    for (uint32_t stream = 1; raw.session.fault() == Fault::kNone && stream < 1000; stream += 2)
        raw.feed(frame(kHeaders, 5, stream, get_block()) +
                 frame(kWindowUpdate, 0, stream, big_endian(0x7FFFFFFF, 4)));
    EXPECT_LE(raw.sink.requests, 202U);
    expect_end(raw, Fault::kResetFlood);
}

TEST(Abuse, ContinuationsWithoutEnd) {
    Raw raw;
    std::string bytes = hello() + frame(kHeaders, 1, 1, get_block());
    for (int at = 0; at < 100; ++at) bytes += frame(kContinuation, 0, 1, literal("x", "y"));
    raw.feed(bytes);
    EXPECT_EQ(raw.sink.requests, 0U);
    expect_end(raw, Fault::kContinuationFlood);
}

TEST(Abuse, PingsSettingsAndEmptyFrames) {
    const struct {
        std::string frame;
        Fault fault;
    } kinds[] = {
        {frame(kPing, 0, 0, "12345678"), Fault::kPingFlood},
        {frame(kSettings, 0, 0, ""), Fault::kSettingsFlood},
        {frame(kPriority, 0, 1, big_endian(3, 4) + "x"), Fault::kPriorityFlood},
        {frame(kData, 0, 1, ""), Fault::kEmptyFrameFlood},
        {frame(kWindowUpdate, 0, 0, big_endian(1, 4)), Fault::kWindowUpdateFlood},
    };
    for (const auto& kind : kinds) {
        Raw raw;
        raw.feed(hello() + frame(kHeaders, 4, 1, get_block()));
        for (int at = 0; at < 1001; ++at) raw.feed(kind.frame);
        expect_end(raw, kind.fault);
    }
}

TEST(Abuse, FramesInTheirPeriodAreNoFlood) {
    Raw raw;
    raw.feed(hello());
    for (int at = 0; at < 5000; ++at) {
        raw.now_ms += 20;
        raw.feed(frame(kPing, 0, 0, "12345678"));
    }
    EXPECT_EQ(raw.session.fault(), Fault::kNone);
}

TEST(Abuse, AHeaderBombEnds) {
    Limits limits;
    limits.header_list_bytes_max = 4096;
    Raw raw(limits);
    // One field of 3 KB enters the table; each byte 0xBE repeats it.
    std::string block = get_block() + std::string("\x40\x01x\x7F\xB9\x16", 6);
    block += std::string(127 + 0x39 + (0x16 << 7), 'v') + std::string(2000, '\xBE');
    raw.feed(hello() + frame(kHeaders, 5, 1, block));
    EXPECT_EQ(raw.sink.requests, 0U);
    expect_end(raw, Fault::kHeaderBomb);
}

TEST(Abuse, APeerThatDoesNotReadIsGivenUp) {
    Limits limits;
    limits.pings_max = 0;
    Raw raw(limits);
    raw.session.feed(hello(), 0);
    for (int at = 0; at < 100'000 && raw.session.fault() == Fault::kNone; ++at)
        raw.session.feed(frame(kPing, 0, 0, "12345678"), 0);
    EXPECT_EQ(raw.session.fault(), Fault::kOutputFlood);
    EXPECT_LE(raw.session.unsent().size(), limits.output_bytes_max + 100);
}

TEST(Abuse, WhatIsNoHttp2Ends) {
    Raw raw;
    raw.feed("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    EXPECT_EQ(raw.session.fault(), Fault::kPreface);
    EXPECT_TRUE(raw.session.over());
}

TEST(Abuse, TheCodecsVerdictIsInTheLog) {
    Raw raw;
    raw.feed(hello() + frame(kData, 0, 0, "x"));
    EXPECT_EQ(raw.session.fault(), Fault::kProtocol);
    EXPECT_EQ(raw.session.code(), Code::kProtocolError);
    EXPECT_TRUE(raw.session.fault_text().starts_with("h2-protocol: The peer broke"))
        << raw.session.fault_text();
    EXPECT_TRUE(raw.session.over());
}

}  // namespace
}  // namespace mono::http2

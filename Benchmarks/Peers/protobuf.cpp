// protobuf C++ and zstd on the session row of docs/BENCHMARKS.md.
//   protobuf ROWS SCALE PASSES      prints lines as caesura-bench does
#include <zstd.h>

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "session.pb.h"

struct Session {
    uint64_t id, user;
    int64_t created, lastSeen;
    uint32_t visits, ip;
    uint8_t flags;
    double cart;
    std::string token, country;

    explicit Session(uint64_t i) {
        static const char *countries[] = {"US", "DE", "IN", "BR", "JP"};
        uint64_t h = i * 0x9E3779B97F4A7C15ull;
        id = h;
        user = i;
        created = 1700000000000 + int64_t(i % 86400000);
        lastSeen = 1700000100000 + int64_t(h % 86400000);
        visits = uint32_t(h % 977);
        ip = uint32_t(h >> 13);
        flags = h & 7;
        cart = double(h % 100000) / 100;
        char digits[33];
        snprintf(digits, sizeof digits, "%016" PRIx64 "%016" PRIx64, h, h * 31);
        token = digits;
        country = countries[h % 5];
    }
};

static double best(int passes, size_t rows, auto body) {
    double least = 1e300;
    for (int pass = 0; pass < passes; pass++) {
        auto start = std::chrono::steady_clock::now();
        body();
        std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - start;
        least = std::min(least, time.count());
    }
    return least / double(rows);
}

static void set(caesura::benchmarks::SessionMessage &message, const Session &row) {
    message.set_id(row.id);
    message.set_user(row.user);
    message.set_created(row.created);
    message.set_last_seen(row.lastSeen);
    message.set_visits(row.visits);
    message.set_ip(row.ip);
    message.set_flags(row.flags);
    message.set_cart(row.cart);
    message.set_token(row.token);
    message.set_country(row.country);
}

int main(int argc, char **argv) {
    if (argc != 4) return fprintf(stderr, "usage: protobuf ROWS SCALE PASSES\n"), 2;
    size_t rows = strtoull(argv[1], nullptr, 10);
    const char *scale = argv[2];
    int passes = atoi(argv[3]);
    auto report = [&](const char *metric, const char *subject, const char *unit, double value) {
        printf("result\t%s\t%s\t%s\t%s\t\t%.6g\n", metric, subject, scale, unit, value);
    };
    std::vector<Session> sessions;
    sessions.reserve(rows);
    for (size_t i = 0; i < rows; i++) sessions.emplace_back(i);

    // Populating alone: the sum keeps it from being optimised away.
    caesura::benchmarks::SessionMessage message;
    uint64_t sum = 0;
    double populate = best(passes, rows, [&] {
        for (const Session &row : sessions) {
            set(message, row);
            sum += message.token().size() + message.user();
        }
    });

    std::vector<uint8_t> output(rows * 110);
    size_t size = 0;
    double both = best(passes, rows, [&] {
        uint8_t *end = output.data();
        for (const Session &row : sessions) {
            set(message, row);
            // The longest row takes less than 128 bytes, so its length is one byte.
            *end++ = uint8_t(message.ByteSizeLong());
            end = message.SerializeWithCachedSizesToArray(end);
        }
        size = size_t(end - output.data());
    });
    double parse = best(passes, rows, [&] {
        for (const uint8_t *p = output.data(), *end = p + size; p < end; p += 1 + *p) {
            if (!message.ParseFromArray(p + 1, *p)) abort();
            sum += message.user();
        }
    });

    const size_t block = 1 << 20;
    std::vector<uint8_t> packed(ZSTD_compressBound(block)), plain(block);
    std::vector<std::vector<uint8_t>> blocks;
    size_t packedSize = 0;
    ZSTD_CCtx *compressor = ZSTD_createCCtx();
    double compress = best(1, rows, [&] {
        for (size_t at = 0; at < size; at += block) {
            size_t n = ZSTD_compressCCtx(compressor, packed.data(), packed.size(),
                                         output.data() + at, std::min(block, size - at), 3);
            blocks.emplace_back(packed.begin(), packed.begin() + n);
            packedSize += n;
        }
    });
    ZSTD_DCtx *decompressor = ZSTD_createDCtx();
    double decompress = best(1, rows, [&] {
        for (auto &b : blocks)
            sum += ZSTD_decompressDCtx(decompressor, plain.data(), block, b.data(), b.size());
    });

    report("encode", "protobuf C++, only setting fields", "ns/row", populate);
    report("encode", "protobuf C++", "ns/row", both);
    report("restore; peers: parse", "protobuf C++", "ns/row", parse);
    report("encoded size", "protobuf C++", "B/row", double(size) / rows);
    report("encode", "protobuf C++, zstd 3", "ns/row", both + compress);
    report("restore; peers: parse", "protobuf C++, zstd 3", "ns/row", parse + decompress);
    report("encoded size", "protobuf C++, zstd 3", "B/row", double(packedSize) / rows);
    uint64_t digest = 0xcbf29ce484222325ull;
    size_t at = 0;
    for (int row = 0; row < 1000; row++) {
        for (size_t end = at + 1 + output[at]; at < end; at++)
            digest = (digest ^ output[at]) * 0x100000001b3ull;
    }
    printf("digest\tprotobuf C++\t%" PRIu64 "\n", digest);
    fprintf(stderr, "checksum %" PRIu64 "\n", sum);
}

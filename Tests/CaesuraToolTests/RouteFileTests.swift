import CaesuraRoutes
import Foundation
import Testing

@testable import CaesuraTool

/// Real dumps, where the machine has them: in `$CAESURA_DATA`, or in `shared/data` beside the checkout.
enum RealData {
    static let directory: String? = {
        let checkout = URL(filePath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let candidates: [String?] = [
            ProcessInfo.processInfo.environment["CAESURA_DATA"],
            checkout.deletingLastPathComponent().appending(path: "shared/data").path,
        ]
        return candidates.compactMap { $0 }
            .first { FileManager.default.fileExists(atPath: $0 + "/routes") }
    }()

    static let comment: Comment =
        "no real dumps here: set CAESURA_DATA to a directory with routes/ in it"
}

@Suite struct RouteFileTests {
    @Test(.enabled(if: RealData.directory != nil, RealData.comment))
    func `every line of a full routing table is printed back byte for byte`() throws {
        let directory = try #require(RealData.directory)
        let path = directory + "/routes/rib.20100701.0759.txt.gz"
        let counted = try printBack(path)
        #expect(counted.same == 641_957)
        #expect(counted.different == 0)
        #expect(counted.bad.count == 0)
    }

    @Test func `lines are found however the file is cut`() throws {
        // Longer than the reader's buffer, so that lines straddle its end; the last has no line feed.
        let line = "BGP4MP|1|W|10.0.0.1|1|10.0.0.0/8"
        let count = 80_000
        let text = Array(repeating: line, count: count).joined(separator: "\n")
        try withFile(Data(text.utf8)) { path in
            let counted = try printBack(path)
            #expect(counted.same == count)
            #expect(counted.different == 0)
            #expect(counted.bad.count == 0)
        }
    }

    @Test func `an empty file has no lines`() throws {
        try withFile(Data()) { path in
            let counted = try printBack(path)
            #expect(counted.same == 0)
            #expect(counted.bad.count == 0)
        }
    }

    @Test func `bad lines are counted by reason and keep their line numbers`() throws {
        let tooLong = String(repeating: "x", count: 3 * 1024 * 1024)
        let text =
            "BGP4MP|1|W|10.0.0.1|1|10.0.0.0/8\n\nBGP4MP|1|X|\n\(tooLong)\nBGP4MP|1|A|1.1.1.1|-|\n"
        try withFile(Data(text.utf8)) { path in
            let counted = try printBack(path)
            #expect(counted.same == 1)
            #expect(
                counted.bad.counts == [
                    .unknownRecord: 1, .unknownKind: 1, .lineTooLong: 1, .malformedNumber: 1,
                ])
            #expect(
                counted.bad.text == """
                    4 bad lines, left out:
                               1  the line is too long
                               1  the number is malformed
                               1  the kind is not one this record can have
                               1  the record is not one that bgpdump -m prints
                      f, line 2, column 1: the record is not one that bgpdump -m prints
                      f, line 3, column 10: the kind is not one this record can have
                      f, line 4, column 65536: the line is too long
                      f, line 5, column 20: the number is malformed

                    """)
        }
    }

    @Test func `a gzip file that was cut short is an error, not a short table`() throws {
        let zipped = try Data(
            contentsOf: URL(filePath: gzipped("BGP4MP|1|W|10.0.0.1|1|10.0.0.0/8\n")))
        try withFile(zipped.dropLast(9)) { path in
            let error = #expect(throws: ToolError.self) { try printBack(path) }
            #expect(
                error
                    == ToolError(
                        "cannot unpack \(path): unexpected end of file",
                        hint: "fetch the file again; gzip -t \(path) checks it"))
        }
    }

    @Test func `gzip members glued together are one file, and zeros may follow`() throws {
        let zipped = try Data(
            contentsOf: URL(filePath: gzipped("BGP4MP|1|W|10.0.0.1|1|10.0.0.0/8\n")))
        try withFile(zipped + zipped + Data(count: 512)) { path in
            let counted = try printBack(path)
            #expect(counted.same == 2)
            #expect(counted.bad.count == 0)
        }
    }

    @Test func `bytes behind a gzip member that are not gzip are an error`() throws {
        let zipped = try Data(
            contentsOf: URL(filePath: gzipped("BGP4MP|1|W|10.0.0.1|1|10.0.0.0/8\n")))
        try withFile(zipped + Data("garbage".utf8)) { path in
            #expect(
                throws: ToolError(
                    "cannot unpack \(path): byte \(zipped.count) and those behind it are not gzip",
                    hint: "fetch the file again; gzip -t \(path) checks it")
            ) { try printBack(path) }
        }
    }

    @Test func `a carriage return before the line feed is no part of the line`() throws {
        let line = "BGP4MP|1|W|10.0.0.1|1|10.0.0.0/8"
        try withFile(Data("\(line)\r\n\(line)\r\n\(line)\r".utf8)) { path in
            let counted = try printBack(path)
            #expect(counted.same == 3)
            #expect(counted.bad.count == 0)
        }
    }

    @Test(arguments: [LineReader.maximumLineByteCount + 1, 200_000, 3_000_000])
    func `a line beyond the limit is too long wherever it lies`(byteCount: Int) throws {
        let line = "BGP4MP|1|W|10.0.0.1|1|10.0.0.0/8"
        let tooLong = String(repeating: "x", count: byteCount)
        for text in ["\(line)\n\(tooLong)\n\(line)\n", "\(line)\n\(line)\n\(tooLong)"] {
            try withFile(Data(text.utf8)) { path in
                let counted = try printBack(path)
                #expect(counted.same == 2)
                #expect(counted.bad.counts == [.lineTooLong: 1])
            }
        }
    }

    @Test func `a gzip file with a flipped bit is an error`() throws {
        var zipped = try Data(
            contentsOf: URL(filePath: gzipped("BGP4MP|1|W|10.0.0.1|1|10.0.0.0/8\n")))
        zipped[zipped.count - 6] ^= 1
        try withFile(zipped) { path in
            #expect(throws: ToolError.self) { try printBack(path) }
        }
    }

    @Test func `a missing file is named in the error`() {
        #expect(
            throws: ToolError(
                "cannot open /no/such/file: No such file or directory",
                hint: "name a file that is there")
        ) { try printBack("/no/such/file") }
    }

    @Test func `a directory is refused`() {
        #expect(throws: ToolError("/ is a directory", hint: "name a file of route lines")) {
            try printBack("/")
        }
    }

    @Test func `MRT and bzip2 are told from text by their first bytes`() {
        #expect(!RouteInput.isBinary(Array("TABLE_DUMP2|1277".utf8)))
        #expect(!RouteInput.isBinary(Array("BGP4MP_ET|1445565".utf8)))
        #expect(!RouteInput.isBinary([]))
        #expect(RouteInput.isBinary([0x3D, 0x3C, 0x8F, 0x3F, 0, 12, 0, 1, 0, 0, 0, 60, 0, 0]))
        #expect(RouteInput.isBinary(Array("BZh91AY&SY".utf8)))
    }

    // MARK: Shorthand

    private struct Counted {
        var same = 0
        var different = 0
        var bad = BadLines()
    }

    private func printBack(_ path: String) throws -> Counted {
        var counted = Counted()
        var opened = try RouteInput.open(path)
        var parser = RouteLineParser()
        var writer = RouteLineWriter()
        reading: while true {
            let number = opened.reader.lineNumber + 1
            let found = try opened.reader.next { line in
                do throws(RouteLineError) {
                    writer.removeAll()
                    writer.append(try parser.parse(line, number: number))
                    let same = unsafe line.withUnsafeBufferPointer { line in
                        // memcmp: a loop of ours takes most of the test's time in a debug build.
                        unsafe writer.bytes.count == line.count + 1
                            && memcmp(writer.bytes, line.baseAddress!, line.count) == 0
                    }
                    if same { counted.same += 1 } else { counted.different += 1 }
                } catch {
                    counted.bad.record(error, file: "f")
                }
            }
            switch found {
            case .line: break
            case .tooLong:
                counted.bad.record(
                    RouteLineError(
                        .lineTooLong, line: number, column: LineReader.maximumLineByteCount),
                    file: "f")
            case .end: break reading
            }
        }
        try opened.finish()
        return counted
    }

    private func withFile(_ data: Data, _ body: (String) throws -> Void) throws {
        let path = FileManager.default.temporaryDirectory
            .appending(path: "caesura-\(UUID().uuidString)")
        try data.write(to: path)
        defer { try? FileManager.default.removeItem(at: path) }
        try body(path.path)
    }

    private func gzipped(_ text: String) throws -> String {
        let path = FileManager.default.temporaryDirectory
            .appending(path: "caesura-\(UUID().uuidString)")
        try Data(text.utf8).write(to: path)
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["gzip", path.path]
        try process.run()
        process.waitUntilExit()
        return path.path + ".gz"
    }
}

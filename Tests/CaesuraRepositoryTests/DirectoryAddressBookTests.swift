import CaesuraMigration
import Testing

@testable import CaesuraRepository

/// Where nodes are, in a directory.
@Suite struct DirectoryAddressBookTests {
    private func addresses(_ port: UInt16, service: Bool = false) -> NodeAddresses {
        NodeAddresses(
            node: NetworkAddress(host: "::1", port: port),
            service: service ? NetworkAddress(host: "a.example", port: 80) : nil)
    }

    @Test func `the last address of each node is found, whatever its name is`() async throws {
        let book = DirectoryAddressBook(storage: MemoryStorage())
        let names = ["a", "b/../c", "ä\u{0}", String(repeating: "n", count: 255)]
        for name in names {
            #expect(try await book.addresses(of: name) == nil)
            for port in 1...3 as ClosedRange<UInt16> {
                try await book.publish(addresses(port, service: port == 2), of: name)
                let found = try await book.addresses(of: name)
                #expect(found == addresses(port, service: port == 2))
            }
        }
        for name in names { #expect(try await book.addresses(of: name) == addresses(3)) }
    }

    @Test func `a crash while an address is said leaves that or the one before`() async throws {
        let whole = MemoryStorage()
        let book = DirectoryAddressBook(storage: whole)
        try await book.publish(addresses(1), of: "a")
        let begin = whole.operations
        try await book.publish(addresses(2), of: "a")
        let seed = UInt64.random(in: 0 ... .max)
        print("crash images from seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        for operation in begin..<whole.operations {
            let storage = MemoryStorage()
            storage.plan(.crash(at: operation))
            let book = DirectoryAddressBook(storage: storage)
            try await book.publish(addresses(1), of: "a")
            try? await book.publish(addresses(2), of: "a")
            for image in 0..<8 {
                let next = storage.image {
                    image == 0 ? false : image == 1 ? true : Bool.random(using: &generator)
                }
                let book = DirectoryAddressBook(storage: next)
                let found = try await book.addresses(of: "a")
                #expect(
                    found == addresses(1) || found == addresses(2),
                    "operation \(operation), seed \(seed): \(String(describing: found))")
                try await book.publish(addresses(3), of: "a")
                #expect(try await book.addresses(of: "a") == addresses(3))
            }
        }
    }

    @Test(
        arguments: [
            ("a.example:80", "a.example", 80), ("127.0.0.1:0", "127.0.0.1", 0),
            ("[::1]:65535", "::1", 65_535),
        ] as [(String, String, UInt16)])
    func `an address is read as it is printed`(text: String, host: String, port: UInt16) {
        let address = NetworkAddress(text)
        #expect(address == NetworkAddress(host: host, port: port))
        #expect(address?.description == text)
    }

    @Test(arguments: ["", ":", ":80", "a", "a:", "a:65536", "a:-1", "::1:80", "[]:80", "a:8 0"])
    func `what is no address is none`(text: String) { #expect(NetworkAddress(text) == nil) }
}

/// JSON whose last member is the digest of every byte before the digest's own digits: `docs/REPOSITORY.md`
/// section 4.1.
enum SealedJSON {
    /// What follows the digest's digits, to the end of the file.
    static let ending = Array("\"\n}\n".utf8)
    private static let opening = Array("\"digest\": \"".utf8)
    private static let digits = 32

    /// Ends a document with its digest.
    static func seal(_ json: consuming JSONWriter) -> [UInt8] {
        json.begin("digest")
        let covered = json.bytes + CollectionOfOne(UInt8(ascii: "\""))
        let digest = unsafe Digest(of: covered.span.bytes)
        return covered + Array(digest.description.utf8) + ending
    }

    /// Checks a document's digest, before anything else is read: so damage is told from a newer version.
    static func check(_ bytes: [UInt8], _ what: String, _ path: String) throws(RepositoryError) {
        let covered = bytes.count - digits - ending.count
        guard covered >= opening.count, bytes.suffix(ending.count).elementsEqual(ending),
            bytes[covered - opening.count..<covered].elementsEqual(opening),
            let stated = Digest(String(decoding: bytes[covered..<covered + digits], as: UTF8.self))
        else {
            throw RepositoryError(
                .damaged, "the \(what) does not end in its digest: it is cut short or damaged",
                path: path, offset: max(0, covered))
        }
        let actual = unsafe Digest(of: bytes.span.bytes.extracting(first: covered))
        guard stated == actual else {
            throw RepositoryError(
                .damaged, "the \(what)'s digest is \(actual), and it says \(stated)", path: path,
                offset: covered)
        }
    }
}

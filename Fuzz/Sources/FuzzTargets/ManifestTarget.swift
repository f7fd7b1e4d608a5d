import CaesuraFormat
import CaesuraRepository

extension FuzzTarget {
    /// The input is a manifest whose digest is made to fit.
    ///
    /// Only `Fuzz/run` has it, because with the repository comes the store and with it the macros'
    /// compiler, minutes of building that a replay is spared. `ManifestTests` replays its regressions.
    static let manifest = unsafe FuzzTarget(
        name: "manifest",
        seeds: { [] },
        run: { input in
            let bytes = fitDigest(unsafe [UInt8](input))
            guard let manifest = try? Manifest(parsing: bytes, path: "fuzz") else { return }
            guard let again = try? Manifest(parsing: manifest.encoded, path: "fuzz") else {
                fatalError("a manifest that was read cannot be written and read again")
            }
            law(again == manifest, "a manifest comes back as it went")
            law(
                manifest.metadata.regions == manifest.regions.map(\.schema),
                "a sound manifest has sound regions")
        })

    private static func fitDigest(_ bytes: [UInt8]) -> [UInt8] {
        let opening = Array("\"digest\": \"".utf8)
        let ending = Array("\"\n}\n".utf8)
        var covered = bytes
        if bytes.count >= 32 + ending.count, bytes.suffix(ending.count).elementsEqual(ending) {
            covered.removeLast(32 + ending.count)
        }
        if !covered.suffix(opening.count).elementsEqual(opening) { covered += opening }
        let digest = unsafe Digest(of: covered.span.bytes)
        return covered + Array(digest.description.utf8) + ending
    }
}

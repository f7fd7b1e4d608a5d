// Runs the fuzz targets over their seeds and regressions, without libFuzzer.
//
//     Replay REGRESSIONS             runs every file of REGRESSIONS/<target>/
//     Replay --write-seeds FOLDER    writes the seeds to FOLDER/<target>/

import Foundation
import FuzzTargets

func fail(_ sentence: String) -> Never {
    FileHandle.standardError.write(Data("replay: error: \(sentence)\n".utf8))
    exit(1)
}

func writeSeeds(to folder: URL) throws {
    for target in FuzzTarget.all {
        let folder = folder.appending(path: target.name)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for (index, seed) in target.seeds().enumerated() {
            try Data(seed).write(to: folder.appending(path: "seed-\(index)"))
        }
    }
}

func replay(_ folder: URL) throws {
    for target in FuzzTarget.all {
        let seeds = target.seeds()
        for seed in seeds { unsafe seed.withUnsafeBytes { unsafe target.run($0) } }
        let folder = folder.appending(path: target.name)
        var files: [URL] = []
        if FileManager.default.fileExists(atPath: folder.path) {
            files = try FileManager.default.contentsOfDirectory(
                at: folder, includingPropertiesForKeys: nil)
        }
        for file in files.sorted(by: { $0.path < $1.path }) {
            // Printed first, so that a trap shows which file it was.
            print("\(target.name)/\(file.lastPathComponent)")
            let bytes = [UInt8](try Data(contentsOf: file))
            unsafe bytes.withUnsafeBytes { unsafe target.run($0) }
        }
        print("\(target.name): \(seeds.count) seeds, \(files.count) files")
    }
}

let arguments = Array(CommandLine.arguments.dropFirst())
do {
    if arguments.count == 2, arguments[0] == "--write-seeds" {
        try writeSeeds(to: URL(filePath: arguments[1]))
    } else if arguments.count == 1 {
        try replay(URL(filePath: arguments[0]))
    } else {
        fail("give a folder of regressions, or --write-seeds and a folder")
    }
} catch {
    fail("\(error)")
}

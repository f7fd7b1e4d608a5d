import CMachine
import Foundation

/// What the kernel says of this process.
enum Memory {
    /// Resident anonymous bytes: heap, stacks and anonymous mappings, without the program's files.
    static func residentBytes() -> Int {
        machine_trim()
        return residentBytesAsIs()
    }

    /// The same, with the free heap that the process has not given back.
    static func residentBytesAsIs() -> Int {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        for line in status.split(separator: "\n") where line.hasPrefix("RssAnon:") {
            return (line.split(separator: " ").compactMap { Int($0) }.first ?? 0) * 1024
        }
        return 0
    }

    /// Bytes that could still be allocated on this machine.
    static func availableBytes() -> Int {
        let info = (try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8)) ?? ""
        for line in info.split(separator: "\n") where line.hasPrefix("MemAvailable:") {
            return (line.split(separator: " ").compactMap { Int($0) }.first ?? 0) * 1024
        }
        return 0
    }
}

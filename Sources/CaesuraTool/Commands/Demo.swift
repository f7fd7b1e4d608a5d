import ArgumentParser
import Foundation

struct Demo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Save a million sessions under load, the usual way and with Caesura.")

    func run() async throws {}
}

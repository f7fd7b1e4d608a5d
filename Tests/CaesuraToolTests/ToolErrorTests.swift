import ArgumentParser
import Foundation
import Testing

@testable import CaesuraTool

@Suite struct ToolErrorTests {
    @Test func `an error says what happened, then what to do`() {
        let error = ToolError("cannot open rib.gz: Permission denied", hint: "try sudo")
        #expect(
            error.text == """
                caesura: error: cannot open rib.gz: Permission denied
                caesura: hint: try sudo

                """)
    }

    @Test func `an error without a hint is one line`() {
        #expect(ToolError.interrupted.text == "caesura: error: interrupted\n")
        #expect(ToolError.interrupted.exitCode.rawValue == 130)
    }

    @Test func `an error of Foundation's is told in the system's words`() {
        let error = CocoaError(
            .fileWriteOutOfSpace, userInfo: [NSUnderlyingErrorKey: POSIXError(.ENOSPC)])
        #expect(failureText(error) == "No space left on device")
        #expect(
            ToolError(writing: "report.html", error)
                == ToolError(
                    "cannot write report.html: No space left on device",
                    hint: "make room on that file system"))
    }

    @Test func `an error that nobody expected is no usage error`() {
        let error = CaesuraCommand.parserError(POSIXError(.EIO))
        #expect(error == ToolError("Input/output error"))
        #expect(error.exitCode.rawValue == 1)
    }

    @Test func `a wrong command line is a usage error`() {
        let error = #expect(throws: (any Error).self) {
            try CaesuraCommand.parseAsRoot(["demo", "--nonsense"])
        }
        let usage = error.map { CaesuraCommand.usageError($0) }
        #expect(
            usage?.text == """
                caesura: error: unknown option '--nonsense'
                caesura: hint: caesura demo --help shows how it is used

                """)
        #expect(usage?.exitCode.rawValue == 64)
    }
}

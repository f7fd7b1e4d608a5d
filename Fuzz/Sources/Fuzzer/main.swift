// libFuzzer over one of the targets: `Fuzz/run` builds and starts it.

import FuzzTargets
import Glibc

/// What libFuzzer's own `main` calls; SwiftPM gives an executable a `main` of ours.
@_silgen_name("LLVMFuzzerRunDriver")
func runLibFuzzer(
    _ argc: UnsafeMutablePointer<CInt>,
    _ argv: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ tryOneInput: @convention(c) (UnsafeRawPointer?, Int) -> CInt
) -> CInt

let target: FuzzTarget = {
    let name = unsafe getenv("FUZZ_TARGET").map { unsafe String(cString: $0) } ?? ""
    guard let target = FuzzTarget.named(name) else {
        fatalError("FUZZ_TARGET is one of \(FuzzTarget.all.map(\.name))")
    }
    return target
}()

var argc = CommandLine.argc
var argv = unsafe CommandLine.unsafeArgv
let status = unsafe runLibFuzzer(&argc, &argv) { start, count in
    unsafe target.run(UnsafeRawBufferPointer(start: start, count: count))
    return 0
}
exit(status)

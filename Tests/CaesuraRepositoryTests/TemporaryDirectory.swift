import Glibc

/// A directory that is removed when it goes out of use.
final class TemporaryDirectory {
    let path: String

    init() {
        var template = Array("/tmp/caesura-test-XXXXXX".utf8CString)
        // SAFETY: mkdtemp writes into the array and no further than its terminator.
        path = unsafe template.withUnsafeMutableBufferPointer {
            unsafe String(cString: mkdtemp($0.baseAddress!))
        }
    }

    deinit { remove(path) }

    private func remove(_ path: String) {
        if let directory = unsafe opendir(path) {
            var names: [String] = []
            while let entry = unsafe readdir(directory) {
                // SAFETY: the entry is valid until the next readdir, and its name is terminated.
                names.append(
                    unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                        unsafe String(
                            cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
                    })
            }
            unsafe closedir(directory)
            for name in names where name != "." && name != ".." { remove(path + "/" + name) }
            _ = unsafe rmdir(path)
        } else {
            _ = unsafe unlink(path)
        }
    }
}

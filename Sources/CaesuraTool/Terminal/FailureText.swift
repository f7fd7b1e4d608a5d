import Foundation

/// The system's words for what the last failed call left in `errno`.
func systemErrorText(_ code: Int32) -> String {
    unsafe String(cString: strerror(code))
}

/// What a system call left in `errno`, if one is behind the error.
func systemErrorCode(_ error: any Error) -> Int32? {
    let error = error as NSError
    if error.domain == NSPOSIXErrorDomain { return Int32(error.code) }
    return (error.userInfo[NSUnderlyingErrorKey] as? any Error).flatMap(systemErrorCode)
}

/// The words for an error of any kind: the system's, where a system call is behind it.
func failureText(_ error: any Error) -> String {
    systemErrorCode(error).map(systemErrorText) ?? error.localizedDescription
}

extension ToolError {
    /// A file could not be opened; `code` is what the call left in `errno`.
    init(opening path: String, code: Int32) {
        let hint: String? =
            switch code {
            case ENOENT: "name a file that is there"
            case EACCES, EPERM: "run as a user who may read it, or give this user the right to"
            case EMFILE, ENFILE: "raise the limit on open files (ulimit -n)"
            case ENOTDIR: "a part of that path is a file, not a directory"
            case ENAMETOOLONG: "file systems take names of up to 255 bytes"
            default: nil
            }
        self.init("cannot open \(path): \(systemErrorText(code))", hint: hint)
    }

    /// A file could not be written.
    init(writing path: String, _ error: any Error) {
        let hint: String? =
            switch systemErrorCode(error) {
            case ENOSPC, EDQUOT: "make room on that file system"
            case EACCES, EPERM: "run as a user who may write there, or name another place"
            case EFBIG: "raise the limit on the size of files (ulimit -f)"
            default: nil
            }
        self.init("cannot write \(path): \(failureText(error))", hint: hint)
    }
}

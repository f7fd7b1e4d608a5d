import Foundation

/// Descriptors 0, 1 and 2, which a caller may have closed.
enum StandardDescriptors {
    /// Takes the closed ones, so that no file opened later gets their numbers and with it what is printed.
    ///
    /// Each is opened the wrong way round: using it fails, as it does where it is closed.
    static func occupy() {
        for (descriptor, mode) in [
            (STDIN_FILENO, O_WRONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_RDONLY),
        ] where fcntl(descriptor, F_GETFD) < 0 {
            // The lowest number is given out, and those below are taken.
            _ = unsafe open("/dev/null", mode)
        }
    }
}

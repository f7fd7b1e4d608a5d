import Foundation

/// The system's words for what the last failed call left in `errno`.
func systemErrorText(_ code: Int32) -> String {
    unsafe String(cString: strerror(code))
}

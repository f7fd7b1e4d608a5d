internal import CZstd

/// Whether chunks are compressed after their columns are coded.
///
/// Column codings come first and take most of what there is to take; compression pays for text.
public enum Compression: Hashable, Sendable {
    /// Bodies are stored as they are.
    case none
    /// Each body is one zstd frame, where that is shorter.
    ///
    /// The level is one of the zstd library's, usually -5...19.
    case zstd(level: Int)
}

/// A zstd compressor whose memory is kept from chunk to chunk.
@safe
struct ZstdCompressor: ~Copyable {
    /// Made when it is first needed: most streams are not compressed.
    private var context: OpaquePointer?

    deinit { unsafe ZSTD_freeCCtx(context) }

    /// Appends `source` as one frame that states its content size; false, with nothing appended, when
    /// that is not shorter than `source`.
    mutating func compress(
        _ source: UnsafeRawBufferPointer, level: Int, into writer: inout ByteWriter
    ) -> Bool {
        guard source.count > 1 else { return false }
        if unsafe context == nil { unsafe context = ZSTD_createCCtx() }
        guard unsafe context != nil else { fatalError("no memory for zstd") }
        let bound = ZSTD_compressBound(source.count)
        let target = unsafe writer.reserve(bound)
        // SAFETY: `target` has room for `bound` bytes, which zstd is told.
        let size = unsafe ZSTD_compressCCtx(
            context, target, bound, source.baseAddress, source.count, Int32(clamping: level))
        guard ZSTD_isError(size) == 0, size < source.count else { return false }
        writer.advance(by: size)
        return true
    }
}

/// A zstd decompressor whose memory is kept from chunk to chunk.
@safe
struct ZstdDecompressor: ~Copyable {
    /// Made when it is first needed: most streams are not compressed.
    private var context: OpaquePointer?

    deinit { unsafe ZSTD_freeDCtx(context) }

    /// Appends the content of the one frame that `source` is.
    ///
    /// - Parameters:
    ///   - length: The content's length, already compared with the limits.
    ///   - origin: Where `source` starts, for errors.
    mutating func decompress(
        _ source: UnsafeRawBufferPointer, length: Int, origin: Int, into writer: inout ByteWriter
    ) throws(FormatError) {
        // SAFETY: each call reads at most `source.count` bytes of a buffer that is alive, and the last one
        // writes at most `length` bytes to where `reserve` made room for as many.
        let start = source.baseAddress
        // The magic number first: the library may know legacy frames, which the format does not.
        guard source.count >= 4,
            unsafe source.loadUnaligned(as: UInt32.self).littleEndian == 0xFD2F_B528,
            unsafe ZSTD_getFrameContentSize(start, source.count) == UInt64(length),
            unsafe ZSTD_getDictID_fromFrame(start, source.count) == 0,
            unsafe ZSTD_findFrameCompressedSize(start, source.count) == source.count
        else {
            throw FormatError(.malformed, "a body that is not one zstd frame", at: origin)
        }
        if unsafe context == nil { unsafe context = ZSTD_createDCtx() }
        guard unsafe context != nil else { fatalError("no memory for zstd") }
        let target = unsafe writer.reserve(length)
        let size = unsafe ZSTD_decompressDCtx(context, target, length, start, source.count)
        guard ZSTD_isError(size) == 0, size == length else {
            throw FormatError(.malformed, "a body that zstd cannot decompress", at: origin)
        }
        writer.advance(by: size)
    }
}

import SwiftSyntax

/// Who can see a declaration.
///
/// A `private` field is one of `fileprivate` here: the generated extension is in the same file,
/// but its nested types are other scopes than the struct's.
enum AccessLevel: Int, Comparable {
    case `fileprivate`
    case `internal`
    case package
    case `public`

    static func < (one: AccessLevel, other: AccessLevel) -> Bool { one.rawValue < other.rawValue }

    /// The level that modifiers state, or nil.
    init?(_ modifiers: DeclModifierListSyntax) {
        for modifier in modifiers where modifier.detail == nil {
            guard let level = AccessLevel(modifier.name) else { continue }
            self = level
            return
        }
        return nil
    }

    /// The level that modifiers state for the setter alone, as in `private(set)`, or nil.
    init?(setterOf modifiers: DeclModifierListSyntax) {
        for modifier in modifiers where modifier.detail?.detail.text == "set" {
            guard let level = AccessLevel(modifier.name) else { continue }
            self = level
            return
        }
        return nil
    }

    private init?(_ token: TokenSyntax) {
        switch token.tokenKind {
        case .keyword(.private), .keyword(.fileprivate): self = .fileprivate
        case .keyword(.internal): self = .internal
        case .keyword(.package): self = .package
        case .keyword(.public): self = .public
        default: return nil
        }
    }

    /// The modifier with a space after it; nothing for the default level.
    var modifier: String {
        switch self {
        case .fileprivate: "fileprivate "
        case .internal: ""
        case .package: "package "
        case .public: "public "
        }
    }
}

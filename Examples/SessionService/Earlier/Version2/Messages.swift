import Foundation

/// What a client says to open a session.
package struct Opening: Decodable, Sendable {
    let user: UInt32
    let token: String
    let plan: Plan?
    let cart: [UInt32]?
    let language: String?
}

/// What a client says with each visit: only what is to change.
package struct Visit: Decodable, Sendable {
    let plan: Plan?
    let cart: [UInt32]?
    let language: String?
}

/// What a client is told of a session: everything but the token.
package struct SessionView: Encodable, Sendable {
    let user: UInt32
    let lastSeen: Date
    let visits: UInt32
    let plan: Plan
    let cart: [UInt32]
    let language: String
}

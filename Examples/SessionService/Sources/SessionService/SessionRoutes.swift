import Foundation
import HTTPTypes
import Hummingbird
import Sessions

/// The service as HTTP and JSON.
struct SessionRoutes {
    let sessions: Sessions
    let place: SessionPlace
    /// Nil if there is one node.
    let forwarding: Forwarding?

    var router: Router<BasicRequestContext> {
        let router = Router()
        router.get("health") { _, _ in
            Health(version: Sessions.version, sessions: sessions.count)
        }
        if let forwarding { router.add(middleware: forwarding) }
        router.group("sessions/:id")
            .put { request, context in
                let id = try context.parameters.require("id", as: UUID.self)
                let opening = try await request.decode(as: Opening.self, context: context)
                // Who was told of a session finds it again.
                try await place.performDurably(id, touching: [sessions.row(id)]) {
                    sessions.open(id, opening)
                }
                return HTTPResponse.Status.created
            }
            .get { _, context in
                let id = try context.parameters.require("id", as: UUID.self)
                let session = try await place.read(id, touching: [sessions.row(id)]) {
                    sessions.read(id)
                }
                guard let session else { throw HTTPError.noSession }
                return session
            }
            .post { request, context in try await visit(request, context) }
            .delete { _, context in
                let id = try context.parameters.require("id", as: UUID.self)
                // What was closed does not come back.
                let wasThere = try await place.performDurably(id, touching: [sessions.row(id)]) {
                    sessions.close(id)
                }
                guard wasThere else { throw HTTPError.noSession }
                return HTTPResponse.Status.noContent
            }
        return router
    }

    private func visit(
        _ request: Request, _ context: BasicRequestContext
    ) async throws -> HTTPResponse.Status {
        let id = try context.parameters.require("id", as: UUID.self)
        let token = try request.bearerToken()
        let visit = try await request.decode(as: Visit.self, context: context)
        let outcome: Sessions.Outcome?
        if let number = request.number {
            let reply = try await place.performOnce(number, id, touching: sessions.row(id)) {
                sessions.visit(id, token: token, visit, in: $0).rawValue
            }
            outcome = reply.flatMap(Sessions.Outcome.init)
        } else {
            outcome = try await place.perform(id, touching: [sessions.row(id)]) {
                sessions.visit(id, token: token, visit)
            }
        }
        switch outcome {
        // On disk with the next checkpoint: a crash may lose the visits of the last 100 ms.
        case .counted: return .noContent
        case .wrongToken: throw HTTPError(.unauthorized, message: "The token is wrong.")
        case .noSession: throw HTTPError.noSession
        case nil:
            throw HTTPError(.conflict, message: "A later request of this client was answered.")
        }
    }
}

struct Health: ResponseEncodable {
    let version: UInt32
    let sessions: Int
}

extension SessionView: ResponseEncodable {}

extension HTTPError {
    static let noSession = HTTPError(.notFound, message: "There is no such session.")
}

extension Request {
    /// The token of `Authorization: Bearer …`.
    func bearerToken() throws -> String {
        guard let field = headers[.authorization], field.hasPrefix("Bearer ") else {
            throw HTTPError(.unauthorized, message: "A visit comes with its session's token.")
        }
        return String(field.dropFirst("Bearer ".count))
    }

    /// The client and its request's number, in `Session-Client` and `Session-Sequence`: a visit that is sent again with the
    /// same ones is counted once.
    var number: SessionPlace.Number? {
        func value(_ name: String) -> UInt64? {
            HTTPField.Name(name).flatMap { headers[$0] }.flatMap { UInt64($0) }
        }
        guard let client = value("Session-Client"), let sequence = value("Session-Sequence") else {
            return nil
        }
        return SessionPlace.Number(client: client, sequence: sequence)
    }
}

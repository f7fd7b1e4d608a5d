import CaesuraRepository
import Foundation
import Hummingbird
import Sessions

/// The service as HTTP and JSON.
struct SessionRoutes {
    let sessions: Sessions
    let checkpoints: ContinuousCheckpoints

    var router: Router<BasicRequestContext> {
        let router = Router()
        router.get("health") { _, _ in
            Health(version: Sessions.version, sessions: sessions.count)
        }
        router.group("sessions/:id")
            .put { request, context in
                let id = try context.parameters.require("id", as: UUID.self)
                sessions.open(id, try await request.decode(as: Opening.self, context: context))
                try await checkpoints.durable()  // who was told of a session finds it again
                return HTTPResponse.Status.created
            }
            .get { _, context in
                let id = try context.parameters.require("id", as: UUID.self)
                guard let session = sessions.read(id) else { throw HTTPError.noSession }
                return session
            }
            .post { request, context in
                let id = try context.parameters.require("id", as: UUID.self)
                let token = try request.bearerToken()
                let visit = try await request.decode(as: Visit.self, context: context)
                switch sessions.visit(id, token: token, visit) {
                // On disk with the next checkpoint: a crash may lose the visits of the last 100 ms.
                case .counted: return HTTPResponse.Status.noContent
                case .wrongToken: throw HTTPError(.unauthorized, message: "The token is wrong.")
                case .noSession: throw HTTPError.noSession
                }
            }
            .delete { _, context in
                let id = try context.parameters.require("id", as: UUID.self)
                guard sessions.close(id) else { throw HTTPError.noSession }
                try await checkpoints.durable()  // what was closed does not come back
                return HTTPResponse.Status.noContent
            }
        return router
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
}

import AsyncHTTPClient
import CaesuraMigration
import CaesuraNode
import CaesuraNodeService
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

/// Sends requests on to the node that has their session, and those that nobody can answer now back to be tried again.
struct Forwarding: RouterMiddleware {
    let node: NodeService
    let client: HTTPClient

    /// Bytes of a request's body.
    private static let bodyLimit = 1 << 20
    /// Nodes that a request passes: more, and they disagree about who has the session.
    private static let hopLimit = 3
    private static let hops = HTTPField.Name("Session-Hops")

    func handle(
        _ request: Request, context: BasicRequestContext,
        next: (Request, BasicRequestContext) async throws -> Response
    ) async throws -> Response {
        var request = request
        // It may have to be sent on when it has been read.
        let body = try await request.body.collect(upTo: Self.bodyLimit)
        request.body = RequestBody(buffer: body)
        do {
            return try await next(request, context)
        } catch let error as GateError {
            guard case .elsewhere(let entry?) = error,
                let response = try await forward(request, body, to: entry)
            else { return Self.tryAgain("\(error)") }
            return response
        }
    }

    /// The owner's answer; nil if it cannot be had.
    private func forward(
        _ request: Request, _ body: ByteBuffer, to entry: OwnerEntry
    ) async throws -> Response? {
        guard let name = Self.hops else { return nil }
        let hops = request.headers[name].flatMap { Int($0) } ?? 0
        guard hops < Self.hopLimit, let address = try? await node.serviceAddress(of: entry) else {
            return nil
        }
        var onward = HTTPClientRequest(url: "http://\(address)\(request.uri)")
        onward.method = .init(rawValue: request.method.rawValue)
        for field in request.headers where field.name != name {
            onward.headers.add(name: field.name.rawName, value: field.value)
        }
        onward.headers.replaceOrAdd(name: name.rawName, value: "\(hops + 1)")
        onward.body = .bytes(body)
        do {
            let answer = try await client.execute(onward, timeout: .seconds(10))
            let content = try await answer.body.collect(upTo: Self.bodyLimit)
            var response = Response(
                status: .init(code: Int(answer.status.code)),
                body: ResponseBody(byteBuffer: content))
            if let type = answer.headers.first(name: "content-type") {
                response.headers[.contentType] = type
            }
            return response
        } catch {
            // It may have been carried out: who numbers its requests can send it again.
            return nil
        }
    }

    private static func tryAgain(_ why: String) -> Response {
        Response(
            status: .serviceUnavailable, headers: [.retryAfter: "1"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: why + "\n")))
    }
}

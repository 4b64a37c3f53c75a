#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Turns typed payloads into bytes and back.
///
/// Equal values must give equal bytes: uniqueness compares the bytes.
public protocol PayloadCoder: Sendable {
    func encode<Payload: Encodable>(_ payload: Payload) throws -> [UInt8]
    func decode<Payload: Decodable>(_ type: Payload.Type, from bytes: [UInt8]) throws -> Payload
}

/// Payloads as JSON: keys sorted, dates as ISO 8601, data as Base64.
public struct JSONPayloadCoder: PayloadCoder {
    public init() {}

    public func encode<Payload: Encodable>(_ payload: Payload) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .iso8601
        return Array(try encoder.encode(payload))
    }

    public func decode<Payload: Decodable>(_ type: Payload.Type, from bytes: [UInt8]) throws -> Payload {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        return try decoder.decode(type, from: Data(bytes))
    }
}

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

/// Payloads as JSON: keys sorted, dates as ISO 8601 in UTC with milliseconds (read with or without a fraction, as Go writes
/// them), data as Base64.
public struct JSONPayloadCoder: PayloadCoder {
    public init() {}

    public func encode<Payload: Encodable>(_ payload: Payload) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .custom { date, encoder in
            var container = encoder.singleValueContainer()
            try container.encode(date.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true)))
        }
        return Array(try encoder.encode(payload))
    }

    public func decode<Payload: Decodable>(_ type: Payload.Type, from bytes: [UInt8]) throws -> Payload {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .custom { decoder in
            let container = try decoder.singleValueContainer()
            let text = try container.decode(String.self)
            for hasFraction in [true, false] {
                let style = Date.ISO8601FormatStyle(includingFractionalSeconds: hasFraction)
                if let date = try? style.parse(text) { return date }
            }
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a date of ISO 8601")
        }
        return try decoder.decode(type, from: Data(bytes))
    }
}

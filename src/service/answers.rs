//! The closed catalogue of the answers that refuse something (RFC 9457).

use actix_web::http::StatusCode;

/// The kind of problem: status, code, title. The catalogue is closed and documented in `docs/answers.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The signature is missing, malformed, wrong, expired or of an unknown key.
    Unauthenticated,
    /// No enabled integration has that id, or the path does not exist.
    NotFound,
    /// The method is not served there.
    MethodNotAllowed,
    /// The request did not arrive in time.
    RequestTimeout,
    /// Its key belongs to a delivery with other bytes, or with other names.
    Conflict,
    /// The body is larger than the integration takes.
    PayloadTooLarge,
    /// The encoding or type of the body is not supported.
    UnsupportedMediaType,
    /// The body is not JSON.
    NotJson,
    /// The body is JSON, but breaks the envelope's schema.
    SchemaViolation,
    /// An allow list leaves the event out, and the integration is set to reject such events.
    Filtered,
    /// Too many bad signatures from one peer, or too many unsigned deliveries.
    TooManyRequests,
    /// More work is in flight than the daemon takes.
    Overloaded,
    /// No usable secret, or the journal does not take writes.
    Unavailable,
    /// Console: the token is missing or wrong.
    Unauthorized,
    /// Console: the request comes from a web page of another origin.
    ForeignOrigin,
    /// Console: the `Host` header does not name this console.
    MisdirectedRequest,
    /// The request is malformed or breaks off.
    BadRequest,
    /// Console: the request is well-formed, but asks for something invalid.
    Invalid,
    /// Console: the name is taken.
    Exists,
    /// Console: the integration cannot be enabled yet.
    NotReady,
    /// Console: an enabled integration could not verify deliveries after the change.
    InUse,
}

impl Kind {
    /// Every kind.
    #[cfg(test)]
    pub const ALL: [Self; 21] = [
        Self::Unauthenticated,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::Conflict,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::NotJson,
        Self::SchemaViolation,
        Self::Filtered,
        Self::TooManyRequests,
        Self::Overloaded,
        Self::Unavailable,
        Self::Unauthorized,
        Self::ForeignOrigin,
        Self::MisdirectedRequest,
        Self::BadRequest,
        Self::Invalid,
        Self::Exists,
        Self::NotReady,
        Self::InUse,
    ];

    /// Status, code and title.
    pub fn entry(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Unauthenticated => {
                (StatusCode::UNAUTHORIZED, "unauthenticated", "The signature was not accepted")
            }
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found", "Nothing has this name"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This method is not allowed here")
            }
            Self::RequestTimeout => {
                (StatusCode::REQUEST_TIMEOUT, "request_timeout", "The request did not arrive in time")
            }
            Self::Conflict => (StatusCode::CONFLICT, "conflict", "The delivery contradicts an earlier one"),
            Self::PayloadTooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", "The body is too large")
            }
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "The content type or encoding is not accepted",
            ),
            Self::NotJson => (StatusCode::BAD_REQUEST, "not_json", "The body is not JSON"),
            Self::SchemaViolation => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "schema_violation",
                "The body cannot become a valid envelope",
            ),
            Self::Filtered => {
                (StatusCode::FORBIDDEN, "filtered", "An allow list leaves out this event or source")
            }
            Self::TooManyRequests => {
                (StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "Too many requests of this kind")
            }
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded", "Too much is in flight"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Temporarily unavailable"),
            Self::Unauthorized => {
                (StatusCode::UNAUTHORIZED, "unauthorized", "The console's token is required")
            }
            Self::ForeignOrigin => (
                StatusCode::FORBIDDEN,
                "foreign_origin",
                "Requests from web pages of other origins are refused",
            ),
            Self::MisdirectedRequest => (
                StatusCode::MISDIRECTED_REQUEST,
                "misdirected_request",
                "The Host header does not name this console",
            ),
            Self::BadRequest => (StatusCode::BAD_REQUEST, "bad_request", "The request cannot be read"),
            Self::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "The request breaks a rule"),
            Self::Exists => (StatusCode::CONFLICT, "exists", "The name is already taken"),
            Self::NotReady => (StatusCode::CONFLICT, "not_ready", "The integration is not ready"),
            Self::InUse => (StatusCode::CONFLICT, "in_use", "An enabled integration uses it"),
        }
    }
}

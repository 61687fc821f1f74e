//! What the console reads from a request.

use actix_web::web::{JsonConfig, QueryConfig};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::http::problem::{Kind, Problem};

/// JSON bodies up to `bytes_max`; what is wrong with one is told.
pub fn json_config(bytes_max: usize) -> JsonConfig {
    JsonConfig::default()
        .limit(bytes_max)
        .error_handler(|error, _| Problem::new(Kind::BadRequest).detail(error.to_string()).into())
}

/// Queries; what is wrong with one is told.
pub fn query_config() -> QueryConfig {
    QueryConfig::default()
        .error_handler(|error, _| Problem::new(Kind::BadRequest).detail(error.to_string()).into())
}

/// Bytes that came as base64. The error names the member, never the value.
///
/// # Errors
/// [`Kind::BadRequest`].
pub fn decoded(member: &str, text: &str) -> Result<Vec<u8>, Problem> {
    STANDARD
        .decode(text)
        .map_err(|_| Problem::new(Kind::BadRequest).detail(format!("`{member}` is not standard base64")))
}

//! Parses what clients send to the console.

use actix_web::error::JsonPayloadError;
use actix_web::web::JsonConfig;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::http::problem::{Kind, Problem};

/// Configures JSON bodies of up to `bytes_max`, with precise error messages.
pub fn json_config(bytes_max: usize) -> JsonConfig {
    JsonConfig::default().limit(bytes_max).error_handler(|error, _| match error {
        JsonPayloadError::ContentType => untyped().into(),
        JsonPayloadError::Overflow { .. } | JsonPayloadError::OverflowKnownLength { .. } => {
            Problem::new(Kind::PayloadTooLarge).detail(error.to_string()).into()
        }
        error => Problem::new(Kind::BadRequest).detail(told(&error)).into(),
    })
}

/// What was expected of a body, and where. Nothing of the body itself, because it may contain a secret.
fn told(error: &JsonPayloadError) -> String {
    let JsonPayloadError::Deserialize(error) = error else { return error.to_string() };
    let text = error.to_string();
    if !error.is_data() {
        return format!("the body is not JSON: {text}");
    }
    let names_ours = ["missing field `", "duplicate field `"].iter().any(|start| text.starts_with(start));
    match text.rsplit_once(", expected ") {
        _ if names_ours => format!("the body does not have the expected form: {text}"),
        Some((_, expected)) => format!("the body does not have the expected form: expected {expected}"),
        None => format!(
            "the body does not have the expected form at line {} column {}",
            error.line(),
            error.column()
        ),
    }
}

/// The problem for a body that is not declared as JSON.
pub fn untyped() -> Problem {
    Problem::new(Kind::UnsupportedMediaType).hint(Some("send the body as application/json".to_owned()))
}

/// Decodes base64. The error names the member, never the value.
///
/// # Errors
/// [`Kind::BadRequest`].
pub fn decoded(member: &str, text: &str) -> Result<Vec<u8>, Problem> {
    STANDARD
        .decode(text)
        .map_err(|_| Problem::new(Kind::BadRequest).detail(format!("`{member}` is not standard base64")))
}

#[cfg(test)]
mod tests {
    use palyra_actors::registry::{Amendment, Draft};
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Value {
        #[serde(rename = "value_base64")]
        _value: String,
    }

    fn refused<T: for<'a> Deserialize<'a>>(body: &str) -> String {
        told(&JsonPayloadError::Deserialize(serde_json::from_str::<T>(body).err().unwrap()))
    }

    #[test]
    fn a_body_that_does_not_fit_is_refused_without_a_part_of_it() {
        for body in [
            r#""SECRET""#,
            r#"{"SECRET":1}"#,
            r#"{"value_base64":["SECRET"]}"#,
            r#"[["SECRET"]]"#,
            r#"{"value_base64":"x","SECRET, expected SECRET":1}"#,
            r#"{"value_base64":"SECRET","value_base64":"SECRET"}"#,
            r#"{"value_base64":"SECRET"} SECRET"#,
            "SECRET",
            r#"{"value_base64":"SECRET"#,
        ] {
            let [value, draft] = [refused::<Value>(body), refused::<Draft>(body)];
            assert!(!value.contains("SECRET") && !draft.contains("SECRET"), "{value} {draft}");
        }
        assert_eq!(
            refused::<Value>(r#"{"SECRET":1}"#),
            "the body does not have the expected form: expected `value_base64` at line 1 column 9"
        );
        assert_eq!(
            refused::<Value>("{}"),
            "the body does not have the expected form: missing field `value_base64` at line 1 column 2"
        );
    }

    #[test]
    fn a_parameter_that_comes_twice_is_refused() {
        let twice = r#"{"SECRET":"a","SECRET":"b"}"#;
        let draft =
            refused::<Draft>(&format!(r#"{{"integration_id":"a","provider":"b","parameters":{twice}}}"#));
        let amendment = refused::<Amendment>(&format!(r#"{{"parameters":{twice}}}"#));
        for told in [draft, amendment] {
            let says = "the body does not have the expected form: expected an object that names each parameter once at line 1";
            assert!(told.starts_with(says) && !told.contains("SECRET"), "{told}");
        }
    }

    #[test]
    fn a_number_in_the_wrong_place_is_not_repeated() {
        let draft = |member: &str| format!(r#"{{"integration_id":"a","provider":"b",{member}}}"#);
        for member in [
            r#""enabled":4711"#,
            r#""on_filtered":"4711""#,
            r#""max_payload_bytes":-4711"#,
            r#""parameters":[4711]"#,
        ] {
            let told = refused::<Draft>(&draft(member));
            assert!(!told.contains("4711") && told.contains("expected"), "{told}");
        }
    }
}

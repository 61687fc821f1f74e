//! What the journal keeps of the settings of an integration that somebody asks for: bounded, and of references and of
//! parameters no more than well-formed names. Anything else there may be a secret in the wrong place.

use palyra_actors::ids::is_canonical_id;
use palyra_actors::vault::VaultRef;
use serde::Serialize;
use serde_json::{Value, json};

use palyra_actors::cut::cut;

/// Longest text that is kept.
const TEXT_BYTES_MAX: usize = 64;
/// Entries of a list that are kept; the rest is counted.
const ENTRIES_MAX: usize = 16;
/// Parameters that are named; no profile has more.
const PARAMETERS_MAX: usize = 8;

/// The settings in a draft or an amendment, each under its name.
pub fn settings(asked: &impl Serialize) -> Value {
    let Value::Object(asked) = json!(asked) else { return json!({}) };
    asked.iter().filter_map(|(name, value)| Some((name.clone(), kept(name, value)?))).collect()
}

fn kept(name: &str, value: &Value) -> Option<Value> {
    match (name, value) {
        // It is the subject already.
        ("integration_id", _) => None,
        ("provider", Value::String(name)) => {
            let name = name.trim().to_lowercase();
            is_canonical_id(&name).then(|| json!(name))
        }
        ("secret_vault_ref", Value::String(text)) => VaultRef::parse(text).ok().map(|named| json!(named)),
        ("parameters", Value::Object(all)) => {
            let names = all.keys().filter(|name| is_canonical_id(name)).take(PARAMETERS_MAX);
            Some(names.map(String::as_str).collect())
        }
        (_, Value::Array(entries)) => Some(listed(entries)),
        (_, Value::String(text)) => Some(json!(cut(text, TEXT_BYTES_MAX))),
        (_, value) => Some(value.clone()),
    }
}

fn listed(entries: &[Value]) -> Value {
    let texts = entries.iter().filter_map(Value::as_str);
    let mut kept: Vec<String> = texts.take(ENTRIES_MAX).map(|text| cut(text, TEXT_BYTES_MAX)).collect();
    if let Some(more) = entries.len().checked_sub(ENTRIES_MAX).filter(|more| *more > 0) {
        kept.push(format!("and {more} more"));
    }
    json!(kept)
}

#[cfg(test)]
mod tests {
    use palyra_actors::limits::EVENT_DETAILS_BYTES_MAX;
    use palyra_actors::registry::{Amendment, Draft};

    use super::*;

    fn draft(members: Value) -> Draft {
        serde_json::from_value(members).unwrap()
    }

    #[test]
    fn what_decides_about_deliveries_is_kept_and_no_value_of_a_parameter() {
        let kept = settings(&draft(json!({
            "integration_id": "a", "provider": " GitHub ", "secret_vault_ref": "env:A", "signature_required": false,
            "allowed_events": ["push"], "max_payload_bytes": 9, "on_filtered": "reject",
            "parameters": {"verify_token": "hush"},
        })));
        for (name, value) in [
            ("provider", json!("github")),
            ("secret_vault_ref", json!("env:A")),
            ("signature_required", json!(false)),
            ("allowed_events", json!(["push"])),
            ("max_payload_bytes", json!(9)),
            ("on_filtered", json!("reject")),
            ("parameters", json!(["verify_token"])),
        ] {
            assert_eq!(kept[name], value, "{name}");
        }
    }

    #[test]
    fn of_an_amendment_only_what_is_named_is_kept() {
        let amendment: Amendment =
            serde_json::from_value(json!({"replay_window_seconds": null, "allowed_events": []})).unwrap();
        assert_eq!(settings(&amendment), json!({"replay_window_seconds": null, "allowed_events": []}));
    }

    #[test]
    fn whatever_is_asked_for_fits_a_row() {
        for text in ["\"".repeat(9_000), "\u{1}".repeat(9_000), "é".repeat(9_000)] {
            let list = vec![text.clone(); 1_000];
            let parameters: serde_json::Map<_, _> =
                (0..1_000).map(|n| (format!("{n:x>64}"), json!(text))).collect();
            let kept = settings(&draft(json!({
                "integration_id": text, "provider": text, "secret_vault_ref": text, "display_name": text,
                "allowed_events": list, "allowed_sources": list, "parameters": parameters,
            })));
            assert!(kept.to_string().len() < EVENT_DETAILS_BYTES_MAX - 1_024, "{}", kept.to_string().len());
            assert_eq!(kept["allowed_events"][16], "and 984 more");
        }
    }
}

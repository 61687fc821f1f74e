//! What the journal records of the settings in a request for an integration: bounded in size, parameter names only if a
//! profile defines them, references only if they are well-formed. Any other text may be a secret in the wrong place.
//!
//! Each setting is destructured by name, so that a new one does not compile before it is decided what may be recorded of it.

use palyra_actors::cut::cut;
use palyra_actors::ids::{canonical, is_canonical_id};
use palyra_actors::provider::Catalogue;
use palyra_actors::registry::{Amendment, Draft};
use palyra_actors::vault::VaultRef;
use serde_json::{Value, json};

/// Longest text that is recorded.
const TEXT_BYTES_MAX: usize = 64;
/// Entries of a list that are recorded; the others are only counted.
const ENTRIES_MAX: usize = 16;
/// Most parameter names that are recorded; no profile has more.
const PARAMETERS_MAX: usize = 8;

/// The subject of the event for a draft.
pub fn subject(draft: &Draft) -> &str {
    let id = draft.integration_id.as_str();
    if is_canonical_id(&canonical(id)) { id } else { "not a valid id" }
}

/// The settings of a draft, by name.
pub fn of_draft(draft: &Draft, profiles: &Catalogue) -> Value {
    let Draft {
        // Recorded by `subject`.
        integration_id: _,
        provider,
        display_name,
        secret_vault_ref,
        allowed_events,
        allowed_sources,
        enabled,
        signature_required,
        max_payload_bytes,
        replay_window_seconds,
        unsigned_rate_per_second,
        parameters,
        on_filtered,
    } = draft;
    members([
        ("provider", known_provider(provider, profiles)),
        ("display_name", Some(json!(display_name.as_deref().map(text)))),
        ("secret_vault_ref", reference(secret_vault_ref.as_deref())),
        ("allowed_events", Some(list(allowed_events))),
        ("allowed_sources", Some(list(allowed_sources))),
        ("enabled", Some(json!(enabled))),
        ("signature_required", Some(json!(signature_required))),
        ("max_payload_bytes", Some(json!(max_payload_bytes))),
        ("replay_window_seconds", Some(json!(replay_window_seconds))),
        ("unsigned_rate_per_second", Some(json!(unsigned_rate_per_second))),
        ("parameters", Some(known_parameters(parameters.keys(), profiles))),
        ("on_filtered", Some(json!(on_filtered))),
    ])
}

/// The settings that an amendment changes, by name.
pub fn of_amendment(amendment: &Amendment, profiles: &Catalogue) -> Value {
    let Amendment {
        provider,
        display_name,
        secret_vault_ref,
        allowed_events,
        allowed_sources,
        signature_required,
        max_payload_bytes,
        replay_window_seconds,
        unsigned_rate_per_second,
        parameters,
        on_filtered,
    } = amendment;
    let named = (!parameters.is_empty()).then(|| known_parameters(parameters.keys(), profiles));
    members([
        ("provider", provider.as_deref().and_then(|name| known_provider(name, profiles))),
        ("display_name", display_name.as_deref().map(|name| json!(text(name)))),
        ("secret_vault_ref", secret_vault_ref.as_ref().and_then(|named| reference(named.as_deref()))),
        ("allowed_events", allowed_events.as_deref().map(list)),
        ("allowed_sources", allowed_sources.as_deref().map(list)),
        ("signature_required", signature_required.map(Value::from)),
        ("max_payload_bytes", max_payload_bytes.map(Value::from)),
        ("replay_window_seconds", replay_window_seconds.map(Value::from)),
        ("unsigned_rate_per_second", unsigned_rate_per_second.map(Value::from)),
        ("parameters", named),
        ("on_filtered", on_filtered.map(|answer| json!(answer))),
    ])
}

fn members<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn text(text: &str) -> String {
    cut(text, TEXT_BYTES_MAX)
}

fn list(entries: &[String]) -> Value {
    let mut kept: Vec<String> = entries.iter().take(ENTRIES_MAX).map(|entry| text(entry)).collect();
    if let Some(more) = entries.len().checked_sub(ENTRIES_MAX).filter(|more| *more > 0) {
        kept.push(format!("and {more} more"));
    }
    json!(kept)
}

fn known_provider(name: &str, profiles: &Catalogue) -> Option<Value> {
    let profile = profiles.get(&canonical(name))?;
    Some(json!(profile.name()))
}

/// `null` if the reference is removed, `None` if the text is not a valid reference.
fn reference(named: Option<&str>) -> Option<Value> {
    named.map_or(Some(Value::Null), |text| VaultRef::parse(text).ok().map(|named| json!(named)))
}

fn known_parameters<'a>(names: impl Iterator<Item = &'a String>, profiles: &Catalogue) -> Value {
    let is_known = |name: &&String| profiles.iter().any(|profile| profile.parameters().contains(name));
    names.filter(is_known).take(PARAMETERS_MAX).map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use palyra_actors::limits::EVENT_DETAILS_BYTES_MAX;

    use super::*;

    fn kept(draft: Value) -> Value {
        of_draft(&serde_json::from_value(draft).unwrap(), &Catalogue::built_in().unwrap())
    }

    fn amended(amendment: Value) -> Value {
        of_amendment(&serde_json::from_value(amendment).unwrap(), &Catalogue::built_in().unwrap())
    }

    #[test]
    fn what_decides_about_deliveries_is_kept_and_no_value_of_a_parameter() {
        let kept = kept(json!({
            "integration_id": "a", "provider": " GitHub ", "secret_vault_ref": "env:A", "signature_required": false,
            "allowed_events": ["push"], "max_payload_bytes": 9, "on_filtered": "reject",
            "parameters": {"verify_token": "hush"},
        }));
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
        let named = json!({"replay_window_seconds": null, "allowed_events": []});
        assert_eq!(amended(named.clone()), named);
        assert_eq!(amended(json!({})), json!({}));
        assert_eq!(amended(json!({"secret_vault_ref": null})), json!({"secret_vault_ref": null}));
        assert_eq!(
            amended(json!({"provider": "Meta", "parameters": {"verify_token": "hush"}})),
            json!({"provider": "meta", "parameters": ["verify_token"]})
        );
    }

    #[test]
    fn what_may_be_a_secret_in_the_place_of_a_name_is_not_kept() {
        let secret = "0123456789abcdef".repeat(4);
        let misplaced =
            json!({"provider": secret, "secret_vault_ref": secret, "parameters": {&secret: secret}});
        assert!(!amended(misplaced.clone()).to_string().contains(&secret));
        let mut misplaced = misplaced;
        misplaced["integration_id"] = json!("a");
        assert!(!kept(misplaced).to_string().contains(&secret));
    }

    #[test]
    fn whatever_is_asked_for_fits_a_row() {
        for text in ["\"".repeat(9_000), "\u{1}".repeat(9_000), "é".repeat(9_000)] {
            let list = vec![text.clone(); 1_000];
            let parameters: serde_json::Map<_, _> =
                (0..1_000).map(|n| (format!("{n:x>64}"), json!(text))).collect();
            let kept = kept(json!({
                "integration_id": text, "provider": text, "secret_vault_ref": text, "display_name": text,
                "allowed_events": list, "allowed_sources": list, "parameters": parameters,
            }));
            assert!(kept.to_string().len() < EVENT_DETAILS_BYTES_MAX - 1_024, "{}", kept.to_string().len());
            assert_eq!(kept["allowed_events"][16], "and 984 more");
        }
    }
}

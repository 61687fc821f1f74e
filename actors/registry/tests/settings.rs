//! What an integration may be set to, and what becomes of its settings in the file.

use super::*;
use crate::limits::{DISPLAY_NAME_BYTES_MAX, INTEGRATIONS_MAX};

fn upserted(
    registry: &mut Registry,
    draft: Draft,
    replace: bool,
) -> Result<IntegrationRecord, RegistryError> {
    let stored = registry.upsert(draft, &SecretStatus::Found, replace, NOW)?;
    Ok(stored.record.clone())
}

/// The field of a draft that is refused.
fn refused(change: impl FnOnce(&mut Draft)) -> Option<String> {
    let mut draft = draft("new", "stripe");
    change(&mut draft);
    match upserted(&mut Folder::with(None).open(), draft, false) {
        Ok(_) => None,
        Err(RegistryError::InvalidDraft { field, .. }) => Some(field),
        Err(error) => panic!("{error}"),
    }
}

fn parameters(value: &str) -> crate::provider::Parameters {
    [("webhook_id".to_owned(), value.to_owned())].into()
}

#[test]
fn replacing_an_integration_changes_its_settings_and_keeps_its_history() {
    let folder = Folder::with(None);
    let mut registry = folder.open();
    upserted(&mut registry, draft("pp", "paypal"), false).unwrap();
    registry.record_test("pp", true, "every check passed", NOW + 1).unwrap();
    let mut changed = draft("pp", "paypal");
    changed.display_name = Some("PayPal".to_owned());
    changed.secret_vault_ref = Some("global/other".to_owned());
    changed.allowed_events = vec!["a".to_owned(), "b".to_owned()];
    changed.max_payload_bytes = Some(1_000);
    changed.parameters = parameters("one");
    changed.enabled = false;
    registry.upsert(changed.clone(), &SecretStatus::Found, true, NOW + 2).unwrap();
    let read = folder.open().get("pp").unwrap().record.clone();
    assert_eq!((read.created_at_unix_ms, read.updated_at_unix_ms), (NOW, NOW + 2));
    assert_eq!((read.last_test_at_unix_ms, read.last_test_passed), (Some(NOW + 1), Some(true)));
    assert_eq!(read.last_test_message.as_deref(), Some("every check passed"));
    assert_eq!((read.display_name.as_str(), read.max_payload_bytes, read.enabled), ("PayPal", 1_000, false));
    assert_eq!(read.secret_vault_ref.as_deref(), Some("global/other"));
    assert_eq!((read.allowed_events, read.parameters), (changed.allowed_events.clone(), parameters("one")));
    changed.parameters = parameters("two");
    changed.allowed_events.pop();
    upserted(&mut registry, changed, true).unwrap();
    let read = folder.open().get("pp").unwrap().record.clone();
    assert_eq!((read.allowed_events.len(), read.parameters), (1, parameters("two")));
}

#[test]
fn what_is_empty_does_not_stand_in_the_file() {
    let folder = Folder::with(None);
    let mut registry = folder.open();
    let mut full = draft("pp", "paypal");
    full.parameters = parameters("one");
    full.allowed_events = vec!["a".to_owned()];
    upserted(&mut registry, full, false).unwrap();
    assert!(folder.text().contains("parameters") && folder.text().contains("allowed_events"));
    upserted(&mut registry, draft("pp", "paypal"), true).unwrap();
    for absent in ["parameters", "allowed_events", "allowed_sources", "replay_window_seconds"] {
        assert!(!folder.text().contains(absent), "{absent} stands in:\n{}", folder.text());
    }
}

#[test]
fn every_limit_of_a_setting_holds_to_the_last_unit() {
    let named = |bytes: usize| refused(|draft| draft.display_name = Some("n".repeat(bytes)));
    assert_eq!(named(DISPLAY_NAME_BYTES_MAX), None);
    for bytes in [DISPLAY_NAME_BYTES_MAX + 1, DISPLAY_NAME_BYTES_MAX + 2] {
        assert_eq!(named(bytes).as_deref(), Some("display_name"), "{bytes}");
    }
    let payload = |bytes| refused(|draft| draft.max_payload_bytes = Some(bytes));
    assert_eq!(payload(1_048_576), None);
    assert_eq!(payload(1_048_577).as_deref(), Some("max_payload_bytes"));
    // The profile takes times that are 300 s off, to either side.
    let window = |seconds| refused(|draft| draft.replay_window_seconds = Some(seconds));
    assert_eq!(window(600), None);
    assert_eq!(window(599).as_deref(), Some("replay_window_seconds"));
}

#[test]
fn a_parameter_that_the_provider_does_not_know_is_refused_with_the_nearest() {
    let folder = Folder::with(None);
    let mut registry = folder.open();
    let mut mistaken = draft("pp", "paypal");
    mistaken.parameters = [("webhok_id".to_owned(), "x".to_owned())].into();
    let error = upserted(&mut registry, mistaken, false).unwrap_err();
    assert_eq!(error.hint().as_deref(), Some("did you mean `webhook_id`?"), "{error}");
    let mut right = draft("pp", "paypal");
    right.parameters = parameters("x");
    assert!(upserted(&mut registry, right, false).is_ok());
}

#[test]
fn only_who_needs_a_secret_has_to_name_one() {
    let without = |provider: &str, signed: bool| {
        refused(|draft| {
            draft.provider = provider.to_owned();
            draft.secret_vault_ref = None;
            draft.signature_required = signed;
        })
    };
    assert_eq!(without("github", true).as_deref(), Some("secret_vault_ref"));
    assert_eq!(without("github", false), None, "unsigned deliveries are taken");
    assert_eq!(without("google-pubsub", true), None, "its keys are published");
}

#[test]
fn a_wrong_value_of_a_known_field_is_not_taken_for_a_misspelt_name() {
    let error = parse(&HAND_WRITTEN.replace("enabled = true", "enabled = 1")).unwrap_err();
    assert!(error.to_string().contains("webhooks[0].enabled"), "{error}");
    assert_eq!(error.hint(), None);
}

#[test]
fn a_registry_file_that_may_not_be_read_is_not_taken_for_a_missing_one() {
    let folder = Folder::with(Some(HAND_WRITTEN));
    std::fs::set_permissions(folder.config().file, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(Registry::open(folder.config(), NOW), Err(RegistryError::Io { .. })));
}

#[test]
fn a_reload_of_the_same_file_changes_nothing() {
    let folder = Folder::with(Some(HAND_WRITTEN));
    let mut registry = folder.open();
    assert_eq!(registry.reload(NOW).unwrap(), Changes::default());
    assert_eq!(registry.snapshot().providers, [("github".to_owned(), 1), ("stripe".to_owned(), 1)].into());
}

#[test]
fn a_registry_holds_1024_integrations_and_no_more() {
    let entry = |number: usize| {
        format!(
            "[[webhooks]]\nintegration_id = \"i{number}\"\nprovider = \"github\"\nsecret_vault_ref = \"global/a\"\n"
        )
    };
    let text = format!("version = 1\n{}", (1..INTEGRATIONS_MAX).map(entry).collect::<String>());
    let folder = Folder::with(Some(&text));
    let mut registry = folder.open();
    upserted(&mut registry, draft("last", "github"), false).unwrap();
    let refused = upserted(&mut registry, draft("more", "github"), false);
    assert!(matches!(refused, Err(RegistryError::TooMany { max: INTEGRATIONS_MAX })));
    assert!(upserted(&mut registry, draft("last", "gitlab"), true).is_ok(), "one that is there may change");
}

//! What an integration may be set to, and what becomes of its settings in the file.

use std::io::{self, ErrorKind};

use serde_json::json;

use super::*;
use crate::limits::{DISPLAY_NAME_BYTES_MAX, INTEGRATIONS_MAX};
use crate::registry::store::not_replaced;

fn added(registry: &mut Registry, draft: Draft) -> Result<IntegrationRecord, RegistryError> {
    let stored = registry.add(draft, &SecretStatus::Found, NOW)?;
    Ok(stored.record.clone())
}

/// Amends an integration a second after it was made.
fn amended(
    registry: &mut Registry,
    id: &str,
    members: serde_json::Value,
) -> Result<IntegrationRecord, RegistryError> {
    let amendment: Amendment = serde_json::from_value(members).unwrap();
    let stored = registry.amend(id, amendment, &SecretStatus::Found, NOW + 1_000)?;
    Ok(stored.record.clone())
}

/// The field of a draft that is refused.
fn refused(change: impl FnOnce(&mut Draft)) -> Option<String> {
    let mut draft = draft("new", "stripe");
    change(&mut draft);
    match added(&mut Folder::with(None).open(), draft) {
        Ok(_) => None,
        Err(RegistryError::InvalidDraft { field, .. }) => Some(field),
        Err(error) => panic!("{error}"),
    }
}

fn parameters(value: &str) -> crate::provider::Parameters {
    [("webhook_id".to_owned(), value.to_owned())].into()
}

/// `pp` of PayPal with every setting, tested.
fn tested(folder: &Folder) -> Registry {
    let mut registry = folder.open();
    let mut full = draft("pp", "paypal");
    full.display_name = Some("PayPal".to_owned());
    full.allowed_events = vec!["a".to_owned(), "b".to_owned()];
    full.max_payload_bytes = Some(1_000);
    full.replay_window_seconds = Some(900);
    full.parameters = parameters("one");
    added(&mut registry, full).unwrap();
    registry.record_test("pp", true, "every check passed", NOW + 1).unwrap();
    registry
}

#[test]
fn only_what_is_named_is_amended_and_the_history_stays() {
    let folder = Folder::with(None);
    let mut registry = tested(&folder);
    let before = registry.get("pp").unwrap().record.clone();
    let after =
        amended(&mut registry, "pp", json!({"allowed_events": ["a"], "on_filtered": "reject"})).unwrap();
    let expected = IntegrationRecord {
        allowed_events: vec!["a".to_owned()],
        on_filtered: OnFiltered::Reject,
        updated_at_unix_ms: NOW + 1_000,
        ..before
    };
    assert_eq!(after, expected);
    assert_eq!(folder.open().get("pp").unwrap().record, expected, "and so it stands in the file");
}

#[test]
fn another_secret_or_provider_forgets_the_test_and_the_same_one_does_not() {
    for (members, is_kept) in [
        (json!({"secret_vault_ref": "global/other"}), false),
        (json!({"provider": "github"}), false),
        (json!({"secret_vault_ref": "global/key", "provider": " PayPal "}), true),
        (json!({}), true),
    ] {
        let folder = Folder::with(None);
        let mut registry = tested(&folder);
        let after = amended(&mut registry, "pp", members.clone()).unwrap();
        let tested = (after.last_test_at_unix_ms, after.last_test_passed, after.last_test_message.is_some());
        let expected = if is_kept { (Some(NOW + 1), Some(true), true) } else { (None, None, false) };
        assert_eq!(tested, expected, "{members}");
        assert_eq!(after.created_at_unix_ms, NOW);
    }
}

#[test]
fn a_setting_goes_back_to_its_default_when_that_is_named() {
    let folder = Folder::with(None);
    let mut registry = tested(&folder);
    registry.set_enabled("pp", false, &SecretStatus::Found, NOW).unwrap();
    let members = json!({
        "display_name": "", "allowed_events": [], "replay_window_seconds": null, "parameters": {"webhook_id": null}
    });
    let after = amended(&mut registry, "pp", members).unwrap();
    assert_eq!((after.display_name.as_str(), after.replay_window_seconds), ("pp", None));
    for absent in ["parameters", "allowed_events", "allowed_sources", "replay_window_seconds"] {
        assert!(!folder.text().contains(absent), "{absent} stands in:\n{}", folder.text());
    }
}

#[test]
fn parameters_are_amended_by_name_and_those_of_another_provider_go() {
    let folder = Folder::with(None);
    let mut registry = tested(&folder);
    let members = json!({"parameters": {"webhook_id": "two"}});
    assert_eq!(amended(&mut registry, "pp", members).unwrap().parameters, parameters("two"));
    assert_eq!(amended(&mut registry, "pp", json!({})).unwrap().parameters, parameters("two"));
    assert!(amended(&mut registry, "pp", json!({"provider": "github"})).unwrap().parameters.is_empty());
}

#[test]
fn a_rate_stands_only_where_no_signature_is_required() {
    let folder = Folder::with(None);
    let mut registry = tested(&folder);
    let mut rate = |members| amended(&mut registry, "pp", members).unwrap().unsigned_rate_per_second;
    assert_eq!(rate(json!({"display_name": "Pay"})), None);
    assert_eq!(rate(json!({"signature_required": false})), Some(50));
    assert_eq!(rate(json!({"unsigned_rate_per_second": 9})), Some(9));
    assert_eq!(rate(json!({})), Some(9));
    assert_eq!(rate(json!({"signature_required": true})), None);
    let refused = amended(&mut registry, "pp", json!({"unsigned_rate_per_second": 9})).unwrap_err();
    assert!(refused.to_string().starts_with("unsigned_rate_per_second: "), "{refused}");
}

#[test]
fn an_enabled_integration_is_not_amended_until_it_is_not_ready() {
    let folder = Folder::with(Some(HAND_WRITTEN));
    let mut registry = folder.open();
    let amendment: Amendment = serde_json::from_value(json!({"secret_vault_ref": "global/none"})).unwrap();
    let refused = registry.amend("gh", amendment.clone(), &SecretStatus::NotFound, NOW).unwrap_err();
    assert!(refused.to_string().contains("there is no secret `global/none`"), "{refused}");
    assert!(refused.hint().unwrap().contains("palyra webhooks disable gh"), "{refused}");
    let kept = registry.get("gh").unwrap();
    assert!(kept.record.enabled && kept.record.secret_vault_ref.as_deref() == Some("global/github"));
    registry.set_enabled("gh", false, &SecretStatus::Found, NOW).unwrap();
    let stored = registry.amend("gh", amendment, &SecretStatus::NotFound, NOW).unwrap();
    assert!(!stored.record.enabled);
    let mended = amended(&mut registry, "gh", json!({"secret_vault_ref": "global/github"})).unwrap();
    assert!(!mended.enabled, "only who is asked to enables it");
}

#[test]
fn what_is_not_there_cannot_be_amended() {
    let folder = Folder::with(Some(HAND_WRITTEN));
    let mut registry = folder.open();
    let error = amended(&mut registry, "ghh", json!({})).unwrap_err();
    assert_eq!(error.hint().as_deref(), Some("did you mean `gh`?"), "{error}");
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
    assert_eq!(window(601), None);
    assert_eq!(window(600).as_deref(), Some("replay_window_seconds"));
}

#[test]
fn a_parameter_that_the_provider_does_not_know_is_refused_with_the_nearest() {
    let folder = Folder::with(None);
    let mut registry = folder.open();
    let mut mistaken = draft("pp", "paypal");
    mistaken.parameters = [("webhok_id".to_owned(), "x".to_owned())].into();
    let error = added(&mut registry, mistaken).unwrap_err();
    assert_eq!(error.hint().as_deref(), Some("did you mean `webhook_id`?"), "{error}");
    let mut right = draft("pp", "paypal");
    right.parameters = parameters("x");
    assert!(added(&mut registry, right).is_ok());
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
    assert_eq!(error.hint().as_deref(), Some("write `true` or `false`, without quotes"));
}

#[test]
fn a_registry_file_that_may_not_be_read_is_not_taken_for_a_missing_one() {
    let folder = Folder::with(Some(HAND_WRITTEN));
    std::fs::set_permissions(folder.config().file, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(Registry::open(folder.config(), NOW), Err(RegistryError::Unfit { .. })));
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
    added(&mut registry, draft("last", "github")).unwrap();
    let refused = added(&mut registry, draft("more", "github"));
    assert!(matches!(refused, Err(RegistryError::TooMany { max: INTEGRATIONS_MAX })));
    let changed = amended(&mut registry, "last", json!({"provider": "gitlab"}));
    assert!(changed.is_ok(), "one that is there may change");
}

#[test]
fn a_file_that_is_a_mount_of_its_own_is_told_from_a_disk_that_is_busy() {
    let folder = Folder::with(None);
    let told = |kind: ErrorKind| not_replaced(&folder.config(), &io::Error::from(kind));
    let mounted = told(ErrorKind::ResourceBusy);
    assert!(
        matches!(&mounted, RegistryError::Unfit { problem } if problem.contains("mounted by itself")),
        "{mounted}"
    );
    assert!(matches!(told(ErrorKind::StorageFull), RegistryError::Io { .. }));
}

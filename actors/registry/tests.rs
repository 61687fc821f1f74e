mod secrets;
mod settings;
mod shared;
mod written;

use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::document::{Checks, RegistryDocument};
use super::*;
use crate::vault::SecretStatus;

const NOW: UnixMs = 1_700_000_000_000;
const HAND_WRITTEN: &str = r#"# our webhooks
version = 1

# the main repository
[[webhooks]]
integration_id = "gh" # short
provider = "github"
secret_vault_ref = "global/github"
enabled = true
allowed_events = [
  "push", # only these
  "release",
]

[[webhooks]]
# billing
integration_id = "pay"
provider = "stripe"
secret_vault_ref = "global/stripe"
"#;

const MEANT_GLOBAL: &str = "did you mean `global`? Write `global/KEY`, `principal:ID/KEY`, `channel:NAME:ACCOUNT/KEY`, \
    `skill:ID/KEY`, `env:NAME`, `file:/ABSOLUTE/PATH`";

fn parse(text: &str) -> Result<RegistryDocument, RegistryError> {
    let catalogue = Catalogue::built_in().unwrap();
    let checks = Checks { file: "webhooks.toml", catalogue: &catalogue, payload_bytes_cap: 1_048_576 };
    RegistryDocument::parse(text, &checks)
}

struct Folder(TempDir, InForce);

impl Folder {
    fn with(text: Option<&str>) -> Self {
        let folder = Self(tempfile::tempdir().unwrap(), InForce::default());
        if let Some(text) = text {
            crate::files::atomic_replace(&folder.config().file, text.as_bytes()).unwrap();
        }
        folder
    }

    fn config(&self) -> RegistryConfig {
        RegistryConfig {
            file: self.0.path().join("webhooks.toml"),
            profiles_dir: self.0.path().join("providers"),
            payload_bytes_cap: 1_048_576,
            published: self.1.clone(),
        }
    }

    fn open(&self) -> Registry {
        Registry::open(self.config(), NOW).unwrap()
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.config().file).unwrap()
    }
}

fn draft(id: &str, provider: &str) -> Draft {
    serde_json::from_value(serde_json::json!({
        "integration_id": id, "provider": provider, "secret_vault_ref": "global/key"
    }))
    .unwrap()
}

#[test]
fn a_missing_file_is_an_empty_registry_and_is_made_by_the_first_change() {
    let folder = Folder::with(None);
    let mut registry = folder.open();
    assert!(registry.list().is_empty());
    registry.add(draft("gh", "github"), &SecretStatus::Found, NOW).unwrap();
    folder.open();
    assert!(folder.1.lookup("gh").is_some());
    assert_eq!(std::fs::metadata(folder.config().file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn comments_and_order_survive_every_edit() {
    let folder = Folder::with(Some(HAND_WRITTEN));
    let mut registry = folder.open();
    registry.add(draft("new", "gitlab"), &SecretStatus::Found, NOW).unwrap();
    registry.set_enabled("gh", false, &SecretStatus::Found, NOW + 1).unwrap();
    registry.record_test("pay", true, "every check passed", NOW + 2).unwrap();
    registry.remove("new", NOW + 3).unwrap();
    let text = folder.text();
    for kept in ["# our webhooks", "# the main repository", "# short", "# only these", "# billing"] {
        assert!(text.contains(kept), "{kept} is gone from:\n{text}");
    }
    assert!(text.find("gh").unwrap() < text.find("pay").unwrap());
    assert!(text.contains("enabled = false"), "{text}");
    let again = folder.open();
    assert_eq!(again.list().len(), 2);
    assert_eq!(again.get("pay").unwrap().record.last_test_passed, Some(true));
}

#[test]
fn every_rule_of_a_field_is_enforced_with_its_place() {
    let entry = |line: &str| {
        format!(
            "version = 1\n[[webhooks]]\nintegration_id = \"a\"\nprovider = \"github\"\nsecret_vault_ref = \"global/a\"\n{line}\n"
        )
    };
    let cases = [
        (
            entry("enabeld = true"),
            "webhooks.toml:6:1: webhooks[0].enabeld: there is no field `enabeld`",
            Some("did you mean `enabled`?"),
        ),
        (
            entry("secret = \"x\""),
            "webhooks.toml:6:1: webhooks[0].secret",
            Some(
                "secrets do not belong in this file: store it with `palyra vault put`, and name it in `secret_vault_ref`",
            ),
        ),
        (entry("enabled = 1"), "webhooks.toml:6:1: webhooks[0].enabled", None),
        (entry("max_payload_bytes = 0"), "webhooks.toml:6:1: webhooks[0].max_payload_bytes", None),
        (
            entry("max_payload_bytes = 1048577"),
            "webhooks.toml:6:1: webhooks[0].max_payload_bytes: 1048577 exceeds the daemon's cap",
            Some("raise `payload_bytes_cap` in palyra.toml, up to 26214400"),
        ),
        (
            entry("replay_window_seconds = 99999999999"),
            "webhooks.toml:6:1: webhooks[0].replay_window_seconds",
            None,
        ),
        (entry("allowed_events = [\"\"]"), "webhooks.toml:6:19: webhooks[0].allowed_events[0]", None),
        (
            entry("on_filtered = \"deny\""),
            "webhooks.toml:6:1: webhooks[0].on_filtered",
            Some("write `\"accept\"` or `\"reject\"`"),
        ),
        (
            entry("allowed_events = \"push\""),
            "webhooks.toml:6:1: webhooks[0].allowed_events: a text of 4 characters is not",
            Some("write a list of at most 64 entries of 1 to 128 characters: `allowed_events = [\"push\"]`"),
        ),
        (
            entry("").replace("[[webhooks]]", "[webhooks]"),
            "webhooks.toml:2:2: webhooks: a table of 3 fields is not",
            Some("write `[[webhooks]]`, in double brackets, above each integration"),
        ),
        (
            entry("").replace("global/a", "globl/a"),
            "webhooks.toml:5:1: webhooks[0].secret_vault_ref: ",
            Some(MEANT_GLOBAL),
        ),
        (
            entry("").replace("provider = \"github\"", ""),
            "webhooks.toml:2:1: webhooks[0].provider: is missing",
            Some("write the name of a profile in quotes; `palyra providers list` shows them"),
        ),
        (entry("display_name = \"a\\u0000b\""), "webhooks.toml:6:1: webhooks[0].display_name", None),
        (
            entry("").replace("github", "gihub"),
            "webhooks.toml:4:1: webhooks[0].provider: unknown provider `gihub`",
            Some("did you mean `github`?"),
        ),
        (entry("").replace("global/a", "nowhere"), "webhooks.toml:5:1: webhooks[0].secret_vault_ref", None),
        (
            entry("").replace("secret_vault_ref = \"global/a\"", ""),
            "webhooks[0].secret_vault_ref: is missing",
            None,
        ),
        (
            entry("").replace("\"a\"", "\"-a\""),
            "webhooks.toml:3:1: webhooks[0].integration_id: `-a` is not a canonical id",
            None,
        ),
        (entry("").replace("\"a\"", "\"diagnostics\""), "`diagnostics` is reserved", None),
        (
            entry(
                "[[webhooks]]\nintegration_id = \" A \"\nprovider = \"github\"\nsecret_vault_ref = \"global/a\"",
            ),
            "webhooks.toml:7:1: webhooks[1].integration_id: `a` is already the id of another integration",
            Some("give one of the two another id, or remove one"),
        ),
        (
            "version = 0".to_owned(),
            "webhooks.toml:1:1: version",
            Some("write `version = 1` as the first line"),
        ),
        (
            "version = 2\nnewer = 1".to_owned(),
            "webhooks.toml:1:1: version: 2 is later than 1, the version that this palyra reads",
            Some(
                "a newer palyra wrote this file: run that version, or put back the earlier file; a file of this version begins \
                 with `version = 1`",
            ),
        ),
        (
            String::new(),
            "webhooks.toml:1:1: version: is missing",
            Some("write `version = 1` as the first line"),
        ),
        (
            "version = 1\nversion = 1".to_owned(),
            "webhooks.toml:2:1: version: is set a second time here",
            Some("remove one of the two"),
        ),
        ("version = 1\n[[webhooks]]\nintegration_id = \"\0\"".to_owned(), "webhooks.toml:3:", None),
    ];
    for (text, expected, hint) in cases {
        let error = parse(&text).unwrap_err();
        assert!(error.to_string().contains(expected), "got: {error}\nfor:\n{text}");
        if hint.is_some() {
            assert_eq!(error.hint().as_deref(), hint, "{text}");
        }
    }
}

#[test]
fn a_file_cut_at_any_byte_is_refused_or_holds_whole_integrations_only() {
    let whole = parse(HAND_WRITTEN).unwrap().records;
    for end in 0..HAND_WRITTEN.len() {
        if let Ok(document) = parse(&HAND_WRITTEN[..end]) {
            for record in document.records {
                let original = whole.iter().find(|other| other.integration_id == record.integration_id);
                assert_eq!(original.unwrap().provider, record.provider);
            }
        }
    }
}

#[test]
fn a_new_integration_without_its_secret_is_stored_disabled_and_cannot_be_enabled() {
    let folder = Folder::with(None);
    let mut registry = folder.open();
    let stored = registry.add(draft("gh", "github"), &SecretStatus::NotFound, NOW).unwrap();
    assert!(!stored.record.enabled);
    let refused = registry.set_enabled("gh", true, &SecretStatus::NotFound, NOW).unwrap_err();
    assert!(
        matches!(&refused, RegistryError::NotReady { issues, .. } if issues[0].contains("vault put")),
        "{refused}"
    );
    assert!(folder.1.lookup("gh").is_none());
    registry.set_enabled("gh", true, &SecretStatus::Found, NOW).unwrap();
    assert!(folder.1.lookup("gh").is_some());
}

#[test]
fn an_edit_by_hand_is_never_written_over() {
    let folder = Folder::with(Some(HAND_WRITTEN));
    let mut registry = folder.open();
    let file = folder.config().file;
    for edited in [HAND_WRITTEN.replace("main", "only"), "version = 9".to_owned()] {
        crate::files::atomic_replace(&file, edited.as_bytes()).unwrap();
        let refused = registry.set_enabled("gh", false, &SecretStatus::Found, NOW).unwrap_err();
        assert!(matches!(refused, RegistryError::EditedMeanwhile { .. }), "{refused}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), edited);
        assert!(registry.get("gh").unwrap().record.enabled);
    }
    std::fs::remove_file(&file).unwrap();
    registry.remove("gh", NOW).unwrap_err();
    crate::files::atomic_replace(&file, HAND_WRITTEN.as_bytes()).unwrap();
    registry.reload(NOW).unwrap();
    registry.remove("gh", NOW).unwrap();
    registry.remove("pay", NOW).unwrap();
}

#[test]
fn readiness_names_what_is_lacking() {
    let folder = Folder::with(Some(HAND_WRITTEN));
    let registry = folder.open();
    let report = |id: &str, status| readiness(&registry.get(id).unwrap(), &status);
    assert_eq!(report("gh", SecretStatus::Found).readiness, Readiness::Ready);
    assert_eq!(report("pay", SecretStatus::Found).readiness, Readiness::Disabled);
    let cases = [
        (SecretStatus::NotFound, Readiness::SecretNotFound),
        (SecretStatus::Unavailable("locked".into()), Readiness::SecretUnavailable),
        (SecretStatus::InvalidRef("odd".into()), Readiness::InvalidSecretRef),
    ];
    for (status, expected) in cases {
        let report = report("gh", status);
        assert_eq!((report.readiness, report.issues.len(), report.can_be_enabled()), (expected, 1, false));
    }
    let hub = HAND_WRITTEN.replace("\"stripe\"", "\"docker-hub\"");
    let hub = Folder::with(Some(&hub)).open().get("pay").unwrap();
    assert_eq!(readiness(&hub, &SecretStatus::Found).readiness, Readiness::InvalidConfiguration);
    let gone =
        Integration { record: registry.get("gh").unwrap().record.clone(), profile: None, lent_with: None };
    assert_eq!(readiness(&gone, &SecretStatus::Found).readiness, Readiness::InvalidConfiguration);
}

#[test]
fn a_reload_with_a_fault_keeps_the_last_good_file_in_force_and_says_so() {
    let folder = Folder::with(Some(HAND_WRITTEN));
    let mut registry = folder.open();
    crate::files::atomic_replace(&folder.config().file, b"version = 1\n[[webhooks]]\n").unwrap();
    registry.reload(NOW).unwrap_err();
    assert!(folder.1.lookup("gh").is_some());
    assert!(registry.snapshot().stale.unwrap().contains("webhooks.toml:2:"));
    let repaired = HAND_WRITTEN.replace("\"pay\"", "\"money\"").replace("enabled = true", "enabled = false");
    crate::files::atomic_replace(&folder.config().file, repaired.as_bytes()).unwrap();
    let changes = registry.reload(NOW).unwrap();
    assert_eq!(
        changes,
        Changes {
            added: vec!["money".into()],
            removed: vec!["pay".into()],
            changed: vec!["gh".into()],
            profiles: vec![]
        }
    );
    assert_eq!(registry.snapshot().stale, None);
}

#[test]
fn a_refused_reload_is_told_until_the_files_are_read_without_a_fault_whatever_is_changed_meanwhile() {
    let folder = Folder::with(Some(HAND_WRITTEN));
    let mut registry = folder.open();
    let profile = folder.config().profiles_dir.join("mine.toml");
    crate::files::create_private_dir(&folder.config().profiles_dir).unwrap();
    crate::files::atomic_replace(&profile, b"nmae = 1").unwrap();
    registry.reload(NOW).unwrap_err();
    registry.record_test("gh", true, "every check passed", NOW).unwrap();
    registry.set_enabled("gh", false, &SecretStatus::Found, NOW).unwrap();
    assert!(registry.snapshot().stale.unwrap().contains("mine.toml:1:1"));
    std::fs::remove_file(profile).unwrap();
    registry.reload(NOW).unwrap();
    assert_eq!(registry.snapshot().stale, None);
}

#[test]
fn a_file_that_was_removed_takes_no_integration_away_and_one_that_never_was_is_no_fault() {
    let folder = Folder::with(None);
    let mut registry = folder.open();
    assert_eq!(registry.reload(NOW).unwrap(), Changes::default());
    let file = folder.config().file;
    crate::files::atomic_replace(&file, HAND_WRITTEN.as_bytes()).unwrap();
    registry.reload(NOW).unwrap();
    std::fs::remove_file(&file).unwrap();
    let gone = registry.reload(NOW).unwrap_err();
    assert_eq!(registry.snapshot().stale, Some(gone.to_string()));
    assert!(gone.to_string().contains("`webhooks.toml` is missing"), "{gone}");
    assert!(folder.1.lookup("gh").is_some() && registry.list().len() == 2);
    assert!(gone.hint().unwrap().contains("the single line `version = 1`"));
    crate::files::atomic_replace(&file, b"version = 1\n").unwrap();
    assert_eq!(registry.reload(NOW).unwrap().removed, ["gh", "pay"]);
}

#[test]
fn a_change_that_cannot_be_written_does_not_come_into_force() {
    let folder = Folder::with(None);
    let mut registry = folder.open();
    std::fs::remove_dir_all(folder.0.path()).unwrap();
    let refused = registry.add(draft("gh", "github"), &SecretStatus::Found, NOW);
    assert!(matches!(refused, Err(RegistryError::Io { .. })), "{refused:?}");
    assert!(folder.1.lookup("gh").is_none());
}

#[test]
fn ids_are_unique_and_unknown_ones_bring_the_nearest() {
    let folder = Folder::with(Some(HAND_WRITTEN));
    let mut registry = folder.open();
    let taken = registry.add(draft(" GH ", "github"), &SecretStatus::Found, NOW);
    assert!(matches!(taken, Err(RegistryError::Exists { id }) if id == "gh"));
    let unknown = registry.remove("paz", NOW).unwrap_err();
    assert_eq!(unknown.hint().as_deref(), Some("did you mean `pay`?"));
}

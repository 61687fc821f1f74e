//! Nothing is written that would not be read.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::limits::{ALLOW_LIST_ENTRIES_MAX, ALLOW_LIST_ENTRY_CHARS_MAX, REGISTRY_FILE_BYTES_MAX};

/// A registry of [`HAND_WRITTEN`] that must be what it was after a refusal, in memory, in the file and for a reader.
struct Unchanged {
    folder: Folder,
    registry: Registry,
    before: Vec<IntegrationRecord>,
    text: String,
}

impl Unchanged {
    fn from(text: String) -> Self {
        let folder = Folder::with(Some(&text));
        let registry = folder.open();
        let before = records(&registry);
        Self { folder, registry, before, text }
    }

    fn assert(&self, what: &str) {
        assert_eq!(self.folder.text(), self.text, "{what}");
        assert_eq!(records(&self.registry), self.before, "{what}");
        assert_eq!(records(&self.folder.open()), self.before, "{what}");
    }
}

fn records(registry: &Registry) -> Vec<IntegrationRecord> {
    registry.list().iter().map(|integration| integration.record.clone()).collect()
}

/// A draft for `pay` or a new id, with these members set.
fn draft_with(id: &str, members: &serde_json::Value) -> Draft {
    let mut draft = json!({"integration_id": id, "provider": "paypal", "secret_vault_ref": "global/key"});
    let all = draft.as_object_mut().unwrap();
    all.extend(members.as_object().unwrap().clone());
    serde_json::from_value(draft).unwrap()
}

/// The same for one that is there.
fn amendment(members: &serde_json::Value) -> Amendment {
    let mut amendment = json!({"provider": "paypal", "secret_vault_ref": "global/key"});
    amendment.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    serde_json::from_value(amendment).unwrap()
}

/// A file of exactly so many bytes.
fn padded_to(bytes: u64) -> String {
    let missing = usize::try_from(bytes).unwrap() - HAND_WRITTEN.len() - 2;
    format!("{HAND_WRITTEN}#{}\n", "x".repeat(missing))
}

#[test]
fn what_a_reader_would_refuse_is_refused_before_it_is_written() {
    let list = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
    let long = "e".repeat(ALLOW_LIST_ENTRY_CHARS_MAX + 1);
    let cases = [
        (json!({"allowed_events": list(65)}), "allowed_events: a list of 65 entries has more than 64 items"),
        (
            json!({"allowed_sources": list(65)}),
            "allowed_sources: a list of 65 entries has more than 64 items",
        ),
        (
            json!({"allowed_events": ["a", long]}),
            "allowed_events[1]: a text of 129 characters is longer than 128 characters",
        ),
        (
            json!({"allowed_sources": [""]}),
            "allowed_sources[0]: a text of 0 characters is shorter than 1 character",
        ),
        (json!({"max_payload_bytes": 0}), "max_payload_bytes: 0 is less than the minimum of 1"),
        (
            json!({"signature_required": false, "unsigned_rate_per_second": 0}),
            "unsigned_rate_per_second: 0 is less than the minimum of 1",
        ),
        (
            json!({"signature_required": false, "unsigned_rate_per_second": 10_001}),
            "unsigned_rate_per_second: 10001 is greater than the maximum of 10000",
        ),
        (
            json!({"parameters": {"webhook_id": ""}}),
            "parameters.webhook_id: a text of 0 characters is shorter than 1 character",
        ),
        (
            json!({"parameters": {"webhook_id": "x".repeat(513)}}),
            "parameters.webhook_id: a text of 513 characters is longer than 512 characters",
        ),
    ];
    let mut known = Unchanged::from(HAND_WRITTEN.to_owned());
    for (members, expected) in cases {
        let added = known.registry.add(draft_with("new", &members), &SecretStatus::Found, NOW);
        let amended = known.registry.amend("pay", amendment(&members), &SecretStatus::Found, NOW);
        for error in [added.unwrap_err(), amended.unwrap_err()] {
            assert!(matches!(error, RegistryError::InvalidDraft { .. }), "{error:?}");
            assert_eq!(error.to_string(), expected, "{members}");
            known.assert(expected);
        }
    }
}

#[test]
fn a_list_may_be_as_long_as_its_bound() {
    let entries: Vec<String> =
        (0..ALLOW_LIST_ENTRIES_MAX).map(|n| format!("{n:0>ALLOW_LIST_ENTRY_CHARS_MAX$}")).collect();
    let folder = Folder::with(None);
    let draft = draft_with("new", &json!({"allowed_events": entries, "allowed_sources": entries}));
    folder.open().add(draft, &SecretStatus::Found, NOW).unwrap();
    assert_eq!(folder.open().get("new").unwrap().record.allowed_events, entries);
}

#[test]
fn no_change_makes_the_file_larger_than_what_is_read() {
    let mut full = Unchanged::from(padded_to(REGISTRY_FILE_BYTES_MAX));
    let added = full.registry.add(draft("new", "github"), &SecretStatus::Found, NOW).unwrap_err();
    full.assert("add");
    let amended = full.registry.amend("pay", Amendment::default(), &SecretStatus::Found, NOW).unwrap_err();
    full.assert("amend");
    let tested = full.registry.record_test("pay", true, "every check passed", NOW).unwrap_err();
    full.assert("test");
    let disabled = full.registry.set_enabled("gh", false, &SecretStatus::Found, NOW).unwrap_err();
    full.assert("disable");
    for error in [added, amended, tested, disabled] {
        assert!(matches!(&error, RegistryError::InvalidDraft { .. }), "{error:?}");
        assert!(error.to_string().ends_with("bytes, more than the limit of 4194304"), "{error}");
        assert!(error.hint().is_some());
    }
    full.registry.remove("pay", NOW).unwrap();
    assert!(full.folder.open().get("pay").is_none(), "there is always a way to make room");
}

/// Written by hand: what is left out has its default, and everything has a comment.
const COMMENTED: &str = r#"version = 1

# money
[[webhooks]]
integration_id = " PP " # as the bank writes it
provider = "paypal"
secret_vault_ref = 'global/pp'
# on since spring
enabled = true # at last
allowed_events = ["a", "b", "a"] # twice
[webhooks.parameters]
# from the dashboard
webhook_id = "one" # of the live account

# the last line
"#;

#[test]
fn an_edit_changes_nothing_of_a_file_written_by_hand_but_what_was_asked_for() {
    let folder = Folder::with(Some(COMMENTED));
    let mut registry = folder.open();
    registry.set_enabled("pp", false, &SecretStatus::Found, NOW).unwrap();
    let edited = COMMENTED
        .replace("enabled = true # at last", "enabled = false # at last")
        .replace("# twice\n", &format!("# twice\nupdated_at_unix_ms = {NOW}\n"));
    assert_eq!(folder.text(), edited);

    registry.set_enabled("pp", true, &SecretStatus::Found, NOW).unwrap();
    let amendment = Amendment {
        allowed_events: Some(vec!["a".into(), "b".into()]),
        parameters: [("webhook_id".to_owned(), Some("two".to_owned()))].into(),
        ..Amendment::default()
    };
    registry.amend("pp", amendment, &SecretStatus::Found, NOW).unwrap();
    assert_eq!(
        folder.text(),
        edited.replace("enabled = false", "enabled = true").replace("\"one\"", "\"two\"")
    );
}

#[test]
fn what_is_added_says_what_differs_from_the_defaults() {
    let folder = Folder::with(None);
    folder.open().add(draft("gh", "github"), &SecretStatus::NotFound, NOW).unwrap();
    let text = folder.text();
    let entry = text.split_once("[[webhooks]]\n").unwrap().1;
    let names: Vec<&str> =
        entry.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name).collect();
    let expected =
        ["integration_id", "provider", "secret_vault_ref", "created_at_unix_ms", "updated_at_unix_ms"];
    assert_eq!(names, expected, "{entry}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_change_is_read_back_equal_or_leaves_the_file_as_it_was(
        id in prop_oneof![Just("pay".to_owned()), "\\PC{0,8}", "[a-z0-9]{1,66}"],
        name in proptest::option::of(prop_oneof![any::<String>(), "x{0,130}"]),
        events in prop::collection::vec(prop_oneof![any::<String>(), "e{0,130}"], 0..70),
        signed: bool,
        bytes in proptest::option::of(prop_oneof![0_u64..3, any::<u64>(), 1_048_570_u64..1_048_580]),
        window in proptest::option::of(prop_oneof![any::<u64>(), 590_u64..1_000]),
        rate in proptest::option::of(prop_oneof![0_u32..3, 9_990_u32..10_010, any::<u32>()]),
        parameter in proptest::option::of(prop_oneof![any::<String>(), "p{500,520}"]),
    ) {
        let mut known = Unchanged::from(HAND_WRITTEN.to_owned());
        let members = json!({
            "display_name": name, "allowed_events": events, "signature_required": signed, "max_payload_bytes": bytes,
            "replay_window_seconds": window, "unsigned_rate_per_second": rate,
            "parameters": parameter.into_iter().map(|value| ("webhook_id", value)).collect::<BTreeMap<_, _>>(),
        });
        let changed = match id.as_str() {
            "pay" => known.registry.amend("pay", amendment(&members), &SecretStatus::Found, NOW),
            new => known.registry.add(draft_with(new, &members), &SecretStatus::Found, NOW),
        };
        match changed {
            Ok(stored) => {
                let read = known.folder.open();
                prop_assert_eq!(&read.get(&stored.record.integration_id).unwrap().record, &stored.record);
                prop_assert_eq!(records(&read), records(&known.registry));
            }
            Err(_) => known.assert("refused"),
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        id in "[a-z0-9][a-z0-9._-]{0,20}x",
        name in "[^\\p{Cc}]{1,30}",
        events in prop::collection::vec("[^\\p{Cc}]{1,20}", 0..5),
        enabled: bool,
        bytes in 1_u64..1_048_576,
        window in proptest::option::of(600_u64..1_000_000),
    ) {
        let folder = Folder::with(Some(HAND_WRITTEN));
        let mut registry = folder.open();
        let mut draft = draft(&id, "stripe");
        draft.display_name = Some(name);
        draft.allowed_events = events;
        draft.enabled = enabled;
        draft.max_payload_bytes = Some(bytes);
        draft.replay_window_seconds = window;
        let stored = registry.add(draft, &SecretStatus::Found, NOW).unwrap();
        let read = folder.open().get(&id).unwrap();
        prop_assert_eq!(&read.record, &stored.record);
    }
}

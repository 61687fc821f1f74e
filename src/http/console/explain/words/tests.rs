use palyra_actors::ids::EventId;

use super::*;

fn record(allowed_events: &[&str]) -> IntegrationRecord {
    serde_json::from_value(serde_json::json!({
        "integration_id": "gh", "provider": "github", "secret_vault_ref": "global/github", "enabled": true,
        "allowed_events": allowed_events,
    }))
    .unwrap()
}

fn integration(record: IntegrationRecord) -> Integration {
    Integration { record, profile: None, lent_with: None }
}

fn refusal(kind: Kind, cause: Option<Cause>) -> Refusal {
    Refusal {
        id: EventId::new(0, 0),
        at: 0,
        integration_id: "gh".to_owned(),
        kind,
        cause,
        detail: Some("in words of ours".to_owned()),
    }
}

#[test]
fn every_reason_for_which_a_delivery_is_refused_has_a_next_step() {
    let reasons = [
        Reason::MissingSignature,
        Reason::MalformedSignature,
        Reason::BadSignature,
        Reason::MissingTimestamp,
        Reason::MalformedTimestamp,
        Reason::StaleTimestamp,
        Reason::FutureTimestamp,
        Reason::BadClaim,
        Reason::UntrustedKey,
    ];
    for reason in reasons {
        assert!(!mends_reason(reason, &integration(record(&[]))).is_empty(), "{reason:?}");
        assert_eq!(Reason::deserialize(&Value::from(reason.as_str())).ok(), Some(reason), "as rows name it");
    }
}

#[test]
fn a_bad_signature_names_the_secret_and_where_it_is_stored() {
    let cause = Cause::Unauthentic(Reason::BadSignature);
    let told = of_refusal(&refusal(Kind::Unauthenticated, Some(cause)), Some(&integration(record(&[]))));
    assert_eq!(told.why, ["bad_signature: in words of ours"]);
    assert!(told.next[0].contains("`palyra vault put global/github`"), "{told:?}");
}

#[test]
fn published_keys_are_named_only_where_they_are_used() {
    let open = IntegrationRecord { secret_vault_ref: None, signature_required: false, ..record(&[]) };
    let told = mends_reason(Reason::BadSignature, &integration(open));
    assert!(!told.is_empty() && !told.iter().any(|next| next.contains("published keys")), "{told:?}");
}

#[test]
fn nothing_is_said_to_be_lost_of_which_nobody_knows() {
    let told = |cause| of_refusal(&refusal(Kind::Unavailable, Some(cause)), Some(&integration(record(&[]))));
    for cause in [Cause::Event, Cause::Vault, Cause::Secret, Cause::PublishedKeys] {
        assert!(told(cause).happened.ends_with("; it was not stored"), "{cause:?}");
    }
    let unknown = told(Cause::Unknown);
    assert!(unknown.happened.contains("may have been stored") && !unknown.next.is_empty(), "{unknown:?}");
}

#[test]
fn what_was_removed_or_disabled_since_is_told() {
    let gone = of_refusal(&refusal(Kind::RequestTimeout, None), None);
    assert_eq!(gone.why, ["in words of ours", "`gh` has been removed since"]);
    let forged =
        of_refusal(&refusal(Kind::Unauthenticated, Some(Cause::Unauthentic(Reason::BadSignature))), None);
    assert!(forged.next.len() == 1 && forged.next[0].contains("webhooks add gh"), "{forged:?}");
    let off = integration(IntegrationRecord { enabled: false, ..record(&[]) });
    let told = of_refusal(&refusal(Kind::RequestTimeout, None), Some(&off));
    assert_eq!(told.why[1], "`gh` has been disabled since");
}

#[test]
fn the_command_that_widens_a_list_keeps_what_is_on_it() {
    let record = record(&["push", "ping"]);
    let told = widened(&record, "event", &record.allowed_events, "release");
    let command = "palyra webhooks set gh --allow-event push --allow-event ping --allow-event release";
    assert!(told.contains(command), "{told}");
}

#[test]
fn what_a_sender_wrote_is_put_into_no_command_unless_a_shell_takes_it_as_it_stands() {
    let record = record(&["push"]);
    for name in ["$(reboot)", "a b", "`id`", "-rf", "", "a;b", "a\nb", "'"] {
        let told = widened(&record, "event", &record.allowed_events, name);
        assert!(
            told.contains("--allow-event NAME …")
                && (name.is_empty() || !told.contains(&format!("event {name}"))),
            "{told}"
        );
    }
}

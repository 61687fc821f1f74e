//! Text for people about integrations, tests and sent deliveries.

use serde_json::Value;

use crate::cli::table::{Fields, Table, Tone};
use crate::cli::text::{FIELD_CHARS_MAX, clipped};
use crate::cli::view::{NONE, is_true, items, show, shown, shown_time, text};

const UNSIGNED: &str = "NOT REQUIRED";

/// One line for each integration.
pub fn table(webhooks: &Value) -> Table {
    let mut table =
        Table::new(&["id", "provider", "enabled", "readiness", "signature", "events", "sources", "url"]);
    for integration in items(webhooks, "webhooks") {
        let [id, provider, enabled, readiness, url] =
            ["integration_id", "provider", "enabled", "readiness", "url"]
                .map(|name| shown(integration, name));
        let [events, sources] =
            ["allowed_events", "allowed_sources"].map(|name| all_or_some(integration, name));
        let signature = signature(integration).to_owned();
        table.row(tone(integration), [id, provider, enabled, readiness, signature, events, sources, url]);
    }
    table
}

fn tone(integration: &Value) -> Tone {
    match text(integration, "readiness") {
        "ready" if is_true(integration, "signature_required") => Tone::Plain,
        "disabled" => Tone::Plain,
        "ready" => Tone::Warn,
        _ => Tone::Bad,
    }
}

fn signature(integration: &Value) -> &'static str {
    if is_true(integration, "signature_required") { "required" } else { UNSIGNED }
}

fn all_or_some(integration: &Value, name: &str) -> String {
    let some = shown(integration, name);
    if some == NONE { "all".to_owned() } else { some }
}

/// Everything about one integration.
pub fn details(integration: &Value) -> String {
    let mut fields = Fields::default();
    for (label, name) in
        [("id", "integration_id"), ("name", "display_name"), ("provider", "provider"), ("enabled", "enabled")]
    {
        fields.add(label, shown(integration, name));
    }
    fields.add("url", address(integration));
    fields.toned(tone(integration), "readiness", shown(integration, "readiness"));
    for issue in items(integration, "issues") {
        fields.toned(Tone::Bad, "issue", show(issue));
    }
    fields.add("secret", keys_text(integration));
    for (name, value) in integration.get("parameters").and_then(Value::as_object).into_iter().flatten() {
        fields.add("parameter", format!("{name}={}", show(value)));
    }
    let unsigned = !is_true(integration, "signature_required");
    fields.toned(if unsigned { Tone::Warn } else { Tone::Plain }, "signature", signature(integration));
    if unsigned {
        fields.add("rate", format!("at most {} per second", shown(integration, "unsigned_rate_per_second")));
    }
    fields.add("events", all_or_some(integration, "allowed_events"));
    fields.add("sources", all_or_some(integration, "allowed_sources"));
    fields.add("when filtered", shown(integration, "on_filtered"));
    fields.add("largest body", format!("{} bytes", shown(integration, "max_payload_bytes")));
    fields.add("replay window", replay_window(integration));
    fields.add("created", shown_time(integration, "created_at_unix_ms"));
    fields.add("updated", shown_time(integration, "updated_at_unix_ms"));
    add_last_test(&mut fields, integration);
    fields.render(0)
}

fn replay_window(integration: &Value) -> String {
    let span = |name: &str| integration.get(name).and_then(Value::as_u64).map(crate::cli::since::span_text);
    let of_profile =
        || span("profile_replay_window_seconds").map(|span| format!("{span} (from the profile)"));
    span("replay_window_seconds").or_else(of_profile).unwrap_or_else(|| "the daemon's default".to_owned())
}

fn add_last_test(fields: &mut Fields, integration: &Value) {
    let at = shown_time(integration, "last_test_at_unix_ms");
    if at == NONE {
        return fields.add("last test", "never");
    }
    let (tone, word) = passed(integration.get("last_test_passed"));
    fields.toned(tone, "last test", format!("{word} {at} {}", text(integration, "last_test_message")));
}

/// A new integration, and what to enter at the provider.
pub fn added(integration: &Value) -> String {
    let mut fields = Fields::default();
    let state = if is_true(integration, "enabled") { "enabled" } else { "disabled" };
    fields.toned(tone(integration), "added", format!("{} ({state})", shown(integration, "integration_id")));
    fields.add("at the provider", format!("enter this for {}:", shown(integration, "provider")));
    fields.add("  url", address(integration));
    fields.add("  secret", secret_text(integration));
    fields.add("  events", all_or_some(integration, "allowed_events"));
    fields.add("  sources", all_or_some(integration, "allowed_sources"));
    fields.render(0)
}

/// The URL senders post to. If its base is unknown, says what to put in front of the path, and where to try it on this
/// machine.
fn address(integration: &Value) -> String {
    let url = shown(integration, "url");
    if !url.starts_with('/') {
        return url;
    }
    let here = text(integration, "local_url");
    let here = if here.is_empty() { String::new() } else { format!("; on this machine {here}") };
    format!("{url} after the address at which senders reach the ingress ({KNOWN_BY}){here}")
}

/// The setting that tells the daemon its public address.
pub const KNOWN_BY: &str = "`public_url` in palyra.toml";

fn secret_text(integration: &Value) -> String {
    match integration.get("secret_vault_ref").and_then(Value::as_str) {
        Some(vault_ref) => format!("the value of {vault_ref}"),
        None => keys_text(integration),
    }
}

/// Where the keys of an integration come from.
fn keys_text(integration: &Value) -> String {
    match integration.get("secret_vault_ref").and_then(Value::as_str) {
        Some(vault_ref) => vault_ref.to_owned(),
        None if is_true(integration, "signature_required") => "published by the provider".to_owned(),
        None => "none".to_owned(),
    }
}

fn passed(value: Option<&Value>) -> (Tone, &'static str) {
    match value.and_then(Value::as_bool) {
        Some(true) => (Tone::Good, "✓"),
        Some(false) => (Tone::Bad, "✗"),
        None => (Tone::Plain, "·"),
    }
}

/// Every check in order, and the answer the delivery would get.
pub fn test_outcome(outcome: &Value) -> String {
    let mut fields = Fields::default();
    for check in items(outcome, "checks") {
        let (tone, sign) = passed(check.get("passed"));
        fields.toned(tone, format!("{sign} {}", shown(check, "check")), text(check, "detail"));
    }
    let answer = outcome.get("would_answer").unwrap_or(&Value::Null);
    let (tone, word) =
        if is_true(outcome, "passed") { (Tone::Good, "passed") } else { (Tone::Bad, "failed") };
    let verdict = tone.paint(word);
    let answer = format!("the answer would be {} {}", shown(answer, "status"), text(answer, "outcome"));
    format!("{}{verdict}: {}\n", fields.render(0), clipped(answer.trim_end(), FIELD_CHARS_MAX))
}

/// What was posted where, and the answer.
pub fn sent(sent: &Value) -> String {
    let status = number(sent, "status").unwrap_or(0);
    let tone = if as_expected(sent) { Tone::Good } else { Tone::Bad };
    let answer = sent.get("answer").unwrap_or(&Value::Null);
    let mut fields = Fields::default();
    fields.add("posted to", shown(sent, "url"));
    fields.toned(tone, "answered", format!("{status} {}", outcome(answer)));
    if let Some(expected) = number(sent, "expected_status") {
        let word = if as_expected(sent) { "as expected" } else { "NOT as expected" };
        fields.toned(tone, "verdict", format!("{word}: docs/answers.md says {expected}"));
    }
    for (name, value) in answer.as_object().into_iter().flatten() {
        if !matches!(&**name, "outcome" | "title" | "status" | "type") {
            fields.add(name.replace('_', " "), show(value));
        }
    }
    if let Some(id) = sent.get("refusal").and_then(Value::as_str) {
        fields.add("reason", format!("`palyra webhooks explain {id}` says why it was refused"));
    }
    fields.render(0)
}

/// Whether the answer is as documented: any 2xx, or for a corrupted delivery the expected status.
pub fn as_expected(sent: &Value) -> bool {
    let status = number(sent, "status").unwrap_or(0);
    match number(sent, "expected_status") {
        Some(expected) => status == expected,
        None => (200..300).contains(&status),
    }
}

fn number(document: &Value, name: &str) -> Option<u64> {
    document.get(name).and_then(Value::as_u64)
}

fn outcome(answer: &Value) -> &str {
    [text(answer, "outcome"), text(answer, "title")]
        .into_iter()
        .find(|word| !word.is_empty())
        .unwrap_or_default()
}

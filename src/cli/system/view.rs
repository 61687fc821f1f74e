//! Text for people about the daemon and its events.

use serde_json::Value;

use crate::cli::output::Output;
use crate::cli::since::span_text;
use crate::cli::table::{Fields, Table, Tone, heading};
use crate::cli::text::{CELL_CHARS_MAX, FIELD_CHARS_MAX, clipped};
use crate::cli::view::{NONE, all_fields, is_true, items, show, shown, shown_time, text};

/// The health of the daemon.
pub fn heartbeat(heartbeat: &Value) -> String {
    let mut fields = Fields::default();
    let ready = is_true(heartbeat, "ready");
    let tone = if ready && text(heartbeat, "status") == "ok" { Tone::Good } else { Tone::Bad };
    fields.toned(tone, "status", shown(heartbeat, "status"));
    fields.toned(tone, "ready", if ready { "yes" } else { "NO" });
    for reason in items(heartbeat, "reasons") {
        fields.toned(Tone::Bad, "reason", show(reason));
    }
    fields.add("version", shown(heartbeat, "version"));
    fields.add("process", shown(heartbeat, "pid"));
    fields.add("up", uptime(heartbeat));
    fields.add("ingress", shown(heartbeat, "ingress"));
    fields.add("console", shown(heartbeat, "console"));
    let journal = heartbeat.get("journal").unwrap_or(&Value::Null);
    fields.add("events", format!("{} (head {})", shown(journal, "head_seq"), shown(journal, "head_hash")));
    if let Some(size) = journal.get("checkpoint_size").and_then(Value::as_u64) {
        fields.add("signed", format!("{size} events, with the key of epoch {}", shown(journal, "epoch")));
    }
    if let Some((tone, text)) = heartbeat.get("verification").and_then(verification) {
        fields.toned(tone, "verification", text);
    }
    if let Some(why) = journal.get("error").and_then(Value::as_str) {
        fields.toned(Tone::Bad, "journal", why);
    }
    if let Some(reason) = journal.get("poisoned").and_then(Value::as_str) {
        fields.toned(Tone::Bad, "journal", format!("no longer writes: {reason}"));
    }
    fields.render(0)
}

/// The state of the verification of the journal.
fn verification(found: &Value) -> Option<(Tone, String)> {
    let told = match found.get("state").and_then(Value::as_str)? {
        "running" => (Tone::Plain, format!("{} of {} events", shown(found, "seq"), shown(found, "head_seq"))),
        "verified" => (
            Tone::Good,
            format!("all {} events that existed when the daemon started", shown(found, "events")),
        ),
        "failed" => (Tone::Bad, failed(found)),
        "broken" => (Tone::Bad, format!("could not be completed: {}", shown(found, "reason"))),
        _ => return None,
    };
    Some(told)
}

/// The failure of a verification. A problem with an index or a checkpoint has no seq.
fn failed(found: &Value) -> String {
    match found.get("first_bad_seq").and_then(Value::as_u64) {
        Some(seq) => format!("FAILED from seq {seq} on"),
        None => format!("FAILED, {} problems", shown(found, "problems_total")),
    }
}

fn uptime(heartbeat: &Value) -> String {
    let seconds = heartbeat.get("uptime_seconds").and_then(Value::as_u64).unwrap_or(0);
    format!("{} (since {})", span_text(seconds), shown_time(heartbeat, "started_at_unix_ms"))
}

/// What a reload changed.
pub fn reloaded(reloaded: &Value) -> String {
    let mut fields = Fields::default();
    for name in ["added", "removed", "changed", "profiles"] {
        fields.add(name, shown(reloaded, name));
    }
    fields.render(0)
}

/// The actors and connectors.
pub fn presence(presence: &Value, out: &Output) -> String {
    let mut table = Table::new(&["part", "name", "state", "since", "restarts", "last end"]).right(4);
    for (part, list) in [("actor", "actors"), ("connector", "connectors")] {
        for one in items(presence, list) {
            let [name, state, restarts, last_exit] =
                ["name", "state", "restarts", "last_exit"].map(|name| shown(one, name));
            let since = shown_time(one, "started_at_unix_ms");
            let tone = if state == "running" { Tone::Plain } else { Tone::Bad };
            table.row(tone, [part.to_owned(), name, state, since, restarts, last_exit]);
        }
    }
    out.table_text(&table)
}

/// The counters, grouped by part.
pub fn insights(insights: &Value, out: &Output) -> String {
    let parts = [
        ("Deliveries", "deliveries"),
        ("Console", "console"),
        ("Registry", "registry"),
        ("Vault", "vault"),
        ("Replay guard", "replay_guard"),
        ("Journal", "journal"),
        ("Connectors", "connectors"),
    ];
    let sections = parts.iter().filter_map(|(title, name)| Some((title, insights.get(name)?)));
    let mut report: Vec<String> =
        sections.map(|(title, part)| heading(title) + &all_fields(part).render(2)).collect();
    if let Some(diagnostics) = insights.get("diagnostics") {
        report.push(heading("Integrations") + &integrations(diagnostics, out));
    }
    report.join("\n")
}

fn integrations(diagnostics: &Value, out: &Output) -> String {
    let mut totals = Fields::default();
    totals.add("total", shown(diagnostics, "total"));
    totals.add("enabled", shown(diagnostics, "enabled"));
    for group in ["by_readiness", "by_provider"] {
        for (name, count) in diagnostics.get(group).and_then(Value::as_object).into_iter().flatten() {
            totals.add(name, show(count));
        }
    }
    let mut problems = Table::new(&["id", "readiness", "issues"]);
    for problem in items(diagnostics, "problems") {
        problems.row(Tone::Bad, ["integration_id", "readiness", "issues"].map(|name| shown(problem, name)));
    }
    let problems =
        if problems.is_empty() { String::new() } else { "\n".to_owned() + &out.table_text(&problems) };
    totals.render(2) + &problems
}

/// One line for each event, aligned.
pub fn events<'a>(events: impl Iterator<Item = &'a Value>) -> Table {
    let mut table =
        Table::new(&["seq", "recorded at", "kind", "name", "source", "integration", "summary"]).right(0);
    for event in events {
        let names = ["seq", "recorded_at", "kind", "name", "source", "integration_id", "summary"];
        table.row(tone(event), names.map(|name| shown(event, name)));
    }
    table
}

/// Every column of an event, and its details.
pub fn event(event: &Value) -> String {
    let mut fields = Fields::default();
    for name in ["seq", "event_id", "kind", "name"] {
        fields.add(name.replace('_', " "), shown(event, name));
    }
    fields.toned(tone(event), "severity", shown(event, "severity"));
    fields.add("summary", shown(event, "summary"));
    for name in ["principal", "source", "integration_id", "provider", "delivery_id", "key_version", "tags"] {
        fields.add(name.replace('_', " "), shown(event, name));
    }
    fields.add("occurred at", shown_time(event, "occurred_at_unix_ms"));
    fields.add("recorded at", shown(event, "recorded_at"));
    for name in ["body_format", "body_bytes", "body_sha256", "prev_hash", "leaf_hash"] {
        fields.add(name.replace('_', " "), shown(event, name));
    }
    let details = event.get("details").unwrap_or(&Value::Null);
    match details.as_object().is_some_and(|members| !members.is_empty()) {
        true => fields.render(0) + &heading("details") + &all_fields(details).render(2),
        false => fields.render(0),
    }
}

fn tone(event: &Value) -> Tone {
    match text(event, "severity") {
        "warn" => Tone::Warn,
        "error" => Tone::Bad,
        _ => Tone::Plain,
    }
}

/// One event on one line, not aligned, because the widths in a stream are not known beforehand.
pub fn event_line(event: &Value) -> String {
    let cell = |name: &str| clipped(&shown(event, name), CELL_CHARS_MAX);
    let about =
        [cell("source"), cell("integration_id")].into_iter().find(|word| word != NONE).unwrap_or_default();
    let line = format!(
        "{:>8}  {}  {:<7}  {:<28}  {:<24}  {}",
        cell("seq"),
        cell("recorded_at"),
        cell("kind"),
        cell("name"),
        about,
        clipped(text(event, "summary"), FIELD_CHARS_MAX)
    );
    tone(event).paint(line.trim_end()) + "\n"
}

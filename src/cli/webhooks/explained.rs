//! Text for people for the answers of `webhooks explain`.

use serde_json::Value;

use crate::cli::output::Output;
use crate::cli::table::{Fields, Table, Tone, heading};
use crate::cli::view::{items, show, shown, shown_time};

/// What happened, when, why and what to do; for an integration also its recent refusals and rows.
pub fn text(explained: &Value, out: &Output) -> String {
    let mut fields = Fields::default();
    fields.add("what", shown(explained, "happened"));
    if let Some(at) = when(explained) {
        fields.add("when", at);
    }
    for why in items(explained, "why") {
        fields.add("why", show(why));
    }
    for next in items(explained, "next") {
        fields.add("next", show(next));
    }
    let latest =
        [("Recent refusals that left no row", refusals(explained)), ("Recent rows", rows(explained))];
    let latest = latest.iter().filter(|(_, table)| !table.is_empty());
    latest
        .fold(fields.render(0), |text, (title, table)| text + "\n" + &heading(title) + &out.table_text(table))
}

fn when(explained: &Value) -> Option<String> {
    let refused = explained.get("refusal").map(|refusal| shown_time(refusal, "refused_at_unix_ms"));
    refused.or_else(|| explained.get("event").map(|event| shown(event, "recorded_at")))
}

fn refusals(explained: &Value) -> Table {
    let mut table = Table::new(&["refused at", "answer", "reason", "detail", "id"]);
    for refusal in items(explained, "refusals") {
        let [status, reason, detail, id] =
            ["status", "reason", "detail", "id"].map(|name| shown(refusal, name));
        table.row(Tone::Warn, [shown_time(refusal, "refused_at_unix_ms"), status, reason, detail, id]);
    }
    table
}

fn rows(explained: &Value) -> Table {
    let mut table = Table::new(&["recorded at", "outcome", "seq", "summary"]);
    for row in items(explained, "rows") {
        let [outcome, seq, summary] = ["outcome", "seq", "summary"].map(|name| shown(row, name));
        let tone = if outcome == "accepted" { Tone::Plain } else { Tone::Warn };
        table.row(tone, [shown_time(row, "recorded_at_unix_ms"), outcome, seq, summary]);
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::cli::testing::{Stub, answer, palyra};

    #[test]
    fn an_explanation_says_what_when_why_and_what_to_do_and_shows_foreign_text_as_safe_text() {
        let refusal = json!({
            "about": "refusal", "integration_id": "gh", "happened": "a delivery to `gh` was answered 401",
            "why": ["bad_signature: no key of ours"], "next": ["first this", "then\u{1b}[2J that"],
            "refusal": {"refused_at_unix_ms": 1_782_907_200_000_u64},
        });
        let stub = Stub::answering([answer(200, &refusal)]);
        let ran = palyra("webhooks explain 01ARZ3NDEKTSV4RRFFQ69G5FAV", &stub);
        assert_eq!(stub.asked()[0].line, "GET /console/v1/explain/01ARZ3NDEKTSV4RRFFQ69G5FAV");
        assert_eq!(
            ran.stdout,
            "\
what  a delivery to `gh` was answered 401
when  2026-07-01T12:00:00Z
why   bad_signature: no key of ours
next  first this
next  then\\u{1b}[2J that
"
        );
    }

    #[test]
    fn an_integration_is_explained_with_what_came_of_late() {
        let refusal = json!({
            "refused_at_unix_ms": 1_782_907_200_000_u64, "status": 401, "code": "unauthenticated",
            "reason": "bad_signature", "detail": "no key of ours", "id": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        });
        let row = json!({"recorded_at_unix_ms": 1_782_907_200_000_u64, "outcome": "accepted", "seq": 7, "summary": "push"});
        let explained = json!({
            "about": "integration", "happened": "`gh` accepts signed deliveries", "why": [], "next": [],
            "refusals": [refusal], "rows": [row],
        });
        let ran = palyra("webhooks explain gh", &Stub::answering([answer(200, &explained)]));
        for part in [
            "Recent refusals that left no row",
            "bad_signature",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "Recent rows",
            "push",
        ] {
            assert!(ran.stdout.contains(part), "{}", ran.stdout);
        }
    }
}

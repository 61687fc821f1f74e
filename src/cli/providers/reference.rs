//! Checks that `docs/providers.md` matches the profiles and `docs/providers.template.md`. `UPDATE=1 cargo test reference`
//! rewrites it.

use std::fmt::Write as _;
use std::path::Path;

use palyra_actors::provider::{Catalogue, ProfileSummary};

/// The page without what is taken from the profiles.
const TEMPLATE: &str = include_str!("../../../docs/providers.template.md");

#[test]
fn the_reference_of_providers_fits_the_profiles() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/providers.md");
    let page = page();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    assert!(
        std::fs::read_to_string(&file).unwrap() == page,
        "docs/providers.md is out of date: run `UPDATE=1 cargo test reference`"
    );
}

fn page() -> String {
    let catalogue = Catalogue::built_in().unwrap();
    let all: Vec<ProfileSummary> = catalogue.iter().map(|profile| profile.summary()).collect();
    let rows: String = all.iter().map(row).collect();
    let noted = all.iter().filter(|one| !one.notes.is_empty() || !one.parameters.is_empty());
    TEMPLATE.replace("{{rows}}\n", &rows).replace("{{notes}}\n", &noted.map(notes).collect::<String>())
}

fn row(one: &ProfileSummary) -> String {
    let code = |texts: &[String]| {
        let texts = texts.iter().map(|text| format!("`{}`", text.replace('|', "\\|").replace('\n', "\\n")));
        or_nothing(&texts.collect::<Vec<_>>())
    };
    let words = |text: &Option<String>| text.as_deref().unwrap_or("-").replace('|', "\\|");
    let time = if one.timestamp { one.tolerance_seconds.to_string() } else { "-".to_owned() };
    let cells = [
        format!("[`{}`]({})", one.name, one.docs),
        format!("{}: {}", one.scheme.replace('_', " "), one.algorithm),
        or_nothing(&one.signature),
        code(&one.signed_content),
        time,
        if one.id_signed { "yes" } else { "no" }.to_owned(),
        replays(one),
        or_nothing(&one.handshakes),
        words(&one.answer),
        words(&one.retries),
    ];
    format!("| {} |\n", cells.join(" | "))
}

fn replays(one: &ProfileSummary) -> String {
    let window = one.replay_window_seconds.map(|seconds| format!(", for {seconds} s"));
    format!("{}{}", one.replay_key, window.unwrap_or_default())
}

fn or_nothing(texts: &[String]) -> String {
    if texts.is_empty() { "-".to_owned() } else { texts.join("; ") }
}

fn notes(one: &ProfileSummary) -> String {
    let mut text = format!("\n**{}** (`{}`)\n\n", one.title, one.name);
    for parameter in &one.parameters {
        match one.secret_parameters.contains(parameter) {
            true => writeln!(text, "- needs `--parameter {parameter}=REF`, the vault reference of a secret")
                .unwrap(),
            false => writeln!(text, "- needs `--parameter {parameter}=…`").unwrap(),
        }
    }
    for note in &one.notes {
        writeln!(text, "- {note}").unwrap();
    }
    text
}

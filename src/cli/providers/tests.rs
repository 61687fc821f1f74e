use serde_json::{Value, json};

use crate::cli::testing::{Stub, answer, palyra};

fn github() -> Value {
    json!({"name": "github", "title": "GitHub", "scheme": "hmac-sha256", "header": "X-Hub-Signature-256",
        "signed_content": "body", "timestamp": false, "id_signed": false, "docs": "https://docs.github.com", "origin": "built-in",
        "profile_toml": "name = \"github\"\ntitle = \"GitHub\u{1b}[2J\"\n"})
}

#[test]
fn the_list_is_a_table_of_profiles() {
    let ran = palyra("providers list", &Stub::answering([answer(200, &json!({"providers": [github()]}))]));
    assert_eq!(
        ran.stdout,
        "\
name    title   scheme       signature header     timestamp  signed id  origin
github  GitHub  hmac-sha256  X-Hub-Signature-256  no         no         built-in
"
    );
}

#[test]
fn a_profile_is_shown_with_its_file() {
    let ran = palyra("providers show github", &Stub::answering([answer(200, &github())]));
    assert!(ran.stdout.contains("documentation     https://docs.github.com\n"), "{}", ran.stdout);
    assert!(
        ran.stdout.ends_with("Profile\nname = \"github\"\ntitle = \"GitHub\\u{1b}[2J\"\n"),
        "{}",
        ran.stdout
    );
    let ran = palyra("--quiet providers show github", &Stub::answering([answer(200, &github())]));
    assert!(ran.stdout.starts_with("name = \"github\"\n"), "{}", ran.stdout);
}

#[test]
fn a_misspelt_name_is_answered_with_the_nearest() {
    let missing = || answer(404, &json!({"title": "no such profile", "code": "provider_not_found"}));
    let list = || answer(200, &json!({"providers": [github(), {"name": "stripe"}]}));
    let ran = palyra("providers show gihtub", &Stub::answering([missing(), list()]));
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (1, "palyra: no such profile\n  hint: did you mean `github`?\n")
    );
    let ran = palyra("providers show zzz", &Stub::answering([missing(), list()]));
    assert!(ran.stderr.contains("palyra providers list"), "{}", ran.stderr);
}

#[test]
fn the_hint_of_the_console_goes_first() {
    let missing = answer(
        404,
        &json!({"title": "no such profile", "code": "provider_not_found", "hint": "did you mean `gitlab`?"}),
    );
    let ran = palyra("providers show gitla", &Stub::answering([missing]));
    assert!(ran.stderr.contains("`gitlab`"), "{}", ran.stderr);
}

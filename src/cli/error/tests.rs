use super::*;

#[test]
fn each_kind_has_its_exit_code() {
    let table = [
        (CliError::usage("x"), 2),
        (CliError::failed("x"), 1),
        (CliError::unreachable("x"), 69),
        (CliError::no_daemon("x"), 69),
        (CliError::in_use("x"), 73),
        (CliError::config("x"), 78),
        (CliError::does_not_verify("x"), 65),
        (CliError::new(Kind::Internal, "x"), 70),
        (CliError::new(Kind::OutputClosed, "x"), 0),
        (CliError::problem(404, None, None), 1),
        (CliError::problem(503, None, None), 1),
    ];
    for (error, code) in table {
        assert_eq!(error.exit().code(), code, "{error:?}");
    }
}

#[test]
fn a_problem_document_becomes_message_issues_and_hint() {
    let body = json!({
        "type": "about:blank", "title": "invalid integration", "status": 422, "code": "invalid_integration",
        "detail": "provider `gihtub` has no profile", "hint": "did you mean `github`?", "issues": ["provider: unknown"]
    });
    let error = CliError::problem(422, Some(&body), None);
    assert_eq!(
        error.to_text(),
        "palyra: invalid integration: provider `gihtub` has no profile\n  - provider: unknown\n  hint: did you mean `github`?\n"
    );
    assert_eq!(error.to_json()["error"]["code"], "invalid_integration");
    assert_eq!(error.to_json()["error"]["issues"][0], "provider: unknown");
}

#[test]
fn an_answer_that_is_no_problem_document_is_told_by_its_status() {
    let error = CliError::problem(502, None, None);
    assert_eq!(error.to_text(), "palyra: the console answered 502\n");
    assert_eq!(
        error.to_json(),
        json!({"error": {"code": "status_502", "message": "the console answered 502", "hint": null}})
    );
}

#[test]
fn refusals_without_a_hint_that_helps_get_ours() {
    let how_to_send_it = json!({"hint": "send `Authorization: Bearer`"});
    for body in [None, Some(&how_to_send_it)] {
        assert!(CliError::problem(401, body, None).hint.unwrap().contains("--state-root"));
    }
    assert!(CliError::problem(503, None, Some("5")).hint.unwrap().contains("in 5 s"));
}

#[test]
fn foreign_text_in_an_error_cannot_steer_the_terminal() {
    let body = json!({"title": "a\u{1b}[2J\nb", "code": "x", "issues": ["\u{202e}"]});
    let text = CliError::problem(400, Some(&body), None).to_text();
    assert_eq!(text, "palyra: a\\u{1b}[2J\\nb\n  - \\u{202e}\n");
}

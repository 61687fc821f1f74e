use serde_json::json;

use super::*;
use crate::cli::error::Kind;
use crate::cli::testing::{Stub, TOKEN, answer, cut_off, raw};

fn client(stub: &Stub) -> ConsoleClient {
    ConsoleClient::new(stub.base_url.clone() + "/", Zeroizing::new(TOKEN.to_owned()))
}

#[test]
fn a_request_carries_the_token_and_the_document() {
    let stub = Stub::answering([answer(201, &json!({"ok": true}))]);
    assert_eq!(client(&stub).post(&route(&["webhooks"]), &json!({"a": 1})).unwrap(), json!({"ok": true}));
    let asked = &stub.asked()[0];
    assert_eq!(asked.line, "POST /console/v1/webhooks");
    assert_eq!(asked.json(), json!({"a": 1}));
    let headers: Vec<String> = asked.headers.iter().map(|header| header.to_lowercase()).collect();
    assert!(headers.contains(&format!("authorization: bearer {TOKEN}")), "{headers:?}");
    assert!(headers.contains(&"content-type: application/json".to_owned()), "{headers:?}");
    assert!(headers.contains(&"content-length: 7".to_owned()), "{headers:?}");
}

#[test]
fn a_document_with_a_secret_is_written_once_into_a_buffer_of_its_size() {
    for (members, secret) in
        [(json!({}), &b"s3cret"[..]), (json!({"a\"b": [1, "\u{1}"], "c": null}), &[0xff; 999])]
    {
        let mut expected = members.clone();
        expected["value_base64"] = json!(BASE64_STANDARD.encode(secret));
        let document = with_secret(members.as_object().unwrap(), "value_base64", secret);
        assert_eq!(serde_json::from_slice::<Value>(&document).unwrap(), expected);
        assert_eq!(document.len(), document.capacity(), "one that grew would have left a copy behind");
    }
}

#[test]
fn names_are_percent_encoded_so_that_none_reaches_another_route() {
    assert_eq!(route(&["vault", "global/github"]), "/console/v1/vault/global%2Fgithub");
    assert_eq!(
        route(&["webhooks", "../system", "a b?c#d%é"]),
        "/console/v1/webhooks/..%2Fsystem/a%20b%3Fc%23d%25%C3%A9"
    );
    let query = [("a", Some("1&b=2".to_owned())), ("none", None), ("c", Some("x y".to_owned()))];
    assert_eq!(with_query("/r".to_owned(), &query), "/r?a=1%26b%3D2&c=x%20y");
    assert_eq!(with_query("/r".to_owned(), &[("none", None)]), "/r");
}

#[test]
fn a_problem_is_an_error_with_its_status_and_code() {
    let problem = json!({"title": "not found", "code": "integration_not_found", "status": 404});
    let stub = Stub::answering([raw(404, "content-type: application/problem+json", &problem.to_string())]);
    let error = client(&stub).get(&route(&["webhooks", "x"])).unwrap_err();
    assert_eq!(error.kind, Kind::Problem { status: 404, code: "integration_not_found".to_owned() });
}

#[test]
fn an_overloaded_console_says_when_to_try_again() {
    let stub = Stub::answering([raw(503, "retry-after: 7", "busy")]);
    let error = client(&stub).get("/console/v1/vault").unwrap_err();
    assert_eq!(
        (error.exit().code(), error.hint.as_deref().map(|hint| hint.contains("in 7 s"))),
        (1, Some(true))
    );
}

#[test]
fn nobody_listening_is_unreachable_with_a_next_step() {
    let nobody = ConsoleClient::new("http://127.0.0.1:1", Zeroizing::new(TOKEN.to_owned()));
    let error = nobody.get("/console/v1/vault").unwrap_err();
    assert_eq!(error.exit().code(), 69);
    assert!(error.to_text().contains("palyra daemon"), "{error:?}");
}

#[test]
fn a_connection_that_ends_without_an_answer_is_unreachable() {
    let stub = Stub::answering([String::new()]);
    assert_eq!(client(&stub).get("/console/v1/vault").unwrap_err().exit().code(), 69);
}

#[test]
fn an_answer_that_is_not_json_is_a_failure_that_names_the_address() {
    let stub = Stub::answering([raw(200, "content-type: text/html", "<html>")]);
    let error = client(&stub).get("/console/v1/vault").unwrap_err();
    assert_eq!(error.exit().code(), 1);
    assert!(error.message.contains(&stub.base_url), "{error:?}");
}

#[test]
fn a_redirect_is_not_followed_because_it_would_take_the_token_along() {
    let other = Stub::answering([answer(200, &json!({}))]);
    let stub = Stub::answering([raw(302, &format!("location: {}/", other.base_url), "")]);
    let error = client(&stub).get("/console/v1/vault").unwrap_err();
    assert_eq!(error.kind, Kind::Problem { status: 302, code: "status_302".to_owned() });
    assert!(other.asked().is_empty());
}

#[test]
fn lines_come_one_by_one_without_their_ends() {
    let stub =
        Stub::answering([raw(200, "content-type: application/x-ndjson", "{\"a\":1}\r\n\n{\"b\":\"ü\"}")]);
    let mut lines = client(&stub).lines("/console/v1/journal/export").unwrap();
    let all: Vec<String> = std::iter::from_fn(|| lines.next_line().unwrap()).collect();
    assert_eq!(all, ["{\"a\":1}", "", "{\"b\":\"ü\"}"]);
}

#[test]
fn lines_that_break_off_end_with_an_error_and_not_in_silence() {
    let stub = Stub::answering([cut_off("{\"a\":1}\n")]);
    let mut lines = client(&stub).lines("/console/v1/journal/export").unwrap();
    assert_eq!(lines.next_line().unwrap().as_deref(), Some("{\"a\":1}"));
    assert_eq!(lines.next_line().unwrap_err().exit().code(), 69);
}

//! What `webhooks send` asks for, and shows.

use super::*;

#[test]
fn send_posts_the_file_as_it_is_and_shows_the_receipt() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("push.json");
    fs::write(&file, "{\"a\": 1}\n").unwrap();
    let sent = json!({"url": "http://127.0.0.1:7142/hooks/github", "headers": [], "status": 202,
        "answer": {"outcome": "accepted", "event_id": "01J", "seq": 7, "leaf_hash": "ab"}});
    let stub = Stub::answering([answer(200, &sent)]);
    let ran = palyra_with(
        &["webhooks", "send", "github", "--event", "push", "--payload-file", file.to_str().unwrap()],
        b"",
        &stub,
    );
    assert_eq!(
        stub.asked()[0].json(),
        json!({"event": "push", "payload_base64": "eyJhIjogMX0K", "mutate": null})
    );
    assert_eq!(
        ran.stdout,
        "posted to  http://127.0.0.1:7142/hooks/github\nanswered   202 accepted\nevent id   01J\nleaf hash  ab\nseq        7\n"
    );
}

#[test]
fn a_private_key_goes_with_the_order_to_send_and_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.pem");
    fs::write(&file, "k\u{ff}y\n").unwrap();
    let sent = json!({"url": "u", "headers": [], "status": 202, "answer": {"outcome": "accepted"}});
    let stub = Stub::answering([answer(200, &sent)]);
    let key = file.to_str().unwrap();
    let ran =
        palyra_with(&["webhooks", "send", "d", "--event", "a\"b", "--private-key-file", key], b"", &stub);
    assert_eq!(
        stub.asked()[0].json(),
        json!({"event": "a\"b", "payload_base64": null, "mutate": null, "private_key_base64": "a8O/eQ=="})
    );
    assert_eq!((ran.code, ran.stdout.contains("a8O"), ran.stderr.as_str()), (0, false, ""));
}

#[test]
fn a_mutated_delivery_succeeds_when_it_is_answered_as_documented() {
    let sent = |status| json!({"url": "u", "headers": [], "status": status, "expected_status": 401, "answer": {"title": "no"}});
    for (status, code, verdict) in [
        (401, 0, "as expected: docs/answers.md says 401"),
        (202, 1, "NOT as expected: docs/answers.md says 401"),
    ] {
        let stub = Stub::answering([answer(200, &sent(status))]);
        let ran = palyra("webhooks send github --event push --mutate body", &stub);
        assert_eq!(stub.asked()[0].json()["mutate"], "body");
        assert_eq!(ran.code, code);
        assert!(ran.stdout.contains(verdict), "{}", ran.stdout);
    }
}

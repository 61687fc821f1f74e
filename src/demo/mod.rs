//! `palyra demo`: the whole product on a temporary state root, with a real daemon, real HTTP and a real kill.

mod house;
mod story;

use actix_rt::System;
use palyra_actors::provider::MadeRequest;
use serde_json::Value;

use crate::cli::{CliError, DemoArgs, Output};
use crate::daemon::signals::Signals;
use crate::exit::Exit;
use house::{Answer, House};
use story::Story;

/// The secret the demo signs with. It protects nothing.
const SECRET: &[u8] = b"a secret for the demo only";
const PUSH: &str = r#"{"ref":"refs/heads/main","repository":{"full_name":"octo/hello"},"head_commit":{"message":"Say hello"}}"#;
const ISSUE: &str = r#"{"action":"opened","repository":{"full_name":"octo/hello"},"issue":{"number":1}}"#;

/// Runs the demo, step by step. Its state root is removed at the end, unless the demo itself is killed.
///
/// # Errors
/// The first step whose answer is not as expected.
pub fn run(args: &DemoArgs, out: &Output) -> Result<Exit, CliError> {
    let system = System::new();
    let signals = system.block_on(async { Signals::listen() });
    let mut signals =
        signals.map_err(|error| CliError::failed(format!("cannot listen for signals: {error}")))?;
    let mut house = House::build()?;
    let story = Story::new(out);
    play(&mut house, &story)?;
    if args.keep {
        story.say(&how_to_go_on(&house))?;
    }
    story.end(&house)?;
    if args.keep {
        system.block_on(house.stand(&mut signals))?;
    }
    Ok(Exit::Ok)
}

fn play(house: &mut House, story: &Story<'_>) -> Result<(), CliError> {
    story.say("Palyra demo: a state root of its own, free ports, the real daemon.\n\n")?;
    house.command(&["vault", "put", "global/github"], SECRET)?;
    story.step("store the secret", "vault put global/github", "encrypted with age")?;
    house.command(
        &["webhooks", "add", "gh", "github", "--secret-ref", "global/github", "--allow-event", "push"],
        b"",
    )?;
    story.step("add an integration", "webhooks add gh github --allow-event push", "enabled")?;
    house.start()?;
    story.step("start the daemon", "daemon", &format!("ingress {}", house.ingress()))?;
    let push = deliveries(house, story)?;
    let emitted = house
        .command(&["--json", "system", "event", "emit", "deploy.done", "--message", "v1 is out"], b"")?;
    let emitted: Value = serde_json::from_str(&emitted).unwrap_or_default();
    let seq = emitted.get("seq").map(Value::to_string).unwrap_or_default();
    story.step("emit a system event", "system event emit deploy.done", &format!("seq {seq}"))?;
    house.kill()?;
    story.step("kill the daemon hard", "kill -9", "no warning, no flush")?;
    house.start()?;
    story.step("start it again", "daemon", &format!("ingress {}", house.ingress()))?;
    expect(house, story, "repeat the first delivery", &push, 200, "duplicate")?;
    story.show("events", "The events in the journal", house, &["system", "event", "list"])?;
    story.show("verification", "Verification", house, &["journal", "verify"])
}

/// Sends five deliveries and shows their answers; returns the first one, to be sent again.
fn deliveries(house: &House, story: &Story<'_>) -> Result<MadeRequest, CliError> {
    let push = house.sign("push", PUSH, 1)?;
    expect(house, story, "a signed push", &push, 202, "accepted")?;
    expect(house, story, "the same again", &push, 200, "duplicate")?;
    let forged =
        MadeRequest { headers: push.headers.clone(), body: PUSH.replace("hello", "hallo").into_bytes() };
    expect(house, story, "one byte changed", &forged, 401, "unauthenticated")?;
    let captured = house.sign("push", PUSH, 2)?;
    expect(house, story, "captured, with a fresh X-GitHub-Delivery", &captured, 200, "duplicate")?;
    let issue = house.sign("issues", ISSUE, 3)?;
    expect(house, story, "an event that is not allowed", &issue, 202, "filtered")?;
    Ok(push)
}

fn expect(
    house: &House,
    story: &Story<'_>,
    step: &str,
    delivery: &MadeRequest,
    status: u16,
    outcome: &str,
) -> Result<(), CliError> {
    let Answer { status: got, document } = house.post(delivery)?;
    let text = |name| document.get(name).and_then(Value::as_str);
    let said = text("outcome").or(text("code")).unwrap_or_default();
    let seq = document.pointer("/receipt/seq").map(|seq| format!(", seq {seq}")).unwrap_or_default();
    story.step(step, "POST /hooks/gh", &format!("{got} {said}{seq}"))?;
    if (got, said) == (status, outcome) {
        return Ok(());
    }
    Err(CliError::failed(format!("{step}: expected {status} {outcome}, got {got} {said}")))
}

/// What the user can do with a daemon that stays up.
fn how_to_go_on(house: &House) -> String {
    format!(
        "The daemon keeps running. To point a real webhook at it:
  1. make {}/hooks/gh reachable from outside, by a tunnel or a reverse proxy
  2. in the repository's settings, add a webhook: that URL, content type application/json,
     secret `{}`, the event `push`
  3. watch it arrive: palyra --state-root {} system event tail --follow
Stop it with Ctrl-C; its state root is then deleted.
",
        house.ingress(),
        String::from_utf8_lossy(SECRET),
        house.root().display()
    )
}

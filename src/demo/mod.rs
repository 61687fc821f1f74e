//! `palyra demo`: the whole product on a temporary state root. A real daemon, real HTTP, a real kill.

mod house;

use palyra_actors::provider::Signed;
use serde_json::Value;

use crate::cli::{CliError, DemoArgs};
use crate::exit::Exit;
use house::{Answer, House};

/// What the demo signs with. It protects nothing.
const SECRET: &[u8] = b"a secret for the demo only";
const PUSH: &str = r#"{"ref":"refs/heads/main","repository":{"full_name":"octo/hello"},"head_commit":{"message":"Say hello"}}"#;
const ISSUE: &str = r#"{"action":"opened","repository":{"full_name":"octo/hello"},"issue":{"number":1}}"#;

/// Runs the demo, step by step.
///
/// # Errors
/// The first step that does not answer as it should.
pub fn run(args: &DemoArgs) -> Result<Exit, CliError> {
    println!("Palyra demo: a state root of its own, free ports, the real daemon.\n");
    let mut house = House::build()?;
    house.command(&["vault", "put", "global/github"], SECRET)?;
    told("store the secret", "vault put global/github", "encrypted with age");
    house.command(
        &["webhooks", "add", "gh", "github", "--secret-ref", "global/github", "--allow-event", "push"],
        b"",
    )?;
    told("add an integration", "webhooks add gh github --allow-event push", "enabled");
    house.start()?;
    told("start the daemon", "daemon", &format!("ingress {}", house.ingress()));
    let push = deliveries(&house)?;
    let emitted = house
        .command(&["--json", "system", "event", "emit", "deploy.done", "--message", "v1 is out"], b"")?;
    let emitted: Value = serde_json::from_str(&emitted).unwrap_or_default();
    let seq = emitted.get("seq").map(Value::to_string).unwrap_or_default();
    told("emit a system event", "system event emit deploy.done", &format!("seq {seq}"));
    house.kill()?;
    told("kill the daemon hard", "kill -9", "no warning, no flush");
    house.start()?;
    told("start it again", "daemon", &format!("ingress {}", house.ingress()));
    expect(&house, "repeat the first delivery", &push, 200, "duplicate")?;
    println!("\nWhat the journal holds:\n\n{}", house.command(&["system", "event", "list"], b"")?);
    println!("And whether it is what was written:\n\n{}", house.command(&["journal", "verify"], b"")?);
    if args.keep {
        keep(&mut house)?;
    }
    Ok(Exit::Ok)
}

/// Five deliveries and their answers; the first one is given back to be sent again.
fn deliveries(house: &House) -> Result<Signed, CliError> {
    let push = house.sign("push", PUSH, 1)?;
    expect(house, "a signed push", &push, 202, "accepted")?;
    expect(house, "the same again", &push, 200, "duplicate")?;
    let forged = Signed { headers: push.headers.clone(), body: PUSH.replace("hello", "hallo").into_bytes() };
    expect(house, "one byte changed", &forged, 401, "unauthenticated")?;
    let captured = house.sign("push", PUSH, 2)?;
    expect(house, "captured, with a fresh X-GitHub-Delivery", &captured, 200, "duplicate")?;
    let issue = house.sign("issues", ISSUE, 3)?;
    expect(house, "an event that is not allowed", &issue, 202, "filtered")?;
    Ok(push)
}

fn expect(house: &House, step: &str, delivery: &Signed, status: u16, outcome: &str) -> Result<(), CliError> {
    let Answer { status: got, document } = house.post(delivery)?;
    let text = |name| document.get(name).and_then(Value::as_str);
    let said = text("outcome").or(text("code")).unwrap_or_default();
    let seq = document.pointer("/receipt/seq").map(|seq| format!(", seq {seq}")).unwrap_or_default();
    told(step, "POST /hooks/gh", &format!("{got} {said}{seq}"));
    if (got, said) == (status, outcome) {
        return Ok(());
    }
    Err(CliError::failed(format!("{step}: expected {status} {outcome}, got {got} {said}")))
}

fn told(step: &str, how: &str, answer: &str) {
    println!("  {step:<42} {how:<42} {answer}");
}

/// Leaves the daemon running until somebody interrupts it.
fn keep(house: &mut House) -> Result<(), CliError> {
    println!("The daemon stays up. To point a real webhook at it:");
    println!("  1. make {}/hooks/gh reachable from outside, by a tunnel or a reverse proxy", house.ingress());
    println!("  2. in the repository's settings, add a webhook: that URL, content type application/json,");
    println!("     secret `{}`, the event `push`", String::from_utf8_lossy(SECRET));
    println!(
        "  3. watch it arrive: palyra --state-root {} system event tail --follow",
        house.root().display()
    );
    println!("Stop it with Ctrl-C; its state root goes with it.");
    house.wait()
}

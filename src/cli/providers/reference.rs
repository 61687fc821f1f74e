//! Checks that `docs/providers.md` matches the profiles. `UPDATE=1 cargo test reference` rewrites it.

use std::fmt::Write as _;
use std::path::Path;

use palyra_actors::provider::{Catalogue, ProfileSummary};

const HEAD: &str = "\
# Providers

Generated from `schemas/providers/*.toml` by `UPDATE=1 cargo test reference`. `palyra providers show NAME` prints a whole profile.
[profiles.md](profiles.md) explains how to write one, and [envelope.md](envelope.md) how your own services post to the profile `envelope`.

The columns:

- **signed** is what the signature covers: `{body}` is the bytes of the body, `{ts}` the signed time, `{h:NAME}` a header.
- **time** is how many seconds a signed time may differ from our clock, in both directions; `-` if no time is signed.
- **replays recognised by** is what makes two deliveries the same. An id that the signature does not cover identifies nothing, because anybody
  who captured a delivery could send it again under a new id. The digest of what is signed is used instead. *alone* means that a second
  delivery with the same id or digest is a duplicate, whatever its bytes are. If the profile sets how long deliveries are remembered, that is given too.
- **scheme**: for `certificate` and `RS256`, the keys are those that the provider publishes (`palyra webhooks add ID PROVIDER --published-keys`).
  They are fetched over TLS from an address that the profile pins, and kept for a day or an hour. You can also put them into the vault yourself.
- **handshake** is what the provider wants answered before it delivers, and what authenticates that request.

";

const LIMITS: &str = "\
## What a profile cannot express

- **Amazon SNS publishes its certificate without the chain above it,** so no chain can be checked. The certificate is trusted because it is
  fetched over TLS from a pinned host. PayPal's certificate must have a chain to a certificate authority and bear PayPal's name.
- **Amazon SNS: any AWS account can have SNS sign.** Set `allowed_sources` to the ARN of your topic. The subscription is not
  confirmed automatically: its first delivery is journaled with its `SubscribeURL`, for you to open. Raw message delivery is not signed.
- **PayPal signs a CRC-32 of the body.** Somebody who captured a delivery can change the body and keep its CRC-32.
- **Adyen, Mailgun and Amazon SNS sign named fields.** Anybody who captured a delivery can change the other fields; `providers lint` warns of this.
  At Adyen and Amazon SNS the signed content does not show where a field ends. Somebody who holds back a genuine delivery can move text from one
  field to the next and send that; only one of the two versions is accepted.
- **Shared tokens sign nothing.** Anybody who sees one delivery can send any other. Prefer a profile that signs, if the provider has one
  (`buildkite` over `buildkite-token`, `gitlab-signing` over `gitlab`).
- **Twilio signs the names and values of a form without separators.** Somebody who holds back a genuine delivery can move text from one to the
  next (`Body=hi&From=x` to `Body=hiFrom&x=`) and send that; only one of the two versions is accepted.
- **Some retries differ from the first attempt.** Google Pub/Sub (with a dead-letter policy), Heroku, Intercom, LINE, Notion and Telnyx write the
  number of the attempt into the body; Adyen writes its retries anew. These deliveries are recognised only by their ids (Adyen's by the digest of
  the signed content): a retry is a duplicate whatever its bytes are, and the journal keeps the version that arrived first. Adyen and Pub/Sub do not
  sign the rest of the body. There, somebody who holds back a genuine delivery can have a changed version accepted in its place, and no conflict is
  journaled. At every other provider a second body under the same id is a conflict (409), because it cannot be distinguished from an attack. Stripe is
  one of those: it renders an event once, and its documentation does not say that a retry differs.
- **Notifications that say only that something changed** (Dropbox, Microsoft Graph for drives and lists, reminders of Alertmanager) have the same
  bytes each time, without an id or a time. Their profiles remember them for a second or a minute (`[replay]`, [profiles.md](profiles.md));
  `palyra webhooks set ID --replay-window-seconds N` changes that. After this time, anybody who captured one can send it again. So treat such an event
  as a reason to look at the provider, and do not trust its content. A notification that repeats within the window is a duplicate, so look once
  more after the window.
- **Two topics with the same body** (Shopify, WooCommerce, GitHub and other providers that name the event in an unsigned header): the same body
  sent to one integration under two topics is one delivery, and the second is answered 200 as a duplicate, because anybody who captured a delivery
  could give it any topic. If two topics you want may have the same body (`orders/create` and `orders/paid`), add one integration for each. Give each
  its own secret if the provider has one per webhook: with a shared secret, somebody who captured a delivery to one can send it to the other.
- **X's handshake gives strangers codes made with the secret,** over words of their choice. No delivery from X is such a word, but one from another
  provider may be. So an integration of another profile must not use the same vault reference: it is not ready, and if both were enabled by hand,
  both are answered 503. The same value under another reference is not detected.
- **Batches without a signed id** (Auth0, HubSpot, Microsoft Graph, SendGrid): the whole batch is one delivery, recognised by its digest. LINE's
  batches are recognised by the ids of all their events: a redelivery of the same batch is a duplicate, but the same events in another batch
  are a new delivery.
- **Signed times are limited in both directions,** although several providers' libraries refuse only old ones: a time ahead of our clock by more than
  the tolerance is refused too. Keep the clock right (NTP).
- **Asana** sends its secret once, in the answer to the call that creates the webhook. Read it there and put it into the vault.
- **Atlassian Connect** has no profile: its secret arrives in an `installed` call that is itself signed with another key, and its token covers a
  canonical form of the query instead of the body. Connect is near the end of its support; use the `jira` profile for Jira's own webhooks.
";

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
    let mut text = HEAD.to_owned();
    text += "| profile | scheme | signature in | signed | time | id signed | replays recognised by | handshake | answer | retries |\n";
    text += "|---|---|---|---|---|---|---|---|---|---|\n";
    all.iter().for_each(|one| text += &row(one));
    text += "\n";
    text += LIMITS;
    text += "\n## What to know about each\n";
    all.iter()
        .filter(|one| !one.notes.is_empty() || !one.parameters.is_empty())
        .for_each(|one| text += &notes(one));
    text
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

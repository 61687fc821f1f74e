//! `docs/providers.md` is written from the profiles themselves; this test tells when it no longer fits.
//! `UPDATE=1 cargo test reference` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use palyra_actors::provider::{Catalogue, ProfileSummary};

const HEAD: &str = "\
# Providers

Written from `schemas/providers/*.toml` by `UPDATE=1 cargo test reference`. `palyra providers show NAME` prints one whole;
[profiles.md](profiles.md) tells how to write one, and [envelope.md](envelope.md) how services of your own post to the profile `envelope`.

- **signed** is what the signature covers: `{body}` the bytes of the body, `{ts}` the signed time, `{h:NAME}` a header.
- **time** is how far a signed time may be from ours, in seconds, before and after; `-` where none is signed.
- **replays told by** is what makes two deliveries the same. An id the signature does not cover identifies nothing, for whoever
  captured a delivery could send it again under a new one: the digest of what is signed takes its place. Where that *alone* tells, what comes under
  it again is a duplicate whatever its bytes are. How long they are remembered stands beside it where the profile says so.
- **certificate** and **RS256** keys are those the provider publishes (`palyra webhooks add ID PROVIDER --published-keys`): fetched once from an
  address the profile pins, over TLS, and kept for a day or an hour; or put into the vault by you.
- **asks first** is what the provider wants answered before it delivers, and what authenticates that question.

";

const LIMITS: &str = "\
## What a profile cannot express

- **Amazon SNS publishes its certificate without those above it,** so no chain can be followed: the host it is fetched from, pinned and authentic by
  TLS, vouches for it. PayPal's has to lead to an authority and bear PayPal's name.
- **Amazon SNS: any AWS account can have SNS sign.** Set `allowed_sources` to the ARN of your topic. The subscription is not
  confirmed by itself: the first delivery is journaled with its `SubscribeURL`, for you to open. Raw message delivery is not signed.
- **PayPal signs a CRC-32 of the body,** which somebody who captured a delivery can keep while changing the body.
- **Adyen, Mailgun, Amazon SNS sign named fields.** Whoever captured a delivery can change the others; `providers lint` says so. Adyen and Amazon SNS do
  not fix where one ends: whoever keeps the genuine one back can send it with text moved from one to the next, and one of both is taken.
- **Shared tokens sign nothing.** Whoever sees one delivery can send any other. Prefer a profile that signs where the provider has one
  (`buildkite` over `buildkite-token`, `gitlab-signing` over `gitlab`).
- **Twilio signs names and values of a form without what separates them.** Whoever keeps a genuine delivery back can send it with text moved from one
  to the next (`Body=hi&From=x` as `Body=hiFrom&x=`), and one of both is taken.
- **Retries that say in their body which attempt they are** (Google Pub/Sub with a dead-letter policy, Heroku, Intercom, LINE, Notion, Telnyx), or are
  written anew (Adyen): what identifies these deliveries alone tells them, and a retry is a duplicate whatever its bytes are. The first that came is what the
  journal has: at Adyen and Pub/Sub, which do not sign the rest, whoever keeps a genuine one back can have another taken for it, and there is no row of a
  conflict to tell. Of any other provider's two bodies under one id the second is a conflict (409): it cannot be told from an attack. Stripe is among
  those: it renders an event once, and its documents do not say that a retry of it changes.
- **Notifications that say only that something changed** (Dropbox, Microsoft Graph for drives and lists, reminders of Alertmanager) have the same bytes
  each time, without an id or a time. Their profiles remember them for a second or a minute (`[replay]`, [profiles.md](profiles.md)), and
  `palyra webhooks set ID --replay-window-seconds N` says otherwise. What is over, whoever captured one can send again: take such an event as a
  reason to look, and nothing in it for true. What comes again within the window is the same, so look once more after it.
- **Two topics with one body** (Shopify, WooCommerce, GitHub and whoever else names the event in a header that is not signed): one body that is sent
  under two topics to one integration is one delivery, and the second is answered 200 as a duplicate, for who captured a delivery could give it any
  topic. Where two topics that you want may have the same body (`orders/create` and `orders/paid`), add one integration for each, under a secret of its
  own if the provider has one for each webhook: under one for all, who captured a delivery to one can send it to the other too.
- **X's handshake gives strangers codes under the secret,** over words of their choice. No delivery to X is such a word; one to another provider may be.
  So an integration of another profile may not name the same reference: it is not ready, and where both were enabled by hand neither is answered
  but by 503. The same value under another reference is not noticed.
- **Batches without a signed id** (Auth0, HubSpot, Microsoft Graph, SendGrid): the whole batch is one delivery, told by its digest. LINE's is told by
  the ids of all its events, so that a redelivery of the same bundle is the same; in another bundle they are a delivery of their own.
- **Signed times are bounded on both sides** though several providers' libraries refuse only old ones: a time ahead of ours is refused beyond the
  same tolerance. Keep the clock right (NTP).
- **Asana** sends its secret once, in the answer to the call that creates the webhook: read it there and put it into the vault.
- **Atlassian Connect** has no profile: its secret arrives in an `installed` call that is itself signed with another key, and its token covers a
  canonical form of the query and not the body. Connect is at the end of its support; use the `jira` profile for Jira's own webhooks.
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
    text += "| profile | scheme | signature in | signed | time | id signed | replays told by | asks first | answer | retries |\n";
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

//! The wording of explanations; pure functions. Text that a sender wrote is never put into a command to be copied.

use palyra_actors::event_names;
use palyra_actors::journal::{EventKind, StoredEvent};
use palyra_actors::provider::{Origin, Reason};
use palyra_actors::registry::{Integration, IntegrationRecord, Readiness, ReadinessReport, SecretUse};
use palyra_actors::vault::Keeper;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::http::problem::Kind;
use crate::service::cause::Cause;
use crate::service::readiness::unreadiness;
use crate::service::refusals::Refusal;

/// Most names of an allow list that a command repeats.
const REPEATED_MAX: usize = 16;

/// What happened, why, and what to do, the most promising step first.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// What happened, in one sentence.
    pub happened: String,
    /// The reasons; empty if they are not known.
    pub why: Vec<String>,
    /// How to fix it, with commands in backticks.
    pub next: Vec<String>,
}

impl Explanation {
    fn of(happened: impl Into<String>) -> Self {
        Self { happened: happened.into(), ..Self::default() }
    }

    fn because(mut self, why: impl Into<String>) -> Self {
        self.why.push(why.into());
        self
    }

    fn then(mut self, next: impl Into<String>) -> Self {
        self.next.push(next.into());
        self
    }
}

/// Explains a refusal that left no row.
pub fn of_refusal(refusal: &Refusal, integration: Option<&Integration>) -> Explanation {
    let Refusal { integration_id: id, kind, cause, detail, .. } = refusal;
    let kept = match cause {
        Some(Cause::Unknown) => "it may have been stored nevertheless; a retry is then answered `duplicate`",
        _ => "it was not stored",
    };
    let (status, code, _) = kind.entry();
    let status = status.as_u16();
    let mut told = Explanation::of(format!("a delivery to `{id}` was answered {status} `{code}`; {kept}"));
    let word = cause.map(Cause::as_str);
    told.why.extend(match (word, detail) {
        (Some(word), Some(detail)) => Some(format!("{word}: {detail}")),
        (None, detail) => detail.clone(),
        (word, None) => word.map(str::to_owned),
    });
    if *kind == Kind::TooManyRequests && cause.is_some_and(Cause::is_unauthentic) {
        told = told.because("the status is 429 instead of 401 because its peer sent too many bad signatures");
    }
    let Some(integration) = integration else { return removed(told, id) };
    told.next.extend(match *cause {
        Some(cause) => mends_cause(cause, integration),
        None => mends_kind(*kind, &integration.record),
    });
    match integration.record.enabled {
        true => told,
        false => told.because(format!("`{id}` has been disabled since")),
    }
}

/// There is nothing to correct at an integration that is no longer there.
fn removed(told: Explanation, id: &str) -> Explanation {
    told.because(format!("`{id}` has been removed since"))
        .then(format!("its senders are answered 404 now; `palyra webhooks add {id} PROVIDER` adds it again"))
}

/// How to fix a delivery that was not authentic.
fn mends_reason(reason: Reason, integration: &Integration) -> Vec<String> {
    let IntegrationRecord { integration_id: id, provider, .. } = &integration.record;
    let secret = secret_at_provider(integration).into_iter();
    let form = format!("`palyra providers show {provider}` shows which headers are signed, and how");
    let again = "have the provider deliver it again, which signs it anew".to_owned();
    let clock = "check this machine's clock (`timedatectl`)".to_owned();
    match reason {
        Reason::MissingSignature => secret.chain([form, NOISE.to_owned()]).collect(),
        Reason::MalformedSignature | Reason::MissingTimestamp | Reason::MalformedTimestamp => {
            vec![form, UNTOUCHED.to_owned(), try_out(id)]
        }
        Reason::BadSignature => secret.chain([UNTOUCHED.to_owned(), try_out(id)]).collect(),
        Reason::StaleTimestamp => vec![clock, again],
        Reason::FutureTimestamp => vec![clock],
        Reason::BadClaim => mends_claim(integration),
        Reason::UntrustedKey => {
            keys_of_issuer(integration).into_iter().chain([form, NOISE.to_owned()]).collect()
        }
    }
}

/// How to fix a claim of a token: it is compared with a parameter of the integration, or with what the profile fixes.
fn mends_claim(integration: &Integration) -> Vec<String> {
    let IntegrationRecord { integration_id: id, provider, .. } = &integration.record;
    let mut next = Vec::new();
    if let Some(profile) = &integration.profile {
        next.extend(profile.claim_parameters().map(|name| {
            format!(
                "compare `{name}` in `palyra webhooks show {id}` with the provider's settings; `palyra webhooks set {id} --parameter {name}=VALUE` changes it"
            )
        }));
        next.extend(profile.fixes_claims().then(|| match profile.origin() {
            Origin::Own { file, .. } => format!(
                "if the profile fixes this claim: have the sender use a value that `{}` names, or change it there and run `palyra system reload`",
                file.display()
            ),
            Origin::BuiltIn => format!(
                "if the profile fixes this claim: have the sender use a value that `palyra providers show {provider}` names"
            ),
        }));
    }
    next.push(NOISE.to_owned());
    next
}

/// Where the keys belong that the issuer of its tokens or certificates has changed; `None` if they are fetched.
fn keys_of_issuer(integration: &Integration) -> Option<String> {
    let vault_ref = integration.record.vault_ref()?.ok()?;
    Some(format!("if the issuer has changed its keys, {}", vault_ref.how_to_renew()))
}

/// How to fix a refusal with this cause.
fn mends_cause(cause: Cause, integration: &Integration) -> Vec<String> {
    let id = &integration.record.integration_id;
    match cause {
        Cause::Unauthentic(reason) => mends_reason(reason, integration),
        Cause::WrongToken => tokens_at_provider(integration).chain([NOISE.to_owned()]).collect(),
        Cause::UnsignedRate => {
            let signs = integration.profile.as_ref().is_none_or(|profile| profile.authenticates());
            let raise = format!("`palyra webhooks set {id} --unsigned-rate-per-second N` raises the limit");
            let require = signs.then(|| {
                format!(
                    "`palyra webhooks set {id} --require-signature --secret-ref REF` accepts only signed deliveries"
                )
            });
            std::iter::once(raise).chain(require).collect()
        }
        Cause::Event | Cause::Unknown => vec![HEARTBEAT.to_owned(), AGAIN.to_owned()],
        Cause::Secret | Cause::Vault | Cause::VaultReference | Cause::HandshakeToken => {
            vec![
                format!("`palyra webhooks show {id}` says what is missing, and the command that adds it"),
                AGAIN.to_owned(),
            ]
        }
        Cause::PublishedKeys => {
            vec![
                "check that this machine can reach the provider over HTTPS and gets its keys; they are then fetched again"
                    .to_owned(),
                AGAIN.to_owned(),
            ]
        }
    }
}

const NOISE: &str = "if your provider did not send this, ignore it: anybody can post to a public address. `palyra system insights` counts such requests";
const UNTOUCHED: &str = "check that the proxy in front forwards headers and body unchanged; for a provider that signs the URL, set `public_url` in palyra.toml";
const HEARTBEAT: &str = "`palyra system heartbeat` says what is wrong with the daemon";
const AGAIN: &str = "nothing is lost: the provider retries, or you can have it deliver again";

fn try_out(id: &str) -> String {
    format!(
        "`palyra webhooks test {id} --payload-file FILE --header 'NAME: VALUE'` runs a captured delivery through every check"
    )
}

/// Where the secret of its deliveries belongs; `None` if they are verified with nothing.
fn secret_at_provider(integration: &Integration) -> Option<String> {
    match integration.record.vault_ref() {
        Some(Ok(vault_ref)) => Some(format!(
            "enter the value of `{vault_ref}` as the secret at the provider; to use the provider's secret instead, {}",
            vault_ref.how_to_provide()
        )),
        _ => integration.takes_published_keys().then(|| {
            "check that the provider sent it: it is verified with the provider's published keys".to_owned()
        }),
    }
}

/// Where the tokens of its handshakes belong, which are not the secret of its deliveries.
fn tokens_at_provider(integration: &Integration) -> impl Iterator<Item = String> {
    let tokens = integration.secrets().filter_map(|(used, vault_ref)| match used {
        SecretUse::Parameter(name) => Some((name, vault_ref.ok()?)),
        SecretUse::Deliveries => None,
    });
    tokens.map(|(name, vault_ref)| {
        format!(
            "enter the value of `{vault_ref}`, the parameter `{name}`, as the token with which the provider checks the address; to use another token, {}",
            vault_ref.how_to_provide()
        )
    })
}

/// How to fix any other refusal.
fn mends_kind(kind: Kind, record: &IntegrationRecord) -> Vec<String> {
    let IntegrationRecord { integration_id: id, max_payload_bytes: most, .. } = record;
    match kind {
        Kind::PayloadTooLarge => vec![format!(
            "`palyra webhooks set {id} --max-payload-bytes N` raises the limit (now {most}), up to `payload_bytes_cap` in palyra.toml"
        )],
        Kind::RequestTimeout => vec![
            "check whether the proxy in front delays bodies; `body_deadline_seconds` in palyra.toml sets how long a body may take".to_owned(),
        ],
        Kind::UnsupportedMediaType => vec!["set the content type at the provider, and turn compression off".to_owned()],
        Kind::BadRequest => vec!["the sender or a proxy in front broke off the request; the provider retries".to_owned()],
        _ => vec![HEARTBEAT.to_owned()],
    }
}

/// Explains a row of the journal.
pub fn of_event(event: &StoredEvent, integration: Option<&Integration>) -> Explanation {
    let id = event.integration_id.as_deref().unwrap_or_default();
    let record = integration.map(|integration| &integration.record);
    let details: Map<String, Value> = match event.kind {
        EventKind::System => serde_json::from_slice(&event.body).unwrap_or_default(),
        EventKind::Webhook => return accepted(event, id),
    };
    let told = match event.name.as_str() {
        event_names::FILTERED => filtered(event, id, &details, record),
        event_names::REJECTED => Explanation::of(format!(
            "an authentic delivery to `{id}` was rejected and is kept without its body"
        ))
        .then("have the sender correct this and deliver again; the new delivery is judged anew"),
        event_names::CONFLICT => Explanation::of(format!(
            "an authentic delivery to `{id}` contradicts an earlier one with the same id and is kept without its body; the earlier one stays as it is"
        ))
        .then("find out who sends two bodies under one id; `details.body_sha256` is the digest of this body"),
        event_names::UNAUTHENTICATED => return unauthenticated(event, id, &details, integration),
        _ => Explanation::of(format!("this event is not a delivery: {}", event.summary)),
    };
    let reasons = details.get("why").and_then(Value::as_array).into_iter().flatten();
    let told = reasons.filter_map(Value::as_str).fold(told, Explanation::because);
    told.then(format!("`palyra system event show {}` shows the whole row", event.seq))
}

fn accepted(event: &StoredEvent, id: &str) -> Explanation {
    let verified = match event.key_version {
        Some(version) => format!(
            "its signature was made with version {version} of the secret, and no allow list leaves it out"
        ),
        None => "it was verified with published keys or needed no signature, and no allow list leaves it out"
            .to_owned(),
    };
    Explanation::of(format!("a delivery to `{id}` was accepted and is stored durably"))
        .because(verified)
        .then(format!(
            "`palyra system event show {0}` shows it, and `palyra system event show {0} --body` its body",
            event.seq
        ))
}

fn filtered(
    event: &StoredEvent,
    id: &str,
    details: &Map<String, Value>,
    record: Option<&IntegrationRecord>,
) -> Explanation {
    let told = Explanation::of(format!(
        "an authentic delivery to `{id}` was left out by an allow list and is kept without its body"
    ));
    let Some(record) = record else { return told.because(format!("`{id}` has been removed since")) };
    let name = details.get("event").and_then(Value::as_str).unwrap_or_default();
    let (takes_event, takes_source) = (record.allows_event(name), record.allows_source(&event.source));
    if takes_event && takes_source {
        return told.then(
            "the allow lists have been changed since and now allow it: have the provider deliver it again",
        );
    }
    let told =
        if takes_event { told } else { told.then(widened(record, "event", &record.allowed_events, name)) };
    let told = if takes_source {
        told
    } else {
        told.then(widened(record, "source", &record.allowed_sources, &event.source))
    };
    told.then("then have the provider deliver it again; it is judged anew")
}

/// The command that adds `name` to the names already allowed.
fn widened(record: &IntegrationRecord, what: &str, allowed: &[String], name: &str) -> String {
    let id = &record.integration_id;
    let names: Vec<&str> = allowed.iter().map(String::as_str).chain([name]).collect();
    if names.len() > REPEATED_MAX || !names.iter().all(|name| is_plain(name)) {
        return format!(
            "if you want it: `palyra webhooks set {id} --allow-{what} NAME …` with all {what}s you want, or `--all-{what}s`"
        );
    }
    let flags: String = names.iter().map(|name| format!(" --allow-{what} {name}")).collect();
    format!("if you want it: `palyra webhooks set {id}{flags}`")
}

/// Whether a shell takes the text unchanged, without quotes.
pub fn is_plain(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/@-".contains(&byte);
    !name.is_empty() && !name.starts_with('-') && name.bytes().all(fits)
}

fn unauthenticated(
    event: &StoredEvent,
    id: &str,
    details: &Map<String, Value>,
    integration: Option<&Integration>,
) -> Explanation {
    let reason = details.get("reason").and_then(|reason| Reason::deserialize(reason).ok());
    let told = Explanation::of(format!(
        "summary of one minute's unauthenticated deliveries to `{id}`: {}",
        event.summary
    ));
    let Some(integration) = integration else { return removed(told, id) };
    let mut next = reason.map_or_else(Vec::new, |reason| mends_reason(reason, integration));
    // A row does not tell wrong tokens from wrong signatures.
    if reason == Some(Reason::BadSignature) {
        next.extend(tokens_at_provider(integration).map(|next| format!("if it was a handshake: {next}")));
    }
    let told = next.into_iter().fold(told, Explanation::then);
    told.then(format!("`palyra webhooks explain {id}` lists the latest ones"))
}

/// Explains the current state of an integration.
pub fn of_integration(integration: &Integration, report: &ReadinessReport, is_served: bool) -> Explanation {
    let record = &integration.record;
    let id = &record.integration_id;
    let told = match (record.enabled, report.readiness) {
        (true, Readiness::Ready) if record.signature_required => {
            Explanation::of(format!("`{id}` accepts signed deliveries"))
        }
        (true, Readiness::Ready) => Explanation::of(format!("`{id}` accepts deliveries, signed or not"))
            .because("no signature is required: anybody who knows the address can post"),
        (true, _) => {
            let happened = match report.accepts_some {
                true => unreadiness(id, report),
                false => format!("`{id}` accepts no deliveries: senders are answered 503 or 401"),
            };
            Explanation::of(happened)
                .then(format!("correct this; `palyra webhooks show {id}` says when it is ready"))
        }
        (false, _) => Explanation::of(format!("`{id}` accepts no deliveries: senders are answered 404"))
            .because("it is disabled")
            .then(how_to_enable(record, report)),
    };
    let told = report.issues.iter().fold(told, Explanation::because);
    match is_served {
        true => told,
        false => {
            told.because("no daemon runs, so no delivery is received").then("`palyra daemon` starts one")
        }
    }
}

/// The commands that enable a disabled integration: that alone is refused if it is not ready.
fn how_to_enable(record: &IntegrationRecord, report: &ReadinessReport) -> String {
    let enable = format!("palyra webhooks enable {}", record.integration_id);
    match (report.readiness, record.vault_ref()) {
        _ if report.can_be_enabled() => format!("`{enable}` enables it"),
        (Readiness::SecretNotFound, Some(Ok(vault_ref))) if vault_ref.keeper() == Keeper::Vault => {
            format!("`palyra vault put {vault_ref} < SECRET_FILE && {enable}`")
        }
        _ => format!("correct this, then run `{enable}`"),
    }
}

#[cfg(test)]
mod tests;

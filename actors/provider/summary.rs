//! The description of a profile for people.

use serde::Serialize;

use super::algorithm::Algorithm;
use super::form::{DeliveryIdForm, Locator, SignedForm, TokenScheme};
use super::handshake::{HandshakeCheck, HandshakeMethod};
use super::scheme::Proof;
use super::{Origin, Profile};

#[derive(Debug, Clone, Serialize)]
pub struct ProfileSummary {
    /// Name by which integrations refer to it.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// `mac`, `public_key`, `certificate`, `jwt`, `token` or `none`.
    pub scheme: &'static str,
    /// How deliveries are verified: with a `secret` of the integration, with keys `published` by the provider, or `none`.
    pub keys: &'static str,
    /// The algorithms, or how the token is sent.
    pub algorithm: String,
    /// Where the signature is, per scheme: `header NAME`, `json POINTER`, `form FIELD` or `query NAME`.
    pub signature: Vec<String>,
    /// Templates of the signed content, per scheme.
    pub signed_content: Vec<String>,
    /// Whether a time is signed.
    pub timestamp: bool,
    /// Tolerance of the signed time, in seconds; 0 if no time is signed.
    pub tolerance_seconds: u64,
    /// Whether the delivery's id is signed.
    pub id_signed: bool,
    /// What identifies a delivery.
    pub replay_key: String,
    /// How long its deliveries are remembered, in seconds, unless the integration says otherwise; `None` if the daemon's
    /// setting applies.
    pub replay_window_seconds: Option<u64>,
    /// Requests it sends before it delivers: the method, and how the request is authenticated.
    pub handshakes: Vec<String>,
    /// Settings an integration must have besides its secret.
    pub parameters: Vec<String>,
    /// Those that are secrets; they are set to vault references.
    pub secret_parameters: Vec<String>,
    /// Which answer it expects, and within what time.
    pub answer: Option<String>,
    /// When it retries.
    pub retries: Option<String>,
    /// Further notes.
    pub notes: Vec<String>,
    /// The provider's documentation page.
    pub docs: String,
    pub origin: Origin,
}

impl Profile {
    pub fn summary(&self) -> ProfileSummary {
        let file = &self.file;
        let main = self.proofs().last();
        ProfileSummary {
            name: file.name.clone(),
            title: file.title.clone(),
            scheme: main.map_or("none", Proof::word),
            keys: self.keys(),
            algorithm: distinct(self.proofs().flat_map(Proof::algorithms)).join(", "),
            signature: distinct(self.proofs().flat_map(Proof::places).map(Locator::place)),
            signed_content: distinct(self.signed().map(|form| form.content.clone())),
            timestamp: self.signed().any(|form| form.timestamp.is_some()),
            tolerance_seconds: self.tolerance_seconds(),
            id_signed: file.delivery_id.signed,
            replay_key: replay_key(&file.delivery_id, main),
            replay_window_seconds: self.replay_window_seconds(),
            handshakes: self.handshakes(),
            parameters: file.parameters.clone(),
            secret_parameters: distinct(self.secret_parameters().map(str::to_owned)),
            answer: file.behaviour.answer.clone(),
            retries: file.behaviour.retries.clone(),
            notes: file.behaviour.notes.clone(),
            docs: file.docs.clone(),
            origin: self.origin.clone(),
        }
    }

    fn keys(&self) -> &'static str {
        match self.authenticates() {
            false => "none",
            true if self.publishes_keys() => "published",
            true => "secret",
        }
    }

    fn proofs(&self) -> impl Iterator<Item = &Proof> {
        self.schemes.iter().map(|scheme| &scheme.proof)
    }

    fn handshakes(&self) -> Vec<String> {
        let told = self.file.handshake.iter().map(|one| {
            let method = match one.method {
                HandshakeMethod::Get => "GET",
                HandshakeMethod::Head => "HEAD",
                HandshakeMethod::Options => "OPTIONS",
                HandshakeMethod::Post => "POST",
            };
            let check = match one.check {
                HandshakeCheck::Signature => "signed",
                HandshakeCheck::Token => "by token",
                HandshakeCheck::Nothing => "open",
            };
            format!("{method}, {check}")
        });
        told.collect()
    }
}

/// Removes duplicates and keeps the order.
fn distinct<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut once = Vec::new();
    for one in all {
        if !once.contains(&one) {
            once.push(one);
        }
    }
    once
}

impl Proof {
    /// The kind of scheme, as it is named in profiles.
    fn word(&self) -> &'static str {
        match self {
            Self::Signed(scheme) => scheme.kind.as_str(),
            Self::Token(_) => "token",
            Self::Jwt(_) => "jwt",
            Self::None => "none",
        }
    }

    fn places(&self) -> &[Locator] {
        match self {
            Self::Signed(scheme) => &scheme.form.signature.from,
            Self::Token(form) => std::slice::from_ref(&form.from),
            Self::Jwt(form) => std::slice::from_ref(&form.from),
            Self::None => &[],
        }
    }

    fn algorithms(&self) -> Vec<&'static str> {
        match self {
            Self::Signed(scheme) => scheme.form.algorithms().map(Algorithm::as_str).collect(),
            Self::Token(form) => match form.scheme {
                Some(TokenScheme::Bearer) => vec!["bearer token"],
                Some(TokenScheme::Basic) => vec!["basic credentials"],
                None => vec!["shared token"],
            },
            Self::Jwt(form) => vec![form.algorithm.as_str()],
            Self::None => vec!["none"],
        }
    }
}

impl SignedForm {
    /// The algorithm, or all those a delivery may select.
    pub(super) fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        let chosen = self.algorithm_from.iter().flat_map(|choice| choice.values.values());
        self.algorithm.iter().chain(chosen).copied()
    }
}

impl Locator {
    /// The place, described for people.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Header(name) => format!("header {name}"),
            Self::NumberedHeader(name) => format!("headers {name}1 to {name}100"),
            Self::Json(pointer) => format!("json {pointer}"),
            Self::JsonEach { array, json } => format!("json {json} in each of {array}"),
            Self::Form(field) => format!("form {field}"),
            Self::FormJson { field, json } => format!("json {json} in form {field}"),
            Self::Query(name) => format!("query {name}"),
            Self::Join { from, .. } => from.iter().map(Self::place).collect::<Vec<_>>().join(" + "),
            Self::JsonFirstKeyExcept(_) => "name of a json member".to_owned(),
            Self::Const(text) => format!("\"{text}\""),
        }
    }
}

fn replay_key(id_form: &DeliveryIdForm, main: Option<&Proof>) -> String {
    let places =
        |locators: &[Locator]| locators.iter().map(Locator::place).collect::<Vec<_>>().join(", else ");
    let signs = matches!(main, Some(Proof::Signed(_)));
    let alone = if id_form.retries_differ { " alone" } else { "" };
    match (id_form.replay_key.as_slice(), id_form.from.as_slice()) {
        (key @ [_, ..], _) if signs => format!("{}{alone}, else digest", places(key)),
        (_, id @ [_, ..]) if id_form.signed || !signs => format!("{}{alone}, else digest", places(id)),
        _ if signs => format!("digest of the signed content{alone}"),
        _ => "digest of the body".to_owned(),
    }
}

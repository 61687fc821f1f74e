//! Finds mistakes in profiles that are valid.

use std::ffi::OsStr;
use std::path::Path;

use serde::Serialize;

mod bodies;

use super::Profile;
use super::algorithm::Algorithm;
use super::form::{Content, JwtForm, Locator};
use super::handshake::HandshakeCheck;
use super::load::load;
use super::scheme::Proof;
use super::signed::SignedScheme;
use super::told_apart::{self, covers_content, is_in_body};
use crate::text_places::{self, TextFault, TextPlace};

/// Largest tolerance without a warning. A larger one lets a captured request be replayed for longer than any network
/// delay justifies.
const TOLERANCE_SECONDS_SOUND: u64 = 600;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// Possibly all the provider offers.
    Warning,
    /// Deliveries would be accepted that must not be, or the profile cannot do what it says.
    Error,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub weight: Weight,
    pub rule: &'static str,
    pub place: TextPlace,
    /// The field, as a path.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: &'static str,
}

impl Finding {
    /// Turns the mistake into the error that refuses the profile in `file`.
    pub fn into_error(self, file: String) -> TextFault {
        let hint = Some(self.remedy.to_owned());
        TextFault { file, place: self.place, field: self.field, message: self.message, hint }
    }
}

/// Reads a profile and reports its mistakes.
///
/// # Errors
/// When the profile is not valid.
pub fn lint(file: &str, text: &str) -> Result<Vec<Finding>, TextFault> {
    let profile = load(file, text)?;
    let mut findings = Findings { text, all: mistakes(&profile) };
    check_name(file, &profile, &mut findings);
    Ok(findings.all)
}

/// Reports a name that differs from the file name: a copy of another profile that kept the name replaces that profile.
fn check_name(file: &str, profile: &Profile, findings: &mut Findings<'_>) {
    let stem = Path::new(file).file_stem().and_then(OsStr::to_str).unwrap_or_default();
    if stem != profile.name() {
        let message = format!("the profile is named `{}`, but its file `{stem}`", profile.name());
        findings.warning("other_name", "/name", &message, "give the file and the profile the same name");
    }
}

/// The mistakes in a valid profile, in the order of the rules.
pub fn mistakes(profile: &Profile) -> Vec<Finding> {
    let mut findings = Findings { text: profile.source_toml(), all: Vec::new() };
    for index in 0..profile.schemes.len() {
        check_scheme(profile, index, &mut findings);
    }
    bodies::check_deliveries_without(profile, &mut findings);
    check_identity(profile, &mut findings);
    check_parameters(profile, &mut findings);
    check_handshakes(profile, &mut findings);
    findings.all
}

struct Findings<'a> {
    text: &'a str,
    all: Vec<Finding>,
}

impl Findings<'_> {
    fn error(&mut self, rule: &'static str, pointer: &str, message: &str, remedy: &'static str) {
        self.push(Weight::Error, rule, pointer, message, remedy);
    }

    fn warning(&mut self, rule: &'static str, pointer: &str, message: &str, remedy: &'static str) {
        self.push(Weight::Warning, rule, pointer, message, remedy);
    }

    fn push(
        &mut self,
        weight: Weight,
        rule: &'static str,
        pointer: &str,
        message: &str,
        remedy: &'static str,
    ) {
        let place = text_places::find(self.text, pointer);
        let (field, message) = (text_places::path(pointer), message.to_owned());
        self.all.push(Finding { weight, rule, place, field, message, remedy });
    }
}

fn check_scheme(profile: &Profile, index: usize, findings: &mut Findings<'_>) {
    let pointer = format!("/auth/{index}");
    let Some(scheme) = profile.schemes.get(index) else { return };
    if scheme.when.is_none() && index + 1 < profile.schemes.len() {
        findings.error(
            "unreachable_scheme",
            &pointer,
            "this scheme always applies, so the schemes after it never do",
            "give this scheme a `when`, or put it last",
        );
    }
    bodies::check_scheme(profile, scheme, &pointer, findings);
    match &scheme.proof {
        Proof::Signed(scheme) => check_signed(profile, scheme, &pointer, findings),
        Proof::Jwt(form) => check_jwt(form, &pointer, findings),
        Proof::None => findings.warning(
            "no_authentication",
            &pointer,
            "its deliveries are not authenticated",
            "each integration has to allow unsigned deliveries explicitly",
        ),
        Proof::Token(_) => {}
    }
}

/// The issuer of a token issues tokens for others too, so a claim has to say for whom this one is.
fn check_jwt(form: &JwtForm, pointer: &str, findings: &mut Findings<'_>) {
    let is_bound = form.claims.keys().any(|claim| claim != "iss")
        || !form.claims_from_parameters.is_empty()
        || form.body_sha256_claim.is_some();
    if is_bound || form.algorithm.is_shared() {
        return;
    }
    let is_open = form.jwks_url.is_some() && form.claims.is_empty();
    let weight = if is_open { Weight::Error } else { Weight::Warning };
    findings.push(
        weight,
        "any_token",
        &format!("{pointer}/jwt"),
        "every token of this issuer is accepted, whomever it was issued for",
        "require `aud` in `claims_from_parameters`, or another claim that only these tokens have in `claims`",
    );
}

fn check_signed(profile: &Profile, scheme: &SignedScheme, pointer: &str, findings: &mut Findings<'_>) {
    let (form, content) = (&scheme.form, &scheme.content);
    let at = |member: &str| format!("{pointer}/{}/{member}", scheme.kind.as_str());
    if content.is_constant() {
        findings.error(
            "token_as_mac",
            &at("content"),
            "the signed content contains nothing of the delivery, so the signature is only a token",
            "use `[auth.token]`, which makes clear that nothing is signed",
        );
    } else if !content.covers_body() && form.body_sha256_query.is_none() && !profile.has_no_body() {
        findings.warning(
            "body_not_signed",
            &at("content"),
            "the body is not signed as a whole: anybody who sees a delivery can change the unsigned parts",
            "sign `{body}` if the provider does",
        );
    }
    if form.timestamp.is_none() && content.headers().any(|name| name.contains("timestamp")) {
        findings.error(
            "timestamp_not_checked",
            &at("content"),
            "a time is signed but never checked",
            "name its place in `timestamp`, and write `{ts}` for it in the signed content",
        );
    }
    if form.timestamp.as_ref().is_some_and(|time| time.past_seconds > TOLERANCE_SECONDS_SOUND) {
        findings.warning(
            "wide_tolerance",
            &at("timestamp"),
            "a captured delivery is accepted for more than ten minutes",
            "use the tolerance in the provider's documentation, often 300 seconds",
        );
    }
    if form.timestamp.is_some() && !content.has_timestamp() && !covers_time(scheme) {
        findings.error(
            "timestamp_not_signed",
            &at("timestamp"),
            "the time is checked but not signed: anybody who replays a delivery can set a fresh time",
            "write `{ts}` in `content`, or leave out `timestamp`",
        );
    }
    let is_plain_hash = form.algorithms().any(|algorithm| algorithm == Algorithm::Sha256);
    if is_plain_hash && !content.has_secret() {
        findings.error(
            "unkeyed_hash",
            &at("content"),
            "anybody can compute a plain hash over content without the secret",
            "write `{secret}` where the provider puts the secret",
        );
    } else if is_plain_hash {
        findings.warning(
            "plain_hash",
            &at("algorithm"),
            "a plain hash over secret and content can be extended by anybody who sees one (length extension)",
            "use the provider's HMAC scheme if it has one",
        );
    }
}

fn covers_time(scheme: &SignedScheme) -> bool {
    let from = scheme.form.timestamp.as_ref().and_then(|time| time.from.as_ref());
    from.is_some_and(|locator| {
        scheme.content.covers(locator) || (scheme.content.covers_body() && is_in_body(locator))
    })
}

fn check_identity(profile: &Profile, findings: &mut Findings<'_>) {
    let id_form = &profile.file.delivery_id;
    if id_form.signed && !are_fixed(profile, &id_form.from) {
        findings.error(
            "unsigned_id",
            "/delivery_id/signed",
            "the signature does not cover this id, so a captured delivery is accepted again under another id",
            "set `signed = false`: the digest of the signed content then identifies the delivery",
        );
    }
    if !id_form.replay_key.is_empty() && !are_fixed(profile, &id_form.replay_key) {
        findings.error(
            "unsigned_replay_key",
            "/delivery_id/replay_key",
            "the signature does not cover this value, so a captured delivery is accepted again with another value",
            "name something that is signed, or leave out `replay_key`",
        );
    }
    let is_told = id_form.signed
        || !id_form.replay_key.is_empty()
        || profile.schemes.iter().all(|scheme| told_apart::tells_retries(&scheme.proof));
    if id_form.retries_differ && !is_told {
        findings.error(
            "unsigned_retries",
            "/delivery_id/retries_differ",
            "retries cannot be recognised: either nothing but the bytes identifies a delivery, or the id is not authenticated",
            "leave out `retries_differ`, or set `signed = true` if the signature covers the id",
        );
    }
}

/// Whether the signatures fix `locators`: every scheme that signs fixes at least one of them, and each of them is fixed
/// by all these schemes. A locator in the body need be fixed by one of them only, because each scheme may have another
/// kind of body.
fn are_fixed(profile: &Profile, locators: &[Locator]) -> bool {
    let proofs = profile.schemes.iter().map(|scheme| &scheme.proof);
    let signing: Vec<&Proof> = proofs.filter(|proof| covers_content(proof)).collect();
    let fixes = |proof: &Proof, locator: &Locator| told_apart::fixes(proof, locator, &profile.file.content);
    let is_fixed = |locator: &Locator| match is_in_body(locator) {
        true => signing.iter().any(|proof| fixes(proof, locator)),
        false => signing.iter().all(|proof| fixes(proof, locator)),
    };
    let fixes_one = |proof: &&Proof| locators.iter().any(|locator| fixes(proof, locator));
    !signing.is_empty() && signing.iter().all(fixes_one) && locators.iter().all(is_fixed)
}

fn check_parameters(profile: &Profile, findings: &mut Findings<'_>) {
    let declared = &profile.file.parameters;
    let mut used: Vec<&str> = Vec::new();
    for scheme in &profile.schemes {
        match &scheme.proof {
            Proof::Signed(scheme) => used.extend(scheme.content.parameters()),
            Proof::Jwt(form) => used.extend(form.claims_from_parameters.values().map(String::as_str)),
            _ => {}
        }
    }
    if let Some(name) = profile.secret_parameters().find(|name| used.contains(name)) {
        let message = format!(
            "the token `{name}` is also used in signed content or claims, where only its vault reference would be inserted"
        );
        findings.error("token_used_otherwise", "/parameters", &message, "use a different parameter there");
    }
    used.extend(profile.secret_parameters());
    if let Some(name) = used.iter().find(|name| !declared.iter().any(|own| own == *name)) {
        let message = format!("the parameter `{name}` is used but not declared");
        findings.error("undeclared_parameter", "/parameters", &message, "declare it in `parameters`");
    }
    if let Some(name) = declared.iter().find(|name| !used.contains(&name.as_str())) {
        let message = format!("the parameter `{name}` is declared but never used");
        findings.warning("unused_parameter", "/parameters", &message, "remove it from `parameters`");
    }
}

fn check_handshakes(profile: &Profile, findings: &mut Findings<'_>) {
    for (index, handshake) in profile.file.handshake.iter().enumerate() {
        let pointer = format!("/handshake/{index}");
        let is_token = handshake.check == HandshakeCheck::Token;
        let is_missing = handshake.token.as_ref().is_none_or(Locator::is_constant);
        if is_token && (is_missing || handshake.token_parameter.is_none()) {
            findings.error(
                "handshake_without_token",
                &pointer,
                "it is checked by a token, but does not name the token",
                "name `token` and `token_parameter`",
            );
        }
        let answer = &handshake.answer;
        if answer.status == Some(204) && (answer.echo.is_some() || !answer.json.is_empty()) {
            findings.error(
                "content_without_room",
                &format!("{pointer}/answer/status"),
                "an answer of status 204 has no content",
                "leave out the status or the content",
            );
        }
        if handshake.lends_codes() && signs_bare_words(profile) {
            findings.error(
                "open_handshake_code",
                &pointer,
                "strangers can have short words signed with the secret, and a delivery may consist of one",
                "check the signature first, or accept only JSON",
            );
        } else if handshake.lends_codes() && handshake.check == HandshakeCheck::Nothing {
            findings.warning(
                "open_handshake_code",
                &pointer,
                "anybody can have short words signed with the secret, so no delivery may consist of one",
                "check the signature or a token first, if the provider sends one",
            );
        }
    }
}

/// Whether the signed content may consist of a form or text body only, and so be a bare word.
fn signs_bare_words(profile: &Profile) -> bool {
    let has_words = profile.file.content.iter().any(|kind| matches!(kind, Content::Form | Content::Text));
    let signs_them = |scheme: &SignedScheme| {
        let mut algorithms = scheme.form.algorithms();
        algorithms.any(|one| one == Algorithm::HmacSha256) && scheme.content.may_be_bare_word()
    };
    has_words && profile.signed_schemes().any(signs_them)
}

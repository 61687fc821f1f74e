//! The mistakes a profile can make and still be read.

use serde::Serialize;

use super::handshake::HandshakeCheck;
use super::load::{ProfileError, load};
use super::profile::{Algorithm, Source};
use super::signed::Scheme;
use super::{Content, Method, Profile};
use crate::places::{self, Place};

/// Tolerance over which a captured request stays useful for longer than any network needs.
const TOLERANCE_SECONDS_SOUND: u64 = 600;

/// How bad a mistake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// It may be what the provider gives us to work with.
    Warning,
    /// Deliveries would be taken that should not be, or the profile cannot do what it says.
    Error,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub weight: Weight,
    /// Name of the rule.
    pub rule: &'static str,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// The field, as a path.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: &'static str,
}

impl Finding {
    /// The mistake as a reason not to use the profile in `file`.
    pub fn into_error(self, file: String) -> ProfileError {
        let hint = Some(self.remedy.to_owned());
        ProfileError {
            file,
            line: self.line,
            column: self.column,
            field: self.field,
            message: self.message,
            hint,
        }
    }
}

/// Reads a profile and looks for mistakes.
///
/// # Errors
/// When it cannot be read at all.
pub fn lint(file: &str, text: &str) -> Result<Vec<Finding>, ProfileError> {
    load(file, text).map(|profile| mistakes(&profile))
}

/// The mistakes in a profile that could be read, in the order in which rules are tried.
pub fn mistakes(profile: &Profile) -> Vec<Finding> {
    let mut findings = Findings { text: profile.source_toml(), all: Vec::new() };
    for index in 0..profile.schemes.len() {
        check_scheme(profile, index, &mut findings);
    }
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
        let Place { line, column } = places::find(self.text, pointer);
        let (field, message) = (places::path(pointer), message.to_owned());
        self.all.push(Finding { weight, rule, line, column, field, message, remedy });
    }
}

fn check_scheme(profile: &Profile, index: usize, findings: &mut Findings<'_>) {
    let pointer = format!("/auth/{index}");
    let Some(scheme) = profile.schemes.get(index) else { return };
    if scheme.when.is_none() && index + 1 < profile.schemes.len() {
        findings.error(
            "unreachable_scheme",
            &pointer,
            "it always applies, so those after it never do",
            "give it a `when`, or put it last",
        );
    }
    match &scheme.method {
        Method::Signed(scheme) => check_signed(scheme, &pointer, findings),
        Method::None => findings.warning(
            "no_authentication",
            &pointer,
            "nothing authenticates its deliveries",
            "integrations have to allow unsigned deliveries by name",
        ),
        Method::Token(_) | Method::Jwt(_) => {}
    }
}

fn check_signed(scheme: &Scheme, pointer: &str, findings: &mut Findings<'_>) {
    let (form, content) = (&scheme.form, &scheme.content);
    let at = |member: &str| format!("{pointer}/{}/{member}", form.word());
    if content.is_constant() {
        findings.error(
            "token_as_mac",
            &at("content"),
            "the signed content has nothing of the delivery in it: this is a token",
            "use `[auth.token]`, which says that nothing is signed",
        );
    } else if !content.covers_body() && form.body_sha256_query.is_none() {
        findings.warning(
            "body_not_signed",
            &at("content"),
            "the body is not signed as a whole: whoever sees one delivery can change the rest of it",
            "sign `{body}` if the provider does",
        );
    }
    if form.timestamp.is_none() && content.headers().any(|name| name.contains("timestamp")) {
        findings.error(
            "timestamp_not_checked",
            &at("content"),
            "a time is signed and never checked",
            "name it in `timestamp` and write `{ts}` where it stands",
        );
    }
    if form.timestamp.as_ref().is_some_and(|time| time.past_seconds > TOLERANCE_SECONDS_SOUND) {
        findings.warning(
            "wide_tolerance",
            &at("timestamp"),
            "a captured delivery stays fresh for more than ten minutes",
            "use the tolerance of the provider's documentation, often 300 seconds",
        );
    }
    if form.timestamp.is_some() && !content.has_timestamp() && !covers_time(scheme) {
        findings.error(
            "timestamp_not_signed",
            &at("timestamp"),
            "the time is checked and not signed: whoever replays a delivery writes a fresh one",
            "write `{ts}` into `content`, or leave `timestamp` out",
        );
    }
    if form.algorithm == Some(Algorithm::Sha256) {
        findings.warning(
            "plain_hash",
            &at("algorithm"),
            "a plain hash over secret and content can be extended by whoever sees one",
            "use the provider's HMAC scheme if it has one",
        );
    }
}

fn covers_time(scheme: &Scheme) -> bool {
    let from = scheme.form.timestamp.as_ref().and_then(|time| time.from.as_ref());
    from.is_some_and(|source| {
        scheme.content.covers(source) || (scheme.content.covers_body() && is_in_body(source))
    })
}

fn is_in_body(source: &Source) -> bool {
    match source {
        Source::Json(_) | Source::Form(_) | Source::FormJson { .. } => true,
        Source::Join { from, .. } => from.iter().all(is_in_body),
        _ => false,
    }
}

fn check_identity(profile: &Profile, findings: &mut Findings<'_>) {
    let identity = &profile.file.delivery_id;
    let covered = |source: &Source| {
        profile.signed_schemes().any(|scheme| {
            scheme.content.covers(source) || (scheme.content.covers_body() && is_in_body(source))
        })
    };
    let all_covered = !identity.from.is_empty() && identity.from.iter().all(covered);
    if identity.signed && !all_covered {
        findings.error(
            "unsigned_id",
            "/delivery_id/signed",
            "the signature does not cover this id, so a captured delivery passes under a new one",
            "set `signed = false`: the digest of what is signed then identifies the delivery",
        );
    }
    if !identity.replay_key.iter().all(covered) {
        findings.error(
            "unsigned_replay_key",
            "/delivery_id/replay_key",
            "the signature does not cover this, so a captured delivery passes under a new one",
            "name something that is signed, or leave `replay_key` out",
        );
    }
}

fn check_parameters(profile: &Profile, findings: &mut Findings<'_>) {
    let declared = &profile.file.parameters;
    let mut used: Vec<&str> = Vec::new();
    for scheme in &profile.schemes {
        match &scheme.method {
            Method::Signed(scheme) => used.extend(scheme.content.parameters()),
            Method::Jwt(form) => used.extend(form.claims_from_parameters.values().map(String::as_str)),
            _ => {}
        }
    }
    if let Some(name) = profile.secret_parameters().find(|name| used.contains(name)) {
        let message =
            format!("the token `{name}` is also signed or claimed, where its reference would stand for it");
        findings.error("token_used_otherwise", "/parameters", &message, "use another parameter there");
    }
    used.extend(profile.secret_parameters());
    if let Some(name) = used.iter().find(|name| !declared.iter().any(|own| own == *name)) {
        let message = format!("the parameter `{name}` is used and not declared");
        findings.error("undeclared_parameter", "/parameters", &message, "name it in `parameters`");
    }
    if let Some(name) = declared.iter().find(|name| !used.contains(&name.as_str())) {
        let message = format!("the parameter `{name}` is asked for and never used");
        findings.warning("unused_parameter", "/parameters", &message, "take it out of `parameters`");
    }
}

fn check_handshakes(profile: &Profile, findings: &mut Findings<'_>) {
    for (index, handshake) in profile.file.handshake.iter().enumerate() {
        let pointer = format!("/handshake/{index}");
        let is_token = handshake.check == HandshakeCheck::Token;
        if is_token && (handshake.token.is_none() || handshake.token_parameter.is_none()) {
            findings.error(
                "handshake_without_token",
                &pointer,
                "it is checked by a token and does not say by which",
                "name `token` and `token_parameter`",
            );
        }
        let answer = &handshake.answer;
        if answer.status == Some(204) && (answer.echo.is_some() || !answer.json.is_empty()) {
            findings.error(
                "content_without_room",
                &format!("{pointer}/answer/status"),
                "an answer of status 204 has no content",
                "leave the status out, or the content",
            );
        }
        if handshake.lends_codes() && signs_bare_words(profile) {
            findings.error(
                "open_handshake_code",
                &pointer,
                "who does not have the secret can have bare words signed with it, and a delivery may be one",
                "check the signature first, or take JSON alone",
            );
        } else if handshake.lends_codes() && handshake.check == HandshakeCheck::Nothing {
            findings.warning(
                "open_handshake_code",
                &pointer,
                "anybody can have bare words signed with the secret, so no delivery may be one",
                "check the signature or a token first, if the provider sends one",
            );
        }
    }
}

/// Whether a body of forms or text may be all that is signed, and a bare word.
fn signs_bare_words(profile: &Profile) -> bool {
    let has_words = profile.file.content.iter().any(|kind| matches!(kind, Content::Form | Content::Text));
    let signs_them = |scheme: &Scheme| {
        let form = &scheme.form;
        let chosen = form.algorithm_from.iter().flat_map(|choice| choice.values.values());
        let mut algorithms = form.algorithm.iter().chain(chosen);
        algorithms.any(|one| *one == Algorithm::HmacSha256) && scheme.content.may_be_bare_word()
    };
    has_words && profile.signed_schemes().any(signs_them)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GITHUB: &str = include_str!("../../schemas/providers/github.toml");
    const META: &str = include_str!("../../schemas/providers/meta.toml");
    const X: &str = include_str!("../../schemas/providers/x.toml");
    const ZOOM: &str = include_str!("../../schemas/providers/zoom.toml");

    /// The rules that are broken once `from` reads `to`, with their lines.
    fn broken(profile: &str, from: &str, to: &str) -> Vec<(&'static str, usize)> {
        assert!(profile.contains(from), "{from}");
        let findings = lint("own.toml", &profile.replacen(from, to, 1)).unwrap();
        findings.into_iter().map(|finding| (finding.rule, finding.line)).collect()
    }

    #[test]
    fn each_mistake_is_found_at_its_line() {
        assert_eq!(broken(GITHUB, "title", "title"), []);
        assert_eq!(broken(GITHUB, "signed = false", "signed = true"), [("unsigned_id", 30)]);
        assert_eq!(broken(GITHUB, "\"{body}\"", "\"fixed\""), [("token_as_mac", 11)]);
        assert_eq!(
            broken(GITHUB, "\"{body}\"", "\"{h:X-Timestamp}{body}\""),
            [("timestamp_not_checked", 11)]
        );
        assert_eq!(broken(GITHUB, "\"{body}\"", "\"{method}\""), [("body_not_signed", 11)]);
        assert_eq!(broken(GITHUB, "hmac-sha256", "sha256"), [("plain_hash", 9)]);
        assert_eq!(broken(GITHUB, "[[auth]]", "[[auth]]\nnone = true\n\n[[auth]]").len(), 2);
        assert_eq!(
            broken(GITHUB, "signed = false", "signed = false\nreplay_key = [{ header = \"X\" }]"),
            [("unsigned_replay_key", 31)]
        );
        assert_eq!(broken(ZOOM, "v0:{ts}:{body}", "v0:{body}")[0].0, "timestamp_not_signed");
        assert_eq!(broken(ZOOM, "past_seconds = 300", "past_seconds = 3600")[0].0, "wide_tolerance");
        assert_eq!(
            broken(ZOOM, "version = 1", "version = 1\nparameters = [\"a\"]"),
            [("unused_parameter", 2)]
        );
        assert_eq!(broken(ZOOM, "{ts}:", "{ts}:{param:b}")[0].0, "undeclared_parameter");
        assert!(
            broken(META, "answer = { echo", "answer = { status = 204, echo")
                .iter()
                .any(|(rule, _)| *rule == "content_without_room")
        );
        assert_eq!(
            broken(META, "\"{body}\"", "\"{param:verify_token}{body}\""),
            [("token_used_otherwise", 6)]
        );
        assert_eq!(
            broken(ZOOM, "method = \"POST\"", "method = \"POST\"\ncheck = \"token\"")[0].0,
            "handshake_without_token"
        );
    }

    #[test]
    fn an_open_code_over_words_is_an_error_where_a_delivery_that_is_taken_may_be_one() {
        let weight = |profile: &str, pairs: &[(&str, &str)]| {
            let text = pairs.iter().fold(profile.to_owned(), |text, (from, to)| text.replacen(from, to, 1));
            let findings = lint("own.toml", &text).unwrap();
            findings.iter().find(|found| found.rule == "open_handshake_code").map(|found| found.weight)
        };
        let (form, open) =
            (("[\"json\"]", "[\"json\", \"form\"]"), ("= \"POST\"", "= \"POST\"\ncheck = \"nothing\""));
        let sha1 = ("hmac-sha256", "hmac-sha1");
        assert_eq!(weight(X, &[]), Some(Weight::Warning), "no JSON that is taken is a bare word");
        assert_eq!(weight(X, &[form]), Some(Weight::Error));
        assert_eq!(weight(X, &[("[\"json\"]", "[\"text\"]")]), Some(Weight::Error));
        assert_eq!(weight(X, &[form, sha1]), Some(Weight::Warning), "the codes are of another algorithm");
        assert_eq!(weight(ZOOM, &[form]), None, "who asks has the secret");
        assert_eq!(weight(ZOOM, &[form, open]), Some(Weight::Warning), "what is signed is never a bare word");
    }

    #[test]
    fn no_built_in_profile_has_an_error() {
        for profile in crate::provider::Catalogue::built_in().unwrap().iter() {
            let findings = lint(profile.name(), profile.source_toml()).unwrap();
            let errors: Vec<_> = findings.iter().filter(|finding| finding.weight == Weight::Error).collect();
            assert!(errors.is_empty(), "{}: {errors:?}", profile.name());
        }
    }
}

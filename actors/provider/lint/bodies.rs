//! Checks that what a profile reads can occur in the bodies it accepts.

use super::Findings;
use crate::provider::form::{Locator, When};
use crate::provider::scheme::{Proof, Scheme};
use crate::provider::told_apart::covers_content;
use crate::provider::{ContentKind, Profile};

/// Reports what a scheme reads from a kind of body that is not accepted.
pub fn check_scheme(profile: &Profile, scheme: &Scheme, pointer: &str, findings: &mut Findings<'_>) {
    let wanted = scheme.when.as_ref().and_then(kind_asked_for);
    if wanted.is_some_and(|kind| !profile.takes(kind)) {
        findings.error(
            "unreachable_scheme",
            &format!("{pointer}/when"),
            "this scheme requires a kind of body that `content` does not accept, so it never applies",
            "add that kind to `content`, or leave out the scheme",
        );
        return;
    }
    let is_there = |kind| wanted.map_or_else(|| profile.takes(kind), |wanted| wanted == kind);
    for (kind, what, member) in kinds_read(&scheme.proof) {
        if !is_there(kind) {
            let kind = if kind == ContentKind::Form { "a form" } else { "JSON" };
            let message = format!("`{what}` is read from {kind}, but `content` accepts no such body");
            let remedy = "add that kind to `content`, or read it from the kind of body that is accepted";
            findings.error("other_body", &format!("{pointer}/{member}"), &message, remedy);
        }
    }
}

/// Reports profiles whose deliveries without a body cannot be distinguished.
pub fn check_deliveries_without(profile: &Profile, findings: &mut Findings<'_>) {
    if !profile.has_no_body() {
        return;
    }
    let has_id =
        profile.file.delivery_id.from.iter().any(|locator| !locator.is_constant() && !is_of_body(locator));
    let are_told_apart = |scheme: &Scheme| match &scheme.proof {
        Proof::Signed(scheme) => scheme.content.tells_apart_without_body(),
        proof => has_id && !covers_content(proof),
    };
    if !profile.schemes.iter().all(are_told_apart) {
        findings.error(
            "deliveries_alike",
            "/delivery_id",
            "its deliveries have no body, and nothing that is authenticated differs between them",
            "sign something that differs, or name an id in `from` if nothing is signed",
        );
    }
}

fn kind_asked_for(when: &When) -> Option<ContentKind> {
    match when {
        When::BodyIs(content) => Some(content.kind()),
        When::JsonIs { .. } | When::JsonAbsent(_) | When::JsonPresent(_) => Some(ContentKind::Json),
        _ => None,
    }
}

/// The kinds of body a scheme reads, each with the place it reads and the member of the profile that says so.
fn kinds_read(proof: &Proof) -> Vec<(ContentKind, String, String)> {
    let read = |locator: &Locator, member: &str| {
        let (kind, what) = kind_of(locator)?;
        Some((kind, what.to_owned(), member.to_owned()))
    };
    match proof {
        Proof::Token(form) => read(&form.from, "token/from").into_iter().collect(),
        Proof::Jwt(form) => read(&form.from, "jwt/from").into_iter().collect(),
        Proof::None => Vec::new(),
        Proof::Signed(scheme) => {
            let at = |member: &str| format!("{}/{member}", scheme.kind.as_str());
            let signed = scheme.content.kinds_read();
            let signed = signed.map(|(kind, what)| (kind, what.to_owned(), at("content")));
            let signatures = scheme.form.signature.from.iter();
            let signatures = signatures.filter_map(|from| read(from, &at("signature/from")));
            let time = scheme.form.timestamp.as_ref().and_then(|time| time.from.as_ref());
            let time = time.and_then(|from| read(from, &at("timestamp/from")));
            signed.chain(signatures).chain(time).collect()
        }
    }
}

fn kind_of(locator: &Locator) -> Option<(ContentKind, &str)> {
    match locator {
        Locator::Json(pointer) => Some((ContentKind::Json, pointer)),
        Locator::JsonFirstKeyExcept(_) => Some((ContentKind::Json, "json_first_key_except")),
        Locator::Form(field) | Locator::FormJson { field, .. } => Some((ContentKind::Form, field)),
        Locator::Join { from, .. } => from.iter().find_map(kind_of),
        _ => None,
    }
}

fn is_of_body(locator: &Locator) -> bool {
    kind_of(locator).is_some()
}

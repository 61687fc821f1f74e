//! Turns the text of a profile into a [`Profile`]: TOML, then the schema, then the rules a schema cannot express.

use serde_json::Value;

use super::foreign_algorithm::ForeignAlgorithm;
use super::form::{Content, KeyDecoding, ProfileFile, SchemeForm, SignatureItem, SignedForm, TimestampForm};
use super::handshake::Handshake;
use super::scheme::{Proof, Scheme};
use super::signed::{SignatureKind, SignedScheme};
use super::template::Template;
use super::told_apart::FixedBodies;
use super::{Origin, Profile, told_apart};
use crate::schemas::PROVIDER_PROFILE;
use crate::text_places::{self, TextFault, TextPlace};

/// What the whole file is called in errors.
const KIND: &str = "profile";

/// Reads a profile from its text. Its origin is `BuiltIn` until [`Catalogue::add_own`](super::Catalogue::add_own) changes
/// it.
///
/// # Errors
/// The first problem found.
pub fn load(file: &str, text: &str) -> Result<Profile, TextFault> {
    let document: toml::Table = toml::from_str(text).map_err(|error| no_toml(file, text, &error))?;
    let document = serde_json::to_value(document).unwrap_or(Value::Null);
    let foreign = ForeignAlgorithm::of(&document);
    let told = |foreign: &ForeignAlgorithm| TextFault {
        hint: foreign.hint(),
        ..at(file, text, &foreign.pointer, &foreign.message())
    };
    PROVIDER_PROFILE.check_file(&document).map_err(|fault| {
        // The schema lists the algorithms of all kinds of schemes.
        if let Some(foreign) = foreign.as_ref().filter(|foreign| foreign.pointer == fault.issue.pointer) {
            return told(foreign);
        }
        let (fault, hint) = (fault.clone().quoting(&document), fault.hint().or(fault.form.map(String::from)));
        TextFault { hint, ..at(file, text, &fault.issue.pointer, &fault.issue.message) }
    })?;
    foreign.as_ref().map_or(Ok(()), |foreign| Err(told(foreign)))?;
    let profile: ProfileFile =
        serde_json::from_value(document).map_err(|error| at(file, text, "", &error.to_string()))?;
    if profile.content.contains(&Content::None) && profile.content.len() > 1 {
        return Err(at(
            file,
            text,
            "/content",
            "`none` cannot be combined with other kinds: with it, deliveries have no body",
        ));
    }
    let lends_codes = profile.handshake.iter().any(Handshake::lends_codes);
    let compile = |(index, auth): (usize, &SchemeForm)| {
        let pointer = format!("/auth/{index}");
        compile(auth, &profile, lends_codes)
            .map_err(|(member, message)| at(file, text, &format!("{pointer}{member}"), &message))
    };
    let schemes = profile.auth.iter().enumerate().map(compile).collect::<Result<Vec<_>, _>>()?;
    let profile = Profile { file: profile, schemes, source_toml: text.to_owned(), origin: Origin::BuiltIn };
    check_window(&profile).map_err(|message| at(file, text, "/replay/window_seconds", &message))?;
    Ok(profile)
}

fn check_window(profile: &Profile) -> Result<(), String> {
    let least = profile.replay_window_seconds_min();
    match profile.replay_window_seconds() {
        Some(window) if window < least => {
            Err(format!("{window} is less than {least}, the span in which a signed time is still accepted"))
        }
        _ => Ok(()),
    }
}

fn no_toml(file: &str, text: &str, error: &toml::de::Error) -> TextFault {
    let place = TextPlace::at(text, error.span().map_or(0, |span| span.start));
    match text_places::stands_twice(text, error.message(), error.span()) {
        Some(field) => {
            let hint = Some(text_places::REMOVE_ONE.to_owned());
            TextFault { place, hint, ..TextFault::of_file(file, &field, "is set a second time here") }
        }
        None => TextFault { place, ..TextFault::of_file(file, KIND, error.message()) },
    }
}

fn compile(auth: &SchemeForm, file: &ProfileFile, lends_codes: bool) -> Result<Scheme, (String, String)> {
    let signed = [
        (SignatureKind::Mac, &auth.mac),
        (SignatureKind::PublicKey, &auth.public_key),
        (SignatureKind::Certificate, &auth.certificate),
    ];
    if let Some(member) = constant_place(auth) {
        return Err((
            format!("/{member}/from"),
            "the value that authenticates a delivery cannot be constant".to_owned(),
        ));
    }
    let mut proofs = Vec::new();
    for (kind, form) in signed {
        if let Some(form) = form {
            let scheme = compile_signed(form, kind, lends_codes);
            proofs.push(scheme.map_err(|(place, message)| (format!("/{}{place}", kind.as_str()), message))?);
        }
    }
    proofs.extend(auth.jwt.clone().map(Proof::Jwt));
    proofs.extend(auth.token.clone().map(Proof::Token));
    proofs.extend(auth.none.then_some(Proof::None));
    let proof = proofs.pop().filter(|_| proofs.is_empty());
    let proof = proof.ok_or_else(|| {
        (
            String::new(),
            "must name exactly one of `mac`, `public_key`, `certificate`, `jwt`, `token` and `none`"
                .to_owned(),
        )
    })?;
    Ok(Scheme { when: auth.when.clone(), id_from: told_apart::of(&proof, file), proof })
}

/// The scheme whose token would be a constant of the profile itself.
fn constant_place(auth: &SchemeForm) -> Option<&'static str> {
    let token = auth.token.iter().map(|form| ("token", &form.from));
    let jwt = auth.jwt.iter().map(|form| ("jwt", &form.from));
    token.chain(jwt).find(|(_, from)| from.is_constant()).map(|(member, _)| member)
}

fn compile_signed(
    form: &SignedForm,
    kind: SignatureKind,
    lends_codes: bool,
) -> Result<Proof, (&'static str, String)> {
    let content = Template::compile(&form.content).map_err(|message| ("/content", message))?;
    if form.algorithm.is_some() == form.algorithm_from.is_some() || form.algorithms().next().is_none() {
        return Err(("", "must name exactly one of `algorithm` and `algorithm_from`".to_owned()));
    }
    if kind == SignatureKind::Mac && matches!(form.key.decode, KeyDecoding::SpkiBase64 | KeyDecoding::Pem) {
        return Err((
            "/key/decode",
            "the key of a shared secret must be `raw`, `hex` or `base64`".to_owned(),
        ));
    }
    if form.signature.pair.is_some() == form.signature.key.is_empty() {
        return Err(("/signature", "`pair` and `key` go together".to_owned()));
    }
    if content.has_timestamp() && form.timestamp.is_none() {
        return Err(("/content", "`{ts}` is used here, but there is no `timestamp`".to_owned()));
    }
    form.timestamp.as_ref().map_or(Ok(()), |time| check_time(form, time))?;
    let fixes = FixedBodies::of(&content, form.timestamp.as_ref().map(|time| time.format));
    Ok(Proof::Signed(Box::new(SignedScheme { kind, form: form.clone(), content, lends_codes, fixes })))
}

fn check_time(form: &SignedForm, time: &TimestampForm) -> Result<(), (&'static str, String)> {
    let (has_pairs, has_items) = (form.signature.pair.is_some(), form.signature.split.is_some());
    match (&time.from, &time.signature_item) {
        (Some(from), _) if from.is_constant() => {
            Err(("/timestamp/from", "a time cannot be constant".to_owned()))
        }
        (Some(_), None) => Ok(()),
        (None, Some(SignatureItem::Named(_))) if has_pairs => Ok(()),
        (None, Some(SignatureItem::At(_))) if has_items && !has_pairs => Ok(()),
        (None, Some(SignatureItem::Named(_))) => {
            Err(("/timestamp", "a `signature_item` given by name needs a signature with `pair`".to_owned()))
        }
        (None, Some(SignatureItem::At(_))) => {
            let why = "a `signature_item` given by number needs a signature with `split` and without `pair`";
            Err(("/timestamp", why.to_owned()))
        }
        _ => Err(("/timestamp", "must name exactly one of `from` and `signature_item`".to_owned())),
    }
}

/// An error at the JSON pointer `pointer`.
pub fn at(file: &str, text: &str, pointer: &str, message: &str) -> TextFault {
    TextFault::at(file, text, KIND, pointer, message)
}

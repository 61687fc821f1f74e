//! Shared tokens, sent in clear.

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::form::{Encoding, Locator, TokenForm, TokenScheme};
use super::request::{Headers, Request, single_header};
use super::signature::decode;
use super::verify::{Verified, uncovered};
use super::{Reason, Reject};
use crate::ids::Digest;
use crate::json::Element;
use crate::secret::{SecretVersion, SecretVersions};

/// Refuses headers without the token, if it can be nowhere else.
///
/// # Errors
/// [`Reason::MissingSignature`], [`Reason::MalformedSignature`].
pub fn precheck(form: &TokenForm, headers: &dyn Headers) -> Result<(), Reject> {
    if form.or_query.is_some() { Ok(()) } else { precheck_header(&form.from, headers) }
}

/// Refuses headers without `from`, if that is a header.
///
/// # Errors
/// As [`precheck`].
pub fn precheck_header(from: &Locator, headers: &dyn Headers) -> Result<(), Reject> {
    let Locator::Header(name) = from else { return Ok(()) };
    header(headers, name).map(drop)
}

/// A header that must appear exactly once and not be empty.
///
/// # Errors
/// As [`precheck`].
pub fn header<'a>(headers: &'a dyn Headers, name: &str) -> Result<&'a str, Reject> {
    let text = single_header(headers, name, Reason::MalformedSignature)?;
    text.filter(|text| !text.is_empty())
        .ok_or_else(|| Reject::new(Reason::MissingSignature, format!("header {name} is missing")))
}

/// Verifies the token of `request`.
///
/// # Errors
/// Why it is not one of `keys`.
pub fn verify(form: &TokenForm, request: &Request<'_>, keys: &SecretVersions) -> Result<Verified, Reject> {
    if let Some(array) = &form.each {
        let version = verify_each(form, array, request, keys)?;
        return Ok(uncovered(Some(version)));
    }
    if let Locator::Json(pointer) = &form.from
        && request.body.json().and_then(|document| document.pointer(pointer)).is_some_and(is_no_text)
    {
        return Err(malformed());
    }
    let text = request.text(&form.from, Reason::MalformedSignature)?;
    let presented = match (text, &form.or_query) {
        (Some(text), _) => unwrapped(&text, form.scheme)?,
        (None, Some(name)) => {
            request.query(name).filter(|text| !text.is_empty()).ok_or_else(missing)?.into_bytes()
        }
        (None, None) => return Err(missing()),
    };
    let version = find(&presented, keys).ok_or_else(none_of_ours)?;
    Ok(uncovered(Some(version.version)))
}

fn is_no_text(value: Element<'_>) -> bool {
    value.as_str().is_none() && !value.is_null()
}

fn verify_each(
    form: &TokenForm,
    array: &str,
    request: &Request<'_>,
    keys: &SecretVersions,
) -> Result<u32, Reject> {
    let Locator::Json(pointer) = &form.from else { return Err(missing()) };
    let items = request.body.json().and_then(|document| document.pointer(array)).ok_or_else(missing)?;
    let mut tokens = Vec::new();
    for item in items.items() {
        let token = item.pointer(pointer).filter(|token| !token.is_null()).ok_or_else(missing)?;
        let token = token.as_str().ok_or_else(malformed)?;
        tokens.push(if token.is_empty() { Err(missing()) } else { Ok(token) }?);
    }
    let mut versions = Vec::with_capacity(tokens.len());
    for token in tokens {
        versions.push(find(token.as_bytes(), keys).ok_or_else(none_of_ours)?.version);
    }
    versions.into_iter().min().ok_or_else(missing)
}

/// The key equal to `presented`. Digests are compared, so that the time does not depend on the length of the secret.
pub fn find<'a>(presented: &[u8], keys: &'a SecretVersions) -> Option<&'a SecretVersion> {
    let presented = Digest::of(presented);
    keys.iter().find(|version| {
        let own = Zeroizing::new(Digest::of(version.secret.expose()).0);
        own.ct_eq(&presented.0).into()
    })
}

/// The token after the name of its scheme.
fn unwrapped(text: &str, scheme: Option<TokenScheme>) -> Result<Vec<u8>, Reject> {
    let Some(scheme) = scheme else { return Ok(text.as_bytes().to_vec()) };
    let rest = after_scheme(text, scheme).ok_or_else(malformed)?;
    match scheme {
        TokenScheme::Bearer => Ok(rest.as_bytes().to_vec()),
        TokenScheme::Basic => decode(rest, Encoding::Base64).ok_or_else(malformed),
    }
}

/// The text after the name of an `Authorization` scheme.
pub fn after_scheme(text: &str, scheme: TokenScheme) -> Option<&str> {
    let (word, rest) = text.split_once(' ')?;
    let own = match scheme {
        TokenScheme::Bearer => "bearer",
        TokenScheme::Basic => "basic",
    };
    (word.eq_ignore_ascii_case(own) && !rest.is_empty()).then_some(rest)
}

fn missing() -> Reject {
    Reject::new(Reason::MissingSignature, "the token is missing")
}

fn malformed() -> Reject {
    Reject::new(Reason::MalformedSignature, "the token does not have the form of its scheme")
}

fn none_of_ours() -> Reject {
    Reject::new(Reason::BadSignature, "the token is wrong")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_a_scheme_is_read_in_any_case_and_needs_something_after_it() {
        assert_eq!(after_scheme("BEARER x y", TokenScheme::Bearer), Some("x y"));
        for text in ["x", "Bearer", "Bearer ", "Basic x"] {
            assert_eq!(after_scheme(text, TokenScheme::Bearer), None, "{text}");
        }
    }
}

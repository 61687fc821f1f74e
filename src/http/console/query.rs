//! Reads the query of a request into a struct; an error names the parameter.

use std::borrow::Cow;
use std::future::{Ready, ready};
use std::ops::Deref;
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use palyra_actors::clock::UnixMs;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use crate::http::problem::{Kind, Problem};

/// The parameters of a query. An unknown or malformed parameter is [`Kind::BadRequest`].
pub struct Query<T>(T);

impl<T> Query<T> {
    /// Returns the parameters.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Query<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let read = read(request.query_string()).map(Self);
        ready(read.map_err(|why| Problem::new(Kind::BadRequest).detail(why)))
    }
}

fn read<T: DeserializeOwned>(query: &str) -> Result<T, String> {
    let pairs = form_urlencoded::parse(query.as_bytes());
    serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs)).map_err(|error| match error
        .path()
        .to_string()
        .as_str()
    {
        "." => error.inner().to_string(),
        parameter => format!("`{parameter}`: {}", error.inner()),
    })
}

/// Reads a number, for `deserialize_with`: the error says what was expected.
///
/// # Errors
/// The text is no whole number.
pub fn whole<'de, N: FromStr, D: Deserializer<'de>>(text: D) -> Result<N, D::Error> {
    number(text, "expected a whole number, 0 or more, of 64 bits at most")
}

/// As [`whole()`], for a parameter that may be left out.
///
/// # Errors
/// The text is no whole number.
pub fn maybe_whole<'de, N: FromStr, D: Deserializer<'de>>(text: D) -> Result<Option<N>, D::Error> {
    whole(text).map(Some)
}

/// As [`maybe_whole`], for a time.
///
/// # Errors
/// The text is no whole number.
pub fn moment<'de, D: Deserializer<'de>>(text: D) -> Result<Option<UnixMs>, D::Error> {
    number(text, "expected a time as a whole number of milliseconds since 1970, such as 1782907200000")
        .map(Some)
}

fn number<'de, N: FromStr, D: Deserializer<'de>>(text: D, expected: &str) -> Result<N, D::Error> {
    Cow::<str>::deserialize(text)?.parse().map_err(|_| D::Error::custom(expected))
}

#[cfg(test)]
mod tests {
    use palyra_actors::journal::Severity;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Form {
        #[serde(deserialize_with = "whole")]
        after: u64,
        name: Option<String>,
        severity: Option<Severity>,
        enabled: Option<bool>,
        #[serde(default, deserialize_with = "maybe_whole")]
        limit: Option<usize>,
    }

    #[test]
    fn a_query_is_read_into_its_form() {
        let form = read::<Form>("after=7&name=a%20b%26&severity=warn&enabled=true&limit=2").unwrap();
        let name = Some("a b&".to_owned());
        let expected =
            Form { after: 7, name, severity: Some(Severity::Warn), enabled: Some(true), limit: Some(2) };
        assert_eq!(form, expected);
    }

    #[test]
    fn what_cannot_be_read_names_its_parameter() {
        for (query, name) in [
            ("after=-1", "`after`: expected a whole number"),
            ("after=", "`after`: expected a whole number"),
            ("after=99999999999999999999", "`after`: expected a whole number"),
            ("after=1&limit=x", "`limit`: expected a whole number"),
            ("after=1&severity=loud", "`severity`"),
            ("after=1&enabled=yes", "`enabled`"),
            ("after=1&nane=x", "`nane`"),
            ("after=1&after=2", "`after`"),
            ("name=x", "`after`"),
        ] {
            let why = read::<Form>(query).unwrap_err();
            assert!(why.contains(name), "{query}: {why}");
        }
    }
}

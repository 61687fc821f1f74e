//! Reads the query of a request into a struct; an error names the parameter.

use std::future::{Ready, ready};
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;

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

#[cfg(test)]
mod tests {
    use palyra_actors::journal::Severity;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Form {
        after: u64,
        name: Option<String>,
        severity: Option<Severity>,
        enabled: Option<bool>,
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
            ("after=-1", "`after`"),
            ("after=", "`after`"),
            ("after=1&limit=x", "`limit`"),
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

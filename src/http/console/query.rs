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
        parameter => format!("`{parameter}`: {}", expected(parameter, &error.inner().to_string())),
    })
}

/// What was expected of a number, in place of the words of its parser; any other error says it already.
fn expected(parameter: &str, error: &str) -> String {
    let is_of_a_number = ["invalid digit", "cannot parse integer", "number too"];
    match parameter {
        _ if !is_of_a_number.iter().any(|start| error.starts_with(start)) => error.to_owned(),
        "since" => {
            "expected a time as a whole number of milliseconds since 1970, such as 1782907200000".to_owned()
        }
        _ => "expected a whole number, 0 or more, of 64 bits at most".to_owned(),
    }
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

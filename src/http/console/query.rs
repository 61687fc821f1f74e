//! Reads the query of a request into a struct; an error names the parameter.

use std::future::{Ready, ready};
use std::ops::Deref;
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use serde::de::value::{Error, MapDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

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
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query).map_err(|error| error.to_string())?;
    let parameters =
        pairs.into_inner().into_iter().map(|(name, text)| (name.clone(), Parameter { name, text }));
    T::deserialize(MapDeserializer::new(parameters)).map_err(|error| error.to_string())
}

/// The text of a parameter, and its name for errors.
struct Parameter {
    name: String,
    text: String,
}

impl Parameter {
    fn parse<T: FromStr<Err: std::fmt::Display>>(&self) -> Result<T, Error> {
        self.text.parse().map_err(|error| named(&self.name, &error))
    }
}

fn named(name: &str, error: &dyn std::fmt::Display) -> Error {
    Error::custom(format_args!("`{name}`: {error}"))
}

impl IntoDeserializer<'_> for Parameter {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Parameter {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Self { name, text } = self;
        visitor.visit_string(text).map_err(|error: Error| named(&name, &error))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(self.parse()?)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u64(self.parse()?)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        enumeration: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let Self { name, text } = self;
        let read = IntoDeserializer::<Error>::into_deserializer(text);
        read.deserialize_enum(enumeration, variants, visitor).map_err(|error| named(&name, &error))
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct seq
        tuple tuple_struct map struct identifier ignored_any
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

//! Gives the provider engine read access to the headers of a request.

use actix_web::http::header::HeaderMap;
use palyra_actors::provider::Headers;

/// A view of the header map of actix.
pub struct HeaderView<'a>(pub &'a HeaderMap);

impl Headers for HeaderView<'_> {
    fn first<'a>(&'a self, name: &str) -> Option<(&'a [u8], bool)> {
        // A lookup in the map would first allocate a `HeaderName` from the text; headers are few, so a scan is cheaper.
        let mut named = self.0.iter().filter(|(own, _)| own.as_str().eq_ignore_ascii_case(name));
        let (_, first) = named.next()?;
        Some((first.as_bytes(), named.next().is_some()))
    }
}

/// Whether a `Host` names a host (and port) and nothing else: a path inside it would change the URL that is verified (RFC
/// 9110, 7.2).
pub(in crate::http) fn is_authority(host: &str) -> bool {
    host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn a_header_is_found_in_any_case_and_a_second_one_is_told() {
        let mut map = HeaderMap::new();
        for (name, value) in [("x-once", "1"), ("x-twice", "2"), ("x-twice", "3")] {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let view = HeaderView(&map);
        assert_eq!(view.first("X-Once"), Some((&b"1"[..], false)));
        assert_eq!(view.first("x-tWICE"), Some((&b"2"[..], true)));
        assert_eq!(view.first("x-onc"), None);
        assert_eq!(view.first("no name at all"), None);
    }
}

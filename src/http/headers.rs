//! The headers of a request as the provider engine reads them.

use actix_web::http::header::HeaderMap;
use palyra_actors::provider::Headers;

/// A view of actix's header map.
pub struct HeaderView<'a>(pub &'a HeaderMap);

impl Headers for HeaderView<'_> {
    fn first<'a>(&'a self, name: &str) -> Option<(&'a [u8], bool)> {
        let mut values = self.0.get_all(name);
        let first = values.next()?.as_bytes();
        Some((first, values.next().is_some()))
    }
}

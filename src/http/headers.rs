//! The headers of a request as the provider engine reads them.

use actix_web::http::header::HeaderMap;
use palyra_actors::provider::Headers;

/// A view of actix's header map.
pub struct HeaderView<'a>(pub &'a HeaderMap);

impl Headers for HeaderView<'_> {
    fn first<'a>(&'a self, name: &str) -> Option<(&'a [u8], bool)> {
        // A look into the map would have to make a name of its own of the text first; headers are few.
        let mut named = self.0.iter().filter(|(own, _)| own.as_str().eq_ignore_ascii_case(name));
        let (_, first) = named.next()?;
        Some((first.as_bytes(), named.next().is_some()))
    }
}

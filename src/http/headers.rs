//! The headers of a request as the provider engine reads them.

use actix_web::http::header::HeaderMap;
use palyra_actors::provider::Headers;

/// A view of actix's header map.
pub struct HeaderView<'a>(pub &'a HeaderMap);

impl Headers for HeaderView<'_> {
    fn values<'a>(&'a self, name: &str) -> Box<dyn Iterator<Item = &'a [u8]> + 'a> {
        Box::new(self.0.get_all(name).map(|value| value.as_bytes()))
    }
}

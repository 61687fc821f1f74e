//! Searches for the row of a delivery by the provider's own id, for which the journal has no index: from the newest event
//! back, page by page, until it is found or the time is up.

use std::time::Duration;

use palyra_actors::journal::{Cursor, EventFilter, Page, StoredEvent};
use palyra_actors::limits::PAGE_EVENTS_MAX;
use tokio::time::Instant;

use crate::http::console::journal::blocking;
use crate::http::problem::Problem;
use crate::service::AppState;

/// Time limit of a search, enough for some millions of events. The answer says if older events were not searched.
const SEARCH_DEADLINE: Duration = Duration::from_secs(10);

/// The result of a search.
#[derive(Debug)]
pub enum Searched {
    /// The newest event of that delivery.
    Found(Box<StoredEvent>),
    /// The journal contains none.
    NotThere,
    /// There is none at or after this seq; earlier events were not searched.
    NotFrom(u64),
}

/// Searches for the newest event of the delivery with this id of its provider.
///
/// # Errors
/// When the journal cannot be read.
pub async fn by_delivery_id(app: &AppState, delivery_id: &str) -> Result<Searched, Problem> {
    let filter = EventFilter { delivery_id: Some(delivery_id.to_owned()), ..EventFilter::default() };
    let started = Instant::now();
    let page = |cursor| {
        let (reader, filter) = (app.actors.reader.clone(), filter.clone());
        blocking(move || reader.page(&filter, cursor, PAGE_EVENTS_MAX))
    };
    back_through(page, || started.elapsed() < SEARCH_DEADLINE && !app.is_stopping()).await
}

/// Searches page by page from the newest back, as long as `may_go_on` allows, until a page contains an event.
async fn back_through<P: Future<Output = Result<Page, Problem>>>(
    page: impl Fn(Cursor) -> P,
    may_go_on: impl Fn() -> bool,
) -> Result<Searched, Problem> {
    let mut cursor = Cursor::Newest;
    loop {
        let Page { mut events, next_before, .. } = page(cursor).await?;
        match (events.pop(), next_before) {
            (Some(newest), _) => return Ok(Searched::Found(Box::new(newest))),
            (None, None) => return Ok(Searched::NotThere),
            (None, Some(before)) if !may_go_on() => return Ok(Searched::NotFrom(before)),
            (None, Some(before)) => cursor = Cursor::Before(before),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Searches a journal in which each page examines ten events, and none is found before `oldest`.
    async fn search(oldest: u64, pages: u64) -> Searched {
        let asked = Cell::new(0);
        let page = async |cursor| {
            asked.set(asked.get() + 1);
            let from = match cursor {
                Cursor::Before(seq) => seq - 10,
                _ => 91,
            };
            Ok(Page { next_before: (from > oldest).then_some(from), ..Page::default() })
        };
        back_through(page, || asked.get() < pages).await.unwrap()
    }

    #[actix_web::test]
    async fn what_was_not_searched_is_told_apart_from_what_is_not_there() {
        assert!(matches!(search(1, 100).await, Searched::NotThere));
        assert!(
            matches!(search(1, 10).await, Searched::NotThere),
            "the last page is the end, whatever the time"
        );
        assert!(matches!(search(1, 3).await, Searched::NotFrom(71)));
    }
}

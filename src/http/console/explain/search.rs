//! Looks for the row of a delivery by its provider's own id, of which the journal keeps no index: from the newest event back,
//! page by page, until it is found or the time is up.

use std::time::Duration;

use palyra_actors::journal::{Cursor, EventFilter, Page, StoredEvent};
use palyra_actors::limits::PAGE_EVENTS_MAX;
use tokio::time::Instant;

use crate::daemon::state::AppState;
use crate::http::console::journal::blocking;
use crate::http::problem::Problem;

/// Time in which events are searched, some millions of them. What is older then is not searched, and that is told.
const SEARCH_DEADLINE: Duration = Duration::from_secs(10);

/// What a search came to.
#[derive(Debug)]
pub enum Searched {
    /// The newest event of that delivery.
    Found(Box<StoredEvent>),
    /// The journal holds none.
    NotThere,
    /// There is none from this seq on. Those before it were not searched.
    NotFrom(u64),
}

/// Searches for the newest event of the delivery that its provider names so.
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

/// Goes through pages from the newest back, as long as `may_go_on`, to one that holds an event.
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

    /// A journal of which each page examines ten events, and none is found before `oldest`.
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

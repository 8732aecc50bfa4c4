//! Lists of open deliveries by conditions.
//!
//! Owns: the conditions. Does not own: the read of the deliveries (`Inspect`), or deliveries that were given up, which are
//! dead letters.

use super::search::{End, PORTION, Search};
use super::{Delivery, DeliveryId, Inspect, StoreError};
use crate::message::Timestamp;

/// The conditions of a list of open deliveries. A delivery must meet every condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliveryFilter {
    /// Only deliveries to this subscriber, by its stored name.
    pub consumer: Option<String>,
    /// Only deliveries of this event, by its stored name.
    pub event: Option<String>,
    /// Only deliveries with a key that begins with this text.
    pub key_prefix: Option<String>,
    /// Only deliveries with an error of their last attempt, or only the others.
    pub failing: Option<bool>,
    /// Only deliveries that were queued before this time.
    pub before: Option<Timestamp>,
    /// Only deliveries after this one. `None` is the first page.
    pub after: Option<DeliveryId>,
    /// The most deliveries of a page. 0 means the default of 50. The maximum is 200.
    pub limit: usize,
}

/// An open delivery with its number.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryRow {
    /// The number of the delivery.
    pub id: DeliveryId,
    /// The delivery itself.
    pub delivery: Delivery,
}

/// Deliveries that meet the conditions, oldest first, and where the list continues.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DeliveryPage {
    /// The deliveries. A page may have fewer than the limit, although the list continues.
    pub rows: Vec<DeliveryRow>,
    /// The value of [`DeliveryFilter::after`] for the next page. `None` at the end of the list.
    pub more: Option<DeliveryId>,
}

impl DeliveryFilter {
    /// Returns whether a delivery meets the conditions.
    pub fn holds(&self, delivery: &Delivery) -> bool {
        let Delivery { to, event, progress, .. } = delivery;
        let is = |wanted: &Option<String>, text: &str| wanted.as_ref().is_none_or(|wanted| wanted == text);
        is(&self.consumer, &to.saga)
            && is(&self.event, &event.name)
            && self.key_prefix.as_ref().is_none_or(|prefix| to.key.text().starts_with(&**prefix))
            && self.failing.is_none_or(|failing| failing == progress.error.is_some())
            && self.before.is_none_or(|before| progress.since < before)
    }

    /// Reads one page. The page looks at no more than 5,000 deliveries, so that a rare condition does not read for long.
    ///
    /// # Errors
    /// Those of the store.
    ///
    /// # Cancellation
    /// Dropping the future only ends the search.
    pub async fn page(&self, store: &(impl Inspect + ?Sized)) -> Result<DeliveryPage, StoreError> {
        let mut search = Search::new(self.after.unwrap_or_default(), self.limit);
        loop {
            let portion = store.open_deliveries(search.after, PORTION).await?;
            if let Some(End(more)) = search.take(portion, |row| row.id, |row| self.holds(&row.delivery)) {
                return Ok(DeliveryPage { rows: search.rows, more });
            }
        }
    }
}

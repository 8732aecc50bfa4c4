//! The stream that tells a page when to read again.
//!
//! Owns: what counts as a change, and the limit of open streams. Does not own: the content of a page, which the page reads
//! itself. A stream carries no data of an instance.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use saga_core::store::{InstanceFilter, InstanceOrder};

use crate::Dashboard;
use crate::source::Condition;

/// The most open streams.
const MOST: usize = 32;
/// The time between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// The looks of one stream. A browser opens another one after the end. A server that stops waits for the end of all
/// answers, so that no stream may stay.
const LOOKS: u32 = 20;

/// The number of open streams.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams(Arc<AtomicUsize>);

/// One open stream. Its drop frees the place.
struct Place(Streams);

impl Streams {
    fn place(&self) -> Option<Place> {
        // The place is given back at once if there were too many.
        let place = Place(self.clone());
        (self.0.fetch_add(1, Ordering::SeqCst) < MOST).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(crate) async fn stream(State(dashboard): State<Arc<Dashboard>>) -> Response {
    let Some(place) = dashboard.streams.place() else {
        return (StatusCode::TOO_MANY_REQUESTS, "too many pages are open").into_response();
    };
    let seen = look(&dashboard).await;
    let changes =
        unfold((dashboard, place, seen, LOOKS), |(dashboard, place, mut seen, mut left)| async move {
            while left > 0 && !matches!(dashboard.source.condition(), Condition::Stopped(_)) {
                tokio::time::sleep(LOOK).await;
                left -= 1;
                let now = look(&dashboard).await;
                if std::mem::replace(&mut seen, now) != now {
                    // A browser drops an event without data.
                    let event = Ok::<_, Infallible>(Event::default().event("change").data("store"));
                    return Some((event, (dashboard, place, seen, left)));
                }
            }
            None
        });
    // nginx would keep the events back.
    let unbuffered = [("x-accel-buffering", "no")];
    (unbuffered, Sse::new(changes).keep_alive(KeepAlive::default())).into_response()
}

/// Returns a number that changes with the counts, the newest steps and the health.
async fn look(dashboard: &Dashboard) -> u64 {
    let mut hasher = DefaultHasher::new();
    dashboard.source.condition().hash(&mut hasher);
    if let Some(store) = dashboard.source.open() {
        let mut newest = InstanceFilter::default();
        (newest.order, newest.descending, newest.limit) = (InstanceOrder::Changed, true, 1);
        if let Ok(page) = store.instances(&newest).await {
            let view = page.instances.first();
            view.map(|view| (&view.address, view.seq, view.errors.len(), view.position.to_string()))
                .hash(&mut hasher);
        }
        if let Ok(counts) = store.counts().await {
            dashboard.trend.note(&counts);
            for count in counts {
                (count.saga, count.state, count.parked, count.instances).hash(&mut hasher);
            }
        }
    }
    hasher.finish()
}

//! What bounds the calls of one kind to the API server: how many run, how many wait, and what all of them take. A quarter of
//! the places and of the room is kept for what was answered well before: else who asks ever new things would keep everybody
//! else from his own.

use std::{sync::Arc, time::Duration};

use crate::{
    calls::{Place, Places, Wanted},
    decision::Refusal,
    memory::{Budget, Taken},
    reason::Reason,
};

/// How long a call waits for a place.
const PLACE_WAIT: Duration = Duration::from_millis(500);
/// How many calls may wait for each place.
const WAITING_PER_PLACE: usize = 64;
/// What a call takes beside what it asks, in bytes.
const CALL_BYTES: usize = 4 * 1024;

/// The bounds of one kind of call.
#[derive(Debug)]
pub(super) struct Bounds {
    places: Places,
    room: Arc<Budget>,
    /// How many calls may run and wait.
    most: usize,
}

impl Bounds {
    /// So many calls run at once, and all take so many bytes.
    pub(super) fn new(at_once: usize, bytes: u64) -> Self {
        Self {
            places: Places::with_kept_quarter(at_once),
            room: Budget::new(bytes),
            most: at_once.saturating_mul(WAITING_PER_PLACE),
        }
    }

    /// Room for a call beside those that run, which asks so many bytes.
    ///
    /// # Errors
    /// Where there is none.
    pub(super) fn room(&self, is_known: bool, running: usize, asks: usize) -> Result<Taken, Refusal> {
        let bytes = CALL_BYTES + asks;
        let room = match is_known {
            true => self.room.take(bytes),
            false if running < self.most => self.room.take_common(bytes),
            false => None,
        };
        room.ok_or_else(|| Reason::TooManyReviews.into())
    }

    /// Waits for a place, in the order of arrival.
    ///
    /// # Errors
    /// Where there is none for too long.
    pub(super) async fn place(&self, is_known: bool) -> Result<Place, Refusal> {
        let wanted = if is_known { Wanted::ByTheKnown } else { Wanted::ByAnybody };
        self.places.take(wanted, PLACE_WAIT).await.ok_or_else(|| Reason::TooManyReviews.into())
    }
}

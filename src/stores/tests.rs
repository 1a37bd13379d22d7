//! Each configuration opens its store.

use super::*;
use crate::store::testing::now;

#[tokio::test]
async fn a_store_is_opened_as_it_is_configured() {
    let folder = tempfile::tempdir().unwrap();
    let clock: SharedClock = crate::clock::ManualClock::at(now());
    let path = folder.path().join("sessions/sessions.redb");
    for store in [StoreConfig::Memory, StoreConfig::Embedded { path: path.clone() }] {
        open(&store, &clock, &Metrics::default()).await.unwrap();
    }
    assert!(path.is_file());
}

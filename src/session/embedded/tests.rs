//! What the file promises beyond the contract that all stores keep.

use crate::session::{EmbeddedStore, contract, testing::World};

fn world() -> (World, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions/sessions.redb");
    (World::over(|clock| std::sync::Arc::new(EmbeddedStore::open(&path, clock).unwrap())), folder)
}

mod keeps_the_contract {
    use super::{contract, world};

    contract::run!(world);
}

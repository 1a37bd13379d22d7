//! What the store in memory promises: the contract.

use super::{contract, testing::World};

#[expect(clippy::unused_async, reason = "other stores are waited for")]
async fn world() -> (World, ()) {
    (World::in_memory(), ())
}

contract::run!(world);

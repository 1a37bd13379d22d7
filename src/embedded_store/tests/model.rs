//! The file and the memory are the same store: whatever is asked of both, they answer alike.

use proptest::prelude::*;

use super::Place;
use crate::{
    session::testing::World,
    store::model::{calls, carry_out},
};

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_file_and_the_memory_answer_alike(calls in calls()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let place = Place::new();
            let (mut file, memory) = (place.open(), World::in_memory());
            // Leases end with the process that gave them.
            let calls: Vec<_> = calls.into_iter().filter(|call| !call.is_of_a_lease()).collect();
            for (number, call) in calls.iter().enumerate() {
                let (by_file, by_memory) = (carry_out(&file, call).await, carry_out(&memory, call).await);
                prop_assert_eq!(by_file, by_memory, "call {}: {:?}", number, call);
                if number == calls.len() / 2 {
                    // A restart makes no difference.
                    let clock = file.clock.clone();
                    drop(file);
                    file = World::over_with(&clock, place.store(&clock));
                }
            }
            Ok(())
        })?;
    }
}

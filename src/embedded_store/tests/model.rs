//! The file and the memory are the same store: whatever is asked of both, they answer alike.

use proptest::prelude::*;

use super::Place;
use crate::{
    session::testing::World,
    store::model::{Call, calls, carry_out},
};

/// Asks both the same, with a restart of the file after half of the calls, which makes no difference.
async fn answer_alike(calls: Vec<Call>) -> Result<(), TestCaseError> {
    let place = Place::new();
    let (mut file, memory) = (place.open(), World::in_memory());
    // Leases end with the process that gave them.
    let calls: Vec<_> = calls.into_iter().filter(|call| !call.is_of_a_lease()).collect();
    for (number, call) in calls.iter().enumerate() {
        let (by_file, by_memory) = (carry_out(&file, call).await, carry_out(&memory, call).await);
        prop_assert_eq!(by_file, by_memory, "call {}: {:?}", number, call);
        if number == calls.len() / 2 {
            let clock = file.clock.clone();
            drop(file);
            file = World::over_with(&clock, place.store(&clock));
            // Whoever ends and starts looks at the clock: so does the memory here, by asking for what is not there.
            carry_out(&memory, &Call::Get(u64::MAX)).await;
        }
    }
    Ok(())
}

fn in_a_runtime(calls: Vec<Call>) -> Result<(), TestCaseError> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(answer_alike(calls))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_file_and_the_memory_answer_alike(calls in calls()) {
        in_a_runtime(calls)?;
    }
}

#[test]
fn a_restart_sees_a_time_that_no_call_saw() {
    let session = Call::Insert { number: 2, person: 1, began: 0, lives: 3 };
    in_a_runtime(vec![Call::List(0), session, Call::Move(8628), Call::Move(-92), Call::Sweep]).unwrap();
}

//! Redis and the memory are the same store: whatever is asked of both, they answer alike.

use proptest::prelude::*;

use super::{STANDALONE, config, open, standalone};
use crate::{
    session::testing::World,
    store::model::{calls, carry_out},
};

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn redis_and_the_memory_answer_alike(calls in calls()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (redis, memory) = (open(&config(standalone(&STANDALONE))).await, World::in_memory());
            for (number, call) in calls.iter().enumerate() {
                let (by_redis, by_memory) = (carry_out(&redis, call).await, carry_out(&memory, call).await);
                prop_assert_eq!(by_redis, by_memory, "call {}: {:?}", number, call);
            }
            Ok(())
        })?;
    }
}

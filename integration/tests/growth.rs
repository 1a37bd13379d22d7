//! More sessions in Redis cost memory and nothing else: what `make growth` measures with a million, with fewer.

use portcullis_integration::growth::{Growth, Operation};

/// What a session with tokens of some 2.3 KB may take: its tokens twice.
const BYTES: u64 = 5000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_times_the_sessions_need_no_more_commands_and_no_scan() {
    let growth = Growth::measure(500, 10_000, 50).await.unwrap();
    assert_eq!(growth.scans(), Vec::<String>::new(), "{growth}");
    for measured in &growth.measured {
        let commands = measured.many.commands_each();
        let asks = measured.operation != Operation::CachedCheck;
        assert_eq!(!commands.is_empty(), asks, "{:?}: {commands:?}", measured.operation);
    }
    let bytes = growth.bytes_per_session[1];
    assert!((1000..BYTES).contains(&bytes), "{growth}");
}

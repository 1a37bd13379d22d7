use tokio_util::sync::CancellationToken;
use tonic::{Code, Request};

use super::*;

#[test]
fn a_call_without_a_caller_is_refused() {
    assert_eq!(Caller::of(&Request::new(())).unwrap_err().code(), Code::Unauthenticated);
}

#[test]
fn a_certificate_counts_until_others_are_in_force() {
    let superseded = CancellationToken::new();
    let mut request = Request::new(());
    request.extensions_mut().insert(Caller::certificate("spiffe://a/b".to_owned(), superseded.clone()));
    assert_eq!(Caller::of(&request).unwrap().to_string(), "spiffe://a/b");
    superseded.cancel();
    assert_eq!(Caller::of(&request).unwrap_err().code(), Code::Unauthenticated);
}

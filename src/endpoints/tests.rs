use super::front_channel;
use crate::{logout::FrontChannelError, reason::Disposition};

#[test]
fn a_front_channel_logout_that_failed_is_not_told_as_a_sign_in() {
    let told = |error| {
        let respond = front_channel::failed(error);
        (respond.reason.as_str(), respond.disposition, respond.retry_after.is_some())
    };
    assert_eq!(told(FrontChannelError::Busy), ("too_many_logouts", Disposition::TooManyRequests, true));
    assert_eq!(told(FrontChannelError::StoreUnavailable), ("store_unavailable", Disposition::Unavailable, true));
}

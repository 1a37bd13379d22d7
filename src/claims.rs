//! What a provider says of a person, and how it is read: the ID token, userinfo, and the names that claims become.

mod claim_path;
mod id_token;
mod person;
mod userinfo;

pub(crate) use id_token::{IdToken, IdTokenError, IdTokenRules, NonceRule};
pub(crate) use person::{Claims, Identified, IdentityError, Lacking, check_required};
pub(crate) use userinfo::{Userinfo, UserinfoError};

//! The commands for revocations of ServiceAccount tokens.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::{
    failure::AdministrationError,
    table::{self, moment},
};
use crate::{
    admin::{
        AcceptRevocationsRequest, ListRevocationsRequest, RemoveRevocationRequest, Revocation, RevocationTarget,
        RevokeTokensRequest, ServiceAccount, revocation_service_client::RevocationServiceClient,
        revocation_target::Target,
    },
    clock::Timestamp,
    principal::ServiceAccountName,
};

/// What a command prints: a document for programs, and text for people.
pub(super) type Printed = (Value, String);

/// Whose tokens are revoked.
#[derive(Debug, Subcommand)]
pub(super) enum Revoke {
    /// Refuse the tokens of a service account that were issued until now (or --before a time), or all of them (--deny).
    ServiceAccount {
        /// The account.
        #[arg(value_name = "NAMESPACE/NAME", value_parser = ServiceAccountName::parse)]
        account: ServiceAccountName,
        #[command(flatten)]
        which: Which,
    },
    /// Refuse the tokens of every service account of a namespace that were issued until now (or --before a time), or all
    /// of them (--deny).
    Namespace {
        /// The namespace.
        namespace: String,
        #[command(flatten)]
        which: Which,
    },
    /// Refuse every token that is bound to a pod.
    Pod {
        /// The pod's uid.
        uid: String,
    },
    /// Refuse one token.
    Token {
        /// The token's id: its `jti`, or what the API server's audit log names as its credential id.
        id: String,
    },
}

/// Which tokens.
#[derive(Args, Debug)]
pub(super) struct Which {
    /// Those that were issued before this time (RFC 3339, for example 2027-01-31T12:00:00Z), instead of until now.
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "deny")]
    before: Option<Timestamp>,
    /// All, whenever they were or will be issued, until that is lifted.
    #[arg(long)]
    deny: bool,
}

/// What is done with revocations.
#[derive(Debug, Subcommand)]
pub(super) enum RevocationsCommand {
    /// List what is revoked.
    List,
    /// Lift a revocation.
    Remove {
        #[command(subcommand)]
        target: Remove,
    },
    /// Take what is left of a list that is not whole for the whole list. Whatever is missing is revoked no more: make it
    /// again.
    Accept,
}

/// Which revocation is lifted.
#[derive(Debug, Subcommand)]
pub(super) enum Remove {
    /// That of a service account.
    ServiceAccount {
        /// The account.
        #[arg(value_name = "NAMESPACE/NAME", value_parser = ServiceAccountName::parse)]
        account: ServiceAccountName,
        #[command(flatten)]
        reopening: Reopening,
    },
    /// That of a namespace; those of its service accounts and their tokens stay.
    Namespace {
        /// The namespace.
        namespace: String,
        #[command(flatten)]
        reopening: Reopening,
    },
    /// That of a pod.
    Pod {
        /// The pod's uid.
        uid: String,
    },
    /// That of a token.
    Token {
        /// The token's id.
        id: String,
    },
}

/// For which tokens it is lifted.
#[derive(Args, Debug)]
pub(super) struct Reopening {
    /// Only for tokens that will be issued from now on: those that were issued until now stay refused.
    #[arg(long)]
    for_new_tokens_only: bool,
}

fn named(account: &ServiceAccountName) -> ServiceAccount {
    ServiceAccount { namespace: account.namespace().to_string(), name: account.name().to_owned() }
}

fn time(text: &str) -> Result<Timestamp, String> {
    let parsed =
        humantime::parse_rfc3339(text).map_err(|error| format!("{error}; write it as 2027-01-31T12:00:00Z"))?;
    let since_epoch = parsed.duration_since(std::time::UNIX_EPOCH).map_err(|_| "it is before 1970")?;
    Ok(Timestamp::from_unix_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)))
}

impl Revoke {
    /// Revokes, and says what that does not do.
    pub(super) async fn run(self, channel: Channel) -> Result<Printed, AdministrationError> {
        let answer = RevocationServiceClient::new(channel).revoke_tokens(self.request()).await?.into_inner();
        let revocation = answer.revocation.unwrap_or_default();
        let text = format!("{}\n{}", sentence(&revocation), advice(&revocation));
        Ok((document(&revocation), text))
    }

    fn request(self) -> RevokeTokensRequest {
        let (target, which) = match self {
            Self::ServiceAccount { account, which } => (Target::ServiceAccount(named(&account)), Some(which)),
            Self::Namespace { namespace, which } => (Target::Namespace(namespace), Some(which)),
            Self::Pod { uid } => (Target::PodUid(uid), None),
            Self::Token { id } => (Target::TokenId(id), None),
        };
        let target = Some(RevocationTarget { target: Some(target) });
        let Some(Which { before, deny }) = which else {
            return RevokeTokensRequest { target, before_ms: None, deny: true };
        };
        RevokeTokensRequest { target, before_ms: before.map(Timestamp::as_unix_millis), deny }
    }
}

impl RevocationsCommand {
    /// Lists, lifts or accepts.
    pub(super) async fn run(self, channel: Channel) -> Result<Printed, AdministrationError> {
        let mut client = RevocationServiceClient::new(channel);
        match self {
            Self::List => {
                let listed = client.list_revocations(ListRevocationsRequest {}).await?.into_inner().revocations;
                let documents: Vec<_> = listed.iter().map(document).collect();
                Ok((json!({ "revocations": documents }), listed_table(&listed)))
            }
            Self::Remove { target } => {
                let request = target.request();
                let name = name(request.target.as_ref());
                let left = client.remove_revocation(request).await?.into_inner().left;
                let text = left.as_ref().map_or_else(|| format!("{name}: nothing is revoked any more"), sentence);
                Ok((json!({ "left": left.as_ref().map(document) }), text))
            }
            Self::Accept => {
                let in_force = client.accept_revocations(AcceptRevocationsRequest {}).await?.into_inner().in_force;
                let text = format!("the list of revocations counts as it is: {in_force} in force");
                Ok((json!({ "in_force": in_force }), text))
            }
        }
    }
}

impl Remove {
    fn request(self) -> RemoveRevocationRequest {
        let (target, for_new_tokens_only) = match self {
            Self::ServiceAccount { account, reopening } => {
                (Target::ServiceAccount(named(&account)), reopening.for_new_tokens_only)
            }
            Self::Namespace { namespace, reopening } => (Target::Namespace(namespace), reopening.for_new_tokens_only),
            Self::Pod { uid } => (Target::PodUid(uid), false),
            Self::Token { id } => (Target::TokenId(id), false),
        };
        RemoveRevocationRequest { target: Some(RevocationTarget { target: Some(target) }), for_new_tokens_only }
    }
}

/// The target as the commands name it.
fn name(target: Option<&RevocationTarget>) -> String {
    target.map_or_else(String::new, RevocationTarget::name)
}

fn document(revocation: &Revocation) -> Value {
    json!({
        "target": name(revocation.target.as_ref()),
        "denied": revocation.denied,
        "not_before": revocation.not_before_ms.map(moment),
        "updated_at": moment(revocation.updated_at_ms),
    })
}

fn refused(revocation: &Revocation) -> String {
    match (revocation.denied, revocation.not_before_ms) {
        (true, _) => "every token".to_owned(),
        (false, Some(not_before)) => format!("issued before {}", moment(not_before)),
        (false, None) => "no token".to_owned(),
    }
}

fn listed_table(listed: &[Revocation]) -> String {
    let row = |revocation: &Revocation| {
        [name(revocation.target.as_ref()), refused(revocation), moment(revocation.updated_at_ms)]
    };
    table::render(["TOKENS OF", "REFUSED", "SINCE"], listed.iter().map(row))
}

fn sentence(revocation: &Revocation) -> String {
    let name = name(revocation.target.as_ref());
    match (revocation.denied, revocation.not_before_ms) {
        (true, _) => format!("{name}: {} refused, until `portcullis revocations remove {name}`", what(revocation)),
        (false, Some(not_before)) => {
            format!("{name}: tokens issued before {} are refused, and those of the minute after it", moment(not_before))
        }
        (false, None) => format!("{name}: nothing is revoked"),
    }
}

fn what(revocation: &Revocation) -> &'static str {
    match revocation.target.as_ref().and_then(|target| target.target.as_ref()) {
        Some(Target::TokenId(_)) => "it is",
        Some(Target::PodUid(_)) => "every token that is bound to it is",
        _ => "every token is",
    }
}

/// What else there is to do: here only copies die.
fn advice(revocation: &Revocation) -> String {
    let makers = match revocation.target.as_ref().and_then(|target| target.target.as_ref()) {
        Some(Target::PodUid(_)) => "Whoever may exec into the pod, or start another one, gets a token that passes.",
        Some(Target::TokenId(_)) => "Whoever got this token may have others, or may be able to make new ones.",
        _ if revocation.denied => "What its own pods send is refused as well.",
        _ => {
            "Whoever may create tokens or pods there (`edit` may) makes new ones that pass: take their RoleBinding \
              first, or close it with --deny."
        }
    };
    format!(
        "{makers}\nThe API server itself still accepts these tokens: delete the pod or the account to end them there."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revocation(target: Target, denied: bool, not_before_ms: Option<u64>) -> Revocation {
        let target = Some(RevocationTarget { target: Some(target) });
        Revocation { target, denied, not_before_ms, updated_at_ms: 1_800_000_000_000 }
    }

    #[test]
    fn revocations_are_told_as_the_snapshot_says() {
        let account = ServiceAccount { namespace: "ada".to_owned(), name: "default".to_owned() };
        let revocations = [
            revocation(Target::ServiceAccount(account.clone()), false, Some(1_799_999_940_000)),
            revocation(Target::ServiceAccount(account), true, None),
            revocation(Target::Namespace("ada".to_owned()), true, None),
            revocation(Target::PodUid("5d3c7a0e".to_owned()), true, None),
            revocation(Target::TokenId("b9a1c0de".to_owned()), true, None),
            revocation(Target::Namespace("bob".to_owned()), false, None),
        ];
        let each = |revocation: &Revocation| {
            format!("{}\n{}\n{:#}\n", sentence(revocation), advice(revocation), document(revocation))
        };
        let told: Vec<String> = revocations.iter().map(each).collect();
        insta::assert_snapshot!("revocations", format!("{}\n\n{}", listed_table(&revocations), told.join("\n")));
    }
}

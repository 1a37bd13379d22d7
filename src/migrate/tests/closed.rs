//! Nothing opens more than before.

use super::{oauth2_proxy, oidc_authservice, read};
use crate::authz::Access;

const PROXY: &str = "provider = \"oidc\"\noidc_issuer_url = \"https://idp.example.org\"\nclient_id = \"gate\"\n";
const SERVICE: &str = "OIDC_PROVIDER=https://idp.example.org\nCLIENT_ID=gate\n";

/// The last rule's access, groups and addresses, after a migration of these settings.
fn last_rule(configuration: &str) -> Option<(Access, usize, usize)> {
    let settings = read(configuration);
    let rule = settings.rules.rules.iter().find(|rule| rule.paths.is_empty())?;
    Some((rule.access, rule.groups.len(), rule.emails.len()))
}

fn proxy(more: &str) -> Option<(Access, usize, usize)> {
    last_rule(&oauth2_proxy(&[("x.cfg", &format!("{PROXY}{more}"))]).unwrap().configuration)
}

#[test]
fn what_restricted_people_and_cannot_be_carried_over_lets_nobody_pass() {
    const CLOSED: Option<(Access, usize, usize)> = Some((Access::Deny, 0, 0));
    for more in [
        "email_domains = [\".example.org\", \"*.example.com\"]",
        "email_domains = [\"not a domain\"]",
        "authenticated_emails_file = \"/nowhere\"",
        "google_groups = [\"a@example.org\"]",
        "allowed_roles = [\"admin\"]",
        "gitlab_projects = [\"a/b\"]",
        "allowed_groups = [\"\\u0007\"]",
    ] {
        assert_eq!(proxy(more), CLOSED, "{more}");
    }
    for more in ["EXTERNAL_AUTHZ_URL=http://judge\n", "AUTHZ_CONFIG_PATH=/etc/authz.yaml\n"] {
        let migration = oidc_authservice(&[("x.env", &format!("{SERVICE}{more}"))]).unwrap();
        assert_eq!(last_rule(&migration.configuration), CLOSED, "{more}");
        assert!(migration.report.text().contains("nobody passes the rule `signed-in`"), "{more}");
    }
}

#[test]
fn what_restricts_people_and_can_be_carried_over_still_does() {
    assert_eq!(proxy("allowed_groups = [\"ml\", \"admins\"]"), Some((Access::Authenticated, 2, 0)));
    assert_eq!(proxy("email_domains = [\"*\"]\nauthenticated_emails_file = \"/nowhere\""), None);
    let domains = format!("{PROXY}email_domains = [\"Example.org\", \".sub.example.org\"]\n");
    let settings = read(&oauth2_proxy(&[("x.cfg", &domains)]).unwrap().configuration);
    assert_eq!(settings.providers[0].claims.email_domains, ["example.org"]);
    let listed = format!("{PROXY}authenticated_emails_file = \"/etc/gate/emails.txt\"\n");
    let emails = "# ours\nAda@example.org\n\nbob@example.org\n";
    let migration = oauth2_proxy(&[("x.cfg", &listed), ("here/emails.txt", emails)]).unwrap();
    assert_eq!(last_rule(&migration.configuration), Some((Access::Authenticated, 0, 2)));
    // A rule's groups and addresses are alternatives: both were asked for.
    let both = format!("{listed}allowed_groups = [\"ml\"]\n");
    let migration = oauth2_proxy(&[("x.cfg", &both), ("here/emails.txt", emails)]).unwrap();
    assert_eq!(last_rule(&migration.configuration), Some((Access::Deny, 0, 0)));
}

#[test]
fn no_opening_opens_everything() {
    for more in [
        "skip_auth_regex = [\"\", \"^/\", \".*\", \"/\"]",
        "skip_auth_routes = [\"GET=.*\", \"POST!=^/api\", \"^/%2e\", \"^/a b\"]",
    ] {
        let migration = oauth2_proxy(&[("x.cfg", &format!("{PROXY}{more}\n"))]).unwrap();
        assert!(read(&migration.configuration).rules.rules.is_empty(), "{}", migration.configuration);
    }
    let migration = oidc_authservice(&[("x.env", &format!("{SERVICE}SKIP_AUTH_URLS=/, //,x,/a%20b\n"))]).unwrap();
    assert!(read(&migration.configuration).rules.rules.is_empty(), "{}", migration.configuration);
}

#[test]
fn a_secret_that_everybody_knows_is_refused_and_a_good_one_is_put_into_a_file() {
    for (secret, told) in [
        (
            "pUBnBOY80SnXgjibTYM9ZWNzY2xreNGQok",
            "REFUSED, and Portcullis would not start with it: the secret is a well-known",
        ),
        ("gate", "REFUSED, and Portcullis would not start with it: the secret is the client_id"),
        ("q7Vw2mTzR9pXc4LnKd81", "put the client secret, `client_secret` (x.cfg), into the file"),
    ] {
        let migration = oauth2_proxy(&[("x.cfg", &format!("{PROXY}client_secret = \"{secret}\"\n"))]).unwrap();
        let text = migration.report.text();
        assert!(text.contains(told), "{text}");
        assert!(migration.configuration.contains("\n      file: /secrets/provider/client-secret\n"));
    }
}

//! Who may pass, and what needs no sign-in.

use super::gather::Found;
use crate::{
    gatekeepers::Setting,
    migrate::{openings, work::Work},
};

pub(super) fn access(work: &mut Work, found: &Found<'_>) {
    people(work, found);
    groups(work);
    for name in ["skip_auth_regex", "skip_auth_routes"] {
        if let Some(setting) = work.settings.take(name) {
            openings::open_routes(work, &setting);
        }
    }
    openings::tell_of_dex(work);
    if let Some(setting) = work.switched_on("skip_auth_preflight") {
        work.draft.everybody.preflight = true;
        work.draft.everybody.comment.push(setting.told());
        let how = "a preflight passes without any identity";
        work.report.changed(setting.told(), "rules: signed-in: preflight", how);
    }
    if let Some(setting) = work.settings.take("trusted_ips") {
        work.report
            .dropped(setting.told(), "nobody passes by their address: it is the gateway's peer, and no identity");
        work.report.by_hand(format!("give those who came by {} tokens, or a gateway of their own", setting.told()));
    }
}

/// Whose addresses may sign in.
fn people(work: &mut Work, found: &Found<'_>) {
    let domains = work.settings.take("email_domains");
    let emails = work.settings.take("authenticated_emails_file");
    let is_for_all = |setting: &Setting| setting.items().is_some_and(|items| items.contains(&"*"));
    match (domains, emails) {
        (Some(domains), emails) if is_for_all(&domains) => {
            work.report.carried(domains.told(), "providers[0].email_domains: none, so that all may sign in");
            if let Some(emails) = emails {
                work.report.dropped(emails.told(), format!("{} let everybody in", domains.told()));
            }
        }
        (Some(domains), emails) => {
            email_domains(work, &domains);
            if let Some(emails) = emails {
                let why =
                    "domains and single addresses cannot both hold: who is of none of the domains signs in no more";
                work.report.dropped(emails.told(), why);
            }
        }
        (None, Some(emails)) => listed(work, found, &emails),
        (None, None) => {}
    }
}

fn email_domains(work: &mut Work, setting: &Setting) {
    let mut domains = Vec::new();
    for domain in setting.items().unwrap_or_default() {
        if domain.starts_with('.') || domain.starts_with("*.") {
            let told = setting.told_item(domain);
            work.report.dropped(&told, "a domain is named whole: its sub-domains sign in no more");
            work.report.by_hand(format!("name each domain of {told} in `providers[0].email_domains`"));
        } else {
            domains.push(domain.trim_start_matches('@').to_ascii_lowercase());
        }
    }
    if domains.is_empty() {
        work.close_for(&setting.told());
        return;
    }
    work.draft.provider.set("email_domains", domains, setting.told());
    work.report.carried(setting.told(), "providers[0].email_domains");
}

/// A list of addresses: as a rule, where the list is there.
fn listed(work: &mut Work, found: &Found<'_>, setting: &Setting) {
    let Some(file) = setting.text().and_then(|path| found.file(path)) else {
        work.close(setting, "the file is not among those given; give it as well, or write its addresses as `emails`");
        return;
    };
    let lines = file.text.expose().lines().map(str::trim);
    let emails: Vec<String> =
        lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect();
    if emails.is_empty() {
        work.close(setting, "the file names nobody");
        return;
    }
    let told = format!("{}: {} addresses of {}", setting.told(), emails.len(), file.place);
    work.draft.everybody.emails = emails;
    work.draft.everybody.comment.push(told.clone());
    let how = "a change of the file does not count any more; sessions of others stay, and pass nowhere";
    work.report.changed(told, "rules: signed-in: emails", how);
}

/// Whose groups may pass. A rule's groups and addresses are alternatives, and were both asked for before.
fn groups(work: &mut Work) {
    for name in ["allowed_groups", "keycloak_groups"] {
        let Some(setting) = work.settings.take(name) else { continue };
        match setting.items() {
            Some(groups) if work.draft.everybody.emails.is_empty() => {
                work.draft.everybody.groups.extend(groups.into_iter().map(str::to_owned));
                work.draft.everybody.comment.push(setting.told());
                let how = "at each request, not at the sign-in alone; a ServiceAccount passes where `service_accounts` of the \
                           rule name it";
                work.report.changed(setting.told(), "rules: signed-in: groups", how);
            }
            Some(_) => work.close(&setting, "a rule asks for a group or an address, not for both"),
            None => work.close(&setting, "its value is in none of the files"),
        }
    }
    for (name, todo) in [
        (
            "allowed_roles",
            "write `providers[0].groups_claim: realm_access.roles`, and the roles as `groups` of the rule",
        ),
        (
            "google_groups",
            "Google tells no groups at a sign-in; write `emails`, or put a provider in between that asks it",
        ),
        ("gitlab_groups", "write `providers[0].groups_claim: groups_direct`, and the groups as `groups` of the rule"),
        ("gitlab_projects", "GitLab tells no projects at a sign-in"),
        ("github_org", "GitHub speaks no OpenID Connect"),
        ("github_team", "GitHub speaks no OpenID Connect"),
        ("github_repo", "GitHub speaks no OpenID Connect"),
        ("github_users", "GitHub speaks no OpenID Connect"),
        ("bitbucket_team", "Bitbucket speaks no OpenID Connect"),
        ("bitbucket_workspace", "Bitbucket speaks no OpenID Connect"),
        ("bitbucket_repository", "Bitbucket speaks no OpenID Connect"),
    ] {
        if let Some(setting) = work.settings.take(name) {
            work.close(&setting, todo);
        }
    }
}

//! Tables against configurations, as somebody writes them.

use std::{fs, path::PathBuf};

use super::{Report, Table, TableError, run};

const CONFIGURATION: &str = r"
keys: {root: [/nowhere/root], assertion: [/nowhere/assertion]}
sessions: {store: {type: redis, redis: {urls: ['rediss://nowhere:6379'], password_file: /nowhere/password}}}
providers:
  - name: dex
    issuer: https://dex.example.com
    client_id: portcullis
    client_secret: {file: /nowhere/secret}
    ca_file: /nowhere/ca.pem
    email_domains: [example.com]
    strict: {every: 1m, ask: userinfo}
  - name: company
    issuer: https://idp.example.com
    client_id: portcullis
    userid_case: keep
    email_domains: [company.example]
    groups_claim: realm_access.roles
origins:
  - {url: 'https://kf.example.com', provider: dex}
  - {url: 'https://second.example.com:8443', provider: company}
hosts: ['*.models.example.com']
service_accounts:
  {audiences: [portcullis, portcullis.too], issuers: ['https://kubernetes.default.svc'], kubeconfig: /nowhere/kubeconfig}
assertion: {issuer: 'https://portcullis.example.com', audience: kubeflow}
rules:
  - {name: assets, paths: [{prefix: /assets}], access: public}
  - {name: optional, paths: [{prefix: /optional}], access: optional}
  - {name: closed, paths: [{prefix: /closed}], access: deny}
  - {name: admin, paths: [{prefix: /admin}], groups: [admins], emails: [boss@example.com]}
  - {name: robots, paths: [{prefix: /robots}], service_accounts: [team-a/*], keep_bearer: true}
  - name: pipelines
    paths: [{prefix: /pipeline}]
    further_audience: {audience: pipelines.kubeflow.org, until: 2027-01-31}
  - {name: soon, mode: shadow, paths: [{prefix: /soon}], groups: [admins]}
";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(configuration: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::write(folder.0.path().join("portcullis.yaml"), configuration).unwrap();
        folder
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("rules.test.yaml")
    }

    fn read(&self, table: &str) -> Result<Table, TableError> {
        fs::write(self.path(), table).unwrap();
        Table::read(&self.path())
    }

    fn run(&self, table: &str) -> Report {
        run(&self.read(table).unwrap_or_else(|error| panic!("{error}"))).unwrap()
    }
}

/// A table of cases, each a line.
fn table(cases: &str) -> String {
    let cases: Vec<String> = cases
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .enumerate()
        .map(|(index, case)| format!("  - {{name: case {index}, {case}}}\n"))
        .collect();
    format!("config: portcullis.yaml\nnow: 2027-01-15T12:00:00Z\ncases:\n{}", cases.concat())
}

/// What is otherwise in each case.
fn mismatches(report: &Report) -> Vec<String> {
    let told = report.cases.iter().map(|case| {
        let each = case.mismatches.iter();
        let each: Vec<String> =
            each.map(|found| format!("{}: {} and not {}", found.what, found.found, found.expected)).collect();
        each.join(", ")
    });
    told.collect()
}

/// The faults of the rules that have one.
fn faults(report: &Report) -> Vec<(&str, &str)> {
    report.rules.iter().filter_map(|rule| Some((rule.name.as_str(), rule.fault.as_deref()?))).collect()
}

fn errors(table: &str) -> Vec<String> {
    match Folder::new(CONFIGURATION).read(table) {
        Err(TableError::Fields { errors, .. }) => errors.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

const EVERY_RULE: &str = "
    request: {url: 'https://kf.example.com/assets/a.js'}, expect: {decision: allowed, rule: assets, reason: public, removed: [kubeflow-userid]}
    request: {url: 'https://kf.example.com/assets/a%20b.js'}, expect: {decision: refused, status: 401, rule: default}
    request: {url: 'https://kf.example.com/optional'}, expect: {decision: allowed, rule: optional, reason: anonymous}
    request: {url: 'https://kf.example.com/closed', navigation: true}, who: {user: a@example.com}, expect: {decision: refused, status: 403, rule: closed, reason: denied_by_rule}
    request: {url: 'https://kf.example.com/admin'}, who: {user: a@example.com, groups: [dev]}, expect: {decision: refused, status: 403, rule: admin, reason: not_permitted}
    request: {url: 'https://kf.example.com/admin'}, who: {user: a@example.com, groups: [dev, admins]}, expect: {decision: allowed, rule: admin, headers: {kubeflow-groups: 'dev,admins'}}
    request: {url: 'https://kf.example.com/admin'}, who: {user: boss@example.com}, expect: {decision: allowed, rule: admin}
    request: {url: 'https://kf.example.com/robots'}, who: {service_account: team-a/robot, audience: portcullis.too}, expect: {decision: allowed, rule: robots, kept: [authorization]}
    request: {url: 'https://kf.example.com/robots'}, who: {service_account: team-b/robot}, expect: {decision: refused, rule: robots, reason: not_permitted}
    request: {url: 'https://kf.example.com/pipeline'}, who: {service_account: team-b/robot, audience: pipelines.kubeflow.org}, expect: {decision: allowed, rule: pipelines, reason: further_audience, removed: [authorization]}
    request: {url: 'https://kf.example.com/soon'}, who: {user: a@example.com}, expect: {decision: allowed, rule: default}
    request: {url: 'https://kf.example.com/soon'}, who: {user: a@example.com}, with_shadow: true, expect: {decision: refused, rule: soon}
    request: {url: 'https://second.example.com:8443/x'}, who: {user: Ada@company.example, groups: [dev]}, expect: {decision: allowed, headers: {kubeflow-userid: Ada@company.example, kubeflow-groups: dev, portcullis-assertion: '*'}}
    request: {url: 'https://a.models.example.com/x', navigation: true}, expect: {decision: refused, status: 401, reason: not_signed_in}
    request: {url: 'https://kf.example.com/portcullis/whoami'}, who: {user: a@example.com}, expect: {decision: answered, status: 200}
    request: {url: 'https://kf.example.com/x', navigation: true}, expect: {decision: sign_in, status: 302, reason: login_started}
    request: {method: POST, url: 'https://kf.example.com/x'}, who: {user: a@example.com}, expect: {decision: allowed, reason: session}
    request: {method: POST, url: 'https://kf.example.com/x', headers: {sec-fetch-site: cross-site}}, who: {user: a@example.com}, expect: {decision: refused, reason: cross_origin}
    request: {method: get, url: 'https://kf.example.com/x'}, expect: {decision: refused, status: 400, reason: malformed_request}
    request: {url: 'https://kf.example.com/x/../admin'}, expect: {decision: refused, status: 400, reason: ambiguous_path}
    request: {url: 'https://kf.example.com/x', headers: {cookie: 'a=b', authorization: 'Bearer opaque'}}, who: {user: a@example.com}, expect: {decision: allowed, headers: {cookie: 'a=b'}, kept: [authorization]}
";

#[test]
fn a_table_is_run_through_the_whole_product() {
    let report = Folder::new(CONFIGURATION).run(&table(EVERY_RULE));
    assert_eq!(mismatches(&report), vec![String::new(); report.cases.len()]);
    assert_eq!(faults(&report), []);
    assert!(report.is_good());
    let reached: Vec<usize> = report.rules.iter().map(|rule| rule.reached_by).collect();
    assert_eq!(reached, [1, 1, 1, 3, 2, 1, 1]);
}

#[test]
fn a_case_fails_on_each_part_that_is_otherwise() {
    let report = Folder::new(CONFIGURATION).run(&table(
        "
        request: {url: 'https://kf.example.com/admin'}, who: {user: a@example.com, groups: [/admins]}, expect: {decision: allowed, rule: default, reason: session, headers: {kubeflow-userid: x}}
        request: {url: 'https://kf.example.com/admin'}, expect: {decision: refused, status: 403}
        request: {url: 'https://kf.example.com/x', headers: {authorization: 'Basic eA=='}}, who: {user: a@example.com}, expect: {decision: allowed, headers: {kubeflow-userid: b@example.com, x-user: '*'}, removed: [authorization, auth-method], kept: [cookie]}
        ",
    ));
    assert_eq!(
        mismatches(&report),
        [
            "decision: refused and not allowed, rule: admin and not default, reason: not_permitted and not session",
            "status: 401 and not 403",
            "header kubeflow-userid: a@example.com and not b@example.com, header x-user: kept and not any value, \
             header authorization: kept and not removed, header auth-method: set and not removed, \
             header cookie: removed and not kept",
        ]
    );
    let hint = "the rule wants `admins`, the caller is in `/admins`: they differ by a `/` at the beginning";
    assert_eq!(report.cases[0].found.hints, [hint]);
}

#[test]
fn a_rule_that_no_case_reaches_fails_unless_that_is_said_and_so() {
    let one = "request: {url: 'https://kf.example.com/admin'}, expect: {decision: refused}";
    let said = "unreached_on_purpose: [assets, admin, optional, closed, robots]\n";
    let report = Folder::new(CONFIGURATION).run(&format!("{said}{}", table(one)));
    assert_eq!(
        faults(&report),
        [
            ("admin", "`unreached_on_purpose` names it, and a case reaches it"),
            ("pipelines", "no case reaches it"),
            ("soon", "no case reaches it; it is in shadow, which cases with `with_shadow: true` reach"),
        ]
    );
    assert!(!report.is_good() && report.failed_cases() == 0);
}

#[test]
fn a_rule_that_can_never_match_fails_whatever_is_said() {
    let behind =
        format!("{CONFIGURATION}  - {{name: late, methods: [GET], paths: [{{prefix: /admin/x}}], access: deny}}\n");
    let report = Folder::new(&behind).run(&format!("unreached_on_purpose: [late]\n{}", table(EVERY_RULE)));
    assert_eq!(faults(&report), [("late", "it can never match: `admin` comes first for all that it holds for")]);
}

#[test]
fn no_case_leaves_anything_to_the_next() {
    let who = "who: {user: a@example.com}";
    let report = Folder::new(CONFIGURATION).run(&table(&format!(
        "
        request: {{method: POST, url: 'https://kf.example.com/portcullis/logout'}}, {who}, expect: {{decision: answered, reason: signed_out}}
        request: {{url: 'https://kf.example.com/x'}}, {who}, expect: {{decision: allowed, reason: session}}
        request: {{url: 'https://kf.example.com/pipeline'}}, who: {{service_account: a/b, audience: other}}, expect: {{decision: refused, reason: token_audience}}
        request: {{url: 'https://kf.example.com/pipeline'}}, who: {{service_account: a/b}}, expect: {{decision: allowed, reason: service_account}}
        "
    )));
    assert_eq!(mismatches(&report), [""; 4]);
}

#[test]
fn the_time_of_a_table_is_the_time_of_its_cases() {
    let case = "request: {url: 'https://kf.example.com/pipeline'}, who: {service_account: a/b, audience: pipelines.kubeflow.org}, expect: {decision: allowed}";
    for (day, passes) in [("2027-01-31", true), ("2027-02-01", false)] {
        let report = Folder::new(CONFIGURATION).run(&table(case).replace("2027-01-15", day));
        assert_eq!(report.failed_cases() == 0, passes, "{day}");
    }
}

#[test]
fn a_login_is_as_old_and_of_the_kind_that_a_case_says() {
    let asking = format!(
        "{CONFIGURATION}  - {{name: recent, paths: [{{prefix: /recent}}], login: {{max_age: 15m}}}}
  - {{name: strong, paths: [{{prefix: /strong}}], login: {{acr: [gold], amr: [hwk, otp]}}}}
"
    );
    let report = Folder::new(&asking).run(&table(
        "
        request: {url: 'https://kf.example.com/recent'}, who: {user: a@example.com}, expect: {decision: allowed, rule: recent}
        request: {url: 'https://kf.example.com/recent'}, who: {user: a@example.com, signed_in: 15m}, expect: {decision: allowed, rule: recent}
        request: {url: 'https://kf.example.com/recent'}, who: {user: a@example.com, signed_in: 20m}, expect: {decision: refused, status: 401, rule: recent, reason: insufficient_user_authentication}
        request: {url: 'https://kf.example.com/recent', navigation: true}, who: {user: a@example.com, signed_in: 1h 5m}, expect: {decision: sign_in, status: 302, rule: recent, reason: login_started}
        request: {url: 'https://kf.example.com/recent'}, who: {service_account: a/b}, expect: {decision: refused, status: 401, rule: recent, reason: insufficient_user_authentication}
        request: {url: 'https://kf.example.com/strong'}, who: {user: a@example.com, acr: gold, amr: [pwd, otp], signed_in: 7h}, expect: {decision: allowed, rule: strong}
        request: {url: 'https://kf.example.com/strong'}, who: {user: a@example.com, acr: silver, amr: [otp]}, expect: {decision: refused, rule: strong, reason: insufficient_user_authentication}
        request: {url: 'https://kf.example.com/strong'}, who: {user: a@example.com, acr: gold}, expect: {decision: refused, rule: strong, reason: insufficient_user_authentication}
        ",
    ));
    assert_eq!(mismatches(&report), vec![String::new(); report.cases.len()]);
}

#[test]
fn somebody_who_could_not_be_there_is_an_error_of_the_table() {
    let person = |host: &str, who: &str| {
        let case = format!("request: {{url: 'https://{host}/'}}, who: {{{who}}}, expect: {{decision: allowed}}");
        let found = errors(&table(&case));
        assert_eq!(found.len(), 1, "{who}: {found:?}");
        found[0].clone()
    };
    for (host, who, told) in [
        ("kf.example.com", "user: Ada@example.com", "cases[0].who.user: services know this person by another spelling"),
        ("kf.example.com", "user: ada", "cases[0].who.user: the provider `dex` signs in nobody of this name"),
        ("kf.example.com", "user: a@example.com, groups: ['system:a']", "cases[0].who.groups[0]: no provider can tell"),
        ("a.models.example.com", "user: a@b.c", "cases[0].who.user: nobody is signed in at this host"),
        ("second.example.com", "user: a@example.com", "cases[0].who.user: the provider `company` signs in nobody"),
        ("kf.example.com", "service_account: ada", "cases[0].who.service_account: a service account is written"),
        ("kf.example.com", "service_account: a/b, groups: [x]", "cases[0].who: `email` and `groups` are a person's"),
        ("kf.example.com", "service_account: a/b, signed_in: 5m", "cases[0].who: `signed_in`, `acr` and `amr` are a"),
        ("kf.example.com", "user: a@example.com, signed_in: noon", "cases[0].who.signed_in: it is no duration"),
        ("kf.example.com", "user: a@example.com, acr: ''", "cases[0].who.acr: no session keeps this"),
        ("kf.example.com", "user: a@example.com, amr: [otp, '']", "cases[0].who.amr: no session keeps this"),
        ("kf.example.com", "user: a@example.com, audience: x", "cases[0].who.audience: sessions have no audience"),
        ("kf.example.com", "user: a@b.c, service_account: a/b", "cases[0].who: it names nobody, or two"),
        ("kf.example.com", "", "cases[0].who: it names nobody, or two"),
    ] {
        let found = person(host, who);
        assert!(found.starts_with(told), "{who}: {found}");
    }
}

#[test]
fn a_person_s_names_are_those_that_the_provider_s_claims_make() {
    let prefixed = CONFIGURATION
        .replace("email_domains: [example.com]", "userid_claim: preferred_username\n    userid_prefix: 'dex:'")
        .replace("email_domains: [company.example]", "userid_prefix: 'company:'");
    let case = |who: &str| {
        let request = "request: {url: 'https://kf.example.com/admin'}";
        let expect = "expect: {decision: allowed, headers: {kubeflow-userid: 'dex:ada'}}";
        table(&format!("{request}, who: {{{who}}}, {expect}"))
    };
    let folder = Folder::new(&prefixed);
    assert_eq!(mismatches(&folder.run(&case("user: 'dex:ada', groups: [admins]"))), [""]);
    assert_eq!(mismatches(&folder.run(&case("user: 'dex:ada', email: boss@example.com"))), [""]);
    for (who, told) in [
        ("user: ada", "user ids of the provider `dex` begin with `dex:`"),
        (
            "user: 'dex:a@example.com'",
            "the provider `dex` signs in nobody of this name: the claim `preferred_username`",
        ),
    ] {
        let refused = folder.read(&case(who)).unwrap_err().to_string();
        assert!(refused.contains(told), "{refused}");
    }
}

#[test]
fn what_a_table_could_not_mean_is_told_with_its_field() {
    let found = errors(
        "config: portcullis.yaml
now: noon
unreached_on_purpose: [nothing]
cases:
  - name: ''
    request: {url: 'kf.example.com/', headers: {'a b': x}}
    expect: {decision: allowed, status: 200, rule: nothing, reason: none}
  - name: two
    request: {url: 'https://kf.example.com/#a', headers: {X: '1', x: '2'}}
    expect: {decision: refused, headers: {a: b}, removed: ['']}
  - name: two
    request: {url: 'https://kf.example.com/'}
    expect: {decision: allowed, kept: [x-other]}
",
    );
    insta::assert_snapshot!(found.join("\n"));
}

#[test]
fn a_table_is_read_as_strictly_as_a_configuration() {
    let mistaken = |right: &str, wrong: &str| {
        let case = "request: {url: 'https://kf.example.com/'}, who: {user: a@example.com}, \
                    reviews: [{verb: get, answer: allowed}], expect: {decision: allowed}";
        let table = table(case);
        assert!(table.contains(right), "{right}");
        errors(&table.replace(right, wrong)).join("\n")
    };
    let told = [
        mistaken("request: {", "request: {methods: GET, "),
        mistaken("{user: a@example.com}", "nobody"),
        mistaken("answer: allowed", "allowed: true"),
        mistaken("answer: allowed", "answer: perhaps"),
        mistaken("decision: allowed", "decision: perhaps"),
        mistaken("now:", "today:"),
        mistaken("name: case 0, ", ""),
    ];
    insta::assert_snapshot!(told.join("\n"));
    let folder = Folder::new(CONFIGURATION);
    assert!(matches!(folder.read("cases: ["), Err(TableError::Syntax { .. })));
    assert!(matches!(folder.read("config: other.yaml\ncases: []\n"), Err(TableError::Config { .. })));
    let told = Folder::new("colour: red").read("config: portcullis.yaml\ncases: []\n").unwrap_err().to_string();
    assert!(
        told.contains("portcullis.yaml: the configuration has") && told.contains("colour: there is no such"),
        "{told}"
    );
    assert!(matches!(Table::read(&folder.0.path().join("missing")), Err(TableError::Unreadable { .. })));
}

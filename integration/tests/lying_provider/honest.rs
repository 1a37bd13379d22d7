//! Answers that look odd to a strict reader and are honest, each beside the attack that is still refused.

use portcullis_integration::faults::{Fault, edit};
use portcullis_integration::provider::Faults;
use serde_json::{Value, json};

use super::ground::{Lie, claim, everybody_is_signed_in_by, lie, nobody_is_signed_in_by};

/// A claim of the ID token.
fn says(name: &'static str, value: Value) -> Lie {
    lie(format!("{name} is {value:.60}"), move |faults| faults.edit_claims = claim(name, value.clone()))
}

/// Several claims of the ID token.
fn claims(what: &'static str, values: Value) -> Lie {
    lie(what, move |faults: &mut Faults| {
        let values = values.clone();
        faults.edit_claims = edit(move |claims| {
            for (name, value) in values.as_object().expect("claims are an object") {
                claims[name] = value.clone();
            }
        });
    })
}

/// A member of the discovery document.
fn documents(name: &'static str, value: Value) -> Lie {
    lie(format!("the document's {name} is {value}"), move |faults| faults.edit_discovery = claim(name, value.clone()))
}

/// A member of the token endpoint's answer.
fn answers(name: &'static str, value: Value) -> Lie {
    lie(format!("the answer's {name} is {value}"), move |faults| faults.edit_token = claim(name, value.clone()))
}

/// The ID token lacks the groups, and userinfo answers so.
fn without_groups(what: &'static str, userinfo: Fault) -> Lie {
    lie(what, move |faults| {
        faults.edit_claims = claim("groups", json!(null));
        faults.userinfo = userinfo.clone();
    })
    .calls(1, 1)
}

/// Everybody's address is another claim, of one tenant.
fn of_one_tenant(lie: Lie) -> Lie {
    lie.setting("email_claim", json!("preferred_username"))
        .setting("trust_unverified_email", json!(true))
        .setting("email_domains", json!(["example.com"]))
        .set_up(|settings| {
            for user in &mut settings.users {
                user.claims.insert("preferred_username".to_owned(), format!("{}@example.com", user.login).into());
            }
        })
}

/// Everybody's account is a company's, and has to be.
fn of_a_company(lie: Lie) -> Lie {
    lie.setting("required_claims", json!({ "hd": ["corp.example"] })).set_up(|settings| {
        for user in &mut settings.users {
            user.claims.insert("hd".to_owned(), json!("corp.example"));
        }
    })
}

#[tokio::test]
async fn what_decides_nothing_signs_the_same_person_in() {
    let audiences = json!({ "aud": ["portcullis", "another-client", "api"], "azp": "portcullis" });
    let many: Vec<String> = (0..1_500).map(|number| format!("a-group-with-a-long-name-{number}")).collect();
    let rows = vec![
        // Zitadel names every client of a project.
        claims("three audiences, and azp is us", audiences),
        says("groups", json!(many)),
        says("groups", json!(["cn=ml-admins,ou=groups,o=corp", "cn=everyone,o=corp"])),
        says("filler", json!("x".repeat(20 << 10))),
        claims(
            "claims that nobody reads, of every type",
            json!({
                "jti": 7, "auth_time": "yesterday", "updated_at": {}, "acr": 1, "amr": "pwd", "name": [], "picture": 7,
                "locale": null, "address": "street", "sid": 9, "phone_number": true, "preferred_username": 5,
            }),
        ),
        answers("expires_in", json!("soon")),
        answers("scope", json!(["openid"])),
        answers("refresh_token", json!(7)),
        answers("refresh_expires_in", json!(null)),
        answers("token_type", json!("bearer")),
        documents("scopes_supported", json!("openid")),
        documents("response_types_supported", json!(null)),
        documents("subject_types_supported", json!(7)),
        documents("grant_types_supported", json!({})),
        documents("claims_supported", json!([7, null])),
        documents("code_challenge_methods_supported", json!("S256")),
        documents("token_endpoint_auth_methods_supported", json!(null)),
        documents("end_session_endpoint", json!([])),
        without_groups("userinfo 401", Fault::Status(401)),
        without_groups("userinfo 403", Fault::Status(403)),
        without_groups("userinfo 404", Fault::Status(404)),
        without_groups("userinfo says sub alone", Fault::Body(json!({ "sub": "subject-of-alice" }).to_string())),
        without_groups("userinfo is never asked", Fault::Hang).setting("userinfo", json!("never")).calls(1, 0),
        claims("groups that are kept elsewhere", json!({ "groups": null, "_claim_names": { "groups": "src1" } }))
            .calls(1, 1)
            .set_up(|settings| settings.users.iter_mut().for_each(|user| user.groups = None)),
        of_one_tenant(claims(
            "the address is another claim",
            json!({ "email": null, "email_verified": null, "preferred_username": "alice@example.com" }),
        )),
        of_a_company(lie("a company's account", |_| ())),
    ];
    everybody_is_signed_in_by(rows).await;
}

#[tokio::test]
async fn beside_each_of_them_the_attack_is_refused() {
    let invalid = |lie: Lie| lie.refused("id_token_invalid");
    let nobody = |lie: Lie| lie.refused("identity_unusable");
    let others = json!(["portcullis", "another-client"]);
    let rows = vec![
        invalid(claims("two audiences, and no azp", json!({ "aud": others }))),
        invalid(claims("two audiences, and azp is another", json!({ "aud": others, "azp": "another-client" }))),
        invalid(claims(
            "azp is us, whom the audience lacks",
            json!({ "aud": ["another-client"], "azp": "portcullis" }),
        )),
        nobody(of_one_tenant(says("preferred_username", json!("alice@evil.test")))),
        nobody(of_a_company(says("hd", json!("evil.test")))),
        nobody(of_a_company(says("hd", json!(null)))),
        // Who the person is may not be guessed where userinfo refuses to tell.
        lie("userinfo 403, and the address is missing", |faults| {
            faults.edit_claims = claim("email", json!(null));
            faults.userinfo = Fault::Status(403);
        })
        .calls(1, 1)
        .unavailable("provider_answer_invalid"),
        nobody(says("email", json!(null)).setting("userinfo", json!("never"))),
    ];
    nobody_is_signed_in_by(rows).await;
}

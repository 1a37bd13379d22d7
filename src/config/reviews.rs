//! What rules ask Kubernetes: templates, names and conditions, and no question that nobody could answer.

use std::{collections::BTreeSet, time::Duration};

use super::written::{each, optional};
use crate::{
    authz::{Capture, Condition, Naming, Review, Reviews, Separator, Template, Value},
    config_file::{FieldError, FieldPath, forms},
    config_values::{
        Context,
        context::{MINUTE, SECOND},
    },
    kubernetes::AccessConfig,
};

/// How the API server is asked.
pub(super) fn access_reviews(
    context: &mut Context<'_>,
    at: &FieldPath,
    written: &forms::AccessReviews,
    tokens: Option<&forms::ServiceAccounts>,
) -> Option<AccessConfig> {
    let own = written.kubeconfig.as_ref();
    let read = own.is_none_or(|path| context.file(&at.key("kubeconfig"), path).is_some());
    let kubeconfig = own.or_else(|| tokens?.kubeconfig.as_ref());
    let cache_ttl = context.duration(&at.key("cache_ttl"), &written.cache_ttl, Duration::ZERO..=5 * MINUTE);
    let denied = context.duration(&at.key("denied_cache_ttl"), &written.denied_cache_ttl, Duration::ZERO..=10 * SECOND);
    let timeout = context.duration(&at.key("timeout"), &written.timeout, Duration::from_millis(100)..=MINUTE);
    if written.max_concurrent_reviews == 0 {
        context.report(
            FieldError::new(&at.key("max_concurrent_reviews"), "with none, nobody could pass such a rule")
                .found("0")
                .write("write a number from 1 to 65535"),
        );
    }
    read.then_some(())?;
    Some(AccessConfig {
        kubeconfig: kubeconfig.cloned(),
        groups_of_people: written.groups,
        cache_ttl: cache_ttl?,
        denied_cache_ttl: denied?,
        max_concurrent_reviews: usize::from(written.max_concurrent_reviews),
        timeout: timeout?,
    })
}

/// What a rule asks.
pub(super) fn resolve(
    context: &mut Context<'_>,
    at: &FieldPath,
    written: &forms::Rule,
    is_described: bool,
) -> Option<Reviews> {
    let before = context.errors();
    refuse_idle(context, at, written, is_described);
    let captures = each(context, &at.key("captures"), &written.captures, capture);
    let questions = each(context, &at.key("reviews"), &written.reviews, review);
    let reviews = Reviews { captures: captures?, questions: questions? };
    if context.errors() == before {
        refuse_unnamed(context, at, &reviews);
    }
    (context.errors() == before).then_some(reviews)
}

fn refuse_idle(context: &mut Context<'_>, at: &FieldPath, written: &forms::Rule, is_described: bool) {
    if !written.reviews.is_empty() && written.access != forms::Access::Authenticated {
        context.report(
            FieldError::new(&at.key("reviews"), "it is asked on `access: authenticated` only")
                .write("write `access: authenticated`, or remove them"),
        );
    }
    if !written.reviews.is_empty() && written.access == forms::Access::Authenticated && !is_described {
        context.report(
            FieldError::new(&at.key("reviews"), "nobody is asked what somebody may do")
                .write("write `access_reviews: {}` at the top of the file, or remove them"),
        );
    }
    if !written.captures.is_empty() && written.reviews.is_empty() {
        context.report(
            FieldError::new(&at.key("captures"), "nothing is asked about what they name")
                .write("write `reviews`, or remove them"),
        );
    }
}

/// Whose tokens a request that passes revokes.
#[expect(clippy::option_option, reason = "nothing can be told, or there is nothing")]
pub(super) fn revokes(context: &mut Context<'_>, at: &FieldPath, written: &forms::Rule) -> Option<Option<Naming>> {
    let at = at.key("revoke_service_accounts_of");
    let text = written.revoke_service_accounts_of.as_deref();
    let naming = optional(text, |text| naming(context, &at, text))?;
    if let Some(naming) = &naming {
        let is_asked = |variable: &str| {
            written.reviews.iter().any(|review| {
                let asked = review.namespace.as_deref().and_then(|text| Naming::parse(text).ok());
                !review.optional && asked.is_some_and(|asked| asked.variables().any(|name| name == variable))
            })
        };
        if written.methods.is_empty() || naming.variables().next().is_none() || !naming.variables().all(is_asked) {
            context.report(
                FieldError::new(
                    &at,
                    "whoever passes would revoke the tokens of a namespace that nothing is asked about",
                )
                .found(&naming.to_string())
                .write("write the `methods` that remove somebody, and a variable that a review asks about"),
            );
        }
    }
    Some(naming)
}

/// Every variable of a question has a place that names it, and every place names something that is asked about.
fn refuse_unnamed(context: &mut Context<'_>, at: &FieldPath, reviews: &Reviews) {
    let named: BTreeSet<&str> = reviews.captures.iter().flat_map(Capture::variables).collect();
    let mut asked = BTreeSet::new();
    for (index, review) in reviews.questions.iter().enumerate() {
        for (field, naming) in [("namespace", &review.namespace), ("name", &review.name)] {
            for variable in naming.iter().flat_map(Naming::variables) {
                asked.insert(variable);
                if !named.contains(variable) {
                    context.report(
                        FieldError::new(&at.key("reviews").index(index).key(field), "no capture names this variable")
                            .found(variable)
                            .write(
                                "write a capture of it, such as `captures: [{path: [\"/notebook/{namespace}/**\"]}]`",
                            ),
                    );
                }
            }
        }
    }
    for (index, capture) in reviews.captures.iter().enumerate() {
        if capture.variables().next().is_some() && !capture.variables().any(|name| asked.contains(name)) {
            context.report(
                FieldError::new(&at.key("captures").index(index), "no review asks about what it names")
                    .write("write a review that uses its variables, or remove it"),
            );
        }
    }
}

fn capture(context: &mut Context<'_>, at: &FieldPath, written: &forms::Capture) -> Option<Capture> {
    let forms::Capture { path, host, query, header, variable, key } = written;
    let of_value = variable.is_some() || !key.is_empty();
    match (path.is_empty(), host.is_empty(), query, header) {
        (false, true, None, None) if !of_value => {
            Some(Capture::Path(templates(context, &at.key("path"), path, Separator::Path)?))
        }
        (true, false, None, None) if !of_value => {
            Some(Capture::Host(templates(context, &at.key("host"), host, Separator::Host)?))
        }
        (true, true, Some(parameter), None) => {
            let parameter = token(context, &at.key("query"), parameter)?;
            let value = value(context, at, &parameter, written)?;
            Some(Capture::Query { parameter, value })
        }
        (true, true, None, Some(name)) => {
            let name = header_name(context, &at.key("header"), name)?;
            let value = value(context, at, &name, written)?;
            Some(Capture::Header { name, value })
        }
        _ => context.refuse(
            FieldError::new(at, "it is one of `path`, `host`, `query` and `header`; `as` and `key` are the last two's")
                .write("write such as `{path: [\"/notebook/{namespace}/**\"]}` or `{query: namespace}`"),
        ),
    }
}

fn value(context: &mut Context<'_>, at: &FieldPath, own_name: &str, written: &forms::Capture) -> Option<Value> {
    if !written.key.is_empty() && written.variable.is_some() {
        return context.refuse(
            FieldError::new(&at.key("as"), "the templates of `key` name the variables").write("write one of the two"),
        );
    }
    if !written.key.is_empty() {
        return Some(Value::Key(templates(context, &at.key("key"), &written.key, Separator::Key)?));
    }
    let (at, name) = match &written.variable {
        Some(name) => (at.key("as"), name.as_str()),
        None => (at.clone(), own_name),
    };
    // A variable is what a template can have as one.
    if Naming::parse(&format!("{{{name}}}")).is_ok() {
        return Some(Value::Of(name.to_owned()));
    }
    context.refuse(
        FieldError::new(&at, "it is no name of a variable")
            .found(name)
            .write("write `as` with a name of `a-z`, `0-9` and `_`, such as `as: namespace`"),
    )
}

fn templates(
    context: &mut Context<'_>,
    at: &FieldPath,
    written: &[String],
    separator: Separator,
) -> Option<Vec<Template>> {
    each(context, at, written, |context, at, text: &String| template(context, at, text, separator))
}

/// A template, or why it is none.
pub(super) fn template(
    context: &mut Context<'_>,
    at: &FieldPath,
    text: &str,
    separator: Separator,
) -> Option<Template> {
    match Template::parse(text, separator) {
        Ok(template) => Some(template),
        Err(error) => {
            let example = match separator {
                Separator::Path => "write a template such as `/notebook/{namespace}/{name}/**`",
                Separator::Key => "write a template such as `private/{namespace}/**`",
                Separator::Host => "write a template such as `{name}.{namespace}.models.example.com`",
            };
            context.refuse(FieldError::new(at, error.to_string()).found(text).write(example))
        }
    }
}

fn review(context: &mut Context<'_>, at: &FieldPath, written: &forms::Review) -> Option<Review> {
    let before = context.errors();
    let is_word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'*');
    if let Some(verb) = written.verb.as_ref().filter(|verb| !is_word(verb)) {
        context.report(
            FieldError::new(&at.key("verb"), "it is no verb")
                .found(verb)
                .write("write one such as `get`, `list`, `create`, `update`, `patch` or `delete`"),
        );
    }
    let is_plain = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
    };
    for (field, text, may_be_empty) in [
        ("group", &written.group, true),
        ("resource", &written.resource, false),
        ("subresource", &written.subresource, true),
    ] {
        if !is_plain(text) || (text.is_empty() && !may_be_empty) || (field == "resource" && text.contains('.')) {
            context.report(
                FieldError::new(&at.key(field), "it is no name of Kubernetes' API")
                    .found(text)
                    .write("write such as `group: kubeflow.org`, `resource: notebooks`, `subresource: status`"),
            );
        }
    }
    let namespace = optional(written.namespace.as_deref(), |text| naming(context, &at.key("namespace"), text));
    let name = optional(written.name.as_deref(), |text| naming(context, &at.key("name"), text));
    let only_where = conditions(context, &at.key("only_where"), &written.only_where);
    let review = Review {
        verb: written.verb.clone(),
        group: written.group.clone(),
        resource: written.resource.clone(),
        subresource: written.subresource.clone(),
        namespace: namespace?,
        name: name?,
        only_where: only_where?,
        optional: written.optional,
        role: written.role.clone(),
    };
    (context.errors() == before).then_some(review)
}

fn naming(context: &mut Context<'_>, at: &FieldPath, text: &str) -> Option<Naming> {
    match Naming::parse(text) {
        Ok(naming) => Some(naming),
        Err(error) => context.refuse(
            FieldError::new(at, error.to_string())
                .found(text)
                .write("write such as `\"{namespace}\"` or `\"{name}-0\"`"),
        ),
    }
}

/// What a request must have.
pub(super) fn conditions(
    context: &mut Context<'_>,
    at: &FieldPath,
    written: &[forms::Condition],
) -> Option<Vec<Condition>> {
    each(context, at, written, condition)
}

fn condition(context: &mut Context<'_>, at: &FieldPath, written: &forms::Condition) -> Option<Condition> {
    match (&written.query, &written.header, &written.contains) {
        (Some(parameter), None, None) => Some(Condition::Query(token(context, &at.key("query"), parameter)?)),
        (None, Some(name), Some(text)) if !text.is_empty() => {
            let name = header_name(context, &at.key("header"), name)?;
            Some(Condition::Header { name, contains: text.to_lowercase() })
        }
        _ => context.refuse(
            FieldError::new(at, "it is `query` alone, or `header` with `contains`")
                .write("write `{query: name}` or `{header: referer, contains: /_proxy/}`"),
        ),
    }
}

fn header_name(context: &mut Context<'_>, at: &FieldPath, text: &str) -> Option<String> {
    match http::HeaderName::from_bytes(text.as_bytes()) {
        Ok(name) => Some(name.as_str().to_owned()),
        Err(_) => context.refuse(FieldError::new(at, "it is no name of a header").found(text).write("write one")),
    }
}

fn token(context: &mut Context<'_>, at: &FieldPath, text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if !text.is_empty() && text.bytes().all(plain) {
        return Some(text.to_owned());
    }
    context.refuse(
        FieldError::new(at, "it is no plain name of a parameter").found(text).write("write one of `A-Z a-z 0-9 _ - .`"),
    )
}

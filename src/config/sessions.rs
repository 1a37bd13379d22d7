//! Sessions, and the store that they are kept in.

use super::redis;
use crate::{
    config_file::{FieldError, FieldPath, forms},
    config_values::{
        Context,
        context::{DAY, SECOND},
    },
    memory, session,
    stores::StoreConfig,
};

pub(super) fn resolve(context: &mut Context<'_>, at: &FieldPath, written: &forms::Sessions) -> Option<session::Config> {
    let absolute = context.duration(&at.key("absolute_lifetime"), &written.absolute_lifetime, SECOND..=30 * DAY);
    let idle = context.duration(&at.key("idle_lifetime"), &written.idle_lifetime, SECOND..=30 * DAY);
    let (absolute_lifetime, idle_lifetime) = (absolute?, idle?);
    if idle_lifetime > absolute_lifetime {
        context.report(
            FieldError::new(&at.key("idle_lifetime"), "must not be longer than absolute_lifetime")
                .found(&written.idle_lifetime.0)
                .write(format!("write at most `{}`", written.absolute_lifetime.0)),
        );
        return None;
    }
    Some(session::Config { absolute_lifetime, idle_lifetime, open_bytes: memory::OPENED_SESSIONS })
}

pub(super) fn store(context: &mut Context<'_>, at: &FieldPath, written: &forms::Store) -> Option<StoreConfig> {
    if written.redis.is_some() && written.kind != forms::StoreKind::Redis {
        return context.refuse(
            FieldError::new(&at.key("redis"), "this store is not in Redis").write("remove it, or write `type: redis`"),
        );
    }
    match (written.kind, &written.path) {
        (forms::StoreKind::Redis, None) => match &written.redis {
            Some(servers) => redis::resolve(context, &at.key("redis"), servers).map(StoreConfig::Redis),
            None => context.refuse(
                FieldError::new(&at.key("redis"), "it is missing: a `redis` store needs a server")
                    .write("write for example `redis: {urls: ['rediss://redis.example.com:6379']}`"),
            ),
        },
        (forms::StoreKind::Redis, Some(_)) => context.refuse(
            FieldError::new(&at.key("path"), "a `redis` store has no file")
                .write("remove it, or write `type: embedded`"),
        ),
        (forms::StoreKind::Memory, None) => Some(StoreConfig::Memory),
        (forms::StoreKind::Embedded, Some(path)) => {
            context.absolute(&at.key("path"), path).map(|path| StoreConfig::Embedded { path })
        }
        (forms::StoreKind::Memory, Some(_)) => context.refuse(
            FieldError::new(&at.key("path"), "a `memory` store has no file")
                .write("remove it, or write `type: embedded`"),
        ),
        (forms::StoreKind::Embedded, None) => context.refuse(
            FieldError::new(&at.key("path"), "it is missing: an `embedded` store needs a file")
                .write("write an absolute path, such as `/var/lib/portcullis/sessions/sessions.redb`"),
        ),
    }
}

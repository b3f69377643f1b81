//! Statements that are written once for both databases.

use std::{fmt::Write as _, sync::OnceLock};

/// Which database a catalog talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// One file, one process.
    Sqlite,
    /// A server, many processes.
    Postgres,
}

/// A statement with three places where the databases differ:
/// `{now}` is the database's clock in milliseconds, `{skip_locked}` locks the rows of alias `t` and passes over those that
/// others hold, `{for_update}` locks rows and waits. The locks are of the kind that an UPDATE takes: the weak ones that a
/// foreign key takes on the row it names don't wait for them. SQLite has one writer and needs no row locks.
#[derive(Debug)]
pub(crate) struct Sql {
    template: &'static str,
    rendered: [OnceLock<&'static str>; 2],
}

impl Sql {
    pub(crate) const fn new(template: &'static str) -> Self {
        Self {
            template,
            rendered: [const { OnceLock::new() }; 2],
        }
    }

    /// The text for one database. Rendered once and kept for the life of the process, as statements are static.
    pub(crate) fn on(&self, dialect: Dialect) -> &'static str {
        self.rendered[dialect as usize].get_or_init(|| Box::leak(render(self.template, dialect).into_boxed_str()))
    }
}

fn render(template: &str, dialect: Dialect) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, tail) = after.split_once('}').unwrap_or((after, ""));
        let _ = write!(text, "{before}{}", placeholder(name, dialect));
        rest = tail;
    }
    text + rest
}

fn placeholder(name: &str, dialect: Dialect) -> &'static str {
    match (name, dialect) {
        ("now", Dialect::Sqlite) => "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
        ("now", Dialect::Postgres) => "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
        ("skip_locked", Dialect::Postgres) => "FOR NO KEY UPDATE OF t SKIP LOCKED",
        ("for_update", Dialect::Postgres) => "FOR NO KEY UPDATE",
        ("skip_locked" | "for_update", Dialect::Sqlite) => "",
        _ => unreachable!("a placeholder that no statement of this crate uses: {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in() {
        static SQL: Sql = Sql::new("SELECT {now} FROM x t {skip_locked}");
        assert!(SQL.on(Dialect::Sqlite).starts_with("SELECT CAST(unixepoch"));
        assert!(
            SQL.on(Dialect::Postgres)
                .ends_with("FOR NO KEY UPDATE OF t SKIP LOCKED")
        );
    }
}

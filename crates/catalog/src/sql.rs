//! Statements that are written once for both databases.

use std::{borrow::Cow, fmt::Write as _, sync::OnceLock};

use reelway_domain::limits;
use serde::Serialize;
use sqlx::{
    Any, AnyPool,
    any::{AnyArguments, AnyRow},
    query::Query,
};

use crate::{Error, api_key, row};

/// Which database a catalog talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// One file, one process.
    Sqlite,
    /// A server, many processes.
    Postgres,
}

/// A statement with the places where the databases differ:
///
/// - `{now}` is the database's clock in milliseconds.
/// - `{skip_locked}` locks the rows of alias `t` and passes over those that others hold, `{for_update}` locks rows and waits.
///   The locks are of the kind that an UPDATE takes: the weak ones that a foreign key takes on the row it names don't wait
///   for them. SQLite has one writer and needs no row locks.
/// - `{tables}` is a table with the `name` of each table.
/// - `{columns:$1}` is a table with the `name` and `kind` of each column of the table that a parameter names.
/// - `{rows:$1}` is a parameter's JSON array of objects ([`list`]) as a table with the column `value`, of which
///   `value ->> 'name'` gives a member as text. So a statement is one and the same for any number of rows.
/// - `x {in:$1}` asks whether a parameter's JSON array of strings has x, `x {in:SELECT …}` whether a query gives it. Postgres
///   looks these up in an index, and doesn't guess that there may be so many that it had better read the whole table.
///
/// The others are the same in both: `{upload}`, `{job}`, `{task}`, `{event}`, `{webhook}` and `{api_key}` are the columns that are read of
/// such a row of the table, under its own name. All columns (`*`) are never asked for: Postgres ends statements that it has prepared when their columns change,
/// and migrations add columns while servers run. `{claimable}` is whether the task `t` of the job `j` of the upload `u` waits for nothing but a worker,
/// or for the end of its pause. `{skip_parts}` keeps a new writer's part numbers apart from those that an earlier one may still send.
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

/// The row of a statement that changes one, and is a transaction of its own. Reads on to the end: the row comes before the
/// commit, which may fail, and both databases' drivers hand out a first row that is asked for alone without waiting for it.
pub(crate) async fn change_one(
    statement: Query<'_, Any, AnyArguments>,
    database: &AnyPool,
) -> Result<Option<AnyRow>, sqlx::Error> {
    Ok(statement.fetch_all(database).await?.pop())
}

/// A list as the parameter of a statement's `{rows:…}` or `{in:…}`.
pub(crate) fn list<T: Serialize>(items: impl IntoIterator<Item = T>) -> Result<String, Error> {
    let items: Vec<T> = items.into_iter().collect();
    Ok(serde_json::to_string(&items)?)
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

fn placeholder(name: &str, dialect: Dialect) -> Cow<'static, str> {
    let text = match (name, dialect) {
        ("now", Dialect::Sqlite) => "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
        ("now", Dialect::Postgres) => "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
        ("skip_locked", Dialect::Postgres) => "FOR NO KEY UPDATE OF t SKIP LOCKED",
        ("for_update", Dialect::Postgres) => "FOR NO KEY UPDATE",
        ("skip_locked" | "for_update", Dialect::Sqlite) => "",
        ("claimable", _) => {
            "t.state = 'queued' AND t.pending = 0 AND j.state IN ('queued', 'running')
               AND (u.state = 'complete' OR (u.state = 'receiving' AND t.ready_at_offset IS NOT NULL
                                             AND u.durable_offset >= t.ready_at_offset))"
        }
        ("skip_parts", _) => {
            let skipped = limits::PARTS_IN_FLIGHT_MAX;
            return format!("part_next = part_next + CASE WHEN writer IS NULL THEN 0 ELSE {skipped} END").into();
        }
        ("tables", Dialect::Sqlite) => "(SELECT name FROM sqlite_master WHERE type = 'table') AS tables",
        ("tables", Dialect::Postgres) => {
            "(SELECT CAST(tablename AS TEXT) AS name FROM pg_tables WHERE schemaname = current_schema()) AS tables"
        }
        ("upload", dialect) => return format!("{}, {} AS part_ids", row::UPLOAD_COLUMNS, part_ids(dialect)).into(),
        ("job", _) => row::JOB_COLUMNS,
        ("task", _) => row::TASK_COLUMNS,
        ("event", _) => row::EVENT_COLUMNS,
        ("webhook", _) => row::WEBHOOK_COLUMNS,
        ("api_key", _) => api_key::COLUMNS,
        _ => return with_argument(name, dialect).into(),
    };
    text.into()
}

/// The parts of a row of `uploads` as one JSON array; NULL if it is not put together from any.
fn part_ids(dialect: Dialect) -> String {
    let list = match dialect {
        Dialect::Sqlite => "json_group_array(part_id ORDER BY position)",
        Dialect::Postgres => "CAST(json_agg(part_id ORDER BY position) AS TEXT)",
    };
    format!("CASE WHEN kind = 'joined' THEN (SELECT {list} FROM upload_joins WHERE upload_id = uploads.id) END")
}

fn with_argument(name: &str, dialect: Dialect) -> String {
    match (name.split_once(':'), dialect) {
        // JSONB: read once, and not again for each member, which costs four times as much.
        (Some(("rows", list)), Dialect::Postgres) => format!("jsonb_array_elements(CAST({list} AS JSONB))"),
        (Some(("rows", list)), Dialect::Sqlite) => format!("json_each({list})"),
        (Some(("columns", table)), Dialect::Postgres) => format!(
            "(SELECT CAST(column_name AS TEXT) AS name, CAST(data_type AS TEXT) AS kind FROM information_schema.columns
              WHERE table_schema = current_schema() AND table_name = {table}) AS columns"
        ),
        (Some(("columns", table)), Dialect::Sqlite) => {
            format!("(SELECT name, type AS kind FROM pragma_table_info({table}))")
        }
        (Some(("in", list)), Dialect::Postgres) if list.starts_with('$') => {
            format!("= ANY (ARRAY(SELECT json_array_elements_text(CAST({list} AS JSON))))")
        }
        (Some(("in", list)), Dialect::Sqlite) if list.starts_with('$') => {
            format!("IN (SELECT value FROM json_each({list}))")
        }
        (Some(("in", select)), Dialect::Postgres) => format!("= ANY (ARRAY({select}))"),
        (Some(("in", select)), Dialect::Sqlite) => format!("IN ({select})"),
        _ => unreachable!("a placeholder that no statement of this crate uses: {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in() {
        static SQL: Sql = Sql::new("SELECT {now} FROM {rows:$1} t {skip_locked}");
        let sqlite = SQL.on(Dialect::Sqlite);
        assert!(sqlite.starts_with("SELECT CAST(unixepoch"), "{sqlite}");
        assert!(sqlite.ends_with("FROM json_each($1) t "), "{sqlite}");
        let postgres = SQL.on(Dialect::Postgres);
        assert!(
            postgres.ends_with("jsonb_array_elements(CAST($1 AS JSONB)) t FOR NO KEY UPDATE OF t SKIP LOCKED"),
            "{postgres}"
        );
    }
}

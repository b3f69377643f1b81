//! Copying a whole catalog into an empty one: from an embedded node's file to a server.

use futures_util::TryStreamExt as _;
use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, Row as _, any::AnyRow};

use crate::{Catalog, Error, Schema, reap::EXPIRE_ALL, sql::Sql, tx::Tx};

/// All tables, each after those that its rows name.
const TABLES: [&str; 16] = [
    "tenants",
    "api_keys",
    "uploads",
    "upload_joins",
    "parts",
    "rests",
    "direct_parts",
    "upload_files",
    "jobs",
    "tasks",
    "task_edges",
    "job_events",
    "outbox",
    "request_ids",
    "settings",
    "webhooks",
];
/// The most rows that are written at a time.
const BATCH_ROWS_MAX: usize = 200;
/// No more is held once so much was read, but for one row.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Each table, and how many rows it had.
    pub tables: Vec<(&'static str, u64)>,
}

/// Why a catalog was not copied. The target is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Somebody uses the target already.
    #[error("the target is not empty: it has rows in {table}; copy into a new database")]
    NotEmpty {
        /// The first table with rows.
        table: &'static str,
    },
    /// One of the two is of another release.
    #[error("the schemas differ in {what}; migrate both databases with this release first")]
    SchemaDiffers {
        /// What differs.
        what: String,
    },
    /// What was written is not what was read.
    #[error("{table} differs after copying: {read} rows were read, {written} are there, or some are not the same")]
    RowsDiffer {
        /// The table.
        table: &'static str,
        /// Rows of the source.
        read: u64,
        /// Rows of the target.
        written: u64,
    },
}

static COLUMNS: Sql = Sql::new("SELECT name, kind FROM {columns:$1}");
static NAMES: Sql = Sql::new("SELECT name FROM {tables}");

/// What a column holds. The schema has no other types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Int,
    Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    name: String,
    kind: Kind,
}

/// A table with its columns, which both databases have.
#[derive(Debug)]
struct Table {
    name: &'static str,
    columns: Vec<Column>,
}

/// A value that may be missing, ready to be written.
#[derive(Debug)]
enum Value {
    Text(Option<String>),
    Int(Option<i64>),
    Bytes(Option<Vec<u8>>),
}

/// How many rows, and a sum over their digests, which doesn't depend on their order.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Sum {
    rows: u64,
    digests: u128,
}

/// Copies everything from one catalog into another that is migrated and empty, in one transaction, and compares the two.
/// Nothing may use the source meanwhile. Leases that are good in the source have run out in the target: their workers can't
/// know of it.
///
/// # Errors
/// [`Error::Copy`] if the two don't fit or the copy is not the same, [`Error::Database`] if a database fails. Then the target is
/// as it was before.
pub async fn copy(from: &Catalog, to: &Catalog) -> Result<Copied, Error> {
    let tables = common_tables(from, to).await?;
    let (mut source, mut target) = (from.begin().await?, to.begin().await?);
    to.take_time(&mut target).await?;
    for table in &tables {
        if table.sum(&mut target).await? != Sum::default() {
            return Err(CopyError::NotEmpty { table: table.name }.into());
        }
    }
    let mut sums = Vec::with_capacity(tables.len());
    for table in &tables {
        sums.push(table.copy(&mut source, &mut target).await?);
    }
    for (table, read) in tables.iter().zip(&sums) {
        let written = table.sum(&mut target).await?;
        if written != *read {
            let differ = CopyError::RowsDiffer {
                table: table.name,
                read: read.rows,
                written: written.rows,
            };
            return Err(differ.into());
        }
    }
    sqlx::query(EXPIRE_ALL.on(to.dialect)).execute(&mut **target).await?;
    to.commit(target).await?;
    source.rollback().await?;
    let rows = tables.iter().zip(sums).map(|(table, sum)| (table.name, sum.rows));
    Ok(Copied { tables: rows.collect() })
}

/// The tables of both, if both have this binary's schema.
async fn common_tables(from: &Catalog, to: &Catalog) -> Result<Vec<Table>, Error> {
    let mut of_both: [Vec<Table>; 2] = Default::default();
    for (catalog, tables) in [from, to].into_iter().zip(&mut of_both) {
        if catalog.schema().await? != Schema::Current {
            let what = format!("the version of the {:?} database", catalog.dialect);
            return Err(CopyError::SchemaDiffers { what }.into());
        }
        catalog.expect_known_tables().await?;
        for name in TABLES {
            let columns = catalog.columns(name).await?;
            tables.push(Table { name, columns });
        }
    }
    let [of_source, of_target] = of_both;
    let differ = of_source.iter().zip(&of_target).find(|(a, b)| a.columns != b.columns);
    if let Some((table, _)) = differ {
        let what = format!("the columns of {}", table.name);
        return Err(CopyError::SchemaDiffers { what }.into());
    }
    Ok(of_target)
}

impl Catalog {
    /// Nothing may be left behind because it was added to the schema and not to [`TABLES`].
    async fn expect_known_tables(&self) -> Result<(), Error> {
        let names: Vec<(String,)> = sqlx::query_as(NAMES.on(self.dialect)).fetch_all(&self.read).await?;
        let is_known = |name: &str| TABLES.contains(&name) || name == "_sqlx_migrations";
        match names.into_iter().find(|(name,)| !is_known(name)) {
            Some((name,)) => Err(CopyError::SchemaDiffers {
                what: format!("the table {name}"),
            }
            .into()),
            None => Ok(()),
        }
    }

    async fn columns(&self, table: &'static str) -> Result<Vec<Column>, Error> {
        let rows: Vec<(String, String)> = sqlx::query_as(COLUMNS.on(self.dialect))
            .bind(table)
            .fetch_all(&self.read)
            .await?;
        let column = |(name, kind): (String, String)| {
            let kind = match kind.to_ascii_lowercase().as_str() {
                "text" => Kind::Text,
                "bigint" => Kind::Int,
                "bytea" => Kind::Bytes,
                other => {
                    let what = format!("the type {other} of {table}.{name}");
                    return Err(CopyError::SchemaDiffers { what }.into());
                }
            };
            Ok(Column { name, kind })
        };
        let mut columns = rows.into_iter().map(column).collect::<Result<Vec<_>, Error>>()?;
        columns.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(columns)
    }
}

impl Table {
    /// All rows but those that every migrated database has.
    fn select(&self) -> AssertSqlSafe<String> {
        let columns: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        let all_but = if self.name == "settings" {
            " WHERE name NOT LIKE 'schema.%'"
        } else {
            ""
        };
        AssertSqlSafe(format!("SELECT {} FROM {}{all_but}", columns.join(", "), self.name))
    }

    /// Counts and sums what is there.
    async fn sum(&self, tx: &mut Tx) -> Result<Sum, Error> {
        let mut sum = Sum::default();
        let mut rows = sqlx::query(self.select()).fetch(&mut ***tx);
        while let Some(row) = rows.try_next().await? {
            sum.add(&self.values(&row)?);
        }
        Ok(sum)
    }

    async fn copy(&self, source: &mut Tx, target: &mut Tx) -> Result<Sum, Error> {
        let (mut sum, mut batch, mut batch_bytes) = (Sum::default(), Vec::new(), 0);
        let mut rows = sqlx::query(self.select()).fetch(&mut ***source);
        while let Some(row) = rows.try_next().await? {
            let values = self.values(&row)?;
            sum.add(&values);
            batch_bytes += values.iter().map(Value::len).sum::<usize>();
            batch.push(values);
            if batch.len() >= BATCH_ROWS_MAX || batch_bytes >= BATCH_BYTES_MAX {
                self.insert(target, std::mem::take(&mut batch)).await?;
                batch_bytes = 0;
            }
        }
        self.insert(target, batch).await?;
        Ok(sum)
    }

    fn values(&self, row: &AnyRow) -> Result<Vec<Value>, Error> {
        let value = |(at, column): (usize, &Column)| {
            Ok(match column.kind {
                Kind::Text => Value::Text(row.try_get(at)?),
                Kind::Int => Value::Int(row.try_get(at)?),
                Kind::Bytes => Value::Bytes(row.try_get(at)?),
            })
        };
        self.columns.iter().enumerate().map(value).collect()
    }

    async fn insert(&self, tx: &mut Tx, rows: Vec<Vec<Value>>) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        let width = names.len();
        let row = |at: usize| {
            let places: Vec<String> = (1..=width).map(|place| format!("${}", at * width + place)).collect();
            format!("({})", places.join(", "))
        };
        let all: Vec<String> = (0..rows.len()).map(row).collect();
        let sql = format!(
            "INSERT INTO {} ({}) VALUES {}",
            self.name,
            names.join(", "),
            all.join(", ")
        );
        // The names are the schema's own, and the rest is numbered places.
        let mut insert = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        for value in rows.into_iter().flatten() {
            insert = match value {
                Value::Text(text) => insert.bind(text),
                Value::Int(number) => insert.bind(number),
                Value::Bytes(bytes) => insert.bind(bytes),
            };
        }
        insert.execute(&mut ***tx).await?;
        Ok(())
    }
}

impl Value {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.as_ref().map_or(0, String::len),
            Self::Int(_) => size_of::<i64>(),
            Self::Bytes(bytes) => bytes.as_ref().map_or(0, Vec::len),
        }
    }

    /// Feeds a digest with the value so that no two rows feed it the same.
    fn feed(&self, digest: &mut Sha256) {
        let mut feed = |bytes: Option<&[u8]>| {
            digest.update(bytes.map_or(u64::MAX, |bytes| bytes.len() as u64).to_be_bytes());
            digest.update(bytes.unwrap_or_default());
        };
        match self {
            Self::Text(text) => feed(text.as_ref().map(String::as_bytes)),
            Self::Int(number) => feed(number.map(i64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice)),
            Self::Bytes(bytes) => feed(bytes.as_deref()),
        }
    }
}

impl Sum {
    fn add(&mut self, values: &[Value]) {
        let mut digest = Sha256::new();
        values.iter().for_each(|value| value.feed(&mut digest));
        let digest = digest.finalize();
        let half = digest.first_chunk().copied().unwrap_or_default();
        self.rows += 1;
        self.digests = self.digests.wrapping_add(u128::from_be_bytes(half));
    }
}

//! The database, what is in it, and whether its clock agrees with this machine's.

use std::time::SystemTime;

use reelway_catalog::{Catalog, Dialect, Error, Schema};

use super::{Finding, skew};
use crate::{config::ServeConfig, serve::database_url};

/// The database, and what is in it if it can be asked.
pub(super) async fn findings(config: &ServeConfig) -> Vec<Finding> {
    let url = database_url(config.database.as_deref(), &config.data);
    let looked = async {
        let catalog = Catalog::open(&url).await?;
        let seen = look(&catalog).await;
        catalog.close().await;
        seen
    };
    match looked.await {
        Ok((schema, clock)) => {
            let mut findings = vec![
                Finding::ok("database", "it can be opened and answers"),
                fits(schema, config.is_whole()),
            ];
            findings.extend(clock);
            findings
        }
        Err(error @ Error::Locked(_)) => vec![
            Finding::warning("database", error.to_string())
                .advise("this is fine if a node is running on it; otherwise end the process that holds it"),
        ],
        Err(error) => vec![Finding::failed("database", error.to_string()).advise(advice(&error))],
    }
}

async fn look(catalog: &Catalog) -> Result<(Schema, Option<Finding>), Error> {
    let schema = catalog.schema().await?;
    if catalog.dialect() == Dialect::Sqlite {
        return Ok((schema, None));
    }
    let asked_at = SystemTime::now();
    let told = catalog.clock().await?;
    Ok((schema, Some(skew::finding("clock", "the database's", told, asked_at))))
}

fn advice(error: &Error) -> &'static str {
    match error {
        Error::Database(_) => {
            "is it running, may this machine reach it, and are --database (or --database-file), the user and the password right? \
             Servers wait for it"
        }
        _ => "see what is at --database",
    }
}

fn fits(schema: Schema, is_whole: bool) -> Finding {
    match schema {
        Schema::Current => Finding::ok("schema", "it is this release's"),
        Schema::Older { .. } if is_whole => Finding::ok("schema", "a node brings it up to date when it starts"),
        Schema::Older { version } => {
            let has = version.map_or_else(|| "it is empty".to_owned(), |v| format!("it has migration {v} at most"));
            Finding::failed("schema", format!("{has}, and this release needs later ones"))
                .advise("run `reelway migrate`; servers of this release wait until then, older ones go on")
        }
        Schema::Newer {
            version,
            compatible: true,
        } => Finding::ok(
            "schema",
            format!("migration {version} is newer than this release, which works with it"),
        ),
        Schema::Newer { version, .. } => Finding::failed("schema", Error::NewerSchema(version).to_string())
            .advise("run the release that brought the schema to this, or a later one"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn an_older_schema_stops_servers_but_not_a_node() {
        let older = Schema::Older { version: Some(3) };
        assert_eq!(fits(older, true).verdict, Verdict::Ok);
        let found = fits(older, false);
        assert_eq!(found.verdict, Verdict::Failed);
        assert!(found.advice.expect("advice").contains("reelway migrate"));
        let newer = |compatible| Schema::Newer {
            version: 99,
            compatible,
        };
        assert_eq!(fits(newer(true), false).verdict, Verdict::Ok);
        assert_eq!(fits(newer(false), false).verdict, Verdict::Failed);
    }
}

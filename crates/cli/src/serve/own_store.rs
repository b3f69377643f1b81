//! Which stores belong to a catalog: what it knows of is in these and in no others.

use reelway_catalog::{Catalog, Error};
use reelway_domain::StoreId;

use super::start;
use crate::error::CliError;

/// What one of the stores of a deployment holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    /// What was uploaded.
    Sources,
    /// What jobs made.
    Outputs,
    /// Sources that were moved after success.
    Archive,
}

impl Holds {
    /// The name under which the catalog keeps which store this is.
    fn setting(self) -> &'static str {
        match self {
            Self::Sources => "store",
            Self::Outputs => "output-store",
            Self::Archive => "archive-store",
        }
    }
}

/// The ids of the stores that a deployment has agreed on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Agreed {
    pub(super) sources: String,
    pub(super) outputs: String,
}

/// Agrees on the stores: the first process of a deployment decides. A catalog that knows only where sources are is an older one, which
/// has outputs there too.
///
/// # Errors
/// [`Error::Database`] if the database fails.
pub(super) async fn agree(catalog: &Catalog, sources: StoreId, outputs: StoreId) -> Result<Agreed, Error> {
    // Where outputs are is written first: a catalog that knows the other one alone is an older one indeed.
    let known = catalog.setting(Holds::Sources.setting()).await?;
    let proposed = known.unwrap_or_else(|| outputs.to_string());
    let outputs = catalog.agree(Holds::Outputs.setting(), &proposed).await?;
    let sources = catalog.agree(Holds::Sources.setting(), &sources.to_string()).await?;
    Ok(Agreed { sources, outputs })
}

/// Agrees on the store that sources are moved to: the first process that names one decides. `None`: none was ever named.
///
/// # Errors
/// [`Error::Database`] if the database fails.
pub(super) async fn agree_on_archive(catalog: &Catalog, own: Option<StoreId>) -> Result<Option<String>, Error> {
    match own {
        Some(own) => catalog
            .agree(Holds::Archive.setting(), &own.to_string())
            .await
            .map(Some),
        None => catalog.setting(Holds::Archive.setting()).await,
    }
}

/// Refuses a process that doesn't name the store which has sources.
///
/// # Errors
/// That.
pub(super) fn expect_no_archive(agreed: Option<&str>) -> Result<(), CliError> {
    let Some(agreed) = agreed else { return Ok(()) };
    let message = format!("sources were moved to the store {agreed}, and this process has no --archive-store");
    Err(CliError::failed("STORE_MISMATCH", message).hint("give every process of a deployment the same --archive-store"))
}

/// Refuses a store that is not the one agreed on: of another one's objects the catalog would know none.
///
/// # Errors
/// That.
pub(super) fn expect(holds: Holds, agreed: &str, own: StoreId, place: &str) -> Result<(), CliError> {
    if agreed == own.to_string() {
        return Ok(());
    }
    let message = match holds {
        Holds::Sources => format!("the catalog belongs to the store {agreed}, and {place} is the store {own}"),
        Holds::Outputs => format!("what jobs made is in the store {agreed}, and {place} is the store {own}"),
        Holds::Archive => format!("sources were moved to the store {agreed}, and {place} is the store {own}"),
    };
    Err(CliError::failed("STORE_MISMATCH", message).hint(
        "give every process of a deployment the same --store and --output-store from its first start on, the same --archive-store \
         once there is one, and each deployment a database of its own",
    ))
}

/// The same for somebody who agrees on nothing.
///
/// # Errors
/// Also if the catalog can't be asked, or belongs to no store yet.
pub(crate) async fn expect_own_store(
    catalog: &Catalog,
    holds: Holds,
    own: StoreId,
    place: &str,
) -> Result<(), CliError> {
    let setting = async |holds: Holds| catalog.setting(holds.setting()).await.map_err(start::catalog_failure);
    let agreed = match setting(holds).await? {
        None if holds == Holds::Outputs => setting(Holds::Sources).await?,
        agreed => agreed,
    };
    let agreed = agreed.unwrap_or_else(|| "that nobody has named yet".to_owned());
    expect(holds, &agreed, own, place)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn catalog(dir: &tempfile::TempDir) -> Catalog {
        let url = format!("sqlite://{}", dir.path().join("catalog").display());
        let catalog = Catalog::open(&url).await.expect("a catalog");
        catalog.migrate().await.expect("its tables");
        catalog
    }

    #[tokio::test]
    async fn the_first_process_decides_for_both() {
        let (dir, ids) = (
            tempfile::tempdir().expect("a directory"),
            [(); 4].map(|()| StoreId::new()),
        );
        let catalog = catalog(&dir).await;
        let nobody = expect_own_store(&catalog, Holds::Outputs, ids[1], "here").await;
        assert!(nobody.is_err_and(|error| error.message.contains("nobody")));
        let first = agree(&catalog, ids[0], ids[1]).await.expect("an answer");
        assert_eq!(
            (&first.sources, &first.outputs),
            (&ids[0].to_string(), &ids[1].to_string())
        );
        assert_eq!(agree(&catalog, ids[2], ids[3]).await.expect("an answer"), first);
        for (holds, own, other) in [(Holds::Sources, 0, 1), (Holds::Outputs, 1, 0)] {
            assert!(expect_own_store(&catalog, holds, ids[own], "here").await.is_ok());
            assert!(expect_own_store(&catalog, holds, ids[other], "here").await.is_err());
        }
    }

    #[tokio::test]
    async fn an_archive_is_agreed_on_when_there_is_one_and_stays() {
        let (dir, one, other) = (
            tempfile::tempdir().expect("a directory"),
            StoreId::new(),
            StoreId::new(),
        );
        let catalog = catalog(&dir).await;
        assert_eq!(agree_on_archive(&catalog, None).await.expect("an answer"), None);
        assert!(expect_no_archive(None).is_ok());
        for named in [Some(one), Some(other), None] {
            let agreed = agree_on_archive(&catalog, named).await.expect("an answer");
            assert_eq!(agreed, Some(one.to_string()));
        }
        let refused = expect_no_archive(Some("it")).expect_err("sources are there");
        assert!(refused.message.contains("--archive-store"), "{refused}");
        assert!(expect_own_store(&catalog, Holds::Archive, one, "here").await.is_ok());
    }

    #[tokio::test]
    async fn an_older_catalog_has_outputs_where_its_sources_are() {
        let (dir, one, other) = (
            tempfile::tempdir().expect("a directory"),
            StoreId::new(),
            StoreId::new(),
        );
        let catalog = catalog(&dir).await;
        catalog.agree("store", &one.to_string()).await.expect("an answer");
        assert!(expect_own_store(&catalog, Holds::Outputs, one, "here").await.is_ok());
        let agreed = agree(&catalog, one, other).await.expect("an answer");
        assert_eq!(
            agreed.outputs,
            one.to_string(),
            "or what was made would not be found any more"
        );
        assert!(
            expect(Holds::Outputs, &agreed.outputs, other, "there").is_err_and(|error| error.message.contains("there"))
        );
    }
}
